//! Traffic control over the same way as every other request: what the loop guard says first, and the verbs of a traffic
//! controller for calls that go out and requests that come in.

use super::readings::measured;
use super::{Governor, Stages};
use crate::decision::{Decision, Reason, Verdict, Wait};
use crate::loop_guard::{GuardAnswer, GuardReason, GuardVerdict, LoopKey, ServiceLevel};
use crate::money::NanoUnits;
use crate::outcome::{CompleteError, Completion, Outcome};
use crate::rate_limiter::Access;
use crate::request::{HashedSubject, Request, RequestPriority, Subject};
use crate::scope::{HashSecret, KeyHash, Kind, Name, NameRef, ScopeError};
use crate::tickets::Ticket;
use crate::time::{Nanos, Now};
use core::fmt::{self, Write as _};

/// The answer to a request that came in, as a gateway gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundAnswer {
    /// The decision.
    pub decision: Decision,
    /// The status to answer with; none if the request may go on, now or later.
    pub status: Option<u16>,
    /// What the `Retry-After` header says, in whole seconds, rounded up and at least 1; none if there is nothing to wait
    /// for.
    pub retry_after: Option<u64>,
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// Decides a call to a provider, of the scope `provider:method`. `request` tells what else there is to know of it. Its
    /// outcome is to be told by its ticket.
    ///
    /// # Errors
    /// [`ScopeError::NotARoute`] if one of them holds a `:` or `*`, [`ScopeError::LongName`] if both together are too long
    /// for a name.
    pub fn check_outbound_request(
        &mut self,
        now: Now,
        provider: NameRef<'_>,
        method: NameRef<'_>,
        request: &Request<'_>,
    ) -> Result<Decision, ScopeError> {
        let is_plain = |name: NameRef<'_>| !name.as_str().contains([':', '*']);
        if !is_plain(provider) || !is_plain(method) {
            return Err(ScopeError::NotARoute);
        }
        // In lower case, so that it has one name wherever it is shown.
        let mut route = Name::EMPTY;
        let bytes = provider.as_str().len() + 1 + method.as_str().len();
        let written = provider.as_str().chars().chain([':']).chain(method.as_str().chars());
        written
            .map(|character| character.to_ascii_lowercase())
            .try_for_each(|character| route.write_char(character))
            .map_err(|_| ScopeError::LongName { bytes })?;
        let route = NameRef::new(route.as_str())?;
        let provider = NameRef::new(&route.as_str()[..provider.as_str().len()])?;
        let request = Request {
            provider: Some(provider),
            method: Some(method),
            route: Some(route),
            path: None,
            ..*request
        };
        Ok(self.admit(now, &request))
    }

    /// Tells what became of a call that was allowed, and says what its breaker and its retry policy make of that.
    ///
    /// # Errors
    /// As [`Governor::complete`].
    pub fn record_outbound_response(
        &mut self,
        now: Now,
        ticket: Ticket,
        response: &Outcome,
    ) -> Result<Completion, CompleteError> {
        self.complete(now, ticket, response)
    }

    /// Decides a request that comes in, by the group of its path and whoever makes it, and says what to answer if it is
    /// refused.
    pub fn check_inbound_request(&mut self, now: Now, request: &Request<'_>) -> InboundAnswer {
        let path = request.path.unwrap_or_default();
        let decision = self.admit(now, &Request { path: Some(path), ..*request });
        InboundAnswer::of(decision)
    }

    /// Takes note of what became of a request that was given no ticket, in the metrics and for the loop guard alone.
    pub fn observe(&mut self, now: Now, request: &Request<'_>, outcome: &Outcome) {
        let now = self.monotonic(now);
        let by_path = self.routes.by_path(request);
        let subject = Subject { request, group: request.group.or(by_path) };
        let secret = self.limits.secret();
        let hashed = HashedSubject::new(&subject, secret);
        let measure = self.metrics.locate(now, &measured(secret, &hashed, Verdict::Allow, None));
        self.count_outcome(now, measure, outcome, NanoUnits::ZERO, 0);
    }
}

impl InboundAnswer {
    /// What to answer by a decision.
    #[must_use]
    pub fn of(decision: Decision) -> Self {
        let status = (!decision.is_allowed()).then(|| decision.reason.status());
        let retry_after = match decision.retry {
            Some(Wait::For(wait)) => Some(wait.0.div_ceil(1_000_000_000).max(1)),
            Some(Wait::Never) | None => None,
        };
        Self { decision, status, retry_after }
    }
}

