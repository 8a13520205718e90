//! Fixed windows and the sliding counter at their edges.

use super::support::{
    SECOND, YEAR, at, fixed, governor, governor_with, key, of_user, passes, remaining, retry_nanos, sliding,
    spec, web, window,
};
use crate::decision::{Reason, Wait};
use crate::limit::{Align, RateLimitAlgorithm};
use crate::scope::Kind;
use crate::time::{Instant, Nanos, Now, WallTime};

#[test]
fn aligned_windows_begin_at_multiples_by_the_wall_clock() {
    let (mut governor, _) = governor_with(fixed(3, "60s"));
    // The monotonic clock shows something else altogether.
    let now = |wall: u64| Now { instant: Instant(wall / 7 + 13), wall: WallTime(wall) };
    let base = 1_431_857_100 * SECOND; // a multiple of 60 s
    for _ in 0..3 {
        assert!(governor.admit(now(base), &web(1)).is_allowed());
    }
    let refused = governor.admit(now(base), &web(1));
    assert_eq!((refused.reason, refused.retry), (Reason::OverLimit, retry_nanos(60 * SECOND)));
    let refused = governor.admit(now(base + 60 * SECOND - 1), &web(1));
    assert_eq!(refused.retry, retry_nanos(1), "the last nanosecond belongs to the window");
    let allowed = governor.admit(now(base + 60 * SECOND), &web(1));
    assert_eq!((remaining(&allowed), allowed.limit.unwrap().full_in()), (2, Nanos(60 * SECOND)));
}

#[test]
fn spread_windows_begin_at_the_phase_of_the_key() {
    let length = 1000;
    let mut governor = governor::<256, 1>();
    let shape = window(1, "1us", Align::Spread);
    let id = governor.limits.add(&spec("user:*", RateLimitAlgorithm::FixedWindow(shape))).unwrap();
    let mut by_tenth = [0; 10];
    for user in 0..200 {
        let user = format!("user{user}");
        assert!(governor.admit(at(10 * length), &of_user(&user)).is_allowed());
        let standing = governor.limits.standing_of(at(10 * length), id, key(Kind::User, &user)).unwrap();
        let Nanos(full_in) = standing.full_in();
        assert!((1..=length).contains(&full_in));
        by_tenth[usize::try_from((full_in - 1) / 100).unwrap()] += 1;
    }
    assert!(by_tenth.iter().all(|&users| (8..=36).contains(&users)), "resets spread: {by_tenth:?}");
}

#[test]
fn the_first_window_of_a_spread_limit_may_be_short() {
    let shape = window(2, "1us", Align::Spread);
    let (mut governor, _) = governor_with(RateLimitAlgorithm::FixedWindow(shape));
    assert_eq!(passes(&mut governor, 0, &web(1), 5), 2);
    let Some(Wait::For(Nanos(phase))) = governor.admit(at(0), &web(1)).retry else {
        panic!("there is a time")
    };
    assert!((1..1000).contains(&phase), "{phase}");
    assert_eq!(passes(&mut governor, phase - 1, &web(1), 5), 0);
    assert_eq!(passes(&mut governor, phase, &web(1), 5), 2, "the next window has begun");
    assert_eq!(governor.admit(at(phase), &web(1)).retry, retry_nanos(1000), "and is a whole one");
    assert_eq!(passes(&mut governor, phase + 999, &web(1), 5), 0);
    assert_eq!(passes(&mut governor, phase + 1000, &web(1), 5), 2);
}

#[test]
fn a_fixed_window_does_not_count_what_it_refuses() {
    let (mut governor, _) = governor_with(fixed(10, "60s"));
    assert!(governor.admit(at(0), &web(8)).is_allowed());
    for _ in 0..100 {
        assert!(!governor.admit(at(1), &web(3)).is_allowed());
    }
    assert_eq!(remaining(&governor.admit(at(2), &web(2))), 0, "2 are still there");
    assert_eq!(governor.admit(at(3), &web(11)).retry, Some(Wait::Never));
    assert_eq!(governor.admit(at(60 * SECOND), &web(10)).reason, Reason::WithinLimits);
}

#[test]
fn a_fixed_window_lets_twice_its_limit_through_around_an_edge_and_no_more() {
    let (mut governor, _) = governor_with(fixed(100, "60s"));
    let edge = 120 * SECOND;
    assert_eq!(passes(&mut governor, edge - 1, &web(1), 300), 100);
    assert_eq!(passes(&mut governor, edge, &web(1), 300), 100);
    assert_eq!(passes(&mut governor, edge + 60 * SECOND - 1, &web(1), 300), 0);
}

