//! What the shell needs of the machine below it, and of a test that stands in for one.

use core::fmt;
use governance::time::{Instant, Now};

/// The machine under a shell: console, clocks, ramdisk, log.
///
/// The shell writes text with `\n` line ends through [`fmt::Write`]; the machine adds what its line needs.
pub trait System: fmt::Write {
    /// Reads both clocks.
    fn now(&mut self) -> Now;

    /// Whether the wall clock is set. Without a battery-backed clock it counts from 1970.
    fn has_wall_clock(&self) -> bool;

    /// The ramdisk, a ustar archive; empty if there is none.
    fn ramdisk(&self) -> &'static [u8];

    /// Whether Ctrl-C has arrived since the last call. A command that runs long asks now and then.
    fn interrupted(&mut self) -> bool;

    /// Sleeps until a byte is typed, and takes it, or until the time has come. Ctrl-C is a byte like any other here.
    fn wait_for_key(&mut self, until: Instant) -> Option<u8>;

    /// Calls `line` with each line of the kernel's log, oldest first, without line ends.
    fn log_lines(&self, line: &mut dyn FnMut(&str));

    /// Calls `pool` with each static pool of memory, in a fixed order.
    fn memory_pools(&self, pool: &mut dyn FnMut(MemoryPool));

    /// Facts about the machine for `version`.
    fn machine(&self) -> MachineInfo;
}

/// A static pool of memory and how much of it is in use.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPool {
    /// What the pool is for, for example `stack` or `serial input`.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// The bytes in use, where the machine can tell.
    pub used_bytes: Option<u64>,
}

/// Facts about the machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineInfo {
    /// How the kernel was started, for example `PVH` or `BIOS`.
    pub boot: &'static str,
    /// The processor's brand string, or its vendor.
    pub processor: &'static str,
    /// Memory that the firmware reported as usable, in bytes.
    pub memory_bytes: u64,
    /// The measured rate of the time-stamp counter in Hz.
    pub clock_hz: u64,
}
