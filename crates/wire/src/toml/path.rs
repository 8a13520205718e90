//! Where in a document a table is: the names of the tables from the root down.

use core::fmt;
use core::str;

use super::{MAX_PATH_BYTES, MAX_PATH_PARTS};

/// The path of a table, from the root; empty for the root. It prints as TOML writes it: `a."b c"`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'p> {
    text: &'p str,
    ends: &'p [u16],
}

impl<'p> Path<'p> {
    /// The names, from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        let Self { text, ends } = *self;
        let mut start = 0;
        ends.iter().map(move |end| {
            let end = usize::from(*end);
            let part = text.get(start..end).unwrap_or_default();
            start = end;
            part
        })
    }

    /// Whether the path consists of these names.
    #[must_use]
    pub fn is(&self, names: &[&str]) -> bool {
        self.parts().eq(names.iter().copied())
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.ends.is_empty()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if !part.is_empty() && part.chars().all(is_bare) {
                f.write_str(part)?;
            } else {
                write!(f, "{part:?}")?;
            }
        }
        Ok(())
    }
}

/// A path that is being walked. Only its first parts are ever dropped last.
#[derive(Debug)]
pub(super) struct PathBuffer {
    bytes: [u8; MAX_PATH_BYTES],
    ends: [u16; MAX_PATH_PARTS],
    depth: usize,
}

const _: () = assert!(MAX_PATH_BYTES <= u16::MAX as usize);

impl PathBuffer {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX_PATH_BYTES], ends: [0; MAX_PATH_PARTS], depth: 0 }
    }

    /// How many parts there are.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Appends a part, unless the path would be too long or too deep.
    #[must_use]
    pub(super) fn push(&mut self, part: &str) -> bool {
        let start = self.bytes_of(self.depth);
        let end = start + part.len();
        let (Some(room), Some(slot)) = (self.bytes.get_mut(start..end), self.ends.get_mut(self.depth)) else {
            return false;
        };
        let Ok(encoded) = u16::try_from(end) else { return false };
        room.copy_from_slice(part.as_bytes());
        *slot = encoded;
        self.depth += 1;
        true
    }

    /// Drops all parts but the first `depth`.
    pub(super) fn truncate(&mut self, depth: usize) {
        self.depth = self.depth.min(depth);
    }

    /// The path of the first `depth` parts.
    pub(super) fn prefix(&self, depth: usize) -> Path<'_> {
        let depth = depth.min(self.depth);
        // Only whole strings are copied in, so this is UTF-8.
        let text = str::from_utf8(&self.bytes[..self.bytes_of(depth)]).unwrap_or_default();
        Path { text, ends: &self.ends[..depth] }
    }

    /// The whole path.
    pub(super) fn path(&self) -> Path<'_> {
        self.prefix(self.depth)
    }

    /// The path without its last part, and that part; the root has none.
    pub(super) fn split_last(&self) -> (Path<'_>, &str) {
        let Some(depth) = self.depth.checked_sub(1) else { return (self.path(), "") };
        let name = &self.bytes[self.bytes_of(depth)..self.bytes_of(self.depth)];
        (self.prefix(depth), str::from_utf8(name).unwrap_or_default())
    }

    fn bytes_of(&self, depth: usize) -> usize {
        depth.checked_sub(1).map_or(0, |last| usize::from(self.ends[last]))
    }
}

#[cfg(test)]
mod tests {
    use super::PathBuffer;
    use crate::toml::{MAX_PATH_BYTES, MAX_PATH_PARTS};
    use proptest::prelude::*;

    #[test]
    fn a_path_prints_as_toml_writes_it() {
        let mut path = PathBuffer::new();
        assert!(path.path().is_root());
        assert!(path.push("a-1") && path.push("b c") && path.push(""));
        assert_eq!(path.path().to_string(), r#"a-1."b c"."""#);
        assert!(path.path().is(&["a-1", "b c", ""]));
        assert!(!path.path().is(&["a-1", "b c"]));
    }

    #[test]
    fn limits_are_exact() {
        let mut path = PathBuffer::new();
        assert!(!path.push(&"x".repeat(MAX_PATH_BYTES + 1)));
        assert!(path.push(&"x".repeat(MAX_PATH_BYTES)));
        assert!(!path.push("x"));
        path.truncate(0);
        for _ in 0..MAX_PATH_PARTS {
            assert!(path.push("x"));
        }
        assert!(!path.push(""));
        assert_eq!(path.depth(), MAX_PATH_PARTS);
    }

    proptest! {
        #[test]
        fn a_path_is_a_stack_of_names(steps in prop::collection::vec((any::<bool>(), "[aé]{0,4}"), 0..30)) {
            let mut path = PathBuffer::new();
            let mut model: Vec<String> = Vec::new();
            for (pop, part) in steps {
                if pop {
                    model.pop();
                    path.truncate(model.len());
                } else if path.push(&part) {
                    model.push(part);
                }
                prop_assert_eq!(path.path().parts().collect::<Vec<_>>(), model.clone());
                let (parent, name) = path.split_last();
                prop_assert_eq!(name, model.last().map_or("", String::as_str));
                prop_assert_eq!(parent.parts().count(), model.len().saturating_sub(1));
            }
        }
    }
}
