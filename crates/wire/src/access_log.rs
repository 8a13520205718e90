//! Reads one line of an access log in the common or the combined format.
//!
//! ```text
//! 203.0.113.9 - frank [17/May/2015:10:05:03 +0000] "GET /a/b?q=1 HTTP/1.1" 200 2326 "referer" "agent"
//! ```
//!
//! A line is well-formed once ip, ident, user, time, request, status and size have parsed; what follows them is
//! not looked at. Fields are separated by one space. A user name may itself contain spaces, and servers write it
//! without quotes: it goes up to the first ` [` at which a valid time begins.
//!
//! The request is kept in quotes, with `\"`, `\\` and `\xHH` escaped: [`parse`] decodes these into the caller's
//! [`LineBuffer`], any other backslash stands for itself. Where nothing is escaped, nothing is copied.
//!
//! Format: Apache HTTP Server, `mod_log_config`; nginx, `ngx_http_log_module` (`combined`).

use core::fmt;
use core::net::IpAddr;
use core::str;

use governance::time::{CivilDate, NANOS_PER_SECOND, WallTime};

use crate::digits::{decimal, small_decimal};
use crate::log_reader::MAX_LINE_BYTES;

/// A request as an access log has it. What is text in it is bytes here: logs owe nobody UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// The client's address.
    pub ip: IpAddr,
    /// The name of the authenticated user as the log writes it, or `None` where it says `-`.
    pub user: Option<&'a [u8]>,
    /// When the request came, in UTC.
    pub time: WallTime,
    /// The first word of the request.
    pub method: &'a [u8],
    /// The second word of the request up to `?`; empty if there is none.
    pub path: &'a [u8],
    /// The status of the answer.
    pub status: u16,
    /// The size of the answer in bytes; 0 where the log says `-`.
    pub bytes: u64,
}

/// Room for one decoded request; see [`parse`].
#[derive(Debug)]
pub struct LineBuffer {
    bytes: [u8; MAX_LINE_BYTES],
}

impl LineBuffer {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_LINE_BYTES] }
    }
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The first field of a line that did not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The line does not start with an IP address.
    Ip,
    /// There is no ident after the address.
    Ident,
    /// There is no user after the ident.
    User,
    /// There is no valid time after the user.
    Time,
    /// There is no request in quotes after the time.
    Request,
    /// The decoded request is longer than a [`LineBuffer`].
    RequestTooLong,
    /// There is no status of three digits after the request.
    Status,
    /// There is no size after the status.
    Size,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("client is not an IP address, expected one at the start of the line"),
            Self::Ident => f.write_str("no ident after the address, expected a word or `-`"),
            Self::User => f.write_str("no user after the ident, expected a name or `-`"),
            Self::Time => f.write_str("no time after the user, expected [17/May/2015:10:05:03 +0000]"),
            Self::Request => f.write_str("no request after the time, expected one in double quotes"),
            Self::RequestTooLong => write!(f, "request too long, expected at most {MAX_LINE_BYTES} bytes"),
            Self::Status => f.write_str("no status after the request, expected three digits"),
            Self::Size => f.write_str("no size after the status, expected digits or `-`"),
        }
    }
}

/// Reads one line, given without its line end. `buffer` takes the decoded request if anything in it is escaped.
///
/// # Errors
/// The first field that does not parse.
///
/// ```
/// use wire::access_log::{LineBuffer, parse};
/// let line = br#"203.0.113.9 - frank [17/May/2015:12:05:03 +0200] "GET /a?b=1 HTTP/1.1" 200 2326"#;
/// let mut buffer = LineBuffer::new();
/// let record = parse(line, &mut buffer)?;
/// assert_eq!((record.method, record.path, record.bytes), (&b"GET"[..], &b"/a"[..], 2326));
/// assert_eq!(record.time.to_string(), "2015-05-17T10:05:03Z");
/// # Ok::<(), wire::access_log::LogError>(())
/// ```
pub fn parse<'a>(line: &'a [u8], buffer: &'a mut LineBuffer) -> Result<LogRecord<'a>, LogError> {
    let (ip, rest) = word(line).ok_or(LogError::Ip)?;
    let ip = str::from_utf8(ip).ok().and_then(|text| text.parse().ok()).ok_or(LogError::Ip)?;
    let (_ident, rest) = word(rest).ok_or(LogError::Ident)?;
    let (user, time, rest) = user_and_time(rest)?;
    let rest = rest.strip_prefix(b" \"").ok_or(LogError::Request)?;
    let (request, rest) = quoted(rest).ok_or(LogError::Request)?;
    let rest = rest.strip_prefix(b" ").ok_or(LogError::Status)?;
    let (status, rest) = word(rest).filter(|(status, _)| status.len() == 3).ok_or(LogError::Status)?;
    let status = small_decimal(status).ok_or(LogError::Status)?;
    let size = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    let bytes = if size == b"-" { 0 } else { decimal(size).ok_or(LogError::Size)? };

    let request = if request.contains(&b'\\') { decode(request, buffer)? } else { request };
    let mut words = request.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    Ok(LogRecord { ip, user: Some(user).filter(|user| *user != b"-"), time, method, path, status, bytes })
}

