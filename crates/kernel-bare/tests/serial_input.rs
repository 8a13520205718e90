//! Input on the serial line: a burst beyond all buffers loses nothing, and Ctrl-C is found in what waits.
//! The runner sends what `@feed` and `@type` ask for.
#![no_std]
#![no_main]

use core::fmt::Write;

use kernel_bare::{Machine, serial};
use shell::system::System;

kernel_bare::test_kernel![
    bytes_arrive_while_the_kernel_sleeps,
    burst_loses_nothing,
    interrupt_is_taken_out_of_order,
];

fn read(machine: &mut Machine) -> u8 {
    loop {
        if let Some(byte) = machine.read_byte() {
            return byte;
        }
        machine.idle_until(None);
    }
}

fn bytes_arrive_while_the_kernel_sleeps(machine: &mut Machine) {
    let _ = writeln!(machine, "\n@type xyz");
    let typed = [(); 3].map(|()| read(machine));
    assert_eq!(&typed, b"xyz");
    assert_eq!(machine.read_byte(), None);
}

fn burst_loses_nothing(machine: &mut Machine) {
    const BYTES: usize = 20_000;
    const { assert!(BYTES > 2 * serial::INPUT_BYTES) };
    let _ = writeln!(machine, "\n@feed {BYTES}");
    // Nobody reads until the queue is full and the rest has to wait outside.
    while serial::stats().waiting < serial::INPUT_BYTES {
        core::hint::spin_loop();
    }
    for (position, expected) in (b'a'..=b'z').cycle().take(BYTES).enumerate() {
        assert_eq!(read(machine), expected, "byte {position}");
    }
    assert_eq!(machine.read_byte(), None);
    assert_eq!(serial::stats().overruns, 0);
}

fn interrupt_is_taken_out_of_order(machine: &mut Machine) {
    assert!(!machine.interrupted());
    let _ = writeln!(machine, "\n@type ab\\003cd\\003e");
    while serial::stats().waiting < 7 {
        core::hint::spin_loop();
    }
    assert!(machine.interrupted());
    let typed = [(); 5].map(|()| read(machine));
    // The second one comes as a byte to whoever reads bytes, and then no longer as an interrupt.
    assert_eq!(&typed, b"abcd\x03");
    assert!(!machine.interrupted());
    assert_eq!(read(machine), b'e');
}
