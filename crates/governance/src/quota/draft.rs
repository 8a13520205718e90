//! The words in which users describe a quota.
//!
//! [`QuotaDraft`] collects the fields of one quota from a configuration file or a command line, in the same words,
//! and [`QuotaDraft::finish`] makes a [`QuotaSpec`] of them in which every value is in range.

use super::spec::{EnforcementMode, QuotaDimension, QuotaName, QuotaSpec, QuotaUnit, ROLLOVER_PERCENT_MAX};
use crate::field::{FieldValue, Problem, SpecError, amount, amount_or_zero, finished, text, word};
use crate::mode::Mode;
use crate::scope::{Scope, ScopeError};
use crate::time::{Cycle, Schedule, WallTime, parse_time_or_date};

/// The fields of a quota, as users write them.
pub const FIELDS: [&str; 11] = [
    "scope",
    "name",
    "unit",
    "dimension",
    "limit",
    "window",
    "anchor",
    "rollover",
    "enforcement",
    "mode",
    "parent",
];

/// The fields of a quota as far as they are known.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::quota::QuotaDraft;
/// let mut draft = QuotaDraft::default();
/// for (field, value) in [("scope", "tenant:acme"), ("limit", "100"), ("window", "monthly"), ("anchor", "2026-01-31")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().name.as_str(), "tenant:acme/monthly");
/// draft.set("rollover", FieldValue::Integer(11)).unwrap_err();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct QuotaDraft {
    name: Option<QuotaName>,
    scope: Option<Scope>,
    unit: Option<QuotaUnit>,
    dimension: Option<QuotaDimension>,
    limit: Option<u64>,
    cycle: Option<Cycle>,
    anchor: Option<WallTime>,
    rollover_percent: Option<u8>,
    enforcement: Option<EnforcementMode>,
    mode: Option<Mode>,
    parent: Option<QuotaName>,
}

