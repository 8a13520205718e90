//! Weir's scheduler: classes and tenants have their shares, and all that it counts is counted.

use super::{CLASSES, DONE_WITHIN, Entry, Queue, TENANTS, WAITING};
use governance::priority::{
    Dispatch, Dropped, Lane, Origin, PriorityScheduler, QueueId, QueuedRequest, SLA, ServiceReport,
};
use governance::request::RequestPriority;
use governance::scope::{HashSecret, KeyHash, Name};
use governance::time::Instant;
use std::sync::{Mutex, MutexGuard};

/// Room for all that wait and for those that are in service.
type Scheduler = PriorityScheduler<512>;

/// A scheduler in static memory, where it has to be: it is too large for a stack.
static SCHEDULER: Mutex<Scheduler> = Mutex::new(PriorityScheduler::new());

/// The scheduler with one queue.
pub struct Weir {
    scheduler: MutexGuard<'static, Scheduler>,
    queue: QueueId,
    tenants: [KeyHash; TENANTS],
}

impl Weir {
    /// With nothing that waits. There is only one at a time.
    pub fn new() -> Self {
        let mut scheduler = SCHEDULER.lock().unwrap();
        scheduler.reset(HashSecret { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 });
        let agreement = SLA {
            service_id: Name::new("api").unwrap(),
            p95_latency_ms: u32::try_from(DONE_WITHIN / 1_000_000).unwrap(),
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency: 0,
            queue_depth: u32::try_from(WAITING).unwrap(),
        };
        let queue = scheduler.define_sla(&agreement).unwrap();
        let hash = |tenant: usize| KeyHash((tenant as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { scheduler, queue, tenants: std::array::from_fn(hash) }
    }
}

/// Nothing is too late and there is room for all.
fn refuse(dropped: Dropped) {
    panic!("a request was dropped: {dropped:?}");
}

impl Queue for Weir {
    type Taken = Dispatch;

    #[inline]
    fn enqueue(&mut self, now: u64, entry: Entry) {
        let Entry { tenant, class, deadline } = entry;
        let request = QueuedRequest {
            request_id: (tenant * CLASSES + class) as u64,
            priority: RequestPriority::ALL[class],
            arrival_time: Instant(now),
            sla_deadline: deadline.map(Instant),
            origin: Origin { tenant: self.tenants[tenant], ..Origin::default() },
            cost_us: deadline.map_or(0, cost_us),
            lane: Lane::Shared,
        };
        self.scheduler.enqueue_request(Instant(now), self.queue, &request, &mut refuse).unwrap();
    }

    #[inline]
    fn dequeue(&mut self, now: u64) -> Dispatch {
        self.scheduler.dequeue_next(Instant(now), self.queue, &mut refuse).expect("something waits")
    }

    fn flow(taken: Dispatch) -> (usize, usize) {
        let flow = taken.request_id as usize;
        (flow / CLASSES, flow % CLASSES)
    }

    #[inline]
    fn complete(&mut self, now: u64, taken: Dispatch) {
        let report = ServiceReport { service_us: Some(u64::from(cost_us(now / 1_000))), is_error: false };
        self.scheduler.complete_request(Instant(now), taken.ticket, &report).unwrap();
    }
}

/// What a request says that it takes, or really takes, in microseconds.
fn cost_us(random: u64) -> u32 {
    500 + (random.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as u32
}
