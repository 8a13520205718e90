//! What operators do to quotas, one by one or all at once. Nothing here is on the way of a request.

use super::counter::Counter;
use super::registry::{ALLOCATIONS_MAX, check_among, each_misfit};
use super::spec::{EnforcementMode, QuotaSpec};
use super::{QuotaError, QuotaId, QuotaManager};
use crate::time::{Now, WallTime};

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Adds a quota. Its parent has to be there.
    ///
    /// # Errors
    /// [`QuotaError::DuplicateName`], [`QuotaError::Full`], [`QuotaError::OutOfRange`], or what is wrong with its
    /// parent.
    pub fn allocate_quota(&mut self, spec: &QuotaSpec) -> Result<QuotaId, QuotaError> {
        spec.check().map_err(QuotaError::OutOfRange)?;
        if self.registry.find(spec.name.as_str()).is_some() {
            return Err(QuotaError::DuplicateName);
        }
        if self.registry.len() == ALLOCATIONS_MAX {
            return Err(QuotaError::Full);
        }
        check_among(spec, self.registry.specs_with(spec))?;
        self.forget_matches();
        let number = self.registry.add(spec, &self.secret).ok_or(QuotaError::Full)?;
        Ok(self.registry.id(number))
    }

    /// Removes a quota and its counters.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`], or [`QuotaError::InUse`] while it is a parent or requests hold of it.
    pub fn remove_quota(&mut self, id: QuotaId) -> Result<(), QuotaError> {
        let number = self.registry.number(id)?;
        if self.has_holds(number) || self.registry.is_parent(number) {
            return Err(QuotaError::InUse);
        }
        self.forget_matches();
        self.forget_keys(|keyed| keyed == number);
        self.registry.remove(number);
        Ok(())
    }

    /// Changes a quota while it works. What is used and reserved stays so, and so does what was carried over to the
    /// present period, up to the rollover's share of the limit as it is now. If its periods change, all of that stands in
    /// the period of the new schedule: a change is no refill. Alerts that are not reached any more end, and those that
    /// are now are raised.
    ///
    /// # Errors
    /// [`QuotaError::FixedField`] if name, scope or unit differ, [`QuotaError::OutOfRange`],
    /// [`QuotaError::UnknownQuota`], or what is wrong with its parent or its children.
    pub fn update(&mut self, now: Now, id: QuotaId, spec: &QuotaSpec) -> Result<(), QuotaError> {
        let now = self.monotonic(now).wall;
        let number = self.registry.number(id)?;
        let old = &self.registry.entry(number).spec;
        spec.check().map_err(QuotaError::OutOfRange)?;
        if (old.name, old.scope, old.unit) != (spec.name, spec.scope, spec.unit) {
            return Err(QuotaError::FixedField);
        }
        self.check_change(spec)?;
        self.forget_matches();
        self.change(now, number, spec);
        self.registry.index();
        Ok(())
    }

    /// Changes the limit of a quota while it works, as [`QuotaManager::update`] does.
    ///
    /// # Errors
    /// As [`QuotaManager::update`].
    pub fn update_limit(&mut self, now: Now, id: QuotaId, limit: u64) -> Result<(), QuotaError> {
        let spec = self.registry.entry(self.registry.number(id)?).spec;
        self.update(now, id, &QuotaSpec { limit, ..spec })
    }

    /// Makes a quota refuse what does not fit, or only count it.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`].
    pub fn set_enforcement_mode(
        &mut self,
        id: QuotaId,
        enforcement: EnforcementMode,
    ) -> Result<(), QuotaError> {
        let number = self.registry.number(id)?;
        self.forget_matches();
        self.registry.entry_mut(number).spec.enforcement = enforcement;
        Ok(())
    }

    /// Makes the quotas exactly those of `specs`, in that order. A quota that keeps its name, scope, unit and schedule
    /// keeps its counters; where it differs otherwise, it is changed as by [`QuotaManager::update`]. Holds of others are
    /// stale.
    ///
    /// # Errors
    /// The first of [`each_misfit`], and nothing is changed.
    pub fn configure(&mut self, now: Now, specs: &[QuotaSpec]) -> Result<(), QuotaError> {
        let mut first = None;
        each_misfit(specs, |_, error| {
            first.get_or_insert(error);
        });
        if let Some(error) = first {
            return Err(error);
        }
        let now = self.monotonic(now).wall;
        self.forget_matches();
        let (mut numbers, kept) = self.kept(specs);
        for number in (0..).zip(kept).filter_map(|(number, kept)| (!kept).then_some(number)) {
            if self.registry.is_live(number) {
                self.registry.vacate(number);
            }
        }
        self.forget_keys(|number| !kept[usize::from(number)]);
        for (number, spec) in numbers.iter_mut().zip(specs) {
            match *number {
                Some(number) => self.change(now, number, spec),
                None => *number = self.registry.occupy(spec, &self.secret),
            }
        }
        self.registry.set_order(numbers.into_iter().flatten());
        Ok(())
    }

    /// Takes the quotas of `other` beside those that are there, in its order.
    ///
    /// # Errors
    /// The first that does not go with those that are there.
    pub(crate) fn configure_like<const OTHER: usize>(
        &mut self,
        other: &QuotaManager<OTHER>,
    ) -> Result<(), QuotaError> {
        // A parent may stand behind its children.
        for (_, spec) in other.allocations() {
            let alone = QuotaSpec { parent: None, ..*spec };
            self.allocate_quota(&alone)?;
        }
        for (_, spec) in other.allocations() {
            let id = self.find(spec.name.as_str()).ok_or(QuotaError::UnknownQuota)?;
            self.update(Now::default(), id, spec)?;
        }
        Ok(())
    }

    /// Whether requests hold of a quota.
    fn has_holds(&self, number: u16) -> bool {
        let mut keyed = self.keys.iter().filter(|(_, keyed)| keyed.quota == number);
        self.registry.entry(number).own.holds > 0 || keyed.any(|(_, keyed)| keyed.counter.holds > 0)
    }

    /// Whether all quotas go together when the one of that name is as `spec` says: its descendants too.
    fn check_change(&self, spec: &QuotaSpec) -> Result<(), QuotaError> {
        let specs = self.registry.specs_with(spec);
        let mut children = specs.clone().filter(|other| other.parent.is_some());
        children.try_for_each(|child| check_among(child, specs.clone()))
    }

    /// For each spec the quota that it keeps, and by number the quotas that are kept.
    fn kept(&self, specs: &[QuotaSpec]) -> ([Option<u16>; ALLOCATIONS_MAX], [bool; ALLOCATIONS_MAX]) {
        let (mut numbers, mut kept) = ([None; ALLOCATIONS_MAX], [false; ALLOCATIONS_MAX]);
        for number in self.registry.numbers() {
            let old = &self.registry.entry(number).spec;
            let keeps = |spec: &QuotaSpec| {
                (spec.name, spec.scope, spec.unit, spec.schedule)
                    == (old.name, old.scope, old.unit, old.schedule)
            };
            if let Some(place) = specs.iter().position(keeps) {
                (numbers[place], kept[usize::from(number)]) = (Some(number), true);
            }
        }
        (numbers, kept)
    }

    /// Forgets the keys of the quotas for which `is_gone` says yes.
    fn forget_keys(&mut self, is_gone: impl Fn(u16) -> bool) {
        for index in 0..ACTIVE {
            if let Some(place) = self.keys.place(index)
                && self.keys.get(place).is_some_and(|keyed| is_gone(keyed.quota))
            {
                self.forget_key(place);
            }
        }
    }

    /// Changes a quota to a spec that fits in its place.
    fn change(&mut self, now: WallTime, number: u16, spec: &QuotaSpec) {
        let old = self.registry.entry(number).spec;
        if old == *spec {
            return;
        }
        let has_moved = old.schedule != spec.schedule;
        self.each_counter(number, |manager, matched| {
            let (spec_of_before, counter) = manager.owned(matched);
            counter.roll(spec_of_before, now);
        });
        self.registry.entry_mut(number).spec = *spec;
        self.each_counter(number, |manager, matched| {
            let (spec, counter) = manager.owned(matched);
            if has_moved {
                counter.reschedule(spec, now);
            }
            counter.adapt(spec);
            let raised = counter.raise(spec);
            manager.give_notice(now, matched, raised);
        });
    }
}

impl Counter {
    /// Lets go of what does not go with a changed quota.
    fn adapt(&mut self, spec: &QuotaSpec) {
        // A smaller limit has a smaller share to carry over; a larger one brings nothing back.
        self.carry = self.carry.min(spec.rollover_max());
        self.unlatch(spec);
    }
}
