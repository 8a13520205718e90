//! Circuit breakers: who calls a provider that fails is told so at once, and a few calls find out when it is well again.
//!
//! A [`CircuitBreaker`] is one state machine of at most [`BREAKER_BYTES_MAX`] bytes; what it does is described by a
//! [`BreakerSpec`], which is passed with each call. A caller asks with [`CircuitBreaker::check`], takes what that has
//! allowed with [`CircuitBreaker::acquire`], and tells with [`CircuitBreaker::record`] or [`CircuitBreaker::cancel`]
//! what became of it.
//!
//! - **Closed**: calls are made and their results are looked at: failures in a row, or the rates of failures and of
//!   slow calls in a window of the last calls or of the last span of time. When there are too many, it opens.
//! - **Open**: no call is made until the open time is over. With each opening in a row that time doubles.
//! - **Half-open**: a few calls are made. Each holds a permit, which comes back by itself after a while, so that a
//!   caller who never tells cannot keep the breaker half-open. Their results close it or open it again.
//!
//! Each change of state begins another generation. A result that belongs to an earlier one, or to a permit that has
//! come back by itself, is stale: it is counted as such and changes nothing else.
//!
//! The window and the permits share their memory, since a breaker never needs both. Everything takes a bounded number
//! of steps, and no division is made unless the state changes. All instants are those of one monotonic clock; where
//! it goes back, instants that were set keep their place.

mod draft;
mod memory;
mod spec;
#[cfg(test)]
mod tests;
mod words;

pub use draft::{BREAKER_FIELDS, BreakerDraft};
pub use spec::{
    BREAKER_CALLS_MAX, BREAKER_CONSECUTIVE_MAX, BREAKER_JITTER_MAX_PPM, BREAKER_MIN_CALLS_MAX,
    BREAKER_PROBES_MAX, BREAKER_SPAN_MIN, BREAKER_TIME_MAX, BREAKER_TIME_MIN, BreakerMode, BreakerRates,
    BreakerSpec, BreakerWindow,
};
pub use words::{
    BreakerCause, BreakerOverride, BreakerPass, BreakerPermit, BreakerRecorded, BreakerRefusal, BreakerState,
    BreakerStats, BreakerTransition, CallResult,
};

use crate::decision::Wait;
use crate::time::{Instant, Nanos};
use memory::Memory;
use words::Holds;

/// How many bytes a breaker has at most.
pub const BREAKER_BYTES_MAX: usize = 256;

const _: () = assert!(size_of::<CircuitBreaker>() <= BREAKER_BYTES_MAX);

/// One breaker: closed, with nobody's hand on it, when all-zero.
///
/// ```
/// use governance::breaker::{BreakerDraft, BreakerState, CallResult, CircuitBreaker};
/// use governance::field::FieldValue;
/// use governance::time::{Instant, NANOS_PER_SECOND};
/// let mut draft = BreakerDraft::default();
/// draft.set("scope", FieldValue::Text("route:github:get")).unwrap();
/// let spec = draft.finish().unwrap();
/// let mut breaker = CircuitBreaker::EMPTY;
/// for _ in 0..5 {
///     assert!(breaker.check(Instant(0), &spec).is_ok());
///     let permit = breaker.acquire(Instant(0), &spec);
///     breaker.record(Instant(0), &spec, permit, CallResult::Failure, None, 0);
/// }
/// let later = |seconds: u64| Instant(seconds * NANOS_PER_SECOND);
/// assert!(breaker.check(later(59), &spec).is_err());
/// assert_eq!(breaker.state(later(60)), BreakerState::HalfOpen);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CircuitBreaker {
    successes: u64,
    failures: u64,
    slow: u64,
    stale: u64,
    refused: u64,
    would_refuse: u64,
    cancelled: u64,
    opened: u32,
    memory: Memory,
    generation: u32,
    consecutive_failures: u32,
    state: BreakerState,
    by_hand: BreakerOverride,
    opens_in_a_row: u8,
}

/// Who decides at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Enforced,
    Shadow,
    Unguarded,
    Refused,
}

impl CircuitBreaker {
    /// A breaker that has seen nothing.
    pub const EMPTY: Self = Self {
        successes: 0,
        failures: 0,
        slow: 0,
        stale: 0,
        refused: 0,
        would_refuse: 0,
        cancelled: 0,
        opened: 0,
        memory: Memory::EMPTY,
        generation: 0,
        consecutive_failures: 0,
        state: BreakerState::Closed,
        by_hand: BreakerOverride::Automatic,
        opens_in_a_row: 0,
    };

