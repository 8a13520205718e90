//! The model of the whole limiter against examples worked out by hand.

use sim::oracle::Wait;
use sim::oracle::limiter::{Counts, Limiter, Outcome, Verdict};
use sim::oracle::rule::{Algorithm, Align, Clocks, Limit, Request, Unit};

const SECOND: u64 = 1_000_000_000;

fn bucket(capacity: u64) -> Algorithm {
    Algorithm::TokenBucket { capacity, tokens: 1, per_ns: SECOND }
}

fn window(limit: u64, seconds: u64) -> Algorithm {
    Algorithm::FixedWindow { limit, window_ns: seconds * SECOND, align: Align::Clock }
}

fn limiter(limits: &[Limit]) -> Limiter {
    Limiter::new(limits.to_vec(), |_, _| 0)
}

fn by(user: &str) -> Request {
    Request { user: Some(user.to_owned()), service: Some("web".to_owned()), ..Request::default() }
}

fn decide(limiter: &mut Limiter, second: u64, request: &Request) -> Outcome {
    limiter.decide(Clocks::both(second * SECOND), request)
}

fn denied_by(outcome: &Outcome) -> (&str, Wait) {
    match &outcome.verdict {
        Verdict::Deny { limit, retry } => (limit, *retry),
        Verdict::Allow { .. } => panic!("allowed: {outcome:?}"),
    }
}

#[test]
fn a_refused_request_is_charged_nowhere() {
    let mut limiter = limiter(&[Limit::on("service:web", bucket(3)), Limit::on("user:*", bucket(1))]);
    assert!(decide(&mut limiter, 0, &by("ann")).allowed());
    for _ in 0..5 {
        assert_eq!(decide(&mut limiter, 0, &by("ann")).refusing, ["user:*"]);
    }
    assert!(decide(&mut limiter, 0, &by("bob")).allowed());
    assert!(decide(&mut limiter, 0, &by("cid")).allowed());
    assert_eq!(decide(&mut limiter, 0, &by("dan")).refusing, ["service:web"]);
    assert_eq!(limiter.meter("user:*", "dan").unwrap().remaining(Clocks::both(0)), 1);
    assert_eq!(limiter.counts("service:web"), Counts { allowed: 3, denied: 1, keys: 1 });
    assert_eq!(limiter.counts("user:*"), Counts { allowed: 3, denied: 5, keys: 4 });
    assert_eq!(limiter.top_denied(10), [("user:ann".to_owned(), 5), ("service:web".to_owned(), 1)]);
    assert_eq!(limiter.top_denied(1).len(), 1);
}

#[test]
fn a_denial_names_the_limit_that_refuses_longest_and_counts_for_each() {
    let mut limiter = limiter(&[
        Limit::on("service:web", bucket(1)),
        Limit::on("user:*", window(1, 60)),
        Limit::on("user:*", window(1, 60)).named("again"),
    ]);
    decide(&mut limiter, 5, &by("ann"));
    let outcome = decide(&mut limiter, 5, &by("ann"));
    assert_eq!(denied_by(&outcome), ("user:*", Wait::Nanos(55 * SECOND)));
    assert_eq!(outcome.refusing, ["service:web", "user:*", "again"]);
    assert_eq!(outcome.matched, outcome.refusing);
    assert_eq!(limiter.counts("service:web").denied, 1);
    let costly = Request { cost: 2, ..by("ann") };
    assert_eq!(denied_by(&decide(&mut limiter, 5, &costly)), ("service:web", Wait::Never));
}

#[test]
fn never_is_longer_than_any_time() {
    let mut limiter = limiter(&[
        Limit::on("user:*", Algorithm::TokenBucket { capacity: 5, tokens: 1, per_ns: u64::MAX >> 8 }),
        Limit::on("service:*", Algorithm::Ban),
    ]);
    assert_eq!(denied_by(&decide(&mut limiter, 0, &by("ann"))), ("service:*", Wait::Never));
}

#[test]
fn a_ban_of_one_kind_beats_whatever_the_others_say() {
    let limits = [
        Limit::on("user:ann", Algorithm::Unlimited),
        Limit::on("user:*", bucket(1)),
        Limit::on("service:web", Algorithm::Ban).counting(Unit::Bytes),
    ];
    let mut limiter = limiter(&limits);
    for (user, cost) in [("ann", 0), ("ann", 1), ("bob", 1)] {
        let outcome = decide(&mut limiter, 0, &Request { cost, ..by(user) });
        assert_eq!(denied_by(&outcome), ("service:web#bytes", Wait::Never));
    }
    limiter.set_enabled("service:web#bytes", false);
    assert!(decide(&mut limiter, 0, &by("ann")).allowed());
}

