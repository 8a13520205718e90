//! The stacks, each with a page below it that is left out of the page tables: running over the end of a
//! stack is a page fault at a known address, not silent damage.

use core::cell::UnsafeCell;
use core::ops::Range;

use super::PAGE_SIZE;
use crate::bits::usize_from;

const GUARD: usize = usize_from(PAGE_SIZE);

/// The size of the stack that the kernel runs on, in bytes.
pub const KERNEL_STACK_BYTES: usize = 256 * 1024;
/// The size of each stack for exceptions that must not trust the current one, in bytes.
pub const EXCEPTION_STACK_BYTES: usize = 16 * 1024;

/// A stack of `N` bytes above its guard page.
#[repr(C, align(4096))]
pub struct Stack<const N: usize> {
    guard: [u8; GUARD],
    body: UnsafeCell<[u8; N]>,
}

// SAFETY: The body is only ever reached by the processor as a stack, and by `high_water`, which reads
// it through a raw pointer.
unsafe impl<const N: usize> Sync for Stack<N> {}

impl<const N: usize> Stack<N> {
    const fn new() -> Self {
        assert!(N.is_multiple_of(GUARD));
        Self { guard: [0; GUARD], body: UnsafeCell::new([0; N]) }
    }

    /// The addresses that can be used.
    pub fn addresses(&self) -> Range<u64> {
        let start = self.body.get() as u64;
        start..start + N as u64
    }

    /// The addresses of the guard page.
    pub fn guard(&self) -> Range<u64> {
        let start = self.guard.as_ptr() as u64;
        start..start + PAGE_SIZE
    }

    /// The bytes that the stack has ever used, by the lowest one that is no longer zero.
    pub fn high_water(&self) -> u64 {
        let words = self.body.get().cast::<u64>();
        let untouched = (0..N / 8)
            // SAFETY: The index is inside of the body, which is mapped; a volatile read of a word that the
            // processor may be writing gives one of its values, and either will do.
            .take_while(|&index| unsafe { words.add(index).read_volatile() } == 0)
            .count();
        (N - untouched * 8) as u64
    }
}

/// The stack that the kernel runs on.
#[unsafe(link_section = ".bss.early")]
pub static KERNEL_STACK: Stack<KERNEL_STACK_BYTES> = Stack::new();

/// Which exception runs on which stack of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionStack {
    /// #DF: the fault handling itself failed.
    DoubleFault,
    /// NMI: may come at any instruction.
    NonMaskable,
    /// #MC: may come at any instruction.
    MachineCheck,
    /// #PF: may be the stack itself.
    PageFault,
}

/// All exception stacks, in the order of their index in the task state segment.
pub const EXCEPTION_STACKS: [ExceptionStack; 4] = [
    ExceptionStack::DoubleFault,
    ExceptionStack::NonMaskable,
    ExceptionStack::MachineCheck,
    ExceptionStack::PageFault,
];

static STACKS: [Stack<EXCEPTION_STACK_BYTES>; EXCEPTION_STACKS.len()] =
    [const { Stack::new() }; EXCEPTION_STACKS.len()];

impl ExceptionStack {
    /// Its index in the interrupt stack table, from 0.
    #[must_use]
    pub const fn index(self) -> u16 {
        self as u16
    }

    /// The stack.
    #[must_use]
    pub fn stack(self) -> &'static Stack<EXCEPTION_STACK_BYTES> {
        &STACKS[self as usize]
    }
}

/// The guard pages below all stacks.
pub fn guards() -> impl Iterator<Item = Range<u64>> {
    core::iter::once(KERNEL_STACK.guard()).chain(STACKS.iter().map(Stack::guard))
}

/// The usable addresses of the stack that `address` lies on.
#[must_use]
pub fn containing(address: u64) -> Option<Range<u64>> {
    core::iter::once(KERNEL_STACK.addresses())
        .chain(STACKS.iter().map(Stack::addresses))
        .find(|stack| stack.contains(&address))
}
