//! Changes while requests are decided: all or nothing, and back again.

use super::naive::{Call, NaiveDecision, NaiveRule, decide};
use super::support::{any_call, any_default, any_rule, any_rules, at, configured, engine, lanes, peek, rule};
use crate::field::FieldValue;
use crate::mode::Mode;
use crate::policy::{AuditEvent, DefaultEffect, Generation, PolicyEngine, PolicyError, PolicyRule};
use crate::rate_limiter::LimitId;
use crate::text::Text;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

/// Everything that a refused change leaves as it was.
fn state(
    engine: &PolicyEngine,
    calls: &[Call],
) -> (Vec<PolicyRule>, DefaultEffect, String, Vec<NaiveDecision>) {
    let counters: Vec<_> = engine.list_policies().map(|(id, _)| engine.get_policy_stats(id)).collect();
    let numbers = (engine.generation(), engine.content_hash(), engine.stats(), counters);
    let rules = engine.current().rules().to_vec();
    let decisions = calls.iter().map(|call| peek(engine, call)).collect();
    let previous = engine.previous().map(|set| set.rules().to_vec());
    (rules, engine.default_effect(), format!("{numbers:?} {previous:?}"), decisions)
}

#[derive(Clone, Debug)]
enum Step {
    Add(NaiveRule),
    Update(prop::sample::Index, NaiveRule),
    Remove(prop::sample::Index),
    Enable(prop::sample::Index, bool),
    SetShadow(prop::sample::Index, bool),
    SetDefault(DefaultEffect),
    Configure(Vec<NaiveRule>, DefaultEffect),
    Rollback,
    Evaluate(Call),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => any_rule().prop_map(Step::Add),
        2 => (index(), any_rule()).prop_map(|(at, rule)| Step::Update(at, rule)),
        1 => index().prop_map(Step::Remove),
        2 => (index(), any::<bool>()).prop_map(|(at, on)| Step::Enable(at, on)),
        1 => (index(), any::<bool>()).prop_map(|(at, on)| Step::SetShadow(at, on)),
        1 => any_default().prop_map(Step::SetDefault),
        1 => (any_rules(5), any_default()).prop_map(|(rules, default)| Step::Configure(rules, default)),
        3 => proptest::strategy::Just(Step::Rollback),
        8 => any_call().prop_map(Step::Evaluate),
    ]
}

