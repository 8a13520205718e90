//! The editor against a naive model of a line, and what the terminal shows after every key.

use proptest::prelude::*;
use shell::complete::NoCompleter;
use shell::editor::{Editor, Event, PROMPT};
use shell::term::Term;
use shell::words::MAX_LINE_BYTES;

use crate::terminal::{COLUMNS, Cell, Terminal, cells, width};

/// An editor at a terminal.
struct Session {
    editor: Editor,
    terminal: Terminal,
    /// The first column of the line that the row should show.
    first: usize,
    /// What the rows above should show.
    above: Vec<String>,
}

impl Session {
    fn new(term: Term) -> Self {
        let terminal = Terminal::new(term == Term::Ansi);
        let mut session = Self { editor: Editor::new(), terminal, first: 0, above: Vec::new() };
        session.editor.set_term(term);
        session.editor.begin(&mut session.terminal);
        session
    }

    /// Feeds bytes and answers with the lines entered and the other events.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Result<String, Event>> {
        let mut events = Vec::new();
        for byte in bytes.as_ref() {
            let event = self.editor.feed(*byte, &mut self.terminal, &NoCompleter);
            if event != Event::None {
                let line = self.editor.line().to_string();
                events.push(if event == Event::Line { Ok(line) } else { Err(event) });
                self.editor.begin(&mut self.terminal);
            }
        }
        events
    }

    fn assert_shows(&mut self, line: &str, before_cursor: &str) {
        assert_eq!(self.editor.line(), line);
        let cursor = columns(before_cursor);
        self.first = match self.editor.term() {
            Term::Ansi => first_column(self.first, columns(line), cursor),
            Term::Dumb => 0,
        };
        assert_eq!(self.terminal.row(), self.row(line, self.first));
        assert_eq!(self.terminal.column(), PROMPT.len() + cursor - self.first);
    }

    /// What the row should show of `line` from column `first` on.
    fn row(&self, line: &str, first: usize) -> Vec<Cell> {
        let room = if self.editor.term() == Term::Ansi { ROOM } else { usize::MAX };
        let mut row = cells(PROMPT).0;
        row.resize(PROMPT.len(), blank());
        row.extend(excerpt(line, first, room));
        while row.last() == Some(&blank()) {
            row.pop();
        }
        row
    }

    /// Notes that `line` was entered, and stays above.
    fn leave(&mut self, line: &str) {
        let mut whole = Terminal::new(self.editor.term() == Term::Ansi);
        std::fmt::Write::write_str(&mut whole, &format!("{PROMPT}{line}"))
            .expect("a terminal takes everything");
        self.above.extend(whole.text());
        self.first = 0;
    }

    /// The rows above hold the lines entered and nothing else.
    fn assert_nothing_is_left_behind(&self) {
        let mut rows = self.terminal.text();
        rows.pop();
        assert_eq!(rows, self.above);
    }
}

/// The cells that a terminal of [`COLUMNS`] has for a line after the prompt: the last stays empty.
const ROOM: usize = COLUMNS - 1 - PROMPT.len();

