//! Invoices: what is made of the tallies when a billing period is over.
//!
//! An invoice has a line for each service and metric that was charged, one for usage of earlier periods that was told
//! late, and one for each correction. Its total is the exact sum of the lines rounded to coins, half to even; the lines
//! are rounded so that they sum to it. An issued invoice is kept as it is; the oldest make room for the youngest.

use super::charge::name_of;
use super::{CostCollector, CostError, CostMetric, MODELS_MAX, OVERFLOW, Pair, Tally, Tenant};
use crate::chained_table::Place;
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::{Currency, NanoUnits, round_lines};
use crate::scope::{Kind, Name};
use crate::text::Text;
use crate::time::{Now, Period, Schedule, WallTime};

/// How many lines an invoice can have; what is beyond is summed up in its last one.
pub const LINES_PER_INVOICE_MAX: usize = 512;
/// Lines that are kept, for each tenant.
const LINES_PER_TENANT: usize = 4;
/// Invoices that are kept, for each tenant.
const INVOICES_PER_TENANT: usize = 2;

/// Why something was corrected, in the words of whoever did.
pub type Reason = Text<64>;

/// What a line of an invoice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Usage of the period, by metric.
    Usage(CostMetric),
    /// Usage of an earlier period that was told after its invoice: so often.
    LateUsage,
    /// A correction.
    Correction,
    /// What had no line of its own.
    Others,
}

/// One line of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// The service; empty for what is of several.
    pub service: Name,
    /// What it is for.
    pub kind: LineKind,
    /// How much of the metric was used; for late usage, how often.
    pub quantity: u128,
    /// What it comes to, exactly.
    pub amount: NanoUnits,
    /// The same in whole coins, so that the lines sum to the total.
    pub coins: i128,
    /// The reason of a correction.
    pub reason: Reason,
}

impl InvoiceLine {
    const EMPTY: Self = Self {
        service: Text::EMPTY,
        kind: LineKind::Usage(CostMetric::RequestCount),
        quantity: 0,
        amount: NanoUnits::ZERO,
        coins: 0,
        reason: Text::EMPTY,
    };
}

/// An invoice: what a tenant owes for a period. A draft of the open period is one that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingEntry {
    /// The tenant.
    pub tenant: Name,
    /// Whom the account belongs to; empty if to the tenant.
    pub organisation: Name,
    /// Which of the tenant's invoices it is, from 1; a draft has the number that it will be issued under.
    pub number: u32,
    /// The billing period.
    pub period: Period,
    /// In which currency.
    pub currency: Currency,
    /// The exact sum of its lines.
    pub exact: NanoUnits,
    /// What is owed: the exact sum rounded to coins, half to even.
    pub coins: i128,
    /// How many lines it has.
    pub lines: usize,
    /// Whether it was issued. It never changes then.
    pub invoice_ready: bool,
    /// Where its lines begin.
    first_line: usize,
}

impl BillingEntry {
    const EMPTY: Self = Self {
        tenant: Text::EMPTY,
        organisation: Text::EMPTY,
        number: 0,
        period: Period { index: 0, start: WallTime(0), end: WallTime(0) },
        currency: Currency::NONE,
        exact: NanoUnits::ZERO,
        coins: 0,
        lines: 0,
        invoice_ready: false,
        first_line: 0,
    };

    /// What is owed.
    #[must_use]
    pub fn total_cost(&self) -> NanoUnits {
        NanoUnits(self.coins * self.currency.coin())
    }

    /// The name of the invoice: tenant, first day and number.
    #[must_use]
    pub fn id(&self) -> Text<96> {
        let (date, _) = self.period.start.to_civil();
        let (year, month, day) = (date.year, date.month, date.day);
        let id = format_args!("{}-{year:04}{month:02}{day:02}-{}", self.tenant, self.number);
        // A name of 64 bytes, a date, and at most ten digits.
        Text::format(id).unwrap_or_default()
    }
}

/// A correction that waits for the next invoice.
#[derive(Clone, Copy, Debug)]
struct Correction {
    service: Name,
    amount: NanoUnits,
    reason: Reason,
    /// The next of the same tenant, or the next that is free, plus one.
    next: u32,
}

impl Correction {
    const EMPTY: Self = Self { service: Text::EMPTY, amount: NanoUnits::ZERO, reason: Text::EMPTY, next: 0 };
}

