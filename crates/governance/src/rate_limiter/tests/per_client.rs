//! Limits per client: each client has a bucket of its own under each name that the scope matches.

use super::support::{at, fixed, governor, hold, in_flight, key, log, name, named, spec, token_bucket};
use crate::decision::Sharing;
use crate::governor::Governor;
use crate::limit::{LimitDraft, LimitSpec, LimitState, Per, RateLimitAlgorithm};
use crate::mode::Mode;
use crate::rate_limiter::{Access, LimitError, LimitId, Settled};
use crate::request::{HashedSubject, Request, Subject};
use crate::scope::{BucketKey, Kind};
use crate::time::Nanos;
use std::collections::BTreeMap;

type Small = Governor<16, 64>;

fn per_client(spec: LimitSpec) -> LimitSpec {
    LimitSpec { per: Per::Client, ..spec }
}

fn of<'a>(group: &'a str, actor: &'a str) -> Request<'a> {
    Request { group: Some(name(group)), actor: Some(name(actor)), ..Request::default() }
}

fn with(limits: &[LimitSpec]) -> (Box<Small>, Vec<LimitId>) {
    let mut governor: Box<Small> = governor();
    let ids = limits.iter().map(|limit| governor.limits.add(limit).unwrap()).collect();
    (governor, ids)
}

fn client(text: &str) -> BucketKey<'_> {
    BucketKey { key: None, client: key(Kind::Client, text) }
}

fn client_of<'a>(group: &'a str, text: &'a str) -> BucketKey<'a> {
    BucketKey { key: key(Kind::Group, group), client: key(Kind::Client, text) }
}

/// How many of ten requests pass.
fn passing(governor: &mut Small, request: &Request<'_>) -> usize {
    (0..10).filter(|_| governor.admit(at(0), request).is_allowed()).count()
}

#[test]
fn one_client_does_not_use_up_the_limit_of_a_group_for_all() {
    for scope in ["group:chat", "group:*"] {
        let (mut governor, _) = with(&[per_client(spec(scope, token_bucket(3, "1/1h")))]);
        assert_eq!(passing(&mut governor, &of("chat", "eve")), 3);
        assert_eq!(passing(&mut governor, &of("chat", "ada")), 3, "eve's loop is eve's");
        let other_group = passing(&mut governor, &of("memory", "eve"));
        assert_eq!(other_group, if scope == "group:*" { 3 } else { 10 });
    }
}

#[test]
fn a_client_is_the_actor_else_the_session_else_the_address_else_nobody() {
    let (mut governor, ids) = with(&[per_client(spec("group:chat", token_bucket(1, "1/1h")))]);
    let ip = "203.0.113.9".parse().ok();
    let from =
        |actor, session, ip| Request { actor, session, ip, group: Some(name("chat")), ..Request::default() };
    for (request, passes) in [
        (from(Some(name("ada")), Some(name("s-1")), ip), true),
        (from(Some(name("ada")), Some(name("s-2")), None), false),
        (from(None, Some(name("s-1")), ip), true),
        (from(None, Some(name("s-1")), None), false),
        (from(None, None, ip), true),
        (from(None, None, ip), false),
        (from(None, None, None), true),
        (Request { user: Some(name("eve")), ..from(None, None, None) }, false),
    ] {
        assert_eq!(governor.peek(at(0), &request).is_allowed(), passes, "{request:?}");
        assert_eq!(governor.admit(at(0), &request).is_allowed(), passes, "{request:?}");
    }
    let mut names = Vec::new();
    governor.limits.each_bucket(at(0), ids[0], |view| names.push(view.key.unwrap().to_string())).unwrap();
    let session = names.remove(1);
    assert!(
        session.starts_with("chat client:#") && session.len() == "chat client:#1f2e3d4c".len(),
        "{session}"
    );
    assert_eq!(names, ["chat client:ada", "chat client:203.0.113.9", "chat client:(none)"]);
    for (text, remaining) in [("ada", 0), ("s-1", 0), ("203.0.113.9", 0), ("(none)", 0), ("bob", 1)] {
        assert_eq!(governor.limits.get_tokens(at(0), ids[0], client(text)), Ok(remaining), "{text}");
    }
}

