//! The ways out: exit with a status, power off, reset.

use x86_64::instructions::port::Port;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

use crate::acpi::{Power, PowerOff, Register};
use crate::arch::cpu;
use crate::boot::Regions;
use crate::memory::physical;
use crate::serial::EmergencyConsole;
use crate::sync::SetOnce;

/// How the kernel's work ended. QEMU's status is twice the value plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All went well: status 33.
    Success = 0x10,
    /// A panic or an exception: status 35.
    Panic = 0x11,
    /// A command failed: status 37.
    Failure = 0x12,
}

/// What ACPI said, if it was asked. Registers at memory addresses are those of devices.
static POWER: SetOnce<Power> = SetOnce::new();

/// Remembers what the ACPI tables say, for later, without registers that `regions` do not show to be a device's.
pub(crate) fn init(power: Power, regions: &Regions) {
    let is_device = |register: Register| match register {
        Register::Memory(address) => regions.are_device_at(address),
        Register::Port(_) => true,
    };
    let off = power.off.filter(|off| match *off {
        PowerOff::Control { .. } => true,
        PowerOff::SleepControl { register, .. } => is_device(register),
    });
    let reset = power.reset.filter(|&(register, _)| is_device(register));
    POWER.set(Power { off, reset });
}

/// Ends the machine: with a status where QEMU's exit device is present, else by ACPI, else by stopping.
pub fn exit(code: ExitCode) -> ! {
    EmergencyConsole::new().drain();
    // SAFETY: QEMU's exit device ends the process; without it, nothing on a PC answers at this port.
    unsafe { Port::new(0xf4).write(code as u32) };
    match POWER.get().and_then(|power| power.off) {
        Some(PowerOff::Control { port, value }) => {
            // SAFETY: ACPI names this port and word for switching off.
            unsafe { Port::new(port).write(value) };
        }
        Some(PowerOff::SleepControl { register, value }) => write(register, value),
        None => {}
    }
    cpu::stop()
}

/// Resets the machine: by the register that ACPI names, the chipset, the keyboard controller, and at last by
/// an exception that cannot be delivered.
pub fn reboot() -> ! {
    EmergencyConsole::new().drain();
    x86_64::instructions::interrupts::disable();
    if let Some((register, value)) = POWER.get().and_then(|power| power.reset) {
        write(register, value);
    }
    // SAFETY: The chipset's reset control: full reset.
    unsafe { Port::new(0xcf9).write(0x06_u8) };
    // SAFETY: The keyboard controller's command to pulse the reset line.
    unsafe { Port::new(0x64).write(0xfe_u8) };
    let nothing = DescriptorTablePointer { limit: 0, base: x86_64::VirtAddr::zero() };
    // SAFETY: An exception without a table is a triple fault, which resets the machine: the purpose.
    unsafe { lidt(&nothing) };
    x86_64::instructions::interrupts::int3();
    cpu::stop()
}

fn write(register: Register, value: u8) {
    match register {
        Register::Port(port) => {
            // SAFETY: ACPI names this port and byte for ending or resetting the machine.
            unsafe { Port::new(port).write(value) };
        }
        Register::Memory(address) => {
            let Some(address) = physical::virtual_address(address) else { return };
            // SAFETY: The address is in the window, and `init` let it through because no memory lies there: the
            // write reaches a device, the one that ACPI names for ending or resetting the machine, or nothing.
            unsafe { (address as *mut u8).write_volatile(value) };
        }
    }
}
