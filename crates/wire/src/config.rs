//! Reads `weir.toml` into a [`Config`], and names everything that is wrong with it.
//!
//! [`ConfigReader::read`] goes through the whole document whatever it meets, so that every error is reported at once,
//! each with its position and what was expected. A document with an error leaves a [`Config`] that is not to be
//! used; one without can be applied, and nothing in it can fail then.

mod error;
mod tables;
#[cfg(test)]
mod tests;

use governance::config::{BudgetError, Config, IdentityError, TRUSTED_HOPS_MAX};
use governance::field::{FieldValue, Problem, SpecError};
use governance::loop_guard::GuardDraft;
use governance::policy::{DefaultEffect, POLICIES_MAX};
use governance::quota::ALLOCATIONS_MAX;
use governance::routes::RouteError;
use governance::text::Text;

use crate::toml::{Key, Path, Position, Reader, SyntaxError, TableKind, Value, Visitor};
pub use error::{ConfigError, Conflict, EntryName, ExpectedKey};
use tables::{ARRAYS, Entry};

/// The keys of `[policy]`.
const POLICY_KEYS: ExpectedKey = ExpectedKey::Keys("default, and [[policy.rule]] for each policy");
/// The keys of `[identity]`.
const IDENTITY_KEYS: ExpectedKey = ExpectedKey::Keys("actor_headers, session_header or trusted_hops");

/// Reads configurations, one at a time. All-zero when it is made.
#[derive(Debug)]
pub struct ConfigReader {
    toml: Reader,
    quotas: Places<ALLOCATIONS_MAX>,
    budgets: Places<ALLOCATIONS_MAX>,
    policies: Places<POLICIES_MAX>,
}

/// Where entries begin of which it is known whether they go together when all are there.
type Places<const ENTRIES: usize> = [Position; ENTRIES];

impl Default for ConfigReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigReader {
    /// A reader.
    #[must_use]
    pub const fn new() -> Self {
        const NOWHERE: Position = Position { line: 0, column: 0 };
        Self {
            toml: Reader::new(),
            quotas: [NOWHERE; ALLOCATIONS_MAX],
            budgets: [NOWHERE; ALLOCATIONS_MAX],
            policies: [NOWHERE; POLICIES_MAX],
        }
    }

    /// Reads `document` into `config`, which is emptied before, and calls `report` with every error. Returns how many
    /// there were: only with none is `config` to be used.
    pub fn read(
        &mut self,
        document: &[u8],
        config: &mut Config,
        report: &mut dyn FnMut(Position, ConfigError<'_>),
    ) -> usize {
        config.clear();
        let Self { toml, quotas, budgets, policies } = self;
        let (table, entry) = (Table::Root, None);
        let mut builder = Builder { config, report, errors: 0, table, entry, quotas, budgets, policies };
        let summary = toml.read(document, &mut builder);
        builder.finish_entry();
        builder.refuse_misfits();
        assert!(summary.errors <= builder.errors, "a syntax error was not reported");
        builder.errors
    }
}

/// The table that keys are in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Root,
    Identity,
    Routes,
    Policy,
    Traffic,
    /// The array of tables that [`Builder::entry`] is one of.
    Array,
    /// A table that was refused: what is in it is not looked at.
    Refused,
}

struct Builder<'a> {
    config: &'a mut Config,
    report: &'a mut dyn FnMut(Position, ConfigError<'_>),
    errors: usize,
    table: Table,
    /// The entry of an array of tables that is being read.
    entry: Option<Entry>,
    quotas: &'a mut Places<ALLOCATIONS_MAX>,
    budgets: &'a mut Places<ALLOCATIONS_MAX>,
    policies: &'a mut Places<POLICIES_MAX>,
}

