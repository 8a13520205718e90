//! What is handed out to monitoring systems, read by readers that share no code with the writers.

mod exported;

use std::collections::{BTreeMap, BTreeSet};

use exported::{END, Expected, Figures, Small, at, governed};
use governance::alerts::{AlertDraft, GovernanceAlerts, export_alerts};
use governance::decision::{Decision, Reason, Verdict};
use governance::export::{FAMILIES_MAX, Figure, FiguresFormat, write_figures};
use governance::field::FieldValue;
use governance::metrics::{
    GovernanceCollector, Key, Measured, OutcomeReport, OutcomeResult, Resolution, SERIES_MAX, TopBy,
    export_metrics,
};
use governance::money::NanoUnits;
use governance::scope::{KeyHash, Kind, NameRef};
use governance::time::{Now, WallTime};
use sim::prometheus::{Family, Type, parse};

/// Names that end strings, lines and fields, begin formulas, look like escapes, or move a cursor.
const HOSTILE: [&str; 12] = [
    "plain",
    "say \"a\"",
    "back\\slash",
    "two\nlines",
    "a,b{c}=d",
    "=1+1",
    "\u{1b}[2J",
    "\\u{1b}[2J",
    "\\u{5c}u{1b}[2J",
    "naïve 日本 🦀",
    "ends in \\",
    "(other)",
];

fn key(name: &str) -> Option<Key<'_>> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Some(Key { hash: KeyHash(hash), name: NameRef::new(name).expect("in order") })
}

/// Requests of every pair of hostile names, so many of each, a third of them refused, with outcomes.
fn filled(collector: &mut GovernanceCollector) -> (u64, u64) {
    let (mut allowed, mut denied) = (0, 0);
    for (number, (service, tenant)) in
        HOSTILE.iter().flat_map(|service| HOSTILE.iter().map(move |tenant| (service, tenant))).enumerate()
    {
        let number = number as u64;
        let now = Now::from_wall(WallTime(1_500_000_000_000_000_000 + number * 1_000_000_000));
        let measured = Measured {
            service: key(service),
            tenant: key(tenant).filter(|_| *tenant != "plain"),
            scope: key(service).map(|key| (Kind::Service, key)),
            ..Measured::default()
        };
        if number.is_multiple_of(3) {
            denied += 1;
            let decision = Decision::plain(Verdict::Deny, Reason::OverQuota);
            collector.record_decision(now, &measured, &decision);
            continue;
        }
        allowed += 1;
        let decision = Decision {
            price: Some(NanoUnits(1_000_000_007)),
            ..Decision::plain(Verdict::Allow, Reason::NoLimit)
        };
        let id = collector.record_decision(now, &measured, &decision);
        let report = OutcomeReport {
            status: Some(if number.is_multiple_of(5) { 503 } else { 200 }),
            latency_us: Some(number * number * 977),
            result: if number.is_multiple_of(5) { OutcomeResult::Failure } else { OutcomeResult::Success },
            ..OutcomeReport::default()
        };
        collector.record_outcome(now, id, &report);
    }
    (allowed, denied)
}

fn alerts() -> GovernanceAlerts {
    let mut alerts = GovernanceAlerts::new();
    for name in HOSTILE.iter().filter(|name| !name.contains(|letter: char| letter.is_control())) {
        let mut draft = AlertDraft::default();
        for (field, value) in [("name", *name), ("metric", "queue-depth"), ("above", "5")] {
            draft.set(field, FieldValue::Text(value)).expect("in order");
        }
        alerts.define_alert(&draft.finish().expect("in order")).expect("in order");
    }
    alerts
}

fn written(collector: &GovernanceCollector, format: FiguresFormat) -> String {
    let mut out = String::new();
    write_figures(format, &mut out, |sink| {
        export_metrics(collector, sink)?;
        export_alerts(&alerts(), sink)
    })
    .expect("in order");
    out
}

fn family<'a>(families: &'a [Family], name: &str) -> &'a Family {
    families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn sum(families: &[Family], name: &str, label: &str, value: &str) -> u64 {
    let meant = family(families, name).samples.iter().filter(|sample| sample.labels[label] == value);
    meant.map(|sample| sample.value.whole().expect("in order")).sum()
}