fn blank() -> Cell {
    Cell::Text(" ".into())
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The columns of a line of `width` columns that may hold the cursor, if `first` is the first one shown.
fn places(first: usize, width: usize) -> std::ops::Range<usize> {
    let (cut_before, cut_after) = (first > 0, width > first + ROOM);
    first + usize::from(cut_before)..first + ROOM - usize::from(cut_after)
}

/// The first column shown, if it was `first`.
fn first_column(first: usize, width: usize, cursor: usize) -> usize {
    match first {
        _ if width < ROOM => 0,
        first if places(first, width).contains(&cursor) => first,
        _ => cursor.saturating_sub(ROOM / 2),
    }
}

/// The cells of `line` from `first` on, at most `room`, with a mark at either end where it is cut off, and a
/// blank for half a character.
fn excerpt(line: &str, first: usize, room: usize) -> Vec<Cell> {
    let mut all: Vec<Cell> = Vec::new();
    for letter in letters(line) {
        let rest = columns(&letter).saturating_sub(1);
        all.push(Cell::Text(letter));
        all.extend(std::iter::repeat_n(Cell::RightHalf, rest));
    }
    let end = all.len().min(first.saturating_add(room));
    let mut shown = all[first..end].to_vec();
    if first > 0 {
        shown[0] = Cell::Text("<".into());
    }
    if end < all.len() {
        *shown.last_mut().expect("a line that is cut off shows something") = Cell::Text(">".into());
    }
    // Of a wide letter all is shown, or blanks.
    let mut at = 0;
    while at < shown.len() {
        let after = match &shown[at] {
            Cell::Text(text) => at + columns(text).max(1),
            Cell::RightHalf => at,
        };
        let rest = shown.get(at + 1..after);
        if rest.is_some_and(|rest| rest.iter().all(|cell| *cell == Cell::RightHalf)) {
            at = after;
        } else {
            shown[at] = blank();
            at += 1;
        }
    }
    shown
}

fn output(term: Term, before: &str, key: &str) -> String {
    let mut editor = Editor::new();
    editor.set_term(term);
    before
        .bytes()
        .for_each(|byte| assert_eq!(editor.feed(byte, &mut String::new(), &NoCompleter), Event::None));
    let mut out = String::new();
    for byte in key.bytes() {
        editor.feed(byte, &mut out, &NoCompleter);
    }
    out
}

#[test]
fn common_keys_cost_few_bytes() {
    for term in [Term::Ansi, Term::Dumb] {
        assert_eq!(output(term, "ls", "x"), "x");
        assert_eq!(output(term, "ls", "\x1b[D"), "\x08");
        assert_eq!(output(term, "ls\x02", "\x1b[C"), "s");
        assert_eq!(output(term, "ls\x02", "x"), "xs\x08");
        assert_eq!(output(term, &"x".repeat(70), "\x01"), format!("\r{PROMPT}"));
        assert_eq!(output(term, "", "\x1b[D\x1b[C\x01\x05\x0b\x15\x17\x7f"), "");
    }
    assert_eq!(output(Term::Ansi, &"x".repeat(100), "yz"), "yz");
    assert_eq!(output(Term::Ansi, &"x".repeat(100), "\x02\x02\x06"), "\x08\x08x");
    assert_eq!(output(Term::Ansi, "ls", "\x7f"), "\x08\x1b[K");
    assert_eq!(output(Term::Dumb, "ls", "\x7f"), "\x08 \x08");
}

/// Wider than the terminal.
const WIDE: &str = "ratelimit add scope=service:web algorithm=fixed-window limit=300 window=60s align=clock";

#[test]
fn a_line_that_is_wider_than_the_terminal_is_edited_on_one_row() {
    let mut session = Session::new(Term::Ansi);
    session.send(WIDE);
    let scrolled = session.terminal.text();
    assert_eq!(scrolled, ["weir> <thm=fixed-window limit=300 window=60s align=clock"]);
    session.send("\x01");
    let at_start = &WIDE[..ROOM - 1];
    assert_eq!(session.terminal.text(), [format!("weir> {at_start}>")]);
    session.send("X");
    assert_eq!(session.terminal.text(), [format!("weir> X{}>", &WIDE[..ROOM - 2])]);
    session.send("\x7f");
    assert_eq!(session.terminal.text(), [format!("weir> {at_start}>")]);
    session.send("\x05\x1b[A\x1b[B");
    assert_eq!(session.terminal.text().len(), 1);
}

#[test]
fn a_line_that_is_wider_than_the_terminal_is_left_whole() {
    for (keys, end) in [("\r", ""), ("\x03", "^C"), ("\x01\r", ""), ("\x01\x03", "^C")] {
        let mut session = Session::new(Term::Ansi);
        session.send(format!("{WIDE}{keys}"));
        let (first, second) = WIDE.split_at(COLUMNS - PROMPT.len());
        assert_eq!(
            session.terminal.text(),
            [format!("weir> {first}"), format!("{second}{end}"), "weir>".into()]
        );
    }
}

#[test]
fn every_enter_of_a_paste_gives_its_line() {
    let mut session = Session::new(Term::Ansi);
    let lines = session.send("ls\r\n\ncat a\rdate");
    assert_eq!(lines, [Ok("ls".into()), Ok(String::new()), Ok("cat a".into())]);
    session.assert_shows("date", "date");
    let shown: Vec<_> = session.terminal.text();
    assert_eq!(shown, ["weir> ls", "weir>", "weir> cat a", "weir> date"]);
}

#[test]
fn a_line_that_is_too_long_is_never_handed_out_cut_short() {
    for term in [Term::Ansi, Term::Dumb] {
        let mut session = Session::new(term);
        let long = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(session.send(format!("{long}\r")), [Ok(long.clone())]);
        assert_eq!(session.terminal.bells, 0);
        assert_eq!(session.send(format!("{long}yz\r")), [Err(Event::TooLong)]);
        assert_eq!(session.terminal.bells, 1);
        assert_eq!(session.editor.line(), "");
        assert_eq!(session.editor.history().len(), 1);
        assert_eq!(session.send("ls\r"), [Ok("ls".into())]);
    }
}

#[test]
fn a_line_that_the_user_shortened_may_be_entered() {
    let mut session = Session::new(Term::Ansi);
    let long = "x".repeat(MAX_LINE_BYTES);
    assert_eq!(session.send(format!("{long}y\x7f\r")), [Ok(long[1..].to_string())]);
    assert_eq!(session.send(format!("{long}y\x1b[D\r")), [Err(Event::TooLong)]);
    session.send("ls\r");
    assert_eq!(session.send(format!("{long}y\x1b[A\x1b[B\r")), [Err(Event::TooLong)]);
    assert_eq!(session.send(format!("{long}y\x1b[A\r")), [Ok("ls".into())]);
}

#[test]
fn ctrl_c_gives_up_the_line_and_ctrl_d_ends_input_only_on_an_empty_one() {
    let mut session = Session::new(Term::Dumb);
    assert_eq!(session.send("poweroff\x03ls\r"), [Err(Event::Interrupted), Ok("ls".into())]);
    assert_eq!(session.terminal.text()[..2], ["weir> poweroff^C", "weir> ls"]);
    assert_eq!(session.send("ab\x01\x04\x05\x04\r"), [Ok("b".into())]);
    assert_eq!(session.send("\x04"), [Err(Event::EndOfInput)]);
}

#[test]
fn history_keeps_the_unfinished_line() {
    let mut session = Session::new(Term::Ansi);
    session.send("ls\rcat a\runfin");
    session.send("\x1b[A");
    session.assert_shows("cat a", "cat a");
    session.send("\x1b[A\x1b[A");
    session.assert_shows("ls", "ls");
    assert_eq!(session.terminal.bells, 1);
    session.send("\x1b[B\x1b[B");
    session.assert_shows("unfin", "unfin");
    session.send("\x1b[B");
    session.assert_shows("unfin", "unfin");
    assert_eq!(session.send("\x1b[A\x1b[A -x\r"), [Ok("ls -x".into())]);
    session.send("\x1b[A");
    session.assert_shows("ls -x", "ls -x");
}

#[test]
fn ctrl_l_starts_on_a_clean_screen_or_a_fresh_row() {
    let mut ansi = Session::new(Term::Ansi);
    ansi.send("ls\rab\x02\x0c");
    assert_eq!(ansi.terminal.text(), ["weir> ab"]);
    ansi.assert_shows("ab", "a");
    let mut dumb = Session::new(Term::Dumb);
    dumb.send("ab\x02\x0c");
    assert_eq!(dumb.terminal.text(), ["weir> ab", "weir> ab"]);
    dumb.assert_shows("ab", "a");
}

#[test]
fn the_line_survives_other_output() {
    let mut session = Session::new(Term::Ansi);
    session.send("ab\x02");
    std::fmt::Write::write_str(&mut session.terminal, "\na message\n").unwrap();
    session.editor.redraw(&mut session.terminal);
    session.assert_shows("ab", "a");
}

#[test]
fn bytes_after_an_event_begin_another_line() {
    let mut editor = Editor::new();
    let mut out = String::new();
    for (byte, event) in
        [(b'a', Event::None), (b'\r', Event::Line), (b'b', Event::None), (b'\r', Event::Line)]
    {
        assert_eq!(editor.feed(byte, &mut out, &NoCompleter), event);
    }
    assert_eq!(editor.line(), "b");
}

/// A line as anyone would write it: letters with their marks, and the number of them before the cursor.
#[derive(Clone, Debug, Default)]
struct Model {
    letters: Vec<String>,
    cursor: usize,
    entered: Vec<String>,
    back: usize,
    draft: (Vec<String>, usize),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Type(char),
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Backspace,
    Delete,
    KillToStart,
    KillToEnd,
    KillWord,
    Up,
    Down,
    Noise(&'static str),
    Enter,
}

impl Op {
    fn bytes(self) -> String {
        match self {
            Self::Type(c) => c.to_string(),
            Self::Left => "\x1b[D".into(),
            Self::Right => "\x1bOC".into(),
            Self::WordLeft => "\x1b[1;5D".into(),
            Self::WordRight => "\x1b[1;5C".into(),
            Self::Home => "\x1b[7~".into(),
            Self::End => "\x1b[4~".into(),
            Self::Backspace => "\x7f".into(),
            Self::Delete => "\x1b[3~".into(),
            Self::KillToStart => "\x15".into(),
            Self::KillToEnd => "\x0b".into(),
            Self::KillWord => "\x17".into(),
            Self::Up => "\x1b[A".into(),
            Self::Down => "\x1b[B".into(),
            Self::Noise(bytes) => bytes.into(),
            Self::Enter => "\r".into(),
        }
    }
}

impl Model {
    fn line(&self) -> String {
        self.letters.concat()
    }

    fn word_start(&self) -> usize {
        let mut at = self.cursor;
        while at > 0 && self.letters[at - 1].starts_with(' ') {
            at -= 1;
        }
        while at > 0 && !self.letters[at - 1].starts_with(' ') {
            at -= 1;
        }
        at
    }

    fn word_end(&self) -> usize {
        let mut at = self.cursor;
        while at < self.letters.len() && self.letters[at].starts_with(' ') {
            at += 1;
        }
        while at < self.letters.len() && !self.letters[at].starts_with(' ') {
            at += 1;
        }
        at
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Type(c) if width(c) == 0 => {
                if let Some(letter) = self.letters[..self.cursor].last_mut() {
                    letter.push(c);
                }
            }
            Op::Type(c) => {
                self.letters.insert(self.cursor, c.to_string());
                self.cursor += 1;
            }
            Op::Left => self.cursor = self.cursor.saturating_sub(1),
            Op::Right => self.cursor = (self.cursor + 1).min(self.letters.len()),
            Op::WordLeft => self.cursor = self.word_start(),
            Op::WordRight => self.cursor = self.word_end(),
            Op::Home => self.cursor = 0,
            Op::End => self.cursor = self.letters.len(),
            Op::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.letters.remove(self.cursor);
            }
            Op::Delete if self.cursor < self.letters.len() => {
                self.letters.remove(self.cursor);
            }
            Op::Backspace | Op::Delete | Op::Noise(_) => {}
            Op::KillToStart => {
                self.letters.drain(..self.cursor);
                self.cursor = 0;
            }
            Op::KillToEnd => self.letters.truncate(self.cursor),
            Op::KillWord => {
                let start = self.word_start();
                self.letters.drain(start..self.cursor);
                self.cursor = start;
            }
            Op::Up if self.back < self.entered.len() => {
                if self.back == 0 {
                    self.draft = (self.letters.clone(), self.cursor);
                }
                self.recall(self.back + 1);
            }
            Op::Down if self.back > 0 => self.recall(self.back - 1),
            Op::Up | Op::Down => {}
            Op::Enter => {
                let line = self.line();
                if !line.trim().is_empty() && self.entered.last() != Some(&line) {
                    self.entered.push(line);
                }
                self.letters.clear();
                (self.cursor, self.back) = (0, 0);
            }
        }
    }

    fn recall(&mut self, back: usize) {
        self.back = back;
        if back == 0 {
            (self.letters, self.cursor) = self.draft.clone();
        } else {
            self.letters = letters(&self.entered[self.entered.len() - back]);
            self.cursor = self.letters.len();
        }
    }
}

