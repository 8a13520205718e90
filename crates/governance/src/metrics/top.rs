//! Who has the most: Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements
//! in Data Streams", ICDT 2005) over a heap.
//!
//! `N` keys are counted. Where another one comes, the key with the lowest count makes room, and the one that came begins
//! with the highest count that ever made room: it may have had as much before. So a count is never below the truth, and
//! never above it by more than its error; any key with more than a part of 1/N of everything is there. What is counted
//! can be taken back, as the price of a request is that turned out cheaper: the bounds hold all the same.
//!
//! A key that comes and goes costs a dozen times what counting does, so a series keeps what it [owes](Owed) to the rankings
//! for a few events, and whoever reads a ranking adds it. All-zero when empty.

use super::count::Count;
use super::record::{Key, Pair};
use crate::chained_table::{ChainedTable, Place};
use crate::scope::{KeyHash, Name};
use crate::text::Text;

/// How many keys each ranking counts.
pub const TOP_MAX: usize = 64;

/// By what services and tenants are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopBy {
    /// Requests that were decided.
    #[default]
    Requests,
    /// What they cost, in nano-units.
    Cost,
    /// Requests that were refused.
    Violations,
}

impl TopBy {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Cost, Self::Violations];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Cost => "cost",
            Self::Violations => "violations",
        }
    }

    /// The order that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.word() == word)
    }
}

/// A place in a ranking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopEntry<'a> {
    /// The name of the service or tenant.
    pub name: &'a str,
    /// At most this much.
    pub count: u64,
    /// It may be less by this much.
    pub error: u64,
    /// Whether none of those behind it can have more.
    pub rank: Rank,
}

impl TopEntry<'_> {
    /// At least this much.
    #[must_use]
    pub const fn at_least(&self) -> u64 {
        self.count.saturating_sub(self.error)
    }
}

/// How sure a place in a ranking is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// One behind it may have more.
    #[default]
    Possible,
    /// None behind it has more.
    Guaranteed,
}

/// A ranking, the highest count first.
#[derive(Clone, Copy, Debug)]
pub struct Top<'a> {
    entries: [TopEntry<'a>; TOP_MAX],
    length: usize,
}

impl<'a> Top<'a> {
    /// The entries, the highest count first; equal ones by name.
    #[must_use]
    pub fn as_slice(&self) -> &[TopEntry<'a>] {
        &self.entries[..self.length]
    }
}

/// What a pair was counted since the rankings were told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    /// By requests, cost and violations.
    weights: [u64; TopBy::ALL.len()],
    /// How often something was counted.
    events: u32,
    /// Where the service and the tenant were in each ranking when it was told.
    places: [[Place; 2]; TopBy::ALL.len()],
}

/// After how many events the rankings are told.
const EVENTS_OWED_MAX: u32 = 64;

impl Owed {
    pub(super) const NOTHING: Self =
        Self { weights: [0; TopBy::ALL.len()], events: 0, places: [[Place::ZERO; 2]; TopBy::ALL.len()] };

    /// How much is owed to a ranking.
    pub(super) const fn weight(&self, by: TopBy) -> u64 {
        self.weights[by as usize]
    }

    #[inline]
    pub(super) fn count(&mut self, by: TopBy, weight: u64) {
        self.weights[by as usize].count(weight);
        self.events += 1;
    }

    /// Whether it is time to tell the rankings.
    #[inline]
    pub(super) const fn is_due(&self) -> bool {
        self.events >= EVENTS_OWED_MAX
    }
}

/// The rankings of services and of tenants.
#[derive(Debug)]
pub(super) struct Rankings {
    pub(super) services: [SpaceSaving; TopBy::ALL.len()],
    pub(super) tenants: [SpaceSaving; TopBy::ALL.len()],
}

impl Rankings {
    pub(super) const EMPTY: Self = Self {
        services: [const { SpaceSaving::new() }; TopBy::ALL.len()],
        tenants: [const { SpaceSaving::new() }; TopBy::ALL.len()],
    };

    pub(super) fn reset(&mut self) {
        self.services.iter_mut().chain(&mut self.tenants).for_each(SpaceSaving::reset);
    }

    /// Takes over what is owed for a pair.
    #[inline(never)]
    pub(super) fn settle(&mut self, owed: &mut Owed, pair: &Pair<'_>) {
        let each = self.services.iter_mut().zip(&mut self.tenants).zip(&mut owed.places);
        for (((services, tenants), [service, tenant]), weight) in each.zip(&mut owed.weights) {
            pair.service.into_iter().for_each(|key| services.add_at(service, key, *weight));
            pair.tenant.into_iter().for_each(|key| tenants.add_at(tenant, key, *weight));
            *weight = 0;
        }
        owed.events = 0;
    }

    /// Takes back what a pair was counted.
    pub(super) fn take_back(&mut self, by: TopBy, pair: &Pair<'_>, weight: u64) {
        pair.service.into_iter().for_each(|key| self.services[by as usize].take_back(key, weight));
        pair.tenant.into_iter().for_each(|key| self.tenants[by as usize].take_back(key, weight));
    }
}

/// A count in the heap, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Node {
    count: u64,
    hash: KeyHash,
    place: Place,
}

/// The [`TOP_MAX`] keys with the most.
#[derive(Debug)]
pub struct SpaceSaving {
    /// A heap, the lowest count first.
    heap: [Node; TOP_MAX],
    /// Where each entry is in the heap.
    positions: [u8; TOP_MAX],
    table: ChainedTable<(), TOP_MAX>,
    errors: [u64; TOP_MAX],
    names: [Name; TOP_MAX],
    /// The highest count that ever made room.
    floor: u64,
}

impl Default for SpaceSaving {
    fn default() -> Self {
        Self::new()
    }
}