/// The invoices that were issued, the corrections that wait, and room for a draft. All-zero when empty.
#[derive(Debug)]
pub(super) struct Invoices<const TENANTS: usize> {
    entries: [[BillingEntry; INVOICES_PER_TENANT]; TENANTS],
    /// How many were ever issued; the last are in the ring.
    pub(super) issued: u64,
    /// The oldest that is kept.
    oldest: u64,
    lines: [[InvoiceLine; LINES_PER_TENANT]; TENANTS],
    /// Where the next line goes.
    next_line: usize,
    draft: [InvoiceLine; LINES_PER_INVOICE_MAX],
    draft_length: usize,
    corrections: [Correction; TENANTS],
    free: u32,
    touched: usize,
    pub(super) waiting: usize,
}

impl<const TENANTS: usize> Invoices<TENANTS> {
    const LINES: usize = LINES_PER_TENANT * TENANTS;
    const ENTRIES: u64 = (INVOICES_PER_TENANT * TENANTS) as u64;
    /// How many lines one invoice can have.
    const LINES_MAX: usize =
        if Self::LINES < LINES_PER_INVOICE_MAX { Self::LINES } else { LINES_PER_INVOICE_MAX };

    pub(super) const fn new() -> Self {
        Self {
            entries: [[BillingEntry::EMPTY; INVOICES_PER_TENANT]; TENANTS],
            issued: 0,
            oldest: 0,
            lines: [[InvoiceLine::EMPTY; LINES_PER_TENANT]; TENANTS],
            next_line: 0,
            draft: [InvoiceLine::EMPTY; LINES_PER_INVOICE_MAX],
            draft_length: 0,
            corrections: [Correction::EMPTY; TENANTS],
            free: 0,
            touched: 0,
            waiting: 0,
        }
    }

    pub(super) const fn clear(&mut self) {
        (self.issued, self.oldest, self.next_line, self.draft_length) = (0, 0, 0, 0);
        (self.free, self.touched, self.waiting) = (0, 0, 0);
    }

    /// How many invoices were issued and are no longer kept.
    pub(super) const fn dropped(&self) -> u64 {
        self.oldest
    }

