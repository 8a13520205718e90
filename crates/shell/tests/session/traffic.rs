//! Breakers, retries and the guard, as a user drives them by hand.

use crate::desk::Desk;
use shell::session::Status;
use std::fmt::Write as _;

/// Three failures in a row open a breaker, two successes in a row close it; retries come without jitter.
const CONFIG: &str = r#"
[[breaker]]
scope = "route:*"
failures = 3
open_time = "60s"
jitter = "0%"

[[breaker]]
scope = "route:openai:post"
window = "count"
calls = 10
min_calls = 4
slow_call = "2s"
open_time = "30s"

[[retry]]
scope = "route:*"
jitter = "0%"
give_up_after = "5m"
"#;

const GITHUB: &str = "request provider=github method=get";

/// Makes a call, tells its outcome, and returns the answer.
fn call(desk: &mut Desk, request: &str, outcome: &str) -> String {
    let answer = desk.answer(request);
    let ticket = answer.split("ticket ").nth(1).unwrap_or_else(|| panic!("{request}: {answer}"));
    let ticket = ticket.split(' ').next().unwrap().to_owned();
    desk.answer(&format!("complete {ticket} {outcome}"))
}

#[test]
fn a_scope_is_driven_by_hand_from_closed_to_open_and_back() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert!(
        call(&mut desk, GITHUB, "status=503 ms=1200")
            .ends_with("   breaker closed   retry in 1.0 s, attempt 2 of 3, budget 9.0 of 10")
    );
    // Provider and method name the scope, and so does the route, whatever its case.
    assert!(
        call(&mut desk, "request route=GitHub:GET", "error=timeout attempt=2")
            .ends_with("   breaker closed   retry in 2.0 s, attempt 3 of 3, budget 8.0 of 10")
    );
    assert!(call(&mut desk, GITHUB, "status=500 attempt=3").ends_with(
        "   breaker closed to open: failures in a row   no retry: it was the last attempt, budget 7.0 of 10"
    ));
    assert_eq!(
        desk.answer(GITHUB),
        "deny    breaker route:github:get   open: failures in a row, just now   retry in 1 m 0 s"
    );
    desk.wait("20s");
    assert_eq!(
        desk.answer(GITHUB),
        "deny    breaker route:github:get   open: failures in a row, 20.0 s ago   retry in 40.0 s"
    );
    let json = desk.answer(&format!("{GITHUB} --json"));
    assert!(
        json.contains("\"reason\":\"breaker-open\"") && json.contains("\"retry_in_ns\":40000000000,"),
        "{json}"
    );
    assert!(
        json.contains(
            "\"scope\":\"route:github:get\",\"breaker\":\"open\",\"opened_by\":\"failures in a row\""
        ),
        "{json}"
    );
    // Nobody else is touched.
    assert!(desk.answer("request provider=github method=post").starts_with("allow "));
    desk.wait("40s");
    assert!(desk.run("traffic scopes").contains("\nroute:github:get   half-open"));
    let probes: Vec<String> = (0..2).map(|_| desk.answer(GITHUB)).collect();
    assert_eq!(
        desk.answer(GITHUB),
        "deny    breaker route:github:get   half-open: 2 calls find out whether it may close   retry in 30.0 s"
    );
    for (probe, told) in probes.iter().zip([
        "   breaker half-open   no retry: the call succeeded",
        "   breaker half-open to closed: probes succeeded",
    ]) {
        let ticket = probe.split("ticket ").nth(1).unwrap();
        let answer = desk.answer(&format!("complete {ticket} status=200"));
        assert!(answer.contains(told), "{answer}");
    }
    assert!(desk.answer(GITHUB).starts_with("allow "));
    let status = desk.run("traffic status");
    assert!(
        status.contains(
            "\nlast changes      from       to                when  why\n\
             route:github:get  closed     open       1 m 0 s ago  failures in a row\n"
        ),
        "{status}"
    );
    let show = desk.run("traffic show github:get");
    for line in [
        "route:github:get\n",
        "  breaker     closed\n",
        "  opens       after 3 failures in a row; for 1 m 0 s, at most 10 m 0 s\n",
        "  closes      after 2 successes in a row; a probe is given up after 30.0 s\n",
        "  in a row    0 failures\n",
        "  results     2 successes   3 failures   0 slow   0 too late\n",
        "  opened      1   refused 4   would refuse 0\n",
        "  retries     1.0 s, times 2 each, at most 1 m 0 s, jitter 0%; 3 attempts within 5 m 0 s\n",
        "  answers     2xx 2   3xx 0   4xx 0 (429: 0)   5xx 2   none 1\n",
        "  closed    to open      1 m 0 s ago: failures in a row\n",
    ] {
        assert!(show.contains(line), "{line}{show}");
    }
}

