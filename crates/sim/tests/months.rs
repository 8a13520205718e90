//! The whole governor against the models over months: limits, quotas, prices, budgets, tickets, invoices.
//!
//! Each seed gives a configuration and steps; both sides take every step, and all that can be seen of both is compared
//! after it. The steps come as `sim::months` makes them, but for what the product says in other words:
//! - a multiplier goes by the tier of the tenant, where the models go by the priority of the request: here each tenant
//!   has one priority, and the tier of its name;
//! - a price is of kilobytes and of seconds, and so are the ends of its tiers;
//! - an outcome tells one time, which is both the latency and the computing time that was taken, and it does not tell as
//!   how many requests a request counts.
//!
//! `WEIR_MONTHS_SEEDS` says how many seeds there are, `WEIR_MONTHS_SEED` which is the first one.

#[allow(dead_code, reason = "each test takes what it needs")]
mod engine;
mod governed;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use governance::cost::LineKind;
use governance::decision::{Decision, Reason, Verdict as EngineVerdict};
use governance::governor::Governor as GovernorOf;
use governance::outcome::{CompleteError, Disposition, Outcome as EngineOutcome};
use governance::quota::{Depletion, QuotaError, QuotaManager, QuotaUsage};
use governance::scope::{HashSecret, KeyName, Kind as EngineKind};
use governance::tickets::Ticket;
use governance::time::Nanos;
use governed::{compare_invoice, configure, enforcement, quota_request};
use num_bigint::BigInt;
use sim::months::{Answer, Mix, Months, Run, Step};
use sim::oracle::billing::sum;
use sim::oracle::call::{Call, Priority};
use sim::oracle::governed::{Completion, NOBODY, Outcome, Stage, Verdict};
use sim::oracle::price::{Metric, Price};
use sim::oracle::quota::{Counted, Quotas};
use sim::oracle::rule::{Clocks, Kind};

/// Every key of a quota has a place of its own, and every reservation a ticket.
const TENANTS: usize = 32;

type Governor = GovernorOf<64, 64, TENANTS>;

/// Too large for a stack.
static GOVERNORS: [Mutex<Governor>; 2] = [const { Mutex::new(Governor::new()) }; 2];

/// How long a run is, in steps.
const LENGTH: usize = 160;

/// How many runs there are, unless `WEIR_MONTHS_SEEDS` says otherwise.
const SEEDS: u64 = 600;

#[test]
fn months_of_everything_are_decided_and_billed_alike() {
    run_seeds(0, Mix::EVERYTHING, &GOVERNORS[0]);
}

#[test]
fn months_without_reservations_are_decided_and_billed_alike() {
    let mix = Mix { reservations: false, ..Mix::EVERYTHING };
    run_seeds(1_000_000_000, mix, &GOVERNORS[1]);
}

fn run_seeds(first: u64, mix: Mix, governor: &Mutex<Governor>) {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (first, seeds) = (first + number("WEIR_MONTHS_SEED", 1) - 1, number("WEIR_MONTHS_SEEDS", SEEDS));
    let mut governor = governor.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = Seen::default();
    for seed in first + 1..=first + seeds {
        let months = Months::generate(seed, mix, LENGTH);
        Both::new(seed, months, &mut governor).run(&mut seen);
    }
    let Seen { steps, requests, denied, settled, late, invoices, .. } = seen;
    let told = format!(
        "{steps} steps, {requests} requests, {denied} refused, {settled} settled, {late} late, {invoices} invoices\n"
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
    assert!(requests > 0 && denied > 0 && invoices > 0, "{told}");
    assert!(!mix.reservations || settled > 0 && late > 0, "{told}");
}

/// What has happened over all seeds.
#[derive(Default)]
struct Seen {
    steps: u64,
    requests: u64,
    denied: u64,
    settled: u64,
    late: u64,
    invoices: u64,
}

/// What the harness knows of a request.
struct Asked {
    call: Call,
    ticket: Option<Ticket>,
    pending: i128,
}

/// The key of a quota's alert as the engine shows it: API keys and sessions by their fingerprints.
fn shown(secret: &HashSecret, kind: Kind, key: &str) -> String {
    let kind = EngineKind::from_word(kind.name()).expect("the kinds are the same");
    KeyName::parse(kind, key).expect("a key of a request").to_name(secret).to_string()
}

/// The model and the engine side by side.
struct Both<'a> {
    seed: u64,
    months: Months,
    run: Run,
    governor: &'a mut Governor,
    asked: BTreeMap<u64, Asked>,
    /// What was charged, by tenant.
    charged: BTreeMap<String, BigInt>,
    /// How many invoices have been compared.
    invoices: u64,
    /// How many alerts have been compared, of quotas and of budgets.
    alerts: [usize; 2],
}

