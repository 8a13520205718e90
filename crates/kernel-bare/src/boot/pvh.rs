//! The PVH entry: QEMU puts the image at its physical addresses and enters it in 32-bit protected mode
//! without paging, `ebx` pointing to an `hvm_start_info`.
//!
//! Layout of the structures: Xen, `xen/include/public/arch-x86/hvm/start_info.h`.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::fmt::Write;
use core::ops::Range;

use super::{BOOT_INFO, BootInfo, BootPath, Region, RegionKind, Regions};
use crate::arch::cpu;
use crate::bits::{le32, le64};
use crate::memory::layout::{self, KERNEL_OFFSET};
use crate::memory::physical;
use crate::memory::stacks::{KERNEL_STACK, KERNEL_STACK_BYTES, Stack};
use crate::power::{self, ExitCode};
use crate::serial::EmergencyConsole;

/// The page tables that carry the processor from 32-bit mode to the kernel's own tables: level 4, level 3
/// for the identity map and the window on physical memory, level 3 for the image, and four of level 2.
#[repr(C, align(4096))]
struct BootTables(UnsafeCell<[u64; 7 * 512]>);

// SAFETY: Only the entry code below writes them, before any Rust code runs.
unsafe impl Sync for BootTables {}

#[unsafe(link_section = ".bss.early")]
static BOOT_TABLES: BootTables = BootTables(UnsafeCell::new([0; 7 * 512]));

// Everything is linked high and runs low until the far end of `pvh_start`, hence `- KOFF`.
// The tables: 2 MiB pages for 4 GiB, seen at 0 (identity), at PHYSICAL_MAP (entry 256 of level 4), and, the
// first GiB only, at KERNEL_OFFSET (entry 511 of level 4, entry 510 of level 3).
global_asm!(
    r#"
    .set KOFF, 0xffffffff80000000

    .section .note.pvh, "a", @note
    .balign 4
    .global pvh_note
pvh_note:
    .long 4
    .long 4
    .long 18                            # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start - KOFF

    .section .boot, "ax"
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    movl %ebx, %esi                     # start info, kept until Rust takes it

    xorl %eax, %eax                     # the tables and the stack; Rust clears the rest
    movl $(__bss_early_start - KOFF), %edi
    movl $(__bss_rest_start - KOFF), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    rep stosl

    movl $({tables} - KOFF + 3 * 4096), %edi
    movl $0x83, %eax                    # present, writable, 2 MiB
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    decl %ecx
    jnz 1b

    movl $({tables} - KOFF + 4096 + 3), %eax
    movl %eax, {tables} - KOFF
    movl %eax, {tables} - KOFF + 256 * 8
    movl $({tables} - KOFF + 2 * 4096 + 3), %eax
    movl %eax, {tables} - KOFF + 511 * 8
    movl $({tables} - KOFF + 3 * 4096 + 3), %eax
    movl %eax, {tables} - KOFF + 2 * 4096 + 510 * 8
    movl %eax, {tables} - KOFF + 4096
    addl $4096, %eax
    movl %eax, {tables} - KOFF + 4096 + 8
    addl $4096, %eax
    movl %eax, {tables} - KOFF + 4096 + 16
    addl $4096, %eax
    movl %eax, {tables} - KOFF + 4096 + 24

    movl $({tables} - KOFF), %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax                     # PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx              # EFER: LME, NXE
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax               # PG, WP, PE
    movl %eax, %cr0
    lgdtl boot_gdt_pointer - KOFF
    ljmpl $8, $(pvh_low64 - KOFF)

    .code64
pvh_low64:
    movabsq $pvh_high64, %rax
    jmpq *%rax
pvh_high64:
    movw $16, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movq $({stack} + {stack_bytes}), %rsp
    xorl %ebp, %ebp                     # where backtraces end
    movl %esi, %edi
    callq {entry}
    ud2

    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .long boot_gdt - KOFF
"#,
    tables = sym BOOT_TABLES,
    stack = sym KERNEL_STACK,
    stack_bytes = const size_of::<Stack<KERNEL_STACK_BYTES>>(),
    entry = sym pvh_entry,
    options(att_syntax)
);

const START_INFO_MAGIC: u32 = 0x336e_c578;
const START_INFO_BYTES: u64 = 56;
const MEMORY_ENTRY_BYTES: u64 = 24;
const MODULE_ENTRY_BYTES: u64 = 32;
const MEMORY_KIND_RAM: u32 = 1;
const MEMORY_KIND_ACPI: u32 = 3;
const MEMORY_KIND_ACPI_STORAGE: u32 = 4;

