//! Invoices, and random months against a model that keeps every event.

use super::support::{Costs, at, costs, operation, requests};
use crate::cost::{BillingSchedule, CostError, CostHold, CostMetric, LineKind, UsageEvent};
use crate::export::ExportFormat;
use crate::ledger::Account;
use crate::money::{NanoUnits, div_half_even};
use crate::request::Usage;
use crate::scope::NameRef;
use crate::text::Text;
use crate::time::{Instant, Now, Schedule, WallTime};
use std::collections::BTreeMap;

const WEB: &[(&str, &str)] =
    &[("service", "web"), ("base_cost", "0.015 USD"), ("per_kilobyte", "0.0001 USD")];

#[test]
fn an_invoice_is_issued_at_the_end_of_its_period_and_never_changes() {
    let mut costs = costs(&[WEB]);
    costs.attribute_cost(at("01-05"), &operation("acme", "web", requests(3))).unwrap();
    let draft = costs.calculate_bill(at("01-31"), "acme").unwrap();
    assert!(!draft.invoice_ready);
    assert_eq!((draft.exact, draft.coins, draft.number), (NanoUnits(45_000_000), 4, 1), "half to even");
    // The first charge of the next month comes with the invoice of this one.
    costs.attribute_cost(at("02-01"), &operation("acme", "web", requests(1))).unwrap();
    let issued = costs.invoice("acme", 1).unwrap();
    assert_eq!((issued.exact, issued.coins, issued.invoice_ready), (draft.exact, draft.coins, true));
    assert_eq!(issued.id().as_str(), "acme-20260101-1");
    assert_eq!(issued.period.end, at("02-01").wall);
    let lines = costs.invoice_lines(&issued).to_vec();
    assert_eq!(
        (lines.len(), lines[0].quantity, lines[0].kind),
        (1, 3, LineKind::Usage(CostMetric::RequestCount))
    );
    let number = costs.find_tenant("acme", costs.hash(crate::scope::Kind::Tenant, "acme")).unwrap().number();
    let invoiced = costs.ledger().balance(Account::Invoiced(number)).posted();
    assert_eq!(invoiced, issued.total_cost(), "the invoice is what the ledger says");
    assert_eq!(costs.ledger().balance(Account::Receivable(number)).posted(), NanoUnits(15_000_000));
    assert_eq!(costs.invoice("acme", 2), Err(CostError::UnknownInvoice { issued: 1 }));
    costs.correct(at("02-02"), "acme", "web", NanoUnits(-5_000_000), Text::excerpt("outage")).unwrap();
    assert_eq!(costs.invoice_lines(&costs.invoice("acme", 1).unwrap()), lines);
    let next = costs.calculate_bill(at("02-02"), "acme").unwrap();
    let kinds: Vec<_> = costs.invoice_lines(&next).iter().map(|line| (line.kind, line.amount.0)).collect();
    assert_eq!(
        kinds,
        [(LineKind::Usage(CostMetric::RequestCount), 15_000_000), (LineKind::Correction, -5_000_000)]
    );
    assert_eq!(costs.correct(at("02-02"), "acme", "web", NanoUnits::ZERO, Text::EMPTY), Err(CostError::Zero));
    assert!(costs.ledger().verify());
}

#[test]
fn what_is_told_late_is_a_line_of_the_next_invoice() {
    let mut costs = costs(&[&[("service", "web"), ("base_cost", "0 USD to 10; 0.01 USD")]]);
    costs.attribute_cost(at("01-30"), &operation("acme", "web", requests(9))).unwrap();
    let hold = costs.reserve_cost(at("01-31"), &operation("acme", "web", requests(1))).unwrap().unwrap();
    costs.reset_cost_window(at("02-01"), Some("acme")).unwrap();
    // On top of the nine of January: one is free, two are not.
    assert_eq!(costs.settle(at("02-01"), &hold, &requests(3)), NanoUnits(20_000_000));
    let event = UsageEvent {
        id: "late",
        tenant: NameRef::new("acme").unwrap(),
        service: NameRef::new("web").unwrap(),
        method: None,
        at: Some(at("01-31").wall),
        usage: requests(4),
    };
    costs.record_event(at("02-03"), &event).unwrap();
    let bill = costs.calculate_bill(at("02-03"), "acme").unwrap();
    let lines = costs.invoice_lines(&bill);
    assert_eq!((lines.len(), lines[0].kind, lines[0].quantity), (1, LineKind::LateUsage, 2));
    assert_eq!((bill.exact, costs.stats().late), (NanoUnits(60_000_000), 2));
    assert!(costs.ledger().verify());
}