impl Builder<'_> {
    fn refuse(&mut self, at: Position, error: ConfigError<'_>) {
        self.errors += 1;
        (self.report)(at, error);
        if let Some(entry) = &mut self.entry {
            entry.broken = true;
        }
    }

    fn finish_entry(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let (at, policies) = (entry.at(), self.config.policies().len());
        let (quotas, budgets) = (self.config.quotas().len(), self.config.budgets().len());
        entry.finish(self.config, |at, error| {
            self.errors += 1;
            (self.report)(at, error);
        });
        if self.config.quotas().len() > quotas {
            self.quotas[quotas] = at;
        }
        if self.config.budgets().len() > budgets {
            self.budgets[budgets] = at;
        }
        if self.config.policies().len() > policies {
            self.policies[policies] = at;
        }
    }

    /// Refuses the quotas, budgets and policies that do not go with the others: a parent may stand behind its children, and
    /// a limit behind the policy that throttles by it.
    fn refuse_misfits(&mut self) {
        let Self { config, report, errors, quotas, budgets, policies, .. } = self;
        let mut refuse = |at, table, name: &str, conflict| {
            *errors += 1;
            report(at, ConfigError::Conflict { table, name: EntryName::excerpt(name), conflict });
        };
        config.each_misfit_quota(|place, error| {
            refuse(quotas[place], "quota", config.quotas()[place].name.as_str(), Conflict::Quota(error));
        });
        config.each_misfit_budget(|place, error| {
            let conflict = Conflict::Budget(BudgetError::Quota(error));
            refuse(budgets[place], "budget", config.budgets()[place].name.as_str(), conflict);
        });
        config.each_misfit_policy(|place, error| {
            refuse(
                policies[place],
                "policy",
                config.policies()[place].name.as_str(),
                Conflict::Policy(error),
            );
        });
    }

    /// The table that a path leads to.
    fn table_of(&self, path: Path<'_>) -> Table {
        if self.entry.as_ref().is_some_and(|entry| entry.array.is_at(path)) {
            return Table::Array;
        }
        let mut parts = path.parts();
        match (parts.next(), parts.next()) {
            (None, _) => Table::Root,
            (Some("identity"), None) => Table::Identity,
            (Some("routes"), None) => Table::Routes,
            (Some("policy"), None) => Table::Policy,
            (Some("traffic"), None) => Table::Traffic,
            _ => Table::Refused,
        }
    }

    fn identity_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        let result = match (key.name, value) {
            ("session_header", Value::String(name)) => self.config.identity.set_session_header(name),
            ("trusted_hops", Value::Integer(hops)) => match u8::try_from(hops) {
                Ok(hops) if hops <= TRUSTED_HOPS_MAX => {
                    self.config.identity.trusted_hops = hops;
                    Ok(())
                }
                _ => Err(IdentityError::TrustedHops),
            },
            ("session_header", _) => return self.refuse_type(key, value, "a string", at),
            ("trusted_hops", _) => return self.refuse_type(key, value, "an integer", at),
            ("actor_headers", _) => return self.refuse_type(key, value, "an array of strings", at),
            _ => return self.refuse_key(key, IDENTITY_KEYS),
        };
        if let Err(error) = result {
            self.refuse(at, ConfigError::Identity(error));
        }
    }

    fn policy_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        match (key.name, value) {
            ("default", Value::String(word)) => match DefaultEffect::from_word(word) {
                Some(default) => self.config.policy_default = default,
                None => {
                    let problem = Problem::NotOneOf(&DefaultEffect::WORDS);
                    self.refuse(at, ConfigError::Field(SpecError { field: "default", problem }));
                }
            },
            ("default", _) => self.refuse_type(key, value, "a string", at),
            _ => self.refuse_key(key, POLICY_KEYS),
        }
    }

    fn route_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        match value {
            Value::String(group) => {
                if let Err(error) = self.config.routes.add(key.name, group) {
                    let at = if matches!(error, RouteError::Group(_)) { at } else { key.at };
                    self.refuse(at, ConfigError::Route(error));
                }
            }
            _ => self.refuse_type(key, value, "the name of a group as a string", at),
        }
    }

    /// Each field by itself makes settings that are whole, so that there is nothing to finish.
    fn traffic_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        let mut draft = GuardDraft::from_settings(&self.config.guard);
        match draft.set(key.name, field_value(value)).and_then(|()| draft.finish()) {
            Ok(settings) => self.config.guard = settings,
            Err(SpecError { problem: Problem::Unknown(fields), .. }) => {
                self.refuse_key(key, ExpectedKey::Fields(fields));
            }
            Err(error) => self.refuse(at, ConfigError::Field(error)),
        }
    }

    fn entry_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        let Some(entry) = &mut self.entry else { return };
        match entry.set(key.name, field_value(value), at) {
            Ok(()) => {}
            Err(SpecError { problem: Problem::Unknown(_), .. }) => {
                let fields = entry.array.fields;
                self.refuse_key(key, ExpectedKey::Fields(fields));
            }
            Err(error) => self.refuse(at, ConfigError::Field(error)),
        }
    }

    fn refuse_key(&mut self, key: Key<'_>, expected: ExpectedKey) {
        self.refuse(key.at, ConfigError::UnknownKey { key: Text::excerpt(key.name), expected });
    }

    fn refuse_type(&mut self, key: Key<'_>, value: Value<'_>, expected: &'static str, at: Position) {
        let key = Text::excerpt(key.name);
        self.refuse(at, ConfigError::Type { key, expected, found: value.type_name() });
    }
}

