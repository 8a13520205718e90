//! What an operator does with policies: each sub-command, what it answers, and what it refuses.

use crate::desk::Desk;
use serde_json::Value;
use shell::session::Status;

const CONFIG: &str = r#"
[[limit]]
scope = "service:slow"
name = "slow-lane"
algorithm = "token-bucket"
capacity = 2
rate = "1/1h"

[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 100
rate = "1/s"

[[policy.rule]]
name = "no-interns"
role = "intern, !admin"
path = "/v1/invoices, !/v1/invoices/public"
action = "deny"

[[policy.rule]]
name = "batch-slowly"
class = "low, batch"
hours = "9-17"
action = "throttle:slow-lane"

[[policy.rule]]
name = "new-billing"
type = "transformation"
service = "billing"
header = "X-Env: canary*; !X-Debug"
action = "redirect:billing-v2"

[[policy.rule]]
name = "watch-exports"
path = "/v1/export"
action = "log"

[[policy.rule]]
name = "no-deletes"
method = "delete"
action = "deny"
mode = "shadow"
"#;

fn desk() -> Desk {
    Desk::new(CONFIG, &[("other.toml", OTHER.as_bytes()), ("bad.toml", BAD.as_bytes())])
}

/// The limits and policies of `CONFIG`, but for one policy.
const OTHER: &str = r#"
[[limit]]
scope = "service:slow"
name = "slow-lane"
algorithm = "token-bucket"
capacity = 2
rate = "1/1h"

[policy]
default = "allow"

[[policy.rule]]
name = "no-interns"
role = "intern"
action = "deny"
"#;

/// A policy that throttles by a limit that the file does not have.
const BAD: &str = "[[policy.rule]]\nname = \"a\"\naction = \"throttle:slow-lane\"\n";

/// All that a user can see of the state of policies and limits, but for what was decided.
fn state(desk: &mut Desk) -> String {
    ["config show", "policy status", "policy list --json", "ratelimit status --json"]
        .map(|line| desk.run(line))
        .concat()
}

/// Checks that a line is refused by this one line, and changes nothing.
fn refuses(desk: &mut Desk, line: &str, why: &str) {
    let before = state(desk);
    let (status, output) = desk.try_run(line);
    assert_eq!((status, output.as_str()), (Status::Failed, format!("error: {why}\n").as_str()), "{line}");
    assert_eq!(state(desk), before, "{line}");
}

fn objects(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn policies_are_listed_by_precedence_with_what_they_have_done() {
    let mut desk = desk();
    for line in [
        "request role=intern path=/v1/invoices/7 method=GET",
        "request role=\"intern, admin\" path=/v1/invoices/7",
        "request path=/v1/export method=DELETE",
        "request path=/v1/exporter",
    ] {
        desk.run(line);
    }
    assert_eq!(
        desk.run("policy list"),
        "policy         type            action               mode        matched  decided\n\
         no-deletes     authorization   deny                 shadow   1 would be        0\n\
         no-interns     authorization   deny                 enforce           1        1\n\
         new-billing    transformation  redirect:billing-v2  enforce           0        0\n\
         batch-slowly   authorization   throttle:slow-lane   enforce           0        0\n\
         watch-exports  authorization   log                  enforce           1        1\n"
    );
    let listed = objects(&desk.run("policy list --json"));
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0]["name"], "no-deletes");
    assert_eq!(listed[0]["method"], "DELETE");
    assert_eq!(listed[0]["role"], Value::Null);
    assert_eq!((&listed[0]["mode"], &listed[0]["would"]), (&"shadow".into(), &1.into()));
    assert_eq!((&listed[1]["matched"], &listed[1]["decided"]), (&1.into(), &1.into()));
}

