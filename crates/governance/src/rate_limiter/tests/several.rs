//! Several limits on one request: which of them match, all or none, and which one speaks.

use super::support::{
    SECOND, at, fixed, from_ip, governor, key, log, name, named, of_user, passes, remaining, retry_nanos,
    sliding, spec, token_bucket, web,
};
use crate::config::Config;
use crate::decision::{Reason, Verdict, Wait};
use crate::governor::Governor;
use crate::limit::{LimitName, LimitSpec, LimitState, RateLimitAlgorithm};
use crate::rate_limiter::{Access, LimitId, LimitStats};
use crate::request::{Request, Subject, Unit};
use crate::scope::{Kind, Scope};
use crate::time::{Instant, Nanos, Now, WallTime};

type Small = Governor<64, 64>;

/// A governor with these limits, in this order.
fn with(specs: &[LimitSpec]) -> (Box<Small>, Vec<LimitId>) {
    let mut governor = governor();
    let ids = specs.iter().map(|spec| governor.limits.add(spec).unwrap()).collect();
    (governor, ids)
}

fn in_unit(spec: LimitSpec, unit: Unit) -> LimitSpec {
    LimitSpec { unit, name: LimitName::new(&format!("{}#{}", spec.name, unit.word())).unwrap(), ..spec }
}

fn stats(governor: &Small, id: LimitId) -> LimitStats {
    governor.limits.get_limit_stats(id).unwrap()
}

const EVERY_KIND: [RateLimitAlgorithmOf; 6] = [
    |limit| token_bucket(limit, "1/1h"),
    |limit| RateLimitAlgorithm::LeakyBucket(super::support::shape(limit, "1/1h")),
    |limit| RateLimitAlgorithm::LeakyQueue(super::support::shape(limit, "1/1h")),
    |limit| fixed(limit, "1h"),
    |limit| sliding(limit, "1h"),
    |limit| log(limit, "1h"),
];

type RateLimitAlgorithmOf = fn(u64) -> RateLimitAlgorithm;

#[test]
fn a_request_that_is_refused_leaves_every_bucket_as_it_was() {
    for algorithm in EVERY_KIND {
        for refusing_first in [true, false] {
            let mut specs = [spec("service:web", algorithm(10)), spec("user:*", token_bucket(2, "1/1h"))];
            if refusing_first {
                specs.reverse();
            }
            let (mut governor, ids) = with(&specs);
            let request = Request { user: Some(name("ann")), ..web(1) };
            assert_eq!(passes(&mut governor, 0, &request, 9), 2);
            let service = governor.limits.find("service:web").unwrap();
            let user = governor.limits.find("user:*").unwrap();
            assert_eq!(governor.limits.get_tokens(at(0), service, None), Ok(8), "{specs:?}");
            assert_eq!(governor.limits.get_tokens(at(0), user, key(Kind::User, "ann")), Ok(0));
            assert_eq!(ids.len(), 2);
            let other = Request { user: Some(name("bob")), ..web(9) };
            assert_eq!(governor.admit(at(0), &other).reason, Reason::CostAboveCapacity);
            assert_eq!(governor.limits.get_tokens(at(0), user, key(Kind::User, "bob")), Ok(2));
            assert_eq!(governor.limits.get_tokens(at(0), service, None), Ok(8));
        }
    }
}

