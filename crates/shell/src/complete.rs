//! Tab completion: what a word that is being typed could become.
//!
//! A [`Completer`] offers [`Candidate`]s for the end of a line; the editor inserts what they have in common.
//! [`CommandCompleter`] is the shell's own: commands, sub-commands, arguments and their values out of the
//! command table, and through [`Names`] the names that only the caller knows.

use core::fmt::{self, Write as _};

use crate::command::{self, ArgumentSpec, COMMANDS, CommandSpec, Form, SCOPE_KINDS, ValueKind};
use crate::words::{MAX_LINE_BYTES, Word, Words, write_beginning};

/// Columns that a list of candidates may take; every terminal has as many.
const LIST_COLUMNS: usize = 79;
/// The most candidates that are listed.
const MAX_LISTED: usize = 200;

/// Offers completions for a line.
pub trait Completer {
    /// Calls `offer` with each text that the end of `line` could become, always in the same order, and
    /// answers where in `line` that text starts, in bytes. `line` ends at the cursor.
    fn complete(&self, line: &str, offer: &mut dyn FnMut(Candidate<'_>)) -> usize;
}

/// A completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The whole text, decoded: without the quotes that it may need.
    pub text: &'a str,
    /// What follows it, and how it is written.
    pub ending: Ending,
}

/// What follows a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A blank: the word is complete.
    Blank,
    /// `=`: the word is a key.
    Equals,
    /// A blank, and the word, being a `--flag`, must not be quoted.
    Flag,
    /// Nothing: the user goes on typing.
    Open,
}

/// Names that the caller knows.
pub trait Names {
    /// Calls `each` with the name of each limit.
    fn limit_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each quota.
    fn quota_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each tenant.
    fn tenant_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each policy.
    fn policy_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each alert.
    fn alert_names(&self, each: &mut dyn FnMut(&str));

    /// Calls `each` with the name of each service that has a queue.
    fn service_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each scope of calls.
    fn route_names(&self, each: &mut dyn FnMut(&str));
    /// Calls `each` with the name of each file.
    fn file_names(&self, each: &mut dyn FnMut(&str));
}

/// A completer that has nothing to offer.
#[derive(Clone, Copy, Debug)]
pub struct NoCompleter;

impl Completer for NoCompleter {
    fn complete(&self, line: &str, _: &mut dyn FnMut(Candidate<'_>)) -> usize {
        line.len()
    }
}

/// Completes command lines.
#[derive(Clone, Copy)]
pub struct CommandCompleter<'a> {
    /// The names of limits, quotas, tenants, services, scopes of calls and files.
    pub names: &'a dyn Names,
}

impl Completer for CommandCompleter<'_> {
    fn complete(&self, line: &str, offer: &mut dyn FnMut(Candidate<'_>)) -> usize {
        let Ok(words) = Words::parse_unfinished(line) else { return line.len() };
        let Some(typed) = words.len().checked_sub(1).and_then(|last| words.get(last)) else {
            return line.len();
        };
        let before = words.len() - 1;
        if before == 0 {
            offer_command_names(typed, offer);
            return typed.source_start();
        }
        let Some(command) = words.get(0).and_then(|word| command::find(word.as_str())) else {
            return line.len();
        };
        match command.form {
            Form::Action(_, arguments) => self.complete_argument(&words, 1, arguments, offer),
            Form::Subcommands(_) if before == 1 => {
                offer_subcommand_names(command, typed, offer);
                typed.source_start()
            }
            Form::Subcommands(_) => match words.get(1).and_then(|word| command.subcommand(word.as_str())) {
                Some(subcommand) => self.complete_argument(&words, 2, subcommand.arguments, offer),
                None => line.len(),
            },
        }
    }
}

