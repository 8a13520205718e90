//! Each algorithm against its naive model, step by step: requests and looks, clocks that go on, stand and go back,
//! charges that are settled later, refunds, drains, resets, grants of extra capacity, and changes of the limit while it
//! works.

use super::naive::{Charges, Counting, Counts, Held, Level, Model, Time};
use super::support::{SECRET, governor, key, name, spec};
use crate::decision::{Decision, LimitStanding, Reason, Verdict, Wait};
use crate::governor::Governor;
use crate::limit::{Align, BucketShape, RateLimitAlgorithm, WindowShape};
use crate::rate_limiter::{Access, LimitHold, LimitId, Settled};
use crate::request::{Request, Subject};
use crate::scope::{KeyName, Kind};
use crate::time::{Instant, Nanos, Now, WallTime};
use crate::units::Rate;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

const USER: &str = "ann";

/// One limit on users, for each or for one, with its clock.
struct Bench {
    governor: Box<Governor<4, 256>>,
    id: LimitId,
    wildcard: bool,
    /// What is passed in, which may go back, and the latest that was.
    now: Now,
    latest: Now,
    /// What is to be settled, as the limiter and as the model know it.
    held: Vec<(LimitHold, Held)>,
}

#[derive(Clone, Debug)]
enum Step<Shape> {
    Advance {
        instant: u64,
        wall: u64,
    },
    GoBack(u64),
    Admit(u64),
    Peek(u64),
    Hold(u64),
    /// One of those that are open, whichever it is, with what it has taken in the end.
    Settle(usize, u64),
    Refund(u64),
    Drain,
    Reset,
    Grant {
        extra: u64,
        length: u64,
    },
    Update(Shape),
}

impl Bench {
    fn new(algorithm: RateLimitAlgorithm, wildcard: bool) -> Self {
        let mut governor = governor();
        let scope = if wildcard { "user:*" } else { "user:ann" };
        let id = governor.limits.add(&spec(scope, algorithm)).unwrap();
        // A key with no bucket cannot be drained or refunded.
        governor.admit(Now::default(), &request(0));
        Self { governor, id, wildcard, now: Now::default(), latest: Now::default(), held: Vec::new() }
    }

