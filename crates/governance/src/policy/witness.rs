//! A request that shows what is found about policies.

use super::condition::HEADER_NAMES_MAX;
use super::context::{HOURS_PER_WEEK, PolicyContext};
use super::points::{Axis, Point};
use crate::field::Quoted;
use crate::request::{Header, RequestPriority};
use crate::scope::{Name, NameRef};
use crate::text::Text;
use crate::time::WallTime;
use core::fmt;
use core::net::IpAddr;

/// How many roles a witness can have.
pub const WITNESS_ROLES_MAX: usize = 32;
/// How many bytes its path and the values of its headers can have together.
const WITNESS_TEXT_BYTES: usize = 2048;
/// The Monday on which the week of witnesses begins, 2026-01-05T00:00:00Z.
const MONDAY: u64 = 1_767_571_200;

/// A request that shows something. It prints as the arguments of a command that explains it.
#[derive(Clone, Copy)]
pub struct Witness {
    pub(super) service: Name,
    tenant: Name,
    method: Name,
    roles: [Name; WITNESS_ROLES_MAX],
    roles_length: usize,
    ip: Option<IpAddr>,
    path: Piece,
    headers: [(Name, Piece); HEADER_NAMES_MAX],
    headers_length: usize,
    priority: RequestPriority,
    /// From Monday midnight.
    hour_of_week: u8,
    text: [u8; WITNESS_TEXT_BYTES],
    text_length: usize,
}

/// Where a text lies.
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    length: usize,
}

impl Piece {
    const EMPTY: Self = Self { start: 0, length: 0 };
}

impl Witness {
    /// A request that bears nothing.
    pub(super) const EMPTY: Self = Self {
        service: Text::EMPTY,
        tenant: Text::EMPTY,
        method: Text::EMPTY,
        roles: [Text::EMPTY; WITNESS_ROLES_MAX],
        roles_length: 0,
        ip: None,
        path: Piece::EMPTY,
        headers: [(Text::EMPTY, Piece::EMPTY); HEADER_NAMES_MAX],
        headers_length: 0,
        priority: RequestPriority::Normal,
        hour_of_week: 9,
        text: [0; WITNESS_TEXT_BYTES],
        text_length: 0,
    };

    /// Calls `look` with the request.
    pub fn with_context<R>(&self, look: impl FnOnce(&PolicyContext<'_>) -> R) -> R {
        let name = |name| NameRef::new(name).ok();
        let mut roles = [NameRef::NOBODY; WITNESS_ROLES_MAX];
        let mut roles_length = 0;
        for role in self.roles[..self.roles_length].iter().filter_map(|role| name(role.as_str())) {
            roles[roles_length] = role;
            roles_length += 1;
        }
        let mut headers = [Header { name: "", value: &[] }; HEADER_NAMES_MAX];
        for (header, (name, value)) in headers.iter_mut().zip(&self.headers) {
            *header = Header { name: name.as_str(), value: self.piece(*value) };
        }
        look(&PolicyContext {
            service: name(self.service.as_str()),
            tenant: name(self.tenant.as_str()),
            roles: &roles[..roles_length],
            ip: self.ip,
            method: name(self.method.as_str()),
            path: Some(self.piece(self.path)).filter(|path| !path.is_empty()),
            headers: &headers[..self.headers_length],
            priority: self.priority,
            wall: self.wall(),
        })
    }

    /// The time.
    #[must_use]
    pub const fn wall(&self) -> WallTime {
        let hours = (self.hour_of_week % HOURS_PER_WEEK) as u64;
        WallTime((MONDAY + hours * 3_600) * crate::time::NANOS_PER_SECOND)
    }

    /// Makes it what was chosen on an axis. False if there is no room.
    pub(super) fn put(&mut self, axis: &Axis<'_>, point: &Point<'_>) -> bool {
        match (axis, *point) {
            (Axis::Service, Point::Text(name)) => self.service = Text::excerpt(name),
            (Axis::Tenant, Point::Text(name)) => self.tenant = Text::excerpt(name),
            (Axis::Method, Point::Text(name)) => self.method = Text::excerpt(name),
            (Axis::Role(_), Point::Text(name)) => return self.add_role(name),
            (Axis::Path, Point::Text(path)) => return self.set_path(path),
            (Axis::Header(name), Point::Value(value, rest)) => return self.add_header(name, value, rest),
            (_, Point::Address(address)) => self.ip = Some(address),
            (_, Point::Class(class)) => self.priority = class,
            (_, Point::Hour(hour)) => self.hour_of_week = hour,
            _ => {}
        }
        true
    }

    /// Gives it a role. False if it has as many as it can.
    fn add_role(&mut self, role: &str) -> bool {
        let name = Text::excerpt(role);
        if self.roles[..self.roles_length].contains(&name) {
            return true;
        }
        let Some(place) = self.roles.get_mut(self.roles_length) else { return false };
        *place = name;
        self.roles_length += 1;
        true
    }

    /// Gives it a path. False if there is no room.
    fn set_path(&mut self, path: &str) -> bool {
        let Some(piece) = self.add_text(path, "") else { return false };
        self.path = piece;
        true
    }

    /// Gives it a header with a value in two pieces. False if there is no room.
    fn add_header(&mut self, name: &str, value: &str, rest: &str) -> bool {
        let Some(piece) = self.add_text(value, rest) else { return false };
        let Some(place) = self.headers.get_mut(self.headers_length) else { return false };
        *place = (Text::excerpt(name), piece);
        self.headers_length += 1;
        true
    }

    fn add_text(&mut self, text: &str, rest: &str) -> Option<Piece> {
        let piece = Piece { start: self.text_length, length: text.len() + rest.len() };
        let room = self.text.get_mut(piece.start..piece.start + piece.length)?;
        room[..text.len()].copy_from_slice(text.as_bytes());
        room[text.len()..].copy_from_slice(rest.as_bytes());
        self.text_length += piece.length;
        Some(piece)
    }

    fn piece(&self, piece: Piece) -> &[u8] {
        self.text.get(piece.start..piece.start + piece.length).unwrap_or_default()
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({self})")
    }
}

/// Writes a request as the arguments of a command, without what it does not bear.
impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |piece| core::str::from_utf8(self.piece(piece)).unwrap_or_default();
        if !self.service.is_empty() {
            write!(f, "service={} ", Word(self.service.as_str()))?;
        }
        if !self.tenant.is_empty() {
            write!(f, "tenant={} ", Word(self.tenant.as_str()))?;
        }
        for (index, role) in self.roles[..self.roles_length].iter().enumerate() {
            write!(f, "{}{role}", if index == 0 { "role=\"" } else { ", " })?;
        }
        f.write_str(if self.roles_length == 0 { "" } else { "\" " })?;
        if let Some(ip) = self.ip {
            write!(f, "ip={ip} ")?;
        }
        if !self.method.is_empty() {
            write!(f, "method={} ", Word(self.method.as_str()))?;
        }
        if self.path.length > 0 {
            write!(f, "path={} ", Word(text(self.path)))?;
        }
        for (index, (name, value)) in self.headers[..self.headers_length].iter().enumerate() {
            f.write_str(if index == 0 { "headers=\"" } else { "; " })?;
            write!(f, "{name}: {}", super::rule::Escaped(text(*value)))?;
        }
        f.write_str(if self.headers_length == 0 { "" } else { "\" " })?;
        write!(f, "priority={} at={}", self.priority.word(), self.wall())
    }
}

/// A word of a command line, in quotes if it needs them.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if self.0.bytes().all(plain) { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}
