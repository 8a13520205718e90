//! Traffic control: the loop guard for everything, and for each outbound scope `route:provider:method` a circuit breaker,
//! a retry policy with its budget, and counters.
//!
//! A scope is there from the start if a breaker or a retry policy is configured for it by name; others are made from the
//! template `route:*` when a call of theirs is first let pass, and make room for others when they have not been called for
//! [`SCOPE_IDLE`] and have nothing to remember. Nothing that happens in one scope touches another. All-zero when empty.

mod call;
mod configure;
mod counters;
mod rules;
mod view;

use crate::breaker::{
    BreakerCause, BreakerPermit, BreakerSpec, BreakerState, BreakerTransition, CircuitBreaker,
};
use crate::chained_table::{ChainedTable, Place};
use crate::loop_guard::LoopGuard;
use crate::notice::Notices;
use crate::retry::{RetryBudget, RetrySpec};
use crate::scope::{HashSecret, KeyName, Kind, Name, NameRef};
use crate::time::{Instant, Nanos, WallTime};
pub use call::CallReport;
pub(crate) use call::{Call, CallCheck};
pub use configure::TrafficError;
pub(crate) use configure::{check_rule, check_rules};
pub use counters::CallCounters;
use rules::Rules;
pub use view::ScopeView;

/// How many outbound scopes there can be at a time.
pub const SCOPES_MAX: usize = 64;
/// How many breakers, and how many retry policies, can be configured: one for each scope, and one for all others.
pub const RULES_MAX: usize = SCOPES_MAX + 1;
/// How long a scope of the template was not called that makes room for another one.
pub const SCOPE_IDLE: Nanos = Nanos::from_seconds(600);
/// How many scopes are looked at for one that is idle.
const IDLE_LOOKS: usize = 8;
/// How many changes of breakers are kept.
pub const TRANSITIONS_KEPT: usize = 128;

/// Names an outbound scope for as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeId(Place);

/// What a ticket holds of a call that goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallHold {
    place: Place,
    permit: BreakerPermit,
}

/// A breaker has changed its state.
#[derive(Clone, Copy, Debug)]
pub struct BreakerNotice {
    /// When.
    pub at: WallTime,
    /// The scope, as `provider:method`.
    pub scope: Name,
    /// From which state to which, and why.
    pub transition: BreakerTransition,
}

impl BreakerNotice {
    const EMPTY: Self = Self {
        at: WallTime(0),
        scope: Name::EMPTY,
        transition: BreakerTransition {
            at: Instant(0),
            from: BreakerState::Closed,
            to: BreakerState::Closed,
            why: BreakerCause::Failures,
        },
    };
}

/// One outbound scope.
#[derive(Clone, Copy, Debug)]
struct OutboundScope {
    name: Name,
    /// The number of its breaker among those that are configured, plus one; 0 if it has none.
    breaker_rule: u8,
    /// The number of its retry policy, in the same way.
    retry_rule: u8,
    breaker: CircuitBreaker,
    budget: RetryBudget,
    counters: CallCounters,
    /// Calls whose outcome is still to come.
    open: u32,
    /// Whether it is configured by its name, and has its place for as long as it is.
    is_named: bool,
    /// When it was called last.
    used_at: Instant,
    /// The state of the generator of its jitter: its own, so that no other scope's calls change it.
    random: u64,
}

impl OutboundScope {
    const EMPTY: Self = Self {
        name: Name::EMPTY,
        breaker_rule: 0,
        retry_rule: 0,
        breaker: CircuitBreaker::EMPTY,
        budget: RetryBudget::EMPTY,
        counters: CallCounters::ZERO,
        open: 0,
        is_named: false,
        used_at: Instant(0),
        random: 0,
    };
}

/// The traffic controller.
#[derive(Debug)]
pub struct TrafficController {
    /// The loop guard, the hard cap and degraded mode.
    pub guard: LoopGuard,
    breakers: Rules<BreakerSpec>,
    retries: Rules<RetrySpec>,
    scopes: ChainedTable<OutboundScope, SCOPES_MAX>,
    transitions: Notices<BreakerNotice, TRANSITIONS_KEPT>,
    /// Calls of all scopes together, those included that found no place.
    totals: CallCounters,
    /// Calls that found no place, and went on without a breaker.
    overflow: CallCounters,
    secret: HashSecret,
    /// Where the next scope that is idle is looked for.
    hand: usize,
}

impl Default for TrafficController {
    fn default() -> Self {
        Self::new()
    }
}

impl TrafficController {
    /// A controller without scopes, and with an idle guard.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            guard: LoopGuard::new(),
            breakers: Rules::new(BreakerSpec::EMPTY),
            retries: Rules::new(RetrySpec::EMPTY),
            scopes: ChainedTable::new(OutboundScope::EMPTY),
            transitions: Notices::new(BreakerNotice::EMPTY),
            totals: CallCounters::ZERO,
            overflow: CallCounters::ZERO,
            secret: HashSecret { k0: 0, k1: 0 },
            hand: 0,
        }
    }

    /// Forgets everything, in place, and takes a secret for hashing, by which the jitter of each scope is drawn too.
    pub fn reset(&mut self, secret: HashSecret) {
        self.guard.reset();
        self.breakers.clear();
        self.retries.clear();
        self.scopes.clear();
        self.transitions.clear();
        self.totals = CallCounters::ZERO;
        self.overflow = CallCounters::ZERO;
        self.secret = secret;
    }

    /// Hashes under another secret from now on.
    ///
    /// # Panics
    /// If there is a scope already.
    pub(crate) fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.scopes.len() == 0, "the secret comes before the first scope");
        self.secret = secret;
    }

    /// What names of scopes are hashed with.
    pub(crate) const fn secret(&self) -> HashSecret {
        self.secret
    }

    /// Whether neither the guard nor any scope has a say.
    #[must_use]
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.guard.is_idle() && !self.has_rules()
    }

    /// Whether there is a breaker or a retry policy.
    #[inline]
    pub(crate) const fn has_rules(&self) -> bool {
        !self.breakers.is_empty() || !self.retries.is_empty()
    }

    /// The scope of a name such as `github:get`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ScopeId> {
        let key = KeyName::LowerCase(NameRef::new(name).ok()?);
        let hash = self.secret.hash(Kind::Route, key);
        let canonical = key.to_name(&self.secret);
        self.scopes.find(hash.0, |scope| scope.name == canonical).map(ScopeId)
    }
}

/// The next 64 random bits: SplitMix64 (Steele, Lea, Flood).
const fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
