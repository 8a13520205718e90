//! How fast the errors that an objective allows are used up, over windows from five minutes to three days.
//!
//! A rate of 1 uses them up just when the objective's time is over. Three pairs of windows are looked at; a pair is
//! lit while both of its windows burn faster than it allows: the long one shows that it matters, the short one that it
//! is still so. Windows are whole slots of time, the present one included, which is not over yet.
//!
//! Source: Google, "The Site Reliability Workbook", chapter 5, multiwindow, multi-burn-rate alerts.

use super::rule::PPM;
use crate::scope::KeyHash;
use crate::time::Instant;
use core::fmt;

/// A pair says nothing before its long window holds so many outcomes.
pub const BURN_EVENTS_MIN: u64 = 20;
const MINUTE: u64 = 60_000_000_000;

/// A pair of windows, the most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BurnWindows {
    /// 14.4 times as fast as allowed over an hour and over the last five minutes.
    #[default]
    Hour,
    /// 6 times over six hours and over the last thirty minutes.
    SixHours,
    /// As fast as allowed over three days and over the last six hours.
    ThreeDays,
}

impl BurnWindows {
    /// Every pair, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::SixHours, Self::ThreeDays];

    /// How many times as fast as allowed is too fast, in thousandths.
    #[must_use]
    pub const fn burn_milli(self) -> i128 {
        match self {
            Self::Hour => 14_400,
            Self::SixHours => 6_000,
            Self::ThreeDays => 1_000,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// `1h and 5m`.
impl fmt::Display for BurnWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hour => "1h and 5m",
            Self::SixHours => "6h and 30m",
            Self::ThreeDays => "3d and 6h",
        })
    }
}

/// What became of a request, as an objective sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SloEvent {
    /// It succeeded.
    Good,
    /// It failed.
    Bad,
}

/// How many of each there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    good: u32,
    bad: u32,
}

/// The same over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    total: u64,
    bad: u64,
}

impl Sum {
    fn of<'a>(slots: impl Iterator<Item = &'a Slot>) -> Self {
        slots.fold(Self::default(), |sum, slot| Self {
            total: sum.total + u64::from(slot.good) + u64::from(slot.bad),
            bad: sum.bad + u64::from(slot.bad),
        })
    }

    /// Whether it burns faster than `burn_milli`, without a division that would round.
    fn is_faster(self, burn_milli: i128, allowed_ppm: u32) -> bool {
        // At most 2^40 events of each: the products stay below 2^80.
        i128::from(self.bad) * i128::from(PPM) * 1000
            > burn_milli * i128::from(allowed_ppm) * i128::from(self.total)
    }

    /// How fast it burns, in thousandths, rounded down; 0 where there is nothing.
    fn burn_milli(self, allowed_ppm: u32) -> i128 {
        let scaled = i128::from(self.bad) * i128::from(PPM) * 1000;
        scaled.checked_div(i128::from(allowed_ppm) * i128::from(self.total)).unwrap_or(0)
    }
}

/// The last `N` slots of one length.
#[derive(Clone, Copy, Debug)]
struct Ring<const N: usize> {
    slots: [Slot; N],
    /// The number of the present slot, counted from the clock's zero.
    present: u64,
}

impl<const N: usize> Ring<N> {
    const EMPTY: Self = Self { slots: [Slot { good: 0, bad: 0 }; N], present: 0 };

    /// Goes on to slot `number`, and empties those that lie between. Time that goes back stays in the present slot.
    fn advance(&mut self, number: u64) {
        let passed = number.saturating_sub(self.present);
        if passed >= N as u64 {
            self.slots = [Slot::default(); N];
        } else {
            (1..=passed).for_each(|step| self.slots[Self::place(self.present + step)] = Slot::default());
        }
        self.present = self.present.max(number);
    }

    fn record(&mut self, number: u64, event: SloEvent) {
        self.advance(number);
        let slot = &mut self.slots[Self::place(self.present)];
        let count = match event {
            SloEvent::Good => &mut slot.good,
            SloEvent::Bad => &mut slot.bad,
        };
        *count = count.saturating_add(1);
    }

