//! What operators do to limits, one by one or all at once. Nothing here is on the way of a request.

use super::bucket::{Bucket, Grant, Terms};
use super::log_pool::Log;
use super::operate::{Owner, is_computable};
use super::registry::{Entry, LIMITS_MAX, check_fit};
use super::{LimitError, LimitId, RateLimiter};
use crate::limit::{BucketShape, LimitDraft, LimitSpec, LimitState, RateLimitAlgorithm, WindowShape};
use crate::request::Unit;
use crate::scope::{HashSecret, Scope};
use crate::time::Now;
use crate::units::Rate;

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
    /// As [`RateLimiter::add`].
    pub fn add_token_bucket(
        &mut self,
        scope: Scope,
        capacity: u64,
        rate: Rate,
    ) -> Result<LimitId, LimitError> {
        self.add_bucket(scope, RateLimitAlgorithm::TokenBucket(BucketShape { capacity, rate }))
    }

    /// Adds a leaky bucket (as a meter) on `scope`, named after it, that counts requests.
    ///
    /// # Errors
    /// As [`RateLimiter::add`].
    pub fn add_leaky_bucket(
        &mut self,
        scope: Scope,
        capacity: u64,
        rate: Rate,
    ) -> Result<LimitId, LimitError> {
        self.add_bucket(scope, RateLimitAlgorithm::LeakyBucket(BucketShape { capacity, rate }))
    }

    fn add_bucket(&mut self, scope: Scope, algorithm: RateLimitAlgorithm) -> Result<LimitId, LimitError> {
        self.add(&LimitSpec::new(scope, algorithm, Unit::Requests).map_err(LimitError::OutOfRange)?)
    }

    /// Removes a limit and its buckets.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn remove(&mut self, id: LimitId) -> Result<(), LimitError> {
        self.forget_matches();
        let removed = self.registry.remove(id).ok_or(LimitError::UnknownLimit)?;
        self.release_limit(&removed);
        self.forget_keys_of_removed(removed.stats.keys);
        Ok(())
    }

    /// Changes a limit while it works. What was used stays used, in whole units rounded up; if that is more than
    /// the limit now has, nothing is left.
    ///
    /// # Errors
    /// [`LimitError::FixedField`] if scope, per or unit differ, [`LimitError::OutOfRange`], [`LimitError::DuplicateName`]
    /// or [`LimitError::UnknownLimit`]; [`LimitError::LogFull`] if an exact window has no room to note what was used.
    pub fn update(&mut self, now: Now, id: LimitId, spec: &LimitSpec) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        let old = self.registry.get(id).ok_or(LimitError::UnknownLimit)?.spec;
        spec.check().map_err(LimitError::OutOfRange)?;
        if (old.scope, old.per, old.unit) != (spec.scope, spec.per, spec.unit) {
            return Err(LimitError::FixedField);
        }
        if self.registry.find(spec.name.as_str()).is_some_and(|other| other != id) {
            return Err(LimitError::DuplicateName);
        }
        self.forget_matches();
        let promised = self.promise_notes(now, id, &spec.algorithm);
        if promised.is_ok() {
            self.change(now, id, spec);
            self.registry.index();
        }
        self.forget_matches();
        promised
    }

    /// Changes the rate of a bucket while it works, as [`RateLimiter::update`] does.
    ///
    /// # Errors
    /// [`LimitError::OutOfRange`], [`LimitError::UnknownLimit`], or [`LimitError::NoBucket`] if the limit has no rate.
    pub fn update_rate(&mut self, now: Now, id: LimitId, rate: Rate) -> Result<(), LimitError> {
        let mut spec = self.registry.get(id).ok_or(LimitError::UnknownLimit)?.spec;
        match &mut spec.algorithm {
            RateLimitAlgorithm::TokenBucket(shape)
            | RateLimitAlgorithm::LeakyBucket(shape)
            | RateLimitAlgorithm::LeakyQueue(shape) => shape.rate = rate,
            _ => return Err(LimitError::NoBucket),
        }
        let spec = LimitDraft::from_spec(&spec).finish().map_err(LimitError::OutOfRange)?;
        self.update(now, id, &spec)
    }

    /// Enables or disables a limit. Its buckets keep what was used.
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`].
    pub fn set_state(&mut self, id: LimitId, state: LimitState) -> Result<(), LimitError> {
        self.registry.get_mut(id).ok_or(LimitError::UnknownLimit)?.spec.state = state;
        Ok(())
    }

    /// Makes the limits exactly those of `specs`, in that order. A limit that keeps its name, scope, per and unit
    /// keeps its buckets and counters; if its shape differs, it is changed as by [`RateLimiter::update`].
    ///
    /// # Errors
    /// [`LimitError::LogFull`] if exact windows have no room to note what was used, before anything that this
    /// configuration gives up is given back. Others if the specs do not fit together, in which case they should
    /// not have come here: a [`Config`](crate::config::Config) refuses them before.
    pub fn configure(&mut self, now: Now, specs: &[LimitSpec]) -> Result<(), LimitError> {
        let now = self.monotonic(now);
        for (place, spec) in specs.iter().enumerate() {
            check_fit(spec, specs[..place].iter())?;
        }
        self.forget_matches();
        let (mut places, kept) = self.kept(specs);
        let noted = specs.iter().zip(places).try_for_each(|(spec, kept)| match kept {
            Some(id) => self.promise_notes(now, id, &spec.algorithm),
            None => Ok(()),
        });
        if noted.is_ok() {
            self.drop_others(&kept);
            let mut from = 0;
            for (place, spec) in places.iter_mut().zip(specs) {
                if let Some(id) = *place {
                    self.change(now, id, spec);
                } else {
                    let id = self.registry.occupy(from, spec, &self.secret);
                    from = id.map_or(from, |id| id.index() + 1);
                    *place = id;
                }
            }
            self.registry.set_order(places.into_iter().flatten());
        }
        self.forget_matches();
        noted
    }

    /// Hashes under another secret from now on. Keys that are known already would not be found again, so this
    /// is for a limiter that has seen none.
    ///
    /// # Panics
    /// If there are limits already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.table.len() == 0 && self.registry.len() == 0, "the secret comes first");
        self.secret = secret;
    }

    /// For each spec the limit that it keeps, and by number the limits that are kept.
    fn kept(&self, specs: &[LimitSpec]) -> ([Option<LimitId>; LIMITS_MAX], [bool; LIMITS_MAX]) {
        let (mut places, mut kept) = ([None; LIMITS_MAX], [false; LIMITS_MAX]);
        // Most configurations differ little from the one before: the search goes on behind the last that was found.
        let mut next = 0;
        for (id, old) in self.limits() {
            let what = |spec: &LimitSpec| (spec.name, spec.scope, spec.per, spec.unit);
            let keeps = |spec: &LimitSpec| what(spec) == what(old);
            let mut search = (next..specs.len()).chain(0..next);
            if let Some(place) = search.find(|&place| keeps(&specs[place])) {
                (places[place], kept[id.index()], next) = (Some(id), true, place + 1);
            }
        }
        (places, kept)
    }

    /// Removes the limits that are not kept, and their keys in one pass. The order is left to be set.
    fn drop_others(&mut self, kept: &[bool; LIMITS_MAX]) {
        let mut keys = 0;
        for index in (0..LIMITS_MAX).filter(|&index| !kept[index]) {
            if let Some(dropped) = self.registry.vacate(index) {
                self.release_limit(&dropped);
                keys += dropped.stats.keys;
            }
        }
        self.forget_keys_of_removed(keys);
    }

    /// Gives back what the bucket of a limit held that is no longer there.
    fn release_limit(&mut self, removed: &Entry) {
        let mut bucket = removed.bucket;
        self.release_bucket(&mut bucket, removed.grant);
    }

    /// Forgets the `count` keys of limits that are no longer there.
    fn forget_keys_of_removed(&mut self, mut count: u64) {
        let mut places = 0..super::KeyTable::<KEYS>::SLOTS;
        while count > 0
            && let Some(place) = places.next()
        {
            let slot = self.table.live(place);
            if slot.is_some_and(|slot| self.registry.get(LimitId(slot.limit)).is_none()) {
                self.forget_key(place);
                count -= 1;
            }
        }
    }

    /// Keeps an entry of the log for each bucket whose use is to be noted there when the limit becomes an exact
    /// window.
    fn promise_notes(&mut self, now: Now, id: LimitId, new: &RateLimitAlgorithm) -> Result<(), LimitError> {
        let is_log = |algorithm: &RateLimitAlgorithm| matches!(algorithm, RateLimitAlgorithm::SlidingLog(_));
        let old = &self.registry.entry(id).spec.algorithm;
        // What is in flight is not counted on in another way.
        if !is_log(new) || is_log(old) || old.concurrency().is_some() {
            return Ok(());
        }
        let mut all = true;
        self.each_owner(id, |limiter, owner| {
            all &= limiter.with_owner(now, owner, |terms, bucket, log| {
                terms.used(bucket) == 0 || log.promise(&Log::default(), now.instant.0)
            });
        });
        if all { Ok(()) } else { Err(LimitError::LogFull) }
    }

    /// Changes a limit to a spec that fits in its place.
    fn change(&mut self, now: Now, id: LimitId, spec: &LimitSpec) {
        let old = self.registry.entry(id).spec.algorithm;
        if old != spec.algorithm {
            if Continuity::of(&old, &spec.algorithm) == Continuity::None {
                self.registry.outdate_holds(id);
            }
            self.each_owner(id, |limiter, owner| {
                limiter.end_outgrown_grant(now, owner, &spec.algorithm);
                limiter.reshape(now, owner, &old, &spec.algorithm);
            });
        }
        self.registry.entry_mut(id).spec = *spec;
    }

    /// Ends a grant with which the changed bucket would be too large to compute with.
    fn end_outgrown_grant(&mut self, now: Now, owner: Owner, new: &RateLimitAlgorithm) {
        self.with_owner(now, owner, |_, _, _| ());
        let link = core::mem::take(self.bucket_mut(owner).1);
        let Some(place) = usize::from(link).checked_sub(1) else { return };
        if new.concurrency().is_none() && is_computable(new, self.grants[place].extra) {
            *self.bucket_mut(owner).1 = link;
        } else {
            self.grants[place] = Grant::default();
        }
    }

    /// Turns a bucket of the old algorithm into one of the new with the same use.
    fn reshape(&mut self, now: Now, owner: Owner, old: &RateLimitAlgorithm, new: &RateLimitAlgorithm) {
        if Continuity::of(old, new) == Continuity::State {
            return;
        }
        let is_in_flight = old.concurrency().or(new.concurrency()).is_some();
        let (used, hash, grant) = self.with_owner(now, owner, |terms, bucket, _| {
            (if is_in_flight { 0 } else { terms.used(bucket) }, terms.hash, terms.grant)
        });
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
}

/// What a change of algorithm leaves of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    /// Its state: it says more than the sum of what was used.
    State,
    /// What was used, in a bucket of the same nature.
    Nature,
    /// What was used, in a bucket of another nature, or nothing from or to a count of what is in flight.
    None,
}

impl Continuity {
    fn of(old: &RateLimitAlgorithm, new: &RateLimitAlgorithm) -> Self {
        let if_same_window = |a: &WindowShape, b: &WindowShape| {
            if (a.window, a.align) == (b.window, b.align) { Self::State } else { Self::None }
        };
        match (old, new) {
            (RateLimitAlgorithm::FixedWindow(a), RateLimitAlgorithm::FixedWindow(b))
            | (RateLimitAlgorithm::SlidingWindow(a), RateLimitAlgorithm::SlidingWindow(b)) => {
                if_same_window(a, b)
            }
            (RateLimitAlgorithm::SlidingLog(_), RateLimitAlgorithm::SlidingLog(_))
            | (RateLimitAlgorithm::Concurrency(_), RateLimitAlgorithm::Concurrency(_)) => Self::State,
            _ if old.bucket().is_some() && new.bucket().is_some() => Self::Nature,
            _ => Self::None,
        }
    }
}
