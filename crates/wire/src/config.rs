//! Reads `weir.toml` into a [`Config`], and names everything that is wrong with it.
//!
//! [`ConfigReader::read`] goes through the whole document whatever it meets, so that every error is reported at once,
//! each with its position and what was expected. A document with an error leaves a [`Config`] that is not to be
//! used; one without can be applied, and nothing in it can fail then.

use core::fmt;

use governance::config::{Config, IdentityError};
use governance::field::{FieldValue, Problem, SpecError};
use governance::limit::{FIELDS, LimitDraft, LimitName};
use governance::rate_limiter::LimitError;
use governance::routes::RouteError;
use governance::text::Text;

use crate::toml::{Key, Path, Position, Reader, SyntaxError, TableKind, Value, Visitor};

/// The tables of a configuration.
const TABLES: &str = "[identity], [routes] and [[limit]]";

/// The keys of `[[limit]]`.
const LIMIT_KEYS: &str =
    "one of scope, name, algorithm, capacity, rate, limit, window, lease, unit, align, enabled and mode";

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
        /// The keys that it has.
        expected: &'static str,
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
    /// A field of a limit is wrong.
    Limit(SpecError),
    /// A limit does not go with those before it.
    Conflict {
        /// Its name.
        name: LimitName,
        /// Why.
        error: LimitError,
    },
    /// A route is wrong.
    Route(RouteError),
    /// A part of the identity is wrong.
    Identity(IdentityError),
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::UnknownTable(name) => write!(f, "unknown table '{name}'; expected one of {TABLES}"),
            Self::TableKind { expected } => write!(f, "expected {expected}"),
            Self::UnknownKey { key, expected } => write!(f, "unknown key '{key}'; expected {expected}"),
            Self::Type { key, expected, found } => write!(f, "{key}: expected {expected}, found {found}"),
            Self::Limit(error) => error.fmt(f),
            Self::Conflict { name, error } => write!(f, "limit '{name}': {error}"),
            Self::Route(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigError<'_> {}

/// Reads configurations, one at a time. All-zero when it is made.
#[derive(Debug)]
pub struct ConfigReader {
    toml: Reader,
}

impl Default for ConfigReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigReader {
    /// A reader.
    #[must_use]
    pub const fn new() -> Self {
        Self { toml: Reader::new() }
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
        let mut builder = Builder { config, report, errors: 0, table: Table::Root, draft: None };
        let summary = self.toml.read(document, &mut builder);
        builder.finish_limit();
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
    Limit,
    /// A table that was refused: what is in it is not looked at.
    Refused,
}

/// A limit whose fields are being read.
struct Draft {
    draft: LimitDraft,
    at: Position,
    /// Where the value of each field is, in the order of [`FIELDS`].
    values: [Option<Position>; FIELDS.len()],
    /// Something in it was refused, so that a field may be missing for that reason alone.
    broken: bool,
}

struct Builder<'a> {
    config: &'a mut Config,
    report: &'a mut dyn FnMut(Position, ConfigError<'_>),
    errors: usize,
    table: Table,
    draft: Option<Draft>,
}

