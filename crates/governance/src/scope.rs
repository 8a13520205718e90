//! Who a limit is for: kinds of keys, names, scopes, and how a key is hashed.
//!
//! A scope is written `kind:name`; the kind ends at the first `:`, and the name `*` stands for each name
//! of that kind. IPv6 addresses are keyed by their /64 network, routes are lower case. A key is hashed with
//! SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input PRF") under a secret, so that nobody
//! outside can aim names at one place of the table.
//!
//! API keys and sessions are secrets of those who bear them: whoever reads one can use it. Their names are made to be
//! hashed only; what is stored and shown is a fingerprint, `#` and the first 32 bits of the keyed hash. Nothing here
//! prints one in plain but [`Scope::written`], which is for the configuration.

use crate::text::Text;
use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use siphasher::sip::SipHasher13;

/// The longest name in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A name, held in place.
pub type Name = Text<NAME_BYTES_MAX>;

/// Which bucket of a limit is stored for whom: the key, ` client:` and the client where each has a bucket of its own.
pub type BucketName = Text<{ 2 * NAME_BYTES_MAX + " client:".len() }>;

/// What a key stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The service that is called.
    #[default]
    Service,
    /// The user on whose behalf the request is made.
    User,
    /// The customer that the user belongs to.
    Tenant,
    /// The address that the request comes from.
    Ip,
    /// The API key that the request carries.
    Key,
    /// The session that the request belongs to.
    Session,
    /// The actor that the request names.
    Actor,
    /// The actor, else the session, else the address.
    Client,
    /// The group of endpoints that the path belongs to.
    Group,
    /// The provider that an outbound request goes to.
    Provider,
    /// The provider and method of an outbound request, `provider:method`.
    Route,
}

impl Kind {
    /// Every kind, in the order of their numbers.
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

    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
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

    /// The kind that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The kind's place in [`Kind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a name or a scope was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// A name has no character.
    EmptyName,
    /// A name is longer than [`NAME_BYTES_MAX`].
    LongName {
        /// Its length in bytes.
        bytes: usize,
    },
    /// There is no `:` after the kind.
    NoKind,
    /// The kind is not one of [`Kind::ALL`].
    UnknownKind,
    /// The name of an `ip` scope is not an address.
    NotAnAddress,
    /// A name holds a control character.
    ControlCharacter,
    /// It is not the name of a provider or a method: it holds `:` or `*`.
    NotARoute,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str("the name is empty; expected 1 to 64 bytes"),
            Self::LongName { bytes } => {
                write!(f, "the name has {bytes} bytes; at most {NAME_BYTES_MAX} are allowed")
            }
            Self::NoKind => f.write_str("expected kind:name, such as service:web or ip:*"),
            Self::UnknownKind => {
                f.write_str("unknown kind; expected one of")?;
                for (index, kind) in Kind::ALL.iter().enumerate() {
                    write!(f, "{}{kind}", if index == 0 { " " } else { ", " })?;
                }
                Ok(())
            }
            Self::NotAnAddress => f.write_str("expected an IPv4 or IPv6 address"),
            Self::ControlCharacter => f.write_str("the name holds a control character"),
            Self::NotARoute => f.write_str("expected a provider and a method without ':' and '*'"),
        }
    }
}

impl core::error::Error for ScopeError {}

/// A borrowed name of 1 to [`NAME_BYTES_MAX`] bytes. A request may bear any such name, and whoever prints one makes
/// its control characters visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRef<'a>(&'a str);

impl NameRef<'static> {
    /// The name of the group that a path belongs to when no route says otherwise.
    pub(crate) const DEFAULT_GROUP: Self = Self(crate::routes::DEFAULT_GROUP);
    /// The tenant of requests without one.
    pub const NOBODY: Self = Self(crate::cost::NOBODY);
}

impl<'a> NameRef<'a> {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`ScopeError::EmptyName`] or [`ScopeError::LongName`].
    #[inline]
    pub fn new(name: &'a str) -> Result<Self, ScopeError> {
        if name.is_empty() {
            Err(ScopeError::EmptyName)
        } else if name.len() > NAME_BYTES_MAX {
            Err(ScopeError::LongName { bytes: name.len() })
        } else {
            Ok(Self(name))
        }
    }

    /// Checks a name that is configured, and that has to read back from a configuration that shows it.
    ///
    /// # Errors
    /// As [`NameRef::new`], or [`ScopeError::ControlCharacter`].
    pub fn printable(name: &'a str) -> Result<Self, ScopeError> {
        if name.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ScopeError::ControlCharacter);
        }
        Self::new(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The name, held in place.
    #[must_use]
    pub fn to_name(self) -> Name {
        // At most NAME_BYTES_MAX long by construction.
        Name::new(self.0).unwrap_or_default()
    }
}

