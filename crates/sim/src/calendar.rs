//! Civil time and periods of the calendar, from a table of months that is filled by counting days.
//!
//! The table goes from January 1969 to the end of 2555, a little beyond both ends of what nanoseconds since 1970
//! in 64 bits can say. Everything is looked up in it: the date of a moment, and the month period that a
//! moment lies in. The product's calendar is tested against it.

use std::sync::LazyLock;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE: u64 = 60 * SECOND;
/// Nanoseconds of an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Nanoseconds of a day.
pub const DAY: u64 = 24 * HOUR;

const DAY_WIDE: i128 = 24 * 60 * 60 * 1_000_000_000;

/// How long periods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cycle {
    /// So many nanoseconds, at least 1.
    Every(u64),
    /// From a day of one month to the same day of the next, or the last day of a shorter month.
    Monthly,
}

impl Cycle {
    /// 24 hours.
    pub const DAILY: Self = Self::Every(DAY);
    /// 60 minutes.
    pub const HOURLY: Self = Self::Every(HOUR);
}

/// One period, from its first nanosecond to the first of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Which one; the one that begins at the anchor is 0, those before it are negative.
    pub index: i64,
    /// Its first nanosecond; 0 if it began before 1970.
    pub start_ns: u64,
    /// The first nanosecond after it; [`u64::MAX`] if that is later.
    pub end_ns: u64,
}

/// A date and time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    /// The year.
    pub year: u64,
    /// The month, from 1.
    pub month: u64,
    /// The day, from 1.
    pub day: u64,
    /// Nanoseconds since midnight.
    pub of_day_ns: u64,
}

/// The period around `wall_ns` of those that are counted from `anchor_ns`.
///
/// # Panics
/// If the cycle has no length.
#[must_use]
pub fn period_at(anchor_ns: u64, cycle: Cycle, wall_ns: u64) -> Period {
    let (anchor, wall) = (i128::from(anchor_ns), i128::from(wall_ns));
    let (index, start, end) = match cycle {
        Cycle::Every(length) => {
            assert!(length > 0, "a period without a length");
            let length = i128::from(length);
            let index = (wall - anchor).div_euclid(length);
            (index, anchor + index * length, anchor + (index + 1) * length)
        }
        Cycle::Monthly => {
            let begins = |month: &Month| month.begins_period_of(anchor_ns);
            // The last month whose period has begun.
            let place = MONTHS.partition_point(|month| begins(month) <= wall) - 1;
            let index = signed(place) - signed(place_of_month(anchor_ns));
            (index, begins(&MONTHS[place]), begins(&MONTHS[place + 1]))
        }
    };
    let clamped = |ns: i128| u64::try_from(ns.max(0)).unwrap_or(u64::MAX);
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    Period { index, start_ns: clamped(start), end_ns: clamped(end) }
}

/// The date and time of day of a moment.
#[must_use]
pub fn date_time(wall_ns: u64) -> DateTime {
    let month = &MONTHS[place_of_month(wall_ns)];
    let day = i128::from(wall_ns / DAY) - month.first_day + 1;
    DateTime {
        year: month.year,
        month: month.month,
        day: u64::try_from(day).expect("a month begins before its days"),
        of_day_ns: wall_ns % DAY,
    }
}

/// Midnight at the beginning of a day.
///
/// # Panics
/// If there is no such day from 1970 to 2553.
#[must_use]
pub fn midnight(year: u64, month: u64, day: u64) -> u64 {
    assert!((1970..=2553).contains(&year), "the year {year}");
    let known = MONTHS.iter().find(|known| (known.year, known.month) == (year, month));
    let known = known.expect("a month from 1 to 12");
    assert!((1..=known.days).contains(&i128::from(day)), "day {day} of a month of {} days", known.days);
    u64::try_from((known.first_day + i128::from(day) - 1) * DAY_WIDE).expect("a day since 1970")
}

