//! Everything that a governor has counted and how it stands, as figures for other programs.

mod scopes;

use super::Governor;
use crate::alerts::export_alerts;
use crate::decision::Sharing;
use crate::export::{Figure, FigureKind, FigureSink, Label};
use crate::metrics::export_metrics;
use crate::policy::PolicyStats;
use crate::priority::QueueMetrics;
use crate::quota::{QuotaManager, QuotaUsage};
use crate::rate_limiter::LimitStats;
use crate::time::Now;
use core::fmt::{self, Display};
use scopes::export_scopes;

/// All of a quota, in parts of a million.
const PPM: u128 = 1_000_000;

/// A family, and the count of a thing that is its figure.
type Family<T> = (&'static str, &'static str, FigureKind, fn(&T) -> u64);

const OF_LIMITS: [Family<LimitStats>; 7] = [
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
    ("weir_limit_keys", "Keys that have a bucket of their own.", FigureKind::Gauge, |stats| stats.keys),
    (
        "weir_limit_overflow_total",
        "Requests that the shared bucket of keys without one of their own decided.",
        FigureKind::Counter,
        |stats| stats.overflow_hits,
    ),
    (
        "weir_limit_overflow_denied_total",
        "Requests that the shared bucket of keys without one of their own refused.",
        FigureKind::Counter,
        |stats| stats.overflow_denied,
    ),
    (
        "weir_limit_log_full_total",
        "Requests that a limit refused, or in shadow mode could not note, since the log of exact windows was full.",
        FigureKind::Counter,
        |stats| stats.log_full,
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
        "Requests that came to a queue and were not served, for whatever reason.",
        FigureKind::Counter,
        |queue| queue.rejected.total(),
    ),
];

const OF_POLICIES: [Family<PolicyStats>; 4] = [
    (
        "weir_policy_matched_total",
        "Requests that a policy matched while it acted.",
        FigureKind::Counter,
        |stats| stats.matched,
    ),
    (
        "weir_policy_decided_total",
        "Requests for which a policy spoke, of those that it matched.",
        FigureKind::Counter,
        |stats| stats.decided,
    ),
    ("weir_policy_denied_total", "Requests that a policy denied.", FigureKind::Counter, |stats| stats.denied),
    (
        "weir_policy_would_match_total",
        "Requests that a policy matched in shadow mode.",
        FigureKind::Counter,
        |stats| stats.would,
    ),
];

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Governor<KEYS, LOG, TENANTS> {
    /// Gives everything: what is counted, the alerts, and how tickets, limits, quotas, budgets, policies, queues, outbound
    /// scopes and the loop guard stand. One family after the other, always in the same order. What an operator resets
    /// begins anew at 0.
    ///
    /// # Errors
    /// Only those of `sink`.
    pub fn export_figures(&self, now: Now, sink: &mut dyn FigureSink) -> fmt::Result {
        export_metrics(&self.metrics, sink)?;
        export_alerts(&self.alerts, sink)?;
        self.export_tickets(sink)?;
        self.export_limits(sink)?;
        export_quotas(&self.quotas, now, sink, ("weir_quota_used_ratio", "The used part of a quota."))?;
        export_quotas(&self.budgets, now, sink, ("weir_budget_used_ratio", "The used part of a budget."))?;
        self.export_policies(sink)?;
        self.export_queues(now, sink)?;
        export_scopes(&self.traffic, now.instant, sink)?;
        self.export_guard(now, sink)
    }

    fn export_tickets(&self, sink: &mut dyn FigureSink) -> fmt::Result {
        let stats = self.tickets.stats();
        sink.family("weir_open_tickets", "Requests whose outcome is awaited.", FigureKind::Gauge)?;
        sink.sample(&[], whole(stats.open))?;
        let help = "Tickets, by what has happened to them; let go by a queue counts as voided.";
        sink.family("weir_tickets_total", help, FigureKind::Counter)?;
        for (event, count) in [
            ("opened", stats.opened),
            ("settled", stats.settled),
            ("voided", stats.voided),
            ("expired", stats.expired),
        ] {
            sink.sample(&[label("event", &event)], Figure::Whole(count))?;
        }
        let help = "Outcomes that changed nothing: they came after their ticket had expired, after another outcome, or \
                    with a ticket that is not known.";
        sink.family("weir_outcomes_refused_total", help, FigureKind::Counter)?;
        for (reason, count) in
            [("late", stats.late), ("repeated", stats.repeated), ("unknown", stats.unknown)]
        {
            sink.sample(&[label("reason", &reason)], Figure::Whole(count))?;
        }
        Ok(())
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
        for (name, help, kind, count) in OF_POLICIES {
            sink.family(name, help, kind)?;
            for (id, rule) in self.policies.list_policies() {
                let stats = self.policies.get_policy_stats(id).unwrap_or_default();
                sink.sample(&[label("policy", &rule.name)], Figure::Whole(count(&stats)))?;
            }
        }
        let stats = self.policies.stats();
        let help = "Requests that all policies together decided, also those that are gone.";
        sink.family("weir_policy_decisions_total", help, FigureKind::Counter)?;
        for (outcome, count) in [("allowed", stats.allowed), ("denied", stats.denied)] {
            sink.sample(&[label("outcome", &outcome)], Figure::Whole(count))?;
        }
        let help = "Requests that no policy allowed or denied, so that the default did.";
        sink.family("weir_policy_default_total", help, FigureKind::Counter)?;
        sink.sample(&[], Figure::Whole(stats.by_default))?;
        let help = "Requests that policies redirected, throttled, raised an alert for or logged.";
        sink.family("weir_policy_actions_total", help, FigureKind::Counter)?;
        for (action, count) in [
            ("redirect", stats.redirected),
            ("throttle", stats.throttled),
            ("alert", stats.alerted),
            ("log", stats.logged),
        ] {
            sink.sample(&[label("action", &action)], Figure::Whole(count))?;
        }
        let help = "Requests that policies in shadow mode would have decided otherwise.";
        sink.family("weir_policy_would_decide_total", help, FigureKind::Counter)?;
        for (outcome, count) in [("allowed", stats.would_allow), ("denied", stats.would_deny)] {
            sink.sample(&[label("outcome", &outcome)], Figure::Whole(count))?;
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
        let help = "Times that the loop guard blocked a caller.";
        sink.family("weir_loop_guard_strikes_total", help, FigureKind::Counter)?;
        sink.sample(&[], Figure::Whole(stats.strikes))?;
        let help = "Callers that the loop guard forgot to make room for others.";
        sink.family("weir_loop_guard_evicted_total", help, FigureKind::Counter)?;
        sink.sample(&[], Figure::Whole(stats.evicted))?;
        let help =
            "Requests of the last minute that count for the hard cap, and failures of the last minute.";
        sink.family("weir_loop_guard_last_minute", help, FigureKind::Gauge)?;
        for (what, count) in
            [("requests", stats.requests_this_minute), ("failures", stats.failures_this_minute)]
        {
            sink.sample(&[label("what", &what)], Figure::Whole(count))?;
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
