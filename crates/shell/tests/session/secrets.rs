//! No output tells an API key, a session or the value of a header that a request, a configuration or a log carries.
//!
//! Every planted secret holds one word, and every command that prints is run with it about. `history` alone is left out
//! of the search: it is what was typed. `config show` and `cat` are too, for what a configuration says and a file holds
//! is theirs to print. A value that a policy compares headers with is part of the configuration, and none is planted.

use crate::desk::Desk;
use governance::scope::{HashSecret, KeyName, Kind};
use shell::command::{COMMANDS, Form};

/// What all secrets have in common.
const WORD: &str = "planted";

const CONFIG: &str = r#"
[identity]
actor_headers = ["X-Actor"]
session_header = "X-Session-Id"

[[limit]]
scope = "key:*"
algorithm = "token-bucket"
capacity = 2
rate = "1/1h"

[[limit]]
scope = "session:*"
algorithm = "sliding-log"
limit = 2
window = "1h"

[[limit]]
scope = "client:*"
algorithm = "fixed-window"
limit = 3
window = "1h"

[[limit]]
scope = "group:*"
per = "client"
algorithm = "token-bucket"
capacity = 2
rate = "1/1h"

[[limit]]
scope = "key:sk-planted-exact"
name = "partner"
per = "client"
algorithm = "token-bucket"
capacity = 1
rate = "1/1h"

[[limit]]
scope = "session:planted-exact"
name = "guest"
algorithm = "token-bucket"
capacity = 1
rate = "1/1h"

[[tenant]]
name = "acme"

[[quota]]
scope = "key:*"
limit = 2
window = "daily"

[[quota]]
scope = "session:planted-quota"
name = "visit"
limit = 1
window = "daily"

[[model]]
service = "web"
base_cost = "0.01 USD"

[[budget]]
scope = "key:*"
amount = "0.02 USD"
window = "daily"

[[budget]]
scope = "key:sk-planted-budget"
name = "prepaid"
amount = "0.01 USD"
window = "daily"

[[policy.rule]]
name = "no-tokens"
header = "X-Token"
role = "intern"
action = "deny"

[[policy.rule]]
name = "watched"
header = "X-Kind: open"
action = "log"

[[sla]]
service = "queued"
p95 = "200ms"

[traffic]
repeats_per_minute = 2
failures_per_minute = 1

[[breaker]]
scope = "route:*"
failures = 1

[[retry]]
scope = "route:*"
"#;

const LOG: &str = "192.0.2.1 - eve [17/May/2015:10:05:00 +0000] \"GET /a?token=planted HTTP/1.1\" 200 10 \
                   \"https://example.org/?key=planted\" \"Agent planted\"\n\
                   planted is not a line of a log\n\
                   192.0.2.1 - eve [17/May/2015:10:05:01 +0000] \"GET /a?token=planted HTTP/1.1\" 200 10\n";

/// Wrong in every way that names a value which could be a secret.
const BAD: &str = "[[limit]]\nscope = \"key:sk-planted\"\nalgorithm = \"ban\"\n\
                   [[limit]]\nscope = \"key:sk-planted-but-far-too-long-for-a-name-of-any-kind-that-there-is-here\"\n\
                   name = \"session:planted\"\nalgorithm = \"ban\"\n\
                   [[limit]]\nscope = \"session:planted\"\nname = \"session:planted\"\nalgorithm = \"ban\"\n\
                   [[quota]]\nscope = \"session:planted\"\nlimit = 1\nwindow = \"daily\"\n\
                   [[budget]]\nscope = \"key:planted\"\namount = \"1 USD\"\nwindow = \"daily\"\n";

/// Requests that bear secrets in every place that they can, some of them twice and more, so that each is refused too.
const REQUESTS: &[&str] = &[
    "request service=web group=chat key=sk-planted-1",
    "request service=web group=chat session=planted-1",
    "request service=web group=chat key=sk-planted-exact actor=ada",
    "request service=web group=chat key=sk-planted-exact session=planted-2",
    "request service=web session=planted-exact",
    "request service=web session=planted-quota",
    "request service=web key=sk-planted-budget",
    "request service=web headers=\"X-Session-Id: planted-3; Authorization: Bearer planted\"",
    "request service=web role=intern path=/a?token=planted headers=\"X-Token: planted\"",
    "request service=web headers=\"X-Kind: open; Cookie: id=planted\"",
    "request service=web tenant=acme key=sk-planted-1 reserve=9",
    "priority enqueue service=queued key=sk-planted-1 session=planted-1",
    "request route=github:get key=sk-planted-3 path=/a?token=planted",
    "request provider=github method=post key=sk-planted-3 session=planted-3",
];

