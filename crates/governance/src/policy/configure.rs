//! What operators do to policies, one by one or all at once. Nothing here is on the way of a request.

use super::audit::{AuditEvent, AuditSubject};
use super::error::PolicyError;
use super::rule::{Action, DefaultEffect, PolicyName, PolicyRule};
use super::set::{RuleId, check_alone, check_room, each_misfit};
use super::{Generation, POLICIES_MAX, PolicyEngine, PolicyStats, PolicyTotals, Slot};
use crate::mode::Mode;
use crate::rate_limiter::LimitId;
use crate::text::Text;
use crate::time::Now;

/// Finds a limit by its name.
type KnownLimit<'a> = &'a dyn Fn(&str) -> Option<LimitId>;

impl PolicyEngine {
    /// Forgets everything: policies, counters and the audit log.
    pub fn reset(&mut self) {
        for slot in &mut self.slots {
            slot.set.clear();
            slot.table.build(&slot.set);
            slot.generation = Generation(0);
        }
        (self.present, self.has_previous, self.latest) = (0, 0, Generation(0));
        self.totals = PolicyTotals::default();
        self.log.clear();
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// [`PolicyError`]; nothing was changed.
    pub fn add_policy(
        &mut self,
        now: Now,
        rule: &PolicyRule,
        known_limit: KnownLimit<'_>,
    ) -> Result<RuleId, PolicyError> {
        let limit = check_alone(rule, known_limit)?;
        check_room(self.current().rules(), rule)?;
        self.change(now, AuditEvent::Added, &rule.name, |slot| {
            slot.set.insert(rule);
        });
        let id = self.find(rule.name.as_str()).ok_or(PolicyError::UnknownPolicy)?;
        self.link(id, limit);
        Ok(id)
    }

    /// Changes a policy. Its counters stay; its place may be another one afterwards. If it says the same, nothing is a
    /// change.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`], [`PolicyError::FixedName`], or as [`PolicyEngine::add_policy`]; nothing was
    /// changed.
    pub fn update_policy(
        &mut self,
        now: Now,
        id: RuleId,
        rule: &PolicyRule,
        known_limit: KnownLimit<'_>,
    ) -> Result<RuleId, PolicyError> {
        let known = self.get_policy(id).ok_or(PolicyError::UnknownPolicy)?;
        let (name, is_same) = (known.name, known == rule);
        if name != rule.name {
            return Err(PolicyError::FixedName);
        }
        let limit = check_alone(rule, known_limit)?;
        check_room(self.current().rules().iter().filter(|other| other.name != name), rule)?;
        if !is_same {
            self.change(now, AuditEvent::Updated, &name, |slot| {
                slot.set.remove(id);
                slot.set.insert(rule);
            });
        }
        let id = self.find(rule.name.as_str()).ok_or(PolicyError::UnknownPolicy)?;
        self.link(id, limit);
        Ok(id)
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`].
    pub fn remove_policy(&mut self, now: Now, id: RuleId) -> Result<(), PolicyError> {
        let name = self.get_policy(id).ok_or(PolicyError::UnknownPolicy)?.name;
        self.change(now, AuditEvent::Removed, &name, |slot| slot.set.remove(id));
        Ok(())
    }

    /// Has a policy looked at. One that is enabled already is left as it is, and nothing is a change.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`].
    pub fn enable_policy(&mut self, now: Now, id: RuleId) -> Result<(), PolicyError> {
        self.edit(now, id, AuditEvent::Enabled, |rule| rule.enabled = true)
    }

    /// Has a policy not looked at. One that is disabled already is left as it is, and nothing is a change.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`].
    pub fn disable_policy(&mut self, now: Now, id: RuleId) -> Result<(), PolicyError> {
        self.edit(now, id, AuditEvent::Disabled, |rule| rule.enabled = false)
    }

    /// Has a policy act, or only count. One that is in this mode already is left as it is, and nothing is a change.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`].
    pub fn set_mode(&mut self, now: Now, id: RuleId, mode: Mode) -> Result<(), PolicyError> {
        self.edit(now, id, AuditEvent::ModeChanged, |rule| rule.mode = mode)
    }

    /// Says what becomes of requests that no policy allows or denies.
    pub fn set_default(&mut self, now: Now, default: DefaultEffect) {
        if self.default_effect() != default {
            self.change(now, AuditEvent::DefaultChanged, &Text::EMPTY, |slot| slot.set.set_default(default));
        }
    }

    /// Puts these policies in place of those that are there. If they say the same, nothing is a change.
    ///
    /// # Errors
    /// The first fault that [`each_misfit`] finds; nothing was changed.
    pub fn configure(
        &mut self,
        now: Now,
        rules: &[PolicyRule],
        default: DefaultEffect,
        known_limit: KnownLimit<'_>,
    ) -> Result<(), PolicyError> {
        let mut fault = None;
        each_misfit(rules, known_limit, |_, error| {
            fault.get_or_insert(error);
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        let is_same = |rule: &PolicyRule| {
            self.find(rule.name.as_str())
                .and_then(|id| self.get_policy(id))
                .is_some_and(|known| known == rule)
        };
        let same = rules.len() == self.len() && default == self.default_effect() && rules.iter().all(is_same);
        if !same {
            self.change(now, AuditEvent::Replaced, &Text::EMPTY, |slot| {
                slot.set.clear();
                slot.set.set_default(default);
                for rule in rules {
                    slot.set.insert(rule);
                }
            });
        }
        self.resolve_limits(known_limit)
    }

    /// Takes over the policies of `other` as its first ones. Counters, the audit log and earlier policies are those of
    /// an engine that has just begun.
    pub fn configure_like(&mut self, other: &Self) {
        self.reset();
        let (slot, from) = (&mut self.slots[0], other.slot());
        slot.set.copy_from(&from.set);
        slot.table.build(&slot.set);
        slot.stats = [PolicyStats::ZERO; POLICIES_MAX];
        slot.limits = from.limits;
        (slot.generation, slot.content_hash) = (from.generation, from.content_hash);
        self.latest = from.generation;
    }

    /// Puts the policies before the last change back. Another rollback goes forward again.
    ///
    /// # Errors
    /// [`PolicyError::NothingToRollBack`], or [`PolicyError::UnknownLimit`] if one of them throttles by a limit that is
    /// not there any more; nothing was changed.
    pub fn rollback(&mut self, now: Now, known_limit: KnownLimit<'_>) -> Result<Generation, PolicyError> {
        let previous = self.previous().ok_or(PolicyError::NothingToRollBack)?;
        each_limit(previous.rules(), known_limit, |_, _| ())?;
        let (present, other) = split(&mut self.slots, self.present);
        carry_stats(present, other, false);
        self.present ^= 1;
        let slot = self.slot_mut();
        slot.content_hash = slot.set.content_hash();
        self.finish_change(now, AuditEvent::RolledBack, &Text::EMPTY);
        self.resolve_limits(known_limit)?;
        Ok(self.generation())
    }

    /// Finds the limits that policies throttle by once more, after limits were changed.
    ///
    /// # Errors
    /// [`PolicyError::UnknownLimit`] if there is no limit of such a name any more; nothing was changed.
    pub fn resolve_limits(&mut self, known_limit: KnownLimit<'_>) -> Result<(), PolicyError> {
        each_limit(self.current().rules(), known_limit, |_, _| ())?;
        let Slot { set, limits, .. } = self.slot_mut();
        each_limit(set.rules(), known_limit, |place, limit| limits[place] = limit.0)
    }

    /// Takes note of the limit that a policy throttles by.
    fn link(&mut self, id: RuleId, limit: Option<LimitId>) {
        if let Some(limit) = limit {
            self.slot_mut().limits[id.index()] = limit.0;
        }
    }

    /// Changes a policy's state where that makes a difference.
    fn edit(
        &mut self,
        now: Now,
        id: RuleId,
        event: AuditEvent,
        edit: impl Fn(&mut PolicyRule),
    ) -> Result<(), PolicyError> {
        let rule = self.get_policy(id).ok_or(PolicyError::UnknownPolicy)?;
        let mut edited = *rule;
        edit(&mut edited);
        if edited != *rule {
            self.change(now, event, &edited.name, |slot| {
                if let Some(rule) = slot.set.get_mut(id) {
                    edit(rule);
                }
            });
        }
        Ok(())
    }

    /// Makes a set beside the present one, and puts it in its place.
    fn change(&mut self, now: Now, event: AuditEvent, name: &PolicyName, edit: impl FnOnce(&mut Slot)) {
        let (present, other) = split(&mut self.slots, self.present);
        other.set.copy_from(&present.set);
        edit(other);
        other.table.build(&other.set);
        other.content_hash = other.set.content_hash();
        carry_stats(present, other, true);
        self.present ^= 1;
        self.finish_change(now, event, name);
    }

    fn finish_change(&mut self, now: Now, event: AuditEvent, name: &PolicyName) {
        self.has_previous = 1;
        self.latest.0 += 1;
        self.slot_mut().generation = self.latest;
        self.totals.changes += 1;
        self.log.write(now.wall, event, name, self.latest.0, &AuditSubject::default());
    }
}

/// The slot that decides, and the other one.
fn split(slots: &mut [Slot; 2], present: u8) -> (&Slot, &mut Slot) {
    let [first, second] = slots;
    if present & 1 == 0 { (first, second) } else { (second, first) }
}

/// Gives the policies of `other` the counters and limits of those of the same name in `present`. A policy that is not
/// there begins anew, or keeps its own.
fn carry_stats(present: &Slot, other: &mut Slot, anew: bool) {
    let Slot { set, stats, limits, .. } = other;
    for (place, rule) in set.rules().iter().enumerate() {
        match present.set.find(rule.name.as_str()) {
            Some(id) => {
                stats[place] = present.stats[id.index()];
                limits[place] = present.limits[id.index()];
            }
            None if anew => stats[place] = PolicyStats::ZERO,
            None => {}
        }
    }
}

/// Calls `each` with the place of every policy that throttles, and the limit.
fn each_limit(
    rules: &[PolicyRule],
    known_limit: KnownLimit<'_>,
    mut each: impl FnMut(usize, LimitId),
) -> Result<(), PolicyError> {
    for (place, rule) in rules.iter().enumerate() {
        if let Action::Throttle(name) = rule.action {
            each(place, known_limit(name.as_str()).ok_or(PolicyError::UnknownLimit { name })?);
        }
    }
    Ok(())
}
