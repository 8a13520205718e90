//! A replayed log over time, drawn or as objects.

use crate::render::{CHART_COLUMNS, ColumnChart, Grouped};
use crate::replay::{Tally, Timeline};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::time::{Nanos, WallTime};

/// How high a chart is: three of them, with their headings and axes, fit on a screen of 24 lines.
const ROWS: usize = 4;
/// How many cells a minute takes at most.
const WIDE_MAX: usize = 4;
/// A time of the axis, such as `2015-05-17T10:05:00Z`.
const TIME_CELLS: usize = 20;
/// What stands before the first column of a chart.
const MARGIN: &str = "        ";

/// Draws a chart of each count, one below the other, of all steps from the first to the last.
pub(super) fn draw(system: &mut dyn System, term: Term, timeline: &Timeline) -> fmt::Result {
    let steps = timeline.steps().len();
    if steps == 0 {
        return writeln!(system, "\n{}", term.paint(Style::Dim, "no requests: there is nothing to draw"));
    }
    let minutes = minutes(timeline.step());
    let each_column = steps.div_ceil(CHART_COLUMNS);
    writeln!(system)?;
    if minutes > 1 {
        writeln!(system, "the log is longer than a week: counts are of {minutes} minutes each")?;
    }
    if each_column > 1 {
        let busiest = Grouped(minutes * each_column as u64);
        writeln!(system, "a column is {busiest} minutes, and as high as the highest count in them")?;
    }
    draw_one(system, term, timeline, each_column, ("requests", Style::Name, |tally| tally.requests))?;
    draw_one(system, term, timeline, each_column, ("denied", Style::Bad, |tally| tally.denied))?;
    draw_one(system, term, timeline, each_column, ("errors (5xx)", Style::Warn, |tally| tally.errors))
}

/// A count of a step, with what it is called and how that is painted.
type Counted = (&'static str, Style, fn(Tally) -> u32);

fn draw_one(
    system: &mut dyn System,
    term: Term,
    timeline: &Timeline,
    each_column: usize,
    (name, style, count): Counted,
) -> fmt::Result {
    let unit = Unit(minutes(timeline.step()));
    let name = term.paint(style, name);
    // Of several peaks, the first.
    let peak = timeline
        .steps()
        .map(|(start, tally)| (count(tally), start))
        .reduce(|peak, next| if next.0 > peak.0 { next } else { peak });
    let Some((peak @ 1.., at)) = peak else {
        return writeln!(system, "{name} {unit}   none");
    };
    writeln!(system, "{name} {unit}   peak {} at {at}", Grouped(peak.into()))?;
    let steps = timeline.steps().len();
    // Each column is of as many steps as all of them need to fit; a few are drawn wider, to be told apart.
    let wide = (CHART_COLUMNS / steps).clamp(1, WIDE_MAX);
    let mut columns = [0; CHART_COLUMNS];
    for (index, (_, tally)) in timeline.steps().enumerate() {
        for column in columns.iter_mut().skip(index / each_column * wide).take(wide) {
            *column = u64::from(count(tally)).max(*column);
        }
    }
    let drawn = (steps.div_ceil(each_column) * wide).min(CHART_COLUMNS);
    ColumnChart { rows: ROWS }.write(system, term, &columns[..drawn])?;
    let (first, last) = ends(timeline);
    let gap = drawn.saturating_sub(2 * TIME_CELLS).max(2);
    if first == last {
        return writeln!(system, "{MARGIN}{first}");
    }
    writeln!(system, "{MARGIN}{first}{:gap$}{last}", "")
}

/// Writes each step that has a request as an object.
pub(super) fn write_json(system: &mut dyn System, timeline: &Timeline) -> fmt::Result {
    let minutes = minutes(timeline.step());
    for (start, tally) in timeline.steps().filter(|(_, tally)| tally.requests > 0) {
        ObjectWriter::begin(system)?
            .display("minute", start)?
            .integer("minutes", minutes)?
            .integer("requests", tally.requests.into())?
            .integer("denied", tally.denied.into())?
            .integer("errors", tally.errors.into())?
            .end()?;
    }
    Ok(())
}

/// When the first step starts, and the last.
fn ends(timeline: &Timeline) -> (WallTime, WallTime) {
    let mut starts = timeline.steps().map(|(start, _)| start);
    let first = starts.next().unwrap_or(WallTime(0));
    (first, starts.last().unwrap_or(first))
}

const fn minutes(step: Nanos) -> u64 {
    step.0 / 60_000_000_000
}

/// What a count is of.
struct Unit(u64);

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("per minute"),
            minutes => write!(f, "per {minutes} minutes"),
        }
    }
}