impl<'a> Both<'a> {
    fn new(seed: u64, mut months: Months, governor: &'a mut Governor) -> Self {
        translate(&mut months);
        governor.reset(HashSecret::from_seed(seed));
        configure(governor, &months.setup);
        let run = Run::new(&months.setup);
        let (asked, charged) = (BTreeMap::new(), BTreeMap::new());
        Self { seed, months, run, governor, asked, charged, invoices: 0, alerts: [0; 2] }
    }

    fn run(mut self, seen: &mut Seen) {
        let steps = std::mem::take(&mut self.months.steps);
        let last = steps.len() - 1;
        for (place, step) in steps.iter().enumerate() {
            let at = format!("seed {}, step {place}: {step:?}", self.seed);
            let clocks = self.clocks(step);
            self.governor.tick(engine::now(clocks));
            self.step(&at, step, clocks, seen);
            self.compare_books(&at, place == last, seen);
            self.compare_quotas(&at);
            seen.steps += 1;
        }
    }

    /// What the engine is told. Limits see no time but that of requests: where there are some, the clocks stand still
    /// instead of going back, as they do for the models.
    fn clocks(&self, step: &Step) -> Clocks {
        let clocks = step.clocks_after(self.run.now);
        let latest = self.run.model.latest();
        match self.months.setup.limits.is_empty() {
            true => clocks,
            false => Clocks {
                instant_ns: clocks.instant_ns.max(latest.instant_ns),
                wall_ns: clocks.wall_ns.max(latest.wall_ns),
            },
        }
    }

    fn step(&mut self, at: &str, step: &Step, clocks: Clocks, seen: &mut Seen) {
        let now = engine::now(clocks);
        match step {
            Step::Request { number, call } => {
                let Answer::Decided(expected) = self.run.apply(step) else { panic!("{at}: no decision") };
                let decision = self.governor.admit(now, &quota_request(call));
                self.compare_decision(at, call, &expected, &decision);
                seen.requests += 1;
                seen.denied += u64::from(!expected.allowed());
                let cost = sum(&expected.quoted);
                let is_final = call.reserve_ns.is_none();
                let pending = i128::try_from(&cost).expect("little money").max(0);
                if expected.allowed() && is_final {
                    self.charge(call, cost);
                }
                let asked = Asked { call: (**call).clone(), ticket: decision.ticket, pending };
                self.asked.insert(*number, asked);
                self.end_empty_ticket(at, *number, clocks);
            }
            Step::Complete { request, completion } => self.complete(at, *request, completion, clocks, seen),
            Step::Void { request } => {
                let Answer::Voided(expected) = self.run.apply(step) else { panic!("{at}: no answer") };
                let Some(asked) = self.asked.get(request) else { return };
                let Some(ticket) = asked.ticket else { return };
                let outcome = EngineOutcome { disposition: Disposition::Void, ..EngineOutcome::default() };
                let answer = self.governor.complete(now, ticket, &outcome);
                assert_eq!(answer.is_ok(), expected, "{at}: {answer:?}");
                let is_final = asked.call.reserve_ns.is_none();
                let is_refused =
                    matches!(answer, Err(CompleteError::Ticket(_)) | Err(CompleteError::NothingReserved));
                assert!(answer.is_ok() && !is_final || is_refused, "{at}: {answer:?}");
            }
            Step::SetLimit { quota, limit } => {
                let (manager, id) = self.quota(quota);
                let answer = manager.update_limit(now, id, *limit);
                assert_eq!(answer, Ok(()), "{at}");
                self.run.apply(step);
            }
            Step::SetEnforcement { quota, enforcement: wanted } => {
                let (manager, id) = self.quota(quota);
                assert_eq!(manager.set_enforcement_mode(id, enforcement(*wanted)), Ok(()), "{at}");
                self.run.apply(step);
            }
            Step::Reset { quota, key } => {
                let kind = self.quotas_with(quota).find(|known| known.name == *quota).expect("a quota").kind;
                let (manager, id) = self.quota(quota);
                let key = key.as_deref().map(|key| engine::key(kind, key).1);
                let answer = manager.reset_quota(now, id, key);
                // A key that was only refused has no counter.
                assert!(matches!(answer, Ok(_) | Err(QuotaError::UnknownKey)), "{at}: {answer:?}");
                self.run.apply(step);
            }
            Step::Expire | Step::Wait(_) | Step::WallBack(_) => {
                self.run.apply(step);
                // What is due with the time is due on both sides.
                self.run.apply(&Step::Expire);
                self.governor.tick(now);
            }
        }
    }

