//! Which quotas match a request, by themselves and as ancestors of others, and where their counters are.

use super::registry::{ClassSet, Link};
use super::{Keyed, QuotaAmounts, QuotaManager};
use crate::chained_table::Place;
use crate::rate_limiter::Access;
use crate::request::HashedSubject;
use crate::scope::{HashSecret, KeyHash, KeyName, Kind, Name};
use crate::time::WallTime;

/// How many places the sweep looks at for a key that needs one.
const SWEEP_PLACES: usize = 16;

/// Where the counter is by which a quota judges the request at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// With the quota: it has one counter.
    Own,
    /// In the table.
    Key(Place),
    /// With the quota: the counter that keys without a place share.
    Overflow,
    /// Nowhere yet, and a peek does not make one: a free place would be taken.
    Absent,
    /// Nowhere yet either: this place would be taken, whose counter holds nothing.
    Promised(Place),
}

/// A quota that matches the request at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) number: u16,
    pub(super) seat: Seat,
    /// What the request takes of it.
    pub(super) amount: u64,
    /// In shadow mode and without room: nothing is charged.
    pub(super) is_skipped: bool,
}

impl Match {
    /// All-zero: what fills a place where no match is.
    pub(super) const NONE: Self = Self { number: 0, seat: Seat::Own, amount: 0, is_skipped: false };
}

/// The keys by which ancestors with a wildcard scope find their counter.
#[derive(Clone, Copy)]
pub(super) enum Keys<'a> {
    /// Those that a request carries.
    Of(&'a HashedSubject<'a>),
    /// The one that a caller has named.
    Named(Kind, KeyName<'a>),
}