#[test]
fn every_kind_that_a_request_carries_is_matched() {
    let scopes = [
        "service:web",
        "user:ann",
        "tenant:acme",
        "ip:203.0.113.9",
        "key:k1",
        "session:s1",
        "actor:bot",
        "client:bot",
        "group:chat",
        "provider:openai",
        "route:openai:post",
    ];
    let request = Request {
        service: Some(name("web")),
        user: Some(name("ann")),
        tenant: Some(name("acme")),
        ip: Some("203.0.113.9".parse().unwrap()),
        key: Some(name("k1")),
        session: Some(name("s1")),
        actor: Some(name("bot")),
        group: Some(name("chat")),
        provider: Some(name("openai")),
        route: Some(name("OpenAI:POST")),
        ..Request::default()
    };
    for scope in scopes {
        let kind = scope.split(':').next().unwrap();
        let other = if kind == "ip" { "ip:203.0.113.8".to_string() } else { format!("{kind}:other") };
        let (mut governor, ids) =
            with(&[spec(scope, RateLimitAlgorithm::Ban), named("second", &other, token_bucket(1, "1/s"))]);
        let refused = governor.admit(at(0), &request);
        assert_eq!((refused.reason, refused.limit.unwrap().limit), (Reason::Banned, ids[0]), "{scope}");
        assert_eq!(stats(&governor, ids[1]), LimitStats::default(), "{other} is someone else");
        assert_eq!(governor.admit(at(0), &Request::default()).reason, Reason::NoLimit);
        // A wildcard matches whatever the name is.
        let (mut governor, _) = with(&[spec(&format!("{kind}:*"), token_bucket(1, "1/1h"))]);
        assert_eq!(passes(&mut governor, 0, &request, 5), 1, "{kind}:*");
    }
}

#[test]
fn an_exact_limit_replaces_the_wildcard_of_its_kind_and_unit_only() {
    let (mut governor, ids) = with(&[
        spec("user:*", token_bucket(2, "1/1h")),
        spec("user:vip", token_bucket(5, "1/1h")),
        in_unit(spec("user:*", token_bucket(100, "1/1h")), Unit::Bytes),
        spec("service:*", token_bucket(50, "1/1h")),
    ]);
    let vip = Request { user: Some(name("vip")), bytes: 10, ..web(1) };
    assert_eq!(passes(&mut governor, 0, &vip, 9), 5, "neither 2, nor 7");
    assert_eq!(stats(&governor, ids[0]).allowed, 0, "the wildcard was not asked");
    assert_eq!(stats(&governor, ids[2]).allowed, 5, "that of another unit was");
    assert_eq!(stats(&governor, ids[3]).allowed, 5, "that of another kind was");
    let large = Request { cost: 0, bytes: 51, ..vip };
    assert_eq!(governor.admit(at(0), &large).limit.unwrap().limit, ids[2], "50 bytes are left");
    assert_eq!(passes(&mut governor, 0, &of_user("ann"), 9), 2);
}

#[test]
fn several_exact_limits_of_a_scope_apply_together() {
    let (mut governor, ids) = with(&[
        named("per-second", "user:vip", token_bucket(3, "1/s")),
        named("per-hour", "user:vip", token_bucket(5, "1/1h")),
        spec("user:*", token_bucket(1, "1/1h")),
    ]);
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 9), 3);
    assert_eq!(passes(&mut governor, 10 * SECOND, &of_user("vip"), 9), 2);
    let refused = governor.admit(at(10 * SECOND), &of_user("vip"));
    assert_eq!(refused.limit.unwrap().limit, ids[1]);
}

#[test]
fn a_disabled_exact_limit_lets_the_wildcard_apply_again() {
    let (mut governor, ids) =
        with(&[spec("user:*", token_bucket(1, "1/1h")), spec("user:vip", token_bucket(5, "1/1h"))]);
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 2), 2);
    governor.limits.set_state(ids[1], LimitState::Disabled).unwrap();
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 9), 1);
    governor.limits.set_state(ids[0], LimitState::Disabled).unwrap();
    assert_eq!(governor.admit(at(0), &of_user("vip")).reason, Reason::NoLimit);
    governor.limits.set_state(ids[1], LimitState::Enabled).unwrap();
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 9), 3, "what was used before is still used");
}

