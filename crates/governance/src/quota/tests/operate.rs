//! What operators do while requests go on, and what is exported.

use super::support::{
    DAY, SECOND, Small, admit, at, hold, key, manager, name, of_tenant, of_user, on, passes, spec, usage,
    with,
};
use crate::export::ExportFormat;
use crate::mode::Mode;
use crate::quota::{EnforcementMode, QuotaAnswer, QuotaError, QuotaSettled, QuotaSpec};
use crate::request::Request;
use crate::scope::Kind;

fn of(tenant: &str, cost: u64) -> Request<'_> {
    Request { cost, ..of_tenant(tenant) }
}

#[test]
fn a_change_is_no_refill() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily rollover=10"]);
    let id = ids[0];
    assert!(admit(&mut manager, at(0), &of("acme", 60)).is_ok());
    manager.update_limit(at(0), id, 70).unwrap();
    assert_eq!(usage(&manager, at(0), id, None).remaining(), 10);
    manager.update_limit(at(0), id, 50).unwrap();
    assert_eq!(usage(&manager, at(0), id, None).remaining(), 0);
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_err());
    manager.update_limit(at(0), id, 100).unwrap();
    assert_eq!(usage(&manager, at(0), id, None).remaining(), 40);
}

#[test]
fn a_change_of_the_window_puts_what_is_used_into_the_new_period() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily rollover=10"]);
    let id = ids[0];
    assert!(admit(&mut manager, at(0), &of("acme", 60)).is_ok());
    let held = hold(&mut manager, at(DAY), &of("acme", 20)).unwrap()[0];
    let monthly = QuotaSpec {
        schedule: spec("tenant:acme 1 monthly").schedule,
        ..spec("tenant:acme 100 daily rollover=10")
    };
    manager.update(at(DAY), id, &monthly).unwrap();
    let status = usage(&manager, at(DAY), id, None);
    assert_eq!((status.used, status.reserved, status.carry), (0, 20, 10));
    assert_eq!(status.period.end, on("1970-02-01").wall);
    assert_eq!(manager.settle(at(9 * DAY), &held, 25), QuotaSettled::Present);
    assert_eq!(usage(&manager, at(9 * DAY), id, None).used, 25);
    assert_eq!(manager.find("tenant:acme/daily"), Some(id), "its name stays");
    assert_eq!(usage(&manager, on("1970-02-01"), id, None).carry, 10);
}

#[test]
fn what_is_due_is_rolled_under_the_old_limit_before_a_change() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 100 daily rollover=10"]);
    assert!(admit(&mut manager, at(0), &of("acme", 95)).is_ok());
    manager.update_limit(at(DAY), ids[0], 1000).unwrap();
    let status = usage(&manager, at(DAY), ids[0], None);
    assert_eq!((status.carry, status.capacity, status.past.unwrap().capacity), (5, 1005, 100));
}

#[test]
fn a_smaller_limit_or_rollover_leaves_its_share_of_what_was_carried() {
    let words = "tenant:acme 1000 daily rollover=10";
    let (mut manager, ids) = with::<64>(&[words]);
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_ok());
    assert!(admit(&mut manager, at(DAY), &of("acme", 6)).is_ok());
    assert_eq!(usage(&manager, at(DAY), ids[0], None).carry, 100);
    manager.update(at(DAY), ids[0], &QuotaSpec { rollover_percent: 5, ..spec(words) }).unwrap();
    assert_eq!(usage(&manager, at(DAY), ids[0], None).carry, 50);
    manager.update_limit(at(DAY), ids[0], 39).unwrap();
    assert_eq!(usage(&manager, at(DAY), ids[0], None).carry, 1, "rounded down");
    manager.update_limit(at(DAY), ids[0], 8).unwrap();
    let status = usage(&manager, at(DAY), ids[0], None);
    assert_eq!((status.used, status.carry, status.capacity, status.alert), (6, 0, 8, None));
    manager.update_limit(at(DAY), ids[0], 7).unwrap();
    assert_eq!(usage(&manager, at(DAY), ids[0], None).alert, Some(80), "by what is left of the carry");
    assert!(admit(&mut manager, at(DAY), &of("acme", 2)).is_err());
    manager.update_limit(at(DAY), ids[0], 1000).unwrap();
    assert_eq!(usage(&manager, at(DAY), ids[0], None).capacity, 1000, "a larger one brings nothing back");
}

