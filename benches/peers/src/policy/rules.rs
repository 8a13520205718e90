//! The rules that every engine is given, and the requests that they decide, both the same in every run.

use crate::keys::Picks;
use std::net::IpAddr;

/// How many requests there are.
pub const REQUESTS: usize = 384;

const SERVICES: [&str; 12] = [
    "billing", "ledger", "search", "catalog", "orders", "users", "mail", "files", "reports", "media", "chat",
    "maps",
];
const ROLES: [&str; 8] =
    ["intern", "guest", "admin", "auditor", "operator", "developer", "support", "partner"];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
const TENANTS: usize = 24;
const NETWORKS: [&str; 8] = [
    "10.0.0.0/8, !10.9.0.0/16",
    "10.1.0.0/16, 10.2.0.0/16",
    "10.3.4.0/24",
    "172.16.0.0/12",
    "192.168.0.0/16, !192.168.7.0/24",
    "2001:db8::/32",
    "!10.0.0.0/8",
    "203.0.113.0/24",
];
const ADDRESSES: [&str; 12] = [
    "10.0.0.1",
    "10.1.2.3",
    "10.2.200.4",
    "10.3.4.5",
    "10.9.1.1",
    "172.16.3.4",
    "172.31.255.255",
    "192.168.1.1",
    "192.168.7.9",
    "2001:db8::17",
    "203.0.113.200",
    "198.51.100.1",
];
const PREFIXES: [&str; 8] = [
    "/v1/invoices, !/v1/invoices/public",
    "/v1/accounts",
    "/v1",
    "/v2/search, /v2/suggest",
    "/v2",
    "/internal/health",
    "!/internal",
    "/v1/accounts/closed",
];
const PATHS: [&str; 12] = [
    "/v1/invoices",
    "/v1/invoices/2026-01/lines",
    "/v1/invoices/public/terms",
    "/v1/accounts/42",
    "/v1/accounts/closed/7",
    "/v10/anything",
    "/v2/search",
    "/v2/suggest/words",
    "/v2/items/17",
    "/internal/health",
    "/internal/metrics",
    "/",
];
const HEADERS: [&str; 6] = [
    "X-Env: prod",
    "X-Env: staging; X-Env: test",
    "X-Client: cli",
    "X-Region: eu; X-Region: us",
    "!X-Debug",
    "X-Debug: on",
];
const SENT: [(&str, &[&str]); 4] = [
    ("X-Env", &["prod", "staging", "test", "dev"]),
    ("X-Client", &["cli", "web", "app"]),
    ("X-Region", &["eu", "us", "ap", "sa"]),
    ("X-Debug", &["on"]),
];
const HOURS: [&str; 5] = ["9-17", "22-6", "0-6", "12-20", "6-22"];

/// A rule: all that its fields say must hold.
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Whether it denies or allows.
    pub effect: Effect,
    /// Field and what it says, as Weir reads it, in the order in which it is cheapest to look at.
    pub fields: Vec<(Field, String)>,
}

/// What a rule does with what it matches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows it, unless another rule denies it.
    Allow,
    /// Denies it.
    Deny,
}

/// What a rule looks at, the cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The method.
    Method,
    /// The service that is called.
    Service,
    /// The customer.
    Tenant,
    /// The hour of the day.
    Hours,
    /// A header.
    Header,
    /// A role of the caller.
    Role,
    /// The path, by prefixes of whole segments.
    Path,
    /// The address, by networks.
    Network,
}

const FIELDS: [Field; 8] = [
    Field::Service,
    Field::Role,
    Field::Network,
    Field::Method,
    Field::Path,
    Field::Hours,
    Field::Tenant,
    Field::Header,
];

/// A request to be decided.
#[derive(Debug)]
pub struct Call {
    /// The service that is called.
    pub service: &'static str,
    /// The customer.
    pub tenant: String,
    /// Roles of the caller: none, one or two.
    pub roles: Vec<&'static str>,
    /// Where it comes from.
    pub ip: IpAddr,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Names and values; each name once.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The hour of the day, 0 to 23.
    pub hour: u8,
}

/// `count` rules. The first allows what only reads; each of the others looks at three fields, all fields come equally
/// often, and every other one denies.
pub fn rules(count: usize) -> Vec<Rule> {
    let mut picks = Chooser(Picks::new(1, 1 << 16));
    let reading = Rule {
        name: "reading".into(),
        effect: Effect::Allow,
        fields: vec![(Field::Method, "GET, HEAD".into())],
    };
    let others = (1..count).map(|index| {
        let step = 1 + index / FIELDS.len() % 3;
        let mut fields: Vec<_> = (0..3)
            .map(|place| FIELDS[(index + place * step) % FIELDS.len()])
            .map(|field| (field, said(field, &mut picks)))
            .collect();
        fields.sort_by_key(|&(field, _)| field);
        let effect = if index % 2 == 0 { Effect::Allow } else { Effect::Deny };
        Rule { name: format!("rule-{index:03}"), effect, fields }
    });
    std::iter::once(reading).chain(others).collect()
}

/// The requests.
pub fn calls() -> Vec<Call> {
    let mut picks = Chooser(Picks::new(2, 1 << 16));
    let call = |_| Call {
        service: picks.one(&SERVICES),
        tenant: tenant(picks.below(TENANTS)),
        roles: {
            let first = picks.below(ROLES.len());
            // The second of them is another one.
            let second = (first + 1 + picks.below(ROLES.len() - 1)) % ROLES.len();
            [ROLES[first], ROLES[second]].into_iter().take(picks.below(3)).collect()
        },
        ip: picks.one(&ADDRESSES).parse().unwrap(),
        method: picks.one(&METHODS),
        path: picks.one(&PATHS),
        headers: {
            let sent = SENT.iter().filter_map(|(name, values)| {
                let is_sent = picks.below(2) == 0;
                is_sent.then(|| (*name, picks.one(values)))
            });
            sent.collect()
        },
        hour: picks.below(24) as u8,
    };
    (0..REQUESTS).map(call).collect()
}

/// What a rule says about `field`.
fn said(field: Field, picks: &mut Chooser) -> String {
    let service = |at: usize| SERVICES[at % SERVICES.len()].to_owned();
    let role = |at: usize| ROLES[at % ROLES.len()].to_owned();
    let method = |at: usize| METHODS[at % METHODS.len()].to_owned();
    match field {
        Field::Service => picks.names(service),
        Field::Tenant => picks.names(|at| tenant(at % TENANTS)),
        Field::Role => picks.names(role),
        Field::Method => picks.names(method),
        Field::Network => picks.one(&NETWORKS).into(),
        Field::Path => picks.one(&PREFIXES).into(),
        Field::Header => picks.one(&HEADERS).into(),
        Field::Hours => picks.one(&HOURS).into(),
    }
}

fn tenant(index: usize) -> String {
    format!("tenant-{index:02}")
}

/// Random choices.
struct Chooser(Picks);

impl Chooser {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next() % bound
    }

    fn one<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    /// One name, either of two, or any but one.
    fn names(&mut self, name: impl Fn(usize) -> String) -> String {
        let at = self.0.next();
        match self.below(4) {
            0 => format!("{}, {}", name(at), name(at + 1)),
            1 => format!("!{}", name(at)),
            _ => name(at),
        }
    }
}
