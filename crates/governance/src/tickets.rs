//! Tickets: requests that were allowed and whose outcome is still to come.
//!
//! A ticket keeps *holds*, what each stage has set aside for its request, and gives them back once: to whoever settles
//! it, or when they are due because nobody did. A hold is due at a time of its own, so that the lease of an in-flight
//! limit can end before the reservation beside it. Tickets lie in a heap by the time of their first hold that is due:
//! opening, settling and expiring take O(log n). All-zero when empty.
//!
//! A ticket that is over is still known for what became of it until its place is used again, which is as late as can
//! be: places are used in turn.

use crate::time::Instant;
use core::fmt;
use core::str::FromStr;

/// Names a request whose outcome is still to come. It prints as `17-3`: the place, and which ticket of that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    index: u32,
    generation: u32,
}

impl Ticket {
    /// The ticket as one number, for a stage that keeps it without knowing what it is.
    pub(crate) const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The ticket of a number that [`Ticket::to_bits`] made.
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken for itself")]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, self.generation)
    }
}

/// A text is not the name of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATicket;

impl fmt::Display for NotATicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a ticket as a request was given it, such as 17-3")
    }
}

impl core::error::Error for NotATicket {}

impl FromStr for Ticket {
    type Err = NotATicket;

    fn from_str(text: &str) -> Result<Self, NotATicket> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain).ok_or(NotATicket)
        };
        let (index, generation) = text.split_once('-').ok_or(NotATicket)?;
        Ok(Self { index: number(index)?, generation: number(generation)? })
    }
}

/// Why a ticket cannot be settled. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketError {
    /// There was no such ticket, or it is so long over that its place has been used again.
    Unknown,
    /// It was settled before.
    Settled,
    /// It was given back before.
    Voided,
    /// Nobody settled it in time, and what it held was given back.
    Expired,
    /// It waited in a queue that has let it go, and what it held was given back.
    LetGo,
}

impl fmt::Display for TicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no such ticket",
            Self::Settled => "it was settled before; nothing was changed",
            Self::Voided => "it was voided before; nothing was changed",
            Self::Expired => "it has expired, and what it held was given back; nothing was changed",
            Self::LetGo => "its queue has let it go, and what it held was given back; nothing was changed",
        })
    }
}

impl core::error::Error for TicketError {}

/// How a ticket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With what was really taken.
    Settled,
    /// With nothing taken.
    Voided,
    /// By itself.
    Expired,
    /// Because its queue has let its request go.
    LetGo,
}

/// What has become of tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketStats {
    /// Tickets whose outcome is still to come.
    pub open: usize,
    /// How many there can be at a time.
    pub open_max: usize,
    /// What they hold.
    pub holds: usize,
    /// How much can be held at a time.
    pub holds_max: usize,
    /// Tickets that were ever opened.
    pub opened: u64,
    /// Those that were settled.
    pub settled: u64,
    /// Those that were voided, or let go by a queue.
    pub voided: u64,
    /// Those that expired.
    pub expired: u64,
    /// Outcomes that came after their ticket had expired.
    pub late: u64,
    /// Outcomes that came after another one.
    pub repeated: u64,
    /// Outcomes of tickets that are not known.
    pub unknown: u64,
    /// Holds that ended before their ticket did.
    pub leases_expired: u64,
}

/// A place or a position plus one; 0 stands for none.
type Link = u32;

#[derive(Clone, Copy, Debug)]
struct Held<H> {
    hold: H,
    /// When it is given back by itself, in nanoseconds of the monotonic clock.
    due: u64,
    next: Link,
}

/// How a ticket stands. Not an option of its ending: none of something with a niche is not all-zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Settled,
    Voided,
    Expired,
    LetGo,
}

/// A place for tickets, one after the other.
#[derive(Clone, Copy, Debug)]
struct Entry<M> {
    memo: M,
    /// Which ticket of this place it is; the first is 1, so that 0 is none.
    generation: u32,
    state: State,
    /// The first of its holds.
    holds: Link,
    /// When the first of them is due.
    due: u64,
    /// Where it is in the heap, plus one; 0 if it is over.
    position: Link,
    /// The place that is free after this one, if it is free.
    next_free: Link,
}

