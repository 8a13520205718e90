//! What `scripts/run.sh` does once everything is installed and built: packs the files, boots, connects the console.
//!
//! The script's help (`usage.txt`) says what it promises to a user; [`harness::machine`] knows QEMU.

#![forbid(unsafe_code)]

mod options;
mod relay;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fmt};

use harness::files::{self, Pipes};
use harness::kernel;
use harness::machine::{Exit, MEMORY_MB, Machine, Reset, Term};

use options::{MEMORY_MB_ALLOWED, Options};
use relay::Typing;

/// Wrong arguments, or files that cannot travel.
const STATUS_USAGE: u8 = 2;
/// Anything that is neither the user's nor the kernel's doing.
const STATUS_OTHER: u8 = 4;

/// Memory that a machine needs beside kernel and files, for firmware tables and the first MiB.
const SPARE_MB: u64 = 2;
/// Memory that is chosen for files which do not fit the usual size is a multiple of this.
const MEMORY_STEP_MB: u32 = 64;

fn main() -> ExitCode {
    match run() {
        Ok(Exit::PowerOff) => ExitCode::SUCCESS,
        Ok(exit) => {
            say(exit);
            ExitCode::from(exit.script_status())
        }
        Err((status, message)) => {
            say(message);
            ExitCode::from(status)
        }
    }
}

fn run() -> Result<Exit, (u8, String)> {
    let usage = |error: &dyn fmt::Display| (STATUS_USAGE, error.to_string());
    let other = |error: io::Error| (STATUS_OTHER, error.to_string());

    let options = Options::parse(env::args_os().skip(1)).map_err(|error| usage(&error))?;
    let pipes = if options.check { Pipes::Leave } else { Pipes::Read };
    let ramdisk = files::collect(options.config.as_deref(), &options.files, pipes);
    let ramdisk = ramdisk.map_err(|error| usage(&error))?.pack();
    if options.check {
        return Ok(Exit::PowerOff);
    }
    let kernel = options.kernel.ok_or_else(|| usage(&"no kernel; scripts/run.sh builds and names one"))?;
    let memory_mb =
        memory_mb(&kernel, ramdisk.len(), options.memory_mb).map_err(|message| (STATUS_USAGE, message))?;

    let machine = Machine {
        board: options.board,
        memory_mb,
        ramdisk: Some(ramdisk),
        commands: options.commands,
        term: term(),
        reset: Reset::Restart,
        ..Machine::new(kernel)
    };
    let typing = if machine.commands.is_empty() { Typing::StandardInput } else { Typing::Nothing };
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        relay::share_terminal(&machine).map_err(other)
    } else {
        relay::relay(&machine, typing).map_err(other)
    }
}

/// The memory asked for if kernel and files fit in it; unasked, the usual size or as much as they need.
fn memory_mb(kernel: &Path, ramdisk_bytes: usize, asked: Option<u32>) -> Result<u32, String> {
    let kernel_end = kernel::memory_end(kernel).map_err(|error| format!("{}: {error}", kernel.display()))?;
    let files = u64::try_from(ramdisk_bytes).unwrap_or(u64::MAX);
    let needed = (kernel_end.saturating_add(files) >> 20) + SPARE_MB;
    let needed = u32::try_from(needed).ok().filter(|needed| needed <= MEMORY_MB_ALLOWED.end());
    let needed = needed.ok_or("the files are larger than any machine's memory")?;
    match asked {
        Some(asked) if asked < needed => {
            Err(format!("--memory {asked}: kernel and files need at least {needed} MiB"))
        }
        Some(asked) => Ok(asked),
        None => Ok(MEMORY_MB.max(needed.next_multiple_of(MEMORY_STEP_MB))),
    }
}

/// A terminal that says it is dumb, or says nothing, gets plain text, as does anything that is no terminal.
fn term() -> Term {
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if dumb || !io::stdout().is_terminal() { Term::Dumb } else { Term::Ansi }
}

fn say(message: impl fmt::Display) {
    eprintln!("run.sh: {message}");
}
