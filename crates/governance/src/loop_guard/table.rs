//! The callers that ask most often, in fixed memory.
//!
//! Where the table is full, the one that asked least often in this minute and the last makes room, and the other one
//! inherits its count as what it may have asked itself: so a caller with more than one in [`LOOPS_MAX`] of the requests
//! keeps its place, whatever others do. One that is above the first level or has strikes makes room only where all do.
//!
//! The order is kept in a heap, and only while the table is full: it is built once in a minute, since all counts change
//! then, and a request costs a few steps.

use super::ladder::{Entry, Minutes, minute_of};
use super::{GuardSettings, LOOPS_MAX, LoopKey};
use crate::chained_table::{ChainedTable, Place};
use crate::scope::Name;
use crate::time::Instant;
use core::fmt::{self, Write};

/// The table. All-zero when empty.
#[derive(Debug)]
pub(super) struct Table {
    entries: ChainedTable<Entry, LOOPS_MAX>,
    /// The entries' numbers, the one that makes room first in front; of use only in its minute.
    heap: [u16; LOOPS_MAX],
    /// The minute after that in which the heap was built; 0 if it is of no use.
    heap_minute: u64,
    turn: u64,
    pub(super) evicted: u64,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            entries: ChainedTable::new(Entry::EMPTY),
            heap: [0; LOOPS_MAX],
            heap_minute: 0,
            turn: 0,
            evicted: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.heap_minute = 0;
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every entry and its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> + '_ {
        self.entries.iter().map(|(place, entry)| (place.number(), entry))
    }

    /// The entry with this number.
    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(self.entries.place(usize::try_from(number).ok()?)?)
    }

    /// The entry of a key as it is before another request, or as it would begin.
    pub(super) fn look(&self, now: Instant, key: &LoopKey<'_>) -> Entry {
        let entry = self.find(key).and_then(|place| self.entries.get(place));
        entry.copied().unwrap_or(Entry::newcomer(now, Minutes::default()))
    }

    /// The entry of a key; one that is not in the table is put there. `count` counts a request for it.
    pub(super) fn update<T>(
        &mut self,
        now: Instant,
        key: &LoopKey<'_>,
        settings: &GuardSettings,
        count: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let place = match self.find(key) {
            Some(place) => place,
            None => self.insert(now, key, settings)?,
        };
        self.turn += 1;
        let entry = self.entries.get_mut(place)?;
        entry.turn = self.turn;
        let counted = count(entry);
        let heap_place = usize::from(entry.heap_place);
        if self.has_heap(now) {
            self.reorder(heap_place, minute_of(now));
        }
        Some(counted)
    }

    fn find(&self, key: &LoopKey<'_>) -> Option<Place> {
        // A hash of 64 bits under a secret is taken for the key itself.
        self.entries.find(key.hash.0, |_| true)
    }

    fn insert(&mut self, now: Instant, key: &LoopKey<'_>, settings: &GuardSettings) -> Option<Place> {
        let mut inherited = Minutes::default();
        let mut heap_place = 0;
        let is_full = self.entries.is_full();
        if is_full {
            if !self.has_heap(now) {
                self.build(now, settings);
            }
            let first = self.entries.place(usize::from(self.heap[0]))?;
            let gone = self.entries.remove(first)?;
            inherited = gone.estimate(minute_of(now));
            heap_place = gone.heap_place;
            self.evicted += 1;
        }
        let mut entry = Entry::newcomer(now, inherited);
        (entry.caller, entry.target, entry.heap_place) = (shown(key.caller), shown(key.target), heap_place);
        let place = self.entries.insert(key.hash.0, entry).ok()?;
        self.heap[usize::from(heap_place)] = u16::try_from(place.index()).ok()?;
        Some(place)
    }

    fn has_heap(&self, now: Instant) -> bool {
        self.heap_minute == minute_of(now) + 1 && self.entries.is_full()
    }

    /// Looks at every entry as it is now, and puts them in order.
    fn build(&mut self, now: Instant, settings: &GuardSettings) {
        for index in 0..LOOPS_MAX {
            let number = u16::try_from(index).unwrap_or(0);
            self.heap[index] = number;
            if let Some(entry) = self.entries.place(index).and_then(|place| self.entries.get_mut(place)) {
                entry.settle(now, settings);
                entry.is_held = entry.is_watched();
                entry.heap_place = number;
            }
        }
        self.heap_minute = minute_of(now) + 1;
        for index in (0..LOOPS_MAX / 2).rev() {
            self.sift_down(index, minute_of(now));
        }
    }

    /// Brings an entry whose key has changed to where it belongs.
    fn reorder(&mut self, at: usize, minute: u64) {
        let mut at = at;
        while at > 0 && self.order(at, minute) < self.order((at - 1) / 2, minute) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        self.sift_down(at, minute);
    }

    fn sift_down(&mut self, mut at: usize, minute: u64) {
        loop {
            let children = (2 * at + 1..2 * at + 3).filter(|&child| child < LOOPS_MAX);
            let Some(child) = children.min_by_key(|&child| self.order(child, minute)) else { return };
            if self.order(at, minute) <= self.order(child, minute) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for at in [a, b] {
            let place = self.entries.place(usize::from(self.heap[at]));
            if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
                entry.heap_place = u16::try_from(at).unwrap_or(0);
            }
        }
    }

    /// By what it is decided who makes room: the least goes first. No two turns are the same.
    fn order(&self, at: usize, minute: u64) -> (bool, u64, u64) {
        let place = self.entries.place(usize::from(self.heap[at]));
        let entry = place.and_then(|place| self.entries.get(place));
        entry.map_or((false, 0, 0), |entry| (entry.is_held, entry.estimate(minute).both(), entry.turn))
    }
}

/// As much of what is shown as a name holds.
fn shown(value: &dyn fmt::Display) -> Name {
    /// Takes what fits and drops the rest.
    struct Cut(Name);
    impl Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.chars().try_for_each(|character| self.0.write_char(character))
        }
    }
    let mut cut = Cut(Name::EMPTY);
    // The error says that there is no room for more.
    let _ = write!(cut, "{value}");
    cut.0
}
