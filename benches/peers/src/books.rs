//! What the stages behind the limits add to a request: a quota, a price, a budget, for 256 tenants.

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use crate::weir::EngineClock;
use governance::cost::{CostModel, Price};
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Request, Unit};
use governance::scope::{HashSecret, Name, NameRef, Scope};
use governance::time::{Cycle, Nanos, Schedule, WallTime};
use governance::units::Rate;
use std::sync::Mutex;

/// How many tenants there are.
pub const TENANTS: u32 = 256;
/// What each request carries.
const BYTES: u64 = 1024;
const SERVICE: &str = "api";

/// A governor that keeps books for more tenants than come, in static memory.
pub type Books = Mutex<Governor<1_024, 16, 512>>;

/// What decides beside the limit; each stage together with those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stages {
    Limit,
    Quota,
    Cost,
    Budget,
}

static ENGINES: [Books; 4] = [const { Mutex::new(Governor::new()) }; 4];

/// A case for each stage, with its own engine: `tenant:*` everywhere, ample, so that every request is allowed.
pub fn cases<'a>(tenants: &'a [String]) -> Vec<Case<'a>> {
    let stages = [
        (Stages::Limit, "limit"),
        (Stages::Quota, "limit, quota"),
        (Stages::Cost, "limit, quota, cost"),
        (Stages::Budget, "limit, quota, cost, budget"),
    ];
    let case = |((stages, name), engine): ((Stages, &'static str), &'static Books)| {
        prepare(&mut engine.lock().unwrap(), stages, tenants);
        admit(engine, name, tenants)
    };
    stages.into_iter().zip(&ENGINES).map(case).collect()
}

fn prepare(governor: &mut Governor<1_024, 16, 512>, stages: Stages, tenants: &[String]) {
    governor.reset(HashSecret { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 });
    let scope = Scope::parse("tenant:*").unwrap();
    let shape =
        BucketShape { capacity: 1_000_000, rate: Rate { count: 1_000, period: Nanos::from_seconds(1) } };
    let limit = LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).unwrap();
    governor.limits.add(&limit).unwrap();
    let monthly = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
    let quota = |unit| QuotaSpec::new(scope, unit, 1_000_000_000_000_000_000, monthly).unwrap();
    if stages >= Stages::Quota {
        governor.quotas.allocate_quota(&quota(QuotaUnit::Requests)).unwrap();
    }
    if stages >= Stages::Cost {
        let model = CostModel {
            service: Name::new(SERVICE).unwrap(),
            base_cost: Price::parse("0.0001 USD").unwrap(),
            per_kilobyte: Price::parse("0.00001 USD").unwrap(),
            ..CostModel::default()
        };
        governor.costs.define_cost_model(&model).unwrap();
    }
    if stages >= Stages::Budget {
        governor.budgets.allocate_quota(&quota(QuotaUnit::Cost)).unwrap();
    }
    let now = EngineClock::new().now();
    for tenant in tenants {
        let decision = governor.admit(now, &request(tenant));
        assert_eq!(decision.quota.is_some(), stages >= Stages::Quota, "the quota has its say");
        assert_eq!(decision.price.is_some(), stages >= Stages::Cost, "the request has a price");
        assert_eq!(decision.budget.is_some(), stages >= Stages::Budget, "the budget has its say");
    }
}

fn admit<'a>(engine: &'static Books, name: &'static str, tenants: &'a [String]) -> Case<'a> {
    let clock = EngineClock::new();
    Case::new(name, Clock::Read, move |operations, seed| {
        let governor = &mut *engine.lock().unwrap();
        let mut picks = Picks::new(seed, tenants.len());
        let mut allowed = 0;
        for _ in 0..operations {
            let request = request(&tenants[picks.next()]);
            allowed += u64::from(governor.admit(clock.now(), &request).is_allowed());
        }
        assert_eq!(allowed, operations, "{name}: everything is ample");
    })
}

#[inline]
fn request(tenant: &str) -> Request<'_> {
    Request {
        tenant: NameRef::new(tenant).ok(),
        service: NameRef::new(SERVICE).ok(),
        bytes: BYTES,
        ..Request::default()
    }
}
