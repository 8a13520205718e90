//! The libraries that a program would use instead.

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use crate::quota::Quota;
use governor::clock::{Clock as GovernorClock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::SystemTime;
use throttlecrab::PeriodicStore;

/// The name of the case that the ratios refer to.
pub const GOVERNOR: &str = "governor 0.10.4 keyed (dashmap)";
const THROTTLECRAB: &str = "throttlecrab 0.4.40 (periodic)";

/// governor's keyed limiter over a `DashMap` with `String` keys, its default hasher and its default clock.
pub fn governor<'a>(quota: &'a Quota, names: &'a [String], clock: Clock) -> Case<'a> {
    match clock {
        Clock::Read => governor_with(DefaultClock::default(), quota, names, clock),
        Clock::Still => governor_with(StillClock, quota, names, clock),
    }
}

fn governor_with<'a, C>(source: C, quota: &'a Quota, names: &'a [String], clock: Clock) -> Case<'a>
where
    C: GovernorClock + 'a,
{
    let limit = governor::Quota::with_period(quota.period)
        .unwrap()
        .allow_burst(NonZeroU32::new(quota.burst).unwrap());
    let store: DashMapStateStore<String> = DashMapStateStore::default();
    let limiter = governor::RateLimiter::<_, _, _, NoOpMiddleware<C::Instant>>::new(limit, store, source);
    for _ in 0..quota.touches() {
        for name in names {
            let _ = limiter.check_key(name);
        }
    }
    Case::new(GOVERNOR, clock, move |operations, seed| {
        let mut picks = Picks::new(seed, names.len());
        let mut allowed = 0;
        for _ in 0..operations {
            allowed += u64::from(limiter.check_key(&names[picks.next()]).is_ok());
        }
        quota.expect(GOVERNOR, operations, allowed);
    })
}

/// A clock for governor that always shows the same time.
#[derive(Clone)]
struct StillClock;

impl GovernorClock for StillClock {
    type Instant = Nanos;

    #[inline]
    fn now(&self) -> Nanos {
        Nanos::new(1 << 40)
    }
}

/// throttlecrab's library, with and without a clock reading, over one table with room for all keys.
pub fn throttlecrab<'a>(quota: &'a Quota, names: &'a [String]) -> [Case<'a>; 2] {
    let store = PeriodicStore::builder().capacity(names.len()).build();
    let limiter = Rc::new(RefCell::new(Crab { limiter: throttlecrab::RateLimiter::new(store), quota }));
    let start = SystemTime::now();
    for _ in 0..quota.touches() {
        for name in names {
            limiter.borrow_mut().allows(name, start);
        }
    }
    [Clock::Read, Clock::Still].map(|clock| {
        let limiter = Rc::clone(&limiter);
        Case::new(THROTTLECRAB, clock, move |operations, seed| {
            let limiter = &mut *limiter.borrow_mut();
            let mut picks = Picks::new(seed, names.len());
            let mut allowed = 0;
            for _ in 0..operations {
                let now = if clock == Clock::Read { SystemTime::now() } else { start };
                allowed += u64::from(limiter.allows(&names[picks.next()], now));
            }
            quota.expect(THROTTLECRAB, operations, allowed);
        })
    })
}

struct Crab<'a> {
    limiter: throttlecrab::RateLimiter<PeriodicStore>,
    quota: &'a Quota,
}

impl Crab<'_> {
    #[inline]
    fn allows(&mut self, name: &str, now: SystemTime) -> bool {
        // It takes whole seconds: so many requests in a thousand times the period.
        let (burst, count) = (i64::from(self.quota.burst), 1000);
        let seconds = self.quota.period.as_millis() as i64;
        self.limiter.rate_limit(name, burst, count, seconds, 1, now).unwrap().0
    }
}
