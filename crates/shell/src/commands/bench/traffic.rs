//! Calls to providers: decided, and their outcomes told.

use super::admission::{AMPLE, KeyText};
use super::{SERVICE, TENANTS, Work};
use crate::engine::Governor;
use governance::breaker::BreakerDraft;
use governance::config::Config;
use governance::cost::{CostModel, Price};
use governance::field::FieldValue;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::loop_guard::GuardDraft;
use governance::outcome::Outcome;
use governance::policy::{PolicyDraft, PolicyRule};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Header, Request, Unit};
use governance::retry::RetryDraft;
use governance::scope::{Name, NameRef, Scope};
use governance::text::Text;
use governance::time::{Cycle, Nanos, Now, Schedule, WallTime};
use governance::units::Rate;

/// How many policies there are.
const POLICIES: usize = 16;

/// Provider, method and both, as a scope has them.
const ROUTES: [[&str; 3]; 8] = [
    ["github", "get", "github:get"],
    ["github", "post", "github:post"],
    ["openai", "post", "openai:post"],
    ["openai", "get", "openai:get"],
    ["stripe", "post", "stripe:post"],
    ["stripe", "get", "stripe:get"],
    ["slack", "post", "slack:post"],
    ["maps", "get", "maps:get"],
];

/// Each field of a policy with a text that holds for every call, and one that holds for none.
const FIELDS: [(&str, [&str; 2]); 6] = [
    ("service", [SERVICE, "billing, search"]),
    ("role", ["operator", "intern, guest"]),
    ("method", ["get, post", "delete"]),
    ("tenant", ["!acme", "acme, globex"]),
    ("header", ["X-Env: prod", "X-Debug: on"]),
    ("class", ["normal", "low, batch"]),
];

/// What a call is decided by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stages {
    /// A breaker and a retry policy for each scope.
    Breaker,
    /// Those, three limits, a quota, a price, policies and the loop guard. All is ample.
    All,
}

/// Calls of all tenants, each allowed and completed.
pub(super) struct Calls {
    pub(super) stages: Stages,
}

impl Work for Calls {
    fn keys(&self) -> usize {
        TENANTS
    }

    fn configure(&self, config: &mut Config) -> Option<()> {
        let every_route = FieldValue::Text("route:*");
        let mut breaker = BreakerDraft::default();
        breaker.set("scope", every_route).ok()?;
        breaker.set("window", FieldValue::Text("count")).ok()?;
        breaker.set("slow_call", FieldValue::Text("2s")).ok()?;
        config.add_breaker(&breaker.finish().ok()?).ok()?;
        let mut retry = RetryDraft::default();
        retry.set("scope", every_route).ok()?;
        config.add_retry(&retry.finish().ok()?).ok()?;
        if self.stages == Stages::Breaker {
            return Some(());
        }
        for scope in ["service:bench", "tenant:*", "route:*"] {
            let rate = Rate { count: 1_000_000, period: Nanos::from_seconds(1) };
            let bucket = RateLimitAlgorithm::TokenBucket(BucketShape { capacity: 1_000_000_000, rate });
            let limit = LimitSpec::new(Scope::parse(scope).ok()?, bucket, Unit::Requests).ok()?;
            config.add_limit(&limit).ok()?;
        }
        let monthly = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
        let tenants = Scope::parse("tenant:*").ok()?;
        config.add_quota(&QuotaSpec::new(tenants, QuotaUnit::Requests, AMPLE, monthly).ok()?).ok()?;
        let model = CostModel {
            service: Name::new(SERVICE).ok()?,
            base_cost: Price::parse("0.0001 USD").ok()?,
            per_kilobyte: Price::parse("0.00001 USD").ok()?,
            ..CostModel::default()
        };
        config.add_model(&model).ok()?;
        (0..POLICIES).try_for_each(|index| config.add_policy(&policy(index)?).ok())?;
        let mut guard = GuardDraft::default();
        for field in ["requests_per_minute", "repeats_per_minute", "failures_per_minute"] {
            guard.set(field, FieldValue::Integer(i64::from(u32::MAX))).ok()?;
        }
        config.guard = guard.finish().ok()?;
        Some(())
    }

    fn prepare(&mut self, governor: &mut Governor, now: Now) -> Option<()> {
        (0..TENANTS).all(|key| self.once(governor, now, key)).then_some(())
    }

    #[inline]
    fn once(&mut self, governor: &mut Governor, now: Now, key: usize) -> bool {
        let tenant = KeyText::of(key);
        let [provider, method, route] = ROUTES[key % ROUTES.len()];
        let role = NameRef::new("operator").ok();
        let request = Request {
            service: NameRef::new(SERVICE).ok(),
            tenant: NameRef::new(tenant.as_str()).ok(),
            provider: NameRef::new(provider).ok(),
            method: NameRef::new(method).ok(),
            route: NameRef::new(route).ok(),
            bytes: 1024,
            roles: role.as_slice(),
            headers: &[Header { name: "X-Env", value: b"prod" }],
            ..Request::default()
        };
        let decision = governor.admit(now, &request);
        let outcome = Outcome { status: Some(200), ms: Some(key as u64 % 64), ..Outcome::default() };
        decision.ticket.is_some_and(|ticket| governor.complete(now, ticket, &outcome).is_ok())
    }
}

/// The policy of that number. Each looks at three fields: every other one denies, and the last of its fields does not
/// hold; the others allow, and all of theirs hold.
fn policy(index: usize) -> Option<PolicyRule> {
    let name = Text::<16>::format(format_args!("rule-{index:02}")).ok()?;
    let denies = index % 2;
    let mut draft = PolicyDraft::default();
    let mut set = |field, text| draft.set(field, FieldValue::Text(text)).ok();
    set("name", name.as_str())?;
    set("action", ["allow", "deny"][denies])?;
    for place in 0..3 {
        let step = 1 + index / FIELDS.len() % 2;
        let (field, texts) = FIELDS[(index + place * step) % FIELDS.len()];
        set(field, texts[if place == 2 { denies } else { 0 }])?;
    }
    draft.finish().ok()
}
