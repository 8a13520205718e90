//! Traffic control in the way of a request: the guard before everything, the breaker before the limits, and what became of
//! a call told once.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::breaker::{BreakerDraft, BreakerOverride, BreakerRecorded, BreakerState};
use governance::config::Config;
use governance::decision::{Decision, Reason, Verdict, Wait};
use governance::field::FieldValue;
use governance::governor::{Governor, InboundAnswer};
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::loop_guard::{GuardSettings, ServiceLevel};
use governance::mode::Mode;
use governance::outcome::{AttemptReport, CompleteError, Disposition, Outcome};
use governance::priority::SLA;
use governance::request::{Request, RequestPriority, Unit};
use governance::retry::{Answer, Attempt, CallError, GiveUp, RetryDecision, RetryDraft};
use governance::scope::{HashSecret, NameRef, Scope, ScopeError};
use governance::tickets::{Ticket, TicketError};
use governance::time::{Instant, Nanos, Now, WallTime};
use governance::traffic::{SCOPES_MAX, ScopeView};

type Small = Governor<64, 64, 8>;

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000_000), wall: WallTime(seconds * 1_000_000_000) }
}

/// Breakers and retry policies with the sources' defaults for every route, and 100 calls in a bucket for each.
fn governor(change: impl FnOnce(&mut Config)) -> Box<Small> {
    let mut config = Box::new(Config::new());
    let mut breaker = BreakerDraft::default();
    breaker.set("scope", FieldValue::Text("route:*")).unwrap();
    config.add_breaker(&breaker.finish().unwrap()).unwrap();
    let mut retry = RetryDraft::default();
    retry.set("scope", FieldValue::Text("route:*")).unwrap();
    config.add_retry(&retry.finish().unwrap()).unwrap();
    let shape = BucketShape { capacity: 100, rate: "1/1h".parse().unwrap() };
    let limit = RateLimitAlgorithm::TokenBucket(shape);
    config
        .add_limit(&LimitSpec::new(Scope::parse("route:*").unwrap(), limit, Unit::Requests).unwrap())
        .unwrap();
    change(&mut config);
    let mut governor = Box::new(Small::new());
    governor.reset(HashSecret { k0: 3, k1: 4 });
    governor.configure(at(0), &config).unwrap();
    governor
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::new(text).unwrap()
}

fn call(governor: &mut Small, seconds: u64, provider: &str) -> Decision {
    governor.check_outbound_request(at(seconds), name(provider), name("GET"), &Request::default()).unwrap()
}

fn answer(governor: &mut Small, seconds: u64, decision: &Decision, status: u16) {
    let outcome = Outcome { status: Some(status), ms: Some(5), ..Outcome::default() };
    governor.record_outbound_response(at(seconds), decision.ticket.unwrap(), &outcome).unwrap();
}

fn first_attempt(answer: Answer) -> Attempt {
    Attempt { number: 1, answer, elapsed: Nanos::ZERO, retry_after: None, previous_delay: None }
}

fn scope<'a>(governor: &'a Small, seconds: u64, scope: &str) -> ScopeView<'a> {
    let id = governor.traffic.find(scope).unwrap();
    governor.traffic.scope(at(seconds).instant, id).unwrap()
}

fn tokens(governor: &mut Small, seconds: u64, provider: &str) -> u64 {
    let route = format!("{provider}:get");
    let request = Request { route: Some(name(&route)), ..Request::default() };
    governor.peek(at(seconds), &request).limit.unwrap().remaining()
}

#[test]
fn five_failures_in_a_row_open_a_scope_for_a_minute_and_two_calls_close_it_again() {
    let mut governor = governor(|_| {});
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        assert_eq!((decision.verdict, decision.reason), (Verdict::Allow, Reason::WithinLimits));
        answer(&mut governor, 1, &decision, 503);
    }
    let refused = call(&mut governor, 2, "GitHub");
    assert_eq!((refused.verdict, refused.reason), (Verdict::Deny, Reason::BreakerOpen));
    assert_eq!(refused.retry, Some(Wait::For(Nanos::from_seconds(59))));
    assert_eq!(tokens(&mut governor, 1, "reddit"), 100, "another scope");
    assert!(call(&mut governor, 2, "reddit").is_allowed());
    // Half-open: as many calls at a time as have to succeed.
    let (first, second) = (call(&mut governor, 61, "github"), call(&mut governor, 61, "github"));
    assert!(first.is_allowed() && second.is_allowed());
    assert_eq!(call(&mut governor, 61, "github").reason, Reason::BreakerHalfOpen);
    answer(&mut governor, 62, &first, 200);
    assert_eq!(scope(&governor, 62, "github:get").state, BreakerState::HalfOpen);
    answer(&mut governor, 62, &second, 404);
    let view = scope(&governor, 62, "github:get");
    assert_eq!(view.state, BreakerState::Closed, "what is not found is not a failure of the service");
    assert_eq!((view.counters.requests, view.counters.allowed, view.counters.broken), (9, 7, 2));
    assert_eq!(view.counters.by_class, [0, 1, 0, 1, 5]);
    assert_eq!(governor.traffic.transitions().since(0).count(), 3);
}

