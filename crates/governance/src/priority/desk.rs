//! One queue, with what its requests and tenants lie in: how a request comes to wait, and how it goes.

use super::flows::{ByTag, FlowKey, FlowLists, Flows, rescale, stride};
use super::heap::{Link, index};
use super::metrics::SlaNotice;
use super::queue::Queue;
use super::request::{Dropped, Origin, RejectReason};
use super::slots::{ByAge, ByExpiry, ByShedding, ByUrgency, FreeSlots, Slot};
use super::window::Outcome;
use super::{HISTOGRAMS_MAX, QueueId, SLA_NOTICES_MAX};
use crate::histogram::Histogram;
use crate::notice::Notices;
use crate::request::RequestPriority;
use crate::scope::{KeyHash, Name};
use crate::time::Instant;

/// What is counted over all queues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) free: FreeSlots,
    pub(super) flows: FlowLists,
    pub(super) last_sequence: u64,
    pub(super) last_turn: u64,
    /// Which histograms are in use, one bit for each.
    pub(super) histograms: u64,
}

const _: () = assert!(HISTOGRAMS_MAX <= 64, "one bit for each histogram");

impl Shared {
    pub(super) const EMPTY: Self =
        Self { free: FreeSlots::ALL, flows: FlowLists::EMPTY, last_sequence: 0, last_turn: 0, histograms: 0 };
}

/// A queue and the arenas.
pub(super) struct Desk<'a> {
    pub(super) id: QueueId,
    pub(super) queue: &'a mut Queue,
    pub(super) slots: &'a mut [Slot],
    pub(super) flows: &'a mut [super::flows::Flow],
    pub(super) heads: &'a mut [Link],
    pub(super) histograms: &'a mut [Histogram; HISTOGRAMS_MAX],
    pub(super) shared: &'a mut Shared,
    pub(super) notices: &'a mut Notices<SlaNotice, SLA_NOTICES_MAX>,
}

