//! Defects that were found in other limiters, one test each: what went wrong there must not go wrong here.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::config::Identity;
use governance::decision::{Reason, Sharing, Verdict, Wait};
use governance::field::{FieldValue, Problem};
use governance::governor::Governor;
use governance::limit::{LimitDraft, LimitSpec};
use governance::rate_limiter::LimitId;
use governance::request::Request;
use governance::scope::{KeyName, Kind, NameRef, ScopeError};
use governance::time::{Instant, Nanos, Now, WallTime};

const SECOND: u64 = 1_000_000_000;

type Small = Governor<64, 64>;

fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

/// A limit from the words that a user writes, which is where bad values come in.
fn draft(fields: &[(&str, FieldValue<'_>)]) -> Result<LimitSpec, Problem> {
    let mut draft = LimitDraft::default();
    for (field, value) in fields {
        draft.set(field, *value).map_err(|error| error.problem)?;
    }
    draft.finish().map_err(|error| error.problem)
}

fn bucket(scope: &str, capacity: i64, rate: &str) -> Result<LimitSpec, Problem> {
    draft(&[
        ("scope", FieldValue::Text(scope)),
        ("algorithm", FieldValue::Text("token-bucket")),
        ("capacity", FieldValue::Integer(capacity)),
        ("rate", FieldValue::Text(rate)),
    ])
}

fn fixed_window(scope: &str, limit: i64, window: &str) -> LimitSpec {
    draft(&[
        ("scope", FieldValue::Text(scope)),
        ("algorithm", FieldValue::Text("fixed-window")),
        ("limit", FieldValue::Integer(limit)),
        ("window", FieldValue::Text(window)),
    ])
    .unwrap()
}

fn governor(specs: &[LimitSpec]) -> (Box<Small>, Vec<LimitId>) {
    let mut governor = Box::new(Small::new());
    let ids = specs.iter().map(|spec| governor.limits.add(spec).unwrap()).collect();
    (governor, ids)
}

fn web(cost: u64) -> Request<'static> {
    Request { service: NameRef::new("web").ok(), cost, ..Request::default() }
}

fn user(name: &str) -> Request<'_> {
    Request { user: Some(NameRef::new(name).unwrap()), ..Request::default() }
}

fn passes(governor: &mut Small, now: u64, request: &Request<'_>, most: usize) -> usize {
    (0..most).filter(|_| governor.admit(at(now), request).is_allowed()).count()
}

/// throttlecrab clamps its arrival time to the past, and not to now: after 15 s of idling 15 to 17 of a burst of 10
/// were admitted.
#[test]
fn an_idle_key_gets_its_burst_and_not_more() {
    for idle in [1, 8, 15, 16, 17, 100, 1_000_000] {
        let (mut governor, _) = governor(&[bucket("service:web", 10, "1/s").unwrap()]);
        assert_eq!(passes(&mut governor, 0, &web(1), 1), 1);
        assert_eq!(passes(&mut governor, idle * SECOND, &web(1), 50), 10, "after {idle} s");
    }
}

/// throttlecrab keeps a key for a time that follows from its burst: with a burst of 1 that was no time at all, and
/// the key was never limited. traefik forgets after 2 s whatever the burst is.
#[test]
fn a_debt_is_not_forgotten_before_it_is_paid() {
    let (mut governor, _) = governor(&[bucket("service:web", 1, "1/1h").unwrap()]);
    assert_eq!(passes(&mut governor, 0, &web(1), 10), 1);
    for second in [1, 2, 3, 60, 3599] {
        assert_eq!(passes(&mut governor, second * SECOND, &web(1), 10), 0, "after {second} s");
    }
    assert_eq!(passes(&mut governor, 3600 * SECOND, &web(1), 10), 1);
}

