//! The keys that every table is asked about, and the random order in which they are.

/// `count` different names, half of them like users, half of them like addresses.
pub fn names(count: u32) -> Vec<String> {
    (0..count)
        .map(|index| {
            let number = index / 2;
            if index % 2 == 0 {
                format!("user-{number:07}")
            } else {
                format!("10.{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff)
            }
        })
        .collect()
}

/// An endless random choice out of `count` things, the same for the same seed (xorshift64*, Vigna).
pub struct Picks {
    state: u64,
    count: u64,
}

impl Picks {
    /// Choices out of `count`, which is at least 1.
    pub fn new(seed: u64, count: usize) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, count: count as u64 }
    }

    /// The next choice, from 0.
    #[inline]
    pub fn next(&mut self) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((random * self.count) >> 32) as usize
    }
}
