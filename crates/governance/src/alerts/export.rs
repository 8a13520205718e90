//! Where the rules stand, as figures for other programs.

use super::rule::Unit;
use super::{AlertBound, AlertCondition, AlertMetric, AlertState, AlertView, GovernanceAlerts};
use crate::export::{Figure, FigureKind, FigureSink, Label};
use crate::money::NanoUnits;
use core::fmt::{self, Display};

/// Gives every rule, what it looks at and where it stands, and how often rules have fired. Values are in base units:
/// lengths of time in seconds, rates as a part from 0 to 1, amounts in the currency of the books, and how fast an
/// objective's errors are used up as a multiple of what it allows.
///
/// # Errors
/// Only those of `sink`.
pub fn export_alerts(alerts: &GovernanceAlerts, sink: &mut dyn FigureSink) -> fmt::Result {
    sink.family("weir_alerts", "Whether an alert is in a state: 1 for the one it is in.", FigureKind::Gauge)?;
    for view in alerts.alerts() {
        for state in AlertState::ALL {
            let word = state.word();
            let labels = [label("name", &view.rule.name), label("state", &word)];
            sink.sample(&labels, Figure::Whole(u64::from(state == view.state)))?;
        }
    }
    write_values(alerts, sink)?;
    let stats = alerts.stats();
    sink.family("weir_alert_notices_total", "Notices of alerts, by what has happened.", FigureKind::Counter)?;
    for (event, count) in
        [("fired", stats.fired), ("cleared", stats.cleared), ("suppressed", stats.suppressed)]
    {
        sink.sample(&[label("event", &event)], Figure::Whole(count))?;
    }
    let help = "Times that all alerts were looked at.";
    sink.family("weir_alert_evaluations_total", help, FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(stats.evaluations))?;
    let help = "Times that an alert was looked at and there was no data for it.";
    sink.family("weir_alert_without_data_total", help, FigureKind::Counter)?;
    sink.sample(&[], Figure::Whole(stats.without_data))
}

fn write_values(alerts: &GovernanceAlerts, sink: &mut dyn FigureSink) -> fmt::Result {
    let help = "The value of an alert's metric when it was last known, in seconds, as a part of 1, in the currency of \
                the books, as a multiple of what an objective allows, or as a count. The scope is empty where it is of \
                everything.";
    sink.family("weir_alert_value", help, FigureKind::Gauge)?;
    for view in alerts.alerts() {
        let Some(value) = view.value else { continue };
        let scope = Scope(&view);
        let labels =
            [label("name", &view.rule.name), label("metric", &view.rule.metric), label("scope", &scope)];
        sink.sample(&labels, figure(view.rule.metric, value))?;
    }
    let help = "The value beyond which an alert's metric is across, in the unit of weir_alert_value. Of an objective, that \
                of the most urgent windows that are lit.";
    sink.family("weir_alert_threshold", help, FigureKind::Gauge)?;
    for view in alerts.alerts() {
        write_bound(sink, &view, view.threshold())?;
    }
    let help = "The value at which, or beyond which, an alert's metric is back. An objective has none.";
    sink.family("weir_alert_clear", help, FigureKind::Gauge)?;
    for view in alerts.alerts() {
        if !matches!(view.rule.condition, AlertCondition::Objective(_)) {
            write_bound(sink, &view, view.rule.clear)?;
        }
    }
    let help = "The part of requests that is to succeed, by alerts with an objective.";
    sink.family("weir_alert_objective_ratio", help, FigureKind::Gauge)?;
    for view in alerts.alerts() {
        if let AlertCondition::Objective(ppm) = view.rule.condition {
            sink.sample(&[label("name", &view.rule.name)], Figure::Ratio(ppm.into()))?;
        }
    }
    Ok(())
}

/// Writes a value that the metric of a rule is compared with, and from which side it crosses.
fn write_bound(sink: &mut dyn FigureSink, view: &AlertView, value: i128) -> fmt::Result {
    let side = match view.bound {
        AlertBound::Above(_) | AlertBound::Burn(_) => "above",
        AlertBound::Below(_) => "below",
    };
    let labels = [label("name", &view.rule.name), label("metric", &view.rule.metric), label("bound", &side)];
    sink.sample(&labels, figure(view.rule.metric, value))
}

/// A value of a metric in its base unit. None but amounts is negative.
fn figure(metric: AlertMetric, value: i128) -> Figure {
    let positive = u128::try_from(value).unwrap_or(0);
    let count = u64::try_from(positive).unwrap_or(u64::MAX);
    match metric.unit() {
        Unit::Count => Figure::Whole(count),
        Unit::Percent => Figure::Ratio(count),
        Unit::Length => Figure::Seconds(positive),
        Unit::Money => Figure::Money(NanoUnits(value)),
        // Thousandths, in parts of a million.
        Unit::Burn => Figure::Ratio(count.saturating_mul(1000)),
    }
}

/// For whom a rule looks; nothing where that is everything.
struct Scope<'a>(&'a AlertView);

impl Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.rule.scope.iter().try_for_each(|scope| scope.fmt(f))
    }
}

fn label<'a>(name: &'static str, value: &'a dyn Display) -> Label<'a> {
    Label { name, value }
}
