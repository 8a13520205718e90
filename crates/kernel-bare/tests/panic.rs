//! A panic says where and why, shows the way there, and ends the machine with a failing status. The runner
//! checks the words and the status that `@expect` announces.
#![no_std]
#![no_main]

use core::fmt::Write;

use kernel_bare::boot::BootInfo;

kernel_bare::kernel!(kernel_main);

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let _ = writeln!(machine, "test panic_is_reported");
    let _ = writeln!(machine, "@expect 35 kernel panicked at crates/kernel-bare/tests/panic.rs:");
    let _ = writeln!(machine, "@expect 35 the answer is 42");
    let _ = writeln!(machine, "@expect 35   #2 0xffffffff802");
    panic!("the answer is {}", core::hint::black_box(42));
}
