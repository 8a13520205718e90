//! What is odd about a set of policies.

use super::PolicyEngine;
use super::set::RuleId;
use super::witness::Witness;
use crate::mode::Mode;

/// What is odd about a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// No request matches it.
    NeverMatches,
    /// Another policy does the same with every request that it matches: removing it changes nothing.
    Subsumed {
        /// The other one.
        by: RuleId,
    },
    /// Every request that it matches is denied by another policy: it can have no effect.
    Shadowed {
        /// The other one.
        by: RuleId,
    },
    /// It allows requests that another policy denies, and others too.
    Contradicts {
        /// The other one.
        other: RuleId,
    },
    /// It redirects to a service from which another policy redirects back.
    RedirectLoop {
        /// The other one.
        other: RuleId,
    },
}

impl FindingKind {
    /// The word that users read.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NeverMatches => "never-matches",
            Self::Subsumed { .. } => "subsumed",
            Self::Shadowed { .. } => "shadowed",
            Self::Contradicts { .. } => "contradicts",
            Self::RedirectLoop { .. } => "redirect-loop",
        }
    }

    /// The other policy, where there is one.
    #[must_use]
    pub const fn other(self) -> Option<RuleId> {
        match self {
            Self::NeverMatches => None,
            Self::Subsumed { by: other }
            | Self::Shadowed { by: other }
            | Self::Contradicts { other }
            | Self::RedirectLoop { other } => Some(other),
        }
    }
}

/// Something odd, with a request that shows it.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// The policy.
    pub rule: RuleId,
    /// Whether it acts, or only counts.
    pub mode: Mode,
    /// What is odd about it.
    pub kind: FindingKind,
    /// A request that both policies match; of a redirect loop, one that goes round. None if no request matches.
    pub witness: Option<&'a Witness>,
}

impl PolicyEngine {
    /// Calls `each` with what is odd about the enabled policies, by precedence.
    pub fn lint(&self, each: &mut dyn FnMut(&Finding<'_>)) {
        lint(self.current(), each);
    }
}

/// Calls `each` with what is odd about the enabled policies of a set, by precedence.
pub fn lint(set: &super::PolicySet, each: &mut dyn FnMut(&Finding<'_>)) {
    for (rule, policy) in set.iter().filter(|(_, policy)| policy.enabled) {
        if policy.condition.contradiction().is_some() {
            let kind = FindingKind::NeverMatches;
            each(&Finding { rule, mode: policy.mode, kind, witness: None });
        }
    }
}
