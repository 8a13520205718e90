//! Writes comma-separated values, one record at a time.
//!
//! [`RecordWriter`] writes the fields as they are given, so the order of the calls is the order of the columns:
//!
//! ```
//! use governance::export::RecordWriter;
//! let mut out = String::new();
//! RecordWriter::begin(&mut out)?.text("tenant")?.text("used")?.text("credit")?.end()?;
//! RecordWriter::begin(&mut out)?.text("a, b")?.integer(60)?.number(-5)?.end()?;
//! RecordWriter::begin(&mut out)?.text("=1+1")?.empty()?.empty()?.end()?;
//! assert_eq!(out, "tenant,used,credit\n\"a, b\",60,-5\n\"'=1+1\",,\n");
//! # Ok::<(), core::fmt::Error>(())
//! ```
//!
//! Spreadsheets take a field that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and carry
//! it out. A text that begins so is written in quotes and with an apostrophe before it, which makes it text to them; a
//! number is written as it is.
//!
//! Lines end in a line feed, of which a console makes what its line needs. A control character that a terminal could
//! act upon is written as an escape, such as `\u{1b}`.
//!
//! Format: RFC 4180. Guard: OWASP, CSV Injection.

use core::fmt::{self, Display, Write};

/// A record that is being written. Dropping it before [`RecordWriter::end`] leaves it open in the sink.
#[derive(Debug)]
#[must_use = "a record is complete only after `end`"]
pub struct RecordWriter<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    fields: Fields,
}

impl<'w, W: Write + ?Sized> RecordWriter<'w, W> {
    /// Opens a record.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(sink: &'w mut W) -> Result<Self, fmt::Error> {
        Ok(Self { sink, fields: Fields::None })
    }

    /// Writes a text, guarded.
    ///
    /// # Errors
    /// The sink's.
    pub fn text(self, value: &str) -> Result<Self, fmt::Error> {
        self.field(&value, Guard::Formula)
    }

    /// Writes what a value prints as a text, guarded. The value is printed twice, and has to print the same.
    ///
    /// # Errors
    /// The sink's, or the value's.
    pub fn display(self, value: impl Display) -> Result<Self, fmt::Error> {
        self.field(&value, Guard::Formula)
    }

    /// Writes what a value prints as a number, so that `-5` stays what it is. It is for values that print nothing but
    /// numbers: they are not guarded.
    ///
    /// # Errors
    /// The sink's, or the value's.
    pub fn number(self, value: impl Display) -> Result<Self, fmt::Error> {
        self.field(&value, Guard::Nothing)
    }

    /// Writes an integer that is not negative.
    ///
    /// # Errors
    /// The sink's.
    pub fn integer(self, value: u64) -> Result<Self, fmt::Error> {
        self.number(value)
    }

    /// Writes a field with nothing in it.
    ///
    /// # Errors
    /// The sink's.
    pub fn empty(self) -> Result<Self, fmt::Error> {
        self.text("")
    }

    /// Ends the record.
    ///
    /// # Errors
    /// The sink's.
    pub fn end(self) -> fmt::Result {
        // A line with nothing in it is passed over by many readers.
        self.sink.write_str(if self.fields == Fields::OneEmpty { "\"\"\n" } else { "\n" })
    }

    fn field(mut self, value: &dyn Display, guard: Guard) -> Result<Self, fmt::Error> {
        if self.fields != Fields::None {
            self.sink.write_char(',')?;
        }
        let mut look = Look::default();
        write!(look, "{value}")?;
        let Some(first) = look.first else {
            self.fields = if self.fields == Fields::None { Fields::OneEmpty } else { Fields::Some };
            return Ok(self);
        };
        self.fields = Fields::Some;
        let is_formula = guard == Guard::Formula && matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r');
        if is_formula || look.is_special {
            self.sink.write_str(if is_formula { "\"'" } else { "\"" })?;
            write!(Doubling { sink: self.sink }, "{value}")?;
            self.sink.write_char('"')?;
        } else {
            write!(self.sink, "{value}")?;
        }
        Ok(self)
    }
}

/// What there is of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fields {
    None,
    /// A single one with nothing in it.
    OneEmpty,
    Some,
}

/// What a field is kept from being taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Formula,
    Nothing,
}

/// What has to be known of a field before it is written.
#[derive(Default)]
struct Look {
    first: Option<char>,
    /// Something in it ends fields that are not quoted, or begins those that are.
    is_special: bool,
}

impl Write for Look {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.first = self.first.or_else(|| text.chars().next());
        self.is_special |= text.contains(|c: char| matches!(c, '"' | ',') || c.is_control() && c != '\t');
        Ok(())
    }
}

/// Writes each quote that goes through it twice, and control characters but for tabs and line ends visibly.
struct Doubling<'w, W: Write + ?Sized> {
    sink: &'w mut W,
}

