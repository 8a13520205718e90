//! A governor with a bit of everything, and all that its export has to say, by the governor's own getters.

use governance::alerts::{AlertBound, AlertCondition, AlertDraft, AlertMetric, AlertState};
use governance::breaker::{BreakerDraft, BreakerMode, BreakerOverride, BreakerState};
use governance::config::Config;
use governance::cost::{CostModel, Price};
use governance::decision::{Decision, Sharing};
use governance::field::FieldValue;
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::metrics::CostSource;
use governance::outcome::{Disposition, Outcome};
use governance::policy::PolicyDraft;
use governance::priority::SLA;
use governance::quota::{QuotaDraft, QuotaManager};
use governance::request::{Request, RequestPriority, Settlement, Unit};
use governance::retry::{CallError, RetryDraft};
use governance::scope::{HashSecret, Name, NameRef, Scope};
use governance::time::{Instant, Nanos, Now, WallTime};
use governance::traffic::{SCOPES_MAX, ScopeView};
use num_bigint::BigInt;
use num_rational::BigRational;
use sim::prometheus::{Labels, Number};
use std::collections::BTreeMap;

pub(crate) type Small = Governor<256, 64, 8>;

/// When the scenario ends.
pub(crate) const END: u64 = 4_079;

/// The Monday on which the scenario begins.
const MONDAY: u64 = 1_767_571_200;

pub(crate) fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000_000), wall: WallTime((MONDAY + seconds) * 1_000_000_000) }
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::new(text).expect("a name")
}

/// Sets each field of a draft.
macro_rules! drafted {
    ($draft:ty, $($field:tt : $value:expr),+) => {{
        let mut draft = <$draft>::default();
        $(draft.set($field, FieldValue::Text($value)).expect("in order");)+
        draft.finish().expect("in order")
    }};
}

fn config() -> Box<Config> {
    let mut config = Box::new(Config::new());
    let shape = BucketShape { capacity: 2, rate: "1/1h".parse().expect("a rate") };
    let limit = RateLimitAlgorithm::TokenBucket(shape);
    let scope = Scope::parse("user:*").expect("a scope");
    config.add_limit(&LimitSpec::new(scope, limit, Unit::Requests).expect("in order")).expect("in order");
    let quota = drafted!(QuotaDraft, "scope": "tenant:small", "limit": "3", "window": "monthly");
    config.add_quota(&quota).expect("in order");
    config.add_breaker(&drafted!(BreakerDraft, "scope": "route:*")).expect("in order");
    for (scope, mode) in
        [("route:watched:get", "shadow"), ("route:free:get", "disabled"), ("route:lost:get", "enforce")]
    {
        let breaker = drafted!(BreakerDraft, "scope": scope, "mode": mode);
        config.add_breaker(&breaker).expect("in order");
    }
    config.add_retry(&drafted!(RetryDraft, "scope": "route:*")).expect("in order");
    for (policy, service, action, mode) in [
        ("no", "forbidden", "deny", "enforce"),
        ("note", "queued", "log", "enforce"),
        ("perhaps", "queued", "deny", "shadow"),
    ] {
        let rule = drafted!(PolicyDraft, "name": policy, "service": service, "action": action, "mode": mode);
        config.add_policy(&rule).expect("in order");
    }
    for (alert, metric, field, value) in [
        ("denials", "denied-rate", "above", "5%"),
        ("slow", "p95-latency", "above", "250ms"),
        ("quiet", "requests-per-second", "below", "7"),
        ("money", "cost-per-minute", "above", "0.5"),
        ("burning", "burn-rate", "objective", "99.9%"),
    ] {
        let rule = drafted!(AlertDraft, "name": alert, "metric": metric, field: value);
        config.add_alert(&rule).expect("in order");
    }
    let rule = drafted!(AlertDraft, "name": "queue", "metric": "queue-depth", "scope": "service:queued", "above": "0");
    config.add_alert(&rule).expect("in order");
    config
        .add_sla(&SLA {
            service_id: Name::new("queued").expect("a name"),
            p95_latency_ms: 5_000,
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency: 1,
            queue_depth: 1,
        })
        .expect("in order");
    let model = CostModel {
        service: Name::new("priced").expect("a name"),
        base_cost: Price::parse("0.01 USD").expect("a price"),
        per_input_token: Price::parse("0.0001 USD").expect("a price"),
        ..CostModel::default()
    };
    config.add_model(&model).expect("in order");
    config
}

