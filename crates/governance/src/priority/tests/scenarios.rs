//! Each behaviour of the scheduler by itself.

use super::support::{MS, Quiet, nothing, of_tenant, reasons, request, scheduler, sla, with};
use crate::priority::{
    DEFAULT_WEIGHTS, EXEMPT_SLOTS, EnqueueError, Lane, Placement, PriorityError, QUEUES_MAX, QueueId,
    QueueTicket, QueueTicketError, QueuedRequest, RejectReason, Rejection, SLA, ServiceReport,
};
use crate::rate_limiter::Access;
use crate::request::RequestPriority::{Batch, Critical, High, Low, Normal};
use crate::scope::{HashSecret, Name};
use crate::time::{Instant, Nanos};

#[test]
fn classes_share_by_weight_and_none_starves() {
    let (mut scheduler, queue) = with::<64>(1, 200);
    for id in 0..31 * 5 {
        let class = [Critical, High, Normal, Low, Batch][usize::try_from(id % 5).unwrap()];
        scheduler.put(0, queue, &request(id, class));
    }
    let mut served = [0; 5];
    for _ in 0..31 {
        let next = scheduler.take(0, queue).unwrap();
        served[next.priority.index()] += 1;
        scheduler.done(0, next.ticket, 1000);
    }
    assert_eq!(served, [16, 8, 4, 2, 1]);
    scheduler.check();
    for bound in scheduler.enforce_fairness(queue) {
        assert!(0 < bound.worst_us && bound.worst_us <= bound.bound_us);
    }
    let share = scheduler.get_fair_share(queue, Critical);
    assert_eq!((share.promised_permille, share.received_permille), (516, 516));
}

#[test]
fn tenants_of_a_class_share_by_weight_and_one_that_floods_gains_nothing() {
    let (mut scheduler, queue) = with::<64>(1, 256);
    (0..100).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    (100..120).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 2, 1)));
    (200..220).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 3, 2)));
    let mut served = [0; 3];
    for _ in 0..40 {
        let next = scheduler.take(0, queue).unwrap();
        served[usize::try_from(next.request_id / 100).unwrap()] += 1;
        scheduler.done(0, next.ticket, 1000);
    }
    // The second tenant's requests are 100 to 119: as the first's, with the same weight.
    assert_eq!(served, [10, 10, 20]);
}

#[test]
fn a_tenant_that_was_idle_has_saved_nothing() {
    let (mut scheduler, queue) = with::<64>(1, 256);
    (0..50).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 1, 1)));
    for _ in 0..30 {
        let next = scheduler.take(0, queue).unwrap();
        scheduler.done(0, next.ticket, 1000);
    }
    (100..120).for_each(|id| scheduler.fill(queue, &of_tenant(id, Normal, 2, 1)));
    let order: Vec<_> = (0..6)
        .map(|_| {
            let next = scheduler.take(0, queue).unwrap();
            scheduler.done(0, next.ticket, 1000);
            next.request_id >= 100
        })
        .collect();
    assert_eq!(order, [true, false, true, false, true, false]);
}

#[test]
fn the_earliest_deadline_of_a_tenant_is_first_and_equal_ones_in_turn() {
    let (mut scheduler, queue) = with::<4>(0, 16);
    for (id, deadline) in [(1, 300), (2, 100), (3, 200), (4, 100)] {
        let request = QueuedRequest { sla_deadline: Some(Instant(deadline * MS)), ..request(id, Low) };
        scheduler.put(0, queue, &request);
    }
    let order: Vec<_> = (0..4).map(|_| scheduler.take(0, queue).unwrap().request_id).collect();
    assert_eq!((order, scheduler.take(0, queue)), (vec![2, 4, 3, 1], None));
}

