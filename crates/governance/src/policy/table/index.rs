//! From a value that policies mention to the policies that ask for it and that exclude it.

use super::hash::{Key, Salt};
use crate::policy::condition::{HEADER_NAMES_MAX, SET_ATOMS_MAX};
use crate::policy::set::{PolicySet, RuleId};

/// Each value once, and the name of each header.
const ENTRIES_MAX: usize = SET_ATOMS_MAX + HEADER_NAMES_MAX;
/// Four places for each value, so that a lookup rarely meets another value.
const SLOTS: usize = 2048;
const _: () = assert!(SLOTS.is_power_of_two() && SLOTS > 3 * ENTRIES_MAX && ENTRIES_MAX < 1 << 16);

/// A value that policies mention, in one line of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    /// Policies with it among their plain values.
    pub(super) asked: u128,
    /// Policies that exclude it.
    pub(super) excluded: u128,
    /// The first bytes of its text.
    head: [u64; 2],
    /// What it is a value of.
    pub(super) salt: Salt,
    /// Where its text lies among those of a policy.
    length: u16,
    start: u16,
    rule: RuleId,
    /// The number of a header, if it is the name of one.
    pub(super) number: u8,
}

impl Entry {
    const EMPTY: Self = Self {
        asked: 0,
        excluded: 0,
        head: [0; 2],
        salt: Salt::SERVICE,
        length: 0,
        start: 0,
        rule: RuleId::FIRST,
        number: 0,
    };

    /// The text, as it is written in the policy.
    pub(super) fn text<'a>(&self, set: &'a PolicySet) -> &'a [u8] {
        let (start, length) = (usize::from(self.start), usize::from(self.length));
        set.get(self.rule).map_or(&[], |rule| rule.condition.bytes(start..start + length))
    }

    #[inline(always)]
    fn is(&self, set: &PolicySet, key: &Key<'_>) -> bool {
        self.head == key.head
            && usize::from(self.length) == key.text.len()
            && self.salt == key.salt
            && (key.text.len() <= 16 || self.is_same_text(set, key))
    }

    #[inline(never)]
    fn is_same_text(&self, set: &PolicySet, key: &Key<'_>) -> bool {
        key.case.is_same(self.text(set), key.text)
    }
}

/// Where a text to be stored lies among those of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) rule: RuleId,
    pub(super) start: u16,
    pub(super) length: u16,
}

/// All values that the policies of a set mention. All-zero when empty.
#[derive(Debug)]
pub(super) struct Index {
    /// Sixteen bits of a hash over the place of its entry plus one; 0 if it is free.
    slots: [u32; SLOTS],
    entries: [Entry; ENTRIES_MAX],
    length: usize,
    /// How far behind its place a value lies at most.
    longest: usize,
}

impl Index {
    pub(super) const fn new() -> Self {
        Self { slots: [0; SLOTS], entries: [Entry::EMPTY; ENTRIES_MAX], length: 0, longest: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        (self.length, self.longest) = (0, 0);
    }

    /// Finds a value.
    #[inline(always)]
    pub(super) fn find(&self, set: &PolicySet, key: &Key<'_>) -> Option<&Entry> {
        self.entries.get(self.place_of(set, key)?)
    }

    /// The place of a value, for which there is one or room for one; none if there is no room.
    pub(super) fn place(&mut self, set: &PolicySet, key: &Key<'_>, origin: Origin) -> Option<usize> {
        if let Some(place) = self.place_of(set, key) {
            return Some(place);
        }
        let place = self.length;
        let Origin { rule, start, length } = origin;
        let entry = self.entries.get_mut(place)?;
        *entry = Entry { salt: key.salt, head: key.head, rule, start, length, ..Entry::EMPTY };
        let first = slot_of(key.hash);
        let distance = (0..SLOTS).find(|distance| self.slots[(first + distance) % SLOTS] == 0)?;
        let number = u32::try_from(place + 1).ok()?;
        self.slots[(first + distance) % SLOTS] = tag_of(key.hash) | number;
        self.longest = self.longest.max(distance);
        self.length += 1;
        Some(place)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..self.length]
    }

    pub(super) fn entry_mut(&mut self, place: usize) -> &mut Entry {
        // Places come from this index, and a wrong one would lie in it as well.
        &mut self.entries[place.min(ENTRIES_MAX - 1)]
    }

    #[inline(always)] // for the key to stay in registers
    fn place_of(&self, set: &PolicySet, key: &Key<'_>) -> Option<usize> {
        let (mut place, tag) = (slot_of(key.hash), tag_of(key.hash));
        // No value lies farther behind its place, so that this ends.
        for _ in 0..=self.longest {
            let slot = self.slots[place % SLOTS];
            if slot == 0 {
                return None;
            }
            if slot & TAG == tag {
                let place = usize::try_from((slot & !TAG) - 1).unwrap_or(0);
                if self.entries.get(place)?.is(set, key) {
                    return Some(place);
                }
            }
            place += 1;
        }
        None
    }
}

/// The bits of a slot that are those of a hash.
const TAG: u32 = 0xffff_0000;

/// Where a value of this hash lies, or not far behind.
#[inline]
fn slot_of(hash: u64) -> usize {
    usize::try_from(hash % SLOTS as u64).unwrap_or(0)
}

#[inline]
fn tag_of(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(0) & TAG
}
