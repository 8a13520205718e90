//! `ratelimit`: the limits themselves.

use super::{Context, Failed, Outcome, wide};
use crate::command::{Action, Invocation};
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::term::Style;
use core::fmt::{self, Write};
use governance::decision::LimitStanding;
use governance::export::ObjectWriter;
use governance::field::FieldValue;
use governance::governor::DecisionCounters;
use governance::limit::{LimitDraft, LimitName, LimitSpec, LimitState, Per, RateLimitAlgorithm};
use governance::mode::Mode;
use governance::rate_limiter::{LimitId, LimitStats, TableStats};
use governance::request::Unit;
use governance::scope::{HashSecret, Pattern, Scope};

/// Lists the limits with what they have decided, and how full the fixed structures are.
pub(super) fn status(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let limiter = &context.engine.live.limits;
    if invocation.flag("json") {
        for (id, spec) in limiter.limits() {
            let stats = limiter.get_limit_stats(id).unwrap_or_default();
            write_members(ObjectWriter::begin(context.system)?, spec, &stats, &limiter.secret())?.end()?;
        }
        let (counters, stats) = (context.engine.live.counters(), limiter.table_stats());
        return Ok(write_totals_json(context.system, &counters, &stats)?);
    }
    let table = Table {
        columns: [
            Column::left("limit"),
            Column::left("algorithm"),
            Column::left("shape"),
            Column::right("allowed"),
            Column::right("denied"),
            Column::right("keys"),
        ],
        if_empty: "no limits: every request is allowed",
    };
    table.write(context.system, context.term, |row| {
        for (id, spec) in limiter.limits() {
            let stats = limiter.get_limit_stats(id).unwrap_or_default();
            let (denied, refused) = (Denied(spec, &stats), refused(spec, &stats) > 0);
            let denied_style = match spec.mode {
                Mode::Enforce if refused => Style::Bad,
                Mode::Shadow if refused => Style::Warn,
                _ => Style::Plain,
            };
            let in_force = (spec.state, spec.mode) == (LimitState::Enabled, Mode::Enforce);
            let shape = if in_force { Style::Plain } else { Style::Warn };
            row(&[
                Cell::styled(Style::Name, &spec.name),
                Cell::new(&spec.algorithm.word()),
                Cell::styled(shape, &ShapeAndState(spec)),
                Cell::new(&Grouped(stats.allowed)),
                Cell::styled(denied_style, &denied),
                Cell::new(&Grouped(stats.keys)),
            ]);
        }
    })?;
    let counters = context.engine.live.counters();
    writeln!(
        context.system,
        "requests {}   allowed {}   delayed {}   denied {}",
        Grouped(counters.requests),
        Grouped(counters.allowed),
        Grouped(counters.delayed),
        Grouped(counters.denied)
    )?;
    let stats = context.engine.live.limits.table_stats();
    write_table_stats(context, &stats)
}

/// Says how full a governor's fixed structures are, and warns where that is worth it.
pub(super) fn write_table_stats(context: &mut Context<'_>, stats: &TableStats) -> Outcome {
    let count = |value| Grouped(wide(value));
    writeln!(
        context.system,
        "keys {} of {}   evicted fresh {}   overflow hits {}   bursts {}",
        count(stats.keys),
        count(stats.keys_max),
        Grouped(stats.evicted_fresh),
        Grouped(stats.overflow_hits),
        stats.grants,
    )?;
    writeln!(
        context.system,
        "log entries {} of {}   log full {}",
        count(stats.log_entries),
        count(stats.log_entries_max),
        Grouped(stats.log_full),
    )?;
    if stats.evicted_shadow > 0 {
        writeln!(context.system, "keys of shadow limits that made room {}", Grouped(stats.evicted_shadow))?;
    }
    if stats.is_filling_up() {
        let what = match (stats.keys == stats.keys_max, stats.overflow_hits) {
            (true, 0) => "full: keys whose buckets are full again make room for new ones",
            (true, _) => "full: new keys share overflow buckets",
            (false, _) => "three quarters full",
        };
        let (style, word) =
            if stats.overflow_hits == 0 { (Style::Dim, "note:") } else { (Style::Warn, "warning:") };
        writeln!(context.system, "{} the table of keys is {what}", context.term.paint(style, word))?;
    }
    Ok(())
}

