use super::{Amounts, Counted, Enforcement, Hold, Mode, Observed, Quota, Quotas, Status, Taking};
use crate::calendar::{Cycle, DAY, HOUR, MINUTE, SECOND, midnight};
use crate::oracle::call::{Call, Usage};
use crate::oracle::meter::Wait;
use crate::oracle::rule::Request;
use num_bigint::BigInt;

fn named(tenant: &str, user: &str) -> Call {
    let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    Call::of(Request { tenant: name(tenant), user: name(user), ..Request::default() })
}

fn acme() -> Call {
    named("acme", "")
}

fn tokens(tokens: u64) -> Amounts {
    Amounts::free(Usage { requests: 1, tokens, ..Usage::default() })
}

/// Monthly tokens of a tenant, of which a tenth rolls over.
fn monthly(limit: u64) -> Quota {
    let quota = Quota::on("tenant:*", Counted::Tokens, limit, Cycle::Monthly);
    Quota { rollover_percent: 10, ..quota }
}

/// Asks for tokens, and takes them if they are granted.
fn take(quotas: &mut Quotas, wall_ns: u64, call: &Call, count: u64) -> bool {
    let amounts = tokens(count);
    let seen = quotas.peek(wall_ns, call, &amounts);
    let checked = quotas.check(wall_ns, call, &amounts);
    assert_eq!(seen, checked);
    if checked.allowed() {
        quotas.charge(wall_ns, call, &amounts, Taking::Final);
    }
    checked.allowed()
}

fn reserve(quotas: &mut Quotas, wall_ns: u64, call: &Call, count: u64) -> Vec<Hold> {
    assert!(quotas.check(wall_ns, call, &tokens(count)).allowed());
    quotas.charge(wall_ns, call, &tokens(count), Taking::Reserved)
}

fn settle(quotas: &mut Quotas, wall_ns: u64, holds: &[Hold], count: u64) -> bool {
    let observed = Observed { amounts: tokens(count), ..Observed::default() };
    holds.iter().all(|hold| quotas.settle(wall_ns, hold, &observed))
}

fn status(quotas: &Quotas, wall_ns: u64, quota: &str) -> Status {
    quotas.status(wall_ns, quota, "acme").expect("a name that was met")
}

/// What was carried, is used, is reserved, and remains.
fn stands(quotas: &Quotas, wall_ns: u64) -> (u128, u128, u128, u128) {
    let status = status(quotas, wall_ns, "tenant:*");
    (status.carry, status.used, status.reserved, status.remaining)
}

#[test]
fn a_request_passes_as_long_as_it_fits_and_a_period_begins_afresh() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let march = midnight(2026, 3, 1);
    assert!(take(&mut quotas, march, &acme(), 60));
    assert!(!take(&mut quotas, march, &acme(), 41));
    assert!(take(&mut quotas, midnight(2026, 4, 1) - 1, &acme(), 40));
    assert!(!take(&mut quotas, midnight(2026, 4, 1) - 1, &acme(), 1));
    assert!(take(&mut quotas, midnight(2026, 4, 1), &acme(), 100));
    assert!(take(&mut quotas, midnight(2026, 4, 1), &named("zeta", ""), 100));
    assert!(take(&mut quotas, midnight(2026, 4, 1), &named("", "ann"), 1000), "meets no quota");
    let counts = status(&quotas, 0, "tenant:*").counts;
    assert_eq!((counts.allowed, counts.denied), (3, 2));
}

#[test]
fn what_is_left_is_carried_once_and_up_to_the_percentage() {
    let mut quotas = Quotas::new(vec![monthly(105)]); // a tenth, rounded down, is 10
    let month = |month| midnight(2026, month, 1);
    assert!(take(&mut quotas, month(1), &acme(), 98));
    assert_eq!(stands(&quotas, month(1)), (0, 98, 0, 7), "the first period of a name has no carry");
    assert_eq!(stands(&quotas, month(2)), (7, 0, 0, 112), "7 were left");
    assert!(take(&mut quotas, month(2), &acme(), 50));
    assert_eq!(stands(&quotas, month(3)), (10, 0, 0, 115), "62 were left, of which 10 are carried");
    assert!(!take(&mut quotas, month(3), &acme(), 116));
    assert!(take(&mut quotas, month(3), &acme(), 115));
    assert_eq!(stands(&quotas, month(4)), (0, 0, 0, 105), "nothing was left");
    assert_eq!(stands(&quotas, month(5)), (10, 0, 0, 115), "April was not used at all");
    assert_eq!(stands(&quotas, month(12)), (10, 0, 0, 115), "carried is never carried again");
}

