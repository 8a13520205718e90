//! Calls that go out, as `request` and `complete` tell of them: why a breaker refuses, and what an outcome has come to.

use super::attempt::{Advice, AdviceText, write_advice_members};
use super::{Ago, RouteName, Standing, is_shadow, last_change, style_of};
use crate::engine::Governor;
use crate::term::{Style, Term};
use core::fmt;
use governance::breaker::{BreakerRecorded, BreakerState};
use governance::decision::{Decision, Reason};
use governance::export::ObjectWriter;
use governance::time::Now;
use governance::traffic::{CallReport, ScopeView, TrafficController};

/// Why a breaker refuses a call: `breaker route:github:get   open: failures in a row, 18.0 s ago`.
pub(in crate::commands) struct Refusal<'a> {
    pub(in crate::commands) term: Term,
    pub(in crate::commands) governor: &'a Governor,
    pub(in crate::commands) now: Now,
    pub(in crate::commands) decision: &'a Decision,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { term, governor, now, decision } = self;
        let Some(scope) = decision.scope.and_then(|id| governor.traffic.scope(now.instant, id)) else {
            return write!(f, "   {}", decision.reason);
        };
        write!(f, "   breaker {}   ", term.paint(Style::Name, RouteName(scope.name)))?;
        if decision.reason == Reason::BreakerHalfOpen {
            let probes = scope.stats.permits_out;
            return write!(f, "half-open: {probes} calls find out whether it may close");
        }
        write!(f, "open")?;
        match last_change(governor, scope.name, BreakerState::Open) {
            Some(notice) => {
                let change = notice.transition;
                write!(f, ": {}, {}", change.why, Ago(now.instant.since(change.at)))
            }
            None => Ok(()),
        }
    }
}

/// What an outcome has come to: what its breaker made of it, and whether it is worth another attempt.
pub(in crate::commands) struct CallText<'a> {
    pub(in crate::commands) term: Term,
    pub(in crate::commands) traffic: &'a TrafficController,
    pub(in crate::commands) now: Now,
    pub(in crate::commands) report: &'a CallReport,
}

impl fmt::Display for CallText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { term, traffic, now, report } = self;
        let Some(scope) = traffic.scope(now.instant, report.scope) else { return Ok(()) };
        match report.breaker {
            None => {}
            Some(BreakerRecorded::Stale) => f.write_str("   too late for its breaker")?,
            Some(BreakerRecorded::Counted(Some(change))) => {
                let to = term.paint(style_of(change.to), change.to);
                let shadow = if is_shadow(&scope) { ", shadow" } else { "" };
                write!(f, "   breaker {} to {to}{shadow}: {}", change.from, change.why)?;
            }
            Some(BreakerRecorded::Counted(None)) => write!(f, "   breaker {}", Standing::of(&scope))?,
        }
        match advice(report, &scope) {
            Some(advice) => write!(f, "   {}", AdviceText { term: *term, advice }),
            None => Ok(()),
        }
    }
}

/// Writes what an outcome has come to as members of an object.
pub(in crate::commands) fn write_call_members<'w, W: fmt::Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    traffic: &TrafficController,
    now: Now,
    report: &CallReport,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let Some(scope) = traffic.scope(now.instant, report.scope) else { return Ok(object) };
    let mut object = object.display("scope", RouteName(scope.name))?;
    object = match report.breaker {
        None => object,
        Some(recorded) => {
            let change = match recorded {
                BreakerRecorded::Counted(change) => change,
                BreakerRecorded::Stale => None,
            };
            object
                .string("breaker", scope.state.word())?
                .boolean("stale_result", recorded == BreakerRecorded::Stale)?
                .optional_string("breaker_change", change.map(|change| change.why.phrase()))?
        }
    };
    match advice(report, &scope) {
        Some(advice) => write_advice_members(object, &advice),
        None => Ok(object),
    }
}

/// What the retry policy of a scope says of an outcome.
fn advice<'a>(report: &CallReport, scope: &ScopeView<'a>) -> Option<Advice<'a>> {
    Some(Advice { decision: report.retry?, spec: scope.retry?, budget: scope.budget })
}
