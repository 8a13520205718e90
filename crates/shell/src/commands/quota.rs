//! `quota`: how much of it there is, and how much is used.

use super::books::Books;
use super::{Context, Count, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::term::{Printable, Style};
use core::fmt::{self, Write};
use governance::decision::{Sharing, Wait};
use governance::export::{ExportFormat, ObjectWriter};
use governance::field::FieldValue;
use governance::mode::Mode;
use governance::quota::{
    Depletion, QuotaAnswer, QuotaDraft, QuotaId, QuotaName, QuotaSpec, QuotaStats, QuotaUnit, QuotaUsage,
};
use governance::scope::{HashSecret, KeyName};
use governance::time::{Now, WallTime};

/// How many counters a table shows; `--json` gives all.
const SHOWN_USAGES_MAX: usize = 200;

/// Lists the quotas with what they have decided.
pub(super) fn status(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let term = context.term;
    let quotas = &books.of(context.engine).quotas;
    let stats_of = |id| quotas.get_quota_stats(id).unwrap_or_default();
    let totals = quotas.stats();
    if invocation.flag("json") {
        for (id, spec) in quotas.allocations() {
            let stats = stats_of(id);
            write_spec(ObjectWriter::begin(context.system)?, spec, &quotas.secret())?
                .integer("allowed", stats.allowed)?
                .integer("denied", stats.denied)?
                .integer("would_deny", stats.would_deny)?
                .integer("passed_over", stats.passed_over)?
                .integer("keys", stats.keys)?
                .integer("overflow_hits", stats.overflow_hits)?
                .end()?;
        }
        return Ok(ObjectWriter::begin(context.system)?
            .string("books", books.word())?
            .integer("allocations", wide(totals.allocations))?
            .integer("allocations_max", wide(totals.allocations_max))?
            .integer("active", wide(totals.active))?
            .integer("active_max", wide(totals.active_max))?
            .integer("denied", totals.denied)?
            .integer("would_deny", totals.would_deny)?
            .integer("evicted", totals.evicted)?
            .integer("overflow_hits", totals.overflow_hits)?
            .integer("holds", totals.holds)?
            .integer("alerts", totals.alerts)?
            .end()?);
    }
    let table = Table {
        columns: [
            Column::left("quota"),
            Column::left("allows"),
            Column::right("allowed"),
            Column::right("denied"),
            Column::right("over"),
            Column::right("keys"),
        ],
        if_empty: "no quotas",
    };
    table.write(context.system, term, |row| {
        for (id, spec) in quotas.allocations() {
            let stats = stats_of(id);
            let denied = if stats.denied > 0 { Style::Bad } else { Style::Plain };
            row(&[
                Cell::styled(Style::Name, &spec.name),
                Cell::new(&Allowance(spec)),
                Cell::new(&Grouped(stats.allowed)),
                Cell::styled(denied, &Denied(spec.mode, &stats)),
                Cell::new(&Grouped(stats.passed_over)),
                Cell::new(&Grouped(stats.keys)),
            ]);
        }
    })?;
    writeln!(
        context.system,
        "quotas {} of {}   keys {} of {}   overflow hits {}   alerts {}",
        Grouped(wide(totals.allocations)),
        Grouped(wide(totals.allocations_max)),
        Grouped(wide(totals.active)),
        Grouped(wide(totals.active_max)),
        Grouped(totals.overflow_hits),
        Grouped(totals.alerts),
    )?;
    if totals.overflow_hits > 0 {
        let warning = term.paint(Style::Warn, "warning:");
        writeln!(
            context.system,
            "{warning} keys beyond the table share the overflow counter of their quota"
        )?;
    }
    Ok(())
}

/// Lists the quotas as they are configured.
pub(super) fn allocations(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let quotas = &books.of(context.engine).quotas;
    if invocation.flag("json") {
        return Ok(quotas.allocations().try_for_each(|(_, spec)| {
            write_spec(ObjectWriter::begin(context.system)?, spec, &quotas.secret())?.end()
        })?);
    }
    let table = Table {
        columns: [
            Column::left("quota"),
            Column::left("allows"),
            Column::left("anchor"),
            Column::right("rollover"),
            Column::left("parent"),
        ],
        if_empty: "no quotas",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (_, spec) in quotas.allocations() {
            let parent = spec.parent.unwrap_or_else(|| QuotaName::excerpt("-"));
            row(&[
                Cell::styled(Style::Name, &spec.name),
                Cell::new(&Allowance(spec)),
                Cell::new(&Anchor(spec)),
                Cell::new(&format_args!("{} %", spec.rollover_percent)),
                Cell::new(&parent),
            ]);
        }
    })?)
}

