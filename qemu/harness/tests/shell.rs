//! What transcripts cannot show: keys that are not letters, files that no editor would keep as they are, and inputs of
//! a size that has to be made.

use std::fmt::Write as _;
use std::time::Duration;

use harness::guest::Guest;
use harness::kernel;
use harness::machine::{Machine, Term};
use harness::ramdisk::Ramdisk;

/// A line of an access log as short as it gets.
const SHORT_LINE: &str = "192.0.2.1 - - [17/May/2015:10:05:00 +0000] \"-\" 200 -\n";

const SLOW_LIMIT: &str =
    "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"token-bucket\"\ncapacity = 5\nrate = \"1/1h\"\n";

/// Boots with these files; the first one is the configuration.
fn boot(files: &[(&str, &[u8])]) -> Guest {
    boot_at(Term::Dumb, files)
}

/// Boots with these files, at a terminal of this kind.
fn boot_at(term: Term, files: &[(&str, &[u8])]) -> Guest {
    let mut ramdisk = Ramdisk::default();
    for (name, content) in files {
        ramdisk.add(name, content.to_vec()).expect("a good file");
    }
    let machine =
        Machine { memory_mb: 192, term, ramdisk: Some(ramdisk.pack()), ..Machine::new(kernel::build()) };
    let mut guest = Guest::start(&machine).expect("QEMU starts");
    guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
    guest
}

fn run(guest: &mut Guest, line: &str) -> String {
    guest.run(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The one line that a command answers.
fn one_line(guest: &mut Guest, line: &str) -> String {
    let answer = run(guest, line);
    assert_eq!(answer.lines().count(), 1, "{line}: {answer}");
    answer.trim_end().to_owned()
}

/// Enough lines for a second or more.
fn long_log() -> Vec<u8> {
    SHORT_LINE.repeat(500_000).into_bytes()
}

#[test]
fn tab_completes_commands_limits_and_files() {
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes()), ("access.log", SHORT_LINE.as_bytes())]);
    let answer = run(&mut guest, "ratel\tsho\tip\t");
    assert!(answer.starts_with("ip:*\n  scope "), "{answer}");
    let answer = run(&mut guest, "rep\tac\t--j\t");
    assert!(answer.starts_with("{\"file\":\"access.log\","), "{answer}");
}

#[test]
fn keys_edit_the_line_and_bring_back_earlier_ones() {
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes())]);
    // A line that is edited is drawn again, prompt and all, so that it is the answer that is waited for.
    let mut types = |keys: &str, answer: &str| {
        guest.send(keys.as_bytes()).expect("the console takes it");
        guest.expect(answer).unwrap_or_else(|error| panic!("{keys:?}: {error}"));
        guest.expect_prompt().unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    };
    types("request ip=192.0.2.9\r", "allow   limit ip:*   remaining 4/5   full in 1 h 0 m\n");
    // Up, Enter.
    types("\x1b[A\r", "allow   limit ip:*   remaining 3/5   full in 2 h 0 m\n");
    // Up, Home, to the end of the first word, erase it, and another in its place.
    let to_end_of_word = "\x1b[C".repeat("request".len());
    types(
        &format!("\x1b[A\x01{to_end_of_word}\x15ratelimit try\r"),
        "allow   limit ip:*   remaining 3/5   full in 2 h 0 m\n",
    );
    // Ctrl-C drops the line.
    types("request ip=192.0.2.9\x03", "request ip=192.0.2.9");
    types("ratelimit try ip=192.0.2.9\r", "allow   limit ip:*   remaining 3/5   full in 2 h 0 m\n");
}

