//! Splitting a command line into words.
//!
//! A line is `noun verb key=value … --flag`, words being separated by blanks. Double quotes hold blanks
//! together, anywhere in a word: `name="a b"` and `"a b"`; inside them `\"` is a quote and `\\` a
//! backslash, and any other backslash is itself. An `=` or a leading `--` that is quoted is plain text, so
//! every string can be written as one plain word: [`Quoted`] does.
//!
//! [`Words`] owns the decoded text; the command table ([`crate::command`]) and Tab completion
//! ([`crate::complete`]) both read lines through it.

use core::fmt;

/// The most bytes in a line.
pub const MAX_LINE_BYTES: usize = 512;
/// The most words in a line.
pub const MAX_WORDS: usize = 32;

/// The words of one line, decoded.
///
/// ```
/// use shell::words::Words;
/// let words = Words::parse(r#"ratelimit add name="front page" --json"#).unwrap();
/// assert_eq!(words.get(2).unwrap().key_value(), Some(("name", "front page")));
/// assert_eq!(words.get(3).unwrap().flag(), Some("json"));
/// ```
#[derive(Clone, Debug)]
pub struct Words {
    text: heapless::String<MAX_LINE_BYTES>,
    entries: heapless::Vec<Entry, MAX_WORDS>,
}

/// Where a word stands in the decoded text, and where it came from in the line. Offsets are in bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    end: usize,
    source: usize,
    equals: Option<Equals>,
    starts_quoted: bool,
}

/// The first `=` of a word that is not quoted.
#[derive(Clone, Copy, Debug)]
struct Equals {
    text: usize,
    source: usize,
}

impl Words {
    /// Splits `line`.
    ///
    /// # Errors
    /// A line or a number of words that is too long, and a quote that is not closed.
    pub fn parse(line: &str) -> Result<Self, WordsError> {
        match Self::scan(line)? {
            (_, State::Quoted { column } | State::Escaped { column }) => {
                Err(WordsError::UnterminatedQuote { column })
            }
            (words, State::Between | State::Bare) => Ok(words),
        }
    }

    /// Splits the beginning of a line that is still being typed: the last word is the one being typed, is
    /// empty after a blank, and may have an open quote.
    pub(crate) fn parse_unfinished(line: &str) -> Result<Self, WordsError> {
        let (mut words, state) = Self::scan(line)?;
        if matches!(state, State::Between) {
            words.open(line.len(), false)?;
        }
        Ok(words)
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the line was blank.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The `index`th word, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Word<'_>> {
        let entry = *self.entries.get(index)?;
        Some(Word { text: self.text.get(entry.start..entry.end)?, entry })
    }

    /// The words in the order in which they were typed.
    pub fn iter(&self) -> impl Iterator<Item = Word<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn scan(line: &str) -> Result<(Self, State), WordsError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(WordsError::LineTooLong { bytes: line.len() });
        }
        let mut words = Self { text: heapless::String::new(), entries: heapless::Vec::new() };
        let mut state = State::Between;
        for (index, (offset, c)) in line.char_indices().enumerate() {
            let column = index + 1;
            state = match (state, c) {
                (State::Between | State::Bare, c) if c.is_whitespace() => State::Between,
                (State::Between, '"') => {
                    words.open(offset, true)?;
                    State::Quoted { column }
                }
                (State::Between, c) => {
                    words.open(offset, false)?;
                    words.push_bare(c, offset);
                    State::Bare
                }
                (State::Bare, '"') => State::Quoted { column },
                (State::Bare, c) => {
                    words.push_bare(c, offset);
                    State::Bare
                }
                (State::Quoted { .. }, '"') => State::Bare,
                (State::Quoted { column }, '\\') => State::Escaped { column },
                (State::Quoted { .. }, c) => {
                    words.push(c);
                    state
                }
                (State::Escaped { column }, c) => {
                    if c != '"' && c != '\\' {
                        words.push('\\');
                    }
                    words.push(c);
                    State::Quoted { column }
                }
            };
        }
        Ok((words, state))
    }

    fn open(&mut self, source: usize, starts_quoted: bool) -> Result<(), WordsError> {
        let at = self.text.len();
        let entry = Entry { start: at, end: at, source, equals: None, starts_quoted };
        self.entries.push(entry).map_err(|_| WordsError::TooManyWords)
    }

    fn push_bare(&mut self, c: char, offset: usize) {
        let text = self.text.len();
        if let Some(entry) = self.entries.last_mut()
            && c == '='
            && entry.equals.is_none()
        {
            entry.equals = Some(Equals { text: text - entry.start, source: offset });
        }
        self.push(c);
    }

    fn push(&mut self, c: char) {
        // Always fits: decoded text is never longer than the line, whose length was checked.
        if self.text.push(c).is_ok()
            && let Some(entry) = self.entries.last_mut()
        {
            entry.end = self.text.len();
        }
    }
}

