//! Time as an argument: monotonic instants, UTC wall time and the civil calendar.
//!
//! The engine never reads a clock. A caller passes [`Now`], which holds both clocks read together:
//! [`Instant`] (nanoseconds since boot, monotonic) for everything but calendars, and [`WallTime`]
//! (nanoseconds of UTC since 1970-01-01T00:00:00Z) for clock-aligned windows, periods of the calendar and log lines.
//! A [`Schedule`] cuts wall time into hours, days or months from an anchor.
//!
//! The civil conversions follow Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

mod schedule;

pub use schedule::{Cycle, Period, Schedule, parse_time_or_date};

use core::fmt;
use core::str::FromStr;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest length of time that can be expressed, about 584 years.
    pub const MAX: Self = Self(u64::MAX);

    /// A length of `seconds`, or [`Nanos::MAX`] if that is longer than can be expressed.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// A length of `millis` milliseconds, or [`Nanos::MAX`] if that is longer than can be expressed.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The length in milliseconds, rounded up, so that waiting that long is always enough.
    #[must_use]
    pub const fn as_millis_ceil(self) -> u64 {
        self.0.div_ceil(1_000_000)
    }
}

/// A reading of the monotonic clock: nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The time from `earlier` to `self`; zero if the clock stood still or went back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `length` later, or the last expressible one.
    #[must_use]
    pub const fn after(self, length: Nanos) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

/// A point of UTC time: nanoseconds since 1970-01-01T00:00:00Z, up to the year 2554.
///
/// It prints as RFC 3339, with as many decimals as it needs:
///
/// ```
/// use governance::time::WallTime;
/// assert_eq!(WallTime(1_431_857_103_000_000_000).to_string(), "2015-05-17T10:05:03Z");
/// assert_eq!(WallTime(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl WallTime {
    /// The UTC time of a civil date and time of day, or `None` if there is no such date or time, or it
    /// lies outside of what `WallTime` can express. Second 60 (a leap second) is accepted and counts as
    /// the first second of the next minute, as POSIX time has it.
    #[must_use]
    pub fn from_civil(date: CivilDate, time: TimeOfDay) -> Option<Self> {
        let days = u64::try_from(date.days_since_epoch()?).ok()?;
        if time.hour > 23 || time.minute > 59 || time.second > 60 || u64::from(time.nanos) >= NANOS_PER_SECOND
        {
            return None;
        }
        let of_day = u64::from(time.hour) * 3600 + u64::from(time.minute) * 60 + u64::from(time.second);
        let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_add(of_day)?;
        seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(u64::from(time.nanos)).map(Self)
    }

    /// The civil date and time of day, UTC.
    #[must_use]
    pub fn to_civil(self) -> (CivilDate, TimeOfDay) {
        let seconds = self.0 / NANOS_PER_SECOND;
        let of_day = seconds % SECONDS_PER_DAY;
        let small = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
        let time = TimeOfDay {
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
            nanos: u32::try_from(self.0 % NANOS_PER_SECOND).unwrap_or(0),
        };
        (CivilDate::from_days_since_epoch(i64::try_from(seconds / SECONDS_PER_DAY).unwrap_or(i64::MAX)), time)
    }
}

/// A text is not a point of time that can be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTimeError;

impl fmt::Display for WallTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a UTC time from 1970 to 2554, such as 2015-05-17T10:05:03Z")
    }
}

impl core::error::Error for WallTimeError {}

/// Reads RFC 3339 in UTC: `2015-05-17T10:05:03Z`, with up to nine decimals of a second.
impl FromStr for WallTime {
    type Err = WallTimeError;

    fn from_str(text: &str) -> Result<Self, WallTimeError> {
        let digits = |range: core::ops::Range<usize>| {
            let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u16>().ok()).ok_or(WallTimeError)
        };
        let small = |range| digits(range).and_then(|value| u8::try_from(value).map_err(|_| WallTimeError));
        let bytes = text.as_bytes();
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if !separators.into_iter().all(|(at, separator)| bytes.get(at) == Some(&separator)) {
            return Err(WallTimeError);
        }
        let nanos = match text.get(19..).and_then(|rest| rest.strip_suffix('Z')).ok_or(WallTimeError)? {
            "" => 0,
            fraction => {
                let decimals = fraction.strip_prefix('.').ok_or(WallTimeError)?;
                if decimals.len() > 9 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(WallTimeError);
                }
                let places = u32::try_from(9 - decimals.len()).map_err(|_| WallTimeError)?;
                decimals.parse::<u32>().map_err(|_| WallTimeError)? * 10_u32.pow(places)
            }
        };
        let date = CivilDate { year: digits(0..4)?, month: small(5..7)?, day: small(8..10)? };
        let time = TimeOfDay { hour: small(11..13)?, minute: small(14..16)?, second: small(17..19)?, nanos };
        Self::from_civil(date, time).ok_or(WallTimeError)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = self.to_civil();
        let TimeOfDay { hour, minute, second, mut nanos } = time;
        write!(f, "{date}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos != 0 {
            let mut digits = 9;
            while nanos % 10 == 0 {
                nanos /= 10;
                digits -= 1;
            }
            write!(f, ".{nanos:0digits$}")?;
        }
        f.write_str("Z")
    }
}