#[test]
fn an_export_is_read_by_a_strict_reader_whatever_the_names_are() {
    let mut collector = Box::new(GovernanceCollector::new());
    let (allowed, denied) = filled(&mut collector);
    let families =
        parse(&written(&collector, FiguresFormat::Prometheus)).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(sum(&families, "weir_requests_total", "outcome", "allowed"), allowed);
    assert_eq!(sum(&families, "weir_requests_total", "outcome", "denied"), denied);
    assert_eq!(sum(&families, "weir_decisions_total", "verdict", "deny"), denied);
    let failed = sum(&families, "weir_outcomes_total", "outcome", "failure");
    assert_eq!(failed, sum(&families, "weir_responses_total", "class", "5xx"));
    assert_eq!(allowed - failed, sum(&families, "weir_responses_total", "class", "2xx"));
    let latency = family(&families, "weir_latency_seconds");
    assert_eq!(latency.kind, Type::Histogram);
    let counts = latency.samples.iter().filter(|sample| sample.name.ends_with("_count"));
    let counts: BTreeMap<_, _> = counts
        .map(|sample| (sample.labels["scope"].as_str(), sample.value.whole().expect("in order")))
        .collect();
    assert_eq!(counts["all"], allowed);
    assert_eq!(
        counts.iter().filter(|(scope, _)| **scope != "all").map(|(_, count)| count).sum::<u64>(),
        allowed
    );
    assert_eq!(counts.len(), HOSTILE.len() + 1);
    for state in ["quiet", "pending", "firing"] {
        let rules = alerts().stats().rules as u64;
        let expected = if state == "quiet" { rules } else { 0 };
        assert_eq!(sum(&families, "weir_alerts", "state", state), expected);
    }
}

#[test]
fn an_empty_collector_gives_a_document_too() {
    let collector = Box::new(GovernanceCollector::new());
    parse(&written(&collector, FiguresFormat::Prometheus)).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_pair_that_is_called_like_all_others_is_counted_with_them() {
    let mut collector = Box::new(GovernanceCollector::new());
    let now = Now::from_wall(WallTime(1_500_000_000_000_000_000));
    let decision = Decision::plain(Verdict::Allow, Reason::NoLimit);
    let names: Vec<_> = (0..SERIES_MAX + 9).map(|number| format!("service {number}")).collect();
    for name in ["(other)"].into_iter().chain(names.iter().map(String::as_str)) {
        let measured = Measured { service: key(name), tenant: key("(other)"), ..Measured::default() };
        collector.record_decision(now, &measured, &decision);
    }
    let families =
        parse(&written(&collector, FiguresFormat::Prometheus)).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(sum(&families, "weir_requests_total", "outcome", "allowed"), SERIES_MAX as u64 + 10);
    assert_eq!(sum(&families, "weir_requests_total", "service", "(other)"), 11);
    assert_eq!(sum(&families, "weir_metrics_overflow_total", "table", "series"), 10);
}

/// The records of a CSV file, by the grammar of RFC 4180 with line feeds.
fn records(file: &str) -> Vec<Vec<String>> {
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut letters, mut quoted) = (file.chars().peekable(), false);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut fields));
            }
            letter => field.push(letter),
        }
    }
    assert!(fields.is_empty() && field.is_empty() && !quoted, "the last line ends");
    records
}

#[test]
fn every_format_gives_the_same_numbers_in_the_same_order() {
    let mut collector = Box::new(GovernanceCollector::new());
    filled(&mut collector);
    let families =
        parse(&written(&collector, FiguresFormat::Prometheus)).unwrap_or_else(|fault| panic!("{fault}"));
    let values: Vec<_> = families
        .iter()
        .flat_map(|family| family.samples.iter().map(|sample| (&sample.name, &sample.value)))
        .collect();
    // Prometheus is not told of the past.
    let mut csv = records(&written(&collector, FiguresFormat::Csv));
    let json = written(&collector, FiguresFormat::Json);
    let mut objects: Vec<_> = json.lines().collect();
    assert_eq!(csv.len() - 1, objects.len());
    csv.retain(|record| record[1] != "history");
    objects.retain(|object| !object.contains("\"type\":\"history\""));
    assert_eq!((csv.len() - 1, objects.len()), (values.len(), values.len()));
    for ((record, object), (name, value)) in csv[1..].iter().zip(objects).zip(values) {
        assert_eq!(record.len(), csv[0].len());
        let part = if record[2].is_empty() { String::new() } else { format!("_{}", record[2]) };
        assert_eq!(format!("{}{part}", record[0]), *name);
        let shown = &record[record.len() - 1];
        assert!(shown.parse::<f64>().is_ok());
        let line = format!("# HELP a A.\n# TYPE a gauge\na {shown}\n");
        assert_eq!(parse(&line).expect("in order")[0].samples[0].value, *value);
        let (_, last) = object.rsplit_once("\"value\":").expect("a value");
        assert_eq!(last.trim_end_matches('}').trim_matches('"'), shown);
        assert!(object.starts_with(&format!("{{\"family\":\"{}\"", record[0])));
    }
}

