//! The engine against the naive evaluator, and the theorems of an authoriser.

use super::naive::{NaiveRule, decide};
use super::support::{any_call, any_default, any_rule, any_rules, configured, peek};
use crate::policy::{Action, DefaultEffect, PolicyDraft, PolicyReason};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(number) }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn decides_as_whoever_compares_texts(
        rules in any_rules(40),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 30),
    ) {
        let engine = configured(&rules, default);
        for call in calls {
            let naive = decide(&rules, default, &call);
            assert_eq!(peek(&engine, &call), naive, "{call:?}");
            call.with(|context| {
                let decision = engine.peek(context);
                let reason = match &naive.decider {
                    Some(_) => PolicyReason::Rule,
                    None if rules.is_empty() && default == DefaultEffect::Allow => PolicyReason::NoPolicy,
                    None => PolicyReason::Default(default),
                };
                assert_eq!(decision.reason, reason);
                let decider = naive.decider.as_ref().and_then(|name| rules.iter().find(|rule| rule.name == *name));
                assert_eq!(decision.enforcement_action, decider.map(NaiveRule::kind));
                assert_eq!(engine.apply_action(&decision).map(Action::kind), decision.enforcement_action);
                for rule in &rules {
                    let id = engine.find(&rule.name).unwrap();
                    assert_eq!(engine.match_condition(id, context), Some(rule.matches(&call)), "{}", rule.name);
                }
            });
        }
    }

    #[test]
    fn one_policy_matches_as_its_fields_say(rule in any_rule(), calls in prop::collection::vec(any_call(), 20)) {
        let compiled = rule.compiled().unwrap();
        for call in calls {
            assert_eq!(call.with(|context| compiled.condition.matches(context)), rule.matches(&call), "{call:?}");
        }
    }

    #[test]
    fn a_policy_prints_what_reads_back_to_it(rule in any_rule()) {
        let compiled = rule.compiled().unwrap();
        assert_eq!(PolicyDraft::from_rule(&compiled).finish(), Ok(compiled));
        let mut draft = PolicyDraft::default();
        let printed = compiled.to_string();
        for line in printed.lines().skip(1) {
            let (field, value) = line.split_once(" = ").unwrap();
            let value = match value.trim_matches('"') {
                number if field == "priority" => crate::field::FieldValue::Integer(number.parse().unwrap()),
                text => crate::field::FieldValue::Text(text),
            };
            draft.set(field, value).unwrap();
        }
        assert_eq!(draft.finish(), Ok(compiled), "{printed}");
    }

    #[test]
    fn an_allow_is_needed_where_the_default_denies(rules in any_rules(20), call in any_call()) {
        let decision = peek(&configured(&rules, DefaultEffect::Deny), &call);
        let allows = |rule: &&NaiveRule| rule.action == "allow" && decision.matched.contains(&rule.name);
        if decision.allowed {
            assert!(rules.iter().any(|rule| allows(&rule)));
        }
    }

    #[test]
    fn a_denial_overrides_every_allow(rules in any_rules(20), default in any_default(), call in any_call()) {
        let decision = peek(&configured(&rules, default), &call);
        let denies = |rule: &&NaiveRule| rule.action == "deny" && decision.matched.contains(&rule.name);
        if rules.iter().any(|rule| denies(&rule)) {
            assert!(!decision.allowed);
        }
    }

    #[test]
    fn without_a_match_the_default_says(rules in any_rules(20), default in any_default(), call in any_call()) {
        let decision = peek(&configured(&rules, default), &call);
        if decision.matched.is_empty() {
            assert_eq!(decision.allowed, default == DefaultEffect::Allow);
            assert_eq!(decision.decider, None);
        }
    }

    #[test]
    fn neither_order_nor_duplicates_matter(
        rules in any_rules(20),
        default in any_default(),
        turn in any::<prop::sample::Index>(),
        calls in prop::collection::vec(any_call(), 10),
    ) {
        let engine = configured(&rules, default);
        let mut turned = rules.clone();
        turned.reverse();
        if !turned.is_empty() {
            let by = turn.index(turned.len());
            turned.rotate_left(by);
        }
        let other = configured(&turned, default);
        assert_eq!(engine.content_hash(), other.content_hash());
        // A twin under a name that comes later never speaks.
        let twins = rules.iter().map(|rule| NaiveRule { name: format!("z{}", rule.name), ..rule.clone() });
        let doubled = configured(&rules.iter().cloned().chain(twins).collect::<Vec<_>>(), default);
        for call in calls {
            let decision = peek(&engine, &call);
            assert_eq!(peek(&other, &call), decision);
            let doubled = peek(&doubled, &call);
            assert_eq!((doubled.allowed, doubled.decider), (decision.allowed, decision.decider));
        }
    }

    #[test]
    fn another_denial_never_allows_more(
        rules in any_rules(20),
        more in any_rule(),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 10),
    ) {
        let denial = NaiveRule { name: "more".to_string(), action: "deny".to_string(), ..more };
        let engine = configured(&rules, default);
        let with_it = configured(&rules.iter().cloned().chain([denial]).collect::<Vec<_>>(), default);
        for call in calls {
            assert!(peek(&engine, &call).allowed || !peek(&with_it, &call).allowed);
        }
    }

    #[test]
    fn another_allow_never_denies_more(
        rules in any_rules(20),
        more in any_rule(),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 10),
    ) {
        let allow = NaiveRule { name: "more".to_string(), action: "allow".to_string(), ..more };
        let engine = configured(&rules, default);
        let with_it = configured(&rules.iter().cloned().chain([allow]).collect::<Vec<_>>(), default);
        for call in calls {
            assert!(!peek(&engine, &call).allowed || peek(&with_it, &call).allowed);
        }
    }
}
