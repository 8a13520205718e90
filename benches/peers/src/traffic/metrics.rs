//! What counting a decision and an outcome takes.

use super::STEP;
use crate::keys::Picks;
use crate::measure::{Case, Clock};
use governance::decision::{Decision, Reason, Verdict};
use governance::metrics::{GovernanceCollector, Key, MeasureId, Measured, OutcomeReport};
use governance::money::NanoUnits;
use governance::scope::{HashSecret, KeyName, Kind, NameRef};
use governance::time::{Instant, Now, WallTime};
use hdrhistogram::Histogram;
use prometheus::{HistogramOpts, IntCounterVec, Opts};
use std::hint::black_box;
use std::sync::Mutex;

/// How many pairs of a service and a tenant there are.
pub const PAIRS: usize = 1_000;
const SERVICES: usize = 10;
const SECRET: HashSecret = HashSecret { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 };
/// The longest latency that hdrhistogram is to tell apart, in microseconds: as far as Weir does.
const LATENCY_MAX: u64 = (1 << 36) - 1;

/// A collector in static memory, where it has to be: it is too large for a stack.
static COLLECTORS: [Mutex<GovernanceCollector>; 4] = [const { Mutex::new(GovernanceCollector::new()) }; 4];

/// The names of services and tenants, each pair once.
pub struct Pairs(Vec<[String; 2]>);

impl Pairs {
    /// All of them.
    pub fn new() -> Self {
        let pair = |index: usize| {
            [format!("service-{}", index % SERVICES), format!("tenant-{:04}", index / SERVICES)]
        };
        Self((0..PAIRS).map(pair).collect())
    }

    /// As the governor tells them, with the hashes that it has made.
    fn measured<'a>(&'a self, charged: NanoUnits) -> Vec<Measured<'a>> {
        let measured = |pair: &'a [String; 2]| {
            let [service, tenant] = pair;
            let service = key(Kind::Service, service);
            Measured {
                service: Some(service),
                tenant: Some(key(Kind::Tenant, tenant)),
                scope: Some((Kind::Service, service)),
                tokens: 0,
                charged,
            }
        };
        self.0.iter().map(measured).collect()
    }

    /// The labels of each pair's decisions.
    fn labels(&self) -> Vec<[&str; 3]> {
        self.0.iter().map(|[service, tenant]| [service.as_str(), tenant.as_str(), "allow"]).collect()
    }
}

fn key(kind: Kind, name: &str) -> Key<'_> {
    let name = NameRef::new(name).unwrap();
    Key { hash: SECRET.hash(kind, KeyName::Text(name)), name }
}

/// Decisions, of which the first pair is the one that is asked about again and again.
pub fn decisions<'a>(pairs: &'a Pairs) -> Vec<Case<'a>> {
    let [hot, random, priced, ..] = &COLLECTORS;
    let counters = IntCounterVec::new(Opts::new("decisions", "decisions"), &["service", "tenant", "verdict"]);
    let counters = counters.unwrap();
    let resolved = counters.with_label_values(&pairs.labels()[0]);
    let by_label = |name, count| {
        let (counters, labels) = (counters.clone(), pairs.labels());
        Case::new(name, Clock::Still, move |operations, seed| {
            let mut picks = Picks::new(seed, count);
            for _ in 0..operations {
                counters.with_label_values(black_box(&labels[picks.next()])).inc();
            }
        })
    };
    vec![
        decision("weir record_decision, one pair", hot, pairs, 1, NanoUnits::ZERO),
        decision("weir record_decision, 1000 pairs", random, pairs, PAIRS, NanoUnits::ZERO),
        decision("weir record_decision, 1000 pairs, a price", priced, pairs, PAIRS, NanoUnits(110_000)),
        by_label("prometheus with_label_values + inc, one", 1),
        by_label("prometheus with_label_values + inc, 1000", PAIRS),
        Case::new("prometheus inc, one that is resolved", Clock::Still, move |operations, _| {
            (0..operations).for_each(|_| black_box(&resolved).inc());
        }),
    ]
}

fn decision<'a>(
    name: &'static str,
    collector: &'static Mutex<GovernanceCollector>,
    pairs: &'a Pairs,
    count: usize,
    charged: NanoUnits,
) -> Case<'a> {
    let measured = pairs.measured(charged);
    let decision = Decision::plain(Verdict::Allow, Reason::WithinLimits);
    let mut time = 0;
    Case::new(name, Clock::Still, move |operations, seed| {
        let collector = &mut *collector.lock().unwrap();
        let mut picks = Picks::new(seed, count);
        for _ in 0..operations {
            time += STEP;
            let measured = black_box(&measured[picks.next()]);
            black_box(collector.record_decision(at(time), measured, black_box(&decision)));
        }
        assert_eq!(collector.stats().overflowed, 0, "{name}: each pair has its series");
    })
}

/// Outcomes of requests of the same pairs, with latencies up to a second.
pub fn outcomes<'a>(pairs: &'a Pairs) -> Vec<Case<'a>> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, LATENCY_MAX, 2).unwrap();
    let observed = prometheus::Histogram::with_opts(HistogramOpts::new("latency", "latency")).unwrap();
    vec![
        outcome("weir record_outcome, one pair", &COLLECTORS[3], pairs, 1),
        outcome("weir record_outcome, 1000 pairs", &COLLECTORS[1], pairs, PAIRS),
        Case::new("hdrhistogram record, 2 digits", Clock::Still, move |operations, seed| {
            let mut latencies = Picks::new(seed, 1_000_000);
            for _ in 0..operations {
                histogram.record(1 + latencies.next() as u64).unwrap();
            }
        }),
        Case::new("prometheus observe, 11 bounds", Clock::Still, move |operations, seed| {
            let mut latencies = Picks::new(seed, 1_000_000);
            for _ in 0..operations {
                observed.observe((1 + latencies.next()) as f64 / 1e6);
            }
        }),
    ]
}

fn outcome<'a>(
    name: &'static str,
    collector: &'static Mutex<GovernanceCollector>,
    pairs: &'a Pairs,
    count: usize,
) -> Case<'a> {
    let decision = Decision::plain(Verdict::Allow, Reason::WithinLimits);
    let mut time = 0;
    let locate =
        |measured: &Measured<'_>| collector.lock().unwrap().record_decision(at(0), measured, &decision);
    let ids: Vec<MeasureId> = pairs.measured(NanoUnits::ZERO).iter().map(locate).collect();
    Case::new(name, Clock::Still, move |operations, seed| {
        let collector = &mut *collector.lock().unwrap();
        let mut picks = Picks::new(seed, count);
        let mut latencies = Picks::new(seed + 1, 1_000_000);
        for _ in 0..operations {
            time += STEP;
            let latency_us = Some(1 + latencies.next() as u64);
            let report = OutcomeReport { status: Some(200), latency_us, ..OutcomeReport::default() };
            collector.record_outcome(at(time), ids[picks.next()], black_box(&report));
        }
        assert_eq!(collector.stats().stale, 0, "{name}: each request is known");
    })
}

const fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}