#[test]
fn another_schedule_begins_where_the_open_period_ends() {
    let mut costs = costs(&[WEB]);
    costs.attribute_cost(at("01-05"), &operation("acme", "web", requests(1))).unwrap();
    let daily =
        BillingSchedule { tenant: Text::excerpt("acme"), schedule: Schedule::parse("daily").unwrap() };
    costs.set_billing_schedule(at("01-06"), &daily).unwrap();
    assert_eq!(costs.get_tenant_cost(at("01-06"), "acme").unwrap().period.end, at("02-01").wall);
    costs.attribute_cost(at("02-01"), &operation("acme", "web", requests(1))).unwrap();
    let period = costs.get_tenant_cost(at("02-01"), "acme").unwrap().period;
    assert_eq!((period.start, period.end), (at("02-01").wall, at("02-02").wall));
}

#[test]
fn a_clock_that_goes_back_opens_no_period_again() {
    let mut costs = costs(&[WEB]);
    costs.attribute_cost(at("02-01"), &operation("acme", "web", requests(1))).unwrap();
    costs.reset_cost_window(at("03-01"), None).unwrap();
    costs.attribute_cost(at("02-15"), &operation("acme", "web", requests(1))).unwrap();
    let bill = costs.calculate_bill(at("02-15"), "acme").unwrap();
    assert_eq!((bill.number, bill.period.start), (2, at("03-01").wall));
}

#[test]
fn old_invoices_make_room_and_are_counted() {
    let mut costs = costs(&[WEB]);
    let daily = BillingSchedule { tenant: Text::excerpt("*"), schedule: Schedule::parse("daily").unwrap() };
    costs.set_billing_schedule(at("01-01"), &daily).unwrap();
    let mut now = at("01-01");
    for _ in 0..100 {
        costs.attribute_cost(now, &operation("acme", "web", Usage { bytes: 5, ..requests(1) })).unwrap();
        now.wall.0 += 86_400_000_000_000;
        now.instant.0 += 86_400_000_000_000;
        costs.tick(now);
    }
    assert_eq!(
        (costs.stats().invoices, costs.invoices().count(), costs.stats().invoices_dropped),
        (100, 32, 68)
    );
    assert!(costs.invoices().all(|entry| costs.invoice_lines(entry).len() == 2));
    assert!(matches!(costs.invoice("acme", 1), Err(CostError::UnknownInvoice { issued: 100 })));
}

/// Splits CSV without knowing its writer: fields by commas outside of quotes.
fn records(csv: &str) -> Vec<Vec<String>> {
    csv.lines()
        .map(|line| {
            let (mut fields, mut is_quoted) = (vec![String::new()], false);
            for character in line.chars() {
                match character {
                    '"' => is_quoted = !is_quoted,
                    ',' if !is_quoted => fields.push(String::new()),
                    _ => fields.last_mut().unwrap().push(character),
                }
            }
            fields
        })
        .collect()
}

fn nano(text: &str) -> i128 {
    format!("{text} USD").parse::<crate::money::Money>().unwrap().amount.0
}

