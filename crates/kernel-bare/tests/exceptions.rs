//! Every exception reaches its handler, with its name, on its stack, and can be resumed.
#![no_std]
#![no_main]

use core::arch::asm;
use core::fmt::Write;

use kernel_bare::Machine;
use kernel_bare::arch::exceptions::{self, Report, Verdict};
use kernel_bare::arch::interrupts::{self, Frame};
use kernel_bare::memory::stacks::{self, ExceptionStack, KERNEL_STACK};
use kernel_bare::sync::IrqMutex;
use shell::system::System;
use x86_64::registers::control::Cr2;

kernel_bare::test_kernel![
    breakpoint_is_logged_and_returns,
    registers_survive_an_interrupt,
    faults_of_the_processor_are_seen,
    page_fault_tells_address_and_access,
    every_vector_is_reported_by_name,
    exceptions_run_on_their_own_stacks,
];

/// What the hook saw last: the frame, and the stack that it lay on.
static SEEN: IrqMutex<Option<(Frame, u64)>> = IrqMutex::new(None);

/// Remembers the exception and resumes: at the address in r12, if the frame's error made it a fault (r13 = 1).
fn remember(frame: &mut Frame) -> Verdict {
    let stack = stacks::containing(&raw const *frame as u64).map_or(0, |stack| stack.start);
    *SEEN.try_lock().expect("no test raises an exception while it looks") = Some((*frame, stack));
    if frame.r13 == 1 {
        frame.rip = frame.r12;
    }
    Verdict::Resume
}

fn seen(raise: impl FnOnce()) -> (Frame, u64) {
    *SEEN.lock() = None;
    exceptions::set_hook(remember);
    raise();
    exceptions::clear_hook();
    SEEN.lock().take().expect("an exception arrived")
}

/// Runs instructions that fault, and goes on behind them.
macro_rules! fault {
    ($($code:literal),+ $(, $name:ident = $value:expr)*) => {
        // SAFETY: The instructions fault; the hook resumes behind them, and they use only the registers named.
        unsafe {
            asm!(
                "lea r12, [rip + 2f]", "mov r13d, 1", $($code,)+ "2:",
                $($name = in(reg) $value,)*
                out("r12") _, out("r13") _, out("rax") _, out("rdx") _,
            )
        }
    };
}

fn breakpoint_is_logged_and_returns(machine: &mut Machine) {
    x86_64::instructions::interrupts::int3();
    let mut found = 0;
    machine.log_lines(&mut |line| found += usize::from(line.contains("breakpoint at 0xffffffff8")));
    assert_eq!(found, 1);
}

fn registers_survive_an_interrupt(_: &mut Machine) {
    let mut differences: u64 = 0x1111;
    // SAFETY: The breakpoint is logged and returns; every register that changes is named.
    unsafe {
        asm!(
            "mov rsi, 0x2222", "mov rdi, 0x3333", "mov r8, 0x4444", "mov r9, 0x5555",
            "mov r10, 0x6666", "mov r14, 0x7777", "mov r15, 0x8888", "std",
            "int3",
            "pushfq", "pop rdx", "cld", "shr rdx, 10", "and rdx, 1", "xor rdx, 1",
            "xor rax, 0x1111", "xor rsi, 0x2222", "xor rdi, 0x3333", "xor r8, 0x4444", "xor r9, 0x5555",
            "xor r10, 0x6666", "xor r14, 0x7777", "xor r15, 0x8888",
            "or rax, rdx", "or rax, rsi", "or rax, rdi", "or rax, r8", "or rax, r9",
            "or rax, r10", "or rax, r14", "or rax, r15",
            inout("rax") differences, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r9") _,
            out("r10") _, out("r14") _, out("r15") _,
        );
    }
    assert_eq!(differences, 0);
}

