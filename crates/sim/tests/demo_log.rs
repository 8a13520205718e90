//! The demonstration log: reproducible, and showing what it is meant to show.

use std::collections::BTreeSet;

use sim::demo;
use sim::logs::{self, Log};
use sim::oracle::limiter::{Limiter, shipped_limits};
use sim::oracle::rule::{Algorithm, Align};
use sim::replay::{Decided, replay, virtual_seconds};

const MINUTE_NS: u64 = 60_000_000_000;

fn demo() -> Log {
    logs::read(demo::log(demo::SEED).as_bytes())
}

fn decide(log: &Log, per_minute: impl Fn(u64) -> Algorithm) -> (Vec<Decided>, Limiter) {
    let routes = [("/api/v1/chat", "chat"), ("/api/v1/memory", "memory"), ("/healthz", "exempt")]
        .map(|(prefix, group)| (prefix.to_owned(), group.to_owned()));
    let mut limiter = Limiter::new(shipped_limits(per_minute), |_, _| 0);
    (replay(log, "web", &routes, &mut limiter), limiter)
}

#[test]
fn the_committed_log_is_what_the_generator_gives() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/demo.log");
    let committed = std::fs::read_to_string(committed).expect("demo/demo.log");
    assert!(
        committed == demo::log(demo::SEED),
        "demo/demo.log is out of date: cargo run -p sim --bin demo-log > demo/demo.log"
    );
}

#[test]
fn the_log_is_twenty_minutes_of_mildly_disordered_traffic_with_a_few_damaged_lines() {
    let log = demo();
    assert!((5_000..=8_000).contains(&log.records.len()), "{} requests", log.records.len());
    assert!((3..=4).contains(&log.malformed.len()), "{:?}", log.malformed);
    assert!((1_150..=1_200).contains(&virtual_seconds(&log)));
    let times: Vec<u64> = log.records.iter().map(|(_, record)| record.time_ns).collect();
    let back = times.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0] - pair[1]);
    let back: Vec<u64> = back.collect();
    assert!(back.len() > 100, "times go back {} times", back.len());
    assert!(back.iter().all(|ns| *ns <= 10_000_000_000), "times go back too far");
}

#[test]
fn the_log_has_users_both_address_families_and_only_documentation_addresses() {
    let log = demo();
    let records = || log.records.iter().map(|(_, record)| record);
    assert!(records().any(|record| record.user.is_some()));
    let addresses: BTreeSet<_> = records().filter_map(|record| record.ip).collect();
    assert!(addresses.iter().any(std::net::IpAddr::is_ipv6));
    for address in addresses {
        let name = address.to_string();
        assert!(
            ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"]
                .iter()
                .any(|range| name.starts_with(range)),
            "{name}"
        );
    }
}

#[test]
fn the_shipped_limits_refuse_a_visible_part_of_each_group() {
    let log = demo();
    let bucket = |count| Algorithm::TokenBucket { capacity: count, tokens: count, per_ns: MINUTE_NS };
    let window = |count| Algorithm::FixedWindow { limit: count, window_ns: MINUTE_NS, align: Align::Clock };
    for algorithm in [&bucket as &dyn Fn(u64) -> Algorithm, &window] {
        let (decided, limiter) = decide(&log, algorithm);
        let denied = decided.iter().filter(|decided| !decided.outcome.allowed()).count();
        let percent = denied * 100 / decided.len();
        println!("{denied} of {} refused, {percent} %", decided.len());
        assert!((5..=20).contains(&percent), "{percent} %");
        for limit in ["group:chat", "group:memory", "group:*"] {
            println!("{limit} {:?}", limiter.counts(limit));
            assert!(limiter.counts(limit).denied > 50, "{limit}: {:?}", limiter.counts(limit));
        }
        let exempt = decided.iter().filter(|decided| decided.request.group.as_deref() == Some("exempt"));
        assert!(exempt.clone().count() > 400);
        assert!(exempt.clone().all(|decided| decided.outcome.allowed()));
    }
}
