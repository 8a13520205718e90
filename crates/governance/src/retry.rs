//! Whether a call that failed is made again, when, and why not.
//!
//! [`RetrySpec::decide`] is a pure function of the attempt that ended, of the retry budget of the scope and of one random
//! number, so that equal seeds give equal decisions. [`RetryBudget`] is what keeps retries from adding to an outage: where
//! more than a few of a hundred calls fail, none is repeated. A failure is taken from it when the retry is decided, not
//! when it is sent, so that retries which wait are counted.
//!
//! Sources: M. Brooker, "Exponential Backoff And Jitter" (the decorrelated form, with the cap taken before the draw, so
//! that delays do not pile up on it); gRFC A6, "gRPC Retry Design" (the budget in thousandths of a token).

mod backoff;
mod draft;

pub use draft::{RETRY_FIELDS, RetryDraft};

use crate::field::{Problem, SpecError};
use crate::scope::{Kind, Pattern, Scope};
use crate::time::Nanos;
use core::fmt;

/// Thousandths of a token that a failed call takes from the budget.
pub const BUDGET_FAILURE_MILLI: u32 = 1_000;
/// Thousandths of a token that a successful call gives back.
pub const BUDGET_SUCCESS_MILLI: u32 = 100;
/// The smallest budget in tokens: of a smaller one, a failure leaves no more than half, and there would be no retry.
pub const BUDGET_MIN: u32 = 3;
/// The largest budget in tokens.
pub const BUDGET_MAX: u32 = 1_000_000;
/// The most attempts that can be configured.
pub const ATTEMPTS_MAX: u32 = 1_000_000;
/// The shortest delay that can be configured.
pub const DELAY_MIN: Nanos = Nanos::from_millis(1);
/// The longest delay that can be configured: a day.
pub const DELAY_MAX: Nanos = Nanos::from_seconds(86_400);
/// The least base of the exponential form, in thousandths: the delay stays the same.
pub const BASE_MILLI_MIN: u32 = 1_000;
/// The largest base of the exponential form, in thousandths.
pub const BASE_MILLI_MAX: u32 = 100_000;
/// All of a delay, in parts of a million.
const PPM: u32 = 1_000_000;

/// How delays grow from one attempt to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// Nothing is repeated.
    #[default]
    None,
    /// The n-th delay is the first one times base^(n-1), at most the longest one; then up to a part of it is taken off.
    Exponential {
        /// The base in thousandths, [`BASE_MILLI_MIN`] to [`BASE_MILLI_MAX`].
        base_milli: u32,
        /// The most that is taken off, in parts of a million, at most 1 000 000.
        jitter_ppm: u32,
    },
    /// Between the first delay and three times the one before, or the longest one if that is less; each is equally likely.
    Decorrelated,
}

impl Backoff {
    /// The words that users write.
    pub const WORDS: [&'static str; 3] = ["exponential", "decorrelated", "none"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exponential { .. } => "exponential",
            Self::Decorrelated => "decorrelated",
        }
    }
}

/// How calls of a scope are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySpec {
    /// `route:PROVIDER:METHOD`, or `route:*` for each route by itself.
    pub scope: Scope,
    /// How delays grow.
    pub backoff: Backoff,
    /// How often a call is made all in all, the first time included; 1 to [`ATTEMPTS_MAX`].
    pub attempts: u32,
    /// The first delay, and the shortest one of the decorrelated form; [`DELAY_MIN`] to [`DELAY_MAX`].
    pub initial_delay: Nanos,
    /// No delay is longer; from `initial_delay` to [`DELAY_MAX`].
    pub max_delay: Nanos,
    /// No attempt begins later than this after the first one; zero if that does not matter.
    pub give_up_after: Nanos,
    /// The whole budget in thousandths of a token: whole tokens from 1 to [`BUDGET_MAX`].
    pub budget_milli: u32,
}

impl RetrySpec {
    /// All-zero: what fills a place where no policy is. It repeats nothing.
    pub const EMPTY: Self = Self {
        scope: Scope { kind: Kind::Service, pattern: Pattern::Any },
        backoff: Backoff::None,
        attempts: 0,
        initial_delay: Nanos::ZERO,
        max_delay: Nanos::ZERO,
        give_up_after: Nanos::ZERO,
        budget_milli: 0,
    };

    /// Whether every value is in range.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not, in the order of [`RETRY_FIELDS`].
    pub fn check(&self) -> Result<(), SpecError> {
        draft::check(self)
    }

    /// What is to be done after an attempt has ended. `random` is any number; equal ones give equal decisions.
    ///
    /// It changes nothing, and expects that the attempt has been recorded: see [`RetryBudget::record`].
    #[must_use]
    pub fn decide(&self, attempt: &Attempt, budget: &RetryBudget, random: u64) -> RetryDecision {
        match self.next(attempt, budget, random) {
            Ok(after) => RetryDecision::Retry { after, attempt: attempt.number.max(1).saturating_add(1) },
            Err(why) => RetryDecision::GiveUp(why),
        }
    }

    fn next(&self, attempt: &Attempt, budget: &RetryBudget, random: u64) -> Result<Nanos, GiveUp> {
        match attempt.answer.meaning() {
            Meaning::Success => return Err(GiveUp::Succeeded),
            Meaning::Final => return Err(GiveUp::NotRetriable),
            Meaning::Retriable => {}
        }
        let delay = self.delay(attempt, random).ok_or(GiveUp::Disabled)?;
        if attempt.number >= self.attempts {
            return Err(GiveUp::AttemptsExhausted);
        }
        let asked = attempt.retry_after.unwrap_or(Nanos::ZERO);
        if asked > self.max_delay {
            return Err(GiveUp::RetryAfterAboveCap);
        }
        let after = delay.max(asked);
        if self.give_up_after != Nanos::ZERO
            && attempt.elapsed.0.saturating_add(after.0) > self.give_up_after.0
        {
            return Err(GiveUp::TimeExhausted);
        }
        if budget.allows(self) { Ok(after) } else { Err(GiveUp::BudgetExhausted) }
    }
}

