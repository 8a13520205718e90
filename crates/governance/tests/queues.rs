//! Queues in the way of a request: what waits has a ticket, is charged once, and is given back when it is let go.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::cost::{CostModel, Price};
use governance::decision::{Decision, Reason, Verdict, Wait};
use governance::governor::{Governor, WaitingError};
use governance::limit::{BucketShape, ConcurrencyShape, LimitName, LimitSpec, RateLimitAlgorithm};
use governance::outcome::{CompleteError, Disposition, Outcome};
use governance::priority::{Lane, PriorityError, QueueId, RejectReason, SLA};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Request, RequestPriority, Settlement, Unit};
use governance::scope::{HashSecret, KeyName, Kind, Name, NameRef, Scope};
use governance::tickets::{Ticket, TicketError};
use governance::time::{Cycle, Instant, Nanos, Now, Schedule, WallTime};

type Small = Governor<64, 64, 4>;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Now {
    Now { instant: Instant(ms * MS), wall: WallTime(ms * MS) }
}

/// The service `api`, one request at a time, and a bucket of ten tokens for each tenant.
fn governor() -> (Box<Small>, QueueId) {
    let mut governor = Box::new(Small::new());
    governor.reset(HashSecret { k0: 1, k1: 2 });
    let shape = BucketShape { capacity: 10, rate: "1/1h".parse().unwrap() };
    let scope = Scope::parse("tenant:*").unwrap();
    let spec = LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).unwrap();
    governor.limits.add(&spec).unwrap();
    let sla = SLA {
        service_id: Name::new("api").unwrap(),
        p95_latency_ms: 100,
        error_rate_threshold_ppm: 10_000,
        priority_level: RequestPriority::Normal,
        concurrency: 1,
        queue_depth: 3,
    };
    let queue = governor.queues.define_sla(&sla).unwrap();
    (governor, queue)
}

fn from(tenant: &str) -> Request<'_> {
    let name = |text| Some(NameRef::new(text).unwrap());
    Request { service: name("api"), tenant: name(tenant), ..Request::default() }
}

fn left(governor: &mut Small, ms: u64, tenant: &str) -> u64 {
    let id = governor.limits.find("tenant:*").unwrap();
    let key = KeyName::Text(NameRef::new(tenant).unwrap());
    assert_eq!(key.to_name(&HashSecret::default()).as_str(), tenant);
    governor.limits.get_tokens(at(ms), id, Some(KeyName::parse(Kind::Tenant, tenant).unwrap())).unwrap()
}

fn ticket(decision: &Decision) -> Ticket {
    decision.ticket.expect("what waits or runs has a ticket")
}

fn done(ms: u64) -> Outcome {
    Outcome { ms: Some(ms), status: Some(200), ..Outcome::default() }
}

#[test]
fn a_request_starts_if_its_service_is_free_and_else_waits_for_its_turn() {
    let (mut governor, queue) = governor();
    let first = governor.admit(at(0), &from("acme"));
    assert_eq!((first.verdict, first.reason), (Verdict::Allow, Reason::WithinLimits));
    let second = governor.admit(at(1), &from("acme"));
    assert!(matches!(second.verdict, Verdict::Queue(wait) if wait > Nanos::ZERO), "{second:?}");
    assert_eq!((second.reason, left(&mut governor, 1, "acme")), (Reason::Queued, 8));
    assert_eq!(governor.dequeue_next(at(2), queue), None, "the service is busy");
    let waiting = governor.complete(at(2), ticket(&second), &done(1));
    assert_eq!(waiting, Err(CompleteError::Waiting));
    governor.complete(at(5), ticket(&first), &done(5)).unwrap();
    let next = governor.dequeue_next(at(5), queue).unwrap();
    assert_eq!((next.ticket, next.waited), (ticket(&second), Nanos(4 * MS)));
    let completion = governor.complete(at(9), next.ticket, &done(4)).unwrap();
    assert_eq!(
        (completion.settled, completion.stale),
        (1, 0),
        "its limit was settled when it was dispatched"
    );
    assert_eq!(left(&mut governor, 9, "acme"), 8, "each was charged once");
    assert_eq!((governor.counters().queued, governor.counters().allowed), (1, 2));
    assert_eq!(governor.ticket_stats().open, 0);
}

