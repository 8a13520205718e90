//! The quotas that are configured, how those that match a request are found without a search, and whether quotas go
//! together.

use super::counter::Counter;
use super::spec::{QuotaSpec, QuotaUnit};
use super::{QuotaError, QuotaId, QuotaStats};
use crate::mode::Mode;
use crate::scope::{HashSecret, KeyHash, Kind, Pattern};

/// How many quotas there can be.
pub const ALLOCATIONS_MAX: usize = 256;

/// How many levels of parents there can be, the lowest counted too.
pub const LEVELS_MAX: usize = 8;

const HEADS: usize = 2 * ALLOCATIONS_MAX;

/// A quota's number plus one; 0 stands for none.
pub(super) type Link = u16;

/// One configured quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) spec: QuotaSpec,
    /// The counter of an exact quota, or the overflow counter of a wildcard one.
    pub(super) own: Counter,
    pub(super) stats: QuotaStats,
    /// The hash of the scope's key; of an exact quota also what it is found by.
    pub(super) hash: KeyHash,
    /// The search that has found it last.
    pub(super) stamp: u64,
    /// Which of those that lay here it is, counted from 1.
    generation: u32,
    pub(super) parent: Link,
    /// The place in the file.
    pub(super) order: u16,
    /// The same for quotas that replace each other: those of one unit, window and mode.
    pub(super) class: u16,
    /// The next quota that is found in the same way.
    next: Link,
    live: bool,
}

impl Entry {
    /// Whether it gives each key a counter of its own.
    pub(super) fn is_wildcard(&self) -> bool {
        self.spec.scope.pattern == Pattern::Any
    }
}

/// A set of classes of quotas.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassSet([u64; ALLOCATIONS_MAX / 64]);

impl ClassSet {
    pub(super) fn insert(&mut self, class: u16) {
        self.0[usize::from(class / 64)] |= 1 << (class % 64);
    }

    pub(super) fn contains(&self, class: u16) -> bool {
        self.0[usize::from(class / 64)] & 1 << (class % 64) != 0
    }
}

/// All configured quotas. All-zero when empty.
#[derive(Debug)]
pub(super) struct Registry {
    entries: [Entry; ALLOCATIONS_MAX],
    /// The quotas in the order of the file.
    order: [u16; ALLOCATIONS_MAX],
    length: usize,
    /// By kind: the first quota with a wildcard scope.
    wildcards: [Link; Kind::COUNT],
    /// By hash of the key: the first quota with an exact scope.
    exact: [Link; HEADS],
    /// The kinds that requests are matched by, in their order.
    kinds: [Kind; Kind::COUNT],
    kinds_length: usize,
}

impl Registry {
    pub(super) const fn new() -> Self {
        const EMPTY: Entry = Entry {
            spec: QuotaSpec::EMPTY,
            own: Counter::FRESH,
            stats: QuotaStats::ZERO,
            hash: KeyHash(0),
            stamp: 0,
            generation: 0,
            parent: 0,
            order: 0,
            class: 0,
            next: 0,
            live: false,
        };
        Self {
            entries: [EMPTY; ALLOCATIONS_MAX],
            order: [0; ALLOCATIONS_MAX],
            length: 0,
            wildcards: [0; Kind::COUNT],
            exact: [0; HEADS],
            kinds: [Kind::Service; Kind::COUNT],
            kinds_length: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// The numbers of the quotas, in the order of the file.
    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        self.order[..self.length].iter().copied()
    }

    /// The quota's handle.
    pub(super) fn id(&self, number: u16) -> QuotaId {
        QuotaId { number, generation: self.entry(number).generation }
    }

    /// The number of a quota, if it is still the same.
    pub(super) fn number(&self, id: QuotaId) -> Result<u16, QuotaError> {
        let entry = self.entries.get(usize::from(id.number));
        match entry.filter(|entry| entry.live && entry.generation == id.generation) {
            Some(_) => Ok(id.number),
            None => Err(QuotaError::UnknownQuota),
        }
    }

    pub(super) fn entry(&self, number: u16) -> &Entry {
        &self.entries[usize::from(number)]
    }

    pub(super) fn entry_mut(&mut self, number: u16) -> &mut Entry {
        &mut self.entries[usize::from(number)]
    }

    pub(super) fn is_live(&self, number: u16) -> bool {
        self.entry(number).live
    }

    pub(super) fn find(&self, name: &str) -> Option<u16> {
        self.numbers().find(|&number| self.entry(number).spec.name.as_str() == name)
    }

    /// Whether a quota is the parent of another one.
    pub(super) fn is_parent(&self, number: u16) -> bool {
        self.numbers().any(|other| self.entry(other).parent == number + 1)
    }

    /// The specs in their order, with `changed` in the place of the quota that has its name, or behind them.
    pub(super) fn specs_with<'a>(
        &'a self,
        changed: &'a QuotaSpec,
    ) -> impl Iterator<Item = &'a QuotaSpec> + Clone + 'a {
        let others = self.order[..self.length].iter().map(|&number| &self.entry(number).spec);
        others.filter(|spec| spec.name != changed.name).chain(core::iter::once(changed))
    }

