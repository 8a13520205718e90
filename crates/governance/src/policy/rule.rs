//! A policy as it is configured: one rule with a name.

use super::condition::{Attribute, Condition};
use super::error::ConditionError;
use crate::field::{Problem, Quoted, SpecError};
use crate::limit::LimitName;
use crate::mode::Mode;
use crate::scope::{Name, NameRef};
use crate::text::Text;
use core::cmp::Ordering;
use core::fmt;

/// The name of a policy.
pub type PolicyName = Name;
/// The priority of a policy that says nothing else.
pub const PRIORITY_DEFAULT: u8 = 100;

/// What a policy is about. It sorts policies for a reader; each is decided in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyType {
    /// Who may do what.
    #[default]
    Authorization,
    /// Who may call at all.
    Authentication,
    /// How fast.
    RateLimit,
    /// How much.
    Quota,
    /// Where to, and in what form.
    Transformation,
}

impl PolicyType {
    /// Every type.
    pub const ALL: [Self; 5] =
        [Self::RateLimit, Self::Quota, Self::Authentication, Self::Authorization, Self::Transformation];
    /// The words that users write, in the same order.
    pub const WORDS: [&'static str; 5] =
        ["rate-limit", "quota", "authentication", "authorization", "transformation"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::Quota => "quota",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Transformation => "transformation",
        }
    }

    /// The type that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy_type| policy_type.word() == word)
    }
}

/// What kind of thing a policy does with a request that it matches, least restrictive first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// Allows it, unless another policy denies it.
    #[default]
    Allow,
    /// Takes note of it.
    Log,
    /// Takes note of it, for somebody to see.
    Alert,
    /// Charges it to a limit.
    Throttle,
    /// Sends it to another service.
    Redirect,
    /// Denies it.
    Deny,
}

impl ActionKind {
    /// Every kind, least restrictive first.
    pub const ALL: [Self; 6] =
        [Self::Allow, Self::Log, Self::Alert, Self::Throttle, Self::Redirect, Self::Deny];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Log => "log",
            Self::Alert => "alert",
            Self::Throttle => "throttle",
            Self::Redirect => "redirect",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a policy does with a request that it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Allows it, unless another policy denies it.
    #[default]
    Allow,
    /// Denies it.
    Deny,
    /// Charges it to the limit of this name as well.
    Throttle(LimitName),
    /// Takes note of it.
    Log,
    /// Takes note of it, for somebody to see.
    Alert,
    /// Sends it to the service of this name.
    Redirect(Name),
}

impl Action {
    /// What is expected of a text of an action.
    const EXPECTED: &'static str = "allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE";

    /// The kind of it.
    #[must_use]
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::Allow => ActionKind::Allow,
            Self::Deny => ActionKind::Deny,
            Self::Throttle(_) => ActionKind::Throttle,
            Self::Log => ActionKind::Log,
            Self::Alert => ActionKind::Alert,
            Self::Redirect(_) => ActionKind::Redirect,
        }
    }

    /// Reads it as a user writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let (word, target) = match text.split_once(':') {
            Some((word, target)) => (word.trim(), Some(target.trim())),
            None => (text.trim(), None),
        };
        match (word, target) {
            ("allow", None) => Ok(Self::Allow),
            ("deny", None) => Ok(Self::Deny),
            ("log", None) => Ok(Self::Log),
            ("alert", None) => Ok(Self::Alert),
            ("throttle", Some(limit)) if !limit.is_empty() => {
                if limit.bytes().any(|byte| byte.is_ascii_control()) {
                    return Err(Problem::Name(crate::scope::ScopeError::ControlCharacter));
                }
                LimitName::new(limit)
                    .map(Self::Throttle)
                    .map_err(|_| Problem::Expected("the name of a limit after throttle:, at most 88 bytes"))
            }
            ("redirect", Some(service)) => {
                let name = NameRef::printable(service).map_err(Problem::Name)?;
                Ok(Self::Redirect(Text::excerpt(name.as_str())))
            }
            _ => Err(Problem::Expected(Self::EXPECTED)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttle(limit) => write!(f, "throttle:{limit}"),
            Self::Redirect(service) => write!(f, "redirect:{service}"),
            Self::Allow | Self::Deny | Self::Log | Self::Alert => f.write_str(self.kind().word()),
        }
    }
}

/// What becomes of a request that no policy allows or denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DefaultEffect {
    /// It is allowed.
    #[default]
    Allow,
    /// It is denied.
    Deny,
}

