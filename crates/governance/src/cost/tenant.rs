//! Who is billed, and how often.

use crate::field::{FieldValue, Problem, Quoted, SpecError, amount, name, text};
use crate::money::{Money, MoneyError, NanoUnits};
use crate::priority::WEIGHT_MAX;
use crate::scope::Name;
use crate::text::Text;
use crate::time::{Schedule, WallTime, parse_time_or_date};
use core::fmt;

/// The name of a tier; multipliers go by it.
pub type TierName = Text<32>;
/// The tenant of a billing schedule that stands for every tenant without its own.
pub const ANY_TENANT: &str = "*";

/// A tenant as it is declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantSpec {
    /// Its name, as requests bear it.
    pub name: Name,
    /// Its tier; empty if it has none.
    pub tier: TierName,
    /// Whom the account belongs to; empty if to itself.
    pub organisation: Name,
    /// The cost of a billing period that is worth an alert; 0 if none is.
    pub alert: Money,
    /// How much of a queue's class it is due beside a tenant of weight 1, up to [`WEIGHT_MAX`]; 0 stands for 1,
    /// which is what tenants have that are not declared.
    pub weight: u32,
}

/// How often a tenant is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BillingSchedule {
    /// The tenant; [`ANY_TENANT`] stands for every one without a schedule of its own.
    pub tenant: Name,
    /// The billing periods.
    pub schedule: Schedule,
}

impl TenantSpec {
    pub(crate) const EMPTY: Self = Self {
        name: Text::EMPTY,
        tier: Text::EMPTY,
        organisation: Text::EMPTY,
        alert: Money::ZERO,
        weight: 0,
    };

    /// Its weight beside other tenants in a class of a queue, at least 1.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.max(1)
    }
}

impl BillingSchedule {
    /// All-zero: what fills a place where no schedule is.
    pub(crate) const EMPTY: Self = Self { tenant: Text::EMPTY, schedule: Schedule::NONE };
}

/// Writes a tenant as an element of `[[tenant]]`, in the words that read back to it.
impl fmt::Display for TenantSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[tenant]]\nname = {}", Quoted(self.name.as_str()))?;
        if !self.tier.is_empty() {
            writeln!(f, "tier = {}", Quoted(self.tier.as_str()))?;
        }
        if !self.organisation.is_empty() {
            writeln!(f, "organisation = {}", Quoted(self.organisation.as_str()))?;
        }
        if self.alert.amount != NanoUnits::ZERO {
            writeln!(f, "alert = \"{}\"", self.alert)?;
        }
        if self.weight != 0 {
            writeln!(f, "weight = {}", self.weight)?;
        }
        Ok(())
    }
}

/// Writes a schedule as an element of `[[billing]]`, in the words that read back to it.
impl fmt::Display for BillingSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[billing]]\ntenant = {}", Quoted(self.tenant.as_str()))?;
        writeln!(f, "cycle = \"{}\"", self.schedule.cycle)?;
        if self.schedule.anchor != WallTime(0) {
            writeln!(f, "anchor = \"{}\"", self.schedule.anchor)?;
        }
        Ok(())
    }
}

/// The fields of a tenant, as users write them.
pub const TENANT_FIELDS: [&str; 5] = ["name", "tier", "organisation", "alert", "weight"];
/// The fields of a billing schedule, as users write them.
pub const BILLING_FIELDS: [&str; 3] = ["tenant", "cycle", "anchor"];

/// The fields of a tenant as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantDraft {
    tenant: TenantSpec,
}

impl TenantDraft {
    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let refuse = |problem| SpecError { field: known(&TENANT_FIELDS, field), problem };
        match field {
            "name" => self.tenant.name = name(value).map_err(refuse)?,
            "tier" => self.tenant.tier = name(value).map_err(refuse)?,
            "organisation" => self.tenant.organisation = name(value).map_err(refuse)?,
            "alert" => self.tenant.alert = money(value).map_err(refuse)?,
            "weight" => self.tenant.weight = weight(value).map_err(refuse)?,
            _ => return Err(SpecError { field: "tenant", problem: Problem::Unknown(&TENANT_FIELDS) }),
        }
        Ok(())
    }

    /// The finished tenant.
    ///
    /// # Errors
    /// [`SpecError`] if it has no name.
    pub fn finish(&self) -> Result<TenantSpec, SpecError> {
        if self.tenant.name.is_empty() {
            return Err(SpecError { field: "name", problem: Problem::Missing });
        }
        Ok(self.tenant)
    }

    /// Calls `each` with what keeps the draft from being a tenant.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        self.finish().err().into_iter().for_each(&mut each);
    }
}

/// The fields of a billing schedule as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct BillingDraft {
    tenant: Option<Name>,
    cycle: Option<Schedule>,
    anchor: Option<WallTime>,
}

