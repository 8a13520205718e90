//! Lines that are refused: one line of answer, and nothing has changed.

use crate::desk::Desk;
use proptest::prelude::*;
use shell::session::Status;

const CONFIG: &str = r#"
[identity]
actor_headers = ["X-Actor"]
trusted_hops = 1

[[limit]]
scope = "service:web"
algorithm = "token-bucket"
capacity = 10
rate = "1/1h"

[[limit]]
scope = "ip:*"
algorithm = "leaky-queue"
capacity = 5
rate = "1/1h"

[[limit]]
scope = "key:*"
name = "tokens"
algorithm = "sliding-log"
limit = 100
window = "1d"
unit = "tokens"

[[limit]]
scope = "user:eve"
algorithm = "ban"
"#;

fn desk() -> Desk {
    let mut desk = Desk::new(
        CONFIG,
        &[
            ("cut.toml", &CONFIG.as_bytes()[..CONFIG.len() - 8]),
            ("two.toml", b"[[limit]]\nscope = 1\nalgorithm = 2\n"),
            ("empty.log", b""),
            ("binary.log", b"\x7fELF\0\0"),
        ],
    );
    for line in ["request service=web cost=3", "request ip=192.0.2.1", "request key=k1 tokens=7"] {
        desk.run(line);
    }
    desk
}

/// Checks that a line is refused by one line that says `why`, and changes nothing.
fn refuses(desk: &mut Desk, line: &str, why: &str) {
    let before = desk.state();
    let (status, output) = desk.try_run(line);
    assert_eq!(status, Status::Failed, "{line}: {output}");
    assert!(output.starts_with("error: ") && output.lines().count() == 1, "{line}: {output}");
    assert!(output.contains(why), "{line}: {output}");
    assert_eq!(desk.state(), before, "{line}");
}

#[test]
fn numbers_out_of_range_are_refused_wherever_they_stand() {
    let mut desk = desk();
    for (field, value, why) in [
        ("capacity", "0", "capacity: 0 is not allowed"),
        ("capacity", "-1", "capacity: expected a number from 1, found a negative one"),
        ("capacity", "1.5", "capacity: expected a whole number, found a fraction"),
        ("capacity", "18446744073709551615", "capacity: times its period is 2^100 ns or more"),
        ("capacity", "18446744073709551616", "capacity: "),
        ("rate", "0/s", "rate: 0 is not allowed"),
        ("rate", "1/0s", "rate: 0 is not allowed"),
        ("rate", "-1/s", "rate: expected COUNT/DURATION"),
        ("rate", "0.5/s", "rate: expected COUNT/DURATION"),
        ("mode", "quiet", "mode=quiet"),
    ] {
        refuses(&mut desk, &format!("ratelimit set service:web {field}={value}"), why);
        let other = if field == "capacity" { "rate=1/1h" } else { "capacity=10" };
        let add = "ratelimit add scope=tenant:* algorithm=token-bucket";
        let rate = if field == "mode" { " rate=1/1h" } else { "" };
        refuses(&mut desk, &format!("{add} {other}{rate} {field}={value}"), why);
    }
    for (field, value, why) in [
        ("limit", "0", "limit: 0 is not allowed"),
        ("limit", "-5", "limit: expected a number from 1"),
        ("limit", "18446744073709551615", "limit: times its period is 2^100 ns or more"),
        ("window", "0s", "window: 0 is not allowed"),
        ("window", "-1s", "window: expected a whole number and one of ns us ms s m h d"),
        ("window", "1.5s", "window: expected a whole number and one of ns us ms s m h d"),
    ] {
        refuses(&mut desk, &format!("ratelimit set tokens {field}={value}"), why);
    }
}

#[test]
fn a_budget_is_refused_as_a_budget() {
    let mut desk = Desk::new(
        "[[model]]\nservice = \"llm\"\nper_input_token = \"1 USD\"\n\
         [[budget]]\nscope = \"tenant:*\"\nname = \"all\"\namount = \"10 USD\"\n",
        &[],
    );
    desk.run("request tenant=acme service=llm reserve=4");
    refuses(
        &mut desk,
        "cost remove budget all",
        "error: all: it is the parent of another one, or reservations of it are not settled yet\n",
    );
    refuses(
        &mut desk,
        "cost budget scope=tenant:* name=all amount=\"5 USD\"",
        "error: all: a budget of that name exists; give it another name\n",
    );
    refuses(
        &mut desk,
        "cost budget scope=tenant:acme name=acme amount=\"5 USD\" parent=some",
        "error: acme: parent: there is no budget of that name\n",
    );
    refuses(
        &mut desk,
        "cost budget scope=tenant:acme name=acme amount=\"11 USD\" parent=all",
        "error: acme: amount: the amount of a child is at most that of its parent\n",
    );
}

