//! The whole: limits, then quotas, then budgets are asked, and a request is charged in all of them or in none.
//!
//! A budget is a quota on what a request is expected to cost. A request that takes what it says is charged and
//! billed at once. One that only reserves is held in quotas and budgets until its ticket is settled with what it
//! really took, and billed then; until its ticket is voided; or until the ticket expires, which is the same. A
//! ticket of a request that reserved nothing waits for its outcome, where a quota counts outcomes, and for an hour at
//! most. What is reserved is priced as the dearest that its tokens can turn out. A request without a tenant is billed
//! to nobody, who is a tenant like others.

use std::collections::BTreeMap;

use super::billing::{Billing, Charge, Invoice, Priced, sum};
use super::call::{Call, Usage};
use super::limiter::{Limiter, Verdict as LimitVerdict};
use super::meter::Wait;
use super::quota::{Amounts, Checked, Hold, Observed, Quotas, Taking};
use super::rule::Clocks;
use crate::calendar::{DAY, HOUR, Period};

/// The tenant of requests without one.
pub const NOBODY: &str = "(none)";

/// How long the outcome of a request that reserved nothing is waited for.
pub const OUTCOME_NS: u64 = HOUR;

/// How long a reservation stands at most, whatever the request asks for.
pub const RESERVED_NS_MAX: u64 = 35 * DAY;

/// Who is asked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The limits.
    Limits,
    /// The quotas.
    Quotas,
    /// The budgets.
    Budgets,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes, after a delay that limits ask for.
    Allow {
        /// The delay; 0 without one.
        delay_ns: u64,
    },
    /// It is refused.
    Deny {
        /// By whom.
        stage: Stage,
        /// The limit, quota or budget that refuses for the longest, of equals the first.
        by: String,
        /// For how long.
        wait: Wait,
    },
}

/// A verdict with all that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// What the quotas said, if they were asked.
    pub quotas: Option<Checked>,
    /// What the budgets said, if they were asked.
    pub budgets: Option<Checked>,
    /// What it is expected to cost; of a request that passes and reserves nothing what it was charged.
    pub quoted: Vec<Charge>,
    /// By what it is settled, voided or told to have failed, if it can be.
    pub ticket: Option<u64>,
}

impl Outcome {
    /// Whether the request passed.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allow { .. })
    }
}

/// What became of a request that was let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// What it really took. It counts only where that was not known before.
    pub usage: Usage,
    /// Whether it failed.
    pub failed: bool,
    /// How long it took, if that was measured.
    pub latency_ns: Option<u64>,
}

/// The model of limits, quotas, budgets and bills together.
#[derive(Debug)]
pub struct Governed {
    /// The limits.
    pub limiter: Limiter,
    /// The quotas.
    pub quotas: Quotas,
    /// The budgets.
    pub budgets: Quotas,
    /// The bills.
    pub billing: Billing,
    tickets: BTreeMap<u64, Ticket>,
    issued: u64,
    /// The latest of each clock. A clock that goes back stands still.
    latest: Clocks,
}

/// What a request that was let through still has to be told.
#[derive(Clone, Debug)]
struct Ticket {
    call: Call,
    quotas: Vec<Hold>,
    budgets: Vec<Hold>,
    /// The billing period of what is reserved and has a price.
    billed_in: Option<Period>,
    /// On the monotonic clock.
    expires_ns: u64,
}

impl Governed {
    /// A governor with nothing used. Budgets are quotas on cost.
    #[must_use]
    pub const fn new(limiter: Limiter, quotas: Quotas, budgets: Quotas, billing: Billing) -> Self {
        let latest = Clocks { instant_ns: 0, wall_ns: 0 };
        Self { limiter, quotas, budgets, billing, tickets: BTreeMap::new(), issued: 0, latest }
    }

