//! The stages behind the limits: quotas, the price, budgets. What is checked of all is taken of all, or of none.

use super::{Hold, Memo, OUTCOME_EXPIRES_IN, RESERVED_FOR_MAX};
use crate::cost::{CostCollector, Estimate, Quote};
use crate::decision::{Decision, LimitStanding, Reason, Verdict, Wait};
use crate::money::NanoUnits;
use crate::outcome::Outcome;
use crate::quota::{QuotaAmounts, QuotaClearance, QuotaHold, QuotaManager, QuotaSettled, QuotaStanding};
use crate::rate_limiter::{Access, Clearance, LimitHold, RateLimiter, Settled};
use crate::request::{HashedSubject, Settlement, Subject, Usage};
use crate::tickets::Tickets;
use crate::time::{Nanos, Now};

/// The stages of a governor, apart from what the request at hand is described with.
pub(super) struct Stages<'a, const KEYS: usize, const LOG: usize, const TENANTS: usize> {
    pub(super) limits: &'a mut RateLimiter<KEYS, LOG>,
    pub(super) quotas: &'a mut QuotaManager<TENANTS>,
    pub(super) budgets: &'a mut QuotaManager<TENANTS>,
    pub(super) costs: &'a mut CostCollector<TENANTS>,
    pub(super) tickets: &'a mut Tickets<Hold, Memo, TENANTS>,
}

/// What every stage has agreed to.
struct Cleared {
    limits: Clearance,
    quotas: QuotaClearance,
    quote: Quote,
    budgets: QuotaClearance,
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Stages<'_, KEYS, LOG, TENANTS> {
    /// Asks the stages behind the limits, and takes from all or from none.
    #[inline(never)]
    pub(super) fn decide(
        &mut self,
        now: Now,
        subject: &Subject<'_>,
        limits: Clearance,
        access: Access,
    ) -> Decision {
        let request = subject.request;
        let usage = request.usage();
        let hashed = HashedSubject::new(subject, self.limits.secret());
        self.limits.tell_hashes(&hashed);
        let amounts = QuotaAmounts::from(usage);
        let Some(quotas) = self.quotas.check_hashed(now, &hashed, &amounts, access) else {
            return self.refuse_by_quota(limits);
        };
        let estimate = match request.settlement {
            Settlement::Final => Estimate::Exact,
            Settlement::Reserve { .. } => Estimate::Dearest,
        };
        let Ok(quote) = self.costs.quote_hashed(now, &hashed, &usage, estimate) else {
            let (limit, quota) = (self.limits.release(limits), self.quotas.release(quotas));
            let decision = Decision::plain(Verdict::Deny, Reason::PriceOutOfRange);
            return Decision { limit, quota, retry: Some(Wait::Never), ..decision };
        };
        let spent = QuotaAmounts::of_cost(quote.amount().map_or(0, NanoUnits::as_spent));
        let Some(budgets) = self.budgets.check_hashed(now, &hashed, &spent, access) else {
            return self.refuse_by_budget(limits, quotas);
        };
        let needs_ticket = limits.needs_ticket() || quotas.needs_ticket();
        if request.settlement == Settlement::Final && !needs_ticket && access == Access::Charge {
            return self.take(subject, limits, quotas, quote, budgets);
        }
        let cleared = Cleared { limits, quotas, quote, budgets };
        if access == Access::Peek {
            return self.release(cleared);
        }
        match request.settlement {
            Settlement::Reserve { expires_in } => self.take_held(now, subject, cleared, Some(expires_in)),
            Settlement::Final => self.take_held(now, subject, cleared, None),
        }
    }

    /// A quota refuses what the limits have agreed to.
    #[cold]
    fn refuse_by_quota(&mut self, limits: Clearance) -> Decision {
        let (limit, refusal) = (self.limits.release(limits), self.quotas.refusal());
        let decision = Decision::plain(Verdict::Deny, refusal.reason);
        Decision { limit, quota: Some(refusal.quota), retry: Some(refusal.retry), ..decision }
    }

    /// A budget refuses what the limits and the quotas have agreed to.
    #[cold]
    fn refuse_by_budget(&mut self, limits: Clearance, quotas: QuotaClearance) -> Decision {
        let (limit, quota) = (self.limits.release(limits), self.quotas.release(quotas));
        let refusal = self.budgets.refusal();
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
        let limit = self.limits.charge(subject, limits);
        let quota = self.quotas.charge(quotas);
        let price = self.costs.charge(quote);
        let budget = self.charge_budgets(budgets, price);
        allowed(verdict, limit, quota, budget, price)
    }

    /// Charges the budgets with what the account was charged.
    #[inline(always)] // not to copy what they have agreed to
    fn charge_budgets(&mut self, budgets: QuotaClearance, price: Option<NanoUnits>) -> Option<QuotaStanding> {
        match price.map_or(0, as_credit) {
            0 => self.budgets.charge(budgets),
            credit => self.budgets.charge_credit(budgets, credit),
        }
    }