/// Every command that prints something and changes nothing, and those that take a secret by hand.
const LINES: &[&str] = &[
    "ratelimit try group=chat key=sk-planted-1 session=planted-1",
    "ratelimit try role=intern headers=\"X-Token: planted\"",
    "ratelimit status",
    "ratelimit buckets",
    "ratelimit buckets partner",
    "ratelimit show partner",
    "ratelimit show guest",
    "ratelimit show key:*",
    "ratelimit help",
    "quota status",
    "quota allocations",
    "quota usage",
    "quota usage key:*/daily key=sk-planted-1",
    "quota check key:*/daily amount=1 key=sk-planted-1",
    "quota alerts",
    "quota export format=csv",
    "quota export format=json",
    "quota help",
    "cost status",
    "cost tenants",
    "cost services",
    "cost models",
    "cost breakdown",
    "cost bill acme",
    "cost invoices",
    "cost trends",
    "cost project acme",
    "cost alerts",
    "cost budgets",
    "cost export format=csv",
    "cost export format=json",
    "cost ledger",
    "cost help",
    "policy list",
    "policy status",
    "policy rules",
    "policy show no-tokens",
    "policy explain role=intern key=sk-planted-1 session=planted-1 headers=\"X-Token: planted\"",
    "policy explain role=intern path=/a?token=planted headers=\"X-Token: planted\" --all",
    "policy lint",
    "policy diff",
    "policy diff bad.toml",
    "policy shadow",
    "policy audit",
    "policy help",
    "priority queues",
    "priority sla",
    "priority alerts",
    "priority stats",
    "priority fairness",
    "priority weights",
    "priority help",
    "traffic status",
    "traffic scopes",
    "traffic show github:get",
    "traffic breaker open github:get",
    "request route=github:get key=sk-planted-3",
    "traffic retry github:get status=503",
    "traffic loops",
    "traffic degraded",
    "traffic reset github:get",
    "traffic help",
    "governance metrics",
    "governance timeline",
    "governance top",
    "governance top services",
    "governance top tenants by=violations",
    "governance percentiles window=start",
    "governance correlate requests denied resolution=second",
    "governance alerts all",
    "governance alerts notices",
    "governance export csv",
    "governance export json",
    "governance export prometheus",
    "governance help",
    "tickets",
    "replay a.log --timeline",
    "replay a.log",
    "replay a.log tenant-by=user",
    "config check weir.toml",
    "config check bad.toml",
    "config load bad.toml",
    "memory",
    "ls",
    "dmesg",
    "version",
    "uptime",
    "date",
    "help",
    "term dumb",
    "ratelimit drain partner client=planted-2",
    "ratelimit refund key:* key=sk-planted-1 amount=1",
    "ratelimit reset session:* key=planted-1",
    "ratelimit burst group:* key=chat client=planted-1 extra=1 for=1s",
    "ratelimit reset key:* key=sk-planted-unknown",
    "ratelimit add scope=key:sk-planted-2 algorithm=ban",
    "ratelimit add scope=key:sk-planted-2 name=sk-planted-2 algorithm=ban",
    "ratelimit add scope=key:sk-planted-2 name=lost algorithm=ban",
    "ratelimit add scope=key:sk-planted-2 name=lost algorithm=ban",
    "ratelimit ban key:sk-planted-1",
    "ratelimit ban key:sk-planted-1",
    "ratelimit unban session:planted-1",
    "ratelimit unban key:sk-planted-1",
    "ratelimit unban key:sk-planted-2",
    "quota allocate scope=session:planted-1 limit=1 window=daily",
    "quota allocate scope=session:planted-1 name=one limit=1 window=daily",
    "request key=sk-planted-but-far-too-long-for-a-name-of-any-kind-that-there-is-here",
    "request headers=\"X-Actor: ada; planted\"",
    "request headers=\"X-Session-Id: planted-but-far-too-long-for-a-name-of-any-kind-that-there-is-here\"",
    "request headers=\"X-Forwarded-For: planted\"",
    "complete 0-1 tokens=1",
];

/// Commands that change something, print nothing of requests or run on requests of their own, and what the search leaves out.
const LEFT_OUT: &[&str] = &[
    "history",
    "cat",
    "config show",
    "clear",
    "poweroff",
    "reboot",
    "ratelimit set",
    "ratelimit remove",
    "ratelimit enable",
    "ratelimit disable",
    "quota set",
    "quota remove",
    "quota consume",
    "quota reset",
    "cost model",
    "cost tenant",
    "cost schedule",
    "cost budget",
    "cost alert",
    "cost record",
    "cost correct",
    "cost close",
    "cost remove",
    "policy add",
    "policy set",
    "policy remove",
    "policy enable",
    "policy disable",
    "policy rollback",
    "policy default",
    "priority define",
    "priority set",
    "priority remove",
    "priority dequeue",
    "priority preempt",
    "priority requeue",
    "priority drain",
    "priority simulate",
    "governance threshold",
    "bench",
];

