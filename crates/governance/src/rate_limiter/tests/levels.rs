//! Token bucket, leaky bucket and leaky queue at their edges.

use super::support::{
    SECOND, YEAR, at, governor_with, passes, remaining, retry_nanos, shape, token_bucket, web,
};
use crate::decision::{Reason, Verdict, Wait};
use crate::field::Problem;
use crate::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use crate::request::Unit;
use crate::scope::Scope;
use crate::time::Nanos;
use crate::units::Rate;

#[test]
fn a_burst_is_exactly_the_capacity() {
    for capacity in [1, 2, 10, 1000] {
        let (mut governor, _) = governor_with(token_bucket(capacity as u64, "1/s"));
        assert_eq!(passes(&mut governor, 5, &web(1), capacity + 3), capacity);
        let refused = governor.admit(at(5), &web(1));
        assert_eq!((refused.verdict, refused.reason), (Verdict::Deny, Reason::OverLimit));
        assert_eq!((remaining(&refused), refused.retry), (0, retry_nanos(SECOND)));
    }
}

#[test]
fn a_cost_of_the_capacity_passes_and_one_more_never_does() {
    let (mut governor, _) = governor_with(token_bucket(10, "1/s"));
    for cost in [11, 12, u64::MAX] {
        let never = governor.admit(at(0), &web(cost));
        assert_eq!((never.reason, never.retry), (Reason::CostAboveCapacity, Some(Wait::Never)));
        assert_eq!(remaining(&never), 10, "nothing was charged");
    }
    assert_eq!(remaining(&governor.admit(at(0), &web(10))), 0);
    assert_eq!(governor.admit(at(0), &web(10)).retry, retry_nanos(10 * SECOND));
    assert_eq!(governor.admit(at(0), &web(11)).retry, Some(Wait::Never), "also when it is empty");
}

#[test]
fn a_cost_of_zero_always_passes_and_takes_nothing() {
    let (mut governor, id) = governor_with(token_bucket(1, "1/s"));
    assert!(governor.admit(at(0), &web(0)).is_allowed());
    assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(1));
    assert!(governor.admit(at(0), &web(1)).is_allowed());
    assert!(governor.admit(at(0), &web(0)).is_allowed(), "the bucket is empty");
    assert!(!governor.admit(at(0), &web(1)).is_allowed());
}

#[test]
fn a_clock_that_stands_or_goes_back_gives_nothing_and_takes_nothing() {
    let (mut governor, id) = governor_with(token_bucket(2, "1/s"));
    let noon = 1000 * SECOND;
    assert_eq!(passes(&mut governor, noon, &web(1), 5), 2);
    assert_eq!(passes(&mut governor, noon, &web(1), 5), 0, "it stands");
    assert_eq!(passes(&mut governor, noon - 60 * SECOND, &web(1), 5), 0, "it went back");
    assert_eq!(passes(&mut governor, 0, &web(1), 5), 0, "to the beginning");
    let refused = governor.admit(at(0), &web(1));
    assert_eq!(refused.retry, retry_nanos(SECOND), "nobody is locked out for the time it went back");
    assert_eq!(passes(&mut governor, noon, &web(1), 5), 0, "coming back is no refill either");
    assert_eq!(passes(&mut governor, noon + SECOND, &web(1), 5), 1);
    assert_eq!(governor.limits.get_tokens(at(noon + 2 * SECOND), id, None), Ok(1));
}

#[test]
fn after_a_year_there_is_one_burst_and_no_more() {
    let (mut governor, _) = governor_with(token_bucket(10, "1000000/s"));
    assert_eq!(passes(&mut governor, 0, &web(1), 20), 10);
    assert_eq!(passes(&mut governor, YEAR, &web(1), 20), 10);
    assert_eq!(passes(&mut governor, u64::MAX, &web(1), 20), 10);
    assert_eq!(governor.admit(at(u64::MAX), &web(1)).retry, retry_nanos(1000));
}

