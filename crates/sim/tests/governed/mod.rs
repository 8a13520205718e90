//! Quotas, prices and invoices of the models in the words of the engine.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::sync::{Mutex, PoisonError};

use governance::config::Config;
use governance::cost::{
    ANY_SERVICE, ANY_TENANT, BillingEntry, BillingSchedule, BudgetSpec, CostMetric, CostModel as EngineModel,
    InvoiceLine, LineKind, Multipliers, Price as EnginePrice, TenantSpec, TierName,
};
use governance::governor::Governor;
use governance::mode::Mode as EngineMode;
use governance::money::{Currency, NanoUnits};
use governance::quota::{EnforcementMode, QuotaName, QuotaSpec, QuotaUnit};
use governance::request::{Request as EngineRequest, Settlement};
use governance::scope::{Name, NameRef, Scope};
use governance::time::{Cycle as EngineCycle, Nanos, Now, Schedule as EngineSchedule, WallTime};
use num_bigint::BigInt;
use num_rational::BigRational;
use sim::calendar::Cycle;
use sim::months::Setup;
use sim::oracle::billing::{Invoice, Schedule};
use sim::oracle::call::{Call, Priority};
use sim::oracle::money::round_with_sum;
use sim::oracle::price::{Applies, CostModel, Metric, Price, Tier};
use sim::oracle::quota::{Counted, Enforcement, Mode, Quota};
use sim::oracle::rule::Pattern;

use crate::engine;

/// Puts a setup in force. The group `exempt` is that of [`engine::EXEMPT_PATH`].
pub(crate) fn configure<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    governor: &mut Governor<KEYS, LOG, TENANTS>,
    setup: &Setup,
) {
    // Too large for a stack.
    static CONFIG: Mutex<Config> = Mutex::new(Config::new());
    let mut guard = CONFIG.lock().unwrap_or_else(PoisonError::into_inner);
    let config = &mut *guard;
    config.clear();
    let currency = match setup.minor_digits {
        0 => "JPY",
        3 => "KWD",
        _ => "USD",
    };
    let code = Currency::from_code(currency).expect("a currency");
    config.routes.add(engine::EXEMPT_PATH, "exempt").expect("a route");
    for limit in &setup.limits {
        config.add_limit(&engine::spec(limit)).expect("a few limits");
    }
    for quota in &setup.quotas {
        config.add_quota(&quota_spec(quota)).expect("a few quotas");
    }
    for budget in &setup.budgets {
        config.add_budget(&BudgetSpec { quota: quota_spec(budget), currency: code }).expect("a few budgets");
    }
    for model in &setup.models {
        config.add_model(&cost_model(model, currency)).expect("a few models");
    }
    for (tenant, tier) in [("acme", "critical"), ("zeta", "batch")] {
        let (name, tier) = (Name::new(tenant).expect("a name"), TierName::new(tier).expect("a short name"));
        config.add_tenant(&TenantSpec { name, tier, ..TenantSpec::default() }).expect("two tenants");
    }
    let schedules = setup.own_schedules.iter().map(|(tenant, schedule)| (tenant.as_str(), schedule));
    for (tenant, schedule) in schedules.chain([(ANY_TENANT, &setup.schedule)]) {
        let tenant = Name::new(tenant).expect("a name");
        config.add_schedule(&BillingSchedule { tenant, schedule: self::schedule(schedule) }).expect("a few");
    }
    config.each_misfit_quota(|place, error| panic!("quota {place}: {error}"));
    config.each_misfit_budget(|place, error| panic!("budget {place}: {error}"));
    governor.configure(Now::default(), config).expect("a checked configuration");
}

pub(crate) fn schedule(schedule: &Schedule) -> EngineSchedule {
    EngineSchedule { cycle: cycle(schedule.cycle), anchor: WallTime(schedule.anchor_ns) }
}

fn cycle(cycle: Cycle) -> EngineCycle {
    match cycle {
        Cycle::Every(ns) => EngineCycle::Every(Nanos(ns)),
        Cycle::Monthly => EngineCycle::Monthly,
    }
}

pub(crate) fn enforcement(enforcement: Enforcement) -> EnforcementMode {
    match enforcement {
        Enforcement::Hard => EnforcementMode::Hard,
        Enforcement::Soft => EnforcementMode::Soft,
    }
}

pub(crate) fn quota_spec(quota: &Quota) -> QuotaSpec {
    let name = match &quota.pattern {
        Pattern::Any => "*",
        Pattern::Exact(name) => name,
    };
    let unit = match quota.counted {
        Counted::Requests => QuotaUnit::Requests,
        Counted::Bytes => QuotaUnit::Bytes,
        Counted::Tokens => QuotaUnit::Tokens,
        Counted::ComputeMs => QuotaUnit::Compute,
        Counted::Errors => QuotaUnit::Errors,
        Counted::LatencyP99 => QuotaUnit::LatencyP99,
        Counted::Cost => QuotaUnit::Cost,
    };
    QuotaSpec {
        name: QuotaName::new(&quota.name).expect("a short name"),
        scope: Scope::parse(&format!("{}:{name}", quota.kind.name())).expect("a scope"),
        unit,
        limit: quota.limit,
        schedule: EngineSchedule { cycle: cycle(quota.cycle), anchor: WallTime(quota.anchor_ns) },
        rollover_percent: u8::try_from(quota.rollover_percent).expect("a percent"),
        enforcement: enforcement(quota.enforcement),
        mode: if quota.mode == Mode::Shadow { EngineMode::Shadow } else { EngineMode::Enforce },
        parent: quota.parent.as_deref().map(|parent| QuotaName::new(parent).expect("a short name")),
    }
}

