//! What became of a request that was given a ticket.

use crate::money::NanoUnits;
use crate::priority::QueueId;
use crate::quota::Observation;
use crate::request::Usage;
use crate::retry::{Answer, CallError};
use crate::tickets::TicketError;
use crate::time::Nanos;
use crate::traffic::CallReport;
use core::fmt;

/// Whether what was reserved was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It was, in the amounts that the outcome says.
    #[default]
    Commit,
    /// Nothing was taken: all of it is given back.
    Void,
}

/// What became of a request. An amount that is not said is as it was reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything was taken.
    pub disposition: Disposition,
    /// The status of the answer, 100 to 599. One from 500 on is an error.
    pub status: Option<u16>,
    /// How long it took, in milliseconds: its latency, and the computing time of a reservation.
    pub ms: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: Option<u64>,
    /// Tokens that were generated; at most `tokens`.
    pub output_tokens: Option<u64>,
    /// Accesses to storage.
    pub storage_accesses: Option<u64>,
    /// Answers from a cache.
    pub cache_hits: Option<u64>,
    /// Why there is no answer, where the call got none. It takes the place of a status.
    pub error: Option<CallError>,
    /// Which attempt it was, and what the answer said about another.
    pub attempt: AttemptReport,
}

/// An attempt at a call, as far as another one depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptReport {
    /// Which it was, the first being 1; 0 stands for the first too.
    pub number: u32,
    /// How long ago the first one began; none if that is not known.
    pub elapsed: Option<Nanos>,
    /// How long the answer says to wait.
    pub retry_after: Option<Nanos>,
    /// How long was waited before this one.
    pub previous_delay: Option<Nanos>,
}

/// Why an outcome was refused. Nothing was changed, and the ticket stands as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompleteError {
    /// The ticket cannot be settled.
    Ticket(TicketError),
    /// The request reserved nothing: what it took was charged when it was decided.
    NothingReserved,
    /// There is no such status.
    Status,
    /// A call that got no answer has no status.
    StatusAndError,
    /// More tokens were generated than there were tokens.
    OutputTokens,
    /// The price of what was taken cannot be computed in 128 bits.
    PriceOutOfRange,
    /// The request waits in the queue of its service: it can be voided, and nothing else.
    Waiting,
}

impl fmt::Display for CompleteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket(error) => error.fmt(f),
            Self::NothingReserved => f.write_str(
                "the request reserved nothing: it was charged when it was decided, and no amount is left to settle",
            ),
            Self::Status => f.write_str("expected a status from 100 to 599"),
            Self::StatusAndError => f.write_str("a call that got no answer has no status; expected one of status and error"),
            Self::OutputTokens => f.write_str("output_tokens is more than tokens"),
            Self::PriceOutOfRange => f.write_str("the price of so much cannot be computed"),
            Self::Waiting => f.write_str("the request waits in a queue; expected one that was dispatched, or --void"),
        }
    }
}

impl core::error::Error for CompleteError {}

/// How a ticket was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What the request had been charged or had reserved.
    pub reserved: Usage,
    /// What it took.
    pub actual: Usage,
    /// What was posted for it, where it has a price; none if it was charged when it was decided.
    pub posted: Option<NanoUnits>,
    /// How much of what it held was settled.
    pub settled: usize,
    /// How much of what it held was gone: a limit or quota that was removed or changed into another since.
    pub stale: usize,
    /// The queue of its service, where that is free for another request now: see
    /// [`Governor::dequeue_next`](crate::governor::Governor::dequeue_next).
    pub queue: Option<QueueId>,
    /// What the breaker and the retry policy of its scope made of it, if it was a call of one that is still there.
    pub call: Option<CallReport>,
}

impl Outcome {
    /// What was taken, by this outcome of a request that reserved `reserved`.
    pub(crate) fn actual(&self, reserved: &Usage) -> Result<Usage, CompleteError> {
        if self.status.is_some_and(|status| !(100..=599).contains(&status)) {
            return Err(CompleteError::Status);
        }
        if self.status.is_some() && self.error.is_some() {
            return Err(CompleteError::StatusAndError);
        }
        if self.disposition == Disposition::Void {
            return Ok(Usage::ZERO);
        }
        let tokens = self.tokens.unwrap_or(reserved.tokens);
        // An estimate of how the tokens divide does not outlive the estimate of their number.
        let output_tokens = self.output_tokens.unwrap_or(reserved.output_tokens.min(tokens));
        if output_tokens > tokens {
            return Err(CompleteError::OutputTokens);
        }
        Ok(Usage {
            requests: reserved.requests,
            bytes: self.bytes.unwrap_or(reserved.bytes),
            tokens,
            output_tokens,
            compute_ms: self.ms.unwrap_or(reserved.compute_ms),
            storage_accesses: self.storage_accesses.unwrap_or(reserved.storage_accesses),
            cache_hits: self.cache_hits.unwrap_or(reserved.cache_hits),
        })
    }

    /// Whether there was no answer, or the status is that of an error of the service.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some() || self.status.is_some_and(|status| status >= 500)
    }

    /// What a call was answered; none if nothing is said about it.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.error.map(Answer::Error).or(self.status.map(Answer::Status))
    }

    /// How long it took, in microseconds.
    pub(crate) fn service_us(&self) -> Option<u64> {
        self.ms.map(|ms| ms.saturating_mul(1000))
    }

    /// What a quota on outcomes is told.
    pub(crate) fn observation(&self) -> Observation {
        Observation { is_error: self.is_error(), latency_ms: self.ms }
    }

    /// Whether it says how much was taken, which only a reservation can be told.
    pub(crate) const fn has_amounts(&self) -> bool {
        matches!(self.disposition, Disposition::Void)
            || self.bytes.is_some()
            || self.tokens.is_some()
            || self.output_tokens.is_some()
            || self.storage_accesses.is_some()
            || self.cache_hits.is_some()
    }
}