fn call(governor: &mut Small, seconds: u64, provider: &str) -> Decision {
    governor
        .check_outbound_request(at(seconds), name(provider), name("GET"), &Request::default())
        .expect("a short name")
}

fn end(governor: &mut Small, seconds: u64, decision: &Decision, outcome: Outcome) {
    let ticket = decision.ticket.expect("a ticket");
    governor.complete(at(seconds), ticket, &outcome).expect("in order");
}

fn answered(status: u16) -> Outcome {
    Outcome { status: Some(status), ms: Some(u64::from(status)), ..Outcome::default() }
}

/// A governor to which a bit of everything has happened.
pub(crate) fn governed() -> Box<Small> {
    let mut governor = Box::new(Small::new());
    governor.reset(HashSecret { k0: 3, k1: 4 });
    governor.configure(at(0), &config()).expect("in order");
    let lost = call(&mut governor, 1, "Lost");
    governor.tick(at(4_000));
    assert!(governor.complete(at(4_000), lost.ticket.expect("a ticket"), &answered(200)).is_err(), "late");
    outbound(&mut governor);
    inbound(&mut governor);
    governor.tick(at(END));
    governor
}

fn outbound(governor: &mut Small) {
    // Opened, refused, with a result that comes too late, and half-open at the end.
    let late = call(governor, 4_001, "GitHub");
    for _ in 0..5 {
        let decision = call(governor, 4_001, "github");
        end(governor, 4_001, &decision, answered(503));
    }
    end(governor, 4_001, &late, answered(200));
    for _ in 0..2 {
        assert!(!call(governor, 4_002, "github").is_allowed());
    }
    assert!(call(governor, 4_070, "github").is_allowed(), "a probe, whose outcome is still to come");
    // In the shadow, without an answer.
    for _ in 0..5 {
        let decision = call(governor, 4_070, "watched");
        end(governor, 4_070, &decision, Outcome { error: Some(CallError::Timeout), ..Outcome::default() });
    }
    for _ in 0..3 {
        let decision = call(governor, 4_071, "watched");
        end(governor, 4_071, &decision, answered(302));
    }
    // Each class, one given back, one held by hand, and one that is open.
    for status in [101, 200, 201, 302, 404, 429, 500] {
        let decision = call(governor, 4_072, "mixed");
        end(governor, 4_072, &decision, answered(status));
    }
    let settlement = Settlement::Reserve { expires_in: Nanos::from_seconds(60) };
    let reserve = Request { settlement, ..Request::default() };
    let decision = governor
        .check_outbound_request(at(4_072), name("mixed"), name("get"), &reserve)
        .expect("a short name");
    end(governor, 4_072, &decision, Outcome { disposition: Disposition::Void, ..Outcome::default() });
    let decision = call(governor, 4_072, "held");
    end(governor, 4_072, &decision, answered(200));
    let held = governor.traffic.find("held:get").expect("a scope");
    assert!(governor.traffic.set_override(at(4_072), held, BreakerOverride::ForcedOpen));
    assert!(!call(governor, 4_072, "held").is_allowed());
    for _ in 0..5 {
        let decision = call(governor, 4_073, "down");
        end(governor, 4_073, &decision, answered(500));
    }
    // More scopes than there is room for.
    for number in 0..SCOPES_MAX {
        let decision = call(governor, 4_074, &format!("p{number}"));
        // One without a place has nothing to tell of.
        if decision.ticket.is_some() {
            end(governor, 4_074, &decision, answered(200));
        }
    }
}