#[test]
fn unlimited_replaces_the_wildcard_and_nothing_else() {
    let (mut governor, ids) = with(&[
        spec("user:*", token_bucket(1, "1/1h")),
        spec("user:vip", RateLimitAlgorithm::Unlimited),
        spec("service:web", token_bucket(4, "1/1h")),
        in_unit(spec("user:*", token_bucket(10, "1/1h")), Unit::Tokens),
    ]);
    let vip = Request { user: Some(name("vip")), ..web(1) };
    assert_eq!(passes(&mut governor, 0, &vip, 9), 4, "the service still has its limit");
    assert_eq!(governor.admit(at(0), &vip).limit.unwrap().limit, ids[2]);
    let tokens = Request { tokens: 11, cost: 0, ..of_user("vip") };
    assert_eq!(governor.admit(at(0), &tokens).retry, Some(Wait::Never), "and the tokens theirs");
    let alone = governor.admit(at(0), &of_user("vip"));
    assert_eq!((alone.verdict, alone.reason), (Verdict::Allow, Reason::WithinLimits));
    // An unlimited limit beside another one of the same scope lifts nothing.
    let (mut governor, _) = with(&[
        named("free", "user:vip", RateLimitAlgorithm::Unlimited),
        named("bound", "user:vip", token_bucket(2, "1/1h")),
    ]);
    assert_eq!(passes(&mut governor, 0, &of_user("vip"), 9), 2);
}

#[test]
fn an_unlimited_limit_alone_has_no_capacity() {
    let (mut governor, ids) = with(&[spec("user:*", RateLimitAlgorithm::Unlimited)]);
    let standing = governor.admit(at(0), &of_user("ann")).limit.unwrap();
    assert_eq!((standing.limit, standing.capacity, standing.full_in()), (ids[0], None, Nanos::ZERO));
    assert_eq!(governor.limits.table_stats().keys, 0, "it needs no bucket");
    assert!(governor.admit(at(0), &Request { cost: u64::MAX, ..of_user("ann") }).is_allowed());
}

#[test]
fn a_ban_beats_everything() {
    let (mut governor, ids) = with(&[
        spec("service:web", token_bucket(1, "1/1h")),
        named("free", "user:bad", RateLimitAlgorithm::Unlimited),
        named("ban", "user:bad", RateLimitAlgorithm::Ban),
    ]);
    let bad = |cost| Request { user: Some(name("bad")), ..web(cost) };
    for cost in [0, 1] {
        let refused = governor.admit(at(0), &bad(cost));
        assert_eq!((refused.reason, refused.retry), (Reason::Banned, Some(Wait::Never)), "cost {cost}");
        assert_eq!((refused.limit.unwrap().limit, remaining(&refused)), (ids[2], 0));
    }
    // Where another limit never lets the cost pass either, the first in the file speaks, and both count.
    for cost in [2, u64::MAX] {
        let refused = governor.admit(at(0), &bad(cost));
        assert_eq!((refused.verdict, refused.retry), (Verdict::Deny, Some(Wait::Never)));
        assert_eq!(refused.limit.unwrap().limit, ids[0]);
    }
    assert_eq!(stats(&governor, ids[2]).denied, 4);
    assert_eq!(stats(&governor, ids[0]).denied, 2, "2 and u64::MAX did not fit into 1");
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], None), Ok(1));
    let (mut governor, _) = with(&[spec("ip:*", RateLimitAlgorithm::Ban)]);
    assert_eq!(governor.admit(at(0), &from_ip("192.0.2.1")).reason, Reason::Banned);
}

