//! What operators see of the rules.

use super::notice::AlertBound;
use super::rule::{AlertCondition, AlertRule};
use super::standing::AlertState;
use crate::time::WallTime;

/// A rule and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertView {
    /// The rule.
    pub rule: AlertRule,
    /// Where it stands.
    pub state: AlertState,
    /// Since when: of a rule that is pending or fires, since when the metric is across; of a quiet one, since when it is
    /// quiet, which is 1970 for one that has always been.
    pub since: WallTime,
    /// The metric's value when it was last known, in the unit of [`super::AlertMetric`]; print it as
    /// [`super::MetricValue`].
    pub value: Option<i128>,
    /// What the value is compared with. For an objective, the pair of windows that is the most urgent of those that
    /// are lit.
    pub bound: AlertBound,
}

impl AlertView {
    /// The threshold, in the metric's unit: of an objective, in thousandths of a burn rate.
    #[must_use]
    pub const fn threshold(&self) -> i128 {
        match self.rule.condition {
            AlertCondition::Above(threshold) | AlertCondition::Below(threshold) => threshold,
            AlertCondition::Objective(_) => self.bound.threshold(),
        }
    }
}

/// What is counted of all rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertStats {
    /// How many rules there are.
    pub rules: usize,
    /// How many of them have an objective.
    pub objectives: usize,
    /// How many are pending.
    pub pending: usize,
    /// How many fire.
    pub firing: usize,
    /// How often the rules were looked at.
    pub evaluations: u64,
    /// How often a rule had no data. Nothing goes on for it then, and nothing is over.
    pub without_data: u64,
    /// Notices that a rule fires, or escalates.
    pub fired: u64,
    /// Notices that a rule has cleared.
    pub cleared: u64,
    /// Times that a rule fired and kept still at first, since its cooldown was not over.
    pub suppressed: u64,
}
