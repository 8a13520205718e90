//! Parents and children: charged together or not at all, and what may be a parent.

use super::support::{
    DAY, admit, at, hold, key, manager, name, of_tenant, of_user, passes, spec, usage, with,
};
use crate::decision::Wait;
use crate::quota::{LEVELS_MAX, QuotaAnswer, QuotaError, QuotaSpec, each_misfit};
use crate::request::Request;
use crate::scope::Kind;
use crate::time::Nanos;

const THREE: [&str; 3] = [
    "tenant:megacorp 50 monthly",
    "tenant:* 30 daily parent=tenant:megacorp/monthly",
    "user:* 20 hourly parent=tenant:*/daily",
];

fn of<'a>(user: &'a str, tenant: &'a str, cost: u64) -> Request<'a> {
    Request { tenant: Some(name(tenant)), cost, ..of_user(user) }
}

#[test]
fn a_child_charges_all_its_ancestors_or_none() {
    let (mut manager, ids) = with::<64>(&THREE);
    assert!(admit(&mut manager, at(0), &of("ann", "acme", 20)).is_ok());
    let refused = admit(&mut manager, at(0), &of("bob", "acme", 15)).unwrap_err();
    assert_eq!((refused.quota.id, refused.retry), (ids[1], Wait::For(Nanos(DAY))), "the tenant has 10 left");
    let bob = key(Kind::User, "bob");
    assert_eq!(usage(&manager, at(0), ids[2], bob).used, 0, "and nobody was charged");
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 20);
    assert!(admit(&mut manager, at(0), &of("bob", "initech", 20)).is_ok());
    let refused = admit(&mut manager, at(0), &of("cy", "initech", 11)).unwrap_err();
    assert_eq!(refused.quota.id, ids[0], "of both the organisation has the longer wait");
    assert_eq!(
        usage(&manager, at(0), ids[0], None).used,
        40,
        "each charge once, though tenants match by themselves"
    );
    assert_eq!(usage(&manager, at(0), ids[1], key(Kind::Tenant, "initech")).used, 20);
}

#[test]
fn a_level_without_a_key_is_left_out_and_those_above_are_not() {
    let (mut manager, ids) = with::<64>(&THREE);
    assert!(admit(&mut manager, at(0), &Request { cost: 20, ..of_user("ann") }).is_ok());
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 20);
    let mut tenants = 0;
    manager.usages(at(0), ids[1], |_| tenants += 1).unwrap();
    assert_eq!(tenants, 0);
    let answer = manager.consume_quota(at(0), ids[2], key(Kind::User, "bob"), 20).unwrap();
    assert!(answer.is_granted());
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 40);
    let QuotaAnswer::Refused(refusal) =
        manager.check_quota(at(0), ids[2], key(Kind::User, "cy"), 11).unwrap()
    else {
        panic!("the organisation has 10 left")
    };
    assert_eq!(refusal.quota.id, ids[0]);
}

#[test]
fn holds_of_a_family_are_settled_each() {
    let (mut manager, ids) = with::<64>(&THREE);
    let holds = hold(&mut manager, at(0), &of("ann", "acme", 10)).unwrap();
    assert_eq!(holds.len(), 3);
    for held in &holds {
        manager.settle(at(0), held, 25);
    }
    let used = |id, key| usage(&manager, at(0), id, key).used;
    assert_eq!(used(ids[0], None), 25);
    assert_eq!(used(ids[2], key(Kind::User, "ann")), 25, "an overrun is posted also where it does not fit");
}

#[test]
fn a_parent_has_to_be_there_to_count_the_same_and_to_have_at_least_as_much() {
    let mut manager = manager::<16>();
    manager.allocate_quota(&spec("tenant:acme 50 monthly")).unwrap();
    manager.allocate_quota(&spec("tenant:acme 50 monthly name=trial mode=shadow")).unwrap();
    for (words, error) in [
        ("user:* 50 daily parent=nobody", QuotaError::UnknownParent),
        ("user:* 51 daily parent=tenant:acme/monthly", QuotaError::AboveParent),
        ("user:* 50 daily unit=bytes parent=tenant:acme/monthly", QuotaError::ParentUnit),
        ("user:* 50 daily parent=trial", QuotaError::ShadowParent),
        ("user:* 50 daily name=self parent=self", QuotaError::Cycle),
        ("user:* 50 daily name=trial", QuotaError::DuplicateName),
    ] {
        assert_eq!(manager.allocate_quota(&spec(words)), Err(error), "{words}");
    }
    assert_eq!(manager.len(), 2);
    assert!(manager.allocate_quota(&spec("user:* 50 daily parent=tenant:acme/monthly")).is_ok());
}