    /// Whether a call may be made at `now`. It takes nothing and counts nothing. An open breaker whose time is over
    /// answers as a half-open one.
    ///
    /// # Errors
    /// [`BreakerRefusal`] says how the breaker stands and how long to wait.
    #[inline]
    pub fn check(&self, now: Instant, spec: &BreakerSpec) -> Result<BreakerPass, BreakerRefusal> {
        match self.rule(spec) {
            Rule::Enforced => self.evaluate(now, spec),
            Rule::Shadow => Ok(self.evaluate(now, spec).unwrap_or_else(BreakerPass::Shadow)),
            Rule::Unguarded => Ok(BreakerPass::Unguarded),
            Rule::Refused => Err(BreakerRefusal { state: BreakerState::Open, retry: Wait::Never }),
        }
    }

    /// The change of state that [`CircuitBreaker::acquire`] makes at `now` if it is called: from open to half-open,
    /// where the open time is over.
    #[must_use]
    pub fn due(&self, now: Instant, spec: &BreakerSpec) -> Option<BreakerTransition> {
        let is_guarding = matches!(self.rule(spec), Rule::Enforced | Rule::Shadow);
        (is_guarding && self.state == BreakerState::Open && now >= self.memory.open_until()).then_some(
            BreakerTransition {
                at: now,
                from: BreakerState::Open,
                to: BreakerState::HalfOpen,
                why: BreakerCause::OpenTimeOver,
            },
        )
    }

    /// Takes what [`CircuitBreaker::check`] has allowed at the same `now`, with the same `spec`. The permit of a call
    /// that was refused, or would have been, counts for the totals alone, and the call as one that would have been
    /// refused.
    #[inline]
    pub fn acquire(&mut self, now: Instant, spec: &BreakerSpec) -> BreakerPermit {
        let holds = match self.rule(spec) {
            Rule::Unguarded => Holds::Total,
            Rule::Enforced | Rule::Shadow if self.state == BreakerState::Closed => Holds::Call,
            Rule::Enforced | Rule::Shadow => return self.acquire_probe(now, spec),
            Rule::Refused => {
                self.would_refuse += 1;
                Holds::Total
            }
        };
        BreakerPermit { generation: self.generation, turn: 0, place: 0, holds }
    }

    /// Tells what became of a call and how long it took, if that is known. `random` is any number, and decides how
    /// much jitter an opening has. A result of an earlier generation, or of a permit that has come back by itself or
    /// is empty, is counted as stale and changes nothing else.
    #[inline]
    pub fn record(
        &mut self,
        now: Instant,
        spec: &BreakerSpec,
        permit: BreakerPermit,
        result: CallResult,
        duration: Option<Nanos>,
        random: u64,
    ) -> BreakerRecorded {
        let is_current = permit.generation == self.generation;
        let is_known = match permit.holds {
            Holds::Nothing => false,
            Holds::Call | Holds::Total => is_current,
            Holds::Probe => is_current && self.memory.take_back(permit.place, permit.turn, now),
        };
        if !is_known {
            self.stale += 1;
            return BreakerRecorded::Stale;
        }
        let failed = u32::from(result == CallResult::Failure);
        let slow = u32::from(spec.window.is_slow(duration));
        self.failures += u64::from(failed);
        self.successes += u64::from(1 - failed);
        self.slow += u64::from(slow);
        if permit.holds == Holds::Total || matches!(self.rule(spec), Rule::Unguarded | Rule::Refused) {
            return BreakerRecorded::Counted(None);
        }
        self.consecutive_failures = if failed == 0 { 0 } else { self.consecutive_failures.saturating_add(1) };
        let turn = if permit.holds == Holds::Probe {
            self.probe_answered(&spec.window, failed, slow)
        } else {
            self.call_answered(now, &spec.window, failed, slow)
        };
        BreakerRecorded::Counted(turn.map(|(to, why)| self.turn(now, spec, to, why, random)))
    }

    /// The time of a probe's permit begins anew: its call begins only now. One that has come back by itself is taken anew,
    /// if there is one.
    pub fn renew(&mut self, now: Instant, spec: &BreakerSpec, permit: BreakerPermit) -> BreakerPermit {
        if !permit.is_probe() || permit.generation != self.generation {
            return permit;
        }
        self.memory.take_back(permit.place, permit.turn, now);
        match self.check(now, spec) {
            Ok(BreakerPass::Probe) => self.acquire(now, spec),
            _ => permit,
        }
    }

