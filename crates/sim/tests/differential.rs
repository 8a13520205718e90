//! The engine against the models, step by step, over seeded scenarios.
//!
//! After each step every decision, every counter and every bucket is compared. A scenario that shows a
//! difference is made as short as it can be and printed with its seed.
//!
//! - `WEIR_SEEDS=N`: how many scenarios each test runs;
//! - `WEIR_SEED=S`: the seed of the first one;
//! - `WEIR_MINUTES=M`: go on with further seeds until so much time has passed.
//!
//! `scripts/campaign.sh` sets them.

mod engine;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use governance::config::Config;
use governance::decision::{Decision, LimitStanding, Reason, Verdict as EngineVerdict, Wait as EngineWait};
use governance::governor::Governor;
use governance::rate_limiter::{LimitError, LimitId};
use governance::scope::{BucketKey, HashSecret};
use governance::time::Nanos;
use sim::oracle::rule::{Clocks, Limit, Pattern, Request};
use sim::oracle::scope::bucket_of;
use sim::oracle::{Algorithm, Limiter, Meter, Outcome, Verdict};
use sim::scenario::{Action, Handling, Mix, Scenario, Step};

/// Steps of a scenario.
const LENGTH: usize = 60;

/// More entries than a scenario can charge.
const LOG: usize = 1024;

/// More keys than a scenario can name.
const MANY_KEYS: usize = 512;

/// So few that keys make room for each other all the time.
const FEW_KEYS: usize = 12;

#[test]
fn requests_in_ever_later_time() {
    campaign::<MANY_KEYS>(Mix::default());
}

#[test]
fn clocks_that_go_back() {
    campaign::<MANY_KEYS>(Mix { clocks_go_back: true, ..Mix::default() });
}

#[test]
fn limits_that_change_while_they_work() {
    campaign::<MANY_KEYS>(Mix { limits_change: true, ..Mix::default() });
}

#[test]
fn grants_refunds_and_drains() {
    campaign::<MANY_KEYS>(Mix { names_are_handled: true, ..Mix::default() });
}

#[test]
fn everything_at_once() {
    campaign::<MANY_KEYS>(EVERYTHING);
}

#[test]
fn keys_that_make_room_for_each_other_when_they_are_full_again() {
    campaign::<FEW_KEYS>(EVERYTHING);
}

const EVERYTHING: Mix = Mix { clocks_go_back: true, limits_change: true, names_are_handled: true };

/// Runs scenarios until one shows a difference, and then panics with it.
fn campaign<const KEYS: usize>(mix: Mix) {
    let setting = |name: &str| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    let seeds: u64 = setting("WEIR_SEEDS").unwrap_or(300);
    let first: u64 = setting("WEIR_SEED").unwrap_or(1);
    let until =
        setting("WEIR_MINUTES").map(|minutes: u64| Instant::now() + Duration::from_secs(60 * minutes));
    let mut engine: Box<Governor<KEYS, LOG>> = Box::default();
    let mut done = Done::default();
    let mut seed = first;
    while until.map_or(seed - first < seeds, |until| Instant::now() < until) {
        let secret = HashSecret::from_seed(seed);
        let named = NameOnPanic(seed);
        let scenario = Scenario::generate(seed, mix, LENGTH, engine::hash(secret));
        if run(&mut engine, secret, &scenario, &mut done).is_err() {
            report(&mut engine, secret, seed, scenario);
        }
        drop(named);
        seed += 1;
    }
    // Not `println!`, which the test runner shows only of tests that fail.
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "{name}: seeds {first} to {}: {done:?}", seed - 1);
    assert!(done.decisions > 0 && done.buckets > 0);
}

/// Says which seed it was when the engine or a model panics.
struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "failing seed: WEIR_SEED={} WEIR_SEEDS=1", self.0);
        }
    }
}