impl<W: Write + ?Sized> Write for Doubling<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_special = |c: char| c == '"' || c.is_control() && !matches!(c, '\t' | '\r' | '\n');
        for part in text.split_inclusive(is_special) {
            match part.char_indices().next_back() {
                Some((_, '"')) => write!(self.sink, "{part}\"")?,
                Some((at, last)) if is_special(last) => {
                    write!(self.sink, "{}{}", &part[..at], last.escape_unicode())?;
                }
                _ => self.sink.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::RecordWriter;
    use proptest::prelude::*;

    type Writer<'w> = RecordWriter<'w, String>;

    fn record(fields: impl FnOnce(Writer<'_>) -> Result<Writer<'_>, std::fmt::Error>) -> String {
        let mut out = String::new();
        RecordWriter::begin(&mut out).and_then(fields).and_then(RecordWriter::end).unwrap();
        out
    }

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        for (text, written) in [
            ("plain text", "plain text"),
            (" led by a blank", " led by a blank"),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("\"", "\"\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("a\r", "\"a\r\""),
            ("é;'", "é;'"),
        ] {
            assert_eq!(record(|record| record.text(text)), format!("{written}\n"));
        }
    }

    #[test]
    fn a_text_is_never_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "-"] {
            assert_eq!(record(|record| record.text(text)), format!("\"'{text}\"\n"));
            assert_eq!(
                record(|record| record.display(format_args!("{}{text}", ""))),
                format!("\"'{text}\"\n")
            );
        }
        assert_eq!(record(|record| record.text("=\"a\",1")), "\"'=\"\"a\"\",1\"\n");
        for text in ["a=1", "1-1", "'=1", " =1"] {
            assert_eq!(record(|record| record.text(text)), format!("{text}\n"));
        }
    }

    #[test]
    fn a_number_stays_a_number() {
        let written =
            record(|record| record.number(-5)?.number(format_args!("-{}.{}", 0, 25))?.integer(u64::MAX));
        assert_eq!(written, "-5,-0.25,18446744073709551615\n");
    }

    #[test]
    fn an_empty_field_by_itself_is_still_a_field() {
        assert_eq!(record(|record| record.text("")), "\"\"\n");
        assert_eq!(record(|record| record.empty()?.empty()), ",\n");
        assert_eq!(record(|record| record.empty()?.text("a")?.text("")), ",a,\n");
    }

    #[test]
    fn errors_are_handed_on() {
        struct Full;
        impl std::fmt::Write for Full {
            fn write_str(&mut self, _: &str) -> std::fmt::Result {
                Err(std::fmt::Error)
            }
        }
        struct Failing;
        impl std::fmt::Display for Failing {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                Err(std::fmt::Error)
            }
        }
        assert!(RecordWriter::begin(&mut Full).and_then(|record| record.text("a")).is_err());
        assert!(RecordWriter::begin(&mut String::new()).and_then(|record| record.display(Failing)).is_err());
    }

    /// A reader that knows nothing of the writer: the grammar of RFC 4180, section 2, letter by letter, with line feeds.
    fn read(file: &str) -> Vec<Vec<String>> {
        let mut letters = file.chars().peekable();
        let mut records = Vec::new();
        while letters.peek().is_some() {
            let mut fields = Vec::new();
            loop {
                let mut field = String::new();
                if letters.next_if_eq(&'"').is_some() {
                    loop {
                        let letter = letters.next().expect("a closing quote");
                        if letter == '"' && letters.next_if_eq(&'"').is_none() {
                            break;
                        }
                        field.push(letter);
                    }
                } else {
                    while let Some(letter) = letters.next_if(|letter| !matches!(letter, ',' | '\n')) {
                        assert!(!matches!(letter, '"' | '\r'), "{letter:?} in a field without quotes");
                        field.push(letter);
                    }
                }
                fields.push(field);
                match letters.next() {
                    Some(',') => {}
                    Some('\n') => break,
                    other => panic!("{other:?} after a field"),
                }
            }
            records.push(fields);
        }
        records
    }

    #[derive(Clone, Debug)]
    enum Field {
        Text(String),
        /// A text that comes in pieces.
        Display(String, String),
        Number(i128),
        Integer(u64),
        Empty,
    }

    impl Field {
        fn write<'w>(&self, record: Writer<'w>) -> Result<Writer<'w>, std::fmt::Error> {
            match self {
                Self::Text(text) => record.text(text),
                Self::Display(one, two) => record.display(format_args!("{one}{two}")),
                Self::Number(number) => record.number(number),
                Self::Integer(number) => record.integer(*number),
                Self::Empty => record.empty(),
            }
        }

        fn expected(&self) -> String {
            let guarded = |text: String| {
                if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
            };
            match self {
                Self::Text(text) => guarded(text.clone()),
                Self::Display(one, two) => guarded(format!("{one}{two}")),
                Self::Number(number) => number.to_string(),
                Self::Integer(number) => number.to_string(),
                Self::Empty => String::new(),
            }
        }
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            any::<String>().prop_map(Field::Text),
            "[-=+@\t\r\n\",'a]{0,6}".prop_map(Field::Text),
            ("[-=\t\r\n\",a]{0,3}", "[-=\t\r\n\",a]{0,3}").prop_map(|(one, two)| Field::Display(one, two)),
            any::<i128>().prop_map(Field::Number),
            any::<u64>().prop_map(Field::Integer),
            Just(Field::Empty),
        ]
    }

    proptest! {
        #[test]
        fn another_reader_reads_what_was_written(
            records in prop::collection::vec(prop::collection::vec(field(), 1..6), 0..4)
        ) {
            let mut out = String::new();
            for fields in &records {
                let mut record = RecordWriter::begin(&mut out).unwrap();
                for field in fields {
                    record = field.write(record).unwrap();
                }
                record.end().unwrap();
            }
            let expected: Vec<Vec<_>> =
                records.iter().map(|fields| fields.iter().map(Field::expected).collect()).collect();
            prop_assert_eq!(read(&out), expected);
        }
    }
}
