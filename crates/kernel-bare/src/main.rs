//! The Weir kernel: brings the machine up, runs the start-up commands, then serves the console.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use governance::scope::HashSecret;
use kernel_bare::boot::BootInfo;
use kernel_bare::fw_cfg::FwCfgError;
use kernel_bare::power::ExitCode;
use kernel_bare::sync::SpinLock;
use kernel_bare::{Machine, clock, log};
use shell::engine::Engine;
use shell::session::{Session, Status};
use shell::system::System;
use shell::term::Term;

kernel_bare::kernel!(kernel_main);

/// Everything that decides.
static ENGINE: SpinLock<Engine> = SpinLock::new(Engine::new());

/// The kind of terminal: `dumb` or `ansi`.
const TERM_OPTION: &str = "opt/weir/term";
/// Commands to run before the machine switches itself off, one a line.
const COMMANDS_OPTION: &str = "opt/weir/commands";

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let mut session = Session::new();
    for warning in machine.warnings() {
        let _ = writeln!(machine, "WARNING: {warning}");
    }
    match option(&mut machine, TERM_OPTION) {
        Ok(Some("dumb")) => session.set_term(Term::Dumb),
        Ok(_) => {}
        // Any terminal shows plain text.
        Err(error) => {
            complain(&mut machine, TERM_OPTION, error);
            session.set_term(Term::Dumb);
        }
    }
    let [k0, k1] = machine.secret().words;
    ENGINE.lock().live.set_secret(HashSecret { k0, k1 });
    let started = session.start(clock::since_power_on(), &mut machine, &mut ENGINE.lock());
    match option(&mut machine, COMMANDS_OPTION) {
        // The commands count on a configuration that is not in force.
        Ok(Some(_)) if started == Status::Failed => {
            let _ = writeln!(machine, "error: the start-up commands are not run");
            machine.power_off(ExitCode::Failure)
        }
        Ok(Some(commands)) => run_and_power_off(commands, machine, session),
        Ok(None) => serve_console(machine, session),
        // Whoever gives commands does not type: a prompt would wait for ever.
        Err(error) => {
            complain(&mut machine, COMMANDS_OPTION, error);
            machine.power_off(ExitCode::Failure)
        }
    }
}

/// Runs the start-up commands in order, up to the first that fails, and ends the machine with how that went: it is
/// a success if each was carried out.
fn run_and_power_off(commands: &str, mut machine: Machine, mut session: Session) -> ! {
    let mut lines = commands.lines();
    while let Some(line) = lines.next() {
        let problem = match session.run_as_typed(line, &mut machine, &mut ENGINE.lock()) {
            Status::Done => continue,
            Status::Failed => machine.power_off(ExitCode::Failure),
            Status::PowerOff if lines.next().is_none() => break,
            Status::PowerOff => "the commands after poweroff are not run",
            // The machine would come back to the same commands, for ever.
            Status::Reboot => "reboot is not to be had among start-up commands",
        };
        let _ = writeln!(machine, "error: {problem}");
        machine.power_off(ExitCode::Failure)
    }
    machine.power_off(ExitCode::Success)
}

/// Takes what is typed, and sleeps in between.
fn serve_console(mut machine: Machine, mut session: Session) -> ! {
    session.prompt(&mut machine);
    loop {
        // What tickets hold is given back in time also while nobody types.
        let due = ENGINE.lock().live.next_due();
        machine.idle_until(due);
        let now = machine.now();
        ENGINE.lock().live.tick(now);
        while let Some(byte) = machine.read_byte() {
            match session.feed(byte, &mut machine, &mut ENGINE.lock()) {
                Status::Done | Status::Failed => {}
                Status::PowerOff => machine.power_off(ExitCode::Success),
                Status::Reboot => machine.reboot(),
            }
        }
    }
}

/// Why an option that the firmware has cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OptionError {
    Unreadable(FwCfgError),
    NotText,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::NotText => f.write_str("it is not UTF-8"),
        }
    }
}

/// The text of an option from the firmware; none if it is not given.
fn option(machine: &mut Machine, name: &str) -> Result<Option<&'static str>, OptionError> {
    match machine.option(name) {
        Ok(bytes) => core::str::from_utf8(bytes).map(Some).map_err(|_| OptionError::NotText),
        Err(FwCfgError::NotFound | FwCfgError::NoDevice) => Ok(None),
        Err(error) => Err(OptionError::Unreadable(error)),
    }
}

/// Says on the console and in the log why an option is not used.
fn complain(machine: &mut Machine, name: &str, error: OptionError) {
    log!("WARNING: option {name} is not used: {error}");
    let _ = writeln!(machine, "error: option {name} is not used: {error}");
}
