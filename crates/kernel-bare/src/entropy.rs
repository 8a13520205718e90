//! The secret of this boot, under which keys are hashed, so that nobody outside can aim at one slot.

use x86_64::instructions::random::RdRand;

use crate::arch::cpu;

/// How hard the secret is to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// From the processor's random number generator.
    Random,
    /// From clocks only: someone who knows when the machine was started can guess it.
    Guessable,
}

/// A secret of 128 bits.
#[derive(Clone, Copy)]
pub struct Secret {
    /// Its two halves.
    pub words: [u64; 2],
    /// How hard it is to guess.
    pub quality: Quality,
}

/// Makes a secret; `salt` is mixed in where there is nothing better.
#[must_use]
pub fn secret(salt: u64) -> Secret {
    if let Some(words) = random_word().zip(random_word()) {
        return Secret { words: words.into(), quality: Quality::Random };
    }
    let mut state = salt;
    let mut word = || {
        for _ in 0..64 {
            state = mix(state ^ cpu::ticks());
        }
        state
    };
    Secret { words: [word(), word()], quality: Quality::Guessable }
}

fn random_word() -> Option<u64> {
    const ATTEMPTS: u32 = 10; // Intel's advice: more failures in a row mean that the generator is broken
    let generator = RdRand::new()?;
    // A generator that gives only ones or zeros is a known defect after resuming from sleep.
    (0..ATTEMPTS).find_map(|_| generator.get_u64()).filter(|&word| word != 0 && word != u64::MAX)
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
