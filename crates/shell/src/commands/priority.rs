//! `priority`: services that have an agreement, and the requests that wait for them.

mod alerts;
mod reports;
mod simulate;
mod turns;

pub(super) use alerts::alerts;
pub(super) use reports::{agreements, fairness, queues, stats};
pub(super) use simulate::simulate;
pub(super) use turns::{LetGo, dequeue, drain, enqueue, fill, preempt, requeue};

use super::{Context, Failed, Outcome};
use crate::command::{Invocation, nearest};
use crate::render::{Cell, Column, Humanized, Table};
use crate::term::{Printable, Style};
use crate::words::Quoted;
use core::fmt;
use governance::export::ObjectWriter;
use governance::field::FieldValue;
use governance::priority::{PriorityError, QueueId, SLA, SlaDraft};
use governance::request::RequestPriority;
use governance::scope::Name;
use governance::units::Percent;

/// Gives a service an agreement.
pub(super) fn define(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = SlaDraft::default();
    for (field, value) in invocation.keys() {
        draft.set(field, FieldValue::Text(value)).map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let sla = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    let shown = Printable(sla.service_id.as_str());
    let defined = context.engine.live.queues.define_sla(&sla);
    defined.map_err(|error| match error {
        PriorityError::DuplicateService => context.fail(format_args!(
            "{shown} has an agreement already; priority set {} changes it",
            Quoted(sla.service_id.as_str())
        )),
        error => context.fail(format_args!("{shown}: {error}")),
    })?;
    context.say(format_args!("defined {shown}: {}", Terms(&sla)))
}

/// Changes an agreement while it holds.
pub(super) fn set(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (queue, old) = service(context, invocation)?;
    if invocation.keys().next().is_none() {
        return Err(
            context.fail(format_args!("nothing to change; give at least one field, such as concurrency=8"))
        );
    }
    let mut draft = SlaDraft::from_sla(&old);
    for (field, value) in invocation.keys() {
        draft
            .change(field, FieldValue::Text(value))
            .map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let sla = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    let shown = Printable(sla.service_id.as_str());
    let now = context.system.now();
    let changed = context.engine.live.queues.update_sla(now.instant, queue, &sla);
    changed.map_err(|error| context.fail(format_args!("{shown}: {error}")))?;
    context.say(format_args!("changed {shown}: {}", Terms(&sla)))
}

/// Takes an agreement away.
pub(super) fn remove(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (queue, sla) = service(context, invocation)?;
    let shown = Printable(sla.service_id.as_str());
    let removed = context.engine.live.queues.remove_sla(queue);
    removed.map_err(|error| context.fail(format_args!("{shown}: {error}")))?;
    context.say(format_args!("removed {shown}"))
}

/// Shows what each class weighs, after changing it if that is asked for.
pub(super) fn weights(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut weights = context.engine.live.queues.weights();
    for (class, weight) in RequestPriority::ALL.into_iter().zip(&mut weights) {
        // The table lets no other number pass.
        let given = invocation.integer(class.word()).and_then(|weight| u32::try_from(weight).ok());
        *weight = given.unwrap_or(*weight);
    }
    let now = context.system.now();
    for (class, weight) in RequestPriority::ALL.into_iter().zip(weights) {
        let changed = context.engine.live.queues.set_weight(now.instant, class, weight);
        changed.map_err(|error| context.fail(format_args!("{class}: {error}")))?;
    }
    let sum: u64 = weights.into_iter().map(u64::from).sum();
    let permille = |weight: u32| u64::from(weight) * 1000 / sum.max(1);
    let classes = || RequestPriority::ALL.into_iter().zip(weights);
    if invocation.flag("json") {
        return Ok(classes().try_for_each(|(class, weight)| {
            ObjectWriter::begin(context.system)?
                .string("class", class.word())?
                .integer("weight", weight.into())?
                .integer("share_permille", permille(weight))?
                .end()
        })?);
    }
    let table = Table {
        columns: [Column::left("class"), Column::right("weight"), Column::right("share")],
        if_empty: "",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (class, weight) in classes() {
            row(&[
                Cell::styled(Style::Name, &class.word()),
                Cell::new(&weight),
                Cell::new(&Permille(permille(weight))),
            ]);
        }
    })?)
}

/// The queue that the first positional argument names, and its agreement.
fn service(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<(QueueId, SLA), Failed> {
    let name = invocation.positional(0).unwrap_or_default();
    let queues = &context.engine.live.queues;
    match queues.find(name).and_then(|queue| Some((queue, *queues.get_sla(queue)?))) {
        Some(found) => Ok(found),
        None => Err(unknown(context, name)),
    }
}

/// The queue that the first positional argument names, if there is one.
fn only(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Option<QueueId>, Failed> {
    match invocation.positional(0) {
        Some(_) => service(context, invocation).map(|(queue, _)| Some(queue)),
        None => Ok(None),
    }
}

/// Says that a service has no agreement, and which one may have been meant.
fn unknown(context: &mut Context<'_>, name: &str) -> Failed {
    let services = context.engine.live.queues.slas().map(|(_, sla)| sla.service_id.as_str());
    let near = nearest(name, services).map(Name::excerpt);
    let shown = Printable(name);
    match near {
        Some(near) => context.fail(format_args!(
            "there is no agreement of service '{shown}'; did you mean '{}'?",
            Printable(near.as_str())
        )),
        None => {
            context.fail(format_args!("there is no agreement of service '{shown}'; priority sla lists them"))
        }
    }
}

/// What an agreement says, in a few words.
struct Terms<'a>(&'a SLA);

impl fmt::Display for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sla = self.0;
        write!(f, "p95 {}, errors {}, ", Humanized(sla.latency()), Percent(sla.error_rate_threshold_ppm))?;
        write!(f, "class {}, ", sla.priority_level)?;
        match sla.concurrency {
            0 => f.write_str("any number in service")?,
            most => write!(f, "{most} in service")?,
        }
        write!(f, ", {} wait", sla.queue_depth)
    }
}

/// Parts of a thousand, as a percentage.
struct Permille(u64);

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} %", self.0 / 10, self.0 % 10)
    }
}
