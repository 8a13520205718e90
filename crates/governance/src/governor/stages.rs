//! The stages behind the limits: quotas, the price, budgets, the queue. What is checked of all is taken of all, or of
//! none.

use super::holders::Holders;
use super::queues::lease_due;
use super::{Hold, Memo, OUTCOME_EXPIRES_IN, RESERVED_FOR_MAX};
use crate::breaker::{BreakerRefusal, BreakerState};
use crate::cost::{Estimate, Quote};
use crate::decision::{Decision, LimitStanding, Reason, Verdict, Wait};
use crate::metrics::MeasureId;
use crate::money::NanoUnits;
use crate::outcome::{Disposition, Outcome};
use crate::priority::{
    EnqueueError, Lane, Origin, Placement, PriorityScheduler, QueueId, QueuedRequest, RejectReason,
    Rejection, SLA, ServiceReport,
};
use crate::quota::{QuotaAmounts, QuotaClearance, QuotaHold, QuotaStanding};
use crate::rate_limiter::{Access, Clearance, LimitHold, LimitId, Refusal};
use crate::request::{HashedSubject, RequestPriority, Settlement, Subject, Usage};
use crate::scope::{KeyHash, Kind};
use crate::tickets::{Ticket, Tickets};
use crate::time::{Instant, Nanos, Now};
use crate::traffic::{Call, CallCheck, CallReport, ScopeId};

/// The stages of a governor, apart from what the request at hand is described with.
pub(super) struct Stages<'a, const KEYS: usize, const LOG: usize, const TENANTS: usize> {
    pub(super) held: Holders<'a, KEYS, LOG, TENANTS>,
    pub(super) queues: &'a mut PriorityScheduler<TENANTS>,
}

/// What settling the holds of one ticket has come to so far.
#[derive(Default)]
pub(super) struct Settlements {
    /// What was posted for its price, which comes first: it is what the budgets are charged.
    pub(super) posted: Option<NanoUnits>,
    /// What its scope made of it.
    pub(super) call: Option<CallReport>,
}

/// What every stage has agreed to.
struct Cleared<'a> {
    limits: Clearance,
    quotas: QuotaClearance,
    quote: Quote,
    budgets: QuotaClearance,
    /// Its turn at its service, if that has a queue.
    turn: Option<Turn<'a>>,
    /// Its call, if it goes out to a scope.
    call: Option<Call>,
}

/// The queue that a request goes to, and as what.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub(super) queue: QueueId,
    pub(super) class: RequestPriority,
    pub(super) entry: Entry,
}

/// How a request goes to its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Into service if that is free, and else it waits.
    IfBusy,
    /// It waits in any case.
    Always,
}

