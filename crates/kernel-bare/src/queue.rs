//! A byte queue between one interrupt handler and the main loop, in safe code.
//!
//! Each slot is an atomic, so neither side can tear or race the other; the indices only order the slots.
//! One producer and one consumer is a rule of use, not of safety: breaking it loses bytes, not memory.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A ring of `N` bytes; `N` is a power of two and all of it can be used.
pub struct ByteQueue<const N: usize> {
    slots: [AtomicU8; N],
    /// Bytes ever taken out. Only the consumer stores it.
    head: AtomicUsize,
    /// Bytes ever put in. Only the producer stores it.
    tail: AtomicUsize,
}

impl<const N: usize> ByteQueue<N> {
    const MASK: usize = {
        assert!(N.is_power_of_two(), "the counters wrap, so the capacity must divide their range");
        N - 1
    };

    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [const { AtomicU8::new(0) }; N], head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }

    /// The number of bytes in the queue.
    pub fn len(&self) -> usize {
        self.tail.load(Ordering::Acquire).wrapping_sub(self.head.load(Ordering::Acquire))
    }

    /// Whether nothing is in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.len() == N
    }

    /// Producer: puts `byte` in, or gives it back if the queue is full.
    ///
    /// # Errors
    ///
    /// The byte, if the queue is full.
    pub fn push(&self, byte: u8) -> Result<(), u8> {
        if self.is_full() {
            return Err(byte);
        }
        let tail = self.tail.load(Ordering::Relaxed);
        self.slots[tail & Self::MASK].store(byte, Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Consumer: takes the oldest byte out.
    pub fn pop(&self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let head = self.head.load(Ordering::Relaxed);
        let byte = self.slots[head & Self::MASK].load(Ordering::Relaxed);
        self.head.store(head.wrapping_add(1), Ordering::Release);
        Some(byte)
    }

    /// Consumer: takes the oldest byte equal to `wanted` out of the middle; all others keep their order.
    pub fn remove_first(&self, wanted: u8) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        let slot = |index: usize| &self.slots[head.wrapping_add(index) & Self::MASK];
        let Some(found) = (0..self.len()).find(|&index| slot(index).load(Ordering::Relaxed) == wanted) else {
            return false;
        };
        // The slots between head and tail belong to the consumer: close the gap from the front.
        for index in (0..found).rev() {
            slot(index + 1).store(slot(index).load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.head.store(head.wrapping_add(1), Ordering::Release);
        true
    }
}

impl<const N: usize> Default for ByteQueue<N> {
    fn default() -> Self {
        Self::new()
    }
}
