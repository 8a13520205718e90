//! Requests that wait for their service, and how an operator sees and moves them.

use crate::desk::Desk;
use serde_json::Value;
use shell::session::Status;

const CONFIG: &str = r#"
[[sla]]
service = "billing"
p95 = "200ms"
concurrency = 1
depth = 4
"#;

fn desk() -> Desk {
    Desk::new(CONFIG, &[])
}

/// Runs a line that is answered with a ticket, and returns it.
fn ticket(desk: &mut Desk, line: &str) -> String {
    let answer = desk.answer(line);
    ticket_in(&answer).unwrap_or_else(|| panic!("{line}: {answer}"))
}

/// The ticket in an answer.
fn ticket_in(answer: &str) -> Option<String> {
    Some(answer.split_once("ticket ")?.1.split_whitespace().next()?.to_owned())
}

/// All that a user can see of queues, agreements and open tickets.
fn state(desk: &mut Desk) -> String {
    let lines = ["config show", "priority stats --json", "priority queues --json", "priority weights --json"];
    let tickets = desk.run("tickets --json");
    // The last line counts refusals too.
    lines.map(|line| desk.run(line)).concat()
        + tickets.trim_end().rsplit_once('\n').map_or("", |(open, _)| open)
}

/// Checks that a line is refused by one line that says `why`, and changes nothing.
fn refuses(desk: &mut Desk, line: &str, why: &str) {
    let before = state(desk);
    let (status, output) = desk.try_run(line);
    assert_eq!(status, Status::Failed, "{line}: {output}");
    assert!(output.starts_with("error: ") && output.lines().count() == 1, "{line}: {output}");
    assert!(output.contains(why), "{line}: {output}");
    assert_eq!(state(desk), before, "{line}");
}

