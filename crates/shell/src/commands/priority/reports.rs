//! How queues and agreements stand.

use super::{Permille, only};
use crate::command::Invocation;
use crate::commands::{Context, Failed, Outcome, wide};
use crate::engine::TENANTS;
use crate::render::{Bar, BarChart, Cell, Column, Grouped, Humanized, Table};
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt::{self, Write};
use governance::export::ObjectWriter;
use governance::priority::{
    ClassMetrics, FairShare, PriorityScheduler, QueueId, QueueMetrics, RejectReason, Rejections, SLA,
    SlaStatus, StarvationBound,
};
use governance::request::RequestPriority;
use governance::time::{Nanos, Now};
use governance::units::Percent;

/// How many requests may be slower than the latency of an agreement, in parts of a million: 95 of 100 are not.
const SLOW_MAX_PPM: u32 = 50_000;

/// Room for `rejected_` and the code of a reason.
const REJECTED_KEY_BYTES: usize = 32;

/// The queues that a report is of, with their agreements.
fn reported(
    queues: &PriorityScheduler<TENANTS>,
    only: Option<QueueId>,
) -> impl Iterator<Item = (QueueId, &SLA)> {
    queues.slas().filter(move |(id, _)| only.is_none_or(|only| only == *id))
}

/// Lists the queues.
pub(in crate::commands) fn queues(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now();
    context.engine.live.tick(now);
    let queues = &context.engine.live.queues;
    let totals = queues.totals();
    let metrics_of = |id| queues.get_queue_stats(now.instant, id);
    let all = || queues.slas().filter_map(|(id, _)| metrics_of(id));
    let waiting = all().map(|metrics| waiting_in_classes(&metrics)).sum::<u32>();
    let in_service = all().map(|metrics| metrics.in_service).sum::<u32>();
    if invocation.flag("json") {
        for (id, sla) in queues.slas() {
            let Some(metrics) = metrics_of(id) else { continue };
            write_queue(ObjectWriter::begin(context.system)?, sla, &metrics)?.end()?;
        }
        return Ok(ObjectWriter::begin(context.system)?
            .integer("queues", wide(totals.queues))?
            .integer("queues_max", wide(totals.queues_max))?
            .integer("waiting", waiting.into())?
            .integer("in_service", in_service.into())?
            .integer("requests_max", wide(totals.requests_max))?
            .integer("exempt", wide(totals.exempt))?
            .integer("exempt_max", wide(totals.exempt_max))?
            .integer("flows", wide(totals.flows))?
            .integer("flows_max", wide(totals.flows_max))?
            .integer("flows_forgotten", totals.flows_forgotten)?
            .integer("histograms", wide(totals.histograms))?
            .integer("histograms_max", wide(totals.histograms_max))?
            .integer("arrivals", totals.arrivals)?
            .integer("served", totals.served)?
            .integer("rejected", totals.rejected.total())?
            .end()?);
    }
    let table = Table {
        columns: [
            Column::left("queue"),
            Column::right("waiting"),
            Column::right("of"),
            Column::right("oldest"),
            Column::right("in service"),
            Column::right("of"),
            Column::right("arrivals"),
            Column::right("served"),
            Column::right("rejected"),
        ],
        if_empty: "no queues: no service has an agreement",
    };
    table.write(context.system, context.term, |row| {
        for (id, sla) in queues.slas() {
            let Some(metrics) = metrics_of(id) else { continue };
            let rejected = metrics.rejected.total();
            row(&[
                Cell::styled(Style::Name, &sla.service_id),
                Cell::new(&waiting_in_classes(&metrics)),
                Cell::new(&sla.queue_depth),
                Cell::new(&Age(oldest(&metrics))),
                Cell::new(&metrics.in_service),
                Cell::new(&Concurrency(sla.concurrency)),
                Cell::new(&Grouped(metrics.arrivals)),
                Cell::new(&Grouped(metrics.served)),
                Cell::styled(if rejected > 0 { Style::Bad } else { Style::Plain }, &Grouped(rejected)),
            ]);
        }
    })?;
    let count = |value| Grouped(wide(value));
    Ok(writeln!(
        context.system,
        "queues {} of {}   requests {} of {}   exempt {} of {}   flows {} of {}",
        count(totals.queues),
        count(totals.queues_max),
        Grouped((waiting + in_service).into()),
        count(totals.requests_max),
        count(totals.exempt),
        count(totals.exempt_max),
        count(totals.flows),
        count(totals.flows_max),
    )?)
}