/// Shows one limit in full.
pub(super) fn show(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec) = context.limit(invocation)?;
    let now = context.system.now();
    let limiter = &mut context.engine.live.limits;
    // Only a limit with one bucket stands somewhere; the keys of the others are listed by `buckets`.
    let standing = limiter.standing_of(now, id, None).ok();
    let secret = limiter.secret();
    let stats = limiter.get_limit_stats(id).unwrap_or_default();
    if invocation.flag("json") {
        let object = write_members(ObjectWriter::begin(context.system)?, &spec, &stats, &secret)?;
        return Ok(object
            .optional_integer("remaining", standing.map(|standing| standing.remaining()))?
            .optional_integer("full_in_ns", standing.map(|standing| standing.full_in().0))?
            .end()?);
    }
    let system = &mut *context.system;
    writeln!(system, "{}", context.term.paint(Style::Name, spec.name))?;
    writeln!(system, "  scope       {}", spec.scope.shown(&secret))?;
    if spec.per == Per::Client {
        writeln!(system, "  per         client: the actor, else the session, else the address")?;
    }
    writeln!(system, "  algorithm   {}", Described(&spec))?;
    writeln!(system, "  unit        {}", spec.unit.word())?;
    writeln!(system, "  state       {}", state_word(spec.state))?;
    writeln!(system, "  mode        {}", spec.mode.word())?;
    if let Some(standing) = standing {
        writeln!(system, "  remaining   {}", Remaining(&standing))?;
    }
    writeln!(system, "  allowed     {}", Grouped(stats.allowed))?;
    writeln!(system, "  denied      {}", Grouped(stats.denied))?;
    if spec.mode == Mode::Shadow || stats.would_deny > 0 {
        writeln!(system, "  would deny  {}", Grouped(stats.would_deny))?;
    }
    if spec.scope.pattern == Pattern::Any || spec.per == Per::Client {
        writeln!(system, "  keys        {}", Grouped(stats.keys))?;
        writeln!(
            system,
            "  overflow    {} requests shared the overflow bucket",
            Grouped(stats.overflow_hits)
        )?;
    }
    if stats.log_full > 0 {
        writeln!(system, "  log full    {} requests", Grouped(stats.log_full))?;
    }
    if let Some(note) = caveat(&spec.algorithm) {
        writeln!(system, "  {}", context.term.paint(Style::Dim, note))?;
    }
    Ok(())
}

/// Adds a limit.
pub(super) fn add(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = LimitDraft::default();
    for (field, value) in invocation.keys() {
        draft.set(field, FieldValue::Text(value)).map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let spec = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    add_spec(context, &spec)?;
    context.say(format_args!("added {}: {}", spec.name, Described(&spec)))
}

/// Changes a limit while it works.
pub(super) fn set(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, old) = context.limit(invocation)?;
    if invocation.keys().next().is_none() {
        return Err(
            context.fail(format_args!("nothing to change; give at least one field, such as rate=5/s"))
        );
    }
    let mut draft = LimitDraft::from_spec(&old);
    // The algorithm first: it says which other fields there are.
    let algorithm = invocation.keys().filter(|(field, _)| *field == "algorithm");
    for (field, value) in algorithm.chain(invocation.keys().filter(|(field, _)| *field != "algorithm")) {
        draft
            .change(field, FieldValue::Text(value))
            .map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let spec = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    let now = context.system.now();
    let changed = context.engine.live.limits.update(now, id, &spec);
    changed.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("changed {}: {}", spec.name, Described(&spec)))
}

/// Removes a limit.
pub(super) fn remove(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec) = context.limit(invocation)?;
    take_out(context, id, &spec.name)?;
    context.say(format_args!("removed {}", spec.name))
}

/// Enables or disables a limit.
pub(super) fn set_state(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec) = context.limit(invocation)?;
    let state =
        if invocation.action == Action::RatelimitEnable { LimitState::Enabled } else { LimitState::Disabled };
    let changed = context.engine.live.limits.set_state(id, state);
    changed.map_err(|error| context.fail(format_args!("{error}")))?;
    context.say(format_args!("{} {}", state_word(state), spec.name))
}

