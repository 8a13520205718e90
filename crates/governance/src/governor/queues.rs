//! Requests that wait for their service: how they get there by hand, when it is their turn, and when they are let go.

use super::holders::Holders;
use super::stages::{Destination, Entry, Settlements};
use super::{Governor, Hold, Memo, OUTCOME_EXPIRES_IN};
use crate::decision::{Decision, Reason, Verdict};
use crate::priority::{
    Dropped, Lane, Origin, PriorityError, PriorityScheduler, QueueId, QueueTicket, QueueTicketError,
    QueuedRequest, RejectReason,
};
use crate::rate_limiter::Access;
use crate::request::{Request, RequestPriority};
use crate::scope::KeyHash;
use crate::tickets::{Ticket, TicketError};
use crate::time::{Instant, Nanos, Now};
use core::fmt;

/// A request whose turn it is. It is in service until its ticket is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatched {
    /// Its ticket, by which its outcome is to be told.
    pub ticket: Ticket,
    /// Its class.
    pub priority: RequestPriority,
    /// How long it waited.
    pub waited: Nanos,
    /// When it has to be answered.
    pub deadline: Instant,
    /// Where it waited.
    pub lane: Lane,
    /// How long it still has to wait for its turn of leaky queues.
    pub turn: Nanos,
}

/// Why nothing was done with a request that waits. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingError {
    /// The ticket is not open.
    Ticket(TicketError),
    /// The request of the ticket does not wait in a queue.
    NotWaiting,
    /// The queue has refused.
    Queue(QueueTicketError),
}

