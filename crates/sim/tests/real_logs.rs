//! The real logs, where they lie, and the demonstration log: the product's replay against the models, line by line.
//!
//! The real logs are not part of the repository. `WEIR_DATA` names their folder; a test whose file is absent says
//! so.

mod engine;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use governance::config::Config;
use governance::decision::{Verdict as EngineVerdict, Wait as EngineWait};
use governance::governor::Governor as GovernorOf;
use governance::scope::{HashSecret, NameRef};
use governance::time::{Nanos, Now, WallTime};
use shell::engine::{Engine, Governor};
use shell::replay::{Progress, Replay, ReplayOptions, SHOWN_MALFORMED_MAX, TenantSource};
use sim::demo;
use sim::logs::{self, Log, real_log};
use sim::oracle::limiter::{Counts, shipped_limits};
use sim::oracle::rule::{Algorithm, Align, Clocks, Limit, Unit};
use sim::oracle::{Limiter, Verdict};
use sim::replay::{Decided, replay, virtual_seconds};
use wire::config::ConfigReader;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// The engine as the kernel has it: too large for a stack.
static ENGINE: Mutex<Engine> = Mutex::new(Engine::new());

static READER: Mutex<(ConfigReader, Config)> = Mutex::new((ConfigReader::new(), Config::new()));

#[test]
fn the_apache_log_is_read_whole() {
    let Some(content) = real_log("apache-access-2015.log") else { return };
    let log = logs::read(&content);
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
    let Some(content) = real_log("azure-llm-2023-code.csv") else { return };
    let log = logs::read(&content);
    assert_eq!((log.lines, log.malformed.len(), log.records.len()), (8_820, 0, 8_819));
    assert_eq!(log.records[0].1.time_ns % SECOND, 979_960_000);
    assert_eq!(log.records[0].1.tokens, 4_818);
}

#[test]
fn the_shipped_configuration_is_the_one_that_is_replayed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/weir.toml");
    let file = std::fs::read(file).expect("demo/weir.toml");
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    let (reader, config) = &mut *reader;
    let errors = reader.read(&file, config, &mut |at, error| panic!("{at:?}: {error}"));
    assert_eq!(errors, 0);
    let expected: Vec<_> = shipped().iter().map(engine::spec).collect();
    assert_eq!(config.limits(), expected);
    let routes = config.routes.as_slice().iter().map(|route| (route.prefix(), route.group()));
    assert!(routes.eq(routes_of_paths().iter().map(|(prefix, group)| (prefix.as_str(), group.as_str()))));
}

#[test]
fn the_demonstration_log_is_decided_alike() {
    let content = demo::log(demo::SEED);
    for limits in access_log_limits("192.0.2.2") {
        compare("demo.log", content.as_bytes(), &limits);
    }
}

#[test]
fn the_apache_log_is_decided_alike() {
    let Some(content) = real_log("apache-access-2015.log") else { return };
    for limits in access_log_limits("66.249.73.135") {
        compare("apache-access-2015.log", &content, &limits);
    }
}

#[test]
fn the_trace_is_decided_alike() {
    let Some(content) = real_log("azure-llm-2023-code.csv") else { return };
    let service = |algorithm| Limit::on("service:web", algorithm);
    let any = |algorithm| Limit::on("service:*", algorithm).counting(Unit::Tokens);
    for limits in [
        shipped(),
        vec![
            service(token_bucket(50_000, 1_500, SECOND)).counting(Unit::Tokens),
            service(Algorithm::FixedWindow { limit: 120, window_ns: MINUTE, align: Align::Clock }),
        ],
        vec![
            any(Algorithm::SlidingLog { limit: 150_000, window_ns: MINUTE }),
            service(Algorithm::SlidingCounter { limit: 150, window_ns: MINUTE, align: Align::Spread }),
        ],
        vec![
            any(Algorithm::LeakyQueue { capacity: 20_000, tokens: 100_000, per_ns: MINUTE }),
            service(Algorithm::Unlimited),
            Limit::on("service:*", Algorithm::Ban),
        ],
    ] {
        compare("azure-llm-2023-code.csv", &content, &limits);
    }
}

