//! Charges, reservations and what they come to.

use super::support::{at, costs, operation, requests};
use crate::cost::{BillingSchedule, CostError, EventOutcome, NOBODY, OVERFLOW, TenantSpec, UsageEvent};
use crate::money::{Currency, Money, NanoUnits};
use crate::request::Usage;
use crate::scope::NameRef;
use crate::text::Text;
use crate::time::Schedule;

const WEB: &[(&str, &str)] = &[("service", "web"), ("base_cost", "0.015 USD")];

#[test]
fn who_is_not_named_and_what_has_no_price_are_counted() {
    let mut costs = costs(&[WEB]);
    let mut anonymous = operation("x", "web", requests(2));
    anonymous.tenant = None;
    assert_eq!(costs.attribute_cost(at("01-01"), &anonymous), Ok(Some(NanoUnits(30_000_000))));
    assert_eq!(costs.get_tenant_cost(at("01-01"), NOBODY).unwrap().open, NanoUnits(30_000_000));
    assert_eq!(costs.attribute_cost(at("01-01"), &operation("acme", "mail", requests(1))), Ok(None));
    assert_eq!(costs.stats().unpriced, 1);
    assert!(matches!(costs.get_tenant_cost(at("01-01"), "acme"), Err(CostError::UnknownTenant { .. })));
}

#[test]
fn a_reset_forgets_prices_accounts_and_the_currency() {
    let mut costs = costs(&[WEB]);
    let model = *costs.models().next().unwrap();
    costs.attribute_cost(at("01-01"), &operation("acme", "web", requests(1))).unwrap();
    costs.reset(crate::scope::HashSecret::from_seed(1));
    assert_eq!((costs.models().count(), costs.stats().tenants, costs.currency()), (0, 0, Currency::NONE));
    costs.define_cost_model(&model).unwrap();
    let charged = costs.attribute_cost(at("01-01"), &operation("acme", "web", requests(1)));
    assert_eq!(charged, Ok(Some(NanoUnits(15_000_000))));
    assert_eq!(costs.stats().total, NanoUnits(15_000_000));
}

#[test]
fn prices_are_multiplied_by_the_tier_and_the_method() {
    let mut costs = costs(&[&[
        ("service", "*"),
        ("base_cost", "0.01 USD"),
        ("multipliers", "tier:gold 0.5; method:post 3"),
    ]]);
    let gold =
        TenantSpec { name: Text::excerpt("acme"), tier: Text::excerpt("gold"), ..TenantSpec::default() };
    costs.declare_tenant(at("01-01"), &gold).unwrap();
    let mut post = operation("acme", "anything", requests(1));
    post.method = NameRef::new("POST").ok();
    assert_eq!(costs.attribute_cost(at("01-01"), &post), Ok(Some(NanoUnits(15_000_000))));
    let plain = operation("globex", "anything", requests(1));
    assert_eq!(costs.attribute_cost(at("01-01"), &plain), Ok(Some(NanoUnits(10_000_000))));
}

#[test]
fn a_reservation_is_pending_until_it_is_settled_with_more_or_less() {
    let mut costs = costs(&[&[
        ("service", "llm"),
        ("per_input_token", "1 USD per 1000"),
        ("per_output_token", "2 USD per 1000"),
    ]]);
    let tokens = |tokens, output_tokens| Usage { tokens, output_tokens, ..Usage::default() };
    let hold = costs.reserve_cost(at("01-01"), &operation("acme", "llm", tokens(100, 0))).unwrap().unwrap();
    // It could all be generated.
    assert_eq!(costs.stats().pending, NanoUnits(200_000_000));
    assert_eq!(costs.settle(at("01-01"), &hold, &tokens(300, 100)), NanoUnits(400_000_000));
    assert_eq!(costs.stats().pending, NanoUnits::ZERO);
    let hold = costs.reserve_cost(at("01-01"), &operation("acme", "llm", tokens(100, 0))).unwrap().unwrap();
    costs.void(&hold);
    let cost = costs.get_tenant_cost(at("01-01"), "acme").unwrap();
    assert_eq!((cost.open, cost.pending), (NanoUnits(400_000_000), NanoUnits::ZERO));
    assert!(costs.ledger().verify());
}

