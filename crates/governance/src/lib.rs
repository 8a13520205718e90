//! The engine of Weir: rate limits, and one way for a request through them.
//!
//! `no_std`, no heap, no statics, no locks, no clock: a caller owns the memory and passes the time.
//! [`governor::Governor`] is the whole; [`rate_limiter::RateLimiter`] can be used by itself.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod alerts;
pub mod breaker;
mod chained_table;
pub mod config;
pub mod cost;
pub mod decision;
pub mod export;
pub mod field;
pub mod governor;
pub mod histogram;
pub mod ledger;
pub mod limit;
pub mod loop_guard;
pub mod metrics;
pub mod mode;
pub mod money;
pub mod notice;
pub mod outcome;
pub mod policy;
pub mod priority;
pub mod quota;
pub mod rate_limiter;
pub mod request;
pub mod retry;
pub mod routes;
pub mod scope;
pub mod text;
pub mod tickets;
pub mod time;
pub mod traffic;
pub mod units;
