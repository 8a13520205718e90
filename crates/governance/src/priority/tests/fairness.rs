//! What is promised of fairness, over long histories.

use super::support::{MS, Quiet, of_tenant, request, with};
use crate::priority::{PriorityScheduler, QueueId, QueuedRequest, StarvationBound};
use crate::request::RequestPriority::{self, Batch, Critical, Normal};

/// A sequence of numbers that looks random and is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn no_class_waits_longer_than_its_bound_whatever_service_takes() {
    for seed in 0..20 {
        let (mut scheduler, queue) = with::<16>(3, 60);
        let mut numbers = Numbers(seed);
        let mut running = Vec::new();
        for id in 0..3000 {
            let class = RequestPriority::ALL[usize::try_from(numbers.below(5)).unwrap()];
            let cost_us = u32::try_from(numbers.below(3) * 700).unwrap();
            let request = QueuedRequest { cost_us, ..of_tenant(id, class, numbers.below(3), 1) };
            // One of the lower classes may be shed.
            let _ = scheduler.enqueue_request(crate::time::Instant(0), queue, &request, &mut |_| ());
            if numbers.below(4) > 0
                && let Some(next) = scheduler.take(0, queue)
            {
                running.push(next.ticket);
            }
            if running.len() == 3 {
                let place = usize::try_from(numbers.below(3)).unwrap();
                scheduler.done(0, running.swap_remove(place), 1 + numbers.below(20) * numbers.below(900));
            }
            for bound in scheduler.enforce_fairness(queue) {
                assert!(bound.worst_us <= bound.bound_us, "seed {seed}, request {id}: {bound:?}");
            }
        }
        scheduler.check();
    }
}

#[test]
fn what_backlogged_classes_receive_differs_from_their_weights_by_no_more_than_a_charge_each() {
    let (mut scheduler, queue) = with::<64>(1, 256);
    let mut numbers = Numbers(7);
    let mut received = [0_u64; 2];
    let classes = [Critical, Batch];
    let cost = |numbers: &mut Numbers| u32::try_from(1 + numbers.below(5000)).unwrap();
    for id in 0..40 {
        let cost_us = cost(&mut numbers);
        scheduler.put(0, queue, &QueuedRequest { cost_us, ..request(id, classes[usize::from(id % 2 == 0)]) });
    }
    for _ in 0..5000 {
        let next = scheduler.take(0, queue).unwrap();
        let class = usize::from(next.priority == Batch);
        received[class] += u64::from(next.cost_us);
        scheduler.done(0, next.ticket, u64::from(next.cost_us));
        let cost_us = cost(&mut numbers);
        scheduler.put(0, queue, &QueuedRequest { cost_us, ..request(1, next.priority) });
        // Weights 16 and 1: a charge is at most 5000 us.
        let behind = received[0].abs_diff(16 * received[1]);
        assert!(behind <= 5000 + 16 * 5000, "{received:?}");
    }
}

#[test]
fn a_request_that_took_longer_than_it_said_is_paid_for_later() {
    let (mut scheduler, queue) = with::<16>(1, 64);
    (0..20).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    (20..40).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 2, 1)));
    let first = scheduler.take(0, queue).unwrap();
    assert_eq!(first.request_id, 0);
    scheduler.done(0, first.ticket, 5000);
    let mut order = Vec::new();
    for _ in 0..7 {
        let next = scheduler.take(0, queue).unwrap();
        order.push(if next.request_id < 20 { 1 } else { 2 });
        scheduler.done(0, next.ticket, 1000);
    }
    assert_eq!(order, [2, 2, 2, 2, 2, 1, 2]);
}

