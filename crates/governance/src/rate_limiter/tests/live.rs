//! What operators do while requests go on.

use super::support::{
    SECOND, at, fixed, governor, governor_with, key, log, name, named, of_user, passes, remaining,
    retry_nanos, sliding, spec, token_bucket, web,
};
use crate::config::Config;
use crate::decision::Reason;
use crate::governor::Governor;
use crate::limit::{LimitSpec, LimitState, RateLimitAlgorithm};
use crate::rate_limiter::{LimitClass, LimitError, OTHER_LIMITS_MAX, SERVICE_LIMITS_MAX, USER_LIMITS_MAX};
use crate::request::{Request, Unit};
use crate::scope::Kind;
use crate::time::Nanos;

type Small = Governor<64, 64>;

fn config(specs: &[LimitSpec]) -> Box<Config> {
    let mut config = Box::new(Config::new());
    for spec in specs {
        config.add_limit(spec).unwrap();
    }
    config
}

fn left(governor: &mut Small, limit: &str, user: Option<&str>) -> u64 {
    let id = governor.limits.find(limit).unwrap();
    let key = user.and_then(|user| key(Kind::User, user));
    governor.limits.get_tokens(at(0), id, key).unwrap()
}

#[test]
fn a_change_of_rate_is_no_refill() {
    let (mut governor, id) = governor_with(token_bucket(10, "1/s"));
    assert_eq!(passes(&mut governor, 0, &web(1), 7), 7);
    governor.limits.update_rate(at(0), id, "100/1s".parse().unwrap()).unwrap();
    assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(3), "7 are still used");
    // 0.65 of 1 s is used up at 100/s: at 5/1m what is left of the token is rounded up.
    governor.limits.update_rate(at(SECOND / 1000 * 65), id, "5/1m".parse().unwrap()).unwrap();
    assert_eq!(governor.limits.get_tokens(at(SECOND / 1000 * 65), id, None), Ok(9));
    let refused = governor.admit(at(SECOND / 1000 * 65), &web(10));
    assert_eq!(refused.retry, retry_nanos(12 * SECOND), "one whole token at 5/1m");
}

#[test]
fn a_smaller_capacity_keeps_what_was_used_and_no_more_than_that() {
    for algorithm in
        [token_bucket as fn(u64, &str) -> _, |limit, _| fixed(limit, "1h"), |limit, _| log(limit, "1h")]
    {
        let (mut governor, id) = governor_with(algorithm(10, "1/1h"));
        assert_eq!(passes(&mut governor, 0, &web(1), 6), 6);
        let resize = |governor: &mut Governor<16, 64>, capacity| {
            let changed = spec("service:web", algorithm(capacity, "1/1h"));
            governor.limits.update(at(0), id, &changed).unwrap();
            governor.limits.get_tokens(at(0), id, None).unwrap()
        };
        assert_eq!(resize(&mut governor, 20), 14);
        assert_eq!(resize(&mut governor, 7), 1);
        assert_eq!(resize(&mut governor, 6), 0);
        assert_eq!(resize(&mut governor, 5), 0, "credit is never negative");
        assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::OverLimit);
    }
}

#[test]
fn a_change_of_algorithm_keeps_what_was_used() {
    let algorithms = [
        token_bucket(10, "1/1h"),
        fixed(10, "1h"),
        sliding(10, "1h"),
        log(10, "1h"),
        fixed(10, "2h"),
        sliding(10, "3h"),
    ];
    for from in algorithms {
        for to in algorithms {
            let (mut governor, id) = governor_with(from);
            assert_eq!(passes(&mut governor, 0, &web(1), 4), 4);
            governor.limits.update(at(0), id, &spec("service:web", to)).unwrap();
            assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(6), "{from:?} to {to:?}");
            assert_eq!(passes(&mut governor, 0, &web(1), 20), 6);
            let entries = governor.limits.table_stats().log_entries;
            assert_eq!(entries, usize::from(matches!(to, RateLimitAlgorithm::SlidingLog(_))));
        }
    }
}

