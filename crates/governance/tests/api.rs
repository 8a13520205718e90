//! The limiter as another crate uses it: every method and type that the source's `RateLimiter` names.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::decision::{Sharing, Wait};
use governance::limit::{LimitState, RateLimitAlgorithm};
use governance::rate_limiter::{
    LimitError, LimitId, LimitStats, RateLimitRequest, RateLimitResponse, RateLimiter,
};
use governance::request::RequestPriority;
use governance::scope::{NameRef, Scope};
use governance::time::{Instant, Nanos, Now, WallTime};

type Limiter = RateLimiter<32, 32>;

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000_000), wall: WallTime(seconds * 1_000_000_000) }
}

fn request<'a>(service: &'a str, user: Option<&'a str>, tokens: u64) -> RateLimitRequest<'a> {
    RateLimitRequest {
        service_id: NameRef::new(service).unwrap(),
        user_id: user.map(|user| NameRef::new(user).unwrap()),
        tokens_required: tokens,
        priority: RequestPriority::Normal,
    }
}

fn with_token_bucket(capacity: u64, rate: &str) -> (Box<Limiter>, LimitId) {
    let mut limiter = Box::new(Limiter::new());
    let scope = Scope::parse("service:api").unwrap();
    let id = limiter.add_token_bucket(scope, capacity, rate.parse().unwrap()).unwrap();
    (limiter, id)
}

#[test]
fn new_has_no_limits_and_allows_everything() {
    let mut limiter = Box::new(Limiter::new());
    assert!(limiter.is_empty());
    let response = limiter.allow_request(at(0), &request("api", None, u64::MAX));
    assert_eq!(
        response,
        RateLimitResponse { allowed: true, tokens_remaining: u64::MAX, retry_after_ms: Some(0) }
    );
}

#[test]
fn add_token_bucket_and_add_leaky_bucket_make_named_limits() {
    let (mut limiter, token) = with_token_bucket(10, "1/s");
    let leaky =
        limiter.add_leaky_bucket(Scope::parse("user:ann").unwrap(), 5, "5/1m".parse().unwrap()).unwrap();
    assert_eq!(limiter.find("service:api"), Some(token));
    assert_eq!(limiter.find("user:ann"), Some(leaky));
    assert!(matches!(limiter.get_bucket(token).unwrap().algorithm, RateLimitAlgorithm::TokenBucket(_)));
    assert!(matches!(limiter.get_bucket(leaky).unwrap().algorithm, RateLimitAlgorithm::LeakyBucket(_)));
    let again = limiter.add_token_bucket(Scope::parse("service:api").unwrap(), 1, "1/s".parse().unwrap());
    assert!(again.is_err(), "the name is taken");
    let zero = limiter.add_leaky_bucket(Scope::parse("user:bob").unwrap(), 0, "1/s".parse().unwrap());
    assert!(zero.unwrap_err().to_string().starts_with("capacity: 0 is not allowed"));
    assert_eq!(limiter.len(), 2);
}

#[test]
fn allow_request_charges_all_limits_or_none() {
    let (mut limiter, service) = with_token_bucket(10, "1/s");
    limiter.add_token_bucket(Scope::parse("user:*").unwrap(), 3, "1/s".parse().unwrap()).unwrap();
    let allowed = limiter.allow_request(at(0), &request("api", Some("ann"), 2));
    assert_eq!(
        (allowed.allowed, allowed.tokens_remaining),
        (true, 1),
        "the user's bucket is the tighter one"
    );
    let refused = limiter.allow_request(at(0), &request("api", Some("ann"), 2));
    assert_eq!(
        refused,
        RateLimitResponse { allowed: false, tokens_remaining: 1, retry_after_ms: Some(1000) }
    );
    assert_eq!(limiter.get_tokens(at(0), service, None), Ok(8), "the refused request took nothing");
    let never = limiter.allow_request(at(0), &request("api", Some("ann"), 4));
    assert_eq!(
        (never.allowed, never.retry_after_ms),
        (false, None),
        "no time is named for what never passes"
    );
}

#[test]
fn retry_after_is_in_milliseconds_and_rounded_up() {
    let (mut limiter, _) = with_token_bucket(1, "3/1s");
    assert!(limiter.allow_request(at(0), &request("api", None, 1)).allowed);
    let refused = limiter.allow_request(at(0), &request("api", None, 1));
    assert_eq!(refused.retry_after_ms, Some(334), "a third of a second");
}

#[test]
fn refill_tokens_and_get_tokens_tell_what_is_there_now() {
    let (mut limiter, id) = with_token_bucket(10, "1/s");
    assert!(limiter.allow_request(at(0), &request("api", None, 10)).allowed);
    assert_eq!(limiter.get_tokens(at(0), id, None), Ok(0));
    assert_eq!(limiter.refill_tokens(at(4), id, None), Ok(4));
    assert_eq!(limiter.get_tokens(at(4), id, None), Ok(4));
    assert_eq!(limiter.refill_tokens(at(2), id, None), Ok(4), "a clock that goes back takes nothing");
}

#[test]
fn reset_bucket_fills_and_drain_bucket_empties() {
    let (mut limiter, id) = with_token_bucket(10, "1/s");
    assert_eq!(limiter.drain_bucket(at(0), id, None), Ok(1));
    assert!(!limiter.allow_request(at(0), &request("api", None, 1)).allowed);
    assert_eq!(limiter.reset_bucket(id, None), Ok(1));
    assert!(limiter.allow_request(at(0), &request("api", None, 10)).allowed);
}

