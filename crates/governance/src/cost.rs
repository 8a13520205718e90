//! What requests cost, who pays, and the invoices: exact to the last nano-unit.
//!
//! [`CostCollector`] holds the prices of services, an account for each tenant and each service, and for each pair of
//! them a tally of every metric in the tenant's open billing period. [`CostCollector::quote`] tells what a request
//! comes to, [`CostCollector::charge`] posts it, or [`CostCollector::charge_held`] sets it aside until
//! [`CostCollector::settle`] tells what was really used. The arithmetic of prices is in `price`, the two sides of every
//! amount in [`crate::ledger`], what happens at the end of a period in `billing`.
//!
//! **Exactness.** A tally charges the difference of its exact sum before and after, each rounded to nano-units, half to
//! even: the charges of a period sum to its exact cost, rounded once. Only an invoice is rounded to coins.
//!
//! **Periods.** A tenant's billing periods follow from its schedule. When one is over, its invoice is issued with the
//! first touch after it, and never changes. What is used in it but told later is a line of the next invoice.
//!
//! **Without a place.** What finds no account, service or tally of its own is charged all the same, under the name
//! [`OVERFLOW`]: totals are exact whatever is full, and it is visible. A request without a tenant is charged to
//! [`NOBODY`]. A service without a price is counted and costs nothing.

mod billing;
mod budget;

mod charge;
mod configure;
mod error;
mod events;
mod export;

mod model;
mod operate;
mod price;
mod report;
mod tenant;
#[cfg(test)]
mod tests;

pub use billing::{BillingEntry, InvoiceLine, LINES_PER_INVOICE_MAX, LineKind, Reason as LineReason};

pub use budget::{BUDGET_FIELDS, BudgetDraft, BudgetSpec};
pub use error::CostError;
pub use events::{EVENT_AGE_MAX, EventOutcome, UsageEvent};
pub use model::{ANY_SERVICE, CostMetric, CostModel, MODEL_FIELDS, MULTIPLIERS_MAX, ModelDraft, Multipliers};
pub use operate::CostAttribution;
pub use price::{COUNT_MAX, OutOfRange, PRICE_MAX, Price, PriceMode, TIERS_MAX, Tally};
pub use report::{CostAlert, DayCost, PairCost, Projection, ServiceCost, TenantCost};
pub use tenant::{
    ANY_TENANT, BILLING_FIELDS, BillingDraft, BillingSchedule, TENANT_FIELDS, TenantDraft, TenantSpec,
    TierName,
};

use crate::chained_table::{ChainedTable, Place};
use crate::ledger::Ledger;
use crate::money::{Currency, NanoUnits};
use crate::notice::Notices;
use crate::request::{HashedSubject, Request, Subject, Usage};
use crate::scope::{HashSecret, Name};
use crate::text::Text;
use crate::time::{Instant, Now, Period, WallTime};
use billing::Invoices;
use events::Events;

/// How many models there can be.
pub const MODELS_MAX: usize = 64;
/// How many services have an account of their own.
pub const SERVICES_MAX: usize = 256;
/// How many tenants can have a billing schedule of their own, with the one for all others.
pub const SCHEDULES_MAX: usize = 64;
/// How many days the cost of each day is kept for.
pub const DAYS_MAX: u32 = 31;
/// How many notices of alerts are kept.
pub const COST_NOTICES_MAX: usize = 64;
/// The tenant of requests without one.
pub const NOBODY: &str = "(none)";
/// The account of what has no place of its own.
pub const OVERFLOW: &str = "(overflow)";

/// The tallies of a tenant and a service: one for each metric.
type Tallies = [Tally; CostMetric::COUNT];

/// What is known of a tenant. What each charge looks at lies together, in the first lines of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Tenant {
    /// The open billing period; of no length before the first charge.
    period: Period,
    /// The one of its pairs that was charged last.
    latest: Place,
    /// What was charged in the open period, corrections included.
    cost: NanoUnits,
    /// What was charged ever.
    total: NanoUnits,
    /// Whether the alert of the open period was told.
    is_alerted: bool,
    days: Days,
    spec: TenantSpec,
    /// Whether it was declared, or came with a request.
    is_declared: bool,
    /// The last period before it in which anything was used, and whether there was one.
    past_period: Period,
    has_past: bool,
    /// What was told of periods that were invoiced before, and how often.
    late: NanoUnits,
    late_count: u64,
    /// When its account was opened.
    first: WallTime,
    /// Its invoices so far.
    invoices: u32,
    /// What is reserved and not settled.
    holds: u32,
    /// The first of its pairs, and of its corrections, plus one.
    pairs: u32,
    corrections: u32,
}

