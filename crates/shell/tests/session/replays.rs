//! A replay while it runs: progress, Ctrl-C, and that it leaves no trace.

use crate::desk::Desk;
use shell::session::Status;
use shell::term::Term;
use std::fmt::Write as _;

const CONFIG: &str =
    "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"token-bucket\"\ncapacity = 5\nrate = \"1/1h\"\n";

/// A thousand lines, a second apart, by three clients.
fn log() -> String {
    let mut log = String::new();
    for second in 0..1000 {
        let (minute, second, client) = (second / 60, second % 60, second % 3);
        writeln!(
            log,
            "192.0.2.{client} - - [17/May/2015:10:{minute:02}:{second:02} +0000] \"GET / HTTP/1.1\" 200 1"
        )
        .unwrap();
    }
    log
}

#[test]
fn a_replay_leaves_the_live_state_alone_and_repeats_exactly() {
    let log = log();
    let mut desk = Desk::new(CONFIG, &[("a.log", log.as_bytes())]);
    desk.run("request ip=192.0.2.1 cost=3");
    let state = desk.state();
    let first = desk.run("replay a.log");
    assert_eq!(desk.run("replay a.log"), first);
    assert_eq!(desk.state(), state);
    assert!(first.starts_with("a.log   1,000 lines   0 malformed   16 m 39 s of log time   service web\n"));
}

#[test]
fn a_replay_without_limits_says_that_all_was_allowed_only_where_nothing_else_denies() {
    let log = log();
    let nothing = "no limits: every request was allowed\n";
    let quota = "[[quota]]\nscope = \"ip:*\"\nlimit = 100\nwindow = \"daily\"\n";
    let budget = "[[model]]\nservice = \"*\"\nbase_cost = \"1 USD\"\n\
                  [[budget]]\nscope = \"tenant:*\"\namount = \"10 USD\"\n";
    for (config, denied, told) in [
        ("", 0, nothing),
        (quota, 700, "\nquotas    denied 700   "),
        (budget, 990, "\nbudgets   denied 990   "),
    ] {
        let output = Desk::new(config, &[("a.log", log.as_bytes())]).run("replay a.log tenant=acme");
        assert!(output.contains(&format!("   denied {denied}   ")), "{output}");
        assert!(output.contains(told), "{output}");
        assert_eq!(output.contains(nothing), denied == 0, "{output}");
    }
}

#[test]
fn ctrl_c_stops_a_replay_and_the_next_one_starts_afresh() {
    let log = log();
    let mut desk = Desk::new(CONFIG, &[("a.log", log.as_bytes())]);
    let whole = desk.run("replay a.log");
    desk.system.interrupted_after = Some(1);
    assert_eq!(
        desk.try_run("replay a.log"),
        (Status::Failed, "error: stopped after 512 lines of a.log\n".into())
    );
    assert_eq!(desk.run("replay a.log"), whole);
    desk.system.interrupted_after = Some(0);
    assert_eq!(desk.answer("cat a.log"), "error: stopped");
    desk.system.interrupted_after = Some(0);
    assert_eq!(desk.answer("bench"), "error: stopped");
}

#[test]
fn progress_is_drawn_over_itself_where_the_terminal_can() {
    let log = log();
    let mut desk = Desk::new(CONFIG, &[("a.log", log.as_bytes())]);
    desk.system.tick = "200ms".parse().unwrap();
    let dumb = desk.run("replay a.log");
    let progress: Vec<&str> = dumb.lines().filter(|line| line.contains(" % ")).collect();
    assert_eq!(progress[0], " 25 %   256 requests   241 denied   1,280 decisions/s");
    assert_eq!(progress.len(), 3, "{dumb}");
    desk.session.set_term(Term::Ansi);
    let ansi = desk.run("replay a.log");
    assert!(
        ansi.starts_with("\r 25 %   256 requests   241 denied   1,280 decisions/s\x1b[K\r 51 %"),
        "{ansi:?}"
    );
    assert_eq!(ansi.matches("\r\x1b[K").count(), 1, "erased once: {ansi:?}");
}

