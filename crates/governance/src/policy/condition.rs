//! Which requests a policy matches: a conjunction over attributes, each with a list of values.
//!
//! Within one attribute a request has to bear one of the plain values, if there are any, and none of those with `!`.
//! An attribute without values is not looked at. What a request does not bear is none of the values. Headers of
//! different names are attributes by themselves.
//!
//! `parse` reads the forms that users write, `write` writes them, `network` is about addresses.

mod matching;
mod network;
mod parse;
mod write;

pub(super) use matching::is_path_prefix;
pub use network::Network;
pub(super) use network::{V4_FIRST, V4_LAST, address_of, number_of};

use super::error::ConditionError;
use crate::request::RequestPriority;
use core::fmt;
use core::ops::Range;

/// How many values the condition of one policy has at most. Classes, hours and days are not counted.
pub const CONDITION_ATOMS_MAX: usize = 12;
/// How many bytes those values have together at most.
pub const CONDITION_TEXT_BYTES: usize = 384;
/// How many values the conditions of all policies have together at most.
pub const SET_ATOMS_MAX: usize = 512;
/// Headers of how many names the conditions of all policies look at together at most.
pub const HEADER_NAMES_MAX: usize = 16;

/// What a condition can look at. Its word is the field in which users write the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Attribute {
    /// The service that is called.
    #[default]
    Service,
    /// The tenant.
    Tenant,
    /// The roles of whoever makes the request.
    Role,
    /// The address that the request comes from.
    Ip,
    /// The method, in any case.
    Method,
    /// The path, by prefixes of whole segments.
    Path,
    /// The headers.
    Header,
    /// How urgent the request is.
    Class,
    /// The hour of the day, UTC.
    Hours,
    /// The day of the week, UTC.
    Days,
}

impl Attribute {
    /// Every attribute, in the order in which a policy is written.
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
        match self {
            Self::Service => "service",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::Ip => "ip",
            Self::Method => "method",
            Self::Path => "path",
            Self::Header => "header",
            Self::Class => "class",
            Self::Hours => "hours",
            Self::Days => "days",
        }
    }

    /// The attribute that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.word() == word)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Whether a request has to bear a value, or must not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sense {
    /// It has to bear this one or another of the plain ones.
    #[default]
    OneOf,
    /// It must not bear it.
    NoneOf,
}

