//! The fixed capacities, full and beyond.

use super::support::{
    DAY, SECRET, admit, at, hold, key, look, manager, name, of_user, passes, spec, usage, with,
};
use crate::decision::Sharing;
use crate::quota::{ALLOCATIONS_MAX, QuotaError, QuotaManager, QuotaSettled};
use crate::request::Request;
use crate::scope::Kind;
use proptest::prelude::{ProptestConfig, prop, proptest};

#[test]
fn as_many_quotas_fit_as_there_is_room_for_and_no_more() {
    let mut manager = manager::<4>();
    for number in 0..ALLOCATIONS_MAX {
        manager.allocate_quota(&spec(&format!("tenant:t{number} 5 daily"))).unwrap();
    }
    let one_more = spec("tenant:one-more 5 daily");
    assert_eq!(manager.allocate_quota(&one_more), Err(QuotaError::Full));
    assert_eq!(QuotaError::Full.to_string(), "there are 256 quotas already, and no more fit");
    assert_eq!((manager.len(), manager.stats().allocations_max), (256, 256));
    let first = manager.find("tenant:t0/daily").unwrap();
    manager.remove_quota(first).unwrap();
    let id = manager.allocate_quota(&one_more).unwrap();
    assert_eq!(manager.remove_quota(first), Err(QuotaError::UnknownQuota), "its place, and not its handle");
    assert_eq!(manager.allocations().last().unwrap().0, id);
    let request = Request { tenant: Some(name("t255")), ..Request::default() };
    assert_eq!(passes(&mut manager, at(0), &request, 9), 5);
}

#[test]
fn all_quotas_can_match_one_request() {
    let mut manager = manager::<4>();
    for number in 0..ALLOCATIONS_MAX {
        let parent = if number % 8 == 0 { String::new() } else { format!(" parent=q{}", number - 1) };
        manager.allocate_quota(&spec(&format!("user:ann 300 daily name=q{number}{parent}"))).unwrap();
    }
    assert_eq!(hold(&mut manager, at(0), &of_user("ann")).unwrap().len(), ALLOCATIONS_MAX);
    assert_eq!(manager.stats().holds, 256);
}

#[test]
fn keys_beyond_the_table_share_a_strict_counter() {
    let (mut manager, ids) = with::<4>(&["user:* 10 daily"]);
    for user in ["a", "b", "c", "d"] {
        assert_eq!(admit(&mut manager, at(0), &of_user(user)).unwrap().unwrap().shared, Sharing::Own);
    }
    let late = admit(&mut manager, at(0), &of_user("e")).unwrap().unwrap();
    assert_eq!((late.shared, late.remaining()), (Sharing::Overflow, 9));
    assert_eq!(passes(&mut manager, at(0), &of_user("f"), 20), 9, "all of them have what one has");
    assert_eq!(passes(&mut manager, at(0), &of_user("a"), 20), 9, "and who was there before has his own");
    let stats = manager.get_quota_stats(ids[0]).unwrap();
    assert_eq!((stats.keys, stats.overflow_hits, manager.stats().overflow_hits), (4, 21, 21));
    let mut shared = Vec::new();
    manager.usages(at(0), ids[0], |usage| shared.push((usage.key.is_none(), usage.used))).unwrap();
    assert_eq!(shared, [(true, 10), (false, 10), (false, 1), (false, 1), (false, 1)]);
}

#[test]
fn a_key_that_holds_nothing_makes_room() {
    let (mut manager, ids) = with::<4>(&["user:* 10 daily"]);
    for user in ["a", "b", "c", "d"] {
        assert!(admit(&mut manager, at(0), &of_user(user)).is_ok());
    }
    // The next day nothing of them counts any more, but for what is still pending.
    let pending: Vec<_> =
        ["a", "b", "c"].map(|user| hold(&mut manager, at(DAY), &of_user(user)).unwrap()[0]).into();
    assert_eq!(admit(&mut manager, at(DAY), &of_user("e")).unwrap().unwrap().shared, Sharing::Own);
    assert_eq!((manager.stats().evicted, manager.stats().active), (1, 4));
    assert_eq!(usage(&manager, at(DAY), ids[0], key(Kind::User, "d")).began, None);
    let shared = |manager: &mut QuotaManager<4>, user| {
        admit(manager, at(2 * DAY), &of_user(user)).unwrap().unwrap().shared
    };
    assert_eq!(shared(&mut manager, "f"), Sharing::Own, "in the place of e");
    assert_eq!(shared(&mut manager, "g"), Sharing::Overflow, "the others are held");
    for hold in &pending {
        assert_eq!(manager.settle(at(2 * DAY), hold, 1), QuotaSettled::Past);
    }
    assert_eq!(shared(&mut manager, "g"), Sharing::Own);
    assert_eq!(manager.settle(at(2 * DAY), &pending[0], 1), QuotaSettled::Stale, "its key has made room");
}

