//! What the collector is told.

use crate::money::NanoUnits;
use crate::policy::RuleId;
use crate::quota::QuotaUnit;
use crate::scope::{KeyHash, Kind, NameRef};
use crate::time::{Nanos, Now};
use core::fmt;

/// The families of what is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GovernanceMetric {
    /// Requests that were decided.
    #[default]
    RateLimitEvents,
    /// Quotas and budgets that spoke for a decision.
    QuotaViolations,
    /// Policies that spoke for a decision.
    PolicyEnforcements,
    /// What requests cost.
    CostTracking,
}

impl GovernanceMetric {
    /// Every family.
    pub const ALL: [Self; 4] =
        [Self::RateLimitEvents, Self::QuotaViolations, Self::PolicyEnforcements, Self::CostTracking];

    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RateLimitEvents => "rate-limit",
            Self::QuotaViolations => "quota",
            Self::PolicyEnforcements => "policy",
            Self::CostTracking => "cost",
        }
    }

    /// The family that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.word() == word)
    }
}

impl fmt::Display for GovernanceMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A key and its name. Who has the hash of a name under the secret of the boot need not compare names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The hash of kind and name.
    pub hash: KeyHash,
    /// The name.
    pub name: NameRef<'a>,
}

/// Whose request it is, and where its latency is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured<'a> {
    /// The service that is called.
    pub service: Option<Key<'a>>,
    /// The tenant that calls.
    pub tenant: Option<Key<'a>>,
    /// Whose latency it is: the request's route, else its service, else its group.
    pub scope: Option<(Kind, Key<'a>)>,
    /// Tokens that were charged or reserved for it.
    pub tokens: u64,
    /// What was charged for it at once; nothing if that was only reserved.
    pub charged: NanoUnits,
}

/// A service and a tenant. By reference: a copy would wait until what it copies is written.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) service: Option<&'a Key<'a>>,
    pub(super) tenant: Option<&'a Key<'a>>,
}

/// Where a request was counted, so that its outcome is counted there too. All-zero, and after a reset, it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureId {
    /// How often the collector had been reset.
    pub(super) epoch: u32,
    /// The series' number plus one, or one more than all of them for the overflow series; 0 is none.
    pub(super) series: u16,
    /// The latency scope's number plus one; 0 is none of its own.
    pub(super) scope: u8,
    /// The hash of its service; zero if it names none.
    pub(super) service: KeyHash,
}

impl MeasureId {
    /// The hash of the service that the request was for; none if it named none.
    pub(crate) fn service(self) -> Option<KeyHash> {
        (self.service != KeyHash(0)).then_some(self.service)
    }

    /// Says nothing: all-zero.
    pub const NONE: Self = Self { epoch: 0, series: 0, scope: 0, service: KeyHash(0) };
}

/// Whether a request that was let through succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutcomeResult {
    /// It did.
    #[default]
    Success,
    /// It did not: it counts as an error.
    Failure,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeReport {
    /// The status of the answer, 100 to 599; none where there was no answer.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub latency_us: Option<u64>,
    /// Whether it succeeded.
    pub result: OutcomeResult,
    /// What it cost beyond the price that its decision bore; negative where it cost less.
    pub cost_delta: NanoUnits,
    /// Tokens that it took beyond those of its decision; negative where it took fewer.
    pub tokens_delta: i64,
}

/// Requests of a service and a tenant that were decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitMetric<'a> {
    /// The service that is called.
    pub service_id: Option<Key<'a>>,
    /// The tenant that calls.
    pub tenant_id: Option<Key<'a>>,
    /// When.
    pub timestamp: Now,
    /// How many were allowed.
    pub allowed: u64,
    /// How many were denied.
    pub denied: u64,
    /// Tokens that they took.
    pub tokens_used: u64,
    /// How long they were told to wait, all together.
    pub wait_time: Nanos,
}

/// A quota or a budget that spoke for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaMetric<'a> {
    /// The tenant whose request it was.
    pub tenant_id: Option<Key<'a>>,
    /// When.
    pub timestamp: Now,
    /// What the quota counts; none where it is not known.
    pub quota_type: Option<QuotaUnit>,
    /// What is used and reserved.
    pub usage: u64,
    /// How much there is.
    pub limit: u64,
    /// How much of it that is, in whole percent, rounded down.
    pub percent_utilized: u64,
    /// Whether the request was refused by it.
    pub standing: QuotaEvent,
}

/// What a quota said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaEvent {
    /// There is room.
    #[default]
    WithinQuota,
    /// There is none, and the request was refused.
    Violation,
}

/// Policies that spoke for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyMetric {
    /// The policy that spoke; none where it was the default.
    pub policy_id: Option<RuleId>,
    /// When.
    pub timestamp: Now,
    /// How often it matched.
    pub matches: u64,
    /// How often it denied.
    pub denials: u64,
    /// How often it raised an alert.
    pub alerts: u64,
    /// How long that took; zero where nobody measured it.
    pub enforcement_time: Nanos,
}

/// A cost that was charged to a service and a tenant: the seed's `CostMetric`, which in [`crate::cost`] is what a price
/// is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostEvent<'a> {
    /// The service that was used.
    pub service_id: Option<Key<'a>>,
    /// The tenant that is charged.
    pub tenant_id: Option<Key<'a>>,
    /// When.
    pub timestamp: Now,
    /// How much; negative for a credit.
    pub cost_amount: NanoUnits,
    /// What it was charged for.
    pub metric_type: CostSource,
}

/// What a cost was charged for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostSource {
    /// A request, when it was decided.
    #[default]
    Decision,
    /// What a request took beyond that, or less.
    Outcome,
    /// Usage that was measured elsewhere.
    UsageEvent,
}

impl CostSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Decision, Self::Outcome, Self::UsageEvent];
    /// How many there are.
    pub(super) const COUNT: usize = Self::ALL.len();

    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::UsageEvent => "usage-event",
        }
    }
}
