//! What is done before the first prompt.

use super::config::apply;
use super::{Context, Count, Failed, Outcome};
use crate::files::Files;
use crate::term::Printable;
use core::fmt;
use governance::time::Nanos;

/// The file that is put in force at the start.
const CONFIG_FILE: &str = "weir.toml";

/// Puts the shipped configuration in force, if it is there and valid, and prints the banner. A configuration that is
/// refused, or a damaged ramdisk, is a failure: the machine starts, but not as it was meant to.
pub(crate) fn start(context: &mut Context<'_>, ready: Nanos) -> Outcome {
    let limits = match context.files.find(CONFIG_FILE) {
        Some(file) => apply(context, &file).map_or(Configured::Refused, Configured::Limits),
        None => Configured::Absent,
    };
    if context.files.is_absent() {
        context.fail(format_args!("there is no ramdisk, and so no configuration and no files"));
    } else if let Some(damage) = context.files.damage() {
        context.fail(format_args!("the ramdisk is damaged; files behind the damage are missing: {damage}"));
    }
    let tenths = ready.0.div_ceil(100_000_000);
    context.say(format_args!(
        "weir {} · ready {}.{} s after power-on · 1 core · {limits} · {}",
        env!("CARGO_PKG_VERSION"),
        tenths / 10,
        tenths % 10,
        FileNames(context.files),
    ))?;
    let failed = matches!(limits, Configured::Refused) || context.files.damage().is_some();
    if failed && !context.files.is_absent() { Err(Failed) } else { Ok(()) }
}

enum Configured {
    Limits(usize),
    Refused,
    Absent,
}

impl fmt::Display for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(count) => write!(f, "{} from {CONFIG_FILE}", Count(*count, "limit")),
            Self::Refused => write!(f, "no limits, since {CONFIG_FILE} has errors"),
            Self::Absent => write!(f, "no limits, since there is no {CONFIG_FILE}"),
        }
    }
}

struct FileNames(Files);

impl fmt::Display for FileNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().next().is_none() {
            return f.write_str("no files");
        }
        f.write_str("files:")?;
        self.0.iter().try_for_each(|file| write!(f, " {}", Printable(file.name)))
    }
}
