//! What tenants owe: every event is charged, and every billing period has an invoice.
//!
//! For each tenant, service, metric and billing period the exact cost so far, E, is kept as a fraction. An event
//! adds to it what its quantity adds to the price of the period, times the factor of the request; its charge is
//! R(E after) − R(E before), R rounding half to even to whole nano-units. So the charges of any beginning of a
//! period add up to its exact cost, rounded once.
//!
//! What was reserved in one billing period and is settled in a later one is *late*: it is priced on top of what its
//! own period had, if that is the last one before the present and on top of nothing otherwise; it is rounded by
//! itself, and it is a line of the invoice of the period in which it is told.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

use super::call::{Priority, Usage};
use super::money::{half_even, round_with_sum};
use super::price::{CostModel, Metric};
use crate::calendar::{Cycle, Period, period_at};

/// How often invoices are made, and counted from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long billing periods are.
    pub cycle: Cycle,
    /// Where period 0 begins.
    pub anchor_ns: u64,
}

/// Who is charged for what: a request, as far as prices go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// Who pays.
    pub tenant: &'a str,
    /// What is paid for.
    pub service: &'a str,
    /// How urgent it was.
    pub priority: Priority,
    /// Its method.
    pub method: Option<&'a str>,
    /// What it took.
    pub usage: Usage,
}

/// The charge of one event for one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What was counted.
    pub metric: Metric,
    /// How much of it.
    pub quantity: u64,
    /// Nano-units.
    pub nano: BigInt,
}

/// What a tenant owes for a billing period, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Who pays.
    pub tenant: String,
    /// For when.
    pub period: Period,
    /// For what, by service and metric. A metric has a line once there was a priced quantity of it.
    pub lines: Vec<Line>,
    /// What was told of earlier periods, if anything was.
    pub late: Option<Late>,
    /// The sum of all charges, in nano-units.
    pub total_nano: BigInt,
    /// That, rounded half to even to the currency's smallest unit.
    pub total_minor: BigInt,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The service.
    pub service: String,
    /// What was counted.
    pub metric: Metric,
    /// How much of it.
    pub quantity: BigInt,
    /// The sum of its charges, in nano-units.
    pub nano: BigInt,
    /// Its part of the rounded total.
    pub minor: BigInt,
}

/// Usage of earlier periods that was told in this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// How often.
    pub count: u64,
    /// What it came to, in nano-units.
    pub nano: BigInt,
    /// Its part of the rounded total.
    pub minor: BigInt,
}

/// The model of the ledger.
#[derive(Clone, Debug)]
pub struct Billing {
    models: Vec<CostModel>,
    schedule: Schedule,
    own_schedules: BTreeMap<String, Schedule>,
    minor_digits: u32,
    latest_wall_ns: u64,
    accounts: BTreeMap<(String, Period), BTreeMap<(String, Metric), Account>>,
    late: BTreeMap<(String, Period), Late>,
    /// Quantities that were told of a period when it was over.
    told_late: BTreeMap<(String, Period, String, Metric), BigInt>,
    /// When the periods began in which a tenant used anything, whether it had a price or not.
    used: BTreeMap<String, BTreeSet<u64>>,
}

/// One service and metric in one billing period of one tenant.
#[derive(Clone, Debug, Default)]
struct Account {
    quantity: BigInt,
    exact: BigRational,
    charges: Vec<BigInt>,
}

impl Account {
    fn charged(&self) -> BigInt {
        self.charges.iter().sum()
    }
}

impl Billing {
    /// A ledger without entries. The currency's smallest unit is 10 to the power of −`minor_digits`.
    ///
    /// # Panics
    /// If there are more than nine digits.
    #[must_use]
    pub fn new(models: Vec<CostModel>, schedule: Schedule, minor_digits: u32) -> Self {
        assert!(minor_digits <= 9, "a smallest unit below a nano-unit");
        Self {
            models,
            schedule,
            own_schedules: BTreeMap::new(),
            minor_digits,
            latest_wall_ns: 0,
            accounts: BTreeMap::new(),
            late: BTreeMap::new(),
            told_late: BTreeMap::new(),
            used: BTreeMap::new(),
        }
    }