/// What the loop guard says of a request; none if it is idle.
pub(super) fn ask_guard<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    stages: &mut Stages<'_, KEYS, LOG, TENANTS>,
    now: Now,
    hashed: &HashedSubject<'_>,
    class: Option<RequestPriority>,
    access: Access,
) -> Option<GuardAnswer> {
    let guard = &mut stages.held.traffic.guard;
    if guard.is_idle() {
        return None;
    }
    let asked = ask(hashed, stages.held.limits.secret());
    let key = asked.as_ref().map(|(hash, caller, target)| LoopKey { hash: *hash, caller, target });
    Some(match access {
        Access::Charge => guard.admit(now.instant, key.as_ref(), class),
        Access::Peek => guard.peek(now.instant, key.as_ref(), class),
    })
}

/// Refuses a request as the guard will have it.
#[cold]
pub(super) fn refused_by_guard(why: GuardReason, retry: Nanos) -> Decision {
    let reason = match why {
        GuardReason::Loop => Reason::LoopBlocked,
        GuardReason::HardCap => Reason::OverHardCap,
        GuardReason::Degraded => Reason::Degraded,
    };
    Decision { retry: Some(Wait::For(retry)), ..Decision::plain(Verdict::Deny, reason) }
}

/// What the guard adds to the decision about a request that it has let pass.
pub(super) fn guard(
    answer: &GuardAnswer,
    (verdict, level): (Verdict, ServiceLevel),
) -> (Verdict, ServiceLevel) {
    if !verdict.is_allowed() {
        return (verdict, level);
    }
    let verdict = match (answer.verdict, verdict) {
        (GuardVerdict::Delay(delay), Verdict::Allow) => Verdict::Delay(delay),
        (GuardVerdict::Delay(delay), Verdict::Delay(turn)) => Verdict::Delay(turn.max(delay)),
        (GuardVerdict::Delay(delay), Verdict::Queue(wait)) => Verdict::Queue(wait.max(delay)),
        (_, verdict) => verdict,
    };
    (verdict, answer.service)
}

/// What is refused behind the guard does not count for its cap, so that nobody uses it up with what is refused anyway; and
/// what waits in a queue has to wait for the guard's delay too.
pub(super) fn note_guard<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    stages: &mut Stages<'_, KEYS, LOG, TENANTS>,
    now: Now,
    answer: &GuardAnswer,
    decision: &Decision,
) {
    // In shadow mode, what would have been refused was not counted either.
    let was_counted = !answer.would.is_some_and(|would| matches!(would.verdict, GuardVerdict::Refuse { .. }));
    if !decision.is_allowed() {
        if was_counted {
            stages.held.traffic.guard.take_back(now.instant);
        }
    } else if let GuardVerdict::Delay(delay) = answer.verdict
        && let Some(memo) = decision.ticket.and_then(|ticket| stages.held.tickets.memo_mut(ticket))
    {
        memo.not_before = memo.not_before.max(now.instant.after(delay));
    }
}

/// Who asks for what: the client, else the API key, the user or the tenant; and the path, else the route or the service.
/// None if either is not known.
fn ask<'a>(hashed: &HashedSubject<'a>, secret: HashSecret) -> Option<(KeyHash, Caller<'a>, Target<'a>)> {
    let subject = hashed.subject;
    let callers = [Kind::Client, Kind::Key, Kind::User, Kind::Tenant];
    let (kind, caller) = callers.into_iter().find_map(|kind| Some((kind, hashed.hash(&secret, kind)?)))?;
    let request = subject.request;
    let (form, target): (u64, &[u8]) = match (request.path, request.route, request.service) {
        (Some(path), _, _) => (1, path),
        (None, Some(route), _) => (0, route.as_str().as_bytes()),
        (None, None, Some(service)) => (2, service.as_str().as_bytes()),
        (None, None, None) => return None,
    };
    let (words, rest) = target.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    let length = target.len() as u64;
    let head = [caller.0, form, length];
    let hash = KeyHash(secret.hash_numbers(head.into_iter().chain(words)));
    Some((hash, Caller { subject, kind, secret }, Target(target)))
}

/// A caller, as it is shown.
struct Caller<'a> {
    subject: &'a Subject<'a>,
    kind: Kind,
    secret: HashSecret,
}

impl fmt::Display for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject.name(&self.secret, self.kind) {
            Some(name) => write!(f, "{}:{name}", self.kind),
            None => Ok(()),
        }
    }
}

/// What is asked for, as it is shown.
struct Target<'a>(&'a [u8]);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))
    }
}
