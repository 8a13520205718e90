//! Why the policies decide about a request as they do.

use super::style_of;
use crate::command::Invocation;
use crate::commands::request::{Room, read};
use crate::commands::{Context, Outcome};
use crate::engine::Governor;
use crate::render::{Cell, Column, Table};
use crate::term::{Printable, Style, Term};
use core::fmt;
use governance::decision::Reason;
use governance::export::ObjectWriter;
use governance::mode::Mode;
use governance::policy::{
    Action, ActionKind, DefaultEffect, POLICIES_MAX, PolicyContext, PolicyDecision, PolicyReason, PolicyRule,
    RuleId, RuleRole,
};
use governance::request::{Request, RequestPriority};
use governance::time::WallTime;

/// Says what each policy wants of a request, and what is decided.
pub(in crate::commands) fn explain(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut room = Room::default();
    let mut request = read(context, invocation, &mut room)?;
    let at = match invocation.get("at").map(str::parse::<WallTime>) {
        None => context.system.now().wall,
        Some(Ok(at)) => at,
        Some(Err(error)) => return Err(context.fail(format_args!("at: {error}"))),
    };
    request.priority = class_of(&context.engine.live, &request);
    let looked_at = PolicyContext::of(&request, at);
    let policies = &context.engine.live.policies;
    let is_exempt = context.engine.live.routes().exempts(&request);
    let shows_all = invocation.flag("all");
    let mut roles = heapless::Vec::<(RuleId, RuleRole), POLICIES_MAX>::new();
    let decision = policies.explain(&looked_at, &mut |id, _, role| {
        if shows_all || !matches!(role, RuleRole::Misses(_) | RuleRole::Disabled) {
            // There are no more policies than that.
            let _ = roles.push((id, role));
        }
    });
    let decider = decision.decider.and_then(|id| policies.get_policy(id));
    let allows = |rule: &&PolicyRule| rule.action.kind() == ActionKind::Allow;
    let allower = decision.matched.iter().filter_map(|id| policies.get_policy(id)).find(allows);
    let verdict = Verdict { decision: &decision, decider, allower, term: context.term };
    let shown = || roles.iter().filter_map(|(id, role)| Some((policies.get_policy(*id)?, *role)));
    if invocation.flag("json") {
        let system = &mut *context.system;
        shown().try_for_each(|(rule, role)| write_role(system, rule, role))?;
        return Ok(ObjectWriter::begin(system)?
            .string("verdict", verdict.word())?
            .string("reason", verdict.reason())?
            .optional_string("policy", decider.map(|rule| rule.name.as_str()))?
            .optional_string("allowed_by", allower.map(|rule| rule.name.as_str()))?
            .boolean("would_allow", decision.would_allow)?
            .boolean("exempt", is_exempt)?
            .end()?);
    }
    let table = Table {
        columns: [Column::left("policy"), Column::left("action"), Column::left("stands")],
        if_empty: if shows_all { "no policies" } else { "no policy matches" },
    };
    table.write(context.system, context.term, |row| {
        for (rule, role) in shown() {
            let style = match role {
                RuleRole::Decides | RuleRole::Matches => style_of(rule.action.kind()),
                RuleRole::WouldMatch | RuleRole::Misses(_) | RuleRole::Disabled => Style::Plain,
            };
            row(&[
                Cell::styled(Style::Name, &rule.name),
                Cell::styled(style, &rule.action),
                Cell::new(&Standing(rule, role)),
            ]);
        }
    })?;
    writeln!(context.system, "{verdict}")?;
    if is_exempt {
        context
            .say(format_args!("its path is exempt: a request to it is allowed, and no policy is asked"))?;
    }
    Ok(())
}

/// The class by which policies look at a request: its own, or that of its service's agreement.
fn class_of(governor: &Governor, request: &Request<'_>) -> Option<RequestPriority> {
    request.priority.or_else(|| {
        let agreement = governor.queues.get_sla(governor.queue_of(request)?)?;
        Some(agreement.priority_level)
    })
}

