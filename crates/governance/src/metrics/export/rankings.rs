//! Who has the most, where the series do not tell.

use super::label;
use crate::export::{Figure, FigureKind, FigureSink};
use crate::metrics::{GovernanceCollector, Top, TopBy, TopEntry};
use crate::money::NanoUnits;
use core::fmt;

/// What is ranked: by what, the family and what it is, and the same of its error.
type Family = (TopBy, [(&'static str, &'static str); 2]);

const FAMILIES: [Family; 3] = [
    (
        TopBy::Requests,
        [
            (
                "weir_top_requests",
                "The services and tenants with the most requests: at most so many. Only while pairs have found no series \
                 of their own; else the sum of weir_requests_total by service or tenant is exact.",
            ),
            ("weir_top_requests_error", "By how much weir_top_requests can be too high."),
        ],
    ),
    (
        TopBy::Cost,
        [
            (
                "weir_top_cost",
                "The services and tenants with the highest cost: at most so much. Only while pairs have found no series \
                 of their own; else the sum of weir_cost by service or tenant is exact.",
            ),
            ("weir_top_cost_error", "By how much weir_top_cost can be too high."),
        ],
    ),
    (
        TopBy::Violations,
        [
            (
                "weir_top_denied",
                "The services and tenants with the most denied requests: at most so many. Only while pairs have found no \
                 series of their own; else the sum of weir_requests_total by service or tenant is exact.",
            ),
            ("weir_top_denied_error", "By how much weir_top_denied can be too high."),
        ],
    ),
];

/// Gives the rankings, if there is a pair that has no series of its own.
pub(super) fn write(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    if collector.stats().overflowed == 0 {
        return Ok(());
    }
    for (by, [(name, help), (error_name, error_help)]) in FAMILIES {
        sink.family(name, help, FigureKind::Gauge)?;
        write_both(collector, sink, by, |entry| entry.count)?;
        sink.family(error_name, error_help, FigureKind::Gauge)?;
        write_both(collector, sink, by, |entry| entry.error)?;
    }
    Ok(())
}

fn write_both(
    collector: &GovernanceCollector,
    sink: &mut dyn FigureSink,
    by: TopBy,
    value: fn(&TopEntry<'_>) -> u64,
) -> fmt::Result {
    write_one(sink, "service", by, &collector.get_top_services(by), value)?;
    write_one(sink, "tenant", by, &collector.get_top_tenants(by), value)
}

fn write_one(
    sink: &mut dyn FigureSink,
    kind: &str,
    by: TopBy,
    top: &Top<'_>,
    value: fn(&TopEntry<'_>) -> u64,
) -> fmt::Result {
    for (rank, entry) in (1_u32..).zip(top.as_slice()) {
        let figure = match by {
            TopBy::Cost => Figure::Money(NanoUnits(value(entry).into())),
            TopBy::Requests | TopBy::Violations => Figure::Whole(value(entry)),
        };
        sink.sample(&[label("kind", &kind), label("name", &entry.name), label("rank", &rank)], figure)?;
    }
    Ok(())
}
