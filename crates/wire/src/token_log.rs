//! Reads a log of LLM requests: comma-separated values with a header line.
//!
//! [`TokenLog`] finds the [`COLUMNS`] that it needs by their names, in whatever order they stand and whatever else
//! there is, then reads one [`TokenRecord`] a line.
//!
//! Format: Azure public dataset, LLM inference traces.

use core::fmt;

use governance::time::{CivilDate, TimeOfDay, WallTime};

use crate::csv::{self, CsvError};
use crate::digits::{decimal, small_decimal};

/// The columns that a log must have.
pub const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// Where the columns of a log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLog {
    /// In the order of [`COLUMNS`].
    positions: [usize; 3],
}

/// A request to a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// When the request came, in UTC.
    pub time: WallTime,
    /// The tokens that it took: those of its context and those generated.
    pub tokens: u64,
    /// Those of them that were generated.
    pub output_tokens: u64,
}

impl TokenLog {
    /// Reads a header line, given without its line end. A UTF-8 byte order mark before it is skipped.
    ///
    /// # Errors
    /// Names the first of the [`COLUMNS`] that the header does not have, or has twice.
    pub fn from_header(line: &[u8]) -> Result<Self, HeaderError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let mut positions = [None; COLUMNS.len()];
        for (index, field) in csv::fields(line).enumerate() {
            let field = field.map_err(HeaderError::Csv)?;
            for (position, column) in positions.iter_mut().zip(COLUMNS) {
                if field.equals(column.as_bytes()) && position.replace(index).is_some() {
                    return Err(HeaderError::DuplicateColumn { column });
                }
            }
        }
        let mut found = [0; COLUMNS.len()];
        for ((found, position), column) in found.iter_mut().zip(positions).zip(COLUMNS) {
            *found = position.ok_or(HeaderError::MissingColumn { column })?;
        }
        Ok(Self { positions: found })
    }

    /// Reads one line after the header, given without its line end.
    ///
    /// # Errors
    /// What is wrong with the first of the [`COLUMNS`] that does not parse.
    pub fn record(&self, line: &[u8]) -> Result<TokenRecord, RecordError> {
        let mut texts = [None; COLUMNS.len()];
        for (index, field) in csv::fields(line).enumerate() {
            let field = field.map_err(RecordError::Csv)?;
            for (text, position) in texts.iter_mut().zip(self.positions) {
                if position == index {
                    // A doubled quote is in no number and in no time.
                    *text = Some(field.plain().unwrap_or(b"\""));
                }
            }
        }
        let text = |which: usize| texts[which].ok_or(RecordError::MissingField { column: COLUMNS[which] });
        let time = parse_time(text(0)?).ok_or(RecordError::Time)?;
        let count =
            |which: usize| decimal(text(which)?).ok_or(RecordError::Number { column: COLUMNS[which] });
        let (context, output_tokens) = (count(1)?, count(2)?);
        let tokens = context.checked_add(output_tokens).ok_or(RecordError::TooManyTokens)?;
        Ok(TokenRecord { time, tokens, output_tokens })
    }
}

/// Why a line is not the header of such a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The line is not comma-separated values.
    Csv(CsvError),
    /// A column is missing.
    MissingColumn {
        /// Its name.
        column: &'static str,
    },
    /// Two columns have the same name.
    DuplicateColumn {
        /// Their name.
        column: &'static str,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(error) => error.fmt(f),
            Self::MissingColumn { column } => write!(f, "no column {column} in the header"),
            Self::DuplicateColumn { column } => write!(f, "column {column} is in the header twice"),
        }
    }
}

/// Why a line is not a record of such a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The line is not comma-separated values.
    Csv(CsvError),
    /// The line ends before a column.
    MissingField {
        /// The column's name.
        column: &'static str,
    },
    /// The time does not parse.
    Time,
    /// A count does not parse.
    Number {
        /// The column's name.
        column: &'static str,
    },
    /// The tokens together are more than can be counted.
    TooManyTokens,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(error) => error.fmt(f),
            Self::MissingField { column } => write!(f, "line ends before column {column}"),
            Self::Time => {
                write!(f, "{} is not a time, expected 2023-11-16 18:17:03 with up to 9 decimals", COLUMNS[0])
            }
            Self::Number { column } => {
                write!(f, "{column} is not a count, expected digits, at most {}", u64::MAX)
            }
            Self::TooManyTokens => write!(f, "too many tokens together, expected at most {}", u64::MAX),
        }
    }
}

/// Reads `2023-11-16 18:17:03.9799600`, UTC, with no or 1 to 9 decimals.
fn parse_time(text: &[u8]) -> Option<WallTime> {
    let (text, decimals) = text.split_first_chunk::<19>()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| text[*at] != *separator) {
        return None;
    }
    let date = CivilDate {
        year: small_decimal(&text[..4])?,
        month: small_decimal(&text[5..7])?,
        day: small_decimal(&text[8..10])?,
    };
    let time = TimeOfDay {
        hour: small_decimal(&text[11..13])?,
        minute: small_decimal(&text[14..16])?,
        second: small_decimal(&text[17..19])?,
        nanos: nanos(decimals)?,
    };
    WallTime::from_civil(date, time)
}

