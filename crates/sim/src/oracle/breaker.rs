//! A circuit breaker that keeps its whole history and answers each question by looking through it.
//!
//! A history is a list of what has happened. The breaker's state is what it was last turned to. Whatever came before
//! the last turn belongs to an earlier generation. Nothing is kept beside the history: windows, openings in a row,
//! permits that are out and totals are counted in it whenever somebody asks.
//!
//! Where a breaker is free to choose, in how much jitter an opening has, the model says between which instants the end
//! of the opening lies, and takes the one that it is given.

use std::ops::RangeInclusive;

/// What a breaker does. Times are in nanoseconds, rates in parts of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How it looks at calls.
    pub window: Window,
    /// How long it is open for the first time.
    pub open_ns: u64,
    /// How long it is open at most.
    pub open_max_ns: u64,
    /// How much is taken off an open time at most, the first apart.
    pub jitter_ppm: u64,
    /// When a permit comes back by itself.
    pub permit_ns: u64,
    /// What a refusal does.
    pub mode: Mode,
}

/// How a breaker looks at calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// At failures in a row.
    Consecutive {
        /// So many open it.
        failures: usize,
        /// So many probes that succeed close it, and as many are out at a time.
        successes: usize,
    },
    /// At the last `calls`.
    Count {
        /// How many.
        calls: usize,
        /// What is too much.
        rates: Rates,
    },
    /// At 16 buckets of time that follow each other from the first call on.
    Time {
        /// How long a bucket is.
        bucket_ns: u64,
        /// What is too much.
        rates: Rates,
    },
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Failures, in parts of a million.
    pub failure_ppm: u64,
    /// From when a call is slow.
    pub slow_ns: Option<u64>,
    /// Slow calls, in parts of a million.
    pub slow_ppm: u64,
    /// With fewer calls nothing is decided.
    pub min_calls: usize,
    /// How many calls of a half-open breaker decide.
    pub probes: usize,
}

/// What a refusal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The call is not made.
    Enforce,
    /// It is counted, and the call is made.
    Shadow,
    /// There is none.
    Disabled,
}

/// What somebody has said by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Nothing.
    Automatic,
    /// To refuse everything.
    Open,
    /// To let everything pass.
    Closed,
    /// To refuse nothing.
    Shadow,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls are made.
    Closed,
    /// They are refused.
    Open,
    /// A few are made.
    HalfOpen,
}

/// The answer to a question whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may, as any other.
    Pass,
    /// It may, to find out.
    Probe,
    /// It may, nobody minds.
    Unguarded,
    /// It may, and would not if the breaker were not in the shadow.
    WouldRefuse(Refusal),
    /// It may not.
    Refuse(Refusal),
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How the breaker stands.
    pub state: State,
    /// How long to wait; none if waiting is of no use.
    pub wait_ns: Option<u64>,
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It came too late.
    Stale,
    /// It was counted and the state stays.
    Counted,
    /// It was counted and the state is another.
    Turned(State),
}

/// A result as a caller tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// Whether the call has failed.
    pub failed: bool,
    /// How long it took.
    pub duration_ns: u64,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successes that were counted.
    pub successes: usize,
    /// Failures that were counted.
    pub failures: usize,
    /// Slow calls that were counted.
    pub slow: usize,
    /// Results that came too late.
    pub stale: usize,
    /// Calls that would have been refused.
    pub would_refuse: usize,
    /// Permits that were given back.
    pub cancelled: usize,
    /// Openings.
    pub opened: usize,
}

/// The place of a call in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(usize);

/// What a call counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Call,
    Probe,
    /// For the totals, because nobody guards it.
    Unguarded,
    /// For the totals, because it would have been refused.
    WouldRefuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Full,
    TotalsOnly,
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Turned { to: State, until_ns: u64 },
    Restarted,
    Reset,
    Called(Standing),
    Told { call: usize, failed: bool, slow: bool, weight: Weight },
    Cancelled { call: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    at: u64,
    what: What,
}

/// A call that counts in full: when it was told, whether it has failed, whether it was slow.
type Looked = (u64, bool, bool);

/// The model.
#[derive(Clone, Debug)]
pub struct Breaker {
    rules: Rules,
    hand: Hand,
    history: Vec<Event>,
}

