//! The way of a charge: quote, post or set aside, settle. Nothing here is searched for.

use super::price::MULTIPLIER_ONE;
use super::{
    ANY_SERVICE, CostCollector, CostHold, CostMetric, CostModel, CostNotice, Estimate, OVERFLOW, OutOfRange,
    Pair, Quote, Quoted, SERVICES_MAX, Service, Tallies, Tally, Tenant, TenantSpec, day_of,
};
use crate::chained_table::Place;
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::NanoUnits;
use crate::request::{HashedSubject, Usage};
use crate::scope::{KeyName, Kind, Name, NameRef};
use crate::text::Text;
use crate::time::{Now, WallTime};

/// Whose account an amount is charged to, and which tallies count it.
#[derive(Clone, Copy)]
pub(super) struct Payer {
    pub(super) tenant: Place,
    pub(super) service: Place,
    /// None for what is counted with its model, under [`OVERFLOW`].
    pub(super) pair: Option<Place>,
}

impl<const TENANTS: usize> CostCollector<TENANTS> {
    pub(super) fn quote_service(
        &mut self,
        now: WallTime,
        service: NameRef<'_>,
        hashed: &HashedSubject<'_>,
        usage: &Usage,
        estimate: Estimate,
    ) -> Result<Quote, OutOfRange> {
        let unpriced = Quote { amount: None, now, serial: self.serial };
        let request = hashed.subject.request;
        let tenant = request.tenant.unwrap_or(NameRef::NOBODY);
        let nobody = || self.secret.hash(Kind::Tenant, KeyName::Text(NameRef::NOBODY));
        let tenant_hash = hashed.hash(&self.secret, Kind::Tenant).unwrap_or_else(nobody).0;
        let (pair, service_hash) = match self.latest_pair(tenant_hash, service) {
            // The hash is what a pair is made with.
            Some(latest) => (Some(latest), 0),
            None => {
                let service_hash = hashed.hash(&self.secret, Kind::Service).map_or(0, |hash| hash.0);
                (self.find_pair(tenant_hash, service_hash), service_hash)
            }
        };
        // Where there is no pair yet, the names are needed to make one.
        let (model, tenant_place) = if let Some(pair) = pair.and_then(|place| self.pairs.get(place)) {
            (self.services.get(pair.service).map_or(0, |service| service.model), Some(pair.tenant))
        } else {
            self.quoted.tenant = tenant.to_name();
            self.quoted.service = service.to_name();
            (self.model_of(service.as_str(), service_hash), self.find_tenant(tenant.as_str(), tenant_hash))
        };
        let Some(number) = usize::from(model).checked_sub(1) else { return Ok(unpriced) };
        if let Some(place) = tenant_place {
            self.roll(place, now);
        }
        let is_overflow =
            pair.is_none() && self.lacks_room(tenant_place.is_some(), service_hash, service.as_str());
        let model = &self.models[number];
        self.quoted.multiplier = if model.multipliers.is_empty() {
            MULTIPLIER_ONE
        } else {
            let tenant = tenant_place.and_then(|place| self.tenants.get(place));
            let tier = tenant.map_or("", |tenant| tenant.spec.tier.as_str());
            model.multipliers.product(tier, request.method.map_or("", NameRef::as_str))
        };
        let before = match pair.and_then(|place| self.pairs.get(place)) {
            Some(pair) => &pair.tallies,
            None if is_overflow => &self.overflow[number],
            None => &[Tally::ZERO; CostMetric::COUNT],
        };
        let estimated = if estimate == Estimate::Dearest { dearest(model, usage) } else { *usage };
        let quoted = &mut self.quoted;
        quoted.changed = 0;
        let amount = advance(model, before, &estimated, quoted.multiplier, |metric, tally| {
            quoted.tallies[metric] = tally;
            quoted.changed |= 1 << metric;
        })?;
        if !self.ledger.has_room(amount) {
            return Err(OutOfRange);
        }
        (quoted.tenant_hash, quoted.service_hash) = (tenant_hash, service_hash);
        (quoted.pair, quoted.has_pair, quoted.is_overflow) =
            (pair.unwrap_or(Place::ZERO), pair.is_some(), is_overflow);
        (quoted.model, quoted.requests) = (number, usage.requests);
        Ok(Quote { amount: Some(amount), now, serial: self.serial })
    }

