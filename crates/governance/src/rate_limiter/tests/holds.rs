//! Charges that are settled later: back to the bucket, the window and the key that they came from, or to nobody.

use super::support::{SECOND, at, fixed, hold, key, log, named, of_user, sliding, spec, token_bucket, web};
use crate::decision::{Reason, Wait};
use crate::limit::LimitSpec;
use crate::rate_limiter::{LimitHold, LimitId, RateLimiter, Settled};
use crate::request::{Request, Unit};
use crate::scope::{HashSecret, Kind};
use crate::time::Nanos;

fn limiter(specs: &[LimitSpec]) -> (Box<RateLimiter<4, 4>>, Vec<LimitId>) {
    let mut limiter = Box::new(RateLimiter::new());
    let ids = specs.iter().map(|spec| limiter.add(spec).unwrap()).collect();
    (limiter, ids)
}

fn costing(user: &str, cost: u64) -> Request<'_> {
    Request { cost, ..of_user(user) }
}

#[test]
fn an_empty_hold_settles_nothing() {
    let (mut limiter, ids) = limiter(&[spec("service:web", token_bucket(5, "1/1h"))]);
    assert_eq!(LimitHold::default(), LimitHold::EMPTY);
    assert_eq!(limiter.settle(at(0), &LimitHold::EMPTY, 9), Settled::Stale);
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(5));
}

#[test]
fn a_reserve_comes_back_and_an_overage_is_owed_as_far_as_the_capacity() {
    let (mut limiter, ids) = limiter(&[spec("service:web", token_bucket(10, "1/s"))]);
    let first = hold(&mut limiter, 0, &web(8)).unwrap()[0];
    assert_eq!(limiter.settle(at(0), &first, 3), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(7));
    let second = hold(&mut limiter, 0, &web(7)).unwrap()[0];
    assert_eq!(limiter.settle(at(0), &second, u64::MAX), Settled::Adjusted);
    let refused = limiter.decide_by(at(0), ids[0], None, 1).unwrap();
    assert_eq!(refused.reason, Reason::OverLimit);
    assert_eq!(refused.retry, Some(Wait::For(Nanos(11 * SECOND))), "ten of debt, and one");
    let standing = refused.limit.unwrap();
    assert_eq!((standing.remaining(), standing.full_in()), (0, Nanos(20 * SECOND)));
    assert!(limiter.decide_by(at(11 * SECOND), ids[0], None, 1).unwrap().is_allowed());
}

#[test]
fn an_overage_of_a_window_counts_there_and_in_the_next_only_by_its_weight() {
    for (algorithm, after) in [(fixed(10, "10s"), 10), (sliding(10, "10s"), 0)] {
        let (mut limiter, ids) = limiter(&[spec("service:web", algorithm)]);
        let held = hold(&mut limiter, 0, &web(2)).unwrap()[0];
        assert_eq!(limiter.settle(at(SECOND), &held, 15), Settled::Adjusted);
        let refused = limiter.decide_by(at(SECOND), ids[0], None, 1).unwrap();
        assert_eq!(refused.limit.unwrap().remaining(), 0);
        assert_eq!(limiter.get_tokens(at(10 * SECOND), ids[0], None), Ok(after));
        assert_eq!(limiter.get_tokens(at(15 * SECOND), ids[0], None), Ok(if after == 0 { 2 } else { 10 }));
    }
}

#[test]
fn what_was_charged_in_a_window_that_is_over_changes_nothing_of_the_present_one() {
    for (algorithm, kept) in [(fixed(10, "10s"), false), (sliding(10, "10s"), true)] {
        let (mut limiter, ids) = limiter(&[spec("service:web", algorithm)]);
        let held = hold(&mut limiter, 0, &web(10)).unwrap()[0];
        let late = hold(&mut limiter, 10 * SECOND, &web(0)).unwrap()[0];
        let settled = limiter.settle(at(10 * SECOND), &held, 0);
        assert_eq!(settled, if kept { Settled::Adjusted } else { Settled::Passed });
        assert_eq!(limiter.get_tokens(at(10 * SECOND), ids[0], None), Ok(10));
        assert_eq!(limiter.settle(at(30 * SECOND), &late, 10), Settled::Passed);
        assert_eq!(limiter.get_tokens(at(30 * SECOND), ids[0], None), Ok(10));
    }
}

