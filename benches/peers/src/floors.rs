//! What no limiter can be faster than: the loop, one shared word, one look-up.

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cases that do not depend on the number of keys.
pub fn words() -> Vec<Case<'static>> {
    let clock = quanta::Clock::new();
    let atomic = AtomicU64::new(0);
    let lock = spin::Mutex::new(0u64);
    vec![
        Case::new("loop and pick", Clock::Still, |operations, seed| {
            let mut picks = Picks::new(seed, 1 << 20);
            (0..operations).for_each(|_| {
                black_box(picks.next());
            });
        }),
        Case::new("quanta clock", Clock::Read, move |operations, _| {
            (0..operations).for_each(|_| {
                black_box(clock.delta_as_nanos(0, clock.raw()));
            });
        }),
        Case::new("atomic add", Clock::Still, move |operations, _| {
            (0..operations).for_each(|_| {
                black_box(atomic.fetch_add(1, Ordering::Relaxed));
            });
        }),
        Case::new("spin lock, add, unlock", Clock::Still, move |operations, _| {
            (0..operations).for_each(|_| *black_box(&lock).lock() += 1);
        }),
    ]
}

/// A look-up and a write in a `HashMap` with its default hasher, SipHash-1-3.
pub fn hash_map<'a>(names: &'a [String]) -> Case<'a> {
    let mut map: HashMap<String, u64> = names.iter().map(|name| (name.clone(), 0)).collect();
    Case::new("floor: HashMap<String> look-up, add", Clock::Still, move |operations, seed| {
        let mut picks = Picks::new(seed, names.len());
        for _ in 0..operations {
            if let Some(count) = map.get_mut(&names[picks.next()]) {
                *count += 1;
            }
        }
    })
}
