//! Models that are obviously right: big integers for levels, a map of counts for windows, a list for logs.
//!
//! A model answers whether a cost fits *at a time*, beyond 64 bits if need be. How long to wait is found with it by
//! trying: the time that the limiter names must work, and a nanosecond less must not.

use crate::limit::{BucketShape, WindowShape};
use crate::rate_limiter::Settled;
use crate::time::Now;
use num_bigint::BigUint;
use std::collections::BTreeMap;

/// Both clocks, without an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) instant: u128,
    pub(super) wall: u128,
}

impl Time {
    pub(super) fn after(self, nanos: u128) -> Self {
        Self { instant: self.instant + nanos, wall: self.wall + nanos }
    }
}

impl From<Now> for Time {
    fn from(now: Now) -> Self {
        Self { instant: now.instant.0.into(), wall: now.wall.0.into() }
    }
}

/// Where a charge lies that is settled later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    reserved: u64,
    at: u128,
    /// The number of its window, and of the windows that it is one of.
    window: (u64, i128),
    /// The number of its charge; none if it was nothing.
    charge: Option<usize>,
}

/// One bucket, looked at in the order of time.
pub(super) trait Model: Clone + std::fmt::Debug {
    fn settle(&mut self, time: Time);
    /// The largest cost that can pass now.
    fn capacity(&self) -> u64;
    /// Whether a cost fits, once settled.
    fn fits(&self, cost: u64) -> bool;
    /// Takes a cost that fits.
    fn take(&mut self, cost: u64);
    /// Takes a cost that fits, and may be nothing, to be settled later.
    fn hold(&mut self, cost: u64) -> Held;
    /// Makes what was taken what it should have been; more than twice the capacity is never used.
    fn settle_held(&mut self, held: Held, actual: u64) -> Settled;
    fn give_back(&mut self, amount: u64);
    fn drain(&mut self);
    /// Forgets what was used.
    fn reset(&mut self);
    /// Whether nothing of what was used counts any more.
    fn is_full(&self) -> bool;
    fn grant(&mut self, extra: u64, until: u128);

    /// What is left in whole units: the largest cost that fits, by bisection.
    fn remaining(&self) -> u64 {
        let (mut fits, mut fails) = (0, u128::from(self.capacity()) + 1);
        while fails - fits > 1 {
            let middle = fits.midpoint(fails);
            if self.fits(u64::try_from(middle).unwrap()) { fits = middle } else { fails = middle }
        }
        u64::try_from(fits).unwrap()
    }

    fn at(&self, time: Time) -> Self {
        let mut later = self.clone();
        later.settle(time);
        later
    }
}

/// Extra capacity until a time.
#[derive(Clone, Copy, Debug, Default)]
struct Grant {
    extra: u64,
    until: u128,
}

impl Grant {
    fn at(self, time: u128) -> u64 {
        if time < self.until { self.extra } else { 0 }
    }
}

/// Token bucket, leaky bucket and queue: what is used, in units of 1/P, shrinks by C each nanosecond.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) shape: BucketShape,
    used: BigUint,
    at: u128,
    grant: Grant,
}

impl Level {
    pub(super) fn new(shape: BucketShape) -> Self {
        Self { shape, used: BigUint::ZERO, at: 0, grant: Grant::default() }
    }

    /// Takes another shape, with what is used rounded up to whole units.
    pub(super) fn reshape(&mut self, shape: BucketShape) {
        if shape == self.shape {
            return;
        }
        let units = self.used.clone().div_ceil_by(self.shape.rate.period.0);
        self.shape = shape;
        self.used = units.min(BigUint::from(self.capacity())) * shape.rate.period.0;
    }

    fn drain_until(&mut self, time: u128) {
        let drained = BigUint::from(time.saturating_sub(self.at)) * self.shape.rate.count;
        self.used -= drained.min(self.used.clone());
        self.at = self.at.max(time);
    }

    fn of_units(&self, units: u64) -> BigUint {
        BigUint::from(units) * self.shape.rate.period.0
    }

    /// How long what is used takes to drain: the turn of the next request in a leaky queue.
    pub(super) fn drains_in(&self) -> BigUint {
        self.used.clone().div_ceil_by(self.shape.rate.count)
    }
}

trait DivCeil {
    fn div_ceil_by(self, divisor: u64) -> BigUint;
}

impl DivCeil for BigUint {
    fn div_ceil_by(self, divisor: u64) -> BigUint {
        (self + divisor - 1u32) / divisor
    }
}

impl Model for Level {
    fn settle(&mut self, time: Time) {
        if self.grant.extra != 0 && time.instant >= self.grant.until {
            self.drain_until(self.grant.until);
            self.used = self.used.clone().min(self.of_units(self.shape.capacity));
            self.grant = Grant::default();
        }
        self.drain_until(time.instant);
    }