#[test]
fn a_scope_that_was_not_called_yet_answers_by_its_template() {
    let mut desk = Desk::new(CONFIG, &[]);
    assert_eq!(
        desk.answer("traffic retry route:github:get attempt=2 status=503 retry-after=30"),
        "retry in 30.0 s, attempt 3 of 3, budget 10.0 of 10"
    );
    assert_eq!(
        desk.answer("traffic retry GitHub:GET status=503 --json"),
        "{\"scope\":\"route:github:get\",\"retry\":true,\"retry_after_ns\":1000000000,\"next_attempt\":2,\
         \"attempts\":3,\"budget_milli\":10000,\"budget_max_milli\":10000}"
    );
    assert_eq!(
        desk.run("traffic show github:get"),
        "route:github:get   not called yet: a call makes it on the terms of route:*\n\
         \x20 breaker     closed\n\
         \x20 opens       after 3 failures in a row; for 1 m 0 s, at most 10 m 0 s\n\
         \x20 closes      after 2 successes in a row; a probe is given up after 30.0 s\n\
         \x20 retries     1.0 s, times 2 each, at most 1 m 0 s, jitter 0%; 3 attempts within 5 m 0 s\n\
         \x20 budget      10.0 of 10\n"
    );
    assert_eq!(
        desk.answer("traffic show github:get --json"),
        "{\"scope\":\"route:github:get\",\"called\":false,\"breaker\":\"closed\",\"mode\":\"enforce\",\
         \"backoff\":\"exponential\",\"attempts\":3,\"budget_milli\":10000,\"budget_max_milli\":10000}"
    );
    assert_eq!(
        desk.answer("traffic breaker open route:gitlab:get"),
        "the breaker of route:gitlab:get is held open: every call is refused"
    );
    assert!(
        desk.answer("request provider=gitlab method=get").starts_with("deny    breaker route:gitlab:get ")
    );
    // Another scope is never offered in its stead: its breaker would be the wrong one.
    call(&mut desk, GITHUB, "status=200");
    assert!(!desk.run("traffic show githup:get").contains("did you mean"));
    assert!(!desk.run("traffic scopes").contains("githup"), "asking makes no scope");
}

#[test]
fn a_shadow_breaker_says_what_it_would_refuse() {
    let mut desk = Desk::new("[[breaker]]\nscope = \"route:*\"\nfailures = 2\nmode = \"shadow\"\n", &[]);
    assert!(call(&mut desk, GITHUB, "status=503").ends_with("   breaker closed, shadow"));
    assert!(
        call(&mut desk, GITHUB, "status=503")
            .ends_with("   breaker closed to open, shadow: failures in a row")
    );
    let answer = desk.answer(GITHUB);
    assert!(answer.starts_with("allow "), "{answer}");
    assert!(answer.ends_with("   breaker route:github:get open, shadow: it would be refused"), "{answer}");
    assert!(desk.answer(&format!("{GITHUB} --json")).contains(",\"would_refuse\":true"));
    assert!(desk.run("governance top").contains("\ngithub:get         shadow "));
}

#[test]
fn a_window_of_calls_opens_by_what_is_slow() {
    let mut desk = Desk::new(CONFIG, &[]);
    let openai = "request route=openai:post";
    for _ in 0..3 {
        assert!(call(&mut desk, openai, "status=200 ms=2000").contains("   breaker closed   "));
    }
    let answer = call(&mut desk, openai, "status=200 ms=1");
    assert!(!answer.contains("open"), "three of four are less than 80 %: {answer}");
    let answer = call(&mut desk, openai, "status=200 ms=9000");
    assert!(answer.contains("   breaker closed to open: slow calls   "), "{answer}");
    assert!(
        desk.answer(openai).starts_with("deny    breaker route:openai:post   open: slow calls, just now   ")
    );
}

