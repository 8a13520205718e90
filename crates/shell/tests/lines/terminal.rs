//! A terminal that tests can look at.

use std::fmt;
use unicode_width::UnicodeWidthChar;

/// One screen cell: what is drawn in it, or the right half of the wide character before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    RightHalf,
}

/// The columns of a terminal that knows escape sequences.
pub(crate) const COLUMNS: usize = 80;

/// A terminal that never runs out of rows. One that knows escape sequences wraps at [`COLUMNS`] as xterm does:
/// a character in the last column leaves the cursor there until the next one comes. A dumb one has endless
/// rows. It knows the few control sequences that the shell may send, and panics on any other.
#[derive(Debug)]
pub(crate) struct Terminal {
    rows: Vec<Vec<Cell>>,
    column: usize,
    pub(crate) bells: usize,
    knows_escapes: bool,
    columns: usize,
    escape: Option<String>,
}

/// The columns that a character takes.
pub(crate) fn width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The cells that `text` fills on an empty row, without blanks at the end, and the column after it.
pub(crate) fn cells(text: &str) -> (Vec<Cell>, usize) {
    let mut terminal = Terminal::new(false);
    text.chars().for_each(|c| terminal.put(c));
    (terminal.row(), terminal.column)
}

impl Terminal {
    pub(crate) fn new(knows_escapes: bool) -> Self {
        let columns = if knows_escapes { COLUMNS } else { usize::MAX };
        Self { rows: vec![Vec::new()], column: 0, bells: 0, knows_escapes, columns, escape: None }
    }

    /// The last row, without blanks at its end.
    pub(crate) fn row(&self) -> Vec<Cell> {
        let mut row = self.rows.last().cloned().unwrap_or_default();
        while row.last() == Some(&Cell::Text(" ".into())) {
            row.pop();
        }
        row
    }

    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// All rows as text, without blanks at their ends.
    pub(crate) fn text(&self) -> Vec<String> {
        let text = |row: &Vec<Cell>| {
            row.iter()
                .map(|cell| if let Cell::Text(text) = cell { text.as_str() } else { "" })
                .collect::<String>()
        };
        self.rows.iter().map(|row| text(row).trim_end().to_string()).collect()
    }

    fn take(&mut self, c: char) {
        if let Some(mut escape) = self.escape.take() {
            escape.push(c);
            match escape.as_str() {
                "[" | "[2" => self.escape = Some(escape),
                "[K" => {
                    let column = self.column.min(self.columns - 1);
                    self.last_row().truncate(column);
                }
                "[H" => self.column = 0,
                "[2J" => self.rows = vec![Vec::new()],
                other => panic!("unknown escape sequence {other:?}"),
            }
            return;
        }
        match c {
            '\x1b' => {
                assert!(self.knows_escapes, "an escape sequence for a dumb terminal");
                self.escape = Some(String::new());
            }
            '\x07' => self.bells += 1,
            '\x08' => self.column = self.column.min(self.columns - 1).saturating_sub(1),
            '\r' => self.column = 0,
            '\n' => {
                self.rows.push(Vec::new());
                self.column = 0;
            }
            c => {
                assert!(!c.is_control(), "control character {c:?}");
                self.put(c);
            }
        }
    }

    fn last_row(&mut self) -> &mut Vec<Cell> {
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    fn put(&mut self, c: char) {
        if width(c) > 0 && self.column + width(c) > self.columns {
            self.rows.push(Vec::new());
            self.column = 0;
        }
        let column = self.column;
        let row = self.last_row();
        if width(c) == 0 {
            if let Some(Cell::Text(text)) = row[..column].iter_mut().rfind(|cell| **cell != Cell::RightHalf) {
                text.push(c);
            }
            return;
        }
        let blank = Cell::Text(" ".into());
        if row.len() < column + width(c) {
            row.resize(column + width(c), blank.clone());
        }
        // Writing over a part of a wide character destroys the rest of it.
        if row[column] == Cell::RightHalf {
            let start = row[..column].iter().rposition(|cell| *cell != Cell::RightHalf).unwrap_or(0);
            row[start..column].fill(blank.clone());
        }
        let end = column + width(c);
        row[end..]
            .iter_mut()
            .take_while(|cell| **cell == Cell::RightHalf)
            .for_each(|cell| *cell = blank.clone());
        row[column] = Cell::Text(c.to_string());
        // There are characters of three columns, such as U+17D8.
        row[column + 1..end].fill(Cell::RightHalf);
        self.column += width(c);
    }
}

impl fmt::Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|c| self.take(c));
        Ok(())
    }
}
