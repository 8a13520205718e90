//! Conditions, read from the texts of their fields.

use super::{Class, Request};
use std::net::IpAddr;

/// A field of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are those of the texts")]
pub enum Field {
    Service,
    Tenant,
    Role,
    Ip,
    Method,
    Path,
    Header,
    Class,
    Hours,
    Days,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 10] = [
        Self::Service,
        Self::Tenant,
        Self::Role,
        Self::Ip,
        Self::Method,
        Self::Path,
        Self::Header,
        Self::Class,
        Self::Hours,
        Self::Days,
    ];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        ["service", "tenant", "role", "ip", "method", "path", "header", "class", "hours", "days"]
            [self as usize]
    }
}

/// Values of which one has to be there, if there are any, and values of which none may.
#[derive(Clone, Debug)]
pub(super) struct Choice<T> {
    pub(super) one_of: Vec<T>,
    pub(super) none_of: Vec<T>,
}

impl<T> Choice<T> {
    const fn new() -> Self {
        Self { one_of: Vec::new(), none_of: Vec::new() }
    }

    fn holds(&self, is: impl Fn(&T) -> bool) -> bool {
        (self.one_of.is_empty() || self.one_of.iter().any(&is)) && !self.none_of.iter().any(&is)
    }

    pub(super) const fn is_open(&self) -> bool {
        self.one_of.is_empty() && self.none_of.is_empty()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.one_of.iter().chain(&self.none_of)
    }

    /// Reads a list that is separated by `separator`.
    fn read(text: &str, separator: char, one: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let mut choice = Self::new();
        for item in text.split(separator) {
            match item.trim().strip_prefix('!') {
                Some(value) => choice.none_of.push(one(value.trim())?),
                None => choice.one_of.push(one(item.trim())?),
            }
        }
        Some(choice)
    }
}

/// Addresses that begin alike. An IPv4 address is the IPv6 address that it is mapped to, and those of IPv4 are in
/// networks of IPv4 only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// The first address, as a number.
    pub(super) first: u128,
    /// How many bits decide.
    bits: u32,
}

/// The addresses of IPv4, where they are mapped to.
pub(super) const IPV4: Network = Network { first: 0xffff_0000_0000, bits: 96 };

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (width, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(width);
        let network = Self { first: as_number(address), bits: bits + before };
        (bits <= width && network.first == network.start_of(network.first)).then_some(network)
    }

    /// The first address that begins like `address`.
    fn start_of(self, address: u128) -> u128 {
        let rest = 128 - self.bits;
        if rest == 128 { 0 } else { address >> rest << rest }
    }

    fn has(self, address: u128) -> bool {
        let is_v4 = self.bits >= 96 && IPV4.start_of(self.first) == IPV4.first;
        is_v4 == (IPV4.start_of(address) == IPV4.first) && self.start_of(address) == self.first
    }

    /// The last of its addresses.
    pub(super) fn last(self) -> u128 {
        let rest = 128 - self.bits;
        if rest == 128 { u128::MAX } else { self.first + ((1 << rest) - 1) }
    }
}

/// The 128 bits of an address.
pub(super) fn as_number(address: IpAddr) -> u128 {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    octets.iter().fold(0, |number, octet| number * 256 + u128::from(*octet))
}

/// What a header has to be.
#[derive(Clone, Debug)]
pub(super) enum HeaderIs {
    Present,
    Equal(Vec<u8>),
    Begins(Vec<u8>),
}

impl HeaderIs {
    /// A name in lower case, and what is asked of it.
    fn read(text: &str) -> Option<(String, Self)> {
        let (name, is) = match text.split_once(':') {
            None => (text, Self::Present),
            Some((name, value)) => match value.trim().strip_suffix('*') {
                Some(begin) => (name, Self::Begins(begin.as_bytes().to_vec())),
                None => (name, Self::Equal(value.trim().as_bytes().to_vec())),
            },
        };
        let name = name.trim().to_ascii_lowercase();
        (!name.is_empty()).then_some((name, is))
    }

    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Equal(equal) => value == equal,
            Self::Begins(begin) => value.starts_with(begin),
        }
    }
}

/// What a request has to be.
#[derive(Clone, Debug)]
pub struct Condition {
    pub(super) service: Choice<String>,
    pub(super) tenant: Choice<String>,
    pub(super) role: Choice<String>,
    pub(super) ip: Choice<Network>,
    pub(super) method: Choice<String>,
    /// Segments of paths.
    pub(super) path: Choice<Vec<String>>,
    /// By name, in lower case.
    pub(super) headers: Vec<(String, Choice<HeaderIs>)>,
    pub(super) class: Choice<Class>,
    /// The first hour and the one after the last.
    pub(super) hours: Choice<(u64, u64)>,
    /// The first day and the last one; Monday is 0.
    pub(super) days: Choice<(usize, usize)>,
}

