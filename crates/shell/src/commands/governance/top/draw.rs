//! How `governance top` looks: at most 23 rows of at most 79 columns.

use super::view::{Alert, Breaker, Flow, LISTED, Latency, Left, Queue, Ranked, SPARK_SECONDS, View};
use crate::commands::governance::OrDash;
use crate::commands::wide;
use crate::render::{Align, Compact, Fit, Humanized, Latency as Micros, Sparkline};
use crate::screen::COLUMNS;
use crate::term::{Painted, Style, Term};
use core::fmt::{self, Write};
use governance::money::NanoUnits;
use governance::time::{NANOS_PER_SECOND, Nanos, WallTime};

/// What the labels at the left take, with the gap after them.
const LABEL: usize = 15;
/// What a figure of the upper table takes, with the gap before it.
const FIGURE: usize = 9;
/// What a half of the screen takes.
const HALF: usize = 39;
/// What the figures of a half take, with the gaps before them: requests, cost, denied.
const HALF_FIGURES: [usize; 3] = [9, 7, 7];
/// What is left for the name.
const HALF_NAME: usize = HALF - HALF_FIGURES[0] - HALF_FIGURES[1] - HALF_FIGURES[2];
/// What a latency takes.
const LATENCY: usize = 9;
/// How many rows breakers, queues and alerts have together.
const LOWER_ROWS: usize = 4;
/// What each of them has in any case.
const LOWER_ROWS_EACH: usize = 2;
const _: () = assert!(LOWER_ROWS <= LISTED && LOWER_ROWS == 2 * LOWER_ROWS_EACH);
const _: () = assert!(LABEL + 7 * FIGURE <= COLUMNS && LABEL + SPARK_SECONDS <= COLUMNS);
const _: () = assert!(LABEL + 4 * ("p50  ".len() + LATENCY) + "of 18.4E".len() <= COLUMNS);
const _: () = assert!(2 * HALF < COLUMNS);

/// Writes the view, row by row.
pub(super) fn write(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    write_clock(out, term, view)?;
    writeln!(out)?;
    write_flows(out, term, view)?;
    write_seconds(out, term, view)?;
    write_latency(out, term, view.latency.as_ref())?;
    write_denials(out, term, view)?;
    writeln!(out)?;
    write_ranked(out, term, view)?;
    write_lower(out, term, view)
}

fn write_clock(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    // To the second: a second is what lies between two of these.
    let WallTime(nanos) = view.wall;
    let wall = WallTime(nanos - nanos % NANOS_PER_SECOND);
    write!(out, "{}   {wall}", term.paint(Style::Name, "weir"))?;
    if let Some(up) = view.up {
        write!(out, "   up {}", Uptime(up))?;
    }
    writeln!(out, "   tickets {}", Compact(view.tickets))
}

fn write_flows(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    write!(out, "{:LABEL$}", "")?;
    for heading in ["requests", "allowed", "denied", "delayed", "errors", "429"] {
        write!(out, "{}", term.paint(Style::Dim, right(&heading, FIGURE)))?;
    }
    let separator = if view.currency.is_none() { "" } else { " " };
    let cost = format_args!("cost{separator}{}", view.currency);
    writeln!(out, "{}", term.paint(Style::Dim, right(&cost, FIGURE)))?;
    for (label, flow) in
        [("last second", &view.second), ("last minute", &view.minute), ("since start", &view.since_start)]
    {
        write_flow(out, term, label, flow)?;
    }
    Ok(())
}

fn write_flow(out: &mut dyn Write, term: Term, label: &str, flow: &Flow) -> fmt::Result {
    write!(out, "{}", term.paint(Style::Dim, left(&label, LABEL)))?;
    let bad = |count: u64| if count > 0 { Style::Bad } else { Style::Plain };
    let warn = |count: u64| if count > 0 { Style::Warn } else { Style::Plain };
    for (count, style) in [
        (flow.requests, Style::Plain),
        (flow.allowed, Style::Plain),
        (flow.denied, bad(flow.denied)),
        (flow.delayed, warn(flow.delayed)),
        (flow.errors, bad(flow.errors)),
        (flow.throttled, warn(flow.throttled)),
    ] {
        write!(out, "{}", term.paint(style, right(&Compact(count), FIGURE)))?;
    }
    writeln!(out, "{}", right(&ShortCost(flow.cost), FIGURE))
}

fn write_seconds(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    let peak = view.seconds.iter().copied().max().unwrap_or(0);
    let label = format_args!("peak {}/s", Compact(peak));
    let line = Sparkline { term, values: &view.seconds };
    writeln!(out, "{}{line}", term.paint(Style::Dim, left(&label, LABEL)))
}

