//! Limits in shadow mode: they count what they would refuse, and change nothing for anybody.

use super::support::{at, fixed, governor, key, log, named, of_user, spec, token_bucket, web};
use crate::decision::{Decision, Reason, Verdict};
use crate::governor::Governor;
use crate::limit::{LimitSpec, RateLimitAlgorithm};
use crate::mode::Mode;
use crate::rate_limiter::{LimitId, LimitStats};
use crate::request::{Request, Unit};
use crate::scope::{Kind, NameRef};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn shadow(spec: LimitSpec) -> LimitSpec {
    LimitSpec { mode: Mode::Shadow, ..spec }
}

fn with<const KEYS: usize>(specs: &[LimitSpec]) -> (Box<Governor<KEYS, 64>>, Vec<LimitId>) {
    let mut governor = governor();
    let ids = specs.iter().map(|spec| governor.limits.add(spec).unwrap()).collect();
    (governor, ids)
}

fn stats<const KEYS: usize>(governor: &Governor<KEYS, 64>, id: LimitId) -> LimitStats {
    governor.limits.get_limit_stats(id).unwrap()
}

#[test]
fn a_shadow_limit_counts_what_it_would_refuse_and_refuses_nothing() {
    let (mut governor, ids) = with::<8>(&[
        shadow(named("a", "service:web", token_bucket(3, "1/1h"))),
        shadow(named("b", "service:web", RateLimitAlgorithm::Ban)),
    ]);
    for turn in 0..5 {
        let decision = governor.admit(at(turn), &web(1));
        assert_eq!(
            (decision.verdict, decision.reason, decision.limit),
            (Verdict::Allow, Reason::NoLimit, None)
        );
    }
    let (a, b) = (stats(&governor, ids[0]), stats(&governor, ids[1]));
    assert_eq!((a.allowed, a.would_deny, a.denied, a.keys), (3, 2, 0, 1));
    assert_eq!((b.allowed, b.would_deny, b.denied), (0, 5, 0));
    // It keeps a bucket, which is charged only with what has room.
    assert_eq!(governor.limits.get_tokens(at(5), ids[0], None), Ok(0));
    governor.limits.each_denied_key(|key| panic!("{key} was not refused"));
    assert_eq!(governor.limits.near_limit_notices().next(), 0, "and tells nobody");
}

#[test]
fn a_look_counts_nothing() {
    let (mut governor, ids) = with::<8>(&[shadow(spec("service:web", RateLimitAlgorithm::Ban))]);
    governor.peek(at(0), &web(1));
    assert_eq!(stats(&governor, ids[0]), LimitStats::default());
}

#[test]
fn what_is_refused_charges_no_shadow_limit() {
    let (mut governor, ids) = with::<8>(&[
        named("real", "service:web", token_bucket(1, "1/1h")),
        shadow(named("small", "service:web", token_bucket(2, "1/1h"))),
        shadow(named("tokens", "user:*", token_bucket(9, "1/1h"))),
    ]);
    let request = Request { user: NameRef::new("ann").ok(), ..web(1) };
    for turn in 0..4 {
        assert_eq!(governor.admit(at(turn), &request).is_allowed(), turn == 0);
    }
    assert_eq!(governor.limits.get_tokens(at(9), ids[1], None), Ok(1));
    assert_eq!(governor.limits.get_tokens(at(9), ids[2], key(Kind::User, "ann")), Ok(8));
    assert_eq!((stats(&governor, ids[1]).allowed, stats(&governor, ids[1]).would_deny), (1, 0));
}

