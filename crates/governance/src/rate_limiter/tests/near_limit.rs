//! Notice that little is left: once for each time that it comes to that.

use super::support::{
    SECOND, at, fixed, governor, hold, in_flight, key, log, named, of_user, spec, token_bucket, web,
};
use crate::governor::Governor;
use crate::limit::RateLimitAlgorithm;
use crate::rate_limiter::{NearLimit, RateLimiter};
use crate::scope::Kind;

fn given<const KEYS: usize, const LOG: usize>(limits: &RateLimiter<KEYS, LOG>) -> u64 {
    limits.near_limit_notices().next()
}

fn last<const KEYS: usize, const LOG: usize>(governor: &Governor<KEYS, LOG>) -> NearLimit {
    *governor.limits.near_limit_notices().since(0).last().unwrap()
}

#[test]
fn less_than_a_fifth_left_gives_notice_once_until_half_is_left_again() {
    let mut governor = governor::<8, 64>();
    let id = governor.limits.add(&spec("user:*", token_bucket(10, "1/s"))).unwrap();
    for turn in 0..8 {
        governor.admit(at(0), &of_user("ann"));
        assert_eq!(given(&governor.limits), 0, "{turn}: two of ten is a fifth");
    }
    governor.admit(at(0), &of_user("ann"));
    let notice = last(&governor);
    assert_eq!((notice.limit, notice.name.as_str(), notice.at), (id, "user:*", at(0)));
    assert_eq!((notice.remaining, notice.capacity), (1, 10));
    assert_eq!(notice.key.unwrap().as_str(), "ann");
    for _ in 0..5 {
        governor.admit(at(0), &of_user("ann"));
    }
    governor.admit(at(4 * SECOND), &of_user("ann"));
    assert_eq!(given(&governor.limits), 1, "four are not half");
    governor.admit(at(9 * SECOND), &of_user("ann"));
    for _ in 0..6 {
        governor.admit(at(9 * SECOND), &of_user("ann"));
    }
    assert_eq!(given(&governor.limits), 2);
    governor.admit(at(9 * SECOND), &of_user("bob"));
    assert_eq!(given(&governor.limits), 2, "another key has a bucket of its own");
}

#[test]
fn a_refusal_gives_notice_if_none_was_given_but_not_of_what_can_never_pass() {
    for algorithm in [token_bucket(10, "1/1h"), fixed(10, "1h"), log(10, "1h")] {
        let mut governor = governor::<8, 64>();
        governor.limits.add(&spec("service:web", algorithm)).unwrap();
        governor.admit(at(0), &web(11));
        governor.admit(at(0), &web(7));
        assert_eq!(given(&governor.limits), 0, "{}", algorithm.word());
        governor.admit(at(0), &web(7));
        governor.admit(at(0), &web(7));
        let notice = last(&governor);
        assert_eq!((given(&governor.limits), notice.remaining, notice.key), (1, 3, None));
        governor.admit(at(0), &web(2));
        assert_eq!(given(&governor.limits), 1);
    }
}

#[test]
fn a_reset_awaits_the_next_crossing_and_a_look_gives_no_notice() {
    let mut governor = governor::<8, 64>();
    let id = governor.limits.add(&spec("service:web", token_bucket(1, "1/1h"))).unwrap();
    governor.peek(at(0), &web(1));
    assert_eq!(given(&governor.limits), 0);
    governor.admit(at(0), &web(1));
    governor.peek(at(0), &web(1));
    assert_eq!(given(&governor.limits), 1);
    governor.limits.reset_bucket(id, None).unwrap();
    governor.admit(at(0), &web(1));
    assert_eq!(given(&governor.limits), 2);
    governor.limits.remove(id).unwrap();
    assert_eq!(last(&governor).name.as_str(), "service:web", "the name stays");
}

#[test]
fn every_limit_of_a_request_gives_its_own_notice() {
    let mut governor = governor::<8, 64>();
    for (name, algorithm) in [
        ("a", token_bucket(5, "1/1h")),
        ("b", fixed(5, "1h")),
        ("c", log(5, "1h")),
        ("d", RateLimitAlgorithm::Unlimited),
    ] {
        governor.limits.add(&named(name, "service:web", algorithm)).unwrap();
    }
    governor.admit(at(0), &web(5));
    let mut names: Vec<_> =
        governor.limits.near_limit_notices().since(0).map(|notice| notice.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn what_is_in_flight_and_what_is_settled_give_notice_too() {
    let mut limits = Box::new(RateLimiter::<8, 64>::new());
    let id = limits.add(&spec("user:*", in_flight(1, "1s"))).unwrap();
    hold(&mut limits, 0, &of_user("ann")).unwrap();
    assert_eq!(given(&limits), 1);
    limits.update(at(0), id, &spec("user:*", token_bucket(10, "1/1h"))).unwrap();
    let held = hold(&mut limits, 0, &of_user("bob")).unwrap()[0];
    assert_eq!(given(&limits), 1);
    limits.settle(at(0), &held, 9);
    let notice = *limits.near_limit_notices().since(1).next().unwrap();
    assert_eq!((notice.remaining, notice.key.unwrap().as_str()), (1, "bob"));
    limits.decide_by(at(0), id, key(Kind::User, "cy"), 9).unwrap();
    assert_eq!(given(&limits), 3);
}