#[test]
fn a_key_that_something_is_carried_over_for_stays() {
    let (mut manager, ids) = with::<1>(&["user:* 10 daily rollover=10"]);
    assert!(look(&mut manager, at(0), &of_user("a")).is_ok());
    assert!(admit(&mut manager, at(0), &Request { cost: 11, ..of_user("b") }).is_err());
    assert!(admit(&mut manager, at(0), &of_user("a")).is_ok(), "one that was only refused makes room");
    let late = admit(&mut manager, at(9 * DAY), &of_user("b")).unwrap().unwrap();
    assert_eq!(late.shared, Sharing::Overflow);
    assert_eq!(usage(&manager, at(9 * DAY), ids[0], key(Kind::User, "a")).carry, 1);
}

#[test]
fn a_reset_forgets_everything_and_holds_and_handles_with_it() {
    let (mut manager, ids) = with::<4>(&["user:* 10 daily", "tenant:acme 10 daily"]);
    let request = Request { tenant: Some(name("acme")), cost: 9, ..of_user("ann") };
    let held = hold(&mut manager, at(DAY), &request).unwrap();
    manager.reset(SECRET);
    assert!(manager.is_empty());
    let again = manager.allocate_quota(&spec("user:* 10 daily")).unwrap();
    let acme = manager.allocate_quota(&spec("tenant:acme 10 daily")).unwrap();
    assert!(admit(&mut manager, at(0), &request).is_ok(), "also the clock begins anew");
    for hold in &held {
        assert_eq!(manager.settle(at(0), hold, 5), QuotaSettled::Stale);
    }
    assert_eq!(manager.get_quota_stats(ids[0]), Err(QuotaError::UnknownQuota));
    assert_ne!((again, acme), (ids[0], ids[1]));
    assert_eq!(usage(&manager, at(0), again, key(Kind::User, "ann")).used, 9);
    assert_eq!(usage(&manager, at(0), acme, None).used, 9);
}

#[test]
fn a_tick_changes_nothing_that_can_be_seen() {
    let (mut manager, ids) = with::<4>(&["user:* 10 daily rollover=10", "tenant:acme 10 hourly"]);
    assert!(
        admit(&mut manager, at(0), &Request { tenant: Some(name("acme")), cost: 9, ..of_user("ann") })
            .is_ok()
    );
    let ann = key(Kind::User, "ann");
    let seen = |manager: &QuotaManager<4>| {
        (usage(manager, at(DAY), ids[0], ann), usage(manager, at(DAY), ids[1], None))
    };
    let before = seen(&manager);
    for _ in 0..20 {
        manager.tick(at(DAY));
    }
    assert_eq!(seen(&manager), before);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    /// In a table that is full most of the time.
    #[test]
    fn a_look_says_what_the_charge_will(steps in prop::collection::vec((0..7usize, 0..3usize, 0..4u64, 0..30u64, 0..5u8), 1..80)) {
        let (mut manager, _) = with::<3>(&[
            "tenant:* 9 daily",
            "user:* 5 hourly parent=tenant:*/daily",
            "user:* 4 daily unit=tokens",
            "user:* 3 daily name=trial mode=shadow",
        ]);
        let users = ["a", "b", "c", "d", "e", "f"];
        let (mut now, mut pending) = (0, Vec::new());
        for (user, tenant, cost, hours, action) in steps {
            now += if hours < 20 { 0 } else { hours * 3600 * super::support::SECOND };
            let request = Request {
                user: users.get(user).map(|user| name(user)),
                tenant: users.get(tenant).map(|tenant| name(tenant)),
                cost,
                tokens: cost,
                ..Request::default()
            };
            let looked = look(&mut manager, at(now), &request);
            if action == 0 {
                match hold(&mut manager, at(now), &request) {
                    Ok(holds) => {
                        assert!(looked.is_ok());
                        pending.extend(holds);
                    }
                    Err(refusal) => assert_eq!(looked, Err(refusal)),
                }
            } else {
                let decided = admit(&mut manager, at(now), &request);
                match (looked, decided) {
                    (Ok(looked), Ok(decided)) => {
                        let what = |standing: crate::quota::QuotaStanding| (standing.id, standing.capacity, standing.period_end, standing.shared);
                        assert_eq!(looked.map(what), decided.map(what));
                        let used = |standing: crate::quota::QuotaStanding| standing.used + standing.reserved;
                        assert_eq!(looked.map(|standing| used(standing) + cost), decided.map(used));
                    }
                    (looked, decided) => assert_eq!(looked, decided),
                }
            }
            if action == 4 && let Some(held) = pending.pop() {
                manager.settle(at(now), &held, cost);
            }
        }
    }
}