#[test]
fn what_cannot_be_answered_in_time_is_dropped_at_its_turn_on_a_tick_and_refused_at_once() {
    let (mut scheduler, queue) = with::<4>(0, 16);
    let by = |id, deadline| QueuedRequest { sla_deadline: Some(Instant(deadline)), ..request(id, High) };
    let due = |id, now, deadline| (by(id, deadline), Instant(now));
    let (late, now) = due(1, 10 * MS, 10 * MS - 1);
    assert_eq!(scheduler.enqueue_request(now, queue, &late, &mut nothing), Err(EnqueueError::DeadlinePassed));
    assert_eq!(scheduler.totals().arrivals, 0);
    let (late, now) = due(2, 10 * MS, 11 * MS - 1);
    let refused = scheduler.enqueue_request(now, queue, &late, &mut nothing);
    let retry = Nanos(MS);
    assert_eq!(refused, Err(EnqueueError::Rejected(Rejection { reason: RejectReason::Infeasible, retry })));
    assert_eq!(scheduler.totals().arrivals, 1);

    scheduler.put(10 * MS, queue, &by(3, 11 * MS));
    scheduler.put(10 * MS, queue, &by(4, 12 * MS));
    scheduler.put(10 * MS, queue, &by(5, 20 * MS));
    assert_eq!(scheduler.next_due(), Some(Instant(10 * MS + 1)));
    let mut dropped = Vec::new();
    scheduler.tick(Instant(10 * MS + 1), &mut |one| dropped.push(one));
    assert_eq!(reasons(&dropped), [(3, RejectReason::Infeasible)]);
    let next = scheduler.dequeue_next(Instant(12 * MS), queue, &mut |one| dropped.push(one)).unwrap();
    assert_eq!((next.request_id, next.waited), (5, Nanos(12 * MS)));
    assert_eq!(reasons(&dropped)[1..], [(4, RejectReason::Infeasible)]);
    assert_eq!(scheduler.next_due(), None);
}

#[test]
fn an_agreement_gives_a_deadline_to_those_that_have_none() {
    let (mut scheduler, queue) = with::<4>(0, 16);
    let open =
        QueuedRequest { sla_deadline: None, arrival_time: Instant(5 * MS), cost_us: 0, ..request(1, Normal) };
    scheduler.put(7 * MS, queue, &open);
    // 100 ms after its arrival, less the estimate of a millisecond.
    assert_eq!(scheduler.next_due(), Some(Instant(104 * MS + 1)));
    let next = scheduler.take(7 * MS, queue).unwrap();
    assert_eq!((next.deadline, next.waited, next.cost_us), (Instant(105 * MS), Nanos(2 * MS), 1000));
}

#[test]
fn a_full_queue_sheds_the_latest_deadline_of_the_lowest_class_and_the_newcomer_may_be_it() {
    let (mut scheduler, queue) = with::<4>(1, 3);
    let by = |id, class, deadline| QueuedRequest {
        sla_deadline: Some(Instant(deadline * MS)),
        ..request(id, class)
    };
    scheduler.put(0, queue, &by(1, Low, 50));
    scheduler.put(0, queue, &by(2, Low, 70));
    scheduler.put(0, queue, &by(3, High, 90));
    let mut put = |request: QueuedRequest<'_>| {
        let mut dropped = Vec::new();
        let found = scheduler.enqueue_request(Instant(0), queue, &request, &mut |one| dropped.push(one));
        assert!(dropped.iter().all(|one| one.queue == queue));
        (found.is_ok(), reasons(&dropped))
    };
    assert_eq!(put(by(4, Batch, 20)), (false, vec![]), "its class is lower than all others");
    assert_eq!(put(by(5, Low, 70)), (false, vec![]), "it has no earlier deadline");
    assert_eq!(put(by(6, Low, 69)), (true, vec![(2, RejectReason::Shed)]));
    assert_eq!(put(by(7, Critical, 900)), (true, vec![(6, RejectReason::Shed)]));
    assert_eq!(put(by(8, Critical, 900)), (true, vec![(1, RejectReason::Shed)]));
    assert_eq!(put(by(9, Critical, 900)), (true, vec![(3, RejectReason::Shed)]));
    assert_eq!(put(by(10, Critical, 900)), (false, vec![]));
    let stats = scheduler.get_queue_stats(Instant(0), queue).unwrap();
    assert_eq!((stats.arrivals, stats.waiting, stats.rejected.total()), (10, 3, 7));
    assert_eq!(stats.rejected.of(RejectReason::QueueFull), 3);
    scheduler.check();
}

