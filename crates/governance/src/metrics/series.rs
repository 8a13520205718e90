//! Who called what: a series for each pair of a service and a tenant.
//!
//! A pair that finds no room is counted in the series of all others. A series counts the present window; when another
//! one begins, what it counted goes to what was before. All-zero when empty.

use super::count::Count;
use super::record::{Key, Pair};
use super::top::{Owed, TopBy};
use crate::chained_table::{ChainedTable, Place};
use crate::money::NanoUnits;
use crate::scope::{KeyHash, Name, NameRef};
use crate::text::Text;
use crate::time::Nanos;

/// How many pairs have a series of their own.
pub const SERIES_MAX: usize = 1024;
/// How the series of all other pairs is called.
pub const OTHER: &str = "(other)";

/// What was counted of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were decided.
    pub requests: u64,
    /// Those that were allowed, now or later.
    pub allowed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Outcomes that were told.
    pub outcomes: u64,
    /// Those that failed.
    pub errors: u64,
    /// What was charged.
    pub cost: NanoUnits,
}

impl Counts {
    pub(super) const ZERO: Self =
        Self { requests: 0, allowed: 0, denied: 0, outcomes: 0, errors: 0, cost: NanoUnits::ZERO };

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.requests.count(other.requests);
        self.allowed.count(other.allowed);
        self.denied.count(other.denied);
        self.outcomes.count(other.outcomes);
        self.errors.count(other.errors);
        self.cost.count(other.cost);
    }
}

/// A pair of a service and a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesView<'a> {
    /// The service; none if the requests named none, [`OTHER`] for the series of all others.
    pub service: Option<&'a str>,
    /// The tenant; none if the requests named none, [`OTHER`] for the series of all others.
    pub tenant: Option<&'a str>,
    /// Since the start.
    pub total: Counts,
    /// In the present window.
    pub current: Counts,
    /// In the window before it.
    pub last: Counts,
    /// Tokens that its requests took.
    pub tokens_used: u64,
    /// How long its requests were told to wait, all together.
    pub wait_time: Nanos,
    /// Decisions for which a quota or a budget spoke.
    pub quota_events: u64,
    /// Requests that were refused by one.
    pub quota_violations: u64,
}

/// What is counted of a pair beside its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) tokens: u64,
    pub(super) wait: u64,
    pub(super) quota_events: u64,
    pub(super) quota_violations: u64,
    pub(super) highest_percent: u64,
}

impl Extra {
    pub(super) const ZERO: Self =
        Self { tokens: 0, wait: 0, quota_events: 0, quota_violations: 0, highest_percent: 0 };
}

/// A series. What each decision needs comes first, in two lines of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Series {
    service: KeyHash,
    tenant: KeyHash,
    /// The number of the window that `current` is of.
    window: u64,
    current: Counts,
    /// The latency scope of its last request, plus one.
    pub(super) scope: u8,
    pub(super) owed: Owed,
    pub(super) extra: Extra,
    /// The window before `window`.
    last: Counts,
    /// Everything before `window`.
    before: Counts,
}

impl Series {
    pub(super) const EMPTY: Self = Self {
        service: KeyHash(0),
        tenant: KeyHash(0),
        window: 0,
        current: Counts::ZERO,
        scope: 0,
        owed: Owed::NOTHING,
        extra: Extra::ZERO,
        last: Counts::ZERO,
        before: Counts::ZERO,
    };

    /// What is counted in a window, which must be the present one.
    #[inline]
    pub(super) fn counts(&mut self, window: u64) -> &mut Counts {
        if self.window != window {
            self.roll(window);
        }
        &mut self.current
    }

    fn roll(&mut self, window: u64) {
        self.before.add(&self.current);
        self.last = if self.window + 1 == window { self.current } else { Counts::ZERO };
        self.current = Counts::ZERO;
        self.window = window;
    }

    pub(super) fn total(&self) -> Counts {
        let mut total = self.before;
        total.add(&self.current);
        total
    }
}

/// The series, and the one of all others.
#[derive(Debug)]
pub(super) struct SeriesTable {
    table: ChainedTable<Series, SERIES_MAX>,
    names: [[Name; 2]; SERIES_MAX],
    other: Series,
    /// Requests whose pair found no room.
    overflowed: u64,
}

/// A pair's part of its hash; nothing where it names none.
#[inline]
pub(super) fn hash_of(key: Option<&Key<'_>>) -> KeyHash {
    key.map_or(KeyHash(0), |key| key.hash)
}

/// Which key of a pair is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Service,
    Tenant,
}

/// Which series: its number, or that of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeriesId {
    Own(Place),
    Other,
}

