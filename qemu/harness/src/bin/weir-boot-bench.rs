//! Measures how long a machine takes from QEMU's start to the prompt, and what it takes of a host core when idle:
//! `weir-boot-bench KERNEL [--json]`, for `scripts/bench.sh`.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, io};

use harness::files;
use harness::guest::Guest;
use harness::machine::{Board, Machine};

const BOOTS: usize = 5;
const IDLE_WINDOW: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-boot-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (kernel, json) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [kernel] => (kernel, false),
        [kernel, "--json"] => (kernel, true),
        _ => return Err("usage: weir-boot-bench KERNEL [--json]".into()),
    };
    let ramdisk = files::collect(None, &[], files::Pipes::Read)?.pack();
    for board in [Board::Q35, Board::Microvm] {
        let machine = Machine { board, ramdisk: Some(ramdisk.clone()), ..Machine::new(kernel) };
        let figures = measure(&machine)?;
        if json { figures.print_json(board) } else { figures.print(board) }
    }
    Ok(())
}

/// What was measured of one machine.
struct Figures {
    /// From QEMU's start to the prompt, in ascending order.
    prompts: [Duration; BOOTS],
    /// Processor time that QEMU took in [`IDLE_WINDOW`] at the prompt.
    idle: Duration,
}

fn measure(machine: &Machine) -> Result<Figures, Box<dyn Error>> {
    let mut prompts = [Duration::ZERO; BOOTS];
    for prompt in &mut prompts {
        *prompt = boot(machine)?.1;
    }
    prompts.sort_unstable();
    let (mut guest, _) = boot(machine)?;
    let before = guest.processor_time()?;
    if !guest.listen(IDLE_WINDOW).is_empty() {
        return Err(io::Error::other("the machine is not idle: it prints").into());
    }
    Ok(Figures { prompts, idle: guest.processor_time()?.saturating_sub(before) })
}

fn boot(machine: &Machine) -> Result<(Guest, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let mut guest = Guest::start(machine)?;
    guest.expect_prompt()?;
    Ok((guest, start.elapsed()))
}

impl Figures {
    /// Thousandths of a host core.
    fn idle_permille(&self) -> u128 {
        self.idle.as_millis() * 1000 / IDLE_WINDOW.as_millis()
    }

    fn milliseconds(&self) -> [u128; 3] {
        [self.prompts[BOOTS / 2], self.prompts[0], self.prompts[BOOTS - 1]].map(|time| time.as_millis())
    }

    fn print(&self, board: Board) {
        let ([median, least, most], idle) = (self.milliseconds(), self.idle_permille());
        println!(
            "{:<8} prompt after {median} ms (median of {BOOTS}, {least} to {most})   idle {}.{} % of a core",
            board.name(),
            idle / 10,
            idle % 10,
        );
    }

    fn print_json(&self, board: Board) {
        let ([median, least, most], idle) = (self.milliseconds(), self.idle_permille());
        println!(
            "{{\"bench\":\"boot\",\"machine\":\"{}\",\"boots\":{BOOTS},\"prompt_ms\":{median},\"prompt_ms_min\":{least},\"prompt_ms_max\":{most},\"idle_core_permille\":{idle}}}",
            board.name(),
        );
    }
}
