//! Reference models of rate limits, quotas and bills: exact, slow, and meant to be checked by reading.
//!
//! Quantities are fractions of big integers, histories are kept whole, and whatever can be defined is
//! computed by its definition: the time after which a request would pass is found by asking the model at
//! other times, not by a formula. So the formulas of the product can be tested against them.
//!
//! - [`rule`] is the vocabulary: [`Algorithm`], [`Limit`], [`Request`], [`Clocks`];
//! - [`meter`] models one key of one limit: [`Meter`];
//! - [`scope`] decides which limits a request meets and under which name;
//! - [`limiter`] models all limits together: [`Limiter`];
//! - [`routes`] gives a path its endpoint group;
//! - [`call`] adds to a request what quotas count and prices are for: [`Call`];
//! - [`money`] rounds, [`price`] says what amounts cost, [`billing`] makes invoices: [`Billing`];
//! - [`quota`] models all quotas together: [`Quotas`];
//! - [`breaker`] says what a circuit breaker does, from its whole history: [`Breaker`];
//! - [`fair`] says what a scheduler owes those who wait;
//! - [`guard`] knows who runs in a loop: [`Guard`];
//! - [`policy`] decides requests by policies: [`Policies`];
//! - [`governed`] is the whole, limits, quotas, budgets and bills: [`Governed`].

mod account;
pub mod billing;
pub mod breaker;
pub mod call;
pub mod fair;
pub mod governed;
pub mod guard;
pub mod limiter;
pub mod meter;
pub mod money;
pub mod policy;
pub mod price;
pub mod quota;
pub mod routes;
pub mod rule;
pub mod scope;

pub use billing::Billing;
pub use breaker::Breaker;
pub use call::Call;
pub use governed::Governed;
pub use guard::Guard;
pub use limiter::{Counts, Limiter, Outcome, Verdict};
pub use meter::{Meter, Wait};
pub use policy::Policies;
pub use quota::{Quota, Quotas};
pub use rule::{Algorithm, Align, Clocks, Kind, Limit, Pattern, Request, Unit};