#[test]
fn the_client_is_the_actor_else_the_session_else_the_address() {
    let (mut governor, _) = with(&[spec("client:*", token_bucket(1, "1/1h"))]);
    let ip = "192.0.2.1".parse().ok();
    let by_ip = Request { ip, ..Request::default() };
    let by_session = Request { session: Some(name("s")), ..by_ip };
    let by_actor = Request { actor: Some(name("a")), ..by_session };
    for request in [by_ip, by_session, by_actor] {
        assert_eq!(passes(&mut governor, 0, &request, 5), 1, "each is a client of its own");
    }
    let elsewhere = Request { ip: "192.0.2.9".parse().ok(), session: Some(name("t")), ..by_actor };
    assert_eq!(passes(&mut governor, 0, &elsewhere, 5), 0, "the same actor from elsewhere");
    let posing = Request { actor: Some(name("192.0.2.1")), ..Request::default() };
    assert_eq!(
        passes(&mut governor, 0, &posing, 5),
        1,
        "an actor with an address for a name is not that address"
    );
    assert_eq!(governor.admit(at(0), &of_user("ann")).reason, Reason::NoLimit);
    // Kinds that the request carries are matched besides.
    let (mut governor, _) =
        with(&[spec("ip:*", token_bucket(3, "1/1h")), spec("client:a", token_bucket(9, "1/1h"))]);
    assert_eq!(passes(&mut governor, 0, &by_actor, 5), 3);
}

#[test]
fn addresses_are_keyed_by_what_one_customer_has() {
    let (mut governor, _) = with(&[spec("ip:*", token_bucket(2, "1/1h"))]);
    assert_eq!(passes(&mut governor, 0, &from_ip("2001:db8:0:1::1"), 1), 1);
    assert_eq!(passes(&mut governor, 0, &from_ip("2001:db8:0:1:ffff::2"), 5), 1, "the same /64");
    assert_eq!(passes(&mut governor, 0, &from_ip("2001:db8:0:2::1"), 5), 2, "another /64");
    assert_eq!(passes(&mut governor, 0, &from_ip("192.0.2.1"), 1), 1);
    assert_eq!(
        passes(&mut governor, 0, &from_ip("::ffff:192.0.2.1"), 5),
        1,
        "an IPv4 address in IPv6 clothes"
    );
    assert_eq!(passes(&mut governor, 0, &from_ip("192.0.2.2"), 5), 2);
    let (mut governor, _) = with(&[spec("ip:2001:db8:0:1::/64", RateLimitAlgorithm::Ban)]);
    assert!(!governor.admit(at(0), &from_ip("2001:db8:0:1:a:b:c:d")).is_allowed());
    assert!(governor.admit(at(0), &from_ip("2001:db8:0:3::1")).is_allowed());
}

#[test]
fn routes_are_the_same_in_any_case() {
    let (mut governor, _) = with(&[spec("route:*", token_bucket(2, "1/1h"))]);
    let route = |route| Request { route: Some(name(route)), ..Request::default() };
    assert_eq!(passes(&mut governor, 0, &route("OpenAI:POST"), 1), 1);
    assert_eq!(passes(&mut governor, 0, &route("openai:post"), 5), 1);
    assert_eq!(governor.limits.keys().next().unwrap().name.as_str(), "openai:post");
    assert_eq!(passes(&mut governor, 0, &route("openai:get"), 5), 2);
    let user = |user| Request { user: Some(name(user)), ..Request::default() };
    let (mut governor, _) = with(&[spec("user:*", token_bucket(1, "1/1h"))]);
    assert!(governor.admit(at(0), &user("Ann")).is_allowed());
    assert!(governor.admit(at(0), &user("ann")).is_allowed(), "other names keep their case");
}

