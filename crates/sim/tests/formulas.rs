//! The definitions of the models against closed formulas, and against what each algorithm promises.
//!
//! The formulas are those a fast limiter uses. That both agree over random histories says that the formulas
//! are right and that the models mean what the formulas say.

use sim::oracle::rule::{Algorithm, Align, Clocks};
use sim::oracle::{Meter, Wait};
use sim::random::Random;

/// Integer token bucket: credit in tokens × nanoseconds.
struct Credit {
    capacity: u128,
    tokens: u128,
    per_ns: u128,
    credit: u128,
    last: u128,
}

impl Credit {
    fn refill(&mut self, now: u64) {
        let now = u128::from(now).max(self.last);
        let full = self.capacity * self.per_ns;
        self.credit = full.min(self.credit + (now - self.last) * self.tokens);
        self.last = now;
    }

    fn retry(&self, cost: u64) -> Wait {
        let missing = (u128::from(cost) * self.per_ns).saturating_sub(self.credit);
        if u128::from(cost) > self.capacity {
            return Wait::Never;
        }
        Wait::Nanos(u64::try_from(missing.div_ceil(self.tokens)).unwrap_or(u64::MAX))
    }
}

#[test]
fn a_bucket_is_integer_credit_in_tokens_times_nanoseconds() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let (capacity, tokens, per_ns) =
            (random.between(1, 12), random.between(1, 9), *random.pick(&[1, 7, 10, 1000, 999_999_937]));
        let algorithm = Algorithm::TokenBucket { capacity, tokens, per_ns };
        let mut meter = Meter::new(algorithm, 0, Clocks::both(0));
        let full = u128::from(capacity) * u128::from(per_ns);
        let mut model = Credit {
            capacity: capacity.into(),
            tokens: tokens.into(),
            per_ns: per_ns.into(),
            credit: full,
            last: 0,
        };
        let mut time = 0;
        for _ in 0..40 {
            time += random.between(0, per_ns);
            let now = Clocks::both(time.saturating_sub(random.between(0, 1)));
            let cost = random.between(0, capacity + 1);
            model.refill(now.instant_ns);
            meter.see(now);
            assert_eq!(meter.retry(now, cost), model.retry(cost), "seed {seed}");
            let missing = full - model.credit;
            let reset = Wait::Nanos(u64::try_from(missing.div_ceil(model.tokens)).unwrap());
            assert_eq!(meter.reset(now), reset, "seed {seed}");
            let allowed = u128::from(cost) * model.per_ns <= model.credit;
            assert_eq!(meter.decide(now, cost), allowed, "seed {seed}");
            if allowed {
                model.credit -= u128::from(cost) * model.per_ns;
            }
            assert_eq!(u128::from(meter.remaining(now)), model.credit / model.per_ns, "seed {seed}");
        }
    }
}

/// The wait of a sliding counter with `previous` and `current` counts, `elapsed` into the window.
fn counter_retry(
    limit: u128,
    window: u128,
    previous: u128,
    current: u128,
    elapsed: u128,
    cost: u128,
) -> Wait {
    if cost > limit {
        return Wait::Never;
    }
    let wait = if cost == 0 || previous * (window - elapsed) + (current + cost) * window <= limit * window {
        0
    } else if current + cost <= limit {
        window - (limit - current - cost) * window / previous - elapsed
    } else {
        (window - elapsed) + window.saturating_sub((limit - cost) * window / current)
    };
    Wait::Nanos(u64::try_from(wait).expect("a wait of less than two windows"))
}

#[test]
fn a_sliding_counter_has_a_closed_retry_time() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let (limit, window) = (random.between(1, 20), *random.pick(&[1, 2, 10, 97, 1000]));
        let algorithm = Algorithm::SlidingCounter { limit, window_ns: window, align: Align::Clock };
        let mut meter = Meter::new(algorithm, 0, Clocks::both(0));
        let (mut time, mut index, mut previous, mut current) = (0, 0, 0, 0);
        for _ in 0..60 {
            time += random.between(0, window / 2 + 1);
            let now = Clocks::both(time);
            let cost = random.between(0, limit + 1);
            let steps = time / window - index;
            (previous, current) = match steps {
                0 => (previous, current),
                1 => (current, 0),
                _ => (0, 0),
            };
            index += steps;
            let retry = counter_retry(
                limit.into(),
                window.into(),
                previous,
                current,
                (time % window).into(),
                cost.into(),
            );
            assert_eq!(meter.retry(now, cost), retry, "seed {seed}");
            let allowed = meter.decide(now, cost);
            assert_eq!(allowed, retry == Wait::Nanos(0), "seed {seed}");
            if allowed {
                current += u128::from(cost);
            }
        }
    }
}

/// Random requests against a meter: what it admitted, and when.
fn admitted(algorithm: Algorithm, seed: u64, scale_ns: u64) -> Vec<(u64, u64)> {
    let mut random = Random::new(seed);
    let mut meter = Meter::new(algorithm, random.next_u64(), Clocks::both(0));
    let mut time = 0;
    let mut passed = Vec::new();
    for _ in 0..120 {
        time += random.between(0, scale_ns);
        let cost = random.between(0, 3);
        if meter.decide(Clocks::both(time), cost) {
            passed.push((time, cost));
        }
    }
    passed
}

/// What was admitted in (end − window, end], for the worst end.
fn worst(passed: &[(u64, u64)], window: u64) -> u64 {
    let within = |end: u64| passed.iter().filter(move |(time, _)| *time <= end && time + window > end);
    passed.iter().map(|(end, _)| within(*end).map(|(_, cost)| cost).sum()).max().unwrap_or(0)
}

#[test]
fn no_window_anywhere_holds_more_than_a_log_admits_and_twice_what_a_counter_admits() {
    let (limit, window_ns) = (7, 100);
    for seed in 0..60 {
        let log = admitted(Algorithm::SlidingLog { limit, window_ns }, seed, 25);
        assert!(worst(&log, window_ns) <= limit, "seed {seed}");
        for align in [Align::Spread, Align::Clock] {
            for algorithm in [
                Algorithm::FixedWindow { limit, window_ns, align },
                Algorithm::SlidingCounter { limit, window_ns, align },
            ] {
                assert!(worst(&admitted(algorithm, seed, 25), window_ns) <= 2 * limit, "seed {seed}");
            }
        }
    }
}

#[test]
fn no_span_holds_more_than_a_bucket_and_what_came_back_meanwhile() {
    let (capacity, tokens, per_ns) = (5, 3, 50);
    for seed in 0..60 {
        let passed = admitted(Algorithm::TokenBucket { capacity, tokens, per_ns }, seed, 25);
        for (first, (begin, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for (end, cost) in &passed[first..] {
                sum += cost;
                assert!(sum * per_ns <= capacity * per_ns + (end - begin) * tokens, "seed {seed}");
            }
        }
    }
}
