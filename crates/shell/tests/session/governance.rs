//! What is measured, as an operator sees it.

use crate::desk::Desk;
use crate::vt100::{COLUMNS, ROWS, Vt100};
use serde_json::Value;
use shell::session::Status;
use shell::term::Term;

const CONFIG: &str = r#"
[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 5
rate = "1/1h"

[[tenant]]
name = "acme"

[[model]]
service = "llm"
base_cost = "0.25 USD"

[[sla]]
service = "billing"
p95 = "200ms"
concurrency = 8
depth = 4

[[alert]]
name = "denials"
metric = "denied-rate"
above = "20%"
clear = "10%"
for = "2s"

[[alert]]
name = "slow"
metric = "p95-latency"
above = "200ms"
"#;

/// The last row of `top`.
const KEYS: &str = "q leaves   Ctrl-L draws afresh   ~ of fewer than 100 samples   - not known";

/// A desk at a terminal that shows whole screens.
fn at_a_screen(config: &str) -> Desk {
    let mut desk = Desk::new(config, &[]);
    desk.session.set_term(Term::Ansi);
    desk
}

/// What `top` shows when it is left after some frames, and the terminal after that.
fn top(desk: &mut Desk, frames: usize) -> (Vec<String>, Vt100) {
    desk.press_in(&format!("{}ms", frames * 1000 - 500), b'q');
    let output = desk.run("governance top");
    let mut terminal = Vt100::new();
    terminal.may_scroll = false;
    let (frames, end) = output.rsplit_once("\x1b[23;1H").expect("the way out");
    // The clock, in the first row, is another in each frame.
    let mut frames = frames.split("\x1b[1;1H");
    terminal.show(frames.next().expect("the way in"));
    let mut shown = Vec::new();
    for frame in frames {
        terminal.show("\x1b[1;1H");
        terminal.show(frame);
        assert!(!terminal.cursor_is_shown && !terminal.is_coloured());
        shown.push(terminal.text());
    }
    terminal.show("\x1b[23;1H");
    terminal.show(end);
    (shown, terminal)
}

#[test]
fn top_is_drawn_each_second_until_q() {
    let mut desk = at_a_screen(CONFIG);
    desk.run("request ip=192.0.2.1");
    let (frames, mut terminal) = top(&mut desk, 3);
    assert_eq!(frames.len(), 3);
    for (second, frame) in frames.iter().enumerate() {
        let clock = format!("weir   2026-01-01T00:00:0{second}Z   up {second}");
        assert!(frame.starts_with(&clock), "{frame}");
        assert_eq!(frame.lines().last(), Some(KEYS));
    }
    assert!(terminal.cursor_is_shown);
    assert_eq!(terminal.cursor(), (ROWS, 1), "the prompt has a fresh row");
    assert_eq!(terminal.row(ROWS), "");
    terminal.show("weir> ");
    assert_eq!(terminal.row(ROWS), "weir>");
}

#[test]
fn ctrl_c_leaves_too_and_other_keys_do_not() {
    let mut desk = at_a_screen(CONFIG);
    for key in *b"x\r\x1b[A" {
        desk.press_in("1500ms", key);
    }
    desk.press_in("5500ms", 0x03);
    let output = desk.run("governance top");
    assert_eq!(output.matches("\x1b[1;1H").count(), 6, "{output:?}");
    assert_eq!(output.matches("no such key: q leaves, ").count(), 1, "{output:?}");
    assert!(desk.run("version").starts_with("weir "));
}

#[test]
fn a_screen_is_drawn_afresh_when_that_is_asked_for() {
    let mut desk = at_a_screen(CONFIG);
    desk.press_in("500ms", 0x0c);
    desk.press_in("700ms", b'q');
    let output = desk.run("governance top");
    assert_eq!(output.matches("\x1b[2J").count(), 2);
    assert_eq!(output.matches("\x1b[5;1H").count(), 2, "each row is sent again");
}

#[test]
fn the_line_that_is_typed_next_is_a_line_of_its_own() {
    let mut desk = at_a_screen(CONFIG);
    desk.press_in("500ms", b'q');
    let mut output = String::new();
    desk.session.prompt(&mut desk.system);
    for byte in "governance top\rterm\r".bytes() {
        desk.session.feed(byte, &mut desk.system, &mut desk.engine);
        output.push_str(&std::mem::take(&mut desk.system.console));
    }
    let mut terminal = Vt100::new();
    terminal.show(&output);
    assert_eq!([22, 23, 24].map(|row| terminal.row(row)), ["weir> term", "ansi", "weir>"]);
    // Up, up: both lines are remembered.
    for byte in "\x1b[A\x1b[A".bytes() {
        desk.session.feed(byte, &mut desk.system, &mut desk.engine);
    }
    terminal.show(&std::mem::take(&mut desk.system.console));
    assert_eq!(terminal.row(24), "weir> governance top");
}

#[test]
fn a_dumb_terminal_gets_plain_text_once_or_as_often_as_it_asks() {
    let mut desk = Desk::new(CONFIG, &[]);
    desk.run("request ip=192.0.2.1");
    let once = desk.run("governance top");
    assert!(once.is_ascii() && !once.contains('\x1b'), "{once}");
    assert!(once.lines().all(|line| line.len() < COLUMNS && !line.ends_with(' ')), "{once}");
    let since_start = once.lines().find(|line| line.starts_with("since start")).unwrap();
    let figures: Vec<&str> = since_start.split_whitespace().skip(2).collect();
    assert_eq!(figures, ["1", "1", "0", "0", "0", "0", "0.00"]);
    let thrice = desk.run("governance top seconds=3");
    assert_eq!(thrice.matches("\n\nweir   ").count(), 2, "{thrice}");
    assert_eq!(thrice.matches("weir   ").count(), 3, "{thrice}");
    assert!(thrice.contains("weir   2026-01-01T00:00:02Z"), "{thrice}");
    desk.press_in("1500ms", b'q');
    assert_eq!(desk.run("governance top seconds=60").matches("weir   ").count(), 2);
}

#[test]
fn a_script_has_nobody_who_could_leave() {
    let mut desk = at_a_screen(CONFIG);
    let status = desk.session.run_as_typed("governance top", &mut desk.system, &mut desk.engine);
    assert_eq!(status, Status::Done);
    assert!(!desk.system.console.contains("\x1b[H"), "{}", desk.system.console);
    // With an end it can be shown as on any other terminal.
    desk.system.console.clear();
    desk.session.run_as_typed("governance top seconds=2", &mut desk.system, &mut desk.engine);
    assert_eq!(desk.system.console.matches("\x1b[1;1H").count(), 2);
}

#[test]
fn what_is_due_while_top_runs_is_given_back() {
    let mut desk = at_a_screen("");
    desk.run("ratelimit add scope=user:ada algorithm=token-bucket capacity=100 rate=1/1h unit=tokens");
    desk.run("request user=ada reserve=100 expires=2s");
    let (frames, _) = top(&mut desk, 4);
    let tickets = frames.iter().map(|frame| {
        let (_, rest) = frame.split_once("tickets ").expect("a clock row");
        rest.lines().next().unwrap().to_owned()
    });
    assert_eq!(tickets.collect::<Vec<_>>(), ["1", "1", "0", "0"]);
}

/// Decides a request that has to be given a ticket, and tells its outcome.
fn serve(desk: &mut Desk, request: &str, outcome: &str) {
    let answer = desk.run(&format!("{request} --json"));
    let answer: Value = serde_json::from_str(&answer).expect(request);
    let ticket = answer["ticket"].as_str().unwrap_or_else(|| panic!("{request}: {answer}"));
    desk.run(&format!("complete {ticket} {outcome}"));
}

/// The lines of an output as JSON.
fn objects(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The row of a table that begins with these words, without them.
fn row(table: &str, begin: &str) -> Vec<String> {
    let row = table.lines().find_map(|row| row.strip_prefix(begin).filter(|rest| rest.starts_with(' ')));
    row.unwrap_or_else(|| panic!("no row {begin}: {table}")).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_was_sent_is_counted_once() {
    let mut desk = Desk::new(CONFIG, &[]);
    for _ in 0..7 {
        desk.try_run("request ip=192.0.2.1 tenant=acme service=llm");
    }
    serve(&mut desk, "request service=billing tenant=acme", "status=200 ms=120");
    serve(&mut desk, "request service=billing tenant=globex", "status=503 ms=80");
    desk.wait("90s");
    desk.run("request service=billing tenant=acme");
    let text = desk.run("governance metrics");
    for (name, total, minute) in [
        ("requests", "10", "1"),
        ("allowed", "8", "1"),
        ("denied", "2", "0"),
        ("outcomes", "2", "0"),
        ("errors", "1", "0"),
        ("status 2xx", "1", "0"),
        ("status 5xx", "1", "0"),
        ("timed", "2", "0"),
    ] {
        assert_eq!(row(&text, name), [total, minute], "{name}: {text}");
    }
    assert_eq!(row(&text, "cost")[..2], ["1.25", "USD"], "{text}");
    assert_eq!(row(&text, "deny"), ["over-limit", "2"], "{text}");
    assert!(text.contains("series 3 of 1,024   beyond them 0   latency scopes "), "{text}");
    let objects = objects(&desk.run("governance metrics --json"));
    let find = |member: &str, value: &str| objects.iter().find(|object| object[member] == value).unwrap();
    assert_eq!(find("counted", "requests")["total"], 10);
    assert_eq!(find("family", "rate-limit")["denied"], 2);
    assert_eq!(find("family", "cost")["decisions"], "1.25");
}

#[test]
fn the_timeline_has_each_request_in_its_minute() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert_eq!(desk.run("governance timeline"), "nothing was counted yet\n");
    for (minute, requests) in [3, 0, 7].into_iter().enumerate() {
        if minute > 0 {
            desk.wait("1m");
        }
        for _ in 0..requests {
            desk.try_run("request ip=192.0.2.1");
        }
    }
    let objects = objects(&desk.run("governance timeline --json"));
    let counted: Vec<_> = objects.iter().filter(|object| object["requests"].is_u64()).collect();
    assert_eq!(objects.len(), 60);
    let counts =
        |member: &str| counted.iter().map(|object| object[member].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((counts("requests"), counts("denied")), (vec![3, 7], vec![0, 5]));
    assert_eq!(counted[1]["start"], "2026-01-01T00:02:00Z");
    let text = desk.run("governance timeline");
    assert!(text.starts_with("requests per minute   10 in all   peak 7 at 2026-01-01T00:02:00Z\n"), "{text}");
    assert!(text.contains("\ndenied per minute   5 in all   peak 5 at 2026-01-01T00:02:00Z\n"), "{text}");
    assert!(text.ends_with("\nerrors per minute   none\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    let second = desk.run("governance timeline resolution=second");
    assert!(second.starts_with("requests per second   7 in all"), "{second}");
}

#[test]
fn who_has_the_most_comes_first() {
    let mut desk = Desk::new(CONFIG, &[]);
    for (service, requests) in [("web", 3), ("llm", 5), ("mail", 1)] {
        for _ in 0..requests {
            desk.run(&format!("request service={service} tenant=acme"));
        }
    }
    for address in ["192.0.2.1", "192.0.2.2"] {
        for _ in 0..7 {
            desk.try_run(&format!("request service=mail tenant=globex ip={address}"));
        }
    }
    let text = desk.run("governance top services");
    let names = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|row| row.split_whitespace().next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&text), ["mail", "llm", "web"]);
    assert_eq!(row(&text, "mail"), ["15", "0", "sure"]);
    let text = desk.run("governance top services by=cost");
    assert_eq!(row(&text, "llm")[..2], ["1.25", "USD"], "{text}");
    let text = desk.run("governance top tenants by=violations");
    assert_eq!(row(&text, "globex"), ["4", "0", "sure"]);
    let objects = objects(&desk.run("governance top tenants --json"));
    assert_eq!(objects[0]["tenant"], "globex");
    assert_eq!((&objects[0]["count"], &objects[1]["count"]), (&14.into(), &9.into()));
}

#[test]
fn percentiles_are_of_what_was_timed() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert_eq!(desk.run("governance percentiles"), "nothing was timed in the last minute\n");
    for ms in 1..=100 {
        serve(&mut desk, "request service=billing", &format!("status=200 ms={ms}"));
    }
    let objects = objects(&desk.run("governance percentiles --json"));
    let scopes: Vec<_> = objects.iter().map(|object| object["scope"].as_str().unwrap()).collect();
    assert_eq!(scopes, ["all", "service:billing"]);
    for object in &objects {
        for (member, exact) in
            [("p50_us", 50_000), ("p90_us", 90_000), ("p95_us", 95_000), ("p99_us", 99_000)]
        {
            let told = object[member].as_u64().unwrap();
            assert!(told.abs_diff(exact) * 1000 <= exact * 16, "{member} {told} of {exact}");
        }
        assert_eq!((&object["min_us"], &object["max_us"]), (&1000.into(), &100_000.into()));
        assert_eq!((&object["samples"], &object["confidence"]), (&100.into(), &"normal".into()));
    }
    let text = desk.run("governance percentiles service:billing");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(
        desk.answer("governance percentiles service:biling"),
        "error: no answer of 'service:biling' was timed; did you mean 'service:billing'?"
    );
    desk.wait("2m");
    assert_eq!(desk.run("governance percentiles"), "nothing was timed in the last minute\n");
    assert!(desk.run("governance percentiles all window=start").contains("100"));
    serve(&mut desk, "request service=billing", "status=200 ms=5");
    serve(&mut desk, "request service=billing", "status=200 ms=1234");
    let few = desk.run("governance percentiles all");
    assert_eq!(row(&few, "all")[8..12], ["5.00", "ms", "1.23", "s"], "{few}");
    assert!(few.ends_with("* fewer than 100 samples: the p99 is little more than the largest\n"), "{few}");
}

#[test]
fn measures_that_go_together_are_told_from_those_that_do_not() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert_eq!(
        desk.answer("governance correlate requests denied --json"),
        "{\"one\":\"requests\",\"other\":\"denied\",\"resolution\":\"minute\",\"r\":null,\"n\":0,\"needed\":8}"
    );
    for minute in 0..10 {
        if minute == 1 {
            assert!(desk.answer("governance correlate requests denied").contains("too few: 1 slot has data"));
        }
        // Each minute one more, of which all but five in all are refused.
        for _ in 0..=minute {
            desk.try_run("request ip=192.0.2.1 service=llm");
        }
        if minute == 6 {
            assert_eq!(
                desk.answer("governance correlate requests denied"),
                "error: requests and denied by the minute: too few: 7 slots have data of both, and it takes 8"
            );
        }
        desk.wait("1m");
    }
    let answer = desk.answer("governance correlate requests denied");
    assert!(answer.starts_with("requests and denied   r 0.9"), "{answer}");
    assert!(answer.ends_with("   more goes with more   over 10 slots of a minute"), "{answer}");
    let answer = desk.answer("governance correlate cost requests");
    assert!(answer.starts_with("cost and requests   r -0."), "{answer}");
    assert_eq!(
        desk.answer("governance correlate requests errors"),
        "error: requests and errors by the minute: errors is the same in all slots, so nothing goes together with it"
    );
    let json = desk.answer("governance correlate requests errors --json");
    assert!(json.ends_with("\"resolution\":\"minute\",\"r\":null,\"constant\":\"errors\"}"), "{json}");
    let objects = objects(&desk.run("governance correlate requests requests --json"));
    assert_eq!((&objects[0]["r"], &objects[0]["n"]), (&"1.000".into(), &10.into()));
}

#[test]
fn an_alert_fires_when_its_threshold_is_crossed_for_long_enough() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert_eq!(desk.run("governance alerts"), "no alert is pending or fires\n");
    assert_eq!(row(&desk.run("governance alerts all"), "denials")[..2], ["quiet", "denied-rate"]);
    for number in 0..24 {
        desk.try_run(&format!("request ip=192.0.2.{}", number % 3));
    }
    desk.wait("1s");
    let pending = row(&desk.run("governance alerts"), "denials");
    assert_eq!(pending[..7], ["pending", "denied-rate", "-", "37.5%", "above", "20%", "10%"], "{pending:?}");
    desk.wait("1s");
    desk.run("governance alerts");
    desk.wait("1s");
    assert_eq!(row(&desk.run("governance alerts"), "denials")[0], "firing");
    let top = desk.run("governance top");
    assert!(top.contains("alerts: 1 firing, 0 pending\nfiring   denials "), "{top}");
    assert_eq!(objects(&desk.run("governance top --json"))[0]["alerts_firing"], 1);
    let notices = objects(&desk.run("governance alerts notices --json"));
    assert_eq!((&notices[0]["alert"], &notices[0]["notice"]), (&"denials".into(), &"fired".into()));
    assert_eq!(
        desk.answer("governance threshold denials 50%"),
        "changed denials: denied-rate above 50%, clear at 10%"
    );
    assert_eq!(row(&desk.run("governance alerts all"), "denials")[4..6], ["above", "50%"]);
}

