//! Recorded sessions: what is typed at the shell, and what it answers.
//!
//! A transcript is a text file. Lines that begin with the prompt are typed; all others are the expected output, compared
//! exactly but for placeholders ([`pattern`]). Lines before the first prompt, if there are any, are what the kernel
//! prints while it boots. The file may begin with a header, each line of it starting with `#`:
//!
//! ```text
//! # machine: microvm          q35 unless said otherwise
//! # memory: 32                MiB, 64 unless said otherwise
//! # config: tests/tight.toml  becomes weir.toml; the shipped demo/weir.toml unless said otherwise
//! # file: tests/short.log     one more file (any number of times)
//! # Anything else after the hash is a comment.
//! ```
//!
//! Paths start at the top of the repository. With nothing said the machine has the files of a plain `scripts/run.sh`.
//! A session that does not end in `poweroff` is powered off after its last line; either way the kernel has to end cleanly.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::console::{PROMPT, visible};
use crate::files::{self, FileError};
use crate::guest::{Guest, GuestError};
use crate::kernel::repository;
use crate::machine::{Board, Exit, Machine};

pub mod diff;
pub mod pattern;

/// A recorded session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    header: Vec<String>,
    options: Options,
    /// What is printed before the first prompt, then one block for each typed line, which is its first line.
    blocks: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    board: Board,
    memory_mb: Option<u32>,
    config: Option<PathBuf>,
    files: Vec<PathBuf>,
}

/// Why a transcript could not be played to its end.
#[derive(Debug)]
pub enum PlayError {
    /// A header line that cannot be what it seems to be, and what was expected.
    Header(String),
    /// A file that the header names cannot be used.
    File(FileError),
    /// The guest did not start, hung or died.
    Guest(GuestError),
    /// The machine ended, but not by a clean power-off.
    Exit(Exit),
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(what) => f.write_str(what),
            Self::File(error) => error.fmt(f),
            Self::Guest(error) => error.fmt(f),
            Self::Exit(exit) => exit.fmt(f),
        }
    }
}

impl core::error::Error for PlayError {}

impl From<FileError> for PlayError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<GuestError> for PlayError {
    fn from(error: GuestError) -> Self {
        Self::Guest(error)
    }
}

impl Transcript {
    /// Reads a transcript's text.
    ///
    /// # Errors
    /// [`PlayError::Header`] for an unknown or malformed option.
    pub fn parse(text: &str) -> Result<Self, PlayError> {
        let header: Vec<String> =
            text.lines().take_while(|line| line.starts_with('#')).map(str::to_owned).collect();
        let mut options = Options::default();
        for line in &header {
            options.read(line)?;
        }
        let mut blocks = vec![Vec::new()];
        for line in text.lines().skip(header.len()) {
            push_line(&mut blocks, line);
        }
        Ok(Self { header, options, blocks })
    }

    /// The machine that the header asks for.
    ///
    /// # Errors
    /// [`PlayError::File`] for a file that cannot be read or packed.
    pub fn machine(&self, kernel: &Path) -> Result<Machine, PlayError> {
        let mut machine = Machine { board: self.options.board, ..Machine::new(kernel) };
        machine.memory_mb = self.options.memory_mb.unwrap_or(machine.memory_mb);
        let ramdisk =
            files::collect(self.options.config.as_deref(), &self.options.files, files::Pipes::Read)?;
        machine.ramdisk = Some(ramdisk.pack());
        Ok(machine)
    }

    /// Types the transcript's lines at a fresh machine and returns the session that came of it, under the same header.
    ///
    /// # Errors
    /// See [`PlayError`].
    pub fn play(&self, kernel: &Path) -> Result<Self, PlayError> {
        let mut guest = Guest::start(&self.machine(kernel)?)?;
        let mut session = guest.expect_prompt()?;
        if self.blocks[0].is_empty() {
            session.clear(); // the transcript does not say what boot prints
        }
        let mut powers_off = false;
        for block in self.blocks.iter().skip(1) {
            let typed = block[0].strip_prefix(PROMPT).unwrap_or_default();
            guest.send_line(typed)?;
            session.push_str(PROMPT);
            powers_off = typed.trim() == "poweroff";
            if powers_off {
                break;
            }
            session.push_str(&guest.expect_prompt()?);
        }
        if !powers_off {
            guest.send_line("poweroff")?;
        }
        let (exit, rest) = guest.wait()?;
        if powers_off {
            session.push_str(&rest);
        }
        if exit != Exit::PowerOff {
            return Err(PlayError::Exit(exit));
        }
        let mut blocks = vec![Vec::new()];
        session.lines().map(visible).for_each(|line| push_line(&mut blocks, line));
        Ok(Self { header: self.header.clone(), options: self.options.clone(), blocks })
    }