/// Tickets with holds of type `H` and a memo `M` each: four tickets and 24 holds for each of `TENANTS`.
#[derive(Debug)]
pub(crate) struct Tickets<H, M, const TENANTS: usize> {
    entries: [[Entry<M>; 4]; TENANTS],
    held: [[Held<H>; 24]; TENANTS],
    /// Open tickets, the one with the earliest due hold first.
    heap: [[u32; 4]; TENANTS],
    open: usize,
    /// The free places, first to last.
    free: (Link, Link),
    /// How many places have ever been used.
    touched: usize,
    free_hold: Link,
    touched_holds: usize,
    holds: usize,
    stats: TicketStats,
}

impl<H: Copy, M: Copy, const TENANTS: usize> Tickets<H, M, TENANTS> {
    /// How many can be open at a time.
    pub(crate) const TICKETS: usize = 4 * TENANTS;
    const HOLDS: usize = 24 * TENANTS;

    /// No tickets; `hold` and `memo` fill the places, and should be all-zero.
    pub(crate) const fn new(hold: H, memo: M) -> Self {
        assert!(TENANTS > 0 && Self::HOLDS < Link::MAX as usize, "links count from one");
        let entry =
            Entry { memo, generation: 0, state: State::Open, holds: 0, due: 0, position: 0, next_free: 0 };
        Self {
            entries: [[entry; 4]; TENANTS],
            held: [[Held { hold, due: 0, next: 0 }; 24]; TENANTS],
            heap: [[0; 4]; TENANTS],
            open: 0,
            free: (0, 0),
            touched: 0,
            free_hold: 0,
            touched_holds: 0,
            holds: 0,
            stats: NO_STATS,
        }
    }

