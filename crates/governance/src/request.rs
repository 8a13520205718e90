//! What is asked: a request, as a gateway, a shell or a log line describes it.

use crate::scope::{HashSecret, IpKey, KeyHash, KeyName, Kind, Name, NameRef};
use crate::time::{Instant, Nanos};
use core::cell::Cell;
use core::net::IpAddr;

/// How urgent a request is, most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestPriority {
    /// Bound by a service-level agreement.
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

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// The request's `cost`, which is 1 unless it says otherwise.
    #[default]
    Requests,
    /// Its `bytes`.
    Bytes,
    /// Its `tokens`.
    Tokens,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Bytes, Self::Tokens];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }

    /// The unit that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.word() == word)
    }
}

/// A request to be decided. Every kind of key that it carries is matched against the limits.
///
/// ```
/// use governance::request::Request;
/// use governance::scope::NameRef;
/// let request = Request { service: NameRef::new("github").ok(), ..Request::default() };
/// assert_eq!(request.cost, 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The service that is called.
    pub service: Option<NameRef<'a>>,
    /// The user.
    pub user: Option<NameRef<'a>>,
    /// The customer that the user belongs to.
    pub tenant: Option<NameRef<'a>>,
    /// The address that the request comes from.
    pub ip: Option<IpAddr>,
    /// The API key.
    pub key: Option<NameRef<'a>>,
    /// The session.
    pub session: Option<NameRef<'a>>,
    /// The actor.
    pub actor: Option<NameRef<'a>>,
    /// The group of endpoints; when absent, it follows from the path.
    pub group: Option<NameRef<'a>>,
    /// The provider that an outbound request goes to.
    pub provider: Option<NameRef<'a>>,
    /// Provider and method of an outbound request, `provider:method`.
    pub route: Option<NameRef<'a>>,
    /// The path without its query. An inbound request has one, if only the empty one; an outbound request has none.
    pub path: Option<&'a [u8]>,
    /// The method, such as `post`; multipliers of prices go by it, in any case.
    pub method: Option<NameRef<'a>>,
    /// How many requests it counts as.
    pub cost: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its size in tokens of a language model, in and out together.
    pub tokens: u64,
    /// Those of its tokens that were generated; at most `tokens`.
    pub output_tokens: u64,
    /// The computing time that it takes, in milliseconds: these are the compute units.
    pub compute_ms: u64,
    /// How often it accesses storage.
    pub storage_accesses: u64,
    /// How much of it was answered from a cache.
    pub cache_hits: u64,
    /// Whether its amounts are what it takes, or an estimate to be settled later.
    pub settlement: Settlement,
    /// How urgent it is; none if that follows from the agreement of its service.
    pub priority: Option<RequestPriority>,
    /// When it has to be answered, if its service has a queue; none if that follows from the service's agreement.
    pub deadline: Option<Instant>,
    /// The roles of whoever makes it. Policies go by them.
    pub roles: &'a [NameRef<'a>],
    /// The headers that policies may go by. Of several of one name the first counts.
    pub headers: &'a [Header<'a>],
}

/// A header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, which is compared in any case.
    pub name: &'a str,
    /// Its value, without the blanks around it.
    pub value: &'a [u8],
}

impl Default for Request<'_> {
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
            provider: None,
            route: None,
            path: None,
            method: None,
            cost: 1,
            bytes: 0,
            tokens: 0,
            output_tokens: 0,
            compute_ms: 0,
            storage_accesses: 0,
            cache_hits: 0,
            settlement: Settlement::Final,
            priority: None,
            deadline: None,
            roles: &[],
            headers: &[],
        }
    }
}

/// Whether what a request takes is known when it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settlement {
    /// It is: the amounts are charged as they are.
    #[default]
    Final,
    /// It is not: the amounts are reserved, and what was really taken is told later by the ticket.
    Reserve {
        /// How long the reservation stands before it is given back; at most
        /// [`RESERVED_FOR_MAX`](crate::governor::RESERVED_FOR_MAX).
        expires_in: Nanos,
    },
}

/// What a request takes, in everything that is counted or priced. Every stage is charged from these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many requests it counts as.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Tokens that were generated; at most `tokens`.
    pub output_tokens: u64,
    /// Milliseconds of computing time.
    pub compute_ms: u64,
    /// Accesses to storage.
    pub storage_accesses: u64,
    /// Answers from a cache.
    pub cache_hits: u64,
}

impl Usage {
    /// Nothing.
    pub const ZERO: Self = Self {
        requests: 0,
        bytes: 0,
        tokens: 0,
        output_tokens: 0,
        compute_ms: 0,
        storage_accesses: 0,
        cache_hits: 0,
    };

    /// The tokens that were put in.
    #[must_use]
    pub const fn input_tokens(&self) -> u64 {
        self.tokens.saturating_sub(self.output_tokens)
    }

