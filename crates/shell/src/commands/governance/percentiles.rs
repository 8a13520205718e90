//! `governance percentiles`: how long answers took.

use super::measured;
use crate::command::{Invocation, nearest};
use crate::commands::{Context, Failed, Outcome};
use crate::render::{Cell, Column, Grouped, Latency, Table};
use crate::system::System;
use crate::term::{Printable, Style};
use core::fmt;
use governance::export::ObjectWriter;
use governance::metrics::{
    Confidence, GovernanceCollector, LATENCY_SCOPES_MAX, LatencyScope, Percentiles, Window,
};
use governance::scope::Kind;
use governance::text::Text;

/// The scope that all requests are in.
const ALL: &str = "all";
/// A kind, a colon and a name.
type ScopeName = Text<96>;

/// Shows percentiles of latencies, of each scope or of one.
pub(in crate::commands) fn percentiles(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (books, _) = measured(context, invocation)?;
    let window = match invocation.get("window") {
        Some("start") => Window::SinceStart,
        _ => Window::Minute,
    };
    let metrics = &books.of(context.engine).metrics;
    let only = match invocation.positional(0) {
        None => None,
        Some(name) if is_known(metrics, name) => Some(name),
        Some(name) => {
            let scopes = metrics.latency_scopes().map(|view| scope_name(view.kind, view.name));
            let names: heapless::Vec<ScopeName, LATENCY_SCOPES_MAX> = scopes.collect();
            return Err(unknown(context, name, &names));
        }
    };
    let all = metrics
        .get_metric_percentiles(LatencyScope::All, window)
        .map(|found| (ScopeName::excerpt(ALL), found));
    let each = metrics.latency_scopes().filter_map(|view| {
        let found = metrics.get_metric_percentiles(LatencyScope::Named(view.kind, view.name), window)?;
        Some((scope_name(view.kind, view.name), found))
    });
    let is_meant = |name: &ScopeName| only.is_none_or(|only| only == name.as_str());
    // There is room for each scope.
    let rows: heapless::Vec<(ScopeName, Percentiles), { LATENCY_SCOPES_MAX + 1 }> =
        all.into_iter().chain(each).filter(|(name, _)| is_meant(name)).collect();
    if invocation.flag("json") {
        return Ok(rows
            .iter()
            .try_for_each(|(name, found)| write_json(context.system, name, window, found))?);
    }
    let table = Table {
        columns: [
            Column::left("scope"),
            Column::right("p50"),
            Column::right("p90"),
            Column::right("p95"),
            Column::right("p99"),
            Column::right("min"),
            Column::right("max"),
            Column::right("samples"),
        ],
        if_empty: match window {
            Window::Minute => "nothing was timed in the last minute",
            Window::SinceStart => "nothing was timed",
        },
    };
    table.write(context.system, context.term, |row| {
        for (name, found) in &rows {
            let p99_style = if is_few(found) { Style::Warn } else { Style::Plain };
            row(&[
                Cell::styled(Style::Name, name),
                Cell::new(&Latency(found.p50)),
                Cell::new(&Latency(found.p90)),
                Cell::new(&Latency(found.p95)),
                Cell::styled(p99_style, &Latency(found.p99)),
                Cell::new(&Latency(found.min)),
                Cell::new(&Latency(found.max)),
                Cell::new(&Samples(found)),
            ]);
        }
    })?;
    if rows.iter().any(|(_, found)| is_few(found)) {
        context.say(format_args!("* fewer than 100 samples: the p99 is little more than the largest"))?;
    }
    Ok(())
}

fn is_known(metrics: &GovernanceCollector, name: &str) -> bool {
    name == ALL || metrics.latency_scopes().any(|view| scope_name(view.kind, view.name).as_str() == name)
}

fn unknown(context: &mut Context<'_>, name: &str, names: &[ScopeName]) -> Failed {
    let shown = Printable(name);
    match nearest(name, names.iter().map(|name| name.as_str())) {
        Some(near) => context
            .fail(format_args!("no answer of '{shown}' was timed; did you mean '{}'?", Printable(near))),
        None => context.fail(format_args!(
            "no answer of '{shown}' was timed; expected all, or a scope that governance percentiles lists"
        )),
    }
}

/// The scope as it is written; names are shorter than there is room.
fn scope_name(kind: Kind, name: &str) -> ScopeName {
    ScopeName::format(format_args!("{kind}:{name}")).unwrap_or_default()
}

fn write_json(system: &mut dyn System, name: &ScopeName, window: Window, found: &Percentiles) -> fmt::Result {
    ObjectWriter::begin(system)?
        .string("scope", name.as_str())?
        .string("window", if window == Window::Minute { "minute" } else { "start" })?
        .integer("p50_us", found.p50)?
        .integer("p90_us", found.p90)?
        .integer("p95_us", found.p95)?
        .integer("p99_us", found.p99)?
        .integer("min_us", found.min)?
        .integer("max_us", found.max)?
        .integer("samples", found.count)?
        .string("confidence", if is_few(found) { "low" } else { "normal" })?
        .end()
}

fn is_few(found: &Percentiles) -> bool {
    found.confidence == Confidence::Low
}

struct Samples<'a>(&'a Percentiles);

impl fmt::Display for Samples<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Grouped(self.0.count), if is_few(self.0) { "*" } else { "" })
    }
}
