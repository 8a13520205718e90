//! The table of keyed buckets: a fixed number of keys, found in constant time however full it is.
//!
//! There are twice as many slots as keys. The hash of a key names its *home*, and the key lies there if the slot was
//! free; a key that found its home taken is a *stray*, lies in another free slot, and is linked from its home. So
//! each of the `KEYS` keys has a slot whatever the keys are, a slot stays where it is for as long as its key lives,
//! and most keys are found with the first look: a slot is one cache line with all that a decision needs. The links
//! are few, because the keyed hash spreads keys that nobody can choose. Names, which only people read, lie aside.
//!
//! A key is known by the 64-bit keyed hash of its name and the number of its limit.

use super::bucket::Bucket;
use crate::scope::{KeyHash, Name};

/// How many slots are looked at for one that can be given to another key: in a full table half of them have one.
pub(crate) const SWEEP_SLOTS: usize = 32;

/// A place plus one; 0 stands for none.
type Link = u32;

/// One key's bucket.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) hash: KeyHash,
    pub(crate) bucket: Bucket,
    pub(crate) denied: u32,
    pub(crate) limit: u16,
    /// One more than the place of the bucket's grant of extra capacity; 0 if it has none.
    pub(crate) grant: u16,
    /// How many holds are to be settled with the bucket, as far as can be counted: a slot with as many as that or more
    /// is never given to another key.
    pub(crate) pins: u16,
    /// Whether notice was given that little is left, and not much has been left since.
    pub(crate) is_near: bool,
    /// The key's name; a slot without one holds no key.
    name: Link,
    /// The first of the strays whose home this is, whether or not the slot holds a key.
    strays: Link,
    /// For a stray, the next one of the same home.
    next: Link,
}

const _: () = assert!(size_of::<Slot>() == 64, "a decision reads one cache line a key");

impl Slot {
    const EMPTY: Self = Self {
        hash: KeyHash(0),
        bucket: Bucket::Untouched,
        denied: 0,
        limit: 0,
        grant: 0,
        pins: 0,
        is_near: false,
        name: 0,
        strays: 0,
        next: 0,
    };

    /// Keeps the slot its key's.
    pub(crate) const fn pin(&mut self) {
        self.pins = self.pins.saturating_add(1);
    }

    /// Takes back a [`Slot::pin`]. What could not be counted any more stays.
    pub(crate) const fn unpin(&mut self) {
        if self.pins < u16::MAX {
            self.pins = self.pins.saturating_sub(1);
        }
    }

    const fn is_live(&self) -> bool {
        self.name != 0
    }

    fn is(&self, limit: u16, hash: KeyHash) -> bool {
        self.hash == hash && self.limit == limit && self.is_live()
    }
}

/// The table has no place for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A table of `KEYS` keys. All-zero when empty.
#[derive(Debug)]
pub(crate) struct KeyTable<const KEYS: usize> {
    slots: [[Slot; 2]; KEYS],
    names: [Name; KEYS],
    /// The client under the name at the same place, where each has a bucket of its own; else of no account.
    clients: [Name; KEYS],
    /// For a name in use, its slot; for one that was given back, the next such.
    name_links: [Link; KEYS],
    free_name: Link,
    /// How many names have ever been taken from the end.
    touched_names: usize,
    length: usize,
    /// Where the search for a slot for a stray goes on.
    spare: usize,
    /// Where the sweep goes on.
    hand: usize,
}

impl<const KEYS: usize> KeyTable<KEYS> {
    /// How many slots there are.
    pub(crate) const SLOTS: usize = 2 * KEYS;

    pub(crate) const fn new() -> Self {
        assert!(KEYS > 0 && Self::SLOTS < Link::MAX as usize, "links count slots from one");
        Self {
            slots: [[Slot::EMPTY; 2]; KEYS],
            names: [Name::EMPTY; KEYS],
            clients: [Name::EMPTY; KEYS],
            name_links: [0; KEYS],
            free_name: 0,
            touched_names: 0,
            length: 0,
            spare: 0,
            hand: 0,
        }
    }

