//! The models against examples worked out by hand.

use sim::oracle::rule::{Algorithm, Align, Clocks};
use sim::oracle::{Meter, Wait};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const YEAR: u64 = 365 * 24 * 60 * MINUTE;

fn at(ns: u64) -> Clocks {
    Clocks::both(ns)
}

/// Ten tokens, one back each second.
const BUCKET: Algorithm = Algorithm::TokenBucket { capacity: 10, tokens: 1, per_ns: SECOND };
/// The same as a queue.
const QUEUE: Algorithm = Algorithm::LeakyQueue { capacity: 10, tokens: 1, per_ns: SECOND };
/// Five in each minute of UTC.
const WINDOW: Algorithm = Algorithm::FixedWindow { limit: 5, window_ns: MINUTE, align: Align::Clock };
/// Fifty in each minute of UTC, smoothed.
const COUNTER: Algorithm = Algorithm::SlidingCounter { limit: 50, window_ns: MINUTE, align: Align::Clock };
/// Three in any ten seconds.
const LOG: Algorithm = Algorithm::SlidingLog { limit: 3, window_ns: 10 * SECOND };

fn meter(algorithm: Algorithm, now: u64) -> Meter {
    Meter::new(algorithm, 0, at(now))
}

/// A meter of each algorithm that counts.
fn meters(now: u64) -> Vec<Meter> {
    [
        BUCKET,
        Algorithm::LeakyBucket { capacity: 10, tokens: 1, per_ns: SECOND },
        QUEUE,
        WINDOW,
        Algorithm::FixedWindow { limit: 5, window_ns: MINUTE, align: Align::Spread },
        COUNTER,
        LOG,
    ]
    .map(|algorithm| meter(algorithm, now))
    .to_vec()
}

#[test]
fn every_algorithm_admits_exactly_its_capacity_in_one_instant() {
    for mut meter in meters(7 * SECOND) {
        let capacity = meter.remaining(at(7 * SECOND));
        let admitted = (0..200).filter(|_| meter.decide(at(7 * SECOND), 1)).count();
        assert_eq!(u64::try_from(admitted), Ok(capacity), "{meter:?}");
        assert_eq!(meter.remaining(at(7 * SECOND)), 0);
    }
}

#[test]
fn the_whole_capacity_passes_at_once_and_one_more_never_does() {
    for meter in meters(0) {
        let capacity = meter.remaining(at(0));
        assert_eq!(meter.retry(at(0), capacity), Wait::Nanos(0));
        for cost in [capacity + 1, u64::MAX] {
            assert!(!meter.allows(at(0), cost));
            assert_eq!(meter.retry(at(0), cost), Wait::Never, "{meter:?}");
        }
        assert!(meter.clone().decide(at(0), capacity));
    }
}

#[test]
fn a_cost_of_nothing_passes_an_empty_meter_and_charges_nothing() {
    for mut meter in meters(0) {
        meter.drain(at(0));
        let before = meter.clone();
        assert!(meter.decide(at(0), 0));
        assert_eq!(meter.delay_ns(at(0), 0), 0);
        assert_eq!(meter.fraction_left(at(0)), before.fraction_left(at(0)));
    }
}

#[test]
fn time_going_back_is_time_standing_still() {
    for mut meter in meters(100 * SECOND) {
        meter.drain(at(100 * SECOND));
        meter.see(at(101 * SECOND));
        let (remaining, retry) = (meter.remaining(at(101 * SECOND)), meter.retry(at(101 * SECOND), 1));
        for earlier in [100 * SECOND, 40 * SECOND, 0] {
            assert_eq!(meter.remaining(at(earlier)), remaining);
            assert_eq!(meter.retry(at(earlier), 1), retry);
            assert!(!meter.clone().decide(at(earlier), remaining + 1));
        }
    }
}

#[test]
fn a_year_gives_back_the_capacity_and_not_more() {
    for mut meter in meters(0) {
        let capacity = meter.remaining(at(0));
        meter.drain(at(0));
        assert_eq!(meter.remaining(at(YEAR)), capacity);
        assert!(!meter.allows(at(YEAR), capacity + 1));
        assert_eq!(meter.reset(at(YEAR)), Wait::Nanos(0));
        assert_eq!(meter.remaining(at(u64::MAX)), capacity);
    }
}