    /// Posts what was quoted. Returns the amount, if there is a price.
    ///
    /// # Panics
    /// If another quote was made since.
    pub fn charge(&mut self, quote: Quote) -> Option<NanoUnits> {
        let amount = self.take_quote(&quote)?;
        let payer = self.payer(quote.now);
        let Quoted { model, requests, mut changed, .. } = self.quoted;
        let tallies = match payer.pair.and_then(|place| self.pairs.get_mut(place)) {
            Some(pair) => &mut pair.tallies,
            None => &mut self.overflow[model],
        };
        while changed != 0 {
            let metric = changed.trailing_zeros() as usize;
            tallies[metric] = self.quoted.tallies[metric];
            changed &= changed - 1;
        }
        self.post_usage(quote.now, payer, amount, requests);
        Some(amount)
    }

    /// Sets aside what was quoted, until it is settled. None if there is no price.
    ///
    /// # Panics
    /// If another quote was made since.
    pub fn charge_held(&mut self, quote: Quote) -> Option<CostHold> {
        let amount = self.take_quote(&quote)?;
        let payer = self.payer(quote.now);
        // A price that falls with a tier can come to less than nothing, which nobody has to set aside.
        let reserved = NanoUnits(amount.0.max(0));
        self.ledger.reserve(receivable(payer), revenue(payer), reserved);
        let model = self.quoted.model;
        self.model_holds[model] += 1;
        let tenant = self.tenants.get_mut(payer.tenant)?;
        tenant.holds += 1;
        Some(CostHold {
            tenant: payer.tenant,
            service: payer.service,
            pair: payer.pair.unwrap_or(Place::ZERO),
            is_overflow: payer.pair.is_none(),
            model: u16::try_from(model).unwrap_or(0),
            multiplier: self.quoted.multiplier,
            period: tenant.period.start,
            reserved,
        })
    }

    fn take_quote(&mut self, quote: &Quote) -> Option<NanoUnits> {
        assert!(quote.serial == self.serial, "the quote is outdated: another one came after it");
        self.counts.unpriced += u64::from(quote.amount.is_none());
        quote.amount
    }

    /// What `usage` would come to, if a hold was settled with it now.
    ///
    /// # Errors
    /// [`OutOfRange`] if that cannot be computed in 128 bits.
    pub fn price_of(&mut self, now: Now, hold: &CostHold, usage: &Usage) -> Result<NanoUnits, OutOfRange> {
        let now = self.monotonic(now);
        self.roll(hold.tenant, now);
        let amount = if self.is_of_open_period(hold) {
            let model = &self.models[usize::from(hold.model)];
            advance(model, &self.tallies_before(hold), usage, hold.multiplier, |_, _| {})?
        } else {
            self.late_price(hold, usage)?
        };
        if self.ledger.has_room(amount) { Ok(amount) } else { Err(OutOfRange) }
    }

    /// Posts what was really used of what was set aside. It belongs to the period in which it was set aside: if that
    /// was invoiced since, it becomes a line of the next invoice. Returns what was posted.
    ///
    /// # Panics
    /// If it cannot be computed: [`CostCollector::price_of`] tells.
    pub fn settle(&mut self, now: Now, hold: &CostHold, usage: &Usage) -> NanoUnits {
        let now = self.monotonic(now);
        self.roll(hold.tenant, now);
        self.give_back(hold);
        let pair = (!hold.is_overflow).then_some(hold.pair);
        let payer = Payer { tenant: hold.tenant, service: hold.service, pair };
        let number = usize::from(hold.model);
        if !self.is_of_open_period(hold) {
            let amount = self.late_price(hold, usage).expect("a price that was asked for before");
            self.note_past_usage(hold, usage);
            self.post_late(now, payer, amount);
            return amount;
        }
        let before = self.tallies_before(hold);
        let is_own = self.is_priced_as_counted(hold);
        // Not by a function of the whole: the model, which is large, would have to be copied.
        let after = match pair.and_then(|place| self.pairs.get_mut(place)) {
            Some(pair) => &mut pair.tallies,
            None => &mut self.overflow[number],
        };
        let change = |metric, tally: Tally| after[metric] = if is_own { tally } else { tally.repriced() };
        let amount = advance(&self.models[number], &before, usage, hold.multiplier, change)
            .expect("a price that was asked for before");
        self.post_usage(now, payer, amount, usage.requests);
        amount
    }

    /// Gives back what was set aside: nothing was used.
    pub fn void(&mut self, hold: &CostHold) {
        self.give_back(hold);
    }

    fn give_back(&mut self, hold: &CostHold) {
        let payer = Payer { tenant: hold.tenant, service: hold.service, pair: None };
        self.ledger.reserve(receivable(payer), revenue(payer), -hold.reserved);
        self.model_holds[usize::from(hold.model)] -= 1;
        if let Some(tenant) = self.tenants.get_mut(hold.tenant) {
            tenant.holds -= 1;
        }
    }

