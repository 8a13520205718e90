//! `cost`: what requests cost, and who pays. What is shown stands here, invoices in `bills`, what is changed in
//! `change`.

mod bills;
mod change;

pub(super) use bills::{bill, close, export, invoices};
pub(super) use change::{alert, budget, correct, model, record, remove, schedule, tenant};

use super::books::Books;
use super::{Context, Failed, Outcome, wide};
use crate::command::{Invocation, nearest};
use crate::engine::TENANTS;
use crate::render::{Bar, BarChart, Cell, Column, Grouped, Humanized, Table};
use crate::term::{Printable, Style};
use core::fmt;
use governance::cost::{BudgetSpec, CostCollector, CostError, CostMetric, PairCost};
use governance::export::ObjectWriter;
use governance::ledger::Account;
use governance::money::{Currency, NanoUnits};
use governance::scope::Name;
use governance::time::{NANOS_PER_SECOND, Nanos, WallTime};

/// How many rows a table or chart shows; `--json` gives all.
const SHOWN_ROWS_MAX: usize = 50;
/// How many postings `cost ledger` shows.
const SHOWN_POSTINGS_MAX: u64 = 20;

type Costs = CostCollector<TENANTS>;

/// An amount of money with its currency.
#[derive(Clone, Copy)]
pub(super) struct Amount(pub(super) NanoUnits, pub(super) Currency);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_none() { write!(f, "{}", self.0) } else { write!(f, "{} {}", self.0, self.1) }
    }
}

/// The costs that a report is of, with every period that is over closed.
fn costs<'a>(context: &'a mut Context<'_>, books: Books) -> &'a mut Costs {
    let now = context.now_of(books);
    let costs = &mut books.of_mut(context.engine).costs;
    // Without a name there is none that could be unknown.
    let _ = costs.reset_cost_window(now, None);
    costs
}

/// Says how the books are.
pub(super) fn status(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let costs = costs(context, books);
    let (stats, currency, balances) = (costs.stats(), costs.currency(), costs.ledger().verify());
    if invocation.flag("json") {
        return Ok(ObjectWriter::begin(context.system)?
            .string("books", books.word())?
            .string("currency", currency.code())?
            .display("total", stats.total)?
            .display("pending", stats.pending)?
            .boolean("balanced", balances)?
            .integer("charged", stats.charged)?
            .integer("unpriced", stats.unpriced)?
            .integer("late", stats.late)?
            .integer("overflow", stats.overflow)?
            .integer("invoices", stats.invoices)?
            .integer("invoices_dropped", stats.invoices_dropped)?
            .integer("corrections", wide(stats.corrections))?
            .integer("events", stats.events)?
            .integer("events_repeated", stats.events_repeated)?
            .integer("dedupe_horizon", stats.dedupe_horizon)?
            .integer("tenants", wide(stats.tenants))?
            .integer("tenants_max", wide(stats.tenants_max))?
            .integer("services", wide(stats.services))?
            .integer("services_max", wide(stats.services_max))?
            .integer("pairs", wide(stats.pairs))?
            .integer("pairs_max", wide(stats.pairs_max))?
            .integer("models", wide(stats.models))?
            .integer("models_max", wide(stats.models_max))?
            .end()?);
    }
    let term = context.term;
    let system = &mut *context.system;
    let (total, pending) = (Amount(stats.total, currency), Amount(stats.pending, currency));
    writeln!(
        system,
        "charged {total}   pending {pending}   in {} requests and events",
        Grouped(stats.charged)
    )?;
    let (style, word) = if balances { (Style::Good, "balance") } else { (Style::Bad, "do not balance") };
    writeln!(
        system,
        "the books {}   invoices {}   late {}   corrections that wait {}",
        term.paint(style, word),
        Grouped(stats.invoices),
        Grouped(stats.late),
        Grouped(wide(stats.corrections)),
    )?;
    let of = |used: usize, most: usize| (Grouped(wide(used)), Grouped(wide(most)));
    let ((tenants, tenants_max), (services, services_max)) =
        (of(stats.tenants, stats.tenants_max), of(stats.services, stats.services_max));
    let ((pairs, pairs_max), (models, models_max)) =
        (of(stats.pairs, stats.pairs_max), of(stats.models, stats.models_max));
    writeln!(
        system,
        "tenants {tenants} of {tenants_max}   services {services} of {services_max}   pairs {pairs} of {pairs_max}   \
         models {models} of {models_max}"
    )?;
    if stats.unpriced > 0 {
        writeln!(system, "{} requests had no price", Grouped(stats.unpriced))?;
    }
    let warning = term.paint(Style::Warn, "warning:");
    if stats.overflow > 0 {
        writeln!(
            system,
            "{warning} {} charges are under (overflow), since the tables are full",
            Grouped(stats.overflow)
        )?;
    }
    if stats.invoices_dropped > 0 {
        writeln!(system, "{warning} {} invoices are no longer kept", Grouped(stats.invoices_dropped))?;
    }
    if stats.dedupe_horizon > 0 {
        writeln!(
            system,
            "{warning} {} events were forgotten while they could come again",
            Grouped(stats.dedupe_horizon)
        )?;
    }
    Ok(())
}

