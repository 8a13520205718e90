//! An exception whose handling fails is a double fault, taken on a stack of its own.
#![no_std]
#![no_main]

use core::fmt::Write;

use kernel_bare::arch::exceptions::{self, Verdict};
use kernel_bare::arch::interrupts::Frame;
use kernel_bare::boot::BootInfo;
use kernel_bare::ktest;
use kernel_bare::memory::paging;
use kernel_bare::memory::stacks::ExceptionStack;

kernel_bare::kernel!(kernel_main);

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let _ = writeln!(machine, "test failing_page_fault_is_a_double_fault");
    exceptions::set_hook(check);
    for page in ExceptionStack::PageFault.stack().addresses().step_by(4096) {
        // SAFETY: Nothing lies on this stack now; that the next page fault fails is the purpose.
        assert!(unsafe { paging::unmap_page(page) });
    }
    // SAFETY: Nothing is mapped there, so nothing is read.
    let value = unsafe { (0xdead_0000 as *const u64).read_volatile() };
    panic!("read {value} from nowhere");
}

fn check(frame: &mut Frame) -> Verdict {
    assert_eq!((frame.vector, frame.error), (8, 0));
    let own = ExceptionStack::DoubleFault.stack().addresses();
    assert!(own.contains(&(&raw const *frame as u64)));
    ktest::finish(1)
}
