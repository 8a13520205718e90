//! A histogram of fixed size over 36 bits, for percentiles: log-linear, with 5 mantissa bits.
//!
//! Values below 32 have a bucket each; above, each doubling is cut into 32 buckets of one width. A percentile is told
//! as the middle of its bucket, which is at most 1/64 (1.5625 %) away from the true value. Values of 2^36 and more
//! count as 2^36 - 1: in microseconds, that is 19 hours. All-zero when empty.

/// How many buckets there are.
pub const BUCKETS: usize = 1024;
const MANTISSA_BITS: u32 = 5;
/// The largest value that is told apart from larger ones.
pub const VALUE_MAX: u64 = (1 << 36) - 1;

const _: () = assert!(index(VALUE_MAX) == BUCKETS - 1, "the last bucket holds the largest value");

/// How often each size of a value was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Histogram {
    /// A histogram without values.
    pub const EMPTY: Self = Self { counts: [0; BUCKETS], total: 0 };

    /// Counts a value. A bucket that has been hit 2^32 - 1 times takes no more.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let count = &mut self.counts[index(value)];
        if *count < u32::MAX {
            *count += 1;
            self.total += 1;
        }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        *self = Self::EMPTY;
    }

    /// Adds the values of another one.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            let sum = count.saturating_add(*more);
            self.total += u64::from(sum - *count);
            *count = sum;
        }
    }

    /// The value that `permille` of a thousand do not exceed, by nearest rank, as the middle of its bucket; none if
    /// there are no values, and the largest for 1000 and more.
    #[must_use]
    pub fn percentile(&self, permille: u32) -> Option<u64> {
        percentiles(&[self], [permille]).map(|[value]| value)
    }
}

/// What [`Histogram::percentile`] would say to each of `permilles`, lowest first, of the values of all `parts`.
#[must_use]
pub(crate) fn percentiles<const P: usize>(parts: &[&Histogram], permilles: [u32; P]) -> Option<[u64; P]> {
    // No more than a few parts of 1024 counts of 32 bits each.
    let total: u64 = parts.iter().map(|part| part.total).sum();
    if total == 0 {
        return None;
    }
    let ranks =
        permilles.map(|permille| (u128::from(total) * u128::from(permille.min(1000))).div_ceil(1000).max(1));
    let (mut seen, mut told, mut values) = (0, 0, [0; P]);
    for bucket in 0..BUCKETS {
        seen += parts.iter().map(|part| u128::from(part.counts[bucket])).sum::<u128>();
        while ranks.get(told).is_some_and(|rank| seen >= *rank) {
            values[told] = middle(bucket);
            told += 1;
        }
    }
    Some(values)
}

/// The bucket of a value.
#[inline]
const fn index(value: u64) -> usize {
    let value = if value > VALUE_MAX { VALUE_MAX } else { value };
    // Below 2^5 the shift is 0, and the value is its own bucket.
    let shift = (value | (1 << MANTISSA_BITS)).ilog2() - MANTISSA_BITS;
    // The leading one of the shifted value adds one more step of 32 where there is a shift.
    let step = (shift as u64) << MANTISSA_BITS;
    narrow(step + (value >> shift))
}

/// The middle of a bucket, rounded down.
const fn middle(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 << MANTISSA_BITS {
        return index;
    }
    let shift = (index >> MANTISSA_BITS) - 1;
    let lowest = ((index & ((1 << MANTISSA_BITS) - 1)) | (1 << MANTISSA_BITS)) << shift;
    lowest + (((1 << shift) - 1) >> 1)
}

/// A number of a bucket, which is below [`BUCKETS`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most 1023, as VALUE_MAX and the mantissa bits have it"
)]
const fn narrow(index: u64) -> usize {
    index as usize & (BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, VALUE_MAX, index, middle};
    use proptest::prelude::{ProptestConfig, prop, proptest};

    /// Values that cover every bucket at its ends, its middle and beside them.
    fn samples() -> impl Iterator<Item = u64> {
        let powers = (0..36).flat_map(|bits| {
            let base = 1_u64 << bits;
            (0..256).map(move |part| base + (base * part) / 256)
        });
        let ends = powers.clone().flat_map(|value| [value.saturating_sub(1), value, value + 1]);
        (0..100_000).chain(ends).chain([VALUE_MAX - 1, VALUE_MAX]).filter(|value| *value <= VALUE_MAX)
    }

    #[test]
    fn the_middle_of_a_bucket_is_at_most_a_64th_away_from_each_of_its_values() {
        for value in samples() {
            let told = middle(index(value));
            assert!(told.abs_diff(value) * 64 <= value, "{value} is told as {told}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut sorted: Vec<_> = samples().collect();
        sorted.sort_unstable();
        let mut last = 0;
        for value in sorted {
            let index = index(value);
            assert!(index == last || index == last + 1, "{value}: {last} is followed by {index}");
            last = index;
        }
        assert_eq!(last, BUCKETS - 1);
        assert!((0..BUCKETS).all(|bucket| index(middle(bucket)) == bucket));
    }

    #[test]
    fn larger_values_count_as_the_largest() {
        let mut histogram = Histogram::EMPTY;
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentile(500), Some(middle(BUCKETS - 1)));
    }

    #[test]
    fn an_empty_histogram_has_no_percentile() {
        let mut histogram = Histogram::EMPTY;
        assert_eq!((histogram.percentile(950), histogram.is_empty()), (None, true));
        histogram.record(7);
        assert_eq!((histogram.percentile(0), histogram.percentile(2000)), (Some(7), Some(7)));
        histogram.clear();
        assert_eq!((histogram.percentile(950), histogram.len()), (None, 0));
    }

    #[test]
    fn a_full_bucket_takes_no_more() {
        let mut histogram = Histogram::EMPTY;
        histogram.counts[5] = u32::MAX - 1;
        histogram.total = u64::from(u32::MAX - 1);
        (0..3).for_each(|_| histogram.record(5));
        assert_eq!(histogram.len(), u64::from(u32::MAX));
        let other = histogram;
        histogram.merge(&other);
        assert_eq!((histogram, histogram.percentile(1000)), (other, Some(5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn percentiles_are_those_of_a_sorted_list(
            values in prop::collection::vec((0..36_u32, 0..u64::MAX), 1..300), cut in 0..300_usize, permille in 0..1001_u32,
        ) {
            let mut values: Vec<_> = values.iter().map(|(bits, value)| value >> (63 - bits)).collect();
            let (mut first, mut second) = (Histogram::EMPTY, Histogram::EMPTY);
            for (place, value) in values.iter().enumerate() {
                if place < cut { first.record(*value) } else { second.record(*value) }
            }
            first.merge(&second);
            values.sort_unstable();
            let rank = (values.len() * usize::try_from(permille).unwrap()).div_ceil(1000).max(1);
            let value = values[rank - 1];
            assert_eq!(first.percentile(permille), Some(middle(index(value))));
            assert_eq!(first.len(), values.len() as u64);
        }
    }
}
