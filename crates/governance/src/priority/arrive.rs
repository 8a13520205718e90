//! How requests come: what there is room for, who has to make room, and who starts at once.

use super::class::check_weight;
use super::desk::Desk;
use super::error::EnqueueError;
use super::exempt::ExemptSlot;
use super::flows::{self, FlowKey};
use super::heap::{Link, index};
use super::queue::Queue;
use super::request::{Dropped, Lane, Placement, QueueTicket, QueuedRequest, RejectReason, Rejection};
use super::slots::{State, nanos};
use super::{PriorityScheduler, QueueId};
use crate::rate_limiter::Access;
use crate::scope::{KeyHash, Name, NameRef};
use crate::time::{Instant, Nanos};

/// What a request asks for, with its deadline and as far as its queue is concerned.
#[derive(Clone, Copy, Debug)]
struct Asked {
    class: usize,
    tenant: KeyHash,
    weight: u32,
    arrival: Instant,
    deadline: Instant,
    cost_us: u32,
}

/// A request that has to make room, and why.
type Victim = (Link, RejectReason);

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// What there is room for. Nothing is taken: [`PriorityScheduler::start_request`] or
    /// [`PriorityScheduler::enqueue_request`] at the same time, with nothing in between, will succeed.
    ///
    /// # Errors
    /// As [`PriorityScheduler::enqueue_request`]; a rejection is counted if `access` is [`Access::Charge`].
    pub fn room(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
        access: Access,
    ) -> Result<Placement, EnqueueError> {
        let now = self.monotonic(now);
        if request.lane == Lane::Exempt {
            return self.exempt_room(queue, access);
        }
        let found = {
            let mut desk = self.desk(queue).ok_or(EnqueueError::UnknownQueue)?;
            let asked = desk.asked(now, request)?;
            match desk.find_room(now, &asked) {
                Ok(_) if desk.can_start() => Ok(Placement::Start),
                Ok(_) => Ok(Placement::Wait),
                Err(reason) if access == Access::Charge => Err(desk.turn_away(now, asked.class, reason)),
                Err(reason) => Err(reason),
            }
        };
        found.map_err(|reason| self.rejection(queue, request, reason))
    }

    /// Lets a request wait. If the queue or the pool is full, one that cannot be answered in time any more makes room,
    /// else the one with the latest deadline of the lowest class, unless the newcomer is of that class and has to go
    /// itself, as [`priority`](super) says; `dropped` is told of it.
    ///
    /// # Errors
    /// [`EnqueueError`], with a rejection if the request itself would be that one.
    pub fn enqueue_request(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
        dropped: &mut dyn FnMut(Dropped),
    ) -> Result<QueueTicket, EnqueueError> {
        let now = self.monotonic(now);
        if request.lane == Lane::Exempt {
            return self.take_exempt(now, queue, request, State::Waiting);
        }
        let taken = {
            let mut desk = self.desk(queue).ok_or(EnqueueError::UnknownQueue)?;
            let asked = desk.asked(now, request)?;
            match desk.find_room(now, &asked) {
                Ok(victim) => {
                    if let Some((item, reason)) = victim {
                        dropped(desk.drop(now, item, reason));
                    }
                    Ok(desk.enqueue(request, &asked))
                }
                Err(reason) => Err(desk.turn_away(now, asked.class, reason)),
            }
        };
        taken.map_err(|reason| self.rejection(queue, request, reason))
    }

    /// Takes a request into service at once, as if it had been dispatched without a wait.
    ///
    /// # Errors
    /// [`EnqueueError`]; [`EnqueueError::NoSlot`] if [`PriorityScheduler::room`] would not have said
    /// [`Placement::Start`].
    pub fn start_request(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
    ) -> Result<QueueTicket, EnqueueError> {
        let now = self.monotonic(now);
        if request.lane == Lane::Exempt {
            return self.take_exempt(now, queue, request, State::InService);
        }
        let taken = {
            let mut desk = self.desk(queue).ok_or(EnqueueError::UnknownQueue)?;
            let asked = desk.asked(now, request)?;
            if let Err(reason) = desk.find_room(now, &asked) {
                Err(desk.turn_away(now, asked.class, reason))
            } else if desk.can_start() {
                let ticket = desk.enqueue(request, &asked);
                // Nothing else waits.
                if let Some((item, class_index)) = desk.next() {
                    desk.dispatch(now, item, class_index);
                }
                Ok(ticket)
            } else {
                return Err(EnqueueError::NoSlot);
            }
        };
        taken.map_err(|reason| self.rejection(queue, request, reason))
    }

    /// Drops the request that would have to go for `request` if the queue were full; none if none would, as where
    /// `request` itself would be turned away. This is for a caller that has places of its own for what waits, when those
    /// are full.
    pub fn make_room(
        &mut self,
        now: Instant,
        queue: QueueId,
        request: &QueuedRequest<'_>,
    ) -> Option<Dropped> {
        let now = self.monotonic(now);
        if request.lane == Lane::Exempt {
            return None;
        }
        let mut desk = self.desk(queue)?;
        let asked = desk.asked(now, request).ok()?;
        if !desk.is_worth_a_try(now, &asked) {
            return None;
        }
        let (item, reason) = desk.find_victim(now, &asked).ok()?;
        let dropped = desk.drop(now, item, reason);
        desk.queue.assert_identity();
        Some(dropped)
    }

    fn rejection(&self, queue: QueueId, request: &QueuedRequest<'_>, reason: RejectReason) -> EnqueueError {
        let wait = self.estimate_queue_time(queue, request.priority, request.origin.tenant);
        let estimate = self
            .queue(queue)
            .map_or(Nanos::ZERO, |queue| nanos(queue.classes[request.priority.index()].estimate_us()));
        EnqueueError::Rejected(Rejection { reason, retry: wait.max(estimate) })
    }

    /// What there is room for in the exempt lane.
    fn exempt_room(&mut self, id: QueueId, access: Access) -> Result<Placement, EnqueueError> {
        let has_room = self.exempt.has_room();
        let queue = self.queue_mut(id).ok_or(EnqueueError::UnknownQueue)?;
        if has_room {
            return Ok(if queue.exempt.depth == 0 { Placement::Start } else { Placement::Wait });
        }
        if access == Access::Charge {
            turn_away_exempt(queue);
        }
        let retry = nanos(1000);
        Err(EnqueueError::Rejected(Rejection { reason: RejectReason::QueueFull, retry }))
    }

    fn take_exempt(
        &mut self,
        now: Instant,
        id: QueueId,
        request: &QueuedRequest<'_>,
        state: State,
    ) -> Result<QueueTicket, EnqueueError> {
        let placement = self.exempt_room(id, Access::Charge)?;
        if state == State::InService && placement != Placement::Start {
            return Err(EnqueueError::NoSlot);
        }
        self.shared.last_sequence += 1;
        let sequence = self.shared.last_sequence;
        let queue = self.queue_mut(id).ok_or(EnqueueError::UnknownQueue)?;
        queue.arrivals += 1;
        queue.exempt.arrivals += 1;
        match state {
            State::InService => {
                queue.served += 1;
                queue.exempt.served += 1;
                queue.exempt.in_service += 1;
            }
            State::Waiting | State::Free => queue.exempt.depth += 1,
        }
        let arrival = request.arrival_time.min(now);
        let slot = ExemptSlot {
            request_id: request.request_id,
            arrival: arrival.0,
            deadline: request.sla_deadline.unwrap_or(arrival.after(queue.sla.latency())).0,
            sequence,
            tenant: request.origin.tenant,
            tenant_name: request.origin.name.map_or(Name::EMPTY, NameRef::to_name),
            cost_us: request.cost_us,
            generation: 0,
            queue: id.number,
            class: request.priority,
            state,
        };
        queue.assert_identity();
        let place = self.exempt.take(slot).expect("there is room, as was seen above");
        Ok(self.exempt.ticket(place, Self::REQUESTS))
    }
}

