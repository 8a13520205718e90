//! Policies and requests to test with.

use super::naive::{Call, NaiveDecision, NaiveRule};
use crate::field::FieldValue;
use crate::policy::{
    DefaultEffect, PolicyContext, PolicyDecision, PolicyDraft, PolicyEngine, PolicyRule, RuleSet,
};
use crate::rate_limiter::LimitId;
use crate::request::{Header, RequestPriority};
use crate::scope::NameRef;
use crate::time::{NANOS_PER_SECOND, Now, WallTime};
use proptest::prelude::{Strategy, any, prop};
use std::net::IpAddr;

pub(super) fn engine() -> Box<PolicyEngine> {
    Box::new(PolicyEngine::new())
}

/// The Monday on which weeks of tests begin, and seconds behind it.
pub(super) fn at(seconds: u64) -> Now {
    Now::from_wall(WallTime((1_767_571_200 + seconds) * NANOS_PER_SECOND))
}

/// Limits of tests are called `slow-lane` and `fast-lane`.
pub(super) fn lanes(name: &str) -> Option<LimitId> {
    ["slow-lane", "fast-lane"].iter().zip(7..).find(|(lane, _)| **lane == name).map(|(_, id)| LimitId(id))
}

/// A policy of fields and their texts.
pub(super) fn rule(name: &str, action: &str, fields: &[(&str, &str)]) -> PolicyRule {
    let mut draft = PolicyDraft::default();
    for (field, value) in [("name", name), ("action", action)].iter().chain(fields) {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft.finish().unwrap()
}

/// Why a policy with this field cannot be.
pub(super) fn refusal(fields: &[(&str, &str)]) -> String {
    let mut draft = PolicyDraft::default();
    draft.set("name", FieldValue::Text("odd")).unwrap();
    draft.set("action", FieldValue::Text("deny")).unwrap();
    let set = fields.iter().try_for_each(|(field, value)| draft.set(field, FieldValue::Text(value)));
    set.and_then(|()| draft.finish()).unwrap_err().to_string()
}

impl NaiveRule {
    pub(super) fn draft(&self) -> PolicyDraft {
        let mut draft = PolicyDraft::default();
        draft.set("name", FieldValue::Text(&self.name)).unwrap();
        draft.set("action", FieldValue::Text(&self.action)).unwrap();
        draft.set("priority", FieldValue::Integer(i64::from(self.priority))).unwrap();
        draft.set("enabled", FieldValue::Boolean(self.enabled)).unwrap();
        draft.set("audit", FieldValue::Boolean(self.audit)).unwrap();
        draft.set("mode", FieldValue::Text(if self.shadow { "shadow" } else { "enforce" })).unwrap();
        draft
    }

    /// The policy, if its fields can be.
    pub(super) fn compiled(&self) -> Option<PolicyRule> {
        let mut draft = self.draft();
        for (field, text) in &self.fields {
            draft.set(field, FieldValue::Text(text)).ok()?;
        }
        draft.finish().ok()
    }
}

impl Call {
    pub(super) fn with<R>(&self, look: impl FnOnce(&PolicyContext<'_>) -> R) -> R {
        let name = |name: &'_ Option<String>| name.clone();
        let (service, tenant, method) = (name(&self.service), name(&self.tenant), name(&self.method));
        let roles: Vec<NameRef<'_>> = self.roles.iter().map(|role| NameRef::new(role).unwrap()).collect();
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        look(&PolicyContext {
            service: service.as_deref().map(|name| NameRef::new(name).unwrap()),
            tenant: tenant.as_deref().map(|name| NameRef::new(name).unwrap()),
            roles: &roles,
            ip: self.ip,
            method: method.as_deref().map(|name| NameRef::new(name).unwrap()),
            path: self.path.as_ref().map(String::as_bytes),
            headers: &headers,
            priority: RequestPriority::ALL[self.class],
            wall: at(self.hour * 3600 + 1800).wall,
        })
    }

    /// The request that a context describes.
    pub(super) fn of(context: &PolicyContext<'_>) -> Self {
        let text = |name: Option<NameRef<'_>>| name.map(|name| name.as_str().to_string());
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            service: text(context.service),
            tenant: text(context.tenant),
            roles: context.roles.iter().map(|role| role.as_str().to_string()).collect(),
            ip: context.ip,
            method: text(context.method),
            path: context.path.map(utf8),
            headers: context
                .headers
                .iter()
                .map(|header| (header.name.to_string(), utf8(header.value)))
                .collect(),
            class: context.priority as usize,
            hour: (context.wall.0 / NANOS_PER_SECOND - 1_767_571_200) / 3600 % 168,
        }
    }
}

/// A decision in names.
pub(super) fn in_names(engine: &PolicyEngine, decision: &PolicyDecision) -> NaiveDecision {
    let name = |id| engine.get_policy(id).unwrap().name.as_str().to_string();
    let names = |rules: RuleSet| rules.iter().map(name).collect();
    NaiveDecision {
        allowed: decision.allowed,
        decider: decision.decider.map(name),
        matched: names(decision.matched),
        shadow: names(decision.shadow),
        would_allow: decision.would_allow,
    }
}

/// What an engine would say of a request, in names.
pub(super) fn peek(engine: &PolicyEngine, call: &Call) -> NaiveDecision {
    call.with(|context| in_names(engine, &engine.peek(context)))
}

pub(super) fn configured(rules: &[NaiveRule], default: DefaultEffect) -> Box<PolicyEngine> {
    let mut engine = engine();
    let rules: Vec<PolicyRule> = rules.iter().map(|rule| rule.compiled().unwrap()).collect();
    engine.configure(at(0), &rules, default, &lanes).unwrap();
    engine
}

const NAMES: [&str; 4] = ["a", "b", "billing", "a-rather-long-name-of-a-service"];
const ROLES: [&str; 4] = ["admin", "guest", "intern", "ops"];
const METHODS: [&str; 5] = ["GET", "get", "Post", "DELETE", "PROPFIND-EXTENDED"];
const NETWORKS: [&str; 12] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3",
    "0.0.0.0/0",
    "::/0",
    "::ffff:10.1.0.0/112",
    "::fffe:0:0/95",
    "2001:db8::/32",
    "2001:db8::7",
    "8000::/1",
    "255.255.255.255",
];
const ADDRESSES: [&str; 11] = [
    "10.0.0.1",
    "10.1.0.9",
    "10.1.2.3",
    "10.1.2.4",
    "11.0.0.0",
    "0.0.0.0",
    "255.255.255.255",
    "::ffff:10.1.2.3",
    "::",
    "2001:db8::7",
    "ffff::1",
];
const PATHS: [&str; 10] =
    ["/", "/v1", "/v1/", "/v1/invoices", "/v1/invoices/public", "/v10", "/v1/a", "/a", "/a/b/c/d", "/v1//x"];
