//! Extra capacity that is granted for a time.

use super::support::{
    SECOND, at, fixed, governor, governor_with, key, log, of_user, passes, retry_nanos, sliding, spec,
    token_bucket, web,
};
use crate::decision::Wait;
use crate::limit::RateLimitAlgorithm;
use crate::rate_limiter::{GRANTS_MAX, LimitError};
use crate::request::Request;
use crate::scope::Kind;
use crate::time::Nanos;

#[test]
fn a_grant_is_there_at_once_and_gone_on_time() {
    for algorithm in [token_bucket(10, "1/1h"), fixed(10, "1h"), sliding(10, "1h"), log(10, "1h")] {
        let (mut governor, id) = governor_with(algorithm);
        assert_eq!(passes(&mut governor, 0, &web(1), 20), 10);
        governor.limits.handle_burst(at(0), id, None, 5, Nanos(10)).unwrap();
        let standing = governor.limits.standing_of(at(0), id, None).unwrap();
        assert_eq!((standing.capacity, standing.remaining()), (Some(15), 5));
        assert_eq!(passes(&mut governor, 9, &web(1), 3), 3);
        assert!(!governor.admit(at(10), &web(1)).is_allowed(), "{algorithm:?}: the grant ends");
        let standing = governor.limits.standing_of(at(10), id, None).unwrap();
        assert_eq!((standing.capacity, standing.remaining()), (Some(10), 0));
        assert_eq!(governor.limits.table_stats().grants, 0, "its place is free again");
        assert_eq!(governor.admit(at(10), &web(11)).retry, Some(Wait::Never));
    }
}

#[test]
fn a_grant_lets_a_cost_above_the_capacity_pass() {
    let (mut governor, id) = governor_with(token_bucket(10, "1/1h"));
    assert_eq!(governor.admit(at(0), &web(12)).retry, Some(Wait::Never));
    governor.limits.handle_burst(at(0), id, None, 5, Nanos(SECOND)).unwrap();
    assert_eq!(governor.admit(at(0), &web(16)).retry, Some(Wait::Never));
    assert!(governor.admit(at(0), &web(12)).is_allowed());
    // It fits under the grant, but not before the grant is over.
    assert_eq!(governor.admit(at(0), &web(12)).retry, Some(Wait::Never));
}

#[test]
fn what_was_used_beyond_the_capacity_is_forgiven_when_the_grant_ends() {
    let (mut governor, id) = governor_with(token_bucket(10, "1/s"));
    governor.limits.handle_burst(at(0), id, None, 90, Nanos(2 * SECOND)).unwrap();
    assert_eq!(passes(&mut governor, 0, &web(1), 200), 100);
    // 98 are used when it ends, of which 10 count; a second later 9 do.
    assert_eq!(governor.admit(at(0), &web(1)).retry, retry_nanos(SECOND), "1 s brings one under the grant");
    assert_eq!(governor.admit(at(0), &web(5)).retry, retry_nanos(7 * SECOND), "and 5 come 5 s after its end");
    assert_eq!(governor.limits.standing_of(at(0), id, None).unwrap().full_in(), Nanos(12 * SECOND));
    assert!(!governor.admit(at(7 * SECOND - 1), &web(5)).is_allowed());
    assert!(governor.admit(at(7 * SECOND), &web(5)).is_allowed());
}

#[test]
fn a_second_grant_takes_the_place_of_the_first() {
    let (mut governor, id) = governor_with(token_bucket(10, "1/1h"));
    governor.limits.handle_burst(at(0), id, None, 50, Nanos(100)).unwrap();
    governor.limits.handle_burst(at(1), id, None, 5, Nanos(10)).unwrap();
    assert_eq!(governor.limits.table_stats().grants, 1);
    assert_eq!(governor.limits.get_tokens(at(1), id, None), Ok(15));
    assert_eq!(governor.limits.get_tokens(at(11), id, None), Ok(10));
}

#[test]
fn as_many_grants_run_as_there_can_be() {
    let mut governor = governor::<128, 1>();
    let id = governor.limits.add(&spec("user:*", token_bucket(1, "1/1h"))).unwrap();
    let user = |index: usize| format!("user{index}");
    for index in 0..GRANTS_MAX {
        let user = user(index);
        governor.limits.handle_burst(at(0), id, key(Kind::User, &user), 1, Nanos(10 + index as u64)).unwrap();
    }
    let extra = user(GRANTS_MAX);
    let keys = governor.limits.table_stats().keys;
    let full = governor.limits.handle_burst(at(0), id, key(Kind::User, &extra), 1, Nanos(10));
    assert_eq!(full, Err(LimitError::GrantsFull));
    assert_eq!(governor.limits.table_stats().keys, keys, "a refused grant adds no key");
    assert!(governor.admit(at(0), &of_user(&extra)).is_allowed());
    let full = governor.limits.handle_burst(at(0), id, key(Kind::User, &extra), 1, Nanos(10));
    assert_eq!(full, Err(LimitError::GrantsFull), "also for a key that is known");
    // One whose bucket nobody looks at ends and makes room all the same.
    governor.limits.handle_burst(at(10), id, key(Kind::User, &extra), 1, Nanos(10)).unwrap();
    assert_eq!(governor.limits.table_stats().grants, GRANTS_MAX);
    assert_eq!(governor.limits.get_tokens(at(10), id, key(Kind::User, &user(0))), Ok(1));
    assert_eq!(
        governor.limits.get_tokens(at(10), id, key(Kind::User, &user(1))),
        Ok(2),
        "others keep theirs"
    );
}

