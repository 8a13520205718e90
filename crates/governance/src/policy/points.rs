//! The requests that conditions can tell apart, attribute by attribute.
//!
//! Of each attribute there are finitely many values that matter to the conditions at hand, and every request is like one
//! that is made of them: a name that is listed or none at all; an end of a network; a prefix, or the root; a value of a
//! header that is listed, one that only begins so, or another one. A value that is not listed is like none, but for
//! headers, of which it counts that they are there.

use super::condition::{
    AtomValue, Attribute, Condition, Sense, V4_FIRST, V4_LAST, address_of, is_path_prefix,
};
use super::context::HOURS_PER_WEEK;
use super::rule::PolicyRule;
use crate::request::RequestPriority;
use core::net::IpAddr;

/// What can be chosen of a request independently of the rest. Of roles each is chosen by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Axis<'a> {
    Service,
    Tenant,
    Method,
    Ip,
    Path,
    Header(&'a str),
    Role(&'a str),
    Class,
    /// Hours and days together.
    Time,
}

impl<'a> Axis<'a> {
    /// Those of which there is one, without roles and headers.
    pub(super) const SINGLE: [Self; 7] =
        [Self::Service, Self::Tenant, Self::Method, Self::Ip, Self::Path, Self::Class, Self::Time];

    /// The axis on which a value lies.
    pub(super) const fn of(value: &AtomValue<'a>) -> Self {
        match value {
            AtomValue::Service(_) => Self::Service,
            AtomValue::Tenant(_) => Self::Tenant,
            AtomValue::Role(name) => Self::Role(name),
            AtomValue::Ip(_) => Self::Ip,
            AtomValue::Method(_) => Self::Method,
            AtomValue::Path(_) => Self::Path,
            AtomValue::HeaderPresent { name }
            | AtomValue::HeaderEquals { name, .. }
            | AtomValue::HeaderPrefix { name, .. } => Self::Header(name),
        }
    }

    pub(super) fn is(&self, other: &Axis<'_>) -> bool {
        match (self, other) {
            (Self::Header(one), Axis::Header(other)) => one.eq_ignore_ascii_case(other),
            (Self::Role(one), Axis::Role(other)) => one == other,
            _ => core::mem::discriminant(self) == core::mem::discriminant(other),
        }
    }

    /// Whether a condition looks at it.
    pub(super) fn concerns(&self, condition: &Condition) -> bool {
        match self {
            Self::Class => condition.looks_at(Attribute::Class),
            Self::Time => condition.looks_at(Attribute::Hours) || condition.looks_at(Attribute::Days),
            _ => condition.atoms().any(|atom| Axis::of(&atom.value).is(self)),
        }
    }
}

/// What is chosen on an axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point<'a> {
    /// Nothing.
    Absent,
    /// A name, or a path.
    Text(&'a str),
    Address(IpAddr),
    /// The value of a header, in two pieces.
    Value(&'a str, &'static str),
    Class(RequestPriority),
    /// An hour of the week, from Monday midnight.
    Hour(u8),
}

impl Point<'_> {
    /// Whether it is what a value of its axis says.
    fn bears(&self, value: &AtomValue<'_>) -> bool {
        match (*self, *value) {
            (
                Self::Text(text),
                AtomValue::Service(name)
                | AtomValue::Tenant(name)
                | AtomValue::Role(name)
                | AtomValue::Method(name),
            ) => text == name,
            (Self::Text(path), AtomValue::Path(prefix)) => is_path_prefix(prefix.as_bytes(), path.as_bytes()),
            (Self::Address(address), AtomValue::Ip(network)) => network.contains(address),
            (Self::Value(..), AtomValue::HeaderPresent { .. }) => true,
            (Self::Value(text, rest), AtomValue::HeaderEquals { value, .. }) => {
                value.strip_prefix(text) == Some(rest)
            }
            (Self::Value(text, rest), AtomValue::HeaderPrefix { prefix, .. }) => {
                text.starts_with(prefix) || prefix.strip_prefix(text).is_some_and(|end| rest.starts_with(end))
            }
            _ => false,
        }
    }
}

/// Whether a condition admits a point of an axis that is not one of roles.
pub(super) fn admits(condition: &Condition, axis: &Axis<'_>, point: &Point<'_>) -> bool {
    match *point {
        Point::Class(class) => return condition.admits_class(class),
        Point::Hour(hour) => return condition.admits_hour(hour),
        _ => {}
    }
    let (mut asked, mut found) = (false, false);
    for atom in condition.atoms().filter(|atom| Axis::of(&atom.value).is(axis)) {
        match (atom.sense, point.bears(&atom.value)) {
            (Sense::OneOf, borne) => (asked, found) = (true, found || borne),
            (Sense::NoneOf, true) => return false,
            (Sense::NoneOf, false) => {}
        }
    }
    found || !asked
}

/// Whether a condition admits these roles and no others.
pub(super) fn admits_roles(condition: &Condition, roles: &[&str]) -> bool {
    let (mut asked, mut found) = (false, false);
    for atom in condition.atoms() {
        if let AtomValue::Role(name) = atom.value {
            match (atom.sense, roles.contains(&name)) {
                (Sense::OneOf, borne) => (asked, found) = (true, found || borne),
                (Sense::NoneOf, true) => return false,
                (Sense::NoneOf, false) => {}
            }
        }
    }
    found || !asked
}

