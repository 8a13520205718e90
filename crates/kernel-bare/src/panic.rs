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
    let backtrace = Backtrace::here();
    end(|console| write!(console, "\nkernel {info}\n{backtrace}"))
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

/// An address and the way to it: the return addresses up the stack, found through the chain of frame pointers.
/// Each line is `#N` and an address, for the host to put names to.
#[derive(Clone, Copy, Debug)]
pub struct Backtrace {
    /// Where it starts.
    pub rip: u64,
    /// The frame pointer there.
    pub rbp: u64,
}

impl Backtrace {
    /// The way to the caller.
    #[inline(always)]
    pub fn here() -> Self {
        let (rip, rbp): (u64, u64);
        // SAFETY: Copies two registers.
        unsafe {
            asm!("lea {}, [rip]", "mov {}, rbp", out(reg) rip, out(reg) rbp, options(nomem, nostack, preserves_flags));
        }
        Self { rip, rbp }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backtrace, innermost first:")?;
        writeln!(f, "  #0 {:#018x}", self.rip)?;
        let mut frame = self.rbp;
        for depth in 1..MAX_DEPTH {
            let Some((caller, address)) = read_frame(frame) else { break };
            if !layout::is_code(address) {
                break;
            }
            writeln!(f, "  #{depth} {address:#018x}")?;
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