/// Leaves out whatever the difference does not need, and panics with the rest.
fn report<const KEYS: usize>(
    engine: &mut Governor<KEYS, LOG>,
    secret: HashSecret,
    seed: u64,
    mut scenario: Scenario,
) -> ! {
    let mut fails = |scenario: &Scenario| run(engine, secret, scenario, &mut Done::default()).err();
    let mut shorter = true;
    while shorter {
        shorter = false;
        for place in (0..scenario.steps.len()).rev() {
            let mut without = scenario.clone();
            without.steps.remove(place);
            if fails(&without).is_some() {
                (scenario, shorter) = (without, true);
            }
        }
        for place in (0..scenario.limits.len()).rev() {
            let mut without = scenario.clone();
            without.limits.remove(place);
            if fails(&without).is_some() {
                (scenario, shorter) = (without, true);
            }
        }
    }
    let difference = fails(&scenario).expect("it failed before");
    let steps: Vec<String> = scenario.steps.iter().map(|step| format!("{step:?}")).collect();
    let limits: Vec<String> = scenario.limits.iter().map(|limit| format!("{limit:?}")).collect();
    panic!("seed {seed}: {difference}\n{}\n{}", limits.join("\n"), steps.join("\n"));
}

/// What was compared.
#[derive(Debug, Default)]
struct Done {
    decisions: u64,
    denials: u64,
    changes: u64,
    handlings: u64,
    buckets: u64,
    evictions: u64,
    /// Scenarios that were left when keys began to share a bucket, which the models do not know.
    overflows: u64,
}

/// Exempts a path, and limits nothing.
static EXEMPTING: LazyLock<Box<Config>> = LazyLock::new(|| {
    let mut config = Box::new(Config::new());
    config.routes.add(engine::EXEMPT_PATH, "exempt").expect("a route");
    config
});

/// Runs a scenario on both sides until its end or the first difference.
fn run<const KEYS: usize>(
    engine: &mut Governor<KEYS, LOG>,
    secret: HashSecret,
    scenario: &Scenario,
    done: &mut Done,
) -> Result<(), String> {
    engine.reset(secret);
    engine.configure(engine::now(Clocks::default()), &EXEMPTING).expect("a route and no limits");
    for limit in &scenario.limits {
        engine.limits.add(&engine::spec(limit)).expect("few limits with names of their own");
    }
    let mut model = Limiter::new(scenario.limits.clone(), engine::hash(secret));
    // Each side has its own limits, so that a step for a limit that is left out is no step.
    let known = |name: &str| scenario.limits.iter().any(|limit| limit.name == name);
    let mut pair = Pair { engine, model: &mut model, latest: Clocks::default(), done, unlimited: Vec::new() };
    pair.note_unlimited();
    for (place, step) in scenario.steps.iter().enumerate() {
        let here = |difference| format!("step {place}: {difference}");
        let skipped = match &step.action {
            Action::Decide(_) => false,
            Action::Change { limit, .. }
            | Action::SetEnabled { limit, .. }
            | Action::Reset { limit }
            | Action::Handle { limit, .. } => !known(limit),
        };
        if skipped {
            continue;
        }
        let overflows = pair.engine.limits.table_stats().overflow_hits;
        let same = pair.step(step);
        if pair.engine.limits.table_stats().overflow_hits > overflows {
            pair.done.overflows += 1;
            return Ok(());
        }
        same.map_err(here)?;
        pair.compare_buckets(place + 1 == scenario.steps.len()).map_err(here)?;
        pair.compare_counters().map_err(here)?;
    }
    pair.compare_denied_keys()?;
    pair.done.evictions += pair.engine.limits.table_stats().evicted_fresh;
    pair.leaves_nothing_behind()
}

/// Both sides of the comparison.
struct Pair<'a, const KEYS: usize> {
    engine: &'a mut Governor<KEYS, LOG>,
    model: &'a mut Limiter,
    /// The latest of each clock that the engine was shown: it has one time for all, and a model one for each
    /// bucket. The models are shown only this.
    latest: Clocks,
    done: &'a mut Done,
    /// The limits that were unlimited at some time: keys have no bucket there, so that the engine does not
    /// count them.
    unlimited: Vec<String>,
}

