//! Why a limit or a bucket could not be changed.

use super::{GRANTS_MAX, LimitClass, OTHER_LIMITS_MAX};
use crate::field::SpecError;
use core::fmt;

/// Why a limit or a bucket could not be changed. Nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// There is a limit of that name.
    DuplicateName,
    /// The class of limits is full.
    Full {
        /// Which class.
        class: LimitClass,
    },
    /// There is no such limit.
    UnknownLimit,
    /// The limit gives each key a bucket, and none is known for this one.
    UnknownKey,
    /// The table of keys is full, and none of the keys that were looked at could make room for this one.
    TableFull,
    /// The limit is for one name; a key makes no sense.
    NoKeys,
    /// The limit gives each key a bucket; one has to be named.
    KeyNeeded,
    /// The limit does not tell clients apart; one makes no sense.
    NoClients,
    /// The limit gives each client a bucket; one has to be named.
    ClientNeeded,
    /// The limit's algorithm has no bucket.
    NoBucket,
    /// As many grants of extra capacity as there can be are running.
    GrantsFull,
    /// The extra amount, or the time that it is for, is zero, or the sum is out of range.
    BadGrant,
    /// The log of exact windows cannot take another entry, and what was used could not be noted.
    LogFull,
    /// Scope, unit and whom it counts by itself cannot be changed.
    FixedField,
    /// What is in flight ends by its ticket or by its lease, and can neither be reset, drained, refunded nor extended.
    InFlight,
    /// A value of the limit is out of range.
    OutOfRange(SpecError),
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName => f.write_str("a limit of that name exists; give it another name"),
            Self::Full { class: LimitClass::Other } => {
                write!(
                    f,
                    "there are {OTHER_LIMITS_MAX} limits on kinds other than service and user already, and no more fit"
                )
            }
            Self::Full { class } => {
                write!(f, "there are {} {} limits already, and no more fit", class.capacity(), class.word())
            }
            Self::UnknownLimit => f.write_str("there is no limit of that name"),
            Self::UnknownKey => f.write_str("the limit has no bucket for that key"),
            Self::TableFull => f.write_str(
                "the table of keys is full, and the key shares the overflow bucket; try again once others are full again",
            ),
            Self::NoKeys => f.write_str("the limit is for one name; leave out the key"),
            Self::NoClients => f.write_str("the limit does not tell clients apart; leave out the client"),
            Self::ClientNeeded => {
                f.write_str("the limit has a bucket for each client; name one with client=NAME")
            }
            Self::KeyNeeded => f.write_str("the limit has a bucket for each key; name one with key=NAME"),
            Self::NoBucket => f.write_str("the limit's algorithm has no bucket"),
            Self::GrantsFull => {
                write!(f, "{GRANTS_MAX} grants of extra capacity are running, and no more fit")
            }
            Self::BadGrant => f.write_str("the extra amount or its duration is zero or out of range"),
            Self::LogFull => f.write_str(
                "the log of exact windows is full and cannot note what is used; reset buckets of sliding logs or wait",
            ),
            Self::FixedField => {
                f.write_str("scope, per and unit cannot be changed; remove the limit and add another")
            }
            Self::InFlight => f.write_str(
                "the limit counts requests in flight, which end by their tickets or leases; change the limit instead",
            ),
            Self::OutOfRange(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LimitError {}
