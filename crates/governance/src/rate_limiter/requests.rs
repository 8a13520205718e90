//! The limiter by itself, for a caller that has no [`Governor`](crate::governor::Governor): a service, a user,
//! a number of tokens.

use super::{Access, RateLimiter};
use crate::decision::Wait;
use crate::request::{Request, RequestPriority, Subject};
use crate::scope::NameRef;
use crate::time::{Nanos, Now};

/// A request for tokens.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitRequest<'a> {
    /// The service that is called.
    pub service_id: NameRef<'a>,
    /// The user on whose behalf, if known.
    pub user_id: Option<NameRef<'a>>,
    /// How many tokens the request takes from every limit that counts requests.
    pub tokens_required: u64,
    /// How urgent it is.
    pub priority: RequestPriority,
}

/// The answer to a [`RateLimitRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitResponse {
    /// Whether it may go on.
    pub allowed: bool,
    /// What is left in the tightest limit, or in the refusing one; `u64::MAX` if nothing bounds the request.
    pub tokens_remaining: u64,
    /// For a refused request, the milliseconds after which it would pass, rounded up, or none if it never will.
    /// Zero for an allowed one, or what it has to wait for its turn.
    pub retry_after_ms: Option<u64>,
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Decides a request and charges every limit that matches it, or none. A request that would be in flight by a limit
    /// is refused, for good: it takes a ticket, which there is none of here.
    ///
    /// ```
    /// use governance::rate_limiter::{RateLimitRequest, RateLimiter};
    /// use governance::request::RequestPriority;
    /// use governance::scope::{NameRef, Scope};
    /// use governance::time::Now;
    ///
    /// let mut limiter = RateLimiter::<16, 16>::new();
    /// limiter.add_token_bucket(Scope::parse("service:web").unwrap(), 2, "1/s".parse().unwrap()).unwrap();
    /// let request = RateLimitRequest {
    ///     service_id: NameRef::new("web").unwrap(),
    ///     user_id: None,
    ///     tokens_required: 2,
    ///     priority: RequestPriority::Normal,
    /// };
    /// assert!(limiter.allow_request(Now::default(), &request).allowed);
    /// let refused = limiter.allow_request(Now::default(), &request);
    /// assert_eq!((refused.allowed, refused.retry_after_ms), (false, Some(2000)));
    /// ```
    pub fn allow_request(&mut self, now: Now, request: &RateLimitRequest<'_>) -> RateLimitResponse {
        self.respond(now, request, Access::Charge)
    }

    /// Says what [`RateLimiter::allow_request`] would, and charges nothing.
    pub fn peek_available(&mut self, now: Now, request: &RateLimitRequest<'_>) -> RateLimitResponse {
        self.respond(now, request, Access::Peek)
    }

    /// How long until the request would pass; zero if it would now.
    pub fn estimate_wait_time(&mut self, now: Now, request: &RateLimitRequest<'_>) -> Wait {
        let request = full_request(request);
        match self.check(now, &Subject { request: &request, group: None }, Access::Peek) {
            Ok(clearance) => {
                self.release(clearance);
                Wait::For(Nanos::ZERO)
            }
            Err(refusal) => refusal.retry,
        }
    }

    fn respond(&mut self, now: Now, request: &RateLimitRequest<'_>, access: Access) -> RateLimitResponse {
        let request = full_request(request);
        let subject = Subject { request: &request, group: None };
        match self.check(now, &subject, access) {
            Ok(clearance) if access == Access::Charge && clearance.needs_ticket() => RateLimitResponse {
                allowed: false,
                tokens_remaining: self.release(clearance).map_or(0, |standing| standing.remaining()),
                retry_after_ms: None,
            },
            Ok(clearance) => {
                let wait = clearance.delay().as_millis_ceil();
                let standing = match access {
                    Access::Charge => self.charge(&subject, clearance),
                    Access::Peek => self.release(clearance),
                };
                let tokens_remaining = standing
                    .filter(|standing| standing.capacity.is_some())
                    .map(|standing| standing.remaining());
                RateLimitResponse {
                    allowed: true,
                    tokens_remaining: tokens_remaining.unwrap_or(u64::MAX),
                    retry_after_ms: Some(wait),
                }
            }
            Err(refusal) => RateLimitResponse {
                allowed: false,
                tokens_remaining: refusal.limit.remaining(),
                retry_after_ms: match refusal.retry {
                    Wait::For(wait) => Some(wait.as_millis_ceil()),
                    Wait::Never => None,
                },
            },
        }
    }
}

fn full_request<'a>(request: &RateLimitRequest<'a>) -> Request<'a> {
    Request {
        service: Some(request.service_id),
        user: request.user_id,
        cost: request.tokens_required,
        priority: Some(request.priority),
        ..Request::default()
    }
}
