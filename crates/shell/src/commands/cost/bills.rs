//! `cost bill` and its like: invoices, issued and to come.

use super::{Amount, Dash, unknown};
use crate::command::Invocation;
use crate::commands::books::Books;
use crate::commands::{Context, Count, Outcome, wide};
use crate::render::{Cell, Column, Table};
use crate::term::{Printable, Style};
use core::fmt;
use governance::cost::{BillingEntry, CostError, InvoiceLine, LineKind};
use governance::export::{ExportFormat, ObjectWriter};

/// Prints an invoice.
pub(in crate::commands) fn bill(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let tenant = invocation.positional(0).unwrap_or_default();
    let format = invocation.get("format").and_then(ExportFormat::from_word);
    if invocation.flag("json") && format.is_some_and(|format| format != ExportFormat::Json) {
        return Err(
            context.fail(format_args!("--json and another format do not go together; expected one of them"))
        );
    }
    let now = context.now_of(books);
    let costs = &mut books.of_mut(context.engine).costs;
    let entry = match invocation.integer("invoice") {
        // Periods that are over are closed by this, which makes their invoices.
        Some(number) => costs.calculate_bill(now, tenant).and_then(|_| costs.invoice(tenant, number)),
        None => costs.calculate_bill(now, tenant),
    };
    let entry = entry.map_err(|error| unknown(context, books, error))?;
    let costs = &books.of(context.engine).costs;
    match (format, invocation.flag("json")) {
        (Some(ExportFormat::Json), _) | (None, true) => {
            write_head_json(context.system, &entry)?;
            Ok(costs.export_lines(&entry, ExportFormat::Json, context.system)?)
        }
        (Some(format), _) => Ok(costs.export_bill(&entry, format, context.system)?),
        (None, false) => write_text(context, books, &entry),
    }
}

fn write_text(context: &mut Context<'_>, books: Books, entry: &BillingEntry) -> Outcome {
    let term = context.term;
    let head = Head(entry);
    writeln!(context.system, "{}", term.paint(Style::Name, head))?;
    let organisation = entry.organisation.as_str();
    let of = if organisation.is_empty() { entry.tenant.as_str() } else { organisation };
    let (tenant, of) = (Printable(entry.tenant.as_str()), Printable(of));
    writeln!(
        context.system,
        "tenant {tenant}   account {of}   from {} to {}",
        entry.period.start, entry.period.end
    )?;
    let costs = &books.of(context.engine).costs;
    let table = Table {
        columns: [
            Column::left("service"),
            Column::left("charge"),
            Column::right("quantity"),
            Column::right("exact"),
            Column::right("billed"),
        ],
        if_empty: "no charges",
    };
    table.write(context.system, term, |row| {
        for line in costs.invoice_lines(entry) {
            row(&[
                Cell::styled(Style::Name, &Dash(line.service.as_str())),
                Cell::new(&Charge(line)),
                Cell::new(&Quantity(line)),
                Cell::new(&line.amount),
                Cell::new(&Amount(line.billed(entry), entry.currency)),
            ]);
        }
    })?;
    context.say(format_args!("total {}   exactly {}", term.paint(Style::Good, entry.money()), entry.exact))
}

fn write_head_json(out: &mut dyn crate::system::System, entry: &BillingEntry) -> fmt::Result {
    let id = entry.id();
    ObjectWriter::begin(out)?
        .optional_string("invoice", entry.invoice_ready.then(|| id.as_str()))?
        .integer("number", entry.number.into())?
        .string("tenant", entry.tenant.as_str())?
        .optional_string("organisation", super::some(entry.organisation.as_str()))?
        .display("period_start", entry.period.start)?
        .display("period_end", entry.period.end)?
        .boolean("issued", entry.invoice_ready)?
        .display("total", entry.total_cost())?
        .display("exact", entry.exact)?
        .string("currency", entry.currency.code())?
        .integer("lines", wide(entry.lines))?
        .end()
}