impl<'a> Keys<'a> {
    fn key(&self, kind: Kind) -> Option<KeyName<'a>> {
        match *self {
            Self::Of(hashed) => hashed.subject.key(kind),
            Self::Named(named, key) => (named == kind).then_some(key),
        }
    }

    fn hash(&self, secret: &HashSecret, kind: Kind) -> Option<KeyHash> {
        match *self {
            Self::Of(hashed) => hashed.hash(secret, kind),
            Self::Named(..) => self.key(kind).map(|key| secret.hash(kind, key)),
        }
    }
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Collects the quotas that match a request: for each kind, unit and window the exact ones, or else the wildcard
    /// ones; then their ancestors.
    pub(super) fn find_matches(
        &mut self,
        now: WallTime,
        hashed: &HashedSubject<'_>,
        amounts: &QuotaAmounts,
        access: Access,
    ) {
        // A clearance that was dropped has left its matches behind.
        self.forget_matches();
        for index in 0..self.registry.kinds().len() {
            let kind = self.registry.kinds()[index];
            let Some(hash) = hashed.hash(&self.secret, kind) else { continue };
            let mut replaced = ClassSet::default();
            let mut link = self.registry.first_exact(hash);
            while let Some((number, entry, next)) = self.registry.follow(link) {
                link = next;
                if entry.hash == hash && entry.spec.scope.kind == kind {
                    replaced.insert(entry.class);
                    let amount = amounts.amount(entry.spec.unit);
                    self.note(Match { number, seat: Seat::Own, amount, is_skipped: false });
                }
            }
            let mut link = self.registry.first_wildcard(kind);
            while let Some((number, entry, next)) = self.registry.follow(link) {
                link = next;
                if !replaced.contains(entry.class) {
                    let amount = amounts.amount(entry.spec.unit);
                    let seat = self.seat(now, number, hash, Keys::Of(hashed), access);
                    self.note(Match { number, seat, amount, is_skipped: false });
                }
            }
        }
        self.add_ancestors(now, Keys::Of(hashed), access);
    }

    /// Takes one quota as the match, at a counter that is known or to be made, and adds its ancestors.
    pub(super) fn match_one(
        &mut self,
        now: WallTime,
        number: u16,
        key: KeyName<'_>,
        amount: u64,
        access: Access,
    ) {
        self.forget_matches();
        let entry = self.registry.entry(number);
        let kind = entry.spec.scope.kind;
        let seat = if entry.is_wildcard() {
            self.seat(now, number, self.secret.hash(kind, key), Keys::Named(kind, key), access)
        } else {
            Seat::Own
        };
        self.note(Match { number, seat, amount, is_skipped: false });
        self.add_ancestors(now, Keys::Named(kind, key), access);
    }

    fn note(&mut self, matched: Match) {
        // A quota is noted at most once, so that there is room for all.
        self.matches[self.matched] = matched;
        self.matched += 1;
        self.registry.entry_mut(matched.number).stamp = self.serial;
    }

    /// Adds the ancestors of all matches, each once. One with a wildcard scope for which there is no key is left out,
    /// and its own ancestors are not.
    fn add_ancestors(&mut self, now: WallTime, keys: Keys<'_>, access: Access) {
        for index in 0..self.matched {
            let Match { number, amount, .. } = self.matches[index];
            let mut link: Link = self.registry.entry(number).parent;
            while let Some(parent) = link.checked_sub(1) {
                let entry = self.registry.entry(parent);
                // Its own ancestors have been added with it, or will be.
                if entry.stamp == self.serial {
                    break;
                }
                link = entry.parent;
                let seat = if entry.is_wildcard() {
                    let Some(hash) = keys.hash(&self.secret, entry.spec.scope.kind) else { continue };
                    self.seat(now, parent, hash, keys, access)
                } else {
                    Seat::Own
                };
                self.note(Match { number: parent, seat, amount, is_skipped: false });
            }
        }
    }

    /// Where the counter of a key is. A key that has none gets one, if there is a place, or if the sweep finds one
    /// whose counter holds nothing; else it shares the quota's overflow counter.
    fn seat(&mut self, now: WallTime, number: u16, hash: KeyHash, keys: Keys<'_>, access: Access) -> Seat {
        if let Some(place) = self.find_key(number, hash)
            && (access == Access::Charge || !self.is_matched(place))
        {
            return Seat::Key(place);
        }
        match access {
            Access::Peek => self.seat_for_a_look(now),
            Access::Charge => self.seat_of_new_key(now, number, hash, keys),
        }
    }

    pub(super) fn find_key(&self, number: u16, hash: KeyHash) -> Option<Place> {
        self.keys.find(spread(number, hash), |keyed| keyed.quota == number && keyed.hash == hash)
    }

    #[cold]
    fn seat_of_new_key(&mut self, now: WallTime, number: u16, hash: KeyHash, keys: Keys<'_>) -> Seat {
        if self.keys.len() == ACTIVE {
            let from = self.hand;
            self.hand = (from + SWEEP_PLACES) % ACTIVE;
            if let Some(empty) = self.empty_place(now, from) {
                self.forget_key(empty);
                self.stats.evicted += 1;
            }
        }
        let name = keys
            .key(self.registry.entry(number).spec.scope.kind)
            .map_or(Name::EMPTY, |key| key.to_name(&self.secret));
        let keyed = Keyed { quota: number, hash, name, counter: super::Counter::FRESH };
        let inserted = self.keys.insert(spread(number, hash), keyed);
        let stats = &mut self.registry.entry_mut(number).stats;
        if let Ok(place) = inserted {
            stats.keys += 1;
            return Seat::Key(place);
        }
        stats.overflow_hits += 1;
        self.stats.overflow_hits += 1;
        Seat::Overflow
    }

    /// The seat that a key would get, as [`QuotaManager::seat_of_new_key`] finds it, one after the other for all quotas
    /// of the request.
    #[cold]
    fn seat_for_a_look(&self, now: WallTime) -> Seat {
        let before = &self.matches[..self.matched];
        let absent = before.iter().filter(|matched| matched.seat == Seat::Absent).count();
        if self.keys.len() + absent < ACTIVE {
            return Seat::Absent;
        }
        let has_swept = |matched: &&Match| matches!(matched.seat, Seat::Promised(_) | Seat::Overflow);
        let sweeps = before.iter().filter(has_swept).count();
        let from = (self.hand + sweeps * SWEEP_PLACES) % ACTIVE;
        self.empty_place(now, from).map_or(Seat::Overflow, Seat::Promised)
    }

    /// The first of a few places that can be given to another key without changing any decision, and that is not part
    /// of the one that is being taken.
    fn empty_place(&self, now: WallTime, from: usize) -> Option<Place> {
        let places = (from..from + SWEEP_PLACES.min(ACTIVE)).map(|place| place % ACTIVE);
        places.filter_map(|place| self.keys.place(place)).find(|&place| {
            let is_empty = self.keys.get(place).is_some_and(|keyed| {
                keyed.counter.holds_nothing(&self.registry.entry(keyed.quota).spec, now)
            });
            is_empty && !self.is_matched(place)
        })
    }

    fn is_matched(&self, place: Place) -> bool {
        let is_it = |matched: &Match| match matched.seat {
            Seat::Key(taken) | Seat::Promised(taken) => taken == place,
            Seat::Own | Seat::Overflow | Seat::Absent => false,
        };
        self.matches[..self.matched].iter().any(is_it)
    }

    /// Forgets a key with its counter.
    pub(super) fn forget_key(&mut self, place: Place) {
        if let Some(keyed) = self.keys.remove(place) {
            let stats = &mut self.registry.entry_mut(keyed.quota).stats;
            stats.keys = stats.keys.saturating_sub(1);
        }
    }
}

/// The hash of a key among those of all quotas: spread by the quota, so that one key of several is not one chain.
fn spread(number: u16, hash: KeyHash) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, odd
    hash.0 ^ u64::from(number).wrapping_mul(SPREAD)
}
