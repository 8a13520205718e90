//! Alerts: figures that cross a threshold, told once, and once more when they have come back.
//!
//! [`GovernanceAlerts`] holds up to [`ALERTS_MAX`] rules ([`AlertRule`], written as [`AlertDraft`] reads them) and looks
//! at them once a second at most, in [`GovernanceAlerts::tick`], never on the way of a request. What they look at comes
//! through [`Readings`], so that nothing here depends on who counts. The state of a rule is in `standing`, objectives
//! and their windows in `burn`.
//!
//! **Once per crossing.** A rule is quiet, pending while its metric is across for less than it asks, and then fires. It
//! clears when [`CLEAR_EVALUATIONS`] evaluations in a row find the metric at its `clear` value or beyond. One notice
//! says that it fires, one that it has cleared. After a notice that it fires, it gives no other one for its `cooldown`;
//! what still fires when that is over is told then, and what was never told does not clear aloud.
//!
//! **No data is no answer.** A metric that cannot be read leaves a rule as it was: it does not fire, does not clear, and
//! does not grow older.
//!
//! **Objectives** watch how fast failures use up what an objective allows. [`GovernanceAlerts::record`] counts each
//! outcome for at most two of them: that of all requests, and that of its service.

mod burn;
mod configure;
mod draft;
mod error;
mod export;
mod notice;
mod rule;
mod standing;
#[cfg(test)]
mod tests;
mod view;

pub use burn::{BURN_EVENTS_MIN, BurnWindows, SloEvent};
pub use draft::{ALERT_FIELDS, AlertDraft};
pub use error::AlertError;
pub use export::export_alerts;
pub use notice::{AlertBound, AlertEvent, AlertNotice};
pub use rule::{AlertCondition, AlertMetric, AlertRule, COOLDOWN_DEFAULT, MetricValue};
pub use standing::{AlertState, CLEAR_EVALUATIONS};
pub use view::{AlertStats, AlertView};

use crate::notice::Notices;
use crate::scope::{HashSecret, KeyHash, Name, Pattern, Scope};
use crate::time::{Instant, Nanos, Now};
use burn::{BurnReading, Slo};
use standing::{Finding, Standing, Step};

/// How many rules there may be.
pub const ALERTS_MAX: usize = 64;
/// How many of them may have an objective.
pub const SLOS_MAX: usize = 16;
/// How many of the last notices are kept.
pub const ALERT_NOTICES_MAX: usize = 128;
/// The rules are looked at once in so long at most.
const EVALUATION_PERIOD: Nanos = Nanos::from_seconds(1);
/// Places of the look-up of objectives: twice as many as there can be, so that there is always a free one.
const INDEX_PLACES: usize = 2 * SLOS_MAX;

const _: () = assert!(SLOS_MAX == u16::BITS as usize, "each objective has a bit");

/// Where rules read what they look at.
pub trait Readings {
    /// The present value of a metric, in the unit of [`AlertMetric`], for a scope, or for everything; none if there is
    /// no data to tell it from, such as the latency of a minute without outcomes. It is never asked for
    /// [`AlertMetric::BurnRate`].
    fn read(&self, metric: AlertMetric, scope: Option<&Scope>) -> Option<i128>;
}

/// The rules, and where each stands. All-zero when empty.
#[derive(Debug)]
pub struct GovernanceAlerts {
    secret: HashSecret,
    entries: [Entry; ALERTS_MAX],
    count: usize,
    slos: [Slo; SLOS_MAX],
    /// Which of them are in use, a bit for each.
    in_use: u16,
    /// The number of the objective of all requests, plus one; 0 if there is none.
    overall: u8,
    /// The numbers of the objectives of services, plus one, by the first bits of the hash.
    index: [u8; INDEX_PLACES],
    notices: Notices<AlertNotice, ALERT_NOTICES_MAX>,
    ticked_at: Instant,
    has_ticked: bool,
    totals: Totals,
}

