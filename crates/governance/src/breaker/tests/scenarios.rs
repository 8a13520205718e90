//! What a breaker does, by example.

use super::{SECOND, fail, spec, succeed};
use crate::breaker::{
    BreakerCause, BreakerOverride, BreakerPass, BreakerPermit, BreakerRecorded, BreakerRefusal, BreakerSpec,
    BreakerState, BreakerTransition, CallResult, CircuitBreaker,
};
use crate::decision::Wait;
use crate::time::{Instant, Nanos};

const STALE: BreakerRecorded = BreakerRecorded::Stale;
const COUNTED: BreakerRecorded = BreakerRecorded::Counted(None);

fn refusal(state: BreakerState, nanos: u64) -> Result<BreakerPass, BreakerRefusal> {
    Err(BreakerRefusal { state, retry: Wait::For(Nanos(nanos)) })
}

fn open(seconds: u64) -> Result<BreakerPass, BreakerRefusal> {
    refusal(BreakerState::Open, seconds * SECOND)
}

fn why(recorded: BreakerRecorded) -> Option<(BreakerState, BreakerState, BreakerCause)> {
    match recorded {
        BreakerRecorded::Counted(Some(BreakerTransition { from, to, why, .. })) => Some((from, to, why)),
        _ => None,
    }
}

/// A breaker as the sources have it, which has opened at 0.
fn opened(spec: &BreakerSpec) -> CircuitBreaker {
    let mut breaker = CircuitBreaker::EMPTY;
    while breaker.state(Instant(0)) == BreakerState::Closed {
        fail(&mut breaker, 0, spec);
    }
    breaker
}

fn later(
    breaker: &mut CircuitBreaker,
    now: u64,
    spec: &BreakerSpec,
    permit: BreakerPermit,
) -> BreakerRecorded {
    breaker.record(Instant(now), spec, permit, CallResult::Success, None, 0)
}

#[test]
fn after_sixty_seconds_of_the_sources_defaults_it_is_half_open_and_just_before_it_is_not() {
    let spec = spec(&[]);
    let mut breaker = CircuitBreaker::EMPTY;
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, 7, &spec), COUNTED);
    }
    // A success in between starts the count anew.
    assert_eq!(succeed(&mut breaker, 7, &spec), COUNTED);
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, 7, &spec), COUNTED);
    }
    let turn = why(fail(&mut breaker, 7, &spec));
    assert_eq!(turn, Some((BreakerState::Closed, BreakerState::Open, BreakerCause::Failures)));
    // The numbers of these tests ask for all of the jitter: a first opening has none.
    assert_eq!(breaker.stats().open_until, Some(Instant(60 * SECOND + 7)));
    assert_eq!(breaker.check(Instant(7), &spec), open(60));
    assert_eq!(breaker.check(Instant(60 * SECOND + 6), &spec), refusal(BreakerState::Open, 1));
    assert_eq!(breaker.state(Instant(60 * SECOND + 6)), BreakerState::Open);
    let now = 60 * SECOND + 7;
    assert_eq!(breaker.state(Instant(now)), BreakerState::HalfOpen);
    assert_eq!(breaker.check(Instant(now), &spec), Ok(BreakerPass::Probe));
    assert_eq!(breaker.due(Instant(now), &spec).map(|due| due.why), Some(BreakerCause::OpenTimeOver));
    assert_eq!(breaker.due(Instant(now - 1), &spec), None);
    assert_eq!(succeed(&mut breaker, now, &spec), COUNTED);
    assert_eq!(breaker.due(Instant(now), &spec), None);
    let turn = why(succeed(&mut breaker, now, &spec));
    assert_eq!(turn, Some((BreakerState::HalfOpen, BreakerState::Closed, BreakerCause::ProbesSucceeded)));
    assert_eq!(breaker.check(Instant(now), &spec), Ok(BreakerPass::Closed));
    let stats = breaker.stats();
    assert_eq!((stats.successes, stats.failures, stats.opened, stats.opens_in_a_row), (3, 9, 1, 0));
}

#[test]
fn each_opening_in_a_row_lasts_twice_as_long_up_to_the_maximum() {
    let spec = spec(&[("open_time_max", "5m"), ("jitter", "10%")]);
    let mut breaker = opened(&spec);
    let mut now = 0;
    for (open_time, least) in [(60, 60), (120, 108), (240, 216), (300, 270), (300, 270)] {
        // All of the jitter is taken off.
        now += least * SECOND;
        let stats = breaker.stats();
        assert!(least <= open_time && stats.open_until == Some(Instant(now)), "{open_time} s: {stats:?}");
        let turn = why(fail(&mut breaker, now, &spec));
        assert_eq!(turn, Some((BreakerState::HalfOpen, BreakerState::Open, BreakerCause::ProbeFailed)));
    }
    assert_eq!((breaker.stats().opens_in_a_row, breaker.stats().opened), (6, 6));
    now += 270 * SECOND;
    succeed(&mut breaker, now, &spec);
    succeed(&mut breaker, now, &spec);
    for _ in 0..5 {
        fail(&mut breaker, now, &spec);
    }
    assert_eq!(breaker.check(Instant(now), &spec), open(60), "a row ends when it closes");
}

