//! One counter: what of a quota is used and reserved in the present period, and what is known of the one before.
//!
//! A counter begins with the first request that it is charged with. It is *rolled* when it is touched in a later
//! period than the one that it counts: what is left of that one, up to the rollover, is carried over once, and
//! counting starts again. Everything that is asked of a counter is asked of one that is rolled.

use super::holds::QuotaSettled;
use super::spec::{QuotaSpec, QuotaUnit};
use crate::time::{Period, WallTime};

/// How much of what there is in a period has to be used for an alert, in percent.
pub const ALERT_PERCENTS: [u8; 3] = [80, 95, 100];

/// With fewer samples in a period than this, a quota on latency refuses nothing: of less than a hundred, none is the
/// slowest in a hundred.
pub const P99_SAMPLES_MIN: u64 = 100;

/// What is kept of a period that is over: the last one in which the counter was charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PastUsage {
    /// Which one.
    pub period: Period,
    /// What was used of it; what was still reserved when it ended counts as used until it is settled.
    pub used: u64,
    /// What there was: the limit and what was carried over to it; of latency, how many samples could be above the
    /// limit.
    pub capacity: u64,
}

/// What of a quota is used. All-zero before it begins. What each charge looks at comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Counter {
    /// The period that it counts.
    pub(super) period: Period,
    /// In how many periods it was charged, before the present one and with it; 0 before it has begun.
    pub(super) turn: u64,
    /// What is used, in units of the quota: of latency, the samples above the limit. Together with what is reserved it
    /// fits in 64 bits.
    pub(super) used: u64,
    /// What requests hold whose outcome is still to come.
    pub(super) reserved: u64,
    /// What was carried over to the present period.
    pub(super) carry: u64,
    /// Requests that were charged in the present period, or outcomes that were observed in it.
    pub(super) requests: u64,
    /// Holds that are not settled yet, of any period.
    pub(super) holds: u32,
    /// Requests that it refused, ever.
    pub(super) denied: u32,
    /// The alerts that were raised in the present period, one bit each.
    pub(super) raised: u8,
    /// Whether it was charged in the present period.
    is_charged: bool,
    /// The largest use before the past period that is kept.
    older_peak: u64,
    /// When it began.
    pub(super) began: WallTime,
    /// The past period that is kept.
    pub(super) past: Option<PastUsage>,
}

impl Counter {
    pub(super) const FRESH: Self = Self {
        period: Period { index: 0, start: WallTime(0), end: WallTime(0) },
        turn: 0,
        used: 0,
        reserved: 0,
        carry: 0,
        requests: 0,
        older_peak: 0,
        began: WallTime(0),
        past: None,
        holds: 0,
        denied: 0,
        raised: 0,
        is_charged: false,
    };

    pub(super) const fn has_begun(&self) -> bool {
        self.turn > 0
    }

    /// What counts against the capacity.
    pub(super) const fn in_use(&self) -> u64 {
        // Their sum is kept within 64 bits by whoever adds to them.
        self.used + self.reserved
    }

    /// Brings the counter to the period of `now`. One that has not begun shows that period, and stays as it is
    /// otherwise.
    #[inline]
    pub(super) fn roll(&mut self, spec: &QuotaSpec, now: WallTime) {
        if self.has_begun() && now < self.period.end {
            return;
        }
        self.roll_to(spec, spec.schedule.period_at(now));
    }

    #[cold]
    fn roll_to(&mut self, spec: &QuotaSpec, period: Period) {
        if !self.has_begun() {
            self.period = period;
            return;
        }
        // A period without an end is never over.
        if period.index <= self.period.index {
            return;
        }
        let ended = PastUsage { period: self.period, used: self.in_use(), capacity: self.capacity(spec) };
        let most = spec.rollover_max();
        let is_next = period.index - 1 == self.period.index;
        self.carry = if is_next { most.min(ended.capacity.saturating_sub(ended.used)) } else { most };
        // Whether somebody looked at the counter in a period without a charge makes no difference.
        if self.is_charged {
            self.older_peak = self.older_peak.max(self.past.map_or(0, |past| past.used));
            self.past = Some(ended);
        }
        self.period = period;
        (self.used, self.reserved, self.requests) = (0, 0, 0);
        (self.raised, self.is_charged) = (0, false);
    }

    /// The counter as it will be once it is rolled.
    pub(super) fn rolled(&self, spec: &QuotaSpec, now: WallTime) -> Self {
        let mut rolled = *self;
        rolled.roll(spec, now);
        rolled
    }

    /// Begins, if this is the first charge, and notes that the present period has one. It has been rolled.
    pub(super) fn begin(&mut self, now: WallTime) {
        if !self.has_begun() {
            self.began = now;
        }
        if !self.is_charged {
            (self.is_charged, self.turn) = (true, self.turn + 1);
        }
    }

    /// How much there is in the present period: what fits, or, of latency, how many samples can be above the limit.
    pub(super) fn capacity(&self, spec: &QuotaSpec) -> u64 {
        match spec.unit {
            QuotaUnit::LatencyP99 => self.requests / 100,
            _ => spec.limit.saturating_add(self.carry),
        }
    }

