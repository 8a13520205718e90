//! `traffic show`: one scope in full.

use super::attempt::BudgetLeft;
use super::{Ago, Counted, Named, RouteName, Standing, Template, named, style_of};
use crate::command::Invocation;
use crate::commands::{Context, Outcome};
use crate::render::{Grouped, Humanized};
use crate::system::System;
use crate::term::{Style, Term};
use core::fmt;
use governance::breaker::{BreakerOverride, BreakerSpec, BreakerState, BreakerWindow};
use governance::export::ObjectWriter;
use governance::retry::{Backoff, RetryBudget, RetrySpec};
use governance::time::{Nanos, Now};
use governance::traffic::{CallCounters, ScopeView, TrafficController};
use governance::units::{Percent, Thousandths};

/// How many changes of a breaker are shown; `traffic status --json` gives all that are kept.
const SHOWN_CHANGES_MAX: usize = 8;

/// Shows one scope in full.
pub(in crate::commands) fn show(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let named = named(context, invocation, 0)?;
    let now = context.system.now();
    context.engine.live.tick(now);
    let (traffic, is_json) = (&context.engine.live.traffic, invocation.flag("json"));
    let id = match named {
        Named::There(id) => id,
        Named::Uncalled(name) => {
            let (name, template) = (RouteName(name.as_str()), Template::of(traffic));
            let written = if is_json {
                write_uncalled_object(context.system, &name, template)
            } else {
                write_uncalled(context.system, context.term, &name, template)
            };
            return Ok(written?);
        }
    };
    let Some(scope) = traffic.scope(now.instant, id) else { return Ok(()) };
    if is_json {
        return Ok(write_object(context.system, now, &scope)?);
    }
    Ok(write_text(context.system, context.term, now, traffic, &scope)?)
}

/// Says on what terms a scope will be.
fn write_uncalled(
    system: &mut dyn System,
    term: Term,
    name: &RouteName<'_>,
    template: Template<'_>,
) -> fmt::Result {
    let shown = term.paint(Style::Name, name);
    writeln!(system, "{shown}   not called yet: a call makes it on the terms of route:*")?;
    let (state, by_hand) = (BreakerState::Closed, BreakerOverride::Automatic);
    let standing = Standing { breaker: template.breaker, state, by_hand };
    writeln!(system, "  breaker     {standing}")?;
    if let Some(spec) = template.breaker {
        write_terms(system, spec)?;
    }
    write_retries(system, template.retry, RetryBudget::EMPTY)
}

fn write_uncalled_object(
    system: &mut dyn System,
    name: &RouteName<'_>,
    template: Template<'_>,
) -> fmt::Result {
    let Template { breaker, retry } = template;
    ObjectWriter::begin(system)?
        .display("scope", name)?
        .boolean("called", false)?
        .optional_string("breaker", breaker.map(|_| BreakerState::Closed.word()))?
        .optional_string("mode", breaker.map(|spec| spec.mode.word()))?
        .optional_string("backoff", retry.map(|spec| spec.backoff.word()))?
        .optional_integer("attempts", retry.map(|spec| spec.attempts.into()))?
        .optional_integer("budget_milli", retry.map(|spec| spec.budget_milli.into()))?
        .optional_integer("budget_max_milli", retry.map(|spec| spec.budget_milli.into()))?
        .end()
}

/// When a breaker opens and closes.
fn write_terms(system: &mut dyn System, spec: &BreakerSpec) -> fmt::Result {
    writeln!(system, "  opens       {}", OpensWhen(spec))?;
    writeln!(system, "  closes      {}", ClosesWhen(spec))
}

fn write_retries(system: &mut dyn System, retry: Option<&RetrySpec>, budget: RetryBudget) -> fmt::Result {
    match retry {
        None => writeln!(system, "  retries     none"),
        Some(spec) => {
            writeln!(system, "  retries     {}", Repeats(spec))?;
            writeln!(system, "  budget      {}", BudgetLeft(retry, budget))
        }
    }
}

