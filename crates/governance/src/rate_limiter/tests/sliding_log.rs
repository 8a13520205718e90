//! The exact window, and the pool behind it.

use super::support::{
    SECOND, YEAR, at, governor, governor_with, key, log, named, of_user, passes, remaining, retry_nanos,
    spec, token_bucket, web,
};
use crate::config::Config;
use crate::decision::{Reason, Verdict, Wait};
use crate::governor::ConfigureError;
use crate::rate_limiter::LimitError;
use crate::request::Request;
use crate::scope::{Kind, NameRef};
use crate::time::Nanos;

#[test]
fn what_was_charged_counts_for_exactly_one_window() {
    let (mut governor, _) = governor_with(log(3, "10s"));
    for now in [0, SECOND, 2 * SECOND] {
        assert!(governor.admit(at(now), &web(1)).is_allowed());
    }
    let refused = governor.admit(at(2 * SECOND), &web(1));
    assert_eq!((refused.reason, refused.retry), (Reason::OverLimit, retry_nanos(8 * SECOND)));
    assert_eq!(governor.admit(at(2 * SECOND), &web(2)).retry, retry_nanos(9 * SECOND));
    assert_eq!(governor.admit(at(2 * SECOND), &web(3)).retry, retry_nanos(10 * SECOND));
    assert_eq!(governor.admit(at(2 * SECOND), &web(4)).retry, Some(Wait::Never));
    assert!(!governor.admit(at(10 * SECOND - 1), &web(1)).is_allowed(), "in (now - window, now]");
    assert!(governor.admit(at(10 * SECOND), &web(1)).is_allowed(), "now - window itself is outside");
    assert!(!governor.admit(at(10 * SECOND), &web(1)).is_allowed());
}

#[test]
fn no_window_of_its_length_ever_holds_more_than_the_limit() {
    let (mut governor, _) = governor_with(log(20, "100ns"));
    let mut admitted = Vec::new();
    let mut random = 7u64;
    for now in 0..20_000u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if random >> 62 == 0 && governor.admit(at(now), &web(1 + (random >> 40) % 3)).is_allowed() {
            admitted.push((now, 1 + (random >> 40) % 3));
            let within: u64 =
                admitted.iter().filter(|&&(then, _)| then + 100 > now).map(|&(_, cost)| cost).sum();
            assert!(within <= 20, "{within} at {now}");
        }
    }
    assert!(admitted.len() > 1000);
}

#[test]
fn the_exact_window_survives_a_year_and_the_end_of_time() {
    let (mut governor, _) = governor_with(log(3, "10s"));
    for now in [0, YEAR, u64::MAX - 10 * SECOND, u64::MAX] {
        assert_eq!(passes(&mut governor, now, &web(1), 9), 3, "at {now}");
        assert_eq!(passes(&mut governor, 0, &web(1), 9), 0, "the clock went back");
    }
    assert_eq!(governor.limits.table_stats().log_entries, 1, "one time, one entry");
}

#[test]
fn a_pool_without_an_entry_refuses_by_that_reason_and_charges_nothing() {
    let mut governor = governor::<8, 3>();
    let exact = governor.limits.add(&spec("user:*", log(100, "10s"))).unwrap();
    let bucket = governor.limits.add(&named("other", "user:*", token_bucket(100, "1/s"))).unwrap();
    for now in 1..=3 {
        assert!(governor.admit(at(now), &of_user("a")).is_allowed());
    }
    let refused = governor.admit(at(4), &of_user("b"));
    assert_eq!((refused.verdict, refused.reason), (Verdict::Deny, Reason::LogFull));
    assert_eq!(refused.limit.unwrap().limit, exact);
    assert!(matches!(refused.retry, Some(Wait::For(Nanos(wait))) if wait > 0));
    assert_eq!(
        governor.limits.get_tokens(at(4), bucket, key(Kind::User, "b")),
        Ok(100),
        "nothing was charged"
    );
    assert_eq!(governor.limits.get_limit_stats(exact).unwrap().log_full, 1);
    assert_eq!(governor.limits.get_limit_stats(exact).unwrap().denied, 1);
    assert_eq!(governor.limits.table_stats().log_full, 1);
    assert_eq!(governor.counters().of(Reason::LogFull), 1);
    assert!(
        governor.admit(at(4), &Request { cost: 0, ..of_user("b") }).is_allowed(),
        "nothing is to be noted"
    );
    // Entries come back as they leave the window: the next look at their bucket gives them back.
    assert!(governor.admit(at(10 * SECOND + 2), &of_user("a")).is_allowed());
    assert_eq!(governor.limits.table_stats().log_entries, 2);
    assert!(governor.admit(at(10 * SECOND + 2), &of_user("b")).is_allowed());
}

