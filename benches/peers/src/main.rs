//! Weir's decisions beside the libraries that a program would use instead, in one run on one machine.
//!
//! `cargo run --release -- [--quick] [--json] [--limits] [--books] [--policy] [--queue] [--traffic]` measures the
//! parts that are named, or all. Every table gets the same string keys, each is touched before anything is measured, and all are asked
//! in the same random order. What the figures mean is said in the README of this crate.

mod books;
mod floors;
mod keys;
mod measure;
mod peers;
mod policy;
mod queue;
mod quota;
mod report;
mod traffic;
mod weir;

use governance::governor::Governor;
use measure::{Case, Clock, Effort, nanos_per_operation};
use quota::{Answer, Quota};
use report::{Format, Group, Row};
use std::sync::Mutex;
use weir::Engine;

static SMALL: Engine<1_000> = Mutex::new(Governor::new());
static MIDDLE: Engine<100_000> = Mutex::new(Governor::new());
static LARGE: Engine<1_000_000> = Mutex::new(Governor::new());
/// As large as the kernel's table, twice: to be filled to a tenth, and to the last slot.
static TENTH: Engine<65_536> = Mutex::new(Governor::new());
static FULL: Engine<65_536> = Mutex::new(Governor::new());

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Limits,
    Books,
    Policy,
    Queue,
    Traffic,
}

impl Part {
    const ALL: [Self; 5] = [Self::Limits, Self::Books, Self::Policy, Self::Queue, Self::Traffic];

    const fn option(self) -> &'static str {
        match self {
            Self::Limits => "--limits",
            Self::Books => "--books",
            Self::Policy => "--policy",
            Self::Queue => "--queue",
            Self::Traffic => "--traffic",
        }
    }

    fn print(self, effort: Effort, format: Format) {
        match self {
            Self::Limits => {
                print_floors(effort, format);
                print_limits(effort, format);
            }
            Self::Books => print_books(effort, format),
            Self::Policy => print_policies(effort, format),
            Self::Queue => print_queue(effort, format),
            Self::Traffic => print_traffic(effort, format),
        }
    }
}

fn main() {
    let (mut effort, mut format, mut named) = (Effort::FULL, Format::Table, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = Effort::QUICK,
            "--json" => format = Format::Json,
            option => match Part::ALL.into_iter().find(|part| part.option() == option) {
                Some(part) => named.push(part),
                None => {
                    let options = Part::ALL.map(|part| format!(" [{}]", part.option())).concat();
                    eprintln!("usage: peers [--quick] [--json]{options}");
                    std::process::exit(2);
                }
            },
        }
    }
    if format == Format::Table {
        println!(
            "median of {} samples of {} ms, taken in turn; opt-level 3, lto, overflow checks; 1 thread",
            effort.samples,
            effort.sample.as_millis()
        );
    }
    let is_named = |part: &Part| named.is_empty() || named.contains(part);
    Part::ALL.into_iter().filter(is_named).for_each(|part| part.print(effort, format));
}

/// The limiter beside its peers, and by how full it is.
fn print_limits(effort: Effort, format: Format) {
    for quota in [Quota::AMPLE, Quota::SPENT] {
        print_keyed(&SMALL, 1_000, &quota, effort, format);
        print_keyed(&MIDDLE, 100_000, &quota, effort, format);
        print_keyed(&LARGE, 1_000_000, &quota, effort, format);
    }
    print_fill(effort, format);
}

fn print_floors(effort: Effort, format: Format) {
    let mut cases = floors::words();
    let nanos = nanos_per_operation(&mut cases, effort);
    let rows = rows(&cases, &nanos, |_| None);
    Group { title: "floors", keyed: None, relative_to: "", rows }.print(format);
}

