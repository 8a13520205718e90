//! The kernel's log: the last 16 KiB of lines, with the time since boot, in a static ring.
//!
//! [`crate::log!`] adds a line; [`for_each_line`] reads them back, oldest first. Lines from exceptions are
//! dropped if they come while the log is in use.

use core::fmt::{self, Write};

use governance::time::NANOS_PER_SECOND;

use crate::clock;
use crate::sync::IrqMutex;

/// The size of the ring in bytes.
pub const LOG_BYTES: usize = 16 * 1024;
/// The longest line in bytes; longer ones are cut.
pub const MAX_LINE: usize = 240;

/// Adds a line to the kernel's log; the arguments are those of `format!`.
#[macro_export]
macro_rules! log {
    ($($arguments:tt)*) => {
        $crate::log::line(format_args!($($arguments)*))
    };
}

type Line = heapless::String<MAX_LINE>;

static LOG: IrqMutex<Ring<LOG_BYTES>> = IrqMutex::new(Ring::new());

/// Adds a line.
pub fn line(text: fmt::Arguments<'_>) {
    let line = format(text);
    LOG.lock().push(&line);
}

/// Adds a line unless the log is in use: for exceptions, which may have interrupted its use.
pub fn try_line(text: fmt::Arguments<'_>) {
    let line = format(text);
    if let Some(mut log) = LOG.try_lock() {
        log.push(&line);
    }
}

/// Calls `each` with every line, oldest first. The log is not locked meanwhile; lines that are pushed out
/// before their turn are left out.
pub fn for_each_line(each: &mut dyn FnMut(&str)) {
    let mut position = 0;
    loop {
        let mut line = Line::new();
        let next = LOG.lock().read(position, &mut line);
        let Some(next) = next else { return };
        each(&line);
        position = next;
    }
}

/// The bytes of the ring in use.
#[must_use]
pub fn used_bytes() -> u64 {
    LOG.lock().written.min(LOG_BYTES as u64)
}

fn format(text: fmt::Arguments<'_>) -> Line {
    let now = clock::now().0;
    let mut line = Cut(Line::new());
    // `Cut` never fails: what does not fit is left out.
    let _ = write!(line, "[{:5}.{:06}] {text}", now / NANOS_PER_SECOND, now % NANOS_PER_SECOND / 1000);
    line.0
}

/// A line that takes what fits, and shows a line end inside of it as a blank.
struct Cut(Line);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let character = if character.is_control() { ' ' } else { character };
            if self.0.push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The last `N` bytes of lines that were ever written, each line ended by `\n`.
struct Ring<const N: usize> {
    bytes: [u8; N],
    /// Bytes ever written; the next one goes to this position modulo `N`.
    written: u64,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], written: 0 }
    }

    fn push(&mut self, line: &str) {
        for &byte in line.as_bytes().iter().chain(b"\n") {
            let slot = self.slot(self.written);
            self.bytes[slot] = byte;
            self.written += 1;
        }
    }

    /// Reads the first whole line at or after `position` (counted in bytes ever written) and gives the position
    /// after it; `None` past the last line.
    fn read(&self, position: u64, line: &mut Line) -> Option<u64> {
        let oldest = self.written.saturating_sub(N as u64);
        let mut position = position;
        if position < oldest {
            // What is left of a line whose beginning is gone does not count.
            position = (oldest..self.written).find(|&at| self.bytes[self.slot(at)] == b'\n')? + 1;
        }
        if position >= self.written {
            return None;
        }
        let end = (position..self.written).find(|&at| self.bytes[self.slot(at)] == b'\n')?;
        let mut bytes = heapless::Vec::<u8, MAX_LINE>::new();
        bytes.extend((position..end).map(|at| self.bytes[self.slot(at)]));
        // Lines were written as text, so this only fails if the ring is damaged.
        let text = core::str::from_utf8(&bytes).unwrap_or("(a damaged line)");
        let _ = line.push_str(text);
        Some(end + 1)
    }

    fn slot(&self, position: u64) -> usize {
        crate::bits::usize_from(position % N as u64)
    }
}