    /// Decides a call, and charges it if it passes. One that is exempt passes and is charged nowhere.
    pub fn decide(&mut self, now: Clocks, call: &Call) -> Outcome {
        self.advance(now);
        let (now, wall_ns) = (self.latest, self.latest.wall_ns);
        let limits = self.limiter.check(now, &call.request);
        let mut outcome =
            Outcome { verdict: pass(0), quotas: None, budgets: None, quoted: Vec::new(), ticket: None };
        if call.request.exempt {
            return outcome;
        }
        let delay_ns = match limits.verdict {
            LimitVerdict::Allow { delay_ns } => delay_ns,
            LimitVerdict::Deny { limit, retry } => {
                outcome.verdict = Verdict::Deny { stage: Stage::Limits, by: limit, wait: retry };
                return outcome;
            }
        };
        let estimated = match (&call.request.service, call.reserve_ns) {
            (Some(service), Some(_)) => self.billing.dearest(service, call.usage()),
            _ => call.usage(),
        };
        outcome.quoted =
            priced(call, estimated).map_or_else(Vec::new, |event| self.billing.quote(wall_ns, &event));
        let amounts = Amounts { usage: call.usage(), cost_nano: sum(&outcome.quoted) };
        let checked = self.quotas.check(wall_ns, call, &amounts);
        let refused = refusal(Stage::Quotas, &checked);
        outcome.quotas = Some(checked);
        if let Some(refused) = refused {
            return Outcome { verdict: refused, ..outcome };
        }
        let checked = self.budgets.check(wall_ns, call, &amounts);
        let refused = refusal(Stage::Budgets, &checked);
        outcome.budgets = Some(checked);
        if let Some(refused) = refused {
            return Outcome { verdict: refused, ..outcome };
        }
        outcome.ticket = self.charge(call, &amounts);
        Outcome { verdict: pass(delay_ns), ..outcome }
    }

    /// Tells what became of a request. Answers what was charged for it now, or nothing if the ticket is unknown,
    /// used, or has expired.
    pub fn complete(&mut self, now: Clocks, ticket: u64, completion: &Completion) -> Option<Vec<Charge>> {
        self.advance(now);
        let ticket = self.tickets.remove(&ticket)?;
        let wall_ns = self.latest.wall_ns;
        let event = priced(&ticket.call, completion.usage).zip(ticket.billed_in);
        let event = event.filter(|_| completion.usage != Usage::default());
        let charges =
            event.map_or_else(Vec::new, |(event, period)| self.billing.settle(wall_ns, period, &event));
        let amounts = Amounts { usage: completion.usage, cost_nano: sum(&charges) };
        let observed = Observed { amounts, failed: completion.failed, latency_ns: completion.latency_ns };
        for hold in &ticket.quotas {
            self.quotas.settle(wall_ns, hold, &observed);
        }
        for hold in &ticket.budgets {
            self.budgets.settle(wall_ns, hold, &observed);
        }
        Some(charges)
    }

    /// Gives back what a request reserved. Answers whether its ticket was still to be used, and one that reserved.
    pub fn void(&mut self, now: Clocks, ticket: u64) -> bool {
        self.advance(now);
        let reserves = |ticket: &Ticket| ticket.call.reserve_ns.is_some();
        self.tickets.get(&ticket).is_some_and(reserves) && self.give_back(ticket)
    }

    /// Lets the clocks go on, and tickets whose time is over end, in the order of their times. Every other method does
    /// it first.
    pub fn advance(&mut self, now: Clocks) {
        self.latest.instant_ns = self.latest.instant_ns.max(now.instant_ns);
        self.latest.wall_ns = self.latest.wall_ns.max(now.wall_ns);
        self.billing.see(self.latest.wall_ns);
        let over_now = |ticket: &Ticket| ticket.expires_ns <= self.latest.instant_ns;
        let mut over: Vec<(u64, u64)> = Vec::new();
        for (number, ticket) in self.tickets.iter().filter(|(_, ticket)| over_now(ticket)) {
            over.push((ticket.expires_ns, *number));
        }
        over.sort_unstable();
        for (_, ticket) in over {
            self.give_back(ticket);
        }
    }

