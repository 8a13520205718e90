//! Exact rate limits: every limit that matches a request is checked, then all are charged, or none is.
//!
//! [`RateLimiter`] holds the configured limits, the table of keyed buckets, and the pool behind exact windows, all
//! in fixed arrays. [`RateLimiter::check`] finds the limits that match a [`Subject`] and tells whether all have
//! room; [`RateLimiter::charge`] then takes, or [`RateLimiter::charge_held`] takes and hands out what
//! [`RateLimiter::settle`] later needs. The arithmetic of the algorithms is in `bucket`, the keyed table in
//! `key_table`, how a request finds the buckets that match it in `matches`, limits that only count what they would refuse in `shadow`, what operators do to limits in `configure`
//! and to buckets in `operate`.
//!
//! Sources: token bucket and GCRA in scaled integers (ITU-T I.371), the two-window counter (Cloudflare, "How
//! we built rate limiting capable of scaling to millions of domains").

mod bucket;
mod configure;
mod denials;
mod error;
mod holds;
mod key_table;
mod log_pool;
mod matches;
mod near_limit;
mod operate;
mod registry;
mod requests;
mod shadow;
mod single;
mod stats;
#[cfg(test)]
mod tests;
mod throttle;

pub use denials::{DeniedKey, OVERFLOW_NAME};
pub use error::LimitError;
pub use holds::{LimitHold, Settled};
pub use near_limit::{NEAR_LIMIT_NOTICES, NearLimit};
pub use operate::{BucketView, KeyView};
pub(crate) use registry::check_fit;
pub use registry::{LIMITS_MAX, LimitClass, OTHER_LIMITS_MAX, SERVICE_LIMITS_MAX, USER_LIMITS_MAX};
pub use requests::{RateLimitRequest, RateLimitResponse};
pub use stats::{LimitStats, TableStats};

use crate::decision::{LimitStanding, Reason, Sharing, Wait};
use crate::limit::{LimitName, LimitSpec, RateLimitAlgorithm};
use crate::notice::Notices;
use crate::request::{HashedSubject, Subject};
use crate::scope::{BucketName, HashSecret, KeyHash, KeyName, Kind};
use crate::time::{Nanos, Now};
use bucket::{Bucket, Grant, Room, Terms};
use key_table::{KeyTable, Slot};
use log_pool::LogPool;
use registry::{Entry, Registry};

/// How many grants of extra capacity can run at the same time.
pub const GRANTS_MAX: usize = 64;

/// A limit that is configured. The number is used again after the limit is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitId(pub(crate) u16);

impl LimitId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether a check is the first half of a charge, or only a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Keys that are met get their buckets, refusals are counted, and a charge may follow.
    Charge,
    /// Nothing is counted, and no key is added.
    Peek,
}

/// Every matching limit has room. It is used up by [`RateLimiter::charge`], [`RateLimiter::charge_held`] or
/// [`RateLimiter::release`], and stands until the limiter checks another request or settles one, or an operator changes
/// limits or drains buckets.
#[derive(Debug)]
#[must_use = "limits that were checked are to be charged or released"]
pub struct Clearance {
    /// Which of the matches speaks for the decision.
    speaker: Option<usize>,
    delay: Nanos,
    now: Now,
    /// Which check it comes from.
    serial: u64,
    /// How many limits in force have matched.
    matched: usize,
    needs_ticket: bool,
}

impl Clearance {
    /// How long the request has to wait for its turn in leaky queues.
    #[must_use]
    pub const fn delay(&self) -> Nanos {
        self.delay
    }

    /// Whether a limit on what is in flight has matched, which can only be charged by [`RateLimiter::charge_held`].
    #[must_use]
    pub const fn needs_ticket(&self) -> bool {
        self.needs_ticket
    }

    /// The most holds that [`RateLimiter::charge_held`] hands out.
    #[must_use]
    pub const fn holds(&self) -> usize {
        self.matched
    }
}

/// A matching limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The refusing limit with the longest wait, and how it stands.
    pub limit: LimitStanding,
    /// How long until it would let the request pass.
    pub retry: Wait,
}