#[test]
fn a_bucket_gives_back_fractions_exactly() {
    // Three tokens in ten nanoseconds: one after 3.33.., so after 4 and not after 3.
    let mut meter = meter(Algorithm::TokenBucket { capacity: 2, tokens: 3, per_ns: 10 }, 0);
    assert!(meter.decide(at(0), 2));
    assert_eq!(meter.retry(at(0), 1), Wait::Nanos(4));
    assert_eq!(meter.retry(at(0), 2), Wait::Nanos(7));
    assert_eq!(meter.reset(at(0)), Wait::Nanos(7));
    assert!(!meter.decide(at(3), 1));
    assert!(meter.decide(at(4), 1));
    // 1.2 tokens came back, one was taken; the next is complete 0.8 / 0.3 = 2.66.. later.
    assert_eq!(meter.retry(at(4), 1), Wait::Nanos(3));
    assert!(!meter.decide(at(6), 1));
    assert!(meter.decide(at(7), 1));
}

#[test]
fn a_bucket_that_takes_longer_than_any_clock_says_the_longest_wait() {
    let slow = Algorithm::TokenBucket { capacity: 1 << 40, tokens: 1, per_ns: 24 * 60 * MINUTE };
    let mut meter = meter(slow, 0);
    assert!(meter.decide(at(0), 1 << 40));
    assert_eq!(meter.retry(at(0), 1 << 39), Wait::Nanos(u64::MAX));
    assert_eq!(meter.reset(at(0)), Wait::Nanos(u64::MAX));
    assert_eq!(meter.retry(at(0), 1), Wait::Nanos(24 * 60 * MINUTE));
}

#[test]
fn a_queue_delays_by_what_came_before() {
    let mut meter = meter(QUEUE, 0);
    for position in 0..10 {
        assert_eq!(meter.delay_ns(at(0), 1), position * SECOND);
        assert!(meter.decide(at(0), 1));
    }
    assert!(!meter.decide(at(0), 1));
    assert_eq!(meter.delay_ns(at(SECOND / 2), 1), 9 * SECOND + SECOND / 2);
    assert!(meter.decide(at(SECOND), 1));
    // A level that takes a fraction of a nanosecond to drain takes a whole one.
    let mut quick = Meter::new(Algorithm::LeakyQueue { capacity: 9, tokens: 3, per_ns: 10 }, 0, at(0));
    quick.decide(at(0), 1);
    assert_eq!(quick.delay_ns(at(0), 1), 4);
}

#[test]
fn a_fixed_window_ends_on_its_edge() {
    let mut meter = meter(WINDOW, 90 * SECOND);
    assert!(meter.decide(at(90 * SECOND), 5));
    assert_eq!(meter.retry(at(90 * SECOND), 1), Wait::Nanos(30 * SECOND));
    assert_eq!(meter.reset(at(90 * SECOND)), Wait::Nanos(30 * SECOND));
    assert!(!meter.decide(at(120 * SECOND - 1), 1));
    assert!(meter.decide(at(120 * SECOND), 5));
    assert_eq!(meter.retry(at(120 * SECOND), 1), Wait::Nanos(60 * SECOND));
}

#[test]
fn spread_windows_begin_where_the_hash_says_even_before_the_first_edge() {
    let spread = Algorithm::FixedWindow { limit: 1, window_ns: MINUTE, align: Align::Spread };
    for (hash, phase) in [(0, 0), (1 << 63, 30 * SECOND), (1 << 62, 15 * SECOND), (u64::MAX, MINUTE - 1)] {
        let mut meter = Meter::new(spread, hash, at(0));
        assert!(meter.decide(at(0), 1));
        let edge = if phase == 0 { MINUTE } else { phase };
        assert_eq!(meter.retry(at(0), 1), Wait::Nanos(edge), "{hash}");
        assert!(!meter.decide(at(edge - 1), 1));
        assert!(meter.decide(at(edge), 1));
    }
}

#[test]
fn aligned_windows_follow_the_wall_clock_and_all_others_the_monotonic_one() {
    let now = |instant_ns, wall_ns| Clocks { instant_ns, wall_ns };
    let mut aligned = Meter::new(WINDOW, u64::MAX, now(5, 100 * SECOND));
    aligned.decide(now(5, 100 * SECOND), 5);
    assert_eq!(aligned.retry(now(YEAR, 100 * SECOND), 1), Wait::Nanos(20 * SECOND));
    let mut bucket = Meter::new(BUCKET, 0, now(5, 100 * SECOND));
    bucket.decide(now(5, 100 * SECOND), 10);
    assert_eq!(bucket.retry(now(5, YEAR), 1), Wait::Nanos(SECOND));
}