#[test]
fn charges_of_the_same_time_share_an_entry() {
    let mut governor = governor::<8, 1>();
    governor.limits.add(&spec("service:web", log(10, "10s"))).unwrap();
    assert_eq!(passes(&mut governor, 7, &web(1), 20), 10);
    assert_eq!(governor.admit(at(8), &web(1)).reason, Reason::OverLimit);
}

/// Two exact windows on one request and one entry left: the last entry cannot be promised to both.
#[test]
fn the_last_entry_is_promised_once() {
    let mut governor = governor::<8, 3>();
    governor.limits.add(&spec("service:web", log(10, "10s"))).unwrap();
    governor.limits.add(&spec("user:*", log(10, "10s"))).unwrap();
    let request = Request { user: NameRef::new("a").ok(), ..web(1) };
    assert!(governor.admit(at(1), &request).is_allowed());
    assert_eq!(governor.peek(at(2), &request).reason, Reason::LogFull);
    let refused = governor.admit(at(2), &request);
    assert_eq!(refused.reason, Reason::LogFull);
    assert_eq!(governor.limits.table_stats().log_entries, 2, "nothing was noted");
    assert!(governor.admit(at(1), &web(1)).is_allowed(), "one limit alone has its entry");
    assert!(governor.admit(at(2), &web(1)).is_allowed());
}

#[test]
fn a_full_refund_makes_the_window_full_again() {
    let (mut governor, id) = governor_with(log(5, "10s"));
    assert!(governor.admit(at(0), &web(2)).is_allowed());
    assert!(governor.admit(at(1), &web(3)).is_allowed());
    assert_eq!(governor.limits.refund(at(2), id, None, 4), Ok(4));
    let standing = governor.limits.standing_of(at(2), id, None).unwrap();
    assert_eq!(standing.full_in(), Nanos(10 * SECOND - 1));
    assert_eq!(governor.limits.refund(at(2), id, None, 9), Ok(5), "no more than was used");
    let standing = governor.limits.standing_of(at(2), id, None).unwrap();
    assert_eq!(standing.full_in(), Nanos::ZERO);
    assert_eq!(remaining(&governor.admit(at(2), &web(5))), 0);
}

/// What was used cannot be noted when no entry is left: the limit stays as it is, and so does all that was used.
#[test]
fn a_change_to_an_exact_window_that_has_no_room_is_refused() {
    let mut governor = governor::<8, 3>();
    let exact = governor.limits.add(&spec("service:web", log(10, "1h"))).unwrap();
    let users = spec("user:*", token_bucket(5, "1/1h"));
    let id = governor.limits.add(&users).unwrap();
    for user in ["a", "b", "c"] {
        assert!(governor.admit(at(1), &Request { cost: 4, ..of_user(user) }).is_allowed());
    }
    let as_log = spec("user:*", log(5, "1h"));
    assert!(governor.admit(at(1), &web(1)).is_allowed());
    assert_eq!(governor.limits.update(at(1), id, &as_log), Err(LimitError::LogFull));
    let mut config = Box::new(Config::new());
    config.add_limit(&as_log).unwrap();
    assert_eq!(governor.configure(at(1), &config), Err(ConfigureError::Limits(LimitError::LogFull)));
    assert_eq!(governor.limits.get_bucket(id), Ok(&users));
    assert_eq!(governor.limits.get_tokens(at(1), exact, None), Ok(9));
    assert_eq!(governor.limits.table_stats().log_entries, 1);
    for user in ["a", "b", "c"] {
        assert_eq!(governor.limits.get_tokens(at(1), id, key(Kind::User, user)), Ok(1));
    }
    governor.limits.reset_bucket(exact, None).unwrap();
    assert_eq!(governor.limits.update(at(1), id, &as_log), Ok(()));
    for user in ["a", "b", "c"] {
        assert_eq!(governor.limits.get_tokens(at(1), id, key(Kind::User, user)), Ok(1));
    }
}

#[test]
fn buckets_that_cannot_be_drained_are_not_said_to_be() {
    let mut governor = governor::<8, 3>();
    let id = governor.limits.add(&spec("user:*", log(5, "1h"))).unwrap();
    for user in ["a", "b"] {
        assert!(governor.admit(at(1), &of_user(user)).is_allowed());
    }
    // Two more entries are needed, and one is left.
    assert_eq!(governor.limits.drain_bucket(at(2), id, None), Err(LimitError::LogFull));
    for user in ["a", "b"] {
        assert_eq!(governor.limits.get_tokens(at(2), id, key(Kind::User, user)), Ok(4));
    }
    assert_eq!(governor.limits.drain_bucket(at(2), id, key(Kind::User, "a")), Ok(1));
    assert_eq!(governor.limits.drain_bucket(at(2), id, key(Kind::User, "b")), Err(LimitError::LogFull));
    assert_eq!(
        governor.limits.drain_bucket(at(2), id, key(Kind::User, "a")),
        Ok(1),
        "there is nothing left to note"
    );
    assert_eq!(governor.limits.get_tokens(at(2), id, key(Kind::User, "a")), Ok(0));
}
