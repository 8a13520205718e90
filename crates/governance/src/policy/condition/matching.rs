//! What a condition says of a request, value by value: for one policy, and for whoever wants to know why.

use super::network::{V4_LAST, address_of};
use super::{Atom, AtomValue, Attribute, Condition, Sense};
use crate::policy::context::{PolicyContext, hour_of_week};

/// The attributes with lists of values of which a request has to bear one.
const LISTED: [Attribute; 6] = [
    Attribute::Service,
    Attribute::Tenant,
    Attribute::Role,
    Attribute::Ip,
    Attribute::Method,
    Attribute::Path,
];

impl Condition {
    /// Whether a request matches.
    #[must_use]
    pub fn matches(&self, context: &PolicyContext<'_>) -> bool {
        self.mismatch(context).is_none()
    }

    /// The first attribute on which a request does not match.
    #[must_use]
    pub fn mismatch(&self, context: &PolicyContext<'_>) -> Option<Attribute> {
        for attribute in LISTED {
            if !holds(self.atoms().filter(|atom| atom.value.attribute() == attribute), context) {
                return Some(attribute);
            }
        }
        if !self.header_names().all(|name| holds(self.header_atoms(name), context)) {
            return Some(Attribute::Header);
        }
        if !self.admits_class(context.priority) {
            return Some(Attribute::Class);
        }
        let hour_of_week = hour_of_week(context.wall);
        if self.admits_hour(hour_of_week) {
            return None;
        }
        let day_fits = self.days == 0 || self.days & (1 << (hour_of_week / 24 % 7)) != 0;
        Some(if day_fits { Attribute::Hours } else { Attribute::Days })
    }

    /// The names of the headers that are looked at, each once.
    pub(in crate::policy) fn header_names(&self) -> impl Iterator<Item = &str> + Clone + '_ {
        let names = self.atoms().filter_map(|atom| atom.value.header());
        names.clone().enumerate().filter_map(move |(place, name)| {
            let is_first = !names.clone().take(place).any(|before| before.eq_ignore_ascii_case(name));
            is_first.then_some(name)
        })
    }

    /// The values of the header of a name.
    pub(in crate::policy) fn header_atoms<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = Atom<'a>> + Clone + 'a {
        self.atoms()
            .filter(move |atom| atom.value.header().is_some_and(|header| header.eq_ignore_ascii_case(name)))
    }

    /// Whether a request for a service of this name could match.
    pub(in crate::policy) fn admits_service(&self, service: &str) -> bool {
        let (mut asked, mut found) = (false, false);
        for atom in self.atoms() {
            if let AtomValue::Service(name) = atom.value {
                match atom.sense {
                    Sense::OneOf => (asked, found) = (true, found || name == service),
                    Sense::NoneOf if name == service => return false,
                    Sense::NoneOf => {}
                }
            }
        }
        found || !asked
    }

    /// An attribute of which no value matches, so that no request does.
    #[must_use]
    pub fn contradiction(&self) -> Option<Attribute> {
        let listed = LISTED.into_iter().find(|&attribute| {
            let atoms = self.atoms().filter(move |atom| atom.value.attribute() == attribute);
            if attribute == Attribute::Ip { no_address(atoms) } else { all_excluded(atoms) }
        });
        listed.or_else(|| {
            let mut names = self.header_names();
            names.any(|name| all_excluded(self.header_atoms(name))).then_some(Attribute::Header)
        })
    }
}

/// Whether a request bears one of the plain values, if there are any, and none of the others.
fn holds<'a>(atoms: impl Iterator<Item = Atom<'a>>, context: &PolicyContext<'_>) -> bool {
    let (mut asked, mut found) = (false, false);
    for atom in atoms {
        match (atom.sense, bears(context, &atom.value)) {
            (Sense::OneOf, borne) => (asked, found) = (true, found || borne),
            (Sense::NoneOf, true) => return false,
            (Sense::NoneOf, false) => {}
        }
    }
    found || !asked
}

