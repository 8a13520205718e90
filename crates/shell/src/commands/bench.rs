//! `bench`: decisions per second, measured where they are taken.

mod admission;
mod policy;
mod queue;
mod traffic;

use super::replay::each_second;
use super::{Context, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::engine::{Engine, Governor, KEYS};
use crate::random::SplitMix;
use crate::render::{Cell, Column, Grouped, Table};
use crate::system::System;
use crate::term::Style;
use admission::{Admission, By};
use core::fmt;
use governance::config::Config;
use governance::export::ObjectWriter;
use governance::scope::HashSecret;
use governance::text::Text;
use governance::time::{Nanos, Now};
use policy::Evaluation;
use queue::Waiting;
use traffic::{Calls, Stages};

/// How long each case is measured at least.
const MEASURED: Nanos = Nanos(300_000_000);
/// How many times it is done between two looks at the time and at Ctrl-C.
const BATCH: u32 = 4096;

/// Tenants of the cases that have quotas, prices or queues.
const TENANTS: usize = 256;
/// The service that every request is for, where there is only one.
const SERVICE: &str = "bench";

/// A way of using the governor.
trait Work {
    /// How many different things are asked about.
    fn keys(&self) -> usize;

    /// Adds to an empty configuration what has to be there at first; none if something is refused.
    fn configure(&self, _config: &mut Config) -> Option<()> {
        Some(())
    }

    /// Sets up a governor that has only been configured so that it knows all keys; none if something is refused.
    fn prepare(&mut self, governor: &mut Governor, now: Now) -> Option<()>;

    /// What is measured, once, with the key of that number. Tells whether it went as it must.
    fn once(&mut self, governor: &mut Governor, now: Now, key: usize) -> bool;
}

/// What is measured, under its name.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Admit(Admission),
    /// So many policies.
    Evaluate(usize),
    Wait,
    Call(Stages),
}

impl Case {
    const fn admit(name: &'static str, admission: Admission) -> Self {
        Self { name, kind: Kind::Admit(admission) }
    }
}

/// What beside its own a subject is compared with.
const TENANT_LIMIT: Admission = Admission::limit(By::Tenant, TENANTS);

const RATELIMIT: [Case; 3] = [
    Case::admit("one bucket", Admission::limit(By::Service, 1)),
    Case::admit("keys at 10 % fill", Admission::limit(By::User, KEYS / 10)),
    Case::admit("keys at 100 % fill", Admission::limit(By::User, KEYS)),
];

const QUOTA: [Case; 3] = [
    Case::admit(
        "one quota",
        Admission { by: By::Service, keys: 1, has_limit: false, has_quota: true, has_price: false },
    ),
    Case::admit("256 tenants: limit", TENANT_LIMIT),
    Case::admit("256 tenants: limit + quota", Admission { has_quota: true, ..TENANT_LIMIT }),
];

const COST: [Case; 2] = [
    Case::admit("256 tenants: limit", TENANT_LIMIT),
    Case::admit(
        "256 tenants: limit + quota + cost",
        Admission { has_quota: true, has_price: true, ..TENANT_LIMIT },
    ),
];

const POLICY: [Case; 2] = [
    Case { name: "16 rules: evaluate", kind: Kind::Evaluate(16) },
    Case { name: "128 rules: evaluate", kind: Kind::Evaluate(128) },
];

const PRIORITY: [Case; 1] =
    [Case { name: "256 tenants x 5 classes: dequeue + complete + enqueue", kind: Kind::Wait }];

const TRAFFIC: [Case; 2] = [
    Case { name: "breaker + retry policy: admit + complete", kind: Kind::Call(Stages::Breaker) },
    Case { name: "everything: admit + complete", kind: Kind::Call(Stages::All) },
];

/// The most cases that a subject has.
const CASES_MAX: usize = 3;

/// What was measured.
#[derive(Clone, Copy)]
struct Measured {
    name: &'static str,
    keys: usize,
    /// How many times it was done.
    times: u64,
    time: Nanos,
}

impl Measured {
    fn ns_each(&self) -> u64 {
        self.time.0 / self.times.max(1)
    }
}

/// What is done over and over, as tables and programs call it.
struct Repeated {
    plural: &'static str,
    each_second: &'static str,
    key_each_second: &'static str,
}

const DECISIONS: Repeated =
    Repeated { plural: "decisions", each_second: "decisions/s", key_each_second: "decisions_per_second" };
