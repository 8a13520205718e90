//! Columns: how something went over time, next to its peak.

use core::fmt::{self, Write};

use crate::term::{Style, Term};

/// The most columns that are drawn; with the scale beside them they fit in 80.
pub const CHART_COLUMNS: usize = 72;
/// What the scale takes, a blank and the axis apart.
const SCALE_CELLS: usize = 6;
/// The parts of a cell that are drawn.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// The same in one cell, for terminals that know no others, from nothing to the most.
const SHADES: [&str; 9] = [" ", ".", ":", "-", "=", "+", "*", "#", "@"];

/// A chart of columns, one for each value, as high in proportion, rounded up, so that what is more than nothing is seen.
/// Values beyond the [`CHART_COLUMNS`]th are not drawn.
///
/// ```
/// use shell::{render::ColumnChart, term::Term};
/// let chart = ColumnChart { rows: 3 };
/// let mut out = String::new();
/// chart.write(&mut out, Term::Dumb, &[1, 0, 24, 12, 3]).unwrap();
/// assert_eq!(out, "    24 |  #\n       |  ##\n     0 |# ###\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ColumnChart {
    /// How many lines the highest column takes.
    pub rows: usize,
}

impl ColumnChart {
    /// Writes the chart: the largest value beside the top, zero beside the bottom.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write, term: Term, values: &[u64]) -> fmt::Result {
        let values = &values[..values.len().min(CHART_COLUMNS)];
        let largest = values.iter().copied().max().unwrap_or(0);
        let axis = match term {
            Term::Ansi => "│",
            Term::Dumb => "|",
        };
        for row in (0..self.rows).rev() {
            let label = Scale {
                value: if row == 0 { 0 } else { largest },
                is_shown: row == 0 || row + 1 == self.rows,
            };
            write!(out, "{} {}", term.paint(Style::Dim, label), term.paint(Style::Dim, axis))?;
            // No blanks at the end of a row.
            let cell = |value: u64| cell_in_row(value, largest, self.rows, row, term);
            let drawn = values.iter().rposition(|value| cell(*value) > 0).map_or(0, |last| last + 1);
            for value in &values[..drawn] {
                let eighths = cell(*value);
                out.write_str(match term {
                    Term::Ansi => EIGHTHS[eighths],
                    Term::Dumb if eighths == 0 => " ",
                    Term::Dumb => "#",
                })?;
            }
            out.write_char('\n')?;
        }
        Ok(())
    }
}

/// One line of columns, without a scale: `▁▂▅█▃`, or `.:+@-` on a dumb terminal.
///
/// ```
/// use shell::{render::Sparkline, term::Term};
/// let values = [0, 1, 5, 8, 3];
/// assert_eq!(Sparkline { term: Term::Ansi, values: &values }.to_string(), " ▁▅█▃");
/// assert_eq!(Sparkline { term: Term::Dumb, values: &values }.to_string(), " .+@-");
/// assert_eq!(Sparkline { term: Term::Dumb, values: &[0, 0] }.to_string(), "  ");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sparkline<'a> {
    /// The terminal that it is for.
    pub term: Term,
    /// What is drawn.
    pub values: &'a [u64],
}

impl fmt::Display for Sparkline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.values.iter().copied().max().unwrap_or(0);
        let cells = match self.term {
            Term::Ansi => EIGHTHS,
            Term::Dumb => SHADES,
        };
        self.values
            .iter()
            .try_for_each(|value| f.write_str(cells[cell_in_row(*value, largest, 1, 0, Term::Ansi)]))
    }
}

