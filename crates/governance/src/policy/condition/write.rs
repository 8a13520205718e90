//! The values of an attribute, as users write them.

use super::parse::DAYS;
use super::{AtomValue, Attribute, Condition, Sense, class_bit};
use crate::policy::rule::Escaped;
use crate::request::RequestPriority;
use core::fmt;

impl Condition {
    /// The values of an attribute, in the form that reads back to them.
    pub fn shown(&self, attribute: Attribute) -> impl fmt::Display + '_ {
        Shown { condition: self, attribute }
    }

    /// The same, as the inside of a TOML basic string.
    pub(in crate::policy) fn quoted(&self, attribute: Attribute) -> impl fmt::Display + '_ {
        Escaped(Shown { condition: self, attribute })
    }
}

struct Shown<'a> {
    condition: &'a Condition,
    attribute: Attribute,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { condition, attribute } = self;
        match attribute {
            Attribute::Class => {
                let asked = |class: &RequestPriority| condition.classes & class_bit(*class) != 0;
                list(f, RequestPriority::ALL.into_iter().filter(asked).map(RequestPriority::word))
            }
            Attribute::Hours => list(f, Runs::new(condition.hours, 24).map(|(from, to)| HourRange(from, to))),
            Attribute::Days => {
                list(f, Runs::new(u32::from(condition.days), 7).map(|(from, to)| DayRange(from, to)))
            }
            Attribute::Header => write_atoms(f, condition, *attribute, "; "),
            _ => write_atoms(f, condition, *attribute, ", "),
        }
    }
}

fn write_atoms(
    f: &mut fmt::Formatter<'_>,
    condition: &Condition,
    attribute: Attribute,
    separator: &str,
) -> fmt::Result {
    let atoms = condition.atoms().filter(|atom| atom.value.attribute() == attribute);
    for (index, atom) in atoms.enumerate() {
        f.write_str(if index == 0 { "" } else { separator })?;
        f.write_str(if atom.sense == Sense::NoneOf { "!" } else { "" })?;
        match atom.value {
            AtomValue::Ip(network) => write!(f, "{network}")?,
            AtomValue::Path("") => f.write_str("/")?,
            AtomValue::HeaderPresent { name } => f.write_str(name)?,
            AtomValue::HeaderEquals { name, value } => write!(f, "{name}: {value}")?,
            AtomValue::HeaderPrefix { name, prefix } => write!(f, "{name}: {prefix}*")?,
            AtomValue::Service(text)
            | AtomValue::Tenant(text)
            | AtomValue::Role(text)
            | AtomValue::Method(text)
            | AtomValue::Path(text) => f.write_str(text)?,
        }
    }
    Ok(())
}

fn list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

/// Hours from and to, the latter not with them.
struct HourRange(u32, u32);

impl fmt::Display for HourRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The end of a range that wraps is written as an hour of the next day.
        write!(f, "{}-{}", self.0, if self.1 > 24 { self.1 - 24 } else { self.1 })
    }
}

/// Days from and to, the latter not with them.
struct DayRange(u32, u32);

impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |number: u32| {
            DAYS.iter().zip(0..).find(|(_, place)| *place == number % 7).map_or("", |(word, _)| *word)
        };
        match self.1 - self.0 {
            1 => f.write_str(day(self.0)),
            // Two days in a row are told apart from a range by one glance.
            2 => write!(f, "{}, {}", day(self.0), day(self.0 + 1)),
            _ => write!(f, "{}-{}", day(self.0), day(self.1 - 1)),
        }
    }
}

/// The runs of set bits among the lowest `size`, which lie in a circle: from, and where the next one is clear.
struct Runs {
    bits: u32,
    size: u32,
    at: u32,
    end: u32,
}

impl Runs {
    fn new(bits: u32, size: u32) -> Self {
        let is_set = |place: u32| bits & (1 << (place % size)) != 0;
        // A run that goes on at the start belongs to the one that ends there, unless there is nothing else.
        let start = (0..size).find(|&place| !is_set(place)).unwrap_or(0);
        Self { bits, size, at: start, end: start + size }
    }

    fn is_set(&self, place: u32) -> bool {
        self.bits & (1 << (place % self.size)) != 0
    }
}

impl Iterator for Runs {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let from = (self.at..self.end).find(|&place| self.is_set(place))?;
        let to = (from..self.end).find(|&place| !self.is_set(place)).unwrap_or(self.end);
        self.at = to;
        // Counted from the first of the circle.
        Some(if from >= self.size { (from - self.size, to - self.size) } else { (from, to) })
    }
}
