//! `traffic`: the guard of all requests, and the breakers and retry policies of calls that go out.

mod attempt;
mod call;
mod guard;
mod reports;
mod show;

pub(super) use attempt::{read_attempt, retry};
pub(super) use call::{CallText, Refusal, write_call_members};
pub(super) use guard::{degraded, loops, write_loops, write_loops_json};
pub(super) use reports::{scopes, status};
pub(super) use show::show;

use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::engine::Governor;
use crate::render::{Grouped, Humanized};
use crate::term::{Printable, Style};
use core::fmt::{self, Write as _};
use governance::breaker::{BreakerMode, BreakerOverride, BreakerSpec, BreakerState};
use governance::retry::RetrySpec;
use governance::scope::{Kind, Name, NameRef, Pattern, Scope};
use governance::text::Text;
use governance::time::{Instant, Nanos};
use governance::traffic::{BreakerNotice, SCOPES_MAX, ScopeId, ScopeView, TrafficController};

/// A scope as it is shown, `route:provider:method`.
type ScopeText = Text<80>;

/// Holds a breaker by hand, or lets go of it.
pub(super) fn breaker(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    // The table lets no other word pass.
    let how = invocation.positional(0).and_then(BreakerOverride::from_word).unwrap_or_default();
    let named = named(context, invocation, 1)?;
    let now = context.system.now();
    context.engine.live.tick(now);
    let id = match named {
        Named::There(id) => id,
        Named::Uncalled(name) => {
            let shown = RouteName(name.as_str());
            if Template::of(&context.engine.live.traffic).breaker.is_none() {
                return Err(context.fail(format_args!("{shown} has no breaker; [[breaker]] gives it one")));
            }
            // The scope is made, so that its breaker is held from its first call on.
            let made = context.engine.live.traffic.ensure(now.instant, name.as_str());
            made.ok_or_else(|| {
                context.fail(format_args!(
                    "there is no room for {shown}: there are {SCOPES_MAX} scopes; traffic scopes lists them"
                ))
            })?
        }
    };
    let name = scope_text(&context.engine.live, now.instant, id);
    if !context.engine.live.traffic.set_override(now, id, how) {
        return Err(context.fail(format_args!("{name} has no breaker; [[breaker]] gives it one")));
    }
    let what = match how {
        BreakerOverride::Automatic => "goes by the results of its calls",
        BreakerOverride::ForcedOpen => "is held open: every call is refused",
        BreakerOverride::ForcedClosed => "is held closed: every call passes",
        BreakerOverride::Shadow => "refuses nothing, and counts what it would",
    };
    context.say(format_args!("the breaker of {name} {what}"))
}

/// Forgets what a scope, or all of them and the guard, have seen.
pub(super) fn reset(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    match (invocation.positional(0), invocation.flag("all")) {
        (Some(_), false) => {
            let id = match named(context, invocation, 0)? {
                Named::There(id) => id,
                Named::Uncalled(name) => {
                    let shown = RouteName(name.as_str());
                    return Err(context.fail(format_args!("nothing to reset; {shown} was not called yet")));
                }
            };
            let now = context.system.now();
            let name = scope_text(&context.engine.live, now.instant, id);
            context.engine.live.traffic.reset_scope(now, id);
            context.say(format_args!("reset {name}"))
        }
        (None, true) => {
            let count = context.engine.live.traffic.scope_count();
            let now = context.system.now();
            context.engine.live.traffic.reset_scopes(now);
            context.engine.live.traffic.guard.reset();
            context.say(format_args!("reset {} and the guard", super::Count(count, "scope")))
        }
        (None, false) => {
            Err(context
                .fail(format_args!("nothing to reset; give a scope such as route:github:get, or --all")))
        }
        (Some(_), true) => {
            Err(context.fail(format_args!("a scope and --all do not go together; expected one of them")))
        }
    }
}

/// A scope of calls that an argument names.
enum Named {
    /// It is there.
    There(ScopeId),
    /// The first call makes it, from what is configured for `route:*`.
    Uncalled(Name),
}

/// What scopes have that nothing is configured for by name: those that are, are there from the start.
#[derive(Clone, Copy)]
struct Template<'a> {
    breaker: Option<&'a BreakerSpec>,
    retry: Option<&'a RetrySpec>,
}

impl<'a> Template<'a> {
    fn of(traffic: &'a TrafficController) -> Self {
        let is_for_all = |scope: &Scope| scope.pattern == Pattern::Any;
        Self {
            breaker: traffic.breaker_specs().iter().find(|spec| is_for_all(&spec.scope)),
            retry: traffic.retry_specs().iter().find(|spec| is_for_all(&spec.scope)),
        }
    }
}

