//! How a request finds the buckets that it is judged by: the limits that match it, and for each the place of its key.

use super::bucket::Terms;
use super::key_table::Slot;
use super::registry::{Entry, UnitSet};
use super::{Access, LIMITS_MAX, LimitId, Match, Names, Place, RateLimiter, slot_place};
use crate::limit::RateLimitAlgorithm;
use crate::mode::Mode;
use crate::request::HashedSubject;
use crate::scope::{KeyHash, KeyName, Kind};
use crate::time::Now;

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Collects the limits in force that match: for each kind and unit the exact ones, or else the wildcard ones.
    #[inline(never)]
    pub(super) fn find_matches(&mut self, now: Now, hashed: &HashedSubject<'_>, access: Access) {
        // A clearance that was dropped has left its matches behind.
        self.forget_matches();
        self.collect_matches::<false>(now, hashed, access);
    }

    /// Collects the limits that match, of those in shadow mode or of those in force: neither hides the other.
    #[inline(always)] // each to where it is called
    pub(super) fn collect_matches<const SHADOW: bool>(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        access: Access,
    ) {
        let counts = |entry: &Entry| if SHADOW { entry.is_shadow() } else { entry.is_in_force() };
        for index in 0..self.registry.kinds().len() {
            let kind = self.registry.kinds()[index];
            let Some(key) = &hashed.subject.key(kind) else { continue };
            let hash = hashed.hash_of(&self.secret, kind, key);
            let mut replaced = UnitSet::default();
            let mut link = self.registry.first_exact(kind, hash);
            while let Some((id, entry, next)) = self.registry.follow(link) {
                link = next;
                if entry.hash == hash && entry.spec.scope.kind == kind && counts(entry) {
                    replaced.insert(entry.spec.unit);
                    if entry.is_per_client() {
                        let matched = self.match_of_client(now, id, (hash, key), hashed, access);
                        self.note::<SHADOW>(matched);
                    } else {
                        self.note::<SHADOW>(Match { limit: id.0, place: Place::Limit, hash });
                    }
                }
            }
            let mut link = self.registry.first_wildcard(kind);
            while let Some((id, entry, next)) = self.registry.follow(link) {
                link = next;
                if counts(entry) && !replaced.contains(entry.spec.unit) {
                    let unlimited = matches!(entry.spec.algorithm, RateLimitAlgorithm::Unlimited);
                    // Each by itself: what comes from one of several would go through memory.
                    if entry.is_per_client() {
                        let matched = self.match_of_client(now, id, (hash, key), hashed, access);
                        self.note::<SHADOW>(matched);
                    } else if unlimited {
                        self.note::<SHADOW>(Match { limit: id.0, place: Place::Limit, hash });
                    } else {
                        let place = self.place(now, id, hash, (key, None), access);
                        self.note::<SHADOW>(Match { limit: id.0, place, hash });
                    }
                }
            }
        }
    }

    /// How a request meets a limit per client, by the key that its scope matches and by its client.
    #[inline(never)]
    pub(super) fn match_of_client(
        &mut self,
        now: Now,
        id: LimitId,
        (hash, key): (KeyHash, &KeyName<'_>),
        hashed: &HashedSubject<'_>,
        access: Access,
    ) -> Match {
        let (client, client_hash) = match hashed.subject.key(Kind::Client) {
            Some(client) => (client, hashed.hash_of(&self.secret, Kind::Client, &client)),
            None => (KeyName::NO_CLIENT, self.secret.hash(Kind::Client, KeyName::NO_CLIENT)),
        };
        let hash = self.secret.hash_both(hash, client_hash);
        Match { limit: id.0, place: self.place(now, id, hash, (key, Some(&client)), access), hash }
    }

    #[inline(always)] // not to copy the match
    pub(super) fn note<const SHADOW: bool>(&mut self, matched: Match) {
        if SHADOW {
            return self.note_shadow(matched);
        }
        // A limit matches at most once, so that there is room for all.
        let Match { limit, place, hash } = matched;
        let noted = &mut self.matches[self.matched];
        (noted.limit, noted.place, noted.hash) = (limit, place, hash);
        self.matched += 1;
    }

    /// The place of a key's bucket. A key that is not there gets one, if there is a slot, or if the sweep finds
    /// one whose bucket is full again, which loses nothing; else it shares the limit's overflow bucket.
    #[inline]
    pub(super) fn place(
        &mut self,
        now: Now,
        id: LimitId,
        hash: KeyHash,
        names: Names<'_, '_>,
        access: Access,
    ) -> Place {
        if let Some(place) = self.table.find(id.0, hash)
            && (access == Access::Charge || !self.is_matched(place))
        {
            return slot_place(place);
        }
        match access {
            Access::Peek => self.place_for_a_look(now),
            Access::Charge => self.place_of_new_key(now, id, hash, names),
        }
    }

    #[cold]
    fn place_of_new_key(&mut self, now: Now, id: LimitId, hash: KeyHash, names: Names<'_, '_>) -> Place {
        let Some(place) = self.insert_key(now, id, hash, names) else {
            let entry = self.registry.entry_mut(id);
            entry.stats.overflow_hits += 1;
            // No decision hangs on where a shadow limit counts.
            self.overflow_hits += u64::from(entry.spec.mode == Mode::Enforce);
            return Place::Overflow;
        };
        slot_place(place)
    }

    /// Gives a key that is not in the table a slot, if there is one or the sweep finds one.
    pub(super) fn insert_key(
        &mut self,
        now: Now,
        id: LimitId,
        hash: KeyHash,
        (key, client): Names<'_, '_>,
    ) -> Option<usize> {
        if self.table.len() == KEYS {
            let swept = self.table.sweep();
            let mode = self.registry.entry(id).spec.mode;
            if let Some(fresh) = self.fresh_slot(now, swept.clone()) {
                self.forget_key(fresh);
                self.evicted_fresh += 1;
            } else if let Some(shadow) = self.shadow_slot(mode, swept) {
                self.forget_key(shadow);
                self.evicted_shadow += 1;
            }
        }
        let place = self.table.insert(id.0, hash, key.to_name(&self.secret)).ok()?;
        if let Some(client) = client {
            self.table.set_client(place, client.to_name(&self.secret));
        }
        self.registry.entry_mut(id).stats.keys += 1;
        Some(place)
    }

    /// The place that a key would get, as [`RateLimiter::place_of_new_key`] finds it, one after the other for all
    /// limits of the request.
    #[cold]
    fn place_for_a_look(&mut self, now: Now) -> Place {
        let before = &self.matches[..self.matched];
        let absent = before.iter().filter(|matched| matched.place == Place::Absent).count();
        if self.table.len() + absent < KEYS {
            return Place::Absent;
        }
        let has_swept = |place| matches!(place, Place::Promised(_) | Place::Overflow);
        let sweeps = before.iter().filter(|matched| has_swept(matched.place)).count();
        let swept = self.table.sweep_after(sweeps);
        let Some(place) = self.fresh_slot(now, swept.clone()) else {
            let shadow = self.shadow_slot(Mode::Enforce, swept);
            return shadow
                .and_then(|place| u32::try_from(place).ok())
                .map_or(Place::Overflow, Place::Promised);
        };
        // What it holds has no weight, and the entries of an exact window would come free.
        let slot = self.table.slot_mut(place);
        let (mut bucket, grant) = (core::mem::take(&mut slot.bucket), core::mem::take(&mut slot.grant));
        self.release_bucket(&mut bucket, grant);
        u32::try_from(place).map_or(Place::Overflow, Place::Promised)
    }

    /// The first of these slots that can be given to another key without changing any decision, and that is not
    /// part of the one that is being taken.
    fn fresh_slot(&self, now: Now, mut places: impl Iterator<Item = usize>) -> Option<usize> {
        places.find(|&place| {
            self.table.live(place).is_some_and(|slot| {
                let entry = self.registry.entry(LimitId(slot.limit));
                let grant = self.grant(slot.grant);
                let terms = Terms { algorithm: &entry.spec.algorithm, hash: slot.hash, now, grant };
                slot.pins == 0 && terms.is_fresh(&slot.bucket, &self.log) && !self.is_matched(place)
            })
        })
    }

    pub(super) fn is_matched(&self, place: usize) -> bool {
        let is_it = |matched: &Match| match matched.place {
            Place::Slot(taken) | Place::Promised(taken) => taken as usize == place,
            Place::Limit | Place::Overflow | Place::Absent => false,
        };
        let shadows = LIMITS_MAX - self.shadowed;
        self.matches[..self.matched].iter().chain(&self.matches[shadows..]).any(is_it)
    }

    pub(super) fn forget_key(&mut self, place: usize) {
        let mut slot: Slot = self.table.remove(place);
        self.release_bucket(&mut slot.bucket, slot.grant);
        let stats = &mut self.registry.entry_mut(LimitId(slot.limit)).stats;
        stats.keys = stats.keys.saturating_sub(1);
    }
}