#[test]
fn a_sliding_counter_weighs_the_window_before() {
    // Cloudflare's example: 42 in the minute before, 18 in this one, 15 s into it: 42 · 45/60 + 18 = 49.5.
    let mut meter = meter(COUNTER, 0);
    assert!(meter.decide(at(30 * SECOND), 42));
    assert!(meter.decide(at(75 * SECOND), 18));
    assert_eq!(meter.remaining(at(75 * SECOND)), 0);
    // One more needs 42 · (60 − e)/60 ≤ 31, so e ≥ 15.714285714.. s.
    assert_eq!(meter.retry(at(75 * SECOND), 1), Wait::Nanos(714_285_715));
    assert!(meter.allows(at(75 * SECOND + 714_285_715), 1));
    assert!(!meter.allows(at(75 * SECOND + 714_285_714), 1));
    // All fifty need what is in this window to leave the one after it: at 180 s.
    assert_eq!(meter.retry(at(75 * SECOND), 50), Wait::Nanos(105 * SECOND));
    assert_eq!(meter.reset(at(75 * SECOND)), Wait::Nanos(105 * SECOND));
}

#[test]
fn a_sliding_counter_forgets_a_window_that_is_not_the_one_before() {
    let mut meter = meter(COUNTER, 0);
    assert!(meter.decide(at(59 * SECOND), 50));
    assert_eq!(meter.remaining(at(60 * SECOND)), 0);
    assert_eq!(meter.remaining(at(90 * SECOND)), 25);
    assert_eq!(meter.remaining(at(120 * SECOND - 1)), 49);
    assert_eq!(meter.remaining(at(120 * SECOND)), 50);
}

#[test]
fn a_sliding_log_counts_what_lies_in_the_half_open_window() {
    let mut meter = meter(LOG, 0);
    for second in [1, 4, 6] {
        assert!(meter.decide(at(second * SECOND), 1));
    }
    assert_eq!(meter.retry(at(7 * SECOND), 1), Wait::Nanos(4 * SECOND));
    assert_eq!(meter.retry(at(7 * SECOND), 2), Wait::Nanos(7 * SECOND));
    assert_eq!(meter.retry(at(7 * SECOND), 3), Wait::Nanos(9 * SECOND));
    assert_eq!(meter.reset(at(7 * SECOND)), Wait::Nanos(9 * SECOND));
    assert!(!meter.decide(at(11 * SECOND - 1), 1));
    assert!(meter.decide(at(11 * SECOND), 1)); // (1 s, 11 s] no longer holds 1 s
    assert!(!meter.decide(at(11 * SECOND), 1));
}

#[test]
fn unlimited_passes_anything_and_a_ban_nothing() {
    let mut unlimited = meter(Algorithm::Unlimited, 0);
    assert!(unlimited.decide(at(0), u64::MAX) && unlimited.decide(at(0), u64::MAX));
    assert_eq!(unlimited.remaining(at(0)), u64::MAX);
    assert_eq!(unlimited.reset(at(0)), Wait::Nanos(0));
    let ban = meter(Algorithm::Ban, 0);
    assert!(!ban.allows(at(0), 0) && !ban.allows(at(YEAR), 1));
    assert_eq!(ban.remaining(at(0)), 0);
    assert_eq!(ban.retry(at(0), 0), Wait::Never);
}

#[test]
fn extra_capacity_is_there_at_once_and_ends_on_time() {
    let mut meter = meter(BUCKET, 0);
    assert!(meter.decide(at(0), 4));
    meter.grant(at(0), 5, 8 * SECOND);
    assert_eq!(meter.remaining(at(0)), 11);
    assert!(meter.decide(at(0), 11));
    assert_eq!(meter.retry(at(0), 7), Wait::Nanos(7 * SECOND)); // 15 used, 8 used after 7 s
    // 15 used at 0, 7 at 8 s, when the extra ends: 3 are left.
    assert_eq!(meter.remaining(at(8 * SECOND - 1)), 7);
    assert_eq!(meter.remaining(at(8 * SECOND)), 3);
    assert_eq!(meter.retry(at(0), 8), Wait::Nanos(13 * SECOND));
    assert_eq!(meter.retry(at(0), 11), Wait::Never);
    assert_eq!(meter.retry(at(0), 16), Wait::Never);
}

