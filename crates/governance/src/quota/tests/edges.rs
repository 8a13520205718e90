//! Amounts, periods and clocks at their ends.

use super::support::{DAY, SECOND, Small, admit, at, hold, look, of_tenant, on, passes, spec, usage, with};
use crate::decision::{Reason, Wait};
use crate::quota::{Depletion, EnforcementMode, QuotaSettled, QuotaSpec, QuotaUnit};
use crate::request::Request;
use crate::time::{Nanos, Period, Schedule, WallTime};

fn of(tenant: &str, cost: u64) -> Request<'_> {
    Request { cost, ..of_tenant(tenant) }
}

#[test]
fn a_limit_is_hit_exactly_and_not_passed() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily"]);
    let standing = admit(&mut manager, at(0), &of("acme", 99)).unwrap().unwrap();
    assert_eq!((standing.id, standing.used, standing.remaining()), (ids[0], 99, 1));
    let refused = admit(&mut manager, at(0), &of("acme", 2)).unwrap_err();
    assert_eq!((refused.reason, refused.retry), (Reason::OverQuota, Wait::For(Nanos(DAY))));
    assert_eq!(admit(&mut manager, at(0), &of("acme", 1)).unwrap().unwrap().remaining(), 0);
    let refused = admit(&mut manager, at(DAY - 1), &of("acme", 1)).unwrap_err();
    assert_eq!(refused.retry, Wait::For(Nanos(1)), "until the period is over, and no longer");
    assert!(admit(&mut manager, at(DAY - 1), &of("acme", 0)).is_ok(), "nothing passes always");
    assert!(admit(&mut manager, at(DAY), &of("acme", 100)).is_ok());
    let stats = manager.get_quota_stats(ids[0]).unwrap();
    assert_eq!((stats.allowed, stats.denied, manager.stats().denied), (4, 2, 2));
}

#[test]
fn an_amount_that_no_period_can_have_is_told_never() {
    let (mut manager, _) = with::<64>(&["tenant:acme 100 daily rollover=10"]);
    for (cost, wait) in [(110, Wait::For(Nanos(DAY))), (111, Wait::Never), (u64::MAX, Wait::Never)] {
        assert_eq!(admit(&mut manager, at(0), &of("acme", cost)).unwrap_err().retry, wait, "{cost}");
    }
    // Which a period can have that comes after one without use.
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_ok());
    assert!(admit(&mut manager, at(2 * DAY), &of("acme", 110)).is_ok());
}

#[test]
fn amounts_up_to_the_largest_do_not_wrap() {
    for enforcement in ["hard", "soft"] {
        let words = format!("tenant:acme 18446744073709551615 daily rollover=10 enforcement={enforcement}");
        let (mut manager, ids) = with::<64>(&[words.as_str()]);
        assert!(admit(&mut manager, at(0), &of("acme", u64::MAX)).is_ok());
        let again = admit(&mut manager, at(0), &of("acme", u64::MAX));
        assert_eq!(again.is_ok(), enforcement == "soft");
        assert_eq!(usage(&manager, at(0), ids[0], None).used, u64::MAX);
        assert_eq!(
            usage(&manager, at(2 * DAY), ids[0], None).capacity,
            u64::MAX,
            "there is no more to carry"
        );
        assert_eq!(manager.get_quota_utilization(at(0), ids[0], None), Ok(1000));
        assert_eq!(manager.estimate_depletion(at(1), ids[0], None), Ok(Depletion::Depleted));
    }
}

