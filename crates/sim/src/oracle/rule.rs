//! The vocabulary of the models: what a limit says and what a request carries.

use std::net::IpAddr;

/// A reading of both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// The monotonic clock, which everything but clock-aligned windows follows.
    pub instant_ns: u64,
    /// UTC since 1970-01-01T00:00:00Z.
    pub wall_ns: u64,
}

impl Clocks {
    /// Both clocks showing the same, as in a replay.
    #[must_use]
    pub const fn both(ns: u64) -> Self {
        Self { instant_ns: ns, wall_ns: ns }
    }
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A bucket of `capacity` tokens, refilled with `tokens` every `per_ns`.
    TokenBucket {
        /// The size of the bucket.
        capacity: u64,
        /// Tokens that come back in each period.
        tokens: u64,
        /// The period in nanoseconds.
        per_ns: u64,
    },
    /// The same test, told the other way round: a bucket that fills with requests and leaks.
    LeakyBucket {
        /// The size of the bucket.
        capacity: u64,
        /// Tokens that leak away in each period.
        tokens: u64,
        /// The period in nanoseconds.
        per_ns: u64,
    },
    /// The same test, and a request that passes waits until what was in the bucket before it has leaked.
    LeakyQueue {
        /// The size of the bucket.
        capacity: u64,
        /// Tokens that leak away in each period.
        tokens: u64,
        /// The period in nanoseconds.
        per_ns: u64,
    },
    /// At most `limit` in each window.
    FixedWindow {
        /// What a window admits.
        limit: u64,
        /// The length of a window in nanoseconds.
        window_ns: u64,
        /// Where windows begin.
        align: Align,
    },
    /// At most `limit` in the current window together with the part of the previous one that a window
    /// ending now would still cover, taking the previous one as spread evenly.
    SlidingCounter {
        /// What a window admits.
        limit: u64,
        /// The length of a window in nanoseconds.
        window_ns: u64,
        /// Where windows begin.
        align: Align,
    },
    /// At most `limit` in (now − window, now], exactly.
    SlidingLog {
        /// What a window admits.
        limit: u64,
        /// The length of the window in nanoseconds.
        window_ns: u64,
    },
    /// Everything passes.
    Unlimited,
    /// Nothing passes, not even a request that costs nothing.
    Ban,
}

impl Algorithm {
    /// The bucket's size or the window's limit; nothing for `Unlimited` and `Ban`.
    #[must_use]
    pub const fn capacity(&self) -> Option<u64> {
        match *self {
            Self::TokenBucket { capacity, .. }
            | Self::LeakyBucket { capacity, .. }
            | Self::LeakyQueue { capacity, .. } => Some(capacity),
            Self::FixedWindow { limit, .. }
            | Self::SlidingCounter { limit, .. }
            | Self::SlidingLog { limit, .. } => Some(limit),
            Self::Unlimited | Self::Ban => None,
        }
    }

    /// The clock that this algorithm follows.
    #[must_use]
    pub const fn clock_kind(&self) -> ClockKind {
        match self {
            Self::FixedWindow { align: Align::Clock, .. }
            | Self::SlidingCounter { align: Align::Clock, .. } => ClockKind::Wall,
            _ => ClockKind::Monotonic,
        }
    }

    /// The time on the clock that this algorithm follows.
    #[must_use]
    pub const fn clock(&self, now: Clocks) -> u64 {
        match self.clock_kind() {
            ClockKind::Monotonic => now.instant_ns,
            ClockKind::Wall => now.wall_ns,
        }
    }
}

/// Which of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The monotonic clock.
    Monotonic,
    /// UTC.
    Wall,
}

/// Where windows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At (hash × window) >> 64 plus any multiple of the window: elsewhere for each key.
    Spread,
    /// At multiples of the window since 1970-01-01T00:00:00Z.
    Clock,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// [`Request::cost`].
    Requests,
    /// [`Request::bytes`].
    Bytes,
    /// [`Request::tokens`].
    Tokens,
}

impl Unit {
    /// The unit as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }
}

