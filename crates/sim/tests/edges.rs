//! What a governor does with its books where configurations, schedules, prices and tables get in each other's way.

use governance::config::Config;
use governance::cost::{BillingSchedule, CostError, CostModel, EventOutcome, LineKind, Price, UsageEvent};
use governance::governor::{ConfigureError, Governor as GovernorOf};
use governance::money::NanoUnits;
use governance::outcome::Outcome;
use governance::request::{Request, Settlement, Usage};
use governance::scope::{Name, NameRef};
use governance::time::{Instant, Nanos, Now, Schedule, WallTime};
use wire::config::ConfigReader;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

type Governor = GovernorOf<64, 64, 16>;

fn configure(governor: &mut Governor, now: Now, text: &str) -> Result<(), ConfigureError> {
    let (mut config, mut reader) = (Box::new(Config::new()), Box::new(ConfigReader::new()));
    let errors = reader.read(text.as_bytes(), &mut config, &mut |at, error| panic!("{at:?}: {error}"));
    assert_eq!(errors, 0);
    governor.configure(now, &config)
}

fn governor(text: &str) -> Box<Governor> {
    let mut governor = Box::new(Governor::new());
    assert_eq!(configure(&mut governor, at(0), text), Ok(()));
    governor
}

const fn at(nanos: u64) -> Now {
    Now { instant: Instant(nanos), wall: WallTime(nanos) }
}

fn request<'a>(tenant: &'a str, service: &'a str) -> Request<'a> {
    Request {
        tenant: NameRef::new(tenant).ok(),
        service: NameRef::new(service).ok(),
        tokens: 1,
        ..Request::default()
    }
}

fn reserving(expires_in: u64) -> Request<'static> {
    let settlement = Settlement::Reserve { expires_in: Nanos(expires_in) };
    Request { settlement, ..request("acme", "web") }
}

/// Charges a request of each of `count` tenants.
fn charge_tenants(governor: &mut Governor, count: usize, service: &str) {
    for number in 0..count {
        governor.admit(at(1), &request(&format!("t{number}"), service));
    }
}

#[test]
fn a_reservation_keeps_its_model_beside_what_is_counted_with_another() {
    let mut governor = governor("[[model]]\nservice = \"*\"\nper_input_token = \"0.000000001 USD\"\n");
    let ticket = governor.admit(at(1), &reserving(DAY)).ticket.unwrap();
    let half = Price::parse("0.5 USD per 1000000000000").unwrap();
    let model =
        CostModel { service: Name::new("web").unwrap(), per_input_token: half, ..CostModel::default() };
    governor.costs.define_cost_model(&model).unwrap();
    governor.admit(at(2), &request("acme", "web"));
    let completion =
        governor.complete(at(3), ticket, &Outcome { tokens: Some(1), ..Outcome::default() }).unwrap();
    assert_eq!(completion.posted, Some(NanoUnits(1)));
}

#[test]
fn a_reservation_stands_for_35_days_at_most() {
    let mut governor = governor("");
    governor.admit(at(0), &reserving(1000 * DAY));
    assert_eq!(governor.next_due(), Some(Instant(35 * DAY)));
}

#[test]
fn what_the_books_have_no_room_for_is_refused() {
    let dearest = "\"1000000 USD\"";
    let mut governor = governor(&format!(
        "[[model]]\nservice = \"*\"\nper_input_token = {dearest}\nper_access = {dearest}\nper_hit = {dearest}\n"
    ));
    let request = Request {
        tokens: u64::MAX,
        storage_accesses: u64::MAX,
        cache_hits: u64::MAX,
        ..request("acme", "web")
    };
    let prices: Vec<_> = (0..5_000).map(|_| governor.admit(at(1), &request).price).collect();
    let charged = prices.iter().take_while(|price| price.is_some()).count();
    assert!((1..5_000).contains(&charged) && prices[charged..].iter().all(Option::is_none));
    let sum = prices.iter().flatten().map(|price| price.0).sum::<i128>();
    assert_eq!(governor.costs.ledger().totals().debits_posted, sum);
    assert!(governor.costs.ledger().verify());
}

#[test]
fn tenants_that_are_not_declared_any_more_make_room() {
    let mut governor = governor("");
    for round in 0..5 {
        let tenants: Vec<_> =
            (0..5).map(|number| format!("[[tenant]]\nname = \"t{round}-{number}\"\n")).collect();
        assert_eq!(configure(&mut governor, at(1), &tenants.concat()), Ok(()));
        assert_eq!(governor.costs.declared_tenants().count(), 5);
    }
}

#[test]
fn an_alert_that_was_set_is_part_of_the_configuration() {
    let model = "[[model]]\nservice = \"web\"\nbase_cost = \"1 USD\"\n";
    let mut governor = governor(model);
    governor.admit(at(1), &request("acme", "web"));
    governor.costs.set_cost_alert(at(2), "acme", "1.5 USD".parse().unwrap()).unwrap();
    governor.admit(at(3), &request("acme", "web"));
    assert_eq!(governor.costs.notices().next(), 1);
    let mut text = String::new();
    governor.write_config(&mut text).unwrap();
    assert!(text.contains("name = \"acme\"\nalert = \"1.50 USD\"\n"), "{text}");
    // The same configuration does not tell the same alert again; one without it asks for none.
    configure(&mut governor, at(4), &text).unwrap();
    governor.admit(at(5), &request("acme", "web"));
    assert_eq!((governor.costs.notices().next(), governor.costs.get_cost_alerts().count()), (1, 1));
    configure(&mut governor, at(6), model).unwrap();
    assert_eq!(governor.costs.get_cost_alerts().count(), 0);
    let other = format!("{model}[[tenant]]\nname = \"acme\"\nalert = \"1 EUR\"\n");
    let (mut config, mut reader) = (Box::new(Config::new()), Box::new(ConfigReader::new()));
    assert_eq!(reader.read(other.as_bytes(), &mut config, &mut |_, _| {}), 1);
}