#[test]
fn ctrl_c_stops_a_replay() {
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes()), ("long.log", &long_log())]);
    guest.send_line("replay long.log").expect("the prompt takes a line");
    guest.expect(" requests   ").unwrap_or_else(|error| panic!("no progress: {error}"));
    guest.send(b"\x03").expect("the console takes it");
    let rest = guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
    let stopped = rest.lines().last().unwrap_or_default();
    assert!(
        stopped.starts_with("error: stopped after ") && stopped.ends_with(" lines of long.log"),
        "{rest}"
    );
    assert!(!rest.contains("limit "), "no table of half a log: {rest}");
    assert!(run(&mut guest, "version").starts_with("weir "), "the shell goes on");
}

#[test]
fn ctrl_c_stops_a_benchmark() {
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes())]);
    // The Ctrl-C waits behind the line, where the benchmark finds it.
    guest.send(b"bench ratelimit\r\x03").expect("the console takes it");
    let answer = guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
    assert!(answer.ends_with("error: stopped\n"), "{answer}");
    assert_eq!(one_line(&mut guest, "term"), "dumb");
}

#[test]
fn top_is_drawn_each_second_sleeps_in_between_and_is_left_by_a_key() {
    let mut guest = boot_at(Term::Ansi, &[("weir.toml", SLOW_LIMIT.as_bytes())]);
    run(&mut guest, "request ip=192.0.2.9");
    for key in [b"q", b"\x03"] {
        guest.send_line("governance top").expect("the prompt takes a line");
        let mut clocks = Vec::new();
        for _ in 0..3 {
            guest.expect("weir   ").unwrap_or_else(|error| panic!("{error}"));
            clocks.push(guest.expect("Z   up ").unwrap_or_else(|error| panic!("{error}")));
        }
        assert!(clocks[0] < clocks[1] && clocks[1] < clocks[2], "{clocks:?}");
        guest.send(b"\x1b[Ax").expect("the console takes it");
        let before = guest.processor_time().expect("Linux shows its processes");
        let window = Duration::from_secs(3);
        let seen = guest.listen(window);
        let used = guest.processor_time().expect("Linux shows its processes") - before;
        let permille = used.as_millis() * 1000 / window.as_millis();
        println!("top takes {}.{} % of a core", permille / 10, permille % 10);
        assert!(seen.contains("weir   "), "other keys do not leave: {seen}");
        guest.send(key).expect("the console takes it");
        guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(one_line(&mut guest, "term"), "ansi");
    }
    assert!(run(&mut guest, "ratelimit try ip=192.0.2.9").contains("remaining 4/5"));
}

#[test]
fn bench_measures_each_case_and_leaves_the_live_limits_alone() {
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes())]);
    let before = run(&mut guest, "ratelimit status --json");
    for (subject, keys) in [
        ("ratelimit", &["\"keys\":1,", "\"keys\":6553,", "\"keys\":65536,"][..]),
        ("quota", &["\"keys\":1,", "\"keys\":256,", "\"keys\":256,"]),
        ("cost", &["\"keys\":256,", "\"keys\":256,"]),
    ] {
        let answer = run(&mut guest, &format!("bench {subject} --json"));
        let cases: Vec<&str> = answer.lines().collect();
        assert_eq!(cases.len(), keys.len(), "{answer}");
        for (case, keys) in cases.iter().zip(keys) {
            let begin = format!("{{\"bench\":\"{subject}\",");
            assert!(case.starts_with(&begin) && case.contains(keys), "{case}");
        }
    }
    assert_eq!(run(&mut guest, "ratelimit status --json"), before);
}

#[test]
fn what_config_show_prints_loads_back_to_the_same() {
    for file in ["demo/weir.toml", "qemu/transcripts/files/requests.toml", "qemu/transcripts/files/web.toml"]
    {
        let written = std::fs::read(kernel::repository().join(file)).expect("a file of the repository");
        let shown = run(&mut boot(&[("weir.toml", &written)]), "config show");
        let mut guest = boot(&[("weir.toml", b""), ("shown.toml", shown.as_bytes())]);
        let answer = one_line(&mut guest, "config load shown.toml");
        assert!(answer.starts_with("shown.toml is in force: "), "{answer}");
        assert_eq!(run(&mut guest, "config show"), shown, "{file}");
    }
}

