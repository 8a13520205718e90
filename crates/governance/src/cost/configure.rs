//! Models, tenants and schedules, one by one or all at once. Nothing here is on the way of a request.

use super::charge::name_of;
use super::{
    BillingSchedule, CostCollector, CostError, CostModel, MODELS_MAX, SCHEDULES_MAX, Tenant, TenantSpec,
};
use crate::chained_table::Place;
use crate::ledger::Account;
use crate::money::Currency;
use crate::request::HashedSubject;
use crate::scope::Kind;
use crate::time::{Now, Period};

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// Sets the prices of a service, from now on. What was charged stays charged, and what was counted counts on, for
    /// tiers too.
    ///
    /// # Errors
    /// [`CostError::Model`], [`CostError::Currency`] or [`CostError::ModelsFull`].
    pub fn define_cost_model(&mut self, model: &CostModel) -> Result<(), CostError> {
        model.check().map_err(CostError::Model)?;
        self.check_currency(model.currency())?;
        let slot = self.model_slot(model.service.as_str()).or_else(|| self.free_model());
        let slot = slot.ok_or(CostError::ModelsFull)?;
        self.currency = model.currency();
        self.put_model(slot, model);
        self.assign_models();
        Ok(())
    }

    /// Removes the prices of a service.
    ///
    /// # Errors
    /// [`CostError::UnknownModel`], or [`CostError::InUse`] while what it has charged is not invoiced or settled.
    pub fn remove_cost_model(&mut self, service: &str) -> Result<(), CostError> {
        let unknown = CostError::UnknownModel { service: name_of(service) };
        let slot = self.model_slot(service).ok_or(unknown)?;
        if self.model_holds[slot] > 0 || self.has_charges_by(slot) {
            return Err(CostError::InUse { name: name_of(service) });
        }
        self.models[slot] = CostModel::EMPTY;
        self.assign_models();
        Ok(())
    }

    /// Whether anything has a price.
    #[must_use]
    pub const fn has_prices(&self) -> bool {
        self.models_length > 0
    }

    /// The prices, in the order of their definition.
    pub fn models(&self) -> impl Iterator<Item = &CostModel> + '_ {
        self.models[..self.models_length].iter().filter(|model| !model.service.is_empty())
    }

    /// The currency of the books; [`Currency::NONE`] before there is a price.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Keeps the books in a currency from now on, if they are not in another one, as for a budget: no price changes it
    /// until the next configuration. [`Currency::NONE`] leaves them as they are.
    ///
    /// # Errors
    /// [`CostError::Currency`].
    pub fn adopt_currency(&mut self, currency: Currency) -> Result<(), CostError> {
        self.check_currency(currency)?;
        if !currency.is_none() {
            (self.currency, self.is_currency_adopted) = (currency, true);
        }
        Ok(())
    }

    /// Declares a tenant, or changes what is declared. One that is not declared gets an account with its first request.
    ///
    /// # Errors
    /// [`CostError::TenantsFull`], or [`CostError::Currency`] if its alert is in another currency.
    pub fn declare_tenant(&mut self, now: Now, spec: &TenantSpec) -> Result<(), CostError> {
        let now = self.monotonic(now);
        let name = spec.name.as_str();
        let hash = self.hash(Kind::Tenant, name);
        if self.find_tenant(name, hash).is_none() && self.tenants.len() + 1 >= TENANTS {
            return Err(CostError::TenantsFull { capacity: TENANTS - 1 });
        }
        self.adopt_currency(spec.alert.currency)?;
        let place = self.adopt_tenant(now, name, hash);
        if let Some(tenant) = self.tenants.get_mut(place) {
            tenant.is_alerted &= tenant.spec.alert == spec.alert;
            (tenant.spec, tenant.is_declared) = (*spec, true);
        }
        Ok(())
    }

    /// Removes a tenant that was never charged, or forgets what is declared of one.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`], or [`CostError::InUse`] if it has an account with charges or reservations.
    pub fn remove_tenant(&mut self, name: &str) -> Result<(), CostError> {
        let place = self.tenant(name)?;
        if self.is_used(place) {
            return Err(CostError::InUse { name: name_of(name) });
        }
        self.tenants.remove(place);
        Ok(())
    }

    /// Whether a tenant has charges or reservations.
    fn is_used(&self, place: Place) -> bool {
        self.tenants.get(place).is_some_and(|tenant| tenant.holds > 0 || tenant.pairs != 0)
            || !self.ledger.balance(Account::Receivable(place.number())).is_untouched()
    }

    /// The tenants that are declared, in the order of their coming.
    pub fn declared_tenants(&self) -> impl Iterator<Item = &TenantSpec> + '_ {
        self.tenants.iter().filter(|(_, tenant)| tenant.is_declared).map(|(_, tenant)| &tenant.spec)
    }

    /// The weight of the tenant of a request beside other tenants; 1 if it is not declared.
    pub(crate) fn weight_of(&self, hashed: &HashedSubject<'_>) -> u32 {
        let name = hashed.subject.request.tenant;
        let hash = hashed.hash(&self.secret, Kind::Tenant);
        let place = name.zip(hash).and_then(|(name, hash)| self.find_tenant(name.as_str(), hash.0));
        place.and_then(|place| self.tenants.get(place)).map_or(1, |tenant| tenant.spec.weight())
    }

    /// Sets how often a tenant is billed, or every one without a schedule of its own. An open period ends as it was to;
    /// one that has no charges yet is cut anew.
    ///
    /// # Errors
    /// [`CostError::SchedulesFull`].
    pub fn set_billing_schedule(&mut self, now: Now, billing: &BillingSchedule) -> Result<(), CostError> {
        self.monotonic(now);
        let length = self.schedules_length;
        let known = self.schedules[..length].iter().position(|other| other.tenant == billing.tenant);
        let slot = known.unwrap_or(length);
        *self.schedules.get_mut(slot).ok_or(CostError::SchedulesFull)? = *billing;
        self.schedules_length = length.max(slot + 1);
        self.cut_unused_periods();
        Ok(())
    }

    /// The billing schedules, in the order of their coming.
    #[must_use]
    pub fn billing_schedules(&self) -> &[BillingSchedule] {
        &self.schedules[..self.schedules_length]
    }

    /// Makes the models, declared tenants and schedules exactly these. Accounts, tallies and invoices stay.
    ///
    /// # Errors
    /// [`CostError::Currency`] if something was charged in another currency, [`CostError::InUse`] if a reservation is
    /// priced by a model that would go, [`CostError::TenantsFull`]. Others if they do not go together, in which case they
    /// should not have come here: a [`Config`](crate::config::Config) refuses them before.
    pub fn configure(
        &mut self,
        now: Now,
        currency: Currency,
        models: &[CostModel],
        tenants: &[TenantSpec],
        schedules: &[BillingSchedule],
    ) -> Result<(), CostError> {
        self.check_configuration(currency, models, tenants, schedules)?;
        // What has held on to a currency is to be declared anew.
        self.is_currency_adopted = false;
        if !currency.is_none() {
            self.currency = currency;
        }
        // Nothing of what follows can fail.
        self.configure_models(models);
        self.schedules[..schedules.len()].copy_from_slice(schedules);
        self.schedules_length = schedules.len();
        for index in 0..TENANTS {
            if let Some(tenant) = self.tenants.place(index).and_then(|place| self.tenants.get_mut(place)) {
                tenant.is_declared = false;
            }
        }
        for tenant in tenants {
            if let Ok(place) = self.tenant(tenant.name.as_str())
                && let Some(tenant) = self.tenants.get_mut(place)
            {
                tenant.is_declared = true;
            }
        }
        for index in 0..TENANTS {
            let Some(place) = self.tenants.place(index) else { continue };
            let is_used = self.is_used(place);
            let Some(tenant) = self.tenants.get_mut(place).filter(|tenant| !tenant.is_declared) else {
                continue;
            };
            if is_used {
                tenant.spec = TenantSpec { name: tenant.spec.name, ..TenantSpec::EMPTY };
                tenant.is_alerted = false;
            } else {
                self.tenants.remove(place);
            }
        }
        for tenant in tenants {
            self.declare_tenant(now, tenant)?;
        }
        self.cut_unused_periods();
        Ok(())
    }

    /// Takes the prices, declared tenants and schedules of `other`.
    ///
    /// # Errors
    /// None, since what `other` holds fits.
    pub(crate) fn configure_like<const T: usize>(
        &mut self,
        other: &CostCollector<T>,
    ) -> Result<(), CostError> {
        self.adopt_currency(other.currency())?;
        other.models().try_for_each(|model| self.define_cost_model(model))?;
        for billing in other.billing_schedules() {
            self.set_billing_schedule(Now::default(), billing)?;
        }
        other.declared_tenants().try_for_each(|tenant| self.declare_tenant(Now::default(), tenant))
    }

    /// Whether [`CostCollector::configure`] would take these.
    ///
    /// # Errors
    /// As [`CostCollector::configure`].
    pub(crate) fn check_configuration(
        &self,
        currency: Currency,
        models: &[CostModel],
        tenants: &[TenantSpec],
        schedules: &[BillingSchedule],
    ) -> Result<(), CostError> {
        check_models(models)?;
        let is_other = |model: &&CostModel| !currency.is_none() && model.currency() != currency;
        let found = models.iter().find(is_other).map_or(currency, CostModel::currency);
        self.check_currency_of_books(found)?;
        if found != currency {
            return Err(CostError::Currency { books: currency, found });
        }
        let stays = |service: &str| models.iter().any(|model| model.service.as_str() == service);
        for slot in 0..self.models_length {
            let service = self.models[slot].service;
            if self.model_holds[slot] > 0 && !stays(service.as_str()) {
                return Err(CostError::InUse { name: service });
            }
        }
        let is_held = |slot: &usize| self.has_overflow(*slot) && !stays(self.models[*slot].service.as_str());
        if models.len() + (0..MODELS_MAX).filter(is_held).count() > MODELS_MAX {
            return Err(CostError::ModelsFull);
        }
        // Those that are not declared any more and were never charged go.
        let mut unused = self.tenants.iter().filter(|(place, _)| !self.is_used(*place)).count();
        let mut new = 0;
        for tenant in tenants {
            match self.tenant(tenant.name.as_str()) {
                Ok(place) if !self.is_used(place) => unused = unused.saturating_sub(1),
                Ok(_) => {}
                Err(_) => new += 1,
            }
        }
        if new > 0 && self.tenants.len() - unused + new >= TENANTS {
            return Err(CostError::TenantsFull { capacity: TENANTS - 1 });
        }
        if schedules.len() > SCHEDULES_MAX {
            return Err(CostError::SchedulesFull);
        }
        Ok(())
    }

    fn configure_models(&mut self, models: &[CostModel]) {
        for slot in 0..self.models_length {
            let service = self.models[slot].service;
            if !models.iter().any(|model| model.service == service) {
                self.models[slot] = CostModel::EMPTY;
            }
        }
        for model in models {
            // There are as many places as a configuration can have models.
            let slot = self.model_slot(model.service.as_str()).or_else(|| self.free_model());
            if let Some(slot) = slot {
                self.put_model(slot, model);
            }
        }
        self.assign_models();
    }

    /// Refuses another currency than that of the books, once there is something in them or it was adopted.
    fn check_currency(&self, found: Currency) -> Result<(), CostError> {
        let books = self.currency;
        if self.is_currency_adopted && !books.is_none() && !found.is_none() && books != found {
            return Err(CostError::Currency { books, found });
        }
        self.check_currency_of_books(found)
    }

    /// Refuses another currency than that of the books, once there is something in them.
    fn check_currency_of_books(&self, found: Currency) -> Result<(), CostError> {
        let is_empty = self.ledger.totals().is_untouched() && self.models().next().is_none();
        let books = self.currency;
        if books.is_none() || found.is_none() || books == found || is_empty {
            Ok(())
        } else {
            Err(CostError::Currency { books, found })
        }
    }

    fn model_slot(&self, service: &str) -> Option<usize> {
        let is_it = |model: &CostModel| !service.is_empty() && model.service.as_str() == service;
        self.models[..self.models_length].iter().position(is_it)
    }

    fn free_model(&self) -> Option<usize> {
        let used = &self.models[..self.models_length];
        // What was counted under overflow with a model that is gone keeps its place until it is invoiced.
        let is_free = |&slot: &usize| used[slot].service.is_empty() && !self.has_overflow(slot);
        let free = (0..used.len()).find(is_free);
        free.or((self.models_length < MODELS_MAX).then_some(self.models_length))
    }

    fn has_overflow(&self, slot: usize) -> bool {
        self.overflow[slot].iter().any(|tally| tally.quantity > 0 || tally.charged.0 != 0)
    }

    fn put_model(&mut self, slot: usize, model: &CostModel) {
        // Beyond the length lies what was there before a reset.
        if slot < self.models_length && self.models[slot] == *model {
            return;
        }
        self.models[slot] = *model;
        self.models_length = self.models_length.max(slot + 1);
        for tally in &mut self.overflow[slot] {
            *tally = tally.repriced();
        }
    }

    /// Gives each service the model that it goes by now. What was counted by another one loses its remainder of less
    /// than a nano-unit.
    fn assign_models(&mut self) {
        for index in 0..super::SERVICES_MAX {
            let Some(place) = self.services.place(index) else { continue };
            let Some(name) = self.services.get(place).map(|service| service.name) else { continue };
            let model = self.model_named(name.as_str());
            if let Some(service) = self.services.get_mut(place) {
                service.model = model;
            }
        }
        for index in 0..TENANTS {
            if let Some(pair) = self.pairs.place(index).and_then(|place| self.pairs.get_mut(place)) {
                pair.tallies = pair.tallies.map(|tally| tally.repriced());
            }
        }
        self.serial = self.serial.wrapping_add(1);
    }

    /// Whether anything in an open period was charged by a model.
    fn has_charges_by(&self, slot: usize) -> bool {
        let goes_by = |place: Place| {
            self.services.get(place).is_some_and(|service| usize::from(service.model) == slot + 1)
        };
        let is_charged = |tallies: &super::Tallies| tallies.iter().any(|tally| tally.charged.0 != 0);
        is_charged(&self.overflow[slot])
            || self.pairs.iter().any(|(_, pair)| goes_by(pair.service) && is_charged(&pair.tallies))
    }

    /// Periods without charges are those of the schedule that is in force.
    fn cut_unused_periods(&mut self) {
        let now = self.latest.wall;
        for index in 0..TENANTS {
            let Some(place) = self.tenants.place(index) else { continue };
            let Some(tenant) = self.tenants.get(place) else { continue };
            let is_unused =
                tenant.pairs == 0 && tenant.holds == 0 && !tenant.has_past && tenant.corrections == 0;
            if is_unused {
                let period: Period = self.schedule_of(&tenant.spec.name).period_at(now);
                if let Some(Tenant { period: open, .. }) = self.tenants.get_mut(place) {
                    *open = period;
                }
            }
        }
    }
}

/// Whether models go together: each is in range, of a service of its own, and all are in one currency.
///
/// # Errors
/// [`CostError::Model`], [`CostError::Duplicate`], [`CostError::Currency`] or [`CostError::ModelsFull`].
pub(crate) fn check_models(models: &[CostModel]) -> Result<(), CostError> {
    if models.len() > MODELS_MAX {
        return Err(CostError::ModelsFull);
    }
    for (place, model) in models.iter().enumerate() {
        model.check().map_err(CostError::Model)?;
        if models[..place].iter().any(|other| other.service == model.service) {
            return Err(CostError::Duplicate { name: model.service });
        }
        let (books, found) = (models[0].currency(), model.currency());
        if books != found {
            return Err(CostError::Currency { books, found });
        }
    }
    Ok(())
}
