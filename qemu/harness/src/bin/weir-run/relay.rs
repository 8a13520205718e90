//! Connects a machine's console to this process's standard input and output.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use harness::console::Plain;
use harness::machine::{Exit, Line, Machine, Running};

/// How long the kernel may take to its first prompt. It needs a fraction of a second; this only ends a hang.
const BOOT_TIME: Duration = Duration::from_secs(60);
/// How long the prompt has to stand before the machine counts as done with its input.
const QUIET_TIME: Duration = Duration::from_millis(100);

/// What is typed at the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// Nothing: it has its commands already.
    Nothing,
    /// Standard input, and `poweroff` when it ends.
    StandardInput,
}

enum Event {
    Output(Vec<u8>),
    /// The machine closed its console, or nobody reads our output any more.
    OutputEnd(io::Result<()>),
    /// Standard input ended: where it went, and whether its last line lacks a line end.
    InputEnd(ChildStdin, LastLine),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Console {
    Open,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LastLine {
    Complete,
    Cut,
}

/// Lets QEMU have the terminal until it ends, and puts the terminal back into the state in which it was.
pub(crate) fn share_terminal(machine: &Machine) -> io::Result<Exit> {
    // QEMU restores it too, but not when it is killed.
    let state = stty(&["-g"]);
    let exit = Running::start(machine, Line::Terminal)?.wait();
    if let Some(state) = state {
        stty(&[state.trim_end()]);
    }
    exit
}

/// Relays output as it comes, and input from the first prompt on: what arrives before the kernel has set up its serial
/// port would be lost.
pub(crate) fn relay(machine: &Machine, typing: Typing) -> io::Result<Exit> {
    let mut running = Running::start(machine, Line::Pipe)?;
    let (sender, events) = mpsc::channel();
    let mut input = running.qemu.stdin.take();
    relay_output(&mut running.qemu, sender.clone());
    let mut plain = Plain::default();
    if wait_for_prompt(&events, &mut plain)? == Console::Open {
        if let Some(input) = input.take_if(|_| typing == Typing::StandardInput) {
            thread::spawn(move || relay_input(input, &sender));
        }
        run_to_end(&events, &mut plain)?;
    }
    running.wait()
}

/// Returns once there is a prompt, or the console has closed before.
fn wait_for_prompt(events: &Receiver<Event>, plain: &mut Plain) -> io::Result<Console> {
    let deadline = Instant::now() + BOOT_TIME;
    while !plain.at_prompt() {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left) {
            Ok(Event::Output(chunk)) => take(plain, &chunk),
            Ok(Event::OutputEnd(result)) => return result.map(|()| Console::Closed),
            Ok(Event::InputEnd(..)) | Err(RecvTimeoutError::Disconnected) => return Ok(Console::Closed),
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("no prompt within {} s", BOOT_TIME.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }
    Ok(Console::Open)
}

/// Waits for the end of the console; once standard input is used up and the shell waits, types `poweroff`.
fn run_to_end(events: &Receiver<Event>, plain: &mut Plain) -> io::Result<()> {
    let mut input: Option<ChildStdin> = None;
    loop {
        let event = match &mut input {
            None => events.recv().ok(),
            // Typed again should it get lost, as it would in the middle of a reboot.
            Some(input) => match events.recv_timeout(QUIET_TIME) {
                Err(RecvTimeoutError::Timeout) => {
                    if plain.at_prompt() {
                        type_line(input, "poweroff");
                    }
                    continue;
                }
                event => event.ok(),
            },
        };
        match event {
            Some(Event::Output(chunk)) => take(plain, &chunk),
            Some(Event::InputEnd(mut end, last_line)) => {
                if last_line == LastLine::Cut {
                    type_line(&mut end, "");
                }
                input = Some(end);
            }
            Some(Event::OutputEnd(result)) => return result,
            None => return Ok(()),
        }
    }
}

fn take(plain: &mut Plain, chunk: &[u8]) {
    plain.push(chunk);
    plain.forget_lines();
}

fn type_line(input: &mut ChildStdin, line: &str) {
    // Where QEMU has ended its console says so too.
    let _ = write!(input, "{line}\r").and_then(|()| input.flush());
}

fn relay_output(child: &mut Child, events: Sender<Event>) {
    let Some(mut from) = child.stdout.take() else { return };
    thread::spawn(move || {
        let mut to = io::stdout();
        let mut chunk = [0; 16 * 1024];
        let result = loop {
            let length = match from.read(&mut chunk) {
                Ok(0) => break Ok(()),
                Ok(length) => length,
                Err(error) => break Err(error),
            };
            if let Err(error) = to.write_all(&chunk[..length]).and_then(|()| to.flush()) {
                break Err(error);
            }
            if events.send(Event::Output(chunk[..length].to_vec())).is_err() {
                return;
            }
        };
        // Nobody listens any more only where everything has ended.
        let _ = events.send(Event::OutputEnd(result));
    });
}

fn relay_input(mut to: ChildStdin, events: &Sender<Event>) {
    let mut from = io::stdin();
    let mut chunk = [0; 16 * 1024];
    let mut last_line = LastLine::Complete;
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let piece = &chunk[..length];
        last_line =
            if matches!(piece.last(), Some(b'\n' | b'\r')) { LastLine::Complete } else { LastLine::Cut };
        if to.write_all(piece).and_then(|()| to.flush()).is_err() {
            return; // the machine has ended
        }
    }
    let _ = events.send(Event::InputEnd(to, last_line));
}

/// Asks `stty` about the terminal, or sets it; `None` where there is no such program or no terminal.
fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