    fn complete(&mut self, at: &str, request: u64, completion: &Completion, clocks: Clocks, seen: &mut Seen) {
        let Some(asked) = self.asked.get(&request) else {
            let answer = self.run.apply(&Step::Complete { request, completion: *completion });
            assert_eq!(answer, Answer::Completed(None), "{at}");
            return;
        };
        let call = asked.call.clone();
        let completion = told(&call, completion);
        let step = Step::Complete { request, completion };
        let Answer::Completed(expected) = self.run.apply(&step) else { panic!("{at}: no answer") };
        let Some(ticket) = asked.ticket else {
            assert_eq!(expected, None, "{at}");
            return;
        };
        let usage = completion.usage;
        let reserves = call.reserve_ns.is_some();
        let said = |amount: u64| reserves.then_some(amount);
        let outcome = EngineOutcome {
            disposition: Disposition::Commit,
            status: Some(if completion.failed { 500 } else { 204 }),
            ms: completion.latency_ns.map(|latency| latency / 1_000_000),
            bytes: said(usage.bytes),
            tokens: said(usage.tokens),
            output_tokens: said(usage.output_tokens),
            storage_accesses: said(usage.storage_accesses),
            cache_hits: said(usage.cache_hits),
            ..EngineOutcome::default()
        };
        let late_before = self.governor.costs.stats().late;
        let answer = self.governor.complete(engine::now(clocks), ticket, &outcome);
        match (expected, answer) {
            (None, Err(CompleteError::Ticket(_))) => {}
            (Some(charges), Ok(answer)) => {
                let posted = BigInt::from(answer.posted.unwrap_or_default().0);
                assert_eq!(posted, sum(&charges), "{at}: {answer:?}");
                assert_eq!(answer.stale, 0, "{at}");
                seen.settled += u64::from(reserves);
                seen.late += self.governor.costs.stats().late - late_before;
                if reserves {
                    self.charge(&call, posted);
                }
            }
            (expected, answer) => panic!("{at}: {expected:?} and {answer:?}"),
        }
    }

    /// A ticket that holds nothing does not expire in the engine: it ends here, on both sides.
    fn end_empty_ticket(&mut self, at: &str, number: u64, clocks: Clocks) {
        let Some(Asked { call, ticket: Some(ticket), .. }) = self.asked.get(&number) else { return };
        let mut open = self.governor.open_tickets();
        let due = open.find(|(open, _, _)| open == ticket).map(|(_, _, due)| due.0);
        drop(open);
        if due == Some(u64::MAX) && call.reserve_ns.is_some() {
            let void = EngineOutcome { disposition: Disposition::Void, ..EngineOutcome::default() };
            let answer = self.governor.complete(engine::now(clocks), *ticket, &void).expect("an open ticket");
            assert_eq!((answer.settled, answer.stale), (0, 0), "{at}");
            assert_eq!(self.run.apply(&Step::Void { request: number }), Answer::Voided(true), "{at}");
        }
    }

