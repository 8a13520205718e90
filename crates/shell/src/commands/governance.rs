//! `governance`: everything that is measured, and what it is held against.

mod alerts;
mod correlate;
mod export;
mod metrics;
mod percentiles;
mod ranking;
mod timeline;
mod top;

pub(super) use alerts::{alerts, threshold};
pub(super) use correlate::correlate;
pub(super) use export::export;
pub(super) use metrics::metrics;
pub(super) use percentiles::percentiles;
pub(super) use timeline::timeline;

use super::books::Books;
use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::engine::Governor;
use crate::term::Style;
use core::fmt;
use governance::time::Now;

/// Shows everything at once, or the services or tenants that have the most.
pub(super) fn top(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    match invocation.positional(0) {
        Some(word) => ranking::ranking(context, invocation, word),
        None => top::top(context, invocation),
    }
}

/// What is looked at, as `from=` says: where it is not given, what is live, or the last replay as long as nothing was
/// measured live. It goes on to the present first. A report for people begins with a line that says so where it is of a
/// replay.
fn measured(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<(Books, Now), Failed> {
    let measured = measured_for_programs(context, invocation)?;
    if !invocation.flag("json") {
        context.say_if_replayed(measured.0)?;
        if measured.0 == Books::Replay && context.engine.replay.metrics.totals().denied > 0 {
            let only = "answers, errors and latencies are of those that were let through";
            writeln!(context.system, "{}", context.term.paint(Style::Dim, only))?;
        }
    }
    Ok(measured)
}

/// The same, without a line that says so.
fn measured_for_programs(
    context: &mut Context<'_>,
    invocation: &Invocation<'_>,
) -> Result<(Books, Now), Failed> {
    let is_untouched = |governor: &Governor| governor.metrics.totals().is_empty();
    let books = context.books_unless_untouched(invocation, is_untouched)?;
    let now = context.now_of(books);
    match books {
        Books::Live => context.engine.live.tick(now),
        Books::Replay => {}
    }
    books.of_mut(context.engine).metrics.advance(now);
    Ok((books, now))
}

/// A value, or a dash where there is none.
struct OrDash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