#[test]
fn replacement_goes_by_mode() {
    let (mut governor, ids) = with::<8>(&[
        named("each", "user:*", token_bucket(1, "1/1h")),
        shadow(named("ann", "user:ann", token_bucket(5, "1/1h"))),
        shadow(named("each-shadow", "user:*", token_bucket(2, "1/1h"))),
        named("bob", "user:bob", RateLimitAlgorithm::Unlimited),
    ]);
    assert!(governor.admit(at(0), &of_user("ann")).is_allowed());
    let second = governor.admit(at(0), &of_user("ann"));
    assert_eq!(second.limit.unwrap().limit, ids[0], "the shadow limit hides no limit in force");
    let allowed = |governor: &Governor<8, 64>, index: usize| stats(governor, ids[index]).allowed;
    assert_eq!((allowed(&governor, 1), allowed(&governor, 2)), (1, 0), "but another shadow limit");
    for _ in 0..3 {
        assert!(governor.admit(at(0), &of_user("bob")).is_allowed());
    }
    let seen = stats(&governor, ids[2]);
    assert_eq!((seen.allowed, seen.would_deny), (2, 1), "a limit in force hides no shadow limit");
}

#[test]
fn the_mode_changes_while_the_limit_works_and_its_use_stays() {
    let limit = spec("service:web", token_bucket(3, "1/1h"));
    let (mut governor, ids) = with::<8>(&[limit]);
    governor.admit(at(0), &web(2));
    governor.limits.update(at(0), ids[0], &shadow(limit)).unwrap();
    assert_eq!(governor.admit(at(0), &web(2)).reason, Reason::NoLimit);
    assert_eq!(governor.admit(at(0), &web(1)).reason, Reason::NoLimit);
    governor.limits.update(at(0), ids[0], &limit).unwrap();
    let refused = governor.admit(at(0), &web(1));
    assert_eq!((refused.reason, refused.limit.unwrap().limit), (Reason::OverLimit, ids[0]));
    let seen = stats(&governor, ids[0]);
    assert_eq!((seen.allowed, seen.would_deny, seen.denied), (2, 1, 1));
    governor.limits.set_state(ids[0], crate::limit::LimitState::Disabled).unwrap();
    governor
        .limits
        .update(at(0), ids[0], &LimitSpec { state: crate::limit::LimitState::Disabled, ..shadow(limit) })
        .unwrap();
    governor.admit(at(0), &web(1));
    assert_eq!(stats(&governor, ids[0]), seen, "a disabled one counts nothing");
}

#[test]
fn a_shadow_queue_delays_nobody() {
    let shape = token_bucket(9, "1/1h").bucket().unwrap();
    let (mut governor, _) = with::<8>(&[shadow(spec("service:web", RateLimitAlgorithm::LeakyQueue(shape)))]);
    for _ in 0..5 {
        assert_eq!(governor.admit(at(0), &web(1)).verdict, Verdict::Allow);
    }
}

#[test]
fn a_shadow_log_leaves_a_quarter_of_the_entries_to_limits_in_force() {
    let (mut governor, ids) = with::<8>(&[
        shadow(named("shadow", "service:web", log(1000, "1h"))),
        named("real", "service:mail", log(1000, "1h")),
    ]);
    for turn in 0..60 {
        assert!(governor.admit(at(turn), &web(1)).is_allowed());
    }
    let seen = stats(&governor, ids[0]);
    assert_eq!((seen.allowed, seen.would_deny, seen.log_full), (60, 0, 12));
    let table = governor.limits.table_stats();
    assert_eq!((table.log_entries, table.log_full), (48, 0));
    for turn in 60..76 {
        let mail = Request { service: NameRef::new("mail").ok(), ..Request::default() };
        assert!(governor.admit(at(turn), &mail).is_allowed());
    }
}

#[test]
fn keys_of_shadow_limits_make_room_for_those_of_limits_in_force() {
    let (mut governor, ids) = with::<4>(&[
        shadow(named("shadow", "user:*", token_bucket(2, "1/1h"))),
        named("real", "service:*", token_bucket(2, "1/1h")),
    ]);
    let service = |name| Request { service: NameRef::new(name).ok(), ..Request::default() };
    for user in ["a", "b", "c", "d", "e"] {
        governor.admit(at(0), &of_user(user));
    }
    assert_eq!(stats(&governor, ids[0]).overflow_hits, 1);
    for name in ["p", "q", "r", "s"] {
        let looked = governor.peek(at(0), &service(name));
        let decision = governor.admit(at(0), &service(name));
        assert_eq!(looked.limit.unwrap().shared, decision.limit.unwrap().shared);
        assert_eq!(decision.limit.unwrap().shared, crate::decision::Sharing::Own, "{name}");
    }
    let table = governor.limits.table_stats();
    assert_eq!((table.keys, table.evicted_shadow, table.overflow_hits), (4, 4, 0));
    assert_eq!(stats(&governor, ids[0]).keys, 0);
}

