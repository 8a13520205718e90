//! How outbound scopes stand: their calls, their breakers and their retries.

use super::{label, whole};
use crate::breaker::{BreakerMode, BreakerOverride, BreakerSpec, BreakerState, BreakerStats};
use crate::export::{Figure, FigureKind, FigureSink};
use crate::time::Instant;
use crate::traffic::{CallCounters, ScopeView, TrafficController};
use core::fmt;

/// What is said of each class of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const STATES: [BreakerState; 3] = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
const MODES: [BreakerMode; 3] = [BreakerMode::Enforce, BreakerMode::Shadow, BreakerMode::Disabled];
const HANDS: [BreakerOverride; 4] = [
    BreakerOverride::Automatic,
    BreakerOverride::ForcedOpen,
    BreakerOverride::ForcedClosed,
    BreakerOverride::Shadow,
];

/// A family, and the count that is its figure.
type Family<T> = (&'static str, &'static str, FigureKind, fn(&T) -> u64);

/// What every scope counts.
const OF_CALLS: [Family<CallCounters>; 8] = [
    ("weir_scope_calls_total", "Calls that were asked for.", FigureKind::Counter, |calls| calls.requests),
    ("weir_scope_allowed_total", "Calls that may be made.", FigureKind::Counter, |calls| calls.allowed),
    (
        "weir_scope_denied_total",
        "Calls that were refused by the breaker or by what is asked after it.",
        FigureKind::Counter,
        |calls| calls.denied,
    ),
    (
        "weir_scope_throttled_responses_total",
        "Answers with status code 429, which are 4xx too.",
        FigureKind::Counter,
        |calls| calls.throttled,
    ),
    (
        "weir_scope_unanswered_total",
        "Calls that got no answer: timeouts, failed and broken connections.",
        FigureKind::Counter,
        |calls| calls.errors,
    ),
    (
        "weir_scope_lost_total",
        "Calls of which nobody has told the outcome in time.",
        FigureKind::Counter,
        |calls| calls.lost,
    ),
    (
        "weir_scope_untold_total",
        "Calls that were made without a ticket, since too many were open: nobody tells their outcome.",
        FigureKind::Counter,
        |calls| calls.untold,
    ),
    (
        "weir_scope_retries_advised_total",
        "Outcomes for which another attempt was advised; whether it was made is not known.",
        FigureKind::Counter,
        |calls| calls.retries,
    ),
];

/// What breakers count, and how they stand.
const OF_BREAKERS: [Family<BreakerStats>; 9] = [
    (
        "weir_breaker_opened_total",
        "Times that a breaker opened by itself, up to 4294967295.",
        FigureKind::Counter,
        |breaker| breaker.opened,
    ),
    ("weir_breaker_refused_total", "Calls that a breaker refused.", FigureKind::Counter, |breaker| {
        breaker.refused
    }),
    (
        "weir_breaker_would_refuse_total",
        "Calls that passed and that a breaker would have refused: one in shadow mode, or in a replay.",
        FigureKind::Counter,
        |breaker| breaker.would_refuse,
    ),
    (
        "weir_breaker_stale_total",
        "Results that came too late to count for a breaker.",
        FigureKind::Counter,
        |breaker| breaker.stale,
    ),
    (
        "weir_breaker_cancelled_total",
        "Permits that a breaker was given back without a result.",
        FigureKind::Counter,
        |breaker| breaker.cancelled,
    ),
    (
        "weir_breaker_slow_total",
        "Results of calls that were slow, stale ones apart.",
        FigureKind::Counter,
        |breaker| breaker.slow,
    ),
    (
        "weir_breaker_permits_out",
        "Permits of a half-open breaker that are out, also those that may have come back by themselves.",
        FigureKind::Gauge,
        |breaker| breaker.permits_out.into(),
    ),
    ("weir_breaker_consecutive_failures", "Failures since the last success.", FigureKind::Gauge, |breaker| {
        breaker.consecutive_failures.into()
    }),
    (
        "weir_breaker_opens_in_a_row",
        "Times that a breaker has opened since it was closed last, up to 255.",
        FigureKind::Gauge,
        |breaker| breaker.opens_in_a_row.into(),
    ),
];

/// Gives each scope by the name that rules have for it, such as `route:github:get`.
pub(super) fn export_scopes(
    traffic: &TrafficController,
    now: Instant,
    sink: &mut dyn FigureSink,
) -> fmt::Result {
    let each = |sink: &mut dyn FigureSink, give: Give<'_>| {
        traffic.scopes(now).try_for_each(|scope| give(sink, &format_args!("route:{}", scope.name), &scope))
    };
    export_calls(&each, sink)?;
    export_breakers(&each, now, sink)?;
    export_budgets(&each, sink)?;
    sink.family("weir_scopes", "Outbound scopes that there are.", FigureKind::Gauge)?;
    sink.sample(&[], whole(traffic.scope_count()))?;
    let help = "Calls that found no place among the scopes, and went on without a breaker.";
    sink.family("weir_scope_overflow_total", help, FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(traffic.overflow().requests))
}

