//! The guard against loops: step by step against a model that keeps every request, and with much traffic.

use std::collections::HashSet;

use governance::loop_guard::{
    BLOCKED_MAX, GuardAnswer, GuardLevel, GuardReason, GuardSettings, GuardVerdict, LOOPS_MAX, LoopGuard,
    LoopKey, LoopView, ServiceLevel,
};
use governance::mode::Mode;
use governance::request::RequestPriority;
use governance::scope::{HashSecret, KeyHash, KeyName, Kind, NameRef};
use governance::time::{Instant, Nanos};
use sim::oracle::guard::{Becomes, CallerStands, Guard, GuardRules, Urgency};
use sim::random::Random;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
/// How many steps there are over all seeds.
const SEEDS: u64 = 60;
const STEPS: usize = 1_500;

fn settings(rules: &GuardRules) -> GuardSettings {
    GuardSettings {
        requests_per_minute: rules.requests,
        repeats_per_minute: Some(rules.repeats),
        failures_per_minute: rules.failures,
        cooldown: Nanos(rules.cooldown),
        delay: Nanos(5),
        block: Nanos(rules.block),
        mode: Mode::Enforce,
    }
}

fn guard(settings: GuardSettings) -> Box<LoopGuard> {
    let mut guard = Box::new(LoopGuard::new());
    guard.configure(settings).expect("settings in range");
    guard
}

/// A caller's hash; names are looked at as numbers.
fn hash(key: u64) -> KeyHash {
    let name = format!("caller{key}");
    HashSecret::from_seed(5).hash(Kind::Client, KeyName::Text(NameRef::new(&name).expect("a name")))
}

fn admit(guard: &mut LoopGuard, now: u64, key: u64) -> GuardAnswer {
    let key = LoopKey { hash: hash(key), caller: &key, target: &"service:web" };
    let peeked = guard.peek(Instant(now), Some(&key), None);
    let answer = guard.admit(Instant(now), Some(&key), None);
    assert_eq!(peeked, answer, "a look sees what would be");
    answer
}

/// An answer in the model's words.
fn becomes(verdict: GuardVerdict, service: ServiceLevel) -> Becomes {
    match (verdict, service) {
        (GuardVerdict::Pass, ServiceLevel::Full) => Becomes::Passes,
        (GuardVerdict::Pass, ServiceLevel::Degraded) => Becomes::Degraded,
        (GuardVerdict::Delay(Nanos(5)), ServiceLevel::Full) => Becomes::Waits,
        (GuardVerdict::Delay(Nanos(5)), ServiceLevel::Degraded) => Becomes::WaitsDegraded,
        (GuardVerdict::Refuse { why: GuardReason::Loop, retry }, _) => Becomes::Blocked(retry.0),
        (GuardVerdict::Refuse { why: GuardReason::HardCap, retry }, _) => Becomes::Capped(retry.0),
        (GuardVerdict::Refuse { why: GuardReason::Degraded, retry }, _) => Becomes::Shed(retry.0),
        (GuardVerdict::Delay(delay), _) => panic!("{delay} is nowhere configured"),
    }
}

fn stands(view: &LoopView) -> CallerStands {
    CallerStands {
        key: view.caller.as_str().parse().expect("a number"),
        count: view.count,
        error: view.error,
        level: view.level as u32,
        strikes: view.strikes.into(),
        blocked_for: view.blocked_for.map_or(0, |rest| rest.0),
    }
}

