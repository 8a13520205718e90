//! What policies have done, and how they came to be what they are.

use super::{ConditionLine, rollback_to, style_of};
use crate::command::Invocation;
use crate::commands::{Context, Outcome, wide};
use crate::render::{Cell, Column, Grouped, Table};
use crate::term::Style;
use core::fmt;
use governance::export::ObjectWriter;
use governance::mode::Mode;
use governance::policy::{
    AuditEvent, AuditRecord, DefaultEffect, HEADER_NAMES_MAX, POLICIES_MAX, PolicyRule, SET_ATOMS_MAX,
    SetUsage,
};
use governance::time::{NANOS_PER_SECOND, WallTime};

/// How many records are listed if it is not said from which one on.
const LAST_RECORDS: u64 = 20;
/// How many records a table shows; `--json` gives all.
const SHOWN_RECORDS_MAX: usize = 200;

/// Shows what becomes of requests, and how full the fixed structures are.
pub(in crate::commands) fn status(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let policies = &context.engine.live.policies;
    let totals = policies.stats();
    let SetUsage { policies: count, values, header_names: names } = policies.current().usage();
    let (default, hash, generation) =
        (policies.default_effect(), policies.content_hash(), policies.generation().0);
    let back = rollback_to(policies).map(|generation| generation.0);
    let is_first = policies.previous_generation().is_some() && back.is_none();
    if invocation.flag("json") {
        return Ok(ObjectWriter::begin(context.system)?
            .string("default", default.word())?
            .integer("generation", generation)?
            .display("content_hash", format_args!("{hash:016x}"))?
            .integer("policies", wide(count))?
            .integer("policies_max", wide(POLICIES_MAX))?
            .integer("values", wide(values))?
            .integer("values_max", wide(SET_ATOMS_MAX))?
            .integer("header_names", wide(names))?
            .integer("header_names_max", wide(HEADER_NAMES_MAX))?
            .integer("evaluated", totals.evaluated)?
            .integer("allowed", totals.allowed)?
            .integer("denied", totals.denied)?
            .integer("by_default", totals.by_default)?
            .integer("redirected", totals.redirected)?
            .integer("throttled", totals.throttled)?
            .integer("alerted", totals.alerted)?
            .integer("logged", totals.logged)?
            .integer("would_deny", totals.would_deny)?
            .integer("would_allow", totals.would_allow)?
            .integer("changes", totals.changes)?
            .integer("audit_written", totals.audit_written)?
            .integer("audit_overwritten", totals.audit_overwritten)?
            .optional_integer("rollback_to", back)?
            .end()?);
    }
    let system = &mut *context.system;
    let (word, rest) = match default {
        DefaultEffect::Allow => ("allow", "a request that no policy denies is allowed"),
        DefaultEffect::Deny => ("deny", "a request that no policy allows is denied"),
    };
    writeln!(system, "default {word}: {rest}")?;
    writeln!(
        system,
        "policies {count} of {POLICIES_MAX}   values {values} of {SET_ATOMS_MAX}   header names {names} of {HEADER_NAMES_MAX}",
    )?;
    writeln!(system, "generation {generation}   content {hash:016x}   changes {}", Grouped(totals.changes))?;
    writeln!(
        system,
        "requests {}   allowed {}   denied {}   by default {}",
        Grouped(totals.evaluated),
        Grouped(totals.allowed),
        Grouped(totals.denied),
        Grouped(totals.by_default),
    )?;
    writeln!(
        system,
        "redirected {}   throttled {}   alerted {}   logged {}",
        Grouped(totals.redirected),
        Grouped(totals.throttled),
        Grouped(totals.alerted),
        Grouped(totals.logged),
    )?;
    write_shadow_totals(context)?;
    writeln!(
        context.system,
        "audit records written {}   overwritten {}",
        Grouped(totals.audit_written),
        Grouped(totals.audit_overwritten),
    )?;
    match back {
        Some(back) => context.say(format_args!("policy rollback puts back generation {back}")),
        None if is_first => context
            .say(format_args!("no rollback is possible: there was nothing before the present policies")),
        None => context.say(format_args!("no rollback is possible: nothing was changed yet")),
    }
}

