//! The page tables: each page of the image with the one access it needs, physical memory without execute,
//! nothing else.
//!
//! [`build`] replaces what the boot path left. Afterwards code and constants are writable through no
//! mapping at all, the guard pages of the stacks are absent, and low addresses are unmapped. [`audit`] walks
//! everything that is mapped and counts what breaks these rules.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::PhysAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr3Flags, Efer, EferFlags};
use x86_64::structures::paging::PhysFrame;

use super::PAGE_SIZE;
use super::layout::{self, Access};
use super::physical::{self, PHYSICAL_MAP, PHYSICAL_MAP_BYTES};
use super::stacks;
use crate::bits::usize_from;
use crate::sync::SetOnce;

const LARGE_PAGE_SIZE: u64 = 2 << 20;

/// Page tables that the kernel can have: 16 for the window on physical memory and what splits it, one for
/// each 2 MiB of image, the rest for device memory.
const MAX_TABLES: usize = 96;

/// The most runs of adjacent frames that code and constants may lie in; loaders give one or two.
const MAX_CODE_RUNS: usize = 16;

/// Device registers begin here on every PC: chipset, I/O APIC, timers, local APIC, firmware.
const DEVICES_START: u64 = 0xfe00_0000;

/// An entry of a table at any level.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    const PRESENT: u64 = 1;
    const WRITABLE: u64 = 1 << 1;
    const NO_CACHE: u64 = 1 << 4 | 1 << 3;
    const LARGE: u64 = 1 << 7;
    const NO_EXECUTE: u64 = 1 << 63;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

    fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Whether it maps memory, at a level (1 = smallest pages) where it could also point to a table.
    fn is_leaf(self, level: u32) -> bool {
        level == 1 || self.0 & Self::LARGE != 0
    }

    fn address(self) -> u64 {
        self.0 & Self::ADDRESS
    }
}

/// What may be done with a mapped page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Whether it can be written.
    pub writable: bool,
    /// Whether code in it can run.
    pub executable: bool,
    /// Whether it is device memory, which must not be cached.
    pub device: bool,
}

impl Flags {
    /// Memory that holds data.
    pub const DATA: Self = Self { writable: true, executable: false, device: false };
    /// Device registers.
    pub const DEVICE: Self = Self { writable: true, executable: false, device: true };

    fn of(access: Access) -> Self {
        Self { writable: access == Access::ReadWrite, executable: access == Access::Execute, device: false }
    }

    fn bits(self) -> u64 {
        let mut bits = Entry::PRESENT;
        bits |= if self.writable { Entry::WRITABLE } else { 0 };
        bits |= if self.executable { 0 } else { Entry::NO_EXECUTE };
        bits | if self.device { Entry::NO_CACHE } else { 0 }
    }
}

/// Why a page could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// All page tables are in use.
    OutOfTables,
    /// The page is mapped already.
    AlreadyMapped,
    /// An address is not a multiple of the page size, or not one that page tables can hold.
    BadAddress,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTables => write!(f, "all {MAX_TABLES} page tables are in use"),
            Self::AlreadyMapped => f.write_str("the page is mapped already"),
            Self::BadAddress => f.write_str("the address is not that of a page"),
        }
    }
}

impl core::error::Error for MapError {}

/// What [`audit`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pages of 4 KiB that are mapped; a large page counts as the 512 that it covers.
    pub mapped: u64,
    /// Of these, the ones that are both writable and executable.
    pub writable_and_executable: u64,
    /// Of these, the ones that are writable and show the kernel's code or constants.
    pub writable_code: u64,
}

#[repr(C, align(4096))]
struct Pool(UnsafeCell<[[u64; 512]; MAX_TABLES]>);

// SAFETY: A table is reached only by this module, through the window on physical memory, on the one core.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([[0; 512]; MAX_TABLES]));
static POOL_USED: AtomicUsize = AtomicUsize::new(0);

/// The frames that hold code and constants.
static CODE_FRAMES: SetOnce<heapless::Vec<Range<u64>, MAX_CODE_RUNS>> = SetOnce::new();

