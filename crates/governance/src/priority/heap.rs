//! Leftist heaps over an arena, linked in both directions: the first item is at hand, and any item can be taken out.
//!
//! A node's rank is the length of its shortest way down to a missing child, and no right child has a higher rank than
//! its sibling. So the way down along right children has at most log2(n + 1) nodes, which bounds merging; and where an
//! item is taken out, ranks change along fewer nodes than that, since each of them has a rank that is one more than the
//! last. Source: C. A. Crane, "Linear lists and priority queues as balanced binary trees".
//!
//! Which item goes before which is a total order, so that equal histories give equal heaps.

/// An item's number plus one; 0 stands for none.
pub(super) type Link = u32;

/// The place of an item in one heap, with the ranks of its children, so that they need not be visited for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) parent: Link,
    pub(super) left: Link,
    pub(super) right: Link,
    pub(super) left_rank: u8,
    pub(super) right_rank: u8,
    /// Whether it is in a list, and not in a heap.
    pub(super) is_listed: bool,
}

impl Node {
    /// An item without children.
    pub(super) const NONE: Self =
        Self { parent: 0, left: 0, right: 0, left_rank: 0, right_rank: 0, is_listed: false };

    /// The length of the shortest way down to a missing child, which is to the right.
    #[inline]
    pub(super) const fn rank(&self) -> u8 {
        self.right_rank + 1
    }

    /// Brings the children into order.
    #[inline]
    const fn settle(&mut self) {
        if self.left_rank < self.right_rank {
            core::mem::swap(&mut self.left, &mut self.right);
            core::mem::swap(&mut self.left_rank, &mut self.right_rank);
        }
    }
}

/// Items in one order.
pub(super) trait Ordered {
    /// What the order looks at, so that an item need not be visited for each comparison.
    type Key: Copy;

    fn key(&self, item: Link) -> Self::Key;

    /// Whether the item with key `a` comes out before the one with key `b`: a strict total order.
    fn goes_before(a: Self::Key, b: Self::Key) -> bool;

    #[inline]
    fn is_before(&self, a: Link, b: Link) -> bool {
        Self::goes_before(self.key(a), self.key(b))
    }
}

/// Items in one order with a node each.
pub(super) trait Arena: Ordered {
    fn node(&self, item: Link) -> &Node;
    fn node_mut(&mut self, item: Link) -> &mut Node;
}

/// Adds an item that is in no heap of this kind.
#[inline]
pub(super) fn insert(arena: &mut impl Arena, root: &mut Link, item: Link) {
    *arena.node_mut(item) = Node::NONE;
    *root = merge(arena, *root, item);
    arena.node_mut(*root).parent = 0;
}

/// Takes an item out of the heap that it is in.
#[inline]
pub(super) fn remove(arena: &mut impl Arena, root: &mut Link, item: Link) {
    let Node { mut parent, left, right, .. } = *arena.node(item);
    let rest = merge(arena, left, right);
    let mut rank = 0;
    if rest != 0 {
        let node = arena.node_mut(rest);
        node.parent = parent;
        rank = node.rank();
    }
    if parent == 0 {
        *root = rest;
        return;
    }
    let (mut below, mut child) = (item, rest);
    while parent != 0 {
        let node = arena.node_mut(parent);
        let before = node.rank();
        if node.left == below {
            (node.left, node.left_rank) = (child, rank);
        } else {
            (node.right, node.right_rank) = (child, rank);
        }
        node.settle();
        rank = node.rank();
        if rank == before {
            break;
        }
        (below, child) = (parent, parent);
        parent = node.parent;
    }
}

/// Merges two heaps; the parent of the new root is left to the caller.
#[inline]
fn merge<A: Arena>(arena: &mut A, mut upper: Link, mut lower: Link) -> Link {
    if upper == 0 || lower == 0 {
        return upper | lower;
    }
    let (upper_key, mut upper_right) = (arena.key(upper), arena.node(upper).right);
    let (mut lower_key, mut lower_right) = (arena.key(lower), arena.node(lower).right);
    if A::goes_before(lower_key, upper_key) {
        (upper, upper_right, lower, lower_right) = (lower, lower_right, upper, upper_right);
        lower_key = upper_key;
    }
    let root = upper;
    // The first one that gets another right child.
    let mut first = 0;
    // Down along right children, of whichever heap has the item that comes first. Each item is visited once.
    while upper_right != 0 {
        let (right, right_key, its_right) =
            (upper_right, arena.key(upper_right), arena.node(upper_right).right);
        if A::goes_before(right_key, lower_key) {
            (upper, upper_right) = (right, its_right);
            continue;
        }
        if first == 0 {
            first = upper;
        }
        arena.node_mut(lower).parent = upper;
        (upper, upper_right) = (lower, lower_right);
        (lower, lower_key, lower_right) = (right, right_key, its_right);
    }
    if first == 0 {
        first = upper;
    }
    let node = arena.node_mut(lower);
    node.parent = upper;
    // And up again, with what became the right child, and its rank. Where that is the same child as before, with the same
    // rank, nothing changes from there on.
    let (mut child, mut rank) = (lower, node.rank());
    let mut is_above = false;
    loop {
        let node = arena.node_mut(upper);
        if is_above && node.right_rank == rank {
            return root;
        }
        (node.right, node.right_rank) = (child, rank);
        node.settle();
        if upper == root {
            return root;
        }
        is_above |= upper == first;
        (child, rank) = (upper, node.rank());
        upper = node.parent;
    }
}