/// Rates that do not divide a nanosecond, that are above one a nanosecond, and that are very slow.
const RATES: [&str; 12] = [
    "1/s",
    "3/1s",
    "7/3s",
    "60/1m",
    "3000000/1s",
    "1250000000/1s",
    "1000000001/1s",
    "999999999/1s",
    "18446744073709551615/1s",
    "1/365d",
    "7/1000d",
    "1/1ns",
];

#[test]
fn the_retry_time_is_the_smallest_that_works() {
    for rate in RATES {
        for cost in [1, 2, 7, 10] {
            let (mut governor, id) = governor_with(token_bucket(10, rate));
            governor.limits.drain_bucket(at(3), id, None).unwrap();
            let Some(Wait::For(Nanos(wait))) = governor.admit(at(3), &web(cost)).retry else {
                panic!("{rate}: cost {cost} has a time");
            };
            assert!(wait > 0, "{rate}: a refusal never says to come back at once");
            let early = governor.admit(at(3 + wait - 1), &web(cost));
            assert_eq!(early.retry, retry_nanos(1), "{rate}: cost {cost} is a nanosecond early");
            assert!(governor.admit(at(3 + wait), &web(cost)).is_allowed(), "{rate}: cost {cost}");
        }
    }
}

#[test]
fn a_wait_beyond_64_bits_is_the_longest_there_is() {
    let (mut governor, id) = governor_with(token_bucket(1 << 40, "1/1d"));
    governor.limits.drain_bucket(at(0), id, None).unwrap();
    let refused = governor.admit(at(0), &web(1 << 40));
    assert_eq!(refused.retry, Some(Wait::For(Nanos::MAX)));
    assert_eq!(refused.limit.unwrap().full_in(), Nanos::MAX);
}

#[test]
fn what_remains_is_rounded_down_and_the_time_to_full_up() {
    let (mut governor, _) = governor_with(token_bucket(3, "3/10ns"));
    governor.admit(at(0), &web(1)).limit.unwrap();
    for (now, left, full_in) in [(0, 2, 4), (1, 2, 3), (2, 2, 2), (3, 2, 1), (4, 3, 0), (5, 3, 0)] {
        let standing = governor.peek(at(now), &web(0)).limit.unwrap();
        assert_eq!((standing.remaining(), standing.full_in()), (left, Nanos(full_in)), "at {now} ns");
        assert_eq!(standing.capacity, Some(3));
    }
}

#[test]
fn a_long_run_admits_the_burst_and_the_rate_to_the_token() {
    for rate in ["1250000000/1s", "3000000/1s", "1000000001/1s", "1300000/1s", "700000000/1s", "7/3s", "1/1s"]
    {
        let capacity = 4_000_000;
        let (mut governor, id) = governor_with(token_bucket(capacity, rate));
        let mut admitted = 0u128;
        // Steps of an odd length, each of which takes all there is.
        let (step, steps) = (1_234_567, 20_000u64);
        for turn in 0..=steps {
            let now = at(turn * step);
            let left = governor.limits.get_tokens(now, id, None).unwrap();
            assert!(governor.admit(now, &web(left)).is_allowed());
            assert_eq!(governor.admit(now, &web(1)).reason, Reason::OverLimit, "not one more");
            admitted += u128::from(left);
        }
        let Rate { count, period } = rate.parse().unwrap();
        let refilled = u128::from(step * steps) * u128::from(count) / u128::from(period.0);
        assert_eq!(admitted, u128::from(capacity) + refilled, "{rate}");
    }
}

