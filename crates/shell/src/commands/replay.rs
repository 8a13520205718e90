//! `replay`: a log through the limits, at the log's own time.

mod timeline;
mod traffic;

use super::limits::write_table_stats;
use super::{Context, Count, Failed, Outcome};
use crate::command::Invocation;
use crate::files::File;
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::replay::{Progress, Replay, ReplayOptions, ReplayReport, Statuses, TenantSource};
use crate::system::System;
use crate::term::{Printable, Style, Term};
use governance::export::ObjectWriter;
use governance::rate_limiter::DeniedKey;
use governance::scope::{HashSecret, Kind, NameRef};
use governance::text::Text;
use governance::time::{Nanos, Now, WallTime};

/// Lines between two looks at Ctrl-C and the clock.
const STEP_LINES: usize = 256;
/// How often the progress line is drawn.
const PROGRESS_INTERVAL: Nanos = Nanos(200_000_000);
/// How many of the worst keys are shown.
const TOP_DENIED: usize = 10;
/// The service that a log is of unless it is named.
const DEFAULT_SERVICE: &str = "web";

/// Replays a log on the second governor, with the limits of the first.
pub(super) fn replay(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    let options = options(context, invocation)?;
    let engine = &mut *context.engine;
    let prepared = Replay::new(file.content, options, &mut engine.line);
    let mut replay =
        prepared.map_err(|error| context.fail(format_args!("{}: {error}", Printable(file.name))))?;

    let engine = &mut *context.engine;
    engine.replayed = Text::EMPTY;
    engine.timeline.reset();
    engine.replay.reset(HashSecret::from_seed(invocation.integer("seed").unwrap_or(0)));
    let configured = engine.replay.configure_like(&engine.live);
    configured.map_err(|error| context.fail(format_args!("{error}")))?;
    let wall = run(context, &mut replay, &file, invocation.flag("json"))?;
    // Its quotas and books stay to be looked at.
    context.engine.replayed = Text::excerpt(file.name);
    context.engine.replayed_until = Now::from_wall(replay.report().latest);

    let top = TopDenied::of(context);
    let is_json = invocation.flag("json");
    if is_json {
        write_json(context, replay.report(), &file, wall, &top)?;
    } else {
        write_text(context, replay.report(), &file, &options, wall, &top)?;
    }
    if !invocation.flag("timeline") {
        return Ok(());
    }
    let Context { system, engine, term, .. } = context;
    let written = if is_json {
        timeline::write_json(*system, &engine.timeline)
    } else {
        timeline::draw(*system, *term, &engine.timeline)
    };
    Ok(written?)
}

/// Goes through the whole log. Returns how long that took.
fn run(
    context: &mut Context<'_>,
    replay: &mut Replay<'_>,
    file: &File,
    quiet: bool,
) -> Result<Nanos, Failed> {
    let start = context.system.now().instant;
    let mut drawn = start;
    let mut bar = ProgressLine { term: context.term, drawn: false };
    loop {
        let engine = &mut *context.engine;
        let progress = replay.step(&mut engine.replay, &mut engine.timeline, &mut engine.line, STEP_LINES);
        let now = context.system.now().instant;
        if progress == Progress::Done {
            bar.erase(context)?;
            return Ok(now.since(start));
        }
        if context.system.interrupted() {
            bar.erase(context)?;
            let lines = Grouped(replay.report().lines);
            return Err(context.fail(format_args!("stopped after {lines} lines of {}", Printable(file.name))));
        }
        if !quiet && now.since(drawn) >= PROGRESS_INTERVAL {
            drawn = now;
            bar.draw(context, replay.report(), replay.percent(), now.since(start))?;
        }
    }
}

/// A line that is drawn over itself, or anew where the terminal cannot do that.
struct ProgressLine {
    term: Term,
    drawn: bool,
}