fn write_role(system: &mut dyn crate::system::System, rule: &PolicyRule, role: RuleRole) -> fmt::Result {
    let word = match role {
        RuleRole::Decides => "decides",
        RuleRole::Matches => "matches",
        RuleRole::WouldMatch => "would-match",
        RuleRole::Misses(_) => "misses",
        RuleRole::Disabled => "disabled",
    };
    let object = ObjectWriter::begin(system)?
        .string("name", rule.name.as_str())?
        .display("action", rule.action)?
        .string("mode", rule.mode.word())?
        .string("role", word)?;
    match role {
        RuleRole::Misses(attribute) => {
            object.string("misses", attribute.word())?.display("values", rule.condition.shown(attribute))?
        }
        _ => object.null("misses")?.null("values")?,
    }
    .end()
}

/// How a policy stands to a request.
struct Standing<'a>(&'a PolicyRule, RuleRole);

impl fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            RuleRole::Decides => f.write_str("matches, and decides"),
            RuleRole::Matches => f.write_str("matches"),
            RuleRole::WouldMatch => f.write_str("would match, but is in shadow mode"),
            RuleRole::Misses(attribute) => {
                write!(f, "does not match: {attribute}={}", self.0.condition.shown(attribute))?;
                f.write_str(if self.0.mode == Mode::Shadow { " (shadow)" } else { "" })
            }
            RuleRole::Disabled => f.write_str("is disabled"),
        }
    }
}

/// What is decided, and why.
struct Verdict<'a> {
    decision: &'a PolicyDecision,
    decider: Option<&'a PolicyRule>,
    /// The policy that allows it, if one does.
    allower: Option<&'a PolicyRule>,
    term: Term,
}

impl Verdict<'_> {
    const fn word(&self) -> &'static str {
        match self.decider {
            _ if !self.decision.allowed => "deny",
            Some(PolicyRule { action: Action::Redirect(_), .. }) => "redirect",
            _ => "allow",
        }
    }

    /// The reason that `request` gives too, as far as policies are that of its decision.
    const fn reason(&self) -> &'static str {
        let decision = self.decision;
        match (decision.allowed, decision.reason) {
            (false, PolicyReason::Rule) => Reason::PolicyDenied.code(),
            (_, PolicyReason::Default(_)) | (false, PolicyReason::NoPolicy) => Reason::PolicyDefault.code(),
            (true, PolicyReason::NoPolicy) => "no-policy",
            (true, PolicyReason::Rule) => match self.decider {
                Some(PolicyRule { action: Action::Redirect(_), .. }) => Reason::Redirected.code(),
                _ => "policy-allowed",
            },
        }
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision, decider, allower, term } = self;
        let word = self.word();
        let style = match word {
            "deny" => Style::Bad,
            "redirect" => Style::Warn,
            _ => Style::Good,
        };
        write!(f, "{}   ", term.paint(style, format_args!("{word:5}")))?;
        match (decider, decision.reason) {
            (Some(rule), _) => {
                write!(f, "policy {} ", term.paint(Style::Name, rule.name))?;
                match &rule.action {
                    Action::Deny => f.write_str("denies it, and a deny wins")?,
                    Action::Allow => f.write_str("allows it")?,
                    Action::Throttle(limit) => write!(f, "has it charged to the limit {limit}")?,
                    Action::Redirect(service) => {
                        write!(f, "sends it to service {}", Printable(service.as_str()))?;
                    }
                    Action::Log => f.write_str("takes note of it")?,
                    Action::Alert => f.write_str("takes note of it, as an alert")?,
                }
            }
            (None, PolicyReason::NoPolicy) => f.write_str("there are no policies")?,
            (None, PolicyReason::Default(DefaultEffect::Deny)) => {
                f.write_str("default deny: no policy allows it")?;
            }
            (None, _) => f.write_str("default allow: no policy denies it")?,
        }
        match allower.map(|rule| rule.name) {
            _ if decider.is_none() || !decision.allowed => {}
            None => f.write_str("; it is allowed by default")?,
            Some(name) if decider.is_some_and(|rule| rule.name == name) => {}
            Some(name) => write!(f, "; policy {} allows it", term.paint(Style::Name, name))?,
        }
        if decision.would_allow != decision.allowed {
            let would = if decision.would_allow { "allowed" } else { "denied" };
            write!(f, "; it would be {would} if shadow policies acted")?;
        }
        Ok(())
    }
}