/// One request of throttlecrab with these numbers stopped its limiter for everybody; redis-cell took the whole
/// server with it, and later wrapped and denied wrongly.
#[test]
fn large_numbers_neither_stop_the_limiter_nor_wrap() {
    // Burst 4e9, 1 per 1e12 s: beyond what can be expressed, and so refused where it is written.
    assert!(bucket("service:web", 4_000_000_000, "1/1000000000000s").is_err());
    assert_eq!(bucket("service:web", i64::MAX, "1/213503d"), Err(Problem::ProductTooLarge));
    let (mut governor, ids) = governor(&[bucket("service:web", i64::MAX, "1/s").unwrap()]);
    let capacity = i64::MAX.unsigned_abs();
    let decision = governor.admit(at(0), &web(1));
    assert_eq!(decision.limit.unwrap().capacity, Some(capacity));
    assert_eq!(decision.limit.unwrap().remaining(), capacity - 1);
    assert_eq!(governor.admit(at(0), &web(u64::MAX)).retry, Some(Wait::Never));
    assert_eq!(governor.admit(at(0), &web(capacity)).retry, Some(Wait::For(Nanos(SECOND))));
    assert_eq!(governor.limits.get_tokens(at(u64::MAX), ids[0], None), Ok(capacity));
}

/// throttlecrab cuts its burst to 32 bits: 2^32 + 1 was unlimited, 2^32 + 2 was 2.
#[test]
fn a_capacity_above_32_bits_is_that_capacity() {
    for capacity in [(1_i64 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 32) + 2] {
        let (mut governor, _) = governor(&[bucket("service:web", capacity, "1/1h").unwrap()]);
        assert!(governor.admit(at(0), &web(capacity.unsigned_abs())).is_allowed());
        assert!(!governor.admit(at(0), &web(1)).is_allowed());
    }
}

/// throttlecrab, redis-cell and governor compute with whole nanoseconds a token: 700 M/s became 43 % more, and from
/// 1.0e9 + 1 a second on there was no limit.
#[test]
fn a_rate_above_one_a_nanosecond_is_that_rate() {
    for rate in [700_000_000_u64, 1_000_000_001, 1_250_000_000] {
        let (mut governor, ids) = governor(&[bucket("service:web", 10, &format!("{rate}/1s")).unwrap()]);
        let mut admitted = 0;
        for now in 0..=100_000 {
            let left = governor.limits.get_tokens(at(now), ids[0], None).unwrap();
            assert!(governor.admit(at(now), &web(left)).is_allowed());
            admitted += left;
        }
        assert_eq!(admitted, 10 + rate / 10_000, "in 100 us at {rate}/s");
    }
}

/// nginx keeps its rate in thousandths a second: 1 a minute became 0.96.
#[test]
fn a_slow_rate_is_not_rounded() {
    let (mut governor, _) = governor(&[bucket("service:web", 1, "1/1m").unwrap()]);
    for minute in 0..10_000 {
        assert_eq!(passes(&mut governor, minute * 60 * SECOND, &web(1), 2), 1, "minute {minute}");
        assert_eq!(passes(&mut governor, (minute + 1) * 60 * SECOND - 1, &web(1), 2), 0);
    }
}

/// A rate or a period of zero let everything pass in redis-cell, traefik and Go's rate package.
#[test]
fn zero_is_an_error_and_never_unlimited() {
    for (capacity, rate) in [(0, "1/s"), (1, "0/s"), (1, "1/0s"), (0, "0/0s")] {
        assert_eq!(bucket("service:web", capacity, rate), Err(Problem::Zero), "{capacity}, {rate}");
    }
    let window = |limit, window| {
        draft(&[
            ("scope", FieldValue::Text("service:web")),
            ("algorithm", FieldValue::Text("sliding-window")),
            ("limit", FieldValue::Integer(limit)),
            ("window", FieldValue::Text(window)),
        ])
    };
    assert_eq!(window(0, "1s"), Err(Problem::Zero));
    assert_eq!(window(1, "0s"), Err(Problem::Zero));
}

/// gubernator takes a negative cost as a refund beyond the limit. Costs have no sign here, a refund is an act of its
/// own, and it gives back no more than was used.
#[test]
fn a_refund_never_exceeds_what_was_used() {
    assert_eq!(bucket("service:web", -1, "1/s"), Err(Problem::Negative));
    let (mut governor, ids) = governor(&[bucket("service:web", 10, "1/1h").unwrap()]);
    assert_eq!(passes(&mut governor, 0, &web(1), 3), 3);
    assert_eq!(governor.limits.refund(at(0), ids[0], None, 100), Ok(10));
    assert_eq!(passes(&mut governor, 0, &web(1), 50), 10);
}

