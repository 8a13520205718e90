//! The generated scenarios: reproducible, and going where they are meant to go.

use sim::oracle::{Limiter, Outcome, Verdict, Wait};
use sim::scenario::{Action, Handling, Mix, Scenario, Step};

const ALL: Mix = Mix { clocks_go_back: true, limits_change: true, names_are_handled: true };

fn scenario(seed: u64, mix: Mix) -> Scenario {
    Scenario::generate(seed, mix, 60, |_, name| hash(name))
}

fn hash(name: &str) -> u64 {
    name.bytes().fold(0, |hash: u64, byte| hash.rotate_left(11).wrapping_mul(0x9E37_79B9) ^ u64::from(byte))
}

fn run(scenario: &Scenario) -> Vec<Option<Outcome>> {
    let mut model = Limiter::new(scenario.limits.clone(), |_, name| hash(name));
    scenario.steps.iter().map(|step| step.apply(&mut model)).collect()
}

#[test]
fn a_seed_gives_the_same_scenario_and_the_same_outcomes() {
    for seed in 0..5 {
        let first = scenario(seed, ALL);
        assert_eq!(first, scenario(seed, ALL));
        assert_eq!(run(&first), run(&first));
    }
    assert_ne!(scenario(1, ALL), scenario(2, ALL));
}

#[test]
fn without_a_mix_there_are_only_requests_in_ever_later_time() {
    for seed in 0..20 {
        let steps = scenario(seed, Mix::default()).steps;
        assert!(steps.iter().all(|step| matches!(step.action, Action::Decide(_))));
        assert!(steps.windows(2).all(|pair| pair[0].now.instant_ns <= pair[1].now.instant_ns));
        assert!(steps.windows(2).all(|pair| pair[0].now.wall_ns <= pair[1].now.wall_ns));
    }
}

#[test]
fn a_request_that_waited_as_long_as_it_was_told_passes_and_one_nanosecond_less_does_not() {
    let mut exact = 0;
    let mut early = 0;
    for seed in 0..60 {
        let scenario = scenario(seed, Mix::default());
        let outcomes = run(&scenario);
        for (steps, outcomes) in scenario.steps.windows(2).zip(outcomes.windows(2)) {
            let Some(Verdict::Deny { retry: Wait::Nanos(wait), .. }) =
                outcomes[0].as_ref().map(|outcome| &outcome.verdict)
            else {
                continue;
            };
            let waited = steps[1].now.instant_ns - steps[0].now.instant_ns;
            let allowed = outcomes[1].as_ref().is_some_and(Outcome::allowed);
            if steps[0].action == steps[1].action && waited == *wait {
                assert!(allowed, "seed {seed}: {:?}", steps[1]);
                exact += 1;
            } else if steps[0].action == steps[1].action && waited + 1 == *wait {
                assert!(!allowed, "seed {seed}: {:?}", steps[1]);
                early += 1;
            }
        }
    }
    assert!(exact > 30 && early > 20, "{exact} exact, {early} early");
}

#[test]
fn scenarios_meet_every_kind_of_outcome_and_of_action() {
    let (mut allowed, mut delayed, mut later, mut never, mut several) = (0, 0, 0, 0, 0);
    let mut steps: Vec<Step> = Vec::new();
    for seed in 0..80 {
        let scenario = scenario(seed, ALL);
        for outcome in run(&scenario).into_iter().flatten() {
            several += u32::from(outcome.refusing.len() > 1);
            match outcome.verdict {
                Verdict::Allow { delay_ns: 0 } => allowed += 1,
                Verdict::Allow { .. } => delayed += 1,
                Verdict::Deny { retry: Wait::Nanos(_), .. } => later += 1,
                Verdict::Deny { retry: Wait::Never, .. } => never += 1,
            }
        }
        steps.extend(scenario.steps);
    }
    println!("{allowed} allowed, {delayed} delayed, {later} later, {never} never, {several} by several");
    for count in [allowed, delayed, later, never, several] {
        assert!(count > 50);
    }
    let has = |test: &dyn Fn(&Action) -> bool| steps.iter().filter(|step| test(&step.action)).count() > 5;
    assert!(has(&|action| matches!(action, Action::Change { .. })));
    assert!(has(&|action| matches!(action, Action::SetEnabled { .. })));
    assert!(has(&|action| matches!(action, Action::Reset { .. })));
    assert!(has(&|action| matches!(action, Action::Handle { handling: Handling::Grant { .. }, .. })));
    assert!(has(&|action| matches!(action, Action::Handle { handling: Handling::Refund { .. }, .. })));
    assert!(has(&|action| matches!(action, Action::Handle { handling: Handling::Drain, .. })));
    for cost in [0, 1, u64::MAX] {
        assert!(has(&|action| matches!(action, Action::Decide(request) if request.cost == cost)));
    }
    assert!(steps.windows(2).any(|pair| pair[1].now.instant_ns < pair[0].now.instant_ns));
    assert!(
        steps.windows(2).any(|pair| pair[1].now.instant_ns > pair[0].now.instant_ns + 30_000_000_000_000_000)
    );
}
