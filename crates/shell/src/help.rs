//! Help on the terminal and the reference document, both out of the table of commands.

use core::fmt::{self, Write};

use crate::command::{
    ArgumentForm, ArgumentSpec, COMMANDS, CommandSpec, Form, Group, Label, Need, SubcommandSpec, Usage,
    UsageError, ValueKind, find_or_nearest, find_subcommand_or_nearest,
};
use crate::render::width_of;
use crate::term::{Style, Term};

/// Columns that help keeps within.
const COLUMNS: usize = 79;

/// What help can be about.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    /// All commands.
    Overview,
    /// One command.
    Command(&'static CommandSpec),
    /// One sub-command.
    Subcommand(&'static CommandSpec, &'static SubcommandSpec),
}

impl Topic {
    /// The topic of `help command subcommand`, both of which may be left out.
    ///
    /// # Errors
    /// A name that is not in the table, with the nearest that is.
    pub fn find<'a>(command: Option<&'a str>, subcommand: Option<&'a str>) -> Result<Self, UsageError<'a>> {
        let Some(command) = command else { return Ok(Self::Overview) };
        let command = find_or_nearest(command)?;
        match subcommand {
            None => Ok(Self::Command(command)),
            Some(name) => Ok(Self::Subcommand(command, find_subcommand_or_nearest(command, name)?)),
        }
    }

    /// Writes help on the topic.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, out: &mut dyn Write, term: Term) -> fmt::Result {
        match self {
            Self::Overview => write_overview(out, term),
            Self::Command(command) => write_command(out, term, command),
            Self::Subcommand(command, subcommand) => {
                let usage = CommandUsage { command, subcommand: Some(subcommand) };
                write_usage(out, usage)?;
                write_text(out, subcommand.summary, subcommand.details)?;
                write_arguments(out, term, subcommand.arguments)?;
                write_examples(out, subcommand.examples)
            }
        }
    }
}

/// Writes the reference document, Markdown.
///
/// # Errors
/// Those of `out`.
pub fn write_reference(out: &mut dyn Write) -> fmt::Result {
    out.write_str(
        "# Commands\n\n\
         <!-- Made from crates/shell/src/command/table.rs by `UPDATE_DOCS=1 cargo test -p shell`. -->\n\n\
         A line is `noun verb key=value … --flag`. Strings with blanks stand in double quotes, in which `\\\"` is a \
         quote and `\\\\` a backslash. Arguments in brackets may be left out; `key=value` and `--flag` stand \
         anywhere after the command. Tab completes commands, arguments and the names of limits and files.\n\n\
         Durations are whole numbers with a unit, `250ms 30s 15m 1h 1d`; rates are `COUNT/DURATION`, `60/1m`; \
         sizes are whole numbers, or `64KiB`; times are RFC 3339, UTC; a scope is `kind:name`, where the name \
         `*` stands for each name of that kind. With `--json` a command prints one JSON object a line and \
         nothing else.\n",
    )?;
    for group in Group::ALL {
        write!(out, "\n## {}\n", group.title())?;
        for command in COMMANDS.iter().filter(|command| command.group == *group) {
            write_command_reference(out, command)?;
        }
    }
    Ok(())
}

/// A command with its arguments as they are written: `cat FILE`, `replay FILE [service=TEXT] … [--json]`.
#[derive(Clone, Copy, Debug)]
pub struct CommandUsage {
    /// The command.
    pub command: &'static CommandSpec,
    /// Its sub-command. Without one, a command that has some shows that it needs one.
    pub subcommand: Option<&'static SubcommandSpec>,
}

impl CommandUsage {
    fn arguments(&self) -> &'static [ArgumentSpec] {
        match (self.command.form, self.subcommand) {
            (_, Some(subcommand)) => subcommand.arguments,
            (Form::Action(_, arguments), None) => arguments,
            (Form::Subcommands(_), None) => &[],
        }
    }
}

impl fmt::Display for CommandUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command.name)?;
        match (self.command.form, self.subcommand) {
            (_, Some(subcommand)) => write!(f, " {}", subcommand.name)?,
            (Form::Subcommands(_), None) => f.write_str(" SUB-COMMAND …")?,
            (Form::Action(..), None) => {}
        }
        for argument in self.arguments() {
            match argument.need {
                Need::Required => write!(f, " {}", Usage(argument))?,
                Need::Optional => write!(f, " [{}]", Usage(argument))?,
            }
        }
        Ok(())
    }
}