/// throttlecrab said "retry in 6 s" to a cost that could never pass.
#[test]
fn a_cost_above_the_capacity_is_told_never() {
    let (mut governor, _) = governor(&[bucket("service:web", 5, "1/s").unwrap()]);
    let refused = governor.admit(at(0), &web(6));
    assert_eq!((refused.reason, refused.retry), (Reason::CostAboveCapacity, Some(Wait::Never)));
}

/// throttlecrab and redis-cell rounded down and said "retry in 0 s" to a request that they had just refused.
#[test]
fn a_retry_time_is_long_enough() {
    let (mut governor, _) = governor(&[bucket("service:web", 1, "3/1s").unwrap()]);
    let mut now = 0;
    for _ in 0..1000 {
        assert!(governor.admit(at(now), &web(1)).is_allowed(), "at the time that was named");
        let Some(Wait::For(wait)) = governor.admit(at(now), &web(1)).retry else { panic!("there is a time") };
        assert!(wait.0 > 0 && wait.as_millis_ceil() > 0);
        now += wait.0;
    }
}

/// redis-cell and governor once let a burst of one more through than was configured; nginx admits 6 with burst 5.
#[test]
fn a_burst_is_not_one_more() {
    for capacity in 1..=20 {
        let (mut governor, _) = governor(&[bucket("service:web", capacity, "1/1h").unwrap()]);
        assert_eq!(passes(&mut governor, 0, &web(1), 50), usize::try_from(capacity).unwrap());
    }
}

/// nginx gave credit for a clock that went back, limitador panicked before 1970, another locked its users out.
#[test]
fn a_clock_that_goes_back_neither_pays_nor_locks_out() {
    for spec in [bucket("service:web", 5, "1/s").unwrap(), fixed_window("service:web", 5, "5s")] {
        let (mut governor, _) = governor(&[spec]);
        let noon = 43_200 * SECOND;
        assert_eq!(passes(&mut governor, noon, &web(1), 9), 5);
        for back in [1, 30 * SECOND, 60 * SECOND, 61 * SECOND, noon] {
            let refused = governor.admit(at(noon - back), &web(1));
            assert_eq!(refused.verdict, Verdict::Deny);
            assert!(matches!(refused.retry, Some(Wait::For(wait)) if wait.0 <= 5 * SECOND));
        }
        assert_eq!(passes(&mut governor, noon + 5 * SECOND, &web(1), 9), 5);
    }
}

/// Counters that leapt when a thread changed processors (Pulsar) and clocks that jump ahead pay one burst at most.
#[test]
fn a_clock_that_jumps_ahead_pays_one_burst() {
    let (mut governor, _) = governor(&[bucket("service:web", 5, "1000000/1s").unwrap()]);
    for now in [0, 400 * 86_400 * SECOND, u64::MAX] {
        assert_eq!(passes(&mut governor, now, &web(1), 50), 5);
    }
}

/// A wall clock that is set back reopened a window that had been used up.
#[test]
fn a_window_that_is_over_never_opens_again() {
    let mut spec = fixed_window("service:web", 3, "1d");
    let mut aligned = LimitDraft::from_spec(&spec);
    aligned.set("align", FieldValue::Text("clock")).unwrap();
    spec = aligned.finish().unwrap();
    let (mut governor, _) = governor(&[spec]);
    let day = 86_400 * SECOND;
    let now = |wall: u64| Now { instant: Instant(5), wall: WallTime(wall) };
    let admitted = |governor: &mut Small, wall: u64| {
        (0..9).filter(|_| governor.admit(now(wall), &web(1)).is_allowed()).count()
    };
    assert_eq!(admitted(&mut governor, 10 * day), 3);
    assert_eq!(admitted(&mut governor, 10 * day - 1), 0, "yesterday");
    assert_eq!(admitted(&mut governor, 10 * day), 0, "and today again");
    assert_eq!(admitted(&mut governor, 11 * day), 3);
}