#[test]
fn what_cannot_be_changed_is_named_and_stays() {
    let (mut manager, ids) = with::<64>(&["user:* 5 daily", "tenant:acme 5 daily"]);
    for other in [
        "user:ann 5 daily name=user:*/daily",
        "user:* 5 daily unit=bytes name=user:*/daily",
        "user:* 5 daily name=other",
    ] {
        assert_eq!(manager.update(at(0), ids[0], &spec(other)), Err(QuotaError::FixedField), "{other}");
    }
    let zero = QuotaSpec { limit: 0, ..spec("user:* 5 daily") };
    assert!(matches!(manager.update(at(0), ids[0], &zero), Err(QuotaError::OutOfRange(_))));
    assert!(matches!(manager.update_limit(at(0), ids[0], 0), Err(QuotaError::OutOfRange(_))));
    manager.remove_quota(ids[0]).unwrap();
    let gone = Err(QuotaError::UnknownQuota);
    assert_eq!(manager.update_limit(at(0), ids[0], 9), gone);
    assert_eq!(manager.set_enforcement_mode(ids[0], EnforcementMode::Soft), gone);
    assert_eq!(manager.reset_quota(at(0), ids[0], None).map(drop), gone);
    assert_eq!(manager.rollover_unused(at(0), ids[0]).map(drop), gone);
    assert_eq!(manager.consume_quota(at(0), ids[0], None, 1).map(drop), gone);
    assert_eq!(manager.check_quota(at(0), ids[0], None, 1).map(drop), gone);
    assert_eq!(manager.get_quota_status(at(0), ids[0], None).map(drop), gone);
    assert_eq!(manager.get_peak_usage(at(0), ids[0], None).map(drop), gone);
    assert_eq!(manager.get_quota_utilization(at(0), ids[0], None).map(drop), gone);
    assert_eq!(manager.estimate_depletion(at(0), ids[0], None).map(drop), gone);
    assert_eq!(manager.usages(at(0), ids[0], |_| ()), gone);
    assert_eq!(manager.get_quota_stats(ids[0]).map(drop), gone);
}

#[test]
fn a_key_is_named_where_there_are_keys() {
    let (mut manager, ids) = with::<64>(&["user:* 5 daily", "tenant:acme 5 daily"]);
    let ann = key(Kind::User, "ann");
    assert_eq!(manager.consume_quota(at(0), ids[0], None, 1), Err(QuotaError::KeyNeeded));
    assert_eq!(manager.consume_quota(at(0), ids[1], ann, 1), Err(QuotaError::NoKeys));
    assert_eq!(manager.get_quota_status(at(0), ids[0], None), Err(QuotaError::KeyNeeded));
    assert_eq!(manager.get_quota_status(at(0), ids[1], ann), Err(QuotaError::NoKeys));
    assert_eq!(manager.reset_quota(at(0), ids[0], ann), Err(QuotaError::UnknownKey));
    assert_eq!(manager.reset_quota(at(0), ids[1], ann), Err(QuotaError::NoKeys));
    let fresh = usage(&manager, at(0), ids[0], ann);
    assert_eq!((fresh.used, fresh.remaining(), fresh.key.unwrap().as_str()), (0, 5, "ann"));
    assert!(manager.consume_quota(at(0), ids[0], ann, 5).unwrap().is_granted());
    let QuotaAnswer::Granted(standing) =
        manager.check_quota(at(0), ids[0], key(Kind::User, "bob"), 5).unwrap()
    else {
        panic!("bob has used nothing")
    };
    assert_eq!((standing.used, standing.remaining()), (0, 5));
    assert!(!manager.check_quota(at(0), ids[0], ann, 1).unwrap().is_granted());
}

#[test]
fn a_reset_forgets_what_was_used_and_neither_pending_nor_peak() {
    let (mut manager, ids) = with::<64>(&["user:* 10 daily"]);
    assert!(admit(&mut manager, at(0), &Request { cost: 6, ..of_user("ann") }).is_ok());
    assert!(admit(&mut manager, at(0), &Request { cost: 2, ..of_user("bob") }).is_ok());
    let held = hold(&mut manager, at(0), &Request { cost: 3, ..of_user("ann") }).unwrap()[0];
    assert_eq!(manager.reset_quota(at(0), ids[0], key(Kind::User, "ann")), Ok(1));
    let ann = usage(&manager, at(0), ids[0], key(Kind::User, "ann"));
    assert_eq!((ann.used, ann.reserved, ann.peak, ann.alert), (0, 3, 9, None));
    manager.settle(at(0), &held, 4);
    assert_eq!(usage(&manager, at(0), ids[0], key(Kind::User, "ann")).used, 4);
    assert_eq!(manager.reset_quota(at(0), ids[0], None), Ok(2));
    assert_eq!(usage(&manager, at(0), ids[0], key(Kind::User, "bob")).used, 0);
    assert_eq!(manager.get_peak_usage(at(0), ids[0], key(Kind::User, "bob")), Ok(2));
}

