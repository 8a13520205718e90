//! A queue: its classes, their turns, and what is counted of them.

use super::flows::{precedes, rescale};
use super::heap::{Link, index};
use super::line::Line;
use super::metrics::{ExemptMetrics, Rejections, StarvationBound};
use super::sla::SLA;
use super::slots::{ByExpiry, Slot, nanos};
use super::window::SlaWindow;
use crate::request::RequestPriority;
use crate::scope::KeyHash;
use crate::time::Instant;

/// How many classes there are.
pub(super) const CLASSES: usize = RequestPriority::COUNT;
/// How many sets of classes there are.
const SETS: usize = 1 << CLASSES;
/// How long a request is expected to take of whose class none has been completed yet, in microseconds.
const ESTIMATE_INITIAL_US: u64 = 1000;
/// The estimate is kept in eighths, so that it reaches what it follows.
const ESTIMATE_SHIFT: u32 = 3;

/// A class of a queue.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Class {
    /// Its finish tag, which is also its start tag while something waits.
    pub(super) tag: u128,
    /// The start tag of the flow that was dispatched last.
    pub(super) virtual_time: u128,
    /// The highest tag that a flow has had.
    pub(super) highest: u128,
    /// When it was last served.
    pub(super) turn: u64,
    pub(super) stride: u32,
    /// The flows in which something waits, the one that is next first.
    pub(super) flows: Line,
    /// Requests that declared how long they take, the first to be too late first.
    pub(super) declared: Line,
    /// Requests that did not.
    pub(super) undeclared: Line,
    /// All of them, the latest deadline first.
    pub(super) shedding: Line,
    /// All of them, the oldest first.
    pub(super) age: Line,
    pub(super) depth: u32,
    pub(super) in_service: u32,
    /// Eight times how long a request is expected to take, in microseconds; 0 as long as none was completed.
    estimate_eighths: u64,
    /// What the agreement gives a request.
    pub(super) latency_us: u32,
    pub(super) fairness: Fairness,
    /// The weights of the flows in which something waits.
    pub(super) flow_weight: u64,
    /// What its waiting requests declared, in microseconds, and how many declared nothing.
    pub(super) declared_us: u64,
    pub(super) undeclared_count: u32,
    /// Its histogram's number plus one.
    pub(super) histogram: u8,
    pub(super) arrivals: u64,
    pub(super) served: u64,
    pub(super) wait_total: u128,
    pub(super) served_cost_us: u64,
    /// The part of it that was served while another class had something waiting.
    pub(super) competed_us: u64,
    pub(super) completed: u64,
    pub(super) requeued_in: u64,
    pub(super) requeued_out: u64,
    pub(super) rejected: Rejections,
}

/// How much other classes receive while the head of a class waits. In microseconds of service, as they are charged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fairness {
    /// What the class was charged, with corrections as far as they moved its tag beyond the virtual time.
    pub(super) charged: u64,
    /// What others had been charged when its head came up.
    pub(super) mark: u64,
    /// The charge of its last dispatch, with the upward corrections since.
    pub(super) run: u64,
    /// The largest of those, and the most that others have received while its head waited, since the queue was last at
    /// rest.
    pub(super) largest: u64,
    pub(super) worst: u64,
}

impl Fairness {
    /// The most that others have received while its head waited, which it still does. All classes were charged that
    /// much.
    const fn worst_until(&self, charged: u64) -> u64 {
        let others = charged.saturating_sub(self.charged).saturating_sub(self.mark);
        if others > self.worst { others } else { self.worst }
    }
}

impl Class {
    const EMPTY: Self = Self {
        tag: 0,
        virtual_time: 0,
        highest: 0,
        turn: 0,
        stride: 0,
        flows: Line::EMPTY,
        declared: Line::EMPTY,
        undeclared: Line::EMPTY,
        shedding: Line::EMPTY,
        age: Line::EMPTY,
        depth: 0,
        in_service: 0,
        estimate_eighths: 0,
        latency_us: 0,
        fairness: Fairness { charged: 0, mark: 0, run: 0, largest: 0, worst: 0 },
        flow_weight: 0,
        declared_us: 0,
        undeclared_count: 0,
        histogram: 0,
        arrivals: 0,
        served: 0,
        wait_total: 0,
        served_cost_us: 0,
        competed_us: 0,
        completed: 0,
        requeued_in: 0,
        requeued_out: 0,
        rejected: Rejections::ZERO,
    };

