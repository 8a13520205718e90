//! Policies put to the test: against a naive evaluator that compares texts, by the theorems of an authoriser, at the
//! edges of fields and capacities, and while they are changed.

mod audit;
mod capacity;
mod changes;
mod conditions;
mod diff;
mod lint;
mod naive;
mod property;
mod support;
