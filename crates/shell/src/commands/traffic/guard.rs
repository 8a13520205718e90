//! `traffic loops` and `traffic degraded`: the guard of all requests.

use super::Counted;
use crate::command::Invocation;
use crate::commands::{Context, Outcome};
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::loop_guard::{GuardLevel, LoopGuard, LoopView};
use governance::mode::Mode;
use governance::time::{Instant, Now};
use governance::traffic::TrafficController;

/// How many callers are shown; `--json` gives all that are kept.
const SHOWN_LOOPS_MAX: usize = 15;

/// Lists who asks for the same most often.
pub(in crate::commands) fn loops(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now().instant;
    let (guard, system) = (&context.engine.live.traffic.guard, &mut *context.system);
    if invocation.flag("json") {
        return Ok(write_loops_json(system, guard, now, |_| true)?);
    }
    Ok(write_loops(system, context.term, guard, now, |_| true)?)
}

/// Writes the callers of a guard that `is_meant` picks, the worst first.
pub(in crate::commands) fn write_loops(
    system: &mut dyn System,
    term: Term,
    guard: &LoopGuard,
    now: Instant,
    is_meant: impl Fn(&LoopView) -> bool,
) -> fmt::Result {
    let table = Table {
        columns: [
            Column::left("caller"),
            Column::left("target"),
            Column::right("a minute"),
            Column::right("error"),
            Column::left("level"),
            Column::right("strikes"),
            Column::right("blocked for"),
        ],
        if_empty: match guard.settings().repeats_per_minute {
            Some(_) => "no callers",
            None => "no loop guard: [traffic] repeats_per_minute makes one",
        },
    };
    table.write(system, term, |row| {
        for view in guard.loops(now).filter(|view| is_meant(view)).take(SHOWN_LOOPS_MAX) {
            let blocked = view.blocked_for.map(Humanized);
            row(&[
                Cell::styled(Style::Name, &view.caller.as_str()),
                Cell::new(&view.target.as_str()),
                Cell::new(&Grouped(view.count)),
                Cell::new(&Grouped(view.error)),
                Cell::styled(style_of(view.level), &view.level.word()),
                Cell::new(&view.strikes),
                Cell::new(&Dash(blocked)),
            ]);
        }
    })?;
    let more = guard.loops(now).filter(|view| is_meant(view)).count().saturating_sub(SHOWN_LOOPS_MAX);
    if more > 0 {
        writeln!(system, "{more} more; --json lists all")?;
    }
    Ok(())
}

/// Writes the callers of a guard that `is_meant` picks as objects, the worst first.
pub(in crate::commands) fn write_loops_json(
    system: &mut dyn System,
    guard: &LoopGuard,
    now: Instant,
    is_meant: impl Fn(&LoopView) -> bool,
) -> fmt::Result {
    guard.loops(now).filter(|view| is_meant(view)).try_for_each(|view| {
        ObjectWriter::begin(system)?
            .string("caller", view.caller.as_str())?
            .string("target", view.target.as_str())?
            .integer("requests_per_minute", view.count)?
            .integer("error", view.error)?
            .string("level", view.level.word())?
            .integer("strikes", view.strikes.into())?
            .optional_integer("blocked_for_ns", view.blocked_for.map(|time| time.0))?
            .end()
    })
}

/// Shows whether there is degraded mode.
pub(in crate::commands) fn degraded(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    context.engine.live.tick(now);
    let (traffic, system, term) = (&context.engine.live.traffic, &mut *context.system, context.term);
    let (guard, stats) = (&traffic.guard, traffic.guard.stats(now.instant));
    if invocation.flag("json") {
        return Ok(write_members(ObjectWriter::begin(system)?, now, traffic)?.end()?);
    }
    let settings = guard.settings();
    if settings.requests_per_minute.is_none() && settings.failures_per_minute.is_none() {
        let none = "never: [traffic] requests_per_minute or failures_per_minute says when";
        return Ok(writeln!(system, "{}", term.paint(Style::Dim, none))?);
    }
    match guard.degraded_until(now.instant) {
        Some(left) => {
            writeln!(system, "{} for another {}", term.paint(Style::Bad, "degraded"), Humanized(left))?;
        }
        None => writeln!(system, "{}", term.paint(Style::Good, "not degraded"))?,
    }
    if settings.mode == Mode::Shadow {
        writeln!(system, "  mode        shadow: nothing is refused, what would be is counted")?;
    }
    let most = |limit: Option<u32>| Most(limit.map(u64::from));
    writeln!(
        system,
        "  requests    {} in the last minute, {}",
        Grouped(stats.requests_this_minute),
        most(settings.requests_per_minute)
    )?;
    writeln!(
        system,
        "  failures    {} in the last minute, {}",
        Grouped(stats.failures_this_minute),
        most(settings.failures_per_minute)
    )?;
    writeln!(
        system,
        "  began       {}, for {} each",
        Counted(stats.entered_degraded, "time", "times"),
        Humanized(settings.cooldown)
    )?;
    writeln!(
        system,
        "  refused     {} that could wait, {} above the cap",
        Grouped(stats.shed + stats.would_shed),
        Grouped(stats.capped + stats.would_cap)
    )?;
    Ok(writeln!(
        system,
        "  degraded    {} to be answered from a cache or with a default",
        Grouped(stats.degraded + stats.would_degrade)
    )?)
}

