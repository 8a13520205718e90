//! `bench`: decisions per second, measured where they are taken.

use super::replay::each_second;
use super::{Context, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::engine::{Governor, KEYS};
use crate::random::SplitMix;
use crate::render::{Cell, Column, Grouped, Table};
use crate::term::Style;
use core::fmt;
use governance::cost::{CostModel, Price};
use governance::export::ObjectWriter;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Request, Unit};
use governance::scope::{HashSecret, Name, NameRef, Scope};
use governance::time::{Cycle, Nanos, Now, Schedule, WallTime};
use governance::units::Rate;

/// How long each case is measured at least.
const MEASURED: Nanos = Nanos(300_000_000);
/// Decisions between two looks at the time and at Ctrl-C.
const BATCH: u32 = 4096;

/// Tenants of the cases that have quotas and prices.
const TENANTS: usize = 256;
/// The service that every request is for.
const SERVICE: &str = "bench";
/// More than is used while it is measured.
const AMPLE: u64 = 1_000_000_000_000_000;

/// What requests are decided by.
#[derive(Clone, Copy)]
enum By {
    Service,
    User,
    Tenant,
}

impl By {
    const fn scope(self) -> &'static str {
        match self {
            Self::Service => "service:bench",
            Self::User => "user:*",
            Self::Tenant => "tenant:*",
        }
    }
}

/// A way of using the governor. What each request meets is ample, so that all are allowed.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Whose limit and quota it is.
    by: By,
    /// How many keys come.
    keys: usize,
    has_limit: bool,
    has_quota: bool,
    /// Whether the service has a price.
    has_price: bool,
}

impl Case {
    const fn limit(name: &'static str, by: By, keys: usize) -> Self {
        Self { name, by, keys, has_limit: true, has_quota: false, has_price: false }
    }
}

/// What beside its own a subject is compared with.
const TENANT_LIMIT: Case = Case::limit("256 tenants: limit", By::Tenant, TENANTS);

const RATELIMIT: [Case; 3] = [
    Case::limit("one bucket", By::Service, 1),
    Case::limit("keys at 10 % fill", By::User, KEYS / 10),
    Case::limit("keys at 100 % fill", By::User, KEYS),
];

const QUOTA: [Case; 3] = [
    Case { name: "one quota", by: By::Service, keys: 1, has_limit: false, has_quota: true, has_price: false },
    TENANT_LIMIT,
    Case { name: "256 tenants: limit + quota", has_quota: true, ..TENANT_LIMIT },
];

const COST: [Case; 2] = [
    TENANT_LIMIT,
    Case { name: "256 tenants: limit + quota + cost", has_quota: true, has_price: true, ..TENANT_LIMIT },
];

/// The most cases that a subject has.
const CASES_MAX: usize = 3;

/// What was measured.
#[derive(Clone, Copy)]
struct Measured {
    case: Case,
    decisions: u64,
    time: Nanos,
}

/// Measures the second governor: every decision reads the clock, makes a request, admits it.
pub(super) fn bench(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (subject, cases): (_, &[Case]) = match invocation.positional(0) {
        Some("quota") => ("quota", &QUOTA),
        Some("cost") => ("cost", &COST),
        _ => ("ratelimit", &RATELIMIT),
    };
    let mut results = [None; CASES_MAX];
    for (&case, result) in cases.iter().zip(&mut results) {
        *result = Some(measure(context, case)?);
    }
    let results = results.iter().flatten();
    if invocation.flag("json") {
        return Ok(write_json(context.system, subject, results)?);
    }
    let table = Table {
        columns: [
            Column::left(subject),
            Column::right("keys"),
            Column::right("decisions"),
            Column::right("decisions/s"),
            Column::right("ns each"),
        ],
        if_empty: "",
    };
    Ok(table.write(context.system, context.term, |row| {
        for measured in results.clone() {
            row(&[
                Cell::styled(Style::Name, &measured.case.name),
                Cell::new(&Grouped(wide(measured.case.keys))),
                Cell::new(&Grouped(measured.decisions)),
                Cell::styled(Style::Good, &Grouped(each_second(measured.decisions, measured.time))),
                Cell::new(&(measured.time.0 / measured.decisions.max(1))),
            ]);
        }
    })?)
}