/// Where the bucket lies by which a limit judges the request at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// With the limit: it has one bucket, or none.
    #[default]
    Limit,
    /// In the table.
    Slot(u32),
    /// With the limit: the bucket that keys without a slot share.
    Overflow,
    /// Nowhere yet, and a peek does not make one: a free slot would be taken.
    Absent,
    /// Nowhere yet either: this slot would be taken, whose bucket is full again.
    Promised(u32),
}

/// What a bucket in the table is called by: the key, and the client where each has one of its own.
type Names<'k, 'n> = (&'k KeyName<'n>, Option<&'k KeyName<'n>>);

/// A limit that matches the request at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Match {
    limit: u16,
    place: Place,
    /// The hash of the key for which a bucket is absent.
    hash: KeyHash,
}

/// Rate limits over `KEYS` keyed buckets and `LOG` entries of exact windows. All-zero when empty.
#[derive(Debug)]
pub struct RateLimiter<const KEYS: usize, const LOG: usize> {
    secret: HashSecret,
    registry: Registry,
    table: KeyTable<KEYS>,
    log: LogPool<LOG>,
    grants: [Grant; GRANTS_MAX],
    /// The limits that match the request at hand: those in force from the front, those in shadow mode from the back.
    matches: [Match; LIMITS_MAX],
    matched: usize,
    shadowed: usize,
    /// Counts up whenever the matches are forgotten, so that an outdated clearance is known.
    serial: u64,
    /// Stands in for a bucket that a peek does not find.
    absent: Absent,
    /// The latest time that was seen: no clock of a limiter ever goes back.
    latest: Now,
    evicted_fresh: u64,
    evicted_shadow: u64,
    overflow_hits: u64,
    log_full: u64,
    notices: Notices<NearLimit, NEAR_LIMIT_NOTICES>,
}

impl<const KEYS: usize, const LOG: usize> Default for RateLimiter<KEYS, LOG> {
    fn default() -> Self {
        Self::new()
    }
}

