//! Holds: what a request was charged with until it is known what it takes.
//!
//! [`RateLimiter::charge_held`] charges like [`RateLimiter::charge`] and hands out a [`LimitHold`] for each limit, which
//! the caller keeps. Once it knows what the request has taken, it gives each hold back to [`RateLimiter::settle`], once.
//! A hold knows which limit it is of, and since when the limit has counted in that way, so that one that comes back to a
//! limit that was removed or counts otherwise settles nothing. As long as holds of a key are open, its slot is pinned, so
//! that no other key's bucket can be mistaken for its own.

use super::bucket::Mark;
use super::{Clearance, LimitId, Match, Place, RateLimiter};
use crate::decision::LimitStanding;
use crate::mode::Mode;
use crate::request::{Subject, Unit};
use crate::scope::KeyHash;
use crate::time::{Nanos, Now};

/// What a limit was charged with by a request that is to be settled. All-zero when it is of no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitHold {
    /// Which limit, of all that ever had this number. No limit is number 0.
    born: u32,
    /// Since when the limit has counted like this.
    shaped: u32,
    limit: u16,
    unit: Unit,
    /// One more than the place of the key's slot; 0 for the limit's own bucket.
    slot: u32,
    reserved: u64,
    mark: Mark,
}

impl LimitHold {
    /// A hold of no limit, which settles nothing.
    pub const EMPTY: Self =
        Self { born: 0, shaped: 0, limit: 0, unit: Unit::Requests, slot: 0, reserved: 0, mark: Mark::Level };

    /// What the limit counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// How much was charged, in units of the limit.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// For a request that is in flight: how long it counts as that, from when it was charged, if nobody settles it.
    #[must_use]
    pub const fn lease(&self) -> Option<Nanos> {
        match self.mark {
            Mark::InFlight { lease } => Some(lease),
            _ => None,
        }
    }
}

/// Which limits hand out holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    All,
    InFlight,
}

