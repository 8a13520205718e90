//! `config`: the configuration as a whole.

use super::{Context, Count, Failed, Outcome};
use crate::command::Invocation;
use crate::files::File;
use crate::term::{Printable, Style};
use core::fmt;
use governance::config::Config;
use governance::governor::ConfigureError;
use governance::priority::{PriorityError, SLA};
use governance::scope::Name;

/// Checks a file and changes nothing.
pub(super) fn check(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    read(context, &file)?;
    let config = &context.engine.staging;
    let (limits, routes) =
        (Count(config.limits().len(), "limit"), Count(config.routes.as_slice().len(), "route"));
    let others = Others::of(config);
    context.say(format_args!("{} is valid: {limits}{others} and {routes}", Printable(file.name)))
}

/// Puts a file in force.
pub(super) fn load(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let file = context.file(invocation)?;
    let limits = apply(context, &file)?;
    let others = Others::of(&context.engine.staging);
    context.say(format_args!("{} is in force: {}{others}", Printable(file.name), Count(limits, "limit")))
}

/// What a configuration has beside limits and routes, as far as there is any: `, 2 quotas, 1 model`.
struct Others([Count<'static>; 9]);

impl Others {
    fn of(config: &Config) -> Self {
        Self([
            Count(config.tenants().len(), "tenant"),
            Count(config.quotas().len(), "quota"),
            Count(config.models().len(), "model"),
            Count(config.budgets().len(), "budget"),
            Count(config.policies().len(), "policy"),
            Count(config.slas().len(), "agreement"),
            Count(config.breakers().len(), "breaker"),
            Count(config.retries().len(), "retry policy"),
            Count(config.alerts().len(), "alert"),
        ])
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().filter(|Count(count, _)| *count > 0).try_for_each(|count| write!(f, ", {count}"))
    }
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
    engine.live.configure(now, &engine.staging).map_err(|error| refuse(context, file, error))?;
    Ok(context.engine.staging.limits().len())
}

/// Says why a file was not put in force.
fn refuse(context: &mut Context<'_>, file: &File, error: ConfigureError) -> Failed {
    let name = Printable(file.name);
    let in_use = error == ConfigureError::Priorities(PriorityError::InUse);
    let service = if in_use { dropped_in_use(context) } else { None };
    match service {
        Some(service) => context.fail(format_args!(
            "{name}: it has no agreement of service {}, which is in use; priority drain lets go of what waits, complete ends \
             what is in service",
            Printable(service.as_str())
        )),
        None => context.fail(format_args!("{name}: {error}")),
    }
}

/// The first service with requests whose agreement is not in the file that was read.
fn dropped_in_use(context: &mut Context<'_>) -> Option<Name> {
    let now = context.system.now().instant;
    let engine = &*context.engine;
    let is_in_use = |queue| {
        engine
            .live
            .queues
            .get_queue_stats(now, queue)
            .is_some_and(|metrics| metrics.waiting + metrics.in_service + metrics.exempt.in_service > 0)
    };
    let is_dropped = |sla: &SLA| engine.staging.slas().iter().all(|kept| kept.service_id != sla.service_id);
    let mut slas = engine.live.queues.slas();
    slas.find(|(queue, sla)| is_dropped(sla) && is_in_use(*queue)).map(|(_, sla)| sla.service_id)
}

/// Reads a file into the staging area, or says everything that is wrong with it, a line for each error.
pub(super) fn read(context: &mut Context<'_>, file: &File) -> Outcome {
    let name = Printable(file.name);
    if file.content.contains(&0) {
        // Read as TOML it would be an error at every other byte.
        return Err(context.fail(format_args!("{name}: a binary file, expected TOML")));
    }
    let (system, term) = (&mut *context.system, context.term);
    let engine = &mut *context.engine;
    let errors = engine.reader.read(file.content, &mut engine.staging, &mut |at, error| {
        // A console that does not take the line leaves nobody to tell.
        let _ = writeln!(system, "{} {name}: {at}: {error}", term.paint(Style::Bad, "error:"));
    });
    match errors {
        0 => Ok(()),
        1 => Err(Failed),
        _ => Err(context.fail(format_args!("{name} has {}; nothing was changed", Count(errors, "error")))),
    }
}
