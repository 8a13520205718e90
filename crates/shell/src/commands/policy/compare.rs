//! What is odd about policies, and where two sets of them differ.

use crate::command::Invocation;
use crate::commands::config::read;
use crate::commands::{Context, Count, Outcome, wide};
use crate::term::{Printable, Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::mode::Mode;
use governance::policy::{
    Action, DIFFERENCES_MAX, DiffOutcome, Difference, Finding, FindingKind, PolicyRule, PolicySet, Verdict,
    diff as differences,
};

/// How long two sets are compared before it is given up, unless it is said: a second or two.
const DIFF_STEPS: u32 = 250_000;

/// Looks for policies that do nothing, or stand against each other.
pub(in crate::commands) fn lint(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (policies, term) = (&context.engine.live.policies, context.term);
    let system = &mut *context.system;
    let is_json = invocation.flag("json");
    let (mut count, mut result) = (0, Ok(()));
    policies.lint(&mut |finding| {
        count += 1;
        if result.is_ok() {
            let set = policies.current();
            result = if is_json {
                write_finding(system, set, finding)
            } else {
                writeln!(system, "{}", Sentence { set, finding, term })
            };
        }
    });
    result?;
    match count {
        _ if is_json => Ok(ObjectWriter::begin(system)?.integer("findings", wide(count))?.end()?),
        0 => context.say(format_args!("no findings")),
        _ => context.say(format_args!("{}", Count(count, "finding"))),
    }
}

fn write_finding(
    system: &mut dyn crate::system::System,
    set: &PolicySet,
    finding: &Finding<'_>,
) -> fmt::Result {
    let name = |id| set.get(id).map(|rule| rule.name.as_str());
    let object = ObjectWriter::begin(system)?
        .string("kind", finding.kind.code())?
        .optional_string("policy", name(finding.rule))?
        .string("mode", finding.mode.word())?
        .optional_string("other", finding.kind.other().and_then(name))?;
    match finding.witness {
        Some(witness) => object.display("witness", witness)?,
        None => object.null("witness")?,
    }
    .end()
}

/// A finding in a sentence, and its witness in a line.
struct Sentence<'a> {
    set: &'a PolicySet,
    finding: &'a Finding<'a>,
    term: Term,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, finding, term } = self;
        let name = |id| term.paint(Style::Name, set.get(id).map(|rule| rule.name).unwrap_or_default());
        let policy = name(finding.rule);
        let of = if finding.mode == Mode::Shadow { " (shadow)" } else { "" };
        match finding.kind {
            FindingKind::NeverMatches => write!(f, "{policy}{of} matches no request")?,
            FindingKind::Subsumed { by } => write!(
                f,
                "{policy}{of} changes nothing: {} does the same with every request that it matches",
                name(by)
            )?,
            FindingKind::Shadowed { by } => {
                write!(f, "{policy}{of} has no effect: {} denies every request that it matches", name(by))?;
            }
            FindingKind::Contradicts { other } => {
                write!(f, "{policy}{of} allows requests that {} denies, and the deny wins", name(other))?;
            }
            FindingKind::RedirectLoop { other } => {
                write!(f, "{policy}{of} redirects to where {} redirects back", name(other))?;
            }
        }
        finding.witness.map_or(Ok(()), |witness| write!(f, "\n  {witness}"))
    }
}

