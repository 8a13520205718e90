//! One key of one limit.
//!
//! What would happen later is found out by letting a copy grow older and asking it; so retry and reset
//! times hold by definition.

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use super::account::{Account, Amount, Time, amount};
use super::rule::{Algorithm, ClockKind, Clocks};

/// How long a caller has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// So many nanoseconds; [`u64::MAX`] stands for that and anything longer.
    Nanos(u64),
    /// However long, it would not help.
    Never,
}

/// The model of one bucket, counter or log.
#[derive(Clone, Debug)]
pub struct Meter {
    algorithm: Algorithm,
    hash: u64,
    /// The largest times seen; time going back is time standing still.
    seen: Seen,
    account: Option<Account>,
    grant: Option<Grant>,
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
struct Seen {
    instant: Time,
    wall: Time,
}

impl Seen {
    fn at(now: Clocks) -> Self {
        Self { instant: now.instant_ns.into(), wall: now.wall_ns.into() }
    }

    fn after(self, wait: u64) -> Self {
        Self { instant: self.instant + Time::from(wait), wall: self.wall + Time::from(wait) }
    }

    fn of(self, algorithm: &Algorithm) -> Time {
        match algorithm.clock_kind() {
            ClockKind::Monotonic => self.instant,
            ClockKind::Wall => self.wall,
        }
    }
}

/// Extra capacity that lasts until a moment of the monotonic clock, which no longer belongs to it.
#[derive(Clone, Copy, Debug)]
struct Grant {
    extra: u64,
    until: Time,
}

impl Meter {
    /// A meter with nothing used. `hash` decides where spread windows begin.
    #[must_use]
    pub fn new(algorithm: Algorithm, hash: u64, now: Clocks) -> Self {
        let seen = Seen::at(now);
        let account = Account::open(&algorithm, hash, seen.of(&algorithm));
        Self { algorithm, hash, seen, account, grant: None }
    }

    /// Lets the meter see the time.
    pub fn see(&mut self, now: Clocks) {
        self.advance(Seen::at(now));
    }

    /// Whether `cost` would pass.
    #[must_use]
    pub fn allows(&self, now: Clocks, cost: u64) -> bool {
        self.seen_at(now).passes(cost)
    }

    /// Decides and, if it passes, charges. This is what a limiter with a single limit does.
    pub fn decide(&mut self, now: Clocks, cost: u64) -> bool {
        self.see(now);
        let passes = self.passes(cost);
        if passes {
            self.charge(cost);
        }
        passes
    }

    /// Charges `cost` at the time last seen, whether or not it would pass.
    pub fn charge(&mut self, cost: u64) {
        if let (Some(account), 1..) = (&mut self.account, cost) {
            account.charge(cost);
        }
    }

    /// The largest cost that would pass, [`u64::MAX`] where nothing limits it.
    #[must_use]
    pub fn remaining(&self, now: Clocks) -> u64 {
        let later = self.seen_at(now);
        match (&later.algorithm, later.left()) {
            (Algorithm::Ban, _) => 0,
            (_, None) => u64::MAX,
            (_, Some(left)) => left.floor().to_integer().to_u64().unwrap_or(u64::MAX),
        }
    }

    /// The largest cost that an unused meter would let pass, extra capacity included; nothing where nothing
    /// limits it.
    #[must_use]
    pub fn holds(&self, now: Clocks) -> Option<u64> {
        let later = self.seen_at(now);
        later.account.as_ref()?;
        later.capacity().to_integer().to_u64()
    }

    /// The exact part of the capacity that is left, between 0 and 1; 1 where nothing limits it.
    #[must_use]
    pub fn fraction_left(&self, now: Clocks) -> BigRational {
        let later = self.seen_at(now);
        match (&later.algorithm, later.left()) {
            (Algorithm::Ban, _) => Amount::zero(),
            (_, None) => amount(1),
            (_, Some(left)) => left / later.capacity(),
        }
    }

    /// The shortest wait after which `cost` would pass if nothing else happened.
    #[must_use]
    pub fn retry(&self, now: Clocks, cost: u64) -> Wait {
        let now = self.seen_at(now);
        match (now.first_wait(|later| later.passes(cost)), self.algorithm.capacity()) {
            (Some(wait), _) => Wait::Nanos(wait),
            (None, Some(capacity)) if cost <= capacity => Wait::Nanos(u64::MAX),
            (None, _) => Wait::Never,
        }
    }

    /// The shortest wait after which nothing would be used any more, if nothing else happened.
    #[must_use]
    pub fn reset(&self, now: Clocks) -> Wait {
        if self.algorithm == Algorithm::Ban {
            return Wait::Never;
        }
        let unused = |later: &Self| later.account.as_ref().is_none_or(|account| account.used().is_zero());
        Wait::Nanos(self.seen_at(now).first_wait(unused).unwrap_or(u64::MAX))
    }

