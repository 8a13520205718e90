//! Periods of the calendar: what a quota is renewed by and an invoice is made for.
//!
//! A [`Schedule`] cuts time into periods, each beginning where the one before it ends. Period `n` is computed from the
//! anchor and never from period `n − 1`, so that a schedule anchored on the 31st goes by the last day of short months
//! and is back on the 31st in the next long one. All of it is UTC and whole numbers.
//!
//! ```
//! use governance::time::{Schedule, WallTime};
//! let schedule = Schedule::parse("monthly").unwrap().anchored("2026-01-31T00:00:00Z".parse().unwrap());
//! let period = schedule.period_at("2026-03-01T12:00:00Z".parse().unwrap());
//! assert_eq!(period.start.to_string(), "2026-02-28T00:00:00Z");
//! assert_eq!(period.end.to_string(), "2026-03-31T00:00:00Z");
//! ```

use super::{CivilDate, NANOS_PER_SECOND, Nanos, SECONDS_PER_DAY, WallTime};
use crate::units::UnitError;
use core::fmt;

const HOUR: Nanos = Nanos(3600 * NANOS_PER_SECOND);
const DAY: Nanos = Nanos(SECONDS_PER_DAY * NANOS_PER_SECOND);

/// How long the periods of a schedule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// Always as long as this, which is not zero.
    Every(Nanos),
    /// From a day of one month to the same day of the next, or the last one of a shorter month.
    Monthly,
}

/// Time cut into periods, from an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a period is.
    pub cycle: Cycle,
    /// Where period 0 begins.
    pub anchor: WallTime,
}

/// One period of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Which one, counted from the anchor; those before it are negative.
    pub index: i64,
    /// Its first instant; 1970-01-01T00:00:00Z if it began before that.
    pub start: WallTime,
    /// The first instant of the next one; [`WallTime`]'s last if that cannot be expressed.
    pub end: WallTime,
}

impl Default for Schedule {
    /// Calendar months.
    fn default() -> Self {
        Self::CALENDAR_MONTHS
    }
}

impl Schedule {
    /// From the first of a month to the first of the next.
    pub const CALENDAR_MONTHS: Self = Self { cycle: Cycle::Monthly, anchor: WallTime(0) };

    /// All-zero: what fills a place where no schedule is.
    pub(crate) const NONE: Self = Self { cycle: Cycle::Every(Nanos::ZERO), anchor: WallTime(0) };

    /// Reads `hourly`, `daily`, `monthly`, or a length of time such as `60s`, anchored at the beginning of 1970.
    ///
    /// # Errors
    /// [`UnitError::Duration`] or [`UnitError::TooLarge`]; a length of zero is [`UnitError::Duration`] too.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let cycle = match text {
            "hourly" => Cycle::Every(HOUR),
            "daily" => Cycle::Every(DAY),
            "monthly" => Cycle::Monthly,
            length => Cycle::Every(length.parse()?),
        };
        if cycle == Cycle::Every(Nanos::ZERO) {
            return Err(UnitError::Duration);
        }
        Ok(Self { cycle, anchor: WallTime(0) })
    }

    /// The same periods, from another anchor.
    #[must_use]
    pub const fn anchored(self, anchor: WallTime) -> Self {
        Self { anchor, ..self }
    }

    /// The period that holds `time`.
    #[must_use]
    pub fn period_at(&self, time: WallTime) -> Period {
        let index = match self.cycle {
            Cycle::Every(length) => {
                let offset = i128::from(time.0) - i128::from(self.anchor.0);
                i64::try_from(offset.div_euclid(i128::from(length.0.max(1)))).unwrap_or(i64::MAX)
            }
            Cycle::Monthly => {
                let months = month_number(time) - month_number(self.anchor);
                months - i64::from(self.month_start(months) > i128::from(time.0))
            }
        };
        self.period(index)
    }

    /// Period `index`.
    #[must_use]
    pub fn period(&self, index: i64) -> Period {
        Period {
            index,
            start: clamped(self.start_of(i128::from(index))),
            end: clamped(self.start_of(i128::from(index) + 1)),
        }
    }

    /// Where a period begins, in nanoseconds since 1970.
    fn start_of(&self, index: i128) -> i128 {
        match self.cycle {
            Cycle::Every(length) => i128::from(self.anchor.0) + index.saturating_mul(i128::from(length.0)),
            Cycle::Monthly => self.month_start(i64::try_from(index).unwrap_or(i64::MAX)),
        }
    }

    /// Where month `index` from the anchor begins: on the anchor's day, or the last one of a shorter month.
    fn month_start(&self, index: i64) -> i128 {
        let (anchor, _) = self.anchor.to_civil();
        let month = month_number(self.anchor).saturating_add(index).clamp(0, LAST_MONTH);
        // The clamp keeps the year within four digits, and the month is a remainder of 12.
        let year = u16::try_from(month / 12).unwrap_or(u16::MAX);
        let first = CivilDate { year, month: u8::try_from(month % 12 + 1).unwrap_or(12), day: 1 };
        let date = CivilDate { day: anchor.day.min(first.days_in_month()), ..first };
        let days = date.days_since_epoch().unwrap_or(i64::MAX);
        let of_day = self.anchor.0 % DAY.0;
        i128::from(days) * i128::from(DAY.0) + i128::from(of_day)
    }
}