impl SpaceSaving {
    /// No keys.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: [Node { count: 0, hash: KeyHash(0), place: Place::ZERO }; TOP_MAX],
            positions: [0; TOP_MAX],
            table: ChainedTable::new(()),
            errors: [0; TOP_MAX],
            names: [Text::EMPTY; TOP_MAX],
            floor: 0,
        }
    }

    /// Forgets every key, in place.
    pub fn reset(&mut self) {
        self.table.clear();
        self.floor = 0;
    }

    /// Counts `weight` more for a key. A count stops at [`u64::MAX`].
    pub fn add(&mut self, key: &Key<'_>, weight: u64) {
        let mut place = Place::ZERO;
        self.add_at(&mut place, key, weight);
    }

    /// Takes `weight` back from a key, which must have been counted as much before; from one that is not counted any more,
    /// nothing need be taken.
    pub fn take_back(&mut self, key: &Key<'_>, weight: u64) {
        if let Some(place) = self.table.find(key.hash.0, |()| true) {
            let position = usize::from(self.positions[place.index()]);
            self.heap[position].count = self.heap[position].count.saturating_sub(weight);
            self.sift_up(position);
        }
    }

    /// Counts `weight` more for a key that may be at `place`, where it was before, and notes where it is.
    fn add_at(&mut self, place: &mut Place, key: &Key<'_>, weight: u64) {
        if weight == 0 {
            return;
        }
        let position = usize::from(self.positions[place.index()]);
        let node = &self.heap[position];
        let is_there = position < self.table.len() && node.place == *place && node.hash == key.hash;
        if !is_there {
            *place = self.table.find(key.hash.0, |()| true).unwrap_or_else(|| self.enter(key));
        }
        let position = usize::from(self.positions[place.index()]);
        self.heap[position].count.count(weight);
        self.sift_down(position);
    }

    /// The ranking.
    #[must_use]
    pub fn ranking(&self) -> Top<'_> {
        self.ranking_with(core::iter::empty())
    }

    /// The ranking as it would be if `owed` were added.
    pub(super) fn ranking_with<'a>(&'a self, owed: impl Iterator<Item = (KeyHash, &'a str, u64)>) -> Top<'a> {
        let mut top = Top { entries: [TopEntry::default(); TOP_MAX], length: self.table.len() };
        let mut hashes = [KeyHash(0); TOP_MAX];
        for ((entry, hash), node) in top.entries[..top.length].iter_mut().zip(&mut hashes).zip(&self.heap) {
            let index = node.place.index();
            let (name, error) = (self.names[index].as_str(), self.errors[index]);
            *entry = TopEntry { name, count: node.count, error, rank: Rank::Possible };
            *hash = node.hash;
        }
        let mut floor = self.floor;
        for (hash, name, weight) in owed {
            let index = match hashes[..top.length].iter().position(|counted| *counted == hash) {
                Some(index) => index,
                None if top.length < TOP_MAX => {
                    top.length += 1;
                    top.length - 1
                }
                None => {
                    let entries = top.entries.iter().enumerate();
                    entries.min_by_key(|(_, entry)| entry.count).map_or(0, |(index, _)| index)
                }
            };
            let entry = &mut top.entries[index];
            if hashes[index] != hash || entry.name.is_empty() {
                floor = floor.max(entry.count);
                *entry = TopEntry { name, count: floor, error: floor, rank: Rank::Possible };
                hashes[index] = hash;
            }
            entry.count.count(weight);
        }
        let entries = &mut top.entries[..top.length];
        entries.sort_unstable_by(|one, other| other.count.cmp(&one.count).then(one.name.cmp(other.name)));
        // Behind the last one is who is not counted, with as much as ever made room.
        let mut next = floor;
        for entry in entries.iter_mut().rev() {
            if entry.at_least() >= next {
                entry.rank = Rank::Guaranteed;
            }
            next = next.max(entry.count);
        }
        top
    }

    /// Makes room for a key, which begins with what it may have had before.
    #[cold]
    fn enter(&mut self, key: &Key<'_>) -> Place {
        let position = if self.table.is_full() {
            let lowest = self.heap[0];
            self.floor = self.floor.max(lowest.count);
            self.table.remove(lowest.place);
            0
        } else {
            self.table.len()
        };
        // There is room: either there was, or it was made.
        let place = self.table.insert(key.hash.0, ()).unwrap_or(Place::ZERO);
        self.errors[place.index()] = self.floor;
        let name = &mut self.names[place.index()];
        *name = Text::EMPTY;
        // A name fits a name.
        let _ = name.push_str(key.name.as_str());
        self.set(position, Node { count: self.floor, hash: key.hash, place });
        self.sift_up(position);
        place
    }

    #[inline]
    fn set(&mut self, position: usize, node: Node) {
        self.heap[position] = node;
        self.positions[node.place.index()] = u8::try_from(position).unwrap_or(0);
    }

    fn sift_up(&mut self, mut position: usize) {
        let node = self.heap[position];
        while position > 0 && node.count < self.heap[(position - 1) / 2].count {
            self.set(position, self.heap[(position - 1) / 2]);
            position = (position - 1) / 2;
        }
        self.set(position, node);
    }

    #[inline]
    fn sift_down(&mut self, mut position: usize) {
        let length = self.table.len();
        let node = self.heap[position];
        // Where there is one child, it stands for the other: which is lower is guessed wrong half the time, and so not
        // branched on.
        while let Some(mut child) = Some(2 * position + 1).filter(|child| *child < length) {
            let right = (child + 1).min(length - 1);
            child += usize::from(self.heap[right].count < self.heap[child].count);
            if node.count <= self.heap[child].count {
                break;
            }
            self.set(position, self.heap[child]);
            position = child;
        }
        self.set(position, node);
    }
}