#[test]
fn a_refusal_names_the_limit_with_the_longest_wait() {
    let (mut governor, ids) = with(&[
        spec("service:web", token_bucket(1, "1/1s")),
        spec("user:*", token_bucket(1, "1/1m")),
        spec("ip:*", token_bucket(1, "1/1h")),
        spec("tenant:*", token_bucket(5, "1/1h")),
    ]);
    let request = |cost| Request {
        user: Some(name("ann")),
        tenant: Some(name("acme")),
        ip: "192.0.2.1".parse().ok(),
        ..web(cost)
    };
    assert!(governor.admit(at(0), &request(1)).is_allowed());
    let refused = governor.admit(at(0), &request(1));
    assert_eq!(refused.limit.unwrap().limit, ids[2]);
    assert_eq!(refused.retry, retry_nanos(3600 * SECOND));
    for id in &ids[..3] {
        assert_eq!(
            (stats(&governor, *id).allowed, stats(&governor, *id).denied),
            (1, 1),
            "each refusing one counts"
        );
    }
    assert_eq!(stats(&governor, ids[3]), LimitStats { allowed: 1, keys: 1, ..LimitStats::default() });
    let denied: Vec<_> = governor.limits.keys().map(|key| (key.limit, key.name, key.denied)).collect();
    assert_eq!(denied.len(), 3);
    for (limit, name, denied) in denied {
        assert_eq!(denied, u32::from(limit != ids[3]), "{name}");
    }
    // Never is longer than any time.
    let refused = governor.admit(at(0), &request(2));
    assert_eq!((refused.reason, refused.retry), (Reason::CostAboveCapacity, Some(Wait::Never)));
    assert_eq!(refused.limit.unwrap().limit, ids[0], "the first in the file of three");
}

#[test]
fn equal_waits_and_equal_rooms_go_by_the_order_of_the_file() {
    // Kinds are matched in another order than that of this file.
    let specs = [
        spec("tenant:*", token_bucket(2, "1/1h")),
        spec("user:*", token_bucket(2, "1/1h")),
        spec("service:web", token_bucket(2, "1/1h")),
    ];
    let request = Request { user: Some(name("ann")), tenant: Some(name("acme")), ..web(1) };
    for turn in 0..specs.len() {
        let mut specs = specs;
        specs.rotate_left(turn);
        let (mut governor, ids) = with(&specs);
        assert_eq!(governor.admit(at(0), &request).limit.unwrap().limit, ids[0]);
        assert_eq!(governor.peek(at(0), &request).limit.unwrap().limit, ids[0]);
        assert!(governor.admit(at(0), &request).is_allowed());
        assert_eq!(governor.admit(at(0), &request).limit.unwrap().limit, ids[0]);
    }
}

#[test]
fn an_allow_names_the_limit_with_the_least_part_left() {
    let (mut governor, ids) = with(&[
        spec("service:web", token_bucket(1000, "1/1h")),
        spec("user:*", fixed(10, "1h")),
        in_unit(spec("user:*", sliding(1_000_000, "1h")), Unit::Bytes),
    ]);
    let request = |cost, bytes| Request { user: Some(name("ann")), bytes, ..web(cost) };
    // 999/1000, 9/10, 100 %.
    assert_eq!(governor.admit(at(0), &request(1, 0)).limit.unwrap().limit, ids[1]);
    // 998/1000, 8/10, 79 %.
    let allowed = governor.admit(at(0), &request(1, 210_000));
    assert_eq!((allowed.limit.unwrap().limit, remaining(&allowed)), (ids[2], 790_000));
    // Parts that differ in the twentieth digit, of products near 2^100.
    let huge = |capacity: u64| token_bucket(capacity, "1/1h");
    let (mut governor, ids) =
        with(&[spec("service:web", huge(u64::MAX >> 8)), spec("user:*", huge((u64::MAX >> 8) - 1))]);
    let allowed = governor.admit(at(0), &request(1, 0));
    assert_eq!(allowed.limit.unwrap().limit, ids[1], "1/(n-1) is more than 1/n");
}

#[test]
fn a_path_of_the_exempt_group_is_never_limited() {
    let (mut governor, _) = with(&[spec("service:web", RateLimitAlgorithm::Ban)]);
    let mut config = Box::new(Config::new());
    config.routes.add("/healthz", "exempt").unwrap();
    config.add_limit(&spec("service:web", RateLimitAlgorithm::Ban)).unwrap();
    governor.configure(at(0), &config).unwrap();
    let decision = governor.admit(at(0), &Request { path: Some(b"/healthz"), ..web(1) });
    assert_eq!((decision.verdict, decision.reason, decision.limit), (Verdict::Allow, Reason::Exempt, None));
    assert_eq!(governor.counters().of(Reason::Exempt), 1);
    assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::Banned);
}

