//! The lines of a log file, and which format they are in.
//!
//! [`Lines`] splits a file into physical lines; [`detect`] looks at the first of them and says what they are.

use core::fmt;

use crate::access_log::{self, LineBuffer};
use crate::csv;
use crate::token_log::{self, HeaderError, TokenLog};

/// The longest line that is read, in bytes without its line end.
pub const MAX_LINE_BYTES: usize = 8192;

/// The physical lines of a file. Lines end with LF or CR LF; a last line without either counts as well.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Lines<'a> {
    /// The lines of `content`.
    #[must_use]
    pub fn new(content: &'a [u8]) -> Self {
        // A byte-order mark is no part of the first line.
        Self { rest: content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content), number: 0 }
    }

    /// How many bytes have not been gone through yet.
    #[must_use]
    pub const fn remaining_bytes(&self) -> usize {
        self.rest.len()
    }
}

/// A physical line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, counted from 1.
    pub number: u64,
    /// Its bytes without the line end, or that there are more than [`MAX_LINE_BYTES`] of them.
    pub text: Result<&'a [u8], LineTooLong>,
}

impl Line<'_> {
    /// Whether there is nothing but white space in the line.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.text.is_ok_and(|text| text.trim_ascii().is_empty())
    }
}

/// A line is longer than [`MAX_LINE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    /// Its length in bytes, without its line end.
    pub bytes: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line of {} bytes is too long, expected at most {MAX_LINE_BYTES}", self.bytes)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text =
            if line.len() > MAX_LINE_BYTES { Err(LineTooLong { bytes: line.len() }) } else { Ok(line) };
        Some(Line { number: self.number, text })
    }
}

/// What the lines of a log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Access log lines, for [`access_log::parse`].
    AccessLog,
    /// Comma-separated values after a header, for [`TokenLog`].
    TokenCsv,
}

/// Why a file is not a log that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// There is nothing in the file, or nothing but blank lines.
    Empty,
    /// The file is compressed by gzip.
    Gzip,
    /// The file is not text.
    Binary,
    /// The lines are JSON.
    Json,
    /// The lines are comma-separated values, but not with the columns that are needed.
    Csv(HeaderError),
    /// None of the first lines is anything known.
    Unknown,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = match self {
            Self::Empty => return f.write_str("file is empty"),
            Self::Gzip => "a gzip file",
            Self::Binary => "a binary file",
            Self::Json => "JSON lines",
            Self::Csv(error) => return write!(f, "unsupported log: CSV, but {error}"),
            Self::Unknown => "text in no known format",
        };
        let [time, context, generated] = token_log::COLUMNS;
        write!(
            f,
            "unsupported log: {seen}, expected access log lines or CSV with columns {time}, {context}, {generated}"
        )
    }
}

/// Says what format a log is in. An access log may start with malformed lines: it is enough if one of its lines
/// parses. `buffer` is used while looking.
///
/// # Errors
/// What the file is instead, as far as can be seen.
pub fn detect(content: &[u8], buffer: &mut LineBuffer) -> Result<LogFormat, FormatError> {
    if content.starts_with(b"\x1f\x8b") {
        return Err(FormatError::Gzip);
    }
    let mut lines =
        Lines::new(content).filter(|line| !line.is_blank()).map(|line| line.text.unwrap_or_default());
    let first = lines.clone().next().ok_or(FormatError::Empty)?;
    let header = TokenLog::from_header(first);
    if header.is_ok() {
        return Ok(LogFormat::TokenCsv);
    }
    if lines.by_ref().any(|line| access_log::parse(line, buffer).is_ok()) {
        return Ok(LogFormat::AccessLog);
    }
    if is_binary(&content[..content.len().min(BINARY_PROBE_BYTES)]) {
        return Err(FormatError::Binary);
    }
    match (first.trim_ascii_start().first(), header) {
        (Some(b'{' | b'['), _) => Err(FormatError::Json),
        (_, Err(error)) if is_csv_header(first) => Err(FormatError::Csv(error)),
        _ => Err(FormatError::Unknown),
    }
}

const BINARY_PROBE_BYTES: usize = 4096;

/// Text holds no NUL, and few control characters beside white space and escape sequences.
fn is_binary(start: &[u8]) -> bool {
    let is_control =
        |byte: &&u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b'\x1b');
    start.contains(&0) || start.iter().filter(is_control).count() > start.len() / 8
}

/// Whether a line has several fields, and each starts like a name.
fn is_csv_header(line: &[u8]) -> bool {
    let is_name = |field: Result<csv::Field<'_>, _>| {
        field.is_ok_and(|field| {
            field.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        })
    };
    csv::fields(line).count() > 1 && csv::fields(line).all(is_name)
}

