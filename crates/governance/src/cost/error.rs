//! Why something was not done with prices, accounts or invoices.

use super::{MODELS_MAX, SCHEDULES_MAX};
use crate::field::SpecError;
use crate::money::Currency;
use crate::scope::Name;
use core::fmt;

/// Why something was not done. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostError {
    /// No tenant of that name has an account.
    UnknownTenant {
        /// The name.
        tenant: Name,
    },
    /// No service of that name has an account.
    UnknownService {
        /// The name.
        service: Name,
    },
    /// No service of that name has a model.
    UnknownModel {
        /// The name.
        service: Name,
    },
    /// The tenant has no invoice of that number that is still kept.
    UnknownInvoice {
        /// How many it has had.
        issued: u32,
    },
    /// A value of a model is out of range.
    Model(SpecError),
    /// The books are in another currency.
    Currency {
        /// The currency of the books.
        books: Currency,
        /// The other one.
        found: Currency,
    },
    /// There is a model of that service, tenant of that name, or schedule of that tenant, twice.
    Duplicate {
        /// Its name.
        name: Name,
    },
    /// There are [`MODELS_MAX`] models.
    ModelsFull,
    /// There are [`SCHEDULES_MAX`] schedules.
    SchedulesFull,
    /// As many tenants as there can be have an account.
    TenantsFull {
        /// How many.
        capacity: usize,
    },
    /// As many corrections as there can be wait for an invoice.
    CorrectionsFull {
        /// How many.
        capacity: usize,
    },
    /// It has charges in the open period, or a reservation that is not settled.
    InUse {
        /// Its name.
        name: Name,
    },
    /// An amount of 0 corrects nothing.
    Zero,
    /// The amount cannot be computed in 128 bits.
    OutOfRange,
    /// The amount is negative, and must not be.
    Negative,
    /// An event with the same id was accepted, with other usage.
    EventConflict,
    /// An event is of more than 35 days ago, or of more than 5 minutes from now.
    EventTime,
    /// An event has no id, or one that is too long.
    EventId,
    /// Nothing was charged, so that there is nothing to show.
    Nothing,
}

impl fmt::Display for CostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTenant { tenant } => {
                write!(f, "there is no tenant '{tenant}'; cost tenants lists them")
            }
            Self::UnknownService { service } => {
                write!(f, "nothing was charged for a service '{service}'; cost services lists them")
            }
            Self::UnknownModel { service } => {
                write!(f, "there is no model of a service '{service}'; cost models lists them")
            }
            Self::UnknownInvoice { issued: 0 } => f.write_str("the tenant has no invoice yet"),
            Self::UnknownInvoice { issued } => {
                write!(
                    f,
                    "the tenant has had {issued} invoices; that one was not issued, or is no longer kept"
                )
            }
            Self::Model(error) => error.fmt(f),
            Self::Currency { books, found } => {
                write!(f, "the books are in {books}; expected {books}, found {found}")
            }
            Self::Duplicate { name } => write!(f, "'{name}' is there twice"),
            Self::ModelsFull => write!(f, "there are {MODELS_MAX} models already, and no more fit"),
            Self::SchedulesFull => write!(f, "there are {SCHEDULES_MAX} schedules already, and no more fit"),
            Self::TenantsFull { capacity } => {
                write!(f, "{capacity} tenants have an account already, and no more fit")
            }
            Self::CorrectionsFull { capacity } => {
                write!(f, "{capacity} corrections wait for an invoice already, and no more fit")
            }
            Self::InUse { name } => {
                write!(f, "'{name}' is in use: it has charges that are not invoiced yet, or reservations")
            }
            Self::Zero => f.write_str("expected an amount other than 0"),
            Self::OutOfRange => f.write_str("the amount cannot be computed in 128 bits"),
            Self::Negative => f.write_str("expected an amount that is not negative"),
            Self::EventConflict => {
                f.write_str("an event with this id was accepted with other usage; nothing was charged")
            }
            Self::EventTime => f.write_str("expected a time of the last 35 days, at most 5 minutes ahead and not in the next billing period"),
            Self::EventId => f.write_str("expected an id of 1 to 64 bytes"),
            Self::Nothing => f.write_str("nothing was charged yet"),
        }
    }
}

impl core::error::Error for CostError {}