#[test]
fn rules_are_written_as_they_may_be_typed() {
    let mut desk = desk();
    assert_eq!(
        desk.run("policy rules"),
        "policy         action               matches\n\
         no-deletes     deny                 method=DELETE\n\
         no-interns     deny                 role=\"intern, !admin\" path=\"/v1/invoices, !/v1/invoices/public\"\n\
         new-billing    redirect:billing-v2  service=billing header=\"X-Env: canary*; !X-Debug\"\n\
         batch-slowly   throttle:slow-lane   class=\"low, batch\" hours=9-17\n\
         watch-exports  log                  path=/v1/export\n"
    );
    let rules = desk.run("policy rules");
    for (index, rule) in rules.lines().skip(1).enumerate() {
        let condition = rule[35..].trim_start();
        let added = desk.run(&format!("policy add name=copy{index} action=log {condition}"));
        assert_eq!(added, format!("added copy{index}: log {condition}\n"));
    }
    desk.run("policy add name=all action=alert");
    assert!(desk.run("policy rules").contains("\nall            alert                every request\n"));
    assert_eq!(objects(&desk.run("policy rules --json")).len(), 11);
}

#[test]
fn a_policy_is_shown_with_its_toml() {
    let mut desk = desk();
    desk.run("request role=intern path=/v1/invoices");
    let shown = "no-interns\n  \
         type      authorization\n  \
         matches   role=\"intern, !admin\" path=\"/v1/invoices, !/v1/invoices/public\"\n  \
         action    deny\n  \
         priority  100\n  \
         state     enabled\n  \
         mode      enforce\n  \
         audit     false\n  \
         matched   1\n  \
         decided   1\n\n\
         [[policy.rule]]\n\
         name = \"no-interns\"\n\
         role = \"intern, !admin\"\n\
         path = \"/v1/invoices, !/v1/invoices/public\"\n\
         action = \"deny\"\n";
    assert_eq!(desk.run("policy show no-interns"), shown);
    let object = &objects(&desk.run("policy show no-interns --json"))[0];
    assert_eq!(object["toml"].as_str().unwrap(), shown.split_once("\n\n").unwrap().1);
    assert!(desk.run("policy show no-deletes").contains("\n  would be  0\n"));
    refuses(&mut desk, "policy show no-intern", "there is no policy 'no-intern'; did you mean 'no-interns'?");
    refuses(&mut desk, "policy show xyz", "there is no policy 'xyz'; policy list lists them");
}

#[test]
fn the_status_says_how_much_room_there_is() {
    let mut desk = desk();
    desk.run("request role=intern path=/v1/invoices");
    desk.run("request method=DELETE");
    let status = desk.run("policy status");
    let content = &objects(&desk.run("policy status --json"))[0]["content_hash"];
    assert_eq!(
        status,
        format!(
            "default allow: a request that no policy denies is allowed\n\
             policies 5 of 128   values 9 of 512   header names 2 of 16\n\
             generation 1   content {}   changes 1\n\
             requests 2   allowed 1   denied 1   by default 1\n\
             redirected 0   throttled 0   alerted 0   logged 0\n\
             shadow policies would have denied 1 that were allowed, and allowed 0 that were denied\n\
             audit records written 2   overwritten 0\n\
             no rollback is possible: there was nothing before the present policies\n",
            content.as_str().unwrap()
        )
    );
    let mut empty = {
        drop(desk);
        Desk::new("", &[])
    };
    assert!(empty.run("policy status").ends_with("no rollback is possible: nothing was changed yet\n"));
    assert_eq!(objects(&empty.run("policy status --json"))[0]["rollback_to"], Value::Null);
    assert_eq!(empty.run("policy list"), "no policies\n");
    assert_eq!(empty.run("policy list --json"), "");
    refuses(&mut empty, "policy rollback", "there is no earlier set of policies to go back to");
    refuses(
        &mut empty,
        "policy diff",
        "nothing was changed yet; policy diff FILE compares with the policies of a file",
    );
}