#[test]
fn a_name_begins_with_its_first_charge_and_not_with_a_refusal() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    assert!(!take(&mut quotas, midnight(2026, 1, 31), &acme(), 101));
    assert!(take(&mut quotas, midnight(2026, 2, 1), &acme(), 1));
    assert_eq!(stands(&quotas, midnight(2026, 2, 1)), (0, 1, 0, 99));
    assert_eq!(stands(&quotas, midnight(2026, 3, 1)).0, 10);
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let april = midnight(2026, 4, 1);
    assert!(take(&mut quotas, april - 1, &acme(), 100));
    assert!(take(&mut quotas, april, &acme(), 70));
    assert!(!take(&mut quotas, april - DAY, &acme(), 31));
    assert!(take(&mut quotas, april - DAY, &acme(), 30));
    assert_eq!(stands(&quotas, april - DAY), (0, 100, 0, 0));
    assert_eq!(quotas.used_in("tenant:*", "acme", quotas.period(0, "tenant:*").unwrap().index - 1), 100);
    // And it does not wait for longer than the time that it stands at.
    let refusal = quotas.check(april - DAY, &acme(), &tokens(1)).refusal().cloned().unwrap();
    assert_eq!(refusal.wait, Wait::Nanos(30 * DAY));
}

#[test]
fn a_reservation_counts_until_it_is_settled_with_what_was_taken() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let at = midnight(2026, 3, 10);
    let holds = reserve(&mut quotas, at, &acme(), 60);
    assert_eq!(stands(&quotas, at), (0, 0, 60, 40));
    assert!(!take(&mut quotas, at, &acme(), 41));
    assert!(settle(&mut quotas, at, &holds, 25));
    assert_eq!(stands(&quotas, at), (0, 25, 0, 75));
    assert!(!settle(&mut quotas, at, &holds, 25), "a reservation is settled once");
    let holds = reserve(&mut quotas, at, &acme(), 10);
    assert!(quotas.void(at, &holds[0]));
    assert_eq!(stands(&quotas, at), (0, 25, 0, 75));
    let holds = reserve(&mut quotas, at, &acme(), 10);
    assert!(settle(&mut quotas, at, &holds, 200));
    assert_eq!(stands(&quotas, at), (0, 225, 0, 0), "more than was reserved counts too");
    assert!(!take(&mut quotas, at, &acme(), 1));
    assert!(take(&mut quotas, at, &acme(), 0), "what takes nothing always passes");
    assert_eq!(stands(&quotas, midnight(2026, 4, 1)).0, 0);
}

#[test]
fn what_is_reserved_counts_as_used_when_its_period_ends() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let (march, april, may) = (midnight(2026, 3, 10), midnight(2026, 4, 1), midnight(2026, 5, 1));
    let early = reserve(&mut quotas, march, &acme(), 40);
    let late = reserve(&mut quotas, march, &acme(), 55);
    assert!(settle(&mut quotas, april - 1, &early, 38));
    assert_eq!(stands(&quotas, april), (7, 0, 0, 107), "100 - 38 - 55");
    assert!(settle(&mut quotas, april, &late, 0));
    assert_eq!(stands(&quotas, april), (7, 0, 0, 107), "the past is written anew, and nothing else");
    let index = quotas.period(april, "tenant:*").unwrap().index;
    assert_eq!(quotas.used_in("tenant:*", "acme", index - 1), 38);
    assert!(take(&mut quotas, april, &acme(), 107));
    assert_eq!(stands(&quotas, may).0, 0);
}

#[test]
fn a_change_of_the_limit_keeps_what_is_used_and_its_share_of_what_was_carried() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let (march, april, may) = (midnight(2026, 3, 10), midnight(2026, 4, 1), midnight(2026, 5, 1));
    assert!(take(&mut quotas, march, &acme(), 50));
    quotas.set_limit(april + 1, "tenant:*", 1000);
    assert_eq!(stands(&quotas, april + 1), (10, 0, 0, 1010), "carried by the limit that March ended with");
    assert!(take(&mut quotas, april + 1, &acme(), 980));
    assert_eq!(stands(&quotas, may), (30, 0, 0, 1030), "1010 - 980");
    quotas.set_limit(april + 2, "tenant:*", 10);
    assert_eq!(stands(&quotas, april + 2), (1, 980, 0, 0), "a tenth of the new one");
    assert_eq!(stands(&quotas, may), (0, 0, 0, 10));
}