    /// When the next reservation ends, on the monotonic clock.
    #[must_use]
    pub fn next_expiry_ns(&self) -> Option<u64> {
        self.tickets.values().map(|ticket| ticket.expires_ns).min()
    }

    /// The tickets that are still to be used.
    #[must_use]
    pub fn open_tickets(&self) -> Vec<u64> {
        self.tickets.keys().copied().collect()
    }

    /// The latest of each clock that was seen.
    #[must_use]
    pub const fn latest(&self) -> Clocks {
        self.latest
    }

    /// All invoices, by tenant and period, whether or not their periods are over.
    #[must_use]
    pub fn invoices(&self) -> Vec<Invoice> {
        let charged = self.billing.charged_periods();
        charged.iter().map(|(tenant, period)| self.billing.invoice(tenant, period.start_ns)).collect()
    }

    fn charge(&mut self, call: &Call, amounts: &Amounts) -> Option<u64> {
        let wall_ns = self.latest.wall_ns;
        let taking = if call.reserve_ns.is_some() { Taking::Reserved } else { Taking::Final };
        self.limiter.charge(&call.request);
        let quotas = self.quotas.charge(wall_ns, call, amounts, taking);
        let budgets = self.budgets.charge(wall_ns, call, amounts, taking);
        let mut billed_in = None;
        match (taking, priced(call, call.usage())) {
            (Taking::Final, Some(event)) => {
                self.billing.post(wall_ns, &event);
            }
            (Taking::Reserved, Some(event)) => billed_in = self.billing.reserve(wall_ns, &event),
            (_, None) => {}
        }
        if taking == Taking::Final && quotas.is_empty() && budgets.is_empty() {
            return None;
        }
        let stands_ns = call.reserve_ns.map_or(OUTCOME_NS, |length| length.min(RESERVED_NS_MAX));
        let expires_ns = self.latest.instant_ns.saturating_add(stands_ns);
        self.issued += 1;
        self.tickets
            .insert(self.issued, Ticket { call: call.clone(), quotas, budgets, billed_in, expires_ns });
        Some(self.issued)
    }

    fn give_back(&mut self, ticket: u64) -> bool {
        let Some(ticket) = self.tickets.remove(&ticket) else { return false };
        for hold in &ticket.quotas {
            self.quotas.void(self.latest.wall_ns, hold);
        }
        for hold in &ticket.budgets {
            self.budgets.void(self.latest.wall_ns, hold);
        }
        true
    }
}

const fn pass(delay_ns: u64) -> Verdict {
    Verdict::Allow { delay_ns }
}

fn refusal(stage: Stage, checked: &Checked) -> Option<Verdict> {
    let refusal = checked.refusal()?;
    Some(Verdict::Deny { stage, by: refusal.quota.clone(), wait: refusal.wait })
}

/// What a call that takes `usage` is billed as, if it calls a service.
fn priced(call: &Call, usage: Usage) -> Option<Priced<'_>> {
    Some(Priced {
        tenant: call.request.tenant.as_deref().unwrap_or(NOBODY),
        service: call.request.service.as_deref()?,
        priority: call.priority,
        method: call.method.as_deref(),
        usage,
    })
}

#[cfg(test)]
mod tests {
    use super::{Completion, Governed, Stage, Verdict};
    use crate::calendar::{Cycle, DAY, HOUR, MINUTE, SECOND, midnight};
    use crate::oracle::billing::{Billing, Schedule};
    use crate::oracle::call::{Call, Usage};
    use crate::oracle::limiter::Limiter;
    use crate::oracle::meter::Wait;
    use crate::oracle::price::{CostModel, Metric, Price, Tier};
    use crate::oracle::quota::{Counted, Quota, Quotas};
    use crate::oracle::rule::{Algorithm, Align, Clocks, Limit, Pattern, Request};
    use num_bigint::BigInt;

    const NOON: u64 = 12 * HOUR;

