//! What is counted of the calls of a scope.

use crate::outcome::Outcome;

/// What became of calls that go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounters {
    /// Calls that were asked for.
    pub requests: u64,
    /// Calls that may be made.
    pub allowed: u64,
    /// Calls that were refused by the breaker or by what is asked after it. What the guard or a policy refuses is no call.
    pub denied: u64,
    /// Those of them that the breaker refused.
    pub broken: u64,
    /// Answers by the hundreds of their status: 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Answers with status 429, which are counted among 4xx too.
    pub throttled: u64,
    /// Calls that got no answer: timeouts, failed and broken connections.
    pub errors: u64,
    /// Retries that were scheduled.
    pub retries: u64,
    /// Calls of which nobody has told the outcome in time.
    pub lost: u64,
    /// Calls that were made without a ticket, so that nobody tells their outcome: too many others were open.
    pub untold: u64,
}

impl CallCounters {
    /// Nothing.
    pub const ZERO: Self = Self {
        requests: 0,
        allowed: 0,
        denied: 0,
        broken: 0,
        by_class: [0; 5],
        throttled: 0,
        errors: 0,
        retries: 0,
        lost: 0,
        untold: 0,
    };

    /// How many answers there were.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.by_class.iter().sum()
    }

    pub(super) fn count_outcome(&mut self, outcome: &Outcome) {
        match outcome.status {
            Some(status) => {
                if let Some(class) = self.by_class.get_mut(usize::from(status / 100).wrapping_sub(1)) {
                    *class += 1;
                }
                self.throttled += u64::from(status == 429);
            }
            None => self.errors += u64::from(outcome.error.is_some()),
        }
    }
}
