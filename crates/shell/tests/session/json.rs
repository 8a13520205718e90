//! With `--json`, every line is one JSON object, and nothing else is printed.

use crate::desk::Desk;
use serde_json::{Map, Value};
use shell::command::{ArgumentSpec, COMMANDS, Form};
use shell::term::Term;

const CONFIG: &str = r#"
[routes]
"/healthz" = "exempt"

[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 5
rate = "1/1h"

[[limit]]
scope = "service:web"
name = "a \"quoted\" name \\ of a limit"
algorithm = "sliding-window"
limit = 100
window = "1h"
unit = "bytes"

[[limit]]
scope = "user:eve"
algorithm = "ban"
enabled = false

[[limit]]
scope = "user:mallory"
algorithm = "ban"

[[tenant]]
name = "acme"

[[quota]]
scope = "tenant:*"
limit = 100
window = "daily"

[[model]]
service = "llm"
base_cost = "0.01 USD"
per_input_token = "0.5 USD per 1000"

[[budget]]
scope = "tenant:acme"
amount = "0.03 USD"
window = "daily"
action = "alert"

[[policy.rule]]
name = "no-bots"
header = "X-Agent: bot*"
action = "deny"

[[policy.rule]]
name = "a \"quoted\" name \\ of a policy"
role = "intern"
action = "log"
mode = "shadow"
[[sla]]
service = "queued"
p95 = "200ms"

[[alert]]
name = "a \"quoted\" name \\ of an alert"
metric = "denied-rate"
scope = "service:llm"
above = "5%"
"#;

/// Traffic control, for commands that show nothing without it.
const TRAFFIC: &str = r#"
[traffic]
repeats_per_minute = 1000

[[breaker]]
scope = "route:*"

[[retry]]
scope = "route:*"
"#;

const LOG: &str = "192.0.2.1 - eve [17/May/2015:10:05:00 +0000] \"GET / HTTP/1.1\" 200 10\n\
                   not a line of a log\n\
                   192.0.2.1 - mallory [17/May/2015:10:05:01 +0000] \"GET / HTTP/1.1\" 200 10\n";

fn objects(output: &str) -> Vec<Map<String, Value>> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(object)) => object,
        other => panic!("{line}: {other:?}"),
    };
    assert!(output.is_empty() || output.ends_with('\n'), "{output:?}");
    output.lines().map(parse).collect()
}

/// Every command with `--json`, as it may be typed.
const LINES: &[&str] = &[
    "request ip=192.0.2.1",
    "request user=mallory",
    "request path=/healthz",
    "request",
    "ratelimit try ip=192.0.2.1 cost=9",
    "ratelimit status",
    "ratelimit buckets",
    "ratelimit buckets ip:*",
    "ratelimit show ip:*",
    "ratelimit show \"a \\\"quoted\\\" name \\\\ of a limit\"",
    "request tenant=acme service=llm reserve=40",
    "tickets",
    "complete TICKET tokens=7 ms=12",
    "request tenant=acme service=llm",
    "request tenant=acme service=llm",
    "quota status",
    "quota allocations",
    "quota usage",
    "quota usage tenant:*/daily key=acme",
    "cost status",
    "cost tenants",
    "cost services",
    "cost models",
    "cost breakdown",
    "cost breakdown acme",
    "cost bill acme",
    "cost trends",
    "cost alerts",
    "cost budgets",
    "cost ledger",
    "policy list",
    "policy status",
    "policy rules",
    "policy show no-bots",
    "policy explain role=intern",
    "policy explain headers=\"X-Agent: bot7\" --all",
    "policy lint",
    "policy diff",
    "policy diff weir.toml",
    "policy shadow",
    "policy audit",
    "priority weights",
    "priority enqueue service=queued",
    "priority queues",
    "priority sla",
    "priority stats",
    "priority fairness",
    "priority dequeue queued",
    "priority dequeue queued",
    "priority simulate seconds=1",
    "request provider=github method=get",
    "traffic status",
    "traffic scopes",
    "traffic show route:github:get",
    "traffic retry github:get status=503",
    "traffic loops",
    "traffic degraded",
    "replay a.log",
    "replay a.log --timeline",
    "bench ratelimit",
    "bench quota",
    "bench cost",
    "bench policy",
    "bench priority",
    "bench traffic",
    "memory",
    "ls",
    "history",
    "governance metrics",
    "governance timeline resolution=second",
    "governance top",
    "governance top services",
    "governance top tenants by=cost",
    "governance alerts all",
];

#[test]
fn every_command_that_takes_json_prints_nothing_but_objects() {
    let mut desk = Desk::new(&format!("{TRAFFIC}{CONFIG}"), &[("a.log", LOG.as_bytes())]);
    // Each look at the clock takes a while, so that what draws progress would draw it.
    desk.system.tick = "1ms".parse().unwrap();
    let mut ticket = String::new();
    for term in [Term::Dumb, Term::Ansi] {
        desk.session.set_term(term);
        for line in LINES {
            let line = &line.replace("TICKET", &ticket);
            let output = desk.run(&format!("{line} --json"));
            assert!(!output.contains('\x1b'), "{line}: {output:?}");
            let objects = objects(&output);
            assert!(!objects.is_empty() || *line == "history", "{line} printed nothing");
            if line.contains("reserve=") {
                objects[0]["ticket"].as_str().unwrap().clone_into(&mut ticket);
            }
        }
    }
}

