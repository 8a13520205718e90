//! `request` and `ratelimit try`: one request, decided and explained.

use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::render::Humanized;
use crate::term::{Printable, Style};
use core::fmt::Write;
use core::net::IpAddr;
use governance::decision::{Decision, Reason, Sharing, Verdict, Wait};
use governance::export::ObjectWriter;
use governance::request::{Request, RequestPriority};
use governance::scope::{Kind, NameRef, ScopeError};
use governance::time::Nanos;
use governance::units::parse_size;

/// Decides the request and charges it.
pub(super) fn request(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let request = read(context, invocation)?;
    let now = context.system.now();
    let decision = context.engine.live.admit(now, &request);
    answer(context, invocation, &decision)
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
    let Some(standing) = decision.limit else {
        let why = if decision.reason == Reason::Exempt {
            "exempt: its group is never limited"
        } else {
            "no limit matches"
        };
        return Ok(writeln!(system, "   {why}")?);
    };
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
        (Some(Wait::For(wait)), _) => write!(system, "   retry in {}", Humanized(wait))?,
        (Some(Wait::Never), _) => write!(system, "   retry never")?,
        (None, _) if standing.capacity.is_none() => {}
        (None, Nanos::ZERO) => write!(system, "   full")?,
        (None, full_in) => write!(system, "   full in {}", Humanized(full_in))?,
    }
    Ok(writeln!(system)?)
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
    (request.tokens, request.output_tokens) = (amount("tokens"), amount("output_tokens"));
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