/// The nanoseconds of `.97996`; zero if there are no decimals.
fn nanos(decimals: &[u8]) -> Option<u32> {
    if decimals.is_empty() {
        return Some(0);
    }
    let digits = decimals.strip_prefix(b".")?;
    let missing = 9_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    Some(small_decimal::<u32>(digits)? * 10_u32.pow(missing))
}

#[cfg(test)]
mod tests {
    use super::{HeaderError, RecordError, TokenLog};
    use crate::csv::CsvError;
    use governance::time::WallTime;
    use proptest::prelude::*;

    const HEADER: &[u8] = b"TIMESTAMP,ContextTokens,GeneratedTokens";

    fn time(text: &str) -> Result<String, RecordError> {
        let line = format!("{text},1,2");
        TokenLog::from_header(HEADER).unwrap().record(line.as_bytes()).map(|record| record.time.to_string())
    }

    #[test]
    fn tokens_are_those_of_the_context_and_those_generated() {
        let log = TokenLog::from_header(HEADER).unwrap();
        let record = log.record(b"2023-11-16 18:17:03.9799600,4808,10").unwrap();
        assert_eq!((record.tokens, record.output_tokens), (4818, 10));
        assert_eq!(record.time, WallTime(1_700_158_623_979_960_000));
    }

    #[test]
    fn columns_go_by_name() {
        let log =
            TokenLog::from_header(b"\xef\xbb\xbfx,GeneratedTokens,\"TIMESTAMP\",y,ContextTokens").unwrap();
        let record = log.record(b"\"a,b\",1,\"1970-01-01 00:00:01\",,2,more").unwrap();
        assert_eq!((record.time, record.tokens, record.output_tokens), (WallTime(1_000_000_000), 3, 1));
    }

    #[test]
    fn a_header_without_a_column_is_refused_by_its_name() {
        let missing = HeaderError::MissingColumn { column: "GeneratedTokens" };
        assert_eq!(TokenLog::from_header(b"TIMESTAMP,ContextTokens,generatedtokens"), Err(missing));
        assert_eq!(missing.to_string(), "no column GeneratedTokens in the header");
        assert_eq!(TokenLog::from_header(b""), Err(HeaderError::MissingColumn { column: "TIMESTAMP" }));
        let twice = TokenLog::from_header(b"TIMESTAMP,ContextTokens,GeneratedTokens,TIMESTAMP");
        assert_eq!(twice, Err(HeaderError::DuplicateColumn { column: "TIMESTAMP" }));
        let open = TokenLog::from_header(b"\"TIMESTAMP");
        assert_eq!(open, Err(HeaderError::Csv(CsvError::QuoteNotClosed { column: 1 })));
    }

    #[test]
    fn the_first_bad_column_is_named() {
        let log = TokenLog::from_header(HEADER).unwrap();
        for (line, error) in [
            ("", RecordError::Time),
            ("2023-11-16 18:17:03,1", RecordError::MissingField { column: "GeneratedTokens" }),
            ("2023-11-16 18:17:03,1,", RecordError::Number { column: "GeneratedTokens" }),
            ("2023-11-16 18:17:03,-1,2", RecordError::Number { column: "ContextTokens" }),
            ("2023-11-16 18:17:03,1.5,2", RecordError::Number { column: "ContextTokens" }),
            ("2023-11-16 18:17:03,\"1\"\"\",2", RecordError::Number { column: "ContextTokens" }),
            ("2023-11-16 18:17:03,18446744073709551615,1", RecordError::TooManyTokens),
            ("2023-11-16 18:17:03,1,\"2", RecordError::Csv(CsvError::QuoteNotClosed { column: 3 })),
        ] {
            assert_eq!(log.record(line.as_bytes()), Err(error), "{line}");
        }
    }

    #[test]
    fn times_have_up_to_nine_decimals() {
        assert_eq!(time("2023-11-16 18:17:03").unwrap(), "2023-11-16T18:17:03Z");
        assert_eq!(time("2023-11-16 18:17:03.5").unwrap(), "2023-11-16T18:17:03.5Z");
        assert_eq!(time("2023-11-16 18:17:03.000000001").unwrap(), "2023-11-16T18:17:03.000000001Z");
        for bad in [
            "2023-11-16 18:17:03.0000000001",
            "2023-11-16 18:17:03.",
            "2023-11-16 18:17:03.-5",
            "2023-11-16 18:17:03Z",
            "2023-11-16T18:17:03",
            "2023-11-31 18:17:03",
            "2023-11-16 24:17:03",
            "2023-1-16 18:17:03",
            "1969-12-31 23:59:59",
            "",
        ] {
            assert_eq!(time(bad), Err(RecordError::Time), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn times_are_kept_to_the_nanosecond(wall in 0..16_725_225_600_000_000_000_u64, digits in 0_u32..=9) {
            let unit = 10_u64.pow(9 - digits);
            let wall = WallTime(wall / unit * unit);
            // RFC 3339 as the calendar's own tests know it, with a space for the T and without the Z.
            let text = wall.to_string().replace('T', " ").replace('Z', "");
            prop_assert_eq!(time(&text), Ok(wall.to_string()));
        }

        #[test]
        fn arbitrary_lines_never_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = TokenLog::from_header(&line);
            let _ = TokenLog::from_header(HEADER).unwrap().record(&line);
        }
    }
}
