//! What is measured is what was decided and charged, whatever becomes of requests.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use governance::cost::{CostModel, Price};
use governance::decision::{Reason, Verdict};
use governance::governor::Governor;
use governance::limit::{BucketShape, LimitSpec, RateLimitAlgorithm};
use governance::metrics::{LatencyScope, Window};
use governance::outcome::{Disposition, Outcome};
use governance::priority::SLA;
use governance::request::{Request, RequestPriority, Settlement, Unit};
use governance::scope::{HashSecret, Name, NameRef, Scope};
use governance::tickets::Ticket;
use governance::time::{Instant, Nanos, Now, WallTime};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, proptest};

type Small = Governor<64, 64, 8>;

#[derive(Clone, Debug)]
enum Step {
    /// Tenant, service, whether it reserves, tokens.
    Ask(usize, usize, bool, u64),
    /// Which of the open tickets, its status, whether it is voided, tokens, milliseconds.
    Tell(usize, u16, bool, u64, u64),
    Dequeue,
    /// Milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (0..4_usize, 0..3_usize, any::<bool>(), 0..50_u64);
    let tell = (0..8_usize, 100..600_u16, prop::bool::weighted(0.2), 0..80_u64, 0..4000_u64);
    prop::strategy::Union::new_weighted(vec![
        (
            5,
            ask.prop_map(|(tenant, service, reserves, tokens)| Step::Ask(tenant, service, reserves, tokens))
                .boxed(),
        ),
        (
            4,
            tell.prop_map(|(ticket, status, void, tokens, ms)| Step::Tell(ticket, status, void, tokens, ms))
                .boxed(),
        ),
        (2, proptest::prelude::Just(Step::Dequeue).boxed()),
        (1, (0..30_000_u64).prop_map(Step::Wait).boxed()),
    ])
}

fn governor() -> Box<Small> {
    let mut governor = Box::new(Small::new());
    governor.reset(HashSecret { k0: 5, k1: 6 });
    for service in ["plain", "queued"] {
        let service = Name::new(service).unwrap();
        let price = |text| Price::parse(text).unwrap();
        let model = CostModel {
            service,
            base_cost: price("0.01 USD"),
            per_input_token: price("0.0001 USD"),
            ..CostModel::default()
        };
        governor.costs.define_cost_model(&model).unwrap();
    }
    let sla = SLA {
        service_id: Name::new("queued").unwrap(),
        p95_latency_ms: 5_000,
        error_rate_threshold_ppm: 10_000,
        priority_level: RequestPriority::Normal,
        concurrency: 1,
        queue_depth: 4,
    };
    governor.queues.define_sla(&sla).unwrap();
    let shape = BucketShape { capacity: 20, rate: "1/1s".parse().unwrap() };
    let limit = RateLimitAlgorithm::TokenBucket(shape);
    let spec = LimitSpec::new(Scope::parse("tenant:*").unwrap(), limit, Unit::Requests).unwrap();
    governor.limits.add(&spec).unwrap();
    governor
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn metrics_are_what_was_decided_and_charged(steps in prop::collection::vec(step(), 1..200)) {
        let mut governor = governor();
        let mut ms = 1_000_000_u64;
        let now = |ms: u64| Now { instant: Instant(ms * 1_000_000), wall: WallTime(ms * 1_000_000) };
        let mut open: Vec<Ticket> = Vec::new();
        let (mut told, mut errors, mut by_class, mut timed) = (0, 0, [0_u64; 5], 0);
        let (mut asked, mut denied) = (0, 0);
        for step in steps {
            match step {
                Step::Ask(tenant, service, reserves, tokens) => {
                    let tenants = ["acme", "globex", "initech"];
                    let request = Request {
                        tenant: tenants.get(tenant).and_then(|name| NameRef::new(name).ok()),
                        service: ["plain", "queued"].get(service).and_then(|name| NameRef::new(name).ok()),
                        tokens,
                        settlement: match reserves {
                            true => Settlement::Reserve { expires_in: Nanos::from_seconds(20) },
                            false => Settlement::Final,
                        },
                        ..Request::default()
                    };
                    let decision = governor.admit(now(ms), &request);
                    asked += 1;
                    denied += u64::from(decision.verdict == Verdict::Deny);
                    open.extend(decision.ticket);
                }
                Step::Tell(ticket, status, void, tokens, took) if !open.is_empty() => {
                    let ticket = open[ticket % open.len()];
                    let reserved = Outcome { status: Some(status), ms: Some(took), tokens: Some(tokens), ..Outcome::default() };
                    let plain = Outcome { tokens: None, ..reserved };
                    let voided = Outcome { disposition: Disposition::Void, ..Outcome::default() };
                    let mut tell = |outcome| governor.complete(now(ms), ticket, outcome).is_ok();
                    if void && tell(&voided) {
                        open.retain(|other| *other != ticket);
                    } else if tell(&reserved) || tell(&plain) {
                        open.retain(|other| *other != ticket);
                        told += 1;
                        errors += u64::from(status >= 500);
                        by_class[usize::from(status / 100) - 1] += 1;
                        timed += 1;
                    }
                }
                Step::Tell(..) => {}
                Step::Dequeue => {
                    let queue = governor.queues.find("queued").unwrap();
                    let _ = governor.dequeue_next(now(ms), queue);
                }
                Step::Wait(more) => {
                    ms += more;
                    governor.tick(now(ms));
                }
            }
            governor.metrics.advance(now(ms));
            let totals = governor.metrics.totals();
            assert_eq!(totals.cost, governor.costs.stats().total, "the books and the metrics are one");
            assert_eq!((totals.requests, totals.denied), (asked, denied));
            assert_eq!((totals.outcomes, totals.errors, totals.classes), (told, errors, by_class));
            let series = governor.metrics.series();
            let sums = series.fold((0, 0, 0), |(requests, outcomes, cost), series| {
                (requests + series.total.requests, outcomes + series.total.outcomes, cost + series.total.cost.0)
            });
            assert_eq!(sums, (asked, told, totals.cost.0));
            let all = governor.metrics.get_metric_percentiles(LatencyScope::All, Window::SinceStart);
            assert_eq!(all.map_or(0, |all| all.count), timed);
            let reasons = Reason::ALL.map(|reason| governor.counters().of(reason)).iter().sum::<u64>();
            assert_eq!(reasons, asked);
        }
    }
}
