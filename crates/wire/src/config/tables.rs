//! The arrays of tables of a configuration: which there are, and how an entry of each becomes a part of a [`Config`].
//!
//! An entry is collected in a draft of the engine's, field by field; [`TableDraft`] is what the drafts have in common,
//! [`ARRAYS`] lists them, and [`Entry`] knows where in the document each field stands.

use governance::alerts::{self, AlertDraft};
use governance::breaker::{self, BreakerDraft};
use governance::config::Config;
use governance::cost::{self, BillingDraft, BudgetDraft, ModelDraft, TenantDraft};
use governance::field::{FieldValue, Problem, SpecError};
use governance::limit::{self, LimitDraft};
use governance::policy::{self, PolicyDraft};
use governance::priority::{self, ClassDraft, SlaDraft};
use governance::quota::{self, QuotaDraft};
use governance::retry::{self, RetryDraft};

use super::error::{ConfigError, Conflict, EntryName};
use crate::toml::{Path, Position};

/// An array of tables.
pub(super) struct ArrayTable {
    /// What an entry describes.
    pub(super) name: &'static str,
    /// Its path from the root of the document.
    pub(super) path: &'static str,
    /// How it has to be written.
    pub(super) written: &'static str,
    /// The fields of an entry.
    pub(super) fields: &'static [&'static str],
    /// An entry of which nothing is known.
    draft: fn() -> Draft,
}

impl ArrayTable {
    /// Whether it is the table at `path`.
    pub(super) fn is_at(&self, path: Path<'_>) -> bool {
        self.path.split('.').eq(path.parts())
    }
}

/// Every array of tables, in the order in which they are named to users.
pub(super) const ARRAYS: &[ArrayTable] = &[
    ArrayTable {
        name: "limit",
        path: "limit",
        written: "[[limit]], one for each limit",
        fields: &limit::FIELDS,
        draft: || Draft::Limit(LimitDraft::default()),
    },
    ArrayTable {
        name: "tenant",
        path: "tenant",
        written: "[[tenant]], one for each tenant",
        fields: &cost::TENANT_FIELDS,
        draft: || Draft::Tenant(TenantDraft::default()),
    },
    ArrayTable {
        name: "quota",
        path: "quota",
        written: "[[quota]], one for each quota",
        fields: &quota::FIELDS,
        draft: || Draft::Quota(QuotaDraft::default()),
    },
    ArrayTable {
        name: "model",
        path: "model",
        written: "[[model]], one for each service that has a price",
        fields: &cost::MODEL_FIELDS,
        draft: || Draft::Model(ModelDraft::default()),
    },
    ArrayTable {
        name: "budget",
        path: "budget",
        written: "[[budget]], one for each budget",
        fields: &cost::BUDGET_FIELDS,
        draft: || Draft::Budget(BudgetDraft::default()),
    },
    ArrayTable {
        name: "billing",
        path: "billing",
        written: "[[billing]], one for each billing schedule",
        fields: &cost::BILLING_FIELDS,
        draft: || Draft::Billing(BillingDraft::default()),
    },
    ArrayTable {
        name: "policy",
        path: "policy.rule",
        written: "[[policy.rule]], one for each policy",
        fields: &policy::FIELDS,
        draft: || Draft::Policy(PolicyDraft::default()),
    },
    ArrayTable {
        name: "sla",
        path: "sla",
        written: "[[sla]], one for each service that has a queue",
        fields: &priority::SLA_FIELDS,
        draft: || Draft::Sla(SlaDraft::default()),
    },
    ArrayTable {
        name: "class",
        path: "class",
        written: "[[class]], one for each class whose weight is not the usual one",
        fields: &priority::CLASS_FIELDS,
        draft: || Draft::Class(ClassDraft::default()),
    },
    ArrayTable {
        name: "breaker",
        path: "breaker",
        written: "[[breaker]], one for each scope that has a circuit breaker",
        fields: &breaker::BREAKER_FIELDS,
        draft: || Draft::Breaker(BreakerDraft::default()),
    },
    ArrayTable {
        name: "retry",
        path: "retry",
        written: "[[retry]], one for each scope that has a retry policy",
        fields: &retry::RETRY_FIELDS,
        draft: || Draft::Retry(RetryDraft::default()),
    },
    ArrayTable {
        name: "alert",
        path: "alert",
        written: "[[alert]], one for each alert",
        fields: &alerts::ALERT_FIELDS,
        draft: || Draft::Alert(AlertDraft::default()),
    },
];

/// The draft of an entry.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum Draft {
    Limit(LimitDraft),
    Tenant(TenantDraft),
    Quota(QuotaDraft),
    Model(ModelDraft),
    Budget(BudgetDraft),
    Billing(BillingDraft),
    Policy(PolicyDraft),
    Sla(SlaDraft),
    Class(ClassDraft),
    Breaker(BreakerDraft),
    Retry(RetryDraft),
    Alert(AlertDraft),
}

impl Draft {
    fn table(&mut self) -> &mut dyn TableDraft {
        match self {
            Self::Limit(draft) => draft,
            Self::Tenant(draft) => draft,
            Self::Quota(draft) => draft,
            Self::Model(draft) => draft,
            Self::Budget(draft) => draft,
            Self::Billing(draft) => draft,
            Self::Policy(draft) => draft,
            Self::Sla(draft) => draft,
            Self::Class(draft) => draft,
            Self::Breaker(draft) => draft,
            Self::Retry(draft) => draft,
            Self::Alert(draft) => draft,
        }
    }
}