    /// Puts a quota that fits into a free place. It is found only once the order is set.
    pub(super) fn occupy(&mut self, spec: &QuotaSpec, secret: &HashSecret) -> Option<u16> {
        let place = self.entries.iter().position(|entry| !entry.live)?;
        let number = u16::try_from(place).ok()?;
        let hash = spec.scope.key().map_or(KeyHash(0), |key| secret.hash(spec.scope.kind, key));
        let entry = &mut self.entries[place];
        (entry.spec, entry.hash) = (*spec, hash);
        (entry.own, entry.stats, entry.stamp) = (Counter::FRESH, QuotaStats::ZERO, 0);
        entry.generation = entry.generation.wrapping_add(1).max(1);
        entry.live = true;
        Some(number)
    }

    /// Takes a quota out of its place. The order is to be set afterwards.
    pub(super) fn vacate(&mut self, number: u16) {
        self.entry_mut(number).live = false;
    }

    /// Adds a quota that fits at the end of the order.
    pub(super) fn add(&mut self, spec: &QuotaSpec, secret: &HashSecret) -> Option<u16> {
        let number = self.occupy(spec, secret)?;
        self.order[self.length] = number;
        self.length += 1;
        self.index();
        Some(number)
    }

    /// Removes a quota.
    pub(super) fn remove(&mut self, number: u16) {
        let place = usize::from(self.entry(number).order);
        self.vacate(number);
        self.order[place..self.length].rotate_left(1);
        self.length -= 1;
        self.index();
    }

    /// Sets the order: every quota that is there, once.
    pub(super) fn set_order(&mut self, numbers: impl Iterator<Item = u16>) {
        self.length = 0;
        for (place, number) in self.order.iter_mut().zip(numbers) {
            *place = number;
            self.length += 1;
        }
        self.index();
    }

