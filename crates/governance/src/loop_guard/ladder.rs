//! One caller and one target: how often it asked, and where it stands on the ladder.
//!
//! The count is that of a sliding minute: the requests of the current minute of the clock, and of the one before as many
//! as its part that the last 60 seconds still overlap, rounded down. What was inherited with the place in the table is
//! kept apart and never raises a level: nobody is blocked for what others did.
//!
//! A level is entered at once and left late. Nothing has to happen for it to be left: where a caller stands is computed
//! from what it did last.

use super::{DWELL, GuardLevel, GuardSettings, STRIKES_MAX};
use crate::scope::Name;
use crate::time::{Instant, Nanos};

/// The minutes of the clock in which requests are counted.
const MINUTE: u64 = 60_000_000_000;

/// A number of things, in the current minute and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minutes {
    pub(super) current: u32,
    pub(super) before: u32,
}

impl Minutes {
    const NONE: Self = Self { current: 0, before: 0 };

    /// What they are so many minutes later.
    const fn later(self, minutes: u64) -> Self {
        match minutes {
            0 => self,
            1 => Self { current: 0, before: self.current },
            _ => Self::NONE,
        }
    }

    /// How many there are in the sliding minute that ends so long after the begin of the current one.
    fn sliding(self, into: u64) -> u64 {
        let rest = u128::from(MINUTE.saturating_sub(into)) * u128::from(self.before) / u128::from(MINUTE);
        u64::from(self.current) + u64::try_from(rest).unwrap_or(u64::MAX)
    }

    pub(super) const fn both(self) -> u64 {
        self.current as u64 + self.before as u64
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            current: self.current.saturating_add(other.current),
            before: self.before.saturating_add(other.before),
        }
    }
}

/// The number of the minute that an instant lies in.
pub(super) const fn minute_of(now: Instant) -> u64 {
    now.0 / MINUTE
}

/// What a request makes of its caller's place on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) level: GuardLevel,
    /// How long nothing passes, if nothing does.
    pub(super) blocked_for: Option<Nanos>,
    pub(super) event: LadderEvent,
}

impl Standing {
    /// That of a request without a key.
    pub(super) const FREE: Self =
        Self { level: GuardLevel::Observe, blocked_for: None, event: LadderEvent::None };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LadderEvent {
    None,
    /// It is blocked until then.
    Blocked(Instant),
    /// It would be blocked, and too many others are.
    ShareFull,
}

/// A caller and a target. All-zero when empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) caller: Name,
    pub(super) target: Name,
    /// Its requests as of its last one.
    hits: Minutes,
    /// Those that may have been its own, of others that had the place before.
    inherited: Minutes,
    /// The minute of its last request.
    minute: u64,
    asked: Instant,
    /// When its count was last seen to fall below what its level begins at.
    calm: Instant,
    /// Since when it is at its level.
    entered: Instant,
    blocked_until: Instant,
    /// From when on strikes are forgotten.
    quiet: Instant,
    /// Its requests' number among those of all, for the order in which places are given away.
    pub(super) turn: u64,
    level: GuardLevel,
    strikes: u8,
    /// The strikes of its last block.
    block_strikes: u8,
    /// Whether it was above the first level or had strikes, when that was last looked at.
    pub(super) is_held: bool,
    /// Its place in the heap.
    pub(super) heap_place: u16,
}

impl Entry {
    pub(super) const EMPTY: Self = Self {
        caller: Name::EMPTY,
        target: Name::EMPTY,
        hits: Minutes::NONE,
        inherited: Minutes::NONE,
        minute: 0,
        asked: Instant(0),
        calm: Instant(0),
        entered: Instant(0),
        blocked_until: Instant(0),
        quiet: Instant(0),
        turn: 0,
        level: GuardLevel::Observe,
        strikes: 0,
        block_strikes: 0,
        is_held: false,
        heap_place: 0,
    };

    /// One that has not asked yet and takes a place in which others may have been counted.
    pub(super) const fn newcomer(now: Instant, inherited: Minutes) -> Self {
        Self { inherited, minute: minute_of(now), ..Self::EMPTY }
    }

    pub(super) const fn strikes(&self) -> u32 {
        self.strikes as u32
    }

    pub(super) const fn level(&self) -> GuardLevel {
        self.level
    }

    /// How long nothing passes; none if it is not blocked.
    pub(super) fn blocked_for(&self, now: Instant) -> Option<Nanos> {
        Some(self.blocked_until.since(now)).filter(|&rest| rest != Nanos::ZERO)
    }

    /// How often it asked in the sliding minute, for certain.
    pub(super) fn count(&self, now: Instant) -> u64 {
        self.hits.later(minute_of(now).saturating_sub(self.minute)).sliding(now.0 % MINUTE)
    }

    /// How often it may have asked besides.
    pub(super) fn error(&self, now: Instant) -> u64 {
        self.inherited.later(minute_of(now).saturating_sub(self.minute)).sliding(now.0 % MINUTE)
    }

    /// What another one that takes its place inherits: its requests and what it inherited itself.
    pub(super) fn estimate(&self, minute: u64) -> Minutes {
        self.hits.plus(self.inherited).later(minute.saturating_sub(self.minute))
    }

