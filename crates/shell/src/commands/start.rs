//! What is done before the first prompt.

use super::config::apply;
use super::{Context, Count};
use crate::term::Printable;
use core::fmt;
use governance::time::Nanos;

/// The file that is put in force at the start.
const CONFIG_FILE: &str = "weir.toml";

/// Puts the shipped configuration in force, if it is there and valid, and prints the banner.
pub(crate) fn start(context: &mut Context<'_>, ready: Nanos) {
    // What goes wrong is said in lines of its own; the machine starts whatever it is.
    let limits = match context.files.find(CONFIG_FILE) {
        Some(file) => apply(context, &file).map_or(Configured::Refused, Configured::Limits),
        None => Configured::Absent,
    };
    if context.files.is_absent() {
        context.fail(format_args!("there is no ramdisk, and so no configuration and no files"));
    } else if let Some(damage) = context.files.damage() {
        context.fail(format_args!("the ramdisk is damaged; files behind the damage are missing: {damage}"));
    }
    let files = FileNames(context);
    let tenths = ready.0.div_ceil(100_000_000);
    let banner = format_args!(
        "weir {} · ready {}.{} s after power-on · 1 core · {limits} · {files}",
        env!("CARGO_PKG_VERSION"),
        tenths / 10,
        tenths % 10,
    );
    let banner = governance::text::Text::<255>::format(banner);
    let _ = match banner {
        Ok(banner) => writeln!(context.system, "{banner}"),
        Err(_) => {
            writeln!(context.system, "weir {} · {limits} · ls lists the files", env!("CARGO_PKG_VERSION"))
        }
    };
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

struct FileNames<'a, 'c>(&'a Context<'c>);

impl fmt::Display for FileNames<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.files.iter().next().is_none() {
            return f.write_str("no files");
        }
        f.write_str("files:")?;
        self.0.files.iter().try_for_each(|file| write!(f, " {}", Printable(file.name)))
    }
}
