//! The text of a string with its escapes resolved.

use core::str;

use toml_parser::decoder::StringBuilder;

use super::MAX_DECODED_BYTES;

/// Room for the one string that is being decoded.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: [u8; MAX_DECODED_BYTES],
}

impl Buffer {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX_DECODED_BYTES] }
    }
}

/// Collects the pieces of a string. A string of one piece stays borrowed from the document, however long it is;
/// only one that is put together is copied.
pub(super) struct Decoded<'b, 's> {
    whole: &'s str,
    buffer: &'b mut Buffer,
    length: usize,
    fits: bool,
}

impl<'b, 's> Decoded<'b, 's> {
    pub(super) fn new(buffer: &'b mut Buffer) -> Self {
        Self { whole: "", buffer, length: 0, fits: true }
    }

    /// The text, or `None` if it is longer than the buffer.
    pub(super) fn finish(self) -> Option<&'b str>
    where
        's: 'b,
    {
        let Self { whole, buffer, length, fits } = self;
        match length {
            0 => fits.then_some(whole),
            // Only whole strings and characters are copied, so this is UTF-8.
            _ => str::from_utf8(&buffer.bytes[..length]).ok().filter(|_| fits),
        }
    }

    fn copy(&mut self, text: &str) {
        let end = self.length + text.len();
        match self.buffer.bytes.get_mut(self.length..end) {
            Some(room) if self.fits => {
                room.copy_from_slice(text.as_bytes());
                self.length = end;
            }
            _ => self.fits = false,
        }
    }

    fn copy_whole(&mut self) {
        let whole = core::mem::take(&mut self.whole);
        self.copy(whole);
    }
}

/// Pieces that do not fit are dropped and remembered: the decoder's own error would not say the limit.
impl<'s> StringBuilder<'s> for Decoded<'_, 's> {
    fn clear(&mut self) {
        self.whole = "";
        self.length = 0;
        self.fits = true;
    }

    fn push_str(&mut self, append: &'s str) -> bool {
        if self.length == 0 && self.whole.is_empty() {
            self.whole = append;
        } else {
            self.copy_whole();
            self.copy(append);
        }
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.copy_whole();
        self.copy(append.encode_utf8(&mut [0; 4]));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Decoded, MAX_DECODED_BYTES};
    use proptest::prelude::*;
    use toml_parser::decoder::StringBuilder;

    #[test]
    fn one_piece_is_borrowed_whatever_its_length() {
        let long = "x".repeat(2 * MAX_DECODED_BYTES);
        let mut buffer = Buffer::new();
        let mut decoded = Decoded::new(&mut buffer);
        assert!(decoded.push_str("") && decoded.push_str(&long));
        assert_eq!(decoded.finish().map(str::as_ptr), Some(long.as_ptr()));
    }

    #[test]
    fn pieces_that_do_not_fit_are_never_half_a_string() {
        let half = "x".repeat(MAX_DECODED_BYTES / 2);
        let mut buffer = Buffer::new();
        let mut decoded = Decoded::new(&mut buffer);
        assert!(decoded.push_str(&half) && decoded.push_str(&half));
        assert_eq!(decoded.finish().map(str::len), Some(MAX_DECODED_BYTES));
        let mut decoded = Decoded::new(&mut buffer);
        assert!(decoded.push_str(&half) && decoded.push_str(&half) && decoded.push_char('é'));
        assert_eq!(decoded.finish(), None);
        let long = "x".repeat(MAX_DECODED_BYTES + 1);
        let mut decoded = Decoded::new(&mut buffer);
        assert!(decoded.push_str(&long) && decoded.push_char('x'));
        assert_eq!(decoded.finish(), None);
    }

    proptest! {
        #[test]
        fn pieces_are_put_together(pieces in prop::collection::vec("[aé]{0,3}", 0..8)) {
            let mut buffer = Buffer::new();
            let mut decoded = Decoded::new(&mut buffer);
            let mut expected = String::new();
            for piece in &pieces {
                match piece.as_str() {
                    "é" => prop_assert!(decoded.push_char('é')),
                    piece => prop_assert!(decoded.push_str(piece)),
                }
                expected.push_str(piece);
            }
            prop_assert_eq!(decoded.finish(), Some(expected.as_str()));
        }
    }
}
