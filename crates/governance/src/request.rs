//! What is asked: a request, as a gateway, a shell or a log line describes it.

use crate::scope::{IpKey, KeyName, Kind, Name, NameRef};
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
    /// How many requests it counts as.
    pub cost: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its size in tokens of a language model.
    pub tokens: u64,
    /// How urgent it is.
    pub priority: RequestPriority,
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
            cost: 1,
            bytes: 0,
            tokens: 0,
            priority: RequestPriority::Normal,
        }
    }
}

impl Request<'_> {
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
            Kind::Key => request.key.map(KeyName::Text),
            Kind::Session => request.session.map(KeyName::Text),
            Kind::Actor => request.actor.map(KeyName::Text),
            Kind::Client => request.actor.or(request.session).map(KeyName::Text).or_else(ip),
            Kind::Group => self.group.map(KeyName::Text),
            Kind::Provider => request.provider.map(KeyName::Text),
            Kind::Route => request.route.map(KeyName::LowerCase),
        }
    }

    /// The name of the key of `kind`, as it is shown.
    #[must_use]
    pub fn name(&self, kind: Kind) -> Option<Name> {
        self.key(kind).map(KeyName::to_name)
    }
}
