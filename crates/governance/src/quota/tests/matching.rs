//! Which quotas match a request, which of them speaks, and what a shadow does.

use super::support::{
    DAY, Small, admit, amounts, at, hold, key, look, name, of_tenant, of_user, passes, usage, with,
};
use crate::quota::{QuotaId, QuotaStats};
use crate::rate_limiter::Access;
use crate::request::{Request, Subject};
use crate::scope::{Kind, NameRef};

fn stats(manager: &Small, id: QuotaId) -> QuotaStats {
    manager.get_quota_stats(id).unwrap()
}

#[test]
fn every_kind_that_a_request_carries_is_matched() {
    let request = Request {
        service: Some(name("web")),
        user: Some(name("ann")),
        tenant: Some(name("acme")),
        ip: Some("203.0.113.9".parse().unwrap()),
        key: Some(name("k1")),
        session: Some(name("s1")),
        actor: Some(name("bot")),
        provider: Some(name("openai")),
        route: Some(name("OpenAI:POST")),
        ..Request::default()
    };
    let subject = Subject { request: &request, group: NameRef::new("chat").ok() };
    for scope in [
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
    ] {
        let kind = scope.split(':').next().unwrap();
        let other = if kind == "ip" { "ip:203.0.113.8".to_string() } else { format!("{kind}:other") };
        for scope in [scope.to_string(), format!("{kind}:*")] {
            let words = [format!("{scope} 1 daily name=first"), format!("{other} 1 daily name=second")];
            let (mut manager, ids) = with::<64>(&[words[0].as_str(), words[1].as_str()]);
            let mut admit = || {
                let clearance = manager.check(at(0), &subject, &amounts(&request), Access::Charge)?;
                Ok::<_, crate::quota::QuotaRefusal>(manager.charge(clearance))
            };
            assert_eq!(admit().unwrap().unwrap().id, ids[0], "{scope}");
            assert_eq!(admit().unwrap_err().quota.id, ids[0], "{scope}");
            assert_eq!(stats(&manager, ids[1]), QuotaStats::default());
            assert_eq!(admit_nobody(&mut manager), None);
        }
    }
}

fn admit_nobody(manager: &mut Small) -> Option<QuotaId> {
    admit(manager, at(0), &Request::default()).unwrap().map(|standing| standing.id)
}

#[test]
fn an_exact_quota_replaces_the_wildcard_of_its_kind_unit_and_window_only() {
    let (mut manager, ids) = with::<64>(&[
        "user:* 2 daily",
        "user:vip 5 daily anchor=2024-01-01T12:00:00Z",
        "user:* 100 daily unit=bytes",
        "user:* 50 hourly",
        "user:* 1 daily name=trial mode=shadow",
    ]);
    assert_eq!(passes(&mut manager, at(0), &of_user("vip"), 9), 5, "neither 2, nor 7");
    let allowed: Vec<_> = ids.iter().map(|&id| stats(&manager, id).allowed).collect();
    assert_eq!(allowed, [0, 5, 5, 5, 1], "those of another unit, window or mode were asked");
    assert_eq!(stats(&manager, ids[4]).would_deny, 8);
    assert_eq!(passes(&mut manager, at(0), &of_user("ann"), 9), 2);
}

#[test]
fn the_tightest_speaks_as_it_was_left() {
    let (mut manager, ids) =
        with::<64>(&["tenant:acme 10 daily", "tenant:acme 1000 daily unit=bytes", "tenant:* 10 hourly"]);
    let request = |cost, bytes| Request { cost, bytes, ..of_tenant("acme") };
    let standing = admit(&mut manager, at(0), &request(5, 400)).unwrap().unwrap();
    assert_eq!((standing.id, standing.remaining()), (ids[0], 5), "the first of those with half");
    let looked = look(&mut manager, at(0), &request(1, 500)).unwrap().unwrap();
    assert_eq!((looked.id, looked.remaining()), (ids[1], 600), "as it stands");
    let standing = admit(&mut manager, at(0), &request(1, 500)).unwrap().unwrap();
    assert_eq!((standing.id, standing.remaining(), standing.period_end.0), (ids[1], 100, DAY));
}