    /// Counts a request. `blocked` says how many others are blocked.
    pub(super) fn hit(
        &mut self,
        now: Instant,
        settings: &GuardSettings,
        blocked: impl FnOnce() -> usize,
    ) -> Standing {
        self.settle(now, settings);
        let minutes = minute_of(now).saturating_sub(self.minute);
        self.hits = self.hits.later(minutes);
        self.inherited = self.inherited.later(minutes);
        self.minute = minute_of(now);
        self.asked = now;
        self.hits.current = self.hits.current.saturating_add(1);
        let event = self.rise(now, settings, blocked);
        self.is_held = self.is_watched();
        let blocked_for = self.blocked_for(now).map(|rest| {
            // One that comes when it is told to is not blocked again for what it was blocked for: it may ask once.
            let calm = self.calm_from(begin(settings, GuardLevel::Block) - 1);
            rest.max(calm.since(now))
        });
        let level = match blocked_for {
            // A block that is over leaves the level below it, until that is left too.
            None => self.level.min(GuardLevel::Degrade),
            Some(_) => self.level,
        };
        Standing { level, blocked_for, event }
    }

    /// Leaves the levels and forgets the strikes whose time is over.
    pub(super) fn settle(&mut self, now: Instant, settings: &GuardSettings) {
        while self.level != GuardLevel::Observe {
            let begin = begin(settings, self.level);
            if self.count(now) >= begin {
                break;
            }
            self.calm = self.calm.max(self.calm_from(begin));
            let dwell = match self.level {
                GuardLevel::Block => block_time(settings, self.block_strikes),
                _ => DWELL,
            };
            let left = self.calm.max(self.entered).after(Nanos(dwell.0.saturating_mul(2)));
            if now < left {
                break;
            }
            (self.level, self.entered, self.calm) = (below(self.level), left, Instant(0));
        }
        let step = settings.block.0.saturating_mul(2).max(1);
        if self.strikes > 0 && now.since(self.quiet).0 >= step {
            let forgotten = now.since(self.quiet).0 / step;
            self.strikes = self.strikes.saturating_sub(u8::try_from(forgotten).unwrap_or(u8::MAX));
            self.quiet = Instant(self.quiet.0 + forgotten * step);
        }
    }

    /// Whether it has to keep its place while others do not.
    pub(super) const fn is_watched(&self) -> bool {
        !matches!(self.level, GuardLevel::Observe) || self.strikes > 0
    }

    /// Enters the level that its count is worth, if that is higher.
    fn rise(
        &mut self,
        now: Instant,
        settings: &GuardSettings,
        blocked: impl FnOnce() -> usize,
    ) -> LadderEvent {
        let count = self.count(now);
        let worth = [GuardLevel::Block, GuardLevel::Degrade, GuardLevel::Delay]
            .into_iter()
            .find(|&level| count >= begin(settings, level))
            .unwrap_or_default();
        if worth != GuardLevel::Block || self.blocked_until > now {
            self.enter(now, worth);
            return LadderEvent::None;
        }
        if blocked() >= super::BLOCKED_MAX {
            self.enter(now, GuardLevel::Degrade);
            return LadderEvent::ShareFull;
        }
        self.enter(now, GuardLevel::Block);
        self.strikes = self.strikes.saturating_add(1).min(u8::try_from(STRIKES_MAX).unwrap_or(u8::MAX));
        self.block_strikes = self.strikes;
        self.blocked_until = now.after(block_time(settings, self.strikes));
        self.quiet = self.blocked_until;
        LadderEvent::Blocked(self.blocked_until)
    }

    fn enter(&mut self, now: Instant, level: GuardLevel) {
        if level > self.level {
            (self.level, self.entered, self.calm) = (level, now, Instant(0));
        }
    }

    /// The first instant after its last request at which its count is less than `begin`, if it asks no more; zero if the
    /// count was less already.
    fn calm_from(&self, begin: u64) -> Instant {
        let start = self.minute.saturating_mul(MINUTE);
        let (current, before) = (u64::from(self.hits.current), u64::from(self.hits.before));
        // `many` falls evenly to nothing in the minute from `start` on, and reaches `begin - rest` in it.
        let (start, many, rest) = if current >= begin {
            (start.saturating_add(MINUTE), current, 0)
        } else {
            (start, before, current)
        };
        let Some(above) = many.checked_sub(begin - rest) else { return Instant(0) };
        let whole = u128::from(above) * u128::from(MINUTE) / u128::from(many.max(1));
        let calm = Instant(start.saturating_add(u64::try_from(whole).unwrap_or(MINUTE)).saturating_add(1));
        if calm > self.asked { calm } else { Instant(0) }
    }
}

/// The count that a level begins at.
fn begin(settings: &GuardSettings, level: GuardLevel) -> u64 {
    // Without a threshold no count is high enough.
    let repeats = settings.repeats_per_minute.map_or(u64::MAX / 4, u64::from);
    match level {
        GuardLevel::Observe => 0,
        GuardLevel::Delay => repeats,
        GuardLevel::Degrade => 2 * repeats,
        GuardLevel::Block => 4 * repeats,
    }
}

const fn below(level: GuardLevel) -> GuardLevel {
    match level {
        GuardLevel::Block => GuardLevel::Degrade,
        GuardLevel::Degrade => GuardLevel::Delay,
        GuardLevel::Delay | GuardLevel::Observe => GuardLevel::Observe,
    }
}

fn block_time(settings: &GuardSettings, strikes: u8) -> Nanos {
    Nanos(settings.block.0.saturating_mul(strikes.into()))
}
