//! What is wrong with a command line, in one line.

use core::fmt;

use super::{ArgumentForm, ArgumentSpec, CommandSpec, ValueKind};
use crate::term::Printable;

/// Why a line cannot be carried out. It borrows from the line what was typed.
#[derive(Clone, Copy, Debug)]
pub enum UsageError<'a> {
    /// There is no word.
    Empty,
    /// The first word is not a command.
    UnknownCommand {
        /// What was typed.
        given: &'a str,
        /// The command that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The command needs another word.
    MissingSubcommand {
        /// The command.
        command: &'static CommandSpec,
    },
    /// The second word is not a sub-command.
    UnknownSubcommand {
        /// The command.
        command: &'static CommandSpec,
        /// What was typed.
        given: &'a str,
        /// The sub-command that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The key of a `key=value` is not one of the command's.
    UnknownKey {
        /// The key that was typed.
        given: &'a str,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
        /// What the command accepts.
        specs: &'static [ArgumentSpec],
    },
    /// A `--flag` is not one of the command's.
    UnknownFlag {
        /// The flag that was typed, without dashes.
        given: &'a str,
        /// The flag that was probably meant.
        nearest: Option<&'static str>,
        /// What the command accepts.
        specs: &'static [ArgumentSpec],
    },
    /// A word is neither.
    Unexpected {
        /// What was typed.
        given: &'a str,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
        /// What the command accepts.
        specs: &'static [ArgumentSpec],
    },
    /// An argument must be given.
    Missing {
        /// The argument.
        argument: &'static ArgumentSpec,
    },
    /// A key or flag is given twice.
    Duplicate {
        /// The argument.
        argument: &'static ArgumentSpec,
    },
    /// A value is empty.
    EmptyValue {
        /// The argument.
        argument: &'static ArgumentSpec,
    },
    /// A value is not one of the accepted words.
    NotOneOf {
        /// The argument.
        argument: &'static ArgumentSpec,
        /// The value that was typed.
        given: &'a str,
        /// The accepted words.
        accepted: &'static [&'static str],
    },
    /// A value is not a whole number of a range.
    NotWithin {
        /// The argument.
        argument: &'static ArgumentSpec,
        /// The value that was typed.
        given: &'a str,
        /// The least that is accepted.
        least: u64,
        /// The most that is accepted.
        most: u64,
    },
}

impl fmt::Display for UsageError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("the line is empty"),
            Self::UnknownCommand { given, nearest } => {
                write!(f, "unknown command '{}'; ", Printable(given))?;
                match nearest {
                    Some(name) => write!(f, "did you mean '{name}'?"),
                    None => f.write_str("'help' lists the commands"),
                }
            }
            Self::MissingSubcommand { command } => {
                write!(f, "{} needs a sub-command: ", command.name)?;
                write_list(f, command.subcommands().iter().map(|subcommand| subcommand.name))
            }
            Self::UnknownSubcommand { command, given, nearest } => {
                write!(f, "unknown sub-command '{}' of {}; ", Printable(given), command.name)?;
                match nearest {
                    Some(name) => write!(f, "did you mean '{name}'?"),
                    None if command.subcommands().is_empty() => f.write_str("it has none"),
                    None => {
                        f.write_str("expected one of ")?;
                        write_list(f, command.subcommands().iter().map(|subcommand| subcommand.name))
                    }
                }
            }
            Self::UnknownKey { given, nearest, specs } => {
                write!(f, "unknown argument '{}='; ", Printable(given))?;
                write_meant(f, "", nearest, "=", specs)
            }
            Self::UnknownFlag { given, nearest, specs } => {
                write!(f, "unknown flag '--{}'; ", Printable(given))?;
                write_meant(f, "--", nearest, "", specs)
            }
            Self::Unexpected { given, nearest, specs } => {
                write!(f, "unexpected '{}'; ", Printable(given))?;
                write_meant(f, "", nearest, "=", specs)
            }
            Self::Missing { argument } => write!(f, "missing argument {}", Usage(argument)),
            Self::Duplicate { argument } => write!(f, "{} is given twice", Label(argument)),
            Self::EmptyValue { argument } => match argument.form {
                ArgumentForm::Positional => write!(f, "{} is empty", Label(argument)),
                _ => write!(f, "{} needs a value", Label(argument)),
            },
            Self::NotOneOf { argument, given, accepted } => {
                write_refused(f, argument, given)?;
                f.write_str(if accepted.len() == 1 { "" } else { "one of " })?;
                write_list(f, accepted.iter().copied())
            }
            Self::NotWithin { argument, given, least, most } => {
                write_refused(f, argument, given)?;
                write!(f, "a whole number from {least} to {most}")
            }
        }
    }
}

impl core::error::Error for UsageError<'_> {}

/// An argument as it stands in a usage line: `FILE`, `service=TEXT`, `--json`.
pub(crate) struct Usage<'a>(pub(crate) &'a ArgumentSpec);

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.form, self.0.value) {
            (ArgumentForm::Flag, _) => return write!(f, "--{}", self.0.name),
            (ArgumentForm::KeyValue, _) => write!(f, "{}=", self.0.name)?,
            (ArgumentForm::Positional, _) => {}
        }
        match self.0.value {
            ValueKind::OneOf(accepted) => accepted
                .iter()
                .enumerate()
                .try_for_each(|(index, word)| write!(f, "{}{word}", if index == 0 { "" } else { "|" })),
            kind => f.write_str(kind.placeholder()),
        }
    }
}

/// An argument without its value: `FILE`, `service=`, `--json`.
pub(crate) struct Label<'a>(pub(crate) &'a ArgumentSpec);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.form {
            ArgumentForm::KeyValue => write!(f, "{}=", self.0.name),
            ArgumentForm::Positional | ArgumentForm::Flag => Usage(self.0).fmt(f),
        }
    }
}

fn write_refused(f: &mut fmt::Formatter<'_>, argument: &ArgumentSpec, given: &str) -> fmt::Result {
    match argument.form {
        ArgumentForm::KeyValue => write!(f, "{}={}", argument.name, Printable(given))?,
        ArgumentForm::Positional | ArgumentForm::Flag => write!(f, "'{}'", Printable(given))?,
    }
    f.write_str(" is not accepted; expected ")
}

/// The one that was meant, or all that would do.
fn write_meant(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    nearest: Option<&str>,
    after: &str,
    specs: &[ArgumentSpec],
) -> fmt::Result {
    if let Some(name) = nearest {
        return write!(f, "did you mean '{before}{name}{after}'?");
    }
    if specs.is_empty() {
        return f.write_str("no argument is accepted here");
    }
    f.write_str("accepted here:")?;
    specs.iter().try_for_each(|spec| write!(f, " {}", Label(spec)))
}

fn write_list<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    for (index, name) in names.enumerate() {
        write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}
