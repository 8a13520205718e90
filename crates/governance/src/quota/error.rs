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

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateName => "a quota of that name exists; give it another name",
            Self::Full => return write!(f, "there are {ALLOCATIONS_MAX} quotas already, and no more fit"),
            Self::UnknownQuota => "there is no quota of that name",
            Self::UnknownParent => "parent: there is no quota of that name",
            Self::Cycle => "parent: the quota would be its own ancestor",
            Self::TooManyLevels => {
                return write!(f, "parent: more than {LEVELS_MAX} levels of parents, or a cycle of them");
            }
            Self::ParentUnit => "parent: it counts another unit; expected a quota of the same unit",
            Self::ShadowParent => "parent: a quota in shadow mode has no children",
            Self::AboveParent => "limit: the limit of a child is at most that of its parent",
            Self::InUse => "it is the parent of another one, or reservations of it are not settled yet",
            Self::UnknownKey => "the quota has no counter for that key",
            Self::NoKeys => "the quota has one counter; leave out the key",
            Self::KeyNeeded => "the quota has a counter for each key; name one with key=NAME",
            Self::Observed => "the quota counts outcomes of requests; nothing else can be charged to it",
            Self::FixedField => "name, scope and unit cannot be changed; remove the quota and add another",
            Self::OutOfRange(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for QuotaError {}