    /// What differs between this transcript and a session played from it; `None` if nothing does.
    ///
    /// Each command with a difference is shown whole: `-` before lines that did not come, `+` before lines that were
    /// not expected.
    #[must_use]
    pub fn difference(&self, session: &Self) -> Option<String> {
        let mut report = String::new();
        for (expected, actual) in self.pairs(session) {
            let steps = diff::steps(expected, actual);
            if !steps.iter().any(diff::Step::differs) {
                continue;
            }
            for step in steps {
                let (sign, line) = match step {
                    diff::Step::Same(line) | diff::Step::Within(line) => (' ', line),
                    diff::Step::Lines => (' ', pattern::LINES),
                    diff::Step::Missing(line) => ('-', line),
                    diff::Step::Extra(line) => ('+', line),
                };
                report.push_str(&format!("  {sign} {line}\n"));
            }
        }
        (!report.is_empty()).then_some(report)
    }

    /// The text of this transcript brought up to date: what the session printed, but the patterns that still match it.
    #[must_use]
    pub fn updated(&self, session: &Self) -> String {
        let mut lines = self.header.clone();
        for (expected, actual) in self.pairs(session) {
            lines.extend(diff::steps(expected, actual).into_iter().filter_map(|step| match step {
                diff::Step::Same(line) | diff::Step::Extra(line) => Some(line.to_owned()),
                diff::Step::Lines => Some(pattern::LINES.to_owned()),
                diff::Step::Within(_) | diff::Step::Missing(_) => None,
            }));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Blocks of both, side by side; where one has fewer, an empty one.
    fn pairs<'a>(&'a self, session: &'a Self) -> impl Iterator<Item = (&'a [String], &'a [String])> {
        let block = |blocks: &'a [Vec<String>], index| blocks.get(index).map_or(&[][..], Vec::as_slice);
        (0..self.blocks.len().max(session.blocks.len()))
            .map(move |index| (block(&self.blocks, index), block(&session.blocks, index)))
    }
}

impl Options {
    /// Takes a header line: an option, or a comment.
    fn read(&mut self, line: &str) -> Result<(), PlayError> {
        let Some((key, value)) = line.trim_start_matches('#').split_once(':') else {
            return Ok(());
        };
        let (key, value) = (key.trim(), value.trim());
        let wrong = |expected: &str| Err(PlayError::Header(format!("{line:?}: expected {expected}")));
        match key {
            "machine" => match Board::from_name(value) {
                Some(board) => self.board = board,
                None => return wrong("q35 or microvm"),
            },
            "memory" => match value.parse() {
                Ok(megabytes) => self.memory_mb = Some(megabytes),
                Err(_) => return wrong("a number of MiB"),
            },
            "config" => self.config = Some(repository().join(value)),
            "file" => self.files.push(repository().join(value)),
            _ if !key.contains(' ') => return wrong("one of machine, memory, config, file"),
            _ => {}
        }
        Ok(())
    }
}

/// Starts another block at a typed line, else continues the last one.
fn push_line(blocks: &mut Vec<Vec<String>>, line: &str) {
    // An editor that trims lines must not turn an empty command into output.
    let line = if line == PROMPT.trim_end() { PROMPT } else { line };
    match blocks.last_mut() {
        Some(block) if !line.starts_with(PROMPT) => block.push(line.to_owned()),
        _ => blocks.push(vec![line.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = "# machine: microvm\n# A comment, with: a colon.\nready in {time}\nweir> version\nweir 0.1.0\n\
                            weir> \nweir> memory\n{lines}\ntotal {int} KiB\n";

    fn parse(text: &str) -> Transcript {
        Transcript::parse(text).expect("a well-formed transcript")
    }

    #[test]
    fn typed_lines_and_output_are_told_apart() {
        let transcript = parse(RECORDED);
        assert_eq!(transcript.options.board, Board::Microvm);
        assert_eq!(
            transcript.blocks,
            [
                vec!["ready in {time}"],
                vec!["weir> version", "weir 0.1.0"],
                vec!["weir> "],
                vec!["weir> memory", "{lines}", "total {int} KiB"],
            ]
        );
        assert_eq!(parse(&RECORDED.replace("weir> \n", "weir>\n")), transcript);
    }

    #[test]
    fn wrong_options_are_refused() {
        for line in ["# machine: pc", "# memory: much", "# confg: demo/weir.toml"] {
            assert!(matches!(Transcript::parse(line), Err(PlayError::Header(_))), "{line}");
        }
    }

    #[test]
    fn a_session_that_fits_has_no_difference_and_changes_nothing() {
        let session =
            parse("ready in 0.2 s\nweir> version\nweir 0.1.0\nweir> \nweir> memory\na\nb\ntotal 12 KiB\n");
        let transcript = parse(RECORDED);
        assert_eq!(transcript.difference(&session), None);
        assert_eq!(transcript.updated(&session), RECORDED);
    }

    #[test]
    fn an_update_takes_new_lines_and_keeps_patterns_that_match() {
        let session =
            parse("ready in 0.2 s\nweir> version\nweir 0.2.0\nmore\nweir> \nweir> memory\na\ntotal 12 KiB\n");
        let transcript = parse(RECORDED);
        let difference = transcript.difference(&session).expect("the version differs");
        assert_eq!(difference, "    weir> version\n  - weir 0.1.0\n  + weir 0.2.0\n  + more\n");
        assert_eq!(transcript.updated(&session), RECORDED.replace("weir 0.1.0\n", "weir 0.2.0\nmore\n"));
    }
}