    /// How long a request that passes has to be held back: in a queue, until what came before it has
    /// leaked away; otherwise, or if it costs nothing, not at all. What a grant let in leaks no faster when
    /// the grant ends: those requests still wait for their turns.
    #[must_use]
    pub fn delay_ns(&self, now: Clocks, cost: u64) -> u64 {
        if !matches!(self.algorithm, Algorithm::LeakyQueue { .. }) || cost == 0 {
            return 0;
        }
        let without_forgiveness = Self { grant: None, ..self.seen_at(now) };
        match without_forgiveness.reset(now) {
            Wait::Nanos(wait) => wait,
            Wait::Never => u64::MAX,
        }
    }

    /// Changes the algorithm or its parameters. What is used stays used, rounded up to whole tokens; a bucket
    /// that then holds more than it can is just full. An algorithm that does not count forgets. What is not
    /// different is no change.
    pub fn change(&mut self, now: Clocks, algorithm: Algorithm) {
        self.see(now);
        if algorithm == self.algorithm {
            return;
        }
        let fresh = Account::open(&algorithm, self.hash, self.seen.of(&algorithm));
        self.account = match (&self.account, fresh) {
            (Some(old), Some(fresh)) => Some(old.change(fresh)),
            (_, fresh) => fresh,
        };
        self.algorithm = algorithm;
        let capacity = algorithm.capacity().unwrap_or(0);
        self.grant = self.grant.filter(|grant| capacity.checked_add(grant.extra).is_some());
        let capacity = self.capacity();
        self.clamp(&capacity);
    }

    /// Grants `extra` capacity for `lasts_ns`, in place of an earlier grant. What is used stays used; what
    /// a bucket holds above its own capacity when the grant ends is forgotten.
    pub fn grant(&mut self, now: Clocks, extra: u64, lasts_ns: u64) {
        self.see(now);
        self.grant = Some(Grant { extra, until: self.seen.instant + Time::from(lasts_ns) });
        let capacity = self.capacity();
        self.clamp(&capacity);
    }

    /// Gives back up to `cost` of what is used.
    pub fn refund(&mut self, now: Clocks, cost: u64) {
        self.see(now);
        if let Some(account) = &mut self.account {
            account.refund(cost);
        }
    }

    /// Uses up all that is left.
    pub fn drain(&mut self, now: Clocks) {
        self.see(now);
        let capacity = self.capacity();
        if let Some(account) = &mut self.account {
            account.drain(&capacity);
        }
    }

    fn seen_at(&self, now: Clocks) -> Self {
        let mut later = self.clone();
        later.see(now);
        later
    }

    fn advance(&mut self, to: Seen) {
        let to = Seen { instant: to.instant.max(self.seen.instant), wall: to.wall.max(self.seen.wall) };
        if let Some(grant) = self.grant
            && to.instant >= grant.until
        {
            // Only buckets forget at this moment, and they do not look at the wall clock.
            self.pass_time(Seen { instant: grant.until, ..self.seen });
            self.grant = None;
            let capacity = self.capacity();
            self.clamp(&capacity);
        }
        self.pass_time(to);
    }

    fn pass_time(&mut self, to: Seen) {
        self.seen = to;
        if let Some(account) = &mut self.account {
            account.advance(to.of(&self.algorithm));
        }
    }

    fn clamp(&mut self, capacity: &Amount) {
        if let Some(account) = &mut self.account {
            account.clamp(capacity);
        }
    }

    /// A capacity is 64 bits wide, also with what is extra.
    fn capacity(&self) -> Amount {
        let extra = self.grant.map_or(0, |grant| grant.extra);
        amount(self.algorithm.capacity().unwrap_or(0).saturating_add(extra))
    }

    fn left(&self) -> Option<Amount> {
        let account = self.account.as_ref()?;
        Some((self.capacity() - account.used()).max(Amount::zero()))
    }

    /// The one rule, with its two exceptions.
    fn passes(&self, cost: u64) -> bool {
        match (&self.algorithm, self.left()) {
            (Algorithm::Ban, _) => false,
            (_, None) => true,
            (_, Some(left)) => cost == 0 || amount(cost) <= left,
        }
    }

    /// The shortest wait after which `test` holds. Use only fades, so between two changes of the capacity
    /// a test that holds keeps holding, and halving finds the first moment at which it does.
    fn first_wait(&self, test: impl Fn(&Self) -> bool) -> Option<u64> {
        let holds_after = |wait: u64| {
            let mut later = self.clone();
            later.advance(self.seen.after(wait));
            test(&later)
        };
        let ends_after = self.grant.and_then(|grant| u64::try_from(grant.until - self.seen.instant).ok());
        let spans = match ends_after {
            Some(end @ 1..) => vec![(0, end - 1), (end, u64::MAX)],
            _ => vec![(0, u64::MAX)],
        };
        spans.into_iter().find_map(|(mut low, mut high)| {
            if !holds_after(high) {
                return None;
            }
            while low < high {
                let middle = low + (high - low) / 2;
                if holds_after(middle) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            Some(low)
        })
    }
}