#[test]
fn a_ban_and_its_end_and_unlimited_and_its_end() {
    let (mut governor, id) = governor_with(token_bucket(3, "1/1h"));
    assert_eq!(passes(&mut governor, 0, &web(1), 2), 2);
    let set = |governor: &mut Governor<16, 64>, algorithm| {
        governor.limits.update(at(0), id, &spec("service:web", algorithm)).unwrap();
    };
    set(&mut governor, RateLimitAlgorithm::Ban);
    assert_eq!(governor.admit(at(0), &web(0)).reason, Reason::Banned);
    assert_eq!(governor.limits.get_tokens(at(0), id, None), Err(LimitError::NoBucket));
    set(&mut governor, RateLimitAlgorithm::Unlimited);
    assert!(governor.admit(at(0), &web(u64::MAX)).is_allowed());
    set(&mut governor, token_bucket(3, "1/1h"));
    assert!(passes(&mut governor, 0, &web(1), 9) <= 3);
    assert_eq!(governor.limits.get_limit_stats(id).unwrap().allowed, 2 + 1 + 3);
}

#[test]
fn what_cannot_be_changed_is_named_and_stays() {
    let mut governor: Box<Small> = governor();
    let id = governor.limits.add(&spec("user:*", token_bucket(3, "1/1h"))).unwrap();
    governor.limits.add(&spec("service:web", fixed(3, "1h"))).unwrap();
    assert!(governor.admit(at(0), &of_user("ann")).is_allowed());
    let other_scope = spec("user:ann", token_bucket(3, "1/1h"));
    assert_eq!(governor.limits.update(at(0), id, &other_scope), Err(LimitError::FixedField));
    let other_unit = LimitSpec { unit: Unit::Bytes, ..spec("user:*", token_bucket(3, "1/1h")) };
    assert_eq!(governor.limits.update(at(0), id, &other_unit), Err(LimitError::FixedField));
    let taken = named("service:web", "user:*", token_bucket(3, "1/1h"));
    assert_eq!(governor.limits.update(at(0), id, &taken), Err(LimitError::DuplicateName));
    assert_eq!(governor.limits.add(&taken), Err(LimitError::DuplicateName));
    assert_eq!(left(&mut governor, "user:*", Some("ann")), 2);
    governor.limits.update(at(0), id, &named("people", "user:*", token_bucket(3, "1/1h"))).unwrap();
    assert_eq!(left(&mut governor, "people", Some("ann")), 2, "a new name is no new limit");
}

#[test]
fn disabling_and_enabling_keeps_what_was_used() {
    let (mut governor, id) = governor_with(token_bucket(2, "1/1h"));
    assert_eq!(passes(&mut governor, 0, &web(1), 9), 2);
    governor.limits.set_state(id, LimitState::Disabled).unwrap();
    assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::NoLimit);
    governor.limits.set_state(id, LimitState::Enabled).unwrap();
    assert_eq!(governor.admit(at(0), &web(1)).retry, retry_nanos(3600 * SECOND));
}

#[test]
fn reset_drain_and_refund_do_what_they_say_to_one_key_or_to_all() {
    for algorithm in [token_bucket(10, "1/1h"), fixed(10, "1h"), sliding(10, "1h"), log(10, "1h")] {
        let mut governor: Box<Small> = governor();
        let id = governor.limits.add(&spec("user:*", algorithm)).unwrap();
        for user in ["a", "b", "c"] {
            assert_eq!(passes(&mut governor, 0, &of_user(user), 4), 4);
        }
        let user = |user| key(Kind::User, user);
        assert_eq!(governor.limits.reset_bucket(id, user("a")), Ok(1));
        assert_eq!(governor.limits.drain_bucket(at(0), id, user("b")), Ok(1));
        assert_eq!(governor.limits.refund(at(0), id, user("c"), 3), Ok(9));
        assert_eq!(governor.limits.refund(at(0), id, user("c"), u64::MAX), Ok(10), "no more than was used");
        let now: Vec<_> = ["a", "b", "c"].map(|user| left(&mut governor, "user:*", Some(user))).into();
        assert_eq!(now, [10, 0, 10], "{algorithm:?}");
        assert_eq!(governor.limits.drain_bucket(at(0), id, None), Ok(3));
        assert!(["a", "b", "c"].iter().all(|user| !governor.admit(at(0), &of_user(user)).is_allowed()));
        assert_eq!(governor.limits.reset_bucket(id, None), Ok(3));
        assert!(["a", "b", "c"].iter().all(|user| governor.admit(at(0), &of_user(user)).is_allowed()));
        assert_eq!(governor.limits.reset_bucket(id, user("nobody")), Err(LimitError::UnknownKey));
        assert_eq!(governor.limits.refund(at(0), id, None, 1), Err(LimitError::KeyNeeded));
        assert_eq!(governor.limits.get_tokens(at(0), id, user("nobody")), Ok(10), "a key unknown is full");
        assert_eq!(governor.limits.table_stats().keys, 3);
    }
}

