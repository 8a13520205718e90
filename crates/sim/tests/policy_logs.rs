//! Access logs, decided line by line by twenty policies: the product's reader and engine against the models' own.
//!
//! The real log is not part of the repository. `WEIR_DATA` names its folder; the test says so where it is absent.

#[allow(dead_code, reason = "each test takes what it needs")]
mod engine;
#[allow(dead_code, reason = "each test takes what it needs")]
mod policed;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use governance::policy::{PolicyContext, PolicyEngine};
use governance::scope::{HashSecret, Kind, NameRef};
use governance::time::Now;
use policed::{assert_alike, known_limit};
use shell::engine::{Engine, Governor};
use shell::replay::{Progress, Replay, ReplayOptions, TenantSource};
use sim::demo;
use sim::logs::{self, Record, real_log};
use sim::oracle::policy::{Action, Field, Policies, Reader, Request, Rule};
use sim::oracle::rule::{Algorithm, Limit};
use sim::policies::LIMITS;
use wire::access_log::{LineBuffer, parse};

use Field::{Days, Hours, Ip, Method, Path, Service, Tenant};

/// Too large for a stack.
static SHELL: Mutex<Engine> = Mutex::new(Engine::new());

/// Too large for a stack.
static ENGINE: Mutex<(PolicyEngine, LineBuffer)> = Mutex::new((PolicyEngine::new(), LineBuffer::new()));

#[test]
fn the_demonstration_log_is_decided_alike_by_policies() {
    let content = demo::log(demo::SEED);
    for default_deny in [false, true] {
        let policies = Policies { rules: demo_rules(), default_deny };
        compare("demo.log", content.as_bytes(), &policies);
        compare_replay("demo.log", content.as_bytes(), &policies);
    }
}

#[test]
fn the_apache_log_is_decided_alike_by_policies() {
    let Some(content) = real_log("apache-access-2015.log") else { return };
    for default_deny in [false, true] {
        let policies = Policies { rules: apache_rules(), default_deny };
        compare("apache-access-2015.log", &content, &policies);
        compare_replay("apache-access-2015.log", &content, &policies);
    }
}

