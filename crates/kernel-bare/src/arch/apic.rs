//! The interrupt controllers: the legacy pair masked, the I/O APIC with the serial line on it, the local APIC
//! with its one-shot timer.
//!
//! Register offsets: Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller"; Intel 82093AA.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

use super::interrupts::{LEGACY_BASE, SERIAL, SPURIOUS, TIMER};
use crate::memory::physical::Register32;

/// Interrupts that the timer has raised.
static TIMER_INTERRUPTS: AtomicU64 = AtomicU64::new(0);

const MASKED: u32 = 1 << 16;

/// Sets up all three controllers. No interrupt can arrive but from the serial line and the timer.
pub fn init() {
    mask_legacy();
    local(Local::Spurious).write(1 << 8 | u32::from(SPURIOUS)); // bit 8 switches the local APIC on
    local(Local::TaskPriority).write(0);
    local(Local::Line0).write(MASKED);
    local(Local::TimerDivide).write(0b1011); // by 1
    local(Local::TimerCount).write(0);
    local(Local::TimerEntry).write(u32::from(TIMER)); // one-shot
    route_serial(local(Local::Id).read() >> 24);
}

/// Raises the timer interrupt once, when `count` timer ticks have passed; 0 takes a request back.
pub fn arm_timer(count: u32) {
    local(Local::TimerCount).write(count);
}

/// The timer's ticks until it raises its interrupt.
#[must_use]
pub fn timer_remaining() -> u32 {
    local(Local::TimerNow).read()
}

/// Interrupts that the timer has raised since boot.
#[must_use]
pub fn timer_interrupts() -> u64 {
    TIMER_INTERRUPTS.load(Ordering::Relaxed)
}

pub(super) fn on_timer() {
    TIMER_INTERRUPTS.fetch_add(1, Ordering::Relaxed);
    acknowledge();
}

/// Tells the local APIC that the interrupt in service is done.
pub(super) fn acknowledge() {
    local(Local::EndOfInterrupt).write(0);
}

#[derive(Clone, Copy)]
enum Local {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    TimerEntry = 0x320,
    Line0 = 0x350,
    TimerCount = 0x380,
    TimerNow = 0x390,
    TimerDivide = 0x3e0,
}

fn local(register: Local) -> Register32 {
    const BASE: u64 = 0xfee0_0000;
    // SAFETY: The local APIC decodes this page on every PC unless its base was moved, which neither firmware
    // nor this kernel does; none of the registers named above touches memory.
    unsafe { Register32::new(BASE + register as u64) }
}

/// Sends global interrupt 4, the first serial line, to this processor as an edge.
fn route_serial(local_id: u32) {
    const BASE: u64 = 0xfec0_0000;
    const SERIAL_LINE: u32 = 4;
    // SAFETY: The first I/O APIC decodes this register, which selects another one, on every PC with one.
    let select = unsafe { Register32::new(BASE) };
    // SAFETY: As above; the window to the selected register.
    let window = unsafe { Register32::new(BASE + 0x10) };
    let redirection = 0x10 + 2 * SERIAL_LINE;
    select.write(redirection + 1);
    window.write(local_id << 24);
    select.write(redirection);
    window.write(u32::from(SERIAL)); // fixed delivery, physical destination, edge, active high, not masked
}

/// Moves the legacy controllers off the exception vectors and masks all their lines.
fn mask_legacy() {
    const FIRST: u16 = 0x20;
    const SECOND: u16 = 0xa0;
    let steps = [
        (FIRST, 0x11), // initialise, expect three more words
        (SECOND, 0x11),
        (FIRST + 1, LEGACY_BASE),
        (SECOND + 1, LEGACY_BASE + 8),
        (FIRST + 1, 4), // the second one hangs on line 2
        (SECOND + 1, 2),
        (FIRST + 1, 1), // 8086 mode
        (SECOND + 1, 1),
        (FIRST + 1, 0xff),
        (SECOND + 1, 0xff),
    ];
    for (port, value) in steps {
        // SAFETY: These are the ports of the legacy controllers, or of nothing where they are absent.
        unsafe { Port::<u8>::new(port).write(value) };
    }
}