/// Shows the cost of each tenant, the dearest first.
pub(super) fn tenants(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    costs(context, books);
    let costs = &books.of(context.engine).costs;
    let currency = costs.currency();
    if invocation.flag("json") {
        return Ok(costs.tenant_costs().try_for_each(|cost| {
            ObjectWriter::begin(context.system)?
                .string("tenant", cost.tenant.as_str())?
                .optional_string("tier", some(cost.tier.as_str()))?
                .optional_string("organisation", some(cost.organisation.as_str()))?
                .display("open", cost.open)?
                .display("pending", cost.pending)?
                .display("total", cost.total)?
                .string("currency", currency.code())?
                .display("period_start", cost.period.start)?
                .display("period_end", cost.period.end)?
                .integer("invoices", cost.invoices.into())?
                .end()
        })?);
    }
    let table = Table {
        columns: [
            Column::left("tenant"),
            Column::left("tier"),
            Column::right("open"),
            Column::right("pending"),
            Column::right("total"),
            Column::right("invoices"),
            Column::left("period ends"),
        ],
        if_empty: "no tenant has an account",
    };
    let top = Top::of(costs.tenant_costs().map(|cost| (cost.tenant, cost.total)));
    let count = costs.tenant_costs().count();
    table.write(context.system, context.term, |row| {
        for (tenant, _) in top.iter() {
            let Some(cost) = costs.tenant_costs().find(|cost| cost.tenant == *tenant) else { continue };
            row(&[
                Cell::styled(Style::Name, &cost.tenant),
                Cell::new(&Dash(cost.tier.as_str())),
                Cell::new(&cost.open),
                Cell::new(&cost.pending),
                Cell::new(&Amount(cost.total, currency)),
                Cell::new(&cost.invoices),
                Cell::new(&cost.period.end),
            ]);
        }
    })?;
    if count > SHOWN_ROWS_MAX {
        let more = Grouped(wide(count - SHOWN_ROWS_MAX));
        writeln!(
            context.system,
            "{more} more, each of which has cost no more; cost tenants --json lists all"
        )?;
    }
    chart(context, "total by tenant", top.iter().take(CHART_BARS_MAX), currency)
}

/// Shows the cost of each service, the dearest first.
pub(super) fn services(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let costs = &books.of(context.engine).costs;
    let currency = costs.currency();
    if invocation.flag("json") {
        return Ok(costs.service_costs().try_for_each(|cost| {
            ObjectWriter::begin(context.system)?
                .string("service", cost.service.as_str())?
                .display("total", cost.total)?
                .string("currency", currency.code())?
                .integer("requests", cost.requests)?
                .boolean("priced", cost.is_priced)?
                .end()
        })?);
    }
    let table = Table {
        columns: [
            Column::left("service"),
            Column::right("requests"),
            Column::right("total"),
            Column::left("model"),
        ],
        if_empty: "nothing was charged for any service",
    };
    let top = Top::of(costs.service_costs().map(|cost| (cost.service, cost.total)));
    table.write(context.system, context.term, |row| {
        for (service, _) in top.iter() {
            let Some(cost) = costs.service_costs().find(|cost| cost.service == *service) else { continue };
            row(&[
                Cell::styled(Style::Name, &cost.service),
                Cell::new(&Grouped(cost.requests)),
                Cell::new(&Amount(cost.total, currency)),
                Cell::new(&if cost.is_priced { "priced" } else { "no price" }),
            ]);
        }
    })?;
    chart(context, "total by service", top.iter().take(CHART_BARS_MAX), currency)
}

