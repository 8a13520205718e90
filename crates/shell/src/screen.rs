//! A whole screen that is drawn again and again, on a terminal of 80 columns and 24 rows.
//!
//! [`Screen`] takes lines of text, with the colours of [`crate::term::Term::paint`], and brings each to its row. A row that is
//! as it was is not sent again, so that nothing flickers and a slow line keeps up. Whatever a line holds, it stays in its
//! row: it is cut where the row ends, what lies below the last row is dropped, and a character that takes no cell of its own is
//! shown as `?`.
//!
//! Only sequences of ECMA-48 that a VT100 knows are sent: cursor position, erase in line, erase in display and colours;
//! and the one that hides the cursor, which a VT100 passes over.

use core::fmt::{self, Write};
use unicode_width::UnicodeWidthChar;

/// The rows above the status line.
pub const ROWS: usize = 23;
/// The columns that are used. The 80th is left alone: terminals disagree about where the cursor is after it.
pub const COLUMNS: usize = 79;

/// The row of the status line, counted from 1 as terminals do.
const STATUS_ROW: usize = ROWS + 1;
/// The bytes of a row: a character takes up to four, and the rest is for colours.
const ROW_BYTES: usize = 1024;
const TEXT_BYTES: usize = COLUMNS * 4;
const RESET: &str = "\x1b[0m";
/// What a character is shown as that takes no cell of its own.
pub(crate) const UNKNOWN: char = '?';

/// What a terminal shows, as far as it is known.
///
/// ```
/// use shell::screen::Screen;
/// use std::fmt::Write as _;
/// let (mut screen, mut out) = (Screen::new(), String::new());
/// screen.open(&mut out).unwrap();
/// screen.draw(&mut out, &"q leaves", &|rows| writeln!(rows, "3 requests")).unwrap();
/// out.clear();
/// screen.draw(&mut out, &"q leaves", &|rows| writeln!(rows, "4 requests")).unwrap();
/// assert_eq!(out, "\x1b[1;1H4 requests\x1b[K\x1b[24;1H");
/// ```
#[derive(Clone, Debug)]
pub struct Screen {
    /// The hash of what stands in each row, the status line last; none where that is not known.
    shown: [Option<u64>; STATUS_ROW],
}

/// What writes the rows of a screen.
pub type Draw<'a> = dyn Fn(&mut dyn Write) -> fmt::Result + 'a;

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// A screen of which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self { shown: [None; STATUS_ROW] }
    }

    /// Empties the terminal and hides its cursor.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn open(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.shown = [None; STATUS_ROW];
        out.write_str("\x1b[?25l\x1b[H\x1b[2J")
    }

    /// Shows what `draw` writes, from the top, and the status line at the bottom.
    ///
    /// # Errors
    /// Those of `out` and of `draw`.
    pub fn draw(&mut self, out: &mut dyn Write, status: &dyn fmt::Display, draw: &Draw<'_>) -> fmt::Result {
        let mut rows = Rows { shown: &mut self.shown, out, row: 0, end: ROWS, line: Line::new() };
        draw(&mut rows)?;
        if !rows.line.is_empty() {
            rows.end_row()?;
        }
        while rows.row < ROWS {
            rows.end_row()?;
        }
        rows.end = STATUS_ROW;
        rows.line = Line::new();
        write!(rows, "{status}")?;
        rows.end_row()?;
        write!(rows.out, "\x1b[{STATUS_ROW};1H")
    }

    /// Shows the cursor again, in an empty last row, below what was drawn.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn close(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.shown = [None; STATUS_ROW];
        // To the last row by a line end, so that also a reader who drops the sequences sees a fresh line.
        write!(out, "\x1b[{ROWS};1H\n\x1b[K\x1b[?25h")
    }
}

/// Takes text and brings each line of it to its row.
struct Rows<'a> {
    shown: &'a mut [Option<u64>; STATUS_ROW],
    out: &'a mut dyn Write,
    /// The row that is being written, from 0.
    row: usize,
    /// The row after the last that may be written.
    end: usize,
    line: Line,
}

impl Rows<'_> {
    fn end_row(&mut self) -> fmt::Result {
        self.line.finish();
        let hash = hash(self.line.text.as_bytes());
        if self.row < self.end
            && let Some(shown) = self.shown.get_mut(self.row)
            && *shown != Some(hash)
        {
            *shown = Some(hash);
            write!(self.out, "\x1b[{};1H{}\x1b[K", self.row + 1, self.line.text)?;
        }
        self.row = (self.row + 1).min(self.end);
        self.line = Line::new();
        Ok(())
    }
}

impl Write for Rows<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if c == '\n' {
                return self.end_row();
            }
            self.line.push(c);
            Ok(())
        })
    }
}

/// A row that is being written.
struct Line {
    text: heapless::String<ROW_BYTES>,
    cells: usize,
    /// A sequence whose end has not come yet.
    sequence: heapless::String<16>,
    coloured: bool,
}

