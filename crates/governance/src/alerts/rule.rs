//! What a rule looks at, and what it takes for a crossing.

use crate::field::{Problem, Quoted, SpecError};
use crate::money::NanoUnits;
use crate::scope::{Kind, NAME_BYTES_MAX, Name, NameRef, Pattern, Scope};
use crate::text::Text;
use crate::time::Nanos;
use crate::units::Percent;
use core::fmt;

/// How long a rule keeps still after a notice where nobody says otherwise.
pub const COOLDOWN_DEFAULT: Nanos = Nanos::from_seconds(300);
/// A scope as it is written: its name, and a kind of at most eight letters with its colon.
const SCOPE_BYTES_MAX: usize = NAME_BYTES_MAX + 9;
/// All of the requests, in parts of a million.
pub(super) const PPM: u32 = 1_000_000;

/// The figure that a rule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertMetric {
    /// Requests of the last minute, for each second: a whole number.
    #[default]
    RequestsPerSecond,
    /// The part of the last minute's decisions that were denials, in parts of a million.
    DeniedRate,
    /// The part of the last minute's outcomes that were errors, in parts of a million.
    ErrorRate,
    /// The latency of the last minute that 95 of 100 outcomes do not exceed, in nanoseconds.
    P95Latency,
    /// The latency of the last minute that 99 of 100 outcomes do not exceed, in nanoseconds.
    P99Latency,
    /// The cost of the last minute, in nano-units of the books' currency.
    CostPerMinute,
    /// How many breakers are not closed.
    BreakersOpen,
    /// How many requests wait.
    QueueDepth,
    /// How many tickets are out.
    TicketsOpen,
    /// How fast the errors that an objective allows are used up, in thousandths: 1000 uses them up just when the
    /// objective's time is over. It is read from the outcomes that [`super::GovernanceAlerts::record`] counts.
    BurnRate,
}

/// In which unit a metric is written, and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    Percent,
    Length,
    Money,
    Burn,
}

impl AlertMetric {
    /// Every metric.
    pub const ALL: [Self; 10] = [
        Self::RequestsPerSecond,
        Self::DeniedRate,
        Self::ErrorRate,
        Self::P95Latency,
        Self::P99Latency,
        Self::CostPerMinute,
        Self::BreakersOpen,
        Self::QueueDepth,
        Self::TicketsOpen,
        Self::BurnRate,
    ];

    /// The words that users write, in the order of [`AlertMetric::ALL`].
    pub const WORDS: [&'static str; 10] = {
        let mut words = [""; 10];
        let mut index = 0;
        while index < words.len() {
            words[index] = Self::ALL[index].word();
            index += 1;
        }
        words
    };

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests-per-second",
            Self::DeniedRate => "denied-rate",
            Self::ErrorRate => "error-rate",
            Self::P95Latency => "p95-latency",
            Self::P99Latency => "p99-latency",
            Self::CostPerMinute => "cost-per-minute",
            Self::BreakersOpen => "breakers-open",
            Self::QueueDepth => "queue-depth",
            Self::TicketsOpen => "tickets-open",
            Self::BurnRate => "burn-rate",
        }
    }

    /// The metric that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.word() == word)
    }

    /// The kinds of scopes that the metric can be read for. Without a scope, each is read for everything.
    #[must_use]
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::RequestsPerSecond | Self::DeniedRate | Self::ErrorRate | Self::CostPerMinute => {
                &[Kind::Service, Kind::Tenant]
            }
            Self::P95Latency | Self::P99Latency => &[Kind::Route, Kind::Service, Kind::Group],
            Self::QueueDepth | Self::BurnRate => &[Kind::Service],
            Self::BreakersOpen | Self::TicketsOpen => &[],
        }
    }

    pub(super) const fn unit(self) -> Unit {
        match self {
            Self::RequestsPerSecond | Self::BreakersOpen | Self::QueueDepth | Self::TicketsOpen => {
                Unit::Count
            }
            Self::DeniedRate | Self::ErrorRate => Unit::Percent,
            Self::P95Latency | Self::P99Latency => Unit::Length,
            Self::CostPerMinute => Unit::Money,
            Self::BurnRate => Unit::Burn,
        }
    }

    /// What was expected of a scope.
    const fn expected_scope(self) -> &'static str {
        match self {
            Self::RequestsPerSecond | Self::DeniedRate | Self::ErrorRate | Self::CostPerMinute => {
                "one service or tenant by its name, such as service:github"
            }
            Self::P95Latency | Self::P99Latency => {
                "one route, service or group by its name, such as route:github:get"
            }
            Self::QueueDepth | Self::BurnRate => "one service by its name, such as service:github",
            Self::BreakersOpen | Self::TicketsOpen => "no scope; the metric is of everything",
        }
    }
}

impl fmt::Display for AlertMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A value of a metric; it prints in the metric's own unit: `5%`, `250ms`, `0.5`, `12`, `14.4x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricValue {
    /// Whose it is.
    pub metric: AlertMetric,
    /// As [`AlertMetric`] says.
    pub value: i128,
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metric.unit() {
            Unit::Count => write!(f, "{}", self.value),
            Unit::Percent => Percent(u32::try_from(self.value.max(0)).unwrap_or(u32::MAX)).fmt(f),
            Unit::Length => Nanos(u64::try_from(self.value.max(0)).unwrap_or(u64::MAX)).fmt(f),
            Unit::Money => write!(f, "{:.0}", NanoUnits(self.value)),
            // Thousandths, in the places that nano-units have.
            Unit::Burn => write!(f, "{:.0}x", NanoUnits(self.value.saturating_mul(1_000_000))),
        }
    }
}