#[test]
fn a_configuration_keeps_the_counters_of_quotas_that_stay() {
    let (mut manager, ids) = with::<64>(&["user:* 10 daily", "tenant:acme 10 daily", "tenant:b 10 daily"]);
    let request = Request { tenant: Some(name("acme")), cost: 4, ..of_user("ann") };
    assert!(admit(&mut manager, at(0), &request).is_ok());
    let held = hold(&mut manager, at(0), &of("b", 4)).unwrap()[0];
    let specs = [
        spec("tenant:new 3 monthly"),
        spec("tenant:b 10 daily anchor=1969-12-31T00:00:00Z".replace("1969-12-31", "1970-01-01").as_str()),
        QuotaSpec { schedule: spec("user:* 1 hourly").schedule, ..spec("user:* 10 daily") },
        spec("tenant:acme 8 daily enforcement=soft parent=tenant:org/daily"),
        spec("tenant:org 90 daily"),
    ];
    manager.configure(at(0), &specs).unwrap();
    let listed: Vec<_> = manager.allocations().map(|(_, spec)| *spec).collect();
    assert_eq!(listed, specs);
    let acme = manager.find("tenant:acme/daily").unwrap();
    assert_eq!((acme, usage(&manager, at(0), acme, None).used), (ids[1], 4));
    assert_eq!(
        manager.get_quota_status(at(0), ids[0], key(Kind::User, "ann")),
        Err(QuotaError::UnknownQuota)
    );
    let user = manager.find("user:*/daily").unwrap();
    assert_eq!(usage(&manager, at(0), user, key(Kind::User, "ann")).used, 0, "other periods, other counters");
    assert_eq!((manager.stats().active, manager.find("tenant:b/daily")), (0, Some(ids[2])));
    assert!(admit(&mut manager, at(0), &of("acme", 1)).is_ok());
    assert_eq!(usage(&manager, at(0), manager.find("tenant:org/daily").unwrap(), None).used, 1);
    manager.configure(at(0), &specs[..1]).unwrap();
    assert_eq!(manager.settle(at(0), &held, 2), QuotaSettled::Stale);
    assert_eq!(passes(&mut manager, at(0), &of("new", 1), 9), 3);
}

#[test]
fn a_configuration_that_does_not_fit_changes_nothing() {
    let (mut manager, ids) = with::<64>(&["user:* 10 daily"]);
    assert!(admit(&mut manager, at(0), &of_user("ann")).is_ok());
    for (specs, error) in [
        (vec![spec("tenant:a 5 daily"), spec("tenant:a 6 daily")], QuotaError::DuplicateName),
        (vec![spec("tenant:a 5 daily parent=b")], QuotaError::UnknownParent),
        (
            vec![spec("tenant:a 5 daily name=a parent=b"), spec("tenant:b 5 daily name=b parent=a")],
            QuotaError::Cycle,
        ),
        ((0..257).map(|number| spec(&format!("tenant:{number} 1 daily"))).collect(), QuotaError::Full),
    ] {
        assert_eq!(manager.configure(at(0), &specs), Err(error));
        assert_eq!(manager.len(), 1);
        assert_eq!(usage(&manager, at(0), ids[0], key(Kind::User, "ann")).used, 1);
    }
}

#[test]
fn only_custom_quotas_wait_for_their_caller() {
    let (mut manager, ids) = with::<64>(&["tenant:* 10 daily unit=custom"]);
    assert_eq!(admit(&mut manager, at(0), &of("acme", 50)), Ok(None));
    let acme = key(Kind::Tenant, "acme");
    assert!(manager.consume_quota(at(0), ids[0], acme, 10).unwrap().is_granted());
    assert!(!manager.consume_quota(at(0), ids[0], acme, 1).unwrap().is_granted());
    assert_eq!(manager.get_quota_utilization(at(0), ids[0], acme), Ok(1000));
}

