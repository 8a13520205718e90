//! Alerts: once for each crossing, and cleared when they are over.

use super::support::{DAY, Small, admit, at, hold, key, of_tenant, of_user, usage, with};
use crate::mode::Mode;
use crate::quota::QuotaId;
use crate::request::Request;
use crate::scope::Kind;

fn of(tenant: &str, cost: u64) -> Request<'_> {
    Request { cost, ..of_tenant(tenant) }
}

fn percents(manager: &Small) -> Vec<u8> {
    manager.notices().since(0).map(|notice| notice.percent).collect()
}

fn raised(manager: &Small, day: u64) -> Vec<(QuotaId, u8)> {
    manager.get_quota_alerts(at(day * DAY)).map(|alert| (alert.quota, alert.percent)).collect()
}

#[test]
fn each_crossing_is_told_once_and_cleared_on_reset() {
    for enforcement in ["hard", "soft"] {
        let (mut manager, ids) =
            with::<64>(&[format!("tenant:acme 1000 daily enforcement={enforcement}").as_str()]);
        let mut step = |cost| {
            assert!(admit(&mut manager, at(0), &of("acme", cost)).is_ok());
            percents(&manager)
        };
        assert_eq!(step(799), []);
        assert_eq!(step(1), [80]);
        assert_eq!(step(149), [80]);
        assert_eq!(step(1), [80, 95]);
        assert_eq!(step(50), [80, 95, 100]);
        assert_eq!(step(0), [80, 95, 100]);
        assert_eq!(raised(&manager, 0), [(ids[0], 100)]);
        let last = *manager.notices().since(2).next().unwrap();
        assert_eq!((last.used, last.capacity, last.at, last.key()), (1000, 1000, at(0).wall, None));
        assert_eq!((last.quota.as_str(), last.mode()), ("tenant:acme/daily", Mode::Enforce));
        assert_eq!(raised(&manager, 1), [], "cleared with the period, also if nobody touched it since");
        assert!(admit(&mut manager, at(DAY), &of("acme", 1000)).is_ok());
        assert_eq!(percents(&manager), [80, 95, 100, 80, 95, 100], "one charge can cross all of them");
        manager.reset_quota(at(DAY), ids[0], None).unwrap();
        assert_eq!(raised(&manager, 1), []);
        assert!(admit(&mut manager, at(DAY), &of("acme", 800)).is_ok());
        assert_eq!(percents(&manager)[6..], [80]);
    }
}

#[test]
fn a_refusal_raises_nothing() {
    let (mut manager, _) = with::<64>(&["tenant:acme 10 daily"]);
    assert!(admit(&mut manager, at(0), &of("acme", 7)).is_ok());
    assert!(admit(&mut manager, at(0), &of("acme", 4)).is_err());
    assert_eq!(percents(&manager), []);
}

#[test]
fn what_is_pending_counts_and_an_alert_stays_when_it_is_given_back() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 daily"]);
    let pending = hold(&mut manager, at(0), &of("acme", 8)).unwrap()[0];
    assert_eq!(percents(&manager), [80]);
    manager.settle(at(0), &pending, 0);
    assert_eq!(raised(&manager, 0), [(ids[0], 80)]);
    assert!(admit(&mut manager, at(0), &of("acme", 8)).is_ok());
    assert_eq!(percents(&manager), [80], "no flapping");
    let pending = hold(&mut manager, at(0), &of("acme", 1)).unwrap()[0];
    manager.settle(at(0), &pending, 2);
    assert_eq!(percents(&manager), [80, 95, 100], "more than was reserved can cross too");
}

#[test]
fn a_change_of_the_limit_ends_alerts_and_raises_others() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily"]);
    assert!(admit(&mut manager, at(0), &of("acme", 85)).is_ok());
    manager.update_limit(at(0), ids[0], 1000).unwrap();
    assert_eq!(raised(&manager, 0), []);
    manager.update_limit(at(0), ids[0], 88).unwrap();
    assert_eq!((percents(&manager), raised(&manager, 0)), (vec![80, 80, 95], vec![(ids[0], 95)]));
    manager.update_limit(at(0), ids[0], 89).unwrap();
    assert_eq!(percents(&manager), [80, 80, 95], "what is still reached is not told again");
    manager.update_limit(at(0), ids[0], 50).unwrap();
    assert_eq!(raised(&manager, 0), [(ids[0], 100)]);
}

#[test]
fn each_key_has_its_own_alerts_and_is_named() {
    let (mut manager, ids) = with::<64>(&["user:* 10 daily", "user:* 5 daily mode=shadow name=trial"]);
    for (user, cost) in [("ann", 9), ("bob", 3)] {
        assert!(admit(&mut manager, at(0), &Request { cost, ..of_user(user) }).is_ok());
    }
    let told: Vec<_> = manager
        .notices()
        .since(0)
        .map(|notice| (notice.quota.as_str(), notice.key().unwrap().as_str(), notice.percent))
        .collect();
    assert_eq!(told, [("user:*/daily", "ann", 80)]);
    let alert = manager.get_quota_alerts(at(0)).next().unwrap();
    assert_eq!((alert.quota, alert.usage.key.unwrap().as_str(), alert.usage.used), (ids[0], "ann", 9));
    assert_eq!(usage(&manager, at(0), ids[1], key(Kind::User, "bob")).used, 3);
    assert!(admit(&mut manager, at(0), &Request { cost: 1, ..of_user("bob") }).is_ok());
    let last = manager.notices().since(1).next().unwrap();
    assert_eq!((last.quota.as_str(), last.mode()), ("trial", Mode::Shadow), "and what is tried says so");
}

#[test]
fn percents_of_large_capacities_are_exact() {
    let (mut manager, _) = with::<64>(&["tenant:acme 18446744073709551615 daily"]);
    // 80 % of 2^64 - 1 are 14757395258967641292 exactly.
    assert!(admit(&mut manager, at(0), &of("acme", 14_757_395_258_967_641_291)).is_ok());
    assert_eq!(percents(&manager), []);
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_ok());
    assert_eq!(percents(&manager), [80]);
}
