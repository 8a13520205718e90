//! Items in one order: a list of those that came in it, at either end, and a heap of the others beside it.
//!
//! Most of what waits comes in the order in which it is asked for: deadlines follow arrivals, and the turn of a flow that
//! was just served is after that of all others. Such items need no search for their place, and leave none; the heap
//! bounds what the others cost.

use super::heap::{self, Arena, Link, Node, Ordered};

/// Links into an arena. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    first: Link,
    last: Link,
    /// The root of the heap.
    aside: Link,
}

/// The parent of an item of the list is the one before it, and its left child the one after it.
const fn listed(before: Link, after: Link) -> Node {
    Node { parent: before, left: after, is_listed: true, ..Node::NONE }
}

impl Line {
    pub(super) const EMPTY: Self = Self { first: 0, last: 0, aside: 0 };

    /// The first of all; 0 if there is none.
    #[inline]
    pub(super) fn first(&self, arena: &impl Ordered) -> Link {
        if self.first == 0 || self.aside == 0 {
            return self.first | self.aside;
        }
        if arena.is_before(self.aside, self.first) { self.aside } else { self.first }
    }

    /// Adds an item that is in no line of this kind.
    #[inline]
    pub(super) fn insert(&mut self, arena: &mut impl Arena, item: Link) {
        if self.last == 0 {
            *arena.node_mut(item) = listed(0, 0);
            (self.first, self.last) = (item, item);
        } else if arena.is_before(self.last, item) {
            *arena.node_mut(item) = listed(self.last, 0);
            arena.node_mut(self.last).left = item;
            self.last = item;
        } else if arena.is_before(item, self.first) {
            *arena.node_mut(item) = listed(0, self.first);
            arena.node_mut(self.first).parent = item;
            self.first = item;
        } else {
            heap::insert(arena, &mut self.aside, item);
        }
    }

    /// Takes an item out of the line that it is in.
    #[inline]
    pub(super) fn remove(&mut self, arena: &mut impl Arena, item: Link) {
        let Node { parent: before, left: after, is_listed, .. } = *arena.node(item);
        if !is_listed {
            return heap::remove(arena, &mut self.aside, item);
        }
        if before == 0 {
            self.first = after;
        } else {
            arena.node_mut(before).left = after;
        }
        if after == 0 {
            self.last = before;
        } else {
            arena.node_mut(after).parent = before;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::heap::tests::{Numbers, check as check_heap};
    use super::super::heap::{Arena, Link, link};
    use super::Line;
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::BTreeSet;

    /// Checks links and order of the list and of the heap beside it; gives back how many items there are.
    pub(in crate::priority) fn check(arena: &impl Arena, line: &Line) -> usize {
        let (mut item, mut before, mut count): (Link, Link, _) = (line.first, 0, 0);
        while item != 0 {
            let node = arena.node(item);
            assert_eq!(
                (node.is_listed, node.parent),
                (true, before),
                "an item of the list knows the one before it"
            );
            assert!(before == 0 || arena.is_before(before, item), "the list is in order");
            (before, item) = (item, node.left);
            count += 1;
        }
        assert_eq!(line.last, before, "the last of the list is known");
        count + check_heap(arena, line.aside)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn equals_a_sorted_set(steps in prop::collection::vec((0..40_usize, 0..12_u32, 0..6_u8), 0..300)) {
            let mut arena = Numbers::new(40);
            let mut naive = BTreeSet::new();
            let mut line = Line::EMPTY;
            for (serial, (place, key, action)) in (0..).zip(steps) {
                let item = link(place);
                if naive.remove(&(arena.number(item), item)) {
                    line.remove(&mut arena, item);
                } else if action > 0 {
                    // Most come in order.
                    arena.set_key(item, if action > 2 { serial } else { key });
                    line.insert(&mut arena, item);
                    naive.insert((arena.number(item), item));
                } else if let Some((_, first)) = naive.pop_first() {
                    assert_eq!(line.first(&arena), first);
                    line.remove(&mut arena, first);
                }
                assert_eq!(check(&arena, &line), naive.len());
                assert_eq!(line.first(&arena), naive.first().map_or(0, |(_, item)| *item));
            }
        }
    }
}