impl Builder<'_> {
    fn refuse(&mut self, at: Position, error: ConfigError<'_>) {
        self.errors += 1;
        (self.report)(at, error);
        if let Some(draft) = &mut self.draft {
            draft.broken = true;
        }
    }

    fn finish_limit(&mut self) {
        let Some(Draft { draft, at, values, broken }) = self.draft.take() else { return };
        if let Ok(spec) = draft.finish() {
            if let Err(error) = self.config.add_limit(&spec) {
                self.refuse(at, ConfigError::Conflict { name: spec.name, error });
            }
            return;
        }
        draft.each_problem(|error| {
            let is_missing = matches!(error.problem, Problem::Missing | Problem::MissingFor(..));
            if !(broken && is_missing) {
                let field = FIELDS.iter().position(|field| *field == error.field);
                let value = field.and_then(|field| values[field]);
                self.refuse(value.unwrap_or(at), ConfigError::Limit(error));
            }
        });
    }

    /// The table that a path leads to.
    fn table_of(&self, path: Path<'_>) -> Table {
        let mut parts = path.parts();
        match (parts.next(), parts.next()) {
            (None, _) => Table::Root,
            (Some("identity"), None) => Table::Identity,
            (Some("routes"), None) => Table::Routes,
            (Some("limit"), None) if self.draft.is_some() => Table::Limit,
            _ => Table::Refused,
        }
    }

    fn identity_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        let result = match (key.name, value) {
            ("session_header", Value::String(name)) => self.config.identity.set_session_header(name),
            ("trusted_hops", Value::Integer(hops)) => match u8::try_from(hops) {
                Ok(hops) if hops <= governance::config::TRUSTED_HOPS_MAX => {
                    self.config.identity.trusted_hops = hops;
                    Ok(())
                }
                _ => Err(IdentityError::TrustedHops),
            },
            ("session_header", _) => return self.refuse_type(key, value, "a string", at),
            ("trusted_hops", _) => return self.refuse_type(key, value, "an integer", at),
            ("actor_headers", _) => return self.refuse_type(key, value, "an array of strings", at),
            _ => return self.refuse_key(key, "actor_headers, session_header or trusted_hops"),
        };
        if let Err(error) = result {
            self.refuse(at, ConfigError::Identity(error));
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

    fn limit_value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        let field = match value {
            Value::String(text) => FieldValue::Text(text),
            Value::Integer(number) => FieldValue::Integer(number),
            Value::Float(_) => FieldValue::Fraction,
            Value::Boolean(flag) => FieldValue::Boolean(flag),
            Value::DateTime(_) => FieldValue::Other,
        };
        let Some(draft) = &mut self.draft else { return };
        match draft.draft.set(key.name, field) {
            Ok(()) => {
                if let Some(field) = FIELDS.iter().position(|field| *field == key.name) {
                    draft.values[field] = Some(at);
                }
            }
            Err(SpecError { problem: Problem::Unknown(_), .. }) => self.refuse_key(key, LIMIT_KEYS),
            Err(error) => self.refuse(at, ConfigError::Limit(error)),
        }
    }

    fn refuse_key(&mut self, key: Key<'_>, expected: &'static str) {
        self.refuse(key.at, ConfigError::UnknownKey { key: Text::excerpt(key.name), expected });
    }

    fn refuse_type(&mut self, key: Key<'_>, value: Value<'_>, expected: &'static str, at: Position) {
        let key = Text::excerpt(key.name);
        self.refuse(at, ConfigError::Type { key, expected, found: value.type_name() });
    }
}