#[test]
fn as_many_are_out_at_a_time_as_have_to_succeed_and_a_lost_one_comes_back() {
    let spec = spec(&[]);
    let mut breaker = opened(&spec);
    let now = 60 * SECOND;
    let first = breaker.acquire(Instant(now), &spec);
    let second = breaker.acquire(Instant(now + 5 * SECOND), &spec);
    assert!(first.is_probe() && second.is_probe());
    let at = Instant(now + 10 * SECOND);
    assert_eq!(breaker.check(at, &spec), refusal(BreakerState::HalfOpen, 20 * SECOND));
    assert_eq!(breaker.stats().permits_out, 2);
    let back = now + 30 * SECOND;
    assert_eq!(breaker.check(Instant(back - 1), &spec), refusal(BreakerState::HalfOpen, 1));
    assert_eq!(breaker.check(Instant(back), &spec), Ok(BreakerPass::Probe));
    let third = breaker.acquire(Instant(back), &spec);
    assert!(third.is_probe() && third != first);
    assert_eq!(later(&mut breaker, back, &spec, first), STALE, "its place is another's");
    assert_eq!(later(&mut breaker, back, &spec, second), COUNTED);
    assert_eq!(later(&mut breaker, back, &spec, second), STALE, "nobody tells twice");
    let turn = why(later(&mut breaker, back, &spec, third));
    assert_eq!(turn.map(|turn| turn.1), Some(BreakerState::Closed));
    assert_eq!((breaker.stats().stale, breaker.stats().successes), (2, 2));
}

#[test]
fn a_result_of_an_earlier_generation_changes_nothing_but_a_counter() {
    let spec = spec(&[]);
    let mut breaker = CircuitBreaker::EMPTY;
    let slow: Vec<_> = (0..3).map(|_| breaker.acquire(Instant(0), &spec)).collect();
    for _ in 0..5 {
        fail(&mut breaker, 0, &spec);
    }
    let until = breaker.stats().open_until;
    let told = breaker.record(Instant(SECOND), &spec, slow[0], CallResult::Failure, None, 0);
    assert_eq!((told, breaker.stats().open_until), (STALE, until), "an open time is not prolonged");
    // Half-open, a result from before decides nothing; closed again, neither.
    succeed(&mut breaker, 60 * SECOND, &spec);
    assert_eq!(later(&mut breaker, 60 * SECOND, &spec, slow[1]), STALE);
    assert_eq!(breaker.state(Instant(60 * SECOND)), BreakerState::HalfOpen);
    succeed(&mut breaker, 60 * SECOND, &spec);
    assert_eq!(later(&mut breaker, 60 * SECOND, &spec, slow[2]), STALE);
    assert_eq!(later(&mut breaker, 60 * SECOND, &spec, BreakerPermit::EMPTY), STALE);
    let stats = breaker.stats();
    assert_eq!((stats.stale, stats.successes, stats.failures), (4, 2, 5));
}

#[test]
fn a_permit_that_is_given_back_is_free_at_once() {
    let spec = spec(&[]);
    let mut breaker = opened(&spec);
    let now = Instant(60 * SECOND);
    let permits = [breaker.acquire(now, &spec), breaker.acquire(now, &spec)];
    assert!(breaker.check(now, &spec).is_err());
    breaker.cancel(now, permits[0]);
    assert_eq!(breaker.check(now, &spec), Ok(BreakerPass::Probe));
    let third = breaker.acquire(now, &spec);
    breaker.cancel(now, permits[0]);
    breaker.cancel(now, BreakerPermit::EMPTY);
    assert!(breaker.check(now, &spec).is_err(), "a place that is another's stays so");
    assert_eq!(later(&mut breaker, now.0, &spec, third), COUNTED);
    assert_eq!((breaker.stats().cancelled, breaker.stats().stale), (2, 0));
}