    /// Charges or reserves in every stage, and keeps in a ticket what is to be settled.
    #[inline(never)]
    fn take_held(
        &mut self,
        now: Now,
        subject: &Subject<'_>,
        cleared: Cleared,
        expires_in: Option<Nanos>,
    ) -> Decision {
        let Cleared { limits, quotas, quote, budgets } = cleared;
        let (quota_holds, budget_holds) = match expires_in {
            Some(_) => (quotas.holds(), budgets.holds()),
            None => (quotas.observers(), 0),
        };
        let holds = limits.holds() + quota_holds + budget_holds + 1;
        if !self.tickets.has_room(holds) {
            self.release(Cleared { limits, quotas, quote, budgets });
            // Room comes with the first hold that is due, or before.
            let due = self.tickets.next_due().unwrap_or(now.instant);
            let retry = Some(Wait::For(due.since(now.instant)));
            return Decision { retry, ..Decision::plain(Verdict::Deny, Reason::TicketsFull) };
        }
        let verdict = verdict_of(&limits);
        let memo = Memo { usage: subject.request.usage(), reserves: expires_in.is_some() };
        let due =
            now.instant.after(expires_in.map_or(OUTCOME_EXPIRES_IN, |length| length.min(RESERVED_FOR_MAX)));
        let ticket = self.tickets.open(memo, due);
        let tickets = &mut self.tickets;
        let mut keep_limit = |hold: LimitHold| {
            let due = match (hold.lease(), expires_in) {
                // With the reservation ends what it is for.
                (Some(lease), Some(_)) => now.instant.after(lease).min(due),
                (Some(lease), None) => now.instant.after(lease),
                (None, _) => due,
            };
            tickets.hold(ticket, Hold::Limit(hold), due);
        };
        let limit = match expires_in {
            Some(_) => self.limits.charge_held(subject, limits, &mut keep_limit),
            None => self.limits.charge_in_flight(subject, limits, &mut keep_limit),
        };
        let mut keep_quota = |hold: QuotaHold| tickets.hold(ticket, Hold::Quota(hold), due);
        let quota = match expires_in {
            Some(_) => self.quotas.charge_held(quotas, &mut keep_quota),
            None => self.quotas.charge_observed(quotas, &mut keep_quota),
        };
        let price = quote.amount();
        let budget = if expires_in.is_some() {
            let mut keep_budget = |hold: QuotaHold| tickets.hold(ticket, Hold::Budget(hold), due);
            let budget = self.budgets.charge_held(budgets, &mut keep_budget);
            // The cost comes last, since it is the first to be settled.
            if let Some(hold) = self.costs.charge_held(quote) {
                tickets.hold(ticket, Hold::Cost(hold), due);
            }
            budget
        } else {
            let price = self.costs.charge(quote);
            self.charge_budgets(budgets, price)
        };
        Decision { ticket: Some(ticket), ..allowed(verdict, limit, quota, budget, price) }
    }

    /// Takes nothing, and says how everything stands.
    #[inline(never)]
    fn release(&mut self, cleared: Cleared) -> Decision {
        let verdict = verdict_of(&cleared.limits);
        let limit = self.limits.release(cleared.limits);
        let quota = self.quotas.release(cleared.quotas);
        let budget = self.budgets.release(cleared.budgets);
        allowed(verdict, limit, quota, budget, cleared.quote.amount())
    }

    /// Settles one hold. Returns whether what it is of is still there.
    pub(super) fn settle(
        &mut self,
        now: Now,
        hold: &Hold,
        actual: &Usage,
        outcome: Option<&Outcome>,
        posted: &mut Option<NanoUnits>,
    ) -> bool {
        match hold {
            Hold::Cost(hold) if *actual == Usage::ZERO => self.costs.void(hold),
            Hold::Cost(hold) => *posted = Some(self.costs.settle(now, hold, actual)),
            Hold::Limit(hold) => {
                return self.limits.settle(now, hold, actual.amount(hold.unit())) != Settled::Stale;
            }
            Hold::Quota(hold) if hold.unit().is_observed() => {
                let settled = match outcome {
                    Some(outcome) => self.quotas.observe(now, hold, &outcome.observation()),
                    None => self.quotas.settle(now, hold, 0),
                };
                return settled != QuotaSettled::Stale;
            }
            Hold::Quota(hold) => {
                let amount = QuotaAmounts::from(*actual).amount(hold.unit());
                return self.quotas.settle(now, hold, amount) != QuotaSettled::Stale;
            }
            Hold::Budget(hold) => {
                let settled = match posted.map_or(0, as_credit) {
                    0 => self.budgets.settle(now, hold, posted.map_or(0, NanoUnits::as_spent)),
                    credit => self.budgets.settle_credit(now, hold, credit),
                };
                return settled != QuotaSettled::Stale;
            }
        }
        true
    }
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