#[test]
fn what_a_shadow_is_asked_is_granted_and_charged_as_far_as_it_fits() {
    let (mut manager, ids) = with::<64>(&["tenant:acme 10 daily mode=shadow"]);
    for amount in [8, 3] {
        assert!(manager.consume_quota(at(0), ids[0], None, amount).unwrap().is_granted());
    }
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 8);
    assert_eq!(manager.get_quota_stats(ids[0]).unwrap().would_deny, 1);
    let enforced = QuotaSpec { mode: Mode::Enforce, ..spec("tenant:acme 10 daily") };
    manager.update(at(0), ids[0], &enforced).unwrap();
    assert!(!manager.consume_quota(at(0), ids[0], None, 3).unwrap().is_granted());
}

fn export(manager: &Small, format: ExportFormat) -> String {
    let mut out = String::new();
    manager.export_usage(at(3600 * SECOND), format, &mut out).unwrap();
    out
}

#[test]
fn usage_is_exported_as_csv_and_json() {
    let mut manager: Box<Small> = manager();
    manager.allocate_quota(&spec("tenant:acme 10 daily rollover=10")).unwrap();
    manager.allocate_quota(&spec("user:* 5 hourly unit=tokens name=a,b")).unwrap();
    let tenant = Request { tenant: Some(name("acme")), cost: 8, ..Request::default() };
    assert!(admit(&mut manager, at(0), &tenant).is_ok());
    let user = Request { user: Some(name("x \"y\"")), tokens: 2, ..Request::default() };
    assert!(admit(&mut manager, at(0), &user).is_ok());
    assert_eq!(
        export(&manager, ExportFormat::Csv),
        "quota,scope,key,unit,window,period_start,period_end,limit,carry,capacity,used,reserved,\
         utilization_permille,requests,denied,peak,alert,enforcement,mode,parent\n\
         tenant:acme/daily,tenant:acme,,requests,daily,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,10,0,10,8,0,\
         800,1,0,8,80,hard,enforce,\n\
         \"a,b\",user:*,\"x \"\"y\"\"\",tokens,hourly,1970-01-01T01:00:00Z,1970-01-01T02:00:00Z,5,0,5,0,0,\
         0,0,0,2,,hard,enforce,\n"
    );
    assert_eq!(
        export(&manager, ExportFormat::Json).lines().nth(1).unwrap(),
        "{\"quota\":\"a,b\",\"scope\":\"user:*\",\"key\":\"x \\\"y\\\"\",\"unit\":\"tokens\",\"window\":\"hourly\",\
         \"period_start\":\"1970-01-01T01:00:00Z\",\"period_end\":\"1970-01-01T02:00:00Z\",\"limit\":5,\"carry\":0,\
         \"capacity\":5,\"used\":0,\"reserved\":0,\"utilization_permille\":0,\"requests\":0,\"denied\":0,\"peak\":2,\
         \"alert\":null,\"enforcement\":\"hard\",\"mode\":\"enforce\",\"parent\":null}"
    );
}

#[test]
fn no_key_becomes_a_formula_or_moves_a_terminal() {
    for (given, csv, json) in [
        ("=cmd()", "\"'=cmd()\"", "\"=cmd()\""),
        ("+1", "\"'+1\"", "\"+1\""),
        ("-1", "\"'-1\"", "\"-1\""),
        ("@x", "\"'@x\"", "\"@x\""),
        ("\tx", "\"'\tx\"", "\"\\tx\""),
        ("\rx", "\"'\rx\"", "\"\\rx\""),
        ("a\nb", "\"a\nb\"", "\"a\\nb\""),
        ("a\u{1b}[2J", "\"a\\u{1b}[2J\"", "\"a\\u001b[2J\""),
        ("a=b", "a=b", "\"a=b\""),
        ("\\", "\\", "\"\\\\\""),
    ] {
        let (mut manager, _) = with::<64>(&["user:* 5 daily"]);
        assert!(admit(&mut manager, at(0), &of_user(given)).is_ok());
        let out = export(&manager, ExportFormat::Csv);
        assert!(out.contains(&format!(",user:*,{csv},requests,")), "{out:?}");
        let out = export(&manager, ExportFormat::Json);
        assert!(out.contains(&format!("\"key\":{json},")), "{out:?}");
    }
}