#[test]
fn a_call_that_a_later_stage_refuses_takes_no_permit() {
    let mut governor = governor(|_| {});
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    // The bucket has 95 left: a call that needs more finds the breaker half-open, and is refused by the limit.
    let route = name("github:get");
    let large = Request { route: Some(route), cost: 96, ..Request::default() };
    for _ in 0..3 {
        let decision = governor.admit(at(61), &large);
        assert_eq!((decision.reason, decision.ticket), (Reason::OverLimit, None));
        assert!(decision.scope.is_some());
    }
    let view = scope(&governor, 61, "github:get");
    assert_eq!((view.state, view.stats.permits_out, view.open), (BreakerState::HalfOpen, 0, 0));
    assert_eq!((view.counters.denied, view.counters.broken), (3, 0));
    assert!(call(&mut governor, 61, "github").is_allowed());
}

#[test]
fn looking_changes_nothing_and_makes_no_scope() {
    let mut governor = governor(|_| {});
    let request = Request { route: Some(name("github:get")), ..Request::default() };
    assert!(governor.peek(at(1), &request).is_allowed());
    assert_eq!(governor.traffic.scope_count(), 0);
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    (0..5).for_each(|_| assert_eq!(governor.peek(at(2), &request).reason, Reason::BreakerOpen));
    (0..5).for_each(|_| assert!(governor.peek(at(61), &request).is_allowed()));
    let view = scope(&governor, 61, "github:get");
    assert_eq!((view.stats.refused, view.stats.permits_out, view.counters.requests), (0, 0, 5));
}

#[test]
fn an_outcome_is_told_once_and_in_time() {
    let mut governor = governor(|_| {});
    let decision = call(&mut governor, 1, "github");
    let ticket = decision.ticket.unwrap();
    let outcome = |status| Outcome { status: Some(status), ..Outcome::default() };
    let before = *governor.traffic.totals();
    assert_eq!(governor.complete(at(2), ticket, &outcome(999)), Err(CompleteError::Status));
    let both = Outcome { error: Some(CallError::Reset), ..outcome(200) };
    assert_eq!(governor.complete(at(2), ticket, &both), Err(CompleteError::StatusAndError));
    assert_eq!(*governor.traffic.totals(), before);
    assert!(governor.complete(at(2), ticket, &outcome(200)).is_ok());
    let again = governor.complete(at(2), ticket, &outcome(500));
    assert_eq!(again, Err(CompleteError::Ticket(TicketError::Settled)));
    let unknown: Ticket = "31-7".parse().unwrap();
    assert_eq!(
        governor.complete(at(2), unknown, &outcome(500)),
        Err(CompleteError::Ticket(TicketError::Unknown))
    );
    let view = scope(&governor, 2, "github:get");
    assert_eq!((view.counters.by_class, view.stats.failures), ([0, 1, 0, 0, 0], 0));
}

