//! Breakers, retry policies and the guard's settings: what operators configure.

use super::rules::Rule;
use super::{IDLE_LOOKS, OutboundScope, RULES_MAX, SCOPE_IDLE, SCOPES_MAX, TrafficController};
use crate::breaker::{BreakerMode, BreakerOverride, BreakerSpec, BreakerState};
use crate::chained_table::Place;
use crate::field::SpecError;
use crate::loop_guard::GuardSettings;
use crate::mode::Mode;
use crate::retry::{RetryBudget, RetrySpec};
use crate::scope::{KeyName, Kind, Name, NameRef, Pattern};
use crate::time::Instant;
use core::fmt;

/// Why a breaker or a retry policy cannot be configured. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficError {
    /// There is one for this scope already.
    Duplicate,
    /// There are as many as there can be.
    Full,
    /// Breakers and retry policies name more scopes than there can be.
    ScopesFull,
    /// The loop guard cannot be set like this.
    Guard(SpecError),
}

impl fmt::Display for TrafficError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate => f.write_str("its scope has one already"),
            Self::Full => write!(f, "there can be at most {RULES_MAX}"),
            Self::Guard(error) => error.fmt(f),
            Self::ScopesFull => {
                write!(
                    f,
                    "breakers and retry policies can name at most {SCOPES_MAX} scopes; route:* is for all others"
                )
            }
        }
    }
}

impl core::error::Error for TrafficError {}

/// Whether a rule can be added to those there are.
pub(crate) fn check_rule<T: Rule>(rules: &[T], rule: &T) -> Result<(), TrafficError> {
    if rules.iter().any(|other| other.scope() == rule.scope()) {
        return Err(TrafficError::Duplicate);
    }
    if rules.len() == RULES_MAX { Err(TrafficError::Full) } else { Ok(()) }
}

/// Whether there is a place for every scope that is named.
pub(crate) fn check_rules(breakers: &[BreakerSpec], retries: &[RetrySpec]) -> Result<(), TrafficError> {
    if named(breakers, retries).count() > SCOPES_MAX { Err(TrafficError::ScopesFull) } else { Ok(()) }
}

/// The name of the scope that a rule is for alone.
fn exact<T: Rule>(rule: &T) -> Option<&Name> {
    match &rule.scope().pattern {
        Pattern::Exact(name) => Some(name),
        Pattern::Any => None,
    }
}

impl TrafficController {
    /// Puts the guard's settings, breakers and retry policies in force. A breaker whose terms are the same goes on as it
    /// stands; another begins anew. Scopes that were made on demand stay if there is still a template for them, and room.
    ///
    /// # Errors
    /// [`TrafficError`]; nothing was changed.
    pub(crate) fn configure(
        &mut self,
        guard: &GuardSettings,
        breakers: &[BreakerSpec],
        retries: &[RetrySpec],
    ) -> Result<(), TrafficError> {
        check_rules(breakers, retries)?;
        self.guard.configure(*guard).map_err(TrafficError::Guard)?;
        self.each_scope(|this, scope| {
            let name = scope.name.as_str();
            if this.breakers.get(scope.breaker_rule).map(terms) != find(breakers, name).map(terms) {
                // What an operator holds stays held.
                scope.breaker.restart();
            }
            let budget = |rule: Option<&RetrySpec>| rule.map(|rule| rule.budget_milli);
            if budget(this.retries.get(scope.retry_rule)) != budget(find(retries, name)) {
                scope.budget = RetryBudget::EMPTY;
            }
        });
        self.breakers.copy_from(breakers);
        self.retries.copy_from(retries);
        self.each_scope(|this, scope| {
            scope.breaker_rule = this.breakers.number_for(scope.name.as_str());
            scope.retry_rule = this.retries.number_for(scope.name.as_str());
            scope.is_named = named(breakers, retries).any(|name| *name == scope.name);
        });
        let missing = named(breakers, retries).filter(|name| self.find(name.as_str()).is_none()).count();
        self.make_room_for(missing);
        for name in named(breakers, retries) {
            if self.find(name.as_str()).is_none()
                && let Some(place) = self.create(name.as_str())
                && let Some(scope) = self.scopes.get_mut(place)
            {
                scope.is_named = true;
            }
        }
        Ok(())
    }

    /// Lets go of the scopes that nothing is for any more, and of as many of those that were made on demand as the named
    /// ones need.
    fn make_room_for(&mut self, missing: usize) {
        for index in (0..SCOPES_MAX).rev() {
            let Some(place) = self.scopes.place(index) else { continue };
            let Some(scope) = self.scopes.get(place) else { continue };
            let is_over = scope.breaker_rule == 0 && scope.retry_rule == 0;
            let is_in_the_way = self.scopes.len() + missing > SCOPES_MAX && !scope.is_named;
            if is_over || is_in_the_way {
                self.scopes.remove(place);
            }
        }
    }

