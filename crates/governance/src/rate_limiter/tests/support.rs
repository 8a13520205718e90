//! Words for tests: a governor on the heap, limits and requests in a line each.

use crate::decision::{Decision, Wait};
use crate::governor::Governor;
use crate::limit::{Align, BucketShape, ConcurrencyShape, LimitSpec, RateLimitAlgorithm, WindowShape};
use crate::rate_limiter::{Access, LimitHold, LimitId, RateLimiter, Refusal};
use crate::request::{Request, Subject, Unit};
use crate::scope::{HashSecret, KeyName, Kind, NameRef, Scope};
use crate::time::{Instant, Nanos, Now, WallTime};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const YEAR: u64 = 365 * 86_400 * SECOND;
pub(super) const SECRET: HashSecret = HashSecret { k0: 0x1234, k1: 0x5678 };

/// An empty governor that hashes under [`SECRET`].
pub(super) fn governor<const KEYS: usize, const LOG: usize>() -> Box<Governor<KEYS, LOG>> {
    let mut governor = Box::new(Governor::new());
    governor.reset(SECRET);
    governor
}

/// A governor with one limit on the service `web`.
pub(super) fn governor_with(algorithm: RateLimitAlgorithm) -> (Box<Governor<16, 64>>, LimitId) {
    let mut governor = governor();
    let id = governor.limits.add(&spec("service:web", algorithm)).unwrap();
    (governor, id)
}

pub(super) fn spec(scope: &str, algorithm: RateLimitAlgorithm) -> LimitSpec {
    let scope = Scope::parse(scope).unwrap();
    if scope.is_secret() {
        return LimitSpec { name: name_of("secret"), scope, algorithm, ..LimitSpec::default() };
    }
    LimitSpec::new(scope, algorithm, Unit::Requests).unwrap()
}

pub(super) fn named(name: &str, scope: &str, algorithm: RateLimitAlgorithm) -> LimitSpec {
    LimitSpec { name: name_of(name), ..spec(scope, algorithm) }
}

fn name_of(name: &str) -> crate::limit::LimitName {
    crate::limit::LimitName::new(name).unwrap()
}

pub(super) fn shape(capacity: u64, rate: &str) -> BucketShape {
    BucketShape { capacity, rate: rate.parse().unwrap() }
}

pub(super) fn token_bucket(capacity: u64, rate: &str) -> RateLimitAlgorithm {
    RateLimitAlgorithm::TokenBucket(shape(capacity, rate))
}

pub(super) fn window(limit: u64, window: &str, align: Align) -> WindowShape {
    WindowShape { limit, window: window.parse().unwrap(), align }
}

/// Fixed windows by the wall clock, which is easiest to reckon with.
pub(super) fn fixed(limit: u64, length: &str) -> RateLimitAlgorithm {
    RateLimitAlgorithm::FixedWindow(window(limit, length, Align::Clock))
}

pub(super) fn sliding(limit: u64, length: &str) -> RateLimitAlgorithm {
    RateLimitAlgorithm::SlidingWindow(window(limit, length, Align::Clock))
}

pub(super) fn log(limit: u64, length: &str) -> RateLimitAlgorithm {
    RateLimitAlgorithm::SlidingLog(window(limit, length, Align::Spread))
}

pub(super) fn in_flight(limit: u64, lease: &str) -> RateLimitAlgorithm {
    RateLimitAlgorithm::Concurrency(ConcurrencyShape { limit, lease: lease.parse().unwrap() })
}

/// Charges a request with a ticket: what is to be settled.
pub(super) fn hold<const KEYS: usize, const LOG: usize>(
    limits: &mut RateLimiter<KEYS, LOG>,
    now: u64,
    request: &Request<'_>,
) -> Result<Vec<LimitHold>, Refusal> {
    let (subject, mut holds) = (Subject { request, group: None }, Vec::new());
    let clearance = limits.check(at(now), &subject, Access::Charge)?;
    let most = clearance.holds();
    limits.charge_held(&subject, clearance, &mut |hold| holds.push(hold));
    assert!(holds.len() <= most);
    Ok(holds)
}

/// Both clocks at the same reading.
pub(super) fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

pub(super) fn name(text: &str) -> NameRef<'_> {
    NameRef::new(text).unwrap()
}

pub(super) fn key(kind: Kind, text: &str) -> Option<KeyName<'_>> {
    Some(KeyName::parse(kind, text).unwrap())
}

/// A request to the service `web`.
pub(super) fn web(cost: u64) -> Request<'static> {
    Request { service: NameRef::new("web").ok(), cost, ..Request::default() }
}

/// A request of a user to no service.
pub(super) fn of_user(user: &str) -> Request<'_> {
    Request { user: Some(name(user)), ..Request::default() }
}

pub(super) fn from_ip(ip: &str) -> Request<'static> {
    Request { ip: Some(ip.parse().unwrap()), ..Request::default() }
}

/// What is left, as the decision says.
pub(super) fn remaining(decision: &Decision) -> u64 {
    decision.limit.unwrap().remaining()
}

pub(super) fn retry_nanos(nanos: u64) -> Option<Wait> {
    Some(Wait::For(Nanos(nanos)))
}

/// How many requests of cost 1 pass at `now`, of at most `most`.
pub(super) fn passes<const KEYS: usize, const LOG: usize>(
    governor: &mut Governor<KEYS, LOG>,
    now: u64,
    request: &Request<'_>,
    most: usize,
) -> usize {
    (0..most).filter(|_| governor.admit(at(now), request).is_allowed()).count()
}
