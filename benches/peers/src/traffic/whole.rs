//! The whole way of a call to a provider: decided by every stage that there is, and completed.

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use crate::weir::EngineClock;
use governance::breaker::BreakerDraft;
use governance::config::Config;
use governance::cost::{CostModel, Price};
use governance::decision::{Decision, Verdict};
use governance::field::FieldValue;
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::loop_guard::GuardDraft;
use governance::outcome::Outcome;
use governance::policy::{PolicyDraft, PolicyRule};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Header, Request, Unit};
use governance::retry::RetryDraft;
use governance::scope::{HashSecret, Name, NameRef, Scope};
use governance::tickets::Ticket;
use governance::time::{Cycle, Nanos, Schedule, WallTime};
use governance::units::Rate;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How many tenants there are.
pub const TENANTS: u32 = 256;
/// How many policies there are.
const POLICIES: usize = 16;
/// How many calls are open at a time where both halves of their way are measured by themselves.
const OPEN: u64 = 64;
const SERVICE: &str = "api";
const ROUTES: [&str; 8] = [
    "github:get",
    "github:post",
    "openai:post",
    "openai:get",
    "stripe:post",
    "stripe:get",
    "slack:post",
    "maps:get",
];

type Engine = Mutex<Governor<1_024, 16, 512>>;

static ENGINES: [Engine; 9] = [const { Mutex::new(Governor::new()) }; 9];
/// In static memory too, since it is as large.
static CONFIG: Mutex<Config> = Mutex::new(Config::new());

/// What decides; each of those in a list with all before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// On the service, the tenant and the route.
    Limits,
    Quota,
    Price,
    Policies,
    Guard,
    /// With a retry policy. It makes a ticket of each call, whose outcome is to be told.
    Breaker,
}

use Stage::{Breaker, Guard, Limits, Policies, Price as Priced, Quota};

const EVERYTHING: [Stage; 6] = [Limits, Quota, Priced, Policies, Guard, Breaker];

/// One stage after the other, without the breaker: nothing is to be completed.
pub fn stages<'a>(tenants: &'a [String]) -> Vec<Case<'a>> {
    let names =
        ["nothing else", "3 limits", "... a quota", "... a price", "... 16 policies", "... the loop guard"];
    let case = |(count, (name, engine)): (usize, (&'static str, &'static Engine))| {
        prepare(engine, &EVERYTHING[..count], tenants);
        admit(engine, name, tenants)
    };
    names.into_iter().zip(&ENGINES).enumerate().map(case).collect()
}

/// Calls that are completed: with a breaker alone, and with everything.
pub fn calls<'a>(tenants: &'a [String]) -> Vec<Case<'a>> {
    let [.., alone, whole, halves] = &ENGINES;
    prepare(alone, &[Breaker], tenants);
    prepare(whole, &EVERYTHING, tenants);
    prepare(halves, &EVERYTHING, tenants);
    vec![
        call(whole, "everything: admit + complete", tenants),
        half(halves, "everything: admit, 64 calls open", Half::Admit, tenants),
        half(halves, "everything: complete, 64 calls open", Half::Complete, tenants),
        call(alone, "breaker, retry policy: admit + complete", tenants),
    ]
}

fn prepare(engine: &Engine, stages: &[Stage], tenants: &[String]) {
    let governor = &mut *engine.lock().unwrap();
    let config = &mut *CONFIG.lock().unwrap();
    config.clear();
    stages.iter().for_each(|stage| add(config, *stage));
    let clock = EngineClock::new();
    governor.reset(HashSecret { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 });
    governor.configure(clock.now(), config).unwrap();
    for index in 0..tenants.len() {
        let decision = with_request(tenants, index, |request| governor.admit(clock.now(), request));
        assert_eq!(decision.verdict, Verdict::Allow, "everything is ample: {decision:?}");
        assert_eq!(decision.limit.is_some(), stages.contains(&Limits), "the limits have their say");
        assert_eq!(decision.quota.is_some(), stages.contains(&Quota), "the quota has its say");
        assert_eq!(decision.price.is_some(), stages.contains(&Priced), "the request has a price");
        assert_eq!(decision.policy.is_some(), stages.contains(&Policies), "the policies have their say");
        assert_eq!(decision.ticket.is_some(), stages.contains(&Breaker), "the breaker has its say");
        decision.ticket.iter().for_each(|ticket| {
            governor.complete(clock.now(), *ticket, &outcome(index)).unwrap();
        });
    }
}

