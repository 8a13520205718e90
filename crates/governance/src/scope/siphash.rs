//! SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input PRF") of a header and a name.
//!
//! The message is read in whole words straight from the name. Copying header and name into one buffer first would
//! cost more than the hash itself, and this is on the path of every decision.

use super::HashSecret;

/// The bytes that the header takes in the message, before the name.
const HEADER_BYTES: usize = 3;

/// The hash of the message that consists of the header and the name.
#[inline]
pub(super) fn hash(secret: &HashSecret, header: [u8; HEADER_BYTES], name: &[u8]) -> u64 {
    let [a, b, c] = header;
    let header = u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]);
    let length = (HEADER_BYTES + name.len()) as u64;
    let mut state = State::new(secret);
    // What is left for the last word, whose highest byte is the length.
    let left = if let (Some(first), Some(end)) = (name.first_chunk(), name.last_chunk()) {
        state.absorb(header | u64::from_le_bytes(*first) << (8 * HEADER_BYTES));
        let (words, rest) = name[8 - HEADER_BYTES..].as_chunks();
        for word in words {
            state.absorb(u64::from_le_bytes(*word));
        }
        // At most seven bytes are left, and they are the highest of the name's last word.
        u64::from_le_bytes(*end) >> 8 >> (8 * (7 - rest.len() % 8))
    } else {
        let short = name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let first = header | short << (8 * HEADER_BYTES);
        if length < 8 {
            first
        } else {
            state.absorb(first);
            short >> (64 - 8 * HEADER_BYTES)
        }
    };
    state.absorb(left | length << 56);
    state.finish()
}

/// The state, in the paper's names.
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    /// The paper's constants spell "somepseudorandomlygeneratedbytes".
    const fn new(secret: &HashSecret) -> Self {
        Self {
            v0: secret.k0 ^ 0x736f_6d65_7073_6575,
            v1: secret.k1 ^ 0x646f_7261_6e64_6f6d,
            v2: secret.k0 ^ 0x6c79_6765_6e65_7261,
            v3: secret.k1 ^ 0x7465_6462_7974_6573,
        }
    }

    #[inline]
    const fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline]
    const fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    #[inline]
    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::hash;
    use crate::scope::{HashSecret, NAME_BYTES_MAX};
    use siphasher::sip::SipHasher13;

    #[test]
    fn equals_the_reference_at_every_length() {
        let mut name = [0xa5u8; NAME_BYTES_MAX];
        for index in 1..name.len() {
            name[index] = name[index - 1].wrapping_mul(151) ^ 0x5a;
        }
        for (k0, k1) in [(0, 0), (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908), (u64::MAX, 7)] {
            for length in 0..=name.len() {
                let header = [9, 255, u8::try_from(length).unwrap()];
                let mut message = header.to_vec();
                message.extend(&name[..length]);
                let expected = SipHasher13::new_with_keys(k0, k1).hash(&message);
                assert_eq!(hash(&HashSecret { k0, k1 }, header, &name[..length]), expected, "{length} bytes");
            }
        }
    }
}
