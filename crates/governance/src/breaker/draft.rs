//! The words in which users describe a breaker.

use super::spec::{
    BREAKER_CALLS_MAX, BREAKER_CONSECUTIVE_MAX, BREAKER_JITTER_MAX_PPM, BREAKER_MIN_CALLS_MAX,
    BREAKER_PROBES_MAX, BreakerMode, BreakerRates, BreakerSpec, BreakerWindow, JITTER, RATE, route_scope,
};
use crate::field::{FieldValue, Problem, SpecError, finished, text, whole, word};
use crate::scope::Scope;
use crate::time::Nanos;
use crate::units::{PPM, Percent};

/// The fields of a breaker, as users write them.
pub const BREAKER_FIELDS: [&str; 16] = [
    "scope",
    "window",
    "failures",
    "failure_rate",
    "slow_call",
    "slow_rate",
    "calls",
    "span",
    "min_calls",
    "successes",
    "probes",
    "open_time",
    "open_time_max",
    "jitter",
    "permit_timeout",
    "mode",
];

const FAILURES_DEFAULT: u32 = 5;
const SUCCESSES_DEFAULT: u32 = 2;
const RATE_DEFAULT_PPM: u32 = PPM / 2;
const SLOW_RATE_DEFAULT_PPM: u32 = PPM / 5 * 4;
const CALLS_DEFAULT: u32 = 100;
const SPAN_DEFAULT: Nanos = Nanos::from_seconds(60);
const MIN_CALLS_DEFAULT: u32 = 20;
const PROBES_DEFAULT: u32 = 10;
const OPEN_TIME_DEFAULT: Nanos = Nanos::from_seconds(60);
const OPEN_TIME_MAX_DEFAULT: Nanos = Nanos::from_seconds(600);
const JITTER_DEFAULT_PPM: u32 = PPM / 10;
const PERMIT_TIMEOUT_DEFAULT: Nanos = Nanos::from_seconds(30);

/// The fields of a breaker as far as they are known.
///
/// ```
/// use governance::breaker::BreakerDraft;
/// use governance::field::FieldValue;
/// let mut draft = BreakerDraft::default();
/// for (field, value) in [("scope", "route:GitHub:GET"), ("window", "count"), ("failure_rate", "25%")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// let spec = draft.finish().unwrap();
/// assert_eq!(spec.scope.to_string(), "route:github:get");
/// assert_eq!(spec.window.rates().unwrap().failure_ppm, 250_000);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BreakerDraft {
    scope: Option<Scope>,
    window: Option<WindowKind>,
    failures: Option<u32>,
    failure_ppm: Option<u32>,
    slow_call: Option<Nanos>,
    slow_ppm: Option<u32>,
    calls: Option<u32>,
    span: Option<Nanos>,
    min_calls: Option<u32>,
    successes: Option<u32>,
    probes: Option<u32>,
    open_time: Option<Nanos>,
    open_time_max: Option<Nanos>,
    jitter_ppm: Option<u32>,
    permit_timeout: Option<Nanos>,
    mode: Option<BreakerMode>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WindowKind {
    #[default]
    Consecutive,
    Count,
    Time,
}

impl WindowKind {
    const ALL: [Self; 3] = [Self::Consecutive, Self::Count, Self::Time];

    const fn of(window: &BreakerWindow) -> Self {
        match window {
            BreakerWindow::Consecutive { .. } => Self::Consecutive,
            BreakerWindow::Count { .. } => Self::Count,
            BreakerWindow::Time { .. } => Self::Time,
        }
    }

    const fn word(self) -> &'static str {
        BreakerWindow::WORDS[self as usize]
    }

    const fn takes(self) -> &'static str {
        match self {
            Self::Consecutive => "failures and successes",
            Self::Count => "calls, failure_rate, slow_call, slow_rate, min_calls and probes",
            Self::Time => "span, failure_rate, slow_call, slow_rate, min_calls and probes",
        }
    }
}

