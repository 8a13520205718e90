//! Limits on what is in flight: charged with a ticket only, ended by it, never below nothing.

use super::request as plain;
use super::support::{SECOND, at, fixed, hold, in_flight, key, named, of_user, spec, token_bucket, web};
use crate::decision::{Reason, Verdict, Wait};
use crate::limit::LimitSpec;
use crate::mode::Mode;
use crate::rate_limiter::{Access, LimitError, LimitHold, LimitId, RateLimiter, Settled};
use crate::request::{Request, Subject};
use crate::scope::{KeyName, Kind};
use crate::time::Nanos;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn limiter(specs: &[LimitSpec]) -> (Box<RateLimiter<4, 16>>, Vec<LimitId>) {
    let mut limiter = Box::new(RateLimiter::new());
    let ids = specs.iter().map(|spec| limiter.add(spec).unwrap()).collect();
    (limiter, ids)
}

#[test]
fn as_many_as_the_limit_are_in_flight_whatever_they_cost() {
    let (mut limiter, ids) = limiter(&[spec("service:web", in_flight(2, "30s"))]);
    let first = hold(&mut limiter, 0, &web(500)).unwrap();
    assert_eq!((first.len(), first[0].reserved(), first[0].lease()), (1, 1, Some(Nanos(30 * SECOND))));
    let second = hold(&mut limiter, 1, &web(1)).unwrap();
    let refusal = hold(&mut limiter, 2, &web(1)).unwrap_err();
    assert_eq!((refusal.reason, refusal.retry), (Reason::OverLimit, Wait::For(Nanos(30 * SECOND))));
    assert_eq!((refusal.limit.remaining(), refusal.limit.capacity), (0, Some(2)));
    assert_eq!(limiter.settle(at(3), &second[0], 7), Settled::Released);
    let standing = limiter.standing_of(at(3), ids[0], None).unwrap();
    assert_eq!((standing.remaining(), standing.full_in()), (1, Nanos(30 * SECOND)));
    assert!(hold(&mut limiter, 4, &web(1)).is_ok());
    let stats = limiter.get_limit_stats(ids[0]).unwrap();
    assert_eq!((stats.allowed, stats.denied), (3, 1));
}

#[test]
fn what_costs_nothing_is_not_in_flight() {
    let (mut limiter, ids) = limiter(&[spec("service:web", in_flight(1, "30s"))]);
    for _ in 0..3 {
        assert_eq!(hold(&mut limiter, 0, &web(0)).unwrap(), []);
    }
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(1));
    let request = web(0);
    let subject = Subject { request: &request, group: None };
    let clearance = limiter.check(at(0), &subject, Access::Charge).unwrap();
    assert!(!clearance.needs_ticket());
    limiter.charge(&subject, clearance);
}

#[test]
fn without_a_ticket_it_is_refused_for_good_and_nothing_is_charged() {
    let limits =
        [spec("service:api", in_flight(2, "30s")), named("rate", "service:api", token_bucket(9, "1/1h"))];
    let (mut limiter, ids) = limiter(&limits);
    assert!(limiter.peek_available(at(0), &plain(1)).allowed);
    let refused = limiter.allow_request(at(0), &plain(1));
    assert_eq!((refused.allowed, refused.retry_after_ms), (false, None));
    let decision = limiter.decide_by(at(0), ids[0], None, 5).unwrap();
    assert_eq!((decision.verdict, decision.reason), (Verdict::Deny, Reason::TicketNeeded));
    assert_eq!((decision.retry, decision.limit.unwrap().remaining()), (Some(Wait::Never), 2));
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(2));
    assert_eq!(limiter.get_tokens(at(0), ids[1], None), Ok(9), "nor is what stands beside it");
    assert!(limiter.decide_by(at(0), ids[0], None, 0).unwrap().is_allowed());
}

#[test]
#[should_panic(expected = "with a ticket or not at all")]
fn a_charge_without_a_ticket_is_a_fault() {
    let (mut limiter, _) = limiter(&[spec("service:web", in_flight(2, "30s"))]);
    let request = web(1);
    let subject = Subject { request: &request, group: None };
    let clearance = limiter.check(at(0), &subject, Access::Charge).unwrap();
    assert!(clearance.needs_ticket());
    limiter.charge(&subject, clearance);
}

