//! Policies in the way of a request: they are asked before anything else, and take nothing where they refuse.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::config::Config;
use governance::decision::{Reason, Verdict, Wait};
use governance::field::FieldValue;
use governance::governor::{ConfigureError, Governor};
use governance::limit::{BucketShape, LimitName, LimitSpec, RateLimitAlgorithm};
use governance::policy::{Action, ActionKind, DefaultEffect, PolicyDraft, PolicyError, PolicyRule};
use governance::request::{Header, Request, RequestPriority, Unit};
use governance::scope::{HashSecret, NameRef, Scope};
use governance::time::{Instant, Now, WallTime};

type Small = Governor<64, 64, 4>;

fn at(ms: u64) -> Now {
    Now { instant: Instant(ms * 1_000_000), wall: WallTime(ms * 1_000_000) }
}

fn rule(fields: &[(&str, &str)]) -> PolicyRule {
    let mut draft = PolicyDraft::default();
    for (field, value) in fields {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    draft.finish().unwrap()
}

fn limit(name: &str, scope: &str, capacity: u64) -> LimitSpec {
    let shape = BucketShape { capacity, rate: "1/1h".parse().unwrap() };
    let scope = Scope::parse(scope).unwrap();
    let spec = LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).unwrap();
    LimitSpec { name: LimitName::new(name).unwrap(), ..spec }
}

/// A bucket of ten for each user, a bucket of one for what is slowed down, and these policies.
fn governor(default: DefaultEffect, rules: &[PolicyRule]) -> Box<Small> {
    let mut governor = Box::new(Small::new());
    governor.reset(HashSecret { k0: 1, k1: 2 });
    governor.configure(at(0), &config(default, rules)).unwrap();
    governor
}

fn config(default: DefaultEffect, rules: &[PolicyRule]) -> Box<Config> {
    let mut config = Box::new(Config::new());
    config.add_limit(&limit("each", "user:*", 10)).unwrap();
    config.add_limit(&limit("slow", "group:slow", 1)).unwrap();
    rules.iter().for_each(|rule| config.add_policy(rule).unwrap());
    config.policy_default = default;
    config.routes.add("/healthz", "exempt").unwrap();
    config
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::new(text).unwrap()
}

fn left(governor: &mut Small, limit: &str) -> u64 {
    let id = governor.limits.find(limit).unwrap();
    let key = (limit == "each").then(|| governance::scope::KeyName::Text(name("ann")));
    governor.limits.get_tokens(at(0), id, key).unwrap_or(10)
}

#[test]
fn a_denied_request_takes_nothing_and_names_its_policy() {
    let deny = rule(&[("name", "no-deletes"), ("method", "DELETE"), ("role", "intern"), ("action", "deny")]);
    let mut governor = governor(DefaultEffect::Allow, &[deny]);
    let roles = [name("intern"), name("reader")];
    let delete = Request {
        user: Some(name("ann")),
        method: Some(name("delete")),
        roles: &roles,
        ..Request::default()
    };
    let denied = governor.admit(at(0), &delete);
    assert_eq!(
        (denied.verdict, denied.reason, denied.retry),
        (Verdict::Deny, Reason::PolicyDenied, Some(Wait::Never))
    );
    let policy = denied.policy.unwrap();
    let decider = governor.policies.get_policy(policy.decider.unwrap()).unwrap();
    assert_eq!(
        (decider.name.as_str(), policy.audit_id),
        ("no-deletes", 2),
        "the first record is of the file"
    );
    assert_eq!(left(&mut governor, "each"), 10);
    assert!(governor.admit(at(0), &Request { method: Some(name("GET")), ..delete }).is_allowed());
    assert_eq!(left(&mut governor, "each"), 9);
    let peeked = governor.peek(at(0), &delete);
    assert_eq!((peeked.reason, peeked.policy.unwrap().audit_id), (Reason::PolicyDenied, 0));
    assert_eq!(governor.counters().of(Reason::PolicyDenied), 1, "a look is not counted");
}

#[test]
fn nothing_locks_out_health_checks_and_the_way_back() {
    let deny = rule(&[("name", "all"), ("action", "deny")]);
    let mut governor = governor(DefaultEffect::Deny, &[deny]);
    let health = Request { path: Some(b"/healthz/live"), ..Request::default() };
    let decision = governor.admit(at(0), &health);
    assert_eq!((decision.reason, decision.policy), (Reason::Exempt, None));
    assert_eq!(governor.admit(at(0), &Request::default()).reason, Reason::PolicyDenied);
    let all = governor.policies.find("all").unwrap();
    governor.policies.remove_policy(at(0), all).unwrap();
    let by_default = governor.admit(at(0), &Request::default());
    assert_eq!((by_default.verdict, by_default.reason), (Verdict::Deny, Reason::PolicyDefault));
    governor.policies.set_default(at(0), DefaultEffect::Allow);
    assert!(governor.admit(at(0), &Request::default()).is_allowed());
    governor.policies.rollback(at(0), &|_| None).unwrap();
    assert_eq!(governor.admit(at(0), &Request::default()).reason, Reason::PolicyDefault);
}

