//! From the bytes of a terminal to keys.
//!
//! [`Decoder`] knows the encodings of cursor keys that xterm, rxvt, screen, tmux and the Linux console send
//! (ECMA-48 control sequences and the SS3 forms of application mode), and UTF-8. What it does not know it
//! swallows whole: a control sequence to its final byte, a control string (OSC, DCS and their like) to its
//! terminator, and an ESC together with the character after it, which is what Alt with a key sends. A control
//! character always ends an unfinished sequence and counts as itself, so that no line noise can make the shell
//! deaf; only the DEL after an ESC is Alt-Backspace and swallowed.

/// A key by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character.
    Char(char),
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    /// Erase the character before the cursor.
    Backspace,
    /// Erase the character at the cursor.
    Delete,
    EraseToStart,
    EraseToEnd,
    /// Erase the word before the cursor.
    EraseWord,
    /// The line before this one in the history.
    Up,
    /// The line after this one in the history.
    Down,
    Complete,
    ClearScreen,
    Enter,
    Interrupt,
    /// Ctrl-D: delete, or the end of input where there is nothing to delete.
    DeleteOrEnd,
}

/// Turns bytes into keys, one byte at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder {
    state: State,
    /// Whether the last byte was a CR, so that the LF of a CR LF is not a second Enter.
    after_cr: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Ground,
    /// The beginning of a UTF-8 character.
    Utf8 {
        bytes: [u8; 4],
        have: usize,
        need: usize,
    },
    Escape,
    /// After ESC and the beginning of a UTF-8 character; this many bytes are to come.
    EscapedUtf8 {
        left: usize,
    },
    /// After `ESC [`.
    Csi(Parameters),
    /// After `ESC [ [`: the Linux console's F1 to F5 have one more byte.
    LinuxFunctionKey,
    /// After `ESC O`.
    Ss3(Parameters),
    /// Inside a control string.
    ControlString,
    /// After an ESC inside a control string: its terminator is `ESC \`.
    ControlStringEscape,
}

/// The numbers between the start of a control sequence and its final byte.
#[derive(Clone, Copy, Debug, Default)]
struct Parameters {
    /// The first two numbers; 0 where one is left out.
    numbers: [u16; 2],
    /// Which number is being read. Those after the second are passed over.
    index: usize,
    /// Whether a byte came that no sequence of ours has.
    foreign: bool,
    /// Whether a parameter has come.
    started: bool,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { state: State::Ground, after_cr: false }
    }

    /// Takes the next byte; answers with a key if it completes one.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Key> {
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        if byte == b'\n' && after_cr {
            return None;
        }
        let (state, key) = match self.state {
            // A control character ends whatever was unfinished. BEL and ESC have a meaning of their own in a
            // control string.
            State::ControlString if byte == 0x07 => (State::Ground, None),
            State::ControlString if byte == 0x1b => (State::ControlStringEscape, None),
            State::Escape | State::ControlStringEscape if byte == 0x7f => (State::Ground, None),
            _ if byte < 0x20 || byte == 0x7f => control(byte),
            State::Ground => text(byte),
            State::Utf8 { bytes, have, need } => continue_utf8(bytes, have, need, byte),
            State::Escape => escape(byte),
            State::EscapedUtf8 { left } => skip_utf8(left, byte),
            State::Csi(parameters) => control_sequence(parameters, byte),
            State::Ss3(parameters) => single_shift(parameters, byte),
            State::LinuxFunctionKey => (State::Ground, None),
            State::ControlString => (State::ControlString, None),
            State::ControlStringEscape if byte == b'\\' => (State::Ground, None),
            State::ControlStringEscape => escape(byte),
        };
        self.state = state;
        key
    }
}

type Step = (State, Option<Key>);

fn control(byte: u8) -> Step {
    let key = match byte {
        0x1b => return (State::Escape, None),
        b'\r' | b'\n' => Key::Enter,
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::DeleteOrEnd,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x08 | 0x7f => Key::Backspace,
        0x09 => Key::Complete,
        0x0b => Key::EraseToEnd,
        0x0c => Key::ClearScreen,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::EraseToStart,
        0x17 => Key::EraseWord,
        _ => return (State::Ground, None),
    };
    (State::Ground, Some(key))
}

