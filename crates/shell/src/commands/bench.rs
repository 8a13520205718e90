//! `bench`: decisions per second, measured where they are taken.

use super::replay::each_second;
use super::{Context, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::engine::{Governor, KEYS};
use crate::render::{Cell, Column, Grouped, Table};
use crate::term::Style;
use core::fmt;
use governance::export::ObjectWriter;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::request::{Request, Unit};
use governance::scope::{HashSecret, NameRef, Scope};
use governance::time::Nanos;
use governance::units::Rate;

/// How long each case is measured at least.
const MEASURED: Nanos = Nanos(300_000_000);
/// Decisions between two looks at the time and at Ctrl-C.
const BATCH: u32 = 4096;

/// A way of using the limiter.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    scope: &'static str,
    /// How many keys are in the table.
    keys: usize,
}

const CASES: [Case; 3] = [
    Case { name: "one bucket", scope: "service:bench", keys: 1 },
    Case { name: "keys at 10 % fill", scope: "user:*", keys: KEYS / 10 },
    Case { name: "keys at 100 % fill", scope: "user:*", keys: KEYS },
];

/// What was measured.
#[derive(Clone, Copy)]
struct Measured {
    case: Case,
    decisions: u64,
    time: Nanos,
}

/// Measures the limiter on the second governor: every decision reads the clock, makes a request, admits it.
pub(super) fn bench(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut results = [None; CASES.len()];
    for (case, result) in CASES.into_iter().zip(&mut results) {
        *result = Some(measure(context, case)?);
    }
    let results = results.iter().flatten();
    if invocation.flag("json") {
        return Ok(write_json(context.system, results)?);
    }
    let table = Table {
        columns: [
            Column::left("ratelimit"),
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
    results: impl Iterator<Item = &'a Measured>,
) -> fmt::Result {
    for measured in results {
        ObjectWriter::begin(out)?
            .string("bench", "ratelimit")?
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
            let key = random.below(case.keys);
            let now = context.system.now();
            allowed += u64::from(admit(&mut context.engine.replay, now, case, key));
        }
        decisions += u64::from(BATCH);
        let time = context.system.now().instant.since(start);
        if context.system.interrupted() {
            return Err(context.fail(format_args!("stopped")));
        }
        if time >= MEASURED {
            assert_eq!(allowed, decisions, "a bucket that never empties refused a request");
            return Ok(Measured { case, decisions, time });
        }
    }
}

/// Empties the second governor and fills its table with the keys of the case.
fn prepare(context: &mut Context<'_>, case: Case) -> Outcome {
    context.engine.replayed = governance::text::Text::EMPTY;
    let governor = &mut context.engine.replay;
    governor.reset(HashSecret::from_seed(1));
    let shape = BucketShape {
        capacity: 1_000_000_000,
        rate: Rate { count: 1_000_000, period: Nanos::from_seconds(1) },
    };
    let spec = Scope::parse(case.scope)
        .ok()
        .and_then(|scope| LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).ok());
    if spec.is_none_or(|spec| governor.limits.add(&spec).is_err()) {
        return Err(context.fail(format_args!("the limit of the benchmark was refused")));
    }
    let now = context.system.now();
    for key in 0..case.keys {
        admit(&mut context.engine.replay, now, case, key);
    }
    Ok(())
}

#[inline]
fn admit(governor: &mut Governor, now: governance::time::Now, case: Case, key: usize) -> bool {
    let name = KeyText::of(key);
    let user = NameRef::new(name.as_str()).ok();
    let service = NameRef::new("bench").ok();
    let keyed = case.keys > 1;
    let request = if keyed {
        Request { user, ..Request::default() }
    } else {
        Request { service, ..Request::default() }
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

/// SplitMix64 (Steele, Lea, Flood): enough to spread picks over the table.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from((u128::from(mixed) * (bound as u128)) >> 64).unwrap_or(0)
    }
}
