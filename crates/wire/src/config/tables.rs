//! The arrays of tables of a configuration: which there are, and how an entry of each becomes a part of a [`Config`].
//!
//! An entry is collected in a draft of the engine's, field by field; [`TableDraft`] is what the drafts have in common,
//! [`ARRAYS`] lists them, and [`Entry`] knows where in the document each field stands.

use governance::config::Config;
use governance::field::{FieldValue, Problem, SpecError};
use governance::limit::{self, LimitDraft};

use super::error::{ConfigError, Conflict, EntryName};
use crate::toml::Position;

/// An array of tables.
pub(super) struct ArrayTable {
    /// Its name, which is what an entry describes.
    pub(super) name: &'static str,
    /// How it has to be written.
    pub(super) written: &'static str,
    /// The fields of an entry.
    pub(super) fields: &'static [&'static str],
    /// An entry of which nothing is known.
    draft: fn() -> Draft,
}

/// Every array of tables, in the order in which they are named to users.
pub(super) const ARRAYS: &[ArrayTable] = &[ArrayTable {
    name: "limit",
    written: "[[limit]], one for each limit",
    fields: &limit::FIELDS,
    draft: || Draft::Limit(LimitDraft::default()),
}];

/// The draft of an entry.
enum Draft {
    Limit(LimitDraft),
}

impl Draft {
    fn table(&mut self) -> &mut dyn TableDraft {
        match self {
            Self::Limit(draft) => draft,
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

/// A draft whose specification has a `name`, and which `$add` adds to a configuration.
macro_rules! table_draft {
    ($draft:ty, $add:path, $conflict:path) => {
        impl TableDraft for $draft {
            fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
                self.set(field, value)
            }

            fn each_problem(&self, each: &mut dyn FnMut(SpecError)) {
                self.each_problem(each);
            }

            fn add_to(&self, config: &mut Config) -> Addition {
                let Ok(spec) = self.finish() else { return Addition::NotWhole };
                match $add(config, &spec) {
                    Ok(()) => Addition::Added,
                    Err(error) => {
                        Addition::Conflict(EntryName::excerpt(spec.name.as_str()), $conflict(error))
                    }
                }
            }
        }
    };
}

table_draft!(LimitDraft, Config::add_limit, Conflict::Limit);

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
