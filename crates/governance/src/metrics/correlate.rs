//! Whether two figures go together: Pearson's r over the slots of a timeline, in whole numbers.
//!
//! Deviations from the mean are taken exactly, as n·x − Σx, and then scaled so that the largest has 52 bits: what is lost
//! by that is less than one part of 2^45 of r. The root is rounded down, which is less still. So the thousandths that are
//! told are those of the exact r, but where that is within 10^-9 of the middle between two of them.

use super::timeline::Slot;
use core::fmt;

/// How many slots with data it takes.
pub const SAMPLES_NEEDED: usize = 8;
/// How many slots the longest timeline has.
pub(super) const SAMPLES_MAX: usize = 72;
/// How many bits the largest deviation is scaled to.
const SCALED_BITS: u32 = 52;

/// A figure of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Requests that were decided.
    #[default]
    Requests,
    /// Requests that were refused.
    Denied,
    /// What part of the requests were refused.
    DeniedRate,
    /// Outcomes that failed.
    Errors,
    /// What part of the outcomes failed.
    ErrorRate,
    /// What was charged.
    Cost,
    /// The mean latency.
    Latency,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::Denied,
        Self::DeniedRate,
        Self::Errors,
        Self::ErrorRate,
        Self::Cost,
        Self::Latency,
    ];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Denied => "denied",
            Self::DeniedRate => "denied-rate",
            Self::Errors => "errors",
            Self::ErrorRate => "error-rate",
            Self::Cost => "cost",
            Self::Latency => "latency",
        }
    }

    /// The measure that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.word() == word)
    }

    /// The figure of a slot: rates in parts of 10^9, costs in nano-units, latencies in nanoseconds. None where there is
    /// nothing that it could be a rate or a mean of.
    #[must_use]
    pub fn of(self, slot: &Slot) -> Option<i128> {
        let part = |some: u64, all: u64| (i128::from(some) * 1_000_000_000).checked_div(i128::from(all));
        match self {
            Self::Requests => Some(slot.requests.into()),
            Self::Denied => Some(slot.denied.into()),
            Self::DeniedRate => part(slot.denied, slot.requests),
            Self::Errors => Some(slot.errors.into()),
            Self::ErrorRate => part(slot.errors, slot.outcomes),
            Self::Cost => Some(slot.cost.0),
            Self::Latency => (i128::from(slot.latency_sum_us) * 1000).checked_div(i128::from(slot.timed)),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How two measures go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correlation {
    /// Pearson's r in thousandths, -1000 to 1000, rounded.
    pub r_milli: i32,
    /// Over how many slots.
    pub n: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrelateError {
    /// Too few slots have data of both.
    TooFew {
        /// How many have.
        n: usize,
        /// How many it takes: [`SAMPLES_NEEDED`].
        needed: usize,
    },
    /// A measure is the same in all slots, and goes together with nothing.
    Constant {
        /// The measure.
        which: Measure,
    },
}

impl fmt::Display for CorrelateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { n, needed } => {
                write!(f, "too few: {n} slots have data of both, and it takes {needed}")
            }
            Self::Constant { which } => {
                write!(f, "{which} is the same in all slots, so nothing goes together with it")
            }
        }
    }
}

impl core::error::Error for CorrelateError {}

/// Pairs of figures that belong together.
#[derive(Debug)]
pub(super) struct Samples {
    columns: [[i128; SAMPLES_MAX]; 2],
    length: usize,
}

impl Samples {
    pub(super) const EMPTY: Self = Self { columns: [[0; SAMPLES_MAX]; 2], length: 0 };

    /// Takes a pair; one more than there can be slots is left out.
    pub(super) fn push(&mut self, one: i128, other: i128) {
        if self.length < SAMPLES_MAX {
            self.columns[0][self.length] = one;
            self.columns[1][self.length] = other;
            self.length += 1;
        }
    }

    pub(super) fn correlate(&mut self, measures: [Measure; 2]) -> Result<Correlation, CorrelateError> {
        let n = self.length;
        if n < SAMPLES_NEEDED {
            return Err(CorrelateError::TooFew { n, needed: SAMPLES_NEEDED });
        }
        let [mut one, mut other] = [0; 2];
        for ((column, root), which) in self.columns.iter_mut().zip([&mut one, &mut other]).zip(measures) {
            let deviations = &mut column[..n];
            scale(deviations);
            // At most 72 squares below 2^104.
            *root = deviations.iter().map(|deviation| deviation * deviation).sum::<i128>().isqrt();
            if *root == 0 {
                return Err(CorrelateError::Constant { which });
            }
        }
        let [x, y] = &self.columns;
        let together: i128 = x[..n].iter().zip(&y[..n]).map(|(x, y)| x * y).sum();
        // Roots are from 2^51 to below 2^56, and what goes together is below 2^111.
        let roots = one * other;
        let twice = together * 2000;
        let r_milli = (twice + twice.signum() * roots) / (2 * roots);
        Ok(Correlation { r_milli: i32::try_from(r_milli.clamp(-1000, 1000)).unwrap_or(0), n })
    }
}

/// Puts n·x − Σx for each x, shifted so that the largest has [`SCALED_BITS`] bits.
fn scale(values: &mut [i128]) {
    // Far above any sum of money, and so that 72 of them add up.
    const LARGEST: i128 = 1 << 110;
    let n = i128::try_from(values.len()).unwrap_or(0);
    values.iter_mut().for_each(|value| *value = (*value).clamp(-LARGEST, LARGEST));
    let sum: i128 = values.iter().sum();
    values.iter_mut().for_each(|value| *value = *value * n - sum);
    let largest = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
    let bits = u128::BITS - largest.leading_zeros();
    for value in values {
        *value = if bits > SCALED_BITS {
            *value / (1 << (bits - SCALED_BITS))
        } else {
            *value << (SCALED_BITS - bits)
        };
    }
}