    /// Ten requests a minute, 1000 tokens a day, 5000 nano-units a month. An input token costs 2 nano-units, an
    /// output token 10, and of those the first 100 of a month nothing.
    fn governed() -> Governed {
        let window = Algorithm::FixedWindow { limit: 10, window_ns: MINUTE, align: Align::Clock };
        let tiers = vec![Tier::new(Some(100), 0), Tier::new(None, 10)];
        let model = CostModel {
            service: Pattern::Exact("llm".to_owned()),
            prices: vec![
                (Metric::InputTokens, Price::unit(2, 1)),
                (Metric::OutputTokens, Price::Graduated { tiers, per: 1 }),
            ],
            multipliers: vec![],
        };
        let schedule = Schedule { cycle: Cycle::Monthly, anchor_ns: 0 };
        Governed::new(
            Limiter::new(vec![Limit::on("tenant:*", window)], |_, _| 0),
            Quotas::new(vec![
                Quota::on("tenant:*", Counted::Tokens, 1000, Cycle::DAILY),
                Quota::on("service:*", Counted::Errors, 1, Cycle::HOURLY).named("errors"),
            ]),
            Quotas::new(vec![Quota::on("tenant:*", Counted::Cost, 5000, Cycle::Monthly).named("budget")]),
            Billing::new(vec![model], schedule, 2),
        )
    }

    fn call(tokens: u64, output_tokens: u64) -> Call {
        let tenant = Some("acme".to_owned());
        let request = Request { tenant, service: Some("llm".to_owned()), tokens, ..Request::default() };
        Call { output_tokens, ..Call::of(request) }
    }

    fn used(model: &Governed) -> (u128, u128, u128, u128) {
        let wall_ns = model.latest().wall_ns;
        let tokens = model.quotas.status(wall_ns, "tenant:*", "acme").unwrap();
        let money = model.budgets.status(wall_ns, "budget", "acme").unwrap();
        (tokens.used, tokens.reserved, money.used, money.reserved)
    }

    fn denied(stage: Stage, by: &str, wait: Wait) -> Verdict {
        Verdict::Deny { stage, by: by.to_owned(), wait }
    }

    #[test]
    fn the_first_stage_that_refuses_speaks_and_nothing_is_charged() {
        let mut model = governed();
        let now = Clocks::both(NOON);
        for _ in 0..10 {
            assert!(model.decide(now, &call(10, 0)).allowed());
        }
        assert_eq!(used(&model), (100, 0, 200, 0));
        let limited = denied(Stage::Limits, "tenant:*", Wait::Nanos(MINUTE));
        assert_eq!(model.decide(now, &call(2000, 0)).verdict, limited, "the quota would refuse, too");
        let now = Clocks::both(NOON + MINUTE);
        let over_quota = denied(Stage::Quotas, "tenant:*", Wait::Nanos(DAY - NOON - MINUTE));
        assert_eq!(model.decide(now, &call(901, 901)).verdict, over_quota, "and so would the budget");
        let over_budget = denied(Stage::Budgets, "budget", Wait::Nanos(31 * DAY - NOON - MINUTE));
        assert_eq!(model.decide(now, &call(600, 600)).verdict, over_budget, "5000 for 500 tokens and 200");
        assert_eq!(used(&model), (100, 0, 200, 0));
        assert_eq!(model.limiter.counts("tenant:*").allowed, 10);
        let passed = model.decide(now, &call(580, 580));
        assert!(passed.allowed());
        assert_eq!(used(&model), (680, 0, 5000, 0));
        assert_eq!(model.invoices()[0].total_nano, BigInt::from(5000));
    }

