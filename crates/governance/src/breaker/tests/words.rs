//! What a user writes of a breaker, and what is wrong with it.

use super::{draft, spec};
use crate::breaker::{
    BREAKER_FIELDS, BREAKER_TIME_MAX, BreakerDraft, BreakerMode, BreakerOverride, BreakerRates, BreakerSpec,
    BreakerWindow,
};
use crate::field::{FieldValue, Problem};
use crate::scope::Scope;
use crate::time::Nanos;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn read_back(shown: &str) -> BreakerSpec {
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("[[breaker]]"));
    let mut draft = BreakerDraft::default();
    for line in lines {
        let (field, value) = line.split_once(" = ").unwrap();
        let value = match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
            Some(text) => FieldValue::Text(text),
            None => FieldValue::Integer(value.parse().unwrap()),
        };
        draft.set(field, value).unwrap();
    }
    draft.finish().unwrap()
}

fn message(draft: &BreakerDraft) -> String {
    draft.finish().unwrap_err().to_string()
}

#[test]
fn what_is_not_said_is_as_the_sources_have_it() {
    let usual = spec(&[]);
    assert_eq!(usual.window, BreakerWindow::Consecutive { failures: 5, successes: 2 });
    assert_eq!((usual.open_time, usual.open_time_max), (Nanos::from_seconds(60), Nanos::from_seconds(600)));
    assert_eq!((usual.jitter_ppm, usual.permit_timeout), (100_000, Nanos::from_seconds(30)));
    assert_eq!(usual.mode, BreakerMode::Enforce);
    let rates =
        BreakerRates { failure_ppm: 500_000, slow_call: None, slow_ppm: 0, min_calls: 20, probes: 10 };
    assert_eq!(spec(&[("window", "count")]).window, BreakerWindow::Count { calls: 100, rates });
    let slow = BreakerRates { slow_call: Some(Nanos::from_seconds(2)), slow_ppm: 800_000, ..rates };
    let time = BreakerWindow::Time { span: Nanos::from_seconds(60), rates: slow };
    assert_eq!(spec(&[("window", "time"), ("slow_call", "2s")]).window, time);
    // What is said moves what is not.
    assert_eq!(spec(&[("window", "count"), ("calls", "7")]).window.rates().unwrap().min_calls, 7);
    assert_eq!(spec(&[("open_time", "1h")]).open_time_max, Nanos::from_seconds(3600));
    assert_eq!(message(&BreakerDraft::default()), "scope: missing");
}

#[test]
fn a_scope_is_one_route_in_lower_case_or_each() {
    let mut one = BreakerDraft::default();
    one.set("scope", FieldValue::Text("route:GitHub:GET")).unwrap();
    assert_eq!(one.finish().unwrap().scope.to_string(), "route:github:get");
    for scope in [
        "service:github",
        "provider:*",
        "route:github",
        "route::get",
        "route:github:",
        "route:github:*",
        "route:*:get",
        "route:a:b:c",
        "route:",
        "github",
        "",
        "route:a\n:b",
    ] {
        let error = one.set("scope", FieldValue::Text(scope)).unwrap_err();
        assert_eq!(error.field, "scope", "{scope:?}");
    }
    assert_eq!(
        one.set("scope", FieldValue::Text("route:github")).unwrap_err().to_string(),
        "scope: expected route:PROVIDER:METHOD, such as route:github:get, or route:*"
    );
    assert_eq!(
        one.finish().unwrap().scope.to_string(),
        "route:github:get",
        "a refused value leaves no trace"
    );
    let elsewhere = BreakerSpec { scope: Scope::parse("service:a").unwrap(), ..one.finish().unwrap() };
    assert_eq!(elsewhere.check().unwrap_err().field, "scope");
}

