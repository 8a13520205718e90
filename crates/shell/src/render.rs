//! Tables, numbers and lengths of time as people read them.
//!
//! A [`Table`] has no memory for rows: it asks the caller for them twice, once to measure and once to print. So does
//! a [`BarChart`]. A [`ColumnChart`] and a [`Sparkline`] draw numbers that the caller has.
//! [`Grouped`], [`Humanized`] and [`ByteSize`] print single values, everywhere in the same way.

mod chart;
mod columns;
mod fit;

use core::fmt::{self, Write};

use governance::time::Nanos;

use crate::term::{Style, Term};
pub use chart::{Bar, BarChart, EachBar};
pub use columns::{CHART_COLUMNS, ColumnChart, Sparkline};
pub use fit::{Compact, Fit};

/// What stands between two columns.
const GAP: &str = "  ";

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// To which side its cells lean.
    pub align: Align,
}

/// To which side a cell leans: text to the left, numbers to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Blanks follow.
    Left,
    /// Blanks precede.
    Right,
}

impl Column {
    /// A column of text.
    #[must_use]
    pub const fn left(heading: &'static str) -> Self {
        Self { heading, align: Align::Left }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(heading: &'static str) -> Self {
        Self { heading, align: Align::Right }
    }
}

/// A cell: a value and what it means. Control characters in it are printed visibly.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    value: &'a dyn fmt::Display,
    style: Style,
}

impl<'a> Cell<'a> {
    /// A cell without a style.
    pub const fn new(value: &'a dyn fmt::Display) -> Self {
        Self { value, style: Style::Plain }
    }

    /// A cell with a style.
    pub const fn styled(style: Style, value: &'a dyn fmt::Display) -> Self {
        Self { value, style }
    }
}

/// What a table calls with each of its rows.
pub type EachRow<'a, const COLUMNS: usize> = dyn FnMut(&[Cell<'_>; COLUMNS]) + 'a;

/// A table of fixed columns, each as wide as its widest cell.
///
/// ```
/// use shell::{render::{Cell, Column, Table}, term::Term};
/// let table = Table { columns: [Column::left("limit"), Column::right("denied")], if_empty: "no limits" };
/// let mut out = String::new();
/// table.write(&mut out, Term::Dumb, |row| {
///     row(&[Cell::new(&"ip:*"), Cell::new(&12)]);
///     row(&[Cell::new(&"service:web"), Cell::new(&3)]);
/// }).unwrap();
/// assert_eq!(out, "limit        denied\nip:*             12\nservice:web       3\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Table<const COLUMNS: usize> {
    /// The columns from left to right.
    pub columns: [Column; COLUMNS],
    /// What is printed, as a row of its own, when there are no rows.
    pub if_empty: &'static str,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Writes the table. `rows` calls its argument with each row, and is called twice; the second time it
    /// must give the same rows, or they do not line up.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        &self,
        out: &mut dyn Write,
        term: Term,
        mut rows: impl FnMut(&mut EachRow<'_, COLUMNS>),
    ) -> fmt::Result {
        let mut widths = self.columns.map(|column| column.heading.chars().count());
        let mut count = 0_usize;
        rows(&mut |cells| {
            count += 1;
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(width_of(cell.value));
            }
        });
        if count == 0 {
            return writeln!(out, "{}", term.paint(Style::Dim, self.if_empty));
        }
        let headings = self.columns.each_ref().map(|column| Cell::styled(Style::Dim, &column.heading));
        self.write_row(out, term, &widths, &headings)?;
        let mut result = Ok(());
        rows(&mut |cells| {
            result = result.and_then(|()| self.write_row(out, term, &widths, cells));
        });
        result
    }

    fn write_row(
        &self,
        out: &mut dyn Write,
        term: Term,
        widths: &[usize; COLUMNS],
        cells: &[Cell<'_>; COLUMNS],
    ) -> fmt::Result {
        for (index, ((column, width), cell)) in self.columns.iter().zip(widths).zip(cells).enumerate() {
            let blanks = width.saturating_sub(width_of(cell.value));
            let text = term.paint(cell.style, Visible(cell.value));
            let gap = if index == 0 { "" } else { GAP };
            match column.align {
                Align::Right => write!(out, "{gap}{:blanks$}{text}", "")?,
                // No blanks at the end of a row.
                Align::Left if index + 1 == COLUMNS => write!(out, "{gap}{text}")?,
                Align::Left => write!(out, "{gap}{text}{:blanks$}", "")?,
            }
        }
        out.write_char('\n')
    }
}