    fn is_of_open_period(&self, hold: &CostHold) -> bool {
        self.tenants.get(hold.tenant).is_some_and(|tenant| tenant.period.start == hold.period)
    }

    /// Whether the model that a hold is priced by is the one that its tallies are counted with.
    fn is_priced_as_counted(&self, hold: &CostHold) -> bool {
        let model = self.services.get(hold.service).map_or(0, |service| service.model);
        hold.is_overflow || model == hold.model + 1
    }

    /// The tallies that a hold is settled on top of. A remainder is in parts of the model that counts them, which
    /// another one does not know.
    fn tallies_before(&self, hold: &CostHold) -> Tallies {
        let tallies = match self.pairs.get(hold.pair).filter(|_| !hold.is_overflow) {
            Some(pair) => &pair.tallies,
            None => &self.overflow[usize::from(hold.model)],
        };
        if self.is_priced_as_counted(hold) { *tallies } else { tallies.map(|tally| tally.repriced()) }
    }

    /// What usage of a past period comes to: on top of what that period had, if it is the last one, rounded by
    /// itself.
    fn late_price(&self, hold: &CostHold, usage: &Usage) -> Result<NanoUnits, OutOfRange> {
        let model = &self.models[usize::from(hold.model)];
        let before = self.past_tallies(hold);
        advance(model, &before, usage, hold.multiplier, |_, _| {})
    }

    /// How much there was of each metric in the hold's period, as far as it is known.
    fn past_tallies(&self, hold: &CostHold) -> Tallies {
        let mut tallies = [Tally::ZERO; CostMetric::COUNT];
        let is_last = self
            .tenants
            .get(hold.tenant)
            .is_some_and(|tenant| tenant.has_past && tenant.past_period.start == hold.period);
        if let Some(pair) = self.pairs.get(hold.pair).filter(|_| is_last && !hold.is_overflow) {
            for (tally, &quantity) in tallies.iter_mut().zip(&pair.past) {
                tally.quantity = quantity;
            }
        }
        tallies
    }

    fn note_past_usage(&mut self, hold: &CostHold, usage: &Usage) {
        let is_last = self
            .tenants
            .get(hold.tenant)
            .is_some_and(|tenant| tenant.has_past && tenant.past_period.start == hold.period);
        if let Some(pair) = self.pairs.get_mut(hold.pair).filter(|_| is_last && !hold.is_overflow) {
            for (metric, past) in CostMetric::ALL.into_iter().zip(&mut pair.past) {
                *past = past.saturating_add(metric.amount(usage).into());
            }
        }
    }

    /// Posts what was used in the open period.
    fn post_usage(&mut self, now: WallTime, payer: Payer, amount: NanoUnits, requests: u64) {
        self.post(now, PostingKind::Usage, payer, amount, requests);
        self.counts.charged += 1;
        self.counts.overflow += u64::from(payer.pair.is_none());
    }

    /// Posts what was used in a period that was invoiced before: a line of the next invoice.
    pub(super) fn post_late(&mut self, now: WallTime, payer: Payer, amount: NanoUnits) {
        self.post(now, PostingKind::LateUsage, payer, amount, 0);
        if let Some(tenant) = self.tenants.get_mut(payer.tenant) {
            tenant.late += amount;
            tenant.late_count += 1;
        }
        self.counts.late += 1;
    }

    /// Posts what requests came to to the accounts of a tenant and a service, and to everything that sums it up.
    #[inline]
    pub(super) fn post(
        &mut self,
        now: WallTime,
        kind: PostingKind,
        payer: Payer,
        amount: NanoUnits,
        requests: u64,
    ) {
        self.ledger.post(Posting { at: now, kind, debit: receivable(payer), credit: revenue(payer), amount });
        let day = day_of(now);
        self.days.add(day, amount);
        self.counts.total += amount;
        if let Some(service) = self.services.get_mut(payer.service) {
            service.total += amount;
            service.requests = service.requests.saturating_add(requests);
        }
        let Some(tenant) = self.tenants.get_mut(payer.tenant) else { return };
        if let Some(pair) = payer.pair {
            tenant.latest = pair;
        }
        tenant.days.add(day, amount);
        tenant.cost += amount;
        tenant.total += amount;
        if tenant.spec.alert.amount.0 != 0 && !tenant.is_alerted && tenant.cost >= tenant.spec.alert.amount {
            tenant.is_alerted = true;
            let (name, cost, alert) = (tenant.spec.name, tenant.cost, tenant.spec.alert.amount);
            self.notices.push(CostNotice { tenant: name, cost, alert, at: now });
        }
    }

