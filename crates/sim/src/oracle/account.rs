//! How much each algorithm considers used, and how that changes with time.
//!
//! Every limit is the same sentence: a cost passes if what is used plus the cost is no more than the
//! capacity. The algorithms differ only in how used amounts fade.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;

use super::rule::{Algorithm, Align};

/// A point of time in nanoseconds; wider than the clocks, so that "now and the longest wait" is one too.
pub(super) type Time = u128;

/// An exact amount of tokens.
pub(super) type Amount = BigRational;

pub(super) fn amount(tokens: impl Into<BigInt>) -> Amount {
    Amount::from_integer(tokens.into())
}

/// What one key has used of one limit.
#[derive(Clone, Debug)]
pub(super) enum Account {
    Bucket(Bucket),
    Windows(Windows),
    Log(Log),
}

impl Account {
    /// An account with nothing used, or nothing for an algorithm that does not count.
    pub(super) fn open(algorithm: &Algorithm, hash: u64, at: Time) -> Option<Self> {
        Some(match *algorithm {
            Algorithm::TokenBucket { tokens, per_ns, .. }
            | Algorithm::LeakyBucket { tokens, per_ns, .. }
            | Algorithm::LeakyQueue { tokens, per_ns, .. } => {
                Self::Bucket(Bucket { tokens, per_ns, used: Amount::zero(), at })
            }
            Algorithm::FixedWindow { window_ns, align, .. } => {
                Self::Windows(Windows::new(window_ns, align, hash, Weight::None, at))
            }
            Algorithm::SlidingCounter { window_ns, align, .. } => {
                Self::Windows(Windows::new(window_ns, align, hash, Weight::Overlap, at))
            }
            Algorithm::SlidingLog { window_ns, .. } => Self::Log(Log { window_ns, entries: Vec::new(), at }),
            Algorithm::Unlimited | Algorithm::Ban => return None,
        })
    }

    /// Lets time pass until `to`.
    pub(super) fn advance(&mut self, to: Time) {
        match self {
            Self::Bucket(bucket) => bucket.advance(to),
            Self::Windows(windows) => windows.at = to,
            Self::Log(log) => log.at = to,
        }
    }

    /// What is used now.
    pub(super) fn used(&self) -> Amount {
        match self {
            Self::Bucket(bucket) => bucket.used.clone(),
            Self::Windows(windows) => windows.used(),
            Self::Log(log) => amount(log.live().map(|(_, cost)| u128::from(*cost)).sum::<u128>()),
        }
    }

    /// Uses `cost` now.
    pub(super) fn charge(&mut self, cost: u64) {
        match self {
            Self::Bucket(bucket) => bucket.used += amount(cost),
            Self::Windows(windows) => windows.charge(cost),
            Self::Log(log) => log.charge(cost),
        }
    }

    /// Gives back up to `cost`: of windows the current one first, of a log the oldest entry first. The oldest
    /// counts for the shortest time, so that a log never has more room for it than with any other order.
    pub(super) fn refund(&mut self, cost: u64) {
        match self {
            Self::Bucket(bucket) => bucket.used = (&bucket.used - amount(cost)).max(Amount::zero()),
            Self::Windows(windows) => {
                let mut rest = u128::from(cost);
                for index in [windows.index(), windows.index() - 1] {
                    let count = windows.counts.entry(index).or_default();
                    let back = rest.min(*count);
                    *count -= back;
                    rest -= back;
                }
            }
            Self::Log(log) => {
                log.entries = log.live().copied().collect();
                let mut rest = cost;
                for (_, charged) in log.entries.iter_mut() {
                    let back = rest.min(*charged);
                    *charged -= back;
                    rest -= back;
                }
            }
        }
    }

    /// Leaves no token of `capacity`.
    pub(super) fn drain(&mut self, capacity: &Amount) {
        let left = capacity - self.used();
        if left <= Amount::zero() {
            return;
        }
        match self {
            Self::Bucket(bucket) => bucket.used.clone_from(capacity),
            Self::Windows(_) | Self::Log(_) => {
                let left = left.floor().to_integer();
                self.charge(u64::try_from(left).expect("no more is left than a capacity"));
            }
        }
    }