    fn charge(&mut self, call: &Call, nano: BigInt) {
        let tenant = call.request.tenant.as_deref().unwrap_or(NOBODY);
        *self.charged.entry(tenant.to_owned()).or_default() += nano;
    }

    fn compare_decision(&self, at: &str, call: &Call, expected: &Outcome, decision: &Decision) {
        let said = || format!("{at}: {decision:#?}\n{expected:#?}");
        match &expected.verdict {
            Verdict::Allow { delay_ns } => {
                let verdict = match delay_ns {
                    0 => EngineVerdict::Allow,
                    delay_ns => EngineVerdict::Delay(Nanos(*delay_ns)),
                };
                assert_eq!(decision.verdict, verdict, "{}", said());
                let price = BigInt::from(decision.price.unwrap_or_default().0);
                assert_eq!(price, sum(&expected.quoted), "{}", said());
                assert_eq!(decision.ticket.is_some(), expected.ticket.is_some(), "{}", said());
                assert_eq!(decision.reason == Reason::Exempt, call.request.exempt, "{}", said());
            }
            Verdict::Deny { stage, by, wait } => {
                assert_eq!(decision.verdict, EngineVerdict::Deny, "{}", said());
                assert_eq!(decision.retry, Some(engine::wait(*wait)), "{}", said());
                assert_eq!((decision.ticket, decision.price), (None, None), "{}", said());
                let stage_of = match decision.reason {
                    Reason::OverLimit | Reason::CostAboveCapacity => Stage::Limits,
                    Reason::OverQuota => Stage::Quotas,
                    Reason::OverBudget => Stage::Budgets,
                    _ => panic!("{}", said()),
                };
                assert_eq!(stage_of, *stage, "{}", said());
                match stage {
                    Stage::Limits => {
                        let limit = decision.limit.expect("a limit that refuses").limit;
                        assert_eq!(self.governor.limits.find(by), Some(limit), "{}", said());
                    }
                    Stage::Quotas => {
                        let quota = decision.quota.expect("a quota that refuses").id;
                        assert_eq!(self.governor.quotas.find(by), Some(quota), "{}", said());
                    }
                    Stage::Budgets => {
                        let budget = decision.budget.expect("a budget that refuses").id;
                        assert_eq!(self.governor.budgets.find(by), Some(budget), "{}", said());
                    }
                }
            }
        }
    }

    /// What is pending and charged, the ledger, and invoices as soon as they are issued; at the end those of periods
    /// that are still open, too.
    fn compare_books(&mut self, at: &str, is_end: bool, seen: &mut Seen) {
        let now = engine::now(self.run.now);
        let costs = &mut self.governor.costs;
        costs.reset_cost_window(now, None).expect("every tenant");
        assert!(costs.ledger().verify(), "{at}: the books");
        let stats = costs.stats();
        let open = self.run.open_requests();
        let pending = open.iter().filter_map(|number| self.asked.get(number));
        let pending: i128 =
            pending.filter(|asked| asked.call.reserve_ns.is_some()).map(|asked| asked.pending).sum();
        assert_eq!(stats.pending.0, pending, "{at}: pending");
        assert_eq!(stats.overflow, 0, "{at}");
        for cost in costs.tenant_costs() {
            let charged = self.charged.get(cost.tenant.as_str()).cloned().unwrap_or_default();
            assert_eq!(BigInt::from(cost.total.0), charged, "{at}: total of {}", cost.tenant);
        }
        let total: BigInt = self.charged.values().sum();
        assert_eq!(BigInt::from(stats.total.0), total, "{at}: total");
        assert_eq!(self.governor.ticket_stats().open, open.len(), "{at}: open tickets");
        self.compare_invoices(at, is_end, seen);
    }

