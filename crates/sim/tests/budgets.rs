//! Budgets and the ledger: whatever way a charge comes, and also where it is negative, both say the same.

use std::sync::{Mutex, PoisonError};

use governance::config::Config;
use governance::cost::{EventOutcome, UsageEvent};
use governance::decision::{Reason, Verdict};
use governance::governor::Governor as GovernorOf;
use governance::outcome::Outcome;
use governance::request::{Request, Settlement, Usage};
use governance::scope::NameRef;
use governance::time::{Instant, Nanos, Now, WallTime};
use wire::config::ConfigReader;

/// All units become cheaper with the eleventh.
const FALLING: &str = r#"
    [[model]]
    service = "web"
    base_cost = "volume: 1 USD to 10; 0.1 USD"

    [[budget]]
    name = "all"
    scope = "service:web"
    amount = "40 USD"

    [[budget]]
    name = "acme"
    scope = "tenant:acme"
    amount = "20 USD"
    parent = "all"
"#;

type Governor = GovernorOf<64, 64, 16>;

static READER: Mutex<(Config, ConfigReader)> = Mutex::new((Config::new(), ConfigReader::new()));

const fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

fn configured(text: &str) -> Box<Governor> {
    // Too large for the stack of a test.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let governor = thread.spawn(|| Box::new(Governor::new())).expect("a thread");
    let mut governor = governor.join().expect("a governor");
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    let (config, reader) = &mut *reader;
    config.clear();
    assert_eq!(reader.read(text.as_bytes(), config, &mut |at, error| panic!("{at:?}: {error}")), 0);
    governor.configure(at(0), config).expect("a checked configuration");
    governor
}

/// A request of acme for web; one that reserves has an end.
fn request(expires_in: Option<u64>) -> Request<'static> {
    let settlement = expires_in.map_or(Settlement::Final, |seconds| Settlement::Reserve {
        expires_in: Nanos::from_seconds(seconds),
    });
    let (tenant, service) = (NameRef::new("acme").ok(), NameRef::new("web").ok());
    Request { tenant, service, settlement, ..Request::default() }
}

/// What the ledger and both budgets say was spent, which is the same.
fn spent(governor: &mut Governor) -> i128 {
    let open = governor.costs.get_tenant_cost(at(9), "acme").expect("an account").open.0;
    for name in ["acme", "all"] {
        let budget = governor.budgets.find(name).expect("a budget");
        let usage = governor.budgets.get_quota_status(at(9), budget, None).expect("a counter").usage;
        assert_eq!((i128::from(usage.used), usage.reserved), (open, 0), "{name}");
    }
    open
}

/// What so many requests cost.
const fn cost_of(requests: i128) -> i128 {
    requests * if requests > 10 { 100_000_000 } else { 1_000_000_000 }
}

#[test]
fn budgets_follow_falling_prices_of_final_requests() {
    let mut governor = configured(FALLING);
    for count in 1..=15 {
        let decision = governor.admit(at(1), &request(None));
        assert_eq!((decision.verdict, decision.reason), (Verdict::Allow, Reason::WithinLimits));
        assert_eq!(spent(&mut governor), cost_of(count));
        let told = decision.budget.expect("a budget that speaks");
        assert_eq!(i128::from(told.used), cost_of(count), "what is told is what is left then");
    }
}

#[test]
fn budgets_follow_falling_prices_of_reservations() {
    let mut governor = configured(FALLING);
    for count in 1..=15 {
        let ticket = governor.admit(at(1), &request(Some(60))).ticket.expect("a reservation has a ticket");
        let completion = governor.complete(at(2), ticket, &Outcome::default()).expect("an open ticket");
        assert_eq!(completion.posted.map(|posted| posted.0), Some(cost_of(count) - cost_of(count - 1)));
        assert_eq!(spent(&mut governor), cost_of(count));
    }
}

#[test]
fn budgets_follow_falling_prices_of_events() {
    let mut governor = configured(FALLING);
    for count in 1..=15 {
        let Request { tenant: Some(tenant), service: Some(service), .. } = request(None) else {
            panic!("a request with names");
        };
        let usage = Usage { requests: 1, ..Usage::ZERO };
        let id = format!("event-{count}");
        let event = UsageEvent { id: &id, tenant, service, method: None, at: None, usage };
        assert!(matches!(governor.record_event(at(1), &event), Ok(EventOutcome::Accepted(Some(_)))));
        // The budget of the service is the parent, and charged once.
        assert_eq!(spent(&mut governor), cost_of(count));
    }
}

#[test]
fn what_falls_below_nothing_is_nothing() {
    let mut governor = configured(FALLING);
    for _ in 0..10 {
        governor.admit(at(1), &request(None));
    }
    let budget = governor.budgets.find("acme").expect("a budget");
    governor.budgets.reset_quota(at(1), budget, None).expect("a budget");
    governor.admit(at(1), &request(None));
    let used = |governor: &Governor, name| {
        let budget = governor.budgets.find(name).expect("a budget");
        governor.budgets.get_quota_status(at(1), budget, None).expect("a counter").usage.used
    };
    assert_eq!((used(&governor, "acme"), used(&governor, "all")), (0, 1_100_000_000));
}
