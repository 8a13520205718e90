use super::support::{allowed, at, call, collector, denied, key};
use crate::metrics::{Counts, Measured, OTHER, OutcomeReport, OutcomeResult, SERIES_MAX};
use crate::money::NanoUnits;
use crate::scope::Kind;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::collections::BTreeMap;

#[test]
fn totals_are_exact_with_more_pairs_than_series() {
    let mut collector = collector();
    let names: Vec<_> = (0..SERIES_MAX + 300).map(|index| format!("t{index}")).collect();
    let mut ids = Vec::new();
    for round in 0..2 {
        for name in &names {
            ids.push(collector.record_decision(at(round), &call("web", name), &allowed()));
        }
    }
    let failed = OutcomeReport { result: OutcomeResult::Failure, ..OutcomeReport::default() };
    ids.iter().for_each(|id| collector.record_outcome(at(2), *id, &failed));
    let all = 2 * names.len() as u64;
    let mut sum = Counts::default();
    collector.series().for_each(|view| sum.add(&view.total));
    assert_eq!((sum.requests, sum.allowed, sum.outcomes, sum.errors), (all, all, all, all));
    let totals = collector.totals();
    assert_eq!((totals.requests, totals.errors), (all, all));
    let other = collector.series().last().unwrap();
    assert_eq!((other.service, other.tenant), (Some(OTHER), Some(OTHER)));
    assert_eq!((other.total.requests, other.total.errors), (600, 600));
    assert_eq!((collector.stats().series, collector.stats().overflowed), (SERIES_MAX, 600));
    assert_eq!(collector.get_rate_limit_stats(None).requests, all);
    // Rankings hear of pairs without a series too.
    let web = collector.get_top_services(crate::metrics::TopBy::Requests).as_slice()[0];
    assert_eq!((web.name, web.count, web.error), ("web", all, 0));
}

#[test]
fn who_names_nothing_has_a_series_too() {
    let mut collector = collector();
    let tenant = Some(key(Kind::Tenant, "acme"));
    collector.record_decision(at(0), &Measured::default(), &allowed());
    collector.record_decision(at(0), &Measured { tenant, ..Measured::default() }, &denied());
    let views: Vec<_> =
        collector.series().map(|view| (view.service, view.tenant, view.total.denied)).collect();
    assert_eq!(views, [(None, None, 0), (None, Some("acme"), 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]
    #[test]
    fn windows_equal_a_log(
        steps in prop::collection::vec((0..6_u8, 0..90_u64, 0..3_usize, 0..3_usize, any::<bool>(), any::<bool>()), 1..200),
    ) {
        let mut collector = collector();
        let names = ["a", "b", "c"];
        let mut log: BTreeMap<(usize, usize), Vec<(u64, Counts)>> = BTreeMap::new();
        let mut wall = 0;
        for (jump, amount, service, tenant, is_denied, is_failed) in steps {
            wall += match jump { 0 => amount * 3, 1..=3 => amount, _ => 0 };
            let minute = wall / 60;
            let decision = if is_denied { denied() } else { allowed() };
            let id = collector.record_decision(at(wall), &call(names[service], names[tenant]), &decision);
            let mut counted = Counts { requests: 1, denied: u64::from(is_denied), allowed: u64::from(!is_denied), ..Counts::ZERO };
            if !is_denied {
                let result = if is_failed { OutcomeResult::Failure } else { OutcomeResult::Success };
                let cost = NanoUnits(i128::from(amount) - 30);
                collector.record_outcome(at(wall), id, &OutcomeReport { result, cost_delta: cost, ..OutcomeReport::default() });
                counted = Counts { outcomes: 1, errors: u64::from(is_failed), cost, ..counted };
            }
            log.entry((service, tenant)).or_default().push((minute, counted));
            let mut seen = 0;
            for view in collector.series() {
                let place = |name: Option<&str>| names.iter().position(|known| Some(*known) == name).unwrap();
                let own = &log[&(place(view.service), place(view.tenant))];
                let sum = |is_meant: &dyn Fn(u64) -> bool| {
                    let mut sum = Counts::ZERO;
                    own.iter().filter(|(its, _)| is_meant(*its)).for_each(|(_, counts)| sum.add(counts));
                    sum
                };
                assert_eq!(view.total, sum(&|_| true));
                assert_eq!(view.current, sum(&|its| its == minute));
                assert_eq!(view.last, sum(&|its| its + 1 == minute));
                seen += 1;
            }
            assert_eq!(seen, log.len());
        }
    }
}