impl SeriesId {
    /// One more than its number; all others come last.
    pub(super) fn link(self) -> u16 {
        const OTHERS: u16 = 1025;
        const _: () = assert!(OTHERS as usize == SERIES_MAX + 1, "all others come last");
        match self {
            Self::Own(place) => u16::try_from(place.number() + 1).unwrap_or(OTHERS),
            Self::Other => OTHERS,
        }
    }
}

impl SeriesTable {
    pub(super) const EMPTY: Self = Self {
        table: ChainedTable::new(Series::EMPTY),
        names: [[Text::EMPTY; 2]; SERIES_MAX],
        other: Series::EMPTY,
        overflowed: 0,
    };

    pub(super) fn reset(&mut self) {
        self.table.clear();
        self.other = Series::EMPTY;
        self.overflowed = 0;
    }

    /// The series of a pair.
    #[inline]
    pub(super) fn find_or_add(&mut self, pair: &Pair<'_>) -> SeriesId {
        let (service, tenant) = (hash_of(pair.service), hash_of(pair.tenant));
        // Both are keyed hashes of different kinds of names, so that nobody can aim at a sum of them.
        let hash = service.0 ^ tenant.0.rotate_left(32);
        match self.table.find(hash, |series| series.service == service && series.tenant == tenant) {
            Some(place) => SeriesId::Own(place),
            None => self.add(hash, pair),
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, pair: &Pair<'_>) -> SeriesId {
        let (service, tenant) = (hash_of(pair.service), hash_of(pair.tenant));
        let Ok(place) = self.table.insert(hash, Series { service, tenant, ..Series::EMPTY }) else {
            self.overflowed.count(1);
            return SeriesId::Other;
        };
        self.names[place.index()] = [pair.service, pair.tenant]
            .map(|key| key.map_or(Text::EMPTY, |key| Text::new(key.name.as_str()).unwrap_or_default()));
        SeriesId::Own(place)
    }

    /// The series of a link that [`SeriesId::link`] gave.
    #[inline]
    pub(super) fn by_link(&self, link: u16) -> Option<SeriesId> {
        let index = usize::from(link).checked_sub(1)?;
        if index == SERIES_MAX { Some(SeriesId::Other) } else { self.table.place(index).map(SeriesId::Own) }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SeriesId) -> &mut Series {
        match id {
            SeriesId::Own(place) => self.table.get_mut(place).unwrap_or(&mut self.other),
            SeriesId::Other => &mut self.other,
        }
    }

    /// A series, and the keys of its pair; that of all others has none.
    pub(super) fn with_keys(&mut self, id: SeriesId) -> (&mut Series, [Option<Key<'_>>; 2]) {
        let Self { table, names, other, .. } = self;
        if let SeriesId::Own(place) = id
            && let Some(series) = table.get_mut(place)
        {
            let [service, tenant] = &names[place.index()];
            let key = |hash, name| Some(Key { hash, name: NameRef::new(name).ok()? });
            let keys = [key(series.service, service.as_str()), key(series.tenant, tenant.as_str())];
            return (series, keys);
        }
        (other, [None, None])
    }

    /// Every series in the order of coming, as it stands in a window, and that of all others last if it has anything.
    pub(super) fn views(&self, window: u64) -> impl Iterator<Item = SeriesView<'_>> + '_ {
        self.each().map(move |(names, series)| {
            let mut now = *series;
            now.counts(window);
            let [service, tenant] = names;
            SeriesView {
                service,
                tenant,
                total: now.total(),
                current: now.current,
                last: now.last,
                tokens_used: now.extra.tokens,
                wait_time: Nanos(now.extra.wait),
                quota_events: now.extra.quota_events,
                quota_violations: now.extra.quota_violations,
            }
        })
    }

    /// Every series and its names, that of all others last if it has anything.
    pub(super) fn each(&self) -> impl Iterator<Item = ([Option<&str>; 2], &Series)> + '_ {
        let own = self.table.iter().map(|(place, series)| {
            let names = &self.names[place.index()];
            (names.each_ref().map(|name| Some(name.as_str()).filter(|name| !name.is_empty())), series)
        });
        let other = (self.overflowed > 0).then_some(([Some(OTHER); 2], &self.other));
        own.chain(other)
    }

    /// What the series owe to a ranking of services or tenants.
    pub(super) fn owed(&self, side: Side, by: TopBy) -> impl Iterator<Item = (KeyHash, &str, u64)> + '_ {
        let each = self.table.iter().map(move |(place, series)| {
            let [service, tenant] = &self.names[place.index()];
            let weight = series.owed.weight(by);
            match side {
                Side::Service => (series.service, service.as_str(), weight),
                Side::Tenant => (series.tenant, tenant.as_str(), weight),
            }
        });
        each.filter(|(_, name, weight)| *weight > 0 && !name.is_empty())
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) const fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