/// A date of the proleptic Gregorian calendar. It prints as `2015-05-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CivilDate {
    /// The year; 1970 to 2554 can be a [`WallTime`].
    pub year: u16,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl CivilDate {
    /// Days from 1970-01-01 to this date, or `None` if there is no such date.
    #[must_use]
    pub fn days_since_epoch(self) -> Option<i64> {
        if self.month == 0 || self.month > 12 || self.day == 0 || self.day > self.days_in_month() {
            return None;
        }
        // Years are counted from March, so that the leap day is the last of its year.
        let (year, month, day) = (i64::from(self.year), i64::from(self.month), i64::from(self.day));
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(era * 146_097 + day_of_era - 719_468)
    }

    /// The date `days` days after 1970-01-01. Dates beyond the year 65535 are given as its last day.
    #[must_use]
    pub fn from_days_since_epoch(days: i64) -> Self {
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era.saturating_add(era.saturating_mul(400)) + i64::from(month <= 2);
        match (u16::try_from(year), u8::try_from(month), u8::try_from(day)) {
            (Ok(year), Ok(month), Ok(day)) => Self { year, month, day },
            _ => Self { year: u16::MAX, month: 12, day: 31 },
        }
    }

    fn days_in_month(self) -> u8 {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A time of day, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 59, or 60 for a leap second.
    pub second: u8,
    /// The fraction of the second in nanoseconds, below 1 000 000 000.
    pub nanos: u32,
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub wall: WallTime,
}

impl Now {
    /// A virtual time in which both clocks show the same: what a replay of recorded traffic uses.
    #[must_use]
    pub const fn from_wall(wall: WallTime) -> Self {
        Self { instant: Instant(wall.0), wall }
    }
}

#[cfg(test)]
mod tests {
    use super::{CivilDate, Instant, Nanos, Now, TimeOfDay, WallTime};

    /// A calendar that only knows how to go to the next day.
    fn next_day(date: CivilDate) -> CivilDate {
        let february = if date.year.is_multiple_of(400)
            || (date.year.is_multiple_of(4) && !date.year.is_multiple_of(100))
        {
            29
        } else {
            28
        };
        let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(date.month - 1)];
        if date.day < days {
            CivilDate { day: date.day + 1, ..date }
        } else if date.month < 12 {
            CivilDate { month: date.month + 1, day: 1, ..date }
        } else {
            CivilDate { year: date.year + 1, month: 1, day: 1 }
        }
    }

    #[test]
    fn every_day_of_five_centuries_converts_both_ways() {
        let mut date = CivilDate { year: 1970, month: 1, day: 1 };
        let mut days = 0;
        while date.year < 2500 {
            assert_eq!(date.days_since_epoch(), Some(days), "{date}");
            assert_eq!(CivilDate::from_days_since_epoch(days), date);
            date = next_day(date);
            days += 1;
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for (year, month, day) in [
            (2015, 2, 29),
            (2100, 2, 29),
            (2016, 2, 30),
            (2015, 4, 31),
            (2015, 0, 1),
            (2015, 13, 1),
            (2015, 1, 0),
        ] {
            assert_eq!(CivilDate { year, month, day }.days_since_epoch(), None, "{year}-{month}-{day}");
        }
        let date = CivilDate { year: 2015, month: 5, day: 17 };
        for (hour, minute, second) in [(24, 0, 0), (0, 60, 0), (0, 0, 61)] {
            assert_eq!(WallTime::from_civil(date, TimeOfDay { hour, minute, second, nanos: 0 }), None);
        }
        let before = CivilDate { year: 1969, month: 12, day: 31 };
        assert_eq!(WallTime::from_civil(before, TimeOfDay::default()), None);
    }

    #[test]
    fn wall_time_prints_as_rfc_3339_and_keeps_nanoseconds() {
        let date = CivilDate { year: 2023, month: 11, day: 16 };
        let time = TimeOfDay { hour: 18, minute: 17, second: 3, nanos: 979_960_000 };
        let wall = WallTime::from_civil(date, time).unwrap();
        assert_eq!(wall.to_string(), "2023-11-16T18:17:03.97996Z");
        assert_eq!(wall.to_civil(), (date, time));
        assert_eq!(WallTime(u64::MAX).to_civil().0.year, 2554);
    }

    #[test]
    fn wall_time_reads_what_it_prints_and_nothing_else() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2015-05-17T10:05:03Z",
            "2023-11-16T18:17:03.97996Z",
            "2554-07-21T23:34:33.709551615Z",
        ] {
            assert_eq!(text.parse::<WallTime>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2015-05-17",
            "2015-05-17T10:05:03",
            "2015-05-17T10:05:03+02:00",
            "2015-02-30T00:00:00Z",
            "2015-05-17 10:05:03Z",
            "2015-05-17T10:05:03.Z",
            "2015-05-17T10:05:03.1234567890Z",
            "1969-12-31T23:59:59Z",
            "2015-05-17T1é:05:03Z",
            "+015-05-17T10:05:03Z",
        ] {
            assert!(text.parse::<WallTime>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn elapsed_time_never_goes_below_zero() {
        assert_eq!(Instant(5).since(Instant(9)), Nanos::ZERO);
        assert_eq!(Instant(9).since(Instant(5)), Nanos(4));
        assert_eq!(Instant(u64::MAX).after(Nanos(1)), Instant(u64::MAX));
        assert_eq!(Nanos(1_000_001).as_millis_ceil(), 2);
        assert_eq!(Now::from_wall(WallTime(7)).instant, Instant(7));
    }
}