fn write_text(
    system: &mut dyn System,
    term: Term,
    now: Now,
    traffic: &TrafficController,
    scope: &ScopeView<'_>,
) -> fmt::Result {
    writeln!(system, "{}", term.paint(Style::Name, RouteName(scope.name)))?;
    let stats = &scope.stats;
    match scope.breaker {
        None => writeln!(system, "  breaker     none")?,
        Some(spec) => {
            write!(system, "  breaker     {}", term.paint(style_of(scope.state), Standing::of(scope)))?;
            match (scope.state, stats.open_until) {
                (BreakerState::Open, Some(until)) => {
                    writeln!(system, ", for another {}", Humanized(until.since(now.instant)))?;
                }
                _ => writeln!(system)?,
            }
            write_terms(system, spec)?;
            writeln!(system, "  {:<11} {}", what_is_seen(scope), InWindow(scope))?;
            writeln!(
                system,
                "  results     {}   {}   {} slow   {} too late",
                Counted(stats.successes, "success", "successes"),
                Counted(stats.failures, "failure", "failures"),
                Grouped(stats.slow),
                Grouped(stats.stale)
            )?;
            writeln!(
                system,
                "  opened      {}   refused {}   would refuse {}",
                Grouped(stats.opened),
                Grouped(stats.refused),
                Grouped(stats.would_refuse)
            )?;
        }
    }
    write_retries(system, scope.retry, scope.budget)?;
    let counters = &scope.counters;
    writeln!(
        system,
        "  calls       {}   allowed {}   denied {}   by the breaker {}",
        Grouped(counters.requests),
        Grouped(counters.allowed),
        Grouped(counters.denied),
        Grouped(counters.broken)
    )?;
    writeln!(system, "  answers     {}", Answers(counters))?;
    writeln!(
        system,
        "  advised     {}   outcome unknown {}",
        Counted(counters.retries, "retry", "retries"),
        Grouped(counters.lost)
    )?;
    let changes = || traffic.transitions().since(0).filter(|notice| notice.scope.as_str() == scope.name);
    let skipped = changes().count().saturating_sub(SHOWN_CHANGES_MAX);
    for notice in changes().skip(skipped) {
        let change = notice.transition;
        let ago = Ago(now.instant.since(change.at));
        writeln!(system, "  {:<9} to {:<9} {ago}: {}", change.from, change.to, change.why)?;
    }
    Ok(())
}

/// What stands before [`InWindow`]: only a breaker that goes by rates has a window.
fn what_is_seen(scope: &ScopeView<'_>) -> &'static str {
    match (scope.state, scope.breaker.and_then(|spec| spec.window.rates())) {
        (BreakerState::HalfOpen, _) => "probes",
        (_, None) => "in a row",
        (_, Some(_)) => "window",
    }
}

/// Writes a scope as an object.
pub(super) fn write_object(system: &mut dyn System, now: Now, scope: &ScopeView<'_>) -> fmt::Result {
    let (stats, counters) = (&scope.stats, &scope.counters);
    let open_for = stats.open_until.filter(|_| scope.state == BreakerState::Open);
    let mut object = ObjectWriter::begin(system)?
        .display("scope", RouteName(scope.name))?
        .optional_string("breaker", scope.breaker.map(|_| scope.state.word()))?
        .optional_string("mode", scope.breaker.map(|spec| spec.mode.word()))?
        .optional_string("by_hand", scope.breaker.map(|_| scope.by_hand.word()))?
        .optional_integer("open_for_ns", open_for.map(|until| until.since(now.instant).0))?
        .integer("opened", stats.opened)?
        .integer("opens_in_a_row", stats.opens_in_a_row.into())?
        .integer("consecutive_failures", stats.consecutive_failures.into())?
        .integer("window_calls", stats.window_total.into())?
        .integer("window_failures", stats.window_failed.into())?
        .integer("window_slow", stats.window_slow.into())?
        .integer("probes_out", stats.permits_out.into())?
        .integer("successes", stats.successes)?
        .integer("failures", stats.failures)?
        .integer("slow", stats.slow)?
        .integer("stale", stats.stale)?
        .integer("refused", stats.refused)?
        .integer("would_refuse", stats.would_refuse)?
        .integer("requests", counters.requests)?
        .integer("allowed", counters.allowed)?
        .integer("denied", counters.denied)?;
    for (name, count) in STATUS_MEMBERS.into_iter().zip(counters.by_class) {
        object = object.integer(name, count)?;
    }
    let left = scope.retry.map(|spec| scope.budget.left_milli(spec).into());
    object
        .integer("status_429", counters.throttled)?
        .integer("errors", counters.errors)?
        .integer("retries", counters.retries)?
        .integer("lost", counters.lost)?
        .optional_string("backoff", scope.retry.map(|spec| spec.backoff.word()))?
        .optional_integer("attempts", scope.retry.map(|spec| spec.attempts.into()))?
        .optional_integer("budget_milli", left)?
        .optional_integer("budget_max_milli", scope.retry.map(|spec| spec.budget_milli.into()))?
        .end()
}

/// The members for answers by the hundreds of their status.
pub(super) const STATUS_MEMBERS: [&str; 5] =
    ["status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx"];

/// What became of calls that were made: `2xx 10   4xx 2 (429: 1)   5xx 3   no answer 1`.
pub(super) struct Answers<'a>(pub(super) &'a CallCounters);

