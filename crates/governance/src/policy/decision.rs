//! What policies say of a request.

use super::rule::{ActionKind, DefaultEffect};
use super::set::{RuleId, RuleSet};

/// Why a request was allowed or denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyReason {
    /// There are no policies, and a request is allowed by default.
    #[default]
    NoPolicy,
    /// No policy that acts has matched, or none that allows or denies where the default is to deny.
    Default(DefaultEffect),
    /// A policy speaks.
    Rule,
}

impl PolicyReason {
    /// The word that users read.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoPolicy => "no-policy",
            Self::Default(DefaultEffect::Allow) => "default-allow",
            Self::Default(DefaultEffect::Deny) => "default-deny",
            Self::Rule => "rule",
        }
    }
}

/// What policies say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyDecision {
    /// Whether it may pass.
    pub allowed: bool,
    /// Why.
    pub reason: PolicyReason,
    /// What is done with it: the action of the policy that speaks, if one does.
    pub enforcement_action: Option<ActionKind>,
    /// The policy that speaks: of those that act and match, the one that goes before the others. A redirect or a
    /// throttle does not speak of a request that is denied by default.
    pub decider: Option<RuleId>,
    /// The policies that act and match.
    pub matched: RuleSet,
    /// The policies in shadow mode that match.
    pub shadow: RuleSet,
    /// Whether it might pass if the policies in shadow mode acted.
    pub would_allow: bool,
    /// The number of its record in the audit log; 0 if it has none.
    pub audit_id: u64,
}
