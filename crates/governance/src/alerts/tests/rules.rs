use super::{Given, SECOND, at, draft, rule};
use crate::alerts::{
    ALERT_FIELDS, ALERTS_MAX, AlertCondition, AlertDraft, AlertError, AlertMetric, AlertRule, AlertState,
    GovernanceAlerts, Readings, SLOS_MAX,
};
use crate::field::{FieldValue, Problem};
use crate::scope::{HashSecret, Name, Scope};
use crate::time::{Nanos, WallTime};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

fn waiting(name: &str) -> AlertRule {
    rule(&[("name", name), ("metric", "queue-depth"), ("above", "10")])
}

fn names(alerts: &GovernanceAlerts) -> Vec<String> {
    alerts.alerts().map(|view| view.rule.name.to_string()).collect()
}

/// Reads a basic string of TOML.
fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quotes");
    let (mut text, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next().expect("an escape") } else { letter });
    }
    text
}

/// Reads what a rule prints.
fn read(shown: &str) -> AlertRule {
    let mut draft = AlertDraft::default();
    for line in shown.split_terminator('\n').skip(1) {
        let (field, value) = line.split_once(" = ").unwrap();
        match value.parse() {
            Ok(number) => draft.set(field, FieldValue::Integer(number)),
            Err(_) => draft.set(field, FieldValue::Text(&unquoted(value))),
        }
        .unwrap_or_else(|error| panic!("{error} in {line}"));
    }
    draft.finish().unwrap_or_else(|error| panic!("{error} in {shown}"))
}

#[test]
fn what_is_not_said_has_defaults() {
    let one = waiting("queue");
    assert_eq!((one.clear, one.for_duration, one.cooldown), (10, Nanos::ZERO, Nanos::from_seconds(300)));
    let mut missing = Vec::new();
    AlertDraft::default().each_problem(|problem| missing.push(problem.field));
    assert_eq!(missing, ["name", "metric"]);
    assert_eq!(AlertMetric::WORDS.map(AlertMetric::from_word), AlertMetric::ALL.map(Some));
}

#[test]
fn rules_print_what_reads_back_to_them() {
    for fields in [
        &[("metric", "requests-per-second"), ("below", "5"), ("clear", "18446744073709551615")][..],
        &[("metric", "denied-rate"), ("scope", "service:git\"hub"), ("above", "0.0001%"), ("clear", "0%")],
        &[("metric", "error-rate"), ("scope", "tenant:acme"), ("below", "100%"), ("for", "30s")],
        &[("metric", "p95-latency"), ("scope", "route:github:get"), ("above", "250ms"), ("clear", "0s")],
        &[("metric", "p99-latency"), ("scope", "group:chat"), ("above", "1s"), ("cooldown", "0s")],
        &[("metric", "cost-per-minute"), ("above", "0.5"), ("clear", "0.000000001")],
        &[("metric", "cost-per-minute"), ("above", "2")],
        &[("metric", "breakers-open"), ("above", "0")],
        &[("metric", "tickets-open"), ("above", "18446744073709551615"), ("clear", "7")],
        &[("metric", "burn-rate"), ("objective", "99.9%"), ("scope", "service:github")],
    ] {
        let mut draft = draft(&[("name", "a\\b \"c\"")]);
        for &(field, value) in fields {
            draft.set(field, FieldValue::Text(value)).unwrap();
        }
        let first = draft.finish().unwrap_or_else(|error| panic!("{error} for {fields:?}"));
        assert_eq!(read(&first.to_string()), first, "{first}");
        assert_eq!(AlertDraft::from_rule(&first).finish(), Ok(first));
        assert!(first.check().is_ok());
    }
}

