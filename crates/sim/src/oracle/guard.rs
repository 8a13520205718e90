//! A slow and obviously right model of the guard against loops: it keeps every request.
//!
//! Counts are taken from the times of all requests, and when a count falls below a threshold is found by halving the
//! time in which it does. All times are nanoseconds, and never go back.

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const DWELL: u64 = 30 * SECOND;

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct GuardRules {
    /// The hard cap.
    pub requests: Option<u32>,
    /// Where the ladder begins.
    pub repeats: u32,
    /// How many failures are too many.
    pub failures: Option<u32>,
    /// How long degraded mode lasts.
    pub cooldown: u64,
    /// The first block.
    pub block: u64,
    /// How many callers are remembered.
    pub callers: usize,
    /// How many are blocked at once.
    pub blocked: usize,
}

/// Whether a request may be refused when there is trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// It can wait.
    Waits,
    /// It cannot.
    Usual,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It passes.
    Passes,
    /// It is delayed.
    Waits,
    /// It gets the cheapest answer.
    Degraded,
    /// It gets the cheapest answer after a delay.
    WaitsDegraded,
    /// Its caller is blocked for so long.
    Blocked(u64),
    /// There were too many requests; after so long there is room.
    Capped(u64),
    /// There is degraded mode for so long.
    Shed(u64),
}

/// How a caller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerStands {
    /// Who.
    pub key: u64,
    /// Requests in the sliding minute.
    pub count: u64,
    /// How many more there may have been.
    pub error: u64,
    /// The level, from 0 to 3.
    pub level: u32,
    /// The strikes.
    pub strikes: u64,
    /// How long it is blocked.
    pub blocked_for: u64,
}

#[derive(Clone, Debug)]
struct Caller {
    key: u64,
    /// When it asked, since it is remembered.
    asked: Vec<u64>,
    /// In which minutes others asked who were forgotten for it, and how often.
    others: Vec<(u64, u64)>,
    turn: u64,
    is_held: bool,
    level: u32,
    entered: u64,
    blocked_until: u64,
    /// Its strikes when it was blocked.
    strikes: u64,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: GuardRules,
    callers: Vec<Caller>,
    passed: Vec<u64>,
    failed: Vec<u64>,
    block_ends: Vec<u64>,
    degraded_until: u64,
    turn: u64,
    looked: Option<u64>,
}

impl Guard {
    /// A guard that has seen nothing.
    #[must_use]
    pub const fn new(rules: GuardRules) -> Self {
        Self {
            rules,
            callers: Vec::new(),
            passed: Vec::new(),
            failed: Vec::new(),
            block_ends: Vec::new(),
            degraded_until: 0,
            turn: 0,
            looked: None,
        }
    }

    /// A request: the level of its caller, and what becomes of it.
    pub fn request(&mut self, now: u64, key: Option<u64>, urgency: Urgency) -> (u32, Becomes) {
        let (level, blocked_for) = key.map_or((0, 0), |key| self.ask(now, key));
        if blocked_for > 0 {
            return (level, Becomes::Blocked(blocked_for));
        }
        let is_degraded = self.degraded_until > now;
        if is_degraded && urgency == Urgency::Waits {
            return (level, Becomes::Shed(self.degraded_until - now));
        }
        if let Some(most) = self.rules.requests
            && in_minute(&self.passed, now / SECOND) >= u64::from(most)
        {
            let room = (now / SECOND..).find(|&second| in_minute(&self.passed, second) < u64::from(most));
            self.degrade(now);
            return (level, Becomes::Capped(room.expect("the minute passes") * SECOND - now));
        }
        self.passed.push(now);
        let becomes = match (level, is_degraded) {
            (0, false) => Becomes::Passes,
            (1, false) => Becomes::Waits,
            (1, true) => Becomes::WaitsDegraded,
            _ => Becomes::Degraded,
        };
        (level, becomes)
    }

    /// An outcome that failed.
    pub fn failure(&mut self, now: u64) {
        let Some(most) = self.rules.failures else { return };
        self.failed.push(now);
        if in_minute(&self.failed, now / SECOND) > u64::from(most) {
            self.degrade(now);
        }
    }

    /// How long degraded mode lasts.
    #[must_use]
    pub const fn degraded_for(&self, now: u64) -> u64 {
        self.degraded_until.saturating_sub(now)
    }

    /// Everyone who is remembered.
    #[must_use]
    pub fn callers(&self, now: u64) -> Vec<CallerStands> {
        let mut callers = self.callers.clone();
        callers.iter_mut().for_each(|caller| caller.leave(now, &self.rules));
        let stands = callers.iter().map(|caller| CallerStands {
            key: caller.key,
            count: caller.count(now),
            error: caller.error(now),
            level: caller.level,
            strikes: caller.strikes(now, &self.rules),
            blocked_for: caller.blocked_until.saturating_sub(now),
        });
        stands.collect()
    }

    fn degrade(&mut self, now: u64) {
        self.degraded_until = self.degraded_until.max(now + self.rules.cooldown);
    }