#[test]
fn a_breaker_is_held_by_hand_until_it_is_let_go() {
    let mut desk = Desk::new(CONFIG, &[]);
    call(&mut desk, GITHUB, "status=200");
    let held = desk.answer("traffic breaker open route:github:get");
    assert_eq!(held, "the breaker of route:github:get is held open: every call is refused");
    assert_eq!(
        desk.answer(GITHUB),
        "deny    breaker route:github:get   open: by hand, just now   retry never"
    );
    assert!(desk.run("traffic scopes").contains("\nroute:github:get   open, by hand"));
    desk.answer("traffic breaker close github:get");
    for _ in 0..5 {
        call(&mut desk, GITHUB, "status=503");
    }
    assert!(desk.run("traffic scopes").contains("\nroute:github:get   closed, by hand"));
    desk.answer("traffic breaker shadow github:get");
    for _ in 0..4 {
        call(&mut desk, GITHUB, "status=503");
    }
    assert!(desk.answer(GITHUB).starts_with("allow "), "it would be refused");
    assert!(
        desk.run("traffic show github:get").contains("  breaker     open, shadow, for another 1 m 0 s\n")
    );
    assert_eq!(
        desk.answer("traffic breaker auto github:get"),
        "the breaker of route:github:get goes by the results of its calls"
    );
    assert_eq!(desk.answer("traffic reset github:get"), "reset route:github:get");
    let show = desk.run("traffic show github:get");
    assert!(show.contains("  breaker     closed\n") && show.contains("  budget      10.0 of 10\n"), "{show}");
}

#[test]
fn whether_a_call_is_repeated_is_told_without_making_it() {
    let mut desk = Desk::new(CONFIG, &[]);
    call(&mut desk, GITHUB, "status=200");
    let scopes = desk.run("traffic scopes --json");
    for (arguments, expected) in [
        ("status=503", "retry in 1.0 s, attempt 2 of 3, budget 10.0 of 10"),
        ("attempt=2 status=503 retry-after=30", "retry in 30.0 s, attempt 3 of 3, budget 10.0 of 10"),
        (
            "status=429 retry-after=\"Thu, 01 Jan 2026 00:00:40 GMT\"",
            "retry in 40.0 s, attempt 2 of 3, budget 10.0 of 10",
        ),
        ("error=reset attempt=3", "no retry: it was the last attempt, budget 10.0 of 10"),
        ("status=404", "no retry: the same call would be answered the same, budget 10.0 of 10"),
        ("status=200", "no retry: the call succeeded, budget 10.0 of 10"),
        (
            "status=503 retry-after=61",
            "no retry: the answer asks for a longer wait than max_delay, budget 10.0 of 10",
        ),
        (
            "status=503 elapsed=5m",
            "no retry: the next attempt would begin later than give_up_after, budget 10.0 of 10",
        ),
    ] {
        assert_eq!(
            desk.answer(&format!("traffic retry route:github:get {arguments}")),
            expected,
            "{arguments}"
        );
    }
    assert_eq!(
        desk.answer("traffic retry github:get status=503 --json"),
        "{\"scope\":\"route:github:get\",\"retry\":true,\"retry_after_ns\":1000000000,\"next_attempt\":2,\
         \"attempts\":3,\"budget_milli\":10000,\"budget_max_milli\":10000}"
    );
    assert_eq!(
        desk.answer("traffic retry github:get error=connect attempt=3 --json"),
        "{\"scope\":\"route:github:get\",\"retry\":false,\"gives_up\":\"attempts-exhausted\",\
         \"attempts\":3,\"budget_milli\":10000,\"budget_max_milli\":10000}"
    );
    assert_eq!(desk.run("traffic scopes --json"), scopes, "asking changes nothing");
    // Where more than a few fail, nothing is repeated.
    for _ in 0..2 {
        call(&mut desk, GITHUB, "status=503");
    }
    call(&mut desk, "request route=other:get", "status=503");
    for _ in 0..3 {
        desk.answer("traffic reset github:get");
    }
    desk.answer("traffic breaker close github:get");
    for _ in 0..5 {
        call(&mut desk, GITHUB, "status=503");
    }
    assert_eq!(
        desk.answer("traffic retry github:get status=503"),
        "no retry: half of the retry budget is used up, budget 5.0 of 10"
    );
    assert!(desk.answer("traffic retry other:get status=503").starts_with("retry in 1.0 s"));
}

