//! What a breaker does: how it looks at calls, how long it stays open.

use super::memory::BUCKET_CALLS_MAX;
use crate::field::{Problem, Quoted, SpecError};
use crate::scope::{Kind, Pattern, Scope};
use crate::text::Text;
use crate::time::Nanos;
use crate::units::{PPM, Percent};
use core::fmt;

/// How many calls a window of calls looks at, at most.
pub const BREAKER_CALLS_MAX: u32 = 128;
/// How many permits of a half-open breaker are out at a time, at most.
pub const BREAKER_PROBES_MAX: u32 = 16;
/// How many failures in a row a breaker can be told to wait for.
pub const BREAKER_CONSECUTIVE_MAX: u32 = 1_000_000;
/// The most calls that a window can be told to have before it is looked at.
pub const BREAKER_MIN_CALLS_MAX: u32 = 1_000_000;
/// The shortest window of time: a millisecond for each of its 16 buckets.
pub const BREAKER_SPAN_MIN: Nanos = Nanos::from_millis(16);
/// The shortest time that a breaker can be told to be open, or to wait for a permit.
pub const BREAKER_TIME_MIN: Nanos = Nanos::from_millis(1);
/// The longest of any of its times: a day.
pub const BREAKER_TIME_MAX: Nanos = Nanos::from_seconds(86_400);
/// The most that jitter can take off an open time: half of it.
pub const BREAKER_JITTER_MAX_PPM: u32 = PPM / 2;

// The calls of a window do not all come in one bucket's time, but they may.
const _: () = assert!(BREAKER_MIN_CALLS_MAX as u64 <= BUCKET_CALLS_MAX);

/// What a breaker does, every value in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSpec {
    /// Which routes have such a breaker, each one of its own.
    pub scope: Scope,
    /// How it looks at calls.
    pub window: BreakerWindow,
    /// How long it is open for the first time.
    pub open_time: Nanos,
    /// How long it is open at most, after several openings in a row.
    pub open_time_max: Nanos,
    /// Up to so many parts of a million are taken off its open time, the first of openings in a row apart.
    pub jitter_ppm: u32,
    /// After how long a permit of a half-open breaker comes back by itself.
    pub permit_timeout: Nanos,
    /// What a refusal does.
    pub mode: BreakerMode,
}

/// How a breaker looks at calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerWindow {
    /// It looks at failures in a row.
    Consecutive {
        /// So many open it, 1 to [`BREAKER_CONSECUTIVE_MAX`].
        failures: u32,
        /// So many probes in a row that succeed close it; as many are let through at a time. 1 to
        /// [`BREAKER_PROBES_MAX`].
        successes: u32,
    },
    /// It looks at the last calls.
    Count {
        /// How many, 1 to [`BREAKER_CALLS_MAX`].
        calls: u32,
        /// What is too much.
        rates: BreakerRates,
    },
    /// It looks at the calls of the last span of time, to a sixteenth of it.
    Time {
        /// How long, at least [`BREAKER_SPAN_MIN`].
        span: Nanos,
        /// What is too much.
        rates: BreakerRates,
    },
}

/// What is too much in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRates {
    /// So many calls of a million, or more, have failed. 1 to 1 000 000.
    pub failure_ppm: u32,
    /// A call that takes as long is slow; none is if this is not said.
    pub slow_call: Option<Nanos>,
    /// So many calls of a million, or more, were slow. 1 to 1 000 000 where `slow_call` is said, else 0.
    pub slow_ppm: u32,
    /// With fewer calls than these nothing is decided.
    pub min_calls: u32,
    /// Half-open: so many calls are let through, and their rates decide. 1 to [`BREAKER_PROBES_MAX`].
    pub probes: u32,
}

/// What a refusal does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerMode {
    /// The call is not made.
    #[default]
    Enforce,
    /// It is counted, and the call is made.
    Shadow,
    /// The breaker refuses nothing, and results count for nothing but its totals.
    Disabled,
}

