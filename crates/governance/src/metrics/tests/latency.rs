use super::support::{allowed, at, call, collector, denied, key};
use crate::metrics::{
    BOUNDS_US, Confidence, GovernanceCollector, LATENCY_SCOPES_MAX, LatencyScope, MeasureId, Measured,
    OutcomeReport, Percentiles, Window,
};
use crate::scope::Kind;
use crate::time::{NANOS_PER_SECOND, Now};
use proptest::prelude::{ProptestConfig, prop, proptest};

const WEB: LatencyScope<'static> = LatencyScope::Named(Kind::Service, "web");

fn took(collector: &mut GovernanceCollector, now: Now, id: MeasureId, latency_us: u64) {
    let report = OutcomeReport { latency_us: Some(latency_us), ..OutcomeReport::default() };
    collector.record_outcome(now, id, &report);
}

/// Whether percentiles are those of a list, as near as they have to be.
fn check(told: Option<Percentiles>, mut values: Vec<u64>) {
    values.sort_unstable();
    let Some(told) = told else {
        assert!(values.is_empty(), "{values:?} are told as nothing");
        return;
    };
    assert_eq!((told.min, told.max), (values[0], values[values.len() - 1]));
    assert_eq!(told.count, values.len() as u64);
    assert_eq!(told.confidence == Confidence::Low, values.len() < 100);
    for (percent, value) in [(50, told.p50), (90, told.p90), (95, told.p95), (99, told.p99)] {
        let exact = values[(values.len() * percent).div_ceil(100).max(1) - 1];
        assert!(value.abs_diff(exact) * 64 <= exact, "p{percent} of {exact} is told as {value}");
    }
}

#[test]
fn an_empty_window_has_no_percentile() {
    let mut collector = collector();
    assert_eq!(collector.get_metric_percentiles(LatencyScope::All, Window::Minute), None);
    let id = collector.record_decision(at(0), &call("web", "acme"), &allowed());
    assert_eq!(collector.get_metric_percentiles(WEB, Window::SinceStart), None, "it is known, and empty");
    took(&mut collector, at(0), id, 1500);
    assert_eq!(
        collector.get_metric_percentiles(WEB, Window::Minute).unwrap().p50,
        1500,
        "it is told exactly"
    );
    collector.advance(at(59));
    assert!(collector.get_metric_percentiles(WEB, Window::Minute).is_some());
    collector.advance(at(60));
    assert_eq!(collector.get_metric_percentiles(WEB, Window::Minute), None);
    assert_eq!(collector.get_metric_percentiles(WEB, Window::SinceStart).unwrap().count, 1);
    assert_eq!(
        collector.get_metric_percentiles(LatencyScope::Named(Kind::Route, "web"), Window::Minute),
        None
    );
}

#[test]
fn the_case_of_a_route_is_of_no_account() {
    let mut collector = collector();
    let scope = Some((Kind::Route, key(Kind::Route, "GitHub:GET")));
    let id = collector.record_decision(at(0), &Measured { scope, ..call("web", "acme") }, &allowed());
    took(&mut collector, at(0), id, 7);
    assert!(collector.latency_scopes().map(|view| view.name).eq(["github:get"]));
    for name in ["github:get", "GITHUB:get"] {
        let scope = LatencyScope::Named(Kind::Route, name);
        assert_eq!(collector.latency_buckets(scope).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn scopes_beyond_capacity_are_counted_for_everything_only() {
    let mut collector = collector();
    let names: Vec<_> = (0..=LATENCY_SCOPES_MAX).map(|index| format!("r{index}")).collect();
    for name in &names {
        let scope = Some((Kind::Route, key(Kind::Route, name)));
        let id = collector.record_decision(at(0), &Measured { scope, ..call("web", "acme") }, &allowed());
        took(&mut collector, at(0), id, 7);
    }
    let stats = collector.stats();
    assert_eq!((stats.latency_scopes, stats.latency_overflowed), (LATENCY_SCOPES_MAX, 1));
    assert_eq!(collector.latency_scopes().map(|view| view.buckets.count()).sum::<u64>(), 64);
    assert_eq!(collector.latency_buckets(LatencyScope::All).unwrap().count(), 65);
    assert_eq!(collector.latency_buckets(LatencyScope::Named(Kind::Route, "r64")), None);
    collector.reset();
    assert_eq!((collector.latency_scopes().count(), collector.stats().latency_overflowed), (0, 0));
    assert_eq!(collector.latency_buckets(LatencyScope::All).unwrap().count(), 0);
}

#[test]
fn refused_requests_take_no_scope() {
    let mut collector = collector();
    collector.record_decision(at(0), &call("web", "acme"), &denied());
    assert_eq!(collector.stats().latency_scopes, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]
    #[test]
    fn percentiles_and_buckets_are_those_of_a_list(
        steps in prop::collection::vec((0..10_u8, 0..30_u64, 0..36_u32, 0..1_u64 << 36, 0..2_usize), 1..300),
    ) {
        let mut collector = collector();
        let services = ["web", "api"];
        let mut log: Vec<(u64, usize, u64)> = Vec::new();
        let mut wall = 0;
        for (step, (jump, amount, bits, value, service)) in steps.into_iter().enumerate() {
            wall += match jump { 0 => amount * 20, 1..=3 => amount, _ => 0 };
            let now = at(wall);
            let value = if bits == 0 { BOUNDS_US[usize::try_from(amount % 16).unwrap()] } else { value >> bits };
            let id = collector.record_decision(now, &call(services[service], "acme"), &allowed());
            took(&mut collector, now, id, value);
            let slice = now.wall.0 / (10 * NANOS_PER_SECOND);
            log.push((slice, service, value));
            if step % 10 != 0 {
                continue;
            }
            for (scope, meant) in [(LatencyScope::All, None), (WEB, Some(0)), (LatencyScope::Named(Kind::Service, "api"), Some(1))] {
                let own: Vec<_> = log.iter().filter(|(_, service, _)| meant.is_none_or(|meant| meant == *service)).collect();
                let all: Vec<u64> = own.iter().map(|(_, _, value)| *value).collect();
                let recent = own.iter().filter(|(its, _, _)| its + 6 > slice).map(|(_, _, value)| *value);
                check(collector.get_metric_percentiles(scope, Window::Minute), recent.collect());
                check(collector.get_metric_percentiles(scope, Window::SinceStart), all.clone());
                let Some(buckets) = collector.latency_buckets(scope) else {
                    assert!(all.is_empty());
                    continue;
                };
                for (bound, count) in buckets.cumulative() {
                    assert_eq!(count, all.iter().filter(|value| **value <= bound).count() as u64);
                }
                assert_eq!((buckets.count(), buckets.sum_us), (all.len() as u64, all.iter().map(|value| u128::from(*value)).sum()));
            }
        }
    }
}