/// Some policies of two sets, whose conditions are at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtHand<'a> {
    pub(super) rules: [&'a [PolicyRule]; 2],
    /// Which of them, by their places.
    pub(super) which: [u128; 2],
}

impl<'a> AtHand<'a> {
    /// The values of their conditions.
    fn values(&self) -> impl Iterator<Item = AtomValue<'a>> + '_ {
        (0..2).flat_map(move |side| {
            let which = self.which[side];
            let rules = self.rules[side].iter().enumerate();
            rules
                .filter(move |(place, _)| which >> (place % 128) & 1 != 0)
                .flat_map(|(_, rule)| rule.condition.atoms().map(|atom| atom.value))
        })
    }

    /// Something to put behind the beginning of a header's value, so that none of the conditions that tell of longer
    /// beginnings or of whole values tells of it. None if all that is tried is told of.
    fn fresh(&self, axis: &Axis<'_>, text: &str) -> Option<&'static str> {
        const ENDS: &str = "xyz0123456789abcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ-._~";
        (0..ENDS.len()).filter_map(|place| ENDS.get(place..=place)).find(|&end| {
            !self.values().filter(|value| Axis::of(value).is(axis)).any(|value| match value {
                AtomValue::HeaderEquals { value: known, .. }
                | AtomValue::HeaderPrefix { prefix: known, .. } => known.strip_prefix(text) == Some(end),
                _ => false,
            })
        })
    }
}

/// Goes through the points of an axis.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Points {
    /// How many of the points that do not come from values were given.
    general: u8,
    side: usize,
    rule: usize,
    atom: usize,
    /// Whether the next point is the second one of a network.
    is_second: bool,
    /// Whether a point was left out because nothing fresh was found.
    pub(super) has_gap: bool,
}

impl Points {
    /// The next point that conditions at hand can tell from others.
    pub(super) fn next<'a>(&mut self, axis: &Axis<'a>, at_hand: &AtHand<'a>) -> Option<Point<'a>> {
        if let Some(point) = self.next_general(axis, at_hand) {
            return Some(point);
        }
        while let Some(rules) = at_hand.rules.get(self.side) {
            let Some(rule) = rules.get(self.rule) else {
                (self.side, self.rule) = (self.side + 1, 0);
                continue;
            };
            let is_at_hand = at_hand.which[self.side] >> (self.rule % 128) & 1 != 0;
            let atom = if is_at_hand { rule.condition.atoms().nth(self.atom) } else { None };
            let Some(atom) = atom else {
                (self.rule, self.atom) = (self.rule + 1, 0);
                continue;
            };
            let was_second = core::mem::take(&mut self.is_second);
            let point =
                Some(atom.value).filter(|value| Axis::of(value).is(axis)).and_then(|value| match value {
                    AtomValue::Ip(network) if !was_second => {
                        self.is_second = true;
                        Some(Point::Address(network.first()))
                    }
                    AtomValue::Ip(network) => {
                        network.range().1.checked_add(1).map(|behind| Point::Address(address_of(behind)))
                    }
                    AtomValue::Path("") | AtomValue::HeaderPresent { .. } => None,
                    AtomValue::HeaderEquals { value, .. } => Some(Point::Value(value, "")),
                    AtomValue::HeaderPrefix { prefix, .. } => {
                        let end = at_hand.fresh(axis, prefix);
                        self.has_gap |= end.is_none();
                        end.map(|end| Point::Value(prefix, end))
                    }
                    AtomValue::Service(text)
                    | AtomValue::Tenant(text)
                    | AtomValue::Role(text)
                    | AtomValue::Method(text)
                    | AtomValue::Path(text) => Some(Point::Text(text)),
                });
            if !self.is_second {
                self.atom += 1;
            }
            if point.is_some() {
                return point;
            }
        }
        None
    }

    /// The points that do not come from values.
    fn next_general<'a>(&mut self, axis: &Axis<'a>, at_hand: &AtHand<'a>) -> Option<Point<'a>> {
        use RequestPriority::{Batch, Critical, High, Low, Normal};
        let number = self.general;
        let point = match (axis, number) {
            (Axis::Class, _) => {
                [Normal, High, Low, Critical, Batch].get(usize::from(number)).copied().map(Point::Class)
            }
            // From nine o'clock on Monday: what does not matter is in working hours.
            (Axis::Time, _) => (number < HOURS_PER_WEEK)
                .then(|| Point::Hour(((u16::from(number) + 9) % 168).to_le_bytes()[0])),
            (_, 0) => Some(Point::Absent),
            (Axis::Path, 1) => Some(Point::Text("/")),
            (Axis::Header(_), 1) => Some(Point::Value("", at_hand.fresh(axis, "").unwrap_or(""))),
            (Axis::Role(name), 1) => Some(Point::Text(name)),
            (Axis::Ip, 1..=3) => {
                let number = [0, V4_FIRST, V4_LAST + 1][usize::from(number) - 1];
                Some(Point::Address(address_of(number)))
            }
            _ => None,
        };
        self.general = self.general.saturating_add(u8::from(point.is_some()));
        if point.is_none() && matches!(axis, Axis::Class | Axis::Time | Axis::Role(_)) {
            self.side = at_hand.rules.len();
        }
        point
    }
}
