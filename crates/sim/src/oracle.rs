//! Reference models of rate limiting: exact, slow, and meant to be checked by reading.
//!
//! Quantities are fractions of big integers, histories are kept whole, and whatever can be defined is
//! computed by its definition: the time after which a request would pass is found by asking the model at
//! other times, not by a formula. So the formulas of the product can be tested against them.
//!
//! - [`rule`] is the vocabulary: [`Algorithm`], [`Limit`], [`Request`], [`Clocks`];
//! - [`meter`] models one key of one limit: [`Meter`];
//! - [`scope`] decides which limits a request meets and under which name;
//! - [`limiter`] models all limits together: [`Limiter`];
//! - [`routes`] gives a path its endpoint group.

mod account;
pub mod limiter;
pub mod meter;
pub mod routes;
pub mod rule;
pub mod scope;

pub use limiter::{Counts, Limiter, Outcome, Verdict};
pub use meter::{Meter, Wait};
pub use rule::{Algorithm, Align, Clocks, Kind, Limit, Pattern, Request, Unit};
