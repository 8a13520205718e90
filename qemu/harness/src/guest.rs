//! A running machine whose console a program types at and reads.

use std::io::{self, Read as _, Write as _};
use std::process::ChildStdin;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use crate::console::{PROMPT, Plain, ends_with_prompt};
use crate::machine::{Exit, Line, Machine, Running};

/// How long a test waits for something that ought to come at once. It only bounds a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A booted kernel. QEMU is killed when it is dropped.
///
/// What the kernel printed is read as plain text ([`crate::console`]) and handed out once, in order.
#[derive(Debug)]
pub struct Guest {
    running: Running,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    plain: Plain,
    /// How much of the plain text was handed out.
    taken: usize,
}

/// Why a guest did not do what was expected of it.
#[derive(Debug)]
pub enum GuestError {
    /// Time ran out before this appeared; `tail` is the end of what there was instead.
    Late {
        /// What was waited for.
        wanted: String,
        /// The end of the output that was not handed out.
        tail: String,
    },
    /// The console closed before this appeared.
    Closed {
        /// What was waited for.
        wanted: String,
        /// The end of the output that was not handed out.
        tail: String,
    },
    /// Starting QEMU, writing its files or typing failed.
    Io(io::Error),
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { wanted, tail } => {
                write!(f, "{wanted} did not come in time; the output ends with:\n{tail}")
            }
            Self::Closed { wanted, tail } => {
                write!(f, "the machine ended before {wanted} came; the output ends with:\n{tail}")
            }
            Self::Io(error) => write!(f, "QEMU: {error}"),
        }
    }
}

impl core::error::Error for GuestError {}

impl From<io::Error> for GuestError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Guest {
    /// Switches a machine on.
    ///
    /// # Errors
    /// [`GuestError::Io`] where QEMU is not installed or its files cannot be written.
    pub fn start(machine: &Machine) -> Result<Self, GuestError> {
        let mut running = Running::start(machine, Line::Pipe)?;
        let (sender, output) = mpsc::channel();
        let input = running.qemu.stdin.take();
        if let Some(mut stdout) = running.qemu.stdout.take() {
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                    if sender.send(chunk[..length].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { running, input, output, plain: Plain::default(), taken: 0 })
    }

    /// The processor time that QEMU has taken so far, to the hundredth of a second.
    ///
    /// # Errors
    /// Where the host does not show it in `/proc`, as Linux does (proc(5), fields 14 and 15 of `stat`).
    pub fn processor_time(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.running.qemu.id()))?;
        // The name, in brackets, may have blanks.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let times: Vec<u64> =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        // Linux reports times to programs in hundredths of a second on every architecture.
        match times[..] {
            [user, system] => Ok(Duration::from_millis((user + system) * 10)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Types bytes as they are.
    ///
    /// # Errors
    /// [`GuestError::Io`] where QEMU has ended.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), GuestError> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
        input.write_all(bytes)?;
        Ok(input.flush()?)
    }

    /// Types a line and the Enter key.
    ///
    /// # Errors
    /// [`GuestError::Io`] where QEMU has ended.
    pub fn send_line(&mut self, line: &str) -> Result<(), GuestError> {
        self.send(format!("{line}\r").as_bytes())
    }

    /// Waits for `needle` and returns the output up to and including it.
    ///
    /// # Errors
    /// [`GuestError::Late`] or [`GuestError::Closed`].
    pub fn expect(&mut self, needle: &str) -> Result<String, GuestError> {
        let wanted = format!("{needle:?}");
        self.take_until(&wanted, |text| {
            text.windows(needle.len())
                .position(|window| window == needle.as_bytes())
                .map(|at| at + needle.len())
        })
    }

    /// Waits until the shell asks for a line and returns what it printed before the prompt.
    ///
    /// # Errors
    /// [`GuestError::Late`] or [`GuestError::Closed`].
    pub fn expect_prompt(&mut self) -> Result<String, GuestError> {
        let mut text = self.take_until("the prompt", |text| ends_with_prompt(text).then_some(text.len()))?;
        text.truncate(text.len() - PROMPT.len());
        Ok(text)
    }

    /// Types a line at the prompt and returns what the command printed: all between its echo and the next prompt.
    ///
    /// # Errors
    /// As [`Guest::send_line`] and [`Guest::expect_prompt`].
    pub fn run(&mut self, line: &str) -> Result<String, GuestError> {
        self.send_line(line)?;
        let text = self.expect_prompt()?;
        Ok(text.split_once('\n').map_or(text.as_str(), |(_echo, output)| output).to_owned())
    }

    /// Reads for the given time and returns what the guest printed in it.
    pub fn listen(&mut self, time: Duration) -> String {
        // Nothing ends the wait but time, or the machine itself.
        let _ = self.read_until(Instant::now() + time, |_| None);
        self.take(self.plain.text().len())
    }

    /// Waits for the end of the machine; returns how it ended and the output that was left.
    ///
    /// # Errors
    /// [`GuestError::Late`] where it goes on running.
    pub fn wait(&mut self) -> Result<(Exit, String), GuestError> {
        match self.read_until(Instant::now() + PATIENCE, |_| None) {
            Err(RecvTimeoutError::Timeout) | Ok(_) => {
                Err(GuestError::Late { wanted: "the end of the machine".to_owned(), tail: self.tail() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                let exit = self.running.wait()?;
                Ok((exit, self.take(self.plain.text().len())))
            }
        }
    }

    fn take_until(
        &mut self,
        wanted: &str,
        end: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<String, GuestError> {
        match self.read_until(Instant::now() + PATIENCE, end) {
            Ok(end) => Ok(self.take(self.taken + end)),
            Err(RecvTimeoutError::Timeout) => {
                Err(GuestError::Late { wanted: wanted.to_owned(), tail: self.tail() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(GuestError::Closed { wanted: wanted.to_owned(), tail: self.tail() })
            }
        }
    }

    /// Reads until `end` finds its place in what was not handed out yet.
    fn read_until(
        &mut self,
        deadline: Instant,
        end: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<usize, RecvTimeoutError> {
        loop {
            if let Some(end) = end(&self.plain.text()[self.taken..]) {
                return Ok(end);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let chunk = self.output.recv_timeout(left)?;
            self.plain.push(&chunk);
        }
    }

    fn take(&mut self, end: usize) -> String {
        let text = String::from_utf8_lossy(&self.plain.text()[self.taken..end]).into_owned();
        self.taken = end;
        text
    }

    /// The last part of what was not handed out, for a message.
    fn tail(&self) -> String {
        let left = &self.plain.text()[self.taken..];
        String::from_utf8_lossy(&left[left.len().saturating_sub(1000)..]).into_owned()
    }
}