fn desk() -> Desk {
    Desk::new(CONFIG, &[("a.log", LOG.as_bytes()), ("bad.toml", BAD.as_bytes())])
}

#[test]
fn no_output_tells_a_planted_secret() {
    let mut desk = desk();
    let searched = |desk: &mut Desk, line: &str| {
        let (_, output) = desk.try_run(line);
        assert!(!output.to_ascii_lowercase().contains(WORD), "{line}:\n{output}");
        output.len()
    };
    let mut printed = 0;
    for _ in 0..4 {
        for line in REQUESTS {
            printed += searched(&mut desk, line);
            printed += searched(&mut desk, &format!("{line} --json"));
        }
    }
    for line in LINES {
        printed += searched(&mut desk, &format!("{line} --json"));
        printed += searched(&mut desk, line);
    }
    desk.wait("40d");
    for line in LINES {
        printed += searched(&mut desk, line);
    }
    assert!(printed > 10_000, "{printed} bytes");
    // The search would find what is there.
    for line in ["config show", "cat a.log"] {
        assert!(desk.run(line).contains(WORD), "{line}");
    }
}

#[test]
fn no_command_is_left_out_of_the_search() {
    for command in COMMANDS {
        let names = match command.form {
            Form::Action(..) => vec![command.name.to_owned()],
            Form::Subcommands(subcommands) => {
                subcommands.iter().map(|subcommand| format!("{} {}", command.name, subcommand.name)).collect()
            }
        };
        for name in names {
            let all = REQUESTS.iter().chain(LINES).chain(LEFT_OUT);
            assert!(all.copied().any(|line| line == name || line.starts_with(&format!("{name} "))), "{name}");
        }
    }
}

#[test]
fn a_secret_is_known_by_the_same_fingerprint_wherever_it_is_shown() {
    let mut desk = desk();
    let name = KeyName::parse(Kind::Session, "planted-1").unwrap();
    let fingerprint = name.to_name(&HashSecret::from_seed(1)).to_string();
    assert!(fingerprint.len() == 9 && fingerprint.starts_with('#'), "{fingerprint}");
    desk.run("request group=chat session=planted-1");
    let buckets = desk.run("ratelimit buckets");
    let shown = buckets.matches(&fingerprint).count();
    assert_eq!(shown, 3, "as session, as client, and as client of a group: {buckets}");
    assert!(buckets.contains(&format!("chat client:{fingerprint}")), "{buckets}");
    let exact = KeyName::parse(Kind::Key, "sk-planted-exact").unwrap().to_name(&HashSecret::from_seed(1));
    assert!(desk.run("ratelimit show partner").contains(&format!("key:{exact}")));
}

#[test]
fn a_ban_of_a_secret_is_lifted_by_the_secret_and_reads_back() {
    let mut desk = desk();
    desk.run("ratelimit ban key:sk-planted-1");
    assert!(desk.run("request key=sk-planted-1").contains("banned"));
    let config = desk.run("config show");
    assert!(config.contains("scope = \"key:sk-planted-1\""), "{config}");
    let mut again = {
        drop(desk);
        Desk::new(&config, &[])
    };
    assert!(again.run("request key=sk-planted-1").contains("banned"));
    assert_eq!(again.run("config show"), config);
    again.run("ratelimit unban key:sk-planted-1");
    assert!(!again.run("request key=sk-planted-1").contains("banned"));
}

#[test]
fn a_limit_on_a_secret_needs_a_name_that_does_not_tell_it() {
    let mut desk = desk();
    for (line, why) in [
        ("ratelimit add scope=key:sk-1 algorithm=ban", "name: missing; scope key:NAME needs it"),
        ("ratelimit add scope=session:s-1 algorithm=ban name=s-1", "name: expected one that does not tell"),
        (
            "ratelimit add scope=session:s-1 algorithm=ban name=session:s-1#x",
            "name: expected one that does not tell",
        ),
        ("quota allocate scope=key:sk-1 limit=1 window=daily", "name: missing; scope key:NAME needs it"),
    ] {
        let answer = desk.answer(line);
        assert!(answer.contains(why), "{line}: {answer}");
    }
}