#[test]
fn what_is_settled_above_64_bits_is_cut_off_and_never_negative() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 daily"]);
    let first = hold(&mut manager, at(0), &of("acme", 4)).unwrap()[0];
    let second = hold(&mut manager, at(0), &of("acme", 5)).unwrap()[0];
    assert_eq!(manager.settle(at(0), &first, u64::MAX), QuotaSettled::Present);
    let used = usage(&manager, at(0), ids[0], None);
    assert_eq!((used.used, used.reserved, used.in_use()), (u64::MAX - 5, 5, u64::MAX));
    assert_eq!(manager.settle(at(0), &second, 0), QuotaSettled::Present);
    assert_eq!(usage(&manager, at(0), ids[0], None).reserved, 0);
    // Settled twice, which a ticket sees to that it is not: never below zero.
    assert_eq!(manager.settle(at(0), &second, 0), QuotaSettled::Present);
    let used = usage(&manager, at(0), ids[0], None);
    assert_eq!((used.used, used.reserved, used.holds), (u64::MAX - 5, 0, 0));
    let refused = admit(&mut manager, at(0), &of("acme", 1)).unwrap_err();
    assert_eq!((refused.quota.remaining(), refused.retry), (0, Wait::For(Nanos(DAY))));
    assert_eq!(usage(&manager, at(DAY), ids[0], None).used, 0, "and forgiven when the period is over");
}

#[test]
fn a_clock_that_goes_back_over_the_end_of_a_period_reopens_nothing() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 5 monthly anchor=2024-01-31"]);
    assert_eq!(passes(&mut manager, on("2024-02-28"), &of("acme", 1), 9), 5);
    assert_eq!(passes(&mut manager, on("2024-02-29"), &of("acme", 1), 3), 3);
    assert_eq!(passes(&mut manager, on("2024-02-01"), &of("acme", 1), 9), 2, "of March, as it is");
    let status = usage(&manager, on("2024-02-01"), ids[0], None);
    assert_eq!((status.used, status.period.start), (5, on("2024-02-29").wall));
    assert_eq!(status.past.unwrap().used, 5);
    assert_eq!(passes(&mut manager, on("2024-03-31"), &of("acme", 1), 9), 5);
}

#[test]
fn reading_does_not_move_the_clock() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 5 daily"]);
    assert_eq!(passes(&mut manager, at(0), &of("acme", 1), 9), 5);
    assert_eq!(usage(&manager, at(DAY), ids[0], None).used, 0);
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 5);
    assert!(look(&mut manager, at(0), &of("acme", 1)).is_err());
}

#[test]
fn unused_is_carried_over_once_and_after_idle_periods_in_full() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 1000 daily rollover=10"]);
    let id = ids[0];
    let carry = |manager: &Small, day: u64| usage(manager, at(day * DAY), id, None).carry;
    assert_eq!(carry(&manager, 5), 0, "nothing has begun");
    assert!(admit(&mut manager, at(5 * DAY), &of("acme", 950)).is_ok());
    assert_eq!((carry(&manager, 5), carry(&manager, 6), carry(&manager, 7)), (0, 50, 100));
    assert!(admit(&mut manager, at(6 * DAY), &of("acme", 1050)).is_ok());
    assert_eq!((carry(&manager, 7), carry(&manager, 400)), (0, 100));
    assert!(admit(&mut manager, at(7 * DAY), &of("acme", 1)).is_ok());
    assert!(admit(&mut manager, at(8 * DAY), &of("acme", 1)).is_ok());
    assert_eq!(carry(&manager, 9), 100, "never more than the share");
    assert_eq!(manager.rollover_unused(at(9 * DAY), id), Ok(100));
    assert_eq!(manager.rollover_unused(at(9 * DAY), id), Ok(100), "and not again");
}

#[test]
fn a_share_is_rounded_down() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 19 daily rollover=5", "tenant:b 20 daily rollover=5"]);
    for (id, tenant, carry) in [(ids[0], "acme", 0), (ids[1], "b", 1)] {
        assert!(admit(&mut manager, at(0), &of(tenant, 1)).is_ok());
        assert_eq!(usage(&manager, at(DAY), id, None).carry, carry);
    }
}

#[test]
fn what_is_pending_counts_as_used_when_the_period_ends_and_nothing_is_carried_later() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily rollover=10"]);
    let hold = hold(&mut manager, at(0), &of("acme", 97)).unwrap()[0];
    assert_eq!(usage(&manager, at(DAY), ids[0], None).carry, 3);
    assert_eq!(manager.settle(at(DAY), &hold, 10), QuotaSettled::Past);
    let status = usage(&manager, at(DAY), ids[0], None);
    assert_eq!((status.carry, status.used, status.reserved), (3, 0, 0));
    let past = status.past.unwrap();
    assert_eq!((past.used, past.capacity, past.period.index), (10, 100, 0));
    assert_eq!(status.peak, 10, "which is the largest use, as far as it is known now");
}