#[test]
fn unlimited_replaces_only_the_limits_of_its_kind_and_unit() {
    let mut limiter = limiter(&[
        Limit::on("user:*", bucket(1)),
        Limit::on("user:ann", Algorithm::Unlimited),
        Limit::on("user:*", bucket(10)).counting(Unit::Tokens),
        Limit::on("service:web", bucket(3)),
    ]);
    let ann = Request { tokens: 4, ..by("ann") };
    assert_eq!(decide(&mut limiter, 0, &ann).matched, ["user:ann", "user:*#tokens", "service:web"]);
    assert!(decide(&mut limiter, 0, &ann).allowed());
    assert_eq!(decide(&mut limiter, 0, &ann).refusing, ["user:*#tokens"]);
    let light = Request { tokens: 0, ..by("ann") };
    assert!(decide(&mut limiter, 0, &light).allowed());
    assert_eq!(decide(&mut limiter, 0, &light).refusing, ["service:web"]);
}

#[test]
fn each_unit_is_charged_its_own_amount() {
    let mut limiter = limiter(&[
        Limit::on("user:*", bucket(10)),
        Limit::on("user:*", bucket(1000)).counting(Unit::Bytes),
        Limit::on("user:*", bucket(100)).counting(Unit::Tokens),
    ]);
    let request = Request { cost: 2, bytes: 300, tokens: 30, ..by("ann") };
    assert!(decide(&mut limiter, 0, &request).allowed());
    let remaining =
        ["user:*", "user:*#bytes", "user:*#tokens"].map(|limit| limiter.meter(limit, "ann").unwrap().clone());
    assert_eq!(remaining.map(|meter| meter.remaining(Clocks::both(0))), [8, 700, 70]);
    assert_eq!(limiter.tightest(Clocks::both(0), &request).unwrap().name, "user:*#bytes");
}

#[test]
fn an_exempt_request_meets_no_limit() {
    let mut limiter = limiter(&[Limit::on("user:*", Algorithm::Ban), Limit::on("group:*", bucket(1))]);
    let request = Request { group: Some("exempt".to_owned()), exempt: true, ..by("ann") };
    let outcome = decide(&mut limiter, 0, &request);
    assert!(outcome.allowed() && outcome.matched.is_empty());
    assert_eq!(limiter.counts("group:*"), Counts::default());
    let named = Request { exempt: false, ..request };
    assert!(!decide(&mut limiter, 0, &named).allowed(), "a name alone exempts nobody");
}

#[test]
fn a_request_waits_for_the_slowest_of_its_queues() {
    let queue = |per_ns| Algorithm::LeakyQueue { capacity: 9, tokens: 1, per_ns };
    let mut limiter =
        limiter(&[Limit::on("user:*", queue(SECOND)), Limit::on("service:*", queue(2 * SECOND))]);
    for seconds in [0, 2, 4] {
        let outcome = decide(&mut limiter, 0, &by("ann"));
        assert_eq!(outcome.verdict, Verdict::Allow { delay_ns: seconds * SECOND });
    }
    let outcome = decide(&mut limiter, 0, &by("bob"));
    assert_eq!(outcome.verdict, Verdict::Allow { delay_ns: 6 * SECOND });
}

#[test]
fn disabling_keeps_what_was_used_and_resetting_forgets_it() {
    let mut limiter = limiter(&[Limit::on("user:*", bucket(2))]);
    decide(&mut limiter, 0, &by("ann"));
    limiter.set_enabled("user:*", false);
    assert!(decide(&mut limiter, 0, &Request { cost: 9, ..by("ann") }).allowed());
    limiter.set_enabled("user:*", true);
    assert!(!decide(&mut limiter, 0, &Request { cost: 2, ..by("ann") }).allowed());
    limiter.reset("user:*");
    assert!(decide(&mut limiter, 0, &Request { cost: 2, ..by("ann") }).allowed());
}

#[test]
fn a_changed_limit_holds_for_names_old_and_yet_to_come() {
    let mut limiter = limiter(&[Limit::on("user:*", bucket(2))]);
    decide(&mut limiter, 0, &by("ann"));
    limiter.change(Clocks::both(0), "user:*", bucket(5));
    let remaining =
        |limiter: &Limiter, user| limiter.meter("user:*", user).unwrap().remaining(Clocks::both(0));
    assert_eq!(remaining(&limiter, "ann"), 4);
    decide(&mut limiter, 0, &by("bob"));
    assert_eq!(remaining(&limiter, "bob"), 4);
}