/// A value as the drafts take it.
const fn field_value(value: Value<'_>) -> FieldValue<'_> {
    match value {
        Value::String(text) => FieldValue::Text(text),
        Value::Integer(number) => FieldValue::Integer(number),
        Value::Float(_) => FieldValue::Fraction,
        Value::Boolean(flag) => FieldValue::Boolean(flag),
        Value::DateTime(_) => FieldValue::Other,
    }
}

impl Visitor for Builder<'_> {
    fn table(&mut self, path: Path<'_>, kind: TableKind, at: Position) {
        self.finish_entry();
        let mut parts = path.parts();
        let (name, inner) = (parts.next().unwrap_or_default(), parts.next());
        let array = ARRAYS.iter().find(|array| array.is_at(path));
        let error = match (name, kind, inner, array) {
            ("identity" | "routes" | "policy" | "traffic", TableKind::Table, None, _) => return,
            (_, TableKind::ArrayElement, _, Some(array)) => {
                self.entry = Some(Entry::new(array, at));
                return;
            }
            ("identity", _, None, _) => {
                ConfigError::TableKind { expected: "[identity], which is there once" }
            }
            ("routes", _, None, _) => ConfigError::TableKind { expected: "[routes], which is there once" },
            ("traffic", _, None, _) => ConfigError::TableKind { expected: "[traffic], which is there once" },
            ("policy", _, None, _) => ConfigError::TableKind {
                expected: "[policy], which is there once, and [[policy.rule]] for each policy",
            },
            (_, _, _, Some(array)) => ConfigError::TableKind { expected: array.written },
            _ => ConfigError::UnknownTable(Text::excerpt(inner.unwrap_or(name))),
        };
        self.refuse(at, error);
    }

    fn value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        self.table = self.table_of(key.table);
        match self.table {
            Table::Root => self.refuse_key(key, ExpectedKey::Table),
            Table::Identity => self.identity_value(key, value, at),
            Table::Routes => self.route_value(key, value, at),
            Table::Policy => self.policy_value(key, value, at),
            Table::Traffic => self.traffic_value(key, value, at),
            Table::Array => self.entry_value(key, value, at),
            Table::Refused => {}
        }
    }

    fn array(&mut self, key: Key<'_>, at: Position) {
        self.table = self.table_of(key.table);
        let name = Text::excerpt(key.name);
        let found = "an array";
        match (self.table, key.name) {
            (Table::Identity, "actor_headers") => self.config.identity.clear_actor_headers(),
            (Table::Identity, "session_header" | "trusted_hops") => {
                self.refuse(at, ConfigError::Type { key: name, expected: "a single value", found });
            }
            (Table::Identity, _) => self.refuse_key(key, IDENTITY_KEYS),
            (Table::Routes, _) => {
                self.refuse(
                    at,
                    ConfigError::Type { key: name, expected: "the name of a group as a string", found },
                );
            }
            (Table::Array | Table::Policy | Table::Traffic, _) => {
                self.refuse(at, ConfigError::Type { key: name, expected: "a single value", found });
            }
            (Table::Root, _) => self.refuse_key(key, ExpectedKey::Table),
            (Table::Refused, _) => {}
        }
    }

    fn element(&mut self, key: Key<'_>, _: usize, value: Value<'_>, at: Position) {
        if self.table != Table::Identity || key.name != "actor_headers" {
            return;
        }
        match value {
            Value::String(name) => {
                if let Err(error) = self.config.identity.add_actor_header(name) {
                    self.refuse(at, ConfigError::Identity(error));
                }
            }
            _ => self.refuse_type(key, value, "strings", at),
        }
    }

    fn error(&mut self, at: Position, error: SyntaxError<'_>) {
        self.refuse(at, ConfigError::Syntax(error));
    }
}