impl BreakerMode {
    /// The words that users write.
    pub const WORDS: [&'static str; 3] = ["enforce", "shadow", "disabled"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Disabled => "disabled",
        }
    }
}

impl BreakerWindow {
    /// The words that users write.
    pub const WORDS: [&'static str; 3] = ["consecutive", "count", "time"];

    /// The word that users write.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Consecutive { .. } => "consecutive",
            Self::Count { .. } => "count",
            Self::Time { .. } => "time",
        }
    }

    /// What is too much, where rates count.
    #[must_use]
    pub const fn rates(&self) -> Option<&BreakerRates> {
        match self {
            Self::Consecutive { .. } => None,
            Self::Count { rates, .. } | Self::Time { rates, .. } => Some(rates),
        }
    }

    /// Whether a call that took so long is slow.
    #[inline]
    pub(super) fn is_slow(&self, duration: Option<Nanos>) -> bool {
        let slow_call = self.rates().and_then(|rates| rates.slow_call);
        matches!((duration, slow_call), (Some(duration), Some(slow_call)) if duration >= slow_call)
    }
}

impl BreakerSpec {
    /// All-zero: what fills a place where no specification is.
    pub const EMPTY: Self = Self {
        scope: Scope { kind: Kind::Service, pattern: Pattern::Any },
        window: BreakerWindow::Consecutive { failures: 0, successes: 0 },
        open_time: Nanos::ZERO,
        open_time_max: Nanos::ZERO,
        jitter_ppm: 0,
        permit_timeout: Nanos::ZERO,
        mode: BreakerMode::Enforce,
    };

    /// How long the breaker is open after so many openings in a row, this one included. `random` is any number, and
    /// decides how much jitter is taken off.
    #[must_use]
    pub const fn open_time_of(&self, opens_in_a_row: u32, random: u64) -> Nanos {
        let doublings = opens_in_a_row.saturating_sub(1);
        let base = self.open_time.0;
        // What is shifted out would have been above the maximum.
        let grown = if doublings < base.leading_zeros() { base << doublings } else { u64::MAX };
        let length = if grown < self.open_time_max.0 { grown } else { self.open_time_max.0 };
        if doublings == 0 {
            return Nanos(length);
        }
        let (millions, rest) = (length / PPM as u64, length % PPM as u64);
        let ppm = self.jitter_ppm as u64;
        let most = millions.saturating_mul(ppm).saturating_add(rest * ppm / PPM as u64);
        // A part of `most` in 2^64: the high half of the product, which fits.
        let taken = ((most as u128 + 1) * random as u128) >> 64;
        Nanos(length.saturating_sub(taken as u64))
    }

    /// Whether every value is in range, alone and together with the others.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        let refuse = |field, problem| Err(SpecError { field, problem });
        route_scope(self.scope).map_err(|problem| SpecError { field: "scope", problem })?;
        match self.window {
            BreakerWindow::Consecutive { failures, successes } => {
                within("failures", failures, 1, BREAKER_CONSECUTIVE_MAX)?;
                within("successes", successes, 1, BREAKER_PROBES_MAX)?;
            }
            BreakerWindow::Count { calls, rates } => {
                within("calls", calls, 1, BREAKER_CALLS_MAX)?;
                rates.check()?;
                if rates.min_calls > calls {
                    return refuse("min_calls", Problem::Expected(AT_MOST_CALLS));
                }
            }
            BreakerWindow::Time { span, rates } => {
                length("span", span, BREAKER_SPAN_MIN)?;
                rates.check()?;
                if u64::from(rates.min_calls) > span.0 / 1000 {
                    return refuse(
                        "min_calls",
                        Problem::Expected("at most one for each microsecond of span"),
                    );
                }
            }
        }
        length("open_time", self.open_time, BREAKER_TIME_MIN)?;
        length("open_time_max", self.open_time_max, BREAKER_TIME_MIN)?;
        if self.open_time_max < self.open_time {
            return refuse("open_time_max", Problem::Expected("at least as long as open_time"));
        }
        if self.jitter_ppm > BREAKER_JITTER_MAX_PPM {
            return refuse("jitter", Problem::Expected(JITTER));
        }
        length("permit_timeout", self.permit_timeout, BREAKER_TIME_MIN)
    }
}