const REQUEST_PATHS: [&str; 12] = [
    "",
    "*",
    "/",
    "/v1",
    "/v1/",
    "/v1/invoices",
    "/v1/invoices/public/7",
    "/v10",
    "/v1/aa",
    "/a/b/c/d/e",
    "/v1//x/y",
    "/v1/invoices-of-last-year",
];
const HEADERS: [&str; 12] = [
    "X-Env: prod",
    "x-env: prod",
    "X-Env: staging",
    "X-Env",
    "X-Env: pro*",
    "X-Env: p*",
    "X-Debug",
    "X-Debug: 1*",
    "x-debug: 1",
    "X-A-Rather-Long-Name-Of-A-Header: something-longer-than-a-word",
    "X-A-Rather-Long-Name-Of-A-Header: something-*",
    "Via",
];
const REQUEST_HEADERS: [(&str, &str); 14] = [
    ("X-Env", "prod"),
    ("x-ENV", "pro"),
    ("X-Env", "staging"),
    ("X-Env", ""),
    ("x-env", "production"),
    ("X-Debug", "1"),
    ("X-Debug", "10"),
    ("x-debug", "0"),
    ("X-A-Rather-Long-Name-Of-A-Header", "something-longer-than-a-word"),
    ("x-a-rather-long-name-of-a-header", "something-else"),
    ("via", "b"),
    ("Host", "x"),
    ("Accept", "*/*"),
    ("X-En", "prod"),
];
const CLASSES: [&str; 5] = ["critical", "high", "normal", "low", "batch"];
const HOURS: [&str; 5] = ["9-17", "22-6", "0-24", "0-1, 23-24", "5-4"];
const DAYS: [&str; 5] = ["mon-fri", "sat, sun", "fri-mon", "wed", "mon-sun"];

