//! What a request holds of a quota until its outcome is known, and how it is settled.

use super::matches::{Match, Seat};
use super::{QuotaId, QuotaManager, QuotaUnit};
use crate::chained_table::Place;
use crate::time::Now;

/// What a request holds of a quota: an amount that is reserved in one period, or the place of an outcome that the
/// quota will observe. It is settled once; whoever keeps it sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaHold {
    pub(super) quota: QuotaId,
    /// The key's counter, or none for the one that lies with the quota.
    pub(super) place: Option<Place>,
    pub(super) amount: u64,
    /// The turn of the counter in which it was reserved.
    pub(super) turn: u64,
    pub(super) unit: QuotaUnit,
}

impl QuotaHold {
    /// The quota.
    #[must_use]
    pub const fn quota(&self) -> QuotaId {
        self.quota
    }

    /// What the quota counts. A hold of an observed unit is settled by [`QuotaManager::observe`].
    #[must_use]
    pub const fn unit(&self) -> QuotaUnit {
        self.unit
    }

    /// How much is reserved; 0 of an observed unit.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }
}

/// How a request went, for quotas that count outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Whether it was an error.
    pub is_error: bool,
    /// How long it took in milliseconds, if that is known.
    pub latency_ms: Option<u64>,
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaSettled {
    /// It counts in the present period.
    Present,
    /// Its period is over: what is kept of that was changed.
    Past,
    /// Its period is so long over that nothing is kept of it. Nothing was changed.
    Forgotten,
    /// The quota or the key is gone. Nothing was changed.
    Stale,
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Turns what a hold has reserved into what was really used, which may be more or less; 0 gives all of it back. More
    /// than was reserved is used also where it does not fit. It belongs to the period in which it was reserved.
    ///
    /// The hold of an observed unit is given back, and nothing is counted.
    pub fn settle(&mut self, now: Now, hold: &QuotaHold, actual: u64) -> QuotaSettled {
        self.settle_less(now, hold, actual, 0)
    }

    /// As [`QuotaManager::settle`], of a request whose price was negative: all that was reserved is given back, and the
    /// credit of what was used in that period.
    pub fn settle_credit(&mut self, now: Now, hold: &QuotaHold, credit: u64) -> QuotaSettled {
        self.settle_less(now, hold, 0, credit)
    }

    fn settle_less(&mut self, now: Now, hold: &QuotaHold, actual: u64, credit: u64) -> QuotaSettled {
        let now = self.monotonic(now).wall;
        let Some(matched) = self.held(hold) else { return QuotaSettled::Stale };
        let (spec, counter) = self.owned(matched);
        counter.roll(spec, now);
        counter.holds = counter.holds.saturating_sub(1);
        if spec.unit.is_observed() {
            return QuotaSettled::Present;
        }
        let settled = counter.settle(hold.turn, hold.amount, actual, credit);
        let raised = counter.raise(spec);
        self.give_notice(now, matched, raised);
        settled
    }

    /// Tells a quota the outcome of a request that holds of it. An outcome counts in the period in which it is told,
    /// so that answers that take longer than a period count too.
    ///
    /// The hold of another unit is settled with what it has reserved.
    pub fn observe(&mut self, now: Now, hold: &QuotaHold, observation: &Observation) -> QuotaSettled {
        if !hold.unit.is_observed() {
            return self.settle(now, hold, hold.amount);
        }
        let now = self.monotonic(now).wall;
        let Some(matched) = self.held(hold) else { return QuotaSettled::Stale };
        let (spec, counter) = self.owned(matched);
        counter.roll(spec, now);
        counter.holds = counter.holds.saturating_sub(1);
        let counts = match hold.unit {
            QuotaUnit::Errors => Some(observation.is_error),
            // Of a request that nobody has timed there is no sample.
            _ => observation.latency_ms.map(|latency| latency > spec.limit),
        };
        if let Some(counts) = counts {
            counter.begin(now);
            counter.observe(counts);
        }
        let raised = counter.raise(spec);
        self.give_notice(now, matched, raised);
        QuotaSettled::Present
    }

    /// The counter of a hold, if it is still the same.
    fn held(&self, hold: &QuotaHold) -> Option<Match> {
        let number = self.registry.number(hold.quota).ok()?;
        let seat = match hold.place {
            Some(place) => self.keys.get(place).map(|_| Seat::Key(place))?,
            None if self.registry.entry(number).is_wildcard() => Seat::Overflow,
            None => Seat::Own,
        };
        Some(Match { number, seat, ..Match::NONE })
    }
}
