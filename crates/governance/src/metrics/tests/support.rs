//! Keys, times and decisions to test with.

use crate::decision::{Decision, Reason, Verdict};
use crate::metrics::{GovernanceCollector, Key, Measured};
use crate::money::NanoUnits;
use crate::scope::{HashSecret, KeyName, Kind, NameRef};
use crate::time::{NANOS_PER_SECOND, Now, WallTime};

const SECRET: HashSecret = HashSecret::from_seed(11);

pub(super) fn collector() -> Box<GovernanceCollector> {
    Box::new(GovernanceCollector::new())
}

/// The Monday on which tests begin, and seconds behind it.
pub(super) fn at(seconds: u64) -> Now {
    Now::from_wall(WallTime((1_767_571_200 + seconds) * NANOS_PER_SECOND))
}

pub(super) fn key(kind: Kind, name: &str) -> Key<'_> {
    let name = NameRef::new(name).unwrap();
    Key { hash: SECRET.hash(kind, KeyName::Text(name)), name }
}

/// A request of a tenant for a service, whose latency is that of the service.
pub(super) fn call<'a>(service: &'a str, tenant: &'a str) -> Measured<'a> {
    let service = key(Kind::Service, service);
    Measured {
        service: Some(service),
        tenant: Some(key(Kind::Tenant, tenant)),
        scope: Some((Kind::Service, service)),
        tokens: 0,
        charged: NanoUnits::ZERO,
    }
}

pub(super) fn allowed() -> Decision {
    Decision::plain(Verdict::Allow, Reason::WithinLimits)
}

pub(super) fn denied() -> Decision {
    Decision::plain(Verdict::Deny, Reason::OverLimit)
}