#[test]
fn a_call_that_was_not_made_or_not_told_gives_its_permit_back() {
    let mut governor = governor(|_| {});
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    let lost = call(&mut governor, 61, "github");
    assert!(lost.is_allowed() && call(&mut governor, 61, "github").is_allowed());
    assert_eq!(call(&mut governor, 61, "github").reason, Reason::BreakerHalfOpen);
    // Nobody tells: the permits run out after half a minute, the tickets after an hour.
    let probe = call(&mut governor, 92, "github");
    assert!(probe.is_allowed());
    answer(&mut governor, 93, &probe, 200);
    answer(&mut governor, 93, &lost, 200);
    assert_eq!(scope(&governor, 93, "github:get").stats.stale, 1, "the late result says nothing");
    governor.tick(at(61 + 3600));
    let view = scope(&governor, 61 + 3600, "github:get");
    assert_eq!((view.open, view.counters.lost), (0, 1));
    // A reservation that is voided was never a call.
    let reserved = Request {
        settlement: governance::request::Settlement::Reserve { expires_in: Nanos::from_seconds(10) },
        ..Request::default()
    };
    let decision =
        governor.check_outbound_request(at(4000), name("openai"), name("post"), &reserved).unwrap();
    let void = Outcome { disposition: Disposition::Void, ..Outcome::default() };
    governor.complete(at(4001), decision.ticket.unwrap(), &void).unwrap();
    let view = scope(&governor, 4001, "openai:post");
    assert_eq!((view.open, view.stats.successes, view.stats.cancelled), (0, 0, 1));
}

#[test]
fn a_failure_is_worth_another_attempt_until_it_is_the_last_or_the_budget_is_spent() {
    let mut governor = governor(|_| {});
    let mut tell = |seconds, number, status, retry_after: Option<Nanos>| {
        let decision = call(&mut governor, seconds, "github");
        let attempt = AttemptReport { number, retry_after, ..AttemptReport::default() };
        let outcome = Outcome { status: Some(status), attempt, ..Outcome::default() };
        governor.complete(at(seconds), decision.ticket.unwrap(), &outcome).unwrap().call.unwrap()
    };
    let RetryDecision::Retry { after, attempt } = tell(1, 1, 429, None).retry.unwrap() else { panic!() };
    assert!((900..=1000).contains(&(after.0 / 1_000_000)) && attempt == 2, "{after}");
    let RetryDecision::Retry { after, .. } = tell(1, 2, 503, Some(Nanos::from_seconds(30))).retry.unwrap()
    else {
        panic!()
    };
    assert_eq!(after, Nanos::from_seconds(30), "what the answer asks for is the least");
    let gives_up = |why| Some(RetryDecision::GiveUp(why));
    assert_eq!(tell(1, 3, 503, None).retry, gives_up(GiveUp::AttemptsExhausted));
    assert_eq!(tell(1, 1, 404, None).retry, gives_up(GiveUp::NotRetriable));
    assert_eq!(tell(1, 1, 200, None).retry, gives_up(GiveUp::Succeeded));
    let too_long = Some(Nanos::from_seconds(61));
    assert_eq!(tell(1, 1, 429, too_long).retry, gives_up(GiveUp::RetryAfterAboveCap));
    assert!(matches!(tell(1, 1, 429, None).retry, Some(RetryDecision::Retry { .. })), "4.9 of 10 are spent");
    let spent = tell(1, 1, 429, None);
    assert_eq!(spent.retry, gives_up(GiveUp::BudgetExhausted));
    assert_eq!(spent.breaker, Some(BreakerRecorded::Counted(None)));
    assert_eq!(scope(&governor, 1, "github:get").counters.retries, 3);
}

#[test]
fn scopes_are_made_as_they_are_called_up_to_so_many_and_the_rest_go_on_and_are_counted() {
    let mut governor = governor(|_| {});
    for number in 0..SCOPES_MAX + 5 {
        let provider = format!("p{number}");
        let decision = call(&mut governor, 1, &provider);
        assert!(decision.is_allowed());
        assert_eq!((decision.scope.is_some(), decision.ticket.is_some()), (number < 64, number < 64));
        if decision.ticket.is_some() {
            answer(&mut governor, 1, &decision, 200);
        }
    }
    assert_eq!((governor.traffic.scope_count(), governor.traffic.overflow().requests), (SCOPES_MAX, 5));
    assert_eq!(governor.traffic.totals().requests, 69);
    assert!(governor.traffic.find("p68:get").is_none());
    let long = "p".repeat(61);
    assert_eq!(
        governor.check_outbound_request(at(1), name(&long), name("get"), &Request::default()),
        Err(ScopeError::LongName { bytes: 65 })
    );
}