#[test]
fn a_throttle_charges_its_limit_together_with_those_that_match() {
    let throttle = rule(&[("name", "interns"), ("role", "intern"), ("action", "throttle:slow")]);
    let mut governor = governor(DefaultEffect::Allow, &[throttle]);
    let roles = [name("intern")];
    let request = Request { user: Some(name("ann")), roles: &roles, ..Request::default() };
    let allowed = governor.admit(at(0), &request);
    assert_eq!(allowed.policy.unwrap().enforcement_action, Some(ActionKind::Throttle));
    assert_eq!((left(&mut governor, "each"), left(&mut governor, "slow")), (9, 0));
    let denied = governor.admit(at(0), &request);
    assert_eq!((denied.verdict, denied.reason), (Verdict::Deny, Reason::OverLimit));
    assert_eq!(denied.limit.unwrap().limit, governor.limits.find("slow").unwrap());
    assert_eq!(left(&mut governor, "each"), 9, "all or none");
    assert!(governor.admit(at(0), &Request { roles: &[], ..request }).is_allowed());
}

#[test]
fn a_throttle_finds_its_limit_by_name_whatever_became_of_its_number() {
    let throttle = rule(&[("name", "interns"), ("role", "intern"), ("action", "throttle:slow")]);
    let mut governor = governor(DefaultEffect::Allow, &[throttle]);
    let roles = [name("intern")];
    let request = Request { roles: &roles, ..Request::default() };
    let slow = governor.limits.find("slow").unwrap();
    governor.limits.remove(slow).unwrap();
    let other = governor.limits.add(&limit("other", "group:other", 1)).unwrap();
    let missing = governor.admit(at(0), &request);
    assert_eq!((missing.verdict, missing.reason), (Verdict::Deny, Reason::ThrottleMissing));
    assert_eq!(governor.limits.get_tokens(at(0), other, None), Ok(1), "not by another limit of that number");
    governor.limits.add(&limit("slow", "group:slow", 1)).unwrap();
    assert!(governor.admit(at(0), &request).is_allowed());
    assert_eq!(left(&mut governor, "slow"), 0);
}

#[test]
fn a_redirect_and_an_alert_appear_in_the_decision() {
    let redirect = rule(&[("name", "moved"), ("service", "billing"), ("action", "redirect:billing-v2")]);
    let alert = rule(&[("name", "odd"), ("header", "X-Odd"), ("action", "alert")]);
    let mut governor = governor(DefaultEffect::Allow, &[redirect, alert]);
    let headers = [Header { name: "x-odd", value: b"1" }];
    let request = Request { user: Some(name("ann")), headers: &headers, ..Request::default() };
    let alerted = governor.admit(at(0), &request);
    assert!(alerted.is_allowed());
    assert_eq!(alerted.policy.unwrap().enforcement_action, Some(ActionKind::Alert));
    let moved = governor.admit(at(0), &Request { service: Some(name("billing")), ..request });
    assert_eq!((moved.verdict, moved.reason, moved.retry), (Verdict::Redirect, Reason::Redirected, None));
    let decider = moved.policy.unwrap().decider.unwrap();
    let Some(Action::Redirect(target)) = governor.policies.action_of(decider) else { panic!("it redirects") };
    assert_eq!(target.as_str(), "billing-v2");
    assert_eq!(left(&mut governor, "each"), 9, "what is sent elsewhere is charged there");
    let counters = governor.counters();
    assert_eq!((counters.requests, counters.allowed, counters.denied, counters.redirected), (2, 1, 0, 1));
}

#[test]
fn the_class_of_a_request_is_its_own_or_that_of_its_services_agreement() {
    let deny = rule(&[("name", "no-batch"), ("class", "batch"), ("action", "deny")]);
    let mut governor = governor(DefaultEffect::Allow, &[deny]);
    let mut draft = governance::priority::SlaDraft::default();
    for (field, value) in [("service", "reports"), ("p95", "1s"), ("class", "batch")] {
        draft.set(field, FieldValue::Text(value)).unwrap();
    }
    governor.queues.define_sla(&draft.finish().unwrap()).unwrap();
    let reports = Request { service: Some(name("reports")), ..Request::default() };
    assert_eq!(governor.admit(at(0), &reports).reason, Reason::PolicyDenied);
    let urgent = Request { priority: Some(RequestPriority::High), ..reports };
    assert!(governor.admit(at(0), &urgent).is_allowed());
    assert!(governor.admit(at(0), &Request::default()).is_allowed());
}

#[test]
fn a_configuration_with_a_policy_that_does_not_fit_is_refused() {
    let throttle = rule(&[("name", "interns"), ("action", "throttle:missing")]);
    let mut misfits = Vec::new();
    config(DefaultEffect::Allow, &[throttle]).each_misfit_policy(|place, error| misfits.push((place, error)));
    let missing = LimitName::new("missing").unwrap();
    assert_eq!(misfits, [(0, PolicyError::UnknownLimit { name: missing })]);
    let mut governor = governor(DefaultEffect::Allow, &[]);
    let mut wrong = config(DefaultEffect::Deny, &[throttle]);
    wrong.add_limit(&limit("late", "group:late", 1)).unwrap();
    let refused = governor.configure(at(0), &wrong);
    assert!(matches!(refused, Err(ConfigureError::Policies(PolicyError::UnknownLimit { .. }))));
    assert_eq!(
        (governor.limits.find("late"), governor.policies.default_effect()),
        (None, DefaultEffect::Allow)
    );
}

#[test]
fn what_is_written_of_policies_and_agreements_reads_back() {
    let deny = rule(&[("name", "no-batch"), ("class", "batch"), ("hours", "22-6"), ("action", "deny")]);
    let governor = governor(DefaultEffect::Deny, &[deny]);
    let mut text = String::new();
    governor.write_config(&mut text).unwrap();
    assert!(text.contains("\n[policy]\ndefault = \"deny\"\n"), "{text}");
    assert!(text.contains("\n[[policy.rule]]\nname = \"no-batch\"\n"), "{text}");
}
