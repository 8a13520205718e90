//! What operators and owners do to requests that wait, and what time does.

use super::error::QueueTicketError;
use super::heap::index;
use super::request::{Dropped, Origin, QueueTicket, RejectReason, WaitingRequest};
use super::slots::{self, State};
use super::{PriorityScheduler, QUEUES_MAX, QueueId};
use crate::request::RequestPriority;
use crate::scope::NameRef;
use crate::time::Instant;

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// Takes a waiting request out, as [`RejectReason::Preempted`].
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it is in service.
    pub fn preempt_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
    ) -> Result<Dropped, QueueTicketError> {
        self.reject_request(now, ticket, RejectReason::Preempted)
    }

    /// Takes a waiting request out, for a reason of the caller's.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it is in service.
    pub fn reject_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        reason: RejectReason,
    ) -> Result<Dropped, QueueTicketError> {
        let now = self.monotonic(now);
        if let Some(place) = self.exempt.find(ticket, Self::REQUESTS) {
            return match self.exempt.slots[place].state {
                State::Waiting => Ok(self.drop_exempt(place, reason)),
                State::InService | State::Free => Err(QueueTicketError::InService),
            };
        }
        let item = slots::find(self.slots.as_flattened(), ticket).ok_or(QueueTicketError::Unknown)?;
        if self.slots.as_flattened()[index(item)].state == State::InService {
            return Err(QueueTicketError::InService);
        }
        let mut desk = self.desk_of(item).ok_or(QueueTicketError::Unknown)?;
        let dropped = desk.drop(now, item, reason);
        desk.queue.assert_identity();
        Ok(dropped)
    }

    /// Moves a waiting request to another class. It keeps its arrival and its deadline.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, if it is in service or in the exempt lane.
    pub fn requeue_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        class: RequestPriority,
    ) -> Result<(), QueueTicketError> {
        self.monotonic(now);
        if self.exempt.find(ticket, Self::REQUESTS).is_some() {
            return Err(QueueTicketError::Exempt);
        }
        let item = slots::find(self.slots.as_flattened(), ticket).ok_or(QueueTicketError::Unknown)?;
        let slot = &self.slots.as_flattened()[index(item)];
        if slot.state == State::InService {
            return Err(QueueTicketError::InService);
        }
        let old_flow = slot.flow;
        let mut desk = self.desk_of(item).ok_or(QueueTicketError::Unknown)?;
        let from = desk.class_of(item);
        if from == class.index() {
            return Ok(());
        }
        let flow = desk.flows[index(old_flow)];
        desk.leave_flow(item, from);
        desk.rest(old_flow, from);
        let name = NameRef::new(flow.name.as_str()).ok();
        let origin = Origin { tenant: flow.key.tenant, weight: flow.weight, name };
        desk.slots[index(item)].flow = desk.flow(class.index(), &origin);
        desk.join(item, class.index());
        desk.queue.classes[from].requeued_out += 1;
        desk.queue.classes[class.index()].requeued_in += 1;
        desk.queue.requeued += 1;
        desk.queue.assert_identity();
        Ok(())
    }

    /// The queue of a request that waits or is in service.
    #[must_use]
    pub fn queue_of(&self, ticket: QueueTicket) -> Option<QueueId> {
        if let Some(place) = self.exempt.find(ticket, Self::REQUESTS) {
            return self.id(self.exempt.slots[place].queue);
        }
        let item = slots::find(self.slots.as_flattened(), ticket)?;
        let flow = self.slots.as_flattened()[index(item)].flow;
        self.id(self.flows.as_flattened()[index(flow)].key.queue)
    }

    /// Rejects all that wait in a queue, with the exempt lane, and tells how many those were.
    pub fn drain(&mut self, now: Instant, queue: QueueId, dropped: &mut dyn FnMut(Dropped)) -> usize {
        let now = self.monotonic(now);
        let mut count = 0;
        if self.queue(queue).is_none() {
            return count;
        }
        while let Some(place) = self.exempt.first(queue.number) {
            dropped(self.drop_exempt(place, RejectReason::Drained));
            count += 1;
        }
        let Some(mut desk) = self.desk(queue) else { return count };
        while let Some(item) = desk.last_of_any() {
            dropped(desk.drop(now, item, RejectReason::Drained));
            count += 1;
        }
        desk.queue.assert_identity();
        count
    }

    fn drop_exempt(&mut self, place: usize, reason: RejectReason) -> Dropped {
        let ticket = self.exempt.ticket(place, Self::REQUESTS);
        let slot = &mut self.exempt.slots[place];
        slot.state = State::Free;
        let queue = &mut self.queues[usize::from(slot.queue)];
        queue.exempt.reject_waiting(reason);
        queue.rejected.count(reason);
        queue.assert_identity();
        let id = QueueId { number: slot.queue, generation: queue.generation };
        Dropped { ticket, request_id: slot.request_id, queue: id, priority: slot.class, reason }
    }

    /// Drops what cannot be answered in time any more, in every queue, and looks at agreements.
    pub fn tick(&mut self, now: Instant, dropped: &mut dyn FnMut(Dropped)) {
        let now = self.monotonic(now);
        for number in 0..u16::try_from(QUEUES_MAX).unwrap_or(u16::MAX) {
            let Some(id) = self.id(number) else { continue };
            if let Some(mut desk) = self.desk(id) {
                desk.drop_late(now, dropped);
                desk.queue.assert_identity();
                desk.judge(now);
            }
        }
    }

    /// The queues in which something waits, in a class or in the exempt lane, and service is free for it. This looks at
    /// each queue: it is for a tick, and not for the path of a request.
    pub fn ready(&self) -> impl Iterator<Item = QueueId> + '_ {
        let numbered = (0_u16..).zip(&self.queues).filter(|(_, queue)| queue.is_live && queue.is_ready());
        numbered.map(|(number, queue)| QueueId { number, generation: queue.generation })
    }

    /// When the next waiting request cannot be answered in time any more; none if none waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let slots = self.slots.as_flattened();
        let active = self.queues.iter().filter(|queue| queue.waiting > 0);
        let classes = active.flat_map(|queue| &queue.classes);
        let latest = classes.filter_map(|class| {
            let item = class.first_late(slots)?;
            Some(class.latest(&slots[index(item)]).map_or(0, |latest| latest.saturating_add(1)))
        });
        latest.min().map(Instant)
    }

    /// The requests that wait in a queue: the exempt lane, then the others, in no particular order.
    pub fn waiting(&self, queue: QueueId) -> impl Iterator<Item = WaitingRequest> + '_ {
        let number = self.queue(queue).map(|_| queue.number);
        let exempt = (0..self.exempt.slots.len()).filter_map(move |place| {
            let slot = &self.exempt.slots[place];
            (slot.state == State::Waiting && number == Some(slot.queue)).then(|| WaitingRequest {
                ticket: self.exempt.ticket(place, Self::REQUESTS),
                request_id: slot.request_id,
                priority: slot.class,
                lane: super::Lane::Exempt,
                arrival_time: Instant(slot.arrival),
                deadline: Instant(slot.deadline),
                cost_us: slot.cost_us,
                tenant: slot.tenant,
                tenant_name: slot.tenant_name,
            })
        });
        let slots = &self.slots.as_flattened()[..self.shared.free.touched()];
        let shared = slots.iter().enumerate().filter_map(move |(place, slot)| {
            if slot.state != State::Waiting {
                return None;
            }
            let flow = &self.flows.as_flattened()[index(slot.flow)];
            (number == Some(flow.key.queue)).then(|| WaitingRequest {
                ticket: slot.ticket(super::heap::link(place)),
                request_id: slot.request_id,
                priority: RequestPriority::ALL[usize::from(flow.key.class)],
                lane: super::Lane::Shared,
                arrival_time: Instant(slot.arrival),
                deadline: Instant(slot.deadline),
                cost_us: slot.cost_us,
                tenant: flow.key.tenant,
                tenant_name: flow.name,
            })
        });
        exempt.chain(shared)
    }
}