fn exported(governor: &Small, format: FiguresFormat) -> String {
    let mut out = String::new();
    write_figures(format, &mut out, |sink| governor.export_figures(at(END), sink)).expect("in order");
    out
}

fn figures(document: &str) -> Figures {
    let families = parse(document).unwrap_or_else(|fault| panic!("{fault}"));
    let samples = families.into_iter().flat_map(|family| family.samples);
    samples.map(|sample| ((sample.name, sample.labels), sample.value)).collect()
}

#[test]
fn an_export_says_all_that_the_engine_says_and_nothing_else() {
    let governor = governed();
    let mut found = figures(&exported(&governor, FiguresFormat::Prometheus));
    found.retain(|(name, _), _| {
        !["_bucket", "_sum", "_count"].iter().any(|part| *name == format!("weir_latency_seconds{part}"))
    });
    let expected = Expected::of(&governor, at(END)).0;
    for (figure, value) in &expected {
        assert_eq!(found.get(figure), Some(value), "{figure:?}");
    }
    for figure in found.keys() {
        assert!(expected.contains_key(figure), "{figure:?}");
    }
    // With those of rankings, which are not told here, there is room for all families.
    let csv = records(&exported(&governor, FiguresFormat::Csv));
    let families: BTreeSet<_> = csv[1..].iter().map(|record| record[0].as_str()).collect();
    assert!(families.len() + 2 * TopBy::ALL.len() <= FAMILIES_MAX, "{}", families.len());
    // The scenario is not empty: each of these families has a figure that is not zero.
    for family in [
        "weir_delayed_requests_total",
        "weir_quota_decisions_total",
        "weir_tokens_used",
        "weir_told_wait_seconds_total",
        "weir_cost",
        "weir_cost_by_source",
        "weir_alert_value",
        "weir_alert_threshold",
        "weir_alert_clear",
        "weir_alert_objective_ratio",
        "weir_tickets_total",
        "weir_outcomes_refused_total",
        "weir_limit_denied_total",
        "weir_limit_keys",
        "weir_quota_used_ratio",
        "weir_policy_matched_total",
        "weir_policy_decided_total",
        "weir_policy_denied_total",
        "weir_policy_would_match_total",
        "weir_policy_actions_total",
        "weir_policy_would_decide_total",
        "weir_queue_depth",
        "weir_queue_rejected_total",
        "weir_scope_denied_total",
        "weir_scope_responses_total",
        "weir_scope_throttled_responses_total",
        "weir_scope_unanswered_total",
        "weir_scope_lost_total",
        "weir_scope_retries_advised_total",
        "weir_scope_open_calls",
        "weir_scope_overflow_total",
        "weir_retry_budget_left_tokens",
        "weir_breaker_opened_total",
        "weir_breaker_refused_total",
        "weir_breaker_would_refuse_total",
        "weir_breaker_stale_total",
        "weir_breaker_cancelled_total",
        "weir_breaker_permits_out",
        "weir_breaker_consecutive_failures",
        "weir_breaker_open_seconds",
    ] {
        let zero = parse("# HELP a A.\n# TYPE a gauge\na 0\n").expect("in order")[0].samples[0].value.clone();
        let says = found.iter().any(|((name, _), value)| name == family && *value != zero);
        assert!(says, "{family}");
    }
}

#[test]
fn a_scope_has_one_name_in_every_family() {
    let document = exported(&governed(), FiguresFormat::Prometheus);
    for line in document.lines().filter(|line| line.to_ascii_lowercase().contains("github")) {
        // A call that names no service counts for its provider's.
        let has_scope = line.contains("scope=");
        assert_eq!(line.contains("scope=\"route:github:get\""), has_scope, "{line}");
        assert!(has_scope || line.contains("service=\"github\""), "{line}");
    }
    for family in ["weir_breaker_state", "weir_scope_calls_total", "weir_latency_seconds_count"] {
        assert!(document.contains(&format!("\n{family}{{scope=\"route:github:get\"")), "{family}");
    }
}