#[test]
fn an_entry_of_a_log_is_settled_where_it_lies() {
    let (mut limiter, ids) = limiter(&[spec("service:web", log(10, "10s"))]);
    let early = hold(&mut limiter, 0, &web(4)).unwrap()[0];
    let late = hold(&mut limiter, 6 * SECOND, &web(4)).unwrap()[0];
    assert_eq!(limiter.settle(at(7 * SECOND), &early, 20), Settled::Adjusted);
    let refused = limiter.decide_by(at(7 * SECOND), ids[0], None, 1).unwrap();
    assert_eq!(refused.retry, Some(Wait::For(Nanos(3 * SECOND))), "it leaves when the reserve does");
    assert_eq!(limiter.get_tokens(at(10 * SECOND), ids[0], None), Ok(6));
    assert_eq!(limiter.settle(at(11 * SECOND), &early, 0), Settled::Passed, "by the number of its entry");
    // Its entry was given to another charge in the meantime.
    let other = hold(&mut limiter, 11 * SECOND, &web(2)).unwrap()[0];
    assert_eq!(limiter.settle(at(11 * SECOND), &early, 0), Settled::Passed);
    assert_eq!(limiter.get_tokens(at(11 * SECOND), ids[0], None), Ok(4));
    assert_eq!(limiter.settle(at(12 * SECOND), &late, 1), Settled::Adjusted);
    assert_eq!(limiter.settle(at(12 * SECOND), &other, 0), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(12 * SECOND), ids[0], None), Ok(9));
}

#[test]
fn what_a_full_log_cannot_note_is_counted() {
    let specs = [named("a", "service:web", log(100, "10s")), named("b", "user:*", log(100, "10s"))];
    let (mut limiter, ids) = limiter(&specs);
    let nothing = hold(&mut limiter, 0, &costing("ann", 0)).unwrap()[0];
    let late = hold(&mut limiter, 0, &web(0)).unwrap()[0];
    for turn in 1..=4 {
        assert!(hold(&mut limiter, turn, &web(1)).is_ok());
    }
    assert_eq!(limiter.settle(at(5), &nothing, 7), Settled::Lost);
    assert_eq!(limiter.get_limit_stats(ids[1]).unwrap().log_full, 1);
    assert_eq!(limiter.settle(at(5), &late, 7), Settled::Adjusted, "the last entry takes it");
    assert_eq!(limiter.get_tokens(at(5), ids[0], None), Ok(89));
}

#[test]
fn a_bucket_that_was_reset_gives_back_no_more_than_there_is_and_still_owes() {
    let (mut limiter, ids) = limiter(&[spec("user:*", token_bucket(10, "1/1h"))]);
    let ann = key(Kind::User, "ann");
    let less = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    let more = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.reset_bucket(ids[0], ann).unwrap();
    assert_eq!(limiter.settle(at(0), &less, 0), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(10));
    assert_eq!(limiter.settle(at(0), &more, 8), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(7));
}

#[test]
fn a_limit_that_is_gone_or_counts_otherwise_is_left_alone() {
    let bucket = spec("user:*", token_bucket(10, "1/1h"));
    let (mut limiter, ids) = limiter(&[bucket]);
    let ann = key(Kind::User, "ann");
    let of_bucket = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.update(at(0), ids[0], &spec("user:*", fixed(10, "1h"))).unwrap();
    assert_eq!(limiter.settle(at(0), &of_bucket, 0), Settled::Stale);
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(5), "what was used stays used");
    let of_window = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.update(at(0), ids[0], &spec("user:*", fixed(20, "1h"))).unwrap();
    assert_eq!(limiter.settle(at(0), &of_window, 2), Settled::Adjusted, "the windows are the same");
    let again = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.update(at(0), ids[0], &spec("user:*", fixed(20, "2h"))).unwrap();
    assert_eq!(limiter.settle(at(0), &again, 2), Settled::Stale, "others took their place");
    let last = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.remove(ids[0]).unwrap();
    assert_eq!(limiter.settle(at(0), &last, 0), Settled::Stale);
    limiter.reset(HashSecret::default());
    assert_eq!(limiter.add(&bucket), Ok(ids[0]));
    assert_eq!(limiter.settle(at(0), &of_bucket, 9), Settled::Stale);
}

/// A limiter with room for one key, so that the next one takes its place as soon as it can.
fn limiter_of_one() -> (Box<RateLimiter<1, 4>>, LimitId) {
    let mut limiter = Box::new(RateLimiter::new());
    let id = limiter.add(&spec("user:*", token_bucket(10, "1/1ns"))).unwrap();
    (limiter, id)
}