// What is `inline(always)` below would give its answer through memory, written word by word and copied on in pairs of
// words, and a processor that reads more than was written at once has to wait for as long as the rest takes.
impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// A limiter without limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            registry: Registry::new(),
            table: KeyTable::new(),
            log: LogPool::new(),
            grants: [Grant { extra: 0, until: 0 }; GRANTS_MAX],
            matches: [Match { limit: 0, place: Place::Limit, hash: KeyHash(0) }; LIMITS_MAX],
            matched: 0,
            shadowed: 0,
            serial: 0,
            absent: Absent { bucket: Bucket::Untouched, grant: 0, is_near: false },
            latest: Now { instant: crate::time::Instant(0), wall: crate::time::WallTime(0) },
            evicted_fresh: 0,
            evicted_shadow: 0,
            overflow_hits: 0,
            log_full: 0,
            notices: Notices::new(NearLimit::EMPTY),
        }
    }

    /// Forgets all limits, buckets and counters, in place, and takes a secret for hashing.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
        self.registry.clear();
        self.registry.forget_use();
        self.table.clear();
        self.log.clear();
        self.grants.fill(Grant::default());
        self.forget_matches();
        self.latest = Now::default();
        (self.evicted_fresh, self.evicted_shadow, self.overflow_hits, self.log_full) = (0, 0, 0, 0);
        self.notices.clear();
    }

    /// Finds the limits that match and tells whether all of them have room. Nothing is charged.
    ///
    /// # Errors
    /// [`Refusal`] if a limit has none: the one with the longest wait, the first in the file among equals.
    #[inline(always)]
    pub fn check(&mut self, now: Now, subject: &Subject<'_>, access: Access) -> Result<Clearance, Refusal> {
        self.check_hashed(now, &HashedSubject::new(subject, self.secret), access)
    }

    /// As [`RateLimiter::check`], and takes note of the hashes that it makes.
    #[inline(always)]
    pub(crate) fn check_hashed(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        access: Access,
    ) -> Result<Clearance, Refusal> {
        let now = self.monotonic(now);
        self.find_matches(now, hashed, access);
        self.assess_matches(now, hashed, access)
    }

    /// Tells whether all limits that were found have room.
    #[inline(always)]
    fn assess_matches(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        access: Access,
    ) -> Result<Clearance, Refusal> {
        let subject = hashed.subject;
        let mut delay = Nanos::ZERO;
        let mut worst: Option<(usize, Reason, Wait)> = None;
        for index in 0..self.matched {
            let matched = self.matches[index];
            match self.assess(now, matched, self.cost(subject, matched)) {
                Ok(turn) => delay = delay.max(turn),
                Err((reason, wait)) => {
                    if access == Access::Charge {
                        self.count_refusal(now, matched.limit, matched.place, reason);
                    }
                    if worst.is_none_or(|other| self.is_worse((index, reason, wait), other)) {
                        worst = Some((index, reason, wait));
                    }
                }
            }
        }
        if access == Access::Charge && self.registry.has_shadows() {
            self.check_shadows(now, hashed);
        }
        if let Some((index, reason, retry)) = worst {
            let matched = self.matches[index];
            let limit = self.settled(now, matched).standing(matched);
            self.forget_matches();
            return Err(Refusal { reason, limit, retry });
        }
        let speaker = match self.matched {
            0 => None,
            1 => Some(0),
            _ => self.tightest(now, subject),
        };
        let needs_ticket = self.registry.has_in_flight() && self.takes_lease(subject);
        Ok(Clearance { speaker, delay, now, serial: self.serial, matched: self.matched, needs_ticket })
    }

    /// Charges every limit that was found by the check, and tells how the tightest of them stands now.
    ///
    /// # Panics
    /// If the clearance is outdated: it would charge the matches of another request. If it needs a ticket: what it
    /// takes would never come back.
    #[inline(always)]
    pub fn charge(&mut self, subject: &Subject<'_>, clearance: Clearance) -> Option<LimitStanding> {
        self.assert_current(&clearance);
        assert!(!clearance.needs_ticket, "what is in flight is charged with a ticket or not at all");
        if self.matched > 1 {
            self.charge_others(clearance.now, subject, clearance.speaker);
        }
        // The one that speaks comes last, so that it is told as it was left.
        let standing = match clearance.speaker {
            Some(index) if index < self.matched => {
                let matched = self.matches[index];
                let (judged, is_crossing) = self.take(clearance.now, subject, matched);
                let standing = judged.standing(matched);
                if is_crossing {
                    self.give_notice(clearance.now, matched.limit, matched.place);
                }
                Some(standing)
            }
            _ => None,
        };
        if self.shadowed > 0 {
            self.charge_shadows(clearance.now, subject);
        }
        self.forget_matches();
        standing
    }

    /// Charges every limit but the one that speaks.
    #[inline(never)]
    fn charge_others(&mut self, now: Now, subject: &Subject<'_>, speaker: Option<usize>) {
        for index in (0..self.matched).filter(|&index| speaker != Some(index)) {
            let matched = self.matches[index];
            if self.take(now, subject, matched).1 {
                self.give_notice(now, matched.limit, matched.place);
            }
        }
    }

    /// Lets go of what the check found, without a charge, and tells how the tightest limit stands.
    ///
    /// # Panics
    /// If the clearance is outdated.
    pub fn release(&mut self, clearance: Clearance) -> Option<LimitStanding> {
        self.assert_current(&clearance);
        let standing = match clearance.speaker {
            Some(index) if index < self.matched => {
                let matched = self.matches[index];
                Some(self.settled(clearance.now, matched).standing(matched))
            }
            _ => None,
        };
        self.forget_matches();
        standing
    }

    /// How full the fixed structures are.
    #[must_use]
    pub fn table_stats(&self) -> TableStats {
        TableStats {
            keys: self.table.len(),
            keys_max: KEYS,
            evicted_fresh: self.evicted_fresh,
            evicted_shadow: self.evicted_shadow,
            overflow_hits: self.overflow_hits,
            log_entries: self.log.in_use(),
            log_entries_max: LOG,
            log_full: self.log_full,
            grants: self.grants.iter().filter(|grant| grant.extra != 0).count(),
            limit_bytes: size_of::<Registry>() / LIMITS_MAX,
            key_bytes: size_of::<KeyTable<KEYS>>() / KEYS,
            log_entry_bytes: size_of::<LogPool<LOG>>() / LOG,
        }
    }

    /// How many limits are configured.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether no limit is configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.registry.len() == 0
    }

    /// The limits in the order of the file.
    pub fn limits(&self) -> impl DoubleEndedIterator<Item = (LimitId, &LimitSpec)> + '_ {
        self.registry.ids().map(|id| (id, &self.registry.entry(id).spec))
    }

    /// The limit of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<LimitId> {
        self.registry.find(name)
    }

    /// Whether a limit is there and has that name: its number is used again after it is removed.
    pub(crate) fn is_named(&self, id: LimitId, name: &LimitName) -> bool {
        self.get_bucket(id).is_ok_and(|spec| spec.name == *name)
    }

    /// Uses the time as it is given, unless it went back.
    fn monotonic(&mut self, now: Now) -> Now {
        self.latest.instant = self.latest.instant.max(now.instant);
        self.latest.wall = self.latest.wall.max(now.wall);
        self.latest
    }

    fn release_bucket(&mut self, bucket: &mut Bucket, grant: u16) {
        if let Bucket::Log(entries) = bucket {
            self.log.release(entries);
        }
        *bucket = Bucket::Untouched;
        if let Some(grant) = usize::from(grant).checked_sub(1).and_then(|index| self.grants.get_mut(index)) {
            *grant = Grant::default();
        }
    }

    fn grant(&self, link: u16) -> Grant {
        usize::from(link).checked_sub(1).and_then(|index| self.grants.get(index)).copied().unwrap_or_default()
    }

    /// Settles the bucket of a match and judges the cost by it: how long it has to wait for its turn, or why it is
    /// refused and for how long.
    #[inline(always)]
    fn assess(&mut self, now: Now, matched: Match, cost: u64) -> Result<Nanos, (Reason, Wait)> {
        let Judged { terms, bucket, log, .. } = self.judge(now, matched);
        let Some(room) = terms.room(bucket) else {
            return match terms.algorithm {
                RateLimitAlgorithm::Ban => Err((Reason::Banned, Wait::Never)),
                _ => Ok(Nanos::ZERO),
            };
        };
        if !room.fits(cost) {
            let reason = if cost > room.capacity { Reason::CostAboveCapacity } else { Reason::OverLimit };
            return Err((reason, terms.wait(bucket, cost, log)));
        }
        if cost == 0 {
            return Ok(Nanos::ZERO);
        }
        if !terms.promise_note(bucket, log) {
            // Room comes with the first entry that expires, of this key or of another.
            let wait = Wait::For(terms.algorithm.window().map_or(Nanos::MAX, |shape| shape.window));
            return Err((Reason::LogFull, wait));
        }
        Ok(terms.delay(bucket))
    }

    /// Of several limits that have room, the one with the smallest share left after the request, the earlier in the
    /// file among equals. Where nothing bounds the request, the first in the file.
    #[inline(never)]
    fn tightest(&mut self, now: Now, subject: &Subject<'_>) -> Option<usize> {
        let mut tightest: Option<(usize, Room)> = None;
        for index in 0..self.matched {
            let matched = self.matches[index];
            let cost = self.cost(subject, matched);
            let Judged { terms, bucket, .. } = self.settled(now, matched);
            let Some(room) = terms.room(bucket) else { continue };
            let room = room.after(cost);
            if tightest.is_none_or(|(other, least)| self.is_tighter((index, &room), (other, &least))) {
                tightest = Some((index, room));
            }
        }
        let first = || (0..self.matched).min_by_key(|&index| self.order(index));
        tightest.map(|(index, _)| index).or_else(first)
    }

    /// Brings the bucket of a match to the present.
    #[inline(always)]
    fn judge(&mut self, now: Now, matched: Match) -> Judged<'_, LOG> {
        let Owned { algorithm, hash, bucket, grant, is_near } =
            owned(&mut self.registry, &mut self.table, &mut self.absent, matched);
        let mut terms = Terms { algorithm, hash, now, grant: Grant::default() };
        if let Some(link) = usize::from(*grant).checked_sub(1) {
            terms.grant = self.grants[link];
            terms.settle(bucket, &mut self.log);
            if now.instant.0 >= terms.grant.until {
                (self.grants[link], terms.grant, *grant) = (Grant::default(), Grant::default(), 0);
            }
        } else {
            terms.settle(bucket, &mut self.log);
        }
        Judged { terms, bucket, log: &mut self.log, is_near }
    }

    /// Charges a limit that has room. Also tells whether that is worth a notice.
    #[inline(always)]
    fn take(&mut self, now: Now, subject: &Subject<'_>, matched: Match) -> (Judged<'_, LOG>, bool) {
        let cost = self.cost(subject, matched);
        self.registry.entry_mut(LimitId(matched.limit)).stats.allowed += 1;
        let mut judged = self.settled(now, matched);
        let is_crossing = judged.charge(cost);
        (judged, is_crossing)
    }

    /// The bucket of a match as the check has left it.
    #[inline(always)]
    fn settled(&mut self, now: Now, matched: Match) -> Judged<'_, LOG> {
        let Owned { algorithm, hash, bucket, grant, is_near } =
            owned(&mut self.registry, &mut self.table, &mut self.absent, matched);
        let grant = usize::from(*grant).checked_sub(1).map_or(Grant::default(), |link| self.grants[link]);
        let terms = Terms { algorithm, hash, now, grant };
        if matches!(matched.place, Place::Absent | Place::Promised(_)) {
            // What the check has settled was forgotten after it.
            terms.settle(bucket, &mut self.log);
        }
        Judged { terms, bucket, log: &mut self.log, is_near }
    }

    /// Whether a limit speaks before another: the smaller share left, then the earlier place in the file.
    fn is_tighter(&self, (index, room): (usize, &Room), (other, tightest): (usize, &Room)) -> bool {
        if room.is_tighter_than(tightest) {
            return true;
        }
        !tightest.is_tighter_than(room) && self.order(index) < self.order(other)
    }

    /// Whether a refusal speaks before another: the longer wait, then the earlier place in the file.
    fn is_worse(&self, this: (usize, Reason, Wait), other: (usize, Reason, Wait)) -> bool {
        let rank = |(index, _, wait)| (wait, core::cmp::Reverse(self.order(index)));
        rank(this) > rank(other)
    }

    fn order(&self, index: usize) -> u16 {
        self.registry.entry(LimitId(self.matches[index].limit)).order
    }

    /// What the request costs in the unit of a limit that matches it.
    #[inline(always)] // not to copy the match
    fn cost(&self, subject: &Subject<'_>, matched: Match) -> u64 {
        let spec = &self.registry.entry(LimitId(matched.limit)).spec;
        let amount = subject.request.amount(spec.unit);
        // Whatever a request costs, it is in flight once.
        if spec.algorithm.concurrency().is_some() { amount.min(1) } else { amount }
    }

    /// Whether one of the limits that match counts the request as in flight.
    #[cold]
    fn takes_lease(&self, subject: &Subject<'_>) -> bool {
        self.matches[..self.matched].iter().any(|&matched| {
            let algorithm = &self.registry.entry(LimitId(matched.limit)).spec.algorithm;
            algorithm.concurrency().is_some() && self.cost(subject, matched) > 0
        })
    }

    fn count_refusal(&mut self, now: Now, limit: u16, place: Place, reason: Reason) {
        let entry = self.registry.entry_mut(LimitId(limit));
        let stats = &mut entry.stats;
        stats.denied += 1;
        if reason == Reason::LogFull {
            stats.log_full += 1;
            self.log_full += 1;
        }
        let is_near = match place {
            Place::Overflow => {
                stats.overflow_denied += 1;
                entry.is_near
            }
            Place::Slot(slot) => {
                let slot = self.table.slot_mut(slot as usize);
                slot.denied = slot.denied.saturating_add(1);
                slot.is_near
            }
            Place::Limit => entry.is_near,
            Place::Absent | Place::Promised(_) => return,
        };
        if reason == Reason::OverLimit && !is_near {
            self.give_notice(now, limit, place);
        }
    }

    #[inline(always)]
    fn assert_current(&self, clearance: &Clearance) {
        assert!(
            clearance.serial == self.serial,
            "the clearance is outdated: another check or change came after it"
        );
    }

    fn forget_matches(&mut self) {
        (self.matched, self.shadowed) = (0, 0);
        self.serial = self.serial.wrapping_add(1);
        self.log.forget_promises();
    }

    /// What keys are hashed with, and what the fingerprints of secrets are under.
    #[must_use]
    pub const fn secret(&self) -> HashSecret {
        self.secret
    }

    /// Whose bucket is at a place of the table, as it is shown.
    fn bucket_name(&self, place: usize) -> BucketName {
        let (slot, name) = (self.table.slot(place), self.table.name(place));
        if self.registry.entry(LimitId(slot.limit)).is_per_client() {
            let client = self.table.client(place);
            BucketName::format(format_args!("{name} client:{client}")).unwrap_or_default()
        } else {
            BucketName::excerpt(name.as_str())
        }
    }

    /// The hash of a key of `kind`.
    fn hash(&self, kind: Kind, key: KeyName<'_>) -> KeyHash {
        self.secret.hash(kind, key)
    }
}

