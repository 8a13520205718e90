//! The words in which users describe a policy.

use super::condition::{Attribute, Condition};
use super::rule::{Action, PRIORITY_DEFAULT, PolicyName, PolicyRule, PolicyType};
use crate::field::{FieldValue, Problem, SpecError, boolean, name, text, whole, word};
use crate::mode::Mode;

/// The fields of a policy, as users write them.
pub const FIELDS: [&str; 17] = [
    "name", "type", "service", "tenant", "role", "ip", "method", "path", "header", "class", "hours", "days",
    "action", "priority", "enabled", "audit", "mode",
];

/// The fields of a policy as far as they are known.
///
/// ```
/// use governance::field::FieldValue::Text;
/// use governance::policy::PolicyDraft;
/// let mut draft = PolicyDraft::default();
/// for (field, value) in [("name", "no-interns"), ("role", "intern"), ("path", "/v1/invoices"), ("action", "deny")] {
///     draft.set(field, Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().name.as_str(), "no-interns");
/// assert!(draft.set("ip", Text("300.1.2.3/40")).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyDraft {
    name: Option<PolicyName>,
    policy_type: Option<PolicyType>,
    condition: Condition,
    action: Option<Action>,
    priority: Option<u8>,
    enabled: Option<bool>,
    audit_log: Option<bool>,
    mode: Option<Mode>,
}

impl PolicyDraft {
    /// A draft that says what `rule` says.
    #[must_use]
    pub const fn from_rule(rule: &PolicyRule) -> Self {
        Self {
            name: Some(rule.name),
            policy_type: Some(rule.policy_type),
            condition: rule.condition,
            action: Some(rule.action),
            priority: Some(rule.priority),
            enabled: Some(rule.enabled),
            audit_log: Some(rule.audit_log),
            mode: Some(rule.mode),
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "policy", problem: Problem::Unknown(&FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing policy. An empty text of a condition's field stands for every value.
    ///
    /// # Errors
    /// As [`PolicyDraft::set`]; the name cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if field == "name" {
            return Err(SpecError { field: "name", problem: Problem::Fixed });
        }
        match (Attribute::from_word(field), value) {
            (Some(attribute), FieldValue::Text("")) => {
                self.condition.clear(attribute);
                Ok(())
            }
            _ => self.set(field, value),
        }
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        if let Some(attribute) = Attribute::from_word(field) {
            let listed = text(value, "a string")?;
            return self.condition.set(attribute, listed).map_err(Problem::Condition);
        }
        match field {
            "name" => self.name = Some(name(value)?),
            "type" => self.policy_type = PolicyType::from_word(word(value, &PolicyType::WORDS)?),
            "action" => self.action = Some(Action::parse(text(value, "a string such as \"deny\"")?)?),
            "priority" => self.priority = u8::try_from(whole(value, 0, u8::MAX.into())?).ok(),
            "enabled" => self.enabled = Some(boolean(value)?),
            "audit" => self.audit_log = Some(boolean(value)?),
            _ => self.mode = Some(Mode::of_field(value)?),
        }
        Ok(())
    }

    /// The finished policy.
    ///
    /// # Errors
    /// The first of [`PolicyDraft::each_problem`].
    pub fn finish(&self) -> Result<PolicyRule, SpecError> {
        let rule = self.rule()?;
        rule.check().map(|()| rule)
    }

    /// Calls `each` with what keeps the draft from being a policy: fields that are missing or, when those are there,
    /// that do not go together.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        if self.name.is_none() {
            each(SpecError { field: "name", problem: Problem::Missing });
        }
        if self.action.is_none() {
            each(SpecError { field: "action", problem: Problem::Missing });
        }
        if let Ok(Err(problem)) = self.rule().map(|rule| rule.check()) {
            each(problem);
        }
    }

    /// What the fields say, if those that are needed are there.
    fn rule(&self) -> Result<PolicyRule, SpecError> {
        let missing = |field| SpecError { field, problem: Problem::Missing };
        Ok(PolicyRule {
            name: self.name.ok_or(missing("name"))?,
            policy_type: self.policy_type.unwrap_or_default(),
            condition: self.condition,
            action: self.action.ok_or(missing("action"))?,
            priority: self.priority.unwrap_or(PRIORITY_DEFAULT),
            enabled: self.enabled.unwrap_or(true),
            audit_log: self.audit_log.unwrap_or(false),
            mode: self.mode.unwrap_or_default(),
        })
    }
}