/// Refuses every request of a scope, beside the limits that it has.
pub(super) fn ban(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (scope, name) = ban_of(context, invocation)?;
    let spec = LimitSpec { name, scope, algorithm: RateLimitAlgorithm::Ban, ..LimitSpec::default() };
    let shown = scope.shown(&context.engine.live.limits.secret());
    let existing = context.engine.live.limits.limits().find(|(_, limit)| limit.name == name);
    match existing.map(|(id, limit)| (id, *limit)) {
        Some((_, limit)) if limit == spec => {
            return Err(context.fail(format_args!("{shown} is banned already")));
        }
        // It was disabled, or given another shape.
        Some((id, limit)) if (limit.scope, limit.per, limit.unit) == (spec.scope, spec.per, spec.unit) => {
            let now = context.system.now();
            let changed = context.engine.live.limits.update(now, id, &spec);
            changed.map_err(|error| context.fail(format_args!("{name}: {error}")))?;
        }
        _ => add_spec(context, &spec)?,
    }
    if scope.is_secret() {
        context.say(format_args!("banned {shown}; ratelimit unban with the same scope lifts it"))?;
    } else {
        context.say(format_args!("banned {shown}; ratelimit unban {shown} lifts it"))?;
    }
    if scope.pattern == Pattern::Any {
        context
            .say(format_args!("any {} that has a limit of its own goes by that limit instead", scope.kind))?;
    }
    Ok(())
}

/// Lifts a ban.
pub(super) fn unban(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (scope, name) = ban_of(context, invocation)?;
    let shown = scope.shown(&context.engine.live.limits.secret());
    let found = bans(context, scope).find(|(_, ban)| *ban == name);
    // A ban that has another name is part of a configuration.
    let other = bans(context, scope).next();
    match (found, other) {
        (Some((id, _)), _) => {
            take_out(context, id, &name)?;
            context.say(format_args!("{shown} is no longer banned"))
        }
        (None, Some((_, ban))) => Err(context
            .fail(format_args!("{shown} is banned by the limit '{ban}'; remove or disable that limit"))),
        (None, None) => Err(context.fail(format_args!("{shown} is not banned"))),
    }
}

/// Removes a limit, unless a policy throttles by it.
fn take_out(context: &mut Context<'_>, id: LimitId, name: &LimitName) -> Outcome {
    if let Some(rule) = context.engine.live.policies.uses_limit(name.as_str()) {
        let policy = rule.name;
        return Err(context.fail(format_args!(
            "{name}: the policy {policy} throttles by it; change or remove that policy first"
        )));
    }
    context.engine.live.limits.remove(id).map_err(|error| context.fail(format_args!("{error}")))
}

/// The limits that ban a scope.
fn bans(context: &Context<'_>, scope: Scope) -> impl Iterator<Item = (LimitId, LimitName)> {
    let is_ban = move |spec: &LimitSpec| spec.scope == scope && spec.algorithm == RateLimitAlgorithm::Ban;
    let limits = context.engine.live.limits.limits();
    limits.filter(move |(_, spec)| is_ban(spec)).map(|(id, spec)| (id, spec.name))
}

/// The scope that is meant, and the name of the limit that bans it.
fn ban_of(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<(Scope, LimitName), Failed> {
    let scope = Scope::parse(invocation.positional(0).unwrap_or_default());
    let scope = scope.map_err(|error| context.fail(format_args!("scope: {error}")))?;
    let shown = scope.shown(&context.engine.live.limits.secret());
    let name = LimitName::format(format_args!("{shown}#ban"));
    Ok((scope, name.map_err(|error| context.fail(format_args!("scope: {error}")))?))
}

fn add_spec(context: &mut Context<'_>, spec: &LimitSpec) -> Outcome {
    let added = context.engine.live.limits.add(spec);
    added.map(|_| ()).map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))
}

/// Writes what there is to know of a limit, in the words of the configuration.
fn write_members<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    spec: &LimitSpec,
    stats: &LimitStats,
    secret: &HashSecret,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let mut object = object.string("name", spec.name.as_str())?.display("scope", spec.scope.shown(secret))?;
    if spec.per == Per::Client {
        object = object.string("per", "client")?;
    }
    object = object.string("algorithm", spec.algorithm.word())?;
    if let Some(shape) = spec.algorithm.bucket() {
        object = object.integer("capacity", shape.capacity)?.display("rate", shape.rate)?;
    }
    if let Some(shape) = spec.algorithm.window() {
        let align = shape.align.word();
        object =
            object.integer("limit", shape.limit)?.display("window", shape.window)?.string("align", align)?;
    }
    if let Some(shape) = spec.algorithm.concurrency() {
        object = object.integer("limit", shape.limit)?.display("lease", shape.lease)?;
    }
    object
        .string("unit", spec.unit.word())?
        .boolean("enabled", spec.state == LimitState::Enabled)?
        .string("mode", spec.mode.word())?
        .integer("allowed", stats.allowed)?
        .integer("denied", stats.denied)?
        .integer("would_deny", stats.would_deny)?
        .integer("keys", stats.keys)?
        .integer("overflow_hits", stats.overflow_hits)?
        .integer("log_full", stats.log_full)
}

