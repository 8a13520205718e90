//! Words for tests: a manager on the heap, quotas and requests in a line each.

use crate::field::FieldValue;
use crate::quota::{
    QuotaAmounts, QuotaDraft, QuotaHold, QuotaId, QuotaManager, QuotaRefusal, QuotaSpec, QuotaStanding,
    QuotaUsage,
};
use crate::rate_limiter::Access;
use crate::request::{Request, Subject};
use crate::scope::{HashSecret, KeyName, Kind, NameRef};
use crate::time::{Instant, Now, WallTime, parse_time_or_date};

pub(super) const SECRET: HashSecret = HashSecret { k0: 0x1234, k1: 0x5678 };
pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const DAY: u64 = 86_400 * SECOND;

pub(super) type Small = QuotaManager<64>;

/// An empty manager that hashes under [`SECRET`].
pub(super) fn manager<const ACTIVE: usize>() -> Box<QuotaManager<ACTIVE>> {
    let mut manager = Box::new(QuotaManager::new());
    manager.reset(SECRET);
    manager
}

/// A quota in words: `tenant:* 100 daily unit=tokens rollover=5`.
pub(super) fn spec(words: &str) -> QuotaSpec {
    let mut draft = QuotaDraft::default();
    let mut words = words.split(' ');
    for field in ["scope", "limit", "window"] {
        draft.set(field, FieldValue::Text(words.next().unwrap())).unwrap();
    }
    for word in words {
        let (field, value) = word.split_once('=').unwrap();
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft.finish().unwrap()
}

/// A manager with these quotas, in this order.
pub(super) fn with<const ACTIVE: usize>(specs: &[&str]) -> (Box<QuotaManager<ACTIVE>>, Vec<QuotaId>) {
    let mut manager = manager();
    let ids = specs.iter().map(|words| manager.allocate_quota(&spec(words)).unwrap()).collect();
    (manager, ids)
}

/// Both clocks at the same reading.
pub(super) fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

/// Both clocks at a date or a time, in words.
pub(super) fn on(text: &str) -> Now {
    at(parse_time_or_date(text).unwrap().0)
}

pub(super) fn name(text: &str) -> NameRef<'_> {
    NameRef::new(text).unwrap()
}

pub(super) fn key(kind: Kind, text: &str) -> Option<KeyName<'_>> {
    Some(KeyName::parse(kind, text).unwrap())
}

pub(super) fn of_user(user: &str) -> Request<'_> {
    Request { user: Some(name(user)), ..Request::default() }
}

pub(super) fn of_tenant(tenant: &str) -> Request<'_> {
    Request { tenant: Some(name(tenant)), ..Request::default() }
}

pub(super) fn amounts(request: &Request<'_>) -> QuotaAmounts {
    QuotaAmounts::from(request.usage())
}

pub(super) type Answer = Result<Option<QuotaStanding>, QuotaRefusal>;

/// Checks and charges.
pub(super) fn admit<const ACTIVE: usize>(
    manager: &mut QuotaManager<ACTIVE>,
    now: Now,
    request: &Request<'_>,
) -> Answer {
    let subject = Subject { request, group: None };
    let clearance = manager.check(now, &subject, &amounts(request), Access::Charge)?;
    Ok(manager.charge(clearance))
}

/// Checks and reserves.
pub(super) fn hold<const ACTIVE: usize>(
    manager: &mut QuotaManager<ACTIVE>,
    now: Now,
    request: &Request<'_>,
) -> Result<Vec<QuotaHold>, QuotaRefusal> {
    let subject = Subject { request, group: None };
    let clearance = manager.check(now, &subject, &amounts(request), Access::Charge)?;
    let (expected, mut holds) = (clearance.holds(), Vec::new());
    manager.charge_held(clearance, &mut |hold| holds.push(hold));
    assert_eq!(holds.len(), expected);
    Ok(holds)
}

/// Checks and lets go.
pub(super) fn look<const ACTIVE: usize>(
    manager: &mut QuotaManager<ACTIVE>,
    now: Now,
    request: &Request<'_>,
) -> Answer {
    let subject = Subject { request, group: None };
    let clearance = manager.check(now, &subject, &amounts(request), Access::Peek)?;
    Ok(manager.release(clearance))
}

/// How many requests pass, of at most `most`.
pub(super) fn passes<const ACTIVE: usize>(
    manager: &mut QuotaManager<ACTIVE>,
    now: Now,
    request: &Request<'_>,
    most: usize,
) -> usize {
    (0..most).filter(|_| admit(manager, now, request).is_ok()).count()
}

pub(super) fn usage<const ACTIVE: usize>(
    manager: &QuotaManager<ACTIVE>,
    now: Now,
    id: QuotaId,
    key: Option<KeyName<'_>>,
) -> QuotaUsage {
    manager.get_quota_status(now, id, key).unwrap().usage
}
