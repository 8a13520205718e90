//! Words for tests: a scheduler on the heap, agreements and requests in a line each.

use crate::priority::heap::{Arena, Link};
use crate::priority::line::Line;
use crate::priority::slots::{ByAge, ByExpiry, ByShedding, ByUrgency, State};
use crate::priority::{
    Dispatch, Dropped, Lane, Origin, PriorityScheduler, QueueId, QueueTicket, QueuedRequest, RejectReason,
    SLA, ServiceReport, flows::ByTag, line,
};
use crate::request::RequestPriority;
use crate::scope::{HashSecret, KeyHash, Name};
use crate::time::Instant;

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECRET: HashSecret = HashSecret { k0: 0x1234, k1: 0x5678 };

/// An empty scheduler.
pub(super) fn scheduler<const TENANTS: usize>() -> Box<PriorityScheduler<TENANTS>> {
    let mut scheduler = Box::new(PriorityScheduler::new());
    scheduler.reset(SECRET);
    scheduler
}

/// An agreement of 100 ms, with as many that may wait and be in service.
pub(super) fn sla(service: &str, concurrency: u32, queue_depth: u32) -> SLA {
    SLA {
        service_id: Name::new(service).unwrap(),
        p95_latency_ms: 100,
        error_rate_threshold_ppm: 10_000,
        priority_level: RequestPriority::Normal,
        concurrency,
        queue_depth,
    }
}

/// A scheduler with one queue.
pub(super) fn with<const TENANTS: usize>(
    concurrency: u32,
    queue_depth: u32,
) -> (Box<PriorityScheduler<TENANTS>>, QueueId) {
    let mut scheduler = scheduler();
    let queue = scheduler.define_sla(&sla("web", concurrency, queue_depth)).unwrap();
    (scheduler, queue)
}

/// A request of no tenant that has an hour and declares to take a millisecond.
pub(super) fn request(id: u64, priority: RequestPriority) -> QueuedRequest<'static> {
    QueuedRequest {
        request_id: id,
        priority,
        arrival_time: Instant(0),
        sla_deadline: Some(Instant(3_600_000 * MS)),
        origin: Origin::default(),
        cost_us: 1000,
        lane: Lane::Shared,
    }
}

/// The same of a tenant.
pub(super) fn of_tenant(
    id: u64,
    priority: RequestPriority,
    tenant: u64,
    weight: u32,
) -> QueuedRequest<'static> {
    let origin = Origin { tenant: KeyHash(tenant), weight, name: None };
    QueuedRequest { origin, ..request(id, priority) }
}

/// What the scheduler does, without a word for what is dropped: that is a failure.
pub(super) trait Quiet {
    fn put(&mut self, now: u64, queue: QueueId, request: &QueuedRequest<'_>) -> QueueTicket;
    fn fill(&mut self, queue: QueueId, request: &QueuedRequest<'_>);
    fn take(&mut self, now: u64, queue: QueueId) -> Option<Dispatch>;
    fn done(&mut self, now: u64, ticket: QueueTicket, service_us: u64);
    fn check(&self);
}

pub(super) fn nothing(dropped: Dropped) {
    panic!("nothing is dropped here: {dropped:?}");
}

impl<const TENANTS: usize> Quiet for PriorityScheduler<TENANTS> {
    fn put(&mut self, now: u64, queue: QueueId, request: &QueuedRequest<'_>) -> QueueTicket {
        self.enqueue_request(Instant(now), queue, request, &mut nothing).unwrap()
    }

    fn fill(&mut self, queue: QueueId, request: &QueuedRequest<'_>) {
        self.put(0, queue, request);
    }

    fn take(&mut self, now: u64, queue: QueueId) -> Option<Dispatch> {
        self.dequeue_next(Instant(now), queue, &mut nothing)
    }

    fn done(&mut self, now: u64, ticket: QueueTicket, service_us: u64) {
        let report = ServiceReport { service_us: Some(service_us), is_error: false };
        self.complete_request(Instant(now), ticket, &report).unwrap();
    }

    /// Checks every line and heap, and that they hold what waits, and nothing else.
    fn check(&self) {
        let slots = &mut self.slots.as_flattened().to_vec()[..];
        let mut flows = self.flows.as_flattened().to_vec();
        let used = slots.iter().filter(|slot| slot.state != State::Free).count();
        assert_eq!(used, self.shared.free.used as usize);
        for queue in self.queues.iter().filter(|queue| queue.is_live) {
            queue.assert_identity();
            let number = self.find(queue.sla.service_id.as_str()).unwrap().number;
            for (place, class) in queue.classes.iter().enumerate() {
                let depth = class.depth as usize;
                let lengths = [
                    check(&ByExpiry(&mut *slots), &class.declared)
                        + check(&ByExpiry(&mut *slots), &class.undeclared),
                    check(&ByShedding(&mut *slots), &class.shedding),
                    check(&ByAge(&mut *slots), &class.age),
                ];
                assert_eq!(lengths, [depth; 3]);
                assert_eq!(queue.backlogged & 1 << place != 0, depth > 0);
                let own: Vec<_> = (flows.iter().enumerate())
                    .filter(|(_, flow)| flow.key.queue == number && usize::from(flow.key.class) == place)
                    .map(|(index, flow)| (index, *flow))
                    .filter(|(_, flow)| !flow.is_idle())
                    .collect();
                let waiting = own.iter().filter(|(_, flow)| flow.waiting > 0).count();
                assert_eq!(check(&ByTag(&mut flows[..]), &class.flows), waiting);
                assert_eq!(own.iter().map(|(_, flow)| flow.waiting).sum::<u32>(), class.depth);
                assert_eq!(own.iter().map(|(_, flow)| flow.in_service).sum::<u32>(), class.in_service);
                for (_, flow) in &own {
                    let length = check(&ByUrgency(&mut *slots), &flow.urgent);
                    assert_eq!(length, flow.waiting as usize);
                }
                let weights = own.iter().filter(|(_, flow)| flow.waiting > 0);
                assert_eq!(weights.map(|(_, flow)| u64::from(flow.weight)).sum::<u64>(), class.flow_weight);
                assert_eq!(own.iter().map(|(_, flow)| flow.declared_us).sum::<u64>(), class.declared_us);
                assert_eq!(own.iter().map(|(_, flow)| flow.undeclared).sum::<u32>(), class.undeclared_count);
            }
            assert_eq!(queue.classes.iter().map(|class| class.depth).sum::<u32>(), queue.waiting);
            assert_eq!(queue.classes.iter().map(|class| class.in_service).sum::<u32>(), queue.in_service);
            for bound in self.enforce_fairness(self.find(queue.sla.service_id.as_str()).unwrap()) {
                assert!(bound.worst_us <= bound.bound_us, "{bound:?}");
            }
        }
    }
}

fn check(arena: &impl Arena, line: &Line) -> usize {
    let _: Link = line.first(arena);
    line::tests::check(arena, line)
}

/// Requests with that reason.
pub(super) fn reasons(dropped: &[Dropped]) -> Vec<(u64, RejectReason)> {
    dropped.iter().map(|dropped| (dropped.request_id, dropped.reason)).collect()
}