#[test]
fn policies_are_changed_while_they_work() {
    let mut desk = desk();
    let line =
        "policy add name=nights hours=22-6 days=fri-mon ip=10.0.0.0/8 action=deny priority=5 audit=true";
    assert_eq!(desk.run(line), "added nights: deny ip=10.0.0.0/8 hours=22-6 days=fri-mon\n");
    assert_eq!(
        desk.run("policy set nights ip=\"\" mode=shadow enabled=false"),
        "changed nights: deny hours=22-6 days=fri-mon (shadow) (disabled)\n"
    );
    assert!(desk.run("policy list").contains("shadow, disabled"));
    assert_eq!(desk.run("policy enable nights"), "enabled nights\n");
    assert_eq!(desk.run("policy disable no-interns"), "disabled no-interns\n");
    assert!(desk.answer("request role=intern path=/v1/invoices").starts_with("allow "));
    assert_eq!(desk.run("policy enable no-interns"), "enabled no-interns\n");
    assert!(desk.answer("request role=intern path=/v1/invoices").starts_with("deny "));
    assert_eq!(desk.run("policy remove nights"), "removed nights; policy rollback puts it back\n");
    assert_eq!(desk.run("policy default deny"), "a request that no policy allows is denied\n");
    assert!(desk.answer("request path=/").starts_with("deny "));
    assert_eq!(desk.run("policy default allow"), "a request that no policy denies is allowed\n");
}

#[test]
fn setting_what_is_set_already_is_no_change() {
    let mut desk = desk();
    let before = state(&mut desk);
    desk.run("policy set no-interns priority=100 action=deny");
    desk.run("policy enable no-interns");
    desk.run("policy default allow");
    desk.run("policy shadow no-deletes");
    assert_eq!(state(&mut desk), before);
}

#[test]
fn a_rollback_goes_back_and_forth() {
    let mut desk = desk();
    let before = desk.run("policy rules");
    desk.run("policy remove no-interns");
    let after = desk.run("policy rules");
    assert_eq!(
        desk.run("policy rollback"),
        "put back generation 1 in place of 2: 5 policies, default allow; this is generation 3\n"
    );
    assert_eq!(desk.run("policy rules"), before);
    assert_eq!(
        desk.run("policy rollback"),
        "put back generation 2 in place of 3: 4 policies, default allow; this is generation 4\n"
    );
    assert_eq!(desk.run("policy rules"), after);
}

#[test]
fn a_rollback_does_not_go_back_to_before_the_first_policies() {
    let mut desk = desk();
    let why = "before the present policies there was nothing that could be put back; policy remove takes one away, \
               config load brings those of a file";
    refuses(&mut desk, "policy rollback", why);
    assert_eq!(objects(&desk.run("policy status --json"))[0]["rollback_to"], Value::Null);
    desk.run("policy remove no-interns");
    assert!(desk.run("policy rollback").starts_with("put back generation 1 in place of 2: "));
}

#[test]
fn a_rollback_needs_the_limits_that_there_were() {
    let mut desk = desk();
    refuses(
        &mut desk,
        "ratelimit remove slow-lane",
        "slow-lane: the policy batch-slowly throttles by it; change or remove that policy first",
    );
    desk.run("ratelimit ban user:eve");
    desk.run("policy add name=evil role=evil action=throttle:user:eve#ban");
    refuses(
        &mut desk,
        "ratelimit unban user:eve",
        "user:eve#ban: the policy evil throttles by it; change or remove that policy first",
    );
    desk.run("policy remove batch-slowly");
    desk.run("ratelimit remove slow-lane");
    refuses(
        &mut desk,
        "policy rollback",
        "a policy of that time throttles by the limit 'slow-lane', which is not there any more",
    );
}