#[test]
fn a_scope_whose_outcomes_nobody_tells_neither_stops_nor_takes_the_tickets_of_all() {
    let mut governor = governor(|_| {});
    let tickets: Vec<_> = (0..40)
        .map(|_| call(&mut governor, 1, "hangs"))
        .map(|decision| {
            assert!(decision.is_allowed());
            decision.ticket.is_some()
        })
        .collect();
    assert_eq!(tickets.iter().filter(|has_one| **has_one).count(), 8, "a quarter of 32 tickets");
    let view = scope(&governor, 1, "hangs:get");
    assert_eq!((view.counters.allowed, view.counters.untold, view.open), (40, 32, 8));
    assert!(call(&mut governor, 1, "github").ticket.is_some());
    // Also where others hold all of them.
    for number in 0..9 {
        (0..4).for_each(|_| assert!(call(&mut governor, 1, &format!("p{number}")).is_allowed()));
    }
    let last = call(&mut governor, 1, "openai");
    assert!(last.is_allowed() && last.ticket.is_none());
    let request = Request { route: Some(name("openai:get")), ..Request::default() };
    assert!(governor.peek(at(1), &request).is_allowed());
}

#[test]
fn what_is_refused_makes_no_scope_and_what_is_no_route_has_none() {
    let mut governor = governor(|_| {});
    let route = |route| Request { route: Some(name(route)), ..Request::default() };
    let large = Request { cost: 101, ..route("github:get") };
    for _ in 0..3 {
        assert_eq!(governor.admit(at(1), &large).reason, Reason::CostAboveCapacity);
    }
    for odd in ["github", ":get", "github:", "a:b:c", " :get", "a:*"] {
        let decision = governor.admit(at(1), &route(odd));
        assert!(decision.is_allowed() && decision.ticket.is_none() && decision.scope.is_none(), "{odd}");
    }
    assert_eq!((governor.traffic.scope_count(), governor.traffic.totals().denied), (0, 3));
    for (provider, method) in [("a:b", "c"), ("a", "b:c"), ("a", "*")] {
        let answer =
            governor.check_outbound_request(at(1), name(provider), name(method), &Request::default());
        assert_eq!(answer, Err(ScopeError::NotARoute));
    }
}

#[test]
fn a_scope_that_is_idle_makes_room_for_another() {
    let mut governor = governor(|_| {});
    for number in 0..SCOPES_MAX {
        let decision = call(&mut governor, 1, &format!("p{number}"));
        answer(&mut governor, 1, &decision, if number == 0 { 500 } else { 200 });
    }
    assert!(call(&mut governor, 2, "github").scope.is_none());
    let idle = call(&mut governor, 700, "github");
    assert!(idle.scope.is_some() && idle.ticket.is_some());
    assert_eq!(governor.traffic.scope_count(), SCOPES_MAX);
    assert!(governor.traffic.find("github:get").is_some());
}

#[test]
fn a_call_that_waits_in_a_queue_begins_when_its_turn_comes() {
    let mut governor = governor(|_| {});
    let sla = SLA {
        service_id: governance::scope::Name::new("api").unwrap(),
        p95_latency_ms: 600_000,
        error_rate_threshold_ppm: 1_000_000,
        priority_level: RequestPriority::Normal,
        concurrency: 1,
        queue_depth: 8,
    };
    let queue = governor.queues.define_sla(&sla).unwrap();
    let request =
        Request { service: Some(name("api")), route: Some(name("github:get")), ..Request::default() };
    for _ in 0..5 {
        let decision = governor.admit(at(1), &request);
        answer(&mut governor, 1, &decision, 500);
    }
    let (first, second) = (governor.admit(at(61), &request), governor.admit(at(61), &request));
    assert!(matches!(second.verdict, Verdict::Queue(_)), "{second:?}");
    assert_eq!(governor.admit(at(61), &request).reason, Reason::BreakerHalfOpen);
    // It waits for longer than a permit stands.
    answer(&mut governor, 80, &first, 200);
    assert_eq!(governor.dequeue_next(at(110), queue).unwrap().ticket, second.ticket.unwrap());
    answer(&mut governor, 130, &second, 200);
    let view = scope(&governor, 130, "github:get");
    assert_eq!((view.state, view.stats.stale), (BreakerState::Closed, 0));
}

#[test]
fn what_nobody_says_says_nothing_and_a_call_that_was_not_made_is_given_back() {
    let mut governor = governor(|_| {});
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    for _ in 0..4 {
        let probe = call(&mut governor, 61, "github").ticket.unwrap();
        let completion = governor.complete(at(61), probe, &Outcome::default()).unwrap();
        assert_eq!(completion.call.unwrap().breaker, None);
        let probe = call(&mut governor, 61, "github").ticket.unwrap();
        let void = Outcome { disposition: Disposition::Void, ..Outcome::default() };
        governor.complete(at(61), probe, &void).unwrap();
    }
    let view = scope(&governor, 61, "github:get");
    assert_eq!((view.state, view.open, view.stats.permits_out), (BreakerState::HalfOpen, 0, 0));
}

