//! The entries of all exact windows: one static pool of (time, amount), linked into a queue for each bucket.

/// How many entries of a log are looked at to tell a refused request when to come back. Anybody can make a log long
/// and then be refused at will, and no refusal is to take longer than a decision can.
pub(crate) const WALK_MAX: usize = 1024;

/// An entry's place in the pool, plus one; 0 stands for no entry, so that an empty pool is all-zero.
type Link = u32;

/// What was charged at one time.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    amount: u64,
    next: Link,
    /// How often the entry has been given back, so that an outdated mark is known.
    generation: u32,
}

/// An entry of a log that a hold was charged into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryMark {
    link: Link,
    generation: u32,
}

/// The queue of entries of one bucket, oldest first, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    head: Link,
    tail: Link,
    sum: u64,
}

impl Log {
    /// The sum of the amounts.
    pub(crate) const fn sum(&self) -> u64 {
        self.sum
    }
}

/// The pool has no entry left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolExhausted;

/// A pool of `ENTRIES` entries. All-zero when empty.
#[derive(Debug)]
pub(crate) struct LogPool<const ENTRIES: usize> {
    entries: [Entry; ENTRIES],
    /// Entries that were given back, linked.
    free: Link,
    /// How many entries have ever been taken from the end.
    touched: usize,
    in_use: usize,
    /// How many free entries are promised to charges of the request at hand.
    promised: usize,
}

