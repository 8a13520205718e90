//! Agreements: what a service has promised, and how many requests it takes at a time.

use crate::field::{FieldValue, Problem, Quoted, SpecError, finished, name, text, whole, word};
use crate::request::RequestPriority;
use crate::scope::{Name, NameRef};
use crate::time::Nanos;
use crate::units::{PPM, Percent};
use core::fmt;

/// The longest latency that can be promised, in milliseconds: an hour.
pub const P95_LATENCY_MS_MAX: u32 = 3_600_000;
/// How many requests may wait for a service at most.
pub const QUEUE_DEPTH_MAX: u32 = 4096;
/// How many may wait where nobody says otherwise.
pub const QUEUE_DEPTH_DEFAULT: u32 = 256;
/// The share of errors that is promised where nobody says otherwise: one percent.
const ERROR_RATE_DEFAULT_PPM: u32 = 10_000;

/// A service-level agreement: it gives its service a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SLA {
    /// The service.
    pub service_id: Name,
    /// 95 of 100 requests are answered within this many milliseconds, 1 to [`P95_LATENCY_MS_MAX`]. A request without a
    /// deadline has to be answered by then.
    pub p95_latency_ms: u32,
    /// At most so many requests in a million fail, 1 to 1 000 000.
    pub error_rate_threshold_ppm: u32,
    /// The class of requests that name none.
    pub priority_level: RequestPriority,
    /// How many requests are in service at a time; 0 if nothing limits them.
    pub concurrency: u32,
    /// How many may wait, 1 to [`QUEUE_DEPTH_MAX`].
    pub queue_depth: u32,
}

impl SLA {
    /// All-zero: what fills a place where no agreement is.
    pub(crate) const EMPTY: Self = Self {
        service_id: Name::EMPTY,
        p95_latency_ms: 0,
        error_rate_threshold_ppm: 0,
        priority_level: RequestPriority::Critical,
        concurrency: 0,
        queue_depth: 0,
    };

    /// How long a request may take that has no deadline.
    #[must_use]
    pub const fn latency(&self) -> Nanos {
        Nanos(self.p95_latency_ms as u64 * 1_000_000)
    }

    /// Whether every value is in range.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        let refuse = |problem| SpecError { field: "service", problem };
        NameRef::printable(self.service_id.as_str()).map_err(|error| refuse(Problem::Name(error)))?;
        one_service(self.service_id).map_err(refuse)?;
        for (field, value, maximum) in [
            ("p95", self.p95_latency_ms, P95_LATENCY_MS_MAX),
            ("error_rate", self.error_rate_threshold_ppm, PPM),
            ("depth", self.queue_depth, QUEUE_DEPTH_MAX),
        ] {
            if value == 0 {
                return Err(SpecError { field, problem: Problem::Zero });
            }
            if value > maximum {
                return Err(SpecError { field, problem: Problem::AboveMaximum(maximum.into()) });
            }
        }
        Ok(())
    }
}

/// Writes an agreement as an element of `[[sla]]`, in the words that read back to it.
impl fmt::Display for SLA {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[sla]]\nservice = {}", Quoted(self.service_id.as_str()))?;
        writeln!(f, "p95 = \"{}\"", self.latency())?;
        writeln!(f, "error_rate = \"{}\"", Percent(self.error_rate_threshold_ppm))?;
        writeln!(f, "class = \"{}\"", self.priority_level)?;
        if self.concurrency != 0 {
            writeln!(f, "concurrency = {}", self.concurrency)?;
        }
        writeln!(f, "depth = {}", self.queue_depth)
    }
}

/// The fields of an agreement, as users write them.
pub const SLA_FIELDS: [&str; 6] = ["service", "p95", "error_rate", "class", "concurrency", "depth"];

/// The fields of an agreement as far as they are known.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::priority::SlaDraft;
/// let mut draft = SlaDraft::default();
/// for (field, value) in [("service", "github"), ("p95", "200ms"), ("error_rate", "0.5%"), ("concurrency", "4")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().error_rate_threshold_ppm, 5_000);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SlaDraft {
    service: Option<Name>,
    p95_latency_ms: Option<u32>,
    error_rate_ppm: Option<u32>,
    class: Option<RequestPriority>,
    concurrency: Option<u32>,
    depth: Option<u32>,
}

impl SlaDraft {
    /// A draft that says what `sla` says.
    #[must_use]
    pub const fn from_sla(sla: &SLA) -> Self {
        Self {
            service: Some(sla.service_id),
            p95_latency_ms: Some(sla.p95_latency_ms),
            error_rate_ppm: Some(sla.error_rate_threshold_ppm),
            class: Some(sla.priority_level),
            concurrency: if sla.concurrency == 0 { None } else { Some(sla.concurrency) },
            depth: Some(sla.queue_depth),
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = SLA_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "sla", problem: Problem::Unknown(&SLA_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing agreement.
    ///
    /// # Errors
    /// As [`SlaDraft::set`]; the service cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if field == "service" {
            return Err(SpecError { field: "service", problem: Problem::Fixed });
        }
        self.set(field, value)
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "service" => self.service = Some(one_service(name(value)?)?),
            "p95" => self.p95_latency_ms = Some(latency(value)?),
            "error_rate" => self.error_rate_ppm = Some(error_rate(value)?),
            "class" => self.class = RequestPriority::from_word(word(value, &RequestPriority::WORDS)?),
            "concurrency" => self.concurrency = Some(whole(value, 1, u32::MAX)?),
            _ => self.depth = Some(whole(value, 1, QUEUE_DEPTH_MAX)?),
        }
        Ok(())
    }

    /// The finished agreement, if every field that is needed is there.
    ///
    /// # Errors
    /// The first of [`SlaDraft::each_problem`].
    pub fn finish(&self) -> Result<SLA, SpecError> {
        finished(self.sla(), |each| self.each_problem(each))
    }