fn add(config: &mut Config, stage: Stage) {
    let fields = |set: &mut dyn FnMut(&str, FieldValue<'_>), fields: &[(&str, FieldValue<'_>)]| {
        fields.iter().for_each(|&(field, value)| set(field, value));
    };
    let every_route = ("scope", FieldValue::Text("route:*"));
    match stage {
        Limits => {
            for scope in ["service:api", "tenant:*", "route:*"] {
                let rate = Rate { count: 1_000_000, period: Nanos::from_seconds(1) };
                let shape = BucketShape { capacity: 1_000_000_000, rate };
                let bucket = RateLimitAlgorithm::TokenBucket(shape);
                config
                    .add_limit(&LimitSpec::new(Scope::parse(scope).unwrap(), bucket, Unit::Requests).unwrap())
                    .unwrap();
            }
        }
        Quota => {
            let monthly = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
            let scope = Scope::parse("tenant:*").unwrap();
            config.add_quota(&QuotaSpec::new(scope, QuotaUnit::Requests, 1 << 50, monthly).unwrap()).unwrap();
        }
        Priced => {
            let model = CostModel {
                service: Name::new(SERVICE).unwrap(),
                base_cost: Price::parse("0.0001 USD").unwrap(),
                per_kilobyte: Price::parse("0.00001 USD").unwrap(),
                ..CostModel::default()
            };
            config.add_model(&model).unwrap();
        }
        Policies => (0..POLICIES).for_each(|index| config.add_policy(&policy(index)).unwrap()),
        Guard => {
            let mut draft = GuardDraft::default();
            let many = FieldValue::Integer(i64::from(u32::MAX));
            fields(
                &mut |field, value| draft.set(field, value).unwrap(),
                &[("requests_per_minute", many), ("repeats_per_minute", many), ("failures_per_minute", many)],
            );
            config.guard = draft.finish().unwrap();
        }
        Breaker => {
            let mut draft = BreakerDraft::default();
            let window = ("window", FieldValue::Text("count"));
            fields(
                &mut |field, value| draft.set(field, value).unwrap(),
                &[every_route, window, ("slow_call", FieldValue::Text("2s"))],
            );
            config.add_breaker(&draft.finish().unwrap()).unwrap();
            let mut draft = RetryDraft::default();
            fields(&mut |field, value| draft.set(field, value).unwrap(), &[every_route]);
            config.add_retry(&draft.finish().unwrap()).unwrap();
        }
    }
}

/// Each field with a text that holds for every request, and one that holds for none.
const FIELDS: [(&str, [&str; 2]); 6] = [
    ("service", ["api", "billing, search"]),
    ("role", ["operator", "intern, guest"]),
    ("method", ["get, post", "delete"]),
    ("tenant", ["!acme", "acme, globex"]),
    ("header", ["X-Env: prod", "X-Debug: on"]),
    ("class", ["normal", "low, batch"]),
];

/// The policy of that number. Each looks at three fields: every other one denies, and the last of its fields does not hold;
/// the others allow, and all of theirs hold.
fn policy(index: usize) -> PolicyRule {
    let name = format!("rule-{index:02}");
    let mut draft = PolicyDraft::default();
    let mut set = |field, text| draft.set(field, FieldValue::Text(text)).unwrap();
    let denies = index % 2;
    set("name", name.as_str());
    set("action", ["allow", "deny"][denies]);
    for place in 0..3 {
        let (field, texts) = FIELDS[(index + place * (1 + index / FIELDS.len() % 2)) % FIELDS.len()];
        set(field, texts[if place == 2 { denies } else { 0 }]);
    }
    draft.finish().unwrap()
}