    /// Whether an amount fits; of what is observed, whether a request may still be made.
    #[inline]
    pub(super) fn fits(&self, spec: &QuotaSpec, amount: u64) -> bool {
        match spec.unit {
            QuotaUnit::Errors => self.used < self.capacity(spec),
            QuotaUnit::LatencyP99 => !self.is_slow(),
            // An amount of 0 passes always.
            _ => {
                amount == 0 || self.in_use().checked_add(amount).is_some_and(|sum| sum <= self.capacity(spec))
            }
        }
    }

    /// Whether the 99th percentile of the samples is above the limit. By the nearest rank it is sample number
    /// ⌈99 n / 100⌉ of n, in their order: above the limit when fewer than that are not, which is to say that more than
    /// ⌊n / 100⌋ are.
    pub(super) const fn is_slow(&self) -> bool {
        self.requests >= P99_SAMPLES_MIN && self.used > self.requests / 100
    }

    /// Uses an amount; what is beyond 64 bits is cut off.
    pub(super) fn post(&mut self, amount: u64) {
        self.used = self.used.saturating_add(amount).min(u64::MAX - self.reserved);
        self.requests += 1;
    }

    /// Gives back what was charged too much before; what that was of an earlier period is not given back twice.
    pub(super) fn credit(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// Reserves an amount, and tells how much it was: what is beyond 64 bits is cut off.
    pub(super) fn reserve(&mut self, amount: u64) -> u64 {
        let amount = amount.min(u64::MAX - self.in_use());
        self.reserved += amount;
        self.requests += 1;
        amount
    }

    /// Takes an outcome: one more sample, that counts or does not.
    pub(super) fn observe(&mut self, counts: bool) {
        self.requests += 1;
        self.used = self.used.saturating_add(u64::from(counts));
    }

    /// Turns what was reserved in a turn into what was used in it, less a credit. It has been rolled.
    pub(super) fn settle(&mut self, turn: u64, reserved: u64, actual: u64, credit: u64) -> QuotaSettled {
        if self.is_charged && turn == self.turn {
            self.reserved = self.reserved.saturating_sub(reserved);
            self.used = self.used.saturating_add(actual).min(u64::MAX - self.reserved);
            self.credit(credit);
            return QuotaSettled::Present;
        }
        let last_turn = if self.is_charged { self.turn - 1 } else { self.turn };
        match &mut self.past {
            Some(past) if turn == last_turn => {
                past.used = past.used.saturating_sub(reserved).saturating_add(actual).saturating_sub(credit);
                QuotaSettled::Past
            }
            _ => QuotaSettled::Forgotten,
        }
    }

    /// Forgets what was used in the present period, and the alerts. What is reserved and what was carried over stay.
    pub(super) fn reset(&mut self) {
        self.older_peak = self.older_peak.max(self.in_use());
        (self.used, self.requests, self.raised) = (0, 0, 0);
    }

    /// The largest use of any period, as far as it is known.
    pub(super) fn peak(&self) -> u64 {
        let past = self.past.map_or(0, |past| past.used);
        self.older_peak.max(past).max(self.in_use())
    }

    /// Goes by another schedule from now on: what is used, reserved and carried over stands in the period of the
    /// new one.
    pub(super) fn reschedule(&mut self, spec: &QuotaSpec, now: WallTime) {
        self.period = spec.schedule.period_at(now);
    }

    /// Raises the alerts that are reached and were not raised, and tells which, one bit each.
    #[inline]
    pub(super) fn raise(&mut self, spec: &QuotaSpec) -> u8 {
        let reached = self.reached(spec) & !self.raised;
        self.raised |= reached;
        reached
    }

    /// Lets go of alerts that are not reached any more, which only a change of the quota brings about.
    pub(super) fn unlatch(&mut self, spec: &QuotaSpec) {
        self.raised &= self.reached(spec);
    }

    /// The alerts that are reached now, one bit each.
    fn reached(&self, spec: &QuotaSpec) -> u8 {
        if spec.unit == QuotaUnit::LatencyP99 {
            // Samples say on which side of the limit they are, not how near.
            return if self.is_slow() { 1 << (ALERT_PERCENTS.len() - 1) } else { 0 };
        }
        let used = u128::from(self.in_use()) * 100;
        let capacity = u128::from(self.capacity(spec));
        let mut reached = 0;
        for (bit, percent) in ALERT_PERCENTS.into_iter().enumerate() {
            // They ascend, and most requests reach none.
            if used < capacity * u128::from(percent) {
                break;
            }
            reached |= 1 << bit;
        }
        reached
    }

    /// The highest alert that is raised, in percent.
    pub(super) fn alert(&self) -> Option<u8> {
        let bit = self.raised.checked_ilog2()?;
        ALERT_PERCENTS.get(usize::try_from(bit).ok()?).copied()
    }

    /// Whether another key can have its place without a difference to any decision or alert: nothing is used, held or
    /// raised in the present period, and nothing of it will be carried over.
    pub(super) fn holds_nothing(&self, spec: &QuotaSpec, now: WallTime) -> bool {
        if !self.has_begun() {
            return true;
        }
        let is_over = now >= self.period.end && self.period.end != WallTime(u64::MAX);
        let is_unused = self.in_use() == 0 && self.carry == 0 && self.raised == 0 && !self.has_samples(spec);
        self.holds == 0 && spec.rollover_max() == 0 && (is_over || is_unused)
    }

    /// Samples of latency count also where none is above the limit.
    const fn has_samples(&self, spec: &QuotaSpec) -> bool {
        matches!(spec.unit, QuotaUnit::LatencyP99) && self.requests > 0
    }
}
