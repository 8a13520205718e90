//! What a quota is: what it counts, for whom, how much of it in which periods, and what happens beyond.

use super::draft::default_name;
use crate::field::{Amount, Problem, Quoted, SpecError};
use crate::limit::check_name;
use crate::mode::Mode;
use crate::scope::{Kind, Pattern, Scope, ScopeError};
use crate::text::Text;
use crate::time::{Cycle, Nanos, Schedule, WallTime};
use core::fmt;

/// The longest name of a quota: what its scope, window and unit make, or what the user wrote.
pub type QuotaName = Text<88>;

/// The most of its limit that a quota can carry over, in percent.
pub const ROLLOVER_PERCENT_MAX: u8 = 10;

/// What a quota counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaUnit {
    /// Requests: their `cost`, which is 1 unless they say otherwise.
    #[default]
    Requests,
    /// Bytes.
    Bytes,
    /// Compute units, which are milliseconds of computing time.
    Compute,
    /// Tokens of a language model, in and out together.
    Tokens,
    /// What only [`consume_quota`](super::QuotaManager::consume_quota) charges.
    Custom,
    /// Answers that were errors. They are observed: a request is refused once there are as many as the limit.
    Errors,
    /// How long answers take, in milliseconds. It is observed: a request is refused while more than one answer of a
    /// hundred took longer than the limit.
    LatencyP99,
    /// Money, in nano-units: what a budget counts. Users write budgets, not quotas of this unit.
    Cost,
}

impl QuotaUnit {
    /// Every unit.
    pub const ALL: [Self; 8] = [
        Self::Requests,
        Self::Bytes,
        Self::Compute,
        Self::Tokens,
        Self::Custom,
        Self::Errors,
        Self::LatencyP99,
        Self::Cost,
    ];

    /// The words that users write.
    pub const WORDS: [&'static str; 7] =
        ["requests", "bytes", "tokens", "compute", "custom", "errors", "latency-p99"];

    /// The word that stands for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Compute => "compute",
            Self::Tokens => "tokens",
            Self::Custom => "custom",
            Self::Errors => "errors",
            Self::LatencyP99 => "latency-p99",
            Self::Cost => "cost",
        }
    }

    /// The unit that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.word() == word)
    }

    /// Whether it counts outcomes, and nothing when a request is decided.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        matches!(self, Self::Errors | Self::LatencyP99)
    }
}

impl fmt::Display for QuotaUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The types of quota that count what requests take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaType {
    /// How many requests there are.
    RequestCount,
    /// How many bytes they transfer.
    BytesTransferred,
    /// How many milliseconds of computing time they take.
    ComputeUnits,
    /// Whatever the caller counts.
    CustomMetric,
    /// How many tokens of a language model they take.
    Tokens,
}

impl QuotaType {
    /// Every type.
    pub const ALL: [Self; 5] =
        [Self::RequestCount, Self::BytesTransferred, Self::ComputeUnits, Self::CustomMetric, Self::Tokens];

    /// What it counts.
    #[must_use]
    pub const fn unit(self) -> QuotaUnit {
        match self {
            Self::RequestCount => QuotaUnit::Requests,
            Self::BytesTransferred => QuotaUnit::Bytes,
            Self::ComputeUnits => QuotaUnit::Compute,
            Self::CustomMetric => QuotaUnit::Custom,
            Self::Tokens => QuotaUnit::Tokens,
        }
    }
}

/// A unit and a window in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaDimension {
    /// `requests/s`
    RequestsPerSecond,
    /// `bytes/s`
    BytesPerSecond,
    /// `errors/min`
    ErrorsPerMinute,
    /// `latency-p99`, over a minute unless a window is given.
    LatencyP99,
}

impl QuotaDimension {
    /// Every dimension.
    pub const ALL: [Self; 4] =
        [Self::RequestsPerSecond, Self::BytesPerSecond, Self::ErrorsPerMinute, Self::LatencyP99];

    /// The words that users write.
    pub const WORDS: [&'static str; 4] = ["requests/s", "bytes/s", "errors/min", "latency-p99"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// The dimension that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.word() == word)
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(self) -> QuotaUnit {
        match self {
            Self::RequestsPerSecond => QuotaUnit::Requests,
            Self::BytesPerSecond => QuotaUnit::Bytes,
            Self::ErrorsPerMinute => QuotaUnit::Errors,
            Self::LatencyP99 => QuotaUnit::LatencyP99,
        }
    }

    /// Over how long.
    #[must_use]
    pub const fn cycle(self) -> Cycle {
        match self {
            Self::RequestsPerSecond | Self::BytesPerSecond => Cycle::Every(Nanos::from_seconds(1)),
            Self::ErrorsPerMinute | Self::LatencyP99 => Cycle::Every(Nanos::from_seconds(60)),
        }
    }
}

/// What happens to what does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnforcementMode {
    /// It is refused.
    #[default]
    Hard,
    /// It passes, is counted, and alerts are raised.
    Soft,
}

