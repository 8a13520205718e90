//! `governance metrics`: what is counted.

use super::measured;
use crate::command::Invocation;
use crate::commands::cost::Amount;
use crate::commands::{Context, Outcome, wide};
use crate::render::{Cell, Column, Compact, Grouped, Humanized, Table};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt::{self, Write};
use governance::export::ObjectWriter;
use governance::metrics::{
    CollectorStats, CostSource, GovernanceCollector, GovernanceMetric, Slot, VerdictKind,
};
use governance::money::Currency;

/// Shows everything that is counted, in totals and in the last minute, by decision and by family.
pub(in crate::commands) fn metrics(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (books, _) = measured(context, invocation)?;
    let governor = books.of(context.engine);
    let (metrics, currency) = (&governor.metrics, governor.costs.currency());
    if invocation.flag("json") {
        return Ok(write_json(context.system, metrics)?);
    }
    let (system, term) = (&mut *context.system, context.term);
    write_counts(system, term, metrics, currency)?;
    writeln!(system)?;
    write_decisions(system, term, metrics)?;
    writeln!(system)?;
    write_families(system, term, metrics, currency)?;
    writeln!(system)?;
    Ok(write_room(system, term, &metrics.stats())?)
}

/// A count of a length of time, and the name that programs know it by.
type Counted = (&'static str, fn(&Slot) -> u64);

/// What is counted of each length of time.
const COUNTS: [Counted; 13] = [
    ("requests", |slot| slot.requests),
    ("allowed", |slot| slot.allowed),
    ("denied", |slot| slot.denied),
    ("delayed", |slot| slot.delayed),
    ("outcomes", |slot| slot.outcomes),
    ("errors", |slot| slot.errors),
    ("status_1xx", |slot| slot.classes[0]),
    ("status_2xx", |slot| slot.classes[1]),
    ("status_3xx", |slot| slot.classes[2]),
    ("status_4xx", |slot| slot.classes[3]),
    ("status_5xx", |slot| slot.classes[4]),
    ("status_429", |slot| slot.throttled),
    ("timed", |slot| slot.timed),
];

fn write_counts(
    system: &mut dyn System,
    term: Term,
    metrics: &GovernanceCollector,
    currency: Currency,
) -> fmt::Result {
    let table = Table {
        columns: [Column::left("counted"), Column::right("since start"), Column::right("last minute")],
        if_empty: "",
    };
    let (total, minute) = (metrics.totals(), metrics.last_minute());
    table.write(system, term, |row| {
        for (name, count) in COUNTS {
            row(&[
                Cell::styled(Style::Name, &Readable(name)),
                Cell::new(&Grouped(count(&total))),
                Cell::new(&Grouped(count(&minute))),
            ]);
        }
        row(&[
            Cell::styled(Style::Name, &"cost"),
            Cell::new(&Amount(total.cost, currency)),
            Cell::new(&Amount(minute.cost, currency)),
        ]);
    })
}

fn write_decisions(system: &mut dyn System, term: Term, metrics: &GovernanceCollector) -> fmt::Result {
    let table = Table {
        columns: [Column::left("verdict"), Column::left("reason"), Column::right("decisions")],
        if_empty: "no decisions",
    };
    table.write(system, term, |row| {
        for (verdict, reason, count) in metrics.decisions() {
            row(&[
                Cell::styled(style_of(verdict), &verdict.word()),
                Cell::new(&reason.code()),
                Cell::new(&Grouped(count)),
            ]);
        }
    })
}

const fn style_of(verdict: VerdictKind) -> Style {
    match verdict {
        VerdictKind::Allow => Style::Good,
        VerdictKind::Delay | VerdictKind::Queue | VerdictKind::Redirect => Style::Warn,
        VerdictKind::Deny => Style::Bad,
    }
}

fn write_families(
    system: &mut dyn System,
    term: Term,
    metrics: &GovernanceCollector,
    currency: Currency,
) -> fmt::Result {
    let limits = metrics.get_rate_limit_stats(None);
    let quotas = metrics.get_quota_stats(None);
    let policies = metrics.get_policy_stats();
    let name = |family: GovernanceMetric| term.paint(Style::Name, family);
    writeln!(
        system,
        "{:<10}   requests {}   denied {}   tokens {}   told to wait {} in all",
        name(GovernanceMetric::RateLimitEvents),
        Grouped(limits.requests),
        Grouped(limits.denied),
        Grouped(limits.tokens_used),
        Humanized(limits.wait_time)
    )?;
    writeln!(
        system,
        "{:<10}   spoke for {} requests   refused {}",
        name(GovernanceMetric::QuotaViolations),
        Grouped(quotas.events),
        Grouped(quotas.violations)
    )?;
    writeln!(
        system,
        "{:<10}   matched {}   denied {}, {} of them by default   alerted {}",
        name(GovernanceMetric::PolicyEnforcements),
        Grouped(policies.matches),
        Grouped(policies.denials),
        Grouped(policies.denials_by_default),
        Grouped(policies.alerts)
    )?;
    write!(system, "{:<10}", name(GovernanceMetric::CostTracking))?;
    for (source, what) in
        CostSource::ALL.into_iter().zip(["when decided", "by their outcomes", "by usage events"])
    {
        write!(system, "   {} {what}", Amount(metrics.cost_of(source), currency))?;
    }
    writeln!(system)
}

fn write_room(system: &mut dyn System, term: Term, stats: &CollectorStats) -> fmt::Result {
    let count = |value| Grouped(wide(value));
    writeln!(
        system,
        "series {} of {}   beyond them {}   latency scopes {} of {}   beyond them {}   outcomes of requests that were forgotten {}",
        count(stats.series),
        count(stats.series_max),
        Compact(stats.overflowed),
        count(stats.latency_scopes),
        count(stats.latency_scopes_max),
        Compact(stats.latency_overflowed),
        Compact(stats.stale)
    )?;
    if stats.overflowed + stats.latency_overflowed > 0 {
        let warning = term.paint(Style::Warn, "warning:");
        writeln!(
            system,
            "{warning} what is beyond the tables is counted in totals, and for all others together"
        )?;
    }
    Ok(())
}

fn write_json(system: &mut dyn System, metrics: &GovernanceCollector) -> fmt::Result {
    let (total, minute) = (metrics.totals(), metrics.last_minute());
    for (name, count) in COUNTS {
        ObjectWriter::begin(system)?
            .string("counted", name)?
            .integer("total", count(&total))?
            .integer("last_minute", count(&minute))?
            .end()?;
    }
    ObjectWriter::begin(system)?
        .string("counted", "cost")?
        .display("total", total.cost)?
        .display("last_minute", minute.cost)?
        .end()?;
    for (verdict, reason, count) in metrics.decisions() {
        ObjectWriter::begin(system)?
            .string("verdict", verdict.word())?
            .string("reason", reason.code())?
            .integer("decisions", count)?
            .end()?;
    }
    let limits = metrics.get_rate_limit_stats(None);
    ObjectWriter::begin(system)?
        .string("family", GovernanceMetric::RateLimitEvents.word())?
        .integer("requests", limits.requests)?
        .integer("allowed", limits.allowed)?
        .integer("denied", limits.denied)?
        .integer("tokens", limits.tokens_used)?
        .integer("wait_ns", limits.wait_time.0)?
        .end()?;
    let quotas = metrics.get_quota_stats(None);
    ObjectWriter::begin(system)?
        .string("family", GovernanceMetric::QuotaViolations.word())?
        .integer("events", quotas.events)?
        .integer("violations", quotas.violations)?
        .end()?;
    let policies = metrics.get_policy_stats();
    ObjectWriter::begin(system)?
        .string("family", GovernanceMetric::PolicyEnforcements.word())?
        .integer("matches", policies.matches)?
        .integer("denials", policies.denials)?
        .integer("denials_by_default", policies.denials_by_default)?
        .integer("alerts", policies.alerts)?
        .end()?;
    let [decisions, outcomes, events] = CostSource::ALL.map(|source| metrics.cost_of(source));
    ObjectWriter::begin(system)?
        .string("family", GovernanceMetric::CostTracking.word())?
        .display("decisions", decisions)?
        .display("outcomes", outcomes)?
        .display("usage_events", events)?
        .end()?;
    let stats = metrics.stats();
    ObjectWriter::begin(system)?
        .integer("series", wide(stats.series))?
        .integer("series_max", wide(stats.series_max))?
        .integer("overflowed", stats.overflowed)?
        .integer("latency_scopes", wide(stats.latency_scopes))?
        .integer("latency_scopes_max", wide(stats.latency_scopes_max))?
        .integer("latency_overflowed", stats.latency_overflowed)?
        .integer("stale", stats.stale)?
        .end()
}

/// `status_2xx` as people read it: `status 2xx`.
struct Readable(&'static str);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c == '_' { ' ' } else { c }))
    }
}
