//! What is repeated, when, and why not.

use super::{
    Answer, Attempt, BUDGET_MAX, Backoff, CallError, DELAY_MAX, DELAY_MIN, GiveUp, Meaning, RETRY_FIELDS,
    RetryBudget, RetryDecision, RetryDraft, RetrySpec,
};
use crate::field::{FieldValue, Problem, SpecError};
use crate::time::Nanos;
use num_bigint::BigUint;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

fn draft(fields: &[(&str, &str)]) -> RetryDraft {
    let mut draft = RetryDraft::default();
    for &(field, value) in fields {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft
}

fn spec(fields: &[(&str, &str)]) -> RetrySpec {
    let mut draft = draft(fields);
    draft.set("scope", FieldValue::Text("route:*")).unwrap();
    draft.finish().unwrap()
}

fn failed(number: u32) -> Attempt {
    Attempt {
        number,
        answer: Answer::Status(503),
        elapsed: Nanos::ZERO,
        retry_after: None,
        previous_delay: None,
    }
}

fn decide(spec: &RetrySpec, attempt: Attempt) -> RetryDecision {
    spec.decide(&attempt, &RetryBudget::EMPTY, 0)
}

fn seconds(seconds: u64, attempt: u32) -> RetryDecision {
    RetryDecision::Retry { after: Nanos::from_seconds(seconds), attempt }
}

#[test]
fn what_is_not_said_has_the_usual_values() {
    let spec = spec(&[]);
    let backoff = Backoff::Exponential { base_milli: 2_000, jitter_ppm: 100_000 };
    assert_eq!((spec.backoff, spec.attempts, spec.budget_milli), (backoff, 3, 10_000));
    assert_eq!((spec.initial_delay, spec.max_delay), (Nanos::from_seconds(1), Nanos::from_seconds(60)));
    assert_eq!((spec.give_up_after, spec.check()), (Nanos::ZERO, Ok(())));
    let missing = RetryDraft::default().finish();
    assert_eq!(missing, Err(SpecError { field: "scope", problem: Problem::Missing }));
    assert!(RetrySpec::EMPTY.check().is_err());
    assert_eq!(decide(&RetrySpec::EMPTY, failed(1)), RetryDecision::GiveUp(GiveUp::Disabled));
}

#[test]
fn only_what_may_be_answered_otherwise_is_repeated() {
    let spec = spec(&[]);
    for status in [408, 429, 500, 502, 503, 504, 599] {
        let attempt = Attempt { answer: Answer::Status(status), ..failed(1) };
        assert_eq!(decide(&spec, attempt), seconds(1, 2), "{status}");
    }
    for status in [0, 99, 400, 401, 403, 404, 409, 410, 422, 499, 501, 505, 600, 999, u16::MAX] {
        let attempt = Attempt { answer: Answer::Status(status), ..failed(1) };
        assert_eq!(decide(&spec, attempt), RetryDecision::GiveUp(GiveUp::NotRetriable), "{status}");
    }
    for status in [100, 200, 204, 304, 399] {
        let attempt = Attempt { answer: Answer::Status(status), ..failed(1) };
        assert_eq!(decide(&spec, attempt), RetryDecision::GiveUp(GiveUp::Succeeded), "{status}");
    }
    for word in CallError::WORDS {
        let error = CallError::from_word(word).unwrap();
        let attempt = Attempt { answer: Answer::Error(error), ..failed(1) };
        assert_eq!((decide(&spec, attempt), error.to_string().as_str()), (seconds(1, 2), word));
    }
    assert_eq!(CallError::from_word("dns"), None);
}

#[test]
fn each_reason_to_give_up_is_given() {
    let spec = spec(&[("attempts", "3"), ("give_up_after", "10s"), ("max_delay", "8s"), ("jitter", "0%")]);
    let gives_up = |attempt, why| assert_eq!(decide(&spec, attempt), RetryDecision::GiveUp(why));
    assert_eq!(decide(&spec, failed(2)), seconds(2, 3));
    gives_up(failed(3), GiveUp::AttemptsExhausted);
    gives_up(failed(u32::MAX), GiveUp::AttemptsExhausted);
    let elapsed = |seconds| Attempt { elapsed: Nanos::from_seconds(seconds), ..failed(1) };
    assert_eq!(decide(&spec, elapsed(9)), seconds(1, 2), "it begins at ten seconds, and not later");
    gives_up(elapsed(10), GiveUp::TimeExhausted);
    gives_up(Attempt { elapsed: Nanos::MAX, ..failed(1) }, GiveUp::TimeExhausted);
    let asked = |seconds| Attempt { retry_after: Some(Nanos::from_seconds(seconds)), ..failed(1) };
    assert_eq!(decide(&spec, asked(8)), seconds(8, 2), "what the answer asks for is a floor");
    assert_eq!(decide(&spec, asked(0)), seconds(1, 2));
    gives_up(asked(9), GiveUp::RetryAfterAboveCap);
    gives_up(Attempt { retry_after: Some(Nanos::MAX), ..failed(1) }, GiveUp::RetryAfterAboveCap);
    let mut budget = RetryBudget::EMPTY;
    (0..5).for_each(|_| budget.record(&spec, Answer::Status(500)));
    let decision = spec.decide(&failed(1), &budget, 0);
    assert_eq!(decision, RetryDecision::GiveUp(GiveUp::BudgetExhausted));
    let none = draft(&[("scope", "route:*"), ("backoff", "none")]).finish().unwrap();
    assert_eq!(decide(&none, failed(1)), RetryDecision::GiveUp(GiveUp::Disabled));
    let succeeded = Attempt { answer: Answer::Status(200), ..failed(1) };
    assert_eq!(decide(&none, succeeded), RetryDecision::GiveUp(GiveUp::Succeeded));
    assert_eq!(GiveUp::TimeExhausted.to_string(), "the next attempt would begin later than give_up_after");
}

#[test]
fn an_attempt_without_a_number_is_the_first() {
    let spec = spec(&[("jitter", "0%")]);
    assert_eq!(decide(&spec, failed(0)), decide(&spec, failed(1)));
}

#[test]
fn a_delay_before_that_nobody_can_have_waited_changes_no_bound() {
    let spec = spec(&[("backoff", "decorrelated"), ("initial_delay", "2s"), ("max_delay", "8s")]);
    for previous in [Nanos::ZERO, Nanos(1), Nanos::MAX] {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let attempt = Attempt { previous_delay: Some(previous), ..failed(1) };
            let RetryDecision::Retry { after, .. } = spec.decide(&attempt, &RetryBudget::EMPTY, random)
            else {
                panic!("it is repeated")
            };
            assert!((spec.initial_delay..=spec.max_delay).contains(&after), "{previous} {after}");
        }
    }
}