#[test]
fn every_export_says_what_the_invoice_says() {
    let mut costs = costs(&[WEB]);
    let name = "=acme, inc";
    costs.attribute_cost(at("01-05"), &operation(name, "web", Usage { bytes: 5000, ..requests(3) })).unwrap();
    costs.correct(at("01-06"), name, "web", NanoUnits(-7_000_000), Text::excerpt("+outage")).unwrap();
    costs.reset_cost_window(at("02-01"), None).unwrap();
    let entry = costs.invoice(name, 1).unwrap();
    let export = |format| {
        let mut out = String::new();
        costs.export_bill(&entry, format, &mut out).unwrap();
        out
    };
    for (format, column) in [(ExportFormat::Csv, "billed"), (ExportFormat::Focus, "BilledCost")] {
        let records = records(&export(format));
        let column = records[0].iter().position(|name| name == column).unwrap();
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|record| record.len() == records[0].len()));
        let billed: i128 = records[1..].iter().map(|record| nano(&record[column])).sum();
        assert_eq!(billed, entry.total_cost().0, "{format:?}");
        assert!(records[1..].iter().all(|record| !record.iter().any(|field| field.starts_with('='))));
    }
    let json = export(ExportFormat::Json);
    assert_eq!(json.lines().count(), 3);
    assert!(json.lines().all(|line| line.contains("\"tenant\":\"=acme, inc\"")), "{json}");
    assert!(
        json.contains("\"exact\":\"0.00048828125\"") || json.contains("\"exact\":\"0.000488281\""),
        "{json}"
    );
}

/// SplitMix64 (Steele, Lea, Flood).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A tenant's open period as a model knows it: every quantity, and nothing else.
#[derive(Clone, Default)]
struct Open {
    end: u64,
    requests: u64,
    bytes: u64,
    others: i128,
    past_requests: u64,
    past_bytes: u64,
}

/// `web` of the test below, by its definition: requests 0.015 USD to 100, then 0.01; bytes 0.0001 USD a kilobyte.
fn exact(requests: u64, bytes: u64) -> i128 {
    let requests = i128::from(requests);
    let by_requests = requests.min(100) * 15_000_000 + (requests - 100).max(0) * 10_000_000;
    by_requests + div_half_even(i128::from(bytes) * 100_000, 1024)
}

