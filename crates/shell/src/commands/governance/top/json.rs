//! What `governance top` shows, as objects.

use super::view::{Flow, View};
use crate::system::System;
use core::fmt;
use governance::export::ObjectWriter;

/// Writes how everything stands as an object, and one for each length of time.
pub(super) fn write(system: &mut dyn System, view: &View) -> fmt::Result {
    ObjectWriter::begin(system)?
        .display("at", view.wall)?
        .optional_integer("up_ns", view.up.map(|up| up.0))?
        .integer("tickets", view.tickets)?
        .integer("waiting", view.waiting)?
        .integer("breakers_not_closed", view.breakers.count)?
        .integer("alerts_firing", view.firing)?
        .integer("alerts_pending", view.pending)?
        .optional_integer("p50_us", view.latency.map(|latency| latency.p50))?
        .optional_integer("p95_us", view.latency.map(|latency| latency.p95))?
        .optional_integer("p99_us", view.latency.map(|latency| latency.p99))?
        .end()?;
    for (span, flow) in [("second", &view.second), ("minute", &view.minute), ("start", &view.since_start)] {
        let Flow { requests, allowed, denied, delayed, errors, throttled, cost } = *flow;
        ObjectWriter::begin(system)?
            .string("span", span)?
            .integer("requests", requests)?
            .integer("allowed", allowed)?
            .integer("denied", denied)?
            .integer("delayed", delayed)?
            .integer("errors", errors)?
            .integer("status_429", throttled)?
            .display("cost", cost)?
            .end()?;
    }
    view.denials.iter().try_for_each(|(reason, count)| {
        ObjectWriter::begin(system)?.string("denied", reason.code())?.integer("requests", *count)?.end()
    })
}
