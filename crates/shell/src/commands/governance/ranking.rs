//! `governance top services` and `governance top tenants`: who has the most.

use super::measured;
use crate::command::Invocation;
use crate::commands::cost::Amount;
use crate::commands::{Context, Outcome, wide};
use crate::render::{Cell, Column, Grouped, Table};
use crate::system::System;
use crate::term::{Printable, Style};
use core::fmt;
use governance::export::ObjectWriter;
use governance::metrics::{Rank, TopBy, TopEntry};
use governance::money::{Currency, NanoUnits};

/// How many rows a table shows; `--json` gives all.
const SHOWN_MAX: usize = 20;

/// What may be ranked.
pub(in crate::commands) const SERVICES: &str = "services";

/// Lists the services or tenants with the most, the first before the others.
pub(super) fn ranking(context: &mut Context<'_>, invocation: &Invocation<'_>, what: &str) -> Outcome {
    if invocation.get("seconds").is_some() {
        return Err(context.fail(format_args!("seconds goes with the screen, not with a list of {what}")));
    }
    // The table lets no other word pass.
    let by = invocation.get("by").and_then(TopBy::from_word).unwrap_or(TopBy::Requests);
    let (books, _) = measured(context, invocation)?;
    let governor = books.of(context.engine);
    let is_of_services = what == SERVICES;
    let ranking = if is_of_services {
        governor.metrics.get_top_services(by)
    } else {
        governor.metrics.get_top_tenants(by)
    };
    let heading = if is_of_services { "service" } else { "tenant" };
    if invocation.flag("json") {
        return Ok(ranking.as_slice().iter().try_for_each(|entry| {
            let object =
                ObjectWriter::begin(context.system)?.string(heading, entry.name)?.string("by", by.word())?;
            write_count(object, by, entry)?
                .string("rank", if entry.rank == Rank::Guaranteed { "guaranteed" } else { "possible" })?
                .end()
        })?);
    }
    let currency = governor.costs.currency();
    let figure = |count| Figure(by, count, currency);
    let table = Table {
        columns: [
            Column::left(heading),
            Column::right(by.word()),
            Column::right("too high by up to"),
            Column::left("rank"),
        ],
        if_empty: if is_of_services { "no services" } else { "no tenants" },
    };
    table.write(context.system, context.term, |row| {
        for entry in ranking.as_slice().iter().take(SHOWN_MAX) {
            let rank = match entry.rank {
                Rank::Guaranteed => Cell::new(&"sure"),
                Rank::Possible => Cell::styled(Style::Warn, &"not sure"),
            };
            row(&[
                Cell::styled(Style::Name, &Printable(entry.name)),
                Cell::new(&figure(entry.count)),
                Cell::new(&figure(entry.error)),
                rank,
            ]);
        }
    })?;
    match ranking.as_slice().len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => context.say(format_args!("{} more; --json lists all", Grouped(wide(more)))),
    }
}

fn write_count<'w, 'd>(
    object: ObjectWriter<'w, dyn System + 'd>,
    by: TopBy,
    entry: &TopEntry<'_>,
) -> Result<ObjectWriter<'w, dyn System + 'd>, fmt::Error> {
    match by {
        TopBy::Cost => object
            .display("count", NanoUnits(entry.count.into()))?
            .display("error", NanoUnits(entry.error.into()))?
            .display("at_least", NanoUnits(entry.at_least().into())),
        TopBy::Requests | TopBy::Violations => object
            .integer("count", entry.count)?
            .integer("error", entry.error)?
            .integer("at_least", entry.at_least()),
    }
}

/// A count, or an amount of money.
struct Figure(TopBy, u64, Currency);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TopBy::Cost => Amount(NanoUnits(self.1.into()), self.2).fmt(f),
            TopBy::Requests | TopBy::Violations => Grouped(self.1).fmt(f),
        }
    }
}
