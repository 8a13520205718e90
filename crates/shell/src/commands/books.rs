//! Which books a report is of: the live ones, or those of the last replay.

use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::engine::{Engine, Governor};
use crate::term::{Printable, Style};
use governance::time::Now;

/// The governor whose quotas and costs are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Books {
    /// The one whose decisions count.
    Live,
    /// The one that has replayed a log.
    Replay,
}

impl Books {
    /// The word that users write.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay => "replay",
        }
    }

    /// The governor with these books.
    pub(super) const fn of(self, engine: &Engine) -> &Governor {
        match self {
            Self::Live => &engine.live,
            Self::Replay => &engine.replay,
        }
    }

    /// The governor with these books.
    pub(super) const fn of_mut(self, engine: &mut Engine) -> &mut Governor {
        match self {
            Self::Live => &mut engine.live,
            Self::Replay => &mut engine.replay,
        }
    }
}

impl Context<'_> {
    /// The books that `from=` names. Where it is not given they are the live ones, or, while nothing was charged to
    /// those, the last replay's. A report for people begins with a line that says so where they are a replay's.
    pub(super) fn books(&mut self, invocation: &Invocation<'_>) -> Result<Books, Failed> {
        let books = self.books_for_programs(invocation)?;
        let is_for_programs = invocation.flag("json") || invocation.get("format").is_some();
        if !is_for_programs {
            self.say_if_replayed(books)?;
        }
        Ok(books)
    }

    /// Says where books are a replay's, and of what.
    pub(super) fn say_if_replayed(&mut self, books: Books) -> Outcome {
        if books == Books::Live {
            return Ok(());
        }
        let replayed = self.engine.replayed;
        let of = Printable(replayed.as_str());
        let until = self.engine.replayed_until.wall;
        Ok(writeln!(
            self.system,
            "{}",
            self.term.paint(Style::Dim, format_args!("replay of {of}, up to {until}"))
        )?)
    }

    /// The same, without a line that says so.
    pub(super) fn books_for_programs(&mut self, invocation: &Invocation<'_>) -> Result<Books, Failed> {
        self.books_unless_untouched(invocation, is_untouched)
    }

    /// The books that `from=` names. Where it is not given they are the last replay's as long as the live ones are
    /// untouched.
    pub(super) fn books_unless_untouched(
        &mut self,
        invocation: &Invocation<'_>,
        is_untouched: fn(&Governor) -> bool,
    ) -> Result<Books, Failed> {
        let has_replay = !self.engine.replayed.is_empty();
        Ok(match invocation.get("from") {
            Some("live") => Books::Live,
            Some(_) if has_replay => Books::Replay,
            Some(_) => {
                return Err(self.fail(format_args!("there is no replay to look at; replay FILE makes one")));
            }
            None if has_replay && is_untouched(&self.engine.live) => Books::Replay,
            None => Books::Live,
        })
    }

    /// The time by which these books are read.
    pub(super) fn now_of(&mut self, books: Books) -> Now {
        match books {
            Books::Live => self.system.now(),
            Books::Replay => self.engine.replayed_until,
        }
    }
}

/// Whether nothing was charged to a governor's quotas, budgets and accounts.
fn is_untouched(governor: &Governor) -> bool {
    let used = |manager: &governance::quota::QuotaManager<{ crate::engine::TENANTS }>| {
        manager.allocations().any(|(id, _)| {
            manager.get_quota_stats(id).is_ok_and(|stats| stats.allowed + stats.denied + stats.would_deny > 0)
        })
    };
    governor.costs.ledger().totals().is_untouched() && !used(&governor.quotas) && !used(&governor.budgets)
}
