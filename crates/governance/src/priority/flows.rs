//! Flows: the tenants of a class, each with its own turn.
//!
//! A flow is found by queue, class and tenant: each tenant has one of its own in each class. There are as many flows as
//! requests, and one without a request is *idle* and may be forgotten, so that there is always one for a request: the
//! one that has been idle for longest goes, and with it what it still owed.

use super::heap::{Arena, Link, Node, Ordered, index};
use super::line::Line;
use crate::scope::{KeyHash, Name};
use core::ops::Deref;

/// What tags are multiples of: the stride of weight 1.
const STRIDE_ONE: u32 = 1 << 28;

// A charge moves a tag by less than 2^61, and 2^67 of them fit in a tag.
const _: () = assert!((u32::MAX as u64).checked_mul(STRIDE_ONE as u64).unwrap() < 1 << 61);

/// How far a microsecond of service moves the tag of something of that weight: 2^28 by the weight, rounded to nearest.
pub(super) const fn stride(weight: u32) -> u32 {
    (STRIDE_ONE + weight / 2) / weight
}

/// A tag under another stride: as far ahead of the virtual time as the same amount of service is. One that is not ahead
/// stays.
pub(super) fn rescale(tag: u128, virtual_time: u128, old: u32, new: u32) -> u128 {
    let ahead = tag.checked_sub(virtual_time);
    ahead.map_or(tag, |ahead| virtual_time + ahead / u128::from(old.max(1)) * u128::from(new))
}

/// Whether tag and turn `a` are before `b`: by tag, and of equal ones by turn. Tags are far from the end of their range.
#[inline]
pub(super) fn precedes(a: (u128, u64), b: (u128, u64)) -> bool {
    a.0 < b.0.wrapping_add(u128::from(a.1 < b.1))
}

/// Which flow is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowKey {
    pub(super) tenant: KeyHash,
    pub(super) queue: u16,
    pub(super) class: u8,
}

impl FlowKey {
    const NONE: Self = Self { tenant: KeyHash(0), queue: 0, class: 0 };

    /// Where its chain begins. The tenant's hash is under a secret already; queue and class only set it apart.
    fn head(self, heads: usize) -> usize {
        let set = u64::from(self.queue) << 3 | u64::from(self.class);
        let mixed =
            (self.tenant.0 ^ set.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        usize::try_from((u128::from(mixed) * heads as u128) >> 64).unwrap_or(0)
    }
}

/// A tenant of a class. What the heap looks at lies in the first line of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Flow {
    /// Its finish tag, which is also the start tag of the request that is next, while one waits.
    pub(super) tag: u128,
    /// When it was last served, or came; unique.
    pub(super) turn: u64,
    /// Among the flows of its class in which something waits.
    pub(super) node: Node,
    /// Its requests that wait, earliest deadline first.
    pub(super) urgent: Line,
    pub(super) stride: u32,
    pub(super) waiting: u32,
    pub(super) in_service: u32,
    pub(super) weight: u32,
    pub(super) key: FlowKey,
    /// The sum of what its waiting requests declared, in microseconds, and how many declared nothing.
    pub(super) declared_us: u64,
    pub(super) undeclared: u32,
    /// The next flow of its chain, or the next free one.
    next: Link,
    idle_before: Link,
    idle_after: Link,
    pub(super) name: Name,
}

impl Flow {
    pub(super) const EMPTY: Self = Self {
        tag: 0,
        turn: 0,
        node: Node::NONE,
        urgent: Line::EMPTY,
        stride: 0,
        waiting: 0,
        in_service: 0,
        weight: 0,
        key: FlowKey::NONE,
        declared_us: 0,
        undeclared: 0,
        next: 0,
        idle_before: 0,
        idle_after: 0,
        name: Name::EMPTY,
    };

    pub(super) const fn is_idle(&self) -> bool {
        self.waiting == 0 && self.in_service == 0
    }
}

/// The flows of a class: the one with the lowest tag first, and of equal ones the one that was served longest ago.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct ByTag<S>(pub(super) S);