    /// How long a request is expected to take that says nothing, in microseconds, at least 1.
    #[inline]
    pub(super) fn estimate_us(&self) -> u32 {
        let estimate = if self.estimate_eighths == 0 {
            ESTIMATE_INITIAL_US
        } else {
            self.estimate_eighths >> ESTIMATE_SHIFT
        };
        u32::try_from(estimate.max(1)).unwrap_or(u32::MAX)
    }

    /// How long a request that says nothing is taken to need when it is judged whether it can be answered in time: the
    /// estimate, or half of what the agreement gives where the estimate has reached that. A service that has become
    /// slower than its agreement breaks it, which is told; it is not refused its requests until it may be fast again,
    /// which nobody would learn.
    #[inline]
    pub(super) fn judged_us(&self) -> u32 {
        let estimate = self.estimate_us();
        if estimate < self.latency_us { estimate } else { self.latency_us / 2 }
    }

    /// Follows how long a request has really taken: an eighth of the way.
    pub(super) fn learn(&mut self, actual_us: u32) {
        if self.estimate_eighths == 0 {
            self.estimate_eighths = ESTIMATE_INITIAL_US << ESTIMATE_SHIFT;
        }
        self.estimate_eighths -= self.estimate_eighths >> ESTIMATE_SHIFT;
        self.estimate_eighths += u64::from(actual_us);
    }

    /// The line of those that expire, for a request that declares to take so long, or 0.
    #[inline]
    pub(super) const fn late_mut(&mut self, cost_us: u32) -> &mut Line {
        if cost_us == 0 { &mut self.undeclared } else { &mut self.declared }
    }

    /// What waits, in microseconds of service.
    pub(super) fn backlog_us(&self) -> u64 {
        self.declared_us + u64::from(self.undeclared_count) * u64::from(self.estimate_us())
    }

    /// The last time at which a waiting request can be dispatched and still be answered in time; none if there was
    /// never one.
    #[inline]
    pub(super) fn latest(&self, slot: &Slot) -> Option<u64> {
        if slot.cost_us == 0 { slot.latest.checked_sub(nanos(self.judged_us()).0) } else { Some(slot.latest) }
    }

    /// Whether a waiting request cannot be answered in time any more.
    #[inline]
    pub(super) fn is_late(&self, slot: &Slot, now: Instant) -> bool {
        self.latest(slot).is_none_or(|latest| now.0 > latest)
    }

    /// The request that is the first to be too late.
    pub(super) fn first_late(&self, slots: &[Slot]) -> Option<Link> {
        let arena = ByExpiry(slots);
        let firsts = [&self.declared, &self.undeclared].map(|line| line.first(&arena));
        firsts.into_iter().filter(|&item| item != 0).min_by_key(|&item| {
            let slot = &slots[index(item)];
            (self.latest(slot), slot.sequence)
        })
    }
}

/// A queue. All-zero when there is none.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Queue {
    /// The start tag of the class that was dispatched last.
    pub(super) virtual_time: u128,
    /// The highest tag that a class has had.
    pub(super) highest: u128,
    /// What all classes were charged, as [`Fairness`] counts it.
    pub(super) charged: u64,
    pub(super) arrivals: u64,
    pub(super) served: u64,
    pub(super) rejected: Rejections,
    /// In classes.
    pub(super) waiting: u32,
    /// In classes.
    pub(super) in_service: u32,
    pub(super) concurrency: u32,
    /// What those in service were charged, in microseconds.
    pub(super) in_service_us: u64,
    pub(super) exempt: ExemptMetrics,
    pub(super) generation: u32,
    /// How often weights have changed.
    pub(super) weights: u16,
    /// Which classes have something waiting, one bit for each.
    pub(super) backlogged: u8,
    /// Which classes were charged, or waited while others were, since the queue was last at rest.
    pub(super) busy: u8,
    pub(super) is_live: bool,
    pub(super) classes: [Class; CLASSES],
    /// The service that was given while exactly these classes had something waiting, in microseconds.
    pub(super) by_set: [u64; SETS],
    pub(super) requeued: u64,
    pub(super) window: SlaWindow,
    pub(super) hash: KeyHash,
    pub(super) sla: SLA,
}

