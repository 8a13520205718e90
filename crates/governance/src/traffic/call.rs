//! The way of a call that goes out: asked for, taken, and what became of it.

use super::{
    BreakerNotice, CallHold, IDLE_LOOKS, OutboundScope, SCOPES_MAX, ScopeId, TrafficController, draw,
};
use crate::breaker::{
    BreakerPass, BreakerPermit, BreakerRecorded, BreakerRefusal, BreakerSpec, BreakerState, CallResult,
};
use crate::chained_table::Place;
use crate::decision::Wait;
use crate::outcome::{AttemptReport, Outcome};
use crate::rate_limiter::Access;
use crate::retry::{Attempt, GiveUp, RetryDecision, RetrySpec};
use crate::scope::{KeyHash, NameRef, is_provider_and_method};
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
}

/// A call that may be made, as far as its scope is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Where its scope is; [`Place::ZERO`] if that is still to be made.
    place: Place,
    /// Whether somebody is to tell its outcome.
    is_awaited: bool,
}

impl Call {
    /// Its scope, if that was there already.
    pub(crate) fn scope(self) -> Option<ScopeId> {
        (self.place != Place::ZERO).then_some(ScopeId(self.place))
    }

    /// Whether its outcome is awaited: it needs a ticket then.
    pub(crate) const fn is_awaited(self) -> bool {
        self.is_awaited
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
    /// Whether a call of this route, which is told with its hash, may be made. A refusal is counted unless it is only a
    /// look. Of a scope with `open_max` calls whose outcome is still to come, no more outcomes are awaited while its breaker
    /// is closed: nobody tells them, and the tickets that are left are for others.
    pub(crate) fn check(
        &mut self,
        now: Now,
        (name, hash): (NameRef<'_>, KeyHash),
        open_max: usize,
        access: Access,
    ) -> CallCheck {
        let is = |scope: &OutboundScope| scope.name.as_str().eq_ignore_ascii_case(name.as_str());
        let Some(place) = self.scopes.find(hash.0, is) else { return self.check_unknown(now, name, access) };
        let Some(scope) = self.scopes.get_mut(place) else { return CallCheck::Unscoped };
        let mut call = Call { place, is_awaited: (scope.open as usize) < open_max };
        let Some(spec) = self.breakers.get(scope.breaker_rule) else { return CallCheck::Cleared(call) };
        match scope.breaker.check(now.instant, spec) {
            Ok(pass) => {
                // Probes find out whether it may close; of those there are few.
                call.is_awaited |= pass == BreakerPass::Probe;
                CallCheck::Cleared(call)
            }
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

    /// A call of a scope that is not there. It is made when everything else has let the call pass.
    #[cold]
    fn check_unknown(&mut self, now: Now, name: NameRef<'_>, access: Access) -> CallCheck {
        let has_template = self.breakers.template() != 0 || self.retries.template() != 0;
        if !has_template || !is_provider_and_method(name.as_str()) {
            return CallCheck::Unscoped;
        }
        let has_room = !self.scopes.is_full() || self.idle(now.instant).is_some();
        if !has_room && access == Access::Charge {
            self.hand = (self.hand + IDLE_LOOKS) % SCOPES_MAX;
        }
        CallCheck::Cleared(Call { place: Place::ZERO, is_awaited: has_room })
    }

    /// Counts a call that its breaker has let pass, and another stage has refused.
    pub(crate) fn count_denied(&mut self, call: Call) {
        let scope = self.scopes.get_mut(call.place).map(|scope| &mut scope.counters);
        for counters in scope.into_iter().chain([&mut self.totals]) {
            counters.requests += 1;
            counters.denied += 1;
        }
    }

    /// Counts a call that is made, and of which nobody is asked to tell the outcome.
    pub(crate) fn count_untold(&mut self, call: Call) {
        let counters = match self.scopes.get_mut(call.place) {
            Some(scope) => &mut scope.counters,
            None => &mut self.overflow,
        };
        for counters in [counters, &mut self.totals] {
            counters.requests += 1;
            counters.allowed += 1;
            counters.untold += 1;
        }
    }

    /// Whether the outcome of a call need not be told: its breaker is closed, and learns from others.
    pub(crate) fn can_be_untold(&self, now: Now, call: Call) -> bool {
        self.scopes
            .get(call.place)
            .is_none_or(|scope| scope.breaker.state(now.instant) == BreakerState::Closed)
    }

    /// Takes the permit of a call that was checked at this time, and makes its scope if that is still to be made.
    pub(crate) fn acquire(&mut self, now: Now, call: Call, name: NameRef<'_>) -> CallHold {
        let mut place = call.place;
        if self.scopes.get(place).is_none() {
            place = self.make(now.instant, name.as_str()).unwrap_or(Place::ZERO);
        }
        let mut hold = CallHold { place, permit: BreakerPermit::EMPTY };
        if let Some(scope) = self.scopes.get_mut(place) {
            if let Some(spec) = self.breakers.get(scope.breaker_rule) {
                if let Some(transition) = scope.breaker.due(now.instant, spec) {
                    self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
                }
                hold.permit = scope.breaker.acquire(now.instant, spec);
            }
            scope.open = scope.open.saturating_add(1);
            scope.used_at = now.instant;
            for counters in [&mut scope.counters, &mut self.totals] {
                counters.requests += 1;
                counters.allowed += 1;
            }
        }
        hold
    }

    /// The call begins only now, after it has waited: so does the time of its permit.
    pub(crate) fn renew(&mut self, now: Now, hold: &mut CallHold) {
        if let Some(scope) = self.scopes.get_mut(hold.place)
            && let Some(spec) = self.breakers.get(scope.breaker_rule)
        {
            hold.permit = scope.breaker.renew(now.instant, spec, hold.permit);
        }
    }

    /// Takes note of what became of a call. None if its scope is gone.
    pub(crate) fn record(&mut self, now: Now, hold: &CallHold, outcome: &Outcome) -> Option<CallReport> {
        let scope = self.scopes.get_mut(hold.place)?;
        scope.open = scope.open.saturating_sub(1);
        let random = draw(&mut scope.random);
        scope.counters.count_outcome(outcome);
        self.totals.count_outcome(outcome);
        let result = if outcome.is_error() { CallResult::Failure } else { CallResult::Success };
        // Whoever does not say how it went says nothing about the provider.
        let is_told = outcome.answer().is_some();
        if !is_told {
            scope.breaker.cancel(now.instant, hold.permit);
        }
        let breaker = self.breakers.get(scope.breaker_rule).filter(|_| is_told).map(|spec| {
            let duration = outcome.ms.map(|ms| Nanos(ms.saturating_mul(1_000_000)));
            scope.breaker.record(now.instant, spec, hold.permit, result, duration, random)
        });
        if let Some(BreakerRecorded::Counted(Some(transition))) = breaker {
            self.transitions.push(BreakerNotice { at: now.wall, scope: scope.name, transition });
        }
        let retry = self.advise(now, hold.place, outcome);
        Some(CallReport { scope: ScopeId(hold.place), breaker, retry })
    }

    /// Charges the retry budget of a scope with an outcome, and says whether the call is worth another attempt.
    fn advise(&mut self, now: Now, place: Place, outcome: &Outcome) -> Option<RetryDecision> {
        let answer = outcome.answer()?;
        let scope = self.scopes.get_mut(place)?;
        let spec = self.retries.get(scope.retry_rule)?;
        let random = draw(&mut scope.random);
        let AttemptReport { number, elapsed, retry_after, previous_delay } = outcome.attempt;
        let elapsed = elapsed.unwrap_or_default();
        let attempt = Attempt { number, answer, elapsed, retry_after, previous_delay };
        let breaker = self.breakers.get(scope.breaker_rule);
        let decision = advice(now, scope, (spec, breaker), &attempt, random);
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
}

/// What a retry policy says of an attempt that has ended, after its budget was charged with it. A retry that the breaker of
/// the scope would refuse waits until it would not, or is none.
pub(super) fn advice(
    now: Now,
    scope: &mut OutboundScope,
    (spec, breaker): (&RetrySpec, Option<&BreakerSpec>),
    attempt: &Attempt,
    random: u64,
) -> RetryDecision {
    scope.budget.record(spec, attempt.answer);
    let decision = spec.decide(attempt, &scope.budget, random);
    let (RetryDecision::Retry { after, attempt }, Some(breaker)) = (decision, breaker) else {
        return decision;
    };
    match scope.breaker.check(now.instant, breaker) {
        Err(BreakerRefusal { retry: Wait::For(open), .. }) if open <= spec.max_delay => {
            RetryDecision::Retry { after: after.max(open), attempt }
        }
        Err(_) => RetryDecision::GiveUp(GiveUp::BreakerOpen),
        Ok(_) => decision,
    }
}