#[test]
fn an_objective_is_shown_with_its_windows_and_rates_with_two_decimals() {
    let config =
        format!("{CONFIG}\n[[alert]]\nname = \"budget\"\nmetric = \"burn-rate\"\nobjective = \"99.9%\"\n");
    let mut desk = Desk::new(&config, &[]);
    for number in 0..33 {
        desk.try_run(&format!("request ip=192.0.2.{}", number % 3));
    }
    desk.wait("1s");
    let text = desk.run("governance alerts all");
    assert_eq!(row(&text, "denials")[3], "54.55%", "{text}");
    assert!(text.contains("  objective 99.9%, above 14.4x over 1h and 5m  "), "{text}");
    assert!(
        text.ends_with(
            "of an objective three pairs of windows are looked at: 14.4x over 1h and 5m, 6x over 6h and 30m, \
             1x over 3d and 6h;\na pair says nothing before its long window has 20 outcomes\n"
        ),
        "{text}"
    );
}

#[test]
fn a_threshold_that_cannot_be_is_refused_in_one_line() {
    let mut desk = Desk::new(CONFIG, &[]);
    let before = desk.run("governance alerts all --json");
    for (line, why) in [
        ("governance threshold denial 5%", "there is no alert 'denial'; did you mean 'denials'?"),
        ("governance threshold xyzzy 5%", "there is no alert 'xyzzy'; governance alerts all lists them"),
        ("governance threshold denials 100%", "denials: above: "),
        ("governance threshold denials many", "denials: above: "),
        ("governance threshold slow 5%", "slow: above: "),
        ("governance threshold denials", "missing argument VALUE"),
        ("governance correlate requests rps", "'rps' is not accepted; expected one of requests, denied, "),
        ("governance correlate requests", "missing argument requests|denied|"),
        (
            "governance percentiles nowhere",
            "no answer of 'nowhere' was timed; expected all, or a scope that ",
        ),
        ("governance top servers", "'servers' is not accepted; expected one of services, tenants"),
        (
            "governance top services by=size",
            "by=size is not accepted; expected one of requests, cost, violations",
        ),
        ("governance top by=cost", "by goes with services or tenants"),
        ("governance top services seconds=5", "seconds goes with the screen"),
        ("governance top seconds=0", "seconds=0 is not accepted; expected a whole number from 1 to 86400"),
        ("governance top from=replay", "there is no replay to look at; replay FILE makes one"),
        ("governance top --json seconds=5", "seconds goes with the screen"),
        ("governance timeline resolution=week", "resolution=week is not accepted; expected one of second, "),
        ("governance metrics from=replay", "there is no replay to look at; replay FILE makes one"),
        ("governance alerts firing", "'firing' is not accepted; expected one of pending, all, notices"),
    ] {
        let answer = desk.answer(line);
        assert!(answer.starts_with("error: ") && answer.contains(why), "{line}: {answer}");
    }
    assert_eq!(desk.run("governance alerts all --json"), before);
}

