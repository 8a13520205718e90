//! Where the rules stand, as figures for other programs.

use super::{AlertState, GovernanceAlerts};
use crate::export::{Figure, FigureKind, FigureSink, Label};
use core::fmt;

/// Gives every rule and where it stands, and how often rules have fired.
///
/// # Errors
/// Only those of `sink`.
pub fn export_alerts(alerts: &GovernanceAlerts, sink: &mut dyn FigureSink) -> fmt::Result {
    sink.family("weir_alerts", "Whether an alert is in a state: 1 for the one it is in.", FigureKind::Gauge)?;
    for view in alerts.alerts() {
        for state in AlertState::ALL {
            let labels = [
                Label { name: "name", value: &view.rule.name },
                Label { name: "state", value: &state.word() },
            ];
            sink.sample(&labels, Figure::Whole(u64::from(state == view.state)))?;
        }
    }
    let stats = alerts.stats();
    sink.family("weir_alert_notices_total", "Notices of alerts, by what has happened.", FigureKind::Counter)?;
    for (event, count) in
        [("fired", stats.fired), ("cleared", stats.cleared), ("suppressed", stats.suppressed)]
    {
        sink.sample(&[Label { name: "event", value: &event }], Figure::Whole(count))?;
    }
    Ok(())
}
