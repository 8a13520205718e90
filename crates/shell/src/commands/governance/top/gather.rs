//! Gathering what `governance top` shows.

use super::view::{Alert, Breaker, Flow, Latency, Left, Queue, Ranked, View};
use crate::commands::books::Books;
use crate::commands::governance::alerts::{Bound, Measured};
use crate::commands::traffic::is_shadow;
use crate::commands::wide;
use crate::engine::Governor;
use governance::alerts::AlertState;
use governance::breaker::{BreakerOverride, BreakerState};
use governance::decision::Reason;
use governance::metrics::{
    Confidence, GovernanceCollector, LatencyScope, Resolution, Slot, TOP_MAX, Top, TopBy, VerdictKind, Window,
};
use governance::scope::Name;
use governance::text::Text;
use governance::time::{Nanos, Now};

/// Everything as it is now. The collector has gone on to the present.
pub(super) fn gather(governor: &Governor, books: Books, now: Now) -> View {
    let metrics = &governor.metrics;
    let mut view = View {
        wall: now.wall,
        up: (books == Books::Live).then_some(Nanos(now.instant.0)),
        tickets: wide(governor.ticket_stats().open),
        currency: governor.costs.currency(),
        minute: Flow::from(&metrics.last_minute()),
        since_start: Flow::from(&metrics.totals()),
        latency: gather_latency(metrics),
        ..View::default()
    };
    gather_seconds(metrics, &mut view);
    gather_denials(metrics, &mut view);
    gather_ranked(metrics, &mut view);
    gather_breakers(governor, now, &mut view);
    gather_queues(governor, now, &mut view);
    gather_alerts(governor, now, &mut view);
    view
}

impl From<&Slot> for Flow {
    fn from(slot: &Slot) -> Self {
        let Slot { requests, allowed, denied, delayed, errors, throttled, cost, .. } = *slot;
        Self { requests, allowed, denied, delayed, errors, throttled, cost }
    }
}

/// The last second is the last that is over; the present one has hardly begun.
fn gather_seconds(metrics: &GovernanceCollector, view: &mut View) {
    let mut present = None;
    metrics.get_timeline(Resolution::Second, &mut |_, slot| {
        let flow = slot.map_or_else(Flow::default, Flow::from);
        // There is room for each slot.
        let _ = view.seconds.push(flow.requests);
        view.second = present.replace(flow).unwrap_or_default();
    });
}

fn gather_latency(metrics: &GovernanceCollector) -> Option<Latency> {
    let found = metrics.get_metric_percentiles(LatencyScope::All, Window::Minute)?;
    Some(Latency {
        p50: found.p50,
        p95: found.p95,
        p99: found.p99,
        max: found.max,
        samples: found.count,
        few: found.confidence == Confidence::Low,
    })
}

fn gather_denials(metrics: &GovernanceCollector, view: &mut View) {
    for reason in Reason::ALL {
        let count = metrics.decisions_of(VerdictKind::Deny, reason);
        if count > 0 {
            // There is room for each reason.
            let _ = view.denials.push((reason, count));
        }
    }
    view.denials.sort_unstable_by_key(|(reason, count)| (u64::MAX - count, *reason as usize));
}

fn gather_ranked(metrics: &GovernanceCollector, view: &mut View) {
    let by = |by| (metrics.get_top_services(by), metrics.get_top_tenants(by));
    let (requests, cost, violations) = (by(TopBy::Requests), by(TopBy::Cost), by(TopBy::Violations));
    for entry in requests.0.as_slice() {
        view.services.push(ranked(entry.name, entry.count, &cost.0, &violations.0));
    }
    for entry in requests.1.as_slice() {
        view.tenants.push(ranked(entry.name, entry.count, &cost.1, &violations.1));
    }
}

fn ranked(name: &str, requests: u64, cost: &Top<'_>, violations: &Top<'_>) -> Ranked {
    Ranked {
        name: Name::excerpt(name),
        requests,
        cost: count_in(cost, name),
        violations: count_in(violations, name),
    }
}

/// The count of a name in a ranking: 0 if it is not there while there is room, and unknown otherwise.
fn count_in(ranking: &Top<'_>, name: &str) -> Option<u64> {
    let entries = ranking.as_slice();
    let found = entries.iter().find(|entry| entry.name == name).map(|entry| entry.count);
    found.or_else(|| (entries.len() < TOP_MAX).then_some(0))
}

fn gather_breakers(governor: &Governor, now: Now, view: &mut View) {
    for scope in governor.traffic.scopes(now.instant).filter(|scope| scope.state != BreakerState::Closed) {
        view.breakers.push(Breaker {
            scope: Name::excerpt(scope.name),
            // A shadow that is not closed refuses nothing.
            state: if is_shadow(&scope) { "shadow" } else { scope.state.word() },
            left: match (scope.by_hand, scope.stats.open_until) {
                (BreakerOverride::ForcedOpen, _) => Left::ByHand,
                (_, Some(until)) if scope.state == BreakerState::Open => Left::For(until.since(now.instant)),
                _ => Left::Unknown,
            },
        });
    }
}

fn gather_queues(governor: &Governor, now: Now, view: &mut View) {
    for (id, sla) in governor.queues.slas() {
        let Some(metrics) = governor.queues.get_queue_stats(now.instant, id) else { continue };
        view.waiting += u64::from(metrics.waiting);
        if metrics.waiting > 0 {
            view.queues.push(Queue {
                service: sla.service_id,
                waiting: metrics.waiting,
                oldest: metrics.classes.iter().filter_map(|class| class.oldest_age).max(),
            });
        }
    }
}

/// What fires comes before what is pending.
fn gather_alerts(governor: &Governor, now: Now, view: &mut View) {
    for state in [AlertState::Firing, AlertState::Pending] {
        for alert in governor.alerts.get_pending_alerts().filter(|alert| alert.state == state) {
            let metric = alert.rule.metric;
            let shown = |value| Text::format(format_args!("{}", Measured { metric, value }));
            view.alerts.push(Alert {
                name: alert.rule.name,
                fires: state == AlertState::Firing,
                since: Nanos(now.wall.0.saturating_sub(alert.since.0)),
                value: alert.value.and_then(|value| shown(value).ok()).unwrap_or_default(),
                bound: Text::format(format_args!("{}", Bound(metric, alert.bound))).unwrap_or_default(),
            });
            *(if state == AlertState::Firing { &mut view.firing } else { &mut view.pending }) += 1;
        }
    }
}
