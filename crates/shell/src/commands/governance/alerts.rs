//! `governance alerts` and `governance threshold`: what measures are held against.

use super::{OrDash, measured};
use crate::command::{Invocation, nearest};
use crate::commands::{Context, Failed, Outcome};
use crate::render::{Cell, Column, Humanized, Table};
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt;
use governance::alerts::{
    ALERTS_MAX, AlertBound, AlertCondition, AlertError, AlertEvent, AlertMetric, AlertNotice, AlertRule,
    AlertState, AlertView, BURN_EVENTS_MIN, BurnWindows, MetricValue,
};
use governance::export::ObjectWriter;
use governance::field::FieldValue;
use governance::scope::Name;
use governance::time::{Nanos, WallTime};
use governance::units::Percent;

/// Lists the alerts that are pending or fire, all of them, or their notices.
pub(in crate::commands) fn alerts(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let which = invocation.positional(0).unwrap_or("pending");
    let (books, now) = measured(context, invocation)?;
    let alerts = &books.of(context.engine).alerts;
    let is_json = invocation.flag("json");
    if which == "notices" {
        let notices = || alerts.notices().since(0);
        return if is_json {
            Ok(notices().try_for_each(|notice| write_notice(context.system, notice))?)
        } else {
            list_notices(context.system, context.term, notices, now.wall)
        };
    }
    let meant = || alerts.alerts().filter(|view| which == "all" || view.state != AlertState::Quiet);
    if is_json {
        return Ok(meant().try_for_each(|view| write_alert(context.system, &view))?);
    }
    let if_empty = match (alerts.is_idle(), which) {
        (true, _) => "no alerts are configured",
        (false, _) => "no alert is pending or fires",
    };
    let table = Table {
        columns: [
            Column::left("alert"),
            Column::left("state"),
            Column::left("metric"),
            Column::left("scope"),
            Column::right("value"),
            Column::left("condition"),
            Column::left("clear"),
            Column::right("since"),
        ],
        if_empty,
    };
    table.write(context.system, context.term, |row| {
        for view in meant() {
            let metric = view.rule.metric;
            let since = (view.state != AlertState::Quiet).then(|| ago(view.since, now.wall));
            row(&[
                Cell::styled(Style::Name, &Printable(view.rule.name.as_str())),
                Cell::styled(style_of(view.state), &view.state.word()),
                Cell::new(&metric.word()),
                Cell::new(&OrDash(view.rule.scope)),
                Cell::new(&OrDash(view.value.map(|value| Measured { metric, value }))),
                Cell::new(&Asked(&view)),
                Cell::new(&OrDash(clear_of(&view.rule).map(|value| MetricValue { metric, value }))),
                Cell::new(&OrDash(since)),
            ]);
        }
    })?;
    let has_objective = |view: AlertView| matches!(view.rule.condition, AlertCondition::Objective(_));
    if meant().any(has_objective) {
        let [hour, six_hours, three_days] = BurnWindows::ALL.map(Pair);
        writeln!(
            context.system,
            "of an objective three pairs of windows are looked at: {hour}, {six_hours}, {three_days};\n\
             a pair says nothing before its long window has {BURN_EVENTS_MIN} outcomes"
        )?;
    }
    Ok(())
}

/// The value at which an alert is over; an objective has none.
const fn clear_of(rule: &AlertRule) -> Option<i128> {
    match rule.condition {
        AlertCondition::Above(_) | AlertCondition::Below(_) => Some(rule.clear),
        AlertCondition::Objective(_) => None,
    }
}

/// A pair of windows with the rate that is too fast in both: `14.4x over 1h and 5m`.
struct Pair(BurnWindows);

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.burn_milli();
        write!(f, "{} over {}", MetricValue { metric: AlertMetric::BurnRate, value }, self.0)
    }
}

/// What an alert is held against: `above 5%`, `objective 99.9%, above 14.4x over 1h and 5m`.
struct Asked<'a>(&'a AlertView);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let AlertCondition::Objective(ppm) = self.0.rule.condition {
            write!(f, "objective {}, ", Percent(ppm))?;
        }
        Bound(self.0.rule.metric, self.0.bound).fmt(f)
    }
}

/// A value that was measured: of a rate in percent no more than two decimals, rounded.
pub(super) struct Measured {
    pub(super) metric: AlertMetric,
    pub(super) value: i128,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEP_PPM: i128 = 100;
        let Self { metric, value } = *self;
        let value = match metric {
            AlertMetric::DeniedRate | AlertMetric::ErrorRate => (value + STEP_PPM / 2) / STEP_PPM * STEP_PPM,
            _ => value,
        };
        MetricValue { metric, value }.fmt(f)
    }
}

/// Changes the threshold of an alert, or its objective.
pub(in crate::commands) fn threshold(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let name = invocation.positional(0).unwrap_or_default();
    let value = invocation.positional(1).unwrap_or_default();
    let shown = Printable(name);
    let changed = context.engine.live.alerts.set_alert_threshold(name, FieldValue::Text(value));
    match changed {
        Ok(rule) => context.say(format_args!("changed {shown}: {} {}", rule.metric, Condition(&rule))),
        Err(AlertError::Unknown) => Err(unknown(context, name)),
        Err(error) => Err(context.fail(format_args!("{shown}: {error}"))),
    }
}