#[test]
fn what_misses_its_deadline_is_let_go_and_given_back() {
    let (mut governor, queue) = governor();
    let first = governor.admit(at(0), &from("acme"));
    let late = governor.admit(at(1), &from("acme"));
    let patient = Request { deadline: Some(Instant(900 * MS)), ..from("acme") };
    let patient = governor.admit(at(1), &patient);
    assert_eq!(left(&mut governor, 1, "acme"), 7);
    let due = governor.next_due().unwrap();
    assert!(due.0 > 99 * MS && due.0 <= 101 * MS, "a millisecond before its deadline: {due:?}");
    governor.tick(at(150));
    assert_eq!(left(&mut governor, 150, "acme"), 8);
    let over = governor.complete(at(150), ticket(&late), &done(1));
    assert_eq!(over, Err(CompleteError::Ticket(TicketError::LetGo)));
    governor.complete(at(160), ticket(&first), &done(160)).unwrap();
    assert_eq!(governor.dequeue_next(at(160), queue).unwrap().ticket, ticket(&patient));
    let metrics = governor.queues.get_queue_stats(Instant(160 * MS), queue).unwrap();
    assert_eq!(metrics.rejected.of(RejectReason::Infeasible), 1);
    assert_eq!(metrics.arrivals, metrics.served + u64::from(metrics.waiting) + metrics.rejected.total());
}

#[test]
fn a_full_queue_lets_go_of_the_lowest_class_and_never_of_a_higher_one() {
    let (mut governor, queue) = governor();
    let running = governor.admit(at(0), &from("acme"));
    let in_class = |class| Request { priority: Some(class), ..from("acme") };
    let batch = governor.admit(at(1), &in_class(RequestPriority::Batch));
    governor.admit(at(1), &in_class(RequestPriority::Low));
    governor.admit(at(1), &in_class(RequestPriority::Low));
    assert_eq!(left(&mut governor, 1, "acme"), 6);
    let high = governor.admit(at(2), &in_class(RequestPriority::High));
    assert_eq!(high.reason, Reason::Queued);
    assert_eq!(left(&mut governor, 2, "acme"), 6, "the one that went was given back");
    let over = governor.complete(at(2), ticket(&batch), &done(1));
    assert_eq!(over, Err(CompleteError::Ticket(TicketError::LetGo)));
    let refused = governor.admit(at(3), &in_class(RequestPriority::Batch));
    assert_eq!((refused.verdict, refused.reason), (Verdict::Deny, Reason::QueueFull));
    assert!(matches!(refused.retry, Some(Wait::For(_))) && refused.ticket.is_none());
    assert_eq!(left(&mut governor, 3, "acme"), 6, "and a refusal costs nothing");
    governor.complete(at(4), ticket(&running), &done(4)).unwrap();
    assert_eq!(governor.dequeue_next(at(4), queue).unwrap().ticket, ticket(&high));
}

#[test]
fn a_look_says_what_would_happen_and_changes_nothing() {
    let (mut governor, queue) = governor();
    assert_eq!(governor.peek(at(0), &from("acme")).verdict, Verdict::Allow);
    governor.admit(at(0), &from("acme"));
    assert!(matches!(governor.peek(at(0), &from("acme")).verdict, Verdict::Queue(_)));
    let metrics = governor.queues.get_queue_stats(Instant(0), queue).unwrap();
    assert_eq!((metrics.arrivals, metrics.waiting, governor.ticket_stats().open), (1, 0, 1));
}

