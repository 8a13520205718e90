use super::{Given, SECOND, at, rule};
use crate::alerts::{
    AlertBound, AlertCondition, AlertEvent, AlertMetric, AlertRule, AlertState, GovernanceAlerts,
};
use crate::field::FieldValue;
use crate::time::{Nanos, Now, WallTime};
use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};

fn alerts(rule: &AlertRule) -> GovernanceAlerts {
    let mut alerts = GovernanceAlerts::new();
    alerts.define_alert(rule).unwrap();
    alerts
}

/// Denials above 5 %, clear at 2 %.
fn denials(for_duration: &str, cooldown: &str) -> AlertRule {
    rule(&[
        ("name", "denials"),
        ("metric", "denied-rate"),
        ("above", "5%"),
        ("clear", "2%"),
        ("for", for_duration),
        ("cooldown", cooldown),
    ])
}

fn tick(alerts: &mut GovernanceAlerts, second: u64, ppm: Option<i128>) -> AlertState {
    let given = ppm.map_or_else(Given::default, |ppm| Given::one(AlertMetric::DeniedRate, ppm));
    alerts.tick(at(second), &given);
    alerts.alerts().next().unwrap().state
}

fn events(alerts: &GovernanceAlerts) -> Vec<(AlertEvent, u64)> {
    alerts.notices().since(0).map(|notice| (notice.event, notice.at.0 / SECOND)).collect()
}

#[test]
fn a_crossing_is_told_once_and_once_more_when_it_is_over() {
    let mut alerts = alerts(&denials("30s", "5m"));
    for second in 0..30 {
        assert_eq!(tick(&mut alerts, second, Some(60_000)), AlertState::Pending);
    }
    assert_eq!(alerts.get_pending_alerts().map(|view| view.since).collect::<Vec<_>>(), [WallTime(0)]);
    for second in 30..100 {
        assert_eq!(tick(&mut alerts, second, Some(75_000)), AlertState::Firing);
    }
    // Between the two thresholds it goes on.
    for second in 100..200 {
        assert_eq!(tick(&mut alerts, second, Some(20_001)), AlertState::Firing);
    }
    assert_eq!(tick(&mut alerts, 200, Some(20_000)), AlertState::Firing);
    assert_eq!(tick(&mut alerts, 201, Some(0)), AlertState::Firing);
    assert_eq!(tick(&mut alerts, 202, Some(0)), AlertState::Quiet);
    assert_eq!(events(&alerts), [(AlertEvent::Fired, 30), (AlertEvent::Cleared, 202)]);
    let shown: Vec<_> = alerts.notices().since(0).map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["denials fired: denied-rate 7.5% is above 5%", "denials cleared: denied-rate 0% is not above 5%"]
    );
    let stats = alerts.stats();
    assert_eq!((stats.fired, stats.cleared, stats.evaluations, stats.without_data), (1, 1, 203, 0));
}

#[test]
fn a_crossing_shorter_than_the_rule_asks_is_not_told() {
    let mut alerts = alerts(&denials("3s", "0s"));
    for second in 0..300 {
        tick(&mut alerts, second, Some(if second % 4 == 3 { 50_000 } else { 50_001 }));
    }
    assert_eq!(events(&alerts), []);
}

#[test]
fn no_data_never_resolves_and_never_fires() {
    let mut alerts = alerts(&denials("10s", "5m"));
    assert_eq!(tick(&mut alerts, 0, Some(60_000)), AlertState::Pending);
    for second in 1..1000 {
        assert_eq!(tick(&mut alerts, second, None), AlertState::Pending);
    }
    // The time without data does not count.
    for second in 1000..1010 {
        assert_eq!(tick(&mut alerts, second, Some(60_000)), AlertState::Pending);
    }
    assert_eq!(tick(&mut alerts, 1010, Some(60_000)), AlertState::Firing);
    assert_eq!(tick(&mut alerts, 1011, Some(0)), AlertState::Firing);
    for second in 1012..5000 {
        assert_eq!(tick(&mut alerts, second, None), AlertState::Firing);
    }
    let view = alerts.get_pending_alerts().next().unwrap();
    assert_eq!((view.value, view.bound, view.threshold()), (Some(0), AlertBound::Above(50_000), 50_000));
    assert_eq!(tick(&mut alerts, 5000, Some(0)), AlertState::Firing);
    assert_eq!(tick(&mut alerts, 5001, Some(0)), AlertState::Quiet);
    assert_eq!(events(&alerts), [(AlertEvent::Fired, 1010), (AlertEvent::Cleared, 5001)]);
}