/// December of 9999.
const LAST_MONTH: i64 = 9999 * 12 + 11;

/// Months since the beginning of the year 0.
fn month_number(time: WallTime) -> i64 {
    let (date, _) = time.to_civil();
    i64::from(date.year) * 12 + i64::from(date.month) - 1
}

fn clamped(nanos: i128) -> WallTime {
    WallTime(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

/// Writes the cycle in the words that [`Schedule::parse`] reads; the anchor is a field of its own.
impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Every(HOUR) => f.pad("hourly"),
            Self::Every(DAY) => f.pad("daily"),
            Self::Every(length) => write!(f, "{length}"),
            Self::Monthly => f.pad("monthly"),
        }
    }
}

/// Reads a point of time, or a date that stands for its beginning: `2026-01-31`, `2026-01-31T06:00:00Z`.
///
/// # Errors
/// [`super::WallTimeError`].
pub fn parse_time_or_date(text: &str) -> Result<WallTime, super::WallTimeError> {
    match text.len() {
        10 => {
            let midnight = crate::text::Text::<20>::format(format_args!("{text}T00:00:00Z"));
            midnight.map_err(|_| super::WallTimeError)?.as_str().parse()
        }
        _ => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cycle, Schedule, parse_time_or_date};
    use crate::time::{Nanos, WallTime};

    fn time(text: &str) -> WallTime {
        parse_time_or_date(text).unwrap()
    }

    #[test]
    fn a_month_end_does_not_drift() {
        let schedule = Schedule::parse("monthly").unwrap().anchored(time("2023-01-31"));
        let starts: Vec<_> = (0..6).map(|index| schedule.period(index).start.to_string()).collect();
        assert_eq!(
            starts,
            [
                "2023-01-31T00:00:00Z",
                "2023-02-28T00:00:00Z",
                "2023-03-31T00:00:00Z",
                "2023-04-30T00:00:00Z",
                "2023-05-31T00:00:00Z",
                "2023-06-30T00:00:00Z"
            ]
        );
        let leap = schedule.period_at(time("2024-02-29T00:00:00Z"));
        assert_eq!((leap.index, leap.start), (13, time("2024-02-29")));
    }

    #[test]
    fn periods_before_the_anchor_and_at_the_ends_of_time_are_periods_too() {
        let schedule = Schedule::parse("monthly").unwrap().anchored(time("2026-05-15T06:00:00Z"));
        let before = schedule.period_at(time("2026-03-15T05:59:59Z"));
        assert_eq!((before.index, before.start), (-3, time("2026-02-15T06:00:00Z")));
        assert_eq!(schedule.period_at(WallTime(0)).start, WallTime(0));
        assert_eq!(schedule.period_at(WallTime(u64::MAX)).end, WallTime(u64::MAX));
        let long = Schedule { cycle: Cycle::Every(Nanos::MAX), anchor: WallTime(7) };
        assert_eq!((long.period_at(WallTime(6)).index, long.period_at(WallTime(7)).index), (-1, 0));
    }

    #[test]
    fn words_read_and_show_the_same() {
        for word in ["hourly", "daily", "monthly", "1m", "90s", "7d"] {
            assert_eq!(Schedule::parse(word).unwrap().cycle.to_string(), word);
        }
        for word in ["", "weekly", "0s", "1.5h", "-1d"] {
            assert!(Schedule::parse(word).is_err(), "{word:?}");
        }
        assert!(parse_time_or_date("2026-02-30").is_err());
        assert_eq!(time("2026-02-28"), time("2026-02-28T00:00:00Z"));
    }
}