#[test]
fn update_rate_keeps_what_was_used() {
    let (mut limiter, id) = with_token_bucket(10, "1/s");
    assert!(limiter.allow_request(at(0), &request("api", None, 6)).allowed);
    limiter.update_rate(at(0), id, "10/1s".parse().unwrap()).unwrap();
    assert_eq!(limiter.get_tokens(at(0), id, None), Ok(4));
    assert!(limiter.allow_request(at(1), &request("api", None, 10)).allowed, "at the new rate");
    let rate = limiter.get_bucket(id).unwrap().algorithm.bucket().unwrap().rate;
    assert!(limiter.update_rate(at(1), id, "0/1s".parse().unwrap()).is_err());
    assert_eq!(limiter.get_bucket(id).unwrap().algorithm.bucket().unwrap().rate, rate);
}

#[test]
fn get_limit_stats_counts_decisions() {
    let (mut limiter, id) = with_token_bucket(2, "1/1h");
    for _ in 0..5 {
        limiter.allow_request(at(0), &request("api", None, 1));
        limiter.allow_request(at(0), &request("other", None, 1));
    }
    let stats = limiter.get_limit_stats(id).unwrap();
    assert_eq!(stats, LimitStats { allowed: 2, denied: 3, keys: 1, ..LimitStats::default() });
}

#[test]
fn peek_available_and_estimate_wait_time_take_nothing() {
    let (mut limiter, id) = with_token_bucket(10, "2/1s");
    for _ in 0..3 {
        assert!(limiter.peek_available(at(0), &request("api", None, 10)).allowed);
        assert_eq!(limiter.estimate_wait_time(at(0), &request("api", None, 10)), Wait::For(Nanos::ZERO));
    }
    assert!(limiter.allow_request(at(0), &request("api", None, 9)).allowed);
    assert_eq!(limiter.peek_available(at(0), &request("api", None, 2)).retry_after_ms, Some(500));
    assert_eq!(
        limiter.estimate_wait_time(at(0), &request("api", None, 2)),
        Wait::For(Nanos::from_millis(500))
    );
    assert_eq!(limiter.estimate_wait_time(at(0), &request("api", None, 11)), Wait::Never);
    let stats = limiter.get_limit_stats(id).unwrap();
    assert_eq!((stats.allowed, stats.denied), (1, 0), "a look counts nothing");
}

#[test]
fn handle_burst_grants_extra_capacity_that_ends() {
    let (mut limiter, id) = with_token_bucket(10, "1/1h");
    limiter.handle_burst(at(0), id, None, 15, Nanos::from_seconds(60)).unwrap();
    assert!(limiter.allow_request(at(0), &request("api", None, 25)).allowed);
    limiter.reset_bucket(id, None).unwrap();
    assert_eq!(limiter.get_tokens(at(0), id, None), Ok(10), "a reset ends it");
    limiter.handle_burst(at(0), id, None, 15, Nanos::from_seconds(60)).unwrap();
    assert_eq!(limiter.get_tokens(at(59), id, None), Ok(25));
    assert_eq!(limiter.get_tokens(at(60), id, None), Ok(10));
    assert_eq!(limiter.handle_burst(at(60), id, None, 0, Nanos(1)), Err(LimitError::BadGrant));
}

#[test]
fn a_leaky_queue_says_how_long_to_wait_for_the_turn() {
    let (mut limiter, id) = with_token_bucket(3, "1/s");
    let mut spec = *limiter.get_bucket(id).unwrap();
    spec.algorithm = RateLimitAlgorithm::LeakyQueue(spec.algorithm.bucket().unwrap());
    limiter.update(at(0), id, &spec).unwrap();
    let waits: Vec<_> = (0..3)
        .map(|_| limiter.allow_request(at(0), &request("api", None, 1)))
        .map(|response| (response.allowed, response.retry_after_ms))
        .collect();
    assert_eq!(waits, [(true, Some(0)), (true, Some(1000)), (true, Some(2000))]);
    assert!(!limiter.allow_request(at(0), &request("api", None, 1)).allowed);
}

#[test]
fn limits_can_be_listed_looked_at_disabled_and_removed() {
    let (mut limiter, id) = with_token_bucket(3, "1/1h");
    limiter.add_token_bucket(Scope::parse("user:*").unwrap(), 3, "1/1h".parse().unwrap()).unwrap();
    assert!(limiter.allow_request(at(0), &request("api", Some("ann"), 1)).allowed);
    assert!(limiter.allow_request(at(0), &request("api", Some("bob"), 2)).allowed);
    let names: Vec<_> = limiter.limits().map(|(_, spec)| spec.name.to_string()).collect();
    assert_eq!(names, ["service:api", "user:*"]);
    let users = limiter.find("user:*").unwrap();
    let mut seen = Vec::new();
    limiter
        .each_bucket(at(0), users, |view| {
            assert_eq!(view.standing.shared, Sharing::Own);
            seen.push((view.key.unwrap().to_string(), view.standing.remaining()));
        })
        .unwrap();
    seen.sort();
    assert_eq!(seen, [("ann".to_string(), 2), ("bob".to_string(), 1)]);
    limiter.set_state(id, LimitState::Disabled).unwrap();
    assert!(limiter.allow_request(at(0), &request("api", None, 100)).allowed);
    limiter.remove(id).unwrap();
    assert_eq!(limiter.get_bucket(id).unwrap_err(), LimitError::UnknownLimit);
    assert_eq!(limiter.len(), 1);
}

#[test]
fn every_error_says_what_was_wrong_in_lower_case() {
    let errors = [
        LimitError::DuplicateName,
        LimitError::UnknownLimit,
        LimitError::UnknownKey,
        LimitError::NoKeys,
        LimitError::KeyNeeded,
        LimitError::NoBucket,
        LimitError::GrantsFull,
        LimitError::BadGrant,
        LimitError::FixedField,
    ];
    let mut texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    for text in &texts {
        assert!(text.len() > 10 && !text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), errors.len(), "no two say the same");
}
