//! Where a rule stands: quiet, pending or firing.

use super::burn::BurnWindows;
use crate::time::{Instant, Nanos, Now, WallTime};

/// So many evaluations in a row have to find the metric back before a rule fires no longer.
pub const CLEAR_EVALUATIONS: u32 = 3;
/// An evaluation speaks for at most so much of the time since the one before: what rates look back over.
pub(super) const EVALUATION_SPAN_MAX: Nanos = Nanos::from_seconds(60);

/// Where a rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertState {
    /// The metric has not crossed.
    #[default]
    Quiet,
    /// It has, and not for as long yet as the rule asks.
    Pending,
    /// It has, for as long as the rule asks, and has not come back since.
    Firing,
}

impl AlertState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Quiet, Self::Pending, Self::Firing];

    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// What a value is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Across the threshold.
    Across,
    /// Neither across nor back.
    Between,
    /// At the value that clears, or beyond.
    Back,
}

/// What has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Fired,
    Escalated,
    Cleared,
    /// It fires, and keeps still about it for now. It is said once for each time.
    Suppressed,
}

/// The state of one rule. All-zero when quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) state: AlertState,
    /// Since when it is in this state; for a firing rule, since when the metric is across.
    pub(super) since: WallTime,
    /// How long the metric was seen across while pending.
    held: Nanos,
    /// When there was data last.
    seen: Instant,
    /// How many evaluations in a row found the metric back.
    back: u32,
    /// When a notice that it fires was last given, and how urgent it was; nothing before the first.
    told_at: Instant,
    was_told: bool,
    told_windows: BurnWindows,
    /// Whether operators know that it fires.
    is_told: bool,
    /// Whether it was counted that they are not told.
    is_suppressed: bool,
    /// Whether the last evaluation had data.
    had_data: bool,
}

impl Standing {
    pub(super) const QUIET: Self = Self {
        state: AlertState::Quiet,
        since: WallTime(0),
        held: Nanos::ZERO,
        seen: Instant(0),
        back: 0,
        told_at: Instant(0),
        was_told: false,
        told_windows: BurnWindows::Hour,
        is_told: false,
        is_suppressed: false,
        had_data: false,
    };

    /// An evaluation without data: nothing goes on, and nothing is over.
    pub(super) fn freeze(&mut self) {
        self.had_data = false;
    }

    /// An evaluation with data. `windows` says how urgent it is where that differs.
    pub(super) fn step(
        &mut self,
        now: Now,
        finding: Finding,
        windows: BurnWindows,
        for_duration: Nanos,
        cooldown: Nanos,
    ) -> Step {
        let passed =
            if self.had_data { now.instant.since(self.seen).min(EVALUATION_SPAN_MAX) } else { Nanos::ZERO };
        (self.had_data, self.seen) = (true, now.instant);
        match (self.state, finding) {
            (AlertState::Quiet, Finding::Across) => {
                (self.state, self.since, self.held) = (AlertState::Pending, now.wall, Nanos::ZERO);
            }
            (AlertState::Pending, Finding::Across) => self.held = Nanos(self.held.0.saturating_add(passed.0)),
            (AlertState::Pending, _) => (self.state, self.since) = (AlertState::Quiet, now.wall),
            (AlertState::Firing, Finding::Back) => return self.come_back(now),
            (AlertState::Quiet, _) | (AlertState::Firing, _) => self.back = 0,
        }
        if self.state == AlertState::Pending && self.held >= for_duration {
            (self.state, self.back) = (AlertState::Firing, 0);
            (self.is_told, self.is_suppressed) = (false, false);
        }
        if self.state == AlertState::Firing && finding == Finding::Across {
            self.tell(now, windows, cooldown)
        } else {
            Step::Nothing
        }
    }

    fn come_back(&mut self, now: Now) -> Step {
        self.back += 1;
        if self.back < CLEAR_EVALUATIONS {
            return Step::Nothing;
        }
        (self.state, self.since) = (AlertState::Quiet, now.wall);
        if self.is_told { Step::Cleared } else { Step::Nothing }
    }

    /// The cooldown runs from what was told, never from what was kept back: else a rule that flaps would be silent
    /// for ever. What is more urgent than the last notice does not wait.
    fn tell(&mut self, now: Now, windows: BurnWindows, cooldown: Nanos) -> Step {
        let is_more_urgent = windows < self.told_windows;
        if self.is_told && !is_more_urgent {
            return Step::Nothing;
        }
        if self.was_told && !is_more_urgent && now.instant.since(self.told_at) < cooldown {
            let step = if self.is_suppressed { Step::Nothing } else { Step::Suppressed };
            self.is_suppressed = true;
            return step;
        }
        let step = if self.is_told { Step::Escalated } else { Step::Fired };
        (self.told_at, self.told_windows) = (now.instant, windows);
        (self.was_told, self.is_told) = (true, true);
        step
    }
}
