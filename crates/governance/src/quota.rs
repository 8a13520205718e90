//! Quotas: how much there is for a scope in each period of the calendar, shared by parents and children.
//!
//! [`QuotaManager`] holds the configured quotas, their counters and those of the keys of wildcard scopes, all in fixed
//! arrays. [`QuotaManager::check`] finds the quotas that match a [`Subject`], with their ancestors, and tells whether
//! all have room; [`QuotaManager::charge`] then uses it, or [`QuotaManager::charge_held`] reserves it and hands out
//! [`QuotaHold`]s, which [`QuotaManager::settle`] turns into what was really used. The arithmetic of one counter is in
//! `counter`, what matches in `matches`, what operators do in `configure` and `operate`. A budget is a quota that
//! counts [`QuotaUnit::Cost`].
//!
//! **Matching.** Every kind of key that a request carries is matched. For one kind, unit and window the quotas with
//! the exact scope together replace the wildcard ones, among enforced quotas and among shadow ones by themselves.
//!
//! **Periods.** Period `n` follows from the schedule's anchor, and the present one only moves forward. A counter is
//! brought to the present when it is touched, and read as if it had been: nothing has to tick.
//!
//! **Rollover.** What is unused of a period is carried to the next one, up to the rollover's share of the limit; after
//! a period without any use that is all of the share. If the limit or the share becomes smaller, so does the carry. The period in which a counter begins has no carry. What is
//! carried over is used first and is not carried on: a period never has more than the limit and one share. What was
//! used beyond is forgiven.
//!
//! **Reservations** count as used until they are settled. One that is settled after its period changes what is kept
//! of that period, and never what was carried over from it.
//!
//! **Families.** A quota is charged together with its parent and all further ancestors, or not at all. A child's limit
//! is at most its parent's, whatever their windows are. An ancestor that matches by itself too is charged once.

mod configure;
mod counter;
mod decide;
mod draft;
mod error;
mod export;
mod holds;
mod matches;
mod operate;
mod registry;
mod spec;
#[cfg(test)]
mod tests;
mod view;

pub use counter::{ALERT_PERCENTS, P99_SAMPLES_MIN, PastUsage};
pub use draft::{FIELDS, QuotaDraft};
pub use error::QuotaError;
pub use holds::{Observation, QuotaHold, QuotaSettled};
pub use operate::QuotaAnswer;
pub use registry::{ALLOCATIONS_MAX, LEVELS_MAX, each_misfit};
pub use spec::{
    EnforcementMode, QuotaDimension, QuotaName, QuotaSpec, QuotaType, QuotaUnit, ROLLOVER_PERCENT_MAX,
};
pub use view::{Depletion, QuotaAlert, QuotaAllocation, QuotaStatus, QuotaUsage};

use crate::chained_table::ChainedTable;
use crate::decision::{Reason, Sharing, Wait};
use crate::mode::Mode;
use crate::notice::Notices;
use crate::rate_limiter::Access;
use crate::request::{HashedSubject, Subject, Usage};
use crate::scope::{HashSecret, KeyHash, Name};
use crate::text::Text;
use crate::time::{Instant, Now, WallTime};
use counter::Counter;
use decide::{Judged, Taking};
use matches::Match;
use registry::Registry;

/// How many notices of alerts are kept.
pub const NOTICES_MAX: usize = 128;

/// A quota that is configured. Once the quota is gone, its handle finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaId {
    number: u16,
    generation: u32,
}

/// What a quota has decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaStats {
    /// Requests that it was charged with.
    pub allowed: u64,
    /// Requests that it refused.
    pub denied: u64,
    /// Requests that it would have refused, if it were not in shadow mode.
    pub would_deny: u64,
    /// Requests that passed although they did not fit, since it is soft.
    pub passed_over: u64,
    /// Keys that have a counter of their own.
    pub keys: u64,
    /// Requests that were decided by the overflow counter.
    pub overflow_hits: u64,
}

impl QuotaStats {
    const ZERO: Self =
        Self { allowed: 0, denied: 0, would_deny: 0, passed_over: 0, keys: 0, overflow_hits: 0 };
}

/// How full the fixed structures are, and what became of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaManagerStats {
    /// Quotas that are configured.
    pub allocations: usize,
    /// How many there can be.
    pub allocations_max: usize,
    /// Keys that have a counter of their own.
    pub active: usize,
    /// How many there can be, beside the counters that lie with the quotas.
    pub active_max: usize,
    /// Keys that held nothing and made room for another.
    pub evicted: u64,
    /// Requests that shared an overflow counter.
    pub overflow_hits: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Refusals of quotas in shadow mode.
    pub would_deny: u64,
    /// Holds that are not settled yet.
    pub holds: u64,
    /// Alerts that were raised.
    pub alerts: u64,
    /// What one quota takes, with its share of the index, in bytes.
    pub allocation_bytes: usize,
    /// What one key takes, with its share of the index, in bytes.
    pub active_bytes: usize,
}