/// Gives the figures of a scope under its label.
type Give<'g> = &'g dyn Fn(&mut dyn FigureSink, &dyn fmt::Display, &ScopeView<'_>) -> fmt::Result;
/// Calls another function with each scope.
type Each<'e> = &'e dyn Fn(&mut dyn FigureSink, Give<'_>) -> fmt::Result;

/// Gives a figure by the word that its label says.
type GiveWord<'g> = &'g mut dyn FnMut(&'static str, u64) -> fmt::Result;
/// Gives the figures of a breaker one by one.
type Figures<'f> = &'f dyn Fn(&ScopeView<'_>, &BreakerSpec, GiveWord<'_>) -> fmt::Result;

fn export_calls(each: Each<'_>, sink: &mut dyn FigureSink) -> fmt::Result {
    for (name, help, kind, count) in OF_CALLS {
        sink.family(name, help, kind)?;
        each(sink, &|sink, name, scope| {
            sink.sample(&[label("scope", name)], Figure::Whole(count(&scope.counters)))
        })?;
    }
    let help = "Answers by the class of their status code.";
    sink.family("weir_scope_responses_total", help, FigureKind::Counter)?;
    each(sink, &|sink, name, scope| {
        CLASSES.iter().zip(scope.counters.by_class).try_for_each(|(class, count)| {
            sink.sample(&[label("scope", name), label("class", class)], Figure::Whole(count))
        })
    })?;
    let help = "Calls whose outcome is still to come.";
    sink.family("weir_scope_open_calls", help, FigureKind::Gauge)?;
    each(sink, &|sink, name, scope| sink.sample(&[label("scope", name)], Figure::Whole(scope.open.into())))
}

fn export_breakers(each: Each<'_>, now: Instant, sink: &mut dyn FigureSink) -> fmt::Result {
    for (name, help, kind, count) in OF_BREAKERS {
        sink.family(name, help, kind)?;
        each(sink, &|sink, name, scope| match scope.breaker {
            Some(_) => sink.sample(&[label("scope", name)], Figure::Whole(count(&scope.stats))),
            None => Ok(()),
        })?;
    }
    let help = "Results that a breaker was told, stale ones apart.";
    sink.family("weir_breaker_results_total", help, FigureKind::Counter)?;
    one_of(each, sink, "result", &|scope, _, give| {
        give("success", scope.stats.successes)?;
        give("failure", scope.stats.failures)
    })?;
    let help = "Closed: calls in the window of a breaker, as of the last result. Half-open: probes that were answered. \
                Those that failed and those that were slow are among all.";
    sink.family("weir_breaker_window_calls", help, FigureKind::Gauge)?;
    one_of(each, sink, "result", &|scope, _, give| {
        give("all", scope.stats.window_total.into())?;
        give("failed", scope.stats.window_failed.into())?;
        give("slow", scope.stats.window_slow.into())
    })?;
    let help = "Whether a breaker is in a state: 1 for the one it is in.";
    sink.family("weir_breaker_state", help, FigureKind::Gauge)?;
    one_of(each, sink, "state", &|scope, _, give| {
        STATES.into_iter().try_for_each(|state| give(state.word(), u64::from(state == scope.state)))
    })?;
    let help = "Whether a breaker is configured in a mode: 1 for the one it is in.";
    sink.family("weir_breaker_mode", help, FigureKind::Gauge)?;
    one_of(each, sink, "mode", &|_, breaker, give| {
        MODES.into_iter().try_for_each(|mode| give(mode.word(), u64::from(mode == breaker.mode)))
    })?;
    let help = "How a breaker is held by hand: 1 for what was said, which is auto where nothing was.";
    sink.family("weir_breaker_by_hand", help, FigureKind::Gauge)?;
    one_of(each, sink, "hand", &|scope, _, give| {
        HANDS.into_iter().try_for_each(|hand| give(hand.word(), u64::from(hand == scope.by_hand)))
    })?;
    let help = "How long a breaker that has opened by itself stays open yet; 0 where it does not.";
    sink.family("weir_breaker_open_seconds", help, FigureKind::Gauge)?;
    each(sink, &|sink, name, scope| match scope.breaker {
        Some(_) => {
            let left = scope.stats.open_until.unwrap_or(now).since(now);
            sink.sample(&[label("scope", name)], Figure::length(left))
        }
        None => Ok(()),
    })
}

/// Gives figures of each breaker that differ in one label.
fn one_of(each: Each<'_>, sink: &mut dyn FigureSink, key: &'static str, figures: Figures<'_>) -> fmt::Result {
    each(sink, &|sink, name, scope| match scope.breaker {
        Some(breaker) => figures(scope, breaker, &mut |word, count| {
            sink.sample(&[label("scope", name), label(key, &word)], Figure::Whole(count))
        }),
        None => Ok(()),
    })
}

fn export_budgets(each: Each<'_>, sink: &mut dyn FigureSink) -> fmt::Result {
    let help = "What is left of the retry budget of a scope, in tokens. Retries are advised while that is more than half.";
    sink.family("weir_retry_budget_left_tokens", help, FigureKind::Gauge)?;
    each(sink, &|sink, name, scope| match scope.retry {
        Some(spec) => sink.sample(&[label("scope", name)], tokens(scope.budget.left_milli(spec))),
        None => Ok(()),
    })?;
    let help = "The whole retry budget of a scope, in tokens.";
    sink.family("weir_retry_budget_tokens", help, FigureKind::Gauge)?;
    each(sink, &|sink, name, scope| match scope.retry {
        Some(spec) => sink.sample(&[label("scope", name)], tokens(spec.budget_milli)),
        None => Ok(()),
    })
}

/// Thousandths of a token.
fn tokens(milli: u32) -> Figure {
    Figure::Ratio(u64::from(milli) * 1000)
}
