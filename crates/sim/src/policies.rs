//! Seeded random policies, requests and changes, from a vocabulary so small that they collide all the time.

use crate::calendar::{DAY, HOUR, midnight};
use crate::oracle::policy::{Class, Field, Policies, Request, Rule};
use crate::random::Random;
use std::net::{IpAddr, Ipv6Addr};

const SERVICES: [&str; 4] = ["billing", "ledger", "search", "billing-v2"];
const TENANTS: [&str; 4] = ["acme", "zeta", "globex", "acme-eu"];
const ROLES: [&str; 4] = ["intern", "guest", "admin", "ops"];
const METHODS: [&str; 5] = ["GET", "get", "POST", "DELETE", "Head"];
const PATHS: [&str; 10] = [
    "/",
    "/v1",
    "/v1/",
    "/v1/invoices",
    "/v1/invoices/public",
    "/v1/invoices/public/2026",
    "/v1/users",
    "/v10",
    "/v2/invoices",
    "/healthz",
];
const NETWORKS: [&str; 16] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3",
    "10.1.2.3/32",
    "10.255.0.0/16",
    "192.0.2.0/25",
    "192.0.2.128/25",
    "::/0",
    "::ffff:10.1.0.0/112",
    "::ffff:10.1.2.3",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8:1::7",
    "ff00::/8",
];
const ADDRESSES: [&str; 18] = [
    "0.0.0.0",
    "9.255.255.255",
    "10.0.0.0",
    "10.1.2.3",
    "10.1.2.4",
    "10.1.3.0",
    "10.255.255.255",
    "11.0.0.0",
    "192.0.2.127",
    "192.0.2.128",
    "255.255.255.255",
    "::",
    "::ffff:10.1.2.3",
    "::ffff:10.2.0.0",
    "2001:db8:1::7",
    "2001:db8:1::8",
    "2001:db9::",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];
const HEADERS: [&str; 11] = [
    "X-Env: prod",
    "X-Env: pro*",
    "x-env: staging",
    "X-Env: p*",
    "X-ENV",
    "X-Env: *",
    "X-Debug",
    "X-Debug: 1",
    "X-Team: core",
    "X-Team: co*",
    "X-Team:core",
];
const HEADER_VALUES: [&str; 9] = ["prod", "production", "pro", "p", "staging", "1", "core", "", "PROD"];
const HOURS: [&str; 8] = ["9-17", "22-6", "0-24", "0-1", "23-24", "12-3", "6-22", "17-9"];
const DAYS: [&str; 7] = ["mon-fri", "sat, sun", "fri-mon", "wed", "sun-tue", "mon-sun", "tue, thu-fri"];
const ACTIONS: [(&str, u64); 9] = [
    ("deny", 30),
    ("allow", 30),
    ("log", 8),
    ("alert", 8),
    ("throttle:slow-lane", 6),
    ("throttle:fast-lane", 4),
    ("redirect:billing-v2", 6),
    ("redirect:ledger", 4),
    ("redirect:search", 4),
];

/// How many values a condition may have.
const VALUES_MAX: usize = 12;

/// How many all of them may have.
const VALUES_OF_ALL_MAX: usize = 512;

/// How many values a condition has.
fn values(rule: &Rule) -> usize {
    rule.fields.iter().map(|(_, text)| text.split([',', ';']).count()).sum()
}

/// The limits that exist.
pub const LIMITS: [&str; 2] = ["slow-lane", "fast-lane"];

/// Which rules are made.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// The fields that conditions may have.
    pub fields: &'a [Field],
    /// How likely each is, in percent.
    pub field_percent: u64,
    /// The most values of a field.
    pub values: u64,
    /// How many rules there are, or at most, if the vocabulary is small.
    pub rules: u64,
    /// How likely a rule is disabled, and how likely it is only counted, in percent.
    pub apart_percent: u64,
    /// Which values there are.
    pub vocabulary: Vocabulary,
}

/// Which values rules and requests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// A few, chosen so that they contain each other.
    Small,
    /// Hundreds.
    Wide,
}

impl Shape<'_> {
    /// Everything.
    pub const FULL: Shape<'static> = Shape {
        fields: &Field::ALL,
        field_percent: 22,
        values: 3,
        rules: 24,
        apart_percent: 12,
        vocabulary: Vocabulary::Small,
    };
}

