//! Why a quota could not be changed or asked.

use super::registry::{ALLOCATIONS_MAX, LEVELS_MAX};
use crate::field::SpecError;
use core::fmt;

/// Why a quota or a counter could not be changed or read. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaError {
    /// There is a quota of that name.
    DuplicateName,
    /// There are [`ALLOCATIONS_MAX`] quotas.
    Full,
    /// There is no such quota, or not any more.
    UnknownQuota,
    /// There is no quota of the parent's name.
    UnknownParent,
    /// The quota would be its own ancestor.
    Cycle,
    /// There would be more than [`LEVELS_MAX`] levels of parents.
    TooManyLevels,
    /// The parent counts something else.
    ParentUnit,
    /// The parent is in shadow mode, which has no children.
    ShadowParent,
    /// The limit is above the parent's, or that of a child would be.
    AboveParent,
    /// The quota is the parent of another, or requests hold of it whose outcome is still to come.
    InUse,
    /// The quota gives each key a counter, and none is known for this one.
    UnknownKey,
    /// The quota has one counter; a key makes no sense.
    NoKeys,
    /// The quota gives each key a counter; one has to be named.
    KeyNeeded,
    /// The quota counts outcomes that it observes, and is not charged.
    Observed,
    /// Name, scope and unit of a quota cannot be changed.
    FixedField,
    /// A value of the quota is out of range.
    OutOfRange(SpecError),
}

impl QuotaError {
    /// Writes it of what is kept as a quota, a quota or a budget, and of the field that says how much there is.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, noun: &str, amount: &str) -> fmt::Result {
        match self {
            Self::DuplicateName => write!(f, "a {noun} of that name exists; give it another name"),
            Self::Full => write!(f, "there are {ALLOCATIONS_MAX} {noun}s already, and no more fit"),
            Self::UnknownQuota => write!(f, "there is no {noun} of that name"),
            Self::UnknownParent => write!(f, "parent: there is no {noun} of that name"),
            Self::Cycle => write!(f, "parent: the {noun} would be its own ancestor"),
            Self::TooManyLevels => {
                write!(f, "parent: more than {LEVELS_MAX} levels of parents, or a cycle of them")
            }
            Self::ParentUnit => {
                write!(f, "parent: it counts another unit; expected a {noun} of the same unit")
            }
            Self::ShadowParent => write!(f, "parent: a {noun} in shadow mode has no children"),
            Self::AboveParent => write!(f, "{amount}: the {amount} of a child is at most that of its parent"),
            Self::InUse => {
                f.write_str("it is the parent of another one, or reservations of it are not settled yet")
            }
            Self::UnknownKey => write!(f, "the {noun} has no counter for that key"),
            Self::NoKeys => write!(f, "the {noun} has one counter; leave out the key"),
            Self::KeyNeeded => write!(f, "the {noun} has a counter for each key; name one with key=NAME"),
            Self::Observed => {
                write!(f, "the {noun} counts outcomes of requests; nothing else can be charged to it")
            }
            Self::FixedField => {
                write!(f, "name, scope and unit cannot be changed; remove the {noun} and add another")
            }
            Self::OutOfRange(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "quota", "limit")
    }
}

impl core::error::Error for QuotaError {}