#[test]
fn a_full_table_shares_a_bucket_and_says_so() {
    let mut desk = Desk::new(CONFIG, &[]);
    let known = "request ip=192.0.2.1 cost=2";
    assert_eq!(desk.answer(known), "allow   limit ip:*   remaining 3/5   full in 2 h 0 m");
    for client in 0..65_535_u32 {
        let [_, b, c, d] = client.to_be_bytes();
        desk.run(&format!("request ip=10.{b}.{c}.{d}"));
    }
    let status = desk.run("ratelimit status");
    assert!(
        status.ends_with(
            "\nnote: the table of keys is full: keys whose buckets are full again make room for new ones\n"
        ),
        "nobody has shared a bucket yet: {status}"
    );
    // The table is full. Others share a bucket of the same shape, and the known key stands where it stood.
    assert_eq!(
        desk.answer("request ip=198.51.100.1 cost=4"),
        "allow   limit ip:*   overflow bucket   remaining 1/5   full in 4 h 0 m"
    );
    assert_eq!(
        desk.answer("request ip=198.51.100.2 cost=2"),
        "deny    limit ip:*   overflow bucket   remaining 1/5   retry in 1 h 0 m"
    );
    assert_eq!(desk.answer(known), "allow   limit ip:*   remaining 1/5   full in 4 h 0 m");
    let status = desk.run("ratelimit status");
    assert!(
        status.contains("\nkeys 65,536 of 65,536   evicted fresh 0   overflow hits 2   bursts 0\n"),
        "{status}"
    );
    assert!(
        status.ends_with("\nwarning: the table of keys is full: new keys share overflow buckets\n"),
        "{status}"
    );
    let show = desk.run("ratelimit show ip:*");
    assert!(show.contains("\n  overflow    2 requests shared the overflow bucket\n"), "{show}");
    let buckets = desk.run("ratelimit buckets ip:*");
    assert!(buckets.ends_with("\n65,337 more; ratelimit buckets --json lists all\n"), "{buckets}");
    assert!(
        desk.run("ratelimit buckets ip:* --json")
            .contains("{\"limit\":\"ip:*\",\"key\":null,\"remaining\":1,")
    );
    // Buckets that are full again make room.
    desk.wait("5h");
    assert_eq!(
        desk.answer("request ip=198.51.100.1"),
        "allow   limit ip:*   remaining 4/5   full in 1 h 0 m"
    );
}

/// Requests of two users and of nobody, from one address and from one network.
const TENANTS: &str = r#"192.0.2.1 - ada [17/May/2015:10:05:00 +0000] "GET /api/a HTTP/1.1" 200 1
192.0.2.1 - bob [17/May/2015:10:05:01 +0000] "POST /b HTTP/1.1" 200 1
2001:db8::1 - - [17/May/2015:10:05:02 +0000] "GET /api/c HTTP/1.1" 200 1
2001:db8::2 - ada [17/May/2015:10:05:03 +0000] "-" 408 1
"#;

#[test]
fn a_log_is_of_tenants_named_by_its_keys() {
    let config = "[routes]\n\"/api\" = \"api\"\n[[limit]]\nscope = \"tenant:*\"\nalgorithm = \"fixed-window\"\n\
                  limit = 1\nwindow = \"1d\"\nalign = \"clock\"\n";
    let trace =
        b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,2\n2023-11-16 18:17:04,1,2\n";
    let mut desk = Desk::new(config, &[("a.log", TENANTS.as_bytes()), ("a.csv", trace)]);
    let mut limit_and_top = |arguments: &str| {
        let output = desk.run(&format!("replay {arguments} --json"));
        output.lines().skip(1).map(|line| line.replace('"', "")).collect::<Vec<_>>().join(" ")
    };
    for (arguments, expected) in [
        ("a.log", "{limit:tenant:*,allowed:0,denied:0,keys:0}"),
        (
            "a.log tenant-by=ip",
            "{limit:tenant:*,allowed:2,denied:2,keys:2} \
                                {top_denied:tenant:192.0.2.1,denied:1} {top_denied:tenant:2001:db8::/64,denied:1}",
        ),
        (
            "a.log tenant-by=user",
            "{limit:tenant:*,allowed:2,denied:1,keys:2} {top_denied:tenant:ada,denied:1}",
        ),
        (
            "a.log tenant-by=group",
            "{limit:tenant:*,allowed:2,denied:2,keys:2} \
                                   {top_denied:tenant:api,denied:1} {top_denied:tenant:default,denied:1}",
        ),
        ("a.log tenant=acme", "{limit:tenant:*,allowed:1,denied:3,keys:1} {top_denied:tenant:acme,denied:3}"),
        ("a.csv tenant-by=ip", "{limit:tenant:*,allowed:0,denied:0,keys:0}"),
        ("a.csv tenant-by=user", "{limit:tenant:*,allowed:0,denied:0,keys:0}"),
        ("a.csv tenant=acme", "{limit:tenant:*,allowed:1,denied:1,keys:1} {top_denied:tenant:acme,denied:1}"),
    ] {
        assert_eq!(limit_and_top(arguments), expected, "{arguments}");
    }
    let first = |output: String| output.lines().next().unwrap_or_default().to_owned();
    assert!(first(desk.run("replay a.log tenant-by=ip")).ends_with("   service web   tenant by ip"));
    assert!(first(desk.run("replay a.log tenant=acme")).ends_with("   service web   tenant acme"));
    assert_eq!(
        desk.answer("replay a.log tenant=acme tenant-by=ip"),
        "error: tenant and tenant-by do not go together; expected one of them"
    );
    assert_eq!(
        desk.answer(&format!("replay a.log tenant={}", "n".repeat(65))),
        "error: tenant: the name has 65 bytes; at most 64 are allowed"
    );
    assert!(desk.answer("replay a.log tenant-by=path").contains("expected one of ip, user, group"));
}