    /// The payer of what was quoted. Who was not known yet gets an account.
    #[inline]
    fn payer(&mut self, now: WallTime) -> Payer {
        if self.quoted.has_pair
            && let Some(pair) = self.pairs.get(self.quoted.pair)
        {
            return Payer { tenant: pair.tenant, service: pair.service, pair: Some(self.quoted.pair) };
        }
        self.new_payer(now)
    }

    #[cold]
    fn new_payer(&mut self, now: WallTime) -> Payer {
        let (tenant_hash, service_hash) = (self.quoted.tenant_hash, self.quoted.service_hash);
        let (tenant_name, service_name) = (self.quoted.tenant, self.quoted.service);
        if self.quoted.is_overflow {
            let tenant = self.adopt_tenant(now, OVERFLOW, self.hash(Kind::Tenant, OVERFLOW));
            return Payer {
                tenant,
                service: self.adopt_service(service_name.as_str(), service_hash),
                pair: None,
            };
        }
        let tenant = self.adopt_tenant(now, tenant_name.as_str(), tenant_hash);
        let service = self.adopt_service(service_name.as_str(), service_hash);
        let first = self.tenants.get(tenant).map_or(0, |tenant| tenant.pairs);
        let fresh = Pair { tenant_hash, service_hash, tenant, service, next: first, ..Pair::EMPTY };
        // The quote has seen that there is room.
        let pair = self.pairs.insert(pair_hash(tenant_hash, service_hash), fresh).ok();
        if let (Some(pair), Some(tenant)) = (pair, self.tenants.get_mut(tenant)) {
            if tenant.pairs == 0 {
                tenant.first = now;
            }
            tenant.pairs = link(pair);
        }
        Payer { tenant, service, pair }
    }

    /// Whether there is no room for the pair of a tenant and a service, or for their accounts.
    #[cold]
    fn lacks_room(&self, has_tenant: bool, service_hash: u64, service: &str) -> bool {
        let tenants = has_tenant || self.tenants.len() + 1 < TENANTS;
        let services =
            self.find_service(service, service_hash).is_some() || self.services.len() + 1 < SERVICES_MAX;
        self.pairs.is_full() || !tenants || !services
    }

    /// The account of a tenant; one that is not known gets one, or else the overflow account, for which there is
    /// always a place.
    pub(super) fn adopt_tenant(&mut self, now: WallTime, name: &str, hash: u64) -> Place {
        if let Some(place) = self.find_tenant(name, hash) {
            return place;
        }
        let (name, hash) = if self.tenants.len() + 1 < TENANTS || name == OVERFLOW {
            (name, hash)
        } else {
            (OVERFLOW, self.hash(Kind::Tenant, OVERFLOW))
        };
        if let Some(place) = self.find_tenant(name, hash) {
            return place;
        }
        let spec = TenantSpec { name: Text::excerpt(name), ..TenantSpec::EMPTY };
        let period = self.schedule_of(&spec.name).period_at(now);
        let tenant = Tenant { spec, period, first: now, ..Tenant::EMPTY };
        self.tenants.insert(hash, tenant).unwrap_or(Place::ZERO)
    }

    /// The account of a service, as of a tenant.
    pub(super) fn adopt_service(&mut self, name: &str, hash: u64) -> Place {
        if let Some(place) = self.find_service(name, hash) {
            return place;
        }
        let (name, hash) = if self.services.len() + 1 < SERVICES_MAX || name == OVERFLOW {
            (name, hash)
        } else {
            (OVERFLOW, self.hash(Kind::Service, OVERFLOW))
        };
        if let Some(place) = self.find_service(name, hash) {
            return place;
        }
        let model = self.model_named(name);
        let service = Service { name: Text::excerpt(name), model, ..Service::EMPTY };
        self.services.insert(hash, service).unwrap_or(Place::ZERO)
    }

    /// The pair that was charged last of a tenant, if it is with this service: most requests of a tenant are for the
    /// service of the one before, and are spared the hash of its name.
    #[inline]
    fn latest_pair(&self, tenant_hash: u64, service: NameRef<'_>) -> Option<Place> {
        let place = self.tenants.find(tenant_hash, |tenant| {
            let pair = self.pairs.get(tenant.latest).filter(|pair| pair.tenant_hash == tenant_hash);
            let known = pair.and_then(|pair| self.services.get(pair.service));
            known.is_some_and(|known| known.name.is(service.as_str()))
        })?;
        self.tenants.get(place).map(|tenant| tenant.latest)
    }

    pub(super) fn find_pair(&self, tenant_hash: u64, service_hash: u64) -> Option<Place> {
        self.pairs.find(pair_hash(tenant_hash, service_hash), |pair| {
            pair.tenant_hash == tenant_hash && pair.service_hash == service_hash
        })
    }