impl Desk<'_> {
    /// The flow of a tenant in a class, which is known from now on.
    pub(super) fn flow(&mut self, class: usize, origin: &Origin<'_>) -> Link {
        let name = || origin.name.map_or(Name::EMPTY, crate::scope::NameRef::to_name);
        let item = self.obtain(class, origin.tenant, name);
        if self.flows[index(item)].weight != origin.weight {
            self.reweigh(item, class, origin.weight);
        }
        item
    }

    /// Changes how a flow weighs from now on; what it owes stays the same amount of service.
    fn reweigh(&mut self, item: Link, class_index: usize, weight: u32) {
        let class = &mut self.queue.classes[class_index];
        let is_waiting = self.flows[index(item)].waiting > 0;
        if is_waiting {
            class.flows.remove(&mut ByTag(&mut *self.flows), item);
        }
        let flow = &mut self.flows[index(item)];
        let new = stride(weight);
        flow.tag = rescale(flow.tag, class.virtual_time, flow.stride, new);
        class.highest = class.highest.max(flow.tag);
        let old = core::mem::replace(&mut flow.weight, weight);
        flow.stride = new;
        if is_waiting {
            class.flow_weight = class.flow_weight - u64::from(old) + u64::from(weight);
            class.flows.insert(&mut ByTag(&mut *self.flows), item);
        }
    }

    fn obtain(&mut self, class: usize, tenant: KeyHash, name: impl FnOnce() -> Name) -> Link {
        let class = u8::try_from(class).unwrap_or(u8::MAX);
        let key = FlowKey { tenant, queue: self.id.number, class };
        let Shared { flows: lists, last_turn, .. } = &mut *self.shared;
        Flows { all: self.flows, heads: self.heads, lists }.obtain(key, last_turn, name)
    }

    fn flow_lists(&mut self) -> Flows<'_> {
        Flows { all: self.flows, heads: self.heads, lists: &mut self.shared.flows }
    }

    /// The class of a request.
    pub(super) fn class_of(&self, item: Link) -> usize {
        usize::from(self.flows[index(self.slots[index(item)].flow)].key.class)
    }

    /// A request begins to wait in its flow and in the flow's class.
    pub(super) fn join(&mut self, item: Link, class_index: usize) {
        let slot = &self.slots[index(item)];
        let (flow_item, cost) = (slot.flow, slot.cost_us);
        if self.flows[index(flow_item)].is_idle() {
            self.flow_lists().unlist_idle(flow_item);
        }
        let class = &mut self.queue.classes[class_index];
        let flow = &mut self.flows[index(flow_item)];
        flow.urgent.insert(&mut ByUrgency(&mut *self.slots), item);
        flow.waiting += 1;
        flow.declared_us += u64::from(cost);
        flow.undeclared += u32::from(cost == 0);
        if flow.waiting == 1 {
            flow.tag = flow.tag.max(class.virtual_time);
            class.flow_weight += u64::from(flow.weight);
            class.flows.insert(&mut ByTag(&mut *self.flows), flow_item);
        }
        class.late_mut(cost).insert(&mut ByExpiry(&mut *self.slots), item);
        class.shedding.insert(&mut ByShedding(&mut *self.slots), item);
        class.age.insert(&mut ByAge(&mut *self.slots), item);
        class.depth += 1;
        class.declared_us += u64::from(cost);
        class.undeclared_count += u32::from(cost == 0);
        if class.depth == 1 {
            class.tag = class.tag.max(self.queue.virtual_time);
            class.fairness.mark = self.queue.charged - class.fairness.charged;
            self.queue.backlogged |= 1 << class_index;
        }
        self.queue.waiting += 1;
    }

    /// A request waits no more. That its flow has nothing more that waits, and that flow and class may be at rest, is
    /// for the caller to see.
    pub(super) fn leave(&mut self, item: Link, class_index: usize) {
        let slot = &self.slots[index(item)];
        let (flow_item, cost) = (slot.flow, slot.cost_us);
        let class = &mut self.queue.classes[class_index];
        let flow = &mut self.flows[index(flow_item)];
        flow.urgent.remove(&mut ByUrgency(&mut *self.slots), item);
        flow.waiting -= 1;
        flow.declared_us -= u64::from(cost);
        flow.undeclared -= u32::from(cost == 0);
        if flow.waiting == 0 {
            class.flow_weight -= u64::from(flow.weight);
        }
        class.late_mut(cost).remove(&mut ByExpiry(&mut *self.slots), item);
        class.shedding.remove(&mut ByShedding(&mut *self.slots), item);
        class.age.remove(&mut ByAge(&mut *self.slots), item);
        class.depth -= 1;
        class.declared_us -= u64::from(cost);
        class.undeclared_count -= u32::from(cost == 0);
        if class.depth == 0 {
            self.queue.note_wait(class_index);
            self.queue.backlogged &= !(1 << class_index);
        }
        self.queue.waiting -= 1;
    }

    /// As [`Desk::leave`], and its flow has no turn any more if nothing else of it waits.
    pub(super) fn leave_flow(&mut self, item: Link, class_index: usize) {
        let flow = self.slots[index(item)].flow;
        self.leave(item, class_index);
        if self.flows[index(flow)].waiting == 0 {
            self.queue.classes[class_index].flows.remove(&mut ByTag(&mut *self.flows), flow);
        }
    }

    /// A flow, and with it its class, may have nothing that waits or is in service any more.
    pub(super) fn rest(&mut self, flow: Link, class_index: usize) {
        if self.flows[index(flow)].is_idle() {
            self.flow_lists().list_idle(flow);
        }
        self.queue.rest(class_index);
    }

    /// Takes a waiting request out for good, and counts why.
    pub(super) fn drop(&mut self, now: Instant, item: Link, reason: RejectReason) -> Dropped {
        let class_index = self.class_of(item);
        self.leave_flow(item, class_index);
        let slot = &self.slots[index(item)];
        let flow = slot.flow;
        let dropped = Dropped {
            ticket: slot.ticket(item),
            request_id: slot.request_id,
            queue: self.id,
            priority: RequestPriority::ALL[class_index],
            reason,
        };
        self.shared.free.give_back(self.slots, item);
        self.rest(flow, class_index);
        self.reject(now, class_index, reason);
        dropped
    }

    /// Counts a request that will not be served. One for which there was no room or no time breaks the agreement, or
    /// else a service that drops most of its requests would seem to keep it.
    pub(super) fn reject(&mut self, now: Instant, class_index: usize, reason: RejectReason) {
        self.queue.classes[class_index].rejected.count(reason);
        self.queue.rejected.count(reason);
        if matches!(reason, RejectReason::QueueFull | RejectReason::Shed | RejectReason::Infeasible) {
            self.record(now, Outcome { is_slow: true, is_error: false });
        }
    }

    /// Counts how a request went, as the agreement sees it.
    pub(super) fn record(&mut self, now: Instant, outcome: Outcome) {
        self.queue.window.record(now, outcome);
        self.judge(now);
    }

    /// Looks at the agreement, and tells of what it has crossed.
    pub(super) fn judge(&mut self, now: Instant) {
        let Queue { window, sla, .. } = &mut *self.queue;
        for crossed in window.judge(now, sla).into_iter().flatten() {
            self.notices.push(SlaNotice {
                at: now,
                service: sla.service_id,
                kind: crossed.kind,
                crossing: crossed.crossing,
                measured_ppm: crossed.measured_ppm,
                threshold_ppm: crossed.threshold_ppm,
            });
        }
    }

    /// Of the classes, the lowest first, the first request that cannot be answered in time any more.
    pub(super) fn first_late(&self, now: Instant) -> Option<Link> {
        self.queue.classes.iter().rev().find_map(|class| {
            let item = class.first_late(self.slots)?;
            class.is_late(&self.slots[index(item)], now).then_some(item)
        })
    }

    /// The request with the latest deadline of a class.
    pub(super) fn last(&self, class_index: usize) -> Option<Link> {
        let last = self.queue.classes[class_index].shedding.first(&ByShedding(&*self.slots));
        (last != 0).then_some(last)
    }

    /// A request that waits: of the most urgent class, the one with the latest deadline.
    pub(super) fn last_of_any(&self) -> Option<Link> {
        (0..self.queue.classes.len()).find_map(|class_index| self.last(class_index))
    }

    /// Drops what cannot be answered in time any more.
    pub(super) fn drop_late(&mut self, now: Instant, dropped: &mut dyn FnMut(Dropped)) {
        while self.queue.waiting > 0 {
            let Some(item) = self.first_late(now) else { break };
            dropped(self.drop(now, item, RejectReason::Infeasible));
        }
    }
}
