//! Keeps the row on the terminal equal to the line in memory, with few bytes.
//!
//! A line that fits the row, or the part of it that a [`Window`] shows, stands on one row, so that `\r` always
//! leads back to its start. While the line is ASCII, a byte is a column and the cursor moves by backspaces or
//! by printing what it passes; any other line is printed again from the start of the row, and once more up to
//! the cursor, which lets the terminal do the counting. So is a line that does not fit the row, unless text is
//! added at its end or only the cursor moves.
//!
//! The one thing that a dumb terminal lacks is erasing: there blanks cover what is gone, and a line beyond
//! ASCII is printed on a fresh row. Its row is taken to be as wide as it needs to be: an edit in the middle of
//! a line that wraps looks wrong until Ctrl-L prints it afresh. The text itself is never affected.

use core::fmt;

use super::PROMPT;
use super::line::LineBuffer;
use super::window::Window;
use crate::term::Term;

/// A terminal and what it understands.
pub(super) struct Screen<'a> {
    pub(super) out: &'a mut dyn fmt::Write,
    pub(super) term: Term,
}

/// What stood on the row before an edit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    window: Window,
    at_end: bool,
    len: usize,
    ascii: bool,
}

impl Shown {
    pub(super) fn of(line: &LineBuffer, window: Window) -> Self {
        Self { window, at_end: line.cursor() == line.len(), len: line.len(), ascii: line.as_str().is_ascii() }
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
    pub(super) fn print(&mut self, line: &LineBuffer, window: Window) {
        self.print_up_to(line, window, window.end());
        self.move_cursor(line, window, window.end(), window.cursor());
    }

    /// Prints the whole line over the part of it that is shown, if it is a part: the row is about to be left
    /// for good, and who scrolls back wants to read what stood there. It may take several rows.
    pub(super) fn unfold(&mut self, line: &LineBuffer, window: Window) {
        if !window.shows_all() {
            self.write("\r");
            self.write(PROMPT);
            self.write(line.as_str());
        }
    }

    /// Brings the row up to date after an edit that left the text alone up to byte `from`.
    pub(super) fn show_change(&mut self, line: &LineBuffer, window: Window, was: Shown, from: usize) {
        let text = line.as_str();
        let appended = from == was.len && was.at_end && line.cursor() == line.len();
        let all = was.window.shows_all() && window.shows_all();
        if appended && window.first() == was.window.first() && !was.window.is_behind_mark() {
            self.write(&text[from..]);
        } else if all && was.ascii && text.is_ascii() {
            self.move_cursor(line, window, was.window.cursor(), from);
            self.write(&text[from..]);
            self.erase(was.len.saturating_sub(line.len()));
            self.move_cursor(line, window, line.len(), line.cursor());
        } else {
            self.print_again(line, window);
        }
    }

    /// Brings the row up to date after a move of the cursor.
    pub(super) fn show_move(&mut self, line: &LineBuffer, window: Window, was: Shown) {
        if window.first() == was.window.first() {
            self.move_cursor(line, window, was.window.cursor(), window.cursor());
        } else {
            self.print_again(line, window);
        }
    }

    fn print_again(&mut self, line: &LineBuffer, window: Window) {
        match self.term {
            Term::Ansi => {
                self.write("\r");
                self.print_up_to(line, window, window.end());
                self.write("\x1b[K");
                self.move_cursor(line, window, window.end(), window.cursor());
            }
            Term::Dumb => {
                self.write("\n");
                self.print(line, window);
            }
        }
    }

    /// Prints the prompt and what the window shows of the line before column `until` of it.
    fn print_up_to(&mut self, line: &LineBuffer, window: Window, until: usize) {
        self.write(PROMPT);
        window.pieces(line.as_str(), until, &mut |piece| self.write(piece));
    }

    /// Moves the cursor from one column of the line to another, both of them in the window. `from` may be past
    /// the end of a line that is ASCII.
    fn move_cursor(&mut self, line: &LineBuffer, window: Window, from: usize, to: usize) {
        let text = line.as_str();
        if from == to {
            return;
        }
        let ascii = text.is_ascii();
        if ascii && from < to {
            self.write(&text[from..to]);
        } else if ascii && from - to <= 1 + PROMPT.len() + to - window.first() {
            self.repeat("\x08", from - to);
        } else {
            self.write("\r");
            self.print_up_to(line, window, to);
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
