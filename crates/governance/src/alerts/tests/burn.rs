use super::{Given, SECOND, at, rule};
use crate::alerts::burn::Slo;
use crate::alerts::{
    AlertBound, AlertError, AlertEvent, AlertRule, AlertState, BurnWindows, GovernanceAlerts, SLOS_MAX,
    SloEvent,
};
use crate::scope::{HashSecret, KeyHash, KeyName, Kind};
use crate::time::Instant;
use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};

const SECRET: HashSecret = HashSecret::from_seed(7);

fn service(name: &str) -> KeyHash {
    SECRET.hash(Kind::Service, KeyName::parse(Kind::Service, name).unwrap())
}

fn objective(name: &str, scope: Option<&str>) -> AlertRule {
    let mut fields =
        vec![("name", name), ("metric", "burn-rate"), ("objective", "99.9%"), ("cooldown", "0s")];
    fields.extend(scope.map(|scope| ("scope", scope)));
    rule(&fields)
}

fn slo() -> GovernanceAlerts {
    let mut alerts = GovernanceAlerts::new();
    alerts.set_secret(SECRET);
    alerts.define_alert(&objective("slo", None)).unwrap();
    alerts
}

/// A minute of so many outcomes, and three looks at the rules at its end.
fn minute(alerts: &mut GovernanceAlerts, minute: u64, good: u32, bad: u32) -> AlertState {
    let now = at(minute * 60 + 30);
    (0..good).for_each(|_| alerts.record(now.instant, None, SloEvent::Good));
    (0..bad).for_each(|_| alerts.record(now.instant, None, SloEvent::Bad));
    for second in 57..60 {
        alerts.tick(at(minute * 60 + second), &Given::default());
    }
    alerts.alerts().next().unwrap().state
}

fn events(alerts: &GovernanceAlerts) -> Vec<(AlertEvent, BurnWindows)> {
    let windows = |bound| match bound {
        AlertBound::Burn(windows) => windows,
        other => panic!("{other:?}"),
    };
    alerts.notices().since(0).map(|notice| (notice.event, windows(notice.bound))).collect()
}

#[test]
fn a_sudden_failure_is_told_in_its_first_minute() {
    let mut alerts = slo();
    for number in 0..60 {
        assert_eq!(minute(&mut alerts, number, 100, 0), AlertState::Quiet);
    }
    assert_eq!(minute(&mut alerts, 60, 0, 100), AlertState::Firing);
    assert_eq!(alerts.get_pending_alerts().next().unwrap().bound, AlertBound::Burn(BurnWindows::Hour));
    for number in 61..66 {
        minute(&mut alerts, number, 100, 0);
    }
    assert_eq!(events(&alerts), [(AlertEvent::Fired, BurnWindows::Hour)]);
    // It is over when the short windows of the slower pairs are good again too.
    for number in 66..66 + 8 * 60 {
        minute(&mut alerts, number, 100, 0);
    }
    assert_eq!(alerts.alerts().next().unwrap().state, AlertState::Quiet);
    assert_eq!(events(&alerts).len(), 2);
    assert_eq!(
        alerts.notices().since(0).next().unwrap().to_string(),
        "slo fired: burn-rate 16.666x is above 14.4x over 1h and 5m"
    );
}

#[test]
fn a_slow_leak_is_told_and_escalates_when_it_grows() {
    let mut alerts = slo();
    for number in 0..600 {
        minute(&mut alerts, number, 499, 1);
    }
    assert_eq!(events(&alerts), [(AlertEvent::Fired, BurnWindows::ThreeDays)]);
    for number in 600..700 {
        minute(&mut alerts, number, 400, 100);
    }
    let told = events(&alerts);
    assert_eq!(told[0], (AlertEvent::Fired, BurnWindows::ThreeDays));
    assert!(told[1..].iter().all(|(event, _)| *event == AlertEvent::Escalated), "{told:?}");
    assert_eq!(told.last(), Some(&(AlertEvent::Escalated, BurnWindows::Hour)));
    assert!(told.len() <= 3);
}

#[test]
fn a_few_outcomes_say_nothing() {
    let mut alerts = slo();
    for number in 0..19 {
        assert_eq!(minute(&mut alerts, number, 0, 1), AlertState::Quiet);
    }
    assert_eq!(minute(&mut alerts, 19, 0, 1), AlertState::Firing);
}

#[test]
fn silence_after_a_failure_does_not_resolve_it() {
    const DAYS: u64 = 6 * 24 * 60;
    let mut alerts = slo();
    minute(&mut alerts, 0, 0, 100);
    for number in 1..DAYS {
        assert_eq!(minute(&mut alerts, number, 0, 0), AlertState::Firing, "{number}");
    }
    // A good one does, once it is all that is known.
    assert_eq!(minute(&mut alerts, DAYS, 1, 0), AlertState::Quiet);
}