/// A moment as `2026-01-31T06:00:00Z`, without its fraction of a second.
#[must_use]
pub fn text(wall_ns: u64) -> String {
    let DateTime { year, month, day, of_day_ns } = date_time(wall_ns);
    let seconds = of_day_ns / SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The days of each month of a year.
#[must_use]
pub const fn month_lengths(year: u64) -> [u64; 12] {
    let leap = if year.is_multiple_of(100) { year.is_multiple_of(400) } else { year.is_multiple_of(4) };
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// One month of the table.
struct Month {
    year: u64,
    month: u64,
    /// Its first day, counted from 1970-01-01, which is day 0.
    first_day: i128,
    days: i128,
}

impl Month {
    /// When the period of this month begins: on the anchor's day or the last one, at the anchor's time of day.
    fn begins_period_of(&self, anchor_ns: u64) -> i128 {
        let anchor = date_time(anchor_ns);
        let day = i128::from(anchor.day).min(self.days);
        (self.first_day + day - 1) * DAY_WIDE + i128::from(anchor.of_day_ns)
    }
}

static MONTHS: LazyLock<Vec<Month>> = LazyLock::new(|| {
    let mut months = Vec::new();
    let mut first_day = -365; // 1969 had no 29th of February
    for year in 1969..=2555 {
        for (month, days) in (1..).zip(month_lengths(year)) {
            let days = i128::from(days);
            months.push(Month { year, month, first_day, days });
            first_day += days;
        }
    }
    months
});

/// The place in the table of the month that a moment lies in.
fn place_of_month(wall_ns: u64) -> usize {
    let day = i128::from(wall_ns / DAY);
    MONTHS.partition_point(|month| month.first_day <= day) - 1
}

fn signed(place: usize) -> i128 {
    i128::try_from(place).expect("a place in a table")
}

#[cfg(test)]
mod tests {
    use super::{
        Cycle, DAY, DateTime, HOUR, MINUTE, Period, SECOND, date_time, midnight, month_lengths, period_at,
        text,
    };
    use crate::logs::date::Civil;

    /// The starts of `count` periods, as dates, beginning with the one around `wall_ns`.
    fn starts(anchor_ns: u64, wall_ns: u64, count: usize) -> Vec<String> {
        let mut starts = Vec::new();
        let mut at = wall_ns;
        for _ in 0..count {
            let period = period_at(anchor_ns, Cycle::Monthly, at);
            starts.push(text(period.start_ns)[..10].to_owned());
            at = period.end_ns;
        }
        starts
    }

    #[test]
    fn moments_have_the_dates_that_everyone_knows() {
        // date -u -d @SECONDS
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_569_465_600, "2400-01-01T00:00:00Z"),
            (18_446_744_073, "2554-07-21T23:34:33Z"),
        ] {
            assert_eq!(text(seconds * SECOND), expected);
        }
        assert_eq!(text(u64::MAX), "2554-07-21T23:34:33Z");
    }

    #[test]
    fn every_day_has_the_date_after_that_of_the_day_before() {
        let mut expected = DateTime { year: 1970, month: 1, day: 1, of_day_ns: 0 };
        for day in 0..=u64::MAX / DAY {
            assert_eq!(date_time(day * DAY), expected);
            let DateTime { year, month, day: of_month, .. } = expected;
            if year < 2554 && of_month < 29 {
                assert_eq!(midnight(year, month, of_month), day * DAY);
            }
            if year <= 2200 && of_month == 1 {
                let civil =
                    Civil { year, month, day: 1, hour: 0, minute: 0, second: 0, nanos: 0, ahead_minutes: 0 };
                assert_eq!(civil.utc_ns(), Some(day * DAY));
            }
            expected.day += 1;
            if expected.day > month_lengths(year)[usize::try_from(month - 1).unwrap()] {
                (expected.month, expected.day) = (month + 1, 1);
            }
            if expected.month > 12 {
                (expected.year, expected.month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn a_month_period_begins_on_the_last_day_of_a_shorter_month_and_comes_back() {
        let anchor = midnight(2023, 1, 31);
        assert_eq!(
            starts(anchor, anchor, 14),
            [
                "2023-01-31",
                "2023-02-28",
                "2023-03-31",
                "2023-04-30",
                "2023-05-31",
                "2023-06-30",
                "2023-07-31",
                "2023-08-31",
                "2023-09-30",
                "2023-10-31",
                "2023-11-30",
                "2023-12-31",
                "2024-01-31",
                "2024-02-29"
            ]
        );
        assert_eq!(
            starts(midnight(2024, 2, 29), midnight(2100, 1, 30), 3),
            ["2100-01-29", "2100-02-28", "2100-03-29"]
        );
        let long_before = starts(midnight(2024, 3, 30), midnight(1999, 12, 31), 4);
        assert_eq!(long_before, ["1999-12-30", "2000-01-30", "2000-02-29", "2000-03-30"]);
    }

    #[test]
    fn a_period_holds_its_start_and_not_its_end() {
        let anchor = midnight(2026, 1, 31) + 6 * HOUR + 30 * MINUTE;
        let february = midnight(2026, 2, 28) + 6 * HOUR + 30 * MINUTE;
        let march = midnight(2026, 3, 31) + 6 * HOUR + 30 * MINUTE;
        assert_eq!(
            period_at(anchor, Cycle::Monthly, february - 1),
            Period { index: 0, start_ns: anchor, end_ns: february }
        );
        let second = Period { index: 1, start_ns: february, end_ns: march };
        assert_eq!(period_at(anchor, Cycle::Monthly, february), second);
        assert_eq!(period_at(anchor, Cycle::Monthly, march - 1), second);
        assert_eq!(period_at(anchor, Cycle::Monthly, march).index, 2);
        assert_eq!(period_at(anchor, Cycle::Monthly, anchor - 1).index, -1);
    }

    #[test]
    fn month_periods_of_every_anchor_join_and_are_numbered_by_months() {
        for anchor_day in 1..=31 {
            let anchor = midnight(2024, 1, anchor_day) + 5 * SECOND;
            let mut period = period_at(anchor, Cycle::Monthly, 0);
            assert_eq!(period.start_ns, 0);
            // Midnight is 5 seconds too early for the period of January 1970, also on the 1st.
            assert_eq!(period.index, -(54 * 12 + 1));
            while period.end_ns < u64::MAX {
                let next = period_at(anchor, Cycle::Monthly, period.end_ns);
                assert_eq!(next.start_ns, period.end_ns);
                assert_eq!(next.index, period.index + 1);
                let begun = date_time(next.start_ns);
                let months = (begun.year * 12 + begun.month).cast_signed() - (2024 * 12 + 1);
                assert_eq!(months, next.index);
                let last = month_lengths(begun.year)[usize::try_from(begun.month - 1).unwrap()];
                assert_eq!((begun.day, begun.of_day_ns), (anchor_day.min(last), 5 * SECOND));
                assert_eq!(period_at(anchor, Cycle::Monthly, next.start_ns - 1), period);
                period = next;
            }
        }
    }

    #[test]
    fn fixed_periods_are_counted_from_their_anchor_in_both_directions() {
        let anchor = midnight(2026, 1, 1) + 7 * HOUR;
        let period = period_at(anchor, Cycle::DAILY, anchor - 1);
        assert_eq!(period, Period { index: -1, start_ns: anchor - DAY, end_ns: anchor });
        let period = period_at(anchor, Cycle::HOURLY, anchor + 25 * HOUR);
        assert_eq!((period.index, period.start_ns), (25, anchor + 25 * HOUR));
        let third = period_at(0, Cycle::Every(7), 20);
        assert_eq!(third, Period { index: 2, start_ns: 14, end_ns: 21 });
        assert_eq!(period_at(10, Cycle::Every(7), 2), Period { index: -2, start_ns: 0, end_ns: 3 });
        assert_eq!(period_at(0, Cycle::Every(u64::MAX), u64::MAX).index, 1);
    }
}
