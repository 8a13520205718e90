//! A request with everything that quotas count and prices are for.

use super::rule::Request;

/// A request as the whole of the governor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// What limits see of it: names, cost, bytes, tokens in and out together.
    pub request: Request,
    /// The method, such as `post`, in any case.
    pub method: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// Those of its tokens that were generated; at most all of them.
    pub output_tokens: u64,
    /// Milliseconds of computing.
    pub compute_ms: u64,
    /// Accesses to storage.
    pub storage_accesses: u64,
    /// Answers from a cache.
    pub cache_hits: u64,
    /// Nothing if the amounts are what it takes. Otherwise they are held for so many nanoseconds, until it is
    /// told what was really taken.
    pub reserve_ns: Option<u64>,
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Bound by an agreement.
    Critical,
    /// Interactive and important.
    High,
    /// The usual.
    #[default]
    Normal,
    /// May wait.
    Low,
    /// Has no one waiting for it.
    Batch,
}

impl Priority {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Batch];
}

/// What a request takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// As how many requests it counts.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Tokens that were generated; at most `tokens`.
    pub output_tokens: u64,
    /// Milliseconds of computing.
    pub compute_ms: u64,
    /// Accesses to storage.
    pub storage_accesses: u64,
    /// Answers from a cache.
    pub cache_hits: u64,
}

impl Call {
    /// A call that carries `request` and nothing else.
    #[must_use]
    pub fn of(request: Request) -> Self {
        Self { request, ..Self::default() }
    }

    /// What it takes, or says that it will.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            requests: self.request.cost,
            bytes: self.request.bytes,
            tokens: self.request.tokens,
            output_tokens: self.output_tokens,
            compute_ms: self.compute_ms,
            storage_accesses: self.storage_accesses,
            cache_hits: self.cache_hits,
        }
    }
}