    /// The sum of the last `slots` slots, the present one included.
    fn last(&self, slots: u64) -> Sum {
        let first = (self.present + 1).saturating_sub(slots);
        Sum::of((first..=self.present).map(|number| &self.slots[Self::place(number)]))
    }

    fn place(number: u64) -> usize {
        usize::try_from(number % N as u64).unwrap_or(0)
    }
}

/// What a pair of windows says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There is too little to tell.
    Unknown,
    Slow,
    Fast,
}

/// What an objective says as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BurnReading {
    /// Whether a pair is lit; none while there is too little to tell whether those that were lit still are.
    pub(super) is_burning: Option<bool>,
    /// The most urgent pair that is lit, else the last that was, else the first.
    pub(super) windows: BurnWindows,
    /// How fast the slower of its two windows burns, in thousandths.
    pub(super) burn_milli: i128,
}

/// An objective: what has become of the requests of one service, or of all. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slo {
    minutes: Ring<60>,
    fives: Ring<72>,
    hours: Ring<72>,
    /// Whose requests; zero while the objective is of all.
    pub(super) hash: KeyHash,
    /// The pairs that are lit, a bit for each.
    lit: u8,
}

impl Slo {
    pub(super) const EMPTY: Self =
        Self { minutes: Ring::EMPTY, fives: Ring::EMPTY, hours: Ring::EMPTY, hash: KeyHash(0), lit: 0 };

    /// One that has counted nothing.
    pub(super) const fn of(hash: KeyHash) -> Self {
        Self { hash, ..Self::EMPTY }
    }

    pub(super) fn record(&mut self, now: Instant, event: SloEvent) {
        let minute = now.0 / MINUTE;
        self.minutes.record(minute, event);
        self.fives.record(minute / 5, event);
        self.hours.record(minute / 60, event);
    }

    /// Looks at all pairs now, and remembers which are lit.
    pub(super) fn evaluate(&mut self, now: Instant, objective_ppm: u32) -> BurnReading {
        let minute = now.0 / MINUTE;
        self.minutes.advance(minute);
        self.fives.advance(minute / 5);
        self.hours.advance(minute / 60);
        let allowed = PPM - objective_ppm.min(PPM);
        let (mut fast, mut unknown) = (0, 0);
        for windows in BurnWindows::ALL {
            match verdict(windows.burn_milli(), self.sums(windows), allowed) {
                Verdict::Fast => fast |= windows.bit(),
                Verdict::Unknown => unknown |= windows.bit(),
                Verdict::Slow => {}
            }
        }
        let was = self.lit;
        self.lit = fast | was & unknown;
        let is_burning = if fast != 0 {
            Some(true)
        } else if self.lit != 0 || unknown == 0b111 {
            None
        } else {
            Some(false)
        };
        let most_urgent = |lit: u8| BurnWindows::ALL.into_iter().find(|windows| lit & windows.bit() != 0);
        let windows = most_urgent(fast).or(most_urgent(self.lit)).or(most_urgent(was)).unwrap_or_default();
        let (long, short) = self.sums(windows);
        let burn_milli = long.burn_milli(allowed).min(short.burn_milli(allowed));
        BurnReading { is_burning, windows, burn_milli }
    }

    /// The long window of a pair and the short one.
    fn sums(&self, windows: BurnWindows) -> (Sum, Sum) {
        match windows {
            BurnWindows::Hour => (self.minutes.last(60), self.minutes.last(5)),
            BurnWindows::SixHours => (self.fives.last(72), self.fives.last(6)),
            BurnWindows::ThreeDays => (self.hours.last(72), self.fives.last(72)),
        }
    }
}

/// Both windows have to be fast, so that one that is slow decides. An empty window decides nothing.
fn verdict(burn_milli: i128, (long, short): (Sum, Sum), allowed_ppm: u32) -> Verdict {
    for window in [long, short] {
        if window.total == 0 {
            return Verdict::Unknown;
        }
        if !window.is_faster(burn_milli, allowed_ppm) {
            return Verdict::Slow;
        }
    }
    if long.total < BURN_EVENTS_MIN { Verdict::Unknown } else { Verdict::Fast }
}
