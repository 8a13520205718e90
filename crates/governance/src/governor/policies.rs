//! What policies make of a request before anything else is asked.

use super::stages::{Asked, Stages};
use crate::decision::{Decision, Reason, Verdict, Wait};
use crate::policy::{Action, PolicyContext, PolicyDecision, PolicyEngine, PolicyReason};
use crate::rate_limiter::{Access, LimitId, RateLimiter};

/// Asks the policies, and the stages behind them as the policies will have it.
#[inline(never)]
pub(super) fn decide<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    policies: &mut PolicyEngine,
    stages: &mut Stages<'_, KEYS, LOG, TENANTS>,
    asked: &Asked<'_>,
) -> Decision {
    let request = asked.subject.request;
    let class = asked.destination.map(|destination| destination.class).or(request.priority);
    let context = PolicyContext {
        priority: class.unwrap_or_default(),
        ..PolicyContext::of(request, asked.latest.wall)
    };
    let policy = match asked.access {
        Access::Charge => policies.evaluate_request(asked.latest, &context),
        Access::Peek => policies.peek(&context),
    };
    let decision = match course(policies, stages.held.limits, &policy) {
        Course::OwnLimits => stages.decide(asked, None),
        Course::Throttled(limit) => stages.decide(asked, Some(limit)),
        Course::Ended { verdict, reason, retry } => Decision { retry, ..Decision::plain(verdict, reason) },
    };
    Decision { policy: Some(policy), ..decision }
}

/// How it goes on with a request.
enum Course {
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

/// What the policies will have, with the limit by which they throttle.
fn course<const KEYS: usize, const LOG: usize>(
    policies: &PolicyEngine,
    limits: &RateLimiter<KEYS, LOG>,
    decision: &PolicyDecision,
) -> Course {
    match (decision.allowed, decision.decider) {
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
    }
}
