//! The two quotas that every limiter is given.

use std::time::Duration;

/// A bucket of `burst` requests, one of which comes back every `period`.
#[derive(Clone, Copy)]
pub struct Quota {
    /// The word in the report, and what the answers must be.
    pub answer: Answer,
    /// How many requests fit.
    pub burst: u32,
    /// How often one comes back.
    pub period: Duration,
}

/// What the answer to every measured request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may go on.
    Allow,
    /// It is refused.
    Deny,
}

impl Quota {
    /// Never runs out while it is measured.
    pub const AMPLE: Self =
        Self { answer: Answer::Allow, burst: 1_000_000, period: Duration::from_millis(1) };
    /// Has run out once a key was asked about twice. A burst of one would be easier to say, but throttlecrab
    /// forgets such a bucket at once.
    pub const SPENT: Self = Self { answer: Answer::Deny, burst: 2, period: Duration::from_secs(36_000) };

    /// How often each key has to be asked about before the answers are what they are to be.
    pub const fn touches(&self) -> u32 {
        match self.answer {
            Answer::Allow => 1,
            Answer::Deny => self.burst + 1,
        }
    }

    /// Ends the run unless all of so many answers were as they have to be.
    pub fn expect(&self, name: &str, operations: u64, allowed: u64) {
        let expected = if self.answer == Answer::Allow { operations } else { 0 };
        assert_eq!(allowed, expected, "{name}: of {operations} requests, so many were allowed");
    }
}

impl Answer {
    /// The word in the report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}
