//! Retry policies and the loop guard.

use super::STEP;
use crate::keys::{Picks, names};
use crate::measure::{Case, Clock};
use governance::field::FieldValue;
use governance::loop_guard::{GuardDraft, GuardVerdict, LoopGuard, LoopKey};
use governance::retry::{Answer, Attempt, RetryBudget, RetryDraft, RetrySpec};
use governance::scope::{HashSecret, KeyHash, KeyName, Kind, NameRef};
use governance::time::{Instant, Nanos};
use std::hint::black_box;
use std::sync::Mutex;

/// How many callers come in random order: more than the guard's table has places.
const CALLERS: u32 = 10_000;

static GUARDS: [Mutex<LoopGuard>; 2] = [const { Mutex::new(LoopGuard::new()) }; 2];

/// A second attempt that has failed, and is worth a third.
pub fn retries() -> Vec<Case<'static>> {
    vec![
        retry("weir decide, exponential", "exponential", Answer::Status(503)),
        retry("weir decide, decorrelated", "decorrelated", Answer::Status(503)),
        retry("weir decide, a success", "exponential", Answer::Status(200)),
    ]
}

fn retry(name: &'static str, backoff: &'static str, answer: Answer) -> Case<'static> {
    let spec = policy(backoff);
    let attempt = Attempt {
        number: 2,
        answer,
        elapsed: Nanos::from_seconds(1),
        retry_after: None,
        previous_delay: Some(Nanos::from_seconds(1)),
    };
    Case::new(name, Clock::Still, move |operations, seed| {
        let mut randoms = Picks::new(seed, 1 << 31);
        for _ in 0..operations {
            let random = (randoms.next() as u64) << 33;
            black_box(spec.decide(black_box(&attempt), &RetryBudget::EMPTY, random));
        }
    })
}

fn policy(backoff: &str) -> RetrySpec {
    let mut draft = RetryDraft::default();
    draft.set("scope", FieldValue::Text("route:github:get")).unwrap();
    draft.set("backoff", FieldValue::Text(backoff)).unwrap();
    draft.finish().unwrap()
}

/// Callers that no rung of the ladder is for.
pub fn loops() -> Vec<Case<'static>> {
    let [hot, many] = &GUARDS;
    vec![
        admit("weir admit, one caller", hot, 1),
        admit("weir admit, 10 000 callers, 256 places", many, CALLERS),
    ]
}

fn admit(name: &'static str, guard: &'static Mutex<LoopGuard>, count: u32) -> Case<'static> {
    let mut draft = GuardDraft::default();
    for field in ["requests_per_minute", "repeats_per_minute"] {
        draft.set(field, FieldValue::Integer(i64::from(u32::MAX))).unwrap();
    }
    guard.lock().unwrap().configure(draft.finish().unwrap()).unwrap();
    let secret = HashSecret { k0: 1, k1: 2 };
    let hash = |name: &String| secret.hash(Kind::User, KeyName::Text(NameRef::new(name).unwrap()));
    let callers: Vec<(KeyHash, String)> = names(count).into_iter().map(|name| (hash(&name), name)).collect();
    let mut now = Instant(0);
    Case::new(name, Clock::Still, move |operations, seed| {
        let guard = &mut *guard.lock().unwrap();
        let mut picks = Picks::new(seed, callers.len());
        let mut passed = 0;
        for _ in 0..operations {
            now.0 += STEP;
            let (hash, caller) = &callers[picks.next()];
            let key = LoopKey { hash: *hash, caller, target: &"github:get" };
            let answer = guard.admit(now, Some(&key), None);
            passed += u64::from(answer.verdict == GuardVerdict::Pass);
        }
        assert_eq!(passed, operations, "{name}: nobody runs in a loop");
    })
}
