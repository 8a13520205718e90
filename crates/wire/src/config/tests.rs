use super::ConfigReader;
use governance::config::Config;
use governance::policy::DefaultEffect;

/// Reads a document, and gives back its errors as they are shown.
fn read(document: &str) -> (Box<Config>, Vec<String>) {
    let mut config = Box::new(Config::new());
    let mut errors = Vec::new();
    let count = ConfigReader::new()
        .read(document.as_bytes(), &mut config, &mut |at, error| errors.push(format!("{at}: {error}")));
    assert_eq!(count, errors.len());
    (config, errors)
}

const GOOD: &str = r#"
[identity]
actor_headers = ["X-Actor", "X-User-Id"]
session_header = "X-Session-Id"
trusted_hops = 1

[routes]
"/api/v1/chat" = "chat"
"/healthz" = "exempt"

[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 10
rate = "1/s"

[[limit]]
scope = "service:web"
algorithm = "fixed-window"
limit = 300
window = "60s"
align = "clock"
"#;

#[test]
fn a_good_document_is_taken_whole() {
    let (config, errors) = read(GOOD);
    assert_eq!(errors, [""; 0]);
    let names: Vec<_> = config.limits().iter().map(|spec| spec.name.to_string()).collect();
    assert_eq!(names, ["ip:*", "service:web"]);
    assert_eq!(config.routes.group_of(b"/api/v1/chat/1").as_str(), "chat");
    assert_eq!(config.identity.actor_headers().collect::<Vec<_>>(), ["X-Actor", "X-User-Id"]);
    assert_eq!(config.identity.trusted_hops, 1);
}

#[test]
fn every_error_is_reported_where_it_is() {
    let (_, errors) = read(
        r#"
colour = "red"
[identity]
trusted_hops = 99
[routes]
"chat" = "chat"
"/x" = 3
[server]
port = 80
[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 0
rate = "1/s"
[[limit]]
scope = "planet:mars"
algorithm = "guess"
[[limit]]
scope = "user:*"
algorithm = "fixed-window"
limit = 1.5
burst = 3
[limits]
[[limit]]
scope = "user:a"
algorithm = "token-bucket"
capacity = 1
"#,
    );
    let starts: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "line 2, column 1",
            "line 4, column 16",
            "line 6, column 1",
            "line 7, column 8",
            "line 8, column 1",
            "line 13, column 12",
            "line 16, column 9",
            "line 17, column 13",
            "line 21, column 9",
            "line 22, column 1",
            "line 23, column 1",
            "line 24, column 1",
        ],
        "{errors:#?}"
    );
    assert!(errors[11].ends_with("rate: missing; algorithm token-bucket needs it"), "{}", errors[11]);
}

#[test]
fn every_field_that_is_wrong_in_a_limit_is_named_where_it_stands() {
    let (_, errors) = read(
        "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"fixed-window\"\ncapacity = 3\nrate = \"1/s\"\n\n[[limit]]\n\
         scope = \"user:*\"\nalgorithm = \"token-bucket\"\ncapacity = 9223372036854775807\nrate = \"1/1d\"\n",
    );
    assert_eq!(
        errors,
        [
            "line 4, column 12: capacity: does not go with algorithm fixed-window, which takes limit, window and align",
            "line 5, column 8: rate: does not go with algorithm fixed-window, which takes limit, window and align",
            "line 1, column 1: limit: missing; algorithm fixed-window needs it",
            "line 1, column 1: window: missing; algorithm fixed-window needs it",
            "line 10, column 12: capacity: times its period is 2^100 ns or more; choose a smaller one or a shorter period",
        ]
    );
}

#[test]
fn limits_that_do_not_go_together_are_named() {
    let twice = format!("{GOOD}\n[[limit]]\nscope = \"ip:*\"\nalgorithm = \"ban\"\n");
    let (_, errors) = read(&twice);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("limit 'ip:*': a limit of that name exists"), "{}", errors[0]);
}