    #[test]
    fn a_reservation_is_billed_when_it_is_settled_and_for_what_was_taken() {
        let mut model = governed();
        let reserved = Call { reserve_ns: Some(MINUTE), ..call(300, 200) };
        let now = Clocks::both(NOON);
        let ticket = model.decide(now, &reserved).ticket.unwrap();
        assert_eq!(used(&model), (0, 300, 0, 2000), "all of the tokens could be generated");
        assert_eq!(model.invoices(), []);
        let usage = Usage { requests: 1, tokens: 150, output_tokens: 110, ..Usage::default() };
        let completion = Completion { usage, ..Completion::default() };
        let charges = model.complete(now, ticket, &completion).unwrap();
        assert_eq!(charges.iter().map(|charge| charge.nano.clone()).sum::<BigInt>(), BigInt::from(180));
        assert_eq!(used(&model), (150, 0, 180, 0));
        assert_eq!(model.complete(now, ticket, &completion), None);
        assert!(!model.void(now, ticket));
        let ticket = model.decide(now, &reserved).ticket.unwrap();
        assert_eq!(used(&model), (150, 300, 180, 3000), "the free tokens are used up");
        assert!(model.void(now, ticket));
        assert_eq!(used(&model), (150, 0, 180, 0));
        assert_eq!(model.invoices()[0].total_nano, BigInt::from(180));
    }

    #[test]
    fn a_reservation_ends_with_its_time_on_the_clock_that_never_goes_back() {
        let mut model = governed();
        let reserved = Call { reserve_ns: Some(10 * SECOND), ..call(300, 200) };
        let ticket = model.decide(Clocks::both(NOON), &reserved).ticket.unwrap();
        assert_eq!(model.next_expiry_ns(), Some(NOON + 10 * SECOND));
        model.advance(Clocks { instant_ns: NOON + 10 * SECOND - 1, wall_ns: NOON + DAY });
        assert_eq!(model.open_tickets(), [ticket]);
        model.advance(Clocks { instant_ns: NOON + 10 * SECOND, wall_ns: NOON });
        assert_eq!(model.open_tickets(), []);
        assert_eq!(model.complete(Clocks::both(NOON), ticket, &Completion::default()), None);
        assert_eq!(used(&model), (0, 0, 0, 0));
    }

    #[test]
    fn errors_are_told_by_tickets_and_belong_to_the_hour_in_which_they_are() {
        let mut model = governed();
        let now = Clocks::both(NOON);
        let failed = Completion { failed: true, ..Completion::default() };
        let ticket = model.decide(now, &call(10, 0)).ticket.unwrap();
        assert_eq!(used(&model), (10, 0, 20, 0), "it was charged at once");
        assert_eq!(model.complete(now, ticket, &failed), Some(vec![]));
        assert_eq!(used(&model), (10, 0, 20, 0), "and is not charged again");
        let refused = denied(Stage::Quotas, "errors", Wait::Nanos(HOUR));
        assert_eq!(model.decide(now, &call(10, 0)).verdict, refused);
        assert!(model.decide(Clocks::both(NOON + HOUR), &call(10, 0)).allowed());
    }

    #[test]
    fn what_is_exempt_passes_and_is_charged_nowhere() {
        let mut model = governed();
        let mut exempt = call(100_000, 0);
        exempt.request.exempt = true;
        assert!(model.decide(Clocks::both(NOON), &exempt).allowed());
        assert_eq!(model.invoices(), []);
        assert_eq!(model.quotas.statuses(NOON), []);
    }

    #[test]
    fn budgets_and_tiers_begin_again_with_their_month() {
        let mut model = governed();
        let march = Clocks::both(midnight(2026, 3, 31));
        assert!(model.decide(march, &call(600, 580)).allowed());
        let budget = denied(Stage::Budgets, "budget", Wait::Nanos(DAY));
        assert_eq!(model.decide(march, &call(100, 100)).verdict, budget);
        let april = Clocks::both(midnight(2026, 4, 1));
        assert!(model.decide(april, &call(100, 100)).allowed());
        let totals: Vec<BigInt> = model.invoices().into_iter().map(|invoice| invoice.total_nano).collect();
        assert_eq!(totals, [4840, 0].map(BigInt::from));
    }
}
