//! The table of keyed buckets at and beyond its capacity: what has a place keeps its exact state, what has none
//! shares one bucket that says so, and only a key that is full again makes room.

use super::naive::{Level, Model};
use super::support::{
    SECOND, at, fixed, governor, key, log, named, of_user, passes, remaining, retry_nanos, shape, sliding,
    spec, token_bucket, web,
};
use crate::decision::{Reason, Sharing, Verdict};
use crate::governor::Governor;
use crate::limit::{Align, LimitSpec, RateLimitAlgorithm};
use crate::rate_limiter::LimitId;
use crate::request::Request;
use crate::scope::{Kind, NameRef};
use proptest::prelude::{ProptestConfig, prop, proptest};
use std::collections::HashMap;

fn user(index: usize) -> String {
    format!("user{index}")
}

fn with<const KEYS: usize>(specs: &[LimitSpec]) -> (Box<Governor<KEYS, 64>>, Vec<LimitId>) {
    let mut governor = governor();
    let ids = specs.iter().map(|spec| governor.limits.add(spec).unwrap()).collect();
    (governor, ids)
}

#[test]
fn exactly_the_capacity_of_keys_fits() {
    let (mut governor, ids) = with::<300>(&[spec("user:*", token_bucket(2, "1/1h"))]);
    for index in 0..300 {
        let decision = governor.admit(at(0), &of_user(&user(index)));
        assert_eq!(decision.limit.unwrap().shared, Sharing::Own, "key {index}");
    }
    let one_more = governor.admit(at(0), &of_user(&user(300)));
    assert_eq!(one_more.limit.unwrap().shared, Sharing::Overflow);
    let table = governor.limits.table_stats();
    assert_eq!((table.keys, table.keys_max, table.overflow_hits, table.evicted_fresh), (300, 300, 1, 0));
    let stats = governor.limits.get_limit_stats(ids[0]).unwrap();
    assert_eq!((stats.keys, stats.overflow_hits, stats.allowed), (300, 1, 301));
    for index in 0..300 {
        assert_eq!(
            remaining(&governor.admit(at(1), &of_user(&user(index)))),
            0,
            "key {index} kept its one token"
        );
    }
}

#[test]
fn a_table_says_when_it_is_filling_up() {
    let (mut governor, _) = with::<100>(&[spec("user:*", token_bucket(2, "1/1h"))]);
    for index in 0..75 {
        assert!(!governor.limits.table_stats().is_filling_up(), "{index} of 100");
        governor.admit(at(0), &of_user(&user(index)));
    }
    assert!(governor.limits.table_stats().is_filling_up());
}

#[test]
fn keys_without_a_place_share_one_bucket_of_the_limit() {
    let (mut governor, ids) =
        with::<2>(&[spec("user:*", token_bucket(3, "1/1h")), spec("service:*", token_bucket(5, "1/1h"))]);
    assert_eq!(passes(&mut governor, 0, &of_user("a"), 1), 1);
    assert_eq!(passes(&mut governor, 0, &of_user("b"), 9), 3);
    let shared: Vec<_> = (0..5).map(|index| governor.admit(at(0), &of_user(&user(index)))).collect();
    let verdicts: Vec<_> = shared.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts[..3], [Verdict::Allow; 3], "the overflow bucket has the limit's parameters");
    assert_eq!(verdicts[3..], [Verdict::Deny; 2], "all together");
    assert!(shared.iter().all(|decision| decision.limit.unwrap().shared == Sharing::Overflow));
    assert_eq!(shared[4].retry, retry_nanos(3600 * SECOND));
    assert_eq!(remaining(&governor.admit(at(0), &of_user("a"))), 1, "who has a place is not touched");
    // Another limit has an overflow bucket of its own.
    let service = governor.admit(at(0), &web(1));
    assert_eq!((remaining(&service), service.limit.unwrap().shared), (4, Sharing::Overflow));
    let stats = |id| governor.limits.get_limit_stats(id).unwrap();
    assert_eq!((stats(ids[0]).overflow_hits, stats(ids[1]).overflow_hits), (5, 1));
    assert_eq!(governor.limits.table_stats().overflow_hits, 6);
    assert_eq!(stats(ids[0]).denied, 6 + 2, "by a bucket of its own and by the shared one");
}