/// Why a call got no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallError {
    /// None came in time.
    #[default]
    Timeout,
    /// The other side could not be reached.
    Connect,
    /// The other side broke off.
    Reset,
}

impl CallError {
    /// The words that users write.
    pub const WORDS: [&'static str; 3] = ["timeout", "connect", "reset"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Reset => "reset",
        }
    }

    /// The error that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Timeout, Self::Connect, Self::Reset].into_iter().find(|error| error.word() == word)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status.
    Status(u16),
    /// Nothing.
    Error(CallError),
}

/// What an answer means for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A status from 100 to 399.
    Success,
    /// The same call would be answered the same: a status of 4xx but 408 and 429, 501, 505, or none that there is.
    Final,
    /// Another attempt may succeed: 408, 429, 5xx but 501 and 505, and every [`CallError`].
    Retriable,
}

impl Answer {
    /// What it means for a retry.
    #[must_use]
    pub const fn meaning(self) -> Meaning {
        match self {
            Self::Status(100..=399) => Meaning::Success,
            Self::Status(501 | 505) => Meaning::Final,
            Self::Status(408 | 429 | 500..=599) | Self::Error(_) => Meaning::Retriable,
            Self::Status(_) => Meaning::Final,
        }
    }
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which one it was, from 1; 0 is taken for 1.
    pub number: u32,
    /// What it was answered.
    pub answer: Answer,
    /// How long ago the first attempt began.
    pub elapsed: Nanos,
    /// How long to wait at least, where the answer says so.
    pub retry_after: Option<Nanos>,
    /// How long was waited before this attempt; none for the first one.
    pub previous_delay: Option<Nanos>,
}

/// What is to be done after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again.
    Retry {
        /// After this long.
        after: Nanos,
        /// The number of that attempt.
        attempt: u32,
    },
    /// Do not try again.
    GiveUp(GiveUp),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GiveUp {
    /// There is nothing to repeat.
    #[default]
    Succeeded,
    /// The same call would be answered the same.
    NotRetriable,
    /// The policy of the scope repeats nothing.
    Disabled,
    /// It was the last attempt.
    AttemptsExhausted,
    /// The answer asks for a longer wait than the longest delay.
    RetryAfterAboveCap,
    /// The next attempt would begin too late.
    TimeExhausted,
    /// Too many calls of the scope have failed.
    BudgetExhausted,
    /// The breaker of the scope would refuse it.
    BreakerOpen,
}

impl GiveUp {
    /// The word for it in tables and exports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::NotRetriable => "not-retriable",
            Self::Disabled => "disabled",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::RetryAfterAboveCap => "retry-after-above-cap",
            Self::TimeExhausted => "time-exhausted",
            Self::BudgetExhausted => "budget-exhausted",
            Self::BreakerOpen => "breaker-open",
        }
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Succeeded => "the call succeeded",
            Self::NotRetriable => "the same call would be answered the same",
            Self::Disabled => "nothing is repeated in this scope",
            Self::AttemptsExhausted => "it was the last attempt",
            Self::RetryAfterAboveCap => "the answer asks for a longer wait than max_delay",
            Self::TimeExhausted => "the next attempt would begin later than give_up_after",
            Self::BudgetExhausted => "half of the retry budget is used up",
            Self::BreakerOpen => "the breaker would refuse it for longer than max_delay",
        })
    }
}

/// How much of the retry budget of a scope is used. All-zero when all of it is there.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::retry::{Answer, RetryBudget, RetryDraft};
/// let mut draft = RetryDraft::default();
/// draft.set("scope", FieldValue::Text("route:openai:post")).unwrap();
/// let spec = draft.finish().unwrap();
/// let mut budget = RetryBudget::EMPTY;
/// for _ in 0..5 {
///     assert!(budget.allows(&spec));
///     budget.record(&spec, Answer::Status(503));
/// }
/// assert!(!budget.allows(&spec), "five of ten tokens are left, which is not more than half");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryBudget {
    /// Thousandths of a token that are used.
    used_milli: u32,
}

impl RetryBudget {
    /// All of the budget is there.
    pub const EMPTY: Self = Self { used_milli: 0 };

    /// Records what a call was answered, before it is decided whether to repeat it. What could be repeated takes
    /// [`BUDGET_FAILURE_MILLI`], what succeeded gives [`BUDGET_SUCCESS_MILLI`] back, and nothing else changes it.
    pub fn record(&mut self, spec: &RetrySpec, answer: Answer) {
        self.used_milli = match answer.meaning() {
            Meaning::Success => self.used_milli.saturating_sub(BUDGET_SUCCESS_MILLI),
            Meaning::Retriable => self.used_milli.saturating_add(BUDGET_FAILURE_MILLI),
            Meaning::Final => self.used_milli,
        }
        .min(spec.budget_milli);
    }

    /// Whether a retry may be made: whether more than half of the budget is there.
    #[must_use]
    pub const fn allows(&self, spec: &RetrySpec) -> bool {
        self.left_milli(spec) > spec.budget_milli / 2
    }

    /// How much is there, in thousandths of a token.
    #[must_use]
    pub const fn left_milli(&self, spec: &RetrySpec) -> u32 {
        spec.budget_milli.saturating_sub(self.used_milli)
    }
}

/// The problem of a value that is not in its range.
fn outside(field: &'static str, expected: &'static str) -> SpecError {
    SpecError { field, problem: Problem::Expected(expected) }
}

#[cfg(test)]
mod tests;