/// The same `count` keys in every table.
fn print_keyed<const KEYS: usize>(
    engine: &'static Engine<KEYS>,
    count: u32,
    quota: &Quota,
    effort: Effort,
    format: Format,
) {
    let names = keys::names(count);
    weir::prepare(engine, quota, &names);
    let [crab_read, crab_still] = peers::throttlecrab(quota, &names);
    // The cases that share a table do not follow each other, so that none finds the caches filled by another.
    let mut cases = vec![
        weir::admit(engine, quota, &names, Clock::Read),
        peers::governor(quota, &names, Clock::Read),
        weir::decide_by(engine, quota, &names, Clock::Read),
        crab_read,
        floors::hash_map(&names),
        weir::admit(engine, quota, &names, Clock::Still),
        peers::governor(quota, &names, Clock::Still),
        weir::decide_by(engine, quota, &names, Clock::Still),
        crab_still,
    ];
    let nanos = nanos_per_operation(&mut cases, effort);
    let governor = |clock| {
        let place = cases.iter().position(|case| case.name == peers::GOVERNOR && case.clock == clock)?;
        nanos.get(place).copied()
    };
    let rows = rows(&cases, &nanos, governor);
    let keyed = Some((names.len(), quota.answer.word()));
    let title = format!("{count} keys, {}", quota.answer.word());
    Group { title: &title, keyed, relative_to: "to governor", rows }.print(format);
}

/// The table that the kernel has, with a tenth of its slots in use and with all of them.
fn print_fill(effort: Effort, format: Format) {
    let quota = &Quota::AMPLE;
    let names = keys::names(65_536);
    let tenth = &names[..6_553];
    weir::prepare(&TENTH, quota, tenth);
    weir::prepare(&FULL, quota, &names);
    let mut cases = vec![
        weir::admit(&TENTH, quota, tenth, Clock::Read).named("10 % full, asked for all its keys"),
        weir::admit(&FULL, quota, tenth, Clock::Read).named("100 % full, asked for as many keys"),
        weir::admit(&FULL, quota, &names, Clock::Read).named("100 % full, asked for all its keys"),
    ];
    let nanos = nanos_per_operation(&mut cases, effort);
    let rows = rows(&cases, &nanos, |_| nanos.first().copied());
    let keyed = Some((names.len(), Answer::Allow.word()));
    let title = "weir Governor::admit over 65536 slots";
    Group { title, keyed, relative_to: "to 10 %", rows }.print(format);
}

/// What a quota, a price and a budget add to a limit.
fn print_books(effort: Effort, format: Format) {
    let names = keys::names(books::TENANTS);
    let mut cases = books::cases(&names);
    let nanos = nanos_per_operation(&mut cases, effort);
    let rows = rows(&cases, &nanos, |_| nanos.first().copied());
    let keyed = Some((names.len(), Answer::Allow.word()));
    let title = "weir Governor::admit, 256 tenants";
    Group { title, keyed, relative_to: "to the limit", rows }.print(format);
}

/// Rules that decide requests, in Weir and in Cedar.
fn print_policies(effort: Effort, format: Format) {
    policy::each_set(|title, cases| {
        let nanos = nanos_per_operation(cases, effort);
        let rows = rows(cases, &nanos, |_| nanos.first().copied());
        Group { title, keyed: None, relative_to: "to weir", rows }.print(format);
    });
}

/// Requests that wait, in Weir and in a heap.
fn print_queue(effort: Effort, format: Format) {
    let mut cases = queue::cases();
    let nanos = nanos_per_operation(&mut cases, effort);
    let rows = rows(&cases, &nanos, |_| nanos.first().copied());
    let title = format!(
        "{} tenants x {} classes, {} requests wait; the heap serves classes strictly: no tenants, no shares, no \
         cancelling, no expiry, no metrics",
        queue::TENANTS,
        queue::CLASSES,
        queue::WAITING
    );
    Group { title: &title, keyed: None, relative_to: "to the first", rows }.print(format);
}

/// Breakers, metrics, retry policies, the loop guard, and the whole way of a call.
fn print_traffic(effort: Effort, format: Format) {
    traffic::each_group(|title, keys, cases| {
        let nanos = nanos_per_operation(cases, effort);
        let rows = rows(cases, &nanos, |_| nanos.first().copied());
        let keyed = keys.map(|keys| (keys, Answer::Allow.word()));
        Group { title, keyed, relative_to: "to the first", rows }.print(format);
    });
}

fn rows(cases: &[Case<'_>], nanos: &[f64], relative_to: impl Fn(Clock) -> Option<f64>) -> Vec<Row> {
    let row = |(case, &nanos): (&Case<'_>, &f64)| Row {
        name: case.name,
        clock: case.clock.word(),
        nanos,
        ratio: relative_to(case.clock).map(|reference| nanos / reference),
    };
    cases.iter().zip(nanos).map(row).collect()
}