/// Lists the prices.
pub(super) fn models(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let costs = &books.of(context.engine).costs;
    if invocation.flag("json") {
        return Ok(costs.models().try_for_each(|model| {
            let mut object =
                ObjectWriter::begin(context.system)?.string("service", model.service.as_str())?;
            for metric in model.priced() {
                object = object.display(metric.field(), model.price(metric))?;
            }
            object.display("multipliers", model.multipliers)?.end()
        })?);
    }
    let table = Table {
        columns: [Column::left("service"), Column::left("price of"), Column::left("price")],
        if_empty: "no service has a price",
    };
    Ok(table.write(context.system, context.term, |row| {
        for model in costs.models() {
            for metric in model.priced() {
                row(&[
                    Cell::styled(Style::Name, &model.service),
                    Cell::new(&metric.field()),
                    Cell::new(model.price(metric)),
                ]);
            }
            if !model.multipliers.is_empty() {
                row(&[
                    Cell::styled(Style::Name, &model.service),
                    Cell::new(&"multipliers"),
                    Cell::new(&model.multipliers),
                ]);
            }
        }
    })?)
}

/// Shows what was used in the open periods, by service and metric.
pub(super) fn breakdown(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let tenant = invocation.positional(0);
    let now = context.now_of(books);
    let checked = books.of_mut(context.engine).costs.get_cost_breakdown(now, tenant, |_| {});
    checked.map_err(|error| unknown(context, books, error))?;
    let currency = books.of(context.engine).costs.currency();
    let (costs, system) = (&mut books.of_mut(context.engine).costs, &mut *context.system);
    let mut each = |each: &mut dyn FnMut(&PairCost, CostMetric)| {
        // The tenant is known: it was asked for before.
        let _ = costs.get_cost_breakdown(now, tenant, |pair| {
            let used = CostMetric::ALL.into_iter().filter(|&metric| pair.of(metric).quantity > 0);
            used.for_each(|metric| each(&pair, metric));
        });
    };
    if invocation.flag("json") {
        let mut result = Ok(());
        each(&mut |pair, metric| {
            let tally = pair.of(metric);
            result = result.and_then(|()| {
                ObjectWriter::begin(system)?
                    .string("tenant", pair.tenant.as_str())?
                    .string("service", pair.service.as_str())?
                    .string("metric", metric.word())?
                    .display("quantity", tally.quantity)?
                    .display("cost", tally.charged)?
                    .string("currency", currency.code())?
                    .end()
            });
        });
        return Ok(result?);
    }
    let table = Table {
        columns: [
            Column::left("tenant"),
            Column::left("service"),
            Column::left("metric"),
            Column::right("quantity"),
            Column::right("cost"),
        ],
        if_empty: "nothing was charged in the open period",
    };
    let mut total = 0;
    table.write(system, context.term, |row| {
        total = 0;
        each(&mut |pair, metric| {
            total += 1;
            if total <= SHOWN_ROWS_MAX {
                let tally = pair.of(metric);
                row(&[
                    Cell::styled(Style::Name, &pair.tenant),
                    Cell::new(&pair.service),
                    Cell::new(&metric),
                    Cell::new(&tally.quantity),
                    Cell::new(&Amount(tally.charged, currency)),
                ]);
            }
        });
    })?;
    if total > SHOWN_ROWS_MAX {
        let more = Grouped(wide(total - SHOWN_ROWS_MAX));
        context.say(format_args!("{more} more; cost breakdown --json lists all"))?;
    }
    Ok(())
}