impl BillingDraft {
    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let refuse = |problem| SpecError { field: known(&BILLING_FIELDS, field), problem };
        match field {
            "tenant" => self.tenant = Some(name(value).map_err(refuse)?),
            "cycle" => self.cycle = Some(schedule(value).map_err(refuse)?),
            "anchor" => self.anchor = Some(anchor(value).map_err(refuse)?),
            _ => return Err(SpecError { field: "billing", problem: Problem::Unknown(&BILLING_FIELDS) }),
        }
        Ok(())
    }

    /// The finished schedule; calendar months of every tenant, unless the fields say otherwise.
    ///
    /// # Errors
    /// None: every field has a default.
    pub fn finish(&self) -> Result<BillingSchedule, SpecError> {
        let schedule = self.cycle.unwrap_or_default().anchored(self.anchor.unwrap_or_default());
        let any = || Text::excerpt(ANY_TENANT);
        Ok(BillingSchedule { tenant: self.tenant.unwrap_or_else(any), schedule })
    }

    /// Calls `each` with what keeps the draft from being a schedule.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        self.finish().err().into_iter().for_each(&mut each);
    }
}

/// A cycle in the words of a schedule.
pub(super) fn schedule(value: FieldValue<'_>) -> Result<Schedule, Problem> {
    let word = text(value, "a string such as \"monthly\"")?;
    Schedule::parse(word)
        .map_err(|_| Problem::Expected("hourly, daily, monthly or a length of time such as 60s"))
}

/// A weight, from 1.
fn weight(value: FieldValue<'_>) -> Result<u32, Problem> {
    let weight = u32::try_from(amount(value)?).ok().filter(|weight| *weight <= WEIGHT_MAX);
    weight.ok_or(Problem::AboveMaximum(WEIGHT_MAX.into()))
}

/// An amount of money that is not negative.
pub(super) fn money(value: FieldValue<'_>) -> Result<Money, Problem> {
    let money: Money = text(value, "a string such as \"100 USD\"")?
        .parse()
        .map_err(|error: MoneyError| Problem::Expected(error.expected()))?;
    if money.amount < NanoUnits::ZERO {
        return Err(Problem::Expected("an amount that is not negative"));
    }
    Ok(money)
}

/// A date or a point of time.
pub(super) fn anchor(value: FieldValue<'_>) -> Result<WallTime, Problem> {
    let written = text(value, "a string such as \"2026-01-31\"")?;
    parse_time_or_date(written).map_err(|_| {
        Problem::Expected("a date or a UTC time that exists, such as 2026-01-31 or 2026-01-31T06:00:00Z")
    })
}

fn known(fields: &[&'static str], field: &str) -> &'static str {
    fields.iter().copied().find(|&known| known == field).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::{BillingDraft, TenantDraft, TenantSpec};
    use crate::field::FieldValue;

    #[test]
    fn tenants_and_schedules_print_what_reads_back_to_them() {
        let mut draft = TenantDraft::default();
        assert_eq!(draft.finish().unwrap_err().to_string(), "name: missing");
        for (field, value) in [
            ("name", "acme"),
            ("tier", "gold"),
            ("organisation", "megacorp"),
            ("alert", "5 USD"),
            ("weight", "4"),
        ] {
            draft.set(field, FieldValue::Text(value)).unwrap();
        }
        assert_eq!(
            draft.finish().unwrap().to_string(),
            "[[tenant]]\nname = \"acme\"\ntier = \"gold\"\norganisation = \"megacorp\"\nalert = \"5.00 USD\"\nweight = 4\n"
        );
        assert_eq!((draft.finish().unwrap().weight(), TenantSpec::EMPTY.weight()), (4, 1));
        for weight in ["0", "1025", "-1", "1.5", "heavy"] {
            assert!(draft.set("weight", FieldValue::Text(weight)).is_err(), "{weight}");
        }
        let mut draft = BillingDraft::default();
        assert_eq!(draft.finish().unwrap().to_string(), "[[billing]]\ntenant = \"*\"\ncycle = \"monthly\"\n");
        for (field, value) in [("tenant", "acme"), ("cycle", "daily"), ("anchor", "2026-01-31")] {
            draft.set(field, FieldValue::Text(value)).unwrap();
        }
        assert_eq!(
            draft.finish().unwrap().to_string(),
            "[[billing]]\ntenant = \"acme\"\ncycle = \"daily\"\nanchor = \"2026-01-31T00:00:00Z\"\n"
        );
        assert!(TenantDraft::default().set("alert", FieldValue::Text("-1 USD")).is_err());
        assert!(draft.set("anchor", FieldValue::Text("2026-02-30")).is_err());
        assert!(draft.set("cycle", FieldValue::Text("0s")).is_err());
        assert!(draft.set("colour", FieldValue::Text("red")).is_err());
    }
}