#[test]
fn a_request_whose_limits_need_more_places_than_there_are_is_decided_all_the_same() {
    let specs = [
        named("first", "user:*", token_bucket(2, "1/1h")),
        named("second", "user:*", token_bucket(5, "1/1h")),
        named("third", "service:*", fixed(9, "1h")),
    ];
    fn run<const KEYS: usize>(specs: &[LimitSpec]) {
        let (mut governor, _) = with::<KEYS>(specs);
        for turn in 0..20u64 {
            let name = user(usize::try_from(turn % 3).unwrap());
            let request = Request { user: NameRef::new(&name).ok(), ..web(1) };
            let looked = governor.peek(at(turn), &request);
            let decision = governor.admit(at(turn), &request);
            assert_eq!(looked.verdict, decision.verdict, "turn {turn} of {KEYS} keys");
            assert!(governor.limits.table_stats().keys <= KEYS);
            if decision.is_allowed() {
                assert!(turn < 9, "the service's limit is 9 with a place and without one");
            }
        }
    }
    run::<1>(&specs);
    run::<2>(&specs);
    run::<3>(&specs);
    run::<4>(&specs);
}

/// A slot that one limit of a request has found must not be given to another limit of the same request.
#[test]
fn a_place_is_not_taken_from_the_request_at_hand() {
    let (mut governor, ids) = with::<1>(&[
        named("first", "user:*", token_bucket(100, "100/1ns")),
        named("second", "user:*", token_bucket(5, "1/1h")),
    ]);
    for turn in 1..=5 {
        // The first limit's bucket is full again each time, and would be free to take.
        let decision = governor.admit(at(turn * 100), &of_user("ann"));
        assert_eq!(decision.limit.unwrap().shared, Sharing::Overflow, "the second limit has no place");
        assert_eq!(remaining(&decision), 5 - turn);
    }
    assert!(!governor.admit(at(600), &of_user("ann")).is_allowed());
    assert_eq!(governor.limits.get_limit_stats(ids[0]).unwrap().keys, 1);
    assert_eq!(governor.limits.table_stats().evicted_fresh, 0);
}

#[test]
fn only_a_key_that_is_full_again_makes_room() {
    // Each algorithm with the time at which a single charge at 0 has lost all weight.
    let cases: [(RateLimitAlgorithm, u64); 5] = [
        (token_bucket(3, "1/10ns"), 10),
        (RateLimitAlgorithm::LeakyQueue(shape(3, "1/10ns")), 10),
        (fixed(3, "10ns"), 10),
        (sliding(3, "10ns"), 20),
        (log(3, "10ns"), 10),
    ];
    for (algorithm, fresh_at) in cases {
        let (mut governor, _) = with::<1>(&[spec("user:*", algorithm)]);
        governor.admit(at(0), &of_user("ann"));
        let early = governor.admit(at(fresh_at - 1), &of_user("bob"));
        assert_eq!(early.limit.unwrap().shared, Sharing::Overflow, "{algorithm:?}");
        let looked = governor.peek(at(fresh_at), &of_user("bob"));
        assert_eq!(governor.limits.table_stats().evicted_fresh, 0, "a look gives nothing away");
        let decision = governor.admit(at(fresh_at), &of_user("bob"));
        assert_eq!((looked.verdict, looked.limit.unwrap().shared), (decision.verdict, Sharing::Own));
        assert_eq!(decision.limit.unwrap().shared, Sharing::Own, "{algorithm:?}");
        assert_eq!(remaining(&decision), 2, "and begins full");
        let table = governor.limits.table_stats();
        assert_eq!((table.evicted_fresh, table.overflow_hits, table.keys), (1, 1, 1));
        assert_eq!(
            table.log_entries,
            usize::from(matches!(algorithm, RateLimitAlgorithm::SlidingLog(_))) * 2
        );
    }
}

