//! The kernel comes up on both machines and with whatever it finds in its ramdisk.

use std::time::Duration;

use harness::files;
use harness::guest::Guest;
use harness::kernel;
use harness::machine::{Board, Exit, MAX_COMMANDS_BYTES, Machine, Part, Reset};

fn machine() -> Machine {
    let ramdisk = files::collect(None, &[], files::Pipes::Read).expect("the shipped files");
    Machine { ramdisk: Some(ramdisk.pack()), ..Machine::new(kernel::build()) }
}

/// Boots, and powers off again. Returns what was printed before the first prompt.
fn boots(machine: &Machine) -> String {
    let mut guest = Guest::start(machine).expect("QEMU starts");
    let banner = guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
    guest.send_line("poweroff").expect("the prompt takes a line");
    let (exit, rest) = guest.wait().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(exit, Exit::PowerOff, "{banner}{rest}");
    banner
}

#[test]
fn boots_on_q35() {
    boots(&machine());
}

#[test]
fn boots_on_microvm() {
    boots(&Machine { board: Board::Microvm, ..machine() });
}

#[test]
fn the_demo_fits_in_96_mb() {
    let banner = boots(&Machine { memory_mb: 96, ..machine() });
    for name in ["weir.toml", "demo.log"] {
        assert!(banner.contains(name), "{name} is not among the files: {banner}");
    }
}

#[test]
fn tables_that_are_empty_take_no_room_in_the_image() {
    // Governors are all-zero when empty. One value in them that is not would put all of them into the file.
    let bytes = kernel::loaded_bytes(kernel::build()).expect("the kernel is an ELF file");
    assert!(bytes < 2 << 20, "{bytes} bytes of the kernel are loaded from its file");
}

#[test]
fn boots_without_a_ramdisk() {
    let banner = boots(&Machine { ramdisk: None, ..machine() });
    assert!(banner.contains("ramdisk"), "that there is none is not reported: {banner}");
}

#[test]
fn a_damaged_ramdisk_is_reported_and_survived() {
    let good = machine().ramdisk.expect("the shipped files");
    let mut wrong_checksum = good.clone();
    wrong_checksum[0] ^= 1;
    let cut_off = good[..700].to_vec();
    let noise: Vec<u8> = (0..4096_u32).map(|index| ((index * 167) >> 3).to_le_bytes()[0]).collect();
    for (what, bytes) in [
        ("a wrong checksum", wrong_checksum),
        ("cut off within a file", cut_off),
        ("no archive at all", noise),
        ("a single byte", vec![0xff]),
    ] {
        let banner = boots(&Machine { ramdisk: Some(bytes), ..machine() });
        assert!(banner.contains("ramdisk"), "{what} is not reported: {banner}");
    }
}

#[test]
fn what_a_machine_lacks_is_said_before_the_banner() {
    let microvm = Machine { board: Board::Microvm, ..machine() };
    assert!(!boots(&microvm).contains("WARNING"), "a whole machine has nothing to warn of");
    for (part, words) in [
        (Part::RandomGenerator, "WARNING: no random number generator; "),
        (Part::IntervalTimer, "WARNING: no interval timer; "),
        (Part::BatteryClock, "WARNING: no battery-backed clock; "),
    ] {
        let output = boots(&Machine { without: vec![part], ..microvm.clone() });
        let warning = output.find(words).unwrap_or_else(|| panic!("{part:?}: {output}"));
        assert_eq!(output.matches("WARNING").count(), 1, "{output}");
        assert!(warning < output.find("ready").expect("the banner"), "{output}");
    }
}

#[test]
fn reboot_starts_the_kernel_again() {
    let mut guest = Guest::start(&Machine { reset: Reset::Restart, ..machine() }).expect("QEMU starts");
    guest.expect_prompt().expect("the first boot");
    guest.send_line("reboot").expect("the prompt takes a line");
    let second = guest.expect_prompt().unwrap_or_else(|error| panic!("{error}"));
    assert!(
        second.contains(concat!("weir ", env!("CARGO_PKG_VERSION"))),
        "no banner after the reboot: {second}"
    );
    guest.send_line("poweroff").expect("the prompt takes a line");
    assert_eq!(guest.wait().expect("an end").0, Exit::PowerOff);
}

#[test]
fn start_up_commands_run_in_order_and_stop_at_the_first_failure() {
    let run = |commands: &[&str]| {
        let commands = commands.iter().map(|&command| command.to_owned()).collect();
        let mut guest = Guest::start(&Machine { commands, ..machine() }).expect("QEMU starts");
        guest.wait().unwrap_or_else(|error| panic!("{error}"))
    };
    let (exit, output) = run(&["version", "uptime"]);
    assert_eq!(exit, Exit::PowerOff, "{output}");
    let version = output.find("weir> version\n").expect("the first command is echoed after the prompt");
    assert!(output[version..].contains("\nweir> uptime\n"), "{output}");

    let (exit, output) = run(&["version", "no-such-command", "uptime"]);
    assert_eq!(exit, Exit::CommandFailed, "{output}");
    assert!(!output.contains("weir> uptime"), "{output}");
}

#[test]
fn start_up_commands_fill_their_room_and_more_is_an_error_that_ends_the_machine() {
    let run = |bytes: usize| {
        // One long line that is no command, of so many bytes with the line end that nothing follows.
        let commands = vec!["version".to_owned(), "x".repeat(bytes - "version\n".len() - 1)];
        let mut guest = Guest::start(&Machine { commands, ..machine() }).expect("QEMU starts");
        guest.wait().unwrap_or_else(|error| panic!("{error}"))
    };
    let (exit, output) = run(MAX_COMMANDS_BYTES);
    assert_eq!(exit, Exit::CommandFailed, "{output}");
    assert!(output.contains("weir> version\n"), "{output}");

    let (exit, output) = run(MAX_COMMANDS_BYTES + 512);
    assert_eq!(exit, Exit::CommandFailed, "{output}");
    assert!(output.contains("error: option opt/weir/commands is not used: "), "{output}");
    assert!(!output.contains("weir> "), "{output}");
}

#[test]
fn a_burst_of_20_kb_loses_no_byte() {
    let mut guest = Guest::start(&machine()).expect("QEMU starts");
    guest.expect_prompt().expect("a prompt");
    // Every line is its own unknown command, so that a lost byte shows in the echo or in a line's number.
    let lines: Vec<String> =
        (0..200).map(|number| format!("x{number:03}{}", "abcdefgh".repeat(12))).collect();
    // The empty line in front has each of the others come after a prompt of its own.
    let burst: String =
        "\r".chars().chain(lines.iter().flat_map(|line| line.chars().chain(['\r']))).collect();
    assert!(burst.len() >= 20_000);
    guest.send(burst.as_bytes()).expect("the console takes it");
    for line in &lines {
        guest.expect(&format!("weir> {line}\n")).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Prints how much of a host core an idle machine takes: a figure to read, not a limit that fails on a busy host.
#[test]
fn an_idle_machine_is_silent() {
    let window = Duration::from_secs(3);
    for board in [Board::Q35, Board::Microvm] {
        let mut guest = Guest::start(&Machine { board, ..machine() }).expect("QEMU starts");
        guest.expect_prompt().expect("a prompt");
        let before = guest.processor_time().expect("Linux shows its processes");
        let printed = guest.listen(window);
        let used = guest.processor_time().expect("Linux shows its processes") - before;
        assert_eq!(printed, "", "an idle shell prints nothing");
        let permille = used.as_millis() * 1000 / window.as_millis();
        println!("idle on {}: {}.{} % of a core", board.name(), permille / 10, permille % 10);
    }
}
