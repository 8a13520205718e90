//! The way of a call that goes out: asked for, taken, and what became of it.

use super::{BreakerNotice, CallHold, OutboundScope, ScopeId, TrafficController, draw};
use crate::breaker::{BreakerPermit, BreakerRecorded, BreakerRefusal, CallResult};
use crate::chained_table::Place;
use crate::outcome::{AttemptReport, Outcome};
use crate::rate_limiter::Access;
use crate::retry::{Attempt, RetryDecision};
use crate::scope::{KeyHash, NameRef};
use crate::time::{Nanos, Now};

/// Whether a call may be made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallCheck {
    /// It is of no scope.
    Unscoped,
    /// It may; [`TrafficController::acquire`] takes its permit.
    Cleared(Call),
    /// Its breaker refuses.
    Refused(ScopeId, BreakerRefusal),
    /// As many of its calls are open as one scope's may be.
    Full(ScopeId),
}

/// A call that may be made, as far as its scope is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    place: Place,
}

impl Call {
    pub(crate) const fn scope(self) -> ScopeId {
        ScopeId(self.place)
    }
}

/// What the outcome of a call has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// The scope.
    pub scope: ScopeId,
    /// What its breaker made of it; none if it has no breaker.
    pub breaker: Option<BreakerRecorded>,
    /// Whether it is worth another attempt; none if the scope has no retry policy.
    pub retry: Option<RetryDecision>,
}

impl TrafficController {
    /// Whether a call of this route, which is told with its hash, may be made. A refusal is counted unless it is only a look. No scope may have more than
    /// `open_max` calls whose outcome is still to come: the tickets that are left are for others.
    pub(crate) fn check(
        &mut self,
        now: Now,
        (name, hash): (NameRef<'_>, KeyHash),
        open_max: u32,
        access: Access,
    ) -> CallCheck {
        let Some(place) = self.place_for(hash, name, access) else { return CallCheck::Unscoped };
        let Some(scope) = self.scopes.get_mut(place) else { return CallCheck::Unscoped };
        if scope.open >= open_max {
            if access == Access::Charge {
                self.count_denied(Call { place });
            }
            return CallCheck::Full(ScopeId(place));
        }
        let Some(spec) = self.breakers.get(scope.breaker_rule) else {
            return CallCheck::Cleared(Call { place });
        };
        match scope.breaker.check(now.instant, spec) {
            Ok(_) => CallCheck::Cleared(Call { place }),
            Err(refusal) => {
                if access == Access::Charge {
                    scope.breaker.count_refusal();
                    for counters in [&mut scope.counters, &mut self.totals] {
                        counters.requests += 1;
                        counters.denied += 1;
                        counters.broken += 1;
                    }
                }
                CallCheck::Refused(ScopeId(place), refusal)
            }
        }
    }

    /// Counts a call that its breaker has let pass, and another stage has refused.
    pub(crate) fn count_denied(&mut self, call: Call) {
        let scope = self.scopes.get_mut(call.place).map(|scope| &mut scope.counters);
        for counters in scope.into_iter().chain([&mut self.totals]) {
            counters.requests += 1;
            counters.denied += 1;
        }
    }

    /// Takes the permit of a call that was checked at this time.
    pub(crate) fn acquire(&mut self, now: Now, call: Call) -> CallHold {
        let place = call.place;
        let mut hold = CallHold { place, permit: BreakerPermit::EMPTY };
        if let Some(scope) = self.scopes.get_mut(place) {
            if let Some(spec) = self.breakers.get(scope.breaker_rule) {
                if let Some(transition) = scope.breaker.due(now.instant, spec) {
                    self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
                }
                hold.permit = scope.breaker.acquire(now.instant, spec);
            }
            scope.open = scope.open.saturating_add(1);
            for counters in [&mut scope.counters, &mut self.totals] {
                counters.requests += 1;
                counters.allowed += 1;
            }
        }
        hold
    }

    /// Takes note of what became of a call. None if its scope is gone.
    pub(crate) fn record(&mut self, now: Now, hold: &CallHold, outcome: &Outcome) -> Option<CallReport> {
        let scope = self.scopes.get_mut(hold.place)?;
        scope.open = scope.open.saturating_sub(1);
        let random = draw(&mut scope.random);
        scope.counters.count_outcome(outcome);
        self.totals.count_outcome(outcome);
        let result = if outcome.is_error() { CallResult::Failure } else { CallResult::Success };
        let breaker = self.breakers.get(scope.breaker_rule).map(|spec| {
            let duration = outcome.ms.map(|ms| Nanos(ms.saturating_mul(1_000_000)));
            scope.breaker.record(now.instant, spec, hold.permit, result, duration, random)
        });
        if let Some(BreakerRecorded::Counted(Some(transition))) = breaker {
            self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
        }
        let retry = self.advise(hold.place, outcome);
        Some(CallReport { scope: ScopeId(hold.place), breaker, retry })
    }

    /// Charges the retry budget of a scope with an outcome, and says whether the call is worth another attempt.
    fn advise(&mut self, place: Place, outcome: &Outcome) -> Option<RetryDecision> {
        let answer = outcome.answer()?;
        let scope = self.scopes.get_mut(place)?;
        let spec = self.retries.get(scope.retry_rule)?;
        let random = draw(&mut scope.random);
        scope.budget.record(spec, answer);
        let AttemptReport { number, elapsed, retry_after, previous_delay } = outcome.attempt;
        let elapsed = elapsed.unwrap_or_default();
        let decision = spec.decide(
            &Attempt { number, answer, elapsed, retry_after, previous_delay },
            &scope.budget,
            random,
        );
        if let RetryDecision::Retry { .. } = decision {
            // A retry counts when it is scheduled: one that waits is under way.
            scope.counters.retries += 1;
            self.totals.retries += 1;
        }
        Some(decision)
    }

    /// Gives the permit of a call back that was not made.
    pub(crate) fn cancel(&mut self, now: Now, hold: &CallHold) -> bool {
        let Some(scope) = self.scopes.get_mut(hold.place) else { return false };
        scope.open = scope.open.saturating_sub(1);
        scope.breaker.cancel(now.instant, hold.permit);
        true
    }

    /// Gives the permit of a call back of which nobody has told the outcome in time.
    pub(crate) fn lose(&mut self, now: Now, hold: &CallHold) -> bool {
        let is_there = self.cancel(now, hold);
        if let Some(scope) = self.scopes.get_mut(hold.place) {
            scope.counters.lost += 1;
            self.totals.lost += 1;
        }
        is_there
    }

    /// The place of a scope, which is made if there is a template for it and room.
    #[inline]
    fn place_for(&mut self, hash: KeyHash, name: NameRef<'_>, access: Access) -> Option<Place> {
        let is = |scope: &OutboundScope| scope.name.as_str().eq_ignore_ascii_case(name.as_str());
        let known = self.scopes.find(hash.0, is);
        if known.is_some() || access == Access::Peek {
            return known;
        }
        self.make_place(name)
    }

    #[cold]
    fn make_place(&mut self, name: NameRef<'_>) -> Option<Place> {
        if self.breakers.template() == 0 && self.retries.template() == 0 {
            return None;
        }
        let place = self.create(name.as_str());
        if place.is_none() {
            for counters in [&mut self.overflow, &mut self.totals] {
                counters.requests += 1;
            }
        }
        place
    }
}