#[test]
fn each_bad_value_is_one_clear_line_and_changes_nothing() {
    let mut usual = draft(&[]);
    for (field, value, expected) in [
        ("failures", "0", "expected a whole number from 1 to 1000000"),
        ("failures", "-1", "expected a whole number from 1 to 1000000"),
        ("failures", "1.5", "expected a whole number from 1 to 1000000"),
        ("failures", "99999999999999999999", "expected a whole number from 1 to 1000000"),
        ("successes", "17", "expected a whole number from 1 to 16"),
        ("probes", "0", "expected a whole number from 1 to 16"),
        ("calls", "129", "expected a whole number from 1 to 128"),
        ("min_calls", "0", "expected a whole number from 1 to 1000000"),
        (
            "failure_rate",
            "0%",
            "expected more than 0% and at most 100%, with up to four decimals, such as 50%",
        ),
        (
            "slow_rate",
            "100.0001%",
            "expected more than 0% and at most 100%, with up to four decimals, such as 50%",
        ),
        ("jitter", "50.0001%", "expected at most 50%, with up to four decimals, such as 10%"),
        ("jitter", "0.1", "expected at most 50%, with up to four decimals, such as 10%"),
        ("open_time", "0s", "0 is not allowed; expected at least 1"),
        ("open_time", "60", "expected a whole number and one of ns us ms s m h d, such as 30s"),
        ("span", "999999999999d", "larger than can be expressed in 64 bits"),
        ("window", "sliding", "expected one of consecutive, count, time"),
        ("mode", "off", "expected one of enforce, shadow, disabled"),
    ] {
        let error = usual.set(field, FieldValue::Text(value)).unwrap_err();
        assert_eq!(error.to_string(), format!("{field}: {expected}"), "{value}");
    }
    for field in BREAKER_FIELDS {
        assert_eq!(usual.set(field, FieldValue::Other).unwrap_err().field, field);
        assert_eq!(usual.set(field, FieldValue::Fraction).unwrap_err().field, field);
        assert_eq!(usual.set(field, FieldValue::Integer(-1)).unwrap_err().field, field);
    }
    let unknown = usual.set("threshold", FieldValue::Integer(5)).unwrap_err();
    assert_eq!((unknown.field, unknown.problem), ("breaker", Problem::Unknown(&BREAKER_FIELDS)));
    assert_eq!(usual.finish(), Ok(spec(&[])));
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    for (fields, expected) in [
        (
            &[("window", "count"), ("calls", "10"), ("min_calls", "11")][..],
            "min_calls: expected at most as many as calls, since the breaker would never open",
        ),
        (
            &[("window", "time"), ("span", "15999us")],
            "span: expected 16ms to 1d, since it is cut into 16 parts of a millisecond or more",
        ),
        (
            &[("window", "time"), ("span", "2d")],
            "span: expected 16ms to 1d, since it is cut into 16 parts of a millisecond or more",
        ),
        (&[("open_time", "999us")], "open_time: expected 1ms to 1d"),
        (&[("open_time", "25h")], "open_time: expected 1ms to 1d"),
        (&[("open_time_max", "59s")], "open_time_max: expected at least as long as open_time"),
        (&[("permit_timeout", "1us")], "permit_timeout: expected 1ms to 1d"),
        (&[("window", "time"), ("slow_call", "2d")], "slow_call: expected more than 0s and at most 1d"),
        (&[("window", "time"), ("slow_rate", "5%")], "slow_call: missing; the field slow_rate needs it"),
        (&[("calls", "5")], "calls: does not go with window consecutive, which takes failures and successes"),
        (
            &[("window", "count"), ("failures", "5")],
            "failures: does not go with window count, which takes calls, failure_rate, slow_call, slow_rate, \
             min_calls and probes",
        ),
        (
            &[("window", "time"), ("calls", "5")],
            "calls: does not go with window time, which takes span, failure_rate, slow_call, slow_rate, min_calls \
             and probes",
        ),
    ] {
        let draft = draft(fields);
        assert_eq!(message(&draft), expected, "{fields:?}");
        let mut problems = 0;
        draft.each_problem(|_| problems += 1);
        assert_eq!(problems, 1, "{fields:?}");
    }
    let mut all = Vec::new();
    draft(&[("probes", "1"), ("span", "1s")]).each_problem(|problem| all.push(problem.field));
    assert_eq!(all, ["probes", "span"]);
}

#[test]
fn another_window_drops_what_does_not_go_with_it_and_the_scope_stays() {
    let mut draft = draft(&[("failures", "3"), ("open_time", "5s")]);
    draft.change("window", FieldValue::Text("time")).unwrap();
    draft.change("span", FieldValue::Text("10s")).unwrap();
    draft.change("slow_call", FieldValue::Text("1s")).unwrap();
    let changed = draft.finish().unwrap();
    assert_eq!((changed.window.word(), changed.open_time), ("time", Nanos::from_seconds(5)));
    draft.change("window", FieldValue::Text("count")).unwrap();
    assert_eq!(draft.finish().unwrap().window.rates().unwrap().slow_call, Some(Nanos::from_seconds(1)));
    draft.change("window", FieldValue::Text("consecutive")).unwrap();
    assert_eq!(draft.finish().unwrap().window, BreakerWindow::Consecutive { failures: 5, successes: 2 });
    assert_eq!(draft.change("scope", FieldValue::Text("route:*")).unwrap_err().problem, Problem::Fixed);
}

#[test]
fn overrides_read_as_they_are_written() {
    for word in BreakerOverride::WORDS {
        assert_eq!(BreakerOverride::from_word(word).map(BreakerOverride::word), Some(word));
    }
    assert_eq!(BreakerOverride::from_word("closed"), None);
}

