//! What policies look at of a request.

use crate::request::{Header, Request, RequestPriority};
use crate::scope::NameRef;
use crate::time::WallTime;
use core::net::IpAddr;

/// Nanoseconds in an hour.
const NANOS_PER_HOUR: u64 = 3_600 * crate::time::NANOS_PER_SECOND;
/// Hours from Monday midnight to the midnight that began Thursday, 1970-01-01.
const HOURS_BEFORE_EPOCH: u64 = 3 * 24;
/// Hours in a week.
pub(super) const HOURS_PER_WEEK: u8 = 7 * 24;

/// What policies look at: the request itself (method, path, headers), who makes it (tenant, roles, address), the
/// service that is called with the urgency of the call, and the time.
#[derive(Clone, Copy, Debug)]
pub struct PolicyContext<'a> {
    /// The service that is called.
    pub service: Option<NameRef<'a>>,
    /// The tenant.
    pub tenant: Option<NameRef<'a>>,
    /// The roles of whoever makes the request.
    pub roles: &'a [NameRef<'a>],
    /// The address that the request comes from.
    pub ip: Option<IpAddr>,
    /// The method, in any case.
    pub method: Option<NameRef<'a>>,
    /// The path without its query, as the service will read it: decoded, with its dots and doubled slashes resolved, which
    /// is for whoever asks to do. One that does not begin with a slash counts as none.
    pub path: Option<&'a [u8]>,
    /// The headers. Of several of one name the first counts.
    pub headers: &'a [Header<'a>],
    /// How urgent the request is.
    pub priority: RequestPriority,
    /// The time.
    pub wall: WallTime,
}

impl Default for PolicyContext<'_> {
    fn default() -> Self {
        Self::of(&Request::default(), WallTime(0))
    }
}

impl<'a> PolicyContext<'a> {
    /// What policies look at of `request` at the time `wall`. One that does not say how urgent it is is
    /// [`RequestPriority::Normal`].
    #[must_use]
    pub const fn of(request: &Request<'a>, wall: WallTime) -> Self {
        let Request { service, tenant, roles, ip, method, path, headers, .. } = *request;
        let priority = match request.priority {
            Some(priority) => priority,
            None => RequestPriority::Normal,
        };
        Self { service, tenant, roles, ip, method, path, headers, priority, wall }
    }

    /// The value of the first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut headers = self.headers.iter();
        headers.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }
}

/// The hour of the week of a point of time, from Monday midnight.
pub(super) fn hour_of_week(wall: WallTime) -> u8 {
    let hours = wall.0 / NANOS_PER_HOUR + HOURS_BEFORE_EPOCH;
    u8::try_from(hours % u64::from(HOURS_PER_WEEK)).unwrap_or(0)
}
