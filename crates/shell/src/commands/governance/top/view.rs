//! What `governance top` shows, gathered at one point of time.

use governance::decision::Reason;
use governance::money::{Currency, NanoUnits};
use governance::scope::Name;
use governance::text::Text;
use governance::time::{Nanos, WallTime};

/// How many seconds the sparkline has.
pub(super) const SPARK_SECONDS: usize = 60;
/// How many services and tenants are shown.
pub(super) const RANKED: usize = 5;
/// How many breakers, queues and alerts there is room for at most.
pub(super) const LISTED: usize = 4;

/// Everything on the screen.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The wall time.
    pub(super) wall: WallTime,
    /// How long the machine has been up; none of a replay, which runs on no machine.
    pub(super) up: Option<Nanos>,
    /// Requests whose outcome is awaited.
    pub(super) tickets: u64,
    pub(super) currency: Currency,
    pub(super) second: Flow,
    pub(super) minute: Flow,
    pub(super) since_start: Flow,
    /// Requests in each of the last seconds, the oldest first.
    pub(super) seconds: heapless::Vec<u64, SPARK_SECONDS>,
    pub(super) latency: Option<Latency>,
    /// Refusals by reason, the most frequent first.
    pub(super) denials: heapless::Vec<(Reason, u64), { Reason::ALL.len() }>,
    pub(super) services: Listed<Ranked, RANKED>,
    pub(super) tenants: Listed<Ranked, RANKED>,
    pub(super) breakers: Listed<Breaker, LISTED>,
    pub(super) queues: Listed<Queue, LISTED>,
    /// Requests that wait, in all queues.
    pub(super) waiting: u64,
    /// Alerts that fire, the pending ones after them.
    pub(super) alerts: Listed<Alert, LISTED>,
    pub(super) firing: u64,
    pub(super) pending: u64,
}

/// What went on in a length of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    pub(super) requests: u64,
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) delayed: u64,
    pub(super) errors: u64,
    pub(super) throttled: u64,
    pub(super) cost: NanoUnits,
}

/// Latencies, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    pub(super) p50: u64,
    pub(super) p95: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
    pub(super) samples: u64,
    /// Whether there are too few samples for the p99 to say much.
    pub(super) few: bool,
}

/// A service or a tenant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ranked {
    pub(super) name: Name,
    pub(super) requests: u64,
    pub(super) cost: Option<u64>,
    pub(super) violations: Option<u64>,
}

/// A breaker that is not closed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    pub(super) scope: Name,
    pub(super) state: &'static str,
    pub(super) left: Left,
}

/// How long a breaker stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Left {
    /// That depends on calls.
    #[default]
    Unknown,
    /// Until it is not held any more.
    ByHand,
    /// That long.
    For(Nanos),
}

/// A queue in which somebody waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    pub(super) service: Name,
    pub(super) waiting: u32,
    pub(super) oldest: Option<Nanos>,
}

/// An alert that fires or is pending.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alert {
    pub(super) name: Name,
    pub(super) fires: bool,
    pub(super) since: Nanos,
    /// What was measured, and what it is held against.
    pub(super) value: Text<64>,
    pub(super) bound: Text<96>,
}

/// The first few of a number of things.
#[derive(Debug)]
pub(super) struct Listed<T, const ROOM: usize> {
    pub(super) first: heapless::Vec<T, ROOM>,
    /// How many there are in all.
    pub(super) count: u64,
}

impl<T, const ROOM: usize> Default for Listed<T, ROOM> {
    fn default() -> Self {
        Self { first: heapless::Vec::new(), count: 0 }
    }
}

impl<T, const ROOM: usize> Listed<T, ROOM> {
    /// Counts one, and keeps it if there is room.
    pub(super) fn push(&mut self, item: T) {
        self.count += 1;
        // What there is no room for is counted.
        let _ = self.first.push(item);
    }
}