    /// Calls `each` with every field that is missing.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        for (field, is_missing) in
            [("service", self.service.is_none()), ("p95", self.p95_latency_ms.is_none())]
        {
            if is_missing {
                each(SpecError { field, problem: Problem::Missing });
            }
        }
    }

    fn sla(&self) -> Option<SLA> {
        Some(SLA {
            service_id: self.service?,
            p95_latency_ms: self.p95_latency_ms?,
            error_rate_threshold_ppm: self.error_rate_ppm.unwrap_or(ERROR_RATE_DEFAULT_PPM),
            priority_level: self.class.unwrap_or_default(),
            concurrency: self.concurrency.unwrap_or(0),
            queue_depth: self.depth.unwrap_or(QUEUE_DEPTH_DEFAULT),
        })
    }
}

/// A name that is not `*`: each service has a queue of its own.
fn one_service(name: Name) -> Result<Name, Problem> {
    match name.as_str() {
        "*" => Err(Problem::Expected("one service by its name; an agreement for * cannot be given")),
        _ => Ok(name),
    }
}

/// A latency in whole milliseconds.
fn latency(value: FieldValue<'_>) -> Result<u32, Problem> {
    const EXPECTED: &str = "whole milliseconds from 1ms to 1h, such as 200ms";
    let nanos: Nanos = text(value, "a string such as \"200ms\"")?.parse().map_err(Problem::Unit)?;
    let millis = u32::try_from(nanos.0 / 1_000_000).ok().filter(|_| nanos.0.is_multiple_of(1_000_000));
    millis.filter(|millis| (1..=P95_LATENCY_MS_MAX).contains(millis)).ok_or(Problem::Expected(EXPECTED))
}

/// A percentage with up to four decimals, in parts of a million.
fn error_rate(value: FieldValue<'_>) -> Result<u32, Problem> {
    const EXPECTED: &str = "more than 0% and at most 100%, with up to four decimals, such as 0.5%";
    let written = text(value, "a string such as \"1%\"")?;
    let parts = written.parse::<Percent>().ok().filter(|parts| (1..=PPM).contains(&parts.0));
    parts.map(|parts| parts.0).ok_or(Problem::Expected(EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::{SLA, SLA_FIELDS, SlaDraft};
    use crate::field::{FieldValue, Problem};
    use crate::request::RequestPriority;

    fn draft(fields: &[(&str, &str)]) -> SlaDraft {
        let mut draft = SlaDraft::default();
        for &(field, value) in fields {
            draft.set(field, FieldValue::Text(value)).unwrap();
        }
        draft
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let sla = draft(&[("service", "github"), ("p95", "200ms")]).finish().unwrap();
        assert_eq!((sla.p95_latency_ms, sla.error_rate_threshold_ppm), (200, 10_000));
        assert_eq!((sla.concurrency, sla.queue_depth), (0, 256));
        assert_eq!(sla.priority_level, RequestPriority::Normal);
        assert!(sla.check().is_ok());
        let mut missing = Vec::new();
        SlaDraft::default().each_problem(|problem| missing.push(problem.field));
        assert_eq!(missing, ["service", "p95"]);
    }

    #[test]
    fn an_agreement_prints_what_reads_back_to_it() {
        let first = draft(&[
            ("service", "git \"hub\""),
            ("p95", "1h"),
            ("error_rate", "0.0001%"),
            ("class", "high"),
            ("concurrency", "4"),
            ("depth", "4096"),
        ])
        .finish()
        .unwrap();
        let shown = first.to_string();
        let fields = shown.lines().skip(1).map(|line| line.split_once(" = ").unwrap());
        let mut again = SlaDraft::default();
        for (field, value) in fields {
            let value = value.trim_matches('"').replace("\\\"", "\"");
            again.set(field, FieldValue::Text(&value)).unwrap();
        }
        // The last quote of the name is part of it.
        again.set("service", FieldValue::Text("git \"hub\"")).unwrap();
        assert_eq!(again.finish(), Ok(first));
        assert_eq!(SlaDraft::from_sla(&first).finish(), Ok(first));
    }

    #[test]
    fn values_out_of_range_are_refused_and_leave_the_draft() {
        let mut one = draft(&[("service", "a"), ("p95", "5ms")]);
        for (field, value) in [
            ("p95", "0s"),
            ("p95", "1500us"),
            ("p95", "61m"),
            ("p95", "5"),
            ("error_rate", "0%"),
            ("error_rate", "100.0001%"),
            ("error_rate", "1"),
            ("error_rate", ".5%"),
            ("error_rate", "1.00000%"),
            ("error_rate", "99999999999%"),
            ("class", "urgent"),
            ("concurrency", "0"),
            ("concurrency", "4294967296"),
            ("depth", "0"),
            ("depth", "4097"),
            ("service", ""),
            ("service", "*"),
        ] {
            assert_eq!(one.set(field, FieldValue::Text(value)).unwrap_err().field, field, "{value}");
        }
        assert_eq!(one.finish().unwrap().p95_latency_ms, 5);
        assert_eq!(one.set("x", FieldValue::Other).unwrap_err().problem, Problem::Unknown(&SLA_FIELDS));
        assert_eq!(one.change("service", FieldValue::Text("b")).unwrap_err().problem, Problem::Fixed);
        let sla = one.finish().unwrap();
        for wrong in [
            SLA { p95_latency_ms: 3_600_001, ..sla },
            SLA { error_rate_threshold_ppm: 0, ..sla },
            SLA { queue_depth: 4097, ..sla },
            SLA { service_id: crate::scope::Name::EMPTY, ..sla },
            SLA { service_id: crate::scope::Name::excerpt("*"), ..sla },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