#[test]
fn values_that_do_not_go_are_refused_in_one_line() {
    for (fields, field) in [
        (&[("metric", "denied-rate"), ("above", "5")][..], "above"),
        (&[("metric", "denied-rate"), ("above", "100%")], "above"),
        (&[("metric", "error-rate"), ("above", "101%")], "above"),
        (&[("metric", "error-rate"), ("below", "0%")], "below"),
        (&[("metric", "error-rate"), ("below", "100.1%"), ("clear", "100.1%")], "below"),
        (&[("metric", "queue-depth"), ("above", "5%")], "above"),
        (&[("metric", "queue-depth"), ("below", "0")], "below"),
        (&[("metric", "queue-depth"), ("above", "0.5")], "above"),
        (&[("metric", "queue-depth")], "above"),
        (&[("metric", "queue-depth"), ("above", "5"), ("below", "3")], "below"),
        (&[("metric", "queue-depth"), ("above", "5"), ("clear", "6")], "clear"),
        (&[("metric", "queue-depth"), ("below", "5"), ("clear", "4")], "clear"),
        (&[("metric", "queue-depth"), ("above", "5"), ("clear", "4%")], "clear"),
        (&[("metric", "queue-depth"), ("above", "5"), ("objective", "99%")], "objective"),
        (&[("metric", "queue-depth"), ("above", "5"), ("scope", "service:*")], "scope"),
        (&[("metric", "queue-depth"), ("above", "5"), ("scope", "tenant:a")], "scope"),
        (&[("metric", "tickets-open"), ("above", "5"), ("scope", "service:a")], "scope"),
        (&[("metric", "breakers-open"), ("above", "5"), ("scope", "route:a:get")], "scope"),
        (&[("metric", "p95-latency"), ("above", "5")], "above"),
        (&[("metric", "p95-latency"), ("above", "1s"), ("scope", "user:a")], "scope"),
        (&[("metric", "cost-per-minute"), ("above", "5ms")], "above"),
        (&[("metric", "burn-rate")], "objective"),
        (&[("metric", "burn-rate"), ("objective", "100%")], "objective"),
        (&[("metric", "burn-rate"), ("objective", "0%")], "objective"),
        (&[("metric", "burn-rate"), ("objective", "99%"), ("above", "14")], "above"),
        (&[("metric", "burn-rate"), ("objective", "99%"), ("scope", "tenant:a")], "scope"),
    ] {
        let mut draft = draft(&[("name", "a")]);
        fields.iter().for_each(|(field, value)| draft.set(field, FieldValue::Text(value)).unwrap());
        let error = draft.finish().expect_err("refused");
        assert_eq!(error.field, field, "{fields:?}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn fields_that_cannot_be_read_leave_the_draft() {
    let mut one = AlertDraft::from_rule(&waiting("a"));
    for (field, value) in [
        ("name", FieldValue::Text("")),
        ("name", FieldValue::Text("a\nb")),
        ("metric", FieldValue::Text("requests")),
        ("scope", FieldValue::Text("github")),
        ("above", FieldValue::Text("-5")),
        ("above", FieldValue::Integer(-5)),
        ("above", FieldValue::Fraction),
        ("above", FieldValue::Text("5.5.5")),
        ("above", FieldValue::Text("99999999999999999999")),
        ("above", FieldValue::Text("")),
        ("above", FieldValue::Text("a lot")),
        ("below", FieldValue::Text("%")),
        ("clear", FieldValue::Boolean(true)),
        ("for", FieldValue::Integer(5)),
        ("for", FieldValue::Text("5")),
        ("cooldown", FieldValue::Text("soon")),
        ("objective", FieldValue::Text("99.9")),
    ] {
        assert_eq!(one.set(field, value).unwrap_err().field, field, "{value:?}");
    }
    assert_eq!(one.finish(), Ok(waiting("a")));
    assert_eq!(one.set("x", FieldValue::Other).unwrap_err().problem, Problem::Unknown(&ALERT_FIELDS));
    for field in ["name", "metric", "scope"] {
        assert_eq!(one.change(field, FieldValue::Text("b")).unwrap_err().problem, Problem::Fixed);
    }
}

#[test]
fn a_full_table_says_so_and_keeps_what_it_has() {
    let mut alerts = GovernanceAlerts::new();
    for number in 0..ALERTS_MAX {
        alerts.define_alert(&waiting(&format!("queue {number}"))).unwrap();
    }
    assert_eq!(alerts.define_alert(&waiting("one more")), Err(AlertError::Full));
    assert_eq!(alerts.define_alert(&waiting("queue 5")), Err(AlertError::DuplicateName));
    assert_eq!(alerts.stats().rules, ALERTS_MAX);
    alerts.remove_alert("queue 5").unwrap();
    assert_eq!(alerts.remove_alert("queue 5"), Err(AlertError::Unknown));
    alerts.define_alert(&waiting("one more")).unwrap();
    assert_eq!((names(&alerts)[5].as_str(), names(&alerts)[63].as_str()), ("queue 6", "one more"));
    alerts.reset(HashSecret::default());
    assert!(alerts.is_idle());
}

#[test]
fn two_objectives_of_one_scope_are_refused() {
    let objective = |name: &str, scope: Option<&str>| {
        let mut draft = draft(&[("name", name), ("metric", "burn-rate"), ("objective", "99%")]);
        if let Some(scope) = scope {
            draft.set("scope", FieldValue::Text(scope)).unwrap();
        }
        draft.finish().unwrap()
    };
    let mut alerts = GovernanceAlerts::new();
    alerts.configure(&[objective("a", None), objective("b", Some("service:b")), waiting("c")]).unwrap();
    assert_eq!(alerts.define_alert(&objective("d", None)), Err(AlertError::DuplicateObjective));
    assert_eq!(alerts.define_alert(&objective("d", Some("service:b"))), Err(AlertError::DuplicateObjective));
    assert_eq!(alerts.update_alert(&objective("c", Some("service:b"))), Err(AlertError::DuplicateObjective));
    alerts.update_alert(&objective("b", Some("service:e"))).unwrap();
    alerts.update_alert(&objective("c", Some("service:b"))).unwrap();
    assert_eq!((names(&alerts).join(" "), alerts.stats().objectives), ("a b c".into(), 3));
    let many: Vec<_> = (0..=SLOS_MAX)
        .map(|number| objective(&format!("{number}"), Some(&format!("service:{number}"))))
        .collect();
    assert_eq!(alerts.configure(&many), Err((SLOS_MAX, AlertError::ObjectivesFull)));
    assert_eq!(alerts.stats().rules, 3);
    alerts.configure(&many[1..]).unwrap();
    let other = AlertRule { name: Name::new("0").unwrap(), ..many[1] };
    assert_eq!(alerts.configure(&[many[1], other]), Err((1, AlertError::DuplicateObjective)));
    assert_eq!(alerts.configure(&[many[1], many[1]]), Err((1, AlertError::DuplicateName)));
    assert_eq!(alerts.stats().objectives, SLOS_MAX);
    // A table that is full still takes one in the place of another.
    alerts.update_alert(&objective("1", Some("service:young"))).unwrap();
}

#[test]
fn a_configuration_leaves_what_stays_where_it_stands() {
    let mut alerts = GovernanceAlerts::new();
    alerts.configure(&[waiting("a"), waiting("b"), waiting("c")]).unwrap();
    alerts.tick(at(0), &Given::one(AlertMetric::QueueDepth, 11));
    assert_eq!(alerts.get_pending_alerts().count(), 3);
    let higher = AlertRule { condition: AlertCondition::Above(20), clear: 20, ..waiting("c") };
    let below = AlertRule { condition: AlertCondition::Below(5), clear: 5, ..waiting("a") };
    alerts.configure(&[waiting("d"), higher, below]).unwrap();
    assert_eq!(names(&alerts), ["d", "c", "a"]);
    let states: Vec<_> = alerts.alerts().map(|view| view.state).collect();
    assert_eq!(states, [AlertState::Quiet, AlertState::Firing, AlertState::Quiet]);
    assert_eq!(alerts.alerts().nth(1).unwrap().rule, higher);
    alerts.restart();
    assert_eq!((alerts.get_pending_alerts().count(), alerts.notices().next()), (0, 0));
    assert_eq!(names(&alerts), ["d", "c", "a"]);
}

#[test]
fn a_rule_is_read_for_its_scope() {
    struct ByScope;
    impl Readings for ByScope {
        fn read(&self, _: AlertMetric, scope: Option<&Scope>) -> Option<i128> {
            Some(if scope.is_some_and(|scope| scope.to_string() == "service:b") { 11 } else { 0 })
        }
    }
    let mut alerts = GovernanceAlerts::new();
    for (name, scope) in [("a", None), ("b", Some("service:b")), ("c", Some("service:c"))] {
        let scope = scope.map(|scope| Scope::parse(scope).unwrap());
        alerts.define_alert(&AlertRule { scope, ..waiting(name) }).unwrap();
    }
    alerts.tick(at(5), &ByScope);
    let firing: Vec<_> = alerts.get_pending_alerts().map(|view| (view.rule.name, view.since)).collect();
    assert_eq!(firing, [(Name::new("b").unwrap(), WallTime(5 * SECOND))]);
}

#[test]
fn the_whole_fits_in_96_kib() {
    assert!(size_of::<GovernanceAlerts>() <= 96 << 10, "{}", size_of::<GovernanceAlerts>());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]
    #[test]
    fn every_rule_that_is_in_order_reads_back(
        name in "[^\\x00-\\x1f\\x7f]{1,16}",
        metric in prop::sample::select(AlertMetric::ALL.to_vec()),
        (threshold, clear, turned) in (any::<u64>(), any::<u64>(), 0..3_u8),
        (hold, cooldown) in (any::<u64>(), any::<u64>()),
    ) {
        let (threshold, clear) = match metric {
            AlertMetric::DeniedRate | AlertMetric::ErrorRate | AlertMetric::BurnRate => {
                (threshold % 1_000_001, clear % 1_000_001)
            }
            _ => (threshold, clear),
        };
        let condition = match turned {
            0 => AlertCondition::Above(threshold.into()),
            1 => AlertCondition::Below(threshold.into()),
            _ => AlertCondition::Objective(u32::try_from(threshold % 1_000_001).unwrap()),
        };
        let clear = if turned == 2 { 0 } else { clear.into() };
        let one = AlertRule {
            name: Name::excerpt(&name), metric, scope: None, condition, clear,
            for_duration: Nanos(hold), cooldown: Nanos(cooldown),
        };
        let drafted = AlertDraft::from_rule(&one).finish();
        prop_assert_eq!(drafted.is_ok(), one.check().is_ok());
        if one.check().is_ok() {
            prop_assert_eq!(drafted, Ok(one));
            prop_assert_eq!(read(&one.to_string()), one);
        }
    }
}
