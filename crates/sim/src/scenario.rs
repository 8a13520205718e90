//! Seeded random limits and requests, with times and costs that like to lie on an edge.
//!
//! A [`Scenario`] is a list of limits and a list of steps at absolute times. While it is made, a model
//! decides along, so that steps can fall exactly on a retry time or a nanosecond before it. Whoever runs
//! one can compare what it runs on with [`Step::apply`] to a model of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oracle::limiter::Hash;
use crate::oracle::rule::{Align, Clocks, Request, Unit};
use crate::oracle::scope::bucket_of;
use crate::oracle::{Algorithm, Limit, Limiter, Outcome, Verdict, Wait};
use crate::random::Random;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const YEAR: u64 = 365 * 24 * 60 * MINUTE;

/// No bucket may hold tokens × nanoseconds of this many or more.
const CAPACITY_TIME_BOUND: u128 = 1 << 100;

/// What happens besides requests in ever later time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Clocks go back now and then, together or the wall clock alone.
    pub clocks_go_back: bool,
    /// Limits are changed, disabled, enabled and reset.
    pub limits_change: bool,
    /// Single names are granted extra capacity, refunded, drained.
    pub names_are_handled: bool,
}

/// A run that a seed decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The limits at the beginning.
    pub limits: Vec<Limit>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub now: Clocks,
    /// What.
    pub action: Action,
}

/// What can happen. Limits are given by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A request asks to pass.
    Decide(Request),
    /// A limit gets other parameters, or another algorithm.
    Change {
        /// The limit.
        limit: String,
        /// How it counts from now on.
        algorithm: Algorithm,
    },
    /// A limit is enabled or disabled.
    SetEnabled {
        /// The limit.
        limit: String,
        /// Which of the two.
        enabled: bool,
    },
    /// Every name begins again under a limit.
    Reset {
        /// The limit.
        limit: String,
    },
    /// A name is handled that has met a limit.
    Handle {
        /// The limit.
        limit: String,
        /// The name.
        name: String,
        /// What is done with it.
        handling: Handling,
    },
}

/// What can be done for a single name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Extra capacity for a time.
    Grant {
        /// How much.
        extra: u64,
        /// For how many nanoseconds.
        lasts_ns: u64,
    },
    /// Up to so much is given back.
    Refund {
        /// How much.
        amount: u64,
    },
    /// All that is left is used up.
    Drain,
}

impl Step {
    /// Lets the step happen to a model; a request has an outcome.
    pub fn apply(&self, model: &mut Limiter) -> Option<Outcome> {
        match &self.action {
            Action::Decide(request) => return Some(model.decide(self.now, request)),
            Action::Change { limit, algorithm } => model.change(self.now, limit, *algorithm),
            Action::SetEnabled { limit, enabled } => model.set_enabled(limit, *enabled),
            Action::Reset { limit } => model.reset(limit),
            Action::Handle { limit, name, handling } => {
                let meter = model.meter_mut(limit, name)?;
                match *handling {
                    Handling::Grant { extra, lasts_ns } => meter.grant(self.now, extra, lasts_ns),
                    Handling::Refund { amount } => meter.refund(self.now, amount),
                    Handling::Drain => meter.drain(self.now),
                }
            }
        }
        None
    }
}

impl Scenario {
    /// The scenario of `length` steps that `seed` gives. `hash` is that of the limiter that will run it; it
    /// decides where the edges of spread windows lie.
    #[must_use]
    pub fn generate(
        seed: u64,
        mix: Mix,
        length: usize,
        hash: impl Fn(&Limit, &str) -> u64 + 'static,
    ) -> Self {
        let mut random = Random::new(seed);
        let limits = limits(&mut random);
        let mut maker = Maker::new(random, mix, limits.clone(), Box::new(hash));
        let steps = (0..length).map(|_| maker.step()).collect();
        Self { limits, steps }
    }
}

/// One to seven limits with names of their own. Few names and kinds, so that they meet.
fn limits(random: &mut Random) -> Vec<Limit> {
    const SCOPES: [&str; 15] = [
        "ip:*",
        "ip:192.0.2.1",
        "ip:2001:db8::1",
        "user:*",
        "user:ann",
        "group:*",
        "group:chat",
        "client:*",
        "client:ann",
        "service:web",
        "service:*",
        "tenant:*",
        "key:*",
        "session:*",
        "route:*",
    ];
    let mostly_unlimited = random.chance(5);
    (0..random.between(1, 7))
        .map(|number| {
            let unlimited = mostly_unlimited && random.chance(80);
            let algorithm = if unlimited { Algorithm::Unlimited } else { algorithm(random) };
            let mut limit = Limit::on(random.pick::<&str>(&SCOPES), algorithm);
            limit.per_client = algorithm.capacity().is_some() && random.chance(30);
            limit.unit = *random.pick(&[Unit::Requests, Unit::Requests, Unit::Bytes, Unit::Tokens]);
            limit.enabled = random.chance(90);
            limit.named(&format!("limit-{number}"))
        })
        .collect()
}