#[test]
fn a_window_never_comes_back_when_the_wall_clock_does() {
    for algorithm in [fixed(5, "60s"), sliding(5, "60s")] {
        let (mut governor, _) = governor_with(algorithm);
        assert_eq!(passes(&mut governor, 130 * SECOND, &web(1), 9), 5);
        for back in [119 * SECOND, 60 * SECOND, 0] {
            let now = Now { instant: Instant(131 * SECOND), wall: WallTime(back) };
            assert!(!governor.admit(now, &web(1)).is_allowed());
        }
        let retry = governor.admit(at(0), &web(1)).retry;
        assert!(
            matches!(retry, Some(Wait::For(Nanos(wait))) if wait <= 110 * SECOND),
            "no lock-out: {retry:?}"
        );
        assert_eq!(passes(&mut governor, 300 * SECOND, &web(1), 9), 5);
    }
}

#[test]
fn windows_survive_jumps_to_the_end_of_time() {
    for align in [Align::Clock, Align::Spread] {
        for length in ["1ns", "7ns", "60s", "365d", "213503d"] {
            for sliding in [false, true] {
                let shape = window(4, length, align);
                let algorithm = if sliding {
                    RateLimitAlgorithm::SlidingWindow(shape)
                } else {
                    RateLimitAlgorithm::FixedWindow(shape)
                };
                let (mut governor, _) = governor_with(algorithm);
                for now in [0, 1, YEAR, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                    assert!(passes(&mut governor, now, &web(1), 9) <= 4, "{algorithm:?} at {now}");
                }
                assert!(!governor.admit(at(u64::MAX), &web(4)).is_allowed());
            }
        }
    }
}

#[test]
fn the_sliding_counter_weighs_the_earlier_window() {
    // 42 in the earlier minute and 18 in this one, 15 s into it: 42 * 45/60 + 18 = 49.5.
    let (mut governor, id) = governor_with(sliding(50, "60s"));
    assert!(governor.admit(at(30 * SECOND), &web(42)).is_allowed());
    assert!(governor.admit(at(75 * SECOND), &web(18)).is_allowed());
    assert_eq!(governor.limits.get_tokens(at(75 * SECOND), id, None), Ok(0));
    let refused = governor.admit(at(75 * SECOND), &web(1));
    // 42 * (60 s - e) <= 31 * 60 s from e = 15.714285715 s on.
    assert_eq!(refused.retry, retry_nanos(714_285_715));
    assert!(!governor.admit(at(75 * SECOND + 714_285_714), &web(1)).is_allowed());
    assert!(governor.admit(at(75 * SECOND + 714_285_715), &web(1)).is_allowed());
}

#[test]
fn the_sliding_counter_waits_into_the_next_window_where_it_must() {
    let (mut governor, _) = governor_with(sliding(50, "60s"));
    assert!(governor.admit(at(30 * SECOND), &web(50)).is_allowed());
    let refused = governor.admit(at(30 * SECOND), &web(1));
    // In the next window 50 * (60 s - e) <= 49 * 60 s from e = 1.2 s on.
    assert_eq!(refused.retry, retry_nanos(31_200_000_000));
    assert!(!governor.admit(at(61_199_999_999), &web(1)).is_allowed());
    assert!(governor.admit(at(61_200_000_000), &web(1)).is_allowed());
    assert_eq!(governor.admit(at(62 * SECOND), &web(51)).retry, Some(Wait::Never));
}

#[test]
fn the_sliding_counter_forgets_a_window_that_is_not_adjacent() {
    let (mut governor, id) = governor_with(sliding(10, "60s"));
    assert!(governor.admit(at(59 * SECOND), &web(10)).is_allowed());
    assert_eq!(governor.limits.get_tokens(at(60 * SECOND), id, None), Ok(0));
    assert_eq!(governor.limits.get_tokens(at(119 * SECOND), id, None), Ok(9), "10/60 are rounded up");
    assert_eq!(governor.limits.get_tokens(at(120 * SECOND), id, None), Ok(10));
}

/// What the documentation says about the sliding counter's worst case, shown: no limit's worth at once twice, but
/// nearly twice the limit within the length of a window.
#[test]
fn the_sliding_counter_admits_nearly_twice_its_limit_in_some_window_and_never_twice() {
    let (mut governor, _) = governor_with(sliding(100, "60s"));
    let start = 120 * SECOND - 1;
    assert_eq!(passes(&mut governor, start, &web(1), 300), 100);
    assert_eq!(passes(&mut governor, start + 1, &web(1), 300), 0, "no burst behind the edge");
    let mut within = 100;
    for tick in 1..600 {
        within += passes(&mut governor, start + 1 + tick * SECOND / 10, &web(1), 300);
    }
    assert!((190..200).contains(&within), "{within}");
}
