//! One way through for every request: the stages in their order, the decision, the counters.
//!
//! A stage is checked before anything is taken, and every stage is taken from only when all have agreed. Today there
//! is one, the rate limits; another one adds its check to `Governor::decide` between theirs and the charge.

use crate::config::{Config, Identity};
use crate::decision::{Decision, Reason, Verdict};
use crate::rate_limiter::{Access, LimitError, RateLimiter};
use crate::request::{Request, Subject};
use crate::routes::{EXEMPT_GROUP, Routes};
use crate::scope::HashSecret;
use crate::time::{Nanos, Now};
use core::fmt;

/// What was decided, by verdict and by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounters {
    /// Requests that were decided.
    pub requests: u64,
    /// Requests that were allowed, now or later.
    pub allowed: u64,
    /// Allowed requests that were told to wait for their turn.
    pub delayed: u64,
    /// Requests that were refused.
    pub denied: u64,
    by_reason: [u64; Reason::ALL.len()],
}

impl DecisionCounters {
    /// How many decisions had this reason.
    #[must_use]
    pub const fn of(&self, reason: Reason) -> u64 {
        self.by_reason[reason as usize]
    }

    fn count(&mut self, decision: &Decision) {
        self.requests += 1;
        self.by_reason[decision.reason as usize] += 1;
        match decision.verdict {
            Verdict::Allow => self.allowed += 1,
            Verdict::Delay(_) => {
                self.allowed += 1;
                self.delayed += 1;
            }
            Verdict::Deny => self.denied += 1,
        }
    }
}

/// The whole engine over `KEYS` keyed buckets and `LOG` entries of exact windows. All-zero when empty.
#[derive(Debug)]
pub struct Governor<const KEYS: usize, const LOG: usize> {
    /// The rate limits.
    pub limits: RateLimiter<KEYS, LOG>,
    routes: Routes,
    identity: Identity,
    counters: DecisionCounters,
}

impl<const KEYS: usize, const LOG: usize> Default for Governor<KEYS, LOG> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const KEYS: usize, const LOG: usize> Governor<KEYS, LOG> {
    /// A governor that allows everything.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: RateLimiter::new(),
            routes: Routes::new(),
            identity: Config::new().identity,
            counters: DecisionCounters {
                requests: 0,
                allowed: 0,
                delayed: 0,
                denied: 0,
                by_reason: [0; Reason::ALL.len()],
            },
        }
    }

    /// Forgets everything, in place, and takes a secret for hashing keys.
    pub fn reset(&mut self, secret: HashSecret) {
        self.limits.reset(secret);
        self.routes.clear();
        self.identity = Identity::default();
        self.counters = DecisionCounters::default();
    }

    /// Takes a configuration as a whole. Limits that did not change keep their buckets and counters.
    ///
    /// # Errors
    /// None that a [`Config`] has let pass.
    pub fn configure(&mut self, now: Now, config: &Config) -> Result<(), LimitError> {
        self.limits.configure(now, config.limits())?;
        self.routes.copy_from(&config.routes);
        self.identity = config.identity;
        Ok(())
    }

    /// Takes the limits, routes and identity of `other`, with empty buckets and counters.
    ///
    /// # Errors
    /// None, since what `other` holds fits.
    pub fn configure_like<const K: usize, const L: usize>(
        &mut self,
        other: &Governor<K, L>,
    ) -> Result<(), LimitError> {
        for (_, spec) in other.limits.limits() {
            self.limits.add(spec)?;
        }
        self.routes.copy_from(&other.routes);
        self.identity = other.identity;
        Ok(())
    }

    /// Decides a request, and charges what it takes if it may go on.
    pub fn admit(&mut self, now: Now, request: &Request<'_>) -> Decision {
        let decision = self.decide(now, request, Access::Charge);
        self.counters.count(&decision);
        decision
    }

    /// Says what [`Governor::admit`] would, and neither charges nor counts anything: the limit that would speak is
    /// shown as it stands before the charge.
    pub fn peek(&mut self, now: Now, request: &Request<'_>) -> Decision {
        self.decide(now, request, Access::Peek)
    }

    /// What was decided so far.
    #[must_use]
    pub const fn counters(&self) -> &DecisionCounters {
        &self.counters
    }

    /// The routes from paths to groups.
    #[must_use]
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// How the client of a request is told from its headers.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Writes the configuration in force as TOML that reads back to it.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write_config(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.identity)?;
        if !self.routes.as_slice().is_empty() {
            writeln!(out, "\n[routes]")?;
            for route in self.routes.as_slice() {
                writeln!(
                    out,
                    "{} = {}",
                    crate::field::Quoted(route.prefix()),
                    crate::field::Quoted(route.group())
                )?;
            }
        }
        for (_, spec) in self.limits.limits() {
            write!(out, "\n{spec}")?;
        }
        Ok(())
    }

    #[inline(always)]
    fn decide(&mut self, now: Now, request: &Request<'_>, access: Access) -> Decision {
        let by_path =
            if request.group.is_none() { request.path.map(|path| self.routes.group_of(path)) } else { None };
        // Only a route exempts: a caller cannot by naming the group.
        if by_path.is_some_and(|group| group.as_str() == EXEMPT_GROUP) {
            return Decision { verdict: Verdict::Allow, reason: Reason::Exempt, limit: None, retry: None };
        }
        let subject = Subject { request, group: request.group.or(by_path) };
        match self.limits.check(now, &subject, access) {
            Ok(clearance) => {
                let verdict = match clearance.delay() {
                    Nanos::ZERO => Verdict::Allow,
                    turn => Verdict::Delay(turn),
                };
                let limit = match access {
                    Access::Charge => self.limits.charge(&subject, clearance),
                    Access::Peek => self.limits.release(clearance),
                };
                let reason = if limit.is_some() { Reason::WithinLimits } else { Reason::NoLimit };
                Decision { verdict, reason, limit, retry: None }
            }
            Err(refusal) => Decision {
                verdict: Verdict::Deny,
                reason: refusal.reason,
                limit: Some(refusal.limit),
                retry: Some(refusal.retry),
            },
        }
    }
}
