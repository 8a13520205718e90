//! How queues stand: metrics, shares, and how long a request would wait.

use super::flows::{FlowKey, find};
use super::heap::index;
use super::metrics::{ClassMetrics, FairShare, QueueMetrics, SchedulerTotals, SlaStatus, StarvationBound};
use super::queue::{CLASSES, Class, Queue};
use super::slots::{ByAge, Slot};
use super::{EXEMPT_SLOTS, HISTOGRAMS_MAX, PriorityScheduler, QUEUES_MAX, QueueId};
use crate::request::RequestPriority;
use crate::scope::KeyHash;
use crate::time::{Instant, Nanos};

/// Sums of shares are kept in fractions of a microsecond, so that they come out as one division.
const FRACTION_BITS: u32 = 20;

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// How a queue stands.
    #[must_use]
    pub fn get_queue_stats(&self, now: Instant, queue: QueueId) -> Option<QueueMetrics> {
        let queue = self.queue(queue)?;
        let now = now.max(self.latest);
        Some(QueueMetrics {
            classes: RequestPriority::ALL.map(|class| self.class_metrics(now, queue, class)),
            exempt: queue.exempt,
            waiting: queue.waiting + queue.exempt.depth,
            in_service: queue.in_service,
            arrivals: queue.arrivals,
            served: queue.served,
            rejected: queue.rejected,
            requeued: queue.requeued,
        })
    }

    fn class_metrics(&self, now: Instant, queue: &Queue, priority: RequestPriority) -> ClassMetrics {
        let class = &queue.classes[priority.index()];
        let average = class.wait_total.checked_div(u128::from(class.served));
        let histogram =
            usize::from(class.histogram).checked_sub(1).and_then(|place| self.histograms.get(place));
        let micros = |us: u64| Nanos(us.saturating_mul(1000));
        ClassMetrics {
            class: priority,
            weight: self.weights()[priority.index()],
            depth: class.depth,
            in_service: class.in_service,
            oldest_age: oldest(class, self.slots.as_flattened()).map(|arrival| now.since(arrival)),
            arrivals: class.arrivals,
            served: class.served,
            completed: class.completed,
            rejected: class.rejected,
            requeued_in: class.requeued_in,
            requeued_out: class.requeued_out,
            wait_average: average.map(|average| Nanos(u64::try_from(average).unwrap_or(u64::MAX))),
            wait_p95: histogram.and_then(|histogram| histogram.percentile(950)).map(micros),
            served_cost_us: class.served_cost_us,
            estimate_us: class.estimate_us().into(),
            share: self.share(queue, priority),
        }
    }

    /// How full the scheduler is.
    #[must_use]
    pub fn totals(&self) -> SchedulerTotals {
        let mut totals = SchedulerTotals {
            queues_max: QUEUES_MAX,
            requests_max: Self::REQUESTS,
            exempt: self.exempt.used(),
            exempt_max: EXEMPT_SLOTS,
            flows: self.shared.flows.known as usize,
            flows_max: Self::REQUESTS,
            flows_forgotten: self.shared.flows.forgotten,
            histograms: self.shared.histograms.count_ones() as usize,
            histograms_max: HISTOGRAMS_MAX,
            ..self.gone
        };
        for queue in self.queues.iter().filter(|queue| queue.is_live) {
            totals.queues += 1;
            totals.waiting += queue.waiting as usize + queue.exempt.depth as usize;
            totals.in_service += queue.in_service as usize + queue.exempt.in_service as usize;
            totals.arrivals += queue.arrivals;
            totals.served += queue.served;
            for (sum, count) in totals.rejected.counts.iter_mut().zip(queue.rejected.counts) {
                *sum += count;
            }
        }
        totals
    }

    /// How long a request of that class and tenant would wait; zero if it would start at once.
    ///
    /// What waits of its own tenant is before it. While that is served, other tenants of its class and other classes
    /// are served too, as their weights have it; but no more than what waits. What is in service goes before all of it,
    /// and as many are served at a time as may be: `(in service + min(own / share, all)) / concurrency`. How much of
    /// what is in service is done already nobody knows.
    #[must_use]
    pub fn estimate_queue_time(&self, queue: QueueId, class: RequestPriority, tenant: KeyHash) -> Nanos {
        let Some(Queue { classes, waiting, concurrency, backlogged, in_service_us, .. }) = self.queue(queue)
        else {
            return Nanos::ZERO;
        };
        let is_free = self.queue(queue).is_some_and(Queue::has_free_service);
        if *waiting == 0 && is_free {
            return Nanos::ZERO;
        }
        let own_class = &classes[class.index()];
        let class_number = u8::try_from(class.index()).unwrap_or(u8::MAX);
        let key = FlowKey { tenant, queue: queue.number, class: class_number };
        let (all, heads) = (self.flows.as_flattened(), self.heads.as_flattened().as_flattened());
        let flow = find(all, heads, key).map(|item| &all[index(item)]);
        let own_us = flow.map_or(0, |flow| {
            flow.declared_us + u64::from(flow.undeclared) * u64::from(own_class.estimate_us())
        });
        let weight = flow.map_or(1, |flow| u64::from(flow.weight));
        let is_waiting = flow.is_some_and(|flow| flow.waiting > 0);
        let flows = own_class.flow_weight + if is_waiting { 0 } else { weight };
        let weights = self.weights();
        let class_weight = u128::from(weights[class.index()]);
        let competing = backlogged | 1 << class.index();
        let sum =
            (0..CLASSES).filter(|&other| competing & 1 << other != 0).map(|other| u128::from(weights[other]));
        let sum: u128 = sum.sum();
        let all_us: u128 = classes.iter().map(|class| u128::from(class.backlog_us())).sum();
        let shared = u128::from(own_us) * u128::from(flows) * sum;
        let ahead = shared.div_ceil((u128::from(weight) * class_weight).max(1)).min(all_us);
        let nanos = (u128::from(*in_service_us) + ahead) * 1000;
        let at_a_time = if *concurrency == 0 { u128::from(u32::MAX) } else { u128::from(*concurrency) };
        Nanos(u64::try_from(nanos / at_a_time).unwrap_or(u64::MAX))
    }

    /// What a class was promised, and what it received.
    #[must_use]
    pub fn get_fair_share(&self, queue: QueueId, class: RequestPriority) -> FairShare {
        self.queue(queue).map_or(FairShare::default(), |queue| self.share(queue, class))
    }

    fn share(&self, queue: &Queue, class: RequestPriority) -> FairShare {
        let weights = self.weights();
        let own = 1 << class.index();
        let (mut served, mut promised) = (0_u128, 0_u128);
        for (set, &cost) in queue.by_set.iter().enumerate().filter(|(set, _)| set & own != 0) {
            let members = (0..CLASSES).filter(|&member| set & 1 << member != 0);
            let sum: u128 = members.map(|member| u128::from(weights[member])).sum();
            served += u128::from(cost);
            promised += (u128::from(cost) << FRACTION_BITS) * u128::from(weights[class.index()]) / sum.max(1);
        }
        let received = u128::from(queue.classes[class.index()].competed_us) << FRACTION_BITS;
        let permille = |part: u128| {
            let share = (part * 1000).checked_div(served).unwrap_or(0) >> FRACTION_BITS;
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        FairShare { promised_permille: permille(promised), received_permille: permille(received) }
    }

    /// How much service other classes can receive while the head of each class waits, and the most that they have. This
    /// is of requests that wait: in a full queue a higher class sheds what waits of a lower one, however long that has
    /// waited.
    #[must_use]
    pub fn enforce_fairness(&self, queue: QueueId) -> [StarvationBound; RequestPriority::COUNT] {
        let none = [StarvationBound::default(); CLASSES];
        self.queue(queue).map_or(none, |queue| core::array::from_fn(|class| queue.starvation(class)))
    }

    /// How the agreement of a queue stands over the last minute.
    #[must_use]
    pub fn sla_status(&self, now: Instant, queue: QueueId) -> Option<SlaStatus> {
        self.queue(queue).map(|queue| queue.window.status(now.max(self.latest)))
    }
}

/// When the oldest request arrived that waits in a class.
fn oldest(class: &Class, slots: &[Slot]) -> Option<Instant> {
    let oldest = class.age.first(&ByAge(slots));
    (oldest != 0).then(|| Instant(slots[index(oldest)].arrival))
}