/// An alert, at the moment when it was raised: the crossing of 80, 95 or 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaNotice {
    /// The quota's name.
    pub quota: QuotaName,
    /// The key, of a wildcard scope; empty for the counter of an exact one, and for an overflow counter.
    key: Name,
    /// How much of the capacity was reached.
    pub percent: u8,
    /// What was used and reserved.
    pub used: u64,
    /// How much there is in the period.
    pub capacity: u64,
    /// When.
    pub at: WallTime,
    /// Not the mode itself: a ring of notices is all-zero when empty, which takes fields that can be anything.
    shadow: u8,
}

impl QuotaNotice {
    /// The key, if the quota gives each key a counter.
    #[must_use]
    pub fn key(&self) -> Option<&Name> {
        (!self.key.is_empty()).then_some(&self.key)
    }

    /// Whether the quota has a say.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.shadow == 0 { Mode::Enforce } else { Mode::Shadow }
    }
}

/// What a request takes, in every unit that quotas and budgets count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaAmounts {
    /// How many requests it counts as.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Milliseconds of computing time.
    pub compute_ms: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Its price in nano-units.
    pub cost: u64,
}

impl QuotaAmounts {
    /// A price alone, for a manager of budgets.
    #[must_use]
    pub const fn of_cost(nano_units: u64) -> Self {
        Self { requests: 0, bytes: 0, compute_ms: 0, tokens: 0, cost: nano_units }
    }

    /// The amount in `unit`; 0 in units that are not charged when a request is decided.
    #[must_use]
    pub const fn amount(&self, unit: QuotaUnit) -> u64 {
        match unit {
            QuotaUnit::Requests => self.requests,
            QuotaUnit::Bytes => self.bytes,
            QuotaUnit::Compute => self.compute_ms,
            QuotaUnit::Tokens => self.tokens,
            QuotaUnit::Cost => self.cost,
            QuotaUnit::Custom | QuotaUnit::Errors | QuotaUnit::LatencyP99 => 0,
        }
    }
}

impl From<Usage> for QuotaAmounts {
    fn from(usage: Usage) -> Self {
        let Usage { requests, bytes, tokens, compute_ms, .. } = usage;
        Self { requests, bytes, compute_ms, tokens, cost: 0 }
    }
}

/// Every matching quota has room. It is used up by [`QuotaManager::charge`] and its like or by
/// [`QuotaManager::release`], and holds until the manager checks another request or changes quotas.
#[derive(Debug)]
#[must_use = "quotas that were checked are to be charged or released"]
pub struct QuotaClearance {
    /// Which of the matches speaks for the decision.
    speaker: Option<usize>,
    now: WallTime,
    access: Access,
    /// Which check it comes from.
    serial: u64,
    holds: usize,
    observers: usize,
}

impl QuotaClearance {
    /// Whether a matching quota has to be told the request's outcome.
    #[must_use]
    pub const fn needs_ticket(&self) -> bool {
        self.observers > 0
    }

    /// How many holds [`QuotaManager::charge_held`] will hand out.
    #[must_use]
    pub const fn holds(&self) -> usize {
        self.holds
    }

    /// How many holds [`QuotaManager::charge_observed`] will hand out.
    #[must_use]
    pub const fn observers(&self) -> usize {
        self.observers
    }
}

/// How a quota stands after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaStanding {
    /// The quota.
    pub id: QuotaId,
    /// What is used; of latency, how many samples were above the limit.
    pub used: u64,
    /// What is reserved.
    pub reserved: u64,
    /// How much there is in the period, with what was carried over; of latency, how many samples can be above the
    /// limit.
    pub capacity: u64,
    /// When the period ends.
    pub period_end: WallTime,
    /// Whether the counter is the one that keys without a place of their own share.
    pub shared: Sharing,
}

impl QuotaStanding {
    /// What is left.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.capacity.saturating_sub(self.used).saturating_sub(self.reserved)
    }
}

/// A matching quota refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRefusal {
    /// [`Reason::OverQuota`], or [`Reason::OverBudget`] of a quota that counts money.
    pub reason: Reason,
    /// The refusing quota with the longest wait, and how it stands.
    pub quota: QuotaStanding,
    /// How long until its period is over; never, if the amount is more than a period can ever have.
    pub retry: Wait,
}

/// A key with a counter of its own. What each charge looks at lies together, in the first two lines of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Keyed {
    hash: KeyHash,
    quota: u16,
    counter: Counter,
    name: Name,
}

