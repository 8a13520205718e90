//! A limit that is named for a request.

use super::support::{at, governor, key, name, named, spec, token_bucket};
use crate::decision::Reason;
use crate::governor::Governor;
use crate::limit::LimitState;
use crate::mode::Mode;
use crate::rate_limiter::{Access, LimitId};
use crate::request::{HashedSubject, Request, Subject};
use crate::scope::Kind;

type Small = Governor<64, 64>;

/// Charges a request under the limits that match, and one more. Tells which spoke, or why not.
fn charge(governor: &mut Small, request: &Request<'_>, throttle: LimitId) -> Result<Option<LimitId>, Reason> {
    let subject = Subject { request, group: None };
    let hashed = HashedSubject::new(&subject, governor.limits.secret());
    let checked = governor.limits.check_throttled(at(0), &hashed, Access::Charge, throttle);
    let clearance = checked.map_err(|refusal| refusal.reason)?;
    Ok(governor.limits.charge(&subject, clearance).map(|standing| standing.limit))
}

#[test]
fn an_exact_limit_counts_whatever_it_is_named_for_in_its_one_bucket() {
    let mut governor: Box<Small> = governor();
    let slow = governor.limits.add(&named("slow", "group:slow", token_bucket(2, "1/1h"))).unwrap();
    for user in ["ann", "bob"] {
        let request = Request { user: Some(name(user)), ..Request::default() };
        assert_eq!(charge(&mut governor, &request, slow), Ok(Some(slow)));
    }
    assert_eq!(charge(&mut governor, &Request::default(), slow), Err(Reason::OverLimit));
    assert_eq!(governor.limits.get_limit_stats(slow).map(|stats| stats.denied), Ok(1));
    assert!(governor.admit(at(0), &Request::default()).is_allowed(), "it limits nobody by itself");
}

#[test]
fn a_wildcard_limit_counts_by_key_and_those_without_one_together() {
    let mut governor: Box<Small> = governor();
    let each = governor.limits.add(&spec("user:*", token_bucket(1, "1/1h"))).unwrap();
    let exact = governor.limits.add(&spec("user:ann", token_bucket(5, "1/1h"))).unwrap();
    let ann = Request { user: Some(name("ann")), ..Request::default() };
    // Her own limit has taken the place of the wildcard one, until that is named.
    assert!(charge(&mut governor, &ann, each).is_ok());
    assert_eq!(charge(&mut governor, &ann, each), Err(Reason::OverLimit));
    assert_eq!(governor.limits.get_tokens(at(0), exact, None), Ok(4), "all or none");
    assert_eq!(governor.limits.get_tokens(at(0), each, key(Kind::User, "ann")), Ok(0));
    assert!(charge(&mut governor, &Request::default(), each).is_ok());
    assert_eq!(charge(&mut governor, &Request::default(), each), Err(Reason::OverLimit));
}

#[test]
fn a_limit_that_matches_anyway_counts_once() {
    let mut governor: Box<Small> = governor();
    let each = governor.limits.add(&spec("user:*", token_bucket(2, "1/1h"))).unwrap();
    let ann = Request { user: Some(name("ann")), ..Request::default() };
    assert!(charge(&mut governor, &ann, each).is_ok());
    assert_eq!(governor.limits.get_tokens(at(0), each, key(Kind::User, "ann")), Ok(1));
}

#[test]
fn a_limit_that_is_not_in_force_does_not_throttle() {
    let mut governor: Box<Small> = governor();
    let spec = named("slow", "group:slow", token_bucket(1, "1/1h"));
    let slow = governor.limits.add(&spec).unwrap();
    for spec in [
        crate::limit::LimitSpec { state: LimitState::Disabled, ..spec },
        crate::limit::LimitSpec { mode: Mode::Shadow, ..spec },
    ] {
        governor.limits.update(at(0), slow, &spec).unwrap();
        for _ in 0..3 {
            assert_eq!(charge(&mut governor, &Request::default(), slow), Ok(None));
        }
    }
}