fn turn_away_exempt(queue: &mut Queue) {
    queue.arrivals += 1;
    queue.exempt.arrivals += 1;
    queue.exempt.rejected.count(RejectReason::QueueFull);
    queue.rejected.count(RejectReason::QueueFull);
    queue.assert_identity();
}

impl Desk<'_> {
    /// What is wrong with a request, else what it asks for.
    fn asked(&self, now: Instant, request: &QueuedRequest<'_>) -> Result<Asked, EnqueueError> {
        check_weight(request.origin.weight).map_err(EnqueueError::Weight)?;
        let arrival = request.arrival_time.min(now);
        let deadline = request.sla_deadline.unwrap_or(arrival.after(self.queue.sla.latency()));
        if deadline < now {
            return Err(EnqueueError::DeadlinePassed);
        }
        Ok(Asked {
            class: request.priority.index(),
            tenant: request.origin.tenant,
            weight: request.origin.weight,
            arrival,
            deadline,
            cost_us: request.cost_us,
        })
    }

    /// Whether a request would be in service at once.
    fn can_start(&self) -> bool {
        self.queue.waiting == 0 && self.queue.has_free_service()
    }

    /// Whether a request can be answered in time, as far as is known.
    fn is_worth_a_try(&self, now: Instant, asked: &Asked) -> bool {
        let class = &self.queue.classes[asked.class];
        let takes = if asked.cost_us == 0 { class.judged_us() } else { asked.cost_us };
        let is_feasible = asked.deadline.0.checked_sub(nanos(takes).0).is_some_and(|latest| now.0 <= latest);
        // Where nothing is going on, one is tried whatever the estimate is: else it could never be mended.
        let is_trial = asked.cost_us == 0 && self.queue.waiting == 0 && self.queue.in_service == 0;
        is_feasible || is_trial
    }

    /// Room for a request: none has to go, or which, or why there is none.
    fn find_room(&self, now: Instant, asked: &Asked) -> Result<Option<Victim>, RejectReason> {
        if !self.is_worth_a_try(now, asked) {
            return Err(RejectReason::Infeasible);
        }
        if self.shared.free.has_room(self.slots) && self.queue.waiting < self.queue.sla.queue_depth {
            return Ok(None);
        }
        self.find_victim(now, asked).map(Some)
    }

    /// Who makes room: what cannot be answered in time any more, else the latest deadline of the lowest class. If the
    /// newcomer is of that class too, it is the one of both whose tenant has more waiting by its weight, so that nobody
    /// can fill the queue by itself; of equal ones the later deadline.
    fn find_victim(&self, now: Instant, asked: &Asked) -> Result<Victim, RejectReason> {
        if let Some(item) = self.first_late(now) {
            return Ok((item, RejectReason::Infeasible));
        }
        let lowest = self.queue.classes.iter().rposition(|class| class.depth > 0);
        let lowest = lowest.filter(|&lowest| lowest >= asked.class).ok_or(RejectReason::QueueFull)?;
        let last = self.last(lowest).ok_or(RejectReason::QueueFull)?;
        let is_before = lowest > asked.class || self.goes_before(asked, last);
        if is_before { Ok((last, RejectReason::Shed)) } else { Err(RejectReason::QueueFull) }
    }

    /// Whether a newcomer takes the place of a waiting request of its class.
    fn goes_before(&self, asked: &Asked, last: Link) -> bool {
        let last = &self.slots[index(last)];
        let is_earlier = asked.deadline.0 < last.deadline;
        let other = &self.flows[index(last.flow)];
        if other.key.tenant == asked.tenant {
            return is_earlier;
        }
        let key = FlowKey { tenant: asked.tenant, ..other.key };
        let own = flows::find(self.flows, self.heads, key).map_or(0, |own| self.flows[index(own)].waiting);
        let own = (u64::from(own) + 1) * u64::from(other.weight);
        let others = u64::from(other.waiting) * u64::from(asked.weight);
        own < others || (own == others && is_earlier)
    }

    /// Counts a request that does not even wait.
    fn turn_away(&mut self, now: Instant, class: usize, reason: RejectReason) -> RejectReason {
        self.queue.classes[class].arrivals += 1;
        self.queue.arrivals += 1;
        self.reject(now, class, reason);
        self.queue.assert_identity();
        reason
    }

    /// Lets a request wait, for which there is room.
    fn enqueue(&mut self, request: &QueuedRequest<'_>, asked: &Asked) -> QueueTicket {
        let flow = self.flow(asked.class, &request.origin);
        let item = self.shared.free.take(self.slots);
        self.shared.last_sequence += 1;
        let slot = &mut self.slots[index(item)];
        slot.deadline = asked.deadline.0;
        // It is feasible, so that this is exact.
        slot.latest = asked.deadline.0.saturating_sub(nanos(asked.cost_us).0);
        slot.sequence = self.shared.last_sequence;
        slot.arrival = asked.arrival.0;
        slot.request_id = request.request_id;
        slot.cost_us = asked.cost_us;
        slot.flow = flow;
        slot.state = State::Waiting;
        slot.competitors = 0;
        let ticket = slot.ticket(item);
        self.join(item, asked.class);
        let queue = &mut *self.queue;
        queue.arrivals += 1;
        queue.classes[asked.class].arrivals += 1;
        queue.assert_identity();
        ticket
    }
}
