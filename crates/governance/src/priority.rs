//! Priorities: which of the requests that wait for a service is next.

mod class;
mod error;
mod metrics;
mod request;
mod sla;

pub use class::{CLASS_FIELDS, ClassDraft, ClassWeight, DEFAULT_WEIGHTS, WEIGHT_MAX};
pub use error::{EnqueueError, NotAQueueTicket, PriorityError, QueueTicketError};
pub use metrics::{
    ClassMetrics, Crossing, ExemptMetrics, FairShare, QueueMetrics, Rejections, SchedulerTotals, SlaKind,
    SlaNotice, SlaStatus, StarvationBound,
};
pub use request::{
    Dispatch, Dropped, Lane, Origin, Placement, QueueTicket, QueuedRequest, RejectReason, Rejection,
    ServiceReport, WaitingRequest,
};
pub use sla::{P95_LATENCY_MS_MAX, Percent, QUEUE_DEPTH_DEFAULT, QUEUE_DEPTH_MAX, SLA, SLA_FIELDS, SlaDraft};

use crate::notice::Notices;
use crate::rate_limiter::Access;
use crate::request::RequestPriority;
use crate::scope::{HashSecret, KeyHash, Name};
use crate::time::{Instant, Nanos};

/// How many services can have a queue.
pub const QUEUES_MAX: usize = 256;
/// How many requests the exempt lane holds.
pub const EXEMPT_SLOTS: usize = 16;
/// How many classes can have a histogram of their waits.
pub const HISTOGRAMS_MAX: usize = 64;
/// How many notices of agreements are kept.
pub const SLA_NOTICES_MAX: usize = 128;

/// A queue that is configured. Once it is gone, its handle finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueId {
    number: u16,
    generation: u32,
}

/// Queues for services, with up to four requests that wait or are in service for each of `TENANTS`. All-zero when empty.
#[derive(Debug)]
pub struct PriorityScheduler<const TENANTS: usize> {
    secret: HashSecret,
    slas: [SLA; QUEUES_MAX],
    notices: Notices<SlaNotice, SLA_NOTICES_MAX>,
    /// Four requests for each tenant.
    pool: [[u8; 4]; TENANTS],
}

