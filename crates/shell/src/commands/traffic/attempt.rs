//! `traffic retry`, and the attempts that `complete` is told of: whether a call is made again, when, and why not.

use super::{Named, RouteName, Template, named};
use crate::command::Invocation;
use crate::commands::{Context, Failed, Outcome};
use crate::render::Humanized;
use crate::term::{Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::outcome::AttemptReport;
use governance::retry::{Answer, Attempt, Backoff, CallError, RetryBudget, RetryDecision, RetrySpec};
use governance::scope::Name;
use governance::time::Nanos;

/// Says whether a call would be worth another attempt. It changes nothing.
pub(in crate::commands) fn retry(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let named = named(context, invocation, 0)?;
    let report = read_attempt(context, invocation)?;
    let status = invocation.integer("status").and_then(|status| u16::try_from(status).ok());
    let error = invocation.get("error").and_then(CallError::from_word);
    let answer = match (status, error) {
        (Some(status), None) => Answer::Status(status),
        (None, Some(error)) => Answer::Error(error),
        (None, None) => {
            return Err(context.fail(format_args!(
                "what was answered is missing; expected status=N, or error=timeout, connect or reset"
            )));
        }
        (Some(_), Some(_)) => {
            return Err(context.fail(format_args!(
                "a call that got no answer has no status; expected one of status and error"
            )));
        }
    };
    let now = context.system.now();
    context.engine.live.tick(now);
    let AttemptReport { number, elapsed, retry_after, previous_delay } = report;
    let elapsed = elapsed.unwrap_or(Nanos::ZERO);
    let attempt = Attempt { number, answer, elapsed, retry_after, previous_delay };
    let traffic = &context.engine.live.traffic;
    let (name, asked) = match named {
        Named::There(id) => {
            let Some(scope) = traffic.scope(now.instant, id) else { return Ok(()) };
            (
                Name::excerpt(scope.name),
                scope.retry.zip(traffic.would_retry(now, id, &attempt)).map(|(spec, decision)| Advice {
                    decision,
                    spec,
                    budget: scope.budget,
                }),
            )
        }
        Named::Uncalled(name) => (
            name,
            Template::of(traffic).retry.map(|spec| Advice {
                decision: spec.decide(&attempt, &RetryBudget::EMPTY, ANY_DRAW),
                spec,
                budget: RetryBudget::EMPTY,
            }),
        ),
    };
    let name = RouteName(name.as_str());
    let Some(advice) = asked else {
        return Err(context.fail(format_args!("{name} has no retry policy; [[retry]] gives it one")));
    };
    if previous_delay.is_some() && advice.spec.backoff != Backoff::Decorrelated {
        return Err(context.fail(format_args!(
            "delay goes with decorrelated delays only; those of {name} are {}",
            advice.spec.backoff.word()
        )));
    }
    if invocation.flag("json") {
        let object = ObjectWriter::begin(context.system)?.display("scope", name)?;
        return Ok(write_advice_members(object, &advice)?.end()?);
    }
    Ok(writeln!(context.system, "{}", AdviceText { term: context.term, advice })?)
}

/// What decides about the jitter of a scope that has not drawn any yet: the middle of what there can be.
const ANY_DRAW: u64 = u64::MAX / 2;

/// Reads what is said of an attempt, its answer apart.
pub(in crate::commands) fn read_attempt(
    context: &mut Context<'_>,
    invocation: &Invocation<'_>,
) -> Result<AttemptReport, Failed> {
    // The table lets no other number pass.
    let number = invocation.integer("attempt").and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
    let mut length = |key: &str| -> Result<Option<Nanos>, Failed> {
        let Some(text) = invocation.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| context.fail(format_args!("{key}: {error}")))
    };
    let (elapsed, previous_delay) = (length("elapsed")?, length("delay")?);
    let retry_after = match invocation.get("retry-after") {
        None => None,
        Some(text) => {
            let now = context.system.now().wall;
            let wait = wire::retry_after::parse(text.as_bytes(), now);
            Some(wait.map_err(|error| context.fail(format_args!("retry-after: {error}")))?)
        }
    };
    Ok(AttemptReport { number, elapsed, retry_after, previous_delay })
}

/// What a retry policy says of an attempt.
#[derive(Clone, Copy)]
pub(super) struct Advice<'a> {
    pub(super) decision: RetryDecision,
    pub(super) spec: &'a RetrySpec,
    /// The budget as it stands after the attempt.
    pub(super) budget: RetryBudget,
}

/// The same in words: `retry in 1.0 s, attempt 2 of 3, budget 9.0 of 10`.
pub(super) struct AdviceText<'a> {
    pub(super) term: Term,
    pub(super) advice: Advice<'a>,
}

impl fmt::Display for AdviceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advice { decision, spec, budget } = self.advice;
        match decision {
            RetryDecision::Retry { after, attempt } => {
                let word = self.term.paint(Style::Good, "retry");
                write!(f, "{word} in {}, attempt {attempt} of {}", Humanized(after), spec.attempts)?;
            }
            RetryDecision::GiveUp(why) => write!(f, "{}: {why}", self.term.paint(Style::Warn, "no retry"))?,
        }
        write!(f, ", budget {}", BudgetLeft(Some(spec), budget))
    }
}

/// How much of a retry budget is there, and how much there is at most, in tokens.
pub(super) struct BudgetLeft<'a>(pub(super) Option<&'a RetrySpec>, pub(super) RetryBudget);

impl fmt::Display for BudgetLeft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(spec) = self.0 else { return f.write_str("none") };
        let left = self.1.left_milli(spec);
        write!(f, "{}.{} of {}", left / 1000, left / 100 % 10, spec.budget_milli / 1000)
    }
}

/// Writes what a retry policy says as members of an object.
pub(super) fn write_advice_members<'w, W: fmt::Write + ?Sized>(
    object: ObjectWriter<'w, W>,
    advice: &Advice<'_>,
) -> Result<ObjectWriter<'w, W>, fmt::Error> {
    let Advice { decision, spec, budget } = *advice;
    let object = match decision {
        RetryDecision::Retry { after, attempt } => object
            .boolean("retry", true)?
            .integer("retry_after_ns", after.0)?
            .integer("next_attempt", attempt.into())?,
        RetryDecision::GiveUp(why) => object.boolean("retry", false)?.string("gives_up", why.code())?,
    };
    object
        .integer("attempts", spec.attempts.into())?
        .integer("budget_milli", budget.left_milli(spec).into())?
        .integer("budget_max_milli", spec.budget_milli.into())
}
