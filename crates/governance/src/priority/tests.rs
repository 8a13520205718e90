//! Tests of the scheduler as a whole.

mod agreements;
mod fairness;
mod model;
mod property;
mod scenarios;
mod support;
