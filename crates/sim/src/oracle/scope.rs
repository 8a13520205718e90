//! Which limits a request meets, and under which name.

use std::net::{IpAddr, Ipv6Addr};

use super::rule::{Kind, Limit, Pattern, Request};

/// The name of an address: an IPv4 address itself, also when it is mapped into IPv6, and of an IPv6
/// address its /64, since that is what one customer gets.
#[must_use]
pub fn address_name(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The name under which `request` is known to limits of `kind`, if it carries one.
#[must_use]
pub fn name_of(request: &Request, kind: Kind) -> Option<String> {
    match kind {
        Kind::Service => request.service.clone(),
        Kind::User => request.user.clone(),
        Kind::Tenant => request.tenant.clone(),
        Kind::Ip => request.ip.map(address_name),
        Kind::Key => request.key.clone(),
        Kind::Session => request.session.clone(),
        Kind::Actor => request.actor.clone(),
        Kind::Client => {
            [Kind::Actor, Kind::Session, Kind::Ip].iter().find_map(|kind| name_of(request, *kind))
        }
        Kind::Group => request.group.clone(),
        Kind::Provider => request.provider.as_ref().map(|name| name.to_ascii_lowercase()),
        Kind::Route => request.route.clone(),
    }
}

/// The name of the bucket by which `request` meets `limit`: the name that the limit is for, and, where each client has
/// a bucket of its own, the client. Whoever is nobody is one client, `(none)`.
#[must_use]
pub fn bucket_of(limit: &Limit, request: &Request) -> Option<String> {
    let name = name_of(request, limit.kind)?;
    if !limit.per_client {
        return Some(name);
    }
    let client = name_of(request, Kind::Client).unwrap_or_else(|| "(none)".to_owned());
    Some(format!("{name} client:{client}"))
}

/// The places in `limits` of those that `request` meets, in order.
///
/// Of one kind and unit, enabled limits for exactly this name take the place of those for every name.
#[must_use]
pub fn matching(limits: &[Limit], request: &Request) -> Vec<usize> {
    let meets_exactly = |limit: &Limit| {
        limit.enabled
            && match (&limit.pattern, name_of(request, limit.kind)) {
                (Pattern::Exact(pattern), Some(name)) => canonical(limit.kind, pattern) == name,
                _ => false,
            }
    };
    let meets_as_any = |limit: &Limit| {
        let replaced = limits
            .iter()
            .any(|other| other.kind == limit.kind && other.unit == limit.unit && meets_exactly(other));
        limit.enabled && limit.pattern == Pattern::Any && name_of(request, limit.kind).is_some() && !replaced
    };
    (0..limits.len()).filter(|&index| meets_exactly(&limits[index]) || meets_as_any(&limits[index])).collect()
}

/// The name that a pattern stands for: any address of a /64 stands for the /64.
pub(super) fn canonical(kind: Kind, pattern: &str) -> String {
    match (kind, pattern.strip_suffix("/64").unwrap_or(pattern).parse()) {
        (Kind::Ip, Ok(address)) => address_name(address),
        _ => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{address_name, matching, name_of};
    use crate::oracle::rule::{Algorithm, Kind, Limit, Request, Unit};

    fn from(ip: &str) -> Request {
        Request { ip: Some(ip.parse().unwrap()), ..Request::default() }
    }

    fn names(limits: &[Limit], request: &Request) -> Vec<String> {
        matching(limits, request).iter().map(|&index| limits[index].name.clone()).collect()
    }

    #[test]
    fn an_address_is_known_by_itself_or_by_its_64() {
        for (address, name) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ] {
            assert_eq!(address_name(address.parse().unwrap()), name);
        }
    }

    #[test]
    fn a_client_is_its_actor_else_its_session_else_its_address() {
        let mut request = from("203.0.113.9");
        assert_eq!(name_of(&request, Kind::Client).unwrap(), "203.0.113.9");
        request.session = Some("s".to_owned());
        assert_eq!(name_of(&request, Kind::Client).unwrap(), "s");
        request.actor = Some("a".to_owned());
        assert_eq!(name_of(&request, Kind::Client).unwrap(), "a");
        assert_eq!(name_of(&Request::default(), Kind::Client), None);
    }

    #[test]
    fn exact_limits_replace_those_for_every_name_while_they_are_enabled() {
        let mut limits = [
            Limit::on("ip:*", Algorithm::Ban),
            Limit::on("ip:203.0.113.9", Algorithm::Unlimited),
            Limit::on("ip:203.0.113.9", Algorithm::Ban).named("second"),
            Limit::on("ip:*", Algorithm::Ban).counting(Unit::Bytes),
            Limit::on("client:*", Algorithm::Ban),
            Limit::on("user:*", Algorithm::Ban),
        ];
        let known = from("::ffff:203.0.113.9");
        assert_eq!(names(&limits, &known), ["ip:203.0.113.9", "second", "ip:*#bytes", "client:*"]);
        assert_eq!(names(&limits, &from("203.0.113.8")), ["ip:*", "ip:*#bytes", "client:*"]);
        limits[1].enabled = false;
        assert_eq!(names(&limits, &known), ["second", "ip:*#bytes", "client:*"]);
        limits[2].enabled = false;
        assert_eq!(names(&limits, &known), ["ip:*", "ip:*#bytes", "client:*"]);
        limits[0].enabled = false;
        assert_eq!(names(&limits, &known), ["ip:*#bytes", "client:*"]);
    }

    #[test]
    fn a_limit_for_an_address_is_for_its_whole_64() {
        for scope in ["ip:2001:db8::1", "ip:2001:db8::/64"] {
            let limits = [Limit::on(scope, Algorithm::Ban)];
            assert_eq!(names(&limits, &from("2001:db8::ffff")), [scope]);
            assert!(names(&limits, &from("2001:db8:0:1::1")).is_empty());
        }
    }
}