/// What is known of a service.
#[derive(Clone, Copy, Debug)]
struct Service {
    name: Name,
    /// The model that it goes by, plus one.
    model: u16,
    /// What was charged ever.
    total: NanoUnits,
    requests: u64,
}

/// A tenant and a service, and what was counted of them in the tenant's open period. What finds it and the
/// first two tallies fill two lines of a cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Pair {
    tenant_hash: u64,
    service_hash: u64,
    tenant: Place,
    service: Place,
    tallies: Tallies,
    /// How much there was of each metric in the period before.
    past: [u128; CostMetric::COUNT],
    /// The next pair of the same tenant, plus one.
    next: u32,
}

/// The cost of each of the last days.
#[derive(Clone, Copy, Debug)]
struct Days {
    /// The latest day that has a cost, in days since 1970, and how many are kept up to it.
    latest: u32,
    kept: u8,
    costs: [NanoUnits; DAYS_MAX as usize],
}

/// What a request comes to. It is used up by [`CostCollector::charge`] or [`CostCollector::charge_held`], or dropped; and
/// holds until the collector makes another one.
#[derive(Clone, Copy, Debug)]
#[must_use = "what was quoted is to be charged"]
pub struct Quote {
    /// What it comes to; none if the service has no price.
    amount: Option<NanoUnits>,
    now: WallTime,
    serial: u64,
}

impl Quote {
    /// What the request comes to; none if the service has no price.
    #[must_use]
    pub const fn amount(&self) -> Option<NanoUnits> {
        self.amount
    }
}

/// What is kept between a quote and its charge.
#[derive(Clone, Copy, Debug)]
struct Quoted {
    tenant: Name,
    tenant_hash: u64,
    service: Name,
    service_hash: u64,
    pair: Place,
    has_pair: bool,
    /// Whether there is no room for a pair.
    is_overflow: bool,
    model: usize,
    multiplier: u64,
    /// The tallies as they will be: those that change, one bit each.
    tallies: Tallies,
    changed: u8,
    requests: u64,
}

/// What a charge that is not certain yet is known by. All-zero for none.
#[derive(Clone, Copy, Debug)]
pub struct CostHold {
    tenant: Place,
    service: Place,
    pair: Place,
    /// Whether it has no pair of its own.
    is_overflow: bool,
    model: u16,
    multiplier: u64,
    period: WallTime,
    reserved: NanoUnits,
}

/// Whether the amounts that are priced are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// They are.
    Exact,
    /// They are not: tokens that are not said to be generated are priced at the dearer price of a token.
    Dearest,
}

/// How full the fixed structures are, and what was charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostStats {
    /// Tenants that have an account.
    pub tenants: usize,
    /// How many there can be.
    pub tenants_max: usize,
    /// Services that have an account.
    pub services: usize,
    /// How many there can be.
    pub services_max: usize,
    /// Pairs of tenant and service that are tallied.
    pub pairs: usize,
    /// How many there can be.
    pub pairs_max: usize,
    /// Models.
    pub models: usize,
    /// How many there can be.
    pub models_max: usize,
    /// Requests and events that were charged.
    pub charged: u64,
    /// Those whose service has no price.
    pub unpriced: u64,
    /// Those that were charged under [`OVERFLOW`], in whole or in part.
    pub overflow: u64,
    /// What was charged ever.
    pub total: NanoUnits,
    /// What is reserved and not settled.
    pub pending: NanoUnits,
    /// Invoices that were issued.
    pub invoices: u64,
    /// Those that are no longer kept.
    pub invoices_dropped: u64,
    /// Usage that was told after its period had been invoiced.
    pub late: u64,
    /// Events that were accepted.
    pub events: u64,
    /// Events that had been accepted before.
    pub events_repeated: u64,
    /// Events that were forgotten within 35 days of their coming, since others came: if they come again, they are charged
    /// again.
    pub dedupe_horizon: u64,
    /// Corrections that wait for an invoice.
    pub corrections: usize,
}

