//! What is answered: a decision that explains itself.

use crate::loop_guard::ServiceLevel;
use crate::money::NanoUnits;
use crate::policy::PolicyDecision;
use crate::quota::QuotaStanding;
use crate::rate_limiter::LimitId;
use crate::tickets::Ticket;
use crate::time::Nanos;
use crate::traffic::ScopeId;
use core::fmt;

/// What is to be done with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on now.
    Allow,
    /// It may go on after this long; its place is taken.
    Delay(Nanos),
    /// It waits in the queue of its service until [`Governor::dequeue_next`](crate::governor::Governor::dequeue_next)
    /// names its ticket, in about this long. What it takes is set aside for it.
    Queue(Nanos),
    /// It is to be sent to the service that the policy names, and nothing was charged.
    Redirect,
    /// It is refused, and nothing was charged.
    Deny,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No limit matches the request.
    NoLimit,
    /// Every limit that matches has room.
    WithinLimits,
    /// Its group of endpoints is never limited.
    Exempt,
    /// A limit has no room for it now.
    OverLimit,
    /// It costs more than the limit can ever hold.
    CostAboveCapacity,
    /// Its key is banned.
    Banned,
    /// The log of an exact window cannot take another entry.
    LogFull,
    /// It would be in flight beside others, which takes a ticket, and it was asked for without one.
    TicketNeeded,
    /// As many requests as there can be have a ticket that is not settled yet.
    TicketsFull,
    /// A hard quota has no room for it in this period.
    OverQuota,
    /// A budget has no room for its price in this period.
    OverBudget,
    /// Its price cannot be computed in 128 bits.
    PriceOutOfRange,
    /// A policy denies it.
    PolicyDenied,
    /// No policy allows it, and none is needed to deny it.
    PolicyDefault,
    /// A policy sends it to another service.
    Redirected,
    /// A policy throttles it by a limit that is not there any more.
    ThrottleMissing,
    /// Its service works on as many requests as it may.
    Queued,
    /// As many requests wait for its service as may, and none has to make room for it.
    QueueFull,
    /// It would not be done by its deadline.
    Infeasible,
    /// Its caller asks for the same again and again, and is blocked for a while.
    LoopBlocked,
    /// There are as many requests in a minute as there may be.
    OverHardCap,
    /// It can wait, and all but what cannot is turned away for a while.
    Degraded,
    /// The breaker of its scope is open.
    BreakerOpen,
    /// As many calls try out its scope as may.
    BreakerHalfOpen,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::NoLimit,
        Self::WithinLimits,
        Self::Exempt,
        Self::OverLimit,
        Self::CostAboveCapacity,
        Self::Banned,
        Self::LogFull,
        Self::TicketNeeded,
        Self::TicketsFull,
        Self::OverQuota,
        Self::OverBudget,
        Self::PriceOutOfRange,
        Self::PolicyDenied,
        Self::PolicyDefault,
        Self::Redirected,
        Self::ThrottleMissing,
        Self::Queued,
        Self::QueueFull,
        Self::Infeasible,
        Self::LoopBlocked,
        Self::OverHardCap,
        Self::Degraded,
        Self::BreakerOpen,
        Self::BreakerHalfOpen,
    ];

    /// The reason's code, as it is shown and exported.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoLimit => "no-limit",
            Self::WithinLimits => "within-limits",
            Self::Exempt => "exempt",
            Self::OverLimit => "over-limit",
            Self::CostAboveCapacity => "cost-above-capacity",
            Self::Banned => "banned",
            Self::LogFull => "log-full",
            Self::TicketNeeded => "ticket-needed",
            Self::TicketsFull => "tickets-full",
            Self::OverQuota => "over-quota",
            Self::OverBudget => "over-budget",
            Self::PriceOutOfRange => "price-out-of-range",
            Self::PolicyDenied => "policy-denied",
            Self::PolicyDefault => "policy-default",
            Self::Redirected => "redirected",
            Self::ThrottleMissing => "throttle-missing",
            Self::Queued => "queued",
            Self::QueueFull => "queue-full",
            Self::Infeasible => "infeasible",
            Self::LoopBlocked => "loop-blocked",
            Self::OverHardCap => "over-hard-cap",
            Self::Degraded => "degraded",
            Self::BreakerOpen => "breaker-open",
            Self::BreakerHalfOpen => "breaker-half-open",
        }
    }

    /// The status of the HTTP answer to a request that is refused for this reason (RFC 9110, RFC 6585): 429 where its
    /// client asks for too much, 403 where it may not ask, 503 where the service cannot; 200 where nothing is refused.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NoLimit | Self::WithinLimits | Self::Exempt | Self::Queued => 200,
            Self::Redirected => 307,
            Self::OverLimit
            | Self::CostAboveCapacity
            | Self::OverQuota
            | Self::OverBudget
            | Self::PriceOutOfRange
            | Self::LoopBlocked => 429,
            Self::Banned | Self::PolicyDenied | Self::PolicyDefault | Self::ThrottleMissing => 403,
            Self::LogFull
            | Self::TicketNeeded
            | Self::TicketsFull
            | Self::QueueFull
            | Self::Infeasible
            | Self::OverHardCap
            | Self::Degraded
            | Self::BreakerOpen
            | Self::BreakerHalfOpen => 503,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// How long until something can happen. The longest wait is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// After this long at the earliest, rounded up. [`Nanos::MAX`] stands for that long or longer.
    For(Nanos),
    /// Not at all as things are configured.
    Never,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// How much of its service it is to get, if it may go on.
    pub level: ServiceLevel,
    /// The outbound scope that it is a call of; none if there is none, or if it was refused before its turn.
    pub scope: Option<ScopeId>,
    /// What the policies made of it; none if there are none, or if it was exempt.
    pub policy: Option<PolicyDecision>,
    /// The limit that speaks for the decision: for a refusal the one with the longest wait, else the one with
    /// the least room left.
    pub limit: Option<LimitStanding>,
    /// The quota that speaks for the decision, in the same way.
    pub quota: Option<QuotaStanding>,
    /// The budget that speaks for the decision, in the same way.
    pub budget: Option<QuotaStanding>,
    /// What was charged or reserved for it, where the service has a price.
    pub price: Option<NanoUnits>,
    /// The name by which its outcome is to be told, where one is awaited.
    pub ticket: Option<Ticket>,
    /// How long the refused request has to wait; none if it is not refused.
    pub retry: Option<Wait>,
}