impl<S: Deref<Target = [Flow]>> Ordered for ByTag<S> {
    type Key = (u128, u64);

    #[inline]
    fn key(&self, item: Link) -> (u128, u64) {
        let flow = &self.0[index(item)];
        (flow.tag, flow.turn)
    }

    #[inline]
    fn goes_before(a: (u128, u64), b: (u128, u64)) -> bool {
        precedes(a, b)
    }
}

impl Arena for ByTag<&mut [Flow]> {
    #[inline]
    fn node(&self, item: Link) -> &Node {
        &self.0[index(item)].node
    }

    #[inline]
    fn node_mut(&mut self, item: Link) -> &mut Node {
        &mut self.0[index(item)].node
    }
}

/// Which flows are free or idle.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowLists {
    free: Link,
    touched: u32,
    /// The one that is idle for longest, and the one that became idle last.
    idle: (Link, Link),
    pub(super) known: u32,
    pub(super) forgotten: u64,
}

impl FlowLists {
    pub(super) const EMPTY: Self = Self { free: 0, touched: 0, idle: (0, 0), known: 0, forgotten: 0 };
}

/// The flows, with what finds them.
pub(super) struct Flows<'a> {
    pub(super) all: &'a mut [Flow],
    pub(super) heads: &'a mut [Link],
    pub(super) lists: &'a mut FlowLists,
}

/// The flow of that key, if it is known.
pub(super) fn find(all: &[Flow], heads: &[Link], key: FlowKey) -> Option<Link> {
    let mut item = heads[key.head(heads.len())];
    while item != 0 {
        let flow = &all[index(item)];
        if flow.key == key {
            return Some(item);
        }
        item = flow.next;
    }
    None
}

