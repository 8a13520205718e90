//! What is said to a breaker and what it says.

use crate::decision::Wait;
use crate::time::Instant;
use core::fmt;

/// What an operator has said of a breaker by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerOverride {
    /// Nothing: the breaker does as its specification says.
    #[default]
    Automatic,
    /// Every call is refused until something else is said.
    ForcedOpen,
    /// Every call passes, and its result counts for nothing but the totals.
    ForcedClosed,
    /// What would be refused is counted, and passes.
    Shadow,
}

impl BreakerOverride {
    /// The words that users write.
    pub const WORDS: [&'static str; 4] = ["auto", "open", "close", "shadow"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Automatic => "auto",
            Self::ForcedOpen => "open",
            Self::ForcedClosed => "close",
            Self::Shadow => "shadow",
        }
    }

    /// The override that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Automatic, Self::ForcedOpen, Self::ForcedClosed, Self::Shadow]
            .into_iter()
            .find(|known| known.word() == word)
    }

    pub(super) const fn is_forced(self) -> bool {
        matches!(self, Self::ForcedOpen | Self::ForcedClosed)
    }
}

/// What a breaker makes of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// They are made.
    #[default]
    Closed,
    /// They are refused.
    Open,
    /// A few are made, to find out.
    HalfOpen,
}

impl BreakerState {
    /// The word that users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a breaker has changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerCause {
    /// So many failures in a row as its specification allows.
    Failures,
    /// Too many of the calls in its window, or of its probes, have failed.
    FailureRate,
    /// Too many of the calls in its window, or of its probes, were slow.
    SlowRate,
    /// Its open time is over.
    OpenTimeOver,
    /// A probe has failed where each has to succeed.
    ProbeFailed,
    /// Enough probes have succeeded.
    ProbesSucceeded,
    /// Somebody has said so.
    ByHand,
}

impl BreakerCause {
    /// What a listing says.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Failures => "failures in a row",
            Self::FailureRate => "failure rate",
            Self::SlowRate => "slow calls",
            Self::OpenTimeOver => "open time is over",
            Self::ProbeFailed => "a probe failed",
            Self::ProbesSucceeded => "probes succeeded",
            Self::ByHand => "by hand",
        }
    }
}

impl fmt::Display for BreakerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.phrase())
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTransition {
    /// When.
    pub at: Instant,
    /// What the state was.
    pub from: BreakerState,
    /// What it is.
    pub to: BreakerState,
    /// Why.
    pub why: BreakerCause,
}

/// A call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerPass {
    /// The breaker is closed.
    Closed,
    /// The breaker is half-open, or would be with this call, and has a permit for it.
    Probe,
    /// It would have been refused, if the breaker were not in the shadow.
    Shadow(BreakerRefusal),
    /// The breaker has no say: it is disabled, or held closed by hand.
    Unguarded,
}

/// A call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRefusal {
    /// Whether the breaker is open, or half-open with all of its permits out.
    pub state: BreakerState,
    /// How long to wait: until the open time is over or a permit comes back by itself; never where it is held open by
    /// hand.
    pub retry: Wait,
}

impl fmt::Display for BreakerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state, self.retry) {
            (_, Wait::Never) => f.write_str("the breaker is held open by hand"),
            (BreakerState::HalfOpen, Wait::For(wait)) => {
                write!(f, "the breaker is half-open and all of its permits are out, for {wait} at most")
            }
            (_, Wait::For(wait)) => write!(f, "the breaker is open for another {wait}"),
        }
    }
}

impl core::error::Error for BreakerRefusal {}

/// What a call holds until its result is told. All-zero when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerPermit {
    pub(super) generation: u32,
    /// How often the place had been given when this permit was.
    pub(super) turn: u16,
    pub(super) place: u8,
    pub(super) holds: Holds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holds {
    #[default]
    Nothing,
    /// A call of a closed breaker.
    Call,
    /// A call that counts for the totals alone.
    Total,
    /// A place among the probes of a half-open breaker.
    Probe,
}

impl BreakerPermit {
    /// No permit: of a call that no breaker knows of.
    pub const EMPTY: Self = Self { generation: 0, turn: 0, place: 0, holds: Holds::Nothing };

    /// Whether it is no permit.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self.holds, Holds::Nothing)
    }

    /// Whether the call is one of those that find out whether a half-open breaker may close.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        matches!(self.holds, Holds::Probe)
    }
}

/// What became of a call, as far as a breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// It was answered.
    Success,
    /// It was not, or with an error that is the provider's fault.
    Failure,
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerRecorded {
    /// It was counted, and may have changed the state.
    Counted(Option<BreakerTransition>),
    /// It came too late to count.
    Stale,
}

/// What a breaker has counted, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerStats {
    /// Results that were successes, stale ones apart.
    pub successes: u64,
    /// Results that were failures, stale ones apart.
    pub failures: u64,
    /// Results, of both sorts, of calls that were slow.
    pub slow: u64,
    /// Results that came too late.
    pub stale: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that passed and would have been refused, if the breaker were not in the shadow.
    pub would_refuse: u64,
    /// Permits that were given back.
    pub cancelled: u64,
    /// How often the breaker has opened by itself, up to 4 294 967 295.
    pub opened: u64,
    /// The failures since the last success.
    pub consecutive_failures: u32,
    /// Closed: the calls in the window, as of the last result. Half-open: the probes that have been answered.
    /// Where failures in a row count, there is no window, and half-open only.
    pub window_total: u32,
    /// How many of them have failed.
    pub window_failed: u32,
    /// How many of them were slow.
    pub window_slow: u32,
    /// Half-open: the permits that are out, also those that may have come back by themselves.
    pub permits_out: u32,
    /// How often the breaker has opened since it was closed last, up to 255.
    pub opens_in_a_row: u32,
    /// When the open time is over, if the breaker has opened by itself and nobody has called since.
    pub open_until: Option<Instant>,
}
