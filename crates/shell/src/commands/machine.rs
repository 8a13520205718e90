//! Commands on the machine and on the shell itself.

use super::{Context, Outcome, wide};
use crate::command::{Action, Invocation};
use crate::engine::Governor;
use crate::help::Topic;
use crate::render::{ByteSize, Cell, Column, Grouped, Humanized, Table};
use crate::term::{Printable, Style};
use core::fmt;
use governance::alerts::ALERTS_MAX;
use governance::export::ObjectWriter;
use governance::loop_guard::LOOPS_MAX;
use governance::policy::{AUDIT_RECORDS, AuditRecord, POLICIES_MAX, PolicyRule};
use governance::rate_limiter::LIMITS_MAX;
use governance::time::{Instant, Nanos, WallTime};
use governance::traffic::SCOPES_MAX;

/// Explains commands.
pub(super) fn help(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (command, subcommand) = match invocation.action {
        Action::RatelimitHelp => (Some("ratelimit"), None),
        Action::QuotaHelp => (Some("quota"), None),
        Action::CostHelp => (Some("cost"), None),
        Action::PolicyHelp => (Some("policy"), None),
        Action::PriorityHelp => (Some("priority"), None),
        Action::TrafficHelp => (Some("traffic"), None),
        Action::GovernanceHelp => (Some("governance"), None),
        _ => (invocation.positional(0), invocation.positional(1)),
    };
    let topic = Topic::find(command, subcommand).map_err(|error| context.fail(format_args!("{error}")))?;
    Ok(topic.write(context.system, context.term)?)
}

/// Says what runs on what.
pub(super) fn version(context: &mut Context<'_>) -> Outcome {
    let machine = context.system.machine();
    context.say(format_args!(
        "weir {} on {}, booted by {}, {} of memory, clock {}.{:03} MHz",
        env!("CARGO_PKG_VERSION"),
        machine.processor,
        machine.boot,
        ByteSize(machine.memory_bytes),
        machine.clock_hz / 1_000_000,
        machine.clock_hz / 1_000 % 1_000,
    ))
}

/// Says how long the machine has been up.
pub(super) fn uptime(context: &mut Context<'_>) -> Outcome {
    let up = Nanos(context.system.now().instant.0);
    context.say(format_args!("up {}", Humanized(up)))
}

/// Tells the time, to the millisecond.
pub(super) fn date(context: &mut Context<'_>) -> Outcome {
    let WallTime(nanos) = context.system.now().wall;
    let wall = WallTime(nanos - nanos % 1_000_000);
    if context.system.has_wall_clock() {
        context.say(format_args!("{wall}"))
    } else {
        context.say(format_args!("{wall} (the wall clock is not set and counts from 1970)"))
    }
}

/// Shows the static pools of memory.
pub(super) fn memory(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let now = context.system.now().instant;
    let mut pools = heapless::Vec::<_, POOLS_MAX>::new();
    each_pool(context, now, &mut |pool| {
        // A pool too many is left out of the list, not of the machine.
        let _ = pools.push(*pool);
    });
    if invocation.flag("json") {
        for Pool { name, bytes, used_bytes, items } in pools {
            ObjectWriter::begin(context.system)?
                .string("pool", name)?
                .optional_integer("bytes", bytes)?
                .optional_integer("used_bytes", used_bytes)?
                .optional_integer("items", items.map(|(used, _)| used))?
                .optional_integer("items_max", items.map(|(_, max)| max))?
                .end()?;
        }
        return Ok(());
    }
    let table = Table {
        columns: [Column::left("pool"), Column::right("size"), Column::right("used"), Column::right("items")],
        if_empty: "no pools",
    };
    Ok(table.write(context.system, context.term, |row| {
        for pool in &pools {
            row(&[
                Cell::styled(Style::Name, &pool.name),
                Cell::new(&Bytes(pool.bytes)),
                Cell::new(&Bytes(pool.used_bytes)),
                Cell::new(&Items(pool.items)),
            ]);
        }
    })?)
}

const POOLS_MAX: usize = 64;

/// A static pool, of the machine or of the engine.
#[derive(Clone, Copy)]
struct Pool {
    name: &'static str,
    /// How large it is, if it lies by itself.
    bytes: Option<u64>,
    used_bytes: Option<u64>,
    /// How many items are in use, and how many there are.
    items: Option<(u64, u64)>,
}

fn each_pool(context: &Context<'_>, now: Instant, each: &mut dyn FnMut(&Pool)) {
    context.system.memory_pools(&mut |pool| {
        each(&Pool { name: pool.name, bytes: Some(pool.bytes), used_bytes: pool.used_bytes, items: None });
    });
    let engine = &*context.engine;
    each_pool_of(&engine.live, now, &LIVE, each);
    each_pool_of(&engine.replay, engine.replayed_until.instant, &REPLAY, each);
}