/// Compares the policies in force with those before the last change, or with those of a file.
pub(in crate::commands) fn diff(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let is_json = invocation.flag("json");
    let file = match invocation.positional(0) {
        Some(_) => {
            let file = context.file(invocation)?;
            read(context, &file)?;
            fill_compared(context)?;
            Some(file)
        }
        None => None,
    };
    let (engine, term) = (&*context.engine, context.term);
    let present = engine.live.policies.current();
    let (before, after) = match (file, engine.live.policies.previous()) {
        (Some(_), _) => (present, &engine.compared),
        (None, Some(previous)) => (previous, present),
        (None, None) => {
            return Err(context.fail(format_args!(
                "nothing was changed yet; policy diff FILE compares with the policies of a file"
            )));
        }
    };
    let steps =
        invocation.integer("steps").map_or(DIFF_STEPS, |steps| u32::try_from(steps).unwrap_or(u32::MAX));
    let system = &mut *context.system;
    let (mut count, mut result) = (0, Ok(()));
    let outcome = differences(before, after, steps, &mut |difference| {
        count += 1;
        if result.is_ok() {
            let sides = Sides { before, after, difference, term, file: file.map(|file| file.name) };
            result = if is_json { sides.write_json(system) } else { writeln!(system, "{sides}") };
        }
    });
    result?;
    if is_json {
        let word = match outcome {
            DiffOutcome::Equal => "equal",
            DiffOutcome::Different => "different",
            DiffOutcome::Unknown => "unknown",
        };
        return Ok(ObjectWriter::begin(system)?
            .string("outcome", word)?
            .integer("differences", wide(count))?
            .end()?);
    }
    match outcome {
        DiffOutcome::Equal => context.say(format_args!("equal")),
        DiffOutcome::Different if count == DIFFERENCES_MAX => {
            context.say(format_args!("{count} differences are shown; there may be more"))
        }
        DiffOutcome::Different => context.say(format_args!("{}", Count(count, "difference"))),
        DiffOutcome::Unknown => {
            let steps = Count(usize::try_from(steps).unwrap_or(usize::MAX), "step");
            context.say(format_args!("unknown: gave up after {steps}; steps= says how many to take"))
        }
    }
}

/// Makes a set of the policies that were read from a file.
fn fill_compared(context: &mut Context<'_>) -> Outcome {
    let engine = &mut *context.engine;
    engine.compared.clear();
    engine.compared.set_default(engine.staging.policy_default);
    for rule in engine.staging.policies() {
        if let Err(error) = engine.compared.push(rule) {
            let name = rule.name;
            return Err(context.fail(format_args!("{name}: {error}")));
        }
    }
    Ok(())
}

/// A difference, with what it is said of.
struct Sides<'a> {
    before: &'a PolicySet,
    after: &'a PolicySet,
    difference: &'a Difference<'a>,
    term: Term,
    /// The file that the policies in force are compared with, if it is not those before the last change.
    file: Option<&'a str>,
}

impl Sides<'_> {
    fn write_json(&self, system: &mut dyn crate::system::System) -> fmt::Result {
        let name = |set: &PolicySet, verdict: &Verdict| {
            verdict.decider.and_then(|id| set.get(id)).map(|rule| rule.name)
        };
        let Difference { before, after, witness } = self.difference;
        let (policy_before, policy_after) = (name(self.before, before), name(self.after, after));
        ObjectWriter::begin(system)?
            .boolean("allowed_before", before.allowed)?
            .optional_string("action_before", before.action.map(|action| action.word()))?
            .optional_string("policy_before", policy_before.as_ref().map(|name| name.as_str()))?
            .boolean("allowed_after", after.allowed)?
            .optional_string("action_after", after.action.map(|action| action.word()))?
            .optional_string("policy_after", policy_after.as_ref().map(|name| name.as_str()))?
            .display("witness", witness)?
            .end()
    }

    fn side(&self, set: &PolicySet, verdict: Verdict) -> Side {
        let rule = verdict.decider.and_then(|id| set.get(id)).copied();
        Side { verdict, rule, term: self.term }
    }
}

impl fmt::Display for Sides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.side(self.before, self.difference.before);
        let after = self.side(self.after, self.difference.after);
        match self.file {
            None => write!(f, "before {before}, now {after}")?,
            Some(file) => write!(f, "now {before}, with {} {after}", Printable(file))?,
        }
        write!(f, "\n  {}", self.difference.witness)
    }
}

/// What one set says of a request.
struct Side {
    verdict: Verdict,
    rule: Option<PolicyRule>,
    term: Term,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (style, word) =
            if self.verdict.allowed { (Style::Good, "allowed") } else { (Style::Bad, "denied") };
        write!(f, "{}", self.term.paint(style, word))?;
        match &self.rule {
            Some(PolicyRule { name, action: Action::Allow | Action::Deny, .. }) => {
                write!(f, " by {}", self.term.paint(Style::Name, name))
            }
            Some(rule) => write!(f, ", {} by {}", rule.action, self.term.paint(Style::Name, rule.name)),
            None => f.write_str(" by default"),
        }
    }
}