/// Shows what is used in the present period.
pub(super) fn usage(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let only = match invocation.positional(0) {
        Some(_) => Some(quota(context, books, invocation)?),
        None => None,
    };
    let key = match (only, invocation.get("key")) {
        (_, None) => None,
        (Some((_, spec)), Some(key)) => {
            let key = KeyName::parse(spec.scope.kind, key);
            let key = key.map_err(|error| context.fail(format_args!("key: {error}")))?;
            Some(key.to_name(&books.of(context.engine).quotas.secret()))
        }
        (None, Some(_)) => return Err(context.fail(format_args!("key goes with the name of a quota"))),
    };
    let now = context.now_of(books);
    let quotas = &books.of(context.engine).quotas;
    let each = |each: &mut dyn FnMut(&QuotaSpec, &QuotaUsage)| {
        for (id, spec) in quotas.allocations().filter(|(id, _)| only.is_none_or(|(only, _)| only == *id)) {
            // The quota is there: it was just listed.
            let _ = quotas.usages(now, id, |usage| {
                if key.is_none_or(|key| usage.key == Some(key)) {
                    each(spec, &usage);
                }
            });
        }
    };
    if key.is_some() {
        let mut found = 0;
        each(&mut |_, _| found += 1);
        if found == 0 {
            return Err(context.fail(format_args!("nothing was charged to that key")));
        }
    }
    if invocation.flag("json") {
        let (system, mut result) = (&mut *context.system, Ok(()));
        each(&mut |spec, usage| {
            if result.is_ok() {
                result = write_usage(system, spec, usage, now);
            }
        });
        return Ok(result?);
    }
    let (mut total, mut shown) = (0, 0);
    let table = Table {
        columns: [
            Column::left("quota"),
            Column::left("key"),
            Column::right("used"),
            Column::right("of"),
            Column::right("%"),
            Column::right("reserved"),
            Column::right("carried"),
            Column::right("peak"),
            Column::left("period ends"),
            Column::left("used up"),
        ],
        if_empty: "no quotas",
    };
    table.write(context.system, context.term, |row| {
        (total, shown) = (0, 0);
        each(&mut |spec, usage| {
            total += 1;
            if shown == SHOWN_USAGES_MAX {
                return;
            }
            shown += 1;
            row(&[
                Cell::styled(Style::Name, &spec.name),
                Cell::new(&Key(usage)),
                Cell::new(&Grouped(usage.used)),
                Cell::new(&Grouped(usage.capacity)),
                Cell::styled(alert_style(usage.alert), &(usage.utilization_permille() / 10)),
                Cell::new(&Grouped(usage.reserved)),
                Cell::new(&Grouped(usage.carry)),
                Cell::new(&Grouped(usage.peak)),
                Cell::new(&usage.period.end),
                Cell::new(&UsedUp(usage.depletion(now.wall), now.wall)),
            ]);
        });
    })?;
    if total > shown {
        let more = Grouped(wide(total - shown));
        context.say(format_args!("{more} more; quota usage --json lists all"))?;
    }
    Ok(())
}

