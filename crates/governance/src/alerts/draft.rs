//! Rules as users write them.

use super::rule::{AlertCondition, AlertMetric, AlertRule, COOLDOWN_DEFAULT, Unit};
use crate::field::{FieldValue, Problem, SpecError, finished, name, text, word};
use crate::money::{NANO_PER_UNIT, NanoUnits};
use crate::scope::{Name, Scope};
use crate::time::Nanos;
use crate::units::Percent;

/// The fields of an alert, as users write them.
pub const ALERT_FIELDS: [&str; 9] =
    ["name", "metric", "scope", "above", "below", "clear", "for", "cooldown", "objective"];

/// The fields of an alert as far as they are known.
///
/// ```
/// use governance::alerts::{AlertCondition, AlertDraft};
/// use governance::field::FieldValue;
/// let mut draft = AlertDraft::default();
/// for (field, value) in [("name", "denials"), ("above", "5%"), ("clear", "2%"), ("metric", "denied-rate")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().condition, AlertCondition::Above(50_000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertDraft {
    name: Option<Name>,
    metric: Option<AlertMetric>,
    scope: Option<Scope>,
    above: Option<Written>,
    below: Option<Written>,
    clear: Option<Written>,
    hold: Option<Nanos>,
    cooldown: Option<Nanos>,
    objective: Option<Percent>,
}

/// A threshold before it is known of which metric it is: fields come in any order.
#[derive(Clone, Copy, Debug)]
enum Written {
    Whole(u64),
    Percent(Percent),
    Length(Nanos),
    Decimal(NanoUnits),
}

impl AlertDraft {
    /// A draft that says what `rule` says.
    #[must_use]
    pub fn from_rule(rule: &AlertRule) -> Self {
        let written = |value| Some(Written::of(rule.metric, value));
        let mut draft = Self {
            name: Some(rule.name),
            metric: Some(rule.metric),
            scope: rule.scope,
            hold: Some(rule.for_duration),
            cooldown: Some(rule.cooldown),
            ..Self::default()
        };
        match rule.condition {
            AlertCondition::Above(threshold) => draft.above = written(threshold),
            AlertCondition::Below(threshold) => draft.below = written(threshold),
            AlertCondition::Objective(ppm) => draft.objective = Some(Percent(ppm)),
        }
        // A value that is the threshold's goes with it when that is changed.
        if let AlertCondition::Above(threshold) | AlertCondition::Below(threshold) = rule.condition
            && rule.clear != threshold
        {
            draft.clear = written(rule.clear);
        }
        draft
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = ALERT_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "alert", problem: Problem::Unknown(&ALERT_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// The same, but that it clears where it crosses.
    pub(super) const fn with_clear_at_threshold(self) -> Self {
        Self { clear: None, ..self }
    }

    /// Changes one field of an existing rule.
    ///
    /// # Errors
    /// As [`AlertDraft::set`]; the name, the metric and the scope cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        for fixed in ["name", "metric", "scope"] {
            if field == fixed {
                return Err(SpecError { field: fixed, problem: Problem::Fixed });
            }
        }
        self.set(field, value)
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "name" => self.name = Some(name(value)?),
            "metric" => self.metric = AlertMetric::from_word(word(value, &AlertMetric::WORDS)?),
            "scope" => {
                let written = text(value, "a string such as \"service:github\"")?;
                self.scope = Some(Scope::parse(written).map_err(Problem::Scope)?);
            }
            "above" => self.above = Some(Written::read(value)?),
            "below" => self.below = Some(Written::read(value)?),
            "clear" => self.clear = Some(Written::read(value)?),
            "for" => self.hold = Some(length(value)?),
            "cooldown" => self.cooldown = Some(length(value)?),
            _ => {
                let written = text(value, "a string such as \"99.9%\"")?;
                let expected = Problem::Expected("a percentage with up to four decimals, such as 99.9%");
                self.objective = Some(written.parse().map_err(|_| expected)?);
            }
        }
        Ok(())
    }

    /// The finished rule, if every field that is needed is there and all go with each other.
    ///
    /// # Errors
    /// The first of [`AlertDraft::each_problem`].
    pub fn finish(&self) -> Result<AlertRule, SpecError> {
        finished(self.rule(), |each| self.each_problem(each))
    }

    /// Calls `each` with every field that is missing or does not go with the others.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        let mut clean = true;
        let mut refuse = |field, problem| {
            clean = false;
            each(SpecError { field, problem });
        };
        if self.name.is_none() {
            refuse("name", Problem::Missing);
        }
        let Some(metric) = self.metric else {
            return refuse("metric", Problem::Missing);
        };
        for (field, written) in [("above", self.above), ("below", self.below), ("clear", self.clear)] {
            let Some(written) = written else { continue };
            if metric == AlertMetric::BurnRate {
                let takes = "an objective, and has its own thresholds";
                refuse(field, Problem::NotWith { field: "metric", value: metric.word(), takes });
            } else if written.value(metric).is_none() {
                refuse(field, Problem::Expected(expected(metric)));
            }
        }
        match (metric, self.above, self.below, self.objective) {
            (AlertMetric::BurnRate, _, _, None) => {
                refuse("objective", Problem::MissingFor("metric", metric.word()));
            }
            (AlertMetric::BurnRate, ..) => {}
            (_, _, _, Some(_)) => {
                let takes = "above or below";
                refuse("objective", Problem::NotWith { field: "metric", value: metric.word(), takes });
            }
            (_, None, None, None) => refuse("above", Problem::Expected("a threshold: above or below")),
            (_, Some(_), Some(_), None) => {
                refuse("below", Problem::Expected("one threshold: above or below, not both"));
            }
            _ => {}
        }
        if clean && let Some(Err(problem)) = self.rule().map(|rule| rule.check()) {
            each(problem);
        }
    }

    fn rule(&self) -> Option<AlertRule> {
        let metric = self.metric?;
        let (condition, threshold) = match (self.above, self.below, self.objective) {
            (_, _, Some(Percent(ppm))) => (AlertCondition::Objective(ppm), 0),
            (Some(above), _, _) => (AlertCondition::Above(above.value(metric)?), above.value(metric)?),
            (None, below, _) => (AlertCondition::Below(below?.value(metric)?), below?.value(metric)?),
        };
        Some(AlertRule {
            name: self.name?,
            metric,
            scope: self.scope,
            condition,
            clear: self.clear.map_or(Some(threshold), |clear| clear.value(metric))?,
            for_duration: self.hold.unwrap_or(Nanos::ZERO),
            cooldown: self.cooldown.unwrap_or(COOLDOWN_DEFAULT),
        })
    }
}