fn letters(line: &str) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    for c in line.chars() {
        match letters.last_mut() {
            Some(letter) if width(c) == 0 => letter.push(c),
            _ => letters.push(c.to_string()),
        }
    }
    letters
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop::sample::select(vec!['a', 'b', ' ', ' ', 'c', '=', '"']).prop_map(Op::Type),
        2 => prop::sample::select(vec!['é', '漢', 'ぁ', '🦀', '\u{301}', '\u{591}']).prop_map(Op::Type),
        8 => prop::sample::select(vec![
            Op::Left, Op::Left, Op::Right, Op::WordLeft, Op::WordRight, Op::Home, Op::End, Op::Backspace, Op::Backspace,
            Op::Delete, Op::KillToStart, Op::KillToEnd, Op::KillWord, Op::Up, Op::Down,
        ]),
        1 => prop::sample::select(vec!["\x1bb", "\x1b\x7f", "\x1b\x1bx", "\x1b[5~", "\0", "\x1b]0;t\x07", "\u{9b}", "\x1b[?1;2c"]).prop_map(Op::Noise),
        1 => Just(Op::Enter),
    ]
}

/// Text that takes many rows if it is let.
fn wide_text() -> impl Strategy<Value = Vec<Op>> {
    let ascii = prop::sample::select(vec!['a', 'b', ' ', '=']);
    let any = prop::sample::select(vec!['a', ' ', 'é', '漢', '🦀', '\u{301}']);
    prop_oneof![prop::collection::vec(ascii, 60..500), prop::collection::vec(any, 30..200)]
        .prop_map(|text| text.into_iter().map(Op::Type).collect())
}