/// A value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomValue<'a> {
    /// The name of a service.
    Service(&'a str),
    /// The name of a tenant.
    Tenant(&'a str),
    /// The name of a role.
    Role(&'a str),
    /// Addresses.
    Ip(Network),
    /// A method, in upper case.
    Method(&'a str),
    /// The prefix of paths, without a slash at its end: the root is empty.
    Path(&'a str),
    /// A header that is there.
    HeaderPresent {
        /// Its name.
        name: &'a str,
    },
    /// A header with this value.
    HeaderEquals {
        /// Its name.
        name: &'a str,
        /// The value.
        value: &'a str,
    },
    /// A header with a value that begins so.
    HeaderPrefix {
        /// Its name.
        name: &'a str,
        /// How the value begins.
        prefix: &'a str,
    },
}

impl<'a> AtomValue<'a> {
    /// What it is a value of.
    #[must_use]
    pub const fn attribute(&self) -> Attribute {
        match self {
            Self::Service(_) => Attribute::Service,
            Self::Tenant(_) => Attribute::Tenant,
            Self::Role(_) => Attribute::Role,
            Self::Ip(_) => Attribute::Ip,
            Self::Method(_) => Attribute::Method,
            Self::Path(_) => Attribute::Path,
            Self::HeaderPresent { .. } | Self::HeaderEquals { .. } | Self::HeaderPrefix { .. } => {
                Attribute::Header
            }
        }
    }

    /// The header's name, if it is a value of a header.
    #[must_use]
    pub const fn header(&self) -> Option<&'a str> {
        match self {
            Self::HeaderPresent { name }
            | Self::HeaderEquals { name, .. }
            | Self::HeaderPrefix { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// A value and its sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom<'a> {
    /// Whether the value is asked for or excluded.
    pub sense: Sense,
    /// The value.
    pub value: AtomValue<'a>,
}

/// How the text of a stored atom is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    Whole,
    HeaderPresent,
    HeaderEquals,
    HeaderPrefix,
}

/// An atom with its text in the condition's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StoredAtom {
    attribute: Attribute,
    sense: Sense,
    form: Form,
    /// The length of a header's name, which stands before the value; the prefix of a network.
    split: u8,
    start: u16,
    length: u16,
}

impl StoredAtom {
    const EMPTY: Self = Self {
        attribute: Attribute::Service,
        sense: Sense::OneOf,
        form: Form::Whole,
        split: 0,
        start: 0,
        length: 0,
    };
}

/// Which requests a policy matches. The empty condition matches every request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    atoms: [StoredAtom; CONDITION_ATOMS_MAX],
    length: u8,
    /// One bit for each class, most urgent first; none if classes are not looked at.
    classes: u8,
    /// One bit for each day from Monday; none if days are not looked at.
    days: u8,
    text_length: u16,
    /// One bit for each hour; none if hours are not looked at.
    hours: u32,
    text: [u8; CONDITION_TEXT_BYTES],
}

impl Default for Condition {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for attribute in Attribute::ALL {
            if self.looks_at(attribute) {
                map.entry(&attribute.word(), &format_args!("{}", self.shown(attribute)));
            }
        }
        map.finish()
    }
}

impl Condition {
    /// The condition that matches every request.
    pub const EMPTY: Self = Self {
        atoms: [StoredAtom::EMPTY; CONDITION_ATOMS_MAX],
        length: 0,
        classes: 0,
        days: 0,
        text_length: 0,
        hours: 0,
        text: [0; CONDITION_TEXT_BYTES],
    };

    /// The values, attribute by attribute, in the order in which they were written.
    pub fn atoms(&self) -> impl Iterator<Item = Atom<'_>> + Clone + '_ {
        self.atoms.iter().take(usize::from(self.length)).map(|atom| self.read(atom))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether every request matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Whether it looks at an attribute at all.
    #[must_use]
    pub fn looks_at(&self, attribute: Attribute) -> bool {
        match attribute {
            Attribute::Class => self.classes != 0,
            Attribute::Hours => self.hours != 0,
            Attribute::Days => self.days != 0,
            _ => self.atoms().any(|atom| atom.value.attribute() == attribute),
        }
    }

    /// Puts the values that `text` lists in place of those that the attribute has, or says what is wrong with them and
    /// changes nothing.
    ///
    /// # Errors
    /// [`ConditionError`].
    pub fn set(&mut self, attribute: Attribute, text: &str) -> Result<(), ConditionError> {
        *self = self.with(attribute, Some(text))?;
        Ok(())
    }

    /// Looks at an attribute no longer.
    pub fn clear(&mut self, attribute: Attribute) {
        // Without values there is nothing that could be wrong, and the others fitted before.
        if let Ok(condition) = self.with(attribute, None) {
            *self = condition;
        }
    }

    /// Where the texts of the atom at a place lie: that of a header's name, and that of the value.
    pub(super) fn atom_texts(&self, place: usize) -> (Range<u16>, Range<u16>) {
        let atom = self.atoms.get(place).unwrap_or(&StoredAtom::EMPTY);
        let name = if atom.form == Form::Whole { 0 } else { u16::from(atom.split) };
        let middle = atom.start + name.min(atom.length);
        (atom.start..middle, middle..atom.start + atom.length)
    }

    /// Some of the texts of all atoms.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }

    /// Whether a class is one of those that are asked for.
    pub(super) const fn admits_class(&self, class: RequestPriority) -> bool {
        self.classes == 0 || self.classes & class_bit(class) != 0
    }

    /// Whether an hour of the week, from Monday midnight, is one of those that are asked for.
    pub(super) const fn admits_hour(&self, hour_of_week: u8) -> bool {
        let (day, hour) = (hour_of_week / 24, hour_of_week % 24);
        (self.days == 0 || self.days & (1 << (day % 7)) != 0)
            && (self.hours == 0 || self.hours & (1 << hour) != 0)
    }

    /// Appends an atom, unless it is there already.
    fn push(&mut self, atom: Atom<'_>) -> Result<(), ConditionError> {
        if self.atoms().any(|present| present == atom) {
            return Ok(());
        }
        let mut octets = [0; 16];
        let (form, split, name, text): (Form, usize, &str, &[u8]) = match atom.value {
            AtomValue::Service(text)
            | AtomValue::Tenant(text)
            | AtomValue::Role(text)
            | AtomValue::Method(text)
            | AtomValue::Path(text) => (Form::Whole, 0, "", text.as_bytes()),
            AtomValue::Ip(network) => {
                (Form::Whole, usize::from(network.prefix()), "", network.write_octets(&mut octets))
            }
            AtomValue::HeaderPresent { name } => (Form::HeaderPresent, name.len(), name, &[]),
            AtomValue::HeaderEquals { name, value } => {
                (Form::HeaderEquals, name.len(), name, value.as_bytes())
            }
            AtomValue::HeaderPrefix { name, prefix } => {
                (Form::HeaderPrefix, name.len(), name, prefix.as_bytes())
            }
        };
        let place = usize::from(self.length);
        let slot = self.atoms.get_mut(place).ok_or(ConditionError::TooManyValues)?;
        let start = usize::from(self.text_length);
        let middle = start + name.len();
        let end = middle + text.len();
        let short = |number: usize| u16::try_from(number).map_err(|_| ConditionError::LongText);
        let arena = self.text.get_mut(start..end).ok_or(ConditionError::LongText)?;
        arena[..name.len()].copy_from_slice(name.as_bytes());
        arena[name.len()..].copy_from_slice(text);
        *slot = StoredAtom {
            attribute: atom.value.attribute(),
            sense: atom.sense,
            form,
            split: u8::try_from(split).map_err(|_| ConditionError::LongText)?,
            start: short(start)?,
            length: short(end - start)?,
        };
        self.text_length = short(end)?;
        self.length += 1;
        Ok(())
    }

    fn read(&self, atom: &StoredAtom) -> Atom<'_> {
        let start = usize::from(atom.start);
        let bytes = self.text.get(start..start + usize::from(atom.length)).unwrap_or_default();
        let text = |bytes| core::str::from_utf8(bytes).unwrap_or_default();
        let (name, rest) = bytes.split_at_checked(usize::from(atom.split)).unwrap_or((bytes, &[]));
        let value = match (atom.attribute, atom.form) {
            (Attribute::Tenant, _) => AtomValue::Tenant(text(bytes)),
            (Attribute::Role, _) => AtomValue::Role(text(bytes)),
            (Attribute::Ip, _) => AtomValue::Ip(Network::read_octets(bytes, atom.split)),
            (Attribute::Method, _) => AtomValue::Method(text(bytes)),
            (Attribute::Path, _) => AtomValue::Path(text(bytes)),
            (Attribute::Header, Form::HeaderEquals) => {
                AtomValue::HeaderEquals { name: text(name), value: text(rest) }
            }
            (Attribute::Header, Form::HeaderPrefix) => {
                AtomValue::HeaderPrefix { name: text(name), prefix: text(rest) }
            }
            (Attribute::Header, _) => AtomValue::HeaderPresent { name: text(name) },
            _ => AtomValue::Service(text(bytes)),
        };
        Atom { sense: atom.sense, value }
    }
}

/// The bit of a class.
const fn class_bit(class: RequestPriority) -> u8 {
    1 << class as u8
}
