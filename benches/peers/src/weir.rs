//! Weir's engine: the whole way of a request through [`Governor::admit`], and the rate limiter by itself.

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use crate::quota::Quota;
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitName, LimitSpec, RateLimitAlgorithm};
use governance::rate_limiter::RateLimiter;
use governance::request::Request;
use governance::scope::{HashSecret, KeyName, NameRef, Scope};
use governance::time::{Instant, Nanos, Now, WallTime};
use governance::units::Rate;
use std::sync::Mutex;

/// A governor in static memory, where it has to be: it is too large for a stack.
pub type Engine<const KEYS: usize> = Mutex<Governor<KEYS, 16>>;

/// The clock that governor reads, as governor reads it.
pub struct EngineClock(quanta::Clock);

impl EngineClock {
    /// The clock.
    pub fn new() -> Self {
        Self(quanta::Clock::new())
    }

    /// Nanoseconds; the wall clock runs with the monotonic one.
    #[inline]
    pub fn now(&self) -> Now {
        at(self.0.delta_as_nanos(0, self.0.raw()))
    }
}

/// The time when no clock is read: before any reading, so that the engine's own time, which never goes back, stands
/// still.
const STILL: Now = at(0);

const fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

/// Gives an engine one limit, `user:*`, and a bucket to each key.
pub fn prepare<const KEYS: usize>(engine: &Engine<KEYS>, quota: &Quota, names: &[String]) {
    let mut governor = engine.lock().unwrap();
    governor.reset(HashSecret { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 });
    let period = Nanos(u64::try_from(quota.period.as_nanos()).unwrap());
    let shape = BucketShape { capacity: u64::from(quota.burst), rate: Rate { count: 1, period } };
    let spec = LimitSpec {
        name: LimitName::new("user:*").unwrap(),
        scope: Scope::parse("user:*").unwrap(),
        algorithm: RateLimitAlgorithm::TokenBucket(shape),
        ..LimitSpec::default()
    };
    governor.limits.add(&spec).unwrap();
    let now = EngineClock::new().now();
    for _ in 0..quota.touches() {
        for name in names {
            governor.admit(now, &request(name));
        }
    }
    let table = governor.limits.table_stats();
    assert_eq!((table.keys, table.overflow_hits), (names.len(), 0), "each key has its own bucket");
}

/// [`Governor::admit`] with a clock that is read for each decision, or not.
pub fn admit<'a, const KEYS: usize>(
    engine: &'static Engine<KEYS>,
    quota: &'a Quota,
    names: &'a [String],
    clock: Clock,
) -> Case<'a> {
    const NAME: &str = "weir Governor::admit";
    let source = EngineClock::new();
    Case::new(NAME, clock, move |operations, seed| {
        let governor = &mut *engine.lock().unwrap();
        let allowed = match clock {
            Clock::Read => admit_each(governor, names, operations, seed, || source.now()),
            Clock::Still => admit_each(governor, names, operations, seed, || STILL),
        };
        quota.expect(NAME, operations, allowed);
    })
}

/// [`RateLimiter::decide_by`]: one limit that is known, which is what the other libraries have.
pub fn decide_by<'a, const KEYS: usize>(
    engine: &'static Engine<KEYS>,
    quota: &'a Quota,
    names: &'a [String],
    clock: Clock,
) -> Case<'a> {
    const NAME: &str = "weir RateLimiter::decide_by";
    let source = EngineClock::new();
    Case::new(NAME, clock, move |operations, seed| {
        let limits = &mut engine.lock().unwrap().limits;
        let allowed = match clock {
            Clock::Read => decide_each(limits, names, operations, seed, || source.now()),
            Clock::Still => decide_each(limits, names, operations, seed, || STILL),
        };
        quota.expect(NAME, operations, allowed);
    })
}

#[inline]
fn admit_each<const KEYS: usize>(
    governor: &mut Governor<KEYS, 16>,
    names: &[String],
    operations: u64,
    seed: u64,
    now: impl Fn() -> Now,
) -> u64 {
    let mut picks = Picks::new(seed, names.len());
    let mut allowed = 0;
    for _ in 0..operations {
        // The clock is read once the request is there, as a caller does who has had to read it from somewhere.
        let request = request(&names[picks.next()]);
        let decision = governor.admit(now(), &request);
        allowed += u64::from(decision.is_allowed());
    }
    allowed
}

#[inline]
fn decide_each<const KEYS: usize>(
    limits: &mut RateLimiter<KEYS, 16>,
    names: &[String],
    operations: u64,
    seed: u64,
    now: impl Fn() -> Now,
) -> u64 {
    let limit = limits.find("user:*").unwrap();
    let mut picks = Picks::new(seed, names.len());
    let mut allowed = 0;
    for _ in 0..operations {
        let key = NameRef::new(&names[picks.next()]).unwrap();
        let decision = limits.decide_by(now(), limit, Some(KeyName::Text(key)), 1).unwrap();
        allowed += u64::from(decision.is_allowed());
    }
    allowed
}

/// A request of one user, from a string that has not been looked at before.
#[inline]
fn request(user: &str) -> Request<'_> {
    Request { user: NameRef::new(user).ok(), ..Request::default() }
}
