//! `request` and `ratelimit try`: one request, decided and explained.

use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::engine::{Engine, Governor, TENANTS};
use crate::render::Humanized;
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt::{self, Write};
use core::net::IpAddr;
use governance::decision::{Decision, LimitStanding, Reason, Sharing, Verdict, Wait};
use governance::export::ObjectWriter;
use governance::governor::RESERVED_FOR_MAX;
use governance::money::{Currency, NanoUnits};
use governance::quota::{QuotaManager, QuotaName, QuotaStanding};
use governance::request::{Request, RequestPriority, Settlement};
use governance::scope::{Kind, NameRef, ScopeError};
use governance::time::Nanos;
use governance::units::parse_size;

/// How long a reservation stands unless it is said.
const RESERVED_FOR: Nanos = Nanos::from_seconds(300);

/// Decides the request and charges it.
pub(super) fn request(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut request = read(context, invocation)?;
    request.settlement = settlement(context, invocation)?;
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let decision = context.engine.live.admit(now, &request);
    answer(context, invocation, &decision)?;
    // A refusal says by itself that nothing is left.
    if invocation.flag("json") || !decision.is_allowed() { Ok(()) } else { marks.tell(context) }
}

/// Whether the amounts are final, or to be settled later.
fn settlement(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Settlement, Failed> {
    if invocation.get("reserve").is_none() {
        return match invocation.get("expires") {
            Some(_) => {
                Err(context.fail(format_args!("expires goes with reserve, which says how many tokens")))
            }
            None => Ok(Settlement::Final),
        };
    }
    if invocation.get("tokens").is_some() {
        return Err(context.fail(format_args!("tokens and reserve do not go together; expected one of them")));
    }
    let expires_in = match invocation.get("expires").map(str::parse) {
        None => RESERVED_FOR,
        Some(Ok(Nanos::ZERO)) => {
            return Err(context.fail(format_args!("expires: expected a time longer than 0")));
        }
        Some(Ok(length)) if length > RESERVED_FOR_MAX => {
            return Err(context.fail(format_args!("expires: expected at most {RESERVED_FOR_MAX}")));
        }
        Some(Ok(length)) => length,
        Some(Err(error)) => return Err(context.fail(format_args!("expires: {error}"))),
    };
    Ok(Settlement::Reserve { expires_in })
}

/// How many notices there had been of each kind, so that those that come can be told.
pub(super) struct NoticeMarks {
    limits: u64,
    quotas: u64,
    budgets: u64,
    costs: u64,
}

impl NoticeMarks {
    pub(super) fn of(governor: &Governor) -> Self {
        Self {
            limits: governor.limits.near_limit_notices().next(),
            quotas: governor.quotas.notices().next(),
            budgets: governor.budgets.notices().next(),
            costs: governor.costs.notices().next(),
        }
    }

    /// Tells the notices that have come since, a line each.
    pub(super) fn tell(&self, context: &mut Context<'_>) -> Outcome {
        let Context { system, engine, term, .. } = context;
        let governor = &engine.live;
        let word = term.paint(Style::Warn, "notice");
        for notice in governor.limits.near_limit_notices().since(self.limits) {
            write!(system, "{word}   limit {}", notice.name)?;
            if let Some(key) = &notice.key {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            writeln!(system, " is nearly used up: {}/{} left", notice.remaining, notice.capacity)?;
        }
        for notice in governor.quotas.notices().since(self.quotas) {
            write!(system, "{word}   quota {}", notice.quota)?;
            if let Some(key) = notice.key() {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            writeln!(system, " reached {} %: {}/{}", notice.percent, notice.used, notice.capacity)?;
        }
        let currency = governor.costs.currency();
        let money = |amount: u64| Price(NanoUnits(amount.into()), currency);
        for notice in governor.budgets.notices().since(self.budgets) {
            write!(system, "{word}   budget {}", notice.quota)?;
            if let Some(key) = notice.key() {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            let (used, capacity) = (money(notice.used), money(notice.capacity));
            writeln!(system, " reached {} %: {used} of {capacity}", notice.percent)?;
        }
        for notice in governor.costs.notices().since(self.costs) {
            let (cost, alert) = (Price(notice.cost, currency), Price(notice.alert, currency));
            writeln!(
                system,
                "{word}   tenant {} has cost {cost}, beyond the {alert} of its alert",
                Printable(notice.tenant.as_str())
            )?;
        }
        Ok(())
    }
}

/// An amount of money with its currency.
pub(super) struct Price(pub(super) NanoUnits, pub(super) Currency);

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// Decides the request without charging it.
pub(super) fn try_request(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let request = read(context, invocation)?;
    let now = context.system.now();
    let decision = context.engine.live.peek(now, &request);
    answer(context, invocation, &decision)
}

fn answer(context: &mut Context<'_>, invocation: &Invocation<'_>, decision: &Decision) -> Outcome {
    if invocation.flag("json") { answer_json(context, decision) } else { answer_text(context, decision) }
}

fn answer_text(context: &mut Context<'_>, decision: &Decision) -> Outcome {
    let Context { system, engine, term, .. } = context;
    match decision.verdict {
        Verdict::Allow => write!(system, "{}", term.paint(Style::Good, "allow"))?,
        Verdict::Delay(turn) => {
            write!(system, "{}   go on in {}", term.paint(Style::Warn, "delay"), Humanized(turn))?;
        }
        Verdict::Deny => write!(system, "{} ", term.paint(Style::Bad, "deny"))?,
    }
    let costs_nothing_else =
        decision.quota.is_none() && decision.budget.is_none() && decision.limit.is_none();
    if costs_nothing_else {
        let why = match decision.reason {
            Reason::Exempt => "exempt: its group is never limited",
            Reason::PriceOutOfRange => "price-out-of-range: its price cannot be computed",
            Reason::TicketsFull => "tickets-full: as many outcomes as there can be are awaited",
            _ => "no limit matches",
        };
        write!(system, "   {why}")?;
    }
    // Of a refusal, the one that refuses; of an allowed request, each that has a say.
    let speaks = |reason| decision.is_allowed() || decision.reason == reason;
    let refuses_elsewhere = matches!(decision.reason, Reason::OverQuota | Reason::OverBudget);
    if let Some(standing) = decision.limit.filter(|_| !refuses_elsewhere) {
        write_limit(*system, engine, *term, decision, &standing)?;
    }
    if let Some(standing) = decision.quota.filter(|_| speaks(Reason::OverQuota)) {
        let name = quota_name(&engine.live.quotas, &standing);
        let used =
            standing.capacity.saturating_sub(standing.remaining()).max(standing.used + standing.reserved);
        write!(system, "   quota {}   used {used}/{}", term.paint(Style::Name, name), standing.capacity)?;
    }
    if let Some(standing) = decision.budget.filter(|_| speaks(Reason::OverBudget)) {
        let name = quota_name(&engine.live.budgets, &standing);
        let money = |amount: u64| Price(NanoUnits(amount.into()), engine.live.costs.currency());
        let (spent, budget) = (money(standing.used + standing.reserved), money(standing.capacity));
        write!(system, "   budget {}   spent {spent} of {budget}", term.paint(Style::Name, name))?;
    }
    if refuses_elsewhere {
        match decision.retry {
            Some(Wait::For(wait)) => write!(system, "   retry in {}", Humanized(wait))?,
            Some(Wait::Never) => write!(system, "   retry never")?,
            None => {}
        }
    }
    if let Some(price) = decision.price.filter(|_| decision.is_allowed()) {
        write!(system, "   price {}", Price(price, engine.live.costs.currency()))?;
    }
    if let Some(ticket) = decision.ticket {
        write!(system, "   ticket {}", term.paint(Style::Name, ticket))?;
    }
    Ok(writeln!(system)?)
}

/// The limit that speaks for a decision, and how it stands.
fn write_limit(
    system: &mut dyn System,
    engine: &Engine,
    term: Term,
    decision: &Decision,
    standing: &LimitStanding,
) -> fmt::Result {
    let name = engine.live.limits.get_bucket(standing.limit).map(|spec| spec.name).unwrap_or_default();
    write!(system, "   limit {}", term.paint(Style::Name, name))?;
    if standing.shared == Sharing::Overflow {
        write!(system, "   overflow bucket")?;
    }
    if !matches!(decision.reason, Reason::WithinLimits | Reason::OverLimit) {
        write!(system, "   {}", decision.reason)?;
    }
    match standing.capacity {
        Some(capacity) => write!(system, "   remaining {}/{capacity}", standing.remaining())?,
        None if decision.is_allowed() => write!(system, "   unlimited")?,
        None => {}
    }
    match (decision.retry, standing.full_in()) {
        (Some(Wait::For(wait)), _) => write!(system, "   retry in {}", Humanized(wait)),
        (Some(Wait::Never), _) => write!(system, "   retry never"),
        (None, _) if standing.capacity.is_none() => Ok(()),
        (None, Nanos::ZERO) => write!(system, "   full"),
        (None, full_in) => write!(system, "   full in {}", Humanized(full_in)),
    }
}

fn quota_name(quotas: &QuotaManager<TENANTS>, standing: &QuotaStanding) -> QuotaName {
    let found = quotas.allocations().find(|(id, _)| *id == standing.id);
    found.map(|(_, spec)| spec.name).unwrap_or_default()
}

fn answer_json(context: &mut Context<'_>, decision: &Decision) -> Outcome {
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Delay(_) => "delay",
        Verdict::Deny => "deny",
    };
    let Context { system, engine, .. } = context;
    let mut object =
        ObjectWriter::begin(*system)?.string("verdict", verdict)?.string("reason", decision.reason.code())?;
    if let Verdict::Delay(turn) = decision.verdict {
        object = object.integer("delay_ns", turn.0)?;
    }
    if let Some(standing) = decision.limit {
        let name = engine.live.limits.get_bucket(standing.limit).map(|spec| spec.name).unwrap_or_default();
        object = object
            .string("limit", name.as_str())?
            .boolean("overflow", standing.shared == Sharing::Overflow)?
            .optional_integer("remaining", standing.capacity.map(|_| standing.remaining()))?
            .optional_integer("capacity", standing.capacity)?
            .optional_integer("full_in_ns", standing.capacity.map(|_| standing.full_in().0))?;
    }
    for (names, manager, standing) in [
        (["quota", "quota_used", "quota_capacity"], &engine.live.quotas, decision.quota),
        (["budget", "budget_spent", "budget_capacity"], &engine.live.budgets, decision.budget),
    ] {
        let Some(standing) = standing else { continue };
        object = object.string(names[0], quota_name(manager, &standing).as_str())?;
        let (used, capacity) = (standing.used + standing.reserved, standing.capacity);
        object = if names[0] == "budget" {
            let money = |amount: u64| NanoUnits(amount.into());
            object.display(names[1], money(used))?.display(names[2], money(capacity))?
        } else {
            object.integer(names[1], used)?.integer(names[2], capacity)?
        };
    }
    if let Some(price) = decision.price {
        object = object.display("price", price)?.string("currency", engine.live.costs.currency().code())?;
    }
    if let Some(ticket) = decision.ticket {
        object = object.display("ticket", ticket)?;
    }
    object = match decision.retry {
        None => object,
        Some(Wait::For(wait)) => object.integer("retry_in_ns", wait.0)?,
        Some(Wait::Never) => object.string("retry_in_ns", "never")?,
    };
    Ok(object.end()?)
}

/// Reads a request from its arguments.
fn read<'a>(context: &mut Context<'_>, invocation: &Invocation<'a>) -> Result<Request<'a>, Failed> {
    let mut request = Request::default();
    if let Some(ip) = invocation.get("ip") {
        let address = ip.parse::<IpAddr>();
        request.ip =
            Some(address.map_err(|_| context.fail(format_args!("ip: {}", ScopeError::NotAnAddress)))?);
    }
    if let Some(headers) = invocation.get("headers") {
        identify(context, headers, &mut request)?;
    }
    for (kind, place) in [
        (Kind::Service, &mut request.service),
        (Kind::User, &mut request.user),
        (Kind::Tenant, &mut request.tenant),
        (Kind::Key, &mut request.key),
        (Kind::Session, &mut request.session),
        (Kind::Actor, &mut request.actor),
        (Kind::Group, &mut request.group),
        (Kind::Provider, &mut request.provider),
        (Kind::Route, &mut request.route),
    ] {
        if let Some(name) = invocation.get(kind.word()) {
            let name = NameRef::new(name).map_err(|error| context.fail(format_args!("{kind}: {error}")))?;
            *place = Some(name);
        }
    }
    if let Some(method) = invocation.get("method") {
        let method = NameRef::new(method).map_err(|error| context.fail(format_args!("method: {error}")))?;
        request.method = Some(method);
    }
    if let Some(bytes) = invocation.get("bytes") {
        request.bytes = parse_size(bytes).map_err(|error| context.fail(format_args!("bytes: {error}")))?;
    }
    request.path = invocation.get("path").map(|path| path.split('?').next().unwrap_or_default().as_bytes());
    let amount = |key: &str| invocation.integer(key).unwrap_or(0);
    let tokens = invocation.integer("tokens").or(invocation.integer("reserve")).unwrap_or(0);
    (request.tokens, request.output_tokens) = (tokens, amount("output_tokens"));
    if request.output_tokens > request.tokens {
        return Err(context.fail(format_args!(
            "output_tokens: {} are more than all its tokens; expected at most tokens={}",
            request.output_tokens, request.tokens
        )));
    }
    request.compute_ms = amount("ms");
    request.storage_accesses = amount("accesses");
    request.cache_hits = amount("hits");
    request.cost = invocation.integer("cost").unwrap_or(1);
    request.priority = match invocation.get("priority") {
        Some("critical") => RequestPriority::Critical,
        Some("high") => RequestPriority::High,
        Some("low") => RequestPriority::Low,
        Some("batch") => RequestPriority::Batch,
        _ => RequestPriority::Normal,
    };
    Ok(request)
}

/// Tells from header fields, `NAME: VALUE` with `;` in between, who a request comes from.
fn identify<'a>(context: &mut Context<'_>, headers: &'a str, request: &mut Request<'a>) -> Outcome {
    let fields = headers.split(';').filter(|field| !field.trim().is_empty());
    if let Some(field) = fields.clone().find(|field| !field.contains(':')) {
        return Err(context.fail(format_args!(
            "headers: '{}' is no header field; expected \"NAME: VALUE; NAME: VALUE\"",
            Printable(field.trim())
        )));
    }
    let header = |name: &str| {
        let mut fields = fields.clone().filter_map(|field| field.split_once(':'));
        fields.find(|(field, _)| field.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let identified = context.engine.live.identity().identify(request.ip, header);
    let identified = identified.map_err(|error| match error {
        // Only this header holds addresses.
        ScopeError::NotAnAddress => context.fail(format_args!("headers: X-Forwarded-For: {error}")),
        error => context.fail(format_args!("headers: {error}")),
    })?;
    (request.actor, request.session, request.ip) = (identified.actor, identified.session, identified.ip);
    Ok(())
}