#[test]
fn advice_looks_at_the_breaker_and_asking_for_it_tells_what_an_outcome_would() {
    let mut governor = governor(|_| {});
    for round in 1..=6 {
        let decision = call(&mut governor, 1, "github");
        if round == 6 {
            assert_eq!(decision.reason, Reason::BreakerOpen);
            break;
        }
        let id = decision.scope.unwrap();
        let attempt = first_attempt(Answer::Status(503));
        let asked = governor.traffic.would_retry(at(1), id, &attempt);
        let outcome = Outcome { status: Some(503), ..Outcome::default() };
        let told = governor.complete(at(1), decision.ticket.unwrap(), &outcome).unwrap().call.unwrap();
        if round == 5 {
            // It opens with this one, and half of the budget is spent too.
            assert_eq!(told.retry, Some(RetryDecision::GiveUp(GiveUp::BudgetExhausted)));
        } else {
            assert_eq!(told.retry, asked, "round {round}");
        }
    }
    let id = governor.traffic.find("github:get").unwrap();
    assert!(governor.traffic.reset_scope(at(2), id));
    assert!(governor.traffic.find("github:get").is_none(), "one of the template gives its place up");
    let id = governor.traffic.ensure(at(2).instant, "github:get").unwrap();
    assert!(governor.traffic.set_override(at(2), id, BreakerOverride::ForcedOpen));
    assert_eq!(call(&mut governor, 2, "github").reason, Reason::BreakerOpen);
    let attempt = first_attempt(Answer::Error(CallError::Timeout));
    let advice = governor.traffic.would_retry(at(2), id, &attempt);
    assert_eq!(advice, Some(RetryDecision::GiveUp(GiveUp::BreakerOpen)));
}

/// Ten requests a minute, and no look for loops.
fn capped(mode: Mode) -> GuardSettings {
    GuardSettings {
        requests_per_minute: Some(10),
        cooldown: Nanos::from_seconds(30),
        delay: Nanos::from_millis(250),
        block: Nanos::from_seconds(10),
        mode,
        ..GuardSettings::IDLE
    }
}

#[test]
fn a_refusal_in_shadow_mode_takes_back_nothing_that_was_not_counted() {
    let mut governor = governor(|config| config.guard = capped(Mode::Shadow));
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    (0..5).for_each(|_| assert!(call(&mut governor, 1, "reddit").is_allowed()));
    // The cap is reached: what comes now is not counted for it, and refused by the breaker.
    (0..20).for_each(|_| assert_eq!(call(&mut governor, 1, "github").reason, Reason::BreakerOpen));
    assert_eq!(governor.traffic.guard.stats(at(1).instant).requests_this_minute, 10);
}

#[test]
fn what_is_refused_does_not_use_up_the_hard_cap() {
    let mut governor = governor(|config| config.guard = capped(Mode::Enforce));
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    (0..50).for_each(|_| assert_eq!(call(&mut governor, 1, "github").reason, Reason::BreakerOpen));
    (0..5).for_each(|_| assert!(call(&mut governor, 1, "reddit").is_allowed()));
    assert_eq!(call(&mut governor, 1, "reddit").reason, Reason::OverHardCap);
}

#[test]
fn a_breaker_is_held_by_hand_and_let_go_of() {
    let mut governor = governor(|_| {});
    let decision = call(&mut governor, 1, "github");
    answer(&mut governor, 1, &decision, 200);
    let id = governor.traffic.find("github:get").unwrap();
    assert!(governor.traffic.set_override(at(2), id, BreakerOverride::ForcedOpen));
    let refused = call(&mut governor, 2, "github");
    assert_eq!((refused.reason, refused.retry), (Reason::BreakerOpen, Some(Wait::Never)));
    assert!(governor.traffic.set_override(at(2), id, BreakerOverride::Automatic));
    assert!(call(&mut governor, 3, "github").is_allowed());
    assert!(call(&mut governor, 3, "reddit").is_allowed());
}