impl<const KEYS: usize> Pair<'_, KEYS> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Decide(request) => return self.decide(step.now, request),
            Action::Change { limit, algorithm } => {
                self.show(step.now);
                self.done.changes += 1;
                let id = self.id(limit);
                let changed = Limit { algorithm: *algorithm, ..self.limit(limit).clone() };
                self.engine
                    .limits
                    .update(engine::now(step.now), id, &engine::spec(&changed))
                    .map_err(|error| format!("a change is refused: {error}"))?;
                self.model.change(self.latest, limit, *algorithm);
                self.note_unlimited();
            }
            Action::SetEnabled { limit, enabled } => {
                self.done.changes += 1;
                let state = engine::state(*enabled);
                self.engine.limits.set_state(self.id(limit), state).map_err(|error| error.to_string())?;
                self.model.set_enabled(limit, *enabled);
            }
            Action::Reset { limit } => {
                self.done.changes += 1;
                let counts = self.limit(limit).algorithm.capacity().is_some();
                match self.engine.limits.reset_bucket(self.id(limit), None) {
                    Ok(_) => self.model.reset(limit),
                    // Extra capacity stays with a bucket that does not count at the moment.
                    Err(LimitError::NoBucket) if !counts => {}
                    Err(error) => return Err(format!("a reset is refused: {error}")),
                }
            }
            Action::Handle { limit, name, handling } => return self.handle(step.now, limit, name, *handling),
        }
        Ok(())
    }

    fn decide(&mut self, now: Clocks, request: &Request) -> Result<(), String> {
        self.done.decisions += 1;
        let asked = engine::request(request);
        let seen = self.engine.peek(engine::now(now), &asked);
        let decision = self.engine.admit(engine::now(now), &asked);
        let said = |decision: &Decision| {
            let speaker = decision.limit.map(|standing| standing.limit);
            (decision.verdict, decision.reason, decision.retry, speaker)
        };
        if said(&seen) != said(&decision) {
            return Err(format!("a look says {seen:?}, the decision {decision:?}"));
        }
        if decision.reason != Reason::Exempt {
            self.show(now); // an exempt request is not shown to the limits, and neither is its time
        }
        let outcome = self.model.decide(self.latest, request);
        self.done.denials += u64::from(!outcome.allowed());
        let (speaking, expected) = self.expected(request, &outcome);
        same("the decision", (decision.verdict, decision.reason, decision.retry), expected)?;
        let Some(limit) = speaking else {
            return same("the limit that speaks", decision.limit.is_some(), false);
        };
        self.compare_speaker(&decision, &limit, request)
    }

    /// The verdict, reason and retry that the model's outcome stands for, and the limit that speaks for it.
    fn expected(
        &self,
        request: &Request,
        outcome: &Outcome,
    ) -> (Option<Limit>, (EngineVerdict, Reason, Option<EngineWait>)) {
        match &outcome.verdict {
            Verdict::Allow { delay_ns } => {
                let speaking = self.model.tightest(self.latest, request).cloned();
                let reason = match &speaking {
                    _ if request.exempt => Reason::Exempt,
                    None => Reason::NoLimit,
                    Some(_) => Reason::WithinLimits,
                };
                let verdict = match delay_ns {
                    0 => EngineVerdict::Allow,
                    nanos => EngineVerdict::Delay(Nanos(*nanos)),
                };
                (speaking.filter(|_| reason != Reason::Exempt), (verdict, reason, None))
            }
            Verdict::Deny { limit, retry } => {
                let limit = self.limit(limit).clone();
                let holds = self.meter_of(&limit, request).holds(self.latest);
                let reason = match holds {
                    None => Reason::Banned,
                    Some(most) if request.amount(limit.unit) > most => Reason::CostAboveCapacity,
                    Some(_) => Reason::OverLimit,
                };
                (Some(limit), (EngineVerdict::Deny, reason, Some(engine::wait(*retry))))
            }
        }
    }

    fn compare_speaker(&self, decision: &Decision, limit: &Limit, request: &Request) -> Result<(), String> {
        let standing = decision.limit.ok_or("no limit speaks")?;
        same("the limit that speaks", standing.limit, self.id(&limit.name))?;
        let meter = self.meter_of(limit, request);
        same("its capacity", standing.capacity, meter.holds(self.latest))?;
        if standing.capacity.is_some() {
            compare_standing(&standing, meter, self.latest)?;
        }
        Ok(())
    }

    fn handle(&mut self, now: Clocks, limit: &str, name: &str, handling: Handling) -> Result<(), String> {
        let limit = self.limit(limit).clone();
        let (id, key) = (self.id(&limit.name), key_of(&limit, name));
        if self.model.meter(&limit.name, name).is_none() {
            return Ok(()); // a shortened scenario may have lost the request that opened it
        }
        self.done.handlings += 1;
        let limits = &mut self.engine.limits;
        let time = engine::now(now);
        let result = match handling {
            Handling::Grant { extra, lasts_ns } => limits.handle_burst(time, id, key, extra, Nanos(lasts_ns)),
            Handling::Refund { amount } => limits.refund(time, id, key, amount).map(|_| ()),
            Handling::Drain => limits.drain_bucket(time, id, key).map(|_| ()),
        };
        self.show(now);
        let can_be_unknown = (limit.pattern == Pattern::Any || limit.per_client)
            && (KEYS < MANY_KEYS || self.unlimited.contains(&limit.name));
        match result {
            Ok(()) => {}
            Err(LimitError::NoBucket) if limit.algorithm.capacity().is_none() => return Ok(()),
            // A grant of nothing, or one that makes a bucket too large for exact arithmetic.
            Err(LimitError::BadGrant) if is_bad_grant(&limit.algorithm, handling) => return Ok(()),
            // The key has made room for another when it was full, or was met while the limit was unlimited.
            Err(LimitError::UnknownKey) if can_be_unknown => return Ok(()),
            Err(error) => return Err(format!("{handling:?} is refused: {error}")),
        }
        let latest = self.latest;
        let meter = self.model.meter_mut(&limit.name, name).ok_or("no such meter")?;
        match handling {
            Handling::Grant { extra, lasts_ns } => meter.grant(latest, extra, lasts_ns),
            Handling::Refund { amount } => meter.refund(latest, amount),
            Handling::Drain => meter.drain(latest),
        }
        Ok(())
    }

    /// Compares all buckets; only in the end how long they take to be full again, which takes a model long.
    fn compare_buckets(&mut self, at_the_end: bool) -> Result<(), String> {
        let now = engine::now(self.latest);
        for (limit, name, meter) in self.model.meters() {
            let limit =
                self.model.limits().iter().find(|known| known.name == limit).ok_or("no such limit")?;
            let id = self.engine.limits.find(&limit.name).ok_or("no such limit")?;
            let standing = self.engine.limits.standing_of(now, id, key_of(limit, name));
            let here = |difference| format!("{} of {name}: {difference}", limit.name);
            let Some(holds) = meter.holds(self.latest) else {
                same("no bucket", standing, Err(LimitError::NoBucket)).map_err(here)?;
                continue;
            };
            let standing = standing.map_err(|error| here(error.to_string()))?;
            same("capacity", standing.capacity, Some(holds)).map_err(here)?;
            same("remaining", standing.remaining(), meter.remaining(self.latest)).map_err(here)?;
            if at_the_end {
                compare_standing(&standing, meter, self.latest).map_err(here)?;
            }
            self.done.buckets += 1;
        }
        Ok(())
    }

    fn compare_counters(&self) -> Result<(), String> {
        for limit in self.model.limits() {
            let stats = self.engine.limits.get_limit_stats(self.id(&limit.name));
            let stats = stats.map_err(|error| error.to_string())?;
            let counts = self.model.counts(&limit.name);
            let here = |difference| format!("{}: {difference}", limit.name);
            same("allowed", stats.allowed, counts.allowed).map_err(here)?;
            same("denied", stats.denied, counts.denied).map_err(here)?;
            let keys = match limit.pattern {
                _ if limit.per_client && KEYS < MANY_KEYS => stats.keys,
                _ if limit.per_client => counts.keys,
                // The one key of an exact limit counts once it has decided something, if there is something to track.
                Pattern::Exact(_) if limit.algorithm == Algorithm::Unlimited => 0,
                Pattern::Exact(_) => u64::from(counts.allowed + counts.denied > 0),
                Pattern::Any if KEYS < MANY_KEYS || self.unlimited.contains(&limit.name) => stats.keys,
                Pattern::Any => counts.keys,
            };
            same("keys", stats.keys, keys).map_err(here)?;
        }
        Ok(())
    }

    fn compare_denied_keys(&self) -> Result<(), String> {
        if KEYS < MANY_KEYS {
            return Ok(()); // the refusals of a key that has made room are forgotten
        }
        let mut denied = BTreeMap::new();
        self.engine.limits.each_denied_key(|key| {
            denied.insert(key.to_string(), key.denied);
        });
        // Where a wildcard limit has no bucket, no key is told apart.
        if self.unlimited.is_empty() {
            let expected = self.model.top_denied(usize::MAX);
            let shown =
                |(name, count): (String, u64)| (engine::shown(&self.engine.limits.secret(), name), count);
            same("the denied keys", denied, expected.into_iter().map(shown).collect())?;
        }
        Ok(())
    }

    /// Entries of logs and grants come back when the buckets that hold them are reset.
    fn leaves_nothing_behind(&mut self) -> Result<(), String> {
        for limit in self.model.limits() {
            let id = self.id(&limit.name);
            self.engine.limits.remove(id).map_err(|error| error.to_string())?;
        }
        let stats = self.engine.limits.table_stats();
        same("what is left", (stats.keys, stats.log_entries, stats.grants), (0, 0, 0))
    }

    fn show(&mut self, now: Clocks) {
        self.latest.instant_ns = self.latest.instant_ns.max(now.instant_ns);
        self.latest.wall_ns = self.latest.wall_ns.max(now.wall_ns);
    }

    fn note_unlimited(&mut self) {
        for limit in self.model.limits() {
            if limit.algorithm == Algorithm::Unlimited {
                self.unlimited.push(limit.name.clone());
            }
        }
    }

    fn id(&self, limit: &str) -> LimitId {
        self.engine.limits.find(limit).expect("both sides have the same limits")
    }

    fn limit(&self, name: &str) -> &Limit {
        self.model.limits().iter().find(|limit| limit.name == name).expect("a limit of the scenario")
    }

    fn meter_of(&self, limit: &Limit, request: &Request) -> &Meter {
        let name = bucket_of(limit, request).expect("a request that met the limit");
        self.model.meter(&limit.name, &name).expect("a limit that was met has a meter")
    }
}