impl Breaker {
    /// A breaker that has seen nothing.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, hand: Hand::Automatic, history: Vec::new() }
    }

    /// Whether a call may be made.
    #[must_use]
    pub fn check(&self, now: u64) -> Answer {
        match (self.hand, self.rules.mode) {
            (Hand::Open, _) => Answer::Refuse(Refusal { state: State::Open, wait_ns: None }),
            (Hand::Closed, _) | (Hand::Automatic, Mode::Disabled) => Answer::Unguarded,
            (Hand::Automatic, Mode::Enforce) => self.evaluate(now),
            (Hand::Shadow, _) | (Hand::Automatic, Mode::Shadow) => match self.evaluate(now) {
                Answer::Refuse(refusal) => Answer::WouldRefuse(refusal),
                other => other,
            },
        }
    }

    /// A call is made.
    pub fn call(&mut self, now: u64) -> CallId {
        let standing = match self.check(now) {
            Answer::Pass => Standing::Call,
            Answer::Probe => Standing::Probe,
            Answer::Unguarded => Standing::Unguarded,
            Answer::WouldRefuse(_) | Answer::Refuse(_) => Standing::WouldRefuse,
        };
        if standing == Standing::Probe && self.turned_to() == State::Open {
            self.push(now, What::Turned { to: State::HalfOpen, until_ns: 0 });
        }
        self.push(now, What::Called(standing));
        CallId(self.history.len() - 1)
    }

    /// Somebody tells what became of a call. `choose` is asked for the end of an opening, given what it may be.
    ///
    /// # Panics
    /// If `choose` chooses what may not be.
    pub fn tell(
        &mut self,
        now: u64,
        CallId(call): CallId,
        end: CallEnd,
        choose: impl FnOnce(RangeInclusive<u64>) -> u64,
    ) -> Told {
        let weight = self.weight(call, now);
        let slow = self.rates().and_then(|rates| rates.slow_ns).is_some_and(|from| end.duration_ns >= from);
        self.push(now, What::Told { call, failed: end.failed, slow, weight });
        let to = match weight {
            Weight::Stale => return Told::Stale,
            Weight::TotalsOnly => None,
            Weight::Full if self.turned_to() == State::HalfOpen => self.verdict_of_probes(),
            Weight::Full => self.is_too_much(&self.window()).then_some(State::Open),
        };
        let Some(to) = to else { return Told::Counted };
        let mut until_ns = 0;
        if to == State::Open {
            let length = self.open_times();
            let ends = now.saturating_add(*length.start())..=now.saturating_add(*length.end());
            until_ns = choose(ends.clone());
            assert!(ends.contains(&until_ns), "open until {until_ns}, which is not in {ends:?}");
        }
        self.push(now, What::Turned { to, until_ns });
        Told::Turned(to)
    }

    /// A call was not made.
    pub fn cancel(&mut self, now: u64, CallId(call): CallId) {
        self.push(now, What::Cancelled { call });
    }

    /// Somebody says how the breaker is to be held.
    pub fn set_hand(&mut self, now: u64, hand: Hand) {
        let is_forced = |hand| matches!(hand, Hand::Open | Hand::Closed);
        if hand != self.hand && (is_forced(hand) || is_forced(self.hand)) {
            self.push(now, What::Restarted);
        }
        self.hand = hand;
    }

    /// Everything is forgotten.
    pub fn reset(&mut self, now: u64) {
        self.push(now, What::Reset);
        self.hand = Hand::Automatic;
    }

    /// How the breaker stands.
    #[must_use]
    pub fn state(&self, now: u64) -> State {
        match (self.hand, self.turned_to()) {
            (Hand::Open, _) => State::Open,
            (Hand::Closed, _) => State::Closed,
            (_, State::Open) if now >= self.open_until() => State::HalfOpen,
            (_, state) => state,
        }
    }

    /// Whether a permit of a call is out that finds out about the provider.
    #[must_use]
    pub fn is_probe(&self, CallId(call): CallId) -> bool {
        self.history[call].what == What::Called(Standing::Probe)
    }

    /// What has been counted since the last reset.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let start = self.after_last(|what| matches!(what, What::Reset));
        let mut totals = Totals::default();
        for event in &self.history[start..] {
            match event.what {
                What::Turned { to: State::Open, .. } => totals.opened += 1,
                What::Called(Standing::WouldRefuse) => totals.would_refuse += 1,
                What::Cancelled { .. } => totals.cancelled += 1,
                What::Told { weight: Weight::Stale, .. } => totals.stale += 1,
                What::Told { failed, slow, .. } => {
                    totals.successes += usize::from(!failed);
                    totals.failures += usize::from(failed);
                    totals.slow += usize::from(slow);
                }
                _ => {}
            }
        }
        totals
    }

    /// How often the breaker has opened since it was closed.
    #[must_use]
    pub fn opens_in_a_row(&self) -> usize {
        let opens = |event: &&Event| matches!(event.what, What::Turned { to: State::Open, .. });
        self.history[self.closed_since()..].iter().filter(opens).count()
    }

    /// The failures since the last success, as far as the breaker has looked at them since it was closed.
    #[must_use]
    pub fn failures_in_a_row(&self) -> usize {
        looked_at(&self.history[self.closed_since()..]).rev().take_while(|&(_, failed, _)| failed).count()
    }

    /// The calls that the breaker looks at, those that have failed, and those that were slow.
    #[must_use]
    pub fn looked(&self) -> (usize, usize, usize) {
        match (self.turned_to(), self.rules.window) {
            (State::Closed, Window::Consecutive { .. }) => (0, 0, 0),
            (State::Closed, _) => sums(&self.window()),
            _ => sums(&looked_at(self.generation()).collect::<Vec<_>>()),
        }
    }

    fn push(&mut self, at: u64, what: What) {
        self.history.push(Event { at, what });
    }

    fn rates(&self) -> Option<Rates> {
        match self.rules.window {
            Window::Consecutive { .. } => None,
            Window::Count { rates, .. } | Window::Time { rates, .. } => Some(rates),
        }
    }

    fn after_last(&self, is_it: impl Fn(&What) -> bool) -> usize {
        self.history.iter().rposition(|event| is_it(&event.what)).map_or(0, |index| index + 1)
    }

    fn generation_start(&self) -> usize {
        self.after_last(|what| matches!(what, What::Turned { .. } | What::Restarted | What::Reset))
    }

    /// What has happened since the last change of state.
    fn generation(&self) -> &[Event] {
        &self.history[self.generation_start()..]
    }

    fn closed_since(&self) -> usize {
        self.after_last(|what| {
            matches!(what, What::Turned { to: State::Closed, .. } | What::Restarted | What::Reset)
        })
    }

    fn last_turn(&self) -> Option<What> {
        self.generation_start().checked_sub(1).map(|index| self.history[index].what)
    }

    fn turned_to(&self) -> State {
        if let Some(What::Turned { to, .. }) = self.last_turn() { to } else { State::Closed }
    }

    fn open_until(&self) -> u64 {
        if let Some(What::Turned { until_ns, .. }) = self.last_turn() { until_ns } else { 0 }
    }

    fn evaluate(&self, now: u64) -> Answer {
        let refuse = |state, until: u64| Answer::Refuse(Refusal { state, wait_ns: Some(until - now) });
        match self.turned_to() {
            State::Closed => Answer::Pass,
            State::Open if now < self.open_until() => refuse(State::Open, self.open_until()),
            State::Open => Answer::Probe,
            State::HalfOpen => {
                let start = self.generation_start();
                let out = (start..self.history.len()).filter(|&call| self.is_out(call, now));
                let ends: Vec<u64> = out.map(|call| self.expiry(call)).collect();
                let places = match self.rules.window {
                    Window::Consecutive { successes, .. } => successes,
                    Window::Count { rates, .. } | Window::Time { rates, .. } => {
                        rates.probes - looked_at(self.generation()).count()
                    }
                };
                match ends.iter().min() {
                    Some(&first) if ends.len() >= places => refuse(State::HalfOpen, first),
                    _ => Answer::Probe,
                }
            }
        }
    }

    fn expiry(&self, call: usize) -> u64 {
        self.history[call].at.saturating_add(self.rules.permit_ns)
    }

    /// Whether the permit of a probe is out: nobody has told, nobody has given it back, and its time is not over, nor
    /// was it at any later time when a permit was given out.
    fn is_out(&self, probe: usize, now: u64) -> bool {
        let expiry = self.expiry(probe);
        self.history[probe].what == What::Called(Standing::Probe)
            && now < expiry
            && !self.history[probe + 1..].iter().any(|event| match event.what {
                What::Told { call, .. } | What::Cancelled { call } => call == probe,
                What::Called(Standing::Probe) => event.at >= expiry,
                _ => false,
            })
    }

    fn weight(&self, call: usize, now: u64) -> Weight {
        let What::Called(standing) = self.history[call].what else { panic!("{call} is not a call") };
        let is_guarding = !matches!(
            (self.hand, self.rules.mode),
            (Hand::Open | Hand::Closed, _) | (Hand::Automatic, Mode::Disabled)
        );
        if call < self.generation_start() || (standing == Standing::Probe && !self.is_out(call, now)) {
            Weight::Stale
        } else if is_guarding && matches!(standing, Standing::Call | Standing::Probe) {
            Weight::Full
        } else {
            Weight::TotalsOnly
        }
    }

    /// The calls that a closed breaker looks at.
    fn window(&self) -> Vec<Looked> {
        let all: Vec<Looked> = looked_at(self.generation()).collect();
        match self.rules.window {
            Window::Consecutive { .. } => all,
            Window::Count { calls, .. } => all[all.len().saturating_sub(calls)..].to_vec(),
            Window::Time { bucket_ns, .. } => last_buckets(&all, bucket_ns),
        }
    }

    /// Whether a closed breaker that looks at these has to open.
    fn is_too_much(&self, window: &[Looked]) -> bool {
        match self.rules.window {
            Window::Consecutive { failures, .. } => self.failures_in_a_row() >= failures,
            Window::Count { rates, .. } | Window::Time { rates, .. } => {
                window.len() >= rates.min_calls && exceeds(window, rates)
            }
        }
    }

    fn verdict_of_probes(&self) -> Option<State> {
        let probes: Vec<Looked> = looked_at(self.generation()).collect();
        match self.rules.window {
            Window::Consecutive { successes, .. } => {
                if probes.iter().any(|&(_, failed, _)| failed) {
                    Some(State::Open)
                } else {
                    (probes.len() >= successes).then_some(State::Closed)
                }
            }
            Window::Count { rates, .. } | Window::Time { rates, .. } => (probes.len() >= rates.probes)
                .then(|| if exceeds(&probes, rates) { State::Open } else { State::Closed }),
        }
    }

    /// How long the next opening may be.
    fn open_times(&self) -> RangeInclusive<u64> {
        let before = self.opens_in_a_row();
        let mut length = self.rules.open_ns.min(self.rules.open_max_ns);
        for _ in 0..before {
            length = length.saturating_mul(2).min(self.rules.open_max_ns);
        }
        let jitter = if before == 0 { 0 } else { self.rules.jitter_ppm };
        length - length * jitter / 1_000_000..=length
    }
}