    /// Gives a permit back: the call was not made, or nobody will tell what became of it. Nothing is counted but that;
    /// a permit that is empty or has come back by itself changes nothing else.
    pub fn cancel(&mut self, now: Instant, permit: BreakerPermit) {
        if permit.is_empty() {
            return;
        }
        self.cancelled += 1;
        if permit.is_probe() && permit.generation == self.generation {
            self.memory.take_back(permit.place, permit.turn, now);
        }
    }

    /// Counts a call that was refused because of what [`CircuitBreaker::check`] has said.
    pub const fn count_refusal(&mut self) {
        self.refused += 1;
    }

    /// Says how the breaker is to be held. To be held open or closed, and to be let go of, begins another generation:
    /// a breaker that is let go of is closed and has seen no call. To go to the shadow or back changes nothing else.
    /// Where that changes the state, it says so.
    pub fn set_override(&mut self, now: Instant, by_hand: BreakerOverride) -> Option<BreakerTransition> {
        let from = self.state(now);
        if by_hand != self.by_hand && (by_hand.is_forced() || self.by_hand.is_forced()) {
            self.restart();
        }
        self.by_hand = by_hand;
        let to = self.state(now);
        (from != to).then_some(BreakerTransition { at: now, from, to, why: BreakerCause::ByHand })
    }

    /// How the breaker is held.
    #[must_use]
    pub const fn get_override(&self) -> BreakerOverride {
        self.by_hand
    }

    /// Closes the breaker and forgets its window, but not its totals nor how it is held. What a change of the
    /// specification's window needs.
    pub const fn restart(&mut self) {
        self.begin(BreakerState::Closed);
        self.consecutive_failures = 0;
        self.opens_in_a_row = 0;
    }

    /// Forgets everything, also how it is held. Results of calls from before are stale.
    pub const fn reset(&mut self) {
        self.restart();
        let (generation, memory) = (self.generation, self.memory);
        *self = Self { generation, memory, ..Self::EMPTY };
    }

