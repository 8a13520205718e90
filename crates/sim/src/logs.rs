//! A reader of traffic records: access logs in common or combined form, and traces in CSV.
//!
//! It reads for clarity: strings are copied, dates are counted year by year. The product's own reader is
//! tested against it.
//!
//! [`read`] tells the two forms apart; [`access::record`] and [`trace::record`] read one line each.

pub mod access;
pub mod date;
pub mod trace;

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

/// A line longer than this many bytes, without its end, is malformed.
pub const LINE_BYTES: usize = 8192;

/// One request as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When, in nanoseconds of UTC since 1970-01-01T00:00:00Z.
    pub time_ns: u64,
    /// The caller's address.
    pub ip: Option<IpAddr>,
    /// The caller's name.
    pub user: Option<String>,
    /// The method; empty if there was none.
    pub method: String,
    /// The path without its query; empty if there was none.
    pub path: String,
    /// The size of the answer.
    pub bytes: u64,
    /// The tokens of a request to a language model, in and out together.
    pub tokens: u64,
    /// Those of them that were generated.
    pub output_tokens: u64,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// All lines, blank ones and a header included.
    pub lines: u64,
    /// The numbers of lines that are neither records, nor blank, nor a header; the first line is 1.
    pub malformed: Vec<u64>,
    /// The records with the numbers of their lines.
    pub records: Vec<(u64, Record)>,
}

/// Reads a whole file. It is a trace if its first line that is not blank names the columns of one.
#[must_use]
pub fn read(content: &[u8]) -> Log {
    let mut log = Log::default();
    let mut columns = None;
    let mut first = true;
    for line in lines(content) {
        log.lines += 1;
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            continue;
        }
        if std::mem::take(&mut first) {
            columns = trace::columns(&text);
            if columns.is_some() {
                continue;
            }
        }
        let record = match &columns {
            _ if line.len() > LINE_BYTES => None,
            Some(columns) => trace::record(columns, &text),
            None => access::record(&text),
        };
        match record {
            Some(record) => log.records.push((log.lines, record)),
            None => log.malformed.push(log.lines),
        }
    }
    log
}

/// The lines without their ends, LF or CR LF. What follows the last end is a line if it is not empty.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    if lines.last() == Some(&&b""[..]) {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

/// The value of a string of one or more decimal digits.
fn number(digits: &str) -> Option<u64> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// A log of real traffic, from the folder that `WEIR_DATA` names or that lies beside this checkout. None, and a line
/// that says that a test is skipped, where it is not there.
#[must_use]
pub fn real_log(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var("WEIR_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
    let path = Path::new(&folder).join(name);
    match std::fs::read(&path) {
        Ok(content) => Some(content),
        Err(error) => {
            // Not `println!`, which the test runner shows only of tests that fail.
            let _ = writeln!(std::io::stderr(), "skipped: {}: {error}", path.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, number, read};

    const LINE: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5"#;

    #[test]
    fn all_physical_lines_count_and_blank_ones_are_not_malformed() {
        let log = read(format!("{LINE}\r\n\r\n \nnonsense\n{LINE}").as_bytes());
        assert_eq!(log.lines, 5);
        assert_eq!(log.malformed, [4]);
        assert_eq!(log.records.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(read(b"").lines, 0);
        assert_eq!(read(b"\n").lines, 1);
        assert_eq!(read(format!("{LINE}\n").as_bytes()).lines, 1);
    }

    #[test]
    fn a_header_is_a_line_but_neither_record_nor_malformed() {
        let log =
            read(b"\nGeneratedTokens,TIMESTAMP,ContextTokens\n10,2023-11-16 18:17:03.9799600,4808\nx\n");
        assert_eq!((log.lines, log.malformed), (4, vec![4]));
        assert_eq!(log.records.len(), 1);
        assert_eq!(log.records[0].0, 3);
        assert_eq!((log.records[0].1.tokens, log.records[0].1.output_tokens), (4818, 10));
        assert_eq!(log.records[0].1.time_ns % 1_000_000_000, 979_960_000);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_bound_and_no_longer() {
        let fits = format!("{LINE} {}", "x".repeat(LINE_BYTES - LINE.len() - 1));
        let log = read(format!("{fits}\r\n{fits}x\n").as_bytes());
        assert_eq!((log.records.len(), log.malformed), (1, vec![2]));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stop_a_reading() {
        let mut content = LINE.as_bytes().to_vec();
        content.extend_from_slice(b" \"\xff\xfe\"\n\xff\x00\n");
        let log = read(&content);
        assert_eq!((log.records.len(), log.malformed), (1, vec![2]));
    }

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!(number("0018446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", "1 ", "18446744073709551616", "0x1", "1.0"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }
}