#[test]
fn of_two_tenants_of_a_class_the_one_with_more_waiting_by_its_weight_makes_room() {
    let (mut scheduler, queue) = with::<4>(1, 4);
    let by = |id, tenant, weight, deadline| QueuedRequest {
        sla_deadline: Some(Instant(deadline * MS)),
        ..of_tenant(id, Normal, tenant, weight)
    };
    (1..=3).for_each(|id| scheduler.fill(queue, &by(id, 1, 1, 50)));
    scheduler.fill(queue, &by(4, 2, 1, 100));
    let mut put = |request: QueuedRequest<'_>| {
        let mut dropped = Vec::new();
        let found = scheduler.enqueue_request(Instant(0), queue, &request, &mut |one| dropped.push(one));
        (found.is_ok(), reasons(&dropped))
    };
    assert_eq!(put(by(5, 1, 1, 20)), (false, vec![]), "an earlier deadline is no way round");
    assert_eq!(put(by(6, 3, 1, 99)), (true, vec![(4, RejectReason::Shed)]), "one each: the later deadline");
    assert_eq!(put(by(7, 2, 1, 100)), (false, vec![]), "one each again");
    assert_eq!(put(by(8, 3, 1, 99)), (false, vec![]), "of its own it is the later");
    assert_eq!(put(by(9, 3, 1, 98)), (true, vec![(6, RejectReason::Shed)]));
    assert_eq!(put(by(10, 1, 8, 98)), (true, vec![(9, RejectReason::Shed)]), "four of weight 8");
    assert_eq!(put(by(11, 2, 1, 900)), (false, vec![]), "one of weight 1 against four of weight 8");
    assert_eq!(put(by(12, 2, 3, 900)), (true, vec![(10, RejectReason::Shed)]), "but not one of weight 3");
    scheduler.check();
}

#[test]
fn a_caller_whose_own_places_are_full_has_the_same_one_dropped() {
    let (mut scheduler, queue) = with::<4>(1, 8);
    let by = |id, class, deadline| QueuedRequest {
        sla_deadline: Some(Instant(deadline * MS)),
        ..request(id, class)
    };
    assert_eq!(scheduler.make_room(Instant(0), queue, &by(0, Critical, 9)), None, "nothing waits");
    scheduler.put(0, queue, &by(1, Normal, 5));
    scheduler.put(0, queue, &by(2, Batch, 100));
    scheduler.put(0, queue, &by(3, Batch, 200));
    let mut make = |now: u64, request: QueuedRequest<'_>| {
        let dropped = scheduler.make_room(Instant(now * MS), queue, &request);
        dropped.map(|dropped| (dropped.request_id, dropped.reason))
    };
    assert_eq!(make(0, by(4, Batch, 200)), None, "it would have to go itself");
    assert_eq!(make(0, QueuedRequest { lane: Lane::Exempt, ..by(4, Critical, 9) }), None);
    assert_eq!(make(0, by(4, Low, 900)), Some((3, RejectReason::Shed)));
    assert_eq!(make(5, by(4, Critical, 5)), None, "it comes too late");
    assert_eq!(make(5, by(4, Batch, 900)), Some((1, RejectReason::Infeasible)));
    let stats = scheduler.get_queue_stats(Instant(5 * MS), queue).unwrap();
    assert_eq!((stats.arrivals, stats.waiting, stats.rejected.total()), (3, 1, 2));
    scheduler.check();
}

#[test]
fn a_queue_is_ready_where_something_waits_that_can_be_in_service() {
    let mut scheduler = scheduler::<4>();
    let queues = ["a", "b", "c"].map(|name| scheduler.define_sla(&sla(name, 1, 8)).unwrap());
    let ready = |scheduler: &crate::priority::PriorityScheduler<4>| scheduler.ready().collect::<Vec<_>>();
    scheduler.fill(queues[1], &request(1, Low));
    scheduler.fill(queues[1], &request(2, Low));
    scheduler.fill(queues[2], &QueuedRequest { lane: Lane::Exempt, ..request(3, Low) });
    assert_eq!(ready(&scheduler), queues[1..]);
    let running = scheduler.take(0, queues[1]).unwrap();
    assert_eq!(ready(&scheduler), queues[2..]);
    scheduler.cancel(Instant(0), running.ticket).unwrap();
    scheduler.take(0, queues[2]).unwrap();
    assert_eq!(ready(&scheduler), [queues[1]]);
}