#[test]
fn rankings_are_told_where_series_do_not_tell_them() {
    let mut collector = Box::new(GovernanceCollector::new());
    let names: Vec<_> = (0..SERIES_MAX).map(|number| format!("service {number}")).collect();
    let ask = |collector: &mut GovernanceCollector, name: &str, seconds| {
        let measured = Measured { service: key(name), tenant: key("acme"), ..Measured::default() };
        let decision = Decision {
            price: Some(NanoUnits(250_000_000)),
            ..Decision::plain(Verdict::Deny, Reason::OverQuota)
        };
        let measured = Measured { charged: NanoUnits(250_000_000), ..measured };
        collector.record_decision(at(seconds), &measured, &decision);
    };
    names.iter().for_each(|name| ask(&mut collector, name, 0));
    let document = written(&collector, FiguresFormat::Prometheus);
    assert!(!document.contains("weir_top_"), "the sum of series is exact");
    (0..200).for_each(|_| ask(&mut collector, "busy", 1));
    let found = figures(&written(&collector, FiguresFormat::Prometheus));
    let mut expected = 0;
    for (by, family, unit) in [
        (TopBy::Requests, "weir_top_requests", 1),
        (TopBy::Cost, "weir_top_cost", 1_000_000_000),
        (TopBy::Violations, "weir_top_denied", 1),
    ] {
        for (kind, top) in
            [("service", collector.get_top_services(by)), ("tenant", collector.get_top_tenants(by))]
        {
            assert!(!top.as_slice().is_empty());
            for (place, entry) in top.as_slice().iter().enumerate() {
                let labels = [
                    ("kind", kind.to_owned()),
                    ("name", entry.name.to_owned()),
                    ("rank", (place + 1).to_string()),
                ];
                let labels: BTreeMap<_, _> =
                    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                for (family, value) in
                    [(family.to_owned(), entry.count), (format!("{family}_error"), entry.error)]
                {
                    let value = exported::part(value, unit);
                    assert_eq!(found.get(&(family, labels.clone())), Some(&value), "{labels:?}");
                    expected += 1;
                }
            }
        }
    }
    assert_eq!(found.keys().filter(|(name, _)| name.starts_with("weir_top_")).count(), expected);
}

#[test]
fn timelines_are_told_where_the_format_has_a_past() {
    let governor = governed();
    assert!(!exported(&governor, FiguresFormat::Prometheus).contains("timeline"));
    let csv = records(&exported(&governor, FiguresFormat::Csv));
    let mut found: BTreeMap<_, _> = csv
        .into_iter()
        .filter(|record| record[1] == "history")
        .map(|record| {
            let labels = [3, 5, 7].map(|label| (record[label].clone(), record[label + 1].clone()));
            ((record[0].clone(), labels), record.last().expect("a value").clone())
        })
        .collect();
    let json = exported(&governor, FiguresFormat::Json);
    assert_eq!(json.lines().filter(|line| line.contains("\"history\"")).count(), found.len());
    let mut slots = 0;
    for resolution in Resolution::ALL {
        governor.metrics.get_timeline(resolution, &mut |start, slot| {
            let Some(slot) = slot else { return };
            slots += 1;
            let mut take = |family: &str, measure: &str, value: &str| {
                let measure = if measure.is_empty() { ("", "") } else { ("measure", measure) };
                let start = start.to_string();
                let labels = [("resolution", resolution.word()), ("start", start.as_str()), measure];
                let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let told = found.remove(&(family.to_owned(), labels.clone()));
                assert_eq!(told.as_deref(), Some(value), "{family} {labels:?}");
            };
            for (measure, count) in [
                ("requests", slot.requests),
                ("allowed", slot.allowed),
                ("denied", slot.denied),
                ("delayed", slot.delayed),
                ("outcomes", slot.outcomes),
                ("errors", slot.errors),
                ("throttled", slot.throttled),
                ("timed", slot.timed),
                ("1xx", slot.classes[0]),
                ("2xx", slot.classes[1]),
                ("3xx", slot.classes[2]),
                ("4xx", slot.classes[3]),
                ("5xx", slot.classes[4]),
            ] {
                take("weir_timeline", measure, &count.to_string());
            }
            take("weir_timeline_cost", "", &format!("{:.9}", slot.cost));
            for (measure, micros) in [("all", slot.latency_sum_us), ("longest", slot.latency_max_us)] {
                let seconds = Figure::micros(micros).to_string();
                take("weir_timeline_latency_seconds", measure, &seconds);
            }
        });
    }
    assert!(slots > 10 && found.is_empty(), "{slots} {found:?}");
}
