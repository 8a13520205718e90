//! `request` and `ratelimit try`: one request, decided and explained.

mod read;

pub(super) use read::{Room, read, settlement};

use super::notices::NoticeMarks;
use super::priority::{LetGo, fill};
use super::traffic::{Refusal, RouteName, is_shadow, last_change};
use super::{Context, Outcome};
use crate::command::Invocation;
use crate::engine::{Engine, TENANTS};
use crate::render::Humanized;
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt::{self, Write};
use governance::breaker::BreakerState;
use governance::decision::{Decision, LimitStanding, Reason, Sharing, Verdict, Wait};
use governance::export::ObjectWriter;
use governance::governor::InboundAnswer;
use governance::loop_guard::ServiceLevel;
use governance::money::{Currency, NanoUnits};
use governance::policy::Action;
use governance::quota::{QuotaManager, QuotaName, QuotaStanding};
use governance::request::Request;
use governance::time::{Nanos, Now};
use governance::traffic::SCOPES_MAX;

/// Decides the request and charges it.
pub(super) fn request(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut room = Room::default();
    let mut request = read(context, invocation, &mut room)?;
    request.settlement = settlement(context, invocation)?;
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let let_go = LetGo::by(&context.engine.live, now.instant, &request);
    let decision = context.engine.live.admit(now, &request);
    answer(context, invocation, now, (&request, &decision))?;
    if !decision.is_allowed() {
        // It says by itself what was refused.
        return Ok(());
    }
    let is_json = invocation.flag("json");
    let_go.tell(context, is_json)?;
    if let (Verdict::Queue(_), Some(queue)) = (decision.verdict, context.engine.live.queue_of(&request)) {
        // A service may be free for those that wait: a ticket can have run out that nobody completed.
        fill(context, queue, is_json)?;
    }
    marks.tell(context, is_json)
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
    let mut room = Room::default();
    let request = read(context, invocation, &mut room)?;
    let now = context.system.now();
    let decision = context.engine.live.peek(now, &request);
    answer(context, invocation, now, (&request, &decision))
}

pub(super) fn answer(
    context: &mut Context<'_>,
    invocation: &Invocation<'_>,
    now: Now,
    (request, decision): (&Request<'_>, &Decision),
) -> Outcome {
    if invocation.flag("json") {
        answer_json(context, now, request, decision)
    } else {
        answer_text(context, now, request, decision)
    }
}

/// What a gateway answers to a request that came in and is refused, or sent elsewhere. One with a path has come in, and
/// so has one of a group of endpoints, unless it is a call of a provider.
fn gateway_answer(request: &Request<'_>, decision: &Decision) -> Option<(u16, Option<u64>)> {
    let is_of_endpoints = request.group.is_some() && request.route.is_none();
    if request.path.is_none() && !is_of_endpoints {
        return None;
    }
    let InboundAnswer { status, retry_after, .. } = InboundAnswer::of(*decision);
    Some((status?, retry_after))
}

/// Whether a call goes on without a breaker since there is no place for its scope.
fn is_without_place(engine: &Engine, request: &Request<'_>, decision: &Decision) -> bool {
    let traffic = &engine.live.traffic;
    let Some(route) = request.route.filter(|_| decision.is_allowed() && decision.scope.is_none()) else {
        return false;
    };
    traffic.scope_count() == SCOPES_MAX && traffic.find(route.as_str()).is_none()
}

/// The scope of a call that was let through only since its open breaker is a shadow.
fn shadow_that_refuses<'a>(engine: &'a Engine, now: Now, decision: &Decision) -> Option<&'a str> {
    let id = decision.scope.filter(|_| decision.is_allowed())?;
    let scope = engine.live.traffic.scope(now.instant, id)?;
    (is_shadow(&scope) && scope.state == BreakerState::Open).then_some(scope.name)
}

