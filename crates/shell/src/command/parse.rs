//! Checking the words of a line against the table.

use super::nearest::nearest;
use super::{
    Action, ArgumentForm, ArgumentSpec, COMMANDS, CommandSpec, Form, Need, SubcommandSpec, UsageError,
    ValueKind, find,
};
use crate::words::{MAX_WORDS, Word, Words};

/// A line that names an action and gives it valid arguments.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// What to do.
    pub action: Action,
    /// The command that was called.
    pub command: &'static CommandSpec,
    /// The sub-command that was called, where there are some.
    pub subcommand: Option<&'static SubcommandSpec>,
    words: &'a Words,
    first_argument: usize,
}

impl<'a> Invocation<'a> {
    /// The value of `key=value`, if it was given.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.keys().find(|(given, _)| *given == key).map(|(_, value)| value)
    }

    /// The value of `key=value` for an argument that the table declares a whole number.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// Each `key=value` in the order given.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.arguments().filter_map(|word| word.key_value())
    }

    /// The `index`th positional argument, from 0.
    #[must_use]
    pub fn positional(&self, index: usize) -> Option<&'a str> {
        self.arguments().filter_map(|word| word.plain()).nth(index)
    }

    /// Whether `--name` was given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.arguments().any(|word| word.flag() == Some(name))
    }

    fn arguments(&self) -> impl Iterator<Item = Word<'a>> + use<'a> {
        self.words.iter().skip(self.first_argument)
    }
}

/// Checks the words of a line against the table.
///
/// ```
/// use shell::{command::{self, Action}, words::Words};
/// let words = Words::parse("ratelimit refund ip:* amount=3 key=192.0.2.7").unwrap();
/// let invocation = command::parse(&words).unwrap();
/// assert_eq!(invocation.action, Action::RatelimitRefund);
/// assert_eq!(invocation.positional(0), Some("ip:*"));
/// assert_eq!(invocation.integer("amount"), Some(3));
///
/// let words = Words::parse("rateimit").unwrap();
/// let error = command::parse(&words).unwrap_err();
/// assert_eq!(error.to_string(), "unknown command 'rateimit'; did you mean 'ratelimit'?");
/// ```
///
/// # Errors
/// The first word that the table does not allow, or else the first that it misses.
pub fn parse(words: &Words) -> Result<Invocation<'_>, UsageError<'_>> {
    let name = words.get(0).ok_or(UsageError::Empty)?.as_str();
    let command = find_or_nearest(name)?;
    let (action, subcommand, first_argument) = match command.form {
        Form::Action(action, _) => (action, None, 1),
        Form::Subcommands(_) => {
            let name = words.get(1).ok_or(UsageError::MissingSubcommand { command })?.as_str();
            let subcommand = find_subcommand_or_nearest(command, name)?;
            (subcommand.action, Some(subcommand), 2)
        }
    };
    let invocation = Invocation { action, command, subcommand, words, first_argument };
    let specs = match (command.form, subcommand) {
        (Form::Action(_, specs), _) => specs,
        (Form::Subcommands(_), subcommand) => subcommand.map_or(&[][..], |subcommand| subcommand.arguments),
    };
    check_arguments(&invocation, specs)?;
    Ok(invocation)
}

/// The command of that name.
///
/// # Errors
/// [`UsageError::UnknownCommand`] with the nearest.
pub fn find_or_nearest(name: &str) -> Result<&'static CommandSpec, UsageError<'_>> {
    find(name).ok_or_else(|| UsageError::UnknownCommand {
        given: name,
        nearest: nearest(name, COMMANDS.iter().map(|command| command.name)),
    })
}

/// The sub-command of that name.
///
/// # Errors
/// [`UsageError::UnknownSubcommand`] with the nearest.
pub fn find_subcommand_or_nearest<'a>(
    command: &'static CommandSpec,
    name: &'a str,
) -> Result<&'static SubcommandSpec, UsageError<'a>> {
    command.subcommand(name).ok_or_else(|| UsageError::UnknownSubcommand {
        command,
        given: name,
        nearest: nearest(name, command.subcommands().iter().map(|subcommand| subcommand.name)),
    })
}