#[test]
fn what_is_malformed_is_refused_in_one_line() {
    let mut desk = desk();
    for (field, why) in [
        ("ip=300.1.2.3/40", "ip: expected an address or a network, such as 10.0.0.0/8 or 2001:db8::/32"),
        ("ip=10.1.2.3/8", "ip: the address has bits set behind the prefix; expected 10.0.0.0/8"),
        ("ip=10.0.0.0/33", "ip: expected a prefix of at most 32 bits"),
        ("hours=25-3", "hours: expected hours of UTC from 0 to 24, such as 9-17 or 22-6, without !"),
        ("hours=9-9", "hours: start and end have to differ; leave the field out to match every hour"),
        ("days=someday", "days: expected days of UTC, such as mon-fri or sat, sun, without !"),
        ("class=urgent", "class: expected critical, high, normal, low or batch"),
        ("method=\"GE T\"", "method: expected characters that HTTP allows in methods and header names"),
        ("path=v1", "path: expected a path that begins with /"),
        (
            "header=\"X-\u{1b}Env: prod\"",
            "header: expected characters that HTTP allows in methods and header names",
        ),
        ("header=\"X-Env: a\u{7}b\"", "header: expected NAME, NAME: VALUE or NAME: PREFIX*, all printable"),
        ("role=\"admin, !admin\"", "role: no request can match: everything that is listed is excluded again"),
        (
            "ip=\"10.1.0.0/16, !10.0.0.0/8\"",
            "ip: no request can match: everything that is listed is excluded again",
        ),
        ("path=\"/a/b, !/a\"", "path: no request can match: everything that is listed is excluded again"),
        ("header=\"X: a; !X\"", "header: no request can match: everything that is listed is excluded again"),
        (
            "service=\"a,,b\"",
            "service: a value is missing; expected one on each side of a separator and behind each !",
        ),
        ("priority=256", "priority=256 is not accepted; expected a whole number from 0 to 255"),
    ] {
        refuses(&mut desk, &format!("policy add name=bad action=deny {field}"), why);
        refuses(&mut desk, &format!("policy set no-interns {field}"), why);
    }
    for (line, why) in [
        ("policy add action=deny", "missing argument name=TEXT"),
        ("policy add name=bad", "missing argument action=TEXT"),
        (
            "policy add name=bad action=refuse",
            "action: expected allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE",
        ),
        (
            "policy add name=no-interns action=deny",
            "no-interns: a policy of that name exists; give it another name",
        ),
        (
            "policy add name=bad action=throttle:slow-lan",
            "bad: action: there is no limit 'slow-lan'; did you mean 'slow-lane'?",
        ),
        (
            "policy set no-interns action=throttle:nothing",
            "no-interns: action: there is no limit 'nothing'; ratelimit status lists them",
        ),
        (
            "policy add name=bad service=billing action=redirect:billing",
            "action: the redirected request would match again; exclude the target with service = \"!billing\"",
        ),
        (
            "policy add name=bad action=redirect:v2",
            "action: the redirected request would match again; exclude the target with service = \"!v2\"",
        ),
        ("policy set no-interns", "nothing to change; give at least one field, such as mode=enforce"),
        ("policy set no-interns mode=off", "mode=off is not accepted; expected one of enforce, shadow"),
        (
            "policy set no-interns name=other",
            "unknown argument 'name='; accepted here: NAME type= service= tenant= role= ip= method= path= \
             header= class= hours= days= action= priority= enabled= audit= mode=",
        ),
        ("policy remove nointerns", "there is no policy 'nointerns'; did you mean 'no-interns'?"),
        ("policy enable nothing", "there is no policy 'nothing'; policy list lists them"),
        ("policy shadow nothing", "there is no policy 'nothing'; policy list lists them"),
        ("policy shadow no-interns --json", "--json goes with the report, which has no NAME"),
        ("policy default maybe", "'maybe' is not accepted; expected one of allow, deny"),
        ("policy audit from=99", "from: there is no record 99 yet; the last one has number 1"),
        ("policy explain at=noon", "at: expected a UTC time from 1970 to 2554, such as 2015-05-17T10:05:03Z"),
        ("policy explain ip=nowhere", "ip: expected an IPv4 or IPv6 address"),
        ("policy diff none.toml", "there is no file 'none.toml'; ls lists the files"),
    ] {
        refuses(&mut desk, line, why);
    }
}