/// A tenant's cost has reached the amount that is worth an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostNotice {
    /// The tenant.
    pub tenant: Name,
    /// What it was charged in the open period.
    pub cost: NanoUnits,
    /// The amount of the alert.
    pub alert: NanoUnits,
    /// When.
    pub at: WallTime,
}

/// Prices, accounts and invoices of up to `TENANTS` tenants, and of as many pairs of tenant and service. All-zero when
/// empty.
#[derive(Debug)]
pub struct CostCollector<const TENANTS: usize> {
    secret: HashSecret,
    currency: Currency,
    /// Whether something else than prices and charges is in it.
    is_currency_adopted: bool,
    models: [CostModel; MODELS_MAX],
    models_length: usize,
    /// Open reservations that are priced by each model.
    model_holds: [u32; MODELS_MAX],
    /// What was counted without a pair, by the model that prices it.
    overflow: [Tallies; MODELS_MAX],
    schedules: [BillingSchedule; SCHEDULES_MAX],
    schedules_length: usize,
    tenants: ChainedTable<Tenant, TENANTS>,
    services: ChainedTable<Service, SERVICES_MAX>,
    pairs: ChainedTable<Pair, TENANTS>,
    ledger: Ledger<TENANTS, SERVICES_MAX>,
    invoices: Invoices<TENANTS>,
    events: Events<TENANTS>,
    days: Days,
    quoted: Quoted,
    serial: u64,
    /// The latest time that was seen: the clock of a collector never goes back.
    latest: Now,
    notices: Notices<CostNotice, COST_NOTICES_MAX>,
    counts: Counts,
    tick_hand: usize,
}

/// What is counted over everything.
#[derive(Clone, Copy, Debug)]
struct Counts {
    charged: u64,
    unpriced: u64,
    overflow: u64,
    late: u64,
    total: NanoUnits,
}

impl Counts {
    const ZERO: Self = Self { charged: 0, unpriced: 0, overflow: 0, late: 0, total: NanoUnits::ZERO };
}

impl Days {
    const EMPTY: Self = Self { latest: 0, kept: 0, costs: [NanoUnits::ZERO; DAYS_MAX as usize] };

    /// Adds to the cost of a day, which is never before the latest.
    #[inline]
    fn add(&mut self, day: u32, amount: NanoUnits) {
        if day != self.latest || self.kept == 0 {
            self.advance(day);
        }
        self.costs[slot_of(day)] += amount;
    }

    #[cold]
    fn advance(&mut self, day: u32) {
        let skipped = if self.kept == 0 { 1 } else { day.saturating_sub(self.latest) };
        let kept = u32::from(self.kept).saturating_add(skipped).min(DAYS_MAX);
        for back in 0..skipped.min(DAYS_MAX) {
            self.costs[slot_of(day.saturating_sub(back))] = NanoUnits::ZERO;
        }
        (self.latest, self.kept) = (day, u8::try_from(kept).unwrap_or(u8::MAX));
    }

    /// The days that are kept, oldest first.
    fn iter(&self) -> impl Iterator<Item = DayCost> + '_ {
        let first = (self.latest + 1).saturating_sub(self.kept.into());
        (first..=self.latest)
            .filter(|_| self.kept > 0)
            .map(|day| DayCost { day, cost: self.costs[slot_of(day)] })
    }
}

/// Nanoseconds in a day.
const DAY: u64 = 86_400_000_000_000;

/// Days since 1970; there are fewer than 2^18.
fn day_of(time: WallTime) -> u32 {
    u32::try_from(time.0 / DAY).unwrap_or(u32::MAX)
}

const fn slot_of(day: u32) -> usize {
    (day % DAYS_MAX) as usize
}

impl Tenant {
    const EMPTY: Self = Self {
        spec: TenantSpec::EMPTY,
        is_declared: false,
        period: Period { index: 0, start: WallTime(0), end: WallTime(0) },
        past_period: Period { index: 0, start: WallTime(0), end: WallTime(0) },
        has_past: false,
        cost: NanoUnits::ZERO,
        total: NanoUnits::ZERO,
        late: NanoUnits::ZERO,
        late_count: 0,
        first: WallTime(0),
        days: Days::EMPTY,
        latest: Place::ZERO,
        is_alerted: false,
        invoices: 0,
        holds: 0,
        pairs: 0,
        corrections: 0,
    };
}

impl Service {
    const EMPTY: Self = Self { name: Text::EMPTY, model: 0, total: NanoUnits::ZERO, requests: 0 };
}