#[test]
fn a_budget_is_given_back_by_ten_successes_and_by_nothing_else() {
    let spec = spec(&[("budget", "4")]);
    let mut budget = RetryBudget::EMPTY;
    budget.record(&spec, Answer::Status(200));
    assert_eq!(budget, RetryBudget::EMPTY, "there is no more than all of it");
    budget.record(&spec, Answer::Status(503));
    assert!(budget.allows(&spec));
    budget.record(&spec, Answer::Error(CallError::Timeout));
    assert_eq!((budget.left_milli(&spec), budget.allows(&spec)), (2_000, false));
    budget.record(&spec, Answer::Status(404));
    assert_eq!(budget.left_milli(&spec), 2_000, "a mistake of the caller is no failure");
    budget.record(&spec, Answer::Status(200));
    assert_eq!((budget.left_milli(&spec), budget.allows(&spec)), (2_100, true));
    (0..1_000).for_each(|_| budget.record(&spec, Answer::Status(503)));
    assert_eq!(budget.left_milli(&spec), 0);
    (0..21).for_each(|_| budget.record(&spec, Answer::Status(200)));
    assert!(budget.allows(&spec), "a long outage is not remembered for longer than a short one");
    let smaller = RetrySpec { budget_milli: 1_000, ..spec };
    assert_eq!(RetryBudget { used_milli: u32::MAX }.left_milli(&smaller), 0);
}