    pub(super) fn find_tenant(&self, name: &str, hash: u64) -> Option<Place> {
        self.tenants.find(hash, |tenant| tenant.spec.name.as_str() == name)
    }

    pub(super) fn find_service(&self, name: &str, hash: u64) -> Option<Place> {
        self.services.find(hash, |service| service.name.as_str() == name)
    }

    /// The model of a service, plus one; 0 if it has none.
    fn model_of(&self, name: &str, hash: u64) -> u16 {
        match self.find_service(name, hash).and_then(|place| self.services.get(place)) {
            Some(service) => service.model,
            None => self.model_named(name),
        }
    }

    /// The model with a service's name, or else the one for any service, plus one.
    pub(super) fn model_named(&self, name: &str) -> u16 {
        let models = &self.models[..self.models_length];
        let named = |wanted: &str| models.iter().position(|model| model.service.as_str() == wanted);
        let found = named(name).or_else(|| named(ANY_SERVICE));
        found.map_or(0, |number| u16::try_from(number + 1).unwrap_or(0))
    }

    pub(super) fn hash(&self, kind: Kind, name: &str) -> u64 {
        // Names come out of requests and texts of their length: none is empty or too long.
        NameRef::new(name).map_or(0, |name| self.secret.hash(kind, KeyName::Text(name)).0)
    }

    /// Uses the time as it is given, unless it went back.
    pub(super) fn monotonic(&mut self, now: Now) -> WallTime {
        self.latest.instant = self.latest.instant.max(now.instant);
        self.latest.wall = self.latest.wall.max(now.wall);
        self.latest.wall
    }
}

/// Takes tallies past what was used, at the prices of a model. Calls `change` with the number and the tally of each
/// metric of which there was any, and returns what it comes to.
#[inline]
pub(super) fn advance(
    model: &CostModel,
    before: &Tallies,
    usage: &Usage,
    multiplier: u64,
    mut change: impl FnMut(usize, Tally),
) -> Result<NanoUnits, OutOfRange> {
    let mut amount = NanoUnits::ZERO;
    let amounts = CostMetric::amounts(usage);
    // By a mask of those of which there is any: a loop over all of them was measured to be slower for the usual two.
    let set = |set, number| set | u8::from(amounts[number] != 0) << number;
    let mut pending = (0..CostMetric::COUNT).fold(0_u8, set);
    while pending != 0 {
        let number = pending.trailing_zeros() as usize;
        pending &= pending - 1;
        let (metric, count) = (CostMetric::ALL[number], amounts[number]);
        let (price, before) = (model.price(metric), &before[number]);
        // Each case by itself: one tally out of several would go through memory.
        let charge = if let Some(after) = before.after_flat(price, metric.scale(), count, multiplier) {
            change(number, after);
            after.charged.0 - before.charged.0
        } else if price.is_some() {
            let after = before.after_any(price, metric.scale(), count, multiplier)?;
            change(number, after);
            after.charged.0.checked_sub(before.charged.0).ok_or(OutOfRange)?
        } else {
            // What has no price is counted all the same, for whoever looks.
            change(number, before.counted(count));
            continue;
        };
        amount = NanoUnits(amount.0.checked_add(charge).ok_or(OutOfRange)?);
    }
    Ok(amount)
}

/// The dearest that the usage can turn out: tokens that are not said to be generated could be.
fn dearest(model: &CostModel, usage: &Usage) -> Usage {
    let (input, output) = (model.per_input_token.dearest(), model.per_output_token.dearest());
    // input/count < output/count, by cross-multiplication.
    let is_output_dearer =
        i128::from(input.0) * i128::from(output.1) < i128::from(output.0) * i128::from(input.1);
    Usage { output_tokens: if is_output_dearer { usage.tokens } else { usage.output_tokens }, ..*usage }
}

const fn receivable(payer: Payer) -> Account {
    Account::Receivable(payer.tenant.number())
}

const fn revenue(payer: Payer) -> Account {
    Account::Revenue(payer.service.number())
}

pub(super) fn pair_hash(tenant_hash: u64, service_hash: u64) -> u64 {
    // Each is keyed; turned against each other, so that a pair of equal ones is not the pair of any other.
    tenant_hash ^ service_hash.rotate_left(32)
}

/// A place as it is linked, plus one.
pub(super) fn link(place: Place) -> u32 {
    place.number() + 1
}

/// The excerpt of a name that is not longer than one.
pub(super) fn name_of(text: &str) -> Name {
    Text::excerpt(text)
}