/// Limits for access logs; `busy` is the address of a busy client.
fn access_log_limits(busy: &str) -> Vec<Vec<Limit>> {
    let window = |limit, align| Algorithm::FixedWindow { limit, window_ns: MINUTE, align };
    let busy = format!("ip:{busy}");
    vec![
        shipped(),
        vec![
            Limit::on("ip:*", token_bucket(10, 1, SECOND)),
            Limit::on(&busy, token_bucket(3, 1, 10 * SECOND)),
            Limit::on(&busy, Algorithm::SlidingLog { limit: 100, window_ns: 60 * MINUTE }).named("busy-hour"),
            Limit::on("user:*", token_bucket(20, 10, MINUTE)),
            Limit::on("user:ada", window(8, Align::Clock)),
        ],
        vec![
            Limit::on("ip:*", Algorithm::SlidingLog { limit: 12, window_ns: 60 * SECOND }),
            Limit::on("ip:*", token_bucket(1_000_000, 5_000, SECOND)).counting(Unit::Bytes),
            Limit::on("service:web", Algorithm::LeakyBucket { capacity: 90, tokens: 7, per_ns: SECOND }),
        ],
        vec![
            Limit::on(
                "ip:*",
                Algorithm::SlidingCounter { limit: 10, window_ns: MINUTE, align: Align::Spread },
            ),
            Limit::on("group:*", window(60, Align::Clock)),
            Limit::on(
                "service:web",
                Algorithm::SlidingCounter { limit: 20_000_000, window_ns: MINUTE, align: Align::Clock },
            )
            .counting(Unit::Bytes),
            Limit::on("client:*", window(15, Align::Spread)),
        ],
        vec![
            Limit::on("ip:*", Algorithm::LeakyQueue { capacity: 8, tokens: 20, per_ns: MINUTE }),
            Limit::on("service:*", Algorithm::LeakyQueue { capacity: 50, tokens: 3, per_ns: SECOND }),
            Limit::on(&busy, Algorithm::Unlimited),
            Limit::on("user:hugo", Algorithm::Ban),
        ],
    ]
}

fn token_bucket(capacity: u64, tokens: u64, per_ns: u64) -> Algorithm {
    Algorithm::TokenBucket { capacity, tokens, per_ns }
}

fn shipped() -> Vec<Limit> {
    shipped_limits(|count| token_bucket(count, count, MINUTE))
}

fn routes_of_paths() -> Vec<(String, String)> {
    [("/api/v1/chat", "chat"), ("/api/v1/memory", "memory"), ("/health", "exempt"), ("/healthz", "exempt")]
        .map(|(prefix, group)| (prefix.to_owned(), group.to_owned()))
        .to_vec()
}

/// Replays a log on both sides, and asserts that they agree at each line and in the end.
fn compare(name: &str, content: &[u8], limits: &[Limit]) {
    let seed = 7;
    let secret = HashSecret::from_seed(seed);
    let log = logs::read(content);
    let mut model = Limiter::new(limits.to_vec(), engine::hash(secret));
    let decided = replay(&log, "web", &routes_of_paths(), &mut model);
    let mut guard = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = &mut *guard;
    configure(engine, secret, limits);
    compare_decisions(&mut engine.live, &decided);
    compare_replay(engine, content, &log, &decided, &model);
    let denied = decided.iter().filter(|decided| !decided.outcome.allowed()).count();
    let first = &limits[0].name;
    let _ = writeln!(std::io::stderr(), "{name} by {first}: {denied} of {} refused", decided.len());
}

fn configure(engine: &mut Engine, secret: HashSecret, limits: &[Limit]) {
    engine.staging.clear();
    for limit in limits {
        engine.staging.add_limit(&engine::spec(limit)).expect("a few limits");
    }
    for (prefix, group) in routes_of_paths() {
        engine.staging.routes.add(&prefix, &group).expect("a few routes");
    }
    for governor in [&mut engine.live, &mut engine.replay] {
        governor.reset(secret);
        governor.configure(Now::default(), &engine.staging).expect("a checked configuration");
    }
}