#[test]
fn the_129th_policy_is_refused() {
    let mut desk = Desk::new("", &[]);
    for index in 1..=128 {
        desk.run(&format!("policy add name=p{index} tenant=t{index} action=log"));
    }
    refuses(
        &mut desk,
        "policy add name=p129 tenant=t129 action=deny",
        "p129: there are 128 policies already, and no more fit",
    );
    assert!(desk.run("policy status").contains("\npolicies 128 of 128   values 128 of 512 "));
}

#[test]
fn an_explanation_names_who_speaks_and_why() {
    let mut desk = desk();
    let before = state(&mut desk);
    assert_eq!(
        desk.run(
            "policy explain service=billing role=intern ip=10.1.2.3 method=DELETE path=/v1/invoices \
             headers=\"X-Env: canary-7\" priority=low at=2026-01-05T09:00:00Z"
        ),
        "policy        action               stands\n\
         no-deletes    deny                 would match, but is in shadow mode\n\
         no-interns    deny                 matches, and decides\n\
         new-billing   redirect:billing-v2  matches\n\
         batch-slowly  throttle:slow-lane   matches\n\
         deny    policy no-interns denies it, and a deny wins\n"
    );
    assert_eq!(
        desk.run("policy explain path=/v1/export at=2026-01-05T17:00:00Z priority=low method=POST --all"),
        "policy         action               stands\n\
         no-deletes     deny                 does not match: method=DELETE (shadow)\n\
         no-interns     deny                 does not match: role=intern, !admin\n\
         new-billing    redirect:billing-v2  does not match: service=billing\n\
         batch-slowly   throttle:slow-lane   does not match: hours=9-17\n\
         watch-exports  log                  matches, and decides\n\
         allow   policy watch-exports takes note of it; it is allowed by default\n"
    );
    for (arguments, verdict) in [
        ("path=/", "allow   default allow: no policy denies it"),
        (
            "method=DELETE",
            "allow   default allow: no policy denies it; it would be denied if shadow policies acted",
        ),
        (
            "priority=batch at=2026-01-05T16:59:59Z",
            "allow   policy batch-slowly has it charged to the limit slow-lane; it is allowed by default",
        ),
        (
            "service=billing headers=\"x-env: canary\"",
            "redirect   policy new-billing sends it to service billing-v2; it is allowed by default",
        ),
        (
            "service=billing headers=\"x-env: canary; x-debug: 1\"",
            "allow   default allow: no policy denies it",
        ),
    ] {
        let output = desk.run(&format!("policy explain {arguments}"));
        assert_eq!(output.lines().last(), Some(verdict), "{arguments}");
    }
    assert_eq!(state(&mut desk), before, "an explanation counts nothing");
    desk.run("policy disable no-interns");
    assert!(desk.run("policy explain --all").contains("no-interns     deny                 is disabled\n"));
    desk.run("policy default deny");
    assert_eq!(desk.run("policy explain"), "no policy matches\ndeny    default deny: no policy allows it\n");
}

#[test]
fn an_explanation_says_the_same_as_a_request() {
    let mut desk = desk();
    desk.run("policy add name=partners tenant=acme action=allow");
    for default in ["allow", "deny"] {
        desk.run(&format!("policy default {default}"));
        for arguments in [
            "role=intern path=/v1/invoices",
            "role=intern path=/v1/invoices/public",
            "service=billing headers=\"X-Env: canary\"",
            "tenant=acme service=billing headers=\"X-Env: canary\"",
            "tenant=acme",
            "method=DELETE tenant=acme",
            "path=/v1/export",
        ] {
            let request = desk.answer(&format!("request {arguments}"));
            let explained = desk.run(&format!("policy explain {arguments}"));
            let verdict = explained.lines().last().unwrap().split(' ').next();
            assert_eq!(request.split(' ').next(), verdict, "{arguments}: {request}");
            let object = objects(&desk.run(&format!("policy explain {arguments} --json")));
            assert_eq!(object.last().unwrap()["verdict"].as_str(), verdict, "{arguments}");
        }
    }
}

