//! `config`: the configuration as a whole.

use super::{Context, Failed, Outcome};
use crate::command::Invocation;
use crate::files::File;
use crate::term::Style;

/// Checks a file and changes nothing.
pub(super) fn check(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    read(context, &file)?;
    let config = &context.engine.staging;
    let (limits, routes) = (config.limits().len(), config.routes.as_slice().len());
    context.say(format_args!("{} is valid: {} and {routes} routes", file.name, Limits(limits)))
}

/// Puts a file in force.
pub(super) fn load(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    let limits = apply(context, &file)?;
    context.say(format_args!("{} is in force: {}", file.name, Limits(limits)))
}

/// Prints the configuration in force.
pub(super) fn show(context: &mut Context<'_>) -> Outcome {
    Ok(context.engine.live.write_config(context.system)?)
}

/// Reads a file and puts it in force, or says everything that is wrong with it. Returns how many limits it has.
pub(super) fn apply(context: &mut Context<'_>, file: &File) -> Result<usize, Failed> {
    read(context, file)?;
    let now = context.system.now();
    let engine = &mut *context.engine;
    engine
        .live
        .configure(now, &engine.staging)
        .map_err(|error| context.fail(format_args!("{}: {error}", file.name)))?;
    Ok(context.engine.staging.limits().len())
}

/// Reads a file into the staging area, or says everything that is wrong with it.
fn read(context: &mut Context<'_>, file: &File) -> Outcome {
    let (system, term) = (&mut *context.system, context.term);
    let engine = &mut *context.engine;
    let errors = engine.reader.read(file.content, &mut engine.staging, &mut |at, error| {
        // A console that does not take the line leaves nobody to tell.
        let _ = writeln!(system, "{} {}: {at}: {error}", term.paint(Style::Bad, "error:"), file.name);
    });
    if errors == 0 {
        return Ok(());
    }
    let count = if errors == 1 { "1 error" } else { "errors" };
    let number = if errors == 1 { format_args!("") } else { format_args!("{errors} ") };
    Err(context.fail(format_args!("{} has {number}{count}; nothing was changed", file.name)))
}

/// A number of limits, in words.
pub(super) struct Limits(pub(super) usize);

impl core::fmt::Display for Limits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            0 => f.write_str("no limits"),
            1 => f.write_str("1 limit"),
            count => write!(f, "{count} limits"),
        }
    }
}
