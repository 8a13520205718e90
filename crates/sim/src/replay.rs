//! What a replay of a log has to answer, request by request.

use crate::logs::{Log, Record};
use crate::oracle::rule::{Clocks, Request};
use crate::oracle::{Limiter, Outcome, routes};

/// One record, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The number of its line.
    pub line: u64,
    /// The time at which it was decided: the largest of the log so far.
    pub now_ns: u64,
    /// The request that was made of it.
    pub request: Request,
    /// What became of it.
    pub outcome: Outcome,
}

/// Decides each record of `log` in its order, in virtual time, as requests to `service`.
///
/// `routes` are (path prefix, group). `limiter` keeps what was counted.
#[must_use]
pub fn replay(log: &Log, service: &str, routes: &[(String, String)], limiter: &mut Limiter) -> Vec<Decided> {
    let mut now_ns = 0;
    let mut decided = Vec::new();
    for (line, record) in &log.records {
        now_ns = record.time_ns.max(now_ns);
        let request = request(record, service, routes);
        let outcome = limiter.decide(Clocks::both(now_ns), &request);
        decided.push(Decided { line: *line, now_ns, request, outcome });
    }
    decided
}

/// The whole seconds between the first record and the latest.
#[must_use]
pub fn virtual_seconds(log: &Log) -> u64 {
    let first = log.records.first().map_or(0, |(_, record)| record.time_ns);
    let latest = log.records.iter().map(|(_, record)| record.time_ns).max().unwrap_or(0);
    (latest - first) / 1_000_000_000
}

/// The request that a record stands for.
#[must_use]
pub fn request(record: &Record, service: &str, routes: &[(String, String)]) -> Request {
    let group = routes::group(routes, &record.path);
    Request {
        service: Some(service.to_owned()),
        user: record.user.clone(),
        ip: record.ip,
        group: Some(group.to_owned()),
        exempt: group == routes::EXEMPT_GROUP,
        bytes: record.bytes,
        tokens: record.tokens,
        ..Request::default()
    }
}