#[test]
fn an_objective_counts_its_own_service_and_that_of_all_every_one() {
    let mut alerts = slo();
    let names: Vec<_> = (1..SLOS_MAX).map(|number| format!("service-{number}")).collect();
    for name in &names {
        alerts.define_alert(&objective(name, Some(&format!("service:{name}")))).unwrap();
    }
    let one_more = objective("one more", Some("service:x"));
    assert_eq!(alerts.define_alert(&one_more), Err(AlertError::ObjectivesFull));
    let failing = service(&names[4]);
    for _ in 0..100 {
        names.iter().for_each(|name| alerts.record(Instant(SECOND), Some(service(name)), SloEvent::Good));
        alerts.record(Instant(SECOND), Some(service("unknown")), SloEvent::Good);
        alerts.record(Instant(SECOND), Some(failing), SloEvent::Bad);
    }
    alerts.tick(at(2), &Given::default());
    let firing: Vec<_> = alerts.get_pending_alerts().map(|view| view.rule.name.to_string()).collect();
    assert_eq!(firing, ["slo", "service-5"]);
    // An objective that goes leaves the others where they are found.
    for name in names.iter().filter(|name| **name != names[4]) {
        alerts.remove_alert(name).unwrap();
    }
    alerts.remove_alert("slo").unwrap();
    (0..200_000).for_each(|_| alerts.record(Instant(3 * SECOND), Some(failing), SloEvent::Good));
    alerts.record(Instant(3 * SECOND), Some(service(&names[1])), SloEvent::Bad);
    assert_eq!(alerts.get_pending_alerts().count(), 1);
    (4..7).for_each(|second| alerts.tick(at(second), &Given::default()));
    assert_eq!((alerts.stats().objectives, alerts.get_pending_alerts().count()), (1, 0));
}

/// The same from a log of every event, whose windows are counted event by event.
struct Naive {
    events: Vec<(u64, SloEvent)>,
    minute: u64,
    /// Whether each pair was lit when it could be told last.
    known: [bool; 3],
}

impl Naive {
    /// All events and the bad ones of the last `count` slots of so many minutes.
    fn sum(&self, length: u64, count: u64) -> (u128, u128) {
        let present = self.minute / length;
        let inside = self.events.iter().filter(|(minute, _)| minute / length + count > present);
        let bad = inside.clone().filter(|(_, event)| *event == SloEvent::Bad);
        (inside.count() as u128, bad.count() as u128)
    }

    fn evaluate(&mut self, allowed_ppm: u128) -> Option<bool> {
        let pairs = [(144, (1, 60), (1, 5)), (60, (5, 72), (5, 6)), (10, (60, 72), (5, 72))];
        let mut told = [None; 3];
        for (told, (burn_tenths, long, short)) in told.iter_mut().zip(pairs) {
            let sums = [self.sum(long.0, long.1), self.sum(short.0, short.1)];
            let is_fast = |(all, bad): (u128, u128)| bad * 10_000_000 > burn_tenths * allowed_ppm * all;
            *told = if sums.iter().any(|sum| sum.0 > 0 && !is_fast(*sum)) {
                Some(false)
            } else if sums[1].0 > 0 && sums[0].0 >= 20 {
                Some(true)
            } else {
                None
            };
        }
        for (known, told) in self.known.iter_mut().zip(told) {
            *known = told.unwrap_or(*known);
        }
        if told.contains(&Some(true)) {
            Some(true)
        } else if self.known.contains(&true) || told == [None; 3] {
            None
        } else {
            Some(false)
        }
    }
}

/// Steps of time in minutes.
const STEPS: [i64; 10] = [0, 1, 1, 2, 7, 40, 200, 1500, 5000, -3];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn equals_a_log_of_all_events(
        steps in prop::collection::vec((0..STEPS.len(), 0..30_u32, 0..6_u32), 1..80),
        objective_ppm in prop::sample::select(vec![500_000_u32, 900_000, 990_000, 999_000, 999_999]),
    ) {
        let mut slo = Slo::EMPTY;
        let mut naive = Naive { events: Vec::new(), minute: 0, known: [false; 3] };
        let mut minute = 0_u64;
        for (step, good, bad) in steps {
            minute = minute.saturating_add_signed(STEPS[step]);
            // A clock that goes back counts into the present.
            naive.minute = naive.minute.max(minute);
            let now = Instant(minute * 60 * SECOND + 59);
            for (count, event) in [(good.saturating_sub(8), SloEvent::Good), (bad, SloEvent::Bad)] {
                for _ in 0..count {
                    slo.record(now, event);
                    naive.events.push((naive.minute, event));
                }
            }
            let reading = slo.evaluate(now, objective_ppm);
            prop_assert_eq!(reading.is_burning, naive.evaluate((1_000_000 - objective_ppm).into()));
            if reading.is_burning == Some(true) {
                assert!(reading.burn_milli >= reading.windows.burn_milli());
            }
        }
    }
}
