//! A set of policies, made ready for quick decisions.

use super::context::PolicyContext;
use super::decision::{PolicyDecision, PolicyReason};
use super::rule::{ActionKind, DefaultEffect};
use super::set::{PolicySet, RuleSet};
use crate::mode::Mode;

/// What the policies of a set do, as sets of their places.
#[derive(Debug)]
pub(super) struct Table {
    acting: u128,
    shadow: u128,
    denying: u128,
    allowing: u128,
    logging: u128,
    alerting: u128,
    audited: u128,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { acting: 0, shadow: 0, denying: 0, allowing: 0, logging: 0, alerting: 0, audited: 0 }
    }

    /// Makes it that of a set.
    pub(super) fn build(&mut self, set: &PolicySet) {
        *self = Self::new();
        for (id, rule) in set.iter() {
            let bit = id.bit();
            if rule.enabled {
                match rule.mode {
                    Mode::Enforce => self.acting |= bit,
                    Mode::Shadow => self.shadow |= bit,
                }
            }
            let kind = rule.action.kind();
            match kind {
                ActionKind::Deny => self.denying |= bit,
                ActionKind::Allow => self.allowing |= bit,
                ActionKind::Log => self.logging |= bit,
                ActionKind::Alert => self.alerting |= bit,
                ActionKind::Throttle | ActionKind::Redirect => {}
            }
            if rule.audit_log || matches!(kind, ActionKind::Log | ActionKind::Alert) {
                self.audited |= bit;
            }
        }
    }

    /// What a set says of a request.
    pub(super) fn decide(&self, set: &PolicySet, context: &PolicyContext<'_>) -> PolicyDecision {
        let matching = set.iter().filter(|(_, rule)| rule.condition.matches(context));
        let all = matching.fold(0, |all, (id, _)| all | id.bit());
        let (matched, shadow) = (all & self.acting, all & self.shadow);
        let allowed = self.allows(matched, set.default_effect());
        // Whoever denies comes before all others: of a request that is denied without them the default speaks.
        let speaks = allowed || matched & self.denying != 0;
        let decider = RuleSet(matched).first().filter(|_| speaks);
        let reason = match decider {
            Some(_) => PolicyReason::Rule,
            None if set.is_empty() && allowed => PolicyReason::NoPolicy,
            None => PolicyReason::Default(set.default_effect()),
        };
        PolicyDecision {
            allowed,
            reason,
            enforcement_action: decider.and_then(|id| set.get(id)).map(|rule| rule.action.kind()),
            decider,
            matched: RuleSet(matched),
            shadow: RuleSet(shadow),
            would_allow: self.allows(matched | shadow, set.default_effect()),
            audit_id: 0,
        }
    }

    /// Which of the matched policies ask for a record.
    pub(super) const fn audited(&self, matched: RuleSet) -> RuleSet {
        RuleSet(matched.0 & self.audited)
    }

    /// Whether none of the matched policies allows or denies.
    pub(super) const fn is_undecided(&self, matched: RuleSet) -> bool {
        matched.0 & (self.denying | self.allowing) == 0
    }

    pub(super) const fn logs(&self, matched: RuleSet) -> bool {
        matched.0 & self.logging != 0
    }

    pub(super) const fn alerts(&self, matched: RuleSet) -> bool {
        matched.0 & self.alerting != 0
    }

    const fn allows(&self, matched: u128, default: DefaultEffect) -> bool {
        matched & self.denying == 0
            && (matched & self.allowing != 0 || matches!(default, DefaultEffect::Allow))
    }
}