#[test]
fn operators_cannot_touch_what_is_in_flight() {
    let (mut limiter, ids) = limiter(&[spec("user:*", in_flight(2, "30s"))]);
    let held = hold(&mut limiter, 0, &of_user("ann")).unwrap();
    let (id, ann) = (ids[0], key(Kind::User, "ann"));
    assert_eq!(limiter.reset_bucket(id, ann), Err(LimitError::InFlight));
    assert_eq!(limiter.reset_bucket(id, None), Err(LimitError::InFlight));
    assert_eq!(limiter.drain_bucket(at(0), id, None), Err(LimitError::InFlight));
    assert_eq!(limiter.refund(at(0), id, ann, 1), Err(LimitError::InFlight));
    assert_eq!(limiter.handle_burst(at(0), id, ann, 1, Nanos(9)), Err(LimitError::InFlight));
    assert_eq!(limiter.get_tokens(at(0), id, ann), Ok(1));
    assert_eq!(limiter.settle(at(0), &held[0], 1), Settled::Released);
    assert_eq!(limiter.get_tokens(at(0), id, ann), Ok(2));
}

#[test]
fn a_smaller_limit_keeps_what_is_in_flight() {
    let (mut limiter, ids) = limiter(&[spec("service:web", in_flight(3, "30s"))]);
    let held: Vec<_> = (0..3).map(|_| hold(&mut limiter, 0, &web(1)).unwrap()[0]).collect();
    limiter.update(at(0), ids[0], &spec("service:web", in_flight(1, "5s"))).unwrap();
    for hold in &held {
        assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(0));
        assert_eq!(limiter.settle(at(0), hold, 1), Settled::Released);
    }
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(1));
}

#[test]
fn a_change_from_or_to_what_is_in_flight_begins_anew() {
    let (mut limiter, ids) = limiter(&[spec("user:*", in_flight(2, "30s"))]);
    let ann = key(Kind::User, "ann");
    let old = hold(&mut limiter, 0, &of_user("ann")).unwrap();
    limiter.update(at(0), ids[0], &spec("user:*", token_bucket(9, "1/1h"))).unwrap();
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(9));
    let level = hold(&mut limiter, 0, &Request { cost: 4, ..of_user("ann") }).unwrap();
    limiter.handle_burst(at(0), ids[0], ann, 5, Nanos(99)).unwrap();
    limiter.update(at(0), ids[0], &spec("user:*", in_flight(2, "30s"))).unwrap();
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(2));
    assert_eq!(limiter.table_stats().grants, 0);
    let new = hold(&mut limiter, 0, &of_user("ann")).unwrap();
    for stale in [old[0], level[0]] {
        assert_eq!(limiter.settle(at(0), &stale, 0), Settled::Stale);
    }
    assert_eq!(limiter.get_tokens(at(0), ids[0], ann), Ok(1));
    assert_eq!(limiter.settle(at(0), &new[0], 0), Settled::Released);
}

#[test]
fn a_key_in_flight_keeps_its_place() {
    let (mut limiter, ids) = limiter(&[spec("user:*", in_flight(2, "30s"))]);
    let ann = hold(&mut limiter, 0, &of_user("ann")).unwrap();
    for index in 0..40 {
        // Others come and go.
        let name = format!("user{index}");
        let held = hold(&mut limiter, index, &of_user(&name)).unwrap();
        assert_eq!(limiter.settle(at(index), &held[0], 1), Settled::Released);
    }
    assert_eq!(limiter.get_tokens(at(99), ids[0], key(Kind::User, "ann")), Ok(1));
    assert_eq!(limiter.settle(at(99), &ann[0], 1), Settled::Released);
    assert_eq!(limiter.get_tokens(at(99), ids[0], key(Kind::User, "ann")), Ok(2));
}

