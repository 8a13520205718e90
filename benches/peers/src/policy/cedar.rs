//! The rules and requests as Cedar has them: the caller is the principal, with roles as its parents and the tenant as
//! an attribute; the method is the action, the service the resource, and all else the context.

use super::rules::{Call, Effect, Field, Rule};
use cedar_policy::RestrictedExpression as Value;
use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request};
use std::collections::HashMap;

/// Cedar with its rules, and the requests as it takes them.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Cedar {
    /// Reads the rules and makes everything that does not have to be made for each decision.
    pub fn new(rules: &[Rule], calls: &[Call]) -> Self {
        let text: String = rules.iter().map(policy).collect();
        let principals = calls.iter().enumerate().map(|(index, call)| principal(index, call));
        Self {
            authorizer: Authorizer::new(),
            policies: text.parse().expect("Cedar reads the rules"),
            entities: Entities::from_entities(principals, None).unwrap(),
            requests: calls.iter().enumerate().map(|(index, call)| request(index, call)).collect(),
        }
    }

    /// Whether the request of this number is allowed.
    #[inline]
    pub fn allows(&self, index: usize) -> bool {
        let response = self.authorizer.is_authorized(&self.requests[index], &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }

    /// Ends the run if a rule could not be evaluated for a request: Cedar leaves such a rule out.
    pub fn expect_no_errors(&self) {
        for request in &self.requests {
            let response = self.authorizer.is_authorized(request, &self.policies, &self.entities);
            assert_eq!(response.diagnostics().errors().count(), 0, "each rule can be evaluated");
        }
    }
}

/// A rule as a policy. What the head can say stands there, and all else in the condition.
fn policy(rule: &Rule) -> String {
    let effect = match rule.effect {
        Effect::Allow => "permit",
        Effect::Deny => "forbid",
    };
    let (mut principal, mut action, mut resource) =
        ("principal".to_owned(), "action".to_owned(), "resource".to_owned());
    let mut conditions = Vec::new();
    for (field, text) in &rule.fields {
        match (field, plain_names(text).as_deref()) {
            (Field::Role, Some([role])) => principal = format!("principal in Role::\"{role}\""),
            (Field::Service, Some([service])) => resource = format!("resource == Service::\"{service}\""),
            (Field::Method, Some(methods)) => {
                let actions: Vec<_> = methods.iter().map(|method| format!("Action::\"{method}\"")).collect();
                action = match actions.as_slice() {
                    [only] => format!("action == {only}"),
                    several => format!("action in [{}]", several.join(", ")),
                };
            }
            _ => conditions.push(condition(*field, text)),
        }
    }
    let when = if conditions.is_empty() {
        String::new()
    } else {
        format!(" when {{ {} }}", conditions.join(" && "))
    };
    format!("@id(\"{}\") {effect}({principal}, {action}, {resource}){when};\n", rule.name)
}

/// The names of a list in which none is excluded.
fn plain_names(text: &str) -> Option<Vec<&str>> {
    text.split(", ").map(|name| (!name.starts_with('!')).then_some(name)).collect()
}

/// What a field says: one of the plain values, and none of the excluded ones.
fn condition(field: Field, text: &str) -> String {
    let separator = if field == Field::Header { "; " } else { ", " };
    let (mut any, mut none) = (Vec::new(), Vec::new());
    for value in text.split(separator) {
        match value.strip_prefix('!') {
            Some(value) => none.push(format!("!({})", holds(field, value))),
            None => any.push(holds(field, value)),
        }
    }
    let any = (!any.is_empty()).then(|| format!("({})", any.join(" || ")));
    any.into_iter().chain(none).collect::<Vec<_>>().join(" && ")
}

/// Whether one value of a field is the request's.
fn holds(field: Field, value: &str) -> String {
    match field {
        Field::Method => format!("action == Action::\"{value}\""),
        Field::Service => format!("resource == Service::\"{value}\""),
        Field::Tenant => format!("principal.tenant == \"{value}\""),
        Field::Role => format!("principal in Role::\"{value}\""),
        Field::Network => format!("context.ip.isInRange(ip(\"{value}\"))"),
        Field::Path => format!("context.path == \"{value}\" || context.path like \"{value}/*\""),
        Field::Hours => {
            let (from, until) = value.split_once('-').unwrap();
            let (start, end): (u8, u8) = (from.parse().unwrap(), until.parse().unwrap());
            let both = if start < end { "&&" } else { "||" };
            format!("(context.hour >= {start} {both} context.hour < {end})")
        }
        Field::Header => match value.split_once(": ") {
            Some((name, value)) => {
                format!("(context.headers has \"{name}\" && context.headers[\"{name}\"] == \"{value}\")")
            }
            None => format!("context.headers has \"{value}\""),
        },
    }
}

fn principal(index: usize, call: &Call) -> Entity {
    let tenant = Value::new_string(call.tenant.clone());
    let roles = call.roles.iter().map(|role| uid("Role", role)).collect();
    Entity::new(caller(index), HashMap::from([("tenant".to_owned(), tenant)]), roles).unwrap()
}

fn request(index: usize, call: &Call) -> Request {
    let headers =
        call.headers.iter().map(|&(name, value)| (name.to_owned(), Value::new_string(value.to_owned())));
    let context = Context::from_pairs([
        ("ip".to_owned(), Value::new_ip(call.ip.to_string())),
        ("path".to_owned(), Value::new_string(call.path.to_owned())),
        ("hour".to_owned(), Value::new_long(i64::from(call.hour))),
        ("headers".to_owned(), Value::new_record(headers).unwrap()),
    ])
    .unwrap();
    Request::new(caller(index), uid("Action", call.method), uid("Service", call.service), context, None)
        .unwrap()
}

fn caller(index: usize) -> EntityUid {
    uid("User", &format!("user-{index:03}"))
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), name.parse().unwrap())
}
