//! The fields in which users describe a limit, a quota, a model, a budget or a policy: the values they are given, how
//! they are read, and what can be wrong with them. A configuration file and a command line give the same fields.

use crate::limit::PRODUCT_BITS_MAX;
use crate::policy::ConditionError;
use crate::scope::{NameRef, ScopeError};
use crate::text::Text;
use crate::units::{UnitError, parse_size};
use core::fmt;

/// A value as a configuration file or a command line gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// A string of a configuration file, or a word of a command line.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Fraction,
    /// True or false.
    Boolean(bool),
    /// Anything else.
    Other,
}

/// Why a field was refused: which one, and what was wrong.
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
    /// There is no such field; these are those there are.
    Unknown(&'static [&'static str]),
    /// The field is needed and was not given.
    Missing,
    /// The field is needed because of what another one says, such as `algorithm token-bucket`.
    MissingFor(&'static str, &'static str),
    /// The field does not go with what another one says.
    NotWith {
        /// The other field.
        field: &'static str,
        /// What it says.
        value: &'static str,
        /// What goes with that.
        takes: &'static str,
    },
    /// Zero, where at least 1 is needed.
    Zero,
    /// A whole number was expected.
    NotWhole,
    /// A negative number.
    Negative,
    /// Not a whole number of a range.
    NotWithin {
        /// The least that is allowed.
        least: u32,
        /// The most that is allowed.
        most: u32,
    },
    /// More than the most that is allowed.
    AboveMaximum(u64),
    /// Another type of value was expected.
    Type(&'static str),
    /// The word is not one of those that the field takes.
    NotOneOf(&'static [&'static str]),
    /// A name is empty, too long or not printable.
    Name(ScopeError),
    /// The scope is malformed.
    Scope(ScopeError),
    /// A duration, rate or size is malformed.
    Unit(UnitError),
    /// A condition of a policy, or what it does, is malformed.
    Condition(ConditionError),
    /// Something else is malformed: what was expected.
    Expected(&'static str),
    /// Capacity × period or limit × window is too large.
    ProductTooLarge,
    /// The field cannot be changed where it stands.
    Fixed,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        let words = match self.problem {
            Problem::Unknown(fields) => {
                f.write_str("unknown field; expected one of")?;
                fields
            }
            Problem::NotOneOf(words) => {
                f.write_str("expected one of")?;
                words
            }
            problem => return write_problem(f, self.field, problem),
        };
        for (index, word) in words.iter().enumerate() {
            write!(f, "{}{word}", if index == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

fn write_problem(f: &mut fmt::Formatter<'_>, field: &str, problem: Problem) -> fmt::Result {
    match problem {
        Problem::Missing => f.write_str("missing"),
        Problem::MissingFor(other, value) => write!(f, "missing; {other} {value} needs it"),
        Problem::NotWith { field, value, takes } => {
            write!(f, "does not go with {field} {value}, which takes {takes}")
        }
        Problem::Zero => {
            f.write_str("0 is not allowed; expected at least 1")?;
            f.write_str(if field == "capacity" { " (algorithm \"ban\" refuses everything)" } else { "" })
        }
        Problem::NotWhole => f.write_str("expected a whole number, found a fraction"),
        Problem::Negative => f.write_str("expected a number from 1, found a negative one"),
        Problem::NotWithin { least, most } => {
            write!(f, "expected a whole number from {least} to {most}")
        }
        Problem::AboveMaximum(maximum) => write!(f, "at most {maximum} is allowed"),
        Problem::Type(expected) | Problem::Expected(expected) => write!(f, "expected {expected}"),
        Problem::Name(error) | Problem::Scope(error) => write!(f, "{error}"),
        Problem::Unit(error) => write!(f, "{error}"),
        Problem::Condition(error) => write!(f, "{error}"),
        Problem::ProductTooLarge => write!(
            f,
            "times its period is 2^{PRODUCT_BITS_MAX} ns or more; choose a smaller one or a shorter period"
        ),
        Problem::Fixed => f.write_str("cannot be changed; remove it and add another"),
        Problem::Unknown(_) | Problem::NotOneOf(_) => Ok(()),
    }
}

impl core::error::Error for SpecError {}

/// The text of a field that takes one.
pub(crate) fn text<'a>(value: FieldValue<'a>, expected: &'static str) -> Result<&'a str, Problem> {
    if let FieldValue::Text(text) = value { Ok(text) } else { Err(Problem::Type(expected)) }
}

/// One of the words that a field takes.
pub(crate) fn word(value: FieldValue<'_>, words: &'static [&'static str]) -> Result<&'static str, Problem> {
    let given = text(value, "a string")?;
    words.iter().copied().find(|&known| known == given).ok_or(Problem::NotOneOf(words))
}

/// What a draft describes, or the first of its problems.
pub(crate) fn finished<T>(
    spec: Option<T>,
    each_problem: impl FnOnce(&mut dyn FnMut(SpecError)),
) -> Result<T, SpecError> {
    let mut first = None;
    each_problem(&mut |problem| {
        first.get_or_insert(problem);
    });
    match (first, spec) {
        (Some(problem), _) => Err(problem),
        (None, Some(spec)) => Ok(spec),
        (None, None) => Err(SpecError { field: "scope", problem: Problem::Missing }),
    }
}

/// True or false, which a command line gives as a word.
pub(crate) fn boolean(value: FieldValue<'_>) -> Result<bool, Problem> {
    match value {
        FieldValue::Boolean(flag) => Ok(flag),
        FieldValue::Text("true") => Ok(true),
        FieldValue::Text("false") => Ok(false),
        _ => Err(Problem::Type("true or false")),
    }
}

/// A whole number of a range.
pub(crate) fn whole(value: FieldValue<'_>, least: u32, most: u32) -> Result<u32, Problem> {
    let number = match value {
        FieldValue::Integer(number) => u32::try_from(number).ok(),
        FieldValue::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| (least..=most).contains(number)).ok_or(Problem::NotWithin { least, most })
}

/// A whole number from 1, or a size such as `64KiB`.
pub(crate) fn amount(value: FieldValue<'_>) -> Result<u64, Problem> {
    match amount_or_zero(value)? {
        0 => Err(Problem::Zero),
        amount => Ok(amount),
    }
}

/// A whole number from 0, or a size such as `64KiB`.
pub(crate) fn amount_or_zero(value: FieldValue<'_>) -> Result<u64, Problem> {
    match value {
        FieldValue::Integer(number) => u64::try_from(number).map_err(|_| Problem::Negative),
        FieldValue::Text(text) if text.starts_with('-') => Err(Problem::Negative),
        FieldValue::Text(text) if is_fraction(text) => Err(Problem::NotWhole),
        FieldValue::Text(text) => parse_size(text).map_err(Problem::Unit),
        FieldValue::Fraction => Err(Problem::NotWhole),
        FieldValue::Boolean(_) | FieldValue::Other => Err(Problem::Type("a whole number from 1")),
    }
}

/// A name of a configuration, which has to read back from what shows it.
pub(crate) fn name<const N: usize>(value: FieldValue<'_>) -> Result<Text<N>, Problem> {
    let name = text(value, "a string")?;
    NameRef::printable(name).map_err(Problem::Name)?;
    Text::new(name).map_err(|_| Problem::Name(ScopeError::LongName { bytes: name.len() }))
}

fn is_fraction(text: &str) -> bool {
    text.split_once('.').is_some_and(|(whole, fraction)| {
        !fraction.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    })
}

/// An amount as TOML has it: its integers end at 2^63 - 1, so that a larger one is written as a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount(pub(crate) u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0) {
            Ok(amount) => write!(f, "{amount}"),
            Err(_) => write!(f, "\"{}\"", self.0),
        }
    }
}

/// A string as a TOML basic string. Names hold no control characters, so quotes and backslashes suffice.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        f.write_str("\"")
    }
}