impl<const TENANTS: usize> Default for PriorityScheduler<TENANTS> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(unused_variables, clippy::unused_self, reason = "the signatures alone")]
impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// A scheduler without queues.
    #[must_use]
    pub const fn new() -> Self {
        let notice = SlaNotice {
            at: Instant(0),
            service: Name::EMPTY,
            kind: SlaKind::Latency,
            crossing: Crossing::Breach,
            measured_ppm: 0,
            threshold_ppm: 0,
        };
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            slas: [SLA::EMPTY; QUEUES_MAX],
            notices: Notices::new(notice),
            pool: [[0; 4]; TENANTS],
        }
    }

    /// Forgets all queues, requests and notices, in place, and takes a secret for hashing services. Handles and tickets
    /// of before find nothing afterwards.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
    }

    /// Hashes services under another secret from now on.
    ///
    /// # Panics
    /// If there are queues already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        self.secret = secret;
    }

    /// Gives a service a queue.
    ///
    /// # Errors
    /// [`PriorityError`] if a value is out of range, the service has one, or no more fit.
    pub fn define_sla(&mut self, sla: &SLA) -> Result<QueueId, PriorityError> {
        sla.check().map_err(PriorityError::OutOfRange)?;
        Err(PriorityError::Full)
    }

    /// Changes an agreement. Requests that wait keep their deadlines, also where fewer may wait than do.
    ///
    /// # Errors
    /// [`PriorityError`] if there is no such queue, a value is out of range, or the service is another.
    pub fn update_sla(&mut self, now: Instant, queue: QueueId, sla: &SLA) -> Result<(), PriorityError> {
        Err(PriorityError::UnknownQueue)
    }

    /// Takes a service's queue away.
    ///
    /// # Errors
    /// [`PriorityError`] if there is no such queue, or if requests wait in it or are in service.
    pub fn remove_sla(&mut self, queue: QueueId) -> Result<SLA, PriorityError> {
        Err(PriorityError::UnknownQueue)
    }

    /// Whether there is no queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.totals().queues == 0
    }

    /// The agreement of a queue.
    #[must_use]
    pub fn get_sla(&self, queue: QueueId) -> Option<&SLA> {
        None
    }

    /// The queue of a service.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<QueueId> {
        None
    }

    /// The queue of a service by the hash of its key, under the scheduler's secret.
    #[must_use]
    pub fn by_hash(&self, service: KeyHash) -> Option<QueueId> {
        None
    }

    /// All queues with their agreements, in the order of their numbers.
    pub fn slas(&self) -> impl Iterator<Item = (QueueId, &SLA)> + '_ {
        core::iter::empty()
    }

    /// Whether [`PriorityScheduler::configure`] would succeed.
    ///
    /// # Errors
    /// [`PriorityError`] says why not.
    pub fn check_configuration(
        &self,
        slas: &[SLA],
        weights: [u32; RequestPriority::COUNT],
    ) -> Result<(), PriorityError> {
        Ok(())
    }

    /// Brings agreements and weights to those that are given. Queues of the same service stay, with what waits in them.
    ///
    /// # Errors
    /// [`PriorityError`] if a value is out of range, a service is there twice, no more fit, or a queue is in use that
    /// is to go. Nothing was changed.
    pub fn configure(
        &mut self,
        now: Instant,
        slas: &[SLA],
        weights: [u32; RequestPriority::COUNT],
    ) -> Result<(), PriorityError> {
        self.check_configuration(slas, weights)
    }

    /// Takes over agreements and weights of another scheduler, into one without queues.
    ///
    /// # Errors
    /// [`PriorityError`] as [`PriorityScheduler::define_sla`].
    pub fn configure_like<const OTHER: usize>(
        &mut self,
        other: &PriorityScheduler<OTHER>,
    ) -> Result<(), PriorityError> {
        Ok(())
    }

    /// Changes the weight of a class in all queues.
    ///
    /// # Errors
    /// [`PriorityError::OutOfRange`] unless it is 1 to [`WEIGHT_MAX`].
    pub fn set_weight(
        &mut self,
        now: Instant,
        class: RequestPriority,
        weight: u32,
    ) -> Result<(), PriorityError> {
        class::check_weight(weight).map_err(PriorityError::OutOfRange)
    }

    /// The weights of the classes, most urgent first.
    #[must_use]
    pub fn weights(&self) -> [u32; RequestPriority::COUNT] {
        DEFAULT_WEIGHTS
    }

    /// What there is room for. Nothing is taken: [`PriorityScheduler::start_request`] or
    /// [`PriorityScheduler::enqueue_request`] at the same time, with nothing in between, will succeed.
    ///
    /// # Errors
    /// As [`PriorityScheduler::enqueue_request`]; a rejection is counted if `access` is [`Access::Charge`].
    pub fn room(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
        access: Access,
    ) -> Result<Placement, EnqueueError> {
        Err(EnqueueError::UnknownQueue)
    }

    /// Lets a request wait. If the queue or the pool is full, one that cannot be answered in time any more makes room,
    /// else the one with the latest deadline of the lowest class; `dropped` is told of it.
    ///
    /// # Errors
    /// [`EnqueueError`], with a rejection if the request itself would be that one.
    pub fn enqueue_request(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
        dropped: &mut dyn FnMut(Dropped),
    ) -> Result<QueueTicket, EnqueueError> {
        Err(EnqueueError::UnknownQueue)
    }

    /// Takes a request into service at once, as if it had been dispatched without a wait.
    ///
    /// # Errors
    /// [`EnqueueError`]; [`EnqueueError::NoSlot`] if [`PriorityScheduler::room`] would not have said
    /// [`Placement::Start`].
    pub fn start_request(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
    ) -> Result<QueueTicket, EnqueueError> {
        Err(EnqueueError::UnknownQueue)
    }

    /// The request whose turn it is, if not as many are in service as may be. Those that cannot be answered in time any
    /// more are dropped on the way.
    pub fn dequeue_next(
        &mut self,
        now: Instant,
        queue: QueueId,
        dropped: &mut dyn FnMut(Dropped),
    ) -> Option<Dispatch> {
        None
    }

    /// Ends the service of a request, and corrects what its class and its tenant were charged.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it waits.
    pub fn complete_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        report: &ServiceReport,
    ) -> Result<(), QueueTicketError> {
        Err(QueueTicketError::Unknown)
    }

    /// Gives a request up: one that waits is rejected as [`RejectReason::Cancelled`], one in service ends without a
    /// trace in estimates and agreements.
    ///
    /// # Errors
    /// [`QueueTicketError::Unknown`].
    pub fn cancel(&mut self, now: Instant, ticket: QueueTicket) -> Result<(), QueueTicketError> {
        Err(QueueTicketError::Unknown)
    }

    /// Takes a waiting request out, as [`RejectReason::Preempted`].
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it is in service.
    pub fn preempt_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
    ) -> Result<Dropped, QueueTicketError> {
        Err(QueueTicketError::Unknown)
    }

    /// Takes a waiting request out, for a reason of the caller's.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it is in service.
    pub fn reject_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        reason: RejectReason,
    ) -> Result<Dropped, QueueTicketError> {
        Err(QueueTicketError::Unknown)
    }

    /// Moves a waiting request to another class. It keeps its arrival and its deadline.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, if it is in service or in the exempt lane.
    pub fn requeue_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        class: RequestPriority,
    ) -> Result<(), QueueTicketError> {
        Err(QueueTicketError::Unknown)
    }

    /// Rejects all that wait in a queue, with the exempt lane, and tells how many those were.
    pub fn drain(&mut self, now: Instant, queue: QueueId, dropped: &mut dyn FnMut(Dropped)) -> usize {
        0
    }

    /// How a queue stands.
    #[must_use]
    pub fn get_queue_stats(&self, now: Instant, queue: QueueId) -> Option<QueueMetrics> {
        None
    }

    /// How full the scheduler is.
    #[must_use]
    pub fn totals(&self) -> SchedulerTotals {
        SchedulerTotals::default()
    }

    /// How long a request of that class and tenant would wait.
    #[must_use]
    pub fn estimate_queue_time(
        &self,
        now: Instant,
        queue: QueueId,
        class: RequestPriority,
        tenant: KeyHash,
    ) -> Nanos {
        Nanos::ZERO
    }

    /// What a class was promised, and what it received.
    #[must_use]
    pub fn get_fair_share(&self, queue: QueueId, class: RequestPriority) -> FairShare {
        FairShare::default()
    }

    /// How much service other classes can receive while the head of each class waits, and the most that they have.
    #[must_use]
    pub fn enforce_fairness(&self, queue: QueueId) -> [StarvationBound; RequestPriority::COUNT] {
        [StarvationBound::default(); RequestPriority::COUNT]
    }

    /// The last notices of agreements that were broken or are kept again.
    #[must_use]
    pub const fn sla_notices(&self) -> &Notices<SlaNotice, SLA_NOTICES_MAX> {
        &self.notices
    }

    /// How the agreement of a queue stands over the last minute.
    #[must_use]
    pub fn sla_status(&self, now: Instant, queue: QueueId) -> Option<SlaStatus> {
        None
    }

    /// Drops what cannot be answered in time any more, in every queue, and looks at agreements.
    pub fn tick(&mut self, now: Instant, dropped: &mut dyn FnMut(Dropped)) {}

    /// When the next waiting request can not be answered in time any more.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        None
    }

    /// The requests that wait in a queue, in no particular order.
    pub fn waiting(&self, queue: QueueId) -> impl Iterator<Item = WaitingRequest> + '_ {
        core::iter::empty()
    }
}