#[test]
fn a_policy_prints_what_reads_back_to_it() {
    for fields in [
        &[("scope", "route:OpenAI:POST")][..],
        &[("scope", "route:a\"b:get"), ("base", "1.001"), ("jitter", "0.0001%"), ("give_up_after", "5m")],
        &[
            ("scope", "route:*"),
            ("base", "1.5"),
            ("attempts", "1000000"),
            ("initial_delay", "1ms"),
            ("budget", "3"),
        ],
        &[
            ("scope", "route:*"),
            ("base", "100"),
            ("jitter", "100%"),
            ("max_delay", "1d"),
            ("initial_delay", "1d"),
        ],
        &[("scope", "route:*"), ("base", "1.25")],
        &[("scope", "route:*"), ("backoff", "decorrelated"), ("budget", "1000000")],
        &[("scope", "route:*"), ("backoff", "none"), ("max_delay", "1ms")],
    ] {
        let first = draft(fields).finish().unwrap();
        assert_eq!(first.check(), Ok(()));
        let mut again = RetryDraft::default();
        let shown = first.to_string();
        assert!(shown.starts_with("[[retry]]\nscope = \"route:"), "{shown}");
        for line in shown.lines().skip(1) {
            let (field, value) = line.split_once(" = ").unwrap();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            again.set(field, FieldValue::Text(&value.replace("\\\"", "\""))).unwrap();
        }
        assert_eq!(again.finish(), Ok(first), "{shown}");
        assert_eq!(RetryDraft::from_spec(&first).finish(), Ok(first));
    }
}

#[test]
fn values_out_of_range_are_refused_and_leave_the_draft() {
    let mut one = draft(&[("scope", "route:*"), ("attempts", "7")]);
    for (field, value) in [
        ("scope", "service:github"),
        ("scope", "route:github"),
        ("scope", "route::get"),
        ("scope", "route:github:"),
        ("scope", "route:github:*"),
        ("scope", "route:a:b:c"),
        ("scope", "github"),
        ("backoff", "linear"),
        ("attempts", "0"),
        ("attempts", "1000001"),
        ("attempts", "-1"),
        ("initial_delay", "0s"),
        ("initial_delay", "999us"),
        ("initial_delay", "soon"),
        ("max_delay", "0s"),
        ("max_delay", "25h"),
        ("max_delay", "5"),
        ("base", "0"),
        ("base", "0.999"),
        ("base", "1.0001"),
        ("base", "100.001"),
        ("base", "2."),
        ("base", "-2"),
        ("base", "99999999999"),
        ("jitter", "100.0001%"),
        ("jitter", "0.1"),
        ("jitter", "-1%"),
        ("give_up_after", "0s"),
        ("give_up_after", "1"),
        ("budget", "2"),
        ("budget", "1000001"),
    ] {
        assert_eq!(one.set(field, FieldValue::Text(value)).unwrap_err().field, field, "{field} {value}");
    }
    assert_eq!(one.finish().unwrap().attempts, 7);
    assert_eq!(one.set("base", FieldValue::Fraction).unwrap_err().field, "base");
    one.set("base", FieldValue::Integer(3)).unwrap();
    assert!(matches!(one.finish().unwrap().backoff, Backoff::Exponential { base_milli: 3_000, .. }));
    assert_eq!(one.set("x", FieldValue::Other).unwrap_err().problem, Problem::Unknown(&RETRY_FIELDS));
    assert_eq!(one.change("scope", FieldValue::Text("route:*")).unwrap_err().problem, Problem::Fixed);
    let message = one.set("base", FieldValue::Text("two")).unwrap_err().to_string();
    let expected = "base: expected a number from 1 to 100 with up to three decimals, as a string such as \"2\" or \"1.5\"";
    assert_eq!(message, expected);
}

#[test]
fn fields_that_do_not_go_together_are_refused() {
    let both = draft(&[("scope", "route:*"), ("backoff", "decorrelated"), ("jitter", "5%")]).finish();
    let message = "jitter: does not go with backoff decorrelated, which takes initial_delay and max_delay";
    assert_eq!(both.unwrap_err().to_string(), message);
    let order = draft(&[("scope", "route:*"), ("initial_delay", "2s"), ("max_delay", "1s")]).finish();
    assert_eq!(order.unwrap_err().to_string(), "max_delay: expected at least initial_delay");
    assert_eq!(spec(&[("max_delay", "10ms")]).initial_delay, Nanos::from_millis(10));
    assert_eq!(spec(&[("initial_delay", "2m")]).max_delay, Nanos::from_seconds(120));
    let mut changed = RetryDraft::from_spec(&spec(&[("base", "3")]));
    changed.change("backoff", FieldValue::Text("decorrelated")).unwrap();
    assert_eq!(changed.finish().unwrap().backoff, Backoff::Decorrelated);
}