/// The row of a table that begins with a word.
fn row(table: &str, name: &str) -> Vec<String> {
    let row = table.lines().find(|row| row.split_whitespace().next() == Some(name));
    row.unwrap_or_else(|| panic!("no row {name}: {table}")).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_request_waits_while_its_service_is_busy_and_is_next_when_that_is_free() {
    let mut desk = desk();
    let answer = desk.answer("request service=billing");
    assert!(answer.starts_with("allow   no limit matches   ticket "), "{answer}");
    let first = ticket_in(&answer).unwrap();
    let waits = desk.answer("request service=billing priority=batch");
    assert!(waits.starts_with("queue   its turn in about 1 ms   ticket "), "{waits}");
    let batch = ticket_in(&waits).unwrap();
    let critical = ticket(&mut desk, "request service=billing priority=critical");
    desk.wait("20ms");
    let queues = row(&desk.run("priority queues"), "billing").join(" ");
    assert_eq!(queues, "billing 2 4 20 ms 1 1 3 1 0");
    assert_eq!(desk.answer("priority dequeue billing"), "billing is busy: 1 of 1 in service, 2 waiting");
    assert_eq!(
        desk.run(&format!("complete {first} ms=20")),
        format!(
            "settled   ticket {first}\nnext   ticket {critical}   class critical   waited 20 ms   deadline in 180 ms\n"
        )
    );
    // One that waits gives up, which frees nothing.
    assert_eq!(desk.answer(&format!("complete {batch} --void")), format!("voided   ticket {batch}"));
    assert_eq!(desk.answer(&format!("complete {critical}")), format!("settled   ticket {critical}"));
    assert_eq!(desk.answer("priority dequeue billing"), "nothing waits for billing");
    let stats = desk.run("priority stats billing");
    assert!(stats.ends_with("arrivals 3 = served 2 + waiting 0 + rejected 1: cancelled 1\n"), "{stats}");
}

#[test]
fn for_programs_what_is_next_are_further_objects() {
    let mut desk = desk();
    let first = ticket(&mut desk, "request service=billing");
    let second = ticket(&mut desk, "request service=billing");
    desk.wait("5ms");
    let output = desk.run(&format!("complete {first} --json"));
    let next = format!(
        "{{\"ticket\":\"{second}\",\"class\":\"normal\",\"waited_ns\":5000000,\"deadline_in_ns\":195000000}}"
    );
    assert_eq!(output.lines().skip(1).collect::<Vec<_>>(), [next]);
    let none = r#"{"ticket":null,"reason":"empty","waiting":0,"in_service":1}"#;
    assert_eq!(desk.answer("priority dequeue billing --json"), none);
}

#[test]
fn a_completed_request_frees_no_other_service() {
    let mut desk = desk();
    desk.run("priority define service=search p95=1s");
    let search = ticket(&mut desk, "request service=search");
    let billing = ticket(&mut desk, "priority enqueue service=billing");
    assert_eq!(desk.answer(&format!("complete {search}")), format!("settled   ticket {search}"));
    assert_eq!(ticket(&mut desk, "priority dequeue billing"), billing);
}

#[test]
fn all_free_slots_are_filled() {
    let mut desk = desk();
    let first = ticket(&mut desk, "request service=billing");
    for _ in 0..3 {
        desk.run("priority enqueue service=billing");
    }
    desk.run("priority set billing concurrency=2");
    let output = desk.run(&format!("complete {first}"));
    assert_eq!(output.lines().filter(|line| line.starts_with("next   ticket ")).count(), 2, "{output}");
}

#[test]
fn a_tenant_is_served_by_deadline_and_classes_share_by_weight() {
    let mut desk = desk();
    let tickets = ["deadline=900ms", "deadline=300ms", "deadline=600ms", "priority=critical"]
        .map(|rest| ticket(&mut desk, &format!("priority enqueue service=billing tenant=acme ms=10 {rest}")));
    desk.run("priority set billing concurrency=4");
    let order: Vec<String> = (0..4).map(|_| ticket(&mut desk, "priority dequeue billing")).collect();
    let place = |ticket: usize| order.iter().position(|it| *it == tickets[ticket]).unwrap();
    assert!(place(1) < place(2) && place(2) < place(0), "{order:?}");
    assert!(place(3) <= 1, "{order:?}");
}

#[test]
fn what_is_late_is_let_go_and_told() {
    let mut desk = desk();
    let late = ticket(&mut desk, "priority enqueue service=billing deadline=10ms");
    let next = ticket(&mut desk, "priority enqueue service=billing deadline=1s");
    desk.wait("10ms");
    assert_eq!(
        desk.run("priority dequeue billing"),
        format!(
            "late   1 waiting request let go, too late to be done by the deadline\n\
             next   ticket {next}   class normal   waited 10 ms   deadline in 990 ms\n"
        )
    );
    refuses(&mut desk, &format!("complete {late}"), &format!("ticket {late}: its queue has let it go"));
    let stats = desk.run("priority stats");
    assert!(stats.ends_with("arrivals 2 = served 1 + waiting 0 + rejected 1: infeasible 1\n"), "{stats}");
    desk.run("priority enqueue service=billing deadline=10ms");
    desk.wait("10ms");
    let output = desk.run(&format!("complete {next} --json"));
    assert!(
        output.ends_with("{\"service\":\"billing\",\"let_go\":1,\"reason\":\"infeasible\"}\n"),
        "{output}"
    );
}

#[test]
fn what_makes_room_for_another_is_told() {
    let mut desk = desk();
    let lowest =
        [0; 4].map(|_| ticket(&mut desk, "priority enqueue service=billing priority=batch"))[3].clone();
    let denied = desk.run("priority enqueue service=billing priority=batch");
    assert!(denied.starts_with("deny    queue-full: ") && denied.lines().count() == 1, "{denied}");
    let output = desk.run("priority enqueue service=billing priority=low");
    assert!(
        output.starts_with("queue ") && output.ends_with("\nshed   1 waiting request let go, to make room\n"),
        "{output}"
    );
    refuses(
        &mut desk,
        &format!("complete {lowest} --void"),
        &format!("ticket {lowest}: its queue has let it go"),
    );
    let output = desk.run("request service=billing priority=low --json");
    assert!(output.contains("\n{\"service\":\"billing\",\"let_go\":1,\"reason\":\"shed\"}\n"), "{output}");
}

#[test]
fn waiting_requests_are_preempted_moved_and_drained() {
    let mut desk = desk();
    let [first, second, ..] = [0; 4].map(|_| ticket(&mut desk, "priority enqueue service=billing"));
    assert_eq!(desk.answer(&format!("priority preempt {second}")), format!("preempted {second}"));
    let requeued = desk.answer(&format!("priority requeue {first} class=low"));
    assert_eq!(requeued, format!("requeued {first}: class low"));
    let stats = desk.run("priority stats billing");
    assert_eq!((row(&stats, "low")[2].as_str(), row(&stats, "normal")[2].as_str()), ("1", "2"));
    refuses(&mut desk, &format!("priority preempt {second}"), &format!("ticket {second}: "));
    assert_eq!(desk.answer("priority drain billing"), "drained billing: 3 requests");
    assert_eq!(desk.answer("priority drain billing"), "drained billing: no requests");
    let stats = desk.run("priority stats");
    let identity = "arrivals 4 = served 0 + waiting 0 + rejected 4: preempted 1, drained 3\n";
    assert!(stats.ends_with(identity), "{stats}");
    assert!(desk.run("tickets").contains("open 0 of "));
}

#[test]
fn the_exempt_lane_is_next_whatever_is_in_service() {
    let mut desk = desk();
    desk.run("request service=billing");
    desk.run("request service=billing priority=critical");
    let waits = desk.answer("priority enqueue service=billing --exempt");
    let exempt = ticket_in(&waits).unwrap();
    assert_eq!(
        waits,
        format!("queue   its turn is next   exempt: it waits beside all classes   ticket {exempt}")
    );
    assert_eq!(ticket(&mut desk, "priority dequeue billing"), exempt);
    assert!(desk.answer("priority dequeue billing").starts_with("billing is busy: "));
    for _ in 0..15 {
        assert!(desk.answer("priority enqueue service=billing --exempt").starts_with("queue "));
    }
    let full = "allow   exempt: no place is left to wait in, and it goes on at once";
    assert_eq!(desk.answer("priority enqueue service=billing --exempt"), full);
    let stats = desk.run("priority stats");
    assert!(stats.contains("\nexempt: waiting 15   in service 1   served 1   rejected "), "{stats}");
}

#[test]
fn an_agreement_that_breaks_and_is_kept_again_is_told_once() {
    let mut desk = desk();
    desk.run("priority define service=search p95=100ms error_rate=10% concurrency=1");
    let mut serve = |wait: &str, outcome: &str| -> Vec<String> {
        let ticket = ticket(&mut desk, "request service=search deadline=10s");
        desk.wait(wait);
        let output = desk.run(&format!("complete {ticket} {outcome}"));
        output.lines().skip(1).map(str::to_owned).collect()
    };
    let told: Vec<Vec<String>> = (0..21).map(|_| serve("10ms", "ms=500 status=500")).collect();
    assert!(told[..19].iter().all(Vec::is_empty) && told[20].is_empty(), "{told:?}");
    assert_eq!(
        told[19],
        [
            "notice   service search breaks its agreement: 100% of its requests are slower than its p95, 5% may",
            "notice   service search breaks its agreement: 100% of its requests fail, 10% may",
        ]
    );
    serve("2m", "ms=5");
    let told: Vec<String> = (0..20).flat_map(|_| serve("10ms", "ms=5")).collect();
    assert_eq!(
        told,
        [
            "notice   service search keeps its agreement: 0% of its requests are slower than its p95, 5% may",
            "notice   service search keeps its agreement: 0% of its requests fail, 10% may",
        ]
    );
    let sla = desk.run("priority sla search");
    assert_eq!(row(&sla, "search").join(" "), "search 100 ms 0% 5% 0% 10% 21 kept normal", "{sla}");
}

#[test]
fn programs_are_told_of_a_breach_and_can_look_it_up() {
    let mut desk = desk();
    desk.run("priority define service=search p95=100ms error_rate=10% concurrency=1");
    assert_eq!(desk.run("priority alerts"), "no notices\n");
    let mut last = String::new();
    for _ in 0..20 {
        let ticket = ticket(&mut desk, "request service=search deadline=10s");
        desk.wait("10ms");
        last = desk.run(&format!("complete {ticket} ms=500 --json"));
    }
    let object = "{\"notice\":\"breach\",\"service\":\"search\",\"kind\":\"latency\",\"measured_ppm\":1000000,\
                  \"threshold_ppm\":50000";
    assert_eq!(last.lines().last(), Some(format!("{object}}}").as_str()), "{last}");
    desk.wait("3s");
    assert_eq!(desk.run("priority alerts search --json"), format!("{object},\"age_ns\":3000000000}}\n"));
    let alerts = desk.run("priority alerts");
    assert_eq!(row(&alerts, "search").join(" "), "search breach latency 100% 5% 3.0 s", "{alerts}");
    assert_eq!(desk.run("priority alerts billing"), "no notices\n");
}

#[test]
fn a_file_that_drops_an_agreement_in_use_is_refused_and_told_what_helps() {
    let mut desk = Desk::new(CONFIG, &[("other.toml", b"[[sla]]\nservice = \"search\"\np95 = \"1s\"\n")]);
    let served = ticket(&mut desk, "request service=billing");
    refuses(
        &mut desk,
        "config load other.toml",
        "other.toml: it has no agreement of service billing, which is in use",
    );
    desk.run(&format!("complete {served}"));
    desk.run("config load other.toml");
    assert!(desk.run("priority sla").contains("\nsearch "));
}

#[test]
fn the_memory_of_queues_and_tickets_is_listed() {
    let mut desk = desk();
    desk.run("request service=billing");
    desk.run("request service=billing");
    let pools = desk.run("memory");
    for pool in
        ["live: policies", "live: audit records", "live: exempt requests", "live: tickets", "live: holds"]
    {
        assert!(pools.contains(&format!("\n{pool} ")), "{pools}");
    }
    let json = desk.run("memory --json");
    let pool = |name: &str| -> Value {
        let mut pools = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        pools.find(|pool| pool["pool"] == name).unwrap()
    };
    assert_eq!(pool("live: queues")["items"], 1);
    assert_eq!(pool("live: requests waiting or in service")["items"], 2);
    assert_eq!(pool("live: flows")["items"], 1);
}

#[test]
fn agreements_are_defined_changed_and_removed() {
    let mut desk = desk();
    assert_eq!(
        desk.answer(
            "priority define service=search p95=1s error_rate=0.5% class=high concurrency=4 depth=16"
        ),
        "defined search: p95 1.0 s, errors 0.5%, class high, 4 in service, 16 wait"
    );
    assert_eq!(
        desk.answer("priority set search concurrency=8 class=low"),
        "changed search: p95 1.0 s, errors 0.5%, class low, 8 in service, 16 wait"
    );
    let shown = desk.run("config show");
    assert!(
        shown.contains("service = \"search\"\np95 = \"1s\"\n") && shown.contains("concurrency = 8\n"),
        "{shown}"
    );
    let served = ticket(&mut desk, "request service=search");
    refuses(&mut desk, "priority remove search", "search: requests wait or are in service");
    desk.run(&format!("complete {served}"));
    assert_eq!(desk.answer("priority remove search"), "removed search");
    refuses(&mut desk, "priority stats search", "there is no agreement of service 'search'");
}

#[test]
fn weights_change_together_or_not_at_all() {
    let mut desk = desk();
    let table = desk.run("priority weights critical=32 batch=2");
    assert_eq!(row(&table, "critical"), ["critical", "32", "66.6", "%"]);
    assert_eq!(row(&desk.run("priority weights"), "batch"), ["batch", "2", "4.1", "%"]);
    refuses(
        &mut desk,
        "priority weights critical=3 low=0",
        "low=0 is not accepted; expected a whole number from 1 to 1024",
    );
    refuses(
        &mut desk,
        "priority weights critical=1025",
        "critical=1025 is not accepted; expected a whole number from 1 to 1024",
    );
    refuses(&mut desk, "priority weights urgent=3", "urgent");
}

#[test]
fn bad_input_is_one_line_and_changes_nothing() {
    let mut desk = desk();
    let served = ticket(&mut desk, "request service=billing");
    let waits = ticket(&mut desk, "request service=billing");
    for (line, why) in [
        (
            "priority define service=billing p95=1s",
            "billing has an agreement already; priority set billing changes it",
        ),
        (
            "priority define service=* p95=1s",
            "service: expected one service by its name; an agreement for * cannot",
        ),
        ("priority define service=new p95=0ms", "p95: expected whole milliseconds from 1ms to 1h"),
        ("priority define service=new p95=1s concurrency=0", "expected a whole number from 1 to 4294967295"),
        ("priority define service=new p95=1s depth=4097", "expected a whole number from 1 to 4096"),
        ("priority define service=new p95=1s error_rate=0%", "error_rate: "),
        ("priority define service=new p95=1s class=urgent", "urgent"),
        ("priority define service=new", "p95"),
        ("priority set billing", "nothing to change"),
        ("priority set billing service=other", "service"),
        (
            "priority set billing concurrency=0",
            "concurrency=0 is not accepted; expected a whole number from 1",
        ),
        ("priority set billin depth=3", "there is no agreement of service 'billin'; did you mean 'billing'?"),
        ("priority drain nothing-like-it", "'nothing-like-it'; priority sla lists them"),
        ("priority dequeue", "SERVICE"),
        ("priority enqueue", "service: missing"),
        ("priority enqueue service=bill", "did you mean 'billing'?"),
        ("priority enqueue service=billing deadline=0s", "deadline: it has passed"),
        ("priority enqueue service=billing deadline=2020-01-01T00:00:00Z", "deadline: it has passed"),
        ("priority enqueue service=billing deadline=soon", "deadline: expected a duration"),
        ("priority preempt 9000-9", "ticket 9000-9: there is no such ticket"),
        ("priority preempt nine", "ticket: expected a ticket"),
        ("priority preempt SERVED", "its request does not wait in a queue"),
        ("priority requeue SERVED class=low", "its request does not wait in a queue"),
        ("priority requeue WAITS", "class"),
        ("priority requeue WAITS class=urgent", "urgent"),
        ("complete WAITS", "error: ticket WAITS: "),
        ("complete WAITS", "waits in a queue"),
        ("priority preempt", "missing argument TICKET"),
        ("priority simulate load=0", "load: expected 0.1 to 10"),
        ("priority simulate load=1e9", "load: expected 0.1 to 10"),
        ("priority simulate load=99999999999999999999", "load: expected 0.1 to 10"),
        ("priority simulate seconds=0", "seconds=0 is not accepted; expected a whole number from 1 to 600"),
        ("priority simulate seconds=601", "expected a whole number from 1 to 600"),
        ("priority simulate seconds=18446744073709551615", "expected a whole number from 1 to 600"),
        ("priority simulate seed=-1", "seed=-1"),
    ] {
        let named = |text: &str| text.replace("SERVED", &served).replace("WAITS", &waits);
        refuses(&mut desk, &named(line), &named(why));
    }
}

#[test]
fn there_is_room_for_256_agreements() {
    let mut desk = desk();
    for number in 1..256 {
        desk.run(&format!("priority define service=s{number} p95=1s"));
    }
    refuses(&mut desk, "priority define service=s256 p95=1s", "s256: there are 256 agreements already");
}

#[test]
fn a_simulation_shows_each_discipline_and_touches_nothing_at_work() {
    let mut desk = desk();
    desk.run("request service=billing");
    desk.run("request service=billing");
    desk.run("priority weights batch=2");
    let before = state(&mut desk);
    let output = desk.run("priority simulate load=1.5 seconds=10 seed=3 --json");
    let tables: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table["discipline"].as_str().unwrap()).collect();
    assert_eq!(names, ["fifo", "strict-priority", "earliest-deadline", "weir"]);
    assert!(tables[3]["of_ideal_permille"].as_u64().unwrap() >= 980, "{output}");
    assert!(tables[0]["of_ideal_permille"].as_u64().unwrap() < 100, "{output}");
    assert_eq!(desk.run("priority simulate load=1.5 seconds=10 seed=3 --json"), output);
    let text = desk.run("priority simulate load=1.5 seconds=1 seed=3");
    assert!(text.starts_with("load 1.5 for 1 s, seed 3   arrivals "), "{text}");
    assert_eq!(row(&text, "weir")[0], "weir");
    assert_eq!(state(&mut desk), before);
    assert!(desk.engine.replay.queues.is_empty());
    desk.system.interrupted_after = Some(2);
    refuses(&mut desk, "priority simulate load=2 seconds=600", "stopped");
    assert!(desk.engine.replay.queues.is_empty());
}