fn text(byte: u8) -> Step {
    match utf8_len(byte) {
        None => (State::Ground, None),
        Some(1) => (State::Ground, Some(Key::Char(char::from(byte)))),
        Some(need) => (State::Utf8 { bytes: [byte, 0, 0, 0], have: 1, need }, None),
    }
}

/// The bytes of the UTF-8 character that begins with `byte`; none if no printable one does.
fn utf8_len(byte: u8) -> Option<usize> {
    match byte {
        0x20..=0x7e => Some(1),
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        _ => None,
    }
}

fn continue_utf8(mut bytes: [u8; 4], have: usize, need: usize, byte: u8) -> Step {
    if byte & 0xc0 != 0x80 {
        return text(byte); // the character was cut off; this byte begins another
    }
    bytes[have] = byte;
    let have = have + 1;
    if have < need {
        return (State::Utf8 { bytes, have, need }, None);
    }
    // Overlong forms and surrogates fail here. U+0080 to U+009F are control characters to a terminal.
    let decoded = core::str::from_utf8(&bytes[..need]).ok().and_then(|text| text.chars().next());
    (State::Ground, decoded.filter(|c| !c.is_control()).map(Key::Char))
}

fn escape(byte: u8) -> Step {
    match byte {
        b'[' => (State::Csi(Parameters::default()), None),
        b'O' => (State::Ss3(Parameters::default()), None),
        b']' | b'P' | b'X' | b'^' | b'_' => (State::ControlString, None),
        _ => match utf8_len(byte) {
            None | Some(1) => (State::Ground, None),
            Some(len) => (State::EscapedUtf8 { left: len - 1 }, None),
        },
    }
}

fn skip_utf8(left: usize, byte: u8) -> Step {
    match left {
        _ if byte & 0xc0 != 0x80 => text(byte),
        0 | 1 => (State::Ground, None),
        _ => (State::EscapedUtf8 { left: left - 1 }, None),
    }
}

fn control_sequence(mut parameters: Parameters, byte: u8) -> Step {
    match byte {
        b'[' if !parameters.started => (State::LinuxFunctionKey, None),
        0x20..=0x3f => {
            parameters.push(byte);
            (State::Csi(parameters), None)
        }
        0x40..=0x7e => (State::Ground, parameters.key(byte)),
        _ => text(byte),
    }
}

fn single_shift(mut parameters: Parameters, byte: u8) -> Step {
    match byte {
        b'0'..=b';' => {
            parameters.push(byte);
            (State::Ss3(parameters), None)
        }
        0x20..=0x7e => (State::Ground, if byte == b'~' { None } else { parameters.key(byte) }),
        _ => text(byte),
    }
}

