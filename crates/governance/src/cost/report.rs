//! What there is to know of costs: by tenant, by service, by metric, by day, and what the period may come to.

use super::{CostCollector, CostError, CostMetric, CostStats, MODELS_MAX, SERVICES_MAX, Tallies, Tally};
use crate::ledger::{Account, Balance, Ledger};
use crate::money::NanoUnits;
use crate::notice::Notices;
use crate::scope::Name;
use crate::time::{CivilDate, Now, Period, WallTime};

/// The cost of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantCost {
    /// Its name.
    pub tenant: Name,
    /// Its tier; empty if it has none.
    pub tier: super::TierName,
    /// Whom the account belongs to; empty if to itself.
    pub organisation: Name,
    /// The open billing period.
    pub period: Period,
    /// What was charged in it.
    pub open: NanoUnits,
    /// What is reserved and not settled.
    pub pending: NanoUnits,
    /// What was charged ever.
    pub total: NanoUnits,
    /// How many invoices were issued.
    pub invoices: u32,
}

/// The cost of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceCost {
    /// Its name.
    pub service: Name,
    /// What was charged for it ever.
    pub total: NanoUnits,
    /// How many requests were charged.
    pub requests: u64,
    /// Whether it has a price.
    pub is_priced: bool,
}

/// What a tenant has used of a service in its open period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCost {
    /// The tenant.
    pub tenant: Name,
    /// The service.
    pub service: Name,
    tallies: Tallies,
}

impl PairCost {
    /// How much there was of a metric, and what it came to.
    #[must_use]
    pub const fn of(&self, metric: CostMetric) -> &Tally {
        &self.tallies[metric as usize]
    }

    /// What all metrics came to.
    #[must_use]
    pub fn cost(&self) -> NanoUnits {
        self.tallies.iter().map(|tally| tally.charged).sum()
    }
}

/// The cost of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCost {
    /// Days since 1970-01-01.
    pub day: u32,
    /// What was charged on it.
    pub cost: NanoUnits,
}

impl DayCost {
    /// The day.
    #[must_use]
    pub fn date(&self) -> CivilDate {
        CivilDate::from_days_since_epoch(self.day.into())
    }
}

/// What an open period may come to: what was charged so far, continued at the same rate to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    /// What was charged so far.
    pub so_far: NanoUnits,
    /// What it may come to.
    pub at_end: NanoUnits,
    /// Since when that was charged: the beginning of the period, or the first charge ever.
    pub from: WallTime,
    /// Until when.
    pub to: WallTime,
    /// When the period ends.
    pub end: WallTime,
}

/// A tenant whose cost has reached the amount that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostAlert {
    /// The tenant.
    pub tenant: Name,
    /// What was charged in the open period.
    pub cost: NanoUnits,
    /// The amount.
    pub alert: NanoUnits,
}