#[test]
fn a_simulation_takes_the_place_of_a_replay() {
    let log = b"192.0.2.1 - - [17/May/2015:10:05:00 +0000] \"GET / HTTP/1.1\" 200 10\n";
    let mut desk = Desk::new(CONFIG, &[("a.log", log)]);
    desk.run("replay a.log");
    desk.run("quota usage from=replay");
    desk.run("priority simulate seconds=1");
    refuses(&mut desk, "quota usage from=replay", "there is no replay to look at");
}

#[test]
fn shares_and_bounds_are_drawn_for_the_classes_that_competed() {
    let mut desk = desk();
    desk.run("priority set billing depth=64");
    for class in ["critical", "batch"].repeat(8) {
        desk.run(&format!("priority enqueue service=billing priority={class} ms=1 deadline=10s"));
    }
    let mut next = ticket(&mut desk, "priority dequeue billing");
    for _ in 0..6 {
        desk.wait("1ms");
        let output = desk.run(&format!("complete {next} ms=1"));
        next = ticket_in(output.lines().nth(1).unwrap()).unwrap();
    }
    let output = desk.run("priority fairness billing");
    assert!(output.starts_with("billing\ncritical promised  94.1 %  ###"), "{output}");
    assert!(
        output.lines().any(|line| line.starts_with("normal promised ") && line.ends_with(" -")),
        "{output}"
    );
    let bound = row(output.split_once("have at most:\n").unwrap().1, "batch").join(" ");
    assert!(bound.starts_with("batch 17 ms "), "{output}");
}

#[test]
fn the_sub_commands_explain_themselves() {
    let mut desk = desk();
    assert_eq!(desk.run("priority help"), desk.run("help priority"));
    assert!(
        desk.run("priority help").contains("\n  simulate  compare this scheduler with others under load\n")
    );
}

#[test]
fn a_request_that_would_be_late_is_refused_in_one_line() {
    let mut desk = desk();
    for line in ["request service=billing ms=300", "priority enqueue service=billing deadline=20ms ms=30"] {
        let answer = desk.answer(line);
        assert!(answer.starts_with("deny    infeasible: it would not be done by its deadline"), "{answer}");
    }
}
