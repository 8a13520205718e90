//! What a limit is: its algorithm, its shape, its name.
//!
//! A [`LimitSpec`] has every value in range. Users describe one in words, which a [`LimitDraft`] collects, and it
//! prints in the same words.

mod draft;

use crate::field::{Amount, Problem, Quoted, SpecError};
use crate::mode::Mode;
use crate::request::Unit;
use crate::scope::{Kind, NAME_BYTES_MAX, Pattern, Scope, ScopeError};
use crate::text::Text;
use crate::time::Nanos;
use crate::units::Rate;
use core::fmt;

pub use draft::{FIELDS, LimitDraft};

/// The longest name of a limit: what its scope and unit make, or what the user wrote.
pub type LimitName = Text<88>;

/// Capacity × period of a bucket and limit × window of a window stay below two to this power, which leaves
/// room for the sums of a decision in 128 bits.
pub const PRODUCT_BITS_MAX: u32 = 100;

/// A bucket that holds `capacity` units and is refilled (or drained) at `rate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketShape {
    /// How much the bucket holds.
    pub capacity: u64,
    /// How fast it refills.
    pub rate: Rate,
}

/// At most `limit` units in a window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowShape {
    /// How much is allowed in a window.
    pub limit: u64,
    /// How long the window is.
    pub window: Nanos,
    /// Where windows begin.
    pub align: Align,
}

/// At most `limit` requests in flight at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConcurrencyShape {
    /// How many may be in flight.
    pub limit: u64,
    /// How long a request counts as in flight when nobody tells that it has ended.
    pub lease: Nanos,
}

/// Where windows begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At a phase that follows from the hash of the key, so that not all keys reset at once.
    #[default]
    Spread,
    /// At multiples of the window since 1970-01-01T00:00:00Z, of the wall clock.
    Clock,
}

impl Align {
    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Clock => "clock",
        }
    }
}

/// Who has a bucket of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// Each name that the scope matches.
    #[default]
    Name,
    /// Each client under each of those names: the actor, else the session, else the address. Requests without any of
    /// these are together one client, which is called [`NameRef::NOBODY`](crate::scope::NameRef::NOBODY).
    Client,
}

impl Per {
    /// The words that users write. Where there is none, it is [`Per::Name`].
    pub const WORDS: [&'static str; 1] = ["client"];
}

/// How a limit decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateLimitAlgorithm {
    /// Always allows, and takes the place of a wildcard limit.
    #[default]
    Unlimited,
    /// Always refuses.
    Ban,
    /// A bucket of tokens that refills at a rate.
    TokenBucket(BucketShape),
    /// A leaky bucket as a meter: what does not fit is refused.
    LeakyBucket(BucketShape),
    /// A leaky bucket as a queue: what fits is told how long to wait for its turn.
    LeakyQueue(BucketShape),
    /// A count that starts again with each window. At worst twice the limit passes within one window's length.
    FixedWindow(WindowShape),
    /// Two counts, the earlier one weighted by how much of it is still inside the window. It prevents twice the
    /// limit at once, but at worst nearly twice the limit still passes within some window's length.
    SlidingWindow(WindowShape),
    /// The exact sum over the last window, from a log of what was charged: a hard ceiling. How long a refused request
    /// has to wait is exact where at most 1024 charges have to pass for it, and else the time until all have.
    SlidingLog(WindowShape),
    /// A count of the requests in flight, one for each whatever it costs; a request of cost 0 is none. Each needs a
    /// ticket, by which it ends or after whose lease it counts as ended. A refused request is told to wait for one
    /// lease: by then every one that runs now has ended.
    Concurrency(ConcurrencyShape),
}

impl RateLimitAlgorithm {
    /// The words that users write.
    pub const WORDS: [&'static str; 9] = [
        "token-bucket",
        "leaky-bucket",
        "leaky-queue",
        "sliding-window",
        "sliding-log",
        "fixed-window",
        "unlimited",
        "ban",
        "concurrency",
    ];

