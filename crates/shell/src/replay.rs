//! Replays a log through a governor in the log's own time.
//!
//! Each well-formed line is one request. The time is the largest time stamp seen so far, so that a log whose lines
//! are out of order never turns the clock back. [`Replay::step`] goes through a number of lines, so that the
//! caller can show progress and stop.
//!
//! A line is also a call of the scope `route:SERVICE:METHOD`, and what the log says was answered is its outcome.

mod statuses;
mod timeline;

pub use statuses::Statuses;
pub use timeline::{TIMELINE_STEPS, Tally, Timeline};

use crate::engine::Governor;
use crate::term::Printable;
use core::fmt;
use governance::decision::{Decision, Verdict};
use governance::outcome::{Disposition, Outcome};
use governance::request::{Request, Subject};
use governance::scope::{Kind, Name, NameRef, ScopeError};
use governance::time::{Nanos, Now, WallTime};
use wire::access_log::{self, LineBuffer, LogError};
use wire::log_reader::{FormatError, Line, LineTooLong, Lines, LogFormat, detect};
use wire::token_log::{RecordError, TokenLog};

/// How many malformed lines are kept to be shown.
pub const SHOWN_MALFORMED_MAX: usize = 5;

/// What to replay of a log, and as what.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions<'a> {
    /// The service that every request is for.
    pub service: NameRef<'a>,
    /// Whose requests they are.
    pub tenant: TenantSource<'a>,
    /// Requests before this time are left out.
    pub from: Option<WallTime>,
    /// Requests at and after this time are left out.
    pub to: Option<WallTime>,
}

/// Whose the requests of a log are, which no log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TenantSource<'a> {
    /// Nobody's.
    #[default]
    Absent,
    /// All of them this tenant's.
    Fixed(NameRef<'a>),
    /// Each the tenant's that is named like its key of this kind, as the key is shown; nobody's where there is none.
    Key(Kind),
}

impl TenantSource<'_> {
    /// The kinds whose keys a log can give, as users write them.
    pub const KEY_WORDS: &'static [&'static str] = &[Kind::Ip.word(), Kind::User.word(), Kind::Group.word()];
}

impl fmt::Display for TenantSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Fixed(name) => write!(f, "{}", Printable(name.as_str())),
            Self::Key(kind) => write!(f, "by {kind}"),
        }
    }
}

/// Why a line is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The line is too long.
    Length(LineTooLong),
    /// It is not a line of an access log.
    AccessLog(LogError),
    /// It is not a record of a token log.
    TokenLog(RecordError),
    /// The name of its user cannot be a key.
    User(ScopeError),
    /// The name of its user is not UTF-8.
    UserEncoding,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(error) => error.fmt(f),
            Self::AccessLog(error) => error.fmt(f),
            Self::TokenLog(error) => error.fmt(f),
            Self::User(error) => write!(f, "user: {error}"),
            Self::UserEncoding => f.write_str("user: the name is not UTF-8"),
        }
    }
}

/// What a replay has met so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayReport {
    /// Physical lines, with the header and blank ones.
    pub lines: u64,
    /// Lines that are no request and should be one.
    pub malformed: u64,
    /// Requests that were decided.
    pub requests: u64,
    /// Those that were allowed.
    pub allowed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Requests that a policy would have sent to another service.
    pub redirected: u64,
    /// The statuses that the log tells of those requests, whatever was decided here.
    pub statuses: Statuses,
    /// When the guard would have delayed, blocked, degraded or refused a request for the first time.
    pub caught_first: Option<WallTime>,
    /// The first of the malformed lines: number and reason.
    pub shown_malformed: [Option<(u64, Malformed)>; SHOWN_MALFORMED_MAX],
    /// The time stamp of the first request.
    pub first: Option<WallTime>,
    /// The largest time stamp.
    pub latest: WallTime,
}

impl ReplayReport {
    /// From the first time stamp to the largest.
    #[must_use]
    pub fn virtual_time(&self) -> Nanos {
        Nanos(self.first.map_or(0, |first| self.latest.0 - first.0))
    }
}

/// A replay that is under way.
#[derive(Debug)]
pub struct Replay<'a> {
    options: ReplayOptions<'a>,
    bytes: usize,
    lines: Lines<'a>,
    reader: Reader,
    report: ReplayReport,
}

