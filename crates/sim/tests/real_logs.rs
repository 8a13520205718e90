//! The real logs, where they lie: read whole, and decided by the models.
//!
//! They are not part of the repository. `WEIR_DATA` names the folder; a test whose file is absent says so.

use std::io::Write;
use std::path::Path;

use sim::logs::{self, Log};
use sim::oracle::Limiter;
use sim::oracle::rule::{Algorithm, Align, Limit, Unit};
use sim::replay::{replay, virtual_seconds};

const SECOND: u64 = 1_000_000_000;

fn real_log(name: &str) -> Option<Log> {
    let folder = std::env::var("WEIR_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
    let path = Path::new(&folder).join(name);
    match std::fs::read(&path) {
        Ok(content) => Some(logs::read(&content)),
        Err(error) => {
            // Not `println!`, which the test runner shows only of tests that fail.
            let _ = writeln!(std::io::stderr(), "skipped: {}: {error}", path.display());
            None
        }
    }
}

#[test]
fn the_apache_log_is_read_whole() {
    let Some(log) = real_log("apache-access-2015.log") else { return };
    assert_eq!((log.lines, log.malformed.len(), log.records.len()), (10_000, 0, 10_000));
    let clients: std::collections::BTreeSet<_> =
        log.records.iter().filter_map(|(_, record)| record.ip).collect();
    assert_eq!(clients.len(), 1_753);
    let back = log.records.windows(2).filter_map(|pair| pair[0].1.time_ns.checked_sub(pair[1].1.time_ns));
    let back: Vec<u64> = back.filter(|ns| *ns > 0).collect();
    assert_eq!(back.iter().max(), Some(&(59 * SECOND)));
}

#[test]
fn the_trace_is_read_whole() {
    let Some(log) = real_log("azure-llm-2023-code.csv") else { return };
    assert_eq!((log.lines, log.malformed.len(), log.records.len()), (8_820, 0, 8_819));
    assert_eq!(log.records[0].1.time_ns % SECOND, 979_960_000);
    assert_eq!(log.records[0].1.tokens, 4_818);
}

#[test]
fn the_models_decide_the_real_logs_and_every_account_adds_up() {
    let limits = [
        Limit::on("ip:*", Algorithm::TokenBucket { capacity: 10, tokens: 1, per_ns: SECOND }),
        Limit::on("ip:*", Algorithm::SlidingLog { limit: 40, window_ns: 60 * SECOND }).named("ip-minute"),
        Limit::on(
            "group:*",
            Algorithm::SlidingCounter { limit: 200, window_ns: 60 * SECOND, align: Align::Clock },
        ),
        Limit::on("service:web", Algorithm::TokenBucket { capacity: 60_000, tokens: 1_000, per_ns: SECOND })
            .counting(Unit::Tokens),
    ];
    for name in ["apache-access-2015.log", "azure-llm-2023-code.csv"] {
        let Some(log) = real_log(name) else { continue };
        let mut limiter = Limiter::new(limits.to_vec(), |_, _| 0);
        let decided = replay(&log, "web", &[], &mut limiter);
        let denied = decided.iter().filter(|decided| !decided.outcome.allowed()).count();
        println!("{name}: {denied} of {} refused in {} s", decided.len(), virtual_seconds(&log));
        assert!(denied > 0 && denied < decided.len());
        for limit in &limits {
            let refused = decided.iter().filter(|decided| decided.outcome.refusing.contains(&limit.name));
            assert_eq!(limiter.counts(&limit.name).denied, u64::try_from(refused.count()).unwrap());
        }
    }
}