#[test]
fn exact_quotas_replace_those_for_every_name_of_their_kind_unit_and_cycle() {
    let on = |scope: &str, cycle| Quota::on(scope, Counted::Tokens, 10, cycle);
    let mut quotas = Quotas::new(vec![
        on("tenant:*", Cycle::DAILY),
        on("tenant:*", Cycle::HOURLY).named("hourly"),
        Quota::on("tenant:*", Counted::Requests, 10, Cycle::DAILY).named("requests"),
        Quota { mode: Mode::Shadow, ..on("tenant:*", Cycle::DAILY).named("shadow") },
        Quota { enforcement: Enforcement::Soft, ..on("tenant:acme", Cycle::DAILY) },
        on("user:*", Cycle::DAILY),
    ]);
    let mut matched = |call: &Call, count| {
        let checked = quotas.check(0, call, &tokens(count));
        (checked.matched, checked.exceeded, checked.would_deny)
    };
    let (matching, exceeded, would_deny) = matched(&acme(), 11);
    assert_eq!(matching, ["hourly", "requests", "tenant:acme"]);
    assert_eq!((exceeded, would_deny), (vec!["tenant:acme".to_owned()], vec!["shadow".to_owned()]));
    assert_eq!(matched(&named("zeta", "ann"), 1).0, ["tenant:*", "hourly", "requests", "user:*"]);
}

#[test]
fn ancestors_have_to_have_room_and_are_charged_once() {
    let on = |scope: &str, limit| Quota::on(scope, Counted::Tokens, limit, Cycle::DAILY);
    let mut quotas = Quotas::new(vec![
        on("user:*", 50).under("tenant"),
        on("key:*", 1000).under("user:*"),
        on("tenant:*", 100).named("tenant").under("group:*"),
        on("group:*", 1).under("organisation"), // is skipped by a request without a group
        on("service:all", 120).named("organisation"),
    ]);
    let both = Call::of(Request { key: Some("k".to_owned()), ..named("acme", "ann").request });
    assert!(take(&mut quotas, 0, &both, 30));
    let used = |quotas: &Quotas, quota: &str, key: &str| quotas.status(0, quota, key).unwrap().used;
    assert_eq!(used(&quotas, "user:*", "ann"), 30, "by itself and above the key, but once");
    assert_eq!(used(&quotas, "tenant", "acme"), 30);
    assert_eq!(used(&quotas, "organisation", "all"), 30, "an exact ancestor needs no name in the request");
    assert!(!take(&mut quotas, 0, &named("acme", "ann"), 21), "the user has 20 left");
    assert!(take(&mut quotas, 0, &named("acme", "bob"), 50));
    let checked = quotas.check(0, &named("acme", "cid"), &tokens(21));
    assert_eq!(checked.refusal().unwrap().quota, "tenant", "the tenant has 20 left");
    assert!(quotas.status(0, "user:*", "cid").is_some_and(|status| status.used == 0), "all or none");
    assert!(!take(&mut quotas, 0, &named("", "dan"), 41), "all have 40 left");
    assert!(take(&mut quotas, 0, &named("", "dan"), 40));
}

#[test]
fn of_several_refusals_the_longest_speaks_and_of_equals_the_first() {
    let on = |name: &str, limit, cycle| Quota::on("tenant:*", Counted::Tokens, limit, cycle).named(name);
    let quotas = |first: u64, third: u64| {
        Quotas::new(vec![
            on("hourly", first, Cycle::HOURLY),
            on("daily", 10, Cycle::DAILY),
            on("other", third, Cycle::DAILY),
        ])
    };
    let said = |first, third, count, at| {
        let mut quotas = quotas(first, third);
        assert!(take(&mut quotas, at, &acme(), 9));
        quotas
            .check(at, &acme(), &tokens(count))
            .refusal()
            .map(|refusal| (refusal.quota.clone(), refusal.wait))
    };
    assert_eq!(said(10, 10, 2, DAY + MINUTE), Some(("daily".to_owned(), Wait::Nanos(DAY - MINUTE))));
    assert_eq!(said(10, 100, 11, 0), Some(("hourly".to_owned(), Wait::Never)));
    assert_eq!(said(9, 9, 1, HOUR - SECOND), Some(("other".to_owned(), Wait::Nanos(23 * HOUR + SECOND))));
    assert_eq!(said(10, 10, 1, 0), None);
}

#[test]
fn never_is_an_amount_that_no_period_could_hold() {
    let mut quotas = Quotas::new(vec![monthly(109)]); // 10 may be carried
    let mut wait = |count| quotas.check(0, &acme(), &tokens(count)).refusal().map(|refusal| refusal.wait);
    assert_eq!(wait(109), None);
    assert_eq!(wait(119), Some(Wait::Nanos(31 * DAY)));
    assert_eq!(wait(120), Some(Wait::Never));
}

