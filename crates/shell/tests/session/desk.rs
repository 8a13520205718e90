//! A desk to sit at: a session, its engine, and a machine that is only pretended.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governance::scope::HashSecret;
use governance::time::{Instant, Nanos, Now, WallTime};
use shell::engine::Engine;
use shell::session::{Session, Status};
use shell::system::{MachineInfo, MemoryPool, System};
use shell::term::Term;

/// The engine is large, and so there is one for all tests, which take turns.
static ENGINE: Mutex<Engine> = Mutex::new(Engine::new());

/// 2026-01-01T00:00:00Z.
const WALL_AT_BOOT: u64 = 1_767_225_600_000_000_000;

/// A year after boot: no test waits for a key that long.
const DOOMSDAY: u64 = 365 * 86_400 * 1_000_000_000;

/// A machine whose clock stands still unless a test moves it, and whose console is a string.
pub(crate) struct FakeSystem {
    pub(crate) console: String,
    instant: u64,
    /// How far each look at the clock moves it.
    pub(crate) tick: Nanos,
    ramdisk: &'static [u8],
    /// How often `interrupted` answers no before it answers yes.
    pub(crate) interrupted_after: Option<usize>,
    pub(crate) has_wall_clock: bool,
    /// What is typed while a command waits for keys, and at which time on the clock.
    pub(crate) keys: VecDeque<(Instant, u8)>,
}

impl fmt::Write for FakeSystem {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.push_str(text);
        Ok(())
    }
}

impl System for FakeSystem {
    fn now(&mut self) -> Now {
        self.instant += self.tick.0;
        Now { instant: Instant(self.instant), wall: WallTime(WALL_AT_BOOT + self.instant) }
    }

    fn has_wall_clock(&self) -> bool {
        self.has_wall_clock
    }

    fn ramdisk(&self) -> &'static [u8] {
        self.ramdisk
    }

    fn interrupted(&mut self) -> bool {
        match &mut self.interrupted_after {
            Some(0) => {
                self.interrupted_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn wait_for_key(&mut self, until: Instant) -> Option<u8> {
        let key = self.keys.front().copied().filter(|(at, _)| *at < until);
        if key.is_some() {
            self.keys.pop_front();
        }
        let woken = key.map_or(until, |(at, _)| at);
        assert!(woken.0 < DOOMSDAY, "nobody ends the wait");
        self.instant = self.instant.max(woken.0);
        key.map(|(_, byte)| byte)
    }

    fn log_lines(&self, line: &mut dyn FnMut(&str)) {
        ["[    0.041682] first", "[    0.042521] second"].into_iter().for_each(line);
    }

    fn memory_pools(&self, pool: &mut dyn FnMut(MemoryPool)) {
        pool(MemoryPool { name: "text", bytes: 352_256, used_bytes: None });
        pool(MemoryPool { name: "stack", bytes: 262_144, used_bytes: Some(32_640) });
    }

    fn machine(&self) -> MachineInfo {
        MachineInfo { boot: "PVH", processor: "a test", memory_bytes: 64 << 20, clock_hz: 2_599_890_578 }
    }
}

/// A session at a pretended machine.
pub(crate) struct Desk {
    pub(crate) session: Session,
    pub(crate) system: FakeSystem,
    pub(crate) engine: MutexGuard<'static, Engine>,
}

impl Desk {
    /// A desk before its machine has started, with this ramdisk.
    pub(crate) fn with_ramdisk(ramdisk: Vec<u8>) -> Self {
        let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        engine.live.reset(HashSecret::from_seed(1));
        engine.replay.reset(HashSecret::from_seed(1));
        engine.replayed = Default::default();
        let mut session = Session::new();
        session.set_term(Term::Dumb);
        let system = FakeSystem {
            console: String::new(),
            instant: 0,
            tick: Nanos::ZERO,
            ramdisk: ramdisk.leak(),
            interrupted_after: None,
            has_wall_clock: true,
            keys: VecDeque::new(),
        };
        Self { session, system, engine }
    }

    /// A desk whose machine has started with these files; the first one is `weir.toml`.
    pub(crate) fn new(config: &str, files: &[(&str, &[u8])]) -> Self {
        let mut all = vec![("weir.toml", config.as_bytes())];
        all.extend_from_slice(files);
        let mut desk = Self::with_ramdisk(pack(&all));
        let banner = desk.start();
        assert_eq!(banner.lines().count(), 1, "{banner}");
        desk
    }

    /// Starts the machine, and returns what it prints.
    pub(crate) fn start(&mut self) -> String {
        self.session.start(Nanos(123_000_000), &mut self.system, &mut self.engine);
        std::mem::take(&mut self.system.console)
    }

    /// Lets time go by.
    pub(crate) fn wait(&mut self, time: &str) {
        self.system.instant += time.parse::<Nanos>().unwrap().0;
    }

    /// Presses a key so long from now, while a command waits for keys.
    pub(crate) fn press_in(&mut self, time: &str, key: u8) {
        let at = Instant(self.system.instant).after(time.parse().unwrap());
        self.system.keys.push_back((at, key));
    }

    /// Runs a line, and returns how it went and what it printed.
    pub(crate) fn try_run(&mut self, line: &str) -> (Status, String) {
        let status = self.session.run(line, &mut self.system, &mut self.engine);
        (status, std::mem::take(&mut self.system.console))
    }

    /// Runs a line that has to succeed, and returns what it printed.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let (status, output) = self.try_run(line);
        assert_eq!(status, Status::Done, "{line}: {output}");
        output
    }

    /// The one line that a line is answered by, notices apart.
    pub(crate) fn answer(&mut self, line: &str) -> String {
        let (_, mut output) = self.try_run(line);
        if let Some((answer, _)) = output.split_once("notice ") {
            output.truncate(answer.len());
        }
        let answer = output.strip_suffix('\n').unwrap_or_else(|| panic!("{line}: no line end: {output:?}"));
        assert!(!answer.is_empty() && !answer.contains('\n'), "{line}: {output}");
        answer.to_owned()
    }

    /// All that a user can see of the state of the limits.
    pub(crate) fn state(&mut self) -> String {
        ["config show", "ratelimit status --json", "ratelimit buckets --json"]
            .map(|line| self.run(line))
            .concat()
    }
}

/// A ustar archive of these files.
pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
