//! Requests that stand for all others.
//!
//! Two requests that no value of some conditions tells apart meet the same ones. So it is enough to look at one request
//! for each way in which those values can tell: each value itself, its neighbours, something else, and nothing.

use super::condition::{Condition, Field, HeaderIs, IPV4};
use super::{Class, Request};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// A value that no condition mentions.
const OTHER: &str = "~other~";

/// All requests that `conditions` can tell apart, or `None` if there are more than `most`.
#[must_use]
pub fn all(conditions: &[&Condition], most: usize) -> Option<Vec<Request>> {
    let mut requests = vec![Request::default()];
    for field in Field::ALL {
        let points = of_field(conditions, field);
        if requests.len() * points.len() > most {
            return None;
        }
        requests = requests
            .iter()
            .flat_map(|request| points.iter().map(|point| with(request, field, point)))
            .collect();
    }
    Some(requests)
}

/// `request` with one field of `point`.
fn with(request: &Request, field: Field, point: &Request) -> Request {
    let mut request = request.clone();
    match field {
        Field::Service => request.service.clone_from(&point.service),
        Field::Tenant => request.tenant.clone_from(&point.tenant),
        Field::Role => request.roles.clone_from(&point.roles),
        Field::Ip => request.ip = point.ip,
        Field::Method => request.method.clone_from(&point.method),
        Field::Path => request.path.clone_from(&point.path),
        Field::Header => request.headers.clone_from(&point.headers),
        Field::Class => request.class = point.class,
        // Hours and days are two fields of one time.
        Field::Hours | Field::Days => request.wall_ns += point.wall_ns,
    }
    request
}

/// Requests that differ in one field only, in all ways that `conditions` can tell.
#[must_use]
pub fn of_field(conditions: &[&Condition], field: Field) -> Vec<Request> {
    let mut points = BTreeSet::from([Request::default()]);
    let none = Request::default;
    let is_open = conditions.iter().all(|condition| !mentions(condition, field));
    if is_open {
        return points.into_iter().collect();
    }
    match field {
        Field::Service => {
            let names = conditions.iter().flat_map(|condition| condition.service.values());
            points.extend(names_and_other(names).map(|service| Request { service, ..none() }));
        }
        Field::Tenant => {
            let names = conditions.iter().flat_map(|condition| condition.tenant.values());
            points.extend(names_and_other(names).map(|tenant| Request { tenant, ..none() }));
        }
        Field::Method => {
            let names = conditions.iter().flat_map(|condition| condition.method.values());
            points.extend(names_and_other(names).map(|method| Request { method, ..none() }));
        }
        Field::Role => {
            let names: BTreeSet<&String> =
                conditions.iter().flat_map(|condition| condition.role.values()).collect();
            let mut subsets: Vec<Vec<String>> = vec![Vec::new()];
            for name in names {
                let larger: Vec<Vec<String>> = subsets
                    .iter()
                    .map(|subset| subset.iter().cloned().chain([name.clone()]).collect())
                    .collect();
                subsets.extend(larger);
            }
            points.extend(subsets.into_iter().map(|roles| Request { roles, ..none() }));
        }
        Field::Ip => {
            let networks = conditions.iter().flat_map(|condition| condition.ip.values());
            for network in networks.chain([&IPV4]) {
                let around = [network.first.checked_sub(1), network.last().checked_add(1)];
                for number in around.into_iter().flatten().chain([network.first, network.last()]) {
                    points.insert(Request { ip: Some(address(number)), ..none() });
                }
            }
        }
        Field::Path => {
            points.insert(Request { path: Some(format!("/{OTHER}").into_bytes()), ..none() });
            points.insert(Request { path: Some(b"/".to_vec()), ..none() });
            for prefix in conditions.iter().flat_map(|condition| condition.path.values()) {
                let prefix = prefix.join("/");
                for path in [format!("{prefix}/"), format!("{prefix}/{OTHER}")] {
                    points.insert(Request { path: Some(path.into_bytes()), ..none() });
                }
            }
        }
        Field::Header => points.extend(headers(conditions)),
        Field::Class => points.extend(Class::ALL.map(|class| Request { class, ..none() })),
        Field::Hours => {
            points.extend((0..24).map(|hour| Request { wall_ns: hour * crate::calendar::HOUR, ..none() }));
        }
        Field::Days => {
            points.extend((0..7).map(|day| Request { wall_ns: day * crate::calendar::DAY, ..none() }));
        }
    }
    points.into_iter().collect()
}

fn mentions(condition: &Condition, field: Field) -> bool {
    match field {
        Field::Service => !condition.service.is_open(),
        Field::Tenant => !condition.tenant.is_open(),
        Field::Role => !condition.role.is_open(),
        Field::Ip => !condition.ip.is_open(),
        Field::Method => !condition.method.is_open(),
        Field::Path => !condition.path.is_open(),
        Field::Header => !condition.headers.is_empty(),
        Field::Class => !condition.class.is_open(),
        Field::Hours => !condition.hours.is_open(),
        Field::Days => !condition.days.is_open(),
    }
}

fn names_and_other<'a>(names: impl Iterator<Item = &'a String>) -> impl Iterator<Item = Option<String>> {
    names.cloned().chain([OTHER.to_owned()]).map(Some)
}

/// The address of 128 bits. A mapped one is given as the IPv4 address.
fn address(number: u128) -> IpAddr {
    let address = Ipv6Addr::from(number);
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

/// Each name absent, or with one of the values that matter for it.
fn headers(conditions: &[&Condition]) -> Vec<Request> {
    let of_all = || conditions.iter().flat_map(|condition| &condition.headers);
    let names: BTreeSet<&String> = of_all().map(|(name, _)| name).collect();
    let mut lists: Vec<Vec<(String, Vec<u8>)>> = vec![Vec::new()];
    for name in names {
        let mut values = BTreeSet::from([OTHER.as_bytes().to_vec()]);
        for (_, choice) in of_all().filter(|(known, _)| known == name) {
            for is in choice.values() {
                match is {
                    HeaderIs::Present => {}
                    HeaderIs::Equal(value) | HeaderIs::Begins(value) => {
                        values.insert(value.clone());
                        values.insert([value, OTHER.as_bytes()].concat());
                    }
                }
            }
        }
        let more: Vec<_> = lists
            .iter()
            .flat_map(|list| {
                values.iter().map(|value| {
                    let mut list = list.clone();
                    list.push((name.clone(), value.clone()));
                    list
                })
            })
            .collect();
        lists.extend(more);
    }
    lists.into_iter().map(|headers| Request { headers, ..Request::default() }).collect()
}
