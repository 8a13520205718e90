//! Policies and requests of the models in the words of the engine, and back.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use governance::field::{FieldValue, SpecError};
use governance::policy::{
    ActionKind, Attribute, DefaultEffect, PolicyContext, PolicyDecision, PolicyDraft, PolicyEngine,
    PolicyReason, PolicyRule, PolicySet, RuleSet, Witness,
};
use governance::rate_limiter::{LimitId, RateLimiter};
use governance::request::{Header, RequestPriority};
use governance::scope::NameRef;
use governance::time::WallTime;
use sim::oracle::policy::{Action, Class, Decision, Field, Policies, Request, Rule};
use sim::oracle::rule::{Algorithm, Limit};
use sim::policies::LIMITS;

use crate::engine;

/// What the fields of a rule say, read as a user's.
pub(crate) fn rule(rule: &Rule) -> Result<PolicyRule, SpecError> {
    let mut draft = PolicyDraft::default();
    draft.set("name", FieldValue::Text(&rule.name))?;
    for (field, text) in &rule.fields {
        draft.set(field.word(), FieldValue::Text(text))?;
    }
    draft.set("action", FieldValue::Text(&rule.action))?;
    draft.set("priority", FieldValue::Integer(rule.priority.into()))?;
    draft.set("enabled", FieldValue::Boolean(rule.enabled))?;
    draft.set("audit", FieldValue::Boolean(rule.audit))?;
    draft.set("mode", FieldValue::Text(if rule.shadow { "shadow" } else { "enforce" }))?;
    draft.finish()
}

/// The rules of a set that can all be added.
pub(crate) fn rules(policies: &Policies) -> Vec<PolicyRule> {
    let read = |model: &Rule| rule(model).unwrap_or_else(|error| panic!("{error}: {model:?}"));
    policies.rules.iter().map(read).collect()
}

pub(crate) fn default(policies: &Policies) -> DefaultEffect {
    if policies.default_deny { DefaultEffect::Deny } else { DefaultEffect::Allow }
}

/// A set of such rules.
pub(crate) fn set(policies: &Policies) -> Box<PolicySet> {
    let mut set = Box::new(PolicySet::new());
    set.set_default(default(policies));
    for rule in rules(policies) {
        set.push(&rule).expect("a rule that fits");
    }
    set
}

/// The limits that policies may throttle by: a limiter knows their numbers.
pub(crate) fn known_limit(name: &str) -> Option<LimitId> {
    static LIMITER: LazyLock<RateLimiter<4, 4>> = LazyLock::new(|| {
        let mut limiter = RateLimiter::new();
        for (place, name) in LIMITS.into_iter().enumerate() {
            let scope = format!("service:{place}");
            let limit = Limit::on(&scope, Algorithm::Unlimited).named(name);
            limiter.add(&engine::spec(&limit)).expect("a limit");
        }
        limiter
    });
    LIMITER.find(name)
}

/// Calls `look` with a request as the engine has it.
pub(crate) fn with_context<R>(request: &Request, look: impl FnOnce(&PolicyContext<'_>) -> R) -> R {
    fn name(name: &Option<String>) -> Option<NameRef<'_>> {
        name.as_deref().map(|name| NameRef::new(name).expect("a name"))
    }
    let roles: Vec<NameRef<'_>> =
        request.roles.iter().map(|role| NameRef::new(role).expect("a name")).collect();
    let headers: Vec<Header<'_>> =
        request.headers.iter().map(|(name, value)| Header { name, value }).collect();
    look(&PolicyContext {
        service: name(&request.service),
        tenant: name(&request.tenant),
        roles: &roles,
        ip: request.ip,
        method: name(&request.method),
        path: request.path.as_deref(),
        headers: &headers,
        priority: priority(request.class),
        wall: WallTime(request.wall_ns),
    })
}

fn priority(class: Class) -> RequestPriority {
    match class {
        Class::Critical => RequestPriority::Critical,
        Class::High => RequestPriority::High,
        Class::Normal => RequestPriority::Normal,
        Class::Low => RequestPriority::Low,
        Class::Batch => RequestPriority::Batch,
    }
}

/// The request that a witness is, in the words of the models.
pub(crate) fn witnessed(witness: &Witness) -> Request {
    witness.with_context(|context| {
        let text = |name: NameRef<'_>| name.as_str().to_owned();
        let class = Class::ALL.into_iter().find(|class| priority(*class) == context.priority);
        Request {
            service: context.service.map(text),
            tenant: context.tenant.map(text),
            roles: context.roles.iter().copied().map(text).collect(),
            ip: context.ip,
            method: context.method.map(text),
            path: context.path.map(<[u8]>::to_vec),
            headers: context
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
            class: class.expect("a class"),
            wall_ns: context.wall.0,
        }
    })
}

pub(crate) fn kind(action: &Action) -> ActionKind {
    match action {
        Action::Deny => ActionKind::Deny,
        Action::Redirect(_) => ActionKind::Redirect,
        Action::Throttle(_) => ActionKind::Throttle,
        Action::Alert => ActionKind::Alert,
        Action::Log => ActionKind::Log,
        Action::Allow => ActionKind::Allow,
    }
}

pub(crate) fn field(attribute: Attribute) -> Field {
    let fields = Field::ALL.into_iter();
    fields.into_iter().find(|field| field.word() == attribute.word()).expect("the fields are the same")
}

/// The names of some of the rules of an engine.
pub(crate) fn names(engine: &PolicyEngine, rules: RuleSet) -> BTreeSet<String> {
    rules.iter().map(|id| engine.get_policy(id).expect("a policy").name.to_string()).collect()
}

/// Asserts that the engine says of a request what the model says.
pub(crate) fn assert_alike(
    engine: &PolicyEngine,
    policies: &Policies,
    found: &PolicyDecision,
    expected: &Decision,
    said: &dyn Fn() -> String,
) {
    assert_eq!(found.allowed, expected.allowed, "{}", said());
    assert_eq!(names(engine, found.matched), expected.matched, "{}", said());
    assert_eq!(names(engine, found.shadow), expected.shadow, "{}", said());
    assert_eq!(found.would_allow, expected.would_allow, "{}", said());
    let decider = found.decider.and_then(|id| engine.get_policy(id)).map(|rule| rule.name.to_string());
    assert_eq!(decider, expected.decider, "{}", said());
    let action = expected.decider.as_deref().and_then(|name| policies.find(name)).map(Rule::effect);
    assert_eq!(found.enforcement_action, action.as_ref().map(kind), "{}", said());
    let reason = match (&expected.decider, policies.rules.is_empty() && !policies.default_deny) {
        (Some(_), _) => PolicyReason::Rule,
        (None, true) => PolicyReason::NoPolicy,
        (None, false) => PolicyReason::Default(default(policies)),
    };
    assert_eq!(found.reason, reason, "{}", said());
    let wanted = found.decider.and_then(|id| engine.action_of(id)).map(ToString::to_string);
    let expected_action = expected.decider.as_deref().and_then(|name| policies.find(name));
    assert_eq!(wanted, expected_action.map(|rule| rule.action.clone()), "{}", said());
    if let Some(Action::Throttle(limit)) = action {
        let limit_of = found.decider.and_then(|id| engine.throttle_limit(id));
        assert_eq!(limit_of, known_limit(&limit), "{}", said());
    }
}
