//! What can be wrong with a configuration.

use core::fmt;

use governance::alerts::AlertError;
use governance::config::{BudgetError, IdentityError};
use governance::cost::CostError;
use governance::field::SpecError;
use governance::policy::PolicyError;
use governance::priority::PriorityError;
use governance::quota::QuotaError;
use governance::rate_limiter::LimitError;
use governance::routes::RouteError;
use governance::text::Text;
use governance::traffic::TrafficError;

use super::tables::ARRAYS;
use crate::toml::SyntaxError;

/// The name of what an entry of an array of tables describes, as long as the longest of them.
pub type EntryName = Text<88>;

/// What is wrong at one place of a configuration.
#[derive(Clone, Copy, Debug)]
pub enum ConfigError<'a> {
    /// The document is not TOML.
    Syntax(SyntaxError<'a>),
    /// There is no such table.
    UnknownTable(Text<40>),
    /// The table is written as `[name]` and has to be `[[name]]`, or the other way round.
    TableKind {
        /// How it has to be written.
        expected: &'static str,
    },
    /// The table has no such key.
    UnknownKey {
        /// The key.
        key: Text<40>,
        /// What there is instead.
        expected: ExpectedKey,
    },
    /// The value has another type than the key needs.
    Type {
        /// The key.
        key: Text<40>,
        /// What it needs.
        expected: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A field of an entry is wrong.
    Field(SpecError),
    /// An entry does not go with those before it.
    Conflict {
        /// What it describes.
        table: &'static str,
        /// Its name.
        name: EntryName,
        /// Why.
        conflict: Conflict,
    },
    /// A route is wrong.
    Route(RouteError),
    /// A part of the identity is wrong.
    Identity(IdentityError),
}

/// Why an entry does not go with those before it.
#[derive(Clone, Copy, Debug)]
pub enum Conflict {
    /// A limit.
    Limit(LimitError),
    /// A quota.
    Quota(QuotaError),
    /// A budget.
    Budget(BudgetError),
    /// A tenant, a model or a billing schedule.
    Cost(CostError),
    /// A policy.
    Policy(PolicyError),
    /// A service-level agreement, or the weight of a class.
    Priority(PriorityError),
    /// A breaker or a retry policy.
    Traffic(TrafficError),
    /// An alert.
    Alert(AlertError),
}

/// What is there where a key is unknown.
#[derive(Clone, Copy, Debug)]
pub enum ExpectedKey {
    /// Tables alone.
    Table,
    /// These keys.
    Keys(&'static str),
    /// One of these fields.
    Fields(&'static [&'static str]),
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::UnknownTable(name) => write!(f, "unknown table '{name}'; expected one of {Tables}"),
            Self::TableKind { expected } => write!(f, "expected {expected}"),
            Self::UnknownKey { key, expected } => write!(f, "unknown key '{key}'; expected {expected}"),
            Self::Type { key, expected, found } => write!(f, "{key}: expected {expected}, found {found}"),
            Self::Field(error) => error.fmt(f),
            Self::Conflict { table, name, conflict } => write!(f, "{table} '{name}': {conflict}"),
            Self::Route(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigError<'_> {}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(error) => error.fmt(f),
            Self::Quota(error) => error.fmt(f),
            Self::Budget(error) => error.fmt(f),
            Self::Cost(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Priority(error) => error.fmt(f),
            Self::Traffic(error) => error.fmt(f),
            Self::Alert(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for ExpectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => write!(f, "a table: one of {Tables}"),
            Self::Keys(keys) => f.write_str(keys),
            Self::Fields([fields @ .., last]) => {
                f.write_str("one of ")?;
                for (index, field) in fields.iter().enumerate() {
                    write!(f, "{}{field}", if index == 0 { "" } else { ", " })?;
                }
                write!(f, " and {last}")
            }
            Self::Fields([]) => Ok(()),
        }
    }
}

/// The tables of a configuration, as they are written.
struct Tables;

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[identity], [routes], [policy], [traffic]")?;
        for (index, array) in ARRAYS.iter().enumerate() {
            let gap = if index + 1 == ARRAYS.len() { " and " } else { ", " };
            write!(f, "{gap}[[{}]]", array.path)?;
        }
        Ok(())
    }
}