#[test]
fn an_exact_limit_per_client_replaces_the_wildcard_and_stands_beside_others_on_its_scope() {
    let (mut governor, ids) = with(&[
        spec("group:*", token_bucket(1, "1/1h")),
        per_client(named("each", "group:chat", token_bucket(2, "1/1h"))),
        named("all", "group:chat", token_bucket(5, "1/1h")),
    ]);
    let counts = ["ada", "bob", "cy"].map(|actor| passing(&mut governor, &of("chat", actor)));
    assert_eq!(counts, [2, 2, 1], "two each, and five together");
    assert_eq!(passing(&mut governor, &of("memory", "ada")), 1);
    let keys = |id| governor.limits.get_limit_stats(id).unwrap().keys;
    assert_eq!([keys(ids[0]), keys(ids[1]), keys(ids[2])], [1, 3, 1]);
}

#[test]
fn every_algorithm_that_counts_can_count_per_client_and_no_other() {
    for algorithm in [token_bucket(2, "1/1h"), fixed(2, "1h"), super::support::sliding(2, "1h"), log(2, "1h")]
    {
        let (mut governor, _) = with(&[per_client(spec("group:*", algorithm))]);
        assert_eq!(["ada", "bob"].map(|actor| passing(&mut governor, &of("chat", actor))), [2, 2]);
    }
    for algorithm in [RateLimitAlgorithm::Ban, RateLimitAlgorithm::Unlimited] {
        let refused = per_client(spec("group:*", algorithm)).check().unwrap_err();
        let word = algorithm.word();
        assert!(
            refused.to_string().starts_with(&format!("per: does not go with algorithm {word}")),
            "{refused}"
        );
    }
}

#[test]
fn what_is_in_flight_is_counted_per_client_and_comes_back() {
    let (mut governor, _) = with(&[per_client(spec("service:web", in_flight(1, "30s")))]);
    let of = |actor| Request { service: Some(name("web")), actor: Some(name(actor)), ..Request::default() };
    let held = hold(&mut governor.limits, 0, &of("ada")).unwrap();
    assert!(hold(&mut governor.limits, 0, &of("ada")).is_err());
    assert!(hold(&mut governor.limits, 0, &of("bob")).is_ok());
    assert_eq!(governor.limits.settle(at(0), &held[0], 0), Settled::Released);
    assert!(hold(&mut governor.limits, 0, &of("ada")).is_ok());
}

#[test]
fn a_reservation_is_settled_with_the_clients_bucket() {
    let (mut governor, ids) = with(&[per_client(spec("group:chat", token_bucket(10, "1/1h")))]);
    let request = Request { cost: 8, ..of("chat", "ada") };
    let subject = Subject { request: &request, group: request.group };
    let clearance = governor.limits.check(at(0), &subject, Access::Charge).unwrap();
    let mut holds = Vec::new();
    governor.limits.charge_held(&subject, clearance, &mut |hold| holds.push(hold));
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("ada")), Ok(2));
    assert_eq!(governor.limits.settle(at(0), &holds[0], 3), Settled::Adjusted);
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("ada")), Ok(7));
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("bob")), Ok(10));
}