#[test]
fn operators_move_and_take_out_what_waits_by_its_ticket() {
    let (mut governor, queue) = governor();
    let running = governor.admit(at(0), &from("acme"));
    let one = governor.admit(at(0), &from("acme"));
    let other = governor.admit(at(0), &from("acme"));
    governor.requeue_request(at(1), ticket(&other), RequestPriority::Critical).unwrap();
    governor.preempt_request(at(1), ticket(&one)).unwrap();
    assert_eq!(governor.preempt_request(at(1), ticket(&one)), Err(WaitingError::Ticket(TicketError::LetGo)));
    assert_eq!(governor.preempt_request(at(1), ticket(&running)), Err(WaitingError::NotWaiting));
    let unknown = governor.requeue_request(at(1), "99-1".parse().unwrap(), RequestPriority::Low);
    assert_eq!(unknown, Err(WaitingError::Ticket(TicketError::Unknown)));
    assert_eq!(left(&mut governor, 1, "acme"), 8);
    let third = governor.admit(at(1), &from("acme"));
    let voided = Outcome { disposition: Disposition::Void, ..Outcome::default() };
    governor.complete(at(2), ticket(&third), &voided).unwrap();
    assert_eq!(left(&mut governor, 2, "acme"), 8, "its owner has given it up");
    assert_eq!(governor.drain_queue(at(3), queue), 1);
    assert_eq!(left(&mut governor, 3, "acme"), 9);
    let metrics = governor.queues.get_queue_stats(Instant(3 * MS), queue).unwrap();
    for reason in [RejectReason::Preempted, RejectReason::Cancelled, RejectReason::Drained] {
        assert_eq!(metrics.rejected.of(reason), 1, "{reason}");
    }
}

#[test]
fn a_request_in_service_that_nobody_completes_frees_its_service_and_stays_charged() {
    let (mut governor, queue) = governor();
    governor.admit(at(0), &from("acme"));
    let patient = Request { deadline: Some(Instant(u64::MAX)), ..from("acme") };
    let second = governor.admit(at(0), &patient);
    governor.tick(at(3_600_000));
    let metrics = governor.queues.get_queue_stats(Instant(3_600_000 * MS), queue).unwrap();
    assert_eq!((metrics.in_service, metrics.waiting), (0, 1), "what waits does not run out");
    let next = governor.dequeue_next(at(3_600_000), queue).unwrap();
    assert_eq!(next.ticket, ticket(&second));
    assert_eq!(left(&mut governor, 3_600_000, "acme"), 9, "a token came in the hour");
    governor.tick(at(7_199_999));
    assert_eq!(governor.ticket_stats().open, 1, "its hour began with its service");
    governor.tick(at(7_200_000));
    assert_eq!((governor.ticket_stats().open, governor.ticket_stats().expired), (0, 2));
    assert_eq!(left(&mut governor, 7_200_000, "acme"), 10, "another token came, and nothing was given back");
}

/// With a price of 1 USD, and a budget of 3 USD a month for each tenant.
fn with_budget(governor: &mut Small) {
    let model = CostModel {
        service: Name::new("api").unwrap(),
        base_cost: Price::parse("1 USD").unwrap(),
        ..CostModel::default()
    };
    governor.costs.define_cost_model(&model).unwrap();
    let schedule = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
    let scope = Scope::parse("tenant:*").unwrap();
    let budget = QuotaSpec::new(scope, QuotaUnit::Cost, 3_000_000_000, schedule).unwrap();
    governor.budgets.allocate_quota(&budget).unwrap();
}

#[test]
fn a_budget_is_charged_for_what_was_dispatched_and_never_completed() {
    let (mut governor, queue) = governor();
    with_budget(&mut governor);
    let patient = Request { deadline: Some(Instant(u64::MAX)), ..from("acme") };
    for hour in 0..3 {
        let now = at(hour * 3_600_000);
        assert!(governor.enqueue(now, &patient, Lane::Shared).unwrap().is_allowed());
        governor.dequeue_next(now, queue).unwrap();
    }
    let refused = governor.admit(at(3 * 3_600_000), &patient);
    assert_eq!(refused.reason, Reason::OverBudget, "although each ticket has run out by itself");
}