#[test]
fn of_equal_waits_the_first_in_the_file_speaks() {
    let (mut manager, ids) = with::<64>(&["user:* 1 daily", "tenant:* 1 daily", "tenant:* 5 hourly"]);
    let request = Request { tenant: Some(name("acme")), cost: 2, ..of_user("ann") };
    assert_eq!(admit(&mut manager, at(0), &request).unwrap_err().quota.id, ids[0], "never is never");
    assert!(admit(&mut manager, at(0), &Request { cost: 1, ..request }).is_ok());
    let refused = admit(&mut manager, at(0), &Request { cost: 1, ..request }).unwrap_err();
    assert_eq!(refused.quota.id, ids[0]);
    assert_eq!((stats(&manager, ids[0]).denied, stats(&manager, ids[1]).denied), (2, 2), "each is counted");
    assert_eq!(usage(&manager, at(0), ids[0], key(Kind::User, "ann")).denied, 2);
}

#[test]
fn a_shadow_refuses_nothing_holds_nothing_and_takes_only_what_passed() {
    let (mut manager, ids) = with::<64>(&["user:* 2 daily mode=shadow", "tenant:* 3 daily"]);
    let request = Request { tenant: Some(name("acme")), ..of_user("ann") };
    let ann = key(Kind::User, "ann");
    let subject = Subject { request: &request, group: None };
    let clearance = manager.check(at(0), &subject, &amounts(&request), Access::Charge).unwrap();
    assert_eq!((clearance.holds(), clearance.needs_ticket()), (1, false));
    assert_eq!(manager.release(clearance).unwrap().id, ids[1]);
    let held = hold(&mut manager, at(0), &request).unwrap();
    assert_eq!((held.len(), held[0].quota()), (1, ids[1]));
    assert_eq!(usage(&manager, at(0), ids[0], ann).used, 1, "charged with the estimate");
    assert_eq!(passes(&mut manager, at(0), &request, 9), 2);
    assert_eq!(usage(&manager, at(0), ids[0], ann).used, 2);
    // The third was let pass by the tenant, the seven others were not.
    assert_eq!(stats(&manager, ids[0]).would_deny, 8);
    assert_eq!((manager.stats().would_deny, stats(&manager, ids[1]).denied), (8, 7));
    let alone = admit(&mut manager, at(0), &of_user("ann")).unwrap();
    assert_eq!(alone, None, "it never speaks");
}

#[test]
fn a_look_counts_nothing_and_adds_no_key() {
    let (mut manager, ids) = with::<64>(&["user:* 1 daily", "user:* 1 hourly mode=shadow"]);
    for _ in 0..3 {
        assert!(look(&mut manager, at(0), &of_user("ann")).is_ok());
        assert!(look(&mut manager, at(0), &Request { cost: 2, ..of_user("ann") }).is_err());
    }
    assert!(manager.check_quota(at(0), ids[0], key(Kind::User, "bob"), 1).unwrap().is_granted());
    assert_eq!(manager.stats().active, 0);
    assert!(ids.iter().all(|&id| stats(&manager, id) == QuotaStats::default()));
    assert_eq!((manager.stats().denied, manager.stats().would_deny), (0, 0));
}

#[test]
#[should_panic(expected = "the clearance is outdated")]
fn an_outdated_clearance_does_not_charge_what_another_request_matched() {
    let (mut manager, _) = with::<64>(&["user:* 9 daily"]);
    let (ann, bob) = (of_user("ann"), of_user("bob"));
    let mut check = |request| {
        let subject = Subject { request, group: None };
        manager.check(at(0), &subject, &amounts(request), Access::Charge).unwrap()
    };
    let (older, _newer) = (check(&ann), check(&bob));
    manager.charge(older);
}

#[test]
#[should_panic(expected = "the clearance is outdated")]
fn a_clearance_is_outdated_once_a_quota_is_changed() {
    let (mut manager, ids) = with::<64>(&["user:* 9 daily"]);
    let request = of_user("ann");
    let subject = Subject { request: &request, group: None };
    let clearance = manager.check(at(0), &subject, &amounts(&request), Access::Charge).unwrap();
    manager.update_limit(at(0), ids[0], 1).unwrap();
    manager.release(clearance);
}

#[test]
#[should_panic(expected = "a look does not charge")]
fn a_look_that_finds_nothing_is_not_charged_either() {
    let (mut manager, _) = with::<64>(&["user:bob 9 daily"]);
    let request = of_user("ann");
    let subject = Subject { request: &request, group: None };
    let clearance = manager.check(at(0), &subject, &amounts(&request), Access::Peek).unwrap();
    manager.charge(clearance);
}

#[test]
#[should_panic(expected = "a look does not charge")]
fn a_look_is_not_charged() {
    let (mut manager, _) = with::<64>(&["user:* 9 daily"]);
    let request = of_user("ann");
    let subject = Subject { request: &request, group: None };
    let clearance = manager.check(at(0), &subject, &amounts(&request), Access::Peek).unwrap();
    manager.charge(clearance);
}
