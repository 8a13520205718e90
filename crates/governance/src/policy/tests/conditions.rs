//! The fields of a policy: what they accept, and what is said of what they do not.

use super::support::{refusal, rule};
use crate::field::{FieldValue, Problem};
use crate::policy::{
    Attribute, CONDITION_ATOMS_MAX, CONDITION_TEXT_BYTES, Condition, FIELDS, PRIORITY_DEFAULT, PolicyContext,
    PolicyDraft, PolicyRule, PolicyType,
};
use crate::request::{Header, Request, RequestPriority};
use crate::scope::NameRef;
use crate::time::WallTime;
use proptest::prelude::{ProptestConfig, prop, proptest};

fn matches(fields: &[(&str, &str)], request: &Request<'_>) -> bool {
    rule("p", "deny", fields).condition.matches(&PolicyContext::of(request, WallTime(0)))
}

#[test]
fn every_field_in_its_words() {
    let fields = [
        ("type", "transformation"),
        ("service", "billing"),
        ("tenant", "acme"),
        ("role", "intern, !admin"),
        ("ip", "10.0.0.0/8, !10.9.0.0/16"),
        ("method", "get"),
        ("path", "/v1/invoices/, !/v1/invoices/public"),
        ("header", "X-Env:prod ;!X-Debug; Via: 1.*"),
        ("class", "low, batch"),
        ("hours", "22-6"),
        ("days", "fri-mon"),
        ("priority", "7"),
        ("enabled", "false"),
        ("audit", "true"),
        ("mode", "shadow"),
    ];
    let policy = rule("say \"no\" \\", "redirect:billing-v2", &fields);
    let written = r#"[[policy.rule]]
name = "say \"no\" \\"
type = "transformation"
service = "billing"
tenant = "acme"
role = "intern, !admin"
ip = "10.0.0.0/8, !10.9.0.0/16"
method = "GET"
path = "/v1/invoices, !/v1/invoices/public"
header = "X-Env: prod; !X-Debug; Via: 1.*"
class = "low, batch"
hours = "22-6"
days = "fri-mon"
action = "redirect:billing-v2"
priority = 7
enabled = false
audit = true
mode = "shadow"
"#;
    assert_eq!(policy.to_string(), written);
    assert_eq!(policy.policy_type, PolicyType::Transformation);
    let plain = rule("p", "deny", &[]);
    assert_eq!(plain.to_string(), "[[policy.rule]]\nname = \"p\"\naction = \"deny\"\n");
    assert_eq!((plain.priority, plain.enabled, plain.audit_log), (PRIORITY_DEFAULT, true, false));
    assert!(plain.condition.is_empty());
    assert_eq!(format!("{:?}", rule("p", "deny", &[("hours", "0-24")]).condition), "{\"hours\": 0-24}");
}

