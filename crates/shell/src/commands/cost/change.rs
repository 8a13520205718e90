//! What operators change of prices, tenants, schedules and budgets, and what they post.

use super::{Amount, unknown};
use crate::command::Invocation;
use crate::commands::books::Books;
use crate::commands::notices::NoticeMarks;
use crate::commands::{Context, Failed, Outcome};
use crate::term::{Printable, Style};
use core::fmt;
use governance::config::BudgetError;
use governance::cost::{
    BillingDraft, BudgetDraft, CostError, EventOutcome, LineReason, ModelDraft, TenantDraft, UsageEvent,
};
use governance::field::{FieldValue, SpecError};
use governance::money::{Currency, Money, NanoUnits};
use governance::request::Usage;
use governance::scope::NameRef;
use governance::time::WallTime;
use governance::units::parse_size;

/// Sets every field that was given.
fn fill(
    context: &mut Context<'_>,
    invocation: &Invocation<'_>,
    mut set: impl FnMut(&str, FieldValue<'_>) -> Result<(), SpecError>,
) -> Outcome {
    for (field, value) in invocation.keys() {
        set(field, FieldValue::Text(value)).map_err(|error| context.fail(format_args!("{error}")))?;
    }
    Ok(())
}

fn refused<E: fmt::Display>(context: &mut Context<'_>) -> impl FnMut(E) -> Failed {
    |error| context.fail(format_args!("{error}"))
}

/// Sets the prices of a service.
pub(in crate::commands) fn model(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = ModelDraft::default();
    fill(context, invocation, |field, value| draft.set(field, value))?;
    let model = draft.finish().map_err(refused(context))?;
    context.engine.live.costs.define_cost_model(&model).map_err(refused(context))?;
    let count = model.priced().count();
    context.say(format_args!("{}: {}", model.service, crate::commands::Count(count, "price")))
}

/// Declares a tenant.
pub(in crate::commands) fn tenant(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = TenantDraft::default();
    fill(context, invocation, |field, value| draft.set(field, value))?;
    let mut tenant = draft.finish().map_err(refused(context))?;
    let costs = &context.engine.live.costs;
    if let Some(declared) = costs.declared_tenants().find(|declared| declared.name == tenant.name) {
        // Nobody loses an alert or a weight by changing a tier.
        if invocation.get("alert").is_none() {
            tenant.alert = declared.alert;
        }
        if invocation.get("weight").is_none() {
            tenant.weight = declared.weight;
        }
    }
    let now = context.system.now();
    context.engine.live.costs.declare_tenant(now, &tenant).map_err(refused(context))?;
    let tier = if tenant.tier.is_empty() { "none" } else { tenant.tier.as_str() };
    context.say(format_args!("tenant {}: tier {tier}, weight {}", tenant.name, tenant.weight()))
}

/// Sets how often a tenant is billed.
pub(in crate::commands) fn schedule(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = BillingDraft::default();
    fill(context, invocation, |field, value| draft.set(field, value))?;
    let billing = draft.finish().map_err(refused(context))?;
    let now = context.system.now();
    context.engine.live.costs.set_billing_schedule(now, &billing).map_err(refused(context))?;
    let whose = if billing.tenant.as_str() == "*" { "every other tenant" } else { billing.tenant.as_str() };
    context.say(format_args!(
        "{whose} is billed {}; an open period with charges ends as it was to",
        billing.schedule.cycle
    ))
}

/// Adds a budget.
pub(in crate::commands) fn budget(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = BudgetDraft::default();
    fill(context, invocation, |field, value| draft.set(field, value))?;
    let budget = draft.finish().map_err(refused(context))?;
    let name = budget.quota.name;
    let live = &mut context.engine.live;
    // The budget first: a currency that is adopted stays.
    let currency = live.costs.currency();
    if !currency.is_none() && currency != budget.currency {
        return Err(
            context.fail(format_args!("{}", CostError::Currency { books: currency, found: budget.currency }))
        );
    }
    live.budgets
        .allocate_quota(&budget.quota)
        .map_err(|error| context.fail(format_args!("{name}: {}", BudgetError::Quota(error))))?;
    context.engine.live.costs.adopt_currency(budget.currency).map_err(refused(context))?;
    let (amount, cycle, action) = (budget.amount(), budget.quota.schedule.cycle, budget.action());
    context.say(format_args!("budget {name}: {amount} {cycle}, beyond it {action}"))
}

/// Asks to be told when a tenant's cost reaches an amount.
pub(in crate::commands) fn alert(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let tenant = invocation.positional(0).unwrap_or_default();
    let amount = money(context, invocation)?;
    let now = context.system.now();
    let set = context.engine.live.costs.set_cost_alert(now, tenant, amount);
    set.map_err(|error| unknown(context, Books::Live, error))?;
    let tenant = Printable(tenant);
    if amount.amount == NanoUnits::ZERO {
        context.say(format_args!("{tenant}: no alert"))
    } else {
        context.say(format_args!("{tenant}: alert at {amount} a period"))
    }
}

/// Charges usage that was measured elsewhere.
pub(in crate::commands) fn record(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let named = |key: &str| NameRef::new(invocation.get(key).unwrap_or_default());
    let tenant = named("tenant").map_err(|error| context.fail(format_args!("tenant: {error}")))?;
    let service = named("service").map_err(|error| context.fail(format_args!("service: {error}")))?;
    let method = invocation.get("method").map(NameRef::new).transpose();
    let method = method.map_err(|error| context.fail(format_args!("method: {error}")))?;
    let at = invocation.get("time").map(str::parse::<WallTime>).transpose();
    let at = at.map_err(|error| context.fail(format_args!("time: {error}")))?;
    let number = |key: &str| invocation.integer(key).unwrap_or(0);
    let bytes = invocation.get("bytes").map_or(Ok(0), parse_size);
    let usage = Usage {
        requests: invocation.integer("cost").unwrap_or(1),
        bytes: bytes.map_err(|error| context.fail(format_args!("bytes: {error}")))?,
        tokens: number("tokens"),
        output_tokens: number("output_tokens"),
        compute_ms: number("ms"),
        storage_accesses: number("accesses"),
        cache_hits: number("hits"),
    };
    if usage.output_tokens > usage.tokens {
        return Err(context.fail(format_args!(
            "output_tokens: {} are more than all its tokens; expected at most tokens={}",
            usage.output_tokens, usage.tokens
        )));
    }
    let id = invocation.get("id").unwrap_or_default();
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let event = UsageEvent { id, tenant, service, method, at, usage };
    let outcome = context.engine.live.record_event(now, &event).map_err(refused(context))?;
    let currency = context.engine.live.costs.currency();
    let id = Printable(id);
    match outcome {
        EventOutcome::Accepted(Some(amount)) => {
            context.say(format_args!("accepted {id}: {}", Amount(amount, currency)))?;
        }
        EventOutcome::Accepted(None) => {
            context
                .say(format_args!("accepted {id}: service {} has no price", Printable(service.as_str())))?;
        }
        EventOutcome::Repeated => {
            let word = context.term.paint(Style::Warn, "repeated");
            context.say(format_args!("{word} {id}: it was accepted before, and is not charged again"))?;
        }
    }
    marks.tell(context, false)
}

/// Posts a correction.
pub(in crate::commands) fn correct(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let tenant = invocation.positional(0).unwrap_or_default();
    let service = invocation.get("service").unwrap_or_default();
    let amount = money(context, invocation)?;
    let reason = LineReason::new(invocation.get("reason").unwrap_or_default());
    let reason = reason.map_err(|error| context.fail(format_args!("reason: {error}")))?;
    let now = context.system.now();
    let corrected = context.engine.live.costs.correct(now, tenant, service, amount.amount, reason);
    corrected.map_err(|error| unknown(context, Books::Live, error))?;
    context.say(format_args!("corrected {} by {amount}; the next invoice shows it", Printable(tenant)))
}

/// Removes a model, a tenant or a budget.
pub(in crate::commands) fn remove(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let what = invocation.positional(0).unwrap_or_default();
    let name = invocation.positional(1).unwrap_or_default();
    let live = &mut context.engine.live;
    match what {
        "model" => live.costs.remove_cost_model(name).map_err(refused(context))?,
        "tenant" => live.costs.remove_tenant(name).map_err(|error| unknown(context, Books::Live, error))?,
        _ => {
            let shown = Printable(name);
            let Some(id) = live.budgets.find(name) else {
                return Err(
                    context.fail(format_args!("there is no budget '{shown}'; cost budgets lists them"))
                );
            };
            live.budgets
                .remove_quota(id)
                .map_err(|error| context.fail(format_args!("{shown}: {}", BudgetError::Quota(error))))?;
        }
    }
    context.say(format_args!("removed {what} {}", Printable(name)))
}

/// The amount of money that is given, in the currency of the books.
fn money(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Money, Failed> {
    let money = invocation.get("amount").unwrap_or_default().parse::<Money>();
    let money = money.map_err(|error| context.fail(format_args!("amount: {error}")))?;
    let books: Currency = context.engine.live.costs.currency();
    if !books.is_none() && books != money.currency {
        let error = CostError::Currency { books, found: money.currency };
        return Err(context.fail(format_args!("amount: {error}")));
    }
    Ok(money)
}