    /// Forgets what a bucket holds above `capacity`. Windows keep their history: it fades by itself.
    pub(super) fn clamp(&mut self, capacity: &Amount) {
        if let Self::Bucket(bucket) = self {
            bucket.used = bucket.used.clone().min(capacity.clone());
        }
    }

    /// `fresh`, an account with nothing used, with what is used now, rounded up. Windows that stay as they
    /// are keep their counts, and a log that stays one its entries: they say when, and not only how much.
    pub(super) fn change(&self, mut fresh: Self) -> Self {
        match (self, &mut fresh) {
            (Self::Windows(old), Self::Windows(fresh)) if old.same_windows(fresh) => {
                return Self::Windows(old.clone());
            }
            (Self::Log(old), Self::Log(fresh)) => fresh.entries = old.live().copied().collect(),
            (_, fresh) => {
                let used = self.used().ceil().to_integer();
                fresh.charge(u64::try_from(used).expect("no more is used than a capacity"));
            }
        }
        fresh
    }
}

/// What a bucket holds leaks at a constant rate.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    tokens: u64,
    per_ns: u64,
    used: Amount,
    at: Time,
}

impl Bucket {
    fn advance(&mut self, to: Time) {
        let leaked = Amount::new(BigInt::from(to - self.at) * self.tokens, self.per_ns.into());
        self.used = (&self.used - leaked).max(Amount::zero());
        self.at = to;
    }
}

/// Whether the window before the current one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// It does not: a fixed window.
    None,
    /// As far as a window that ends now overlaps it: a sliding counter.
    Overlap,
}

/// What was charged, by window.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    window_ns: u64,
    phase_ns: u64,
    align: Align,
    weight: Weight,
    counts: BTreeMap<i128, u128>,
    at: Time,
}

impl Windows {
    fn new(window_ns: u64, align: Align, hash: u64, weight: Weight, at: Time) -> Self {
        let phase_ns = match align {
            Align::Clock => 0,
            Align::Spread => u64::try_from((u128::from(hash) * u128::from(window_ns)) >> 64)
                .expect("a fraction of the window"),
        };
        Self { window_ns, phase_ns, align, weight, counts: BTreeMap::new(), at }
    }

    fn since_phase(&self) -> i128 {
        i128::try_from(self.at).expect("a time is below 2^65") - i128::from(self.phase_ns)
    }

    fn index(&self) -> i128 {
        self.since_phase().div_euclid(i128::from(self.window_ns))
    }

    fn used(&self) -> Amount {
        let count = |index| self.counts.get(&index).copied().unwrap_or(0);
        let current = amount(count(self.index()));
        match self.weight {
            Weight::None => current,
            Weight::Overlap => {
                let elapsed = self.since_phase().rem_euclid(i128::from(self.window_ns));
                let overlap = BigInt::from(i128::from(self.window_ns) - elapsed);
                let previous = BigInt::from(count(self.index() - 1));
                Amount::new(previous * overlap, self.window_ns.into()) + current
            }
        }
    }

    fn charge(&mut self, cost: u64) {
        let current = self.index();
        self.counts.retain(|index, _| *index >= current - 1); // no older one is ever asked for again
        *self.counts.entry(current).or_default() += u128::from(cost);
    }

    fn same_windows(&self, other: &Self) -> bool {
        (self.window_ns, self.align, self.weight) == (other.window_ns, other.align, other.weight)
    }
}

/// What was charged, each with its time.
#[derive(Clone, Debug)]
pub(super) struct Log {
    window_ns: u64,
    entries: Vec<(Time, u64)>,
    at: Time,
}

impl Log {
    /// The entries in (now − window, now].
    fn live(&self) -> impl Iterator<Item = &(Time, u64)> {
        self.entries.iter().filter(|(time, _)| time + Time::from(self.window_ns) > self.at)
    }

    fn charge(&mut self, cost: u64) {
        self.entries = self.live().copied().collect();
        self.entries.push((self.at, cost));
    }
}
