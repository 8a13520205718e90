//! What is counted and what is written down.

use super::naive::{Call, decide};
use super::support::{any_call, any_default, any_rules, at, configured, engine, lanes, rule};
use crate::mode::Mode;
use crate::policy::{AUDIT_RECORDS, ActionKind, AuditEvent, DefaultEffect, PolicyStats, RuleRole};
use proptest::prelude::{ProptestConfig, prop, proptest};
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn counters_and_records_are_those_of_whoever_counts_one_by_one(
        rules in any_rules(25),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 40),
    ) {
        let mut engine = configured(&rules, default);
        let mut counted: BTreeMap<String, PolicyStats> = BTreeMap::new();
        let mut expected = engine.stats();
        let kind = |name: &String| rules.iter().find(|rule| rule.name == *name).unwrap().kind();
        for (number, call) in calls.iter().enumerate() {
            let now = at(number as u64);
            let naive = decide(&rules, default, call);
            let decision = call.with(|context| engine.evaluate_request(now, context));
            for name in &naive.matched {
                counted.entry(name.clone()).or_default().matched += 1;
            }
            for name in &naive.shadow {
                counted.entry(name.clone()).or_default().would += 1;
            }
            if let Some(name) = &naive.decider {
                let stats = counted.entry(name.clone()).or_default();
                stats.decided += 1;
                stats.denied += u64::from(!naive.allowed);
            }
            let any = |wanted| naive.matched.iter().any(|name| kind(name) == wanted);
            let speaks = |wanted| naive.decider.as_ref().is_some_and(|name| kind(name) == wanted);
            expected.evaluated += 1;
            expected.allowed += u64::from(naive.allowed);
            expected.denied += u64::from(!naive.allowed);
            expected.by_default += u64::from(!any(ActionKind::Deny) && !any(ActionKind::Allow));
            expected.redirected += u64::from(speaks(ActionKind::Redirect));
            expected.throttled += u64::from(speaks(ActionKind::Throttle));
            expected.alerted += u64::from(any(ActionKind::Alert));
            expected.logged += u64::from(any(ActionKind::Log));
            expected.would_deny += u64::from(naive.allowed && !naive.would_allow);
            expected.would_allow += u64::from(!naive.allowed && naive.would_allow);
            let asks = |name: &&String| {
                rules.iter().any(|rule| rule.name == **name && rule.audit)
                    || matches!(kind(name), ActionKind::Log | ActionKind::Alert)
            };
            let audited = !naive.allowed || naive.matched.iter().any(|name| asks(&name));
            assert_eq!(decision.audit_id != 0, audited);
            if audited {
                expected.audit_written += 1;
                assert_eq!(decision.audit_id, expected.audit_written);
                let record = engine.audit(decision.audit_id).next().unwrap();
                assert_eq!((record.audit_id, record.at), (decision.audit_id, now.wall));
                assert_eq!(record.event == AuditEvent::Denied, !naive.allowed);
                let teller = record.rule.as_str().to_string();
                if naive.allowed {
                    assert!(naive.matched.contains(&teller) && asks(&&teller));
                } else {
                    assert_eq!(teller, naive.decider.unwrap_or_default());
                }
                assert_eq!(record.ip(), call.ip.map(|ip| ip.to_canonical()));
                assert!(call.service.as_ref().is_none_or(|name| *name == record.service.as_str()));
            }
            assert_eq!(engine.stats(), expected);
        }
        for rule in &rules {
            let id = engine.find(&rule.name).unwrap();
            let counted = counted.get(&rule.name).copied().unwrap_or_default();
            assert_eq!(engine.get_policy_stats(id), Some(counted), "{}", rule.name);
        }
    }

    #[test]
    fn an_explanation_tells_how_each_policy_stands(
        rules in any_rules(25),
        default in any_default(),
        call in any_call(),
    ) {
        let engine = configured(&rules, default);
        let naive = decide(&rules, default, &call);
        let mut roles = BTreeMap::new();
        let before = engine.stats();
        call.with(|context| {
            let decision = engine.explain(context, &mut |_, rule, role| {
                roles.insert(rule.name.as_str().to_string(), role);
            });
            assert_eq!(decision, engine.peek(context));
        });
        assert_eq!(engine.stats(), before);
        for rule in &rules {
            let role = roles.remove(&rule.name).unwrap();
            let expected = match role {
                RuleRole::Disabled => !rule.enabled,
                RuleRole::Decides => naive.decider.as_ref() == Some(&rule.name),
                RuleRole::Matches => naive.matched.contains(&rule.name) && naive.decider.as_ref() != Some(&rule.name),
                RuleRole::WouldMatch => naive.shadow.contains(&rule.name),
                RuleRole::Misses(attribute) => {
                    rule.enabled && rule.fields.iter().any(|(field, _)| *field == attribute.word()) && !rule.matches(&call)
                }
            };
            assert!(expected, "{} {role:?}", rule.name);
        }
        assert!(roles.is_empty());
    }
}

