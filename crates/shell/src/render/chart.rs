//! Bars: how much each thing is, next to the most.

use core::fmt::{self, Write};

use super::{Cell, GAP, Visible, width_of};
use crate::term::{Style, Term};

/// How wide a chart is at most.
const COLUMNS: usize = 80;
/// What bars have at least, so that labels are cut before bars say nothing.
const BAR_CELLS_MIN: usize = 20;
/// The widest amount: any whole number of 128 bits, without groups.
const AMOUNT_CELLS_MAX: usize = 40;
/// The parts of a cell that are drawn.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// One bar, with what stands before it.
#[derive(Clone, Copy)]
pub struct Bar<'a> {
    /// What it is of. It is cut where there is no room for it.
    pub label: Cell<'a>,
    /// The value as it is read.
    pub amount: Cell<'a>,
    /// The value as it is drawn, in any unit that all bars share. Nothing is drawn for zero and less.
    pub value: i128,
}

/// What a chart calls with each of its bars.
pub type EachBar<'a> = dyn FnMut(&Bar<'_>) + 'a;

/// A chart of horizontal bars, 80 columns wide at most. The longest bar fills the room that labels and amounts leave;
/// the others are as long in proportion, rounded up, so that what is more than nothing is seen.
///
/// ```
/// use shell::{render::{Bar, BarChart, Cell}, term::Term};
/// let chart = BarChart { if_empty: "no tenants" };
/// let mut out = String::new();
/// chart.write(&mut out, Term::Dumb, |bar| {
///     bar(&Bar { label: Cell::new(&"acme"), amount: Cell::new(&"4.20 USD"), value: 420 });
///     bar(&Bar { label: Cell::new(&"globex"), amount: Cell::new(&"1.05 USD"), value: 105 });
///     bar(&Bar { label: Cell::new(&"initech"), amount: Cell::new(&"-0.50 USD"), value: -50 });
/// }).unwrap();
/// assert_eq!(out, format!("acme      4.20 USD  {}\nglobex    1.05 USD  {}\ninitech  -0.50 USD\n",
///     "#".repeat(60), "#".repeat(15)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BarChart {
    /// What is printed when there are no bars.
    pub if_empty: &'static str,
}

impl BarChart {
    /// Writes the chart. `bars` calls its argument with each bar, and is called twice; the second time it must give
    /// the same bars, or they are out of proportion.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        &self,
        out: &mut dyn Write,
        term: Term,
        mut bars: impl FnMut(&mut EachBar<'_>),
    ) -> fmt::Result {
        let (mut count, mut label, mut amount, mut largest) = (0_usize, 0, 0, 0);
        bars(&mut |bar| {
            count += 1;
            label = label.max(width_of(bar.label.value));
            amount = amount.max(width_of(bar.amount.value));
            largest = largest.max(drawn(bar.value));
        });
        if count == 0 {
            return writeln!(out, "{}", term.paint(Style::Dim, self.if_empty));
        }
        let widths = Widths::new(label, amount);
        let mut result = Ok(());
        bars(&mut |bar| {
            result = result.and_then(|()| write_bar(out, term, widths, bar, largest));
        });
        result
    }
}

/// How the columns are divided.
#[derive(Clone, Copy)]
struct Widths {
    label: usize,
    amount: usize,
    bar: usize,
}

impl Widths {
    /// Divides the columns among labels and amounts of these widths, and bars.
    fn new(label: usize, amount: usize) -> Self {
        const ROOM: usize = COLUMNS - 2 * GAP.len();
        const { assert!(ROOM > AMOUNT_CELLS_MAX + BAR_CELLS_MIN, "labels have room") };
        let amount = amount.min(AMOUNT_CELLS_MAX);
        let label = label.min(ROOM - amount - BAR_CELLS_MIN);
        Self { label, amount, bar: ROOM - amount - label }
    }
}