#[test]
fn a_replay_is_measured_by_the_logs_own_time() {
    let line = |minute: u32, status: u32| {
        format!("192.0.2.1 - - [17/May/2015:10:{minute:02}:00 +0000] \"GET / HTTP/1.1\" {status} 10\n")
    };
    let log: String = (0..10).map(|minute| line(minute, if minute == 3 { 503 } else { 200 })).collect();
    let mut desk = Desk::new(CONFIG, &[("a.log", log.as_bytes())]);
    desk.run("replay a.log");
    let text = desk.run("governance metrics");
    assert!(text.starts_with("replay of a.log, up to 2015-05-17T10:09:00Z\n"), "{text}");
    assert_eq!(row(&text, "requests"), ["10", "1"]);
    assert_eq!(row(&text, "denied"), ["5", "1"]);
    assert_eq!(text.lines().nth(1), Some("answers, errors and latencies are of those that were let through"));
    let objects = objects(&desk.run("governance timeline --json"));
    assert_eq!(objects.last().unwrap()["start"], "2015-05-17T10:09:00Z");
    assert_eq!(objects.iter().filter(|object| object["requests"] == 1).count(), 10);
    let top = desk.run("governance top from=replay");
    assert_eq!(row(&top, "since start")[..3], ["10", "5", "5"]);
    assert!(top.contains("\nweir   2015-05-17T10:09:00Z   tickets 0\n"), "a replay is not up: {top}");
    // What is live comes first as soon as there is something.
    desk.run("request ip=192.0.2.9");
    assert_eq!(row(&desk.run("governance metrics"), "requests"), ["1", "1"]);
    assert_eq!(row(&desk.run("governance metrics from=replay"), "requests"), ["10", "1"]);
}