impl EnforcementMode {
    /// The words that users write.
    pub const WORDS: [&'static str; 2] = ["hard", "soft"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// One quota with every value in range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaSpec {
    /// Its name, unique among all quotas.
    pub name: QuotaName,
    /// Who it is for.
    pub scope: Scope,
    /// What it counts.
    pub unit: QuotaUnit,
    /// How much of that is in a period; for [`QuotaUnit::LatencyP99`] the milliseconds that 99 of 100 answers take at
    /// most.
    pub limit: u64,
    /// Its periods.
    pub schedule: Schedule,
    /// How much of the limit can be carried over to the next period, in percent.
    pub rollover_percent: u8,
    /// What happens to what does not fit.
    pub enforcement: EnforcementMode,
    /// Whether it has a say.
    pub mode: Mode,
    /// The quota that is charged together with this one, if there is one.
    pub parent: Option<QuotaName>,
}

impl QuotaSpec {
    /// All-zero: what fills a place where no quota is. It has no name, so that [`QuotaSpec::check`] refuses it.
    pub(crate) const EMPTY: Self = Self {
        name: Text::EMPTY,
        scope: Scope { kind: Kind::Service, pattern: Pattern::Any },
        unit: QuotaUnit::Requests,
        limit: 0,
        schedule: Schedule { cycle: Cycle::Every(Nanos::ZERO), anchor: WallTime(0) },
        rollover_percent: 0,
        enforcement: EnforcementMode::Hard,
        mode: Mode::Enforce,
        parent: None,
    };

    /// A hard quota named after its scope, window and unit, that carries nothing over and stands alone.
    ///
    /// # Errors
    /// [`SpecError`] if a value is out of range, or the name too long.
    pub fn new(scope: Scope, unit: QuotaUnit, limit: u64, schedule: Schedule) -> Result<Self, SpecError> {
        let name = default_name(&scope, schedule.cycle, unit).unwrap_or_default();
        let spec = Self { name, scope, unit, limit, schedule, ..Self::EMPTY };
        spec.check()?;
        Ok(spec)
    }

    /// Whether the name is the one that scope, window and unit make.
    #[must_use]
    pub fn has_default_name(&self) -> bool {
        default_name(&self.scope, self.schedule.cycle, self.unit) == Some(self.name)
    }

    /// The dimension that its unit and window amount to, if there is one.
    #[must_use]
    pub fn dimension(&self) -> Option<QuotaDimension> {
        let is_it = |dimension: &QuotaDimension| {
            (dimension.unit(), dimension.cycle()) == (self.unit, self.schedule.cycle)
        };
        QuotaDimension::ALL.into_iter().find(is_it)
    }

    /// The most that is carried over to a period, in whole units, rounded down.
    #[must_use]
    pub fn rollover_max(&self) -> u64 {
        let share =
            u128::from(self.limit) * u128::from(self.rollover_percent.min(ROLLOVER_PERCENT_MAX)) / 100;
        // A tenth of 64 bits fits into them; what is in a period does too.
        u64::try_from(share).unwrap_or(u64::MAX).min(u64::MAX - self.limit)
    }

    /// Whether every value is in range. The fields are open, so that whoever keeps a spec asks.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        let refuse = |field, problem| Err(SpecError { field, problem });
        if self.name.is_empty() && !self.scope.is_secret() {
            return refuse("name", Problem::Name(ScopeError::EmptyName));
        }
        check_name(self.name.as_str(), &self.scope)?;
        if self.limit == 0 {
            return refuse("limit", Problem::Zero);
        }
        if self.schedule.cycle == Cycle::Every(Nanos::ZERO) {
            return refuse("window", Problem::Zero);
        }
        if self.rollover_percent > ROLLOVER_PERCENT_MAX {
            return refuse("rollover", Problem::AboveMaximum(ROLLOVER_PERCENT_MAX.into()));
        }
        if self.unit == QuotaUnit::LatencyP99 && self.rollover_percent > 0 {
            let takes = "no rollover: milliseconds cannot be saved up";
            return refuse("rollover", Problem::NotWith { field: "unit", value: self.unit.word(), takes });
        }
        if self.mode == Mode::Shadow {
            if self.unit.is_observed() {
                let takes = "mode enforce; with enforcement soft it refuses nothing";
                return refuse("mode", Problem::NotWith { field: "unit", value: self.unit.word(), takes });
            }
            if self.parent.is_some() {
                let takes = "no parent";
                return refuse("parent", Problem::NotWith { field: "mode", value: self.mode.word(), takes });
            }
        }
        Ok(())
    }
}

/// Writes a quota as an element of `[[quota]]`, in the words that read back to it. A quota of
/// [`QuotaUnit::Cost`] is a budget, which has words of its own.
impl fmt::Display for QuotaSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[quota]]")?;
        let scope = Text::<88>::format(format_args!("{}", self.scope.written())).unwrap_or_default();
        writeln!(f, "scope = {}", Quoted(scope.as_str()))?;
        if !self.has_default_name() {
            writeln!(f, "name = {}", Quoted(self.name.as_str()))?;
        }
        if self.unit != QuotaUnit::Requests {
            writeln!(f, "unit = \"{}\"", self.unit)?;
        }
        writeln!(f, "limit = {}\nwindow = \"{}\"", Amount(self.limit), self.schedule.cycle)?;
        if self.schedule.anchor != WallTime(0) {
            writeln!(f, "anchor = \"{}\"", self.schedule.anchor)?;
        }
        if self.rollover_percent != 0 {
            writeln!(f, "rollover = {}", self.rollover_percent)?;
        }
        if self.enforcement != EnforcementMode::default() {
            writeln!(f, "enforcement = \"{}\"", self.enforcement.word())?;
        }
        if self.mode != Mode::default() {
            writeln!(f, "mode = \"{}\"", self.mode.word())?;
        }
        if let Some(parent) = &self.parent {
            writeln!(f, "parent = {}", Quoted(parent.as_str()))?;
        }
        Ok(())
    }
}