#[test]
fn an_exact_limit_takes_no_key_and_an_unknown_one_is_named() {
    let (mut governor, id) = governor_with(token_bucket(2, "1/1h"));
    assert_eq!(governor.limits.reset_bucket(id, key(Kind::User, "x")), Err(LimitError::NoKeys));
    governor.limits.remove(id).unwrap();
    assert_eq!(governor.limits.remove(id), Err(LimitError::UnknownLimit));
    assert_eq!(governor.limits.get_tokens(at(0), id, None), Err(LimitError::UnknownLimit));
    assert_eq!(governor.limits.get_limit_stats(id), Err(LimitError::UnknownLimit));
    assert_eq!(governor.limits.set_state(id, LimitState::Disabled), Err(LimitError::UnknownLimit));
    assert_eq!(governor.limits.handle_burst(at(0), id, None, 1, Nanos(1)), Err(LimitError::UnknownLimit));
    assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::NoLimit);
}

#[test]
fn a_removed_limit_leaves_nothing_to_the_next_of_its_number() {
    let mut governor: Box<Small> = governor();
    for algorithm in [token_bucket(2, "1/1h"), fixed(2, "1h"), log(2, "1h")] {
        let id = governor.limits.add(&spec("user:*", algorithm)).unwrap();
        for user in 0..20 {
            assert_eq!(passes(&mut governor, 0, &of_user(&format!("user{user}")), 9), 2);
        }
        governor.limits.handle_burst(at(0), id, key(Kind::User, "user1"), 5, Nanos(SECOND)).unwrap();
        governor.limits.remove(id).unwrap();
        let table = governor.limits.table_stats();
        assert_eq!((table.keys, table.log_entries, table.grants), (0, 0, 0));
        assert_eq!(governor.limits.add(&spec("user:*", algorithm)), Ok(id), "the number is used again");
        assert_eq!(governor.limits.get_limit_stats(id).unwrap(), Default::default());
        assert_eq!(left(&mut governor, "user:*", Some("user1")), 2);
        assert_eq!(passes(&mut governor, 0, &of_user("user1"), 9), 2);
        governor.limits.remove(id).unwrap();
    }
}

#[test]
fn a_configuration_keeps_what_did_not_change() {
    let mut governor: Box<Small> = governor();
    let (users, web_limit) = (spec("user:*", token_bucket(5, "1/1h")), spec("service:web", fixed(9, "1h")));
    let dropped = spec("tenant:*", token_bucket(5, "1/1h"));
    governor.configure(at(0), &config(&[users, web_limit, dropped])).unwrap();
    let request = Request { user: Some(name("ann")), tenant: Some(name("acme")), ..web(1) };
    assert_eq!(passes(&mut governor, 0, &request, 3), 3);
    // Changed, reordered, one removed, one added.
    let smaller = spec("user:*", token_bucket(4, "2/1h"));
    let added = spec("user:ann", token_bucket(100, "1/1h"));
    let bytes = LimitSpec { unit: Unit::Bytes, ..named("tenant:*", "tenant:*", token_bucket(5, "1/1h")) };
    governor.configure(at(0), &config(&[web_limit, added, smaller, bytes])).unwrap();
    let names: Vec<_> = governor.limits.limits().map(|(_, spec)| spec.name.to_string()).collect();
    assert_eq!(names, ["service:web", "user:ann", "user:*", "tenant:*"]);
    assert_eq!(left(&mut governor, "service:web", None), 6, "not changed");
    assert_eq!(left(&mut governor, "user:*", Some("ann")), 1, "changed in place: 3 of 4 are used");
    assert_eq!(left(&mut governor, "user:ann", None), 100);
    let stats = |governor: &Small, limit| {
        governor.limits.get_limit_stats(governor.limits.find(limit).unwrap()).unwrap()
    };
    assert_eq!(stats(&governor, "service:web").allowed, 3);
    assert_eq!(stats(&governor, "user:*").allowed, 3);
    assert_eq!(
        (stats(&governor, "tenant:*").allowed, stats(&governor, "tenant:*").keys),
        (0, 0),
        "another unit"
    );
    assert_eq!(remaining(&governor.admit(at(0), &request)), 5, "the service speaks: 5/9");
    assert_eq!(governor.limits.table_stats().keys, 2, "ann of user:*, acme of the new tenant:*");
    governor.configure(at(0), &config(&[])).unwrap();
    assert!(governor.limits.is_empty());
    assert_eq!(governor.limits.table_stats().keys, 0);
    assert_eq!(governor.counters().requests, 4, "decisions are counted on");
}

