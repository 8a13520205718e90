//! Priorities: which of the requests that wait for a service is next.
//!
//! [`PriorityScheduler`] gives each service with an [`SLA`] a queue of five classes. A request waits by
//! [`PriorityScheduler::enqueue_request`], has its turn by [`PriorityScheduler::dequeue_next`], and is in service until
//! [`PriorityScheduler::complete_request`]. What comes is in `arrive`, what is served in `serve`, what operators do in
//! `operate` and `configure`, what they see in `view`; the state of a queue and of its classes in `queue`.
//!
//! **Turns.** Classes share the service by their weights, tenants of a class share what the class receives by theirs,
//! and of a tenant's requests the one with the earliest deadline is first, of equal ones the one that came first. Both
//! levels are start-time fair queueing (Goyal, Vin, Cheng, "Start-time fair queueing"): what begins to wait takes the
//! start tag `max(its finish tag, virtual time)`; the lowest start tag has its turn, and of equal ones what was served
//! longest ago, of classes that were never served the most urgent; the virtual time is then its start tag, and its tag
//! goes up by the cost times the stride, which is 2^28 by the weight, rounded to nearest. Tags have 128 bits, so that
//! they never wrap: one of 64 bits could wrap past a flow that was idle for long, which would then wait for ever. Where
//! a queue, or a class, has nothing more that waits or is in service, all debts in it end.
//!
//! **Costs** are microseconds of service: what a request declares, up to the latency of its agreement, else an estimate
//! for its class that follows what service really takes. What it took instead is charged or refunded when it is completed
//! or given up; a refund to what still waits does not reach below the virtual time.
//!
//! **Deadlines.** A request that cannot be answered in time any more is refused, or dropped at its turn, on a tick, and
//! before others when room is needed. Where a queue, or the pool, is full, one goes for each that comes: what is too late
//! of the lowest class, else the one with the latest deadline of the lowest class. A newcomer of a lower class is turned
//! away instead. One of the same class is weighed against it: it is the one of both whose tenant has more waiting by its
//! weight that goes, the newcomer counted with its own, and of equal ones the later deadline, so that a tenant cannot
//! fill the queue by itself. Where the depth is lowered below what waits, nothing goes for that: each arrival takes the
//! place of one, until the queue has shrunk by service.
//!
//! Nothing is dropped without a word: each one is counted under its [`RejectReason`] and told to the caller. At any time
//! the arrivals of a queue are those that were served, that wait, and that were rejected. What there is no room or no
//! time for counts for the agreement as not answered in time.
//!
//! **The bound.** While the head of a class waits, each other class receives at most what the largest charge of the
//! first comes to at the ratio of their strides, rounded up, and one largest charge of its own; a charge is that of a
//! dispatch with the upward corrections until the next. Charges count since the queue was last at rest. The bound is of
//! requests that wait: in a full queue a higher class sheds a lower one, which then has no head that waits. See
//! [`PriorityScheduler::enforce_fairness`].
//!
//! **Costs of an operation.** Each takes O(log n) at worst, and O(log n) more for each request that it drops: what comes
//! in order lies in lists, the rest in leftist heaps beside them. A tick, [`PriorityScheduler::next_due`] and the views
//! look at all queues or all requests.

mod arrive;
mod class;
mod configure;
mod desk;
mod error;
mod exempt;
mod flows;
mod heap;
mod line;
mod metrics;
mod operate;
mod queue;
mod request;
mod serve;
mod sla;
mod slots;
#[cfg(test)]
mod tests;
mod view;
mod window;

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
pub use sla::{P95_LATENCY_MS_MAX, QUEUE_DEPTH_DEFAULT, QUEUE_DEPTH_MAX, SLA, SLA_FIELDS, SlaDraft};

use crate::chained_table::ChainedTable;
use crate::histogram::Histogram;
use crate::notice::Notices;
use crate::request::RequestPriority;
use crate::scope::HashSecret;
use crate::time::Instant;
use desk::{Desk, Shared};
use exempt::ExemptLane;
use flows::Flow;
use heap::{Link, index};
use queue::Queue;
use slots::{Slot, State};

/// How many services can have a queue.
pub const QUEUES_MAX: usize = 256;
/// How many requests the exempt lane holds.
pub const EXEMPT_SLOTS: usize = 16;
/// How many classes can have a histogram of their waits.
pub const HISTOGRAMS_MAX: usize = 64;
/// How many notices of agreements are kept.
pub const SLA_NOTICES_MAX: usize = 128;

/// A queue that is configured. Once it is gone, its handle finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueId {
    number: u16,
    generation: u32,
}

impl QueueId {
    /// All-zero: no queue's handle.
    pub const NONE: Self = Self { number: 0, generation: 0 };
}

