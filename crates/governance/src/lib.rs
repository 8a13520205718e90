//! The engine of Weir: rate limits, and one way for a request through them.
//!
//! `no_std`, no heap, no statics, no locks, no clock: a caller owns the memory and passes the time.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod time;
