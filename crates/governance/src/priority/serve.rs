//! How requests are served: whose turn it is, and what is learnt when the service is over.

use super::desk::Desk;
use super::error::QueueTicketError;
use super::flows::ByTag;
use super::heap::{Link, index};
use super::request::{Dispatch, Dropped, Lane, QueueTicket, RejectReason, ServiceReport};
use super::slots::{self, ByUrgency, State};
use super::window::Outcome;
use super::{PriorityScheduler, QueueId};
use crate::request::RequestPriority;
use crate::time::{Instant, Nanos};

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// The request whose turn it is, if not as many are in service as may be. Those that cannot be answered in time any
    /// more are dropped on the way, and the exempt lane goes first.
    pub fn dequeue_next(
        &mut self,
        now: Instant,
        queue: QueueId,
        dropped: &mut dyn FnMut(Dropped),
    ) -> Option<Dispatch> {
        let now = self.monotonic(now);
        if self.queue(queue)?.exempt.depth > 0 {
            return self.dispatch_exempt(now, queue);
        }
        let mut desk = self.desk(queue)?;
        if !desk.queue.has_free_service() {
            return None;
        }
        while let Some((item, class_index)) = desk.next() {
            if desk.queue.classes[class_index].is_late(&desk.slots[index(item)], now) {
                dropped(desk.drop(now, item, RejectReason::Infeasible));
            } else {
                return Some(desk.dispatch(now, item, class_index));
            }
        }
        None
    }

    fn dispatch_exempt(&mut self, now: Instant, id: QueueId) -> Option<Dispatch> {
        let place = self.exempt.first(id.number)?;
        let ticket = self.exempt.ticket(place, Self::REQUESTS);
        let slot = &mut self.exempt.slots[place];
        slot.state = State::InService;
        let slot = *slot;
        let queue = self.queue_mut(id)?;
        queue.exempt.depth -= 1;
        queue.exempt.in_service += 1;
        queue.exempt.served += 1;
        queue.served += 1;
        queue.assert_identity();
        Some(Dispatch {
            ticket,
            request_id: slot.request_id,
            priority: slot.class,
            waited: now.since(Instant(slot.arrival)),
            deadline: Instant(slot.deadline),
            lane: Lane::Exempt,
            cost_us: 0,
        })
    }

    /// Ends the service of a request, and corrects what its class and its tenant were charged.
    ///
    /// # Errors
    /// [`QueueTicketError`] if there is no such request, or if it waits.
    pub fn complete_request(
        &mut self,
        now: Instant,
        ticket: QueueTicket,
        report: &ServiceReport,
    ) -> Result<(), QueueTicketError> {
        let now = self.monotonic(now);
        if let Some(place) = self.exempt.find(ticket, Self::REQUESTS) {
            if self.exempt.slots[place].state == State::Waiting {
                return Err(QueueTicketError::Waiting);
            }
            self.end_exempt(place);
            return Ok(());
        }
        let item = slots::find(self.slots.as_flattened(), ticket).ok_or(QueueTicketError::Unknown)?;
        let slot = self.slots.as_flattened()[index(item)];
        if slot.state == State::Waiting {
            return Err(QueueTicketError::Waiting);
        }
        let Some(mut desk) = self.desk_of(item) else { return Err(QueueTicketError::Unknown) };
        let measured = now.since(Instant(slot.began)).0 / 1000;
        let service_us = report.service_us.unwrap_or(measured);
        let actual_us = charge(service_us);
        let class_index = desk.class_of(item);
        desk.correct(item, class_index, actual_us);
        desk.queue.classes[class_index].learn(actual_us);
        desk.queue.classes[class_index].completed += 1;
        desk.end_service(item, class_index);
        let waited = Instant(slot.began).since(Instant(slot.arrival));
        let latency = Nanos(waited.0.saturating_add(service_us.saturating_mul(1000)));
        let is_slow = latency > desk.queue.sla.latency();
        desk.record(now, Outcome { is_slow, is_error: report.is_error });
        Ok(())
    }

    /// Gives a request up: one that waits is rejected as [`RejectReason::Cancelled`], one in service ends without a
    /// trace in estimates and agreements, and is charged for the time that it was in service.
    ///
    /// # Errors
    /// [`QueueTicketError::Unknown`].
    pub fn cancel(&mut self, now: Instant, ticket: QueueTicket) -> Result<(), QueueTicketError> {
        match self.reject_request(now, ticket, RejectReason::Cancelled) {
            Err(QueueTicketError::InService) => {}
            other => return other.map(|_| ()),
        }
        if let Some(place) = self.exempt.find(ticket, Self::REQUESTS) {
            self.end_exempt(place);
            return Ok(());
        }
        let item = slots::find(self.slots.as_flattened(), ticket).ok_or(QueueTicketError::Unknown)?;
        let now = self.monotonic(now);
        let Some(mut desk) = self.desk_of(item) else { return Err(QueueTicketError::Unknown) };
        let class_index = desk.class_of(item);
        let in_service = now.since(Instant(desk.slots[index(item)].began)).0 / 1000;
        desk.correct(item, class_index, charge(in_service));
        desk.end_service(item, class_index);
        Ok(())
    }

    fn end_exempt(&mut self, place: usize) {
        let slot = &mut self.exempt.slots[place];
        slot.state = State::Free;
        self.queues[usize::from(slot.queue)].exempt.in_service -= 1;
    }
}