#[test]
fn no_specification_that_is_out_of_range_passes_its_check() {
    let good = spec(&[("window", "count"), ("slow_call", "1s")]);
    assert!(BreakerSpec::EMPTY.check().is_err());
    let with = |rates: BreakerRates| BreakerWindow::Count { calls: 20, rates };
    let rates = *good.window.rates().unwrap();
    for window in [
        BreakerWindow::Consecutive { failures: 0, successes: 1 },
        BreakerWindow::Consecutive { failures: 1, successes: 17 },
        BreakerWindow::Count { calls: 129, rates },
        BreakerWindow::Count { calls: 19, rates },
        BreakerWindow::Time { span: Nanos::MAX, rates },
        with(BreakerRates { failure_ppm: 0, ..rates }),
        with(BreakerRates { failure_ppm: 1_000_001, ..rates }),
        with(BreakerRates { slow_ppm: 0, ..rates }),
        with(BreakerRates { slow_call: Some(Nanos::ZERO), ..rates }),
        with(BreakerRates { min_calls: 0, ..rates }),
        with(BreakerRates { probes: 17, ..rates }),
    ] {
        assert!(BreakerSpec { window, ..good }.check().is_err(), "{window:?}");
    }
    assert!(BreakerSpec { jitter_ppm: 500_001, ..good }.check().is_err());
    assert!(BreakerSpec { permit_timeout: Nanos::MAX, ..good }.check().is_err());
    assert!(BreakerSpec { open_time_max: Nanos::MAX, ..good }.check().is_err());
    assert_eq!(BreakerSpec { open_time_max: BREAKER_TIME_MAX, ..good }.check(), Ok(()));
}

fn specs() -> impl Strategy<Value = BreakerSpec> {
    let rates = (1..=1_000_000_u32, any::<bool>(), 1..=1_000_000_u32, 1..=16_u32).prop_map(
        |(failure_ppm, has_slow, slow_ppm, probes)| BreakerRates {
            failure_ppm,
            slow_call: has_slow.then_some(Nanos(u64::from(slow_ppm) * 3)),
            slow_ppm: if has_slow { slow_ppm } else { 0 },
            min_calls: 1,
            probes,
        },
    );
    let window = prop_oneof![
        (1..=1_000_000_u32, 1..=16_u32)
            .prop_map(|(failures, successes)| BreakerWindow::Consecutive { failures, successes }),
        (1..=128_u32, 1..=128_u32, rates.clone()).prop_map(|(calls, least, rates)| BreakerWindow::Count {
            calls,
            rates: BreakerRates { min_calls: least.min(calls), ..rates }
        }),
        (16_000_000..=BREAKER_TIME_MAX.0, 1..=1_000_000_u32, rates).prop_map(|(span, min_calls, rates)| {
            BreakerWindow::Time { span: Nanos(span), rates: BreakerRates { min_calls, ..rates } }
        }),
    ];
    let time = || 1_000_000..=BREAKER_TIME_MAX.0;
    let scope = prop_oneof![Just("route:*"), Just("route:github:get"), Just("route:\"a\\ b\":ä")];
    let mode =
        prop_oneof![Just(BreakerMode::Enforce), Just(BreakerMode::Shadow), Just(BreakerMode::Disabled)];
    (scope, window, time(), time(), 0..=500_000_u32, time(), mode).prop_map(
        |(scope, window, one, other, jitter_ppm, permit, mode)| BreakerSpec {
            scope: Scope::parse(scope).unwrap(),
            window,
            open_time: Nanos(one.min(other)),
            open_time_max: Nanos(one.max(other)),
            jitter_ppm,
            permit_timeout: Nanos(permit),
            mode,
        },
    )
}

proptest! {
    #[test]
    fn a_breaker_prints_what_reads_back_to_it(spec in specs()) {
        prop_assert_eq!(spec.check(), Ok(()));
        prop_assert_eq!(BreakerDraft::from_spec(&spec).finish(), Ok(spec));
        let shown = spec.to_string();
        if !shown.contains('\\') {
            prop_assert_eq!(read_back(&shown), spec);
        }
    }

    #[test]
    fn an_open_time_doubles_up_to_its_maximum_and_jitter_only_shortens_it(
        spec in specs(),
        opens in 1..300_u32,
        random: u64,
    ) {
        let full = u128::from(spec.open_time.0) << (opens - 1).min(64);
        let full = full.min(u128::from(spec.open_time_max.0));
        let most = if opens == 1 { 0 } else { full * u128::from(spec.jitter_ppm) / 1_000_000 };
        let length = u128::from(spec.open_time_of(opens, random).0);
        prop_assert!((full - most..=full).contains(&length));
        prop_assert_eq!(u128::from(spec.open_time_of(opens, 0).0), full);
        prop_assert_eq!(u128::from(spec.open_time_of(opens, u64::MAX).0), full - most);
    }
}