impl Line {
    const fn new() -> Self {
        Self { text: heapless::String::new(), cells: 0, sequence: heapless::String::new(), coloured: false }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn push(&mut self, c: char) {
        if c == '\x1b' || !self.sequence.is_empty() {
            self.push_to_sequence(c);
            return;
        }
        let (c, cells) = match cells(c) {
            Some(cells) => (c, cells),
            None => (UNKNOWN, 1),
        };
        // Nothing follows what was cut, or a narrow character would stand where a wide one had no room.
        if self.cells + cells > COLUMNS {
            self.cells = COLUMNS;
        } else if self.text.push(c).is_ok() {
            self.cells += cells;
        }
    }

    /// Colours pass, also behind the end of the row: they may be what ends others. Everything else is dropped.
    fn push_to_sequence(&mut self, c: char) {
        let fits = self.sequence.push(c).is_ok();
        match (self.sequence.len(), c) {
            (1, _) | (2, '[') => {}
            (_, '0'..='9' | ';') if fits => {}
            (_, 'm') if fits => {
                // Room for the text is left in any case.
                if self.text.len() + self.sequence.len() + TEXT_BYTES < ROW_BYTES || self.cells >= COLUMNS {
                    self.coloured |= self.text.push_str(&self.sequence).is_ok();
                }
                self.sequence.clear();
            }
            _ => self.sequence.clear(),
        }
    }

    /// No colour outlasts its row.
    fn finish(&mut self) {
        if self.coloured && !self.text.ends_with(RESET) {
            while self.text.len() + RESET.len() > ROW_BYTES {
                self.text.pop();
            }
            let _ = self.text.push_str(RESET);
        }
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The cells that a character takes, one or two; none for one that takes none, or that drives the terminal.
pub(crate) fn cells(c: char) -> Option<usize> {
    c.width().filter(|width| *width > 0)
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, ROWS, Screen};
    use crate::term::{Style, Term};
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    fn draw(screen: &mut Screen, status: &str, text: &str) -> String {
        let mut out = String::new();
        screen.draw(&mut out, &status, &|rows| rows.write_str(text)).unwrap();
        out
    }

    /// What is sent for each row: its number and its text.
    fn rows(out: &str) -> Vec<(usize, &str)> {
        let row = |part: &'_ str| -> Option<(usize, usize)> {
            let (number, rest) = part.split_once(";1H")?;
            Some((number.parse().ok()?, part.len() - rest.len()))
        };
        out.split("\x1b[")
            .filter_map(|part| row(part).map(|(number, start)| (number, &part[start..])))
            .collect()
    }

    #[test]
    fn only_rows_that_changed_are_sent() {
        let mut screen = Screen::new();
        let first = draw(&mut screen, "status", "one\ntwo\n");
        assert_eq!(rows(&first).len(), ROWS + 2, "each row, the status line, and the cursor's way there");
        assert_eq!(draw(&mut screen, "status", "one\ntwo\n"), "\x1b[24;1H");
        assert_eq!(
            draw(&mut screen, "other", "one\n\nthree"),
            "\x1b[2;1H\x1b[K\x1b[3;1Hthree\x1b[K\x1b[24;1Hother\x1b[K\x1b[24;1H"
        );
        screen.open(&mut String::new()).unwrap();
        assert_eq!(rows(&draw(&mut screen, "other", "one\n\nthree")).len(), ROWS + 2);
    }

    #[test]
    fn the_cursor_is_hidden_and_comes_back_in_a_fresh_row() {
        let (mut screen, mut out) = (Screen::new(), String::new());
        screen.open(&mut out).unwrap();
        assert!(out.contains("\x1b[?25l"));
        out.clear();
        screen.close(&mut out).unwrap();
        assert_eq!(out, "\x1b[23;1H\n\x1b[K\x1b[?25h");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut screen = Screen::new();
        let out = draw(&mut screen, "", &format!("{}\n", "x".repeat(100)).repeat(30));
        assert_eq!(rows(&out).len(), ROWS + 2);
        assert_eq!(out.matches('x').count(), COLUMNS * ROWS);
        // The right half of a wide character would lie outside.
        let out = draw(&mut screen, "", &format!("{}語x", "x".repeat(COLUMNS - 1)));
        assert_eq!(rows(&out)[0], (1, "x".repeat(COLUMNS - 1).as_str()));
    }

    #[test]
    fn only_colours_pass_and_none_outlasts_its_row() {
        let mut screen = Screen::new();
        let red = format!("{}", Term::Ansi.paint(Style::Bad, "x".repeat(100)));
        let out = draw(&mut screen, "", &red);
        assert!(
            out.starts_with(&format!("\x1b[1;1H\x1b[31m{}\x1b[0m\x1b[K", "x".repeat(COLUMNS))),
            "{out:?}"
        );
        let out = draw(&mut screen, "", "\x1b[31mred\n\x1b[2J\x1bcx\x07\u{202e}\u{301}");
        assert!(out.starts_with("\x1b[1;1H\x1b[31mred\x1b[0m\x1b[K\x1b[2;1Hx???\x1b[K"), "{out:?}");
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide(text in r"(\PC|[\x00-\x1f]|\x1b\[[0-9;]{0,20}m|語|\n){0,900}") {
            let mut screen = Screen::new();
            let out = draw(&mut screen, &text, &text);
            for (_, row) in rows(&out) {
                prop_assert!(row.width() <= COLUMNS, "{row:?}");
            }
        }
    }
}