#[test]
fn leases_and_reservations_begin_with_the_service() {
    let (mut governor, queue) = governor();
    let scope = Scope::parse("tenant:*").unwrap();
    let in_flight = ConcurrencyShape { limit: 1, lease: Nanos(30_000 * MS) };
    let spec = LimitSpec::new(scope, RateLimitAlgorithm::Concurrency(in_flight), Unit::Requests).unwrap();
    governor.limits.add(&LimitSpec { name: LimitName::new("in-flight").unwrap(), ..spec }).unwrap();
    let settlement = Settlement::Reserve { expires_in: Nanos(10_000 * MS) };
    let deadline = Some(Instant(100_000 * MS));
    let waiting = Request { settlement, deadline, ..from("acme") };
    let decision = governor.enqueue(at(0), &waiting, Lane::Shared).unwrap();
    // It has waited for longer than its reservation stands and its lease lasts.
    let next = governor.dequeue_next(at(40_000), queue).unwrap();
    assert_eq!(governor.admit(at(40_001), &waiting).reason, Reason::OverLimit, "its lease has begun");
    governor.complete(at(49_999), next.ticket, &done(9_999)).unwrap();
    assert_eq!(next.ticket, ticket(&decision));
    let again = governor.enqueue(at(50_000), &waiting, Lane::Shared).unwrap();
    governor.dequeue_next(at(50_000), queue).unwrap();
    governor.tick(at(60_000));
    let late = governor.complete(at(60_000), ticket(&again), &done(1));
    assert_eq!(late, Err(CompleteError::Ticket(TicketError::Expired)), "ten seconds after its dispatch");
}

#[test]
fn the_turn_of_a_leaky_queue_is_kept() {
    let (mut governor, queue) = governor();
    let shape = BucketShape { capacity: 10, rate: "1/s".parse().unwrap() };
    let scope = Scope::parse("service:api").unwrap();
    let spec = LimitSpec::new(scope, RateLimitAlgorithm::LeakyQueue(shape), Unit::Requests).unwrap();
    governor.limits.add(&spec).unwrap();
    let patient = Request { deadline: Some(Instant(60_000 * MS)), ..from("acme") };
    let first = governor.admit(at(0), &patient);
    let second = governor.admit(at(0), &patient);
    assert_eq!(second.verdict, Verdict::Queue(Nanos(1_000 * MS)), "longer than the service takes");
    governor.complete(at(1), ticket(&first), &done(1)).unwrap();
    assert_eq!(governor.dequeue_next(at(1), queue).unwrap().turn, Nanos(999 * MS));
}

#[test]
fn an_exempt_request_that_waits_can_be_given_up() {
    let (mut governor, queue) = governor();
    let decision = governor.enqueue(at(0), &from("operator"), Lane::Exempt).unwrap();
    assert_eq!(governor.complete(at(1), ticket(&decision), &done(1)), Err(CompleteError::Waiting));
    let voided = Outcome { disposition: Disposition::Void, ..Outcome::default() };
    governor.complete(at(1), ticket(&decision), &voided).unwrap();
    assert_eq!(governor.dequeue_next(at(1), queue), None);
}

