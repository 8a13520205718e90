//! The real logs with quotas, prices and budgets: the product's replay against the models, line by line, and every
//! invoice.
//!
//! The real logs are not part of the repository. `WEIR_DATA` names their folder; a test whose file is absent says so.

#[allow(dead_code, reason = "each test takes what it needs")]
mod engine;
mod governed;

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use governance::cost::CostError;
use governance::decision::{Reason, Verdict as EngineVerdict, Wait as EngineWait};
use governance::governor::Governor as GovernorOf;
use governance::ledger::Account;
use governance::quota::QuotaManager;
use governance::scope::{HashSecret, Kind, NameRef};
use governance::time::{Nanos, Now, WallTime};
use governed::{compare_invoice, quota_request};
use num_bigint::BigInt;
use shell::engine::{Engine, Governor};
use shell::replay::{Progress, Replay, ReplayOptions, TenantSource};
use sim::billed::{Decided, Reading, TenantBy, replay};
use sim::calendar::{Cycle, MINUTE};
use sim::logs::{self, real_log};
use sim::oracle::billing::{Billing, Schedule, sum};
use sim::oracle::governed::{Governed, NOBODY, Stage, Verdict};
use sim::oracle::limiter::Limiter;
use sim::oracle::price::{CostModel, Metric, Price, Tier};
use sim::oracle::quota::{Counted, Enforcement, Quota, Quotas};
use sim::oracle::rule::{Clocks, Pattern};

/// The engine as the kernel has it: too large for a stack.
static ENGINE: Mutex<Engine> = Mutex::new(Engine::new());

/// A month of calendar months, in a currency with hundredths.
const MONTHLY: Schedule = Schedule { cycle: Cycle::Monthly, anchor_ns: 0 };

/// What is in force, in the words of both sides.
struct Case<'a> {
    toml: &'a str,
    quotas: Vec<Quota>,
    budgets: Vec<Quota>,
    prices: Vec<(Metric, Price)>,
    tenant: TenantBy,
    source: TenantSource<'a>,
}

#[test]
fn the_trace_is_metered_and_billed_alike() {
    let Some(content) = real_log("azure-llm-2023-code.csv") else { return };
    let tiers = vec![Tier::new(Some(10_000), 0), Tier::new(Some(100_000), 10_000), Tier::new(None, 7_500)];
    let case = Case {
        toml: r#"
            [[quota]]
            scope = "service:web"
            unit = "tokens"
            limit = 300000
            window = "60s"

            [[model]]
            service = "web"
            per_input_token = "0.0000025 USD"
            per_output_token = "0 USD to 10000; 0.00001 USD to 100000; 0.0000075 USD"
        "#,
        quotas: vec![
            Quota::on("service:web", Counted::Tokens, 300_000, Cycle::Every(MINUTE))
                .named("service:web/1m#tokens"),
        ],
        budgets: vec![],
        prices: vec![
            (Metric::InputTokens, Price::unit(2_500, 1)),
            (Metric::OutputTokens, Price::Graduated { tiers, per: 1 }),
        ],
        tenant: TenantBy::Nobody,
        source: TenantSource::Absent,
    };
    let told = compare(&content, &case);
    assert_eq!(told.invoices, 1);
    assert!(told.denied > 1_000, "{} refused", told.denied);
}

