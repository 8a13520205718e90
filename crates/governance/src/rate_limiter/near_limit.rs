//! Notice that a limit is nearly used up, once for each time that it comes to that.
//!
//! A charge that leaves less than a fifth of a bucket, or a refusal, gives notice. The next one comes only after a
//! decision has found at least half of it. One bit of the bucket says which of the two is awaited.

use super::{LimitId, Match, Place, RateLimiter};
use crate::limit::LimitName;
use crate::notice::Notices;
use crate::scope::{BucketName, KeyHash};
use crate::time::{Instant, Now, WallTime};

/// How many notices of nearly used up limits are kept.
pub const NEAR_LIMIT_NOTICES: usize = 64;

/// Little is left of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearLimit {
    /// The limit.
    pub limit: LimitId,
    /// Its name, which stays when the limit is gone.
    pub name: LimitName,
    /// Whose bucket it is; none for the one bucket of a limit and for an overflow bucket.
    pub key: Option<BucketName>,
    /// What is left, in whole units.
    pub remaining: u64,
    /// What the bucket holds, with extra capacity that is granted.
    pub capacity: u64,
    /// When.
    pub at: Now,
}

impl NearLimit {
    /// All-zero.
    pub(super) const EMPTY: Self = Self {
        limit: LimitId(0),
        name: LimitName::EMPTY,
        key: None,
        remaining: 0,
        capacity: 0,
        at: Now { instant: Instant(0), wall: WallTime(0) },
    };
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// The last notices that a limit is nearly used up.
    #[must_use]
    pub const fn near_limit_notices(&self) -> &Notices<NearLimit, NEAR_LIMIT_NOTICES> {
        &self.notices
    }

    /// Notes that little is left of the bucket of a match.
    // It takes what it needs of the match in registers: the whole would be copied for it where it is not needed.
    #[cold]
    #[inline(never)]
    pub(super) fn give_notice(&mut self, now: Now, limit: u16, place: Place) {
        // Every bucket that can be charged has the hash of its key beside it.
        let matched = Match { limit, place, hash: KeyHash(0) };
        let judged = self.settled(now, matched);
        *judged.is_near = true;
        let standing = judged.standing(matched);
        let key = match place {
            Place::Slot(place) => Some(self.bucket_name(place as usize)),
            _ => None,
        };
        let limit = LimitId(limit);
        let name = self.registry.entry(limit).spec.name;
        let (remaining, capacity) = (standing.remaining(), standing.capacity.unwrap_or(0));
        self.notices.push(NearLimit { limit, name, key, remaining, capacity, at: now });
    }
}