fn write_latency(out: &mut dyn Write, term: Term, latency: Option<&Latency>) -> fmt::Result {
    write!(out, "{}", term.paint(Style::Dim, left(&"latency", LABEL)))?;
    let Some(latency) = latency else {
        return writeln!(out, "{}", term.paint(Style::Dim, "no outcomes in the last minute"));
    };
    write!(out, "p50 {} ", left(&Micros(latency.p50), LATENCY))?;
    write!(out, "p95 {} ", left(&Micros(latency.p95), LATENCY))?;
    // A p99 of few samples is little more than the largest.
    let about = if latency.few { "~" } else { "" };
    write!(out, "p99 {} ", left(&format_args!("{about}{}", Micros(latency.p99)), LATENCY))?;
    write!(out, "max {} ", left(&Micros(latency.max), LATENCY))?;
    writeln!(out, "{}", term.paint(Style::Dim, format_args!("of {}", Compact(latency.samples))))
}

fn write_denials(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    const GAP: usize = 3;
    write!(out, "{}", term.paint(Style::Dim, left(&"denied", LABEL)))?;
    if view.denials.is_empty() {
        return writeln!(out, "{}", term.paint(Style::Dim, "nothing"));
    }
    // Room for what says how many reasons more there are.
    let mut room = COLUMNS - LABEL - "+99 more".len();
    let mut shown = 0;
    for (reason, count) in &view.denials {
        let (count, code) = (Compact(*count), reason.code());
        let taken = crate::render::width_of(&count) + 1 + code.len() + GAP;
        if taken > room {
            break;
        }
        room -= taken;
        shown += 1;
        write!(out, "{code} {}{:GAP$}", term.paint(Style::Bad, count), "")?;
    }
    match view.denials.len() - shown {
        0 => writeln!(out),
        more => writeln!(out, "+{more} more"),
    }
}

fn write_ranked(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    let heading = |out: &mut dyn Write, what: &str| {
        write!(out, "{}", term.paint(Style::Dim, left(&what, HALF_NAME)))?;
        ["requests", "cost", "denied"]
            .iter()
            .zip(HALF_FIGURES)
            .try_for_each(|(heading, cells)| write!(out, "{}", term.paint(Style::Dim, right(heading, cells))))
    };
    heading(out, "services")?;
    write!(out, " ")?;
    heading(out, "tenants")?;
    writeln!(out)?;
    for row in 0..view.services.first.capacity() {
        write_half(out, view.services.first.get(row), |out, ranked| write_rank(out, term, ranked))?;
        write!(out, " ")?;
        write_half(out, view.tenants.first.get(row), |out, ranked| write_rank(out, term, ranked))?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_rank(out: &mut dyn Write, term: Term, ranked: &Ranked) -> fmt::Result {
    let [requests_cells, cost_cells, violations_cells] = HALF_FIGURES;
    write!(out, "{}", term.paint(Style::Name, left(&ranked.name.as_str(), HALF_NAME)))?;
    let cost = OrDash(ranked.cost.map(|nanos| ShortCost(NanoUnits(nanos.into()))));
    write!(out, "{}{}", right(&Compact(ranked.requests), requests_cells), right(&cost, cost_cells))?;
    let style = if ranked.violations.is_some_and(|count| count > 0) { Style::Bad } else { Style::Plain };
    let violations = OrDash(ranked.violations.map(Compact));
    write!(out, "{}", term.paint(style, right(&violations, violations_cells)))
}

/// Breakers and queues side by side, and alerts below them. What one does not need the other has.
fn write_lower(out: &mut dyn Write, term: Term, view: &View) -> fmt::Result {
    let sides = view.breakers.first.len().max(view.queues.first.len());
    let alerts = view.alerts.first.len();
    let sides = sides.min(LOWER_ROWS - alerts.min(LOWER_ROWS_EACH));
    let alerts = alerts.min(LOWER_ROWS - sides);
    let not_closed = format_args!(
        "breakers: {} not closed{}",
        Compact(view.breakers.count),
        not_shown(view.breakers.count, sides)
    );
    let waiting =
        format_args!("queues: {} waiting{}", Compact(view.waiting), not_shown(view.queues.count, sides));
    write!(out, "{} ", heading(term, &not_closed, view.breakers.count, HALF))?;
    writeln!(out, "{}", heading(term, &waiting, view.waiting, HALF))?;
    for row in 0..sides {
        write_half(out, view.breakers.first.get(row), |out, breaker| write_breaker(out, term, breaker))?;
        write!(out, " ")?;
        write_half(out, view.queues.first.get(row), |out, queue| write_queue(out, term, queue))?;
        writeln!(out)?;
    }
    let (firing, pending) = (Compact(view.firing), Compact(view.pending));
    let more = not_shown(view.alerts.count, alerts);
    let state = format_args!("alerts: {firing} firing, {pending} pending{more}");
    writeln!(out, "{}", heading(term, &state, view.firing + view.pending, COLUMNS))?;
    view.alerts.first.iter().take(alerts).try_for_each(|alert| write_alert(out, term, alert))
}

/// Says how many of a list there is no room for.
fn not_shown(count: u64, rows: usize) -> NotShown {
    NotShown(count.saturating_sub(wide(rows)))
}

struct NotShown(u64);

impl fmt::Display for NotShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, ", {} more", Compact(more)),
        }
    }
}