    fn key(&self) -> Option<KeyName<'static>> {
        self.wildcard.then(|| key(Kind::User, USER)).flatten()
    }

    fn advance(&mut self, instant: u64, wall: u64) {
        self.now.instant = Instant(self.now.instant.0.saturating_add(instant));
        self.now.wall = WallTime(self.now.wall.0.saturating_add(wall));
        self.latest.instant = self.latest.instant.max(self.now.instant);
        self.latest.wall = self.latest.wall.max(self.now.wall);
    }

    fn go_back(&mut self, nanos: u64) {
        self.now.instant = Instant(self.now.instant.0.saturating_sub(nanos));
        self.now.wall = WallTime(self.now.wall.0.saturating_sub(nanos));
    }

    fn update(&mut self, algorithm: RateLimitAlgorithm) {
        let changed = spec(if self.wildcard { "user:*" } else { "user:ann" }, algorithm);
        self.governor.limits.update(self.now, self.id, &changed).unwrap();
    }

    /// Does a step to both, and compares what they say.
    fn step<Shape, M: Model>(
        &mut self,
        model: &mut M,
        step: Step<Shape>,
        update: impl FnOnce(&mut Self, &mut M, Shape),
    ) {
        let (id, key) = (self.id, self.key());
        match &step {
            Step::Advance { instant, wall } => self.advance(*instant, *wall),
            Step::GoBack(nanos) => self.go_back(*nanos),
            _ => {}
        }
        let now = self.now;
        model.settle(self.latest.into());
        match step {
            Step::Advance { .. } | Step::GoBack(_) => {}
            Step::Admit(cost) => {
                let looked = self.governor.peek(now, &request(cost));
                let decision = self.governor.admit(now, &request(cost));
                assert_eq!(
                    (decision.verdict, decision.reason, decision.retry),
                    (looked.verdict, looked.reason, looked.retry)
                );
                self.compare(model, cost, &decision);
                if decision.is_allowed() {
                    model.take(cost);
                }
            }
            Step::Peek(cost) => {
                let decision = self.governor.peek(now, &request(cost));
                self.compare(model, cost, &decision);
            }
            Step::Hold(cost) => self.hold(model, cost),
            Step::Settle(place, actual) => {
                if let Some(place) = place.checked_rem(self.held.len()) {
                    let (hold, held) = self.held.swap_remove(place);
                    let settled = self.governor.limits.settle(now, &hold, actual);
                    assert_eq!(settled, model.settle_held(held, actual), "{hold:?} {actual}: {model:?}");
                    // A hold of a limit that was never there, such as one that is forgotten, does nothing.
                    let nothing = self.governor.limits.settle(now, &LimitHold::EMPTY, actual);
                    assert_eq!(nothing, Settled::Stale);
                }
            }
            Step::Refund(amount) => {
                let left = self.governor.limits.refund(now, id, key, amount).unwrap();
                model.give_back(amount);
                assert_eq!(left, model.remaining());
            }
            Step::Drain => {
                assert_eq!(self.governor.limits.drain_bucket(now, id, key), Ok(1));
                model.drain();
            }
            Step::Reset => {
                assert_eq!(self.governor.limits.reset_bucket(id, key), Ok(1));
                model.reset();
            }
            Step::Grant { extra, length } => {
                self.governor.limits.handle_burst(now, id, key, extra, Nanos(length)).unwrap();
                model.grant(extra, Time::from(self.latest).instant + u128::from(length));
            }
            Step::Update(shape) => update(self, model, shape),
        }
        let standing = self.governor.limits.standing_of(now, id, key).unwrap();
        self.compare_standing(model, &standing);
    }

    fn hold<M: Model>(&mut self, model: &mut M, cost: u64) {
        let (request, mut holds) = (request(cost), Vec::new());
        let subject = Subject { request: &request, group: None };
        let limits = &mut self.governor.limits;
        let Ok(clearance) = limits.check(self.now, &subject, Access::Charge) else {
            return assert!(!model.fits(cost), "cost {cost} at {:?}: {model:?}", self.latest);
        };
        assert!(model.fits(cost), "cost {cost} at {:?}: {model:?}", self.latest);
        assert!(!clearance.needs_ticket());
        assert_eq!(clearance.holds(), 1);
        limits.charge_held(&subject, clearance, &mut |hold| holds.push(hold));
        let [hold] = holds[..] else { panic!("one limit, one hold") };
        assert_eq!((hold.reserved(), hold.lease()), (cost, None));
        self.held.push((hold, model.hold(cost)));
    }

    fn compare<M: Model>(&self, model: &M, cost: u64, decision: &Decision) {
        let context = || format!("cost {cost} at {:?}: {model:?}", self.latest);
        assert_eq!(decision.is_allowed(), model.fits(cost), "{}", context());
        if decision.is_allowed() {
            return;
        }
        let time = Time::from(self.latest);
        match decision.retry {
            Some(Wait::For(Nanos(wait))) if wait < u64::MAX => {
                assert!(wait > 0, "{}", context());
                assert!(model.at(time.after(wait.into())).fits(cost), "{wait} is enough: {}", context());
                let early = model.at(time.after(u128::from(wait) - 1));
                assert!(!early.fits(cost), "{wait} is the least: {}", context());
            }
            Some(Wait::For(_)) => assert!(!model.at(time.after(u128::from(u64::MAX) - 1)).fits(cost)),
            // Also when the extra capacity that it needs ends too early.
            Some(Wait::Never) => assert!(!model.at(time.after(1 << 100)).fits(cost), "{}", context()),
            None => panic!("a refusal says when: {}", context()),
        }
        let expected = if cost > model.capacity() { Reason::CostAboveCapacity } else { Reason::OverLimit };
        assert_eq!((decision.verdict, decision.reason), (Verdict::Deny, expected));
    }

    fn compare_standing<M: Model>(&self, model: &M, standing: &LimitStanding) {
        let context = || format!("at {:?}: {model:?}", self.latest);
        assert_eq!(standing.capacity, Some(model.capacity()), "{}", context());
        assert_eq!(standing.remaining(), model.remaining(), "{}", context());
        let time = Time::from(self.latest);
        let Nanos(full_in) = standing.full_in();
        if full_in < u64::MAX {
            assert!(model.at(time.after(full_in.into())).is_full(), "full in {full_in}: {}", context());
        }
        if let Some(early) = full_in.checked_sub(1) {
            assert!(!model.at(time.after(early.into())).is_full(), "not before {full_in}: {}", context());
        }
    }
}

