//! A table of fixed capacity that is found by hash: what quotas, accounts and meters lie in.
//!
//! An entry stays in its place for as long as it lives, so that others can keep its [`Place`]. Entries with the same
//! head are chained; there are two heads for each entry, and heads are chosen by a keyed hash, so that chains are
//! short. All-zero when empty. A place carries the generation of its entry: one that is outdated finds nothing.

/// Where an entry lies, and which of those that lay there it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    /// All-zero: no entry's place.
    pub(crate) const ZERO: Self = Self { index: 0, generation: 0 };

    /// The entry's number, from 0, as it is kept.
    pub(crate) const fn number(self) -> u32 {
        self.index
    }

    /// The entry's number, from 0.
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }
}

/// The table has no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// An entry's number plus one; 0 stands for none.
type Link = u32;

/// What there is to know of an entry on the way to it: small, so that a walk along a chain touches little memory.
#[derive(Clone, Copy, Debug)]
struct Tag {
    hash: u64,
    next: Link,
    /// Odd while an entry lies there: it goes up when one comes and when it goes.
    generation: u32,
}

impl Tag {
    const fn is_live(&self) -> bool {
        self.generation % 2 == 1
    }
}

/// A table of at most `N` times `PER` entries.
#[derive(Debug)]
pub(crate) struct ChainedTable<T, const N: usize, const PER: usize = 1> {
    heads: [[[Link; 2]; PER]; N],
    tags: [[Tag; PER]; N],
    values: [[T; PER]; N],
    /// Entries that were given back, chained.
    free: Link,
    /// How many entries have ever been taken from the end.
    touched: usize,
    length: usize,
}

impl<T: Copy, const N: usize, const PER: usize> ChainedTable<T, N, PER> {
    /// How many entries fit.
    pub(crate) const CAPACITY: usize = N * PER;

    /// A table without entries; `empty` fills the places, and should be all-zero.
    pub(crate) const fn new(empty: T) -> Self {
        assert!(N * PER > 0 && N * PER < Link::MAX as usize, "links count entries from one");
        Self {
            heads: [[[0; 2]; PER]; N],
            tags: [[Tag { hash: 0, next: 0, generation: 0 }; PER]; N],
            values: [[empty; PER]; N],
            free: 0,
            touched: 0,
            length: 0,
        }
    }

    /// Forgets every entry, in place. Places of before find nothing afterwards.
    pub(crate) fn clear(&mut self) {
        for tag in &mut self.tags.as_flattened_mut()[..self.touched] {
            tag.generation = tag.generation.wrapping_add(u32::from(tag.is_live()));
        }
        self.heads.as_flattened_mut().as_flattened_mut().fill(0);
        (self.free, self.touched, self.length) = (0, 0, 0);
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.length == Self::CAPACITY
    }