#[test]
fn what_cannot_be_is_refused_by_one_line_and_changes_nothing() {
    let mut desk = Desk::new(CONFIG, &[]);
    let ticket = |answer: String| answer.split("ticket ").nth(1).unwrap().to_owned();
    let (open, done) = (ticket(desk.answer(GITHUB)), ticket(desk.answer(GITHUB)));
    desk.run(&format!("complete {done} status=200"));
    let state = |desk: &mut Desk| {
        ["traffic status --json", "traffic scopes --json", "traffic loops --json"]
            .map(|line| desk.run(line))
            .concat()
    };
    for (line, why) in [
        ("traffic show github", "there is no scope 'github'; a scope is written route:PROVIDER:METHOD"),
        ("traffic breaker open route:*", "'route:*' stands for all scopes without terms of their own"),
        ("traffic reset nothing:at-all", "nothing to reset; route:nothing:at-all was not called yet"),
        ("traffic breaker ajar github:get", "ajar"),
        ("traffic retry nothing status=503", "there is no scope 'nothing'"),
        (
            "traffic retry github:get status=503 delay=2s",
            "delay goes with decorrelated delays only; those of ",
        ),
        ("traffic retry github:get", "what was answered is missing; expected status=N, or error="),
        ("traffic retry github:get status=999", "status=999"),
        ("traffic retry github:get status=503 error=timeout", "expected one of status and error"),
        ("traffic retry github:get error=boredom", "error=boredom"),
        ("traffic retry github:get status=503 attempt=0", "attempt=0"),
        (
            "traffic retry github:get status=503 retry-after=soon",
            "retry-after: expected whole seconds or a date",
        ),
        (
            "traffic retry github:get status=503 retry-after=\"Sun, 06 Nov 1994 08:49:37 GMT\"",
            "retry-after: the date has passed; expected one that is ahead",
        ),
        (
            "traffic retry github:get status=503 retry-after=\"Thu, 01 Jan 2036 00:00:00 GMT\"",
            "retry-after: more than a day ahead; expected at most 86400 seconds",
        ),
        ("traffic retry github:get status=503 elapsed=long", "elapsed: "),
        ("traffic reset", "nothing to reset; give a scope such as route:github:get, or --all"),
        ("traffic reset github:get --all", "a scope and --all do not go together"),
        ("complete OPEN status=999", "status=999 is not accepted; expected a whole number from 100 to 599"),
        ("complete OPEN status=abc", "status=abc is not accepted; expected a whole number from 100 to 599"),
        ("complete OPEN ms=18446744073709551615", "expected a whole number from 0 to 86400000"),
        ("complete OPEN status=503 error=timeout", "ticket OPEN: a call that got no answer has no status"),
        ("complete OPEN status=503 retry-after=soon", "retry-after: expected whole seconds or a date"),
        ("complete OPEN status=503 retry-after=-1", "retry-after: expected whole seconds or a date"),
        ("complete OPEN error=boredom", "error=boredom"),
        ("complete 900-7 status=200", "ticket 900-7: "),
        ("complete DONE status=200", "ticket DONE: "),
        ("complete first status=200", "ticket: "),
        (
            &format!("request provider={} method=get", "p".repeat(62)),
            "provider and method: together they are longer than the 64 bytes of a scope's name",
        ),
    ] {
        let fill = |text: &str| text.replace("OPEN", &open).replace("DONE", &done);
        let (line, why) = (&fill(line), &fill(why));
        let before = state(&mut desk);
        let (status, answer) = desk.try_run(line);
        assert_eq!(status, Status::Failed, "{line}: {answer}");
        assert!(answer.starts_with("error: ") && answer.lines().count() == 1, "{line}: {answer}");
        assert!(answer.contains(why.as_str()), "{line}: {answer}");
        assert_eq!(state(&mut desk), before, "{line}");
    }
    assert!(
        desk.answer(&format!("complete {open} status=200")).starts_with("settled "),
        "its ticket has stood"
    );
}