#[test]
fn a_soft_quota_is_charged_beyond_its_limit() {
    let soft = Quota { enforcement: Enforcement::Soft, ..monthly(100) };
    let mut quotas = Quotas::new(vec![soft]);
    assert!(take(&mut quotas, 0, &acme(), 90));
    assert!(take(&mut quotas, 0, &acme(), 90));
    assert_eq!(stands(&quotas, 0), (0, 180, 0, 0));
    assert_eq!(status(&quotas, 0, "tenant:*").counts.exceeded, 1);
    quotas.set_enforcement("tenant:*", Enforcement::Hard);
    assert!(!take(&mut quotas, 0, &acme(), 1));
}

#[test]
fn a_shadow_counts_what_it_would_refuse_and_charges_only_what_fits() {
    let shadow = Quota { mode: Mode::Shadow, ..monthly(100).named("shadow") };
    let mut quotas = Quotas::new(vec![shadow.under("parent"), monthly(150), monthly(1).named("parent")]);
    quotas.set_enforcement("parent", Enforcement::Soft);
    assert!(take(&mut quotas, 0, &acme(), 80));
    assert!(take(&mut quotas, 0, &acme(), 30), "the shadow has no room");
    assert!(take(&mut quotas, 0, &acme(), 20));
    assert!(!take(&mut quotas, 0, &acme(), 21), "refused by the other one");
    let shadow = status(&quotas, 0, "shadow");
    assert_eq!((shadow.used, shadow.counts.would_deny, shadow.counts.denied), (100, 2, 0));
    assert_eq!(stands(&quotas, 0), (0, 130, 0, 20));
}

#[test]
fn a_quota_on_errors_refuses_once_there_were_enough() {
    let mut quotas = Quotas::new(vec![Quota::on("tenant:*", Counted::Errors, 2, Cycle::Every(MINUTE))]);
    let one = |quotas: &mut Quotas, at, done_at, failed| {
        if !quotas.check(at, &acme(), &tokens(1)).allowed() {
            return false;
        }
        let holds = quotas.charge(at, &acme(), &tokens(1), Taking::Final);
        let observed = Observed { failed, ..Observed::default() };
        assert!(holds.iter().all(|hold| quotas.settle(done_at, hold, &observed)));
        true
    };
    assert!(one(&mut quotas, 0, 0, true));
    assert!(one(&mut quotas, 1, 1, false));
    assert!(one(&mut quotas, 2, 2, true));
    assert!(!one(&mut quotas, 3, 3, false));
    assert!(one(&mut quotas, MINUTE, MINUTE, true));
    assert!(one(&mut quotas, MINUTE + 1, 2 * MINUTE, true), "an answer may take longer than a period");
    assert_eq!(status(&quotas, 2 * MINUTE, "tenant:*").used, 1, "it counts when it is told");
    assert_eq!(quotas.used_in("tenant:*", "acme", 1), 1);
}

#[test]
fn a_quota_on_latency_refuses_while_one_answer_in_a_hundred_is_too_slow() {
    let mut quotas = Quotas::new(vec![Quota::on("tenant:*", Counted::LatencyP99, 10, Cycle::Every(MINUTE))]);
    let answer = |quotas: &mut Quotas, latency_ns| {
        let holds = quotas.charge(0, &acme(), &tokens(1), Taking::Final);
        let observed = Observed { latency_ns: Some(latency_ns), ..Observed::default() };
        assert!(holds.iter().all(|hold| quotas.settle(0, hold, &observed)));
        quotas.check(0, &acme(), &tokens(1)).allowed()
    };
    for _ in 0..97 {
        assert!(answer(&mut quotas, 10_000_000));
    }
    assert!(answer(&mut quotas, 10_000_001));
    assert!(answer(&mut quotas, 20_000_000), "99 answers say nothing yet");
    assert!(!answer(&mut quotas, 1), "the 99th of 100 is 10.000001 ms");
    assert_eq!(status(&quotas, 0, "tenant:*").percentile_99_ns, Some(10_000_001));
    for _ in 0..98 {
        assert!(!answer(&mut quotas, 1));
    }
    assert!(!answer(&mut quotas, 1), "of 199 the 198th is the smaller of the two");
    assert!(answer(&mut quotas, 1), "of 200 the 198th is fast");
    assert_eq!(quotas.alerts().iter().map(|alert| alert.percent).collect::<Vec<_>>(), [100]);
}

