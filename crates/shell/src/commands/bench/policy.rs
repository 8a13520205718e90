//! Requests that policies decide: all that policies can look at but the day plays a part.

use super::Work;
use crate::engine::Governor;
use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr};
use governance::field::FieldValue;
use governance::policy::{DefaultEffect, PolicyContext, PolicyDraft, PolicyRule};
use governance::request::{Header, RequestPriority};
use governance::scope::NameRef;
use governance::text::Text;
use governance::time::{NANOS_PER_SECOND, Now, WallTime};

/// How many requests there are.
const REQUESTS: usize = 1024;
/// How many fields a rule looks at.
const LOOKED_AT: usize = 3;

const SERVICES: [&str; 8] = ["billing", "ledger", "search", "orders", "users", "mail", "files", "reports"];
const TENANTS: [&str; 9] =
    ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell", "cyberdyne"];
const ROLES: [&str; 7] = ["intern", "guest", "admin", "auditor", "operator", "support", "partner"];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
const PATHS: [&str; 6] =
    ["/v1/invoices/17", "/v1/accounts/42/lines", "/v2/search", "/v2/items", "/internal/health", "/"];
const HEADERS: [(&str, &str); 6] = [
    ("X-Env", "prod"),
    ("X-Env", "staging"),
    ("X-Client", "cli"),
    ("X-Client", "web"),
    ("X-Region", "eu"),
    ("X-Debug", "on"),
];

/// Each field with texts of it, from which a rule takes one.
const FIELDS: [(&str, &[&str]); 9] = [
    ("service", &["billing", "ledger, search", "!orders", "users", "mail, files"]),
    ("role", &["intern, guest", "!admin", "auditor", "operator", "partner, !support"]),
    ("ip", &["10.0.0.0/8, !10.9.0.0/16", "10.1.0.0/16", "192.168.0.0/16", "!10.0.0.0/8", "10.2.0.0/15"]),
    ("method", &["GET, HEAD", "DELETE", "!GET", "POST, PUT"]),
    ("path", &["/v1/invoices", "/v1, !/v1/accounts", "/v2", "!/internal", "/v2/search"]),
    ("hours", &["9-17", "22-6", "0-12"]),
    ("tenant", &["acme", "globex, initech", "!umbrella", "hooli", "stark, wayne"]),
    ("header", &["X-Env: prod", "X-Client: cli; X-Client: web", "!X-Debug", "X-Region: eu"]),
    ("class", &["low, batch", "critical", "!normal"]),
];

/// What is decided, and what has to come out.
pub(super) struct Evaluation {
    rules: usize,
    allowed: [bool; REQUESTS],
}

impl Evaluation {
    pub(super) const fn new(rules: usize) -> Self {
        Self { rules, allowed: [false; REQUESTS] }
    }
}

impl Work for Evaluation {
    fn keys(&self) -> usize {
        REQUESTS
    }

    fn prepare(&mut self, governor: &mut Governor, now: Now) -> Option<()> {
        let policies = &mut governor.policies;
        policies.set_default(now, DefaultEffect::Deny);
        for index in 0..self.rules {
            policies.add_policy(now, &rule(index)?, &|_| None).ok()?;
        }
        for (key, allowed) in self.allowed.iter_mut().enumerate() {
            *allowed = with_context(key, |context| policies.peek(context).allowed);
        }
        Some(())
    }

    #[inline]
    fn once(&mut self, governor: &mut Governor, now: Now, key: usize) -> bool {
        let decided = with_context(key, |context| governor.policies.evaluate_request(now, context));
        self.allowed.get(key) == Some(&decided.allowed)
    }
}

/// The rule of that number: the first allows to read; each of the others looks at a few fields, and every other one
/// denies.
fn rule(index: usize) -> Option<PolicyRule> {
    let mut draft = PolicyDraft::default();
    let mut name = Text::<16>::EMPTY;
    write!(name, "rule-{index:03}").ok()?;
    let action = if index.is_multiple_of(2) { "allow" } else { "deny" };
    let mut set = |field, text| draft.set(field, FieldValue::Text(text)).ok();
    set("name", name.as_str())?;
    set("action", action)?;
    if index == 0 {
        set("method", "GET, HEAD")?;
    } else {
        for place in 0..LOOKED_AT {
            let (field, texts) = FIELDS[(index + 2 * place) % FIELDS.len()];
            set(field, texts[(index / FIELDS.len() + place) % texts.len()])?;
        }
    }
    draft.finish().ok()
}

/// Gives `decide` the request of that number. Its hour is its own, so that it is always decided alike.
#[inline]
fn with_context<T>(key: usize, decide: impl FnOnce(&PolicyContext<'_>) -> T) -> T {
    let name = |names: &[&'static str]| NameRef::new(names[key % names.len()]).ok();
    let role = name(&ROLES);
    let (header, value) = HEADERS[key % HEADERS.len()];
    let [.., high, low] = key.to_be_bytes();
    let (first, second) = if key.is_multiple_of(3) { (192, 168) } else { (10, low % 16) };
    let context = PolicyContext {
        service: name(&SERVICES),
        tenant: name(&TENANTS),
        roles: role.as_slice(),
        ip: Some(IpAddr::V4(Ipv4Addr::new(first, second, high, low))),
        method: name(&METHODS),
        path: Some(PATHS[key / 4 % PATHS.len()].as_bytes()),
        headers: &[Header { name: header, value: value.as_bytes() }],
        priority: RequestPriority::ALL[key / 8 % RequestPriority::COUNT],
        wall: WallTime(u64::from(low % 24) * 3600 * NANOS_PER_SECOND),
    };
    decide(&context)
}