    /// The amount in `unit`.
    #[must_use]
    pub const fn amount(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Bytes => self.bytes,
            Unit::Tokens => self.tokens,
        }
    }
}

impl Request<'_> {
    /// What the request takes.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            requests: self.cost,
            bytes: self.bytes,
            tokens: self.tokens,
            output_tokens: self.output_tokens,
            compute_ms: self.compute_ms,
            storage_accesses: self.storage_accesses,
            cache_hits: self.cache_hits,
        }
    }

    /// What the request costs in `unit`.
    #[must_use]
    pub const fn amount(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.cost,
            Unit::Bytes => self.bytes,
            Unit::Tokens => self.tokens,
        }
    }
}

/// A request together with the group that its path was found to belong to.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// The group of endpoints, where the request has one.
    pub group: Option<NameRef<'a>>,
}

impl<'a> Subject<'a> {
    /// The key of `kind` that the request carries.
    // Inlined into a loop over kinds, the keys of all kinds would be made before it, whether asked for or not.
    #[inline(never)]
    #[must_use]
    pub fn key(&self, kind: Kind) -> Option<KeyName<'a>> {
        let request = self.request;
        let ip = || request.ip.map(|address| KeyName::Ip(IpKey::from(address)));
        match kind {
            Kind::Service => request.service.map(KeyName::Text),
            Kind::User => request.user.map(KeyName::Text),
            Kind::Tenant => request.tenant.map(KeyName::Text),
            Kind::Ip => ip(),
            Kind::Key => request.key.map(KeyName::ApiKey),
            Kind::Session => request.session.map(KeyName::Session),
            Kind::Actor => request.actor.map(KeyName::Text),
            Kind::Client => {
                request.actor.map(KeyName::Text).or_else(|| request.session.map(KeyName::Session)).or_else(ip)
            }
            Kind::Group => self.group.map(KeyName::Text),
            Kind::Provider => request.provider.map(KeyName::LowerCase),
            Kind::Route => request.route.map(KeyName::LowerCase),
        }
    }

    /// The name of the key of `kind`, as it is shown under the secret of the hash.
    #[must_use]
    pub fn name(&self, secret: &HashSecret, kind: Kind) -> Option<Name> {
        self.key(kind).map(|key| key.to_name(secret))
    }
}

/// The provider that a request goes to: a route names it too.
pub(crate) fn provider<'a>(request: &Request<'a>) -> Option<NameRef<'a>> {
    request.provider.or_else(|| {
        let (provider, _) = request.route?.as_str().split_once(':')?;
        NameRef::new(provider).ok()
    })
}

/// A subject, and the hashes of its keys that are known, so that each stage need not hash the same key again.
#[derive(Debug)]
pub(crate) struct HashedSubject<'a> {
    pub(crate) subject: &'a Subject<'a>,
    /// What the hashes are under.
    secret: HashSecret,
    /// Whether the hash is known, one bit for each kind.
    known: Cell<u16>,
    hashes: [Cell<KeyHash>; Kind::COUNT],
}

impl<'a> HashedSubject<'a> {
    /// A subject of which no hash is known. Those under `secret` will be kept.
    #[inline]
    pub(crate) const fn new(subject: &'a Subject<'a>, secret: HashSecret) -> Self {
        let hashes = [const { Cell::new(KeyHash(0)) }; Kind::COUNT];
        Self { subject, secret, known: Cell::new(0), hashes }
    }

    /// Takes note of the hash of the key of a kind.
    #[inline]
    fn note(&self, kind: Kind, hash: KeyHash) {
        self.known.set(self.known.get() | 1 << kind.index());
        self.hashes[kind.index()].set(hash);
    }

    /// The hash under `secret` of `key`, which is the subject's key of `kind`.
    #[inline]
    pub(crate) fn hash_of(&self, secret: &HashSecret, kind: Kind, key: &KeyName<'_>) -> KeyHash {
        let is_under = self.secret == *secret;
        if is_under && self.known.get() & 1 << kind.index() != 0 {
            return self.hashes[kind.index()].get();
        }
        let hash = secret.hash(kind, *key);
        if is_under {
            self.note(kind, hash);
        }
        hash
    }

    /// The hash under `secret` of the key of `kind`; none if the request carries none.
    #[inline]
    pub(crate) fn hash(&self, secret: &HashSecret, kind: Kind) -> Option<KeyHash> {
        if self.known.get() & 1 << kind.index() != 0 && self.secret == *secret {
            return Some(self.hashes[kind.index()].get());
        }
        self.hash_anew(secret, kind)
    }

    #[inline(never)]
    fn hash_anew(&self, secret: &HashSecret, kind: Kind) -> Option<KeyHash> {
        // By reference: a copy would wait until what it copies is written.
        let Some(key) = &self.subject.key(kind) else { return None };
        Some(self.hash_of(secret, kind, key))
    }
}
