//! What is handed out to monitoring systems, read by readers that share no code with the writers.

use std::collections::BTreeMap;

use governance::alerts::{AlertDraft, GovernanceAlerts, export_alerts};
use governance::decision::{Decision, Reason, Verdict};
use governance::export::{FiguresFormat, write_figures};
use governance::field::FieldValue;
use governance::metrics::{
    GovernanceCollector, Key, Measured, OutcomeReport, OutcomeResult, SERIES_MAX, export_metrics,
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
    let csv = records(&written(&collector, FiguresFormat::Csv));
    let json = written(&collector, FiguresFormat::Json);
    let objects: Vec<_> = json.lines().collect();
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