    /// Forgets every key, in place.
    pub(crate) fn clear(&mut self) {
        if self.touched_names > 0 {
            self.slots.as_flattened_mut().fill(Slot::EMPTY);
        }
        (self.free_name, self.touched_names, self.length, self.spare, self.hand) = (0, 0, 0, 0, 0);
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The place of a key.
    #[inline]
    pub(crate) fn find(&self, limit: u16, hash: KeyHash) -> Option<usize> {
        let home = Self::home(limit, hash);
        let slot = self.slot(home);
        if slot.is(limit, hash) { Some(home) } else { self.find_stray(slot.strays, limit, hash) }
    }

    #[inline]
    fn find_stray(&self, mut link: Link, limit: u16, hash: KeyHash) -> Option<usize> {
        while let Some(place) = (link as usize).checked_sub(1) {
            let slot = self.slot(place);
            if slot.is(limit, hash) {
                return Some(place);
            }
            link = slot.next;
        }
        None
    }

    /// Gives a key that is not in the table a slot: its home, or else any that is free.
    pub(crate) fn insert(&mut self, limit: u16, hash: KeyHash, name: Name) -> Result<usize, Full> {
        let name = self.take_name(name)?;
        let home = Self::home(limit, hash);
        let mut next = 0;
        let mut place = home;
        if self.slot(home).is_live() {
            place = self.spare_slot();
            next = core::mem::replace(&mut self.slot_mut(home).strays, Self::link(place));
        }
        let slot = self.slot_mut(place);
        *slot = Slot { hash, limit, name, next, strays: slot.strays, ..Slot::EMPTY };
        self.name_links[name as usize - 1] = Self::link(place);
        self.length += 1;
        Ok(place)
    }

    /// Forgets the key at `place` and gives back what it held, for the caller to release.
    pub(crate) fn remove(&mut self, place: usize) -> Slot {
        let slot = *self.slot(place);
        let home = Self::home(slot.limit, slot.hash);
        if home != place {
            self.unlink(home, Self::link(place), slot.next);
        }
        // The strays of a home are looked for there even when it holds no key.
        let strays = self.slot(place).strays;
        *self.slot_mut(place) = Slot { strays, ..Slot::EMPTY };
        self.give_back_name(slot.name);
        self.length -= 1;
        slot
    }

    /// Takes a stray out of the list of its home.
    fn unlink(&mut self, home: usize, stray: Link, next: Link) {
        let mut link = self.slot(home).strays;
        if link == stray {
            self.slot_mut(home).strays = next;
            return;
        }
        while let Some(before) = (link as usize).checked_sub(1) {
            link = self.slot(before).next;
            if link == stray {
                self.slot_mut(before).next = next;
                return;
            }
        }
    }

    /// The next slot without a key. Half of all slots have none, and the search goes on where it left off.
    fn spare_slot(&mut self) -> usize {
        loop {
            let place = self.spare;
            self.spare = (place + 1) % Self::SLOTS;
            if !self.slot(place).is_live() {
                return place;
            }
        }
    }

    fn take_name(&mut self, name: Name) -> Result<Link, Full> {
        let place = if let Some(place) = (self.free_name as usize).checked_sub(1) {
            self.free_name = self.name_links[place];
            place
        } else if self.touched_names < KEYS {
            self.touched_names += 1;
            self.touched_names - 1
        } else {
            return Err(Full);
        };
        self.names[place] = name;
        Ok(Self::link(place))
    }

    fn give_back_name(&mut self, name: Link) {
        if let Some(place) = (name as usize).checked_sub(1) {
            self.name_links[place] = core::mem::replace(&mut self.free_name, name);
        }
    }

    /// The next few slots that the sweep looks at, as places; the hand moves on behind them.
    pub(crate) fn sweep(&mut self) -> impl Iterator<Item = usize> + Clone + use<KEYS> {
        let from = self.hand;
        self.hand = (from + SWEEP_SLOTS) % Self::SLOTS;
        Self::places_from(from)
    }

    /// The slots that will be looked at by the sweep that comes after `sweeps` others.
    pub(crate) fn sweep_after(&self, sweeps: usize) -> impl Iterator<Item = usize> + Clone + use<KEYS> {
        Self::places_from((self.hand + sweeps * SWEEP_SLOTS) % Self::SLOTS)
    }

    fn places_from(from: usize) -> impl Iterator<Item = usize> + Clone + use<KEYS> {
        (from..from + SWEEP_SLOTS.min(Self::SLOTS)).map(|place| place % Self::SLOTS)
    }

    /// The slot at `place`, if it belongs to a key.
    pub(crate) fn live(&self, place: usize) -> Option<&Slot> {
        self.slots.as_flattened().get(place).filter(|slot| slot.is_live())
    }

    #[inline]
    pub(crate) fn slot(&self, place: usize) -> &Slot {
        &self.slots.as_flattened()[place]
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, place: usize) -> &mut Slot {
        &mut self.slots.as_flattened_mut()[place]
    }

    /// The name of the key at `place`.
    pub(crate) fn name(&self, place: usize) -> Name {
        self.name_at(place).and_then(|name| self.names.get(name)).copied().unwrap_or_default()
    }

    /// The client of the key at `place`, which is one of a limit per client.
    pub(crate) fn client(&self, place: usize) -> Name {
        self.name_at(place).and_then(|name| self.clients.get(name)).copied().unwrap_or_default()
    }

    /// Notes the client of the key at `place`.
    pub(crate) fn set_client(&mut self, place: usize, client: Name) {
        if let Some(kept) = self.name_at(place).and_then(|name| self.clients.get_mut(name)) {
            *kept = client;
        }
    }

    fn name_at(&self, place: usize) -> Option<usize> {
        (self.slot(place).name as usize).checked_sub(1)
    }

    /// The places of all keys, in the order of their names, which is that of their coming as long as none has gone:
    /// the slots themselves lie as the secret of the hash has it.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.touched_names).filter_map(|name| self.place_of_name(name))
    }