impl QuotaDraft {
    /// A draft that says what `spec` says.
    #[must_use]
    pub const fn from_spec(spec: &QuotaSpec) -> Self {
        Self {
            name: Some(spec.name),
            scope: Some(spec.scope),
            unit: Some(spec.unit),
            dimension: None,
            limit: Some(spec.limit),
            cycle: Some(spec.schedule.cycle),
            anchor: Some(spec.schedule.anchor),
            rollover_percent: Some(spec.rollover_percent),
            enforcement: Some(spec.enforcement),
            mode: Some(spec.mode),
            parent: spec.parent,
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was. An empty parent is none.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "quota", problem: Problem::Unknown(&FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing quota.
    ///
    /// # Errors
    /// As [`QuotaDraft::set`]; name, scope and unit (and thereby dimension) cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if let Some(field) = ["name", "scope", "unit", "dimension"].into_iter().find(|&fixed| fixed == field)
        {
            return Err(SpecError { field, problem: Problem::Fixed });
        }
        self.set(field, value)
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "scope" => self.scope = Some(Scope::parse(text(value, "a string")?).map_err(Problem::Scope)?),
            "name" => self.name = Some(name(text(value, "a string")?)?),
            "unit" => self.unit = QuotaUnit::from_word(word(value, &QuotaUnit::WORDS)?),
            "dimension" => {
                self.dimension = QuotaDimension::from_word(word(value, &QuotaDimension::WORDS)?);
            }
            "limit" => self.limit = Some(amount(value)?),
            "window" => {
                let window = text(value, "a string such as \"daily\", \"monthly\" or \"60s\"")?;
                self.cycle = Some(cycle(window)?);
            }
            "anchor" => {
                const EXPECTED: &str = "a date or a time of UTC, such as 2026-01-31 or 2026-01-31T06:00:00Z";
                let anchor = parse_time_or_date(text(value, EXPECTED)?);
                self.anchor = Some(anchor.map_err(|_| Problem::Expected(EXPECTED))?);
            }
            "rollover" => self.rollover_percent = Some(percent(value)?),
            "enforcement" => {
                let soft = word(value, &EnforcementMode::WORDS)? == EnforcementMode::Soft.word();
                self.enforcement = Some(if soft { EnforcementMode::Soft } else { EnforcementMode::Hard });
            }
            "mode" => {
                self.mode = Some(Mode::of_field(value)?);
            }
            _ => {
                let parent = text(value, "a string")?;
                self.parent = if parent.is_empty() { None } else { Some(name(parent)?) };
            }
        }
        Ok(())
    }

    /// The finished quota, if every field that is needed is there.
    ///
    /// # Errors
    /// The first of [`QuotaDraft::each_problem`].
    pub fn finish(&self) -> Result<QuotaSpec, SpecError> {
        finished(self.spec(), |each| self.each_problem(each))
    }

    /// Calls `each` with everything that keeps the draft from being a quota: fields that are missing, that do not go
    /// together, or, when those are right, out of range.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        for (field, is_missing) in [
            ("scope", self.scope.is_none()),
            ("limit", self.limit.is_none()),
            ("window", self.cycle.is_none() && self.dimension.is_none()),
        ] {
            if is_missing {
                each(SpecError { field, problem: Problem::Missing });
            }
        }
        if let Some(dimension) = self.dimension {
            let own_window = dimension != QuotaDimension::LatencyP99;
            for (field, given) in
                [("unit", self.unit.is_some()), ("window", self.cycle.is_some() && own_window)]
            {
                if given {
                    let takes = if own_window { "neither unit nor window" } else { "no unit" };
                    let value = dimension.word();
                    each(SpecError { field, problem: Problem::NotWith { field: "dimension", value, takes } });
                }
            }
        }
        let Some(spec) = self.spec() else { return };
        if spec.name.is_empty() && !spec.scope.is_secret() {
            let expected = "a name, since what scope, window and unit make is longer than 88 bytes";
            return each(SpecError { field: "name", problem: Problem::Expected(expected) });
        }
        if let Err(problem) = spec.check() {
            each(problem);
        }
    }

    /// What the fields say, if all that are needed are there.
    fn spec(&self) -> Option<QuotaSpec> {
        let scope = self.scope?;
        let unit = self.unit.or(self.dimension.map(QuotaDimension::unit)).unwrap_or_default();
        let cycle = self.cycle.or(self.dimension.map(QuotaDimension::cycle))?;
        Some(QuotaSpec {
            name: self.name.or_else(|| default_name(&scope, cycle, unit)).unwrap_or_default(),
            scope,
            unit,
            limit: self.limit?,
            schedule: Schedule { cycle, anchor: self.anchor.unwrap_or_default() },
            rollover_percent: self.rollover_percent.unwrap_or_default(),
            enforcement: self.enforcement.unwrap_or_default(),
            mode: self.mode.unwrap_or_default(),
            parent: self.parent,
        })
    }
}

/// What scope, window and unit make, if it is short enough for a name and no secret.
pub(super) fn default_name(scope: &Scope, cycle: Cycle, unit: QuotaUnit) -> Option<QuotaName> {
    if scope.is_secret() {
        return None;
    }
    match unit {
        QuotaUnit::Requests => QuotaName::format(format_args!("{scope}/{cycle}")),
        _ => QuotaName::format(format_args!("{scope}/{cycle}#{unit}")),
    }
    .ok()
}

fn cycle(window: &str) -> Result<Cycle, Problem> {
    const EXPECTED: &str =
        "hourly, daily, monthly, or a whole number and one of ns us ms s m h d, such as 30s";
    match Schedule::parse(window) {
        Ok(schedule) => Ok(schedule.cycle),
        Err(crate::units::UnitError::Duration) if window.parse() == Ok(crate::time::Nanos::ZERO) => {
            Err(Problem::Zero)
        }
        Err(crate::units::UnitError::Duration) => Err(Problem::Expected(EXPECTED)),
        Err(error) => Err(Problem::Unit(error)),
    }
}

fn percent(value: FieldValue<'_>) -> Result<u8, Problem> {
    let percent = amount_or_zero(value)?;
    let in_range = u8::try_from(percent).ok().filter(|&percent| percent <= ROLLOVER_PERCENT_MAX);
    in_range.ok_or(Problem::AboveMaximum(ROLLOVER_PERCENT_MAX.into()))
}