fn inbound(governor: &mut Small) {
    let ask = |governor: &mut Small, service, tenant, more: Request<'_>| {
        let request = Request { service: Some(name(service)), tenant: Some(name(tenant)), ..more };
        governor.admit(at(4_075), &request)
    };
    for _ in 0..4 {
        ask(governor, "plain", "small", Request::default());
    }
    for _ in 0..4 {
        ask(governor, "plain", "large", Request { user: Some(name("ann")), ..Request::default() });
    }
    for _ in 0..3 {
        ask(governor, "forbidden", "large", Request::default());
        ask(governor, "queued", "large", Request::default());
    }
    ask(governor, "priced", "large", Request { tokens: 40, ..Request::default() });
    let reserve = Request {
        tokens: 50,
        settlement: Settlement::Reserve { expires_in: Nanos::from_seconds(60) },
        ..Request::default()
    };
    let reserved = ask(governor, "priced", "large", reserve);
    end(governor, 4_077, &reserved, Outcome { tokens: Some(20), ..answered(200) });
    let ticket = reserved.ticket.expect("a ticket");
    assert!(governor.complete(at(4_078), ticket, &answered(200)).is_err(), "the second outcome");
}

/// Every figure by its name and its labels.
pub(crate) type Figures = BTreeMap<(String, Labels), Number>;

/// What an export has to say.
#[derive(Default)]
pub(crate) struct Expected(pub(crate) Figures);

/// An exact part.
pub(crate) fn part(number: impl Into<BigInt>, of: u64) -> Number {
    Number::Finite(BigRational::new(number.into(), of.into()))
}

