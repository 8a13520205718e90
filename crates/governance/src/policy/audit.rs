//! The audit log: what policies denied, what they took note of, and how they were changed.

use super::rule::PolicyName;
use crate::scope::NameRef;
use crate::text::Text;
use crate::time::WallTime;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// How many records are kept.
pub const AUDIT_RECORDS: usize = 1024;

/// What is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuditEvent {
    /// A request was denied.
    #[default]
    Denied,
    /// A request was allowed, and a policy that it matched asks for a record.
    Allowed,
    /// A policy was added.
    Added,
    /// A policy was removed.
    Removed,
    /// A policy was changed.
    Updated,
    /// A policy was enabled.
    Enabled,
    /// A policy was disabled.
    Disabled,
    /// A policy came to act, or to count only.
    ModeChanged,
    /// What becomes of requests that no policy decides was changed.
    DefaultChanged,
    /// All policies were replaced.
    Replaced,
    /// The previous policies were put back.
    RolledBack,
}

impl AuditEvent {
    /// The word that users read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Updated => "updated",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::ModeChanged => "mode-changed",
            Self::DefaultChanged => "default-changed",
            Self::Replaced => "replaced",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The beginning of a name of a request.
pub type NameExcerpt = Text<32>;
/// The beginning of a path. Bytes that are not printable ASCII stand as `?`.
pub type PathExcerpt = Text<64>;

/// A record of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number, from 1; no number is used again.
    pub audit_id: u64,
    /// When.
    pub at: WallTime,
    /// What happened.
    pub event: AuditEvent,
    /// The policy that is told of; empty if it is the default, or all of them.
    pub rule: PolicyName,
    /// The generation of the policies; after a change, that of the changed ones.
    pub generation: u64,
    /// The request's service; empty if it has none, or of a change.
    pub service: NameExcerpt,
    /// The request's tenant, likewise.
    pub tenant: NameExcerpt,
    /// The request's path, likewise.
    pub path: PathExcerpt,
    /// The request's address as a number of IPv6; not an option: a ring is all-zero when empty.
    address: u128,
    has_address: u8,
}

impl AuditRecord {
    const EMPTY: Self = Self {
        audit_id: 0,
        at: WallTime(0),
        event: AuditEvent::Denied,
        rule: Text::EMPTY,
        generation: 0,
        service: Text::EMPTY,
        tenant: Text::EMPTY,
        path: Text::EMPTY,
        address: 0,
        has_address: 0,
    };

    /// The request's address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        (self.has_address != 0).then(|| IpAddr::V6(Ipv6Addr::from_bits(self.address)).to_canonical())
    }
}

/// The last [`AUDIT_RECORDS`] records. All-zero when empty.
#[derive(Debug)]
pub(super) struct AuditLog {
    ring: [AuditRecord; AUDIT_RECORDS],
    written: u64,
}

/// What a record tells of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AuditSubject<'a> {
    pub(super) service: Option<NameRef<'a>>,
    pub(super) tenant: Option<NameRef<'a>>,
    pub(super) ip: Option<IpAddr>,
    pub(super) path: Option<&'a [u8]>,
}

impl AuditLog {
    pub(super) const fn new() -> Self {
        Self { ring: [AuditRecord::EMPTY; AUDIT_RECORDS], written: 0 }
    }

    /// How many records were ever written: the number of the last one.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// How many of them are not kept any more.
    pub(super) const fn overwritten(&self) -> u64 {
        self.written.saturating_sub(AUDIT_RECORDS as u64)
    }

    /// Writes a record, over the oldest one if there is no room. Gives its number.
    pub(super) fn write(
        &mut self,
        at: WallTime,
        event: AuditEvent,
        rule: &PolicyName,
        generation: u64,
        subject: &AuditSubject<'_>,
    ) -> u64 {
        let record = &mut self.ring[slot(self.written)];
        self.written += 1;
        record.audit_id = self.written;
        (record.at, record.event, record.rule, record.generation) = (at, event, *rule, generation);
        let name = |name: Option<NameRef<'_>>| name.map_or(Text::EMPTY, |name| Text::excerpt(name.as_str()));
        (record.service, record.tenant) = (name(subject.service), name(subject.tenant));
        record.path = subject.path.map_or(Text::EMPTY, path_excerpt);
        record.has_address = u8::from(subject.ip.is_some());
        record.address = subject.ip.map_or(0, super::condition::number_of);
        self.written
    }

    /// The records from number `from` on, oldest first, as far as they are still kept.
    pub(super) fn since(&self, from: u64) -> impl DoubleEndedIterator<Item = &AuditRecord> + '_ {
        let first = from.saturating_sub(1).max(self.overwritten());
        (first..self.written).map(|number| &self.ring[slot(number)])
    }

    pub(super) const fn clear(&mut self) {
        self.written = 0;
    }
}

/// Where the record after `number` others lies.
fn slot(number: u64) -> usize {
    usize::try_from(number % AUDIT_RECORDS as u64).unwrap_or(0)
}

fn path_excerpt(path: &[u8]) -> PathExcerpt {
    let mut shown = [b'?'; 65];
    let length = path.len().min(shown.len());
    for (shown, &byte) in shown.iter_mut().zip(path) {
        if (b' '..=b'~').contains(&byte) {
            *shown = byte;
        }
    }
    // One byte more than fits, so that a path that is cut ends in the mark of it.
    Text::excerpt(core::str::from_utf8(&shown[..length]).unwrap_or_default())
}