/// A rule in its place.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Name,
    metric: AlertMetric,
    /// `*` stands for everything: an option of a scope is not all-zero when there is none.
    scope: Scope,
    condition: AlertCondition,
    clear: i128,
    for_duration: Nanos,
    cooldown: Nanos,
    /// The number of its objective; nothing for other rules.
    slo: u8,
    standing: Standing,
    value: i128,
    has_value: bool,
    windows: BurnWindows,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    evaluations: u64,
    without_data: u64,
    fired: u64,
    cleared: u64,
    suppressed: u64,
}

impl Default for GovernanceAlerts {
    fn default() -> Self {
        Self::new()
    }
}

impl GovernanceAlerts {
    /// No rules.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            entries: [Entry::EMPTY; ALERTS_MAX],
            count: 0,
            slos: [Slo::EMPTY; SLOS_MAX],
            in_use: 0,
            overall: 0,
            index: [0; INDEX_PLACES],
            notices: Notices::new(AlertNotice::EMPTY),
            ticked_at: Instant(0),
            has_ticked: false,
            totals: Totals { evaluations: 0, without_data: 0, fired: 0, cleared: 0, suppressed: 0 },
        }
    }

    /// Looks at every rule, unless that was done less than a second ago.
    pub fn tick(&mut self, now: Now, readings: &(impl Readings + ?Sized)) {
        if self.has_ticked && now.instant.since(self.ticked_at) < EVALUATION_PERIOD {
            return;
        }
        (self.has_ticked, self.ticked_at) = (true, now.instant);
        self.totals.evaluations += 1;
        for number in 0..self.count {
            self.evaluate(now, number, readings);
        }
    }

    /// Counts what became of a request for the objective of all requests and for that of its service, by the hash of
    /// the service's key.
    #[inline]
    pub fn record(&mut self, now: Instant, service: Option<KeyHash>, event: SloEvent) {
        if self.in_use == 0 {
            return;
        }
        let own = service.and_then(|hash| self.slo_of(hash));
        for number in [self.overall.checked_sub(1).map(usize::from), own].into_iter().flatten() {
            if let Some(slo) = self.slos.get_mut(number) {
                slo.record(now, event);
            }
        }
    }

    /// When the rules are to be looked at next; none if there are none.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        (self.count > 0)
            .then(|| if self.has_ticked { self.ticked_at.after(EVALUATION_PERIOD) } else { Instant(0) })
    }

    /// Whether there are no rules, so that nothing has to be read for them.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.count == 0
    }

    /// The rules that are pending or fire, in the order of the configuration.
    pub fn get_pending_alerts(&self) -> impl Iterator<Item = AlertView> + '_ {
        self.alerts().filter(|view| view.state != AlertState::Quiet)
    }

    /// Every rule and where it stands, in the order of the configuration.
    pub fn alerts(&self) -> impl Iterator<Item = AlertView> + '_ {
        self.entries[..self.count].iter().map(Entry::view)
    }

    /// What has happened, for readers who ask for it later.
    #[must_use]
    pub const fn notices(&self) -> &Notices<AlertNotice, ALERT_NOTICES_MAX> {
        &self.notices
    }

    /// What is counted.
    #[must_use]
    pub fn stats(&self) -> AlertStats {
        let count =
            |state| self.entries[..self.count].iter().filter(|entry| entry.standing.state == state).count();
        let Totals { evaluations, without_data, fired, cleared, suppressed } = self.totals;
        AlertStats {
            rules: self.count,
            objectives: usize::try_from(self.in_use.count_ones()).unwrap_or(SLOS_MAX),
            pending: count(AlertState::Pending),
            firing: count(AlertState::Firing),
            evaluations,
            without_data,
            fired,
            cleared,
            suppressed,
        }
    }

    fn evaluate(&mut self, now: Now, number: usize, readings: &(impl Readings + ?Sized)) {
        let entry = &mut self.entries[number];
        let finding = match entry.condition {
            AlertCondition::Objective(ppm) => {
                let BurnReading { is_burning, windows, burn_milli } =
                    self.slos[usize::from(entry.slo)].evaluate(now.instant, ppm);
                is_burning.map(|is_burning| {
                    (entry.value, entry.has_value, entry.windows) = (burn_milli, true, windows);
                    if is_burning { Finding::Across } else { Finding::Back }
                })
            }
            AlertCondition::Above(_) | AlertCondition::Below(_) => {
                let scope = (entry.scope.pattern != Pattern::Any).then_some(&entry.scope);
                readings.read(entry.metric, scope).map(|value| {
                    (entry.value, entry.has_value) = (value, true);
                    entry.find(value)
                })
            }
        };
        let Some(finding) = finding else {
            self.totals.without_data += 1;
            return entry.standing.freeze();
        };
        let (for_duration, cooldown) = (entry.for_duration, entry.cooldown);
        let event = match entry.standing.step(now, finding, entry.windows, for_duration, cooldown) {
            Step::Nothing => return,
            Step::Suppressed => {
                self.totals.suppressed += 1;
                return;
            }
            Step::Fired => AlertEvent::Fired,
            Step::Escalated => AlertEvent::Escalated,
            Step::Cleared => AlertEvent::Cleared,
        };
        *(if event == AlertEvent::Cleared { &mut self.totals.cleared } else { &mut self.totals.fired }) += 1;
        self.notices.push(AlertNotice {
            name: entry.name,
            metric: entry.metric,
            event,
            at: now.wall,
            value: entry.value,
            bound: entry.bound(),
        });
    }

    /// The number of a service's objective.
    fn slo_of(&self, hash: KeyHash) -> Option<usize> {
        let mut place = Self::place(hash);
        while let Some(number) = self.index[place].checked_sub(1).map(usize::from) {
            if self.slos[number].hash == hash {
                return Some(number);
            }
            place = (place + 1) % INDEX_PLACES;
        }
        None
    }

    /// Where the look-up of a hash begins.
    fn place(hash: KeyHash) -> usize {
        usize::try_from(hash.0 >> (u64::BITS - INDEX_PLACES.ilog2())).unwrap_or(0)
    }
}

