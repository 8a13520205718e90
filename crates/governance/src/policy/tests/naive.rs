//! Policies as their users wrote them, decided by comparing texts, policy by policy and value by value. It shares
//! nothing with the engine but the names of actions.

use crate::policy::{ActionKind, DefaultEffect};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A policy in the words of its fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NaiveRule {
    pub(super) name: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) action: String,
    pub(super) priority: u8,
    pub(super) enabled: bool,
    pub(super) audit: bool,
    pub(super) shadow: bool,
}

/// A request with texts of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) service: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) ip: Option<IpAddr>,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    /// 0 is critical, 4 is batch.
    pub(super) class: usize,
    /// From Monday midnight.
    pub(super) hour: u64,
}

/// What is decided, in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NaiveDecision {
    pub(super) allowed: bool,
    pub(super) decider: Option<String>,
    pub(super) matched: BTreeSet<String>,
    pub(super) shadow: BTreeSet<String>,
    pub(super) would_allow: bool,
}

impl NaiveRule {
    pub(super) fn kind(&self) -> ActionKind {
        let word = self.action.split(':').next().unwrap_or_default();
        ActionKind::ALL.into_iter().find(|kind| kind.word() == word).unwrap()
    }

    /// How restrictive it is.
    fn strength(&self) -> usize {
        let weakest_first = ["allow", "log", "alert", "throttle", "redirect", "deny"];
        weakest_first.iter().position(|word| self.action.starts_with(word)).unwrap()
    }

    pub(super) fn matches(&self, call: &Call) -> bool {
        self.fields.iter().all(|(field, text)| field_matches(field, text, call))
    }
}

/// What the policies say, whatever their order.
pub(super) fn decide(rules: &[NaiveRule], default: DefaultEffect, call: &Call) -> NaiveDecision {
    let matching =
        |shadow| rules.iter().filter(move |rule| rule.enabled && rule.shadow == shadow && rule.matches(call));
    let allows = |with_shadow: bool| {
        let all = || matching(false).chain(matching(true).filter(|_| with_shadow));
        if all().any(|rule| rule.action == "deny") {
            return false;
        }
        all().any(|rule| rule.action == "allow") || default == DefaultEffect::Allow
    };
    let allowed = allows(false);
    let mut speakers: Vec<&NaiveRule> =
        matching(false).filter(|rule| allowed || rule.action == "deny").collect();
    speakers.sort_by_key(|rule| (usize::MAX - rule.strength(), rule.priority, rule.name.clone()));
    NaiveDecision {
        allowed,
        decider: speakers.first().map(|rule| rule.name.clone()),
        matched: matching(false).map(|rule| rule.name.clone()).collect(),
        shadow: matching(true).map(|rule| rule.name.clone()).collect(),
        would_allow: allows(true),
    }
}

fn field_matches(field: &str, text: &str, call: &Call) -> bool {
    let is = |known: &Option<String>, item: &str| known.as_deref() == Some(item);
    match field {
        "service" => list(text, ",", |item| is(&call.service, item)),
        "tenant" => list(text, ",", |item| is(&call.tenant, item)),
        "role" => list(text, ",", |item| call.roles.iter().any(|role| role == item)),
        "ip" => list(text, ",", |item| call.ip.is_some_and(|ip| in_network(item, ip))),
        "method" => list(text, ",", |item| {
            call.method.as_ref().is_some_and(|method| method.to_uppercase() == item.to_uppercase())
        }),
        "path" => list(text, ",", |item| call.path.as_ref().is_some_and(|path| under(item, path))),
        "class" => list(text, ",", |item| ["critical", "high", "normal", "low", "batch"][call.class] == item),
        "header" => headers(text, call),
        "hours" => text.split(',').any(|range| {
            let (from, to) = range.split_once('-').unwrap();
            let (from, to): (u64, u64) = (from.trim().parse().unwrap(), to.trim().parse().unwrap());
            let mut hour = from;
            loop {
                if hour % 24 == call.hour % 24 {
                    return true;
                }
                hour += 1;
                if hour % 24 == to % 24 {
                    return false;
                }
            }
        }),
        "days" => text.split(',').any(|range| {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let (from, to) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
            let mut day = days.iter().position(|day| *day == from).unwrap();
            loop {
                if day == usize::try_from(call.hour / 24).unwrap() {
                    return true;
                }
                if days[day] == to {
                    return false;
                }
                day = (day + 1) % 7;
            }
        }),
        _ => panic!("no such field"),
    }
}

fn list(text: &str, separator: &str, borne: impl Fn(&str) -> bool) -> bool {
    let items: Vec<&str> = text.split(separator).map(str::trim).collect();
    let plain: Vec<&&str> = items.iter().filter(|item| !item.starts_with('!')).collect();
    (plain.is_empty() || plain.iter().any(|item| borne(item)))
        && !items.iter().filter_map(|item| item.strip_prefix('!')).any(|item| borne(item.trim()))
}

/// The items sorted by the name of their header, each name a list by itself.
fn headers(text: &str, call: &Call) -> bool {
    let name_of =
        |item: &str| item.trim().trim_start_matches('!').split(':').next().unwrap().trim().to_lowercase();
    let names: BTreeSet<String> = text.split(';').map(name_of).collect();
    names.iter().all(|name| {
        let own: Vec<&str> = text.split(';').filter(|item| name_of(item) == *name).collect();
        let value = call.headers.iter().find(|(known, _)| known.to_lowercase() == *name);
        list(&own.join(";"), ";", |item| {
            let Some((_, value)) = value else { return false };
            match item.split_once(':').map(|(_, wanted)| wanted.trim()) {
                None => true,
                Some(wanted) => match wanted.strip_suffix('*') {
                    Some(prefix) => value.starts_with(prefix),
                    None => value == wanted,
                },
            }
        })
    })
}

/// Segment by segment.
fn under(prefix: &str, path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    // What is before the first slash is not a segment, and the root has none.
    let wanted: Vec<&str> = prefix.trim_end_matches('/').split('/').skip(1).collect();
    let found: Vec<&str> = path.split('/').collect();
    found.len() >= wanted.len() && wanted.iter().zip(&found).all(|(wanted, found)| wanted == found)
}

/// Bit by bit, as texts of zeros and ones.
fn in_network(item: &str, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => format!("4{:032b}", ip.to_bits()),
        IpAddr::V6(ip) => format!("6{:0128b}", ip.to_bits()),
    };
    let (address, length) = match item.split_once('/') {
        Some((address, length)) => (address, length.parse::<usize>().unwrap()),
        None => (item, usize::MAX),
    };
    let written: IpAddr = address.parse().unwrap();
    let network = bits(written);
    // An IPv6 text of an IPv4 network has 96 bits in front of it.
    let in_front = if written.is_ipv6() && network.starts_with('4') { 96 } else { 0 };
    let length = length.saturating_sub(in_front).min(network.len() - 1);
    bits(ip).starts_with(&network[..=length])
}