#[test]
fn nothing_configured_is_said_so() {
    let mut desk = Desk::new("", &[]);
    assert_eq!(
        desk.run("traffic scopes"),
        "no scopes: a call makes one where there is a [[breaker]] or [[retry]] for it\n"
    );
    assert!(
        desk.run("traffic status").starts_with("guard     none; [traffic] configures one\nscopes    0 of 64")
    );
    assert_eq!(desk.run("traffic loops"), "no loop guard: [traffic] repeats_per_minute makes one\n");
    assert!(desk.run("traffic degraded").starts_with("never: [traffic] requests_per_minute or"));
    assert!(
        desk.answer("traffic show github:get").contains(
            "there is no scope 'github:get', and a call would not make it: there is no [[breaker]]"
        )
    );
    assert!(!desk.answer(GITHUB).contains("ticket"), "a call without a scope needs none");
    let config = "[[breaker]]\nscope = \"route:github:get\"\n[[retry]]\nscope = \"route:openai:post\"\n";
    drop(desk);
    let mut desk = Desk::new(config, &[]);
    assert!(
        desk.answer("traffic breaker open openai:post")
            .contains("route:openai:post has no breaker; [[breaker]]")
    );
    assert!(
        desk.answer("traffic retry github:get status=503")
            .contains("route:github:get has no retry policy; [[retry]]")
    );
}

#[test]
fn the_65th_scope_goes_on_without_a_breaker_and_says_so() {
    let mut desk = Desk::new("[[breaker]]\nscope = \"route:*\"\nfailures = 1\n", &[]);
    for provider in 0..64 {
        call(&mut desk, &format!("request provider=p{provider} method=get"), "status=200");
    }
    let before = desk.run("traffic scopes --json");
    let answer = desk.answer("request provider=p64 method=get");
    assert!(answer.starts_with("allow "), "{answer}");
    assert!(answer.ends_with("   no breaker: there are 64 scopes, which is all there can be"), "{answer}");
    assert!(desk.answer("request provider=p64 method=get --json").contains("\"without_breaker\":true"));
    assert_eq!(desk.run("traffic scopes --json"), before);
    // Holding another breaker instead would be wrong, so none is offered.
    assert_eq!(
        desk.answer("traffic breaker open p64:get"),
        "error: there is no room for route:p64:get: there are 64 scopes; traffic scopes lists them"
    );
    let status = desk.run("traffic status");
    assert!(
        status.contains(
            "warning: 64 scopes are all there can be: 2 calls of others went on without a breaker\n"
        ),
        "{status}"
    );
    // A file cannot name more either: one line, and nothing is changed.
    let mut config = String::new();
    for provider in 0..65 {
        write!(config, "[[breaker]]\nscope = \"route:p{provider}:get\"\n").unwrap();
    }
    drop(desk);
    let mut desk = Desk::new(CONFIG, &[("many.toml", config.as_bytes())]);
    let before = desk.run("config show");
    let (status, output) = desk.try_run("config load many.toml");
    assert_eq!(status, Status::Failed, "{output}");
    assert!(output.contains("can name at most 64 scopes; route:* is for all others"), "{output}");
    assert_eq!(desk.run("config show"), before);
}

#[test]
fn whoever_runs_in_a_loop_climbs_the_ladder() {
    let config = "[traffic]\nrepeats_per_minute = 5\ndelay = \"250ms\"\nblock = \"10s\"\n";
    let mut desk = Desk::new(config, &[]);
    let request = "request ip=192.0.2.1 path=/a";
    let answers: Vec<String> = (0..20).map(|_| desk.answer(request)).collect();
    assert!(answers[3].starts_with("allow "), "{answers:?}");
    assert!(answers[4].starts_with("delay   go on in 250 ms"), "{answers:?}");
    assert!(answers[9].contains("   degraded: to be answered from a cache or with a default"), "{answers:?}");
    assert_eq!(
        answers[19],
        "deny    loop-blocked: its caller asks for the same again and again   retry in 1 m 4 s   status 429   Retry-After 64",
        "no longer for the block than until the minute has room again"
    );
    // Others do not wait for it.
    assert!(desk.answer("request ip=192.0.2.2 path=/a").starts_with("allow "));
    let loops = desk.run("traffic loops");
    assert!(loops.lines().nth(1).unwrap().contains("   20      0  block "), "{loops}");
    let status = desk.run("traffic status");
    assert!(status.contains("\nloops     delayed 5   degraded 10   blocked 1   "), "{status}");
    assert_eq!(desk.answer("traffic reset --all"), "reset no scopes and the guard");
    assert!(desk.answer(request).starts_with("allow "));
}