impl fmt::Display for WaitingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket(error) => error.fmt(f),
            Self::NotWaiting => f.write_str("its request does not wait in a queue"),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WaitingError {}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// Decides a request as [`Governor::admit`] does, and lets it wait in the queue of its service in any case. In the
    /// [`Lane::Exempt`] nothing but the queue is asked, so that no configuration and no traffic locks the operator out;
    /// where that lane is full, it is allowed to go on at once.
    ///
    /// # Errors
    /// [`PriorityError::UnknownQueue`] if its service has no queue.
    pub fn enqueue(
        &mut self,
        now: Now,
        request: &Request<'_>,
        lane: Lane,
    ) -> Result<Decision, PriorityError> {
        let latest = self.monotonic(now);
        self.expire(latest);
        let queue = self.queue_of(request).ok_or(PriorityError::UnknownQueue)?;
        Ok(match lane {
            Lane::Shared => self.decide(now, latest, request, Access::Charge, Entry::Always),
            Lane::Exempt => {
                let decision = self.enqueue_exempt(latest, queue, request);
                self.count_exempt(latest, request, &decision);
                decision
            }
        })
    }

    /// The request of a service whose turn it is, if the service is free for it. Those that would not be done by their
    /// deadline are let go on the way.
    pub fn dequeue_next(&mut self, now: Now, queue: QueueId) -> Option<Dispatched> {
        let now = self.monotonic(now);
        self.expire(now);
        let (queues, mut held) = self.parts();
        let next = queues.dequeue_next(now.instant, queue, &mut |dropped| let_go(&mut held, now, dropped))?;
        let ticket = Ticket::from_bits(next.request_id);
        let turn = self.begin_service(now, ticket);
        Some(Dispatched {
            ticket,
            turn,
            priority: next.priority,
            waited: next.waited,
            deadline: next.deadline,
            lane: next.lane,
        })
    }

    /// Takes a request out of its queue, and gives back what was set aside for it.
    ///
    /// # Errors
    /// [`WaitingError`].
    pub fn preempt_request(&mut self, now: Now, ticket: Ticket) -> Result<(), WaitingError> {
        let (now, place) = self.waiting_place(now, ticket)?;
        let (queues, mut held) = self.parts();
        let dropped = queues.preempt_request(now.instant, place).map_err(WaitingError::Queue)?;
        let_go(&mut held, now, dropped);
        Ok(())
    }

    /// Moves a request that waits to another class.
    ///
    /// # Errors
    /// [`WaitingError`].
    pub fn requeue_request(
        &mut self,
        now: Now,
        ticket: Ticket,
        class: RequestPriority,
    ) -> Result<(), WaitingError> {
        let (now, place) = self.waiting_place(now, ticket)?;
        self.queues.requeue_request(now.instant, place, class).map_err(WaitingError::Queue)
    }

    /// Lets go of a request that waits, for a reason of the caller's.
    ///
    /// # Errors
    /// [`WaitingError`].
    pub fn reject_request(
        &mut self,
        now: Now,
        ticket: Ticket,
        reason: RejectReason,
    ) -> Result<(), WaitingError> {
        let (now, place) = self.waiting_place(now, ticket)?;
        let (queues, mut held) = self.parts();
        let dropped = queues.reject_request(now.instant, place, reason).map_err(WaitingError::Queue)?;
        let_go(&mut held, now, dropped);
        Ok(())
    }

    /// Lets go of all that wait in a queue, and tells how many they were.
    pub fn drain_queue(&mut self, now: Now, queue: QueueId) -> usize {
        let now = self.monotonic(now);
        let (queues, mut held) = self.parts();
        queues.drain(now.instant, queue, &mut |dropped| let_go(&mut held, now, dropped))
    }

    /// The queue of the service that a request is for.
    #[must_use]
    pub fn queue_of(&self, request: &Request<'_>) -> Option<QueueId> {
        self.queues.find(request.service?.as_str())
    }

    /// Lets go of what would not be done by its deadline.
    pub(super) fn tick_queues(&mut self, now: Now) {
        let (queues, mut held) = self.parts();
        queues.tick(now.instant, &mut |dropped| let_go(&mut held, now, dropped));
    }

    /// A request waits no more: what was set aside only because it waited is charged, leases begin, and its outcome is
    /// waited for from now on. Gives how long it has to wait for its turn of leaky queues.
    fn begin_service(&mut self, now: Now, ticket: Ticket) -> Nanos {
        let Some(memo) = self.tickets.memo_mut(ticket) else { return Nanos::ZERO };
        memo.waits = false;
        memo.reserves &= !memo.is_final;
        let Memo { usage, is_final, expires_in, not_before, measure, .. } = *memo;
        if is_final {
            // The price comes first: what it comes to is what the budgets are charged.
            let mut settlements = Settlements::default();
            while let Some(hold) = self.tickets.take_hold_if(ticket, Hold::is_of_an_amount) {
                self.stages().settle(now, &hold, &usage, None, &mut settlements);
            }
            self.metrics.record_charge(now, measure, settlements.posted.unwrap_or_default(), usage.tokens);
        }
        let due = now.instant.after(expires_in);
        let Self { tickets, traffic, .. } = self;
        tickets.renew(ticket, |hold| match hold {
            Hold::Call(hold) => {
                traffic.renew(now, hold);
                due
            }
            Hold::Limit(hold) => hold.lease().map_or(due, |lease| lease_due(now, lease, is_final, due)),
            _ => due,
        });
        not_before.since(now.instant)
    }

    /// Nothing is asked of it but a place in the queue.
    fn enqueue_exempt(&mut self, now: Now, queue: QueueId, request: &Request<'_>) -> Decision {
        let at_once = Decision::plain(Verdict::Allow, Reason::Exempt);
        if !self.tickets.has_room(1) {
            return at_once;
        }
        let usage = request.usage();
        let queued = QueuedRequest {
            request_id: 0,
            priority: RequestPriority::Critical,
            arrival_time: now.instant,
            sla_deadline: None,
            origin: Origin { tenant: KeyHash(0), weight: 1, name: request.tenant },
            cost_us: 0,
            lane: Lane::Exempt,
        };
        if self.queues.room(now.instant, queue, &queued, Access::Peek).is_err() {
            return at_once;
        }
        let expires_in = OUTCOME_EXPIRES_IN;
        let memo = Memo { usage, waits: true, is_final: true, expires_in, ..Memo::EMPTY };
        // It is never too late, so that it can wait for as long as there is time.
        let due = Instant(u64::MAX);
        let ticket = self.tickets.open(memo, due);
        let queued = QueuedRequest { request_id: ticket.to_bits(), ..queued };
        let place = self.queues.enqueue_request(now.instant, queue, &queued, &mut |_| {});
        self.tickets.hold(ticket, Hold::Queue(place.expect("its lane has room")), due);
        Decision { ticket: Some(ticket), ..Decision::plain(Verdict::Queue(Nanos::ZERO), Reason::Exempt) }
    }

    /// Where the request of a ticket waits.
    fn waiting_place(&mut self, now: Now, ticket: Ticket) -> Result<(Now, QueueTicket), WaitingError> {
        let now = self.monotonic(now);
        self.expire(now);
        let waits = self.tickets.look_up(ticket).map_err(WaitingError::Ticket)?.waits;
        let mut places = self.tickets.holds_of(ticket).filter_map(|hold| match hold {
            Hold::Queue(place) => Some(*place),
            _ => None,
        });
        let place = places.next().filter(|_| waits);
        place.map(|place| (now, place)).ok_or(WaitingError::NotWaiting)
    }

    /// The queues, and what gives back what the tickets of those hold that they let go.
    fn parts(&mut self) -> (&mut PriorityScheduler<TENANTS>, Holders<'_, KEYS, LOG, TENANTS>) {
        let Self { limits, quotas, budgets, costs, traffic, tickets, queues, .. } = self;
        (queues, Holders { limits, quotas, budgets, costs, traffic, tickets })
    }
}

/// The queue of the service that a request is for, and the class that it has there: its own, or else that of the
/// service's agreement.
pub(super) fn destination<const TENANTS: usize>(
    queues: &PriorityScheduler<TENANTS>,
    request: &Request<'_>,
    entry: Entry,
) -> Option<Destination> {
    if queues.is_empty() {
        return None;
    }
    let queue = queues.find(request.service?.as_str())?;
    let class = request.priority.or(queues.get_sla(queue).map(|sla| sla.priority_level));
    Some(Destination { queue, class: class.unwrap_or_default(), entry })
}

/// When the place of a request among what is in flight is given back: with the reservation ends what it is for.
pub(super) fn lease_due(now: Now, lease: Nanos, is_final: bool, due: Instant) -> Instant {
    let lease = now.instant.after(lease);
    if is_final { lease } else { lease.min(due) }
}

/// Gives back what was set aside for a request that its queue has let go.
fn let_go<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    held: &mut Holders<'_, KEYS, LOG, TENANTS>,
    now: Now,
    dropped: Dropped,
) {
    held.void(now, Ticket::from_bits(dropped.request_id));
}
