//! What `scripts/run.sh` promises: its statuses, its files, its standard input; and `scripts/symbolize.sh` beside it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use harness::kernel::{self, repository};

fn run(arguments: &[&str]) -> Output {
    run_with_input(arguments, b"")
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    script("run.sh", arguments, input)
}

/// Runs a script with the given standard input, from a directory that is not the checkout's.
fn script(name: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(repository().join("scripts").join(name))
        .args(arguments)
        .current_dir(env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the script starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A script that ends before it has read everything is a failure that its status shows.
    let writer = thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().expect("the script ends");
    writer.join().expect("the writer ends");
    output
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

fn assert_status(output: &Output, expected: i32) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(status(output), Some(expected), "output:\n{out}\nerrors:\n{err}");
}

/// A file of its own for a test.
fn file(name: &str, content: &[u8]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-script-{number}"));
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(name);
    fs::write(&path, content).expect("a file");
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn help_names_every_option_and_boots_nothing() {
    let output = run(&["--help"]);
    assert_status(&output, 0);
    let help = text(&output.stdout);
    for option in ["--config", "--file", "--exec", "--memory", "--machine", "--kernel", "--help"] {
        assert!(help.contains(option), "{option}");
    }
    assert!(!help.contains("weir> "));
}

#[test]
fn commands_that_succeed_give_status_0() {
    let output = run(&["--exec", "version", "--exec", "uptime"]);
    assert_status(&output, 0);
    let out = text(&output.stdout);
    assert!(out.contains("weir> version\n") && out.contains("weir> uptime\n"), "{out}");
}

#[test]
fn a_command_that_fails_gives_status_1_and_is_the_last() {
    let output = run(&["--exec", "no-such-command", "--exec", "version"]);
    assert_status(&output, 1);
    assert!(!text(&output.stdout).contains("weir> version"));
}

#[test]
fn bad_arguments_and_files_give_status_2_and_one_line() {
    let twice = file("twice.log", b"a\n");
    let again = file("twice.log", b"b\n");
    let config = file("weir.toml", b"");
    let long = file(&"n".repeat(101), b"");
    let large = file("large.log", &vec![b'\n'; 9 << 20]);
    // Else the script would say, in a line of its own, that it builds it.
    kernel::build();
    let long_command = "x".repeat(64 << 10);
    for arguments in [
        &["--verbose"][..],
        &["--memory", "0"],
        &["--machine", "pc"],
        &["--exec", "version\npoweroff"],
        &["--exec", &long_command],
        &["--config", "no-such-file.toml"],
        &["--file", "no-such-file.log"],
        &["--file", "/"],
        &["--file", path(&config)],
        &["--file", path(&twice), "--file", path(&again)],
        &["--file", path(&long)],
        &["--file", path(&large), "--memory", "8"],
    ] {
        let output = run(arguments);
        assert_status(&output, 2);
        assert_eq!(text(&output.stderr).lines().count(), 1, "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?} booted something");
    }
}

/// The script looks at its arguments twice, and a pipe gives its content once.
#[test]
fn a_configuration_may_come_through_a_pipe() {
    let limit = "[[limit]]\nscope = \"user:piped\"\nalgorithm = \"ban\"\n";
    let output = Command::new("bash")
        .args(["-c", "exec \"$0\" --config <(printf %s \"$1\") --exec 'config show'"])
        .arg(repository().join("scripts/run.sh"))
        .arg(limit)
        .stdin(Stdio::null())
        .output()
        .expect("the script ends");
    assert_status(&output, 0);
    assert!(text(&output.stdout).contains("user:piped"), "{}", text(&output.stdout));
}

#[test]
fn files_arrive_under_their_names_with_their_content() {
    let log = file("mine.log", b"one line of my log\n");
    let config = file("other-name.toml", b"# my configuration\n");
    let output = run(&[
        "--config",
        path(&config),
        "--file",
        path(&log),
        "--exec",
        "ls",
        "--exec",
        "cat mine.log",
        "--exec",
        "cat weir.toml",
    ]);
    assert_status(&output, 0);
    let out = text(&output.stdout);
    for expected in ["demo.log", "one line of my log\n", "# my configuration\n"] {
        assert!(out.contains(expected), "{expected:?} is not in:\n{out}");
    }
}

#[test]
fn a_file_replaces_the_shipped_log_of_its_name() {
    let log = file("demo.log", b"not the shipped log\n");
    let output = run(&["--file", path(&log), "--exec", "cat demo.log"]);
    assert_status(&output, 0);
    assert!(text(&output.stdout).contains("cat demo.log\nnot the shipped log\n"));
}

#[test]
fn piped_commands_run_and_the_machine_powers_off_at_their_end() {
    for input in
        ["version\nuptime\n", "version\nuptime", "version\r\nuptime\r\n", "version\nuptime\npoweroff\n", ""]
    {
        let output = run_with_input(&[], input.as_bytes());
        assert_status(&output, 0);
        let out = text(&output.stdout);
        assert_eq!(out.contains("weir> uptime\n"), !input.is_empty(), "{input:?}:\n{out}");
        assert!(out.contains("weir> poweroff"), "{input:?}:\n{out}");
    }
}

#[test]
fn a_piped_burst_of_20_kb_loses_no_byte_on_either_machine() {
    let lines: Vec<String> =
        (0..200).map(|number| format!("x{number:03}{}", "abcdefgh".repeat(12))).collect();
    let burst: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert!(burst.len() >= 20_000);
    for machine in ["q35", "microvm"] {
        let output = run_with_input(&["--machine", machine], burst.as_bytes());
        assert_status(&output, 0);
        let out = text(&output.stdout);
        let mut rest = out.as_str();
        for line in &lines {
            let echo = format!("weir> {line}\n");
            let at = rest.find(&echo).unwrap_or_else(|| panic!("{machine}: {line} did not arrive whole"));
            rest = &rest[at + echo.len()..];
        }
    }
}

#[test]
fn control_a_passes_a_pipe_as_it_is() {
    // Ctrl-A moves the editor to the start of the line, so that the halves of the word change places.
    let output = run_with_input(&[], b"sion\x01ver\n");
    assert_status(&output, 0);
    let by_hand = run_with_input(&[], b"version\n");
    let answer = |output: &Output| {
        text(&output.stdout)
            .lines()
            .filter(|line| line.starts_with(concat!("weir ", env!("CARGO_PKG_VERSION"))))
            .count()
    };
    assert_eq!(answer(&output), answer(&by_hand), "{}", text(&output.stdout));
}

#[test]
fn a_backtrace_gets_the_names_of_its_functions() {
    let elf = kernel::build();
    let header = fs::read(elf).expect("the kernel");
    let entry = u64::from_le_bytes(header[24..32].try_into().expect("eight bytes"));
    let log = format!("kernel panicked\n  #0 {entry:#018x}\n  #1 {:#018x}\nend", entry + 1);
    let output = script("symbolize.sh", &[path(elf)], log.as_bytes());
    assert_status(&output, 0);
    let out = text(&output.stdout);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!([lines[0], lines[1], lines[5]], ["kernel panicked", &*format!("  #0 {entry:#018x}"), "end"]);
    // The second address is where the first one would return to, had it been a call of one byte.
    assert!(lines[2].contains("_start") && lines[4].contains("_start"), "{out}");
}