#[test]
fn a_full_table_of_tenants_does_not_stop_a_configuration() {
    let model = "[[model]]\nservice = \"gpu\"\nbase_cost = \"1 USD\"\n";
    let mut governor = governor(model);
    charge_tenants(&mut governor, 20, "gpu");
    assert_eq!(configure(&mut governor, at(2), model), Ok(()));
    let one_more = format!("{model}[[tenant]]\nname = \"late\"\n");
    let full = ConfigureError::Costs(CostError::TenantsFull { capacity: 15 });
    assert_eq!(configure(&mut governor, at(2), &one_more), Err(full));
}

#[test]
fn the_currency_of_a_budget_is_that_of_the_books() {
    let budget = "[[budget]]\nscope = \"tenant:acme\"\namount = \"1 EUR\"\n";
    let mut governor = governor(budget);
    let base_cost = Price::parse("0.5 USD").unwrap();
    let model = CostModel { service: Name::new("web").unwrap(), base_cost, ..CostModel::default() };
    assert!(matches!(governor.costs.define_cost_model(&model), Err(CostError::Currency { .. })));
    // Without the budget, nothing holds on to its currency.
    configure(&mut governor, at(1), "").unwrap();
    assert_eq!(governor.costs.define_cost_model(&model), Ok(()));
}

#[test]
fn what_overflow_was_charged_by_a_model_that_is_gone_stays_its_own() {
    let mut governor = governor("[[model]]\nservice = \"gpu\"\nbase_cost = \"1 USD\"\n");
    charge_tenants(&mut governor, 20, "gpu");
    let mail = "[[model]]\nservice = \"mail\"\nbase_cost = \"0.001 USD to 3; 5 USD\"\n";
    configure(&mut governor, at(2), mail).unwrap();
    assert_eq!(governor.admit(at(3), &request("t30", "mail")).price, Some(NanoUnits(1_000_000)));
    let bill = governor.costs.calculate_bill(at(3), "(overflow)").unwrap();
    let lines: Vec<_> = governor
        .costs
        .invoice_lines(&bill)
        .iter()
        .map(|line| (line.service.as_str().to_owned(), line.quantity, line.amount.0))
        .collect();
    let expected = [("(overflow)".to_owned(), 5, 5_000_000_000), ("mail".to_owned(), 1, 1_000_000)];
    assert_eq!(lines, expected);
}

#[test]
fn a_reservation_belongs_to_its_period_also_where_the_schedule_has_changed() {
    let mut governor = governor(
        "[[model]]\nservice = \"web\"\nbase_cost = \"1 USD\"\n\
         [[billing]]\ntenant = \"acme\"\ncycle = \"monthly\"\nanchor = \"1970-01-01\"\n",
    );
    let ticket = governor.admit(at(30 * DAY), &reserving(10 * DAY)).ticket.unwrap();
    governor.admit(at(30 * DAY), &request("acme", "web"));
    // Period 0 of the new schedule is not period 0 of the old one.
    let schedule = Schedule::parse("daily").unwrap().anchored(WallTime(31 * DAY));
    let daily = BillingSchedule { tenant: Name::new("acme").unwrap(), schedule };
    governor.costs.set_billing_schedule(at(30 * DAY), &daily).unwrap();
    governor.tick(at(31 * DAY + 5));
    governor.complete(at(31 * DAY + 6), ticket, &Outcome::default()).unwrap();
    let bill = governor.costs.calculate_bill(at(31 * DAY + 7), "acme").unwrap();
    let kinds: Vec<_> = governor.costs.invoice_lines(&bill).iter().map(|line| line.kind).collect();
    assert_eq!(kinds, [LineKind::LateUsage]);
}

#[test]
fn a_declared_tenant_is_projected_from_its_first_charge() {
    let live = governor("[[tenant]]\nname = \"acme\"\n[[model]]\nservice = \"web\"\nbase_cost = \"1 USD\"\n");
    let mut replay = Box::new(Governor::new());
    replay.configure_like(&live).unwrap();
    let start = 16_602 * DAY; // in the middle of a month
    for minute in 0..100 {
        for tenant in ["acme", "other"] {
            replay.admit(at(start + minute * 60 * SECOND), &request(tenant, "web"));
        }
    }
    let end = at(start + 7_200 * SECOND);
    let declared = replay.costs.project_cost(end, "acme").unwrap().unwrap();
    let other = replay.costs.project_cost(end, "other").unwrap().unwrap();
    assert_eq!(declared, other);
}

#[test]
fn an_event_of_the_next_period_is_not_billed_in_this_one() {
    let mut governor = governor("[[model]]\nservice = \"web\"\nbase_cost = \"1 USD\"\n");
    let event = |nanos| UsageEvent {
        id: "job",
        tenant: NameRef::new("acme").unwrap(),
        service: NameRef::new("web").unwrap(),
        method: None,
        at: Some(WallTime(nanos)),
        usage: Usage { requests: 1, ..Usage::ZERO },
    };
    let now = at(31 * DAY - SECOND);
    assert_eq!(governor.record_event(now, &event(31 * DAY)), Err(CostError::EventTime));
    let accepted = Ok(EventOutcome::Accepted(Some(NanoUnits(1_000_000_000))));
    // A second later it is welcome, and belongs to the new period.
    assert_eq!(governor.record_event(at(31 * DAY), &event(31 * DAY)), accepted);
    assert_eq!(governor.costs.invoices().count(), 0);
}
