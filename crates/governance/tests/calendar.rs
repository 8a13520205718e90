//! Schedules against a calendar that only knows how to go from one day to the next: 400 years, after which the
//! Gregorian calendar repeats, for each day of a month as the anchor.

use governance::time::{Schedule, WallTime};

const DAY: u64 = 86_400_000_000_000;
const FIRST_YEAR: u64 = 1970;
const YEARS: u64 = 400;

/// A day as people count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    year: u64,
    month: u64,
    day: u64,
}

impl Day {
    fn month_length(self) -> u64 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year.is_multiple_of(400) => 29,
            2 if self.year.is_multiple_of(4) && !self.year.is_multiple_of(100) => 29,
            2 => 28,
            _ => 31,
        }
    }

    fn next(self) -> Self {
        if self.day < self.month_length() {
            Self { day: self.day + 1, ..self }
        } else if self.month < 12 {
            Self { month: self.month + 1, day: 1, ..self }
        } else {
            Self { year: self.year + 1, month: 1, day: 1 }
        }
    }

    /// Whether a period begins on it that is anchored on a day of the month: on that day, or on the last one of a
    /// shorter month.
    fn begins(self, anchor: u64) -> bool {
        self.day == anchor || (self.day == self.month_length() && anchor > self.day)
    }
}

/// Every day, and its number since the first.
fn days() -> impl Iterator<Item = (u64, Day)> {
    let first = Day { year: FIRST_YEAR, month: 1, day: 1 };
    let all = std::iter::successors(Some(first), |day| Some(day.next()));
    (0..).zip(all.take_while(|day| day.year < FIRST_YEAR + YEARS))
}

fn midnight(number: u64) -> WallTime {
    WallTime(number * DAY)
}

fn monthly(anchor: WallTime) -> Schedule {
    Schedule::parse("monthly").expect("a word").anchored(anchor)
}

#[test]
fn every_day_of_400_years_is_in_the_month_that_its_anchor_makes() {
    assert_eq!(days().count(), 146_097, "as many days as 400 Gregorian years have");
    for anchor in 1..=31 {
        // January has all of them.
        let schedule = monthly(midnight(anchor - 1));
        // The beginnings of all periods, counted off day by day; what is before the first began before time.
        let begins: Vec<_> = days().filter(|(_, day)| day.begins(anchor)).map(|(number, _)| number).collect();
        assert_eq!(begins.len(), 4800, "one a month");
        assert_eq!(begins[0], anchor - 1);
        let mut index = -1;
        for (number, _) in days() {
            if begins.get(usize::try_from(index + 1).expect("from 0")).is_some_and(|next| *next == number) {
                index += 1;
            }
            let start = usize::try_from(index).map_or(WallTime(0), |index| midnight(begins[index]));
            // The first instant of a day, one within, and the last.
            for time in [number * DAY, number * DAY + 43_210_987_654_321, number * DAY + DAY - 1] {
                let period = schedule.period_at(WallTime(time));
                assert_eq!((period.index, period.start), (index, start), "anchor {anchor}, day {number}");
                if let Some(next) = begins.get(usize::try_from(index + 1).expect("from 0")) {
                    assert_eq!(period.end, midnight(*next), "anchor {anchor}, day {number}");
                }
            }
        }
    }
}

#[test]
fn periods_of_any_anchor_lie_end_to_end_and_follow_from_the_anchor_alone() {
    // An anchor in each month of a leap year and of the year after, on its last days, at an odd time of the day.
    let late = 82_800_000_000_007;
    let anchors = days().filter(|(_, day)| (2024..2026).contains(&day.year) && day.day > 26);
    for (number, anchor) in anchors {
        let schedule = monthly(WallTime(number * DAY + late));
        let begins: Vec<_> =
            days().filter(|(_, day)| day.begins(anchor.day)).map(|(number, _)| number * DAY + late).collect();
        let own = begins.iter().position(|begin| *begin == number * DAY + late).expect("it begins a period");
        let mut before = None;
        for (place, begin) in begins.into_iter().enumerate() {
            let index = i64::try_from(place).expect("few") - i64::try_from(own).expect("few");
            let period = schedule.period(index);
            assert_eq!((period.index, period.start), (index, WallTime(begin)), "{anchor:?}");
            assert!(before.replace(period.end).is_none_or(|end| end == period.start), "{anchor:?}");
            // Found by its first instant, and not by the one before.
            assert_eq!(schedule.period_at(WallTime(begin)), period);
            assert_eq!(schedule.period_at(WallTime(begin - 1)).index, index - 1);
        }
    }
}

#[test]
fn periods_of_a_length_are_counted_off_from_the_anchor() {
    for (word, length) in [("hourly", DAY / 24), ("daily", DAY), ("90s", 90_000_000_000), ("7d", 7 * DAY)] {
        for anchor in [0, 1, 5 * DAY + 7, 20_000 * DAY + DAY / 2] {
            let schedule = Schedule::parse(word).expect("a word").anchored(WallTime(anchor));
            // Forward from the anchor, by addition, and back, by subtraction.
            let (mut start, mut index) = (anchor, 0);
            for _ in 0..2000 {
                let period = schedule.period_at(WallTime(start));
                assert_eq!(
                    (period.index, period.start.0, period.end.0),
                    (index, start, start + length),
                    "{word}"
                );
                assert_eq!(schedule.period_at(WallTime(start + length - 1)), period);
                (start, index) = (start + length, index + 1);
            }
            let (mut end, mut index) = (anchor, -1);
            while end > 0 && index > -2000 {
                let period = schedule.period_at(WallTime(end - 1));
                let start = end.saturating_sub(length);
                assert_eq!((period.index, period.start.0, period.end.0), (index, start, end), "{word}");
                (end, index) = (start, index - 1);
            }
        }
    }
}
