//! One way through for every request: the stages in their order, the decision, the counters.
//!
//! The stages are the loop guard, policies, the breaker of the call's scope, limits, quotas, the price, budgets, the queue of
//! the service. Each is checked before anything is taken, and each is taken from only when all have agreed; the guard
//! alone counts whatever it is asked. What a request will really take may be told later: then
//! every stage hands out *holds*, a [`Ticket`] keeps them, and [`Governor::complete`] settles all of them at once.

mod figures;
mod holders;
mod policies;
mod queues;
mod readings;
mod stages;
mod traffic;

use crate::alerts::{AlertError, GovernanceAlerts};
use crate::config::{Config, Identity};
use crate::cost::{BudgetSpec, CostCollector, CostError, CostHold, EVENT_AGE_MAX, EventOutcome, UsageEvent};
use crate::decision::{Decision, Reason, Verdict};
use crate::field::Quoted;
use crate::metrics::{GovernanceCollector, MeasureId, Spoken, VerdictKind};
use crate::outcome::{CompleteError, Completion, Disposition, Outcome};
use crate::policy::{DefaultEffect, PolicyEngine, PolicyError};
use crate::priority::{ClassWeight, DEFAULT_WEIGHTS, PriorityError, PriorityScheduler, QueueTicket};
use crate::quota::{QuotaAmounts, QuotaError, QuotaHold, QuotaManager};
use crate::rate_limiter::{Access, LimitError, LimitHold, RateLimiter};
use crate::request::{HashedSubject, Request, RequestPriority, Settlement, Subject, Usage};
use crate::routes::{EXEMPT_GROUP, Routes};
use crate::scope::HashSecret;
use crate::tickets::{Ending, Ticket, TicketStats, Tickets};
use crate::time::{Instant, Nanos, Now, WallTime};
use crate::traffic::{CallHold, TrafficController, TrafficError, check_rules};
use core::fmt;
use holders::Holders;
pub use queues::{Dispatched, WaitingError};
use readings::measured;
use stages::{Entry, Settlements, Stages, allowed, as_credit, refused_by_limit, verdict_of};
pub use traffic::InboundAnswer;

/// What was decided, by verdict and by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounters {
    /// Requests that were decided.
    pub requests: u64,
    /// Requests that were allowed, now or later.
    pub allowed: u64,
    /// Allowed requests that were told to wait for their turn.
    pub delayed: u64,
    /// Allowed requests that were told to wait in a queue.
    pub queued: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Requests that were sent to another service.
    pub redirected: u64,
    by_reason: [u64; Reason::ALL.len()],
}

impl DecisionCounters {
    /// How many decisions had this reason.
    #[must_use]
    pub const fn of(&self, reason: Reason) -> u64 {
        self.by_reason[reason as usize]
    }

    /// What the metrics have counted, by verdict.
    fn of_metrics(metrics: &GovernanceCollector) -> Self {
        let mut counters = Self::default();
        for (verdict, reason, count) in metrics.decisions() {
            counters.requests += count;
            counters.by_reason[reason as usize] += count;
            match verdict {
                VerdictKind::Allow => counters.allowed += count,
                VerdictKind::Delay => {
                    counters.allowed += count;
                    counters.delayed += count;
                }
                VerdictKind::Queue => {
                    counters.allowed += count;
                    counters.queued += count;
                }
                VerdictKind::Redirect => counters.redirected += count,
                VerdictKind::Deny => counters.denied += count,
            }
        }
        counters
    }
}