/// One request out of the queue, done, and another in.
const CYCLES: Repeated =
    Repeated { plural: "cycles", each_second: "cycles/s", key_each_second: "cycles_per_second" };

/// A request that is decided, and its outcome.
const CALLS: Repeated =
    Repeated { plural: "calls", each_second: "calls/s", key_each_second: "calls_per_second" };

/// Measures the second governor: for every decision the clock is read and a request is made.
pub(super) fn bench(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (subject, repeated, cases): (_, _, &[Case]) = match invocation.positional(0) {
        Some("quota") => ("quota", &DECISIONS, &QUOTA),
        Some("cost") => ("cost", &DECISIONS, &COST),
        Some("policy") => ("policy", &DECISIONS, &POLICY),
        Some("priority") => ("priority", &CYCLES, &PRIORITY),
        Some("traffic") => ("traffic", &CALLS, &TRAFFIC),
        _ => ("ratelimit", &DECISIONS, &RATELIMIT),
    };
    let mut results = [None; CASES_MAX];
    for (&case, result) in cases.iter().zip(&mut results) {
        *result = Some(measure(context, case)?);
    }
    let results = results.iter().flatten();
    if invocation.flag("json") {
        return Ok(write_json(context.system, subject, repeated, results)?);
    }
    let table = Table {
        columns: [
            Column::left(subject),
            Column::right("keys"),
            Column::right(repeated.plural),
            Column::right(repeated.each_second),
            Column::right("ns each"),
        ],
        if_empty: "",
    };
    Ok(table.write(context.system, context.term, |row| {
        for measured in results.clone() {
            row(&[
                Cell::styled(Style::Name, &measured.name),
                Cell::new(&Grouped(wide(measured.keys))),
                Cell::new(&Grouped(measured.times)),
                Cell::styled(Style::Good, &Grouped(each_second(measured.times, measured.time))),
                Cell::new(&measured.ns_each()),
            ]);
        }
    })?)
}

fn write_json<'a>(
    out: &mut dyn System,
    subject: &str,
    repeated: &Repeated,
    results: impl Iterator<Item = &'a Measured>,
) -> fmt::Result {
    for measured in results {
        ObjectWriter::begin(out)?
            .string("bench", subject)?
            .string("case", measured.name)?
            .integer("keys", wide(measured.keys))?
            .integer(repeated.plural, measured.times)?
            .integer(repeated.key_each_second, each_second(measured.times, measured.time))?
            .integer("ns_each", measured.ns_each())?
            .end()?;
    }
    Ok(())
}

fn measure(context: &mut Context<'_>, Case { name, kind }: Case) -> Result<Measured, Failed> {
    match kind {
        Kind::Admit(admission) => run(context, name, admission),
        Kind::Evaluate(rules) => run(context, name, Evaluation::new(rules)),
        Kind::Wait => run(context, name, Waiting::new()),
        Kind::Call(stages) => run(context, name, Calls { stages }),
    }
}

/// Has the work done over and over, in the second governor.
fn run(context: &mut Context<'_>, name: &'static str, mut work: impl Work) -> Result<Measured, Failed> {
    context.engine.replayed = Text::EMPTY;
    let Engine { replay, staging, .. } = &mut *context.engine;
    replay.reset(HashSecret::from_seed(1));
    staging.clear();
    let now = context.system.now();
    let prepared = work
        .configure(staging)
        .and_then(|()| replay.configure(now, staging).ok())
        .and_then(|()| work.prepare(replay, now));
    if prepared.is_none() {
        return Err(context.fail(format_args!("the configuration of the benchmark was refused")));
    }
    let keys = work.keys();
    let mut random = SplitMix(1);
    let start = context.system.now().instant;
    let (mut times, mut as_expected) = (0, 0);
    loop {
        for _ in 0..BATCH {
            let key = random.index(keys);
            let now = context.system.now();
            as_expected += u64::from(work.once(&mut context.engine.replay, now, key));
        }
        times += u64::from(BATCH);
        let time = context.system.now().instant.since(start);
        if context.system.interrupted() {
            return Err(context.fail(format_args!("stopped")));
        }
        if time >= MEASURED {
            assert_eq!(as_expected, times, "{name}: something went otherwise than it must");
            return Ok(Measured { name, keys, times, time });
        }
    }
}
