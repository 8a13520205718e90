//! Text of bounded length, held in place.

use core::fmt;

/// A string of at most `N` bytes, stored in place; all-zero when empty. `N` is at most 255.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

/// A text is longer than its place allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// How many bytes fit.
    pub capacity: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too long: at most {} bytes fit", self.capacity)
    }
}

impl core::error::Error for TooLong {}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const EMPTY: Self = {
        assert!(N <= u8::MAX as usize, "the length is kept in one byte");
        Self { length: 0, bytes: [0; N] }
    };

    /// Copies `text`, or says that it does not fit.
    ///
    /// # Errors
    /// [`TooLong`] if `text` has more than `N` bytes.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        let mut copy = Self::EMPTY;
        copy.push_str(text)?;
        Ok(copy)
    }

    /// Copies as much of `text` as fits, in whole characters; a text that was cut ends in `…` if `N` allows.
    #[must_use]
    pub fn excerpt(text: &str) -> Self {
        const MARK: &str = "…";
        let mut copy = Self::EMPTY;
        if copy.push_str(text).is_err() {
            let room = N.saturating_sub(MARK.len());
            let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            // Both pieces fit by construction; where `N` is too small for the mark, it stays away.
            let _ = copy.push_str(&text[..end]);
            let _ = copy.push_str(MARK);
        }
        copy
    }

    /// Formats `value` into a text, or says that it does not fit.
    ///
    /// # Errors
    /// [`TooLong`] if the formatted value has more than `N` bytes.
    pub fn format(value: fmt::Arguments<'_>) -> Result<Self, TooLong> {
        let mut text = Self::EMPTY;
        fmt::Write::write_fmt(&mut text, value).map_err(|fmt::Error| TooLong { capacity: N })?;
        Ok(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only whole strings are ever appended, so the bytes are always valid UTF-8.
        core::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    /// Whether it is this text, without a look at whether its own bytes are one.
    #[inline]
    pub(crate) fn is(&self, text: &str) -> bool {
        self.bytes[..usize::from(self.length)] == *text.as_bytes()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends `text` whole, or not at all.
    ///
    /// # Errors
    /// [`TooLong`] if the result would have more than `N` bytes.
    pub fn push_str(&mut self, text: &str) -> Result<(), TooLong> {
        let start = usize::from(self.length);
        let end = start + text.len();
        let too_long = TooLong { capacity: N };
        self.bytes.get_mut(start..end).ok_or(too_long)?.copy_from_slice(text.as_bytes());
        self.length = u8::try_from(end).map_err(|_| too_long)?;
        Ok(())
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, TooLong};

    #[test]
    fn a_text_holds_exactly_its_capacity() {
        assert_eq!(Text::<4>::new("abcd").unwrap().as_str(), "abcd");
        assert_eq!(Text::<4>::new("abcde"), Err(TooLong { capacity: 4 }));
        let mut text = Text::<4>::new("abc").unwrap();
        assert_eq!(text.push_str("de"), Err(TooLong { capacity: 4 }));
        assert_eq!(text.as_str(), "abc", "a refused text leaves no trace");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters_and_marked() {
        assert_eq!(Text::<8>::excerpt("short").as_str(), "short");
        assert_eq!(Text::<8>::excerpt("rather long").as_str(), "rathe…");
        assert_eq!(Text::<8>::excerpt("éééééé").as_str(), "éé…");
        assert_eq!(Text::<2>::excerpt("éé").as_str(), "");
    }
}
