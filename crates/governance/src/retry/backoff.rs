//! How long to wait before the next attempt.

use super::{Attempt, BASE_MILLI_MIN, Backoff, PPM, RetrySpec};
use crate::time::Nanos;

/// The bits of a factor's fraction.
const FRACTION_BITS: u32 = 32;
/// The largest factor that is computed. No delay grows by more: from [`DELAY_MIN`](super::DELAY_MIN) to
/// [`DELAY_MAX`](super::DELAY_MAX) it is less than 2^27.
const FACTOR_MAX: u128 = 1 << (FRACTION_BITS + 31);

const _: () = assert!(super::DELAY_MAX.0 / super::DELAY_MIN.0 < 1 << 27);

impl RetrySpec {
    /// The delay after an attempt, before anything else has a say; none if nothing is repeated.
    pub(super) fn delay(&self, attempt: &Attempt, random: u64) -> Option<Nanos> {
        match self.backoff {
            Backoff::None => None,
            Backoff::Exponential { base_milli, jitter_ppm } => {
                let grown = self.grown(base_milli, attempt.number.max(1) - 1);
                Some(Nanos(grown.0 - draw(part(grown, jitter_ppm), random)))
            }
            Backoff::Decorrelated => {
                let previous = attempt.previous_delay.unwrap_or(self.initial_delay);
                // The cap is taken before the draw: else a third of the delays would lie exactly on it.
                let longest = previous.0.saturating_mul(3).min(self.max_delay.0).max(self.initial_delay.0);
                Some(Nanos(self.initial_delay.0 + draw(longest - self.initial_delay.0, random)))
            }
        }
    }

    /// The first delay times the base to the power of `steps`, rounded down, at most the longest delay.
    fn grown(&self, base_milli: u32, steps: u32) -> Nanos {
        let factor = power(u128::from(base_milli.max(BASE_MILLI_MIN)), steps);
        let grown = (u128::from(self.initial_delay.0) * factor) >> FRACTION_BITS;
        Nanos(u64::try_from(grown).unwrap_or(u64::MAX).min(self.max_delay.0))
    }
}

/// A base in thousandths to the power of `steps`, with [`FRACTION_BITS`], at most [`FACTOR_MAX`]. It takes at most 32
/// rounds, whatever the power is; a base of at least one keeps every square at least one.
fn power(base_milli: u128, mut steps: u32) -> u128 {
    // Both factors are at most 2^63, so that their product fits.
    let times = |a: u128, b: u128| ((a * b) >> FRACTION_BITS).min(FACTOR_MAX);
    let mut square = ((base_milli << FRACTION_BITS) / 1000).min(FACTOR_MAX);
    let mut power = 1 << FRACTION_BITS;
    while steps != 0 {
        if steps % 2 == 1 {
            power = times(power, square);
        }
        square = times(square, square);
        steps /= 2;
    }
    power
}

/// So many parts of a million of a delay, rounded down.
fn part(delay: Nanos, ppm: u32) -> u64 {
    let part = u128::from(delay.0) * u128::from(ppm.min(PPM)) / u128::from(PPM);
    u64::try_from(part).unwrap_or(delay.0)
}

/// A number from 0 to `most`, each as likely as 64 random bits allow. Multiplied and shifted, since a remainder would
/// favour small numbers.
fn draw(most: u64, random: u64) -> u64 {
    let scaled = (u128::from(random) * (u128::from(most) + 1)) >> 64;
    u64::try_from(scaled).unwrap_or(most)
}
