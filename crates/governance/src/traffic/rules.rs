//! What is configured for scopes, in the order of the file: at most one for each name, and one for all others.

use super::RULES_MAX;
use crate::breaker::BreakerSpec;
use crate::retry::RetrySpec;
use crate::scope::{Pattern, Scope};

/// Something that is configured for a scope.
pub(crate) trait Rule: Copy {
    /// The scope: `route:provider:method`, or `route:*`.
    fn scope(&self) -> &Scope;
}

impl Rule for BreakerSpec {
    fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Rule for RetrySpec {
    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// The rules of one sort. All-zero when empty.
#[derive(Debug)]
pub(super) struct Rules<T> {
    all: [T; RULES_MAX],
    length: usize,
    /// The number of the one for `route:*`, plus one; 0 if there is none.
    template: u8,
}

impl<T: Rule> Rules<T> {
    pub(super) const fn new(empty: T) -> Self {
        Self { all: [empty; RULES_MAX], length: 0, template: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) const fn clear(&mut self) {
        (self.length, self.template) = (0, 0);
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.all[..self.length]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.all[..self.length]
    }

    /// Takes these instead, of which [`check_rules`](super::check_rules) has found that they fit.
    pub(super) fn copy_from(&mut self, rules: &[T]) {
        self.all[..rules.len()].copy_from_slice(rules);
        self.length = rules.len();
        self.template = rules.iter().position(|rule| rule.scope().pattern == Pattern::Any).map_or(0, number);
    }

    /// The number of the rule for all scopes that have none of their own, plus one; 0 if there is none.
    pub(super) const fn template(&self) -> u8 {
        self.template
    }

    /// The number of the rule for `name`, plus one; 0 if there is none.
    pub(super) fn number_for(&self, name: &str) -> u8 {
        let own = self.as_slice().iter().position(|rule| match &rule.scope().pattern {
            Pattern::Exact(exact) => exact.as_str() == name,
            Pattern::Any => false,
        });
        own.map_or(self.template, number)
    }

    /// The rule with this number plus one.
    #[inline]
    pub(super) fn get(&self, number: u8) -> Option<&T> {
        self.all.get(usize::from(number).checked_sub(1)?)
    }
}

/// A place as its number plus one.
fn number(place: usize) -> u8 {
    u8::try_from(place + 1).unwrap_or(0)
}
