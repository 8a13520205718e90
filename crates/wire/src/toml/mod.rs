//! Reads a TOML document and tells a [`Visitor`] what is in it.
//!
//! [`Reader::read`] goes through a document once, front to back, and reports every syntax error in it with its
//! [`Position`]: after an error it goes on with the next line. It allocates nothing; what it has to remember is in
//! the [`Reader`], whose limits are the constants of this module.
//!
//! However a table is written, its keys arrive in the same way. These three documents all end in
//! `value(key { table: server, name: port }, Integer(80))`:
//!
//! ```toml
//! [server]
//! port = 80
//! ```
//! ```toml
//! server.port = 80
//! ```
//! ```toml
//! server = { port = 80 }
//! ```
//!
//! Format: TOML 1.0; the comma after the last key of an inline table is allowed, as in TOML 1.1, and so are its
//! escapes. Arrays may hold values or inline tables, not both; arrays inside of arrays are refused. Lexing and
//! the decoding of scalars are `toml_parser`'s, the grammar and the rules on defining a key twice are here.

mod date;
mod decoded;
mod definitions;
mod error;
mod parser;
mod path;
#[cfg(test)]
mod tests;
mod tokens;

use core::fmt;
use core::str;

use decoded::Buffer;
use definitions::Definitions;
pub use error::{Expectation, SyntaxError};
use parser::Parser;
pub use path::Path;
use path::PathBuffer;

/// The longest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// How many keys and tables a document may define.
pub const MAX_DEFINITIONS: usize = 7168;
/// The longest string that holds escapes, in bytes after decoding. Others are as long as the document allows.
pub const MAX_DECODED_BYTES: usize = 4096;
/// How deep tables may be nested, in parts of a path.
pub const MAX_PATH_PARTS: usize = 16;
/// The longest path of tables with the key at its end, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;

/// Reads documents, one at a time. All-zero when it is made, so that a static one costs no room in an image.
#[derive(Debug)]
pub struct Reader {
    definitions: Definitions,
    decoded: Buffer,
    path: PathBuffer,
}

impl Reader {
    /// A reader.
    #[must_use]
    pub const fn new() -> Self {
        Self { definitions: Definitions::new(), decoded: Buffer::new(), path: PathBuffer::new() }
    }

    /// Reads `document` and tells `visitor` about its tables and values, in order, and about every error. A
    /// document that is too long or not UTF-8 is one error and nothing else.
    pub fn read(&mut self, document: &[u8], visitor: &mut dyn Visitor) -> Summary {
        match text_of(document) {
            Ok(text) => {
                self.definitions.clear();
                Summary { errors: Parser::new(text, self, visitor).read_document() }
            }
            Err((at, error)) => {
                visitor.error(at, error);
                Summary { errors: 1 }
            }
        }
    }
}

fn text_of(document: &[u8]) -> Result<&str, (Position, SyntaxError<'static>)> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err((Position::START, SyntaxError::DocumentTooLong { bytes: document.len() }));
    }
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    str::from_utf8(document).map_err(|error| {
        let valid = str::from_utf8(&document[..error.valid_up_to()]).unwrap_or_default();
        (Position::after(valid), SyntaxError::NotUtf8)
    })
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

/// Is told what is in a document. Nothing that depends on a malformed part is told: the values under a malformed
/// header, or a key that is set again. What comes before an error in its statement may have been told.
pub trait Visitor {
    /// A table starts, by a header or as an inline table. Tables that exist only by dotted keys, or by a header
    /// of a table inside of them, are not told.
    fn table(&mut self, path: Path<'_>, kind: TableKind, at: Position);

    /// A key is set to a value that is not an array. If its table is an element of an array, it is the element
    /// that was last told to [`Visitor::table`].
    fn value(&mut self, key: Key<'_>, value: Value<'_>, at: Position);

    /// A key is set to an array, which starts at `at`. Its elements follow. Not told for arrays of inline tables.
    fn array(&mut self, key: Key<'_>, at: Position);

    /// The array has an element, counted from 0.
    fn element(&mut self, key: Key<'_>, index: usize, value: Value<'_>, at: Position);

    /// The document has an error.
    fn error(&mut self, at: Position, error: SyntaxError<'_>);
}

/// How a table is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Once: `[table]` or `key = { … }`.
    Table,
    /// As another element of an array: `[[table]]` or `key = [{ … }]`.
    ArrayElement,
}

/// A key that is set.
#[derive(Clone, Copy, Debug)]
pub struct Key<'p> {
    /// The table that it is in, from the root; empty for the root.
    pub table: Path<'p>,
    /// The key's name, decoded.
    pub name: &'p str,
    /// Where the name is written.
    pub at: Position,
}

/// A value, decoded as far as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// A string.
    String(&'v str),
    /// An integer.
    Integer(i64),
    /// A floating-point number, as written, less its underscores.
    Float(&'v str),
    /// A truth value.
    Boolean(bool),
    /// A date, a time or both, as written.
    DateTime(&'v str),
}

impl Value<'_> {
    /// What the value is, with an article: `an integer`.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a floating-point number",
            Self::Boolean(_) => "a boolean",
            Self::DateTime(_) => "a date or time",
        }
    }
}

/// A place in a document. It prints as `line 3, column 14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The start of a document.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position of what follows `text` in a document that starts with it.
    fn after(text: &str) -> Self {
        Self::START.advanced(text)
    }

    /// The position `text` later.
    fn advanced(self, text: &str) -> Self {
        text.chars().fold(self, |at, c| match c {
            '\n' => Self { line: at.line.saturating_add(1), column: 1 },
            _ => Self { column: at.column.saturating_add(1), ..at },
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a document with errors is not to be used"]
pub struct Summary {
    /// How many errors were told to [`Visitor::error`].
    pub errors: usize,
}
