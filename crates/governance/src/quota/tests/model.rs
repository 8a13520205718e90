//! A model that is obviously right: a list of everything that has happened to a counter, from which its usage is
//! reckoned again by definition each time that somebody asks.

use crate::quota::{PastUsage, QuotaSpec};
use crate::time::{Period, WallTime};
use std::collections::BTreeMap;

/// Something that has happened to a counter.
#[derive(Clone, Copy, Debug)]
enum Event {
    Use(u64),
    Reserve(u64),
    /// What was reserved under a number was really this much.
    Settle(usize, u64),
    Reset,
    /// The limit is another one from now on.
    Limit(u64),
}

impl Event {
    fn is_charge(&self) -> bool {
        matches!(self, Self::Use(_) | Self::Reserve(_))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    spec: QuotaSpec,
    first_limit: u64,
    /// What has happened, when, and in which period that is.
    events: Vec<(WallTime, i64, Event)>,
    /// In which period each number has reserved how much.
    reservations: BTreeMap<usize, (i64, u64)>,
    /// The alerts that were raised, and in which period: for these the order counts in which things happen.
    raised: (i64, Vec<u8>),
}

/// What the model and a counter are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reckoned {
    pub(super) period: Period,
    pub(super) used: u64,
    pub(super) reserved: u64,
    pub(super) carry: u64,
    pub(super) capacity: u64,
    pub(super) requests: u64,
    pub(super) peak: u64,
    pub(super) holds: u32,
    pub(super) alert: Option<u8>,
    pub(super) began: Option<WallTime>,
    pub(super) past: Option<PastUsage>,
}

/// What was used and reserved of a period at some time.
#[derive(Clone, Copy, Default)]
struct Use {
    used: u64,
    reserved: u64,
    requests: u64,
    /// The most that was in use when it was reset.
    before_reset: u64,
}

impl Model {
    pub(super) fn new(spec: &QuotaSpec) -> Self {
        Self {
            spec: *spec,
            first_limit: spec.limit,
            events: Vec::new(),
            reservations: BTreeMap::new(),
            raised: (0, Vec::new()),
        }
    }

    pub(super) fn spec(&self) -> &QuotaSpec {
        &self.spec
    }

    /// The periods in which anything was charged.
    fn charged(&self) -> Vec<i64> {
        let charges = self.events.iter().filter(|(_, _, event)| event.is_charge());
        let mut periods: Vec<_> = charges.map(|(_, period, _)| *period).collect();
        periods.dedup();
        periods
    }

    /// The limit that was in force just before a time.
    fn limit_before(&self, time: WallTime) -> u64 {
        let mut limit = self.first_limit;
        for (changed, _, event) in &self.events {
            if let Event::Limit(other) = event
                && *changed < time
            {
                limit = *other;
            }
        }
        limit
    }

    fn share(&self, limit: u64) -> u64 {
        limit * u64::from(self.spec.rollover_percent) / 100
    }

    /// What is used of a period by everything that happened in it, and nothing that came later.
    fn use_of(&self, period: i64) -> Use {
        let mut sum = Use::default();
        for (_, _, event) in self.events.iter().filter(|(_, in_period, _)| *in_period == period) {
            match *event {
                Event::Use(amount) => (sum.used, sum.requests) = (sum.used + amount, sum.requests + 1),
                Event::Reserve(amount) => {
                    (sum.reserved, sum.requests) = (sum.reserved + amount, sum.requests + 1);
                }
                Event::Settle(number, actual) => {
                    let (reserved_in, amount) = self.reservations[&number];
                    if reserved_in == period {
                        sum.reserved -= amount;
                        // What is beyond 64 bits is cut off.
                        sum.used = sum.used.saturating_add(actual).min(u64::MAX - sum.reserved);
                    }
                }
                Event::Reset => {
                    sum.before_reset = sum.before_reset.max(sum.used + sum.reserved);
                    (sum.used, sum.requests) = (0, 0);
                }
                Event::Limit(_) => {}
            }
        }
        sum
    }

    /// What was carried over to a period, of which no limit that it had since has left more than its share.
    fn carry_to(&self, period: i64, charged: &[i64]) -> u64 {
        let limits = self.events.iter().filter_map(|(_, changed_in, event)| match event {
            Event::Limit(limit) if *changed_in == period => Some(*limit),
            _ => None,
        });
        limits.map(|limit| self.share(limit)).fold(self.carry_at_start(period, charged), u64::min)
    }

    /// What a period began with: min(share of the limit, unused of the period before), in full after a period without a
    /// charge, nothing in the first one.
    fn carry_at_start(&self, period: i64, charged: &[i64]) -> u64 {
        if charged.first().is_none_or(|first| period <= *first) {
            return 0;
        }
        let limit = self.limit_before(self.spec.schedule.period(period).start);
        if !charged.contains(&(period - 1)) {
            return self.share(limit);
        }
        let Use { used, reserved, .. } = self.use_of(period - 1);
        let capacity = limit + self.carry_to(period - 1, charged);
        self.share(limit).min(capacity.saturating_sub(used + reserved))
    }