#[test]
fn an_explanation_in_json_has_an_object_for_each_policy_and_one_for_the_verdict() {
    let mut desk = desk();
    let matched = objects(&desk.run("policy explain role=intern path=/v1/invoices method=DELETE --json"));
    let roles: Vec<_> = matched.iter().map(|object| object["role"].as_str()).collect();
    assert_eq!(roles, [Some("would-match"), Some("decides"), None]);
    assert_eq!(matched[2]["verdict"], "deny");
    assert_eq!(matched[2]["reason"], "policy-denied");
    assert_eq!(matched[2]["policy"], "no-interns");
    let all = objects(&desk.run("policy explain path=/ --all --json"));
    assert_eq!(all.len(), 6);
    assert_eq!((&all[1]["role"], &all[1]["misses"]), (&"misses".into(), &"role".into()));
    assert_eq!(all[1]["values"], "intern, !admin");
    desk.run("policy add name=partners tenant=acme action=allow");
    let both = objects(&desk.run("policy explain tenant=acme path=/v1/export --json"));
    let verdict = both.last().unwrap();
    assert_eq!((&verdict["policy"], &verdict["reason"]), (&"watch-exports".into(), &"policy-allowed".into()));
    assert_eq!(verdict["allowed_by"], "partners");
    assert_eq!(all[5]["reason"], "policy-default");
}

#[test]
fn an_exempt_path_is_said_to_be_one() {
    let mut desk = Desk::new("[routes]\n\"/healthz\" = \"exempt\"\n[policy]\ndefault = \"deny\"\n", &[]);
    assert!(desk.answer("request path=/healthz").starts_with("allow "));
    assert!(
        desk.run("policy explain path=/healthz")
            .ends_with("its path is exempt: a request to it is allowed, and no policy is asked\n")
    );
    assert!(desk.answer("request path=/").starts_with("deny "));
}

#[test]
fn a_shadow_policy_is_reported_and_then_enforced() {
    let mut desk = desk();
    desk.run("request method=DELETE");
    desk.run("request method=GET");
    assert_eq!(
        desk.run("policy shadow no-interns"),
        "no-interns only counts what it would do; policy set no-interns mode=enforce has it act\n"
    );
    assert!(desk.answer("request role=intern path=/v1/invoices").starts_with("allow "));
    assert_eq!(
        desk.run("policy shadow"),
        "policy      would  requests  matches\n\
         no-deletes  deny          1  method=DELETE\n\
         no-interns  deny          1  role=\"intern, !admin\" path=\"/v1/invoices, !/v1/invoices/public\"\n\
         shadow policies would have denied 2 that were allowed, and allowed 0 that were denied\n"
    );
    let report = objects(&desk.run("policy shadow --json"));
    assert_eq!((&report[0]["policy"], &report[0]["would"]), (&"no-deletes".into(), &1.into()));
    assert_eq!((&report[2]["evaluated"], &report[2]["would_deny"]), (&3.into(), &2.into()));
    desk.run("policy set no-interns mode=enforce");
    assert!(desk.answer("request role=intern path=/v1/invoices").starts_with("deny "));
}

#[test]
fn denials_and_changes_are_on_record() {
    let mut desk = desk();
    desk.run("request role=intern path=/v1/invoices/9 tenant=acme ip=192.0.2.1 service=billing");
    desk.wait("1m");
    desk.run("request path=/v1/export");
    desk.run("policy disable no-interns");
    desk.run("policy default deny");
    desk.run("request");
    desk.run("policy rollback");
    assert_eq!(
        desk.run("policy audit"),
        "id  time                  event            policy         generation  request\n \
          1  2026-01-01T00:00:00Z  replaced         -                       1  -\n \
          2  2026-01-01T00:00:00Z  denied           no-interns              1  service=billing tenant=acme ip=192.0.2.1 path=/v1/invoices/9\n \
          3  2026-01-01T00:01:00Z  allowed          watch-exports           1  path=/v1/export\n \
          4  2026-01-01T00:01:00Z  disabled         no-interns              2  -\n \
          5  2026-01-01T00:01:00Z  default-changed  -                       3  -\n \
          6  2026-01-01T00:01:00Z  denied           -                       3  -\n \
          7  2026-01-01T00:01:00Z  rolled-back      -                       4  -\n"
    );
    assert_eq!(desk.run("policy audit from=6").lines().count(), 3);
    let records = objects(&desk.run("policy audit from=2 --json"));
    assert_eq!(records.len(), 6);
    assert_eq!(records[0]["ip"], "192.0.2.1");
    assert_eq!((&records[0]["event"], &records[4]["policy"]), (&"denied".into(), &Value::Null));
}

