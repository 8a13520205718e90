//! What one name did under one quota.

use std::collections::{BTreeMap, BTreeSet};

use super::LATENCY_SAMPLES_MIN;
use crate::calendar::Period;

/// How a name stands under a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The current period.
    pub period: Period,
    /// The limit.
    pub limit: u64,
    /// What was carried into the period.
    pub carry: u128,
    /// What was used in the period; of a quota on errors how many there were.
    pub used: u128,
    /// What is reserved in the period.
    pub reserved: u128,
    /// What would still pass: the limit and what was carried, less what is used and reserved, if that is any.
    pub remaining: u128,
    /// The 99th percentile of the answering times, if there were enough.
    pub percentile_99_ns: Option<u64>,
    /// The levels of usage that were told in the period, in percent.
    pub alerted: Vec<u64>,
    /// What it has counted in all its time.
    pub counts: Counts,
}

/// How many requests of a name a quota has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that it was charged for.
    pub allowed: u64,
    /// Those that it refused.
    pub denied: u64,
    /// Those that passed although it had no room: it is soft.
    pub exceeded: u64,
    /// Those that it would have refused: it is in shadow mode.
    pub would_deny: u64,
}

/// All that a name did under a quota.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    /// Tells counters of the same quota and name apart.
    pub(super) born: u64,
    /// The period in which the name was charged first, if it ever was.
    pub(super) first: Option<i64>,
    /// The periods in which it took something.
    pub(super) records: BTreeMap<i64, Record>,
    pub(super) counts: Counts,
}

impl Counter {
    pub(super) fn new(born: u64) -> Self {
        Self { born, first: None, records: BTreeMap::new(), counts: Counts::default() }
    }
}

/// What happened in one period.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) period: Period,
    pub(super) carry: u128,
    pub(super) entries: Vec<Entry>,
    /// What was given back of all that, and when.
    pub(super) credits: Vec<(u64, u128)>,
    pub(super) latencies_ns: Vec<u64>,
    pub(super) alerted: BTreeSet<u64>,
}

/// One thing that was taken.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) amount: u128,
    /// A reservation, of which the amount is only what was asked for.
    pub(super) held: Option<Held>,
}

/// A reservation and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    /// When it was told what was really taken, and how much.
    pub(super) settled: Option<(u64, u128)>,
}

impl Entry {
    /// Whether it is a reservation that is not yet settled.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(&self.held, Some(Held { settled: None, .. }))
    }
}

impl Record {
    pub(super) fn new(period: Period, carry: u128) -> Self {
        let (entries, credits, latencies_ns) = (Vec::new(), Vec::new(), Vec::new());
        Self { period, carry, entries, credits, latencies_ns, alerted: BTreeSet::new() }
    }

    pub(super) fn capacity(&self, limit: u64) -> u128 {
        self.carry + u128::from(limit)
    }

    /// What is known to be used.
    pub(super) fn used(&self) -> u128 {
        let used = |entry: &Entry| match &entry.held {
            None => entry.amount,
            Some(Held { settled: Some((_, actual)), .. }) => *actual,
            Some(Held { settled: None, .. }) => 0,
        };
        let back: u128 = self.credits.iter().map(|(_, amount)| amount).sum();
        self.entries.iter().map(used).sum::<u128>() - back
    }

    /// Gives back an amount of what is used, if that is as much.
    pub(super) fn give_back(&mut self, at: u64, amount: u128) {
        self.credits.push((at, amount.min(self.used())));
    }

    /// What is reserved and not yet settled.
    pub(super) fn reserved(&self) -> u128 {
        self.entries.iter().filter(|entry| entry.is_pending()).map(|entry| entry.amount).sum()
    }

    /// What was used when the period ended; reservations that were not settled by then count as used.
    pub(super) fn taken_at_end(&self) -> u128 {
        let taken = |entry: &Entry| match &entry.held {
            Some(Held { settled: Some((at, actual)), .. }) if *at < self.period.end_ns => *actual,
            _ => entry.amount,
        };
        let back = self.credits.iter().filter(|(at, _)| *at < self.period.end_ns);
        self.entries.iter().map(taken).sum::<u128>() - back.map(|(_, amount)| amount).sum::<u128>()
    }

    /// Settles a reservation. Answers whether it was still to be settled.
    pub(super) fn settle(&mut self, number: u64, at: u64, actual: u128) -> bool {
        let held = self.entries.iter_mut().filter_map(|entry| entry.held.as_mut());
        let mut pending = held.filter(|held| held.number == number && held.settled.is_none());
        let Some(held) = pending.next() else { return false };
        held.settled = Some((at, actual));
        true
    }

    /// The smallest of the answering times that at least 99 of 100 do not exceed.
    pub(super) fn percentile_99_ns(&self) -> Option<u64> {
        let count = self.latencies_ns.len();
        if count < LATENCY_SAMPLES_MIN {
            return None;
        }
        let mut sorted = self.latencies_ns.clone();
        sorted.sort_unstable();
        Some(sorted[(count * 99).div_ceil(100) - 1])
    }

    pub(super) fn status(&self, limit: u64, counts: super::Counts) -> Status {
        let (used, reserved) = (self.used(), self.reserved());
        Status {
            period: self.period,
            limit,
            carry: self.carry,
            remaining: self.capacity(limit).saturating_sub(used + reserved),
            used,
            reserved,
            percentile_99_ns: self.percentile_99_ns(),
            alerted: self.alerted.iter().copied().collect(),
            counts,
        }
    }
}