#[test]
fn where_fewer_may_wait_than_do_each_that_comes_takes_the_place_of_one() {
    let (mut scheduler, queue) = with::<4>(1, 10);
    (0..6).for_each(|id| scheduler.fill(queue, &request(id, Batch)));
    scheduler.update_sla(Instant(0), queue, &sla("web", 1, 2)).unwrap();
    let mut dropped = Vec::new();
    scheduler.enqueue_request(Instant(0), queue, &request(6, High), &mut |one| dropped.push(one)).unwrap();
    assert_eq!(reasons(&dropped), [(5, RejectReason::Shed)]);
    assert_eq!(scheduler.get_queue_stats(Instant(0), queue).unwrap().waiting, 6);
}

#[test]
fn what_is_too_late_makes_room_first() {
    let (mut scheduler, queue) = with::<4>(1, 2);
    let by = |id, class, deadline| QueuedRequest {
        sla_deadline: Some(Instant(deadline * MS)),
        ..request(id, class)
    };
    scheduler.put(0, queue, &by(1, Critical, 5));
    scheduler.put(0, queue, &by(2, Batch, 100));
    let mut dropped = Vec::new();
    let newcomer = by(3, Batch, 200);
    assert_eq!(scheduler.room(Instant(5 * MS), queue, &newcomer, Access::Peek), Ok(Placement::Wait));
    scheduler.enqueue_request(Instant(5 * MS), queue, &newcomer, &mut |one| dropped.push(one)).unwrap();
    assert_eq!(reasons(&dropped), [(1, RejectReason::Infeasible)]);
}

#[test]
fn a_pool_takes_as_many_as_it_has_places_for_and_the_exempt_lane_has_its_own() {
    let (mut scheduler, queue) = with::<2>(0, 100);
    let tickets: Vec<_> = (0..8)
        .map(|id| {
            scheduler.put(0, queue, &request(id, Critical));
            scheduler.take(0, queue).unwrap().ticket
        })
        .collect();
    assert_eq!(scheduler.totals().in_service, 8);
    let full = |found: Result<_, EnqueueError>| {
        matches!(found, Err(EnqueueError::Rejected(Rejection { reason: RejectReason::QueueFull, .. })))
    };
    assert!(full(scheduler.enqueue_request(Instant(0), queue, &request(8, Critical), &mut nothing)));
    let exempt = |id| QueuedRequest { lane: Lane::Exempt, ..request(id, Batch) };
    let operators: Vec<_> = (0..EXEMPT_SLOTS as u64)
        .map(|id| {
            assert_eq!(
                scheduler.room(Instant(0), queue, &exempt(id), Access::Charge),
                Ok(if id == 0 { Placement::Start } else { Placement::Wait })
            );
            scheduler.put(0, queue, &exempt(100 + id))
        })
        .collect();
    assert!(full(scheduler.enqueue_request(Instant(0), queue, &exempt(1), &mut nothing)));
    for ticket in &operators {
        let next = scheduler.take(9 * MS, queue).unwrap();
        assert_eq!((next.ticket, next.lane, next.cost_us), (*ticket, Lane::Exempt, 0));
    }
    assert_eq!(scheduler.take(9 * MS, queue), None);
    let class = scheduler.requeue_request(Instant(0), operators[0], High);
    assert_eq!(class, Err(QueueTicketError::Exempt));
    scheduler.done(9 * MS, operators[0], 5);
    scheduler.cancel(Instant(0), operators[1]).unwrap();
    let again = scheduler.complete_request(Instant(0), operators[1], &ServiceReport::default());
    assert_eq!((again, scheduler.totals().exempt), (Err(QueueTicketError::Unknown), EXEMPT_SLOTS - 2));
    scheduler.done(9 * MS, tickets[3], 5);
    scheduler.put(9 * MS, queue, &request(9, Batch));
    scheduler.check();
}