fn request(cost: u64) -> Request<'static> {
    Request { user: Some(name(USER)), cost, ..Request::default() }
}

/// Steps of which costs, advances and grants are of the size of a small limit.
fn steps<Shape: Clone + std::fmt::Debug + 'static>(
    shapes: impl Strategy<Value = Shape> + 'static,
) -> impl Strategy<Value = Vec<Step<Shape>>> {
    let step = prop_oneof![
        6 => (0..40u64, 0..40u64).prop_map(|(instant, wall)| Step::Advance { instant, wall }),
        1 => (0..3000u64).prop_map(|jump| Step::Advance { instant: jump, wall: jump }),
        1 => (0..60u64).prop_map(Step::GoBack),
        10 => (0..14u64).prop_map(Step::Admit),
        3 => (0..20u64).prop_map(Step::Peek),
        4 => (0..14u64).prop_map(Step::Hold),
        5 => (any::<usize>(), 0..30u64).prop_map(|(place, actual)| Step::Settle(place, actual)),
        1 => any::<usize>().prop_map(|place| Step::Settle(place, u64::MAX)),
        1 => Just(Step::Admit(u64::MAX)),
        1 => (0..10u64).prop_map(Step::Refund),
        1 => Just(Step::Drain),
        1 => Just(Step::Reset),
        1 => (1..10u64, 1..90u64).prop_map(|(extra, length)| Step::Grant { extra, length }),
        1 => shapes.prop_map(Step::Update),
    ];
    prop::collection::vec(step, 0..60)
}

fn small_bucket() -> impl Strategy<Value = BucketShape> {
    (1..13u64, 1..6u64, 1..31u64).prop_map(|(capacity, count, period)| BucketShape {
        capacity,
        rate: Rate { count, period: Nanos(period) },
    })
}

fn small_window() -> impl Strategy<Value = WindowShape> {
    (1..13u64, 1..50u64, any::<bool>()).prop_map(|(limit, window, clock)| WindowShape {
        limit,
        window: Nanos(window),
        align: if clock { Align::Clock } else { Align::Spread },
    })
}

/// Shapes from the whole range of which the product is below 2^100, so that most are near it.
fn any_bucket() -> impl Strategy<Value = BucketShape> {
    (36..=64u32, any::<u64>(), any::<u64>(), 1..=u64::MAX).prop_map(|(bits, capacity, period, count)| {
        let below = |value: u64, bits: u32| (value >> (64 - bits)).max(1);
        BucketShape {
            capacity: below(capacity, bits),
            rate: Rate { count, period: Nanos(below(period, 100 - bits)) },
        }
    })
}