/// A word: `plain`, `key=value` or `--flag`.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    text: &'a str,
    entry: Entry,
}

impl<'a> Word<'a> {
    /// The whole word, decoded.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The key and the value of a `key=value` word. The value may be empty, the key is not.
    #[must_use]
    pub fn key_value(&self) -> Option<(&'a str, &'a str)> {
        let equals = self.entry.equals?.text;
        let (key, value) = (self.text.get(..equals)?, self.text.get(equals + 1..)?);
        (!key.is_empty() && self.flag().is_none()).then_some((key, value))
    }

    /// The name of a `--flag`, without the dashes.
    #[must_use]
    pub fn flag(&self) -> Option<&'a str> {
        if self.entry.starts_quoted { None } else { self.text.strip_prefix("--") }
    }

    /// The text of a word that is neither `key=value` nor a flag.
    #[must_use]
    pub fn plain(&self) -> Option<&'a str> {
        (self.key_value().is_none() && self.flag().is_none()).then_some(self.text)
    }

    /// Where the word starts in the line, quotes included, in bytes.
    pub(crate) fn source_start(&self) -> usize {
        self.entry.source
    }

    /// Where the value of a `key=value` word starts in the line, quotes included, in bytes.
    pub(crate) fn source_value_start(&self) -> usize {
        self.entry.equals.map_or(self.entry.source, |equals| equals.source + 1)
    }
}

/// Why a line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// A double quote was opened and not closed.
    UnterminatedQuote {
        /// The column of the opening quote, in characters from 1.
        column: usize,
    },
    /// More than [`MAX_WORDS`] words.
    TooManyWords,
    /// More than [`MAX_LINE_BYTES`] bytes.
    LineTooLong {
        /// The length of the line in bytes.
        bytes: usize,
    },
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnterminatedQuote { column } => {
                write!(f, "the double quote at column {column} is not closed")
            }
            Self::TooManyWords => write!(f, "a line holds at most {MAX_WORDS} words"),
            Self::LineTooLong { bytes } => {
                write!(f, "the line has {bytes} bytes, and at most {MAX_LINE_BYTES} are accepted")
            }
        }
    }
}

impl core::error::Error for WordsError {}

/// Prints a string as one plain word, in quotes only where it needs them.
///
/// ```
/// use shell::words::Quoted;
/// assert_eq!(Quoted("ip:*").to_string(), "ip:*");
/// assert_eq!(Quoted("front page").to_string(), r#""front page""#);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open_quote = write_beginning(self.0, f)?;
        f.write_str(if open_quote { "\"" } else { "" })
    }
}

/// Writes the beginning of a word as [`Quoted`] would, and answers whether a quote is open after it.
pub(crate) fn write_beginning(text: &str, out: &mut dyn fmt::Write) -> Result<bool, fmt::Error> {
    let special = |c: char| c.is_whitespace() || c == '"' || c == '=';
    if !(text.is_empty() || text.starts_with("--") || text.contains(special)) {
        out.write_str(text)?;
        return Ok(false);
    }
    out.write_char('"')?;
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.write_char('\\')?;
        }
        out.write_char(c)?;
    }
    Ok(true)
}