impl Verdict {
    /// Whether the request may go on, now or later; one that waits in a queue can still be let go.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        !matches!(self, Self::Deny | Self::Redirect)
    }
}

impl Decision {
    /// A decision for which nothing speaks.
    #[must_use]
    pub const fn plain(verdict: Verdict, reason: Reason) -> Self {
        Self {
            verdict,
            reason,
            level: ServiceLevel::Full,
            scope: None,
            policy: None,
            limit: None,
            quota: None,
            budget: None,
            price: None,
            ticket: None,
            retry: None,
        }
    }

    /// Whether the request may go on, now or later; one that waits in a queue can still be let go.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.verdict.is_allowed()
    }
}

/// How a bucket stands after a decision. What a reader may want to know is computed when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStanding {
    /// The limit.
    pub limit: LimitId,
    /// Whether the bucket is the one that keys without a place of their own share.
    pub shared: Sharing,
    /// What fits into the bucket, in units of the limit; none if nothing bounds it.
    pub capacity: Option<u64>,
    pub(crate) credit: u128,
    pub(crate) per_unit: u64,
    /// How much is missing until it is full, and how much of that comes each nanosecond.
    pub(crate) missing: u128,
    pub(crate) each_nano: u64,
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// The key's own.
    #[default]
    Own,
    /// The limit's overflow bucket, shared by the keys for which the table had no place.
    Overflow,
}

impl LimitStanding {
    /// What is left, in whole units.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        u64::try_from(self.credit / u128::from(self.per_unit.max(1))).unwrap_or(u64::MAX)
    }

    /// How long until the bucket is full, if nothing more is charged; rounded up.
    #[must_use]
    pub fn full_in(&self) -> Nanos {
        div_ceil_nanos(self.missing, self.each_nano)
    }
}

/// `amount` / `each_nano`, rounded up; [`Nanos::MAX`] if that is longer than can be expressed.
#[inline]
pub(crate) fn div_ceil_nanos(amount: u128, each_nano: u64) -> Nanos {
    let each_nano = each_nano.max(1);
    match u64::try_from(amount) {
        Ok(amount) => Nanos(amount.div_ceil(each_nano)),
        // A division of 128 bits takes many times as long, and is rarely needed.
        Err(_) => Nanos(u64::try_from(amount.div_ceil(u128::from(each_nano))).unwrap_or(u64::MAX)),
    }
}
