//! The product's collector against others: percentiles against hdrhistogram, rankings against exact counts of a skewed
//! stream, timelines and totals against a log of everything.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governance::decision::{Decision, Reason, Verdict};
use governance::metrics::{
    GovernanceCollector, Key, LatencyScope, Measured, OutcomeReport, OutcomeResult, Percentiles, Resolution,
    SERIES_MAX, Slot, TopBy, Window,
};
use governance::money::NanoUnits;
use governance::scope::{HashSecret, KeyName, Kind, NameRef};
use governance::time::{NANOS_PER_SECOND, Now, WallTime};
use hdrhistogram::Histogram;
use sim::random::Random;

/// Const-initialised, as the kernel has it, and too large for a stack.
static COLLECTOR: Mutex<GovernanceCollector> = Mutex::new(GovernanceCollector::new());
const SECRET: HashSecret = HashSecret::from_seed(5);
const START: u64 = 1_767_571_200;

/// The collector, empty. Tests that use it take turns.
fn collector() -> MutexGuard<'static, GovernanceCollector> {
    let mut collector = COLLECTOR.lock().unwrap_or_else(PoisonError::into_inner);
    collector.reset();
    collector
}

fn at(second: u64) -> Now {
    Now::from_wall(WallTime((START + second) * NANOS_PER_SECOND))
}

fn key(kind: Kind, name: &str) -> Key<'_> {
    let name = NameRef::new(name).expect("names of tests are short");
    Key { hash: SECRET.hash(kind, KeyName::Text(name)), name }
}

fn call<'a>(service: &'a str, tenant: &'a str) -> Measured<'a> {
    let (service, tenant) = (key(Kind::Service, service), key(Kind::Tenant, tenant));
    let scope = Some((Kind::Service, service));
    Measured { service: Some(service), tenant: Some(tenant), scope, ..Measured::default() }
}

fn allowed() -> Decision {
    Decision::plain(Verdict::Allow, Reason::WithinLimits)
}

/// A latency as they are: most of them short, a few of them very long.
fn latency(random: &mut Random) -> u64 {
    let bits = random.between(4, 35);
    let short = random.between(200, 40_000);
    if random.chance(90) { short } else { random.between(1, 1 << bits) }
}

fn check_percentiles(told: Option<Percentiles>, exact: &Histogram<u64>) {
    let told = told.expect("there are samples");
    assert_eq!(told.count, exact.len());
    for (percent, value) in [(50.0, told.p50), (90.0, told.p90), (95.0, told.p95), (99.0, told.p99)] {
        let other = exact.value_at_percentile(percent);
        // 1.6 % of what is exact; the other one has five significant digits.
        let off = value.abs_diff(other);
        assert!(off * 1000 <= other * 16 + 1000, "p{percent}: {value} beside {other}");
    }
    // The other one tells the highest value that it cannot tell from the largest.
    assert!(exact.equivalent(told.max, exact.max()) && exact.equivalent(told.min, exact.min()));
}

#[test]
fn percentiles_are_those_of_hdrhistogram() {
    let mut collector = collector();
    let mut random = Random::new(1);
    let new = || Histogram::<u64>::new_with_bounds(1, 1 << 40, 5).unwrap();
    let (mut all, mut since, mut slices) =
        (new(), [new(), new()], BTreeMap::<u64, [Histogram<u64>; 2]>::new());
    let services = ["web", "llm"];
    for step in 0..300_000 {
        let second = step / 2000;
        let service = usize::from(random.chance(30));
        let value = latency(&mut random) << (2 * service);
        let value = value.min((1 << 36) - 1);
        let id = collector.record_decision(at(second), &call(services[service], "acme"), &allowed());
        let report = OutcomeReport { latency_us: Some(value), ..OutcomeReport::default() };
        collector.record_outcome(at(second), id, &report);
        all.record(value).unwrap();
        since[service].record(value).unwrap();
        slices.entry(second / 10).or_insert_with(|| [new(), new()])[service].record(value).unwrap();
        if step % 30_011 == 30_010 {
            for (name, service) in services.into_iter().zip(0..) {
                let scope = LatencyScope::Named(Kind::Service, name);
                let mut minute = new();
                slices.range((second / 10).saturating_sub(5)..).for_each(|(_, slice)| {
                    minute.add(&slice[service]).unwrap();
                });
                check_percentiles(collector.get_metric_percentiles(scope, Window::Minute), &minute);
                check_percentiles(
                    collector.get_metric_percentiles(scope, Window::SinceStart),
                    &since[service],
                );
                let buckets = collector.latency_buckets(scope).unwrap();
                assert_eq!(buckets.count(), since[service].len());
                assert!(buckets.cumulative().is_sorted_by_key(|(_, count)| count));
            }
            let everything = collector.get_metric_percentiles(LatencyScope::All, Window::SinceStart);
            check_percentiles(everything, &all);
        }
    }
}

/// Draws numbers from 0 whose frequency falls as their rank to the power of 1.1.
struct Zipf {
    /// Sums of the weights, in billionths of that of the first.
    sums: Vec<u64>,
}

