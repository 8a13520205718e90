//! Tests of breakers: what a user writes, what a breaker does by example, and its memory against a naive one.

mod model;
mod scenarios;
mod words;

use super::{BreakerDraft, BreakerSpec, CallResult, CircuitBreaker};
use crate::breaker::BreakerRecorded;
use crate::field::FieldValue;
use crate::time::{Instant, Nanos};

const SECOND: u64 = 1_000_000_000;

fn draft(fields: &[(&str, &str)]) -> BreakerDraft {
    let mut draft = BreakerDraft::default();
    draft.set("scope", FieldValue::Text("route:*")).unwrap();
    for &(field, value) in fields {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft
}

fn spec(fields: &[(&str, &str)]) -> BreakerSpec {
    draft(fields).finish().unwrap()
}

/// Makes a call and tells at once what became of it.
fn call(breaker: &mut CircuitBreaker, now: u64, spec: &BreakerSpec, result: CallResult) -> BreakerRecorded {
    assert!(breaker.check(Instant(now), spec).is_ok(), "at {now}");
    let permit = breaker.acquire(Instant(now), spec);
    breaker.record(Instant(now), spec, permit, result, Some(Nanos(1)), u64::MAX)
}

fn fail(breaker: &mut CircuitBreaker, now: u64, spec: &BreakerSpec) -> BreakerRecorded {
    call(breaker, now, spec, CallResult::Failure)
}

fn succeed(breaker: &mut CircuitBreaker, now: u64, spec: &BreakerSpec) -> BreakerRecorded {
    call(breaker, now, spec, CallResult::Success)
}
