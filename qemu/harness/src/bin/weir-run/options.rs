//! The command line of `scripts/run.sh`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use harness::machine::{Board, MAX_COMMANDS_BYTES};

/// The least and most memory a machine can be asked to have, in MiB.
pub(crate) const MEMORY_MB_ALLOWED: core::ops::RangeInclusive<u32> = 8..=3072;

/// What to boot and with what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) config: Option<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) commands: Vec<String>,
    pub(crate) memory_mb: Option<u32>,
    pub(crate) board: Board,
    pub(crate) kernel: Option<PathBuf>,
    /// Only say whether arguments and files are good, before anything is installed or built for them.
    pub(crate) check: bool,
}

/// An argument that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionError {
    Unknown(String),
    NoValue(&'static str),
    Repeated(&'static str),
    Memory(String),
    Machine(String),
    /// A command that is empty, or has a line end in it, or is not text.
    Command(String),
    /// All commands have this many bytes together, each with its line end, which is too many.
    Commands(usize),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => write!(f, "unknown argument {argument:?}; --help lists them"),
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::Repeated(option) => write!(f, "{option} is given twice"),
            Self::Memory(value) => {
                let (least, most) = (MEMORY_MB_ALLOWED.start(), MEMORY_MB_ALLOWED.end());
                write!(f, "--memory {value:?}: expected a whole number of MiB from {least} to {most}")
            }
            Self::Machine(value) => write!(f, "--machine {value:?}: expected q35 or microvm"),
            Self::Command(value) => {
                write!(
                    f,
                    "--exec {value:?}: expected one line of text; give --exec again for another command"
                )
            }
            Self::Commands(bytes) => {
                write!(
                    f,
                    "--exec: the commands have {bytes} bytes together, expected at most {MAX_COMMANDS_BYTES}"
                )
            }
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name. A value follows its option, or an equals sign.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut memory_mb = None;
        let mut board = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, attached) = split_at_equals(&argument);
            let mut value =
                |option| attached.clone().or_else(|| arguments.next()).ok_or(OptionError::NoValue(option));
            match name.to_str() {
                Some("--config") => once("--config", &mut options.config, value("--config")?.into())?,
                Some("--file") => options.files.push(value("--file")?.into()),
                Some("--exec") => options.commands.push(command(&value("--exec")?)?),
                Some("--memory") => once("--memory", &mut memory_mb, memory(&value("--memory")?)?)?,
                Some("--machine") => once("--machine", &mut board, machine(&value("--machine")?)?)?,
                Some("--kernel") => once("--kernel", &mut options.kernel, value("--kernel")?.into())?,
                Some("--check") if attached.is_none() => options.check = true,
                _ => return Err(OptionError::Unknown(lossy(&argument))),
            }
        }
        let commands_bytes = options.commands.iter().map(|command| command.len() + 1).sum();
        if commands_bytes > MAX_COMMANDS_BYTES {
            return Err(OptionError::Commands(commands_bytes));
        }
        Ok(Self { memory_mb, board: board.unwrap_or_default(), ..options })
    }
}

fn split_at_equals(argument: &OsStr) -> (&OsStr, Option<OsString>) {
    let bytes = argument.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) if bytes.starts_with(b"--") => {
            (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..]).to_owned()))
        }
        _ => (argument, None),
    }
}

fn once<T>(option: &'static str, place: &mut Option<T>, value: T) -> Result<(), OptionError> {
    if place.replace(value).is_some() { Err(OptionError::Repeated(option)) } else { Ok(()) }
}

fn command(value: &OsStr) -> Result<String, OptionError> {
    match value.to_str() {
        Some(line) if !line.trim().is_empty() && !line.contains(['\n', '\r']) => Ok(line.to_owned()),
        _ => Err(OptionError::Command(lossy(value))),
    }
}

fn memory(value: &OsStr) -> Result<u32, OptionError> {
    let megabytes =
        value.to_str().and_then(|text| text.parse().ok()).filter(|it| MEMORY_MB_ALLOWED.contains(it));
    megabytes.ok_or_else(|| OptionError::Memory(lossy(value)))
}

fn machine(value: &OsStr) -> Result<Board, OptionError> {
    value.to_str().and_then(Board::from_name).ok_or_else(|| OptionError::Machine(lossy(value)))
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, OptionError> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn every_option_is_taken_in_both_forms() {
        let spaced =
            "--config a.toml --file b.log --file c.log --exec help --memory 128 --machine microvm --kernel k";
        let attached =
            "--config=a.toml --file=b.log --file=c.log --exec=help --memory=128 --machine=microvm --kernel=k";
        let expected = Options {
            config: Some("a.toml".into()),
            files: vec!["b.log".into(), "c.log".into()],
            commands: vec!["help".into()],
            memory_mb: Some(128),
            board: Board::Microvm,
            kernel: Some("k".into()),
            check: false,
        };
        for line in [spaced, attached] {
            assert_eq!(parse(&line.split(' ').collect::<Vec<_>>()).as_ref(), Ok(&expected), "{line}");
        }
        assert_eq!(parse(&[]), Ok(Options::default()));
        let equals = parse(&["--exec", "request ip=203.0.113.9"]).expect("an equals sign in a value");
        assert_eq!(equals.commands, ["request ip=203.0.113.9"]);
    }

    #[test]
    fn wrong_arguments_are_refused_in_one_line() {
        for arguments in [
            &["--verbose"][..],
            &["demo.log"],
            &["--config"],
            &["--config", "a", "--config", "b"],
            &["--memory", "0"],
            &["--memory", "64MB"],
            &["--memory", "4294967296"],
            &["--machine", "pc"],
            &["--exec", ""],
            &["--exec", "version\npoweroff"],
            &["--check=yes"],
        ] {
            let error = parse(arguments).expect_err(&format!("{arguments:?}"));
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn commands_are_bounded_together() {
        let half = "x".repeat(MAX_COMMANDS_BYTES / 2 - 1);
        assert!(parse(&["--exec", &half, "--exec", &half]).is_ok());
        let error = parse(&["--exec", &half, "--exec", &half, "--exec", "y"]);
        assert_eq!(error, Err(OptionError::Commands(MAX_COMMANDS_BYTES + 2)));
    }
}
