//! The lines that were entered, newest kept, in a fixed amount of memory.
//!
//! [`History`] holds at most [`MAX_ENTRIES`] lines and [`MAX_BYTES`] bytes; the oldest make room. Lines stay
//! contiguous, so that each can be lent out as a `&str`: dropping the oldest moves the rest down, 4 KiB
//! once per entered line.

use crate::words::MAX_LINE_BYTES;

/// The most lines that are kept.
pub const MAX_ENTRIES: usize = 64;
/// The most bytes that are kept, all lines together.
pub const MAX_BYTES: usize = 4096;

// The longest line always finds room once enough others are gone.
const _: () = assert!(MAX_LINE_BYTES <= MAX_BYTES);

/// Entered lines, numbered from 1 since boot.
#[derive(Clone, Debug)]
pub struct History {
    bytes: [u8; MAX_BYTES],
    /// Where each line ends in `bytes`; it starts where the one before it ends.
    ends: [usize; MAX_ENTRIES],
    count: usize,
    dropped: usize,
}

impl History {
    /// A history without lines.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_BYTES], ends: [0; MAX_ENTRIES], count: 0, dropped: 0 }
    }

    /// Stores `line`, unless it is blank, the same as the line before it, or longer than [`MAX_BYTES`].
    pub fn push(&mut self, line: &str) {
        if line.trim().is_empty() || self.recent(0) == Some(line) || line.len() > MAX_BYTES {
            return;
        }
        while self.count == MAX_ENTRIES || self.used() + line.len() > MAX_BYTES {
            self.drop_oldest();
        }
        let start = self.used();
        let end = start + line.len();
        self.bytes[start..end].copy_from_slice(line.as_bytes());
        self.ends[self.count] = end;
        self.count += 1;
    }

    /// How many lines are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether no line is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The line `back` lines before the newest, which is 0.
    #[must_use]
    pub fn recent(&self, back: usize) -> Option<&str> {
        self.line(self.count.checked_sub(back)?.checked_sub(1)?)
    }

    /// The lines with their numbers, oldest first. A number stays with its line.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        (0..self.count).filter_map(|index| Some((self.dropped + index + 1, self.line(index)?)))
    }

    fn line(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        core::str::from_utf8(self.bytes.get(start..self.ends[index])?).ok()
    }

    fn used(&self) -> usize {
        if self.count == 0 { 0 } else { self.ends[self.count - 1] }
    }

    fn drop_oldest(&mut self) {
        let (gone, used) = (self.ends[0], self.used());
        self.bytes.copy_within(gone..used, 0);
        self.ends.copy_within(1..self.count, 0);
        self.count -= 1;
        self.dropped += 1;
        for end in &mut self.ends[..self.count] {
            *end -= gone;
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{History, MAX_BYTES, MAX_ENTRIES};
    use proptest::prelude::*;

    #[test]
    fn blank_lines_and_repetitions_are_not_stored() {
        let mut history = History::new();
        for line in ["", "  ", "ls", "ls", "cat a", "ls"] {
            history.push(line);
        }
        assert_eq!(history.iter().collect::<Vec<_>>(), [(1, "ls"), (2, "cat a"), (3, "ls")]);
        assert_eq!((history.recent(0), history.recent(2), history.recent(3)), (Some("ls"), Some("ls"), None));
        assert_eq!(history.recent(usize::MAX), None);
    }

    #[test]
    fn a_line_that_can_never_fit_changes_nothing() {
        let mut history = History::new();
        history.push("ls");
        history.push(&"x".repeat(MAX_BYTES + 1));
        assert_eq!(history.iter().collect::<Vec<_>>(), [(1, "ls")]);
        history.push(&"x".repeat(MAX_BYTES));
        assert_eq!(
            history.iter().map(|(number, line)| (number, line.len())).collect::<Vec<_>>(),
            [(2, MAX_BYTES)]
        );
    }

    proptest! {
        #[test]
        fn it_keeps_the_newest_that_fit(lines in prop::collection::vec("[aé ]{0,120}", 0..200)) {
            let mut history = History::new();
            let mut model: Vec<(usize, String)> = Vec::new();
            let mut number = 0;
            for line in &lines {
                history.push(line);
                if !line.trim().is_empty() && model.last().is_none_or(|(_, last)| last != line) {
                    number += 1;
                    model.push((number, line.clone()));
                }
                while model.len() > MAX_ENTRIES || model.iter().map(|(_, l)| l.len()).sum::<usize>() > MAX_BYTES {
                    model.remove(0);
                }
                let kept: Vec<_> = history.iter().map(|(number, line)| (number, line.to_string())).collect();
                prop_assert_eq!(&kept, &model);
            }
        }
    }
}