#[test]
fn the_exempt_lane_is_asked_nothing_and_goes_first() {
    let (mut governor, queue) = governor();
    governor.admit(at(0), &from("acme"));
    governor.admit(at(0), &from("acme"));
    let unknown = governor.enqueue(at(0), &Request::default(), Lane::Exempt);
    assert_eq!(unknown, Err(PriorityError::UnknownQueue));
    let operator = governor.enqueue(at(1), &from("operator"), Lane::Exempt).unwrap();
    assert_eq!((operator.verdict, operator.reason), (Verdict::Queue(Nanos::ZERO), Reason::Exempt));
    let next = governor.dequeue_next(at(1), queue).unwrap();
    assert_eq!(next.ticket, ticket(&operator), "although the service is busy");
    governor.complete(at(2), next.ticket, &done(1)).unwrap();
    // With every ticket taken it goes on at once.
    let other = Request { service: Some(NameRef::new("api").unwrap()), ..Request::default() };
    let mut exempt = Vec::new();
    for _ in 0..40 {
        exempt.push(governor.enqueue(at(3), &other, Lane::Exempt).unwrap());
    }
    assert!(exempt.iter().all(Decision::is_allowed));
    assert!(exempt.iter().any(|decision| decision.ticket.is_none()));
}

#[test]
fn a_waiting_request_by_hand_waits_although_the_service_is_free() {
    let (mut governor, queue) = governor();
    let decision = governor.enqueue(at(0), &from("acme"), Lane::Shared).unwrap();
    assert!(matches!(decision.verdict, Verdict::Queue(_)));
    assert_eq!(governor.dequeue_next(at(1), queue).unwrap().ticket, ticket(&decision));
}

#[test]
fn a_request_put_into_a_queue_past_the_governor_has_no_ticket_to_give_back() {
    use governance::priority::{Origin, QueuedRequest};
    let (mut governor, queue) = governor();
    let request = QueuedRequest {
        request_id: u64::MAX,
        priority: RequestPriority::Low,
        arrival_time: Instant(0),
        sla_deadline: None,
        origin: Origin::default(),
        cost_us: 0,
        lane: Lane::Shared,
    };
    governor.queues.enqueue_request(Instant(0), queue, &request, &mut |_| ()).unwrap();
    governor.tick(at(500));
    assert_eq!(governor.queues.get_queue_stats(Instant(500 * MS), queue).unwrap().rejected.total(), 1);
}

#[test]
fn who_completes_is_told_which_queue_may_go_on() {
    let (mut governor, queue) = governor();
    let first = governor.admit(at(0), &from("acme"));
    governor.admit(at(0), &from("acme"));
    let completion = governor.complete(at(1), ticket(&first), &done(1)).unwrap();
    assert_eq!(completion.queue, Some(queue));
    let next = governor.dequeue_next(at(1), queue).unwrap();
    assert_eq!((next.lane, governor.dequeue_next(at(1), queue)), (Lane::Shared, None));
}

#[test]
fn where_no_ticket_is_left_a_lower_class_makes_room() {
    let (mut governor, queue) = governor();
    let sla = SLA { queue_depth: 100, ..*governor.queues.get_sla(queue).unwrap() };
    governor.queues.update_sla(Instant(0), queue, &sla).unwrap();
    let running = governor.admit(at(0), &from("other"));
    let batch = |tenant| Request { priority: Some(RequestPriority::Batch), ..from(tenant) };
    // Fifteen wait, and there are sixteen tickets.
    for number in 0..15 {
        let tenant = if number < 8 { "acme" } else { "globex" };
        assert_eq!(governor.admit(at(0), &batch(tenant)).reason, Reason::Queued);
    }
    assert_eq!(governor.admit(at(0), &batch("acme")).reason, Reason::QueueFull, "it would be the one to go");
    let in_all = |governor: &mut Small| left(governor, 0, "acme") + left(governor, 0, "globex");
    assert_eq!(in_all(&mut governor), 5);
    let critical = Request { priority: Some(RequestPriority::Critical), ..from("urgent") };
    let decision = governor.admit(at(0), &critical);
    assert_eq!(decision.reason, Reason::Queued);
    assert_eq!(in_all(&mut governor), 6, "the one that made room was given back");
    governor.complete(at(1), ticket(&running), &done(1)).unwrap();
    let next = governor.dequeue_next(at(1), queue).unwrap();
    assert_eq!(next.priority, RequestPriority::Critical);
    assert_eq!(next.ticket, ticket(&decision));
}
