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
use crate::command::{Invocation, nearest};
use crate::engine::Governor;
use crate::render::Humanized;
use crate::term::{Printable, Style};
use core::fmt;
use governance::breaker::{BreakerMode, BreakerOverride, BreakerState};
use governance::scope::Kind;
use governance::text::Text;
use governance::time::{Instant, Nanos};
use governance::traffic::{BreakerNotice, ScopeId, ScopeView};

/// A scope as it is shown, `route:provider:method`.
type ScopeText = Text<80>;

/// Holds a breaker by hand, or lets go of it.
pub(super) fn breaker(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    // The table lets no other word pass.
    let how = invocation.positional(0).and_then(BreakerOverride::from_word).unwrap_or_default();
    let id = scope(context, invocation, 1)?;
    let now = context.system.now();
    context.engine.live.tick(now);
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
            let id = scope(context, invocation, 0)?;
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

/// The scope that a positional argument names, with or without its kind.
fn scope(context: &mut Context<'_>, invocation: &Invocation<'_>, position: usize) -> Result<ScopeId, Failed> {
    let given = invocation.positional(position).unwrap_or_default();
    let name =
        given.strip_prefix(Kind::Route.word()).and_then(|rest| rest.strip_prefix(':')).unwrap_or(given);
    if let Some(id) = context.engine.live.traffic.find(name) {
        return Ok(id);
    }
    let now = context.system.now();
    let shown = Printable(given);
    let near = nearest(name, context.engine.live.traffic.scopes(now.instant).map(|scope| scope.name))
        .map(Text::<64>::excerpt);
    Err(match near {
        Some(near) => context.fail(format_args!(
            "there is no scope '{shown}'; did you mean 'route:{}'?",
            Printable(near.as_str())
        )),
        None if context.engine.live.traffic.scope_count() == 0 => context.fail(format_args!(
            "there is no scope '{shown}'; a call makes one where there is a [[breaker]] or [[retry]] for it"
        )),
        None => context.fail(format_args!("there is no scope '{shown}'; traffic scopes lists them")),
    })
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
struct Standing<'a>(&'a ScopeView<'a>);

impl fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self.0;
        let Some(spec) = scope.breaker else { return f.write_str("none") };
        write!(f, "{}", scope.state)?;
        match (scope.by_hand, spec.mode) {
            (BreakerOverride::ForcedOpen | BreakerOverride::ForcedClosed, _) => f.write_str(", by hand"),
            (BreakerOverride::Shadow, _) | (_, BreakerMode::Shadow) => f.write_str(", shadow"),
            (_, BreakerMode::Disabled) => f.write_str(", disabled"),
            (_, BreakerMode::Enforce) => Ok(()),
        }
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
