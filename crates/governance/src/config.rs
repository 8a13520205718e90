//! What is configured: limits, quotas, prices, budgets, tenants, policies, agreements, breakers, retry policies, the loop
//! guard, alerts, routes and identity, checked together and applied at once.

use crate::alerts::{ALERTS_MAX, AlertError, AlertRule, GovernanceAlerts};
use crate::breaker::BreakerSpec;
use crate::cost::{BillingSchedule, BudgetSpec, CostError, CostModel, MODELS_MAX, SCHEDULES_MAX, TenantSpec};
use crate::field::Quoted;
use crate::limit::LimitSpec;
use crate::loop_guard::GuardSettings;
use crate::money::Currency;
use crate::policy::{self, DefaultEffect, POLICIES_MAX, PolicyError, PolicyRule};
use crate::priority::{ClassWeight, DEFAULT_WEIGHTS, PriorityError, QUEUES_MAX, SLA};
use crate::quota::{ALLOCATIONS_MAX, QuotaError, QuotaSpec, each_misfit};
use crate::rate_limiter::{LIMITS_MAX, LimitClass, LimitError, LimitId, check_fit};
use crate::request::RequestPriority;
use crate::retry::RetrySpec;
use crate::routes::Routes;
use crate::scope::{NAME_BYTES_MAX, NameRef, ScopeError};
use crate::text::Text;
use crate::traffic::{RULES_MAX, TrafficError, check_rule, check_rules};
use core::fmt;
use core::net::IpAddr;

/// How many tenants can be declared.
pub const DECLARED_TENANTS_MAX: usize = 512;
/// How many headers can name the actor.
pub const ACTOR_HEADERS_MAX: usize = 8;
/// The longest chain of proxies that can be trusted.
pub const TRUSTED_HOPS_MAX: u8 = 32;

/// The name of a header field.
pub type HeaderName = Text<NAME_BYTES_MAX>;

/// How the client of a request is told from its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    actor_headers: [HeaderName; ACTOR_HEADERS_MAX],
    session_header: HeaderName,
    /// How many proxies may have appended to `X-Forwarded-For`.
    pub trusted_hops: u8,
}

/// Why a part of `[identity]` was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// There are [`ACTOR_HEADERS_MAX`] actor headers already.
    HeadersFull,
    /// The name cannot be a header field's.
    HeaderName,
    /// More hops than [`TRUSTED_HOPS_MAX`], or fewer than 0.
    TrustedHops,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadersFull => write!(f, "at most {ACTOR_HEADERS_MAX} actor headers are allowed"),
            Self::HeaderName => write!(
                f,
                "expected the name of a header field, 1 to {NAME_BYTES_MAX} letters, digits or any of !#$%&'*+-.^_`|~"
            ),
            Self::TrustedHops => write!(f, "expected a whole number from 0 to {TRUSTED_HOPS_MAX}"),
        }
    }
}

impl core::error::Error for IdentityError {}

/// Who a request comes from, as far as its headers and its peer tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identified<'a> {
    /// The actor that the first of the actor headers names.
    pub actor: Option<NameRef<'a>>,
    /// The session.
    pub session: Option<NameRef<'a>>,
    /// The address of the client, or of the last proxy that is not trusted.
    pub ip: Option<IpAddr>,
}

impl Identity {
    /// The headers that name the actor, the first one that is there counts.
    pub fn actor_headers(&self) -> impl Iterator<Item = &str> {
        self.actor_headers.iter().take_while(|name| !name.is_empty()).map(Text::as_str)
    }

    /// The header that names the session, if there is one.
    #[must_use]
    pub fn session_header(&self) -> Option<&str> {
        (!self.session_header.is_empty()).then(|| self.session_header.as_str())
    }

    /// Adds an actor header behind those there are.
    ///
    /// # Errors
    /// [`IdentityError::HeadersFull`] or [`IdentityError::HeaderName`].
    pub fn add_actor_header(&mut self, name: &str) -> Result<(), IdentityError> {
        let name = header_name(name)?;
        let place =
            self.actor_headers.iter_mut().find(|place| place.is_empty()).ok_or(IdentityError::HeadersFull)?;
        *place = name;
        Ok(())
    }

    /// Forgets the actor headers.
    pub fn clear_actor_headers(&mut self) {
        self.actor_headers = Default::default();
    }

