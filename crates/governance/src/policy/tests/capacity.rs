//! Full is an answer: as many as there is room for, and not one more.

use super::naive::{NaiveRule, decide};
use super::support::{any_call, at, configured, engine, lanes, peek, rule};
use crate::policy::{
    DefaultEffect, DiffOutcome, HEADER_NAMES_MAX, POLICIES_MAX, PolicyContext, PolicyError, PolicyRule,
    PolicySet, RuleId, RuleSet, SET_ATOMS_MAX, diff, each_misfit,
};
use proptest::prelude::{ProptestConfig, Strategy, prop, proptest};

fn faults(rules: &[PolicyRule]) -> Vec<(usize, PolicyError)> {
    let mut faults = Vec::new();
    each_misfit(rules, &lanes, |place, error| faults.push((place, error)));
    faults
}

#[test]
fn there_are_as_many_policies_as_there_is_room_for() {
    let mut engine = engine();
    let rules: Vec<_> = (0..=POLICIES_MAX).map(|number| rule(&format!("p{number}"), "allow", &[])).collect();
    for rule in &rules[..POLICIES_MAX] {
        engine.add_policy(at(0), rule, &lanes).unwrap();
    }
    assert_eq!(engine.add_policy(at(0), &rules[POLICIES_MAX], &lanes), Err(PolicyError::Full));
    assert_eq!(engine.len(), POLICIES_MAX);
    assert_eq!(faults(&rules), [(POLICIES_MAX, PolicyError::Full)]);
    let update = rule("p7", "deny", &[]);
    let id = engine.update_policy(at(0), engine.find("p7").unwrap(), &update, &lanes).unwrap();
    assert_eq!(id.index(), 0, "a full set can be changed");
    engine.remove_policy(at(0), id).unwrap();
    engine.add_policy(at(0), &rules[POLICIES_MAX], &lanes).unwrap();
    engine.configure(at(0), &rules[..POLICIES_MAX], DefaultEffect::Allow, &lanes).unwrap();
    assert_eq!(engine.configure(at(0), &rules, DefaultEffect::Allow, &lanes), Err(PolicyError::Full));
    assert_eq!(engine.list_policies().count(), POLICIES_MAX);
}

#[test]
fn all_policies_have_as_many_values_as_there_is_room_for() {
    let mut engine = engine();
    let of = |number: usize, atoms: usize| {
        let services = (0..atoms).map(|atom| format!("s{number}-{atom}")).collect::<Vec<_>>().join(", ");
        rule(&format!("p{number}"), "deny", &[("service", &services)])
    };
    let mut rules: Vec<_> = (0..42).map(|number| of(number, 12)).collect();
    rules.push(of(42, SET_ATOMS_MAX - 42 * 12));
    engine.configure(at(0), &rules, DefaultEffect::Allow, &lanes).unwrap();
    assert_eq!(engine.add_policy(at(0), &of(43, 1), &lanes), Err(PolicyError::AtomsFull));
    engine.add_policy(at(0), &rule("none", "log", &[("hours", "9-17")]), &lanes).unwrap();
    let id = engine.find("p42").unwrap();
    let longer = of(42, SET_ATOMS_MAX - 42 * 12 + 1);
    assert_eq!(engine.update_policy(at(0), id, &longer, &lanes), Err(PolicyError::AtomsFull));
    engine.update_policy(at(0), id, &of(42, 1), &lanes).unwrap();
    engine.add_policy(at(0), &of(43, 7), &lanes).unwrap();
    rules.push(of(44, 1));
    assert_eq!(faults(&rules), [(43, PolicyError::AtomsFull)]);
    for number in [0, 41] {
        let call = super::naive::Call { service: Some(format!("s{number}-11")), ..Default::default() };
        assert_eq!(peek(&engine, &call).decider, Some(format!("p{number}")));
    }
}

#[test]
fn as_many_headers_are_looked_at_as_there_is_room_for() {
    let mut engine = engine();
    for number in 0..HEADER_NAMES_MAX {
        let policy =
            rule(&format!("p{number}"), "deny", &[("header", &format!("X-{number}: 1; X-{number}: 2"))]);
        engine.add_policy(at(0), &policy, &lanes).unwrap();
    }
    let known = rule("known", "allow", &[("header", "!x-7; x-8: 9*")]);
    engine.add_policy(at(0), &known, &lanes).unwrap();
    let another = rule("another", "allow", &[("header", "X-7; X-Other")]);
    assert_eq!(engine.add_policy(at(0), &another, &lanes), Err(PolicyError::HeaderNamesFull));
    let call = super::naive::Call {
        headers: vec![("x-15".to_string(), "2".to_string()), ("X-8".to_string(), "99".to_string())],
        ..Default::default()
    };
    assert_eq!(peek(&engine, &call).matched, ["known", "p15"].map(str::to_string).into());
}

