//! What the guard does with a request, and what it shows.

use super::ladder::{Entry, LadderEvent, Standing};
use super::minute::Minute;
use super::table::Table;
use super::{
    BLOCKED_MAX, GuardAnswer, GuardFinding, GuardLevel, GuardReason, GuardSettings, GuardStats, GuardVerdict,
    LOOPS_MAX, LoopGuard, LoopKey, LoopView, ServiceLevel,
};
use crate::field::SpecError;
use crate::mode::Mode;
use crate::request::RequestPriority;
use crate::time::{Instant, Nanos};
use core::cmp::Reverse;

impl LoopGuard {
    /// A guard that has no say.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            settings: GuardSettings::IDLE,
            table: Table::new(),
            requests: Minute::EMPTY,
            failures: Minute::EMPTY,
            block_ends: [Instant(0); BLOCKED_MAX],
            degraded_until: Instant(0),
            latest: Instant(0),
            counts: GuardStats::NONE,
        }
    }

    /// Whether nothing is configured that it could do.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.settings.is_idle()
    }

    /// What is configured.
    #[must_use]
    pub const fn settings(&self) -> &GuardSettings {
        &self.settings
    }

    /// Configures it. What was counted stays, unless the mode changes: shadow mode leaves no strikes behind.
    ///
    /// # Errors
    /// [`SpecError`] names a value that is not in its range. Then nothing is changed. [`GuardSettings::IDLE`] is in range.
    pub fn configure(&mut self, settings: GuardSettings) -> Result<(), SpecError> {
        if settings != GuardSettings::IDLE {
            settings.check()?;
        }
        if settings.mode != self.settings.mode || settings.is_idle() {
            self.forget();
        }
        if settings.repeats_per_minute.is_none() {
            self.table.clear();
            self.block_ends = [Instant(0); BLOCKED_MAX];
        }
        self.settings = settings;
        Ok(())
    }

    /// Forgets what was counted, and keeps what is configured.
    pub fn reset(&mut self) {
        self.forget();
        self.table.evicted = 0;
        self.counts = GuardStats::NONE;
    }

    /// What [`LoopGuard::admit`] would answer. It counts nothing.
    #[must_use]
    pub fn peek(
        &self,
        now: Instant,
        key: Option<&LoopKey<'_>>,
        class: Option<RequestPriority>,
    ) -> GuardAnswer {
        if self.is_idle() {
            return GuardAnswer::PASS;
        }
        let now = now.max(self.latest);
        let standing = self.watched(key).map_or(Standing::FREE, |key| {
            let blocked = || blocked(&self.block_ends, now);
            self.table.look(now, key).hit(now, &self.settings, blocked)
        });
        let mut requests = self.requests;
        requests.advance(now);
        let found = self.judge(now, standing, &requests, class);
        self.answer(standing.level, found)
    }

    /// Counts a request and decides it. Without a key it is in no loop; without a class it is of the usual one.
    ///
    /// What is refused counts for its caller and not for the hard cap. Where the time has gone back, it stands still.
    pub fn admit(
        &mut self,
        now: Instant,
        key: Option<&LoopKey<'_>>,
        class: Option<RequestPriority>,
    ) -> GuardAnswer {
        if self.is_idle() {
            return GuardAnswer::PASS;
        }
        let now = self.pass_time(now);
        let standing = self.count_loop(now, key);
        self.requests.advance(now);
        let found = self.judge(now, standing, &self.requests, class);
        match found.verdict {
            GuardVerdict::Pass | GuardVerdict::Delay(_) => self.requests.add(now),
            GuardVerdict::Refuse { why: GuardReason::HardCap, .. } => self.degrade(now),
            GuardVerdict::Refuse { .. } => {}
        }
        self.counts.count(self.settings.mode, found);
        self.answer(standing.level, found)
    }

    /// The request that was admitted last, at this time, was refused by somebody else: it does not count for the hard cap.
    /// It still counts for its caller.
    pub fn take_back(&mut self, now: Instant) {
        if !self.is_idle() {
            self.requests.take_back(now.max(self.latest));
        }
    }

    /// Counts an outcome that failed.
    pub fn record_failure(&mut self, now: Instant) {
        let Some(most) = self.settings.failures_per_minute else { return };
        let now = self.pass_time(now);
        self.failures.add(now);
        if self.failures.total(now) > u64::from(most) {
            self.degrade(now);
        }
    }

    /// How long degraded mode lasts from now on; none if there is none. In shadow mode it has no effect.
    #[must_use]
    pub fn degraded_until(&self, now: Instant) -> Option<Nanos> {
        Some(self.degraded_until.since(now.max(self.latest))).filter(|&rest| rest != Nanos::ZERO)
    }

    /// The callers in the table: the highest level first, then the highest count.
    pub fn loops(&self, now: Instant) -> impl Iterator<Item = LoopView> + '_ {
        let now = now.max(self.latest);
        let mut order = [(GuardLevel::Observe, 0_u64, 0_u32); LOOPS_MAX];
        let mut length = 0;
        for (place, (number, entry)) in order.iter_mut().zip(self.table.iter()) {
            let view = self.view(entry, now);
            *place = (view.level, view.count, number);
            length += 1;
        }
        order[..length].sort_unstable_by_key(|&(level, count, number)| (Reverse((level, count)), number));
        let numbers = order.into_iter().take(length);
        numbers.filter_map(move |(.., number)| self.table.get(number).map(|entry| self.view(entry, now)))
    }

    /// What it has seen and done.
    #[must_use]
    pub fn stats(&self, now: Instant) -> GuardStats {
        let now = now.max(self.latest);
        GuardStats {
            requests_this_minute: self.requests.total(now),
            failures_this_minute: self.failures.total(now),
            tracked: self.table.len(),
            evicted: self.table.evicted,
            ..self.counts
        }
    }

    fn forget(&mut self) {
        self.table.clear();
        (self.requests, self.failures) = (Minute::EMPTY, Minute::EMPTY);
        self.block_ends = [Instant(0); BLOCKED_MAX];
        (self.degraded_until, self.latest) = (Instant(0), Instant(0));
    }

    fn pass_time(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The key, if loops are looked for.
    fn watched<'a, 'b>(&self, key: Option<&'a LoopKey<'b>>) -> Option<&'a LoopKey<'b>> {
        key.filter(|_| self.settings.repeats_per_minute.is_some())
    }

    fn count_loop(&mut self, now: Instant, key: Option<&LoopKey<'_>>) -> Standing {
        let Some(key) = self.watched(key) else { return Standing::FREE };
        let ends = &self.block_ends;
        let hit = |entry: &mut Entry| entry.hit(now, &self.settings, || blocked(ends, now));
        let standing = self.table.update(now, key, &self.settings, hit).unwrap_or(Standing::FREE);
        match standing.event {
            LadderEvent::None => {}
            LadderEvent::ShareFull => self.counts.block_share_full += 1,
            LadderEvent::Blocked(until) => {
                self.counts.strikes += 1;
                // There is one: it was counted how many there are.
                if let Some(free) = self.block_ends.iter_mut().find(|end| **end <= now) {
                    *free = until;
                }
            }
        }
        standing
    }

    fn judge(
        &self,
        now: Instant,
        standing: Standing,
        requests: &Minute,
        class: Option<RequestPriority>,
    ) -> GuardFinding {
        let refuse = |why, retry| GuardFinding {
            verdict: GuardVerdict::Refuse { why, retry },
            service: ServiceLevel::Full,
        };
        if let Some(retry) = standing.blocked_for {
            return refuse(GuardReason::Loop, retry);
        }
        let degraded = self.degraded_until(now);
        if let (Some(retry), Some(RequestPriority::Low | RequestPriority::Batch)) = (degraded, class) {
            return refuse(GuardReason::Degraded, retry);
        }
        if let Some(most) = self.settings.requests_per_minute
            && requests.total(now) >= u64::from(most)
        {
            return refuse(GuardReason::HardCap, requests.room_in(now, most));
        }
        let verdict = match standing.level {
            GuardLevel::Delay => GuardVerdict::Delay(self.settings.delay),
            _ => GuardVerdict::Pass,
        };
        let is_degraded = degraded.is_some() || standing.level >= GuardLevel::Degrade;
        GuardFinding {
            verdict,
            service: if is_degraded { ServiceLevel::Degraded } else { ServiceLevel::Full },
        }
    }

    /// Begins degraded mode, or lets it last longer.
    fn degrade(&mut self, now: Instant) {
        self.counts.entered_degraded += u64::from(self.degraded_until <= now);
        self.degraded_until = self.degraded_until.max(now.after(self.settings.cooldown));
    }

    fn answer(&self, level: GuardLevel, found: GuardFinding) -> GuardAnswer {
        match self.settings.mode {
            Mode::Enforce => {
                GuardAnswer { level, verdict: found.verdict, service: found.service, would: None }
            }
            Mode::Shadow => GuardAnswer {
                level,
                would: Some(found).filter(|&found| found != GuardFinding::PASS),
                ..GuardAnswer::PASS
            },
        }
    }

    fn view(&self, entry: &Entry, now: Instant) -> LoopView {
        let mut entry = *entry;
        entry.settle(now, &self.settings);
        LoopView {
            caller: entry.caller,
            target: entry.target,
            count: entry.count(now),
            error: entry.error(now),
            level: entry.level(),
            strikes: entry.strikes(),
            blocked_for: entry.blocked_for(now),
        }
    }
}

