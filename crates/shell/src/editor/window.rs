//! Which part of a line the row on the terminal shows.
//!
//! A [`Window`] moves only when the cursor would leave it, and then so far that the cursor comes to stand in
//! the middle: typing on costs one byte a character again until the next move. Where text is cut off, a `<`
//! stands in the first cell or a `>` in the last, as in the horizontal-scroll-mode of GNU readline. A wide
//! character of which only a half is inside shows as a blank.

use super::PROMPT;
use super::line::{LineBuffer, cluster_after};
use crate::term::Term;
use unicode_width::UnicodeWidthChar;

/// The columns of the terminal. A serial line does not tell how many there are; no terminal in use has
/// fewer than these.
const COLUMNS: usize = 80;

/// The cells for the text. The last column stays empty, for what a terminal does with its cursor after
/// writing there differs from one to the next.
const ROOM: usize = COLUMNS - 1 - PROMPT.len();

/// The part of a line that is shown. All numbers count columns from the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first column shown.
    first: usize,
    /// How many columns are shown, if the line has as many.
    room: usize,
    /// Where the cursor stands.
    cursor: usize,
    /// Where the line ends.
    width: usize,
}

impl Window {
    /// The window on an empty line. On a dumb terminal it is as wide as any line, since scrolling needs a row
    /// that can be written again.
    pub(super) const fn new(term: Term) -> Self {
        let room = match term {
            Term::Ansi => ROOM,
            Term::Dumb => usize::MAX,
        };
        Self { first: 0, room, cursor: 0, width: 0 }
    }

    /// The window on `line`, moved away from this one only if it has to.
    pub(super) fn follow(self, line: &LineBuffer) -> Self {
        let (cursor, width) = (columns(line.before_cursor()), columns(line.as_str()));
        let stays = Self { cursor, width, ..self };
        if width < self.room {
            Self { first: 0, ..stays }
        } else if stays.text().contains(&cursor) {
            stays
        } else {
            Self { first: cursor.saturating_sub(self.room / 2), ..stays }
        }
    }

    pub(super) const fn first(&self) -> usize {
        self.first
    }

    pub(super) const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether the cursor stands behind the mark at the start, onto which a character that takes no column would be drawn.
    pub(super) fn is_behind_mark(&self) -> bool {
        self.first > 0 && self.cursor == self.text().start
    }

    /// The column after the last one shown, marks included.
    pub(super) fn end(&self) -> usize {
        self.width.min(self.first.saturating_add(self.room))
    }

    /// Whether nothing is cut off.
    pub(super) fn shows_all(&self) -> bool {
        self.first == 0 && self.end() == self.width
    }

    /// Hands the pieces that fill the row up to column `until`, which is not before the first one.
    pub(super) fn pieces(&self, text: &str, until: usize, each: &mut dyn FnMut(&str)) {
        let shown = self.text();
        let shown = shown.start..shown.end.min(until);
        if self.first > 0 && until > self.first {
            each("<");
        }
        let (mut at, mut column) = (0, 0);
        while at < text.len() && column < shown.end {
            let cluster = &text[at..cluster_after(text, at)];
            let end = column + columns(cluster);
            // What takes no column would be drawn onto the mark.
            let is_on_mark = self.first > 0 && end == shown.start;
            if column >= shown.start && end <= shown.end && !is_on_mark {
                each(cluster);
            } else {
                (column.max(shown.start)..end.min(shown.end)).for_each(|_| each(" "));
            }
            (at, column) = (at + cluster.len(), end);
        }
        if self.end() < self.width && until >= self.end() {
            each(">");
        }
    }

    /// The columns that show text, or have room for it, and no mark: where the cursor may stand.
    fn text(&self) -> core::ops::Range<usize> {
        let end = self.first.saturating_add(self.room);
        self.first + usize::from(self.first > 0)..end - usize::from(end < self.width)
    }
}

/// The columns that `text` takes.
fn columns(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

#[cfg(test)]
mod tests {
    use super::{LineBuffer, ROOM, Term, Window};
    use crate::editor::keys::Key;

    fn row(window: Window, line: &LineBuffer) -> String {
        let mut row = String::new();
        window.pieces(line.as_str(), window.end(), &mut |piece| row.push_str(piece));
        row
    }

    fn line(text: &str) -> LineBuffer {
        let mut line = LineBuffer::new();
        line.set(text);
        line
    }

    #[test]
    fn a_line_with_room_for_the_cursor_is_shown_whole() {
        let line = line(&"x".repeat(ROOM - 1));
        let window = Window::new(Term::Ansi).follow(&line);
        assert!(window.shows_all());
        assert_eq!(row(window, &line), line.as_str());
    }

    #[test]
    fn the_window_moves_when_the_cursor_would_leave_it_and_marks_what_it_hides() {
        let mut line = line(&"abcdefghij".repeat(20));
        let at_end = Window::new(Term::Ansi).follow(&line);
        assert_eq!(row(at_end, &line), format!("<{}", &line.as_str()[200 - ROOM / 2 + 1..]));
        line.apply(Key::Left);
        assert_eq!(at_end.follow(&line).first(), at_end.first());
        line.apply(Key::Home);
        let at_start = at_end.follow(&line);
        assert_eq!(row(at_start, &line), format!("{}>", &line.as_str()[..ROOM - 1]));
    }

    #[test]
    fn half_a_wide_character_shows_as_a_blank() {
        let mut line = line(&"漢".repeat(ROOM));
        line.apply(Key::Home);
        let window = Window::new(Term::Ansi).follow(&line);
        assert_eq!(row(window, &line), format!("{}>", "漢".repeat((ROOM - 1) / 2)));
        let halved = |first| row(Window { first, ..window }, &line);
        assert_eq!(halved(3), format!("<{} >", "漢".repeat((ROOM - 3) / 2)));
        assert_eq!(halved(4), format!("< {}>", "漢".repeat((ROOM - 3) / 2)));
    }

    #[test]
    fn a_dumb_terminal_shows_every_line_whole() {
        let line = line(&"x".repeat(500));
        assert!(Window::new(Term::Dumb).follow(&line).shows_all());
    }
}