/// Lists the invoices that were issued.
pub(in crate::commands) fn invoices(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let tenant = invocation.positional(0);
    let now = context.now_of(books);
    let closed = books.of_mut(context.engine).costs.reset_cost_window(now, tenant);
    closed.map_err(|error| unknown(context, books, error))?;
    let costs = &books.of(context.engine).costs;
    let entries =
        || costs.invoices().filter(|entry| tenant.is_none_or(|tenant| entry.tenant.as_str() == tenant));
    if invocation.flag("json") {
        return Ok(entries().try_for_each(|entry| write_head_json(context.system, entry))?);
    }
    let table = Table {
        columns: [
            Column::left("invoice"),
            Column::left("tenant"),
            Column::left("from"),
            Column::left("to"),
            Column::right("lines"),
            Column::right("total"),
        ],
        if_empty: "no invoice was issued yet",
    };
    let mut total = 0;
    table.write(context.system, context.term, |row| {
        total = 0;
        for entry in entries() {
            total += 1;
            if total > super::SHOWN_ROWS_MAX {
                continue;
            }
            row(&[
                Cell::new(&entry.number),
                Cell::styled(Style::Name, &entry.tenant),
                Cell::new(&entry.period.start),
                Cell::new(&entry.period.end),
                Cell::new(&entry.lines),
                Cell::new(&entry.money()),
            ]);
        }
    })?;
    if total > super::SHOWN_ROWS_MAX {
        let more = crate::render::Grouped(wide(total - super::SHOWN_ROWS_MAX));
        context.say(format_args!("{more} more; cost invoices --json lists all"))?;
    }
    Ok(())
}

/// Prints every invoice that is kept, and the draft of every open period.
pub(in crate::commands) fn export(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let format = invocation.get("format").and_then(ExportFormat::from_word).unwrap_or(ExportFormat::Csv);
    let books = context.books_for_programs(invocation)?;
    let now = context.now_of(books);
    let (costs, system) = (&mut books.of_mut(context.engine).costs, &mut *context.system);
    // Without a name there is none that could be unknown.
    let _ = costs.reset_cost_window(now, None);
    if costs.ledger().totals().is_untouched() {
        let nothing = CostError::Nothing;
        return Err(context.fail(format_args!("{nothing}, so that there is nothing to export")));
    }
    costs.export_header(format, system)?;
    for entry in costs.invoices() {
        costs.export_lines(entry, format, system)?;
    }
    for place in 0.. {
        let Some(tenant) = costs.tenant_costs().nth(place).map(|cost| cost.tenant) else { break };
        if let Ok(draft) = costs.calculate_bill(now, tenant.as_str()) {
            costs.export_lines(&draft, format, system)?;
        }
    }
    Ok(())
}

/// Issues the invoices of periods that are over.
pub(in crate::commands) fn close(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    let tenant = invocation.positional(0);
    let issued = context.engine.live.costs.reset_cost_window(now, tenant);
    let issued = issued.map_err(|error| unknown(context, Books::Live, error))?;
    let count = usize::try_from(issued).unwrap_or(usize::MAX);
    context.say(format_args!("issued {}", Count(count, "invoice")))
}

/// `invoice acme-20150501-1`, or that it is a draft.
struct Head<'a>(&'a BillingEntry);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.id();
        let id = Printable(id.as_str());
        if self.0.invoice_ready { write!(f, "invoice {id}") } else { write!(f, "draft of invoice {id}") }
    }
}

struct Charge<'a>(&'a InvoiceLine);

impl fmt::Display for Charge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.charge())?;
        if self.0.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.0.reason) }
    }
}

struct Quantity<'a>(&'a InvoiceLine);

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            LineKind::Usage(_) | LineKind::LateUsage => write!(f, "{}", self.0.quantity),
            LineKind::Correction | LineKind::Others => f.write_str("-"),
        }
    }
}