fn check_arguments<'a>(
    invocation: &Invocation<'a>,
    specs: &'static [ArgumentSpec],
) -> Result<(), UsageError<'a>> {
    let mut positionals = specs.iter().filter(|spec| spec.is_positional());
    let mut given = heapless::Vec::<&'static ArgumentSpec, MAX_WORDS>::new();
    for word in invocation.arguments() {
        let spec = if let Some((key, value)) = word.key_value() {
            check_value(find_key(specs, key)?, value)?
        } else if let Some(flag) = word.flag() {
            specs.iter().find(|spec| spec.is_flag(flag)).ok_or(UsageError::UnknownFlag {
                given: flag,
                nearest: nearest(flag.split('=').next().unwrap_or(flag), names(specs, ArgumentForm::Flag)),
                specs,
            })?
        } else {
            let text = word.as_str();
            check_value(positionals.next().ok_or(unexpected(specs, text))?, text)?
        };
        if !spec.is_positional() && given.iter().any(|earlier| core::ptr::eq(*earlier, spec)) {
            return Err(UsageError::Duplicate { argument: spec });
        }
        // Cannot fail: there are as many places as words in a line.
        let _ = given.push(spec);
    }
    let is_missing = |spec: &&ArgumentSpec| {
        spec.need == Need::Required && !given.iter().any(|given| core::ptr::eq(*given, *spec))
    };
    match specs.iter().find(is_missing) {
        Some(argument) => Err(UsageError::Missing { argument }),
        None => Ok(()),
    }
}

fn find_key<'a>(
    specs: &'static [ArgumentSpec],
    key: &'a str,
) -> Result<&'static ArgumentSpec, UsageError<'a>> {
    specs.iter().find(|spec| spec.is_key(key)).ok_or_else(|| UsageError::UnknownKey {
        given: key,
        nearest: nearest(key, names(specs, ArgumentForm::KeyValue)),
        specs,
    })
}

fn unexpected<'a>(specs: &'static [ArgumentSpec], given: &'a str) -> UsageError<'a> {
    UsageError::Unexpected { given, nearest: nearest(given, names(specs, ArgumentForm::KeyValue)), specs }
}

fn names(specs: &'static [ArgumentSpec], form: ArgumentForm) -> impl Iterator<Item = &'static str> {
    specs.iter().filter(move |spec| spec.form == form).map(|spec| spec.name)
}

fn check_value<'a>(
    argument: &'static ArgumentSpec,
    value: &'a str,
) -> Result<&'static ArgumentSpec, UsageError<'a>> {
    match argument.value {
        // The path of a request that could not be read is empty.
        ValueKind::Path | ValueKind::Values => Ok(argument),
        _ if value.is_empty() => Err(UsageError::EmptyValue { argument }),
        ValueKind::OneOf(accepted) if !accepted.contains(&value) => {
            Err(UsageError::NotOneOf { argument, given: value, accepted })
        }
        ValueKind::Integer => check_number(argument, value, 0, u64::MAX),
        ValueKind::Within(least, most) => check_number(argument, value, least, most),
        _ => Ok(argument),
    }
}

