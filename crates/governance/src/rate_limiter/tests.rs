//! The limiter put to the test: each algorithm at its edges and against a naive exact model, several limits on one
//! request, the table at and beyond its capacity, and what operators do while requests go on.

mod grants;
mod holds;
mod in_flight;
mod levels;
mod live;
mod models;
mod naive;
mod near_limit;
mod per_client;
mod several;
mod shadow;
mod sliding_log;
mod support;
mod table;
mod throttle;
mod windows;

use crate::rate_limiter::{RateLimitRequest, RateLimiter};
use crate::request::RequestPriority;
use crate::scope::{NameRef, Scope};
use crate::time::{Instant, Now, WallTime};

fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

fn request(tokens: u64) -> RateLimitRequest<'static> {
    RateLimitRequest {
        service_id: NameRef::new("api").unwrap(),
        user_id: None,
        tokens_required: tokens,
        priority: RequestPriority::Normal,
    }
}

#[test]
fn test_token_bucket_creation() {
    let mut limiter = Box::new(RateLimiter::<16, 16>::new());
    let id =
        limiter.add_token_bucket(Scope::parse("service:api").unwrap(), 100, "10/s".parse().unwrap()).unwrap();
    assert_eq!(limiter.len(), 1);
    assert_eq!(limiter.get_tokens(at(0), id, None), Ok(100), "a bucket starts full");
    assert_eq!(limiter.get_bucket(id).unwrap().algorithm.capacity(), Some(100));
}

#[test]
fn test_token_refill() {
    let mut limiter = Box::new(RateLimiter::<16, 16>::new());
    let id =
        limiter.add_token_bucket(Scope::parse("service:api").unwrap(), 100, "10/s".parse().unwrap()).unwrap();
    assert!(limiter.allow_request(at(0), &request(50)).allowed);
    assert_eq!(limiter.refill_tokens(at(0), id, None), Ok(50));
    assert_eq!(limiter.refill_tokens(at(999_999_999), id, None), Ok(59), "the tenth is not whole yet");
    assert_eq!(limiter.refill_tokens(at(1_000_000_000), id, None), Ok(60));
    assert_eq!(limiter.refill_tokens(at(60_000_000_000), id, None), Ok(100), "and never more than fit");
}

#[test]
fn test_request_allowed() {
    let mut limiter = Box::new(RateLimiter::<16, 16>::new());
    limiter.add_token_bucket(Scope::parse("service:api").unwrap(), 2, "1/s".parse().unwrap()).unwrap();
    let first = limiter.allow_request(at(0), &request(1));
    assert_eq!((first.allowed, first.tokens_remaining, first.retry_after_ms), (true, 1, Some(0)));
    assert!(limiter.allow_request(at(0), &request(1)).allowed);
    let third = limiter.allow_request(at(1), &request(1));
    assert_eq!((third.allowed, third.tokens_remaining, third.retry_after_ms), (false, 0, Some(1000)));
}