/// The eighths of a cell that a value fills, in the row of that number from the bottom.
fn cell_in_row(value: u64, largest: u64, rows: usize, row: usize, term: Term) -> usize {
    // A dumb terminal draws whole cells or none: what reaches into a cell fills it.
    let parts = match term {
        Term::Ansi => rows * (EIGHTHS.len() - 1),
        Term::Dumb => rows,
    };
    let height = (u128::from(value) * parts as u128).div_ceil(u128::from(largest.max(1)));
    let height = usize::try_from(height).unwrap_or(parts).min(parts);
    match term {
        Term::Ansi => height.saturating_sub(row * 8).min(8),
        Term::Dumb => 8 * usize::from(height > row),
    }
}

/// A number beside the axis, at most as wide as there is room.
struct Scale {
    value: u64,
    is_shown: bool,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")];
        if !self.is_shown {
            return write!(f, "{:SCALE_CELLS$}", "");
        }
        // The exact number stands in the heading of a chart; here it may be cut.
        match UNITS.into_iter().find(|(unit, _)| self.value >= *unit) {
            Some((unit, letter)) => {
                let whole = self.value / unit;
                match u32::try_from(whole) {
                    Ok(whole @ 0..100_000) => write!(f, "{whole:>5}{letter}"),
                    _ => f.write_str("    >T"),
                }
            }
            None => write!(f, "{:>SCALE_CELLS$}", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHART_COLUMNS, ColumnChart, Sparkline};
    use crate::term::Term;
    use proptest::prelude::*;

    fn render(rows: usize, term: Term, values: &[u64]) -> String {
        let mut out = String::new();
        ColumnChart { rows }.write(&mut out, term, values).unwrap();
        out
    }

    #[test]
    fn nothing_is_an_empty_chart() {
        assert_eq!(render(2, Term::Dumb, &[]), "     0 |\n     0 |\n");
        assert_eq!(render(2, Term::Dumb, &[0, 0]), "     0 |\n     0 |\n");
    }

    #[test]
    fn large_numbers_keep_to_their_room() {
        for (value, label) in [
            (999_999, "999999"),
            (1_000_000, "    1M"),
            (999_999_999, "  999M"),
            (12_345_678_901, "   12G"),
            (99_999_000_000_000_000, "99999T"),
            (u64::MAX, "    >T"),
        ] {
            assert!(render(2, Term::Dumb, &[value]).starts_with(&format!("{label} |#\n")), "{value}");
        }
    }

    #[test]
    fn a_terminal_that_can_draws_eighths() {
        let plain = render(3, Term::Ansi, &[1, 0, 24, 12, 3]).replace("\x1b[2m", "").replace("\x1b[0m", "");
        assert_eq!(plain, "    24 │  █\n       │  █▄\n     0 │▁ ██▃\n");
    }

    proptest! {
        #[test]
        fn columns_are_in_proportion_and_fit(
            values in prop::collection::vec(prop_oneof![0..9_u64, 0..1000_u64, any::<u64>()], 1..100),
            rows in 1..8_usize,
        ) {
            for term in [Term::Dumb, Term::Ansi] {
                let out = render(rows, term, &values);
                let largest = values[..values.len().min(CHART_COLUMNS)].iter().copied().max().unwrap();
                if term == Term::Ansi {
                    continue;
                }
                let lines: Vec<&str> = out.lines().collect();
                prop_assert_eq!(lines.len(), rows);
                prop_assert!(lines.iter().all(|line| line.len() <= 80 && !line.ends_with(' ')));
                for (index, value) in values.iter().enumerate().take(CHART_COLUMNS) {
                    let height = lines.iter().filter(|line| line.as_bytes().get(8 + index) == Some(&b'#')).count();
                    let exact = u128::from(*value) * rows as u128;
                    prop_assert!(height as u128 * u128::from(largest) >= exact);
                    prop_assert!(*value == 0 || (height as u128 - 1) * u128::from(largest) < exact);
                }
            }
            let line = Sparkline { term: Term::Dumb, values: &values }.to_string();
            prop_assert_eq!(line.len(), values.len());
            prop_assert!(line.bytes().zip(&values).all(|(cell, value)| (cell == b' ') == (*value == 0)));
        }
    }
}