fn faults_of_the_processor_are_seen(_: &mut Machine) {
    let (frame, _) = seen(|| fault!("ud2"));
    assert_eq!((frame.vector, frame.error), (6, 0));
    let (frame, _) = seen(|| fault!("xor edx, edx", "mov eax, 1", "div edx"));
    assert_eq!((frame.vector, frame.error), (0, 0));
    let (frame, _) = seen(|| fault!("mov rax, [{address}]", address = 0x1234_5678_9abc_def0_u64));
    assert_eq!((frame.vector, frame.error), (13, 0));
    // A selector beyond the table: the error code is the selector.
    let (frame, _) = seen(|| fault!("mov ds, {selector:x}", selector = 0x1000_u64));
    assert_eq!((frame.vector, frame.error), (13, 0x1000));
}

fn page_fault_tells_address_and_access(_: &mut Machine) {
    let address = 0xdead_0000_u64;
    let (frame, _) = seen(|| fault!("mov rax, [{address}]", address = address));
    assert_eq!((frame.vector, frame.error, Cr2::read_raw()), (14, 0, address));
    let (frame, _) = seen(|| fault!("mov [{address}], rax", address = address + 8));
    assert_eq!((frame.vector, frame.error, Cr2::read_raw()), (14, 2, address + 8));
    let mut text = heapless::String::<2048>::new();
    write!(text, "{}", Report { frame: &frame, fault_address: address + 8 }).expect("a report fits");
    assert!(text.contains("exception: page fault (vector 14, error code 0x2)"), "{text}");
    assert!(text.contains("cr2 0x00000000dead0008"), "{text}");
    assert!(text.contains("backtrace, innermost first:\n  #0 0xffffffff802"), "{text}");
    assert!(text.contains("\n  #2 0xffffffff802"), "{text}");
}

fn every_vector_is_reported_by_name(_: &mut Machine) {
    for vector in 0..interrupts::EXCEPTIONS {
        let has_error = matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30);
        let (frame, _) = seen(|| deliver(vector, has_error));
        assert_eq!(frame.vector, vector as u64);
        assert_eq!(frame.error, if has_error { 0x5678 } else { 0 });
        let mut text = heapless::String::<2048>::new();
        write!(text, "{}", Report { frame: &frame, fault_address: 0 }).expect("a report fits");
        let expected = exceptions::name(vector as u64);
        assert!(text.starts_with("exception: ") && text[11..].starts_with(expected), "{text}");
        assert_eq!(expected == "reserved", matches!(vector, 15 | 22..=27 | 31), "{vector}");
    }
}

fn exceptions_run_on_their_own_stacks(_: &mut Machine) {
    let usual = KERNEL_STACK.addresses().start;
    let own = |stack: ExceptionStack| stack.stack().addresses().start;
    assert_eq!(seen(|| fault!("ud2")).1, usual);
    assert_eq!(seen(interrupt::<2>).1, own(ExceptionStack::NonMaskable));
    assert_eq!(seen(interrupt::<18>).1, own(ExceptionStack::MachineCheck));
    let (_, stack) = seen(|| fault!("mov rax, [{address}]", address = 0xdead_0000_u64));
    assert_eq!(stack, own(ExceptionStack::PageFault));
}

/// Raises an exception that has no error code.
fn interrupt<const VECTOR: u8>() {
    // SAFETY: The hook sees the exception and resumes behind the instruction.
    unsafe { asm!("int {vector}", vector = const VECTOR, in("r13") 0) };
}

/// Enters the stub of an exception as the processor would, because `int` gives no error code.
fn deliver(vector: usize, has_error: bool) {
    let entry = interrupts::exception_entry(vector).expect("a vector of an exception");
    // SAFETY: The pushed frame is what the processor pushes; the hook resumes at its `rip`.
    unsafe {
        asm!(
            "mov r14, rsp",
            "mov r15, ss",
            "push r15",
            "push r14",
            "pushfq",
            "mov r15, cs",
            "push r15",
            "lea r15, [rip + 2f]",
            "push r15",
            "test {has_error}, {has_error}",
            "jz 3f",
            "push 0x5678",
            "3: jmp {entry}",
            "2:",
            entry = in(reg) entry,
            has_error = in(reg) u64::from(has_error),
            in("r13") 0,
            out("r14") _,
            out("r15") _,
        );
    }
}