/// Shows the cost of each day as a chart.
pub(super) fn trends(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let tenant = invocation.positional(0);
    let checked = books.of(context.engine).costs.get_cost_trends(tenant).map(|_| ());
    checked.map_err(|error| unknown(context, books, error))?;
    let costs = &books.of(context.engine).costs;
    let currency = costs.currency();
    // It was asked for before.
    let days = || costs.get_cost_trends(tenant).into_iter().flatten();
    if invocation.flag("json") {
        return Ok(days().try_for_each(|day| {
            ObjectWriter::begin(context.system)?
                .display("day", day.date())?
                .display("cost", day.cost)?
                .string("currency", currency.code())?
                .end()
        })?);
    }
    let (count, total) = (days().count(), days().map(|day| day.cost).sum::<NanoUnits>());
    BarChart { if_empty: "nothing was charged" }.write(context.system, context.term, |bar| {
        for day in days() {
            let amount = Amount(day.cost, currency);
            bar(&Bar { label: Cell::new(&day.date()), amount: Cell::new(&amount), value: day.cost.0 });
        }
    })?;
    let (whose, total) = (tenant.map_or("all tenants", |_| "the tenant"), Amount(total, currency));
    context.say(format_args!("{total} in {count} days of {whose}; 31 days are kept"))
}

/// Projects the open period to its end.
pub(super) fn project(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let tenant = invocation.positional(0).unwrap_or_default();
    let now = context.now_of(books);
    let projection = books.of_mut(context.engine).costs.project_cost(now, tenant);
    let projection = projection.map_err(|error| unknown(context, books, error))?;
    let currency = books.of(context.engine).costs.currency();
    let Some(projection) = projection else {
        return Err(context.fail(format_args!(
            "too early: nothing is projected before an hour of the period has passed and something was charged"
        )));
    };
    let span = Nanos(projection.to.0 - projection.from.0);
    if invocation.flag("json") {
        return Ok(ObjectWriter::begin(context.system)?
            .string("tenant", tenant)?
            .string("method", "linear")?
            .display("so_far", projection.so_far)?
            .display("at_end", projection.at_end)?
            .string("currency", currency.code())?
            .display("from", projection.from)?
            .display("to", projection.to)?
            .display("end", projection.end)?
            .end()?);
    }
    context.say(format_args!(
        "{} by {}: {} so far, in {}, continued at the same rate",
        Amount(projection.at_end, currency),
        projection.end,
        Amount(projection.so_far, currency),
        Humanized(span),
    ))
}

/// Lists what is beyond a threshold.
pub(super) fn alerts(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    costs(context, books);
    let now = context.now_of(books);
    let governor = books.of(context.engine);
    let currency = governor.costs.currency();
    let budget = |amount: u64| NanoUnits(amount.into());
    if invocation.flag("json") {
        for alert in governor.budgets.get_quota_alerts(now) {
            ObjectWriter::begin(context.system)?
                .string("budget", alert.name.as_str())?
                .optional_string("key", alert.usage.key.as_ref().map(Name::as_str))?
                .integer("percent", alert.percent.into())?
                .display("cost", budget(alert.usage.in_use()))?
                .display("amount", budget(alert.usage.capacity))?
                .end()?;
        }
        for alert in governor.costs.get_cost_alerts() {
            ObjectWriter::begin(context.system)?
                .string("tenant", alert.tenant.as_str())?
                .display("cost", alert.cost)?
                .display("amount", alert.alert)?
                .end()?;
        }
        return Ok(());
    }
    let table = Table {
        columns: [
            Column::left("alert"),
            Column::left("key"),
            Column::right("reached"),
            Column::right("cost"),
            Column::right("of"),
        ],
        if_empty: "no alerts",
    };
    Ok(table.write(context.system, context.term, |row| {
        for alert in governor.budgets.get_quota_alerts(now) {
            let key = alert.usage.key.unwrap_or_else(|| Name::excerpt("-"));
            row(&[
                Cell::styled(Style::Name, &format_args!("budget {}", alert.name)),
                Cell::new(&key),
                Cell::styled(Style::Warn, &format_args!("{} %", alert.percent)),
                Cell::new(&budget(alert.usage.in_use())),
                Cell::new(&Amount(budget(alert.usage.capacity), currency)),
            ]);
        }
        for alert in governor.costs.get_cost_alerts() {
            row(&[
                Cell::styled(Style::Name, &"tenant"),
                Cell::new(&alert.tenant),
                Cell::styled(Style::Warn, &"100 %"),
                Cell::new(&alert.cost),
                Cell::new(&Amount(alert.alert, currency)),
            ]);
        }
    })?)
}