#[test]
fn above_the_hard_cap_what_can_wait_is_turned_away() {
    let config = "[traffic]\nrequests_per_minute = 3\ncooldown = \"2m\"\n";
    let mut desk = Desk::new(config, &[]);
    for _ in 0..3 {
        assert!(desk.answer("request path=/").starts_with("allow "));
    }
    let answer = desk.answer("request path=/");
    assert!(
        answer.starts_with(
            "deny    over-hard-cap: there are as many requests in a minute as there may be   retry in "
        ),
        "{answer}"
    );
    assert!(answer.contains("   status 503   Retry-After 61"), "{answer}");
    let degraded = desk.run("traffic degraded");
    assert!(degraded.starts_with("degraded for another 2 m 0 s\n"), "{degraded}");
    assert!(degraded.contains("\n  requests    3 in the last minute, at most 3\n"), "{degraded}");
    desk.wait("61s");
    let answer = desk.answer("request path=/ priority=batch");
    assert!(
        answer.starts_with(
            "deny    degraded: it can wait, and such requests are turned away for now   retry in 59.0 s"
        ),
        "{answer}"
    );
    assert!(
        desk.answer("request path=/").ends_with("   degraded: to be answered from a cache or with a default")
    );
    desk.wait("1m");
    let degraded = desk.run("traffic degraded");
    assert_eq!(degraded.lines().next(), Some("not degraded"));
    assert!(degraded.contains("\n  began       1 time, for 2 m 0 s each\n"), "{degraded}");
    assert!(desk.answer("request path=/ priority=batch").starts_with("allow "));
}

#[test]
fn a_refusal_of_what_came_in_says_what_a_gateway_answers() {
    let config = "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"token-bucket\"\ncapacity = 1\nrate = \"1/1m\"\n\
                  [[limit]]\nscope = \"ip:192.0.2.9\"\nalgorithm = \"ban\"\n";
    let mut desk = Desk::new(config, &[]);
    desk.run("request ip=192.0.2.1 path=/");
    desk.wait("500ms");
    let answer = desk.answer("request ip=192.0.2.1 path=/");
    assert!(answer.ends_with("   retry in 59.5 s   status 429   Retry-After 60"), "{answer}");
    assert!(
        desk.answer("request ip=192.0.2.1 path=/ --json").ends_with("\"status\":429,\"retry_after\":60}")
    );
    assert!(desk.answer("request ip=192.0.2.9 path=/").ends_with("   status 403"));
    // A group is of endpoints, so it has come in too.
    let answer = desk.answer("request ip=192.0.2.1 group=chat");
    assert!(answer.ends_with("   status 429   Retry-After 60"), "{answer}");
    // What goes out is answered to nobody.
    assert!(!desk.answer("request ip=192.0.2.1").contains("status"));
}

/// Requests of a service whose posts fail for a while, a second apart.
fn failing_log() -> String {
    let mut log = String::new();
    for second in 0..240 {
        let status = if (60..120).contains(&second) { 503 } else { 200 };
        let (minute, second) = (second / 60, second % 60);
        for (method, status) in [("GET", 200), ("POST", status)] {
            writeln!(
                log,
                "192.0.2.1 - - [17/May/2015:10:{minute:02}:{second:02} +0000] \"{method} /a HTTP/1.1\" {status} 1"
            )
            .unwrap();
        }
    }
    log
}