#[test]
fn a_sustained_flap_does_not_starve_notices() {
    let mut alerts = alerts(&denials("0s", "5m"));
    for second in 0..3600 {
        // Five seconds across, five back.
        tick(&mut alerts, second, Some(if second % 10 < 5 { 60_000 } else { 0 }));
    }
    let fired = events(&alerts).iter().filter(|(event, _)| *event == AlertEvent::Fired).count();
    assert_eq!(fired, 12);
    assert_eq!(alerts.stats().suppressed, 360 - 12);
}

#[test]
fn what_still_fires_after_the_cooldown_is_told_then() {
    let mut alerts = alerts(&denials("0s", "1m"));
    for second in 0..200 {
        tick(&mut alerts, second, Some(if (5..10).contains(&second) { 0 } else { 60_000 }));
    }
    assert_eq!(events(&alerts), [(AlertEvent::Fired, 0), (AlertEvent::Cleared, 7), (AlertEvent::Fired, 60)]);
    assert_eq!(alerts.stats().suppressed, 1);
}

#[test]
fn rules_are_looked_at_once_a_second_at_most() {
    let mut alerts = alerts(&denials("0s", "5m"));
    for millis in 0..10_000 {
        let now = Now::from_wall(WallTime(millis * 1_000_000));
        alerts.tick(now, &Given::one(AlertMetric::DeniedRate, 0));
    }
    assert_eq!(alerts.stats().evaluations, 10);
}

#[test]
fn a_rule_below_is_one_above_turned_round() {
    let fields = [("name", "idle"), ("metric", "requests-per-second"), ("below", "5"), ("clear", "8")];
    let mut alerts = alerts(&rule(&fields));
    let mut tick = |second, value| {
        alerts.tick(at(second), &Given::one(AlertMetric::RequestsPerSecond, value));
        alerts.alerts().next().unwrap().state
    };
    assert_eq!(tick(0, 5), AlertState::Quiet);
    assert_eq!(tick(1, 4), AlertState::Firing);
    assert_eq!([tick(2, 8), tick(3, 7), tick(4, 8), tick(5, 9)], [AlertState::Firing; 4]);
    assert_eq!(tick(6, 8), AlertState::Quiet);
}

#[test]
fn a_threshold_is_changed_while_it_stands() {
    let mut alerts = alerts(&denials("0s", "0s"));
    tick(&mut alerts, 0, Some(60_000));
    alerts.set_alert_threshold("denials", FieldValue::Text("70%")).unwrap();
    assert_eq!(tick(&mut alerts, 1, Some(60_000)), AlertState::Firing);
    for second in 2..5 {
        tick(&mut alerts, second, Some(10_000));
    }
    assert_eq!(tick(&mut alerts, 5, Some(60_000)), AlertState::Quiet);
    assert_eq!(tick(&mut alerts, 6, Some(700_001)), AlertState::Firing);
    assert!(alerts.set_alert_threshold("denials", FieldValue::Text("5")).is_err());
    assert!(alerts.set_alert_threshold("other", FieldValue::Text("5%")).is_err());
    assert_eq!(alerts.get_alert("denials").unwrap().to_string().lines().nth(3), Some("above = \"70%\""));
    // A value that clears goes with the threshold that passes it, and so does one that was the threshold.
    let lower = alerts.set_alert_threshold("denials", FieldValue::Text("1%")).unwrap();
    assert_eq!((lower.condition, lower.clear), (AlertCondition::Above(10_000), 10_000));
    let fields = [("name", "waiting"), ("metric", "queue-depth"), ("above", "10")];
    alerts.define_alert(&rule(&fields)).unwrap();
    let changed = alerts.set_alert_threshold("waiting", FieldValue::Integer(3)).unwrap();
    assert_eq!((changed.clear, alerts.get_alert("waiting")), (3, Some(changed)));
}

/// The same by its definition, from all that was ever seen: when, and the value if there was one.
struct Naive {
    rule: AlertRule,
    seen: Vec<(Nanos, Option<i128>)>,
}

fn is_across(value: i128) -> bool {
    value > 50_000
}

