//! Breakers against the model that keeps its whole history: random traces in which callers tell late or not at all,
//! and all short ones. However a trace ends, the breaker closes once calls succeed again.
//!
//! `WEIR_BREAKER_TRACES` says how many traces there are, `WEIR_BREAKER_TRACE` which is the first one.

mod guarded;

use governance::breaker::{BreakerSpec, BreakerState, CallResult, CircuitBreaker};
use governance::time::{Instant, Nanos};
use guarded::{MS, Outstanding, PERMIT_MAX, Pair, Stuck, settle, spec_of};
use sim::oracle::breaker::{CallEnd, Hand, Mode, Rates, Rules, Window};
use sim::random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// How many traces there are, unless `WEIR_BREAKER_TRACES` says otherwise.
const TRACES: u64 = 1_000_000;
/// How many calls a trace tries to make at most.
const CALLS_MAX: u64 = 24;

/// Of 100 calls: how many nobody tells of, and how many are told of when their permit has come back by itself.
const LOST_PERCENT: u64 = 10;
const LATE_PERCENT: u64 = 10;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// What has been seen in traces, so that a test can say that it has seen it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    calls: u64,
    lost: u64,
    late: u64,
    stale: u64,
    opened: u64,
    refused: u64,
    unsettled: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.lost += other.lost;
        self.late += other.late;
        self.stale += other.stale;
        self.opened += other.opened;
        self.refused += other.refused;
        self.unsettled += other.unsettled;
    }
}

#[test]
fn no_random_trace_differs_from_the_model_or_leaves_a_breaker_stuck() {
    let first = number("WEIR_BREAKER_TRACE", 1);
    let traces = number("WEIR_BREAKER_TRACES", TRACES);
    let workers = thread::available_parallelism().map_or(1, |count| u64::try_from(count.get()).unwrap_or(1));
    let seen = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mut seen = Seen::default();
                    let mut seed = first + worker;
                    while seed < first + traces {
                        let outcome = catch_unwind(AssertUnwindSafe(|| trace(seed)));
                        seen.add(outcome.unwrap_or_else(|_| panic!("WEIR_BREAKER_TRACE={seed}")));
                        seed += workers;
                    }
                    seen
                })
            })
            .collect();
        let mut all = Seen::default();
        handles.into_iter().for_each(|handle| all.add(handle.join().expect("a trace has failed")));
        all
    });
    println!("{traces} traces: {seen:?}");
    // In a hundred traces at least, the faults are there and matter.
    if traces >= 100 {
        assert!(seen.calls > traces * 8 && seen.opened > traces / 2 && seen.refused > traces, "{seen:?}");
        assert!(seen.lost * 100 / seen.calls >= LOST_PERCENT - 1, "{seen:?}");
        assert!(seen.late * 100 / seen.calls >= LATE_PERCENT - 1, "{seen:?}");
        assert!(seen.stale > traces / 2 && seen.unsettled > traces / 4, "{seen:?}");
    }
}

/// A result that somebody will tell.
struct Due {
    at: u64,
    call: Outstanding,
    end: CallEnd,
}

fn trace(seed: u64) -> Seen {
    let random = &mut Random::new(seed);
    let rules = rules(random);
    let mut pair = Pair::new(rules);
    let mut seen = Seen::default();
    let mut due: Vec<Due> = Vec::new();
    let (mut now, mut latest) = (random.between(0, 100 * MS), 0);
    // A provider is well, ill or in between, and changes its mind.
    let mut illness = *random.pick(&[5, 50, 95]);
    for _ in 0..CALLS_MAX {
        now = step(random, &rules, now);
        latest = now.max(latest);
        while let Some(index) = due.iter().position(|result| result.at <= now) {
            let result = due.swap_remove(index);
            pair.tell(now, result.call, result.end, random.next_u64());
            pair.compare(now);
            if pair.model.is_probe(result.call.id) && random.chance(3) {
                // Somebody tells twice.
                pair.tell(now, result.call, result.end, random.next_u64());
            }
        }
        match random.between(1, 200) {
            1 => pair.hold(now, *random.pick(&[Hand::Automatic, Hand::Open, Hand::Closed, Hand::Shadow])),
            2 => pair.hold(now, Hand::Automatic),
            3 => pair.reset(now),
            4..=10 => illness = *random.pick(&[5, 50, 95]),
            _ => {}
        }
        let Some(call) = pair.call(now) else {
            seen.refused += 1;
            continue;
        };
        seen.calls += 1;
        let end = CallEnd {
            failed: random.chance(illness),
            duration_ns: if random.chance(30) { 3 * MS } else { random.between(0, 2 * MS) },
        };
        match random.between(1, 100) {
            lost if lost <= LOST_PERCENT => seen.lost += 1,
            late if late <= LOST_PERCENT + LATE_PERCENT => {
                seen.late += 1;
                let after = *random.pick(&[rules.permit_ns, rules.open_ns, rules.open_max_ns]);
                due.push(Due { at: now + after + random.between(0, 1) * MS, call, end });
            }
            cancelled if cancelled > 97 => pair.cancel(now, call),
            in_flight if in_flight > 60 => {
                due.push(Due { at: now + random.between(1, rules.permit_ns), call, end });
            }
            _ => drop(pair.tell(now, call, end, random.next_u64())),
        }
        pair.compare(now);
    }
    let stats = pair.engine.stats();
    seen.stale += stats.stale;
    seen.opened += stats.opened;
    if rules.mode != Mode::Disabled {
        seen.unsettled += u64::from(pair.engine.state(Instant(latest)) != BreakerState::Closed);
        assert_eq!(settle(&mut pair.engine, &pair.spec, latest), Ok(()), "{rules:?}");
    }
    seen
}

