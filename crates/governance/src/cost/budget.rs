//! Budgets: quotas on what requests cost, in the words of money.

use super::tenant::{anchor, money, schedule};
use crate::field::{FieldValue, Problem, Quoted, SpecError, name, text, word};
use crate::mode::Mode;
use crate::money::{Currency, Money, NanoUnits};
use crate::quota::{EnforcementMode, QuotaName, QuotaSpec, QuotaUnit};
use crate::scope::Scope;
use crate::text::Text;
use crate::time::{Schedule, WallTime};
use core::fmt;

/// A budget: a quota that counts nano-units, and their currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetSpec {
    /// The quota; it counts [`QuotaUnit::Cost`].
    pub quota: QuotaSpec,
    /// The currency of its limit.
    pub currency: Currency,
}

impl BudgetSpec {
    /// How much a period may cost.
    #[must_use]
    pub fn amount(&self) -> Money {
        Money { amount: NanoUnits(self.quota.limit.into()), currency: self.currency }
    }

    /// What happens beyond, in the word that users write.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.quota.enforcement {
            EnforcementMode::Hard => "deny",
            EnforcementMode::Soft => "alert",
        }
    }
}

/// Writes a budget as an element of `[[budget]]`, in the words that read back to it.
impl fmt::Display for BudgetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = &self.quota;
        let scope = Text::<88>::format(format_args!("{}", quota.scope.written())).unwrap_or_default();
        writeln!(f, "[[budget]]\nscope = {}", Quoted(scope.as_str()))?;
        if !quota.has_default_name() {
            writeln!(f, "name = {}", Quoted(quota.name.as_str()))?;
        }
        writeln!(f, "amount = \"{}\"\nwindow = \"{}\"", self.amount(), quota.schedule.cycle)?;
        if quota.schedule.anchor != WallTime(0) {
            writeln!(f, "anchor = \"{}\"", quota.schedule.anchor)?;
        }
        if quota.enforcement == EnforcementMode::Soft {
            writeln!(f, "action = \"alert\"")?;
        }
        if quota.mode == Mode::Shadow {
            writeln!(f, "mode = \"shadow\"")?;
        }
        match &quota.parent {
            Some(parent) => writeln!(f, "parent = {}", Quoted(parent.as_str())),
            None => Ok(()),
        }
    }
}

/// The fields of a budget, as users write them.
pub const BUDGET_FIELDS: [&str; 8] =
    ["scope", "name", "amount", "window", "anchor", "action", "mode", "parent"];

/// The fields of a budget as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct BudgetDraft {
    scope: Option<Scope>,
    name: Option<QuotaName>,
    amount: Option<(u64, Currency)>,
    window: Option<Schedule>,
    anchor: Option<WallTime>,
    enforcement: EnforcementMode,
    mode: Mode,
    parent: Option<QuotaName>,
}

impl BudgetDraft {
    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = BUDGET_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "budget", problem: Problem::Unknown(&BUDGET_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "scope" => self.scope = Some(Scope::parse(text(value, "a string")?).map_err(Problem::Scope)?),
            "name" => self.name = Some(name(value)?),
            "amount" => self.amount = Some(amount(value)?),
            "window" => self.window = Some(schedule(value)?),
            "anchor" => self.anchor = Some(anchor(value)?),
            "action" => {
                let denies = word(value, &["deny", "alert"])? == "deny";
                self.enforcement = if denies { EnforcementMode::Hard } else { EnforcementMode::Soft };
            }
            "mode" => {
                self.mode = Mode::of_field(value)?;
            }
            _ => self.parent = Some(name(value)?),
        }
        Ok(())
    }

    /// The finished budget, if every field that is needed is there.
    ///
    /// # Errors
    /// The first of [`BudgetDraft::each_problem`].
    pub fn finish(&self) -> Result<BudgetSpec, SpecError> {
        let missing = |field| SpecError { field, problem: Problem::Missing };
        let scope = self.scope.ok_or(missing("scope"))?;
        let (limit, currency) = self.amount.ok_or(missing("amount"))?;
        let schedule = self.window.unwrap_or_default().anchored(self.anchor.unwrap_or_default());
        let mut quota = QuotaSpec::new(scope, QuotaUnit::Cost, limit, schedule).unwrap_or_default();
        if let Some(name) = self.name {
            quota = QuotaSpec { name, scope, unit: QuotaUnit::Cost, limit, schedule, ..quota };
        }
        (quota.enforcement, quota.mode, quota.parent) = (self.enforcement, self.mode, self.parent);
        quota.check()?;
        Ok(BudgetSpec { quota, currency })
    }

    /// Calls `each` with everything that keeps the draft from being a budget.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        for (field, is_given) in [("scope", self.scope.is_some()), ("amount", self.amount.is_some())] {
            if !is_given {
                each(SpecError { field, problem: Problem::Missing });
            }
        }
        if let (Some(_), Some(_), Err(problem)) = (self.scope, self.amount, self.finish()) {
            each(problem);
        }
    }
}

/// An amount of money that fits in 64 bits of nano-units, from one of them.
fn amount(value: FieldValue<'_>) -> Result<(u64, Currency), Problem> {
    let Money { amount, currency } = money(value)?;
    if amount == NanoUnits::ZERO {
        return Err(Problem::Expected("an amount above 0"));
    }
    let amount = u64::try_from(amount.0).map_err(|_| Problem::Expected("at most 18000000000 units"))?;
    Ok((amount, currency))
}

#[cfg(test)]
mod tests {
    use super::{BudgetDraft, BudgetSpec};
    use crate::field::FieldValue;

    fn budget(fields: &[(&str, &str)]) -> Result<BudgetSpec, String> {
        let mut draft = BudgetDraft::default();
        for (field, value) in fields {
            draft.set(field, FieldValue::Text(value)).map_err(|error| error.to_string())?;
        }
        draft.finish().map_err(|error| error.to_string())
    }

    #[test]
    fn a_budget_prints_what_reads_back_to_it() {
        let fields = [
            ("scope", "tenant:acme"),
            ("amount", "100 USD"),
            ("window", "daily"),
            ("anchor", "2026-01-31"),
            ("action", "alert"),
            ("parent", "all"),
        ];
        let spec = budget(&fields).unwrap();
        assert_eq!(
            spec.to_string(),
            "[[budget]]\nscope = \"tenant:acme\"\namount = \"100.00 USD\"\nwindow = \"daily\"\n\
             anchor = \"2026-01-31T00:00:00Z\"\naction = \"alert\"\nparent = \"all\"\n"
        );
        assert_eq!(spec.quota.name.as_str(), "tenant:acme/daily#cost");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, part) in [
            (&[("scope", "tenant:acme")][..], "amount: missing"),
            (&[("amount", "1 USD")], "scope: missing"),
            (&[("amount", "0 USD")], "amount: expected an amount above 0"),
            (&[("amount", "-1 USD")], "not negative"),
            (&[("amount", "18446744074 USD")], "at most 18000000000"),
            (&[("amount", "many")], "an amount and a currency"),
            (&[("action", "explode")], "expected one of deny, alert"),
            (&[("scope", "tenant:acme"), ("amount", "1 USD"), ("window", "0s")], "window: expected hourly"),
        ] {
            let error = budget(fields).unwrap_err();
            assert!(error.contains(part), "{fields:?}: {error}");
        }
    }
}
