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

#[cfg(test)]
mod tests {
    use super::{LONGEST, RetryAfterError, parse};
    use governance::time::{CivilDate, Nanos, TimeOfDay, WallTime};
    use proptest::prelude::*;

    fn at(now: &str, text: &str) -> Result<Nanos, RetryAfterError> {
        parse(text.as_bytes(), now.parse().unwrap())
    }

    const NOW: &str = "1994-11-06T08:49:00Z";

    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_read() {
        for (text, seconds) in [
            ("0", 0),
            ("120", 120),
            (" 30\t", 30),
            ("007", 7),
            ("86400", 86_400),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
            ("Sun Nov  6 08:49:37 1994", 37),
            ("Sun Nov 06 08:49:37 1994", 37),
            ("Sun, 06 Nov 1994 08:59:60 GMT", 660),
        ] {
            assert_eq!(at(NOW, text), Ok(Nanos::from_seconds(seconds)), "{text}");
        }
        assert_eq!(
            at("1994-11-06T08:49:36.25Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Ok(Nanos::from_millis(750))
        );
        assert_eq!(
            at("1999-12-31T23:59:30Z", "Saturday, 01-Jan-00 00:00:00 GMT"),
            Ok(Nanos::from_seconds(30))
        );
    }

    #[test]
    fn what_has_passed_and_what_is_years_ahead_is_told_apart() {
        for (text, error) in [
            ("Sun, 06 Nov 1994 08:49:00 GMT", RetryAfterError::Past),
            ("Sun, 06 Nov 1994 08:48:59 GMT", RetryAfterError::Past),
            ("Sunday, 06-Nov-93 08:49:37 GMT", RetryAfterError::Past),
            ("Thu, 01 Jan 1970 00:00:00 GMT", RetryAfterError::Past),
            ("Mon, 01 Jan 1900 00:00:00 GMT", RetryAfterError::Past),
            ("86401", RetryAfterError::TooFar),
            ("315360000", RetryAfterError::TooFar),
            ("99999999999999999999999", RetryAfterError::TooFar),
            ("Sat, 06 Nov 2004 08:49:37 GMT", RetryAfterError::TooFar),
            ("Fri, 31 Dec 9999 23:59:59 GMT", RetryAfterError::TooFar),
            ("Sunday, 06-Nov-44 08:49:37 GMT", RetryAfterError::TooFar),
            ("Sunday, 06-Nov-45 08:49:37 GMT", RetryAfterError::Past),
        ] {
            assert_eq!(at(NOW, text), Err(error), "{text}");
        }
        assert_eq!(
            RetryAfterError::TooFar.to_string(),
            "more than a day ahead; expected at most 86400 seconds"
        );
    }

    #[test]
    fn everything_else_is_garbage() {
        for text in [
            "",
            " ",
            "-1",
            "+5",
            "1.5",
            "30s",
            "soon",
            "1 2",
            ",",
            "Sun,",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Tue, 29 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08-49-37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sonntag, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov 6 08:49:37 1994",
            "1994-11-06T08:49:37Z",
            "\u{663}",
        ] {
            assert_eq!(at(NOW, text), Err(RetryAfterError::Garbage), "{text:?}");
        }
        assert_eq!(parse(b"\xff\xfe", WallTime(0)), Err(RetryAfterError::Garbage));
    }

    proptest! {
        #[test]
        fn a_date_within_a_day_is_read_in_each_form(now in 1_u64..4_000_000_000, ahead in 1_u64..=86_400) {
            let wall = WallTime((now + ahead) * 1_000_000_000);
            let (CivilDate { year, month, day }, TimeOfDay { hour, minute, second, .. }) = wall.to_civil();
            let name = |names: &[&'static str], number: u64| names[usize::try_from(number).unwrap()];
            let week = (now + ahead) / 86_400 % 7;
            let long = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
            let long = name(&long, week);
            let short = &long[..3];
            let month = std::str::from_utf8(crate::access_log::MONTHS[usize::from(month) - 1]).unwrap();
            let two = year % 100;
            for text in [
                format!("{short}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT"),
                format!("{long}, {day:02}-{month}-{two:02} {hour:02}:{minute:02}:{second:02} GMT"),
                format!("{short} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"),
                ahead.to_string(),
            ] {
                let now = WallTime(now * 1_000_000_000);
                prop_assert_eq!(parse(text.as_bytes(), now), Ok(Nanos::from_seconds(ahead)), "{}", text);
            }
        }

        #[test]
        fn nothing_that_is_read_is_longer_than_a_day_and_nothing_panics(
            text in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[A-Z][a-z]{2,8},? [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9:]{8} GMT".prop_map(String::into_bytes),
                "Sun Nov [ 0-9][0-9] [0-9:]{8} [0-9]{4}".prop_map(String::into_bytes),
            ],
            now in any::<u64>(),
        ) {
            prop_assert!(parse(&text, WallTime(now)).is_ok_and(|wait| wait <= LONGEST) || parse(&text, WallTime(now)).is_err());
        }
    }
}