type State = (Vec<NaiveRule>, DefaultEffect);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn changes_do_what_they_say_step_by_step(
        steps in prop::collection::vec(any_step(), 1..40),
        calls in prop::collection::vec(any_call(), 4),
    ) {
        let mut engine = engine();
        let mut present: State = (Vec::new(), DefaultEffect::Allow);
        let mut previous: Option<State> = None;
        let (mut changes, mut denied, mut allowed) = (0, 0, 0);
        for step in steps {
            let mut next = present.clone();
            let place = |at: prop::sample::Index, rules: &Vec<NaiveRule>| {
                (!rules.is_empty()).then(|| at.index(rules.len()))
            };
            match step {
                Step::Add(rule) => {
                    let compiled = rule.compiled().unwrap();
                    let known = next.0.iter().any(|other| other.name == rule.name);
                    let added = engine.add_policy(at(0), &compiled, &lanes);
                    assert_eq!(added.is_err(), known);
                    if let Ok(id) = added {
                        assert_eq!(engine.get_policy(id), Some(&compiled));
                        next.0.push(rule);
                    }
                }
                Step::Update(index, rule) => {
                    let Some(place) = place(index, &next.0) else { continue };
                    let rule = NaiveRule { name: next.0[place].name.clone(), ..rule };
                    let id = engine.find(&rule.name).unwrap();
                    let compiled = rule.compiled().unwrap();
                    let same = engine.get_policy(id) == Some(&compiled);
                    engine.update_policy(at(0), id, &compiled, &lanes).unwrap();
                    next.0[place] = rule;
                    if same {
                        present = next;
                        continue;
                    }
                }
                Step::Remove(index) => {
                    let Some(place) = place(index, &next.0) else { continue };
                    let id = engine.find(&next.0.remove(place).name).unwrap();
                    engine.remove_policy(at(0), id).unwrap();
                }
                Step::Enable(index, on) => {
                    let Some(place) = place(index, &next.0) else { continue };
                    next.0[place].enabled = on;
                    let id = engine.find(&next.0[place].name).unwrap();
                    if on { engine.enable_policy(at(0), id) } else { engine.disable_policy(at(0), id) }.unwrap();
                }
                Step::SetShadow(index, on) => {
                    let Some(place) = place(index, &next.0) else { continue };
                    next.0[place].shadow = on;
                    let id = engine.find(&next.0[place].name).unwrap();
                    engine.set_mode(at(0), id, if on { Mode::Shadow } else { Mode::Enforce }).unwrap();
                }
                Step::SetDefault(default) => {
                    next.1 = default;
                    engine.set_default(at(0), default);
                }
                Step::Configure(rules, default) => {
                    let compiled: Vec<_> = rules.iter().map(|rule| rule.compiled().unwrap()).collect();
                    engine.configure(at(0), &compiled, default, &lanes).unwrap();
                    let says = |rules: &[NaiveRule]| {
                        let mut says: Vec<_> = rules.iter().map(|rule| rule.compiled().unwrap().to_string()).collect();
                        says.sort();
                        says
                    };
                    if (says(&rules), default) == (says(&present.0), present.1) {
                        continue;
                    }
                    next = (rules, default);
                }
                Step::Rollback => match previous.take() {
                    None => {
                        assert_eq!(engine.rollback(at(0), &lanes), Err(PolicyError::NothingToRollBack));
                        continue;
                    }
                    Some(state) => {
                        engine.rollback(at(0), &lanes).unwrap();
                        previous = Some(std::mem::replace(&mut present, state));
                        changes += 1;
                        continue;
                    }
                },
                Step::Evaluate(call) => {
                    let naive = decide(&present.0, present.1, &call);
                    call.with(|context| {
                        assert_eq!(engine.evaluate_request(at(0), context).allowed, naive.allowed);
                    });
                    (allowed, denied) = if naive.allowed { (allowed + 1, denied) } else { (allowed, denied + 1) };
                    continue;
                }
            }
            if next != present {
                changes += 1;
                previous = Some(std::mem::replace(&mut present, next));
            }
            assert_eq!(engine.generation(), Generation(changes));
            assert_eq!(engine.stats().changes, changes);
            for call in &calls {
                assert_eq!(peek(&engine, call), decide(&present.0, present.1, call));
            }
            assert_eq!(engine.previous().map(|set| (set.len(), set.default_effect())),
                previous.as_ref().map(|(rules, default)| (rules.len(), *default)));
        }
        let totals = engine.stats();
        assert_eq!((totals.evaluated, totals.allowed, totals.denied), (allowed + denied, allowed, denied));
    }

    #[test]
    fn a_refused_change_leaves_every_decision_as_it_was(
        rules in any_rules(20),
        default in any_default(),
        calls in prop::collection::vec(any_call(), 10),
    ) {
        let mut engine = configured(&rules, default);
        let before = state(&engine, &calls);
        let throttle = rule("t", "throttle:no-such-lane", &[]);
        let unknown = PolicyError::UnknownLimit { name: Text::excerpt("no-such-lane") };
        assert_eq!(engine.add_policy(at(1), &throttle, &lanes), Err(unknown));
        assert_eq!(engine.configure(at(1), &[throttle], DefaultEffect::Deny, &lanes), Err(unknown));
        let fine = rule("fine", "deny", &[]);
        let twice = engine.configure(at(1), &[fine, fine], DefaultEffect::Deny, &lanes);
        assert_eq!(twice, Err(PolicyError::DuplicateName));
        let nameless = PolicyRule { name: Text::EMPTY, ..fine };
        assert!(matches!(engine.add_policy(at(1), &nameless, &lanes), Err(PolicyError::OutOfRange(_))));
        let first = engine.list_policies().next().map(|(id, rule)| (id, *rule));
        if let Some((id, known)) = first {
            assert_eq!(engine.add_policy(at(1), &known, &lanes), Err(PolicyError::DuplicateName));
            assert_eq!(engine.update_policy(at(1), id, &fine, &lanes), Err(PolicyError::FixedName));
            assert_eq!(
                engine.update_policy(at(1), id, &PolicyRule { name: known.name, ..throttle }, &lanes),
                Err(unknown)
            );
        }
        assert_eq!(state(&engine, &calls), before);
    }

    #[test]
    fn a_rollback_goes_back_and_forth(
        first in any_rules(10),
        second in any_rules(10),
        calls in prop::collection::vec(any_call(), 10),
    ) {
        let mut engine = configured(&first, DefaultEffect::Deny);
        let compiled: Vec<_> = second.iter().map(|rule| rule.compiled().unwrap()).collect();
        engine.configure(at(1), &compiled, DefaultEffect::Allow, &lanes).unwrap();
        for turn in 0..4 {
            let generation = engine.generation();
            assert_eq!(engine.rollback(at(2), &lanes), Ok(Generation(generation.0 + 1)));
            let (rules, default) =
                if turn % 2 == 0 { (&first, DefaultEffect::Deny) } else { (&second, DefaultEffect::Allow) };
            for call in &calls {
                assert_eq!(peek(&engine, call), decide(rules, default, call));
            }
        }
    }
}

