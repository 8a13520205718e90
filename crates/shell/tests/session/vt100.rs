//! A terminal of 80 columns and 24 rows that knows what a VT100 knows, and that puts up with nothing else.

use unicode_width::UnicodeWidthChar;

pub(crate) const ROWS: usize = 24;
pub(crate) const COLUMNS: usize = 80;

/// The terminal. It panics on a sequence that it does not know, and when something is written outside.
#[derive(Debug)]
pub(crate) struct Vt100 {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    pub(crate) cursor_is_shown: bool,
    /// Whether text may go on below the last row, as that of a shell does.
    pub(crate) may_scroll: bool,
    coloured: bool,
}

impl Vt100 {
    pub(crate) fn new() -> Self {
        let rows = vec![vec![' '; COLUMNS]; ROWS];
        Self { rows, row: 0, column: 0, cursor_is_shown: true, may_scroll: true, coloured: false }
    }

    /// Shows what was sent. A line end is what the machine makes of it: to the start of the next row.
    pub(crate) fn show(&mut self, sent: &str) {
        let mut rest = sent.chars();
        while let Some(c) = rest.next() {
            match c {
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "only control sequences");
                    let mut parameters = String::new();
                    let last = loop {
                        let c = rest.next().expect("a sequence has an end");
                        if c.is_ascii_digit() || c == ';' || c == '?' {
                            parameters.push(c);
                        } else {
                            break c;
                        }
                    };
                    self.control(&parameters, last);
                }
                '\r' => self.column = 0,
                '\x08' => self.column = self.column.saturating_sub(1),
                '\n' => self.line_end(),
                c => self.put(c),
            }
        }
    }

    /// What a row shows, without blanks at its end; from 1 as in cursor positions.
    pub(crate) fn row(&self, number: usize) -> String {
        let row: String = self.rows[number - 1].iter().filter(|c| **c != '\0').collect();
        row.trim_end().to_owned()
    }

    /// Everything that is shown.
    pub(crate) fn text(&self) -> String {
        (1..=ROWS).map(|number| self.row(number) + "\n").collect()
    }

    /// Row and column of the cursor, from 1.
    pub(crate) fn cursor(&self) -> (usize, usize) {
        (self.row + 1, self.column + 1)
    }

    pub(crate) fn is_coloured(&self) -> bool {
        self.coloured
    }

    fn control(&mut self, parameters: &str, last: char) {
        match (parameters, last) {
            ("?25", 'l') => self.cursor_is_shown = false,
            ("?25", 'h') => self.cursor_is_shown = true,
            ("" | "0", 'K') => self.rows[self.row][self.column..].fill(' '),
            ("2", 'J') => self.rows.iter_mut().for_each(|row| row.fill(' ')),
            ("", 'H') => (self.row, self.column) = (0, 0),
            (position, 'H') => {
                let (row, column) = position.split_once(';').expect("a row and a column");
                let (row, column): (usize, usize) = (row.parse().unwrap(), column.parse().unwrap());
                assert!(
                    (1..=ROWS).contains(&row) && (1..=COLUMNS).contains(&column),
                    "{position} is outside"
                );
                (self.row, self.column) = (row - 1, column - 1);
            }
            ("0", 'm') => self.coloured = false,
            ("2" | "31" | "32" | "33" | "36", 'm') => self.coloured = true,
            other => panic!("unknown control sequence {other:?}"),
        }
    }

    fn line_end(&mut self) {
        self.column = 0;
        self.row += 1;
        if self.row == ROWS {
            assert!(self.may_scroll, "the screen scrolls");
            self.row -= 1;
            self.rows.remove(0);
            self.rows.push(vec![' '; COLUMNS]);
        }
    }

    fn put(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        assert!(width > 0, "{c:?} takes no cell");
        assert!(self.column + width <= COLUMNS, "{c:?} is outside of row {}", self.row + 1);
        self.rows[self.row][self.column] = c;
        if width == 2 {
            self.rows[self.row][self.column + 1] = '\0';
        }
        self.column += width;
        // Terminals disagree about what comes after that.
        assert!(self.column < COLUMNS, "the last column is written");
    }
}
