//! What operators do to limits and buckets. Nothing here is on the way of a request.

use super::bucket::{Bucket, Grant, Terms};
use super::registry::Entry;
use super::{GRANTS_MAX, LimitError, LimitId, LimitStats, RateLimiter};
use crate::decision::{LimitStanding, Refill, Sharing};
use crate::limit::{BucketShape, LimitDraft, LimitSpec, LimitState, RateLimitAlgorithm, SpecError};
use crate::request::Unit;
use crate::scope::{HashSecret, KeyHash, KeyName, Kind, Name, Scope};
use crate::time::{Nanos, Now};
use crate::units::Rate;

/// A key of a limit, and what it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The limit.
    pub limit: LimitId,
    /// The key's name.
    pub name: Name,
    /// Requests with this key that the limit refused.
    pub denied: u32,
}

/// A bucket, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketView {
    /// Whose it is; none for the bucket of an exact limit and for an overflow bucket.
    pub key: Option<Name>,
    /// How it stands.
    pub standing: LimitStanding,
    /// Requests that were refused by it.
    pub denied: u32,
    /// How much longer extra capacity is granted, if it is.
    pub grant: Option<(u64, Nanos)>,
}

/// Where a bucket is kept.
#[derive(Clone, Copy)]
enum Owner {
    Limit(LimitId),
    Slot(usize),
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Adds a limit.
    ///
    /// # Errors
    /// [`LimitError::OutOfRange`], [`LimitError::DuplicateName`] or [`LimitError::Full`].
    pub fn add(&mut self, spec: &LimitSpec) -> Result<LimitId, LimitError> {
        self.registry.add(spec, &self.secret)
    }

    /// Adds a token bucket on `scope`, named after it, that counts requests.
    ///
    /// # Errors
    /// [`AddError`] if a value is out of range or there is no place for it.
    pub fn add_token_bucket(&mut self, scope: Scope, capacity: u64, rate: Rate) -> Result<LimitId, AddError> {
        self.add_bucket(scope, RateLimitAlgorithm::TokenBucket(BucketShape { capacity, rate }))
    }

    /// Adds a leaky bucket (as a meter) on `scope`, named after it, that counts requests.
    ///
    /// # Errors
    /// [`AddError`] if a value is out of range or there is no place for it.
    pub fn add_leaky_bucket(&mut self, scope: Scope, capacity: u64, rate: Rate) -> Result<LimitId, AddError> {
        self.add_bucket(scope, RateLimitAlgorithm::LeakyBucket(BucketShape { capacity, rate }))
    }

    fn add_bucket(&mut self, scope: Scope, algorithm: RateLimitAlgorithm) -> Result<LimitId, AddError> {
        let spec = LimitSpec::new(scope, algorithm, Unit::Requests).map_err(AddError::Spec)?;
        self.add(&spec).map_err(AddError::Limit)
    }