/// Whose requests a limit counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The service that is called.
    Service,
    /// The user who calls.
    User,
    /// The organisation that the caller belongs to.
    Tenant,
    /// The caller's address: an IPv4 address, or the /64 of an IPv6 address.
    Ip,
    /// The API key.
    Key,
    /// The session.
    Session,
    /// The actor.
    Actor,
    /// The actor, else the session, else the address.
    Client,
    /// The endpoint group.
    Group,
    /// The provider that is called.
    Provider,
    /// `provider:method`, lower case.
    Route,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::User,
        Self::Tenant,
        Self::Ip,
        Self::Key,
        Self::Session,
        Self::Actor,
        Self::Client,
        Self::Group,
        Self::Provider,
        Self::Route,
    ];

    /// The kind as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::Ip => "ip",
            Self::Key => "key",
            Self::Session => "session",
            Self::Actor => "actor",
            Self::Client => "client",
            Self::Group => "group",
            Self::Provider => "provider",
            Self::Route => "route",
        }
    }
}

/// Which names of its kind a limit is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This name only. An address may be any of its /64.
    Exact(String),
    /// Each name, with a bucket of its own.
    Any,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The name, unique among all limits.
    pub name: String,
    /// The kind of its scope.
    pub kind: Kind,
    /// The names of its scope.
    pub pattern: Pattern,
    /// Whether each client under a name has a bucket of its own, or the name has one for all.
    pub per_client: bool,
    /// How it counts.
    pub algorithm: Algorithm,
    /// What it counts.
    pub unit: Unit,
    /// A limit that is not enabled does not exist for a request.
    pub enabled: bool,
}

impl Limit {
    /// An enabled limit on requests for `scope`, written `kind:name` or `kind:*`, and named by it.
    ///
    /// # Panics
    /// If `scope` has no known kind.
    #[must_use]
    pub fn on(scope: &str, algorithm: Algorithm) -> Self {
        let (kind, name) = scope.split_once(':').expect("a scope is written kind:name");
        let kind = *Kind::ALL.iter().find(|known| known.name() == kind).expect("a known kind");
        let pattern = if name == "*" { Pattern::Any } else { Pattern::Exact(name.to_owned()) };
        let (name, per_client, unit, enabled) = (scope.to_owned(), false, Unit::Requests, true);
        Self { name, kind, pattern, per_client, algorithm, unit, enabled }
    }

    /// The same limit under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same limit with a bucket for each client.
    #[must_use]
    pub fn per_client(mut self) -> Self {
        self.per_client = true;
        self
    }

    /// The same limit counting `unit`, which also becomes part of its name.
    #[must_use]
    pub fn counting(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self.name = format!("{}#{}", self.name, unit.name());
        self
    }
}

/// What a request carries. A name that it does not carry matches no limit of that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service that is called.
    pub service: Option<String>,
    /// The user who calls.
    pub user: Option<String>,
    /// The organisation that the caller belongs to.
    pub tenant: Option<String>,
    /// The caller's address.
    pub ip: Option<IpAddr>,
    /// The API key.
    pub key: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The actor.
    pub actor: Option<String>,
    /// The endpoint group.
    pub group: Option<String>,
    /// Whether a route leads its path to the group that is never limited.
    pub exempt: bool,
    /// The provider that is called.
    pub provider: Option<String>,
    /// `provider:method`, lower case.
    pub route: Option<String>,
    /// What limits on bytes charge.
    pub bytes: u64,
    /// What limits on tokens charge.
    pub tokens: u64,
    /// What limits on requests charge.
    pub cost: u64,
}

impl Default for Request {
    /// One request that says nothing of itself.
    fn default() -> Self {
        Self {
            service: None,
            user: None,
            tenant: None,
            ip: None,
            key: None,
            session: None,
            actor: None,
            group: None,
            exempt: false,
            provider: None,
            route: None,
            bytes: 0,
            tokens: 0,
            cost: 1,
        }
    }
}

impl Request {
    /// What a limit that counts `unit` charges for this request.
    #[must_use]
    pub const fn amount(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.cost,
            Unit::Bytes => self.bytes,
            Unit::Tokens => self.tokens,
        }
    }
}
