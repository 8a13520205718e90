//! The words of the guard, its edges, and what it shows. That it decides as a model does is tested with the models.

use super::{
    GUARD_FIELDS, GuardAnswer, GuardDraft, GuardFinding, GuardLevel, GuardReason, GuardSettings, GuardStats,
    GuardVerdict, LoopGuard, LoopKey, ServiceLevel,
};
use crate::field::{FieldValue, Problem, SpecError};
use crate::mode::Mode;
use crate::request::RequestPriority;
use crate::scope::KeyHash;
use crate::time::{Instant, Nanos};

const SECOND: u64 = 1_000_000_000;

fn draft(fields: &[(&str, &str)]) -> GuardDraft {
    let mut draft = GuardDraft::default();
    for &(field, value) in fields {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft
}

fn guard(fields: &[(&str, &str)]) -> Box<LoopGuard> {
    let mut guard = Box::new(LoopGuard::new());
    guard.configure(draft(fields).finish().unwrap()).unwrap();
    guard
}

fn ask(guard: &mut LoopGuard, now: u64, key: u64) -> GuardAnswer {
    guard.admit(
        Instant(now),
        Some(&LoopKey { hash: KeyHash(key), caller: &key, target: &"service:web" }),
        None,
    )
}

fn ask_as(guard: &mut LoopGuard, now: u64, class: RequestPriority) -> GuardVerdict {
    guard.admit(Instant(now), None, Some(class)).verdict
}

fn refused(why: GuardReason, seconds: u64) -> GuardVerdict {
    GuardVerdict::Refuse { why, retry: Nanos::from_seconds(seconds) }
}

#[test]
fn without_settings_it_has_no_say_and_keeps_nothing() {
    let mut guard = Box::new(LoopGuard::new());
    assert!(guard.is_idle());
    for _ in 0..1_000 {
        assert_eq!(ask(&mut guard, 5, 1), GuardAnswer::PASS);
        guard.record_failure(Instant(5));
    }
    assert_eq!((guard.stats(Instant(5)), guard.loops(Instant(5)).count()), (GuardStats::default(), 0));
    let only_times = draft(&[("cooldown", "5s"), ("block", "1m")]).finish().unwrap();
    assert_eq!((guard.configure(only_times), guard.is_idle()), (Ok(()), true));
}

#[test]
fn a_caller_climbs_the_ladder_at_its_thresholds() {
    let mut guard = guard(&[("repeats_per_minute", "10")]);
    let answers: Vec<_> = (0..45).map(|_| ask(&mut guard, 0, 7)).collect();
    let level = |number: usize| answers[number - 1].level;
    assert_eq!([9, 10, 19, 20, 39, 40].map(level), {
        use GuardLevel::{Block, Degrade, Delay, Observe};
        [Observe, Delay, Delay, Degrade, Degrade, Block]
    });
    assert_eq!(answers[9].verdict, GuardVerdict::Delay(Nanos::from_millis(250)));
    assert_eq!((answers[19].verdict, answers[19].service), (GuardVerdict::Pass, ServiceLevel::Degraded));
    let GuardVerdict::Refuse { why: GuardReason::Loop, retry } = answers[39].verdict else {
        panic!("it is blocked")
    };
    assert_eq!(
        retry,
        Nanos(61_500_000_001),
        "when it is worth no block any more, and not only after the block"
    );
    let view = guard.loops(Instant(0)).next().unwrap();
    assert_eq!((view.caller.as_str(), view.target.as_str()), ("7", "service:web"));
    assert_eq!((view.count, view.error, view.level, view.strikes), (45, 0, GuardLevel::Block, 1));
    assert_eq!(view.blocked_for, Some(Nanos::from_seconds(10)));
    assert_eq!(ask(&mut guard, 0, 8), GuardAnswer::PASS, "another one is not meant");
    let stats = guard.stats(Instant(0));
    assert_eq!((stats.delayed, stats.degraded, stats.blocked, stats.strikes), (10, 20, 6, 1));
    assert_eq!((stats.requests_this_minute, stats.tracked), (40, 2), "what is refused does not count");
}

#[test]
fn one_that_goes_on_is_blocked_for_longer_each_time() {
    let mut guard = guard(&[("repeats_per_minute", "1"), ("block", "10s")]);
    let mut blocks = Vec::new();
    for tick in 0..4_000 {
        let now = tick * SECOND;
        ask(&mut guard, now, 1);
        let view = guard.loops(Instant(now)).next().unwrap();
        if blocks.last() != Some(&view.strikes) && view.strikes > 0 {
            assert_eq!(view.blocked_for, Some(Nanos::from_seconds(10 * u64::from(view.strikes))));
            blocks.push(view.strikes);
        }
    }
    assert_eq!(blocks, (1..=16).collect::<Vec<_>>());
}

#[test]
fn one_that_comes_when_it_is_told_to_is_not_blocked_again_for_the_same() {
    let mut guard = guard(&[("repeats_per_minute", "10")]);
    let answers: Vec<_> = (0..60).map(|_| ask(&mut guard, 30 * SECOND, 1)).collect();
    let GuardVerdict::Refuse { retry, .. } = answers[59].verdict else { panic!("it is blocked") };
    let answer = ask(&mut guard, 30 * SECOND + retry.0, 1);
    assert_ne!(answer.level, GuardLevel::Block, "{answer:?}");
    assert_eq!((answer.verdict, answer.service), (GuardVerdict::Pass, ServiceLevel::Degraded));
}

/// The callers in the table, and how often each may have asked besides.
fn tracked(guard: &LoopGuard, now: u64) -> Vec<(String, u64)> {
    guard.loops(Instant(now)).map(|view| (view.caller.to_string(), view.error)).collect()
}

#[test]
fn one_that_makes_another_one_go_inherits_its_count_as_an_error() {
    let mut guard = guard(&[("repeats_per_minute", "4")]);
    for key in 1..=256 {
        (0..if key == 7 { 2 } else { 3 }).for_each(|_| {
            ask(&mut guard, 0, key);
        });
    }
    assert_eq!(ask(&mut guard, 0, 999), GuardAnswer::PASS);
    let after = tracked(&guard, 0);
    assert!(after.contains(&("999".to_owned(), 2)) && !after.contains(&("7".to_owned(), 0)));
    assert_eq!(ask(&mut guard, 0, 1_000), GuardAnswer::PASS, "what others asked raises no level");
    let after = tracked(&guard, 0);
    assert!(after.contains(&("1000".to_owned(), 3)) && !after.contains(&("1".to_owned(), 0)));
    assert_eq!((after.len(), guard.stats(Instant(0)).evicted), (256, 2));
}

#[test]
fn one_that_has_calmed_down_makes_room_like_others() {
    let mut guard = guard(&[("repeats_per_minute", "5")]);
    (0..5).for_each(|_| {
        ask(&mut guard, 0, 700);
    });
    for key in 1..=255 {
        (0..3).for_each(|_| {
            ask(&mut guard, 120 * SECOND, key);
        });
    }
    ask(&mut guard, 120 * SECOND, 800);
    let is_there = |guard: &LoopGuard| tracked(guard, 0).iter().any(|(caller, _)| caller == "700");
    assert!(
        is_there(&guard),
        "it is above the first level, though nobody asked less in this minute and the last"
    );
    assert_eq!(ask(&mut guard, 121 * SECOND, 700), GuardAnswer::PASS);
    ask(&mut guard, 122 * SECOND, 801);
    assert!(!is_there(&guard));
}

#[test]
fn above_the_cap_only_what_cannot_wait_goes_on_afterwards() {
    let mut guard = guard(&[("requests_per_minute", "2"), ("cooldown", "90s")]);
    assert_eq!(ask_as(&mut guard, 0, RequestPriority::Batch), GuardVerdict::Pass);
    assert_eq!(ask_as(&mut guard, SECOND, RequestPriority::Normal), GuardVerdict::Pass);
    assert_eq!(guard.degraded_until(Instant(SECOND)), None, "as many as the cap are allowed");
    let third = ask_as(&mut guard, 2 * SECOND, RequestPriority::Critical);
    assert_eq!(third, refused(GuardReason::HardCap, 59));
    assert_eq!(guard.degraded_until(Instant(2 * SECOND)), Some(Nanos::from_seconds(90)));
    let later = 70 * SECOND;
    for class in [RequestPriority::Low, RequestPriority::Batch] {
        assert_eq!(ask_as(&mut guard, later, class), refused(GuardReason::Degraded, 22));
    }
    let answer = guard.admit(Instant(later), None, Some(RequestPriority::Normal));
    assert_eq!((answer.verdict, answer.service), (GuardVerdict::Pass, ServiceLevel::Degraded));
    assert_eq!(ask_as(&mut guard, 92 * SECOND, RequestPriority::Low), GuardVerdict::Pass);
    let stats = guard.stats(Instant(92 * SECOND));
    assert_eq!((stats.capped, stats.shed, stats.entered_degraded, stats.requests_this_minute), (1, 2, 1, 2));
}

#[test]
fn too_many_failures_begin_degraded_mode_once() {
    let mut guard = guard(&[("failures_per_minute", "3"), ("cooldown", "5s")]);
    (0..3).for_each(|_| guard.record_failure(Instant(0)));
    assert_eq!(guard.degraded_until(Instant(0)), None);
    guard.record_failure(Instant(SECOND));
    guard.record_failure(Instant(2 * SECOND));
    assert_eq!(guard.degraded_until(Instant(2 * SECOND)), Some(Nanos::from_seconds(5)));
    assert_eq!(guard.degraded_until(Instant(7 * SECOND)), None);
    let stats = guard.stats(Instant(2 * SECOND));
    assert_eq!((stats.entered_degraded, stats.failures_this_minute), (1, 5));
}

#[test]
fn shadow_mode_says_what_would_be_and_leaves_no_strike_behind() {
    let mut guard = guard(&[("repeats_per_minute", "1"), ("requests_per_minute", "2"), ("mode", "shadow")]);
    let answers: Vec<_> = (0..5).map(|_| ask(&mut guard, 0, 1)).collect();
    for answer in &answers {
        assert_eq!((answer.verdict, answer.service), (GuardVerdict::Pass, ServiceLevel::Full));
    }
    assert_eq!((answers[4].level, answers[4].would.is_some()), (GuardLevel::Block, true));
    let delayed =
        GuardFinding { verdict: GuardVerdict::Delay(Nanos::from_millis(250)), service: ServiceLevel::Full };
    assert_eq!(answers[0].would, Some(delayed));
    let stats = guard.stats(Instant(0));
    assert_eq!((stats.delayed, stats.degraded, stats.blocked, stats.capped), (0, 0, 0, 0));
    assert_eq!((stats.would_delay, stats.would_degrade, stats.would_block, stats.would_cap), (1, 1, 2, 1));
    guard.configure(GuardSettings { mode: Mode::Enforce, ..*guard.settings() }).unwrap();
    assert_eq!((guard.loops(Instant(0)).count(), guard.degraded_until(Instant(0))), (0, None));
    assert_eq!(ask(&mut guard, 0, 1).level, GuardLevel::Delay, "it begins anew");
}

#[test]
fn a_clock_that_goes_back_or_jumps_ends_no_block_early_and_none_late() {
    let mut guard = guard(&[("repeats_per_minute", "1"), ("block", "10s")]);
    let start = 100 * SECOND;
    (0..4).for_each(|_| {
        ask(&mut guard, start, 1);
    });
    assert_eq!(ask(&mut guard, 0, 1).level, GuardLevel::Block);
    assert_eq!(guard.loops(Instant(0)).next().unwrap().blocked_for, Some(Nanos::from_seconds(10)));
    let far = u64::MAX - 1;
    assert_eq!(
        ask(&mut guard, far, 1).level,
        GuardLevel::Delay,
        "one request, and nothing is left of before"
    );
    assert_eq!(ask(&mut guard, u64::MAX, 2).level, GuardLevel::Delay);
    (0..5).for_each(|_| {
        ask(&mut guard, u64::MAX, 1);
    });
    assert_eq!(guard.loops(Instant(u64::MAX)).count(), 2);
}

#[test]
fn a_reset_forgets_what_was_counted_and_keeps_the_settings() {
    let mut guard =
        guard(&[("repeats_per_minute", "1"), ("requests_per_minute", "3"), ("failures_per_minute", "1")]);
    for key in 0..300 {
        ask(&mut guard, 0, key);
        guard.record_failure(Instant(0));
    }
    let settings = *guard.settings();
    guard.reset();
    assert_eq!((guard.stats(Instant(0)), *guard.settings()), (GuardStats::default(), settings));
    assert_eq!((guard.loops(Instant(0)).count(), guard.degraded_until(Instant(0))), (0, None));
    assert_eq!(ask(&mut guard, 0, 1).level, GuardLevel::Delay);
}

#[test]
fn settings_out_of_range_change_nothing() {
    let mut guard = guard(&[("repeats_per_minute", "1")]);
    let settings = *guard.settings();
    for (field, wrong) in [
        ("requests_per_minute", GuardSettings { requests_per_minute: Some(0), ..settings }),
        ("repeats_per_minute", GuardSettings { repeats_per_minute: Some(0), ..settings }),
        ("failures_per_minute", GuardSettings { failures_per_minute: Some(0), ..settings }),
        ("cooldown", GuardSettings { cooldown: Nanos::ZERO, ..settings }),
        ("delay", GuardSettings { delay: Nanos::ZERO, ..settings }),
        ("block", GuardSettings { block: Nanos::ZERO, ..settings }),
    ] {
        assert_eq!(guard.configure(wrong), Err(SpecError { field, problem: Problem::Zero }));
    }
    assert!(guard.configure(GuardSettings { block: Nanos::MAX, ..settings }).is_err());
    assert_eq!(*guard.settings(), settings);
    assert_eq!(guard.configure(GuardSettings::IDLE), Ok(()));
    assert!(guard.is_idle());
}

#[test]
fn a_live_change_keeps_what_was_counted() {
    let mut guard = guard(&[("repeats_per_minute", "100")]);
    (0..50).for_each(|_| {
        ask(&mut guard, 0, 1);
    });
    guard.configure(GuardSettings { repeats_per_minute: Some(51), ..*guard.settings() }).unwrap();
    assert_eq!(ask(&mut guard, 0, 1).level, GuardLevel::Delay);
    let capped =
        GuardSettings { repeats_per_minute: None, requests_per_minute: Some(51), ..*guard.settings() };
    guard.configure(capped).unwrap();
    assert_eq!(guard.loops(Instant(0)).count(), 0, "nobody looks for loops");
    assert_eq!(ask(&mut guard, 0, 1).verdict, refused(GuardReason::HardCap, 61));
}

#[test]
fn a_long_name_is_cut_and_not_refused() {
    let mut guard = guard(&[("repeats_per_minute", "5")]);
    let long = "é".repeat(40);
    let key = LoopKey { hash: KeyHash(1), caller: &long, target: &"" };
    guard.admit(Instant(0), Some(&key), None);
    let view = guard.loops(Instant(0)).next().unwrap();
    assert_eq!((view.caller.as_str(), view.target.is_empty()), ("é".repeat(32).as_str(), true));
}

#[test]
fn settings_print_what_reads_back_to_them() {
    for fields in [
        &[][..],
        &[("repeats_per_minute", "600")],
        &[
            ("requests_per_minute", "60000"),
            ("repeats_per_minute", "600"),
            ("failures_per_minute", "4294967295"),
            ("cooldown", "90s"),
            ("delay", "1ns"),
            ("block", "1d"),
            ("mode", "shadow"),
        ],
    ] {
        let first = draft(fields).finish().unwrap();
        let shown = first.to_string();
        assert!(shown.starts_with("[traffic]\n"), "{shown}");
        let mut again = GuardDraft::default();
        for line in shown.lines().skip(1) {
            let (field, value) = line.split_once(" = ").unwrap();
            again.set(field, FieldValue::Text(value.trim_matches('"'))).unwrap();
        }
        assert_eq!(again.finish(), Ok(first));
        assert_eq!(GuardDraft::from_settings(&first).finish(), Ok(first));
    }
}

#[test]
fn values_out_of_range_are_refused_and_leave_the_draft() {
    let mut one = draft(&[("repeats_per_minute", "7")]);
    for (field, value) in [
        ("requests_per_minute", "0"),
        ("requests_per_minute", "4294967296"),
        ("repeats_per_minute", "0"),
        ("repeats_per_minute", "-1"),
        ("failures_per_minute", "many"),
        ("cooldown", "0s"),
        ("cooldown", "60"),
        ("delay", "0ms"),
        ("block", "0s"),
        ("block", "25h"),
        ("mode", "off"),
    ] {
        assert_eq!(one.set(field, FieldValue::Text(value)).unwrap_err().field, field, "{value}");
    }
    let zero = one.set("requests_per_minute", FieldValue::Integer(0)).unwrap_err();
    assert_eq!(zero.to_string(), "requests_per_minute: 0 is not allowed; expected at least 1");
    assert_eq!(one.finish().unwrap().repeats_per_minute, Some(7));
    assert_eq!(one.set("x", FieldValue::Other).unwrap_err().problem, Problem::Unknown(&GUARD_FIELDS));
}
