//! How operators change policies.

use super::{ConditionLine, policy, rollback_to};
use crate::command::{Action, Invocation, nearest};
use crate::commands::{Context, Failed, Outcome};
use core::fmt;
use governance::field::FieldValue;
use governance::limit::LimitName;
use governance::mode::Mode;
use governance::policy::{DefaultEffect, PolicyDraft, PolicyEngine, PolicyError, PolicyRule};
use governance::rate_limiter::LimitId;
use governance::time::Now;

/// Adds a policy.
pub(in crate::commands) fn add(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut draft = PolicyDraft::default();
    for (field, value) in invocation.keys() {
        draft.set(field, FieldValue::Text(value)).map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let rule = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    change(context, &rule, |policies, now, limits| policies.add_policy(now, &rule, limits))?;
    context.say(format_args!("added {}: {}", rule.name, Described(&rule)))
}

/// Changes a policy while it works.
pub(in crate::commands) fn set(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, old) = policy(context, invocation)?;
    if invocation.keys().next().is_none() {
        return Err(
            context.fail(format_args!("nothing to change; give at least one field, such as mode=enforce"))
        );
    }
    let mut draft = PolicyDraft::from_rule(&old);
    for (field, value) in invocation.keys() {
        draft
            .change(field, FieldValue::Text(value))
            .map_err(|error| context.fail(format_args!("{error}")))?;
    }
    let rule = draft.finish().map_err(|error| context.fail(format_args!("{error}")))?;
    if rule != old {
        change(context, &rule, |policies, now, limits| policies.update_policy(now, id, &rule, limits))?;
    }
    context.say(format_args!("changed {}: {}", rule.name, Described(&rule)))
}

/// Removes a policy.
pub(in crate::commands) fn remove(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, rule) = policy(context, invocation)?;
    change(context, &rule, |policies, now, _| policies.remove_policy(now, id))?;
    context.say(format_args!("removed {}; policy rollback puts it back", rule.name))
}

/// Enables or disables a policy.
pub(in crate::commands) fn set_state(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, rule) = policy(context, invocation)?;
    let is_enabling = invocation.action == Action::PolicyEnable;
    change(context, &rule, |policies, now, _| {
        if is_enabling { policies.enable_policy(now, id) } else { policies.disable_policy(now, id) }
    })?;
    context.say(format_args!("{} {}", if is_enabling { "enabled" } else { "disabled" }, rule.name))
}

/// Has a policy only count what it would do.
pub(in crate::commands) fn shadow(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    if invocation.flag("json") {
        return Err(context.fail(format_args!("--json goes with the report, which has no NAME")));
    }
    let (id, rule) = policy(context, invocation)?;
    change(context, &rule, |policies, now, _| policies.set_mode(now, id, Mode::Shadow))?;
    context.say(format_args!(
        "{} only counts what it would do; policy set {} mode=enforce has it act",
        rule.name,
        crate::words::Quoted(rule.name.as_str())
    ))
}

/// Puts the policies before the last change back.
pub(in crate::commands) fn rollback(context: &mut Context<'_>) -> Outcome {
    let engine = &context.engine.live.policies;
    let left = engine.generation();
    let back = match (rollback_to(engine), engine.previous_generation()) {
        (None, Some(_)) => {
            return Err(context.fail(format_args!(
                "before the present policies there was nothing that could be put back; policy remove takes one away, \
                 config load brings those of a file"
            )));
        }
        (back, _) => back.unwrap_or_default(),
    };
    let now = context.system.now();
    let live = &mut context.engine.live;
    let limits = &live.limits;
    match live.policies.rollback(now, &|name| limits.find(name)) {
        Ok(_) => {}
        Err(PolicyError::UnknownLimit { name }) => {
            return Err(context.fail(format_args!(
                "a policy of that time throttles by the limit '{name}', which is not there any more"
            )));
        }
        Err(error) => return Err(context.fail(format_args!("{error}"))),
    }
    let policies = &context.engine.live.policies;
    let (generation, count, default) = (policies.generation(), policies.len(), policies.default_effect());
    context.say(format_args!(
        "put back generation {} in place of {}: {}, default {default}; this is generation {}",
        back.0,
        left.0,
        crate::commands::Count(count, "policy"),
        generation.0
    ))
}

/// Says what becomes of a request that no policy allows or denies.
pub(in crate::commands) fn set_default(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let effect = invocation.positional(0).and_then(DefaultEffect::from_word).unwrap_or_default();
    let now = context.system.now();
    context.engine.live.policies.set_default(now, effect);
    match effect {
        DefaultEffect::Allow => context.say(format_args!("a request that no policy denies is allowed")),
        DefaultEffect::Deny => context.say(format_args!("a request that no policy allows is denied")),
    }
}

/// Finds a limit by its name.
type KnownLimit<'a> = &'a dyn Fn(&str) -> Option<LimitId>;

/// Changes the policies, or says why that is refused.
fn change<T>(
    context: &mut Context<'_>,
    rule: &PolicyRule,
    change: impl FnOnce(&mut PolicyEngine, Now, KnownLimit<'_>) -> Result<T, PolicyError>,
) -> Outcome {
    let now = context.system.now();
    let live = &mut context.engine.live;
    let limits = &live.limits;
    match change(&mut live.policies, now, &|name| limits.find(name)) {
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(context, rule, error)),
    }
}

/// Says in one line why policies were not changed.
fn refuse(context: &mut Context<'_>, rule: &PolicyRule, error: PolicyError) -> Failed {
    let policy = rule.name;
    let PolicyError::UnknownLimit { name } = error else {
        return context.fail(format_args!("{policy}: {error}"));
    };
    let limits = context.engine.live.limits.limits();
    match nearest(name.as_str(), limits.map(|(_, spec)| spec.name.as_str())).map(LimitName::excerpt) {
        Some(near) => {
            context.fail(format_args!("{policy}: action: there is no limit '{name}'; did you mean '{near}'?"))
        }
        None => context
            .fail(format_args!("{policy}: action: there is no limit '{name}'; ratelimit status lists them")),
    }
}

/// What a policy does with which requests.
struct Described<'a>(&'a PolicyRule);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.0;
        write!(f, "{} {}", rule.action, ConditionLine(rule))?;
        f.write_str(if rule.mode == Mode::Shadow { " (shadow)" } else { "" })?;
        f.write_str(if rule.enabled { "" } else { " (disabled)" })
    }
}