#[cfg(test)]
mod tests {
    use super::{FormatError, Line, LineTooLong, Lines, LogFormat, MAX_LINE_BYTES, detect};
    use crate::access_log::LineBuffer;
    use crate::token_log::HeaderError;
    use proptest::prelude::*;

    const ACCESS: &str = "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n";

    fn texts(content: &[u8]) -> Vec<&[u8]> {
        Lines::new(content).map(|line| line.text.unwrap()).collect()
    }

    fn format(content: impl AsRef<[u8]>) -> Result<LogFormat, FormatError> {
        detect(content.as_ref(), &mut LineBuffer::new())
    }

    #[test]
    fn lines_end_with_lf_or_cr_lf_or_the_file() {
        assert!(texts(b"").is_empty());
        assert_eq!(texts(b"a\nb\r\n\nc"), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(texts(b"a\n"), [b"a"]);
        assert_eq!(texts(b"\n"), [b""]);
        assert_eq!(texts(b"a\rb\r\r\n"), [b"a\rb\r"]);
        assert_eq!(Lines::new(b"a\nb").last().map(|line| line.number), Some(2));
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_and_not_merged() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        let content = [&b"a\n"[..], &longest, b"\r\n", &longest, b"y\nb"].concat();
        let lines: Vec<_> = Lines::new(&content).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], Line { number: 2, text: Ok(&longest) });
        assert_eq!(lines[2], Line { number: 3, text: Err(LineTooLong { bytes: MAX_LINE_BYTES + 1 }) });
        assert_eq!(lines[3], Line { number: 4, text: Ok(b"b") });
        assert!(!lines[2].is_blank());
    }

    #[test]
    fn access_logs_are_seen_behind_malformed_lines() {
        assert_eq!(format(ACCESS), Ok(LogFormat::AccessLog));
        assert_eq!(
            format(format!("\n \n{}{ACCESS}", "rotated, see below\n".repeat(100))),
            Ok(LogFormat::AccessLog)
        );
        assert_eq!(format(format!("\0\n{ACCESS}")), Ok(LogFormat::AccessLog));
        assert_eq!(format(format!("\u{feff}{ACCESS}")), Ok(LogFormat::AccessLog));
        assert_eq!(format("rotated\n".repeat(16)), Err(FormatError::Unknown));
        assert_eq!(format(format!("{}\n{ACCESS}", "x".repeat(9000))), Ok(LogFormat::AccessLog));
    }

    #[test]
    fn token_logs_are_seen_by_their_header() {
        assert_eq!(format("a,TIMESTAMP,GeneratedTokens,ContextTokens\r\n"), Ok(LogFormat::TokenCsv));
        let missing = FormatError::Csv(HeaderError::MissingColumn { column: "ContextTokens" });
        assert_eq!(format("TIMESTAMP,GeneratedTokens\n2023-11-16 18:17:03,1\n"), Err(missing));
        assert_eq!(missing.to_string(), "unsupported log: CSV, but no column ContextTokens in the header");
    }

    #[test]
    fn what_is_not_a_log_is_named() {
        assert_eq!(format(""), Err(FormatError::Empty));
        assert_eq!(format("\r\n \n\t"), Err(FormatError::Empty));
        assert_eq!(format("\x1f\u{8}"), Err(FormatError::Binary));
        assert_eq!(format(b"\x1f\x8b\x08\x00"), Err(FormatError::Gzip));
        assert_eq!(format([*b"\x7fELF"; 9].concat()), Err(FormatError::Binary));
        assert_eq!(format("{\"ip\":\"1.2.3.4\"}\n"), Err(FormatError::Json));
        assert_eq!(format("hello, world, 1\n"), Err(FormatError::Unknown));
        assert_eq!(
            FormatError::Json.to_string(),
            "unsupported log: JSON lines, expected access log lines or CSV with columns TIMESTAMP, \
             ContextTokens, GeneratedTokens"
        );
    }

    #[test]
    fn a_nul_far_into_a_log_does_not_make_it_binary() {
        assert_eq!(format(format!("{}\0\n", ACCESS.repeat(100))), Ok(LogFormat::AccessLog));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(content in "[ab\r\n]{0,40}") {
            let expected: Vec<_> = content
                .split_inclusive('\n')
                .map(|line| line.strip_suffix('\n').unwrap_or(line))
                .map(|line| line.strip_suffix('\r').unwrap_or(line).as_bytes())
                .collect();
            prop_assert_eq!(texts(content.as_bytes()), expected);
        }

        #[test]
        fn arbitrary_files_never_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = format(content);
        }
    }
}
