//! Running over the end of the kernel's stack is a page fault in its guard page, taken on another stack.
#![no_std]
#![no_main]

use core::fmt::Write;

use kernel_bare::arch::exceptions::{self, Verdict};
use kernel_bare::arch::interrupts::Frame;
use kernel_bare::boot::BootInfo;
use kernel_bare::ktest;
use kernel_bare::memory::stacks::{ExceptionStack, KERNEL_STACK};
use x86_64::registers::control::Cr2;

kernel_bare::kernel!(kernel_main);

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let _ = writeln!(machine, "test stack_overflow_hits_the_guard_page");
    exceptions::set_hook(check);
    let depth = recurse(1);
    panic!("{depth} calls fitted on the stack");
}

fn check(frame: &mut Frame) -> Verdict {
    assert_eq!(frame.vector, 14);
    assert!(KERNEL_STACK.guard().contains(&Cr2::read_raw()), "{:#x}", Cr2::read_raw());
    let own = ExceptionStack::PageFault.stack().addresses();
    assert!(own.contains(&(&raw const *frame as u64)));
    ktest::finish(1)
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let kept = core::hint::black_box([depth; 16]);
    // Used after the call, so that the call cannot become a jump.
    recurse(depth + 1) + core::hint::black_box(kept)[0]
}