#[test]
fn what_is_settled_long_after_its_period_changes_nothing() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily"]);
    let first = hold(&mut manager, at(0), &of("acme", 40)).unwrap()[0];
    assert!(admit(&mut manager, at(3 * DAY), &of("acme", 1)).is_ok());
    assert_eq!(manager.settle(at(3 * DAY), &first, 50), QuotaSettled::Past, "it is the last with a charge");
    let second = hold(&mut manager, at(4 * DAY), &of("acme", 40)).unwrap()[0];
    let third = hold(&mut manager, at(4 * DAY), &of("acme", 7)).unwrap()[0];
    for day in [5, 6] {
        assert!(admit(&mut manager, at(day * DAY), &of("acme", 1)).is_ok());
    }
    assert_eq!(manager.settle(at(6 * DAY), &second, 60), QuotaSettled::Forgotten);
    assert_eq!(manager.settle(at(6 * DAY), &third, 0), QuotaSettled::Forgotten);
    let status = usage(&manager, at(6 * DAY), ids[0], None);
    assert_eq!((status.peak, status.past.unwrap().used, status.holds), (50, 1, 0));
}

#[test]
fn periods_that_nobody_looked_at_are_skipped() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 90s rollover=10 anchor=1990-05-05T00:00:07Z"]);
    assert!(admit(&mut manager, on("2024-01-01"), &of("acme", 10)).is_ok());
    let later = on("2054-01-01T12:00:00Z");
    let status = usage(&manager, later, ids[0], None);
    assert_eq!((status.used, status.carry), (0, 1));
    assert!(admit(&mut manager, later, &of("acme", 11)).is_ok());
    assert_eq!(usage(&manager, later, ids[0], None).past.unwrap().used, 10);
}

#[test]
fn the_last_period_of_all_does_not_end() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 monthly"]);
    let end = at(u64::MAX);
    assert_eq!(passes(&mut manager, end, &of("acme", 1), 99), 10);
    assert_eq!(passes(&mut manager, end, &of("acme", 1), 99), 0);
    let Period { start, end: last, .. } = usage(&manager, end, ids[0], None).period;
    assert_eq!((start, last), (on("2554-07-01").wall, WallTime(u64::MAX)));
    // With very short ones too.
    let (mut manager, _) = with::<64>(&["tenant:acme 10 2ns"]);
    assert_eq!(passes(&mut manager, at(u64::MAX - 2), &of("acme", 1), 99), 10);
    assert_eq!(passes(&mut manager, end, &of("acme", 1), 99), 10);
}

#[test]
fn a_soft_quota_counts_what_it_lets_pass() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 daily enforcement=soft rollover=10"]);
    assert_eq!(passes(&mut manager, at(0), &of("acme", 4), 5), 5);
    let status = usage(&manager, at(0), ids[0], None);
    assert_eq!((status.used, status.remaining(), status.utilization_permille()), (20, 0, 2000));
    assert_eq!(manager.get_quota_stats(ids[0]).unwrap().passed_over, 3);
    assert_eq!(usage(&manager, at(DAY), ids[0], None).carry, 0, "and what was over is forgiven");
    manager.set_enforcement_mode(ids[0], EnforcementMode::Hard).unwrap();
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_err());
}

