//! What a document has defined so far, so that nothing is defined twice.
//!
//! Each key and table is a [`Node`], named by a 64-bit hash of its path; each element of an array of tables is a
//! scope of its own. Two paths of a full document have the same hash with a probability of about 10⁻¹²; the
//! second would then be refused as defined twice.
//!
//! Rules: TOML 1.0, "Keys", "Table", "Inline Table", "Array of Tables".

use super::MAX_DEFINITIONS;

/// A table or one element of an array of tables, to define keys in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope(u64);

impl Scope {
    /// The top of a document.
    pub(super) const ROOT: Self = Self(0xcbf2_9ce4_8422_2325);

    /// A key in this scope.
    pub(super) fn node(self, name: &str) -> Node {
        Node(fnv_1a(fnv_1a(self.0, name.as_bytes()), &[SEPARATOR]))
    }
}

/// A key in a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(u64);

impl Node {
    /// The scope of a table of that name.
    pub(super) const fn table(self) -> Scope {
        Scope(self.0)
    }

    /// The scope of the element that starts at `offset`, if the key is an array of tables.
    pub(super) fn element(self, offset: usize) -> Scope {
        // No key has this name: it starts with what only ends one.
        Scope(fnv_1a(fnv_1a(self.0, &[SEPARATOR]), &offset.to_le_bytes()))
    }
}

/// Keeps the hash of `a.bc` from that of `ab.c`: it is in no UTF-8.
const SEPARATOR: u8 = 0xff;

fn fnv_1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// How a key was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By a value, an inline table included; nothing can be added to it.
    Value,
    /// As a table above the table of a header; its own header may follow.
    Implicit,
    /// By a header `[table]`.
    Header,
    /// By dotted keys; more of them may follow, a header may not.
    Dotted,
    /// By headers `[[table]]`; the offset is that of the last one.
    Array,
}

/// How and where a key was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) kind: Kind,
    /// Where in the document, in bytes from its start.
    pub(super) offset: usize,
}

/// There is no room for another definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

const SLOTS: usize = (MAX_DEFINITIONS * 8 / 7).next_power_of_two();
const _: () = assert!(MAX_DEFINITIONS * 8 <= SLOTS * 7);

/// An open-addressing hash table; never more than 7/8 full, so a search ends soon.
#[derive(Debug)]
pub(super) struct Definitions {
    /// Zero for a free slot.
    hashes: [u64; SLOTS],
    /// Kind and offset: `kind << 24 | offset`.
    entries: [u32; SLOTS],
    length: usize,
}

impl Definitions {
    pub(super) const fn new() -> Self {
        Self { hashes: [0; SLOTS], entries: [0; SLOTS], length: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.hashes.fill(0);
        self.length = 0;
    }

    pub(super) fn get(&self, node: Node) -> Option<Definition> {
        let (slot, occupied) = self.find(node);
        occupied.then(|| decode(self.entries[slot]))
    }

    /// Defines `node`, or changes its definition.
    pub(super) fn set(&mut self, node: Node, definition: Definition) -> Result<(), Full> {
        let (slot, occupied) = self.find(node);
        if !occupied {
            if self.length == MAX_DEFINITIONS {
                return Err(Full);
            }
            self.length += 1;
        }
        self.hashes[slot] = hash(node);
        self.entries[slot] = encode(definition);
        Ok(())
    }

    /// The slot of `node`, and whether it is there or only would be.
    fn find(&self, node: Node) -> (usize, bool) {
        let hash = hash(node);
        // The high bits are the better mixed ones.
        let mut slot = usize::try_from(hash >> 40).unwrap_or(0) % SLOTS;
        loop {
            match self.hashes[slot] {
                0 => return (slot, false),
                found if found == hash => return (slot, true),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

const fn hash(node: Node) -> u64 {
    if node.0 == 0 { 1 } else { node.0 }
}

const KINDS: [Kind; 5] = [Kind::Value, Kind::Implicit, Kind::Header, Kind::Dotted, Kind::Array];
const OFFSET_BITS: u32 = 24;
const _: () = assert!(super::MAX_DOCUMENT_BYTES < 1 << OFFSET_BITS);

fn encode(definition: Definition) -> u32 {
    let kind = KINDS.iter().position(|kind| *kind == definition.kind).unwrap_or(0);
    let small = |value: usize| u32::try_from(value).unwrap_or(0);
    small(kind) << OFFSET_BITS | small(definition.offset)
}

fn decode(entry: u32) -> Definition {
    let index = |value: u32| usize::try_from(value).unwrap_or(0);
    let kind = KINDS[index(entry >> OFFSET_BITS)];
    Definition { kind, offset: index(entry & ((1 << OFFSET_BITS) - 1)) }
}

#[cfg(test)]
mod tests {
    use super::{Definition, Definitions, Full, KINDS, Kind, Scope};
    use crate::toml::MAX_DEFINITIONS;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn paths_and_elements_are_told_apart() {
        let nodes = [
            Scope::ROOT.node("a").table().node("bc"),
            Scope::ROOT.node("ab").table().node("c"),
            Scope::ROOT.node("abc"),
            Scope::ROOT.node("a").element(0).node("bc"),
            Scope::ROOT.node("a").element(1).node("bc"),
            Scope::ROOT.node(""),
            Scope::ROOT.node("").table().node(""),
        ];
        for (index, node) in nodes.iter().enumerate() {
            assert!(!nodes[..index].contains(node), "{index}");
        }
    }

    #[test]
    fn capacity_is_exact_and_a_full_table_still_answers() {
        let mut definitions = Box::new(Definitions::new());
        let node = |index: usize| Scope::ROOT.node(&index.to_string());
        for index in 0..MAX_DEFINITIONS {
            assert_eq!(definitions.get(node(index)), None);
            assert_eq!(definitions.set(node(index), Definition { kind: Kind::Value, offset: index }), Ok(()));
        }
        let definition = Definition { kind: Kind::Header, offset: 65_535 };
        assert_eq!(definitions.set(node(MAX_DEFINITIONS), definition), Err(Full));
        assert_eq!(definitions.get(node(MAX_DEFINITIONS)), None);
        assert_eq!(definitions.set(node(0), definition), Ok(()), "a change needs no room");
        assert_eq!(definitions.get(node(0)), Some(definition));
        definitions.clear();
        assert_eq!(definitions.get(node(0)), None);
    }

    proptest! {
        #[test]
        fn definitions_are_a_map(steps in prop::collection::vec((0..50_usize, 0..5_usize, 0..65_536_usize), 0..200)) {
            let mut definitions = Box::new(Definitions::new());
            let mut model = HashMap::new();
            for (name, kind, offset) in steps {
                let node = Scope::ROOT.node(&name.to_string());
                prop_assert_eq!(definitions.get(node), model.get(&name).copied());
                let definition = Definition { kind: KINDS[kind], offset };
                prop_assert_eq!(definitions.set(node, definition), Ok(()));
                model.insert(name, definition);
            }
        }
    }
}
