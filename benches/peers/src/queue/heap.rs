//! A heap in which a more urgent class always goes first, and within it the earlier deadline.

use super::{DONE_WITHIN, Entry, Queue};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The heap. It knows nothing of tenants.
#[derive(Default)]
pub struct Heap {
    waiting: BinaryHeap<Reverse<Key>>,
    sequence: u64,
}

/// What waits, in the order in which it is served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    class: usize,
    deadline: u64,
    sequence: u64,
    tenant: usize,
}

impl Queue for Heap {
    type Taken = Key;

    #[inline]
    fn enqueue(&mut self, now: u64, entry: Entry) {
        let Entry { tenant, class, deadline } = entry;
        let deadline = deadline.unwrap_or(now + DONE_WITHIN);
        self.waiting.push(Reverse(Key { class, deadline, sequence: self.sequence, tenant }));
        self.sequence += 1;
    }

    #[inline]
    fn dequeue(&mut self, _now: u64) -> Key {
        self.waiting.pop().expect("something waits").0
    }

    fn flow(taken: Key) -> (usize, usize) {
        (taken.tenant, taken.class)
    }

    fn complete(&mut self, _now: u64, _taken: Key) {}
}