fn heading<'a>(term: Term, value: &'a dyn fmt::Display, count: u64, cells: usize) -> Painted<Fit<'a>> {
    term.paint(if count > 0 { Style::Warn } else { Style::Dim }, left(value, cells))
}

fn write_breaker(out: &mut dyn Write, term: Term, breaker: &Breaker) -> fmt::Result {
    const STATE: usize = 10;
    const TIME: usize = 10;
    write!(out, "{} ", term.paint(Style::Name, left(&breaker.scope.as_str(), HALF - STATE - TIME - 1)))?;
    write!(out, "{}", term.paint(Style::Bad, left(&breaker.state, STATE)))?;
    match breaker.left {
        Left::Unknown => write!(out, "{:>TIME$}", "-"),
        Left::ByHand => write!(out, "{:>TIME$}", "by hand"),
        Left::For(time) => write!(out, "{}", right(&Humanized(time), TIME)),
    }
}

fn write_queue(out: &mut dyn Write, term: Term, queue: &Queue) -> fmt::Result {
    const WAITING: usize = 14;
    const TIME: usize = 10;
    write!(out, "{}", term.paint(Style::Name, left(&queue.service.as_str(), HALF - WAITING - TIME)))?;
    let waiting = format_args!("{} waiting", Compact(queue.waiting.into()));
    write!(out, "{}{}", right(&waiting, WAITING), right(&OrDash(queue.oldest.map(Humanized)), TIME))
}

fn write_alert(out: &mut dyn Write, term: Term, alert: &Alert) -> fmt::Result {
    const STATE: usize = 9;
    const NAME: usize = 22;
    const FIGURES: usize = 33;
    const TIME: usize = 14;
    const _: () = assert!(STATE + NAME + 1 + FIGURES + TIME <= COLUMNS);
    let (state, style) = if alert.fires { ("firing", Style::Bad) } else { ("pending", Style::Warn) };
    write!(out, "{}", term.paint(style, left(&state, STATE)))?;
    write!(out, "{} ", term.paint(Style::Name, left(&alert.name.as_str(), NAME)))?;
    let figures = format_args!("{} is {}", alert.value.as_str(), alert.bound.as_str());
    let since = format_args!("for {}", Humanized(alert.since));
    writeln!(out, "{}{}", left(&figures, FIGURES), right(&since, TIME))
}

/// Half a row: of a thing, or of blanks.
fn write_half<T>(
    out: &mut dyn Write,
    item: Option<&T>,
    write: impl FnOnce(&mut dyn Write, &T) -> fmt::Result,
) -> fmt::Result {
    match item {
        Some(item) => write(out, item),
        None => write!(out, "{:HALF$}", ""),
    }
}

fn left<'a>(value: &'a dyn fmt::Display, cells: usize) -> Fit<'a> {
    Fit { value, cells, align: Align::Left }
}

fn right<'a>(value: &'a dyn fmt::Display, cells: usize) -> Fit<'a> {
    Fit { value, cells, align: Align::Right }
}

/// A length of time without parts of a second.
struct Uptime(Nanos);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.0 / NANOS_PER_SECOND {
            seconds @ 0..60 => write!(f, "{seconds} s"),
            seconds => Humanized(Nanos::from_seconds(seconds)).fmt(f),
        }
    }
}

/// An amount of money in a few characters: with two decimals while it is small, and without currency.
struct ShortCost(NanoUnits);

impl fmt::Display for ShortCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNIT: u128 = 1_000_000_000;
        const HUNDREDTH: u128 = UNIT / 100;
        let sign = if self.0.0 < 0 { "-" } else { "" };
        let nanos = self.0.0.unsigned_abs();
        match (nanos / UNIT, nanos % UNIT / HUNDREDTH) {
            (0, 0) if nanos > 0 => write!(f, "{sign}<0.01"),
            (whole @ 0..1000, hundredths) => write!(f, "{sign}{whole}.{hundredths:02}"),
            (whole, _) => write!(f, "{sign}{}", Compact(u64::try_from(whole).unwrap_or(u64::MAX))),
        }
    }
}
