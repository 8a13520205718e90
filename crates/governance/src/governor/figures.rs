//! Everything that a governor has counted and how it stands, as figures for other programs.

use super::Governor;
use crate::alerts::export_alerts;
use crate::breaker::BreakerState;
use crate::decision::Sharing;
use crate::export::{Figure, FigureKind, FigureSink, Label};
use crate::metrics::export_metrics;
use crate::priority::QueueMetrics;
use crate::quota::{QuotaManager, QuotaUsage};
use crate::rate_limiter::LimitStats;
use crate::time::Now;
use crate::traffic::ScopeView;
use core::fmt::{self, Display};

/// All of a quota, in parts of a million.
const PPM: u128 = 1_000_000;

/// A family, and the count of a thing that is its figure.
type Family<T> = (&'static str, &'static str, FigureKind, fn(&T) -> u64);

const OF_LIMITS: [Family<LimitStats>; 3] = [
    ("weir_limit_allowed_total", "Requests that a limit had room for.", FigureKind::Counter, |stats| {
        stats.allowed
    }),
    ("weir_limit_denied_total", "Requests that a limit refused.", FigureKind::Counter, |stats| stats.denied),
    (
        "weir_limit_would_deny_total",
        "Requests that a limit in shadow mode would have refused.",
        FigureKind::Counter,
        |stats| stats.would_deny,
    ),
];

const OF_QUEUES: [Family<QueueMetrics>; 5] = [
    ("weir_queue_depth", "Requests that wait.", FigureKind::Gauge, |queue| queue.waiting.into()),
    ("weir_queue_in_service", "Requests in service.", FigureKind::Gauge, |queue| queue.in_service.into()),
    ("weir_queue_arrivals_total", "Requests that came to a queue.", FigureKind::Counter, |queue| {
        queue.arrivals
    }),
    ("weir_queue_served_total", "Requests that were served.", FigureKind::Counter, |queue| queue.served),
    (
        "weir_queue_rejected_total",
        "Requests that came to a queue and were not served.",
        FigureKind::Counter,
        |queue| queue.rejected.total(),
    ),
];

