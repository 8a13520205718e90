//! What can be wrong with a document.

use core::fmt;

use toml_parser::Expected;

use super::{
    MAX_DECODED_BYTES, MAX_DEFINITIONS, MAX_DOCUMENT_BYTES, MAX_PATH_BYTES, MAX_PATH_PARTS, Path, Position,
};

/// An error in a document. It prints what is wrong and what was expected, without its position.
#[derive(Clone, Copy, Debug)]
pub enum SyntaxError<'e> {
    /// The document is longer than [`MAX_DOCUMENT_BYTES`].
    DocumentTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The document is not UTF-8.
    NotUtf8,
    /// The text does not follow the grammar.
    Malformed {
        /// What is wrong.
        what: &'e str,
        /// What could stand there instead.
        expected: Expectation,
    },
    /// An integer does not fit 64 bits.
    IntegerOutOfRange,
    /// A key is set twice in one table, or is set where a table of that name is.
    DuplicateKey {
        /// The key with its table.
        path: Path<'e>,
        /// Where it was set before.
        first: Position,
    },
    /// A table is defined twice, or added to where that is not allowed.
    DuplicateTable {
        /// The table.
        path: Path<'e>,
        /// Where it was defined before.
        first: Position,
    },
    /// A key is used as a table but was set to a value.
    NotATable {
        /// The key with its table.
        path: Path<'e>,
        /// Where it was set.
        first: Position,
    },
    /// An array is an element of an array.
    NestedArray,
    /// An array holds both tables and other values.
    MixedArray,
    /// A string with escapes is longer than [`MAX_DECODED_BYTES`].
    StringTooLong,
    /// A key with its tables is longer than [`MAX_PATH_BYTES`] or deeper than [`MAX_PATH_PARTS`].
    PathTooLong,
    /// There are more than [`MAX_DEFINITIONS`] keys and tables. Told once; none is told apart from then on.
    TooManyDefinitions,
}

/// What could stand in the place of an error; nothing if any correction depends on what was meant.
#[derive(Clone, Copy, Debug)]
pub struct Expectation(pub(super) &'static [Expected]);

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, expected) in self.0.iter().enumerate() {
            f.write_str(match index {
                0 => "",
                _ if index + 1 == self.0.len() => " or ",
                _ => ", ",
            })?;
            match expected {
                Expected::Literal("\n") => f.write_str("the end of the line")?,
                Expected::Literal(text) => write!(f, "`{text}`")?,
                Expected::Description(text) => f.write_str(text)?,
                _ => f.write_str("something else")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for SyntaxError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DocumentTooLong { bytes } => {
                write!(f, "document of {bytes} bytes is too long, expected at most {MAX_DOCUMENT_BYTES}")
            }
            Self::NotUtf8 => f.write_str("text is not UTF-8"),
            Self::Malformed { what, expected: Expectation([]) } => f.write_str(what),
            Self::Malformed { what, expected } => write!(f, "{what}, expected {expected}"),
            Self::IntegerOutOfRange => {
                write!(f, "integer out of range, expected {} to {}", i64::MIN, i64::MAX)
            }
            Self::DuplicateKey { path, first } => {
                write!(f, "key {path} is set twice, first in line {}, expected it once", first.line)
            }
            Self::DuplicateTable { path, first } => {
                write!(f, "table {path} is defined twice, first in line {}, expected it once", first.line)
            }
            Self::NotATable { path, first } => {
                write!(f, "{path} is not a table but set to a value in line {}", first.line)
            }
            Self::NestedArray => f.write_str("array in an array, expected a value"),
            Self::MixedArray => f.write_str("array of tables and other values, expected one or the other"),
            Self::StringTooLong => {
                write!(f, "string with escapes is too long, expected at most {MAX_DECODED_BYTES} bytes")
            }
            Self::PathTooLong => write!(
                f,
                "key is too long, expected at most {MAX_PATH_PARTS} parts and {MAX_PATH_BYTES} bytes with its tables"
            ),
            Self::TooManyDefinitions => {
                write!(f, "too many keys and tables, expected at most {MAX_DEFINITIONS}")
            }
        }
    }
}