#[test]
fn an_invoice_has_one_format() {
    let mut desk = Desk::new("[[model]]\nservice = \"web\"\nbase_cost = \"1 USD\"\n", &[]);
    desk.run("request tenant=acme service=web");
    for format in ["csv", "focus"] {
        refuses(
            &mut desk,
            &format!("cost bill acme format={format} --json"),
            "error: --json and another format do not go together; expected one of them\n",
        );
    }
    assert_eq!(desk.run("cost bill acme format=json --json"), desk.run("cost bill acme --json"));
}

#[test]
fn a_request_generates_no_more_tokens_than_it_has() {
    let mut desk = desk();
    for (arguments, why) in [
        (
            "tokens=5 output_tokens=6",
            "output_tokens: 6 are more than all its tokens; expected at most tokens=5",
        ),
        ("output_tokens=1", "output_tokens: 1 are more than all its tokens; expected at most tokens=0"),
        ("ms=-1", "ms="),
        ("hits=1.5", "hits="),
        ("accesses=many", "accesses="),
        ("method=\"\"", "method= needs a value"),
    ] {
        refuses(&mut desk, &format!("request key=k1 {arguments}"), why);
        refuses(&mut desk, &format!("ratelimit try key=k1 {arguments}"), why);
    }
    let whole = "key=k1 tokens=5 output_tokens=5 method=POST ms=250 accesses=3 hits=2";
    assert!(desk.answer(&format!("ratelimit try {whole}")).starts_with("allow   limit tokens"));
    assert!(desk.answer(&format!("request {whole}")).starts_with("allow   limit tokens   remaining 88/100"));
}

#[test]
fn names_have_a_length() {
    let mut desk = desk();
    let (longest, too_long) = ("n".repeat(64), "n".repeat(65));
    for line in [
        format!("ratelimit add scope=tenant:{too_long} algorithm=ban"),
        format!("ratelimit add scope=tenant:a algorithm=ban name={too_long}"),
        format!("ratelimit ban tenant:{too_long}"),
        format!("request tenant={too_long}"),
        format!("request method={too_long}"),
        format!("request headers=\"X-Actor: {too_long}\""),
        format!("ratelimit reset tokens key={too_long}"),
    ] {
        refuses(&mut desk, &line, "the name has 65 bytes; at most 64 are allowed");
    }
    for line in ["ratelimit add scope=tenant: algorithm=ban", "ratelimit ban tenant:"] {
        refuses(&mut desk, line, "the name is empty; expected 1 to 64 bytes");
    }
    refuses(&mut desk, "request headers=\"X-Actor:\"", "headers: the name is empty");
    refuses(&mut desk, "request tenant=\"\"", "tenant= needs a value");
    desk.run(&format!("ratelimit ban tenant:{longest}"));
    assert!(desk.answer(&format!("request tenant={longest}")).starts_with("deny "));
}

#[test]
fn what_does_not_exist_or_exists_already_is_named() {
    let mut desk = desk();
    for (line, why) in [
        ("ratelimit add scope=service:web algorithm=ban", "service:web: a limit of that name exists"),
        (
            "ratelimit unban user:eve",
            "user:eve is banned by the limit 'user:eve'; remove or disable that limit",
        ),
        ("ratelimit unban user:ada", "user:ada is not banned"),
        ("ratelimit show service:wbe", "there is no limit 'service:wbe'; did you mean 'service:web'?"),
        ("ratelimit reset nothing", "there is no limit 'nothing'; ratelimit status lists them"),
        ("ratelimit drain user:eve", "user:eve: the limit's algorithm has no bucket"),
        (
            "ratelimit refund ip:* amount=1",
            "ip:*: the limit has a bucket for each key; name one with key=NAME",
        ),
        ("ratelimit refund ip:* amount=1 key=192.0.2.2", "ip:*: the limit has no bucket for that key"),
        (
            "ratelimit refund service:web amount=1 key=web",
            "service:web: the limit is for one name; leave out the key",
        ),
        ("ratelimit burst service:web extra=1 for=0s", "for: expected a time longer than 0"),
        ("ratelimit burst service:web extra=0 for=1s", "extra: expected a whole number from 1, found 0"),
        ("ratelimit burst service:web extra=18446744073709551615 for=1s", "2^100 ns or more"),
        ("replay empty.log", "empty.log: file is empty"),
        ("replay binary.log", "binary.log: unsupported log: a binary file"),
        ("replay nothing.log", "there is no file 'nothing.log'"),
        ("config load binary.log", "binary.log: a binary file, expected TOML"),
        ("config load cut.toml", "cut.toml: line 28, column 11: key without a value"),
        ("config check two.tml", "there is no file 'two.tml'; did you mean 'two.toml'?"),
    ] {
        refuses(&mut desk, line, why);
    }
}