    /// Forgets every ticket, in place, with what they hold. Their names are not used again.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.touched {
            let entry = &mut self.entries.as_flattened_mut()[index];
            (entry.state, entry.position, entry.holds) = (State::Voided, 0, 0);
            entry.next_free = if index + 1 < self.touched { link(index + 1) } else { 0 };
        }
        self.free = if self.touched > 0 { (link(0), link(self.touched - 1)) } else { (0, 0) };
        (self.open, self.holds, self.free_hold, self.touched_holds) = (0, 0, 0, 0);
        self.stats = NO_STATS;
    }

    pub(crate) const fn stats(&self) -> TicketStats {
        TicketStats {
            open: self.open,
            open_max: Self::TICKETS,
            holds: self.holds,
            holds_max: Self::HOLDS,
            ..self.stats
        }
    }

    /// Whether another ticket with so many holds can be opened.
    pub(crate) const fn has_room(&self, holds: usize) -> bool {
        self.open < Self::TICKETS && holds <= Self::HOLDS - self.holds
    }

    /// Opens a ticket without holds, which expires at `due` unless it is given some.
    ///
    /// # Panics
    /// If there is no room: [`Tickets::has_room`] tells.
    pub(crate) fn open(&mut self, memo: M, due: Instant) -> Ticket {
        // A place that was never used comes first, then the one that is free for longest.
        let index = if self.touched < Self::TICKETS {
            self.touched += 1;
            self.touched - 1
        } else {
            let index = (self.free.0 as usize).checked_sub(1);
            index.inspect(|&index| self.free.0 = self.entry(index).next_free).expect("a ticket was promised")
        };
        let position = self.open;
        let entry = self.entry_mut(index);
        let generation = entry.generation.wrapping_add(1).max(1);
        *entry = Entry {
            memo,
            generation,
            state: State::Open,
            holds: 0,
            due: due.0,
            position: link(position),
            next_free: 0,
        };
        self.heap.as_flattened_mut()[position] = number(index);
        self.open += 1;
        self.stats.opened += 1;
        self.rise(position);
        Ticket { index: number(index), generation }
    }

    /// Adds a hold to the ticket that was opened last. The one that is added last is the first to be given back.
    ///
    /// # Panics
    /// If there is no room for it: [`Tickets::has_room`] tells.
    pub(crate) fn hold(&mut self, ticket: Ticket, hold: H, due: Instant) {
        let place = if let Some(place) = (self.free_hold as usize).checked_sub(1) {
            self.free_hold = self.held.as_flattened()[place].next;
            place
        } else {
            self.touched_holds += 1;
            self.touched_holds - 1
        };
        let entry = self.entry_mut(ticket.index as usize);
        let next = core::mem::replace(&mut entry.holds, link(place));
        entry.due = entry.due.min(due.0);
        let position = entry.position;
        self.held.as_flattened_mut()[place] = Held { hold, due: due.0, next };
        self.holds += 1;
        self.rise(position as usize - 1);
    }

    /// The memo of an open ticket; what asks for another one is counted.
    pub(crate) fn look_up(&mut self, ticket: Ticket) -> Result<&M, TicketError> {
        let entry = self.entries.as_flattened().get(ticket.index as usize);
        let error = match entry.filter(|entry| entry.generation == ticket.generation && entry.generation != 0)
        {
            None => TicketError::Unknown,
            Some(entry) => match entry.state {
                State::Open => return Ok(&entry.memo),
                State::Settled => TicketError::Settled,
                State::Voided => TicketError::Voided,
                State::Expired => TicketError::Expired,
                State::LetGo => TicketError::LetGo,
            },
        };
        match error {
            TicketError::Unknown => self.stats.unknown += 1,
            TicketError::Expired => self.stats.late += 1,
            TicketError::Settled | TicketError::Voided | TicketError::LetGo => self.stats.repeated += 1,
        }
        Err(error)
    }

    /// The memo of an open ticket, to be changed; none if it is over.
    pub(crate) fn memo_mut(&mut self, ticket: Ticket) -> Option<&mut M> {
        let entry = self.entries.as_flattened_mut().get_mut(ticket.index as usize)?;
        let is_open = entry.generation == ticket.generation && entry.position != 0;
        is_open.then_some(&mut entry.memo)
    }

    /// What an open ticket holds, the last first.
    pub(crate) fn holds_of(&self, ticket: Ticket) -> impl Iterator<Item = &H> + '_ {
        let mut link = self.entry(ticket.index as usize).holds;
        core::iter::from_fn(move || {
            let held = &self.held.as_flattened()[(link as usize).checked_sub(1)?];
            link = held.next;
            Some(&held.hold)
        })
    }

    /// The hold that an open ticket will give back next.
    pub(crate) fn next_hold(&self, ticket: Ticket) -> Option<&H> {
        let place = (self.entry(ticket.index as usize).holds as usize).checked_sub(1)?;
        Some(&self.held.as_flattened()[place].hold)
    }

    /// Takes the next hold off an open ticket.
    pub(crate) fn take_hold(&mut self, ticket: Ticket) -> Option<H> {
        let place = (self.entry(ticket.index as usize).holds as usize).checked_sub(1)?;
        let Held { hold, next, .. } = self.held.as_flattened()[place];
        self.entry_mut(ticket.index as usize).holds = next;
        self.give_back(place);
        Some(hold)
    }

    /// Takes the next hold off an open ticket that `is_it`; those before it stay.
    pub(crate) fn take_hold_if(&mut self, ticket: Ticket, is_it: impl Fn(&H) -> bool) -> Option<H> {
        let (mut before, mut link) = (0, self.entry(ticket.index as usize).holds);
        while let Some(place) = (link as usize).checked_sub(1) {
            let Held { hold, next, .. } = self.held.as_flattened()[place];
            if is_it(&hold) {
                self.unlink(ticket.index as usize, before, next);
                self.give_back(place);
                return Some(hold);
            }
            (before, link) = (link, next);
        }
        None
    }

    /// Sets anew when each hold of an open ticket is due; without a hold, it is due as it was.
    pub(crate) fn renew(&mut self, ticket: Ticket, mut due_of: impl FnMut(&mut H) -> Instant) {
        let index = ticket.index as usize;
        let (mut first, mut link) = (u64::MAX, self.entry(index).holds);
        if link == 0 {
            return;
        }
        while let Some(place) = (link as usize).checked_sub(1) {
            let held = &mut self.held.as_flattened_mut()[place];
            held.due = due_of(&mut held.hold).0;
            (first, link) = (first.min(held.due), held.next);
        }
        let entry = self.entry_mut(index);
        entry.due = first;
        let position = entry.position as usize - 1;
        self.rise(position);
        self.sink(position);
    }

    /// Puts what comes after a hold in its place: behind the one before it, or first.
    fn unlink(&mut self, index: usize, before: Link, next: Link) {
        match (before as usize).checked_sub(1) {
            Some(before) => self.held.as_flattened_mut()[before].next = next,
            None => self.entry_mut(index).holds = next,
        }
    }

    /// Ends an open ticket whose holds have been taken.
    pub(crate) fn end(&mut self, ticket: Ticket, ending: Ending) {
        let index = ticket.index as usize;
        let Entry { position, holds, .. } = *self.entry(index);
        assert!(position != 0 && holds == 0, "a ticket ends once, and holds nothing then");
        self.leave_heap(position as usize - 1);
        let entry = self.entry_mut(index);
        entry.state = match ending {
            Ending::Settled => State::Settled,
            Ending::Voided => State::Voided,
            Ending::Expired => State::Expired,
            Ending::LetGo => State::LetGo,
        };
        (entry.position, entry.next_free) = (0, 0);
        match (self.free.1 as usize).checked_sub(1) {
            Some(last) if self.free.0 != 0 => self.entry_mut(last).next_free = link(index),
            _ => self.free.0 = link(index),
        }
        self.free.1 = link(index);
        match ending {
            Ending::Settled => self.stats.settled += 1,
            Ending::Voided | Ending::LetGo => self.stats.voided += 1,
            Ending::Expired => self.stats.expired += 1,
        }
    }

    /// When the next hold is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.as_flattened()[..self.open].first().map(|&index| Instant(self.entry(index as usize).due))
    }

    /// Takes a hold that is due, with its ticket's memo. A ticket that holds nothing more has expired with it.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(H, M)> {
        loop {
            let index = *self.heap.as_flattened()[..self.open].first()? as usize;
            let Entry { due, holds, generation, .. } = *self.entry(index);
            if due > now.0 {
                return None;
            }
            let ticket = Ticket { index: number(index), generation };
            if holds != 0 {
                return Some(self.take_due_hold(ticket, now));
            }
            self.end(ticket, Ending::Expired);
        }
    }

    fn take_due_hold(&mut self, ticket: Ticket, now: Instant) -> (H, M) {
        let index = ticket.index as usize;
        let Entry { holds, memo, .. } = *self.entry(index);
        // The holds of one ticket are as many as limits and quotas match a request: few.
        let (mut before, mut link, mut next_due, mut found) = (0, holds, u64::MAX, None);
        while let Some(place) = (link as usize).checked_sub(1) {
            let held = self.held.as_flattened()[place];
            if found.is_none() && held.due <= now.0 {
                found = Some((before, place, held));
            } else {
                next_due = next_due.min(held.due);
            }
            (before, link) = (link, held.next);
        }
        let (before, place, held) = found.expect("a ticket is due when one of its holds is");
        self.unlink(index, before, held.next);
        self.give_back(place);
        if self.entry(index).holds == 0 {
            self.end(ticket, Ending::Expired);
        } else {
            self.stats.leases_expired += 1;
            self.entry_mut(index).due = next_due;
            self.sink(0);
        }
        (held.hold, memo)
    }

    /// The open tickets, in no particular order, with when their first hold is due.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &M, Instant)> + '_ {
        self.heap.as_flattened()[..self.open].iter().map(|&index| {
            let entry = self.entry(index as usize);
            (Ticket { index, generation: entry.generation }, &entry.memo, Instant(entry.due))
        })
    }

    fn give_back(&mut self, place: usize) {
        self.held.as_flattened_mut()[place].next = core::mem::replace(&mut self.free_hold, link(place));
        self.holds -= 1;
    }

    /// Takes the ticket at a position out of the heap.
    fn leave_heap(&mut self, position: usize) {
        self.open -= 1;
        let last = self.open;
        if position != last {
            self.swap(position, last);
            self.rise(position);
            self.sink(position);
        }
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 && self.due(position) < self.due((position - 1) / 2) {
            self.swap(position, (position - 1) / 2);
            position = (position - 1) / 2;
        }
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let children = [2 * position + 1, 2 * position + 2];
            let earlier =
                children.into_iter().filter(|&child| child < self.open).min_by_key(|&child| self.due(child));
            let Some(child) = earlier.filter(|&child| self.due(child) < self.due(position)) else { return };
            self.swap(position, child);
            position = child;
        }
    }

    fn due(&self, position: usize) -> u64 {
        self.entry(self.heap.as_flattened()[position] as usize).due
    }

    fn swap(&mut self, a: usize, b: usize) {
        let heap = self.heap.as_flattened_mut();
        heap.swap(a, b);
        let (at_a, at_b) = (heap[a] as usize, heap[b] as usize);
        (self.entry_mut(at_a).position, self.entry_mut(at_b).position) = (link(a), link(b));
    }

    fn entry(&self, index: usize) -> &Entry<M> {
        &self.entries.as_flattened()[index]
    }

    fn entry_mut(&mut self, index: usize) -> &mut Entry<M> {
        &mut self.entries.as_flattened_mut()[index]
    }
}