/// The bytes before the first space, if there are any and there is one, and the bytes after it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    (end > 0).then(|| (&text[..end], &text[end + 1..]))
}

/// Splits `frank [17/May/2015:10:05:03 +0000] …` into user, time and what follows the bracket.
fn user_and_time(text: &[u8]) -> Result<(&[u8], WallTime, &[u8]), LogError> {
    if text.is_empty() || text.starts_with(b" ") || text.starts_with(b"[") {
        return Err(LogError::User);
    }
    for (end, pair) in text.windows(2).enumerate() {
        if pair != b" [" {
            continue;
        }
        let inside = &text[end + 2..];
        let Some((time, rest)) = inside.split_at_checked(TIME_BYTES) else { break };
        if let (Some(time), Some(rest)) = (parse_time(time), rest.strip_prefix(b"]")) {
            return Ok((&text[..end], time, rest));
        }
    }
    Err(LogError::Time)
}

const TIME_BYTES: usize = "17/May/2015:10:05:03 +0000".len();

pub(crate) const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Reads `17/May/2015:10:05:03 +0000`; UTC is the local time less the offset.
fn parse_time(text: &[u8]) -> Option<WallTime> {
    let text: &[u8; TIME_BYTES] = text.try_into().ok()?;
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if separators.iter().any(|(at, separator)| text[*at] != *separator) {
        return None;
    }
    let month = MONTHS.iter().position(|month| month[..] == text[3..6])?;
    let date = CivilDate {
        year: small_decimal(&text[7..11])?,
        month: u8::try_from(month + 1).ok()?,
        day: small_decimal(&text[..2])?,
    };
    let below = |digits: &[u8], limit: u64| decimal(digits).filter(|value| *value < limit);
    // A leap second is the first of the next minute, as for `WallTime::from_civil`.
    let of_day =
        below(&text[12..14], 24)? * 3600 + below(&text[15..17], 60)? * 60 + below(&text[18..20], 61)?;
    let offset = i64::try_from(below(&text[22..24], 24)? * 3600 + below(&text[24..26], 60)? * 60).ok()?;
    let offset = match text[21] {
        b'+' => offset,
        b'-' => -offset,
        _ => return None,
    };
    // The local date may lie before 1970 while the UTC time does not, so the offset goes in before the check.
    let seconds = date.days_since_epoch()? * 86_400 + i64::try_from(of_day).ok()? - offset;
    u64::try_from(seconds).ok()?.checked_mul(NANOS_PER_SECOND).map(WallTime)
}