#[test]
fn what_is_unknown_is_told_with_what_there_is() {
    let (_, errors) =
        read("x = 1\n[identity]\nname = 1\n[limits]\n[[routes]]\n[[limit]]\nburst = 3\nscope = [\"ip:*\"]\n");
    assert_eq!(
        errors,
        [
            "line 1, column 1: unknown key 'x'; expected a table: one of [identity], [routes], [policy], [traffic], [[limit]], \
             [[tenant]], [[quota]], [[model]], [[budget]], [[billing]], [[policy.rule]], [[sla]], [[class]], [[breaker]], [[retry]] and [[alert]]",
            "line 3, column 1: unknown key 'name'; expected actor_headers, session_header or trusted_hops",
            "line 4, column 1: unknown table 'limits'; expected one of [identity], [routes], [policy], [traffic], [[limit]], \
             [[tenant]], [[quota]], [[model]], [[budget]], [[billing]], [[policy.rule]], [[sla]], [[class]], [[breaker]], [[retry]] and [[alert]]",
            "line 5, column 1: expected [routes], which is there once",
            "line 7, column 1: unknown key 'burst'; expected one of scope, per, name, algorithm, capacity, rate, limit, \
             window, lease, unit, align, enabled and mode",
            "line 8, column 9: scope: expected a single value, found an array",
        ]
    );
    let (_, errors) = read("[limit]\nscope = 3\n");
    assert_eq!(errors, ["line 1, column 1: expected [[limit]], one for each limit"]);
}

#[test]
fn policies_agreements_and_classes_are_taken_and_checked_together() {
    let (config, errors) = read(
        r#"
[policy]
default = "deny"

[[policy.rule]]
name = "interns"
role = "intern"
action = "throttle:slow"

[[sla]]
service = "billing"
p95 = "200ms"
concurrency = 4

[[class]]
name = "batch"
weight = 3

[[limit]]
name = "slow"
scope = "group:slow"
algorithm = "token-bucket"
capacity = 1
rate = "1/1m"
"#,
    );
    assert_eq!(errors, [""; 0]);
    assert_eq!(config.policy_default, DefaultEffect::Deny);
    assert_eq!(config.policies()[0].name.as_str(), "interns");
    assert_eq!((config.slas()[0].p95_latency_ms, config.slas()[0].concurrency), (200, 4));
    assert_eq!(config.weights(), [16, 8, 4, 2, 3]);
}

#[test]
fn what_is_wrong_with_policies_and_agreements_is_named_where_it_stands() {
    let (_, errors) = read(
        "[policy]\ndefault = \"maybe\"\nmode = 3\n[[policy]]\n[[policy.rule]]\nname = \"a\"\nip = \"300.1.2.3/40\"\n\
         action = \"deny\"\n[[policy.rule]]\nname = \"b\"\nhours = \"25-3\"\naction = \"allow\"\n[[policy.rule]]\n\
         name = \"c\"\naction = \"throttle:none\"\n[[policy.rule]]\nname = \"c\"\naction = \"deny\"\n[[sla]]\n\
         service = \"x\"\np95 = \"0ms\"\n[[sla]]\nservice = \"*\"\np95 = \"1s\"\ndepth = 0\n[[class]]\nname = \"low\"\nweight = 0\n",
    );
    let starts = [
        "line 2, column 11: default: expected one of allow, deny",
        "line 3, column 1: unknown key 'mode'; expected default, and [[policy.rule]] for each policy",
        "line 4, column 3: table policy is defined twice",
        "line 7, column 6: ip: expected an address or a network",
        "line 11, column 9: hours: expected hours of UTC",
        "line 21, column 7: p95: ",
        "line 23, column 11: service: expected one service by its name; an agreement for * cannot be given",
        "line 25, column 9: depth: expected a whole number from 1 to 4096",
        "line 28, column 10: weight: 0 is not allowed",
        "line 13, column 1: policy 'c': action: there is no limit 'none'",
        "line 16, column 1: policy 'c': a policy of that name exists",
    ];
    assert_eq!(errors.len(), starts.len(), "{errors:#?}");
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(start), "{error}\n{start}");
    }
}