#[test]
fn an_unknown_policy_is_an_error() {
    let mut engine = engine();
    engine.add_policy(at(0), &rule("p", "deny", &[]), &lanes).unwrap();
    let id = engine.find("p").unwrap();
    engine.remove_policy(at(0), id).unwrap();
    assert_eq!(engine.remove_policy(at(0), id), Err(PolicyError::UnknownPolicy));
    assert_eq!(engine.enable_policy(at(0), id), Err(PolicyError::UnknownPolicy));
    assert_eq!(engine.disable_policy(at(0), id), Err(PolicyError::UnknownPolicy));
    assert_eq!(engine.set_mode(at(0), id, Mode::Shadow), Err(PolicyError::UnknownPolicy));
    let update = engine.update_policy(at(0), id, &rule("p", "deny", &[]), &lanes);
    assert_eq!(update, Err(PolicyError::UnknownPolicy));
    assert_eq!(engine.get_policy_stats(id), None);
    assert_eq!(
        engine.match_condition(id, &Call::default().with(|_| crate::policy::PolicyContext::default())),
        None
    );
}

#[test]
fn counters_of_a_policy_outlast_changes_of_others_and_of_itself() {
    let mut engine = engine();
    engine.add_policy(at(0), &rule("keep", "log", &[]), &lanes).unwrap();
    let matched = |engine: &PolicyEngine, name| {
        engine.find(name).and_then(|id| engine.get_policy_stats(id)).map(|stats| stats.matched)
    };
    let evaluate = |engine: &mut PolicyEngine| {
        Call::default().with(|context| engine.evaluate_request(at(0), context));
    };
    evaluate(&mut engine);
    engine.add_policy(at(0), &rule("another", "deny", &[]), &lanes).unwrap();
    assert_eq!((matched(&engine, "keep"), matched(&engine, "another")), (Some(1), Some(0)));
    evaluate(&mut engine);
    let id = engine.find("keep").unwrap();
    engine.update_policy(at(0), id, &rule("keep", "deny", &[("priority", "1")]), &lanes).unwrap();
    evaluate(&mut engine);
    assert_eq!((matched(&engine, "keep"), matched(&engine, "another")), (Some(3), Some(2)));
    let id = engine.find("another").unwrap();
    engine.remove_policy(at(0), id).unwrap();
    evaluate(&mut engine);
    engine.rollback(at(0), &lanes).unwrap();
    assert_eq!((matched(&engine, "keep"), matched(&engine, "another")), (Some(4), Some(2)), "as it left");
    let replaced = [rule("keep", "allow", &[])];
    engine.configure(at(0), &replaced, DefaultEffect::Allow, &lanes).unwrap();
    assert_eq!(matched(&engine, "keep"), Some(4));
    engine.add_policy(at(0), &rule("another", "deny", &[]), &lanes).unwrap();
    assert_eq!(matched(&engine, "another"), Some(0), "one that is added anew begins anew");
}

