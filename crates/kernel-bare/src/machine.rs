//! The machine, as the rest of the kernel uses it: one owner of the console, the clocks, the files and the
//! way out.

use core::fmt;

use governance::time::{Instant, Now, WallTime};
use shell::system::{MachineInfo, MemoryPool, System};
use x86_64::instructions::interrupts;

use crate::arch::cpu;
use crate::boot::BootInfo;
use crate::entropy::Secret;
use crate::fw_cfg::{self, FwCfgError};
use crate::memory::{layout, paging, stacks};
use crate::power::{self, ExitCode};
use crate::serial::{self, Console};
use crate::sync::SetOnce;
use crate::{clock, log};

/// The room for all firmware configuration files that are read, together, in bytes.
pub const OPTIONS_BYTES: usize = 64 * 1024;

static BRAND: SetOnce<heapless::String<{ cpu::MAX_BRAND }>> = SetOnce::new();

/// What a machine can lack that weakens what Weir promises. It has to be said loudly: in the log, and on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The clock was measured against a timer whose rate is not known.
    AssumedClock,
    /// Nothing tells the time of day.
    NoWallClock,
    /// The secret under which keys are hashed comes from clocks only.
    GuessableSecret,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AssumedClock => "no interval timer; the clock assumes that the APIC timer runs at 1 GHz",
            Self::NoWallClock => "no battery-backed clock; the wall clock is unset and counts from 1970",
            Self::GuessableSecret => "no random number generator; the hash secret can be guessed",
        })
    }
}

/// The machine. There is one, made by [`crate::init`].
pub struct Machine {
    boot: &'static BootInfo,
    console: Console,
    /// The wall time at the instant 0 of the monotonic clock, if the machine has a wall clock.
    wall_at_boot: Option<WallTime>,
    secret: Secret,
    processor: &'static str,
    /// What is left of the room for firmware configuration files.
    options: &'static mut [u8],
    warnings: Warnings,
}

/// Each warning that applies, once.
pub(crate) type Warnings = [Option<Warning>; 3];

/// What [`crate::init`] found out for the [`Machine`].
pub(crate) struct Parts {
    pub(crate) boot: &'static BootInfo,
    pub(crate) console: Console,
    pub(crate) wall_at_boot: Option<WallTime>,
    pub(crate) secret: Secret,
    pub(crate) options: &'static mut [u8],
    pub(crate) warnings: Warnings,
}

impl Machine {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { boot, console, wall_at_boot, secret, options, warnings } = parts;
        let processor = BRAND.set(cpu::brand());
        Self { boot, console, wall_at_boot, secret, processor, options, warnings }
    }

    /// What the boot path told.
    #[must_use]
    pub fn boot(&self) -> &'static BootInfo {
        self.boot
    }

    /// The secret of this boot, under which keys are hashed.
    #[must_use]
    pub fn secret(&self) -> Secret {
        self.secret
    }

    /// What the machine lacks.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> + use<> {
        self.warnings.into_iter().flatten()
    }

    /// The oldest byte of input, if one waits.
    pub fn read_byte(&mut self) -> Option<u8> {
        self.console.read_byte()
    }

    /// Sleeps until input waits or `deadline` has come; without a deadline, until input waits.
    pub fn idle_until(&mut self, deadline: Option<Instant>) {
        loop {
            interrupts::disable();
            let now = clock::now();
            if serial::has_input() || deadline.is_some_and(|deadline| deadline <= now) {
                interrupts::enable();
                return;
            }
            clock::wake_after(deadline.map(|deadline| deadline.since(now)));
            // Interrupts come back with the halt, not before: none can slip in between and be slept through.
            interrupts::enable_and_hlt();
        }
    }

    /// Reads the firmware configuration file `name`, for example `opt/weir/commands`. All files that are read
    /// share [`OPTIONS_BYTES`] of room.
    ///
    /// # Errors
    ///
    /// See [`FwCfgError`].
    pub fn option(&mut self, name: &str) -> Result<&'static [u8], FwCfgError> {
        let room = core::mem::take(&mut self.options);
        let result = fw_cfg::read(name, room).map(|file| file.len());
        let (file, rest) = room.split_at_mut(result.unwrap_or(0));
        self.options = rest;
        result.map(|_| &*file)
    }

    /// Ends the machine with a status.
    pub fn power_off(self, code: ExitCode) -> ! {
        power::exit(code)
    }

    /// Resets the machine.
    pub fn reboot(self) -> ! {
        power::reboot()
    }
}

impl fmt::Write for Machine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

impl System for Machine {
    fn now(&mut self) -> Now {
        let instant = clock::now();
        let WallTime(base) = self.wall_at_boot.unwrap_or_default();
        Now { instant, wall: WallTime(base.saturating_add(instant.0)) }
    }

    fn has_wall_clock(&self) -> bool {
        self.wall_at_boot.is_some()
    }

    fn ramdisk(&self) -> &'static [u8] {
        self.boot.ramdisk
    }

    fn interrupted(&mut self) -> bool {
        self.console.take_interrupt()
    }

    fn wait_for_key(&mut self, until: Instant) -> Option<u8> {
        self.idle_until(Some(until));
        self.read_byte()
    }

    fn log_lines(&self, line: &mut dyn FnMut(&str)) {
        log::for_each_line(line);
    }

    fn memory_pools(&self, pool: &mut dyn FnMut(MemoryPool)) {
        for section in layout::sections() {
            let bytes = section.pages.end - section.pages.start;
            pool(MemoryPool { name: section.name, bytes, used_bytes: None });
        }
        let (table_bytes, tables_used) = paging::pool_bytes();
        let mut used = |name, bytes, used| pool(MemoryPool { name, bytes, used_bytes: Some(used) });
        used("stack", stacks::KERNEL_STACK_BYTES as u64, stacks::KERNEL_STACK.high_water());
        used("page tables", table_bytes, tables_used);
        used("serial input", serial::INPUT_BYTES as u64, serial::stats().waiting as u64);
        used("log", log::LOG_BYTES as u64, log::used_bytes());
        used("options", OPTIONS_BYTES as u64, (OPTIONS_BYTES - self.options.len()) as u64);
        let ramdisk = self.boot.ramdisk.len() as u64;
        used("ramdisk", ramdisk, ramdisk);
    }

    fn machine(&self) -> MachineInfo {
        MachineInfo {
            boot: self.boot.path.name(),
            processor: self.processor,
            memory_bytes: self.boot.regions.memory_bytes(),
            clock_hz: clock::rates().map_or(0, |rates| rates.counter_hz),
        }
    }
}