    /// How the breaker stands at `now`. An open one whose time is over is half-open.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match (self.by_hand, self.state) {
            (BreakerOverride::ForcedOpen, _) => BreakerState::Open,
            (BreakerOverride::ForcedClosed, _) => BreakerState::Closed,
            (_, BreakerState::Open) if now >= self.memory.open_until() => BreakerState::HalfOpen,
            (_, state) => state,
        }
    }

    /// What the breaker has counted, and how it stands.
    #[must_use]
    pub fn stats(&self) -> BreakerStats {
        let is_half_open = self.state == BreakerState::HalfOpen;
        BreakerStats {
            successes: self.successes,
            failures: self.failures,
            slow: self.slow,
            stale: self.stale,
            refused: self.refused,
            would_refuse: self.would_refuse,
            cancelled: self.cancelled,
            opened: self.opened.into(),
            consecutive_failures: self.consecutive_failures,
            window_total: self.memory.total(),
            window_failed: self.memory.failed(),
            window_slow: self.memory.slow(),
            permits_out: if is_half_open { self.memory.places_taken() } else { 0 },
            opens_in_a_row: self.opens_in_a_row.into(),
            open_until: (self.state == BreakerState::Open).then_some(self.memory.open_until()),
        }
    }

    const fn rule(&self, spec: &BreakerSpec) -> Rule {
        match (self.by_hand, spec.mode) {
            (BreakerOverride::Automatic, BreakerMode::Enforce) => Rule::Enforced,
            (BreakerOverride::Shadow, _) | (BreakerOverride::Automatic, BreakerMode::Shadow) => Rule::Shadow,
            (BreakerOverride::ForcedClosed, _) | (BreakerOverride::Automatic, BreakerMode::Disabled) => {
                Rule::Unguarded
            }
            (BreakerOverride::ForcedOpen, _) => Rule::Refused,
        }
    }

    #[inline]
    fn evaluate(&self, now: Instant, spec: &BreakerSpec) -> Result<BreakerPass, BreakerRefusal> {
        match self.state {
            BreakerState::Closed => Ok(BreakerPass::Closed),
            BreakerState::Open if now < self.memory.open_until() => {
                let retry = Wait::For(self.memory.open_until().since(now));
                Err(BreakerRefusal { state: BreakerState::Open, retry })
            }
            // It will be half-open, with every permit in its place.
            BreakerState::Open => Ok(BreakerPass::Probe),
            BreakerState::HalfOpen => match self.memory.first_return(now, self.places(&spec.window)) {
                None => Ok(BreakerPass::Probe),
                Some(expiry) => {
                    let retry = Wait::For(expiry.since(now));
                    Err(BreakerRefusal { state: BreakerState::HalfOpen, retry })
                }
            },
        }
    }

    /// How many permits may be out at a time in a half-open breaker.
    fn places(&self, window: &BreakerWindow) -> u32 {
        match window {
            BreakerWindow::Consecutive { successes, .. } => (*successes).max(1),
            BreakerWindow::Count { rates, .. } | BreakerWindow::Time { rates, .. } => {
                rates.probes.saturating_sub(self.memory.total()).max(1)
            }
        }
    }

    fn acquire_probe(&mut self, now: Instant, spec: &BreakerSpec) -> BreakerPermit {
        let is_allowed = self.evaluate(now, spec).is_ok();
        if is_allowed && self.state == BreakerState::Open {
            self.begin(BreakerState::HalfOpen);
        }
        let expiry = now.after(spec.permit_timeout);
        let place = if is_allowed { self.memory.take_place(now, expiry) } else { None };
        let (place, turn, holds) = match place {
            Some((place, turn)) => (place, turn, Holds::Probe),
            None => {
                self.would_refuse += 1;
                (0, 0, Holds::Total)
            }
        };
        BreakerPermit { generation: self.generation, turn, place, holds }
    }

    fn call_answered(
        &mut self,
        now: Instant,
        window: &BreakerWindow,
        failed: u32,
        slow: u32,
    ) -> Option<(BreakerState, BreakerCause)> {
        let rates = match window {
            BreakerWindow::Consecutive { failures, .. } => {
                let trips = failed != 0 && self.consecutive_failures >= *failures;
                return trips.then_some((BreakerState::Open, BreakerCause::Failures));
            }
            BreakerWindow::Count { calls, rates } => {
                self.memory.push_call(*calls, failed, slow);
                rates
            }
            BreakerWindow::Time { span, rates } => {
                self.memory.push_at(now, *span, failed, slow);
                rates
            }
        };
        if self.memory.total() < rates.min_calls {
            return None;
        }
        self.rate_exceeded(rates).map(|why| (BreakerState::Open, why))
    }

    fn probe_answered(
        &mut self,
        window: &BreakerWindow,
        failed: u32,
        slow: u32,
    ) -> Option<(BreakerState, BreakerCause)> {
        self.memory.push_probe(failed, slow);
        match window {
            BreakerWindow::Consecutive { .. } if failed != 0 => {
                Some((BreakerState::Open, BreakerCause::ProbeFailed))
            }
            BreakerWindow::Consecutive { successes, .. } => (self.memory.total() >= *successes)
                .then_some((BreakerState::Closed, BreakerCause::ProbesSucceeded)),
            BreakerWindow::Count { rates, .. } | BreakerWindow::Time { rates, .. } => {
                (self.memory.total() >= rates.probes).then(|| match self.rate_exceeded(rates) {
                    Some(why) => (BreakerState::Open, why),
                    None => (BreakerState::Closed, BreakerCause::ProbesSucceeded),
                })
            }
        }
    }

    /// Compared by multiplication: a division would round a rate down below its threshold.
    fn rate_exceeded(&self, rates: &BreakerRates) -> Option<BreakerCause> {
        let reaches = |part: u32, ppm: u32| {
            u64::from(part) * u64::from(crate::units::PPM) >= u64::from(ppm) * u64::from(self.memory.total())
        };
        if reaches(self.memory.failed(), rates.failure_ppm) {
            Some(BreakerCause::FailureRate)
        } else if rates.slow_call.is_some() && reaches(self.memory.slow(), rates.slow_ppm) {
            Some(BreakerCause::SlowRate)
        } else {
            None
        }
    }

    #[cold]
    fn turn(
        &mut self,
        now: Instant,
        spec: &BreakerSpec,
        to: BreakerState,
        why: BreakerCause,
        random: u64,
    ) -> BreakerTransition {
        let from = self.state;
        self.begin(to);
        if to == BreakerState::Open {
            self.opened = self.opened.saturating_add(1);
            self.opens_in_a_row = self.opens_in_a_row.saturating_add(1);
            let length = spec.open_time_of(self.opens_in_a_row.into(), random);
            self.memory.set_open_until(now.after(length));
        } else {
            self.consecutive_failures = 0;
            self.opens_in_a_row = 0;
        }
        BreakerTransition { at: now, from, to, why }
    }

    const fn begin(&mut self, state: BreakerState) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
        self.memory.clear();
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::EMPTY
    }
}
