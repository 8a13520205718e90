//! Quotas on what becomes of requests: errors, and the latency of the slowest in a hundred.

use super::support::{SECOND, Small, admit, amounts, at, hold, look, name, of_user, usage, with};
use crate::decision::{Reason, Wait};
use crate::quota::{Depletion, Observation, P99_SAMPLES_MIN, QuotaError, QuotaHold, QuotaSettled, QuotaUnit};
use crate::rate_limiter::Access;
use crate::request::{Request, Subject};
use crate::time::{Nanos, Now};
use proptest::prelude::{ProptestConfig, prop, proptest};

fn web() -> Request<'static> {
    Request { service: Some(name("web")), ..Request::default() }
}

/// A request that is told its outcome, if it may be made.
fn ask(manager: &mut Small, now: Now) -> Option<QuotaHold> {
    let (request, mut found) = (web(), None);
    let subject = Subject { request: &request, group: None };
    let clearance = manager.check(now, &subject, &amounts(&request), Access::Charge).ok()?;
    assert!(clearance.needs_ticket());
    assert_eq!(clearance.observers(), 1);
    manager.charge_observed(clearance, &mut |hold| assert_eq!(found.replace(hold), None));
    found
}

fn error(is_error: bool) -> Observation {
    Observation { is_error, latency_ms: None }
}

fn took(latency_ms: u64) -> Observation {
    Observation { is_error: false, latency_ms: Some(latency_ms) }
}

#[test]
fn requests_are_refused_once_there_are_as_many_errors_as_the_limit() {
    let (mut manager, ids) = with::<64>(&["service:web 2 1m unit=errors"]);
    let now = at(10 * SECOND);
    for is_error in [false, true, false, true] {
        let hold = ask(&mut manager, now).unwrap();
        assert_eq!((hold.unit(), hold.amount()), (QuotaUnit::Errors, 0));
        assert_eq!(manager.observe(now, &hold, &error(is_error)), QuotaSettled::Present);
    }
    let refused = admit(&mut manager, now, &Request { cost: 0, ..web() }).unwrap_err();
    assert_eq!((refused.reason, refused.retry), (Reason::OverQuota, Wait::For(Nanos(50 * SECOND))));
    assert_eq!((refused.quota.used, refused.quota.capacity), (2, 2));
    let status = usage(&manager, now, ids[0], None);
    assert_eq!((status.requests, status.alert, status.holds), (4, Some(100), 0));
    assert!(look(&mut manager, at(60 * SECOND), &web()).is_ok(), "another minute, another chance");
    assert_eq!(manager.consume_quota(now, ids[0], None, 1), Err(QuotaError::Observed));
}

#[test]
fn an_error_counts_when_it_is_told_and_not_when_the_request_was_made() {
    let (mut manager, ids) = with::<64>(&["service:web 2 1m unit=errors"]);
    let slow: Vec<_> = (0..3).map(|_| ask(&mut manager, at(0)).unwrap()).collect();
    let now = at(90 * SECOND);
    for hold in &slow[..2] {
        manager.observe(now, hold, &error(true));
    }
    assert!(ask(&mut manager, now).is_none());
    assert_eq!(manager.settle(now, &slow[2], 0), QuotaSettled::Present, "given back, and nothing counted");
    let status = usage(&manager, now, ids[0], None);
    assert_eq!((status.used, status.requests, status.holds), (2, 2, 0));
}

#[test]
fn a_soft_quota_on_errors_raises_alerts_and_refuses_nothing() {
    let (mut manager, ids) = with::<64>(&["service:web 1 1m unit=errors enforcement=soft"]);
    for _ in 0..3 {
        let hold = ask(&mut manager, at(0)).unwrap();
        manager.observe(at(0), &hold, &error(true));
    }
    assert_eq!(manager.notices().since(0).map(|notice| notice.percent).collect::<Vec<_>>(), [80, 95, 100]);
    assert_eq!(manager.get_quota_stats(ids[0]).unwrap().passed_over, 2);
}

#[test]
fn a_reservation_is_held_beside_the_outcome() {
    let (mut manager, ids) = with::<64>(&["service:web 5 1m unit=errors", "service:web 100 1m unit=tokens"]);
    let held = hold(&mut manager, at(0), &Request { tokens: 40, ..web() }).unwrap();
    let units: Vec<_> = held.iter().map(QuotaHold::unit).collect();
    assert_eq!(units, [QuotaUnit::Errors, QuotaUnit::Tokens]);
    manager.observe(at(0), &held[0], &error(true));
    assert_eq!(manager.observe(at(0), &held[1], &error(true)), QuotaSettled::Present);
    assert_eq!(usage(&manager, at(0), ids[1], None).used, 40, "of another unit: with what it has reserved");
}

#[test]
fn fewer_than_a_hundred_samples_refuse_nothing() {
    let (mut manager, ids) = with::<64>(&["service:web 200 1m unit=latency-p99"]);
    for _ in 1..P99_SAMPLES_MIN {
        let hold = ask(&mut manager, at(0)).unwrap();
        manager.observe(at(0), &hold, &took(201));
    }
    let hold = ask(&mut manager, at(0)).unwrap();
    assert_eq!(manager.estimate_depletion(at(0), ids[0], None), Ok(Depletion::NotAtThisRate));
    manager.observe(at(0), &hold, &Observation::default());
    let hold = ask(&mut manager, at(0)).expect("nobody has timed the last one");
    manager.observe(at(0), &hold, &took(200));
    let refused = admit(&mut manager, at(0), &web()).unwrap_err();
    assert_eq!((refused.quota.used, refused.quota.capacity), (99, 1), "one of a hundred may be slower");
    assert_eq!(refused.retry, Wait::For(Nanos(60 * SECOND)));
    assert_eq!(manager.estimate_depletion(at(0), ids[0], None), Ok(Depletion::Depleted));
    assert_eq!(manager.notices().since(0).map(|notice| notice.percent).collect::<Vec<_>>(), [100]);
    assert!(ask(&mut manager, at(60 * SECOND)).is_some());
}

#[test]
fn outcomes_of_a_family_are_told_to_each_of_it() {
    let (mut manager, ids) = with::<64>(&[
        "service:web 5 1h unit=errors",
        "user:* 2 1m unit=errors parent=service:web/hourly#errors",
    ]);
    let held = hold(&mut manager, at(0), &of_user("ann")).unwrap();
    for hold in &held {
        manager.observe(at(0), hold, &error(true));
    }
    assert_eq!((held.len(), usage(&manager, at(0), ids[0], None).used), (2, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn the_99th_percentile_of_all_samples_decides(
        limit in 1..12u64,
        slow_in in 20..200u64,
        latencies in prop::collection::vec(0..4000u64, 90..420),
    ) {
        let (mut manager, ids) = with::<64>(&[format!("service:web {limit} 1d unit=latency-p99 enforcement=soft").as_str()]);
        let mut samples = Vec::new();
        for number in latencies {
            // Few are slow, so that the percentile crosses the limit back and forth.
            let latency = if number % slow_in == 0 { limit + 1 + number % 3 } else { number % (limit + 1) };
            let hold = ask(&mut manager, at(0)).unwrap();
            manager.observe(at(0), &hold, &took(latency));
            samples.push(latency);
            samples.sort_unstable();
            let rank = (99 * samples.len()).div_ceil(100);
            let is_over = samples.len() >= 100 && samples[rank - 1] > limit;
            let is_depleted = manager.estimate_depletion(at(1), ids[0], None) == Ok(Depletion::Depleted);
            assert_eq!(is_depleted, is_over, "{} samples", samples.len());
        }
    }
}
