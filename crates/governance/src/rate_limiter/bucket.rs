//! The arithmetic of the algorithms: one bucket, its state, and exact whole numbers.
//!
//! Every algorithm is put in the same terms. A settled bucket has a *credit* out of a *cap*, and one unit of
//! cost takes *per unit* of it, each in the algorithm's own measure, so that a cost `q` fits if and only if
//! `q ≤ capacity` and `credit ≥ q · per unit`, without a division:
//!
//! | algorithm | cap | credit | per unit |
//! |---|---|---|---|
//! | token bucket, leaky bucket and queue, `B` at `C` per `P` ns | `B·P` | `cap − debt`, the debt shrinking by `C` each ns | `P` |
//! | fixed window, `L` in `W` ns | `L` | `L − count` | 1 |
//! | sliding window | `L·W` | `cap − previous·(W − e) − current·W`, `e` ns into the window | `W` |
//! | sliding log | `L` | `L − sum` | 1 |
//! | concurrency | `L` | `L − in flight` | 1 |
//!
//! A request that was charged with a reserve may in the end have taken more (`adjust`), so that more can be used than
//! the cap: the credit is 0 then, and what is owed beyond counts in every wait. It is never more than the cap again, which
//! is below two to the power of 101.
//!
//! The bucket keeps what was *used* and not what is left, so that an untouched bucket is all-zero and full, and
//! a change of capacity keeps what was used by leaving the state alone. For the token bucket this is the
//! credit form of Weir's design with `debt = cap − credit`; it equals GCRA in scaled time.
//!
//! The path of a decision through a token or leaky bucket is short and inlined. The other algorithms stand in
//! functions of their own, out of its way, which take [`Terms`] by value so that it can stay in registers.

mod adjust;

pub(crate) use adjust::Mark;

use super::LimitId;
use super::log_pool::{Log, LogPool};
use crate::decision::{LimitStanding, Sharing, Wait, div_ceil_nanos};
use crate::limit::{Align, BucketShape, RateLimitAlgorithm, WindowShape};
use crate::scope::KeyHash;
use crate::time::{Nanos, Now};

/// The state of one bucket. All-zero when untouched, which is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bucket {
    #[default]
    Untouched,
    /// What is owed, and when that was so.
    Level { debt: Wide, at: u64 },
    /// The counts of this window and the one before it, and where this one ends.
    Window { current: u64, previous: u64, end: u64 },
    /// What was charged within the window.
    Log(Log),
    /// How many requests are in flight.
    InFlight(u64),
}

/// A `u128` aligned like a `u64`, so that a slot of the table stays within a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wide([u64; 2]);

impl Wide {
    const fn get(self) -> u128 {
        (self.0[1] as u128) << 64 | self.0[0] as u128
    }
}

impl From<u128> for Wide {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are taken apart on purpose")]
    fn from(value: u128) -> Self {
        Self([value as u64, (value >> 64) as u64])
    }
}

/// A one-off extra capacity that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) extra: u64,
    /// Nanoseconds of the monotonic clock; the extra is there before, and not at, this time.
    pub(crate) until: u64,
}

/// The terms under which a bucket is looked at: the limit's algorithm, the key, the time, the grant if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) algorithm: &'a RateLimitAlgorithm,
    pub(crate) hash: KeyHash,
    pub(crate) now: Now,
    pub(crate) grant: Grant,
}

/// How a settled bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// The largest cost that can ever pass.
    pub(crate) capacity: u64,
    pub(crate) credit: u128,
    pub(crate) cap: u128,
    pub(crate) per_unit: u64,
}

impl Room {
    /// Whether a cost fits now.
    pub(crate) const fn fits(&self, cost: u64) -> bool {
        // cost ≤ capacity and capacity · per unit < 2^100: the product cannot overflow.
        cost <= self.capacity && self.credit >= cost as u128 * self.per_unit as u128
    }

    /// How it stands after `cost`, which fits, was charged.
    pub(crate) const fn after(self, cost: u64) -> Self {
        Self { credit: self.credit - cost as u128 * self.per_unit as u128, ..self }
    }

    /// Whether at least half of it is left.
    #[inline]
    pub(crate) const fn is_ample(&self) -> bool {
        self.credit.wrapping_mul(2) >= self.cap
    }