/// Whether ann has the one place after somebody else came, long after all buckets were full again.
fn keeps_its_place(limiter: &mut RateLimiter<1, 4>, now: u64) -> bool {
    let id = limiter.find("user:*").unwrap();
    limiter.decide_by(at(now), id, key(Kind::User, "bob"), 1).unwrap();
    limiter.keys().any(|view| view.name.as_str() == "ann")
}

#[test]
fn a_key_with_open_holds_keeps_its_place_and_one_without_gives_it() {
    let (mut limiter, id) = limiter_of_one();
    let holds: Vec<_> = (0..2).map(|_| hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0]).collect();
    assert!(keeps_its_place(&mut limiter, 1000));
    assert_eq!(limiter.settle(at(1000), &holds[0], 20), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(1000), id, key(Kind::User, "ann")), Ok(0));
    assert!(keeps_its_place(&mut limiter, 2000), "one is still open");
    assert_eq!(limiter.settle(at(2000), &holds[1], 5), Settled::Adjusted);
    assert!(!keeps_its_place(&mut limiter, 3000));
    assert_eq!(limiter.settle(at(3000), &holds[1], 0), Settled::Stale, "settled again, it finds nobody");
}

/// The same number, the same key, the same slot: an old hold must not let go of it.
#[test]
fn a_hold_of_a_removed_limit_does_not_unpin_the_key_of_its_successor() {
    let (mut limiter, id) = limiter_of_one();
    let old = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.remove(id).unwrap();
    assert_eq!(limiter.add(&spec("user:*", token_bucket(10, "1/1ns"))), Ok(id));
    let new = hold(&mut limiter, 1000, &costing("ann", 5)).unwrap()[0];
    assert_eq!(limiter.settle(at(1000), &old, 0), Settled::Stale);
    assert!(keeps_its_place(&mut limiter, 2000));
    assert_eq!(limiter.settle(at(2000), &new, 12), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(2000), id, key(Kind::User, "ann")), Ok(3));
}

/// A hold that a change has outdated still lets go of its key.
#[test]
fn an_outdated_hold_unpins_its_key() {
    let (mut limiter, id) = limiter_of_one();
    let old = hold(&mut limiter, 0, &costing("ann", 5)).unwrap()[0];
    limiter.update(at(0), id, &spec("user:*", fixed(10, "10ns"))).unwrap();
    assert!(keeps_its_place(&mut limiter, 1000));
    assert_eq!(limiter.settle(at(1000), &old, 0), Settled::Stale);
    assert!(!keeps_its_place(&mut limiter, 2000));
}

#[test]
fn each_limit_hands_out_a_hold_with_what_it_counts() {
    let bytes = LimitSpec { unit: Unit::Bytes, ..named("bytes", "service:web", token_bucket(100, "1/1h")) };
    let unlimited = named("free", "user:ann", crate::limit::RateLimitAlgorithm::Unlimited);
    let (mut limiter, ids) = limiter(&[spec("service:web", fixed(5, "1h")), bytes, unlimited]);
    let request = Request { bytes: 0, user: Some(super::support::name("ann")), ..web(2) };
    let holds = hold(&mut limiter, 0, &request).unwrap();
    let seen: Vec<_> = holds.iter().map(|hold| (hold.unit(), hold.reserved(), hold.lease())).collect();
    assert_eq!(seen, [(Unit::Requests, 2, None), (Unit::Bytes, 0, None)]);
    assert_eq!(limiter.settle(at(0), &holds[1], 30), Settled::Adjusted);
    assert_eq!(limiter.get_tokens(at(0), ids[1], None), Ok(70));
}

#[test]
#[should_panic(expected = "outdated")]
fn a_clearance_is_outdated_by_what_is_settled() {
    use crate::rate_limiter::Access;
    use crate::request::Subject;
    let (mut limiter, _) = limiter(&[spec("service:web", token_bucket(5, "1/1h"))]);
    let held = hold(&mut limiter, 0, &web(1)).unwrap()[0];
    let request = web(1);
    let subject = Subject { request: &request, group: None };
    let clearance = limiter.check(at(0), &subject, Access::Charge).unwrap();
    limiter.settle(at(0), &held, 9);
    limiter.charge(&subject, clearance);
}