impl Expected {
    fn add(&mut self, family: &str, labels: &[(&str, &str)], value: Number) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let before = self.0.insert((family.to_owned(), labels), value);
        assert!(before.is_none(), "{family} is expected twice");
    }

    fn count(&mut self, family: &str, labels: &[(&str, &str)], count: u64) {
        self.add(family, labels, part(count, 1));
    }

    /// A figure for each word of a label, all by one name.
    fn words(&mut self, family: &str, labels: &[(&str, &str)], key: &str, counts: &[(&str, u64)]) {
        for (word, count) in counts {
            let labels: Vec<_> = labels.iter().copied().chain([(key, *word)]).collect();
            self.count(family, &labels, *count);
        }
    }

    /// All but the histograms of latencies, which have a test of their own.
    pub(crate) fn of(governor: &Small, now: Now) -> Self {
        let mut expected = Self::default();
        expected.metrics(governor);
        expected.alerts(governor);
        expected.tickets(governor);
        expected.limits(governor);
        expected.quotas(&governor.quotas, now, "weir_quota_used_ratio");
        expected.quotas(&governor.budgets, now, "weir_budget_used_ratio");
        expected.policies(governor);
        expected.queues(governor, now);
        governor.traffic.scopes(now.instant).for_each(|scope| expected.scope(&scope, now));
        expected.count("weir_scopes", &[], governor.traffic.scope_count() as u64);
        expected.count("weir_scope_overflow_total", &[], governor.traffic.overflow().requests);
        expected.guard(governor, now);
        expected
    }

    fn metrics(&mut self, governor: &Small) {
        let metrics = &governor.metrics;
        for (verdict, reason, count) in metrics.decisions() {
            let labels = [("verdict", verdict.word()), ("reason", reason.code())];
            self.count("weir_decisions_total", &labels, count);
        }
        let totals = metrics.totals();
        let classes: Vec<_> = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(totals.classes).collect();
        self.words("weir_responses_total", &[], "class", &classes);
        self.count("weir_throttled_responses_total", &[], totals.throttled);
        self.count("weir_delayed_requests_total", &[], totals.delayed);
        self.add("weir_latency_max_seconds", &[], part(totals.latency_max_us, 1_000_000));
        for view in metrics.series() {
            let pair =
                [("service", view.service.unwrap_or_default()), ("tenant", view.tenant.unwrap_or_default())];
            let total = view.total;
            let redirected = total.requests - total.allowed - total.denied;
            let counts = [("allowed", total.allowed), ("denied", total.denied), ("redirected", redirected)];
            self.words("weir_requests_total", &pair, "outcome", &counts);
            let counts = [("success", total.outcomes - total.errors), ("failure", total.errors)];
            self.words("weir_outcomes_total", &pair, "outcome", &counts);
            let within = view.quota_events - view.quota_violations;
            let counts = [("within", within), ("refused", view.quota_violations)];
            self.words("weir_quota_decisions_total", &pair, "outcome", &counts);
            self.count("weir_tokens_used", &pair, view.tokens_used);
            self.add("weir_told_wait_seconds_total", &pair, part(view.wait_time.0, 1_000_000_000));
            self.add("weir_cost", &pair, part(total.cost.0, 1_000_000_000));
        }
        for source in CostSource::ALL {
            let cost = part(metrics.cost_of(source).0, 1_000_000_000);
            self.add("weir_cost_by_source", &[("source", source.word())], cost);
        }
        let stats = metrics.stats();
        let counts = [("series", stats.overflowed), ("latency", stats.latency_overflowed)];
        self.words("weir_metrics_overflow_total", &[], "table", &counts);
        self.count("weir_stale_outcomes_total", &[], stats.stale);
    }

    fn alerts(&mut self, governor: &Small) {
        for view in governor.alerts.alerts() {
            let (name, metric) = (("name", view.rule.name.as_str()), ("metric", view.rule.metric.word()));
            for state in AlertState::ALL {
                let labels = [name, ("state", state.word())];
                self.count("weir_alerts", &labels, u64::from(state == view.state));
            }
            let base = |value: i128| match view.rule.metric {
                AlertMetric::DeniedRate | AlertMetric::ErrorRate => part(value, 1_000_000),
                AlertMetric::P95Latency | AlertMetric::P99Latency | AlertMetric::CostPerMinute => {
                    part(value, 1_000_000_000)
                }
                AlertMetric::BurnRate => part(value, 1000),
                _ => part(value, 1),
            };
            if let Some(value) = view.value {
                let scope = view.rule.scope.map(|scope| scope.to_string()).unwrap_or_default();
                self.add("weir_alert_value", &[name, metric, ("scope", &scope)], base(value));
            }
            let side = if matches!(view.bound, AlertBound::Below(_)) { "below" } else { "above" };
            let bound = [name, metric, ("bound", side)];
            self.add("weir_alert_threshold", &bound, base(view.threshold()));
            if let AlertCondition::Objective(ppm) = view.rule.condition {
                self.add("weir_alert_objective_ratio", &[name], part(ppm, 1_000_000));
            } else {
                self.add("weir_alert_clear", &bound, base(view.rule.clear));
            }
        }
        let stats = governor.alerts.stats();
        let counts = [("fired", stats.fired), ("cleared", stats.cleared), ("suppressed", stats.suppressed)];
        self.words("weir_alert_notices_total", &[], "event", &counts);
        self.count("weir_alert_evaluations_total", &[], stats.evaluations);
        self.count("weir_alert_without_data_total", &[], stats.without_data);
    }

    fn tickets(&mut self, governor: &Small) {
        let stats = governor.ticket_stats();
        self.count("weir_open_tickets", &[], stats.open as u64);
        let counts = [
            ("opened", stats.opened),
            ("settled", stats.settled),
            ("voided", stats.voided),
            ("expired", stats.expired),
        ];
        self.words("weir_tickets_total", &[], "event", &counts);
        let counts = [("late", stats.late), ("repeated", stats.repeated), ("unknown", stats.unknown)];
        self.words("weir_outcomes_refused_total", &[], "reason", &counts);
    }

    fn limits(&mut self, governor: &Small) {
        for (id, spec) in governor.limits.limits() {
            let limit = [("limit", spec.name.as_str())];
            let stats = governor.limits.get_limit_stats(id).expect("a limit");
            self.count("weir_limit_allowed_total", &limit, stats.allowed);
            self.count("weir_limit_denied_total", &limit, stats.denied);
            self.count("weir_limit_would_deny_total", &limit, stats.would_deny);
            self.count("weir_limit_keys", &limit, stats.keys);
            self.count("weir_limit_overflow_total", &limit, stats.overflow_hits);
            self.count("weir_limit_overflow_denied_total", &limit, stats.overflow_denied);
            self.count("weir_limit_log_full_total", &limit, stats.log_full);
        }
    }

    fn quotas<const ACTIVE: usize>(&mut self, quotas: &QuotaManager<ACTIVE>, now: Now, family: &str) {
        for (id, spec) in quotas.allocations() {
            quotas
                .usages(now, id, |usage| {
                    let key = usage.key.unwrap_or_default();
                    let counter = if usage.shared == Sharing::Own { "own" } else { "overflow" };
                    let labels = [("quota", spec.name.as_str()), ("key", key.as_str()), ("counter", counter)];
                    let ppm = u128::from(usage.in_use()) * 1_000_000 / u128::from(usage.capacity);
                    self.add(family, &labels, part(ppm, 1_000_000));
                })
                .expect("a quota");
        }
    }

    fn policies(&mut self, governor: &Small) {
        for (id, rule) in governor.policies.list_policies() {
            let policy = [("policy", rule.name.as_str())];
            let stats = governor.policies.get_policy_stats(id).expect("a policy");
            self.count("weir_policy_matched_total", &policy, stats.matched);
            self.count("weir_policy_decided_total", &policy, stats.decided);
            self.count("weir_policy_denied_total", &policy, stats.denied);
            self.count("weir_policy_would_match_total", &policy, stats.would);
        }
        let stats = governor.policies.stats();
        let counts = [("allowed", stats.allowed), ("denied", stats.denied)];
        self.words("weir_policy_decisions_total", &[], "outcome", &counts);
        self.count("weir_policy_default_total", &[], stats.by_default);
        let counts = [
            ("redirect", stats.redirected),
            ("throttle", stats.throttled),
            ("alert", stats.alerted),
            ("log", stats.logged),
        ];
        self.words("weir_policy_actions_total", &[], "action", &counts);
        let counts = [("allowed", stats.would_allow), ("denied", stats.would_deny)];
        self.words("weir_policy_would_decide_total", &[], "outcome", &counts);
    }

    fn queues(&mut self, governor: &Small, now: Now) {
        for (id, sla) in governor.queues.slas() {
            let service = [("service", sla.service_id.as_str())];
            let queue = governor.queues.get_queue_stats(now.instant, id).expect("a queue");
            self.count("weir_queue_depth", &service, queue.waiting.into());
            self.count("weir_queue_in_service", &service, queue.in_service.into());
            self.count("weir_queue_arrivals_total", &service, queue.arrivals);
            self.count("weir_queue_served_total", &service, queue.served);
            self.count("weir_queue_rejected_total", &service, queue.rejected.total());
        }
    }

    fn scope(&mut self, view: &ScopeView<'_>, now: Now) {
        let name = format!("route:{}", view.name);
        let scope = [("scope", name.as_str())];
        let calls = &view.counters;
        self.count("weir_scope_calls_total", &scope, calls.requests);
        self.count("weir_scope_allowed_total", &scope, calls.allowed);
        self.count("weir_scope_denied_total", &scope, calls.denied);
        self.count("weir_scope_throttled_responses_total", &scope, calls.throttled);
        self.count("weir_scope_unanswered_total", &scope, calls.errors);
        self.count("weir_scope_lost_total", &scope, calls.lost);
        self.count("weir_scope_untold_total", &scope, calls.untold);
        self.count("weir_scope_retries_advised_total", &scope, calls.retries);
        self.count("weir_scope_open_calls", &scope, view.open.into());
        let classes: Vec<_> = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(calls.by_class).collect();
        self.words("weir_scope_responses_total", &scope, "class", &classes);
        if let Some(retry) = view.retry {
            let left = part(view.budget.left_milli(retry), 1000);
            self.add("weir_retry_budget_left_tokens", &scope, left);
            self.add("weir_retry_budget_tokens", &scope, part(retry.budget_milli, 1000));
        }
        let Some(breaker) = view.breaker else { return };
        let stats = &view.stats;
        self.count("weir_breaker_opened_total", &scope, stats.opened);
        self.count("weir_breaker_refused_total", &scope, stats.refused);
        self.count("weir_breaker_would_refuse_total", &scope, stats.would_refuse);
        self.count("weir_breaker_stale_total", &scope, stats.stale);
        self.count("weir_breaker_cancelled_total", &scope, stats.cancelled);
        self.count("weir_breaker_slow_total", &scope, stats.slow);
        self.count("weir_breaker_permits_out", &scope, stats.permits_out.into());
        self.count("weir_breaker_consecutive_failures", &scope, stats.consecutive_failures.into());
        self.count("weir_breaker_opens_in_a_row", &scope, stats.opens_in_a_row.into());
        let counts = [("success", stats.successes), ("failure", stats.failures)];
        self.words("weir_breaker_results_total", &scope, "result", &counts);
        let counts =
            [("all", stats.window_total), ("failed", stats.window_failed), ("slow", stats.window_slow)];
        let counts = counts.map(|(word, count)| (word, count.into()));
        self.words("weir_breaker_window_calls", &scope, "result", &counts);
        let states = [
            ("closed", BreakerState::Closed),
            ("open", BreakerState::Open),
            ("half-open", BreakerState::HalfOpen),
        ];
        let counts = states.map(|(word, state)| (word, u64::from(state == view.state)));
        self.words("weir_breaker_state", &scope, "state", &counts);
        let modes = [
            ("enforce", BreakerMode::Enforce),
            ("shadow", BreakerMode::Shadow),
            ("disabled", BreakerMode::Disabled),
        ];
        let counts = modes.map(|(word, mode)| (word, u64::from(mode == breaker.mode)));
        self.words("weir_breaker_mode", &scope, "mode", &counts);
        let hands = [
            ("auto", BreakerOverride::Automatic),
            ("open", BreakerOverride::ForcedOpen),
            ("close", BreakerOverride::ForcedClosed),
            ("shadow", BreakerOverride::Shadow),
        ];
        let counts = hands.map(|(word, hand)| (word, u64::from(hand == view.by_hand)));
        self.words("weir_breaker_by_hand", &scope, "hand", &counts);
        let left = stats.open_until.map_or(0, |until| until.0.saturating_sub(now.instant.0));
        self.add("weir_breaker_open_seconds", &scope, part(left, 1_000_000_000));
    }

    fn guard(&mut self, governor: &Small, now: Now) {
        let guard = &governor.traffic.guard;
        let stats = guard.stats(now.instant);
        for (action, done, would) in [
            ("delay", stats.delayed, stats.would_delay),
            ("degrade", stats.degraded, stats.would_degrade),
            ("block", stats.blocked, stats.would_block),
            ("cap", stats.capped, stats.would_cap),
            ("shed", stats.shed, stats.would_shed),
        ] {
            let counts = [("enforce", done), ("shadow", would)];
            self.words("weir_loop_guard_actions_total", &[("action", action)], "mode", &counts);
        }
        self.count("weir_loop_guard_strikes_total", &[], stats.strikes);
        self.count("weir_loop_guard_evicted_total", &[], stats.evicted);
        let counts = [("requests", stats.requests_this_minute), ("failures", stats.failures_this_minute)];
        self.words("weir_loop_guard_last_minute", &[], "what", &counts);
        self.count("weir_loop_guard_tracked", &[], stats.tracked as u64);
        self.count("weir_degraded", &[], u64::from(guard.degraded_until(now.instant).is_some()));
        self.count("weir_degraded_entered_total", &[], stats.entered_degraded);
    }
}
