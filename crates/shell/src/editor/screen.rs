//! Keeps the row on the terminal equal to the line in memory, with few bytes.
//!
//! The screen does not need to know how wide a character is. While the line is ASCII, a byte is a column and
//! the cursor moves by backspaces or by printing what it passes; any other line is printed again from the
//! start of the row, and once more up to the cursor, which lets the terminal do the counting. The one thing
//! that a dumb terminal lacks is erasing: there blanks cover what is gone, and a line beyond ASCII is
//! printed on a fresh row.
//!
//! The row is taken to be as wide as it needs to be, since a serial line does not tell: typing at the end of
//! a line wraps as the terminal does it, but an edit in the middle of a line that wraps looks wrong until
//! Ctrl-L prints it afresh. The text itself is never affected.

use core::fmt;

use super::PROMPT;
use super::line::LineBuffer;
use crate::term::Term;

/// A terminal and what it understands.
pub(super) struct Screen<'a> {
    pub(super) out: &'a mut dyn fmt::Write,
    pub(super) term: Term,
}

/// What stood on the row before an edit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    cursor: usize,
    len: usize,
    ascii: bool,
}

impl Shown {
    pub(super) fn of(line: &LineBuffer) -> Self {
        Self { cursor: line.cursor(), len: line.len(), ascii: line.as_str().is_ascii() }
    }
}

impl Screen<'_> {
    /// Writes `text`. A console has nowhere to report that it failed, so an error is dropped.
    pub(super) fn write(&mut self, text: &str) {
        let _ = self.out.write_str(text);
    }

    pub(super) fn bell(&mut self) {
        self.write("\x07");
    }

    /// Prints prompt and line where the cursor stands: at the start of an empty row.
    pub(super) fn print(&mut self, line: &LineBuffer) {
        self.write(PROMPT);
        self.write(line.as_str());
        self.move_cursor(line, line.len(), line.cursor());
    }

    /// Brings the row up to date after an edit that left the text alone up to byte `from`.
    pub(super) fn show_change(&mut self, line: &LineBuffer, was: Shown, from: usize) {
        let text = line.as_str();
        let appended = from == was.len && was.cursor == was.len && line.cursor() == line.len();
        if appended {
            self.write(&text[from..]);
        } else if was.ascii && text.is_ascii() {
            self.move_cursor(line, was.cursor, from);
            self.write(&text[from..]);
            self.erase(was.len.saturating_sub(line.len()));
            self.move_cursor(line, line.len(), line.cursor());
        } else {
            self.print_again(line);
        }
    }

    /// Brings the cursor up to date after a move.
    pub(super) fn show_move(&mut self, line: &LineBuffer, was: Shown) {
        self.move_cursor(line, was.cursor, line.cursor());
    }

    fn print_again(&mut self, line: &LineBuffer) {
        match self.term {
            Term::Ansi => {
                self.write("\r");
                self.write(PROMPT);
                self.write(line.as_str());
                self.write("\x1b[K");
                self.move_cursor(line, line.len(), line.cursor());
            }
            Term::Dumb => {
                self.write("\n");
                self.print(line);
            }
        }
    }

    /// Moves the cursor from byte `from` of the line to byte `to`, neither of them beyond the text that the
    /// row shows and the line holds, or `from` being past the end of a line that is ASCII.
    fn move_cursor(&mut self, line: &LineBuffer, from: usize, to: usize) {
        let text = line.as_str();
        if from == to {
            return;
        }
        let ascii = text.is_ascii();
        if ascii && from < to {
            self.write(&text[from..to]);
        } else if ascii && from - to <= 1 + PROMPT.len() + to {
            self.repeat("\x08", from - to);
        } else {
            self.write("\r");
            self.write(PROMPT);
            self.write(&text[..to]);
        }
    }

    /// Erases `columns` columns from the cursor on, to which nothing is left on the row after them.
    fn erase(&mut self, columns: usize) {
        match self.term {
            _ if columns == 0 => {}
            Term::Ansi => self.write("\x1b[K"),
            Term::Dumb => {
                self.repeat(" ", columns);
                self.repeat("\x08", columns);
            }
        }
    }

    fn repeat(&mut self, text: &str, times: usize) {
        for _ in 0..times {
            self.write(text);
        }
    }
}