    fn compare_invoices(&mut self, at: &str, is_end: bool, seen: &mut Seen) {
        let costs = &mut self.governor.costs;
        let stats = costs.stats();
        let kept = costs.invoices().count();
        let first = usize::try_from(stats.invoices).expect("a few") - kept;
        let skip =
            usize::try_from(self.invoices).expect("a few").checked_sub(first).expect("none was dropped");
        for entry in costs.invoices().skip(skip) {
            let billing = &self.run.model.billing;
            let invoice = billing.invoice(entry.tenant.as_str(), entry.period.start.0);
            compare_invoice(at, entry, costs.invoice_lines(entry), &invoice, &billing.minor_nano());
            seen.invoices += 1;
        }
        self.invoices = stats.invoices;
        if !is_end {
            return;
        }
        let (model, latest) = (&self.run.model, self.run.model.latest().wall_ns);
        let mut closed = 0;
        for (tenant, period) in model.billing.charged_periods() {
            if model.billing.period(latest, &tenant) != period {
                closed += 1;
                continue;
            }
            let invoice = model.billing.invoice(&tenant, period.start_ns);
            let entry = costs.calculate_bill(engine::now(self.run.now), &tenant).expect("a tenant");
            compare_invoice(at, &entry, costs.invoice_lines(&entry), &invoice, &model.billing.minor_nano());
            let has_late = invoice.late.is_some();
            let lines = costs.invoice_lines(&entry);
            assert_eq!(lines.iter().any(|line| line.kind == LineKind::LateUsage), has_late, "{at}");
            seen.invoices += 1;
        }
        assert_eq!(stats.invoices, closed, "{at}: as many invoices as periods that are over");
        let rounding = costs.account_name(governance::ledger::Account::Rounding);
        assert_eq!(rounding, None);
    }

    /// Every quota and every key that it knows: what is used, reserved, carried; what was decided; alerts.
    fn compare_quotas(&mut self, at: &str) {
        let now = engine::now(self.run.now);
        let latest = self.run.model.latest();
        let stages = [
            (&self.run.model.quotas, &self.governor.quotas),
            (&self.run.model.budgets, &self.governor.budgets),
        ];
        for (stage, (model, manager)) in stages.into_iter().enumerate() {
            let mut counts: BTreeMap<String, [u64; 4]> = BTreeMap::new();
            for (name, key, status) in model.statuses(latest.wall_ns) {
                let quota = model.quotas().iter().find(|quota| quota.name == name).expect("a quota");
                let id = manager.find(&name).expect("a quota of both");
                let own = quota.own_key().is_none().then(|| engine::key(quota.kind, &key).1);
                let usage = manager.get_quota_status(now, id, own).expect("a quota of both").usage;
                let QuotaUsage { used, reserved, carry, capacity, period, alert, .. } = usage;
                let at = || format!("{at}: {name} {key}: {usage:?}\n{status:?}");
                let period = (period.index, period.start.0, period.end.0);
                let expected = (status.period.index, status.period.start_ns, status.period.end_ns);
                assert_eq!(period, expected, "{}", at());
                let told = status.alerted.last().map(|percent| u8::try_from(*percent).expect("a percent"));
                assert_eq!(alert, told, "{}", at());
                let sums = counts.entry(name.clone()).or_default();
                let more = status.counts;
                for (sum, more) in
                    sums.iter_mut().zip([more.allowed, more.denied, more.exceeded, more.would_deny])
                {
                    *sum += more;
                }
                if quota.counted == Counted::LatencyP99 {
                    let limit_ns = quota.limit * 1_000_000;
                    let is_slow = status.percentile_99_ns.is_some_and(|latency| latency > limit_ns);
                    let depletion = manager.estimate_depletion(now, id, own).expect("a quota of both");
                    assert_eq!(depletion == Depletion::Depleted, is_slow, "{}", at());
                    continue;
                }
                let expected =
                    (status.used, status.reserved, status.carry, u128::from(status.limit) + status.carry);
                let found = (used.into(), reserved.into(), carry.into(), capacity.into());
                assert_eq!(found, expected, "{}", at());
            }
            for (name, expected) in counts {
                let id = manager.find(&name).expect("a quota of both");
                let stats = manager.get_quota_stats(id).expect("a quota of both");
                let found = [stats.allowed, stats.denied, stats.passed_over, stats.would_deny];
                assert_eq!(found, expected, "{at}: {name}");
                assert_eq!(stats.overflow_hits, 0, "{at}: {name}");
            }
            let (told, secret) = (model.alerts(), HashSecret::from_seed(self.seed));
            assert_eq!(manager.notices().next(), told.len() as u64, "{at}: alerts");
            let from = self.alerts[stage];
            let mut expected: Vec<_> = told[from..]
                .iter()
                .map(|alert| {
                    let quota = model.quotas().iter().find(|quota| quota.name == alert.quota);
                    let key = match quota {
                        Some(quota) if quota.own_key().is_none() => shown(&secret, quota.kind, &alert.key),
                        _ => String::new(),
                    };
                    (alert.quota.clone(), key, alert.percent, alert.wall_ns)
                })
                .collect();
            let notices = manager.notices().since(from as u64);
            let mut found: Vec<_> = notices
                .map(|notice| {
                    let key = notice.key().map_or("", |key| key.as_str());
                    (notice.quota.to_string(), key.to_owned(), u64::from(notice.percent), notice.at.0)
                })
                .collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{at}: alerts");
            self.alerts[stage] = told.len();
        }
    }