/// The next instant: often the same, often one at which something is over, sometimes one that has been.
fn step(random: &mut Random, rules: &Rules, now: u64) -> u64 {
    let bucket = if let Window::Time { bucket_ns, .. } = rules.window { bucket_ns } else { MS / 2 };
    match random.between(1, 20) {
        1..=6 => now,
        7..=11 => now + random.between(0, MS),
        12 | 13 => now + rules.open_ns,
        14 | 15 => now + rules.permit_ns,
        16 => now + bucket * random.between(1, 17),
        17 => now + bucket,
        18 => now + rules.open_max_ns - random.between(0, 1),
        19 => now + rules.permit_ns - 1,
        _ if random.chance(30) => now.saturating_sub(random.between(1, 3 * MS)),
        _ => now + 1,
    }
}

fn rules(random: &mut Random) -> Rules {
    let small = |random: &mut Random, most: usize| random.index(most) + 1;
    let rates = |random: &mut Random, calls: usize| {
        let ppm = [1, 250_000, 333_333, 333_334, 500_000, 750_000, 1_000_000];
        let slow_ns = random.chance(40).then_some(2 * MS);
        Rates {
            failure_ppm: *random.pick(&ppm),
            slow_ns,
            slow_ppm: slow_ns.map_or(0, |_| *random.pick(&ppm)),
            min_calls: small(random, calls),
            probes: small(random, 4),
        }
    };
    let open_ns = random.between(1, 5) * MS;
    let window = match random.between(1, 3) {
        1 => Window::Consecutive { failures: small(random, 3), successes: small(random, 3) },
        2 => {
            let calls = small(random, 6);
            Window::Count { calls, rates: rates(random, calls) }
        }
        _ => Window::Time { bucket_ns: random.between(1, 2) * MS, rates: rates(random, 5) },
    };
    Rules {
        window,
        open_ns,
        open_max_ns: open_ns * *random.pick(&[1, 2, 3, 8]),
        jitter_ppm: *random.pick(&[0, 100_000, 333_333, 500_000]),
        permit_ns: random.between(MS, PERMIT_MAX),
        mode: match random.between(1, 20) {
            1 | 2 => Mode::Shadow,
            3 => Mode::Disabled,
            _ => Mode::Enforce,
        },
    }
}

const HALF: Rates = Rates { failure_ppm: 500_000, slow_ns: None, slow_ppm: 0, min_calls: 2, probes: 2 };
const CONSECUTIVE: Rules = Rules {
    window: Window::Consecutive { failures: 2, successes: 2 },
    open_ns: 3 * MS,
    open_max_ns: 6 * MS,
    jitter_ppm: 100_000,
    permit_ns: 2 * MS,
    mode: Mode::Enforce,
};
const COUNT: Rules = Rules { window: Window::Count { calls: 3, rates: HALF }, ..CONSECUTIVE };
const TIME: Rules = Rules { window: Window::Time { bucket_ns: MS, rates: HALF }, ..CONSECUTIVE };

/// What can happen next in a short trace.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A call succeeds.
    Succeed,
    /// A call fails.
    Fail,
    /// A call is made, and nobody has told yet.
    Leave,
    /// The first of those is told of as a failure.
    TellFirst,
    /// The last of those is told of as a success.
    TellLast,
    /// The first open time goes by, which is more than a permit's.
    WaitOpen,
    /// As much time goes by as a permit is out, or so many buckets that only one is left.
    WaitPermit,
}

