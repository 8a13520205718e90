//! The kernel's last words: where it was, why, and the way there, past all locks, then a failing status.

use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::memory::{layout, stacks};
use crate::power::{self, ExitCode};
use crate::serial::EmergencyConsole;

const MAX_DEPTH: usize = 40;

/// Reports a panic and ends the machine with [`ExitCode::Panic`].
pub fn report(info: &PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    let rbp: u64;
    // SAFETY: Copies a register.
    unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) };
    end(|console| write!(console, "\nkernel {info}\n{}", Backtrace { rip: None, rbp }))
}

/// Lets `say` write the last words, and ends the machine with [`ExitCode::Panic`]. If that fails in turn,
/// the machine ends without more words.
pub(crate) fn end(say: impl FnOnce(&mut EmergencyConsole) -> fmt::Result) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    if !ENDING.swap(true, Ordering::AcqRel) {
        // The console cannot fail, and there is nobody left to tell.
        let _ = say(&mut EmergencyConsole::new());
    }
    power::exit(ExitCode::Panic)
}

/// The return addresses up the stack, found through the chain of frame pointers; each line is one address,
/// for the host to put names to.
pub struct Backtrace {
    /// Where it starts, if not in the function that owns the first frame.
    pub rip: Option<u64>,
    /// The first frame pointer.
    pub rbp: u64,
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backtrace, innermost first:")?;
        if let Some(rip) = self.rip {
            writeln!(f, "  at {rip:#018x}")?;
        }
        let mut frame = self.rbp;
        for _ in 0..MAX_DEPTH {
            let Some((caller, address)) = read_frame(frame) else { break };
            if !layout::is_code(address) {
                break;
            }
            writeln!(f, "  at {address:#018x}")?;
            // The stack grows down, so callers lie above; anything else is no chain.
            if caller <= frame {
                break;
            }
            frame = caller;
        }
        Ok(())
    }
}

/// The caller's frame pointer and the return address, if `frame` lies on one of the kernel's stacks.
fn read_frame(frame: u64) -> Option<(u64, u64)> {
    let stack = stacks::containing(frame)?;
    if !frame.is_multiple_of(8) || frame + 16 > stack.end {
        return None;
    }
    // SAFETY: Both words are aligned and lie on a mapped stack; volatile, because nothing tells the compiler
    // that they were written.
    let caller = unsafe { (frame as *const u64).read_volatile() };
    // SAFETY: As above.
    let address = unsafe { ((frame + 8) as *const u64).read_volatile() };
    Some((caller, address))
}
