//! A breaker that is asked, and told of a success.

use super::STEP;
use crate::measure::{Case, Clock};
use failsafe::{Config, backoff, failure_policy};
use governance::breaker::{BreakerDraft, BreakerSpec, BreakerState, CallResult, CircuitBreaker};
use governance::field::FieldValue;
use governance::time::{Instant, Nanos};
use recloser::Recloser;
use std::hint::black_box;
use std::time::Duration;

/// How many calls a window of calls looks at, in Weir and in recloser.
const CALLS: u8 = 100;
/// How long a window of time is, in Weir and in failsafe.
const SPAN: Duration = Duration::from_secs(60);
const OPEN_TIME: Duration = Duration::from_secs(60);
/// How long each call took, as a breaker is told.
const TOOK: Nanos = Nanos::from_millis(12);

/// A breaker that stays closed; one that is open comes last.
pub fn cases() -> Vec<Case<'static>> {
    let rates = [
        ("failure_rate", FieldValue::Text("50%")),
        ("slow_call", FieldValue::Text("2s")),
        ("slow_rate", FieldValue::Text("80%")),
        ("min_calls", FieldValue::Integer(20)),
    ];
    let window = |word| ("window", FieldValue::Text(word));
    let consecutive = spec(&[window("consecutive")]);
    let count =
        spec(&[&[window("count"), ("calls", FieldValue::Integer(CALLS.into()))], &rates[..]].concat());
    let time = spec(&[&[window("time"), ("span", FieldValue::Text("60s"))], &rates[..]].concat());
    vec![
        closed("weir, failures in a row", consecutive),
        closed("weir, window of 100 calls", count),
        closed("weir, window of 60 s", time),
        recloser(),
        failsafe_in_a_row(),
        failsafe_in_a_window(),
        open("weir, open: check, refused, counted", consecutive),
    ]
}

fn spec(fields: &[(&str, FieldValue<'_>)]) -> BreakerSpec {
    let mut draft = BreakerDraft::default();
    draft.set("scope", FieldValue::Text("route:github:get")).unwrap();
    for &(field, value) in fields {
        draft.set(field, value).unwrap();
    }
    draft.finish().unwrap()
}

fn closed(name: &'static str, spec: BreakerSpec) -> Case<'static> {
    let mut breaker = CircuitBreaker::EMPTY;
    let mut now = Instant(0);
    Case::new(name, Clock::Still, move |operations, _| {
        for _ in 0..operations {
            now.0 += STEP;
            let (breaker, spec) = black_box((&mut breaker, &spec));
            if breaker.check(now, spec).is_ok() {
                let permit = breaker.acquire(now, spec);
                black_box(breaker.record(now, spec, permit, CallResult::Success, Some(TOOK), 0));
            }
        }
        assert_eq!(breaker.state(now), BreakerState::Closed, "{name}: it stays closed");
    })
}

fn open(name: &'static str, spec: BreakerSpec) -> Case<'static> {
    let mut breaker = CircuitBreaker::EMPTY;
    let now = Instant(0);
    while breaker.check(now, &spec).is_ok() {
        let permit = breaker.acquire(now, &spec);
        breaker.record(now, &spec, permit, CallResult::Failure, None, 0);
    }
    Case::new(name, Clock::Still, move |operations, _| {
        for _ in 0..operations {
            let (breaker, spec) = black_box((&mut breaker, &spec));
            if black_box(breaker.check(now, spec)).is_err() {
                breaker.count_refusal();
            }
        }
    })
}

fn recloser() -> Case<'static> {
    let breaker = Recloser::custom().error_rate(0.5).closed_len(CALLS.into()).open_wait(OPEN_TIME).build();
    Case::new("recloser, window of 100 calls", Clock::Still, move |operations, _| {
        let breaker = black_box(&breaker);
        let passed = (0..operations).filter(|_| breaker.call(|| Ok::<(), ()>(())).is_ok()).count();
        assert_eq!(passed as u64, operations, "it stays closed");
    })
}

fn failsafe_in_a_row() -> Case<'static> {
    let policy = failure_policy::consecutive_failures(5, backoff::constant(OPEN_TIME));
    failsafe("failsafe, failures in a row", Clock::Still, Config::new().failure_policy(policy).build())
}

fn failsafe_in_a_window() -> Case<'static> {
    let policy = failure_policy::success_rate_over_time_window(0.5, 20, SPAN, backoff::constant(OPEN_TIME));
    failsafe("failsafe, window of 60 s", Clock::Read, Config::new().failure_policy(policy).build())
}

fn failsafe(
    name: &'static str,
    clock: Clock,
    breaker: impl failsafe::CircuitBreaker + 'static,
) -> Case<'static> {
    Case::new(name, clock, move |operations, _| {
        let breaker = black_box(&breaker);
        let passed = (0..operations).filter(|_| breaker.call(|| Ok::<(), ()>(())).is_ok()).count();
        assert_eq!(passed as u64, operations, "{name}: it stays closed");
    })
}