    /// The entry with this hash for which `is` says yes.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(&T) -> bool) -> Option<Place> {
        let mut link = self.heads.as_flattened().as_flattened()[Self::head(hash)];
        while let Some(index) = link.checked_sub(1) {
            let tag = &self.tags.as_flattened()[index as usize];
            if tag.hash == hash && is(&self.values.as_flattened()[index as usize]) {
                return Some(Place { index, generation: tag.generation });
            }
            link = tag.next;
        }
        None
    }

    /// Adds an entry that is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, value: T) -> Result<Place, Full> {
        let index = if let Some(index) = self.free.checked_sub(1) {
            self.free = self.tags.as_flattened()[index as usize].next;
            index
        } else if self.touched < Self::CAPACITY {
            self.touched += 1;
            u32::try_from(self.touched - 1).map_err(|_| Full)?
        } else {
            return Err(Full);
        };
        let head = &mut self.heads.as_flattened_mut().as_flattened_mut()[Self::head(hash)];
        let next = core::mem::replace(head, index + 1);
        let tag = &mut self.tags.as_flattened_mut()[index as usize];
        *tag = Tag { hash, next, generation: tag.generation.wrapping_add(1) };
        self.values.as_flattened_mut()[index as usize] = value;
        self.length += 1;
        Ok(Place { index, generation: tag.generation })
    }

    /// Takes an entry out, and gives back what it was.
    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        let value = *self.get(place)?;
        let own = place.index + 1;
        let Tag { hash, next, .. } = self.tags.as_flattened()[place.index()];
        let head = &mut self.heads.as_flattened_mut().as_flattened_mut()[Self::head(hash)];
        if *head == own {
            *head = next;
        } else {
            let mut link = *head;
            while let Some(before) = link.checked_sub(1) {
                let before = &mut self.tags.as_flattened_mut()[before as usize];
                link = before.next;
                if link == own {
                    before.next = next;
                    break;
                }
            }
        }
        let tag = &mut self.tags.as_flattened_mut()[place.index()];
        tag.generation = tag.generation.wrapping_add(1);
        tag.next = core::mem::replace(&mut self.free, own);
        self.length -= 1;
        Some(value)
    }

    /// Whether an entry is still the one that a place was of.
    #[inline]
    fn is_there(&self, place: Place) -> bool {
        let tag = self.tags.as_flattened().get(place.index());
        tag.is_some_and(|tag| tag.is_live() && tag.generation == place.generation)
    }

    /// The entry at a place, if it is still the same.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> Option<&T> {
        if self.is_there(place) { self.values.as_flattened().get(place.index()) } else { None }
    }

    /// The entry at a place, if it is still the same.
    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        if self.is_there(place) { self.values.as_flattened_mut().get_mut(place.index()) } else { None }
    }

    /// The place of an entry by its number, if one is there.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        let tag = self.tags.as_flattened().get(index).filter(|tag| tag.is_live())?;
        Some(Place { index: u32::try_from(index).ok()?, generation: tag.generation })
    }

    /// Every entry, in the order of its number, which is that of coming as long as none has gone.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Place, &T)> + '_ {
        let tags = self.tags.as_flattened()[..self.touched].iter().enumerate();
        tags.zip(self.values.as_flattened()).filter(|((_, tag), _)| tag.is_live()).map(
            |((index, tag), value)| {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                (Place { index, generation: tag.generation }, value)
            },
        )
    }

    fn head(hash: u64) -> usize {
        usize::try_from((u128::from(hash) * (2 * Self::CAPACITY as u128)) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ChainedTable, Full};
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::BTreeMap;

    #[test]
    fn every_place_can_be_used_and_no_more() {
        let mut table = ChainedTable::<u64, 64>::new(0);
        for key in 0..64 {
            assert!(table.insert(key << 58, key).is_ok(), "{key}");
        }
        assert_eq!(table.insert(1, 64), Err(Full));
        assert!((0..64).all(|key| table.find(key << 58, |value| *value == key).is_some()));
    }

    #[test]
    fn an_outdated_place_finds_nothing() {
        let mut table = ChainedTable::<u64, 2>::new(0);
        let old = table.insert(5, 5).unwrap();
        assert_eq!(table.remove(old), Some(5));
        let young = table.insert(6, 6).unwrap();
        assert_eq!((old.index(), table.get(old)), (young.index(), None));
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get(young), Some(&6));
        table.clear();
        assert_eq!((table.get(young), table.len()), (None, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn equals_a_map(steps in prop::collection::vec((0..24u64, 0..10u8), 0..400)) {
            let mut table = ChainedTable::<u64, 16>::new(0);
            let mut naive = BTreeMap::new();
            for (key, action) in steps {
                // Few different hashes, so that chains grow.
                let hash = (key % 5) << 61;
                let found = table.find(hash, |value| *value == key);
                assert_eq!(found, naive.get(&key).copied());
                match (found, action) {
                    (Some(place), 0..=3) => {
                        assert_eq!(table.remove(place), Some(key));
                        naive.remove(&key);
                    }
                    (None, _) => match table.insert(hash, key) {
                        Ok(place) => { naive.insert(key, place); }
                        Err(Full) => assert_eq!(naive.len(), 16),
                    },
                    _ => {}
                }
                assert_eq!(table.len(), naive.len());
                let mut all: Vec<_> = table.iter().map(|(_, value)| *value).collect();
                all.sort_unstable();
                assert_eq!(all, naive.keys().copied().collect::<Vec<_>>());
            }
        }
    }
}
