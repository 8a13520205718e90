//! A quick hash for values that are known, and for the beginnings of a text.
//!
//! Only configured values are looked up, and how far a lookup goes is bounded when they are stored, so that whoever
//! sends requests gains nothing by choosing what they hash to: it needs no secret. Texts are read in words at fixed
//! places, so that the hash of each beginning of a text follows from one pass.

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const FINISHER: u64 = 0xd6e8_feb8_6659_fd93;

/// What a text is a value of, so that the same text of something else has another hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salt(u16);

impl Salt {
    /// What texts of it are hashed with.
    #[inline(always)]
    const fn seed(self) -> u64 {
        (self.0 as u64).wrapping_mul(FINISHER) ^ MULTIPLIER
    }

    pub(super) const SERVICE: Self = Self(0);
    pub(super) const TENANT: Self = Self(1);
    pub(super) const ROLE: Self = Self(2);
    pub(super) const METHOD: Self = Self(3);
    pub(super) const PATH: Self = Self(4);
    pub(super) const HEADER_NAME: Self = Self(5);
    /// Header by header from here on: two for each.
    const HEADERS: u16 = 6;

    /// The whole value of the header of a number.
    pub(super) const fn header_value(number: u8) -> Self {
        Self(Self::HEADERS + 2 * number as u16)
    }

    /// How the value of the header of a number begins.
    pub(super) const fn header_prefix(number: u8) -> Self {
        Self(Self::HEADERS + 2 * number as u16 + 1)
    }

    /// The number of the header, if it is one for values or prefixes.
    pub(super) fn header_number(self) -> Option<u8> {
        u8::try_from(self.0.checked_sub(Self::HEADERS)? / 2).ok()
    }

    pub(super) const fn is_header_value(self) -> bool {
        self.0 >= Self::HEADERS && self.0.is_multiple_of(2)
    }
}

/// Whether letters are told apart by their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Insensitive,
}

impl Case {
    /// Eight bytes as they count.
    #[inline]
    const fn word(self, word: u64) -> u64 {
        match self {
            Self::Sensitive => word,
            Self::Insensitive => upper(word),
        }
    }

    /// Whether two texts are the same.
    #[inline]
    pub(super) fn is_same(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Sensitive => one == other,
            Self::Insensitive => one.eq_ignore_ascii_case(other),
        }
    }
}

/// A text that is looked up: its hash, and its first bytes as they count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) hash: u64,
    pub(super) salt: Salt,
    pub(super) case: Case,
    /// The first sixteen bytes, filled up with zeros.
    pub(super) head: [u64; 2],
    pub(super) text: &'a [u8],
}

impl<'a> Key<'a> {
    /// A text, which is one of what `salt` stands for.
    #[inline(always)] // to stay in registers: a key lives for one lookup
    pub(super) fn new(salt: Salt, case: Case, text: &'a [u8]) -> Self {
        let head = head(text).map(|word| case.word(word));
        let hash =
            if text.len() <= HEAD { short(salt, head, text.len()) } else { long(salt, case, head, text) };
        Self { hash, salt, case, head, text }
    }
}

/// The beginnings of a text, as keys.
pub(super) struct Beginnings<'a> {
    salt: Salt,
    text: &'a [u8],
    head: [u64; 2],
    state: u64,
    /// How many whole words are in the state.
    absorbed: usize,
}

impl<'a> Beginnings<'a> {
    #[inline]
    pub(super) fn new(salt: Salt, text: &'a [u8]) -> Self {
        let head = head(text);
        Self { salt, text, head, state: start(salt, head), absorbed: 2 }
    }

    /// The first `length` bytes, of which there are as many. Lengths only grow.
    #[inline]
    pub(super) fn key(&mut self, length: usize) -> Key<'a> {
        let below = |bytes: usize| if bytes < 8 { !(u64::MAX << (8 * bytes)) } else { u64::MAX };
        let head = [self.head[0] & below(length), self.head[1] & below(length.saturating_sub(8))];
        let text = self.text.get(..length).unwrap_or(self.text);
        let hash = if length <= HEAD { short(self.salt, head, length) } else { self.long(text) };
        Key { hash, salt: self.salt, case: Case::Sensitive, head, text }
    }

    fn long(&mut self, text: &[u8]) -> u64 {
        let (words, _) = text.as_chunks();
        for word in words.get(self.absorbed..).unwrap_or_default() {
            self.state = absorb(self.state, u64::from_le_bytes(*word));
        }
        self.absorbed = words.len();
        finish(self.state, rest(text), text.len())
    }
}