/// Quotas with up to `ACTIVE` keys of wildcard scopes. All-zero when empty.
#[derive(Debug)]
pub struct QuotaManager<const ACTIVE: usize> {
    secret: HashSecret,
    registry: Registry,
    keys: ChainedTable<Keyed, ACTIVE>,
    /// Where the next sweep for a place begins.
    hand: usize,
    /// Where the next tick begins.
    tick_hand: usize,
    /// The quotas that match the request at hand.
    matches: [Match; ALLOCATIONS_MAX],
    matched: usize,
    /// What they said to it.
    judged: Judged,
    /// Counts up whenever the matches are forgotten, so that an outdated clearance is known.
    serial: u64,
    /// Stands in for a counter that a peek does not find.
    absent: Counter,
    /// The latest time that was seen: no clock of a manager ever goes back.
    latest: Now,
    notices: Notices<QuotaNotice, NOTICES_MAX>,
    stats: Totals,
}

/// What is counted over all quotas, also those that are gone.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    evicted: u64,
    overflow_hits: u64,
    denied: u64,
    would_deny: u64,
}

impl<const ACTIVE: usize> Default for QuotaManager<ACTIVE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// A manager without quotas.
    #[must_use]
    pub const fn new() -> Self {
        const NO_KEY: Keyed =
            Keyed { quota: 0, hash: KeyHash(0), name: Name::EMPTY, counter: Counter::FRESH };
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            registry: Registry::new(),
            keys: ChainedTable::new(NO_KEY),
            hand: 0,
            tick_hand: 0,
            matches: [Match::NONE; ALLOCATIONS_MAX],
            matched: 0,
            judged: Judged::NONE,
            serial: 0,
            absent: Counter::FRESH,
            latest: Now { instant: Instant(0), wall: WallTime(0) },
            notices: Notices::new(QuotaNotice {
                quota: Text::EMPTY,
                key: Name::EMPTY,
                percent: 0,
                used: 0,
                capacity: 0,
                at: WallTime(0),
                shadow: 0,
            }),
            stats: Totals { evicted: 0, overflow_hits: 0, denied: 0, would_deny: 0 },
        }
    }

    /// Forgets all quotas, counters and notices, in place, and takes a secret for hashing. Handles and holds of before
    /// find nothing afterwards.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
        self.forget_matches();
        self.registry.clear();
        self.keys.clear();
        (self.hand, self.tick_hand) = (0, 0);
        self.latest = Now::default();
        self.notices.clear();
        self.stats = Totals::default();
    }

    /// What keys are hashed with, and what the fingerprints of secrets are under.
    #[must_use]
    pub const fn secret(&self) -> HashSecret {
        self.secret
    }

    /// Hashes under another secret from now on. Keys that are known already would not be found again, so this
    /// is for a manager that has seen none.
    ///
    /// # Panics
    /// If there are quotas already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.keys.len() == 0 && self.registry.len() == 0, "the secret comes first");
        self.secret = secret;
    }

    /// Finds the quotas that match, and their ancestors, and tells whether all of them have room. Nothing is charged.
    ///
    /// # Errors
    /// [`QuotaRefusal`] if a hard quota has none: the one with the longest wait, the first in the file among equals.
    pub fn check(
        &mut self,
        now: Now,
        subject: &Subject<'_>,
        amounts: &QuotaAmounts,
        access: Access,
    ) -> Result<QuotaClearance, QuotaRefusal> {
        let hashed = HashedSubject::new(subject, self.secret);
        self.check_hashed(now, &hashed, amounts, access).ok_or_else(|| self.refusal())
    }

    /// As [`QuotaManager::check`], of a subject whose keys may have been hashed already. If there is no clearance,
    /// [`QuotaManager::refusal`] tells why: as one result, both would go through memory.
    #[inline]
    pub(crate) fn check_hashed(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        amounts: &QuotaAmounts,
        access: Access,
    ) -> Option<QuotaClearance> {
        let now = self.monotonic(now).wall;
        if self.is_empty() {
            self.forget_matches();
            self.judged = Judged::NONE;
        } else {
            self.check_matches(now, hashed, amounts, access);
        }
        self.clearance(now, access)
    }

    #[inline(never)]
    fn check_matches(
        &mut self,
        now: WallTime,
        hashed: &HashedSubject<'_>,
        amounts: &QuotaAmounts,
        access: Access,
    ) {
        self.find_matches(now, hashed, amounts, access);
        self.judge(now, access);
    }

    /// Charges every quota that was found by the check, and tells how the tightest of them stands now.
    ///
    /// # Panics
    /// If the clearance is outdated: it would charge the matches of another request; or if it comes from a peek.
    #[inline]
    pub fn charge(&mut self, clearance: QuotaClearance) -> Option<QuotaStanding> {
        self.take_all(clearance, Taking::Use, &mut |_| {})
    }

    /// As [`QuotaManager::charge`], of a request whose price is negative: it was checked with nothing, and gives so much
    /// back to the budgets, of what was used in the present period.
    ///
    /// # Panics
    /// As [`QuotaManager::charge`].
    pub fn charge_credit(&mut self, clearance: QuotaClearance, credit: u64) -> Option<QuotaStanding> {
        self.take_all_less(clearance, credit)
    }

    /// Reserves of every quota that was found by the check what the request takes, and calls `each` with what is to be
    /// settled later. Quotas in shadow mode have no holds: they are charged.
    ///
    /// # Panics
    /// As [`QuotaManager::charge`].
    pub fn charge_held(
        &mut self,
        clearance: QuotaClearance,
        each: &mut dyn FnMut(QuotaHold),
    ) -> Option<QuotaStanding> {
        self.take_all(clearance, Taking::Reserve, each)
    }

    /// Charges every quota that was found by the check, and calls `each` with the holds of those that are to be told
    /// the request's outcome: what a request needs whose amounts are final.
    ///
    /// # Panics
    /// As [`QuotaManager::charge`].
    pub fn charge_observed(
        &mut self,
        clearance: QuotaClearance,
        each: &mut dyn FnMut(QuotaHold),
    ) -> Option<QuotaStanding> {
        self.take_all(clearance, Taking::UseAndObserve, each)
    }

    /// Lets go of what the check found, without a charge, and tells how the tightest quota stands.
    ///
    /// # Panics
    /// If the clearance is outdated.
    pub fn release(&mut self, clearance: QuotaClearance) -> Option<QuotaStanding> {
        self.assert_current(&clearance);
        let standing = clearance.speaker.map(|index| self.standing(self.matches[index]));
        self.forget_matches();
        standing
    }

    /// Brings a few counters to the present. Nothing depends on it: whoever looks at a counter sees it as of now.
    pub fn tick(&mut self, now: Now) {
        const STEPS: usize = 32;
        let now = self.monotonic(now).wall;
        for _ in 0..STEPS {
            let place = self.tick_hand;
            self.tick_hand = (place + 1) % (ALLOCATIONS_MAX + ACTIVE);
            if let Some(key) = place.checked_sub(ALLOCATIONS_MAX) {
                let Some(keyed) = self.keys.place(key).and_then(|place| self.keys.get_mut(place)) else {
                    continue;
                };
                keyed.counter.roll(&self.registry.entry(keyed.quota).spec, now);
            } else if let Some(number) =
                u16::try_from(place).ok().filter(|&number| self.registry.is_live(number))
            {
                let entry = self.registry.entry_mut(number);
                entry.own.roll(&entry.spec, now);
            }
        }
    }

    /// The notices of alerts, each crossing once.
    #[must_use]
    pub const fn notices(&self) -> &Notices<QuotaNotice, NOTICES_MAX> {
        &self.notices
    }

    /// How full the fixed structures are, and what became of requests.
    #[must_use]
    pub fn stats(&self) -> QuotaManagerStats {
        let own = self.registry.numbers().map(|number| u64::from(self.registry.entry(number).own.holds));
        let keyed = self.keys.iter().map(|(_, keyed)| u64::from(keyed.counter.holds));
        QuotaManagerStats {
            allocations: self.registry.len(),
            allocations_max: ALLOCATIONS_MAX,
            active: self.keys.len(),
            active_max: ACTIVE,
            evicted: self.stats.evicted,
            overflow_hits: self.stats.overflow_hits,
            denied: self.stats.denied,
            would_deny: self.stats.would_deny,
            holds: own.chain(keyed).sum(),
            alerts: self.notices.next(),
            allocation_bytes: size_of::<Registry>() / ALLOCATIONS_MAX,
            active_bytes: size_of::<ChainedTable<Keyed, ACTIVE>>() / ACTIVE,
        }
    }

    /// How many quotas are configured.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether no quota is configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.registry.len() == 0
    }

    /// The quotas in the order of the file.
    pub fn allocations(&self) -> impl DoubleEndedIterator<Item = (QuotaId, &QuotaSpec)> + '_ {
        self.registry.numbers().map(|number| (self.registry.id(number), &self.registry.entry(number).spec))
    }

    /// The quota of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<QuotaId> {
        self.registry.find(name).map(|number| self.registry.id(number))
    }

    /// Uses the time as it is given, unless it went back.
    fn monotonic(&mut self, now: Now) -> Now {
        self.latest.instant = self.latest.instant.max(now.instant);
        self.latest.wall = self.latest.wall.max(now.wall);
        self.latest
    }

    fn forget_matches(&mut self) {
        self.matched = 0;
        self.serial += 1;
    }
}