/// Lists the budgets with what is spent of each.
pub(super) fn budgets(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let now = context.now_of(books);
    let governor = books.of(context.engine);
    let currency = governor.costs.currency();
    let money = |amount: u64| NanoUnits(amount.into());
    if invocation.flag("json") {
        let (system, mut result) = (&mut *context.system, Ok(()));
        for (id, quota) in governor.budgets.allocations() {
            let spec = BudgetSpec { quota: *quota, currency };
            let _ = governor.budgets.usages(now, id, |usage| {
                result = result.and_then(|()| {
                    ObjectWriter::begin(system)?
                        .string("budget", quota.name.as_str())?
                        .optional_string("key", usage.key.as_ref().map(Name::as_str))?
                        .display("amount", spec.amount().amount)?
                        .display("spent", money(usage.used))?
                        .display("reserved", money(usage.reserved))?
                        .string("currency", currency.code())?
                        .string("action", spec.action())?
                        .string("mode", quota.mode.word())?
                        .integer("denied", usage.denied.into())?
                        .display("period_end", usage.period.end)?
                        .end()
                });
            });
        }
        return Ok(result?);
    }
    let table = Table {
        columns: [
            Column::left("budget"),
            Column::left("key"),
            Column::right("spent"),
            Column::right("reserved"),
            Column::right("of"),
            Column::right("%"),
            Column::left("beyond"),
            Column::left("period ends"),
        ],
        if_empty: "no budgets",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (id, quota) in governor.budgets.allocations() {
            let spec = BudgetSpec { quota: *quota, currency };
            let mut shown = 0;
            let _ = governor.budgets.usages(now, id, |usage| {
                shown += 1;
                if shown > SHOWN_ROWS_MAX {
                    return;
                }
                let key = usage.key.unwrap_or_else(|| Name::excerpt("-"));
                let style = if usage.alert.is_some() { Style::Warn } else { Style::Plain };
                row(&[
                    Cell::styled(Style::Name, &quota.name),
                    Cell::new(&key),
                    Cell::new(&money(usage.used)),
                    Cell::new(&money(usage.reserved)),
                    Cell::new(&spec.amount()),
                    Cell::styled(style, &(usage.utilization_permille() / 10)),
                    Cell::new(&spec.action()),
                    Cell::new(&usage.period.end),
                ]);
            });
        }
    })?)
}

/// Shows the accounts and the last postings.
pub(super) fn ledger(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let costs = &books.of(context.engine).costs;
    let ledger = costs.ledger();
    let postings = ledger.postings();
    let last = || postings.since(postings.next().saturating_sub(SHOWN_POSTINGS_MAX));
    let account = |account| AccountName(costs, account);
    if invocation.flag("json") {
        for (which, balance) in costs.accounts() {
            ObjectWriter::begin(context.system)?
                .display("account", account(which))?
                .display("debits_posted", NanoUnits(balance.debits_posted))?
                .display("credits_posted", NanoUnits(balance.credits_posted))?
                .display("debits_pending", NanoUnits(balance.debits_pending))?
                .display("credits_pending", NanoUnits(balance.credits_pending))?
                .end()?;
        }
        for posting in last() {
            ObjectWriter::begin(context.system)?
                .display("at", posting.at)?
                .string("kind", posting.kind.word())?
                .display("debit", account(posting.debit))?
                .display("credit", account(posting.credit))?
                .display("amount", posting.amount)?
                .end()?;
        }
        return Ok(());
    }
    let table = Table {
        columns: [
            Column::left("account"),
            Column::right("debits"),
            Column::right("credits"),
            Column::right("balance"),
            Column::right("pending"),
        ],
        if_empty: "nothing was posted",
    };
    let mut total = 0;
    table.write(context.system, context.term, |row| {
        total = 0;
        for (which, balance) in costs.accounts() {
            total += 1;
            if total > SHOWN_ROWS_MAX {
                continue;
            }
            row(&[
                Cell::styled(Style::Name, &account(which)),
                Cell::new(&NanoUnits(balance.debits_posted)),
                Cell::new(&NanoUnits(balance.credits_posted)),
                Cell::new(&balance.posted()),
                Cell::new(&NanoUnits(balance.debits_pending + balance.credits_pending)),
            ]);
        }
    })?;
    if total > SHOWN_ROWS_MAX {
        let more = Grouped(wide(total - SHOWN_ROWS_MAX));
        writeln!(context.system, "{more} more accounts; cost ledger --json lists all")?;
    }
    let (style, word) = if ledger.verify() {
        (Style::Good, "the books balance")
    } else {
        (Style::Bad, "the books do not balance")
    };
    let totals = ledger.totals();
    writeln!(
        context.system,
        "{}: debits {} and credits {}",
        context.term.paint(style, word),
        NanoUnits(totals.debits_posted),
        NanoUnits(totals.credits_posted)
    )?;
    if postings.next() == 0 {
        return Ok(());
    }
    writeln!(context.system)?;
    let table = Table {
        columns: [
            Column::left("last postings"),
            Column::left("for"),
            Column::left("debit"),
            Column::left("credit"),
            Column::right("amount"),
        ],
        if_empty: "",
    };
    Ok(table.write(context.system, context.term, |row| {
        for posting in last() {
            row(&[
                Cell::new(&WallTime(posting.at.0 - posting.at.0 % NANOS_PER_SECOND)),
                Cell::new(&posting.kind.word()),
                Cell::new(&account(posting.debit)),
                Cell::new(&account(posting.credit)),
                Cell::new(&posting.amount),
            ]);
        }
    })?)
}

