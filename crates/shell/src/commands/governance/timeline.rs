//! `governance timeline`: what happened when.

use super::measured;
use crate::command::Invocation;
use crate::commands::{Context, Outcome};
use crate::render::{CHART_COLUMNS, ColumnChart, Grouped};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::metrics::{GovernanceCollector, Resolution, Slot};
use governance::time::WallTime;

/// How high a chart is: three of them, with their headings and axes, fit on a screen of 24 lines.
const ROWS: usize = 4;
/// A time of the axis, such as `2015-05-17T10:05:00Z`.
const TIME_CELLS: usize = 20;
/// What stands before the first column of a chart.
const MARGIN: &str = "        ";

/// Draws requests, refusals and errors over time.
pub(in crate::commands) fn timeline(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (books, _) = measured(context, invocation)?;
    let resolution = resolution(invocation);
    let metrics = &books.of(context.engine).metrics;
    if invocation.flag("json") {
        return Ok(write_json(context.system, metrics, resolution)?);
    }
    if metrics.totals().is_empty() {
        let nothing = context.term.paint(Style::Dim, "nothing was counted yet");
        return Ok(writeln!(context.system, "{nothing}")?);
    }
    let charts: [Counted; 3] = [
        ("requests", Style::Name, |slot| slot.requests),
        ("denied", Style::Bad, |slot| slot.denied),
        ("errors", Style::Warn, |slot| slot.errors),
    ];
    Ok(charts
        .into_iter()
        .try_for_each(|chart| draw(context.system, context.term, metrics, resolution, chart))?)
}

/// The resolution that `resolution=` names.
pub(super) fn resolution(invocation: &Invocation<'_>) -> Resolution {
    // The table lets no other word pass.
    invocation.get("resolution").and_then(Resolution::from_word).unwrap_or(Resolution::Minute)
}

/// A count of a slot, with what it is called and how that is painted.
type Counted = (&'static str, Style, fn(&Slot) -> u64);

fn draw(
    system: &mut dyn System,
    term: Term,
    metrics: &GovernanceCollector,
    resolution: Resolution,
    (name, style, count): Counted,
) -> fmt::Result {
    let mut columns = heapless::Vec::<u64, CHART_COLUMNS>::new();
    let (mut first, mut last) = (None, WallTime(0));
    let (mut sum, mut peak) = (0, None);
    metrics.get_timeline(resolution, &mut |start, slot| {
        let value = slot.map_or(0, count);
        // There is a column for each slot of the longest timeline.
        let _ = columns.push(value);
        (first, last) = (first.or(Some(start)), start);
        sum += value;
        if value > peak.map_or(0, |(peak, _)| peak) {
            peak = Some((value, start));
        }
    });
    let name = term.paint(style, name);
    let Some((peak, at)) = peak else {
        return writeln!(system, "{name} per {resolution}   none");
    };
    writeln!(system, "{name} per {resolution}   {} in all   peak {} at {at}", Grouped(sum), Grouped(peak))?;
    ColumnChart { rows: ROWS }.write(system, term, &columns)?;
    let gap = columns.len().saturating_sub(2 * TIME_CELLS).max(2);
    writeln!(system, "{MARGIN}{}{:gap$}{last}", first.unwrap_or(last), "")
}

fn write_json(system: &mut dyn System, metrics: &GovernanceCollector, resolution: Resolution) -> fmt::Result {
    let mut written = Ok(());
    metrics.get_timeline(resolution, &mut |start, slot| {
        if written.is_ok() {
            written = write_slot(system, resolution, start, slot);
        }
    });
    written
}

/// A slot without data has no members but its time.
fn write_slot(
    system: &mut dyn System,
    resolution: Resolution,
    start: WallTime,
    slot: Option<&Slot>,
) -> fmt::Result {
    let object =
        ObjectWriter::begin(system)?.display("start", start)?.string("resolution", resolution.word())?;
    let Some(slot) = slot else { return object.end() };
    let [informational, success, redirection, client_error, server_error] = slot.classes;
    object
        .integer("requests", slot.requests)?
        .integer("allowed", slot.allowed)?
        .integer("denied", slot.denied)?
        .integer("delayed", slot.delayed)?
        .integer("outcomes", slot.outcomes)?
        .integer("errors", slot.errors)?
        .integer("status_1xx", informational)?
        .integer("status_2xx", success)?
        .integer("status_3xx", redirection)?
        .integer("status_4xx", client_error)?
        .integer("status_5xx", server_error)?
        .integer("status_429", slot.throttled)?
        .display("cost", slot.cost)?
        .optional_integer("latency_mean_us", slot.latency_mean_us())?
        .optional_integer("latency_max_us", (slot.timed > 0).then_some(slot.latency_max_us))?
        .end()
}