impl Visitor for Builder<'_> {
    fn table(&mut self, path: Path<'_>, kind: TableKind, at: Position) {
        self.finish_limit();
        let mut parts = path.parts();
        let (name, inner) = (parts.next().unwrap_or_default(), parts.next());
        let error = match (name, kind, inner) {
            ("identity" | "routes", TableKind::Table, None) => return,
            ("limit", TableKind::ArrayElement, None) => {
                self.draft = Some(Draft {
                    draft: LimitDraft::default(),
                    at,
                    values: [None; FIELDS.len()],
                    broken: false,
                });
                return;
            }
            ("identity", _, None) => ConfigError::TableKind { expected: "[identity], which is there once" },
            ("routes", _, None) => ConfigError::TableKind { expected: "[routes], which is there once" },
            ("limit", _, None) => ConfigError::TableKind { expected: "[[limit]], one for each limit" },
            _ => ConfigError::UnknownTable(Text::excerpt(inner.unwrap_or(name))),
        };
        self.refuse(at, error);
    }

    fn value(&mut self, key: Key<'_>, value: Value<'_>, at: Position) {
        self.table = self.table_of(key.table);
        match self.table {
            Table::Root => self.refuse_key(key, "a table: one of [identity], [routes] and [[limit]]"),
            Table::Identity => self.identity_value(key, value, at),
            Table::Routes => self.route_value(key, value, at),
            Table::Limit => self.limit_value(key, value, at),
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
            (Table::Identity, _) => self.refuse_key(key, "actor_headers, session_header or trusted_hops"),
            (Table::Routes, _) => {
                self.refuse(
                    at,
                    ConfigError::Type { key: name, expected: "the name of a group as a string", found },
                );
            }
            (Table::Limit, _) => {
                self.refuse(at, ConfigError::Type { key: name, expected: "a single value", found });
            }
            (Table::Root, _) => self.refuse_key(key, "a table: one of [identity], [routes] and [[limit]]"),
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

#[cfg(test)]
mod tests {
    use super::ConfigReader;
    use governance::config::Config;

    /// Reads a document, and gives back its errors as they are shown.
    fn read(document: &str) -> (Box<Config>, Vec<String>) {
        let mut config = Box::new(Config::new());
        let mut errors = Vec::new();
        let count = ConfigReader::new()
            .read(document.as_bytes(), &mut config, &mut |at, error| errors.push(format!("{at}: {error}")));
        assert_eq!(count, errors.len());
        (config, errors)
    }

    const GOOD: &str = r#"
[identity]
actor_headers = ["X-Actor", "X-User-Id"]
session_header = "X-Session-Id"
trusted_hops = 1

[routes]
"/api/v1/chat" = "chat"
"/healthz" = "exempt"

[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 10
rate = "1/s"

[[limit]]
scope = "service:web"
algorithm = "fixed-window"
limit = 300
window = "60s"
align = "clock"
"#;

    #[test]
    fn a_good_document_is_taken_whole() {
        let (config, errors) = read(GOOD);
        assert_eq!(errors, [""; 0]);
        let names: Vec<_> = config.limits().iter().map(|spec| spec.name.to_string()).collect();
        assert_eq!(names, ["ip:*", "service:web"]);
        assert_eq!(config.routes.group_of(b"/api/v1/chat/1").as_str(), "chat");
        assert_eq!(config.identity.actor_headers().collect::<Vec<_>>(), ["X-Actor", "X-User-Id"]);
        assert_eq!(config.identity.trusted_hops, 1);
    }

    #[test]
    fn every_error_is_reported_where_it_is() {
        let (_, errors) = read(
            r#"
colour = "red"
[identity]
trusted_hops = 99
[routes]
"chat" = "chat"
"/x" = 3
[server]
port = 80
[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 0
rate = "1/s"
[[limit]]
scope = "planet:mars"
algorithm = "guess"
[[limit]]
scope = "user:*"
algorithm = "fixed-window"
limit = 1.5
burst = 3
[limits]
[[limit]]
scope = "user:a"
algorithm = "token-bucket"
capacity = 1
"#,
        );
        let starts: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
        assert_eq!(
            starts,
            [
                "line 2, column 1",
                "line 4, column 16",
                "line 6, column 1",
                "line 7, column 8",
                "line 8, column 1",
                "line 13, column 12",
                "line 16, column 9",
                "line 17, column 13",
                "line 21, column 9",
                "line 22, column 1",
                "line 23, column 1",
                "line 24, column 1",
            ],
            "{errors:#?}"
        );
        assert!(errors[11].ends_with("rate: missing; algorithm token-bucket needs it"), "{}", errors[11]);
    }

    #[test]
    fn every_field_that_is_wrong_in_a_limit_is_named_where_it_stands() {
        let (_, errors) = read(
            "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"fixed-window\"\ncapacity = 3\nrate = \"1/s\"\n\n[[limit]]\n\
             scope = \"user:*\"\nalgorithm = \"token-bucket\"\ncapacity = 9223372036854775807\nrate = \"1/1d\"\n",
        );
        assert_eq!(
            errors,
            [
                "line 4, column 12: capacity: does not go with algorithm fixed-window, which takes limit, window and align",
                "line 5, column 8: rate: does not go with algorithm fixed-window, which takes limit, window and align",
                "line 1, column 1: limit: missing; algorithm fixed-window needs it",
                "line 1, column 1: window: missing; algorithm fixed-window needs it",
                "line 10, column 12: capacity: times its period is 2^100 ns or more; choose a smaller one or a shorter period",
            ]
        );
    }

    #[test]
    fn limits_that_do_not_go_together_are_named() {
        let twice = format!("{GOOD}\n[[limit]]\nscope = \"ip:*\"\nalgorithm = \"ban\"\n");
        let (_, errors) = read(&twice);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("limit 'ip:*': a limit of that name exists"), "{}", errors[0]);
    }

    #[test]
    fn a_document_that_is_cut_off_anywhere_is_refused_or_shorter() {
        for end in 0..GOOD.len() {
            let (config, errors) = read(&GOOD[..end]);
            assert!(!errors.is_empty() || config.limits().len() <= 2);
        }
        let (_, errors) = read(&GOOD[..GOOD.find("token-bucket").unwrap()]);
        assert!(!errors.is_empty());
    }
}
