//! Serial output without what a terminal would swallow: escape sequences and carriage returns.

/// What the shell prints when it waits for a line.
pub const PROMPT: &str = "weir> ";

/// Turns raw serial output, chunk by chunk, into plain text.
///
/// Escape sequences and NUL bytes vanish and `\r\n` becomes `\n`; a carriage return that stands alone is kept, since
/// it means that the line is written again (see [`visible`]). Sequences may be cut anywhere between two chunks.
///
/// ```
/// use harness::console::Plain;
///
/// let mut plain = Plain::default();
/// plain.push(b"\x1b[1;3");
/// plain.push(b"2mweir\x1b[0m\r");
/// plain.push(b"\nok");
/// assert_eq!(plain.text(), b"weir\nok");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plain {
    text: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    CarriageReturn,
    Escape,
    /// Inside `ESC [ … final`.
    Control,
    /// Inside `ESC ] … BEL` or `ESC ] … ESC \`.
    Command,
    /// The one byte after a character set selection (`ESC (`).
    Charset,
}

impl Plain {
    /// Takes the next chunk of output.
    pub fn push(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            self.state = self.step(byte);
        }
    }

    /// The plain text so far.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the output ends with a prompt at the start of a line: the shell waits.
    #[must_use]
    pub fn at_prompt(&self) -> bool {
        ends_with_prompt(&self.text)
    }

    /// Drops all but the last line, for a reader that only asks [`Plain::at_prompt`].
    pub fn forget_lines(&mut self) {
        if let Some(end) = self.text.iter().rposition(|&byte| byte == b'\n') {
            self.text.drain(..=end);
        }
    }

    fn step(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Text | State::CarriageReturn, 0x1b) | (State::Command, 0x1b) => {
                self.flush_return(byte);
                State::Escape
            }
            (State::CarriageReturn, b'\r') => State::CarriageReturn,
            (State::Text, b'\r') => State::CarriageReturn,
            (State::Text | State::CarriageReturn, 0) => self.state,
            (State::Text | State::CarriageReturn, _) => {
                self.flush_return(byte);
                self.text.push(byte);
                State::Text
            }
            (State::Escape, b'[') => State::Control,
            (State::Escape, b']') => State::Command,
            (State::Escape, b'(' | b')') => State::Charset,
            (State::Control, 0x20..=0x3f) => State::Control,
            (State::Command, byte) if byte != 0x07 => State::Command,
            (State::Escape | State::Control | State::Command | State::Charset, _) => State::Text,
        }
    }

    /// Writes a carriage return that was held back, unless `next` makes it the first half of a line end.
    fn flush_return(&mut self, next: u8) {
        if matches!(self.state, State::CarriageReturn) && next != b'\n' {
            self.text.push(b'\r');
        }
    }
}

/// Whether plain text ends with a prompt that begins its line.
#[must_use]
pub fn ends_with_prompt(text: &[u8]) -> bool {
    text.strip_suffix(PROMPT.as_bytes())
        // After a carriage return it is a line that is being edited and drawn again.
        .is_some_and(|before| matches!(before.last(), None | Some(b'\n')))
}

/// What a terminal shows of a line in the end: the part after its last carriage return.
#[must_use]
pub fn visible(line: &str) -> &str {
    line.rsplit('\r').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(raw: &[u8]) -> Vec<u8> {
        let mut whole = Plain::default();
        whole.push(raw);
        let mut bytewise = Plain::default();
        raw.iter().for_each(|byte| bytewise.push(&[*byte]));
        assert_eq!(whole.text(), bytewise.text(), "the cut between chunks changed the text");
        whole.text
    }

    #[test]
    fn text_passes_unchanged() {
        assert_eq!(plain("größer\n\tµs".as_bytes()), "größer\n\tµs".as_bytes());
    }

    #[test]
    fn escape_sequences_vanish() {
        assert_eq!(plain(b"\x1b[2J\x1b[H\x1b[1;31mred\x1b[0m \x1b]0;title\x07a\x1b(Bb\x1bMc"), b"red abc");
        assert_eq!(plain(b"\x1b]0;title\x1b\\after"), b"after");
    }

    #[test]
    fn line_ends_become_newlines_and_lone_returns_stay() {
        assert_eq!(plain(b"one\r\ntwo\r\r\n10 %\r20 %\n"), b"one\ntwo\n10 %\r20 %\n");
        assert_eq!(plain(b"10 %\r\x1b[K20 %"), b"10 %\r20 %");
    }

    #[test]
    fn a_line_shows_what_was_written_last() {
        assert_eq!(visible("10 %\r20 %"), "20 %");
        assert_eq!(visible("plain"), "plain");
    }

    #[test]
    fn only_a_prompt_at_the_start_of_a_line_counts() {
        for (text, expected) in [
            ("weir> ", true),
            ("ready\nweir> ", true),
            ("\rweir> ", false),
            ("see weir> ", false),
            ("weir> x", false),
            ("weir>", false),
        ] {
            assert_eq!(ends_with_prompt(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn forgetting_lines_keeps_the_prompt() {
        let mut plain = Plain::default();
        plain.push(b"a\r\nb\r\nweir> ");
        plain.forget_lines();
        assert_eq!(plain.text(), b"weir> ");
        assert!(plain.at_prompt());
    }
}