    /// Whether less of its capacity is left than of `other`'s: `credit / cap` compared by cross-multiplication.
    pub(crate) fn is_tighter_than(&self, other: &Self) -> bool {
        if let (Some(left), Some(right)) =
            (self.credit.checked_mul(other.cap), other.credit.checked_mul(self.cap))
        {
            left < right
        } else {
            widening_mul(self.credit, other.cap) < widening_mul(other.credit, self.cap)
        }
    }
}

/// The 256-bit product, upper half first.
fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a0 * b0;
    // Each partial product is at most (2^64 − 1)^2, so that adding two halves to it cannot overflow.
    let middle = a1 * b0 + (low >> 64);
    let middle_low = a0 * b1 + (middle & LOW);
    (a1 * b1 + (middle >> 64) + (middle_low >> 64), middle_low << 64 | low & LOW)
}

impl Terms<'_> {
    /// The extra capacity that is there now.
    const fn extra(&self) -> u64 {
        if self.now.instant.0 < self.grant.until { self.grant.extra } else { 0 }
    }

    /// The time that windows of this alignment go by.
    const fn clock(&self, align: Align) -> u64 {
        match align {
            Align::Spread => self.now.instant.0,
            Align::Clock => self.now.wall.0,
        }
    }

    /// Where this key's windows begin, within one window.
    fn phase(&self, shape: &WindowShape) -> u64 {
        match shape.align {
            Align::Clock => 0,
            Align::Spread => {
                let scaled = u128::from(self.hash.0) * u128::from(shape.window.0);
                u64::try_from(scaled >> 64).unwrap_or(0)
            }
        }
    }

    /// The end of the window that holds `time`. The last window of all time has no end.
    fn window_end(&self, shape: &WindowShape, time: u64) -> u64 {
        let window = u128::from(shape.window.0);
        let phase = u128::from(self.phase(shape));
        // The first window ends at the phase if there is one, so that it may be shorter.
        let ended = (u128::from(time) + window - phase) / window;
        u64::try_from(ended * window + phase).unwrap_or(u64::MAX)
    }

    /// Brings the bucket to the present.
    #[inline(always)]
    pub(crate) fn settle<const LOG: usize>(&self, bucket: &mut Bucket, log: &mut LogPool<LOG>) {
        match self.algorithm.bucket() {
            Some(shape) => self.settle_level(bucket, &shape),
            None => self.settle_other(bucket, log),
        }
    }

    #[inline(never)]
    fn settle_other<const LOG: usize>(self, bucket: &mut Bucket, log: &mut LogPool<LOG>) {
        match self.algorithm {
            RateLimitAlgorithm::FixedWindow(shape) | RateLimitAlgorithm::SlidingWindow(shape) => {
                self.settle_window(bucket, shape);
            }
            RateLimitAlgorithm::SlidingLog(shape) => {
                if let Bucket::Log(entries) = bucket {
                    if let Some(until) = self.now.instant.0.checked_sub(shape.window.0) {
                        log.expire(entries, until);
                    }
                } else {
                    *bucket = Bucket::Log(Log::default());
                }
            }
            RateLimitAlgorithm::Concurrency(_) if !matches!(bucket, Bucket::InFlight(_)) => {
                *bucket = Bucket::InFlight(0);
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn settle_level(&self, bucket: &mut Bucket, shape: &BucketShape) {
        let now = self.now.instant.0;
        let Bucket::Level { debt: wide, at } = bucket else {
            *bucket = Bucket::Level { debt: Wide::default(), at: now };
            return;
        };
        let mut debt = wide.get();
        let drained = |debt: u128, from: u64, to: u64| {
            debt.saturating_sub(u128::from(to.saturating_sub(from)) * u128::from(shape.rate.count))
        };
        if self.grant.extra != 0 && now >= self.grant.until {
            // What was used beyond the capacity that remains is forgiven when the extra ends.
            debt = drained(debt, *at, self.grant.until).min(cap(shape));
            *at = self.grant.until.max(*at);
        }
        *wide = drained(debt, *at, now).into();
        *at = now.max(*at);
    }

    fn settle_window(&self, bucket: &mut Bucket, shape: &WindowShape) {
        let time = self.clock(shape.align);
        let Bucket::Window { current, previous, end } = bucket else {
            *bucket = Bucket::Window { current: 0, previous: 0, end: self.window_end(shape, time) };
            return;
        };
        if time < *end || *end == u64::MAX {
            return;
        }
        *previous = *current;
        *current = 0;
        *end = end.saturating_add(shape.window.0);
        if time >= *end && *end != u64::MAX {
            *previous = 0;
            *end = self.window_end(shape, time);
        }
    }

    /// How the settled bucket stands; none if the algorithm has no bucket.
    #[inline(always)]
    pub(crate) fn room(&self, bucket: &Bucket) -> Option<Room> {
        let Some(shape) = self.algorithm.bucket() else { return self.room_of_other(bucket) };
        let shape = with_extra(&shape, self.extra());
        let debt = if let Bucket::Level { debt, .. } = bucket { debt.get() } else { 0 };
        let cap = cap(&shape);
        let (capacity, per_unit) = (shape.capacity, shape.rate.period.0);
        Some(Room { capacity, credit: cap.saturating_sub(debt), cap, per_unit })
    }

    /// Whether less than a fifth of the settled bucket is left.
    #[inline(always)]
    pub(crate) fn is_nearly_used_up(&self, bucket: &Bucket) -> bool {
        match (self.algorithm.bucket(), bucket) {
            // More than four fifths are used. Both are below 2^101, so that nothing wraps.
            (Some(shape), Bucket::Level { debt, .. }) => {
                let cap = cap(&with_extra(&shape, self.extra()));
                debt.get().wrapping_mul(5) > cap.wrapping_mul(4)
            }
            _ => self.is_other_nearly_used_up(bucket),
        }
    }

    #[inline(never)]
    fn is_other_nearly_used_up(self, bucket: &Bucket) -> bool {
        self.room_of_other(bucket).is_some_and(|room| room.credit * 5 < room.cap)
    }

    #[inline(never)]
    fn room_of_other(self, bucket: &Bucket) -> Option<Room> {
        let extra = self.extra();
        Some(match (self.algorithm, bucket) {
            (RateLimitAlgorithm::FixedWindow(shape), bucket) => {
                let count = if let Bucket::Window { current, .. } = bucket { *current } else { 0 };
                counted(shape.limit.saturating_add(extra), count)
            }
            (RateLimitAlgorithm::SlidingLog(shape), bucket) => {
                let sum = if let Bucket::Log(entries) = bucket { entries.sum() } else { 0 };
                counted(shape.limit.saturating_add(extra), sum)
            }
            (RateLimitAlgorithm::SlidingWindow(shape), bucket) => {
                let limit = shape.limit.saturating_add(extra);
                let per_unit = shape.window.0;
                let cap = u128::from(limit) * u128::from(per_unit);
                let used = self.weighted(shape, bucket);
                Room { capacity: limit, credit: cap.saturating_sub(used), cap, per_unit }
            }
            (RateLimitAlgorithm::Concurrency(shape), bucket) => {
                counted(shape.limit, if let Bucket::InFlight(count) = bucket { *count } else { 0 })
            }
            _ => return None,
        })
    }

    /// Both counts of a sliding window, weighted, in units × nanoseconds.
    fn weighted(&self, shape: &WindowShape, bucket: &Bucket) -> u128 {
        let Bucket::Window { current, previous, .. } = bucket else { return 0 };
        let previous = u128::from(*previous) * u128::from(self.left_of_window(shape, bucket));
        // A live change can leave more in a window than its limit has, so that the sum of both may be out of range.
        previous.saturating_add(u128::from(*current) * u128::from(shape.window.0))
    }

    /// How much of the current window is left; a clock that went back stands at the window's start.
    fn left_of_window(&self, shape: &WindowShape, bucket: &Bucket) -> u64 {
        let Bucket::Window { end, .. } = bucket else { return 0 };
        end.saturating_sub(self.clock(shape.align)).min(shape.window.0)
    }

    /// How long a request that joins a leaky queue waits for what is before it.
    #[inline(always)]
    pub(crate) fn delay(&self, bucket: &Bucket) -> Nanos {
        match (self.algorithm, bucket) {
            (RateLimitAlgorithm::LeakyQueue(shape), Bucket::Level { debt, .. }) => {
                div_ceil_nanos(debt.get(), shape.rate.count)
            }
            _ => Nanos::ZERO,
        }
    }

    /// Whether the log of an exact window can note a charge now, and keeps the entry for one that comes once every
    /// limit has agreed. Other algorithms always can.
    #[inline(always)]
    pub(crate) fn promise_note<const LOG: usize>(&self, bucket: &Bucket, log: &mut LogPool<LOG>) -> bool {
        match bucket {
            Bucket::Log(entries) => log.promise(entries, self.note_time(entries, log)),
            _ => true,
        }
    }

    /// Whether the log of an exact window can note a charge and leave enough to others. Other algorithms always can.
    pub(crate) fn has_spare_note<const LOG: usize>(&self, bucket: &Bucket, log: &LogPool<LOG>) -> bool {
        match bucket {
            Bucket::Log(entries) => log.can_spare(entries, self.note_time(entries, log)),
            _ => true,
        }
    }

    /// Entries are in the order of time, whatever the clock does.
    fn note_time<const LOG: usize>(&self, entries: &Log, log: &LogPool<LOG>) -> u64 {
        self.now.instant.0.max(log.last(entries).unwrap_or(0))
    }

    /// Charges a cost to the settled bucket. The caller has made sure that it fits and can be noted.
    #[inline(always)]
    pub(crate) fn charge<const LOG: usize>(&self, bucket: &mut Bucket, cost: u64, log: &mut LogPool<LOG>) {
        if let Bucket::Level { debt, .. } = bucket {
            let period = self.algorithm.bucket().map_or(0, |shape| shape.rate.period.0);
            *debt = (debt.get() + u128::from(cost) * u128::from(period)).into();
        } else {
            self.charge_other(bucket, cost, log);
        }
    }

    #[inline(never)]
    fn charge_other<const LOG: usize>(self, bucket: &mut Bucket, cost: u64, log: &mut LogPool<LOG>) {
        match bucket {
            Bucket::Window { current, .. } => *current = current.saturating_add(cost),
            Bucket::Log(entries) => {
                let at = self.note_time(entries, log);
                // Room for the entry was checked together with every other limit of the request.
                let noted = log.push(entries, at, cost);
                assert!(noted.is_ok(), "an entry was promised to a charge and is gone");
            }
            Bucket::InFlight(count) => *count = count.saturating_add(cost),
            Bucket::Level { .. } | Bucket::Untouched => {}
        }
    }

    /// Gives back up to `amount` of what was used.
    pub(crate) fn refund<const LOG: usize>(&self, bucket: &mut Bucket, amount: u64, log: &mut LogPool<LOG>) {
        match bucket {
            Bucket::Level { debt, .. } => {
                let period = self.algorithm.bucket().map_or(0, |shape| shape.rate.period.0);
                let back = u128::from(amount).saturating_mul(u128::from(period));
                *debt = debt.get().saturating_sub(back).into();
            }
            Bucket::Window { current, previous, .. } => {
                let of_current = amount.min(*current);
                *current -= of_current;
                *previous = previous.saturating_sub(amount - of_current);
            }
            Bucket::Log(entries) => log.subtract(entries, amount),
            Bucket::InFlight(_) | Bucket::Untouched => {}
        }
    }

    /// How many whole units are left in the settled bucket.
    pub(crate) fn left(&self, bucket: &Bucket) -> u64 {
        let left = self.room(bucket).map_or(0, |room| room.credit / u128::from(room.per_unit.max(1)));
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    /// Takes all that is left in the settled bucket. The caller has made sure that it can be noted.
    pub(crate) fn drain<const LOG: usize>(&self, bucket: &mut Bucket, log: &mut LogPool<LOG>) {
        let Some(room) = self.room(bucket) else { return };
        if let Bucket::Level { debt, .. } = bucket {
            // The fraction of a unit goes too; what is owed beyond the cap stays.
            *debt = debt.get().max(room.cap).into();
        } else {
            let left = self.left(bucket);
            if left > 0 {
                self.charge_other(bucket, left, log);
            }
        }
    }

    /// Forgives what a bucket has used beyond its capacity. Windows keep their counts, which pass by themselves.
    pub(crate) fn forgive(&self, bucket: &mut Bucket) {
        if let (Some(room), Bucket::Level { debt, .. }) = (self.room(bucket), bucket) {
            *debt = debt.get().min(room.cap).into();
        }
    }

    /// How long until a cost that does not fit now will, if nothing else is charged.
    #[inline(always)]
    pub(crate) fn wait<const LOG: usize>(&self, bucket: &Bucket, cost: u64, log: &LogPool<LOG>) -> Wait {
        match (self.algorithm.bucket(), bucket) {
            (Some(shape), Bucket::Level { debt, .. }) if cost <= shape.capacity && self.extra() == 0 => {
                let needed = debt.get() + u128::from(cost) * u128::from(shape.rate.period.0);
                Wait::For(div_ceil_nanos(needed.saturating_sub(cap(&shape)), shape.rate.count))
            }
            _ => self.wait_of_other(bucket, cost, log),
        }
    }

    #[inline(never)]
    fn wait_of_other<const LOG: usize>(self, bucket: &Bucket, cost: u64, log: &LogPool<LOG>) -> Wait {
        let Some(room) = self.room(bucket) else {
            return if matches!(self.algorithm, RateLimitAlgorithm::Ban) {
                Wait::Never
            } else {
                Wait::For(Nanos::ZERO)
            };
        };
        let wait = if cost > room.capacity {
            Wait::Never
        } else {
            Wait::For(self.wait_within(bucket, cost, &room, log))
        };
        let left = self.grant.until.saturating_sub(self.now.instant.0);
        match wait {
            // The extra capacity ends before the wait does: what comes after it counts.
            Wait::For(Nanos(nanos)) if self.extra() != 0 && nanos >= left => {
                self.wait_beyond_grant(bucket, cost, log)
            }
            wait => wait,
        }
    }

    fn wait_beyond_grant<const LOG: usize>(&self, bucket: &Bucket, cost: u64, log: &LogPool<LOG>) -> Wait {
        let left = Nanos(self.grant.until.saturating_sub(self.now.instant.0));
        let now = Now {
            instant: self.now.instant.after(left),
            wall: crate::time::WallTime(self.now.wall.0.saturating_add(left.0)),
        };
        let later = Terms { now, ..*self };
        let mut bucket = *bucket;
        match (&mut bucket, self.algorithm) {
            (
                Bucket::Level { .. },
                RateLimitAlgorithm::TokenBucket(shape)
                | RateLimitAlgorithm::LeakyBucket(shape)
                | RateLimitAlgorithm::LeakyQueue(shape),
            ) => {
                later.settle_level(&mut bucket, shape);
            }
            (
                Bucket::Window { .. },
                RateLimitAlgorithm::FixedWindow(shape) | RateLimitAlgorithm::SlidingWindow(shape),
            ) => {
                later.settle_window(&mut bucket, shape);
            }
            _ => {}
        }
        let after = Terms { grant: Grant::default(), ..later };
        match after.room(&bucket) {
            Some(room) if cost > room.capacity => Wait::Never,
            Some(room) if room.fits(cost) => Wait::For(left),
            Some(room) => {
                let Nanos(more) = after.wait_within(&bucket, cost, &room, log);
                Wait::For(Nanos(left.0.saturating_add(more)))
            }
            None => Wait::For(left),
        }
    }

    fn wait_within<const LOG: usize>(
        &self,
        bucket: &Bucket,
        cost: u64,
        room: &Room,
        log: &LogPool<LOG>,
    ) -> Nanos {
        match (self.algorithm, bucket) {
            (RateLimitAlgorithm::FixedWindow(shape), _) => Nanos(self.left_of_window(shape, bucket)),
            (RateLimitAlgorithm::SlidingWindow(shape), _) => self.sliding_wait(shape, bucket, cost, room),
            (RateLimitAlgorithm::SlidingLog(shape), Bucket::Log(entries)) => {
                let missing =
                    (u128::from(entries.sum()) + u128::from(cost)).saturating_sub(u128::from(room.capacity));
                let freed_at = log.time_when_freed(entries, missing).unwrap_or(self.now.instant.0);
                Nanos(freed_at.saturating_add(shape.window.0).saturating_sub(self.now.instant.0))
            }
            // By then whatever runs now has ended.
            (RateLimitAlgorithm::Concurrency(shape), _) => shape.lease,
            (_, Bucket::Level { debt, .. }) => {
                let count = self.algorithm.bucket().map_or(1, |shape| shape.rate.count);
                let needed = debt.get() + u128::from(cost) * u128::from(room.per_unit);
                div_ceil_nanos(needed.saturating_sub(room.cap), count)
            }
            _ => Nanos::ZERO,
        }
    }

    /// The wait of a sliding window: within this window while the earlier count loses weight, or in the next one
    /// while the present count does.
    fn sliding_wait(&self, shape: &WindowShape, bucket: &Bucket, cost: u64, room: &Room) -> Nanos {
        let Bucket::Window { current, previous, .. } = bucket else { return Nanos::ZERO };
        let window = shape.window.0;
        let left = self.left_of_window(shape, bucket);
        // The time into a window after which the weight of `earlier` has come down to what `allowed` leaves.
        let until_light = |earlier: u64, allowed: u64| {
            let kept = u128::from(allowed) * u128::from(window) / u128::from(earlier.max(1));
            window - u64::try_from(kept).unwrap_or(u64::MAX).min(window)
        };
        Nanos(match (room.capacity - cost).checked_sub(*current) {
            Some(allowed) => until_light(*previous, allowed).saturating_sub(window - left),
            None => left.saturating_add(until_light(*current, room.capacity - cost)),
        })
    }

    /// How much is missing until the settled bucket is full again, and how much of that comes each nanosecond. What
    /// becomes full all at once lacks the time until then.
    #[inline(always)]
    fn refill<const LOG: usize>(&self, bucket: &Bucket, log: &LogPool<LOG>) -> (u128, u64) {
        match (self.algorithm.bucket(), bucket) {
            (Some(shape), Bucket::Level { debt, .. }) => (self.missing(&shape, debt.get()), shape.rate.count),
            _ => (self.full_in_of_other(bucket, log).0.into(), 1),
        }
    }

    #[inline(always)]
    fn missing(&self, shape: &BucketShape, debt: u128) -> u128 {
        if self.extra() == 0 {
            return debt;
        }
        // What is used beyond the capacity when the extra ends is forgiven and need not come back.
        let left = self.grant.until.saturating_sub(self.now.instant.0);
        let drained = u128::from(left) * u128::from(shape.rate.count);
        debt.min(cap(shape).saturating_add(drained))
    }

    #[inline(never)]
    fn full_in_of_other<const LOG: usize>(self, bucket: &Bucket, log: &LogPool<LOG>) -> Nanos {
        match (self.algorithm, bucket) {
            (RateLimitAlgorithm::FixedWindow(shape), Bucket::Window { current, .. }) if *current > 0 => {
                Nanos(self.left_of_window(shape, bucket))
            }
            (RateLimitAlgorithm::SlidingWindow(shape), Bucket::Window { current, previous, .. }) => {
                let left = self.left_of_window(shape, bucket);
                Nanos(match (current, previous) {
                    (0, 0) => 0,
                    (0, _) => left,
                    _ => left.saturating_add(shape.window.0),
                })
            }
            (RateLimitAlgorithm::SlidingLog(shape), Bucket::Log(entries)) => {
                // Entries that were refunded stay for their time without weight.
                let full_at =
                    log.last_with_weight(entries).map_or(0, |last| last.saturating_add(shape.window.0));
                Nanos(full_at.saturating_sub(self.now.instant.0))
            }
            (RateLimitAlgorithm::Concurrency(shape), Bucket::InFlight(count)) if *count > 0 => shape.lease,
            _ => Nanos::ZERO,
        }
    }

    /// How the settled bucket of a limit stands, in words for whoever asks.
    #[inline(always)] // see `RateLimiter`: its answer would go through memory
    pub(crate) fn standing<const LOG: usize>(
        &self,
        limit: LimitId,
        shared: Sharing,
        bucket: &Bucket,
        log: &LogPool<LOG>,
    ) -> LimitStanding {
        let room = self.room(bucket);
        let (missing, each_nano) = room.map_or((0, 1), |_| self.refill(bucket, log));
        LimitStanding {
            limit,
            shared,
            capacity: room.map(|room| room.capacity),
            credit: room.map_or(0, |room| room.credit),
            per_unit: room.map_or(1, |room| room.per_unit),
            missing,
            each_nano,
        }
    }

    /// Whether forgetting the bucket changes no decision: nothing of what was used counts any more.
    pub(crate) fn is_fresh<const LOG: usize>(&self, bucket: &Bucket, log: &LogPool<LOG>) -> bool {
        if self.extra() != 0 {
            return false;
        }
        let now = self.now.instant.0;
        match (self.algorithm, bucket) {
            (_, Bucket::Untouched) | (RateLimitAlgorithm::Unlimited | RateLimitAlgorithm::Ban, _) => true,
            (_, Bucket::Level { debt, at }) => {
                let count = self.algorithm.bucket().map_or(0, |shape| shape.rate.count);
                debt.get() <= u128::from(now.saturating_sub(*at)) * u128::from(count)
            }
            (RateLimitAlgorithm::SlidingWindow(shape), Bucket::Window { current, previous, end }) => {
                let time = self.clock(shape.align);
                let over = |end: u64| time >= end && end != u64::MAX;
                *current == 0 && (*previous == 0 || over(*end)) || over(end.saturating_add(shape.window.0))
            }
            (algorithm, Bucket::Window { current, end, .. }) => {
                let align = algorithm.window().map_or(Align::Spread, |shape| shape.align);
                *current == 0 || self.clock(align) >= *end && *end != u64::MAX
            }
            (algorithm, Bucket::Log(entries)) => {
                let window = algorithm.window().map_or(0, |shape| shape.window.0);
                entries.sum() == 0
                    || log
                        .last(entries)
                        .is_none_or(|last| now.checked_sub(window).is_some_and(|until| last <= until))
            }
            (_, Bucket::InFlight(count)) => *count == 0,
        }
    }

    /// What the settled bucket has used, in whole units, rounded up.
    pub(crate) fn used(&self, bucket: &Bucket) -> u64 {
        let used = match (self.algorithm, bucket) {
            (_, Bucket::Untouched) => 0,
            (algorithm, Bucket::Level { debt, .. }) => {
                let period = algorithm.bucket().map_or(1, |shape| shape.rate.period.0);
                debt.get().div_ceil(u128::from(period.max(1)))
            }
            (RateLimitAlgorithm::SlidingWindow(shape), bucket) => {
                self.weighted(shape, bucket).div_ceil(u128::from(shape.window.0.max(1)))
            }
            (_, Bucket::Window { current, .. }) => u128::from(*current),
            (_, Bucket::Log(entries)) => u128::from(entries.sum()),
            (_, Bucket::InFlight(count)) => u128::from(*count),
        };
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// A bucket in which `used` units are used now. For a bucket, what is above its capacity is forgiven. The caller
    /// has made sure that an exact window can note them.
    pub(crate) fn with_used<const LOG: usize>(&self, used: u64, log: &mut LogPool<LOG>) -> Bucket {
        let mut bucket = Bucket::Untouched;
        self.settle(&mut bucket, log);
        match &mut bucket {
            Bucket::Level { debt, .. } => {
                let (capacity, period) = self.algorithm.bucket().map_or((0, 0), |shape| {
                    (shape.capacity.saturating_add(self.extra()), shape.rate.period.0)
                });
                *debt = (u128::from(used.min(capacity)) * u128::from(period)).into();
            }
            Bucket::Window { current, .. } => *current = used,
            Bucket::Log(entries) if used > 0 => {
                let noted = log.push(entries, self.now.instant.0, used);
                assert!(noted.is_ok(), "an entry was promised to a changed limit and is gone");
            }
            Bucket::Log(_) | Bucket::InFlight(_) | Bucket::Untouched => {}
        }
        bucket
    }
}

fn cap(shape: &BucketShape) -> u128 {
    u128::from(shape.capacity) * u128::from(shape.rate.period.0)
}

const fn with_extra(shape: &BucketShape, extra: u64) -> BucketShape {
    BucketShape { capacity: shape.capacity.saturating_add(extra), ..*shape }
}

fn counted(limit: u64, used: u64) -> Room {
    Room {
        capacity: limit,
        credit: u128::from(limit.saturating_sub(used)),
        cap: u128::from(limit),
        per_unit: 1,
    }
}
