//! A line editor that does no input or output of its own.
//!
//! [`Editor::feed`] takes one byte that the terminal sent, writes what the terminal should show, and answers
//! with an [`Event`] when a line is complete. Bytes that follow, as in a paste of many lines, are fed once
//! the caller has dealt with the event and called [`Editor::begin`].
//!
//! Keys: cursor keys, Home, End, Delete; Ctrl-A/E start and end, Ctrl-B/F back and forward, Ctrl-Left/Right by
//! word, Ctrl-H and Ctrl-D erase, Ctrl-K/U erase to the end and to the start, Ctrl-W erase a word, Ctrl-P/N
//! history, Ctrl-L clear screen, Tab complete, Ctrl-C give up the line.
//!
//! A line that is wider than the terminal, which is taken to have 80 columns, is shown in part, on one row, and
//! scrolls sideways; it is printed whole when that row is left. A dumb terminal is left to wrap it.
//!
//! The parts are `keys` (bytes to keys), `line` (the text and its cursor), `window` (the part of it that is
//! shown) and `screen` (drawing); lines come back from [`History`], completions from a [`Completer`].

mod keys;
mod line;
mod screen;
mod window;

use core::fmt;

use self::keys::{Decoder, Key};
use self::line::{Edit, LineBuffer, Refusal};
use self::screen::{Screen, Shown};
use self::window::Window;
use crate::complete::{Completer, Matches, write_columns};
use crate::history::History;
use crate::term::Term;
use crate::words::MAX_LINE_BYTES;

/// What stands before a line that is being typed.
pub const PROMPT: &str = "weir> ";

/// What a byte led to. After each but [`Event::None`] the terminal's cursor is on a fresh row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing to do for the caller.
    None,
    /// A line was entered: [`Editor::line`].
    Line,
    /// A line was entered that had more than [`MAX_LINE_BYTES`] bytes. It must not be executed, for its end
    /// is missing.
    TooLong,
    /// Ctrl-C: the line was given up.
    Interrupted,
    /// Ctrl-D on an empty line.
    EndOfInput,
}

/// The editor: the line being typed, the lines typed before, and the terminal they are typed at.
#[derive(Clone, Debug)]
pub struct Editor {
    decoder: Decoder,
    line: LineBuffer,
    /// The part of the line that the terminal shows.
    window: Window,
    history: History,
    /// How many lines back in the history the line came from, if it did.
    recalled: Option<usize>,
    /// The line that was being typed when the history was entered.
    draft: LineBuffer,
    /// Whether the last key was a Tab that left several candidates.
    tabbed: bool,
    /// Whether the line was handed out, so that the next byte begins another.
    finished: bool,
    term: Term,
}

