//! The little that the kernel wants of ACPI: how to switch the machine off, and how to reset it.
//!
//! Pure functions over bytes; a damaged table gives `None`, never a panic. Layouts: ACPI specification 6.5,
//! sections 5.2.5 (root pointer), 5.2.9 (FADT), 7.4.2 (`\_Sx`) and 20.2 (AML encoding).

use crate::bits::{le32, le64};

/// Gives the bytes of physical memory at an address, or `None` if they cannot be seen.
pub type Memory<'a> = &'a dyn Fn(u64, u64) -> Option<&'a [u8]>;

/// Where a register of the platform lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// At a physical address.
    Memory(u64),
    /// At an I/O port.
    Port(u16),
}

/// How to switch the machine off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// Write this word to the power management control port.
    Control {
        /// The port.
        port: u16,
        /// The word.
        value: u16,
    },
    /// Write this byte to the sleep control register of a hardware-reduced machine.
    SleepControl {
        /// The register.
        register: Register,
        /// The byte.
        value: u8,
    },
}

/// What the tables say about power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// How to switch the machine off.
    pub off: Option<PowerOff>,
    /// How to reset it: write the byte to the register.
    pub reset: Option<(Register, u8)>,
}

const HEADER_BYTES: u64 = 36;
const MAX_TABLE_BYTES: u64 = 1 << 20;

/// Follows the tables from the root pointer at `rsdp`.
#[must_use]
pub fn power(rsdp: u64, memory: Memory<'_>) -> Option<Power> {
    let fadt = find(rsdp, *b"FACP", memory)?;
    let dsdt_address = le64(fadt, 140).filter(|&address| address != 0).or(le32(fadt, 40).map(u64::from))?;
    let sleep_type = table(dsdt_address, memory).and_then(soft_off_type);
    Some(Power { off: sleep_type.and_then(|kind| power_off(fadt, kind)), reset: reset(fadt) })
}

/// The sleep type of state S5 that the bytes of a DSDT define: `Name (\_S5, Package () { type, … })`.
#[must_use]
pub fn soft_off_type(dsdt: &[u8]) -> Option<u8> {
    const NAME_OP: u8 = 0x08;
    const PACKAGE_OP: u8 = 0x12;
    const BYTE_PREFIX: u8 = 0x0a;
    let at = dsdt.windows(4).enumerate().position(|(at, name)| {
        let is_named = match at {
            0 => false,
            1 => dsdt[0] == NAME_OP,
            _ => dsdt[at - 1] == NAME_OP || dsdt[at - 2..at] == [NAME_OP, b'\\'],
        };
        name == b"_S5_" && is_named
    })?;
    let package = dsdt.get(at + 4..)?;
    if *package.first()? != PACKAGE_OP {
        return None;
    }
    // The two high bits of the length say how many more bytes it has; then the number of elements.
    let length_bytes = 1 + usize::from(*package.get(1)? >> 6);
    let first = package.get(1 + length_bytes + 1..)?;
    match *first.first()? {
        BYTE_PREFIX => first.get(1).copied(),
        constant @ (0 | 1) => Some(constant),
        _ => None,
    }
    .filter(|&kind| kind < 8)
}

fn power_off(fadt: &[u8], sleep_type: u8) -> Option<PowerOff> {
    const HARDWARE_REDUCED: u32 = 1 << 20;
    if le32(fadt, 112)? & HARDWARE_REDUCED != 0 {
        let value = sleep_type << 2 | 1 << 5;
        return generic_address(fadt, 244).map(|register| PowerOff::SleepControl { register, value });
    }
    let port = u16::try_from(le32(fadt, 64)?).ok().filter(|&port| port != 0)?;
    Some(PowerOff::Control { port, value: u16::from(sleep_type) << 10 | 1 << 13 })
}

fn reset(fadt: &[u8]) -> Option<(Register, u8)> {
    const RESET_SUPPORTED: u32 = 1 << 10;
    if le32(fadt, 112)? & RESET_SUPPORTED == 0 {
        return None;
    }
    generic_address(fadt, 116).zip(fadt.get(128).copied())
}

/// The register that a generic address structure at `offset` names, if the kernel can reach it.
fn generic_address(table: &[u8], offset: usize) -> Option<Register> {
    let address = le64(table, offset + 4).filter(|&address| address != 0)?;
    match table.get(offset)? {
        0 => Some(Register::Memory(address)),
        1 => u16::try_from(address).ok().map(Register::Port),
        _ => None,
    }
}

/// The table with the given signature.
fn find<'a>(rsdp: u64, signature: [u8; 4], memory: Memory<'a>) -> Option<&'a [u8]> {
    let root = memory(rsdp, 20).filter(|root| root.starts_with(b"RSD PTR ") && checksum(root) == 0)?;
    let extended = if root[15] >= 2 { memory(rsdp, 36).filter(|root| checksum(root) == 0) } else { None };
    let long = extended.and_then(|root| le64(root, 24)).filter(|&address| address != 0);
    let (address, width) = match long {
        Some(address) => (address, 8),
        None => (u64::from(le32(root, 16)?), 4),
    };
    let entries = table(address, memory)?.get(36..)?.chunks_exact(width);
    entries
        .filter_map(|entry| le64(entry, 0).or(le32(entry, 0).map(u64::from)))
        .filter_map(|address| table(address, memory))
        .find(|table| table.starts_with(&signature))
}

/// The whole table at `address`, if its length is believable and its checksum right.
fn table<'a>(address: u64, memory: Memory<'a>) -> Option<&'a [u8]> {
    let length = u64::from(le32(memory(address, HEADER_BYTES)?, 4)?);
    if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length) {
        return None;
    }
    memory(address, length).filter(|table| checksum(table) == 0)
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}