const NO_STATS: TicketStats = TicketStats {
    open: 0,
    open_max: 0,
    holds: 0,
    holds_max: 0,
    opened: 0,
    settled: 0,
    voided: 0,
    expired: 0,
    late: 0,
    repeated: 0,
    unknown: 0,
    leases_expired: 0,
};

/// An index as it is kept; there are fewer than 2^32 places.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn link(index: usize) -> Link {
    number(index) + 1
}

#[cfg(test)]
mod tests {
    use super::{Ending, Instant, Ticket, TicketError, Tickets};
    use proptest::prelude::{ProptestConfig, prop, proptest};
    use std::collections::BTreeMap;

    #[test]
    fn tickets_read_as_they_print() {
        let ticket: Ticket = "17-3".parse().unwrap();
        assert_eq!(ticket.to_string(), "17-3");
        for text in ["", "17", "-3", "17-", "+1-3", "1-2-3", "4294967296-1", "a-b"] {
            assert!(text.parse::<Ticket>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn as_many_are_open_as_there_is_room_for_and_each_ends_once() {
        let mut tickets = Tickets::<u32, (), 1>::new(0, ());
        let open: Vec<_> = (0..4).map(|_| tickets.open((), Instant(u64::MAX))).collect();
        assert!(!tickets.has_room(0));
        tickets.end(open[2], Ending::Settled);
        assert_eq!(tickets.look_up(open[2]), Err(TicketError::Settled));
        assert!(tickets.has_room(24) && !tickets.has_room(25));
        let again = tickets.open((), Instant(u64::MAX));
        assert_eq!(tickets.look_up(open[2]), Err(TicketError::Unknown), "its place was used again");
        assert_eq!(tickets.look_up(again), Ok(&()));
        assert_eq!(tickets.look_up("0-0".parse().unwrap()), Err(TicketError::Unknown));
        tickets.clear();
        assert_eq!(tickets.look_up(again), Err(TicketError::Voided));
        assert!((0..4).all(|_| tickets.has_room(1) && tickets.open((), Instant(u64::MAX)) != again));
        assert_eq!(tickets.stats().open, 4);
    }

    #[test]
    fn a_ticket_without_holds_expires_too() {
        let mut tickets = Tickets::<u32, (), 1>::new(0, ());
        let ticket = tickets.open((), Instant(7));
        assert_eq!((tickets.next_due(), tickets.take_due(Instant(6))), (Some(Instant(7)), None));
        assert_eq!(tickets.look_up(ticket), Ok(&()));
        assert_eq!(tickets.take_due(Instant(7)), None);
        assert_eq!(tickets.look_up(ticket), Err(TicketError::Expired));
        assert_eq!(tickets.stats().open, 0);
    }

    #[test]
    fn a_lease_ends_before_the_reservation_beside_it() {
        let mut tickets = Tickets::<u32, (), 1>::new(0, ());
        let ticket = tickets.open((), Instant(u64::MAX));
        tickets.hold(ticket, 1, Instant(50));
        tickets.hold(ticket, 2, Instant(20));
        assert_eq!((tickets.next_due(), tickets.take_due(Instant(19))), (Some(Instant(20)), None));
        assert_eq!((tickets.take_due(Instant(20)), tickets.take_due(Instant(20))), (Some((2, ())), None));
        assert_eq!(tickets.look_up(ticket), Ok(&()));
        assert_eq!(
            (tickets.take_due(Instant(50)), tickets.look_up(ticket)),
            (Some((1, ())), Err(TicketError::Expired))
        );
        let stats = tickets.stats();
        assert_eq!((stats.leases_expired, stats.expired, stats.late, stats.holds), (1, 1, 1, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
        #[test]
        fn equals_a_map(steps in prop::collection::vec((0..6u8, 0..40u64, 0..9usize), 0..300)) {
            let mut tickets = Tickets::<u64, (), 4>::new(0, ());
            let mut naive: BTreeMap<String, (Ticket, Vec<(u64, u64)>)> = BTreeMap::new();
            let (mut now, mut serial) = (0, 0);
            for (action, number, count) in steps {
                match action {
                    0..=2 => {
                        let held: usize = naive.values().map(|(_, holds)| holds.len()).sum();
                        let room = naive.len() < 16 && held + count <= 96;
                        assert_eq!(tickets.has_room(count), room);
                        if room {
                            let ticket = tickets.open((), Instant(u64::MAX));
                            let holds: Vec<_> = (0..count as u64)
                                .map(|place| (serial + place, now + 1 + (number * (place + 3)) % 37))
                                .collect();
                            serial += count as u64;
                            for &(hold, due) in &holds {
                                tickets.hold(ticket, hold, Instant(due));
                            }
                            naive.insert(ticket.to_string(), (ticket, holds));
                        }
                    }
                    3 => {
                        let chosen = naive.keys().cycle().nth(usize::try_from(number).unwrap()).cloned();
                        if let Some((ticket, holds)) = chosen.and_then(|key| naive.remove(&key)) {
                            assert_eq!(tickets.look_up(ticket), Ok(&()));
                            let taken: Vec<_> = std::iter::from_fn(|| tickets.take_hold(ticket)).collect();
                            assert_eq!(taken, holds.iter().rev().map(|(hold, _)| *hold).collect::<Vec<_>>());
                            tickets.end(ticket, Ending::Settled);
                            assert_eq!(tickets.look_up(ticket), Err(TicketError::Settled));
                        }
                    }
                    _ => {
                        now += number;
                        let due = std::iter::from_fn(|| tickets.take_due(Instant(now)));
                        let mut taken: Vec<_> = due.map(|(hold, ())| hold).collect();
                        let mut expected = Vec::new();
                        naive.retain(|_, (ticket, holds)| {
                            let had = holds.len();
                            expected.extend(holds.iter().filter(|(_, due)| *due <= now).map(|(hold, _)| *hold));
                            holds.retain(|(_, due)| *due > now);
                            let expired = had > 0 && holds.is_empty();
                            assert_eq!(tickets.look_up(*ticket).is_err(), expired);
                            !expired
                        });
                        taken.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(taken, expected);
                    }
                }
                let held: usize = naive.values().map(|(_, holds)| holds.len()).sum();
                let due = naive.values().flat_map(|(_, holds)| holds).map(|(_, due)| *due).min();
                assert_eq!((tickets.stats().open, tickets.stats().holds), (naive.len(), held));
                assert_eq!(tickets.next_due().filter(|due| due.0 != u64::MAX), due.map(Instant));
                assert_eq!(tickets.iter().count(), naive.len());
            }
        }
    }
}