/// Names that would leave their room, or drive the terminal, if they could.
const HOSTILE: [&str; 8] = [
    "a-name-that-is-as-long-as-names-may-be-and-then-some-more-to-cut",
    "\x1b[2J\x1b[24;80Hgone",
    "日本語の長い名前がここにあります",
    "e\u{301}\u{301}\u{301}\u{301}combining",
    "\u{202e}right-to-left",
    "\u{200b}\u{200d}\u{feff}nothing-to-see",
    "tab\tand\rreturn\x07bell",
    "👩‍👩‍👧‍👦🏳️‍🌈🏳️‍🌈🏳️‍🌈🏳️‍🌈",
];

#[test]
fn nothing_leaves_the_screen_whatever_there_is_to_show() {
    use std::fmt::Write as _;
    let mut config = CONFIG.to_owned();
    for number in 0..30 {
        let name = "n".repeat(50);
        write!(config, "[[alert]]\nname = \"{name}{number}\"\nmetric = \"denied-rate\"\nabove = \"1%\"\n")
            .unwrap();
        write!(config, "[[sla]]\nservice = \"{name}{number}\"\np95 = \"1h\"\nconcurrency = 1\n").unwrap();
    }
    let mut desk = at_a_screen(&config);
    let (empty, _) = top(&mut desk, 1);
    assert!(empty[0].contains("alerts: 0 firing, 0 pending"), "{}", empty[0]);
    for (index, name) in HOSTILE.into_iter().cycle().enumerate().take(200) {
        let name = name.replace('\\', "");
        desk.try_run(&format!("request service=\"{name}\" tenant=\"{name}\" ip=192.0.2.{}", index % 3));
    }
    for number in 0..30 {
        let name = "n".repeat(50);
        for _ in 0..2 {
            desk.run(&format!("request service={name}{number} tenant={name}{number}"));
        }
    }
    serve(&mut desk, "request service=billing", "status=200 ms=86400000");
    let (full, _) = top(&mut desk, 4);
    let last = full.last().unwrap();
    assert!(last.contains("alerts: 31 firing, 0 pending"), "{last}");
    assert!(last.contains("queues: 30 waiting"), "{last}");
    for frame in &full {
        assert_eq!(frame.lines().count(), ROWS);
        assert!(frame.lines().all(|line| line.chars().count() < COLUMNS), "{frame}");
        assert_eq!(frame.lines().last(), Some(KEYS));
    }
    // The same as plain text.
    desk.session.set_term(Term::Dumb);
    let plain = desk.run("governance top");
    assert!(!plain.contains('\x1b') && plain.lines().count() <= ROWS, "{plain}");
    for line in plain.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn top_shows_what_was_sent() {
    let mut desk = at_a_screen(CONFIG);
    for _ in 0..7 {
        desk.try_run("request ip=192.0.2.1 tenant=acme service=llm");
    }
    serve(&mut desk, "request service=billing tenant=globex", "status=503 ms=80");
    let (frames, _) = top(&mut desk, 3);
    // The first second is not over in the first frame, and long over in the third.
    let second = |frame: &str| row(frame, "last second");
    assert_eq!(second(&frames[0])[..3], ["0", "0", "0"], "{}", frames[0]);
    assert_eq!(second(&frames[1]), ["8", "6", "2", "0", "1", "0", "1.25"], "{}", frames[1]);
    assert_eq!(second(&frames[2])[..3], ["0", "0", "0"]);
    let last = &frames[2];
    assert_eq!(row(last, "last minute"), ["8", "6", "2", "0", "1", "0", "1.25"]);
    assert_eq!(row(last, "peak")[0], "8/s");
    assert!(last.contains("cost USD"), "{last}");
    assert!(last.contains("denied         over-limit 2\n"), "{last}");
    assert!(last.contains("p50 80.0 ms"), "{last}");
    assert_eq!(row(last, "llm"), ["7", "1.25", "2", "acme", "7", "1.25", "2"], "{last}");
    assert_eq!(row(last, "billing"), ["1", "0.00", "0", "globex", "1", "0.00", "0"], "{last}");
    assert!(last.contains("alerts: 0 firing, 0 pending"), "eight requests are too few for a rate: {last}");
    let objects = objects(&desk.run("governance top --json"));
    assert_eq!((&objects[0]["alerts_firing"], &objects[0]["p50_us"]), (&0.into(), &80_000.into()));
    assert_eq!((&objects[3]["span"], &objects[3]["cost"]), (&"start".into(), &"1.25".into()));
    assert_eq!((&objects[4]["denied"], &objects[4]["requests"]), (&"over-limit".into(), &2.into()));
}

/// Traffic of each kind, so that each family has something to say.
fn traffic_of_each_kind(desk: &mut Desk) {
    for _ in 0..7 {
        desk.try_run("request ip=192.0.2.1 tenant=acme service=llm");
    }
    serve(desk, "request service=billing tenant=globex", "status=503 ms=80");
    desk.run("request service=billing tenant=globex");
}

#[test]
fn an_export_gives_the_same_figures_in_each_format() {
    let mut desk = Desk::new(CONFIG, &[]);
    traffic_of_each_kind(&mut desk);
    let prometheus = desk.run("governance export prometheus");
    for figure in [
        "weir_decisions_total{verdict=\"deny\",reason=\"over-limit\"} 2\n",
        "weir_requests_total{service=\"llm\",tenant=\"acme\",outcome=\"allowed\"} 5\n",
        "weir_responses_total{class=\"5xx\"} 1\n",
        "weir_cost{service=\"llm\",tenant=\"acme\"} 1.250000000\n",
        "weir_latency_seconds_count{scope=\"service:billing\"} 1\n",
        "weir_latency_seconds_sum{scope=\"service:billing\"} 0.08\n",
        "weir_latency_seconds_bucket{scope=\"service:billing\",le=\"0.1\"} 1\n",
        "weir_alerts{name=\"denials\",state=\"quiet\"} 1\n",
        "weir_open_tickets 1\n",
        "weir_limit_denied_total{limit=\"ip:*\"} 2\n",
        "weir_queue_in_service{service=\"billing\"} 1\n",
        "# TYPE weir_loop_guard_actions_total counter\n",
    ] {
        assert!(prometheus.contains(figure), "{figure}{prometheus}");
    }
    let csv = desk.run("governance export csv");
    let json = objects(&desk.run("governance export json"));
    assert_eq!(csv.lines().count(), json.len() + 1, "a header, and a record for each object");
    // A histogram's buckets, the last one and its sum and count are figures in each format.
    let samples = prometheus.lines().filter(|line| !line.starts_with('#'));
    // Prometheus keeps the past by itself, and is given none.
    let is_present = |object: &&Value| object["type"] != "history";
    assert_eq!(samples.clone().count(), json.iter().filter(is_present).count(), "{csv}");
    let families: Vec<_> = prometheus.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), families.len());
}