    fn capacity(&self) -> u64 {
        self.shape.capacity + self.grant.at(self.at)
    }

    fn fits(&self, cost: u64) -> bool {
        cost == 0 || &self.used + self.of_units(cost) <= self.of_units(self.capacity())
    }

    fn take(&mut self, cost: u64) {
        self.used += self.of_units(cost);
    }

    fn hold(&mut self, cost: u64) -> Held {
        self.take(cost);
        Held { reserved: cost, at: self.at, window: (0, 0), charge: None }
    }

    fn settle_held(&mut self, held: Held, actual: u64) -> Settled {
        if actual < held.reserved {
            self.give_back(held.reserved - actual);
        } else {
            let most = self.used.clone().max(self.of_units(self.capacity()) * 2u32);
            self.used = (&self.used + self.of_units(actual - held.reserved)).min(most);
        }
        Settled::Adjusted
    }

    fn give_back(&mut self, amount: u64) {
        self.used -= self.of_units(amount).min(self.used.clone());
    }

    fn drain(&mut self) {
        self.used = self.of_units(self.capacity()).max(self.used.clone());
    }

    fn reset(&mut self) {
        (self.used, self.grant) = (BigUint::ZERO, Grant::default());
    }

    fn is_full(&self) -> bool {
        self.used == BigUint::ZERO
    }

    /// A replaced grant takes with it what was used beyond the capacity that is left.
    fn grant(&mut self, extra: u64, until: u128) {
        self.grant = Grant { extra, until };
        self.used = self.used.clone().min(self.of_units(self.capacity()));
    }
}

/// Which count a window takes part in a decision with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    Fixed,
    Sliding,
}

/// Fixed windows and the sliding counter: a count for each window by its number.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    counting: Counting,
    pub(super) shape: WindowShape,
    phase: u64,
    counts: BTreeMap<i128, u64>,
    /// How often other windows have taken the place of these.
    series: u64,
    time: Time,
    grant: Grant,
}

impl Counts {
    /// `phase` is where windows begin, within one window.
    pub(super) fn new(counting: Counting, shape: WindowShape, phase: u64) -> Self {
        let time = Time { instant: 0, wall: 0 };
        Self { counting, shape, phase, counts: BTreeMap::new(), series: 0, time, grant: Grant::default() }
    }

    /// Takes another shape. Windows of another length begin with what is used, rounded up.
    pub(super) fn reshape(&mut self, shape: WindowShape, phase: u64) {
        if (shape.window, shape.align) != (self.shape.window, self.shape.align) {
            let used = self.weighted().div_ceil(u128::from(self.shape.window.0));
            (self.shape, self.phase) = (shape, phase);
            self.counts.clear();
            self.counts.insert(self.window(), u64::try_from(used).unwrap());
            self.series += 1;
        }
        self.shape = shape;
    }

    fn clock(&self) -> i128 {
        let clock = match self.shape.align {
            crate::limit::Align::Clock => self.time.wall,
            crate::limit::Align::Spread => self.time.instant,
        };
        i128::try_from(clock).unwrap() - i128::from(self.phase)
    }

    fn window(&self) -> i128 {
        self.clock().div_euclid(i128::from(self.shape.window.0))
    }

    fn count(&self, window: i128) -> u64 {
        self.counts.get(&window).copied().unwrap_or(0)
    }

    /// What is used, in units × nanoseconds.
    fn weighted(&self) -> u128 {
        let length = u128::from(self.shape.window.0);
        let into = u128::try_from(self.clock().rem_euclid(i128::from(self.shape.window.0))).unwrap();
        let present = u128::from(self.count(self.window())) * length;
        match self.counting {
            Counting::Fixed => present,
            Counting::Sliding => present + u128::from(self.count(self.window() - 1)) * (length - into),
        }
    }
}

impl Model for Counts {
    fn settle(&mut self, time: Time) {
        self.time = time;
    }

    fn capacity(&self) -> u64 {
        self.shape.limit + self.grant.at(self.time.instant)
    }

    fn fits(&self, cost: u64) -> bool {
        let length = u128::from(self.shape.window.0);
        cost == 0 || self.weighted() + u128::from(cost) * length <= u128::from(self.capacity()) * length
    }

    fn take(&mut self, cost: u64) {
        *self.counts.entry(self.window()).or_default() += cost;
    }

    fn hold(&mut self, cost: u64) -> Held {
        self.take(cost);
        let window = (self.series, self.window());
        Held { reserved: cost, at: self.time.instant, window, charge: None }
    }