    /// Removes all quotas, in place. Their handles are not used again.
    pub(super) fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.live = false;
        }
        self.length = 0;
        self.index();
    }

    /// The kinds that requests are matched by.
    #[inline]
    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds[..self.kinds_length]
    }

    /// The first of the quotas whose exact scope may be the key with this hash.
    pub(super) fn first_exact(&self, hash: KeyHash) -> Link {
        self.exact[Self::head(hash)]
    }

    /// The first quota with the wildcard scope of a kind.
    pub(super) const fn first_wildcard(&self, kind: Kind) -> Link {
        self.wildcards[kind.index()]
    }

    /// The quota that `link` leads to, and the link to the next one.
    #[inline]
    pub(super) fn follow(&self, link: Link) -> Option<(u16, &Entry, Link)> {
        let number = link.checked_sub(1)?;
        let entry = self.entry(number);
        Some((number, entry, entry.next))
    }

    /// Links every quota to its parent and to the place where requests find it. Only changes of configuration do this.
    pub(super) fn index(&mut self) {
        self.wildcards.fill(0);
        self.exact.fill(0);
        let mut is_on = [false; Kind::COUNT];
        // Backwards, because each quota is put in front of those linked before it.
        for order in (0..self.length).rev() {
            let number = self.order[order];
            let QuotaSpec { scope, unit, schedule, mode, parent, .. } = self.entry(number).spec;
            let parent = parent.and_then(|name| self.find(name.as_str()));
            let class = self.numbers().position(|other| {
                let spec = &self.entry(other).spec;
                (spec.unit, spec.schedule.cycle, spec.mode) == (unit, schedule.cycle, mode)
            });
            let entry = &mut self.entries[usize::from(number)];
            entry.parent = parent.map_or(0, |parent| parent + 1);
            entry.order = u16::try_from(order).unwrap_or(u16::MAX);
            entry.class = class.and_then(|class| u16::try_from(class).ok()).unwrap_or(0);
            // What only its callers charge is not looked for.
            if unit == QuotaUnit::Custom {
                continue;
            }
            is_on[scope.kind.index()] = true;
            let head = match scope.pattern {
                Pattern::Any => &mut self.wildcards[scope.kind.index()],
                Pattern::Exact(_) => &mut self.exact[Self::head(entry.hash)],
            };
            entry.next = core::mem::replace(head, number + 1);
        }
        self.kinds_length = 0;
        for kind in Kind::ALL.into_iter().filter(|kind| is_on[kind.index()]) {
            self.kinds[self.kinds_length] = kind;
            self.kinds_length += 1;
        }
    }

    fn head(hash: KeyHash) -> usize {
        usize::try_from((u128::from(hash.0) * (HEADS as u128)) >> 64).unwrap_or(0)
    }
}

/// Calls `each` with the place of every quota that does not go with the others, and why: each quota's first fault. A
/// parent may stand behind its children.
pub fn each_misfit(specs: &[QuotaSpec], mut each: impl FnMut(usize, QuotaError)) {
    for (place, spec) in specs.iter().enumerate() {
        let doubled = specs[..place].iter().any(|before| before.name == spec.name);
        let fits = if place >= ALLOCATIONS_MAX {
            Err(QuotaError::Full)
        } else if doubled {
            Err(QuotaError::DuplicateName)
        } else {
            check_among(spec, specs.iter())
        };
        if let Err(error) = fits {
            each(place, error);
        }
    }
}

/// Whether one of several quotas, with different names, is in range and goes with its ancestors.
pub(super) fn check_among<'a>(
    spec: &QuotaSpec,
    specs: impl Iterator<Item = &'a QuotaSpec> + Clone,
) -> Result<(), QuotaError> {
    spec.check().map_err(QuotaError::OutOfRange)?;
    let parent_of = |child: &QuotaSpec| {
        let name = child.parent?;
        specs.clone().find(|other| other.name == name)
    };
    let Some(name) = spec.parent else { return Ok(()) };
    let parent = parent_of(spec).ok_or(QuotaError::UnknownParent)?;
    if parent.name == spec.name {
        return Err(QuotaError::Cycle);
    }
    debug_assert_eq!(parent.name, name);
    if parent.mode == Mode::Shadow {
        return Err(QuotaError::ShadowParent);
    }
    if parent.unit != spec.unit {
        return Err(QuotaError::ParentUnit);
    }
    if parent.limit < spec.limit {
        return Err(QuotaError::AboveParent);
    }
    let (mut levels, mut next) = (2, parent_of(parent));
    while let Some(ancestor) = next {
        if ancestor.name == spec.name {
            return Err(QuotaError::Cycle);
        }
        levels += 1;
        // A cycle further up is told of the quotas in it.
        if levels > LEVELS_MAX {
            return Err(QuotaError::TooManyLevels);
        }
        next = parent_of(ancestor);
    }
    Ok(())
}