/// A bucket and the terms that it is judged under.
struct Judged<'a, const LOG: usize> {
    terms: Terms<'a>,
    bucket: &'a mut Bucket,
    log: &'a mut LogPool<LOG>,
    /// Whether notice was given that little is left, and not much has been left since.
    is_near: &'a mut bool,
}

impl<const LOG: usize> Judged<'_, LOG> {
    /// Charges a cost that fits, and tells whether that is worth a notice.
    #[inline(always)]
    fn charge(&mut self, cost: u64) -> bool {
        if *self.is_near {
            *self.is_near = is_near_still(self.terms, self.bucket);
        }
        if cost == 0 {
            return false;
        }
        self.terms.charge(self.bucket, cost, self.log);
        self.is_crossing()
    }

    /// Whether little is left, and no notice was given of it yet.
    #[inline(always)]
    fn is_crossing(&self) -> bool {
        !*self.is_near & self.terms.is_nearly_used_up(self.bucket)
    }

    #[inline(always)]
    fn standing(&self, Match { limit, place, .. }: Match) -> LimitStanding {
        let shared = if place == Place::Overflow { Sharing::Overflow } else { Sharing::Own };
        self.terms.standing(LimitId(limit), shared, self.bucket, self.log)
    }
}

/// Whether less than half is left, so that the next crossing is not awaited yet.
// By value: what is lent to another function lies in memory, and would be copied from there.
#[cold]
#[inline(never)]
fn is_near_still(terms: Terms<'_>, bucket: &Bucket) -> bool {
    terms.room(bucket).is_some_and(|room| !room.is_ample())
}