/// What the pools of a governor are called.
type PoolNames = [&'static str; 16];
const LIVE: PoolNames = [
    "live: limits",
    "live: keys",
    "live: log entries",
    "live: policies",
    "live: audit records",
    "live: queues",
    "live: requests waiting or in service",
    "live: exempt requests",
    "live: flows",
    "live: tickets",
    "live: holds",
    "live: scopes of calls",
    "live: callers of the guard",
    "live: metric series",
    "live: latency scopes",
    "live: alerts",
];
const REPLAY: PoolNames = [
    "replay: limits",
    "replay: keys",
    "replay: log entries",
    "replay: policies",
    "replay: audit records",
    "replay: queues",
    "replay: requests waiting or in service",
    "replay: exempt requests",
    "replay: flows",
    "replay: tickets",
    "replay: holds",
    "replay: scopes of calls",
    "replay: callers of the guard",
    "replay: metric series",
    "replay: latency scopes",
    "replay: alerts",
];

fn each_pool_of(governor: &Governor, now: Instant, names: &PoolNames, each: &mut dyn FnMut(&Pool)) {
    let table = governor.limits.table_stats();
    let audited = governor.policies.stats();
    let audited = usize::try_from(audited.audit_written - audited.audit_overwritten).unwrap_or(AUDIT_RECORDS);
    let queues = governor.queues.totals();
    let requests = (queues.waiting + queues.in_service).saturating_sub(queues.exempt);
    let tickets = governor.ticket_stats();
    let metrics = governor.metrics.stats();
    let pools = [
        (Some(table.limit_bytes), governor.limits.len(), LIMITS_MAX),
        (Some(table.key_bytes), table.keys, table.keys_max),
        (Some(table.log_entry_bytes), table.log_entries, table.log_entries_max),
        (Some(size_of::<PolicyRule>()), governor.policies.len(), POLICIES_MAX),
        (Some(size_of::<AuditRecord>()), audited, AUDIT_RECORDS),
        // What follows lies in pools that are woven into each other.
        (None, queues.queues, queues.queues_max),
        (None, requests, queues.requests_max),
        (None, queues.exempt, queues.exempt_max),
        (None, queues.flows, queues.flows_max),
        (None, tickets.open, tickets.open_max),
        (None, tickets.holds, tickets.holds_max),
        (None, governor.traffic.scope_count(), SCOPES_MAX),
        (None, governor.traffic.guard.stats(now).tracked, LOOPS_MAX),
        (None, metrics.series, metrics.series_max),
        (None, metrics.latency_scopes, metrics.latency_scopes_max),
        (None, governor.alerts.stats().rules, ALERTS_MAX),
    ];
    for (name, (size, used, capacity)) in names.iter().zip(pools) {
        each(&Pool {
            name,
            bytes: size.map(|size| wide(size * capacity)),
            used_bytes: size.map(|size| wide(size * used)),
            items: Some((wide(used), wide(capacity))),
        });
    }
}

struct Bytes(Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => ByteSize(bytes).fmt(f),
            None => f.write_str("-"),
        }
    }
}

struct Items(Option<(u64, u64)>);

impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((used, capacity)) => write!(f, "{} of {}", Grouped(used), Grouped(capacity)),
            None => f.write_str("-"),
        }
    }
}

/// Lists the files.
pub(super) fn ls(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let files = context.files;
    if invocation.flag("json") {
        for file in files.iter() {
            let bytes = wide(file.content.len());
            ObjectWriter::begin(context.system)?.string("file", file.name)?.integer("bytes", bytes)?.end()?;
        }
        return Ok(());
    }
    let table = Table { columns: [Column::left("file"), Column::right("bytes")], if_empty: "no files" };
    Ok(table.write(context.system, context.term, |row| {
        for file in files.iter() {
            row(&[Cell::styled(Style::Name, &file.name), Cell::new(&Grouped(wide(file.content.len())))]);
        }
    })?)
}

/// Prints a file, with what could drive the terminal made visible. Ctrl-C stops.
pub(super) fn cat(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    for line in file.content.split_inclusive(|byte| *byte == b'\n') {
        if context.system.interrupted() {
            return Err(context.fail(format_args!("stopped")));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        for chunk in text.utf8_chunks() {
            write!(context.system, "{}", Printable(chunk.valid()))?;
            if !chunk.invalid().is_empty() {
                context.system.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        writeln!(context.system)?;
    }
    Ok(())
}

/// Prints the kernel's log.
pub(super) fn dmesg(context: &mut Context<'_>) -> Outcome {
    // The log is held by the machine, which is also the console: a line at a time is copied out.
    let mut index = 0;
    loop {
        let mut line = heapless::String::<256>::new();
        let (mut seen, mut found) = (0, false);
        context.system.log_lines(&mut |text| {
            if seen == index {
                found = true;
                let end = text.len().min(line.capacity());
                let end = (0..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
                let _ = line.push_str(&text[..end]);
            }
            seen += 1;
        });
        if !found {
            return Ok(());
        }
        writeln!(context.system, "{line}")?;
        index += 1;
    }
}

/// Lists the lines entered before.
pub(super) fn history(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    for (number, line) in context.history.iter() {
        if invocation.flag("json") {
            ObjectWriter::begin(context.system)?
                .integer("number", wide(number))?
                .string("line", line)?
                .end()?;
        } else {
            writeln!(context.system, "{number:>4}  {line}")?;
        }
    }
    Ok(())
}
