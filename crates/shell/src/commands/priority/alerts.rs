//! `priority alerts`: the notices of agreements that are kept.

use super::only;
use crate::command::Invocation;
use crate::commands::{Context, Outcome};
use crate::render::{Cell, Column, Humanized, Table};
use crate::term::{Printable, Style};
use governance::export::ObjectWriter;
use governance::priority::Crossing;
use governance::units::Percent;

/// Lists the notices of agreements, the oldest first.
pub(in crate::commands) fn alerts(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let only = only(context, invocation)?;
    let now = context.system.now();
    context.engine.live.tick(now);
    let queues = &context.engine.live.queues;
    let service = only.and_then(|queue| queues.get_sla(queue)).map(|sla| sla.service_id);
    let notices =
        || queues.sla_notices().since(0).filter(|notice| service.is_none_or(|only| only == notice.service));
    if invocation.flag("json") {
        return Ok(notices().try_for_each(|notice| {
            ObjectWriter::begin(context.system)?
                .string("notice", notice.crossing.word())?
                .string("service", notice.service.as_str())?
                .string("kind", notice.kind.word())?
                .integer("measured_ppm", notice.measured_ppm.into())?
                .integer("threshold_ppm", notice.threshold_ppm.into())?
                .integer("age_ns", now.instant.since(notice.at).0)?
                .end()
        })?);
    }
    let table = Table {
        columns: [
            Column::left("service"),
            Column::left("notice"),
            Column::left("kind"),
            Column::right("measured"),
            Column::right("threshold"),
            Column::right("ago"),
        ],
        if_empty: "no notices",
    };
    Ok(table.write(context.system, context.term, |row| {
        for notice in notices() {
            let style = match notice.crossing {
                Crossing::Breach => Style::Bad,
                Crossing::Recovery => Style::Good,
            };
            row(&[
                Cell::styled(Style::Name, &Printable(notice.service.as_str())),
                Cell::styled(style, &notice.crossing.word()),
                Cell::new(&notice.kind.word()),
                Cell::new(&Percent(notice.measured_ppm)),
                Cell::new(&Percent(notice.threshold_ppm)),
                Cell::new(&Humanized(now.instant.since(notice.at))),
            ]);
        }
    })?)
}