/// Where windows of this length begin for the one key that there is.
fn phase(shape: &WindowShape) -> u64 {
    let hash = SECRET.hash(Kind::User, key(Kind::User, USER).unwrap());
    match shape.align {
        Align::Clock => 0,
        Align::Spread => u64::try_from((u128::from(hash.0) * u128::from(shape.window.0)) >> 64).unwrap(),
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn run_windows(
    counting: Counting,
    algorithm: fn(WindowShape) -> RateLimitAlgorithm,
    shape: WindowShape,
    steps: Vec<Step<WindowShape>>,
    wildcard: bool,
) {
    let mut bench = Bench::new(algorithm(shape), wildcard);
    let mut model = Counts::new(counting, shape, phase(&shape));
    for step in steps {
        bench.step(&mut model, step, |bench, model, shape| {
            bench.update(algorithm(shape));
            model.reshape(shape, phase(&shape));
        });
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn token_and_leaky_buckets_equal_the_model(
        shape in small_bucket(), steps in steps(small_bucket()), wildcard: bool, leaky: bool,
    ) {
        let algorithm = if leaky { RateLimitAlgorithm::LeakyBucket } else { RateLimitAlgorithm::TokenBucket };
        let mut bench = Bench::new(algorithm(shape), wildcard);
        let mut model = Level::new(shape);
        for step in steps {
            bench.step(&mut model, step, |bench, model, shape| {
                bench.update(algorithm(shape));
                model.reshape(shape);
            });
        }
    }

    #[test]
    fn update_rate_equals_the_model(
        shape in small_bucket(),
        steps in steps(small_bucket()),
    ) {
        let mut bench = Bench::new(RateLimitAlgorithm::TokenBucket(shape), false);
        let mut model = Level::new(shape);
        for step in steps {
            bench.step(&mut model, step, |bench, model, BucketShape { rate, .. }| {
                bench.governor.limits.update_rate(bench.now, bench.id, rate).unwrap();
                if rate != model.shape.rate {
                    model.reshape(BucketShape { rate, ..model.shape });
                }
            });
        }
    }

    #[test]
    fn fixed_windows_equal_the_model(shape in small_window(), steps in steps(small_window()), wildcard: bool) {
        run_windows(Counting::Fixed, RateLimitAlgorithm::FixedWindow, shape, steps, wildcard);
    }

    #[test]
    fn sliding_windows_equal_the_model(shape in small_window(), steps in steps(small_window()), wildcard: bool) {
        run_windows(Counting::Sliding, RateLimitAlgorithm::SlidingWindow, shape, steps, wildcard);
    }

    #[test]
    fn sliding_logs_equal_the_model(shape in small_window(), steps in steps(small_window()), wildcard: bool) {
        let mut bench = Bench::new(RateLimitAlgorithm::SlidingLog(shape), wildcard);
        let mut model = Charges::new(shape);
        for step in steps {
            bench.step(&mut model, step, |bench, model, shape| {
                bench.update(RateLimitAlgorithm::SlidingLog(shape));
                model.shape = shape;
                model.settle(bench.latest.into());
            });
        }
    }

    #[test]
    fn the_turns_of_a_leaky_queue_equal_the_model(
        shape in small_bucket(), requests in prop::collection::vec((0..30u64, 0..6u64), 1..60),
    ) {
        let mut bench = Bench::new(RateLimitAlgorithm::LeakyQueue(shape), false);
        let mut model = Level::new(shape);
        for (advance, cost) in requests {
            bench.advance(advance, advance);
            model.settle(bench.latest.into());
            let decision = bench.governor.admit(bench.now, &request(cost));
            bench.compare(&model, cost, &decision);
            if decision.is_allowed() {
                let turn = u64::try_from(model.drains_in()).unwrap();
                // What takes no place waits for no turn.
                let expected = if turn == 0 || cost == 0 { Verdict::Allow } else { Verdict::Delay(Nanos(turn)) };
                assert_eq!(decision.verdict, expected);
                model.take(cost);
            }
        }
    }

    #[test]
    fn buckets_of_any_size_equal_the_model(
        shape in any_bucket(),
        requests in prop::collection::vec((any::<u64>(), 0..64u32, any::<u64>(), 0..64u32), 1..40),
    ) {
        let mut bench = Bench::new(RateLimitAlgorithm::TokenBucket(shape), true);
        let mut model = Level::new(shape);
        for (advance, advance_bits, cost, cost_bits) in requests {
            let advance = advance >> advance_bits;
            let step = Step::<()>::Advance { instant: advance, wall: advance };
            bench.step(&mut model, step, |_, _, ()| ());
            bench.step(&mut model, Step::<()>::Admit(cost >> cost_bits), |_, _, ()| ());
            bench.step(&mut model, Step::<()>::Admit(shape.capacity), |_, _, ()| ());
            bench.step(&mut model, Step::<()>::Hold(cost >> cost_bits), |_, _, ()| ());
            bench.step(&mut model, Step::<()>::Settle(0, cost), |_, _, ()| ());
        }
    }
}
