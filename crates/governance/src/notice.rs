//! Notices: what an operator wants to hear of once, when it happens, and not again while it lasts.
//!
//! A stage keeps its last notices in a ring. A reader remembers the number that [`Notices::next`] gave it and asks
//! later for what has come since. All-zero when empty.

/// A ring of the last `N` notices, numbered from 0.
#[derive(Debug)]
pub struct Notices<T, const N: usize> {
    // Not options of them: none of something with a niche is not all-zero.
    ring: [T; N],
    next: u64,
}

impl<T: Copy, const N: usize> Notices<T, N> {
    /// No notices yet; `empty` fills the ring, and should be all-zero.
    pub(crate) const fn new(empty: T) -> Self {
        assert!(N > 0, "a ring has room for one");
        Self { ring: [empty; N], next: 0 }
    }

    /// The number that the next notice will have: how many there have been.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The notices from number `from` on, oldest first, as far as they are still kept.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &T> + '_ {
        let oldest = self.next.saturating_sub(N as u64);
        (from.max(oldest)..self.next).map(|number| &self.ring[Self::slot(number)])
    }

    pub(crate) fn push(&mut self, notice: T) {
        self.ring[Self::slot(self.next)] = notice;
        self.next += 1;
    }

    pub(crate) const fn clear(&mut self) {
        self.next = 0;
    }

    fn slot(number: u64) -> usize {
        usize::try_from(number % N as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Notices;

    #[test]
    fn a_reader_gets_what_has_come_since_as_far_as_it_is_kept() {
        let mut notices = Notices::<u32, 4>::new(0);
        let from = notices.next();
        assert_eq!(notices.since(from).count(), 0);
        (0..3).for_each(|number| notices.push(number));
        assert_eq!(notices.since(from).copied().collect::<Vec<_>>(), [0, 1, 2]);
        (3..6).for_each(|number| notices.push(number));
        assert_eq!(notices.since(from).copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(notices.since(5).copied().collect::<Vec<_>>(), [5]);
    }
}