#[test]
fn a_configuration_that_was_disabled_and_comes_back_keeps_its_use() {
    let mut governor: Box<Small> = governor();
    let limit = spec("service:web", token_bucket(3, "1/1h"));
    governor.configure(at(0), &config(&[limit])).unwrap();
    assert_eq!(passes(&mut governor, 0, &web(1), 2), 2);
    governor.configure(at(0), &config(&[LimitSpec { state: LimitState::Disabled, ..limit }])).unwrap();
    assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::NoLimit);
    governor.configure(at(0), &config(&[limit])).unwrap();
    assert_eq!(passes(&mut governor, 0, &web(1), 9), 1);
}

#[test]
fn the_configuration_in_force_is_what_a_replay_takes_over() {
    let mut governor: Box<Small> = governor();
    governor.limits.add(&spec("user:*", token_bucket(2, "1/1h"))).unwrap();
    assert_eq!(passes(&mut governor, 0, &of_user("ann"), 9), 2);
    let mut replay: Box<Governor<8, 8>> = super::support::governor();
    replay.configure_like(&governor).unwrap();
    assert_eq!(passes(&mut replay, 0, &of_user("ann"), 9), 2, "with empty counters");
    assert_eq!(left(&mut governor, "user:*", Some("ann")), 0, "and of its own");
    replay.reset(super::support::SECRET);
    replay.configure_like(&governor).unwrap();
    assert_eq!(replay.counters().requests, 0);
    assert_eq!(passes(&mut replay, 0, &of_user("ann"), 9), 2);
}

#[test]
fn one_limit_more_than_fit_into_a_class_is_refused_by_name() {
    let mut governor: Box<Small> = governor();
    for (kinds, capacity, class) in [
        (&["service"][..], SERVICE_LIMITS_MAX, LimitClass::Service),
        (&["user"], USER_LIMITS_MAX, LimitClass::User),
        (&["tenant", "ip", "group"], OTHER_LIMITS_MAX, LimitClass::Other),
    ] {
        let nth = |index: usize| {
            let kind = kinds[index % kinds.len()];
            let name = if kind == "ip" {
                format!("10.0.{}.{}", index / 256, index % 256)
            } else {
                index.to_string()
            };
            spec(&format!("{kind}:{name}"), token_bucket(1, "1/1h"))
        };
        for index in 0..capacity {
            governor.limits.add(&nth(index)).unwrap();
        }
        let refused = governor.limits.add(&nth(capacity));
        assert_eq!(refused, Err(LimitError::Full { class }));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(&capacity.to_string()), "{text}");
    }
    assert_eq!(governor.limits.len(), SERVICE_LIMITS_MAX + USER_LIMITS_MAX + OTHER_LIMITS_MAX);
    // Each of them is found, the last of a class like the first.
    for user in ["0", "511"] {
        assert_eq!(passes(&mut governor, 0, &of_user(user), 5), 1);
    }
    let id = governor.limits.find("user:7").unwrap();
    governor.limits.remove(id).unwrap();
    assert_eq!(governor.limits.add(&spec("user:new", token_bucket(1, "1/1h"))), Ok(id));
    assert_eq!(governor.admit(at(0), &of_user("7")).reason, Reason::NoLimit);
    assert_eq!(passes(&mut governor, 0, &of_user("new"), 5), 1);
}

#[test]
fn every_limit_of_a_full_registry_can_match_one_request() {
    let mut governor: Box<Small> = governor();
    for index in 0..USER_LIMITS_MAX {
        let limit = token_bucket(1000 + index as u64, "1/1h");
        governor.limits.add(&named(&format!("limit{index}"), "user:ann", limit)).unwrap();
    }
    let allowed = governor.admit(at(0), &of_user("ann"));
    assert_eq!(governor.limits.find("limit0"), allowed.limit.map(|standing| standing.limit));
    assert_eq!(
        governor.admit(at(0), &Request { cost: 1200, ..of_user("ann") }).reason,
        Reason::CostAboveCapacity
    );
    assert!(
        governor.limits.limits().all(|(id, _)| governor.limits.get_limit_stats(id).unwrap().allowed == 1)
    );
}