const EVENTS: [Event; 7] = [
    Event::Succeed,
    Event::Fail,
    Event::Leave,
    Event::TellFirst,
    Event::TellLast,
    Event::WaitOpen,
    Event::WaitPermit,
];

#[derive(Clone)]
struct Short {
    pair: Pair,
    outstanding: Vec<Outstanding>,
    now: u64,
    wait_permit: u64,
}

impl Short {
    fn new(rules: Rules) -> Self {
        let wait_permit = if let Window::Time { .. } = rules.window { 15 * MS } else { rules.permit_ns };
        Self { pair: Pair::new(rules), outstanding: Vec::new(), now: 0, wait_permit }
    }

    /// Does what can be done of `event`; says whether anything can.
    fn apply(&mut self, event: Event) -> bool {
        let (now, quick) = (self.now, CallEnd { failed: false, duration_ns: 0 });
        let failed = CallEnd { failed: true, ..quick };
        match event {
            Event::Succeed | Event::Fail => {
                let Some(call) = self.pair.call(now) else { return false };
                self.pair.tell(
                    now,
                    call,
                    if matches!(event, Event::Fail) { failed } else { quick },
                    u64::MAX,
                );
            }
            Event::Leave => {
                let Some(call) = self.pair.call(now) else { return false };
                self.outstanding.push(call);
            }
            Event::TellFirst => {
                if self.outstanding.is_empty() {
                    return false;
                }
                let call = self.outstanding.remove(0);
                self.pair.tell(now, call, failed, u64::MAX);
            }
            Event::TellLast => {
                let Some(call) = self.outstanding.pop() else { return false };
                self.pair.tell(now, call, quick, u64::MAX);
            }
            Event::WaitOpen => self.now += 3 * MS,
            Event::WaitPermit => self.now += self.wait_permit,
        }
        self.pair.compare(self.now);
        true
    }

    /// Goes through all sequences of up to `left` more events, and says how many there were.
    fn explore(&self, left: u32) -> u64 {
        let mut engine = self.pair.engine;
        assert_eq!(settle(&mut engine, &self.pair.spec, self.now), Ok(()));
        if left == 0 {
            return 1;
        }
        let mut sequences = 1;
        for event in EVENTS {
            let mut next = self.clone();
            // What changes nothing leads nowhere else.
            if next.apply(event) {
                sequences += next.explore(left - 1);
            }
        }
        sequences
    }
}

#[test]
fn every_sequence_of_up_to_seven_events_agrees_with_the_model_and_settles() {
    thread::scope(|scope| {
        for (name, rules) in [("consecutive", CONSECUTIVE), ("count", COUNT), ("time", TIME)] {
            scope.spawn(move || {
                let sequences = Short::new(rules).explore(7);
                println!("{name}: {sequences} sequences");
                assert!(sequences > 100_000, "{name}: {sequences}");
            });
        }
    });
}

/// Opens a breaker and lets every call of the half-open one be lost.
fn lose_all_probes(spec: &BreakerSpec) -> (CircuitBreaker, u64) {
    let mut breaker = CircuitBreaker::EMPTY;
    let mut now = 0;
    while breaker.state(Instant(now)) == BreakerState::Closed {
        let permit = breaker.acquire(Instant(now), spec);
        breaker.record(Instant(now), spec, permit, CallResult::Failure, None, 0);
    }
    now += spec.open_time.0;
    while breaker.check(Instant(now), spec).is_ok() {
        assert!(breaker.acquire(Instant(now), spec).is_probe());
    }
    (breaker, now)
}

#[test]
fn a_breaker_whose_permits_never_come_back_is_found_stuck() {
    for rules in [CONSECUTIVE, COUNT, TIME] {
        let spec = spec_of(&rules);
        let (mut breaker, now) = lose_all_probes(&spec);
        assert_eq!(settle(&mut breaker, &spec, now), Ok(()));

        let broken = BreakerSpec { permit_timeout: Nanos::MAX, ..spec };
        assert!(broken.check().is_err(), "nobody can ask for it");
        let (mut breaker, now) = lose_all_probes(&broken);
        let stuck = settle(&mut breaker, &broken, now);
        assert!(
            matches!(stuck, Err(Stuck { calls: 0, state: BreakerState::HalfOpen, .. })),
            "{rules:?}: {stuck:?}"
        );
    }
}