/// Any algorithm with any parameters that a configuration may hold.
fn algorithm(random: &mut Random) -> Algorithm {
    match random.between(0, 39) {
        0 => Algorithm::Unlimited,
        1 => Algorithm::Ban,
        kind => parameters(random, kind),
    }
}

fn parameters(random: &mut Random, kind: u64) -> Algorithm {
    const COUNTS: [u64; 12] = [1, 1, 2, 3, 5, 10, 10, 60, 100, 1_000_000, (1 << 32) + 1, u64::MAX];
    const RATES: [u64; 9] = [1, 1, 2, 3, 7, 60, 1_000_000, 1_250_000_000, u64::MAX];
    const TIMES: [u64; 10] =
        [1, 7, 1000, 999_999_937, SECOND, SECOND, MINUTE, MINUTE, 60 * MINUTE, 24 * 60 * MINUTE];
    let per_ns = *random.pick(&TIMES);
    let mut capacity = *random.pick(&COUNTS);
    if u128::from(capacity) * u128::from(per_ns) >= CAPACITY_TIME_BOUND {
        capacity = 10;
    }
    let tokens = *random.pick(&RATES);
    let align = *random.pick(&[Align::Spread, Align::Clock]);
    let (limit, window_ns) = (capacity, per_ns);
    match kind % 6 {
        0 => Algorithm::TokenBucket { capacity, tokens, per_ns },
        1 => Algorithm::LeakyBucket { capacity, tokens, per_ns },
        2 => Algorithm::LeakyQueue { capacity, tokens, per_ns },
        3 => Algorithm::FixedWindow { limit, window_ns, align },
        4 => Algorithm::SlidingCounter { limit, window_ns, align },
        _ => Algorithm::SlidingLog { limit, window_ns },
    }
}

/// Other parameters of the same algorithm.
fn other_parameters(random: &mut Random, algorithm: &Algorithm) -> Algorithm {
    let kind = match algorithm {
        Algorithm::TokenBucket { .. } => 0,
        Algorithm::LeakyBucket { .. } => 1,
        Algorithm::LeakyQueue { .. } => 2,
        Algorithm::FixedWindow { .. } => 3,
        Algorithm::SlidingCounter { .. } => 4,
        Algorithm::SlidingLog { .. } => 5,
        Algorithm::Unlimited | Algorithm::Ban => return *algorithm,
    };
    parameters(random, kind)
}

struct Maker {
    random: Random,
    mix: Mix,
    model: Limiter,
    now: Clocks,
    /// The request before, and how long it would have had to wait.
    last: Option<(Request, u64)>,
    /// The limit and the name that were handled before.
    handled: Option<(String, String)>,
}

impl Maker {
    fn new(mut random: Random, mix: Mix, limits: Vec<Limit>, hash: Box<Hash>) -> Self {
        let now = Clocks {
            instant_ns: *random.pick(&[0, 1, 5 * SECOND, YEAR]),
            wall_ns: 1_700_000_000 * SECOND + random.between(0, 2 * MINUTE),
        };
        Self { random, mix, model: Limiter::new(limits, hash), now, last: None, handled: None }
    }

    fn step(&mut self) -> Step {
        let retried = self.last.take().filter(|_| self.random.chance(50));
        let action = match retried {
            Some((request, wait)) => {
                let early = u64::from(self.random.chance(40));
                self.pass(wait.saturating_sub(early));
                Action::Decide(request)
            }
            None => {
                self.pass_some_time();
                self.action()
            }
        };
        let step = Step { now: self.now, action };
        let outcome = step.apply(&mut self.model);
        if let (Action::Decide(request), Some(Outcome { verdict: Verdict::Deny { retry, .. }, .. })) =
            (&step.action, outcome)
            && let Wait::Nanos(wait) = retry
            && wait < 2 * YEAR
        {
            self.last = Some((request.clone(), wait));
        }
        step
    }

    fn pass(&mut self, ns: u64) {
        self.now.instant_ns = self.now.instant_ns.saturating_add(ns);
        self.now.wall_ns = self.now.wall_ns.saturating_add(ns);
    }

    fn pass_some_time(&mut self) {
        if self.mix.clocks_go_back && self.random.chance(8) {
            self.go_back();
            return;
        }
        let beat = self.beat();
        let ns = match self.random.between(0, 29) {
            0..=8 => 0,
            9..=11 => 1,
            12..=15 => beat,
            16..=17 => beat.saturating_sub(1),
            18 => beat.saturating_add(1),
            19..=21 => to_edge(self.now.wall_ns, beat),
            22 => to_edge(self.now.wall_ns, beat) - 1,
            23..=26 => self.random.between(0, beat),
            27..=28 => self.random.between(0, beat.saturating_mul(3)),
            _ => YEAR,
        };
        self.pass(ns);
    }

