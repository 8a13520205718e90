use super::support::{allowed, at, call, collector, denied};
use crate::metrics::{OutcomeReport, OutcomeResult, Resolution, Slot};
use crate::money::NanoUnits;
use crate::time::{NANOS_PER_SECOND, Now, WallTime};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

/// What the slots of a timeline should be: sums over a log of everything, by the second it was counted in.
fn naive(log: &[(u64, Slot)], latest: u64, resolution: Resolution) -> Vec<(WallTime, Option<Slot>)> {
    let seconds = resolution.slot_length().0 / NANOS_PER_SECOND;
    let last = latest / seconds;
    (last + 1 - resolution.slots() as u64..=last)
        .map(|number| {
            let mut sum = Slot::EMPTY;
            log.iter().filter(|(second, _)| second / seconds == number).for_each(|(_, slot)| sum.add(slot));
            (WallTime(number * seconds * NANOS_PER_SECOND), Some(sum).filter(|sum| !sum.is_empty()))
        })
        .collect()
}

fn second_of(now: Now) -> u64 {
    now.wall.0 / NANOS_PER_SECOND
}

#[test]
fn nothing_is_shown_before_anything_was_counted_and_gaps_have_no_data() {
    let mut collector = collector();
    collector.get_timeline(Resolution::Second, &mut |_, _| panic!("there is no time yet"));
    collector.record_decision(at(0), &call("web", "acme"), &allowed());
    collector.record_decision(at(3), &call("web", "acme"), &denied());
    let mut counts = Vec::new();
    collector.get_timeline(Resolution::Second, &mut |_, slot| counts.push(slot.map(|slot| slot.requests)));
    assert_eq!(counts[55..], [None, Some(1), None, None, Some(1)]);
    assert_eq!(counts.len(), 60);
    collector.advance(at(70));
    assert_eq!(collector.last_minute(), Slot::EMPTY, "the minute went by");
    assert_eq!(collector.totals().requests, 2);
}

#[test]
fn a_day_s_jump_leaves_no_old_slot_behind() {
    let mut collector = collector();
    for second in 0..200 {
        collector.record_decision(at(second), &call("web", "acme"), &allowed());
    }
    for days in [1, 40, 365, 36_500] {
        let now = at(days * 86_400);
        collector.record_decision(now, &call("web", "acme"), &allowed());
        let mut minutes = Vec::new();
        collector.get_timeline(Resolution::Minute, &mut |_, slot| minutes.extend(slot.copied()));
        assert_eq!(minutes.iter().map(|slot| slot.requests).collect::<Vec<_>>(), [1], "after {days} days");
    }
}

#[test]
fn the_end_of_time_is_a_second_like_others() {
    let mut collector = collector();
    for wall in [0, u64::MAX - 1, u64::MAX, u64::MAX] {
        collector.record_decision(Now::from_wall(WallTime(wall)), &call("web", "acme"), &allowed());
    }
    assert_eq!((collector.totals().requests, collector.last_minute().requests), (4, 3));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]
    #[test]
    fn every_resolution_equals_a_log(
        steps in prop::collection::vec((0..8_u8, 0..1000_u64, any::<bool>(), 90..620_u16, 0..9_u64), 1..120),
    ) {
        let mut collector = collector();
        let (mut log, mut wall, mut latest) = (Vec::new(), 500_000_000_u64, 0);
        for (jump, amount, is_denied, status, latency) in steps {
            wall = match jump {
                0..=3 => wall + amount,
                4 => wall + amount * 60,
                5 => wall + amount * 3600,
                6 => wall.saturating_sub(amount),
                _ => wall,
            };
            let now = at(wall);
            latest = second_of(now).max(latest);
            let id = collector.record_decision(
                now,
                &call("web", "acme"),
                &if is_denied { denied() } else { allowed() },
            );
            let mut counted = Slot { requests: 1, ..Slot::EMPTY };
            if is_denied {
                counted.denied = 1;
            } else {
                counted.allowed = 1;
                let failed = u64::from(status >= 500);
                let report = OutcomeReport {
                    status: Some(status),
                    latency_us: Some(latency).filter(|latency| *latency > 0),
                    result: if failed == 1 { OutcomeResult::Failure } else { OutcomeResult::Success },
                    cost_delta: NanoUnits(latency.into()),
                    tokens_delta: 0,
                };
                collector.record_outcome(now, id, &report);
                (counted.outcomes, counted.errors) = (1, failed);
                if (100..600).contains(&status) {
                    counted.classes[usize::from(status / 100) - 1] = 1;
                }
                counted.throttled = u64::from(status == 429);
                counted.cost = NanoUnits(latency.into());
                counted.timed = u64::from(latency > 0);
                (counted.latency_sum_us, counted.latency_max_us) = (latency, latency);
            }
            log.push((latest, counted));
            for resolution in Resolution::ALL {
                let mut slots = Vec::new();
                collector.get_timeline(resolution, &mut |start, slot| slots.push((start, slot.copied())));
                assert_eq!(slots, naive(&log, latest, resolution), "{resolution}");
            }
        }
        let mut total = Slot::EMPTY;
        log.iter().for_each(|(_, slot)| total.add(slot));
        assert_eq!(collector.totals(), total);
    }
}