#[test]
fn line_ends_do_not_change_what_a_log_says() {
    let log = "192.0.2.1 - - [17/May/2015:10:05:00 +0000] \"GET / HTTP/1.1\" 200 1\n\n\
               192.0.2.1 - - [17/May/2015:10:05:02 +0000] \"GET / HTTP/1.1\" 200 1\n";
    let csv =
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.5,1,2\n\n2023-11-16 18:17:05.5,1,2\n";
    for (text, lines, requests, answered) in [(log, 3, 2, 2), (csv, 4, 2, 0)] {
        let windows = text.replace('\n', "\r\n");
        let mut guest = boot(&[
            ("weir.toml", b""),
            ("unix.log", text.as_bytes()),
            ("windows.log", windows.as_bytes()),
            ("open.log", text.trim_end().as_bytes()),
        ]);
        for file in ["unix.log", "windows.log", "open.log"] {
            let answer = one_line(&mut guest, &format!("replay {file} --json"));
            let expected = format!(
                "{{\"file\":\"{file}\",\"lines\":{lines},\"malformed\":0,\"requests\":{requests},\
                 \"allowed\":{requests},\"denied\":0,\"redirected\":0,\"status_1xx\":0,\"status_2xx\":{answered},"
            );
            assert!(answer.starts_with(&expected) && answer.contains("\"virtual_seconds\":2,"), "{answer}");
        }
    }
}

#[test]
fn a_line_over_8_kib_is_one_malformed_line() {
    let at_most = format!("{}{}\n", SHORT_LINE.trim_end(), " ".repeat(8192 - SHORT_LINE.len() + 1));
    assert_eq!(at_most.len(), 8193);
    let log = format!("{SHORT_LINE}{at_most}{}{SHORT_LINE}", at_most.replacen(' ', "  ", 1));
    let mut guest = boot(&[("weir.toml", b""), ("long.log", log.as_bytes())]);
    let answer = run(&mut guest, "replay long.log");
    assert!(answer.contains("4 lines   1 malformed"), "{answer}");
    let reason = "malformed line 3: line of 8193 bytes is too long, expected at most 8192\n";
    assert!(answer.contains(reason), "{answer}");
}

