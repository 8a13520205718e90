//! What a request has taken in the end, where it was charged with what it was expected to take.
//!
//! What was charged too much comes back, as far as it still counts. What was charged too little is charged now, though
//! there may be no room for it: a bucket can then owe, up to as much again as it can hold. Both belong to the window in
//! which the request was charged.

use super::super::log_pool::{EntryMark, Log};
use super::super::{LogPool, Settled};
use super::{Bucket, Terms};
use crate::limit::{RateLimitAlgorithm, WindowShape};
use crate::time::Nanos;

/// Where a charge lies in its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    /// In the level, like any other.
    #[default]
    Level,
    /// In the window that ends then.
    Window {
        /// The end, by the clock of the window.
        end: u64,
    },
    /// In an entry of the log; in none if it was nothing.
    Entry {
        /// The entry.
        entry: EntryMark,
        /// Its time, monotonic.
        at: u64,
    },
    /// Among what is in flight.
    InFlight {
        /// How long at most.
        lease: Nanos,
    },
}

/// How what was taken differs from what was charged.
#[derive(Clone, Copy, Debug)]
enum Difference {
    Less(u64),
    More(u64),
}

impl Terms<'_> {
    /// Where the last charge lies in the settled bucket; none where nothing is counted, or nothing is in flight.
    pub(crate) fn mark<const LOG: usize>(
        &self,
        bucket: &Bucket,
        cost: u64,
        log: &LogPool<LOG>,
    ) -> Option<Mark> {
        match (bucket, self.algorithm) {
            (Bucket::Level { .. }, _) => Some(Mark::Level),
            (Bucket::Window { end, .. }, _) => Some(Mark::Window { end: *end }),
            (Bucket::Log(entries), _) => {
                let entry = if cost > 0 { log.mark(entries) } else { EntryMark::default() };
                Some(Mark::Entry { entry, at: self.note_time(entries, log) })
            }
            (Bucket::InFlight(_), RateLimitAlgorithm::Concurrency(shape)) if cost > 0 => {
                Some(Mark::InFlight { lease: shape.lease })
            }
            (Bucket::InFlight(_) | Bucket::Untouched, _) => None,
        }
    }

    /// Makes the settled bucket what it would be had `actual` been charged instead of `reserved`.
    pub(crate) fn adjust<const LOG: usize>(
        &self,
        bucket: &mut Bucket,
        mark: &Mark,
        (reserved, actual): (u64, u64),
        log: &mut LogPool<LOG>,
    ) -> Settled {
        let difference = match actual.checked_sub(reserved) {
            Some(more) => Difference::More(more),
            None => Difference::Less(reserved - actual),
        };
        match (bucket, mark) {
            (bucket @ Bucket::Level { .. }, Mark::Level) => self.adjust_level(bucket, difference),
            (bucket @ Bucket::Window { .. }, Mark::Window { end }) => match self.algorithm {
                RateLimitAlgorithm::FixedWindow(shape) | RateLimitAlgorithm::SlidingWindow(shape) => {
                    self.adjust_window(bucket, shape, *end, difference)
                }
                _ => Settled::Stale,
            },
            (Bucket::Log(entries), Mark::Entry { entry, at }) => {
                self.adjust_log(entries, *entry, *at, difference, log)
            }
            (Bucket::InFlight(count), Mark::InFlight { .. }) => {
                *count = count.saturating_sub(1);
                Settled::Released
            }
            _ => Settled::Stale,
        }
    }

    fn adjust_level(&self, bucket: &mut Bucket, difference: Difference) -> Settled {
        let (Some(room), Bucket::Level { debt: wide, .. }) = (self.room(bucket), bucket) else {
            return Settled::Stale;
        };
        let debt = wide.get();
        let of_units = |units: u64| u128::from(units) * u128::from(room.per_unit);
        let adjusted = match difference {
            Difference::Less(back) => debt.saturating_sub(of_units(back)),
            Difference::More(more) => debt.saturating_add(of_units(more)).min(debt.max(2 * room.cap)),
        };
        *wide = adjusted.into();
        Settled::Adjusted
    }

    fn adjust_window(
        &self,
        bucket: &mut Bucket,
        shape: &WindowShape,
        charged: u64,
        difference: Difference,
    ) -> Settled {
        let sliding = matches!(self.algorithm, RateLimitAlgorithm::SlidingWindow(_));
        let cap = self.room(bucket).map_or(0, |room| room.cap);
        let (weighted, left) = (self.weighted(shape, bucket), self.left_of_window(shape, bucket));
        let Bucket::Window { current, previous, end } = bucket else { return Settled::Stale };
        // The weight of a unit in the window in which it was charged, and all that is used, in the measure of the cap.
        let (count, weight, used) = if charged == *end && sliding {
            (current, shape.window.0, weighted)
        } else if charged == *end {
            let used = u128::from(*current);
            (current, 1, used)
        } else if sliding && *end != u64::MAX && end.checked_sub(shape.window.0) == Some(charged) {
            (previous, left, weighted)
        } else {
            return Settled::Passed;
        };
        match difference {
            Difference::Less(back) => *count = count.saturating_sub(back),
            Difference::More(more) => {
                let room = (2 * cap).saturating_sub(used) / u128::from(weight.max(1));
                *count = count.saturating_add(more.min(u64::try_from(room).unwrap_or(u64::MAX)));
            }
        }
        Settled::Adjusted
    }

    fn adjust_log<const LOG: usize>(
        &self,
        entries: &mut Log,
        entry: EntryMark,
        at: u64,
        difference: Difference,
        log: &mut LogPool<LOG>,
    ) -> Settled {
        let limit = self.room(&Bucket::Log(*entries)).map_or(0, |room| room.capacity);
        let more = match difference {
            Difference::Less(back) => {
                return if log.subtract_from(entries, entry, at, back) {
                    Settled::Adjusted
                } else {
                    Settled::Passed
                };
            }
            Difference::More(more) => more.min(limit.saturating_mul(2).saturating_sub(entries.sum())),
        };
        let window = self.algorithm.window().map_or(0, |shape| shape.window.0);
        if log.add_to(entries, entry, at, more) {
            Settled::Adjusted
        } else if at.saturating_add(window) <= self.now.instant.0 {
            Settled::Passed
        } else if more == 0 || log.push_late(entries, at, more) {
            Settled::Adjusted
        } else {
            Settled::Lost
        }
    }
}
