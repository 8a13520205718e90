//! The text of a line and a cursor in it, without a screen.
//!
//! The cursor stands between *clusters*: a character together with the combining marks after it, so that
//! what looks like one letter is passed and erased as one.

use super::keys::Key;
use crate::words::MAX_LINE_BYTES;
use unicode_width::UnicodeWidthChar;

/// A line of at most [`MAX_LINE_BYTES`] bytes of UTF-8.
#[derive(Clone, Debug)]
pub(super) struct LineBuffer {
    bytes: [u8; MAX_LINE_BYTES],
    len: usize,
    cursor: usize,
    overflowed: bool,
}

/// What a key did to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// The text is the same; the cursor may have moved.
    Moved,
    /// The text is the same up to this byte.
    Changed { from: usize },
    /// There was no room, or no place, for the character.
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    /// A combining mark has no character before it to go on.
    NoBase,
}

impl LineBuffer {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX_LINE_BYTES], len: 0, cursor: 0, overflowed: false }
    }

    pub(super) fn as_str(&self) -> &str {
        // Always UTF-8: only whole characters are stored and only whole clusters removed.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    pub(super) fn before_cursor(&self) -> &str {
        self.as_str().get(..self.cursor).unwrap_or_default()
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether a character was refused for want of room and nothing was erased since. Who shortens the line
    /// has seen where it ends.
    pub(super) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(super) fn clear(&mut self) {
        (self.len, self.cursor, self.overflowed) = (0, 0, false);
    }

    /// Puts `text` in the place of the whole line, the cursor after it.
    pub(super) fn set(&mut self, text: &str) -> Edit {
        self.clear();
        self.replace_before_cursor(0, text)
    }

    /// Puts `text` in the place of what stands between byte `start` and the cursor.
    pub(super) fn replace_before_cursor(&mut self, start: usize, text: &str) -> Edit {
        let removed = self.cursor - start;
        let len = self.len - removed + text.len();
        if len > MAX_LINE_BYTES {
            return Edit::Refused(Refusal::Full);
        }
        let end = start + text.len();
        self.bytes.copy_within(self.cursor..self.len, end);
        self.bytes[start..end].copy_from_slice(text.as_bytes());
        self.overflowed &= len >= self.len;
        (self.len, self.cursor) = (len, end);
        Edit::Changed { from: start }
    }

    /// Does what `key` says, if it concerns nothing but this line.
    pub(super) fn apply(&mut self, key: Key) -> Option<Edit> {
        let edit = match key {
            Key::Char(c) => self.insert(c),
            Key::Left => self.move_to(self.cluster_before()),
            Key::Right => self.move_to(self.cluster_after()),
            Key::WordLeft => self.move_to(self.word_before()),
            Key::WordRight => self.move_to(self.word_after()),
            Key::Home => self.move_to(0),
            Key::End => self.move_to(self.len),
            Key::Backspace => self.erase(self.cluster_before(), self.cursor),
            Key::Delete | Key::DeleteOrEnd => self.erase(self.cursor, self.cluster_after()),
            Key::EraseToStart => self.erase(0, self.cursor),
            Key::EraseToEnd => self.erase(self.cursor, self.len),
            Key::EraseWord => self.erase(self.word_before(), self.cursor),
            Key::Up | Key::Down | Key::Complete | Key::ClearScreen | Key::Enter | Key::Interrupt => {
                return None;
            }
        };
        Some(edit)
    }

    fn insert(&mut self, c: char) -> Edit {
        if is_combining(c) && self.cursor == 0 {
            return Edit::Refused(Refusal::NoBase);
        }
        let edit = self.replace_before_cursor(self.cursor, c.encode_utf8(&mut [0; 4]));
        self.overflowed |= edit == Edit::Refused(Refusal::Full);
        edit
    }

    fn move_to(&mut self, cursor: usize) -> Edit {
        self.cursor = cursor;
        Edit::Moved
    }

    fn erase(&mut self, start: usize, end: usize) -> Edit {
        if start == end {
            return Edit::Moved;
        }
        self.cursor = end;
        self.replace_before_cursor(start, "")
    }

    fn cluster_before(&self) -> usize {
        cluster_before(self.as_str(), self.cursor)
    }

    fn cluster_after(&self) -> usize {
        cluster_after(self.as_str(), self.cursor)
    }

    /// Where the word before the cursor starts, the blanks between them included.
    fn word_before(&self) -> usize {
        let text = self.as_str();
        let mut at = self.cursor;
        for blanks in [true, false] {
            while at > 0 && text[cluster_before(text, at)..].starts_with(' ') == blanks {
                at = cluster_before(text, at);
            }
        }
        at
    }

    /// Where the word after the cursor ends, the blanks between them included.
    fn word_after(&self) -> usize {
        let text = self.as_str();
        let mut at = self.cursor;
        for blanks in [true, false] {
            while at < text.len() && text[at..].starts_with(' ') == blanks {
                at = cluster_after(text, at);
            }
        }
        at
    }
}