    /// A caller asks: its level, and how long it is blocked.
    fn ask(&mut self, now: u64, key: u64) -> (u32, u64) {
        let rules = self.rules;
        let place = match self.callers.iter().position(|caller| caller.key == key) {
            Some(place) => place,
            None => self.remember(now, key),
        };
        self.turn += 1;
        let caller = &mut self.callers[place];
        caller.leave(now, &rules);
        caller.asked.push(now);
        caller.turn = self.turn;
        let count = caller.count(now);
        let worth = (1..=3).rev().find(|&level| count >= begin(&rules, level)).unwrap_or(0);
        if worth == 3 && caller.blocked_until <= now {
            self.block_ends.retain(|&end| end > now);
            if self.block_ends.len() < rules.blocked {
                caller.rise(now, 3);
                caller.strikes = (caller.strikes(now, &rules) + 1).min(16);
                caller.blocked_until = now + caller.strikes * rules.block;
                self.block_ends.push(caller.blocked_until);
            } else {
                caller.rise(now, 2);
            }
        } else {
            caller.rise(now, worth);
        }
        caller.is_held = caller.level > 0 || caller.strikes(now, &rules) > 0;
        if caller.blocked_until <= now {
            return (caller.level.min(2), 0);
        }
        // When it may ask once more without being blocked again.
        let least = begin(&rules, 3) - 1;
        let calm = if count >= least { caller.falls_below(least, now) } else { now };
        (caller.level, caller.blocked_until.max(calm) - now)
    }

    /// Gives a caller a place, for which another one may be forgotten.
    fn remember(&mut self, now: u64, key: u64) -> usize {
        let minute = now / MINUTE;
        let mut others = Vec::new();
        if self.callers.len() == self.rules.callers {
            if self.looked != Some(minute) {
                self.looked = Some(minute);
                for caller in &mut self.callers {
                    caller.leave(now, &self.rules);
                    caller.is_held = caller.level > 0 || caller.strikes(now, &self.rules) > 0;
                }
            }
            let of = |caller: &Caller, minute| caller.own_in(minute) + caller.others_in(minute);
            let recent =
                |caller: &Caller| of(caller, minute) + minute.checked_sub(1).map_or(0, |m| of(caller, m));
            let least = (0..self.callers.len()).min_by_key(|&place| {
                let caller = &self.callers[place];
                (caller.is_held, recent(caller), caller.turn)
            });
            let gone = self.callers.remove(least.expect("there is one"));
            others.push((minute, of(&gone, minute)));
            others.extend(minute.checked_sub(1).map(|minute| (minute, of(&gone, minute))));
        }
        self.callers.push(Caller {
            key,
            asked: Vec::new(),
            others,
            turn: 0,
            is_held: false,
            level: 0,
            entered: 0,
            blocked_until: 0,
            strikes: 0,
        });
        self.callers.len() - 1
    }
}

impl Caller {
    fn own_in(&self, minute: u64) -> u64 {
        count(self.asked.iter().filter(|&&asked| asked / MINUTE == minute))
    }

    fn others_in(&self, minute: u64) -> u64 {
        self.others.iter().filter(|(of, _)| *of == minute).map(|(_, many)| many).sum()
    }

    fn count(&self, at: u64) -> u64 {
        Self::count_of(&self.asked, at)
    }

    /// The sliding count of these requests.
    fn count_of(asked: &[u64], at: u64) -> u64 {
        let of = |minute: u64| count(asked.iter().filter(|&&asked| asked / MINUTE == minute));
        sliding(of(at / MINUTE), (at / MINUTE).checked_sub(1).map_or(0, of), at)
    }

    fn error(&self, at: u64) -> u64 {
        let before = (at / MINUTE).checked_sub(1).map_or(0, |minute| self.others_in(minute));
        sliding(self.others_in(at / MINUTE), before, at)
    }

    /// When the count is less than this for the first time from `from` on, if nothing more is asked.
    fn falls_below(&self, least: u64, from: u64) -> u64 {
        Self::falls(&self.asked, least, from)
    }

    fn falls(asked: &[u64], least: u64, from: u64) -> u64 {
        let (mut above, mut below) = (from, from + 2 * MINUTE);
        assert!(Self::count_of(asked, above) >= least && Self::count_of(asked, below) < least);
        while below - above > 1 {
            let middle = above + (below - above) / 2;
            if Self::count_of(asked, middle) >= least { above = middle } else { below = middle }
        }
        below
    }

    /// Since when the count has been less than this, if it is.
    fn calm_since(&self, least: u64, now: u64) -> Option<u64> {
        if self.count(now) >= least {
            return None;
        }
        let known = |number: usize| &self.asked[..number];
        let last = (1..=self.asked.len())
            .rev()
            .find(|&number| Self::count_of(known(number), self.asked[number - 1]) >= least);
        Some(last.map_or(0, |number| Self::falls(known(number), least, self.asked[number - 1])))
    }

    /// Leaves every level whose time is over.
    fn leave(&mut self, now: u64, rules: &GuardRules) {
        while self.level > 0 {
            let Some(calm) = self.calm_since(begin(rules, self.level), now) else { return };
            let dwell = if self.level == 3 { self.strikes * rules.block } else { DWELL };
            let left = calm.max(self.entered) + 2 * dwell;
            if now < left {
                return;
            }
            (self.level, self.entered) = (self.level - 1, left);
        }
    }

    fn rise(&mut self, now: u64, level: u32) {
        if level > self.level {
            (self.level, self.entered) = (level, now);
        }
    }

    fn strikes(&self, now: u64, rules: &GuardRules) -> u64 {
        self.strikes.saturating_sub(now.saturating_sub(self.blocked_until) / (2 * rules.block))
    }
}

fn begin(rules: &GuardRules, level: u32) -> u64 {
    u64::from(rules.repeats) * [0, 1, 2, 4][usize::try_from(level).expect("a level")]
}

fn sliding(current: u64, before: u64, at: u64) -> u64 {
    let rest = u128::from(before) * u128::from(MINUTE - at % MINUTE) / u128::from(MINUTE);
    current + u64::try_from(rest).expect("a part of a count")
}

/// How many of these times lie in the second or the 60 before it.
fn in_minute(times: &[u64], second: u64) -> u64 {
    count(times.iter().rev().take_while(|&&time| time / SECOND + 60 >= second))
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).expect("a count")
}