#[test]
fn a_refund_does_not_reach_back_before_the_present() {
    let (mut scheduler, queue) = with::<16>(2, 64);
    let long = QueuedRequest { cost_us: 50_000, ..of_tenant(0, Normal, 1, 1) };
    let ticket = scheduler.start_request(crate::time::Instant(0), queue, &long).unwrap();
    (1..30).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 2, 1)));
    (30..60).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    // The second tenant is served for 20 ms, while the first owes 50.
    for _ in 0..20 {
        let next = scheduler.take(0, queue).unwrap();
        assert!(next.request_id < 30);
        scheduler.done(0, next.ticket, 1000);
    }
    scheduler.done(MS, ticket, 1);
    let mut order = Vec::new();
    for _ in 0..6 {
        let next = scheduler.take(MS, queue).unwrap();
        order.push(u8::from(next.request_id < 30));
        scheduler.done(MS, next.ticket, 1000);
    }
    // In turn from now on, and not 20 of the first tenant's.
    assert_eq!(order.iter().sum::<u8>(), 3);
}

#[test]
fn debts_end_where_nothing_waits_or_is_in_service() {
    let (mut scheduler, queue) = with::<16>(1, 64);
    let ticket =
        scheduler.start_request(crate::time::Instant(0), queue, &of_tenant(0, Normal, 1, 1)).unwrap();
    scheduler.done(0, ticket, 1_000_000);
    (1..4).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    (10..13).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 2, 1)));
    let mut first = 0;
    for _ in 0..4 {
        let next = scheduler.take(0, queue).unwrap();
        first += u32::from(next.request_id < 10);
        scheduler.done(0, next.ticket, 1000);
    }
    assert_eq!(first, 2);
}

#[test]
fn a_tag_moves_by_the_largest_charge_and_the_longest_service() {
    let (mut scheduler, queue) = with::<16>(0, 64);
    scheduler.set_weight(crate::time::Instant(0), Batch, 1).unwrap();
    for id in 0..60 {
        let cost_us = if id % 2 == 0 { u32::MAX } else { 1 };
        let deadline = Some(crate::time::Instant(u64::MAX));
        let class = if id % 3 == 0 { Critical } else { Batch };
        scheduler.put(0, queue, &QueuedRequest { cost_us, sla_deadline: deadline, ..request(id, class) });
    }
    for _ in 0..60 {
        let next = scheduler.take(0, queue).unwrap();
        scheduler.done(0, next.ticket, if next.request_id % 2 == 0 { 0 } else { u64::MAX });
        scheduler.check();
    }
    assert_eq!(scheduler.totals().served, 60);
}

#[test]
fn what_was_given_up_in_service_is_charged_for_the_time_that_it_took() {
    let (mut scheduler, queue) = with::<16>(1, 64);
    let long = QueuedRequest { cost_us: 90_000, ..request(0, Critical) };
    let ticket = scheduler.start_request(crate::time::Instant(0), queue, &long).unwrap();
    (1..40).for_each(|id| scheduler.fill(queue, &request(id, Batch)));
    scheduler.cancel(crate::time::Instant(2 * MS), ticket).unwrap();
    let stats = scheduler.get_queue_stats(crate::time::Instant(2 * MS), queue).unwrap();
    assert_eq!((stats.classes[0].served_cost_us, stats.classes[0].estimate_us), (2000, 1000));
    assert_eq!(scheduler.sla_status(crate::time::Instant(2 * MS), queue).unwrap().count, 0);
    scheduler.put(2 * MS, queue, &request(40, Critical));
    let order = serve(&mut scheduler, queue, 2 * MS, 3);
    assert!(order.contains(&40), "{order:?}");
    scheduler.check();
}

/// Serves that many, a millisecond each, and tells which.
fn serve(scheduler: &mut PriorityScheduler<16>, queue: QueueId, now: u64, count: usize) -> Vec<u64> {
    let one = |_| {
        let next = scheduler.take(now, queue).unwrap();
        scheduler.done(now, next.ticket, 1000);
        next.request_id
    };
    (0..count).map(one).collect()
}

