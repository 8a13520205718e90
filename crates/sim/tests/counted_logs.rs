//! What a replay counts, against one line of awk: statuses by class, the timeline, who asked most and who was
//! refused most.
//!
//! The demonstration log is always there; a real log that is not says so, and so does a machine without awk.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use governance::scope::{HashSecret, Kind, NameRef};
use governance::time::{Nanos, Now};
use shell::engine::Engine;
use shell::replay::{Progress, Replay, ReplayOptions, ReplayReport, Statuses, TenantSource};
use sim::logs::real_log;

/// The engine as the kernel has it: too large for a stack.
static ENGINE: Mutex<Engine> = Mutex::new(Engine::new());

/// Requests that an address may make in each minute of the clock.
const EACH_MINUTE: u64 = 15;

/// Of each line that is whole: its class of status, its minute, its address, and whether it is one too many of its
/// address, or its network of version 6, in the latest minute so far. Both logs lie in one month, so that times compare as they are written.
const COUNT: &str = r#"
$1 ~ /^[0-9a-f.:]+ [^ ]+ [^ ]+ \[[^]]+\] $/ && $3 ~ /^ [0-9][0-9][0-9] ([0-9]+|-)/ { split($1, f, " "); sub(/::.*/, "", f[1]); split($3, s, " "); m = substr(f[4], 2, 17); if (m > now) now = m; c[substr(s[1], 1, 1)]++; r[m]++; a[f[1]]++; if (s[1] ~ /^5/) e[m]++; if (++w[f[1], now] > MOST) { d[m]++; k[f[1]]++ } } END { for (x in c) print "status", x, c[x]; for (x in r) print "minute", x, r[x], d[x] + 0, e[x] + 0; for (x in a) print "address", x, a[x]; for (x in k) print "denied", x, k[x] }
"#;

