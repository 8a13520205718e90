//! The lengths that texts have.

use crate::policy::condition::CONDITION_TEXT_BYTES;

const WORDS: usize = CONDITION_TEXT_BYTES / 64 + 1;

/// Lengths of texts of a condition. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    words: [u64; WORDS],
}

impl Lengths {
    pub(super) const EMPTY: Self = Self { words: [0; WORDS] };

    pub(super) fn insert(&mut self, length: usize) {
        if let Some(word) = self.words.get_mut(length / 64) {
            *word |= 1 << (length % 64);
        }
    }

    #[inline]
    pub(super) fn contains(&self, length: usize) -> bool {
        self.words.get(length / 64).is_some_and(|word| word & 1 << (length % 64) != 0)
    }

    /// Calls `each` with every length up to `most`, the shortest first.
    #[inline]
    pub(super) fn each(&self, most: usize, mut each: impl FnMut(usize)) {
        for (place, &word) in self.words.iter().enumerate().take(most / 64 + 1) {
            let mut rest = word;
            while rest != 0 {
                let length = place * 64 + rest.trailing_zeros() as usize;
                if length > most {
                    return;
                }
                each(length);
                rest &= rest - 1;
            }
        }
    }
}