#[test]
fn a_policy_out_of_range_is_found_by_a_check() {
    let good = spec(&[]);
    let exponential = |base_milli, jitter_ppm| Backoff::Exponential { base_milli, jitter_ppm };
    for (field, wrong) in [
        ("attempts", RetrySpec { attempts: 0, ..good }),
        ("initial_delay", RetrySpec { initial_delay: Nanos(DELAY_MIN.0 - 1), ..good }),
        ("max_delay", RetrySpec { max_delay: Nanos(DELAY_MAX.0 + 1), ..good }),
        ("max_delay", RetrySpec { max_delay: Nanos::from_millis(999), ..good }),
        ("base", RetrySpec { backoff: exponential(999, 0), ..good }),
        ("jitter", RetrySpec { backoff: exponential(1_000, 1_000_001), ..good }),
        ("budget", RetrySpec { budget_milli: 0, ..good }),
        ("budget", RetrySpec { budget_milli: 1_500, ..good }),
        ("budget", RetrySpec { budget_milli: 1_000 * BUDGET_MAX + 1_000, ..good }),
    ] {
        assert_eq!(wrong.check().unwrap_err().field, field);
    }
}

/// The delay before jitter, in exact whole numbers: first × base^steps, rounded down.
fn exact(first: u64, base_milli: u32, steps: u32, longest: u64) -> u64 {
    // What is far above the longest delay stays there.
    let enough = BigUint::from(longest) * BigUint::from(1_u32 << 20);
    let (mut grown, mut scale) = (BigUint::from(first), BigUint::from(1_u32));
    for _ in 0..steps {
        grown *= base_milli;
        scale *= 1_000_u32;
        if &grown / &scale > enough {
            return longest;
        }
    }
    u64::try_from(grown / scale).unwrap_or(longest).min(longest)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_exponential_form_grows_as_exact_numbers_do(
        first in 1_000_000..1_000_000_000_u64,
        longest in 0..3_600_000_000_000_u64,
        base_milli in 1_000..=4_000_u32,
        number in prop::sample::select(vec![1_u32, 2, 3, 5, 12, 40, 100, 200]),
    ) {
        let longest = first + longest;
        let spec = RetrySpec {
            backoff: Backoff::Exponential { base_milli, jitter_ppm: 0 },
            attempts: u32::MAX,
            initial_delay: Nanos(first),
            max_delay: Nanos(longest),
            ..spec(&[])
        };
        let RetryDecision::Retry { after, .. } = decide(&spec, failed(number)) else { panic!("it is repeated") };
        let exact = exact(first, base_milli, number - 1, longest);
        prop_assert!(after.0 <= exact, "{after} {exact}");
        prop_assert!(u128::from(exact - after.0) * 1_000_000 <= u128::from(exact), "{after} {exact}");
    }

    #[test]
    fn no_decision_leaves_the_bounds_of_its_policy(
        first in 1_u64..=86_400_000,
        more in 0_u64..=86_400_000,
        shape in 0..3_u8,
        (base_milli, jitter_ppm) in (1_000..=100_000_u32, 0..=1_000_000_u32),
        attempt in (any::<u32>(), any::<u16>(), any::<u64>()),
        asked in prop::option::of(any::<u64>()),
        previous in prop::option::of(any::<u64>()),
        used_milli in any::<u32>(),
        random in any::<u64>(),
    ) {
        let backoff = match shape {
            0 => Backoff::None,
            1 => Backoff::Exponential { base_milli, jitter_ppm },
            _ => Backoff::Decorrelated,
        };
        let spec = RetrySpec {
            backoff,
            attempts: u32::MAX,
            initial_delay: Nanos::from_millis(first),
            max_delay: Nanos::from_millis((first + more).min(86_400_000)),
            ..spec(&[])
        };
        prop_assert_eq!(spec.check().map_err(|error| error.field), Err("attempts"));
        let (number, status, elapsed) = attempt;
        let attempt = Attempt {
            number,
            answer: Answer::Status(status),
            elapsed: Nanos(elapsed),
            retry_after: asked.map(Nanos),
            previous_delay: previous.map(Nanos),
        };
        let budget = RetryBudget { used_milli };
        let decision = spec.decide(&attempt, &budget, random);
        prop_assert_eq!(decision, spec.decide(&attempt, &budget, random));
        if let RetryDecision::Retry { after, attempt: next } = decision {
            prop_assert!(after <= spec.max_delay);
            prop_assert!(after.0 >= asked.unwrap_or(0));
            prop_assert_eq!(next, number.max(1) + 1);
            prop_assert_eq!(attempt.answer.meaning(), Meaning::Retriable);
            prop_assert!(budget.allows(&spec) && shape != 0);
            if shape == 2 {
                prop_assert!(after >= spec.initial_delay);
            }
        }
    }
}