/// A whole number with its thousands apart: `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut divisor = 1;
        while self.0 / divisor >= 1000 {
            divisor *= 1000;
        }
        write!(f, "{}", self.0 / divisor)?;
        while divisor > 1 {
            divisor /= 1000;
            write!(f, ",{:03}", self.0 / divisor % 1000)?;
        }
        Ok(())
    }
}

/// A latency in microseconds, rounded to three figures: `840 us`, `10.1 ms`, `1.23 s`; from a minute on as
/// [`Humanized`].
///
/// ```
/// use shell::render::Latency;
/// assert_eq!([840, 10_111, 80_000, 999_500].map(|micros| Latency(micros).to_string()), [
///     "840 us", "10.1 ms", "80.0 ms", "1.00 s"
/// ]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Latency(pub u64);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, usize, &str); 5] =
            [(10, 2, "ms"), (100, 1, "ms"), (1_000, 0, "ms"), (10_000, 2, "s"), (100_000, 1, "s")];
        let micros = self.0;
        if micros < 1_000 {
            return write!(f, "{micros} us");
        }
        if micros >= 60_000_000 {
            return Humanized(Nanos(micros.saturating_mul(1_000))).fmt(f);
        }
        // Three figures are fewer than 1,000 of the smallest steps that will do. A minute is reached before they end.
        let rounded = UNITS.iter().find_map(|&(step, decimals, unit)| {
            let steps = micros.saturating_add(step / 2) / step;
            (steps < 1_000).then_some((steps, decimals, unit))
        });
        let Some((steps, decimals, unit)) = rounded else { return Ok(()) };
        match decimals {
            2 => write!(f, "{}.{:02} {unit}", steps / 100, steps % 100),
            1 => write!(f, "{}.{} {unit}", steps / 10, steps % 10),
            _ => write!(f, "{steps} {unit}"),
        }
    }
}

/// A length of time with two figures or so: `850 ns`, `250 ms`, `1.0 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`.
/// It is rounded up, so that waiting as long as is shown is always enough.
#[derive(Clone, Copy, Debug)]
pub struct Humanized(pub Nanos);

impl fmt::Display for Humanized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let nanos = self.0.0;
        let tenths_of_second = nanos.div_ceil(100_000_000);
        let seconds = nanos.div_ceil(1_000_000_000);
        if nanos < 1_000 {
            write!(f, "{nanos} ns")
        } else if nanos.div_ceil(1_000) < 1_000 {
            write!(f, "{} us", nanos.div_ceil(1_000))
        } else if nanos.div_ceil(1_000_000) < 1_000 {
            write!(f, "{} ms", nanos.div_ceil(1_000_000))
        } else if tenths_of_second < 10 * MINUTE {
            write!(f, "{}.{} s", tenths_of_second / 10, tenths_of_second % 10)
        } else if seconds < HOUR {
            write!(f, "{} m {} s", seconds / MINUTE, seconds % MINUTE)
        } else if seconds.div_ceil(MINUTE) * MINUTE < DAY {
            let minutes = seconds.div_ceil(MINUTE);
            write!(f, "{} h {} m", minutes / 60, minutes % 60)
        } else {
            let hours = seconds.div_ceil(HOUR);
            write!(f, "{} d {} h", hours / 24, hours % 24)
        }
    }
}