/// One run of seeded requests; how many steps had each of the model's answers, how often one was forgotten for another,
/// how often one was not blocked because too many others were, and how often there was one that inherited a count.
fn compare(seed: u64, mode: Mode, seen: &mut [u64; 10]) {
    let mut random = Random::new(seed);
    let rules = GuardRules {
        requests: random.chance(50).then(|| u32::try_from(random.between(1, 400)).expect("small")),
        repeats: u32::try_from(random.between(1, 12)).expect("small"),
        failures: random.chance(50).then(|| u32::try_from(random.between(1, 30)).expect("small")),
        cooldown: random.between(1, 90) * SECOND,
        block: random.between(1, 20 * SECOND),
        callers: LOOPS_MAX,
        blocked: BLOCKED_MAX,
    };
    let keys = *random.pick(&[3, 40, 700, 2_000]);
    let often = *random.pick(&[2, 30, 60]);
    // With a fast pace those that make room have asked in the last minutes, and what they asked is inherited.
    let pace = *random.pick(&[1, 1, 50]);
    let mut guard = guard(GuardSettings { mode, ..settings(&rules) });
    let mut model = Guard::new(rules);
    let mut now = random.between(0, 3 * MINUTE);
    for step in 0..STEPS {
        now += match random.between(0, 999) {
            0..=299 => 0,
            300..=949 => random.between(0, 200_000_000),
            950..=989 => random.between(0, 3 * SECOND),
            990..=997 => random.between(0, 40 * SECOND),
            _ => random.between(0, 5 * MINUTE),
        } / pace;
        // Some ask much more often than others.
        let most = if random.chance(60) { often.min(keys) } else { keys };
        let key = random.chance(95).then(|| random.between(1, most));
        let urgency = if random.chance(30) { Urgency::Waits } else { Urgency::Usual };
        let class = match urgency {
            Urgency::Waits => Some(*random.pick(&[RequestPriority::Low, RequestPriority::Batch])),
            Urgency::Usual => {
                *random.pick(&[None, Some(RequestPriority::Normal), Some(RequestPriority::Critical)])
            }
        };
        let has_failure = random.chance(5);
        if has_failure {
            guard.record_failure(Instant(now));
            model.failure(now);
        }
        // A clock that goes back is taken for one that stands still; a failure that counts has told what time it is.
        let may_go_back = has_failure && rules.failures.is_some();
        let told = Instant(if may_go_back { now - random.between(0, now.min(MINUTE)) } else { now });
        let shown = key.unwrap_or(0);
        let loop_key = key.map(|key| LoopKey { hash: hash(key), caller: &shown, target: &"service:web" });
        let peeked = guard.peek(told, loop_key.as_ref(), class);
        let answer = guard.admit(told, loop_key.as_ref(), class);
        assert_eq!(peeked, answer, "seed {seed}, step {step}");
        let (level, expected) = model.request(now, key, urgency);
        let found = match mode {
            Mode::Enforce => becomes(answer.verdict, answer.service),
            Mode::Shadow => {
                assert_eq!((answer.verdict, answer.service), (GuardVerdict::Pass, ServiceLevel::Full));
                answer.would.map_or(Becomes::Passes, |found| becomes(found.verdict, found.service))
            }
        };
        assert_eq!((answer.level as u32, found), (level, expected), "seed {seed}, step {step}, key {key:?}");
        seen[match expected {
            Becomes::Passes => 0,
            Becomes::Waits => 1,
            Becomes::Degraded => 2,
            Becomes::WaitsDegraded => 3,
            Becomes::Blocked(_) => 4,
            Becomes::Capped(_) => 5,
            Becomes::Shed(_) => 6,
        }] += 1;
        assert_eq!(guard.degraded_until(Instant(now)).map_or(0, |rest| rest.0), model.degraded_for(now));
        if step % 20 == 0 {
            let later = now + random.between(0, 3 * MINUTE);
            let mut ours: Vec<_> = guard.loops(Instant(later)).map(|view| stands(&view)).collect();
            let mut theirs = model.callers(later);
            seen[9] += u64::from(ours.iter().any(|caller| caller.error > 0));
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "seed {seed}, step {step}");
        }
    }
    let stats = guard.stats(Instant(now));
    seen[7] += stats.evicted;
    seen[8] += stats.block_share_full;
}

#[test]
fn the_guard_does_what_a_model_with_the_full_history_does() {
    let mut seen = [0; 10];
    for seed in 0..SEEDS {
        compare(seed, Mode::Enforce, &mut seen);
    }
    assert!(seen.iter().all(|&times| times > 20), "each answer has to be seen: {seen:?}");
}

#[test]
fn in_shadow_mode_it_finds_the_same_and_does_nothing() {
    let mut seen = [0; 10];
    for seed in 0..10 {
        compare(1_000 + seed, Mode::Shadow, &mut seen);
    }
    assert!(seen[4] > 0);
}

