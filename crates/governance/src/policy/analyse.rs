//! What is odd about a set of policies.

use super::PolicyEngine;
use super::points::{AtHand, Axis, Point, Points, admits, admits_roles};
use super::rule::{Action, ActionKind, PolicyRule};
use super::set::{PolicySet, RuleId};
use super::witness::Witness;
use crate::mode::Mode;
use core::slice::from_ref;

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

/// Calls `each` with what is odd about the enabled policies of a set, by precedence. Each policy is compared with each
/// other one, and exactly; what several together make of a policy is not looked for.
///
/// A policy in shadow mode is looked at as it would act. What it says is of no account for one that acts.
pub fn lint(set: &PolicySet, each: &mut dyn FnMut(&Finding<'_>)) {
    for (rule, policy) in set.iter().filter(|(_, policy)| policy.enabled) {
        let mut tell = |kind, witness: Option<&Witness>| {
            each(&Finding { rule, mode: policy.mode, kind, witness });
        };
        if policy.condition.contradiction().is_some() {
            tell(FindingKind::NeverMatches, None);
            continue;
        }
        let others = || set.iter().filter(|(_, another)| another.enabled);
        for (other, another) in others().filter(|(other, _)| *other != rule) {
            if let Some(kind) = compare((rule, policy), (other, another)) {
                let witness = common(policy, another);
                tell(kind, witness.as_ref());
            }
        }
        for (other, another) in others().filter(|(other, _)| *other >= rule) {
            let witness = loops(policy, another);
            if witness.is_some() {
                tell(FindingKind::RedirectLoop { other }, witness.as_ref());
            }
        }
    }
}

/// What is odd about a policy because of another one, but for redirects that go round.
fn compare(one: (RuleId, &PolicyRule), other: (RuleId, &PolicyRule)) -> Option<FindingKind> {
    let ((rule, policy), (other, another)) = (one, other);
    let is_of_account = another.mode == Mode::Enforce || policy.mode == Mode::Shadow;
    if !is_of_account {
        return None;
    }
    let (kind, other_kind) = (policy.action.kind(), another.action.kind());
    let is_inside = || is_contained(policy, another);
    if policy.action == another.action {
        // One of a throttle's or a redirect's kind with another target may speak between the two.
        let speaks_as_well = match kind {
            ActionKind::Throttle | ActionKind::Redirect => other < rule,
            _ => true,
        };
        let is_told_as_well =
            !policy.audit_log || another.audit_log || matches!(kind, ActionKind::Log | ActionKind::Alert);
        if !speaks_as_well || !is_told_as_well || !is_inside() {
            return None;
        }
        // Of two that are alike one is not needed, and it is the one that goes after the other.
        let is_alike = compares_back(policy, another) && is_contained(another, policy);
        return (!is_alike || other < rule).then_some(FindingKind::Subsumed { by: other });
    }
    if other_kind != ActionKind::Deny {
        return None;
    }
    match kind {
        // To take note of a request has its effect also where it is denied.
        ActionKind::Log | ActionKind::Alert | ActionKind::Deny => None,
        _ if is_inside() => Some(FindingKind::Shadowed { by: other }),
        ActionKind::Allow if !is_contained(another, policy) && common(policy, another).is_some() => {
            Some(FindingKind::Contradicts { other })
        }
        _ => None,
    }
}

/// Whether the second policy could be found to be like the first one, as the first one is found to be like the second.
fn compares_back(policy: &PolicyRule, another: &PolicyRule) -> bool {
    let kind = policy.action.kind();
    (policy.mode == Mode::Enforce || another.mode == Mode::Shadow)
        && (!another.audit_log || policy.audit_log || matches!(kind, ActionKind::Log | ActionKind::Alert))
}

/// A request that one policy redirects to where the other one redirects it back, or that comes back by itself.
fn loops(policy: &PolicyRule, another: &PolicyRule) -> Option<Witness> {
    let (Action::Redirect(there), Action::Redirect(back)) = (&policy.action, &another.action) else {
        return None;
    };
    let goes_round =
        policy.condition.admits_service(back.as_str()) && another.condition.admits_service(there.as_str());
    if !goes_round {
        return None;
    }
    let elsewhere = |axis: &Axis<'_>| !matches!(axis, Axis::Service);
    let mut witness = common_on(policy, another, &elsewhere)?;
    witness.service = *back;
    Some(witness)
}

/// Whether every request that matches `inner` matches `outer`. The former matches some.
fn is_contained(inner: &PolicyRule, outer: &PolicyRule) -> bool {
    let only_inside = |inside, outside: bool| inside && !outside;
    let leaves =
        |axis: &Axis<'_>| axis.concerns(&outer.condition) && point(inner, outer, axis, only_inside).is_some();
    !Axis::SINGLE.iter().any(leaves)
        && !outer.condition.header_names().any(|name| leaves(&Axis::Header(name)))
        && roles(inner, outer, only_inside).is_none()
}

/// A request that matches both policies.
fn common(one: &PolicyRule, other: &PolicyRule) -> Option<Witness> {
    common_on(one, other, &|_| true)
}

/// A request that matches both policies, as far as the axes that count are concerned.
fn common_on(one: &PolicyRule, other: &PolicyRule, counts: &dyn Fn(&Axis<'_>) -> bool) -> Option<Witness> {
    let both = |inside, outside| inside && outside;
    let mut witness = Witness::EMPTY;
    for axis in Axis::SINGLE.iter().filter(|axis| counts(axis)) {
        witness.put(axis, &point(one, other, axis, both)?);
    }
    let more = other.condition.header_names().filter(|name| !Axis::Header(name).concerns(&one.condition));
    for name in one.condition.header_names().chain(more) {
        let axis = Axis::Header(name);
        witness.put(&axis, &point(one, other, &axis, both)?);
    }
    for role in roles(one, other, both)?.into_iter().flatten() {
        witness.put(&Axis::Role(role), &Point::Text(role));
    }
    Some(witness)
}

/// A point of an axis of which `wanted` is true, told whether each of two policies admits it.
fn point<'a>(
    one: &'a PolicyRule,
    other: &'a PolicyRule,
    axis: &Axis<'a>,
    wanted: impl Fn(bool, bool) -> bool,
) -> Option<Point<'a>> {
    let at_hand = AtHand { rules: [from_ref(one), from_ref(other)], which: [1, 1] };
    let mut points = Points::default();
    core::iter::from_fn(|| points.next(axis, &at_hand))
        .find(|point| wanted(admits(&one.condition, axis, point), admits(&other.condition, axis, point)))
}

/// Roles of which `wanted` is true, likewise. No more than two are needed: one that the first policy asks for, and one
/// that the second asks for or excludes.
fn roles<'a>(
    one: &'a PolicyRule,
    other: &'a PolicyRule,
    wanted: impl Fn(bool, bool) -> bool,
) -> Option<[Option<&'a str>; 2]> {
    let mentioned = || {
        let atoms = one.condition.atoms().chain(other.condition.atoms());
        let names = atoms.filter_map(|atom| match Axis::of(&atom.value) {
            Axis::Role(name) => Some(Some(name)),
            _ => None,
        });
        core::iter::once(None).chain(names)
    };
    let mut pairs = mentioned().flat_map(|first| mentioned().map(move |second| [first, second]));
    pairs.find(|pair| {
        let roles = match *pair {
            [Some(first), Some(second)] => [first, second],
            // A name is not empty, so that this one is nobody's.
            [first, second] => [first.or(second).unwrap_or(""); 2],
        };
        wanted(admits_roles(&one.condition, &roles), admits_roles(&other.condition, &roles))
    })
}