/// Writes the guard on one or two lines.
pub(super) fn write_summary(
    system: &mut dyn System,
    term: Term,
    now: Now,
    traffic: &TrafficController,
) -> fmt::Result {
    let guard = &traffic.guard;
    if guard.is_idle() {
        return writeln!(system, "guard     {}", term.paint(Style::Dim, "none; [traffic] configures one"));
    }
    let (settings, stats) = (guard.settings(), guard.stats(now.instant));
    let mode = match settings.mode {
        Mode::Enforce => "",
        Mode::Shadow => "   shadow",
    };
    write!(
        system,
        "guard     {} requests in the last minute, {}",
        Grouped(stats.requests_this_minute),
        Most(settings.requests_per_minute.map(u64::from))
    )?;
    match guard.degraded_until(now.instant) {
        Some(left) => writeln!(
            system,
            "   {} for another {}{mode}",
            term.paint(Style::Bad, "degraded"),
            Humanized(left)
        )?,
        None => writeln!(system, "   not degraded{mode}")?,
    }
    writeln!(
        system,
        "loops     delayed {}   degraded {}   blocked {}   above the cap {}   turned away {}",
        Grouped(stats.delayed + stats.would_delay),
        Grouped(stats.degraded + stats.would_degrade),
        Grouped(stats.blocked + stats.would_block),
        Grouped(stats.capped + stats.would_cap),
        Grouped(stats.shed + stats.would_shed)
    )
}

/// Writes the guard as members of an object.
pub(super) fn write_members<'w, W: fmt::Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    now: Now,
    traffic: &TrafficController,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let guard = &traffic.guard;
    let (settings, stats) = (guard.settings(), guard.stats(now.instant));
    let degraded = guard.degraded_until(now.instant);
    object
        .string("guard", if guard.is_idle() { "none" } else { settings.mode.word() })?
        .boolean("degraded", degraded.is_some())?
        .optional_integer("degraded_for_ns", degraded.map(|left| left.0))?
        .integer("requests_last_minute", stats.requests_this_minute)?
        .optional_integer("requests_per_minute", settings.requests_per_minute.map(u64::from))?
        .integer("failures_last_minute", stats.failures_this_minute)?
        .optional_integer("failures_per_minute", settings.failures_per_minute.map(u64::from))?
        .optional_integer("repeats_per_minute", settings.repeats_per_minute.map(u64::from))?
        .integer("delayed", stats.delayed)?
        .integer("served_degraded", stats.degraded)?
        .integer("blocked", stats.blocked)?
        .integer("over_hard_cap", stats.capped)?
        .integer("shed", stats.shed)?
        .integer("would_delay", stats.would_delay)?
        .integer("would_degrade", stats.would_degrade)?
        .integer("would_block", stats.would_block)?
        .integer("would_cap", stats.would_cap)?
        .integer("would_shed", stats.would_shed)?
        .integer("strikes", stats.strikes)?
        .integer("entered_degraded", stats.entered_degraded)
}

const fn style_of(level: GuardLevel) -> Style {
    match level {
        GuardLevel::Observe => Style::Plain,
        GuardLevel::Delay | GuardLevel::Degrade => Style::Warn,
        GuardLevel::Block => Style::Bad,
    }
}

/// A threshold: `at most 600`, or `no limit`.
struct Most(Option<u64>);

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(f, "at most {}", Grouped(limit)),
            None => f.write_str("no limit"),
        }
    }
}

/// Something, or a dash where there is nothing.
struct Dash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Dash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