/// The usual settings, with another threshold.
fn usual(repeats: u32) -> GuardSettings {
    GuardSettings {
        requests_per_minute: None,
        repeats_per_minute: Some(repeats),
        failures_per_minute: None,
        cooldown: Nanos::from_seconds(60),
        delay: Nanos::from_millis(250),
        block: Nanos::from_seconds(10),
        mode: Mode::Enforce,
    }
}

/// Numbers from 1 to `most`, of which the n-th is n times as rare as the first.
struct Zipf {
    sums: Vec<u64>,
}

impl Zipf {
    fn new(most: u64) -> Self {
        let mut sum = 0;
        let parts = (1..=most).map(|number| {
            sum += 1_000_000_000_000 / number;
            sum
        });
        Self { sums: parts.collect() }
    }

    fn next(&self, random: &mut Random) -> u64 {
        let drawn = random.between(1, *self.sums.last().expect("one number"));
        u64::try_from(self.sums.partition_point(|&sum| sum < drawn)).expect("a place") + 1
    }
}

#[test]
fn a_caller_in_a_loop_among_ten_thousand_honest_ones_is_caught_and_they_are_not() {
    const HONEST: u64 = 10_000;
    const LOOPING: u64 = 1_000_000;
    let mut guard = guard(usual(600));
    let (zipf, mut random) = (Zipf::new(HONEST), Random::new(1));
    // 4000 honest requests in a minute, of which the most frequent caller makes about 400; the loop makes 3000.
    let mut caught = [None; 4];
    let mut looped = 0_u64;
    for tick in 0..7_000 * 5 {
        let now = tick * (MINUTE / 7_000);
        if tick % 7 < 4 {
            let answer = admit(&mut guard, now, zipf.next(&mut random));
            assert_eq!(answer, GuardAnswer::PASS, "an honest caller");
        } else {
            looped += 1;
            let answer = admit(&mut guard, now, LOOPING);
            caught[answer.level as usize].get_or_insert(looped);
        }
    }
    assert_eq!(caught, [Some(1), Some(600), Some(1_200), Some(2_400)], "it is caught at its thresholds");
    let stats = guard.stats(Instant(5 * MINUTE));
    assert!(stats.evicted > 1_000, "honest callers fill the table: {}", stats.evicted);
    assert!(stats.blocked > 9_000, "it goes on all the time: {}", stats.blocked);
    let first = guard.loops(Instant(5 * MINUTE)).next().expect("one");
    assert_eq!((first.caller.as_str(), first.level), ("1000000", GuardLevel::Block));
    assert!(first.strikes > 3, "it did not stop: {}", first.strikes);
}

#[test]
fn a_million_other_callers_do_not_flush_one_in_a_loop() {
    const LOOPING: u64 = 5_000_000;
    let mut guard = guard(usual(40));
    // 20 000 callers in a minute ask once, and between a hundred of them one asks again: 200 times in a minute.
    let mut level = GuardLevel::Observe;
    for noise in 0..1_000_000_u64 {
        let now = noise * (MINUTE / 20_000);
        let key =
            LoopKey { hash: KeyHash(noise.wrapping_mul(0x9E37_79B9_7F4A_7C15)), caller: &noise, target: &"" };
        assert_eq!(guard.admit(Instant(now), Some(&key), None), GuardAnswer::PASS, "one that asks once");
        if noise % 100 == 0 {
            let answer = admit(&mut guard, now, LOOPING);
            assert!(answer.level >= level.min(GuardLevel::Degrade), "it is not forgotten");
            level = level.max(answer.level);
        }
    }
    assert_eq!(level, GuardLevel::Block);
    assert!(guard.stats(Instant(0)).evicted > 990_000);
}

#[test]
fn noise_does_not_end_a_block() {
    const LOOPING: u64 = 5_000_000;
    let mut guard = guard(usual(10));
    (0..40).for_each(|_| {
        admit(&mut guard, 0, LOOPING);
    });
    for noise in 0..1_000_000_u64 {
        let key =
            LoopKey { hash: KeyHash(noise.wrapping_mul(0x9E37_79B9_7F4A_7C15)), caller: &noise, target: &"" };
        guard.admit(Instant(noise * 9_000), Some(&key), None);
    }
    let answer = admit(&mut guard, 9 * SECOND, LOOPING);
    assert!(matches!(answer.verdict, GuardVerdict::Refuse { why: GuardReason::Loop, .. }), "{answer:?}");
}

