//! The parts of the kernel image, as `link.ld` laid them out.

use core::ops::Range;

/// What a part of the image may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Constants and boot notes.
    ReadOnly,
    /// Code.
    Execute,
    /// Statics.
    ReadWrite,
}

/// A part of the image: whole pages with one kind of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, as `memory` shows it.
    pub name: &'static str,
    /// Its virtual addresses, aligned to pages.
    pub pages: Range<u64>,
    /// What it may be used for.
    pub access: Access,
}

/// The distance from a virtual address of the image to the physical one at which QEMU loads it.
///
/// It holds on the PVH path before the kernel's own page tables are in place, and nowhere else.
pub const KERNEL_OFFSET: u64 = 0xffff_ffff_8000_0000;

/// A place in the image. It has no size, because two of them may be the same place, which the compiler would
/// rule out for statics that have one.
type Mark = [u8; 0];

unsafe extern "C" {
    static __rodata_start: Mark;
    static __rodata_end: Mark;
    static __text_start: Mark;
    static __text_end: Mark;
    static __data_start: Mark;
    static __data_end: Mark;
    static __bss_rest_start: Mark;
}

/// The parts of the image in ascending order of address; each one begins where the one before ends.
#[must_use]
pub fn sections() -> [Section; 3] {
    let span = |start: *const Mark, end: *const Mark| start as u64..end as u64;
    [
        Section {
            name: "rodata",
            pages: span(&raw const __rodata_start, &raw const __rodata_end),
            access: Access::ReadOnly,
        },
        Section {
            name: "text",
            pages: span(&raw const __text_start, &raw const __text_end),
            access: Access::Execute,
        },
        Section {
            name: "data",
            pages: span(&raw const __data_start, &raw const __data_end),
            access: Access::ReadWrite,
        },
    ]
}

/// Makes the statics zero that the entry code has not, as Rust takes them to be. QEMU does so too, but SeaBIOS
/// runs after that and leaves its marks near the end of memory.
///
/// # Safety
///
/// It must run once, before any code uses such a static, and the image must lie in memory of its own.
pub(crate) unsafe fn clear_statics() {
    let end = (&raw const __data_end).cast::<u64>().cast_mut();
    let mut word = (&raw const __bss_rest_start).cast::<u64>().cast_mut();
    // Most words are zero already, and reading is cheaper than writing.
    while word < end {
        // SAFETY: The word is aligned and part of the image; nothing else refers to it yet.
        let value = unsafe { word.read_volatile() };
        if value != 0 {
            // SAFETY: As above.
            unsafe { word.write_volatile(0) };
        }
        // SAFETY: At most one past the end of the image.
        word = unsafe { word.add(1) };
    }
}

/// Whether `address` lies in the kernel's code.
#[must_use]
pub fn is_code(address: u64) -> bool {
    let [_, text, _] = sections();
    text.pages.contains(&address)
}