/// Each request as the models had it: verdict, delay, refusing limit, wait.
fn compare_decisions<const KEYS: usize, const LOG: usize, const TENANTS: usize>(
    governor: &mut GovernorOf<KEYS, LOG, TENANTS>,
    decided: &[Decided],
) {
    for Decided { line, now_ns, request, outcome } in decided {
        let decision = governor.admit(engine::now(Clocks::both(*now_ns)), &engine::request(request));
        let expected = match &outcome.verdict {
            Verdict::Allow { delay_ns: 0 } => (EngineVerdict::Allow, None),
            Verdict::Allow { delay_ns } => (EngineVerdict::Delay(Nanos(*delay_ns)), None),
            Verdict::Deny { retry, .. } => (EngineVerdict::Deny, Some(engine::wait(*retry))),
        };
        assert_eq!((decision.verdict, decision.retry), expected, "line {line}: {request:?}");
        if let Verdict::Deny { limit, .. } = &outcome.verdict {
            let standing = decision.limit.expect("a refusal names its limit");
            assert_eq!(governor.limits.find(limit), Some(standing.limit), "line {line}: {limit}");
            assert!(matches!(decision.retry, Some(EngineWait::Never | EngineWait::For(Nanos(1..)))));
        }
    }
}

/// The product's replay of the bytes of the log, one line at a time.
fn compare_replay(engine: &mut Engine, content: &[u8], log: &Log, decided: &[Decided], model: &Limiter) {
    let service = NameRef::new("web").expect("a name");
    let options = ReplayOptions { service, tenant: TenantSource::Absent, from: None, to: None };
    let mut replay = Replay::new(content, options, &mut engine.line).expect("a log");
    let mut upcoming = decided.iter().peekable();
    let mut expected: BTreeMap<&str, Counts> = BTreeMap::new();
    let (mut requests, mut allowed, mut line) = (0, 0, 0);
    while replay.step(&mut engine.replay, &mut engine.timeline, &mut engine.line, 1) == Progress::More {
        line += 1;
        if let Some(Decided { outcome, .. }) = upcoming.next_if(|decided| decided.line == line) {
            requests += 1;
            allowed += u64::from(outcome.allowed());
            for limit in outcome.matched.iter().filter(|_| outcome.allowed()) {
                expected.entry(limit).or_default().allowed += 1;
            }
            for limit in &outcome.refusing {
                expected.entry(limit).or_default().denied += 1;
            }
        }
        let report = replay.report();
        let counted = (report.lines, report.requests, report.allowed, report.denied);
        assert_eq!(counted, (line, requests, allowed, requests - allowed), "line {line}");
        for limit in model.limits() {
            let id = engine.replay.limits.find(&limit.name).expect("a limit of both");
            let stats = engine.replay.limits.get_limit_stats(id).expect("a limit");
            let counts = expected.get(limit.name.as_str()).copied().unwrap_or_default();
            assert_eq!(
                (stats.allowed, stats.denied),
                (counts.allowed, counts.denied),
                "line {line}: {}",
                limit.name
            );
        }
    }
    compare_end(&engine.replay, &replay, log, model);
}

fn compare_end(governor: &Governor, replay: &Replay<'_>, log: &Log, model: &Limiter) {
    let report = replay.report();
    assert_eq!(report.lines, log.lines);
    let shown: Vec<u64> = report.shown_malformed.iter().flatten().map(|(line, _)| *line).collect();
    let malformed = &log.malformed;
    assert_eq!(report.malformed, u64::try_from(malformed.len()).expect("a count"));
    assert_eq!(shown, malformed[..malformed.len().min(SHOWN_MALFORMED_MAX)]);
    assert_eq!(report.virtual_time().0 / SECOND, virtual_seconds(log));
    assert_eq!(report.first, log.records.first().map(|(_, record)| WallTime(record.time_ns)));
    for limit in model.limits().iter().filter(|limit| limit.algorithm.capacity().is_some()) {
        let id = governor.limits.find(&limit.name).expect("a limit of both");
        let stats = governor.limits.get_limit_stats(id).expect("a limit");
        assert_eq!(stats.keys, model.counts(&limit.name).keys, "keys of {}", limit.name);
    }
    let mut denied = Vec::new();
    governor.limits.each_denied_key(|key| denied.push((key.to_string(), key.denied)));
    denied.sort_by(|(a_name, a), (b_name, b)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
    denied.truncate(10);
    assert_eq!(denied, model.top_denied(10));
}
