//! Retries over many calls: where delays fall, that equal seeds give equal ones, and how much a failure is amplified
//! by layers that each repeat the calls to the one below.

use governance::field::FieldValue;
use governance::retry::{Answer, Attempt, Backoff, RetryBudget, RetryDecision, RetryDraft, RetrySpec};
use governance::time::Nanos;
use sim::random::Random;
use std::collections::HashMap;

/// How many callers wait in each distribution.
const CALLERS: u64 = 100_000;
/// The attempt whose delay is looked at: late enough for every form to have reached its longest delay.
const LATE: u32 = 12;

fn spec(fields: &[(&str, &str)]) -> RetrySpec {
    let mut draft = RetryDraft::default();
    for &(field, value) in [("scope", "route:*")].iter().chain(fields) {
        draft.set(field, FieldValue::Text(value)).expect("a value in range");
    }
    draft.finish().expect("all that is needed")
}

fn failed(number: u32, previous_delay: Option<Nanos>) -> Attempt {
    Attempt { number, answer: Answer::Status(503), elapsed: Nanos::ZERO, retry_after: None, previous_delay }
}

fn delay(spec: &RetrySpec, attempt: &Attempt, random: &mut Random) -> Nanos {
    match spec.decide(attempt, &RetryBudget::EMPTY, random.next_u64()) {
        RetryDecision::Retry { after, .. } => after,
        RetryDecision::GiveUp(why) => panic!("{attempt:?}: {why}"),
    }
}

/// What each caller waits after attempt [`LATE`], where `next` says what it waits after the one before.
fn late_delays(mut next: impl FnMut(u32, Option<Nanos>, &mut Random) -> Nanos) -> Vec<Nanos> {
    let delays = (0..CALLERS).map(|seed| {
        let mut random = Random::new(seed);
        let mut previous = None;
        for number in 1..=LATE {
            previous = Some(next(number, previous, &mut random));
        }
        previous.expect("at least one")
    });
    delays.collect()
}

