//! Seeded numbers: the same seed gives the same numbers on every machine and in every release.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014): one addition and three mixing steps. It is for tests and demonstrations, not for secrets.

/// A source of seeded numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A source whose numbers are decided by `seed` alone.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, any `u64` equally likely.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    ///
    /// # Panics
    /// If `low` is above `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "no number lies between {low} and {high}");
        let count = u128::from(high - low) + 1;
        let scaled = (u128::from(self.next_u64()) * count) >> 64;
        low + u64::try_from(scaled).expect("a number below 2^64 times a fraction below 1")
    }

    /// A place in a list of `length` items.
    ///
    /// # Panics
    /// If `length` is 0.
    pub fn index(&mut self, length: usize) -> usize {
        assert!(length > 0, "an empty list has no places");
        let last = u64::try_from(length - 1).expect("a length fits 64 bits");
        usize::try_from(self.between(0, last)).expect("a place is below the length")
    }

    /// One of `items`.
    ///
    /// # Panics
    /// If `items` is empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Whether something happens that does in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // Reference output of the authors' splitmix64.c for seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_range_is_reached_at_both_ends_and_never_left() {
        let mut random = Random::new(1);
        let numbers: Vec<u64> = (0..1000).map(|_| random.between(3, 6)).collect();
        assert_eq!(numbers.iter().min(), Some(&3));
        assert_eq!(numbers.iter().max(), Some(&6));
        assert_eq!(random.between(9, 9), 9);
        random.between(0, u64::MAX);
    }

    #[test]
    fn a_chance_of_nothing_never_happens_and_a_sure_one_always_does() {
        let mut random = Random::new(2);
        for _ in 0..1000 {
            assert!(!random.chance(0));
            assert!(random.chance(100));
        }
    }
}