#[test]
fn operators_name_the_client_and_the_key_where_the_scope_leaves_it_open() {
    let (mut governor, ids) = with(&[
        per_client(spec("group:chat", token_bucket(4, "1/1h"))),
        per_client(spec("group:*", token_bucket(4, "1/1h"))),
        spec("user:*", token_bucket(4, "1/1h")),
    ]);
    let (exact, wildcard, plain) = (ids[0], ids[1], ids[2]);
    for (group, actor) in [("chat", "ada"), ("chat", "bob"), ("memory", "ada"), ("memory", "bob")] {
        assert!(governor.admit(at(0), &of(group, actor)).is_allowed());
    }
    let limits = &mut governor.limits;
    let only_key = BucketKey { key: key(Kind::Group, "memory"), client: None };
    assert_eq!(limits.refund(at(0), exact, client("ada"), 1), Ok(4));
    assert_eq!(limits.get_tokens(at(0), exact, client("bob")), Ok(3));
    assert_eq!(limits.drain_bucket(at(0), wildcard, client_of("memory", "ada")), Ok(1));
    assert_eq!(limits.get_tokens(at(0), wildcard, client_of("memory", "ada")), Ok(0));
    assert_eq!(limits.get_tokens(at(0), wildcard, client_of("memory", "bob")), Ok(3));
    assert_eq!(limits.reset_bucket(exact, None), Ok(2), "all of its clients");
    assert_eq!(limits.reset_bucket(wildcard, None), Ok(2));
    assert_eq!(limits.refund(at(0), exact, None, 1), Err(LimitError::ClientNeeded));
    assert_eq!(limits.refund(at(0), wildcard, None, 1), Err(LimitError::KeyNeeded));
    assert_eq!(limits.refund(at(0), wildcard, only_key, 1), Err(LimitError::ClientNeeded));
    assert_eq!(limits.refund(at(0), wildcard, client("ada"), 1), Err(LimitError::KeyNeeded));
    assert_eq!(limits.refund(at(0), exact, client_of("chat", "ada"), 1), Err(LimitError::NoKeys));
    assert_eq!(limits.refund(at(0), plain, client("ada"), 1), Err(LimitError::NoClients));
    assert_eq!(limits.refund(at(0), exact, client("eve"), 1), Err(LimitError::UnknownKey));
    assert_eq!(limits.handle_burst(at(0), exact, client("eve"), 6, Nanos(9)), Ok(()), "who is not known yet");
    assert_eq!(limits.get_tokens(at(0), exact, client("eve")), Ok(10));
}

#[test]
fn one_limit_by_itself_decides_by_the_client_that_is_named() {
    let (mut governor, ids) = with(&[
        per_client(spec("group:chat", token_bucket(1, "1/1h"))),
        per_client(spec("group:*", token_bucket(1, "1/1h"))),
    ]);
    let limits = &mut governor.limits;
    let mut allowed = |id, key: BucketKey<'_>| limits.decide_by(at(0), id, key, 1).map(|it| it.is_allowed());
    assert_eq!(allowed(ids[0], client("ada")), Ok(true));
    assert_eq!(allowed(ids[0], client("ada")), Ok(false));
    assert_eq!(allowed(ids[0], client("bob")), Ok(true));
    assert_eq!(allowed(ids[1], client_of("memory", "ada")), Ok(true));
    assert_eq!(allowed(ids[1], client_of("memory", "ada")), Ok(false));
    assert_eq!(allowed(ids[0], BucketKey::default()), Err(LimitError::ClientNeeded));
    assert_eq!(allowed(ids[1], client("ada")), Err(LimitError::KeyNeeded));
    assert!(!governor.admit(at(0), &of("chat", "ada")).is_allowed(), "it is the same bucket");
    assert!(!governor.admit(at(0), &of("memory", "ada")).is_allowed());
}

#[test]
fn a_live_change_keeps_what_each_client_has_used_and_cannot_change_who_has_a_bucket() {
    let limit = per_client(spec("group:chat", token_bucket(10, "1/1h")));
    let (mut governor, ids) = with(&[limit]);
    assert!(governor.admit(at(0), &Request { cost: 6, ..of("chat", "ada") }).is_allowed());
    let changed = LimitSpec { algorithm: fixed(8, "1h"), ..limit };
    governor.limits.update(at(0), ids[0], &changed).unwrap();
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("ada")), Ok(2));
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("bob")), Ok(8));
    let together = LimitSpec { per: Per::Name, ..changed };
    assert_eq!(governor.limits.update(at(0), ids[0], &together), Err(LimitError::FixedField));
    governor.limits.configure(at(0), &[changed]).unwrap();
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("ada")), Ok(2), "the same limit");
    governor.limits.configure(at(0), &[together]).unwrap();
    let id = governor.limits.find("group:chat").unwrap();
    assert_eq!(governor.limits.get_tokens(at(0), id, None), Ok(8), "another limit, which begins anew");
    assert_eq!(governor.limits.table_stats().keys, 0);
}

