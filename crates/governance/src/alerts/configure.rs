//! Rules come, change and go.

use super::burn::Slo;
use super::draft::AlertDraft;
use super::error::AlertError;
use super::rule::{AlertCondition, AlertRule};
use super::standing::Standing;
use super::{ALERTS_MAX, Entry, GovernanceAlerts, INDEX_PLACES, SLOS_MAX, Totals};
use crate::field::FieldValue;
use crate::scope::{HashSecret, KeyHash, Kind, Pattern, Scope};
use crate::time::Instant;

impl GovernanceAlerts {
    /// Forgets all rules, their states and notices, in place, and takes a secret for hashing.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
        self.count = 0;
        (self.in_use, self.overall, self.index) = (0, 0, [0; INDEX_PLACES]);
        self.notices.clear();
        (self.ticked_at, self.has_ticked, self.totals) = (Instant(0), false, Totals::default());
    }

    /// Hashes under another secret from now on: the one that the keys of [`GovernanceAlerts::record`] are hashed under.
    ///
    /// # Panics
    /// If there are rules already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.count == 0, "the secret comes first");
        self.secret = secret;
    }

    /// Forgets where the rules stand, what objectives have counted, the notices and what is counted. The rules stay.
    pub fn restart(&mut self) {
        for entry in &mut self.entries[..self.count] {
            (entry.standing, entry.value, entry.has_value) = (Standing::QUIET, 0, false);
        }
        for slo in &mut self.slos {
            *slo = Slo::of(slo.hash);
        }
        self.notices.clear();
        (self.ticked_at, self.has_ticked, self.totals) = (Instant(0), false, Totals::default());
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`AlertError`] if it is wrong in itself, if its name or the scope of its objective is taken, or if there is no
    /// room.
    pub fn define_alert(&mut self, rule: &AlertRule) -> Result<(), AlertError> {
        rule.check()?;
        self.check_unique(rule)?;
        let Some(entry) = self.entries.get_mut(self.count) else {
            return Err(AlertError::Full);
        };
        *entry = Entry::of(rule);
        if let AlertCondition::Objective(_) = rule.condition {
            let number = self.in_use.trailing_ones();
            let (Some(slo), Ok(slo_number)) =
                (self.slos.get_mut(usize::try_from(number).unwrap_or(SLOS_MAX)), u8::try_from(number))
            else {
                return Err(AlertError::ObjectivesFull);
            };
            *slo = Slo::of(hash(&self.secret, &entry.scope));
            entry.slo = slo_number;
            self.in_use |= 1 << number;
        }
        self.count += 1;
        self.index_slos();
        Ok(())
    }

    /// Changes a rule. As long as it looks at the same figure in the same direction, it stands where it stood, and an
    /// objective keeps what it has counted.
    ///
    /// # Errors
    /// [`AlertError`] if there is no rule of that name, or as [`GovernanceAlerts::define_alert`].
    pub fn update_alert(&mut self, rule: &AlertRule) -> Result<(), AlertError> {
        rule.check()?;
        let number = self.find(rule.name.as_str()).ok_or(AlertError::Unknown)?;
        let old = self.entries[number];
        let entry = Entry::of(rule);
        if old.is_alike(&entry) {
            let Entry { slo, standing, value, has_value, windows, .. } = old;
            self.entries[number] = Entry { slo, standing, value, has_value, windows, ..entry };
            return Ok(());
        }
        // What can be refused comes before anything goes.
        self.check_objective(rule, Some(number))?;
        let frees = u32::from(old.has_objective());
        if entry.has_objective() && self.in_use.count_ones() - frees == u16::BITS {
            return Err(AlertError::ObjectivesFull);
        }
        self.take(number);
        self.define_alert(rule)?;
        self.entries[number..self.count].rotate_right(1);
        Ok(())
    }

    /// Sets the threshold of a rule, or its objective, as a user writes it, and gives the rule back as it is then. Where
    /// it stands it stays until it is looked at next. A `clear` value that was the threshold goes with it, and so does one that
    /// would be on the wrong side of it.
    ///
    /// # Errors
    /// [`AlertError`] if there is no such rule, or if the threshold does not go with it.
    pub fn set_alert_threshold(
        &mut self,
        name: &str,
        threshold: FieldValue<'_>,
    ) -> Result<AlertRule, AlertError> {
        let rule = self.get_alert(name).ok_or(AlertError::Unknown)?;
        let mut draft = AlertDraft::from_rule(&rule);
        draft.change(rule.condition.field(), threshold)?;
        let rule = draft.finish().or_else(|error| match error.field {
            "clear" => draft.with_clear_at_threshold().finish(),
            _ => Err(error),
        })?;
        self.update_alert(&rule)?;
        Ok(rule)
    }

    /// Removes a rule. If it fires, nothing more is told of it.
    ///
    /// # Errors
    /// [`AlertError::Unknown`].
    pub fn remove_alert(&mut self, name: &str) -> Result<AlertRule, AlertError> {
        let number = self.find(name).ok_or(AlertError::Unknown)?;
        let rule = self.entries[number].rule();
        self.take(number);
        Ok(rule)
    }

    /// The rule of that name.
    #[must_use]
    pub fn get_alert(&self, name: &str) -> Option<AlertRule> {
        self.find(name).map(|number| self.entries[number].rule())
    }

    /// Whether `rules` can be the rules.
    ///
    /// # Errors
    /// The first [`AlertError`], and the number of the rule that it is of.
    pub fn check_configuration(rules: &[AlertRule]) -> Result<(), (usize, AlertError)> {
        let mut objectives = 0;
        for (number, rule) in rules.iter().enumerate() {
            let refuse = |error| Err((number, error));
            if let Err(error) = rule.check() {
                return refuse(error.into());
            }
            if number >= ALERTS_MAX {
                return refuse(AlertError::Full);
            }
            for earlier in &rules[..number] {
                if earlier.name == rule.name {
                    return refuse(AlertError::DuplicateName);
                }
                if earlier.has_objective() && rule.has_objective() && earlier.scope == rule.scope {
                    return refuse(AlertError::DuplicateObjective);
                }
            }
            objectives += usize::from(rule.has_objective());
            if objectives > SLOS_MAX {
                return refuse(AlertError::ObjectivesFull);
            }
        }
        Ok(())
    }

    /// Makes `rules` the rules, in their order. A rule that was there before under its name, and looks at the same figure
    /// in the same direction, stands where it stood.
    ///
    /// # Errors
    /// As [`GovernanceAlerts::check_configuration`]; nothing is changed then.
    pub fn configure(&mut self, rules: &[AlertRule]) -> Result<(), (usize, AlertError)> {
        Self::check_configuration(rules)?;
        for number in (0..self.count).rev() {
            let old = &self.entries[number];
            if !rules.iter().any(|rule| rule.name == old.name && old.is_alike(&Entry::of(rule))) {
                self.take(number);
            }
        }
        for (number, rule) in rules.iter().enumerate() {
            let refuse = |error| (number, error);
            if let Some(old) = self.find(rule.name.as_str()) {
                self.update_alert(rule).map_err(refuse)?;
                self.entries[number..=old].rotate_right(1);
            } else {
                self.define_alert(rule).map_err(refuse)?;
                self.entries[number..self.count].rotate_right(1);
            }
        }
        Ok(())
    }

    fn check_unique(&self, rule: &AlertRule) -> Result<(), AlertError> {
        if self.find(rule.name.as_str()).is_some() {
            return Err(AlertError::DuplicateName);
        }
        self.check_objective(rule, None)
    }

    /// Whether no other rule than `own` has an objective for the same scope.
    fn check_objective(&self, rule: &AlertRule, own: Option<usize>) -> Result<(), AlertError> {
        let entry = Entry::of(rule);
        let is_taken = entry.has_objective()
            && self.entries[..self.count].iter().enumerate().any(|(number, other)| {
                Some(number) != own && other.has_objective() && other.scope == entry.scope
            });
        if is_taken { Err(AlertError::DuplicateObjective) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries[..self.count].iter().position(|entry| entry.name.is(name))
    }

    /// Takes a rule out; those behind it move up.
    fn take(&mut self, number: usize) {
        let entry = self.entries[number];
        if entry.has_objective() {
            self.in_use &= !(1 << entry.slo);
        }
        self.entries[number..self.count].rotate_left(1);
        self.count -= 1;
        self.index_slos();
    }

    /// Makes the look-up anew.
    fn index_slos(&mut self) {
        (self.overall, self.index) = (0, [0; INDEX_PLACES]);
        for entry in self.entries[..self.count].iter().filter(|entry| entry.has_objective()) {
            let link = entry.slo + 1;
            if entry.scope.pattern == Pattern::Any {
                self.overall = link;
                continue;
            }
            let mut place = Self::place(self.slos[usize::from(entry.slo)].hash);
            while self.index[place] != 0 {
                place = (place + 1) % INDEX_PLACES;
            }
            self.index[place] = link;
        }
    }
}

impl AlertRule {
    const fn has_objective(&self) -> bool {
        matches!(self.condition, AlertCondition::Objective(_))
    }
}

impl Entry {
    fn of(rule: &AlertRule) -> Self {
        Self {
            name: rule.name,
            metric: rule.metric,
            scope: rule.scope.unwrap_or(Scope { kind: Kind::Service, pattern: Pattern::Any }),
            condition: rule.condition,
            clear: rule.clear,
            for_duration: rule.for_duration,
            cooldown: rule.cooldown,
            ..Self::EMPTY
        }
    }

    const fn has_objective(&self) -> bool {
        matches!(self.condition, AlertCondition::Objective(_))
    }

    /// Whether both look at the same figure in the same direction.
    fn is_alike(&self, other: &Self) -> bool {
        self.metric == other.metric
            && self.scope == other.scope
            && self.condition.field() == other.condition.field()
    }
}

/// The hash of an objective's service; zero for that of all requests.
fn hash(secret: &HashSecret, scope: &Scope) -> KeyHash {
    scope.key().map_or(KeyHash(0), |name| secret.hash(scope.kind, name))
}
