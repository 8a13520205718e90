//! What policies make of a request before anything else is asked.

use crate::decision::{Reason, Verdict, Wait};
use crate::policy::{Action, PolicyContext, PolicyDecision, PolicyEngine, PolicyReason};
use crate::rate_limiter::{Access, LimitId, RateLimiter};
use crate::time::Now;

/// How it goes on with a request.
pub(super) enum Course {
    /// With the limits that match it.
    OwnLimits,
    /// With those, and with one limit more.
    Throttled(LimitId),
    /// Not at all.
    Ended { verdict: Verdict, reason: Reason, retry: Option<Wait> },
}

impl Course {
    const fn denied(reason: Reason) -> Self {
        // A policy that looks at the time may let it pass at another, but that is for people to see.
        Self::Ended { verdict: Verdict::Deny, reason, retry: Some(Wait::Never) }
    }
}

/// Asks the policies, and finds the limit by which they throttle a request.
#[inline(never)]
pub(super) fn ask<const KEYS: usize, const LOG: usize>(
    policies: &mut PolicyEngine,
    limits: &RateLimiter<KEYS, LOG>,
    now: Now,
    context: &PolicyContext<'_>,
    access: Access,
) -> (PolicyDecision, Course) {
    let decision = match access {
        Access::Charge => policies.evaluate_request(now, context),
        Access::Peek => policies.peek(context),
    };
    let course = match (decision.allowed, decision.decider) {
        (false, _) if decision.reason == PolicyReason::Rule => Course::denied(Reason::PolicyDenied),
        (false, _) => Course::denied(Reason::PolicyDefault),
        (true, None) => Course::OwnLimits,
        (true, Some(decider)) => match policies.action_of(decider) {
            Some(Action::Redirect(_)) => {
                Course::Ended { verdict: Verdict::Redirect, reason: Reason::Redirected, retry: None }
            }
            Some(Action::Throttle(name)) => {
                // The number of a limit is used again; its name tells whether it is still the one.
                let known = policies.throttle_limit(decider).filter(|id| limits.is_named(*id, name));
                let found = known.or_else(|| limits.find(name.as_str()));
                found.map_or(Course::denied(Reason::ThrottleMissing), Course::Throttled)
            }
            _ => Course::OwnLimits,
        },
    };
    (decision, course)
}
