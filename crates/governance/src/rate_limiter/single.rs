//! One limit by itself, for a caller who knows which: what remains of a decision when nothing has to be matched.

use super::{Access, LimitError, LimitId, Match, Place, RateLimiter};
use crate::decision::{Decision, Reason, Verdict, Wait};
use crate::scope::{KeyHash, KeyName};
use crate::time::{Nanos, Now};

/// What a limit that is not in force decides.
const ALLOWED_BY_NONE: Decision = Decision::plain(Verdict::Allow, Reason::NoLimit);

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Decides a cost by one limit alone, and charges it if it fits. A wildcard limit needs the key whose bucket
    /// it is, an exact limit has one bucket and takes none. A limit that is disabled allows, and so does one in shadow
    /// mode, which counts what it would refuse. One on what is in flight refuses what it has room for, with
    /// [`Reason::TicketNeeded`]: only [`RateLimiter::charge_held`] charges it.
    ///
    /// ```
    /// use governance::rate_limiter::RateLimiter;
    /// use governance::scope::{KeyName, Kind, Scope};
    /// use governance::time::Now;
    ///
    /// let mut limiter = RateLimiter::<16, 16>::new();
    /// let limit = limiter.add_token_bucket(Scope::parse("user:*").unwrap(), 1, "1/s".parse().unwrap()).unwrap();
    /// let ada = KeyName::parse(Kind::User, "ada").unwrap();
    /// assert!(limiter.decide_by(Now::default(), limit, Some(ada), 1).unwrap().is_allowed());
    /// assert!(!limiter.decide_by(Now::default(), limit, Some(ada), 1).unwrap().is_allowed());
    /// ```
    ///
    /// # Errors
    /// [`LimitError::UnknownLimit`], [`LimitError::KeyNeeded`] or [`LimitError::NoKeys`]; nothing is charged then.
    #[inline]
    pub fn decide_by(
        &mut self,
        now: Now,
        id: LimitId,
        key: Option<KeyName<'_>>,
        cost: u64,
    ) -> Result<Decision, LimitError> {
        let now = self.monotonic(now);
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        if !entry.is_enabled() {
            return Ok(ALLOWED_BY_NONE);
        }
        let (is_shadow, is_in_flight) = (entry.is_shadow(), entry.spec.algorithm.concurrency().is_some());
        let cost = if is_in_flight { cost.min(1) } else { cost };
        let (kind, is_wildcard) = (entry.spec.scope.kind, entry.is_wildcard());
        self.forget_matches();
        let matched = match (is_wildcard, key) {
            (true, Some(key)) => {
                let hash = self.hash(kind, key);
                Match { limit: id.0, place: self.place(now, id, hash, &key, Access::Charge), hash }
            }
            (false, None) => Match { limit: id.0, place: Place::Limit, hash: KeyHash(0) },
            (true, None) => return Err(LimitError::KeyNeeded),
            (false, Some(_)) => return Err(LimitError::NoKeys),
        };
        if is_shadow {
            if !self.would_refuse(now, matched, cost) {
                self.charge_shadow(now, matched, cost);
            }
            return Ok(ALLOWED_BY_NONE);
        }
        Ok(match self.assess(now, matched, cost) {
            Ok(_) if is_in_flight && cost > 0 => {
                let limit = Some(self.settled(now, matched).standing(matched));
                let (reason, retry) = (Reason::TicketNeeded, Some(Wait::Never));
                Decision { limit, retry, ..Decision::plain(Verdict::Deny, reason) }
            }
            Ok(turn) => {
                self.registry.entry_mut(id).stats.allowed += 1;
                let mut judged = self.settled(now, matched);
                let is_crossing = judged.charge(cost);
                let limit = Some(judged.standing(matched));
                if is_crossing {
                    self.give_notice(now, matched.limit, matched.place);
                }
                let verdict = if turn == Nanos::ZERO { Verdict::Allow } else { Verdict::Delay(turn) };
                Decision { limit, ..Decision::plain(verdict, Reason::WithinLimits) }
            }
            Err((reason, wait)) => {
                self.count_refusal(now, matched, reason);
                let limit = Some(self.settled(now, matched).standing(matched));
                Decision { limit, retry: Some(wait), ..Decision::plain(Verdict::Deny, reason) }
            }
        })
    }
}
