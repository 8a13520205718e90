//! How scopes stand, and what operators do to them by hand.

use super::call::advice;
use super::{BreakerNotice, CallCounters, ScopeId, TRANSITIONS_KEPT, TrafficController, draw};
use crate::breaker::{
    BreakerCause, BreakerOverride, BreakerSpec, BreakerState, BreakerStats, BreakerTransition,
};
use crate::notice::Notices;
use crate::retry::{Attempt, RetryBudget, RetryDecision, RetrySpec};
use crate::scope::is_provider_and_method;
use crate::time::{Instant, Now};

/// How a scope stands.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    /// The scope.
    pub id: ScopeId,
    /// Its name, `provider:method`.
    pub name: &'a str,
    /// The terms of its breaker; none if it has none.
    pub breaker: Option<&'a BreakerSpec>,
    /// The state of its breaker; closed if it has none.
    pub state: BreakerState,
    /// How its breaker is held.
    pub by_hand: BreakerOverride,
    /// What its breaker has counted.
    pub stats: BreakerStats,
    /// Its retry policy; none if it has none.
    pub retry: Option<&'a RetrySpec>,
    /// What is left of its retry budget.
    pub budget: RetryBudget,
    /// What became of its calls.
    pub counters: CallCounters,
    /// Calls whose outcome is still to come.
    pub open: u32,
}

impl TrafficController {
    /// The scopes that there are, in the order in which they came.
    pub fn scopes(&self, now: Instant) -> impl Iterator<Item = ScopeView<'_>> + '_ {
        self.scopes.iter().filter_map(move |(place, _)| self.scope(now, ScopeId(place)))
    }

    /// How a scope stands; none if it is gone.
    #[must_use]
    pub fn scope(&self, now: Instant, id: ScopeId) -> Option<ScopeView<'_>> {
        let scope = self.scopes.get(id.0)?;
        Some(ScopeView {
            id,
            name: scope.name.as_str(),
            breaker: self.breakers.get(scope.breaker_rule),
            state: scope.breaker.state(now),
            by_hand: scope.breaker.get_override(),
            stats: scope.breaker.stats(),
            retry: self.retries.get(scope.retry_rule),
            budget: scope.budget,
            counters: scope.counters,
            open: scope.open,
        })
    }

    /// How many scopes there are.
    #[must_use]
    pub const fn scope_count(&self) -> usize {
        self.scopes.len()
    }

    /// What became of the calls of all scopes together.
    #[must_use]
    pub const fn totals(&self) -> &CallCounters {
        &self.totals
    }

    /// The calls that found no place among the scopes, and went on without a breaker.
    #[must_use]
    pub const fn overflow(&self) -> &CallCounters {
        &self.overflow
    }

    /// The last changes of breakers, each kept until 128 others have come.
    #[must_use]
    pub const fn transitions(&self) -> &Notices<BreakerNotice, TRANSITIONS_KEPT> {
        &self.transitions
    }

    /// Says whether a call of a scope would be worth another attempt. Nothing is charged and nothing counted. None if the
    /// scope is gone or has no retry policy.
    #[must_use]
    pub fn would_retry(&self, now: Now, id: ScopeId, attempt: &Attempt) -> Option<RetryDecision> {
        // On a copy, by the numbers that the outcome would draw: the first is the breaker's.
        let mut scope = *self.scopes.get(id.0)?;
        let spec = self.retries.get(scope.retry_rule)?;
        draw(&mut scope.random);
        let random = draw(&mut scope.random);
        let breaker = self.breakers.get(scope.breaker_rule);
        Some(advice(now, &mut scope, (spec, breaker), attempt, random))
    }

    /// The scope of a name such as `github:get`, which is made if there is a template for it and room: to hold its breaker
    /// before it was ever called.
    pub fn ensure(&mut self, now: Instant, name: &str) -> Option<ScopeId> {
        if let Some(known) = self.find(name) {
            return Some(known);
        }
        let has_template = self.breakers.template() != 0 || self.retries.template() != 0;
        if !has_template || !is_provider_and_method(name) {
            return None;
        }
        self.make(now, name).map(ScopeId)
    }

    /// Sets a breaker by hand. Returns whether there is one.
    pub fn set_override(&mut self, now: Now, id: ScopeId, to: BreakerOverride) -> bool {
        let Some(scope) = self.scopes.get_mut(id.0) else { return false };
        if scope.breaker_rule == 0 {
            return false;
        }
        let transition = scope.breaker.set_override(now.instant, to);
        if let Some(transition) = transition {
            self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
        }
        true
    }

    /// Closes the breaker of a scope, fills its retry budget, and forgets what it has counted. What is under way is told
    /// to a breaker that does not know it any more. A scope of the template with nothing under way gives its place up.
    /// Returns whether it is there.
    pub fn reset_scope(&mut self, now: Now, id: ScopeId) -> bool {
        let Some(scope) = self.scopes.get_mut(id.0) else { return false };
        let from = scope.breaker.state(now.instant);
        if from != BreakerState::Closed {
            let transition = BreakerTransition {
                at: now.instant,
                from,
                to: BreakerState::Closed,
                why: BreakerCause::ByHand,
            };
            self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
        }
        if !scope.is_named && scope.open == 0 {
            self.scopes.remove(id.0);
            return true;
        }
        scope.breaker.reset();
        scope.budget = RetryBudget::EMPTY;
        scope.counters = CallCounters::ZERO;
        true
    }

    /// Does that to all scopes, and forgets what was counted of all of them together.
    pub fn reset_scopes(&mut self, now: Now) {
        for index in 0..super::SCOPES_MAX {
            if let Some(place) = self.scopes.place(index) {
                self.reset_scope(now, ScopeId(place));
            }
        }
        self.totals = CallCounters::ZERO;
        self.overflow = CallCounters::ZERO;
    }
}