impl Zipf {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::float_arithmetic,
        reason = "a power of a fraction, from 1 to a billion"
    )]
    fn new(count: u32) -> Self {
        let mut sum = 0;
        let weight = |rank: u32| (1e9 / f64::from(rank).powf(1.1)).round();
        let sums = (1..=count).map(|rank| {
            sum += weight(rank) as u64;
            sum
        });
        Self { sums: sums.collect() }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.between(0, self.sums[self.sums.len() - 1] - 1);
        self.sums.partition_point(|sum| *sum <= drawn)
    }
}

#[test]
fn the_ten_first_of_a_skewed_stream_are_found() {
    let mut collector = collector();
    let mut random = Random::new(2);
    let zipf = Zipf::new(20_000);
    let names: Vec<_> = (0..20_000).map(|index| format!("t{index}")).collect();
    let mut truth = vec![0_u64; names.len()];
    for step in 0..1_000_000 {
        let tenant = zipf.draw(&mut random);
        truth[tenant] += 1;
        // Many more pairs than there are series.
        let decision =
            if step % 4 == 0 { Decision::plain(Verdict::Deny, Reason::OverLimit) } else { allowed() };
        collector.record_decision(at(step / 10_000), &call("web", &names[tenant]), &decision);
    }
    let top = collector.get_top_tenants(TopBy::Requests);
    let mut exact: Vec<_> = truth.iter().zip(&names).collect();
    exact.sort_unstable_by(|one, other| other.cmp(one));
    let found = |name: &str| top.as_slice()[..10].iter().any(|entry| entry.name == name);
    assert!(exact[..10].iter().all(|(_, name)| found(name)), "{:?}", &top.as_slice()[..10]);
    for entry in top.as_slice() {
        let (count, _) = exact.iter().find(|(_, name)| *name == entry.name).unwrap();
        assert!(entry.at_least() <= **count && **count <= entry.count, "{entry:?} is {count}");
    }
    let web = collector.get_top_services(TopBy::Violations).as_slice()[0];
    assert_eq!((web.name, web.count, web.error), ("web", 250_000, 0));
    assert_eq!(collector.totals().requests, 1_000_000);
    assert_eq!(collector.series().map(|view| view.total.requests).sum::<u64>(), 1_000_000);
    assert_eq!((collector.stats().series, collector.stats().overflowed > 0), (SERIES_MAX, true));
}

/// What a timeline should be: the sums of a log, by the number of the slot.
fn naive(log: &[(u64, Slot)], latest: u64, resolution: Resolution) -> Vec<(WallTime, Option<Slot>)> {
    let seconds = resolution.slot_length().0 / NANOS_PER_SECOND;
    let last = (START + latest) / seconds;
    let oldest = last + 1 - resolution.slots() as u64;
    let mut sums = BTreeMap::<u64, Slot>::new();
    for (second, slot) in log {
        sums.entry((START + second) / seconds).or_default().add(slot);
    }
    (oldest..=last)
        .map(|number| (WallTime(number * seconds * NANOS_PER_SECOND), sums.get(&number).copied()))
        .collect()
}

#[test]
fn timelines_equal_a_log_through_jumps_of_time() {
    for seed in 0..20 {
        let mut collector = collector();
        let mut random = Random::new(100 + seed);
        let (mut log, mut wall, mut latest) = (Vec::new(), 100_000_000_u64, 0);
        for step in 0..2000 {
            wall = match random.between(0, 400) {
                0 => wall + random.between(0, 40 * 86_400),
                1..=3 => wall + random.between(0, 10_000),
                4..=8 => wall - random.between(0, 100),
                9..=100 => wall + random.between(1, 3),
                _ => wall,
            };
            latest = wall.max(latest);
            let is_denied = random.chance(30);
            let decision = if is_denied { Decision::plain(Verdict::Deny, Reason::Banned) } else { allowed() };
            let id = collector.record_decision(at(wall), &call("web", "acme"), &decision);
            let mut counted = Slot { requests: 1, denied: u64::from(is_denied), ..Slot::EMPTY };
            if !is_denied {
                let status = u16::try_from(random.between(100, 599)).unwrap();
                let latency_us = random.between(0, 1_000_000);
                let failed = u64::from(status >= 500);
                let result = if failed == 1 { OutcomeResult::Failure } else { OutcomeResult::Success };
                collector.record_outcome(
                    at(wall),
                    id,
                    &OutcomeReport {
                        status: Some(status),
                        latency_us: Some(latency_us),
                        result,
                        cost_delta: NanoUnits(7),
                        tokens_delta: 1,
                    },
                );
                (counted.allowed, counted.outcomes, counted.errors, counted.timed) = (1, 1, failed, 1);
                counted.classes[usize::from(status / 100 - 1)] = 1;
                counted.throttled = u64::from(status == 429);
                counted.cost = NanoUnits(7);
                (counted.latency_sum_us, counted.latency_max_us) = (latency_us, latency_us);
            }
            log.push((latest, counted));
            if step % 50 == 0 {
                for resolution in Resolution::ALL {
                    let mut slots = Vec::new();
                    collector.get_timeline(resolution, &mut |start, slot| slots.push((start, slot.copied())));
                    assert_eq!(
                        slots,
                        naive(&log, latest, resolution),
                        "seed {seed}, step {step}, {resolution}"
                    );
                }
            }
        }
        let mut total = Slot::EMPTY;
        log.iter().for_each(|(_, slot)| total.add(slot));
        assert_eq!(collector.totals(), total, "seed {seed}");
    }
}