#[test]
fn what_the_audit_log_no_longer_has_is_said() {
    let mut desk = Desk::new("[policy]\ndefault = \"deny\"\n", &[]);
    for _ in 0..1100 {
        desk.run("request");
    }
    let last = desk.run("policy audit");
    assert_eq!(last.lines().count(), 21);
    assert!(last.lines().last().unwrap().starts_with("1101 "), "{last}");
    let first = desk.run("policy audit from=1");
    assert!(first.ends_with(
        "824 more; policy audit from=1 --json lists all\nrecords before 78 are not kept any more\n"
    ));
    assert_eq!(desk.run("policy audit from=1 --json").lines().count(), 1024);
    assert!(desk.run("policy status").contains("\naudit records written 1,101   overwritten 77\n"));
}

#[test]
fn nothing_locks_the_operator_out() {
    let mut desk = desk();
    desk.run("policy add name=nobody action=deny priority=0");
    desk.run("policy default deny");
    assert!(desk.answer("request user=ada").starts_with("deny "));
    for line in [
        "policy list",
        "policy status",
        "policy rules",
        "policy show nobody",
        "policy explain",
        "policy lint",
        "policy diff",
        "policy shadow",
        "policy audit",
        "policy help",
        "policy set nobody mode=shadow",
        "policy disable nobody",
        "policy remove nobody",
        "policy rollback",
        "policy default allow",
        "config load other.toml",
    ] {
        desk.run(line);
    }
    assert!(desk.answer("request user=ada").starts_with("allow "));
}

#[test]
fn a_configuration_counts_its_policies() {
    let mut desk = desk();
    assert_eq!(desk.run("config check other.toml"), "other.toml is valid: 1 limit, 1 policy and no routes\n");
    let shown = desk.run("config show");
    assert!(shown.contains("[[policy.rule]]\nname = \"no-deletes\"\nmethod = \"DELETE\"\n"), "{shown}");
    assert_eq!(desk.run("config load weir.toml"), "weir.toml is in force: 2 limits, 5 policies\n");
    assert!(desk.run("policy status").contains("\ngeneration 1 "), "the same policies are no change");
}

#[test]
fn help_explains_the_sub_commands() {
    let mut desk = Desk::new("", &[]);
    assert_eq!(desk.run("policy help"), desk.run("help policy"));
}

/// The lines of arguments that a report gives, to be tried with `policy explain`.
fn witnesses(report: &str) -> Vec<&str> {
    report.lines().filter_map(|line| line.strip_prefix("  ")).collect()
}

