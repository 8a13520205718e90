//! Requests that limits, quotas and prices are asked about. All of what they meet is ample, so that all are allowed.

use super::{SERVICE, Work};
use crate::engine::Governor;
use governance::cost::{CostModel, Price};
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::quota::{QuotaSpec, QuotaUnit};
use governance::request::{Request, Unit};
use governance::scope::{Name, NameRef, Scope};
use governance::time::{Cycle, Nanos, Now, Schedule, WallTime};
use governance::units::Rate;

/// More than is used while it is measured.
pub(super) const AMPLE: u64 = 1_000_000_000_000_000;

/// What requests are decided by.
#[derive(Clone, Copy)]
pub(super) enum By {
    Service,
    User,
    Tenant,
}

impl By {
    const fn scope(self) -> &'static str {
        match self {
            Self::Service => "service:bench",
            Self::User => "user:*",
            Self::Tenant => "tenant:*",
        }
    }
}

/// What each request is admitted by.
#[derive(Clone, Copy)]
pub(super) struct Admission {
    /// Whose limit and quota it is.
    pub(super) by: By,
    /// How many keys come.
    pub(super) keys: usize,
    pub(super) has_limit: bool,
    pub(super) has_quota: bool,
    /// Whether the service has a price.
    pub(super) has_price: bool,
}

impl Admission {
    /// By a limit alone.
    pub(super) const fn limit(by: By, keys: usize) -> Self {
        Self { by, keys, has_limit: true, has_quota: false, has_price: false }
    }
}

impl Work for Admission {
    fn keys(&self) -> usize {
        self.keys
    }

    fn prepare(&mut self, governor: &mut Governor, now: Now) -> Option<()> {
        let scope = Scope::parse(self.by.scope()).ok()?;
        if self.has_limit {
            let rate = Rate { count: 1_000_000, period: Nanos::from_seconds(1) };
            let shape = BucketShape { capacity: 1_000_000_000, rate };
            let spec = LimitSpec::new(scope, RateLimitAlgorithm::TokenBucket(shape), Unit::Requests).ok()?;
            governor.limits.add(&spec).ok()?;
        }
        if self.has_quota {
            let schedule = Schedule { cycle: Cycle::Monthly, anchor: WallTime(0) };
            let spec = QuotaSpec::new(scope, QuotaUnit::Requests, AMPLE, schedule).ok()?;
            governor.quotas.allocate_quota(&spec).ok()?;
        }
        if self.has_price {
            let model = CostModel {
                service: Name::new(SERVICE).ok()?,
                base_cost: Price::parse("0.0001 USD").ok()?,
                per_kilobyte: Price::parse("0.00001 USD").ok()?,
                ..CostModel::default()
            };
            governor.costs.define_cost_model(&model).ok()?;
        }
        (0..self.keys).all(|key| self.once(governor, now, key)).then_some(())
    }

    #[inline]
    fn once(&mut self, governor: &mut Governor, now: Now, key: usize) -> bool {
        let name = KeyText::of(key);
        let key = NameRef::new(name.as_str()).ok();
        let service = NameRef::new(SERVICE).ok();
        let request = match self.by {
            By::Service => Request { service, ..Request::default() },
            By::User => Request { user: key, ..Request::default() },
            By::Tenant => Request { service, tenant: key, bytes: 1024, ..Request::default() },
        };
        governor.admit(now, &request).is_allowed()
    }
}

/// The name of a key: `user-` and its number in hexadecimal, made without the formatting machinery, which would
/// cost more than the decision.
pub(super) struct KeyText([u8; 10]);

impl KeyText {
    pub(super) fn of(key: usize) -> Self {
        let mut text = *b"user-00000";
        let mut rest = key;
        for digit in text.iter_mut().rev().take(5) {
            *digit = b"0123456789abcdef"[rest % 16];
            rest /= 16;
        }
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}
