//! What a breaker remembers of calls: a window of them while it is closed, permits that are out while it is half-open.

use super::spec::{BREAKER_CALLS_MAX, BREAKER_PROBES_MAX};
use crate::time::{Instant, Nanos};

/// How many words both have.
const WORDS: usize = 16;
/// How many buckets a span of time is cut into, as a power of two, so that no division is needed.
const BUCKETS_LOG2: u32 = 4;
/// The bits of a count in a bucket of time.
const COUNT_BITS: u32 = 21;
/// The most calls that a bucket of time counts; those beyond have no part in the window.
pub(super) const BUCKET_CALLS_MAX: u64 = (1 << COUNT_BITS) - 1;
/// Where the marks of slow calls begin; those of failed calls are in the words before.
const SLOW_WORD: usize = 2;

const _: () = assert!(1 << BUCKETS_LOG2 == WORDS);
const _: () = assert!(BREAKER_PROBES_MAX as usize <= WORDS);
const _: () = assert!(BREAKER_CALLS_MAX as usize <= SLOW_WORD * 64);
const _: () = assert!(3 * COUNT_BITS <= 64);

/// The window or the permits, and the totals of whichever it is. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// A window of calls: a bit for each that has failed in the first two words, one for each that was slow in the
    /// next two. A window of time: in each bucket all calls, those that have failed and those that were slow, from the
    /// lowest bits on. Half-open: when each permit comes back by itself, 0 for one that is not out.
    words: [u64; WORDS],
    /// How often each place has been given as a permit, ever.
    turns: [u16; WORDS],
    /// A window of time: when the current bucket began. Open: until when.
    mark: u64,
    total: u32,
    failed: u32,
    slow: u32,
    /// A window of calls: the place of the next one. A window of time: the current bucket.
    cursor: u8,
}

impl Memory {
    pub(super) const EMPTY: Self =
        Self { words: [0; WORDS], turns: [0; WORDS], mark: 0, total: 0, failed: 0, slow: 0, cursor: 0 };

    /// Forgets everything but how often each place has been given: that tells a permit from an earlier one.
    pub(super) const fn clear(&mut self) {
        *self = Self { turns: self.turns, ..Self::EMPTY };
    }

    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    pub(super) const fn slow(&self) -> u32 {
        self.slow
    }

    pub(super) const fn open_until(&self) -> Instant {
        Instant(self.mark)
    }

    pub(super) const fn set_open_until(&mut self, until: Instant) {
        self.mark = until.0;
    }

    /// A call in a window of the last `calls`.
    pub(super) fn push_call(&mut self, calls: u32, failed: u32, slow: u32) {
        let place = u32::from(self.cursor);
        let (word, bit) = (usize::from(self.cursor >> 6) % SLOW_WORD, place & 63);
        let was = |words: &[u64; WORDS], word: usize| u32::from(words[word] >> bit & 1 == 1);
        // What has not been filled yet is zero.
        self.failed = self.failed.saturating_add(failed).saturating_sub(was(&self.words, word));
        self.slow = self.slow.saturating_add(slow).saturating_sub(was(&self.words, SLOW_WORD + word));
        self.total = self.total.saturating_add(1).min(calls);
        for (word, mark) in [(word, failed), (SLOW_WORD + word, slow)] {
            self.words[word] = self.words[word] & !(1 << bit) | u64::from(mark) << bit;
        }
        let next = place + 1;
        self.cursor = if next >= calls { 0 } else { u8::try_from(next).unwrap_or(0) };
    }

    /// A call in a window of the last `span` of time. The first call of an empty window begins its bucket.
    pub(super) fn push_at(&mut self, now: Instant, span: Nanos, failed: u32, slow: u32) {
        let length = span.0 >> BUCKETS_LOG2;
        let mut steps = 0;
        while self.total != 0 && now.since(Instant(self.mark)).0 >= length && steps < WORDS {
            self.mark += length;
            self.cursor = self.cursor.wrapping_add(1) % (1 << BUCKETS_LOG2);
            let gone = core::mem::take(&mut self.words[usize::from(self.cursor) % WORDS]);
            self.total = self.total.saturating_sub(count(gone, 0));
            self.failed = self.failed.saturating_sub(count(gone, 1));
            self.slow = self.slow.saturating_sub(count(gone, 2));
            steps += 1;
        }
        if steps == WORDS {
            (self.total, self.failed, self.slow) = (0, 0, 0);
        }
        if self.total == 0 {
            self.mark = now.0;
        }
        let bucket = &mut self.words[usize::from(self.cursor) % WORDS];
        if *bucket & BUCKET_CALLS_MAX < BUCKET_CALLS_MAX {
            // Wrapping, for a window of another kind that was not forgotten.
            *bucket = bucket
                .wrapping_add(1 | u64::from(failed) << COUNT_BITS | u64::from(slow) << (2 * COUNT_BITS));
            self.push_probe(failed, slow);
        }
    }

    /// A call whose place is not remembered.
    pub(super) const fn push_probe(&mut self, failed: u32, slow: u32) {
        self.total = self.total.saturating_add(1);
        self.failed = self.failed.saturating_add(failed);
        self.slow = self.slow.saturating_add(slow);
    }

    /// When the first of the permits that are out comes back by itself, if as many as `places` are out.
    pub(super) fn first_return(&self, now: Instant, places: u32) -> Option<Instant> {
        let mut first = u64::MAX;
        let mut out = 0;
        for &expiry in &self.words {
            if expiry > now.0 {
                out += 1;
                first = first.min(expiry);
            }
        }
        (out >= places.min(BREAKER_PROBES_MAX)).then_some(Instant(first))
    }

    /// Gives out a place until `expiry`: which one, and how often it had been given. None if all are out.
    pub(super) fn take_place(&mut self, now: Instant, expiry: Instant) -> Option<(u8, u16)> {
        // All of them, not only the one that is given: what has come back stays so, whatever the clock does.
        for word in &mut self.words {
            if *word <= now.0 {
                *word = 0;
            }
        }
        let place = self.words.iter().position(|&word| word == 0)?;
        self.words[place] = expiry.0;
        self.turns[place] = self.turns[place].wrapping_add(1);
        Some((u8::try_from(place).ok()?, self.turns[place]))
    }

    /// Takes a place back, and says whether it was still out.
    pub(super) fn take_back(&mut self, place: u8, turn: u16, now: Instant) -> bool {
        let place = usize::from(place) % WORDS;
        if self.turns[place] != turn {
            return false;
        }
        core::mem::take(&mut self.words[place]) > now.0
    }

    /// How many places are not free.
    pub(super) fn places_taken(&self) -> u32 {
        self.words.iter().map(|&word| u32::from(word != 0)).sum()
    }
}

/// One of the three counts in a bucket of time.
fn count(bucket: u64, which: u32) -> u32 {
    u32::try_from(bucket >> (which * COUNT_BITS) & BUCKET_CALLS_MAX).unwrap_or(0)
}