/// Splits at the closing quote: what is before it, still escaped, and what is after it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn decode<'b>(escaped: &[u8], buffer: &'b mut LineBuffer) -> Result<&'b [u8], LogError> {
    let mut length = 0;
    let mut rest = escaped;
    while !rest.is_empty() {
        let (byte, taken) = match rest {
            [b'\\', byte @ (b'"' | b'\\'), ..] => (*byte, 2),
            [b'\\', b'x', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            _ => (rest[0], 1),
        };
        *buffer.bytes.get_mut(length).ok_or(LogError::RequestTooLong)? = byte;
        length += 1;
        rest = &rest[taken..];
    }
    Ok(&buffer.bytes[..length])
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{LineBuffer, LogError, parse};
    use governance::time::{CivilDate, TimeOfDay, WallTime};
    use proptest::prelude::*;

    const COMBINED: &str = concat!(
        r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/kibana.png HTTP/1.1" 200 203023 "#,
        r#""http://example.com/" "Mozilla/5.0 (Macintosh)""#
    );

    fn error(line: &str) -> LogError {
        parse(line.as_bytes(), &mut LineBuffer::new()).expect_err(line)
    }

    /// The method and path of a request as a log writes it.
    fn request(escaped: &str) -> (Vec<u8>, Vec<u8>) {
        let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{escaped}" 200 -"#);
        let mut buffer = LineBuffer::new();
        let record = parse(line.as_bytes(), &mut buffer).expect(&line);
        (record.method.to_vec(), record.path.to_vec())
    }

    fn time(time: &str) -> Result<String, LogError> {
        let line = format!(r#"1.2.3.4 - - [{time}] "GET /" 200 -"#);
        parse(line.as_bytes(), &mut LineBuffer::new()).map(|record| record.time.to_string())
    }

    #[test]
    fn combined_and_common_lines_parse_to_the_same_record() {
        let (mut one, mut two) = (LineBuffer::new(), LineBuffer::new());
        let combined = parse(COMBINED.as_bytes(), &mut one).unwrap();
        let common = &COMBINED.as_bytes()[..COMBINED.find(" \"http").unwrap()];
        assert_eq!(parse(common, &mut two).unwrap(), combined);
        assert_eq!(combined.ip.to_string(), "83.149.9.216");
        assert_eq!(combined.user, None);
        assert_eq!(combined.time, WallTime(1_431_857_103_000_000_000));
        assert_eq!((combined.method, combined.path), (&b"GET"[..], &b"/a/kibana.png"[..]));
        assert_eq!((combined.status, combined.bytes), (200, 203_023));
    }

    #[test]
    fn what_follows_the_size_never_makes_a_line_malformed() {
        for tail in ["", " ", " \"cut off", " \"a\\", " 0.003 extra \u{1}"] {
            let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /" 304 -{tail}"#);
            assert_eq!(parse(line.as_bytes(), &mut LineBuffer::new()).unwrap().bytes, 0, "{line}");
        }
    }

    #[test]
    fn the_first_bad_field_is_named() {
        let start = "1.2.3.4 - - [17/May/2015:10:05:03 +0000]";
        for (line, expected) in [
            ("", LogError::Ip),
            ("example.com - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", LogError::Ip),
            ("1.2.3.4.5 - -", LogError::Ip),
            ("1.2.3.4", LogError::Ip),
            ("1.2.3.4 ", LogError::Ident),
            ("1.2.3.4 - ", LogError::User),
            ("1.2.3.4 - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", LogError::User),
            ("1.2.3.4 -  [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", LogError::User),
            ("1.2.3.4 - -", LogError::Time),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000", LogError::Time),
            (start, LogError::Request),
            (&format!("{start} GET / 200 1"), LogError::Request),
            (&format!("{start} \"GET / 200 1"), LogError::Request),
            (&format!("{start} \"GET /\\\" 200 1"), LogError::Request),
            (&format!("{start} \"GET /\""), LogError::Status),
            (&format!("{start} \"GET /\" 200"), LogError::Status),
            (&format!("{start} \"GET /\" 20 1"), LogError::Status),
            (&format!("{start} \"GET /\" 2000 1"), LogError::Status),
            (&format!("{start} \"GET /\" 2x0 1"), LogError::Status),
            (&format!("{start} \"GET /\" 200 "), LogError::Size),
            (&format!("{start} \"GET /\" 200 12kB"), LogError::Size),
            (&format!("{start} \"GET /\" 200 -1"), LogError::Size),
            (&format!("{start} \"GET /\" 200 18446744073709551616"), LogError::Size),
        ] {
            assert_eq!(error(line), expected, "{line}");
        }
        assert_eq!(
            LogError::Size.to_string(),
            "no size after the status, expected digits or `-`",
            "a message says what was expected"
        );
    }

    #[test]
    fn offsets_are_honoured() {
        assert_eq!(time("17/May/2015:10:05:03 +0200").unwrap(), "2015-05-17T08:05:03Z");
        assert_eq!(time("31/Dec/2015:20:00:00 -0530").unwrap(), "2016-01-01T01:30:00Z");
        assert_eq!(time("31/Dec/1969:23:30:00 -0100").unwrap(), "1970-01-01T00:30:00Z");
        assert_eq!(time("30/Jun/2015:23:59:60 +0000").unwrap(), "2015-07-01T00:00:00Z");
        for bad in [
            "01/Jan/1970:00:30:00 +0100",
            "30/Feb/2015:10:05:03 +0000",
            "17/may/2015:10:05:03 +0000",
            "17/May/2015:24:05:03 +0000",
            "17/May/2015:10:60:03 +0000",
            "17/May/2015:10:05:61 +0000",
            "17/May/2015:10:05:03 +0060",
            "17/May/2015:10:05:03 00000",
            "17/May/2015 10:05:03 +0000",
            "17/May/2015:10:05:03  0000",
            "17/May/2600:10:05:03 +0000",
        ] {
            assert_eq!(time(bad), Err(LogError::Time), "{bad}");
        }
    }

    #[test]
    fn a_user_name_may_hold_spaces_and_brackets() {
        for user in ["frank", "frank miller", "a [b] c", "-- x", "[", "a [17/May/2015"] {
            let line = format!(r#"1.2.3.4 - {user} [17/May/2015:10:05:03 +0000] "GET /" 200 1"#);
            let mut buffer = LineBuffer::new();
            let parsed = parse(line.as_bytes(), &mut buffer);
            if user.starts_with('[') {
                // A bracket where the user should be is a missing user.
                assert_eq!(parsed, Err(LogError::User));
            } else {
                assert_eq!(parsed.unwrap().user, Some(user.as_bytes()));
            }
        }
    }

    #[test]
    fn escapes_in_the_request_are_decoded() {
        assert_eq!(request(r"GET /a\x22b\\c\x\xZZ\n HTTP/1.1").1, br#"/a"b\c\x\xZZ\n"#);
        assert_eq!(request(r#"GET /\"quoted\"?\" HTTP/1.1"#).1, br#"/"quoted""#);
        assert_eq!(request(r"GET /\xE4\xff HTTP/1.1").1, b"/\xe4\xff");
        assert_eq!(request(r"\x16\x03\x01"), (b"\x16\x03\x01".to_vec(), vec![]));
    }

    #[test]
    fn a_request_without_a_second_word_has_no_path() {
        assert_eq!(request("-"), (b"-".to_vec(), vec![]));
        assert_eq!(request("GET"), (b"GET".to_vec(), vec![]));
        assert_eq!(request(""), (vec![], vec![]));
        assert_eq!(request("GET ?x=1 HTTP/1.1"), (b"GET".to_vec(), vec![]));
        assert_eq!(request("GET  /a  HTTP/1.1"), (b"GET".to_vec(), b"/a".to_vec()));
    }

    #[test]
    fn a_decoded_request_longer_than_the_buffer_is_refused() {
        let line = |length: usize| {
            format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "\\{}" 200 -"#, "x".repeat(length - 1))
        };
        assert!(parse(line(8192).as_bytes(), &mut LineBuffer::new()).is_ok());
        assert_eq!(error(&line(8193)), LogError::RequestTooLong);
    }

    /// What a server writes for `text`.
    fn escape(text: &[u8]) -> Vec<u8> {
        let mut escaped = Vec::new();
        for byte in text {
            match byte {
                b'"' | b'\\' => escaped.extend([b'\\', *byte]),
                b' '..=b'~' => escaped.push(*byte),
                _ => escaped.extend(format!("\\x{byte:02x}").into_bytes()),
            }
        }
        escaped
    }

    proptest! {
        #[test]
        fn what_a_server_writes_is_read_back(
            ip in any::<std::net::IpAddr>(),
            user in "[a-z]{1,8}( [a-z]{1,8})?",
            path in prop::collection::vec(any::<u8>().prop_filter("ends the path", |b| !b" ?".contains(b)), 1..200),
            days in 0_i64..30_000,
            (hour, minute, second) in (0_u8..24, 0_u8..60, 0_u8..60),
            offset in -12_i64..=14,
            status in 100_u16..1000,
            bytes in any::<u64>(),
        ) {
            let local = CivilDate::from_days_since_epoch(days + 1);
            let month = super::MONTHS[usize::from(local.month) - 1];
            let month = std::str::from_utf8(month).unwrap();
            let mut line = format!(
                "{ip} - {user} [{:02}/{month}/{:04}:{hour:02}:{minute:02}:{second:02} {}{:02}30] \"GET ",
                local.day, local.year, if offset < 0 { '-' } else { '+' }, offset.abs()
            ).into_bytes();
            line.extend(escape(&path));
            line.extend(format!(" HTTP/1.1\" {status} {bytes}").into_bytes());
            let mut buffer = LineBuffer::new();
            let record = parse(&line, &mut buffer).unwrap();
            let wall = WallTime::from_civil(local, TimeOfDay { hour, minute, second, nanos: 0 }).unwrap();
            let offset = if offset < 0 { offset * 3600 - 1800 } else { offset * 3600 + 1800 };
            prop_assert_eq!(i128::from(record.time.0), i128::from(wall.0) - i128::from(offset) * 1_000_000_000);
            prop_assert_eq!(record.ip, ip);
            prop_assert_eq!(record.user, Some(user.as_bytes()));
            prop_assert_eq!((record.method, record.path), (&b"GET"[..], &path[..]));
            prop_assert_eq!((record.status, record.bytes), (status, bytes));
        }

        #[test]
        fn a_damaged_line_never_panics(cut in 0..COMBINED.len(), at in 0..COMBINED.len(), byte in any::<u8>()) {
            let mut line = COMBINED.as_bytes().to_vec();
            line[at] = byte;
            let _ = parse(&line, &mut LineBuffer::new());
            let _ = parse(&line[..cut], &mut LineBuffer::new());
        }

        #[test]
        fn arbitrary_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&line, &mut LineBuffer::new());
        }
    }
}
