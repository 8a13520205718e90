//! Requests that wait in a queue, one of each tenant in each class.

use super::{SERVICE, TENANTS, Work};
use crate::engine::Governor;
use governance::priority::{Dropped, Lane, Origin, QueueId, QueuedRequest, SLA, ServiceReport};
use governance::request::RequestPriority;
use governance::scope::{KeyHash, Name};
use governance::time::{Nanos, Now};

/// How many requests wait.
const WAITING: usize = TENANTS * RequestPriority::COUNT;
/// What each takes.
const COST_US: u32 = 1_000;
/// In how many seconds the earliest deadline is: longer than is measured.
const DEADLINE_MIN_SECONDS: u64 = 1_800;

/// A queue of which the next request is taken out, completed, and put in again.
pub(super) struct Waiting {
    queue: Option<QueueId>,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self { queue: None }
    }
}

impl Work for Waiting {
    fn keys(&self) -> usize {
        WAITING
    }

    fn prepare(&mut self, governor: &mut Governor, now: Now) -> Option<()> {
        let agreement = SLA {
            service_id: Name::new(SERVICE).ok()?,
            p95_latency_ms: 3_600_000,
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency: 0,
            queue_depth: u32::try_from(WAITING).ok()?,
        };
        let queue = governor.queues.define_sla(&agreement).ok()?;
        self.queue = Some(queue);
        (0..WAITING as u64).all(|flow| enqueue(governor, now, queue, flow, flow)).then_some(())
    }

    #[inline]
    fn once(&mut self, governor: &mut Governor, now: Now, key: usize) -> bool {
        let Some(queue) = self.queue else { return false };
        let Some(next) = governor.queues.dequeue_next(now.instant, queue, &mut assert_none_dropped) else {
            return false;
        };
        let report = ServiceReport { service_us: Some(u64::from(COST_US)), is_error: false };
        governor.queues.complete_request(now.instant, next.ticket, &report).is_ok()
            && enqueue(governor, now, queue, next.request_id, key as u64)
    }
}

/// Puts in a request of the flow, a tenant and a class, of that number, with a deadline so many seconds after the earliest.
/// Tells whether it waits.
#[inline]
fn enqueue(governor: &mut Governor, now: Now, queue: QueueId, flow: u64, later_seconds: u64) -> bool {
    let class = usize::try_from(flow).unwrap_or(0) % RequestPriority::COUNT;
    let tenant = flow / RequestPriority::COUNT as u64 + 1;
    let request = QueuedRequest {
        request_id: flow,
        priority: RequestPriority::ALL[class],
        arrival_time: now.instant,
        sla_deadline: Some(now.instant.after(Nanos::from_seconds(DEADLINE_MIN_SECONDS + later_seconds))),
        // As a hash is, spread over all bits.
        origin: Origin { tenant: KeyHash(tenant.wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..Origin::default() },
        cost_us: COST_US,
        lane: Lane::Shared,
    };
    governor.queues.enqueue_request(now.instant, queue, &request, &mut assert_none_dropped).is_ok()
}

/// There is room for all, and none is too late.
fn assert_none_dropped(dropped: Dropped) {
    panic!("a request was dropped: {}", dropped.reason);
}