#[test]
fn bad_grants_change_nothing() {
    let (mut governor, id) = governor_with(token_bucket(1 << 50, "1/1d"));
    for (extra, length) in [(0, 1), (1, 0), (u64::MAX, 1), (1 << 54, 1)] {
        let refused = governor.limits.handle_burst(at(0), id, None, extra, Nanos(length));
        assert_eq!(refused, Err(LimitError::BadGrant), "{extra} for {length}");
    }
    assert_eq!(governor.limits.table_stats().grants, 0);
    let (mut governor, id) = governor_with(RateLimitAlgorithm::Ban);
    let refused = governor.limits.handle_burst(at(0), id, None, 1, Nanos(1));
    assert_eq!(refused, Err(LimitError::NoBucket));
}

#[test]
fn a_grant_goes_with_its_bucket() {
    let mut governor = governor::<1, 1>();
    let id = governor.limits.add(&spec("user:*", token_bucket(1, "1/1h"))).unwrap();
    let ann = || key(Kind::User, "ann");
    governor.limits.handle_burst(at(0), id, ann(), 1, Nanos(100)).unwrap();
    assert!(governor.admit(at(0), &of_user("bob")).is_allowed());
    assert_eq!(governor.limits.table_stats().evicted_fresh, 0, "a bucket with a grant is not given away");
    governor.limits.reset_bucket(id, ann()).unwrap();
    assert_eq!(
        (governor.limits.table_stats().grants, governor.limits.get_tokens(at(0), id, ann())),
        (0, Ok(1))
    );
    governor.limits.handle_burst(at(0), id, ann(), 1, Nanos(100)).unwrap();
    governor.limits.remove(id).unwrap();
    assert_eq!(governor.limits.table_stats().grants, 0);
}

/// A grant that was in range when it was made meets a period with which it is not.
#[test]
fn a_change_of_shape_under_a_grant_cannot_overflow() {
    let (mut governor, id) = governor_with(token_bucket(1, "1/1ns"));
    governor.limits.handle_burst(at(0), id, None, u64::MAX - 1, Nanos::MAX).unwrap();
    governor.limits.update(at(0), id, &spec("service:web", token_bucket(1, "1/213503d"))).unwrap();
    for cost in [u64::MAX, u64::MAX, 1, u64::MAX] {
        governor.admit(at(0), &web(cost));
        governor.limits.standing_of(at(1), id, None).unwrap();
    }
    governor.limits.drain_bucket(at(2), id, None).unwrap();
    governor.limits.refund(at(2), id, None, u64::MAX).unwrap();
    assert!(governor.admit(at(2), &Request { cost: 0, ..web(0) }).is_allowed());
}

#[test]
fn a_grant_to_a_key_without_a_place_is_refused_and_counts_nothing() {
    let mut governor = governor::<2, 8>();
    let id = governor.limits.add(&spec("user:*", token_bucket(5, "1/1h"))).unwrap();
    for user in ["a", "b"] {
        assert!(governor.admit(at(0), &of_user(user)).is_allowed());
    }
    let granted = governor.limits.handle_burst(at(0), id, key(Kind::User, "c"), 5, Nanos(SECOND));
    assert_eq!(granted, Err(LimitError::TableFull));
    assert_eq!(governor.limits.table_stats().overflow_hits, 0);
    assert_eq!(governor.limits.get_limit_stats(id).unwrap().overflow_hits, 0);
    assert_eq!(governor.limits.table_stats().grants, 0);
    // Once a key is full again, there is room.
    let hour = 3600 * SECOND;
    assert_eq!(governor.limits.handle_burst(at(hour), id, key(Kind::User, "c"), 5, Nanos(SECOND)), Ok(()));
    assert_eq!(governor.limits.get_tokens(at(hour), id, key(Kind::User, "c")), Ok(10));
}

#[test]
fn a_grant_beyond_what_a_number_can_say_is_refused() {
    let (mut governor, id) = governor_with(fixed(u64::MAX - 3, "1ns"));
    assert_eq!(governor.limits.handle_burst(at(0), id, None, 4, Nanos(SECOND)), Err(LimitError::BadGrant));
    assert_eq!(governor.limits.handle_burst(at(0), id, None, 3, Nanos(SECOND)), Ok(()));
    assert_eq!(governor.limits.standing_of(at(0), id, None).unwrap().capacity, Some(u64::MAX));
}
