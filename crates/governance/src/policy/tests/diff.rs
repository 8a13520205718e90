//! Where two sets of policies differ: every difference that is told of is one, and where none is, there is none.

use super::naive::{Call, NaiveDecision, NaiveRule, decide};
use super::support::{any_call, any_default, any_rule, any_rules, rule};
use crate::policy::{
    Action, ActionKind, DIFFERENCES_MAX, DefaultEffect, DiffOutcome, PolicyRule, PolicySet, Verdict, diff,
};
use proptest::prelude::{ProptestConfig, prop, proptest};

fn set(rules: &[PolicyRule], default: DefaultEffect) -> Box<PolicySet> {
    let mut set = Box::new(PolicySet::new());
    for rule in rules {
        set.push(rule).unwrap();
    }
    set.set_default(default);
    set
}

fn differences(before: &PolicySet, after: &PolicySet, steps: u32) -> (DiffOutcome, Vec<String>) {
    let mut found = Vec::new();
    let said = |set: &PolicySet, verdict: &Verdict| match verdict.decider.and_then(|id| set.get(id)) {
        Some(rule) => format!("{} {}", verdict.action.unwrap(), rule.name),
        None if verdict.allowed => "allowed".to_string(),
        None => "denied".to_string(),
    };
    let outcome = diff(before, after, steps, &mut |difference| {
        let (one, other) = (said(before, &difference.before), said(after, &difference.after));
        found.push(format!("{one} -> {other}: {}", difference.witness));
    });
    (outcome, found)
}

#[test]
fn a_set_is_equal_to_itself_in_whatever_order() {
    let rules = [
        rule("a", "deny", &[("role", "intern"), ("path", "/v1")]),
        rule("b", "redirect:b", &[("service", "!b"), ("header", "X-Env: pr*")]),
        rule("c", "allow", &[("ip", "10.0.0.0/8"), ("days", "mon-fri")]),
    ];
    let one = set(&rules, DefaultEffect::Deny);
    let other = set(&[rules[2], rules[0], rules[1]], DefaultEffect::Deny);
    assert_eq!(differences(&one, &other, 0), (DiffOutcome::Equal, Vec::new()));
    let mut quiet = rules[0];
    quiet.name = crate::text::Text::excerpt("quiet");
    quiet.mode = crate::mode::Mode::Shadow;
    let with_shadow = set(&[rules[0], rules[1], rules[2], quiet], DefaultEffect::Deny);
    assert_eq!(differences(&one, &with_shadow, 0).0, DiffOutcome::Equal, "what only counts decides nothing");
}

#[test]
fn what_is_taken_away_is_found_with_a_request() {
    let deny = rule("no-interns", "deny", &[("role", "intern"), ("path", "/v1/invoices"), ("hours", "22-6")]);
    let wide = rule("closed", "deny", &[("hours", "0-3"), ("method", "!GET")]);
    let (before, after) = (set(&[deny, wide], DefaultEffect::Allow), set(&[wide], DefaultEffect::Allow));
    let (outcome, found) = differences(&before, &after, 10_000);
    assert_eq!(outcome, DiffOutcome::Different);
    let lost = "deny no-interns -> allowed: role=\"intern\" path=/v1/invoices priority=normal at=";
    assert!(found.iter().any(|line| line.starts_with(lost)), "{found:?}");
    assert_eq!(found.len(), 1, "where the other one denies as well nothing changes: {found:?}");
    assert_eq!(differences(&after, &after, 10_000).0, DiffOutcome::Equal);
}

#[test]
fn two_policies_in_place_of_one_are_equal_to_it() {
    let one = set(&[rule("both", "deny", &[("ip", "10.0.0.0/8"), ("method", "PUT")])], DefaultEffect::Allow);
    let halves = [
        rule("low", "deny", &[("ip", "10.0.0.0/9"), ("method", "PUT")]),
        rule("high", "deny", &[("ip", "10.128.0.0/9"), ("method", "PUT")]),
    ];
    let other = set(&halves, DefaultEffect::Allow);
    assert_eq!(differences(&one, &other, 10_000), (DiffOutcome::Equal, Vec::new()));
    let most = set(
        &[halves[0], rule("high", "deny", &[("ip", "10.128.0.0/10"), ("method", "PUT")])],
        DefaultEffect::Allow,
    );
    let found = differences(&one, &most, 10_000).1;
    assert_eq!(
        found,
        ["deny both -> allowed: ip=10.192.0.0 method=PUT priority=normal at=2026-01-05T09:00:00Z"]
    );
    let days = ["mon-wed", "thu-sun"].map(|days| rule(days, "deny", &[("days", days)]));
    let always = set(&[rule("always", "deny", &[])], DefaultEffect::Deny);
    assert_eq!(differences(&set(&days, DefaultEffect::Allow), &always, 10_000).0, DiffOutcome::Equal);
    let headers = ["X", "!X"].map(|header| rule(header, "deny", &[("header", header)]));
    assert_eq!(differences(&set(&headers, DefaultEffect::Allow), &always, 10_000).0, DiffOutcome::Equal);
    let roles = ["ops, admin", "!ops, !admin"].map(|roles| rule(roles, "deny", &[("role", roles)]));
    assert_eq!(differences(&set(&roles, DefaultEffect::Allow), &always, 10_000).0, DiffOutcome::Equal);
}