impl Flows<'_> {
    /// The flow of that key, which is known from now on. The caller has room for another request.
    pub(super) fn obtain(&mut self, key: FlowKey, turn: &mut u64, name: impl FnOnce() -> Name) -> Link {
        if let Some(item) = find(self.all, self.heads, key) {
            return item;
        }
        let item = self.vacant();
        let head = &mut self.heads[key.head(self.heads.len())];
        *turn += 1;
        self.all[index(item)] = Flow {
            turn: *turn,
            stride: STRIDE_ONE,
            weight: 1,
            key,
            next: core::mem::replace(head, item),
            name: name(),
            ..Flow::EMPTY
        };
        self.lists.known += 1;
        self.list_idle(item);
        item
    }

    /// A flow that is nobody's.
    fn vacant(&mut self) -> Link {
        if self.lists.free == 0 && (self.lists.touched as usize) < self.all.len() {
            self.lists.touched += 1;
            return self.lists.touched;
        }
        if self.lists.free == 0 {
            let oldest = self.lists.idle.0;
            assert!(oldest != 0, "there are as many flows as requests, so that one is idle");
            self.lists.forgotten += 1;
            self.forget(oldest);
        }
        let item = self.lists.free;
        self.lists.free = self.all[index(item)].next;
        item
    }

    /// Takes an idle flow out of what is known.
    fn forget(&mut self, item: Link) {
        self.unlist_idle(item);
        let Flow { key, next, .. } = self.all[index(item)];
        let head = key.head(self.heads.len());
        if self.heads[head] == item {
            self.heads[head] = next;
        } else {
            let mut before = self.heads[head];
            while before != 0 {
                let flow = &mut self.all[index(before)];
                if flow.next == item {
                    flow.next = next;
                    break;
                }
                before = flow.next;
            }
        }
        self.all[index(item)] = Flow { next: self.lists.free, ..Flow::EMPTY };
        self.lists.free = item;
        self.lists.known -= 1;
    }

    /// Forgets every flow of a queue in which nothing waits or is in service.
    pub(super) fn forget_queue(&mut self, queue: u16) {
        let mut item = self.lists.idle.0;
        while item != 0 {
            let Flow { key, idle_after, .. } = self.all[index(item)];
            if key.queue == queue {
                self.forget(item);
            }
            item = idle_after;
        }
    }

    /// A flow has nothing that waits or is in service any more.
    pub(super) fn list_idle(&mut self, item: Link) {
        let last = core::mem::replace(&mut self.lists.idle.1, item);
        let flow = &mut self.all[index(item)];
        (flow.idle_before, flow.idle_after) = (last, 0);
        if last == 0 {
            self.lists.idle.0 = item;
        } else {
            self.all[index(last)].idle_after = item;
        }
    }

    /// A flow that had nothing gets a request.
    pub(super) fn unlist_idle(&mut self, item: Link) {
        let Flow { idle_before, idle_after, .. } = self.all[index(item)];
        if idle_before == 0 {
            self.lists.idle.0 = idle_after;
        } else {
            self.all[index(idle_before)].idle_after = idle_after;
        }
        if idle_after == 0 {
            self.lists.idle.1 = idle_before;
        } else {
            self.all[index(idle_after)].idle_before = idle_before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Flow, FlowKey, FlowLists, Flows, STRIDE_ONE, find, index, stride};
    use crate::scope::{KeyHash, Name};

    fn key(tenant: u64) -> FlowKey {
        FlowKey { tenant: KeyHash(tenant), queue: 0, class: 0 }
    }

    #[test]
    fn a_stride_is_as_near_to_its_share_as_can_be() {
        assert_eq!((stride(1), stride(16), stride(1024)), (1 << 28, 1 << 24, 1 << 18));
        for weight in 1..=super::super::WEIGHT_MAX {
            let off = (stride(weight) * weight).abs_diff(STRIDE_ONE);
            assert!(off * 2 <= weight, "{weight}");
        }
    }

    #[test]
    fn the_flow_that_is_idle_for_longest_makes_room() {
        let mut all = [Flow::EMPTY; 3];
        let (mut heads, mut lists, mut turn) = ([0; 6], FlowLists::EMPTY, 0);
        let mut flows = Flows { all: &mut all, heads: &mut heads, lists: &mut lists };
        let items = [1, 2, 3].map(|tenant| flows.obtain(key(tenant), &mut turn, || Name::EMPTY));
        assert_eq!(flows.obtain(key(2), &mut turn, || Name::EMPTY), items[1]);
        // The first is used again, and idle after the others.
        flows.unlist_idle(items[0]);
        flows.list_idle(items[0]);
        flows.obtain(key(4), &mut turn, || Name::EMPTY);
        assert_eq!(flows.lists.forgotten, 1);
        let known = [1, 2, 3, 4].map(|tenant| find(flows.all, flows.heads, key(tenant)).is_some());
        assert_eq!(known, [true, false, true, true]);
        flows.forget_queue(0);
        assert_eq!((flows.lists.known, flows.lists.idle), (0, (0, 0)));
        assert!((1..5).all(|tenant| find(flows.all, flows.heads, key(tenant)).is_none()));
    }

    #[test]
    fn queue_class_and_tenant_tell_flows_apart() {
        let mut all = [Flow::EMPTY; 8];
        let (mut heads, mut lists, mut turn) = ([0; 2], FlowLists::EMPTY, 0);
        let mut flows = Flows { all: &mut all, heads: &mut heads, lists: &mut lists };
        let mut items = Vec::new();
        for (tenant, queue, class) in [(7, 0, 0), (7, 1, 0), (7, 0, 1), (8, 0, 0)] {
            let key = FlowKey { tenant: KeyHash(tenant), queue, class };
            let item = flows.obtain(key, &mut turn, || Name::EMPTY);
            assert!(!items.contains(&item));
            assert_eq!(flows.all[index(item)].key, key);
            items.push(item);
        }
        flows.forget_queue(1);
        assert_eq!(flows.lists.known, 3);
        assert!(find(flows.all, flows.heads, FlowKey { tenant: KeyHash(7), queue: 1, class: 0 }).is_none());
    }
}
