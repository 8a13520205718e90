//! Quotas put to the test: against a naive exact model, at the edges of amounts, periods and capacities, in families,
//! with outcomes that come late or never, and what operators do while requests go on.

mod alerts;
mod edges;
mod family;
mod matching;
mod model;
mod observed;
mod operate;
mod property;
mod support;
mod table;
