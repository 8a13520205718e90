//! How long answers took: by route, service or group, over the last minute and since the start.
//!
//! A scope counts into slices of ten seconds. A slice whose time has passed is added to what was before when its place is
//! needed again, so that a latency is counted once. All-zero when empty.

use super::record::Key;
use crate::chained_table::ChainedTable;
use crate::histogram::{Histogram, percentiles};
use crate::scope::{KeyHash, KeyName, Kind, Name, NameRef};
use crate::text::Text;

/// How many scopes there can be beside the one of everything.
pub const LATENCY_SCOPES_MAX: usize = 64;
/// How many samples a 99th percentile needs to mean something.
pub const SAMPLES_FEW: u64 = 100;
/// The bounds of exported buckets, in microseconds; the last bucket has none.
pub const BOUNDS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
/// How long a slice is.
pub(super) const SLICE_SECONDS: u64 = 10;
const SLICES: usize = 6;

/// Whose latency is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatencyScope<'a> {
    /// That of all outcomes.
    #[default]
    All,
    /// That of a route, a service or a group.
    Named(Kind, &'a str),
}

/// The time that is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// The last minute: the present slice of ten seconds and the five before it.
    #[default]
    Minute,
    /// Since the start.
    SinceStart,
}

/// How much percentiles are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confidence {
    /// There are fewer than [`SAMPLES_FEW`] samples: the 99th percentile is the largest of them.
    #[default]
    Low,
    /// There are enough.
    Normal,
}

/// How long answers took, in microseconds. Percentiles are by nearest rank, and at most 1/64 (1.5625 %) off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50: u64,
    /// 90 % took no longer.
    pub p90: u64,
    /// 95 % took no longer.
    pub p95: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// The shortest, exactly.
    pub min: u64,
    /// The longest, exactly.
    pub max: u64,
    /// How many there are.
    pub count: u64,
    /// What the 99th percentile is worth.
    pub confidence: Confidence,
}

/// Latencies by fixed bounds since the start, all read at once: they add up to their count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyBuckets {
    counts: [u64; BOUNDS_US.len() + 1],
    /// How long all of them took, in microseconds.
    pub sum_us: u128,
}

impl LatencyBuckets {
    const EMPTY: Self = Self { counts: [0; BOUNDS_US.len() + 1], sum_us: 0 };

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound, in microseconds, and how many took no longer. What is above the last bound is only in the count.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        BOUNDS_US.into_iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }

    #[inline]
    fn record(&mut self, latency_us: u64) {
        // As many steps for each latency, and no branch on it.
        let below = BOUNDS_US.iter().map(|bound| usize::from(latency_us > *bound)).sum::<usize>();
        if let Some(count) = self.counts.get_mut(below) {
            *count += 1;
        }
        self.sum_us += u128::from(latency_us);
    }
}

/// A scope of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyView<'a> {
    /// What it is of.
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// Its latencies since the start.
    pub buckets: &'a LatencyBuckets,
}

/// Latencies of a length of time.
#[derive(Debug)]
struct Slice {
    histogram: Histogram,
    /// Its number since 1970.
    number: u64,
    min: u64,
    max: u64,
}

impl Slice {
    const EMPTY: Self = Self { histogram: Histogram::EMPTY, number: 0, min: 0, max: 0 };

    #[inline]
    fn record(&mut self, latency_us: u64) {
        self.min = if self.histogram.is_empty() { latency_us } else { self.min.min(latency_us) };
        self.max = self.max.max(latency_us);
        self.histogram.record(latency_us);
    }

    fn merge(&mut self, other: &Self) {
        if other.histogram.is_empty() {
            return;
        }
        self.min = if self.histogram.is_empty() { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.histogram.merge(&other.histogram);
    }

    fn begin(&mut self, number: u64) {
        self.histogram.clear();
        (self.number, self.min, self.max) = (number, 0, 0);
    }
}

/// The latencies of a scope.
#[derive(Debug)]
struct Latencies {
    slices: [Slice; SLICES],
    /// What is in no slice any more.
    before: Slice,
    buckets: LatencyBuckets,
}

impl Latencies {
    const EMPTY: Self =
        Self { slices: [Slice::EMPTY; SLICES], before: Slice::EMPTY, buckets: LatencyBuckets::EMPTY };

    #[inline]
    fn record(&mut self, present: Present, latency_us: u64) {
        self.buckets.record(latency_us);
        let slice = &mut self.slices[present.index];
        if slice.number != present.number {
            self.before.merge(slice);
            slice.begin(present.number);
        }
        slice.record(latency_us);
    }

    fn clear(&mut self) {
        for slice in self.slices.iter_mut().chain([&mut self.before]) {
            slice.begin(0);
        }
        self.buckets = LatencyBuckets::EMPTY;
    }