impl Pair {
    const EMPTY: Self = Self {
        tenant_hash: 0,
        service_hash: 0,
        tenant: Place::ZERO,
        service: Place::ZERO,
        tallies: [Tally::ZERO; CostMetric::COUNT],
        past: [0; CostMetric::COUNT],
        next: 0,
    };
}

impl<const TENANTS: usize> Default for CostCollector<TENANTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// A collector without prices.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            secret: HashSecret { k0: 0, k1: 0 },
            currency: Currency::NONE,
            is_currency_adopted: false,
            models: [CostModel::EMPTY; MODELS_MAX],
            models_length: 0,
            model_holds: [0; MODELS_MAX],
            overflow: [[Tally::ZERO; CostMetric::COUNT]; MODELS_MAX],
            schedules: [BillingSchedule::EMPTY; SCHEDULES_MAX],
            schedules_length: 0,
            tenants: ChainedTable::new(Tenant::EMPTY),
            services: ChainedTable::new(Service::EMPTY),
            pairs: ChainedTable::new(Pair::EMPTY),
            ledger: Ledger::new(),
            invoices: Invoices::new(),
            events: Events::new(),
            days: Days::EMPTY,
            quoted: Quoted {
                tenant: Text::EMPTY,
                tenant_hash: 0,
                service: Text::EMPTY,
                service_hash: 0,
                pair: Place::ZERO,
                has_pair: false,
                is_overflow: false,
                model: 0,
                multiplier: 0,
                tallies: [Tally::ZERO; CostMetric::COUNT],
                changed: 0,
                requests: 0,
            },
            serial: 0,
            latest: Now { instant: Instant(0), wall: WallTime(0) },
            notices: Notices::new(CostNotice {
                tenant: Text::EMPTY,
                cost: NanoUnits::ZERO,
                alert: NanoUnits::ZERO,
                at: WallTime(0),
            }),
            counts: Counts::ZERO,
            tick_hand: 0,
        }
    }

    /// Forgets everything, in place, and takes a secret for hashing.
    pub fn reset(&mut self, secret: HashSecret) {
        self.secret = secret;
        (self.currency, self.is_currency_adopted) = (Currency::NONE, false);
        self.models_length = 0;
        self.model_holds.fill(0);
        self.overflow.fill([Tally::ZERO; CostMetric::COUNT]);
        self.schedules_length = 0;
        self.tenants.clear();
        self.services.clear();
        self.pairs.clear();
        self.ledger.clear();
        self.invoices.clear();
        self.events.clear();
        self.days = Days::EMPTY;
        self.serial = self.serial.wrapping_add(1);
        self.latest = Now::default();
        self.notices.clear();
        self.counts = Counts::ZERO;
        self.tick_hand = 0;
    }

    /// Hashes under another secret from now on, which comes before anything is configured or charged.
    ///
    /// # Panics
    /// If there are accounts or models already.
    pub fn set_secret(&mut self, secret: HashSecret) {
        assert!(self.tenants.len() == 0 && self.models_length == 0, "the secret comes first");
        self.secret = secret;
    }

    /// Tells what a request comes to. Nothing is charged; but where the tenant's billing period is over, its invoice is
    /// issued.
    ///
    /// # Errors
    /// [`OutOfRange`] if that cannot be computed in 128 bits.
    pub fn quote(
        &mut self,
        now: Now,
        request: &Request<'_>,
        usage: &Usage,
        estimate: Estimate,
    ) -> Result<Quote, OutOfRange> {
        let subject = Subject { request, group: None };
        self.quote_hashed(now, &HashedSubject::new(&subject, self.secret), usage, estimate)
    }

    /// As [`CostCollector::quote`], of a request whose keys may have been hashed already.
    #[inline]
    pub(crate) fn quote_hashed(
        &mut self,
        now: Now,
        hashed: &HashedSubject<'_>,
        usage: &Usage,
        estimate: Estimate,
    ) -> Result<Quote, OutOfRange> {
        self.serial = self.serial.wrapping_add(1);
        let now = self.monotonic(now);
        let Some(service) = hashed.subject.request.service.filter(|_| self.models_length > 0) else {
            return Ok(Quote { amount: None, now, serial: self.serial });
        };
        self.quote_service(now, service, hashed, usage, estimate)
    }
}