#[test]
fn a_set_by_itself_has_the_same_bounds() {
    let mut set = Box::new(PolicySet::new());
    for number in 0..POLICIES_MAX {
        set.push(&rule(&format!("p{number}"), "allow", &[])).unwrap();
    }
    assert_eq!(set.push(&rule("more", "allow", &[])), Err(PolicyError::Full));
    assert_eq!(set.push(&rule("p0", "allow", &[])), Err(PolicyError::DuplicateName));
    set.clear();
    assert!(set.is_empty());
    let hash = set.content_hash();
    set.set_default(DefaultEffect::Deny);
    assert_ne!(set.content_hash(), hash);
}

#[test]
fn a_set_of_places_counts_from_the_first_to_the_last() {
    let mut engine = engine();
    let rules: Vec<_> = (0..POLICIES_MAX).map(|number| rule(&format!("p{number:03}"), "deny", &[])).collect();
    engine.configure(at(0), &rules, DefaultEffect::Allow, &lanes).unwrap();
    let all = engine.peek(&PolicyContext::default()).matched;
    assert!(all.iter().map(RuleId::index).eq(0..POLICIES_MAX));
    assert_eq!((all.len(), all.first().map(RuleId::index)), (POLICIES_MAX, Some(0)));
    assert!(all.iter().all(|id| all.contains(id)));
    assert!(RuleSet::EMPTY.is_empty() && RuleSet::EMPTY.first().is_none());
    assert_eq!(RuleSet::EMPTY.iter().count(), 0);
}

/// Policies with long lists of everything, so that the table is as full as it can be.
fn full_set() -> impl Strategy<Value = Vec<NaiveRule>> {
    let numbers = prop::collection::vec((0..40_u32, 0..40_u32, 0..6_usize), POLICIES_MAX);
    numbers.prop_map(|numbers| {
        let rules = numbers.into_iter().zip(0..).map(|((one, other, action), number)| {
            let (field, text) = match number % 8 {
                0 => ("service", format!("s{one}, s{other}, !s7")),
                1 => ("tenant", format!("!t{one}, !t{other}")),
                2 => ("role", format!("r{one}, r{other}, !r7")),
                3 => ("ip", format!("10.{one}.0.0/16, !10.{one}.{other}.0/24, 2001:db8:{other}::/48")),
                4 => ("method", format!("M{one}, m{other}")),
                5 => ("path", format!("/p{one}, /p{one}/q{other}/r, !/p{one}/q{other}")),
                6 => {
                    ("header", format!("H{}: v{one}; H{}: v{other}*; H{}: v1*", one % 8, one % 8, other % 8))
                }
                _ => ("hours", format!("{}-{}", one % 24, (one + 5) % 24)),
            };
            let action = ["allow", "deny", "log", "alert", "throttle:slow-lane", "deny"][action].to_string();
            let name = format!("p{number}");
            let fields = vec![(field, text)];
            NaiveRule {
                name,
                fields,
                action,
                priority: 100,
                enabled: true,
                audit: false,
                shadow: number % 9 == 0,
            }
        });
        rules.filter(|rule| rule.compiled().is_some()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20) })]

    #[test]
    fn a_full_table_decides_as_whoever_compares_texts(
        rules in full_set(),
        calls in prop::collection::vec((any_call(), 0..40_u32, 0..40_u32), 60),
    ) {
        let engine = configured(&rules, DefaultEffect::Deny);
        for (mut call, one, other) in calls {
            call.service = Some(format!("s{one}"));
            call.tenant = Some(format!("t{other}"));
            call.roles = vec![format!("r{one}"), format!("r{other}")];
            call.ip = Some(format!("10.{one}.{other}.1").parse().unwrap());
            call.method = Some(format!("m{one}"));
            call.path = Some(format!("/p{one}/q{other}/r/s"));
            call.headers.push((format!("h{}", one % 8), format!("v{other}")));
            assert_eq!(peek(&engine, &call), decide(&rules, DefaultEffect::Deny, &call));
        }
    }
}

#[test]
fn full_sets_are_compared_in_either_direction() {
    let mut full = Box::new(PolicySet::new());
    for number in 0..POLICIES_MAX {
        let service = format!("s{number}");
        full.push(&rule(&format!("p{number}"), "deny", &[("service", service.as_str())])).unwrap();
    }
    let empty = Box::new(PolicySet::new());
    for (before, after) in [(&full, &empty), (&empty, &full)] {
        assert_eq!(diff(before, after, 10_000, &mut |_| ()), DiffOutcome::Different);
    }
    assert_eq!(diff(&full, &full, 10_000, &mut |_| ()), DiffOutcome::Equal);
}