fn admit<'a>(engine: &'static Engine, name: &'static str, tenants: &'a [String]) -> Case<'a> {
    let clock = EngineClock::new();
    Case::new(name, Clock::Read, move |operations, seed| {
        let governor = &mut *engine.lock().unwrap();
        let mut picks = Picks::new(seed, tenants.len());
        let mut allowed = 0;
        for _ in 0..operations {
            let decision =
                with_request(tenants, picks.next(), |request| governor.admit(clock.now(), request));
            allowed += u64::from(decision.is_allowed());
        }
        assert_eq!(allowed, operations, "{name}: everything is ample");
    })
}

fn call<'a>(engine: &'static Engine, name: &'static str, tenants: &'a [String]) -> Case<'a> {
    let clock = EngineClock::new();
    Case::new(name, Clock::Read, move |operations, seed| {
        let governor = &mut *engine.lock().unwrap();
        let mut picks = Picks::new(seed, tenants.len());
        let mut completed = 0;
        for _ in 0..operations {
            let index = picks.next();
            let ticket = ticket(with_request(tenants, index, |request| governor.admit(clock.now(), request)));
            completed += u64::from(governor.complete(clock.now(), ticket, &outcome(index)).is_ok());
        }
        assert_eq!(completed, operations, "{name}: each outcome is awaited");
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Admit,
    Complete,
}

/// One half of the way of calls, of which several are open at a time.
fn half<'a>(engine: &'static Engine, name: &'static str, half: Half, tenants: &'a [String]) -> Case<'a> {
    let clock = EngineClock::new();
    Case::timing_itself(name, Clock::Read, move |operations, seed| {
        let governor = &mut *engine.lock().unwrap();
        let mut picks = Picks::new(seed, tenants.len());
        let mut open: Vec<(usize, Ticket)> = Vec::with_capacity(usize::try_from(OPEN).unwrap());
        let mut took = Duration::ZERO;
        let mut left = operations;
        while left > 0 {
            let batch = left.min(OPEN);
            let start = Instant::now();
            for _ in 0..batch {
                let index = picks.next();
                let decision = with_request(tenants, index, |request| governor.admit(clock.now(), request));
                open.push((index, ticket(decision)));
            }
            let middle = Instant::now();
            for (index, ticket) in open.drain(..) {
                governor.complete(clock.now(), ticket, &outcome(index)).unwrap();
            }
            took += if half == Half::Admit { middle - start } else { middle.elapsed() };
            left -= batch;
        }
        took
    })
}

#[inline]
fn ticket(decision: Decision) -> Ticket {
    decision.ticket.expect("everything is ample, and the outcome awaited")
}

/// Success, in up to 63 ms.
#[inline]
fn outcome(index: usize) -> Outcome {
    Outcome { status: Some(200), ms: Some(index as u64 % 64), ..Outcome::default() }
}

/// The request of the tenant of that number. Its tenant's name is checked; all other names are the gateway's own, and have
/// been.
#[inline]
fn with_request<T>(tenants: &[String], index: usize, decide: impl FnOnce(&Request<'_>) -> T) -> T {
    let [provider, method, route] = &OWN.routes[index % ROUTES.len()];
    decide(&Request {
        tenant: NameRef::new(&tenants[index]).ok(),
        service: Some(OWN.service),
        provider: Some(*provider),
        method: Some(*method),
        route: Some(*route),
        bytes: 1024,
        roles: &OWN.roles,
        headers: &[Header { name: "X-Env", value: b"prod" }],
        ..Request::default()
    })
}

/// The names that are the gateway's own.
struct Own {
    service: NameRef<'static>,
    routes: [[NameRef<'static>; 3]; ROUTES.len()],
    roles: [NameRef<'static>; 1],
}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let name = |text| NameRef::new(text).unwrap();
    let route = |route: &'static str| {
        let (provider, method) = route.split_once(':').unwrap();
        [name(provider), name(method), name(route)]
    };
    Own { service: name(SERVICE), routes: ROUTES.map(route), roles: [name("operator")] }
});