/// Adds a quota.
pub(super) fn allocate(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = QuotaDraft::default();
    for (field, value) in invocation.keys() {
        draft.set(field, FieldValue::Text(value)).map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let spec = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    let allocated = context.engine.live.quotas.allocate_quota(&spec);
    allocated.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("allocated {}: {}", spec.name, Allowance(&spec)))
}

/// Changes a quota while it works.
pub(super) fn set(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, old) = quota(context, Books::Live, invocation)?;
    if invocation.keys().next().is_none() {
        return Err(
            context.fail(format_args!("nothing to change; give at least one field, such as limit=200000"))
        );
    }
    let mut draft = QuotaDraft::from_spec(&old);
    for (field, value) in invocation.keys() {
        draft
            .change(field, FieldValue::Text(value))
            .map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let spec = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    let now = context.system.now();
    let changed = context.engine.live.quotas.update(now, id, &spec);
    changed.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("changed {}: {}", spec.name, Allowance(&spec)))
}

/// Removes a quota.
pub(super) fn remove(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec) = quota(context, Books::Live, invocation)?;
    let removed = context.engine.live.quotas.remove_quota(id);
    removed.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("removed {}", spec.name))
}

/// Says whether an amount fits.
pub(super) fn check(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key, amount) = target(context, invocation)?;
    let now = context.system.now();
    let answer = context.engine.live.quotas.check_quota(now, id, key, amount);
    let answer = answer.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    tell(context, "fits", &answer)
}

/// Charges an amount.
pub(super) fn consume(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key, amount) = target(context, invocation)?;
    let now = context.system.now();
    let marks = super::notices::NoticeMarks::of(&context.engine.live);
    let answer = context.engine.live.quotas.consume_quota(now, id, key, amount);
    let answer = answer.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    tell(context, "charged", &answer)?;
    marks.tell(context, false)
}

fn tell(context: &mut Context<'_>, granted: &str, answer: &QuotaAnswer) -> Outcome {
    let standing = match answer {
        QuotaAnswer::Granted(standing) => standing,
        QuotaAnswer::Refused(refusal) => &refusal.quota,
    };
    let is_it = |(id, _): &(QuotaId, &QuotaSpec)| *id == standing.id;
    let found = context.engine.live.quotas.allocations().find(is_it);
    let name = found.map(|(_, spec)| spec.name).unwrap_or_default();
    let term = context.term;
    let (used, capacity) = (Grouped(standing.used + standing.reserved), Grouped(standing.capacity));
    match answer {
        QuotaAnswer::Granted(_) => context.say(format_args!(
            "{}   quota {name}   used {used}/{capacity}",
            term.paint(Style::Good, granted)
        )),
        QuotaAnswer::Refused(refusal) => {
            let retry = Retry(refusal.retry);
            context.say(format_args!(
                "{}   quota {name}   used {used}/{capacity}   {retry}",
                term.paint(Style::Bad, "refused")
            ))
        }
    }
}

/// Forgets what is used in the present period.
pub(super) fn reset(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec) = quota(context, Books::Live, invocation)?;
    let key = key(context, invocation, &spec)?;
    let now = context.system.now();
    let reset = context.engine.live.quotas.reset_quota(now, id, key);
    let count = reset.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("{}: reset {}", spec.name, Count(count, "counter")))
}

