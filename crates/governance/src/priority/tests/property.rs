//! The scheduler and the model of it do the same, step by step.

use super::model::{Drops, Given, Model, Refused};
use super::support::{MS, Quiet, reasons, scheduler, sla};
use crate::priority::{
    Dropped, EnqueueError, Lane, Origin, Placement, PriorityScheduler, QueueId, QueueTicket,
    QueueTicketError, QueuedRequest, RejectReason, SLA, ServiceReport,
};
use crate::rate_limiter::Access;
use crate::request::RequestPriority;
use crate::scope::KeyHash;
use crate::time::{Instant, Nanos};
use proptest::prelude::{ProptestConfig, Strategy, prop, proptest};
use std::collections::BTreeMap;

/// Latency in milliseconds, concurrency and depth of each queue.
const QUEUES: [(u32, u32, u32); 2] = [(50, 2, 6), (20, 0, 40)];

/// One step: what is done, after how long, and numbers to choose by.
type Step = (u8, u64, [u64; 4]);

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let numbers = prop::array::uniform4(0..1_000_000_u64);
    prop::collection::vec((0..40_u8, 0..4000_u64, numbers), 0..count)
}

struct Both<const TENANTS: usize> {
    scheduler: Box<PriorityScheduler<TENANTS>>,
    queues: Vec<QueueId>,
    model: Model,
    tickets: BTreeMap<u64, QueueTicket>,
    now: u64,
    next_id: u64,
}

impl<const TENANTS: usize> Both<TENANTS> {
    fn new(first_tag: u128) -> Self {
        let mut scheduler = scheduler::<TENANTS>();
        let queues: Vec<_> = (QUEUES.iter().enumerate())
            .map(|(number, &(p95_latency_ms, concurrency, depth))| {
                let sla = SLA { p95_latency_ms, ..sla(&format!("service{number}"), concurrency, depth) };
                scheduler.define_sla(&sla).unwrap()
            })
            .collect();
        for queue in &mut scheduler.queues[..QUEUES.len()] {
            (queue.virtual_time, queue.highest) = (first_tag, first_tag);
            for class in &mut queue.classes {
                (class.tag, class.virtual_time, class.highest) = (first_tag, first_tag, first_tag);
            }
        }
        let shapes = QUEUES.map(|(latency, concurrency, depth)| {
            (u64::from(latency) * MS, usize::try_from(concurrency).unwrap(), usize::try_from(depth).unwrap())
        });
        let mut model = Model::new(4 * TENANTS, &shapes);
        model.start_tags(i128::try_from(first_tag).unwrap());
        Self { scheduler, queues, model, tickets: BTreeMap::new(), now: 0, next_id: 1 }
    }

    fn given(&mut self, [a, b, c, d]: [u64; 4], lane: Lane) -> Given {
        self.next_id += 1;
        let class = usize::try_from(a % 5).unwrap();
        let deadline = match b % 5 {
            0..=2 => None,
            3 => Some(self.now + c % 100_000_000),
            _ => Some((self.now + 90 * MS).saturating_sub(c % 100 * MS)),
        };
        let cost = if d % 2 == 0 { 0 } else { u32::try_from(200 + c % 9000).unwrap() };
        Given {
            id: self.next_id,
            class,
            tenant: d / 2 % 4,
            weight: [1, 1, 2, 7][usize::try_from(d / 8 % 4).unwrap()],
            arrival: (self.now + MS).saturating_sub(b / 5 % 4 * MS),
            deadline,
            cost,
            lane,
        }
    }