/// Whether a request bears a value.
fn bears(context: &PolicyContext<'_>, value: &AtomValue<'_>) -> bool {
    match *value {
        AtomValue::Service(name) => context.service.is_some_and(|service| service.as_str() == name),
        AtomValue::Tenant(name) => context.tenant.is_some_and(|tenant| tenant.as_str() == name),
        AtomValue::Role(name) => context.roles.iter().any(|role| role.as_str() == name),
        AtomValue::Ip(network) => context.ip.is_some_and(|address| network.contains(address)),
        AtomValue::Method(name) => {
            context.method.is_some_and(|method| method.as_str().eq_ignore_ascii_case(name))
        }
        AtomValue::Path(prefix) => context.path.is_some_and(|path| is_path_prefix(prefix.as_bytes(), path)),
        AtomValue::HeaderPresent { name } => context.header(name).is_some(),
        AtomValue::HeaderEquals { name, value } => context.header(name) == Some(value.as_bytes()),
        AtomValue::HeaderPrefix { name, prefix } => {
            context.header(name).is_some_and(|value| value.starts_with(prefix.as_bytes()))
        }
    }
}

/// Whether a path begins with the segments of a prefix, which has no slash at its end.
pub(in crate::policy) fn is_path_prefix(prefix: &[u8], path: &[u8]) -> bool {
    // The root is a prefix of what begins with a slash, and not of `*` or of nothing.
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.first() == Some(&b'/') || rest.is_empty() && !prefix.is_empty())
}

/// Whether there are plain values, and each of them is among those that are excluded. What is excluded from them bit by
/// bit leaves something: there is always another value that begins so.
fn all_excluded<'a>(atoms: impl Iterator<Item = Atom<'a>> + Clone) -> bool {
    let mut plain = atoms.clone().filter(|atom| atom.sense == Sense::OneOf).peekable();
    plain.peek().is_some()
        && plain.all(|asked| {
            let mut excluded = atoms.clone().filter(|atom| atom.sense == Sense::NoneOf);
            excluded.any(|excluded| includes(&excluded.value, &asked.value))
        })
}

/// Whether every request that bears `inner` bears `outer`, of one attribute and, of headers, of one name.
fn includes(outer: &AtomValue<'_>, inner: &AtomValue<'_>) -> bool {
    use AtomValue::{HeaderEquals, HeaderPrefix, HeaderPresent, Path};
    match (*outer, *inner) {
        (Path(outer), Path(inner)) => is_path_prefix(outer.as_bytes(), inner.as_bytes()) || outer == inner,
        (HeaderPresent { .. }, _) => true,
        (_, HeaderPresent { .. }) | (HeaderEquals { .. }, HeaderPrefix { .. }) => false,
        (HeaderEquals { value: outer, .. }, HeaderEquals { value: inner, .. }) => outer == inner,
        (
            HeaderPrefix { prefix, .. },
            HeaderEquals { value: inner, .. } | HeaderPrefix { prefix: inner, .. },
        ) => inner.starts_with(prefix),
        (outer, inner) => outer == inner,
    }
}

/// Whether there are networks that are asked for, and no address of them is left. The first address that is left, if
/// there is one, is the first of a network, or follows the last of one that is excluded, or the addresses of IPv4.
fn no_address<'a>(atoms: impl Iterator<Item = Atom<'a>> + Clone) -> bool {
    let networks = atoms.filter_map(|atom| match atom.value {
        AtomValue::Ip(network) => Some((atom.sense, network)),
        _ => None,
    });
    let mut asked = networks.clone().filter(|(sense, _)| *sense == Sense::OneOf).peekable();
    let is_left = |number: u128| {
        let address = address_of(number);
        let among = |wanted: Sense| {
            networks.clone().any(|(sense, network)| sense == wanted && network.contains(address))
        };
        among(Sense::OneOf) && !among(Sense::NoneOf)
    };
    asked.peek().is_some()
        && !is_left(V4_LAST + 1)
        && !networks.clone().any(|(_, network)| {
            let (first, last) = network.range();
            is_left(first) || last.checked_add(1).is_some_and(is_left)
        })
}