/// Lists what is beyond a threshold.
pub(super) fn alerts(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let books = context.books(invocation)?;
    let now = context.now_of(books);
    let quotas = &books.of(context.engine).quotas;
    if invocation.flag("json") {
        for alert in quotas.get_quota_alerts(now) {
            ObjectWriter::begin(context.system)?
                .string("quota", alert.name.as_str())?
                .optional_string("key", alert.usage.key.as_ref().map(|key| key.as_str()))?
                .integer("percent", alert.percent.into())?
                .integer("used", alert.usage.in_use())?
                .integer("capacity", alert.usage.capacity)?
                .end()?;
        }
        return Ok(());
    }
    let table = Table {
        columns: [
            Column::left("quota"),
            Column::left("key"),
            Column::right("reached"),
            Column::right("used"),
            Column::right("of"),
            Column::left("period ends"),
        ],
        if_empty: "no alerts",
    };
    Ok(table.write(context.system, context.term, |row| {
        for alert in quotas.get_quota_alerts(now) {
            row(&[
                Cell::styled(Style::Name, &alert.name),
                Cell::new(&Key(&alert.usage)),
                Cell::styled(alert_style(Some(alert.percent)), &format_args!("{} %", alert.percent)),
                Cell::new(&Grouped(alert.usage.in_use())),
                Cell::new(&Grouped(alert.usage.capacity)),
                Cell::new(&alert.usage.period.end),
            ]);
        }
    })?)
}

/// Prints what is used for other programs.
pub(super) fn export(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let format = invocation.get("format").and_then(ExportFormat::from_word).unwrap_or(ExportFormat::Csv);
    let books = context.books_for_programs(invocation)?;
    let now = context.now_of(books);
    let quotas = &books.of(context.engine).quotas;
    if quotas.is_empty() {
        return Err(context.fail(format_args!("there are no quotas to export")));
    }
    Ok(quotas.export_usage(now, format, context.system)?)
}

/// The quota that the first positional argument names.
fn quota(
    context: &mut Context<'_>,
    books: Books,
    invocation: &Invocation<'_>,
) -> Result<(QuotaId, QuotaSpec), Failed> {
    let name = invocation.positional(0).unwrap_or_default();
    let quotas = &books.of(context.engine).quotas;
    if let Some((id, spec)) = quotas.allocations().find(|(_, spec)| spec.name.as_str() == name) {
        return Ok((id, *spec));
    }
    let near = crate::command::nearest(name, quotas.allocations().map(|(_, spec)| spec.name.as_str()));
    let (near, shown) = (near.map(QuotaName::excerpt), Printable(name));
    Err(match near {
        Some(near) => context.fail(format_args!("there is no quota '{shown}'; did you mean '{near}'?")),
        None => context.fail(format_args!("there is no quota '{shown}'; quota status lists them")),
    })
}

/// The quota, the key and the amount that are meant.
fn target<'a>(
    context: &mut Context<'_>,
    invocation: &Invocation<'a>,
) -> Result<(QuotaId, QuotaSpec, Option<KeyName<'a>>, u64), Failed> {
    let (id, spec) = quota(context, Books::Live, invocation)?;
    let key = key(context, invocation, &spec)?;
    Ok((id, spec, key, invocation.integer("amount").unwrap_or(0)))
}

fn key<'a>(
    context: &mut Context<'_>,
    invocation: &Invocation<'a>,
    spec: &QuotaSpec,
) -> Result<Option<KeyName<'a>>, Failed> {
    let Some(name) = invocation.get("key") else { return Ok(None) };
    let key = KeyName::parse(spec.scope.kind, name);
    key.map(Some).map_err(|error| context.fail(format_args!("key: {error}")))
}

fn write_spec<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    spec: &QuotaSpec,
    secret: &HashSecret,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    object
        .string("name", spec.name.as_str())?
        .display("scope", spec.scope.shown(secret))?
        .string("unit", spec.unit.word())?
        .integer("limit", spec.limit)?
        .display("window", spec.schedule.cycle)?
        .display("anchor", spec.schedule.anchor)?
        .integer("rollover", spec.rollover_percent.into())?
        .string("enforcement", spec.enforcement.word())?
        .string("mode", spec.mode.word())?
        .optional_string("parent", spec.parent.as_ref().map(|parent| parent.as_str()))
}