/// Types `ops` and looks at line, row, cursor and the rows above after each. What no longer fits a line is
/// left out.
fn follow_the_model(mut session: Session, ops: impl IntoIterator<Item = Op>) {
    let mut model = Model::default();
    for op in ops {
        let entered = model.line();
        if matches!(op, Op::Type(c) if entered.len() + c.len_utf8() > MAX_LINE_BYTES) {
            continue;
        }
        model.apply(op);
        let events = session.send(op.bytes());
        if let Op::Enter = op {
            assert_eq!(events, [Ok(entered.clone())]);
            session.leave(&entered);
        } else {
            assert_eq!(events, []);
        }
        session.assert_shows(&model.line(), &model.letters[..model.cursor].concat());
        if session.editor.term() == Term::Ansi {
            session.assert_nothing_is_left_behind();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn text_and_screen_follow_the_model(
        term in prop::sample::select(vec![Term::Ansi, Term::Dumb]),
        ops in prop::collection::vec(any_op(), 0..80),
    ) {
        follow_the_model(Session::new(term), ops);
    }

    #[test]
    fn no_bytes_make_it_panic_or_show_something_else(
        term in prop::sample::select(vec![Term::Ansi, Term::Dumb]),
        bytes in prop::collection::vec(prop_oneof![
            any::<u8>(),
            prop::sample::select(b"\x1b[O;~\r\n\x01\x02\x7f\xcc\x81ab 13".to_vec()),
        ], 0..1200),
    ) {
        let mut session = Session::new(term);
        for byte in bytes {
            session.send([byte]);
            let line = session.editor.line();
            prop_assert!(line.len() <= MAX_LINE_BYTES && !line.contains(char::is_control));
            // What stands where is for the other tests: here the cursor is not known.
            let (row, width) = (session.terminal.row(), columns(line));
            let column = session.terminal.column() - PROMPT.len();
            let mut windows = 0..=if term == Term::Ansi { width.saturating_sub(ROOM / 2) } else { 0 };
            prop_assert!(windows.any(|first| row == session.row(line, first)), "{line:?} as {row:?}");
            prop_assert!(column < ROOM || term == Term::Dumb);
        }
    }
}

proptest! {
    // Each case draws thousands of rows.
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn a_line_of_any_width_stays_on_its_row(
        start in wide_text(),
        ops in prop::collection::vec(prop_oneof![8 => any_op().prop_map(|op| vec![op]), 1 => wide_text()], 0..60),
    ) {
        let ops = start.into_iter().chain(ops.into_iter().flatten());
        follow_the_model(Session::new(Term::Ansi), ops);
    }
}
