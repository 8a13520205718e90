//! Memory protection: nothing is both writable and executable, code and constants are writable through no
//! mapping, and what must not be mapped is not.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_bare::Machine;
use kernel_bare::arch::exceptions::{self, Verdict};
use kernel_bare::arch::interrupts::Frame;
use kernel_bare::memory::layout::{self, Access};
use kernel_bare::memory::paging::{self, Flags, MapError};
use kernel_bare::memory::physical::{PHYSICAL_MAP, virtual_address};
use kernel_bare::memory::{PAGE_SIZE, stacks};
use x86_64::registers::control::Cr2;

kernel_bare::test_kernel![
    no_page_is_writable_and_executable,
    audit_sees_a_page_that_breaks_the_rules,
    image_pages_are_where_the_linker_put_them,
    identity_map_and_guard_pages_are_absent,
    writing_code_and_constants_faults,
    running_data_faults,
    bad_mappings_are_refused,
];

const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// A page that nothing else uses.
const SPARE: u64 = 0xffff_a000_0000_0000;
const RULE_BREAKING: Flags = Flags { writable: true, executable: true, device: false };

static ERROR: AtomicU64 = AtomicU64::new(u64::MAX);

fn remember(frame: &mut Frame) -> Verdict {
    ERROR.store(frame.error, Ordering::Relaxed);
    frame.rip = frame.r12;
    frame.rsp = frame.r13;
    Verdict::Resume
}

/// The error code and the address of the page fault that `action` causes.
fn page_fault(action: impl FnOnce()) -> (u64, u64) {
    ERROR.store(u64::MAX, Ordering::Relaxed);
    exceptions::set_hook(remember);
    action();
    exceptions::clear_hook();
    (ERROR.load(Ordering::Relaxed), Cr2::read_raw())
}

fn write(address: u64) {
    // SAFETY: If the write does not fault, it writes back the byte that is there.
    unsafe {
        asm!(
            "lea r12, [rip + 2f]", "mov r13, rsp", "mov al, [{0}]", "mov [{0}], al", "2:",
            in(reg) address, out("r12") _, out("r13") _, out("rax") _,
        );
    }
}

fn run(address: u64) {
    // SAFETY: If the call does not fault, it returns at once: the code there is a `ret`.
    unsafe {
        asm!(
            "lea r12, [rip + 2f]", "mov r13, rsp", "call {0}", "2:",
            in(reg) address, out("r12") _, out("r13") _, clobber_abi("C"),
        );
    }
}

fn no_page_is_writable_and_executable(_: &mut Machine) {
    let audit = paging::audit();
    assert_eq!((audit.writable_and_executable, audit.writable_code), (0, 0));
    // The window on physical memory alone has a million pages.
    assert!(audit.mapped > 1 << 20, "{audit:?}");
}

fn audit_sees_a_page_that_breaks_the_rules(_: &mut Machine) {
    let before = paging::audit();
    // SAFETY: The page shows a frame of firmware memory, which nobody uses.
    unsafe { paging::map_page(SPARE, 0xf_0000, RULE_BREAKING) }.expect("a spare page");
    let bad = paging::audit();
    assert_eq!((bad.writable_and_executable, bad.writable_code), (1, 0));
    assert_eq!(bad.mapped, before.mapped + 1);
    // SAFETY: Nobody uses the page.
    assert!(unsafe { paging::unmap_page(SPARE) });

    for section in layout::sections() {
        let frame = paging::translate(section.pages.start).expect("the image is mapped");
        // SAFETY: Nobody writes through the page.
        unsafe { paging::map_page(SPARE, frame, Flags::DATA) }.expect("a spare page");
        let bad = paging::audit();
        assert_eq!(bad.writable_code, u64::from(section.access != Access::ReadWrite), "{section:?}");
        // SAFETY: Nobody uses the page.
        assert!(unsafe { paging::unmap_page(SPARE) });
    }
    assert_eq!(paging::audit(), before);
    // SAFETY: Nobody uses the page.
    assert!(!unsafe { paging::unmap_page(SPARE) });
}

fn image_pages_are_where_the_linker_put_them(_: &mut Machine) {
    let [rodata, text, data] = layout::sections();
    assert_eq!(rodata.pages.end, text.pages.start);
    assert_eq!(text.pages.end, data.pages.start);
    assert!(text.pages.contains(&(kernel_main as *const () as u64)));
    assert!(rodata.pages.contains(&("a constant".as_ptr() as u64)));
    assert!(data.pages.contains(&(ERROR.as_ptr() as u64)));
    let local = 0;
    assert!(stacks::containing(&raw const local as u64).is_some());
}

fn identity_map_and_guard_pages_are_absent(_: &mut Machine) {
    for address in [0, PAGE_SIZE, 0x20_0000, 0xfee0_0000] {
        assert_eq!(paging::translate(address), None, "{address:#x}");
    }
    assert_eq!(stacks::guards().count(), 5);
    for guard in stacks::guards() {
        assert_eq!(paging::translate(guard.start), None);
        assert!(paging::translate(guard.end).is_some() && paging::translate(guard.start - 1).is_some());
    }
}

fn writing_code_and_constants_faults(_: &mut Machine) {
    let [rodata, text, data] = layout::sections();
    for address in [rodata.pages.start, rodata.pages.end - 1, text.pages.start, text.pages.end - 1] {
        let alias = paging::translate(address).and_then(virtual_address).expect("the window shows the image");
        for address in [address, alias] {
            assert_eq!(page_fault(|| write(address)), (PRESENT | WRITE, address));
        }
    }
    // The same way of writing works where it may.
    assert_eq!(page_fault(|| write(data.pages.start)).0, u64::MAX);
}

fn running_data_faults(_: &mut Machine) {
    const RETURN: u8 = 0xc3;
    static CODE: [u8; 1] = [RETURN];
    let on_stack = [RETURN];
    let constant = CODE.as_ptr() as u64;
    for address in [constant, on_stack.as_ptr() as u64] {
        assert_eq!(page_fault(|| run(address)), (PRESENT | FETCH, address));
    }
    let alias = paging::translate(layout::sections()[1].pages.start).map(|frame| PHYSICAL_MAP + frame);
    let alias = alias.expect("code is mapped");
    assert_eq!(page_fault(|| run(alias)), (PRESENT | FETCH, alias));
    // The same way of running works where it may.
    assert_eq!(page_fault(|| run(nothing as *const () as u64)).0, u64::MAX);
}

extern "C" fn nothing() {}

fn bad_mappings_are_refused(_: &mut Machine) {
    let map = |page, frame| {
        // SAFETY: Each of these is refused.
        unsafe { paging::map_page(page, frame, Flags::DATA) }
    };
    assert_eq!(map(SPARE + 1, 0x1000), Err(MapError::BadAddress));
    assert_eq!(map(SPARE, 0x1001), Err(MapError::BadAddress));
    assert_eq!(map(SPARE, 1 << 52), Err(MapError::BadAddress));
    let data = layout::sections()[2].pages.start;
    assert_eq!(map(data, 0x1000), Err(MapError::AlreadyMapped));
    // Each of these pages wants three tables of its own, until there are none left.
    let (mut mapped, mut result) = (0, Ok(()));
    while result.is_ok() {
        let page = 0xffff_b000_0000_0000 + (mapped << 39);
        // SAFETY: The page shows a frame of firmware memory, which nobody uses.
        result = unsafe { paging::map_page(page, 0xf_0000, Flags::DATA) };
        mapped += 1;
    }
    assert_eq!(result, Err(MapError::OutOfTables));
    let (bytes, used) = paging::pool_bytes();
    assert_eq!(bytes, used);
}