impl BreakerDraft {
    /// A draft that says what `spec` says.
    #[must_use]
    pub fn from_spec(spec: &BreakerSpec) -> Self {
        let mut draft = Self {
            scope: Some(spec.scope),
            window: Some(WindowKind::of(&spec.window)),
            open_time: Some(spec.open_time),
            open_time_max: Some(spec.open_time_max),
            jitter_ppm: Some(spec.jitter_ppm),
            permit_timeout: Some(spec.permit_timeout),
            mode: Some(spec.mode),
            ..Self::default()
        };
        match spec.window {
            BreakerWindow::Consecutive { failures, successes } => {
                (draft.failures, draft.successes) = (Some(failures), Some(successes));
            }
            BreakerWindow::Count { calls, .. } => draft.calls = Some(calls),
            BreakerWindow::Time { span, .. } => draft.span = Some(span),
        }
        if let Some(rates) = spec.window.rates() {
            draft.failure_ppm = Some(rates.failure_ppm);
            draft.slow_call = rates.slow_call;
            draft.slow_ppm = rates.slow_call.map(|_| rates.slow_ppm);
            draft.min_calls = Some(rates.min_calls);
            draft.probes = Some(rates.probes);
        }
        draft
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = BREAKER_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "breaker", problem: Problem::Unknown(&BREAKER_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing breaker. A change of the window drops the fields that do not go with it.
    ///
    /// # Errors
    /// As [`BreakerDraft::set`]; the scope cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if field == "scope" {
            return Err(SpecError { field: "scope", problem: Problem::Fixed });
        }
        self.set(field, value)?;
        if field == "window" {
            let kind = self.window.unwrap_or_default();
            if kind == WindowKind::Consecutive {
                (self.failure_ppm, self.slow_call, self.slow_ppm) = (None, None, None);
                (self.min_calls, self.probes) = (None, None);
            } else {
                (self.failures, self.successes) = (None, None);
            }
            self.calls = self.calls.filter(|_| kind == WindowKind::Count);
            self.span = self.span.filter(|_| kind == WindowKind::Time);
        }
        Ok(())
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "scope" => {
                let scope = Scope::parse(text(value, "a string")?).map_err(Problem::Scope)?;
                self.scope = Some(route_scope(scope)?);
            }
            "window" => {
                let word = word(value, &BreakerWindow::WORDS)?;
                self.window = WindowKind::ALL.into_iter().find(|kind| kind.word() == word);
            }
            "failures" => self.failures = Some(whole(value, 1, BREAKER_CONSECUTIVE_MAX)?),
            "failure_rate" => self.failure_ppm = Some(share(value, 1, PPM, RATE)?),
            "slow_call" => self.slow_call = Some(duration(value)?),
            "slow_rate" => self.slow_ppm = Some(share(value, 1, PPM, RATE)?),
            "calls" => self.calls = Some(whole(value, 1, BREAKER_CALLS_MAX)?),
            "span" => self.span = Some(duration(value)?),
            "min_calls" => self.min_calls = Some(whole(value, 1, BREAKER_MIN_CALLS_MAX)?),
            "successes" => self.successes = Some(whole(value, 1, BREAKER_PROBES_MAX)?),
            "probes" => self.probes = Some(whole(value, 1, BREAKER_PROBES_MAX)?),
            "open_time" => self.open_time = Some(duration(value)?),
            "open_time_max" => self.open_time_max = Some(duration(value)?),
            "jitter" => self.jitter_ppm = Some(share(value, 0, BREAKER_JITTER_MAX_PPM, JITTER)?),
            "permit_timeout" => self.permit_timeout = Some(duration(value)?),
            _ => {
                let word = word(value, &BreakerMode::WORDS)?;
                let modes = [BreakerMode::Enforce, BreakerMode::Shadow, BreakerMode::Disabled];
                self.mode = modes.into_iter().find(|mode| mode.word() == word);
            }
        }
        Ok(())
    }

    /// The finished specification, if every field that is needed is there and no other.
    ///
    /// # Errors
    /// The first of [`BreakerDraft::each_problem`].
    pub fn finish(&self) -> Result<BreakerSpec, SpecError> {
        finished(self.spec(), |each| self.each_problem(each))
    }

    /// Calls `each` with everything that keeps the draft from being a breaker: fields that are missing, that do not go
    /// with the window, or, when those are right, out of range together.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        let kind = self.window.unwrap_or_default();
        let is_consecutive = kind == WindowKind::Consecutive;
        let mut are_right = true;
        for (field, is_given, is_taken) in [
            ("failures", self.failures.is_some(), is_consecutive),
            ("successes", self.successes.is_some(), is_consecutive),
            ("failure_rate", self.failure_ppm.is_some(), !is_consecutive),
            ("slow_call", self.slow_call.is_some(), !is_consecutive),
            ("slow_rate", self.slow_ppm.is_some(), !is_consecutive),
            ("min_calls", self.min_calls.is_some(), !is_consecutive),
            ("probes", self.probes.is_some(), !is_consecutive),
            ("calls", self.calls.is_some(), kind == WindowKind::Count),
            ("span", self.span.is_some(), kind == WindowKind::Time),
        ] {
            if is_given && !is_taken {
                let problem = Problem::NotWith { field: "window", value: kind.word(), takes: kind.takes() };
                each(SpecError { field, problem });
                are_right = false;
            }
        }
        if !is_consecutive && self.slow_ppm.is_some() && self.slow_call.is_none() {
            each(SpecError { field: "slow_call", problem: Problem::MissingFor("the field", "slow_rate") });
            are_right = false;
        }
        match self.spec() {
            None => each(SpecError { field: "scope", problem: Problem::Missing }),
            Some(spec) if are_right => {
                if let Err(problem) = spec.check() {
                    each(problem);
                }
            }
            Some(_) => {}
        }
    }

    /// What the fields say, if all that are needed are there.
    fn spec(&self) -> Option<BreakerSpec> {
        let scope = self.scope?;
        let calls = self.calls.unwrap_or(CALLS_DEFAULT);
        let kind = self.window.unwrap_or_default();
        // Who asks for a small window has not asked for more calls than it holds.
        let usual = if kind == WindowKind::Count { MIN_CALLS_DEFAULT.min(calls) } else { MIN_CALLS_DEFAULT };
        let rates = BreakerRates {
            failure_ppm: self.failure_ppm.unwrap_or(RATE_DEFAULT_PPM),
            slow_call: self.slow_call,
            slow_ppm: self.slow_call.map_or(0, |_| self.slow_ppm.unwrap_or(SLOW_RATE_DEFAULT_PPM)),
            min_calls: self.min_calls.unwrap_or(usual),
            probes: self.probes.unwrap_or(PROBES_DEFAULT),
        };
        let open_time = self.open_time.unwrap_or(OPEN_TIME_DEFAULT);
        Some(BreakerSpec {
            scope,
            window: match kind {
                WindowKind::Consecutive => BreakerWindow::Consecutive {
                    failures: self.failures.unwrap_or(FAILURES_DEFAULT),
                    successes: self.successes.unwrap_or(SUCCESSES_DEFAULT),
                },
                WindowKind::Count => BreakerWindow::Count { calls, rates },
                WindowKind::Time => BreakerWindow::Time { span: self.span.unwrap_or(SPAN_DEFAULT), rates },
            },
            open_time,
            open_time_max: self.open_time_max.unwrap_or(OPEN_TIME_MAX_DEFAULT.max(open_time)),
            jitter_ppm: self.jitter_ppm.unwrap_or(JITTER_DEFAULT_PPM),
            permit_timeout: self.permit_timeout.unwrap_or(PERMIT_TIMEOUT_DEFAULT),
            mode: self.mode.unwrap_or_default(),
        })
    }
}

/// A percentage of a range, in parts of a million.
fn share(value: FieldValue<'_>, least: u32, most: u32, expected: &'static str) -> Result<u32, Problem> {
    let written = text(value, "a string such as \"50%\"")?;
    let share = written.parse::<Percent>().ok().filter(|share| (least..=most).contains(&share.0));
    share.map(|share| share.0).ok_or(Problem::Expected(expected))
}

/// A length of time that is not zero; how long it has to be is checked when all are known.
fn duration(value: FieldValue<'_>) -> Result<Nanos, Problem> {
    let length: Nanos = text(value, "a string such as \"60s\"")?.parse().map_err(Problem::Unit)?;
    if length == Nanos::ZERO { Err(Problem::Zero) } else { Ok(length) }
}