impl GuardStats {
    /// Nothing was seen.
    pub(super) const NONE: Self = Self {
        requests_this_minute: 0,
        failures_this_minute: 0,
        tracked: 0,
        delayed: 0,
        degraded: 0,
        blocked: 0,
        capped: 0,
        shed: 0,
        would_delay: 0,
        would_degrade: 0,
        would_block: 0,
        would_cap: 0,
        would_shed: 0,
        evicted: 0,
        strikes: 0,
        block_share_full: 0,
        entered_degraded: 0,
    };

    fn count(&mut self, mode: Mode, found: GuardFinding) {
        let is_shadow = mode == Mode::Shadow;
        let counter = match (found.verdict, is_shadow) {
            (GuardVerdict::Pass, _) => None,
            (GuardVerdict::Delay(_), false) => Some(&mut self.delayed),
            (GuardVerdict::Delay(_), true) => Some(&mut self.would_delay),
            (GuardVerdict::Refuse { why: GuardReason::Loop, .. }, false) => Some(&mut self.blocked),
            (GuardVerdict::Refuse { why: GuardReason::Loop, .. }, true) => Some(&mut self.would_block),
            (GuardVerdict::Refuse { why: GuardReason::HardCap, .. }, false) => Some(&mut self.capped),
            (GuardVerdict::Refuse { why: GuardReason::HardCap, .. }, true) => Some(&mut self.would_cap),
            (GuardVerdict::Refuse { why: GuardReason::Degraded, .. }, false) => Some(&mut self.shed),
            (GuardVerdict::Refuse { why: GuardReason::Degraded, .. }, true) => Some(&mut self.would_shed),
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
        if found.service == ServiceLevel::Degraded {
            *(if is_shadow { &mut self.would_degrade } else { &mut self.degraded }) += 1;
        }
    }
}

/// How many blocks are not over.
fn blocked(ends: &[Instant; BLOCKED_MAX], now: Instant) -> usize {
    ends.iter().filter(|&&end| end > now).count()
}
