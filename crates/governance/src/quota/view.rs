//! What readers see of quotas: usage as of now, alerts that are raised, when a quota will be used up.

use super::counter::{Counter, PastUsage};
use super::registry::Entry;
use super::spec::{QuotaName, QuotaSpec, QuotaUnit};
use super::{QuotaError, QuotaId, QuotaManager};
use crate::decision::Sharing;
use crate::scope::{KeyName, Name};
use crate::time::{Now, Period, WallTime};

/// A configured quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaAllocation {
    /// Its handle.
    pub id: QuotaId,
    /// What it is.
    pub spec: QuotaSpec,
}

/// What of a quota is used in the present period: of an exact scope, of a key, or of the keys that share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUsage {
    /// The key; none for the counter of an exact scope, and for an overflow counter.
    pub key: Option<Name>,
    /// Whether it is an overflow counter.
    pub shared: Sharing,
    /// The present period.
    pub period: Period,
    /// What is used, in units of the quota; of latency, how many samples were above the limit.
    pub used: u64,
    /// What is reserved.
    pub reserved: u64,
    /// What was carried over from the period before.
    pub carry: u64,
    /// How much there is: the limit and what was carried over; of latency, how many samples can be above the limit.
    pub capacity: u64,
    /// Requests that were charged in the period; of observed units, outcomes, which for latency are the samples.
    pub requests: u64,
    /// The largest use of any period so far.
    pub peak: u64,
    /// Requests that were refused, ever.
    pub denied: u32,
    /// Holds that are not settled yet.
    pub holds: u32,
    /// The highest alert that is raised, in percent.
    pub alert: Option<u8>,
    /// When it was charged first; none if it never was.
    pub began: Option<WallTime>,
    /// The last period before this one in which it was charged.
    pub past: Option<PastUsage>,
    unit: QuotaUnit,
    is_slow: bool,
}

/// A quota and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaStatus {
    /// The quota.
    pub allocation: QuotaAllocation,
    /// What is used.
    pub usage: QuotaUsage,
}

/// When a quota will be used up, if it goes on as it did in the present period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depletion {
    /// At this time, within the period; rounded up.
    At(WallTime),
    /// Not before the period is over.
    NotAtThisRate,
    /// It is used up.
    Depleted,
    /// Nothing was used yet, or for no length of time, so that there is no rate.
    NoUsage,
}

/// An alert that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaAlert {
    /// The quota.
    pub quota: QuotaId,
    /// Its name.
    pub name: QuotaName,
    /// The highest of 80, 95 and 100 percent that was reached in the period.
    pub percent: u8,
    /// What is used.
    pub usage: QuotaUsage,
}

impl QuotaUsage {
    fn of(entry: &Entry, counter: &Counter, now: WallTime, key: Option<Name>) -> Self {
        let spec = &entry.spec;
        let counter = counter.rolled(spec, now);
        let is_overflow = entry.is_wildcard() && key.is_none();
        Self {
            key,
            shared: if is_overflow { Sharing::Overflow } else { Sharing::Own },
            period: counter.period,
            used: counter.used,
            reserved: counter.reserved,
            carry: counter.carry,
            capacity: counter.capacity(spec),
            requests: counter.requests,
            peak: counter.peak(),
            denied: counter.denied,
            holds: counter.holds,
            alert: counter.alert(),
            began: counter.has_begun().then_some(counter.began),
            past: counter.past,
            unit: spec.unit,
            is_slow: counter.is_slow(),
        }
    }

    /// What counts against the capacity: what is used and what is reserved.
    #[must_use]
    pub const fn in_use(&self) -> u64 {
        self.used + self.reserved
    }

