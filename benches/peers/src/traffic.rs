//! Traffic control and metrics: each part by itself beside a library that does the same, and the whole way of a call.

mod breaker;
mod guard;
mod metrics;
mod whole;

use crate::measure::Case;

/// What passes on the clock of the cases from one operation to the next, in nanoseconds: they are told the time, and read
/// no clock, apart from the peers that read one by themselves.
const STEP: u64 = 1_000;

/// Calls `each` with a title, the number of keys where there are several, and the cases of a group.
pub fn each_group(mut each: impl FnMut(&str, Option<usize>, &mut [Case<'_>])) {
    each("breaker: check, acquire and record one call", None, &mut breaker::cases());
    let pairs = metrics::Pairs::new();
    each(
        "metrics: a decision, of one pair of a service and a tenant or of 1000 in random order",
        Some(metrics::PAIRS),
        &mut metrics::decisions(&pairs),
    );
    each("metrics: an outcome, in the same way", Some(metrics::PAIRS), &mut metrics::outcomes(&pairs));
    each("retry policy: decide", None, &mut guard::retries());
    each("loop guard: admit", None, &mut guard::loops());
    let tenants = crate::keys::names(whole::TENANTS);
    each(
        "weir Governor::admit, 256 tenants, metrics in each; each line with what those before it have",
        Some(tenants.len()),
        &mut whole::stages(&tenants),
    );
    each(
        "weir Governor::admit + complete, 256 tenants, metrics in each",
        Some(tenants.len()),
        &mut whole::calls(&tenants),
    );
}