/// Months of random usage, reservations, voids, corrections and clocks that go back: after every step the books balance
/// and each tenant's open cost is that of the model; each invoice is the exact cost of its period and sums to its lines.
fn random_months(seed: u64, steps: u64) {
    let mut random = Random(seed);
    let mut costs: Box<Costs> = costs(&[&[
        ("service", "web"),
        ("base_cost", "0.015 USD to 100; 0.01 USD"),
        ("per_kilobyte", "0.0001 USD"),
    ]]);
    let schedule = Schedule::parse("monthly").unwrap().anchored(at("01-31").wall);
    costs
        .set_billing_schedule(at("01-31"), &BillingSchedule { tenant: Text::excerpt("*"), schedule })
        .unwrap();
    let mut model: BTreeMap<String, Open> = BTreeMap::new();
    let mut holds: Vec<(String, CostHold, i64)> = Vec::new();
    let (mut now, mut invoiced, mut sum) = (at("02-01").wall.0, 0_u64, 0_i128);
    let mut latest = now;
    for step in 0..steps {
        now = match random.below(50) {
            0 => now.saturating_sub(random.below(40 * 86_400_000_000_000)),
            1 => now + random.below(45 * 86_400_000_000_000),
            _ => now + random.below(3_600_000_000_000),
        };
        latest = latest.max(now);
        let clock = Now { instant: Instant(latest), wall: WallTime(now) };
        let tenant = format!("t{}", random.below(5));
        let usage = Usage { requests: random.below(4), bytes: random.below(5000), ..Usage::default() };
        let action = random.below(10);
        let is_known = model.contains_key(&tenant);
        if is_known || action < 7 {
            let open = model.entry(tenant.clone()).or_default();
            let period = schedule.period_at(WallTime(latest));
            if latest >= open.end {
                // The period is over: what it came to has to be on an invoice.
                let total = exact(open.requests, open.bytes) + open.others;
                if open.end > 0 {
                    costs.reset_cost_window(clock, Some(&tenant)).unwrap();
                }
                if open.end > 0 && (open.requests + open.bytes > 0 || open.others != 0) {
                    invoiced += 1;
                    let entry = *costs.invoices().next_back().unwrap();
                    assert_eq!(
                        (entry.tenant.as_str(), entry.exact.0),
                        (tenant.as_str(), total),
                        "step {step}"
                    );
                    let lines = costs.invoice_lines(&entry);
                    assert_eq!(lines.iter().map(|line| line.amount.0).sum::<i128>(), total);
                    assert_eq!(lines.iter().map(|line| line.coins).sum::<i128>(), entry.coins);
                    assert_eq!(entry.coins, div_half_even(total, 10_000_000));
                    sum += entry.total_cost().0;
                }
                *open = Open {
                    end: period.end.0,
                    past_requests: open.requests,
                    past_bytes: open.bytes,
                    ..Open::default()
                };
            }
            let index = schedule.period_at(WallTime(latest)).index;
            match action {
                0..=4 => {
                    let charged = costs.attribute_cost(clock, &operation(&tenant, "web", usage)).unwrap();
                    let before = exact(open.requests, open.bytes);
                    (open.requests, open.bytes) = (open.requests + usage.requests, open.bytes + usage.bytes);
                    assert_eq!(charged.unwrap().0, exact(open.requests, open.bytes) - before);
                }
                5 | 6 => {
                    let hold = costs.reserve_cost(clock, &operation(&tenant, "web", usage)).unwrap();
                    holds.push((tenant.clone(), hold.unwrap(), index));
                }
                7 => {
                    let amount = i128::from(random.below(2_000_000)) - 1_000_000;
                    let corrected =
                        costs.correct(clock, &tenant, "web", NanoUnits(amount), Text::excerpt("why"));
                    match corrected {
                        Ok(()) => open.others += amount,
                        Err(error) => assert!(matches!(
                            error,
                            CostError::Zero
                                | CostError::CorrectionsFull { .. }
                                | CostError::UnknownService { .. }
                        )),
                    }
                }
                _ => {}
            }
        }
        if action >= 8 && !holds.is_empty() {
            let place = usize::try_from(random.below(holds.len() as u64)).unwrap();
            let (tenant, hold, period) = holds.swap_remove(place);
            let open = model.get_mut(&tenant).unwrap();
            if latest >= open.end {
                holds.push((tenant, hold, period));
            } else if random.below(3) == 0 {
                costs.void(&hold);
            } else {
                let present = schedule.period_at(WallTime(latest)).index;
                let posted = costs.settle(clock, &hold, &usage).0;
                if period == present {
                    let before = exact(open.requests, open.bytes);
                    (open.requests, open.bytes) = (open.requests + usage.requests, open.bytes + usage.bytes);
                    assert_eq!(posted, exact(open.requests, open.bytes) - before);
                } else {
                    open.others += posted;
                    if open.past_requests + open.past_bytes > 0 {
                        open.past_requests += usage.requests;
                        open.past_bytes += usage.bytes;
                    }
                }
            }
        }
        for (tenant, open) in model.iter().filter(|(_, open)| latest < open.end) {
            if let Some(cost) = costs.tenant_costs().find(|cost| cost.tenant.as_str() == tenant) {
                assert_eq!(
                    cost.open.0,
                    exact(open.requests, open.bytes) + open.others,
                    "step {step}: {tenant}"
                );
            }
        }
        if step % 64 == 0 {
            assert!(costs.ledger().verify());
        }
    }
    assert_eq!(costs.stats().invoices, invoiced);
    let accounts: NanoUnits = costs
        .accounts()
        .filter(|(account, _)| matches!(account, Account::Invoiced(_)))
        .map(|(_, balance)| balance.posted())
        .sum();
    assert_eq!(accounts.0, sum, "what was invoiced is what the ledger says");
}

#[test]
fn random_months_are_exact_at_every_step() {
    // More of them with WEIR_MONTHS, for a campaign.
    let seeds = std::env::var("WEIR_MONTHS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        random_months(seed, 2_000);
    }
}
