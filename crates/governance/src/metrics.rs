//! What is counted in time: who asked for what, what became of it, how long it took and what it cost.
//!
//! [`GovernanceCollector`] is told of each decision and each outcome once, and counts it everywhere: exactly in totals, in
//! the present second of a [timeline](Resolution) and in the series of its service and tenant; within known bounds in
//! rankings ([`SpaceSaving`]) and latencies ([`Percentiles`]). Counting looks up at most the series, and divides nothing
//! but once a second. All-zero when empty; a full table counts for all others together, and says how often.

mod correlate;
mod count;
mod export;
mod latency;
mod place;
mod record;
mod series;
mod stats;
mod timeline;
mod top;

pub use correlate::{CorrelateError, Correlation, Measure, SAMPLES_NEEDED};
pub use export::export_metrics;
pub use latency::{
    BOUNDS_US, Confidence, LATENCY_SCOPES_MAX, LatencyBuckets, LatencyScope, LatencyView, Percentiles,
    SAMPLES_FEW, Window,
};
pub use record::{
    CostEvent, CostSource, GovernanceMetric, Key, MeasureId, Measured, OutcomeReport, OutcomeResult,
    PolicyMetric, QuotaEvent, QuotaMetric, RateLimitMetric,
};
pub use series::{Counts, OTHER, SERIES_MAX, SeriesView};
pub use stats::{CostStatistics, PolicyStatistics, QuotaStatistics, RateLimitStatistics, VerdictKind};
pub use timeline::{Resolution, Slot};
pub use top::{Rank, SpaceSaving, TOP_MAX, Top, TopBy, TopEntry};

use crate::decision::{Decision, Reason, Verdict};
use crate::histogram::VALUE_MAX;
use crate::money::NanoUnits;
use crate::policy::{ActionKind, PolicyDecision};
use crate::quota::QuotaUnit;
use crate::time::{Nanos, Now, WallTime};
use correlate::Samples;
use count::Count;
use latency::LatencyPool;
use record::Pair;
use series::{Series, SeriesId, SeriesTable, Side, hash_of};
use stats::{DecisionTable, Families};
use timeline::Timeline;
use top::Rankings;

/// How long a window is in which series are compared with the one before: it begins with each minute of UTC.
pub const AGGREGATION_WINDOW: Nanos = Nanos::from_seconds(WINDOW_SECONDS);
const WINDOW_SECONDS: u64 = 60;

/// How full the collector is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectorStats {
    /// Pairs of a service and a tenant that have a series.
    pub series: usize,
    /// How many can have: [`SERIES_MAX`].
    pub series_max: usize,
    /// Requests of pairs that found no room.
    pub overflowed: u64,
    /// Latency scopes.
    pub latency_scopes: usize,
    /// How many there can be: [`LATENCY_SCOPES_MAX`].
    pub latency_scopes_max: usize,
    /// Requests whose latency scope found no room.
    pub latency_overflowed: u64,
    /// Outcomes of requests whose decision was not counted, or was forgotten since: they are counted nowhere else.
    pub stale: u64,
}

/// What requests of a service and a tenant came to.
#[derive(Clone, Copy)]
struct Requests {
    requests: u64,
    allowed: u64,
    denied: u64,
    delayed: u64,
    tokens: u64,
    wait: Nanos,
}

/// What is counted of a decision.
#[derive(Clone, Copy)]
pub(crate) struct Spoken {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    /// Whether a quota or a budget speaks for it.
    pub(crate) is_of_quota: bool,
    pub(crate) policy: Option<PolicyDecision>,
}

/// Everything that is counted in time.
#[derive(Debug)]
pub struct GovernanceCollector {
    timeline: Timeline,
    /// The number of the present window, in minutes since 1970.
    window: u64,
    /// How often everything was forgotten.
    epoch: u32,
    stale: u64,
    decisions: DecisionTable,
    series: SeriesTable,
    rankings: Rankings,
    families: Families,
    latency: LatencyPool,
}