/// How lines are read.
#[derive(Debug)]
enum Reader {
    AccessLog,
    /// The header comes first.
    TokenHeader,
    TokenLog(TokenLog),
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There are lines left.
    More,
    /// The log is at its end.
    Done,
}

impl<'a> Replay<'a> {
    /// Prepares to replay a log.
    ///
    /// # Errors
    /// [`FormatError`] says what the content is instead of a log.
    pub fn new(
        content: &'a [u8],
        options: ReplayOptions<'a>,
        buffer: &mut LineBuffer,
    ) -> Result<Self, FormatError> {
        let reader = match detect(content, buffer)? {
            LogFormat::AccessLog => Reader::AccessLog,
            LogFormat::TokenCsv => Reader::TokenHeader,
        };
        let lines = Lines::new(content);
        Ok(Self { options, bytes: content.len(), lines, reader, report: ReplayReport::default() })
    }

    /// What was met so far.
    #[must_use]
    pub const fn report(&self) -> &ReplayReport {
        &self.report
    }

    /// How much of the log is done, in percent.
    #[must_use]
    pub const fn percent(&self) -> usize {
        (self.bytes - self.lines.remaining_bytes()) * 100 / self.bytes
    }

    /// Goes through up to `count` lines.
    pub fn step(
        &mut self,
        governor: &mut Governor,
        timeline: &mut Timeline,
        buffer: &mut LineBuffer,
        count: usize,
    ) -> Progress {
        for _ in 0..count {
            let Some(line) = self.lines.next() else { return Progress::Done };
            self.report.lines += 1;
            if line.is_blank() {
                continue;
            }
            if let Err(reason) = self.replay_line(&line, governor, timeline, buffer) {
                self.note_malformed(line.number, reason);
            }
        }
        Progress::More
    }

    fn replay_line(
        &mut self,
        line: &Line<'_>,
        governor: &mut Governor,
        timeline: &mut Timeline,
        buffer: &mut LineBuffer,
    ) -> Result<(), Malformed> {
        let text = line.text.map_err(Malformed::Length)?;
        let request = Request { service: Some(self.options.service), ..Request::default() };
        match &self.reader {
            Reader::AccessLog => {
                let record = access_log::parse(text, buffer).map_err(Malformed::AccessLog)?;
                let user = record.user.map(user_name).transpose()?;
                let request = Request {
                    ip: Some(record.ip),
                    user,
                    path: Some(record.path),
                    method: method_name(record.method),
                    bytes: record.bytes,
                    ..request
                };
                self.decide(record.time, &request, Some(record.status), governor, timeline);
            }
            Reader::TokenHeader => {
                // The format was told by this header, so that it reads.
                if let Ok(columns) = TokenLog::from_header(text) {
                    self.reader = Reader::TokenLog(columns);
                }
            }
            Reader::TokenLog(columns) => {
                let record = columns.record(text).map_err(Malformed::TokenLog)?;
                // What was asked for is not in such a log: an unknown path, as of any request that came in.
                let (tokens, output_tokens) = (record.tokens, record.output_tokens);
                let request = Request { path: Some(b""), tokens, output_tokens, ..request };
                self.decide(record.time, &request, None, governor, timeline);
            }
        }
        Ok(())
    }

    fn decide(
        &mut self,
        time: WallTime,
        request: &Request<'_>,
        status: Option<u16>,
        governor: &mut Governor,
        timeline: &mut Timeline,
    ) {
        let ReplayOptions { tenant, from, to, .. } = self.options;
        if from.is_some_and(|from| time < from) || to.is_some_and(|to| time >= to) {
            return;
        }
        let key = match tenant {
            TenantSource::Key(kind) => {
                let group = request.path.map(|path| governor.routes().group_of(path));
                Subject { request, group }.name(&governor.limits.secret(), kind)
            }
            TenantSource::Absent | TenantSource::Fixed(_) => None,
        };
        let tenant = match &key {
            // A key has a name that a request can bear.
            Some(name) => NameRef::new(name.as_str()).ok(),
            None => {
                if let TenantSource::Fixed(name) = tenant {
                    Some(name)
                } else {
                    None
                }
            }
        };
        let route = route_name(self.options.service, request.method);
        let route = route.as_ref().and_then(|name| NameRef::new(name.as_str()).ok());
        let request = &Request { tenant, route, ..*request };
        let report = &mut self.report;
        report.first.get_or_insert(time);
        report.latest = report.latest.max(time);
        report.requests += 1;
        let mut tally = Tally { requests: 1, ..Tally::default() };
        if let Some(status) = status {
            report.statuses.count(status);
            tally.errors = u32::from((500..=599).contains(&status));
        }
        let now = Now::from_wall(report.latest);
        let decision = governor.admit(now, request);
        if report.caught_first.is_none() && caught(governor, now) > 0 {
            report.caught_first = Some(report.latest);
        }
        if let Some(status) = status.filter(|_| decision.is_allowed()) {
            tell_outcome(governor, now, request, (&decision, status));
        }
        match decision.verdict {
            Verdict::Allow | Verdict::Delay(_) | Verdict::Queue(_) => report.allowed += 1,
            Verdict::Redirect => report.redirected += 1,
            Verdict::Deny => {
                report.denied += 1;
                tally.denied = 1;
            }
        }
        governor.look_at_alerts(Now::from_wall(report.latest));
        // The line's own time: that of decisions stands still where the log goes back.
        timeline.add(time, tally);
    }