/// Makes rules, requests and changes out of one seed.
pub struct Source<'a> {
    random: Random,
    shape: Shape<'a>,
}

/// A change to a set of policies while it decides.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds a rule.
    Add(Rule),
    /// Gives the rule of that name another condition and action.
    Update(Rule),
    /// Removes a rule.
    Remove(String),
    /// Has a rule looked at.
    Enable(String),
    /// Has it looked at no more.
    Disable(String),
    /// Has it only counted, or in force.
    SetShadow(String, bool),
    /// What becomes of a request of which no rule says anything.
    SetDefault {
        /// Whether it is denied.
        deny: bool,
    },
    /// Replaces everything.
    Replace(Policies),
    /// Goes back to the set before.
    RollBack,
}

impl<'a> Source<'a> {
    /// A source whose rules and requests are decided by `seed` alone.
    #[must_use]
    pub const fn new(seed: u64, shape: Shape<'a>) -> Self {
        Self { random: Random::new(seed), shape }
    }

    /// The seeded numbers behind it.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// A set of rules that can be added, with different names.
    pub fn policies(&mut self) -> Policies {
        let count = match self.shape.vocabulary {
            Vocabulary::Small => self.random.between(0, self.shape.rules),
            Vocabulary::Wide => self.shape.rules,
        };
        let mut policies = Policies { rules: Vec::new(), default_deny: self.random.chance(50) };
        let mut room = VALUES_OF_ALL_MAX;
        for number in 0..count {
            let rule = self.valid_rule(&format!("rule-{number}"));
            let Some(left) = room.checked_sub(values(&rule)) else { break };
            room = left;
            policies.rules.push(rule);
        }
        policies
    }

    /// A rule that some request meets and that does not redirect to itself.
    pub fn valid_rule(&mut self, name: &str) -> Rule {
        loop {
            let rule = self.rule(name);
            if rule.can_match() && !rule.redirects_to_itself() {
                return rule;
            }
        }
    }

    /// A rule that is well formed. It may be one that no request meets, or redirect to itself.
    pub fn rule(&mut self, name: &str) -> Rule {
        loop {
            let rule = self.any_rule(name);
            if values(&rule) <= VALUES_MAX {
                return rule;
            }
        }
    }

    fn any_rule(&mut self, name: &str) -> Rule {
        let mut rule = Rule::new(name, self.action());
        for field in self.shape.fields {
            if self.random.chance(self.shape.field_percent) {
                let text = self.text(*field);
                rule = rule.with(*field, &text);
            }
        }
        // Most redirects would be refused if they did not leave their target alone.
        if let Some(target) = rule.action.strip_prefix("redirect:").map(str::to_owned)
            && self.shape.fields.contains(&Field::Service)
            && self.random.chance(90)
        {
            match rule.fields.iter_mut().find(|(field, _)| *field == Field::Service) {
                Some((_, text)) => *text = format!("{text}, !{target}"),
                None => rule = rule.with(Field::Service, &format!("!{target}")),
            }
        }
        let apart = self.shape.apart_percent;
        rule.enabled = !self.random.chance(apart);
        rule.shadow = self.random.chance(apart);
        rule.audit = self.random.chance(30);
        rule.priority = *self.random.pick(&[0, 1, 100, 100, 255]);
        rule
    }