#[test]
fn a_rate_trips_at_its_threshold_and_not_below_nor_with_too_few_calls() {
    let spec = spec(&[
        ("window", "count"),
        ("calls", "10"),
        ("min_calls", "6"),
        ("failure_rate", "33.3334%"),
        ("probes", "3"),
    ]);
    let mut breaker = CircuitBreaker::EMPTY;
    for _ in 0..2 {
        fail(&mut breaker, 0, &spec);
    }
    for _ in 0..4 {
        // Two of six are a third, which is less; a truncated comparison would see 33 of 33.
        assert_eq!(succeed(&mut breaker, 0, &spec), COUNTED);
    }
    let turn = why(fail(&mut breaker, 0, &spec));
    assert_eq!(turn, Some((BreakerState::Closed, BreakerState::Open, BreakerCause::FailureRate)));
    // One of three probes may fail.
    let now = 60 * SECOND;
    assert_eq!(fail(&mut breaker, now, &spec), COUNTED);
    assert_eq!(succeed(&mut breaker, now, &spec), COUNTED);
    assert_eq!(breaker.stats().window_total, 2);
    let turn = why(succeed(&mut breaker, now, &spec));
    assert_eq!(turn, Some((BreakerState::HalfOpen, BreakerState::Closed, BreakerCause::ProbesSucceeded)));
    assert_eq!(breaker.stats().window_total, 0, "the window is a fresh one");
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let spec = spec(&[
        ("window", "time"),
        ("span", "16s"),
        ("min_calls", "4"),
        ("slow_call", "2s"),
        ("slow_rate", "50%"),
    ]);
    let mut breaker = CircuitBreaker::EMPTY;
    let tell = |breaker: &mut CircuitBreaker, now: u64, nanos| {
        let permit = breaker.acquire(Instant(now), &spec);
        breaker.record(Instant(now), &spec, permit, CallResult::Success, nanos, 0)
    };
    // Those of a span ago are forgotten.
    for _ in 0..3 {
        assert_eq!(tell(&mut breaker, 0, Some(Nanos(2 * SECOND))), COUNTED);
    }
    let now = 16 * SECOND;
    for nanos in [Some(Nanos(2 * SECOND)), Some(Nanos(2 * SECOND - 1)), None] {
        assert_eq!(tell(&mut breaker, now, nanos), COUNTED);
    }
    let turn = why(tell(&mut breaker, now, Some(Nanos(2 * SECOND))));
    assert_eq!(turn, Some((BreakerState::Closed, BreakerState::Open, BreakerCause::SlowRate)));
    assert_eq!((breaker.stats().slow, breaker.stats().failures), (5, 0));
}

#[test]
fn a_look_changes_nothing() {
    let spec = spec(&[]);
    let breaker = opened(&spec);
    let before = format!("{breaker:?}");
    for now in [0, 59 * SECOND, 60 * SECOND, u64::MAX] {
        let _ = (
            breaker.check(Instant(now), &spec),
            breaker.due(Instant(now), &spec),
            breaker.state(Instant(now)),
        );
    }
    assert_eq!(format!("{breaker:?}"), before);
}

#[test]
fn by_hand_it_refuses_everything_or_nothing_and_begins_anew_when_let_go_of() {
    let spec = spec(&[]);
    let mut breaker = opened(&spec);
    let now = Instant(1);
    let turn = breaker.set_override(now, BreakerOverride::ForcedClosed).unwrap();
    assert_eq!(
        (turn.from, turn.to, turn.why),
        (BreakerState::Open, BreakerState::Closed, BreakerCause::ByHand)
    );
    for _ in 0..20 {
        assert_eq!(breaker.check(now, &spec), Ok(BreakerPass::Unguarded));
        assert_eq!(fail(&mut breaker, 1, &spec), COUNTED);
    }
    let in_flight = breaker.acquire(now, &spec);
    assert!(breaker.set_override(now, BreakerOverride::ForcedOpen).is_some());
    for seconds in [0, 60, 1_000_000] {
        let refused = breaker.check(Instant(seconds * SECOND), &spec).unwrap_err();
        assert_eq!((refused.state, refused.retry), (BreakerState::Open, Wait::Never));
        breaker.count_refusal();
    }
    assert_eq!(later(&mut breaker, 1, &spec, in_flight), STALE);
    assert_eq!(breaker.set_override(now, BreakerOverride::ForcedOpen), None);
    let turn = breaker.set_override(now, BreakerOverride::Automatic).unwrap();
    assert_eq!((turn.from, turn.to), (BreakerState::Open, BreakerState::Closed));
    assert_eq!(breaker.check(now, &spec), Ok(BreakerPass::Closed));
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, 1, &spec), COUNTED, "failures from before are forgotten");
    }
    let stats = breaker.stats();
    assert_eq!((stats.failures, stats.refused, stats.opened), (29, 3, 1), "{stats:?}");
}

