//! Writes JSON, one object a line.
//!
//! [`ObjectWriter`] writes the members as they are given, so the order of the calls is the order of the line:
//!
//! ```
//! use governance::export::ObjectWriter;
//! let mut line = String::new();
//! ObjectWriter::begin(&mut line)?.string("limit", "ip:*")?.integer("allowed", 60)?.end()?;
//! assert_eq!(line, "{\"limit\":\"ip:*\",\"allowed\":60}\n");
//! # Ok::<(), core::fmt::Error>(())
//! ```
//!
//! Every method hands the sink's error on. Format: RFC 8259, with the line breaks of JSON Lines.

use core::fmt::{self, Write};

use crate::time::{NANOS_PER_SECOND, Nanos};

/// An object that is being written. Dropping it before [`ObjectWriter::end`] leaves it open in the sink.
#[derive(Debug)]
#[must_use = "an object is complete only after `end`"]
pub struct ObjectWriter<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    empty: bool,
}

impl<'w, W: Write + ?Sized> ObjectWriter<'w, W> {
    /// Opens an object.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(sink: &'w mut W) -> Result<Self, fmt::Error> {
        sink.write_char('{')?;
        Ok(Self { sink, empty: true })
    }

    /// Writes a text.
    ///
    /// # Errors
    /// The sink's.
    pub fn string(mut self, key: &str, value: &str) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write_string(self.sink, value.as_bytes())?;
        Ok(self)
    }

    /// Writes bytes that should be text. What is not UTF-8 is replaced by U+FFFD.
    ///
    /// # Errors
    /// The sink's.
    pub fn bytes(mut self, key: &str, value: &[u8]) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write_string(self.sink, value)?;
        Ok(self)
    }

    /// Writes what a value prints as a text.
    ///
    /// # Errors
    /// The sink's, or the value's.
    pub fn display(mut self, key: &str, value: impl fmt::Display) -> Result<Self, fmt::Error> {
        self.key(key)?;
        self.sink.write_char('"')?;
        write!(Escaping { sink: self.sink }, "{value}")?;
        self.sink.write_char('"')?;
        Ok(self)
    }

    /// Writes an integer that is not negative.
    ///
    /// # Errors
    /// The sink's.
    pub fn integer(mut self, key: &str, value: u64) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write!(self.sink, "{value}")?;
        Ok(self)
    }

    /// Writes an integer that may be negative. What can be larger than 2^53, as sums of money can, is better written as
    /// a text: many readers keep numbers as floating point.
    ///
    /// # Errors
    /// The sink's.
    pub fn number(mut self, key: &str, value: i64) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write!(self.sink, "{value}")?;
        Ok(self)
    }

    /// Writes a length of time in seconds, exactly: with as many decimals as it takes, up to nine.
    ///
    /// # Errors
    /// The sink's.
    pub fn seconds(mut self, key: &str, value: Nanos) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write!(self.sink, "{}", value.0 / NANOS_PER_SECOND)?;
        let (mut fraction, mut digits) = (value.0 % NANOS_PER_SECOND, 9);
        if fraction > 0 {
            while fraction.is_multiple_of(10) {
                fraction /= 10;
                digits -= 1;
            }
            write!(self.sink, ".{fraction:0digits$}")?;
        }
        Ok(self)
    }

    /// Writes `true` or `false`.
    ///
    /// # Errors
    /// The sink's.
    pub fn boolean(mut self, key: &str, value: bool) -> Result<Self, fmt::Error> {
        self.key(key)?;
        write!(self.sink, "{value}")?;
        Ok(self)
    }

    /// Writes `null`.
    ///
    /// # Errors
    /// The sink's.
    pub fn null(mut self, key: &str) -> Result<Self, fmt::Error> {
        self.key(key)?;
        self.sink.write_str("null")?;
        Ok(self)
    }

    /// Writes a text, or `null` if there is none.
    ///
    /// # Errors
    /// The sink's.
    pub fn optional_string(self, key: &str, value: Option<&str>) -> Result<Self, fmt::Error> {
        match value {
            Some(value) => self.string(key, value),
            None => self.null(key),
        }
    }

    /// Writes an integer, or `null` if there is none.
    ///
    /// # Errors
    /// The sink's.
    pub fn optional_integer(self, key: &str, value: Option<u64>) -> Result<Self, fmt::Error> {
        match value {
            Some(value) => self.integer(key, value),
            None => self.null(key),
        }
    }

    /// Closes the object and ends the line.
    ///
    /// # Errors
    /// The sink's.
    pub fn end(self) -> fmt::Result {
        self.sink.write_str("}\n")
    }

    fn key(&mut self, key: &str) -> fmt::Result {
        if !self.empty {
            self.sink.write_char(',')?;
        }
        self.empty = false;
        write_string(self.sink, key.as_bytes())?;
        self.sink.write_char(':')
    }
}

