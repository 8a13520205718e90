//! What happens on an exception: a breakpoint is noted and passed, anything else is reported and ends the
//! machine with a failing status, unless a test has asked to see it first.

use core::fmt::{self, Write};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use x86_64::registers::control::Cr2;

use super::interrupts::Frame;
use crate::panic::{self, Backtrace};

/// What a [`Hook`] decided about an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on with the frame as it is now.
    Resume,
    /// Report it and end.
    Report,
}

/// A function that sees each exception before it is reported.
pub type Hook = fn(&mut Frame) -> Verdict;

static HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Lets `hook` see every exception from now on, on the stack of the exception.
pub fn set_hook(hook: Hook) {
    HOOK.store(hook as *mut (), Ordering::Release);
}

/// Reports exceptions at once again.
pub fn clear_hook() {
    HOOK.store(ptr::null_mut(), Ordering::Release);
}

/// The exception's name, or `reserved`.
#[must_use]
pub fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        9 => "coprocessor segment overrun",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => "reserved",
    }
}

/// An exception as it is printed: name, registers, and the way to it.
pub struct Report<'a> {
    /// Where it arrived.
    pub frame: &'a Frame,
    /// The address that a page fault was about.
    pub fault_address: u64,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { vector, error, rip, cs, rflags, rsp, ss, rbp, .. } = *self.frame;
        let Frame { rax, rbx, rcx, rdx, rsi, rdi, r8, r9, .. } = *self.frame;
        let Frame { r10, r11, r12, r13, r14, r15, .. } = *self.frame;
        writeln!(f, "exception: {} (vector {vector}, error code {error:#x})", name(vector))?;
        writeln!(f, "  rip {rip:#018x}  rsp {rsp:#018x}  rflags {rflags:#018x}  cs {cs:#06x}  ss {ss:#06x}")?;
        writeln!(f, "  cr2 {:#018x}  rbp {rbp:#018x}", self.fault_address)?;
        writeln!(f, "  rax {rax:#018x}  rbx {rbx:#018x}  rcx {rcx:#018x}  rdx {rdx:#018x}")?;
        writeln!(f, "  rsi {rsi:#018x}  rdi {rdi:#018x}  r8  {r8:#018x}  r9  {r9:#018x}")?;
        writeln!(f, "  r10 {r10:#018x}  r11 {r11:#018x}  r12 {r12:#018x}  r13 {r13:#018x}")?;
        writeln!(f, "  r14 {r14:#018x}  r15 {r15:#018x}")?;
        write!(f, "{}", Backtrace { rip, rbp })
    }
}

pub(super) fn handle(frame: &mut Frame) {
    let fault_address = Cr2::read_raw();
    let hook = HOOK.load(Ordering::Acquire);
    if !hook.is_null() {
        // SAFETY: The pointer is not null, so `set_hook` stored it, and it stores nothing but a `Hook`.
        let hook = unsafe { mem::transmute::<*mut (), Hook>(hook) };
        if hook(frame) == Verdict::Resume {
            return;
        }
    }
    if frame.vector == 3 {
        crate::log::try_line(format_args!("breakpoint at {:#018x}", frame.rip));
        return;
    }
    panic::end(|console| write!(console, "\n{}", Report { frame, fault_address }))
}