/// The name of a quota. It can be as long as one that was made, which a change of the window leaves behind.
fn name(name: &str) -> Result<QuotaName, Problem> {
    if name.is_empty() {
        return Err(Problem::Name(ScopeError::EmptyName));
    }
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Problem::Name(ScopeError::ControlCharacter));
    }
    QuotaName::new(name).map_err(|_| Problem::Expected("a name of at most 88 bytes"))
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, FieldValue, Problem, QuotaDraft, QuotaSpec, SpecError};
    use crate::mode::Mode;
    use crate::quota::{EnforcementMode, QuotaUnit};
    use crate::time::Cycle;

    fn draft(fields: &[(&str, FieldValue<'_>)]) -> Result<QuotaSpec, SpecError> {
        let mut draft = QuotaDraft::default();
        for &(field, value) in fields {
            draft.set(field, value)?;
        }
        draft.finish()
    }

    fn with<'a>(more: &[(&'static str, FieldValue<'a>)]) -> Result<QuotaSpec, SpecError> {
        let mut fields =
            vec![("scope", FieldValue::Text("tenant:acme")), ("limit", FieldValue::Integer(1000))];
        fields.extend_from_slice(more);
        draft(&fields)
    }

    fn problem(more: &[(&'static str, FieldValue<'_>)]) -> (&'static str, Problem) {
        let error = with(more).unwrap_err();
        (error.field, error.problem)
    }

    const DAILY: (&str, FieldValue<'static>) = ("window", FieldValue::Text("daily"));

    #[test]
    fn a_quota_is_named_after_scope_window_and_unit() {
        let text = FieldValue::Text;
        for (window, unit, name) in [
            ("monthly", "requests", "tenant:acme/monthly"),
            ("60s", "tokens", "tenant:acme/1m#tokens"),
            ("1d", "latency-p99", "tenant:acme/daily#latency-p99"),
        ] {
            let spec = with(&[("window", text(window)), ("unit", text(unit))]).unwrap();
            assert_eq!(spec.name.as_str(), name);
            assert!(spec.has_default_name());
        }
        let long = format!("provider:{}", "x".repeat(64));
        let fields = [
            ("scope", text(&long)),
            ("limit", text("1")),
            ("window", text("123456789ns")),
            ("unit", text("tokens")),
        ];
        assert_eq!(draft(&fields).unwrap_err().field, "name", "and has to be given one that fits otherwise");
        assert!(draft(&[&fields[..], &[("name", text("short"))]].concat()).is_ok());
    }

    #[test]
    fn what_is_shown_reads_back() {
        let text = FieldValue::Text;
        let specs = [
            with(&[("window", text("monthly")), ("anchor", text("2026-01-31"))]),
            with(&[("dimension", text("errors/min")), ("enforcement", text("soft"))]),
            with(&[("dimension", text("latency-p99")), ("window", text("15m"))]),
            with(&[
                DAILY,
                ("unit", text("bytes")),
                ("rollover", FieldValue::Integer(10)),
                ("name", text("a \"b\"")),
            ]),
            with(&[DAILY, ("mode", text("shadow"))]),
            with(&[
                DAILY,
                ("parent", text("tenant:megacorp/daily")),
                ("limit", text("18446744073709551615")),
            ]),
        ];
        for spec in specs {
            let spec = spec.unwrap();
            let shown = spec.to_string();
            let mut again = QuotaDraft::default();
            for line in shown.lines().skip(1) {
                let (field, value) = line.split_once(" = ").unwrap();
                let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let plain = unquoted.map(|inside| inside.replace("\\\"", "\""));
                match &plain {
                    Some(word) => again.set(field, FieldValue::Text(word)).unwrap(),
                    None => again.set(field, FieldValue::Integer(value.parse().unwrap())).unwrap(),
                }
            }
            assert_eq!(again.finish(), Ok(spec), "{shown}");
            assert_eq!(QuotaDraft::from_spec(&spec).finish(), Ok(spec));
        }
        assert_eq!(
            specs[3].unwrap().to_string(),
            "[[quota]]\nscope = \"tenant:acme\"\nname = \"a \\\"b\\\"\"\nunit = \"bytes\"\nlimit = 1000\nwindow = \"daily\"\nrollover = 10\n"
        );
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        use FieldValue::{Boolean, Fraction, Integer, Text};
        for (field, value, expected) in [
            ("limit", Integer(0), Problem::Zero),
            ("limit", Integer(-1), Problem::Negative),
            ("limit", Fraction, Problem::NotWhole),
            ("rollover", Integer(11), Problem::AboveMaximum(10)),
            ("rollover", Text("256"), Problem::AboveMaximum(10)),
            ("rollover", Integer(-1), Problem::Negative),
            ("rollover", Text("2.5"), Problem::NotWhole),
            ("window", Text("0s"), Problem::Zero),
            ("mode", Boolean(true), Problem::Type("a string")),
            ("enforcement", Text("firm"), Problem::NotOneOf(&["hard", "soft"])),
            ("unit", Text("cost"), Problem::NotOneOf(&QuotaUnit::WORDS)),
        ] {
            assert_eq!(problem(&[DAILY, (field, value)]), (field, expected), "{field} {value:?}");
        }
        for window in ["weekly", "", "1.5h", "-1d"] {
            assert!(
                matches!(problem(&[("window", Text(window))]), ("window", Problem::Expected(_))),
                "{window}"
            );
        }
        for anchor in ["2026-02-30", "2026-02-30T00:00:00Z", "yesterday", "1969-12-31", ""] {
            assert!(
                matches!(problem(&[DAILY, ("anchor", Text(anchor))]), ("anchor", Problem::Expected(_))),
                "{anchor}"
            );
        }
        assert_eq!(problem(&[DAILY, ("burst", Text("1"))]), ("quota", Problem::Unknown(&FIELDS)));
    }

    #[test]
    fn a_dimension_is_a_unit_and_a_window() {
        let text = FieldValue::Text;
        for (dimension, unit, cycle) in [
            ("requests/s", QuotaUnit::Requests, "1s"),
            ("bytes/s", QuotaUnit::Bytes, "1s"),
            ("errors/min", QuotaUnit::Errors, "1m"),
            ("latency-p99", QuotaUnit::LatencyP99, "1m"),
        ] {
            let spec = with(&[("dimension", text(dimension))]).unwrap();
            assert_eq!((spec.unit, spec.schedule.cycle.to_string().as_str()), (unit, cycle));
            assert_eq!(spec.dimension().unwrap().word(), dimension);
        }
        assert_eq!(problem(&[("dimension", text("requests/s")), DAILY]).0, "window");
        assert_eq!(problem(&[("dimension", text("latency-p99")), ("unit", text("bytes"))]).0, "unit");
        let longer = with(&[("dimension", text("latency-p99")), ("window", text("hourly"))]).unwrap();
        assert_eq!(longer.schedule.cycle, Cycle::Every("1h".parse().unwrap()));
        assert_eq!(longer.dimension(), None);
    }

    #[test]
    fn fields_that_do_not_go_together_are_refused() {
        let text = FieldValue::Text;
        for (more, field) in [
            ([("unit", text("latency-p99")), ("rollover", text("1"))], "rollover"),
            ([("unit", text("errors")), ("mode", text("shadow"))], "mode"),
            ([("parent", text("a")), ("mode", text("shadow"))], "parent"),
        ] {
            assert_eq!(problem(&[&more[..], &[DAILY]].concat()).0, field);
        }
        let mut missing = Vec::new();
        QuotaDraft::default().each_problem(|problem| missing.push(problem.field));
        assert_eq!(missing, ["scope", "limit", "window"]);
    }

    #[test]
    fn name_scope_and_unit_stay_and_the_rest_can_change() {
        let text = FieldValue::Text;
        let spec = with(&[DAILY, ("parent", text("p"))]).unwrap();
        let mut draft = QuotaDraft::from_spec(&spec);
        for fixed in ["name", "scope", "unit", "dimension"] {
            let expected = Err(SpecError { field: fixed, problem: Problem::Fixed });
            assert_eq!(draft.change(fixed, text("bytes")), expected);
        }
        for (field, value) in [
            ("limit", "5"),
            ("window", "hourly"),
            ("enforcement", "soft"),
            ("mode", "shadow"),
            ("parent", ""),
        ] {
            draft.change(field, text(value)).unwrap();
        }
        let changed = draft.finish().unwrap();
        assert_eq!((changed.limit, changed.parent, changed.name), (5, None, spec.name));
        assert_eq!((changed.enforcement, changed.mode), (EnforcementMode::Soft, Mode::Shadow));
    }
}
