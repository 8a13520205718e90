//! What operators do to buckets, and what they see of them. Nothing here is on the way of a request.

use super::bucket::{Bucket, Grant, Terms};
use super::registry::Entry;
use super::{GRANTS_MAX, LimitError, LimitId, LimitStats, RateLimiter};
use crate::decision::{LimitStanding, Sharing};
use crate::limit::{LimitSpec, RateLimitAlgorithm};
use crate::scope::{BucketKey, BucketName, KeyHash};
use crate::time::{Nanos, Now};

/// A key of a limit, and what it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The limit.
    pub limit: LimitId,
    /// What the key is called.
    pub name: BucketName,
    /// Requests with this key that the limit refused.
    pub denied: u32,
}

/// A bucket, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketView {
    /// Whose it is; none for the one bucket of a limit and for an overflow bucket.
    pub key: Option<BucketName>,
    /// How it stands.
    pub standing: LimitStanding,
    /// Requests that were refused by it.
    pub denied: u32,
    /// How much longer extra capacity is granted, if it is.
    pub grant: Option<(u64, Nanos)>,
}

/// Which of a limit's buckets are meant.
#[derive(Clone, Copy)]
pub(super) enum Target {
    All,
    /// The only one.
    Limit,
    Key(KeyHash),
}

/// Where a bucket is kept.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Limit(LimitId),
    Slot(usize),
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
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
        if !entry.is_keyed() {
            // What bounds nothing tracks no key, whether it is for one name or for each.
            let tracks = !matches!(entry.spec.algorithm, RateLimitAlgorithm::Unlimited);
            stats.keys = u64::from(tracks && stats.allowed + stats.denied + stats.would_deny > 0);
        }
        Ok(stats)
    }

    /// Brings a bucket to the present and tells how many whole units are in it. A key that is not known yet has
    /// a full bucket.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn refill_tokens<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
    ) -> Result<u64, LimitError> {
        self.standing_of(now, id, key).map(|standing| standing.remaining())
    }

    /// How many whole units are in a bucket: another name for [`RateLimiter::refill_tokens`], which changes
    /// nothing that a decision depends on.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn get_tokens<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
    ) -> Result<u64, LimitError> {
        self.refill_tokens(now, id, key)
    }

    /// How a bucket stands now. A key that is not known yet has a full bucket.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket.
    pub fn standing_of<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
    ) -> Result<LimitStanding, LimitError> {
        let now = self.monotonic(now);
        let owner = match self.owner(id, key.into()) {
            Ok(Some(owner)) => owner,
            Ok(None) => return Err(self.needed(id)),
            Err(LimitError::UnknownKey) => {
                let algorithm = self.registry.entry(id).spec.algorithm;
                let terms = Terms { algorithm: &algorithm, hash: KeyHash(0), now, grant: Grant::default() };
                return Ok(terms.standing(id, Sharing::Own, &Bucket::Untouched, &self.log));
            }
            Err(error) => return Err(error),
        };
        self.view(now, owner).map(|view| view.standing)
    }

    /// Makes buckets full: the one of the key, or else every one of the limit. Returns how many.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket, or [`LimitError::InFlight`].
    pub fn reset_bucket<'a>(
        &mut self,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
    ) -> Result<usize, LimitError> {
        self.spendable(id)?;
        self.each_target(id, key.into(), |limiter, owner| {
            *limiter.is_near_mut(owner) = false;
            let (bucket, grant) = limiter.bucket_mut(owner);
            let (mut bucket, grant) = (core::mem::take(bucket), core::mem::take(grant));
            limiter.release_bucket(&mut bucket, grant);
        })
    }

    /// Makes buckets empty: the one of the key, or else every one that the limit has. Returns how many.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or it has no such bucket, [`LimitError::InFlight`], or
    /// [`LimitError::LogFull`] if an exact window has no room to note what is taken; no bucket is drained then.
    pub fn drain_bucket<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
    ) -> Result<usize, LimitError> {
        let (now, key) = (self.monotonic(now), key.into());
        self.spendable(id)?;
        self.forget_matches();
        let mut has_room = true;
        self.each_target(id, key, |limiter, owner| {
            has_room &= limiter.with_owner(now, owner, |terms, bucket, log| {
                terms.left(bucket) == 0 || terms.promise_note(bucket, log)
            });
        })?;
        self.forget_matches();
        if !has_room {
            return Err(LimitError::LogFull);
        }
        self.each_target(id, key, |limiter, owner| {
            limiter.with_owner(now, owner, |terms, bucket, log| terms.drain(bucket, log));
        })
    }

    /// Gives back up to `amount` units of what a bucket has used. Returns what is in it now.
    ///
    /// # Errors
    /// [`LimitError`] if there is no such limit or bucket, or a key is needed and missing, or [`LimitError::InFlight`].
    pub fn refund<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
        amount: u64,
    ) -> Result<u64, LimitError> {
        let now = self.monotonic(now);
        self.spendable(id)?;
        let owner = self.owner(id, key.into())?.ok_or_else(|| self.needed(id))?;
        self.with_owner(now, owner, |terms, bucket, log| terms.refund(bucket, amount, log));
        self.view(now, owner).map(|view| view.standing.remaining())
    }

    /// Grants a bucket `extra` units beyond its capacity for a time. They are there at once; when the time is over,
    /// what was used beyond the capacity is forgiven. A second grant to a bucket takes the place of the first,
    /// which is over then.
    /// A key that is not known yet gets its bucket here.
    ///
    /// # Errors
    /// [`LimitError::GrantsFull`], [`LimitError::BadGrant`], [`LimitError::TableFull`], [`LimitError::InFlight`], or that
    /// there is no such limit or bucket.
    pub fn handle_burst<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
        extra: u64,
        length: Nanos,
    ) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        self.spendable(id)?;
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        entry.spec.algorithm.capacity().ok_or(LimitError::NoBucket)?;
        if extra == 0 || length == Nanos::ZERO || !is_computable(&entry.spec.algorithm, extra) {
            return Err(LimitError::BadGrant);
        }
        self.drop_ended_grants(now);
        let grant = Grant { extra, until: now.instant.after(length).0 };
        let free = self.grants.iter().position(|grant| grant.extra == 0);
        let key = key.into();
        let owner = match self.owner(id, key) {
            Ok(owner) => owner.ok_or_else(|| self.needed(id))?,
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
                matches!(owner, Owner::Limit(_)) && entry.is_keyed() && entry.stats.overflow_hits == 0;
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
            KeyView { limit: LimitId(slot.limit), name: self.bucket_name(place), denied: slot.denied }
        })
    }

    /// Whether operators can give to the buckets of a limit and take from them.
    fn spendable(&self, id: LimitId) -> Result<(), LimitError> {
        match self.registry.get(id).map(|entry| entry.spec.algorithm.concurrency()) {
            Some(Some(_)) => Err(LimitError::InFlight),
            _ => Ok(()),
        }
    }

    /// The bucket that is meant; none if it is all of them.
    fn owner(&self, id: LimitId, key: BucketKey<'_>) -> Result<Option<Owner>, LimitError> {
        match self.target(id, key)? {
            Target::All => Ok(None),
            Target::Limit => Ok(Some(Owner::Limit(id))),
            Target::Key(hash) => {
                let place = self.table.find(id.0, hash).ok_or(LimitError::UnknownKey)?;
                Ok(Some(Owner::Slot(place)))
            }
        }
    }

    /// Which bucket of a limit is meant.
    pub(super) fn target(&self, id: LimitId, key: BucketKey<'_>) -> Result<Target, LimitError> {
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        entry.spec.algorithm.capacity().ok_or(LimitError::NoBucket)?;
        let hash = match (entry.is_wildcard(), key.key) {
            (true, Some(key)) => Some(self.hash(entry.spec.scope.kind, key)),
            (true, None) => None,
            (false, None) => Some(entry.hash),
            (false, Some(_)) => return Err(LimitError::NoKeys),
        };
        match (entry.is_per_client(), hash, key.client) {
            (true, Some(hash), Some(client)) => Ok(Target::Key(self.secret.hash_client(hash, client))),
            (true, None, Some(_)) => Err(LimitError::KeyNeeded),
            (true, _, None) if key.key.is_some() => Err(LimitError::ClientNeeded),
            (true, _, None) | (false, None, None) => Ok(Target::All),
            (false, Some(hash), None) if entry.is_wildcard() => Ok(Target::Key(hash)),
            (false, Some(_), None) => Ok(Target::Limit),
            (false, _, Some(_)) => Err(LimitError::NoClients),
        }
    }

    /// What has to be named so that one bucket of a limit is meant, where nothing was.
    pub(super) fn needed(&self, id: LimitId) -> LimitError {
        let is_wildcard = self.registry.get(id).is_none_or(Entry::is_wildcard);
        if is_wildcard { LimitError::KeyNeeded } else { LimitError::ClientNeeded }
    }

    /// Calls `work` with the bucket of the key, or with every bucket of the limit, and counts them.
    fn each_target(
        &mut self,
        id: LimitId,
        key: BucketKey<'_>,
        mut work: impl FnMut(&mut Self, Owner),
    ) -> Result<usize, LimitError> {
        let Some(owner) = self.owner(id, key)? else { return Ok(self.each_owner(id, work)) };
        work(self, owner);
        Ok(1)
    }

    /// Calls `work` with every bucket of the limit, and counts those that are a key's or the limit's own.
    pub(super) fn each_owner(&mut self, id: LimitId, mut work: impl FnMut(&mut Self, Owner)) -> usize {
        let is_keyed = self.registry.entry(id).is_keyed();
        work(self, Owner::Limit(id));
        let mut count = usize::from(!is_keyed);
        // A limit with one bucket has no keys.
        let mut left = self.registry.entry(id).stats.keys;
        let mut names = 0..KEYS;
        while left > 0
            && let Some(name) = names.next()
        {
            let place = self.table.place_of_name(name);
            if let Some(place) = place.filter(|&place| self.table.slot(place).limit == id.0) {
                work(self, Owner::Slot(place));
                (left, count) = (left - 1, count + 1);
            }
        }
        count
    }

    /// Gives a key that is not known yet its bucket.
    fn adopt(&mut self, now: Now, id: LimitId, key: BucketKey<'_>) -> Result<Owner, LimitError> {
        let Target::Key(hash) = self.target(id, key)? else { return Err(self.needed(id)) };
        let scope = self.registry.entry(id).spec.scope;
        let name = key.key.or(scope.key()).ok_or(LimitError::KeyNeeded)?;
        let place = self.insert_key(now, id, hash, (&name, key.client.as_ref()));
        place.map(Owner::Slot).ok_or(LimitError::TableFull)
    }

    pub(super) fn bucket_mut(&mut self, owner: Owner) -> (&mut Bucket, &mut u16) {
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

    fn is_near_mut(&mut self, owner: Owner) -> &mut bool {
        match owner {
            Owner::Limit(id) => &mut self.registry.entry_mut(id).is_near,
            Owner::Slot(place) => &mut self.table.slot_mut(place).is_near,
        }
    }

    /// Works on the settled bucket of an owner, as a decision would find it.
    pub(super) fn with_owner<R>(
        &mut self,
        now: Now,
        owner: Owner,
        work: impl FnOnce(&Terms<'_>, &mut Bucket, &mut super::LogPool<LOG>) -> R,
    ) -> R {
        let (limit, place) = match owner {
            Owner::Limit(id) => (id.0, super::Place::Limit),
            Owner::Slot(place) => (self.table.slot(place).limit, super::slot_place(place)),
        };
        let super::Judged { terms, bucket, log, .. } =
            self.judge(now, super::Match { limit, place, hash: KeyHash(0) });
        work(&terms, bucket, log)
    }

    fn view(&mut self, now: Now, owner: Owner) -> Result<BucketView, LimitError> {
        let (id, key, denied) = match owner {
            Owner::Limit(id) => (id, None, 0),
            Owner::Slot(place) => {
                let slot = self.table.slot(place);
                (LimitId(slot.limit), Some(self.bucket_name(place)), slot.denied)
            }
        };
        let entry = self.registry.entry(id);
        let shared = if key.is_none() && entry.is_keyed() { Sharing::Overflow } else { Sharing::Own };
        let standing =
            self.with_owner(now, owner, |terms, bucket, log| terms.standing(id, shared, bucket, log));
        standing.capacity.ok_or(LimitError::NoBucket)?;
        let link = *self.bucket_mut(owner).1;
        let grant = self.grant(link);
        let grant =
            (grant.extra != 0).then(|| (grant.extra, Nanos(grant.until.saturating_sub(now.instant.0))));
        Ok(BucketView { key, standing, denied, grant })
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
}

/// Whether the capacity, and capacity × period, stay within their bounds when `extra` is added to the capacity.
pub(super) fn is_computable(algorithm: &RateLimitAlgorithm, extra: u64) -> bool {
    let bucket = algorithm.bucket().map(|shape| (shape.capacity, shape.rate.period));
    let window = || algorithm.window().map(|shape| (shape.limit, shape.window));
    let (capacity, period) = bucket.or_else(window).unwrap_or_default();
    capacity.checked_add(extra).is_some_and(|capacity| {
        (u128::from(capacity) * u128::from(period.0)) >> crate::limit::PRODUCT_BITS_MAX == 0
    })
}