fn write_overview(out: &mut dyn Write, term: Term) -> fmt::Result {
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for group in Group::ALL {
        writeln!(out, "{}", term.paint(Style::Dim, group.title()))?;
        for command in COMMANDS.iter().filter(|command| command.group == *group) {
            write_entry(out, term, command.name, width, command.summary)?;
        }
    }
    out.write_str("'help COMMAND' explains one. Tab completes, a second Tab lists what can follow.\n")
}

fn write_command(out: &mut dyn Write, term: Term, command: &'static CommandSpec) -> fmt::Result {
    write_usage(out, CommandUsage { command, subcommand: None })?;
    write_text(out, command.summary, command.details)?;
    match command.form {
        Form::Action(_, arguments) => write_arguments(out, term, arguments)?,
        Form::Subcommands(subcommands) => {
            let width = subcommands.iter().map(|subcommand| subcommand.name.len()).max().unwrap_or(0);
            for subcommand in subcommands {
                write_entry(out, term, subcommand.name, width, subcommand.summary)?;
            }
            writeln!(out, "'help {} SUB-COMMAND' explains one.", command.name)?;
        }
    }
    write_examples(out, command.examples)
}

fn write_text(out: &mut dyn Write, summary: &str, details: &str) -> fmt::Result {
    let mut letters = summary.chars();
    if let Some(first) = letters.next() {
        writeln!(out, "{}{}.", first.to_ascii_uppercase(), letters.as_str())?;
    }
    write_wrapped(out, details)
}

/// Writes how a command is called, the arguments below each other where they do not fit.
fn write_usage(out: &mut dyn Write, usage: CommandUsage) -> fmt::Result {
    const INDENT: usize = "usage: ".len();
    let mut rows = Rows::new(out, INDENT);
    rows.word(format_args!("usage:"))?;
    rows.word(format_args!("{}", usage.command.name))?;
    match (usage.command.form, usage.subcommand) {
        (_, Some(subcommand)) => rows.word(format_args!("{}", subcommand.name))?,
        (Form::Subcommands(_), None) => rows.word(format_args!("SUB-COMMAND …"))?,
        (Form::Action(..), None) => {}
    }
    for argument in usage.arguments() {
        let (open, close) = if argument.need == Need::Optional { ("[", "]") } else { ("", "") };
        if width_of(&Usage(argument)) + INDENT + 2 <= COLUMNS {
            rows.word(format_args!("{open}{}{close}", Usage(argument)))?;
        } else {
            // A long choice is listed below.
            rows.word(format_args!("{open}{}…{close}", Short(argument)))?;
        }
    }
    rows.end()
}

/// Writes `text` in rows of at most [`COLUMNS`] columns.
fn write_wrapped(out: &mut dyn Write, text: &str) -> fmt::Result {
    let mut rows = Rows::new(out, 0);
    rows.words(text)?;
    rows.end()
}

fn write_arguments(out: &mut dyn Write, term: Term, arguments: &[ArgumentSpec]) -> fmt::Result {
    let width = arguments.iter().map(short_width).max().unwrap_or(0);
    for argument in arguments {
        let name = term.paint(Style::Name, Short(argument));
        write!(out, "  {name}{:1$}  ", "", width - short_width(argument))?;
        let mut rows = Rows { column: width + 4, ..Rows::new(out, width + 4) };
        rows.words(argument.summary)?;
        if argument.need == Need::Required {
            rows.word(format_args!("(required)"))?;
        }
        rows.end()?;
        if let ValueKind::OneOf(accepted) = argument.value {
            let mut rows = Rows::new(out, width + 4);
            rows.indent()?;
            rows.words("one of")?;
            accepted.iter().try_for_each(|word| rows.word(format_args!("{word}")))?;
            rows.end()?;
        }
    }
    Ok(())
}

/// Words in rows of at most [`COLUMNS`] columns. Each row but the first begins `indent` columns from the left.
struct Rows<'a> {
    out: &'a mut dyn Write,
    indent: usize,
    /// Where the next character comes.
    column: usize,
    /// Whether no word stands in the row yet.
    empty: bool,
}

