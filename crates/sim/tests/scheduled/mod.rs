//! The product's scheduler with one queue.

use governance::priority::{
    Dispatch, EnqueueError, Lane, Origin, PriorityScheduler, QueueId, QueueMetrics, QueueTicket,
    QueuedRequest, RejectReason, SLA, ServiceReport,
};
use governance::request::RequestPriority;
use governance::scope::{HashSecret, KeyHash, Name};
use governance::time::Instant;

/// Four requests for each: enough for a full queue and what is in service.
pub(crate) const TENANTS: usize = 1100;

pub(crate) type Scheduler = PriorityScheduler<TENANTS>;

/// A queue of the scheduler, and what it has dropped.
pub(crate) struct Queue<'a> {
    pub(crate) scheduler: &'a mut Scheduler,
    pub(crate) id: QueueId,
    /// The numbers of requests that were dropped after they had waited, and why.
    pub(crate) dropped: Vec<(u64, RejectReason)>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) class: usize,
    pub(crate) tenant: u64,
    pub(crate) weight: u32,
    pub(crate) cost_us: u32,
    pub(crate) deadline_ns: u64,
}

impl<'a> Queue<'a> {
    /// An empty queue of `depth` places and `concurrency` servers.
    pub(crate) fn new(scheduler: &'a mut Scheduler, depth: u32, concurrency: u32, weights: [u32; 5]) -> Self {
        scheduler.reset(HashSecret::from_seed(1));
        let sla = SLA {
            service_id: Name::new("server").expect("a name"),
            p95_latency_ms: 3_600_000,
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency,
            queue_depth: depth,
        };
        let id = scheduler.define_sla(&sla).expect("an agreement");
        for (class, weight) in RequestPriority::ALL.into_iter().zip(weights) {
            scheduler.set_weight(Instant(0), class, weight).expect("a weight");
        }
        Self { scheduler, id, dropped: Vec::new() }
    }

    pub(crate) fn enqueue(&mut self, now_ns: u64, asked: &Asked) -> Result<QueueTicket, EnqueueError> {
        let dropped = &mut self.dropped;
        let request = QueuedRequest {
            request_id: asked.number,
            priority: RequestPriority::ALL[asked.class],
            arrival_time: Instant(now_ns),
            sla_deadline: Some(Instant(asked.deadline_ns)),
            origin: Origin { tenant: KeyHash(asked.tenant + 1), weight: asked.weight, name: None },
            cost_us: asked.cost_us,
            lane: Lane::Shared,
        };
        self.scheduler.enqueue_request(Instant(now_ns), self.id, &request, &mut |one| {
            dropped.push((one.request_id, one.reason));
        })
    }

    pub(crate) fn next(&mut self, now_ns: u64) -> Option<Dispatch> {
        let dropped = &mut self.dropped;
        self.scheduler.dequeue_next(Instant(now_ns), self.id, &mut |one| {
            dropped.push((one.request_id, one.reason));
        })
    }

    pub(crate) fn complete(&mut self, now_ns: u64, ticket: QueueTicket, service_us: u64) {
        let report = ServiceReport { service_us: Some(service_us), is_error: false };
        self.scheduler.complete_request(Instant(now_ns), ticket, &report).expect("a request in service");
    }

    pub(crate) fn metrics(&self, now_ns: u64) -> QueueMetrics {
        self.scheduler.get_queue_stats(Instant(now_ns), self.id).expect("a queue")
    }
}