fn pick(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(words).prop_map(str::to_string)
}

fn values(words: &'static [&'static str], separator: &'static str) -> impl Strategy<Value = String> {
    let item =
        (any::<bool>(), pick(words)).prop_map(|(not, word)| format!("{}{word}", if not { "!" } else { "" }));
    prop::collection::vec(item, 1..4).prop_map(move |items| items.join(separator))
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let maybe = |field: &'static str, values: prop::strategy::BoxedStrategy<String>| {
        prop::option::weighted(0.25, values).prop_map(move |text| text.map(|text| (field, text)))
    };
    (
        maybe("service", values(&NAMES, ", ").boxed()),
        maybe("tenant", values(&NAMES, ",").boxed()),
        maybe("role", values(&ROLES, ", ").boxed()),
        maybe("ip", values(&NETWORKS, ", ").boxed()),
        maybe("method", values(&METHODS, ", ").boxed()),
        maybe("path", values(&PATHS, ", ").boxed()),
        maybe("header", values(&HEADERS, "; ").boxed()),
        maybe("class", values(&CLASSES, ", ").boxed()),
        maybe("hours", pick(&HOURS).boxed()),
        maybe("days", pick(&DAYS).boxed()),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| {
            [a, b, c, d, e, f, g, h, i, j].into_iter().flatten().collect()
        })
}

/// A policy that can be.
pub(super) fn any_rule() -> impl Strategy<Value = NaiveRule> {
    let action =
        pick(&["allow", "deny", "log", "alert", "throttle:slow-lane", "redirect:elsewhere", "redirect:b"]);
    let flags = (prop::bool::weighted(0.85), any::<bool>(), prop::bool::weighted(0.2));
    let number = 0_u32..1000;
    (number, fields(), action, prop::sample::select(&[1_u8, 100, 200][..]), flags)
        .prop_map(|(number, fields, action, priority, (enabled, audit, shadow))| {
            let name = format!("p{number}");
            NaiveRule { name, fields, action, priority, enabled, audit, shadow }
        })
        .prop_filter_map("a policy that is refused", |mut rule| {
            if rule.action.starts_with("redirect")
                && !rule.fields.iter().any(|(field, _)| *field == "service")
            {
                rule.fields.push(("service", format!("!{}", &rule.action["redirect:".len()..])));
            }
            rule.compiled().map(|_| rule)
        })
}

/// Policies of different names.
pub(super) fn any_rules(most: usize) -> impl Strategy<Value = Vec<NaiveRule>> {
    prop::collection::vec(any_rule(), 0..=most).prop_map(|mut rules| {
        let mut names = std::collections::BTreeSet::new();
        rules.retain(|rule| names.insert(rule.name.clone()));
        rules
    })
}

pub(super) fn any_call() -> impl Strategy<Value = Call> {
    let maybe = |words| prop::option::weighted(0.8, pick(words));
    (
        (maybe(&NAMES), maybe(&NAMES), prop::collection::vec(pick(&ROLES), 0..3)),
        prop::option::weighted(0.8, pick(&ADDRESSES)),
        maybe(&METHODS),
        maybe(&REQUEST_PATHS),
        prop::collection::vec(prop::sample::select(&REQUEST_HEADERS[..]), 0..5),
        0..5_usize,
        0..168_u64,
    )
        .prop_map(|((service, tenant, roles), ip, method, path, headers, class, hour)| Call {
            service,
            tenant,
            roles,
            ip: ip.map(|ip| ip.parse::<IpAddr>().unwrap()),
            method,
            path,
            headers: headers.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            class,
            hour,
        })
}

pub(super) fn any_default() -> impl Strategy<Value = DefaultEffect> {
    prop::sample::select(&[DefaultEffect::Allow, DefaultEffect::Deny][..])
}