/// An address as a key: an IPv4 address, or the /64 network of an IPv6 address.
///
/// ```
/// use governance::scope::IpKey;
/// let key = |text: &str| IpKey::from(text.parse::<core::net::IpAddr>().unwrap()).to_string();
/// assert_eq!(key("203.0.113.9"), "203.0.113.9");
/// assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
/// assert_eq!(key("::ffff:203.0.113.9"), "203.0.113.9");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpKey {
    /// An IPv4 address, also one that was written as an IPv4-mapped IPv6 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address, as a number.
    V6Network(u64),
}

impl From<IpAddr> for IpKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6Network(network(address)),
        }
    }
}

impl IpKey {
    fn parse(text: &str) -> Result<Self, ScopeError> {
        match text.strip_suffix("/64") {
            // A network is IPv6 also where an address in it would stand for an IPv4 host.
            Some(address) => address.parse().map(network).map(Self::V6Network),
            None => text.parse::<IpAddr>().map(Self::from),
        }
        .map_err(|_| ScopeError::NotAnAddress)
    }
}

impl fmt::Display for IpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6Network(network) => {
                write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64))
            }
        }
    }
}

fn network(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64
}

/// The name part of a key that a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName<'a> {
    /// A name as it was given.
    Text(NameRef<'a>),
    /// A route, to be taken in lower case.
    LowerCase(NameRef<'a>),
    /// An address.
    Ip(IpKey),
    /// An API key, which is shown as its fingerprint.
    ApiKey(NameRef<'a>),
    /// A session, which is shown as its fingerprint, also where it stands in for a client.
    Session(NameRef<'a>),
}

impl<'a> KeyName<'a> {
    /// The client of requests that have neither actor nor session nor address.
    pub(crate) const NO_CLIENT: KeyName<'static> = KeyName::Text(NameRef::NOBODY);

    /// The key that `name` stands for among keys of `kind`.
    ///
    /// # Errors
    /// [`ScopeError`] if the name is empty, too long, or not an address where one is needed.
    pub fn parse(kind: Kind, name: &'a str) -> Result<Self, ScopeError> {
        let checked = NameRef::new(name)?;
        match kind {
            Kind::Ip => IpKey::parse(name).map(Self::Ip),
            Kind::Route | Kind::Provider => Ok(Self::LowerCase(checked)),
            Kind::Key => Ok(Self::ApiKey(checked)),
            Kind::Session => Ok(Self::Session(checked)),
            // An address that stands in for a client is not the actor who bears it as a name.
            Kind::Client => Ok(IpKey::parse(name).map_or(Self::Text(checked), Self::Ip)),
            _ => Ok(Self::Text(checked)),
        }
    }

    /// The name as it is shown and stored: of a secret, its fingerprint under the secret of the hash.
    ///
    /// ```
    /// use governance::scope::{HashSecret, KeyName, Kind};
    /// let secret = HashSecret::from_seed(7);
    /// let shown = |kind, name| KeyName::parse(kind, name).unwrap().to_name(&secret).as_str().to_string();
    /// assert_eq!(shown(Kind::User, "ada"), "ada");
    /// assert_eq!(shown(Kind::Key, "sk-123").len(), "#1f2e3d4c".len());
    /// ```
    #[must_use]
    pub fn to_name(self, secret: &HashSecret) -> Name {
        match self {
            Self::ApiKey(_) => fingerprint(secret.hash(Kind::Key, self)),
            Self::Session(_) => fingerprint(secret.hash(Kind::Session, self)),
            _ => self.to_plain_name(),
        }
    }

    /// The name in its canonical form, whether or not it is a secret.
    pub(crate) fn to_plain_name(self) -> Name {
        let mut name = Name::EMPTY;
        // Names are at most NAME_BYTES_MAX long by construction, and addresses are shorter.
        let _ = match self {
            Self::Text(text) | Self::ApiKey(text) | Self::Session(text) => {
                fmt::Write::write_str(&mut name, text.as_str())
            }
            Self::LowerCase(text) => text
                .as_str()
                .chars()
                .try_for_each(|character| fmt::Write::write_char(&mut name, character.to_ascii_lowercase())),
            Self::Ip(address) => fmt::Write::write_fmt(&mut name, format_args!("{address}")),
        };
        name
    }
}

/// What is shown of a secret.
fn fingerprint(hash: KeyHash) -> Name {
    Name::format(format_args!("#{:08x}", hash.0 >> 32)).unwrap_or_default()
}

/// Which bucket of a limit is meant: what stands in for all that its scope leaves open.
///
/// A limit of an exact scope has one bucket and needs nothing; one of a wildcard scope needs the key. One that counts
/// per client needs the client beside that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketKey<'a> {
    /// The key, for a wildcard scope.
    pub key: Option<KeyName<'a>>,
    /// The client, for a limit per client.
    pub client: Option<KeyName<'a>>,
}

impl<'a> From<Option<KeyName<'a>>> for BucketKey<'a> {
    fn from(key: Option<KeyName<'a>>) -> Self {
        Self { key, client: None }
    }
}

/// Which names of a kind a limit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Each name has a bucket of its own: `*`.
    #[default]
    Any,
    /// One name, in its canonical form.
    Exact(Name),
}