    /// The quotas or the budgets of the model, whichever `name` belongs to.
    fn quotas_with(&self, name: &str) -> impl Iterator<Item = &sim::oracle::quota::Quota> {
        let has = |quotas: &Quotas| quotas.quotas().iter().any(|quota| quota.name == name);
        let model = &self.run.model;
        if has(&model.quotas) { model.quotas.quotas().iter() } else { model.budgets.quotas().iter() }
    }

    fn quota(&mut self, name: &str) -> (&mut QuotaManager<TENANTS>, governance::quota::QuotaId) {
        match self.governor.quotas.find(name) {
            Some(id) => (&mut self.governor.quotas, id),
            None => {
                let id = self.governor.budgets.find(name).expect("a quota or a budget");
                (&mut self.governor.budgets, id)
            }
        }
    }
}

/// What an outcome can tell: one time, and as many requests as were asked for.
fn told(call: &Call, completion: &Completion) -> Completion {
    let mut told = *completion;
    if call.reserve_ns.is_some() {
        told.usage.requests = call.request.cost;
        told.usage.compute_ms = match told.latency_ns {
            Some(latency) => latency / 1_000_000,
            None => call.compute_ms,
        };
    }
    told
}

/// Says what the models say in the words of the product.
fn translate(months: &mut Months) {
    for model in &mut months.setup.models {
        for (metric, price) in &mut model.prices {
            rescale(*metric, price);
        }
    }
    // What has no price at all is no model.
    months.setup.models.retain(|model| !model.prices.is_empty());
    for step in &mut months.steps {
        if let Step::Request { call, .. } = step {
            call.priority = match call.request.tenant.as_deref() {
                Some("acme") => Priority::Critical,
                Some("zeta") => Priority::Batch,
                _ => Priority::Normal,
            };
        }
    }
}

/// A price of whole kilobytes or seconds.
fn rescale(metric: Metric, price: &mut Price) {
    let scale = metric.usual_block();
    let whole = |per: &mut u64| *per = if *per == scale { scale } else { *per * scale };
    match price {
        Price::Unit { per, .. } | Price::Package { size: per, .. } => whole(per),
        Price::Graduated { tiers, per } | Price::Volume { tiers, per } => {
            whole(per);
            tiers.iter_mut().filter_map(|tier| tier.up_to.as_mut()).for_each(|end| *end *= scale);
        }
    }
}