    /// The word that users write.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::TokenBucket(_) => "token-bucket",
            Self::LeakyBucket(_) => "leaky-bucket",
            Self::LeakyQueue(_) => "leaky-queue",
            Self::SlidingWindow(_) => "sliding-window",
            Self::SlidingLog(_) => "sliding-log",
            Self::FixedWindow(_) => "fixed-window",
            Self::Unlimited => "unlimited",
            Self::Ban => "ban",
            Self::Concurrency(_) => "concurrency",
        }
    }

    /// The algorithm that `word` stands for, of no size.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let (bucket, window) = (BucketShape::default(), WindowShape::default());
        [
            Self::TokenBucket(bucket),
            Self::LeakyBucket(bucket),
            Self::LeakyQueue(bucket),
            Self::FixedWindow(window),
            Self::SlidingWindow(window),
            Self::SlidingLog(window),
            Self::Unlimited,
            Self::Ban,
            Self::Concurrency(ConcurrencyShape::default()),
        ]
        .into_iter()
        .find(|algorithm| algorithm.word() == word)
    }

    /// Whether its windows begin anywhere in particular.
    #[must_use]
    pub const fn can_align(&self) -> bool {
        matches!(self, Self::FixedWindow(_) | Self::SlidingWindow(_))
    }

    /// The fields of a limit that the algorithm takes, in words.
    #[must_use]
    pub const fn fields(&self) -> &'static str {
        match self {
            Self::TokenBucket(_) | Self::LeakyBucket(_) | Self::LeakyQueue(_) => "capacity and rate",
            Self::FixedWindow(_) | Self::SlidingWindow(_) => "limit, window and align",
            Self::SlidingLog(_) => "limit and window",
            Self::Unlimited | Self::Ban => "neither bucket nor window",
            Self::Concurrency(_) => "limit and lease",
        }
    }

    /// The bucket's shape, where the algorithm has a bucket.
    #[must_use]
    pub const fn bucket(&self) -> Option<BucketShape> {
        match self {
            Self::TokenBucket(shape) | Self::LeakyBucket(shape) | Self::LeakyQueue(shape) => Some(*shape),
            _ => None,
        }
    }

    /// The window's shape, where the algorithm has a window.
    #[must_use]
    pub const fn window(&self) -> Option<WindowShape> {
        match self {
            Self::FixedWindow(shape) | Self::SlidingWindow(shape) | Self::SlidingLog(shape) => Some(*shape),
            _ => None,
        }
    }

    /// How many may be in flight and for how long, where the algorithm counts that.
    #[must_use]
    pub const fn concurrency(&self) -> Option<ConcurrencyShape> {
        match self {
            Self::Concurrency(shape) => Some(*shape),
            _ => None,
        }
    }

    /// The most that can ever be charged at once, where there is such a bound.
    #[must_use]
    pub const fn capacity(&self) -> Option<u64> {
        match (self.bucket(), self.window(), self.concurrency()) {
            (Some(shape), _, _) => Some(shape.capacity),
            (None, Some(shape), _) => Some(shape.limit),
            (None, None, Some(shape)) => Some(shape.limit),
            (None, None, None) => None,
        }
    }
}

/// One limit with every value in range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// Its name, unique among all limits.
    pub name: LimitName,
    /// Who it is for.
    pub scope: Scope,
    /// Who of them has a bucket of its own.
    pub per: Per,
    /// How it decides.
    pub algorithm: RateLimitAlgorithm,
    /// What it counts.
    pub unit: Unit,
    /// Whether it is looked at.
    pub state: LimitState,
    /// What a refusal of it does.
    pub mode: Mode,
}

/// Whether a limit is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitState {
    /// It is.
    #[default]
    Enabled,
    /// It keeps its place and its state, and is not looked at.
    Disabled,
}

impl LimitSpec {
    /// All-zero: what fills a place where no limit is. It has no name, so that [`LimitSpec::check`] refuses it.
    pub(crate) const EMPTY: Self = Self {
        name: Text::EMPTY,
        scope: Scope { kind: Kind::Service, pattern: Pattern::Any },
        per: Per::Name,
        algorithm: RateLimitAlgorithm::Unlimited,
        unit: Unit::Requests,
        state: LimitState::Enabled,
        mode: Mode::Enforce,
    };

    /// A spec named after its scope and unit.
    ///
    /// # Errors
    /// [`SpecError`] if a value is out of range.
    pub fn new(scope: Scope, algorithm: RateLimitAlgorithm, unit: Unit) -> Result<Self, SpecError> {
        let name = default_name(&scope, unit);
        let (state, mode) = (LimitState::Enabled, Mode::Enforce);
        let spec = Self { name, scope, per: Per::Name, algorithm, unit, state, mode };
        spec.check()?;
        Ok(spec)
    }

    /// Whether the name is the one that scope and unit make.
    #[must_use]
    pub fn has_default_name(&self) -> bool {
        self.name == default_name(&self.scope, self.unit)
    }