impl Default for GovernanceCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl GovernanceCollector {
    /// Nothing is counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeline: Timeline::EMPTY,
            window: 0,
            epoch: 0,
            stale: 0,
            decisions: DecisionTable::ZERO,
            series: SeriesTable::EMPTY,
            rankings: Rankings::EMPTY,
            families: Families::ZERO,
            latency: LatencyPool::EMPTY,
        }
    }

    /// Forgets everything, in place. Outcomes of requests of before are counted as stale.
    pub fn reset(&mut self) {
        self.timeline.reset();
        self.window = 0;
        self.epoch = self.epoch.wrapping_add(1);
        self.stale = 0;
        self.decisions = DecisionTable::ZERO;
        self.series.reset();
        self.rankings.reset();
        self.families = Families::ZERO;
        self.latency.reset();
    }

    /// Goes on to the second of `now`, so that what is read is of this time. A clock that went back changes nothing: what
    /// is counted then belongs to the latest second.
    #[inline(always)] // one comparison, on the path of every decision
    pub fn advance(&mut self, now: Now) {
        if self.timeline.is_over(now.wall) {
            self.begin_second(now.wall);
        }
    }

    #[cold]
    fn begin_second(&mut self, wall: WallTime) {
        let second = self.timeline.roll(wall);
        self.window = second / WINDOW_SECONDS;
        self.latency.advance(second);
    }

    /// Counts a decision, and says where, so that its outcome can be counted there too.
    pub fn record_decision(&mut self, now: Now, measured: &Measured<'_>, decision: &Decision) -> MeasureId {
        let spoken = Spoken {
            verdict: decision.verdict,
            reason: decision.reason,
            is_of_quota: decision.quota.is_some() || decision.budget.is_some(),
            policy: decision.policy,
        };
        self.record_spoken(now, measured, &spoken)
    }

    /// As [`GovernanceCollector::record_decision`], by what is counted of the decision.
    #[inline(always)] // not to put together what is read at once
    pub(crate) fn record_spoken(
        &mut self,
        now: Now,
        measured: &Measured<'_>,
        decision: &Spoken,
    ) -> MeasureId {
        self.advance(now);
        self.decisions.count(decision.verdict.into(), decision.reason);
        let is_denied = decision.verdict == Verdict::Deny;
        let wait = match decision.verdict {
            Verdict::Delay(wait) | Verdict::Queue(wait) => Some(wait),
            Verdict::Allow | Verdict::Redirect | Verdict::Deny => None,
        };
        let requests = Requests {
            requests: 1,
            allowed: u64::from(decision.verdict.is_allowed()),
            denied: u64::from(is_denied),
            delayed: u64::from(wait.is_some()),
            tokens: measured.tokens,
            wait: wait.unwrap_or(Nanos::ZERO),
        };
        let pair = Pair { service: measured.service.as_ref(), tenant: measured.tenant.as_ref() };
        let id = self.count_requests(&pair, &requests);
        if measured.charged != NanoUnits::ZERO {
            self.count_cost(id, &pair, measured.charged, CostSource::Decision);
        }
        if decision.is_of_quota {
            let is_violation = matches!(decision.reason, Reason::OverQuota | Reason::OverBudget);
            self.count_quota(id, if is_violation { QuotaEvent::Violation } else { QuotaEvent::WithinQuota });
        }
        if let Some(policy) = &decision.policy {
            let is_denial = matches!(decision.reason, Reason::PolicyDenied | Reason::PolicyDefault);
            let spoken = PolicyStatistics {
                matches: u64::from(policy.decider.is_some()),
                denials: u64::from(is_denial),
                denials_by_default: u64::from(is_denial && policy.decider.is_none()),
                alerts: u64::from(policy.enforcement_action == Some(ActionKind::Alert)),
                enforcement_time: Nanos::ZERO,
            };
            self.families.policy.add(&spoken);
        }
        let scope = match &measured.scope {
            Some((kind, key)) if decision.verdict.is_allowed() => {
                let series = self.series.get_mut(id);
                series.scope = self.latency.scope(series.scope, *kind, key);
                series.scope
            }
            _ => 0,
        };
        let service = hash_of(measured.service.as_ref());
        MeasureId { epoch: self.epoch, series: id.link(), scope, service }
    }

    /// Counts what became of a request where its decision was counted. That of a request that is not known, or was
    /// forgotten since, is counted as stale and nowhere else.
    pub fn record_outcome(&mut self, now: Now, id: MeasureId, report: &OutcomeReport) {
        self.advance(now);
        let known = if id.epoch == self.epoch { self.series.by_link(id.series) } else { None };
        let Some(series) = known else {
            self.stale.count(1);
            return;
        };
        let failed = u64::from(report.result == OutcomeResult::Failure);
        let slot = &mut self.timeline.present;
        slot.outcomes.count(1);
        slot.errors.count(failed);
        if let Some(status) = report.status {
            let class = usize::from(status / 100).wrapping_sub(1);
            if let Some(count) = slot.classes.get_mut(class) {
                count.count(1);
            }
            slot.throttled.count(u64::from(status == 429));
        }
        if let Some(latency_us) = report.latency_us.map(|latency| latency.min(VALUE_MAX)) {
            slot.timed.count(1);
            slot.latency_sum_us.count(latency_us);
            slot.latency_max_us = slot.latency_max_us.max(latency_us);
            self.latency.record(id.scope, latency_us);
        }
        let counted = self.series.get_mut(series);
        let counts = counted.counts(self.window);
        counts.outcomes.count(1);
        counts.errors.count(failed);
        counted.extra.tokens = counted.extra.tokens.saturating_add_signed(report.tokens_delta);
        if report.cost_delta != NanoUnits::ZERO {
            self.count_cost_of_outcome(series, report.cost_delta);
        }
    }

    /// Counts requests of a service and a tenant that were decided elsewhere. They have no reason, and no outcome unless
    /// that is told by the answer.
    pub fn record_rate_limit(&mut self, metric: &RateLimitMetric<'_>) -> MeasureId {
        self.advance(metric.timestamp);
        let requests = Requests {
            requests: metric.allowed.saturating_add(metric.denied),
            allowed: metric.allowed,
            denied: metric.denied,
            delayed: if metric.wait_time > Nanos::ZERO { metric.allowed } else { 0 },
            tokens: metric.tokens_used,
            wait: metric.wait_time,
        };
        let pair = Pair { service: metric.service_id.as_ref(), tenant: metric.tenant_id.as_ref() };
        let id = self.count_requests(&pair, &requests);
        let service = hash_of(metric.service_id.as_ref());
        MeasureId { epoch: self.epoch, series: id.link(), scope: 0, service }
    }

    /// Counts what a quota or a budget said elsewhere than for a decision.
    pub fn record_quota_event(&mut self, metric: &QuotaMetric<'_>) {
        self.advance(metric.timestamp);
        let id = self.series.find_or_add(&Pair { service: None, tenant: metric.tenant_id.as_ref() });
        self.count_quota(id, metric.standing);
        let extra = &mut self.series.get_mut(id).extra;
        for highest in [&mut extra.highest_percent, &mut self.families.quota.highest_percent] {
            *highest = metric.percent_utilized.max(*highest);
        }
        if let (Some(unit), QuotaEvent::Violation) = (metric.quota_type, metric.standing) {
            self.families.by_unit[unit as usize].count(1);
        }
    }

    /// Counts what policies said elsewhere than for a decision.
    pub fn record_policy_event(&mut self, metric: &PolicyMetric) {
        self.advance(metric.timestamp);
        let PolicyMetric { policy_id, matches, denials, alerts, enforcement_time, .. } = *metric;
        let denials_by_default = if policy_id.is_none() { denials } else { 0 };
        let spoken = PolicyStatistics { matches, denials, denials_by_default, alerts, enforcement_time };
        self.families.policy.add(&spoken);
    }

    /// Counts a cost that was charged elsewhere than for a decision or an outcome.
    pub fn record_cost_event(&mut self, event: &CostEvent<'_>) {
        self.advance(event.timestamp);
        let pair = Pair { service: event.service_id.as_ref(), tenant: event.tenant_id.as_ref() };
        let id = self.series.find_or_add(&pair);
        self.count_cost(id, &pair, event.cost_amount, event.metric_type);
    }

    /// Everything that was counted since the start.
    #[must_use]
    pub fn totals(&self) -> Slot {
        self.timeline.total()
    }

    /// What was counted in the present second and the 59 before it.
    #[must_use]
    pub fn last_minute(&self) -> Slot {
        let mut sum = Slot::EMPTY;
        self.get_timeline(Resolution::Second, &mut |_, slot| slot.into_iter().for_each(|slot| sum.add(slot)));
        sum
    }

    /// How many decisions had a verdict and a reason.
    #[must_use]
    pub const fn decisions_of(&self, verdict: VerdictKind, reason: Reason) -> u64 {
        self.decisions.of(verdict, reason)
    }

    /// How many decisions there were, by verdict and reason, as far as there were any.
    pub fn decisions(&self) -> impl Iterator<Item = (VerdictKind, Reason, u64)> + '_ {
        self.decisions.each()
    }

    /// Every series in the order of coming, the one of all others last.
    pub fn series(&self) -> impl Iterator<Item = SeriesView<'_>> + '_ {
        self.series.views(self.window)
    }

    /// Requests that were decided; of a service, those of its series.
    #[must_use]
    pub fn get_rate_limit_stats(&self, service: Option<&str>) -> RateLimitStatistics {
        let mut stats = RateLimitStatistics::default();
        for (_, series) in self.series.each().filter(|([its, _], _)| service.is_none() || *its == service) {
            let total = series.total();
            stats.requests.count(total.requests);
            stats.allowed.count(total.allowed);
            stats.denied.count(total.denied);
            stats.tokens_used.count(series.extra.tokens);
            stats.wait_time.0.count(series.extra.wait);
        }
        stats
    }

    /// Quotas and budgets that spoke for decisions; of a tenant, those of its series.
    #[must_use]
    pub fn get_quota_stats(&self, tenant: Option<&str>) -> QuotaStatistics {
        let mut stats = QuotaStatistics::default();
        if tenant.is_none() {
            return self.families.quota;
        }
        for (_, series) in self.series.each().filter(|([_, its], _)| *its == tenant) {
            stats.events.count(series.extra.quota_events);
            stats.violations.count(series.extra.quota_violations);
            stats.highest_percent = stats.highest_percent.max(series.extra.highest_percent);
        }
        stats
    }

    /// Violations of quotas that count `unit`, as far as they were told by [`GovernanceCollector::record_quota_event`].
    #[must_use]
    pub const fn quota_violations_of(&self, unit: QuotaUnit) -> u64 {
        self.families.by_unit[unit as usize]
    }

    /// Policies that spoke for decisions. What each of them did is told by
    /// [`PolicyEngine`](crate::policy::PolicyEngine).
    #[must_use]
    pub const fn get_policy_stats(&self) -> PolicyStatistics {
        self.families.policy
    }

    /// What was charged: to a service, to a tenant, for both together, or all of it.
    #[must_use]
    pub fn get_cost_stats(&self, service: Option<&str>, tenant: Option<&str>) -> CostStatistics {
        let mut stats = CostStatistics::default();
        let is_meant = |view: &SeriesView<'_>| {
            (service.is_none() || view.service == service) && (tenant.is_none() || view.tenant == tenant)
        };
        for view in self.series().filter(is_meant) {
            stats.total.count(view.total.cost);
            stats.current.count(view.current.cost);
            stats.last.count(view.last.cost);
        }
        stats
    }

    /// What was charged for requests when they were decided, for what became of them, and for other usage.
    #[must_use]
    pub const fn cost_of(&self, source: CostSource) -> NanoUnits {
        self.families.by_source[source as usize]
    }

    /// Calls `each` with the start of each slot of a timeline, oldest first, and what was counted in it; none where there
    /// is no data. The last slot is the present one. Nothing is called before anything was counted.
    pub fn get_timeline(&self, resolution: Resolution, each: &mut impl FnMut(WallTime, Option<&Slot>)) {
        self.timeline.each(resolution, each);
    }

    /// The services with the most.
    #[must_use]
    pub fn get_top_services(&self, by: TopBy) -> Top<'_> {
        self.rankings.services[by as usize].ranking_with(self.series.owed(Side::Service, by))
    }

    /// The tenants with the most.
    #[must_use]
    pub fn get_top_tenants(&self, by: TopBy) -> Top<'_> {
        self.rankings.tenants[by as usize].ranking_with(self.series.owed(Side::Tenant, by))
    }

    /// How long answers took; none if the scope is not known or nothing was counted in the window.
    #[must_use]
    pub fn get_metric_percentiles(&self, scope: LatencyScope<'_>, window: Window) -> Option<Percentiles> {
        self.latency.percentiles(scope, window)
    }

    /// Latencies since the start by fixed bounds; none if the scope is not known.
    #[must_use]
    pub fn latency_buckets(&self, scope: LatencyScope<'_>) -> Option<&LatencyBuckets> {
        self.latency.buckets(scope)
    }

    /// The latency scopes, in the order of coming.
    pub fn latency_scopes(&self) -> impl Iterator<Item = LatencyView<'_>> + '_ {
        self.latency.views()
    }

    /// Whether two measures go together, over the slots of a timeline that have data of both.
    ///
    /// # Errors
    /// [`CorrelateError`] if there are too few, or if one measure never changes.
    pub fn correlate_metrics(
        &self,
        one: Measure,
        other: Measure,
        resolution: Resolution,
    ) -> Result<Correlation, CorrelateError> {
        let mut samples = Samples::EMPTY;
        self.get_timeline(resolution, &mut |_, slot| {
            if let Some(slot) = slot
                && let (Some(one), Some(other)) = (one.of(slot), other.of(slot))
            {
                samples.push(one, other);
            }
        });
        samples.correlate([one, other])
    }

    /// How full the collector is.
    #[must_use]
    pub const fn stats(&self) -> CollectorStats {
        CollectorStats {
            series: self.series.len(),
            series_max: SERIES_MAX,
            overflowed: self.series.overflowed(),
            latency_scopes: self.latency.len(),
            latency_scopes_max: LATENCY_SCOPES_MAX,
            latency_overflowed: self.latency.overflowed(),
            stale: self.stale,
        }
    }

    #[inline]
    fn count_requests(&mut self, pair: &Pair<'_>, more: &Requests) -> SeriesId {
        let slot = &mut self.timeline.present;
        slot.requests.count(more.requests);
        slot.allowed.count(more.allowed);
        slot.denied.count(more.denied);
        slot.delayed.count(more.delayed);
        let id = self.series.find_or_add(pair);
        let series = self.series.get_mut(id);
        let counts = series.counts(self.window);
        counts.requests.count(more.requests);
        counts.allowed.count(more.allowed);
        counts.denied.count(more.denied);
        series.extra.tokens.count(more.tokens);
        series.extra.wait.count(more.wait.0);
        series.owed.count(TopBy::Requests, more.requests);
        if more.denied > 0 {
            series.owed.count(TopBy::Violations, more.denied);
        }
        self.settle_if_due(id, pair);
        id
    }

    fn count_quota(&mut self, id: SeriesId, event: QuotaEvent) {
        let violations = u64::from(event == QuotaEvent::Violation);
        self.families.quota.events.count(1);
        self.families.quota.violations.count(violations);
        let extra = &mut self.series.get_mut(id).extra;
        extra.quota_events.count(1);
        extra.quota_violations.count(violations);
    }

    fn count_cost(&mut self, id: SeriesId, pair: &Pair<'_>, cost: NanoUnits, source: CostSource) {
        self.timeline.present.cost.count(cost);
        self.families.by_source[source as usize].count(cost);
        let series = self.series.get_mut(id);
        series.counts(self.window).cost.count(cost);
        if cost >= NanoUnits::ZERO {
            series.owed.count(TopBy::Cost, cost.as_spent());
            self.settle_if_due(id, pair);
        } else {
            take_back(&mut self.rankings, series, pair, cost);
        }
    }

    /// What an outcome cost beyond its decision, or less. The keys are those that its series has kept; rankings do not
    /// hear of pairs that have none.
    #[cold]
    fn count_cost_of_outcome(&mut self, id: SeriesId, cost: NanoUnits) {
        self.timeline.present.cost.count(cost);
        self.families.by_source[CostSource::Outcome as usize].count(cost);
        let (series, [service, tenant]) = self.series.with_keys(id);
        let pair = Pair { service: service.as_ref(), tenant: tenant.as_ref() };
        series.counts(self.window).cost.count(cost);
        if cost >= NanoUnits::ZERO {
            series.owed.count(TopBy::Cost, cost.as_spent());
            self.rankings.settle(&mut series.owed, &pair);
        } else {
            take_back(&mut self.rankings, series, &pair, cost);
        }
    }

    /// Tells the rankings what a series owes, if it is time: at once where that of all others owes it, since no pair is
    /// known to it later.
    #[inline]
    fn settle_if_due(&mut self, id: SeriesId, pair: &Pair<'_>) {
        let series = self.series.get_mut(id);
        if series.owed.is_due() || id == SeriesId::Other {
            self.rankings.settle(&mut series.owed, pair);
        }
    }
}

/// Takes a negative cost back from the rankings, after all that was counted before.
#[cold]
fn take_back(rankings: &mut Rankings, series: &mut Series, pair: &Pair<'_>, cost: NanoUnits) {
    rankings.settle(&mut series.owed, pair);
    rankings.take_back(TopBy::Cost, pair, NanoUnits(cost.0.saturating_neg()).as_spent());
}

#[cfg(test)]
mod tests;
