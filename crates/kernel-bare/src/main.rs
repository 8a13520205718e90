//! The Weir kernel: brings the machine up and echoes lines until `poweroff`.
#![no_std]
#![no_main]

use core::fmt::Write;

use governance::time::NANOS_PER_SECOND;
use kernel_bare::boot::BootInfo;
use kernel_bare::clock;
use kernel_bare::power::ExitCode;
use shell::system::System;

kernel_bare::kernel!(kernel_main);

fn kernel_main(boot: &'static BootInfo) -> ! {
    let mut machine = kernel_bare::init(boot);
    let ready = clock::since_power_on().0;
    let info = machine.machine();
    let _ = writeln!(
        machine,
        "weir {} · ready {}.{:03} s after power-on · {} · {}",
        env!("CARGO_PKG_VERSION"),
        ready / NANOS_PER_SECOND,
        ready % NANOS_PER_SECOND / 1_000_000,
        info.boot,
        info.processor,
    );
    let mut line = heapless::String::<128>::new();
    loop {
        machine.idle_until(None);
        while let Some(byte) = machine.read_byte() {
            if byte != b'\r' && byte != b'\n' {
                let _ = line.push(char::from(byte));
                continue;
            }
            let _ = writeln!(machine, "{line}");
            match line.as_str() {
                "poweroff" => machine.power_off(ExitCode::Success),
                "reboot" => machine.reboot(),
                "dmesg" => {
                    kernel_bare::log::for_each_line(&mut |line| {
                        let _ = writeln!(machine, "{line}");
                    });
                }
                _ => {}
            }
            line.clear();
        }
    }
}
