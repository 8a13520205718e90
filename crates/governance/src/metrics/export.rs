//! What was counted, as figures for other programs.

mod history;
mod rankings;

use super::count::Count;
use super::{
    BOUNDS_US, CostSource, Counts, GovernanceCollector, LatencyBuckets, LatencyScope, OTHER, SeriesView,
};
use crate::export::{Figure, FigureKind, FigureSink, HistogramFigure, Label};
use core::fmt::{self, Display};

/// The scope of the latency of all outcomes. Others have a colon after their kind.
const ALL_SCOPES: &str = "all";
/// What is said of each class of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One of the figures of a pair: how it is called, and how it is counted.
type Part = (&'static str, fn(&SeriesView<'_>) -> u64);

/// A family of pairs: its name, what it is, and its figures.
type PairFamily = (&'static str, &'static str, &'static [Part]);

const OF_PAIRS: [PairFamily; 3] = [
    (
        "weir_requests_total",
        "Requests by service, tenant and what was decided.",
        &[
            ("allowed", |view| view.total.allowed),
            ("denied", |view| view.total.denied),
            ("redirected", |view| {
                let Counts { requests, allowed, denied, .. } = view.total;
                requests.saturating_sub(allowed).saturating_sub(denied)
            }),
        ],
    ),
    (
        "weir_outcomes_total",
        "What became of allowed requests, by service, tenant and result.",
        &[
            ("success", |view| view.total.outcomes.saturating_sub(view.total.errors)),
            ("failure", |view| view.total.errors),
        ],
    ),
    (
        "weir_quota_decisions_total",
        "Decisions for which a quota or a budget spoke, by service, tenant and whether it refused.",
        &[
            ("within", |view| view.quota_events.saturating_sub(view.quota_violations)),
            ("refused", |view| view.quota_violations),
        ],
    ),
];

/// Gives everything that the collector has counted since the start: one family after the other, always in the same order.
///
/// A service or a tenant that requests did not name is an empty label. Pairs that found no room are together under
/// [`OTHER`], and a pair that bears that name is with them. Until that happens, a ranking is the sum of series, and is not
/// given beside them. The timelines are [`FigureKind::History`].
///
/// ```
/// use governance::export::{FiguresFormat, write_figures};
/// use governance::metrics::{GovernanceCollector, export_metrics};
/// let collector = Box::new(GovernanceCollector::new());
/// let mut out = String::new();
/// write_figures(FiguresFormat::Prometheus, &mut out, |sink| export_metrics(&collector, sink))?;
/// assert!(out.contains("weir_latency_seconds_count{scope=\"all\"} 0\n"));
/// # Ok::<(), core::fmt::Error>(())
/// ```
///
/// # Errors
/// Only those of `sink`.
pub fn export_metrics(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    write_decisions(collector, sink)?;
    write_responses(collector, sink)?;
    write_series(collector, sink)?;
    rankings::write(collector, sink)?;
    write_latency(collector, sink)?;
    write_capacity(collector, sink)?;
    history::write(collector, sink)
}

fn write_decisions(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    sink.family("weir_decisions_total", "Decisions by verdict and reason.", FigureKind::Counter)?;
    for (verdict, reason, count) in collector.decisions() {
        sink.sample(&[label("verdict", &verdict.word()), label("reason", &reason)], Figure::Whole(count))?;
    }
    Ok(())
}

fn write_responses(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    let totals = collector.totals();
    sink.family("weir_responses_total", "Answers by the class of their status code.", FigureKind::Counter)?;
    for (class, count) in CLASSES.iter().zip(totals.classes) {
        sink.sample(&[label("class", class)], Figure::Whole(count))?;
    }
    sink.family("weir_throttled_responses_total", "Answers with status code 429.", FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(totals.throttled))?;
    let help = "Allowed requests that were told to wait, for their turn or in a queue.";
    sink.family("weir_delayed_requests_total", help, FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(totals.delayed))
}

fn write_series(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    for (family, help, parts) in OF_PAIRS {
        sink.family(family, help, FigureKind::Counter)?;
        each_pair(collector, |pair, view| {
            parts.iter().try_for_each(|(outcome, count)| {
                sink.sample(&[pair[0], pair[1], label("outcome", outcome)], Figure::Whole(count(view)))
            })
        })?;
    }
    // An outcome can correct what was told before, so it is no counter.
    let help = "Tokens that requests took, by service and tenant.";
    sink.family("weir_tokens_used", help, FigureKind::Gauge)?;
    each_pair(collector, |pair, view| sink.sample(&pair, Figure::Whole(view.tokens_used)))?;
    let help = "How long requests were told to wait, all together, by service and tenant.";
    sink.family("weir_told_wait_seconds_total", help, FigureKind::Counter)?;
    each_pair(collector, |pair, view| sink.sample(&pair, Figure::length(view.wait_time)))?;
    // What was charged can be given back, so it is no counter.
    let help = "What requests have cost, by service and tenant, in the currency of the books.";
    sink.family("weir_cost", help, FigureKind::Gauge)?;
    each_pair(collector, |pair, view| sink.sample(&pair, Figure::Money(view.total.cost)))?;
    let help =
        "The same cost by what it was charged for: a decision, its outcome, or usage measured elsewhere.";
    sink.family("weir_cost_by_source", help, FigureKind::Gauge)?;
    CostSource::ALL.into_iter().try_for_each(|source| {
        sink.sample(&[label("source", &source.word())], Figure::Money(collector.cost_of(source)))
    })
}

/// Calls `each` with every service and tenant, and what was counted for both together.
fn each_pair(
    collector: &GovernanceCollector,
    mut each: impl FnMut([Label<'_>; 2], &SeriesView<'_>) -> fmt::Result,
) -> fmt::Result {
    let is_other = |view: &SeriesView<'_>| view.service == Some(OTHER) && view.tenant == Some(OTHER);
    let mut others: Option<SeriesView<'_>> = None;
    for view in collector.series() {
        if is_other(&view) {
            others = Some(others.map_or(view, |others| together(&others, &view)));
        } else {
            let pair = [view.service.unwrap_or_default(), view.tenant.unwrap_or_default()];
            each([label("service", &pair[0]), label("tenant", &pair[1])], &view)?;
        }
    }
    match others {
        Some(others) => each([label("service", &OTHER), label("tenant", &OTHER)], &others),
        None => Ok(()),
    }
}

/// What was counted of two series since the start.
fn together<'a>(one: &SeriesView<'a>, other: &SeriesView<'_>) -> SeriesView<'a> {
    let mut sum = *one;
    sum.total.add(&other.total);
    sum.tokens_used.count(other.tokens_used);
    sum.wait_time.0.count(other.wait_time.0);
    sum.quota_events.count(other.quota_events);
    sum.quota_violations.count(other.quota_violations);
    sum
}

fn write_latency(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    let help =
        "How long answers took, since the start: of all, and each of its route, else service, else group.";
    sink.family("weir_latency_seconds", help, FigureKind::Histogram)?;
    if let Some(buckets) = collector.latency_buckets(LatencyScope::All) {
        write_histogram(sink, &ALL_SCOPES, buckets)?;
    }
    for view in collector.latency_scopes() {
        write_histogram(sink, &format_args!("{}:{}", view.kind, view.name), view.buckets)?;
    }
    let help = "The longest that an answer took since the start.";
    sink.family("weir_latency_max_seconds", help, FigureKind::Gauge)?;
    sink.sample(&[], Figure::micros(collector.totals().latency_max_us))
}

fn write_histogram(sink: &mut dyn FigureSink, scope: &dyn Display, latency: &LatencyBuckets) -> fmt::Result {
    let mut buckets = [(Figure::Whole(0), 0); BOUNDS_US.len()];
    for (place, (bound, count)) in buckets.iter_mut().zip(latency.cumulative()) {
        *place = (Figure::micros(bound), count);
    }
    let sum = Figure::Seconds(latency.sum_us.saturating_mul(1000));
    let histogram = HistogramFigure { buckets: &buckets, sum, count: latency.count() };
    sink.histogram(&[label("scope", scope)], &histogram)
}

fn write_capacity(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    let stats = collector.stats();
    let help =
        "Requests that found no series or no latency scope of their own, and are counted with all others.";
    sink.family("weir_metrics_overflow_total", help, FigureKind::Counter)?;
    for (table, count) in [("series", stats.overflowed), ("latency", stats.latency_overflowed)] {
        sink.sample(&[label("table", &table)], Figure::Whole(count))?;
    }
    let help = "Outcomes of requests whose decision was not counted here, or was forgotten since, so that they are in no \
                other figure of outcomes. Late outcomes and unknown tickets are in weir_outcomes_refused_total.";
    sink.family("weir_stale_outcomes_total", help, FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(stats.stale))
}

fn label<'a>(name: &'static str, value: &'a dyn Display) -> Label<'a> {
    Label { name, value }
}