impl<'a> Rows<'a> {
    fn new(out: &'a mut dyn Write, indent: usize) -> Self {
        Self { out, indent, column: 0, empty: true }
    }

    /// Moves to where a row begins.
    fn indent(&mut self) -> fmt::Result {
        (self.column, self.empty) = (self.indent, true);
        write!(self.out, "{:1$}", "", self.indent)
    }

    fn words(&mut self, text: &str) -> fmt::Result {
        text.split_whitespace().try_for_each(|word| self.word(format_args!("{word}")))
    }

    fn word(&mut self, word: fmt::Arguments<'_>) -> fmt::Result {
        let width = width_of(&word);
        if !self.empty && self.column + 1 + width > COLUMNS {
            self.out.write_char('\n')?;
            self.indent()?;
        } else if !self.empty {
            self.out.write_char(' ')?;
            self.column += 1;
        }
        self.empty = false;
        self.column += width;
        self.out.write_fmt(word)
    }

    /// Ends the last row, if there is anything in it.
    fn end(self) -> fmt::Result {
        if self.column > 0 { self.out.write_char('\n') } else { Ok(()) }
    }
}

fn write_examples(out: &mut dyn Write, examples: &[&str]) -> fmt::Result {
    examples.iter().try_for_each(|example| writeln!(out, "example: {example}"))
}

fn write_entry(out: &mut dyn Write, term: Term, name: &str, width: usize, summary: &str) -> fmt::Result {
    writeln!(out, "  {}{:2$}  {summary}", term.paint(Style::Name, name), "", width - name.len())
}

/// An argument in a list: a choice is explained on the next row instead of in the name.
struct Short<'a>(&'a ArgumentSpec);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.form, self.0.value) {
            (ArgumentForm::KeyValue, ValueKind::OneOf(_)) => write!(f, "{}=", self.0.name),
            (ArgumentForm::Positional, ValueKind::OneOf(_)) => f.write_str(self.0.name),
            _ => Usage(self.0).fmt(f),
        }
    }
}

fn short_width(argument: &ArgumentSpec) -> usize {
    let choice = matches!(argument.value, ValueKind::OneOf(_));
    match argument.form {
        ArgumentForm::Flag => 2 + argument.name.len(),
        ArgumentForm::KeyValue => argument.name.len() + 1 + argument.value.placeholder().len(),
        ArgumentForm::Positional if choice => argument.name.len(),
        ArgumentForm::Positional => argument.value.placeholder().len(),
    }
}

fn write_command_reference(out: &mut dyn Write, command: &'static CommandSpec) -> fmt::Result {
    write!(out, "\n### `{}`\n\n", command.name)?;
    write_text_reference(out, command.summary, command.details)?;
    match command.form {
        Form::Action(_, arguments) => {
            write_usage_reference(out, CommandUsage { command, subcommand: None }, command.examples)?;
            write_arguments_reference(out, arguments)
        }
        Form::Subcommands(subcommands) => subcommands.iter().try_for_each(|subcommand| {
            write!(out, "\n#### `{} {}`\n\n", command.name, subcommand.name)?;
            write_text_reference(out, subcommand.summary, subcommand.details)?;
            let usage = CommandUsage { command, subcommand: Some(subcommand) };
            write_usage_reference(out, usage, subcommand.examples)?;
            write_arguments_reference(out, subcommand.arguments)
        }),
    }
}

fn write_text_reference(out: &mut dyn Write, summary: &str, details: &str) -> fmt::Result {
    let mut letters = summary.chars();
    if let Some(first) = letters.next() {
        write!(out, "{}{}.", first.to_ascii_uppercase(), letters.as_str())?;
    }
    let gap = if details.is_empty() { "" } else { " " };
    writeln!(out, "{gap}{}", Escaped(details))
}

fn write_usage_reference(out: &mut dyn Write, usage: CommandUsage, examples: &[&str]) -> fmt::Result {
    write!(out, "\n```text\n{usage}\n```\n")?;
    for example in examples {
        write!(out, "\nExample: `{example}`\n")?;
    }
    Ok(())
}