/// Shows the agreements, and whether they are kept.
pub(in crate::commands) fn agreements(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let only = only(context, invocation)?;
    let now = context.system.now();
    context.engine.live.tick(now);
    let queues = &context.engine.live.queues;
    let status_of = |id| queues.sla_status(now.instant, id).unwrap_or_default();
    if invocation.flag("json") {
        return Ok(reported(queues, only)
            .try_for_each(|(id, sla)| write_agreement(context.system, sla, &status_of(id)))?);
    }
    let table = Table {
        columns: [
            Column::left("service"),
            Column::right("p95"),
            Column::right("slower"),
            Column::right("of"),
            Column::right("errors"),
            Column::right("of"),
            Column::right("requests"),
            Column::left("state"),
            Column::left("class"),
        ],
        if_empty: "no agreements",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (id, sla) in reported(queues, only) {
            let status = status_of(id);
            let style = if is_breached(&status) { Style::Bad } else { Style::Good };
            row(&[
                Cell::styled(Style::Name, &sla.service_id),
                Cell::new(&Humanized(sla.latency())),
                Cell::new(&Share(status.slow, status.count)),
                Cell::new(&Percent(SLOW_MAX_PPM)),
                Cell::new(&Share(status.errors, status.count)),
                Cell::new(&Percent(sla.error_rate_threshold_ppm)),
                Cell::new(&Grouped(status.count)),
                Cell::styled(style, &state_word(&status)),
                Cell::new(&sla.priority_level),
            ]);
        }
    })?)
}

/// What reports of queues begin with: which of them are asked for, and what is due by now. Says that there are none.
fn open(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<(Option<QueueId>, Now), Failed> {
    let only = only(context, invocation)?;
    let now = context.system.now();
    context.engine.live.tick(now);
    if !invocation.flag("json") && context.engine.live.queues.is_empty() {
        let none = context.term.paint(Style::Dim, "no queues: no service has an agreement");
        context.say(format_args!("{none}"))?;
    }
    Ok((only, now))
}

/// The heading of what is said of one queue.
fn write_service(system: &mut dyn System, term: Term, index: usize, sla: &SLA) -> fmt::Result {
    system.write_str(if index > 0 { "\n" } else { "" })?;
    writeln!(system, "{}", term.paint(Style::Name, Printable(sla.service_id.as_str())))
}

/// Shows the classes of each queue.
pub(in crate::commands) fn stats(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (only, now) = open(context, invocation)?;
    let Context { system, engine, term, .. } = context;
    let queues = &engine.live.queues;
    for (index, (id, sla)) in reported(queues, only).enumerate() {
        let Some(metrics) = queues.get_queue_stats(now.instant, id) else { continue };
        let bounds = queues.enforce_fairness(id);
        if invocation.flag("json") {
            for (class, bound) in metrics.classes.iter().zip(&bounds) {
                write_class(*system, sla, class, bound)?;
            }
            write_queue(ObjectWriter::begin(*system)?, sla, &metrics)?.end()?;
        } else {
            write_service(*system, *term, index, sla)?;
            write_stats(*system, *term, &metrics, &bounds)?;
        }
    }
    Ok(())
}

fn write_stats(
    system: &mut dyn System,
    term: Term,
    metrics: &QueueMetrics,
    bounds: &[StarvationBound; RequestPriority::COUNT],
) -> fmt::Result {
    let table = Table {
        columns: [
            Column::left("class"),
            Column::right("weight"),
            Column::right("waiting"),
            Column::right("oldest"),
            Column::right("served"),
            Column::right("rejected"),
            Column::right("wait avg"),
            Column::right("wait p95"),
            Column::right("promised"),
            Column::right("received"),
            Column::right("bound"),
            Column::right("worst"),
        ],
        if_empty: "",
    };
    table.write(system, term, |row| {
        for (class, bound) in metrics.classes.iter().zip(bounds) {
            let share = class.share;
            row(&[
                Cell::styled(Style::Name, &class.class),
                Cell::new(&class.weight),
                Cell::new(&class.depth),
                Cell::new(&Age(class.oldest_age)),
                Cell::new(&Grouped(class.served)),
                Cell::new(&Grouped(class.rejected.total())),
                Cell::new(&Age(class.wait_average)),
                Cell::new(&Age(class.wait_p95)),
                Cell::new(&OfService(share, share.promised_permille)),
                Cell::new(&OfService(share, share.received_permille)),
                Cell::new(&Micros(bound.bound_us)),
                Cell::new(&Micros(bound.worst_us)),
            ]);
        }
    })?;
    writeln!(
        system,
        "promised and received are of the service that was given while the class competed for it with others"
    )?;
    for class in metrics.classes.iter().filter(|class| class.rejected.total() > 0) {
        writeln!(system, "{}: {}", class.class, Reasons(&class.rejected))?;
    }
    let exempt = &metrics.exempt;
    if exempt.arrivals > 0 {
        writeln!(
            system,
            "exempt: waiting {}   in service {}   served {}   rejected {}",
            exempt.depth,
            exempt.in_service,
            Grouped(exempt.served),
            Grouped(exempt.rejected.total())
        )?;
    }
    writeln!(
        system,
        "arrivals {} = served {} + waiting {} + {}",
        Grouped(metrics.arrivals),
        Grouped(metrics.served),
        metrics.waiting,
        Reasons(&metrics.rejected)
    )
}

/// How many were rejected, and why.
struct Reasons<'a>(&'a Rejections);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rejected {}", Grouped(self.0.total()))?;
        let counts = RejectReason::ALL.into_iter().map(|reason| (reason, self.0.of(reason)));
        counts.filter(|(_, count)| *count > 0).enumerate().try_for_each(|(index, (reason, count))| {
            write!(f, "{}{reason} {}", if index == 0 { ": " } else { ", " }, Grouped(count))
        })
    }
}

