//! What can be wrong with the description of a limit.

use super::draft::FIELDS;
use super::{PRODUCT_BITS_MAX, RateLimitAlgorithm};
use crate::scope::ScopeError;
use crate::units::UnitError;
use core::fmt;

/// Why a field of a limit was refused: which one, and what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The field's name as the user writes it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The limit has no such field.
    Unknown,
    /// The field is needed and was not given.
    Missing,
    /// The algorithm needs the field and it was not given.
    MissingFor(&'static str),
    /// The field does not go with the algorithm.
    NotWith(&'static str),
    /// Zero, where at least 1 is needed.
    Zero,
    /// A whole number from 1 was expected.
    NotWhole,
    /// A negative number.
    Negative,
    /// Another type of value was expected.
    Type(&'static str),
    /// The word is not one of those that the field takes.
    NotOneOf(&'static [&'static str]),
    /// The mode is known, and not to be had.
    ModeUnavailable,
    /// The limit's name is empty or too long.
    Name(ScopeError),
    /// The scope is malformed.
    Scope(ScopeError),
    /// A duration, rate or size is malformed.
    Unit(UnitError),
    /// Capacity × period or limit × window is too large.
    ProductTooLarge,
    /// The field of an existing limit cannot be changed.
    Fixed,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match self.problem {
            Problem::Unknown => f.write_str("unknown field; expected one of")?,
            Problem::Missing => return f.write_str("missing"),
            Problem::MissingFor(algorithm) => return write!(f, "missing; algorithm {algorithm} needs it"),
            Problem::NotWith(algorithm) => {
                let fields =
                    RateLimitAlgorithm::from_word(algorithm).map_or("other fields", |known| known.fields());
                return write!(f, "does not go with algorithm {algorithm}, which takes {fields}");
            }
            Problem::Zero => {
                f.write_str("0 is not allowed; expected at least 1")?;
                let is_amount = matches!(self.field, "capacity" | "limit");
                return f.write_str(if is_amount { " (algorithm \"ban\" refuses everything)" } else { "" });
            }
            Problem::NotWhole => return f.write_str("expected a whole number, found a fraction"),
            Problem::Negative => return f.write_str("expected a number from 1, found a negative one"),
            Problem::Type(expected) => return write!(f, "expected {expected}"),
            Problem::NotOneOf(_) => f.write_str("expected one of")?,
            Problem::ModeUnavailable => return f.write_str("shadow mode is not available; expected enforce"),
            Problem::Name(error) | Problem::Scope(error) => return error.fmt(f),
            Problem::Unit(error) => return error.fmt(f),
            Problem::ProductTooLarge => {
                return write!(
                    f,
                    "times its period is 2^{PRODUCT_BITS_MAX} ns or more; choose a smaller one or a shorter period"
                );
            }
            Problem::Fixed => return f.write_str("cannot be changed; remove the limit and add another"),
        }
        let words = if let Problem::NotOneOf(words) = self.problem { words } else { &FIELDS };
        for (index, word) in words.iter().enumerate() {
            write!(f, "{}{word}", if index == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

impl core::error::Error for SpecError {}
