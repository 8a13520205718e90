//! What is asked of the scheduler, and what it answers.

use super::QueueId;
use super::error::NotAQueueTicket;
use crate::request::RequestPriority;
use crate::scope::{KeyHash, NameRef};
use crate::time::{Instant, Nanos};
use core::fmt;
use core::str::FromStr;

/// A request that is to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedRequest<'a> {
    /// What its owner knows it by; it comes back when the request is dispatched or dropped.
    pub request_id: u64,
    /// Its class.
    pub priority: RequestPriority,
    /// When it arrived; one of the future counts as the present.
    pub arrival_time: Instant,
    /// When it has to be answered; without one, the latency of the service's agreement after its arrival.
    pub sla_deadline: Option<Instant>,
    /// Who it is from.
    pub origin: Origin<'a>,
    /// How long it will be in service, in microseconds; 0 if nobody knows, which takes its class's estimate.
    pub cost_us: u32,
    /// Whether it waits in its class.
    pub lane: Lane,
}

/// Who a request is from: requests of one tenant and class are served in the order of their deadlines, and tenants of
/// one class share its service by their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The hash of the tenant; 0 if there is none.
    pub tenant: KeyHash,
    /// The tenant's weight, 1 to [`WEIGHT_MAX`](super::WEIGHT_MAX). That of its latest request counts.
    pub weight: u32,
    /// The tenant's name, for listings.
    pub name: Option<NameRef<'a>>,
}

impl Default for Origin<'_> {
    /// No tenant.
    fn default() -> Self {
        Self { tenant: KeyHash(0), weight: 1, name: None }
    }
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In its class, with its share of the service.
    #[default]
    Shared,
    /// Beside all classes: dispatched first, whatever is in service, and never shed. Places are kept for it, so that
    /// traffic cannot lock the operator out.
    Exempt,
}

/// Names a request that waits or is in service. It prints as `17-3`: the slot, and which request of that slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueTicket {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl QueueTicket {
    /// All-zero: no request's name.
    pub const NONE: Self = Self { slot: 0, generation: 0 };
}

impl fmt::Display for QueueTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.slot, self.generation)
    }
}

impl FromStr for QueueTicket {
    type Err = NotAQueueTicket;

    fn from_str(text: &str) -> Result<Self, NotAQueueTicket> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain).ok_or(NotAQueueTicket)
        };
        let (slot, generation) = text.split_once('-').ok_or(NotAQueueTicket)?;
        Ok(Self { slot: number(slot)?, generation: number(generation)? })
    }
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It can be in service at once: nobody waits, and not as many are in service as may be.
    Start,
    /// It can wait, perhaps in the place of another.
    Wait,
}

/// Why a request did not get its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// As many wait as may, and none of them should go instead of it.
    QueueFull,
    /// It made room for one of a higher class, of a tenant with less that waits, or with an earlier deadline.
    Shed,
    /// It could not have been answered by its deadline any more.
    Infeasible,
    /// An operator took it out.
    Preempted,
    /// Its owner gave it up.
    Cancelled,
    /// Its owner's time for it ran out.
    Expired,
    /// The queue was emptied.
    Drained,
    /// Its owner refused it.
    Rejected,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::Shed,
        Self::Infeasible,
        Self::Preempted,
        Self::Cancelled,
        Self::Expired,
        Self::Drained,
        Self::Rejected,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The word that stands in answers and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::Shed => "shed",
            Self::Infeasible => "infeasible",
            Self::Preempted => "preempted",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Drained => "drained",
            Self::Rejected => "rejected",
        }
    }

    /// The reason's place in [`RejectReason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A request that does not even wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// [`RejectReason::QueueFull`] or [`RejectReason::Infeasible`].
    pub reason: RejectReason,
    /// How long what goes before it will take, so that a later request has a better chance.
    pub retry: Nanos,
}

/// A request that waited and will not be served. It was counted under its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name, which is over now.
    pub ticket: QueueTicket,
    /// What its owner knows it by.
    pub request_id: u64,
    /// Where it waited.
    pub queue: QueueId,
    /// Its class.
    pub priority: RequestPriority,
    /// Why.
    pub reason: RejectReason,
}

/// A request whose turn it is: it is in service until it is completed or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Its name.
    pub ticket: QueueTicket,
    /// What its owner knows it by.
    pub request_id: u64,
    /// Its class.
    pub priority: RequestPriority,
    /// How long it waited, since its arrival.
    pub waited: Nanos,
    /// When it has to be answered.
    pub deadline: Instant,
    /// Where it waited.
    pub lane: Lane,
    /// What its class and its tenant were charged, in microseconds of service: what it declared, but no more than the
    /// latency of the agreement, or the estimate. 0 in the exempt lane.
    pub cost_us: u32,
}

/// How the service of a request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceReport {
    /// How long it took, in microseconds; without it, the time since its dispatch.
    pub service_us: Option<u64>,
    /// Whether it failed.
    pub is_error: bool,
}

/// A request that waits, as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingRequest {
    /// Its name.
    pub ticket: QueueTicket,
    /// What its owner knows it by.
    pub request_id: u64,
    /// Its class.
    pub priority: RequestPriority,
    /// Where it waits.
    pub lane: Lane,
    /// When it arrived.
    pub arrival_time: Instant,
    /// When it has to be answered.
    pub deadline: Instant,
    /// What it declared to take, in microseconds; 0 if it did not.
    pub cost_us: u32,
    /// The hash of its tenant; 0 if it has none.
    pub tenant: KeyHash,
    /// The tenant's name; empty if it is not known.
    pub tenant_name: crate::scope::Name,
}
