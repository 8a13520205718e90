//! An exception that nobody asked for is reported and ends the machine with a failing status. The runner
//! checks the words and the status that `@expect` announces.
#![no_std]
#![no_main]

use core::fmt::Write;

use kernel_bare::boot::BootInfo;

kernel_bare::kernel!(kernel_main);

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let _ = writeln!(machine, "test exception_is_reported");
    let _ = writeln!(machine, "@expect 35 exception: page fault (vector 14, error code 0x2)");
    let _ = writeln!(machine, "@expect 35   cr2 0x00000000dead0010");
    let _ = writeln!(machine, "@expect 35   #2 0xffffffff802");
    // SAFETY: Nothing is mapped there, so nothing is written.
    unsafe { (0xdead_0010 as *mut u64).write_volatile(1) };
    panic!("wrote to nowhere");
}
