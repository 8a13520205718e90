//! A breaker of the product and its model side by side: each step is taken by both, and they have to agree.

use governance::breaker::{
    BreakerMode, BreakerOverride, BreakerPass, BreakerPermit, BreakerRates, BreakerRecorded, BreakerRefusal,
    BreakerSpec, BreakerState, BreakerWindow, CallResult, CircuitBreaker,
};
use governance::decision::Wait;
use governance::scope::Scope;
use governance::time::{Instant, Nanos};
use sim::oracle::breaker::{
    Answer, Breaker, CallEnd, CallId, Hand, Mode, Rates, Refusal, Rules, State, Told, Totals, Window,
};

pub(crate) const MS: u64 = 1_000_000;

/// A call that has been made and of which nobody has told yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outstanding {
    pub(crate) permit: BreakerPermit,
    pub(crate) id: CallId,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) spec: BreakerSpec,
    pub(crate) engine: CircuitBreaker,
    pub(crate) model: Breaker,
    refused: u64,
}

impl Pair {
    pub(crate) fn new(rules: Rules) -> Self {
        let spec = spec_of(&rules);
        assert_eq!(spec.check(), Ok(()), "{rules:?}");
        Self { spec, engine: CircuitBreaker::EMPTY, model: Breaker::new(rules), refused: 0 }
    }

    /// Tries to make a call.
    pub(crate) fn call(&mut self, now: u64) -> Option<Outstanding> {
        let expected = self.model.check(now);
        let answer = answer_of(self.engine.check(Instant(now), &self.spec));
        assert_eq!(answer, expected, "at {now}");
        if matches!(answer, Answer::Refuse(_)) {
            self.engine.count_refusal();
            self.refused += 1;
            return None;
        }
        let due = self.engine.due(Instant(now), &self.spec);
        let before = self.engine.stats().open_until.is_some();
        let permit = self.engine.acquire(Instant(now), &self.spec);
        let id = self.model.call(now);
        assert_eq!(due.is_some(), before && self.engine.stats().open_until.is_none());
        assert_eq!(permit.is_probe(), self.model.is_probe(id));
        Some(Outstanding { permit, id })
    }

    /// Tells what became of a call.
    pub(crate) fn tell(&mut self, now: u64, call: Outstanding, end: CallEnd, random: u64) -> Told {
        let result = if end.failed { CallResult::Failure } else { CallResult::Success };
        let duration = Some(Nanos(end.duration_ns));
        let recorded = self.engine.record(Instant(now), &self.spec, call.permit, result, duration, random);
        let until = self.engine.stats().open_until;
        let told = self.model.tell(now, call.id, end, |_| until.expect("the breaker has opened").0);
        let recorded = match recorded {
            BreakerRecorded::Stale => Told::Stale,
            BreakerRecorded::Counted(None) => Told::Counted,
            BreakerRecorded::Counted(Some(turn)) => Told::Turned(state_of(turn.to)),
        };
        assert_eq!(recorded, told, "at {now}");
        told
    }

    pub(crate) fn cancel(&mut self, now: u64, call: Outstanding) {
        self.engine.cancel(Instant(now), call.permit);
        self.model.cancel(now, call.id);
    }

    pub(crate) fn hold(&mut self, now: u64, hand: Hand) {
        let by_hand = match hand {
            Hand::Automatic => BreakerOverride::Automatic,
            Hand::Open => BreakerOverride::ForcedOpen,
            Hand::Closed => BreakerOverride::ForcedClosed,
            Hand::Shadow => BreakerOverride::Shadow,
        };
        let (from, turn) = (self.model.state(now), self.engine.set_override(Instant(now), by_hand));
        self.model.set_hand(now, hand);
        let turn = turn.map(|turn| (state_of(turn.from), state_of(turn.to)));
        let to = self.model.state(now);
        assert_eq!(turn, (from != to).then_some((from, to)));
    }

    pub(crate) fn reset(&mut self, now: u64) {
        self.engine.reset();
        self.model.reset(now);
        self.refused = 0;
    }

    /// Everything that can be seen of both is the same.
    pub(crate) fn compare(&self, now: u64) {
        assert_eq!(state_of(self.engine.state(Instant(now))), self.model.state(now), "at {now}");
        let stats = self.engine.stats();
        let wide = |number: u64| usize::try_from(number).expect("a trace is short");
        let totals = Totals {
            successes: wide(stats.successes),
            failures: wide(stats.failures),
            slow: wide(stats.slow),
            stale: wide(stats.stale),
            would_refuse: wide(stats.would_refuse),
            cancelled: wide(stats.cancelled),
            opened: wide(stats.opened),
        };
        assert_eq!(totals, self.model.totals());
        assert_eq!(stats.refused, self.refused);
        let narrow = |number: u32| wide(number.into());
        assert_eq!(narrow(stats.opens_in_a_row), self.model.opens_in_a_row());
        assert_eq!(narrow(stats.consecutive_failures), self.model.failures_in_a_row());
        let looked = (stats.window_total, stats.window_failed, stats.window_slow);
        assert_eq!((narrow(looked.0), narrow(looked.1), narrow(looked.2)), self.model.looked());
    }
}