#[test]
fn a_replay_says_which_breakers_would_have_opened_and_what_the_guard_would_have_caught() {
    let config =
        format!("[traffic]\nrepeats_per_minute = 30\nfailures_per_minute = 50\ncooldown = \"10s\"\n{CONFIG}");
    let log = failing_log();
    let mut desk = Desk::new(&config, &[("a.log", log.as_bytes())]);
    let text = desk.run("replay a.log service=shop");
    for line in [
        "requests 480   allowed 480   denied 0   ",
        "\nbreaker          calls  failed  opened  would refuse  at the end\n",
        "\nroute:shop:get     240       0       0             0  closed\n",
        "\n2015-05-17T10:01:02Z   route:shop:post   closed to open: failures in a row\n",
        "\n2015-05-17T10:02:02Z   route:shop:post   open to half-open: open time is over\n",
        "\n2015-05-17T10:02:03Z   route:shop:post   half-open to closed: probes succeeded\n",
        "\ndegraded mode would have begun 1 time, for 10.0 s each\n",
        "\nguard   would have delayed ",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = desk.run("replay a.log service=shop --json");
    assert!(
        json.contains(
            "\n{\"breaker\":\"route:shop:post\",\"calls\":240,\"failed\":60,\"opened\":1,\"would_refuse\":"
        ),
        "{json}"
    );
    assert!(
        json.contains(
            "\n{\"breaker_change\":\"route:shop:post\",\"at\":\"2015-05-17T10:01:02Z\",\"from\":\"closed\",\"to\":\"open\",\"why\":\"failures in a row\"}\n"
        ),
        "{json}"
    );
    assert!(json.contains("\n{\"guard_would_delay\":"), "{json}");
    assert_eq!(desk.run("replay a.log service=shop"), text, "a replay repeats exactly");
    assert!(!desk.run("traffic scopes").contains("shop"), "the live scopes are not touched");
    // Without breakers and without a guard, nothing is said about them.
    drop(desk);
    let mut desk = Desk::new("", &[("a.log", log.as_bytes())]);
    let text = desk.run("replay a.log service=shop");
    assert!(!text.contains("breaker") && !text.contains("guard"), "{text}");
}

#[test]
fn a_file_of_traffic_control_is_counted_by_what_it_has() {
    let config = format!("{CONFIG}\n[[alert]]\nname = \"breakers\"\nmetric = \"breakers-open\"\nabove = 0\n");
    let mut desk = Desk::new("", &[("traffic.toml", config.as_bytes())]);
    let has = "no limits, 2 breakers, 1 retry policy, 1 alert";
    assert_eq!(
        desk.answer("config check traffic.toml"),
        format!("traffic.toml is valid: {has} and no routes")
    );
    assert_eq!(desk.answer("config load traffic.toml"), format!("traffic.toml is in force: {has}"));
    call(&mut desk, GITHUB, "status=200");
    let memory = desk.run("memory --json");
    for pool in [
        "{\"pool\":\"live: scopes of calls\",\"bytes\":null,\"used_bytes\":null,\"items\":2,\"items_max\":64}",
        "{\"pool\":\"live: callers of the guard\",\"bytes\":null,\"used_bytes\":null,\"items\":0,\"items_max\":256}",
        "{\"pool\":\"live: metric series\",\"bytes\":null,\"used_bytes\":null,\"items\":1,\"items_max\":1024}",
        "{\"pool\":\"live: latency scopes\",\"bytes\":null,\"used_bytes\":null,\"items\":1,\"items_max\":64}",
        "{\"pool\":\"live: alerts\",\"bytes\":null,\"used_bytes\":null,\"items\":1,\"items_max\":64}",
    ] {
        assert!(memory.contains(pool), "{pool}: {memory}");
    }
}

#[test]
fn breakers_that_find_no_room_on_the_screen_are_counted_there() {
    let mut desk = Desk::new(
        "[[breaker]]\nscope = \"route:*\"\nfailures = 1\nopen_time = \"60s\"\njitter = \"0%\"\n",
        &[],
    );
    for provider in 0..12 {
        call(&mut desk, &format!("request provider=p{provider} method=get"), "status=503");
    }
    let top = desk.run("governance top");
    assert!(top.contains("breakers: 12 not closed, 8 more"), "{top}");
    assert!(top.contains("\np0:get             open         1 m 0 s"), "{top}");
    desk.run("traffic breaker open p0:get");
    let top = desk.run("governance top");
    assert!(top.contains("\np0:get             open         by hand"), "{top}");
}