#[test]
fn a_configuration_with_several_errors_names_each() {
    let mut desk = desk();
    let before = desk.state();
    let (status, output) = desk.try_run("config load two.toml");
    assert_eq!(status, Status::Failed);
    assert_eq!(
        output,
        "error: two.toml: line 2, column 9: scope: expected a string\n\
         error: two.toml: line 3, column 13: algorithm: expected a string\n\
         error: two.toml has 2 errors; nothing was changed\n"
    );
    assert_eq!(desk.state(), before);
}

/// Beginnings of lines, right and wrong.
const BEGINNINGS: &[&str] = &[
    "",
    "request",
    "request service=web",
    "ratelimit",
    "ratelimit try ip=192.0.2.1",
    "ratelimit show tokens",
    "ratelimit add scope=user:ada algorithm=token-bucket",
    "ratelimit add scope=ip:* algorithm=sliding-log",
    "ratelimit add",
    "ratelimit set service:web",
    "ratelimit set ip:* algorithm=fixed-window",
    "ratelimit set user:eve",
    "ratelimit remove",
    "ratelimit enable user:eve",
    "ratelimit disable tokens",
    "ratelimit reset service:web",
    "ratelimit drain ip:*",
    "ratelimit refund service:web",
    "ratelimit refund tokens",
    "ratelimit burst service:web",
    "ratelimit burst ip:*",
    "ratelimit ban user:eve",
    "ratelimit unban",
    "ratelimit buckets",
    "policy",
    "policy add name=a action=deny",
    "policy add name=b action=throttle:tokens",
    "policy set a",
    "policy remove",
    "policy shadow a",
    "policy disable a",
    "policy default",
    "policy rollback",
    "policy explain",
    "policy diff",
    "policy audit",
    "ratelimit remove tokens",
    "config load",
    "config check",
    "replay",
    "cat",
    "help",
    "term",
];

/// Words that may follow, right and wrong.
const WORDS: &[&str] = &[
    "service:web",
    "ip:*",
    "tokens",
    "user:eve",
    "weir.toml",
    "two.toml",
    "cut.toml",
    "empty.log",
    "binary.log",
    "scope=user:ada",
    "algorithm=ban",
    "algorithm=unlimited",
    "capacity=5",
    "capacity=0",
    "rate=1/s",
    "rate=x",
    "limit=3",
    "limit=18446744073709551615",
    "window=1h",
    "window=0s",
    "unit=bytes",
    "align=clock",
    "enabled=false",
    "mode=shadow",
    "name=x",
    "amount=1",
    "amount=0",
    "extra=2",
    "extra=18446744073709551615",
    "for=1h",
    "for=0s",
    "key=192.0.2.1",
    "key=k1",
    "key=nobody",
    "ip=192.0.2.1",
    "ip=x",
    "role=intern",
    "role=\"intern, !intern\"",
    "hours=25-3",
    "a",
    "deny",
    "from=1",
    "cost=99",
    "bytes=1KiB",
    "--json",
    "--jsn",
    "\"",
    "é",
];

fn any_line() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(prop::sample::select(WORDS), 0..4);
    (prop::sample::select(BEGINNINGS), words)
        .prop_map(|(start, words)| format!("{start} {}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is typed: a refusal is one line and changes nothing, and no line brings the shell down.
    #[test]
    fn a_line_that_fails_changes_nothing(lines in prop::collection::vec(any_line(), 1..20)) {
        let mut desk = desk();
        for line in lines {
            let before = desk.state();
            let (status, output) = desk.try_run(&line);
            if status == Status::Failed {
                prop_assert_eq!(desk.state(), before, "{}", &line);
                let errors = output.lines().filter(|line| line.starts_with("error: ")).count();
                prop_assert!(errors == output.lines().count(), "{}: {}", line, output);
                // Only a configuration can have several errors.
                prop_assert!(errors == 1 || line.contains(".toml"), "{}: {}", line, output);
            }
        }
    }
}