/// From less than this nothing is projected: an hour, in nanoseconds.
const SPAN_MIN: u64 = 3_600_000_000_000;

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// The cost of a tenant.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`].
    pub fn get_tenant_cost(&mut self, now: Now, tenant: &str) -> Result<TenantCost, CostError> {
        let now = self.monotonic(now);
        let place = self.tenant(tenant)?;
        self.roll(place, now);
        self.tenant_costs().find(|cost| cost.tenant.as_str() == tenant).ok_or(CostError::Nothing)
    }

    /// The cost of every tenant, in the order of their coming, as far as periods are closed: ask for
    /// [`CostCollector::reset_cost_window`] before.
    pub fn tenant_costs(&self) -> impl Iterator<Item = TenantCost> + '_ {
        self.tenants.iter().map(|(place, tenant)| TenantCost {
            tenant: tenant.spec.name,
            tier: tenant.spec.tier,
            organisation: tenant.spec.organisation,
            period: tenant.period,
            open: tenant.cost,
            pending: NanoUnits(self.ledger.balance(Account::Receivable(place.number())).debits_pending),
            total: tenant.total,
            invoices: tenant.invoices,
        })
    }

    /// The cost of a service.
    ///
    /// # Errors
    /// [`CostError::UnknownService`].
    pub fn get_service_cost(&self, service: &str) -> Result<ServiceCost, CostError> {
        self.service(service)?;
        self.service_costs().find(|cost| cost.service.as_str() == service).ok_or(CostError::Nothing)
    }

    /// The cost of every service, in the order of their coming.
    pub fn service_costs(&self) -> impl Iterator<Item = ServiceCost> + '_ {
        self.services.iter().map(|(_, service)| ServiceCost {
            service: service.name,
            total: service.total,
            requests: service.requests,
            is_priced: service.model > 0,
        })
    }

    /// What each tenant has used of each service in its open period, by metric; of one tenant, or of all.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`].
    pub fn get_cost_breakdown(
        &mut self,
        now: Now,
        tenant: Option<&str>,
        mut each: impl FnMut(PairCost),
    ) -> Result<(), CostError> {
        self.reset_cost_window(now, tenant)?;
        let only = tenant.map(|tenant| self.tenant(tenant)).transpose()?;
        for (_, pair) in self.pairs.iter().filter(|(_, pair)| only.is_none_or(|only| only == pair.tenant)) {
            let (Some(tenant), Some(service)) =
                (self.tenants.get(pair.tenant), self.services.get(pair.service))
            else {
                continue;
            };
            each(PairCost { tenant: tenant.spec.name, service: service.name, tallies: pair.tallies });
        }
        if tenant.is_none_or(|tenant| tenant == super::OVERFLOW) {
            for number in 0..self.models_length.min(MODELS_MAX) {
                let tallies = self.overflow[number];
                if tallies.iter().any(|tally| tally.quantity > 0) {
                    let (tenant, service) =
                        (super::charge::name_of(super::OVERFLOW), self.models[number].service);
                    each(PairCost { tenant, service, tallies });
                }
            }
        }
        Ok(())
    }

    /// The cost of each of the last days, oldest first, up to the last on which anything was charged: of a tenant, or
    /// of all.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`] or [`CostError::Nothing`].
    pub fn get_cost_trends(
        &self,
        tenant: Option<&str>,
    ) -> Result<impl Iterator<Item = DayCost> + '_, CostError> {
        let days = match tenant {
            None => &self.days,
            Some(tenant) => {
                let place = self.tenant(tenant)?;
                &self.tenants.get(place).ok_or(CostError::Nothing)?.days
            }
        };
        if days.kept == 0 { Err(CostError::Nothing) } else { Ok(days.iter()) }
    }

    /// What a tenant's open period may come to, at the rate of so far; none in its first hour, or without a charge.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`].
    pub fn project_cost(&mut self, now: Now, tenant: &str) -> Result<Option<Projection>, CostError> {
        let now = self.monotonic(now);
        let place = self.tenant(tenant)?;
        self.roll(place, now);
        let Some(tenant) = self.tenants.get(place) else { return Ok(None) };
        let from = tenant.period.start.max(tenant.first);
        let span = now.0.saturating_sub(from.0);
        if span < SPAN_MIN || tenant.cost == NanoUnits::ZERO {
            return Ok(None);
        }
        let left = i128::from(tenant.period.end.0.saturating_sub(now.0));
        let ahead = tenant.cost.0.checked_mul(left).map_or(i128::MAX, |product| product / i128::from(span));
        let at_end = NanoUnits(tenant.cost.0.saturating_add(ahead));
        Ok(Some(Projection { so_far: tenant.cost, at_end, from, to: now, end: tenant.period.end }))
    }

    /// The tenants whose cost has reached the amount that was asked for, in their open period.
    pub fn get_cost_alerts(&self) -> impl Iterator<Item = CostAlert> + '_ {
        let alerted = self.tenants.iter().filter(|(_, tenant)| tenant.is_alerted);
        alerted.map(|(_, tenant)| CostAlert {
            tenant: tenant.spec.name,
            cost: tenant.cost,
            alert: tenant.spec.alert.amount,
        })
    }

    /// Each crossing of an amount that was asked for, once.
    #[must_use]
    pub const fn notices(&self) -> &Notices<super::CostNotice, { super::COST_NOTICES_MAX }> {
        &self.notices
    }

    /// The books.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<TENANTS, SERVICES_MAX> {
        &self.ledger
    }

    /// The name of the tenant or service of an account; none for rounding.
    #[must_use]
    pub fn account_name(&self, account: Account) -> Option<Name> {
        match account {
            Account::Receivable(number) | Account::Invoiced(number) => {
                let place = self.tenants.place(number as usize)?;
                self.tenants.get(place).map(|tenant| tenant.spec.name)
            }
            Account::Revenue(number) => {
                let place = self.services.place(number as usize)?;
                self.services.get(place).map(|service| service.name)
            }
            Account::Rounding => None,
        }
    }

    /// The accounts that are not untouched, with their balances.
    pub fn accounts(&self) -> impl Iterator<Item = (Account, &Balance)> + '_ {
        let tenants = self.tenants.iter().map(|(place, _)| place.number());
        let services = self.services.iter().map(|(place, _)| place.number());
        let both = tenants.flat_map(|number| [Account::Receivable(number), Account::Invoiced(number)]);
        both.chain(services.map(Account::Revenue))
            .chain([Account::Rounding])
            .map(|account| (account, self.ledger.balance(account)))
            .filter(|(_, balance)| !balance.is_untouched())
    }

    /// How full the fixed structures are, and what was charged.
    #[must_use]
    pub fn stats(&self) -> CostStats {
        CostStats {
            tenants: self.tenants.len(),
            tenants_max: TENANTS,
            services: self.services.len(),
            services_max: SERVICES_MAX,
            pairs: self.pairs.len(),
            pairs_max: TENANTS,
            models: self.models().count(),
            models_max: MODELS_MAX,
            charged: self.counts.charged,
            unpriced: self.counts.unpriced,
            overflow: self.counts.overflow,
            total: self.counts.total,
            pending: NanoUnits(self.ledger.totals().debits_pending),
            invoices: self.invoices.issued,
            invoices_dropped: self.invoices.dropped(),
            late: self.counts.late,
            events: self.events.accepted,
            events_repeated: self.events.repeated,
            dedupe_horizon: self.events.dropped_early,
            corrections: self.invoices.waiting,
        }
    }
}