#[test]
fn each_finding_comes_with_a_request_that_shows_it() {
    let mut desk = desk();
    assert_eq!(desk.run("policy lint"), "no findings\n");
    assert_eq!(desk.run("policy lint --json"), "{\"findings\":0}\n");
    for (line, sentence, both) in [
        (
            "name=no-drafts role=\"intern, !admin\" path=/v1/invoices/drafts action=deny",
            "no-drafts changes nothing: no-interns does the same with every request that it matches",
            ["no-drafts", "no-interns"],
        ),
        (
            "name=drafts role=\"intern, !admin\" path=/v1/invoices/drafts action=throttle:slow-lane",
            "drafts has no effect: no-interns denies every request that it matches",
            ["drafts", "no-interns"],
        ),
        (
            "name=may role=\"intern, trainee\" path=/v1/invoices/7 action=allow",
            "may allows requests that no-interns denies, and the deny wins",
            ["may", "no-interns"],
        ),
    ] {
        desk.run(&format!("policy add {line}"));
        let report = desk.run("policy lint");
        assert!(report.lines().any(|line| line == sentence), "{line}: {report}");
        let at = report.lines().position(|line| line == sentence).unwrap();
        let witness = report.lines().nth(at + 1).unwrap().trim_start();
        let explained = desk.run(&format!("policy explain {witness}"));
        for policy in both {
            assert!(explained.contains(&format!("{policy} ")), "{witness}: {explained}");
        }
        let found = objects(&desk.run("policy lint --json"));
        assert_eq!(found.last().unwrap()["findings"], found.len() - 1);
        assert!(found.iter().any(|finding| finding["witness"] == witness));
        desk.run(&format!("policy remove {}", both[0]));
    }
    desk.run("policy add name=there service=a action=redirect:b");
    desk.run("policy add name=back service=b action=redirect:a");
    let report = desk.run("policy lint");
    assert!(report.contains(" redirects to where "), "{report}");
    assert!(!witnesses(&report).is_empty(), "{report}");
}

#[test]
fn each_difference_comes_with_a_request_that_shows_it() {
    let mut desk = desk();
    desk.run("policy add name=no-drafts role=\"intern, !admin\" path=/v1/invoices/drafts action=deny");
    assert_eq!(desk.run("policy diff"), "equal\n", "what another policy does as well is no difference");
    assert_eq!(desk.run("policy diff --json"), "{\"outcome\":\"equal\",\"differences\":0}\n");
    desk.run("policy remove no-drafts");
    desk.run("policy remove no-interns");
    let report = desk.run("policy diff");
    assert!(report.contains("before denied by no-interns, now allowed"), "{report}");
    let shown: Vec<String> = witnesses(&report).iter().map(|witness| (*witness).to_owned()).collect();
    assert!(!shown.is_empty(), "{report}");
    let word = |desk: &mut Desk, witness: &str| {
        let explained = desk.run(&format!("policy explain {witness}"));
        explained.lines().last().unwrap().to_owned()
    };
    let now: Vec<_> = shown.iter().map(|witness| word(&mut desk, witness)).collect();
    desk.run("policy rollback");
    for (witness, now) in shown.iter().zip(&now) {
        assert_ne!(word(&mut desk, witness), *now, "{witness}");
    }
    let objects = objects(&desk.run("policy diff --json"));
    assert_eq!(objects.last().unwrap()["outcome"], "different");
    assert_eq!(objects.last().unwrap()["differences"], objects.len() - 1);
    assert_eq!((&objects[0]["allowed_before"], &objects[0]["allowed_after"]), (&true.into(), &false.into()));
    assert_eq!(objects[0]["policy_after"], "no-interns");
}

#[test]
fn a_file_is_compared_and_nothing_of_it_put_in_force() {
    let mut desk = desk();
    let before = state(&mut desk);
    assert_eq!(desk.run("policy diff weir.toml"), "equal\n");
    let gave_up = "unknown: gave up after 1 step; steps= says how many to take\n";
    assert_eq!(desk.run("policy diff other.toml steps=1"), gave_up);
    let unknown = "{\"outcome\":\"unknown\",\"differences\":0}\n";
    assert_eq!(desk.run("policy diff other.toml steps=1 --json"), unknown);
    let report = desk.run("policy diff other.toml");
    assert!(report.contains(", with other.toml denied by no-interns\n"), "{report}");
    let objects = objects(&desk.run("policy diff other.toml --json"));
    assert_eq!(objects.last().unwrap()["outcome"], "different");
    assert_eq!(state(&mut desk), before);
    refuses(
        &mut desk,
        "policy diff bad.toml",
        "bad.toml: line 1, column 1: policy 'a': action: there is no limit 'slow-lane'",
    );
}
