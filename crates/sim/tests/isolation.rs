//! What happens in one outbound scope leaves the decisions of all others as they are without it.
//!
//! Each run is made twice: once with a provider that fails, hangs or is flooded, and once without any of its calls. What
//! every other provider is answered is compared bit by bit, with the times of its retries and what its breaker does.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::breaker::BreakerDraft;
use governance::config::Config;
use governance::decision::Decision;
use governance::field::FieldValue;
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::loop_guard::GuardSettings;
use governance::outcome::{AttemptReport, Outcome};
use governance::request::{Request, Unit};
use governance::retry::{CallError, RetryDecision, RetryDraft};
use governance::scope::{HashSecret, NameRef, Scope};
use governance::tickets::Ticket;
use governance::time::{Nanos, Now, WallTime};
use sim::random::Random;

type Engine = Governor<4096, 4096, 64>;

/// What the provider does that the others must not notice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// It answers everything with an error.
    Fails,
    /// Nobody tells what became of its calls, so that they hold their tickets for as long as they can.
    Hangs,
    /// It is called about a hundred times as often as the others.
    Flooded,
}

/// What one provider saw.
#[derive(Debug, PartialEq)]
struct Seen {
    at: u64,
    provider: &'static str,
    decision: Decision,
    retry: Option<RetryDecision>,
    state: String,
}

const OTHERS: [(&str, &str); 4] =
    [("github", "get"), ("github", "post"), ("openai", "post"), ("reddit", "get")];

fn engine(window: &str) -> Box<Engine> {
    let mut config = Box::new(Config::new());
    let text = FieldValue::Text;
    let mut breaker = BreakerDraft::default();
    for (field, value) in [("scope", "route:*"), ("window", window), ("open_time", "5s")] {
        breaker.set(field, text(value)).unwrap();
    }
    config.add_breaker(&breaker.finish().unwrap()).unwrap();
    let mut retry = RetryDraft::default();
    for (field, value) in [("scope", "route:*"), ("backoff", "decorrelated"), ("initial_delay", "10ms")] {
        retry.set(field, text(value)).unwrap();
    }
    config.add_retry(&retry.finish().unwrap()).unwrap();
    for (scope, capacity) in [("route:*", 20), ("provider:*", 60)] {
        let shape = BucketShape { capacity, rate: "10/1s".parse().unwrap() };
        let algorithm = RateLimitAlgorithm::TokenBucket(shape);
        config
            .add_limit(&LimitSpec::new(Scope::parse(scope).unwrap(), algorithm, Unit::Requests).unwrap())
            .unwrap();
    }
    config.guard = GuardSettings {
        requests_per_minute: Some(60_000),
        cooldown: Nanos::from_seconds(60),
        delay: Nanos::from_millis(250),
        block: Nanos::from_seconds(10),
        ..GuardSettings::IDLE
    };
    let mut engine = Box::new(Engine::new());
    engine.reset(HashSecret { k0: 7, k1: 9 });
    engine.configure(Now::from_wall(WallTime(0)), &config).unwrap();
    engine
}

/// The status that a provider answers with.
fn answer(random: &mut Random, failing: bool) -> Outcome {
    let outcome = Outcome { ms: Some(random.between(0, 2999)), ..Outcome::default() };
    let attempt = AttemptReport {
        number: 1 + u32::try_from(random.between(0, 1)).unwrap(),
        ..AttemptReport::default()
    };
    match random.between(0, if failing { 1 } else { 7 }) {
        0 => Outcome { error: Some(CallError::Timeout), attempt, ..outcome },
        1 => Outcome { status: Some(503), attempt, ..outcome },
        _ => Outcome { status: Some(200), attempt, ..outcome },
    }
}

/// A run of 8 000 steps of 10 ms. The calls of the others are the same with every trouble and without one.
fn run(seed: u64, window: &str, trouble: Option<Trouble>) -> (Vec<Seen>, Box<Engine>) {
    let mut engine = engine(window);
    let mut others = Random::new(seed);
    let mut bad = Random::new(!seed);
    let mut seen = Vec::new();
    let mut open: Vec<(u64, &'static str, Ticket, Outcome)> = Vec::new();
    let call = |engine: &mut Engine, ms: u64, provider: &'static str, method: &'static str| {
        let (provider, method) = (NameRef::new(provider).unwrap(), NameRef::new(method).unwrap());
        engine.check_outbound_request(now(ms), provider, method, &Request::default()).unwrap()
    };
    for step in 0..8_000_u64 {
        let ms = step * 10;
        let times = match trouble {
            None => 0,
            Some(Trouble::Flooded) => 30,
            Some(_) => 1,
        };
        for _ in 0..times {
            let decision = call(&mut engine, ms, "bad", "post");
            if let Some(ticket) = decision.ticket
                && trouble != Some(Trouble::Hangs)
            {
                let outcome = answer(&mut bad, trouble == Some(Trouble::Fails));
                engine.record_outbound_response(now(ms), ticket, &outcome).unwrap();
            }
        }
        while let Some(place) = open.iter().position(|(due, ..)| *due <= ms) {
            let (_, provider, ticket, outcome) = open.remove(place);
            let completion = engine.record_outbound_response(now(ms), ticket, &outcome).unwrap();
            let last = seen.iter_mut().rev().find(|seen: &&mut Seen| seen.provider == provider).unwrap();
            last.retry = completion.call.unwrap().retry;
            last.state = format!("{:?}", completion.call.unwrap().breaker);
        }
        if others.between(0, 2) > 0 {
            continue;
        }
        let (provider, method) = OTHERS[usize::try_from(others.between(0, 3)).unwrap()];
        let decision = call(&mut engine, ms, provider, method);
        let outcome = answer(&mut others, ms / 20_000 % 3 == 1);
        let due = ms + others.between(0, 399);
        if let Some(ticket) = decision.ticket {
            open.push((due, provider, ticket, outcome));
        }
        // Which ticket it was says only how many there were before it, and which scope, in which order they came.
        let decision = Decision { ticket: None, scope: None, ..decision };
        seen.push(Seen { at: ms, provider, decision, retry: None, state: String::new() });
    }
    (seen, engine)
}

fn now(ms: u64) -> Now {
    Now::from_wall(WallTime(ms * 1_000_000))
}

#[test]
fn a_provider_in_trouble_leaves_every_other_decision_bit_for_bit_as_it_was() {
    for window in ["consecutive", "count", "time"] {
        for seed in 0..2 {
            let (alone, engine) = run(seed, window, None);
            let opened =
                engine.traffic.scopes(now(80_000).instant).map(|scope| scope.stats.opened).sum::<u64>();
            assert!(opened > 0, "the breakers of the others have work to do: {window}, seed {seed}");
            for trouble in [Trouble::Fails, Trouble::Hangs, Trouble::Flooded] {
                let (beside, engine) = run(seed, window, Some(trouble));
                assert_eq!(beside, alone, "{trouble:?}, {window}, seed {seed}");
                let bad = engine.traffic.find("bad:post").unwrap();
                let bad = engine.traffic.scope(now(80_000).instant, bad).unwrap();
                let is_real = bad.counters.denied + bad.counters.untold > 0;
                assert!(is_real, "the trouble is real: {trouble:?}, {window}");
            }
        }
    }
}