#[test]
fn a_caller_that_names_the_exempt_group_is_limited_like_any() {
    let (mut governor, ids) =
        with(&[spec("ip:192.0.2.1", RateLimitAlgorithm::Ban), spec("group:exempt", token_bucket(1, "1/1h"))]);
    let asked = Request { group: Some(name("exempt")), ..web(1) };
    assert_eq!(governor.admit(at(0), &asked).limit.unwrap().limit, ids[1]);
    assert_eq!(governor.admit(at(0), &asked).reason, Reason::OverLimit);
    let banned = Request { ip: "192.0.2.1".parse().ok(), ..asked };
    assert_eq!(governor.admit(at(0), &banned).reason, Reason::Banned);
}

#[test]
fn a_request_without_a_path_has_no_group_and_one_with_an_empty_path_the_default_one() {
    let (mut governor, ids) =
        with(&[spec("group:*", token_bucket(9, "1/1h")), spec("group:default", fixed(7, "1h"))]);
    assert_eq!(governor.admit(at(0), &Request { path: None, ..web(1) }).reason, Reason::NoLimit);
    let empty = governor.admit(at(0), &Request { path: Some(b""), ..web(1) });
    assert_eq!((empty.limit.unwrap().limit, remaining(&empty)), (ids[1], 6));
    let given = Request { path: Some(b"/x"), group: Some(name("chat")), ..web(1) };
    assert_eq!(governor.admit(at(0), &given).limit.unwrap().limit, ids[0], "a group that is given stands");
}

#[test]
fn each_unit_is_charged_with_its_own_amount() {
    let (mut governor, ids) = with(&[
        spec("service:web", token_bucket(100, "1/1h")),
        in_unit(spec("service:web", log(100, "1h")), Unit::Bytes),
        in_unit(spec("service:web", fixed(100, "1h")), Unit::Tokens),
    ]);
    let request = Request { bytes: 20, tokens: 0, ..web(3) };
    assert!(governor.admit(at(0), &request).is_allowed());
    let left: Vec<_> = ids.iter().map(|&id| governor.limits.get_tokens(at(0), id, None).unwrap()).collect();
    assert_eq!(left, [97, 80, 100]);
    let refused = governor.admit(at(0), &Request { bytes: 101, ..request });
    assert_eq!((refused.limit.unwrap().limit, refused.retry), (ids[1], Some(Wait::Never)));
}

#[test]
fn a_look_counts_nothing_and_adds_no_key() {
    let (mut governor, ids) =
        with(&[spec("user:*", token_bucket(1, "1/1h")), spec("service:web", RateLimitAlgorithm::Ban)]);
    for _ in 0..3 {
        assert!(governor.peek(at(0), &of_user("ann")).is_allowed());
        assert!(!governor.peek(at(0), &Request { user: Some(name("bob")), ..web(1) }).is_allowed());
        assert_eq!(governor.peek(at(0), &Request { cost: 2, ..of_user("ann") }).retry, Some(Wait::Never));
    }
    assert_eq!(governor.limits.table_stats().keys, 0);
    assert_eq!(governor.counters(), crate::governor::DecisionCounters::default());
    for id in ids {
        assert_eq!(stats(&governor, id), LimitStats::default());
    }
    assert!(governor.admit(at(0), &of_user("ann")).is_allowed());
    let looked = governor.peek(at(0), &of_user("ann"));
    assert_eq!(looked, governor.admit(at(0), &of_user("ann")));
}