#[test]
fn breakers_retries_alerts_and_the_guard_are_taken() {
    let (config, errors) = read(
        r#"
[[breaker]]
scope = "route:*"
failures = 7

[[breaker]]
scope = "route:OpenAI:POST"
window = "count"
calls = 64
failure_rate = "25%"

[[retry]]
scope = "route:*"
backoff = "decorrelated"

[[alert]]
name = "denials"
metric = "denied-rate"
above = "5%"

[traffic]
requests_per_minute = 600
block = "20s"
"#,
    );
    assert_eq!(errors, [""; 0]);
    assert_eq!(config.breakers().len(), 2);
    assert_eq!(config.breakers()[1].scope.to_string(), "route:openai:post");
    assert_eq!((config.retries().len(), config.alerts()[0].name.as_str()), (1, "denials"));
    assert_eq!(config.guard.requests_per_minute, Some(600));
    assert_eq!(
        (config.guard.block.to_string(), config.guard.cooldown.to_string()),
        ("20s".into(), "1m".into())
    );
}

#[test]
fn what_is_wrong_with_breakers_retries_alerts_and_the_guard_is_named_where_it_stands() {
    let (_, errors) = read(
        "[traffic]\nrepeats_per_minute = 0\nspeed = 3\n[[breaker]]\nscope = \"route:*\"\nfailures = 0\n[[breaker]]\n\
         scope = \"service:x\"\n[[breaker]]\nscope = \"route:a:get\"\nwindow = \"count\"\ncalls = 10\nmin_calls = 11\n\
         [[retry]]\nscope = \"route:*\"\n[[retry]]\nscope = \"route:*\"\n[[retry]]\nscope = \"route:b:get\"\n\
         max_delay = \"0s\"\n[[alert]]\nname = \"a\"\nmetric = \"denied-rate\"\nabove = \"101%\"\n[[alert]]\n\
         name = \"b\"\nmetric = \"speed\"\n[[traffic]]\n",
    );
    let starts = [
        "line 2, column 22: repeats_per_minute: 0 is not allowed",
        "line 3, column 1: unknown key 'speed'; expected one of requests_per_minute, ",
        "line 6, column 12: failures: expected a whole number from 1 to 1000000",
        "line 8, column 9: scope: expected ",
        "line 13, column 13: min_calls: ",
        "line 16, column 1: retry 'route:*': its scope has one already",
        "line 20, column 13: max_delay: ",
        "line 24, column 9: above: ",
        "line 27, column 10: metric: expected one of requests-per-second, ",
        "line 28, column 3: ",
    ];
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(start), "{error}\n{start}");
    }
    assert_eq!(errors.len(), starts.len(), "{errors:#?}");
}

#[test]
fn more_scopes_than_there_can_be_are_refused_one_by_one() {
    let mut document = String::from("[[breaker]]\nscope = \"route:*\"\n");
    for number in 0..40 {
        document += &format!("[[breaker]]\nscope = \"route:a{number}:get\"\n");
        document += &format!("[[retry]]\nscope = \"route:b{number}:get\"\n");
    }
    let (config, errors) = read(&document);
    assert_eq!((config.breakers().len(), config.retries().len(), errors.len()), (1 + 32, 32, 16));
    assert!(
        errors[0]
            .ends_with("breakers and retry policies can name at most 64 scopes; route:* is for all others")
    );
}

#[test]
fn a_document_that_is_cut_off_anywhere_is_refused_or_shorter() {
    for end in 0..GOOD.len() {
        let (config, errors) = read(&GOOD[..end]);
        assert!(!errors.is_empty() || config.limits().len() <= 2);
    }
    let (_, errors) = read(&GOOD[..GOOD.find("token-bucket").unwrap()]);
    assert!(!errors.is_empty());
}