    fn request(given: &Given) -> QueuedRequest<'static> {
        QueuedRequest {
            request_id: given.id,
            priority: RequestPriority::ALL[given.class],
            arrival_time: Instant(given.arrival),
            sla_deadline: given.deadline.map(Instant),
            origin: Origin { tenant: KeyHash(given.tenant), weight: given.weight, name: None },
            cost_us: given.cost,
            lane: given.lane,
        }
    }

    fn same_refusal(found: EnqueueError, expected: Refused) {
        let found = match found {
            EnqueueError::DeadlinePassed => Refused::DeadlinePassed,
            EnqueueError::NoSlot => Refused::NoSlot,
            EnqueueError::Rejected(rejection) => {
                assert!(rejection.retry > Nanos::ZERO);
                Refused::Rejected(rejection.reason)
            }
            other => panic!("{other}"),
        };
        assert_eq!(found, expected);
    }

    /// What a closure of the scheduler's drops is what the model does.
    fn same_drops(&mut self, dropped: &[Dropped], expected: &Drops) {
        assert_eq!(reasons(dropped), *expected);
        for dropped in dropped {
            assert_eq!(self.tickets.get(&dropped.request_id), Some(&dropped.ticket));
        }
    }

    fn chosen(&self, number: u64, is: impl Fn(bool, Lane) -> bool) -> Option<u64> {
        let ids = self.model.live().into_iter().filter(|&(_, waits, lane)| is(waits, lane));
        let ids: Vec<_> = ids.map(|(id, ..)| id).collect();
        let place = usize::try_from(number).unwrap().checked_rem(ids.len())?;
        Some(ids[place])
    }

    fn enqueue(&mut self, queue: usize, given: &Given) {
        let (now, id, request) = (Instant(self.now), self.queues[queue], Self::request(given));
        let room = self.scheduler.room(now, id, &request, Access::Peek);
        match (room, self.model.room(self.now, queue, given)) {
            (Ok(placement), Ok(starts)) => assert_eq!(placement == Placement::Start, starts),
            (Err(found), Err(expected)) => Self::same_refusal(found, expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
        let mut dropped = Vec::new();
        let found = self.scheduler.enqueue_request(now, id, &request, &mut |one| dropped.push(one));
        match (found, self.model.enqueue(self.now, queue, given)) {
            (Ok(ticket), Ok(drops)) => {
                self.same_drops(&dropped, &drops);
                self.tickets.insert(given.id, ticket);
            }
            (Err(found), Err(expected)) => Self::same_refusal(found, expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    fn start(&mut self, queue: usize, given: &Given) {
        let (now, id, request) = (Instant(self.now), self.queues[queue], Self::request(given));
        let found = self.scheduler.start_request(now, id, &request);
        match (found, self.model.start(self.now, queue, given)) {
            (Ok(ticket), Ok(())) => {
                self.tickets.insert(given.id, ticket);
            }
            (Err(found), Err(expected)) => Self::same_refusal(found, expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    fn dequeue(&mut self, queue: usize) {
        let mut dropped = Vec::new();
        let (now, id) = (Instant(self.now), self.queues[queue]);
        let found = self.scheduler.dequeue_next(now, id, &mut |one| dropped.push(one));
        let (drops, expected) = self.model.dequeue(self.now, queue);
        self.same_drops(&dropped, &drops);
        assert_eq!(found.map(|found| (found.request_id, found.cost_us)), expected);
        if let Some(found) = found {
            assert_eq!(self.tickets[&found.request_id], found.ticket);
        }
    }

    fn end(&mut self, number: u64, service_us: Option<u64>) {
        let Some(id) = self.chosen(number, |waits, _| !waits) else { return };
        let (now, ticket) = (Instant(self.now), self.tickets[&id]);
        let in_service = Err(QueueTicketError::InService);
        assert_eq!(
            self.scheduler.reject_request(now, ticket, RejectReason::Rejected).map(|_| ()),
            in_service
        );
        match service_us {
            Some(_) => {
                let report = ServiceReport { service_us, is_error: false };
                self.scheduler.complete_request(now, ticket, &report).unwrap();
            }
            None => self.scheduler.cancel(now, ticket).unwrap(),
        }
        self.model.end(self.now, id, service_us);
        self.gone(ticket);
    }

    fn gone(&mut self, ticket: QueueTicket) {
        let now = Instant(self.now);
        assert_eq!(self.scheduler.cancel(now, ticket), Err(QueueTicketError::Unknown));
        let report = ServiceReport::default();
        assert_eq!(self.scheduler.complete_request(now, ticket, &report), Err(QueueTicketError::Unknown));
    }

    fn reject(&mut self, [a, b, ..]: [u64; 4]) {
        let Some(id) = self.chosen(a, |waits, _| waits) else { return };
        let (now, ticket) = (Instant(self.now), self.tickets[&id]);
        let waits = Err(QueueTicketError::Waiting);
        assert_eq!(self.scheduler.complete_request(now, ticket, &ServiceReport::default()), waits);
        let reason = match b % 4 {
            0 => {
                self.scheduler.cancel(now, ticket).unwrap();
                RejectReason::Cancelled
            }
            1 => self.scheduler.preempt_request(now, ticket).unwrap().reason,
            2 => self.scheduler.reject_request(now, ticket, RejectReason::Expired).unwrap().reason,
            _ => self.scheduler.reject_request(now, ticket, RejectReason::Rejected).unwrap().reason,
        };
        self.model.reject(self.now, id, reason);
        self.gone(ticket);
    }

    fn requeue(&mut self, [a, b, ..]: [u64; 4]) {
        let Some(id) = self.chosen(a, |waits, lane| waits && lane == Lane::Shared) else { return };
        let class = usize::try_from(b % 5).unwrap();
        let (now, ticket) = (Instant(self.now), self.tickets[&id]);
        self.scheduler.requeue_request(now, ticket, RequestPriority::ALL[class]).unwrap();
        self.model.requeue(self.now, id, class);
    }

    fn step(&mut self, (action, passed, numbers): Step) {
        self.now += [0, passed * 10, passed * 1000][usize::from(action) % 3];
        let [a, b, ..] = numbers;
        let queue = usize::try_from(b % 2).unwrap();
        match action {
            0..=13 => {
                let given = self.given(numbers, Lane::Shared);
                self.enqueue(queue, &given);
            }
            14..=15 => {
                let given = self.given(numbers, Lane::Shared);
                self.start(queue, &given);
            }
            16 => {
                let given = self.given(numbers, Lane::Exempt);
                if a % 2 == 0 { self.enqueue(queue, &given) } else { self.start(queue, &given) }
            }
            17..=24 => self.dequeue(queue),
            25..=30 => self.end(a, Some(b % 12_000)),
            31 => self.end(a, None),
            32..=33 => self.reject(numbers),
            34..=35 => self.requeue(numbers),
            36..=37 => {
                let mut dropped = Vec::new();
                self.scheduler.tick(Instant(self.now), &mut |one| dropped.push(one));
                let drops = self.model.tick(self.now);
                self.same_drops(&dropped, &drops);
            }
            38 if a % 4 == 1 => {
                let lane = if b % 8 == 0 { Lane::Exempt } else { Lane::Shared };
                let given = self.given(numbers, lane);
                let (now, id) = (Instant(self.now), self.queues[queue]);
                let found = self.scheduler.make_room(now, id, &Self::request(&given));
                let expected = self.model.make_room(self.now, queue, &given);
                self.same_drops(found.as_slice(), &expected.into_iter().collect());
            }
            38 if a % 4 == 0 => {
                let mut dropped = Vec::new();
                let id = self.queues[queue];
                let count = self.scheduler.drain(Instant(self.now), id, &mut |one| dropped.push(one));
                let drops = self.model.drain(self.now, queue);
                assert_eq!(count, drops.len());
                self.same_drops(&dropped, &drops);
            }
            _ => {
                let class = usize::try_from(a % 5).unwrap();
                let weight = [1, 2, 3, 5, 16, 1024][usize::try_from(b % 6).unwrap()];
                let now = Instant(self.now);
                self.scheduler.set_weight(now, RequestPriority::ALL[class], weight).unwrap();
                self.model.set_weight(class, weight);
            }
        }
    }

    fn compare(&self) {
        self.scheduler.check();
        assert_eq!(self.scheduler.latest.max(self.model.time()), self.scheduler.latest);
        let totals = self.scheduler.totals();
        assert_eq!((totals.flows, totals.flows_forgotten), (self.model.known_flows(), self.model.forgotten));
        assert_eq!(self.scheduler.next_due(), self.model.next_due().map(Instant));
        assert_eq!(self.scheduler.weights(), self.model.weights);
        let ready = self.model.ready().into_iter().map(|queue| self.queues[queue]);
        assert!(self.scheduler.ready().eq(ready));
        assert_eq!(self.scheduler.sla_notices().next(), self.model.notices);
        let (mut waiting, mut in_service) = (0, 0);
        for (number, &id) in self.queues.iter().enumerate() {
            let found = self.scheduler.get_queue_stats(Instant(self.now), id).unwrap();
            let queue = &self.model.queues[number];
            let (exempt_waiting, exempt_in_service) = self.model.exempt(number);
            assert_eq!(found.exempt.depth as usize, exempt_waiting);
            assert_eq!(found.exempt.in_service as usize, exempt_in_service);
            assert_eq!(
                (found.exempt.arrivals, found.exempt.served),
                (queue.exempt.arrivals, queue.exempt.served)
            );
            assert_eq!(found.exempt.rejected.counts, queue.exempt.rejected);
            let status = self.scheduler.sla_status(Instant(self.now), id).unwrap();
            let slow = queue.slow.iter().filter(|&&is_slow| is_slow).count();
            assert_eq!((status.count, status.slow), (queue.slow.len() as u64, slow as u64));
            assert_eq!(status.latency_breached, queue.is_breached);
            let bounds = self.scheduler.enforce_fairness(id);
            for (place, class) in found.classes.iter().enumerate() {
                let expected = &queue.classes[place];
                assert_eq!(class.depth as usize, self.model.waiting(number, place));
                assert_eq!(class.in_service as usize, self.model.in_service(number, place));
                let oldest = self.model.oldest(number, place).map(Instant);
                assert_eq!(class.oldest_age, oldest.map(|arrival| Instant(self.now).since(arrival)));
                assert_eq!((class.arrivals, class.served), (expected.arrivals, expected.served));
                assert_eq!((class.completed, class.estimate_us), (expected.completed, expected.estimate()));
                assert_eq!(class.rejected.counts, expected.rejected);
                assert_eq!(class.requeued_in, expected.requeued_in);
                assert_eq!(class.requeued_out, expected.requeued_out);
                assert_eq!(i128::from(class.served_cost_us), expected.served_cost);
                let sum: u64 = expected.waits.iter().sum();
                let average = sum.checked_div(expected.waits.len() as u64).map(Nanos);
                assert_eq!(class.wait_average, average);
                self.compare_p95(class.wait_p95, &expected.waits);
                let (promised, received) = self.model.share(number, place);
                assert!(i128::from(class.share.promised_permille).abs_diff(promised) <= 1);
                assert!(i128::from(class.share.received_permille).abs_diff(received) <= 1);
                assert_eq!(i128::from(bounds[place].worst_us), expected.worst);
                assert_eq!(i128::from(bounds[place].bound_us), self.model.bound(number, place));
                assert!(expected.worst <= self.model.bound(number, place));
            }
            assert_eq!(found.arrivals, found.served + u64::from(found.waiting) + found.rejected.total());
            waiting += found.waiting as usize;
            in_service += found.in_service as usize + exempt_in_service;
            assert_eq!(self.scheduler.waiting(id).count(), found.waiting as usize);
        }
        assert_eq!((totals.waiting, totals.in_service), (waiting, in_service));
    }

    /// Within the 64th of the bucket, and the microsecond of its unit.
    fn compare_p95(&self, found: Option<Nanos>, waits: &[u64]) {
        let mut waits = waits.to_vec();
        waits.sort_unstable();
        let expected = (waits.len() * 95).div_ceil(100).checked_sub(1).map(|place| waits[place]);
        assert_eq!(found.is_some(), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            assert!(found.0.abs_diff(expected) <= expected / 64 + 1000, "{found} instead of {expected}ns");
        }
    }

    fn run(first_tag: u128, steps: &[Step]) {
        let mut both = Self::new(first_tag);
        for &step in steps {
            both.step(step);
            both.compare();
        }
        // Whatever is left comes out in the same order.
        for queue in 0..QUEUES.len() {
            while both.model.live().iter().any(|&(.., waits, _)| waits) {
                let before = both.model.live().len();
                both.dequeue(queue);
                both.end(0, Some(700));
                if both.model.live().len() == before {
                    break;
                }
            }
        }
        both.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(250) })]

    #[test]
    fn a_scheduler_with_room_for_8_equals_the_model(steps in steps(250)) {
        Both::<2>::run(0, &steps);
    }

    #[test]
    fn a_scheduler_with_room_for_64_equals_the_model(steps in steps(250)) {
        Both::<16>::run(0, &steps);
    }

    #[test]
    fn tags_pass_every_power_of_two_that_a_word_could_end_at(bits in 60..65_u32, before in 0..1_u128 << 42, steps in steps(120)) {
        Both::<4>::run((1 << bits) - before, &steps);
    }
}
