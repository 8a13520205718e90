//! Statistics by family.

use super::count::Count;
use super::record::CostSource;
use crate::decision::{Reason, Verdict};
use crate::money::NanoUnits;
use crate::quota::QuotaUnit;
use crate::time::Nanos;

/// Requests that were decided, of everybody or of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitStatistics {
    /// How many.
    pub requests: u64,
    /// Those that were allowed, now or later.
    pub allowed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Tokens that they took.
    pub tokens_used: u64,
    /// How long they were told to wait, all together.
    pub wait_time: Nanos,
}

/// Quotas and budgets that spoke for decisions, of everybody or of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaStatistics {
    /// Decisions for which one spoke.
    pub events: u64,
    /// Requests that were refused by one.
    pub violations: u64,
    /// The most of one that was used, in whole percent, as far as
    /// [`record_quota_event`](super::GovernanceCollector::record_quota_event) was told.
    pub highest_percent: u64,
}

/// Policies that spoke for decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyStatistics {
    /// How often one spoke.
    pub matches: u64,
    /// Requests that were denied.
    pub denials: u64,
    /// Those of them that no policy denied: none allowed them, and the default is to deny.
    pub denials_by_default: u64,
    /// How often one raised an alert.
    pub alerts: u64,
    /// How long that took, as far as it was measured.
    pub enforcement_time: Nanos,
}

/// What was charged, of everybody, of a service, of a tenant or of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostStatistics {
    /// How much.
    pub total: NanoUnits,
    /// How much in the present window.
    pub current: NanoUnits,
    /// How much in the window before it.
    pub last: NanoUnits,
}

/// A verdict without its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictKind {
    /// It may go on.
    #[default]
    Allow,
    /// It may go on later.
    Delay,
    /// It waits in a queue.
    Queue,
    /// It goes to another service.
    Redirect,
    /// It is refused.
    Deny,
}

impl VerdictKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Delay, Self::Queue, Self::Redirect, Self::Deny];

    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Delay => "delay",
            Self::Queue => "queue",
            Self::Redirect => "redirect",
            Self::Deny => "deny",
        }
    }
}

impl From<Verdict> for VerdictKind {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Delay(_) => Self::Delay,
            Verdict::Queue(_) => Self::Queue,
            Verdict::Redirect => Self::Redirect,
            Verdict::Deny => Self::Deny,
        }
    }
}

/// Decisions by verdict and reason.
#[derive(Debug)]
pub(super) struct DecisionTable {
    counts: [[u64; Reason::ALL.len()]; VerdictKind::ALL.len()],
}

impl DecisionTable {
    pub(super) const ZERO: Self = Self { counts: [[0; Reason::ALL.len()]; VerdictKind::ALL.len()] };

    #[inline]
    pub(super) fn count(&mut self, verdict: VerdictKind, reason: Reason) {
        self.counts[verdict as usize][reason as usize].count(1);
    }

    pub(super) const fn of(&self, verdict: VerdictKind, reason: Reason) -> u64 {
        self.counts[verdict as usize][reason as usize]
    }

    /// What was counted at least once.
    pub(super) fn each(&self) -> impl Iterator<Item = (VerdictKind, Reason, u64)> + '_ {
        let all = VerdictKind::ALL.into_iter();
        all.flat_map(|verdict| Reason::ALL.into_iter().map(move |reason| (verdict, reason)))
            .map(|(verdict, reason)| (verdict, reason, self.of(verdict, reason)))
            .filter(|(_, _, count)| *count > 0)
    }
}

/// What is counted of quotas, policies and costs beside what series count.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) quota: QuotaStatistics,
    /// Violations of quotas whose unit is known.
    pub(super) by_unit: [u64; QuotaUnit::ALL.len()],
    pub(super) policy: PolicyStatistics,
    pub(super) by_source: [NanoUnits; CostSource::COUNT],
}

impl Families {
    pub(super) const ZERO: Self = Self {
        quota: QuotaStatistics { events: 0, violations: 0, highest_percent: 0 },
        by_unit: [0; QuotaUnit::ALL.len()],
        policy: PolicyStatistics::ZERO,
        by_source: [NanoUnits::ZERO; CostSource::COUNT],
    };
}

impl PolicyStatistics {
    const ZERO: Self =
        Self { matches: 0, denials: 0, denials_by_default: 0, alerts: 0, enforcement_time: Nanos::ZERO };

    #[inline]
    pub(super) fn add(&mut self, other: &Self) {
        self.matches.count(other.matches);
        self.denials.count(other.denials);
        self.denials_by_default.count(other.denials_by_default);
        self.alerts.count(other.alerts);
        self.enforcement_time.0.count(other.enforcement_time.0);
    }
}
