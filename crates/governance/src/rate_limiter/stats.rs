//! What limits have decided, and how full the fixed structures are.

/// What a limit has decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStats {
    /// Allowed requests that it matched, and for which it had room.
    pub allowed: u64,
    /// Requests that it refused.
    pub denied: u64,
    /// Requests that it would have refused, had it not been in shadow mode.
    pub would_deny: u64,
    /// Keys that have a bucket of their own.
    pub keys: u64,
    /// Requests that were decided by the overflow bucket.
    pub overflow_hits: u64,
    /// Requests that its overflow bucket refused.
    pub overflow_denied: u64,
    /// Requests that it refused because the log of exact windows was full; in shadow mode, requests that it could not
    /// note.
    pub log_full: u64,
}

impl LimitStats {
    pub(crate) const ZERO: Self = Self {
        allowed: 0,
        denied: 0,
        would_deny: 0,
        keys: 0,
        overflow_hits: 0,
        overflow_denied: 0,
        log_full: 0,
    };
}

/// How full the fixed structures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Keys in the table.
    pub keys: usize,
    /// How many fit.
    pub keys_max: usize,
    /// Keys whose bucket was full again and that made room for another.
    pub evicted_fresh: u64,
    /// Keys of shadow limits that made room for one of a limit in force, whatever they had used.
    pub evicted_shadow: u64,
    /// Requests that shared an overflow bucket.
    pub overflow_hits: u64,
    /// Entries of exact windows in use.
    pub log_entries: usize,
    /// How many there are.
    pub log_entries_max: usize,
    /// Refusals because they were exhausted.
    pub log_full: u64,
    /// Grants of extra capacity in use.
    pub grants: usize,
    /// What one limit takes, with its share of the index, in bytes.
    pub limit_bytes: usize,
    /// What one key takes, with its share of the index, in bytes.
    pub key_bytes: usize,
    /// What one entry of an exact window takes, in bytes.
    pub log_entry_bytes: usize,
}

impl TableStats {
    /// Whether three quarters of the keys are in use, which is worth an alarm.
    #[must_use]
    pub const fn is_filling_up(&self) -> bool {
        self.keys * 4 >= self.keys_max * 3
    }
}
