//! Why the scheduler did not do something. Nothing was changed then, unless it says so.

use super::QUEUES_MAX;
use super::request::Rejection;
use crate::field::SpecError;
use core::fmt;

/// Why a queue could not be changed or asked. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriorityError {
    /// There is no such queue, or not any more.
    UnknownQueue,
    /// The service has an agreement already.
    DuplicateService,
    /// The class has a weight already.
    DuplicateClass,
    /// There are [`QUEUES_MAX`] queues.
    Full,
    /// Requests wait in the queue or are in service.
    InUse,
    /// The service of an agreement cannot be changed.
    FixedService,
    /// A value is out of range.
    OutOfRange(SpecError),
}

impl fmt::Display for PriorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownQueue => f.write_str("there is no agreement of that service"),
            Self::DuplicateService => f.write_str("the service has an agreement already; expected one"),
            Self::DuplicateClass => f.write_str("the class has a weight already; expected one"),
            Self::Full => write!(f, "there are {QUEUES_MAX} agreements already, and no more fit"),
            Self::InUse => f.write_str("requests wait or are in service; expected an empty queue"),
            Self::FixedService => {
                f.write_str("the service of an agreement cannot be changed; remove it and add another")
            }
            Self::OutOfRange(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PriorityError {}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnqueueError {
    /// There is no such queue, or not any more. Nothing was counted.
    UnknownQueue,
    /// Its deadline has passed already. Nothing was counted.
    DeadlinePassed,
    /// The weight of its tenant is out of range. Nothing was counted.
    Weight(SpecError),
    /// Others wait, or as many are in service as may be: it cannot start at once. Nothing was counted.
    NoSlot,
    /// It was counted as an arrival that was rejected.
    Rejected(Rejection),
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownQueue => f.write_str("there is no such queue"),
            Self::DeadlinePassed => f.write_str("the deadline has passed; expected one to come"),
            Self::Weight(error) => error.fmt(f),
            Self::NoSlot => f.write_str("others wait or are in service; expected a free slot"),
            Self::Rejected(Rejection { reason, .. }) => write!(f, "rejected: {reason}"),
        }
    }
}

impl core::error::Error for EnqueueError {}

/// Why nothing was done with a request of a queue. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueTicketError {
    /// There was no such request, or it is over.
    Unknown,
    /// It is in service; only one that waits can be moved or taken out.
    InService,
    /// It waits; only one that is in service can be completed.
    Waiting,
    /// It is in the exempt lane, which has no classes.
    Exempt,
}

impl fmt::Display for QueueTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no such request, or it is over",
            Self::InService => "it is in service; expected one that waits",
            Self::Waiting => "it waits; expected one that is in service",
            Self::Exempt => "it is in the exempt lane; expected one that waits in a class",
        })
    }
}

impl core::error::Error for QueueTicketError {}

/// A text is not the name of a request of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAQueueTicket;

impl fmt::Display for NotAQueueTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a request of a queue as it was listed, such as 17-3")
    }
}

impl core::error::Error for NotAQueueTicket {}
