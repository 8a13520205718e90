//! What is measured of requests, and what alerts read.

use super::Governor;
use crate::alerts::{AlertMetric, Readings, SloEvent};
use crate::breaker::{BreakerMode, BreakerOverride, BreakerState};
use crate::cost::UsageEvent;
use crate::decision::{Decision, Verdict};
use crate::metrics::{
    CostEvent, CostSource, Counts, GovernanceCollector, Key, LatencyScope, MeasureId, Measured,
    OutcomeReport, OutcomeResult, Percentiles, Slot, Window,
};
use crate::money::NanoUnits;
use crate::outcome::Outcome;
use crate::priority::PriorityScheduler;
use crate::request::{HashedSubject, Request, Settlement, Subject, provider};
use crate::scope::{HashSecret, KeyName, Kind, NameRef, Pattern, Scope};
use crate::time::{Instant, Now};
use crate::traffic::{ScopeView, TrafficController};
use core::cell::OnceCell;

/// The fewest requests or outcomes of which a rate or a percentile is told to alerts: one failure of one call is no rate.
const SAMPLES_MIN: u64 = 20;
/// All of a rate, in parts of a million.
const PPM: i128 = 1_000_000;

/// Whose request it is, by hashes under `secret`.
#[inline(always)] // not to copy what is read at once
pub(super) fn measured<'a>(
    secret: HashSecret,
    hashed: &HashedSubject<'a>,
    verdict: Verdict,
    price: Option<NanoUnits>,
) -> Measured<'a> {
    let subject = hashed.subject;
    let request = subject.request;
    let key = |kind: Kind, name: Option<NameRef<'a>>| {
        name.and_then(|name| hashed.hash(&secret, kind).map(|hash| Key { hash, name }))
    };
    let service = key(Kind::Service, request.service).or_else(|| {
        // A call that names no service is one of its provider.
        let provider = provider(request)?;
        let hash = secret.hash(Kind::Service, KeyName::LowerCase(provider));
        Some(Key { hash, name: provider })
    });
    let scope = match request.route {
        Some(_) => key(Kind::Route, request.route).map(|key| (Kind::Route, key)),
        None => match service {
            Some(service) => Some((Kind::Service, service)),
            None => key(Kind::Group, subject.group).map(|key| (Kind::Group, key)),
        },
    };
    let tenant = key(Kind::Tenant, request.tenant);
    // What is reserved, or waits for its turn, is charged later.
    let is_charged =
        request.settlement == Settlement::Final && matches!(verdict, Verdict::Allow | Verdict::Delay(_));
    let tokens = if is_charged { request.tokens } else { 0 };
    let charged = price.filter(|_| is_charged).unwrap_or_default();
    Measured { service, tenant, scope, tokens, charged }
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// Counts an outcome: in the metrics, for objectives, and against the loop guard's cap of failures.
    pub(super) fn count_outcome(
        &mut self,
        now: Now,
        measure: MeasureId,
        outcome: &Outcome,
        cost_delta: NanoUnits,
        tokens: u64,
    ) {
        let is_error = outcome.is_error();
        let result = if is_error { OutcomeResult::Failure } else { OutcomeResult::Success };
        let latency_us = outcome.service_us();
        let tokens_delta = i64::try_from(tokens).unwrap_or(i64::MAX);
        let report = OutcomeReport { status: outcome.status, latency_us, result, cost_delta, tokens_delta };
        self.metrics.record_outcome(now, measure, &report);
        let event = if is_error { SloEvent::Bad } else { SloEvent::Good };
        self.alerts.record(now.instant, measure.service(), event);
        if is_error {
            self.traffic.guard.record_failure(now.instant);
        }
    }

    /// Counts a decision in the exempt lane, where nothing else looks at it.
    pub(super) fn count_exempt(&mut self, now: Now, request: &Request<'_>, decision: &Decision) {
        let subject = Subject { request, group: request.group };
        let secret = self.limits.secret();
        let hashed = HashedSubject::new(&subject, secret);
        let measure = self.metrics.record_decision(
            now,
            &measured(secret, &hashed, decision.verdict, decision.price),
            decision,
        );
        if let Some(memo) = decision.ticket.and_then(|ticket| self.tickets.memo_mut(ticket)) {
            memo.measure = measure;
        }
    }

    /// Looks at the alerts, if there are any and it was not done within the last second. [`Governor::tick`] does it too; a
    /// caller whose time runs faster, as in a replay, does it as time passes.
    pub fn look_at_alerts(&mut self, now: Now) {
        let now = self.monotonic(now);
        self.tick_alerts(now);
    }

    /// Counts usage that was measured elsewhere.
    pub(super) fn count_event(&mut self, now: Now, event: &UsageEvent<'_>, amount: NanoUnits) {
        let request =
            Request { tenant: Some(event.tenant), service: Some(event.service), ..Request::default() };
        let subject = Subject { request: &request, group: None };
        let secret = self.limits.secret();
        let hashed = HashedSubject::new(&subject, secret);
        let Measured { service, tenant, .. } = measured(secret, &hashed, Verdict::Allow, None);
        self.metrics.record_cost_event(&CostEvent {
            service_id: service,
            tenant_id: tenant,
            timestamp: now,
            cost_amount: amount,
            metric_type: CostSource::UsageEvent,
        });
    }

    /// Looks at the alerts, if there are any.
    pub(super) fn tick_alerts(&mut self, now: Now) {
        if self.alerts.is_idle() {
            return;
        }
        self.metrics.advance(now);
        let Self { metrics, queues, traffic, tickets, alerts, .. } = self;
        let tickets_open = tickets.stats().open;
        let minute = OnceCell::new();
        alerts.tick(now, &Gauges { metrics, queues, traffic, tickets_open, now: now.instant, minute });
    }
}

