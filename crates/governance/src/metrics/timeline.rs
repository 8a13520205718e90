//! What happened when: rings of seconds, minutes, hours and days of UTC.
//!
//! Everything is counted into the present second. When that is over, it is added to its place in each ring, so that
//! counting touches one slot and a day costs as little as a second. A slot in which nothing was counted has no data,
//! which is not the same as zero. All-zero when empty.

use super::count::Count;
use crate::money::NanoUnits;
use crate::time::{NANOS_PER_SECOND, Nanos, WallTime};
use core::fmt;

/// How fine a timeline is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// The last 60 seconds.
    #[default]
    Second,
    /// The last 60 minutes.
    Minute,
    /// The last 72 hours.
    Hour,
    /// The last 31 days.
    Day,
}

impl Resolution {
    /// Every resolution, finest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The resolution that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.word() == word)
    }

    /// How many slots there are.
    #[must_use]
    pub const fn slots(self) -> usize {
        match self {
            Self::Second | Self::Minute => 60,
            Self::Hour => 72,
            Self::Day => 31,
        }
    }

    /// How long a slot is.
    #[must_use]
    pub const fn slot_length(self) -> Nanos {
        Nanos::from_seconds(self.seconds())
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What was counted in a length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Requests that were decided.
    pub requests: u64,
    /// Those that were allowed, now or later.
    pub allowed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Allowed ones that were told to wait, for their turn or in a queue.
    pub delayed: u64,
    /// Outcomes that were told.
    pub outcomes: u64,
    /// Those that failed.
    pub errors: u64,
    /// Answers by the class of their status: 1xx to 5xx.
    pub classes: [u64; 5],
    /// Answers with the status 429, which count as 4xx too.
    pub throttled: u64,
    /// What was charged.
    pub cost: NanoUnits,
    /// Outcomes that told how long they took.
    pub timed: u64,
    /// How long they took, all together, in microseconds.
    pub latency_sum_us: u64,
    /// The longest.
    pub latency_max_us: u64,
}

impl Slot {
    /// Nothing was counted.
    pub const EMPTY: Self = Self {
        requests: 0,
        allowed: 0,
        denied: 0,
        delayed: 0,
        outcomes: 0,
        errors: 0,
        classes: [0; 5],
        throttled: 0,
        cost: NanoUnits::ZERO,
        timed: 0,
        latency_sum_us: 0,
        latency_max_us: 0,
    };

    /// Whether nothing was counted: there is no data.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests == 0 && self.outcomes == 0 && self.cost.0 == 0
    }

    /// The mean latency in microseconds, rounded down; none if no outcome told one.
    #[must_use]
    pub const fn latency_mean_us(&self) -> Option<u64> {
        self.latency_sum_us.checked_div(self.timed)
    }

    /// Adds what was counted in another length of time.
    pub fn add(&mut self, other: &Self) {
        self.requests.count(other.requests);
        self.allowed.count(other.allowed);
        self.denied.count(other.denied);
        self.delayed.count(other.delayed);
        self.outcomes.count(other.outcomes);
        self.errors.count(other.errors);
        for (count, more) in self.classes.iter_mut().zip(other.classes) {
            count.count(more);
        }
        self.throttled.count(other.throttled);
        self.cost.count(other.cost);
        self.timed.count(other.timed);
        self.latency_sum_us.count(other.latency_sum_us);
        self.latency_max_us = self.latency_max_us.max(other.latency_max_us);
    }
}

/// The last `N` slots of one length.
#[derive(Debug)]
struct Ring<const N: usize> {
    slots: [Slot; N],
    /// The number of the latest slot since 1970.
    latest: u64,
}

impl<const N: usize> Ring<N> {
    const EMPTY: Self = Self { slots: [Slot::EMPTY; N], latest: 0 };

    fn reset(&mut self) {
        self.slots.fill(Slot::EMPTY);
        self.latest = 0;
    }

    fn at(number: u64) -> usize {
        usize::try_from(number % N as u64).unwrap_or(0)
    }

    /// Adds what ended to the latest slot, and goes on to another one. Slots between them are empty.
    fn roll(&mut self, ended: &Slot, number: u64) {
        self.slots[Self::at(self.latest)].add(ended);
        let skipped = number.saturating_sub(self.latest).min(N as u64);
        for back in 0..skipped {
            self.slots[Self::at(number - back)] = Slot::EMPTY;
        }
        self.latest = self.latest.max(number);
    }

    /// Every slot, oldest first, with `present` added to the latest one.
    fn each(&self, seconds: u64, present: &Slot, each: &mut impl FnMut(WallTime, Option<&Slot>)) {
        let oldest = self.latest.saturating_sub(N as u64 - 1);
        for number in oldest..=self.latest {
            let mut slot = self.slots[Self::at(number)];
            if number == self.latest {
                slot.add(present);
            }
            let start = WallTime(number.saturating_mul(seconds).saturating_mul(NANOS_PER_SECOND));
            each(start, Some(&slot).filter(|slot| !slot.is_empty()));
        }
    }
}

/// The rings, and the present second before them.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The present second, which is in no ring yet.
    pub(super) present: Slot,
    /// When the present second ends, in nanoseconds of wall time; 0 before anything was counted.
    second_end: u64,
    /// Everything before the present second.
    before: Slot,
    seconds: Ring<60>,
    minutes: Ring<60>,
    hours: Ring<72>,
    days: Ring<31>,
}

impl Timeline {
    pub(super) const EMPTY: Self = Self {
        present: Slot::EMPTY,
        second_end: 0,
        before: Slot::EMPTY,
        seconds: Ring::EMPTY,
        minutes: Ring::EMPTY,
        hours: Ring::EMPTY,
        days: Ring::EMPTY,
    };

    pub(super) fn reset(&mut self) {
        (self.present, self.before, self.second_end) = (Slot::EMPTY, Slot::EMPTY, 0);
        self.seconds.reset();
        self.minutes.reset();
        self.hours.reset();
        self.days.reset();
    }

    /// Whether the present second is over. A clock that went back counts as one that stood still.
    #[inline(always)]
    pub(super) const fn is_over(&self, wall: WallTime) -> bool {
        wall.0 >= self.second_end
    }

    /// Ends the present second and begins that of `wall`, which must not be earlier. Gives the new second's number.
    pub(super) fn roll(&mut self, wall: WallTime) -> u64 {
        let second = wall.0 / NANOS_PER_SECOND;
        self.before.add(&self.present);
        self.seconds.roll(&self.present, second / Resolution::Second.seconds());
        self.minutes.roll(&self.present, second / Resolution::Minute.seconds());
        self.hours.roll(&self.present, second / Resolution::Hour.seconds());
        self.days.roll(&self.present, second / Resolution::Day.seconds());
        self.present = Slot::EMPTY;
        self.second_end = (second + 1).saturating_mul(NANOS_PER_SECOND);
        second
    }

    /// Everything that was ever counted.
    pub(super) fn total(&self) -> Slot {
        let mut total = self.before;
        total.add(&self.present);
        total
    }

    /// Every slot of a resolution, oldest first.
    pub(super) fn each(&self, resolution: Resolution, each: &mut impl FnMut(WallTime, Option<&Slot>)) {
        if self.second_end == 0 {
            return;
        }
        let seconds = resolution.seconds();
        match resolution {
            Resolution::Second => self.seconds.each(seconds, &self.present, each),
            Resolution::Minute => self.minutes.each(seconds, &self.present, each),
            Resolution::Hour => self.hours.each(seconds, &self.present, each),
            Resolution::Day => self.days.each(seconds, &self.present, each),
        }
    }
}
