//! What is found odd about policies: by example, and against requests that would show otherwise.

use super::naive::{Call, NaiveRule, decide};
use super::support::{any_call, any_default, any_rules, configured, rule};
use crate::policy::{
    ActionKind, DefaultEffect, FindingKind, PolicyContext, PolicyRule, PolicySet, RuleId, Witness, lint,
};
use proptest::prelude::{ProptestConfig, prop, proptest};

fn set(rules: &[PolicyRule]) -> Box<PolicySet> {
    let mut set = Box::new(PolicySet::new());
    for rule in rules {
        set.push(rule).unwrap();
    }
    set
}

fn name(set: &PolicySet, id: RuleId) -> &str {
    set.get(id).unwrap().name.as_str()
}

/// Each finding as a line: the policy, what is odd, the other policy, the request.
fn findings(rules: &[PolicyRule]) -> Vec<String> {
    let set = set(rules);
    let mut found = Vec::new();
    lint(&set, &mut |finding| {
        let other = finding.kind.other().map_or("", |id| name(&set, id));
        let witness = finding.witness.map(Witness::to_string).unwrap_or_default();
        let (rule, code) = (name(&set, finding.rule), finding.kind.code());
        found.push(format!("{rule} {code} {other}: {witness}"));
    });
    found
}

#[test]
fn a_policy_that_another_one_makes_needless() {
    let wide = rule("wide", "deny", &[("role", "intern, guest"), ("ip", "10.0.0.0/8")]);
    let narrow = rule(
        "narrow",
        "deny",
        &[("role", "intern, !admin"), ("ip", "10.1.0.0/16"), ("method", "DELETE"), ("header", "X-Env: prod")],
    );
    assert_eq!(
        findings(&[narrow, wide]),
        [concat!(
            "narrow subsumed wide: role=\"intern\" ip=10.1.0.0 method=DELETE headers=\"X-Env: prod\" ",
            "priority=normal at=2026-01-05T09:00:00Z"
        )]
    );
    let twin = PolicyRule { name: crate::text::Text::excerpt("x-twin"), ..wide };
    assert_eq!(
        findings(&[twin, wide]),
        ["x-twin subsumed wide: role=\"intern\" ip=10.0.0.0 priority=normal at=2026-01-05T09:00:00Z"]
    );
    let told = PolicyRule { audit_log: true, ..narrow };
    assert_eq!(findings(&[told, wide]), [""; 0], "it is not needless for the audit log");
    let quiet = PolicyRule { enabled: false, ..wide };
    assert_eq!(findings(&[narrow, quiet]), [""; 0]);
    let shadow = PolicyRule { mode: crate::mode::Mode::Shadow, ..wide };
    assert_eq!(findings(&[narrow, shadow]), [""; 0], "what only counts makes nothing needless");
    let redirects = [
        rule("first", "redirect:b", &[("service", "a"), ("priority", "1")]),
        rule("between", "redirect:c", &[("service", "a"), ("priority", "2")]),
        rule("wide", "redirect:b", &[("service", "!b"), ("priority", "3")]),
    ];
    assert_eq!(findings(&redirects), [""; 0], "without the first one the one between would speak");
}

#[test]
fn a_policy_that_can_have_no_effect() {
    let deny = rule("no", "deny", &[("path", "/v1"), ("hours", "22-6")]);
    let allow = rule("yes", "allow", &[("path", "/v1/x"), ("hours", "23-2"), ("days", "mon")]);
    assert_eq!(
        findings(&[deny, allow]),
        ["yes shadowed no: path=/v1/x priority=normal at=2026-01-05T23:00:00Z"]
    );
    let log = PolicyRule { action: crate::policy::Action::Log, ..allow };
    assert_eq!(findings(&[deny, log]), [""; 0], "a denial is taken note of as well");
}

#[test]
fn an_allow_and_a_denial_that_overlap() {
    let deny = rule("no", "deny", &[("role", "guest"), ("class", "low, batch")]);
    let allow = rule("yes", "allow", &[("role", "ops"), ("tenant", "acme")]);
    assert_eq!(
        findings(&[deny, allow]),
        ["yes contradicts no: tenant=acme role=\"ops, guest\" priority=low at=2026-01-05T09:00:00Z"]
    );
    assert_eq!(findings(&[rule("no", "deny", &[("role", "!ops")]), allow]), [""; 0], "nobody is both");
    let inside = rule("no", "deny", &[("role", "ops"), ("tenant", "acme"), ("method", "PUT")]);
    assert_eq!(findings(&[inside, allow]), [""; 0], "an exception is no contradiction");
}