/// What a queue has room for.
#[derive(Clone, Copy)]
struct Turn<'a> {
    queue: QueueId,
    request: QueuedRequest<'a>,
    /// How long it will wait, if it does.
    wait: Option<Nanos>,
    /// When it is let go at the latest, if it waits.
    deadline: Instant,
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Stages<'_, KEYS, LOG, TENANTS> {
    /// How many calls of one scope can be open: where nobody tells their outcomes, there are tickets left for others.
    const OPEN_CALLS_MAX: usize = Tickets::<Hold, Memo, TENANTS>::TICKETS.div_ceil(4);

    /// Asks the limits that match, with one more where a policy throttles, and what is behind them; takes from all or
    /// from none. The limits are told the time as it is, and the others the latest that was seen.
    pub(super) fn decide(
        &mut self,
        (now, latest): (Now, Now),
        hashed: &HashedSubject<'_>,
        destination: Option<Destination>,
        access: Access,
        throttle: Option<LimitId>,
    ) -> Decision {
        let call = match self.check_call(latest, hashed, access) {
            CallCheck::Unscoped => None,
            CallCheck::Cleared(call) => Some(call),
            CallCheck::Refused(scope, refusal) => return refused_by_breaker(scope, &refusal),
        };
        let mut decision = self.decide_call((now, latest), hashed, (destination, call), access, throttle);
        if let Some(call) = call {
            // One that holds its permit was counted when it took it.
            let is_held =
                |ticket| self.held.tickets.holds_of(ticket).any(|hold| matches!(hold, Hold::Call(_)));
            if access == Access::Charge && !decision.ticket.is_some_and(is_held) {
                match decision.is_allowed() {
                    true => self.held.traffic.count_untold(call),
                    false => self.held.traffic.count_denied(call),
                }
            }
            let made = || self.held.traffic.find(hashed.subject.request.route?.as_str());
            decision.scope = call.scope().or_else(made);
        }
        decision
    }

    /// What the breaker of a call has to say, if it goes out to a scope.
    fn check_call(&mut self, now: Now, hashed: &HashedSubject<'_>, access: Access) -> CallCheck {
        let Some(name) = hashed.subject.request.route.filter(|_| self.held.traffic.has_rules()) else {
            return CallCheck::Unscoped;
        };
        let Some(hash) = hashed.hash(&self.held.traffic.secret(), Kind::Route) else {
            return CallCheck::Unscoped;
        };
        self.held.traffic.check(now, (name, hash), Self::OPEN_CALLS_MAX, access)
    }

    /// Asks the stages behind the breaker.
    fn decide_call(
        &mut self,
        (now, latest): (Now, Now),
        hashed: &HashedSubject<'_>,
        (destination, call): (Option<Destination>, Option<Call>),
        access: Access,
        throttle: Option<LimitId>,
    ) -> Decision {
        loop {
            let limits = &mut self.held.limits;
            let checked = match throttle {
                None => limits.check_hashed(now, hashed, access),
                Some(throttle) => limits.check_throttled(now, hashed, access, throttle),
            };
            let clearance = match checked {
                Ok(clearance) => clearance,
                Err(refusal) => return refused_by_limit(&refusal),
            };
            let decision = self.decide_behind_limits(latest, hashed, clearance, (destination, call), access);
            let is_full = matches!(decision.reason, Reason::TicketsFull) && access == Access::Charge;
            // Each time one less waits.
            if !is_full || !self.make_room(latest, hashed, destination) {
                return decision;
            }
        }
    }

    /// Lets one go of those that wait in the queue of a request, if there is one that would have to go for it were the
    /// queue full: there are as many tickets as can wait, but other requests have some too.
    #[cold]
    fn make_room(&mut self, now: Now, hashed: &HashedSubject<'_>, destination: Option<Destination>) -> bool {
        let Some(Destination { queue, class, .. }) = destination else { return false };
        let request = self.to_queue(now, hashed, class);
        let Some(dropped) = self.queues.make_room(now.instant, queue, &request) else { return false };
        self.held.void(now, Ticket::from_bits(dropped.request_id));
        true
    }

    /// Asks the stages behind the limits, and takes from all or from none.
    #[inline(never)]
    pub(super) fn decide_behind_limits(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        limits: Clearance,
        (destination, call): (Option<Destination>, Option<Call>),
        access: Access,
    ) -> Decision {
        let subject = hashed.subject;
        let request = subject.request;
        let usage = request.usage();
        let amounts = QuotaAmounts::from(usage);
        let Some(quotas) = self.held.quotas.check_hashed(now, hashed, &amounts, access) else {
            return self.refuse_by_quota(limits);
        };
        let estimate = match request.settlement {
            Settlement::Final => Estimate::Exact,
            Settlement::Reserve { .. } => Estimate::Dearest,
        };
        let Ok(quote) = self.held.costs.quote_hashed(now, hashed, &usage, estimate) else {
            let (limit, quota) = (self.held.limits.release(limits), self.held.quotas.release(quotas));
            let decision = Decision::plain(Verdict::Deny, Reason::PriceOutOfRange);
            return Decision { limit, quota, retry: Some(Wait::Never), ..decision };
        };
        let spent = QuotaAmounts::of_cost(quote.amount().map_or(0, NanoUnits::as_spent));
        let Some(budgets) = self.held.budgets.check_hashed(now, hashed, &spent, access) else {
            return self.refuse_by_budget(limits, quotas);
        };
        let is_awaited = limits.needs_ticket() || quotas.needs_ticket() || destination.is_some();
        let has_room = || self.held.tickets.has_room(limits.holds() + 2);
        // A call whose outcome alone would need a ticket goes on without one if there is none: others hold them.
        let call = call.filter(|call| {
            let alone = !is_awaited && request.settlement == Settlement::Final;
            call.is_awaited() && !(alone && !has_room() && self.held.traffic.can_be_untold(now, *call))
        });
        let needs_ticket = is_awaited || call.is_some();
        if request.settlement == Settlement::Final && !needs_ticket && access == Access::Charge {
            return self.take(subject, limits, quotas, quote, budgets);
        }
        let mut cleared = Cleared { limits, quotas, quote, budgets, turn: None, call };
        if let Some(destination) = destination {
            match self.find_turn(now, hashed, destination, access) {
                Ok(turn) => cleared.turn = Some(turn),
                Err(error) => return self.refuse_by_queue(cleared, error),
            }
        }
        if access == Access::Peek {
            let is_kept = needs_ticket || request.settlement != Settlement::Final;
            let is_short = is_kept && cleared.turn.is_none() && !self.held.tickets.has_room(2);
            let decision = self.release(cleared);
            return if is_short { self.refuse_ticket(now) } else { decision };
        }
        self.take_held(now, subject, cleared)
    }

    /// Whether the queue of its service has room for a request.
    #[inline(never)]
    fn find_turn<'a>(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'a>,
        Destination { queue, class, entry }: Destination,
        access: Access,
    ) -> Result<Turn<'a>, EnqueueError> {
        let request = self.to_queue(now, hashed, class);
        let starts = self.queues.room(now.instant, queue, &request, access)? == Placement::Start;
        let wait = if starts && entry == Entry::IfBusy {
            None
        } else {
            Some(self.queues.estimate_queue_time(queue, class, request.origin.tenant))
        };
        let latency = self.queues.get_sla(queue).map_or(Nanos::ZERO, SLA::latency);
        let deadline = request.sla_deadline.unwrap_or(now.instant.after(latency));
        Ok(Turn { queue, request, wait, deadline })
    }

    /// A request, as its queue is told of it.
    fn to_queue<'a>(
        &self,
        now: Now,
        hashed: &HashedSubject<'a>,
        class: RequestPriority,
    ) -> QueuedRequest<'a> {
        let request = hashed.subject.request;
        let tenant = hashed.hash(&self.held.limits.secret(), Kind::Tenant).unwrap_or(KeyHash(0));
        let weight = self.held.costs.weight_of(hashed);
        QueuedRequest {
            request_id: 0,
            priority: class,
            arrival_time: now.instant,
            sla_deadline: request.deadline,
            origin: Origin { tenant, weight, name: request.tenant },
            cost_us: u32::try_from(request.compute_ms.saturating_mul(1000)).unwrap_or(u32::MAX),
            lane: Lane::Shared,
        }
    }

    /// The queue refuses what every other stage has agreed to.
    #[cold]
    fn refuse_by_queue(&mut self, cleared: Cleared<'_>, error: EnqueueError) -> Decision {
        let (reason, retry) = match error {
            EnqueueError::Rejected(Rejection { reason: RejectReason::QueueFull, retry }) => {
                (Reason::QueueFull, Wait::For(retry))
            }
            EnqueueError::Rejected(Rejection { retry, .. }) => (Reason::Infeasible, Wait::For(retry)),
            // Nothing makes time go back to its deadline.
            _ => (Reason::Infeasible, Wait::Never),
        };
        let released = self.release(cleared);
        Decision { verdict: Verdict::Deny, reason, retry: Some(retry), price: None, ..released }
    }

    /// A quota refuses what the limits have agreed to.
    #[cold]
    fn refuse_by_quota(&mut self, limits: Clearance) -> Decision {
        let (limit, refusal) = (self.held.limits.release(limits), self.held.quotas.refusal());
        let decision = Decision::plain(Verdict::Deny, refusal.reason);
        Decision { limit, quota: Some(refusal.quota), retry: Some(refusal.retry), ..decision }
    }

    /// A budget refuses what the limits and the quotas have agreed to.
    #[cold]
    fn refuse_by_budget(&mut self, limits: Clearance, quotas: QuotaClearance) -> Decision {
        let (limit, quota) = (self.held.limits.release(limits), self.held.quotas.release(quotas));
        let refusal = self.held.budgets.refusal();
        let decision = Decision::plain(Verdict::Deny, refusal.reason);
        Decision { limit, quota, budget: Some(refusal.quota), retry: Some(refusal.retry), ..decision }
    }

    /// Charges what is final in every stage.
    #[inline(always)] // not to copy what each has agreed to
    fn take(
        &mut self,
        subject: &Subject<'_>,
        limits: Clearance,
        quotas: QuotaClearance,
        quote: Quote,
        budgets: QuotaClearance,
    ) -> Decision {
        let verdict = verdict_of(&limits);
        let limit = self.held.limits.charge(subject, limits);
        let quota = self.held.quotas.charge(quotas);
        let price = self.held.costs.charge(quote);
        let budget = self.charge_budgets(budgets, price);
        allowed(verdict, limit, quota, budget, price)
    }

    /// Charges the budgets with what the account was charged.
    #[inline(always)] // not to copy what they have agreed to
    fn charge_budgets(&mut self, budgets: QuotaClearance, price: Option<NanoUnits>) -> Option<QuotaStanding> {
        match price.map_or(0, as_credit) {
            0 => self.held.budgets.charge(budgets),
            credit => self.held.budgets.charge_credit(budgets, credit),
        }
    }

    /// Charges or reserves in every stage, and keeps in a ticket what is to be settled. What waits in a queue is reserved
    /// in any case, since it can be let go.
    #[inline(never)]
    fn take_held(&mut self, now: Now, subject: &Subject<'_>, cleared: Cleared<'_>) -> Decision {
        let waits = cleared.turn.is_some_and(|turn| turn.wait.is_some());
        let (reserves, expires_in) = match subject.request.settlement {
            Settlement::Reserve { expires_in } => (true, expires_in.min(RESERVED_FOR_MAX)),
            Settlement::Final => (waits, OUTCOME_EXPIRES_IN),
        };
        let (quota_holds, budget_holds) = match reserves {
            true => (cleared.quotas.holds(), cleared.budgets.holds()),
            false => (cleared.quotas.observers(), 0),
        };
        let holds = cleared.limits.holds()
            + quota_holds
            + budget_holds
            + 1
            + usize::from(cleared.turn.is_some())
            + usize::from(cleared.call.is_some());
        if !self.held.tickets.has_room(holds) {
            self.release(cleared);
            return self.refuse_ticket(now);
        }
        let Cleared { limits, quotas, quote, budgets, turn, call } = cleared;
        let verdict = verdict_of(&limits);
        let is_final = subject.request.settlement == Settlement::Final;
        let not_before = now.instant.after(limits.delay());
        let usage = subject.request.usage();
        let memo =
            Memo { usage, reserves, waits, is_final, expires_in, not_before, measure: MeasureId::NONE };
        // While it waits, nothing runs out: the queue lets it go at its deadline.
        let begins = turn.filter(|_| waits).map_or(now.instant, |turn| turn.deadline);
        let due = begins.after(expires_in);
        let ticket = self.held.tickets.open(memo, due);
        let dropped = turn.and_then(|turn| self.take_turn(now, ticket, turn, due));
        let tickets = &mut self.held.tickets;
        if let (Some(call), Some(route)) = (call, subject.request.route) {
            tickets.hold(ticket, Hold::Call(self.held.traffic.acquire(now, call, route)), due);
        }
        let mut keep_limit = |hold: LimitHold| {
            let due = match hold.lease() {
                Some(lease) if !waits => lease_due(now, lease, !reserves, due),
                _ => due,
            };
            tickets.hold(ticket, Hold::Limit(hold), due);
        };
        let limit = match reserves {
            true => self.held.limits.charge_held(subject, limits, &mut keep_limit),
            false => self.held.limits.charge_in_flight(subject, limits, &mut keep_limit),
        };
        let mut keep_quota = |hold: QuotaHold| tickets.hold(ticket, Hold::Quota(hold), due);
        let quota = match reserves {
            true => self.held.quotas.charge_held(quotas, &mut keep_quota),
            false => self.held.quotas.charge_observed(quotas, &mut keep_quota),
        };
        let price = quote.amount();
        let budget = if reserves {
            let mut keep_budget = |hold: QuotaHold| tickets.hold(ticket, Hold::Budget(hold), due);
            let budget = self.held.budgets.charge_held(budgets, &mut keep_budget);
            // The cost comes last, since it is the first to be settled.
            if let Some(hold) = self.held.costs.charge_held(quote) {
                tickets.hold(ticket, Hold::Cost(hold), due);
            }
            budget
        } else {
            let price = self.held.costs.charge(quote);
            self.charge_budgets(budgets, price)
        };
        if let Some(dropped) = dropped {
            self.held.void(now, dropped);
        }
        let mut decision = allowed(verdict, limit, quota, budget, price);
        decision.ticket = Some(ticket);
        if let Some(wait) = turn.and_then(|turn| turn.wait) {
            queue(&mut decision, verdict, wait);
        }
        decision
    }

    /// There is no ticket for a request. Room comes with the first hold that is due, or before.
    #[cold]
    fn refuse_ticket(&self, now: Now) -> Decision {
        let due = self.held.tickets.next_due().unwrap_or(now.instant);
        let retry = Some(Wait::For(due.since(now.instant)));
        Decision { retry, ..Decision::plain(Verdict::Deny, Reason::TicketsFull) }
    }

    /// Takes the place in the queue that a request was promised. Gives the ticket of the request that made room for it.
    fn take_turn(&mut self, now: Now, ticket: Ticket, turn: Turn<'_>, due: Instant) -> Option<Ticket> {
        let request = QueuedRequest { request_id: ticket.to_bits(), ..turn.request };
        let mut dropped = None;
        let placed = if turn.wait.is_some() {
            self.queues.enqueue_request(now.instant, turn.queue, &request, &mut |other| {
                assert!(dropped.is_none(), "one request takes the place of one");
                dropped = Some(Ticket::from_bits(other.request_id));
            })
        } else {
            self.queues.start_request(now.instant, turn.queue, &request)
        };
        let place = placed.expect("the queue had room at this time");
        self.held.tickets.hold(ticket, Hold::Queue(place), due);
        dropped
    }

    /// Takes nothing, and says how everything stands.
    #[inline(never)]
    fn release(&mut self, cleared: Cleared<'_>) -> Decision {
        let verdict = verdict_of(&cleared.limits);
        let limit = self.held.limits.release(cleared.limits);
        let quota = self.held.quotas.release(cleared.quotas);
        let budget = self.held.budgets.release(cleared.budgets);
        let mut decision = allowed(verdict, limit, quota, budget, cleared.quote.amount());
        if let Some(wait) = cleared.turn.and_then(|turn| turn.wait) {
            queue(&mut decision, verdict, wait);
        }
        decision
    }

    /// Settles one hold. Returns whether what it is of is still there.
    pub(super) fn settle(
        &mut self,
        now: Now,
        hold: &Hold,
        actual: &Usage,
        outcome: Option<&Outcome>,
        settlements: &mut Settlements,
    ) -> bool {
        let Hold::Queue(place) = hold else {
            return self.held.settle(now, hold, actual, outcome, settlements);
        };
        match outcome {
            Some(outcome) if outcome.disposition == Disposition::Commit => {
                let report = ServiceReport { service_us: outcome.service_us(), is_error: outcome.is_error() };
                self.queues.complete_request(now.instant, *place, &report).is_ok()
            }
            Some(_) => self.queues.cancel(now.instant, *place).is_ok(),
            // Nobody has said anything in time: of one that waits, that is its reason.
            None => {
                let expired = self.queues.reject_request(now.instant, *place, RejectReason::Expired);
                expired.is_ok() || self.queues.cancel(now.instant, *place).is_ok()
            }
        }
    }
}