    /// Gives a tenant a schedule of its own, before anything is charged to it.
    pub fn set_schedule(&mut self, tenant: &str, schedule: Schedule) {
        self.own_schedules.insert(tenant.to_owned(), schedule);
    }

    /// The billing period of a tenant at a time. A clock that goes back stands still.
    #[must_use]
    pub fn period(&self, wall_ns: u64, tenant: &str) -> Period {
        let schedule = self.own_schedules.get(tenant).unwrap_or(&self.schedule);
        period_at(schedule.anchor_ns, schedule.cycle, wall_ns.max(self.latest_wall_ns))
    }

    /// What an event would be charged now, for each priced metric of which it has a quantity.
    #[must_use]
    pub fn quote(&self, wall_ns: u64, event: &Priced<'_>) -> Vec<Charge> {
        self.rate(wall_ns, event).into_iter().map(|(charge, _)| charge).collect()
    }

    /// The usage by which a reservation is priced: the dearest that it can turn out.
    #[must_use]
    pub fn dearest(&self, service: &str, usage: Usage) -> Usage {
        CostModel::find(&self.models, service).map_or(usage, |model| model.dearest(usage))
    }

    /// Lets time go on: what was the present period of a tenant may be over.
    pub fn see(&mut self, wall_ns: u64) {
        self.latest_wall_ns = self.latest_wall_ns.max(wall_ns);
    }

    /// The period in which an event is reserved, if it has a price.
    pub fn reserve(&mut self, wall_ns: u64, event: &Priced<'_>) -> Option<Period> {
        self.see(wall_ns);
        CostModel::find(&self.models, event.service)?;
        Some(self.period(wall_ns, event.tenant))
    }

    /// Charges an event that was reserved in a period.
    pub fn settle(&mut self, wall_ns: u64, reserved_in: Period, event: &Priced<'_>) -> Vec<Charge> {
        self.see(wall_ns);
        let present = self.period(wall_ns, event.tenant);
        if present == reserved_in {
            return self.post(wall_ns, event);
        }
        let model = CostModel::find(&self.models, event.service).expect("what was reserved has a price");
        let factor = model.factor(event.priority, event.method);
        let used = self.used.get(event.tenant);
        let last = used.and_then(|used| used.range(..present.start_ns).next_back().copied());
        let is_last = last == Some(reserved_in.start_ns);
        let accounts = self.accounts.get(&(event.tenant.to_owned(), reserved_in));
        let mut charges = Vec::new();
        for metric in Metric::ALL {
            let priced = model.prices.iter().find(|(priced, _)| *priced == metric);
            let quantity = metric.quantity(&event.usage);
            let (Some((_, price)), 1..) = (priced, quantity) else { continue };
            let key = (event.tenant.to_owned(), reserved_in, event.service.to_owned(), metric);
            let mut before = BigInt::zero();
            if is_last {
                let account = accounts.and_then(|accounts| accounts.get(&(event.service.to_owned(), metric)));
                before += account.map_or_else(BigInt::zero, |account| account.quantity.clone());
                let told = self.told_late.entry(key).or_default();
                before += &*told;
                *told += quantity;
            }
            let more = price.of(&(&before + quantity)) - price.of(&before);
            charges.push(Charge { metric, quantity, nano: half_even(&(more * &factor)) });
        }
        let late = self.late.entry((event.tenant.to_owned(), present)).or_default();
        late.count += 1;
        late.nano += sum(&charges);
        charges
    }

    /// Charges an event.
    pub fn post(&mut self, wall_ns: u64, event: &Priced<'_>) -> Vec<Charge> {
        let is_priced = self.reserve(wall_ns, event).is_some();
        let period = self.period(wall_ns, event.tenant);
        if is_priced && Metric::ALL.into_iter().any(|metric| metric.quantity(&event.usage) > 0) {
            self.used.entry(event.tenant.to_owned()).or_default().insert(period.start_ns);
        }
        let rated = self.rate(wall_ns, event);
        for (charge, exact) in &rated {
            let accounts = self.accounts.entry((event.tenant.to_owned(), period)).or_default();
            let account = accounts.entry((event.service.to_owned(), charge.metric)).or_default();
            account.quantity += charge.quantity;
            account.exact.clone_from(exact);
            account.charges.push(charge.nano.clone());
        }
        rated.into_iter().map(|(charge, _)| charge).collect()
    }

