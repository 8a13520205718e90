//! The exempt lane: a few places that traffic cannot take, for what an operator asks.

use super::request::{QueueTicket, RejectReason};
use super::slots::State;
use super::{EXEMPT_SLOTS, metrics::ExemptMetrics, metrics::Rejections};
use crate::request::RequestPriority;
use crate::scope::{KeyHash, Name};

impl ExemptMetrics {
    pub(super) const ZERO: Self =
        Self { depth: 0, in_service: 0, arrivals: 0, served: 0, rejected: Rejections::ZERO };
}

/// A request of the exempt lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExemptSlot {
    pub(super) request_id: u64,
    pub(super) arrival: u64,
    pub(super) deadline: u64,
    pub(super) sequence: u64,
    pub(super) tenant: KeyHash,
    pub(super) tenant_name: Name,
    pub(super) cost_us: u32,
    pub(super) generation: u32,
    pub(super) queue: u16,
    pub(super) class: RequestPriority,
    pub(super) state: State,
}

impl ExemptSlot {
    pub(super) const EMPTY: Self = Self {
        request_id: 0,
        arrival: 0,
        deadline: 0,
        sequence: 0,
        tenant: KeyHash(0),
        tenant_name: Name::EMPTY,
        cost_us: 0,
        generation: 0,
        queue: 0,
        class: RequestPriority::Critical,
        state: State::Free,
    };
}

/// The lane of a scheduler, shared by its queues. All-zero when empty.
#[derive(Debug)]
pub(super) struct ExemptLane {
    pub(super) slots: [ExemptSlot; EXEMPT_SLOTS],
}

impl ExemptLane {
    pub(super) const EMPTY: Self = Self { slots: [ExemptSlot::EMPTY; EXEMPT_SLOTS] };

    /// Forgets all requests. Their names are not used again.
    pub(super) fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.state = State::Free);
    }

    pub(super) fn used(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state != State::Free).count()
    }

    pub(super) fn has_room(&self) -> bool {
        self.used() < EXEMPT_SLOTS
    }

    /// Takes a request in, if there is room.
    pub(super) fn take(&mut self, request: ExemptSlot) -> Option<usize> {
        let place = self.slots.iter().position(|slot| slot.state == State::Free)?;
        let generation = self.slots[place].generation.wrapping_add(1).max(1);
        self.slots[place] = ExemptSlot { generation, ..request };
        Some(place)
    }

    /// The waiting request of a queue that came first.
    pub(super) fn first(&self, queue: u16) -> Option<usize> {
        let waiting = |slot: &ExemptSlot| slot.state == State::Waiting && slot.queue == queue;
        let places = (0..EXEMPT_SLOTS).filter(|&place| waiting(&self.slots[place]));
        places.min_by_key(|&place| self.slots[place].sequence)
    }

    /// The place of a request that is not over. The lane's slots are numbered after `pool` others.
    pub(super) fn find(&self, ticket: QueueTicket, pool: usize) -> Option<usize> {
        let place = usize::try_from(ticket.slot).ok()?.checked_sub(pool)?;
        let slot = self.slots.get(place)?;
        (slot.generation == ticket.generation && slot.state != State::Free).then_some(place)
    }

    pub(super) fn ticket(&self, place: usize, pool: usize) -> QueueTicket {
        let slot = u32::try_from(pool + place).unwrap_or(u32::MAX);
        QueueTicket { slot, generation: self.slots[place].generation }
    }
}

impl ExemptMetrics {
    pub(super) const fn reject_waiting(&mut self, reason: RejectReason) {
        self.depth -= 1;
        self.rejected.count(reason);
    }
}
