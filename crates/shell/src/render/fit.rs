//! Values in a room of a fixed width.

use core::fmt::{self, Write};

use super::{Align, Visible};
use crate::screen::{UNKNOWN, cells};

/// A value in exactly so many cells of the terminal: cut where it is longer, with blanks beside it where it is shorter.
/// Control characters are made visible, and a character that takes no cell of its own is shown as `?`.
///
/// ```
/// use shell::render::{Align, Fit};
/// assert_eq!(Fit { value: &"acme", cells: 6, align: Align::Left }.to_string(), "acme  ");
/// assert_eq!(Fit { value: &12, cells: 6, align: Align::Right }.to_string(), "    12");
/// assert_eq!(Fit { value: &"megacorp", cells: 6, align: Align::Left }.to_string(), "megac…");
/// assert_eq!(Fit { value: &"日本語の名前", cells: 6, align: Align::Left }.to_string(), "日本… ");
/// ```
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// The value.
    pub value: &'a dyn fmt::Display,
    /// How many cells it takes.
    pub cells: usize,
    /// To which side it leans.
    pub align: Align,
}

impl fmt::Display for Fit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut length = Length(0);
        write!(length, "{}", Visible(self.value))?;
        if length.0 > self.cells {
            let mut head = Head { out: f, left: self.cells.saturating_sub(1), is_cut: false };
            write!(head, "{}", Visible(self.value))?;
            let left = head.left;
            return write!(f, "{}{:left$}", if self.cells > 0 { "…" } else { "" }, "");
        }
        let blanks = self.cells - length.0;
        if self.align == Align::Right {
            write!(f, "{:blanks$}", "")?;
        }
        write!(Head { out: f, left: self.cells, is_cut: false }, "{}", Visible(self.value))?;
        if self.align == Align::Left { write!(f, "{:blanks$}", "") } else { Ok(()) }
    }
}

/// What stands for a character, and the cells that it takes.
fn shown(c: char) -> (char, usize) {
    cells(c).map_or((UNKNOWN, 1), |cells| (c, cells))
}

/// Adds up cells.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.chars().map(|c| shown(c).1).sum::<usize>();
        Ok(())
    }
}

/// Lets through what fits in the cells that are left, and drops the rest.
struct Head<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    is_cut: bool,
}

impl Write for Head<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().map(shown).try_for_each(|(c, cells)| {
            self.is_cut |= cells > self.left;
            if self.is_cut {
                return Ok(());
            }
            self.left -= cells;
            self.out.write_char(c)
        })
    }
}

/// A count in at most six characters: `99,999` exactly, then `123k`, `1.23M`, `12.3G`, rounded down.
///
/// ```
/// use shell::render::Compact;
/// assert_eq!(Compact(99_999).to_string(), "99,999");
/// assert_eq!(Compact(1_239_999).to_string(), "1.23M");
/// assert_eq!(Compact(u64::MAX).to_string(), "18.4E");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Compact(pub u64);

impl fmt::Display for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
        if self.0 < 100_000 {
            return super::Grouped(self.0).fmt(f);
        }
        let (mut unit, mut letter) = (1_u64, "");
        for candidate in UNITS {
            if self.0 / unit < 1000 {
                break;
            }
            (unit, letter) = (unit * 1000, candidate);
        }
        let (whole, thousandths) = (self.0 / unit, self.0 % unit / (unit / 1000));
        match whole {
            0..10 => write!(f, "{whole}.{:02}{letter}", thousandths / 10),
            10..100 => write!(f, "{whole}.{}{letter}", thousandths / 100),
            _ => write!(f, "{whole}{letter}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Compact, Fit};
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn counts_have_at_most_six_characters_and_three_figures_when_cut() {
        for (count, shown) in [
            (0, "0"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_000_000, "1.00M"),
            (10_000_000, "10.0M"),
            (999_999_999, "999M"),
            (1_000_000_000_000, "1.00T"),
        ] {
            assert_eq!(Compact(count).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn a_value_takes_exactly_its_cells(
            text in r"(\PC|[\x00-\x1f]|\u{301}|\u{202e}|語){0,40}",
            cells in 0_usize..30,
            right: bool,
        ) {
            let align = if right { Align::Right } else { Align::Left };
            let fitted = Fit { value: &text, cells, align }.to_string();
            let width: usize = fitted.chars().map(|c| c.to_string().width()).sum();
            prop_assert_eq!(width, cells, "{:?}", fitted);
            prop_assert!(!fitted.contains(char::is_control));
        }

        #[test]
        fn counts_are_short(count: u64) {
            prop_assert!(Compact(count).to_string().len() <= 6);
        }
    }
}
