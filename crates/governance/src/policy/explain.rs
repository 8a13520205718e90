//! Why a decision is what it is, policy by policy.

use super::condition::Attribute;
use super::decision::PolicyDecision;
use super::rule::PolicyRule;
use super::set::RuleId;
use super::{PolicyContext, PolicyEngine};
use crate::mode::Mode;

/// How a policy stands to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRole {
    /// It speaks.
    Decides,
    /// It matches, and another one speaks, or the default.
    Matches,
    /// It is in shadow mode, and matches.
    WouldMatch,
    /// It does not match on this attribute, the first one.
    Misses(Attribute),
    /// It is disabled.
    Disabled,
}

impl PolicyEngine {
    /// Calls `each` with every policy, by precedence, and how it stands to a request. Gives what would be decided;
    /// nothing is counted.
    pub fn explain(
        &self,
        context: &PolicyContext<'_>,
        each: &mut dyn FnMut(RuleId, &PolicyRule, RuleRole),
    ) -> PolicyDecision {
        let decision = self.peek(context);
        for (id, rule) in self.list_policies() {
            let role = if !rule.enabled {
                RuleRole::Disabled
            } else if decision.decider == Some(id) {
                RuleRole::Decides
            } else {
                match (rule.condition.mismatch(context), rule.mode) {
                    (Some(attribute), _) => RuleRole::Misses(attribute),
                    (None, Mode::Enforce) => RuleRole::Matches,
                    (None, Mode::Shadow) => RuleRole::WouldMatch,
                }
            };
            each(id, rule, role);
        }
        decision
    }
}