/// Says what shadow policies would have done.
pub(in crate::commands) fn shadows(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let policies = &context.engine.live.policies;
    let shadows = || policies.list_policies().filter(|(_, rule)| rule.mode == Mode::Shadow);
    let would = |id| policies.get_policy_stats(id).map_or(0, |stats| stats.would);
    if invocation.flag("json") {
        for (id, rule) in shadows() {
            ObjectWriter::begin(context.system)?
                .string("policy", rule.name.as_str())?
                .display("action", rule.action)?
                .boolean("enabled", rule.enabled)?
                .integer("would", would(id))?
                .end()?;
        }
        let totals = policies.stats();
        return Ok(ObjectWriter::begin(context.system)?
            .integer("evaluated", totals.evaluated)?
            .integer("would_deny", totals.would_deny)?
            .integer("would_allow", totals.would_allow)?
            .end()?);
    }
    let table = Table {
        columns: [
            Column::left("policy"),
            Column::left("would"),
            Column::right("requests"),
            Column::left("matches"),
        ],
        if_empty: "no policies in shadow mode",
    };
    table.write(context.system, context.term, |row| {
        for (id, rule) in shadows() {
            let style = if rule.enabled { style_of(rule.action.kind()) } else { Style::Dim };
            row(&[
                Cell::styled(Style::Name, &rule.name),
                Cell::styled(style, &Would(rule)),
                Cell::new(&Grouped(would(id))),
                Cell::new(&ConditionLine(rule)),
            ]);
        }
    })?;
    write_shadow_totals(context)
}

fn write_shadow_totals(context: &mut Context<'_>) -> Outcome {
    let totals = context.engine.live.policies.stats();
    let (deny, allow) = (Grouped(totals.would_deny), Grouped(totals.would_allow));
    context.say(format_args!(
        "shadow policies would have denied {deny} that were allowed, and allowed {allow} that were denied"
    ))
}

/// Lists the last records of the audit log.
pub(in crate::commands) fn audit(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let policies = &context.engine.live.policies;
    let totals = policies.stats();
    let from = invocation.integer("from");
    let first = from.unwrap_or((totals.audit_written + 1).saturating_sub(LAST_RECORDS)).max(1);
    if let Some(from) = from.filter(|&from| from > totals.audit_written) {
        return Err(context.fail(format_args!(
            "from: there is no record {from} yet; the last one has number {}",
            totals.audit_written
        )));
    }
    if invocation.flag("json") {
        return Ok(policies.audit(first).try_for_each(|record| write_record(context.system, record))?);
    }
    let table = Table {
        columns: [
            Column::right("id"),
            Column::left("time"),
            Column::left("event"),
            Column::left("policy"),
            Column::right("generation"),
            Column::left("request"),
        ],
        if_empty: "no records",
    };
    table.write(context.system, context.term, |row| {
        for record in policies.audit(first).take(SHOWN_RECORDS_MAX) {
            let style = if record.event == AuditEvent::Denied { Style::Bad } else { Style::Plain };
            let policy = if record.rule.is_empty() { "-" } else { record.rule.as_str() };
            row(&[
                Cell::new(&record.audit_id),
                Cell::new(&whole_second(record.at)),
                Cell::styled(style, &record.event),
                Cell::styled(Style::Name, &policy),
                Cell::new(&record.generation),
                Cell::new(&Subject(record)),
            ]);
        }
    })?;
    let more = policies.audit(first).count().saturating_sub(SHOWN_RECORDS_MAX);
    if more > 0 {
        let more = Grouped(wide(more));
        context.say(format_args!("{more} more; policy audit from={first} --json lists all"))?;
    }
    if first <= totals.audit_overwritten {
        let oldest = totals.audit_overwritten + 1;
        context.say(format_args!("records before {oldest} are not kept any more"))?;
    }
    Ok(())
}

fn write_record(system: &mut dyn crate::system::System, record: &AuditRecord) -> fmt::Result {
    let name = |name| Some(name).filter(|name: &&str| !name.is_empty());
    let object = ObjectWriter::begin(system)?
        .integer("audit_id", record.audit_id)?
        .display("at", record.at)?
        .string("event", record.event.word())?
        .optional_string("policy", name(record.rule.as_str()))?
        .integer("generation", record.generation)?
        .optional_string("service", name(record.service.as_str()))?
        .optional_string("tenant", name(record.tenant.as_str()))?;
    match record.ip() {
        Some(ip) => object.display("ip", ip)?,
        None => object.null("ip")?,
    }
    .optional_string("path", name(record.path.as_str()))?
    .end()
}

/// A point of time without what is less than a second; `--json` gives all of it.
const fn whole_second(at: WallTime) -> WallTime {
    WallTime(at.0 - at.0 % NANOS_PER_SECOND)
}

/// What a policy would do, if it is looked at.
struct Would<'a>(&'a PolicyRule);

impl fmt::Display for Would<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.0;
        write!(f, "{}{}", rule.action, if rule.enabled { "" } else { " (disabled)" })
    }
}

/// What a record tells of a request.
struct Subject<'a>(&'a AuditRecord);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let mut is_first = true;
        let mut write = |field: &str, value: &dyn fmt::Display| {
            let gap = if is_first { "" } else { " " };
            is_first = false;
            write!(f, "{gap}{field}={value}")
        };
        let texts = [("service", record.service.as_str()), ("tenant", record.tenant.as_str())];
        for (field, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            write(field, &value)?;
        }
        if let Some(ip) = record.ip() {
            write("ip", &ip)?;
        }
        if !record.path.is_empty() {
            write("path", &record.path)?;
        }
        if is_first { f.write_str("-") } else { Ok(()) }
    }
}