#[test]
fn the_same_configuration_is_no_change() {
    let mut engine = engine();
    let rules = [rule("a", "deny", &[("service", "x")]), rule("b", "allow", &[])];
    engine.configure(at(0), &rules, DefaultEffect::Deny, &lanes).unwrap();
    let before = (engine.generation(), engine.content_hash(), engine.stats());
    engine.configure(at(1), &[rules[1], rules[0]], DefaultEffect::Deny, &lanes).unwrap();
    let id = engine.find("a").unwrap();
    engine.enable_policy(at(1), id).unwrap();
    engine.set_mode(at(1), id, Mode::Enforce).unwrap();
    engine.set_default(at(1), DefaultEffect::Deny);
    assert_eq!((engine.generation(), engine.content_hash(), engine.stats()), before);
    assert!(engine.audit(1).map(|record| record.event).eq([AuditEvent::Replaced]));
    engine.disable_policy(at(1), id).unwrap();
    assert_ne!(engine.content_hash(), before.1);
}

#[test]
fn limits_are_found_by_name_again_when_they_changed() {
    let mut engine = engine();
    let slow = rule("slow", "throttle:slow-lane", &[]);
    let fast = rule("fast", "throttle:fast-lane", &[("priority", "200")]);
    engine.configure(at(0), &[slow, fast], DefaultEffect::Allow, &lanes).unwrap();
    let limit = |engine: &PolicyEngine, name| engine.find(name).and_then(|id| engine.throttle_limit(id));
    assert_eq!((limit(&engine, "slow"), limit(&engine, "fast")), (lanes("slow-lane"), lanes("fast-lane")));
    assert_eq!(engine.uses_limit("slow-lane").map(|rule| rule.name.as_str()), Some("slow"));
    assert!(engine.uses_limit("no-such-lane").is_none());
    let moved = |name: &str| lanes(name).map(|LimitId(id)| LimitId(id + 10));
    engine.resolve_limits(&moved).unwrap();
    assert_eq!(limit(&engine, "slow"), moved("slow-lane"));
    let gone = PolicyError::UnknownLimit { name: Text::excerpt("slow-lane") };
    assert_eq!(engine.resolve_limits(&|_| None), Err(gone));
    assert_eq!(limit(&engine, "slow"), moved("slow-lane"));
    let id = engine.find("slow").unwrap();
    engine.remove_policy(at(0), id).unwrap();
    assert_eq!(limit(&engine, "fast"), moved("fast-lane"));
    assert_eq!(engine.rollback(at(0), &|name| moved(name).filter(|_| name != "slow-lane")), Err(gone));
    assert_eq!(engine.len(), 1);
    engine.rollback(at(0), &moved).unwrap();
    assert_eq!(limit(&engine, "slow"), moved("slow-lane"));
    let id = engine.add_policy(at(0), &rule("deny", "deny", &[]), &lanes).unwrap();
    assert_eq!(engine.throttle_limit(id), None);
    assert_eq!(limit(&engine, "slow"), moved("slow-lane"), "the place of a policy is not its name");
}

#[test]
fn another_engine_is_set_up_alike() {
    let mut engine = engine();
    let rules = [rule("a", "deny", &[("service", "x")]), rule("t", "throttle:slow-lane", &[])];
    engine.configure(at(0), &rules, DefaultEffect::Deny, &lanes).unwrap();
    let mut other = super::support::engine();
    other.add_policy(at(0), &rule("z", "log", &[]), &lanes).unwrap();
    other.configure_like(&engine);
    assert_eq!((other.len(), other.generation(), other.previous().is_none()), (2, Generation(1), true));
    assert_eq!(other.content_hash(), engine.content_hash());
    assert_eq!(other.find("t").and_then(|id| other.throttle_limit(id)), lanes("slow-lane"));
    assert_eq!(other.audit(1).count(), 0);
    let call = Call { service: Some("x".to_string()), ..Call::default() };
    assert_eq!(peek(&other, &call), peek(&engine, &call));
    other.reset();
    assert!(other.is_empty() && other.default_effect() == DefaultEffect::Allow);
    assert!(peek(&other, &call).allowed);
}

#[test]
fn a_field_of_a_policy_can_be_changed_by_itself() {
    let policy = rule("p", "deny", &[("service", "a"), ("hours", "9-17")]);
    let mut draft = crate::policy::PolicyDraft::from_rule(&policy);
    draft.change("hours", FieldValue::Text("22-6")).unwrap();
    let changed = draft.finish().unwrap();
    assert_eq!(changed.to_string(), policy.to_string().replace("9-17", "22-6"));
}