#[test]
fn every_change_is_written_down() {
    let mut engine = engine();
    let id = engine.add_policy(at(1), &rule("p", "allow", &[]), &lanes).unwrap();
    engine.disable_policy(at(2), id).unwrap();
    engine.enable_policy(at(3), id).unwrap();
    engine.set_mode(at(4), id, Mode::Shadow).unwrap();
    engine.update_policy(at(5), id, &rule("p", "deny", &[]), &lanes).unwrap();
    engine.set_default(at(6), DefaultEffect::Deny);
    let id = engine.find("p").unwrap();
    engine.remove_policy(at(7), id).unwrap();
    engine.rollback(at(8), &lanes).unwrap();
    engine.configure(at(9), &[], DefaultEffect::Allow, &lanes).unwrap();
    let events: Vec<_> = engine.audit(0).map(|record| (record.event.word(), record.rule.as_str())).collect();
    assert_eq!(
        events,
        [
            ("added", "p"),
            ("disabled", "p"),
            ("enabled", "p"),
            ("mode-changed", "p"),
            ("updated", "p"),
            ("default-changed", ""),
            ("removed", "p"),
            ("rolled-back", ""),
            ("replaced", ""),
        ]
    );
    for (number, record) in (1..).zip(engine.audit(1)) {
        assert_eq!((record.audit_id, record.generation, record.at), (number, number, at(number).wall));
    }
    assert_eq!(engine.audit(8).count(), 2);
    assert_eq!(engine.audit(10).count(), 0);
    assert_eq!(engine.audit(u64::MAX).count(), 0);
}

#[test]
fn the_log_keeps_as_many_records_as_it_says() {
    let mut engine = engine();
    engine.set_default(at(0), DefaultEffect::Deny);
    let call = Call { path: Some(format!("/{}\u{7}\"", "x".repeat(80))), ..Call::default() };
    for number in 2..=AUDIT_RECORDS as u64 {
        assert_eq!(call.with(|context| engine.evaluate_request(at(number), context)).audit_id, number);
    }
    assert_eq!((engine.stats().audit_overwritten, engine.audit(0).count()), (0, AUDIT_RECORDS));
    assert_eq!(engine.audit(0).next().map(|record| record.event), Some(AuditEvent::DefaultChanged));
    call.with(|context| engine.evaluate_request(at(0), context));
    assert_eq!((engine.stats().audit_overwritten, engine.audit(0).count()), (1, AUDIT_RECORDS));
    let ids: Vec<_> = engine.audit(0).map(|record| record.audit_id).collect();
    assert_eq!((ids[0], ids[AUDIT_RECORDS - 1]), (2, AUDIT_RECORDS as u64 + 1));
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    let shown = engine.audit(5).next().unwrap().path;
    assert_eq!((shown.as_str().len(), shown.as_str().ends_with("x…")), (64, true));
    let call = Call { path: Some("/\u{7}é".to_string()), ..Call::default() };
    let id = call.with(|context| engine.evaluate_request(at(0), context)).audit_id;
    assert_eq!(engine.audit(id).next().unwrap().path.as_str(), "/???");
}

#[test]
fn a_request_is_written_down_once_whatever_matches() {
    let mut engine = engine();
    for (name, action) in [("l", "log"), ("a", "alert"), ("t", "throttle:slow-lane"), ("r", "redirect:b")] {
        engine
            .add_policy(at(0), &rule(name, action, &[("service", "!b"), ("audit", "true")]), &lanes)
            .unwrap();
    }
    let before = engine.stats().audit_written;
    let decision = Call::default().with(|context| engine.evaluate_request(at(0), context));
    assert_eq!(decision.enforcement_action, Some(ActionKind::Redirect));
    assert_eq!(engine.stats().audit_written, before + 1);
    assert_eq!((engine.stats().logged, engine.stats().alerted, engine.stats().throttled), (1, 1, 0));
}

#[test]
fn what_is_denied_by_default_is_not_redirected() {
    let mut engine = engine();
    engine.add_policy(at(0), &rule("r", "redirect:b", &[("service", "!b")]), &lanes).unwrap();
    engine.set_default(at(0), DefaultEffect::Deny);
    let decision = Call::default().with(|context| engine.evaluate_request(at(0), context));
    assert_eq!((decision.allowed, decision.decider, decision.enforcement_action), (false, None, None));
    assert_eq!(decision.matched.len(), 1);
    assert_eq!((engine.stats().redirected, engine.stats().by_default), (0, 1));
    assert_eq!(decision.reason.code(), "default-deny");
}