#[test]
fn a_request_of_both_clocks_goes_by_the_clock_of_each_limit() {
    let (mut governor, _) =
        with(&[spec("service:web", fixed(1, "60s")), spec("user:*", token_bucket(1, "1/60s"))]);
    let request = Request { user: Some(name("ann")), ..web(1) };
    let now =
        |instant: u64, wall: u64| Now { instant: Instant(instant * SECOND), wall: WallTime(wall * SECOND) };
    assert!(governor.admit(now(5, 59), &request).is_allowed());
    let refused = governor.admit(now(6, 60), &request);
    assert_eq!(governor.limits.find("user:*"), Some(refused.limit.unwrap().limit), "the minute is over");
    assert_eq!(refused.retry, retry_nanos(59 * SECOND));
}

#[test]
fn scopes_of_names_with_separators_do_not_meet() {
    let scope = |text: &str| Scope::parse(text).unwrap();
    assert_ne!(scope("route:a:b"), scope("provider:a:b"));
    let (mut governor, _) = with(&[spec("key:a:b", RateLimitAlgorithm::Ban)]);
    let request = Request { key: Some(name("a")), user: Some(name("b")), ..Request::default() };
    assert!(governor.admit(at(0), &request).is_allowed());
    assert!(!governor.admit(at(0), &Request { key: Some(name("a:b")), ..Request::default() }).is_allowed());
}

/// 5 of 10 requests and 600 of 1000 bytes: the requests are tighter now, the bytes are once 500 of them are charged.
#[test]
fn a_look_names_the_limit_that_the_decision_will() {
    let (mut governor, ids) = with(&[
        spec("service:web", token_bucket(10, "1/1h")),
        in_unit(spec("service:web", token_bucket(1000, "1/1h")), Unit::Bytes),
    ]);
    assert!(governor.admit(at(0), &Request { bytes: 400, ..web(5) }).is_allowed());
    let request = Request { bytes: 500, ..web(1) };
    let looked = governor.peek(at(0), &request);
    assert_eq!((looked.limit.unwrap().limit, remaining(&looked)), (ids[1], 600), "as it stands");
    let decided = governor.admit(at(0), &request);
    assert_eq!((decided.limit.unwrap().limit, remaining(&decided)), (ids[1], 100), "as it was left");
}

fn subject<'a>(request: &'a Request<'a>) -> Subject<'a> {
    Subject { request, group: None }
}

#[test]
#[should_panic(expected = "the clearance is outdated")]
fn an_outdated_clearance_does_not_charge_what_another_request_matched() {
    let (mut governor, _) = with(&[spec("user:*", token_bucket(9, "1/1h"))]);
    let (ann, bob) = (of_user("ann"), of_user("bob"));
    let older = governor.limits.check(at(0), &subject(&ann), Access::Charge).unwrap();
    let _newer = governor.limits.check(at(0), &subject(&bob), Access::Charge).unwrap();
    governor.limits.charge(&subject(&ann), older);
}

#[test]
#[should_panic(expected = "the clearance is outdated")]
fn a_clearance_is_outdated_once_its_limit_is_removed() {
    let (mut governor, ids) = with(&[spec("user:*", token_bucket(9, "1/1h"))]);
    let ann = of_user("ann");
    let clearance = governor.limits.check(at(0), &subject(&ann), Access::Charge).unwrap();
    governor.limits.remove(ids[0]).unwrap();
    governor.limits.release(clearance);
}

#[test]
fn a_clearance_that_was_dropped_stands_in_nobodys_way() {
    let (mut governor, ids) = with(&[spec("user:*", token_bucket(9, "1/1h"))]);
    let (ann, bob) = (of_user("ann"), of_user("bob"));
    drop(governor.limits.check(at(0), &subject(&ann), Access::Charge));
    let clearance = governor.limits.check(at(0), &subject(&bob), Access::Charge).unwrap();
    governor.limits.charge(&subject(&bob), clearance);
    let left = |governor: &mut Small, user| governor.limits.get_tokens(at(0), ids[0], key(Kind::User, user));
    assert_eq!((left(&mut governor, "ann"), left(&mut governor, "bob")), (Ok(9), Ok(8)));
}