/// A size in binary units: `512 B`, `64 KiB`, `1.5 MiB`. Tenths are cut off, not rounded.
#[derive(Clone, Copy, Debug)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let (mut whole, mut rest) = (self.0, 0);
        let mut unit = UNITS[0];
        for candidate in UNITS {
            if whole < 1024 {
                break;
            }
            (whole, rest, unit) = (whole / 1024, whole % 1024, candidate);
        }
        match rest * 10 / 1024 {
            0 => write!(f, "{whole} {unit}"),
            tenths => write!(f, "{whole}.{tenths} {unit}"),
        }
    }
}

/// A value whose control characters are made visible as they are printed.
struct Visible<'a>(&'a dyn fmt::Display);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(MakeVisible(f), "{}", self.0)
    }
}

struct MakeVisible<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for MakeVisible<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write!(self.0, "{}", crate::term::Printable(text))
    }
}

/// The number of characters that a value prints.
pub(crate) fn width_of(value: &dyn fmt::Display) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.chars().count();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and a value that fails to print has printed what it has.
    let _ = write!(count, "{}", Visible(value));
    count.0
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, Cell, Column, Grouped, Humanized, Nanos, Table};
    use crate::term::{Style, Term};
    use proptest::prelude::*;

    const TABLE: Table<3> = Table {
        columns: [Column::left("limit"), Column::right("used"), Column::left("state")],
        if_empty: "no limits",
    };

    fn render(term: Term, rows: &[(&str, u64, Style)]) -> String {
        let mut out = String::new();
        TABLE
            .write(&mut out, term, |each| {
                for (name, used, style) in rows {
                    each(&[Cell::new(name), Cell::new(&Grouped(*used)), Cell::styled(*style, &"on")]);
                }
            })
            .unwrap();
        out
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [("ip:*", 1_234_567, Style::Good), ("é", 5, Style::Bad)];
        let expected = "limit       used  state\n\
                        ip:*   1,234,567  on\n\
                        é              5  on\n";
        assert_eq!(render(Term::Dumb, &rows), expected);
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let out = render(Term::Ansi, &[("ip:*", 1, Style::Good)]);
        assert_eq!(
            out,
            "\x1b[2mlimit\x1b[0m  \x1b[2mused\x1b[0m  \x1b[2mstate\x1b[0m\nip:*      1  \x1b[32mon\x1b[0m\n"
        );
    }

    #[test]
    fn no_rows_say_so() {
        assert_eq!(render(Term::Dumb, &[]), "no limits\n");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let out = render(Term::Dumb, &[("a\x1b[2J\n", 1, Style::Plain)]);
        assert_eq!(out.lines().nth(1), Some("a\\u{1b}[2J\\n     1  on"));
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_000_000, "1,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Grouped(number).to_string(), shown);
        }
    }

    #[test]
    fn lengths_of_time_are_rounded_up() {
        for (nanos, shown) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_001, "2 us"),
            (999_001, "1 ms"),
            (250_000_000, "250 ms"),
            (999_000_001, "1.0 s"),
            (1_000_000_000, "1.0 s"),
            (1_000_000_001, "1.1 s"),
            (59_900_000_001, "1 m 0 s"),
            (200_000_000_000, "3 m 20 s"),
            (3_599_000_000_001, "1 h 0 m"),
            (7_500_000_000_000, "2 h 5 m"),
            (86_399_000_000_000, "1 d 0 h"),
            (273_600_000_000_000, "3 d 4 h"),
            (u64::MAX, "213504 d 0 h"), // 18 446 744 073.7 s
        ] {
            assert_eq!(Humanized(Nanos(nanos)).to_string(), shown, "{nanos}");
        }
    }

    #[test]
    fn sizes_use_the_largest_unit() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (65_536, "64 KiB"),
            (1_572_864, "1.5 MiB"),
            (1_048_575, "1023.9 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn grouping_only_adds_commas(number: u64) {
            let shown = Grouped(number).to_string();
            prop_assert_eq!(shown.replace(',', ""), number.to_string());
            prop_assert!(shown.split(',').skip(1).all(|group| group.len() == 3));
        }
    }
}
