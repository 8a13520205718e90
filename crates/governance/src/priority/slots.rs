//! Requests that wait or are in service: what is kept of one, and the orders in which they wait.

use super::heap::{Arena, Link, Node, Ordered, index, link};
use super::request::QueueTicket;
use crate::time::Nanos;
use core::ops::Deref;

/// How a slot is used. Its first variant is that of an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Waiting,
    InService,
}

/// A request. Its places among others lie in the first line of a cache, since neighbours touch only those.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    /// In its flow, earliest deadline first.
    pub(super) urgency: Node,
    /// In its class, first that cannot be answered in time any more first.
    pub(super) expiry: Node,
    /// In its class, latest deadline first.
    pub(super) shedding: Node,
    /// In its class, earliest arrival first.
    pub(super) age: Node,
    pub(super) deadline: u64,
    /// The last time at which it can be dispatched and still be answered in time; its deadline, as long as how long it
    /// takes is its class's estimate.
    pub(super) latest: u64,
    /// In which order requests came, over all queues.
    pub(super) sequence: u64,
    pub(super) arrival: u64,
    pub(super) request_id: u64,
    /// When it was dispatched.
    pub(super) began: u64,
    pub(super) flow: Link,
    /// While it waits, what it declared to take, or 0; in service, what was charged for it. In microseconds.
    pub(super) cost_us: u32,
    /// Which request of this slot it is; the first is 1, so that 0 is none.
    pub(super) generation: u32,
    pub(super) state: State,
    /// The classes that competed when it was dispatched, one bit for each; 0 if it was alone.
    pub(super) competitors: u8,
    /// Which weights they competed by.
    pub(super) weights: u16,
}

const _: () = assert!(size_of::<Slot>() == 128, "a slot takes two lines of a cache");

impl Slot {
    pub(super) const EMPTY: Self = Self {
        urgency: Node::NONE,
        expiry: Node::NONE,
        shedding: Node::NONE,
        age: Node::NONE,
        deadline: 0,
        latest: 0,
        sequence: 0,
        arrival: 0,
        request_id: 0,
        began: 0,
        flow: 0,
        cost_us: 0,
        generation: 0,
        state: State::Free,
        competitors: 0,
        weights: 0,
    };

    pub(super) fn ticket(&self, item: Link) -> QueueTicket {
        QueueTicket { slot: item - 1, generation: self.generation }
    }
}

/// A length of microseconds in nanoseconds.
pub(super) const fn nanos(micros: u32) -> Nanos {
    Nanos(micros as u64 * 1000)
}

/// Slots that were given back, chained through their flow, and how many have ever been used.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeSlots {
    first: Link,
    touched: u32,
    pub(super) used: u32,
}

impl FreeSlots {
    pub(super) const ALL: Self = Self { first: 0, touched: 0, used: 0 };

    pub(super) const fn touched(&self) -> usize {
        self.touched as usize
    }

    pub(super) const fn has_room(&self, slots: &[Slot]) -> bool {
        (self.used as usize) < slots.len()
    }

    /// A slot for a request, as the one after the last that was there.
    pub(super) fn take(&mut self, slots: &mut [Slot]) -> Link {
        let item = if self.first != 0 {
            let item = self.first;
            self.first = slots[index(item)].flow;
            item
        } else {
            self.touched += 1;
            self.touched
        };
        self.used += 1;
        let slot = &mut slots[index(item)];
        slot.generation = slot.generation.wrapping_add(1).max(1);
        item
    }

    pub(super) fn give_back(&mut self, slots: &mut [Slot], item: Link) {
        let slot = &mut slots[index(item)];
        slot.state = State::Free;
        slot.flow = core::mem::replace(&mut self.first, item);
        self.used -= 1;
    }
}

/// The slot that a ticket names, if it is still that request's.
pub(super) fn find(slots: &[Slot], ticket: QueueTicket) -> Option<Link> {
    let place = usize::try_from(ticket.slot).ok()?;
    let slot = slots.get(place)?;
    (slot.generation == ticket.generation && slot.state != State::Free).then(|| link(place))
}

/// What is ordered by time, and in the order of arrival where that is equal.
#[inline]
fn key(time: u64, sequence: u64) -> u128 {
    u128::from(time) << 64 | u128::from(sequence)
}

macro_rules! order {
    ($(#[$doc:meta])* $name:ident, $node:ident, |$slot:ident| $key:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[repr(transparent)]
        pub(super) struct $name<S>(pub(super) S);

        impl<S: Deref<Target = [Slot]>> Ordered for $name<S> {
            type Key = u128;

            #[inline]
            fn key(&self, item: Link) -> u128 {
                let $slot = &self.0[index(item)];
                $key
            }

            #[inline]
            fn goes_before(a: u128, b: u128) -> bool {
                a < b
            }
        }

        impl Arena for $name<&mut [Slot]> {
            #[inline]
            fn node(&self, item: Link) -> &Node {
                &self.0[index(item)].$node
            }

            #[inline]
            fn node_mut(&mut self, item: Link) -> &mut Node {
                &mut self.0[index(item)].$node
            }
        }
    };
}

order!(
    /// The earliest deadline first, and of equal ones the request that came first.
    ByUrgency,
    urgency,
    |slot| key(slot.deadline, slot.sequence)
);
order!(
    /// The one first that is the first to be too late.
    ByExpiry,
    expiry,
    |slot| key(slot.latest, slot.sequence)
);
order!(
    /// The latest deadline first, and of equal ones the request that came last.
    ByShedding,
    shedding,
    |slot| !key(slot.deadline, slot.sequence)
);
order!(
    /// The earliest arrival first.
    ByAge,
    age,
    |slot| key(slot.arrival, slot.sequence)
);

#[cfg(test)]
mod tests {
    use super::{FreeSlots, Slot, State, find};

    #[test]
    fn a_ticket_finds_its_request_and_no_later_one_of_its_slot() {
        let mut slots = [Slot::EMPTY; 2];
        let mut free = FreeSlots::ALL;
        let first = free.take(&mut slots);
        slots[0].state = State::Waiting;
        let ticket = slots[0].ticket(first);
        assert_eq!((ticket.to_string().as_str(), find(&slots, ticket)), ("0-1", Some(first)));
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        free.give_back(&mut slots, first);
        assert_eq!(find(&slots, ticket), None);
        assert_eq!(free.take(&mut slots), first);
        slots[0].state = State::Waiting;
        assert_eq!(find(&slots, ticket), None, "its slot was used again");
        assert!(free.has_room(&slots));
        free.take(&mut slots);
        assert!(!free.has_room(&slots));
    }

    #[test]
    fn the_generation_0_is_never_used() {
        let mut slots = [Slot { generation: u32::MAX, ..Slot::EMPTY }];
        let mut free = FreeSlots::ALL;
        free.take(&mut slots);
        assert_eq!(slots[0].generation, 1);
        for text in ["", "1", "1-", "-1", "+1-1", "1-1-1", "4294967296-1"] {
            assert!(text.parse::<super::QueueTicket>().is_err(), "{text:?}");
        }
    }
}
