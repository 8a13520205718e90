//! `traffic status` and `traffic scopes`: all scopes together, and each on a line.

use super::attempt::BudgetLeft;
use super::show::{Answers, write_object};
use super::{Ago, RouteName, Standing, guard, style_of};
use crate::command::Invocation;
use crate::commands::{Context, Count, Outcome, wide};
use crate::render::{Cell, Column, Grouped, Table};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::breaker::BreakerState;
use governance::export::ObjectWriter;
use governance::time::Now;
use governance::traffic::{SCOPES_MAX, TrafficController};

/// How many changes of breakers are shown; `--json` gives all that are kept.
const SHOWN_CHANGES_MAX: usize = 5;

/// Shows the guard, and all scopes together.
pub(in crate::commands) fn status(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    context.engine.live.tick(now);
    let traffic = &context.engine.live.traffic;
    if invocation.flag("json") {
        return Ok(write_json(context.system, now, traffic)?);
    }
    Ok(write_text(context.system, context.term, now, traffic)?)
}

fn write_text(system: &mut dyn System, term: Term, now: Now, traffic: &TrafficController) -> fmt::Result {
    guard::write_summary(system, term, now, traffic)?;
    let count = |state| {
        let scopes = traffic.scopes(now.instant);
        scopes.filter(|scope| scope.breaker.is_some() && scope.state == state).count()
    };
    let [closed, open, half_open] =
        [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen].map(count);
    writeln!(
        system,
        "scopes    {} of {SCOPES_MAX}   breakers: closed {closed}   {} {open}   {} {half_open}",
        traffic.scope_count(),
        term.paint(style_of(BreakerState::Open), "open"),
        term.paint(style_of(BreakerState::HalfOpen), "half-open"),
    )?;
    let totals = traffic.totals();
    writeln!(
        system,
        "calls     {}   allowed {}   denied {}   by breakers {}   retries advised {}   outcome unknown {}",
        Grouped(totals.requests),
        Grouped(totals.allowed),
        Grouped(totals.denied),
        Grouped(totals.broken),
        Grouped(totals.retries),
        Grouped(totals.lost)
    )?;
    writeln!(system, "answers   {}", Answers(totals))?;
    let overflow = traffic.overflow().requests;
    if overflow > 0 {
        writeln!(
            system,
            "{} {SCOPES_MAX} scopes are all there can be: {} calls of others went on without a breaker",
            term.paint(Style::Warn, "warning:"),
            Grouped(overflow)
        )?;
    }
    let kept = traffic.transitions().since(0).count();
    if kept == 0 {
        return Ok(());
    }
    writeln!(system)?;
    let table = Table {
        columns: [
            Column::left("last changes"),
            Column::left("from"),
            Column::left("to"),
            Column::right("when"),
            Column::left("why"),
        ],
        if_empty: "",
    };
    table.write(system, term, |row| {
        for notice in traffic.transitions().since(0).skip(kept.saturating_sub(SHOWN_CHANGES_MAX)) {
            let change = notice.transition;
            row(&[
                Cell::styled(Style::Name, &RouteName(notice.scope.as_str())),
                Cell::new(&change.from),
                Cell::styled(style_of(change.to), &change.to),
                Cell::new(&Ago(now.instant.since(change.at))),
                Cell::new(&change.why),
            ]);
        }
    })
}

fn write_json(system: &mut dyn System, now: Now, traffic: &TrafficController) -> fmt::Result {
    let totals = traffic.totals();
    let count = |state| {
        let scopes = traffic.scopes(now.instant);
        wide(scopes.filter(|scope| scope.breaker.is_some() && scope.state == state).count())
    };
    guard::write_members(ObjectWriter::begin(system)?, now, traffic)?
        .integer("scopes", wide(traffic.scope_count()))?
        .integer("scopes_max", wide(SCOPES_MAX))?
        .integer("breakers_closed", count(BreakerState::Closed))?
        .integer("breakers_open", count(BreakerState::Open))?
        .integer("breakers_half_open", count(BreakerState::HalfOpen))?
        .integer("calls", totals.requests)?
        .integer("calls_allowed", totals.allowed)?
        .integer("calls_denied", totals.denied)?
        .integer("calls_denied_by_breakers", totals.broken)?
        .integer("calls_without_a_scope", traffic.overflow().requests)?
        .integer("retries", totals.retries)?
        .integer("lost", totals.lost)?
        .end()?;
    for notice in traffic.transitions().since(0) {
        let change = notice.transition;
        ObjectWriter::begin(system)?
            .display("scope", RouteName(notice.scope.as_str()))?
            .display("at", notice.at)?
            .integer("age_ns", now.instant.since(change.at).0)?
            .string("from", change.from.word())?
            .string("to", change.to.word())?
            .string("why", change.why.phrase())?
            .end()?;
    }
    Ok(())
}

/// Lists the scopes.
pub(in crate::commands) fn scopes(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    context.engine.live.tick(now);
    let (traffic, system) = (&context.engine.live.traffic, &mut *context.system);
    if invocation.flag("json") {
        return Ok(traffic.scopes(now.instant).try_for_each(|scope| write_object(system, now, &scope))?);
    }
    let table = Table {
        columns: [
            Column::left("scope"),
            Column::left("breaker"),
            Column::right("calls"),
            Column::right("denied"),
            Column::right("2xx"),
            Column::right("4xx"),
            Column::right("5xx"),
            Column::right("no answer"),
            Column::right("advised"),
            Column::right("budget"),
        ],
        if_empty: "no scopes: a call makes one where there is a [[breaker]] or [[retry]] for it",
    };
    table.write(system, context.term, |row| {
        for scope in traffic.scopes(now.instant) {
            let counters = &scope.counters;
            let [_, successful, _, client_errors, server_errors] = counters.by_class;
            row(&[
                Cell::styled(Style::Name, &RouteName(scope.name)),
                Cell::styled(style_of(scope.state), &Standing::of(&scope)),
                Cell::new(&Grouped(counters.requests)),
                Cell::new(&Grouped(counters.denied)),
                Cell::new(&Grouped(successful)),
                Cell::new(&Grouped(client_errors)),
                Cell::new(&Grouped(server_errors)),
                Cell::new(&Grouped(counters.errors)),
                Cell::new(&Grouped(counters.retries)),
                Cell::new(&BudgetLeft(scope.retry, scope.budget)),
            ]);
        }
    })?;
    let overflow = traffic.overflow().requests;
    if overflow > 0 {
        let others = Count(usize::try_from(overflow).unwrap_or(usize::MAX), "call");
        writeln!(
            system,
            "{others} of other scopes went on without a breaker: there can be at most {SCOPES_MAX}"
        )?;
    }
    Ok(())
}
