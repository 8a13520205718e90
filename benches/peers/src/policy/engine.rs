//! The rules and requests as Weir has them.

use super::rules::{Call, Effect, Field, Rule};
use governance::field::FieldValue;
use governance::policy::{DefaultEffect, PolicyContext, PolicyDraft, PolicyEngine, PolicyRule};
use governance::request::Header;
use governance::scope::NameRef;
use governance::time::{Instant, NANOS_PER_SECOND, Now, WallTime};

/// The parts of a request that a [`PolicyContext`] borrows.
pub struct Parts<'a> {
    call: &'a Call,
    roles: Vec<NameRef<'a>>,
    headers: Vec<Header<'a>>,
}

impl<'a> Parts<'a> {
    /// Those of a request.
    pub fn of(call: &'a Call) -> Self {
        let header = |&(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
        Self {
            call,
            roles: call.roles.iter().map(|role| NameRef::new(role).unwrap()).collect(),
            headers: call.headers.iter().map(header).collect(),
        }
    }

    /// The request as the engine takes it.
    pub fn context(&'a self) -> PolicyContext<'a> {
        let Self { call, roles, headers } = self;
        PolicyContext {
            service: NameRef::new(call.service).ok(),
            tenant: NameRef::new(&call.tenant).ok(),
            roles,
            ip: Some(call.ip),
            method: NameRef::new(call.method).ok(),
            path: Some(call.path.as_bytes()),
            headers,
            wall: WallTime(u64::from(call.hour) * 3600 * NANOS_PER_SECOND),
            ..PolicyContext::default()
        }
    }
}

/// The time at which everything is decided; the hour of a request is its own.
pub const NOW: Now = Now { instant: Instant(0), wall: WallTime(0) };

/// Gives an engine the rules. What none of them allows is denied, as Cedar has it.
pub fn configure(engine: &mut PolicyEngine, rules: &[Rule]) {
    let rules: Vec<PolicyRule> = rules.iter().map(policy).collect();
    engine.reset();
    engine.configure(NOW, &rules, DefaultEffect::Deny, &|_| None).unwrap();
    assert_eq!(engine.len(), rules.len(), "each rule counts");
}

fn policy(rule: &Rule) -> PolicyRule {
    let mut draft = PolicyDraft::default();
    let mut set = |field, text| draft.set(field, FieldValue::Text(text)).unwrap();
    set("name", &rule.name);
    set("action", if rule.effect == Effect::Deny { "deny" } else { "allow" });
    for (field, text) in &rule.fields {
        set(word(*field), text);
    }
    draft.finish().unwrap()
}

const fn word(field: Field) -> &'static str {
    match field {
        Field::Method => "method",
        Field::Service => "service",
        Field::Tenant => "tenant",
        Field::Hours => "hours",
        Field::Header => "header",
        Field::Role => "role",
        Field::Path => "path",
        Field::Network => "ip",
    }
}