/// What a metric has to do to cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertCondition {
    /// It is larger than this.
    Above(i128),
    /// It is smaller than this.
    Below(i128),
    /// More requests fail than an objective allows, and fast: so many of a million requests are to succeed. It goes
    /// with [`AlertMetric::BurnRate`] alone.
    Objective(u32),
}

impl AlertCondition {
    /// All-zero.
    pub(super) const NONE: Self = Self::Above(0);

    /// The field that says it.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Above(_) => "above",
            Self::Below(_) => "below",
            Self::Objective(_) => "objective",
        }
    }
}

/// A rule: a metric, and what is worth a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRule {
    /// Its name; no other rule has it.
    pub name: Name,
    /// What it looks at.
    pub metric: AlertMetric,
    /// For whom; for everything if none. See [`AlertMetric::kinds`].
    pub scope: Option<Scope>,
    /// What is a crossing.
    pub condition: AlertCondition,
    /// The value at which, or beyond which, a crossing is over. It is not looked at for an objective.
    pub clear: i128,
    /// How long the metric has to be across before the rule fires.
    pub for_duration: Nanos,
    /// How long after a notice that it fires the rule gives no other one.
    pub cooldown: Nanos,
}

impl AlertRule {
    /// What fills a place where no rule is: all-zero, which it would not be without a scope.
    pub(crate) const EMPTY: Self = Self {
        name: Name::EMPTY,
        metric: AlertMetric::RequestsPerSecond,
        scope: Some(Scope { kind: Kind::Service, pattern: Pattern::Any }),
        condition: AlertCondition::Above(0),
        clear: 0,
        for_duration: Nanos::ZERO,
        cooldown: Nanos::ZERO,
    };

    /// Whether the values go with each other.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that does not.
    pub fn check(&self) -> Result<(), SpecError> {
        let refuse = |field, problem| Err(SpecError { field, problem });
        if let Err(error) = NameRef::printable(self.name.as_str()) {
            return refuse("name", Problem::Name(error));
        }
        if let Some(scope) = &self.scope
            && (!self.metric.kinds().contains(&scope.kind) || scope.pattern == Pattern::Any)
        {
            return refuse("scope", Problem::Expected(self.metric.expected_scope()));
        }
        self.check_condition()
            .map_err(|(field, expected)| SpecError { field, problem: Problem::Expected(expected) })
    }

    fn check_condition(&self) -> Result<(), (&'static str, &'static str)> {
        let is_burn = self.metric == AlertMetric::BurnRate;
        let most = if self.metric.unit() == Unit::Percent { PPM.into() } else { i128::MAX };
        match self.condition {
            AlertCondition::Objective(_) if !is_burn => {
                Err(("objective", "above or below; an objective goes with the metric burn-rate"))
            }
            AlertCondition::Objective(ppm) if ppm == 0 || ppm >= PPM => {
                Err(("objective", "more than 0% and less than 100%, such as 99.9%"))
            }
            AlertCondition::Objective(_) => Ok(()),
            AlertCondition::Above(_) if is_burn => {
                Err(("above", "an objective; burn-rate has its own thresholds"))
            }
            AlertCondition::Below(_) if is_burn => {
                Err(("below", "an objective; burn-rate has its own thresholds"))
            }
            AlertCondition::Above(threshold) if threshold < 0 => Err(("above", "a value from 0")),
            AlertCondition::Above(threshold) if threshold >= most => {
                Err(("above", "less than 100%; nothing can be above that"))
            }
            AlertCondition::Above(threshold) if !(0..=threshold).contains(&self.clear) => {
                Err(("clear", "a value at or below the threshold that it clears"))
            }
            AlertCondition::Below(threshold) if threshold <= 0 => {
                Err(("below", "a value above 0; nothing can be below that"))
            }
            AlertCondition::Below(threshold) if threshold > most => Err(("below", "at most 100%")),
            AlertCondition::Below(threshold) if !(threshold..=most).contains(&self.clear) => {
                Err(("clear", "a value at or above the threshold that it clears"))
            }
            AlertCondition::Above(_) | AlertCondition::Below(_) => Ok(()),
        }
    }

    fn shown(&self, value: i128) -> Shown {
        Shown(MetricValue { metric: self.metric, value })
    }
}

/// A threshold as TOML has it.
struct Shown(MetricValue);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.metric.unit() {
            Unit::Count if self.0.value <= i64::MAX.into() => self.0.fmt(f),
            _ => write!(f, "\"{}\"", self.0),
        }
    }
}

/// Writes a rule as an element of `[[alert]]`, in the words that read back to it.
impl fmt::Display for AlertRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[alert]]\nname = {}\nmetric = \"{}\"", Quoted(self.name.as_str()), self.metric)?;
        if let Some(scope) = &self.scope {
            let text = Text::<SCOPE_BYTES_MAX>::format(format_args!("{scope}")).map_err(|_| fmt::Error)?;
            writeln!(f, "scope = {}", Quoted(text.as_str()))?;
        }
        let threshold = match self.condition {
            AlertCondition::Above(threshold) => {
                writeln!(f, "above = {}", self.shown(threshold))?;
                threshold
            }
            AlertCondition::Below(threshold) => {
                writeln!(f, "below = {}", self.shown(threshold))?;
                threshold
            }
            AlertCondition::Objective(ppm) => {
                writeln!(f, "objective = \"{}\"", Percent(ppm))?;
                self.clear
            }
        };
        if self.clear != threshold {
            writeln!(f, "clear = {}", self.shown(self.clear))?;
        }
        writeln!(f, "for = \"{}\"\ncooldown = \"{}\"", self.for_duration, self.cooldown)
    }
}