/// Builds the kernel's own tables and goes over to them.
///
/// # Panics
///
/// If the image is larger than the pool of tables can map, or lies above the window on physical memory.
pub fn build() {
    let root = take_table().expect("the pool has a first table");
    for address in (0..PHYSICAL_MAP_BYTES).step_by(usize_from(LARGE_PAGE_SIZE)) {
        let flags = if address >= DEVICES_START { Flags::DEVICE } else { Flags::DATA };
        let slot = slot(root, PHYSICAL_MAP + address, 2).expect("the pool maps the window");
        write(slot, Entry(address | flags.bits() | Entry::LARGE));
    }
    let mut code = heapless::Vec::<Range<u64>, MAX_CODE_RUNS>::new();
    for section in layout::sections() {
        for page in section.pages.step_by(usize_from(PAGE_SIZE)) {
            if stacks::guards().any(|guard| guard.contains(&page)) {
                continue;
            }
            let frame = translate(page).expect("the boot path mapped the image");
            map(root, page, frame, Flags::of(section.access)).expect("the pool maps the image");
            if section.access != Access::ReadWrite {
                let alias = physical::virtual_address(frame).expect("the image is in the window");
                let slot = slot(root, alias, 1).expect("the pool splits the window under the image");
                write(slot, Entry(read(slot).0 & !Entry::WRITABLE));
                remember(&mut code, frame);
            }
        }
    }
    CODE_FRAMES.set(code);
    activate(root);
}

/// The physical address that `address` is mapped to now.
#[must_use]
pub fn translate(address: u64) -> Option<u64> {
    let mut table = root();
    for level in (1..=4).rev() {
        let entry = read(table + index(address, level) * 8);
        if !entry.is_present() {
            return None;
        }
        if level < 4 && entry.is_leaf(level) {
            let offset = address & (page_size(level) - 1);
            return Some((entry.address() & !(page_size(level) - 1)) + offset);
        }
        table = entry.address();
    }
    None
}

/// Maps the page at `page` to the frame at `frame`, both multiples of [`PAGE_SIZE`].
///
/// # Safety
///
/// The mapping must not give a way to change memory that Rust holds to be constant or its own.
///
/// # Errors
///
/// See [`MapError`]; the tables are then as before, except that a new intermediate table may have been used.
pub unsafe fn map_page(page: u64, frame: u64, flags: Flags) -> Result<(), MapError> {
    map(root(), page, frame, flags)
}

/// Takes the page at `page` out of the tables; says whether it was mapped.
///
/// # Safety
///
/// Nobody may use the page any more.
pub unsafe fn unmap_page(page: u64) -> bool {
    let Ok(slot) = slot(root(), page, 1) else { return false };
    let was_mapped = read(slot).is_present();
    write(slot, Entry(0));
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(page));
    was_mapped
}

/// Walks all tables and counts the pages that break the rules.
#[must_use]
pub fn audit() -> Audit {
    let mut audit = Audit::default();
    walk(root(), 4, Flags { writable: true, executable: true, device: false }, &mut audit);
    audit
}

/// The bytes of page tables that there are, and the bytes in use.
#[must_use]
pub fn pool_bytes() -> (u64, u64) {
    let used = POOL_USED.load(Ordering::Relaxed) as u64;
    (MAX_TABLES as u64 * PAGE_SIZE, used * PAGE_SIZE)
}

fn walk(table: u64, level: u32, above: Flags, audit: &mut Audit) {
    for index in 0..512 {
        let entry = read(table + index * 8);
        if !entry.is_present() {
            continue;
        }
        let flags = Flags {
            writable: above.writable && entry.0 & Entry::WRITABLE != 0,
            executable: above.executable && entry.0 & Entry::NO_EXECUTE == 0,
            device: false,
        };
        if !entry.is_leaf(level) {
            walk(entry.address(), level - 1, flags, audit);
            continue;
        }
        let pages = page_size(level) / PAGE_SIZE;
        audit.mapped += pages;
        if flags.writable {
            audit.writable_and_executable += if flags.executable { pages } else { 0 };
            let start = entry.address() & !(page_size(level) - 1);
            audit.writable_code += code_pages_in(start..start + page_size(level));
        }
    }
}

