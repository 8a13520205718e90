//! A set of policies, by precedence.

use super::condition::{HEADER_NAMES_MAX, SET_ATOMS_MAX};
use super::error::PolicyError;
use super::rule::{Action, DefaultEffect, PolicyRule};
use crate::field::{Problem, SpecError};
use crate::rate_limiter::LimitId;
use crate::scope::NameRef;
use core::fmt;

/// How many policies there can be.
pub const POLICIES_MAX: usize = 128;

/// The place of a policy in its set. It holds until the set is changed; a name lasts longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u8);

impl RuleId {
    pub(super) const FIRST: Self = Self(0);

    /// The place as a number, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The policy at a place.
    pub(super) fn at(place: usize) -> Option<Self> {
        u8::try_from(place).ok().filter(|&place| usize::from(place) < POLICIES_MAX).map(Self)
    }

    pub(super) const fn bit(self) -> u128 {
        1 << (self.0 & 127)
    }
}

/// Some of the policies of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSet(pub(super) u128);

impl RuleSet {
    /// None of them.
    pub const EMPTY: Self = Self(0);

    /// Whether a policy is one of them.
    #[must_use]
    pub const fn contains(self, id: RuleId) -> bool {
        self.0 & id.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The one that speaks before the others.
    #[must_use]
    pub const fn first(self) -> Option<RuleId> {
        match self.0.trailing_zeros() {
            // At most 127, so nothing is cut off.
            place @ 0..128 => Some(RuleId(place.to_le_bytes()[0])),
            _ => None,
        }
    }

    /// Each of them, by precedence.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        // Half by half: numbers of 64 bits are what a processor counts in.
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        let (mut low, mut high) = (half(self.0), half(self.0 >> 64));
        let place = |rest: u64| rest.trailing_zeros().to_le_bytes()[0];
        core::iter::from_fn(move || {
            if let Some(less) = low.checked_sub(1) {
                let id = RuleId(place(low));
                low &= less;
                return Some(id);
            }
            let less = high.checked_sub(1)?;
            let id = RuleId(64 + place(high));
            high &= less;
            Some(id)
        })
    }
}

/// Up to [`POLICIES_MAX`] policies with different names, and what becomes of requests that none of them decides. They
/// lie by precedence, so that the order in which they were added is of no account. All-zero when empty.
pub struct PolicySet {
    rules: [PolicyRule; POLICIES_MAX],
    length: usize,
    default: DefaultEffect,
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet").field("rules", &self.rules()).field("default", &self.default).finish()
    }
}

impl PolicySet {
    /// A set without policies, which allows every request.
    #[must_use]
    pub const fn new() -> Self {
        Self { rules: [PolicyRule::EMPTY; POLICIES_MAX], length: 0, default: DefaultEffect::Allow }
    }

    /// Adds a policy. It may be one that matches no request, which an engine would refuse.
    ///
    /// # Errors
    /// [`PolicyError::OutOfRange`] of its name, [`PolicyError::DuplicateName`], [`PolicyError::Full`],
    /// [`PolicyError::AtomsFull`] or [`PolicyError::HeaderNamesFull`]; nothing was changed.
    pub fn push(&mut self, rule: &PolicyRule) -> Result<RuleId, PolicyError> {
        let refuse = |error| SpecError { field: "name", problem: Problem::Name(error) };
        NameRef::printable(rule.name.as_str()).map_err(|error| PolicyError::OutOfRange(refuse(error)))?;
        check_room(self.rules(), rule)?;
        self.insert(rule).ok_or(PolicyError::Full)
    }