fn write_arguments_reference(out: &mut dyn Write, arguments: &[ArgumentSpec]) -> fmt::Result {
    if arguments.is_empty() {
        return Ok(());
    }
    out.write_str("\n| argument | value | meaning |\n|---|---|---|\n")?;
    for argument in arguments {
        write!(out, "| `{}` | ", Label(argument))?;
        match (argument.form, argument.value) {
            (ArgumentForm::Flag, _) => {}
            (_, ValueKind::OneOf(accepted)) => {
                for (index, word) in accepted.iter().enumerate() {
                    write!(out, "{}`{word}`", if index == 0 { "" } else { " " })?;
                }
            }
            (_, kind) => out.write_str(kind.description())?,
        }
        let need = if argument.need == Need::Required { " (required)" } else { "" };
        writeln!(out, " | {}{need} |", Escaped(argument.summary))?;
    }
    Ok(())
}

/// Text whose asterisks Markdown must leave alone.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if matches!(c, '*' | '|' | '<' | '_') {
                f.write_char('\\')?;
            }
            f.write_char(c)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Topic, write_reference};
    use crate::command::COMMANDS;
    use crate::term::Term;

    fn help(command: Option<&str>, subcommand: Option<&str>, term: Term) -> String {
        let mut out = String::new();
        Topic::find(command, subcommand).unwrap().write(&mut out, term).unwrap();
        out
    }

    #[test]
    fn the_overview_lists_every_command_on_a_row_that_fits() {
        let overview = help(None, None, Term::Dumb);
        for command in COMMANDS {
            assert!(overview.contains(&format!("\n  {} ", command.name)), "{}", command.name);
        }
        assert!(overview.lines().all(|row| row.chars().count() <= COLUMNS), "{overview}");
    }

    #[test]
    fn help_on_a_command_shows_its_usage_and_its_arguments() {
        let replay = help(Some("replay"), None, Term::Dumb);
        let usage = "usage: replay FILE [service=TEXT] [tenant=TEXT] [tenant-by=ip|user|group]\n       \
                     [from=TIME] [to=TIME] [seed=N] [--timeline] [--json]\n";
        assert!(replay.starts_with(usage), "{replay}");
        assert!(replay.contains("  FILE          the log (required)\n"), "{replay}");
        let refund = help(Some("ratelimit"), Some("refund"), Term::Dumb);
        assert!(
            refund.starts_with("usage: ratelimit refund NAME amount=N [key=TEXT] [client=TEXT]\n"),
            "{refund}"
        );
        let ratelimit = help(Some("ratelimit"), None, Term::Dumb);
        assert!(ratelimit.contains("\n  unban    lift a ban\n"), "{ratelimit}");
    }

    #[test]
    fn help_on_everything_fits_the_screen_but_for_examples() {
        for command in COMMANDS {
            let names = command.subcommands().iter().map(|subcommand| Some(subcommand.name));
            for subcommand in names.chain([None]) {
                let text = help(Some(command.name), subcommand, Term::Dumb);
                let mut rows = text.lines().filter(|row| !row.starts_with("example: "));
                assert!(rows.all(|row| row.chars().count() <= COLUMNS), "{text}");
            }
        }
    }

    #[test]
    fn a_topic_that_does_not_exist_names_the_nearest() {
        let error = Topic::find(Some("relpay"), None).unwrap_err();
        assert_eq!(error.to_string(), "unknown command 'relpay'; did you mean 'replay'?");
        let error = Topic::find(Some("config"), Some("chek")).unwrap_err();
        assert_eq!(error.to_string(), "unknown sub-command 'chek' of config; did you mean 'check'?");
        let error = Topic::find(Some("ls"), Some("x")).unwrap_err();
        assert_eq!(error.to_string(), "unknown sub-command 'x' of ls; it has none");
    }

    #[test]
    fn only_an_ansi_terminal_gets_colour() {
        assert!(help(Some("config"), None, Term::Ansi).contains("\x1b[36mcheck\x1b[0m  check"));
        for command in COMMANDS {
            assert!(!help(Some(command.name), None, Term::Dumb).contains('\x1b'));
        }
    }

    #[test]
    fn the_committed_reference_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
        let mut made = String::new();
        write_reference(&mut made).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == made, "docs/commands.md is stale: run `UPDATE_DOCS=1 cargo test -p shell`");
    }
}
