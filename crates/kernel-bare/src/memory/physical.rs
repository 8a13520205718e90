//! The window through which the kernel sees physical memory: the first 4 GiB at a fixed virtual address,
//! the same on every boot path.

use crate::bits::usize_from;

/// The virtual address of physical address 0.
pub const PHYSICAL_MAP: u64 = 0xffff_8000_0000_0000;

/// How much physical memory the window shows, in bytes.
pub const PHYSICAL_MAP_BYTES: u64 = 4 << 30;

/// The virtual address of the physical address `address`, if the window shows it.
#[must_use]
pub const fn virtual_address(address: u64) -> Option<u64> {
    if address < PHYSICAL_MAP_BYTES { Some(PHYSICAL_MAP + address) } else { None }
}

/// The `len` bytes of physical memory at `address`, or `None` if the window does not show all of them.
///
/// # Safety
///
/// The range must be memory, not device registers, and nobody may write to it from now on.
#[must_use]
pub unsafe fn bytes(address: u64, len: u64) -> Option<&'static [u8]> {
    let end = address.checked_add(len)?;
    if address == 0 || end > PHYSICAL_MAP_BYTES {
        return None;
    }
    let start = virtual_address(address)? as *const u8;
    // SAFETY: The range lies in the window, which is mapped readable for the life of the kernel; the caller
    // vouches for its being memory that stays as it is.
    Some(unsafe { core::slice::from_raw_parts(start, usize_from(len)) })
}

/// A 32-bit device register at a fixed physical address.
#[derive(Clone, Copy, Debug)]
pub struct Register32(u64);

impl Register32 {
    /// The register at `address`.
    ///
    /// # Safety
    ///
    /// A device must decode the four bytes at `address` (a multiple of 4, below 4 GiB), and writing to them
    /// must not break what Rust assumes about memory.
    pub const unsafe fn new(address: u64) -> Self {
        assert!(address < PHYSICAL_MAP_BYTES && address.is_multiple_of(4), "not a register in the window");
        Self(PHYSICAL_MAP + address)
    }

    /// Reads the register.
    #[must_use]
    pub fn read(self) -> u32 {
        // SAFETY: `new` was promised a device register inside of the window, aligned.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    /// Writes the register.
    pub fn write(self, value: u32) {
        // SAFETY: As in `read`; `new` was promised that writing does no harm to memory.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}
