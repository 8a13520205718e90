//! Why a rule could not be added or changed. Nothing was changed then.

use super::{ALERTS_MAX, SLOS_MAX};
use crate::field::SpecError;
use core::fmt;

/// Why a rule could not be added, changed or removed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertError {
    /// No rule has that name.
    Unknown,
    /// A rule has that name already.
    DuplicateName,
    /// Another rule has an objective for the same scope.
    DuplicateObjective,
    /// There are [`ALERTS_MAX`] rules.
    Full,
    /// There are [`SLOS_MAX`] rules with an objective.
    ObjectivesFull,
    /// A value does not go.
    Spec(SpecError),
}

impl fmt::Display for AlertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no alert of that name"),
            Self::DuplicateName => {
                f.write_str("there is an alert of that name already; expected another name")
            }
            Self::DuplicateObjective => {
                f.write_str("there is an objective for that scope already; expected one for each")
            }
            Self::Full => write!(f, "there are {ALERTS_MAX} alerts already, and no more fit"),
            Self::ObjectivesFull => {
                write!(f, "there are {SLOS_MAX} objectives already, and no more fit")
            }
            Self::Spec(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AlertError {}

impl From<SpecError> for AlertError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}