fn write_bar(out: &mut dyn Write, term: Term, widths: Widths, bar: &Bar<'_>, largest: u128) -> fmt::Result {
    let Bar { label, amount, value } = bar;
    let (label_blanks, amount_blanks) =
        (blanks_beside(label, widths.label), blanks_beside(amount, widths.amount));
    let label = term.paint(label.style, Cut { value: label.value, width: widths.label });
    let amount = term.paint(amount.style, Cut { value: amount.value, width: widths.amount });
    write!(out, "{label}{:label_blanks$}{GAP}{:amount_blanks$}{amount}", "", "")?;
    let value = drawn(*value);
    if value > 0 {
        out.write_str(GAP)?;
        match term {
            Term::Dumb => write_times(out, "#", scaled(value, largest, widths.bar))?,
            Term::Ansi => {
                let eighths = scaled(value, largest, widths.bar * EIGHTHS.len());
                write_times(out, "█", eighths / EIGHTHS.len())?;
                out.write_str(EIGHTHS[eighths % EIGHTHS.len()])?;
            }
        }
    }
    out.write_char('\n')
}

/// What there is to draw of a value.
const fn drawn(value: i128) -> u128 {
    if value > 0 { value.unsigned_abs() } else { 0 }
}

/// `room` × `value` / `largest`, rounded up, for a value that is not 0 and not more than `largest`.
fn scaled(value: u128, largest: u128, room: usize) -> usize {
    // What is drawn has 127 bits, and a room far less than 16: of both numbers 16 bits are dropped where that matters
    // to nobody.
    let shift = if largest >> 112 == 0 { 0 } else { 16 };
    let (value, largest) = (value >> shift, (largest >> shift).max(1));
    let parts = (value * room as u128).div_ceil(largest);
    usize::try_from(parts).map_or(room, |parts| parts.clamp(1, room))
}

fn blanks_beside(cell: &Cell<'_>, width: usize) -> usize {
    width.saturating_sub(width_of(cell.value))
}

fn write_times(out: &mut dyn Write, text: &str, times: usize) -> fmt::Result {
    (0..times).try_for_each(|_| out.write_str(text))
}

/// A value cut to a width, with `…` for what is missing.
struct Cut<'a> {
    value: &'a dyn fmt::Display,
    width: usize,
}

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if width_of(self.value) <= self.width {
            return write!(f, "{}", Visible(self.value));
        }
        let mut head = Head { out: f, left: self.width.saturating_sub(1) };
        write!(head, "{}", Visible(self.value))?;
        f.write_str(if self.width > 0 { "…" } else { "" })
    }
}

/// Lets the first characters through, and drops the rest.
struct Head<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
}