/// A model of prices that are of whole kilobytes and seconds. Its factors by priority are factors by the tier of that
/// name.
pub(crate) fn cost_model(model: &CostModel, currency: &str) -> EngineModel {
    let mut made = EngineModel::default();
    let service = match &model.service {
        Pattern::Any => ANY_SERVICE,
        Pattern::Exact(name) => name,
    };
    made.service = Name::new(service).expect("a name");
    for (metric, price) in &model.prices {
        let text = price_text(*metric, price, currency);
        let price = EnginePrice::parse(&text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
        *match metric {
            Metric::Requests => &mut made.base_cost,
            Metric::Bytes => &mut made.per_kilobyte,
            Metric::ComputeMs => &mut made.per_second,
            Metric::StorageAccesses => &mut made.per_access,
            Metric::CacheHits => &mut made.per_hit,
            Metric::InputTokens => &mut made.per_input_token,
            Metric::OutputTokens => &mut made.per_output_token,
        } = price;
    }
    let factors: Vec<String> = model
        .multipliers
        .iter()
        .map(|multiplier| {
            let applies = match &multiplier.applies {
                Applies::Priority(Priority::Critical) => "tier:critical".to_owned(),
                Applies::Priority(Priority::Batch) => "tier:batch".to_owned(),
                Applies::Priority(other) => panic!("no tier stands for {other:?}"),
                Applies::Method(method) => format!("method:{method}"),
            };
            format!("{applies} {}.{:03}", multiplier.thousandths / 1000, multiplier.thousandths % 1000)
        })
        .collect();
    if !factors.is_empty() {
        made.multipliers = Multipliers::parse(&factors.join("; ")).expect("a few factors");
    }
    made
}

pub(crate) fn price_text(metric: Metric, price: &Price, currency: &str) -> String {
    let scale = metric.usual_block();
    let money = |nano: &BigRational, per: u64| {
        let nano = i128::try_from(nano.to_integer()).expect("a price in 64 bits");
        format!("{} {currency} per {}", NanoUnits(nano), per / scale)
    };
    let tiers = |tiers: &[Tier], per: u64| {
        let tiers = tiers.iter().map(|tier| match tier.up_to {
            Some(end) => format!("{} to {}", money(&tier.nano, per), end / scale),
            None => money(&tier.nano, per),
        });
        tiers.collect::<Vec<_>>().join("; ")
    };
    match price {
        Price::Unit { nano, per } => money(nano, *per),
        Price::Package { nano, size } => format!("package: {}", money(nano, *size)),
        Price::Graduated { tiers: all, per } => tiers(all, *per),
        Price::Volume { tiers: all, per } => format!("volume: {}", tiers(all, *per)),
    }
}

pub(crate) fn quota_request(call: &Call) -> EngineRequest<'_> {
    EngineRequest {
        method: call.method.as_deref().map(|method| NameRef::new(method).expect("a name")),
        output_tokens: call.output_tokens,
        compute_ms: call.compute_ms,
        storage_accesses: call.storage_accesses,
        cache_hits: call.cache_hits,
        settlement: match call.reserve_ns {
            Some(ns) => Settlement::Reserve { expires_in: Nanos(ns) },
            None => Settlement::Final,
        },
        ..engine::request(&call.request)
    }
}

/// An invoice with its lines: services, metrics, quantities, amounts, coins, and totals. The lines of the engine stand in
/// the order in which services came; of equal remainders the first gets the coin, so that order is taken for the coins.
pub(crate) fn compare_invoice(
    at: &str,
    entry: &BillingEntry,
    lines: &[InvoiceLine],
    invoice: &Invoice,
    coin: &BigInt,
) {
    let at = || format!("{at}\n{entry:?}\n{lines:#?}\n{invoice:#?}");
    assert_eq!(entry.tenant.as_str(), invoice.tenant, "{}", at());
    let period = (entry.period.index, entry.period.start.0, entry.period.end.0);
    assert_eq!(period, (invoice.period.index, invoice.period.start_ns, invoice.period.end_ns), "{}", at());
    assert_eq!(entry.lines, lines.len(), "{}", at());
    assert_eq!(BigInt::from(entry.exact.0), invoice.total_nano, "{}", at());
    assert_eq!(BigInt::from(entry.coins), invoice.total_minor, "{}", at());
    let mut found: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let LineKind::Usage(metric) = line.kind else { return None };
            let amounts = (BigInt::from(line.quantity), BigInt::from(line.amount.0));
            Some((line.service.to_string(), Metric::ALL[place_of(metric)], amounts))
        })
        .collect();
    found.sort();
    let expected: Vec<_> = invoice
        .lines
        .iter()
        .map(|line| (line.service.clone(), line.metric, (line.quantity.clone(), line.nano.clone())))
        .collect();
    assert_eq!(found, expected, "{}", at());
    let mut others = lines.iter().filter(|line| !matches!(line.kind, LineKind::Usage(_)));
    let late = others.next().map(|line| {
        assert_eq!(line.kind, LineKind::LateUsage, "{}", at());
        (BigInt::from(line.quantity), BigInt::from(line.amount.0))
    });
    let expected = invoice.late.as_ref().map(|late| (BigInt::from(late.count), late.nano.clone()));
    assert_eq!((late, others.count()), (expected, 0), "{}", at());
    let amounts: Vec<BigInt> = lines.iter().map(|line| line.amount.0.into()).collect();
    let rounded = round_with_sum(&amounts, coin);
    let coins: Vec<BigInt> = lines.iter().map(|line| line.coins.into()).collect();
    assert_eq!((coins, BigInt::from(entry.coins)), (rounded.parts, rounded.total), "{}", at());
}

fn place_of(metric: CostMetric) -> usize {
    CostMetric::ALL.iter().position(|known| *known == metric).expect("one of them")
}
