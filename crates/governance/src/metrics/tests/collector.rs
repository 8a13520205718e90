use super::support::{allowed, at, call, collector, denied, key};
use crate::decision::{Decision, Reason, Verdict};
use crate::metrics::{
    CollectorStats, CostEvent, CostSource, CostStatistics, GovernanceCollector, GovernanceMetric,
    LatencyScope, MeasureId, Measured, OutcomeReport, PolicyMetric, QuotaEvent, QuotaMetric, RateLimitMetric,
    Resolution, Slot, TopBy, VerdictKind,
};
use crate::money::NanoUnits;
use crate::policy::{ActionKind, DefaultEffect, PolicyDecision, PolicyReason, RuleSet};
use crate::quota::QuotaUnit;
use crate::scope::Kind;
use crate::time::Nanos;

#[test]
fn a_collector_is_as_large_as_it_may_be() {
    assert!(size_of::<GovernanceCollector>() <= 6 << 20);
    assert_eq!(size_of::<MeasureId>(), 16);
    assert_eq!(MeasureId::NONE, MeasureId::default());
}

#[test]
fn decisions_are_counted_by_verdict_and_reason() {
    let mut collector = collector();
    let wait = Nanos::from_seconds(2);
    let decisions = [
        (Verdict::Allow, Reason::WithinLimits),
        (Verdict::Delay(wait), Reason::WithinLimits),
        (Verdict::Queue(wait), Reason::Queued),
        (Verdict::Redirect, Reason::Redirected),
        (Verdict::Deny, Reason::OverLimit),
        (Verdict::Deny, Reason::OverQuota),
    ];
    for (verdict, reason) in decisions {
        collector.record_decision(at(0), &call("web", "acme"), &Decision::plain(verdict, reason));
    }
    assert_eq!(collector.decisions().map(|(_, _, count)| count).sum::<u64>(), 6);
    assert_eq!(collector.decisions().count(), 6);
    for (verdict, reason) in decisions {
        assert_eq!(collector.decisions_of(verdict.into(), reason), 1);
    }
    assert_eq!(collector.decisions_of(VerdictKind::Allow, Reason::NoLimit), 0);
    let expected = Slot { requests: 6, allowed: 3, denied: 2, delayed: 2, ..Slot::EMPTY };
    assert_eq!(collector.totals(), expected);
    let stats = collector.get_rate_limit_stats(Some("web"));
    assert_eq!((stats.requests, stats.allowed, stats.denied), (6, 3, 2));
    assert_eq!(stats.wait_time, Nanos::from_seconds(4));
    assert_eq!(collector.get_rate_limit_stats(Some("api")).requests, 0);
}

#[test]
fn tokens_and_costs_are_settled_by_the_outcome() {
    let mut collector = collector();
    let measured = Measured { tokens: 100, charged: NanoUnits(500), ..call("llm", "acme") };
    let id = collector.record_decision(at(0), &measured, &allowed());
    collector.record_decision(at(0), &call("llm", "acme"), &denied());
    let report = OutcomeReport { cost_delta: NanoUnits(-200), tokens_delta: -40, ..OutcomeReport::default() };
    collector.record_outcome(at(61), id, &report);
    assert_eq!(collector.get_rate_limit_stats(None).tokens_used, 60);
    let expected = CostStatistics { total: NanoUnits(300), current: NanoUnits(-200), last: NanoUnits(500) };
    assert_eq!(collector.get_cost_stats(None, None), expected);
    assert_eq!(collector.get_cost_stats(Some("llm"), Some("acme")), expected);
    assert_eq!(collector.get_cost_stats(Some("llm"), Some("other")), CostStatistics::default());
    assert_eq!(collector.cost_of(CostSource::Decision), NanoUnits(500));
    assert_eq!(collector.cost_of(CostSource::Outcome), NanoUnits(-200));
    let top = collector.get_top_tenants(TopBy::Cost);
    assert_eq!((top.as_slice()[0].name, top.as_slice()[0].count), ("acme", 300));
}

#[test]
fn quotas_and_policies_that_speak_are_counted() {
    let mut collector = collector();
    let policy = PolicyDecision {
        allowed: false,
        reason: PolicyReason::Default(DefaultEffect::Deny),
        enforcement_action: None,
        decider: None,
        matched: RuleSet::default(),
        shadow: RuleSet::default(),
        would_allow: false,
        audit_id: 0,
    };
    let denied = Decision { policy: Some(policy), ..Decision::plain(Verdict::Deny, Reason::PolicyDefault) };
    collector.record_decision(at(0), &call("web", "acme"), &denied);
    let alert = PolicyDecision { allowed: true, enforcement_action: Some(ActionKind::Alert), ..policy };
    collector.record_decision(at(0), &call("web", "acme"), &Decision { policy: Some(alert), ..allowed() });
    let stats = collector.get_policy_stats();
    assert_eq!((stats.denials, stats.denials_by_default, stats.alerts), (1, 1, 1));
    collector.record_policy_event(&PolicyMetric {
        policy_id: None,
        timestamp: at(0),
        matches: 3,
        denials: 2,
        alerts: 1,
        enforcement_time: Nanos(70),
    });
    let stats = collector.get_policy_stats();
    assert_eq!((stats.matches, stats.denials, stats.alerts, stats.enforcement_time), (3, 3, 2, Nanos(70)));

    collector.record_quota_event(&QuotaMetric {
        tenant_id: Some(key(Kind::Tenant, "acme")),
        timestamp: at(0),
        quota_type: Some(QuotaUnit::Tokens),
        usage: 11,
        limit: 10,
        percent_utilized: 110,
        standing: QuotaEvent::Violation,
    });
    let stats = collector.get_quota_stats(Some("acme"));
    assert_eq!((stats.events, stats.violations, stats.highest_percent), (1, 1, 110));
    assert_eq!(collector.get_quota_stats(None), stats);
    assert_eq!(collector.quota_violations_of(QuotaUnit::Tokens), 1);
    assert_eq!(collector.get_quota_stats(Some("nobody")).events, 0);
}