/// Why a configuration could not be put in force. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigureError {
    /// Limits do not go together, or beside what is there.
    Limits(LimitError),
    /// Quotas or budgets do not go together.
    Quotas(QuotaError),
    /// Prices, tenants or schedules do not go together, or beside what is there.
    Costs(CostError),
    /// Policies do not go together, or name what is not there.
    Policies(PolicyError),
    /// Service-level agreements do not go together, or beside what waits.
    Priorities(PriorityError),
    /// Breakers and retry policies do not go together.
    Traffic(TrafficError),
    /// Alerts do not go together.
    Alerts(AlertError),
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(error) => error.fmt(f),
            Self::Quotas(error) => error.fmt(f),
            Self::Costs(error) => error.fmt(f),
            Self::Policies(error) => error.fmt(f),
            Self::Priorities(error) => error.fmt(f),
            Self::Traffic(error) => error.fmt(f),
            Self::Alerts(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigureError {}

/// How long a reservation can stand: as long ago as a usage event can have been.
pub const RESERVED_FOR_MAX: Nanos = EVENT_AGE_MAX;
/// How long the outcome of a request that reserved nothing is waited for.
pub const OUTCOME_EXPIRES_IN: Nanos = Nanos::from_seconds(3600);

/// What a stage has set aside for a request.
// With a tag of its own, so that the first variant is all-zero when its hold is: otherwise the tag would go where
// another variant has no use for a value.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
enum Hold {
    Limit(LimitHold),
    Quota(QuotaHold),
    Budget(QuotaHold),
    Cost(CostHold),
    Queue(QueueTicket),
    Call(CallHold),
}

impl Hold {
    /// Whether it sets an amount aside, and not a place among what is in flight, in service or awaited.
    const fn is_of_an_amount(&self) -> bool {
        match self {
            Self::Limit(hold) => hold.lease().is_none(),
            Self::Quota(hold) => !hold.unit().is_observed(),
            Self::Budget(_) | Self::Cost(_) => true,
            Self::Queue(_) | Self::Call(_) => false,
        }
    }
}

/// What is kept of a request until its outcome is known.
#[derive(Clone, Copy, Debug)]
struct Memo {
    usage: Usage,
    /// Whether the amounts are reserved, or charged already.
    reserves: bool,
    /// Whether it waits in a queue.
    waits: bool,
    /// Whether its amounts were final when it was decided: once it is dispatched, they are charged.
    is_final: bool,
    /// How long its outcome is waited for, or its reservation stands, once it is not waiting.
    expires_in: Nanos,
    /// The turn that leaky queues gave it.
    not_before: Instant,
    /// Where its outcome is counted.
    measure: MeasureId,
}

impl Memo {
    const EMPTY: Self = Self {
        usage: Usage::ZERO,
        reserves: false,
        waits: false,
        is_final: false,
        expires_in: Nanos::ZERO,
        not_before: Instant(0),
        measure: MeasureId::NONE,
    };
}

/// The whole engine over `KEYS` keyed buckets, `LOG` entries of exact windows, and books for `TENANTS` tenants. All-zero
/// when empty.
#[derive(Debug)]
pub struct Governor<const KEYS: usize, const LOG: usize, const TENANTS: usize = 16> {
    /// The rate limits.
    pub limits: RateLimiter<KEYS, LOG>,
    /// The quotas.
    pub quotas: QuotaManager<TENANTS>,
    /// The budgets: quotas on what requests cost, in nano-units.
    pub budgets: QuotaManager<TENANTS>,
    /// Prices, accounts and invoices.
    pub costs: CostCollector<TENANTS>,
    /// The policies.
    pub policies: PolicyEngine,
    /// The queues of services that have an agreement.
    pub queues: PriorityScheduler<TENANTS>,
    /// The loop guard, and the breakers and retry policies of outbound scopes.
    pub traffic: TrafficController,
    /// What is counted over time.
    pub metrics: GovernanceCollector,
    /// The alerts.
    pub alerts: GovernanceAlerts,
    tickets: Tickets<Hold, Memo, TENANTS>,
    routes: Routes,
    identity: Identity,
    /// The latest time that was seen: periods, prices and tickets know no earlier one.
    latest: Now,
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Default for Governor<KEYS, LOG, TENANTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// A governor that allows everything.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: RateLimiter::new(),
            quotas: QuotaManager::new(),
            budgets: QuotaManager::new(),
            costs: CostCollector::new(),
            policies: PolicyEngine::new(),
            queues: PriorityScheduler::new(),
            traffic: TrafficController::new(),
            metrics: GovernanceCollector::new(),
            alerts: GovernanceAlerts::new(),
            tickets: Tickets::new(Hold::Limit(LimitHold::EMPTY), Memo::EMPTY),
            routes: Routes::new(),
            identity: Config::new().identity,
            latest: Now { instant: Instant(0), wall: WallTime(0) },
        }
    }

    /// Forgets everything, in place, and takes a secret for hashing keys.
    pub fn reset(&mut self, secret: HashSecret) {
        self.limits.reset(secret);
        self.quotas.reset(secret);
        self.budgets.reset(secret);
        self.costs.reset(secret);
        self.policies.reset();
        self.queues.reset(secret);
        self.traffic.reset(secret);
        self.metrics.reset();
        self.alerts.reset(secret);
        self.tickets.clear();
        self.routes.clear();
        self.identity = Identity::default();
        self.latest = Now::default();
    }

    /// Hashes under another secret from now on, which comes before anything is configured.
    ///
    /// # Panics
    /// If anything is configured already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        self.limits.set_secret(secret);
        self.quotas.set_secret(secret);
        self.budgets.set_secret(secret);
        self.costs.set_secret(secret);
        self.queues.set_secret(secret);
        self.traffic.set_secret(secret);
        self.alerts.set_secret(secret);
    }

    /// Takes a configuration as a whole. Limits, quotas and budgets that did not change keep what they have counted.
    ///
    /// # Errors
    /// [`ConfigureError`]: what a [`Config`] has let pass can still not fit beside what is there. Nothing was changed.
    pub fn configure(&mut self, now: Now, config: &Config) -> Result<(), ConfigureError> {
        self.costs
            .check_configuration(config.currency(), config.models(), config.tenants(), config.schedules())
            .map_err(ConfigureError::Costs)?;
        let mut misfit = None;
        config.each_misfit_policy(|_, error| {
            misfit.get_or_insert(error);
        });
        misfit.map_or(Ok(()), |error| Err(ConfigureError::Policies(error)))?;
        self.queues
            .check_configuration(config.slas(), config.weights())
            .map_err(ConfigureError::Priorities)?;
        check_rules(config.breakers(), config.retries()).map_err(ConfigureError::Traffic)?;
        config.guard.check().map_err(|error| ConfigureError::Traffic(TrafficError::Guard(error)))?;
        self.limits.configure(now, config.limits()).map_err(ConfigureError::Limits)?;
        // What comes now has been checked by the configuration, each part by itself and together.
        self.quotas.configure(now, config.quotas()).map_err(ConfigureError::Quotas)?;
        self.budgets.configure(now, config.budgets()).map_err(ConfigureError::Quotas)?;
        self.costs
            .configure(now, config.currency(), config.models(), config.tenants(), config.schedules())
            .map_err(ConfigureError::Costs)?;
        if !config.budgets().is_empty() {
            self.costs.adopt_currency(config.currency()).map_err(ConfigureError::Costs)?;
        }
        self.queues
            .configure(now.instant, config.slas(), config.weights())
            .map_err(ConfigureError::Priorities)?;
        let Self { limits, policies, .. } = self;
        policies
            .configure(now, config.policies(), config.policy_default, &|name| limits.find(name))
            .map_err(ConfigureError::Policies)?;
        self.traffic
            .configure(&config.guard, config.breakers(), config.retries())
            .map_err(ConfigureError::Traffic)?;
        self.alerts.configure(config.alerts()).map_err(|(_, error)| ConfigureError::Alerts(error))?;
        self.routes.copy_from(&config.routes);
        self.identity = config.identity;
        Ok(())
    }

    /// Takes the configuration of `other`, with empty buckets, counters and books, apart from its queues: what is decided
    /// after the fact has no service to wait for. Breakers and the loop guard only look on, since it has happened.
    ///
    /// # Errors
    /// None, since what `other` holds fits.
    pub fn configure_like<const K: usize, const L: usize, const T: usize>(
        &mut self,
        other: &Governor<K, L, T>,
    ) -> Result<(), ConfigureError> {
        for (_, spec) in other.limits.limits() {
            self.limits.add(spec).map_err(ConfigureError::Limits)?;
        }
        for (own, others) in [(&mut self.quotas, &other.quotas), (&mut self.budgets, &other.budgets)] {
            own.configure_like(others).map_err(ConfigureError::Quotas)?;
        }
        self.costs.configure_like(&other.costs).map_err(ConfigureError::Costs)?;
        self.policies.configure_like(&other.policies);
        self.traffic.configure_to_look_on(&other.traffic).map_err(ConfigureError::Traffic)?;
        other
            .alerts
            .alerts()
            .try_for_each(|alert| self.alerts.define_alert(&alert.rule))
            .map_err(ConfigureError::Alerts)?;
        self.routes.copy_from(&other.routes);
        self.identity = other.identity;
        Ok(())
    }

    /// Decides a request, and charges what it takes if it may go on.
    pub fn admit(&mut self, now: Now, request: &Request<'_>) -> Decision {
        let latest = self.monotonic(now);
        self.expire(latest);
        self.decide(now, latest, request, Access::Charge, Entry::IfBusy)
    }

    /// Says what [`Governor::admit`] would, and neither charges nor counts anything: the limit that would speak is
    /// shown as it stands before the charge. No ticket is made.
    pub fn peek(&mut self, now: Now, request: &Request<'_>) -> Decision {
        let latest = self.monotonic(now);
        self.expire(latest);
        self.decide(now, latest, request, Access::Peek, Entry::IfBusy)
    }

    /// Settles everything that a ticket holds, with what the request really took.
    ///
    /// # Errors
    /// [`CompleteError`]; nothing was changed, but that an outcome that is late or repeated is counted.
    pub fn complete(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: &Outcome,
    ) -> Result<Completion, CompleteError> {
        let now = self.monotonic(now);
        self.expire(now);
        // Field by field: a copy of the whole would wait until all of it is written.
        let Memo { usage, reserves, waits, measure, .. } =
            *self.tickets.look_up(ticket).map_err(CompleteError::Ticket)?;
        if waits && outcome.disposition == Disposition::Commit {
            return Err(CompleteError::Waiting);
        }
        // A call that was not made gives its permit back, whatever was charged for it.
        let is_void_call = outcome.disposition == Disposition::Void
            && self.tickets.holds_of(ticket).any(|hold| matches!(hold, Hold::Call(_)));
        if outcome.has_amounts() && !reserves && !waits && !is_void_call {
            return Err(CompleteError::NothingReserved);
        }
        let taken = outcome.actual(&usage)?;
        let actual = if reserves { taken } else { usage };
        if let Some(Hold::Cost(hold)) = self.tickets.next_hold(ticket)
            && self.costs.price_of(now, hold, &actual).is_err()
        {
            return Err(CompleteError::PriceOutOfRange);
        }
        let mut completion = Completion {
            reserved: usage,
            actual,
            posted: None,
            settled: 0,
            stale: 0,
            queue: None,
            call: None,
        };
        let mut settlements = Settlements::default();
        // The price comes first: what it comes to is what the budgets are charged.
        while let Some(hold) = self.tickets.take_hold(ticket) {
            if let Hold::Queue(place) = hold {
                completion.queue = self.queues.queue_of(place);
            }
            let is_settled = self.stages().settle(now, &hold, &actual, Some(outcome), &mut settlements);
            completion.settled += usize::from(is_settled);
            completion.stale += usize::from(!is_settled);
        }
        (completion.posted, completion.call) = (settlements.posted, settlements.call);
        if outcome.disposition == Disposition::Commit {
            let tokens = if reserves { actual.tokens } else { 0 };
            self.count_outcome(now, measure, outcome, completion.posted.unwrap_or_default(), tokens);
        }
        self.tickets.end(
            ticket,
            match outcome.disposition {
                Disposition::Commit => Ending::Settled,
                Disposition::Void => Ending::Voided,
            },
        );
        Ok(completion)
    }

    /// Charges usage that was measured elsewhere, once for each id, to its tenant and service and to the budgets that
    /// match them: also where those have no room for it. Limits and quotas have no part in it.
    ///
    /// # Errors
    /// As [`CostCollector::record_event`].
    pub fn record_event(&mut self, now: Now, event: &UsageEvent<'_>) -> Result<EventOutcome, CostError> {
        let now = self.monotonic(now);
        let outcome = self.costs.record_event(now, event)?;
        if let EventOutcome::Accepted(Some(amount)) = outcome {
            self.count_event(now, event, amount);
            let request =
                Request { tenant: Some(event.tenant), service: Some(event.service), ..Request::default() };
            let subject = Subject { request: &request, group: None };
            self.budgets.post(now, &subject, &QuotaAmounts::of_cost(amount.as_spent()));
            let credit = as_credit(amount);
            if credit > 0 {
                self.budgets.credit(now, &subject, &QuotaAmounts::of_cost(credit));
            }
        }
        Ok(outcome)
    }

    /// Does what is due: gives back what tickets hold that nobody settled, lets go of what would not be done by its
    /// deadline, renews what periods have ended, and issues the invoices of those that are over. Decisions do not depend
    /// on it, since each does what it needs of this. A service may be free for others afterwards:
    /// [`PriorityScheduler::ready`] lists the queues to ask.
    pub fn tick(&mut self, now: Now) {
        let now = self.monotonic(now);
        self.expire(now);
        self.quotas.tick(now);
        self.budgets.tick(now);
        self.costs.tick(now);
        self.tick_queues(now);
        self.tick_alerts(now);
    }

    /// When [`Governor::tick`] has something to give back, to let go or to look at; none if no ticket is open and there are
    /// no alerts.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        // Whatever waits has a ticket.
        let dues = [self.tickets.next_due(), self.queues.next_due(), self.alerts.next_due()];
        dues.into_iter().flatten().min()
    }

    /// The tickets whose outcome is still to come, with what their requests were charged or have reserved, and when
    /// the first of what they hold is given back; in no particular order.
    pub fn open_tickets(&self) -> impl Iterator<Item = (Ticket, &Usage, Instant)> + '_ {
        self.tickets.iter().map(|(ticket, memo, due)| (ticket, &memo.usage, due))
    }

    /// What has become of tickets.
    #[must_use]
    pub const fn ticket_stats(&self) -> TicketStats {
        self.tickets.stats()
    }

    /// What was decided since the metrics began.
    #[must_use]
    pub fn counters(&self) -> DecisionCounters {
        DecisionCounters::of_metrics(&self.metrics)
    }

    /// The routes from paths to groups.
    #[must_use]
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// How the client of a request is told from its headers.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Writes the configuration in force as TOML that reads back to it.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write_config(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.identity)?;
        if !self.routes.as_slice().is_empty() {
            writeln!(out, "\n[routes]")?;
            for route in self.routes.as_slice() {
                writeln!(out, "{} = {}", Quoted(route.prefix()), Quoted(route.group()))?;
            }
        }
        self.limits.limits().try_for_each(|(_, spec)| write!(out, "\n{spec}"))?;
        self.costs.declared_tenants().try_for_each(|tenant| write!(out, "\n{tenant}"))?;
        self.quotas.allocations().try_for_each(|(_, spec)| write!(out, "\n{spec}"))?;
        self.costs.models().try_for_each(|model| write!(out, "\n{model}"))?;
        let currency = self.costs.currency();
        self.budgets
            .allocations()
            .try_for_each(|(_, quota)| write!(out, "\n{}", BudgetSpec { quota: *quota, currency }))?;
        self.costs.billing_schedules().iter().try_for_each(|billing| write!(out, "\n{billing}"))?;
        if self.policies.default_effect() != DefaultEffect::Allow {
            writeln!(out, "\n[policy]\ndefault = \"{}\"", self.policies.default_effect())?;
        }
        self.policies.list_policies().try_for_each(|(_, rule)| write!(out, "\n{rule}"))?;
        for (class, weight) in RequestPriority::ALL.into_iter().zip(self.queues.weights()) {
            if weight != DEFAULT_WEIGHTS[class.index()] {
                write!(out, "\n{}", ClassWeight { class, weight })?;
            }
        }
        self.queues.slas().try_for_each(|(_, sla)| write!(out, "\n{sla}"))?;
        if !self.traffic.guard.is_idle() {
            write!(out, "\n{}", self.traffic.guard.settings())?;
        }
        self.traffic.breaker_specs().iter().try_for_each(|breaker| write!(out, "\n{breaker}"))?;
        self.traffic.retry_specs().iter().try_for_each(|retry| write!(out, "\n{retry}"))?;
        self.alerts.alerts().try_for_each(|alert| write!(out, "\n{}", alert.rule))
    }

    /// Uses the time as it is given, unless it went back.
    #[inline]
    fn monotonic(&mut self, now: Now) -> Now {
        self.latest.instant = self.latest.instant.max(now.instant);
        self.latest.wall = self.latest.wall.max(now.wall);
        self.latest
    }

    /// Gives back what tickets hold that is due. Each hold is given back once, which its request has paid for.
    #[inline]
    fn expire(&mut self, now: Now) {
        if self.tickets.next_due().is_some_and(|due| due <= now.instant) {
            self.give_back_due(now);
        }
    }

    #[cold]
    fn give_back_due(&mut self, now: Now) {
        while let Some((hold, memo)) = self.tickets.take_due(now.instant) {
            // What was charged stays charged; what was reserved is given back.
            let actual = if memo.reserves { Usage::ZERO } else { memo.usage };
            if let Hold::Call(hold) = &hold {
                self.traffic.lose(now, hold);
                continue;
            }
            self.stages().settle(now, &hold, &actual, None, &mut Settlements::default());
        }
    }

    /// The limits keep the time of each key, and know what a clock that has gone back means for it; to the stages
    /// behind them, and to what tickets hold, it is never earlier than it was.
    #[inline(always)]
    fn decide(
        &mut self,
        now: Now,
        latest: Now,
        request: &Request<'_>,
        access: Access,
        entry: Entry,
    ) -> Decision {
        // Not by `stages`: the subject borrows from the routes.
        let Self {
            limits, quotas, budgets, costs, traffic, tickets, policies, queues, metrics, routes, ..
        } = self;
        let by_path = routes.by_path(request);
        let subject = Subject { request, group: request.group.or(by_path) };
        let secret = limits.secret();
        // Each key is hashed once, whatever asks for it first.
        let hashed = HashedSubject::new(&subject, secret);
        let mut held = Holders { limits, quotas, budgets, costs, traffic, tickets };
        let decision = if by_path.is_some_and(|group| group.as_str() == EXEMPT_GROUP) {
            // Only a route exempts: a caller cannot by naming the group.
            Decision::plain(Verdict::Allow, Reason::Exempt)
        } else if !policies.is_idle() || !queues.is_empty() || !held.traffic.is_idle() {
            // The decision is written where it is given back from.
            let mut stages = Stages { held: held.reborrow(), queues };
            policies::decide(policies, &mut stages, (now, latest), &hashed, entry, access)
        } else {
            decide_by_limits(&mut held, queues, (now, latest), &hashed, access)
        };
        if access == Access::Charge {
            let spoken = Spoken {
                verdict: decision.verdict,
                reason: decision.reason,
                is_of_quota: decision.quota.is_some() || decision.budget.is_some(),
                policy: decision.policy,
            };
            let measured = measured(secret, &hashed, decision.verdict, decision.price);
            let measure = metrics.record_spoken(latest, &measured, &spoken);
            if let Some(ticket) = decision.ticket
                && let Some(memo) = held.tickets.memo_mut(ticket)
            {
                memo.measure = measure;
            }
        }
        decision
    }

    fn stages(&mut self) -> Stages<'_, KEYS, LOG, TENANTS> {
        let Self { limits, quotas, budgets, costs, traffic, tickets, queues, .. } = self;
        Stages { held: Holders { limits, quotas, budgets, costs, traffic, tickets }, queues }
    }
}

/// The way of a request where there are no policies, no queues and no traffic control.
#[inline(always)] // not to copy what speaks for the decision
fn decide_by_limits<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    held: &mut Holders<'_, KEYS, LOG, TENANTS>,
    queues: &mut PriorityScheduler<TENANTS>,
    (now, latest): (Now, Now),
    hashed: &HashedSubject<'_>,
    access: Access,
) -> Decision {
    let subject = hashed.subject;
    let clearance = match held.limits.check_hashed(now, hashed, access) {
        Ok(clearance) => clearance,
        Err(refusal) => return refused_by_limit(&refusal),
    };
    let has_only_limits = held.quotas.is_empty() && held.budgets.is_empty() && !held.costs.has_prices();
    let is_final = subject.request.settlement == Settlement::Final && !clearance.needs_ticket();
    if has_only_limits && is_final {
        let verdict = verdict_of(&clearance);
        let limit = match access {
            Access::Charge => held.limits.charge(subject, clearance),
            Access::Peek => held.limits.release(clearance),
        };
        return allowed(verdict, limit, None, None, None);
    }
    let mut stages = Stages { held: held.reborrow(), queues };
    stages.decide_behind_limits(latest, hashed, clearance, (None, None), access)
}