#[test]
fn a_flood_of_names_takes_nothing_from_those_who_are_there() {
    // As others were found to fail: a victim gets its whole limit again once its counter was pushed out.
    let (mut governor, _) = with::<64>(&[spec("user:*", fixed(5, "1h"))]);
    assert_eq!(passes(&mut governor, 0, &of_user("victim"), 9), 5);
    let flood =
        (0..20_000).filter(|&index| governor.admit(at(1), &of_user(&user(index))).is_allowed()).count();
    assert_eq!(flood, 63 + 5, "63 places, and one bucket for the rest");
    assert_eq!(passes(&mut governor, 2, &of_user("victim"), 9), 0);
    assert_eq!(governor.limits.table_stats().evicted_fresh, 0);
}

#[test]
fn refused_and_free_requests_do_not_hold_places() {
    let (mut governor, _) = with::<2>(&[spec("user:*", token_bucket(3, "1/1h"))]);
    for index in 0..50 {
        governor.admit(at(0), &Request { cost: 4, ..of_user(&user(index)) });
        governor.admit(at(0), &Request { cost: 0, ..of_user(&user(index)) });
    }
    let table = governor.limits.table_stats();
    assert_eq!((table.keys, table.overflow_hits), (2, 0));
    assert_eq!(governor.admit(at(0), &of_user("ann")).limit.unwrap().shared, Sharing::Own);
}

#[test]
fn a_ban_of_everyone_at_a_full_table_still_bans_everyone() {
    let (mut governor, _) = with::<4>(&[
        named("bound", "user:*", token_bucket(1, "1/1h")),
        named("ban", "service:*", RateLimitAlgorithm::Ban),
    ]);
    for index in 0..100 {
        let name = user(index);
        let request = Request { user: NameRef::new(&name).ok(), ..web(1) };
        assert_eq!(governor.admit(at(0), &request).reason, Reason::Banned);
    }
}

#[test]
fn an_exact_limit_needs_no_place() {
    let (mut governor, ids) =
        with::<1>(&[spec("user:*", token_bucket(1, "1/1h")), spec("user:vip", token_bucket(2, "1/1h"))]);
    assert_eq!(passes(&mut governor, 0, &of_user("ann"), 2), 1);
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 5), 2);
    assert_eq!(governor.limits.table_stats().overflow_hits, 0);
    assert_eq!(governor.limits.get_limit_stats(ids[1]).unwrap().keys, 1);
}

/// A search at a full table looks at a bounded number of slots: it is stuck behind those in use, and the next
/// request goes on where it stopped, so that the one bucket that is full is found before all are looked at twice.
#[test]
fn the_sweep_goes_on_where_it_stopped() {
    use crate::rate_limiter::key_table::{KeyTable, SWEEP_SLOTS};
    let (mut governor, _) = with::<64>(&[spec("user:*", token_bucket(2, "1/1h"))]);
    for index in 0..64 {
        governor.admit(at(0), &of_user(&user(index)));
    }
    let id = governor.limits.find("user:*").unwrap();
    governor.limits.reset_bucket(id, key(Kind::User, &user(63))).unwrap();
    let sweeps = KeyTable::<64>::SLOTS / SWEEP_SLOTS;
    let shared: Vec<_> = (100..100 + sweeps)
        .map(|index| governor.admit(at(1), &of_user(&user(index))).limit.unwrap().shared)
        .collect();
    assert_eq!(shared.iter().filter(|&&shared| shared == Sharing::Own).count(), 1, "{shared:?}");
}

#[derive(Clone, Debug)]
struct Flood {
    advance: u64,
    user: usize,
    cost: u64,
}