/// A kind and the names that are meant.
///
/// ```
/// use governance::scope::Scope;
/// assert_eq!(Scope::parse("ip:2001:DB8::7").unwrap().to_string(), "ip:2001:db8::/64");
/// assert_eq!(Scope::parse("route:OpenAI:POST").unwrap().to_string(), "route:openai:post");
/// assert!(Scope::parse("web").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// What the keys stand for.
    pub kind: Kind,
    /// Which of them.
    pub pattern: Pattern,
}

impl Scope {
    /// Reads `kind:name` or `kind:*` and brings the name to its canonical form.
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (kind, name) = text.split_once(':').ok_or(ScopeError::NoKind)?;
        let kind = Kind::from_word(kind).ok_or(ScopeError::UnknownKind)?;
        let pattern = if name == "*" {
            Pattern::Any
        } else {
            Pattern::Exact(KeyName::parse(kind, NameRef::printable(name)?.as_str())?.to_plain_name())
        };
        Ok(Self { kind, pattern })
    }

    /// Whether it is that of one outbound route `provider:method`, or of each.
    pub(crate) fn is_of_routes(&self) -> bool {
        let is_meant = match &self.pattern {
            Pattern::Any => true,
            Pattern::Exact(name) => is_provider_and_method(name.as_str()),
        };
        self.kind == Kind::Route && is_meant
    }

    /// The key of an exact scope.
    #[must_use]
    pub fn key(&self) -> Option<KeyName<'_>> {
        match &self.pattern {
            Pattern::Any => None,
            Pattern::Exact(name) => KeyName::parse(self.kind, name.as_str()).ok(),
        }
    }
}

impl Scope {
    /// Whether it names an API key or a session, which nobody is to read.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.secret().is_some()
    }

    /// The API key or the session that it names.
    pub(crate) fn secret(&self) -> Option<&str> {
        match (self.kind, &self.pattern) {
            (Kind::Key | Kind::Session, Pattern::Exact(name)) => Some(name.as_str()),
            _ => None,
        }
    }

    /// The scope with the fingerprint of its name where that is a secret.
    pub fn shown(&self, secret: &HashSecret) -> impl fmt::Display + use<> {
        let (kind, name) = (self.kind, self.key().map(|key| key.to_name(secret)));
        fmt::from_fn(move |f| match &name {
            Some(name) => write!(f, "{kind}:{name}"),
            None => write!(f, "{kind}:*"),
        })
    }

    /// The scope as a configuration has it, secrets in plain.
    pub fn written(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| match &self.pattern {
            Pattern::Any => write!(f, "{}:*", self.kind),
            Pattern::Exact(name) => write!(f, "{}:{name}", self.kind),
        })
    }
}

/// Written as it reads back, but for a secret, of which nothing but the kind is printed.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() { write!(f, "{}:(secret)", self.kind) } else { self.written().fmt(f) }
    }
}

/// Whether a name is that of one outbound route: `provider:method`, neither of them empty.
pub(crate) fn is_provider_and_method(name: &str) -> bool {
    let is_part = |part: &str| !part.trim().is_empty() && !part.contains([':', '*']);
    name.split_once(':').is_some_and(|(provider, method)| is_part(provider) && is_part(method))
}