/// Queues for services, with up to four requests that wait or are in service for each of `TENANTS`. All-zero when empty.
#[derive(Debug)]
pub struct PriorityScheduler<const TENANTS: usize> {
    secret: HashSecret,
    /// The latest time that was seen: the clock of a scheduler never goes back.
    latest: Instant,
    shared: Shared,
    slots: [[Slot; 4]; TENANTS],
    flows: [[Flow; 4]; TENANTS],
    /// The first flow of each chain; there are two chains for each flow.
    heads: [[[Link; 2]; 4]; TENANTS],
    /// The weights of the classes; 0 stands for the default.
    weights: [u32; RequestPriority::COUNT],
    exempt: ExemptLane,
    /// The queues' numbers by the hashes of their services.
    index: ChainedTable<u16, QUEUES_MAX>,
    queues: [Queue; QUEUES_MAX],
    histograms: [Histogram; HISTOGRAMS_MAX],
    notices: Notices<SlaNotice, SLA_NOTICES_MAX>,
    /// What was counted in queues that are gone.
    gone: SchedulerTotals,
}

impl<const TENANTS: usize> Default for PriorityScheduler<TENANTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// How many requests can wait or be in service at a time, without the exempt lane.
    pub const REQUESTS: usize = 4 * TENANTS;

    /// A scheduler without queues.
    #[must_use]
    pub const fn new() -> Self {
        assert!(TENANTS > 0 && Self::REQUESTS < Link::MAX as usize - EXEMPT_SLOTS, "links count from one");
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            latest: Instant(0),
            shared: Shared::EMPTY,
            slots: [[Slot::EMPTY; 4]; TENANTS],
            flows: [[Flow::EMPTY; 4]; TENANTS],
            heads: [[[0; 2]; 4]; TENANTS],
            weights: [0; RequestPriority::COUNT],
            exempt: ExemptLane::EMPTY,
            index: ChainedTable::new(0),
            queues: [Queue::EMPTY; QUEUES_MAX],
            histograms: [Histogram::EMPTY; HISTOGRAMS_MAX],
            notices: Notices::new(SlaNotice::EMPTY),
            gone: SchedulerTotals::ZERO,
        }
    }

    /// Forgets all queues, weights, requests and notices, in place, and takes a secret for hashing services. Handles and
    /// tickets of before find nothing afterwards.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
        self.latest = Instant(0);
        for slot in &mut self.slots.as_flattened_mut()[..self.shared.free.touched()] {
            slot.state = State::Free;
        }
        self.shared = Shared::EMPTY;
        self.heads.as_flattened_mut().as_flattened_mut().fill(0);
        self.weights = [0; RequestPriority::COUNT];
        self.exempt.clear();
        self.index.clear();
        self.queues.iter_mut().for_each(|queue| queue.is_live = false);
        self.notices.clear();
        self.gone = SchedulerTotals::ZERO;
    }

    /// Hashes services under another secret from now on. Those that have a queue would not be found again, so this is
    /// for a scheduler without queues.
    ///
    /// # Panics
    /// If there are queues already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.index.len() == 0, "the secret comes first");
        self.secret = secret;
    }

    /// The last notices of agreements that were broken or are kept again.
    #[must_use]
    pub const fn sla_notices(&self) -> &Notices<SlaNotice, SLA_NOTICES_MAX> {
        &self.notices
    }

    fn monotonic(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    #[inline]
    fn queue(&self, id: QueueId) -> Option<&Queue> {
        let queue = self.queues.get(usize::from(id.number))?;
        (queue.is_live && queue.generation == id.generation).then_some(queue)
    }

    #[inline]
    fn queue_mut(&mut self, id: QueueId) -> Option<&mut Queue> {
        let queue = self.queues.get_mut(usize::from(id.number))?;
        (queue.is_live && queue.generation == id.generation).then_some(queue)
    }

    /// The handle of a queue by its number, if there is one.
    fn id(&self, number: u16) -> Option<QueueId> {
        let queue = self.queues.get(usize::from(number)).filter(|queue| queue.is_live)?;
        Some(QueueId { number, generation: queue.generation })
    }

    /// A queue with the arenas.
    #[inline]
    fn desk(&mut self, id: QueueId) -> Option<Desk<'_>> {
        let queue = self.queues.get_mut(usize::from(id.number))?;
        if !queue.is_live || queue.generation != id.generation {
            return None;
        }
        Some(Desk {
            id,
            queue,
            slots: self.slots.as_flattened_mut(),
            flows: self.flows.as_flattened_mut(),
            heads: self.heads.as_flattened_mut().as_flattened_mut(),
            histograms: &mut self.histograms,
            shared: &mut self.shared,
            notices: &mut self.notices,
        })
    }

    /// The queue of a request that waits or is in service, with the arenas.
    fn desk_of(&mut self, item: Link) -> Option<Desk<'_>> {
        let flow = self.slots.as_flattened()[index(item)].flow;
        let id = self.id(self.flows.as_flattened()[index(flow)].key.queue)?;
        self.desk(id)
    }
}