    /// Unit by unit, as long as the window in which it was charged still counts.
    fn settle_held(&mut self, held: Held, actual: u64) -> Settled {
        let (series, window) = held.window;
        let age = self.window() - window;
        if series != self.series {
            return Settled::Stale;
        }
        if age > i128::from(self.counting == Counting::Sliding) {
            return Settled::Passed;
        }
        let count = self.count(window).saturating_sub(held.reserved.saturating_sub(actual));
        self.counts.insert(window, count);
        let most = u128::from(self.capacity()) * 2 * u128::from(self.shape.window.0);
        for _ in held.reserved..actual {
            let before = self.counts.clone();
            *self.counts.entry(window).or_default() += 1;
            if self.weighted() > most {
                self.counts = before;
                break;
            }
        }
        Settled::Adjusted
    }

    fn give_back(&mut self, amount: u64) {
        let mut left = amount;
        for window in [self.window(), self.window() - 1] {
            let count = self.counts.entry(window).or_default();
            let back = left.min(*count);
            *count -= back;
            left -= back;
        }
    }

    fn drain(&mut self) {
        self.take(self.remaining());
    }

    fn reset(&mut self) {
        self.counts.clear();
        self.grant = Grant::default();
    }

    fn is_full(&self) -> bool {
        self.weighted() == 0
    }

    fn grant(&mut self, extra: u64, until: u128) {
        self.grant = Grant { extra, until };
    }
}

/// The exact window: every charge with its time.
#[derive(Clone, Debug)]
pub(super) struct Charges {
    pub(super) shape: WindowShape,
    /// Time, amount and number of each; there is one for a time.
    charges: Vec<(u128, u64, usize)>,
    numbers: usize,
    now: u128,
    grant: Grant,
}

impl Charges {
    pub(super) fn new(shape: WindowShape) -> Self {
        Self { shape, charges: Vec::new(), numbers: 0, now: 0, grant: Grant::default() }
    }

    fn sum(&self) -> u64 {
        self.charges.iter().map(|&(_, amount, _)| amount).sum()
    }

    /// Notes a charge at a time, or that of the last one if that is later. Returns its number.
    fn note(&mut self, at: u128, cost: u64) -> usize {
        let at = self.charges.last().map_or(at, |last| last.0.max(at));
        if self.charges.last().is_none_or(|last| last.0 != at) {
            self.numbers += 1;
            self.charges.push((at, 0, self.numbers));
        }
        let last = self.charges.last_mut().unwrap();
        last.1 += cost;
        last.2
    }
}

impl Model for Charges {
    fn settle(&mut self, time: Time) {
        self.now = time.instant;
        let window = u128::from(self.shape.window.0);
        self.charges.retain(|&(at, ..)| at + window > time.instant);
    }

    fn capacity(&self) -> u64 {
        self.shape.limit + self.grant.at(self.now)
    }

    fn fits(&self, cost: u64) -> bool {
        cost == 0 || u128::from(self.sum()) + u128::from(cost) <= u128::from(self.capacity())
    }

    fn take(&mut self, cost: u64) {
        if cost > 0 {
            self.note(self.now, cost);
        }
    }

    fn hold(&mut self, cost: u64) -> Held {
        let charge = (cost > 0).then(|| self.note(self.now, cost));
        Held { reserved: cost, at: self.now, window: (0, 0), charge }
    }

    fn settle_held(&mut self, held: Held, actual: u64) -> Settled {
        let most = u128::from(self.capacity()) * 2;
        let left = u64::try_from(most.saturating_sub(self.sum().into())).unwrap();
        let more = actual.saturating_sub(held.reserved).min(left);
        match self.charges.iter_mut().find(|charge| Some(charge.2) == held.charge) {
            Some(charge) => {
                charge.1 = charge.1.saturating_sub(held.reserved.saturating_sub(actual)) + more;
                Settled::Adjusted
            }
            // It has left before its time, or it was nothing.
            None if actual >= held.reserved && held.at + u128::from(self.shape.window.0) > self.now => {
                if more > 0 {
                    self.note(held.at, more);
                }
                Settled::Adjusted
            }
            None => Settled::Passed,
        }
    }

    /// What was charged first is given back first.
    fn give_back(&mut self, amount: u64) {
        let mut left = amount;
        for (_, charged, _) in &mut self.charges {
            let back = left.min(*charged);
            *charged -= back;
            left -= back;
        }
    }

    fn drain(&mut self) {
        self.take(self.remaining());
    }

    fn reset(&mut self) {
        self.charges.clear();
        self.grant = Grant::default();
    }

    fn is_full(&self) -> bool {
        self.sum() == 0
    }

    fn grant(&mut self, extra: u64, until: u128) {
        self.grant = Grant { extra, until };
    }
}