/// Envoy's limit service counts a request on the first of two limits although the second refuses it.
#[test]
fn a_request_refused_by_one_limit_is_charged_to_none() {
    let (mut governor, ids) =
        governor(&[bucket("service:web", 100, "1/1h").unwrap(), bucket("user:*", 1, "1/1h").unwrap()]);
    let request = Request { user: NameRef::new("ann").ok(), ..web(1) };
    assert_eq!(passes(&mut governor, 0, &request, 50), 1);
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], None), Ok(99));
}

/// Kong counts a request in its log phase, after others have passed the same check.
#[test]
fn a_decision_that_allows_has_charged() {
    let (mut governor, ids) = governor(&[bucket("service:web", 3, "1/1h").unwrap()]);
    for left in (0..3).rev() {
        assert_eq!(governor.admit(at(0), &web(1)).limit.unwrap().remaining(), left);
        assert_eq!(governor.limits.get_tokens(at(0), ids[0], None), Ok(left));
    }
}

/// Kong and Envoy count refused requests too: a client that retries is blocked forever.
#[test]
fn refused_requests_do_not_count_against_the_client() {
    for algorithm in ["fixed-window", "sliding-window", "sliding-log"] {
        let spec = draft(&[
            ("scope", FieldValue::Text("service:web")),
            ("algorithm", FieldValue::Text(algorithm)),
            ("limit", FieldValue::Integer(10)),
            ("window", FieldValue::Text("10s")),
        ])
        .unwrap();
        let (mut governor, _) = governor(&[spec]);
        assert_eq!(passes(&mut governor, 0, &web(1), 10), 10);
        for tenth in 1..200 {
            passes(&mut governor, tenth * SECOND / 10, &web(11), 3);
        }
        assert_eq!(passes(&mut governor, 40 * SECOND, &web(1), 20), 10, "{algorithm}");
    }
}

/// limitador pushed live counters out of its full cache: the victim of a flood got its limit a second time. Others
/// refused everybody, or evicted the oldest.
#[test]
fn a_full_table_neither_forgets_debtors_nor_refuses_everybody() {
    let (mut governor, _) = governor(&[bucket("user:*", 5, "1/1h").unwrap()]);
    assert_eq!(passes(&mut governor, 0, &user("victim"), 9), 5);
    for index in 0..5_000 {
        let name = format!("flood{index}");
        let decision = governor.admit(at(1), &user(&name));
        if index < 63 {
            assert_eq!((decision.is_allowed(), decision.limit.unwrap().shared), (true, Sharing::Own));
        } else {
            assert_eq!(decision.limit.unwrap().shared, Sharing::Overflow);
        }
    }
    assert_eq!(passes(&mut governor, 2, &user("victim"), 9), 0);
    let table = governor.limits.table_stats();
    assert_eq!((table.evicted_fresh, table.overflow_hits), (0, 5_000 - 63));
}

/// Forged X-Forwarded-For entries gave a client as many buckets as it liked.
#[test]
fn forwarded_addresses_of_strangers_do_not_count() {
    let identity = Identity::default();
    let peer = "192.0.2.7".parse().ok();
    for forged in ["1.1.1.1", "2.2.2.2, 3.3.3.3"] {
        let header = |name: &str| (name == "X-Forwarded-For").then_some(forged);
        assert_eq!(identity.identify(peer, header).unwrap().ip, peer);
    }
}

/// An empty key put all who had none into one bucket (traefik); very long ones filled the memory.
#[test]
fn an_empty_or_overlong_name_is_an_error() {
    assert_eq!(NameRef::new(""), Err(ScopeError::EmptyName));
    assert_eq!(NameRef::new(&"x".repeat(65)), Err(ScopeError::LongName { bytes: 65 }));
    let header = |name: &str| (name == "X-Actor").then_some("  ");
    let mut identity = Identity::default();
    identity.add_actor_header("X-Actor").unwrap();
    assert_eq!(identity.identify(None, header), Err(ScopeError::EmptyName));
}

/// A customer with an IPv6 network has 2^64 addresses, and as many buckets where each has one.
#[test]
fn an_ipv6_network_is_one_key() {
    let (mut governor, _) = governor(&[bucket("ip:*", 3, "1/1h").unwrap()]);
    let admitted = (0..1000)
        .filter(|host| {
            let ip = format!("2001:db8:1:2::{host:x}").parse().ok();
            governor.admit(at(0), &Request { ip, ..Request::default() }).is_allowed()
        })
        .count();
    assert_eq!(admitted, 3);
}