fn code_pages_in(frames: Range<u64>) -> u64 {
    let runs = CODE_FRAMES.get().map_or(&[][..], |runs| runs.as_slice());
    let common = |run: &Range<u64>| frames.end.min(run.end).saturating_sub(frames.start.max(run.start));
    runs.iter().map(|run| common(run) / PAGE_SIZE).sum()
}

fn remember(runs: &mut heapless::Vec<Range<u64>, MAX_CODE_RUNS>, frame: u64) {
    match runs.last_mut() {
        Some(run) if run.end == frame => run.end += PAGE_SIZE,
        _ => runs.push(frame..frame + PAGE_SIZE).expect("the loader gave the image few runs of frames"),
    }
}

fn map(root: u64, page: u64, frame: u64, flags: Flags) -> Result<(), MapError> {
    if !page.is_multiple_of(PAGE_SIZE) || frame & !Entry::ADDRESS != 0 {
        return Err(MapError::BadAddress);
    }
    let slot = slot(root, page, 1)?;
    if read(slot).is_present() {
        return Err(MapError::AlreadyMapped);
    }
    write(slot, Entry(frame | flags.bits()));
    Ok(())
}

/// The physical address of the entry for `address` at `level`, with the tables above it made where they are
/// missing and large pages split where they are in the way.
fn slot(root: u64, address: u64, level: u32) -> Result<u64, MapError> {
    let mut table = root;
    for upper in (level + 1..=4).rev() {
        let slot = table + index(address, upper) * 8;
        let entry = read(slot);
        table = if !entry.is_present() {
            let next = take_table()?;
            // The lowest level decides about access; the tables above allow everything.
            write(slot, Entry(next | Entry::PRESENT | Entry::WRITABLE));
            next
        } else if upper < 4 && entry.is_leaf(upper) {
            split(slot, entry, upper)?
        } else {
            entry.address()
        };
    }
    Ok(table + index(address, level) * 8)
}

/// Replaces a large page by a table of pages one level smaller with the same flags.
fn split(slot: u64, large: Entry, level: u32) -> Result<u64, MapError> {
    let table = take_table()?;
    let size = page_size(level - 1);
    let start = large.address() & !(page_size(level) - 1);
    let mut flags = large.0 & !Entry::ADDRESS;
    if level == 2 {
        flags &= !Entry::LARGE;
    }
    for index in 0..512 {
        write(table + index * 8, Entry((start + index * size) | flags));
    }
    write(slot, Entry(table | Entry::PRESENT | Entry::WRITABLE));
    Ok(table)
}

/// The physical address of an empty table from the pool.
fn take_table() -> Result<u64, MapError> {
    let index = POOL_USED.load(Ordering::Relaxed);
    if index == MAX_TABLES {
        return Err(MapError::OutOfTables);
    }
    POOL_USED.store(index + 1, Ordering::Relaxed);
    let address = POOL.0.get() as u64 + index as u64 * PAGE_SIZE;
    Ok(translate(address).expect("the pool is part of the image"))
}

fn activate(root: u64) {
    // SAFETY: No-execute and write protection only take rights away that no Rust code uses.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE)) };
    // SAFETY: As above.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT)) };
    let frame = PhysFrame::containing_address(PhysAddr::new(root));
    // SAFETY: The tables map the running code, its stack and its statics at the addresses they have now, and
    // the window on physical memory. What the boot path had mapped besides is not used any more.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

fn root() -> u64 {
    Cr3::read().0.start_address().as_u64()
}

const fn page_size(level: u32) -> u64 {
    PAGE_SIZE << (9 * (level - 1))
}

const fn index(address: u64, level: u32) -> u64 {
    address >> (12 + 9 * (level - 1)) & 511
}

fn read(slot: u64) -> Entry {
    // SAFETY: `slot` is an entry of a table that the processor uses, or that `take_table` gave out; both lie in
    // the window on physical memory, which every boot path maps before Rust code runs.
    Entry(unsafe { ((PHYSICAL_MAP + slot) as *const u64).read_volatile() })
}

fn write(slot: u64, entry: Entry) {
    // SAFETY: As in `read`. Tables are no Rust objects besides; that the new entry breaks nothing is argued by
    // `build` (not active yet, or taking rights away) and promised by the callers of `map_page`.
    unsafe { ((PHYSICAL_MAP + slot) as *mut u64).write_volatile(entry.0) }
}