#[test]
fn no_output_tells_a_secret_or_drives_the_terminal() {
    const SECRET: &str = "sk-live-planted-4f9a";
    let mut desk = Desk::new(CONFIG, &[]);
    traffic_of_each_kind(&mut desk);
    desk.run("ratelimit add scope=key:* algorithm=token-bucket capacity=3 rate=1/1h");
    for _ in 0..5 {
        desk.try_run(&format!(
            "request service=llm tenant=acme key={SECRET} headers=\"Authorization: Bearer {SECRET}; X-Api-Key: {SECRET}\""
        ));
    }
    for name in HOSTILE {
        desk.try_run(&format!("request service=\"{name}\" tenant=\"{name}\" group=\"{name}\""));
    }
    for line in [
        "governance metrics",
        "governance metrics --json",
        "governance timeline --json",
        "governance top",
        "governance top --json",
        "governance top services",
        "governance top tenants --json",
        "governance percentiles window=start",
        "governance alerts all",
        "governance alerts notices --json",
        "governance export csv",
        "governance export json",
        "governance export prometheus",
    ] {
        let output = desk.run(line);
        assert!(!output.contains(SECRET), "{line}: {output}");
        // CSV keeps them, in quotes.
        let passes = if line.ends_with("csv") { "\n\t\r" } else { "\n" };
        assert!(!output.contains(|c: char| c.is_control() && !passes.contains(c)), "{line}: {output:?}");
    }
}