fn unknown(context: &mut Context<'_>, name: &str) -> Failed {
    let rules = context.engine.live.alerts.alerts();
    let names: heapless::Vec<Name, ALERTS_MAX> = rules.map(|view| view.rule.name).collect();
    let shown = Printable(name);
    match nearest(name, names.iter().map(|name| name.as_str())) {
        Some(near) => {
            context.fail(format_args!("there is no alert '{shown}'; did you mean '{}'?", Printable(near)))
        }
        None => context.fail(format_args!("there is no alert '{shown}'; governance alerts all lists them")),
    }
}

const fn style_of(state: AlertState) -> Style {
    match state {
        AlertState::Quiet => Style::Good,
        AlertState::Pending => Style::Warn,
        AlertState::Firing => Style::Bad,
    }
}

fn list_notices<'a, I: Iterator<Item = &'a AlertNotice>>(
    system: &mut dyn System,
    term: Term,
    notices: impl Fn() -> I,
    wall: WallTime,
) -> Outcome {
    let table = Table {
        columns: [
            Column::left("alert"),
            Column::left("notice"),
            Column::left("metric"),
            Column::right("value"),
            Column::left("condition"),
            Column::right("ago"),
        ],
        if_empty: "no notices",
    };
    Ok(table.write(system, term, |row| {
        for notice in notices() {
            let AlertNotice { metric, value, .. } = *notice;
            let style = if notice.event == AlertEvent::Cleared { Style::Good } else { Style::Bad };
            row(&[
                Cell::styled(Style::Name, &Printable(notice.name.as_str())),
                Cell::styled(style, &notice.event.word()),
                Cell::new(&metric.word()),
                Cell::new(&Measured { metric, value }),
                Cell::new(&Bound(metric, notice.bound)),
                Cell::new(&ago(notice.at, wall)),
            ]);
        }
    })?)
}

fn write_notice(system: &mut dyn System, notice: &AlertNotice) -> fmt::Result {
    let AlertNotice { metric, value, .. } = *notice;
    ObjectWriter::begin(system)?
        .string("alert", notice.name.as_str())?
        .string("notice", notice.event.word())?
        .string("metric", metric.word())?
        .display("value", MetricValue { metric, value })?
        .display("condition", Bound(metric, notice.bound))?
        .display("at", notice.at)?
        .end()
}

fn write_alert(system: &mut dyn System, view: &AlertView) -> fmt::Result {
    let metric = view.rule.metric;
    let object = ObjectWriter::begin(system)?
        .string("alert", view.rule.name.as_str())?
        .string("state", view.state.word())?
        .string("metric", metric.word())?;
    let object = match &view.rule.scope {
        Some(scope) => object.display("scope", scope)?,
        None => object.null("scope")?,
    };
    let object = match view.value {
        Some(value) => object.display("value", MetricValue { metric, value })?,
        None => object.null("value")?,
    };
    let object = object
        .display("condition", Condition(&view.rule))?
        .integer("for_ns", view.rule.for_duration.0)?
        .integer("cooldown_ns", view.rule.cooldown.0)?;
    match view.state {
        AlertState::Quiet => object.null("since")?.end(),
        AlertState::Pending | AlertState::Firing => object.display("since", view.since)?.end(),
    }
}

/// How long ago a point of wall time is.
fn ago(since: WallTime, wall: WallTime) -> Humanized {
    Humanized(Nanos(wall.0.saturating_sub(since.0)))
}

/// What a value is compared with: `above 5%`, `above 14.4x over 1h and 5m`.
pub(super) struct Bound(pub(super) AlertMetric, pub(super) AlertBound);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = MetricValue { metric: self.0, value: self.1.threshold() };
        match self.1 {
            AlertBound::Above(_) => write!(f, "above {shown}"),
            AlertBound::Below(_) => write!(f, "below {shown}"),
            AlertBound::Burn(windows) => write!(f, "above {shown} over {windows}"),
        }
    }
}

/// What a rule asks: `above 5%`, `objective 99.9%`.
struct Condition<'a>(&'a AlertRule);

impl fmt::Display for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value| MetricValue { metric: self.0.metric, value };
        match self.0.condition {
            AlertCondition::Above(threshold) => write!(f, "above {}", shown(threshold))?,
            AlertCondition::Below(threshold) => write!(f, "below {}", shown(threshold))?,
            AlertCondition::Objective(ppm) => return write!(f, "objective {}", Percent(ppm)),
        }
        match self.0.condition {
            AlertCondition::Above(threshold) | AlertCondition::Below(threshold)
                if threshold != self.0.clear =>
            {
                write!(f, ", clear at {}", shown(self.0.clear))
            }
            _ => Ok(()),
        }
    }
}
