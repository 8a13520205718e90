//! The way of a request where there are policies, queues or traffic control: the loop guard and the policies first, and the
//! queue of its service last.

use super::queues::destination;
use super::stages::{Destination, Entry, Stages};
use super::traffic::{ask_guard, guard, note_guard, refused_by_guard};
use crate::decision::{Decision, Reason, Verdict, Wait};
use crate::loop_guard::{GuardAnswer, GuardVerdict};
use crate::policy::{Action, PolicyContext, PolicyDecision, PolicyEngine, PolicyReason};
use crate::rate_limiter::{Access, LimitId, RateLimiter};
use crate::request::{HashedSubject, RequestPriority};
use crate::time::Now;

/// Asks the loop guard, and what is behind it.
#[inline(never)]
pub(super) fn decide<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    policies: &mut PolicyEngine,
    stages: &mut Stages<'_, KEYS, LOG, TENANTS>,
    (now, latest): (Now, Now),
    hashed: &HashedSubject<'_>,
    entry: Entry,
    access: Access,
) -> Decision {
    let destination = destination(stages.queues, hashed.subject.request, entry);
    let class = destination.map(|destination| destination.class).or(hashed.subject.request.priority);
    let asked = ask_guard(stages, latest, hashed, class, access);
    if let Some(GuardAnswer { verdict: GuardVerdict::Refuse { why, retry }, .. }) = asked {
        return refused_by_guard(why, retry);
    }
    // By its parts: a reference to the whole would have it copied to where it is given back.
    let mut decision =
        decide_behind_guard(policies, stages, (now, latest), hashed, (destination, class), access);
    if let Some(answer) = &asked {
        (decision.verdict, decision.level) = guard(answer, (decision.verdict, decision.level));
        if access == Access::Charge {
            note_guard(stages, latest, answer, &decision);
        }
    }
    decision
}

/// Asks the policies, if there are any, and the stages behind them as the policies will have it.
fn decide_behind_guard<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    policies: &mut PolicyEngine,
    stages: &mut Stages<'_, KEYS, LOG, TENANTS>,
    (now, latest): (Now, Now),
    hashed: &HashedSubject<'_>,
    (destination, class): (Option<Destination>, Option<RequestPriority>),
    access: Access,
) -> Decision {
    if policies.is_idle() {
        return stages.decide((now, latest), hashed, destination, access, None);
    }
    let request = hashed.subject.request;
    let context =
        PolicyContext { priority: class.unwrap_or_default(), ..PolicyContext::of(request, latest.wall) };
    let policy = match access {
        Access::Charge => policies.evaluate_request(latest, &context),
        Access::Peek => policies.peek(&context),
    };
    let mut decision = match course(policies, stages.held.limits, &policy) {
        Course::OwnLimits => stages.decide((now, latest), hashed, destination, access, None),
        Course::Throttled(limit) => stages.decide((now, latest), hashed, destination, access, Some(limit)),
        Course::Ended { verdict, reason, retry } => Decision { retry, ..Decision::plain(verdict, reason) },
    };
    decision.policy = Some(policy);
    decision
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