    /// The place of the key with the name at `name`, if one has it.
    pub(crate) fn place_of_name(&self, name: usize) -> Option<usize> {
        let place = (*self.name_links.get(name)? as usize).checked_sub(1)?;
        self.live(place).filter(|slot| slot.name == Self::link(name)).map(|_| place)
    }

    /// The most slots that any key is looked for in.
    #[cfg(test)]
    pub(crate) fn longest_search(&self) -> usize {
        let strays = |home: &Slot| {
            let (mut link, mut count) = (home.strays, 0);
            while let Some(place) = (link as usize).checked_sub(1) {
                link = self.slot(place).next;
                count += 1;
            }
            count
        };
        self.slots.as_flattened().iter().map(|home| 1 + strays(home)).max().unwrap_or(0)
    }

    /// The home of a key: the upper bits of the hash, spread by the limit, scaled to the slots.
    #[inline]
    fn home(limit: u16, hash: KeyHash) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, odd
        let mixed = hash.0 ^ u64::from(limit).wrapping_mul(SPREAD);
        usize::try_from((u128::from(mixed) * (Self::SLOTS as u128)) >> 64).unwrap_or(0)
    }

    fn link(place: usize) -> Link {
        Link::try_from(place + 1).unwrap_or(Link::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, KeyTable};
    use crate::scope::{HashSecret, KeyHash, KeyName, Kind, Name, NameRef};
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::HashMap;

    #[test]
    fn every_slot_can_be_used_whatever_the_keys_are() {
        let mut at_home = 0;
        for seed in 0..1000u64 {
            let mut table = Box::new(KeyTable::<512>::new());
            let secret = HashSecret::from_seed(seed);
            let hash = |key: usize| {
                let name = format!("10.{}.{}.1", key / 256, key % 256);
                secret.hash(Kind::User, KeyName::Text(NameRef::new(&name).unwrap()))
            };
            for key in 0..512 {
                assert!(table.insert(7, hash(key), Name::EMPTY).is_ok(), "seed {seed}, key {key}");
            }
            assert_eq!(table.insert(7, hash(512), Name::EMPTY), Err(Full));
            assert!((0..512).all(|key| table.find(7, hash(key)).is_some()));
            at_home += (0..512)
                .filter(|&key| table.find(7, hash(key)) == Some(KeyTable::<512>::home(7, hash(key))))
                .count();
            assert!(table.longest_search() <= 10, "seed {seed}: {}", table.longest_search());
        }
        assert!(at_home * 10 > 512_000 * 7, "{at_home} of 512000 keys lie at home");
    }

    #[test]
    fn the_same_hash_under_another_limit_is_another_key() {
        let mut table = KeyTable::<4>::new();
        let place = table.insert(1, KeyHash(9), Name::EMPTY).unwrap();
        assert_eq!(table.find(2, KeyHash(9)), None);
        assert_ne!(table.insert(2, KeyHash(9), Name::EMPTY), Ok(place));
        assert_eq!(table.find(1, KeyHash(9)), Some(place));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn equals_a_map(steps in prop::collection::vec((0..3u16, 0..24u64, 0..10u8), 0..400)) {
            let mut table = KeyTable::<16>::new();
            let mut naive = HashMap::new();
            for (limit, key, action) in steps {
                // Few different hashes, so that chains grow.
                let hash = KeyHash((key % 6) << 61 | key);
                assert_eq!(table.find(limit, hash), naive.get(&(limit, hash.0)).copied());
                match (table.find(limit, hash), action) {
                    (Some(place), 0..=3) => {
                        assert_eq!(table.remove(place).hash, hash);
                        naive.remove(&(limit, hash.0));
                    }
                    (None, _) => match table.insert(limit, hash, Name::EMPTY) {
                        Ok(place) => { naive.insert((limit, hash.0), place); }
                        Err(Full) => assert_eq!(naive.len(), 16),
                    },
                    _ => {}
                }
                assert_eq!(table.len(), naive.len());
                let mut places: Vec<_> = table.places().collect();
                let mut expected: Vec<_> = naive.values().copied().collect();
                places.sort_unstable();
                expected.sort_unstable();
                assert_eq!(places, expected);
            }
            table.clear();
            assert_eq!((table.len(), table.places().count()), (0, 0));
        }
    }
}