#[test]
fn nobody_can_have_more_than_a_tenth_blocked() {
    let mut guard = guard(usual(10));
    let mut blocked = HashSet::new();
    for round in 0..100 {
        for key in 1..=100 {
            if admit(&mut guard, round * 1_000_000, key).level == GuardLevel::Block {
                blocked.insert(key);
            }
        }
    }
    assert_eq!(blocked.len(), BLOCKED_MAX);
    let views: Vec<_> = guard.loops(Instant(100_000_000)).collect();
    assert_eq!(views.iter().filter(|view| view.blocked_for.is_some()).count(), BLOCKED_MAX);
    assert!(views.iter().all(|view| view.level >= GuardLevel::Degrade));
    assert!(guard.stats(Instant(0)).block_share_full > 0);
}

/// Once nobody asks any more, everyone is at the first level after four minutes and twice the last block, without a
/// strike after 32 blocks more, and degraded mode is over after its cooldown.
#[test]
fn when_the_traffic_stops_everything_ends_in_time() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let settings = GuardSettings {
            requests_per_minute: Some(2_000),
            failures_per_minute: Some(10),
            block: Nanos(random.between(1, 20 * SECOND)),
            ..usual(u32::try_from(random.between(1, 20)).expect("small"))
        };
        let mut guard = guard(settings);
        let mut now = 0;
        for _ in 0..random.between(100, 5_000) {
            now += random.between(0, 300_000_000);
            let key = if random.chance(70) { random.between(1, 10) } else { random.between(1, 1_000) };
            admit(&mut guard, now, key);
            if random.chance(2) {
                guard.record_failure(Instant(now));
            }
        }
        let last_block = (guard.loops(Instant(now)))
            .map(|view| settings.block.0 * u64::from(view.strikes.max(1)))
            .max()
            .expect("somebody asked");
        // The block that is under way, twice its time quiet, and a minute for each of the other levels and for the count.
        let calm = now + 4 * MINUTE + 2 * last_block.max(16 * settings.block.0);
        assert!(guard.loops(Instant(calm)).all(|view| view.level == GuardLevel::Observe), "seed {seed}");
        let forgotten = now + (16 + 32) * settings.block.0;
        assert!(guard.loops(Instant(forgotten)).all(|view| view.strikes == 0), "seed {seed}");
        assert_eq!(guard.degraded_until(Instant(now + settings.cooldown.0)), None);
        let answer = admit(&mut guard, calm.max(forgotten), 1);
        assert_eq!(
            answer.level,
            if settings.repeats_per_minute == Some(1) { GuardLevel::Delay } else { GuardLevel::Observe }
        );
    }
}

#[test]
fn the_hard_cap_holds_in_every_minute_wherever_it_begins() {
    const CAP: usize = 100;
    let settings = GuardSettings { repeats_per_minute: None, requests_per_minute: Some(100), ..usual(1) };
    let mut guard = guard(settings);
    let mut random = Random::new(3);
    let (mut now, mut passed, mut refused) = (0_u64, Vec::new(), 0);
    for _ in 0..20_000 {
        now += random.between(0, 700_000_000) / if random.chance(50) { 1 } else { 100 };
        let answer = guard.admit(Instant(now), None, None);
        match answer.verdict {
            GuardVerdict::Refuse { why: GuardReason::HardCap, retry } => {
                refused += 1;
                let same = guard.peek(Instant(now + retry.0 - 1), None, None);
                assert!(matches!(same.verdict, GuardVerdict::Refuse { .. }), "not before it is said");
                let later = guard.peek(Instant(now + retry.0), None, None);
                assert_eq!(later.verdict, GuardVerdict::Pass, "when it is said");
                // It is refused only if there were as many in the last minute, in whole seconds.
                let recent = passed.iter().filter(|&&time: &&u64| time / SECOND + 60 >= now / SECOND).count();
                assert_eq!(recent, CAP);
            }
            _ => passed.push(now),
        }
    }
    assert!(refused > 1_000, "{refused}");
    for window in passed.windows(CAP + 1) {
        assert!(window[CAP] - window[0] >= MINUTE, "{CAP} in a minute, and one more");
    }
}