/// Where alerts read.
struct Gauges<'a, const TENANTS: usize> {
    metrics: &'a GovernanceCollector,
    queues: &'a PriorityScheduler<TENANTS>,
    traffic: &'a TrafficController,
    tickets_open: usize,
    now: Instant,
    /// What the last minute came to, once a rule has asked for it: it is the same for all.
    minute: OnceCell<Counts>,
}

impl<const TENANTS: usize> Readings for Gauges<'_, TENANTS> {
    fn read(&self, metric: AlertMetric, scope: Option<&Scope>) -> Option<i128> {
        match metric {
            AlertMetric::RequestsPerSecond
            | AlertMetric::DeniedRate
            | AlertMetric::ErrorRate
            | AlertMetric::CostPerMinute => self.read_counts(metric, scope),
            AlertMetric::P95Latency => self.latency(scope).map(|latency| nanos(latency.p95)),
            AlertMetric::P99Latency => self.latency(scope).map(|latency| nanos(latency.p99)),
            AlertMetric::BreakersOpen => {
                // One that tries its provider out, or only looks on, keeps nobody from it.
                let is_open = |scope: &ScopeView<'_>| {
                    let is_enforced =
                        scope.breaker.is_some_and(|breaker| breaker.mode == BreakerMode::Enforce);
                    scope.state == BreakerState::Open
                        && match scope.by_hand {
                            BreakerOverride::Automatic => is_enforced,
                            by_hand => by_hand == BreakerOverride::ForcedOpen,
                        }
                };
                Some(count(self.traffic.scopes(self.now).filter(is_open).count()))
            }
            AlertMetric::QueueDepth => self.waiting(scope),
            AlertMetric::TicketsOpen => Some(count(self.tickets_open)),
            AlertMetric::BurnRate => None,
        }
    }
}

impl<const TENANTS: usize> Gauges<'_, TENANTS> {
    /// A figure of the last minute; of a service or a tenant, of the aggregation window before the present one and, where
    /// it is a rate, of the present one with it.
    fn read_counts(&self, metric: AlertMetric, scope: Option<&Scope>) -> Option<i128> {
        let (minute, recent) = match scope {
            None => {
                let counts = *self.minute.get_or_init(|| {
                    let Slot { requests, allowed, denied, outcomes, errors, cost, .. } =
                        self.metrics.last_minute();
                    Counts { requests, allowed, denied, outcomes, errors, cost }
                });
                (counts, counts)
            }
            Some(scope) => self.windows_of(scope)?,
        };
        match metric {
            AlertMetric::RequestsPerSecond => Some(i128::from(minute.requests / 60)),
            AlertMetric::CostPerMinute => Some(minute.cost.0),
            AlertMetric::DeniedRate => rate(recent.denied, recent.requests),
            _ => rate(recent.errors, recent.outcomes),
        }
    }

    /// What a service or a tenant came to in the window before the present one, and in both; none if that is not known.
    fn windows_of(&self, scope: &Scope) -> Option<(Counts, Counts)> {
        // Where pairs found no room, it is not known how many of the others' requests were of this one.
        if self.metrics.stats().overflowed > 0 {
            return None;
        }
        let (mut last, mut both) = (Counts::default(), Counts::default());
        for series in self.metrics.series() {
            let name = if scope.kind == Kind::Tenant { series.tenant } else { series.service };
            if name == exact(scope) {
                last.add(&series.last);
                both.add(&series.last);
                both.add(&series.current);
            }
        }
        Some((last, both))
    }

    fn latency(&self, scope: Option<&Scope>) -> Option<Percentiles> {
        let scope = match scope {
            None => LatencyScope::All,
            Some(scope) => LatencyScope::Named(scope.kind, exact(scope)?),
        };
        self.metrics
            .get_metric_percentiles(scope, Window::Minute)
            .filter(|latency| latency.count >= SAMPLES_MIN)
    }

    /// How many requests wait: for a service, or in all queues.
    fn waiting(&self, scope: Option<&Scope>) -> Option<i128> {
        let service = scope.and_then(exact);
        if let Some(service) = service {
            let queue = self.queues.find(service)?;
            return self.queues.get_queue_stats(self.now, queue).map(|stats| i128::from(stats.waiting));
        }
        let all = self.queues.slas().filter_map(|(queue, _)| self.queues.get_queue_stats(self.now, queue));
        Some(all.map(|stats| i128::from(stats.waiting)).sum())
    }
}

/// The name of an exact scope.
fn exact(scope: &Scope) -> Option<&str> {
    match &scope.pattern {
        Pattern::Exact(name) => Some(name.as_str()),
        Pattern::Any => None,
    }
}

/// A part of a whole in parts of a million; none if the whole is too small to tell.
fn rate(part: u64, whole: u64) -> Option<i128> {
    (i128::from(part) * PPM).checked_div(i128::from(whole)).filter(|_| whole >= SAMPLES_MIN)
}

fn count(number: usize) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}

fn nanos(micros: u64) -> i128 {
    i128::from(micros) * 1000
}
