//! Entry points of all exceptions and interrupts, and the table that leads to them.
//!
//! Each vector has a naked stub that puts the vector number (and a zero where the processor gives no error
//! code) on the stack and goes to one common path: save the registers, call `dispatch`, restore, return.
//! The target has no SSE state, so the general registers are all there is to save.

use core::arch::naked_asm;

use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::idt::{Entry, HandlerFunc};

use super::{apic, exceptions};
use crate::bits::low16;
use crate::memory::stacks::ExceptionStack;
use crate::serial;
use crate::sync::SetOnce;

/// Exceptions occupy the vectors below this one.
pub const EXCEPTIONS: usize = 32;

/// The legacy controllers are masked, but may still raise their spurious interrupts, here plus 7 and plus 15.
pub const LEGACY_BASE: u8 = 0x20;
/// The timer of the local APIC.
pub const TIMER: u8 = 0x30;
/// The first serial line.
pub const SERIAL: u8 = 0x34;
/// Raised by the local APIC when an interrupt went away before it was taken. Not to be acknowledged.
pub const SPURIOUS: u8 = 0xff;

/// The processor's state where an exception or interrupt arrived. Returning from the handler restores it,
/// with the changes that the handler made.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are the registers they are named after")]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// Which exception or interrupt it is.
    pub vector: u64,
    /// The error code; 0 where the processor gives none.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

#[repr(C, align(16))]
struct Table([Entry<HandlerFunc>; 256]);

static TABLE: SetOnce<Table> = SetOnce::new();

/// Loads the table.
pub(super) fn init() {
    let mut table = Table([const { Entry::missing() }; 256]);
    for (vector, &stub) in EXCEPTION_STUBS.iter().enumerate() {
        set(&mut table.0[vector], stub, stack_of(vector));
    }
    let others: [(u8, Stub); 5] = [
        (LEGACY_BASE + 7, stub::<{ LEGACY_BASE as u64 + 7 }>),
        (LEGACY_BASE + 15, stub::<{ LEGACY_BASE as u64 + 15 }>),
        (TIMER, stub::<{ TIMER as u64 }>),
        (SERIAL, stub::<{ SERIAL as u64 }>),
        (SPURIOUS, stub::<{ SPURIOUS as u64 }>),
    ];
    for (vector, stub) in others {
        set(&mut table.0[usize::from(vector)], stub, None);
    }
    let table = TABLE.set(table);
    let limit = const { low16(size_of::<Table>() as u64 - 1) };
    let pointer = DescriptorTablePointer { limit, base: VirtAddr::from_ptr(table) };
    // SAFETY: The table is static, and each present entry leads to a stub written for its vector.
    unsafe { lidt(&pointer) };
}

/// The address of the stub of an exception, for tests that raise it without the processor's help.
#[must_use]
pub fn exception_entry(vector: usize) -> Option<u64> {
    EXCEPTION_STUBS.get(vector).map(|&stub| stub as *const () as u64)
}

fn set(entry: &mut Entry<HandlerFunc>, stub: Stub, stack: Option<ExceptionStack>) {
    let address = VirtAddr::from_ptr(stub as *const ());
    // SAFETY: Every stub saves all registers and returns with `iretq`, with or without an error code as its
    // vector demands.
    let options = unsafe { entry.set_handler_addr(address) };
    if let Some(stack) = stack {
        // SAFETY: The task state segment holds a stack at this index, used by no other vector.
        unsafe { options.set_stack_index(stack.index()) };
    }
}

fn stack_of(vector: usize) -> Option<ExceptionStack> {
    match vector {
        2 => Some(ExceptionStack::NonMaskable),
        8 => Some(ExceptionStack::DoubleFault),
        14 => Some(ExceptionStack::PageFault),
        18 => Some(ExceptionStack::MachineCheck),
        _ => None,
    }
}

type Stub = extern "C" fn();

#[rustfmt::skip]
static EXCEPTION_STUBS: [Stub; EXCEPTIONS] = [
    stub::<0>, stub::<1>, stub::<2>, stub::<3>, stub::<4>, stub::<5>, stub::<6>, stub::<7>,
    stub_with_error::<8>, stub::<9>, stub_with_error::<10>, stub_with_error::<11>,
    stub_with_error::<12>, stub_with_error::<13>, stub_with_error::<14>, stub::<15>,
    stub::<16>, stub_with_error::<17>, stub::<18>, stub::<19>, stub::<20>, stub_with_error::<21>,
    stub::<22>, stub::<23>, stub::<24>, stub::<25>, stub::<26>, stub::<27>,
    stub::<28>, stub_with_error::<29>, stub_with_error::<30>, stub::<31>,
];

/// Entry of a vector without an error code.
#[unsafe(naked)]
extern "C" fn stub<const VECTOR: u64>() {
    naked_asm!("push 0", "push {vector}", "jmp {common}", vector = const VECTOR, common = sym common)
}

/// Entry of a vector with an error code, which the processor has pushed.
#[unsafe(naked)]
extern "C" fn stub_with_error<const VECTOR: u64>() {
    naked_asm!("push {vector}", "jmp {common}", vector = const VECTOR, common = sym common)
}

#[unsafe(naked)]
extern "C" fn common() {
    naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rdi, rsp",
        "mov rbp, rsp",
        "and rsp, -16", // the calling convention, whatever the error code did to it
        "call {dispatch}",
        "mov rsp, rbp",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        "add rsp, 16", // vector and error code
        "iretq",
        dispatch = sym dispatch,
    )
}

/// Every exception and interrupt comes through here, with interrupts off.
extern "C" fn dispatch(frame: &mut Frame) {
    const TIMER_VECTOR: u64 = TIMER as u64;
    const SERIAL_VECTOR: u64 = SERIAL as u64;
    match frame.vector {
        TIMER_VECTOR => apic::on_timer(),
        SERIAL_VECTOR => {
            serial::on_interrupt();
            apic::acknowledge();
        }
        vector if vector < EXCEPTIONS as u64 => exceptions::handle(frame),
        _ => {} // spurious
    }
}
