//! What a caller without a governor charges, and what operators set.

use super::charge::name_of;
use super::{CostCollector, CostError, CostHold, Estimate};
use crate::money::{Money, NanoUnits};
use crate::request::{Request, Usage};
use crate::scope::NameRef;
use crate::time::Now;

/// Whom an operation is charged to.
#[derive(Clone, Copy, Debug)]
pub struct CostAttribution<'a> {
    /// The service that is priced.
    pub service: NameRef<'a>,
    /// Who pays; none for [`NOBODY`](super::NOBODY).
    pub tenant: Option<NameRef<'a>>,
    /// The method, which multipliers go by.
    pub method: Option<NameRef<'a>>,
    /// What was used.
    pub usage: Usage,
}

impl CostAttribution<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            service: Some(self.service),
            tenant: self.tenant,
            method: self.method,
            ..Request::default()
        }
    }
}

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// Charges an operation. Returns what it came to; none if its service has no price.
    ///
    /// ```
    /// use governance::cost::{CostAttribution, CostCollector, CostModel, Price};
    /// use governance::money::NanoUnits;
    /// use governance::request::Usage;
    /// use governance::scope::{Name, NameRef};
    /// use governance::time::Now;
    ///
    /// let mut costs = Box::new(CostCollector::<16>::new());
    /// let model = CostModel {
    ///     service: Name::new("web").unwrap(),
    ///     base_cost: Price::parse("0.0001 USD").unwrap(),
    ///     ..CostModel::default()
    /// };
    /// costs.define_cost_model(&model).unwrap();
    /// let operation = CostAttribution {
    ///     service: NameRef::new("web").unwrap(),
    ///     tenant: NameRef::new("acme").ok(),
    ///     method: None,
    ///     usage: Usage { requests: 3, ..Usage::default() },
    /// };
    /// let charged = costs.attribute_cost(Now::default(), &operation).unwrap();
    /// assert_eq!(charged, Some(NanoUnits(300_000)));
    /// assert_eq!(costs.get_tenant_cost(Now::default(), "acme").unwrap().open, NanoUnits(300_000));
    /// ```
    ///
    /// # Errors
    /// [`CostError::OutOfRange`].
    pub fn attribute_cost(
        &mut self,
        now: Now,
        operation: &CostAttribution<'_>,
    ) -> Result<Option<NanoUnits>, CostError> {
        let quote = self.quote(now, &operation.request(), &operation.usage, Estimate::Exact);
        let quote = quote.map_err(|_| CostError::OutOfRange)?;
        Ok(self.charge(quote))
    }

    /// Sets aside what an operation may come to, until [`CostCollector::settle`] or [`CostCollector::void`]. None if its
    /// service has no price.
    ///
    /// # Errors
    /// [`CostError::OutOfRange`].
    pub fn reserve_cost(
        &mut self,
        now: Now,
        operation: &CostAttribution<'_>,
    ) -> Result<Option<CostHold>, CostError> {
        let quote = self.quote(now, &operation.request(), &operation.usage, Estimate::Dearest);
        let quote = quote.map_err(|_| CostError::OutOfRange)?;
        Ok(self.charge_held(quote))
    }

    /// Asks to be told when a tenant's cost of a period reaches an amount; 0 takes that back. The tenant is declared from
    /// now on.
    ///
    /// # Errors
    /// [`CostError::UnknownTenant`], [`CostError::Negative`] or [`CostError::Currency`].
    pub fn set_cost_alert(&mut self, now: Now, tenant: &str, alert: Money) -> Result<(), CostError> {
        let now = self.monotonic(now);
        let place = self.tenant(tenant)?;
        if alert.amount < NanoUnits::ZERO {
            return Err(CostError::Negative);
        }
        self.adopt_currency(alert.currency)?;
        self.roll(place, now);
        let unknown = CostError::UnknownTenant { tenant: name_of(tenant) };
        let tenant = self.tenants.get_mut(place).ok_or(unknown)?;
        (tenant.spec.alert, tenant.is_alerted, tenant.is_declared) = (alert, false, true);
        Ok(())
    }
}