    /// Sets the session header.
    ///
    /// # Errors
    /// [`IdentityError::HeaderName`].
    pub fn set_session_header(&mut self, name: &str) -> Result<(), IdentityError> {
        self.session_header = header_name(name)?;
        Ok(())
    }

    /// Tells who a request comes from. `header` gives the value of a header field by its name, in any case.
    ///
    /// Of `X-Forwarded-For` the entry counts that the outermost trusted proxy has appended: with one trusted hop the
    /// last, with two the one before it. With none, or where the entry is missing, the peer's address counts.
    ///
    /// # Errors
    /// [`ScopeError`] if a header that counts holds an empty or too long name, or no address.
    pub fn identify<'a>(
        &self,
        peer: Option<IpAddr>,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Identified<'a>, ScopeError> {
        let named = |name: &str| header(name).map(|value| NameRef::new(value.trim())).transpose();
        let actor = self.actor_headers().find_map(|name| named(name).transpose()).transpose()?;
        let session = self.session_header().map(named).transpose()?.flatten();
        let hops = usize::from(self.trusted_hops);
        let forwarded = hops.checked_sub(1).and_then(|from_right| {
            header("X-Forwarded-For").and_then(|chain| chain.rsplit(',').nth(from_right))
        });
        let ip = match forwarded {
            Some(address) => Some(address.trim().parse().map_err(|_| ScopeError::NotAnAddress)?),
            None => peer,
        };
        Ok(Identified { actor, session, ip })
    }
}

fn header_name(name: &str) -> Result<HeaderName, IdentityError> {
    // The characters of a token, RFC 9110 section 5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(IdentityError::HeaderName);
    }
    HeaderName::new(name).map_err(|_| IdentityError::HeaderName)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[identity]")?;
        f.write_str("actor_headers = [")?;
        for (index, name) in self.actor_headers().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Quoted(name))?;
        }
        writeln!(f, "]")?;
        if let Some(name) = self.session_header() {
            writeln!(f, "session_header = {}", Quoted(name))?;
        }
        writeln!(f, "trusted_hops = {}", self.trusted_hops)
    }
}

/// A list of fixed capacity. All-zero when empty.
#[derive(Debug)]
struct List<T, const N: usize> {
    items: [T; N],
    length: usize,
}

impl<T: Copy, const N: usize> List<T, N> {
    const fn new(empty: T) -> Self {
        Self { items: [empty; N], length: 0 }
    }

    fn as_slice(&self) -> &[T] {
        &self.items[..self.length]
    }

    /// Adds an item, if there is room.
    fn push(&mut self, item: T) -> Option<()> {
        *self.items.get_mut(self.length)? = item;
        self.length += 1;
        Some(())
    }
}

