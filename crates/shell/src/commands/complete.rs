//! `complete` and `tickets`: the outcome of requests that were given a ticket.

use super::notices::NoticeMarks;
use super::priority::fill;
use super::request::Price;
use super::traffic::{CallText, read_attempt, write_call_members};
use super::{Context, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::term::Style;
use core::fmt;
use governance::export::ObjectWriter;
use governance::outcome::{CompleteError, Completion, Disposition, Outcome as RequestOutcome};
use governance::request::Usage;
use governance::retry::CallError;
use governance::tickets::{Ticket, TicketError};
use governance::time::Now;
use governance::units::parse_size;

/// Settles what a ticket holds with what was really used.
pub(super) fn complete(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let ticket = invocation.positional(0).unwrap_or_default().parse::<Ticket>();
    let ticket = ticket.map_err(|error| context.fail(format_args!("ticket: {error}")))?;
    let outcome = read(context, invocation)?;
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let completion = match context.engine.live.complete(now, ticket, &outcome) {
        Ok(completion) => completion,
        Err(CompleteError::Ticket(error)) => return Err(refuse(context, ticket, error)),
        Err(error) => return Err(context.fail(format_args!("ticket {ticket}: {error}"))),
    };
    let is_json = invocation.flag("json");
    if is_json {
        write_json(context, now, ticket, (&outcome, &completion))?;
    } else {
        write_text(context, now, ticket, (&outcome, &completion))?;
    }
    completion.queue.map_or(Ok(()), |queue| fill(context, queue, is_json))?;
    marks.tell(context, is_json)
}

fn refuse(context: &mut Context<'_>, ticket: Ticket, error: TicketError) -> Failed {
    context.fail(format_args!("ticket {ticket}: {error}"))
}

/// Reads an outcome from its arguments.
fn read(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<RequestOutcome, Failed> {
    let mut outcome = RequestOutcome {
        tokens: invocation.integer("tokens"),
        output_tokens: invocation.integer("output_tokens"),
        ms: invocation.integer("ms"),
        storage_accesses: invocation.integer("accesses"),
        cache_hits: invocation.integer("hits"),
        ..RequestOutcome::default()
    };
    if let Some(bytes) = invocation.get("bytes") {
        let bytes = parse_size(bytes).map_err(|error| context.fail(format_args!("bytes: {error}")))?;
        outcome.bytes = Some(bytes);
    }
    if let Some(status) = invocation.integer("status") {
        // A number that does not fit is none that the engine would take.
        outcome.status = Some(u16::try_from(status).unwrap_or(u16::MAX));
    }
    outcome.error = invocation.get("error").and_then(CallError::from_word);
    outcome.attempt = read_attempt(context, invocation)?;
    if invocation.flag("void") {
        let amounts = ["tokens", "output_tokens", "bytes", "accesses", "hits"];
        if let Some(amount) = amounts.into_iter().find(|amount| invocation.get(amount).is_some()) {
            return Err(context
                .fail(format_args!("{amount} does not go with --void, which means that nothing was used")));
        }
        outcome.disposition = Disposition::Void;
    }
    Ok(outcome)
}

fn write_text(
    context: &mut Context<'_>,
    now: Now,
    ticket: Ticket,
    (outcome, completion): (&RequestOutcome, &Completion),
) -> Outcome {
    let what = match outcome.disposition {
        Disposition::Commit => "settled",
        Disposition::Void => "voided",
    };
    let Context { system, engine, term, .. } = context;
    write!(system, "{}   ticket {ticket}", term.paint(Style::Good, what))?;
    if outcome.disposition == Disposition::Commit {
        let amounts = [
            ("bytes", completion.reserved.bytes, completion.actual.bytes),
            ("tokens", completion.reserved.tokens, completion.actual.tokens),
            ("ms", completion.reserved.compute_ms, completion.actual.compute_ms),
        ];
        for (unit, reserved, actual) in amounts {
            if reserved + actual > 0 {
                write!(system, "   {unit} {} of {} reserved", Grouped(actual), Grouped(reserved))?;
            }
        }
        if let Some(posted) = completion.posted {
            write!(system, "   price {}", Price(posted, engine.live.costs.currency()))?;
        }
    }
    if completion.stale > 0 {
        write!(system, "   {} of what it held is gone since", completion.stale)?;
    }
    if let Some(report) = &completion.call {
        write!(system, "{}", CallText { term: *term, traffic: &engine.live.traffic, now, report })?;
    }
    Ok(writeln!(system)?)
}

fn write_json(
    context: &mut Context<'_>,
    now: Now,
    ticket: Ticket,
    (outcome, completion): (&RequestOutcome, &Completion),
) -> fmt::Result {
    let currency = context.engine.live.costs.currency();
    let mut object = ObjectWriter::begin(context.system)?
        .display("ticket", ticket)?
        .boolean("voided", outcome.disposition == Disposition::Void)?
        .integer("settled", wide(completion.settled))?
        .integer("stale", wide(completion.stale))?;
    for (prefix, usage) in [("reserved", &completion.reserved), ("actual", &completion.actual)] {
        let Usage { bytes, tokens, output_tokens, compute_ms, .. } = *usage;
        let names: [&str; 4] = match prefix {
            "reserved" => ["reserved_bytes", "reserved_tokens", "reserved_output_tokens", "reserved_ms"],
            _ => ["bytes", "tokens", "output_tokens", "ms"],
        };
        for (name, amount) in names.into_iter().zip([bytes, tokens, output_tokens, compute_ms]) {
            object = object.integer(name, amount)?;
        }
    }
    if let Some(posted) = completion.posted {
        object = object.display("price", posted)?.string("currency", currency.code())?;
    }
    if let Some(report) = &completion.call {
        object = write_call_members(object, &context.engine.live.traffic, now, report)?;
    }
    object.end()
}

/// Lists the requests whose outcome is awaited, and what has become of others.
pub(super) fn tickets(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    context.engine.live.tick(now);
    let (live, system) = (&context.engine.live, &mut *context.system);
    let stats = live.ticket_stats();
    if invocation.flag("json") {
        for (ticket, usage, due) in live.open_tickets() {
            ObjectWriter::begin(system)?
                .display("ticket", ticket)?
                .integer("bytes", usage.bytes)?
                .integer("tokens", usage.tokens)?
                .integer("ms", usage.compute_ms)?
                .integer("expires_in_ns", due.since(now.instant).0)?
                .end()?;
        }
        return Ok(ObjectWriter::begin(system)?
            .integer("open", wide(stats.open))?
            .integer("open_max", wide(stats.open_max))?
            .integer("holds", wide(stats.holds))?
            .integer("holds_max", wide(stats.holds_max))?
            .integer("opened", stats.opened)?
            .integer("settled", stats.settled)?
            .integer("voided", stats.voided)?
            .integer("expired", stats.expired)?
            .integer("leases_expired", stats.leases_expired)?
            .integer("late", stats.late)?
            .integer("repeated", stats.repeated)?
            .integer("unknown", stats.unknown)?
            .end()?);
    }
    let table = Table {
        columns: [
            Column::left("ticket"),
            Column::right("bytes"),
            Column::right("tokens"),
            Column::right("ms"),
            Column::right("expires in"),
        ],
        if_empty: "no outcome is awaited",
    };
    table.write(system, context.term, |row| {
        for (ticket, usage, due) in live.open_tickets().take(SHOWN_TICKETS_MAX) {
            row(&[
                Cell::styled(Style::Name, &ticket),
                Cell::new(&Grouped(usage.bytes)),
                Cell::new(&Grouped(usage.tokens)),
                Cell::new(&Grouped(usage.compute_ms)),
                Cell::new(&Humanized(due.since(now.instant))),
            ]);
        }
    })?;
    if stats.open > SHOWN_TICKETS_MAX {
        let more = Grouped(wide(stats.open - SHOWN_TICKETS_MAX));
        writeln!(system, "{more} more; tickets --json lists all")?;
    }
    Ok(writeln!(
        system,
        "open {} of {}   settled {}   voided {}   expired {}   late {}   repeated {}   unknown {}",
        Grouped(wide(stats.open)),
        Grouped(wide(stats.open_max)),
        Grouped(stats.settled),
        Grouped(stats.voided),
        Grouped(stats.expired),
        Grouped(stats.late),
        Grouped(stats.repeated),
        Grouped(stats.unknown),
    )?)
}

/// How many open tickets a table shows; `--json` gives all.
const SHOWN_TICKETS_MAX: usize = 50;
