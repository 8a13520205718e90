//! How queues stand: what an operator sees of them.

use super::request::RejectReason;
use crate::request::RequestPriority;
use crate::scope::Name;
use crate::time::{Instant, Nanos};

/// How many requests were rejected, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    pub(super) counts: [u64; RejectReason::COUNT],
}

impl Rejections {
    pub(super) const ZERO: Self = Self { counts: [0; RejectReason::COUNT] };

    /// How many for that reason.
    #[must_use]
    pub const fn of(&self, reason: RejectReason) -> u64 {
        self.counts[reason.index()]
    }

    /// How many for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        // As many requests as a word can count will not come.
        self.counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count))
    }

    pub(super) const fn count(&mut self, reason: RejectReason) {
        self.counts[reason.index()] += 1;
    }
}

/// What a class was promised and what it received of the service that was given while it competed: while it had
/// something waiting, and another class too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FairShare {
    /// The share that its weight gives it among the classes that it competed with, in parts of a thousand; 0 if it
    /// never competed.
    pub promised_permille: u32,
    /// The share that it received.
    pub received_permille: u32,
}

/// How much service other classes can receive, and have received, while the head of a class waits. Both count since the
/// queue was last at rest, with nothing that waits or is in service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StarvationBound {
    /// The most that it can be, in microseconds of service.
    pub bound_us: u64,
    /// The most that it has been.
    pub worst_us: u64,
}

/// A class of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassMetrics {
    /// The class.
    pub class: RequestPriority,
    /// Its weight.
    pub weight: u32,
    /// How many wait.
    pub depth: u32,
    /// How many are in service.
    pub in_service: u32,
    /// How long the oldest has been waiting; none if none waits.
    pub oldest_age: Option<Nanos>,
    /// Requests that came, also those that did not even wait.
    pub arrivals: u64,
    /// Those that were dispatched.
    pub served: u64,
    /// Those whose service is over.
    pub completed: u64,
    /// Those that were not served.
    pub rejected: Rejections,
    /// Waiting ones that came from another class.
    pub requeued_in: u64,
    /// Waiting ones that went to another class.
    pub requeued_out: u64,
    /// How long those waited on average that were dispatched; none if none was.
    pub wait_average: Option<Nanos>,
    /// How long 95 of 100 of them waited at most, within 1.6 percent; none if none was, or if more than
    /// [`HISTOGRAMS_MAX`](super::HISTOGRAMS_MAX) classes have dispatched.
    pub wait_p95: Option<Nanos>,
    /// The service that it received, in microseconds, with all corrections.
    pub served_cost_us: u64,
    /// How long a request is expected to be in service that says nothing, in microseconds.
    pub estimate_us: u64,
    /// Its share of the service.
    pub share: FairShare,
}

/// The exempt lane of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExemptMetrics {
    /// How many wait.
    pub depth: u32,
    /// How many are in service; they do not count against the concurrency.
    pub in_service: u32,
    /// Requests that came.
    pub arrivals: u64,
    /// Those that were dispatched.
    pub served: u64,
    /// Those that were not served.
    pub rejected: Rejections,
}

/// A queue. At any time, `arrivals = served + waiting + rejected.total()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueMetrics {
    /// The classes, most urgent first.
    pub classes: [ClassMetrics; RequestPriority::COUNT],
    /// The exempt lane.
    pub exempt: ExemptMetrics,
    /// How many wait, with the exempt lane.
    pub waiting: u32,
    /// How many are in service, without the exempt lane.
    pub in_service: u32,
    /// Requests that came.
    pub arrivals: u64,
    /// Those that were dispatched.
    pub served: u64,
    /// Those that were not served.
    pub rejected: Rejections,
    /// How often a waiting one was moved to another class.
    pub requeued: u64,
}

/// How full the scheduler is, over all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerTotals {
    /// Queues.
    pub queues: usize,
    /// How many there can be.
    pub queues_max: usize,
    /// Requests that wait, with the exempt lane.
    pub waiting: usize,
    /// Requests in service, with the exempt lane.
    pub in_service: usize,
    /// How many requests can wait or be in service, without the exempt lane.
    pub requests_max: usize,
    /// Requests in the exempt lane.
    pub exempt: usize,
    /// How many there can be.
    pub exempt_max: usize,
    /// Tenants in classes that are known.
    pub flows: usize,
    /// How many there can be.
    pub flows_max: usize,
    /// Idle ones that made room for others.
    pub flows_forgotten: u64,
    /// Classes with a histogram of their waits.
    pub histograms: usize,
    /// How many there can be.
    pub histograms_max: usize,
    /// Requests that came, over queues that are there and those that are gone.
    pub arrivals: u64,
    /// Those that were dispatched.
    pub served: u64,
    /// Those that were not served.
    pub rejected: Rejections,
}

impl SchedulerTotals {
    pub(super) const ZERO: Self = Self {
        queues: 0,
        queues_max: 0,
        waiting: 0,
        in_service: 0,
        requests_max: 0,
        exempt: 0,
        exempt_max: 0,
        flows: 0,
        flows_max: 0,
        flows_forgotten: 0,
        histograms: 0,
        histograms_max: 0,
        arrivals: 0,
        served: 0,
        rejected: Rejections::ZERO,
    };
}

/// What of an agreement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlaKind {
    /// How many are slower than its latency.
    Latency,
    /// How many fail.
    Errors,
}

impl SlaKind {
    /// The word that stands in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Errors => "errors",
        }
    }
}

/// In which direction an agreement's threshold was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// It is broken now.
    Breach,
    /// It is kept again.
    Recovery,
}

impl Crossing {
    /// The word that stands in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Recovery => "recovery",
        }
    }
}

/// An agreement was broken, or is kept again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlaNotice {
    /// When.
    pub at: Instant,
    /// The service.
    pub service: Name,
    /// What of its agreement.
    pub kind: SlaKind,
    /// In which direction.
    pub crossing: Crossing,
    /// The share that was measured, in parts of a million.
    pub measured_ppm: u32,
    /// The share that is allowed.
    pub threshold_ppm: u32,
}

impl SlaNotice {
    /// All-zero: what fills a place where no notice is.
    pub(super) const EMPTY: Self = Self {
        at: Instant(0),
        service: Name::EMPTY,
        kind: SlaKind::Latency,
        crossing: Crossing::Breach,
        measured_ppm: 0,
        threshold_ppm: 0,
    };
}

/// How an agreement stands over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlaStatus {
    /// Requests whose service ended, and those that were rejected as [`RejectReason::QueueFull`],
    /// [`RejectReason::Shed`] or [`RejectReason::Infeasible`]; without the exempt lane.
    pub count: u64,
    /// Those that were not answered in time: they took longer than the latency, with their wait, or were rejected.
    pub slow: u64,
    /// Those whose service failed.
    pub errors: u64,
    /// Whether its latency is broken.
    pub latency_breached: bool,
    /// Whether its error rate is broken.
    pub errors_breached: bool,
}