#[derive(Clone, Copy)]
enum State {
    Between,
    Bare,
    Quoted { column: usize },
    Escaped { column: usize },
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINE_BYTES, MAX_WORDS, Quoted, Words, WordsError};
    use proptest::prelude::*;

    fn texts(line: &str) -> Vec<String> {
        Words::parse(line).unwrap().iter().map(|word| word.as_str().to_string()).collect()
    }

    #[test]
    fn blanks_separate_and_quotes_hold_together() {
        assert_eq!(texts("  ls \t x  "), ["ls", "x"]);
        assert_eq!(texts(r#"show "a b" name="c d"e"#), ["show", "a b", "name=c de"]);
        assert_eq!(texts(r#""say \"hi\" \\ \n" a\b"#), [r#"say "hi" \ \n"#, r"a\b"]);
        assert_eq!(texts(r#""" x"#), ["", "x"]);
        assert!(Words::parse(" \t ").unwrap().is_empty());
    }

    #[test]
    fn a_word_is_plain_or_a_key_with_a_value_or_a_flag() {
        let words = Words::parse(r#"a=b=c key= =x "a=b" --json "--json" --a=b a"="b"#).unwrap();
        let kinds: Vec<_> =
            words.iter().map(|word| (word.key_value(), word.flag(), word.plain().is_some())).collect();
        assert_eq!(
            kinds,
            [
                (Some(("a", "b=c")), None, false),
                (Some(("key", "")), None, false),
                (None, None, true),
                (None, None, true),
                (None, Some("json"), false),
                (None, None, true),
                (None, Some("a=b"), false),
                (None, None, true),
            ]
        );
    }

    #[test]
    fn an_open_quote_is_reported_where_it_was_opened() {
        let error = Words::parse("é \"a b").unwrap_err();
        assert_eq!(error, WordsError::UnterminatedQuote { column: 3 });
        assert_eq!(error.to_string(), "the double quote at column 3 is not closed");
        assert_eq!(Words::parse(r#"x "\"#).unwrap_err(), WordsError::UnterminatedQuote { column: 3 });
    }

    #[test]
    fn limits_are_exact() {
        assert_eq!(Words::parse(&"x ".repeat(MAX_WORDS)).unwrap().len(), MAX_WORDS);
        assert_eq!(Words::parse(&"x ".repeat(MAX_WORDS + 1)).unwrap_err(), WordsError::TooManyWords);
        assert!(Words::parse(&"x".repeat(MAX_LINE_BYTES)).is_ok());
        let bytes = MAX_LINE_BYTES + 1;
        assert_eq!(Words::parse(&"x".repeat(bytes)).unwrap_err(), WordsError::LineTooLong { bytes });
    }

    #[test]
    fn an_unfinished_line_ends_in_the_word_being_typed() {
        for (line, last, start) in [("", "", 0), ("ls ", "", 3), ("ls a", "a", 3), (r#"ls "a b"#, "a b", 3)] {
            let words = Words::parse_unfinished(line).unwrap();
            let word = words.get(words.len() - 1).unwrap();
            assert_eq!((word.as_str(), word.source_start()), (last, start), "{line:?}");
        }
        let words = Words::parse_unfinished(r#"x é="a b"#).unwrap();
        let word = words.get(1).unwrap();
        assert_eq!((word.key_value(), word.source_value_start()), (Some(("é", "a b")), 5));
    }

    proptest! {
        #[test]
        fn a_quoted_string_reads_back_as_one_plain_word(text in r#"[-a-c=" \\\té]{0,12}"#) {
            let line = format!("x {} y", Quoted(&text));
            let words = Words::parse(&line).unwrap();
            prop_assert_eq!(words.len(), 3);
            prop_assert_eq!(words.get(1).unwrap().plain(), Some(text.as_str()));
        }

        #[test]
        fn no_line_panics(line in "[ab=\"\\\\ é-]{0,80}") {
            let _ = Words::parse(&line);
            let words = Words::parse_unfinished(&line);
            if let Ok(words) = words {
                prop_assert!(words.iter().all(|word| line.get(word.source_value_start()..).is_some()));
            }
        }
    }
}
