//! The limits that are configured, and how those that match a request are found without a search.

use super::bucket::Bucket;
use super::{LimitError, LimitId, LimitStats};
use crate::limit::{LimitSpec, LimitState, Per};
use crate::mode::Mode;
use crate::request::Unit;
use crate::scope::{HashSecret, KeyHash, Kind, Pattern};

/// How many limits there can be on services.
pub const SERVICE_LIMITS_MAX: usize = 256;
/// How many limits there can be on users.
pub const USER_LIMITS_MAX: usize = 512;
/// How many limits there can be on the other kinds together.
pub const OTHER_LIMITS_MAX: usize = 256;
/// How many limits there can be.
pub const LIMITS_MAX: usize = SERVICE_LIMITS_MAX + USER_LIMITS_MAX + OTHER_LIMITS_MAX;

const HEADS: usize = 2 * LIMITS_MAX;

/// A class of limits that share a capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitClass {
    /// Limits on services.
    Service,
    /// Limits on users.
    User,
    /// Limits on any other kind.
    Other,
}

impl LimitClass {
    /// The class that limits on `kind` belong to.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Service => Self::Service,
            Kind::User => Self::User,
            _ => Self::Other,
        }
    }

    /// How many limits of the class there can be.
    #[must_use]
    pub const fn capacity(self) -> usize {
        match self {
            Self::Service => SERVICE_LIMITS_MAX,
            Self::User => USER_LIMITS_MAX,
            Self::Other => OTHER_LIMITS_MAX,
        }
    }

    /// The class in words, for messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Other => "other",
        }
    }
}

/// A set of units.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnitSet(u8);

impl UnitSet {
    pub(crate) const fn insert(&mut self, unit: Unit) {
        self.0 |= 1 << unit as u8;
    }

    pub(crate) const fn contains(self, unit: Unit) -> bool {
        self.0 & 1 << unit as u8 != 0
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default)]
struct KindSet(u16);

impl KindSet {
    const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind.index();
    }

    const fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind.index() != 0
    }
}

/// One configured limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: LimitSpec,
    /// The bucket of a limit that has one, or the overflow bucket of one that has keys.
    pub(crate) bucket: Bucket,
    /// The hash of the scope's key; of an exact limit also what it is found by.
    pub(crate) hash: KeyHash,
    /// One more than the place of the bucket's grant of extra capacity; 0 if it has none.
    pub(crate) grant: u16,
    pub(crate) stats: LimitStats,
    /// The place in the file.
    pub(crate) order: u16,
    /// Whether notice was given that little is left of the bucket, and not much has been left since.
    pub(crate) is_near: bool,
    /// Which of all limits it is: a place in the registry is used again.
    pub(crate) born: u32,
    /// When its buckets last began anew: what was charged before cannot be settled with them.
    pub(crate) shaped: u32,
    /// The next limit that is found in the same way, plus one.
    next: u16,
    live: bool,
}

impl Entry {
    /// Whether requests look at it.
    pub(crate) fn is_enabled(&self) -> bool {
        self.spec.state == LimitState::Enabled
    }

    /// Whether it can refuse requests.
    pub(crate) fn is_in_force(&self) -> bool {
        self.is_enabled() && self.spec.mode == Mode::Enforce
    }

    /// Whether it counts what it would refuse.
    pub(crate) fn is_shadow(&self) -> bool {
        self.is_enabled() && self.spec.mode == Mode::Shadow
    }

    /// Whether each name of its kind meets it.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.spec.scope.pattern == Pattern::Any
    }

    /// Whether each client has a bucket of its own.
    #[inline]
    pub(crate) fn is_per_client(&self) -> bool {
        self.spec.per == Per::Client
    }

    /// Whether its buckets are in the table of keys, and its own one is for those that have no place there.
    pub(crate) fn is_keyed(&self) -> bool {
        self.is_wildcard() || self.is_per_client()
    }
}