impl Condition {
    /// Reads the texts of fields, or answers `None` if one is malformed.
    #[must_use]
    pub fn read(fields: &[(Field, String)]) -> Option<Self> {
        let mut condition = Self {
            service: Choice::new(),
            tenant: Choice::new(),
            role: Choice::new(),
            ip: Choice::new(),
            method: Choice::new(),
            path: Choice::new(),
            headers: Vec::new(),
            class: Choice::new(),
            hours: Choice::new(),
            days: Choice::new(),
        };
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (field, text) in fields {
            match field {
                Field::Service => condition.service = Choice::read(text, ',', name)?,
                Field::Tenant => condition.tenant = Choice::read(text, ',', name)?,
                Field::Role => condition.role = Choice::read(text, ',', name)?,
                Field::Ip => condition.ip = Choice::read(text, ',', Network::read)?,
                Field::Method => {
                    condition.method = Choice::read(text, ',', |text| name(&text.to_ascii_uppercase()))?;
                }
                Field::Path => condition.path = Choice::read(text, ',', segments_of_prefix)?,
                Field::Header => condition.headers = headers(text)?,
                Field::Class => condition.class = Choice::read(text, ',', class)?,
                Field::Hours => condition.hours = Choice::read(text, ',', hours)?,
                Field::Days => condition.days = Choice::read(text, ',', days)?,
            }
        }
        Some(condition)
    }

    /// Whether all fields hold.
    #[must_use]
    pub fn holds(&self, request: &Request) -> bool {
        Field::ALL.into_iter().all(|field| self.field_holds(field, request))
    }

    /// Whether one field does.
    #[must_use]
    pub fn field_holds(&self, field: Field, request: &Request) -> bool {
        let hour = request.wall_ns / 3_600_000_000_000;
        match field {
            Field::Service => self.service.holds(|name| request.service.as_ref() == Some(name)),
            Field::Tenant => self.tenant.holds(|name| request.tenant.as_ref() == Some(name)),
            Field::Role => self.role.holds(|name| request.roles.contains(name)),
            Field::Ip => {
                let address = request.ip.map(as_number);
                self.ip.holds(|network| address.is_some_and(|address| network.has(address)))
            }
            Field::Method => {
                let method = request.method.as_ref().map(|method| method.to_ascii_uppercase());
                self.method.holds(|name| method.as_ref() == Some(name))
            }
            Field::Path => {
                let path = request.path.as_deref();
                let path: Option<Vec<&[u8]>> = path.map(|path| path.split(|byte| *byte == b'/').collect());
                self.path.holds(|prefix| path.as_deref().is_some_and(|path| begins_with(path, prefix)))
            }
            Field::Header => self.headers.iter().all(|(name, choice)| {
                let value = request.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
                choice.holds(|is| value.is_some_and(|(_, value)| is.holds(value)))
            }),
            Field::Class => self.class.holds(|class| *class == request.class),
            Field::Hours => {
                let hour = hour % 24;
                self.hours.holds(|(from, to)| {
                    if from < to { (*from..*to).contains(&hour) } else { hour >= *from || hour < *to }
                })
            }
            Field::Days => {
                // 1970-01-01 was a Thursday.
                let day = usize::try_from((hour / 24 + 3) % 7).expect("a day of a week");
                self.days.holds(|(first, last)| {
                    let mut at = *first;
                    while at != day && at != *last {
                        at = (at + 1) % 7;
                    }
                    at == day
                })
            }
        }
    }
}

/// The segments of a prefix, without a slash at its end. What precedes the first slash is a segment, too: nothing.
fn segments_of_prefix(text: &str) -> Option<Vec<String>> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let segments: Vec<String> = text.split('/').map(str::to_owned).collect();
    segments[0].is_empty().then_some(segments)
}

fn begins_with(path: &[&[u8]], prefix: &[String]) -> bool {
    // A path has a slash.
    path.len() > 1
        && path.len() >= prefix.len()
        && path.iter().zip(prefix).all(|(segment, prefix)| *segment == prefix.as_bytes())
}

fn headers(text: &str) -> Option<Vec<(String, Choice<HeaderIs>)>> {
    let mut headers: Vec<(String, Choice<HeaderIs>)> = Vec::new();
    for item in text.split(';') {
        let item = item.trim();
        let (name, is) = HeaderIs::read(item.strip_prefix('!').unwrap_or(item))?;
        let place = headers.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            headers.push((name, Choice::new()));
            headers.len() - 1
        });
        let choice = &mut headers[place].1;
        let list = if item.starts_with('!') { &mut choice.none_of } else { &mut choice.one_of };
        list.push(is);
    }
    Some(headers)
}

fn class(text: &str) -> Option<Class> {
    Class::ALL.into_iter().find(|class| class.word() == text)
}

fn hours(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from < 24 && to <= 24 && from != to).then_some((from, to))
}

fn days(text: &str) -> Option<(usize, usize)> {
    let day = |text: &str| {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|day| *day == text.trim())
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((day(first)?, day(last)?))
}

#[cfg(test)]
mod tests {
    use super::{Condition, Field};
    use crate::calendar::{HOUR, midnight};
    use crate::oracle::policy::Request;