#[test]
fn what_has_no_place_of_its_own_is_charged_as_overflow() {
    let mut costs = costs(&[WEB]);
    for tenant in 0..40 {
        let name = format!("tenant-{tenant}");
        let charged = costs.attribute_cost(at("01-01"), &operation(&name, "web", requests(1)));
        assert_eq!(charged, Ok(Some(NanoUnits(15_000_000))), "{tenant}");
    }
    let stats = costs.stats();
    assert_eq!((stats.tenants, stats.pairs, stats.overflow), (16, 15, 25));
    assert_eq!(costs.get_tenant_cost(at("01-01"), OVERFLOW).unwrap().open, NanoUnits(25 * 15_000_000));
    let bill = costs.calculate_bill(at("01-01"), OVERFLOW).unwrap();
    assert_eq!((bill.exact, bill.coins, bill.lines), (NanoUnits(375_000_000), 38, 1));
    let total: NanoUnits = costs.tenant_costs().map(|cost| cost.total).sum();
    assert_eq!((total, stats.total), (NanoUnits(600_000_000), NanoUnits(600_000_000)));
    let declared = TenantSpec { name: Text::excerpt("late"), ..TenantSpec::default() };
    assert_eq!(costs.declare_tenant(at("01-01"), &declared), Err(CostError::TenantsFull { capacity: 15 }));
    assert!(costs.ledger().verify());
    costs.reset_cost_window(at("02-01"), None).unwrap();
    assert_eq!(costs.get_tenant_cost(at("02-01"), OVERFLOW).unwrap().open, NanoUnits::ZERO);
}

#[test]
fn an_event_is_charged_once_and_another_under_its_id_is_refused() {
    fn event(id: &str, count: u64) -> UsageEvent<'_> {
        UsageEvent {
            id,
            tenant: NameRef::new("acme").unwrap(),
            service: NameRef::new("web").unwrap(),
            method: None,
            at: None,
            usage: requests(count),
        }
    }
    let mut costs = costs(&[WEB]);
    let now = at("01-20");
    assert_eq!(
        costs.record_event(now, &event("a", 1)),
        Ok(EventOutcome::Accepted(Some(NanoUnits(15_000_000))))
    );
    assert_eq!(costs.record_event(now, &event("a", 1)), Ok(EventOutcome::Repeated));
    assert_eq!(costs.record_event(now, &event("a", 2)), Err(CostError::EventConflict));
    assert_eq!(costs.record_event(now, &event("", 1)), Err(CostError::EventId));
    let mut early = event("b", 1);
    early.at = Some(at("01-20T00:05:01Z").wall);
    assert_eq!(costs.record_event(now, &early), Err(CostError::EventTime));
    assert_eq!(costs.get_tenant_cost(now, "acme").unwrap().open, NanoUnits(15_000_000));
    // 64 events fit; the first is forgotten within a day, which is counted.
    for number in 0..64 {
        costs.record_event(now, &event(&format!("n{number}"), 1)).unwrap();
    }
    assert_eq!(costs.stats().dedupe_horizon, 1);
    assert_eq!(costs.record_event(now, &event("n63", 1)), Ok(EventOutcome::Repeated));
    assert!(matches!(costs.record_event(now, &event("a", 1)), Ok(EventOutcome::Accepted(_))));
}