/// A whole configuration, collected and checked before any of it takes effect. All-zero when empty.
#[derive(Debug)]
pub struct Config {
    limits: List<LimitSpec, LIMITS_MAX>,
    quotas: List<QuotaSpec, ALLOCATIONS_MAX>,
    budgets: List<QuotaSpec, ALLOCATIONS_MAX>,
    models: List<CostModel, MODELS_MAX>,
    tenants: List<TenantSpec, DECLARED_TENANTS_MAX>,
    schedules: List<BillingSchedule, SCHEDULES_MAX>,
    policies: List<PolicyRule, POLICIES_MAX>,
    slas: List<SLA, QUEUES_MAX>,
    /// By class; 0 for one that is not said.
    weights: [u32; RequestPriority::COUNT],
    breakers: List<BreakerSpec, RULES_MAX>,
    retries: List<RetrySpec, RULES_MAX>,
    alerts: List<AlertRule, ALERTS_MAX>,
    currency: Currency,
    /// The loop guard, the hard cap and degraded mode.
    pub guard: GuardSettings,
    /// What becomes of requests that no policy allows or denies.
    pub policy_default: DefaultEffect,
    /// From paths to groups.
    pub routes: Routes,
    /// Who is asking.
    pub identity: Identity,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// A configuration without anything in it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: List::new(LimitSpec::EMPTY),
            quotas: List::new(QuotaSpec::EMPTY),
            budgets: List::new(QuotaSpec::EMPTY),
            models: List::new(CostModel::EMPTY),
            tenants: List::new(TenantSpec::EMPTY),
            schedules: List::new(BillingSchedule::EMPTY),
            policies: List::new(PolicyRule::EMPTY),
            slas: List::new(SLA::EMPTY),
            weights: [0; RequestPriority::COUNT],
            breakers: List::new(BreakerSpec::EMPTY),
            retries: List::new(RetrySpec::EMPTY),
            alerts: List::new(AlertRule::EMPTY),
            guard: GuardSettings::IDLE,
            currency: Currency::NONE,
            policy_default: DefaultEffect::Allow,
            routes: Routes::new(),
            identity: Identity {
                actor_headers: [Text::EMPTY; ACTOR_HEADERS_MAX],
                session_header: Text::EMPTY,
                trusted_hops: 0,
            },
        }
    }

    /// Forgets everything, in place.
    pub fn clear(&mut self) {
        self.limits.length = 0;
        self.quotas.length = 0;
        self.budgets.length = 0;
        self.models.length = 0;
        self.tenants.length = 0;
        self.schedules.length = 0;
        self.policies.length = 0;
        self.slas.length = 0;
        self.weights = [0; RequestPriority::COUNT];
        self.breakers.length = 0;
        self.retries.length = 0;
        self.alerts.length = 0;
        self.guard = GuardSettings::IDLE;
        self.policy_default = DefaultEffect::Allow;
        self.currency = Currency::NONE;
        self.routes.clear();
        self.identity = Identity::default();
    }

    /// The limits, in the order of the file.
    #[must_use]
    pub fn limits(&self) -> &[LimitSpec] {
        self.limits.as_slice()
    }

    /// The quotas, in the order of the file.
    #[must_use]
    pub fn quotas(&self) -> &[QuotaSpec] {
        self.quotas.as_slice()
    }

    /// The budgets as quotas of nano-units, in the order of the file.
    #[must_use]
    pub fn budgets(&self) -> &[QuotaSpec] {
        self.budgets.as_slice()
    }

    /// The prices of services, in the order of the file.
    #[must_use]
    pub fn models(&self) -> &[CostModel] {
        self.models.as_slice()
    }

    /// The tenants, in the order of the file.
    #[must_use]
    pub fn tenants(&self) -> &[TenantSpec] {
        self.tenants.as_slice()
    }

    /// The billing schedules, in the order of the file.
    #[must_use]
    pub fn schedules(&self) -> &[BillingSchedule] {
        self.schedules.as_slice()
    }

    /// The policies, in the order of the file.
    #[must_use]
    pub fn policies(&self) -> &[PolicyRule] {
        self.policies.as_slice()
    }

    /// The service-level agreements, in the order of the file.
    #[must_use]
    pub fn slas(&self) -> &[SLA] {
        self.slas.as_slice()
    }

    /// The weights of the classes, most urgent first.
    #[must_use]
    pub fn weights(&self) -> [u32; RequestPriority::COUNT] {
        let mut weights = self.weights;
        for (weight, default) in weights.iter_mut().zip(DEFAULT_WEIGHTS) {
            *weight = if *weight == 0 { default } else { *weight };
        }
        weights
    }

    /// The breakers, in the order of the file.
    #[must_use]
    pub fn breakers(&self) -> &[BreakerSpec] {
        self.breakers.as_slice()
    }

    /// The retry policies, in the order of the file.
    #[must_use]
    pub fn retries(&self) -> &[RetrySpec] {
        self.retries.as_slice()
    }

    /// The alerts, in the order of the file.
    #[must_use]
    pub fn alerts(&self) -> &[AlertRule] {
        self.alerts.as_slice()
    }

    /// The currency of all prices, budgets and alerts; none if there are none.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Adds a limit, if it goes with those there are.
    ///
    /// # Errors
    /// [`LimitError::OutOfRange`], [`LimitError::DuplicateName`] or [`LimitError::Full`].
    pub fn add_limit(&mut self, spec: &LimitSpec) -> Result<(), LimitError> {
        check_fit(spec, self.limits().iter())?;
        let class = LimitClass::of(spec.scope.kind);
        self.limits.push(*spec).ok_or(LimitError::Full { class })
    }

    /// Adds a quota. Whether it goes with the others, [`Config::each_misfit_quota`] tells when all are there.
    ///
    /// # Errors
    /// [`QuotaError::Full`].
    pub fn add_quota(&mut self, spec: &QuotaSpec) -> Result<(), QuotaError> {
        self.quotas.push(*spec).ok_or(QuotaError::Full)
    }

    /// Adds a budget. Whether it goes with the others, [`Config::each_misfit_budget`] tells when all are there.
    ///
    /// # Errors
    /// [`BudgetError::Quota`] if no more fit, or [`BudgetError::Cost`] if it is in another currency.
    pub fn add_budget(&mut self, spec: &BudgetSpec) -> Result<(), BudgetError> {
        self.take_currency(spec.currency).map_err(BudgetError::Cost)?;
        self.budgets.push(spec.quota).ok_or(BudgetError::Quota(QuotaError::Full))
    }

    /// Adds the prices of a service.
    ///
    /// # Errors
    /// [`CostError::Model`], [`CostError::Duplicate`], [`CostError::Currency`] or [`CostError::ModelsFull`].
    pub fn add_model(&mut self, model: &CostModel) -> Result<(), CostError> {
        model.check().map_err(CostError::Model)?;
        if self.models().iter().any(|other| other.service == model.service) {
            return Err(CostError::Duplicate { name: model.service });
        }
        self.take_currency(model.currency())?;
        self.models.push(*model).ok_or(CostError::ModelsFull)
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// [`CostError::Duplicate`], [`CostError::Currency`] or [`CostError::TenantsFull`].
    pub fn add_tenant(&mut self, tenant: &TenantSpec) -> Result<(), CostError> {
        if self.tenants().iter().any(|other| other.name == tenant.name) {
            return Err(CostError::Duplicate { name: tenant.name });
        }
        if !tenant.alert.currency.is_none() {
            self.take_currency(tenant.alert.currency)?;
        }
        self.tenants.push(*tenant).ok_or(CostError::TenantsFull { capacity: DECLARED_TENANTS_MAX })
    }

    /// Adds a billing schedule.
    ///
    /// # Errors
    /// [`CostError::Duplicate`] or [`CostError::SchedulesFull`].
    pub fn add_schedule(&mut self, billing: &BillingSchedule) -> Result<(), CostError> {
        if self.schedules().iter().any(|other| other.tenant == billing.tenant) {
            return Err(CostError::Duplicate { name: billing.tenant });
        }
        self.schedules.push(*billing).ok_or(CostError::SchedulesFull)
    }

    /// Adds a policy. Whether it goes with the others and with the limits, [`Config::each_misfit_policy`] tells when all
    /// are there.
    ///
    /// # Errors
    /// [`PolicyError::Full`].
    pub fn add_policy(&mut self, rule: &PolicyRule) -> Result<(), PolicyError> {
        self.policies.push(*rule).ok_or(PolicyError::Full)
    }

    /// Adds a service-level agreement.
    ///
    /// # Errors
    /// [`PriorityError::OutOfRange`], [`PriorityError::DuplicateService`] or [`PriorityError::Full`].
    pub fn add_sla(&mut self, sla: &SLA) -> Result<(), PriorityError> {
        sla.check().map_err(PriorityError::OutOfRange)?;
        if self.slas().iter().any(|other| other.service_id == sla.service_id) {
            return Err(PriorityError::DuplicateService);
        }
        self.slas.push(*sla).ok_or(PriorityError::Full)
    }

    /// Sets the weight of a class.
    ///
    /// # Errors
    /// [`PriorityError::DuplicateClass`].
    pub fn add_class(&mut self, class: &ClassWeight) -> Result<(), PriorityError> {
        let weight = &mut self.weights[class.class.index()];
        if *weight != 0 {
            return Err(PriorityError::DuplicateClass);
        }
        *weight = class.weight;
        Ok(())
    }

    /// Adds a breaker.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn add_breaker(&mut self, breaker: &BreakerSpec) -> Result<(), TrafficError> {
        check_rule(self.breakers(), breaker)?;
        self.breakers.push(*breaker).ok_or(TrafficError::Full)?;
        check_rules(self.breakers(), self.retries()).inspect_err(|_| self.breakers.length -= 1)
    }

    /// Adds a retry policy.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn add_retry(&mut self, retry: &RetrySpec) -> Result<(), TrafficError> {
        check_rule(self.retries(), retry)?;
        self.retries.push(*retry).ok_or(TrafficError::Full)?;
        check_rules(self.breakers(), self.retries()).inspect_err(|_| self.retries.length -= 1)
    }

    /// Adds an alert.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn add_alert(&mut self, alert: &AlertRule) -> Result<(), AlertError> {
        self.alerts.push(*alert).ok_or(AlertError::Full)?;
        GovernanceAlerts::check_configuration(self.alerts()).map_err(|(_, error)| {
            self.alerts.length -= 1;
            error
        })
    }

    /// Calls `each` with the place of every policy that does not go with the others or with the limits, and why.
    pub fn each_misfit_policy(&self, each: impl FnMut(usize, PolicyError)) {
        let known = |name: &str| {
            let place = self.limits().iter().position(|limit| limit.name.as_str() == name)?;
            u16::try_from(place).ok().map(LimitId)
        };
        policy::each_misfit(self.policies(), &known, each);
    }

    /// Calls `each` with the place of every quota that does not go with the others, and why.
    pub fn each_misfit_quota(&self, each: impl FnMut(usize, QuotaError)) {
        each_misfit(self.quotas(), each);
    }

    /// Calls `each` with the place of every budget that does not go with the others, and why.
    pub fn each_misfit_budget(&self, each: impl FnMut(usize, QuotaError)) {
        each_misfit(self.budgets(), each);
    }

    /// All money of a configuration is in the currency that comes first.
    fn take_currency(&mut self, found: Currency) -> Result<(), CostError> {
        let books = self.currency;
        if books.is_none() {
            self.currency = found;
        }
        if books.is_none() || books == found { Ok(()) } else { Err(CostError::Currency { books, found }) }
    }
}

