//! Reads the field `Retry-After` of an answer: how long to wait, in seconds or up to a date.
//!
//! The date may have any of the three forms of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT`, and the obsolete
//! `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. Days of the week are read as words and not compared
//! with the date. Format: RFC 9110, sections 5.6.7 and 10.2.3.

use core::fmt;

use governance::time::{CivilDate, NANOS_PER_SECOND, Nanos, WallTime};

use crate::access_log::MONTHS;
use crate::digits::{decimal, small_decimal};

/// The longest wait that is taken for meant: a day.
pub const LONGEST: Nanos = Nanos::from_seconds(86_400);

/// Why a `Retry-After` says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfterError {
    /// It is neither a number of seconds nor a date.
    Garbage,
    /// The date has passed.
    Past,
    /// The wait is longer than [`LONGEST`].
    TooFar,
}

impl fmt::Display for RetryAfterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Garbage => "expected whole seconds or a date such as Sun, 06 Nov 1994 08:49:37 GMT",
            Self::Past => "the date has passed; expected one that is ahead",
            Self::TooFar => "more than a day ahead; expected at most 86400 seconds",
        })
    }
}

impl core::error::Error for RetryAfterError {}

/// How long to wait from `now` on. Spaces and tabs around the text are not looked at.
///
/// # Errors
/// [`RetryAfterError`] says why it cannot be told.
///
/// ```
/// use governance::time::{Nanos, WallTime};
/// use wire::retry_after::{RetryAfterError, parse};
/// let now: WallTime = "1994-11-06T08:49:00Z".parse().unwrap();
/// assert_eq!(parse(b"120", now), Ok(Nanos::from_seconds(120)));
/// assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 GMT", now), Ok(Nanos::from_seconds(37)));
/// assert_eq!(parse(b"soon", now), Err(RetryAfterError::Garbage));
/// ```
pub fn parse(text: &[u8], now: WallTime) -> Result<Nanos, RetryAfterError> {
    let text = text.trim_ascii();
    let wait = if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
        // A number that 64 bits cannot hold is one that is too large.
        decimal(text).map_or(Nanos::MAX, Nanos::from_seconds)
    } else {
        let seconds = date(text, now).ok_or(RetryAfterError::Garbage)?;
        let now = i128::from(now.0);
        let ahead = i128::from(seconds) * i128::from(NANOS_PER_SECOND) - now;
        if ahead <= 0 {
            return Err(RetryAfterError::Past);
        }
        Nanos(u64::try_from(ahead).unwrap_or(u64::MAX))
    };
    if wait > LONGEST { Err(RetryAfterError::TooFar) } else { Ok(wait) }
}

const DAYS: [(&[u8], &[u8]); 7] = [
    (b"Mon", b"Monday"),
    (b"Tue", b"Tuesday"),
    (b"Wed", b"Wednesday"),
    (b"Thu", b"Thursday"),
    (b"Fri", b"Friday"),
    (b"Sat", b"Saturday"),
    (b"Sun", b"Sunday"),
];

/// The seconds from 1970 to a date in one of the three forms, which may lie before it.
fn date(text: &[u8], now: WallTime) -> Option<i64> {
    match text.iter().position(|&byte| byte == b',') {
        Some(3) => fixed(text),
        Some(comma) => rfc850(&text[..comma], &text[comma + 1..], now),
        None => asctime(text),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn fixed(text: &[u8]) -> Option<i64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    let separators = &[(4, b' '), (7, b' '), (11, b' '), (16, b' '), (25, b' ')];
    is_short_day(&text[..3])?;
    has(text, separators)?;
    gmt(&text[26..])?;
    seconds(small_decimal(&text[12..16])?, &text[8..11], small_decimal(&text[5..7])?, &text[17..25])
}

/// `Sunday` and ` 06-Nov-94 08:49:37 GMT`.
fn rfc850(day: &[u8], text: &[u8], now: WallTime) -> Option<i64> {
    DAYS.iter().find(|(_, long)| *long == day)?;
    let text: &[u8; 23] = text.try_into().ok()?;
    has(text, &[(0, b' '), (3, b'-'), (7, b'-'), (10, b' '), (19, b' ')])?;
    gmt(&text[20..])?;
    let in_century: u16 = small_decimal(&text[8..10])?;
    let this_year = now.to_civil().0.year;
    let year = this_year - this_year % 100 + in_century;
    // Two digits stand for the nearest year that ends in them; fifty years ahead is the last that is ahead.
    let year = match year {
        _ if year > this_year + 50 => year - 100,
        _ if year + 50 <= this_year => year + 100,
        _ => year,
    };
    seconds(year, &text[4..7], small_decimal(&text[1..3])?, &text[11..19])
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &[u8]) -> Option<i64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    is_short_day(&text[..3])?;
    has(text, &[(3, b' '), (7, b' '), (10, b' '), (19, b' ')])?;
    let day = if text[8] == b' ' { &text[9..10] } else { &text[8..10] };
    seconds(small_decimal(&text[20..])?, &text[4..7], small_decimal(day)?, &text[11..19])
}

fn is_short_day(word: &[u8]) -> Option<()> {
    DAYS.iter().any(|(short, _)| *short == word).then_some(())
}

fn has(text: &[u8], separators: &[(usize, u8)]) -> Option<()> {
    separators.iter().all(|&(at, separator)| text.get(at) == Some(&separator)).then_some(())
}

fn gmt(zone: &[u8]) -> Option<()> {
    (zone == b"GMT").then_some(())
}

/// The seconds from 1970 to a date and a time `08:49:37`.
fn seconds(year: u16, month: &[u8], day: u8, time: &[u8]) -> Option<i64> {
    let month = MONTHS.iter().position(|name| name[..] == *month)?;
    let date = CivilDate { year, month: u8::try_from(month + 1).ok()?, day };
    has(time, &[(2, b':'), (5, b':')])?;
    let below = |digits: &[u8], limit: u64| decimal(digits).filter(|value| *value < limit);
    // A leap second is the first of the next minute, as for `WallTime::from_civil`.
    let of_day =
        below(time.get(..2)?, 24)? * 3600 + below(time.get(3..5)?, 60)? * 60 + below(time.get(6..8)?, 61)?;
    Some(date.days_since_epoch()? * 86_400 + i64::try_from(of_day).ok()?)
}
