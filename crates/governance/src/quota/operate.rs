//! What operators and callers do to one quota by its handle.

use super::matches::{Match, Seat};
use super::{QuotaError, QuotaId, QuotaManager, QuotaRefusal, QuotaStanding};
use crate::rate_limiter::Access;
use crate::scope::KeyName;
use crate::time::Now;

/// What a quota that was asked by its handle has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaAnswer {
    /// There is room, and how the quota stands: after the charge, or without one if it was only checked.
    Granted(QuotaStanding),
    /// The quota or an ancestor refuses. Nothing was charged.
    Refused(QuotaRefusal),
}

impl QuotaAnswer {
    /// Whether there is room.
    #[must_use]
    pub const fn is_granted(&self) -> bool {
        matches!(self, Self::Granted(_))
    }
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Uses an amount of a quota and of its ancestors, or of none of them. An ancestor with a wildcard scope is charged
    /// if the quota is on the same kind of key. A quota in shadow mode is charged if there is room, and grants always.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`], [`QuotaError::Observed`]; [`QuotaError::KeyNeeded`] or [`QuotaError::NoKeys`] if
    /// a key is missing or too much.
    pub fn consume_quota(
        &mut self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
        amount: u64,
    ) -> Result<QuotaAnswer, QuotaError> {
        self.ask(now, id, key, amount, Access::Charge)
    }

    /// Says what [`QuotaManager::consume_quota`] would, and neither charges nor counts anything.
    ///
    /// # Errors
    /// As [`QuotaManager::consume_quota`].
    pub fn check_quota(
        &mut self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
        amount: u64,
    ) -> Result<QuotaAnswer, QuotaError> {
        self.ask(now, id, key, amount, Access::Peek)
    }

    fn ask(
        &mut self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
        amount: u64,
        access: Access,
    ) -> Result<QuotaAnswer, QuotaError> {
        let number = self.registry.number(id)?;
        let entry = self.registry.entry(number);
        let (scope, is_wildcard) = (entry.spec.scope, entry.is_wildcard());
        if entry.spec.unit.is_observed() {
            return Err(QuotaError::Observed);
        }
        let own = scope.key();
        let key = match (is_wildcard, key) {
            (true, Some(key)) => key,
            (true, None) => return Err(QuotaError::KeyNeeded),
            (false, Some(_)) => return Err(QuotaError::NoKeys),
            // What was configured was read as a key once.
            (false, None) => own.ok_or(QuotaError::UnknownKey)?,
        };
        let now = self.monotonic(now).wall;
        self.match_one(now, number, key, amount, access);
        self.judge(now, access);
        let Some(clearance) = self.clearance(now, access) else {
            return Ok(QuotaAnswer::Refused(self.refusal()));
        };
        let asked = self.matches[0];
        match access {
            Access::Charge => self.charge(clearance),
            Access::Peek => self.release(clearance),
        };
        Ok(QuotaAnswer::Granted(self.standing(asked)))
    }

    /// Forgets what was used in the present period, and the alerts that were raised: of the key, or else of every
    /// counter of the quota. What is reserved stays so, and so does what was carried over. Returns how many it were.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`], [`QuotaError::NoKeys`] or [`QuotaError::UnknownKey`].
    pub fn reset_quota(
        &mut self,
        now: Now,
        id: QuotaId,
        key: Option<KeyName<'_>>,
    ) -> Result<usize, QuotaError> {
        let now = self.monotonic(now).wall;
        let number = self.registry.number(id)?;
        let entry = self.registry.entry(number);
        let is_wildcard = entry.is_wildcard();
        let reset = |manager: &mut Self, matched| {
            let (spec, counter) = manager.owned(matched);
            counter.roll(spec, now);
            counter.reset();
        };
        let Some(key) = key else {
            self.each_counter(number, reset);
            let keys = usize::try_from(self.registry.entry(number).stats.keys).unwrap_or(ACTIVE);
            return Ok(if is_wildcard { keys } else { 1 });
        };
        if !is_wildcard {
            return Err(QuotaError::NoKeys);
        }
        let hash = self.secret.hash(entry.spec.scope.kind, key);
        let place = self.find_key(number, hash).ok_or(QuotaError::UnknownKey)?;
        reset(self, Match { number, seat: Seat::Key(place), ..Match::NONE });
        Ok(1)
    }

    /// Brings every counter of a quota to the present, and tells how much was carried over to the present period, all
    /// of them together.
    ///
    /// # Errors
    /// [`QuotaError::UnknownQuota`].
    pub fn rollover_unused(&mut self, now: Now, id: QuotaId) -> Result<u64, QuotaError> {
        let now = self.monotonic(now).wall;
        let number = self.registry.number(id)?;
        let mut carried = 0_u64;
        self.each_counter(number, |manager, matched| {
            let (spec, counter) = manager.owned(matched);
            counter.roll(spec, now);
            carried = carried.saturating_add(counter.carry);
        });
        Ok(carried)
    }

    /// Calls `work` with every counter of a quota: its own or its overflow counter, and those of its keys.
    pub(super) fn each_counter(&mut self, number: u16, mut work: impl FnMut(&mut Self, Match)) {
        let entry = self.registry.entry(number);
        let seat = if entry.is_wildcard() { Seat::Overflow } else { Seat::Own };
        let mut left = entry.stats.keys;
        work(self, Match { number, seat, ..Match::NONE });
        let mut places = 0..ACTIVE;
        while left > 0
            && let Some(index) = places.next()
        {
            let Some(place) = self.keys.place(index) else { continue };
            if self.keys.get(place).is_some_and(|keyed| keyed.quota == number) {
                work(self, Match { number, seat: Seat::Key(place), ..Match::NONE });
                left -= 1;
            }
        }
    }
}
