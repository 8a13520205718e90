//! The memory of a breaker against lists and maps that are searched through.

use crate::breaker::memory::{BUCKET_CALLS_MAX, Memory};
use crate::time::{Instant, Nanos};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, VecDeque};

/// Calls of a window: all, failed, slow.
fn sums(calls: impl Iterator<Item = (bool, bool)>) -> (u32, u32, u32) {
    calls.fold((0, 0, 0), |(total, failed, slow), call| {
        (total + 1, failed + u32::from(call.0), slow + u32::from(call.1))
    })
}

fn totals(memory: &Memory) -> (u32, u32, u32) {
    (memory.total(), memory.failed(), memory.slow())
}

/// Steps of time in buckets of 1000: inside, at the edges, over some, over all and far beyond.
fn step() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..1_200_u64,
        990..1_010_u64,
        13_000..18_000_u64,
        15_990..16_010_u64,
        any::<u32>().prop_map(u64::from)
    ]
}

proptest! {
    #[test]
    fn a_window_of_calls_has_the_last_ones(
        calls in 1..=128_u32,
        results in proptest::collection::vec(any::<(bool, bool)>(), 0..400),
    ) {
        let mut memory = Memory::EMPTY;
        let mut last = VecDeque::new();
        for (failed, slow) in results {
            memory.push_call(calls, failed.into(), slow.into());
            last.push_back((failed, slow));
            if last.len() > usize::try_from(calls).unwrap() {
                last.pop_front();
            }
            prop_assert_eq!(totals(&memory), sums(last.iter().copied()));
        }
    }

    #[test]
    fn a_window_of_time_has_the_last_sixteen_buckets(
        start in any::<u32>(),
        steps in proptest::collection::vec((step(), any::<(bool, bool)>()), 0..200),
    ) {
        let mut memory = Memory::EMPTY;
        let mut now = u64::from(start);
        // Buckets by their number since the first call of the window.
        let (mut first, mut buckets) = (0, BTreeMap::<u64, Vec<(bool, bool)>>::new());
        for (step, (failed, slow)) in steps {
            now += step;
            memory.push_at(Instant(now), Nanos(16_000), failed.into(), slow.into());
            let mut number = (now - first) / 1000;
            buckets.retain(|&bucket, _| bucket + 16 > number);
            if buckets.is_empty() {
                (first, number) = (now, 0);
            }
            buckets.entry(number).or_default().push((failed, slow));
            prop_assert_eq!(totals(&memory), sums(buckets.values().flatten().copied()));
        }
    }

    #[test]
    fn a_permit_is_out_until_it_is_taken_back_or_over(
        steps in proptest::collection::vec((0..40_u64, 0..4_u8, any::<proptest::sample::Index>()), 0..300),
    ) {
        const TIMEOUT: u64 = 100;
        let mut memory = Memory::EMPTY;
        let mut given: Vec<(u8, u16)> = Vec::new();
        let mut out = BTreeMap::new();
        let mut now = 0;
        for (step, what, index) in steps {
            now += step;
            out.retain(|_, &mut expiry| expiry > now);
            let first = out.values().min().map(|&expiry| Instant(expiry));
            let count = u32::try_from(out.len()).unwrap();
            prop_assert_eq!(memory.first_return(Instant(now), count + 1), None.or(first.filter(|_| count == 16)));
            prop_assert_eq!(memory.first_return(Instant(now), count.max(1)), first);
            if what == 0 && !given.is_empty() {
                let number = index.index(given.len());
                let (place, turn) = given[number];
                prop_assert_eq!(memory.take_back(place, turn, Instant(now)), out.remove(&number).is_some());
            } else {
                let taken = memory.take_place(Instant(now), Instant(now + TIMEOUT));
                prop_assert_eq!(taken.is_some(), count < 16);
                if let Some(taken) = taken {
                    prop_assert!(!given.contains(&taken), "a permit is told from each other");
                    out.insert(given.len(), now + TIMEOUT);
                    given.push(taken);
                }
                prop_assert_eq!(memory.places_taken(), u32::try_from(out.len()).unwrap());
            }
        }
    }

    #[test]
    fn no_memory_of_another_sort_makes_it_fail(
        steps in proptest::collection::vec((any::<u64>(), 0..5_u8, 0..200_u32), 0..300),
    ) {
        let mut memory = Memory::EMPTY;
        for (now, what, number) in steps {
            let now = Instant(now);
            match what {
                0 => memory.push_call(number, 1, number & 1),
                1 => memory.push_at(now, Nanos(number.into()), 1, number & 1),
                2 => drop(memory.take_place(now, Instant(u64::MAX))),
                3 => drop(memory.take_back(200, 0, now)),
                _ => drop(memory.first_return(now, number)),
            }
        }
    }
}

#[test]
fn a_bucket_that_is_full_counts_no_further() {
    let mut memory = Memory::EMPTY;
    let most = u32::try_from(BUCKET_CALLS_MAX).unwrap();
    for _ in 0..most + 3 {
        memory.push_at(Instant(5), Nanos(16_000), 1, 1);
    }
    assert_eq!(totals(&memory), (most, most, most));
    memory.push_at(Instant(1_005), Nanos(16_000), 0, 0);
    assert_eq!(totals(&memory), (most + 1, most, most));
    memory.push_at(Instant(16_005), Nanos(16_000), 0, 0);
    assert_eq!(totals(&memory), (2, 0, 0));
}

#[test]
fn time_that_goes_back_stays_in_its_bucket() {
    let mut memory = Memory::EMPTY;
    memory.push_at(Instant(50_000), Nanos(16_000), 1, 0);
    memory.push_at(Instant(7), Nanos(16_000), 1, 0);
    memory.push_at(Instant(u64::MAX), Nanos(16_000), 0, 1);
    assert_eq!(totals(&memory), (1, 0, 1));
}