impl Written {
    fn read(value: FieldValue<'_>) -> Result<Self, Problem> {
        const EXPECTED: Problem =
            Problem::Expected("a value in the metric's unit, such as 5%, 250ms, \"0.5\" or 12");
        let written = match value {
            FieldValue::Integer(number) => {
                return u64::try_from(number)
                    .map(Self::Whole)
                    .map_err(|_| Problem::Expected("a value from 0"));
            }
            FieldValue::Fraction => return Err(Problem::Type("a string such as \"0.5\"")),
            _ => text(value, "a number, or a string such as \"5%\"")?,
        };
        if written.starts_with('-') {
            return Err(Problem::Expected("a value from 0"));
        }
        let is_digit = |byte: u8| byte.is_ascii_digit();
        if written.ends_with('%') {
            written.parse().map(Self::Percent).map_err(|_| EXPECTED)
        } else if written.bytes().all(is_digit) {
            written.parse().map(Self::Whole).map_err(|_| EXPECTED)
        } else if written.bytes().all(|byte| is_digit(byte) || byte == b'.') {
            written.parse().map(Self::Decimal).map_err(|_| EXPECTED)
        } else {
            written.parse().map(Self::Length).map_err(|_| EXPECTED)
        }
    }

    /// What is written where a metric has this value.
    fn of(metric: AlertMetric, value: i128) -> Self {
        match metric.unit() {
            Unit::Count | Unit::Burn => Self::Whole(u64::try_from(value.max(0)).unwrap_or(u64::MAX)),
            Unit::Percent => Self::Percent(Percent(u32::try_from(value.max(0)).unwrap_or(u32::MAX))),
            Unit::Length => Self::Length(Nanos(u64::try_from(value.max(0)).unwrap_or(u64::MAX))),
            Unit::Money => Self::Decimal(NanoUnits(value)),
        }
    }

    /// The value of a metric that is written so, if it is in the metric's unit.
    fn value(self, metric: AlertMetric) -> Option<i128> {
        match (metric.unit(), self) {
            (Unit::Count, Self::Whole(number)) => Some(number.into()),
            (Unit::Percent, Self::Percent(Percent(ppm))) => Some(ppm.into()),
            (Unit::Length, Self::Length(Nanos(nanos))) => Some(nanos.into()),
            (Unit::Money, Self::Whole(number)) => Some(i128::from(number) * NANO_PER_UNIT),
            (Unit::Money, Self::Decimal(amount)) => Some(amount.0),
            _ => None,
        }
    }
}

const fn expected(metric: AlertMetric) -> &'static str {
    match metric.unit() {
        Unit::Count | Unit::Burn => "a whole number from 0",
        Unit::Percent => "a percentage with up to four decimals, such as 5%",
        Unit::Length => "a length of time, such as 250ms",
        Unit::Money => "an amount in the currency of the books, such as \"0.5\"",
    }
}

fn length(value: FieldValue<'_>) -> Result<Nanos, Problem> {
    text(value, "a string such as \"30s\"")?.parse().map_err(Problem::Unit)
}