#[test]
fn the_demonstration_log_is_counted_as_awk_counts_it() {
    compare(concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/demo.log"));
}

#[test]
fn the_apache_log_is_counted_as_awk_counts_it() {
    if real_log("apache-access-2015.log").is_none() {
        return;
    }
    let folder = std::env::var("WEIR_DATA");
    let folder =
        folder.unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
    compare(&format!("{folder}/apache-access-2015.log"));
}

fn compare(path: &str) {
    let Some(expected) = Counted::by_awk(path) else { return };
    let content = std::fs::read(path).expect(path);
    let counted = Counted::by_replay(&content);
    assert_eq!(counted.statuses, expected.statuses, "{path}");
    assert_eq!(counted.minutes, expected.minutes, "{path}");
    assert_eq!(counted.denied, expected.denied, "{path}");
    assert_eq!(counted.addresses, expected.addresses, "{path}");
    assert!(expected.denied.len() > 5 && expected.minutes.len() > 10, "{path} shows what it should");
}

/// What was counted in a log.
#[derive(Debug, Default)]
struct Counted {
    /// By the first figure.
    statuses: BTreeMap<String, u64>,
    /// By minute: requests, refusals, errors.
    minutes: BTreeMap<String, [u64; 3]>,
    /// The ten addresses that were refused most.
    denied: Vec<(u64, String)>,
    /// The ten addresses that have asked most.
    addresses: Vec<(u64, String)>,
}

impl Counted {
    /// None, and a line that says that a test is skipped, where there is no awk.
    fn by_awk(path: &str) -> Option<Self> {
        let awk = Command::new("awk")
            .args(["-F\"", "-v", &format!("MOST={EACH_MINUTE}"), COUNT.trim(), path])
            .env("LC_ALL", "C")
            .output();
        let output = match awk {
            Ok(output) => output,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "skipped: awk: {error}");
                return None;
            }
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut counted = Self::default();
        for line in String::from_utf8(output.stdout).expect("text").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().expect(line);
            match words[0] {
                "status" => drop(counted.statuses.insert(words[1].to_owned(), number(2))),
                "minute" => drop(counted.minutes.insert(iso(words[1]), [number(2), number(3), number(4)])),
                "denied" => counted.denied.push((number(2), format!("ip:{}", key(words[1])))),
                "address" => counted.addresses.push((number(2), key(words[1]))),
                _ => {}
            }
        }
        ten_most(&mut counted.denied);
        ten_most(&mut counted.addresses);
        Some(counted)
    }

    fn by_replay(content: &[u8]) -> Self {
        let mut counted = Self::default();
        let limit = format!(
            "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"fixed-window\"\nlimit = {EACH_MINUTE}\nwindow = \"1m\"\nalign = \"clock\"\n"
        );
        replay(content, &limit, |report, Engine { replay: governor, timeline, .. }| {
            let classes = Statuses::NAMES.into_iter().zip(report.statuses.classes());
            for (name, count) in classes.filter(|(_, count)| *count > 0) {
                counted.statuses.insert(name[..1].to_owned(), count);
            }
            assert_eq!((report.statuses.total(), report.statuses.other()), (report.requests, 0));
            assert_eq!(timeline.step(), Nanos::from_seconds(60));
            for (start, tally) in timeline.steps().filter(|(_, tally)| tally.requests > 0) {
                let counts = [tally.requests, tally.denied, tally.errors].map(u64::from);
                counted.minutes.insert(start.to_string(), counts);
            }
            let sum = |which: usize| counted.minutes.values().map(|counts| counts[which]).sum::<u64>();
            assert_eq!([sum(0), sum(1)], [report.requests, report.denied]);
            governor.limits.each_denied_key(|key| counted.denied.push((key.denied, key.to_string())));
        });
        // Where each request costs one, what an address has to pay is how often it has asked.
        let price = "[[model]]\nservice = \"*\"\nbase_cost = \"1 USD\"\n";
        replay(content, price, |_, Engine { replay: governor, .. }| {
            for cost in governor.costs.tenant_costs().filter(|cost| cost.total.0 > 0) {
                let requests = u64::try_from(cost.total.0 / 1_000_000_000).expect("a few dollars");
                counted.addresses.push((requests, cost.tenant.to_string()));
            }
        });
        ten_most(&mut counted.denied);
        ten_most(&mut counted.addresses);
        counted
    }
}

/// Replays a log under a configuration, each address as a tenant, and looks at what has come of it.
fn replay(content: &[u8], toml: &str, look: impl FnOnce(&ReplayReport, &mut Engine)) {
    let mut guard = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = &mut *guard;
    let Engine { replay: governor, timeline, line, staging, reader, .. } = &mut *engine;
    let errors = reader.read(toml.as_bytes(), staging, &mut |at, error| panic!("{at:?}: {error}"));
    assert_eq!(errors, 0);
    governor.reset(HashSecret::from_seed(1));
    governor.configure(Now::default(), staging).expect("one limit, or one price");
    timeline.reset();
    let service = NameRef::new("web").expect("a name");
    let options = ReplayOptions { service, tenant: TenantSource::Key(Kind::Ip), from: None, to: None };
    let mut replay = Replay::new(content, options, line).expect("a log");
    while replay.step(governor, timeline, line, 1_000) == Progress::More {}
    let report = *replay.report();
    look(&report, engine);
}

fn ten_most(keys: &mut Vec<(u64, String)>) {
    keys.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    keys.truncate(10);
}

/// What an address is limited as: of version 6, its network, which awk has without the rest.
fn key(address: &str) -> String {
    match format!("{address}::").parse::<std::net::Ipv6Addr>() {
        Ok(network) => format!("{network}/64"),
        Err(_) => address.to_owned(),
    }
}

/// `17/May/2015:10:05` as `2015-05-17T10:05:00Z`.
fn iso(minute: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(&minute[3..6]).expect(minute) / 3 + 1;
    format!("{}-{month:02}-{}T{}:00Z", &minute[7..11], &minute[..2], &minute[12..])
}