    /// The charges of an event, each with the exact cost of the period after it.
    fn rate(&self, wall_ns: u64, event: &Priced<'_>) -> Vec<(Charge, BigRational)> {
        let Some(model) = CostModel::find(&self.models, event.service) else { return Vec::new() };
        let factor = model.factor(event.priority, event.method);
        let period = self.period(wall_ns, event.tenant);
        let accounts = self.accounts.get(&(event.tenant.to_owned(), period));
        let mut rated = Vec::new();
        for metric in Metric::ALL {
            let priced = model.prices.iter().find(|(priced, _)| *priced == metric);
            let quantity = metric.quantity(&event.usage);
            let (Some((_, price)), 1..) = (priced, quantity) else { continue };
            let account = accounts.and_then(|accounts| accounts.get(&(event.service.to_owned(), metric)));
            let unused = Account::default();
            let before = account.unwrap_or(&unused);
            let more = price.of(&(&before.quantity + quantity)) - price.of(&before.quantity);
            let exact = &before.exact + more * &factor;
            let nano = half_even(&exact) - half_even(&before.exact);
            rated.push((Charge { metric, quantity, nano }, exact));
        }
        rated
    }

    /// The tenants that were charged anything, and when.
    #[must_use]
    pub fn charged_periods(&self) -> Vec<(String, Period)> {
        let all: BTreeSet<_> = self.accounts.keys().chain(self.late.keys()).cloned().collect();
        all.into_iter().collect()
    }

    /// What a tenant owes for the billing period around `wall_ns`, which may be over.
    #[must_use]
    pub fn invoice(&self, tenant: &str, wall_ns: u64) -> Invoice {
        let schedule = self.own_schedules.get(tenant).unwrap_or(&self.schedule);
        let period = period_at(schedule.anchor_ns, schedule.cycle, wall_ns);
        let accounts = self.accounts.get(&(tenant.to_owned(), period));
        let accounts: Vec<_> = accounts.into_iter().flatten().collect();
        let late = self.late.get(&(tenant.to_owned(), period));
        let used = accounts.iter().map(|(_, account)| account.charged());
        let nano: Vec<BigInt> = used.chain(late.map(|late| late.nano.clone())).collect();
        let mut rounded = round_with_sum(&nano, &self.minor_nano());
        let late = late.map(|late| {
            let minor = rounded.parts.pop().expect("late usage comes last");
            Late { minor, ..late.clone() }
        });
        let lines = accounts.iter().zip(&nano).zip(rounded.parts);
        let lines = lines.map(|((((service, metric), account), nano), minor)| Line {
            service: service.clone(),
            metric: *metric,
            quantity: account.quantity.clone(),
            nano: nano.clone(),
            minor,
        });
        Invoice {
            tenant: tenant.to_owned(),
            period,
            lines: lines.collect(),
            late,
            total_nano: nano.iter().sum(),
            total_minor: rounded.total,
        }
    }

    /// The currency's smallest unit in nano-units.
    #[must_use]
    pub fn minor_nano(&self) -> BigInt {
        let digits = 9 - self.minor_digits;
        (0..digits).fold(BigInt::one(), |unit, _| unit * 10)
    }
}

/// The sum of charges, in nano-units.
#[must_use]
pub fn sum(charges: &[Charge]) -> BigInt {
    charges.iter().map(|charge| &charge.nano).fold(BigInt::zero(), |sum, nano| sum + nano)
}

#[cfg(test)]
mod tests {
    use super::{Billing, Invoice, Priced, Schedule, sum};
    use crate::calendar::{Cycle, DAY, SECOND, midnight};
    use crate::oracle::call::{Priority, Usage};
    use crate::oracle::price::{Applies, CostModel, Metric, Multiplier, Price, Tier};
    use crate::oracle::rule::Pattern;
    use num_bigint::BigInt;
    use num_rational::BigRational;