struct AccountName<'a>(&'a Costs, Account);

impl fmt::Display for AccountName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(costs, account) = self;
        let name = costs.account_name(*account).unwrap_or_default();
        match account {
            Account::Receivable(_) => write!(f, "receivable {name}"),
            Account::Invoiced(_) => write!(f, "invoiced {name}"),
            Account::Revenue(_) => write!(f, "revenue {name}"),
            Account::Rounding => f.write_str("rounding"),
        }
    }
}

/// How many bars a chart of names has.
const CHART_BARS_MAX: usize = 20;

fn chart<'a>(
    context: &mut Context<'_>,
    title: &str,
    bars: impl Iterator<Item = &'a (Name, NanoUnits)> + Clone,
    currency: Currency,
) -> Outcome {
    if bars.clone().next().is_none() {
        return Ok(());
    }
    writeln!(context.system, "\n{}", context.term.paint(Style::Dim, title))?;
    Ok(BarChart { if_empty: "" }.write(context.system, context.term, |bar| {
        for (name, amount) in bars.clone() {
            let shown = Amount(*amount, currency);
            bar(&Bar { label: Cell::styled(Style::Name, name), amount: Cell::new(&shown), value: amount.0 });
        }
    })?)
}

/// The names with the largest amounts, largest first, equal ones in the order of their coming.
struct Top([Option<(Name, NanoUnits)>; SHOWN_ROWS_MAX]);

impl Top {
    fn of(amounts: impl Iterator<Item = (Name, NanoUnits)>) -> Self {
        let mut top = Self([None; SHOWN_ROWS_MAX]);
        for (name, amount) in amounts {
            let comes_before =
                |place: &Option<(Name, NanoUnits)>| place.as_ref().is_none_or(|(_, other)| *other < amount);
            if let Some(place) = top.0.iter().position(comes_before) {
                top.0[place..].rotate_right(1);
                top.0[place] = Some((name, amount));
            }
        }
        top
    }

    fn iter(&self) -> impl Iterator<Item = &(Name, NanoUnits)> + Clone {
        self.0.iter().flatten()
    }
}

struct Dash<'a>(&'a str);

impl fmt::Display for Dash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "-" } else { self.0 })
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Says why a report is not to be had; of an unknown tenant, whether there is one with a similar name, or whether the
/// other books know it.
fn unknown(context: &mut Context<'_>, books: Books, error: CostError) -> Failed {
    let CostError::UnknownTenant { tenant } = error else { return context.fail(format_args!("{error}")) };
    let shown = Printable(tenant.as_str());
    if books == Books::Live && context.engine.replay.costs.tenant_costs().any(|cost| cost.tenant == tenant) {
        return context.fail(format_args!(
            "there is no tenant '{shown}' in the live books; the last replay has it: add from=replay"
        ));
    }
    let mut near = None;
    for cost in books.of(context.engine).costs.tenant_costs() {
        near = near.or(nearest(tenant.as_str(), core::iter::once(cost.tenant.as_str())).map(Name::excerpt));
    }
    match near {
        Some(near) => context.fail(format_args!("there is no tenant '{shown}'; did you mean '{near}'?")),
        None => context.fail(format_args!("there is no tenant '{shown}'; cost tenants lists them")),
    }
}