/// A bucket and whose it is.
struct Owned<'a> {
    algorithm: &'a RateLimitAlgorithm,
    hash: KeyHash,
    bucket: &'a mut Bucket,
    /// The link to its grant of extra capacity.
    grant: &'a mut u16,
    is_near: &'a mut bool,
}

/// What stands in for a key's bucket.
#[derive(Debug, Default)]
struct Absent {
    bucket: Bucket,
    grant: u16,
    is_near: bool,
}

/// The bucket of a match: the key's, the limit's, or a fresh one that stands in for one that is absent.
#[inline(always)]
fn owned<'a, const KEYS: usize>(
    registry: &'a mut Registry,
    table: &'a mut KeyTable<KEYS>,
    absent: &'a mut Absent,
    Match { limit, place, hash }: Match,
) -> Owned<'a> {
    let Entry { spec, bucket, hash: own_hash, grant, is_near, .. } = registry.entry_mut(LimitId(limit));
    let algorithm = &spec.algorithm;
    match place {
        Place::Slot(place) => {
            let Slot { bucket, hash, grant, is_near, .. } = table.slot_mut(place as usize);
            Owned { algorithm, hash: *hash, bucket, grant, is_near }
        }
        Place::Limit | Place::Overflow => Owned { algorithm, hash: *own_hash, bucket, grant, is_near },
        Place::Absent | Place::Promised(_) => {
            *absent = Absent::default();
            let Absent { bucket, grant, is_near } = absent;
            Owned { algorithm, hash, bucket, grant, is_near }
        }
    }
}

fn slot_place(place: usize) -> Place {
    u32::try_from(place).map_or(Place::Overflow, Place::Slot)
}
