//! The table of keyed buckets: a fixed number of keys, found in constant time however full it is.
//!
//! Separate chaining over twice as many heads as keys: each of the `KEYS` slots can be used whatever the keys
//! are, a slot stays where it is for as long as its key lives, and a chain is short because the keyed hash
//! spreads keys that nobody can choose. A slot is one cache line with all that a decision needs; the names,
//! which only people read, lie in a side pool by slot.
//!
//! A key is known by the 64-bit keyed hash of its name and the number of its limit.

use super::bucket::Bucket;
use crate::scope::{KeyHash, Name};

/// How many slots are looked at for one that can be given to another key.
pub(crate) const SWEEP_SLOTS: usize = 16;

/// A slot's place, plus one; 0 stands for none.
type Link = u32;

/// One key's bucket.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) hash: KeyHash,
    pub(crate) bucket: Bucket,
    next: Link,
    pub(crate) denied: u32,
    pub(crate) limit: u16,
    /// One more than the place of the bucket's grant of extra capacity; 0 if it has none.
    pub(crate) grant: u16,
    /// The slot belongs to a key.
    live: bool,
}

const _: () = assert!(size_of::<Slot>() == 64, "a decision reads one cache line a key");

impl Slot {
    const EMPTY: Self = Self {
        hash: KeyHash(0),
        bucket: Bucket::Untouched,
        next: 0,
        denied: 0,
        limit: 0,
        grant: 0,
        live: false,
    };
}

/// The table has no slot for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A table of `KEYS` keys. All-zero when empty.
#[derive(Debug)]
pub(crate) struct KeyTable<const KEYS: usize> {
    heads: [[Link; 2]; KEYS],
    slots: [Slot; KEYS],
    names: [Name; KEYS],
    /// Slots that were given back, linked.
    free: Link,
    /// How many slots have ever been taken from the end.
    touched: usize,
    length: usize,
    /// Where the sweep goes on.
    hand: usize,
}

impl<const KEYS: usize> KeyTable<KEYS> {
    pub(crate) const fn new() -> Self {
        assert!(KEYS > 0 && KEYS < Link::MAX as usize, "links count slots from one");
        Self {
            heads: [[0; 2]; KEYS],
            slots: [Slot::EMPTY; KEYS],
            names: [Name::EMPTY; KEYS],
            free: 0,
            touched: 0,
            length: 0,
            hand: 0,
        }
    }

    /// Forgets every key, in place.
    pub(crate) fn clear(&mut self) {
        self.heads.fill([0; 2]);
        self.slots[..self.touched].fill(Slot::EMPTY);
        (self.free, self.touched, self.length, self.hand) = (0, 0, 0, 0);
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The place of a key.
    #[inline]
    pub(crate) fn find(&self, limit: u16, hash: KeyHash) -> Option<usize> {
        let (row, column) = Self::head(limit, hash);
        let mut link = self.heads[row][column];
        while let Some(place) = (link as usize).checked_sub(1) {
            let slot = &self.slots[place];
            if slot.hash == hash && slot.limit == limit {
                return Some(place);
            }
            link = slot.next;
        }
        None
    }

    /// Gives a key that is not in the table a slot.
    pub(crate) fn insert(&mut self, limit: u16, hash: KeyHash, name: Name) -> Result<usize, Full> {
        let place = if let Some(place) = (self.free as usize).checked_sub(1) {
            self.free = self.slots[place].next;
            place
        } else if self.touched < KEYS {
            self.touched += 1;
            self.touched - 1
        } else {
            return Err(Full);
        };
        let (row, column) = Self::head(limit, hash);
        let next = core::mem::replace(&mut self.heads[row][column], Self::link(place));
        self.slots[place] = Slot { hash, limit, next, live: true, ..Slot::EMPTY };
        self.names[place] = name;
        self.length += 1;
        Ok(place)
    }

    /// Forgets the key at `place` and gives back what it held, for the caller to release.
    pub(crate) fn remove(&mut self, place: usize) -> Slot {
        let slot = self.slots[place];
        let (row, column) = Self::head(slot.limit, slot.hash);
        let this = Self::link(place);
        if self.heads[row][column] == this {
            self.heads[row][column] = slot.next;
        } else {
            let mut link = self.heads[row][column];
            while let Some(before) = (link as usize).checked_sub(1) {
                link = self.slots[before].next;
                if link == this {
                    self.slots[before].next = slot.next;
                    break;
                }
            }
        }
        self.slots[place] = Slot { next: self.free, ..Slot::EMPTY };
        self.free = this;
        self.length -= 1;
        slot
    }

    /// The next few slots that the sweep looks at, as places; the hand moves on behind them.
    pub(crate) fn sweep(&mut self) -> impl Iterator<Item = usize> + use<KEYS> {
        let from = self.hand;
        self.hand = (from + SWEEP_SLOTS) % KEYS;
        Self::places_from(from)
    }

    /// The slots that will be looked at by the sweep that comes after `sweeps` others.
    pub(crate) fn sweep_after(&self, sweeps: usize) -> impl Iterator<Item = usize> + use<KEYS> {
        Self::places_from((self.hand + sweeps * SWEEP_SLOTS) % KEYS)
    }

    fn places_from(from: usize) -> impl Iterator<Item = usize> + use<KEYS> {
        (from..from + SWEEP_SLOTS.min(KEYS)).map(|place| if place < KEYS { place } else { place % KEYS })
    }

    /// The slot at `place`, if it belongs to a key.
    pub(crate) fn live(&self, place: usize) -> Option<&Slot> {
        self.slots.get(place).filter(|slot| slot.live)
    }

    pub(crate) fn slot(&self, place: usize) -> &Slot {
        &self.slots[place]
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, place: usize) -> &mut Slot {
        &mut self.slots[place]
    }

    pub(crate) fn name(&self, place: usize) -> &Name {
        &self.names[place]
    }

    /// The places of all keys.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.touched).filter(|&place| self.slots[place].live)
    }

    /// The length of the longest chain.
    #[cfg(test)]
    pub(crate) fn longest_chain(&self) -> usize {
        let length = |mut link: Link| {
            let mut length = 0;
            while let Some(place) = (link as usize).checked_sub(1) {
                link = self.slots[place].next;
                length += 1;
            }
            length
        };
        self.heads.as_flattened().iter().map(|&head| length(head)).max().unwrap_or(0)
    }

    /// The head of the chain for a key: the upper bits of the hash, spread by the limit, scaled to the heads.
    fn head(limit: u16, hash: KeyHash) -> (usize, usize) {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, odd
        let mixed = hash.0 ^ u64::from(limit).wrapping_mul(SPREAD);
        let scaled = u128::from(mixed) * (2 * KEYS as u128);
        let head = usize::try_from(scaled >> 64).unwrap_or(0);
        (head / 2, head % 2)
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
            assert!(table.longest_chain() <= 10, "seed {seed}: {}", table.longest_chain());
        }
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