/// Called by `pvh_start` on the kernel's stack.
extern "C" fn pvh_entry(start_info: u64) -> ! {
    let entry_ticks = cpu::ticks();
    let info = describe(start_info, entry_ticks).expect("QEMU hands over a start info");
    // QEMU does not say that it left out what did not fit.
    if !is_in_memory(&info, image()) {
        refuse(&info.regions);
    }
    // SAFETY: No static has been used, and the image lies in memory that nothing else lies in.
    unsafe { layout::clear_statics() };
    BOOT_INFO.set(info);
    super::start()
}

/// The physical addresses of the image.
fn image() -> Range<u64> {
    let [first, _, last] = layout::sections();
    first.pages.start - KERNEL_OFFSET..last.pages.end - KERNEL_OFFSET
}

/// Whether the image lies in memory, and not under the ramdisk.
fn is_in_memory(info: &BootInfo, image: Range<u64>) -> bool {
    let ramdisk = window_address(info.ramdisk);
    let covers = |region: &Region| {
        region.kind == RegionKind::InUse && region.start <= image.start && image.end <= region.end
    };
    info.regions.list().iter().any(covers) && (ramdisk.end <= image.start || image.end <= ramdisk.start)
}

/// The physical addresses of what is seen through the window.
fn window_address(bytes: &[u8]) -> Range<u64> {
    let start = (bytes.as_ptr() as u64).saturating_sub(physical::PHYSICAL_MAP);
    start..start + bytes.len() as u64
}

/// Says that the machine is too small, and ends it, without a static or a lock.
fn refuse(regions: &Regions) -> ! {
    let needed = image().end.div_ceil(1 << 20);
    let present = regions.memory_bytes() >> 20;
    // The console cannot fail.
    let _ = writeln!(
        EmergencyConsole::new(),
        "weir: the machine has {present} MiB of memory, the kernel needs {needed} MiB and room for its ramdisk"
    );
    power::exit(ExitCode::Panic)
}

fn describe(start_info: u64, entry_ticks: u64) -> Option<BootInfo> {
    // SAFETY: The start info lies in memory, and the kernel writes to none that it has not taken for itself.
    let info = unsafe { physical::bytes(start_info, START_INFO_BYTES) }?;
    if le32(info, 0)? != START_INFO_MAGIC {
        return None;
    }
    let (modules, module_list) = (le32(info, 12)?, le64(info, 16)?);
    let rsdp = Some(le64(info, 32)?).filter(|&address| address != 0);
    let mut regions = memory_map(le64(info, 40)?, le32(info, 48)?)?;
    let ramdisk = if modules == 0 { &[][..] } else { module(module_list)? };

    regions.claim(0, 1 << 20);
    let image = image();
    regions.claim(image.start, image.end);
    if !ramdisk.is_empty() {
        let Range { start, end } = window_address(ramdisk);
        regions.claim(start, end);
    }
    Some(BootInfo { path: BootPath::Pvh, regions, ramdisk, rsdp, entry_ticks })
}

fn memory_map(address: u64, entries: u32) -> Option<Regions> {
    // SAFETY: The map lies in memory that the loader filled for the kernel to read.
    let map = unsafe { physical::bytes(address, u64::from(entries) * MEMORY_ENTRY_BYTES) }?;
    let mut regions = Regions::default();
    for entry in map.as_chunks::<24>().0 {
        let (start, size, kind) = (le64(entry, 0)?, le64(entry, 8)?, le32(entry, 16)?);
        let kind = match kind {
            MEMORY_KIND_RAM => RegionKind::Usable,
            MEMORY_KIND_ACPI | MEMORY_KIND_ACPI_STORAGE => RegionKind::Tables,
            _ => RegionKind::Reserved,
        };
        regions.push(Region { start, end: start.saturating_add(size), kind });
    }
    Some(regions)
}

fn module(list: u64) -> Option<&'static [u8]> {
    // SAFETY: The list lies in memory that the loader filled for the kernel to read.
    let entry = unsafe { physical::bytes(list, MODULE_ENTRY_BYTES) }?;
    // SAFETY: The module lies in memory that `describe` takes out of the usable regions.
    unsafe { physical::bytes(le64(entry, 0)?, le64(entry, 8)?) }
}