fn write_json<'a>(
    out: &mut dyn crate::system::System,
    subject: &str,
    results: impl Iterator<Item = &'a Measured>,
) -> fmt::Result {
    for measured in results {
        ObjectWriter::begin(out)?
            .string("bench", subject)?
            .string("case", measured.case.name)?
            .integer("keys", wide(measured.case.keys))?
            .integer("decisions", measured.decisions)?
            .integer("decisions_per_second", each_second(measured.decisions, measured.time))?
            .end()?;
    }
    Ok(())
}

fn measure(context: &mut Context<'_>, case: Case) -> Result<Measured, Failed> {
    prepare(context, case)?;
    let mut random = SplitMix(1);
    let start = context.system.now().instant;
    let (mut decisions, mut allowed) = (0, 0);
    loop {
        for _ in 0..BATCH {
            let key = random.index(case.keys);
            let now = context.system.now();
            allowed += u64::from(admit(&mut context.engine.replay, now, case, key));
        }
        decisions += u64::from(BATCH);
        let time = context.system.now().instant.since(start);
        if context.system.interrupted() {
            return Err(context.fail(format_args!("stopped")));
        }
        if time >= MEASURED {
            assert_eq!(allowed, decisions, "what never runs out refused a request");
            return Ok(Measured { case, decisions, time });
        }
    }
}

/// Empties the second governor and fills its table with the keys of the case.
fn prepare(context: &mut Context<'_>, case: Case) -> Outcome {
    context.engine.replayed = governance::text::Text::EMPTY;
    let governor = &mut context.engine.replay;
    governor.reset(HashSecret::from_seed(1));
    let now = context.system.now();
    if configure(governor, case).is_none() {
        return Err(context.fail(format_args!("the configuration of the benchmark was refused")));
    }
    for key in 0..case.keys {
        admit(&mut context.engine.replay, now, case, key);
    }
    Ok(())
}

/// Sets up what the case measures; none if something of it is refused.
fn configure(governor: &mut Governor, case: Case) -> Option<()> {
    let scope = Scope::parse(case.by.scope()).ok()?;
    if case.has_limit {
        let rate = Rate { count: 1_000_000, period: Nanos::from_seconds(1) };
        let shape = BucketShape { capacity: 1_000_000_000, rate };
        let spec = LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).ok()?;
        governor.limits.add(&spec).ok()?;
    }
    if case.has_quota {
        let schedule = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
        let spec = QuotaSpec::new(scope, QuotaUnit::Requests, AMPLE, schedule).ok()?;
        governor.quotas.allocate_quota(&spec).ok()?;
    }
    if case.has_price {
        let model = CostModel {
            service: Name::new(SERVICE).ok()?,
            base_cost: Price::parse("0.0001 USD").ok()?,
            per_kilobyte: Price::parse("0.00001 USD").ok()?,
            ..CostModel::default()
        };
        governor.costs.define_cost_model(&model).ok()?;
    }
    Some(())
}

#[inline]
fn admit(governor: &mut Governor, now: Now, case: Case, key: usize) -> bool {
    let name = KeyText::of(key);
    let key = NameRef::new(name.as_str()).ok();
    let service = NameRef::new(SERVICE).ok();
    let request = match case.by {
        By::Service => Request { service, ..Request::default() },
        By::User => Request { user: key, ..Request::default() },
        By::Tenant => Request { service, tenant: key, bytes: 1024, ..Request::default() },
    };
    governor.admit(now, &request).is_allowed()
}

/// The name of a key: `user-` and its number in hexadecimal, made without the formatting machinery, which would
/// cost more than the decision.
struct KeyText([u8; 10]);

impl KeyText {
    fn of(key: usize) -> Self {
        let mut text = *b"user-00000";
        let mut rest = key;
        for digit in text.iter_mut().rev().take(5) {
            *digit = b"0123456789abcdef"[rest % 16];
            rest /= 16;
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}