#[test]
fn a_live_change_of_terms_begins_anew_and_of_nothing_goes_on() {
    let mut other = Box::new(Config::new());
    let mut governor = governor(|config| {
        for breaker in config.breakers().to_vec() {
            other.add_breaker(&breaker).unwrap();
        }
    });
    for _ in 0..5 {
        let decision = call(&mut governor, 1, "github");
        answer(&mut governor, 1, &decision, 500);
    }
    let late = call(&mut governor, 1, "reddit");
    governor.configure(at(2), &other).unwrap();
    assert_eq!(call(&mut governor, 2, "github").reason, Reason::BreakerOpen, "the terms are the same");
    other.clear();
    let mut breaker = BreakerDraft::default();
    for (field, value) in [("scope", "route:*"), ("failures", "1")] {
        breaker.set(field, FieldValue::Text(value)).unwrap();
    }
    other.add_breaker(&breaker.finish().unwrap()).unwrap();
    governor.configure(at(3), &other).unwrap();
    assert!(call(&mut governor, 3, "github").is_allowed());
    answer(&mut governor, 3, &late, 500);
    assert_eq!(scope(&governor, 3, "reddit:get").stats.stale, 1, "a call of before is no business of it");
    governor.configure(at(4), &Config::new()).unwrap();
    assert_eq!(governor.traffic.scope_count(), 0);
    assert!(call(&mut governor, 4, "github").ticket.is_none());
}

#[test]
fn the_guard_comes_before_everything_and_says_what_to_answer() {
    let mut governor = governor(|config| {
        config.guard = GuardSettings {
            requests_per_minute: Some(10),
            cooldown: Nanos::from_seconds(30),
            delay: Nanos::from_millis(250),
            block: Nanos::from_seconds(10),
            repeats_per_minute: Some(3),
            failures_per_minute: None,
            mode: Mode::Enforce,
        };
    });
    let path: &[u8] = b"/api/v1/chat";
    let alice = Request { actor: Some(name("alice")), path: Some(path), ..Request::default() };
    let verdicts: Vec<_> =
        (0..4).map(|_| governor.check_inbound_request(at(1), &alice).decision.verdict).collect();
    assert_eq!(verdicts[..2], [Verdict::Allow; 2]);
    assert_eq!(verdicts[3], Verdict::Delay(Nanos::from_millis(250)));
    let mut answers =
        (0..20).map(|_| governor.check_inbound_request(at(1), &alice)).collect::<Vec<InboundAnswer>>();
    let blocked = answers.pop().unwrap();
    assert_eq!((blocked.status, blocked.decision.reason), (Some(429), Reason::LoopBlocked));
    assert!(blocked.retry_after.unwrap() >= 10, "{blocked:?}");
    assert!(answers.iter().any(|answer| answer.decision.level == ServiceLevel::Degraded));
    // Nobody else is in a loop, but there is a cap for everybody, and beyond it a time for what cannot wait.
    let bob = Request { path: Some(b"/other"), ..Request::default() };
    let actors: Vec<_> = (0..12).map(|number| format!("bob{number}")).collect();
    let ask = |actor| governor.check_inbound_request(at(2), &Request { actor: Some(name(actor)), ..bob });
    let capped = actors.iter().map(String::as_str).map(ask).last().unwrap();
    assert_eq!((capped.status, capped.decision.reason), (Some(503), Reason::OverHardCap));
    assert!(capped.retry_after.is_some());
    let batch = Request { priority: Some(RequestPriority::Batch), actor: Some(name("carol")), ..bob };
    assert_eq!(governor.check_inbound_request(at(3), &batch).decision.reason, Reason::Degraded);
    let healthy = Request { path: Some(b"/healthz"), ..bob };
    governor.admit(at(3), &healthy);
}

#[test]
fn what_a_caller_asks_is_answered_with_a_status_for_each_reason() {
    for reason in Reason::ALL {
        let denied = InboundAnswer::of(Decision::plain(Verdict::Deny, reason));
        let allowed = InboundAnswer::of(Decision::plain(Verdict::Allow, reason));
        assert_eq!(allowed.status, None);
        assert!(matches!(denied.status, Some(200 | 307 | 403 | 429 | 503)), "{reason}");
        let wait = Some(Wait::For(Nanos(1)));
        let short = InboundAnswer::of(Decision { retry: wait, ..Decision::plain(Verdict::Deny, reason) });
        assert_eq!(short.retry_after, Some(1), "a wait that is not over is at least a second");
    }
}