    /// What is known of the use of a period that is over: what was in use at its end, corrected by what was settled
    /// while it was the last one.
    fn record_of(&self, period: i64) -> u64 {
        let Use { used, reserved, .. } = self.use_of(period);
        let mut record = used + reserved;
        let mut last = None;
        for &(_, present, event) in &self.events {
            if event.is_charge() && present > period {
                last.get_or_insert(present);
            }
            if let Event::Settle(number, actual) = event
                && let (reserved_in, amount) = self.reservations[&number]
                && reserved_in == period
                && present > period
                && last.is_none_or(|last| last == present)
            {
                record = (record - amount).saturating_add(actual);
            }
        }
        record
    }

    pub(super) fn reckon(&self, now: WallTime) -> Reckoned {
        let period = self.spec.schedule.period_at(now);
        let charged = self.charged();
        let carry = self.carry_to(period.index, &charged);
        let Use { used, reserved, requests, .. } = self.use_of(period.index);
        let past = charged.iter().rev().find(|&&before| before < period.index).map(|&before| {
            let ended = self.spec.schedule.period(before);
            let capacity = self.limit_before(ended.end) + self.carry_to(before, &charged);
            PastUsage { period: ended, used: self.record_of(before), capacity }
        });
        let over = charged.iter().filter(|&&before| before < period.index);
        let records = over.map(|&before| self.record_of(before));
        let mut all: Vec<_> = self.events.iter().map(|(_, period, _)| *period).collect();
        all.dedup();
        let resets = all.iter().map(|&period| self.use_of(period).before_reset);
        let settled = self.events.iter().filter(|(_, _, event)| matches!(event, Event::Settle(..))).count();
        Reckoned {
            period,
            used,
            reserved,
            carry,
            capacity: self.spec.limit + carry,
            requests,
            peak: records.chain(resets).max().unwrap_or(0).max(used + reserved),
            holds: u32::try_from(self.reservations.len() - settled).unwrap(),
            alert: if self.raised.0 == period.index { self.raised.1.iter().max().copied() } else { None },
            began: self.events.iter().find(|(_, _, event)| event.is_charge()).map(|(time, _, _)| *time),
            past,
        }
    }

    /// Whether an amount fits.
    pub(super) fn fits(&self, now: WallTime, amount: u64) -> bool {
        let Reckoned { used, reserved, capacity, .. } = self.reckon(now);
        amount == 0 || u128::from(used) + u128::from(reserved) + u128::from(amount) <= capacity.into()
    }

    /// Uses an amount, and tells the alerts that are raised by it.
    pub(super) fn charge(&mut self, now: WallTime, amount: u64) -> Vec<u8> {
        self.push(now, Event::Use(amount))
    }

    pub(super) fn reserve(&mut self, now: WallTime, amount: u64, number: usize) -> Vec<u8> {
        self.reservations.insert(number, (self.spec.schedule.period_at(now).index, amount));
        self.push(now, Event::Reserve(amount))
    }

    pub(super) fn settle(&mut self, now: WallTime, number: usize, actual: u64) -> Vec<u8> {
        self.push(now, Event::Settle(number, actual))
    }

    pub(super) fn reset(&mut self, now: WallTime) {
        self.events.push((now, self.spec.schedule.period_at(now).index, Event::Reset));
        self.raised.1.clear();
    }

    pub(super) fn change_limit(&mut self, now: WallTime, limit: u64) -> Vec<u8> {
        if limit == self.spec.limit {
            return Vec::new();
        }
        self.spec.limit = limit;
        // What is left of the carry counts for the alerts that end, too.
        self.events.push((now, self.spec.schedule.period_at(now).index, Event::Limit(limit)));
        let reached = self.reached(now);
        self.raised.1.retain(|percent| reached.contains(percent));
        self.raise(now)
    }

    fn push(&mut self, now: WallTime, event: Event) -> Vec<u8> {
        self.events.push((now, self.spec.schedule.period_at(now).index, event));
        self.raise(now)
    }

    fn raise(&mut self, now: WallTime) -> Vec<u8> {
        let present = self.spec.schedule.period_at(now).index;
        if self.raised.0 != present {
            self.raised = (present, Vec::new());
        }
        let mut fresh = self.reached(now);
        fresh.retain(|percent| !self.raised.1.contains(percent));
        self.raised.1.extend(&fresh);
        fresh
    }

    fn reached(&self, now: WallTime) -> Vec<u8> {
        let Reckoned { used, reserved, capacity, .. } = self.reckon(now);
        let is_reached =
            |percent: &u8| u128::from(used + reserved) * 100 >= u128::from(capacity) * u128::from(*percent);
        [80, 95, 100].into_iter().filter(is_reached).collect()
    }
}