/// The hash of a key, 64 bits of a keyed function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u64);

/// The secret under which keys are hashed. A kernel draws it at boot; a replay uses its seed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct HashSecret {
    /// The first half.
    pub k0: u64,
    /// The second half.
    pub k1: u64,
}

/// Not even its own secret is printed.
impl fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret(..)")
    }
}

impl HashSecret {
    /// The secret of a run that can be repeated: the seed, and zero.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { k0: seed, k1: 0 }
    }

    /// Hashes a key: its kind, the form and the length of its name, the name.
    #[must_use]
    #[inline(always)] // not to copy the name's description on the path of every decision
    pub fn hash(&self, kind: Kind, name: KeyName<'_>) -> KeyHash {
        let (four, eight);
        let (form, name): (u8, &[u8]) = match name {
            // Typed by an operator as the name of a client, a session is no more than a text.
            KeyName::Text(text) | KeyName::ApiKey(text) | KeyName::Session(text) => {
                (0, text.as_str().as_bytes())
            }
            KeyName::LowerCase(text) => return self.hash_lower_case(kind, text),
            KeyName::Ip(IpKey::V4(address)) => {
                four = address.octets();
                (1, &four)
            }
            KeyName::Ip(IpKey::V6Network(network)) => {
                eight = network.to_be_bytes();
                (2, &eight)
            }
        };
        self.hash_parts(kind, form, name, |word| word)
    }

    /// The hash of a client under a key, for limits per client.
    #[must_use]
    pub fn hash_client(&self, key: KeyHash, client: KeyName<'_>) -> KeyHash {
        self.hash_both(key, self.hash(Kind::Client, client))
    }

    /// The hash of two hashes in their order.
    pub(crate) fn hash_both(&self, one: KeyHash, other: KeyHash) -> KeyHash {
        KeyHash(self.hash_numbers([one.0, other.0].into_iter()))
    }

    /// A hash of numbers in their order.
    pub(crate) fn hash_numbers(&self, numbers: impl Iterator<Item = u64>) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.k0, self.k1);
        numbers.for_each(|number| hasher.write_u64(number));
        hasher.finish()
    }

    #[inline(never)]
    fn hash_lower_case(&self, kind: Kind, name: NameRef<'_>) -> KeyHash {
        self.hash_parts(kind, 0, name.as_str().as_bytes(), lower_case)
    }

    /// Kind, form and length choose a key of their own, so that the parts of a key are told apart as if they stood in
    /// front of the name, and the name is read in whole words, the last one filled up with zeros: without copying
    /// it, and without a branch on how many bytes are left, which a processor would guess wrong for every other name.
    /// `read` is what becomes of each word.
    #[inline(always)]
    fn hash_parts(&self, kind: Kind, form: u8, name: &[u8], read: impl Fn(u64) -> u64) -> KeyHash {
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let parts = u64::from_le_bytes([kind as u8, form, length, 0, 0, 0, 0, 0]);
        let mut hasher = SipHasher13::new_with_keys(self.k0, self.k1 ^ parts);
        let (words, rest) = name.as_chunks();
        for word in words {
            hasher.write_u64(read(u64::from_le_bytes(*word)));
        }
        hasher.write_u64(read(match name.last_chunk() {
            // What is left are the highest bytes, at most seven, of the name's last eight.
            Some(end) => u64::from_le_bytes(*end) >> 8 >> (8 * (7 - rest.len() % 8)),
            None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        }));
        KeyHash(hasher.finish())
    }
}

/// Eight bytes with each ASCII capital as its small letter.
#[inline(always)]
const fn lower_case(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // Without their highest bits, no sum carries into the next byte.
    let low = word & !HIGH;
    let from_a = low.wrapping_add(EACH * (0x80 - b'A' as u64));
    let above_z = low.wrapping_add(EACH * (0x7f - b'Z' as u64));
    let capitals = from_a & !above_z & !word & HIGH;
    word | capitals >> 2
}

#[cfg(test)]
mod tests {
    use super::{HashSecret, KeyName, Kind, NAME_BYTES_MAX, NameRef, Pattern, Scope, ScopeError};