impl ProgressLine {
    fn draw(
        &mut self,
        context: &mut Context<'_>,
        report: &ReplayReport,
        percent: usize,
        wall: Nanos,
    ) -> Outcome {
        let (start, end) = match self.term {
            Term::Ansi => ("\r", "\x1b[K"),
            Term::Dumb => ("", "\n"),
        };
        self.drawn = true;
        let (requests, denied) = (Grouped(report.requests), Grouped(report.denied));
        let rate = Grouped(each_second(report.requests, wall));
        Ok(write!(
            context.system,
            "{start}{percent:>3} %   {requests} requests   {denied} denied   {rate} decisions/s{end}"
        )?)
    }

    fn erase(&mut self, context: &mut Context<'_>) -> Outcome {
        match (self.term, self.drawn) {
            (Term::Ansi, true) => Ok(context.system.write_str("\r\x1b[K")?),
            _ => Ok(()),
        }
    }
}

fn options<'a>(context: &mut Context<'_>, invocation: &Invocation<'a>) -> Result<ReplayOptions<'a>, Failed> {
    let service = NameRef::new(invocation.get("service").unwrap_or(DEFAULT_SERVICE));
    let service = service.map_err(|error| context.fail(format_args!("service: {error}")))?;
    let tenant = tenant(context, invocation)?;
    let mut time = |key: &str| -> Result<Option<WallTime>, Failed> {
        let Some(text) = invocation.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| context.fail(format_args!("{key}: {error}")))
    };
    let (from, to) = (time("from")?, time("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(
            context.fail(format_args!("from has to be before to; nothing lies between {from} and {to}"))
        );
    }
    Ok(ReplayOptions { service, tenant, from, to })
}

fn tenant<'a>(context: &mut Context<'_>, invocation: &Invocation<'a>) -> Result<TenantSource<'a>, Failed> {
    match (invocation.get("tenant"), invocation.get("tenant-by")) {
        (None, None) => Ok(TenantSource::Absent),
        (Some(name), None) => NameRef::new(name)
            .map(TenantSource::Fixed)
            .map_err(|error| context.fail(format_args!("tenant: {error}"))),
        // The table lets nothing else pass than words of kinds.
        (None, Some(word)) => Ok(Kind::from_word(word).map_or(TenantSource::Absent, TenantSource::Key)),
        (Some(_), Some(_)) => {
            Err(context.fail(format_args!("tenant and tenant-by do not go together; expected one of them")))
        }
    }
}

fn write_text(
    context: &mut Context<'_>,
    report: &ReplayReport,
    file: &File,
    options: &ReplayOptions<'_>,
    wall: Nanos,
    top: &TopDenied,
) -> Outcome {
    let (system, term) = (&mut *context.system, context.term);
    write!(
        system,
        "{}   {} lines   {} malformed   {} of log time   service {}",
        term.paint(Style::Name, Printable(file.name)),
        Grouped(report.lines),
        Grouped(report.malformed),
        Humanized(report.virtual_time()),
        Printable(options.service.as_str()),
    )?;
    match options.tenant {
        TenantSource::Absent => writeln!(system)?,
        tenant => writeln!(system, "   tenant {tenant}")?,
    }
    write!(
        system,
        "requests {}   {} {}",
        Grouped(report.requests),
        term.paint(Style::Good, "allowed"),
        Grouped(report.allowed)
    )?;
    let delayed = context.engine.replay.counters().delayed;
    if delayed > 0 {
        write!(system, "   {} {}", term.paint(Style::Warn, "delayed"), Grouped(delayed))?;
    }
    if report.redirected > 0 {
        write!(system, "   {} {}", term.paint(Style::Warn, "redirected"), Grouped(report.redirected))?;
    }
    writeln!(
        system,
        "   {} {}   {} decisions/s",
        term.paint(Style::Bad, "denied"),
        Grouped(report.denied),
        Grouped(each_second(report.requests, wall)),
    )?;
    write_statuses(system, report)?;
    for (number, reason) in report.shown_malformed.iter().flatten() {
        writeln!(system, "{} line {number}: {reason}", term.paint(Style::Warn, "malformed"))?;
    }
    write_policies(context)?;
    write_limits(context)?;
    write_top(context, top)?;
    write_books(context)?;
    traffic::write_text(context.system, context.term, &context.engine.replay, report)?;
    let stats = context.engine.replay.limits.table_stats();
    if stats.overflow_hits + stats.evicted_fresh + stats.log_full > 0 || stats.is_filling_up() {
        write_table_stats(context, &stats)?;
    }
    Ok(())
}

