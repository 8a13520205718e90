//! What is said of a request, read from the arguments of a command.

use crate::command::Invocation;
use crate::commands::{Context, Failed, Outcome};
use core::net::IpAddr;
use governance::governor::RESERVED_FOR_MAX;
use governance::request::{Header, Request, RequestPriority, Settlement};
use governance::scope::{Kind, NAME_BYTES_MAX, Name, NameRef, ScopeError};
use governance::time::{Instant, Nanos, WallTime};
use governance::units::parse_size;

/// How long a reservation stands unless it is said.
const RESERVED_FOR: Nanos = Nanos::from_seconds(300);

/// How many roles a request can be given.
const ROLES_MAX: usize = 8;
/// How many headers a request can be given.
const HEADERS_MAX: usize = 16;

/// Room for what a request has several of.
pub(in crate::commands) struct Room<'a> {
    roles: [NameRef<'a>; ROLES_MAX],
    headers: [Header<'a>; HEADERS_MAX],
    /// Provider and method together.
    route: Name,
}

impl Default for Room<'_> {
    fn default() -> Self {
        Self {
            roles: [NameRef::NOBODY; ROLES_MAX],
            headers: [Header { name: "", value: b"" }; HEADERS_MAX],
            route: Name::EMPTY,
        }
    }
}

/// Reads a request from its arguments.
pub(in crate::commands) fn read<'a>(
    context: &mut Context<'_>,
    invocation: &Invocation<'a>,
    room: &'a mut Room<'a>,
) -> Result<Request<'a>, Failed> {
    let mut request = Request::default();
    if let Some(ip) = invocation.get("ip") {
        let address = ip.parse::<IpAddr>();
        request.ip =
            Some(address.map_err(|_| context.fail(format_args!("ip: {}", ScopeError::NotAnAddress)))?);
    }
    let Room { roles, headers, route } = room;
    if let Some(fields) = invocation.get("headers") {
        identify(context, fields, &mut request)?;
        request.headers = read_headers(context, fields, headers)?;
    }
    if let Some(names) = invocation.get("role") {
        request.roles = read_roles(context, names, roles)?;
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
    if let (None, Some(provider), Some(method)) = (request.route, request.provider, request.method) {
        // A call of a provider by a method has a scope, also where it is not named.
        *route = Name::format(format_args!("{}:{}", provider.as_str(), method.as_str())).map_err(|_| {
            context.fail(format_args!(
                "provider and method: together they are longer than the {NAME_BYTES_MAX} bytes of a scope's name"
            ))
        })?;
        request.route = NameRef::new(route.as_str()).ok();
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
    request.priority = invocation.get("priority").and_then(RequestPriority::from_word);
    request.deadline = deadline(context, invocation)?;
    Ok(request)
}

/// Tells from header fields, `NAME: VALUE` with `;` in between, who a request comes from.
fn identify<'a>(context: &mut Context<'_>, headers: &'a str, request: &mut Request<'a>) -> Outcome {
    let fields = headers.split(';').filter(|field| !field.trim().is_empty());
    // It may be a value, which is not for others to read.
    if let Some(place) = fields.clone().position(|field| !field.contains(':')) {
        return Err(context.fail(format_args!(
            "headers: number {} is no header field; expected \"NAME: VALUE; NAME: VALUE\"",
            place + 1
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

/// Whether the amounts are final, or to be settled later.
pub(in crate::commands) fn settlement(
    context: &mut Context<'_>,
    invocation: &Invocation<'_>,
) -> Result<Settlement, Failed> {
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

/// The header fields, `NAME: VALUE` with `;` in between.
fn read_headers<'a>(
    context: &mut Context<'_>,
    fields: &'a str,
    room: &'a mut [Header<'a>; HEADERS_MAX],
) -> Result<&'a [Header<'a>], Failed> {
    let mut length = 0;
    for (name, value) in fields.split(';').filter_map(|field| field.split_once(':')) {
        let Some(place) = room.get_mut(length) else {
            return Err(context.fail(format_args!("headers: at most {HEADERS_MAX} are taken")));
        };
        *place = Header { name: name.trim(), value: value.trim().as_bytes() };
        length += 1;
    }
    Ok(&room[..length])
}

/// The roles, with `,` in between.
fn read_roles<'a>(
    context: &mut Context<'_>,
    names: &'a str,
    room: &'a mut [NameRef<'a>; ROLES_MAX],
) -> Result<&'a [NameRef<'a>], Failed> {
    let mut length = 0;
    for name in names.split(',') {
        let name = NameRef::new(name.trim()).map_err(|error| context.fail(format_args!("role: {error}")))?;
        let Some(place) = room.get_mut(length) else {
            return Err(context.fail(format_args!("role: at most {ROLES_MAX} are taken")));
        };
        *place = name;
        length += 1;
    }
    Ok(&room[..length])
}

/// When the request has to be answered: in so long, or at a time of UTC.
fn deadline(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Option<Instant>, Failed> {
    let Some(given) = invocation.get("deadline") else { return Ok(None) };
    let now = context.system.now();
    let length = if let Ok(length) = given.parse::<Nanos>() {
        length
    } else {
        let time = given.parse::<WallTime>().map_err(|_| {
            context.fail(format_args!(
                "deadline: expected a duration such as 500ms, or a time such as 2026-01-31T12:00:00Z"
            ))
        })?;
        Nanos(time.0.saturating_sub(now.wall.0))
    };
    if length == Nanos::ZERO {
        return Err(context.fail(format_args!("deadline: it has passed; expected one that is still to come")));
    }
    Ok(Some(now.instant.after(length)))
}
