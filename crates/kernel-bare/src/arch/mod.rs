//! The processor and its interrupt controllers.

pub mod apic;
pub mod cpu;
pub mod exceptions;
mod gdt;
pub mod interrupts;

/// Gives the processor the kernel's own descriptor tables; from here on every exception is reported.
pub fn init() {
    gdt::init();
    interrupts::init();
}