    fn action(&mut self) -> &'static str {
        let mut at = self.random.between(1, ACTIONS.iter().map(|(_, weight)| weight).sum());
        for (action, weight) in ACTIONS {
            if at <= weight {
                return action;
            }
            at -= weight;
        }
        "deny"
    }

    fn text(&mut self, field: Field) -> String {
        if self.shape.vocabulary == Vocabulary::Wide {
            let words: Vec<String> = (0..6).map(|_| self.wide_word(field)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match field {
                Field::Header => return self.list(&words, "; "),
                Field::Class | Field::Hours | Field::Days => {}
                _ => return self.list(&words, ", "),
            }
        }
        match field {
            Field::Service => self.list(&SERVICES, ", "),
            Field::Tenant => self.list(&TENANTS, ","),
            Field::Role => self.list(&ROLES, ", "),
            Field::Ip => self.list(&NETWORKS, ", "),
            Field::Method => self.list(&METHODS, ", "),
            Field::Path => self.list(&PATHS, ", "),
            Field::Header => self.list(&HEADERS, "; "),
            Field::Class => self.list(&Class::ALL.map(Class::word), ", "),
            Field::Hours => (*self.random.pick(&HOURS)).to_owned(),
            Field::Days => (*self.random.pick(&DAYS)).to_owned(),
        }
    }

    fn list(&mut self, words: &[&str], separator: &str) -> String {
        let count = self.random.between(1, self.shape.values);
        let mut items = Vec::new();
        for _ in 0..count {
            let sign = if self.random.chance(25) { "!" } else { "" };
            items.push(format!("{sign}{}", self.random.pick(words)));
        }
        items.join(separator)
    }

    /// One of hundreds of values.
    fn wide_word(&mut self, field: Field) -> String {
        let random = &mut self.random;
        match field {
            Field::Ip => {
                let (address, bits) = wide_network(random);
                let rest = 128 - bits;
                let first = if rest == 128 { 0 } else { address >> rest << rest };
                let text = Ipv6Addr::from(first);
                match (text.to_ipv4_mapped(), bits.checked_sub(96)) {
                    (Some(text), Some(bits)) if random.chance(80) => format!("{text}/{bits}"),
                    _ => format!("{text}/{bits}"),
                }
            }
            Field::Path => wide_path(random),
            Field::Header => {
                let (name, value) = (random.between(0, 15), random.between(0, 30));
                match random.between(0, 9) {
                    0..=4 => format!("X-Name-{name}: value-{value}"),
                    5..=7 => format!("x-name-{name}: value-{}*", value % 4),
                    _ => format!("X-NAME-{name}"),
                }
            }
            _ => format!("{}-{}", field.word(), random.between(0, 80)),
        }
    }

    /// A request with values of the wide vocabulary.
    fn wide_request(&mut self) -> Request {
        let mut request = self.small_request();
        let mut one = |field| {
            let word = self.wide_word(field);
            self.random.chance(90).then_some(word)
        };
        (request.service, request.tenant) = (one(Field::Service), one(Field::Tenant));
        request.method = one(Field::Method).map(|method| method.to_ascii_uppercase());
        request.path = one(Field::Path)
            .map(|path| (path + if request.roles.is_empty() { "/" } else { "" }).into_bytes());
        request.roles = (0..6).filter_map(|_| one(Field::Role)).collect();
        request.headers = (0..16)
            .map(|name| {
                let value = self.random.between(0, 30);
                let end = *self.random.pick(&["", "", "x"]);
                (format!("x-Name-{name}"), format!("value-{value}{end}").into_bytes())
            })
            .collect();
        request.headers.retain(|_| self.random.chance(40));
        let (address, bits) = wide_network(&mut self.random);
        let rest = 128 - bits;
        let around = if rest == 0 { address } else { (address >> (rest - 1) << (rest - 1)).wrapping_sub(1) };
        let number = *self.random.pick(&[address, around, around.wrapping_add(1)]);
        let address = Ipv6Addr::from(number);
        request.ip = Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4));
        request
    }

    /// A request.
    pub fn request(&mut self) -> Request {
        match self.shape.vocabulary {
            Vocabulary::Small => self.small_request(),
            Vocabulary::Wide => self.wide_request(),
        }
    }

    fn small_request(&mut self) -> Request {
        let random = &mut self.random;
        let mut one = |words: &[&str]| random.chance(85).then(|| (*random.pick(words)).to_owned());
        let (service, tenant) = (one(&SERVICES), one(&TENANTS));
        let method = one(&["GET", "get", "POST", "delete", "HEAD", "PATCH"]);
        let ip = one(&ADDRESSES).map(|text| text.parse().expect("an address"));
        let path = self.path();
        let random = &mut self.random;
        let roles = ROLES.iter().filter(|_| random.chance(30)).map(|role| (*role).to_owned()).collect();
        let mut headers = Vec::new();
        for name in ["X-Env", "x-debug", "X-TEAM", "x-env", "Accept"] {
            if random.chance(35) {
                headers.push((name.to_owned(), random.pick(&HEADER_VALUES).as_bytes().to_vec()));
            }
        }
        let class = *random.pick(&Class::ALL);
        let edge = *random.pick(&[0, 1, HOUR - 1, HOUR / 2]);
        let wall_ns =
            midnight(2026, 1, 1) + random.between(0, 13) * DAY + random.between(0, 23) * HOUR + edge;
        Request { service, tenant, roles, ip, method, path, headers, class, wall_ns }
    }

    fn path(&mut self) -> Option<Vec<u8>> {
        if !self.random.chance(85) {
            return None;
        }
        let path = (*self.random.pick(&PATHS)).to_owned();
        if self.random.chance(5) {
            return Some(self.random.pick(&["*", "", "v1", "//v1"]).as_bytes().to_vec());
        }
        let more = *self.random.pick(&["", "", "", "/", "/x", "x", "/public", "//"]);
        let path = if path == "/" { path } else { path + more };
        Some(path.into_bytes())
    }

    /// A change to a set with the rules that `policies` has. Some of them have to be refused.
    pub fn change(&mut self, policies: &Policies) -> Change {
        let random = &mut self.random;
        let name = if policies.rules.is_empty() || random.chance(5) {
            "nobody".to_owned()
        } else {
            random.pick(&policies.rules).name.clone()
        };
        match random.between(0, 99) {
            0..=24 => {
                let number = random.between(0, self.shape.rules * 2);
                let rule = self.rule(&format!("rule-{number}"));
                Change::Add(rule)
            }
            25..=39 => Change::Remove(name),
            40..=49 => Change::Enable(name),
            50..=59 => Change::Disable(name),
            60..=69 => {
                let rule = self.rule(&name);
                Change::Update(rule)
            }
            70..=79 => Change::SetShadow(name, random.chance(50)),
            80..=84 => Change::SetDefault { deny: random.chance(50) },
            85..=95 => Change::RollBack,
            _ => {
                let policies = self.policies();
                Change::Replace(policies)
            }
        }
    }
}