impl Naive {
    /// How long the run of crossings that ends with evaluation `last` has been seen; none if it is not one.
    fn run(&self, first: usize, last: usize) -> Option<u64> {
        let seen = &self.seen[first..=last];
        let before = seen.iter().rposition(|(_, value)| value.is_some_and(|value| !is_across(value)));
        let run = &seen[before.map_or(0, |before| before + 1)..];
        let run = &run[run.iter().position(|(_, value)| value.is_some())?..];
        let both = run.windows(2).filter(|pair| pair.iter().all(|(_, value)| value.is_some()));
        Some(both.map(|pair| pair[1].0.0.saturating_sub(pair[0].0.0).min(60 * SECOND)).sum())
    }

    /// Each crossing, as the evaluations at which it fires and clears, and where the time after the last one begins.
    fn crossings(&self) -> (Vec<(usize, Option<usize>)>, usize) {
        let (mut crossings, mut first) = (Vec::new(), 0);
        loop {
            let fires = (first..self.seen.len()).find(|&last| {
                self.seen[last].1.is_some()
                    && self.run(first, last).is_some_and(|held| held >= self.rule.for_duration.0)
            });
            let Some(fires) = fires else {
                return (crossings, first);
            };
            let clears = (fires + 1..self.seen.len()).find(|&last| {
                let values: Vec<_> =
                    self.seen[fires + 1..=last].iter().filter_map(|(_, value)| *value).collect();
                self.seen[last].1.is_some()
                    && values.len() >= 3
                    && values[values.len() - 3..].iter().all(|&value| value <= self.rule.clear)
            });
            crossings.push((fires, clears));
            let Some(clears) = clears else {
                return (crossings, self.seen.len());
            };
            first = clears + 1;
        }
    }

    fn state(&self) -> AlertState {
        let (crossings, first) = self.crossings();
        if crossings.last().is_some_and(|(_, clears)| clears.is_none()) {
            AlertState::Firing
        } else if first < self.seen.len() && self.run(first, self.seen.len() - 1).is_some() {
            AlertState::Pending
        } else {
            AlertState::Quiet
        }
    }

    fn notices(&self) -> Vec<(AlertEvent, u64, i128)> {
        let (mut notices, mut told) = (Vec::new(), None::<u64>);
        for (fires, clears) in self.crossings().0 {
            let end = clears.unwrap_or(self.seen.len());
            let tell = self.seen[fires..end].iter().find(|(time, value)| {
                value.is_some_and(is_across)
                    && told.is_none_or(|told| time.0.saturating_sub(told) >= self.rule.cooldown.0)
            });
            if let Some(&(time, Some(value))) = tell {
                told = Some(time.0);
                notices.push((AlertEvent::Fired, time.0, value));
                if let Some((time, Some(value))) = clears.map(|clears| self.seen[clears]) {
                    notices.push((AlertEvent::Cleared, time.0, value));
                }
            }
        }
        notices
    }
}

/// Steps of time in milliseconds: mostly a second, with gaps, jumps, and back.
const STEPS: [i64; 12] = [1000, 1000, 1000, 1000, 1000, 1500, 300, 2000, 7000, 90_000, 4_000_000, -5000];
const VALUES: [Option<i128>; 9] = [
    None,
    Some(0),
    Some(20_000),
    Some(20_000),
    Some(20_001),
    Some(50_000),
    Some(50_001),
    Some(60_000),
    Some(1_000_000),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn equals_a_model_that_keeps_everything(
        steps in prop::collection::vec((0..STEPS.len(), 0..VALUES.len(), 1..6_u8), 1..50),
        for_duration in prop::sample::select(vec!["0s", "1s", "3s", "70s", "1h"]),
        cooldown in prop::sample::select(vec!["0s", "10s", "5m"]),
    ) {
        let rule = denials(for_duration, cooldown);
        let mut alerts = alerts(&rule);
        let mut naive = Naive { rule, seen: Vec::new() };
        let mut time = 10_000 * SECOND;
        for (step, value, repeats) in steps {
            for _ in 0..repeats {
                time = time.saturating_add_signed(STEPS[step] * 1_000_000);
                let value = VALUES[value];
                let given = value.map_or_else(Given::default, |value| Given::one(AlertMetric::DeniedRate, value));
                alerts.tick(Now::from_wall(WallTime(time)), &given);
                if naive.seen.last().is_none_or(|(last, _)| time.saturating_sub(last.0) >= SECOND) {
                    naive.seen.push((Nanos(time), value));
                }
                prop_assert_eq!(alerts.alerts().next().unwrap().state, naive.state());
            }
        }
        let notices: Vec<_> =
            alerts.notices().since(0).map(|notice| (notice.event, notice.at.0, notice.value)).collect();
        prop_assert_eq!(notices, naive.notices());
    }
}