#[test]
fn a_tenant_whose_weight_changes_owes_the_same_amount_of_service() {
    let (mut scheduler, queue) = with::<16>(1, 64);
    for id in 0..20 {
        scheduler.fill(queue, &of_tenant(id, Normal, 1, 1));
        scheduler.fill(queue, &of_tenant(100 + id, Normal, 2, 1024));
    }
    // One of weight 1 owes as much as 1024 of the other.
    assert!(serve(&mut scheduler, queue, 0, 5).contains(&0));
    scheduler.fill(queue, &of_tenant(20, Normal, 1, 1024));
    let of_first = serve(&mut scheduler, queue, 0, 20).iter().filter(|&&id| id < 100).count();
    assert!((9..=11).contains(&of_first), "both weigh the same, and {of_first} of 20 are of the first");
    // While it is in service only: its debt is three milliseconds of the other's, and not a 1024th of that.
    let mut both = with::<16>(1, 64);
    let (scheduler, queue) = (&mut both.0, both.1);
    let three = QueuedRequest { cost_us: 3000, ..of_tenant(0, Normal, 1, 1024) };
    let running = scheduler.start_request(crate::time::Instant(0), queue, &three).unwrap();
    (1..8).for_each(|id| scheduler.fill(queue, &of_tenant(100 + id, Normal, 2, 1)));
    (1..8).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    scheduler.done(0, running, 3000);
    assert_eq!(serve(scheduler, queue, 0, 4), [101, 102, 103, 1]);
    scheduler.check();
}

#[test]
fn a_bound_is_not_spoilt_by_what_a_request_said_or_by_what_is_over() {
    // The agreement gives 100 ms, and nobody is held to more than that.
    let (mut scheduler, queue) = with::<16>(1, 64);
    let boastful = QueuedRequest { cost_us: 3_000_000, ..request(0, Normal) };
    let ticket = scheduler.start_request(crate::time::Instant(0), queue, &boastful).unwrap();
    scheduler.fill(queue, &request(1, Batch));
    scheduler.done(MS, ticket, 1000);
    let normal = |bounds: [StarvationBound; 5]| bounds[Normal.index()];
    serve(&mut scheduler, queue, MS, 1);
    assert_eq!(scheduler.enforce_fairness(queue), [StarvationBound::default(); 5], "all is at rest");
    let running = scheduler.start_request(crate::time::Instant(MS), queue, &boastful).unwrap();
    scheduler.put(MS, queue, &request(2, Batch));
    scheduler.put(MS, queue, &request(3, Normal));
    scheduler.done(MS, running, 1000);
    serve(&mut scheduler, queue, MS, 1);
    let bound = normal(scheduler.enforce_fairness(queue));
    assert_eq!(bound, StarvationBound { bound_us: 25_000 + 1000, worst_us: 1000 });
    assert_eq!(scheduler.get_queue_stats(crate::time::Instant(MS), queue).unwrap().waiting, 1);
    scheduler.check();
}

#[test]
fn a_tenant_that_floods_a_full_queue_takes_no_places_of_another() {
    for early in [false, true] {
        let (mut scheduler, queue) = with::<16>(1, 16);
        let (mut served, mut running) = ([0; 2], None);
        for ms in 0..2000 {
            let now = crate::time::Instant(ms * MS);
            if let Some(ticket) = running.take() {
                scheduler.done(now.0, ticket, 1000);
            }
            if let Some(next) = scheduler.dequeue_next(now, queue, &mut |_| ()) {
                running = Some(next.ticket);
                served[usize::try_from(next.request_id).unwrap()] += 1;
            }
            // Ten of the one and one of the other in a millisecond, in which one is served.
            for place in 0..11 {
                let floods = u64::from(place != 5);
                let wait = if early && floods == 1 { 50 * MS } else { 100 * MS };
                let deadline = Some(crate::time::Instant(now.0 + wait));
                let request = of_tenant(floods, Normal, 1 + floods, 1);
                let request = QueuedRequest { sla_deadline: deadline, arrival_time: now, ..request };
                let _ = scheduler.enqueue_request(now, queue, &request, &mut |_| ());
            }
        }
        assert!(served[0] > 900, "{served:?}, and each is owed half");
    }
}