    const MONTHLY: Schedule = Schedule { cycle: Cycle::Monthly, anchor_ns: 0 };

    fn billing(prices: Vec<(Metric, Price)>) -> Billing {
        let critical = Multiplier { applies: Applies::Priority(Priority::Critical), thousandths: 1500 };
        let model = CostModel { service: Pattern::Any, prices, multipliers: vec![critical] };
        Billing::new(vec![model], MONTHLY, 2)
    }

    fn event(service: &str, usage: Usage) -> Priced<'_> {
        Priced { tenant: "acme", service, priority: Priority::Normal, method: None, usage }
    }

    fn tokens(tokens: u64, output_tokens: u64) -> Usage {
        Usage { requests: 1, tokens, output_tokens, ..Usage::default() }
    }

    fn bytes(bytes: u64) -> Usage {
        Usage { bytes, ..Usage::default() }
    }

    fn post(billing: &mut Billing, wall_ns: u64, event: &Priced<'_>) -> i64 {
        let quoted = billing.quote(wall_ns, event);
        let charges = billing.post(wall_ns, event);
        assert_eq!(quoted, charges);
        i64::try_from(sum(&charges)).unwrap()
    }

    fn minor(invoice: &Invoice) -> (i64, Vec<i64>) {
        let small = |value: &BigInt| i64::try_from(value).unwrap();
        (small(&invoice.total_minor), invoice.lines.iter().map(|line| small(&line.minor)).collect())
    }

    #[test]
    fn charges_of_any_beginning_add_up_to_its_cost_rounded_once() {
        // A third of a nano-unit for each byte: 0, 1/3, 2/3, 1, 4/3 ... and each rounded.
        let mut billing = billing(vec![(Metric::Bytes, Price::unit(1, 3))]);
        let charges: Vec<i64> = (0..6).map(|_| post(&mut billing, 0, &event("web", bytes(1)))).collect();
        assert_eq!(charges, [0, 1, 0, 0, 1, 0]);
        // Rounding each would have charged nothing.
        assert_eq!(billing.invoice("acme", 0).total_nano, BigInt::from(2));
    }

    #[test]
    fn a_half_goes_to_the_even_side_of_the_sum_so_far() {
        let mut billing = billing(vec![(Metric::Bytes, Price::unit(1, 2))]);
        // Exact: 0.5, 1, 1.5, 2, 2.5, 3; rounded 0, 1, 2, 2, 2, 3.
        let charges: Vec<i64> = (0..6).map(|_| post(&mut billing, 0, &event("web", bytes(1)))).collect();
        assert_eq!(charges, [0, 1, 1, 0, 0, 1]);
    }

    #[test]
    fn tiers_are_those_of_the_billing_period_and_begin_again_with_the_next() {
        let tiers = vec![Tier::new(Some(10), 0), Tier::new(Some(20), 100), Tier::new(None, 10)];
        let mut billing = billing(vec![(Metric::InputTokens, Price::Graduated { tiers, per: 1 })]);
        let march = midnight(2026, 3, 1);
        let mut at = |wall_ns, count| post(&mut billing, wall_ns, &event("llm", tokens(count, 0)));
        assert_eq!(at(march, 10), 0);
        assert_eq!(at(march, 1), 100);
        assert_eq!(at(march + DAY, 10), 9 * 100 + 10);
        assert_eq!(at(midnight(2026, 4, 1) - 1, 5), 50);
        assert_eq!(at(midnight(2026, 4, 1), 12), 200);
        // A clock that goes back stands still: this is April.
        assert_eq!(at(march, 1), 100);
        assert_eq!(billing.invoice("acme", march).total_nano, BigInt::from(100 + 910 + 50));
        assert_eq!(billing.invoice("acme", midnight(2026, 4, 30)).total_nano, BigInt::from(300));
        assert_eq!(billing.invoice("acme", midnight(2026, 5, 1)).lines, []);
    }

    #[test]
    fn volume_prices_may_give_money_back() {
        let tiers = vec![Tier::new(Some(10), 100), Tier::new(None, 50)];
        let mut billing = billing(vec![(Metric::CacheHits, Price::Volume { tiers, per: 1 })]);
        let hits = |cache_hits| Usage { cache_hits, ..Usage::default() };
        assert_eq!(post(&mut billing, 0, &event("web", hits(10))), 1000);
        assert_eq!(post(&mut billing, 0, &event("web", hits(1))), 550 - 1000);
        assert_eq!(post(&mut billing, 0, &event("web", hits(9))), 450);
    }

    #[test]
    fn a_factor_applies_to_what_its_request_adds_and_to_nothing_else() {
        let mut billing = billing(vec![(Metric::Requests, Price::package(100, 2))]);
        let normal = event("web", tokens(0, 0));
        let critical = Priced { priority: Priority::Critical, ..normal };
        assert_eq!(post(&mut billing, 0, &critical), 150); // begins a package
        assert_eq!(post(&mut billing, 0, &critical), 0);
        assert_eq!(post(&mut billing, 0, &normal), 100);
        assert_eq!(post(&mut billing, 0, &critical), 0);
    }

    #[test]
    fn an_invoice_adds_up_where_rounding_its_lines_would_not() {
        let prices = vec![
            (Metric::Requests, Price::unit(4_000_000, 1)),
            (Metric::InputTokens, Price::unit(1_000_000, 1)),
            (Metric::OutputTokens, Price::unit(2_000_000, 1)),
        ];
        let mut billing = billing(prices);
        // 0.4 cents, 0.4 cents and 0.4 cents: each alone would be nothing, the total is 1.2 cents.
        post(&mut billing, 0, &event("web", tokens(6, 2)));
        let invoice = billing.invoice("acme", 0);
        assert_eq!(minor(&invoice), (1, vec![1, 0, 0]));
        let naive = invoice.lines.iter().map(|line| {
            crate::oracle::money::half_even(&BigRational::new(line.nano.clone(), billing.minor_nano()))
        });
        assert_eq!(naive.sum::<BigInt>(), BigInt::from(0));
        // Another 0.6 cents for another service make 1.8.
        let mut six = tokens(0, 0);
        six.requests = 0;
        six.tokens = 6;
        post(&mut billing, 0, &event("mail", six));
        let invoice = billing.invoice("acme", 0);
        assert_eq!(minor(&invoice), (2, vec![1, 1, 0, 0]));
        assert_eq!(invoice.lines[0].service, "mail");
        assert_eq!(invoice.total_nano, BigInt::from(18_000_000));
    }

    #[test]
    fn tenants_services_and_schedules_are_kept_apart() {
        let mut billing = billing(vec![(Metric::Requests, Price::unit(10, 1))]);
        billing.set_schedule("zeta", Schedule { cycle: Cycle::DAILY, anchor_ns: 6 * 3600 * SECOND });
        let acme = event("web", tokens(0, 0));
        let zeta = Priced { tenant: "zeta", ..acme };
        for hour in 0..48 {
            post(&mut billing, hour * 3600 * SECOND, &acme);
            post(&mut billing, hour * 3600 * SECOND, &zeta);
        }
        assert_eq!(billing.invoice("acme", 0).total_nano, BigInt::from(480));
        let days: Vec<_> = [0, DAY, 2 * DAY].map(|at| billing.invoice("zeta", at).total_nano).into();
        assert_eq!(days, [60, 240, 180].map(BigInt::from));
        assert_eq!(billing.charged_periods().len(), 4);
        assert_eq!(billing.invoice("nobody", 0).total_minor, BigInt::from(0));
    }

    #[test]
    fn what_has_no_price_costs_nothing_and_has_no_line() {
        let model = CostModel {
            service: Pattern::Exact("web".to_owned()),
            prices: vec![(Metric::Bytes, Price::unit(1, 1))],
            multipliers: vec![],
        };
        let mut billing = Billing::new(vec![model], MONTHLY, 2);
        assert_eq!(billing.post(0, &event("web", tokens(5, 5))), []);
        assert_eq!(billing.post(0, &event("mail", bytes(5))), []);
        assert_eq!(billing.charged_periods(), []);
        assert_eq!(billing.minor_nano(), BigInt::from(10_000_000));
    }
}
