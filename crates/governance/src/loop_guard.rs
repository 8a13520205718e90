//! The guard against callers that run in a loop, and against more requests than the whole can bear.
//!
//! It counts every request that is admitted by who makes it and what for. From a configured number in a minute on, a
//! caller climbs a ladder: [`GuardLevel`]. It comes down again step by step, once it has been quiet for long enough.
//! Above the hard cap of requests in a minute, or with too many failures, there is a time of degraded mode, in which
//! requests that can wait are refused and the others get the cheapest answer there is.
//!
//! Callers lie in a table of [`LOOPS_MAX`] entries that keeps the most frequent ones. A request is decided without a scan
//! of it. Source: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams".

mod ladder;
mod minute;
mod operate;
mod settings;
mod table;

pub use settings::{GUARD_FIELDS, GUARD_TIME_MAX, GuardDraft, GuardSettings};

use minute::Minute;
use table::Table;

use crate::scope::{KeyHash, Name};
use crate::time::{Instant, Nanos};
use core::fmt;

/// How many pairs of a caller and a target are looked at; those that ask less often make room.
pub const LOOPS_MAX: usize = 256;
/// How many of them are blocked at once: a tenth of the table. Nobody can have all others blocked.
pub const BLOCKED_MAX: usize = 26;
/// How many strikes are held against a caller at most.
pub const STRIKES_MAX: u32 = 16;
/// How long a caller stays at the levels delay and degrade at least half of the time that it has to be quiet for.
pub const DWELL: Nanos = Nanos::from_seconds(30);

/// Who asks, and what for.
#[derive(Clone, Copy)]
pub struct LoopKey<'a> {
    /// The keyed hash of both.
    pub hash: KeyHash,
    /// The caller, as it is shown. It is only written where a place in the table is given to it, and cut there after 64
    /// bytes. A secret is for whoever makes the key to hide.
    pub caller: &'a dyn fmt::Display,
    /// What is asked for, as it is shown.
    pub target: &'a dyn fmt::Display,
}

impl fmt::Debug for LoopKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoopKey({:?}, {}, {})", self.hash, self.caller, self.target)
    }
}

/// The steps of the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardLevel {
    /// Nothing is done.
    #[default]
    Observe,
    /// From `repeats_per_minute` on: each request is delayed.
    Delay,
    /// From twice as many on: only the cheapest answer is given.
    Degrade,
    /// From four times as many on: nothing passes for a time, which is longer with each strike.
    Block,
}

impl GuardLevel {
    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Delay => "delay",
            Self::Degrade => "degrade",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for GuardLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardReason {
    /// Its caller runs in a loop and is blocked.
    #[default]
    Loop,
    /// There have been as many requests in the last minute as the hard cap allows.
    HardCap,
    /// It can wait, and there is a time of degraded mode.
    Degraded,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardVerdict {
    /// It passes.
    Pass,
    /// It passes after this long.
    Delay(Nanos),
    /// It is refused.
    Refuse {
        /// Why.
        why: GuardReason,
        /// After how long it may pass.
        retry: Nanos,
    },
}

/// How a request that passes is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceLevel {
    /// As usual.
    #[default]
    Full,
    /// From a cache or with a default, and with nothing done in the background.
    Degraded,
}

/// What the guard makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardFinding {
    /// What becomes of it.
    pub verdict: GuardVerdict,
    /// How it is served, if it passes.
    pub service: ServiceLevel,
}

impl GuardFinding {
    /// It passes and is served as usual.
    pub const PASS: Self = Self { verdict: GuardVerdict::Pass, service: ServiceLevel::Full };
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardAnswer {
    /// The level of its caller, which in shadow mode has no effect.
    pub level: GuardLevel,
    /// What is to be done.
    pub verdict: GuardVerdict,
    /// How it is to be served, if it passes.
    pub service: ServiceLevel,
    /// In shadow mode, what else would have been done.
    pub would: Option<GuardFinding>,
}

impl GuardAnswer {
    /// The answer of a guard that has no say.
    pub const PASS: Self = Self {
        level: GuardLevel::Observe,
        verdict: GuardVerdict::Pass,
        service: ServiceLevel::Full,
        would: None,
    };
}

/// A caller and a target, as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopView {
    /// The caller.
    pub caller: Name,
    /// The target.
    pub target: Name,
    /// Requests in the sliding minute that are sure to have been made.
    pub count: u64,
    /// How many more there may have been before it had its place in the table.
    pub error: u64,
    /// The level.
    pub level: GuardLevel,
    /// The strikes.
    pub strikes: u32,
    /// How long nothing passes; none if it is not blocked.
    pub blocked_for: Option<Nanos>,
}

/// Counts of what the guard has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardStats {
    /// Requests of the last minute that count for the hard cap.
    pub requests_this_minute: u64,
    /// Failures of the last minute.
    pub failures_this_minute: u64,
    /// Callers and targets in the table.
    pub tracked: usize,
    /// Requests that were delayed.
    pub delayed: u64,
    /// Requests that were let through with a degraded service.
    pub degraded: u64,
    /// Requests that were refused since their caller was blocked.
    pub blocked: u64,
    /// Requests that were refused at the hard cap.
    pub capped: u64,
    /// Requests that were refused in degraded mode.
    pub shed: u64,
    /// Requests in shadow mode that would have been delayed.
    pub would_delay: u64,
    /// Requests in shadow mode that would have got a degraded service.
    pub would_degrade: u64,
    /// Requests in shadow mode that would have been refused since their caller was blocked.
    pub would_block: u64,
    /// Requests in shadow mode that would have been refused at the hard cap.
    pub would_cap: u64,
    /// Requests in shadow mode that would have been refused in degraded mode.
    pub would_shed: u64,
    /// Callers that made room in the table for others.
    pub evicted: u64,
    /// How often a caller was blocked.
    pub strikes: u64,
    /// How often a caller was not blocked because [`BLOCKED_MAX`] others were.
    pub block_share_full: u64,
    /// How often degraded mode began.
    pub entered_degraded: u64,
}

/// The guard. All-zero when empty, and then it has no say.
#[derive(Debug)]
pub struct LoopGuard {
    settings: GuardSettings,
    table: Table,
    /// The requests that passed.
    requests: Minute,
    failures: Minute,
    /// When the blocks that were made are over.
    block_ends: [Instant; BLOCKED_MAX],
    degraded_until: Instant,
    /// The latest time that it was told: time does not go back.
    latest: Instant,
    counts: GuardStats,
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(size_of::<LoopGuard>() <= 64 << 10);

#[cfg(test)]
mod tests;