impl<const ENTRIES: usize> LogPool<ENTRIES> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [Entry { at: 0, amount: 0, next: 0, generation: 0 }; ENTRIES],
            free: 0,
            touched: 0,
            in_use: 0,
            promised: 0,
        }
    }

    /// Forgets every entry, in place. The logs that held them must be forgotten too.
    pub(crate) const fn clear(&mut self) {
        (self.free, self.touched, self.in_use, self.promised) = (0, 0, 0, 0);
    }

    pub(crate) const fn in_use(&self) -> usize {
        self.in_use
    }

    /// Whether `log` can take an amount at `at`, into its last entry or into one from the pool; and keeps that one for
    /// it as long as other limits of the request are still asked. Without this, two exact windows could count on the
    /// same last entry.
    pub(crate) fn promise(&mut self, log: &Log, at: u64) -> bool {
        if self.entry(log.tail).is_some_and(|tail| tail.at == at) {
            return true;
        }
        let has_room = self.in_use + self.promised < ENTRIES;
        self.promised += usize::from(has_room);
        has_room
    }

    /// Whether `log` can take an amount at `at` and leave a quarter of the pool to others.
    pub(crate) fn can_spare(&self, log: &Log, at: u64) -> bool {
        self.last(log) == Some(at) || self.in_use < ENTRIES - ENTRIES / 4
    }

    /// Takes back what was promised: the request has been decided.
    pub(crate) const fn forget_promises(&mut self) {
        self.promised = 0;
    }

    /// Appends an amount to the log. Amounts charged at the same time share an entry.
    pub(crate) fn push(&mut self, log: &mut Log, at: u64, amount: u64) -> Result<(), PoolExhausted> {
        if let Some(tail) = self.entry_mut(log.tail)
            && tail.at == at
        {
            tail.amount = tail.amount.saturating_add(amount);
        } else {
            let link = self.take(at, amount)?;
            match self.entry_mut(log.tail) {
                Some(tail) => tail.next = link,
                None => log.head = link,
            }
            log.tail = link;
        }
        log.sum = log.sum.saturating_add(amount);
        Ok(())
    }

    /// Drops the entries charged at or before `until`. Each entry is dropped once, so that a charge pays for it.
    pub(crate) fn expire(&mut self, log: &mut Log, until: u64) {
        while let Some(head) = self.entry(log.head).filter(|head| head.at <= until) {
            log.sum -= head.amount.min(log.sum);
            self.give_back(log.head);
            log.head = head.next;
        }
        if log.head == 0 {
            *log = Log::default();
        }
    }

    /// Gives back all entries of the log at once.
    pub(crate) fn release(&mut self, log: &mut Log) {
        self.expire(log, u64::MAX);
    }

    /// Takes `amount` off the log, from the oldest entries on, which are the ones a limit waits for.
    /// An emptied entry stays until its time, at no weight.
    pub(crate) fn subtract(&mut self, log: &mut Log, amount: u64) {
        let mut left = amount.min(log.sum);
        log.sum -= left;
        let mut link = log.head;
        while left > 0
            && let Some(entry) = self.entry_mut(link)
        {
            let taken = left.min(entry.amount);
            entry.amount -= taken;
            left -= taken;
            link = entry.next;
        }
    }

    /// The time of the entry with whose expiry `amount` has left the log, if there is so much in it. Where that takes
    /// more than [`WALK_MAX`] entries, the time of the last one, by which it has left for certain.
    pub(crate) fn time_when_freed(&self, log: &Log, amount: u128) -> Option<u64> {
        if u128::from(log.sum) < amount {
            return None;
        }
        let mut freed = 0;
        let mut link = log.head;
        for _ in 0..WALK_MAX {
            let entry = self.entry(link)?;
            freed += u128::from(entry.amount);
            if freed >= amount {
                return Some(entry.at);
            }
            link = entry.next;
        }
        self.last(log)
    }

    /// The last entry.
    pub(crate) fn mark(&self, log: &Log) -> EntryMark {
        let generation = self.entry(log.tail).map_or(0, |tail| tail.generation);
        EntryMark { link: log.tail, generation }
    }

    /// Takes `amount` off an entry that was marked in this log, or as much as there is of it. False if it has left.
    pub(crate) fn subtract_from(&mut self, log: &mut Log, mark: EntryMark, at: u64, amount: u64) -> bool {
        let Some(entry) = self.marked_mut(mark, at) else { return false };
        let taken = amount.min(entry.amount);
        entry.amount -= taken;
        log.sum = log.sum.saturating_sub(taken);
        true
    }

    /// Adds `amount` to an entry that was marked in this log. False if it has left.
    pub(crate) fn add_to(&mut self, log: &mut Log, mark: EntryMark, at: u64, amount: u64) -> bool {
        let Some(entry) = self.marked_mut(mark, at) else { return false };
        entry.amount = entry.amount.saturating_add(amount);
        log.sum = log.sum.saturating_add(amount);
        true
    }

    /// Notes an amount that belongs to an earlier time than the last entry has, if not in an entry of its own then in the
    /// last. False if there is no entry.
    pub(crate) fn push_late(&mut self, log: &mut Log, at: u64, amount: u64) -> bool {
        let at = self.last(log).map_or(at, |last| last.max(at));
        let last = self.mark(log);
        self.push(log, at, amount).is_ok() || {
            let at = self.last(log).unwrap_or(at);
            self.add_to(log, last, at, amount)
        }
    }

    fn marked_mut(&mut self, mark: EntryMark, at: u64) -> Option<&mut Entry> {
        // The time stands beside the generation, which begins again after 2^32.
        self.entry_mut(mark.link).filter(|entry| entry.generation == mark.generation && entry.at == at)
    }

    /// The time of the last entry.
    pub(crate) fn last(&self, log: &Log) -> Option<u64> {
        self.entry(log.tail).map(|tail| tail.at)
    }

    /// The time of the last entry that has weight, found like [`LogPool::time_when_freed`] where that is not the last of
    /// all: what it was charged with may have come back.
    pub(crate) fn last_with_weight(&self, log: &Log) -> Option<u64> {
        match self.entry(log.tail) {
            Some(tail) if tail.amount > 0 => Some(tail.at),
            _ if log.sum > 0 => self.time_when_freed(log, u128::from(log.sum)),
            _ => None,
        }
    }

    fn take(&mut self, at: u64, amount: u64) -> Result<Link, PoolExhausted> {
        let link = if let Some(free) = self.entry(self.free) {
            let link = self.free;
            self.free = free.next;
            link
        } else if self.touched < ENTRIES {
            self.touched += 1;
            Link::try_from(self.touched).map_err(|_| PoolExhausted)?
        } else {
            return Err(PoolExhausted);
        };
        if let Some(place) = self.entry_mut(link) {
            *place = Entry { at, amount, next: 0, ..*place };
        }
        self.in_use += 1;
        Ok(link)
    }

    fn give_back(&mut self, link: Link) {
        let free = self.free;
        if let Some(entry) = self.entry_mut(link) {
            entry.next = free;
            entry.generation = entry.generation.wrapping_add(1);
            self.free = link;
            self.in_use -= 1;
        }
    }

    fn entry(&self, link: Link) -> Option<Entry> {
        self.entries.get((link as usize).checked_sub(1)?).copied()
    }

    fn entry_mut(&mut self, link: Link) -> Option<&mut Entry> {
        self.entries.get_mut((link as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, LogPool, PoolExhausted, WALK_MAX};
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::VecDeque;

    #[test]
    fn the_pool_gives_exactly_its_entries_and_takes_them_back() {
        let mut pool = LogPool::<3>::new();
        let (mut first, mut second) = (Log::default(), Log::default());
        for at in 1..=3 {
            pool.push(&mut first, at, 1).unwrap();
        }
        assert_eq!(pool.push(&mut second, 3, 1), Err(PoolExhausted));
        assert!(!pool.promise(&second, 3));
        assert!(pool.promise(&first, 3), "the same time shares an entry");
        pool.push(&mut first, 3, 5).unwrap();
        assert_eq!((first.sum(), pool.in_use()), (8, 3));
        pool.expire(&mut first, 2);
        pool.push(&mut second, 4, 1).unwrap();
        pool.release(&mut first);
        pool.release(&mut second);
        assert_eq!((first, second, pool.in_use()), (Log::default(), Log::default(), 0));
    }

    #[test]
    fn a_walk_over_a_long_log_ends_at_a_bound_with_a_time_that_is_late_enough() {
        let mut pool = Box::new(LogPool::<{ 2 * WALK_MAX }>::new());
        let mut log = Log::default();
        let most = u64::try_from(WALK_MAX).unwrap();
        for at in 1..=2 * most {
            pool.push(&mut log, at, 1).unwrap();
        }
        assert_eq!(pool.time_when_freed(&log, u128::from(most)), Some(most), "exact up to the bound");
        assert_eq!(pool.time_when_freed(&log, u128::from(most) + 1), Some(2 * most));
        assert_eq!(pool.time_when_freed(&log, u128::from(2 * most)), Some(2 * most));
        assert_eq!(pool.time_when_freed(&log, u128::from(2 * most) + 1), None);
        // Entries without weight are looked at like others.
        pool.subtract(&mut log, most);
        assert_eq!(pool.time_when_freed(&log, 1), Some(2 * most));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
        #[test]
        fn equals_a_queue_for_each_log(steps in prop::collection::vec((0..3usize, 0..5u64, 0..4u64, 0..8u8), 0..300)) {
            let mut pool = LogPool::<8>::new();
            let mut logs = [Log::default(); 3];
            let mut naive: [VecDeque<(u64, u64)>; 3] = Default::default();
            let mut now = 10;
            for (index, advance, amount, action) in steps {
                now += advance;
                let (log, queue) = (&mut logs[index], &mut naive[index]);
                match action {
                    0..=4 => {
                        let used: usize = pool.in_use();
                        let same_time = queue.back().is_some_and(|back| back.0 == now);
                        assert_eq!(pool.promise(log, now), used < 8 || same_time);
                        pool.forget_promises();
                        if pool.push(log, now, amount).is_ok() {
                            if same_time { queue.back_mut().unwrap().1 += amount } else { queue.push_back((now, amount)) }
                        }
                    }
                    5 => { pool.expire(log, now - 3); queue.retain(|entry| entry.0 > now - 3); }
                    6 => {
                        pool.subtract(log, amount);
                        let mut left = amount;
                        for entry in queue.iter_mut() { let taken = left.min(entry.1); entry.1 -= taken; left -= taken; }
                    }
                    _ => {
                        let mut freed = 0;
                        let expected = queue.iter().find(|entry| { freed += entry.1; freed >= amount }).map(|entry| entry.0);
                        assert_eq!(pool.time_when_freed(log, u128::from(amount)), expected);
                    }
                }
                assert_eq!(logs[index].sum(), naive[index].iter().map(|entry| entry.1).sum::<u64>());
                assert_eq!(logs[index] == Log::default(), naive[index].is_empty());
                assert_eq!(pool.in_use(), naive.iter().map(VecDeque::len).sum::<usize>());
            }
        }
    }
}