/// Lines of a log in which something fails for a minute, and where one line comes late.
const FAILING: &str = r#"192.0.2.1 - - [17/May/2015:10:05:00 +0000] "GET / HTTP/1.1" 200 1
192.0.2.1 - - [17/May/2015:10:05:59 +0000] "GET / HTTP/1.1" 304 -
192.0.2.1 - - [17/May/2015:10:07:00 +0000] "GET / HTTP/1.1" 503 1
192.0.2.1 - - [17/May/2015:10:07:01 +0000] "GET / HTTP/1.1" 500 1
192.0.2.1 - - [17/May/2015:10:07:02 +0000] "GET / HTTP/1.1" 502 1
192.0.2.1 - - [17/May/2015:10:07:03 +0000] "GET / HTTP/1.1" 429 1
192.0.2.1 - - [17/May/2015:10:06:59 +0000] "GET / HTTP/1.1" 101 1
192.0.2.1 - - [17/May/2015:10:09:00 +0000] "GET / HTTP/1.1" 999 1
"#;

#[test]
fn a_replay_counts_what_the_log_says_was_answered() {
    let trace = b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,2\n";
    let mut desk = Desk::new(CONFIG, &[("a.log", FAILING.as_bytes()), ("a.csv", trace)]);
    let text = desk.run("replay a.log");
    let answers = "\nanswers  1xx 1   2xx 1   3xx 1   4xx 1   5xx 3   other 1\n";
    assert!(text.contains(answers), "{text}");
    let json = desk.run("replay a.log --json");
    let statuses = "\"status_1xx\":1,\"status_2xx\":1,\"status_3xx\":1,\"status_4xx\":1,\"status_5xx\":3,\"status_other\":1,";
    assert!(json.contains(statuses), "{json}");
    // What is left out is not counted.
    let text = desk.run("replay a.log from=2015-05-17T10:07:00Z to=2015-05-17T10:07:02Z");
    assert!(text.contains("\nanswers  2xx 0   3xx 0   4xx 0   5xx 2\n"), "{text}");
    // A log of tokens tells no statuses.
    assert!(!desk.run("replay a.csv").contains("answers"));
}

#[test]
fn a_timeline_shows_each_count_by_the_minute() {
    let mut desk = Desk::new(CONFIG, &[("a.log", FAILING.as_bytes()), ("none.log", FAILING.as_bytes())]);
    let text = desk.run("replay a.log --timeline");
    let drawn = text.split_once("\n\nrequests per minute").unwrap().1;
    let expected = "   peak 4 at 2015-05-17T10:07:00Z
     4 |        ####
       |        ####
       |####    ####
     0 |############    ####
        2015-05-17T10:05:00Z  2015-05-17T10:09:00Z
denied per minute   peak 1 at 2015-05-17T10:06:00Z
     1 |    ########    ####
       |    ########    ####
       |    ########    ####
     0 |    ########    ####
        2015-05-17T10:05:00Z  2015-05-17T10:09:00Z
errors (5xx) per minute   peak 3 at 2015-05-17T10:07:00Z
     3 |        ####
       |        ####
       |        ####
     0 |        ####
        2015-05-17T10:05:00Z  2015-05-17T10:09:00Z
";
    assert_eq!(drawn, expected);
    let json = desk.run("replay a.log --timeline --json");
    let minutes: Vec<&str> = json.lines().filter(|line| line.starts_with("{\"minute\"")).collect();
    let minute = |minute, requests, denied, errors| {
        format!(
            "{{\"minute\":\"2015-05-17T10:{minute:02}:00Z\",\"minutes\":1,\"requests\":{requests},\"denied\":{denied},\"errors\":{errors}}}"
        )
    };
    // The minute without a line is a gap.
    assert_eq!(minutes, [minute(5, 2, 0, 0), minute(6, 1, 1, 0), minute(7, 4, 1, 3), minute(9, 1, 1, 0)]);
    assert!(!desk.run("replay a.log --json").contains("\"minute\""));
    let nothing = desk.run("replay a.log from=2016-01-01T00:00:00Z --timeline");
    assert!(nothing.ends_with("\n\nno requests: there is nothing to draw\n"), "{nothing}");
}

#[test]
fn a_log_of_more_than_a_week_is_drawn_by_longer_steps() {
    let mut log = String::new();
    for day in 1..=20 {
        writeln!(log, "192.0.2.1 - - [{day:02}/May/2015:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1").unwrap();
        writeln!(log, "192.0.2.1 - - [{day:02}/May/2015:00:03:00 +0000] \"GET / HTTP/1.1\" 200 1").unwrap();
    }
    let mut desk = Desk::new("", &[("a.log", log.as_bytes())]);
    let text = desk.run("replay a.log --timeline");
    assert!(text.contains("\nthe log is longer than a week: counts are of 4 minutes each\n"), "{text}");
    assert!(text.contains("\na column is 384 minutes, and as high as the highest count in them\n"), "{text}");
    assert!(text.contains("\nrequests per 4 minutes   peak 2 at 2015-05-01T00:00:00Z\n"), "{text}");
    assert!(text.ends_with("\ndenied per 4 minutes   none\nerrors (5xx) per 4 minutes   none\n"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    let json = desk.run("replay a.log --timeline --json");
    assert_eq!(json.matches(",\"minutes\":4,\"requests\":2,").count(), 20, "{json}");
}