fn looked_at(events: &[Event]) -> impl DoubleEndedIterator<Item = Looked> + '_ {
    events.iter().filter_map(|event| match event.what {
        What::Told { failed, slow, weight: Weight::Full, .. } => Some((event.at, failed, slow)),
        _ => None,
    })
}

/// Those of `all` that are in the bucket of the last one or in the 15 before. Buckets follow each other from the first
/// call on; a call that comes when no bucket of the 16 would hold another one is a first one. Time that goes back stays
/// in its bucket.
fn last_buckets(all: &[Looked], bucket_ns: u64) -> Vec<Looked> {
    let (mut start, mut number) = (0, 0);
    let mut numbered: Vec<(u64, Looked)> = Vec::new();
    for &call in all {
        let at = call.0;
        let reached = number.max(at.saturating_sub(start) / bucket_ns);
        if numbered.is_empty() || reached - number >= 16 {
            numbered.clear();
            (start, number) = (at, 0);
        } else {
            number = reached;
        }
        numbered.push((number, call));
    }
    numbered.into_iter().filter(|&(bucket, _)| bucket + 16 > number).map(|(_, call)| call).collect()
}

fn sums(calls: &[Looked]) -> (usize, usize, usize) {
    let failed = calls.iter().filter(|&&(_, failed, _)| failed).count();
    let slow = calls.iter().filter(|&&(_, _, slow)| slow).count();
    (calls.len(), failed, slow)
}

fn exceeds(calls: &[Looked], rates: Rates) -> bool {
    let (total, failed, slow) = sums(calls);
    let reaches = |part: usize, ppm: u64| part as u128 * 1_000_000 >= total as u128 * u128::from(ppm);
    reaches(failed, rates.failure_ppm) || (rates.slow_ns.is_some() && reaches(slow, rates.slow_ppm))
}