    fn percentiles(&self, present: Present, window: Window) -> Option<Percentiles> {
        let recent = present.number.saturating_sub(SLICES as u64 - 1)..=present.number;
        let slices =
            self.slices.iter().chain([&self.before]).enumerate().filter(|(index, slice)| match window {
                Window::Minute => *index < SLICES && recent.contains(&slice.number),
                Window::SinceStart => true,
            });
        let mut parts = [&self.before.histogram; SLICES + 1];
        let mut length = 0;
        let (mut min, mut max) = (u64::MAX, 0);
        for ((_, slice), part) in slices.filter(|(_, slice)| !slice.histogram.is_empty()).zip(&mut parts) {
            *part = &slice.histogram;
            length += 1;
            (min, max) = (min.min(slice.min), max.max(slice.max));
        }
        let parts = &parts[..length];
        let [p50, p90, p95, p99] = percentiles(parts, [500, 900, 950, 990])?.map(|told| told.clamp(min, max));
        let count = parts.iter().map(|part| part.len()).sum();
        let confidence = if count < SAMPLES_FEW { Confidence::Low } else { Confidence::Normal };
        Some(Percentiles { p50, p90, p95, p99, min, max, count, confidence })
    }
}

/// The present slice: its number since 1970, and its place.
#[derive(Clone, Copy, Debug)]
struct Present {
    number: u64,
    index: usize,
}

/// The latencies of everything, and of as many scopes as fit.
#[derive(Debug)]
pub(super) struct LatencyPool {
    all: Latencies,
    scopes: [Latencies; LATENCY_SCOPES_MAX],
    names: [(Kind, Name); LATENCY_SCOPES_MAX],
    hashes: [KeyHash; LATENCY_SCOPES_MAX],
    table: ChainedTable<(), LATENCY_SCOPES_MAX>,
    present: Present,
    /// Requests whose scope found no room.
    overflowed: u64,
}

impl LatencyPool {
    pub(super) const EMPTY: Self = Self {
        all: Latencies::EMPTY,
        scopes: [const { Latencies::EMPTY }; LATENCY_SCOPES_MAX],
        names: [(Kind::Service, Text::EMPTY); LATENCY_SCOPES_MAX],
        hashes: [KeyHash(0); LATENCY_SCOPES_MAX],
        table: ChainedTable::new(()),
        present: Present { number: 0, index: 0 },
        overflowed: 0,
    };

    pub(super) fn reset(&mut self) {
        let used = self.table.len();
        self.scopes[..used].iter_mut().chain([&mut self.all]).for_each(Latencies::clear);
        self.table.clear();
        self.present = Present { number: 0, index: 0 };
        self.overflowed = 0;
    }

    /// Goes on to the slice of a second.
    pub(super) fn advance(&mut self, second: u64) {
        let number = second / SLICE_SECONDS;
        self.present = Present { number, index: usize::try_from(number % SLICES as u64).unwrap_or(0) };
    }

    /// The scope of a key, as one more than its number; 0 if there is no room for it. `likely` is where it was before.
    #[inline]
    pub(super) fn scope(&mut self, likely: u8, kind: Kind, key: &Key<'_>) -> u8 {
        let is_there = usize::from(likely).checked_sub(1).and_then(|index| self.hashes.get(index));
        if is_there == Some(&key.hash) { likely } else { self.find_or_add(kind, key) }
    }

    #[inline(never)]
    fn find_or_add(&mut self, kind: Kind, key: &Key<'_>) -> u8 {
        let place = self.table.find(key.hash.0, |()| true).or_else(|| {
            let place = self.table.insert(key.hash.0, ()).ok()?;
            self.hashes[place.index()] = key.hash;
            self.names[place.index()] = (kind, canonical(kind, key.name));
            Some(place)
        });
        let Some(place) = place else {
            self.overflowed += 1;
            return 0;
        };
        u8::try_from(place.index() + 1).unwrap_or(0)
    }

    /// Counts a latency, for everything and for a scope.
    #[inline]
    pub(super) fn record(&mut self, scope: u8, latency_us: u64) {
        self.all.record(self.present, latency_us);
        if let Some(index) = usize::from(scope).checked_sub(1)
            && let Some(latencies) = self.scopes.get_mut(index)
        {
            latencies.record(self.present, latency_us);
        }
    }

    pub(super) fn percentiles(&self, scope: LatencyScope<'_>, window: Window) -> Option<Percentiles> {
        self.find(scope)?.percentiles(self.present, window)
    }

    pub(super) fn buckets(&self, scope: LatencyScope<'_>) -> Option<&LatencyBuckets> {
        Some(&self.find(scope)?.buckets)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = LatencyView<'_>> + '_ {
        self.names.iter().zip(&self.scopes).take(self.table.len()).map(|((kind, name), latencies)| {
            LatencyView { kind: *kind, name: name.as_str(), buckets: &latencies.buckets }
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn find(&self, scope: LatencyScope<'_>) -> Option<&Latencies> {
        match scope {
            LatencyScope::All => Some(&self.all),
            LatencyScope::Named(kind, name) => {
                let mut names = self.names.iter().take(self.table.len());
                let index =
                    names.position(|(its, text)| *its == kind && is_name(kind, text.as_str(), name))?;
                self.scopes.get(index)
            }
        }
    }
}

/// A name as its scope is told by: the case of a route is of no account, and elsewhere it is told in lower case too.
fn canonical(kind: Kind, name: NameRef<'_>) -> Name {
    match kind {
        Kind::Route => KeyName::LowerCase(name).to_plain_name(),
        _ => name.to_name(),
    }
}

fn is_name(kind: Kind, one: &str, other: &str) -> bool {
    if kind == Kind::Route { one.eq_ignore_ascii_case(other) } else { one == other }
}
