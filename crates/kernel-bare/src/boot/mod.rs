//! Two ways in, one way on.
//!
//! QEMU's `-kernel` enters at the PVH note (`pvh.rs`), a BIOS or UEFI disk image enters through the
//! `bootloader` crate (`bootloader.rs`). Both describe the machine in a [`BootInfo`] and continue in
//! `kernel_main`, on the kernel's own stack, with interrupts off and physical memory mapped at
//! [`crate::memory::physical::PHYSICAL_MAP`].

mod bootloader;
mod pvh;

use core::ops::Range;

use crate::sync::SetOnce;

/// The most memory regions that are remembered; a BIOS reports about ten, UEFI about a hundred.
pub const MAX_REGIONS: usize = 128;

/// Where a PC keeps its BIOS and what that built: memory, whether it is reported or not.
const BIOS_AREA: Range<u64> = 0xe_0000..0x10_0000;

/// What the boot path tells about the machine.
#[derive(Debug)]
pub struct BootInfo {
    /// How the kernel was started.
    pub path: BootPath,
    /// The physical memory, as firmware and loader reported it.
    pub regions: Regions,
    /// The initial ramdisk; empty if there is none.
    pub ramdisk: &'static [u8],
    /// The physical address of the ACPI root pointer, if one was reported.
    pub rsdp: Option<u64>,
    /// What the time-stamp counter showed at entry.
    pub entry_ticks: u64,
}

/// How the kernel was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootPath {
    /// Directly by QEMU's `-kernel`.
    Pvh,
    /// From a disk image on BIOS firmware.
    Bios,
    /// From a disk image on UEFI firmware.
    Uefi,
}

impl BootPath {
    /// The name, as `version` shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pvh => "PVH",
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        }
    }
}

/// A range of physical addresses and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What lies there.
    pub kind: RegionKind,
}

/// What lies in a [`Region`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Memory that nothing uses yet.
    Usable,
    /// Memory that holds the kernel, the ramdisk, or what the loader left.
    InUse,
    /// Memory that holds the firmware's tables, reported as such.
    Tables,
    /// Firmware, devices, holes.
    Reserved,
}

impl Region {
    /// Whether the kernel, or the loader for it, may have something there, now or later.
    fn is_for_us(&self) -> bool {
        matches!(self.kind, RegionKind::Usable | RegionKind::InUse)
    }

    fn overlaps(&self, range: &Range<u64>) -> bool {
        self.start < range.end && range.start < self.end
    }
}

/// The physical memory map: regions that do not overlap.
#[derive(Debug, Default)]
pub struct Regions {
    list: heapless::Vec<Region, MAX_REGIONS>,
    dropped: usize,
}

impl Regions {
    /// The regions.
    #[must_use]
    pub fn list(&self) -> &[Region] {
        &self.list
    }

    /// The regions that were reported but did not fit.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// All memory, in use or not, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let memory = self.list.iter().filter(|region| region.is_for_us());
        memory.map(|region| region.end - region.start).sum()
    }

    /// Whether `range` lies wholly in memory that the firmware keeps for its tables: nothing there is the
    /// kernel's, the ramdisk's or free, and nothing is a device register. A map that is not whole shows nothing.
    #[must_use]
    pub fn hold_tables(&self, range: Range<u64>) -> bool {
        let within = |outer: Range<u64>| outer.start <= range.start && range.end <= outer.end;
        let mut kept = self.list.iter().filter(|region| self.is_kept_by_firmware(region));
        self.dropped == 0
            && !range.is_empty()
            && !self.list.iter().any(|region| region.is_for_us() && region.overlaps(&range))
            && (within(BIOS_AREA) || kept.any(|region| within(region.start..region.end)))
    }

    /// Whether there is no memory at `address`, neither for the kernel nor for the firmware, so that only a device
    /// can answer. A map that is not whole shows nothing.
    #[must_use]
    pub fn are_device_at(&self, address: u64) -> bool {
        let is_memory = |region: &Region| region.is_for_us() || self.is_kept_by_firmware(region);
        self.dropped == 0
            && address >= BIOS_AREA.end
            && !self
                .list
                .iter()
                .any(|region| is_memory(region) && (region.start..region.end).contains(&address))
    }

    /// A BIOS takes memory for its tables off the end of a region and calls it reserved; elsewhere reserved
    /// addresses may be a device's.
    fn is_kept_by_firmware(&self, region: &Region) -> bool {
        let follows_memory = || self.list.iter().any(|other| other.is_for_us() && other.end == region.start);
        match region.kind {
            RegionKind::Tables => true,
            RegionKind::Reserved => follows_memory(),
            RegionKind::Usable | RegionKind::InUse => false,
        }
    }

    /// Adds a region; an empty one is ignored.
    fn push(&mut self, region: Region) {
        if region.start < region.end && self.list.push(region).is_err() {
            self.dropped += 1;
        }
    }

    /// Marks the usable memory in `start..end` as in use, splitting regions where needed.
    fn claim(&mut self, start: u64, end: u64) {
        for index in 0..self.list.len() {
            let region = self.list[index];
            let (from, to) = (region.start.max(start), region.end.min(end));
            if region.kind != RegionKind::Usable || from >= to {
                continue;
            }
            self.list[index] = Region { start: from, end: to, kind: RegionKind::InUse };
            self.push(Region { end: from, ..region });
            self.push(Region { start: to, ..region });
        }
    }
}

static BOOT_INFO: SetOnce<BootInfo> = SetOnce::new();

unsafe extern "Rust" {
    /// Defined by [`crate::kernel!`] in each binary.
    safe fn weir_kernel_main(boot: &'static BootInfo) -> !;
}

/// Where both paths meet: runs the binary's main function on the kernel's stack.
extern "C" fn start() -> ! {
    let boot = BOOT_INFO.get().expect("the entry set it");
    weir_kernel_main(boot)
}