/// What the log says was answered, if it does.
fn write_statuses(system: &mut dyn System, report: &ReplayReport) -> core::fmt::Result {
    let statuses = &report.statuses;
    if statuses.total() == 0 {
        return Ok(());
    }
    write!(system, "answers ")?;
    let other = ("other", statuses.other());
    let mut gap = " ";
    for (name, count) in Statuses::NAMES.into_iter().zip(statuses.classes()).chain([other]) {
        // Few logs have others than these four.
        if count > 0 || ["2xx", "3xx", "4xx", "5xx"].contains(&name) {
            write!(system, "{gap}{name} {}", Grouped(count))?;
            gap = "   ";
        }
    }
    writeln!(system)
}

fn write_policies(context: &mut Context<'_>) -> Outcome {
    let policies = &context.engine.replay.policies;
    if policies.is_idle() {
        return Ok(());
    }
    let table = Table {
        columns: [
            Column::left("policy"),
            Column::left("action"),
            Column::right("matched"),
            Column::right("decided"),
            Column::right("would"),
        ],
        if_empty: "no policies: every request was denied by default",
    };
    writeln!(context.system)?;
    Ok(table.write(context.system, context.term, |row| {
        for (id, rule) in policies.list_policies() {
            let stats = policies.get_policy_stats(id).unwrap_or_default();
            row(&[
                Cell::styled(Style::Name, &rule.name),
                Cell::new(&rule.action),
                Cell::new(&Grouped(stats.matched)),
                Cell::new(&Grouped(stats.decided)),
                Cell::new(&Grouped(stats.would)),
            ]);
        }
    })?)
}

fn write_limits(context: &mut Context<'_>) -> Outcome {
    let replay = &context.engine.replay;
    let limiter = &replay.limits;
    let is_all = replay.quotas.is_empty() && replay.budgets.is_empty() && replay.policies.is_idle();
    if limiter.limits().next().is_none() && !is_all {
        // Something else may have denied: the lines of policies, quotas and budgets say so.
        return Ok(writeln!(context.system)?);
    }
    let table = Table {
        columns: [
            Column::left("limit"),
            Column::right("allowed"),
            Column::right("denied"),
            Column::right("keys"),
        ],
        if_empty: "no limits: every request was allowed",
    };
    writeln!(context.system)?;
    Ok(table.write(context.system, context.term, |row| {
        for (id, spec) in limiter.limits() {
            let stats = limiter.get_limit_stats(id).unwrap_or_default();
            let denied = if stats.denied > 0 { Style::Bad } else { Style::Plain };
            row(&[
                Cell::styled(Style::Name, &spec.name),
                Cell::new(&Grouped(stats.allowed)),
                Cell::styled(denied, &Grouped(stats.denied)),
                Cell::new(&Grouped(stats.keys)),
            ]);
        }
    })?)
}

/// Says what quotas and prices have come to, where there are any, and how to see more of it.
fn write_books(context: &mut Context<'_>) -> Outcome {
    let (replay, system, term) = (&context.engine.replay, &mut *context.system, context.term);
    let hint = |command: &'static str| term.paint(Style::Dim, command);
    if !replay.quotas.is_empty() {
        let stats = replay.quotas.stats();
        writeln!(
            system,
            "quotas    denied {}   alerts {}   {}",
            Grouped(stats.denied),
            Grouped(stats.alerts),
            hint("quota usage from=replay")
        )?;
    }
    if !replay.budgets.is_empty() {
        let stats = replay.budgets.stats();
        writeln!(
            system,
            "budgets   denied {}   alerts {}   {}",
            Grouped(stats.denied),
            Grouped(stats.alerts),
            hint("cost budgets from=replay")
        )?;
    }
    if replay.costs.has_prices() {
        let (stats, currency) = (replay.costs.stats(), replay.costs.currency());
        let total = super::cost::Amount(stats.total, currency);
        writeln!(
            system,
            "cost      {total} of {}   {}",
            Count(stats.tenants, "tenant"),
            hint("cost tenants from=replay")
        )?;
    }
    Ok(())
}

