//! How many things there were in the last minute, in fixed memory.

use crate::time::{Instant, NANOS_PER_SECOND, Nanos};

/// One place for each whole second that a minute touches: 59 whole ones, and one at each end.
const PLACES: usize = 61;
const SECONDS: u64 = PLACES as u64;

/// A count of the current second and of the 60 before it. It is exact in whole seconds: what happened is counted for 60
/// to 61 seconds, so that no 60 seconds, wherever they begin, hold more than it says. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minute {
    seconds: [u32; PLACES],
    /// The current second.
    second: u64,
    total: u64,
}

impl Minute {
    pub(super) const EMPTY: Self = Self { seconds: [0; PLACES], second: 0, total: 0 };

    /// Counts one thing.
    pub(super) fn add(&mut self, now: Instant) {
        self.advance(now);
        let place = &mut self.seconds[Self::place(self.second)];
        *place = place.saturating_add(1);
        self.total += 1;
    }

    /// Takes one thing of the current second back.
    pub(super) fn take_back(&mut self, now: Instant) {
        self.advance(now);
        let place = &mut self.seconds[Self::place(self.second)];
        if *place > 0 {
            *place -= 1;
            self.total -= 1;
        }
    }

    /// Lets time pass. Each second is emptied once, and at most all of them.
    pub(super) fn advance(&mut self, now: Instant) {
        self.total = self.total(now);
        let second = (now.0 / NANOS_PER_SECOND).max(self.second);
        for gone in self.second + 1..=second.min(self.second + SECONDS) {
            self.seconds[Self::place(gone)] = 0;
        }
        self.second = second;
    }

    /// How many there were.
    pub(super) fn total(&self, now: Instant) -> u64 {
        let second = (now.0 / NANOS_PER_SECOND).max(self.second);
        let gone = self.second + 1..=second.min(self.second + SECONDS);
        let gone = gone.map(|second| u64::from(self.seconds[Self::place(second)])).sum();
        self.total.saturating_sub(gone)
    }

    /// How long until there are fewer than `most`, which is at least 1, if nothing is added.
    pub(super) fn room_in(&self, now: Instant, most: u32) -> Nanos {
        let mut total = self.total;
        for second in self.second.saturating_sub(SECONDS - 1)..=self.second {
            if total < u64::from(most) {
                break;
            }
            total = total.saturating_sub(self.seconds[Self::place(second)].into());
            if total < u64::from(most) {
                return Instant((second + SECONDS).saturating_mul(NANOS_PER_SECOND)).since(now);
            }
        }
        Nanos::ZERO
    }

    fn place(second: u64) -> usize {
        usize::try_from(second % SECONDS).unwrap_or(0)
    }
}