fn compare_standing(standing: &LimitStanding, meter: &Meter, now: Clocks) -> Result<(), String> {
    same("remaining", standing.remaining(), meter.remaining(now))?;
    same("full in", EngineWait::For(standing.full_in()), engine::wait(meter.reset(now)))
}

/// What to name a bucket by: nothing for a limit that has only one.
fn key_of<'a>(limit: &Limit, name: &'a str) -> BucketKey<'a> {
    let (key, client) = engine::parts(limit, name);
    BucketKey { key: (limit.pattern == Pattern::Any).then_some(key), client }
}

fn is_bad_grant(algorithm: &Algorithm, handling: Handling) -> bool {
    let Handling::Grant { extra, .. } = handling else { return false };
    let Some(capacity) = algorithm.capacity().unwrap_or(0).checked_add(extra) else { return true };
    let period = match *algorithm {
        Algorithm::TokenBucket { per_ns, .. }
        | Algorithm::LeakyBucket { per_ns, .. }
        | Algorithm::LeakyQueue { per_ns, .. } => per_ns,
        Algorithm::FixedWindow { window_ns, .. }
        | Algorithm::SlidingCounter { window_ns, .. }
        | Algorithm::SlidingLog { window_ns, .. } => window_ns,
        Algorithm::Unlimited | Algorithm::Ban => 0,
    };
    extra == 0 || u128::from(capacity) * u128::from(period) >= 1 << 100
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: the engine says {found:?}, the model {expected:?}"))
    }
}

/// A grant is bounded by the period that the bucket has when it is made; a change can make the period longer.
#[test]
fn a_grant_that_a_change_makes_too_large_ends() {
    let bucket = |per_ns| Algorithm::TokenBucket { capacity: 1, tokens: 1, per_ns };
    let limit = Limit::on("service:web", bucket(1));
    let mut engine: Box<Governor<MANY_KEYS, LOG>> = Box::default();
    let (id, now) = (engine.limits.add(&engine::spec(&limit)).unwrap(), engine::now(Clocks::both(5)));
    engine.limits.handle_burst(now, id, None, u64::MAX - 1, Nanos::MAX).unwrap();
    let half = Request { service: Some("web".to_owned()), cost: 1 << 63, ..Request::default() };
    let half = engine::request(&half);
    assert!(engine.admit(now, &half).is_allowed());
    let longer = Limit { algorithm: bucket(1 << 63), ..limit };
    engine.limits.update(now, id, &engine::spec(&longer)).unwrap();
    assert_eq!(engine.admit(now, &half).retry, Some(EngineWait::Never));
    assert_eq!(engine.limits.table_stats().grants, 0);
}