    /// Whether every value is in range. The fields are open, so that whoever keeps a spec asks.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.name.is_empty() && !self.scope.is_secret() {
            return Err(SpecError { field: "name", problem: Problem::Name(ScopeError::EmptyName) });
        }
        check_name(self.name.as_str(), &self.scope)?;
        if self.per == Per::Client && self.algorithm.capacity().is_none() {
            let algorithm = self.algorithm.word();
            let takes = "neither bucket nor window: clients have nothing of their own there";
            let problem = Problem::NotWith { field: "algorithm", value: algorithm, takes };
            return Err(SpecError { field: "per", problem });
        }
        if let Some(shape) = self.algorithm.bucket() {
            positive("capacity", shape.capacity)?;
            positive("rate", shape.rate.count)?;
            positive("rate", shape.rate.period.0)?;
            product("capacity", shape.capacity, shape.rate.period)?;
        }
        if let Some(shape) = self.algorithm.window() {
            positive("limit", shape.limit)?;
            positive("window", shape.window.0)?;
            product("limit", shape.limit, shape.window)?;
        }
        if let Some(shape) = self.algorithm.concurrency() {
            positive("limit", shape.limit)?;
            positive("lease", shape.lease.0)?;
            let expected = |field, what| Err(SpecError { field, problem: Problem::Expected(what) });
            if self.unit != Unit::Requests {
                return expected("unit", "requests, which is what can be in flight");
            }
            if self.mode == Mode::Shadow {
                return expected(
                    "mode",
                    "enforce: what is in flight is known by the tickets that this makes",
                );
            }
        }
        Ok(())
    }
}

/// Whether a name goes with its scope: it is shown wherever the limit or quota decides, and a secret is not to be.
pub(crate) fn check_name(name: &str, scope: &Scope) -> Result<(), SpecError> {
    let Some(secret) = scope.secret() else { return Ok(()) };
    let problem = if name.is_empty() {
        let what = if scope.kind == Kind::Key { "key:NAME" } else { "session:NAME" };
        Problem::MissingFor("scope", what)
    } else if name == secret || name.split_once(':').is_some_and(|(_, rest)| rest.starts_with(secret)) {
        Problem::Expected("one that does not tell the secret of the scope, since it is shown")
    } else {
        return Ok(());
    };
    Err(SpecError { field: "name", problem })
}

fn positive(field: &'static str, value: u64) -> Result<(), SpecError> {
    if value == 0 { Err(SpecError { field, problem: Problem::Zero }) } else { Ok(()) }
}

fn product(field: &'static str, amount: u64, period: Nanos) -> Result<(), SpecError> {
    if (u128::from(amount) * u128::from(period.0)) >> PRODUCT_BITS_MAX == 0 {
        Ok(())
    } else {
        Err(SpecError { field, problem: Problem::ProductTooLarge })
    }
}

/// The name that scope and unit make: none for a secret.
fn default_name(scope: &Scope, unit: Unit) -> LimitName {
    if scope.is_secret() {
        return LimitName::EMPTY;
    }
    // Kind, name and unit are bounded so that this fits: see the assertion below.
    match unit {
        Unit::Requests => LimitName::format(format_args!("{scope}")),
        _ => LimitName::format(format_args!("{scope}#{}", unit.word())),
    }
    .unwrap_or_default()
}

const _: () = assert!("provider".len() + 1 + NAME_BYTES_MAX + "#requests".len() <= 88);

/// Writes a limit as an element of `[[limit]]`, in the words that read back to it.
impl fmt::Display for LimitSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[limit]]")?;
        writeln!(
            f,
            "scope = {}",
            Quoted(Text::<88>::format(format_args!("{}", self.scope.written())).unwrap_or_default().as_str())
        )?;
        if !self.has_default_name() {
            writeln!(f, "name = {}", Quoted(self.name.as_str()))?;
        }
        if self.per == Per::Client {
            writeln!(f, "per = \"client\"")?;
        }
        writeln!(f, "algorithm = \"{}\"", self.algorithm.word())?;
        if let Some(shape) = self.algorithm.bucket() {
            writeln!(f, "capacity = {}\nrate = \"{}\"", Amount(shape.capacity), shape.rate)?;
        }
        if let Some(shape) = self.algorithm.window() {
            writeln!(f, "limit = {}\nwindow = \"{}\"", Amount(shape.limit), shape.window)?;
            if shape.align != Align::Spread {
                writeln!(f, "align = \"{}\"", shape.align.word())?;
            }
        }
        if let Some(shape) = self.algorithm.concurrency() {
            writeln!(f, "limit = {}\nlease = \"{}\"", Amount(shape.limit), shape.lease)?;
        }
        if self.unit != Unit::Requests {
            writeln!(f, "unit = \"{}\"", self.unit.word())?;
        }
        if self.state == LimitState::Disabled {
            writeln!(f, "enabled = false")?;
        }
        if self.mode != Mode::Enforce {
            writeln!(f, "mode = \"{}\"", self.mode.word())?;
        }
        Ok(())
    }
}
