use super::support::{allowed, at, call, collector, denied, key};
use crate::metrics::{Measured, OutcomeReport, Rank, SpaceSaving, TOP_MAX, Top, TopBy};
use crate::money::NanoUnits;
use crate::scope::Kind;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::collections::BTreeMap;

type Truth = BTreeMap<String, u64>;

/// Whether a ranking says nothing of the truth that is wrong.
fn check(top: &Top<'_>, truth: &Truth) {
    let entries = top.as_slice();
    let of = |name: &str| truth.get(name).copied().unwrap_or(0);
    for entry in entries {
        let real = of(entry.name);
        assert!(entry.at_least() <= real && real <= entry.count, "{entry:?} is {real}");
    }
    assert!(entries.is_sorted_by_key(|entry| core::cmp::Reverse(entry.count)));
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.rank == Rank::Guaranteed) {
        let before: Vec<_> = entries[..place].iter().map(|entry| entry.name).collect();
        let behind = truth.iter().filter(|(name, _)| !before.contains(&name.as_str()));
        assert!(behind.clone().all(|(_, count)| of(entry.name) >= *count), "{entry:?} is not sure");
    }
}

#[test]
fn as_many_keys_as_fit_are_counted_exactly() {
    let mut top = SpaceSaving::new();
    let names: Vec<_> = (0..TOP_MAX).map(|index| format!("n{index:02}")).collect();
    for round in 0..3 {
        for (name, weight) in names.iter().zip(1..=64_u64) {
            top.add(&key(Kind::Tenant, name), weight + round);
        }
    }
    let ranking = top.ranking();
    assert_eq!(ranking.as_slice().len(), TOP_MAX);
    for (entry, (name, weight)) in ranking.as_slice().iter().zip(names.iter().rev().zip((1..=64_u64).rev())) {
        assert_eq!((entry.name, entry.count, entry.error), (name.as_str(), 3 * weight + 3, 0));
        assert_eq!(entry.rank, Rank::Guaranteed);
    }
    top.add(&key(Kind::Tenant, "late"), 1);
    let ranking = top.ranking();
    let late = ranking.as_slice().iter().find(|entry| entry.name == "late").unwrap();
    assert_eq!((late.count, late.error, late.at_least()), (7, 6, 1), "it may have had what the lowest had");
    top.reset();
    assert!(top.ranking().as_slice().is_empty());
}

#[test]
fn counts_stop_at_the_largest_number() {
    let mut top = SpaceSaving::new();
    let key = key(Kind::Service, "web");
    top.add(&key, u64::MAX);
    top.add(&key, 5);
    assert_eq!(top.ranking().as_slice()[0].count, u64::MAX);
    top.take_back(&key, u64::MAX);
    top.take_back(&key, 1);
    assert_eq!(top.ranking().as_slice()[0].count, 0);
}

#[test]
fn a_key_that_comes_again_after_something_was_taken_back_begins_high_enough() {
    let mut top = SpaceSaving::new();
    let names: Vec<_> = (0..=TOP_MAX).map(|index| format!("n{index}")).collect();
    names.iter().for_each(|name| top.add(&key(Kind::Tenant, name), 10));
    // One of them is not counted any more, though it has 10; the others are lowered below that.
    let gone = names.iter().find(|name| top.ranking().as_slice().iter().all(|entry| entry.name != **name));
    let gone = gone.unwrap();
    names.iter().filter(|name| *name != gone).for_each(|name| top.take_back(&key(Kind::Tenant, name), 9));
    top.add(&key(Kind::Tenant, gone), 1);
    let ranking = top.ranking();
    let back = ranking.as_slice().iter().find(|entry| entry.name == gone).unwrap();
    assert_eq!((back.count, back.at_least()), (11, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]
    #[test]
    fn counts_and_errors_enclose_the_truth(
        steps in prop::collection::vec((0..150_u32, 0..150_u32, 0..40_u64, 0..5_u8), 0..600),
    ) {
        let mut top = SpaceSaving::new();
        let mut truth = Truth::new();
        for (step, (one, other, weight, action)) in steps.into_iter().enumerate() {
            // Low numbers come more often.
            let name = format!("k{}", one * other / 150);
            let real = truth.entry(name.clone()).or_default();
            if action == 0 {
                let weight = weight.min(*real);
                *real -= weight;
                top.take_back(&key(Kind::Tenant, &name), weight);
            } else {
                *real += weight;
                top.add(&key(Kind::Tenant, &name), weight);
            }
            if step % 20 == 0 {
                check(&top.ranking(), &truth);
            }
        }
        check(&top.ranking(), &truth);
    }

    #[test]
    fn whoever_has_more_than_a_part_of_all_is_there(
        steps in prop::collection::vec((0..300_u32, 0..300_u32, 1..9_u64), 0..600),
    ) {
        let mut top = SpaceSaving::new();
        let mut truth = Truth::new();
        for (one, other, weight) in steps {
            let name = format!("k{}", one * other / 300);
            top.add(&key(Kind::Tenant, &name), weight);
            *truth.entry(name).or_default() += weight;
        }
        let total: u64 = truth.values().sum();
        let ranking = top.ranking();
        let many = truth.iter().filter(|(_, count)| **count * TOP_MAX as u64 > total);
        for (name, _) in many {
            assert!(ranking.as_slice().iter().any(|entry| entry.name == name), "{name}");
        }
    }

    #[test]
    fn rankings_of_services_and_tenants_are_true_at_any_time(
        steps in prop::collection::vec((0..90_u32, 0..90_u32, 0..50_u32, any::<bool>(), -20..40_i64), 0..500),
    ) {
        let mut collector = collector();
        let (mut truths, kinds) = ([const { Truth::new() }; 6], TopBy::ALL);
        for (step, (one, other, tenant, is_denied, cost)) in steps.into_iter().enumerate() {
            let (service, tenant) = (format!("s{}", one * other / 90), format!("t{tenant}"));
            let price = i128::from(cost.max(0));
            let charged = NanoUnits(if is_denied { 0 } else { price });
            let measured = Measured { charged, ..call(&service, &tenant) };
            let decision = if is_denied { denied() } else { allowed() };
            let id = collector.record_decision(at(0), &measured, &decision);
            // What it cost in the end: less, but not less than nothing, or more.
            let delta = if is_denied { 0 } else { i128::from(cost) % 7 }.max(-price);
            collector.record_outcome(
                at(0),
                id,
                &OutcomeReport { cost_delta: NanoUnits(delta), ..OutcomeReport::default() },
            );
            let cost = if is_denied { 0 } else { u64::try_from(price + delta).unwrap() };
            for (by, weight) in [1, cost, u64::from(is_denied)].into_iter().enumerate() {
                *truths[2 * by].entry(service.clone()).or_default() += weight;
                *truths[2 * by + 1].entry(tenant.clone()).or_default() += weight;
            }
            if step % 25 == 0 {
                for (by, pair) in kinds.into_iter().zip(truths.as_chunks::<2>().0) {
                    check(&collector.get_top_services(by), &pair[0]);
                    check(&collector.get_top_tenants(by), &pair[1]);
                }
            }
        }
        // There are fewer tenants than places, so that they are exact.
        for (by, pair) in kinds.into_iter().zip(truths.as_chunks::<2>().0) {
            check(&collector.get_top_services(by), &pair[0]);
            for entry in collector.get_top_tenants(by).as_slice() {
                assert_eq!((entry.error, entry.count), (0, pair[1][entry.name]));
            }
        }
    }
}