#[test]
fn what_a_grant_let_through_above_the_capacity_is_forgotten_when_it_ends() {
    let mut meter = meter(BUCKET, 0);
    meter.grant(at(0), 20, 5 * SECOND);
    assert!(meter.decide(at(0), 30));
    assert_eq!(meter.retry(at(0), 6), Wait::Nanos(11 * SECOND)); // 25 used at 5 s become 10
    assert_eq!(meter.remaining(at(5 * SECOND)), 0);
    assert_eq!(meter.remaining(at(6 * SECOND)), 1);
    assert_eq!(meter.reset(at(5 * SECOND)), Wait::Nanos(10 * SECOND));
}

#[test]
fn a_live_change_keeps_what_was_used_rounded_up() {
    let mut meter = meter(BUCKET, 0);
    assert!(meter.decide(at(0), 10));
    let half = 3 * SECOND + SECOND / 2; // 6.5 used
    meter.change(at(half), Algorithm::TokenBucket { capacity: 20, tokens: 1, per_ns: MINUTE });
    assert_eq!(meter.remaining(at(half)), 13);
    assert_eq!(meter.reset(at(half)), Wait::Nanos(7 * MINUTE));
    meter.change(at(half), Algorithm::TokenBucket { capacity: 5, tokens: 1, per_ns: MINUTE });
    assert_eq!(meter.retry(at(half), 1), Wait::Nanos(MINUTE));
    assert_eq!(meter.reset(at(half)), Wait::Nanos(5 * MINUTE));
}

#[test]
fn a_live_change_of_a_window_keeps_its_count() {
    for (algorithm, changed) in [
        (WINDOW, Algorithm::FixedWindow { limit: 9, window_ns: MINUTE, align: Align::Clock }),
        (WINDOW, Algorithm::FixedWindow { limit: 9, window_ns: 7 * SECOND, align: Align::Spread }),
        (COUNTER, Algorithm::SlidingCounter { limit: 9, window_ns: 7 * SECOND, align: Align::Clock }),
        (LOG, Algorithm::SlidingLog { limit: 9, window_ns: MINUTE }),
    ] {
        let mut meter = meter(algorithm, 0);
        assert!(meter.decide(at(5), 3));
        meter.change(at(5), changed);
        assert_eq!(meter.remaining(at(5)), 6, "{changed:?}");
    }
}

#[test]
fn another_algorithm_begins_with_what_was_used_unless_it_does_not_count() {
    let mut meter = meter(BUCKET, 0);
    assert!(meter.decide(at(0), 3));
    meter.change(at(SECOND / 2), WINDOW);
    assert_eq!(meter.remaining(at(SECOND / 2)), 2);
    meter.change(at(SECOND), LOG);
    assert_eq!(meter.retry(at(SECOND), 1), Wait::Nanos(10 * SECOND));
    meter.change(at(SECOND), Algorithm::Unlimited);
    meter.change(at(SECOND), WINDOW);
    assert_eq!(meter.remaining(at(SECOND)), 5);
}

#[test]
fn a_refund_of_a_log_gives_back_what_would_have_been_forgotten_first() {
    let mut meter = meter(LOG, 0);
    assert!(meter.decide(at(SECOND), 2) && meter.decide(at(4 * SECOND), 1));
    meter.refund(at(4 * SECOND), 2);
    assert_eq!(meter.remaining(at(11 * SECOND)), 2); // the one of 4 s still counts
    assert_eq!(meter.remaining(at(14 * SECOND)), 3);
}

#[test]
fn a_grant_on_aligned_windows_ends_by_the_monotonic_clock() {
    let now = |instant_ns, wall_ns| Clocks { instant_ns, wall_ns };
    let mut aligned = Meter::new(WINDOW, 0, now(5, 100 * SECOND));
    aligned.grant(now(5, 100 * SECOND), 2, SECOND);
    assert_eq!(aligned.holds(now(5, YEAR)), Some(7));
    assert_eq!(aligned.holds(now(5 + SECOND, 100 * SECOND)), Some(5));
}

#[test]
fn a_refund_gives_back_no_more_than_was_used() {
    for mut meter in meters(0) {
        let capacity = meter.remaining(at(0));
        assert!(meter.decide(at(0), 2));
        meter.refund(at(0), 1);
        assert_eq!(meter.remaining(at(0)), capacity - 1);
        meter.refund(at(0), u64::MAX);
        assert_eq!(meter.remaining(at(0)), capacity);
    }
}