#[test]
fn a_shadow_limit_per_client_counts_what_it_would_refuse() {
    let limit = LimitSpec { mode: Mode::Shadow, ..per_client(spec("group:*", token_bucket(3, "1/1h"))) };
    let (mut governor, ids) = with(&[limit]);
    assert_eq!(["ada", "bob"].map(|actor| passing(&mut governor, &of("chat", actor))), [10, 10]);
    assert_eq!(governor.limits.get_limit_stats(ids[0]).unwrap().would_deny, 14);
    governor.limits.set_state(ids[0], LimitState::Disabled).unwrap();
    passing(&mut governor, &of("chat", "ada"));
    assert_eq!(governor.limits.get_limit_stats(ids[0]).unwrap().would_deny, 14);
}

#[test]
fn clients_without_a_place_share_the_overflow_bucket() {
    let mut governor: Box<Governor<1, 16>> = governor();
    let id = governor.limits.add(&per_client(spec("group:chat", token_bucket(2, "1/1h")))).unwrap();
    for (actor, passes) in [("ada", true), ("bob", true), ("cy", true), ("bob", false), ("ada", true)] {
        let decision = governor.admit(at(0), &of("chat", actor));
        let shared = decision.limit.unwrap().shared;
        assert_eq!((decision.is_allowed(), shared == Sharing::Own), (passes, actor == "ada"), "{actor}");
    }
    assert_eq!(governor.limits.get_limit_stats(id).unwrap().overflow_hits, 3);
    let mut denied = BTreeMap::new();
    governor.limits.each_denied_key(|key| assert_eq!(denied.insert(key.to_string(), key.denied), None));
    assert_eq!(denied, [("group:(overflow)".to_string(), 1)].into());
}

#[test]
fn who_was_refused_is_told_by_group_and_client_over_all_limits_per_client() {
    let (mut governor, _) = with(&[
        per_client(named("minute", "group:chat", token_bucket(1, "1/1m"))),
        per_client(named("hour", "group:chat", token_bucket(2, "1/1h"))),
        named("all", "group:chat", token_bucket(5, "1/1h")),
    ]);
    for _ in 0..3 {
        governor.admit(at(0), &of("chat", "ada"));
    }
    governor.admit(at(0), &Request { cost: 3, ..of("chat", "bob") });
    let mut denied = BTreeMap::new();
    governor.limits.each_denied_key(|key| assert_eq!(denied.insert(key.to_string(), key.denied), None));
    let expected = [("group:chat client:ada", 2), ("group:chat client:bob", 2)];
    assert_eq!(denied, expected.map(|(key, times)| (key.to_string(), times)).into());
    let last = governor.limits.near_limit_notices().since(0).last().unwrap();
    assert!(last.key.unwrap().as_str().starts_with("chat client:"));
}

#[test]
fn a_policy_throttles_by_the_client() {
    let (mut governor, ids) = with(&[per_client(spec("group:slow", token_bucket(1, "1/1h")))]);
    for (actor, passes) in [("ada", true), ("ada", false), ("bob", true)] {
        let request = Request { actor: Some(name(actor)), ..Request::default() };
        let subject = Subject { request: &request, group: None };
        let hashed = HashedSubject::new(&subject, governor.limits.secret());
        let checked = governor.limits.check_throttled(at(0), &hashed, Access::Charge, ids[0]);
        assert_eq!(checked.is_ok(), passes);
        if let Ok(clearance) = checked {
            governor.limits.charge(&subject, clearance);
        }
    }
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], client("ada")), Ok(0));
}

#[test]
fn it_is_written_and_read_in_the_words_of_a_limit() {
    let limit = per_client(spec("group:chat", token_bucket(300, "300/1m")));
    let written = "[[limit]]\nscope = \"group:chat\"\nper = \"client\"\nalgorithm = \"token-bucket\"\n\
                   capacity = 300\nrate = \"300/1m\"\n";
    assert_eq!(limit.to_string(), written);
    let mut draft = LimitDraft::from_spec(&limit);
    assert_eq!(draft.finish(), Ok(limit));
    let text = crate::field::FieldValue::Text;
    assert_eq!(draft.set("per", text("user")).unwrap_err().to_string(), "per: expected one of client");
    let fixed = draft.change("per", text("client")).unwrap_err();
    assert_eq!(fixed.to_string(), "per: cannot be changed; remove it and add another");
}