fn write_top(context: &mut Context<'_>, top: &TopDenied) -> Outcome {
    if top.keys().next().is_none() {
        return Ok(());
    }
    let table = Table { columns: [Column::left("top denied keys"), Column::right("denied")], if_empty: "" };
    writeln!(context.system)?;
    Ok(table.write(context.system, context.term, |row| {
        for key in top.keys() {
            row(&[Cell::new(key), Cell::new(&Grouped(key.denied))]);
        }
    })?)
}

fn write_json(
    context: &mut Context<'_>,
    report: &ReplayReport,
    file: &File,
    wall: Nanos,
    top: &TopDenied,
) -> core::fmt::Result {
    let [informational, successful, redirected, client_errors, server_errors] = report.statuses.classes();
    ObjectWriter::begin(context.system)?
        .string("file", file.name)?
        .integer("lines", report.lines)?
        .integer("malformed", report.malformed)?
        .integer("requests", report.requests)?
        .integer("allowed", report.allowed)?
        .integer("denied", report.denied)?
        .integer("redirected", report.redirected)?
        .integer("status_1xx", informational)?
        .integer("status_2xx", successful)?
        .integer("status_3xx", redirected)?
        .integer("status_4xx", client_errors)?
        .integer("status_5xx", server_errors)?
        .integer("status_other", report.statuses.other())?
        .seconds("virtual_seconds", report.virtual_time())?
        .integer("wall_ms", wall.as_millis_ceil().max(1))?
        .integer("decisions_per_second", each_second(report.requests, wall))?
        .end()?;
    let policies = &context.engine.replay.policies;
    for (id, rule) in policies.list_policies() {
        let stats = policies.get_policy_stats(id).unwrap_or_default();
        ObjectWriter::begin(context.system)?
            .string("policy", rule.name.as_str())?
            .display("action", rule.action)?
            .integer("matched", stats.matched)?
            .integer("decided", stats.decided)?
            .integer("would", stats.would)?
            .end()?;
    }
    let limiter = &context.engine.replay.limits;
    for (id, spec) in limiter.limits() {
        let stats = limiter.get_limit_stats(id).unwrap_or_default();
        ObjectWriter::begin(context.system)?
            .string("limit", spec.name.as_str())?
            .integer("allowed", stats.allowed)?
            .integer("denied", stats.denied)?
            .integer("keys", stats.keys)?
            .end()?;
    }
    for key in top.keys() {
        ObjectWriter::begin(context.system)?
            .display("top_denied", key)?
            .integer("denied", key.denied)?
            .end()?;
    }
    traffic::write_json(context.system, &context.engine.replay, report)
}

/// A count over a length of time, for each second, rounded down.
pub(super) fn each_second(count: u64, time: Nanos) -> u64 {
    let nanos = u128::from(time.0.max(1));
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// The keys that were refused most, worst first, those refused as often in the order of their names.
struct TopDenied([Option<(DeniedKey, KeyText)>; TOP_DENIED]);

/// A key as it is written: kind, name and unit.
type KeyText = governance::text::Text<96>;

impl TopDenied {
    fn of(context: &Context<'_>) -> Self {
        let mut top = Self([None; TOP_DENIED]);
        context.engine.replay.limits.each_denied_key(|key| top.insert(key));
        top
    }

    fn insert(&mut self, key: DeniedKey) {
        let text = KeyText::format(format_args!("{key}")).unwrap_or_default();
        let comes_before = |place: &Option<(DeniedKey, KeyText)>| {
            place.as_ref().is_none_or(|(other, other_text)| {
                other.denied < key.denied || other.denied == key.denied && text.as_str() < other_text.as_str()
            })
        };
        if let Some(place) = self.0.iter().position(comes_before) {
            self.0[place..].rotate_right(1);
            self.0[place] = Some((key, text));
        }
    }

    fn keys(&self) -> impl Iterator<Item = &DeniedKey> {
        self.0.iter().flatten().map(|(key, _)| key)
    }
}