#[test]
fn a_shadow_limit_on_what_is_in_flight_is_refused() {
    let (mut limiter, ids) = limiter(&[spec("service:web", in_flight(2, "30s"))]);
    let shadow = LimitSpec { mode: Mode::Shadow, ..spec("service:web", in_flight(2, "30s")) };
    assert!(matches!(limiter.update(at(0), ids[0], &shadow), Err(LimitError::OutOfRange(_))));
    assert!(matches!(
        limiter.add(&LimitSpec { name: shadow.name, ..shadow }),
        Err(LimitError::OutOfRange(_))
    ));
}

/// Beside another limit, a refusal takes no place in flight.
#[test]
fn a_place_is_taken_with_all_other_limits_or_not_at_all() {
    let limits = [spec("service:web", in_flight(5, "30s")), named("rate", "service:web", fixed(2, "1h"))];
    let (mut limiter, ids) = limiter(&limits);
    assert_eq!(hold(&mut limiter, 0, &web(1)).unwrap().len(), 2);
    assert_eq!(hold(&mut limiter, 0, &web(1)).unwrap().len(), 2);
    assert_eq!(hold(&mut limiter, 0, &web(1)).unwrap_err().limit.limit, ids[1]);
    assert_eq!(limiter.get_tokens(at(0), ids[0], None), Ok(3));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// The model: a list of what is open, for each key.
    #[test]
    fn what_is_in_flight_equals_a_list_for_each_key(
        wildcard: bool,
        first in 1..5u64,
        steps in prop::collection::vec((0..6u8, 0..3usize, any::<usize>(), 0..3u64), 1..80),
    ) {
        let scope = if wildcard { "user:*" } else { "user:ann" };
        let (mut limiter, ids) = limiter(&[spec(scope, in_flight(first, "1s"))]);
        let (mut open, mut most, mut stale) = (Vec::<(usize, LimitHold)>::new(), first, Vec::new());
        for (now, (action, user, place, cost)) in steps.into_iter().enumerate() {
            let now = u64::try_from(now).unwrap();
            let user = if wildcard { user } else { 0 };
            let name = ["ann", "bob", "cy"][user];
            let used = |open: &[(usize, LimitHold)], user| u64::try_from(open.iter().filter(|held| held.0 == user).count()).unwrap();
            match action {
                0..=2 => {
                    let request = Request { cost, ..of_user(name) };
                    match hold(&mut limiter, now, &request) {
                        Ok(holds) => {
                            assert!(cost == 0 || used(&open, user) < most);
                            assert_eq!(holds.len(), usize::from(cost > 0));
                            open.extend(holds.into_iter().map(|hold| (user, hold)));
                        }
                        Err(_) => assert!(cost > 0 && used(&open, user) >= most),
                    }
                }
                3..=4 => {
                    if let Some(place) = place.checked_rem(open.len()) {
                        let (_, hold) = open.swap_remove(place);
                        assert_eq!(limiter.settle(at(now), &hold, cost), Settled::Released);
                    }
                }
                _ if place % 3 == 0 => {
                    // Removed and added again: what was in flight is of no account any more.
                    limiter.remove(ids[0]).unwrap();
                    assert_eq!(limiter.add(&spec(scope, in_flight(most, "1s"))), Ok(ids[0]));
                    stale.append(&mut open);
                }
                _ => {
                    most = 1 + u64::try_from(place % 5).unwrap();
                    limiter.update(at(now), ids[0], &spec(scope, in_flight(most, "1s"))).unwrap();
                }
            }
            for (_, hold) in stale.iter().take(2) {
                assert_eq!(limiter.settle(at(now), hold, 1), Settled::Stale);
            }
            for (user, name) in ["ann", "bob", "cy"].into_iter().enumerate().take(if wildcard { 3 } else { 1 }) {
                let key: Option<KeyName<'_>> = wildcard.then(|| key(Kind::User, name)).flatten();
                let left = limiter.get_tokens(at(now), ids[0], key);
                assert_eq!(left, Ok(most.saturating_sub(used(&open, user))), "{name}");
            }
        }
        for (_, hold) in open {
            assert_eq!(limiter.settle(at(9999), &hold, 1), Settled::Released);
        }
        assert_eq!(limiter.table_stats().log_entries, 0);
    }
}
