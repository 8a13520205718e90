//! The kernel's ways to share state: [`SpinLock`] for what the event loop works on, [`IrqMutex`] for what is
//! changed in a moment from several places, [`SetOnce`] for what is set during start-up and then only read,
//! [`TakeOnce`] for a static buffer that gets one owner.
//!
//! Interrupt handlers use none of the locks: they touch atomics and [`crate::queue::ByteQueue`] only.
//! No lock is held while another one is taken.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use x86_64::instructions::interrupts;

/// A lock that is held with interrupts on, for as long as a command takes. Interrupt handlers never take it.
pub struct SpinLock<T> {
    inner: spin::mutex::SpinMutex<T>,
}

impl<T> SpinLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { inner: spin::mutex::SpinMutex::new(value) }
    }

    /// Waits for the lock and takes it.
    pub fn lock(&self) -> impl DerefMut<Target = T> + '_ {
        self.inner.lock()
    }
}

/// A lock that keeps interrupts off while it is held and restores them after.
///
/// On one core it can therefore only be found held by an exception or a non-maskable interrupt, which must
/// use [`IrqMutex::try_lock`].
pub struct IrqMutex<T> {
    inner: spin::mutex::SpinMutex<T>,
}

impl<T> IrqMutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { inner: spin::mutex::SpinMutex::new(value) }
    }

    /// Waits for the lock and takes it.
    pub fn lock(&self) -> IrqGuard<'_, T> {
        let interrupts = SavedInterrupts::disable();
        IrqGuard { value: self.inner.lock(), _interrupts: interrupts }
    }

    /// Takes the lock unless it is held.
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T>> {
        let interrupts = SavedInterrupts::disable();
        self.inner.try_lock().map(|value| IrqGuard { value, _interrupts: interrupts })
    }
}

/// The right to use what an [`IrqMutex`] protects. Fields are dropped in order: first the lock is released,
/// then interrupts come back.
pub struct IrqGuard<'a, T> {
    value: spin::mutex::SpinMutexGuard<'a, T>,
    _interrupts: SavedInterrupts,
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Interrupts are off while this lives, and then what they were before.
struct SavedInterrupts {
    were_enabled: bool,
}

impl SavedInterrupts {
    fn disable() -> Self {
        let were_enabled = interrupts::are_enabled();
        interrupts::disable();
        Self { were_enabled }
    }
}

impl Drop for SavedInterrupts {
    fn drop(&mut self) {
        if self.were_enabled {
            interrupts::enable();
        }
    }
}

/// A static that is given its value once, at run time.
pub struct SetOnce<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const SET: u8 = 2;

// SAFETY: The cell is written by the one caller that moves `state` from EMPTY to WRITING, and read only after
// SET was observed with Acquire, which the writer stored with Release after the write. From then on only
// shared references exist. `T: Send` lets the value be made in one context, `T: Sync` lets it be read in all.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// A static without a value.
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Gives the static its value.
    ///
    /// # Panics
    ///
    /// If it has one already: start-up does each step once.
    pub fn set(&self, value: T) -> &T {
        let claimed = self.state.compare_exchange(EMPTY, WRITING, Ordering::Acquire, Ordering::Relaxed);
        assert!(claimed.is_ok(), "a start-up step ran twice");
        // SAFETY: This caller moved the state away from EMPTY, so nobody else writes; nobody reads before SET.
        let written = unsafe { &mut *self.value.get() }.write(value);
        self.state.store(SET, Ordering::Release);
        written
    }

    /// The value, once it is set.
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: SET was stored after the value was written, and no exclusive reference is made after that.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A static that is handed out once, for ever, to be changed by its one owner.
pub struct TakeOnce<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: The cell is reached only through `take`, which succeeds for one caller; `T: Send` lets that caller
// be any context.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    /// A static holding `value`.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The exclusive reference, to the first caller.
    #[expect(clippy::mut_from_ref, reason = "only one caller ever gets it")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: The swap returned false once in the life of the kernel, here; no other reference is ever made.
        Some(unsafe { &mut *self.value.get() })
    }
}