/// How many bytes a head has.
const HEAD: usize = 16;

/// The hash of a text that is not longer than its head.
#[inline(always)]
fn short(salt: Salt, head: [u64; 2], length: usize) -> u64 {
    folded(head[0] ^ salt.seed(), head[1] ^ FINISHER ^ length as u64)
}

#[inline(never)]
fn long(salt: Salt, case: Case, head: [u64; 2], text: &[u8]) -> u64 {
    let (words, _) = text.as_chunks();
    let absorbed = words
        .iter()
        .skip(2)
        .fold(start(salt, head), |state, word| absorb(state, case.word(u64::from_le_bytes(*word))));
    finish(absorbed, case.word(rest(text)), text.len())
}

#[inline]
fn start(salt: Salt, head: [u64; 2]) -> u64 {
    folded(head[0] ^ salt.seed(), head[1] ^ MULTIPLIER)
}

#[inline]
fn absorb(state: u64, word: u64) -> u64 {
    folded(state ^ word, MULTIPLIER)
}

#[inline]
fn finish(state: u64, rest: u64, length: usize) -> u64 {
    folded(state ^ rest, FINISHER ^ length as u64)
}

/// The first sixteen bytes, filled up with zeros.
#[inline(always)]
fn head(text: &[u8]) -> [u64; 2] {
    let Some(first) = text.first_chunk() else { return [rest(text), 0] };
    let first = u64::from_le_bytes(*first);
    let second = match text.get(8..HEAD).and_then(|second| second.first_chunk()) {
        Some(second) => u64::from_le_bytes(*second),
        None => rest(text),
    };
    [first, second]
}

/// Both halves of a product, one over the other.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let (low, high) = one.carrying_mul(other, 0);
    low ^ high
}

/// The bytes behind the last whole word, filled up with zeros.
#[inline]
fn rest(text: &[u8]) -> u64 {
    let behind = text.len() % 8;
    if behind == 0 {
        return 0;
    }
    if let Some(last) = text.last_chunk() {
        return u64::from_le_bytes(*last) >> (64 - 8 * behind);
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * behind - 32);
    }
    text.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Eight bytes with the letters of ASCII in upper case.
#[inline]
const fn upper(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = word & (0x7f * EACH);
    let from_a = seven + (0x80 - b'a' as u64) * EACH;
    let behind_z = seven + (0x7f - b'z' as u64) * EACH;
    let lower = (from_a ^ behind_z) & !word & (0x80 * EACH);
    word ^ (lower >> 2)
}

#[cfg(test)]
mod tests {
    use super::{Beginnings, Case, Key, Salt, upper};
    use proptest::prelude::{ProptestConfig, any, prop, proptest};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn a_beginning_is_the_key_of_the_text_that_it_is(text in prop::collection::vec(any::<u8>(), 0..60), number in 0_u8..16) {
            let salt = Salt::header_prefix(number);
            let mut beginnings = Beginnings::new(salt, &text);
            for length in 0..=text.len() {
                let (one, other) = (beginnings.key(length), Key::new(salt, Case::Sensitive, &text[..length]));
                assert_eq!((one.hash, one.head, one.text), (other.hash, other.head, other.text));
                let mut head = text[..length.min(16)].to_vec();
                head.resize(16, 0);
                assert_eq!(one.head.map(u64::to_le_bytes).concat(), head);
            }
        }

        #[test]
        fn case_counts_where_it_does(bytes in any::<[u8; 8]>(), text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut expected = bytes;
            expected.make_ascii_uppercase();
            assert_eq!(upper(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
            let key = |case, text: &[u8]| {
                let key = Key::new(Salt::METHOD, case, text);
                (key.hash, key.head)
            };
            let known = key(Case::Insensitive, &text);
            assert_eq!(known, key(Case::Insensitive, &text.to_ascii_lowercase()));
            assert_eq!(known, key(Case::Sensitive, &text.to_ascii_uppercase()));
        }
    }
}