/// Where the cluster before byte `at` starts.
fn cluster_before(text: &str, at: usize) -> usize {
    let mut characters = text[..at].char_indices().rev();
    characters.find(|(_, c)| !is_combining(*c)).map_or(0, |(index, _)| index)
}

/// Where the cluster that starts at byte `at` ends.
pub(super) fn cluster_after(text: &str, at: usize) -> usize {
    let mut characters = text[at..].char_indices().skip(1);
    characters.find(|(_, c)| !is_combining(*c)).map_or(text.len(), |(index, _)| at + index)
}

/// Whether `c` is drawn on the character before it.
fn is_combining(c: char) -> bool {
    c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::{Edit, Key, LineBuffer, MAX_LINE_BYTES, Refusal};

    fn after(text: &str, keys: &[Key]) -> (String, usize) {
        let mut line = LineBuffer::new();
        line.set(text);
        for key in keys {
            line.apply(*key);
        }
        (line.as_str().to_string(), line.cursor())
    }

    #[test]
    fn erasing_takes_whole_characters() {
        assert_eq!(after("aé", &[Key::Backspace]), ("a".into(), 1));
        assert_eq!(after("é漢", &[Key::Home, Key::Delete]), ("漢".into(), 0));
        assert_eq!(after("xe\u{301}", &[Key::Left, Key::Left, Key::Right, Key::Delete]), ("x".into(), 1));
    }

    #[test]
    fn words_end_at_blanks() {
        assert_eq!(after("ls  web.log  ", &[Key::EraseWord]), ("ls  ".into(), 4));
        assert_eq!(after("ls web", &[Key::WordLeft, Key::EraseToStart]), ("web".into(), 0));
        assert_eq!(after(" ls web", &[Key::Home, Key::WordRight, Key::EraseToEnd]), (" ls".into(), 3));
        assert_eq!(after("", &[Key::EraseWord, Key::WordLeft, Key::WordRight]), (String::new(), 0));
    }

    #[test]
    fn a_full_line_refuses_a_character_whole() {
        let mut line = LineBuffer::new();
        line.set(&"x".repeat(MAX_LINE_BYTES - 1));
        assert_eq!(line.apply(Key::Char('é')), Some(Edit::Refused(Refusal::Full)));
        assert_eq!(line.apply(Key::Char('e')), Some(Edit::Changed { from: MAX_LINE_BYTES - 1 }));
        assert_eq!(line.apply(Key::Char('e')), Some(Edit::Refused(Refusal::Full)));
        assert_eq!(line.len(), MAX_LINE_BYTES);
    }

    #[test]
    fn a_combining_mark_needs_a_character_to_go_on() {
        let mut line = LineBuffer::new();
        assert_eq!(line.apply(Key::Char('\u{301}')), Some(Edit::Refused(Refusal::NoBase)));
        assert_eq!(line.as_str(), "");
    }
}