    /// The invoices that are kept, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &BillingEntry> + '_ {
        (self.oldest..self.issued).map(|number| self.entry(number))
    }

    pub(super) fn lines(&self, entry: &BillingEntry) -> &[InvoiceLine] {
        if entry.invoice_ready {
            &self.lines.as_flattened()[entry.first_line..entry.first_line + entry.lines]
        } else {
            &self.draft[..entry.lines.min(self.draft_length)]
        }
    }

    fn entry(&self, number: u64) -> &BillingEntry {
        &self.entries.as_flattened()[Self::slot(number)]
    }

    fn slot(number: u64) -> usize {
        usize::try_from(number % Self::ENTRIES).unwrap_or(0)
    }

    fn add_draft_line(&mut self, line: InvoiceLine) {
        if self.draft_length < Self::LINES_MAX {
            self.draft[self.draft_length] = line;
            self.draft_length += 1;
            return;
        }
        let last = &mut self.draft[Self::LINES_MAX - 1];
        *last =
            InvoiceLine { kind: LineKind::Others, amount: last.amount + line.amount, ..InvoiceLine::EMPTY };
    }

    /// Keeps the draft as an issued invoice. Older ones that stand where its lines go are dropped.
    fn issue(&mut self, mut entry: BillingEntry) -> BillingEntry {
        let length = self.draft_length;
        // An invoice's lines lie side by side: where they do not fit before the end, they begin at the beginning.
        let first = if self.next_line + length <= Self::LINES { self.next_line } else { 0 };
        let skipped = if first == self.next_line { first..first } else { self.next_line..Self::LINES };
        while self.oldest < self.issued {
            let oldest = self.entry(self.oldest);
            let is_in = |range: &core::ops::Range<usize>| {
                oldest.first_line < range.end && range.start < oldest.first_line + oldest.lines
            };
            let is_full = self.issued - self.oldest == Self::ENTRIES;
            if !is_full && !is_in(&(first..first + length)) && !is_in(&skipped) {
                break;
            }
            self.oldest += 1;
        }
        (entry.first_line, entry.lines, entry.invoice_ready) = (first, length, true);
        self.lines.as_flattened_mut()[first..first + length].copy_from_slice(&self.draft[..length]);
        self.next_line = first + length;
        self.entries.as_flattened_mut()[Self::slot(self.issued)] = entry;
        self.issued += 1;
        entry
    }

    fn take_correction(&mut self) -> Option<usize> {
        let place = if let Some(place) = (self.free as usize).checked_sub(1) {
            self.free = self.corrections[place].next;
            place
        } else if self.touched < TENANTS {
            self.touched += 1;
            self.touched - 1
        } else {
            return None;
        };
        self.waiting += 1;
        Some(place)
    }

    /// Gives back the corrections of a tenant.
    fn release_corrections(&mut self, mut first: u32) {
        while let Some(place) = (first as usize).checked_sub(1) {
            let next = core::mem::replace(&mut self.corrections[place].next, self.free);
            (self.free, first) = (first, next);
            self.waiting -= 1;
        }
    }
}

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// Makes the invoice of a tenant's open period as it stands: a draft, until the period is over. Its lines are
    /// [`CostCollector::invoice_lines`], until another draft is made.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`].
    pub fn calculate_bill(&mut self, now: Now, tenant: &str) -> Result<BillingEntry, CostError> {
        let now = self.monotonic(now);
        let place = self.tenant(tenant)?;
        self.roll(place, now);
        Ok(self.draft(place))
    }

    /// The lines of an invoice that is kept, or of the draft that was made last.
    #[must_use]
    pub fn invoice_lines(&self, entry: &BillingEntry) -> &[InvoiceLine] {
        self.invoices.lines(entry)
    }

    /// The invoices that were issued, oldest first, as far as they are kept.
    pub fn invoices(&self) -> impl DoubleEndedIterator<Item = &BillingEntry> + '_ {
        self.invoices.iter()
    }

    /// A tenant's invoice by its number, from 1.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`] or [`CostError::UnknownInvoice`].
    pub fn invoice(&self, tenant: &str, number: u64) -> Result<BillingEntry, CostError> {
        let place = self.tenant(tenant)?;
        let issued = self.tenants.get(place).map_or(0, |tenant| tenant.invoices);
        let mut kept = self.invoices.iter();
        let is_it =
            |entry: &&BillingEntry| entry.tenant.as_str() == tenant && u64::from(entry.number) == number;
        kept.find(is_it).copied().ok_or(CostError::UnknownInvoice { issued })
    }

    /// Moves a tenant, or all of them, to the billing period of now: issues the invoices of periods that are over.
    /// Returns how many. This also happens by itself, when a tenant is touched.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`].
    pub fn reset_cost_window(&mut self, now: Now, tenant: Option<&str>) -> Result<u64, CostError> {
        let now = self.monotonic(now);
        let before = self.invoices.issued;
        if let Some(tenant) = tenant {
            let place = self.tenant(tenant)?;
            self.roll(place, now);
        } else {
            for index in 0..TENANTS {
                if let Some(place) = self.tenants.place(index) {
                    self.roll(place, now);
                }
            }
        }
        Ok(self.invoices.issued - before)
    }

    /// Issues the invoices of a few tenants whose periods are over. Nothing depends on it.
    pub fn tick(&mut self, now: Now) {
        const STEPS: usize = 32;
        let now = self.monotonic(now);
        for _ in 0..STEPS.min(TENANTS) {
            if let Some(place) = self.tenants.place(self.tick_hand) {
                self.roll(place, now);
            }
            self.tick_hand = (self.tick_hand + 1) % TENANTS;
        }
    }

    /// Corrects what was posted for a tenant and a service: a line of the next invoice.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`], [`CostError::UnknownService`], [`CostError::Zero`], [`CostError::OutOfRange`] or
    /// [`CostError::CorrectionsFull`].
    pub fn correct(
        &mut self,
        now: Now,
        tenant: &str,
        service: &str,
        amount: NanoUnits,
        reason: Reason,
    ) -> Result<(), CostError> {
        const AMOUNT_MAX: i128 = 1 << 100;
        let now = self.monotonic(now);
        let tenant = self.tenant(tenant)?;
        let service = self.service(service)?;
        if amount == NanoUnits::ZERO {
            return Err(CostError::Zero);
        }
        if amount.0.abs() >= AMOUNT_MAX || !self.ledger.has_room(amount) {
            return Err(CostError::OutOfRange);
        }
        self.roll(tenant, now);
        let place =
            self.invoices.take_correction().ok_or(CostError::CorrectionsFull { capacity: TENANTS })?;
        let name = self.services.get(service).map_or(Text::EMPTY, |service| service.name);
        let first = self.tenants.get(tenant).map_or(0, |tenant| tenant.corrections);
        self.invoices.corrections[place] = Correction { service: name, amount, reason, next: first };
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.corrections = u32::try_from(place + 1).unwrap_or(0);
        }
        let payer = super::charge::Payer { tenant, service, pair: None };
        self.post(now, PostingKind::Correction, payer, amount, 0);
        Ok(())
    }

    /// Brings a tenant to the billing period of `now`. One that is over is invoiced.
    #[inline]
    pub(super) fn roll(&mut self, place: Place, now: WallTime) {
        if self
            .tenants
            .get(place)
            .is_some_and(|tenant| now >= tenant.period.end && tenant.period.end.0 != u64::MAX)
        {
            self.close_period(place, now);
        }
    }

    #[cold]
    fn close_period(&mut self, place: Place, now: WallTime) {
        let entry = self.draft(place);
        if entry.lines > 0 {
            let entry = self.invoices.issue(entry);
            let number = place.number();
            let (receivable, invoiced) = (Account::Receivable(number), Account::Invoiced(number));
            let at = entry.period.end;
            let kind = PostingKind::Invoice;
            self.ledger.post(Posting { at, kind, debit: invoiced, credit: receivable, amount: entry.exact });
            let amount = entry.total_cost() - entry.exact;
            if amount != NanoUnits::ZERO {
                let kind = PostingKind::Rounding;
                self.ledger.post(Posting { at, kind, debit: invoiced, credit: Account::Rounding, amount });
            }
        }
        self.open_period(place, now, entry.lines > 0);
    }

    fn open_period(&mut self, place: Place, now: WallTime, was_invoiced: bool) {
        let Some(tenant) = self.tenants.get(place) else { return };
        let (corrections, name, ended) = (tenant.corrections, tenant.spec.name, tenant.period);
        self.invoices.release_corrections(corrections);
        let mut period = self.schedule_of(&name).period_at(now);
        // With another schedule, the first period begins where the last one of the old schedule ended.
        period.start = period.start.max(ended.end);
        let Some(tenant) = self.tenants.get_mut(place) else { return };
        tenant.period = period;
        (tenant.cost, tenant.late, tenant.late_count) = (NanoUnits::ZERO, NanoUnits::ZERO, 0);
        (tenant.is_alerted, tenant.corrections) = (false, 0);
        tenant.invoices += u32::from(was_invoiced);
        self.keep_past(place, ended);
        if name.as_str() == OVERFLOW {
            self.overflow.fill([Tally::ZERO; CostMetric::COUNT]);
        }
    }

    /// Keeps how much there was of each metric in a period that is over, if there was anything: usage of it that is told
    /// late is priced on top. Otherwise what is kept stays that of the last period in which there was, so that it does
    /// not matter how often a tenant is looked at.
    fn keep_past(&mut self, place: Place, ended: Period) {
        let first = self.tenants.get(place).map_or(0, |tenant| tenant.pairs);
        let mut has_usage = false;
        self.each_pair(first, |pair| has_usage |= pair.tallies.iter().any(|tally| tally.quantity > 0));
        if !has_usage {
            return;
        }
        self.each_pair(first, |pair| {
            pair.past = pair.tallies.map(|tally| tally.quantity);
            pair.tallies = [Tally::ZERO; CostMetric::COUNT];
        });
        if let Some(tenant) = self.tenants.get_mut(place) {
            (tenant.past_period, tenant.has_past) = (ended, true);
        }
    }

    fn each_pair(&mut self, mut link: u32, mut each: impl FnMut(&mut Pair)) {
        while let Some(place) = (link as usize).checked_sub(1).and_then(|index| self.pairs.place(index)) {
            let Some(pair) = self.pairs.get_mut(place) else { break };
            each(pair);
            link = pair.next;
        }
    }

    /// Makes the invoice of a tenant's open period as it stands.
    fn draft(&mut self, place: Place) -> BillingEntry {
        self.invoices.draft_length = 0;
        let Some(tenant) = self.tenants.get(place).copied() else { return BillingEntry::EMPTY };
        self.draft_usage(&tenant);
        if tenant.late_count > 0 {
            self.invoices.add_draft_line(InvoiceLine {
                kind: LineKind::LateUsage,
                quantity: tenant.late_count.into(),
                amount: tenant.late,
                ..InvoiceLine::EMPTY
            });
        }
        let mut link = tenant.corrections;
        while let Some(place) = (link as usize).checked_sub(1) {
            let Correction { service, amount, reason, next } = self.invoices.corrections[place];
            self.invoices.add_draft_line(InvoiceLine {
                service,
                kind: LineKind::Correction,
                amount,
                reason,
                ..InvoiceLine::EMPTY
            });
            link = next;
        }
        let (currency, length) = (self.currency, self.invoices.draft_length);
        let lines = &mut self.invoices.draft[..length];
        let exact: NanoUnits = lines.iter().map(|line| line.amount).sum();
        assert!(exact == tenant.cost, "the lines of an invoice are what was charged");
        let coins = round_lines(lines, currency.coin(), |line| line.amount, |line| &mut line.coins);
        BillingEntry {
            tenant: tenant.spec.name,
            organisation: tenant.spec.organisation,
            number: tenant.invoices + 1,
            period: tenant.period,
            currency,
            exact,
            coins,
            lines: length,
            invoice_ready: false,
            first_line: 0,
        }
    }

    fn draft_usage(&mut self, tenant: &Tenant) {
        let mut pairs = tenant.pairs;
        while let Some(place) = (pairs as usize).checked_sub(1).and_then(|index| self.pairs.place(index)) {
            let Some(pair) = self.pairs.get(place) else { break };
            let service = self.services.get(pair.service).map_or(Text::EMPTY, |service| service.name);
            let model = self.services.get(pair.service).map_or(0, |service| service.model);
            let (tallies, next) = (pair.tallies, pair.next);
            self.draft_tallies(service, usize::from(model).checked_sub(1), &tallies);
            pairs = next;
        }
        if tenant.spec.name.as_str() == OVERFLOW {
            for model in 0..MODELS_MAX.min(self.models_length) {
                // What a model that is gone has charged is still there.
                let service = Some(self.models[model].service).filter(|service| !service.is_empty());
                let (service, tallies) = (service.unwrap_or(tenant.spec.name), self.overflow[model]);
                self.draft_tallies(service, Some(model), &tallies);
            }
        }
    }

    fn draft_tallies(&mut self, service: Name, model: Option<usize>, tallies: &super::Tallies) {
        for (metric, tally) in CostMetric::ALL.into_iter().zip(tallies) {
            let is_priced = model.is_some_and(|model| self.models[model].price(metric).is_some());
            if tally.charged != NanoUnits::ZERO || is_priced && tally.quantity > 0 {
                self.invoices.add_draft_line(InvoiceLine {
                    service,
                    kind: LineKind::Usage(metric),
                    quantity: tally.quantity,
                    amount: tally.charged,
                    ..InvoiceLine::EMPTY
                });
            }
        }
    }

    /// The schedule that a tenant is billed by.
    pub(super) fn schedule_of(&self, tenant: &Name) -> Schedule {
        let schedules = &self.schedules[..self.schedules_length];
        let of = |name: &str| schedules.iter().find(|billing| billing.tenant.as_str() == name);
        of(tenant.as_str())
            .or_else(|| of(super::ANY_TENANT))
            .map_or(Schedule::CALENDAR_MONTHS, |billing| billing.schedule)
    }

    /// The place of a tenant that is known.
    pub(super) fn tenant(&self, name: &str) -> Result<Place, CostError> {
        self.find_tenant(name, self.hash(Kind::Tenant, name))
            .ok_or(CostError::UnknownTenant { tenant: name_of(name) })
    }

    /// The place of a service that is known.
    pub(super) fn service(&self, name: &str) -> Result<Place, CostError> {
        self.find_service(name, self.hash(Kind::Service, name))
            .ok_or(CostError::UnknownService { service: name_of(name) })
    }
}