#[test]
fn alerts_are_raised_once_in_each_period() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let percents = |quotas: &Quotas| quotas.alerts().iter().map(|alert| alert.percent).collect::<Vec<_>>();
    assert!(take(&mut quotas, 0, &acme(), 79));
    assert_eq!(percents(&quotas), []);
    let holds = reserve(&mut quotas, 0, &acme(), 1);
    assert_eq!(percents(&quotas), [80], "what is reserved counts");
    assert!(quotas.void(0, &holds[0]));
    assert!(take(&mut quotas, 0, &acme(), 1));
    assert_eq!(percents(&quotas), [80], "once in a period");
    assert!(take(&mut quotas, 0, &acme(), 20));
    assert_eq!(percents(&quotas), [80, 95, 100]);
    let february = midnight(1970, 2, 1);
    assert!(take(&mut quotas, february, &acme(), 96));
    assert_eq!(percents(&quotas), [80, 95, 100, 80, 95]);
    let march = midnight(1970, 3, 1);
    let holds = reserve(&mut quotas, march, &acme(), 10);
    assert_eq!(percents(&quotas).len(), 5);
    assert!(settle(&mut quotas, march, &holds, 90));
    assert_eq!(percents(&quotas)[5..], [80], "90 of 104");
    quotas.set_limit(march, "tenant:*", 90);
    assert_eq!(percents(&quotas)[6..], [95], "90 of 94");
    quotas.set_limit(march, "tenant:*", 1000);
    assert_eq!(status(&quotas, march, "tenant:*").alerted, []);
    quotas.set_limit(march, "tenant:*", 105);
    assert_eq!(percents(&quotas)[7..], [80], "90 of 109, and not for the first time");
}

#[test]
fn a_budget_is_a_quota_on_money() {
    let mut quotas = Quotas::new(vec![Quota::on("tenant:*", Counted::Cost, 1_000, Cycle::Monthly)]);
    let costs = |nano: i64| Amounts { cost_nano: BigInt::from(nano), ..Amounts::default() };
    assert!(quotas.check(0, &acme(), &costs(1_000)).allowed());
    quotas.charge(0, &acme(), &costs(990), Taking::Final);
    assert!(!quotas.check(0, &acme(), &costs(11)).allowed());
    assert!(quotas.check(0, &acme(), &costs(-5)).allowed());
    quotas.charge(0, &acme(), &costs(-5), Taking::Final);
    assert_eq!(stands(&quotas, 0).1, 985, "what is given back makes room");
    quotas.charge(0, &acme(), &costs(-2_000), Taking::Final);
    assert_eq!(stands(&quotas, 0).1, 0, "and no more than was used");
    let holds = quotas.charge(0, &acme(), &costs(-9), Taking::Reserved);
    quotas.charge(0, &acme(), &costs(10), Taking::Final);
    let observed = Observed { amounts: costs(-3), ..Observed::default() };
    assert!(holds.iter().all(|hold| quotas.settle(0, hold, &observed)));
    assert_eq!(stands(&quotas, 0), (0, 7, 0, 993));
}

#[test]
fn a_reset_forgets_what_is_used_and_keeps_what_is_reserved_and_carried() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    assert!(take(&mut quotas, 0, &acme(), 10));
    let february = midnight(1970, 2, 1);
    let settled = reserve(&mut quotas, february, &acme(), 10);
    let holds = reserve(&mut quotas, february, &acme(), 60);
    assert!(settle(&mut quotas, february, &settled, 20));
    assert!(take(&mut quotas, february, &acme(), 9));
    assert_eq!(stands(&quotas, february), (10, 29, 60, 21));
    quotas.reset(february, "tenant:*", Some("zeta"));
    assert_eq!(stands(&quotas, february), (10, 29, 60, 21));
    quotas.reset(february, "tenant:*", Some("acme"));
    assert_eq!(stands(&quotas, february), (10, 0, 60, 50));
    assert!(settle(&mut quotas, february, &holds, 50));
    assert_eq!(stands(&quotas, february), (10, 50, 0, 60));
}

#[test]
fn a_hold_of_a_quota_that_was_removed_is_stale() {
    let mut quotas = Quotas::new(vec![monthly(100)]);
    let holds = reserve(&mut quotas, 0, &acme(), 60);
    quotas.remove("tenant:*");
    assert!(take(&mut quotas, 0, &acme(), 1000));
    quotas.add(monthly(100));
    assert!(take(&mut quotas, 0, &acme(), 1));
    assert!(!settle(&mut quotas, 0, &holds, 50));
    assert_eq!(stands(&quotas, 0), (0, 1, 0, 99));
}