impl fmt::Display for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, successful, redirected, client_errors, server_errors] = self.0.by_class;
        write!(f, "2xx {}   3xx {}", Grouped(successful), Grouped(redirected))?;
        write!(f, "   4xx {} (429: {})", Grouped(client_errors), Grouped(self.0.throttled))?;
        write!(f, "   5xx {}   none {}", Grouped(server_errors), Grouped(self.0.errors))
    }
}

/// What opens a breaker.
struct OpensWhen<'a>(&'a BreakerSpec);

impl fmt::Display for OpensWhen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.window {
            BreakerWindow::Consecutive { failures, .. } => write!(f, "after {failures} failures in a row")?,
            BreakerWindow::Count { calls, .. } => write!(f, "by the last {calls} calls")?,
            BreakerWindow::Time { span, .. } => write!(f, "by the calls of the last {}", Humanized(*span))?,
        }
        if let Some(rates) = self.0.window.rates() {
            write!(f, ": {} failures", Percent(rates.failure_ppm))?;
            if let Some(slow) = rates.slow_call {
                write!(f, ", or {} that take {}", Percent(rates.slow_ppm), Humanized(slow))?;
            }
            write!(f, ", of at least {}", rates.min_calls)?;
        }
        write!(f, "; for {}, at most {}", Humanized(self.0.open_time), Humanized(self.0.open_time_max))
    }
}

/// What closes a breaker.
struct ClosesWhen<'a>(&'a BreakerSpec);

impl fmt::Display for ClosesWhen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.window, self.0.window.rates()) {
            (BreakerWindow::Consecutive { successes, .. }, _) => {
                write!(f, "after {successes} successes in a row")?;
            }
            (_, Some(rates)) => write!(f, "by {} calls that are within the rates", rates.probes)?,
            (_, None) => {}
        }
        write!(f, "; a probe is given up after {}", Humanized(self.0.permit_timeout))
    }
}

/// What a breaker looks at, as it stands.
struct InWindow<'a>(&'a ScopeView<'a>);

impl fmt::Display for InWindow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.0.stats;
        let rates = self.0.breaker.and_then(|spec| spec.window.rates());
        match (self.0.state, rates) {
            (BreakerState::HalfOpen, _) => write!(
                f,
                "{} answered, {} failed, {} under way",
                stats.window_total, stats.window_failed, stats.permits_out
            ),
            (_, None) => Counted(stats.consecutive_failures.into(), "failure", "failures").fmt(f),
            (_, Some(_)) => write!(
                f,
                "{} calls, {} failed, {} slow",
                stats.window_total, stats.window_failed, stats.window_slow
            ),
        }
    }
}

/// What a retry policy does.
struct Repeats<'a>(&'a RetrySpec);

impl fmt::Display for Repeats<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.0;
        let (initial, most) = (Humanized(spec.initial_delay), Humanized(spec.max_delay));
        match spec.backoff {
            Backoff::None => return f.write_str("nothing is repeated"),
            Backoff::Exponential { base_milli, jitter_ppm } => {
                let (base, jitter) = (Thousandths(base_milli), Percent(jitter_ppm));
                write!(f, "{initial}, times {base} each, at most {most}, jitter {jitter}")?;
            }
            Backoff::Decorrelated => write!(f, "{initial} to three times the last, at most {most}")?,
        }
        write!(f, "; {} attempts", spec.attempts)?;
        if spec.give_up_after != Nanos::ZERO {
            write!(f, " within {}", Humanized(spec.give_up_after))?;
        }
        Ok(())
    }
}