/// All configured limits. All-zero when empty.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: [Entry; LIMITS_MAX],
    /// The limits in the order of the file.
    order: [u16; LIMITS_MAX],
    length: usize,
    /// By kind: the first limit with a wildcard scope, plus one.
    wildcards: [u16; Kind::COUNT],
    /// By hash of the key: the first limit with an exact scope, plus one.
    exact: [u16; HEADS],
    /// The kinds that any limit is on, in their order.
    kinds: [Kind; Kind::COUNT],
    kinds_length: usize,
    /// The kinds that an exact limit is on.
    exact_kinds: KindSet,
    /// Whether any limit is in shadow mode.
    shadows: bool,
    /// Whether any limit counts what is in flight.
    in_flight: bool,
    /// The last number that [`Entry::born`] or [`Entry::shaped`] was given; it goes on when the registry is cleared.
    epoch: u32,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        const EMPTY: Entry = Entry {
            spec: LimitSpec::EMPTY,
            bucket: Bucket::Untouched,
            hash: KeyHash(0),
            grant: 0,
            stats: LimitStats::ZERO,
            order: 0,
            is_near: false,
            born: 0,
            shaped: 0,
            next: 0,
            live: false,
        };
        Self {
            entries: [EMPTY; LIMITS_MAX],
            order: [0; LIMITS_MAX],
            length: 0,
            wildcards: [0; Kind::COUNT],
            exact: [0; HEADS],
            kinds: [Kind::Service; Kind::COUNT],
            kinds_length: 0,
            exact_kinds: KindSet(0),
            shadows: false,
            in_flight: false,
            epoch: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The limits in the order of the file.
    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = LimitId> + '_ {
        self.order[..self.length].iter().map(|&index| LimitId(index))
    }

    pub(crate) fn get(&self, id: LimitId) -> Option<&Entry> {
        self.entries.get(id.index()).filter(|entry| entry.live)
    }

    pub(crate) fn get_mut(&mut self, id: LimitId) -> Option<&mut Entry> {
        self.entries.get_mut(id.index()).filter(|entry| entry.live)
    }

    /// The entry of a limit that is known to be there.
    pub(crate) fn entry(&self, id: LimitId) -> &Entry {
        &self.entries[id.index()]
    }

    pub(crate) fn entry_mut(&mut self, id: LimitId) -> &mut Entry {
        &mut self.entries[id.index()]
    }

    pub(crate) fn find(&self, name: &str) -> Option<LimitId> {
        self.ids().find(|&id| self.entry(id).spec.name.as_str() == name)
    }

    /// Adds a limit at the end of the order.
    pub(crate) fn add(&mut self, spec: &LimitSpec, secret: &HashSecret) -> Result<LimitId, LimitError> {
        check_fit(spec, self.ids().map(|id| &self.entry(id).spec))?;
        // The classes together are as large as the registry, so that there is a place.
        let full = LimitError::Full { class: LimitClass::of(spec.scope.kind) };
        let id = self.occupy(0, spec, secret).ok_or(full)?;
        *self.order.get_mut(self.length).ok_or(full)? = id.0;
        self.length += 1;
        self.index();
        Ok(id)
    }

    /// Removes a limit, and gives back its entry for the caller to release what it held.
    pub(crate) fn remove(&mut self, id: LimitId) -> Option<Entry> {
        let removed = self.vacate(id.index())?;
        let place = usize::from(removed.order);
        self.order[place..self.length].rotate_left(1);
        self.length -= 1;
        self.index();
        Some(removed)
    }

    /// Puts a limit that fits into the first free place that is not before `from`. It is found only once the order is
    /// set.
    pub(crate) fn occupy(&mut self, from: usize, spec: &LimitSpec, secret: &HashSecret) -> Option<LimitId> {
        let place = (from..LIMITS_MAX).find(|&place| !self.entries[place].live)?;
        let index = u16::try_from(place).ok()?;
        let hash = spec.scope.key().map_or(KeyHash(0), |key| secret.hash(spec.scope.kind, key));
        let epoch = self.next_epoch();
        self.entries[place] = Entry {
            spec: *spec,
            bucket: Bucket::Untouched,
            hash,
            grant: 0,
            stats: LimitStats::ZERO,
            order: 0,
            is_near: false,
            born: epoch,
            shaped: epoch,
            next: 0,
            live: true,
        };
        Some(LimitId(index))
    }

    /// Takes the limit out of a place, if there is one. The order is to be set afterwards.
    pub(crate) fn vacate(&mut self, place: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(place).filter(|entry| entry.live)?;
        entry.live = false;
        Some(*entry)
    }

    /// Sets the order: every limit that is there, once.
    pub(crate) fn set_order(&mut self, ids: impl Iterator<Item = LimitId>) {
        self.length = 0;
        for (place, id) in self.order.iter_mut().zip(ids) {
            *place = id.0;
            self.length += 1;
        }
        self.index();
    }

    /// Removes all limits, in place.
    pub(crate) fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.live = false;
        }
        self.length = 0;
        self.index();
    }

    /// Counts nothing and holds nothing any more, with the same limits.
    pub(crate) fn forget_use(&mut self) {
        for entry in &mut self.entries {
            (entry.bucket, entry.grant, entry.stats) = (Bucket::Untouched, 0, LimitStats::ZERO);
            entry.is_near = false;
        }
    }

    /// Outdates what was charged to a limit and is not settled yet.
    pub(crate) fn outdate_holds(&mut self, id: LimitId) {
        self.entry_mut(id).shaped = self.next_epoch();
    }

    /// A number that was not given before, but for one four thousand million changes ago. Never 0.
    fn next_epoch(&mut self) -> u32 {
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.epoch
    }

    /// Whether any limit is in shadow mode.
    #[inline]
    pub(crate) const fn has_shadows(&self) -> bool {
        self.shadows
    }

    /// Whether any limit counts what is in flight.
    #[inline]
    pub(crate) const fn has_in_flight(&self) -> bool {
        self.in_flight
    }

    /// The kinds that limits are on.
    #[inline]
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds[..self.kinds_length]
    }

    /// The first limit, plus one, of those whose exact scope may be the key with this hash.
    pub(crate) fn first_exact(&self, kind: Kind, hash: KeyHash) -> u16 {
        if self.exact_kinds.contains(kind) { self.exact[Self::head(hash)] } else { 0 }
    }

    /// The first limit, plus one, with the wildcard scope of a kind.
    pub(crate) const fn first_wildcard(&self, kind: Kind) -> u16 {
        self.wildcards[kind.index()]
    }

    /// The limit that `link` leads to, and the link to the next one.
    #[inline]
    pub(crate) fn follow(&self, link: u16) -> Option<(LimitId, &Entry, u16)> {
        let index = link.checked_sub(1)?;
        let entry = &self.entries[usize::from(index)];
        Some((LimitId(index), entry, entry.next))
    }

    /// Links every limit to the place where requests find it. Only changes of configuration do this.
    pub(crate) fn index(&mut self) {
        self.wildcards.fill(0);
        self.exact.fill(0);
        self.exact_kinds = KindSet::default();
        (self.shadows, self.in_flight) = (false, false);
        let mut kinds = KindSet::default();
        // Backwards, because each limit is put in front of those linked before it.
        for order in (0..self.length).rev() {
            let index = self.order[order];
            let entry = &mut self.entries[usize::from(index)];
            let kind = entry.spec.scope.kind;
            entry.order = u16::try_from(order).unwrap_or(u16::MAX);
            kinds.insert(kind);
            self.shadows |= entry.spec.mode == Mode::Shadow;
            self.in_flight |= entry.spec.algorithm.concurrency().is_some();
            let head = match entry.spec.scope.pattern {
                Pattern::Any => &mut self.wildcards[kind.index()],
                Pattern::Exact(_) => {
                    self.exact_kinds.insert(kind);
                    &mut self.exact[Self::head(entry.hash)]
                }
            };
            entry.next = core::mem::replace(head, index + 1);
        }
        self.kinds_length = 0;
        for kind in Kind::ALL.into_iter().filter(|&kind| kinds.contains(kind)) {
            self.kinds[self.kinds_length] = kind;
            self.kinds_length += 1;
        }
    }

    fn head(hash: KeyHash) -> usize {
        usize::try_from((u128::from(hash.0) * (HEADS as u128)) >> 64).unwrap_or(0)
    }
}

/// Whether a limit goes with others: its values are in range, its name is its own, its class has room.
///
/// # Errors
/// [`LimitError::OutOfRange`], [`LimitError::DuplicateName`] or [`LimitError::Full`].
pub(crate) fn check_fit<'a>(
    spec: &LimitSpec,
    others: impl Iterator<Item = &'a LimitSpec>,
) -> Result<(), LimitError> {
    spec.check().map_err(LimitError::OutOfRange)?;
    let class = LimitClass::of(spec.scope.kind);
    let mut of_class = 0;
    for other in others {
        if other.name == spec.name {
            return Err(LimitError::DuplicateName);
        }
        of_class += usize::from(LimitClass::of(other.scope.kind) == class);
    }
    if of_class < class.capacity() { Ok(()) } else { Err(LimitError::Full { class }) }
}