fn answer_text(context: &mut Context<'_>, now: Now, request: &Request<'_>, decision: &Decision) -> Outcome {
    let Context { system, engine, term, .. } = context;
    match decision.verdict {
        Verdict::Allow => write!(system, "{}", term.paint(Style::Good, "allow"))?,
        Verdict::Delay(turn) => {
            write!(system, "{}   go on in {}", term.paint(Style::Warn, "delay"), Humanized(turn))?;
        }
        Verdict::Queue(Nanos::ZERO) => {
            write!(system, "{}   its turn is next", term.paint(Style::Warn, "queue"))?;
        }
        Verdict::Queue(wait) => {
            write!(system, "{}   its turn in about {}", term.paint(Style::Warn, "queue"), Humanized(wait))?;
        }
        Verdict::Redirect => write!(system, "{}", term.paint(Style::Warn, "redirect"))?,
        Verdict::Deny => write!(system, "{} ", term.paint(Style::Bad, "deny"))?,
    }
    let costs_nothing_else =
        decision.quota.is_none() && decision.budget.is_none() && decision.limit.is_none();
    write_policy(*system, engine, *term, decision)?;
    let speaks_elsewhere = matches!(
        decision.reason,
        Reason::PolicyDenied
            | Reason::PolicyDefault
            | Reason::Redirected
            | Reason::ThrottleMissing
            | Reason::Queued
            | Reason::BreakerOpen
            | Reason::BreakerHalfOpen
    );
    if costs_nothing_else && !speaks_elsewhere {
        let why = match decision.reason {
            Reason::Exempt if matches!(decision.verdict, Verdict::Queue(_)) => {
                "exempt: it waits beside all classes"
            }
            Reason::Exempt => "exempt: its group is never limited",
            Reason::PriceOutOfRange => "price-out-of-range: its price cannot be computed",
            Reason::TicketsFull => "tickets-full: as many outcomes as there can be are awaited",
            Reason::QueueFull => "queue-full: as many wait for its service as may",
            Reason::Infeasible => "infeasible: it would not be done by its deadline",
            Reason::LoopBlocked => "loop-blocked: its caller asks for the same again and again",
            Reason::OverHardCap => "over-hard-cap: there are as many requests in a minute as there may be",
            Reason::Degraded => "degraded: it can wait, and such requests are turned away for now",
            _ => "no limit matches",
        };
        write!(system, "   {why}")?;
    }
    // Of a refusal, the one that refuses; of an allowed request, each that has a say.
    let speaks = |reason| decision.is_allowed() || decision.reason == reason;
    let is_broken = matches!(decision.reason, Reason::BreakerOpen | Reason::BreakerHalfOpen);
    let refuses_elsewhere = is_broken
        || matches!(
            decision.reason,
            Reason::OverQuota
                | Reason::OverBudget
                | Reason::QueueFull
                | Reason::Infeasible
                | Reason::LoopBlocked
                | Reason::OverHardCap
                | Reason::Degraded
        );
    if is_broken {
        write!(system, "{}", Refusal { term: *term, governor: &engine.live, now, decision })?;
    }
    let refuses_in_queue = matches!(decision.reason, Reason::QueueFull | Reason::Infeasible);
    if refuses_in_queue && !costs_nothing_else {
        write!(system, "   {}", decision.reason)?;
    }
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
    if decision.is_allowed() && decision.level == ServiceLevel::Degraded {
        let word = term.paint(Style::Warn, "degraded");
        write!(system, "   {word}: to be answered from a cache or with a default")?;
    }
    if let Some(name) = shadow_that_refuses(engine, now, decision) {
        let word = term.paint(Style::Warn, "open, shadow");
        write!(
            system,
            "   breaker {} {word}: it would be refused",
            term.paint(Style::Name, RouteName(name))
        )?;
    }
    if is_without_place(engine, request, decision) {
        let word = term.paint(Style::Warn, "no breaker");
        write!(system, "   {word}: there are {SCOPES_MAX} scopes, which is all there can be")?;
    }
    if let Some((status, retry_after)) = gateway_answer(request, decision) {
        write!(system, "   status {status}")?;
        if let Some(seconds) = retry_after {
            write!(system, "   Retry-After {seconds}")?;
        }
    }
    Ok(writeln!(system)?)
}

/// The policy that speaks for a decision, and what it does.
fn write_policy(system: &mut dyn System, engine: &Engine, term: Term, decision: &Decision) -> fmt::Result {
    let Some(policy) = &decision.policy else { return Ok(()) };
    let rule = policy.decider.and_then(|id| engine.live.policies.get_policy(id));
    match (rule, decision.reason) {
        (Some(rule), _) => {
            write!(system, "   policy {}", term.paint(Style::Name, rule.name))?;
            match &rule.action {
                Action::Allow | Action::Deny => {}
                Action::Redirect(service) => write!(system, "   to service {}", Printable(service.as_str()))?,
                action => write!(system, "   {action}")?,
            }
        }
        (None, Reason::PolicyDefault) => write!(system, "   policy-default: no policy allows it")?,
        (None, _) => {}
    }
    if decision.reason == Reason::ThrottleMissing {
        write!(system, "   throttle-missing: its limit is not there any more")?;
    }
    if policy.audit_id != 0 {
        write!(system, "   audit {}", policy.audit_id)?;
    }
    Ok(())
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
    if !matches!(decision.reason, Reason::WithinLimits | Reason::OverLimit | Reason::Queued) {
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

fn answer_json(context: &mut Context<'_>, now: Now, request: &Request<'_>, decision: &Decision) -> Outcome {
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Delay(_) => "delay",
        Verdict::Queue(_) => "queue",
        Verdict::Redirect => "redirect",
        Verdict::Deny => "deny",
    };
    let Context { system, engine, .. } = context;
    let mut object =
        ObjectWriter::begin(*system)?.string("verdict", verdict)?.string("reason", decision.reason.code())?;
    match decision.verdict {
        Verdict::Delay(turn) => object = object.integer("delay_ns", turn.0)?,
        Verdict::Queue(wait) => object = object.integer("wait_ns", wait.0)?,
        Verdict::Allow | Verdict::Redirect | Verdict::Deny => {}
    }
    if let Some(policy) = &decision.policy {
        let rule = policy.decider.and_then(|id| engine.live.policies.get_policy(id));
        if let Some(rule) = rule {
            object = object.string("policy", rule.name.as_str())?.display("action", rule.action)?;
        }
        object = object.optional_integer("audit_id", Some(policy.audit_id).filter(|id| *id != 0))?;
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
    if let Some(scope) = decision.scope.and_then(|id| engine.live.traffic.scope(now.instant, id)) {
        object = object
            .display("scope", RouteName(scope.name))?
            .optional_string("breaker", scope.breaker.map(|_| scope.state.word()))?;
        if let Some(notice) = last_change(&engine.live, scope.name, BreakerState::Open) {
            object = object.string("opened_by", notice.transition.why.phrase())?;
        }
    }
    if decision.is_allowed() && decision.level == ServiceLevel::Degraded {
        object = object.boolean("degraded", true)?;
    }
    if shadow_that_refuses(engine, now, decision).is_some() {
        object = object.boolean("would_refuse", true)?;
    }
    if is_without_place(engine, request, decision) {
        object = object.boolean("without_breaker", true)?;
    }
    if let Some((status, retry_after)) = gateway_answer(request, decision) {
        object = object.integer("status", status.into())?.optional_integer("retry_after", retry_after)?;
    }
    Ok(object.end()?)
}