/// Why a budget was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetError {
    /// It does not go with the other budgets.
    Quota(QuotaError),
    /// It is in another currency than the prices.
    Cost(CostError),
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota(error) => error.write(f, "budget", "amount"),
            Self::Cost(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BudgetError {}

#[cfg(test)]
mod tests {
    use super::{Config, Identity, IdentityError};
    use crate::limit::{LimitSpec, RateLimitAlgorithm};
    use crate::rate_limiter::LimitError;
    use crate::request::Unit;
    use crate::scope::{Scope, ScopeError};

    #[test]
    fn limits_of_each_class_fit_up_to_its_capacity() {
        let mut config = Box::new(Config::new());
        for (kind, capacity) in [("service", 256), ("user", 512), ("tenant", 256)] {
            let spec = |index: usize| {
                let scope = Scope::parse(&format!("{kind}:{index}")).unwrap();
                LimitSpec::new(scope, RateLimitAlgorithm::Ban, Unit::Requests).unwrap()
            };
            for index in 0..capacity {
                config.add_limit(&spec(index)).unwrap();
            }
            assert_eq!(config.add_limit(&spec(0)), Err(LimitError::DuplicateName));
            assert!(matches!(config.add_limit(&spec(capacity)), Err(LimitError::Full { .. })));
        }
        assert_eq!(config.limits().len(), 1024);
    }

    #[test]
    fn the_first_actor_header_that_is_there_counts() {
        let mut identity = Identity::default();
        identity.add_actor_header("X-Actor").unwrap();
        identity.add_actor_header("X-User-Id").unwrap();
        identity.set_session_header("X-Session-Id").unwrap();
        let header = |name: &str| match name {
            "X-User-Id" => Some(" bob "),
            "X-Session-Id" => Some("s1"),
            _ => None,
        };
        let identified = identity.identify(None, header).unwrap();
        assert_eq!(identified.actor.unwrap().as_str(), "bob");
        assert_eq!(identified.session.unwrap().as_str(), "s1");
        assert_eq!(identity.identify(None, |_| Some("")).unwrap_err(), ScopeError::EmptyName);
        assert_eq!(identity.add_actor_header("X Actor"), Err(IdentityError::HeaderName));
        assert_eq!(identity.set_session_header(""), Err(IdentityError::HeaderName));
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_hops() {
        let peer = "198.51.100.1".parse().ok();
        let header = |name: &str| (name == "X-Forwarded-For").then_some("6.6.6.6, 203.0.113.9, 192.0.2.1");
        for (hops, expected) in
            [(0, "198.51.100.1"), (1, "192.0.2.1"), (2, "203.0.113.9"), (3, "6.6.6.6"), (4, "198.51.100.1")]
        {
            let identity = Identity { trusted_hops: hops, ..Identity::default() };
            let ip = identity.identify(peer, header).unwrap().ip.unwrap();
            assert_eq!(ip.to_string(), expected, "{hops} hops");
        }
        let identity = Identity { trusted_hops: 1, ..Identity::default() };
        assert_eq!(identity.identify(peer, |_| Some("unknown")).unwrap_err(), ScopeError::NotAnAddress);
    }
}