impl Entry {
    /// All-zero: what fills a place where no rule is.
    const EMPTY: Self = Self {
        name: Name::EMPTY,
        metric: AlertMetric::RequestsPerSecond,
        scope: Scope { kind: crate::scope::Kind::Service, pattern: Pattern::Any },
        condition: AlertCondition::NONE,
        clear: 0,
        for_duration: Nanos::ZERO,
        cooldown: Nanos::ZERO,
        slo: 0,
        standing: Standing::QUIET,
        value: 0,
        has_value: false,
        windows: BurnWindows::Hour,
    };

    fn find(&self, value: i128) -> Finding {
        let (is_across, is_back) = match self.condition {
            AlertCondition::Below(threshold) => (value < threshold, value >= self.clear),
            AlertCondition::Above(threshold) => (value > threshold, value <= self.clear),
            AlertCondition::Objective(_) => (false, false),
        };
        match (is_across, is_back) {
            (true, _) => Finding::Across,
            (false, true) => Finding::Back,
            (false, false) => Finding::Between,
        }
    }

    fn bound(&self) -> AlertBound {
        match self.condition {
            AlertCondition::Above(threshold) => AlertBound::Above(threshold),
            AlertCondition::Below(threshold) => AlertBound::Below(threshold),
            AlertCondition::Objective(_) => AlertBound::Burn(self.windows),
        }
    }

    fn rule(&self) -> AlertRule {
        AlertRule {
            name: self.name,
            metric: self.metric,
            scope: (self.scope.pattern != Pattern::Any).then_some(self.scope),
            condition: self.condition,
            clear: self.clear,
            for_duration: self.for_duration,
            cooldown: self.cooldown,
        }
    }

    fn view(&self) -> AlertView {
        AlertView {
            rule: self.rule(),
            state: self.standing.state,
            since: self.standing.since,
            value: self.has_value.then_some(self.value),
            bound: self.bound(),
        }
    }
}
