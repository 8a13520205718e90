//! The battery-backed clock (CMOS): wall time, read once during start-up.
//!
//! Register layout: Motorola MC146818; the century register is the one that PC firmware uses.

use governance::time::{CivilDate, TimeOfDay, WallTime};
use x86_64::instructions::port::Port;

/// The registers as they are read, in whatever coding `status_b` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// 0 to 59.
    pub second: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 23, or 1 to 12 with bit 7 for the afternoon.
    pub hour: u8,
    /// 1 to 31.
    pub day: u8,
    /// 1 to 12.
    pub month: u8,
    /// 0 to 99.
    pub year: u8,
    /// 19 or 20; 0 or 0xff where there is no such register.
    pub century: u8,
    /// Bit 2: binary, not decimal digits. Bit 1: 24 hours.
    pub status_b: u8,
}

/// The wall time, to the second; `None` if there is no clock or it shows no time.
#[must_use]
pub fn read() -> Option<WallTime> {
    const ATTEMPTS: u32 = 16;
    for _ in 0..ATTEMPTS {
        wait_for_update();
        let first = registers();
        // Equal twice in a row means that no update came in between.
        if first == registers() {
            return decode(first);
        }
    }
    None
}

/// The time that the registers show, taken as UTC.
#[must_use]
pub fn decode(registers: Registers) -> Option<WallTime> {
    const BINARY: u8 = 1 << 2;
    const HOURS_24: u8 = 1 << 1;
    const AFTERNOON: u8 = 1 << 7;
    let number = |value: u8| match registers.status_b & BINARY {
        0 if value & 0xf > 9 || value >> 4 > 9 => None,
        0 => Some((value >> 4) * 10 + (value & 0xf)),
        _ => Some(value),
    };
    let hour = if registers.status_b & HOURS_24 != 0 {
        number(registers.hour)?
    } else {
        let hour = number(registers.hour & !AFTERNOON).filter(|hour| (1..=12).contains(hour))?;
        hour % 12 + if registers.hour & AFTERNOON != 0 { 12 } else { 0 }
    };
    let century = number(registers.century).filter(|century| (19..=21).contains(century)).unwrap_or(20);
    let year = number(registers.year).filter(|&year| year <= 99)?;
    let date = CivilDate {
        year: u16::from(century) * 100 + u16::from(year),
        month: number(registers.month)?,
        day: number(registers.day)?,
    };
    let (minute, second) = (number(registers.minute)?, number(registers.second)?);
    WallTime::from_civil(date, TimeOfDay { hour, minute, second, nanos: 0 })
}

fn registers() -> Registers {
    Registers {
        second: register(0x00),
        minute: register(0x02),
        hour: register(0x04),
        day: register(0x07),
        month: register(0x08),
        year: register(0x09),
        century: register(0x32),
        status_b: register(0x0b),
    }
}

/// Waits out an update that is under way; it takes 2 ms at most.
fn wait_for_update() {
    const PATIENCE: u32 = 100_000;
    const STATUS_A: u8 = 0x0a;
    const UPDATING: u8 = 1 << 7;
    for _ in 0..PATIENCE {
        if register(STATUS_A) & UPDATING == 0 {
            return;
        }
    }
}

fn register(index: u8) -> u8 {
    const DISABLE_NMI: u8 = 1 << 7;
    // SAFETY: Port 0x70 selects the register that port 0x71 shows; reading these registers changes nothing.
    // Non-maskable interrupts are let through again by the last selection below.
    unsafe { Port::new(0x70).write(DISABLE_NMI | index) };
    // SAFETY: As above.
    let value = unsafe { Port::new(0x71).read() };
    // SAFETY: As above.
    unsafe { Port::new(0x70).write(0_u8) };
    value
}