/// What is charged for so many microseconds of service.
fn charge(service_us: u64) -> u32 {
    u32::try_from(service_us).unwrap_or(u32::MAX).max(1)
}

impl Desk<'_> {
    /// The request whose turn it is, and its class.
    #[inline]
    pub(super) fn next(&self) -> Option<(Link, usize)> {
        let class_index = self.queue.next_class()?;
        let flow = self.queue.classes[class_index].flows.first(&ByTag(&*self.flows));
        Some((self.flows[index(flow)].urgent.first(&ByUrgency(&*self.slots)), class_index))
    }

    /// Takes the request whose turn it is into service.
    pub(super) fn dispatch(&mut self, now: Instant, item: Link, class_index: usize) -> Dispatch {
        let competitors = self.queue.competitors();
        let slot = &self.slots[index(item)];
        let class = &self.queue.classes[class_index];
        // Nobody is held to more than the agreement before it is known to have been taken.
        let cost_us =
            if slot.cost_us == 0 { class.estimate_us() } else { slot.cost_us.min(class.latency_us) };
        let flow_item = slot.flow;
        self.shared.last_turn += 1;
        let turn = self.shared.last_turn;
        self.queue.charge(class_index, cost_us, turn);
        self.queue.count_competition(class_index, competitors, cost_us);
        self.leave(item, class_index);
        self.charge_flow(flow_item, class_index, cost_us, turn);

        let slot = &mut self.slots[index(item)];
        slot.state = State::InService;
        slot.began = now.0;
        slot.cost_us = cost_us;
        (slot.competitors, slot.weights) = (competitors, self.queue.weights);
        let waited = now.since(Instant(slot.arrival));
        let dispatch = Dispatch {
            ticket: slot.ticket(item),
            request_id: slot.request_id,
            priority: RequestPriority::ALL[class_index],
            waited,
            deadline: Instant(slot.deadline),
            lane: Lane::Shared,
            cost_us,
        };
        self.flows[index(flow_item)].in_service += 1;
        let class = &mut self.queue.classes[class_index];
        class.in_service += 1;
        class.served += 1;
        class.wait_total += u128::from(waited.0);
        self.queue.in_service += 1;
        self.queue.in_service_us += u64::from(cost_us);
        self.queue.served += 1;
        self.record_wait(class_index, waited);
        self.queue.assert_identity();
        dispatch
    }

    /// Gives the flow that is next its turn, and charges it.
    fn charge_flow(&mut self, item: Link, class_index: usize, cost_us: u32, turn: u64) {
        let class = &mut self.queue.classes[class_index];
        class.flows.remove(&mut ByTag(&mut *self.flows), item);
        let flow = &mut self.flows[index(item)];
        class.virtual_time = flow.tag;
        flow.tag += u128::from(u64::from(cost_us) * u64::from(flow.stride));
        flow.turn = turn;
        class.highest = class.highest.max(flow.tag);
        if flow.waiting > 0 {
            class.flows.insert(&mut ByTag(&mut *self.flows), item);
        }
    }

    fn record_wait(&mut self, class_index: usize, waited: Nanos) {
        let class = &mut self.queue.classes[class_index];
        if class.histogram == 0 {
            let free = self.shared.histograms.trailing_ones();
            if free as usize >= self.histograms.len() {
                return;
            }
            self.shared.histograms |= 1 << free;
            self.histograms[free as usize].clear();
            class.histogram = u8::try_from(free + 1).unwrap_or(0);
        }
        if let Some(histogram) = self.histograms.get_mut(usize::from(class.histogram) - 1) {
            histogram.record(waited.0 / 1000);
        }
    }

    /// Charges class and flow for what a request has really taken.
    fn correct(&mut self, item: Link, class_index: usize, actual_us: u32) {
        let slot = &self.slots[index(item)];
        let (flow_item, charged_us) = (slot.flow, slot.cost_us);
        if actual_us == charged_us {
            return;
        }
        // What was served under other weights is no part of the shares under these.
        let competitors = if slot.weights == self.queue.weights { slot.competitors } else { 0 };
        self.queue.correct(class_index, competitors, charged_us, actual_us);
        let class = &mut self.queue.classes[class_index];
        let is_waiting = self.flows[index(flow_item)].waiting > 0;
        if is_waiting {
            class.flows.remove(&mut ByTag(&mut *self.flows), flow_item);
        }
        let flow = &mut self.flows[index(flow_item)];
        let moved = u128::from(u64::from(actual_us.abs_diff(charged_us)) * u64::from(flow.stride));
        if actual_us > charged_us {
            flow.tag += moved;
            class.highest = class.highest.max(flow.tag);
        } else {
            flow.tag = flow.tag.saturating_sub(moved);
        }
        if is_waiting {
            flow.tag = flow.tag.max(class.virtual_time);
            class.flows.insert(&mut ByTag(&mut *self.flows), flow_item);
        }
    }

    /// A request is in service no more, and over.
    fn end_service(&mut self, item: Link, class_index: usize) {
        let slot = &self.slots[index(item)];
        let (flow, charged) = (slot.flow, slot.cost_us);
        self.flows[index(flow)].in_service -= 1;
        self.queue.in_service_us -= u64::from(charged);
        self.queue.classes[class_index].in_service -= 1;
        self.queue.in_service -= 1;
        self.shared.free.give_back(self.slots, item);
        self.rest(flow, class_index);
    }
}