#[test]
fn the_default_is_part_of_a_set() {
    let (allow, deny) = (set(&[], DefaultEffect::Allow), set(&[], DefaultEffect::Deny));
    let found = differences(&allow, &deny, 1);
    assert_eq!(
        found,
        (
            DiffOutcome::Different,
            vec!["allowed -> denied: priority=normal at=2026-01-05T09:00:00Z".to_string()]
        )
    );
    let all = set(&[rule("all", "allow", &[])], DefaultEffect::Deny);
    assert_eq!(differences(&allow, &all, 1).0, DiffOutcome::Equal, "allowed is allowed");
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let one = set(&[rule("a", "deny", &[("service", "a"), ("method", "GET")])], DefaultEffect::Allow);
    let other = set(&[rule("a", "deny", &[("service", "b"), ("method", "GET")])], DefaultEffect::Allow);
    assert_eq!(differences(&one, &other, 2), (DiffOutcome::Unknown, Vec::new()));
    assert_eq!(differences(&one, &other, 1000).0, DiffOutcome::Different);
}

#[test]
fn no_more_differences_are_told_of_than_fit() {
    let rules: Vec<_> = (0..DIFFERENCES_MAX + 5)
        .map(|number| rule(&format!("p{number}"), "deny", &[("tenant", &format!("t{number}"))]))
        .collect();
    let (outcome, found) =
        differences(&set(&rules, DefaultEffect::Allow), &set(&[], DefaultEffect::Allow), 100_000);
    assert_eq!((outcome, found.len()), (DiffOutcome::Different, DIFFERENCES_MAX));
}

/// What comes of it for the request.
fn effect(rules: &[NaiveRule], decision: &NaiveDecision) -> (bool, Option<String>) {
    let decider = decision.decider.as_ref().and_then(|name| rules.iter().find(|rule| rule.name == *name));
    let action = decider.map(|rule| rule.action.clone());
    (decision.allowed, action.filter(|action| action != "allow" && action != "deny"))
}

fn check(before: &[NaiveRule], after: &[NaiveRule], defaults: [DefaultEffect; 2], calls: &[Call]) {
    let compiled = |rules: &[NaiveRule], default| {
        set(&rules.iter().map(|rule| rule.compiled().unwrap()).collect::<Vec<_>>(), default)
    };
    let (one, other) = (compiled(before, defaults[0]), compiled(after, defaults[1]));
    let mut pairs = std::collections::BTreeSet::new();
    let outcome = diff(&one, &other, 200_000, &mut |difference| {
        let call = difference.witness.with_context(Call::of);
        let decisions = [decide(before, defaults[0], &call), decide(after, defaults[1], &call)];
        assert_ne!(effect(before, &decisions[0]), effect(after, &decisions[1]), "{}", difference.witness);
        for (set, verdict, decision) in
            [(&one, difference.before, &decisions[0]), (&other, difference.after, &decisions[1])]
        {
            let rule = verdict.decider.and_then(|id| set.get(id));
            assert_eq!(verdict.allowed, decision.allowed);
            assert_eq!(rule.map(|rule| rule.name.as_str().to_string()), decision.decider);
            assert_eq!(rule.map(|rule| rule.action.kind()), verdict.action);
        }
        assert!(pairs.insert((decisions[0].decider.clone(), decisions[1].decider.clone())), "told of once");
    });
    assert_eq!(outcome == DiffOutcome::Different, !pairs.is_empty());
    if outcome == DiffOutcome::Equal {
        for call in calls {
            let decisions = [decide(before, defaults[0], call), decide(after, defaults[1], call)];
            assert_eq!(effect(before, &decisions[0]), effect(after, &decisions[1]), "{call:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn differences_of_unlike_sets_are_differences(
        before in any_rules(5),
        after in any_rules(5),
        one in any_default(),
        other in any_default(),
        calls in prop::collection::vec(any_call(), 30),
    ) {
        check(&before, &after, [one, other], &calls);
    }

    #[test]
    fn differences_after_a_small_change_are_differences(
        rules in any_rules(12),
        more in any_rule(),
        place in proptest::prelude::any::<prop::sample::Index>(),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 60),
    ) {
        let mut after = rules.clone();
        if !after.is_empty() {
            let place = place.index(after.len());
            after[place] = NaiveRule { name: after[place].name.clone(), ..more };
        }
        check(&rules, &after, [default, default], &calls);
    }
}

#[test]
fn verdicts_name_what_is_done() {
    let one = set(&[rule("r", "redirect:b", &[("service", "a")])], DefaultEffect::Allow);
    let other = set(&[rule("r", "redirect:c", &[("service", "a")])], DefaultEffect::Allow);
    diff(&one, &other, 100, &mut |difference| {
        assert_eq!(difference.before.action, Some(ActionKind::Redirect));
        let target = difference.after.decider.and_then(|id| other.get(id)).map(|rule| rule.action);
        assert!(matches!(target, Some(Action::Redirect(name)) if name.as_str() == "c"));
    });
    assert_eq!(differences(&one, &other, 100).1.len(), 1);
}