impl Queue {
    pub(super) const EMPTY: Self = Self {
        virtual_time: 0,
        highest: 0,
        charged: 0,
        arrivals: 0,
        served: 0,
        rejected: Rejections::ZERO,
        waiting: 0,
        in_service: 0,
        concurrency: 0,
        in_service_us: 0,
        exempt: ExemptMetrics::ZERO,
        generation: 0,
        weights: 0,
        backlogged: 0,
        busy: 0,
        is_live: false,
        classes: [Class::EMPTY; CLASSES],
        by_set: [0; SETS],
        requeued: 0,
        window: SlaWindow::EMPTY,
        hash: KeyHash(0),
        sla: SLA::EMPTY,
    };

    /// Whether requests wait or are in service, in classes or beside them.
    pub(super) const fn is_in_use(&self) -> bool {
        self.waiting > 0 || self.in_service > 0 || self.exempt.depth > 0 || self.exempt.in_service > 0
    }

    pub(super) const fn has_free_service(&self) -> bool {
        self.concurrency == 0 || self.in_service < self.concurrency
    }

    /// Whether something waits that can be in service at once.
    pub(super) const fn is_ready(&self) -> bool {
        self.exempt.depth > 0 || (self.waiting > 0 && self.has_free_service())
    }

    pub(super) fn set_sla(&mut self, sla: &SLA) {
        self.sla = *sla;
        self.concurrency = sla.concurrency;
        let latency_us = sla.p95_latency_ms.saturating_mul(1000);
        self.classes.iter_mut().for_each(|class| class.latency_us = latency_us);
    }