/// Envoy joins the parts of a key by `_` without escaping, so that ("a_b", "c") and ("a", "b_c") share a counter.
#[test]
fn keys_with_separators_in_their_names_do_not_meet() {
    let spec = bucket("user:*", 1, "1/1h").unwrap();
    let mut second = bucket("tenant:*", 1, "1/1h").unwrap();
    second.name = governance::limit::LimitName::new("tenants").unwrap();
    let (mut governor, ids) = governor(&[spec, second]);
    for name in ["a", "a:", "a:b", ":a", "a_b", "a b"] {
        assert_eq!(passes(&mut governor, 0, &user(name), 3), 1, "user {name:?}");
        let tenant = Request { tenant: Some(NameRef::new(name).unwrap()), ..Request::default() };
        assert_eq!(passes(&mut governor, 0, &tenant, 3), 1, "tenant {name:?}");
    }
    let name = KeyName::parse(Kind::User, "a").unwrap();
    assert_eq!(governor.limits.get_tokens(at(0), ids[0], Some(name)), Ok(0));
}

/// Windows that begin at the same time for everybody let all clients come back at once.
#[test]
fn windows_of_different_keys_do_not_begin_together() {
    let (mut governor, _) = governor(&[fixed_window("user:*", 1, "1h")]);
    let mut waits: Vec<_> = (0..60)
        .map(|index| {
            let name = format!("user{index}");
            assert!(governor.admit(at(86_400 * SECOND), &user(&name)).is_allowed());
            governor.admit(at(86_400 * SECOND), &user(&name)).retry
        })
        .collect();
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 60, "no two end at the same nanosecond");
}

/// gubernator gives what a larger limit has more (or a full burst) to whoever changes it.
#[test]
fn a_live_change_is_no_refill() {
    let (mut governor, ids) = governor(&[bucket("service:web", 10, "1/1h").unwrap()]);
    assert_eq!(passes(&mut governor, 0, &web(1), 50), 10);
    for (capacity, left) in [(12, 2), (10, 0), (3, 0), (10, 7)] {
        // From 3 on, what was used beyond is forgotten: 3 are used.
        governor.limits.update(at(0), ids[0], &bucket("service:web", capacity, "1/1h").unwrap()).unwrap();
        assert_eq!(governor.limits.get_tokens(at(0), ids[0], None), Ok(left), "capacity {capacity}");
    }
}

/// A service answered "healthy" while its limiter was dead: after every bad argument a decision still works.
#[test]
fn no_bad_argument_stops_the_limiter() {
    let (mut governor, ids) = governor(&[bucket("user:*", 2, "1/1h").unwrap()]);
    let id = ids[0];
    let nobody = || Some(KeyName::parse(Kind::User, "nobody").unwrap());
    assert!(governor.limits.refund(at(0), id, nobody(), u64::MAX).is_err());
    assert!(governor.limits.reset_bucket(id, nobody()).is_err());
    assert!(governor.limits.drain_bucket(at(0), id, nobody()).is_err());
    assert!(governor.limits.handle_burst(at(0), id, nobody(), u64::MAX, Nanos::MAX).is_err());
    assert!(governor.limits.update_rate(at(0), id, governance::units::Rate::default()).is_err());
    assert!(governor.limits.add(&LimitSpec::default()).is_err(), "a limit without a name");
    governor.admit(at(u64::MAX), &Request { cost: u64::MAX, bytes: u64::MAX, tokens: u64::MAX, ..user("x") });
    assert_eq!(passes(&mut governor, 0, &user("ann"), 9), 2);
}

/// A limit that lists how often it was hit by every key ever seen grows without bound: counters are per key in the
/// table, and the table does not grow.
#[test]
fn counting_refusals_takes_no_memory() {
    let (mut governor, _) = governor(&[bucket("user:*", 1, "1/1h").unwrap()]);
    for index in 0..10_000 {
        governor.admit(at(0), &Request { cost: 2, ..user(&format!("user{index}")) });
    }
    assert!(governor.limits.keys().count() <= 64);
    assert_eq!(governor.counters().denied, 10_000);
}