#[test]
fn models_and_tenants_in_use_stay() {
    let mut costs = costs(&[WEB]);
    let daily = BillingSchedule { tenant: Text::excerpt("*"), schedule: Schedule::parse("daily").unwrap() };
    costs.set_billing_schedule(at("01-01"), &daily).unwrap();
    let hold = costs.reserve_cost(at("01-01"), &operation("acme", "web", requests(1))).unwrap().unwrap();
    let in_use = |name: &str| Err(CostError::InUse { name: Text::excerpt(name) });
    assert_eq!(costs.remove_cost_model("web"), in_use("web"));
    assert_eq!(costs.remove_tenant("acme"), in_use("acme"));
    assert_eq!(costs.configure(at("01-01"), Currency::NONE, &[], &[], &[]), in_use("web"));
    costs.settle(at("01-01"), &hold, &requests(1));
    assert_eq!(costs.remove_cost_model("web"), in_use("web"));
    costs.reset_cost_window(at("01-02"), None).unwrap();
    assert_eq!(costs.remove_cost_model("web"), Ok(()));
    assert!(matches!(costs.remove_cost_model("web"), Err(CostError::UnknownModel { .. })));
    assert!(matches!(costs.remove_tenant("nobody"), Err(CostError::UnknownTenant { .. })));
    let other = super::support::costs(&[&[("service", "web"), ("base_cost", "1 EUR")]]);
    let euro = *other.models().next().unwrap();
    assert!(matches!(costs.define_cost_model(&euro), Err(CostError::Currency { .. })));
}

#[test]
fn an_alert_is_told_once_a_period() {
    let mut costs = costs(&[WEB]);
    let charge = |costs: &mut super::support::Costs, day: &str| {
        costs.attribute_cost(at(day), &operation("acme", "web", requests(1))).unwrap();
    };
    charge(&mut costs, "01-01");
    let currency = costs.currency();
    let usd = |nanos| Money { amount: NanoUnits(nanos), currency };
    assert_eq!(costs.set_cost_alert(at("01-01"), "acme", usd(-1)), Err(CostError::Negative));
    costs.set_cost_alert(at("01-01"), "acme", usd(40_000_000)).unwrap();
    let euros = Money { amount: NanoUnits(1), currency: Currency::from_code("EUR").unwrap() };
    assert!(matches!(costs.set_cost_alert(at("01-01"), "acme", euros), Err(CostError::Currency { .. })));
    (0..4).for_each(|_| charge(&mut costs, "01-02"));
    assert_eq!((costs.notices().next(), costs.get_cost_alerts().count()), (1, 1));
    charge(&mut costs, "02-01");
    assert_eq!((costs.notices().next(), costs.get_cost_alerts().count()), (1, 0));
    (0..2).for_each(|_| charge(&mut costs, "02-02"));
    assert_eq!(costs.notices().next(), 2);
}

#[test]
fn trends_and_projections_say_what_they_are_made_of() {
    let mut costs = costs(&[WEB]);
    assert_eq!(costs.get_cost_trends(None).err(), Some(CostError::Nothing));
    costs.attribute_cost(at("01-01"), &operation("acme", "web", requests(10))).unwrap();
    assert_eq!(costs.project_cost(at("01-01T00:30:00Z"), "acme"), Ok(None), "too early");
    let projection = costs.project_cost(at("01-11"), "acme").unwrap().unwrap();
    assert_eq!((projection.so_far, projection.at_end), (NanoUnits(150_000_000), NanoUnits(465_000_000)));
    costs.attribute_cost(at("01-11"), &operation("acme", "web", requests(1))).unwrap();
    let days: Vec<_> = costs.get_cost_trends(Some("acme")).unwrap().collect();
    assert_eq!((days.len(), days[0].date().to_string()), (11, "2026-01-01".to_string()));
    assert_eq!(days.iter().map(|day| day.cost).sum::<NanoUnits>(), NanoUnits(165_000_000));
    costs.attribute_cost(at("03-31"), &operation("acme", "web", requests(1))).unwrap();
    let days: Vec<_> = costs.get_cost_trends(None).unwrap().map(|day| day.cost.0).collect();
    assert_eq!((days.len(), days.iter().sum::<i128>()), (31, 15_000_000));
}