/// The same of a scope, which is borrowed.
type ScopeFamily = (&'static str, &'static str, FigureKind, fn(&ScopeView<'_>) -> u64);

const OF_SCOPES: [ScopeFamily; 6] = [
    ("weir_scope_calls_total", "Calls that were asked for.", FigureKind::Counter, |scope| {
        scope.counters.requests
    }),
    ("weir_scope_denied_total", "Calls that were refused.", FigureKind::Counter, |scope| {
        scope.counters.denied
    }),
    (
        "weir_scope_errors_total",
        "Calls that got no answer, or one with status 5xx.",
        FigureKind::Counter,
        |scope| scope.counters.errors + scope.counters.by_class[4],
    ),
    ("weir_scope_retries_total", "Retries that were scheduled.", FigureKind::Counter, |scope| {
        scope.counters.retries
    }),
    ("weir_breaker_opened_total", "Times that a breaker opened.", FigureKind::Counter, |scope| {
        scope.stats.opened
    }),
    ("weir_breaker_refused_total", "Calls that a breaker refused.", FigureKind::Counter, |scope| {
        scope.stats.refused
    }),
];

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// Gives everything: what is counted, the alerts, and how tickets, limits, quotas, budgets, policies, queues, breakers
    /// and the loop guard stand. One family after the other, always in the same order.
    ///
    /// # Errors
    /// Only those of `sink`.
    pub fn export_figures(&self, now: Now, sink: &mut dyn FigureSink) -> fmt::Result {
        export_metrics(&self.metrics, sink)?;
        export_alerts(&self.alerts, sink)?;
        sink.family("weir_open_tickets", "Requests whose outcome is awaited.", FigureKind::Gauge)?;
        sink.sample(&[], whole(self.tickets.stats().open))?;
        self.export_limits(sink)?;
        export_quotas(&self.quotas, now, sink, ("weir_quota_used_ratio", "The used part of a quota."))?;
        export_quotas(&self.budgets, now, sink, ("weir_budget_used_ratio", "The used part of a budget."))?;
        self.export_policies(sink)?;
        self.export_queues(now, sink)?;
        self.export_scopes(now, sink)?;
        self.export_guard(now, sink)
    }

    fn export_limits(&self, sink: &mut dyn FigureSink) -> fmt::Result {
        for (name, help, kind, count) in OF_LIMITS {
            sink.family(name, help, kind)?;
            for (id, spec) in self.limits.limits() {
                let stats = self.limits.get_limit_stats(id).unwrap_or_default();
                sink.sample(&[label("limit", &spec.name)], Figure::Whole(count(&stats)))?;
            }
        }
        Ok(())
    }

    fn export_policies(&self, sink: &mut dyn FigureSink) -> fmt::Result {
        let help = "Requests that a policy matched.";
        sink.family("weir_policy_matched_total", help, FigureKind::Counter)?;
        for (id, rule) in self.policies.list_policies() {
            let stats = self.policies.get_policy_stats(id).unwrap_or_default();
            sink.sample(&[label("policy", &rule.name)], Figure::Whole(stats.matched))?;
        }
        Ok(())
    }

    fn export_queues(&self, now: Now, sink: &mut dyn FigureSink) -> fmt::Result {
        for (name, help, kind, count) in OF_QUEUES {
            sink.family(name, help, kind)?;
            for (id, sla) in self.queues.slas() {
                let Some(queue) = self.queues.get_queue_stats(now.instant, id) else { continue };
                sink.sample(&[label("service", &sla.service_id)], Figure::Whole(count(&queue)))?;
            }
        }
        Ok(())
    }

    fn export_scopes(&self, now: Now, sink: &mut dyn FigureSink) -> fmt::Result {
        for (name, help, kind, count) in OF_SCOPES {
            sink.family(name, help, kind)?;
            for scope in self.traffic.scopes(now.instant) {
                sink.sample(&[label("scope", &scope.name)], Figure::Whole(count(&scope)))?;
            }
        }
        let help = "Whether a breaker is in a state: 1 for the one it is in.";
        sink.family("weir_breaker_state", help, FigureKind::Gauge)?;
        for scope in self.traffic.scopes(now.instant).filter(|scope| scope.breaker.is_some()) {
            for state in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
                let labels = [label("scope", &scope.name), label("state", &state)];
                sink.sample(&labels, Figure::Whole(u64::from(state == scope.state)))?;
            }
        }
        let help = "Calls that found no place among the scopes, and went on without a breaker.";
        sink.family("weir_scope_overflow_total", help, FigureKind::Counter)?;
        sink.sample(&[], Figure::Whole(self.traffic.overflow().requests))
    }

    fn export_guard(&self, now: Now, sink: &mut dyn FigureSink) -> fmt::Result {
        let guard = &self.traffic.guard;
        let stats = guard.stats(now.instant);
        let help = "What the loop guard has done to requests, or in shadow mode would have.";
        sink.family("weir_loop_guard_actions_total", help, FigureKind::Counter)?;
        for (action, done, would) in [
            ("delay", stats.delayed, stats.would_delay),
            ("degrade", stats.degraded, stats.would_degrade),
            ("block", stats.blocked, stats.would_block),
            ("cap", stats.capped, stats.would_cap),
            ("shed", stats.shed, stats.would_shed),
        ] {
            for (mode, count) in [("enforce", done), ("shadow", would)] {
                sink.sample(&[label("action", &action), label("mode", &mode)], Figure::Whole(count))?;
            }
        }
        let help = "Callers and targets that the loop guard watches.";
        sink.family("weir_loop_guard_tracked", help, FigureKind::Gauge)?;
        sink.sample(&[], whole(stats.tracked))?;
        sink.family("weir_degraded", "Whether degraded mode is on.", FigureKind::Gauge)?;
        sink.sample(&[], Figure::Whole(u64::from(guard.degraded_until(now.instant).is_some())))?;
        let help = "Times that degraded mode began.";
        sink.family("weir_degraded_entered_total", help, FigureKind::Counter)?;
        sink.sample(&[], Figure::Whole(stats.entered_degraded))
    }
}

/// The used part of each counter. A quota without keys has an empty one; keys that share the overflow counter are told
/// together, apart from a key that bears any name.
fn export_quotas<const ACTIVE: usize>(
    quotas: &QuotaManager<ACTIVE>,
    now: Now,
    sink: &mut dyn FigureSink,
    (name, help): (&'static str, &'static str),
) -> fmt::Result {
    sink.family(name, help, FigureKind::Gauge)?;
    let mut written = Ok(());
    for (id, spec) in quotas.allocations() {
        // The quota is there: it was just listed.
        let _ = quotas.usages(now, id, |usage| {
            let key = usage.key.unwrap_or_default();
            let counter = match usage.shared {
                Sharing::Own => "own",
                Sharing::Overflow => "overflow",
            };
            let labels = [label("quota", &spec.name), label("key", &key), label("counter", &counter)];
            written = written.and_then(|()| sink.sample(&labels, used_part(&usage)));
        });
    }
    written
}

fn used_part(usage: &QuotaUsage) -> Figure {
    let ppm = (u128::from(usage.in_use()) * PPM).checked_div(usage.capacity.into()).unwrap_or(0);
    Figure::Ratio(u64::try_from(ppm).unwrap_or(u64::MAX))
}

fn label<'a>(name: &'static str, value: &'a dyn Display) -> Label<'a> {
    Label { name, value }
}

fn whole(count: usize) -> Figure {
    Figure::Whole(u64::try_from(count).unwrap_or(u64::MAX))
}