    /// Removes a limit and its buckets.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn remove(&mut self, id: LimitId) -> Result<(), LimitError> {
        self.forget_keys_of(id);
        let mut entry: Entry = self.registry.remove(id).ok_or(LimitError::UnknownLimit)?;
        self.release_bucket(&mut entry.bucket, entry.grant);
        Ok(())
    }

    /// Changes a limit while it works. What was used stays used, in whole units rounded up; if that is more than
    /// the limit now has, nothing is left.
    ///
    /// # Errors
    /// [`LimitError::FixedField`] if scope or unit differ, [`LimitError::OutOfRange`], [`LimitError::DuplicateName`]
    /// or [`LimitError::UnknownLimit`].
    pub fn update(&mut self, now: Now, id: LimitId, spec: &LimitSpec) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        let old = self.registry.get(id).ok_or(LimitError::UnknownLimit)?.spec;
        spec.check().map_err(LimitError::OutOfRange)?;
        if (old.scope, old.unit) != (spec.scope, spec.unit) {
            return Err(LimitError::FixedField);
        }
        if self.registry.find(spec.name.as_str()).is_some_and(|other| other != id) {
            return Err(LimitError::DuplicateName);
        }
        if old.algorithm != spec.algorithm {
            self.each_owner(id, |limiter, owner| {
                limiter.end_outgrown_grant(now, owner, &spec.algorithm);
                limiter.reshape(now, owner, &old.algorithm, &spec.algorithm);
            });
        }
        self.registry.entry_mut(id).spec = *spec;
        Ok(())
    }

    /// Changes the rate of a bucket while it works, as [`RateLimiter::update`] does.
    ///
    /// # Errors
    /// [`AddError`] if the rate is out of range, or the limit is unknown or has no rate.
    pub fn update_rate(&mut self, now: Now, id: LimitId, rate: Rate) -> Result<(), AddError> {
        let mut spec = self.registry.get(id).ok_or(AddError::Limit(LimitError::UnknownLimit))?.spec;
        match &mut spec.algorithm {
            RateLimitAlgorithm::TokenBucket(shape)
            | RateLimitAlgorithm::LeakyBucket(shape)
            | RateLimitAlgorithm::LeakyQueue(shape) => shape.rate = rate,
            _ => return Err(AddError::Limit(LimitError::NoBucket)),
        }
        let spec = LimitDraft::from_spec(&spec).finish().map_err(AddError::Spec)?;
        self.update(now, id, &spec).map_err(AddError::Limit)
    }

    /// Enables or disables a limit. Its buckets keep what was used.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn set_state(&mut self, id: LimitId, state: LimitState) -> Result<(), LimitError> {
        self.registry.get_mut(id).ok_or(LimitError::UnknownLimit)?.spec.state = state;
        Ok(())
    }

    /// Makes the limits exactly those of `specs`, in that order. A limit that keeps its name, scope and unit
    /// keeps its buckets and counters; if its shape differs, it is changed as by [`RateLimiter::update`].
    ///
    /// # Errors
    /// [`LimitError`] if the specs do not fit together, in which case they should not have come here: a
    /// [`Config`](crate::config::Config) refuses them before.
    pub fn configure(&mut self, now: Now, specs: &[LimitSpec]) -> Result<(), LimitError> {
        let keeps = |old: &LimitSpec| {
            specs.iter().any(|spec| (spec.name, spec.scope, spec.unit) == (old.name, old.scope, old.unit))
        };
        loop {
            let dropped = self.limits().find(|(_, old)| !keeps(old)).map(|(id, _)| id);
            let Some(id) = dropped else { break };
            self.remove(id)?;
        }
        for (place, spec) in specs.iter().enumerate() {
            let id = match self.find(spec.name.as_str()) {
                Some(id) => {
                    self.update(now, id, spec)?;
                    id
                }
                None => self.add(spec)?,
            };
            self.registry.move_to(id, place);
        }
        Ok(())
    }

    /// Hashes under another secret from now on. Keys that are known already would not be found again, so this
    /// is for a limiter that has seen none.
    pub fn set_secret(&mut self, secret: HashSecret) {
        debug_assert!(self.table.len() == 0 && self.registry.len() == 0, "the secret comes first");
        self.secret = secret;
    }

    /// The limit's description.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn get_bucket(&self, id: LimitId) -> Result<&LimitSpec, LimitError> {
        self.registry.get(id).map(|entry| &entry.spec).ok_or(LimitError::UnknownLimit)
    }

    /// What the limit has decided.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn get_limit_stats(&self, id: LimitId) -> Result<LimitStats, LimitError> {
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        let mut stats = entry.stats;
        if !entry.is_wildcard() {
            stats.keys = u64::from(stats.allowed + stats.denied > 0);
        }
        Ok(stats)
    }

    /// Brings a bucket to the present and tells how many whole units are in it. A key that is not known yet has
    /// a full bucket.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn refill_tokens(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
    ) -> Result<u64, LimitError> {
        self.standing_of(now, id, key).map(|standing| standing.remaining())
    }

    /// How many whole units are in a bucket: another name for [`RateLimiter::refill_tokens`], which changes
    /// nothing that a decision depends on.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn get_tokens(&mut self, now: Now, id: LimitId, key: Option<KeyName<'_>>) -> Result<u64, LimitError> {
        self.refill_tokens(now, id, key)
    }

    /// How a bucket stands now. A key that is not known yet has a full bucket.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn standing_of(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
    ) -> Result<LimitStanding, LimitError> {
        let now = self.monotonic(now);
        let owner = match self.owner(id, key) {
            Ok(Some(owner)) => owner,
            Ok(None) => return Err(LimitError::KeyNeeded),
            Err(LimitError::UnknownKey) => {
                let algorithm = self.registry.entry(id).spec.algorithm;
                let terms = Terms { algorithm: &algorithm, hash: KeyHash(0), now, grant: Grant::default() };
                return standing(id, &terms, &Bucket::Untouched, Refill::Step(Nanos::ZERO), Sharing::Own);
            }
            Err(error) => return Err(error),
        };
        self.view(now, owner).map(|view| view.standing)
    }

    /// Makes buckets full: the one of the key, or else every one of the limit. Returns how many.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn reset_bucket(&mut self, id: LimitId, key: Option<KeyName<'_>>) -> Result<usize, LimitError> {
        self.each_target(id, key, |limiter, owner| {
            let (bucket, grant) = limiter.bucket_mut(owner);
            let (mut bucket, grant) = (core::mem::take(bucket), core::mem::take(grant));
            limiter.release_bucket(&mut bucket, grant);
        })
    }

    /// Makes buckets empty: the one of the key, or else every one that the limit has. Returns how many.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn drain_bucket(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
    ) -> Result<usize, LimitError> {
        let now = self.monotonic(now);
        self.each_target(id, key, |limiter, owner| {
            limiter.with_owner(now, owner, |terms, bucket, log| {
                if let Some(room) = terms.room(bucket) {
                    let left = u64::try_from(room.credit / u128::from(room.per_unit)).unwrap_or(u64::MAX);
                    if left > 0 && terms.can_note(bucket, log) {
                        terms.charge(bucket, left, log);
                    }
                    if let (Bucket::Level { debt, .. }, true) = (&mut *bucket, room.credit > 0) {
                        // The fraction of a unit goes too.
                        *debt = room.cap.into();
                    }
                }
            });
        })
    }

    /// Gives back up to `amount` units of what a bucket has used. Returns what is in it now.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or bucket, or a key is needed and missing.
    pub fn refund(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
        amount: u64,
    ) -> Result<u64, LimitError> {
        let now = self.monotonic(now);
        let owner = self.owner(id, key)?.ok_or(LimitError::KeyNeeded)?;
        self.with_owner(now, owner, |terms, bucket, log| terms.refund(bucket, amount, log));
        self.view(now, owner).map(|view| view.standing.remaining())
    }

    /// Grants a bucket `extra` units beyond its capacity for a time. They are there at once; when the time is over,
    /// what was used beyond the capacity is forgiven. A second grant to a bucket takes the place of the first,
    /// which is over then.
    /// A key that is not known yet gets its bucket here.
    ///
    /// # Errors
    /// [`LimitError::GrantsFull`], [`LimitError::BadGrant`], or that there is no such limit or bucket.
    pub fn handle_burst(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
        extra: u64,
        length: Nanos,
    ) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        entry.spec.algorithm.capacity().ok_or(LimitError::NoBucket)?;
        if extra == 0 || length == Nanos::ZERO || !is_computable(&entry.spec.algorithm, extra) {
            return Err(LimitError::BadGrant);
        }
        self.drop_ended_grants(now);
        let grant = Grant { extra, until: now.instant.after(length).0 };
        let free = self.grants.iter().position(|grant| grant.extra == 0);
        let owner = match self.owner(id, key) {
            Ok(owner) => owner.ok_or(LimitError::KeyNeeded)?,
            Err(LimitError::UnknownKey) if free.is_some() => self.adopt(now, id, key)?,
            Err(LimitError::UnknownKey) => return Err(LimitError::GrantsFull),
            Err(error) => return Err(error),
        };
        self.with_owner(now, owner, |_, _, _| ());
        let link = usize::from(*self.bucket_mut(owner).1).checked_sub(1);
        let place = link.or(free).ok_or(LimitError::GrantsFull)?;
        self.grants[place] = grant;
        self.with_owner(now, owner, |terms, bucket, _| Terms { grant, ..*terms }.forgive(bucket));
        *self.bucket_mut(owner).1 = u16::try_from(place + 1).map_err(|_| LimitError::GrantsFull)?;
        Ok(())
    }

    /// Calls `each` with the buckets of a limit as they stand now: its own, or its overflow bucket if that was
    /// used, and those of its keys.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn each_bucket(
        &mut self,
        now: Now,
        id: LimitId,
        mut each: impl FnMut(BucketView),
    ) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        self.each_owner(id, |limiter, owner| {
            let entry = limiter.registry.entry(id);
            let unused_overflow =
                matches!(owner, Owner::Limit(_)) && entry.is_wildcard() && entry.stats.overflow_hits == 0;
            if let (false, Ok(view)) = (unused_overflow, limiter.view(now, owner)) {
                each(view);
            }
        });
        Ok(())
    }

    /// Every key that has a bucket, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = KeyView> + '_ {
        self.table.places().map(|place| {
            let slot = self.table.slot(place);
            KeyView { limit: LimitId(slot.limit), name: self.table.name(place), denied: slot.denied }
        })
    }

    /// The bucket that is meant; none if it is all of them.
    fn owner(&self, id: LimitId, key: Option<KeyName<'_>>) -> Result<Option<Owner>, LimitError> {
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        entry.spec.algorithm.capacity().ok_or(LimitError::NoBucket)?;
        match (entry.is_wildcard(), key) {
            (false, None) => Ok(Some(Owner::Limit(id))),
            (false, Some(_)) => Err(LimitError::NoKeys),
            (true, None) => Ok(None),
            (true, Some(key)) => {
                let hash = self.hash(entry.spec.scope.kind, key);
                self.table
                    .find(id.0, hash)
                    .map(|place| Some(Owner::Slot(place)))
                    .ok_or(LimitError::UnknownKey)
            }
        }
    }

    /// Calls `work` with the bucket of the key, or with every bucket of the limit, and counts them.
    fn each_target(
        &mut self,
        id: LimitId,
        key: Option<KeyName<'_>>,
        mut work: impl FnMut(&mut Self, Owner),
    ) -> Result<usize, LimitError> {
        let Some(owner) = self.owner(id, key)? else { return Ok(self.each_owner(id, work)) };
        work(self, owner);
        Ok(1)
    }

    /// Calls `work` with every bucket of the limit, and counts those that are a key's or the limit's own.
    fn each_owner(&mut self, id: LimitId, mut work: impl FnMut(&mut Self, Owner)) -> usize {
        let wildcard = self.registry.entry(id).is_wildcard();
        work(self, Owner::Limit(id));
        let mut count = usize::from(!wildcard);
        if wildcard {
            for place in 0..super::KeyTable::<KEYS>::SLOTS {
                if self.table.live(place).is_some_and(|slot| slot.limit == id.0) {
                    work(self, Owner::Slot(place));
                    count += 1;
                }
            }
        }
        count
    }

    fn forget_keys_of(&mut self, id: LimitId) {
        if self.registry.get(id).is_none_or(|entry| entry.stats.keys == 0) {
            return;
        }
        for place in 0..super::KeyTable::<KEYS>::SLOTS {
            if self.table.live(place).is_some_and(|slot| slot.limit == id.0) {
                self.forget_key(place);
            }
        }
    }

    /// Gives a key that is not known yet its bucket.
    fn adopt(&mut self, now: Now, id: LimitId, key: Option<KeyName<'_>>) -> Result<Owner, LimitError> {
        let key = key.ok_or(LimitError::KeyNeeded)?;
        let hash = self.hash(self.registry.entry(id).spec.scope.kind, key);
        let super::Place::Slot(place) = self.place_of_new_key(now, id, hash, &key) else {
            return Err(LimitError::UnknownKey);
        };
        Ok(Owner::Slot(place as usize))
    }

    fn bucket_mut(&mut self, owner: Owner) -> (&mut Bucket, &mut u16) {
        match owner {
            Owner::Limit(id) => {
                let entry = self.registry.entry_mut(id);
                (&mut entry.bucket, &mut entry.grant)
            }
            Owner::Slot(place) => {
                let slot = self.table.slot_mut(place);
                (&mut slot.bucket, &mut slot.grant)
            }
        }
    }

    /// Works on the settled bucket of an owner, as a decision would find it.
    fn with_owner<R>(
        &mut self,
        now: Now,
        owner: Owner,
        work: impl FnOnce(&Terms<'_>, &mut Bucket, &mut super::LogPool<LOG>) -> R,
    ) -> R {
        let (limit, place) = match owner {
            Owner::Limit(id) => (id.0, super::Place::Limit),
            Owner::Slot(place) => (self.table.slot(place).limit, super::slot_place(place)),
        };
        let super::Judged { terms, bucket, log } =
            self.settle(now, super::Match { limit, place, hash: KeyHash(0) });
        work(&terms, bucket, log)
    }

    fn view(&mut self, now: Now, owner: Owner) -> Result<BucketView, LimitError> {
        let (id, key, denied) = match owner {
            Owner::Limit(id) => (id, None, 0),
            Owner::Slot(place) => {
                let slot = self.table.slot(place);
                (LimitId(slot.limit), Some(self.table.name(place)), slot.denied)
            }
        };
        let entry = self.registry.entry(id);
        let shared = if key.is_none() && entry.is_wildcard() { Sharing::Overflow } else { Sharing::Own };
        let standing = self.with_owner(now, owner, |terms, bucket, log| {
            standing(id, terms, bucket, terms.refill(bucket, log), shared)
        })?;
        let link = *self.bucket_mut(owner).1;
        let grant = self.grant(link);
        let grant =
            (grant.extra != 0).then(|| (grant.extra, Nanos(grant.until.saturating_sub(now.instant.0))));
        Ok(BucketView { key, standing, denied, grant })
    }

    /// Ends a grant with which the changed bucket would be too large to compute with.
    fn end_outgrown_grant(&mut self, now: Now, owner: Owner, new: &RateLimitAlgorithm) {
        self.with_owner(now, owner, |_, _, _| ());
        let link = core::mem::take(self.bucket_mut(owner).1);
        let Some(place) = usize::from(link).checked_sub(1) else { return };
        if is_computable(new, self.grants[place].extra) {
            *self.bucket_mut(owner).1 = link;
        } else {
            self.grants[place] = Grant::default();
        }
    }

    /// Turns a bucket of the old algorithm into one of the new with the same use.
    fn reshape(&mut self, now: Now, owner: Owner, old: &RateLimitAlgorithm, new: &RateLimitAlgorithm) {
        let used = self.with_owner(now, owner, |terms, bucket, _| {
            // A window of the same length keeps its counts, which say more than their sum.
            let same_window = match (old, new) {
                (RateLimitAlgorithm::FixedWindow(a), RateLimitAlgorithm::FixedWindow(b))
                | (RateLimitAlgorithm::SlidingWindow(a), RateLimitAlgorithm::SlidingWindow(b)) => {
                    (a.window, a.align) == (b.window, b.align)
                }
                (RateLimitAlgorithm::SlidingLog(_), RateLimitAlgorithm::SlidingLog(_)) => true,
                _ => false,
            };
            (!same_window)
                .then(|| (terms.used(bucket), *terms))
                .map(|(used, terms)| (used, terms.hash, terms.grant))
        });
        let Some((used, hash, grant)) = used else { return };
        let mut before = core::mem::take(self.bucket_mut(owner).0);
        if let Bucket::Log(entries) = &mut before {
            self.log.release(entries);
        }
        let terms = Terms { algorithm: new, hash, now, grant };
        *self.bucket_mut(owner).0 = if before == Bucket::Untouched || used == 0 {
            Bucket::Untouched
        } else {
            terms.with_used(used, &mut self.log)
        };
    }

    /// Takes back the grants that ended, from buckets that nobody has looked at since.
    fn drop_ended_grants(&mut self, now: Now) {
        for link in 1..=GRANTS_MAX {
            let grant = self.grants[link - 1];
            if grant.extra == 0 || now.instant.0 < grant.until {
                continue;
            }
            let slots = self
                .table
                .places()
                .find(|&place| usize::from(self.table.slot(place).grant) == link)
                .map(Owner::Slot);
            let limits = || {
                self.registry
                    .ids()
                    .find(|&id| usize::from(self.registry.entry(id).grant) == link)
                    .map(Owner::Limit)
            };
            if let Some(owner) = slots.or_else(limits) {
                self.with_owner(now, owner, |_, _, _| ());
            }
        }
    }

    /// The key of a limit that `name` stands for.
    ///
    /// # Errors
    /// [`crate::scope::ScopeError`] if it cannot be a name of the limit's kind.
    pub fn key_of<'a>(&self, kind: Kind, name: &'a str) -> Result<KeyName<'a>, crate::scope::ScopeError> {
        KeyName::parse(kind, name)
    }
}

/// Whether capacity × period stays within its bound when `extra` is added to the capacity.
fn is_computable(algorithm: &RateLimitAlgorithm, extra: u64) -> bool {
    let bucket = algorithm.bucket().map(|shape| (shape.capacity, shape.rate.period));
    let window = || algorithm.window().map(|shape| (shape.limit, shape.window));
    let (capacity, period) = bucket.or_else(window).unwrap_or_default();
    let product = u128::from(capacity.saturating_add(extra)) * u128::from(period.0);
    product >> crate::limit::PRODUCT_BITS_MAX == 0
}

fn standing(
    id: LimitId,
    terms: &Terms<'_>,
    bucket: &Bucket,
    refill: Refill,
    shared: Sharing,
) -> Result<LimitStanding, LimitError> {
    let room = terms.room(bucket).ok_or(LimitError::NoBucket)?;
    Ok(LimitStanding {
        limit: id,
        shared,
        capacity: Some(room.capacity),
        credit: room.credit,
        per_unit: room.per_unit,
        refill,
    })
}

/// Why a limit could not be added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// A value is out of range.
    Spec(SpecError),
    /// It does not go with the other limits.
    Limit(LimitError),
}

impl core::fmt::Display for AddError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Spec(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AddError {}