/// What a table of 16 keys decides against one with a place for everybody: the sweep sees each slot, so that a
/// key shares the overflow bucket only when 16 others are in debt.
fn compare_with_a_place_for_everybody(steps: Vec<Flood>) {
    let bucket = shape(3, "1/20ns");
    let (mut governor, _) = with::<16>(&[spec("user:*", RateLimitAlgorithm::TokenBucket(bucket))]);
    let mut models: HashMap<usize, Level> = HashMap::new();
    let mut overflow = Level::new(bucket);
    let mut now = 0;
    for Flood { advance, user: index, cost } in steps {
        now += advance;
        let time = at(now).into();
        for model in models.values_mut().chain([&mut overflow]) {
            model.settle(time);
        }
        let name = user(index);
        let decision = governor.admit(at(now), &Request { cost, ..of_user(&name) });
        let in_debt = models.iter().filter(|(other, model)| **other != index && !model.is_full()).count();
        let shared = decision.limit.unwrap().shared;
        let fresh = Level::new(bucket);
        let model = match shared {
            Sharing::Own => models.entry(index).or_insert(fresh),
            Sharing::Overflow => {
                assert!(in_debt >= 16, "a place was free");
                assert!(models.get(&index).is_none_or(Level::is_full), "a debtor has lost its place");
                &mut overflow
            }
        };
        model.settle(time);
        assert_eq!(decision.is_allowed(), model.fits(cost), "user {index}, cost {cost} at {now}");
        if decision.is_allowed() {
            model.take(cost);
        }
        assert_eq!(remaining(&decision), model.remaining());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn an_evicted_key_decides_as_it_would_have(
        steps in prop::collection::vec((0..12u64, 0..40usize, 0..4u64), 0..300),
    ) {
        compare_with_a_place_for_everybody(
            steps.into_iter().map(|(advance, user, cost)| Flood { advance, user, cost }).collect(),
        );
    }
}

/// Requests with up to three keys against limits on each of them, in a table that is too small.
fn compare_looks_with_decisions<const KEYS: usize>(requests: &[(u64, usize, usize, u64)]) {
    let specs = [
        named("bucket", "user:*", token_bucket(3, "1/20ns")),
        named("log", "user:*", log(4, "50ns")),
        named("window", "service:*", sliding(6, "40ns")),
        named("log of one", "service:s0", log(5, "30ns")),
        named("tenants", "tenant:*", fixed(9, "30ns")),
    ];
    let mut governor: Box<Governor<KEYS, 256>> = governor();
    for spec in &specs {
        governor.limits.add(spec).unwrap();
    }
    let mut now = 0;
    for &(advance, user_index, service, cost) in requests {
        now += advance;
        let (user, service) = (user(user_index), format!("s{service}"));
        let request = Request {
            user: NameRef::new(&user).ok(),
            service: NameRef::new(&service).ok(),
            tenant: NameRef::new(&user).ok().filter(|_| user_index % 2 == 0),
            cost,
            ..Request::default()
        };
        let before = (governor.limits.table_stats(), governor.counters());
        let looked = governor.peek(at(now), &request);
        let after = (governor.limits.table_stats(), governor.counters());
        assert_eq!(
            (before.0.keys, before.0.overflow_hits, before.0.evicted_fresh, before.1),
            (after.0.keys, after.0.overflow_hits, after.0.evicted_fresh, after.1),
            "a look leaves no trace"
        );
        let decision = governor.admit(at(now), &request);
        assert_eq!(
            (looked.verdict, looked.reason, looked.retry),
            (decision.verdict, decision.reason, decision.retry),
            "{request:?} at {now} with {KEYS} keys"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn a_look_says_what_the_decision_will_be(
        requests in prop::collection::vec((0..25u64, 0..6usize, 0..3usize, 0..4u64), 0..100),
    ) {
        compare_looks_with_decisions::<1>(&requests);
        compare_looks_with_decisions::<2>(&requests);
        compare_looks_with_decisions::<3>(&requests);
        compare_looks_with_decisions::<5>(&requests);
        compare_looks_with_decisions::<40>(&requests);
    }
}

#[test]
fn spread_windows_of_an_overflow_bucket_begin_like_any() {
    let algorithm = RateLimitAlgorithm::FixedWindow(super::support::window(2, "10ns", Align::Spread));
    let (mut governor, _) = with::<1>(&[spec("user:*", algorithm)]);
    assert_eq!(passes(&mut governor, 100, &of_user("ann"), 9), 2);
    for now in [101, 111, 121] {
        let shared = passes(&mut governor, now, &of_user("bob"), 9);
        assert!(shared == 2, "{shared} at {now}");
    }
}