/// Escapes what goes through it for the inside of a JSON string.
struct Escaping<'w, W: Write + ?Sized> {
    sink: &'w mut W,
}

impl<W: Write + ?Sized> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Of the control characters, a reader minds those below the blank, and a terminal the others as well.
        let is_special = |c: char| matches!(c, '"' | '\\') || c.is_control();
        while let Some((at, special)) = rest.char_indices().find(|(_, c)| is_special(*c)) {
            self.sink.write_str(&rest[..at])?;
            match special {
                '"' => self.sink.write_str("\\\"")?,
                '\\' => self.sink.write_str("\\\\")?,
                '\n' => self.sink.write_str("\\n")?,
                '\r' => self.sink.write_str("\\r")?,
                '\t' => self.sink.write_str("\\t")?,
                _ => write!(self.sink, "\\u{:04x}", u32::from(special))?,
            }
            rest = &rest[at + special.len_utf8()..];
        }
        self.sink.write_str(rest)
    }
}

fn write_string<W: Write + ?Sized>(sink: &mut W, text: &[u8]) -> fmt::Result {
    sink.write_char('"')?;
    for chunk in text.utf8_chunks() {
        Escaping { sink }.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            sink.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    sink.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::ObjectWriter;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Json {
        Null,
        Boolean(bool),
        Number(i128),
        Text(String),
    }

    /// A parser of flat objects that knows nothing of the writer: RFC 8259 letter by letter.
    struct Parser<'a>(std::iter::Peekable<std::str::Chars<'a>>);

    impl Parser<'_> {
        fn object(line: &str) -> Vec<(String, Json)> {
            let mut parser = Parser(line.chars().peekable());
            let mut members = Vec::new();
            parser.expect('{');
            while parser.0.peek() != Some(&'}') {
                if !members.is_empty() {
                    parser.expect(',');
                }
                let key = parser.text();
                parser.expect(':');
                members.push((key, parser.value()));
            }
            parser.expect('}');
            parser.expect('\n');
            assert_eq!(parser.0.next(), None);
            members
        }

        fn expect(&mut self, expected: char) {
            assert_eq!(self.0.next(), Some(expected));
        }

        fn value(&mut self) -> Json {
            if self.0.peek() == Some(&'"') {
                return Json::Text(self.text());
            }
            let mut word = String::new();
            while let Some(c) = self.0.next_if(|c| !matches!(c, ',' | '}')) {
                word.push(c);
            }
            match word.as_str() {
                "null" => Json::Null,
                "true" => Json::Boolean(true),
                "false" => Json::Boolean(false),
                number => Json::Number(number.parse().unwrap()),
            }
        }

        fn text(&mut self) -> String {
            self.expect('"');
            let mut text = String::new();
            loop {
                match self.0.next().unwrap() {
                    '"' => return text,
                    '\\' => text.push(match self.0.next().unwrap() {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let digits: String = self.0.by_ref().take(4).collect();
                            char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                        }
                        c @ ('"' | '\\' | '/') => c,
                        c => panic!("no such escape: {c}"),
                    }),
                    c => {
                        assert!(c >= ' ', "control character in a string");
                        text.push(c);
                    }
                }
            }
        }
    }

    #[test]
    fn members_come_in_the_order_of_the_calls() {
        let mut line = String::new();
        ObjectWriter::begin(&mut line)
            .and_then(|object| object.string("s", "a\"b\\c\n\u{1}\u{2028}é"))
            .and_then(|object| object.bytes("b", b"/\xe4\xff/\xc3\xa9\xc3"))
            .and_then(|object| object.display("d", format_args!("{}\"{}", 1, 2)))
            .and_then(|object| object.integer("u", u64::MAX))
            .and_then(|object| object.number("i", i64::MIN))
            .and_then(|object| object.boolean("t", true))
            .and_then(|object| object.null("n"))
            .and_then(|object| object.optional_string("os", Some("x")))
            .and_then(|object| object.optional_integer("oi", None))
            .and_then(ObjectWriter::end)
            .unwrap();
        assert_eq!(
            line,
            concat!(
                r#"{"s":"a\"b\\c\n\u0001"#,
                "\u{2028}",
                r#"é","b":"/"#,
                "\u{fffd}\u{fffd}/é\u{fffd}",
                r#"","d":"1\"2","u":18446744073709551615,"i":-9223372036854775808,"t":true,"n":null,"os":"x","oi":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_text_cannot_drive_a_terminal() {
        let mut line = String::new();
        let object = ObjectWriter::begin(&mut line).unwrap();
        object.string("s", "\u{1b}[2J\u{7f}\u{9b}").unwrap().end().unwrap();
        assert_eq!(line, "{\"s\":\"\\u001b[2J\\u007f\\u009b\"}\n");
    }

    #[test]
    fn an_empty_object_is_a_line() {
        let mut line = String::new();
        ObjectWriter::begin(&mut line).and_then(ObjectWriter::end).unwrap();
        assert_eq!(line, "{}\n");
    }

    #[test]
    fn a_failing_sink_is_reported() {
        struct Full;
        impl std::fmt::Write for Full {
            fn write_str(&mut self, _: &str) -> std::fmt::Result {
                Err(std::fmt::Error)
            }
        }
        assert!(ObjectWriter::begin(&mut Full).is_err());
    }

    fn value() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Boolean),
            any::<u64>().prop_map(|value| Json::Number(value.into())),
            any::<i64>().prop_map(|value| Json::Number(value.into())),
            any::<String>().prop_map(Json::Text),
            "[\"\\\\\u{0}-\u{1f}\u{7f}\u{2028}a]{0,8}".prop_map(Json::Text),
        ]
    }

    proptest! {
        #[test]
        fn another_parser_reads_what_was_written(members in prop::collection::vec((any::<String>(), value()), 0..6)) {
            let mut line = String::new();
            let mut object = ObjectWriter::begin(&mut line).unwrap();
            for (key, value) in &members {
                object = match value {
                    Json::Null => object.null(key),
                    Json::Boolean(value) => object.boolean(key, *value),
                    Json::Number(value) if *value < 0 => object.number(key, i64::try_from(*value).unwrap()),
                    Json::Number(value) => object.integer(key, u64::try_from(*value).unwrap()),
                    Json::Text(value) => object.string(key, value),
                }.unwrap();
            }
            object.end().unwrap();
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert_eq!(Parser::object(&line), members);
        }

        #[test]
        fn bytes_are_written_as_the_standard_library_would_read_them(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut line = String::new();
            ObjectWriter::begin(&mut line).unwrap().bytes("k", &value).unwrap().end().unwrap();
            let expected = Json::Text(String::from_utf8_lossy(&value).into_owned());
            prop_assert_eq!(Parser::object(&line), [("k".to_owned(), expected)]);
        }
    }
}