/// The scope that a positional argument names, with or without its kind, whether or not a call was made in it.
fn named(context: &mut Context<'_>, invocation: &Invocation<'_>, position: usize) -> Result<Named, Failed> {
    let given = invocation.positional(position).unwrap_or_default();
    let name =
        given.strip_prefix(Kind::Route.word()).and_then(|rest| rest.strip_prefix(':')).unwrap_or(given);
    if let Some(id) = context.engine.live.traffic.find(name) {
        return Ok(Named::There(id));
    }
    let shown = Printable(given);
    if name == "*" {
        return Err(context.fail(format_args!(
            "'{shown}' stands for all scopes without terms of their own; expected one of them, such as route:github:get"
        )));
    }
    if let Err(error) = NameRef::new(name) {
        return Err(context.fail(format_args!("scope: {error}")));
    }
    if !name.contains(':') {
        return Err(context.fail(format_args!(
            "there is no scope '{shown}'; a scope is written route:PROVIDER:METHOD, such as route:github:get"
        )));
    }
    let traffic = &context.engine.live.traffic;
    let Template { breaker, retry } = Template::of(traffic);
    if breaker.is_none() && retry.is_none() {
        return Err(context.fail(format_args!(
            "there is no scope '{shown}', and a call would not make it: there is no [[breaker]] and no [[retry]] for it, \
             nor for route:*"
        )));
    }
    let name = Name::format(format_args!("{}", LowerCase(name)));
    name.map(Named::Uncalled).map_err(|_| context.fail(format_args!("there is no scope '{shown}'")))
}

/// A name as scopes have it.
struct LowerCase<'a>(&'a str);

impl fmt::Display for LowerCase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))
    }
}

/// The scope as it is shown.
pub(super) fn scope_text(governor: &Governor, now: Instant, id: ScopeId) -> ScopeText {
    let name = governor.traffic.scope(now, id).map(|scope| scope.name).unwrap_or_default();
    ScopeText::format(format_args!("{}", RouteName(name))).unwrap_or_default()
}

/// A scope with its kind.
pub(super) struct RouteName<'a>(pub(super) &'a str);

impl fmt::Display for RouteName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Kind::Route, Printable(self.0))
    }
}

/// How a breaker stands, and what keeps it from acting by its results.
struct Standing<'a> {
    breaker: Option<&'a BreakerSpec>,
    state: BreakerState,
    by_hand: BreakerOverride,
}

impl<'a> Standing<'a> {
    const fn of(scope: &ScopeView<'a>) -> Self {
        Self { breaker: scope.breaker, state: scope.state, by_hand: scope.by_hand }
    }
}

impl fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(spec) = self.breaker else { return f.write_str("none") };
        write!(f, "{}", self.state)?;
        match (self.by_hand, spec.mode) {
            (BreakerOverride::ForcedOpen | BreakerOverride::ForcedClosed, _) => f.write_str(", by hand"),
            (BreakerOverride::Shadow, _) | (_, BreakerMode::Shadow) => f.write_str(", shadow"),
            (_, BreakerMode::Disabled) => f.write_str(", disabled"),
            (_, BreakerMode::Enforce) => Ok(()),
        }
    }
}

/// Whether the breaker of a scope refuses nothing, and counts what it would.
pub(super) fn is_shadow(scope: &ScopeView<'_>) -> bool {
    match (scope.by_hand, scope.breaker.map(|spec| spec.mode)) {
        (BreakerOverride::ForcedOpen | BreakerOverride::ForcedClosed, _) | (_, None) => false,
        (BreakerOverride::Shadow, _) => true,
        (BreakerOverride::Automatic, mode) => mode == Some(BreakerMode::Shadow),
    }
}

/// A number of things, in words.
pub(super) struct Counted(pub(super) u64, pub(super) &'static str, pub(super) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Grouped(self.0), if self.0 == 1 { self.1 } else { self.2 })
    }
}

/// How long ago something was.
struct Ago(Nanos);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Nanos::ZERO => f.write_str("just now"),
            time => write!(f, "{} ago", Humanized(time)),
        }
    }
}

/// The colour of a state.
const fn style_of(state: BreakerState) -> Style {
    match state {
        BreakerState::Closed => Style::Plain,
        BreakerState::Open => Style::Bad,
        BreakerState::HalfOpen => Style::Warn,
    }
}

/// The last change of the breaker of a scope that is kept, if it was to `state`.
pub(super) fn last_change<'a>(
    governor: &'a Governor,
    scope: &str,
    state: BreakerState,
) -> Option<&'a BreakerNotice> {
    let notices = governor.traffic.transitions();
    let last = notices.since(0).filter(|notice| notice.scope.as_str() == scope).last();
    last.filter(|notice| notice.transition.to == state)
}