    /// A time that means something to one of the limits: its window, its period, or the time of a token.
    fn beat(&mut self) -> u64 {
        let place = self.random.index(self.model.limits().len());
        match self.model.limits()[place].algorithm {
            Algorithm::TokenBucket { tokens, per_ns, .. }
            | Algorithm::LeakyBucket { tokens, per_ns, .. }
            | Algorithm::LeakyQueue { tokens, per_ns, .. } => {
                *self.random.pick(&[per_ns, per_ns.div_ceil(tokens)])
            }
            Algorithm::FixedWindow { window_ns, .. }
            | Algorithm::SlidingCounter { window_ns, .. }
            | Algorithm::SlidingLog { window_ns, .. } => window_ns,
            Algorithm::Unlimited | Algorithm::Ban => SECOND,
        }
    }

    fn go_back(&mut self) {
        let ns = *self.random.pick(&[1, SECOND, 59 * SECOND, 60 * MINUTE, YEAR]);
        self.now.wall_ns = self.now.wall_ns.saturating_sub(ns);
        if self.random.chance(70) {
            self.now.instant_ns = self.now.instant_ns.saturating_sub(ns);
        }
    }

    fn action(&mut self) -> Action {
        if self.mix.limits_change && self.random.chance(10) {
            return self.change();
        }
        let request = self.request();
        if self.mix.names_are_handled && self.random.chance(15) {
            return self.handling(&request).unwrap_or(Action::Decide(request));
        }
        Action::Decide(request)
    }

    fn change(&mut self) -> Action {
        let place = self.random.index(self.model.limits().len());
        let chosen = self.model.limits()[place].clone();
        let limit = chosen.name;
        match self.random.between(0, 4) {
            0 => Action::SetEnabled { limit, enabled: !chosen.enabled },
            1 => Action::Reset { limit },
            2 => {
                let counts = |algorithm: &Algorithm| !chosen.per_client || algorithm.capacity().is_some();
                let algorithm = Some(algorithm(&mut self.random)).filter(counts);
                Action::Change { limit, algorithm: algorithm.unwrap_or(chosen.algorithm) }
            }
            _ => Action::Change { limit, algorithm: other_parameters(&mut self.random, &chosen.algorithm) },
        }
    }

    /// Something done to a name that `request` carries and that has met a limit before, or again to the name
    /// before.
    fn handling(&mut self, request: &Request) -> Option<Action> {
        let place = self.random.index(self.model.limits().len());
        let chosen = &self.model.limits()[place];
        let named = || Some((chosen.name.clone(), bucket_of(chosen, request)?));
        let again = self.random.chance(50);
        let (limit, name) = self.handled.clone().filter(|_| again).or_else(named)?;
        self.model.meter(&limit, &name)?;
        self.handled = Some((limit.clone(), name.clone()));
        let handling = match self.random.between(0, 3) {
            0 => Handling::Drain,
            1 => Handling::Refund { amount: self.cost() },
            _ => {
                let lasts_ns = *self.random.pick(&[1, SECOND, MINUTE, 60 * MINUTE]);
                Handling::Grant { extra: self.random.between(0, 20), lasts_ns }
            }
        };
        Some(Action::Handle { limit, name, handling })
    }

    fn request(&mut self) -> Request {
        let addresses = [
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
            IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1)),
        ];
        let ip = if self.random.chance(90) { Some(*self.random.pick(&addresses)) } else { None };
        Request {
            service: self.name(80, &["web", "mail"]),
            user: self.name(70, &["ann", "bob"]),
            tenant: self.name(30, &["acme", "zeta"]),
            ip,
            key: self.name(30, &["k1", "k2"]),
            session: self.name(40, &["s1", "s2"]),
            actor: self.name(20, &["ann", "cron"]),
            group: self.name(90, &["chat", "memory", "default", "exempt"]),
            provider: None,
            route: self.name(30, &["openai:post", "github:get"]),
            bytes: self.cost(),
            tokens: self.cost(),
            cost: if self.random.chance(60) { 1 } else { self.cost() },
            exempt: self.random.chance(5),
        }
    }

    fn name(&mut self, percent: u64, names: &[&str]) -> Option<String> {
        let name = (*self.random.pick(names)).to_owned();
        if self.random.chance(percent) { Some(name) } else { None }
    }

    /// A cost on the edge of one of the limits, or a small one.
    fn cost(&mut self) -> u64 {
        let place = self.random.index(self.model.limits().len());
        let capacity = self.model.limits()[place].algorithm.capacity().unwrap_or(1);
        match self.random.between(0, 19) {
            0..=1 => 0,
            2..=8 => 1,
            9..=10 => capacity,
            11 => capacity.saturating_add(self.random.between(1, 20)),
            12 => capacity - 1,
            13 => u64::MAX,
            14..=16 => capacity / 2,
            _ => self.random.between(1, capacity),
        }
    }
}

/// From `at` to the next multiple of `beat`, at least 1.
fn to_edge(at: u64, beat: u64) -> u64 {
    beat - at % beat
}