#[test]
fn the_exempt_lane_goes_first_and_does_not_count_as_in_service() {
    let (mut scheduler, queue) = with::<2>(1, 4);
    scheduler.put(0, queue, &request(1, Critical));
    scheduler.put(0, queue, &request(2, Critical));
    scheduler.put(0, queue, &QueuedRequest { lane: Lane::Exempt, ..request(3, Batch) });
    assert_eq!(scheduler.take(0, queue).unwrap().request_id, 3);
    assert_eq!(scheduler.take(0, queue).unwrap().request_id, 1);
    assert_eq!(scheduler.take(0, queue), None);
    scheduler.put(0, queue, &QueuedRequest { lane: Lane::Exempt, ..request(4, Batch) });
    assert_eq!(scheduler.take(0, queue).unwrap().request_id, 4);
    assert_eq!(scheduler.waiting(queue).map(|one| one.request_id).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_free_slot_is_given_at_once_and_charged_as_a_turn() {
    let (mut scheduler, queue) = with::<4>(2, 4);
    let cost = |id, cost_us| QueuedRequest { cost_us, ..request(id, Normal) };
    assert_eq!(scheduler.room(Instant(0), queue, &cost(1, 9), Access::Charge), Ok(Placement::Start));
    let first = scheduler.start_request(Instant(0), queue, &cost(1, 9_000)).unwrap();
    scheduler.start_request(Instant(0), queue, &request(2, High)).unwrap();
    assert_eq!(scheduler.start_request(Instant(0), queue, &cost(3, 9)), Err(EnqueueError::NoSlot));
    assert_eq!(scheduler.room(Instant(0), queue, &cost(3, 9), Access::Charge), Ok(Placement::Wait));
    let stats = scheduler.get_queue_stats(Instant(0), queue).unwrap();
    assert_eq!((stats.arrivals, stats.served, stats.in_service), (2, 2, 2));
    assert_eq!(stats.classes[2].served_cost_us, 9_000);
    assert_eq!(stats.classes[2].wait_average, Some(Nanos::ZERO));
    scheduler.done(MS, first, 1_000);
    assert_eq!(scheduler.get_queue_stats(Instant(0), queue).unwrap().classes[2].served_cost_us, 1_000);
}

#[test]
fn an_estimate_follows_what_service_takes() {
    let (mut scheduler, queue) = with::<4>(0, 4);
    let unknown = |id| QueuedRequest { cost_us: 0, ..request(id, Normal) };
    for id in 0..200 {
        let ticket = scheduler.start_request(Instant(0), queue, &unknown(id)).unwrap();
        scheduler.done(0, ticket, 8_000);
    }
    let estimate = scheduler.get_queue_stats(Instant(0), queue).unwrap().classes[2].estimate_us;
    assert_eq!(estimate, 8_000);
    let ticket = scheduler.start_request(Instant(0), queue, &unknown(1)).unwrap();
    scheduler.cancel(Instant(0), ticket).unwrap();
    // Without a report's time, it is the time since the dispatch.
    let ticket = scheduler.start_request(Instant(0), queue, &unknown(1)).unwrap();
    scheduler.complete_request(Instant(16 * MS), ticket, &ServiceReport::default()).unwrap();
    let stats = scheduler.get_queue_stats(Instant(16 * MS), queue).unwrap();
    assert_eq!((stats.classes[2].estimate_us, stats.classes[2].completed), (9_000, 201));
}

#[test]
fn a_moved_request_keeps_its_age_and_its_deadline() {
    let (mut scheduler, queue) = with::<4>(1, 8);
    let old =
        scheduler.put(0, queue, &QueuedRequest { sla_deadline: Some(Instant(80 * MS)), ..request(1, Batch) });
    let young = QueuedRequest { arrival_time: Instant(5 * MS), ..request(2, High) };
    scheduler.put(5 * MS, queue, &young);
    scheduler.requeue_request(Instant(6 * MS), old, High).unwrap();
    let stats = scheduler.get_queue_stats(Instant(6 * MS), queue).unwrap();
    assert_eq!((stats.requeued, stats.classes[4].requeued_out, stats.classes[1].requeued_in), (1, 1, 1));
    assert_eq!((stats.classes[1].oldest_age, stats.classes[4].oldest_age), (Some(Nanos(6 * MS)), None));
    let next = scheduler.take(6 * MS, queue).unwrap();
    assert_eq!((next.ticket, next.priority, next.deadline), (old, High, Instant(80 * MS)));
    assert_eq!(scheduler.requeue_request(Instant(0), old, Low), Err(QueueTicketError::InService));
    assert_eq!(scheduler.preempt_request(Instant(0), old).unwrap_err(), QueueTicketError::InService);
    scheduler.check();
}

#[test]
fn a_service_has_one_agreement_and_there_is_room_for_256() {
    let mut scheduler = scheduler::<1>();
    for number in 0..QUEUES_MAX {
        scheduler.define_sla(&sla(&number.to_string(), 1, 1)).unwrap();
    }
    assert_eq!(scheduler.define_sla(&sla("7", 1, 1)), Err(PriorityError::DuplicateService));
    assert_eq!(scheduler.define_sla(&sla("more", 1, 1)), Err(PriorityError::Full));
    let seven = scheduler.find("7").unwrap();
    assert_eq!(scheduler.get_sla(seven).map(|sla| sla.service_id.as_str()), Some("7"));
    scheduler.put(0, seven, &request(1, Low));
    assert_eq!(scheduler.remove_sla(seven), Err(PriorityError::InUse));
    assert_eq!(scheduler.drain(Instant(0), seven, &mut |_| ()), 1);
    assert_eq!(scheduler.remove_sla(seven).unwrap().service_id.as_str(), "7");
    assert_eq!((scheduler.find("7"), scheduler.get_sla(seven)), (None, None));
    let other = scheduler.define_sla(&sla("more", 1, 1)).unwrap();
    assert_eq!(scheduler.get_queue_stats(Instant(0), seven), None);
    assert_eq!(scheduler.get_queue_stats(Instant(0), other).unwrap().arrivals, 0);
    let totals = scheduler.totals();
    assert_eq!((totals.arrivals, totals.rejected.of(RejectReason::Drained)), (1, 1));
    assert_eq!((totals.flows, totals.queues), (0, 256));
    let gone = scheduler.enqueue_request(Instant(0), seven, &request(1, Low), &mut nothing);
    assert_eq!(gone, Err(EnqueueError::UnknownQueue));
}

#[test]
fn a_configuration_keeps_the_queues_that_it_names_and_changes_nothing_if_it_is_refused() {
    let mut scheduler = scheduler::<4>();
    let weights = [5, 4, 3, 2, 1];
    scheduler.configure(Instant(0), &[sla("a", 1, 4), sla("b", 1, 4)], weights).unwrap();
    let (a, b) = (scheduler.find("a").unwrap(), scheduler.find("b").unwrap());
    let waiting = scheduler.put(0, a, &request(1, Low));
    let refused = |found, expected| assert_eq!(found, Err(expected));
    refused(scheduler.configure(Instant(0), &[sla("b", 1, 4)], weights), PriorityError::InUse);
    refused(scheduler.configure(Instant(0), &[sla("a", 1, 4); 2], weights), PriorityError::DuplicateService);
    let wrong = SLA { p95_latency_ms: 0, ..sla("a", 1, 4) };
    for found in [
        scheduler.configure(Instant(0), &[wrong], weights),
        scheduler.configure(Instant(0), &[sla("a", 1, 4)], [0, 1, 1, 1, 1]),
        scheduler.set_weight(Instant(0), Low, 1025),
        scheduler.update_sla(Instant(0), a, &wrong),
    ] {
        assert!(matches!(found, Err(PriorityError::OutOfRange(_))), "{found:?}");
    }
    assert_eq!(scheduler.update_sla(Instant(0), a, &sla("c", 1, 4)), Err(PriorityError::FixedService));
    assert_eq!((scheduler.weights(), scheduler.slas().count()), (weights, 2));

    scheduler.configure(Instant(0), &[sla("c", 1, 4), sla("a", 7, 9)], DEFAULT_WEIGHTS).unwrap();
    assert_eq!((scheduler.find("a"), scheduler.find("b"), scheduler.get_sla(b)), (Some(a), None, None));
    assert_eq!(scheduler.get_sla(a).unwrap().concurrency, 7);
    assert_eq!(scheduler.take(0, a).unwrap().ticket, waiting);
    let mut other = super::support::scheduler::<1>();
    other.configure_like(&scheduler).unwrap();
    let names = |(_, sla): (_, &SLA)| sla.service_id;
    let mut both = [scheduler.slas().map(names).collect::<Vec<Name>>(), other.slas().map(names).collect()];
    both.iter_mut().for_each(|names| names.sort_by_key(|name| name.as_str().to_owned()));
    assert_eq!(both[0], both[1]);
    assert_eq!(other.weights(), scheduler.weights());
}

#[test]
fn nothing_of_before_is_found_after_a_reset() {
    let (mut scheduler, queue) = with::<2>(1, 8);
    let waiting = scheduler.put(0, queue, &request(1, Low));
    let exempt = scheduler.put(0, queue, &QueuedRequest { lane: Lane::Exempt, ..request(2, Low) });
    scheduler.set_weight(Instant(0), Low, 9).unwrap();
    scheduler.reset(HashSecret { k0: 1, k1: 2 });
    assert_eq!(
        (scheduler.find("web"), scheduler.get_sla(queue), scheduler.weights()),
        (None, None, DEFAULT_WEIGHTS)
    );
    let queue = scheduler.define_sla(&sla("web", 1, 8)).unwrap();
    scheduler.put(0, queue, &request(1, Low));
    for ticket in [waiting, exempt] {
        assert_eq!(scheduler.cancel(Instant(0), ticket), Err(QueueTicketError::Unknown));
    }
    scheduler.check();
    assert_eq!(scheduler.totals().arrivals, 1);
}

#[test]
fn how_long_a_request_would_wait_follows_from_what_is_before_it() {
    let (mut scheduler, queue) = with::<16>(2, 64);
    let estimate = |scheduler: &crate::priority::PriorityScheduler<16>, class, tenant| {
        scheduler.estimate_queue_time(queue, class, crate::scope::KeyHash(tenant)).0 / MS
    };
    assert_eq!(estimate(&scheduler, Low, 1), 0, "it would start at once");
    scheduler.start_request(Instant(0), queue, &request(1, Low)).unwrap();
    scheduler.start_request(Instant(0), queue, &request(2, Low)).unwrap();
    assert_eq!(estimate(&scheduler, Low, 1), 1, "2 ms are in service, by two at a time");
    (10..20).for_each(|id| scheduler.fill(queue, &of_tenant(id, Low, 1, 1)));
    // 10 ms of its own behind those.
    assert_eq!(estimate(&scheduler, Low, 1), 6);
    assert_eq!(estimate(&scheduler, Low, 2), 1, "another tenant does not wait for them");
    (20..30).for_each(|id| scheduler.fill(queue, &of_tenant(id, Low, 2, 1)));
    assert_eq!(estimate(&scheduler, Low, 1), 11);
    (30..32).for_each(|id| scheduler.fill(queue, &of_tenant(id, Critical, 2, 1)));
    // Nine times as much as its class has, but no more than there is.
    assert_eq!(estimate(&scheduler, Low, 1), 12);
}

#[test]
fn a_slow_spell_does_not_lock_a_service_out() {
    let (mut scheduler, queue) = with::<2>(1, 8);
    let deadline = |now: u64| Some(Instant((now + 30) * MS));
    for (number, ms) in [(1, 0), (2, 2000)] {
        let ticket = scheduler.start_request(
            Instant(ms * MS),
            queue,
            &QueuedRequest { arrival_time: Instant(ms * MS), ..request(number, Low) },
        );
        let report = ServiceReport { service_us: Some(900_000), is_error: false };
        scheduler.complete_request(Instant((ms + 900) * MS), ticket.unwrap(), &report).unwrap();
    }
    // The estimate is beyond the agreement: that of requests without a deadline of their own counts for half of it.
    let mut now = 10_000;
    let usual =
        QueuedRequest { arrival_time: Instant(now * MS), sla_deadline: None, cost_us: 0, ..request(3, Low) };
    let first = scheduler.start_request(Instant(now * MS), queue, &usual).unwrap();
    let short = QueuedRequest { sla_deadline: deadline(now), ..QueuedRequest { request_id: 4, ..usual } };
    let refused = scheduler.enqueue_request(Instant(now * MS), queue, &short, &mut nothing);
    let is_infeasible = matches!(
        refused,
        Err(EnqueueError::Rejected(rejection)) if rejection.reason == RejectReason::Infeasible
    );
    assert!(is_infeasible, "{refused:?}");
    scheduler.complete_request(Instant((now + 1) * MS), first, &ServiceReport::default()).unwrap();
    // One with a deadline that the estimate cannot meet is tried while nothing else goes on, until it is mended.
    for number in 5..40 {
        now += 100;
        let request = QueuedRequest {
            arrival_time: Instant(now * MS),
            sla_deadline: deadline(now),
            ..QueuedRequest { request_id: number, ..usual }
        };
        let ticket = scheduler.start_request(Instant(now * MS), queue, &request).unwrap();
        scheduler.complete_request(Instant((now + 1) * MS), ticket, &ServiceReport::default()).unwrap();
    }
    let metrics = scheduler.get_queue_stats(Instant(now * MS), queue).unwrap();
    assert!(metrics.classes[Low.index()].estimate_us < 15_000);
}

#[test]
fn a_slow_service_within_its_agreement_is_not_asked_for_what_it_cannot_do() {
    // It takes 75 of the 100 ms that are promised, and more comes than it can do.
    let (mut scheduler, queue) = with::<16>(1, 200);
    let (mut served, mut on_time, mut running) = (0, 0, None);
    for ms in 0..60_000 {
        let now = Instant(ms * MS);
        if ms % 50 == 0 {
            let request = QueuedRequest {
                arrival_time: now,
                sla_deadline: None,
                cost_us: 0,
                ..of_tenant(ms, Normal, 1, 1)
            };
            let _ = scheduler.enqueue_request(now, queue, &request, &mut |_| ());
        }
        if let Some((ticket, end, deadline)) = running
            && end == ms
        {
            running = None;
            (served, on_time) = (served + 1, on_time + u32::from(now <= deadline));
            scheduler.done(now.0, ticket, 75_000);
        }
        if running.is_none() {
            let next = scheduler.dequeue_next(now, queue, &mut |_| ());
            running = next.map(|next| (next.ticket, ms + 75, next.deadline));
        }
    }
    assert!(served > 500 && on_time * 100 >= served * 95, "{on_time} of {served}");
}

#[test]
fn a_bad_argument_changes_nothing() {
    let (mut scheduler, queue) = with::<2>(1, 8);
    for weight in [0, 1025] {
        let found = scheduler.enqueue_request(Instant(0), queue, &of_tenant(1, Low, 1, weight), &mut nothing);
        assert!(matches!(found, Err(EnqueueError::Weight(_))), "{found:?}");
    }
    let unknown = "99-1".parse().unwrap();
    let now = Instant(0);
    assert_eq!(scheduler.cancel(now, unknown), Err(QueueTicketError::Unknown));
    assert_eq!(scheduler.requeue_request(now, unknown, Low), Err(QueueTicketError::Unknown));
    assert_eq!(scheduler.preempt_request(now, unknown).unwrap_err(), QueueTicketError::Unknown);
    assert_eq!(scheduler.totals().arrivals, 0);
    assert_eq!(scheduler.drain(now, QueueId::NONE, &mut nothing), 0);
    assert_eq!(scheduler.get_sla(QueueId { number: 0, generation: 2 }), None);
    assert_eq!(scheduler.cancel(now, QueueTicket::NONE), Err(QueueTicketError::Unknown));
}
