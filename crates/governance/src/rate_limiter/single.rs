//! One limit by itself, for a caller who knows which: what remains of a decision when nothing has to be matched.

use super::operate::Target;
use super::{Access, LimitError, LimitId, Match, Place, RateLimiter};
use crate::decision::{Decision, Reason, Verdict, Wait};
use crate::scope::{BucketKey, KeyHash};
use crate::time::{Nanos, Now};

/// What a limit that is not in force decides.
const ALLOWED_BY_NONE: Decision = Decision::plain(Verdict::Allow, Reason::NoLimit);

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Decides a cost by one limit alone, and charges it if it fits. A wildcard limit needs the key whose bucket
    /// it is, an exact limit takes none, and one per client needs the client beside that. A limit that is disabled allows, and so does one in shadow
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
    /// [`LimitError::UnknownLimit`], [`LimitError::KeyNeeded`], [`LimitError::NoKeys`], [`LimitError::ClientNeeded`] or
    /// [`LimitError::NoClients`]; nothing is charged then.
    #[inline]
    pub fn decide_by<'a>(
        &mut self,
        now: Now,
        id: LimitId,
        key: impl Into<BucketKey<'a>>,
        cost: u64,
    ) -> Result<Decision, LimitError> {
        let now = self.monotonic(now);
        let entry = self.registry.get(id).ok_or(LimitError::UnknownLimit)?;
        if !entry.is_enabled() {
            return Ok(ALLOWED_BY_NONE);
        }
        let (is_shadow, is_in_flight) = (entry.is_shadow(), entry.spec.algorithm.concurrency().is_some());
        let cost = if is_in_flight { cost.min(1) } else { cost };
        let (kind, is_wildcard, is_per_client) =
            (entry.spec.scope.kind, entry.is_wildcard(), entry.is_per_client());
        self.forget_matches();
        let matched = match (is_wildcard, key.into()) {
            (_, key) if is_per_client => self.match_by_hand(now, id, key)?,
            (_, BucketKey { client: Some(_), .. }) => return Err(LimitError::NoClients),
            (true, BucketKey { key: Some(key), .. }) => {
                let hash = self.hash(kind, key);
                Match { limit: id.0, place: self.place(now, id, hash, (&key, None), Access::Charge), hash }
            }
            (false, BucketKey { key: None, .. }) => {
                Match { limit: id.0, place: Place::Limit, hash: KeyHash(0) }
            }
            (true, _) => return Err(LimitError::KeyNeeded),
            (false, _) => return Err(LimitError::NoKeys),
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
                self.count_refusal(now, matched.limit, matched.place, reason);
                let limit = Some(self.settled(now, matched).standing(matched));
                Decision { limit, retry: Some(wait), ..Decision::plain(Verdict::Deny, reason) }
            }
        })
    }

    /// The bucket of a limit per client that is meant.
    #[cold]
    fn match_by_hand(&mut self, now: Now, id: LimitId, key: BucketKey<'_>) -> Result<Match, LimitError> {
        let Target::Key(hash) = self.target(id, key)? else { return Err(self.needed(id)) };
        let scope = self.registry.entry(id).spec.scope;
        let name = key.key.or(scope.key()).ok_or(LimitError::KeyNeeded)?;
        let place = self.place(now, id, hash, (&name, key.client.as_ref()), Access::Charge);
        Ok(Match { limit: id.0, place, hash })
    }
}