#[test]
fn bad_values_are_refused_by_name_with_what_was_expected() {
    for (field, value, message) in [
        ("ip", "300.1.2.3/40", "expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"),
        ("ip", "10.1.2.3/8", "the address has bits set behind the prefix; expected 10.0.0.0/8"),
        ("ip", "2001:db8::1/32", "the address has bits set behind the prefix; expected 2001:db8::/32"),
        ("ip", "10.0.0.0/33", "expected a prefix of at most 32 bits"),
        ("ip", "::/129", "expected a prefix of at most 128 bits"),
        ("ip", "::/999", "expected a prefix of at most 128 bits"),
        ("ip", "10.0.0.0/", "expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"),
        ("ip", "10.0.0.0/+8", "expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"),
        ("ip", "10.0.0.0/8/8", "expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"),
        ("service", "", "a value is missing; leave the field out to match every value"),
        ("ip", " ", "a value is missing; leave the field out to match every value"),
        ("hours", "", "a value is missing; leave the field out to match every value"),
        ("service", "a,,b", "a value is missing; expected one on each side of a separator and behind each !"),
        ("service", "a, !", "a value is missing; expected one on each side of a separator and behind each !"),
        ("tenant", "a\u{7}", "the name holds a control character"),
        ("role", "*", "* stands for nothing here; leave the field out to match every value"),
        ("method", "GET IT", "expected characters that HTTP allows in methods and header names"),
        ("path", "v1", "expected a path that begins with /"),
        ("path", "/v1\u{1}", "expected a path without a query, control characters and a * at its end"),
        ("path", "/v1/*", "expected a path without a query, control characters and a * at its end"),
        ("path", "/v1?x=1", "expected a path without a query, control characters and a * at its end"),
        ("header", "X Env: prod", "expected characters that HTTP allows in methods and header names"),
        ("header", "X-Env:", "expected NAME, NAME: VALUE or NAME: PREFIX*, all printable"),
        ("header", "X-Env: a\u{1}", "expected NAME, NAME: VALUE or NAME: PREFIX*, all printable"),
        (
            "header",
            "X-Env;;X-Debug",
            "a value is missing; expected one on each side of a separator and behind each !",
        ),
        ("class", "urgent", "expected critical, high, normal, low or batch"),
        ("hours", "25-3", "expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("hours", "9-9", "start and end have to differ; leave the field out to match every hour"),
        ("hours", "!9-17", "expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("hours", "24-3", "expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("hours", "9", "expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("hours", "9-+17", "expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("days", "monday", "expected days of UTC, such as mon-fri or sat, sun, without !"),
        ("days", "!sun", "expected days of UTC, such as mon-fri or sat, sun, without !"),
        ("days", "mon-", "expected days of UTC, such as mon-fri or sat, sun, without !"),
        ("priority", "256", "expected a whole number from 0 to 255"),
        ("priority", "-1", "expected a whole number from 0 to 255"),
        ("mode", "quiet", "expected one of enforce, shadow"),
        ("enabled", "yes", "expected true or false"),
        ("type", "other", "expected one of rate-limit, quota, authentication, authorization, transformation"),
        ("action", "block", "expected allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE"),
        ("action", "deny:x", "expected allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE"),
        ("action", "throttle:", "expected allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE"),
        ("action", "redirect:", "the name is empty; expected 1 to 64 bytes"),
        ("name", "", "the name is empty; expected 1 to 64 bytes"),
        ("name", "a\nb", "the name holds a control character"),
    ] {
        assert_eq!(refusal(&[(field, value)]), format!("{field}: {message}"), "{field} {value:?}");
    }
    let long = "x".repeat(65);
    assert_eq!(refusal(&[("name", &long)]), "name: the name has 65 bytes; at most 64 are allowed");
    assert_eq!(refusal(&[("service", &long)]), "service: the name has 65 bytes; at most 64 are allowed");
    assert_eq!(refusal(&[("header", &long)]), "header: the name has 65 bytes; at most 64 are allowed");
    let unknown = PolicyDraft::default().set("colour", FieldValue::Text("red")).unwrap_err();
    assert_eq!((unknown.field, unknown.problem), ("policy", Problem::Unknown(&FIELDS)));
    assert!(PolicyDraft::default().set("service", FieldValue::Integer(7)).is_err());
}

#[test]
fn a_refused_field_leaves_the_draft_as_it_was() {
    let mut draft = PolicyDraft::from_rule(&rule("p", "deny", &[("service", "a"), ("ip", "10.0.0.0/8")]));
    let before = draft.finish().unwrap();
    for (field, value) in [("service", "b, "), ("ip", "10.0.0.1/8"), ("action", "no"), ("hours", "3-3")] {
        draft.set(field, FieldValue::Text(value)).unwrap_err();
        assert_eq!(draft.finish(), Ok(before), "{field}");
    }
    assert_eq!(draft.change("name", FieldValue::Text("q")).unwrap_err().problem, Problem::Fixed);
    draft.change("ip", FieldValue::Text("")).unwrap();
    assert!(!draft.finish().unwrap().condition.looks_at(Attribute::Ip));
    assert!(draft.finish().unwrap().condition.looks_at(Attribute::Service));
}

#[test]
fn name_and_action_are_needed() {
    let problems = |draft: &PolicyDraft| {
        let mut problems = Vec::new();
        draft.each_problem(|problem| problems.push(problem.to_string()));
        problems
    };
    let mut draft = PolicyDraft::default();
    assert_eq!(problems(&draft), ["name: missing", "action: missing"]);
    draft.set("name", FieldValue::Text("p")).unwrap();
    draft.set("action", FieldValue::Text("redirect:b")).unwrap();
    let again = "action: the redirected request would match again; exclude the target with service = \"!b\"";
    assert_eq!(problems(&draft), [again]);
    assert_eq!(draft.finish().unwrap_err().to_string(), again);
    draft.set("service", FieldValue::Text("!b")).unwrap();
    assert_eq!(problems(&draft), [""; 0]);
    draft.set("service", FieldValue::Text("a, b")).unwrap();
    assert_eq!(problems(&draft), [again]);
    draft.set("service", FieldValue::Text("a")).unwrap();
    draft.finish().unwrap();
}

#[test]
fn a_condition_that_matches_nothing_is_refused() {
    for (field, value) in [
        ("service", "a, !a"),
        ("tenant", "a, b, !a, !b"),
        ("role", "admin, !admin"),
        ("method", "get, !GET"),
        ("ip", "10.1.0.0/16, !10.0.0.0/8"),
        ("ip", "10.0.0.0/8, !10.0.0.0/9, !10.128.0.0/9"),
        ("ip", "10.1.2.3, !10.1.2.3"),
        ("ip", "0.0.0.0/0, !::ffff:0:0/96"),
        ("ip", "255.255.255.255, !255.255.255.254/31"),
        ("ip", "::/0, !::/1, !8000::/1"),
        ("ip", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, !8000::/1"),
        ("path", "/a/b, !/a"),
        ("path", "/a, !/"),
        ("path", "/, !/"),
        ("header", "X: a; !X"),
        ("header", "X: a; !x: a"),
        ("header", "X; !X"),
        ("header", "X: ab*; !X: a*"),
        ("header", "Y; X: ab; !X: a*"),
        ("class", "low, !low"),
        ("class", "!critical, !high, !normal, !low, !batch"),
    ] {
        assert_eq!(
            refusal(&[(field, value)]),
            format!("{field}: no request can match: everything that is listed is excluded again"),
            "{value}"
        );
    }
    for (field, value) in [
        ("service", "a, b, !a"),
        ("role", "!admin"),
        ("ip", "10.0.0.0/8, !10.0.0.0/9"),
        ("ip", "::/0, !0.0.0.0/0"),
        ("ip", "0.0.0.0/0, !::/0"),
        ("ip", "::/0, !::/97, !::8000:0:0/97, !::fffe:0:0/96"),
        ("ip", "255.255.255.254/31, !255.255.255.254"),
        ("path", "/a, !/a/b"),
        ("path", "/ab, !/a"),
        ("header", "X; !X: a; !X: b*"),
        ("header", "X: a*; !X: ab*; !X: a"),
        ("header", "X; !Y"),
    ] {
        rule("p", "deny", &[(field, value)]);
    }
}

#[test]
fn what_a_request_does_not_bear_is_none_of_the_values() {
    let nothing = Request::default();
    for (field, value) in [
        ("service", "a"),
        ("tenant", "a"),
        ("role", "a"),
        ("ip", "::/0"),
        ("method", "GET"),
        ("path", "/"),
        ("header", "X"),
    ] {
        assert!(!matches(&[(field, value)], &nothing), "{field}");
        assert!(matches(&[(field, &format!("!{value}"))], &nothing), "{field}");
    }
}

#[test]
fn a_path_matches_by_whole_segments() {
    let of = |path: &'static str| Request { path: Some(path.as_bytes()), ..Request::default() };
    for (path, is_match) in [("/v1", true), ("/v1/", true), ("/v1/x", true), ("/v10", false), ("/v", false)] {
        assert_eq!(matches(&[("path", "/v1/")], &of(path)), is_match, "{path}");
    }
    assert!(matches(&[("path", "/")], &of("/")) && matches(&[("path", "/")], &of("/anything")));
    assert!(!matches(&[("path", "/")], &of("*")) && !matches(&[("path", "/")], &of("")));
}

#[test]
fn roles_and_headers_of_several_values() {
    let (intern, admin) = (NameRef::new("intern").unwrap(), NameRef::new("admin").unwrap());
    let both = Request { roles: &[intern, admin], ..Request::default() };
    assert!(matches(&[("role", "intern, guest")], &both));
    assert!(!matches(&[("role", "intern, guest, !admin")], &both));
    let headers = [Header { name: "x-env", value: b"prod" }, Header { name: "X-Env", value: b"staging" }];
    let request = Request { headers: &headers, ..Request::default() };
    assert!(matches(&[("header", "X-Env: prod")], &request), "the first of a name counts");
    assert!(!matches(&[("header", "X-Env: staging")], &request));
    assert!(matches(&[("header", "X-Env: staging; X-Env: pr*; !X-Debug")], &request));
    assert!(!matches(&[("header", "X-Env: prod; X-Debug")], &request), "another name is another attribute");
}

#[test]
fn hours_and_days_are_those_of_utc_and_their_product() {
    let policy = rule("p", "deny", &[("hours", "22-6"), ("days", "fri")]);
    let at = |time: &str| {
        let context = PolicyContext { wall: time.parse().unwrap(), ..PolicyContext::default() };
        policy.condition.matches(&context)
    };
    for (time, is_match) in [
        ("2026-01-09T00:00:00Z", true),
        ("2026-01-09T05:59:59.999999999Z", true),
        ("2026-01-09T06:00:00Z", false),
        ("2026-01-09T22:00:00Z", true),
        ("2026-01-10T00:00:00Z", false),
        ("1970-01-02T00:00:00Z", true),
        ("2554-07-19T23:00:00Z", true),
    ] {
        assert_eq!(at(time), is_match, "{time}");
    }
}

#[test]
fn a_class_is_one_of_five() {
    for class in RequestPriority::ALL {
        let request = Request { priority: Some(class), ..Request::default() };
        let late = matches!(class, RequestPriority::Low | RequestPriority::Batch);
        assert_eq!(matches(&[("class", "low, batch")], &request), late);
        assert_eq!(matches(&[("class", "!low, !batch")], &request), !late);
        assert!(matches(&[("class", class.word())], &request));
    }
}

#[test]
fn a_condition_holds_as_many_values_as_it_says_and_no_more() {
    let names = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(",");
    let mut condition = Condition::default();
    condition.set(Attribute::Service, &names(CONDITION_ATOMS_MAX)).unwrap();
    assert_eq!(condition.len(), CONDITION_ATOMS_MAX);
    let before = condition;
    let error = condition.set(Attribute::Tenant, "one-more").unwrap_err();
    assert_eq!(error.to_string(), "a condition has at most 12 values");
    assert_eq!(condition, before);
    condition.set(Attribute::Service, "a, a, a, a, a, a, a, a, a, a, a, a, a, a").unwrap();
    assert_eq!(condition.len(), 1, "a value that is repeated is one");

    let path = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    condition.clear(Attribute::Service);
    condition.set(Attribute::Path, &path(CONDITION_TEXT_BYTES)).unwrap();
    let error = condition.set(Attribute::Path, &path(CONDITION_TEXT_BYTES + 1)).unwrap_err();
    assert_eq!(error.to_string(), "the values of a condition have at most 384 bytes together");
    assert!(condition.set(Attribute::Role, "r").is_err());
    assert!(size_of::<PolicyRule>() <= 700);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn whatever_is_written_is_refused_or_reads_back(
        field in prop::sample::select(&FIELDS[..]),
        text in "[ -~é\u{1}]{0,20}|[a-z0-9:./,;!* -]{1,12}|([0-9]{1,2}-[0-9]{1,2}, ?){0,2}[0-9]-[0-9]{1,2}",
    ) {
        let mut draft = PolicyDraft::from_rule(&rule("p", "deny", &[]));
        if draft.set(field, FieldValue::Text(&text)).is_ok() && let Ok(policy) = draft.finish() {
            let mut again = PolicyDraft::from_rule(&rule(policy.name.as_str(), "deny", &[]));
            let fields = Attribute::ALL.into_iter().filter(|attribute| policy.condition.looks_at(*attribute));
            for attribute in fields {
                let shown = policy.condition.shown(attribute).to_string();
                again.set(attribute.word(), FieldValue::Text(&shown)).unwrap();
            }
            again.set("action", FieldValue::Text(&policy.action.to_string())).unwrap();
            assert_eq!(again.finish().map(|again| (again.condition, again.action)), Ok((policy.condition, policy.action)));
        }
    }
}