    fn holds(field: Field, text: &str, request: &Request) -> bool {
        Condition::read(&[(field, text.to_owned())]).expect(text).holds(request)
    }

    #[test]
    fn networks_hold_their_addresses_and_an_ipv4_address_is_its_mapped_one() {
        let from = |ip: &str| Request { ip: Some(ip.parse().unwrap()), ..Request::default() };
        for (text, ip, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("10.0.0.0/8, !10.1.0.0/16", "10.1.0.0", false),
            ("10.0.0.0/8, !10.1.0.0/16", "10.2.0.0", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::", true),
            ("::/0", "10.1.2.3", false),
            ("::/0", "::ffff:10.1.2.3", false),
            ("::ffff:0:0/96", "10.1.2.3", true),
            ("::fffe:0:0/95", "::ffff:10.1.2.3", false),
            ("::fffe:0:0/95", "::fffe:10.1.2.3", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            assert_eq!(holds(Field::Ip, text, &from(ip)), expected, "{text} {ip}");
        }
        assert!(!holds(Field::Ip, "::/0", &Request::default()));
        assert!(holds(Field::Ip, "!::/0", &Request::default()));
        for bad in ["10.1.0.0/8", "10.0.0.0/33", "300.1.2.3", "10.0.0.0/", "::1/0"] {
            assert!(Condition::read(&[(Field::Ip, bad.to_owned())]).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_begin_with_whole_segments() {
        let to = |path: &str| Request { path: Some(path.as_bytes().to_vec()), ..Request::default() };
        for (text, path, expected) in [
            ("/v1", "/v1", true),
            ("/v1", "/v1/", true),
            ("/v1/", "/v1", true),
            ("/v1", "/v1/x", true),
            ("/v1", "/v10", false),
            ("/v1", "/", false),
            ("/", "/", true),
            ("/", "/v1", true),
            ("/v1, !/v1/x", "/v1/x/y", false),
            ("/v1, !/v1/x", "/v1/xx", true),
        ] {
            assert_eq!(holds(Field::Path, text, &to(path)), expected, "{text} {path}");
        }
    }

    #[test]
    fn headers_with_one_name_are_alternatives_and_names_are_told_apart() {
        let with = |headers: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
            Request { headers: headers.iter().map(own).collect(), ..Request::default() }
        };
        for (text, headers, expected) in [
            ("X-Env: prod; X-Env: staging", &[("x-env", "staging")][..], true),
            ("X-Env: prod; X-Env: staging", &[("x-env", "Staging")], false),
            ("X-Env: prod; X-Env: staging", &[], false),
            ("X-Env: pro*; !X-Debug", &[("X-ENV", "production")], true),
            ("X-Env: pro*; !X-Debug", &[("X-ENV", "production"), ("x-debug", "")], false),
            ("X-Env: a", &[("X-Env", "b"), ("X-Env", "a")], false),
            ("X-Env", &[("X-Env", "")], true),
            ("!X-Env: a", &[], true),
            ("A: 1; B: 1", &[("a", "1")], false),
        ] {
            assert_eq!(holds(Field::Header, text, &with(headers)), expected, "{text} {headers:?}");
        }
    }

    #[test]
    fn hours_and_days_wrap_and_an_hour_counts_on_its_own_day() {
        let at = |day, hour| Request { wall_ns: midnight(2026, 1, day) + hour * HOUR, ..Request::default() };
        // 2026-01-05 was a Monday.
        for (field, text, day, hour, expected) in [
            (Field::Hours, "9-17", 5, 9, true),
            (Field::Hours, "9-17", 5, 17, false),
            (Field::Hours, "22-6", 5, 23, true),
            (Field::Hours, "22-6", 5, 5, true),
            (Field::Hours, "22-6", 5, 6, false),
            (Field::Hours, "0-24", 5, 0, true),
            (Field::Days, "mon-fri", 5, 0, true),
            (Field::Days, "mon-fri", 9, 23, true),
            (Field::Days, "mon-fri", 10, 0, false),
            (Field::Days, "fri-mon", 5, 0, true),
            (Field::Days, "fri-mon", 6, 0, false),
            (Field::Days, "sat, sun", 11, 0, true),
            (Field::Days, "wed", 7, 12, true),
            (Field::Days, "wed", 8, 12, false),
        ] {
            assert_eq!(holds(field, text, &at(day, hour)), expected, "{text} {day} {hour}");
        }
        for bad in ["9-9", "25-3", "9", "-3", "24-3"] {
            assert!(Condition::read(&[(Field::Hours, bad.to_owned())]).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_absent_is_none_of_the_values() {
        let nobody = Request::default();
        for field in [Field::Service, Field::Tenant, Field::Role, Field::Method] {
            assert!(holds(field, "!a", &nobody), "{field:?}");
            assert!(!holds(field, "a", &nobody), "{field:?}");
            assert!(!holds(field, "a, !b", &nobody), "{field:?}");
        }
    }
}