    /// The class whose turn it is: the lowest tag, of equal ones the one that was served longest ago, of those that
    /// were never served the most urgent.
    #[inline]
    pub(super) fn next_class(&self) -> Option<usize> {
        let mut left = self.backlogged;
        let (mut best, mut lowest) = (None, (u128::MAX, u64::MAX));
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let class = &self.classes[index];
            if best.is_none() || precedes((class.tag, class.turn), lowest) {
                (best, lowest) = (Some(index), (class.tag, class.turn));
            }
        }
        best
    }

    /// Gives a class its turn, and charges it. Its tag is not below the virtual time.
    #[inline]
    pub(super) fn charge(&mut self, index: usize, cost_us: u32, turn: u64) {
        self.note_wait(index);
        let cost = u64::from(cost_us);
        let class = &mut self.classes[index];
        debug_assert!(class.tag >= self.virtual_time);
        self.virtual_time = class.tag;
        class.tag += u128::from(cost * u64::from(class.stride));
        class.turn = turn;
        self.highest = self.highest.max(class.tag);
        self.charged = self.charged.saturating_add(cost);
        class.served_cost_us = class.served_cost_us.saturating_add(cost);
        let fairness = &mut class.fairness;
        fairness.charged = fairness.charged.saturating_add(cost);
        fairness.run = cost;
        fairness.largest = fairness.largest.max(cost);
        fairness.mark = self.charged - fairness.charged;
    }

    /// Takes note of what others have received while the head of a class waited, before it waits no more.
    #[inline]
    pub(super) fn note_wait(&mut self, index: usize) {
        let fairness = &mut self.classes[index].fairness;
        fairness.worst = fairness.worst_until(self.charged);
        self.busy |= 1 << index;
    }

    /// Takes note of what the waiting heads of other classes have seen, before the class is given something back: only
    /// then it becomes less.
    fn note_waits(&mut self, index: usize) {
        let mut left = self.backlogged & !(1 << index);
        while left != 0 {
            self.note_wait(left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }

    /// The set of classes that compete, if there are several.
    #[inline]
    pub(super) const fn competitors(&self) -> u8 {
        if self.backlogged & self.backlogged.wrapping_sub(1) == 0 { 0 } else { self.backlogged }
    }

    /// Counts service that was given while several classes competed.
    #[inline]
    pub(super) fn count_competition(&mut self, index: usize, competitors: u8, cost_us: u32) {
        if competitors != 0 {
            let cost = u64::from(cost_us);
            let set = &mut self.by_set[usize::from(competitors) % SETS];
            *set = set.saturating_add(cost);
            let class = &mut self.classes[index];
            class.competed_us = class.competed_us.saturating_add(cost);
        }
    }

    /// Charges a class for what a request has really taken, instead of what it was charged. A refund does not reach
    /// below the virtual time: what was not asked for while there was no need cannot be had later.
    pub(super) fn correct(&mut self, index: usize, competitors: u8, charged_us: u32, actual_us: u32) {
        let is_refund = actual_us < charged_us;
        if is_refund {
            self.note_waits(index);
        }
        let difference = actual_us.abs_diff(charged_us);
        let cost = u64::from(difference);
        let class = &mut self.classes[index];
        let moved = u128::from(cost * u64::from(class.stride));
        let correct = |sum: &mut u64| {
            *sum = if is_refund { sum.saturating_sub(cost) } else { sum.saturating_add(cost) };
        };
        correct(&mut class.served_cost_us);
        if competitors != 0 {
            correct(&mut class.competed_us);
            correct(&mut self.by_set[usize::from(competitors) % SETS]);
        }
        if is_refund {
            class.tag = class.tag.saturating_sub(moved);
            if class.depth > 0 {
                class.tag = class.tag.max(self.virtual_time);
            }
            class.fairness.charged = class.fairness.charged.saturating_sub(cost);
            self.charged = self.charged.saturating_sub(cost);
            return;
        }
        // What only makes up for the time that passed meanwhile puts nobody behind.
        let before = class.tag.max(self.virtual_time);
        class.tag += moved;
        self.highest = self.highest.max(class.tag);
        let stride = u128::from(class.stride.max(1));
        let put_behind = class.tag.saturating_sub(before);
        let felt = u64::try_from(put_behind / stride).unwrap_or(u64::MAX);
        class.fairness.charged = class.fairness.charged.saturating_add(felt);
        self.charged = self.charged.saturating_add(felt);
        let run = class
            .fairness
            .run
            .saturating_add(felt)
            .saturating_add(u64::from(!put_behind.is_multiple_of(stride)));
        class.fairness.run = run;
        class.fairness.largest = class.fairness.largest.max(run);
    }

    /// What is served while nothing else is there is not held against anyone: where nothing waits or is in service any
    /// more, all start afresh, and so does what is measured of waits.
    #[inline]
    pub(super) fn rest(&mut self, index: usize) {
        let class = &mut self.classes[index];
        if class.depth == 0 && class.in_service == 0 {
            class.virtual_time = class.virtual_time.max(class.highest);
        }
        if self.waiting == 0 && self.in_service == 0 {
            self.virtual_time = self.virtual_time.max(self.highest);
            let mut left = core::mem::take(&mut self.busy);
            while left != 0 {
                let fairness = &mut self.classes[left.trailing_zeros() as usize].fairness;
                left &= left - 1;
                (fairness.run, fairness.largest, fairness.worst) = (0, 0, 0);
            }
        }
    }

    /// Changes how a class weighs from now on; what it owes stays the same amount of service. Shares and waits are
    /// measured from here.
    pub(super) fn set_stride(&mut self, index: usize, stride: u32) {
        let class = &mut self.classes[index];
        class.tag = rescale(class.tag, self.virtual_time, class.stride, stride);
        class.stride = stride;
        self.highest = self.highest.max(class.tag);
        self.by_set = [0; SETS];
        self.weights = self.weights.wrapping_add(1);
        for class in &mut self.classes {
            class.competed_us = 0;
            class.fairness.worst = 0;
            class.fairness.mark = self.charged - class.fairness.charged;
        }
    }

    /// The most that other classes can receive while the head of a class waits: each of them what it can be ahead by
    /// its weight, and one charge.
    pub(super) fn starvation(&self, index: usize) -> StarvationBound {
        let class = &self.classes[index];
        let own = u128::from(class.fairness.largest) * u128::from(class.stride);
        let others = self.classes.iter().enumerate().filter(|(other, class)| {
            // A class that was never charged has received nothing.
            *other != index && class.fairness.largest > 0
        });
        let bound = others.fold(0_u128, |sum, (_, other)| {
            sum + own.div_ceil(u128::from(other.stride.max(1))) + u128::from(other.fairness.largest)
        });
        let worst_us =
            if class.depth > 0 { class.fairness.worst_until(self.charged) } else { class.fairness.worst };
        StarvationBound { bound_us: u64::try_from(bound).unwrap_or(u64::MAX), worst_us }
    }

    /// Requests that came are those that were dispatched, that wait, and that were rejected.
    #[inline]
    pub(super) fn assert_identity(&self) {
        let waiting = u64::from(self.waiting) + u64::from(self.exempt.depth);
        assert!(
            self.arrivals == self.served + waiting + self.rejected.total(),
            "no request of a queue is lost"
        );
    }
}