#[test]
fn in_the_shadow_it_does_as_ever_and_refuses_nothing() {
    let enforced = spec(&[]);
    let shadow = spec(&[("mode", "shadow")]);
    let mut breaker = opened(&shadow);
    let refused = BreakerRefusal { state: BreakerState::Open, retry: Wait::For(Nanos(50 * SECOND)) };
    let now = Instant(10 * SECOND);
    assert_eq!(breaker.check(now, &shadow), Ok(BreakerPass::Shadow(refused)));
    // A success that a real breaker would not have seen does not close it, nor does a failure keep it open.
    assert_eq!(succeed(&mut breaker, now.0, &shadow), COUNTED);
    assert_eq!(fail(&mut breaker, now.0, &shadow), COUNTED);
    assert_eq!(breaker.check(now, &enforced), Err(refused));
    let now = 60 * SECOND;
    let permits: Vec<_> = (0..4).map(|_| breaker.acquire(Instant(now), &shadow)).collect();
    assert_eq!(permits.iter().filter(|permit| permit.is_probe()).count(), 2);
    assert_eq!(later(&mut breaker, now, &shadow, permits[2]), COUNTED);
    assert_eq!(later(&mut breaker, now, &shadow, permits[3]), COUNTED);
    assert_eq!(breaker.state(Instant(now)), BreakerState::HalfOpen);
    assert_eq!(later(&mut breaker, now, &shadow, permits[0]), COUNTED);
    assert!(why(later(&mut breaker, now, &shadow, permits[1])).is_some());
    let stats = breaker.stats();
    assert_eq!((stats.would_refuse, stats.refused, stats.successes, stats.failures), (4, 0, 5, 6));
    // By hand as by its specification; the state stays what it is.
    let mut breaker = opened(&enforced);
    assert_eq!(breaker.set_override(Instant(1), BreakerOverride::Shadow), None);
    assert!(matches!(breaker.check(Instant(1), &enforced), Ok(BreakerPass::Shadow(_))));
    assert_eq!(breaker.set_override(Instant(2), BreakerOverride::Automatic), None);
    assert!(breaker.check(Instant(2), &enforced).is_err());
}

#[test]
fn disabled_it_counts_and_does_nothing_else() {
    let disabled = spec(&[("mode", "disabled")]);
    let mut breaker = CircuitBreaker::EMPTY;
    for _ in 0..50 {
        assert_eq!(fail(&mut breaker, 0, &disabled), COUNTED);
    }
    let stats = breaker.stats();
    assert_eq!((stats.failures, stats.consecutive_failures, stats.opened), (50, 0, 0));
    // An operator's word is stronger.
    breaker.set_override(Instant(0), BreakerOverride::ForcedOpen);
    assert!(breaker.check(Instant(0), &disabled).is_err());
}

#[test]
fn a_reset_forgets_everything_but_knows_late_results() {
    let spec = spec(&[]);
    let mut breaker = opened(&spec);
    let probe = breaker.acquire(Instant(60 * SECOND), &spec);
    breaker.set_override(Instant(60 * SECOND), BreakerOverride::Shadow);
    breaker.reset();
    assert_eq!(breaker.stats(), CircuitBreaker::EMPTY.stats());
    assert_eq!(breaker.get_override(), BreakerOverride::Automatic);
    assert_eq!(later(&mut breaker, 60 * SECOND, &spec, probe), STALE);
    assert_eq!(breaker.stats().stale, 1);
}

#[test]
fn time_that_goes_back_or_far_moves_no_opening() {
    let spec = spec(&[]);
    let mut breaker = CircuitBreaker::EMPTY;
    for _ in 0..5 {
        fail(&mut breaker, 100 * SECOND, &spec);
    }
    assert_eq!(breaker.check(Instant(0), &spec), open(160));
    assert_eq!(breaker.check(Instant(160 * SECOND), &spec), Ok(BreakerPass::Probe));
    let permit = breaker.acquire(Instant(160 * SECOND), &spec);
    assert_eq!(later(&mut breaker, 0, &spec, permit), COUNTED);
    let permit = breaker.acquire(Instant(u64::MAX - 1), &spec);
    breaker.record(Instant(u64::MAX - 1), &spec, permit, CallResult::Failure, None, 0);
    assert_eq!(breaker.check(Instant(u64::MAX - 1), &spec), refusal(BreakerState::Open, 1));
    assert_eq!(breaker.check(Instant(u64::MAX), &spec), Ok(BreakerPass::Probe));
}

#[test]
fn an_empty_breaker_is_all_zero_and_so_are_an_empty_permit_and_specification() {
    assert!(BreakerPermit::EMPTY.is_empty() && BreakerPermit::default() == BreakerPermit::EMPTY);
    assert_eq!(BreakerOverride::Automatic as u8, 0);
    assert_eq!(BreakerState::Closed as u8, 0);
    assert_eq!(BreakerSpec::EMPTY.mode as u8, 0);
    let mut breaker = CircuitBreaker::EMPTY;
    assert!(!breaker.acquire(Instant(0), &spec(&[])).is_empty());
    assert!(size_of::<CircuitBreaker>() <= 256 && size_of::<BreakerPermit>() == 8);
}
