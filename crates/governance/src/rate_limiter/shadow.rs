//! Limits in shadow mode: they are checked beside the limits in force, and only count what they would refuse.
//!
//! A shadow limit has buckets of its own. Where it has room, it is charged together with the limits in force, once the
//! request is allowed; where it has none, that is counted, and it is not charged. It takes no part in the decision, and
//! next to nothing that a limit in force could need: its keys make room for theirs in a full table, and it leaves a
//! quarter of the log of exact windows alone. Which shadow limits match is found after those in force and apart from
//! them, so that neither hides the other: exact shadow limits replace wildcard shadow limits.

use super::{Access, LIMITS_MAX, Match, RateLimiter};
use crate::limit::RateLimitAlgorithm;
use crate::mode::Mode;
use crate::rate_limiter::LimitId;
use crate::request::{HashedSubject, Subject};
use crate::time::Now;

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Finds the shadow limits that match, and counts for each whether it would refuse.
    #[inline(never)]
    pub(super) fn check_shadows(&mut self, now: Now, hashed: &HashedSubject<'_>) {
        self.collect_matches::<true>(now, hashed, Access::Charge);
        for index in LIMITS_MAX - self.shadowed..LIMITS_MAX {
            let matched = self.matches[index];
            self.would_refuse(now, matched, self.cost(hashed.subject, matched));
        }
    }

    /// Charges the shadow limits that have room for a request that is allowed.
    #[inline(never)]
    pub(super) fn charge_shadows(&mut self, now: Now, subject: &Subject<'_>) {
        for index in LIMITS_MAX - self.shadowed..LIMITS_MAX {
            let matched = self.matches[index];
            self.charge_shadow(now, matched, self.cost(subject, matched));
        }
    }

    /// Whether a shadow limit would refuse the cost, which is counted.
    pub(super) fn would_refuse(&mut self, now: Now, matched: Match, cost: u64) -> bool {
        let judged = self.judge(now, matched);
        let has_room = match judged.terms.room(judged.bucket) {
            Some(room) => room.fits(cost),
            None => !matches!(judged.terms.algorithm, RateLimitAlgorithm::Ban),
        };
        if !has_room {
            self.registry.entry_mut(LimitId(matched.limit)).stats.would_deny += 1;
        }
        !has_room
    }

    /// Charges a shadow limit, if it has room.
    pub(super) fn charge_shadow(&mut self, now: Now, matched: Match, cost: u64) {
        let judged = self.settled(now, matched);
        let (has_room, is_noted) = match judged.terms.room(judged.bucket) {
            Some(room) if room.fits(cost) && cost > 0 => {
                let can_note = judged.terms.has_spare_note(judged.bucket, judged.log);
                if can_note {
                    judged.terms.charge(judged.bucket, cost, judged.log);
                }
                (true, can_note)
            }
            Some(room) => (room.fits(cost), true),
            None => (!matches!(judged.terms.algorithm, RateLimitAlgorithm::Ban), true),
        };
        let stats = &mut self.registry.entry_mut(LimitId(matched.limit)).stats;
        stats.allowed += u64::from(has_room);
        stats.log_full += u64::from(!is_noted);
    }

    pub(super) fn note_shadow(&mut self, matched: Match) {
        // A limit matches at most once, so that both ends of the list have room for all together.
        self.shadowed += 1;
        self.matches[LIMITS_MAX - self.shadowed] = matched;
    }

    /// The first of these slots that belongs to a key of a shadow limit and can be given to one of a limit in `mode`.
    pub(super) fn shadow_slot(&self, mode: Mode, mut places: impl Iterator<Item = usize>) -> Option<usize> {
        if mode == Mode::Shadow || !self.registry.has_shadows() {
            return None;
        }
        places.find(|&place| {
            self.table.live(place).is_some_and(|slot| {
                let of_shadow = self.registry.entry(LimitId(slot.limit)).spec.mode == Mode::Shadow;
                of_shadow && slot.pins == 0 && !self.is_matched(place)
            })
        })
    }
}