impl Write for Head<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.char_indices().nth(self.left).map_or(text.len(), |(end, _)| end);
        self.left -= text[..end].chars().count();
        self.out.write_str(&text[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::{Bar, BarChart, COLUMNS, Cell, EIGHTHS};
    use crate::term::{Style, Term};
    use proptest::prelude::*;

    const CHART: BarChart = BarChart { if_empty: "nothing was used" };

    fn render(term: Term, bars: &[(String, String, i128)]) -> String {
        let mut out = String::new();
        CHART
            .write(&mut out, term, |each| {
                for (label, amount, value) in bars {
                    each(&Bar { label: Cell::new(label), amount: Cell::new(amount), value: *value });
                }
            })
            .unwrap();
        out
    }

    fn bars(values: &[(&str, i128)]) -> Vec<(String, String, i128)> {
        values.iter().map(|(label, value)| ((*label).to_owned(), value.to_string(), *value)).collect()
    }

    /// The length of the bar in a line, in the smallest parts that `term` draws.
    fn parts(term: Term, line: &str) -> usize {
        let part = |c: char| match c {
            '#' => 1,
            '█' => 8,
            c => EIGHTHS.iter().position(|part| part.chars().eq([c])).unwrap_or(0),
        };
        line.chars().filter(|c| (*c == '#') == (term == Term::Dumb)).map(part).sum()
    }

    /// `room` × `value` / `largest`, rounded down, by adding up.
    fn part_of(room: usize, value: u128, largest: u128) -> usize {
        let (mut parts, mut rest) = (0, 0);
        for _ in 0..room {
            rest += value;
            if rest >= largest {
                (parts, rest) = (parts + 1, rest - largest);
            }
        }
        parts
    }

    #[test]
    fn parts_of_a_cell_are_drawn_where_the_terminal_can() {
        let values = bars(&[("a", 600), ("b", 300), ("c", 1), ("d", 0), ("e", -600)]);
        let out = render(Term::Ansi, &values);
        let full = "█".repeat(71);
        let half = "█".repeat(35);
        assert_eq!(out, format!("a   600  {full}\nb   300  {half}▌\nc     1  ▏\nd     0\ne  -600\n"));
        assert!(!render(Term::Dumb, &values).contains(|c: char| !c.is_ascii()));
    }

    #[test]
    fn no_bars_say_so() {
        assert_eq!(render(Term::Dumb, &[]), "nothing was used\n");
        assert_eq!(render(Term::Ansi, &bars(&[("a", 0)])), "a  0\n");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let long = "n".repeat(100);
        let out = render(Term::Dumb, &[(long.clone(), "7".into(), 7)]);
        assert_eq!(out, format!("{}…  7  {}\n", "n".repeat(54), "#".repeat(20)));
        let out = render(Term::Dumb, &[(long, "9".repeat(50), 7)]);
        assert_eq!(out, format!("{}…  {}…  {}\n", "n".repeat(15), "9".repeat(39), "#".repeat(20)));
    }

    #[test]
    fn a_label_cannot_drive_the_terminal_and_colour_moves_nothing() {
        let mut out = String::new();
        let label = "a\x1b[2J";
        CHART
            .write(&mut out, Term::Ansi, |each| {
                each(&Bar { label: Cell::styled(Style::Name, &label), amount: Cell::new(&1), value: 0 });
                each(&Bar { label: Cell::styled(Style::Name, &"b"), amount: Cell::new(&10), value: 0 });
            })
            .unwrap();
        assert_eq!(out, "\x1b[36ma\\u{1b}[2J\x1b[0m   1\n\x1b[36mb\x1b[0m           10\n");
    }

    fn value() -> impl Strategy<Value = i128> {
        prop_oneof![
            any::<i128>(),
            -3..1000_i128,
            Just(i128::MAX),
            Just(i128::MIN),
            (0_u32..127).prop_map(|bit| 1 << bit),
        ]
    }

    proptest! {
        #[test]
        fn bars_are_in_proportion(
            bars in prop::collection::vec(("[a-z…\u{0}]{0,90}", "[0-9]{1,60}", value()), 1..8)
        ) {
            for term in [Term::Dumb, Term::Ansi] {
                let out = render(term, &bars);
                let lines: Vec<&str> = out.lines().collect();
                prop_assert_eq!(lines.len(), bars.len());
                prop_assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{}", out);
                prop_assert!(lines.iter().all(|line| !line.ends_with(' ')), "{}", out);
                let largest = bars.iter().map(|(.., value)| *value).max().unwrap();
                let room = lines.iter().map(|line| parts(term, line)).max().unwrap();
                for (line, (.., value)) in lines.iter().zip(&bars) {
                    let length = parts(term, line);
                    if *value <= 0 {
                        prop_assert_eq!(length, 0);
                        continue;
                    }
                    let exact = part_of(room, value.unsigned_abs(), largest.unsigned_abs());
                    prop_assert!(length >= 1 && (exact..=exact + 1).contains(&length), "{}: {}", exact, out);
                    if *value == largest {
                        prop_assert_eq!((line.chars().count(), length), (COLUMNS, room), "{}", out);
                    }
                }
            }
        }
    }
}