#[test]
fn no_command_with_json_is_left_out() {
    let takes_json = |arguments: &[ArgumentSpec]| arguments.iter().any(|argument| argument.name == "json");
    // These are tried by tests of their own.
    let others = [
        "quota alerts",
        "cost project",
        "cost invoices",
        "priority alerts",
        "governance percentiles",
        "governance correlate",
    ];
    let tried = |name: &str| {
        assert!(LINES.iter().chain(&others).any(|line| line.starts_with(name)), "{name}");
    };
    for command in COMMANDS {
        match command.form {
            Form::Action(_, arguments) if takes_json(arguments) => tried(command.name),
            Form::Subcommands(subcommands) => subcommands
                .iter()
                .filter(|subcommand| takes_json(subcommand.arguments))
                .for_each(|subcommand| tried(&format!("{} {}", command.name, subcommand.name))),
            Form::Action(..) => {}
        }
    }
}

/// What has nothing to show without time going by, or until much was used.
#[test]
fn alerts_invoices_and_projections_are_objects_too() {
    let mut desk = Desk::new(CONFIG, &[]);
    desk.run("quota set tenant:*/daily limit=1");
    desk.run("request tenant=acme service=llm");
    desk.wait("2h");
    for line in ["quota alerts --json", "cost project acme --json"] {
        assert_eq!(objects(&desk.run(line)).len(), 1, "{line}");
    }
    desk.wait("40d");
    assert_eq!(objects(&desk.run("cost invoices --json")).len(), 1);
    assert_eq!(objects(&desk.run("cost bill acme invoice=1 --json")).len(), 2);
    assert_eq!(objects(&desk.run("cost export format=json")).len(), 1);
    assert_eq!(objects(&desk.run("quota export format=json")).len(), 1);
}

#[test]
fn a_refused_line_prints_no_object() {
    let mut desk = Desk::new(CONFIG, &[("a.log", LOG.as_bytes())]);
    for line in ["replay b.log --json", "request ip=nowhere --json", "ratelimit show ip --json"] {
        assert!(desk.answer(line).starts_with("error: "), "{line}");
    }
}

/// The keys of an object in their order, which a map of the parser does not keep.
fn keys(line: &str) -> Vec<&str> {
    line.split(['{', ','])
        .filter_map(|member| member.strip_prefix('"')?.split_once("\":").map(|(key, _)| key))
        .collect()
}

#[test]
fn a_replay_has_these_members_in_this_order() {
    let mut desk = Desk::new(CONFIG, &[("a.log", LOG.as_bytes())]);
    let output = desk.run("replay a.log --json");
    let lines: Vec<&str> = output.lines().collect();
    let summary = [
        "file",
        "lines",
        "malformed",
        "requests",
        "allowed",
        "denied",
        "redirected",
        "status_1xx",
        "status_2xx",
        "status_3xx",
        "status_4xx",
        "status_5xx",
        "status_other",
        "virtual_seconds",
        "wall_ms",
        "decisions_per_second",
    ];
    assert_eq!(keys(lines[0]), summary);
    for line in &lines[1..3] {
        assert!(
            line.starts_with("{\"policy\":") && line.ends_with("\"matched\":0,\"decided\":0,\"would\":0}"),
            "{line}"
        );
    }
    for line in &lines[3..7] {
        assert_eq!(keys(line), ["limit", "allowed", "denied", "keys"]);
    }
    assert_eq!(lines[7..], ["{\"top_denied\":\"user:mallory\",\"denied\":1}"]);

    let objects = objects(&output);
    assert_eq!(objects[0]["lines"], 3);
    assert_eq!(objects[0]["malformed"], 1);
    assert_eq!(objects[0]["virtual_seconds"], 1);
    // A clock that stands still is no division by zero.
    assert_eq!(objects[0]["wall_ms"], 1);
    assert!(objects[0]["decisions_per_second"].is_u64());
    let names: Vec<&Value> = objects[3..7].iter().map(|object| &object["limit"]).collect();
    assert_eq!(names, ["ip:*", "a \"quoted\" name \\ of a limit", "user:eve", "user:mallory"]);
}

#[test]
fn the_totals_come_last() {
    let mut desk = Desk::new(CONFIG, &[]);
    desk.run("request ip=192.0.2.1");
    desk.run("request user=mallory");
    desk.run("request ip=192.0.2.1 cost=5");
    let objects = objects(&desk.run("ratelimit status --json"));
    assert_eq!(objects.len(), 5);
    for (member, value) in [("requests", 3), ("allowed", 1), ("denied", 2), ("keys", 1), ("keys_max", 65_536)]
    {
        assert_eq!(objects[4][member], value, "{member}");
    }
}
