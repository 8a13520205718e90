//! Splits one line of comma-separated values into fields, as RFC 4180 has them.
//!
//! A field may be quoted; inside of quotes, commas are text and `""` is a quote. A quoted field that goes on over
//! a line end is not supported: a line is a record, and such a field is reported as not closed.

use core::fmt;

/// The fields of `line`, given without its line end. A line always has at least one field; an empty line has one
/// that is empty.
///
/// ```
/// use wire::csv::{CsvError, fields};
/// let found: Result<Vec<_>, CsvError> = fields(br#"1,"two, ""three""""#).collect();
/// assert!(found?[1].equals(br#"two, "three""#));
/// # Ok::<(), CsvError>(())
/// ```
#[must_use]
pub const fn fields(line: &[u8]) -> Fields<'_> {
    Fields { rest: Some(line), column: 0 }
}

/// The fields of a line; see [`fields`]. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: Option<&'a [u8]>,
    column: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rest.take()?;
        self.column += 1;
        let split = match line.strip_prefix(b"\"") {
            Some(inside) => quoted(inside, self.column),
            None => unquoted(line, self.column),
        };
        Some(split.map(|(field, rest)| {
            self.rest = rest;
            field
        }))
    }
}

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    text: &'a [u8],
    quotes: Quotes,
}

impl<'a> Field<'a> {
    /// The text as it stands in the line, without enclosing quotes; `None` if it holds quotes, which a line has
    /// doubled.
    #[must_use]
    pub fn plain(&self) -> Option<&'a [u8]> {
        (self.quotes == Quotes::Single).then_some(self.text)
    }

    /// The bytes of the text, each doubled quote once.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut skip = false;
        let quotes = self.quotes;
        self.text.iter().copied().filter(move |byte| {
            skip = quotes == Quotes::Doubled && *byte == b'"' && !skip;
            !skip
        })
    }

    /// Whether the text is `other`.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        self.bytes().eq(other.iter().copied())
    }
}

/// Why a line is not a record. Columns are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvError {
    /// A quoted field does not end in its line.
    QuoteNotClosed {
        /// The field's column.
        column: usize,
    },
    /// A quoted field is followed by something else than a comma.
    TextAfterQuote {
        /// The field's column.
        column: usize,
    },
    /// A field that is not quoted holds a quote.
    StrayQuote {
        /// The field's column.
        column: usize,
    },
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuoteNotClosed { column } => {
                write!(f, "quoted field in column {column} does not end, expected `\"` in the same line")
            }
            Self::TextAfterQuote { column } => {
                write!(f, "text after the quoted field in column {column}, expected a comma")
            }
            Self::StrayQuote { column } => {
                write!(f, "quote inside the field in column {column}, expected the whole field in quotes")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// Each byte of the text stands for itself.
    Single,
    /// Quotes in the text are doubled.
    Doubled,
}

/// A field, and the text behind the comma that ends it if there is one.
type Split<'a> = (Field<'a>, Option<&'a [u8]>);

fn unquoted(line: &[u8], column: usize) -> Result<Split<'_>, CsvError> {
    let end = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
    let (text, rest) = line.split_at(end);
    if text.contains(&b'"') {
        return Err(CsvError::StrayQuote { column });
    }
    Ok((Field { text, quotes: Quotes::Single }, rest.strip_prefix(b",")))
}

fn quoted(inside: &[u8], column: usize) -> Result<Split<'_>, CsvError> {
    let mut at = 0;
    let mut quotes = Quotes::Single;
    while let Some(found) = inside[at..].iter().position(|byte| *byte == b'"') {
        at += found;
        let field = Field { text: &inside[..at], quotes };
        match &inside[at + 1..] {
            [] => return Ok((field, None)),
            [b',', rest @ ..] => return Ok((field, Some(rest))),
            [b'"', ..] => quotes = Quotes::Doubled,
            _ => return Err(CsvError::TextAfterQuote { column }),
        }
        at += 2;
    }
    Err(CsvError::QuoteNotClosed { column })
}

#[cfg(test)]
mod tests {
    use super::{CsvError, fields};
    use proptest::prelude::*;

    fn texts(line: &[u8]) -> Result<Vec<Vec<u8>>, CsvError> {
        fields(line).map(|field| field.map(|field| field.bytes().collect())).collect()
    }

    #[test]
    fn fields_are_split_at_commas_outside_of_quotes() {
        assert_eq!(texts(b"").unwrap(), [b""]);
        assert_eq!(texts(b",").unwrap(), [b"", b""]);
        assert_eq!(texts(b"a,b c,").unwrap(), [&b"a"[..], b"b c", b""]);
        assert_eq!(texts(br#""a,b","","""","""x""""y""#).unwrap(), [&b"a,b"[..], b"", b"\"", b"\"x\"\"y"]);
    }

    #[test]
    fn plain_text_is_borrowed_unless_quotes_are_doubled() {
        let line = br#"a,"b","c""d""#;
        let plain: Vec<_> = fields(line).map(|field| field.unwrap().plain()).collect();
        assert_eq!(plain, [Some(&b"a"[..]), Some(b"b"), None]);
    }

    #[test]
    fn misplaced_quotes_are_named_with_their_column() {
        assert_eq!(texts(br#"a,"b"#), Err(CsvError::QuoteNotClosed { column: 2 }));
        assert_eq!(texts(br#"a,"b"""#), Err(CsvError::QuoteNotClosed { column: 2 }));
        assert_eq!(texts(br#""a"b,c"#), Err(CsvError::TextAfterQuote { column: 1 }));
        assert_eq!(texts(br#"a"b,c"#), Err(CsvError::StrayQuote { column: 1 }));
        assert_eq!(
            CsvError::TextAfterQuote { column: 1 }.to_string(),
            "text after the quoted field in column 1, expected a comma"
        );
    }

    proptest! {
        #[test]
        fn written_records_are_read_back(
            record in prop::collection::vec(("[a-c,\" ]{0,6}", any::<bool>()), 1..6)
        ) {
            let write = |(text, quote): &(String, bool)| {
                if *quote || text.contains(['"', ',']) {
                    format!("\"{}\"", text.replace('"', "\"\""))
                } else {
                    text.clone()
                }
            };
            let line = record.iter().map(write).collect::<Vec<_>>().join(",");
            let expected: Vec<_> = record.iter().map(|(text, _)| text.clone().into_bytes()).collect();
            prop_assert_eq!(texts(line.as_bytes()).unwrap(), expected);
        }

        #[test]
        fn arbitrary_lines_end_with_at_most_one_error(line in "[a,\"]{0,12}") {
            let results: Vec<_> = fields(line.as_bytes()).collect();
            let errors = results.iter().filter(|result| result.is_err()).count();
            prop_assert!(errors == 0 || (errors == 1 && results.last().is_some_and(Result::is_err)));
        }
    }
}