/// How many of these share one millisecond, at most.
fn most_alike(delays: &[Nanos]) -> u64 {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for delay in delays {
        *counts.entry(delay.0 / 1_000_000).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

#[test]
fn late_delays_of_the_decorrelated_form_do_not_gather_anywhere() {
    for fields in [
        [("initial_delay", "1s"), ("max_delay", "60s")],
        [("initial_delay", "100ms"), ("max_delay", "10s")],
        [("initial_delay", "500ms"), ("max_delay", "1s")],
    ] {
        let mut all = fields.to_vec();
        all.extend([("backoff", "decorrelated"), ("attempts", "20"), ("budget", "1000")]);
        let spec = spec(&all);
        let delays = late_delays(|number, previous, random| delay(&spec, &failed(number, previous), random));
        assert!(delays.iter().all(|delay| (spec.initial_delay..=spec.max_delay).contains(delay)));
        let most = most_alike(&delays);
        assert!(most * 100 <= CALLERS, "{most} of {CALLERS} wait the same");
    }
}

#[test]
fn a_cap_after_the_draw_would_gather_a_quarter_of_all_on_it() {
    let (first, longest) = (1_000_000_000_u64, 60_000_000_000_u64);
    let delays = late_delays(|_, previous, random| {
        let most = previous.map_or(first, |delay| delay.0) * 3;
        Nanos(random.between(first, most).min(longest))
    });
    let most = most_alike(&delays);
    assert!(most * 4 > CALLERS, "{most} of {CALLERS}: else the test above would find nothing");
}

#[test]
fn delays_of_the_exponential_form_stay_within_their_jitter_at_every_attempt() {
    let (first, longest) = (100_000_000_u64, 60_000_000_000_u64);
    for jitter_ppm in [0, 1, 100_000, 1_000_000_u32] {
        let spec = RetrySpec {
            backoff: Backoff::Exponential { base_milli: 2_000, jitter_ppm },
            attempts: u32::MAX,
            initial_delay: Nanos(first),
            max_delay: Nanos(longest),
            ..spec(&[])
        };
        let mut random = Random::new(u64::from(jitter_ppm));
        let edges = [0, 1 << 16, 1 << 31, u32::MAX]
            .map(|edge: u32| edge.saturating_sub(100)..edge.saturating_add(100));
        for number in (1..200).chain(edges.into_iter().flatten()).filter(|&number| number < u32::MAX) {
            let doublings = number.saturating_sub(1).min(20);
            let full = (first << doublings).min(longest);
            let least = full - full / 1_000_000 * u64::from(jitter_ppm);
            let drawn = (0..20).map(|_| random.next_u64()).chain([0, 1, u64::MAX - 1, u64::MAX]);
            for random in drawn {
                let decision = spec.decide(&failed(number, None), &RetryBudget::EMPTY, random);
                let RetryDecision::Retry { after, attempt } = decision else {
                    panic!("{number}: {decision:?}")
                };
                assert!(
                    (least..=full).contains(&after.0),
                    "{number}: {after}, not from {least} to {full} ns"
                );
                assert_eq!(attempt, number.max(1) + 1);
            }
        }
    }
}

#[test]
fn equal_seeds_give_equal_delays_and_others_do_not() {
    let run = |backoff, seed| {
        let spec = spec(&[("backoff", backoff), ("attempts", "50"), ("budget", "1000")]);
        let mut random = Random::new(seed);
        let mut previous = None;
        let delays = (1..50).map(|number| {
            previous = Some(delay(&spec, &failed(number, previous), &mut random));
            previous
        });
        delays.collect::<Vec<_>>()
    };
    for backoff in ["exponential", "decorrelated"] {
        assert_eq!(run(backoff, 7), run(backoff, 7));
        assert_ne!(run(backoff, 7), run(backoff, 8));
    }
}

/// Layers of services. Each one repeats the calls to the one below; the lowest one fails.
struct Layers {
    spec: RetrySpec,
    /// The budget of each layer, the highest first; `None` if retries are not counted.
    budgets: Option<[RetryBudget; 3]>,
    random: Random,
    /// How many of a thousand calls of the lowest one fail.
    failing: u64,
    calls: u64,
}

impl Layers {
    fn call(&mut self, layer: usize) -> Answer {
        if layer == 3 {
            self.calls += 1;
            let fails = self.random.between(0, 999) < self.failing;
            return Answer::Status(if fails { 503 } else { 200 });
        }
        let mut attempt = failed(1, None);
        loop {
            attempt.answer = self.call(layer + 1);
            let mut budget = RetryBudget::EMPTY;
            if let Some(budgets) = &mut self.budgets {
                budgets[layer].record(&self.spec, attempt.answer);
                budget = budgets[layer];
            }
            match self.spec.decide(&attempt, &budget, self.random.next_u64()) {
                RetryDecision::Retry { after, attempt: number } => {
                    attempt = Attempt { number, previous_delay: Some(after), ..attempt };
                }
                RetryDecision::GiveUp(_) => return attempt.answer,
            }
        }
    }

    /// Calls of the lowest layer for each thousand requests of the highest one.
    fn amplification(&mut self, requests: u64) -> u64 {
        self.calls = 0;
        (0..requests).for_each(|_| {
            self.call(0);
        });
        self.calls * 1_000 / requests
    }
}

fn layers(budgets: Option<[RetryBudget; 3]>, failing: u64) -> Layers {
    Layers { spec: spec(&[("attempts", "3")]), budgets, random: Random::new(failing), failing, calls: 0 }
}

/// In a steady state: after 1 000 requests, over each 10 000 of the next 100 000.
#[test]
fn three_layers_with_budgets_amplify_a_failure_by_less_than_1_8() {
    for failing in [0, 1, 10, 50, 80, 90, 91, 95, 100, 200, 500, 900, 990, 1_000] {
        let mut layers = layers(Some([RetryBudget::EMPTY; 3]), failing);
        layers.amplification(1_000);
        for _ in 0..10 {
            let amplification = layers.amplification(10_000);
            assert!(
                amplification <= 1_800,
                "{failing} of 1000 fail: {amplification} calls for 1000 requests"
            );
        }
    }
}

#[test]
fn an_outage_and_its_end_are_not_amplified_either() {
    let mut layers = layers(Some([RetryBudget::EMPTY; 3]), 0);
    for failing in [0, 1_000, 0, 500, 0, 90, 1_000, 90].into_iter().cycle().take(80) {
        layers.failing = failing;
        let amplification = layers.amplification(1_000);
        assert!(amplification <= 1_800, "{failing} of 1000 fail: {amplification} calls for 1000 requests");
    }
    layers.failing = 0;
    layers.amplification(1_000);
    let budgets = layers.budgets.expect("they are counted");
    assert!(budgets.iter().all(|budget| budget.allows(&layers.spec)), "retries are given again");
}

#[test]
fn three_layers_without_budgets_amplify_an_outage_by_27() {
    assert_eq!(layers(None, 1_000).amplification(1_000), 27_000);
    assert!(layers(None, 500).amplification(10_000) > 1_800);
}