    fn note_malformed(&mut self, number: u64, reason: Malformed) {
        self.report.malformed += 1;
        if let Some(place) = self.report.shown_malformed.iter_mut().find(|place| place.is_none()) {
            *place = Some((number, reason));
        }
    }
}

/// Tells what the log says was answered to a request that is allowed here as well.
fn tell_outcome(
    governor: &mut Governor,
    now: Now,
    request: &Request<'_>,
    (decision, status): (&Decision, u16),
) {
    let is_known = (100..=599).contains(&status);
    let outcome = Outcome {
        status: Some(status).filter(|_| is_known),
        // An answer that means nothing says nothing about a breaker.
        disposition: if is_known { Disposition::Commit } else { Disposition::Void },
        ..Outcome::default()
    };
    // Other tickets are of what is in flight; a log does not tell for how long.
    match decision.ticket.filter(|_| decision.scope.is_some()) {
        // A ticket that was given just now is open, and asks for no amounts.
        Some(ticket) => drop(governor.complete(now, ticket, &outcome)),
        None => governor.observe(now, request, &outcome),
    }
}

/// How many requests the guard would have delayed, degraded, blocked or refused.
fn caught(governor: &Governor, now: Now) -> u64 {
    let guard = &governor.traffic.guard;
    if guard.is_idle() {
        return 0;
    }
    let stats = guard.stats(now.instant);
    stats.would_delay + stats.would_degrade + stats.would_block + stats.would_cap + stats.would_shed
}

/// The scope that a line is a call of: its service and its method. What is in the place of a method and is none of the
/// words that there are for it, such as the bytes of another protocol, makes no scope.
fn route_name(service: NameRef<'_>, method: Option<NameRef<'_>>) -> Option<Name> {
    let method = method?.as_str();
    let is_word = method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    is_word.then(|| Name::format(format_args!("{}:{method}", service.as_str())).ok()).flatten()
}

fn user_name(user: &[u8]) -> Result<NameRef<'_>, Malformed> {
    let user = core::str::from_utf8(user).map_err(|_| Malformed::UserEncoding)?;
    NameRef::new(user).map_err(Malformed::User)
}

/// The method of a request, where what stands in its place can be one's name.
fn method_name(method: &[u8]) -> Option<NameRef<'_>> {
    let method = core::str::from_utf8(method).ok().filter(|method| *method != "-")?;
    NameRef::new(method).ok()
}

#[cfg(test)]
mod tests {
    use super::{method_name, route_name};
    use governance::scope::NameRef;

    #[test]
    fn only_a_method_makes_a_scope() {
        let service = NameRef::new("web").unwrap();
        let route =
            |method: &'static [u8]| route_name(service, method_name(method)).map(|name| name.to_string());
        assert_eq!(route(b"POST").as_deref(), Some("web:POST"));
        assert_eq!(route(b"VERSION-CONTROL").as_deref(), Some("web:VERSION-CONTROL"));
        for bytes in [&b"\x16\x03\x01"[..], b"-", b"GET:x", b"G*T", &[b'M'; 62]] {
            assert_eq!(route(bytes), None);
        }
    }

    #[test]
    fn a_method_is_a_name_or_nothing() {
        let name = |method: &'static [u8]| method_name(method).map(|name| name.as_str());
        assert_eq!(name(b"POST"), Some("POST"));
        for method in [&b"-"[..], b"", b"\xff", &[b'M'; 65]] {
            assert_eq!(name(method), None);
        }
    }
}