fn check_number<'a>(
    argument: &'static ArgumentSpec,
    given: &'a str,
    least: u64,
    most: u64,
) -> Result<&'static ArgumentSpec, UsageError<'a>> {
    let number = given.parse::<u64>().ok().filter(|_| !given.starts_with('+'));
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(argument),
        _ => Err(UsageError::NotWithin { argument, given, least, most }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, ArgumentForm, COMMANDS, Form, Need, parse};
    use crate::words::Words;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn error(line: &str) -> String {
        parse(&Words::parse(line).unwrap()).unwrap_err().to_string()
    }

    fn action(line: &str) -> Action {
        match parse(&Words::parse(line).unwrap()) {
            Ok(invocation) => invocation.action,
            Err(error) => panic!("{line}: {error}"),
        }
    }

    #[test]
    fn an_unknown_word_names_the_nearest_one() {
        assert_eq!(error("rateimit status"), "unknown command 'rateimit'; did you mean 'ratelimit'?");
        assert_eq!(error("frobnicate"), "unknown command 'frobnicate'; 'help' lists the commands");
        assert_eq!(
            error("ratelimit stauts"),
            "unknown sub-command 'stauts' of ratelimit; did you mean 'status'?"
        );
        assert_eq!(error("request sevrice=web"), "unknown argument 'sevrice='; did you mean 'service='?");
        assert_eq!(error("request service"), "unexpected 'service'; did you mean 'service='?");
        assert_eq!(error("replay a.log --jsn"), "unknown flag '--jsn'; did you mean '--json'?");
        assert_eq!(error("ls --json=yes"), "unknown flag '--json=yes'; did you mean '--json'?");
    }

    #[test]
    fn a_word_that_is_near_to_none_lists_what_is_accepted() {
        assert_eq!(error("config shwo x=1"), "unknown sub-command 'shwo' of config; did you mean 'show'?");
        assert_eq!(
            error("ratelimit refund web zzz=1"),
            "unknown argument 'zzz='; accepted here: NAME amount= key= client="
        );
        assert_eq!(error("uptime now"), "unexpected 'now'; no argument is accepted here");
        assert_eq!(error("ls a b"), "unexpected 'a'; accepted here: --json");
        assert_eq!(error("config"), "config needs a sub-command: check, load, show");
        assert_eq!(
            error("config zzz"),
            "unknown sub-command 'zzz' of config; expected one of check, load, show"
        );
    }

    #[test]
    fn arguments_are_checked() {
        assert_eq!(error(""), "the line is empty");
        assert_eq!(error("cat"), "missing argument FILE");
        assert_eq!(error("ratelimit refund web"), "missing argument amount=N");
        assert_eq!(error("request ip=192.0.2.1 ip=192.0.2.2"), "ip= is given twice");
        assert_eq!(error("ls --json --json"), "--json is given twice");
        assert_eq!(error("request service="), "service= needs a value");
        assert_eq!(error("cat \"\""), "FILE is empty");
        assert_eq!(error("term vt100"), "'vt100' is not accepted; expected one of ansi, dumb");
        assert_eq!(
            error("ratelimit add scope=ip:* algorithm=token-bucket unit=pints"),
            "unit=pints is not accepted; expected one of requests, bytes, tokens"
        );
        for wrong in ["-1", "1.5", "+1", "1e3", "x", "18446744073709551616"] {
            assert_eq!(
                error(&format!("request cost={wrong}")),
                format!(
                    "cost={wrong} is not accepted; expected a whole number from 0 to 18446744073709551615"
                )
            );
        }
        assert_eq!(
            error("priority weights low=0"),
            "low=0 is not accepted; expected a whole number from 1 to 1024"
        );
        assert_eq!(error("priority preempt"), "missing argument TICKET");
        assert_eq!(error("ls \"\x1b\""), "unexpected '\\u{1b}'; accepted here: --json");
    }

    #[test]
    fn an_invocation_gives_its_arguments() {
        let line = r#"replay "my log" from=2015-05-17T10:05:03Z service=web --json seed=7"#;
        let words = Words::parse(line).unwrap();
        let invocation = parse(&words).unwrap();
        assert_eq!((invocation.action, invocation.command.name), (Action::Replay, "replay"));
        assert!(invocation.subcommand.is_none());
        assert_eq!((invocation.positional(0), invocation.positional(1)), (Some("my log"), None));
        assert_eq!((invocation.get("service"), invocation.get("to")), (Some("web"), None));
        assert_eq!((invocation.integer("seed"), invocation.integer("service")), (Some(7), None));
        assert_eq!((invocation.flag("json"), invocation.flag("quiet")), (true, false));
        assert_eq!(invocation.keys().map(|(key, _)| key).collect::<Vec<_>>(), ["from", "service", "seed"]);
    }

    #[test]
    fn every_action_is_reached_by_one_command() {
        let mut actions = HashSet::new();
        for command in COMMANDS {
            match command.form {
                Form::Action(action, _) => assert!(actions.insert(action), "{action:?}"),
                Form::Subcommands(subcommands) => {
                    for subcommand in subcommands {
                        assert!(actions.insert(subcommand.action), "{:?}", subcommand.action);
                    }
                }
            }
        }
        assert_eq!(actions.len(), 123);
    }

    #[test]
    fn names_in_the_table_are_unique_and_required_positionals_come_first() {
        let unique = |names: Vec<&str>| names.len() == names.iter().collect::<HashSet<_>>().len();
        assert!(unique(COMMANDS.iter().map(|command| command.name).collect()));
        for command in COMMANDS {
            assert!(unique(command.subcommands().iter().map(|subcommand| subcommand.name).collect()));
            let own = if let Form::Action(_, arguments) = command.form { Some(arguments) } else { None };
            for arguments in own.into_iter().chain(command.subcommands().iter().map(|sub| sub.arguments)) {
                assert!(unique(arguments.iter().map(|argument| argument.name).collect()), "{}", command.name);
                let needs: Vec<_> = arguments
                    .iter()
                    .filter(|argument| argument.form == ArgumentForm::Positional)
                    .map(|argument| argument.need == Need::Optional)
                    .collect();
                assert!(needs.is_sorted(), "{}", command.name);
            }
        }
    }

    #[test]
    fn every_example_is_accepted_and_does_what_it_stands_under() {
        for command in COMMANDS {
            for example in command.examples {
                assert_eq!(example.split(' ').next(), Some(command.name), "{example}");
                action(example);
            }
            for subcommand in command.subcommands() {
                for example in subcommand.examples {
                    assert_eq!(action(example), subcommand.action, "{example}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(
            head in prop::sample::select(vec!["request", "ratelimit add", "replay", "help", "x", "ratelimit"]),
            rest in "[ a-z=\"\\\\:*-]{0,60}",
        ) {
            if let Ok(words) = Words::parse(&format!("{head} {rest}")) {
                let _ = parse(&words).map_err(|error| error.to_string());
            }
        }
    }
}