#[test]
fn files_that_are_no_logs_are_named_in_one_line() {
    let mut guest = boot(&[
        ("weir.toml", SLOW_LIMIT.as_bytes()),
        ("binary.log", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0"),
        ("access.log.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        ("blank.log", b"\r\n \n\n"),
        ("latin.toml", b"[[limit]]\nscope = \"service:caf\xe9\"\n"),
    ]);
    let before = (run(&mut guest, "config show"), run(&mut guest, "ratelimit status --json"));
    for (line, expected) in [
        ("replay binary.log", "error: binary.log: unsupported log: a binary file, expected "),
        ("replay access.log.gz", "error: access.log.gz: unsupported log: a gzip file, expected "),
        ("replay blank.log", "error: blank.log: file is empty"),
        ("replay acess.log.gz", "error: there is no file 'acess.log.gz'; did you mean 'access.log.gz'?"),
        ("config load latin.toml", "error: latin.toml: line 2, column "),
    ] {
        let answer = one_line(&mut guest, line);
        assert!(answer.starts_with(expected), "{line}: {answer}");
    }
    assert_eq!((run(&mut guest, "config show"), run(&mut guest, "ratelimit status --json")), before);
    assert!(!run(&mut guest, "cat binary.log").contains('\0'), "a file cannot drive the terminal");
}

/// A configuration with so many bans of each kind.
fn bans(services: usize, users: usize, others: usize) -> String {
    let mut toml = String::new();
    for (kind, count) in [("service", services), ("user", users), ("tenant", others)] {
        for number in 0..count {
            writeln!(toml, "[[limit]]\nscope=\"{kind}:{number}\"\nalgorithm=\"ban\"").expect("memory");
        }
    }
    toml
}

#[test]
fn each_class_of_limits_has_its_own_bound() {
    const BOUNDS: [(usize, &str, &str); 3] = [
        (256, "service", "there are 256 service limits already, and no more fit"),
        (512, "user", "there are 512 user limits already, and no more fit"),
        (256, "ip", "there are 256 limits on kinds other than service and user already, and no more fit"),
    ];
    let full = bans(256, 512, 256);
    let mut guest = boot(&[
        ("weir.toml", full.as_bytes()),
        ("service.toml", bans(257, 0, 0).as_bytes()),
        ("user.toml", bans(0, 513, 0).as_bytes()),
        ("ip.toml", bans(0, 0, 257).as_bytes()),
    ]);
    let before = run(&mut guest, "config show");
    assert_eq!(before.matches("[[limit]]").count(), 1024);
    for (bound, kind, why) in BOUNDS {
        let answer = one_line(&mut guest, &format!("config load {kind}.toml"));
        let (line, name) = (bound * 3 + 1, if kind == "ip" { "tenant" } else { kind });
        assert_eq!(
            answer,
            format!("error: {kind}.toml: line {line}, column 1: limit '{name}:{bound}': {why}")
        );
        let scope = format!("{kind}:192.0.2.1");
        let answer = one_line(&mut guest, &format!("ratelimit add scope={scope} algorithm=unlimited"));
        assert_eq!(answer, format!("error: {scope}: {why}"));
        let answer = one_line(&mut guest, &format!("ratelimit ban {scope}"));
        assert_eq!(answer, format!("error: {scope}#ban: {why}"));
    }
    assert_eq!(run(&mut guest, "config show"), before);
    // A place that is given back can be taken again.
    one_line(&mut guest, "ratelimit remove user:7");
    assert_eq!(one_line(&mut guest, "ratelimit ban user:eve").split(';').next(), Some("banned user:eve"));
}

/// 100 000 clients that come once each, in one second; a known client comes three times before and three times after.
#[test]
fn keys_beyond_the_table_share_a_bucket_and_take_nothing_from_those_inside() {
    let mut log = SHORT_LINE.repeat(3);
    for client in 0..100_000_u32 {
        let [_, b, c, d] = client.to_be_bytes();
        log += &SHORT_LINE.replacen("192.0.2.1", &format!("10.{b}.{c}.{d}"), 1);
    }
    log += &SHORT_LINE.repeat(3);
    let mut guest = boot(&[("weir.toml", SLOW_LIMIT.as_bytes()), ("flood.log", log.as_bytes())]);

    // The known client's bucket of 5 has room for five of its six. 65 535 others find a place; the rest share 5.
    let answer = run(&mut guest, "replay flood.log --json");
    let lines: Vec<&str> = answer.lines().collect();
    let summary = "{\"file\":\"flood.log\",\"lines\":100006,\"malformed\":0,\"requests\":100006,\"allowed\":65545,\
                   \"denied\":34461,\"redirected\":0,\"status_1xx\":0,\"status_2xx\":100006,";
    assert!(lines[0].starts_with(summary), "{}", lines[0]);
    assert_eq!(lines[1], "{\"limit\":\"ip:*\",\"allowed\":65545,\"denied\":34461,\"keys\":65536}");
    assert!(lines.contains(&"{\"top_denied\":\"ip:192.0.2.1\",\"denied\":1}"), "{answer}");

    let answer = run(&mut guest, "replay flood.log");
    assert!(answer.contains("keys 65,536 of 65,536   evicted fresh 0   overflow hits 34,465"), "{answer}");
    assert!(
        answer.contains("warning: the table of keys is full: new keys share overflow buckets"),
        "{answer}"
    );
}