    #[test]
    fn scopes_are_read_with_the_kind_up_to_the_first_colon() {
        let scope = Scope::parse("route:openai:post").unwrap();
        assert_eq!(scope.kind, Kind::Route);
        assert_eq!(scope.key().unwrap().to_name(&HashSecret::default()).as_str(), "openai:post");
        assert_eq!(Scope::parse("ip:*").unwrap().pattern, Pattern::Any);
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
            assert_eq!(Kind::ALL[kind.index()], kind);
        }
    }

    #[test]
    fn every_byte_is_made_small_as_text_is() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                for around in [0, b'A', b'Z', b'z', u8::MAX] {
                    let mut bytes = [around; 8];
                    bytes[place] = byte;
                    let lower = super::lower_case(u64::from_le_bytes(bytes)).to_le_bytes();
                    bytes.make_ascii_lowercase();
                    assert_eq!(lower, bytes);
                }
            }
        }
    }

    #[test]
    fn bad_scopes_are_named() {
        assert_eq!(Scope::parse("web"), Err(ScopeError::NoKind));
        assert_eq!(Scope::parse("planet:mars"), Err(ScopeError::UnknownKind));
        assert_eq!(Scope::parse("service:"), Err(ScopeError::EmptyName));
        assert_eq!(
            Scope::parse(&format!("user:{}", "x".repeat(65))),
            Err(ScopeError::LongName { bytes: 65 })
        );
        assert!(Scope::parse(&format!("user:{}", "x".repeat(64))).is_ok());
        assert_eq!(Scope::parse("ip:300.1.2.3"), Err(ScopeError::NotAnAddress));
        assert_eq!(Scope::parse("user:a\nb"), Err(ScopeError::ControlCharacter));
    }

    #[test]
    fn a_request_may_bear_what_a_configuration_may_not() {
        assert!(NameRef::new("a\nb").is_ok());
        assert_eq!(NameRef::printable("a\nb"), Err(ScopeError::ControlCharacter));
        assert_eq!(NameRef::printable("a\u{7f}"), Err(ScopeError::ControlCharacter));
        assert!(NameRef::printable("ä b").is_ok());
    }

    #[test]
    fn addresses_have_one_spelling() {
        for (written, shown) in [
            ("ip:203.0.113.9", "ip:203.0.113.9"),
            ("ip:::ffff:203.0.113.9", "ip:203.0.113.9"),
            ("ip:::ffff:203.0.113.9/64", "ip:::/64"),
            ("ip:2001:0db8:0:0::1", "ip:2001:db8::/64"),
            ("ip:2001:db8::/64", "ip:2001:db8::/64"),
        ] {
            let scope = Scope::parse(written).unwrap();
            assert_eq!(scope.to_string(), shown);
            assert_eq!(Scope::parse(shown), Ok(scope), "what is shown reads back");
        }
    }

    #[test]
    fn every_byte_of_a_name_counts_and_so_does_its_length() {
        let secret = HashSecret { k0: 1, k1: 2 };
        let hash = |name: &str| secret.hash(Kind::User, KeyName::Text(NameRef::new(name).unwrap())).0;
        let mut seen = std::collections::HashSet::new();
        for length in 1..=NAME_BYTES_MAX {
            assert!(seen.insert(hash(&"a".repeat(length))), "{length} bytes");
            for place in 0..length {
                let name = format!("{}b{}", "a".repeat(place), "a".repeat(length - place - 1));
                assert!(seen.insert(hash(&name)), "{name}");
            }
        }
    }

    #[test]
    fn keys_differ_by_kind_by_name_and_by_secret() {
        let secret = HashSecret { k0: 1, k1: 2 };
        let text = |name| KeyName::Text(NameRef::new(name).unwrap());
        let base = secret.hash(Kind::User, text("abc"));
        assert_eq!(base, secret.hash(Kind::User, text("abc")));
        assert_ne!(base, secret.hash(Kind::Actor, text("abc")));
        assert_ne!(base, secret.hash(Kind::User, text("ab")));
        assert_ne!(base, HashSecret { k0: 1, k1: 3 }.hash(Kind::User, text("abc")));
        let route = |name| secret.hash(Kind::Route, KeyName::parse(Kind::Route, name).unwrap());
        assert_eq!(route("OpenAI:POST"), route("openai:post"));
        let address = KeyName::parse(Kind::Ip, "1.2.3.4").unwrap();
        assert_eq!(KeyName::parse(Kind::Client, "1.2.3.4"), Ok(address));
        assert_ne!(secret.hash(Kind::Client, address), secret.hash(Kind::Client, text("1.2.3.4")));
    }
}
