//! The engine that the shell drives: the live governor, a second one for replays and benchmarks, and the room
//! to read configuration and logs. It is one large value that a caller puts into a static and never moves.

use crate::replay::Timeline;
use governance::config::Config;
use governance::policy::PolicySet;
use governance::text::Text;
use governance::time::{Instant, Now, WallTime};
use wire::access_log::LineBuffer;
use wire::config::ConfigReader;

/// Keyed buckets of a governor.
pub const KEYS: usize = 65_536;
/// Entries of exact windows of a governor.
pub const LOG_ENTRIES: usize = 131_072;

/// Tenants that a governor keeps books for.
pub const TENANTS: usize = 2048;

/// A governor of the size that Weir runs with.
pub type Governor = governance::governor::Governor<KEYS, LOG_ENTRIES, TENANTS>;

/// Everything that decides. All-zero when new.
#[derive(Debug)]
pub struct Engine {
    /// The governor whose decisions count.
    pub live: Governor,
    /// A second governor, for replays and benchmarks.
    pub replay: Governor,
    /// The log that was replayed last; empty if the second governor has been used for something else since.
    pub replayed: Text<64>,
    /// The log's own time at its end, by which the books of a replay are read.
    pub replayed_until: Now,
    /// That log over time.
    pub timeline: Timeline,
    /// Where a configuration is collected and checked before it takes effect.
    pub staging: Config,
    /// What reads it.
    pub reader: ConfigReader,
    /// The policies of a file that are compared with those in force.
    pub compared: PolicySet,
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
            replayed: Text::EMPTY,
            replayed_until: Now { instant: Instant(0), wall: WallTime(0) },
            timeline: Timeline::new(),
            staging: Config::new(),
            reader: ConfigReader::new(),
            compared: PolicySet::new(),
            line: LineBuffer::new(),
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