/// Draws what each class was promised and what it received.
pub(in crate::commands) fn fairness(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (only, _) = open(context, invocation)?;
    let Context { system, engine, term, .. } = context;
    let queues = &engine.live.queues;
    for (index, (id, sla)) in reported(queues, only).enumerate() {
        let bounds = queues.enforce_fairness(id);
        let shares =
            || RequestPriority::ALL.into_iter().map(|class| (class, queues.get_fair_share(id, class)));
        if invocation.flag("json") {
            for ((class, share), bound) in shares().zip(&bounds) {
                ObjectWriter::begin(*system)?
                    .string("service", sla.service_id.as_str())?
                    .string("class", class.word())?
                    .integer("promised_permille", share.promised_permille.into())?
                    .integer("received_permille", share.received_permille.into())?
                    .integer("bound_us", bound.bound_us)?
                    .integer("worst_us", bound.worst_us)?
                    .end()?;
            }
            continue;
        }
        write_service(*system, *term, index, sla)?;
        BarChart { if_empty: "" }.write(*system, *term, |bar| {
            for (class, share) in shares() {
                for (what, permille) in
                    [("promised", share.promised_permille), ("received", share.received_permille)]
                {
                    let style = if what == "received" { Style::Name } else { Style::Dim };
                    bar(&Bar {
                        label: Cell::styled(style, &format_args!("{class} {what}")),
                        amount: Cell::new(&OfService(share, permille)),
                        value: permille.into(),
                    });
                }
            }
        })?;
        writeln!(
            system,
            "\nservice that others can receive while the first of a class waits, and have at most:"
        )?;
        let table = Table {
            columns: [Column::left("class"), Column::right("bound"), Column::right("worst")],
            if_empty: "",
        };
        table.write(*system, *term, |row| {
            for (class, bound) in RequestPriority::ALL.into_iter().zip(&bounds) {
                row(&[
                    Cell::styled(Style::Name, &class),
                    Cell::new(&Micros(bound.bound_us)),
                    Cell::new(&Micros(bound.worst_us)),
                ]);
            }
        })?;
    }
    Ok(())
}

fn write_queue<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    sla: &SLA,
    metrics: &QueueMetrics,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let object = object
        .string("service", sla.service_id.as_str())?
        .integer("waiting", waiting_in_classes(metrics).into())?
        .integer("depth", sla.queue_depth.into())?
        .optional_integer("oldest_ns", oldest(metrics).map(|age| age.0))?
        .integer("in_service", metrics.in_service.into())?
        .optional_integer("concurrency", Some(sla.concurrency.into()).filter(|most| *most > 0))?
        .integer("exempt_waiting", metrics.exempt.depth.into())?
        .integer("exempt_in_service", metrics.exempt.in_service.into())?
        .integer("arrivals", metrics.arrivals)?
        .integer("served", metrics.served)?
        .integer("requeued", metrics.requeued)?;
    write_rejections(object, &metrics.rejected)
}