    /// Takes the configuration of another controller, without its scopes' state. Its breakers and its guard only look on:
    /// what a log tells has happened, and cannot be refused.
    ///
    /// # Errors
    /// None, since what `other` holds fits.
    pub(crate) fn configure_to_look_on(&mut self, other: &Self) -> Result<(), TrafficError> {
        let guard = match other.guard.settings() {
            // An idle guard has no times, which one that looks on would need.
            _ if other.guard.is_idle() => GuardSettings::IDLE,
            settings => GuardSettings { mode: Mode::Shadow, ..*settings },
        };
        self.configure(&guard, other.breakers.as_slice(), other.retries.as_slice())?;
        for breaker in self.breakers.as_mut_slice() {
            if breaker.mode == BreakerMode::Enforce {
                breaker.mode = BreakerMode::Shadow;
            }
        }
        Ok(())
    }

    /// The breakers that are configured, in the order of the file.
    #[must_use]
    pub fn breaker_specs(&self) -> &[BreakerSpec] {
        self.breakers.as_slice()
    }

    /// The retry policies that are configured, in the order of the file.
    #[must_use]
    pub fn retry_specs(&self) -> &[RetrySpec] {
        self.retries.as_slice()
    }

    /// Makes a scope of the template, in the place of one that is idle if there is no other.
    pub(super) fn make(&mut self, now: Instant, name: &str) -> Option<Place> {
        if self.scopes.is_full() {
            let idle = self.idle(now)?;
            self.scopes.remove(idle);
            self.hand = (idle.index() + 1) % SCOPES_MAX;
        }
        let place = self.create(name)?;
        if let Some(scope) = self.scopes.get_mut(place) {
            scope.used_at = now;
        }
        Some(place)
    }

    /// A scope that makes room for another one, of the few that are looked at.
    pub(super) fn idle(&self, now: Instant) -> Option<Place> {
        (0..IDLE_LOOKS).find_map(|step| {
            let place = self.scopes.place((self.hand + step) % SCOPES_MAX)?;
            let scope = self.scopes.get(place)?;
            let remembers = scope.breaker.state(now) != BreakerState::Closed
                || scope.breaker.get_override() != BreakerOverride::Automatic
                || scope.open > 0;
            let is_idle = !scope.is_named && !remembers && now.since(scope.used_at) >= SCOPE_IDLE;
            is_idle.then_some(place)
        })
    }

    /// Makes a scope of this name, if there is room.
    pub(super) fn create(&mut self, name: &str) -> Option<Place> {
        let key = KeyName::LowerCase(NameRef::new(name).ok()?);
        let name = key.to_name(&self.secret);
        let hash = self.secret.hash(Kind::Route, key);
        let scope = OutboundScope {
            name,
            breaker_rule: self.breakers.number_for(name.as_str()),
            retry_rule: self.retries.number_for(name.as_str()),
            random: hash.0,
            ..OutboundScope::EMPTY
        };
        self.scopes.insert(hash.0, scope).ok()
    }

    fn each_scope(&mut self, mut change: impl FnMut(&Self, &mut OutboundScope)) {
        for index in 0..SCOPES_MAX {
            let Some(place) = self.scopes.place(index) else { continue };
            let Some(mut scope) = self.scopes.get(place).copied() else { continue };
            change(self, &mut scope);
            if let Some(kept) = self.scopes.get_mut(place) {
                *kept = scope;
            }
        }
    }
}

/// The names of the scopes that rules are for by name, each once.
fn named<'a>(breakers: &'a [BreakerSpec], retries: &'a [RetrySpec]) -> impl Iterator<Item = &'a Name> {
    let with_breakers = breakers.iter().filter_map(exact);
    let is_new = |name: &&Name| !breakers.iter().filter_map(exact).any(|other| other == *name);
    with_breakers.chain(retries.iter().filter_map(exact).filter(is_new))
}

/// The rule of a scope.
fn find<'a, T: Rule>(rules: &'a [T], name: &str) -> Option<&'a T> {
    let own = rules.iter().find(|rule| exact(*rule).is_some_and(|exact| exact.as_str() == name));
    own.or_else(|| rules.iter().find(|rule| rule.scope().pattern == Pattern::Any))
}

/// The terms of a breaker, apart from the scopes that they are for.
fn terms(spec: &BreakerSpec) -> BreakerSpec {
    BreakerSpec { scope: BreakerSpec::EMPTY.scope, ..*spec }
}