/// What the drafts of entries have in common.
trait TableDraft {
    /// Sets one field, or leaves the draft as it was.
    fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError>;

    /// Calls `each` with everything that keeps the draft from being whole.
    fn each_problem(&self, each: &mut dyn FnMut(SpecError));

    /// Adds what the draft describes to `config`, which is left as it was if that fails.
    fn add_to(&self, config: &mut Config) -> Addition;
}

/// What became of a draft.
enum Addition {
    /// What it describes is in the configuration.
    Added,
    /// It is not whole; [`TableDraft::each_problem`] says why.
    NotWhole,
    /// It does not go with those before it.
    Conflict(EntryName, Conflict),
}

/// A draft, what adds its specification to a configuration, and what of that is its name.
macro_rules! table_draft {
    ($draft:ty, $add:path, $conflict:path, |$spec:ident| $name:expr) => {
        impl TableDraft for $draft {
            fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
                self.set(field, value)
            }

            fn each_problem(&self, each: &mut dyn FnMut(SpecError)) {
                self.each_problem(each);
            }

            fn add_to(&self, config: &mut Config) -> Addition {
                let Ok($spec) = self.finish() else { return Addition::NotWhole };
                match $add(config, &$spec) {
                    Ok(()) => Addition::Added,
                    Err(error) => {
                        let name = EntryName::format(format_args!("{}", $name)).unwrap_or_default();
                        Addition::Conflict(name, $conflict(error))
                    }
                }
            }
        }
    };
}

table_draft!(LimitDraft, Config::add_limit, Conflict::Limit, |spec| spec.name.as_str());
table_draft!(TenantDraft, Config::add_tenant, Conflict::Cost, |spec| spec.name.as_str());
table_draft!(QuotaDraft, Config::add_quota, Conflict::Quota, |spec| spec.name.as_str());
table_draft!(ModelDraft, Config::add_model, Conflict::Cost, |spec| spec.service.as_str());
table_draft!(BudgetDraft, Config::add_budget, Conflict::Budget, |spec| spec.quota.name.as_str());
table_draft!(BillingDraft, Config::add_schedule, Conflict::Cost, |spec| spec.tenant.as_str());
table_draft!(PolicyDraft, Config::add_policy, Conflict::Policy, |rule| rule.name.as_str());
table_draft!(SlaDraft, Config::add_sla, Conflict::Priority, |sla| sla.service_id.as_str());
table_draft!(ClassDraft, Config::add_class, Conflict::Priority, |class| class.class.word());
table_draft!(BreakerDraft, Config::add_breaker, Conflict::Traffic, |breaker| breaker.scope);
table_draft!(RetryDraft, Config::add_retry, Conflict::Traffic, |retry| retry.scope);
table_draft!(AlertDraft, Config::add_alert, Conflict::Alert, |alert| alert.name.as_str());

/// The most fields that an entry has.
const FIELDS_MAX: usize = {
    let (mut most, mut index) = (0, 0);
    while index < ARRAYS.len() {
        let fields = ARRAYS[index].fields.len();
        most = if fields > most { fields } else { most };
        index += 1;
    }
    most
};

/// An entry whose fields are being read.
pub(super) struct Entry {
    pub(super) array: &'static ArrayTable,
    draft: Draft,
    at: Position,
    /// Where the value of each field is, in the order of the array's fields.
    values: [Option<Position>; FIELDS_MAX],
    /// Something in it was refused, so that a field may be missing for that reason alone.
    pub(super) broken: bool,
}

impl Entry {
    /// An entry that begins at `at`.
    pub(super) fn new(array: &'static ArrayTable, at: Position) -> Self {
        Self { array, draft: (array.draft)(), at, values: [None; FIELDS_MAX], broken: false }
    }

    /// Sets the field `name` to the value at `at`.
    pub(super) fn set(&mut self, name: &str, value: FieldValue<'_>, at: Position) -> Result<(), SpecError> {
        self.draft.table().set(name, value)?;
        if let Some(field) = self.array.fields.iter().position(|field| *field == name) {
            self.values[field] = Some(at);
        }
        Ok(())
    }

    /// Where it begins.
    pub(super) const fn at(&self) -> Position {
        self.at
    }

    /// Adds the entry to `config`, or calls `refuse` with everything that is wrong with it.
    pub(super) fn finish(
        mut self,
        config: &mut Config,
        mut refuse: impl FnMut(Position, ConfigError<'static>),
    ) {
        let Self { array, at, values, broken, .. } = self;
        let draft = self.draft.table();
        match draft.add_to(config) {
            Addition::Added => {}
            Addition::Conflict(name, conflict) => {
                refuse(at, ConfigError::Conflict { table: array.name, name, conflict });
            }
            Addition::NotWhole => draft.each_problem(&mut |error| {
                let is_missing = matches!(error.problem, Problem::Missing | Problem::MissingFor(..));
                if !(broken && is_missing) {
                    let field = array.fields.iter().position(|field| *field == error.field);
                    let value = field.and_then(|field| values[field]);
                    refuse(value.unwrap_or(at), ConfigError::Field(error));
                }
            }),
        }
    }
}