/// What has become of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The bucket is as if the actual amount had been charged from the beginning.
    Adjusted,
    /// The request is no longer in flight.
    Released,
    /// The window in which it was charged is over, and nothing is kept of it.
    Passed,
    /// The log of exact windows was full and could not note what was taken without a reserve.
    Lost,
    /// The limit is gone, or counts otherwise than when it was charged. Nothing was changed.
    Stale,
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Charges every limit that was found by the check, like [`RateLimiter::charge`], and calls `each` with what is to be
    /// settled: a hold for each limit that bounds something, also if the request costs it nothing, since it may in the
    /// end. What costs nothing is not in flight, though.
    ///
    /// ```
    /// use governance::rate_limiter::{Access, LimitHold, RateLimiter, Settled};
    /// use governance::request::{Request, Subject};
    /// use governance::scope::{NameRef, Scope};
    /// use governance::time::Now;
    ///
    /// let mut limiter = RateLimiter::<16, 16>::new();
    /// let limit = limiter.add_token_bucket(Scope::parse("service:web").unwrap(), 10, "1/s".parse().unwrap()).unwrap();
    /// let request = Request { service: NameRef::new("web").ok(), cost: 8, ..Request::default() };
    /// let subject = Subject { request: &request, group: None };
    /// let clearance = limiter.check(Now::default(), &subject, Access::Charge).unwrap();
    /// let mut hold = LimitHold::EMPTY;
    /// limiter.charge_held(&subject, clearance, &mut |held| hold = held);
    /// assert_eq!(limiter.get_tokens(Now::default(), limit, None), Ok(2));
    /// assert_eq!(limiter.settle(Now::default(), &hold, 3), Settled::Adjusted);
    /// assert_eq!(limiter.get_tokens(Now::default(), limit, None), Ok(7));
    /// ```
    ///
    /// # Panics
    /// If the clearance is outdated.
    pub fn charge_held(
        &mut self,
        subject: &Subject<'_>,
        clearance: Clearance,
        each: &mut dyn FnMut(LimitHold),
    ) -> Option<LimitStanding> {
        self.charge_with_holds(subject, clearance, Holds::All, each)
    }

    /// Charges every limit that was found by the check, and calls `each` with the holds of those on what is in flight:
    /// what a request needs whose amounts are final.
    ///
    /// # Panics
    /// If the clearance is outdated.
    pub fn charge_in_flight(
        &mut self,
        subject: &Subject<'_>,
        clearance: Clearance,
        each: &mut dyn FnMut(LimitHold),
    ) -> Option<LimitStanding> {
        self.charge_with_holds(subject, clearance, Holds::InFlight, each)
    }

    fn charge_with_holds(
        &mut self,
        subject: &Subject<'_>,
        clearance: Clearance,
        holds: Holds,
        each: &mut dyn FnMut(LimitHold),
    ) -> Option<LimitStanding> {
        self.assert_current(&clearance);
        let now = clearance.now;
        let mut standing = None;
        for index in 0..self.matched {
            let matched = self.matches[index];
            let (judged, is_crossing) = self.take(now, subject, matched);
            let is_in_flight = judged.terms.algorithm.concurrency().is_some();
            if clearance.speaker == Some(index) {
                standing = Some(judged.standing(matched));
            }
            if is_crossing {
                self.give_notice(now, matched.limit, matched.place);
            }
            if (holds == Holds::All || is_in_flight)
                && let Some(hold) = self.hold(now, matched, self.cost(subject, matched))
            {
                each(hold);
            }
        }
        if self.shadowed > 0 {
            self.charge_shadows(now, subject);
        }
        self.forget_matches();
        standing
    }

    /// Settles a hold with what the request has taken, in units of the limit, or with 0 if it came to nothing. Each hold
    /// is to be settled once. What was charged too much comes back, as far as it still counts; what was charged too
    /// little is charged, down to a debt as large as the capacity, with extra capacity that is granted: the rest is let
    /// go. Both belong to the window in which the request was charged. What is in flight ends, whatever it has taken.
    ///
    /// A clearance is outdated by this.
    pub fn settle(&mut self, now: Now, hold: &LimitHold, actual: u64) -> Settled {
        let now = self.monotonic(now);
        self.forget_matches();
        let entry = self.registry.get(LimitId(hold.limit)).filter(|entry| entry.born == hold.born);
        let Some(entry) = entry else { return Settled::Stale };
        let is_current = entry.shaped == hold.shaped;
        let is_enforced = entry.spec.mode == Mode::Enforce;
        let Some(place) = self.unpin(hold) else { return Settled::Stale };
        if !is_current {
            return Settled::Stale;
        }
        let matched = Match { limit: hold.limit, place, hash: KeyHash(0) };
        let judged = self.judge(now, matched);
        let amounts = (hold.reserved, actual);
        let settled = judged.terms.adjust(judged.bucket, &hold.mark, amounts, judged.log);
        if settled == Settled::Adjusted && actual > hold.reserved && is_enforced && judged.is_crossing() {
            self.give_notice(now, matched.limit, matched.place);
        }
        if settled == Settled::Lost {
            self.registry.entry_mut(LimitId(hold.limit)).stats.log_full += 1;
            self.log_full += 1;
        }
        settled
    }

    /// What a limit has just been charged with, which keeps the key's slot.
    fn hold(&mut self, now: Now, matched: Match, reserved: u64) -> Option<LimitHold> {
        let judged = self.settled(now, matched);
        let mark = judged.terms.mark(judged.bucket, reserved, judged.log)?;
        let entry = self.registry.entry(LimitId(matched.limit));
        let (born, shaped, unit) = (entry.born, entry.shaped, entry.spec.unit);
        let slot = match matched.place {
            Place::Slot(place) => {
                self.table.slot_mut(place as usize).pin();
                place + 1
            }
            _ => 0,
        };
        Some(LimitHold { born, shaped, limit: matched.limit, unit, slot, reserved, mark })
    }

    /// Lets go of the key's slot. None if that is not there, which the pin of an open hold of the limit prevents.
    fn unpin(&mut self, hold: &LimitHold) -> Option<Place> {
        let Some(place) = hold.slot.checked_sub(1) else { return Some(Place::Limit) };
        let slot = self.table.live(place as usize)?;
        if slot.limit != hold.limit || slot.pins == 0 {
            return None;
        }
        self.table.slot_mut(place as usize).unpin();
        Some(Place::Slot(place))
    }
}
