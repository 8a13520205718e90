//! One limit more: a policy names a limit for a request that need not be of its scope.

use super::{Access, Clearance, LimitId, Match, Place, RateLimiter, Refusal};
use crate::limit::RateLimitAlgorithm;
use crate::request::HashedSubject;
use crate::scope::Pattern;
use crate::time::Now;

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// As [`RateLimiter::check`], with one limit more than those that match. A limit of an exact scope counts the
    /// request in its one bucket, or in its client's, whosever request it is. A wildcard limit counts it by the request's
    /// key of its kind, or, where the request carries none, in its overflow bucket. A limit that matches anyway counts once, and one
    /// that is disabled or in shadow mode not at all.
    ///
    /// # Errors
    /// As [`RateLimiter::check`].
    #[inline(never)]
    pub(crate) fn check_throttled(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        access: Access,
        throttle: LimitId,
    ) -> Result<Clearance, Refusal> {
        let now = self.monotonic(now);
        self.find_matches(now, hashed, access);
        self.add_match(now, hashed, access, throttle);
        self.assess_matches(now, hashed, access)
    }

    fn add_match(&mut self, now: Now, hashed: &HashedSubject<'_>, access: Access, id: LimitId) {
        let is_matched = self.matches[..self.matched].iter().any(|matched| matched.limit == id.0);
        if is_matched || !self.registry.entry(id).is_in_force() {
            return;
        }
        let entry = self.registry.entry(id);
        let (scope, hash, is_per_client) = (entry.spec.scope, entry.hash, entry.is_per_client());
        let has_one = !entry.is_keyed() || matches!(entry.spec.algorithm, RateLimitAlgorithm::Unlimited);
        let matched = if has_one {
            Match { limit: id.0, place: Place::Limit, hash }
        } else if let Some(key) = &scope.key().or_else(|| hashed.subject.key(scope.kind)) {
            let hash = match scope.pattern {
                Pattern::Any => hashed.hash_of(&self.secret, scope.kind, key),
                Pattern::Exact(_) => hash,
            };
            if is_per_client {
                self.match_of_client(now, id, (hash, key), hashed, access)
            } else {
                Match { limit: id.0, place: self.place(now, id, hash, (key, None), access), hash }
            }
        } else {
            Match { limit: id.0, place: Place::Overflow, hash }
        };
        self.note::<false>(matched);
    }
}