#[test]
fn the_trace_of_one_tenant_in_families_and_budgets_is_billed_alike() {
    let Some(content) = real_log("azure-llm-2023-code.csv") else { return };
    let case = Case {
        toml: r#"
            [[quota]]
            scope = "service:web"
            name = "all"
            unit = "tokens"
            limit = 9000000
            window = "hourly"

            [[quota]]
            scope = "tenant:*"
            name = "each"
            unit = "tokens"
            limit = 300000
            window = "60s"
            rollover = 10
            parent = "all"

            [[model]]
            service = "*"
            base_cost = "package: 0.01 USD per 100"
            per_input_token = "volume: 0.000003 USD per 1000 to 5000; 0.000001 USD per 1000"
            per_output_token = "0.000333 USD per 7"

            [[budget]]
            scope = "tenant:azure"
            name = "five-minutes"
            amount = "0.8 USD"
            window = "5m"
        "#,
        quotas: vec![
            Quota::on("service:web", Counted::Tokens, 9_000_000, Cycle::HOURLY).named("all"),
            Quota {
                rollover_percent: 10,
                parent: Some("all".to_owned()),
                ..Quota::on("tenant:*", Counted::Tokens, 300_000, Cycle::Every(MINUTE)).named("each")
            },
        ],
        budgets: vec![
            Quota::on("tenant:azure", Counted::Cost, 800_000_000, Cycle::Every(5 * MINUTE))
                .named("five-minutes"),
        ],
        prices: vec![
            (Metric::Requests, Price::package(10_000_000, 100)),
            (
                Metric::InputTokens,
                Price::Volume {
                    tiers: vec![Tier::new(Some(5_000), 3_000), Tier::new(None, 1_000)],
                    per: 1_000,
                },
            ),
            (Metric::OutputTokens, Price::unit(333_000, 7)),
        ],
        tenant: TenantBy::Name("azure".to_owned()),
        source: TenantSource::Fixed(NameRef::new("azure").expect("a name")),
    };
    let told = compare(&content, &case);
    assert_eq!(told.invoices, 1);
    assert!(told.by_budget > 0 && told.denied > told.by_budget, "{} by the budget", told.by_budget);
}

#[test]
fn every_address_of_the_apache_log_is_billed_alike() {
    let Some(content) = real_log("apache-access-2015.log") else { return };
    let tiers = vec![Tier::new(Some(1_000 * 1024), 85_000), Tier::new(None, 50_000)];
    let case = Case {
        toml: r#"
            [[quota]]
            scope = "tenant:*"
            name = "bytes"
            unit = "bytes"
            limit = 5000000
            window = "daily"
            rollover = 10

            [[quota]]
            scope = "service:*"
            name = "requests"
            limit = 3
            window = "1s"
            enforcement = "soft"

            [[model]]
            service = "web"
            base_cost = "0.003333333 USD"
            per_kilobyte = "0.000085 USD to 1000; 0.00005 USD"
            multipliers = "method:post 1.5; method:head 0.333"

            [[budget]]
            scope = "tenant:*"
            name = "money"
            amount = "0.15 USD"
            window = "daily"
        "#,
        quotas: vec![
            Quota {
                rollover_percent: 10,
                ..Quota::on("tenant:*", Counted::Bytes, 5_000_000, Cycle::DAILY).named("bytes")
            },
            Quota {
                enforcement: Enforcement::Soft,
                ..Quota::on("service:*", Counted::Requests, 3, Cycle::Every(sim::calendar::SECOND))
                    .named("requests")
            },
        ],
        budgets: vec![Quota::on("tenant:*", Counted::Cost, 150_000_000, Cycle::DAILY).named("money")],
        prices: vec![
            (Metric::Requests, Price::unit(3_333_333, 1)),
            (Metric::Bytes, Price::Graduated { tiers, per: 1024 }),
        ],
        tenant: TenantBy::Ip,
        source: TenantSource::Key(Kind::Ip),
    };
    let told = compare(&content, &case);
    assert_eq!(told.tenants, 1_753);
    assert!(told.by_budget > 0 && told.denied > told.by_budget, "{} by the budget", told.by_budget);
}

/// What a comparison has seen.
struct Told {
    denied: usize,
    by_budget: usize,
    tenants: usize,
    invoices: usize,
}