/// Writes what all limits together have decided, and how full the fixed structures are.
fn write_totals_json(
    out: &mut (impl Write + ?Sized),
    counters: &DecisionCounters,
    stats: &TableStats,
) -> fmt::Result {
    ObjectWriter::begin(out)?
        .integer("requests", counters.requests)?
        .integer("allowed", counters.allowed)?
        .integer("delayed", counters.delayed)?
        .integer("denied", counters.denied)?
        .integer("keys", wide(stats.keys))?
        .integer("keys_max", wide(stats.keys_max))?
        .integer("evicted_fresh", stats.evicted_fresh)?
        .integer("evicted_shadow", stats.evicted_shadow)?
        .integer("overflow_hits", stats.overflow_hits)?
        .integer("bursts", wide(stats.grants))?
        .integer("log_entries", wide(stats.log_entries))?
        .integer("log_entries_max", wide(stats.log_entries_max))?
        .integer("log_full", stats.log_full)?
        .end()
}

/// What a limit allows, in a few words.
struct Shape<'a>(&'a LimitSpec);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.0.unit {
            Unit::Requests => "",
            Unit::Bytes => " bytes",
            Unit::Tokens => " tokens",
        };
        let each = if self.0.per == Per::Client { " per client" } else { "" };
        if let Some(shape) = self.0.algorithm.bucket() {
            return write!(f, "{}{unit} at {}{each}", shape.capacity, shape.rate);
        }
        if let Some(shape) = self.0.algorithm.window() {
            let align = if shape.align == governance::limit::Align::Clock { " by the clock" } else { "" };
            return write!(f, "{}{unit} in {}{align}{each}", shape.limit, shape.window);
        }
        if let Some(shape) = self.0.algorithm.concurrency() {
            return write!(f, "{} in flight, lease {}{each}", shape.limit, shape.lease);
        }
        f.write_str("-")
    }
}

/// How many requests a limit has refused, or would have in force.
fn refused(spec: &LimitSpec, stats: &LimitStats) -> u64 {
    match spec.mode {
        Mode::Enforce => stats.denied,
        Mode::Shadow => stats.would_deny,
    }
}

/// What a limit has refused, or would have in force.
struct Denied<'a>(&'a LimitSpec, &'a LimitStats);

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = Grouped(refused(self.0, self.1));
        match self.0.mode {
            Mode::Enforce => count.fmt(f),
            Mode::Shadow => write!(f, "{count} would be"),
        }
    }
}

/// A limit's algorithm and what it allows.
struct Described<'a>(&'a LimitSpec);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = &self.0.algorithm;
        f.write_str(algorithm.word())?;
        if algorithm.capacity().is_some() {
            write!(f, " {}", Shape(self.0))?;
        }
        f.write_str(if self.0.mode == Mode::Shadow { " (shadow)" } else { "" })
    }
}

/// What a limit allows, and that it is disabled or in shadow mode if it is.
struct ShapeAndState<'a>(&'a LimitSpec);

impl fmt::Display for ShapeAndState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shape(self.0).fmt(f)?;
        f.write_str(if self.0.mode == Mode::Shadow { " shadow" } else { "" })?;
        f.write_str(if self.0.state == LimitState::Disabled { " disabled" } else { "" })
    }
}

/// What is left of a bucket.
pub(super) struct Remaining<'a>(pub(super) &'a LimitStanding);

impl fmt::Display for Remaining<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.0;
        write!(f, "{}/{}", standing.remaining(), standing.capacity.unwrap_or(0))?;
        match standing.full_in() {
            governance::time::Nanos::ZERO => f.write_str(" (full)"),
            full_in => write!(f, " (full in {})", Humanized(full_in)),
        }
    }
}

fn state_word(state: LimitState) -> &'static str {
    match state {
        LimitState::Enabled => "enabled",
        LimitState::Disabled => "disabled",
    }
}

/// What an algorithm does not promise.
fn caveat(algorithm: &RateLimitAlgorithm) -> Option<&'static str> {
    match algorithm {
        RateLimitAlgorithm::FixedWindow(_) => {
            Some("up to twice the limit can pass in a window's length; sliding-log is exact")
        }
        RateLimitAlgorithm::SlidingWindow(_) => {
            Some("nearly twice the limit can pass in some window's length; sliding-log is exact")
        }
        _ => None,
    }
}