    /// What is left.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.capacity.saturating_sub(self.in_use())
    }

    /// How much of the capacity is used and reserved, in thousandths, rounded down; 0 of no capacity. More than 1000
    /// where a soft quota was exceeded.
    #[must_use]
    pub fn utilization_permille(&self) -> u64 {
        let used = u128::from(self.in_use()) * 1000;
        u64::try_from(used.checked_div(self.capacity.into()).unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// When it will be used up at the rate of this period: what is used and reserved, over the time since the period or
    /// the counter has begun, whichever is later.
    #[must_use]
    pub fn depletion(&self, now: WallTime) -> Depletion {
        let Some(began) = self.began else { return Depletion::NoUsage };
        if self.unit == QuotaUnit::LatencyP99 {
            // Samples do not add up to anything.
            return match (self.is_slow, self.requests) {
                (true, _) => Depletion::Depleted,
                (false, 0) => Depletion::NoUsage,
                (false, _) => Depletion::NotAtThisRate,
            };
        }
        if self.in_use() >= self.capacity {
            return Depletion::Depleted;
        }
        let elapsed = now.0.saturating_sub(self.period.start.max(began).0);
        if self.in_use() == 0 || elapsed == 0 {
            return Depletion::NoUsage;
        }
        let wait = (u128::from(self.remaining()) * u128::from(elapsed)).div_ceil(self.in_use().into());
        match u64::try_from(u128::from(now.0) + wait) {
            Ok(at) if at < self.period.end.0 => Depletion::At(WallTime(at)),
            _ => Depletion::NotAtThisRate,
        }
    }
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// A quota and what is used of it now. A key that is not known has used nothing.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`]; [`QuotaError::KeyNeeded`] or [`QuotaError::NoKeys`] if a key is missing or too
    /// much.
    pub fn get_quota_status(
        &self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
    ) -> Result<QuotaStatus, QuotaError> {
        let number = self.registry.number(id)?;
        let entry = self.registry.entry(number);
        let now = self.latest.wall.max(now.wall);
        let usage = match (entry.is_wildcard(), key) {
            (false, None) => QuotaUsage::of(entry, &entry.own, now, None),
            (false, Some(_)) => return Err(QuotaError::NoKeys),
            (true, None) => return Err(QuotaError::KeyNeeded),
            (true, Some(key)) => {
                let place = self.find_key(number, self.secret.hash(entry.spec.scope.kind, key));
                let counter = place.and_then(|place| self.keys.get(place)).map(|keyed| keyed.counter);
                QuotaUsage::of(
                    entry,
                    &counter.unwrap_or(Counter::FRESH),
                    now,
                    Some(key.to_name(&self.secret)),
                )
            }
        };
        Ok(QuotaStatus { allocation: QuotaAllocation { id, spec: entry.spec }, usage })
    }

    /// The largest use of any period so far, as far as it is known: what is still reserved counts as used.
    ///
    /// # Errors
    /// As [`QuotaManager::get_quota_status`].
    pub fn get_peak_usage(&self, now: Now, id: QuotaId, key: Option<KeyName<'_>>) -> Result<u64, QuotaError> {
        self.get_quota_status(now, id, key).map(|status| status.usage.peak)
    }

    /// How much of the capacity is used and reserved, in thousandths; see [`QuotaUsage::utilization_permille`].
    ///
    /// # Errors
    /// As [`QuotaManager::get_quota_status`].
    pub fn get_quota_utilization(
        &self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
    ) -> Result<u64, QuotaError> {
        self.get_quota_status(now, id, key).map(|status| status.usage.utilization_permille())
    }

    /// When a quota will be used up, if it goes on as it did in the present period.
    ///
    /// # Errors
    /// As [`QuotaManager::get_quota_status`].
    pub fn estimate_depletion(
        &self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
    ) -> Result<Depletion, QuotaError> {
        let wall = self.latest.wall.max(now.wall);
        self.get_quota_status(now, id, key).map(|status| status.usage.depletion(wall))
    }

    /// Calls `each` with what is used of a quota now: of its scope, or of every key that has a counter, and before them
    /// of the keys that share its overflow counter, if any did.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`].
    pub fn usages(&self, now: Now, id: QuotaId, each: impl FnMut(QuotaUsage)) -> Result<(), QuotaError> {
        let number = self.registry.number(id)?;
        self.usages_of(self.latest.wall.max(now.wall), number).for_each(each);
        Ok(())
    }

    /// The alerts that are raised now, one for each counter, in the order of the quotas.
    pub fn get_quota_alerts(&self, now: Now) -> impl Iterator<Item = QuotaAlert> + '_ {
        let now = self.latest.wall.max(now.wall);
        self.registry.numbers().flat_map(move |number| {
            self.usages_of(now, number).filter_map(move |usage| {
                let name = self.registry.entry(number).spec.name;
                Some(QuotaAlert { quota: self.registry.id(number), name, percent: usage.alert?, usage })
            })
        })
    }

    /// What a quota has decided.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`].
    pub fn get_quota_stats(&self, id: QuotaId) -> Result<super::QuotaStats, QuotaError> {
        self.registry.number(id).map(|number| self.registry.entry(number).stats)
    }

    pub(super) fn usages_of(&self, now: WallTime, number: u16) -> impl Iterator<Item = QuotaUsage> + '_ {
        let entry = self.registry.entry(number);
        let has_own = !entry.is_wildcard() || entry.stats.overflow_hits > 0;
        let own = has_own.then(|| QuotaUsage::of(entry, &entry.own, now, None));
        // Without keys, the table is not looked through.
        let keys = (entry.stats.keys > 0).then(|| self.keys.iter()).into_iter().flatten();
        let keys = keys.filter(move |(_, keyed)| keyed.quota == number);
        own.into_iter()
            .chain(keys.map(move |(_, keyed)| QuotaUsage::of(entry, &keyed.counter, now, Some(keyed.name))))
    }
}