fn compare(content: &[u8], case: &Case<'_>) -> Told {
    let log = logs::read(content);
    let mut model = model(case);
    let reading = Reading { service: "web".to_owned(), tenant: case.tenant.clone(), routes: Vec::new() };
    let decided = replay(&log, &reading, &mut model);
    let mut guard = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = &mut *guard;
    configure(engine, case.toml);
    compare_decisions(&mut engine.live, &decided);
    compare_replay(engine, content, &decided, case.source);
    let until =
        Now::from_wall(WallTime(decided.iter().map(|decided| decided.now_ns).max().expect("requests")));
    let mut told = Told { denied: 0, by_budget: 0, tenants: 0, invoices: 0 };
    for governor in [&mut engine.live, &mut engine.replay] {
        let (tenants, invoices) = compare_bills(governor, until, &decided, &model);
        (told.tenants, told.invoices) = (tenants, invoices);
        compare_counters(&governor.quotas, until, &model.quotas);
        compare_counters(&governor.budgets, until, &model.budgets);
    }
    told.denied = decided.iter().filter(|decided| !decided.outcome.allowed()).count();
    let by_budget =
        |decided: &&Decided| matches!(&decided.outcome.verdict, Verdict::Deny { stage: Stage::Budgets, .. });
    told.by_budget = decided.iter().filter(by_budget).count();
    let line = format!(
        "{} of {} refused, {} of them by budgets; {} invoices\n",
        told.denied,
        decided.len(),
        told.by_budget,
        told.invoices
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    told
}

fn model(case: &Case<'_>) -> Governed {
    let mut multipliers = Vec::new();
    if case.toml.contains("multipliers") {
        for (method, thousandths) in [("post", 1_500), ("head", 333)] {
            let applies = sim::oracle::price::Applies::Method(method.to_owned());
            multipliers.push(sim::oracle::price::Multiplier { applies, thousandths });
        }
    }
    let service =
        if case.toml.contains("service = \"*\"") { Pattern::Any } else { Pattern::Exact("web".to_owned()) };
    let model = CostModel { service, prices: case.prices.clone(), multipliers };
    Governed::new(
        Limiter::new(vec![], |_, _| 0),
        Quotas::new(case.quotas.clone()),
        Quotas::new(case.budgets.clone()),
        Billing::new(vec![model], MONTHLY, 2),
    )
}

fn configure(engine: &mut Engine, toml: &str) {
    let Engine { live, replay, staging, reader, .. } = engine;
    staging.clear();
    let errors = reader.read(toml.as_bytes(), staging, &mut |at, error| panic!("{at:?}: {error}"));
    assert_eq!(errors, 0);
    for governor in [live, replay] {
        governor.reset(HashSecret::from_seed(7));
        governor.configure(Now::default(), staging).expect("a checked configuration");
    }
}

/// Each request as the models had it: verdict, who refuses, wait, price.
fn compare_decisions<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    governor: &mut GovernorOf<KEYS, LOG, TENANTS>,
    decided: &[Decided],
) {
    for Decided { line, now_ns, call, outcome } in decided {
        let decision = governor.admit(engine::now(Clocks::both(*now_ns)), &quota_request(call));
        let said = || format!("line {line}: {call:?}\n{decision:?}\n{outcome:?}");
        match &outcome.verdict {
            Verdict::Allow { .. } => {
                assert_eq!(decision.verdict, EngineVerdict::Allow, "{}", said());
                let price = BigInt::from(decision.price.unwrap_or_default().0);
                assert_eq!(price, sum(&outcome.quoted), "{}", said());
            }
            Verdict::Deny { stage, by, wait } => {
                assert_eq!(decision.verdict, EngineVerdict::Deny, "{}", said());
                assert_eq!(decision.retry, Some(engine::wait(*wait)), "{}", said());
                assert!(matches!(decision.retry, Some(EngineWait::Never | EngineWait::For(Nanos(1..)))));
                let (reason, id, known) = match stage {
                    Stage::Quotas => (Reason::OverQuota, decision.quota, governor.quotas.find(by)),
                    _ => (Reason::OverBudget, decision.budget, governor.budgets.find(by)),
                };
                assert_eq!(decision.reason, reason, "{}", said());
                assert_eq!(id.map(|standing| standing.id), known, "{}", said());
            }
        }
    }
}