impl DefaultEffect {
    /// The words that users write.
    pub const WORDS: [&'static str; 2] = ["allow", "deny"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// The effect that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|effect| effect.word() == word)
    }
}

impl fmt::Display for DefaultEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A policy: what it does with which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// Its name, which no other policy bears.
    pub name: PolicyName,
    /// What it is about.
    pub policy_type: PolicyType,
    /// Which requests it matches.
    pub condition: Condition,
    /// What it does with them.
    pub action: Action,
    /// Which of several policies that do equally much speaks: the one with the smaller number.
    pub priority: u8,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whether a request that it matches goes to the audit log, also where its action does not say so.
    pub audit_log: bool,
    /// Whether it acts, or only counts what it would do.
    pub mode: Mode,
}

impl PolicyRule {
    /// All-zero: what fills a place where no policy is.
    pub(crate) const EMPTY: Self = Self {
        name: Text::EMPTY,
        policy_type: PolicyType::Authorization,
        condition: Condition::EMPTY,
        action: Action::Allow,
        priority: 0,
        enabled: false,
        audit_log: false,
        mode: Mode::Enforce,
    };

    /// An enabled policy that matches every request.
    ///
    /// # Errors
    /// [`SpecError`] if the name is empty, too long or not printable.
    pub fn new(name: &str, action: Action) -> Result<Self, SpecError> {
        let refuse = |error| SpecError { field: "name", problem: Problem::Name(error) };
        let name = NameRef::printable(name).map_err(refuse)?;
        let name = Text::excerpt(name.as_str());
        Ok(Self { name, action, priority: PRIORITY_DEFAULT, enabled: true, ..Self::EMPTY })
    }

    /// Whether every value is in range, and the policy can match a request.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn check(&self) -> Result<(), SpecError> {
        NameRef::printable(self.name.as_str())
            .map_err(|error| SpecError { field: "name", problem: Problem::Name(error) })?;
        let refuse = |field, error| SpecError { field, problem: Problem::Condition(error) };
        if let Some(attribute) = self.condition.contradiction() {
            return Err(refuse(attribute.word(), ConditionError::Contradiction));
        }
        match &self.action {
            Action::Redirect(target) if self.condition.admits_service(target.as_str()) => {
                Err(refuse("action", ConditionError::RedirectToItself { target: *target }))
            }
            Action::Redirect(target) => NameRef::printable(target.as_str())
                .map(|_| ())
                .map_err(|error| SpecError { field: "action", problem: Problem::Name(error) }),
            Action::Throttle(limit) if limit.is_empty() => {
                Err(SpecError { field: "action", problem: Problem::Expected(Action::EXPECTED) })
            }
            _ => Ok(()),
        }
    }

    /// Which of two policies speaks before the other: the more restrictive one, then the one with the smaller priority,
    /// then the one whose name is first in the order of bytes.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        let kinds = other.action.kind().cmp(&self.action.kind());
        kinds
            .then(self.priority.cmp(&other.priority))
            .then_with(|| self.name.as_str().cmp(other.name.as_str()))
    }
}

/// Writes a policy as an element of `[[policy.rule]]`, in the words that read back to it.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[policy.rule]]\nname = {}", Quoted(self.name.as_str()))?;
        if self.policy_type != PolicyType::default() {
            writeln!(f, "type = \"{}\"", self.policy_type.word())?;
        }
        for attribute in Attribute::ALL {
            if self.condition.looks_at(attribute) {
                writeln!(f, "{} = \"{}\"", attribute.word(), self.condition.quoted(attribute))?;
            }
        }
        writeln!(f, "action = \"{}\"", Escaped(&self.action))?;
        if self.priority != PRIORITY_DEFAULT {
            writeln!(f, "priority = {}", self.priority)?;
        }
        if !self.enabled {
            writeln!(f, "enabled = false")?;
        }
        if self.audit_log {
            writeln!(f, "audit = true")?;
        }
        if self.mode != Mode::default() {
            writeln!(f, "mode = \"{}\"", self.mode.word())?;
        }
        Ok(())
    }
}

/// What prints, as the inside of a TOML basic string.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for piece in text.split_inclusive(['"', '\\']) {
                    match piece.strip_suffix(['"', '\\']) {
                        Some(plain) => {
                            self.0.write_str(plain)?;
                            self.0.write_str("\\")?;
                            self.0.write_str(&piece[plain.len()..])?;
                        }
                        None => self.0.write_str(piece)?,
                    }
                }
                Ok(())
            }
        }
        fmt::Write::write_fmt(&mut Escape(f), format_args!("{}", self.0))
    }
}