fn write_class(
    system: &mut dyn System,
    sla: &SLA,
    class: &ClassMetrics,
    bound: &StarvationBound,
) -> fmt::Result {
    let object = ObjectWriter::begin(system)?
        .string("service", sla.service_id.as_str())?
        .string("class", class.class.word())?
        .integer("weight", class.weight.into())?
        .integer("waiting", class.depth.into())?
        .optional_integer("oldest_ns", class.oldest_age.map(|age| age.0))?
        .integer("in_service", class.in_service.into())?
        .integer("arrivals", class.arrivals)?
        .integer("served", class.served)?
        .integer("completed", class.completed)?
        .integer("requeued_in", class.requeued_in)?
        .integer("requeued_out", class.requeued_out)?
        .optional_integer("wait_average_ns", class.wait_average.map(|wait| wait.0))?
        .optional_integer("wait_p95_ns", class.wait_p95.map(|wait| wait.0))?
        .integer("served_cost_us", class.served_cost_us)?
        .integer("estimate_us", class.estimate_us)?
        .integer("promised_permille", class.share.promised_permille.into())?
        .integer("received_permille", class.share.received_permille.into())?
        .integer("bound_us", bound.bound_us)?
        .integer("worst_us", bound.worst_us)?;
    write_rejections(object, &class.rejected)?.end()
}

fn write_rejections<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    rejected: &Rejections,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let mut object = object.integer("rejected", rejected.total())?;
    for reason in RejectReason::ALL {
        let mut key = heapless::String::<REJECTED_KEY_BYTES>::new();
        key.write_str("rejected_")?;
        let code = reason.code().chars();
        code.map(|letter| if letter == '-' { '_' } else { letter })
            .try_for_each(|letter| key.write_char(letter))?;
        object = object.integer(&key, rejected.of(reason))?;
    }
    Ok(object)
}

fn write_agreement(system: &mut dyn System, sla: &SLA, status: &SlaStatus) -> fmt::Result {
    ObjectWriter::begin(system)?
        .string("service", sla.service_id.as_str())?
        .integer("p95_ms", sla.p95_latency_ms.into())?
        .display("error_rate", Percent(sla.error_rate_threshold_ppm))?
        .string("class", sla.priority_level.word())?
        .optional_integer("concurrency", Some(sla.concurrency.into()).filter(|most| *most > 0))?
        .integer("depth", sla.queue_depth.into())?
        .integer("requests", status.count)?
        .integer("slow", status.slow)?
        .integer("errors", status.errors)?
        .string("state", if is_breached(status) { "breached" } else { "kept" })?
        .boolean("latency_breached", status.latency_breached)?
        .boolean("errors_breached", status.errors_breached)?
        .end()
}

fn is_breached(status: &SlaStatus) -> bool {
    status.latency_breached || status.errors_breached
}

fn state_word(status: &SlaStatus) -> &'static str {
    match (status.latency_breached, status.errors_breached) {
        (false, false) => "kept",
        (true, false) => "breached: latency",
        (false, true) => "breached: errors",
        (true, true) => "breached: both",
    }
}

/// How many wait in the classes, which the depth of the queue is about.
fn waiting_in_classes(metrics: &QueueMetrics) -> u32 {
    metrics.waiting.saturating_sub(metrics.exempt.depth)
}

/// How long the one has been waiting that waits longest, the exempt lane apart.
fn oldest(metrics: &QueueMetrics) -> Option<Nanos> {
    metrics.classes.iter().filter_map(|class| class.oldest_age).max()
}

/// A length of time, where there is one.
struct Age(Option<Nanos>);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(age) => Humanized(age).fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A part of the service in parts of a thousand, if the class ever competed for it.
struct OfService(FairShare, u32);

impl fmt::Display for OfService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.promised_permille {
            0 => f.write_str("-"),
            _ => Permille(self.1.into()).fmt(f),
        }
    }
}

/// Microseconds of service.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Humanized(Nanos(self.0.saturating_mul(1_000))).fmt(f)
    }
}

/// How many are in service at most.
struct Concurrency(u32);

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("any"),
            most => most.fmt(f),
        }
    }
}

/// A part of a whole, as a percentage; nothing of nothing.
struct Share(u64, u64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(part, whole) = *self;
        match u128::from(part) * 1_000_000 / u128::from(whole.max(1)) {
            _ if whole == 0 => f.write_str("-"),
            ppm => Percent(u32::try_from(ppm).unwrap_or(u32::MAX)).fmt(f),
        }
    }
}
