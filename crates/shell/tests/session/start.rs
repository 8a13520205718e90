//! What is said before the first prompt, and at it.

use crate::desk::{Desk, pack};
use shell::session::Status;
use shell::term::Term;

const ONE_LIMIT: &str =
    "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"token-bucket\"\ncapacity = 5\nrate = \"1/1h\"\n";

#[test]
fn the_banner_says_what_is_there() {
    let mut desk = Desk::with_ramdisk(pack(&[("weir.toml", ONE_LIMIT.as_bytes()), ("a.log", b"")]));
    assert_eq!(
        desk.start(),
        "weir 0.1.0 · ready 0.2 s after power-on · 1 core · 1 limit from weir.toml · files: weir.toml a.log\n"
    );
}

#[test]
fn a_missing_configuration_or_ramdisk_is_named() {
    let mut desk = Desk::with_ramdisk(pack(&[("a.log", b"")]));
    assert!(desk.start().contains(" · no limits, since there is no weir.toml · files: a.log\n"));
    drop(desk);

    let mut desk = Desk::with_ramdisk(Vec::new());
    let banner = desk.start();
    let lines: Vec<&str> = banner.lines().collect();
    assert_eq!(lines[0], "error: there is no ramdisk, and so no configuration and no files");
    assert!(lines[1].ends_with(" · no limits, since there is no weir.toml · no files"), "{banner}");
    assert_eq!(desk.answer("cat a.log"), "error: there is no file 'a.log'; there is no ramdisk");
}

#[test]
fn a_configuration_with_errors_is_not_in_force() {
    let mut desk = Desk::with_ramdisk(pack(&[("weir.toml", &ONE_LIMIT.as_bytes()[..75])]));
    let banner = desk.start();
    assert!(banner.starts_with("error: weir.toml: line 5, column "), "{banner}");
    assert!(banner.contains(" · no limits, since weir.toml has errors · files: weir.toml\n"), "{banner}");
    assert_eq!(banner.lines().count(), 2, "{banner}");
    assert_eq!(desk.answer("request ip=192.0.2.1"), "allow   no limit matches");
}

#[test]
fn files_before_the_damage_can_be_used() {
    let mut archive = pack(&[("weir.toml", ONE_LIMIT.as_bytes()), ("a.log", b"hello\n"), ("b.log", b"")]);
    archive[2048] ^= 1; // the name of b.log
    let mut desk = Desk::with_ramdisk(archive);
    let banner = desk.start();
    let lines: Vec<&str> = banner.lines().collect();
    assert_eq!(lines.len(), 2, "{banner}");
    assert!(lines[0].starts_with("error: the ramdisk is damaged; files behind the damage are missing: "));
    assert!(lines[1].ends_with(" · 1 limit from weir.toml · files: weir.toml a.log"), "{banner}");
    assert_eq!(desk.answer("cat a.log"), "hello");
}

#[test]
fn typed_bytes_become_a_command_between_two_prompts() {
    let mut desk = Desk::new(ONE_LIMIT, &[]);
    desk.session.set_term(Term::Ansi);
    desk.session.prompt(&mut desk.system);
    for byte in *b"request ip=192.0.2.1\r" {
        let status = desk.session.feed(byte, &mut desk.system, &mut desk.engine);
        assert_eq!(status, Status::Done);
    }
    let allow = "\x1b[32mallow\x1b[0m   limit \x1b[36mip:*\x1b[0m   remaining 4/5   full in 1 h 0 m\n";
    assert!(desk.system.console.contains(allow), "{:?}", desk.system.console);
    assert!(desk.system.console.ends_with("weir> "), "{:?}", desk.system.console);
}

#[test]
fn a_line_that_is_too_long_is_not_run() {
    let mut desk = Desk::new(ONE_LIMIT, &[]);
    let state = desk.state();
    let line = format!("request ip=192.0.2.1 user={}\r", "a".repeat(600));
    let mut statuses = Vec::new();
    for byte in line.bytes() {
        statuses.push(desk.session.feed(byte, &mut desk.system, &mut desk.engine));
    }
    assert_eq!(statuses.last(), Some(&Status::Failed));
    let console = std::mem::take(&mut desk.system.console);
    assert!(console.contains("error: the line has more than 512 bytes and was not run\n"), "{console}");
    let status = desk.session.run_as_typed(&line, &mut desk.system, &mut desk.engine);
    assert_eq!(status, Status::Failed);
    desk.system.console.clear();
    assert_eq!(desk.state(), state);
}

#[test]
fn the_machine_ends_as_it_is_told() {
    let mut desk = Desk::new("", &[]);
    assert_eq!(desk.try_run("poweroff"), (Status::PowerOff, String::new()));
    assert_eq!(desk.try_run("reboot"), (Status::Reboot, String::new()));
    assert_eq!(desk.try_run("  "), (Status::Done, String::new()));
    assert_eq!(desk.try_run("term vt100").0, Status::Failed);
    assert_eq!(desk.run("term"), "dumb\n");
    assert_eq!(desk.run("clear"), "");
    assert_eq!(desk.run("term ansi"), "");
    assert_eq!(desk.run("clear"), "\x1b[H\x1b[2J");
    assert_eq!(desk.run("dmesg"), "[    0.041682] first\n[    0.042521] second\n");
    assert_eq!(
        desk.run("version"),
        "weir 0.1.0 on a test, booted by PVH, 64 MiB of memory, clock 2599.890 MHz\n"
    );
}

#[test]
fn each_group_of_commands_explains_itself() {
    let mut desk = Desk::new("", &[]);
    for group in ["ratelimit", "quota", "cost", "traffic"] {
        let help = desk.run(&format!("help {group}"));
        assert!(help.starts_with(&format!("usage: {group} SUB-COMMAND")), "{help}");
        assert_eq!(desk.run(&format!("{group} help")), help);
    }
}