#[test]
fn a_product_just_below_two_to_the_hundred_is_exact() {
    let scope = Scope::parse("service:web").unwrap();
    let bucket = |capacity: u64, period: u64, count: u64| {
        let rate = Rate { count, period: Nanos(period) };
        LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(BucketShape { capacity, rate }), Unit::Requests)
    };
    assert_eq!(bucket(1 << 50, 1 << 50, 1).unwrap_err().problem, Problem::ProductTooLarge);
    assert_eq!(bucket(u64::MAX, u64::MAX, 1).unwrap_err().problem, Problem::ProductTooLarge);
    for (capacity, period) in
        [(1 << 50, (1 << 50) - 1), ((1 << 50) - 1, 1 << 50), (u64::MAX, 1 << 36), (1 << 36, u64::MAX)]
    {
        for count in [1, 3, u64::MAX] {
            let spec = bucket(capacity, period, count).unwrap();
            let (mut governor, id) = governor_with(spec.algorithm);
            assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(capacity));
            assert_eq!(remaining(&governor.admit(at(0), &web(capacity - 1))), 1);
            assert_eq!(remaining(&governor.admit(at(0), &web(1))), 0);
            let refused = governor.admit(at(0), &web(capacity));
            let wait = (u128::from(capacity) * u128::from(period)).div_ceil(u128::from(count));
            assert_eq!(refused.retry, retry_nanos(u64::try_from(wait).unwrap_or(u64::MAX)));
            let refilled = u128::from(u64::MAX) * u128::from(count) / u128::from(period);
            let expected = u64::try_from(refilled).unwrap_or(u64::MAX).min(capacity);
            assert_eq!(governor.limits.get_tokens(at(u64::MAX), id, None), Ok(expected));
        }
    }
}

#[test]
fn zero_is_never_unlimited() {
    let scope = Scope::parse("service:web").unwrap();
    for (capacity, count, period, field) in
        [(0, 1, 1, "capacity"), (1, 0, 1, "rate"), (1, 1, 0, "rate"), (0, 0, 0, "capacity")]
    {
        let rate = Rate { count, period: Nanos(period) };
        let algorithm = RateLimitAlgorithm::TokenBucket(BucketShape { capacity, rate });
        let error = LimitSpec::new(scope, algorithm, Unit::Requests).unwrap_err();
        assert_eq!((error.field, error.problem), (field, Problem::Zero));
    }
}

#[test]
fn a_leaky_meter_refuses_what_does_not_fit() {
    let (mut governor, _) = governor_with(RateLimitAlgorithm::LeakyBucket(shape(2, "2/1s")));
    assert_eq!(passes(&mut governor, 0, &web(1), 5), 2);
    let refused = governor.admit(at(0), &web(1));
    assert_eq!((refused.verdict, refused.retry), (Verdict::Deny, retry_nanos(SECOND / 2)));
}

#[test]
fn a_leaky_queue_gives_turns_until_its_depth_is_full() {
    let (mut governor, id) = governor_with(RateLimitAlgorithm::LeakyQueue(shape(3, "1/s")));
    let turns: Vec<_> = (0..4).map(|_| governor.admit(at(0), &web(1)).verdict).collect();
    let after = |seconds: u64| Verdict::Delay(Nanos(seconds * SECOND));
    assert_eq!(turns, [Verdict::Allow, after(1), after(2), Verdict::Deny]);
    // Half a second on, the queue holds two and a half.
    assert_eq!(governor.admit(at(SECOND / 2), &web(1)).retry, retry_nanos(SECOND / 2));
    assert_eq!(governor.admit(at(SECOND), &web(1)).verdict, after(2));
    assert_eq!(governor.admit(at(9 * SECOND), &web(3)).verdict, Verdict::Allow, "an empty queue has no wait");
    assert_eq!(governor.counters().delayed, 3);
    assert_eq!(governor.limits.get_limit_stats(id).unwrap().denied, 2);
}

#[test]
fn the_turn_in_a_leaky_queue_is_rounded_up() {
    let (mut governor, _) = governor_with(RateLimitAlgorithm::LeakyQueue(shape(5, "3/1s")));
    governor.admit(at(0), &web(1));
    assert_eq!(governor.admit(at(0), &web(1)).verdict, Verdict::Delay(Nanos(333_333_334)));
    assert_eq!(governor.peek(at(0), &web(1)).verdict, Verdict::Delay(Nanos(666_666_667)));
    assert_eq!(
        governor.peek(at(0), &web(1)).verdict,
        Verdict::Delay(Nanos(666_666_667)),
        "a look takes no turn"
    );
}
