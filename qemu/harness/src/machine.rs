//! The virtual machine: QEMU's command line, and what QEMU's exit status says about the kernel.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, fmt, io};

use crate::scratch::Scratch;

/// How much memory a machine has unless told otherwise, in MiB.
pub const MEMORY_MB: u32 = 128;

/// The most that start-up commands may have together, each with its line end, in bytes: the kernel has 64 KiB for all
/// its options, of which this leaves the others a little.
pub const MAX_COMMANDS_BYTES: usize = 64 * 1024 - 64;

/// QEMU's machine types on which the kernel runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Board {
    /// A PC with PCI Express and ACPI.
    #[default]
    Q35,
    /// A minimal machine without PCI, the faster one to boot.
    Microvm,
}

impl Board {
    /// The board of a name as QEMU writes it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Q35, Self::Microvm].into_iter().find(|board| board.name() == name)
    }

    /// The name that QEMU knows the board by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
        }
    }
}

/// Where the first serial line ends on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// This process's terminal, shared with QEMU's monitor: Ctrl-A X leaves, Ctrl-A Ctrl-A types a Ctrl-A.
    Terminal,
    /// A pair of pipes without any multiplexer: every byte passes.
    Pipe,
}

/// What the shell may assume of the terminal at the other end (`opt/weir/term`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Term {
    /// Plain text only.
    #[default]
    Dumb,
    /// Colours and cursor movement.
    Ansi,
}

/// What a reset of the machine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// The machine starts again, as a user expects of `reboot`.
    Restart,
    /// QEMU ends, so that a triple fault in a test does not boot for ever.
    #[default]
    Exit,
}

/// A part that a machine can be built without, to see how the kernel gets along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The processor's random number generator.
    RandomGenerator,
    /// The programmable interval timer.
    IntervalTimer,
    /// The battery-backed clock; only the microvm can be without.
    BatteryClock,
}

/// A machine that is still switched off.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel's ELF file, started through its PVH note.
    pub kernel: PathBuf,
    /// QEMU's machine type.
    pub board: Board,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// The bytes of the initial ramdisk, a ustar archive unless a test damages it.
    pub ramdisk: Option<Vec<u8>>,
    /// Commands that the shell runs after boot before it powers off; none: it asks the user.
    pub commands: Vec<String>,
    /// What the shell may assume of the terminal.
    pub term: Term,
    /// What a reset does.
    pub reset: Reset,
    /// What the machine is built without.
    pub without: Vec<Part>,
}

