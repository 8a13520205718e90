//! Policies: which requests are allowed, denied, throttled, redirected, or taken note of.
//!
//! [`PolicyEngine`] holds up to [`POLICIES_MAX`] policies, each one rule with a [`Condition`] and an [`Action`]. All that
//! are enabled are looked at for every request, so that their order is of no account:
//!
//! **Decision.** If a policy that acts and matches denies, the request is denied. Else, if one allows, it is allowed.
//! Else the default says. To throttle, to redirect and to take note neither allows nor denies: it is what is done with
//! a request that is allowed. The policy that *speaks* is the most restrictive one (deny, redirect, throttle, alert,
//! log, allow), then the one with the smaller priority, then the one with the first name.
//!
//! **Shadow.** A policy in [`Mode::Shadow`](crate::mode::Mode) only counts what it would do.
//!
//! **Changes.** Each change makes a set of policies beside the present one, and then puts it in its place. What is
//! refused changes nothing. The set before the last change is kept, and [`PolicyEngine::rollback`] puts it back.
//!
//! **Audit.** Every denial, every change, and every request that a policy wants to be told of is in a log of
//! [`AUDIT_RECORDS`] records.
//!
//! What a condition is, is in `condition`; how a set is made ready for quick decisions, in `table`; what operators do,
//! in `configure`; what is odd about policies and where two sets differ, in `analyse` and `difference`.

mod analyse;
mod audit;
mod condition;
mod configure;
mod context;
mod decision;
mod difference;
mod draft;
mod error;
mod explain;
mod points;
mod rule;
mod set;
mod table;
#[cfg(test)]
mod tests;
mod witness;

pub use analyse::{Finding, FindingKind, lint};
pub use audit::{AUDIT_RECORDS, AuditEvent, AuditRecord, NameExcerpt, PathExcerpt};
pub use condition::{
    Atom, AtomValue, Attribute, CONDITION_ATOMS_MAX, CONDITION_TEXT_BYTES, Condition, HEADER_NAMES_MAX,
    Network, SET_ATOMS_MAX, Sense,
};
pub use context::PolicyContext;
pub use decision::{PolicyDecision, PolicyReason};
pub use difference::{DIFFERENCES_MAX, DiffOutcome, Difference, Verdict, diff};
pub use draft::{FIELDS, PolicyDraft};
pub use error::{ConditionError, PolicyError};
pub use explain::RuleRole;
pub use rule::{Action, ActionKind, DefaultEffect, PRIORITY_DEFAULT, PolicyName, PolicyRule, PolicyType};
pub use set::{POLICIES_MAX, PolicySet, RuleId, RuleSet, SetUsage, each_misfit};
pub use witness::{WITNESS_ROLES_MAX, Witness};

use crate::rate_limiter::LimitId;
use crate::text::Text;
use crate::time::Now;
use audit::{AuditLog, AuditSubject};
use table::Table;

/// Counts the changes of a set of policies; 0 is the empty set before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// What a policy has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyStats {
    /// Requests that it matched while it acted.
    pub matched: u64,
    /// Those of them for which it spoke.
    pub decided: u64,
    /// Those of them that it denied.
    pub denied: u64,
    /// Requests that it matched in shadow mode.
    pub would: u64,
}

impl PolicyStats {
    const ZERO: Self = Self { matched: 0, decided: 0, denied: 0, would: 0 };
}

/// What all policies have done, also those that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyTotals {
    /// Requests that were decided.
    pub evaluated: u64,
    /// Those that were allowed.
    pub allowed: u64,
    /// Those that were denied.
    pub denied: u64,
    /// Those that no policy allowed or denied.
    pub by_default: u64,
    /// Those that were redirected.
    pub redirected: u64,
    /// Those that were throttled.
    pub throttled: u64,
    /// Those that a policy with the action alert matched.
    pub alerted: u64,
    /// Those that a policy with the action log matched.
    pub logged: u64,
    /// Those that were allowed, and that policies in shadow mode would have denied.
    pub would_deny: u64,
    /// Those that were denied, and that policies in shadow mode would have allowed.
    pub would_allow: u64,
    /// Changes of policies.
    pub changes: u64,
    /// Records of the audit log.
    pub audit_written: u64,
    /// Those of them that are not kept any more.
    pub audit_overwritten: u64,
}

