//! The entry for disk images: the `bootloader` crate has loaded the image wherever it found frames, mapped it
//! at its virtual addresses and enters it in 64-bit mode.

use core::arch::naked_asm;

use bootloader_api::config::Mapping;
use bootloader_api::info::MemoryRegionKind;
use bootloader_api::{BootloaderConfig, entry_point};

use super::{BOOT_INFO, BootInfo, BootPath, Region, RegionKind, Regions};
use crate::arch::cpu;
use crate::memory::stacks::{KERNEL_STACK, KERNEL_STACK_BYTES, Stack};
use crate::memory::{PAGE_SIZE, paging, physical};

static CONFIG: BootloaderConfig = {
    let mut config = BootloaderConfig::new_default();
    config.mappings.physical_memory = Some(Mapping::FixedAddress(physical::PHYSICAL_MAP));
    config.mappings.dynamic_range_start = Some(0xffff_9000_0000_0000);
    config.mappings.dynamic_range_end = Some(0xffff_ff00_0000_0000);
    // Used by this module only; then the kernel goes over to its own stack.
    config.kernel_stack_size = 64 * 1024;
    config
};

entry_point!(entry, config = &CONFIG);

fn entry(info: &'static mut bootloader_api::BootInfo) -> ! {
    let entry_ticks = cpu::ticks();
    let (regions, path) = memory_map(info);
    let ramdisk = info.ramdisk_addr.into_option().and_then(|start| ramdisk(start, info.ramdisk_len));
    BOOT_INFO.set(BootInfo {
        path,
        regions,
        ramdisk: ramdisk.unwrap_or(&[]),
        rsdp: info.rsdp_addr.into_option(),
        entry_ticks,
    });
    start_on_own_stack()
}

/// Kinds of memory as UEFI 2.10, section 7.2, and ACPI 6.5, section 15, number them.
const UEFI_ACPI_RECLAIM: u32 = 9;
const UEFI_ACPI_STORAGE: u32 = 10;
const BIOS_ACPI: u32 = 3;
const BIOS_ACPI_STORAGE: u32 = 4;

fn memory_map(info: &bootloader_api::BootInfo) -> (Regions, BootPath) {
    let mut regions = Regions::default();
    let mut path = BootPath::Bios;
    for region in info.memory_regions.iter() {
        let kind = match region.kind {
            MemoryRegionKind::Usable => RegionKind::Usable,
            MemoryRegionKind::Bootloader => RegionKind::InUse,
            MemoryRegionKind::UnknownUefi(kind) => {
                path = BootPath::Uefi;
                match kind {
                    UEFI_ACPI_RECLAIM | UEFI_ACPI_STORAGE => RegionKind::Tables,
                    _ => RegionKind::Reserved,
                }
            }
            MemoryRegionKind::UnknownBios(BIOS_ACPI | BIOS_ACPI_STORAGE) => RegionKind::Tables,
            _ => RegionKind::Reserved,
        };
        regions.push(Region { start: region.start, end: region.end, kind });
    }
    (regions, path)
}

/// The ramdisk through the window on physical memory, because the loader's own mapping goes away with its
/// page tables. `None` if its frames do not follow one another.
fn ramdisk(start: u64, len: u64) -> Option<&'static [u8]> {
    let first = paging::translate(start)?;
    let pages = (start..start.checked_add(len)?).step_by(4096);
    for (page, address) in pages.enumerate() {
        if paging::translate(address)? != first + page as u64 * PAGE_SIZE {
            return None;
        }
    }
    // SAFETY: The loader put the ramdisk there and reports its frames as its own, so nobody writes to them.
    unsafe { physical::bytes(first, len) }
}

/// Leaves the loader's stack for the kernel's.
#[unsafe(naked)]
extern "C" fn start_on_own_stack() -> ! {
    naked_asm!(
        "lea rsp, [rip + {stack} + {stack_bytes}]",
        "xor ebp, ebp",
        "call {start}",
        "ud2",
        stack = sym KERNEL_STACK,
        stack_bytes = const size_of::<Stack<KERNEL_STACK_BYTES>>(),
        start = sym super::start,
    )
}