/// A breaker that does not close although each call that it lets through succeeds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) calls: u64,
    pub(crate) waited: u64,
    pub(crate) state: BreakerState,
}

/// Lets calls through one after the other, all of them successes, and waits as long as the breaker says whenever it
/// refuses. It has to be closed after one open time and one permit's time at most, and twice as many calls as there are
/// probes: those that make up for failures before, and those after another opening.
pub(crate) fn settle(breaker: &mut CircuitBreaker, spec: &BreakerSpec, mut now: u64) -> Result<(), Stuck> {
    let probes = match spec.window {
        BreakerWindow::Consecutive { successes, .. } => successes,
        BreakerWindow::Count { rates, .. } | BreakerWindow::Time { rates, .. } => rates.probes,
    };
    if breaker.get_override() != BreakerOverride::Shadow {
        breaker.set_override(Instant(now), BreakerOverride::Automatic);
    }
    let (calls_max, waited_max) = (2 * u64::from(probes), spec.open_time_max.0 + PERMIT_MAX);
    let (mut calls, mut waited) = (0, 0_u64);
    loop {
        let state = breaker.state(Instant(now));
        if state == BreakerState::Closed {
            return Ok(());
        }
        let stuck = Stuck { calls, waited, state };
        match breaker.check(Instant(now), spec) {
            Err(refusal) | Ok(BreakerPass::Shadow(refusal)) => {
                let Wait::For(wait) = refusal.retry else { return Err(stuck) };
                waited = waited.saturating_add(wait.0);
                if wait == Nanos::ZERO || waited > waited_max {
                    return Err(stuck);
                }
                now = now.saturating_add(wait.0);
            }
            Ok(_) if calls == calls_max => return Err(stuck),
            Ok(_) => {
                let permit = breaker.acquire(Instant(now), spec);
                breaker.record(Instant(now), spec, permit, CallResult::Success, Some(Nanos(0)), 0);
                calls += 1;
            }
        }
    }
}

/// The longest time that a permit is out in these tests: what [`settle`] waits for beside an open time.
pub(crate) const PERMIT_MAX: u64 = 5 * MS;

pub(crate) fn spec_of(rules: &Rules) -> BreakerSpec {
    let small = |number: usize| u32::try_from(number).expect("small");
    let rates_of = |rates: Rates| BreakerRates {
        failure_ppm: u32::try_from(rates.failure_ppm).expect("small"),
        slow_call: rates.slow_ns.map(Nanos),
        slow_ppm: u32::try_from(rates.slow_ppm).expect("small"),
        min_calls: small(rates.min_calls),
        probes: small(rates.probes),
    };
    BreakerSpec {
        scope: Scope::parse("route:*").expect("a scope"),
        window: match rules.window {
            Window::Consecutive { failures, successes } => {
                BreakerWindow::Consecutive { failures: small(failures), successes: small(successes) }
            }
            Window::Count { calls, rates } => {
                BreakerWindow::Count { calls: small(calls), rates: rates_of(rates) }
            }
            Window::Time { bucket_ns, rates } => {
                BreakerWindow::Time { span: Nanos(16 * bucket_ns), rates: rates_of(rates) }
            }
        },
        open_time: Nanos(rules.open_ns),
        open_time_max: Nanos(rules.open_max_ns),
        jitter_ppm: u32::try_from(rules.jitter_ppm).expect("small"),
        permit_timeout: Nanos(rules.permit_ns),
        mode: match rules.mode {
            Mode::Enforce => BreakerMode::Enforce,
            Mode::Shadow => BreakerMode::Shadow,
            Mode::Disabled => BreakerMode::Disabled,
        },
    }
}

fn answer_of(answer: Result<BreakerPass, BreakerRefusal>) -> Answer {
    match answer {
        Ok(BreakerPass::Closed) => Answer::Pass,
        Ok(BreakerPass::Probe) => Answer::Probe,
        Ok(BreakerPass::Unguarded) => Answer::Unguarded,
        Ok(BreakerPass::Shadow(refusal)) => Answer::WouldRefuse(refusal_of(refusal)),
        Err(refusal) => Answer::Refuse(refusal_of(refusal)),
    }
}

fn refusal_of(refusal: BreakerRefusal) -> Refusal {
    let wait_ns = if let Wait::For(wait) = refusal.retry { Some(wait.0) } else { None };
    Refusal { state: state_of(refusal.state), wait_ns }
}

fn state_of(state: BreakerState) -> State {
    match state {
        BreakerState::Closed => State::Closed,
        BreakerState::Open => State::Open,
        BreakerState::HalfOpen => State::HalfOpen,
    }
}