type Line<'a> = (&'a str, &'a str, &'a [(Field, &'a str)]);

fn rules(lines: [Line<'_>; 20]) -> Vec<Rule> {
    let all = lines.into_iter().map(|(name, action, fields)| {
        let rule = Rule { audit: name.len() % 2 == 0, ..Rule::new(name, action) };
        fields.iter().fold(rule, |rule, (field, text)| rule.with(*field, text))
    });
    let mut rules: Vec<Rule> = all.collect();
    for rule in &mut rules {
        rule.shadow = rule.name.starts_with("would-");
    }
    rules
}

fn demo_rules() -> Vec<Rule> {
    rules([
        ("probes", "allow", &[(Path, "/healthz"), (Ip, "192.0.2.0/28")]),
        ("other-probes", "deny", &[(Path, "/healthz"), (Ip, "!192.0.2.0/28")]),
        ("readers", "allow", &[(Method, "get, HEAD"), (Path, "/, !/api")]),
        ("assets-are-cached", "redirect:cache", &[(Path, "/assets"), (Service, "!cache")]),
        ("scraper", "deny", &[(Ip, "198.51.100.20"), (Path, "!/docs")]),
        ("batch-clients", "throttle:slow-lane", &[(Ip, "203.0.113.64/30"), (Path, "/api/v1/memory")]),
        ("chat-of-ipv6", "throttle:fast-lane", &[(Ip, "2001:db8::/32"), (Path, "/api/v1/chat")]),
        (
            "api-needs-a-name",
            "deny",
            &[(Path, "/api"), (Tenant, "!lena, !noor, !hugo"), (Ip, "203.0.113.128/25")],
        ),
        ("chat", "allow", &[(Path, "/api/v1/chat"), (Method, "POST")]),
        ("memory", "allow", &[(Path, "/api/v1/memory/")]),
        ("writes", "log", &[(Method, "PUT, POST, DELETE")]),
        ("work-hours", "alert", &[(Hours, "9-17"), (Days, "mon-fri"), (Ip, "198.51.100.128/25")]),
        ("night", "deny", &[(Hours, "17-9")]),
        ("weekend", "deny", &[(Days, "sat, sun")]),
        ("mapped", "log", &[(Ip, "::ffff:192.0.2.0/121"), (Path, "/favicon.ico, /blog")]),
        ("no-ipv4", "alert", &[(Ip, "::/0, !2001:db8:2::/48")]),
        ("would-close-docs", "deny", &[(Path, "/docs, !/docs/limits")]),
        ("would-open-all", "allow", &[]),
        ("traces", "deny", &[(Method, "TRACE, CONNECT")]),
        ("queues", "log", &[(Path, "/blog/queues"), (Method, "!PUT")]),
    ])
}

fn apache_rules() -> Vec<Rule> {
    rules([
        ("crawler", "throttle:slow-lane", &[(Ip, "66.249.64.0/19"), (Path, "!/robots.txt")]),
        ("one-of-the-crawlers", "log", &[(Ip, "66.249.73.135")]),
        ("robots", "allow", &[(Path, "/robots.txt")]),
        ("blog", "allow", &[(Path, "/blog, !/blog/tags"), (Method, "GET, HEAD")]),
        ("tags-by-day", "allow", &[(Path, "/blog/tags"), (Hours, "6-22")]),
        ("tags-by-night", "deny", &[(Path, "/blog/tags"), (Hours, "22-6"), (Ip, "!46.105.0.0/16")]),
        ("slides", "allow", &[(Path, "/presentations"), (Days, "mon-wed")]),
        (
            "slides-on-sunday",
            "redirect:mirror",
            &[(Path, "/presentations"), (Days, "sun"), (Service, "!mirror")],
        ),
        ("pictures", "allow", &[(Path, "/images, /favicon.ico, /style2.css, /reset.css")]),
        ("hot-links", "deny", &[(Path, "/images/web"), (Ip, "0.0.0.0/1"), (Hours, "12-14")]),
        ("posts", "deny", &[(Method, "post")]),
        ("options", "alert", &[(Method, "OPTIONS")]),
        ("heads", "log", &[(Method, "Head"), (Hours, "0-12, 13-24")]),
        ("projects", "allow", &[(Path, "/projects/xdotool, /projects/keynav, /files")]),
        ("large-network", "alert", &[(Ip, "208.0.0.0/4, !208.115.0.0/16, !208.43.0.0/16")]),
        ("busy-network", "deny", &[(Ip, "75.97.0.0/16, 130.237.0.0/16"), (Path, "/presentations")]),
        ("front-page", "throttle:fast-lane", &[(Path, "/, !/blog, !/presentations, !/images, !/files")]),
        ("would-stop-articles", "deny", &[(Path, "/articles, !/articles/ssh-security"), (Days, "mon, wed")]),
        ("would-open-all", "allow", &[(Method, "GET")]),
        ("ipv6", "deny", &[(Ip, "::/0")]),
    ])
}

/// Decides a log on both sides, and asserts that they agree at each line.
fn compare(name: &str, content: &[u8], policies: &Policies) {
    let log = logs::read(content);
    let mut records = log.records.iter().peekable();
    let reader = Reader::new(policies);
    let mut guard = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let (engine, buffer) = &mut *guard;
    engine.reset();
    let (rules, default) = (policed::rules(policies), policed::default(policies));
    engine.configure(Now::default(), &rules, default, &known_limit).expect("twenty rules");
    let service = NameRef::new("web").expect("a name");
    let (mut decided, mut denied) = (0, 0);
    let mut spoken: BTreeMap<String, u64> = BTreeMap::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let number = u64::try_from(index + 1).expect("a line");
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let model = records.next_if(|(at, _)| *at == number).map(|(_, record)| record);
        let parsed = parse(line, buffer);
        assert_eq!(parsed.is_ok(), model.is_some(), "{name} line {number}: {parsed:?}");
        let (Ok(parsed), Some(model)) = (parsed, model) else { continue };
        let name_of = |bytes| std::str::from_utf8(bytes).ok().and_then(|text| NameRef::new(text).ok());
        let context = PolicyContext {
            service: Some(service),
            tenant: parsed.user.and_then(name_of),
            ip: Some(parsed.ip),
            method: name_of(parsed.method),
            path: Some(parsed.path),
            wall: parsed.time,
            ..PolicyContext::default()
        };
        let request = request(model);
        let expected = reader.decide(&request);
        let found = engine.evaluate_request(Now::from_wall(parsed.time), &context);
        let said = || format!("{name} line {number}: {request:?} {found:?}");
        assert_alike(engine, policies, &found, &expected, &said);
        decided += 1;
        denied += u64::from(!expected.allowed);
        *spoken.entry(expected.decider.unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(records.next(), None, "{name}");
    assert_eq!(decided, u64::try_from(log.records.len()).expect("a count"), "{name}");
    let totals = engine.stats();
    assert_eq!((totals.evaluated, totals.denied), (decided, denied), "{name}");
    let _ = writeln!(std::io::stderr(), "{name}: {denied} of {decided} denied, {spoken:?}");
    assert!(denied > 0 && denied < decided && spoken.len() >= 8, "{name}: {spoken:?}");
}

/// What became of requests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    allowed: u64,
    denied: u64,
    redirected: u64,
}

/// Replays a log as the shell does, through a governor that has policies and no limits but those that they throttle by,
/// which are unlimited, and asserts that it counts what the model says.
fn compare_replay(name: &str, content: &[u8], policies: &Policies) {
    let mut engine = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    let Engine { replay: governor, timeline, line, .. } = &mut *engine;
    governor.reset(HashSecret::from_seed(1));
    for (place, limit) in LIMITS.into_iter().enumerate() {
        let limit = Limit::on(&format!("service:{place}"), Algorithm::Unlimited).named(limit);
        governor.limits.add(&engine::spec(&limit)).expect("a limit");
    }
    let (rules, default) = (policed::rules(policies), policed::default(policies));
    let Governor { policies: engine, limits, .. } = &mut *governor;
    engine.configure(Now::default(), &rules, default, &|name| limits.find(name)).expect("twenty rules");

    let service = NameRef::new("web").expect("a name");
    let options = ReplayOptions { service, tenant: TenantSource::Key(Kind::User), from: None, to: None };
    let mut replay = Replay::new(content, options, line).expect("a log");
    while replay.step(governor, timeline, line, 1_000) == Progress::More {}
    let report = replay.report();

    let reader = Reader::new(policies);
    let mut totals = Totals::default();
    let mut counted: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    let mut latest = 0;
    for (_, record) in &logs::read(content).records {
        // A replay never turns the clock back.
        latest = latest.max(record.time_ns);
        let decision = reader.decide(&Request { wall_ns: latest, ..request(record) });
        let decider = decision.decider.as_deref().and_then(|name| policies.find(name));
        match decider.map(Rule::effect) {
            _ if !decision.allowed => totals.denied += 1,
            Some(Action::Redirect(_)) => totals.redirected += 1,
            _ => totals.allowed += 1,
        }
        for rule in &policies.rules {
            let (matched, decided, would) = counted.entry(&rule.name).or_default();
            *matched += u64::from(decision.matched.contains(&rule.name));
            *decided += u64::from(decision.decider.as_ref() == Some(&rule.name));
            *would += u64::from(decision.shadow.contains(&rule.name));
        }
    }
    let found = Totals { allowed: report.allowed, denied: report.denied, redirected: report.redirected };
    assert_eq!(found, totals, "{name}");
    assert_eq!(report.requests, totals.allowed + totals.denied + totals.redirected, "{name}");
    for (id, rule) in governor.policies.list_policies() {
        let stats = governor.policies.get_policy_stats(id).expect("a policy");
        let found = (stats.matched, stats.decided, stats.would);
        assert_eq!(found, counted[rule.name.as_str()], "{name}: {}", rule.name);
    }
}

/// The request that a record stands for.
fn request(record: &Record) -> Request {
    Request {
        service: Some("web".to_owned()),
        tenant: record.user.clone(),
        ip: record.ip,
        method: Some(record.method.clone()).filter(|method| !method.is_empty()),
        path: Some(record.path.clone().into_bytes()),
        wall_ns: record.time_ns,
        ..Request::default()
    }
}
