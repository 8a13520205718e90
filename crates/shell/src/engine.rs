//! The engine that the shell drives: the live governor, a second one for replays and benchmarks, and the room
//! to read configuration and logs. It is one large value that a caller puts into a static and never moves.

use governance::config::Config;
use wire::access_log::LineBuffer;
use wire::config::ConfigReader;

/// Keyed buckets of a governor.
pub const KEYS: usize = 65_536;
/// Entries of exact windows of a governor.
pub const LOG_ENTRIES: usize = 131_072;

/// A governor of the size that Weir runs with.
pub type Governor = governance::governor::Governor<KEYS, LOG_ENTRIES>;

/// Everything that decides. All-zero when new.
#[derive(Debug)]
pub struct Engine {
    /// The governor whose decisions count.
    pub live: Governor,
    /// A second governor, for replays and benchmarks; its state is of no account between commands.
    pub replay: Governor,
    /// Where a configuration is collected and checked before it takes effect.
    pub staging: Config,
    /// What reads it.
    pub reader: ConfigReader,
    /// Room for one line of a log.
    pub line: LineBuffer,
}

impl Engine {
    /// An engine without limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            live: Governor::new(),
            replay: Governor::new(),
            staging: Config::new(),
            reader: ConfigReader::new(),
            line: LineBuffer::new(),
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