fn write_usage(
    system: &mut dyn crate::system::System,
    spec: &QuotaSpec,
    usage: &QuotaUsage,
    now: Now,
) -> fmt::Result {
    let object = ObjectWriter::begin(system)?
        .string("quota", spec.name.as_str())?
        .optional_string("key", usage.key.as_ref().map(|key| key.as_str()))?
        .boolean("overflow", usage.shared == Sharing::Overflow)?
        .integer("used", usage.used)?
        .integer("reserved", usage.reserved)?
        .integer("carry", usage.carry)?
        .integer("capacity", usage.capacity)?
        .integer("utilization_permille", usage.utilization_permille())?
        .integer("peak", usage.peak)?
        .integer("requests", usage.requests)?
        .integer("denied", usage.denied.into())?
        .optional_integer("alert", usage.alert.map(u64::from))?
        .display("period_start", usage.period.start)?
        .display("period_end", usage.period.end)?;
    match usage.depletion(now.wall) {
        Depletion::At(at) => object.display("depletion", at)?,
        Depletion::Depleted => object.string("depletion", "depleted")?,
        Depletion::NotAtThisRate => object.string("depletion", "not-at-this-rate")?,
        Depletion::NoUsage => object.null("depletion")?,
    }
    .end()
}

fn alert_style(alert: Option<u8>) -> Style {
    match alert {
        None => Style::Plain,
        Some(100) => Style::Bad,
        Some(_) => Style::Warn,
    }
}

/// How much a quota allows, in a few words: `100 monthly`, `64 tokens in 1m, soft`.
struct Allowance<'a>(&'a QuotaSpec);

impl fmt::Display for Allowance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.0;
        match spec.unit {
            QuotaUnit::LatencyP99 => write!(f, "p99 of {} ms", spec.limit)?,
            QuotaUnit::Requests => write!(f, "{}", spec.limit)?,
            unit => write!(f, "{} {unit}", spec.limit)?,
        }
        write!(f, " {}", Cycle(spec))?;
        write!(f, ", {}", spec.enforcement.word())?;
        if spec.mode == Mode::Shadow { f.write_str(", shadow") } else { Ok(()) }
    }
}

/// `monthly`, `daily`, or `in 1m`.
struct Cycle<'a>(&'a QuotaSpec);

impl fmt::Display for Cycle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cycle = governance::text::Text::<32>::format(format_args!("{}", self.0.schedule.cycle));
        let cycle = cycle.unwrap_or_default();
        let is_length = cycle.as_str().starts_with(|first: char| first.is_ascii_digit());
        write!(f, "{}{cycle}", if is_length { "in " } else { "" })
    }
}

struct Anchor<'a>(&'a QuotaSpec);

impl fmt::Display for Anchor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.schedule.anchor {
            WallTime(0) => f.write_str("-"),
            anchor => write!(f, "{anchor}"),
        }
    }
}

/// What was refused, or would be.
struct Denied<'a>(Mode, &'a QuotaStats);

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Mode::Enforce => Grouped(self.1.denied).fmt(f),
            Mode::Shadow => write!(f, "{} would be", Grouped(self.1.would_deny)),
        }
    }
}

struct Key<'a>(&'a QuotaUsage);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.key, self.0.shared) {
            (Some(key), _) => key.fmt(f),
            (None, Sharing::Overflow) => f.write_str("(overflow)"),
            (None, Sharing::Own) => f.write_str("-"),
        }
    }
}

/// When a quota is used up.
struct UsedUp(Depletion, WallTime);

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Depletion::At(at) => {
                write!(f, "in {}", Humanized(governance::time::Nanos(at.0.saturating_sub(self.1.0))))
            }
            Depletion::Depleted => f.write_str("now"),
            Depletion::NotAtThisRate => f.write_str("not at this rate"),
            Depletion::NoUsage => f.write_str("-"),
        }
    }
}

struct Retry(Wait);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Wait::For(wait) => write!(f, "retry in {}", Humanized(wait)),
            Wait::Never => f.write_str("retry never"),
        }
    }
}