#[test]
fn a_governor_that_is_reset_knows_nothing() {
    let mut governor: Box<Small> = governor();
    let id = governor.limits.add(&spec("user:*", log(2, "1h"))).unwrap();
    governor.limits.handle_burst(at(5), id, key(Kind::User, "ann"), 1, Nanos(SECOND)).unwrap();
    assert_eq!(passes(&mut governor, 5 * SECOND, &of_user("ann"), 9), 2);
    governor.reset(super::support::SECRET);
    assert!(governor.limits.is_empty());
    assert_eq!(governor.counters(), Default::default());
    let table = governor.limits.table_stats();
    assert_eq!((table.keys, table.log_entries, table.grants), (0, 0, 0));
    governor.limits.add(&spec("user:*", log(2, "1h"))).unwrap();
    assert_eq!(passes(&mut governor, 0, &of_user("ann"), 9), 2, "the clock may begin again");
    let refused = governor.admit(at(0), &of_user("ann"));
    assert_eq!(refused.retry, retry_nanos(3600 * SECOND));
}

/// Fields of a spec are open, so that one can be built that no draft would finish.
#[test]
fn a_spec_out_of_range_is_refused_and_not_divided_by() {
    let mut governor: Box<Small> = governor();
    let good = spec("service:web", fixed(3, "1h"));
    let mut bad = good;
    bad.algorithm =
        RateLimitAlgorithm::FixedWindow(crate::limit::WindowShape { limit: 1, ..Default::default() });
    assert!(governor.limits.add(&bad).is_err());
    let id = governor.limits.add(&good).unwrap();
    assert!(governor.limits.update(at(0), id, &bad).is_err());
    assert_eq!(passes(&mut governor, 0, &web(1), 5), 3);
}

/// As many limits as fit, all of a new configuration at once: half of them stay, in another order, half of those with
/// another shape; the others go, and others come.
#[test]
fn a_full_configuration_is_replaced_by_a_full_one() {
    const HALF: usize = USER_LIMITS_MAX / 2;
    let mut governor: Box<Governor<1024, 64>> = governor();
    let limit = |user: String, capacity| spec(&format!("user:{user}"), token_bucket(capacity, "1/1h"));
    let everyone = |name: &str| named(name, "tenant:*", token_bucket(100, "1/1h"));
    let smaller = |index: usize| 5 - u64::from(index % 2 == 1);
    let used = |index: usize| if index < 40 { 2 } else { usize::from(index < 50) };
    let mut first: Vec<_> = (0..2 * HALF).map(|index| limit(format!("u{index}"), 5)).collect();
    first.extend(["a", "b", "c"].map(everyone));
    governor.configure(at(0), &config(&first)).unwrap();
    for index in 0..50 {
        let (user, tenant) = (format!("u{index}"), format!("t{}", index % 10));
        let request = Request { tenant: Some(name(&tenant)), ..of_user(&user) };
        assert_eq!(passes(&mut governor, 0, &request, used(index)), used(index));
    }
    assert_eq!(governor.limits.table_stats().keys, 30);

    let kept = (0..HALF).rev().map(|index| limit(format!("u{index}"), smaller(index)));
    let mut second: Vec<_> = kept.chain((0..HALF).map(|index| limit(format!("v{index}"), 7))).collect();
    second.extend(["d", "b"].map(everyone));
    governor.configure(at(0), &config(&second)).unwrap();
    assert!(governor.limits.limits().map(|(_, spec)| spec).eq(&second), "in the order of the file");
    assert_eq!(governor.limits.table_stats().keys, 10, "the keys of b, and no others");
    for index in 0..HALF {
        let used = used(index) as u64;
        let id = governor.limits.find(&format!("user:u{index}")).unwrap();
        assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(smaller(index) - used), "u{index}");
        assert_eq!(governor.limits.get_limit_stats(id).unwrap().allowed, used);
        let added = governor.limits.find(&format!("user:v{index}")).unwrap();
        assert_eq!(governor.limits.get_tokens(at(0), added, None), Ok(7));
    }
    let added = governor.admit(at(0), &of_user("v3"));
    assert_eq!(added.limit.unwrap().limit, governor.limits.find("user:v3").unwrap());
    assert_eq!(governor.admit(at(0), &of_user("u300")).reason, Reason::NoLimit, "what is gone is not found");
}

#[test]
fn specs_that_do_not_fit_together_change_nothing() {
    let mut governor: Box<Small> = governor();
    let limit = spec("service:web", token_bucket(3, "1/1h"));
    governor.limits.configure(at(0), &[limit]).unwrap();
    let other = spec("service:api", token_bucket(3, "1/1h"));
    assert_eq!(governor.limits.configure(at(0), &[other, other]), Err(LimitError::DuplicateName));
    let unnamed = [other, LimitSpec::default()];
    assert!(matches!(governor.limits.configure(at(0), &unnamed), Err(LimitError::OutOfRange(_))));
    assert_eq!(governor.limits.limits().map(|(_, spec)| *spec).collect::<Vec<_>>(), [limit]);
}