impl Parameters {
    fn push(&mut self, byte: u8) {
        self.started = true;
        match byte {
            b'0'..=b'9' => {
                if let Some(number) = self.numbers.get_mut(self.index) {
                    *number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' => self.index = self.index.saturating_add(1),
            _ => self.foreign = true,
        }
    }

    fn key(&self, last: u8) -> Option<Key> {
        if self.foreign {
            return None;
        }
        // xterm adds modifiers as a second number: 3 is Alt, 5 is Ctrl.
        let by_word = matches!(self.numbers[1], 3 | 5);
        match (last, self.numbers[0]) {
            (b'A', _) => Some(Key::Up),
            (b'B', _) => Some(Key::Down),
            (b'C', _) => Some(if by_word { Key::WordRight } else { Key::Right }),
            (b'D', _) => Some(if by_word { Key::WordLeft } else { Key::Left }),
            (b'H', _) | (b'~', 1 | 7) => Some(Key::Home),
            (b'F', _) | (b'~', 4 | 8) => Some(Key::End),
            (b'~', 3) => Some(Key::Delete),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Key};

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|byte| decoder.feed(*byte)).collect()
    }

    #[test]
    fn cursor_keys_arrive_in_every_common_encoding() {
        for (key, encodings) in [
            (Key::Up, &["\x1b[A", "\x1bOA", "\x10"][..]),
            (Key::Down, &["\x1b[B", "\x1bOB", "\x0e"]),
            (Key::Right, &["\x1b[C", "\x1bOC", "\x06", "\x1b[1;2C"]),
            (Key::Left, &["\x1b[D", "\x1bOD", "\x02"]),
            (Key::Home, &["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01", "\x1b[1;5H"]),
            (Key::End, &["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"]),
            (Key::Delete, &["\x1b[3~", "\x1b[3;5~"]),
            (Key::WordLeft, &["\x1b[1;5D", "\x1b[1;3D"]),
            (Key::WordRight, &["\x1b[1;5C"]),
            (Key::Backspace, &["\x08", "\x7f"]),
        ] {
            for encoding in encodings {
                assert_eq!(keys(encoding.as_bytes()), [key], "{encoding:?}");
            }
        }
    }

    #[test]
    fn unknown_sequences_are_swallowed_whole() {
        for unknown in [
            "\x1b[5~",
            "\x1b[200~",
            "\x1b[?25h",
            "\x1b[>0;276;0c",
            "\x1b[1 q",
            "\x1b[99999999999999999999;;;;;;;;x",
            "\x1bOP",
            "\x1bO5P",
            "\x1b[[A",
            "\x1b]0;title\x07",
            "\x1b]0;title\x1b\\",
            "\x1bP1$r0m\x1b\\",
            "\x1b_x\x1b\\",
            "\0",
            "\x1b\x1b[Z",
            "\x1bb",
            "\x1bf",
            "\x1b ",
            "\x1b\x7f",
            "\x1b\x1bb",
            "\x1b\x1b\x7f",
            "\x1b漢",
            "\x1b]title\x1b\x7f",
        ] {
            assert_eq!(keys(format!("{unknown}x").as_bytes()), [Key::Char('x')], "{unknown:?}");
        }
    }

    #[test]
    fn a_control_character_ends_an_unfinished_sequence() {
        for unfinished in ["\x1b", "\x1b[1;", "\x1bO", "\x1b]title", "\x1b]title\x1b", "\x1b[["] {
            assert_eq!(keys(format!("{unfinished}\r").as_bytes()), [Key::Enter], "{unfinished:?}");
        }
        assert_eq!(keys(b"\xe2\x82\r"), [Key::Enter]);
    }

    #[test]
    fn escape_takes_one_character_with_it_but_no_control_character() {
        assert_eq!(keys(b"\x1bls"), [Key::Char('s')]);
        assert_eq!(keys(b"\x1b\x1b\x1b[A"), [Key::Up]);
        assert_eq!(keys(b"\x1b\x03\x1b\r\x1b\x08"), [Key::Interrupt, Key::Enter, Key::Backspace]);
        assert_eq!(keys(b"\x1b\xe6\xbcx"), [Key::Char('x')]);
    }

    #[test]
    fn cr_lf_is_one_enter() {
        assert_eq!(keys(b"\r\n"), [Key::Enter]);
        assert_eq!(keys(b"\n\r"), [Key::Enter, Key::Enter]);
        assert_eq!(keys(b"\r\r\n\n"), [Key::Enter, Key::Enter, Key::Enter]);
        assert_eq!(keys(b"\rx\n"), [Key::Enter, Key::Char('x'), Key::Enter]);
    }

    #[test]
    fn utf_8_is_decoded_and_what_is_not_utf_8_is_dropped() {
        assert_eq!(
            keys("aé漢🦀".as_bytes()),
            [Key::Char('a'), Key::Char('é'), Key::Char('漢'), Key::Char('🦀')]
        );
        for dropped in [
            &b"\x80"[..],
            b"\xc0\xaf",
            b"\xff",
            b"\xed\xa0\x80",
            b"\xe0\x80\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
            b"\xc2\x9b",
        ] {
            assert_eq!(keys(&[dropped, b"x"].concat()), [Key::Char('x')], "{dropped:?}");
        }
    }
}