    /// The policies, by precedence: the one that speaks before the others first.
    #[must_use]
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules[..self.length]
    }

    /// The policies and their places.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (RuleId, &PolicyRule)> + '_ {
        self.rules().iter().enumerate().filter_map(|(place, rule)| Some((RuleId::at(place)?, rule)))
    }

    /// A policy.
    #[must_use]
    pub fn get(&self, id: RuleId) -> Option<&PolicyRule> {
        self.rules().get(id.index())
    }

    /// The place of the policy of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<RuleId> {
        RuleId::at(self.rules().iter().position(|rule| rule.name.is(name))?)
    }

    /// How many policies there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What becomes of requests that no policy allows or denies.
    #[must_use]
    pub const fn default_effect(&self) -> DefaultEffect {
        self.default
    }

    /// Says what becomes of requests that no policy allows or denies.
    pub const fn set_default(&mut self, default: DefaultEffect) {
        self.default = default;
    }

    /// Removes all policies, and allows every request.
    pub const fn clear(&mut self) {
        (self.length, self.default) = (0, DefaultEffect::Allow);
    }

    /// Takes over what `other` says.
    pub fn copy_from(&mut self, other: &Self) {
        self.rules[..other.length].copy_from_slice(other.rules());
        (self.length, self.default) = (other.length, other.default);
    }

    /// How much of what a set has room for it takes.
    #[must_use]
    pub fn usage(&self) -> SetUsage {
        let mut names = HeaderNames::default();
        // A set has no more of them than there is room for.
        let _ =
            self.rules().iter().flat_map(|rule| rule.condition.header_names()).all(|name| names.note(name));
        SetUsage {
            policies: self.length,
            values: values_of(self.rules()),
            header_names: names.as_slice().len(),
        }
    }

    /// A number that differs, but for an accident, from that of any set that says something else. It goes by what the
    /// policies say, not by the order in which they were added.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        // Writing to a hash does not fail.
        let _ = fmt::Write::write_str(&mut hash, self.default.word());
        for rule in self.rules() {
            let _ = fmt::Write::write_fmt(&mut hash, format_args!("\n{rule}"));
        }
        hash.0
    }

    /// Puts a policy where it belongs. None if the set is full.
    pub(super) fn insert(&mut self, rule: &PolicyRule) -> Option<RuleId> {
        let place = self.rules().partition_point(|before| before.precedence(rule).is_lt());
        let id = RuleId::at(place)?;
        let room = self.rules.get_mut(place..=self.length)?;
        room.rotate_right(1);
        *room.first_mut()? = *rule;
        self.length += 1;
        Some(id)
    }

    /// Takes a policy out.
    pub(super) fn remove(&mut self, id: RuleId) {
        if let Some(behind) = self.rules.get_mut(id.index()..self.length).filter(|rules| !rules.is_empty()) {
            behind.rotate_left(1);
            self.length -= 1;
        }
    }

    pub(super) fn get_mut(&mut self, id: RuleId) -> Option<&mut PolicyRule> {
        self.rules[..self.length].get_mut(id.index())
    }
}

/// How much of what a set has room for its policies take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetUsage {
    /// How many policies there are, of [`POLICIES_MAX`].
    pub policies: usize,
    /// How many values their conditions have, of [`SET_ATOMS_MAX`].
    pub values: usize,
    /// Headers of how many names they look at, of [`HEADER_NAMES_MAX`].
    pub header_names: usize,
}

/// Calls `each` with the place of every policy that does not go with the others or is out of range, and why: each
/// policy's first fault.
pub fn each_misfit(
    rules: &[PolicyRule],
    known_limit: &dyn Fn(&str) -> Option<LimitId>,
    mut each: impl FnMut(usize, PolicyError),
) {
    for (place, rule) in rules.iter().enumerate() {
        let fits = check_alone(rule, known_limit).and_then(|_| check_room(&rules[..place], rule));
        if let Err(error) = fits {
            each(place, error);
        }
    }
}

/// Whether a policy by itself is in range. Gives the limit that it throttles by.
pub(super) fn check_alone(
    rule: &PolicyRule,
    known_limit: &dyn Fn(&str) -> Option<LimitId>,
) -> Result<Option<LimitId>, PolicyError> {
    rule.check().map_err(PolicyError::OutOfRange)?;
    match rule.action {
        Action::Throttle(name) => {
            known_limit(name.as_str()).map(Some).ok_or(PolicyError::UnknownLimit { name })
        }
        _ => Ok(None),
    }
}

/// Whether a policy fits beside others.
pub(super) fn check_room<'a>(
    others: impl IntoIterator<Item = &'a PolicyRule, IntoIter: Clone>,
    rule: &'a PolicyRule,
) -> Result<(), PolicyError> {
    let others = others.into_iter();
    if others.clone().any(|other| other.name == rule.name) {
        return Err(PolicyError::DuplicateName);
    }
    if others.clone().count() >= POLICIES_MAX {
        return Err(PolicyError::Full);
    }
    if values_of(others.clone()) + rule.condition.len() > SET_ATOMS_MAX {
        return Err(PolicyError::AtomsFull);
    }
    let mut names = HeaderNames::default();
    let mut all = others.chain([rule]).flat_map(|rule| rule.condition.header_names());
    if all.all(|name| names.note(name)) { Ok(()) } else { Err(PolicyError::HeaderNamesFull) }
}

/// How many values the conditions of policies have.
fn values_of<'a>(rules: impl IntoIterator<Item = &'a PolicyRule>) -> usize {
    rules.into_iter().map(|rule| rule.condition.len()).sum()
}

/// Different names of headers.
#[derive(Default)]
pub(super) struct HeaderNames<'a> {
    names: [&'a str; HEADER_NAMES_MAX],
    length: usize,
}

impl<'a> HeaderNames<'a> {
    /// Takes note of a name. False if there is no room for it.
    pub(super) fn note(&mut self, name: &'a str) -> bool {
        if self.as_slice().iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        let Some(place) = self.names.get_mut(self.length) else { return false };
        *place = name;
        self.length += 1;
        true
    }

    pub(super) fn as_slice(&self) -> &[&'a str] {
        &self.names[..self.length]
    }
}

/// The 64-bit hash of Fowler, Noll and Vo (variant 1a) over what is written to it.
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
