//! The vocabulary of quotas.

use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

use crate::calendar::Cycle;
use crate::oracle::call::Usage;
use crate::oracle::rule::{Kind, Limit, Pattern};

/// One quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The name, unique among all quotas.
    pub name: String,
    /// The kind of its scope.
    pub kind: Kind,
    /// The names of its scope.
    pub pattern: Pattern,
    /// What it counts.
    pub counted: Counted,
    /// How much of it fits a period.
    pub limit: u64,
    /// How long its periods are.
    pub cycle: Cycle,
    /// Where period 0 begins.
    pub anchor_ns: u64,
    /// How much of the limit may be carried into the next period, in percent: 0 to 10.
    pub rollover_percent: u64,
    /// What happens to requests for which there is no room.
    pub enforcement: Enforcement,
    /// Whether it counts for real.
    pub mode: Mode,
    /// The quota above it, by name.
    pub parent: Option<String>,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Requests.
    Requests,
    /// Bytes.
    Bytes,
    /// Tokens.
    Tokens,
    /// Milliseconds of computing.
    ComputeMs,
    /// Requests that failed.
    Errors,
    /// The 99th percentile of answering times; the limit is in milliseconds.
    LatencyP99,
    /// Nano-units of money.
    Cost,
}

/// What happens to requests for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// They are refused.
    Hard,
    /// They are counted.
    Soft,
}

/// Whether a quota counts for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It only counts what it would have refused.
    Shadow,
}

/// What a request takes, in everything that quotas count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// By itself.
    pub usage: Usage,
    /// In money, in nano-units.
    pub cost_nano: BigInt,
}

impl Amounts {
    /// Usage that costs nothing.
    #[must_use]
    pub fn free(usage: Usage) -> Self {
        Self { usage, cost_nano: BigInt::zero() }
    }

    /// The amount in what a quota counts; nothing of what is only known afterwards. Money that is given back
    /// is no amount, but [`Amounts::back`].
    ///
    /// # Panics
    /// If the cost is 2^128 nano-units or more.
    #[must_use]
    pub fn of(&self, counted: Counted) -> u128 {
        match counted {
            Counted::Requests => self.usage.requests.into(),
            Counted::Bytes => self.usage.bytes.into(),
            Counted::Tokens => self.usage.tokens.into(),
            Counted::ComputeMs => self.usage.compute_ms.into(),
            Counted::Errors | Counted::LatencyP99 => 0,
            Counted::Cost => {
                let cost = (&self.cost_nano).max(&BigInt::ZERO);
                cost.to_u128().expect("less money than 128 bits can say")
            }
        }
    }

    /// What is given back in what a quota counts: money, where the price of earlier requests has fallen.
    ///
    /// # Panics
    /// If it is 2^128 nano-units or more.
    #[must_use]
    pub fn back(&self, counted: Counted) -> u128 {
        let given = Self { cost_nano: -&self.cost_nano, ..Self::default() };
        if counted == Counted::Cost { given.of(counted) } else { 0 }
    }
}

impl Counted {
    /// Whether it is known only when a request is done.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        matches!(self, Self::Errors | Self::LatencyP99)
    }
}

impl Quota {
    /// A hard and enforced quota for `scope`, written `kind:name` or `kind:*`, named by it, without rollover and
    /// counted from 1970.
    ///
    /// # Panics
    /// If `scope` has no known kind.
    #[must_use]
    pub fn on(scope: &str, counted: Counted, limit: u64, cycle: Cycle) -> Self {
        let Limit { name, kind, pattern, .. } = Limit::on(scope, crate::oracle::Algorithm::Unlimited);
        Self {
            name,
            kind,
            pattern,
            counted,
            limit,
            cycle,
            anchor_ns: 0,
            rollover_percent: 0,
            enforcement: Enforcement::Hard,
            mode: Mode::Enforce,
            parent: None,
        }
    }

    /// The most that a period with this limit begins with beside it.
    pub(super) fn share(&self, limit: u64) -> u128 {
        u128::from(limit) * u128::from(self.rollover_percent) / 100
    }

    /// The same quota under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same quota below another.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.parent = Some(parent.to_owned());
        self
    }
}
