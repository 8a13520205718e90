//! The table of the size that the kernel has, in static memory: 65 536 keys, and what happens beyond them.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::decision::{Sharing, Verdict};
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::request::{Request, Unit};
use governance::scope::{HashSecret, NameRef, Scope};
use governance::time::{Instant, Now, WallTime};
use std::sync::Mutex;

const KEYS: usize = 65_536;

/// Const-initialised and all-zero, as the kernel has it. Each test has its own, since tests run at the same time.
static FLOODED: Mutex<Governor<KEYS, 1024>> = Mutex::new(Governor::new());
static SEEDED: Mutex<Governor<KEYS, 1>> = Mutex::new(Governor::new());

fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

fn key_limit(capacity: u64) -> LimitSpec {
    let shape = BucketShape { capacity, rate: "1/1h".parse().unwrap() };
    LimitSpec::new(Scope::parse("key:*").unwrap(), RateLimitAlgorithm::TokenBucket(shape), Unit::Requests)
        .unwrap()
}

fn of_key(key: &str) -> Request<'_> {
    Request { key: Some(NameRef::new(key).unwrap()), ..Request::default() }
}

#[test]
fn a_hundred_thousand_keys_in_a_table_of_65_536() {
    let mut governor = FLOODED.lock().unwrap();
    governor.reset(HashSecret { k0: 1, k1: 2 });
    let limit = governor.limits.add(&key_limit(4)).unwrap();
    let legitimate = |index: usize| format!("customer-{index}");
    for index in 0..KEYS {
        let decision = governor.admit(at(0), &of_key(&legitimate(index)));
        let standing = decision.limit.unwrap();
        assert_eq!(
            (decision.verdict, standing.shared, standing.remaining()),
            (Verdict::Allow, Sharing::Own, 3)
        );
    }
    assert_eq!(governor.limits.table_stats().overflow_hits, 0, "each of 65 536 has its place");

    let mut allowed = 0;
    for index in 0..100_000 - KEYS {
        let name = format!("flood-{index}");
        let decision = governor.admit(at(1), &of_key(&name));
        assert_eq!(decision.limit.unwrap().shared, Sharing::Overflow, "a late one shares, and is told so");
        allowed += u64::from(decision.is_allowed());
    }
    assert_eq!(allowed, 4, "all of them together have one bucket");
    let table = governor.limits.table_stats();
    let flood = (100_000 - KEYS) as u64;
    assert_eq!((table.keys, table.evicted_fresh, table.overflow_hits), (KEYS, 0, flood));
    assert!(table.is_filling_up());
    let stats = governor.limits.get_limit_stats(limit).unwrap();
    assert_eq!((stats.keys, stats.overflow_hits), (KEYS as u64, flood));
    assert_eq!((stats.allowed, stats.denied), (KEYS as u64 + 4, flood - 4));

    // Every legitimate key has exactly what it had: three more pass, the fourth does not.
    for index in 0..KEYS {
        let name = legitimate(index);
        let left = (0..4).filter(|_| governor.admit(at(2), &of_key(&name)).is_allowed()).count();
        assert_eq!(left, 3, "{name}");
    }

    // Once buckets are full again their places go to others, and whoever comes back begins with a full bucket,
    // as it would have had anyway.
    let later = 5 * 3_600_000_000_000;
    let decision = governor.admit(at(later), &of_key("flood-0"));
    assert_eq!((decision.limit.unwrap().shared, decision.limit.unwrap().remaining()), (Sharing::Own, 3));
    assert_eq!(governor.limits.table_stats().evicted_fresh, 1);
    for index in 0..KEYS {
        let decision = governor.admit(at(later), &of_key(&legitimate(index)));
        assert_eq!(decision.limit.unwrap().remaining(), 3, "customer-{index}");
    }
}

#[test]
fn every_key_has_its_place_under_any_secret() {
    let mut governor = SEEDED.lock().unwrap();
    for seed in 0..8 {
        governor.reset(HashSecret::from_seed(seed));
        governor.limits.add(&key_limit(1)).unwrap();
        // Names that differ in little, as generated ones do.
        for index in 0..KEYS {
            let name = format!("{index:05}");
            let decision = governor.admit(at(0), &of_key(&name));
            assert_eq!(decision.limit.unwrap().shared, Sharing::Own, "seed {seed}, key {name}");
        }
        assert_eq!(governor.limits.table_stats().keys, KEYS);
        assert_eq!(governor.admit(at(0), &of_key("x")).limit.unwrap().shared, Sharing::Overflow);
    }
}