#[test]
fn a_quota_will_be_used_up_at_the_rate_of_its_period() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily"]);
    let at_hour = |hours: u64| at(hours * 3600 * SECOND);
    let estimate = |manager: &Small, hours| manager.estimate_depletion(at_hour(hours), ids[0], None).unwrap();
    assert_eq!(estimate(&manager, 1), Depletion::NoUsage);
    assert!(admit(&mut manager, at_hour(6), &of("acme", 30)).is_ok());
    assert_eq!(estimate(&manager, 6), Depletion::NoUsage, "in no time there is no rate");
    // It began at 6 o'clock: 30 in 3 hours, and 70 in 7.
    assert_eq!(estimate(&manager, 9), Depletion::At(at_hour(16).wall));
    assert_eq!(estimate(&manager, 12), Depletion::NotAtThisRate, "14 hours more are after midnight");
    assert!(admit(&mut manager, at_hour(12), &of("acme", 70)).is_ok());
    assert_eq!(estimate(&manager, 12), Depletion::Depleted);
    assert_eq!(estimate(&manager, 24), Depletion::NoUsage);
    // The next day counts from its beginning.
    assert!(admit(&mut manager, at_hour(30), &of("acme", 50)).is_ok());
    assert_eq!(estimate(&manager, 30), Depletion::At(at_hour(36).wall));
    // A third in 1 ns, and the rest in 7/3 ns, rounded up.
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 daily"]);
    assert!(admit(&mut manager, at(0), &of("acme", 3)).is_ok());
    assert_eq!(manager.estimate_depletion(at(1), ids[0], None), Ok(Depletion::At(WallTime(4))));
}

#[test]
fn each_unit_is_charged_with_its_own_amount() {
    let words = [
        "tenant:acme 100 daily",
        "tenant:acme 100 daily unit=bytes",
        "tenant:acme 100 daily unit=tokens",
        "tenant:acme 100 daily unit=compute",
        "tenant:acme 100 daily unit=custom",
    ];
    let (mut manager, ids) = with::<64>(&words);
    let request = Request { cost: 2, bytes: 3, tokens: 5, compute_ms: 7, ..of_tenant("acme") };
    assert!(admit(&mut manager, at(0), &request).is_ok());
    let used: Vec<_> = ids.iter().map(|&id| usage(&manager, at(0), id, None).used).collect();
    assert_eq!(used, [2, 3, 5, 7, 0]);
}

#[test]
fn a_budget_is_a_quota_of_money() {
    use super::support::SECRET;
    use crate::quota::{QuotaAmounts, QuotaManager};
    use crate::rate_limiter::Access;
    use crate::request::Subject;
    let mut budgets = Box::new(QuotaManager::<16>::new());
    budgets.reset(SECRET);
    let cost = QuotaSpec {
        unit: QuotaUnit::Cost,
        name: crate::text::Text::new("acme").unwrap(),
        ..spec("tenant:acme 5000000000 monthly")
    };
    let id = budgets.allocate_quota(&cost).unwrap();
    let request = of_tenant("acme");
    let subject = Subject { request: &request, group: None };
    let mut spend = |nano| {
        budgets
            .check(at(0), &subject, &QuotaAmounts::of_cost(nano), Access::Charge)
            .map(|clearance| budgets.charge(clearance).unwrap().remaining())
    };
    assert_eq!(spend(4_999_999_999), Ok(1));
    let refused = spend(2).unwrap_err();
    assert_eq!((refused.reason, refused.quota.id), (Reason::OverBudget, id));
    assert_eq!(spend(1), Ok(0));
}

#[test]
fn a_spec_is_checked_by_whoever_keeps_it() {
    let good = spec("tenant:acme 5 daily");
    let scope = good.scope;
    assert_eq!(QuotaSpec::new(scope, QuotaUnit::Requests, 5, good.schedule), Ok(good));
    assert!(QuotaSpec::new(scope, QuotaUnit::Requests, 0, good.schedule).is_err());
    let mut manager = super::support::manager::<16>();
    for bad in [
        QuotaSpec { limit: 0, ..good },
        QuotaSpec { rollover_percent: 11, ..good },
        QuotaSpec {
            schedule: Schedule { cycle: crate::time::Cycle::Every(Nanos::ZERO), ..good.schedule },
            ..good
        },
        QuotaSpec { name: crate::text::Text::EMPTY, ..good },
        QuotaSpec::EMPTY,
    ] {
        assert!(manager.allocate_quota(&bad).is_err(), "{bad:?}");
    }
    assert!(manager.is_empty());
}