#[test]
fn an_outcome_counts_where_its_request_did_or_nowhere() {
    let mut collector = collector();
    let id = collector.record_decision(at(0), &call("web", "acme"), &allowed());
    let report = OutcomeReport { status: Some(200), latency_us: Some(5), ..OutcomeReport::default() };
    collector.record_outcome(at(0), MeasureId::NONE, &report);
    assert_eq!((collector.totals().outcomes, collector.stats().stale), (0, 1), "nobody asked for it");
    collector.reset();
    collector.record_outcome(at(0), id, &report);
    assert_eq!(collector.totals(), Slot::EMPTY, "its request is forgotten");
    assert_eq!(collector.latency_buckets(LatencyScope::All).unwrap().count(), 0);
    assert_eq!(collector.stats().stale, 1);
    let id = collector.record_decision(at(0), &call("web", "acme"), &allowed());
    collector.record_outcome(at(0), id, &report);
    assert_eq!((collector.totals().outcomes, collector.stats().stale), (1, 1));
}

#[test]
fn a_reset_leaves_nothing_behind() {
    let mut collector = collector();
    for index in 0..200_u64 {
        let name = format!("t{index}");
        let id = collector.record_decision(at(index), &call("web", &name), &allowed());
        let report = OutcomeReport {
            status: Some(503),
            latency_us: Some(index),
            cost_delta: NanoUnits(1),
            ..OutcomeReport::default()
        };
        collector.record_outcome(at(index), id, &report);
        collector.record_decision(at(index), &call("web", &name), &denied());
    }
    collector.reset();
    assert_eq!((collector.totals(), collector.series().count()), (Slot::EMPTY, 0));
    assert_eq!(
        collector.stats(),
        CollectorStats { series_max: 1024, latency_scopes_max: 64, ..CollectorStats::default() }
    );
    assert_eq!((collector.decisions().count(), collector.latency_scopes().count()), (0, 0));
    for resolution in Resolution::ALL {
        collector.get_timeline(resolution, &mut |_, _| panic!("there is no time yet"));
    }
    for by in TopBy::ALL {
        assert!(collector.get_top_services(by).as_slice().is_empty());
        assert!(collector.get_top_tenants(by).as_slice().is_empty());
    }
    collector.record_decision(at(0), &call("web", "t0"), &allowed());
    assert_eq!(collector.get_top_tenants(TopBy::Requests).as_slice()[0].count, 1);
}

#[test]
fn no_amount_that_is_told_is_a_panic() {
    let mut collector = collector();
    let (service_id, tenant_id) = (Some(key(Kind::Service, "web")), Some(key(Kind::Tenant, "acme")));
    for cost in [i128::MAX, i128::MAX, i128::MIN, i128::MIN] {
        let id = collector.record_rate_limit(&RateLimitMetric {
            service_id,
            tenant_id,
            timestamp: at(0),
            allowed: u64::MAX,
            denied: u64::MAX,
            tokens_used: u64::MAX,
            wait_time: Nanos::MAX,
        });
        let cost_amount = NanoUnits(cost);
        let metric_type = CostSource::UsageEvent;
        collector.record_cost_event(&CostEvent {
            service_id,
            tenant_id,
            timestamp: at(0),
            cost_amount,
            metric_type,
        });
        for status in [0, 99, 600, u16::MAX] {
            let report = OutcomeReport {
                status: Some(status),
                latency_us: Some(u64::MAX),
                cost_delta: cost_amount,
                tokens_delta: i64::MIN,
                ..OutcomeReport::default()
            };
            collector.record_outcome(at(0), id, &report);
        }
        collector.record_decision(at(61), &call("web", "acme"), &allowed());
    }
    assert_eq!(collector.totals().requests, u64::MAX);
    assert_eq!(collector.totals().classes, [0; 5], "there are no such statuses");
    assert_eq!(collector.series().next().unwrap().total.requests, u64::MAX);
}

#[test]
fn words_read_and_show_the_same() {
    assert!(
        GovernanceMetric::ALL
            .iter()
            .all(|metric| GovernanceMetric::from_word(metric.word()) == Some(*metric))
    );
    assert!(TopBy::ALL.iter().all(|by| TopBy::from_word(by.word()) == Some(*by)));
    assert!(
        Resolution::ALL
            .iter()
            .all(|resolution| Resolution::from_word(resolution.word()) == Some(*resolution))
    );
    assert_eq!(Resolution::from_word("year"), None);
}