/// An address, as a number, and how many of its bits a network has.
fn wide_network(random: &mut Random) -> (u128, u32) {
    let tail = u128::from(
        random.between(0, u64::from(u32::MAX)) & *random.pick(&[0x0303_0303, 0xff01_0103, u64::MAX]),
    );
    let (start, least) =
        *random.pick(&[(0xffff_0000_0000, 96), (0xffff_0000_0000, 96), (0x2001_0db8 << 96, 32)]);
    let bits = random.between(least, 128);
    let tail = if least == 32 { tail << *random.pick(&[0, 32, 64]) } else { tail };
    (start | tail, u32::try_from(bits).expect("at most 128"))
}

fn wide_path(random: &mut Random) -> String {
    let depth = random.between(0, 5);
    let segments = (0..depth).map(|_| format!("/{}", random.pick(&["a", "b", "ab", "v1"])));
    let path: String = segments.collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::{Shape, Source};
    use std::collections::BTreeSet;

    #[test]
    fn most_rules_can_be_added_and_most_requests_meet_some() {
        let (mut valid, mut met, mut denied) = (0, 0, 0);
        let mut deciders = BTreeSet::new();
        for seed in 0..100 {
            let mut source = Source::new(seed, Shape::FULL);
            let rule = source.rule("rule");
            valid += u64::from(rule.can_match() && !rule.redirects_to_itself());
            let policies = source.policies();
            for _ in 0..10 {
                let decision = policies.decide(&source.request());
                met += u64::from(!decision.matched.is_empty());
                denied += u64::from(!decision.allowed);
                let decider = decision.decider.and_then(|name| policies.find(&name));
                deciders.extend(decider.map(|rule| rule.effect().rank()));
            }
        }
        assert!((70..100).contains(&valid), "{valid} of 100 can be added");
        assert!((400..950).contains(&met), "{met} of 1000 meet a rule");
        assert!((300..700).contains(&denied), "{denied} of 1000 are denied");
        assert_eq!(deciders.len(), 6, "{deciders:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same() {
        let run = |seed| {
            let mut source = Source::new(seed, Shape::FULL);
            let policies = source.policies();
            let request = source.request();
            (format!("{:?}", source.change(&policies)), policies, request)
        };
        assert_eq!(run(7), run(7));
    }
}