/// An item's place in the arena; that of none is beyond all arenas.
#[inline]
pub(super) const fn index(item: Link) -> usize {
    item.wrapping_sub(1) as usize
}

/// The item at a place of an arena; there are fewer than 2^32 places.
#[inline]
pub(super) fn link(index: usize) -> Link {
    u32::try_from(index + 1).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Arena, Link, Node, Ordered, index, insert, link, remove};
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::BTreeSet;

    /// Checks links, ranks and order below an item; gives back how many there are.
    pub(in crate::priority) fn check(arena: &impl Arena, root: Link) -> usize {
        let mut stack = vec![(root, 0)];
        let mut count = 0;
        while let Some((item, parent)) = stack.pop() {
            if item == 0 {
                continue;
            }
            count += 1;
            let node = arena.node(item);
            assert_eq!(node.parent, parent, "an item knows its parent");
            assert!(parent == 0 || arena.is_before(parent, item), "a parent comes before its children");
            let rank = |child: Link| if child == 0 { 0 } else { arena.node(child).rank() };
            assert_eq!((node.left_rank, node.right_rank), (rank(node.left), rank(node.right)));
            assert!(node.left_rank >= node.right_rank, "the left child has the higher rank");
            assert!(!node.is_listed);
            stack.extend([(node.left, item), (node.right, item)]);
        }
        assert!(
            root == 0 || u32::from(arena.node(root).rank()) <= usize::ilog2(count + 1),
            "the right spine is short"
        );
        count
    }

    /// An arena of numbers, equal ones in the order of their places.
    pub(in crate::priority) struct Numbers(Vec<(u32, Node)>);

    impl Numbers {
        pub(in crate::priority) fn new(count: usize) -> Self {
            Self(vec![(0, Node::NONE); count])
        }

        pub(in crate::priority) fn number(&self, item: Link) -> u32 {
            self.0[index(item)].0
        }

        pub(in crate::priority) fn set_key(&mut self, item: Link, key: u32) {
            self.0[index(item)].0 = key;
        }
    }

    impl Arena for Numbers {
        fn node(&self, item: Link) -> &Node {
            &self.0[index(item)].1
        }
        fn node_mut(&mut self, item: Link) -> &mut Node {
            &mut self.0[index(item)].1
        }
    }

    impl Ordered for Numbers {
        type Key = (u32, Link);

        fn key(&self, item: Link) -> (u32, Link) {
            (self.0[index(item)].0, item)
        }

        fn goes_before(a: (u32, Link), b: (u32, Link)) -> bool {
            a < b
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn equals_a_sorted_set(steps in prop::collection::vec((0..40_usize, 0..12_u32, 0..3_u8), 0..300)) {
            let mut arena = Numbers::new(40);
            let mut naive = BTreeSet::new();
            let mut root = 0;
            for (place, key, action) in steps {
                let item = link(place);
                if naive.remove(&(arena.number(item), item)) {
                    remove(&mut arena, &mut root, item);
                } else if action > 0 {
                    arena.set_key(item, key);
                    insert(&mut arena, &mut root, item);
                    naive.insert((key, item));
                } else if let Some((_, first)) = naive.pop_first() {
                    assert_eq!(root, first);
                    remove(&mut arena, &mut root, first);
                }
                assert_eq!(check(&arena, root), naive.len());
                assert_eq!(root, naive.first().map_or(0, |(_, item)| *item));
            }
        }
    }

    #[test]
    fn items_in_ascending_descending_and_organ_pipe_order_come_out_sorted() {
        let orders: [fn(u32) -> u32; 3] = [|n| n, |n| 1000 - n, |n| n.min(1000 - n)];
        for order in orders {
            let mut arena = Numbers((0..1000).map(|n| (order(n), Node::NONE)).collect());
            let (mut root, mut last) = (0, 0);
            (0..1000).for_each(|place| insert(&mut arena, &mut root, link(place)));
            for left in (0..1000).rev() {
                let first = arena.number(root);
                assert!(first >= last);
                last = first;
                let item = root;
                remove(&mut arena, &mut root, item);
                assert_eq!(check(&arena, root), left);
            }
        }
    }
}