#[test]
fn one_limit_by_itself_can_be_in_shadow_mode() {
    let (mut governor, ids) = with::<4>(&[shadow(spec("user:*", token_bucket(1, "1/1h")))]);
    for _ in 0..3 {
        let decision = governor.limits.decide_by(at(0), ids[0], key(Kind::User, "ann"), 1).unwrap();
        assert_eq!((decision.verdict, decision.reason), (Verdict::Allow, Reason::NoLimit));
    }
    assert_eq!((stats(&governor, ids[0]).allowed, stats(&governor, ids[0]).would_deny), (1, 2));
}

/// Small limits that requests meet often.
fn algorithms() -> [RateLimitAlgorithm; 5] {
    [
        token_bucket(3, "1/7ns"),
        fixed(4, "20ns"),
        super::support::sliding(3, "15ns"),
        log(5, "30ns"),
        RateLimitAlgorithm::Ban,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_decision_hangs_on_a_shadow_limit(
        places in prop::collection::vec((0..5usize, any::<bool>(), any::<bool>(), any::<bool>()), 1..8),
        requests in prop::collection::vec((0..12u64, 0..4u64, 0..3usize, 0..6u64), 1..60),
    ) {
        let specs: Vec<LimitSpec> = places.iter().enumerate().map(|(index, &(algorithm, wildcard, in_shadow, bytes))| {
            let limit = named(&format!("limit-{index}"), if wildcard { "user:*" } else { "user:ann" }, algorithms()[algorithm]);
            let limit = LimitSpec { unit: if bytes { Unit::Bytes } else { Unit::Requests }, ..limit };
            if in_shadow { shadow(limit) } else { limit }
        }).collect();
        let real: Vec<LimitSpec> = specs.iter().filter(|spec| spec.mode == Mode::Enforce).copied().collect();
        let (mut with_shadows, _) = with::<64>(&specs);
        let (mut without, _) = with::<64>(&real);
        let mut now = 0;
        for (advance, cost, user, bytes) in requests {
            now += advance;
            let name = ["ann", "bob", "cy"][user];
            let request = Request { cost, bytes, ..of_user(name) };
            let said = |governor: &mut Governor<64, 64>, decision: Decision| {
                let speaker = decision.limit.map(|standing| {
                    let name = governor.limits.get_bucket(standing.limit).unwrap().name;
                    (name, standing.remaining(), standing.full_in(), standing.shared)
                });
                (decision.verdict, decision.reason, decision.retry, speaker)
            };
            let (one, other) = (with_shadows.admit(at(now), &request), without.admit(at(now), &request));
            assert_eq!(said(&mut with_shadows, one), said(&mut without, other));
        }
    }

    #[test]
    fn a_shadow_limit_counts_what_the_same_limit_in_force_refuses(
        algorithm in 0..5usize, wildcard: bool,
        requests in prop::collection::vec((0..12u64, 0..4u64, 0..3usize), 1..60),
    ) {
        let limit = spec(if wildcard { "user:*" } else { "user:ann" }, algorithms()[algorithm]);
        let (mut real, ids) = with::<8>(&[limit]);
        let (mut in_shadow, shadow_ids) = with::<8>(&[shadow(limit)]);
        let mut now = 0;
        for (advance, cost, user) in requests {
            now += advance;
            let request = Request { cost, ..of_user(["ann", "bob", "cy"][user]) };
            real.admit(at(now), &request);
            assert!(in_shadow.admit(at(now), &request).is_allowed());
            let (real, shadow) = (stats(&real, ids[0]), stats(&in_shadow, shadow_ids[0]));
            assert_eq!((real.allowed, real.denied, real.keys), (shadow.allowed, shadow.would_deny, shadow.keys));
        }
    }
}