pub(super) const JITTER: &str = "at most 50%, with up to four decimals, such as 10%";
pub(super) const RATE: &str = "more than 0% and at most 100%, with up to four decimals, such as 50%";
const AT_MOST_CALLS: &str = "at most as many as calls, since the breaker would never open";
const ROUTE: &str = "route:PROVIDER:METHOD, such as route:github:get, or route:*";

impl BreakerRates {
    fn check(&self) -> Result<(), SpecError> {
        rate("failure_rate", self.failure_ppm)?;
        if let Some(slow_call) = self.slow_call {
            length("slow_call", slow_call, Nanos(1))?;
            rate("slow_rate", self.slow_ppm)?;
        }
        within("min_calls", self.min_calls, 1, BREAKER_MIN_CALLS_MAX)?;
        within("probes", self.probes, 1, BREAKER_PROBES_MAX)
    }
}

/// A scope of one route or of each.
pub(super) fn route_scope(scope: Scope) -> Result<Scope, Problem> {
    if scope.is_of_routes() { Ok(scope) } else { Err(Problem::Expected(ROUTE)) }
}

fn within(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), SpecError> {
    if value == 0 {
        return Err(SpecError { field, problem: Problem::Zero });
    }
    let is_within = (least..=most).contains(&value);
    if is_within { Ok(()) } else { Err(SpecError { field, problem: Problem::NotWithin { least, most } }) }
}

fn rate(field: &'static str, ppm: u32) -> Result<(), SpecError> {
    let is_rate = (1..=PPM).contains(&ppm);
    if is_rate { Ok(()) } else { Err(SpecError { field, problem: Problem::Expected(RATE) }) }
}

fn length(field: &'static str, value: Nanos, least: Nanos) -> Result<(), SpecError> {
    let is_within = (least..=BREAKER_TIME_MAX).contains(&value);
    let expected = if least == BREAKER_SPAN_MIN {
        "16ms to 1d, since it is cut into 16 parts of a millisecond or more"
    } else if least == BREAKER_TIME_MIN {
        "1ms to 1d"
    } else {
        "more than 0s and at most 1d"
    };
    if is_within { Ok(()) } else { Err(SpecError { field, problem: Problem::Expected(expected) }) }
}

/// Writes a specification as an element of `[[breaker]]`, in the words that read back to it.
impl fmt::Display for BreakerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = Text::<88>::format(format_args!("{}", self.scope)).unwrap_or_default();
        writeln!(f, "[[breaker]]\nscope = {}", Quoted(scope.as_str()))?;
        writeln!(f, "window = \"{}\"", self.window.word())?;
        match &self.window {
            BreakerWindow::Consecutive { failures, successes } => {
                writeln!(f, "failures = {failures}\nsuccesses = {successes}")?;
            }
            BreakerWindow::Count { calls, rates } => write!(f, "calls = {calls}\n{rates}")?,
            BreakerWindow::Time { span, rates } => write!(f, "span = \"{span}\"\n{rates}")?,
        }
        writeln!(f, "open_time = \"{}\"\nopen_time_max = \"{}\"", self.open_time, self.open_time_max)?;
        writeln!(f, "jitter = \"{}\"", Percent(self.jitter_ppm))?;
        writeln!(f, "permit_timeout = \"{}\"\nmode = \"{}\"", self.permit_timeout, self.mode.word())
    }
}

/// Writes rates as lines of an element of `[[breaker]]`.
impl fmt::Display for BreakerRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "failure_rate = \"{}\"", Percent(self.failure_ppm))?;
        if let Some(slow_call) = self.slow_call {
            writeln!(f, "slow_call = \"{slow_call}\"\nslow_rate = \"{}\"", Percent(self.slow_ppm))?;
        }
        writeln!(f, "min_calls = {}\nprobes = {}", self.min_calls, self.probes)
    }
}