/// A limit refuses.
#[inline(always)] // not to copy how it stands
pub(super) fn refused_by_limit(refusal: &Refusal) -> Decision {
    let decision = Decision::plain(Verdict::Deny, refusal.reason);
    Decision { limit: Some(refusal.limit), retry: Some(refusal.retry), ..decision }
}

/// The breaker of its scope refuses.
#[cold]
fn refused_by_breaker(scope: ScopeId, refusal: &BreakerRefusal) -> Decision {
    let reason = match refusal.state {
        BreakerState::HalfOpen => Reason::BreakerHalfOpen,
        BreakerState::Open | BreakerState::Closed => Reason::BreakerOpen,
    };
    let decision = Decision::plain(Verdict::Deny, reason);
    Decision { scope: Some(scope), retry: Some(refusal.retry), ..decision }
}

/// A request that waits for its service, and for its turn of leaky queues if that takes longer.
fn queue(decision: &mut Decision, verdict: Verdict, wait: Nanos) {
    let wait = if let Verdict::Delay(turn) = verdict { wait.max(turn) } else { wait };
    (decision.verdict, decision.reason) = (Verdict::Queue(wait), Reason::Queued);
}

/// What a price gives back: all that was charged before becomes cheaper where a volume price falls.
pub(super) fn as_credit(price: NanoUnits) -> u64 {
    NanoUnits(price.0.saturating_neg()).as_spent()
}

pub(super) fn verdict_of(limits: &Clearance) -> Verdict {
    match limits.delay() {
        Nanos::ZERO => Verdict::Allow,
        turn => Verdict::Delay(turn),
    }
}

/// An allowed request, and what speaks for it.
#[inline(always)] // not to copy what each stage tells
pub(super) fn allowed(
    verdict: Verdict,
    limit: Option<LimitStanding>,
    quota: Option<QuotaStanding>,
    budget: Option<QuotaStanding>,
    price: Option<NanoUnits>,
) -> Decision {
    let is_limited = limit.is_some() || quota.is_some() || budget.is_some();
    let reason = if is_limited { Reason::WithinLimits } else { Reason::NoLimit };
    Decision { limit, quota, budget, price, ..Decision::plain(verdict, reason) }
}