impl CommandCompleter<'_> {
    /// Completes the last word, the arguments starting at word `first`.
    fn complete_argument(
        &self,
        words: &Words,
        first: usize,
        arguments: &'static [ArgumentSpec],
        offer: &mut dyn FnMut(Candidate<'_>),
    ) -> usize {
        let last = words.len() - 1;
        let Some(typed) = words.get(last) else { return 0 };
        let earlier = || words.iter().take(last).skip(first);
        if let Some((key, value)) = typed.key_value() {
            if let Some(argument) = arguments.iter().find(|argument| argument.is_key(key)) {
                self.offer_values(argument, value, words, offer);
            }
            return typed.source_value_start();
        }
        if let Some(text) = typed.plain() {
            let index = earlier().filter(|word| word.plain().is_some()).count();
            if let Some(argument) = arguments.iter().filter(|argument| argument.is_positional()).nth(index) {
                self.offer_values(argument, text, words, offer);
            }
            let unused = |argument: &&ArgumentSpec| {
                !earlier().any(|word| word.key_value().is_some_and(|(key, _)| argument.is_key(key)))
            };
            for argument in arguments.iter().filter(|argument| argument.is_key(argument.name)).filter(unused)
            {
                offer_if(text, argument.name, Ending::Equals, offer);
            }
        }
        let unused = |argument: &&ArgumentSpec| {
            !earlier().any(|word| word.flag().is_some_and(|f| argument.is_flag(f)))
        };
        for argument in arguments.iter().filter(|argument| argument.is_flag(argument.name)).filter(unused) {
            offer_flag(typed, argument.name, offer);
        }
        typed.source_start()
    }

    fn offer_values(
        &self,
        argument: &ArgumentSpec,
        typed: &str,
        words: &Words,
        offer: &mut dyn FnMut(Candidate<'_>),
    ) {
        let mut offer_blank = |name: &str| offer_if(typed, name, Ending::Blank, offer);
        match argument.value {
            ValueKind::LimitName => self.names.limit_names(&mut offer_blank),
            ValueKind::FileName => self.names.file_names(&mut offer_blank),
            ValueKind::QuotaName => self.names.quota_names(&mut offer_blank),
            ValueKind::TenantName => self.names.tenant_names(&mut offer_blank),
            ValueKind::AlertName => self.names.alert_names(&mut offer_blank),
            ValueKind::PolicyName => self.names.policy_names(&mut offer_blank),
            ValueKind::ServiceName => self.names.service_names(&mut offer_blank),
            ValueKind::RouteName => self.names.route_names(&mut offer_blank),
            ValueKind::OneOf(values) => values.iter().for_each(|value| offer_blank(value)),
            ValueKind::CommandName => COMMANDS.iter().for_each(|command| offer_blank(command.name)),
            ValueKind::SubcommandName => {
                if let Some(command) = words.get(1).and_then(|word| command::find(word.as_str())) {
                    command.subcommands().iter().for_each(|subcommand| offer_blank(subcommand.name));
                }
            }
            ValueKind::Scope => {
                SCOPE_KINDS.iter().for_each(|kind| offer_if(typed, kind, Ending::Open, offer));
            }
            ValueKind::Text
            | ValueKind::Path
            | ValueKind::Values
            | ValueKind::Duration
            | ValueKind::Threshold
            | ValueKind::Rate
            | ValueKind::Time
            | ValueKind::Size
            | ValueKind::Ticket
            | ValueKind::Integer
            | ValueKind::Within(..) => {}
        }
    }
}

/// What the candidates for a word have in common.
pub(crate) struct Matches {
    count: usize,
    /// The longest beginning that all candidates share.
    common: heapless::String<MAX_LINE_BYTES>,
    ending: Ending,
    only_flags: bool,
    /// The characters of the longest candidate.
    widest: usize,
}

impl Matches {
    pub(crate) const fn new() -> Self {
        Self { count: 0, common: heapless::String::new(), ending: Ending::Open, only_flags: true, widest: 0 }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn add(&mut self, candidate: Candidate<'_>) {
        if !insertable(candidate) {
            return;
        }
        if self.count == 0 {
            // Cannot fail: an insertable text is no longer than a line.
            let _ = self.common.push_str(candidate.text);
        } else {
            let pairs = self.common.chars().zip(candidate.text.chars());
            let shared = pairs.take_while(|(ours, theirs)| ours == theirs).map(|(c, _)| c.len_utf8()).sum();
            self.common.truncate(shared);
        }
        self.count += 1;
        self.only_flags &= candidate.ending == Ending::Flag;
        self.ending = if self.count == 1 { candidate.ending } else { Ending::Open };
        self.widest = self.widest.max(candidate.text.chars().count());
    }

    /// Writes the word as it should stand in the line, as far as the candidates agree.
    pub(crate) fn write_common(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.common.is_empty() {
            return Ok(());
        }
        let open_quote = if self.only_flags {
            out.write_str(&self.common)?;
            false
        } else {
            write_beginning(&self.common, out)?
        };
        if open_quote && self.count == 1 && self.ending != Ending::Open {
            out.write_char('"')?;
        }
        match self.ending {
            Ending::Blank | Ending::Flag => out.write_char(' '),
            Ending::Equals => out.write_char('='),
            Ending::Open => Ok(()),
        }
    }
}

/// Lists the candidates for `line` in columns, each row ended.
pub(crate) fn write_columns(
    completer: &dyn Completer,
    line: &str,
    matches: &Matches,
    out: &mut dyn fmt::Write,
) {
    let width = matches.widest + 2;
    let per_row = (LIST_COLUMNS / width).max(1);
    let mut listed = 0;
    let mut left_out = 0_usize;
    // A console has nowhere to report that it failed, so errors are dropped.
    completer.complete(line, &mut |candidate| {
        if !insertable(candidate) {
            return;
        }
        if listed == MAX_LISTED {
            left_out += 1;
            return;
        }
        listed += 1;
        let _ = out.write_str(candidate.text);
        if listed % per_row == 0 || listed == matches.count {
            let _ = out.write_char('\n');
        } else {
            let padding = width - candidate.text.chars().count().min(width);
            let _ = write!(out, "{:padding$}", "");
        }
    });
    if left_out > 0 {
        let row_open = listed % per_row != 0;
        let _ = writeln!(out, "{}... and {left_out} more", if row_open { "\n" } else { "" });
    }
}

/// Whether a candidate can stand in a line.
fn insertable(candidate: Candidate<'_>) -> bool {
    candidate.text.len() <= MAX_LINE_BYTES && !candidate.text.contains(char::is_control)
}

fn offer_if(typed: &str, text: &str, ending: Ending, offer: &mut dyn FnMut(Candidate<'_>)) {
    if text.starts_with(typed) {
        offer(Candidate { text, ending });
    }
}

fn offer_command_names(typed: Word<'_>, offer: &mut dyn FnMut(Candidate<'_>)) {
    for command in COMMANDS {
        offer_if(typed.as_str(), command.name, Ending::Blank, offer);
    }
}

fn offer_subcommand_names(command: &CommandSpec, typed: Word<'_>, offer: &mut dyn FnMut(Candidate<'_>)) {
    for subcommand in command.subcommands() {
        offer_if(typed.as_str(), subcommand.name, Ending::Blank, offer);
    }
}

fn offer_flag(typed: Word<'_>, name: &str, offer: &mut dyn FnMut(Candidate<'_>)) {
    let mut text = heapless::String::<MAX_LINE_BYTES>::new();
    if write!(text, "--{name}").is_ok() && (typed.flag().is_some() || "--".starts_with(typed.as_str())) {
        offer_if(typed.as_str(), &text, Ending::Flag, offer);
    }
}
