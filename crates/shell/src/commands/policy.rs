//! `policy`: which requests are allowed, and what is done with them.

mod change;
mod compare;
mod explain;
mod report;

pub(super) use change::{add, remove, rollback, set, set_default, set_state, shadow};
pub(super) use compare::{diff, lint};
pub(super) use explain::explain;
pub(super) use report::{audit, shadows, status};

use super::{Context, Failed, Outcome};
use crate::command::{Invocation, nearest};
use crate::render::{Cell, Column, Grouped, Table};
use crate::term::{Printable, Style};
use crate::words::Quoted;
use core::fmt::{self, Write};
use governance::export::ObjectWriter;
use governance::mode::Mode;
use governance::policy::{
    ActionKind, Attribute, Generation, PolicyEngine, PolicyName, PolicyRule, PolicyStats, RuleId,
};

/// Room for the values of one attribute as users write them: twelve networks of IPv6 at most.
type Values = heapless::String<640>;

/// Lists the policies with what they have done.
pub(super) fn list(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let policies = &context.engine.live.policies;
    let stats_of = |id| policies.get_policy_stats(id).unwrap_or_default();
    if invocation.flag("json") {
        for (id, rule) in policies.list_policies() {
            let object = write_rule(ObjectWriter::begin(context.system)?, rule)?;
            write_stats(object, &stats_of(id))?.end()?;
        }
        return Ok(());
    }
    let table = Table {
        columns: [
            Column::left("policy"),
            Column::left("type"),
            Column::left("action"),
            Column::left("mode"),
            Column::right("matched"),
            Column::right("decided"),
        ],
        if_empty: "no policies",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (id, rule) in policies.list_policies() {
            let stats = stats_of(id);
            let acts = rule.enabled && rule.mode == Mode::Enforce;
            row(&[
                Cell::styled(Style::Name, &rule.name),
                Cell::new(&rule.policy_type.word()),
                Cell::styled(style_of(rule.action.kind()), &rule.action),
                Cell::styled(if acts { Style::Plain } else { Style::Warn }, &State(rule)),
                Cell::new(&Matched(rule, &stats)),
                Cell::new(&Grouped(stats.decided)),
            ]);
        }
    })?)
}

/// Lists which requests the policies match.
pub(super) fn rules(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let policies = &context.engine.live.policies;
    if invocation.flag("json") {
        return Ok(policies
            .list_policies()
            .try_for_each(|(_, rule)| write_rule(ObjectWriter::begin(context.system)?, rule)?.end())?);
    }
    let table = Table {
        columns: [Column::left("policy"), Column::left("action"), Column::left("matches")],
        if_empty: "no policies",
    };
    Ok(table.write(context.system, context.term, |row| {
        for (_, rule) in policies.list_policies() {
            row(&[
                Cell::styled(Style::Name, &rule.name),
                Cell::styled(style_of(rule.action.kind()), &rule.action),
                Cell::new(&ConditionLine(rule)),
            ]);
        }
    })?)
}

/// Shows one policy in full.
pub(super) fn show(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, rule) = policy(context, invocation)?;
    let stats = context.engine.live.policies.get_policy_stats(id).unwrap_or_default();
    if invocation.flag("json") {
        let object = write_rule(ObjectWriter::begin(context.system)?, &rule)?;
        return Ok(write_stats(object, &stats)?.display("toml", rule)?.end()?);
    }
    let system = &mut *context.system;
    writeln!(system, "{}", context.term.paint(Style::Name, rule.name))?;
    writeln!(system, "  type      {}", rule.policy_type.word())?;
    writeln!(system, "  matches   {}", ConditionLine(&rule))?;
    writeln!(system, "  action    {}", rule.action)?;
    writeln!(system, "  priority  {}", rule.priority)?;
    writeln!(system, "  state     {}", if rule.enabled { "enabled" } else { "disabled" })?;
    writeln!(system, "  mode      {}", rule.mode.word())?;
    writeln!(system, "  audit     {}", rule.audit_log)?;
    writeln!(system, "  matched   {}", Grouped(stats.matched))?;
    writeln!(system, "  decided   {}", Grouped(stats.decided))?;
    if rule.mode == Mode::Shadow || stats.would > 0 {
        writeln!(system, "  would be  {}", Grouped(stats.would))?;
    }
    Ok(write!(system, "\n{rule}")?)
}

/// The policy that the first positional argument names.
fn policy(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<(RuleId, PolicyRule), Failed> {
    let name = invocation.positional(0).unwrap_or_default();
    let policies = &context.engine.live.policies;
    if let Some((id, rule)) = policies.find(name).and_then(|id| Some((id, policies.get_policy(id)?))) {
        return Ok((id, *rule));
    }
    let near = nearest(name, policies.list_policies().map(|(_, rule)| rule.name.as_str()));
    let (near, shown) = (near.map(PolicyName::excerpt), Printable(name));
    Err(match near {
        Some(near) => context.fail(format_args!("there is no policy '{shown}'; did you mean '{near}'?")),
        None => context.fail(format_args!("there is no policy '{shown}'; policy list lists them")),
    })
}

/// The generation that a rollback would put back. Not the first one, in which nothing had been configured: it says
/// nothing that an operator ever meant.
fn rollback_to(policies: &PolicyEngine) -> Option<Generation> {
    policies.previous_generation().filter(|generation| *generation != Generation::default())
}

/// Writes what a policy says, in the words of the configuration.
fn write_rule<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    rule: &PolicyRule,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let mut object = object.string("name", rule.name.as_str())?.string("type", rule.policy_type.word())?;
    for attribute in Attribute::ALL {
        object = if rule.condition.looks_at(attribute) {
            object.display(attribute.word(), rule.condition.shown(attribute))?
        } else {
            object.null(attribute.word())?
        };
    }
    object
        .display("action", rule.action)?
        .integer("priority", rule.priority.into())?
        .boolean("enabled", rule.enabled)?
        .boolean("audit", rule.audit_log)?
        .string("mode", rule.mode.word())
}

fn write_stats<'w, W: Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    stats: &PolicyStats,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    object.integer("matched", stats.matched)?.integer("decided", stats.decided)?.integer("would", stats.would)
}

const fn style_of(action: ActionKind) -> Style {
    match action {
        ActionKind::Allow => Style::Good,
        ActionKind::Log | ActionKind::Alert => Style::Plain,
        ActionKind::Throttle | ActionKind::Redirect => Style::Warn,
        ActionKind::Deny => Style::Bad,
    }
}

/// The condition of a policy in one line, as it may be typed behind `policy add`.
struct ConditionLine<'a>(&'a PolicyRule);

impl fmt::Display for ConditionLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = &self.0.condition;
        let mut looked_at = Attribute::ALL.into_iter().filter(|attribute| condition.looks_at(*attribute));
        let Some(first) = looked_at.next() else { return f.write_str("every request") };
        core::iter::once(first).chain(looked_at).enumerate().try_for_each(|(index, attribute)| {
            let mut values = Values::new();
            write!(values, "{}", condition.shown(attribute))?;
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{attribute}={}", Quoted(values.as_str()))
        })
    }
}

/// Whether a policy acts.
struct State<'a>(&'a PolicyRule);

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.mode.word())?;
        f.write_str(if self.0.enabled { "" } else { ", disabled" })
    }
}

/// How many requests a policy has matched, or would have in force.
struct Matched<'a>(&'a PolicyRule, &'a PolicyStats);

impl fmt::Display for Matched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.mode {
            Mode::Enforce => Grouped(self.1.matched).fmt(f),
            Mode::Shadow => write!(f, "{} would be", Grouped(self.1.would)),
        }
    }
}