impl Machine {
    /// A machine with the given kernel, nothing in its ramdisk and the defaults of each field's type.
    #[must_use]
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            kernel: kernel.into(),
            board: Board::default(),
            memory_mb: MEMORY_MB,
            ramdisk: None,
            commands: Vec::new(),
            term: Term::default(),
            reset: Reset::default(),
            without: Vec::new(),
        }
    }

    /// QEMU's command for this machine. The files that it names live in `scratch`.
    ///
    /// Environment: `QEMU` names another emulator, `QEMU_ACCEL=kvm` asks for KVM; the default is TCG even where
    /// `/dev/kvm` opens, for it opens on hosts where it is far slower.
    fn command(&self, line: Line, scratch: &Scratch) -> io::Result<Command> {
        let mut command = emulator();
        let (mut board, mut processor) = (self.board.name().to_owned(), "max".to_owned());
        for part in &self.without {
            match part {
                Part::RandomGenerator => processor.push_str(",rdrand=off"),
                Part::IntervalTimer => board.push_str(",pit=off"),
                Part::BatteryClock => board.push_str(",rtc=off"),
            }
        }
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-M", &board]);
        command.args([
            "-accel",
            if env::var_os("QEMU_ACCEL").is_some_and(|it| it == "kvm") { "kvm" } else { "tcg" },
        ]);
        command.args(["-cpu", &processor, "-m", &format!("{}M", self.memory_mb)]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        match line {
            // `signal=off` sends Ctrl-C to the guest instead of killing QEMU.
            Line::Terminal => command
                .args(["-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console"])
                .args(["-serial", "chardev:console"]),
            Line::Pipe => command
                .args(["-chardev", "stdio,id=console,mux=off,signal=off", "-serial", "chardev:console"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        };
        if self.reset == Reset::Exit {
            command.arg("-no-reboot");
        }
        command.arg("-kernel").arg(&self.kernel);
        if let Some(ramdisk) = &self.ramdisk {
            command.arg("-initrd").arg(scratch.write("ramdisk.tar", ramdisk)?);
        }
        if !self.commands.is_empty() {
            let file = scratch.write("commands", self.commands.join("\n").as_bytes())?;
            // QEMU ends a value at a comma unless the comma is doubled.
            let path = file.to_string_lossy().replace(',', ",,");
            command.args(["-fw_cfg", &format!("name=opt/weir/commands,file={path}")]);
        }
        let term = match self.term {
            Term::Dumb => "dumb",
            Term::Ansi => "ansi",
        };
        command.args(["-fw_cfg", &format!("name=opt/weir/term,string={term}")]);
        Ok(command)
    }
}

/// A machine that is switched on: QEMU and the files it reads. QEMU is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The process; its standard input and output are pipes where the line is [`Line::Pipe`].
    pub qemu: Child,
    _files: Scratch,
}

impl Running {
    /// Switches a machine on.
    ///
    /// # Errors
    /// Where QEMU is not installed or its files cannot be written.
    pub fn start(machine: &Machine, line: Line) -> io::Result<Self> {
        let files = Scratch::new()?;
        let qemu = machine.command(line, &files)?.spawn()?;
        Ok(Self { qemu, _files: files })
    }

    /// Waits for the end of the machine, however long it takes.
    ///
    /// # Errors
    /// Where the process cannot be waited for.
    pub fn wait(&mut self) -> io::Result<Exit> {
        Ok(Exit::from_status(self.qemu.wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where QEMU has ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The emulator, wrapped so that it dies with the thread that starts it: a test that is killed leaves none behind.
fn emulator() -> Command {
    let qemu = env::var_os("QEMU").unwrap_or_else(|| "qemu-system-x86_64".into());
    if !is_installed("setpriv") || !is_installed(&qemu) {
        return Command::new(qemu);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
    command
}

fn is_installed(program: impl AsRef<OsStr>) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|directory| directory.join(program.as_ref()).is_file())
}

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The kernel powered off cleanly, and each start-up command had succeeded.
    PowerOff,
    /// A start-up command failed and the kernel powered off.
    CommandFailed,
    /// The kernel panicked.
    Panic,
    /// QEMU ended without a word from the kernel, with this status (`None`: killed by a signal). Status 0 is here
    /// too: under `-no-reboot` it may be a triple fault.
    Silent(Option<i32>),
}

impl Exit {
    /// Reads QEMU's exit status: isa-debug-exit turns a written value `v` into `v·2 + 1`.
    #[must_use]
    pub fn from_status(status: ExitStatus) -> Self {
        match status.code() {
            Some(0x21) => Self::PowerOff,
            Some(0x23) => Self::Panic,
            Some(0x25) => Self::CommandFailed,
            other => Self::Silent(other),
        }
    }

    /// The exit status of `scripts/run.sh`.
    #[must_use]
    pub const fn script_status(self) -> u8 {
        match self {
            Self::PowerOff => 0,
            Self::CommandFailed => 1,
            Self::Panic => 3,
            Self::Silent(_) => 4,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOff => f.write_str("the kernel powered off"),
            Self::CommandFailed => f.write_str("a command failed"),
            Self::Panic => f.write_str("the kernel panicked"),
            Self::Silent(Some(status)) => {
                write!(f, "QEMU ended with status {status}, not by the kernel's power-off")
            }
            Self::Silent(None) => f.write_str("QEMU was killed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn only_the_kernels_own_word_is_success() {
        for (code, expected) in [(33, 0), (37, 1), (35, 3), (0, 4), (1, 4), (34, 4)] {
            let status = ExitStatus::from_raw(code << 8);
            assert_eq!(Exit::from_status(status).script_status(), expected, "QEMU status {code}");
        }
        assert_eq!(Exit::from_status(ExitStatus::from_raw(9)), Exit::Silent(None));
    }

    #[test]
    fn boards_are_found_by_name() {
        assert_eq!(Board::from_name("microvm"), Some(Board::Microvm));
        assert_eq!(Board::from_name("q35"), Some(Board::Q35));
        assert_eq!(Board::from_name("pc"), None);
    }

    #[test]
    fn a_pipe_has_no_multiplexer_and_a_terminal_sends_control_c_on() {
        let scratch = Scratch::new().expect("a temporary directory");
        let machine = Machine { commands: vec!["version".into()], ..Machine::new("weir") };
        let arguments = |line| {
            let command = machine.command(line, &scratch).expect("files are written");
            command.get_args().map(|it| it.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert!(arguments(Line::Pipe).contains("mux=off,signal=off"));
        assert!(arguments(Line::Terminal).contains("mux=on,signal=off"));
        assert!(arguments(Line::Pipe).contains("-no-reboot"));
        assert!(arguments(Line::Pipe).contains("opt/weir/commands,file="));
    }
}
