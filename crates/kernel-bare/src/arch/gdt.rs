//! The kernel's segments, and the stacks that exceptions switch to.

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::segmentation::SegmentSelector;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use crate::memory::stacks::EXCEPTION_STACKS;
use crate::sync::SetOnce;

static TSS: SetOnce<TaskStateSegment> = SetOnce::new();
static GDT: SetOnce<GlobalDescriptorTable> = SetOnce::new();

pub(super) fn init() {
    let mut tss = TaskStateSegment::new();
    for stack in EXCEPTION_STACKS {
        let top = VirtAddr::new(stack.stack().addresses().end);
        tss.interrupt_stack_table[usize::from(stack.index())] = top;
    }
    let mut gdt = GlobalDescriptorTable::new();
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(TSS.set(tss)));
    GDT.set(gdt).load();
    // SAFETY: `code` is the 64-bit ring 0 code segment of the table that was just loaded.
    unsafe { CS::set_reg(code) };
    // SAFETY: `data` is a writable ring 0 data segment; 64-bit mode ignores base and limit.
    unsafe { SS::set_reg(data) };
    // SAFETY: As above.
    unsafe { DS::set_reg(data) };
    // SAFETY: As above.
    unsafe { ES::set_reg(data) };
    // SAFETY: The null selector is allowed here; the kernel uses neither FS nor GS.
    unsafe { FS::set_reg(SegmentSelector::NULL) };
    // SAFETY: As above.
    unsafe { GS::set_reg(SegmentSelector::NULL) };
    // SAFETY: `task` selects the descriptor of the static task state segment, and is loaded for the first time.
    unsafe { load_tss(task) };
}