impl Editor {
    /// An editor with an empty line and no history, at an ANSI terminal.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            line: LineBuffer::new(),
            window: Window::new(Term::Ansi),
            history: History::new(),
            recalled: None,
            draft: LineBuffer::new(),
            tabbed: false,
            finished: false,
            term: Term::Ansi,
        }
    }

    /// The kind of terminal that is drawn for.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Draws for another kind of terminal from the next [`Editor::begin`] on.
    pub const fn set_term(&mut self, term: Term) {
        self.term = term;
    }

    /// The lines entered so far.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The line as it stands; after [`Event::Line`], the one that was entered.
    #[must_use]
    pub fn line(&self) -> &str {
        self.line.as_str()
    }

    /// Begins an empty line: prints the prompt.
    pub fn begin(&mut self, out: &mut dyn fmt::Write) {
        self.start_over();
        self.redraw(out);
    }

    /// Prints prompt and line again, after other output has left the cursor at the start of a row.
    pub fn redraw(&self, out: &mut dyn fmt::Write) {
        Screen { out, term: self.term }.print(&self.line, self.window);
    }

    /// Takes a byte from the terminal and writes to `out` what the terminal should do.
    pub fn feed(&mut self, byte: u8, out: &mut dyn fmt::Write, completer: &dyn Completer) -> Event {
        let Some(key) = self.decoder.feed(byte) else { return Event::None };
        if self.finished {
            self.start_over();
        }
        let tabbed = core::mem::replace(&mut self.tabbed, false);
        let mut screen = Screen { out, term: self.term };
        match key {
            Key::Enter => return self.enter(&mut screen),
            Key::Interrupt => return self.finish(&mut screen, "^C\n", Event::Interrupted),
            Key::DeleteOrEnd if self.line.len() == 0 => {
                return self.finish(&mut screen, "\n", Event::EndOfInput);
            }
            Key::Up => self.recall(&mut screen, self.recalled.map_or(Some(0), |back| back.checked_add(1))),
            Key::Down if self.recalled.is_none() => screen.bell(),
            Key::Down => self.recall(&mut screen, self.recalled.and_then(|back| back.checked_sub(1))),
            Key::Complete => self.complete(&mut screen, completer, tabbed),
            Key::ClearScreen => {
                screen.write(if self.term == Term::Dumb { "\n" } else { self.term.clear_screen() });
                screen.print(&self.line, self.window);
            }
            key => self.edit(&mut screen, key),
        }
        Event::None
    }

    fn start_over(&mut self) {
        self.line.clear();
        self.window = Window::new(self.term);
        self.recalled = None;
        self.finished = false;
    }

    fn enter(&mut self, screen: &mut Screen<'_>) -> Event {
        if self.line.overflowed() {
            return self.finish(screen, "\n", Event::TooLong);
        }
        self.history.push(self.line.as_str());
        self.finish(screen, "\n", Event::Line)
    }

    fn finish(&mut self, screen: &mut Screen<'_>, last: &str, event: Event) -> Event {
        screen.unfold(&self.line, self.window);
        screen.write(last);
        self.finished = true;
        if event != Event::Line {
            self.line.clear();
        }
        event
    }

    fn edit(&mut self, screen: &mut Screen<'_>, key: Key) {
        let (was, overflowed) = (Shown::of(&self.line, self.window), self.line.overflowed());
        match self.line.apply(key) {
            // The bell rings once: a long paste would ring it for each of its bytes.
            Some(Edit::Refused(Refusal::Full)) if overflowed => {}
            Some(edit) => self.show(screen, was, edit),
            None => {}
        }
    }

    fn show(&mut self, screen: &mut Screen<'_>, was: Shown, edit: Edit) {
        self.window = self.window.follow(&self.line);
        match edit {
            Edit::Moved => screen.show_move(&self.line, self.window, was),
            Edit::Changed { from } => screen.show_change(&self.line, self.window, was, from),
            Edit::Refused(_) => screen.bell(),
        }
    }

    /// Shows the line `back` lines back in the history, or the unfinished one.
    fn recall(&mut self, screen: &mut Screen<'_>, back: Option<usize>) {
        let was = Shown::of(&self.line, self.window);
        match back {
            None => self.line = self.draft.clone(),
            Some(back) => {
                let Some(text) = self.history.recent(back) else { return screen.bell() };
                if self.recalled.is_none() {
                    self.draft = self.line.clone();
                }
                self.line.set(text);
            }
        }
        self.recalled = back;
        self.show(screen, was, Edit::Changed { from: 0 });
    }

    /// Completes the word before the cursor as far as the candidates agree; the second Tab lists them.
    fn complete(&mut self, screen: &mut Screen<'_>, completer: &dyn Completer, again: bool) {
        let mut matches = Matches::new();
        let start = completer.complete(self.line.before_cursor(), &mut |candidate| matches.add(candidate));
        let mut word = heapless::String::<MAX_LINE_BYTES>::new();
        let written = matches.write_common(&mut word);
        self.tabbed = matches.count() > 1;
        // While there is a choice, the word only grows: a quote that turns out useless stays for now.
        let adds = self.line.before_cursor().get(start..).is_some_and(|typed| match matches.count() {
            0 => false,
            1 => typed != word,
            _ => word.len() > typed.len(),
        });
        if written.is_err() {
            screen.bell(); // a word that no line can hold
        } else if adds {
            let was = Shown::of(&self.line, self.window);
            let edit = self.line.replace_before_cursor(start, &word);
            self.show(screen, was, edit);
        } else if again && self.tabbed {
            screen.unfold(&self.line, self.window);
            screen.write("\n");
            write_columns(completer, self.line.before_cursor(), &matches, screen.out);
            screen.print(&self.line, self.window);
        } else {
            screen.bell();
        }
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}
