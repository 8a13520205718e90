//! Why a policy could not be added, changed or read.

use super::condition::{CONDITION_ATOMS_MAX, CONDITION_TEXT_BYTES, HEADER_NAMES_MAX, Network, SET_ATOMS_MAX};
use super::set::POLICIES_MAX;
use crate::field::SpecError;
use crate::limit::LimitName;
use crate::scope::{Name, ScopeError};
use core::fmt;

/// Why policies could not be changed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// There is a policy of that name.
    DuplicateName,
    /// There are [`POLICIES_MAX`] policies.
    Full,
    /// There is no such policy, or not any more.
    UnknownPolicy,
    /// There is no limit of the name that a policy throttles by.
    UnknownLimit {
        /// The limit's name.
        name: LimitName,
    },
    /// All policies together would have more than [`SET_ATOMS_MAX`] values in their conditions.
    AtomsFull,
    /// All policies together would look at headers of more than [`HEADER_NAMES_MAX`] names.
    HeaderNamesFull,
    /// Nothing has been changed yet.
    NothingToRollBack,
    /// The name of a policy cannot be changed.
    FixedName,
    /// A value of the policy is out of range.
    OutOfRange(SpecError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName => f.write_str("a policy of that name exists; give it another name"),
            Self::Full => write!(f, "there are {POLICIES_MAX} policies already, and no more fit"),
            Self::UnknownPolicy => f.write_str("there is no policy of that name"),
            Self::UnknownLimit { name } => write!(f, "action: there is no limit '{name}'"),
            Self::AtomsFull => {
                write!(f, "all policies together have at most {SET_ATOMS_MAX} values in their conditions")
            }
            Self::HeaderNamesFull => {
                write!(f, "header: all policies together look at headers of at most {HEADER_NAMES_MAX} names")
            }
            Self::NothingToRollBack => f.write_str("there is no earlier set of policies to go back to"),
            Self::FixedName => f.write_str("name: cannot be changed; remove the policy and add another"),
            Self::OutOfRange(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PolicyError {}

/// Why a condition, or the action that goes with it, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionError {
    /// There is nothing at all.
    NoValue,
    /// There is nothing between two separators, or behind `!`.
    EmptyValue,
    /// There are more than [`CONDITION_ATOMS_MAX`] values.
    TooManyValues,
    /// The values have more than [`CONDITION_TEXT_BYTES`] bytes together.
    LongText,
    /// A name is empty, too long or not printable.
    Name(ScopeError),
    /// `*` where a value is meant literally.
    Wildcard,
    /// A method or the name of a header holds what HTTP does not allow there.
    NotAToken,
    /// It is not an address or a network.
    NotANetwork,
    /// The length of a network's prefix is beyond that of its addresses.
    LongPrefix {
        /// The longest.
        bits: u8,
    },
    /// An address has bits set behind the network's prefix.
    HostBits {
        /// The network that has them clear.
        meant: Network,
    },
    /// A path does not begin with a slash.
    NoSlash,
    /// A path holds a control character, or a query.
    NotAPath,
    /// A header's value is empty, or not printable.
    HeaderValue,
    /// It is not a class.
    NotAClass,
    /// It is not a range of hours.
    NotHours,
    /// A range of hours ends where it starts.
    NoHours,
    /// It is not a day or a range of days.
    NotDays,
    /// The condition matches no request.
    Contradiction,
    /// The redirected request would match again.
    RedirectToItself {
        /// The service that it is redirected to.
        target: Name,
    },
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue => f.write_str("a value is missing; leave the field out to match every value"),
            Self::EmptyValue => {
                f.write_str("a value is missing; expected one on each side of a separator and behind each !")
            }
            Self::TooManyValues => write!(f, "a condition has at most {CONDITION_ATOMS_MAX} values"),
            Self::LongText => {
                write!(f, "the values of a condition have at most {CONDITION_TEXT_BYTES} bytes together")
            }
            Self::Name(error) => error.fmt(f),
            Self::Wildcard => {
                f.write_str("* stands for nothing here; leave the field out to match every value")
            }
            Self::NotAToken => {
                f.write_str("expected characters that HTTP allows in methods and header names")
            }
            Self::NotANetwork => {
                f.write_str("expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32")
            }
            Self::LongPrefix { bits } => write!(f, "expected a prefix of at most {bits} bits"),
            Self::HostBits { meant } => {
                write!(f, "the address has bits set behind the prefix; expected {meant}")
            }
            Self::NoSlash => f.write_str("expected a path that begins with /"),
            Self::NotAPath => {
                f.write_str("expected a path without a query, control characters and a * at its end")
            }
            Self::HeaderValue => f.write_str("expected NAME, NAME: VALUE or NAME: PREFIX*, all printable"),
            Self::NotAClass => f.write_str("expected critical, high, normal, low or batch"),
            Self::NotHours => {
                f.write_str("expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !")
            }
            Self::NoHours => {
                f.write_str("start and end have to differ; leave the field out to match every hour")
            }
            Self::NotDays => f.write_str("expected days of UTC, such as mon-fri or sat, sun, without !"),
            Self::Contradiction => {
                f.write_str("no request can match: everything that is listed is excluded again")
            }
            Self::RedirectToItself { target } => write!(
                f,
                "the redirected request would match again; exclude the target with service = \"!{target}\""
            ),
        }
    }
}

impl core::error::Error for ConditionError {}