/// The product's replay of the bytes of the log, one line at a time.
fn compare_replay(engine: &mut Engine, content: &[u8], decided: &[Decided], tenant: TenantSource<'_>) {
    let service = NameRef::new("web").expect("a name");
    let options = ReplayOptions { service, tenant, from: None, to: None };
    let mut replay = Replay::new(content, options, &mut engine.line).expect("a log");
    let mut upcoming = decided.iter().peekable();
    let (mut requests, mut allowed, mut line) = (0, 0, 0);
    let mut charged = BigInt::ZERO;
    while replay.step(&mut engine.replay, &mut engine.timeline, &mut engine.line, 1) == Progress::More {
        line += 1;
        if let Some(Decided { outcome, .. }) = upcoming.next_if(|decided| decided.line == line) {
            requests += 1;
            if outcome.allowed() {
                allowed += 1;
                charged += sum(&outcome.quoted);
            }
        }
        let report = replay.report();
        let counted = (report.lines, report.requests, report.allowed, report.denied);
        assert_eq!(counted, (line, requests, allowed, requests - allowed), "line {line}");
        let total = engine.replay.costs.stats().total.0;
        assert_eq!(BigInt::from(total), charged, "line {line}: what was charged so far");
    }
    assert_eq!(upcoming.next().map(|decided| decided.line), None);
}

/// The invoice of every tenant, and their sum against the ledger. Returns how many tenants and how many invoices there
/// are.
fn compare_bills(
    governor: &mut Governor,
    until: Now,
    decided: &[Decided],
    model: &Governed,
) -> (usize, usize) {
    let costs = &mut governor.costs;
    assert!(costs.ledger().verify());
    assert_eq!(costs.stats().overflow, 0);
    let name = |decided: &Decided| decided.call.request.tenant.clone().unwrap_or_else(|| NOBODY.to_owned());
    let tenants: std::collections::BTreeSet<String> = decided.iter().map(name).collect();
    let coin = model.billing.minor_nano();
    let (mut exact, mut invoices) = (0, 0);
    for tenant in &tenants {
        let invoice = model.billing.invoice(tenant, until.wall.0);
        match costs.calculate_bill(until, tenant) {
            Ok(entry) => {
                let lines = costs.invoice_lines(&entry);
                compare_invoice(tenant, &entry, lines, &invoice, &coin);
                exact += entry.exact.0;
                invoices += 1;
            }
            Err(error) => {
                // Nothing of it was ever let through.
                assert!(matches!(error, CostError::UnknownTenant { .. }), "{tenant}: {error}");
                assert!(invoice.lines.is_empty(), "{tenant}: {invoice:?}");
            }
        }
    }
    let expected = model.invoices();
    assert_eq!(invoices, expected.len());
    let total: BigInt = expected.iter().map(|invoice| &invoice.total_nano).sum();
    assert_eq!(BigInt::from(exact), total);
    assert_eq!(costs.stats().total.0, exact, "the sum of all invoices");
    let receivable = costs.accounts().filter(|(account, _)| matches!(account, Account::Receivable(_)));
    assert_eq!(receivable.map(|(_, balance)| balance.posted().0).sum::<i128>(), exact, "what tenants owe");
    let revenue = costs.accounts().filter(|(account, _)| matches!(account, Account::Revenue(_)));
    assert_eq!(revenue.map(|(_, balance)| balance.posted().0).sum::<i128>(), -exact, "what services earn");
    (tenants.len(), invoices)
}

/// Every key of every quota at the end.
fn compare_counters<const ACTIVE: usize>(manager: &QuotaManager<ACTIVE>, until: Now, model: &Quotas) {
    for (name, key, status) in model.statuses(until.wall.0) {
        let quota = model.quotas().iter().find(|quota| quota.name == name).expect("a quota");
        let id = manager.find(&name).expect("a quota of both");
        let own = quota.own_key().is_none().then(|| engine::key(quota.kind, &key).1);
        let usage = manager.get_quota_status(until, id, own).expect("a quota of both").usage;
        let found: (u128, u128, u128) = (usage.used.into(), usage.carry.into(), usage.capacity.into());
        let expected = (status.used, status.carry, u128::from(status.limit) + status.carry);
        assert_eq!(found, expected, "{name} {key}");
    }
    assert_eq!(manager.stats().overflow_hits, 0);
    assert_eq!(manager.notices().next(), model.alerts().len() as u64, "alerts");
}