#[test]
fn redirects_that_go_round() {
    let there = rule("there", "redirect:b", &[("service", "a"), ("method", "GET, PUT")]);
    let back = rule("back", "redirect:a", &[("service", "b"), ("method", "PUT")]);
    assert_eq!(
        findings(&[there, back]),
        ["back redirect-loop there: service=b method=PUT priority=normal at=2026-01-05T09:00:00Z"]
    );
    let other = rule("back", "redirect:a", &[("service", "b"), ("method", "POST")]);
    assert_eq!(findings(&[there, other]), [""; 0]);
    let mut odd = there;
    odd.condition.clear(crate::policy::Attribute::Service);
    assert_eq!(
        findings(&[odd]),
        ["there redirect-loop there: service=b method=GET priority=normal at=2026-01-05T09:00:00Z"]
    );
}

#[test]
fn a_policy_that_matches_nothing_in_a_set_that_is_built() {
    let mut odd = rule("odd", "deny", &[]);
    odd.condition.set(crate::policy::Attribute::Role, "a, !a").unwrap();
    assert_eq!(findings(&[odd, rule("all", "deny", &[])]), ["odd never-matches : "]);
}

fn call_of(witness: &Witness) -> Call {
    witness.with_context(|context: &PolicyContext<'_>| Call::of(context))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn findings_hold_for_every_request(
        rules in any_rules(12),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 40),
    ) {
        let engine = configured(&rules, default);
        let set = engine.current();
        let rule_of = |id| rules.iter().find(|rule| rule.name == name(set, id)).unwrap();
        engine.lint(&mut |finding| {
            let one = rule_of(finding.rule);
            let other = finding.kind.other().map(rule_of);
            let call = finding.witness.map(call_of);
            match (finding.kind, other, call) {
                (FindingKind::Subsumed { .. }, Some(other), Some(call)) => {
                    assert!(one.matches(&call) && other.matches(&call));
                    let rest: Vec<NaiveRule> = rules.iter().filter(|rule| *rule != one).cloned().collect();
                    for call in &calls {
                        assert!(!one.matches(call) || other.matches(call));
                        let (with, without) = (decide(&rules, default, call), decide(&rest, default, call));
                        let does = |name: Option<String>| {
                            let rule = name.and_then(|name| rules.iter().find(|rule| rule.name == name));
                            rule.map(|rule| rule.action.clone())
                        };
                        assert_eq!((with.allowed, with.would_allow), (without.allowed, without.would_allow));
                        assert_eq!(does(with.decider), does(without.decider));
                    }
                }
                (FindingKind::Shadowed { .. }, Some(other), Some(call)) => {
                    assert!(one.matches(&call) && other.matches(&call) && other.action == "deny");
                    assert!(calls.iter().all(|call| !one.matches(call) || other.matches(call)));
                }
                (FindingKind::Contradicts { .. }, Some(other), Some(call)) => {
                    assert!(one.matches(&call) && other.matches(&call));
                    assert_eq!((one.kind(), other.kind()), (ActionKind::Allow, ActionKind::Deny));
                }
                (FindingKind::RedirectLoop { .. }, Some(other), Some(mut call)) => {
                    assert!(one.matches(&call));
                    call.service = Some(one.action["redirect:".len()..].to_string());
                    assert!(other.matches(&call));
                }
                found => panic!("{found:?}"),
            }
        });
    }

    #[test]
    fn what_is_not_found_is_not_there(
        rules in any_rules(8),
        calls in prop::collection::vec(any_call(), 60),
    ) {
        let engine = configured(&rules, DefaultEffect::Allow);
        let mut found = Vec::new();
        engine.lint(&mut |finding| {
            let other = finding.kind.other().map(|id| name(engine.current(), id).to_string());
            found.push((name(engine.current(), finding.rule).to_string(), other));
        });
        let of_account = |one: &NaiveRule, other: &NaiveRule| one.enabled && other.enabled && (!other.shadow || one.shadow);
        for one in rules.iter().filter(|rule| rule.action == "allow") {
            for other in rules.iter().filter(|other| other.action == "deny" && of_account(one, other)) {
                let hits = |wanted: (bool, bool)| calls.iter().any(|call| (one.matches(call), other.matches(call)) == wanted);
                if hits((true, true)) && hits((false, true)) {
                    // Requests of both kinds are known: the two overlap, and the denial is no exception of the allow.
                    assert!(found.contains(&(one.name.clone(), Some(other.name.clone()))), "{one:?} {other:?}");
                }
            }
        }
    }
}