/// A set of policies, ready to decide.
#[derive(Debug)]
struct Slot {
    set: PolicySet,
    table: Table,
    /// By the places of the policies.
    stats: [PolicyStats; POLICIES_MAX],
    /// The numbers of the limits that policies throttle by.
    limits: [u16; POLICIES_MAX],
    generation: Generation,
    content_hash: u64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            set: PolicySet::new(),
            table: Table::new(),
            stats: [PolicyStats::ZERO; POLICIES_MAX],
            limits: [0; POLICIES_MAX],
            generation: Generation(0),
            content_hash: 0,
        }
    }
}

/// Up to [`POLICIES_MAX`] policies, the ones before them, what they have done, and a log of it. All-zero when empty.
#[derive(Debug)]
pub struct PolicyEngine {
    slots: [Slot; 2],
    /// Which of the slots decides; the other one holds the previous set, if there is one.
    present: u8,
    has_previous: u8,
    latest: Generation,
    totals: PolicyTotals,
    log: AuditLog,
}

impl Default for PolicyEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl PolicyEngine {
    /// An engine without policies, which allows every request.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; 2],
            present: 0,
            has_previous: 0,
            latest: Generation(0),
            totals: PolicyTotals {
                evaluated: 0,
                allowed: 0,
                denied: 0,
                by_default: 0,
                redirected: 0,
                throttled: 0,
                alerted: 0,
                logged: 0,
                would_deny: 0,
                would_allow: 0,
                changes: 0,
                audit_written: 0,
                audit_overwritten: 0,
            },
            log: AuditLog::new(),
        }
    }

    /// The policies.
    #[must_use]
    pub const fn current(&self) -> &PolicySet {
        &self.slot().set
    }

    /// The policies before the last change, if there has been one.
    #[must_use]
    pub const fn previous(&self) -> Option<&PolicySet> {
        if self.has_previous == 0 { None } else { Some(&self.other_slot().set) }
    }

    /// The number of the policies before the last change, if there has been one.
    #[must_use]
    pub const fn previous_generation(&self) -> Option<Generation> {
        if self.has_previous == 0 { None } else { Some(self.other_slot().generation) }
    }

    /// How many policies there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.current().len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it allows every request without a look: there are no policies, and the default is to allow.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.is_empty() && matches!(self.default_effect(), DefaultEffect::Allow)
    }

    /// The number of the present set of policies.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.slot().generation
    }

    /// A number that tells what the policies say; see [`PolicySet::content_hash`].
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        // That of the set before the first change is not kept: a new engine is all-zero.
        if self.generation() == Generation(0) {
            self.current().content_hash()
        } else {
            self.slot().content_hash
        }
    }

    /// What becomes of requests that no policy allows or denies.
    #[must_use]
    pub const fn default_effect(&self) -> DefaultEffect {
        self.current().default_effect()
    }

    /// Decides a request, counts it, and writes it to the audit log if it is denied or a policy asks for it.
    pub fn evaluate_request(&mut self, now: Now, context: &PolicyContext<'_>) -> PolicyDecision {
        let mut decision = self.peek(context);
        self.count(&decision);
        decision.audit_id = self.audit_decision(now, context, &decision);
        decision
    }

    /// What would be decided. Nothing is counted.
    #[must_use]
    pub fn peek(&self, context: &PolicyContext<'_>) -> PolicyDecision {
        let slot = self.slot();
        slot.table.decide(&slot.set, context)
    }

    /// Whether a policy matches a request, also a disabled one; none if there is no such policy.
    #[must_use]
    pub fn match_condition(&self, id: RuleId, context: &PolicyContext<'_>) -> Option<bool> {
        self.get_policy(id).map(|rule| rule.condition.matches(context))
    }

    /// What is to be done with a request that was decided: the action of the policy that speaks, if one does. The
    /// policies must not have been changed in between.
    #[must_use]
    pub fn apply_action(&self, decision: &PolicyDecision) -> Option<&Action> {
        self.action_of(decision.decider?)
    }

    /// What a policy does.
    #[must_use]
    pub fn action_of(&self, id: RuleId) -> Option<&Action> {
        self.get_policy(id).map(|rule| &rule.action)
    }

    /// The limit that a policy throttles by, if it does.
    #[must_use]
    pub fn throttle_limit(&self, id: RuleId) -> Option<LimitId> {
        let is_throttle = self.action_of(id)?.kind() == ActionKind::Throttle;
        self.slot().limits.get(id.index()).filter(|_| is_throttle).copied().map(LimitId)
    }

    /// The first policy that throttles by the limit of a name, so that the limit is in use.
    #[must_use]
    pub fn uses_limit(&self, name: &str) -> Option<&PolicyRule> {
        let uses = |rule: &&PolicyRule| matches!(&rule.action, Action::Throttle(limit) if limit.is(name));
        self.current().rules().iter().find(uses)
    }

    /// A policy.
    #[must_use]
    pub fn get_policy(&self, id: RuleId) -> Option<&PolicyRule> {
        self.current().get(id)
    }

    /// The policy of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<RuleId> {
        self.current().find(name)
    }

    /// The policies, by precedence.
    pub fn list_policies(&self) -> impl DoubleEndedIterator<Item = (RuleId, &PolicyRule)> + '_ {
        self.current().iter()
    }

    /// What a policy has done. Its counters outlast changes of the policies, by its name.
    #[must_use]
    pub fn get_policy_stats(&self, id: RuleId) -> Option<PolicyStats> {
        self.get_policy(id).and_then(|_| self.slot().stats.get(id.index())).copied()
    }

    /// What all policies have done.
    #[must_use]
    pub const fn stats(&self) -> PolicyTotals {
        let (audit_written, audit_overwritten) = (self.log.written(), self.log.overwritten());
        PolicyTotals { audit_written, audit_overwritten, ..self.totals }
    }

    /// The records of the audit log from number `from` on, oldest first, as far as they are still kept. The first
    /// record has number 1.
    pub fn audit(&self, from: u64) -> impl DoubleEndedIterator<Item = &AuditRecord> + '_ {
        self.log.since(from)
    }

    /// Writes a decision to the audit log, if it is a denial or a policy that acts and matches asks for it. Gives the
    /// record's number, or 0. [`PolicyEngine::evaluate_request`] does this.
    pub fn audit_decision(
        &mut self,
        now: Now,
        context: &PolicyContext<'_>,
        decision: &PolicyDecision,
    ) -> u64 {
        let teller = if decision.allowed {
            self.slot().table.audited(decision.matched).first()
        } else {
            decision.decider
        };
        if decision.allowed && teller.is_none() {
            return 0;
        }
        let event = if decision.allowed { AuditEvent::Allowed } else { AuditEvent::Denied };
        let name = teller.and_then(|id| self.get_policy(id)).map_or(Text::EMPTY, |rule| rule.name);
        let PolicyContext { service, tenant, ip, path, .. } = *context;
        let subject = AuditSubject { service, tenant, ip, path };
        self.log.write(now.wall, event, &name, self.generation().0, &subject)
    }

    const fn slot(&self) -> &Slot {
        &self.slots[(self.present & 1) as usize]
    }

    const fn other_slot(&self) -> &Slot {
        &self.slots[(self.present & 1 ^ 1) as usize]
    }

    fn slot_mut(&mut self) -> &mut Slot {
        &mut self.slots[usize::from(self.present & 1)]
    }

    /// Counts a decision.
    fn count(&mut self, decision: &PolicyDecision) {
        let slot = &mut self.slots[usize::from(self.present & 1)];
        for id in decision.matched.iter() {
            slot.stats[id.index()].matched += 1;
        }
        for id in decision.shadow.iter() {
            slot.stats[id.index()].would += 1;
        }
        if let Some(id) = decision.decider {
            slot.stats[id.index()].decided += 1;
            slot.stats[id.index()].denied += u64::from(!decision.allowed);
        }
        let effects = &slot.table;
        let totals = &mut self.totals;
        totals.evaluated += 1;
        let outcome = if decision.allowed { &mut totals.allowed } else { &mut totals.denied };
        *outcome += 1;
        match decision.enforcement_action {
            Some(ActionKind::Redirect) => totals.redirected += 1,
            Some(ActionKind::Throttle) => totals.throttled += 1,
            _ => {}
        }
        totals.by_default += u64::from(effects.is_undecided(decision.matched));
        totals.logged += u64::from(effects.logs(decision.matched));
        totals.alerted += u64::from(effects.alerts(decision.matched));
        totals.would_deny += u64::from(decision.allowed && !decision.would_allow);
        totals.would_allow += u64::from(!decision.allowed && decision.would_allow);
    }
}