#[test]
fn a_parent_is_neither_removed_nor_shrunk_nor_made_a_shadow() {
    let (mut manager, ids) =
        with::<64>(&["tenant:acme 50 monthly", "user:* 20 daily parent=tenant:acme/monthly"]);
    assert_eq!(manager.remove_quota(ids[0]), Err(QuotaError::InUse));
    assert_eq!(manager.update_limit(at(0), ids[0], 19), Err(QuotaError::AboveParent));
    assert_eq!(manager.update_limit(at(0), ids[1], 51), Err(QuotaError::AboveParent));
    assert_eq!(manager.update_limit(at(0), ids[0], 20), Ok(()));
    let shadow = spec("tenant:acme 50 monthly mode=shadow");
    assert_eq!(manager.update(at(0), ids[0], &shadow), Err(QuotaError::ShadowParent));
    let orphan = spec("user:* 20 daily");
    manager.update(at(0), ids[1], &orphan).unwrap();
    assert_eq!(passes(&mut manager, at(0), &of_user("ann"), 30), 20);
    assert_eq!(usage(&manager, at(0), ids[0], None).used, 0, "nobody's parent any more");
    assert_eq!(manager.remove_quota(ids[0]), Ok(()));
}

#[test]
fn a_quota_that_holds_are_open_of_is_not_removed() {
    let (mut manager, ids) = with::<64>(&["user:* 20 daily", "tenant:acme 20 daily"]);
    let request = of("ann", "acme", 1);
    let holds = hold(&mut manager, at(0), &request).unwrap();
    for (id, held) in ids.iter().zip(&holds) {
        let other = if held.quota() == *id { held } else { &holds[1 - usize::from(held.quota() == ids[1])] };
        assert_eq!(manager.remove_quota(*id), Err(QuotaError::InUse));
        manager.settle(at(0), other, 1);
    }
    for id in ids {
        assert_eq!(manager.remove_quota(id), Ok(()));
        assert_eq!(manager.remove_quota(id), Err(QuotaError::UnknownQuota));
    }
    assert_eq!(manager.stats().active, 0);
}

/// A chain of quotas, each the child of the next, and the last the child of `top`.
fn chain(length: usize, top: Option<&str>) -> Vec<QuotaSpec> {
    let link = |level: usize| {
        let parent =
            if level + 1 < length { Some(format!("q{}", level + 1)) } else { top.map(str::to_string) };
        let parent = parent.map_or(String::new(), |parent| format!(" parent={parent}"));
        spec(&format!("user:u{level} 5 daily name=q{level}{parent}"))
    };
    (0..length).map(link).collect()
}

fn misfits(specs: &[QuotaSpec]) -> Vec<(usize, QuotaError)> {
    let mut found = Vec::new();
    each_misfit(specs, |place, error| found.push((place, error)));
    found
}

#[test]
fn families_have_eight_levels_and_no_cycles() {
    assert_eq!(misfits(&chain(LEVELS_MAX, None)), []);
    assert_eq!(misfits(&chain(LEVELS_MAX + 1, None)), [(0, QuotaError::TooManyLevels)]);
    for length in 1..=LEVELS_MAX {
        let expected: Vec<_> = (0..length).map(|place| (place, QuotaError::Cycle)).collect();
        assert_eq!(misfits(&chain(length, Some("q0"))), expected, "{length}");
    }
    assert_eq!(misfits(&chain(LEVELS_MAX + 1, Some("q0"))).len(), LEVELS_MAX + 1);
    // One by one: the children come last.
    let mut manager = manager::<16>();
    for link in chain(LEVELS_MAX, None).iter().rev() {
        manager.allocate_quota(link).unwrap();
    }
    let ninth = spec("user:ninth 5 daily name=ninth parent=q0");
    assert_eq!(manager.allocate_quota(&ninth), Err(QuotaError::TooManyLevels));
    let top = manager.find("q7").unwrap();
    let cyclic = spec("user:u7 5 daily name=q7 parent=q0");
    assert_eq!(manager.update(at(0), top, &cyclic), Err(QuotaError::Cycle));
    let above = manager.allocate_quota(&spec("user:above 5 daily name=above")).unwrap();
    let deeper = spec("user:u7 5 daily name=q7 parent=above");
    assert_eq!(manager.update(at(0), top, &deeper), Err(QuotaError::TooManyLevels), "eight hang on it");
    assert!(admit(&mut manager, at(0), &of_user("u0")).is_ok());
    assert_eq!(usage(&manager, at(0), top, None).used, 1);
    assert_eq!(manager.remove_quota(above), Ok(()));
}

#[test]
fn a_child_does_not_exceed_its_parent_whatever_is_asked() {
    let (mut manager, _) =
        with::<64>(&["tenant:acme 50 monthly", "user:* 40 daily rollover=10 parent=tenant:acme/monthly"]);
    let mut passed = 0;
    for day in 0..20 {
        for user in ["ann", "bob"] {
            passed += passes(&mut manager, at(day * DAY), &of_user(user), 99);
        }
    }
    assert_eq!(passed, 50);
    assert_eq!(passes(&mut manager, at(20 * DAY), &of_tenant("acme"), 9), 0);
}
