//! What breakers and the guard would have done about a log: they look on, since it has happened.

use crate::commands::traffic::{Counted, RouteName, write_loops, write_loops_json};
use crate::commands::wide;
use crate::engine::Governor;
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::replay::ReplayReport;
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::breaker::BreakerState;
use governance::export::ObjectWriter;
use governance::loop_guard::{GuardLevel, LoopView};
use governance::time::{Instant, Now};
use governance::traffic::ScopeView;

/// How many changes of breakers are shown; `--json` gives all that are kept.
const SHOWN_CHANGES_MAX: usize = 10;

/// Writes what breakers and the guard have seen, where there are any.
pub(super) fn write_text(
    system: &mut dyn System,
    term: Term,
    governor: &Governor,
    report: &ReplayReport,
) -> fmt::Result {
    let now = Now::from_wall(report.latest).instant;
    if watched(governor, now).next().is_some() {
        write_breakers(system, term, governor, now)?;
    }
    let guard = &governor.traffic.guard;
    if guard.is_idle() {
        return Ok(());
    }
    let stats = guard.stats(now);
    if stats.entered_degraded > 0 {
        writeln!(
            system,
            "\n{} would have begun {}, for {} each",
            term.paint(Style::Bad, "degraded mode"),
            Counted(stats.entered_degraded, "time", "times"),
            Humanized(guard.settings().cooldown)
        )?;
    }
    let Some(first) = report.caught_first else { return Ok(()) };
    write!(system, "\nguard   would have")?;
    let mut gap = " ";
    for (what, count) in [
        ("delayed", stats.would_delay),
        ("degraded", stats.would_degrade),
        ("blocked", stats.would_block),
        ("refused above the cap", stats.would_cap),
        ("refused in degraded mode", stats.would_shed),
    ] {
        if count > 0 {
            write!(system, "{gap}{what} {}", Grouped(count))?;
            gap = ", ";
        }
    }
    writeln!(system, "; first at {first}")?;
    if guard.loops(now).any(|view| was_caught(&view)) {
        write_loops(system, term, guard, now, was_caught)?;
    }
    Ok(())
}

fn write_breakers(system: &mut dyn System, term: Term, governor: &Governor, now: Instant) -> fmt::Result {
    let table = Table {
        columns: [
            Column::left("breaker"),
            Column::right("calls"),
            Column::right("failed"),
            Column::right("opened"),
            Column::right("would refuse"),
            Column::left("at the end"),
        ],
        if_empty: "",
    };
    writeln!(system)?;
    table.write(system, term, |row| {
        for scope in watched(governor, now) {
            let opened = if scope.stats.opened > 0 { Style::Bad } else { Style::Plain };
            row(&[
                Cell::styled(Style::Name, &RouteName(scope.name)),
                Cell::new(&Grouped(scope.counters.allowed)),
                Cell::new(&Grouped(failed(&scope))),
                Cell::styled(opened, &Grouped(scope.stats.opened)),
                Cell::new(&Grouped(scope.stats.would_refuse)),
                Cell::new(&scope.state),
            ]);
        }
    })?;
    let notices = governor.traffic.transitions();
    let kept = notices.since(0).count();
    let forgotten = notices.next() - wide(kept);
    if forgotten > 0 {
        writeln!(system, "{} earlier changes are not kept", Grouped(forgotten))?;
    }
    for notice in notices.since(0).take(SHOWN_CHANGES_MAX) {
        let change = notice.transition;
        let style = if change.to == BreakerState::Open { Style::Bad } else { Style::Plain };
        writeln!(
            system,
            "{}   {}   {} to {}: {}",
            notice.at,
            RouteName(notice.scope.as_str()),
            change.from,
            term.paint(style, change.to),
            change.why
        )?;
    }
    if kept > SHOWN_CHANGES_MAX {
        writeln!(system, "{} more; replay --json lists all", Grouped(wide(kept - SHOWN_CHANGES_MAX)))?;
    }
    Ok(())
}

/// Writes the same as objects.
pub(super) fn write_json(system: &mut dyn System, governor: &Governor, report: &ReplayReport) -> fmt::Result {
    let now = Now::from_wall(report.latest).instant;
    for scope in watched(governor, now) {
        ObjectWriter::begin(system)?
            .display("breaker", RouteName(scope.name))?
            .integer("calls", scope.counters.allowed)?
            .integer("failed", failed(&scope))?
            .integer("opened", scope.stats.opened)?
            .integer("would_refuse", scope.stats.would_refuse)?
            .string("state", scope.state.word())?
            .end()?;
    }
    for notice in governor.traffic.transitions().since(0) {
        let change = notice.transition;
        ObjectWriter::begin(system)?
            .display("breaker_change", RouteName(notice.scope.as_str()))?
            .display("at", notice.at)?
            .string("from", change.from.word())?
            .string("to", change.to.word())?
            .string("why", change.why.phrase())?
            .end()?;
    }
    let guard = &governor.traffic.guard;
    if guard.is_idle() {
        return Ok(());
    }
    let stats = guard.stats(now);
    let object = ObjectWriter::begin(system)?
        .integer("guard_would_delay", stats.would_delay)?
        .integer("guard_would_degrade", stats.would_degrade)?
        .integer("guard_would_block", stats.would_block)?
        .integer("guard_would_cap", stats.would_cap)?
        .integer("guard_would_shed", stats.would_shed)?
        .integer("guard_entered_degraded", stats.entered_degraded)?;
    match report.caught_first {
        Some(first) => object.display("first_at", first)?.end()?,
        None => object.null("first_at")?.end()?,
    }
    write_loops_json(system, guard, now, was_caught)
}

/// The scopes that have a breaker and were called.
fn watched(governor: &Governor, now: Instant) -> impl Iterator<Item = ScopeView<'_>> {
    let scopes = governor.traffic.scopes(now);
    scopes.filter(|scope| scope.breaker.is_some() && scope.counters.allowed > 0)
}

const fn failed(scope: &ScopeView<'_>) -> u64 {
    scope.counters.by_class[4] + scope.counters.errors
}

/// Whether a caller has been at any level of the ladder that has not been forgotten.
fn was_caught(view: &LoopView) -> bool {
    view.level != GuardLevel::Observe || view.strikes > 0
}
