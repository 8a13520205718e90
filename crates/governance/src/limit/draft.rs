//! The words in which users describe a limit.
//!
//! [`LimitDraft`] collects the fields of one limit from a configuration file or a command line, in the same words,
//! and [`LimitDraft::finish`] makes a [`LimitSpec`] of them in which every value is in range.

use super::{
    Align, BucketShape, ConcurrencyShape, LimitName, LimitSpec, LimitState, Per, RateLimitAlgorithm,
    WindowShape, default_name,
};
use crate::field::{FieldValue, Problem, SpecError, amount, boolean, finished, name, text, word};
use crate::mode::Mode;
use crate::request::Unit;
use crate::scope::Scope;
use crate::time::Nanos;
use crate::units::Rate;

/// The fields of a limit, as users write them.
pub const FIELDS: [&str; 13] = [
    "scope",
    "per",
    "name",
    "algorithm",
    "capacity",
    "rate",
    "limit",
    "window",
    "lease",
    "unit",
    "align",
    "enabled",
    "mode",
];

/// The fields of a limit as far as they are known.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::limit::LimitDraft;
/// let mut draft = LimitDraft::default();
/// for (field, value) in [("scope", "ip:*"), ("algorithm", "token-bucket"), ("capacity", "10"), ("rate", "1/s")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().name.as_str(), "ip:*");
/// draft.set("capacity", FieldValue::Integer(0)).unwrap_err();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitDraft {
    name: Option<LimitName>,
    scope: Option<Scope>,
    per: Option<Per>,
    /// The algorithm; the shape in it is of no account.
    algorithm: Option<RateLimitAlgorithm>,
    capacity: Option<u64>,
    rate: Option<Rate>,
    limit: Option<u64>,
    window: Option<Nanos>,
    lease: Option<Nanos>,
    unit: Option<Unit>,
    align: Option<Align>,
    state: Option<LimitState>,
    mode: Option<Mode>,
}

impl LimitDraft {
    /// A draft that says what `spec` says.
    #[must_use]
    pub fn from_spec(spec: &LimitSpec) -> Self {
        let (bucket, window) = (spec.algorithm.bucket(), spec.algorithm.window());
        let concurrency = spec.algorithm.concurrency();
        Self {
            name: Some(spec.name),
            scope: Some(spec.scope),
            per: Some(spec.per),
            algorithm: Some(spec.algorithm),
            capacity: bucket.map(|shape| shape.capacity),
            rate: bucket.map(|shape| shape.rate),
            limit: window.map(|shape| shape.limit).or(concurrency.map(|shape| shape.limit)),
            window: window.map(|shape| shape.window),
            lease: concurrency.map(|shape| shape.lease),
            unit: Some(spec.unit),
            align: window
                .filter(|_| !matches!(spec.algorithm, RateLimitAlgorithm::SlidingLog(_)))
                .map(|shape| shape.align),
            state: Some(spec.state),
            mode: Some(spec.mode),
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "limit", problem: Problem::Unknown(&FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing limit. A change of algorithm drops the fields that do not go with it.
    ///
    /// # Errors
    /// As [`LimitDraft::set`]; name, scope, per and unit cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if let Some(field) = ["name", "scope", "per", "unit"].into_iter().find(|&fixed| fixed == field) {
            return Err(SpecError { field, problem: Problem::Fixed });
        }
        self.set(field, value)?;
        if field == "algorithm"
            && let Some(algorithm) = self.algorithm
        {
            self.capacity = self.capacity.filter(|_| algorithm.bucket().is_some());
            self.rate = self.rate.filter(|_| algorithm.bucket().is_some());
            self.limit = self.limit.filter(|_| takes_limit(&algorithm));
            self.window = self.window.filter(|_| algorithm.window().is_some());
            self.lease = self.lease.filter(|_| algorithm.concurrency().is_some());
            self.align = self.align.filter(|_| algorithm.can_align());
        }
        Ok(())
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "scope" => self.scope = Some(Scope::parse(text(value, "a string")?).map_err(Problem::Scope)?),
            "per" => {
                word(value, &Per::WORDS)?;
                self.per = Some(Per::Client);
            }
            "name" => self.name = Some(name(value)?),
            "algorithm" => {
                self.algorithm = RateLimitAlgorithm::from_word(word(value, &RateLimitAlgorithm::WORDS)?);
            }
            "capacity" => self.capacity = Some(amount(value)?),
            "limit" => self.limit = Some(amount(value)?),
            "rate" => {
                let rate: Rate = text(value, "a string such as \"60/1m\"")?.parse().map_err(Problem::Unit)?;
                if rate.count == 0 || rate.period == Nanos::ZERO {
                    return Err(Problem::Zero);
                }
                self.rate = Some(rate);
            }
            "window" => self.window = Some(duration(value, "a string such as \"60s\"")?),
            "lease" => self.lease = Some(duration(value, "a string such as \"30s\"")?),
            "unit" => self.unit = Unit::from_word(word(value, &["requests", "bytes", "tokens"])?),
            "align" => {
                let clock = word(value, &["spread", "clock"])? == Align::Clock.word();
                self.align = Some(if clock { Align::Clock } else { Align::Spread });
            }
            "enabled" => {
                self.state = Some(if boolean(value)? { LimitState::Enabled } else { LimitState::Disabled });
            }
            _ => {
                self.mode = Some(Mode::of_field(value)?);
            }
        }
        Ok(())
    }

    /// The finished limit, if every field that the algorithm needs is there, and no other.
    ///
    /// # Errors
    /// The first of [`LimitDraft::each_problem`].
    pub fn finish(&self) -> Result<LimitSpec, SpecError> {
        finished(self.spec(), |each| self.each_problem(each))
    }

    /// Calls `each` with everything that keeps the draft from being a limit: fields that are missing, that do not go
    /// with the algorithm, or, when those are right, out of range together.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        if self.scope.is_none() {
            each(SpecError { field: "scope", problem: Problem::Missing });
        }
        let Some(algorithm) = self.algorithm else {
            return each(SpecError { field: "algorithm", problem: Problem::Missing });
        };
        let (bucket, window) = (algorithm.bucket().is_some(), algorithm.window().is_some());
        let (limit, lease) = (takes_limit(&algorithm), algorithm.concurrency().is_some());
        for (field, given, taken, needed) in [
            ("capacity", self.capacity.is_some(), bucket, bucket),
            ("rate", self.rate.is_some(), bucket, bucket),
            ("limit", self.limit.is_some(), limit, limit),
            ("window", self.window.is_some(), window, window),
            ("lease", self.lease.is_some(), lease, lease),
            ("align", self.align.is_some(), algorithm.can_align(), false),
        ] {
            if given && !taken {
                each(SpecError { field, problem: not_with(&algorithm) });
            } else if needed && !given {
                each(SpecError { field, problem: Problem::MissingFor("algorithm", algorithm.word()) });
            }
        }
        if let Some(Err(problem)) = self.spec().map(|spec| spec.check()) {
            each(problem);
        }
    }

    /// What the fields say, if all that are needed are there.
    fn spec(&self) -> Option<LimitSpec> {
        let scope = self.scope?;
        let bucket = || Some(BucketShape { capacity: self.capacity?, rate: self.rate? });
        let window = || {
            Some(WindowShape {
                limit: self.limit?,
                window: self.window?,
                align: self.align.unwrap_or_default(),
            })
        };
        let concurrency = || Some(ConcurrencyShape { limit: self.limit?, lease: self.lease? });
        let algorithm = match self.algorithm? {
            RateLimitAlgorithm::TokenBucket(_) => RateLimitAlgorithm::TokenBucket(bucket()?),
            RateLimitAlgorithm::LeakyBucket(_) => RateLimitAlgorithm::LeakyBucket(bucket()?),
            RateLimitAlgorithm::LeakyQueue(_) => RateLimitAlgorithm::LeakyQueue(bucket()?),
            RateLimitAlgorithm::FixedWindow(_) => RateLimitAlgorithm::FixedWindow(window()?),
            RateLimitAlgorithm::SlidingWindow(_) => RateLimitAlgorithm::SlidingWindow(window()?),
            RateLimitAlgorithm::SlidingLog(_) => RateLimitAlgorithm::SlidingLog(window()?),
            RateLimitAlgorithm::Unlimited => RateLimitAlgorithm::Unlimited,
            RateLimitAlgorithm::Ban => RateLimitAlgorithm::Ban,
            RateLimitAlgorithm::Concurrency(_) => RateLimitAlgorithm::Concurrency(concurrency()?),
        };
        let unit = self.unit.unwrap_or_default();
        let name = self.name.unwrap_or_else(|| default_name(&scope, unit));
        let per = self.per.unwrap_or_default();
        let (state, mode) = (self.state.unwrap_or_default(), self.mode.unwrap_or_default());
        Some(LimitSpec { name, scope, per, algorithm, unit, state, mode })
    }
}

/// Whether the algorithm takes the field `limit`.
const fn takes_limit(algorithm: &RateLimitAlgorithm) -> bool {
    algorithm.window().is_some() || algorithm.concurrency().is_some()
}

/// A length of time that is not zero.
fn duration(value: FieldValue<'_>, expected: &'static str) -> Result<Nanos, Problem> {
    match text(value, expected)?.parse().map_err(Problem::Unit)? {
        Nanos::ZERO => Err(Problem::Zero),
        duration => Ok(duration),
    }
}

fn not_with(algorithm: &RateLimitAlgorithm) -> Problem {
    Problem::NotWith { field: "algorithm", value: algorithm.word(), takes: algorithm.fields() }
}

#[cfg(test)]
mod tests {
    use super::{FieldValue, LimitDraft, LimitSpec, Problem, SpecError, not_with};
    use crate::limit::RateLimitAlgorithm;

    fn draft(fields: &[(&str, FieldValue<'_>)]) -> Result<LimitSpec, SpecError> {
        let mut draft = LimitDraft::default();
        for &(field, value) in fields {
            draft.set(field, value)?;
        }
        draft.finish()
    }

    fn bucket<'a>(capacity: FieldValue<'a>, rate: &'a str) -> [(&'static str, FieldValue<'a>); 4] {
        let text = FieldValue::Text;
        [
            ("scope", text("ip:*")),
            ("algorithm", text("token-bucket")),
            ("capacity", capacity),
            ("rate", text(rate)),
        ]
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        use FieldValue::{Fraction, Integer, Text};
        for (capacity, rate, field, problem) in [
            (Integer(0), "1/s", "capacity", Problem::Zero),
            (Integer(-1), "1/s", "capacity", Problem::Negative),
            (Text("-1"), "1/s", "capacity", Problem::Negative),
            (Fraction, "1/s", "capacity", Problem::NotWhole),
            (Text("1.5"), "1/s", "capacity", Problem::NotWhole),
            (Integer(1), "0/s", "rate", Problem::Zero),
            (Integer(1), "1/0s", "rate", Problem::Zero),
            (Integer(i64::MAX), "1/2d", "capacity", Problem::ProductTooLarge),
        ] {
            assert_eq!(
                draft(&bucket(capacity, rate)),
                Err(SpecError { field, problem }),
                "{capacity:?} {rate}"
            );
        }
        // 2^50 × 2^50 ns is the first product that is too large.
        assert!(draft(&bucket(Integer((1 << 50) - 1), "1/1125899906842624ns")).is_ok());
        assert!(draft(&bucket(Integer(1 << 50), "1/1125899906842624ns")).is_err());
    }

    #[test]
    fn fields_that_do_not_go_together_are_refused() {
        let text = FieldValue::Text;
        let mut fields = bucket(FieldValue::Integer(1), "1/s").to_vec();
        fields.push(("window", text("1s")));
        assert_eq!(
            draft(&fields),
            Err(SpecError {
                field: "window",
                problem: not_with(&RateLimitAlgorithm::from_word("token-bucket").unwrap())
            })
        );
        let fields =
            [("scope", text("ip:*")), ("algorithm", text("fixed-window")), ("limit", FieldValue::Integer(1))];
        assert_eq!(
            draft(&fields),
            Err(SpecError { field: "window", problem: Problem::MissingFor("algorithm", "fixed-window") })
        );
        assert_eq!(
            LimitDraft::default().set("mode", text("quiet")).unwrap_err().problem,
            Problem::NotOneOf(&["enforce", "shadow"])
        );
        assert_eq!(
            LimitDraft::default().set("burst", text("1")).unwrap_err().problem,
            Problem::Unknown(&super::FIELDS)
        );
    }

    #[test]
    fn an_in_flight_limit_takes_limit_and_lease_and_counts_requests() {
        let text = FieldValue::Text;
        let fields = [
            ("scope", text("tenant:*")),
            ("algorithm", text("concurrency")),
            ("limit", FieldValue::Integer(4)),
            ("lease", text("30s")),
        ];
        let spec = draft(&fields).unwrap();
        let written =
            "[[limit]]\nscope = \"tenant:*\"\nalgorithm = \"concurrency\"\nlimit = 4\nlease = \"30s\"\n";
        assert_eq!(spec.to_string(), written);
        assert_eq!(LimitDraft::from_spec(&spec).finish(), Ok(spec));
        assert_eq!(
            draft(&fields[..3]).unwrap_err().to_string(),
            "lease: missing; algorithm concurrency needs it"
        );
        for (field, value, message) in [
            ("lease", "0s", "lease: 0 is not allowed; expected at least 1"),
            ("unit", "bytes", "unit: expected requests, which is what can be in flight"),
            ("window", "1s", "window: does not go with algorithm concurrency, which takes limit and lease"),
            ("rate", "1/s", "rate: does not go with algorithm concurrency, which takes limit and lease"),
            (
                "mode",
                "shadow",
                "mode: expected enforce: what is in flight is known by the tickets that this makes",
            ),
        ] {
            let mut fields = fields.to_vec();
            fields.push((field, text(value)));
            assert_eq!(draft(&fields).unwrap_err().to_string(), message);
        }
        let mut changed = LimitDraft::from_spec(&spec);
        changed.change("algorithm", text("fixed-window")).unwrap();
        changed.change("window", text("1m")).unwrap();
        assert_eq!(changed.finish().unwrap().algorithm.capacity(), Some(4), "the limit goes with both");
        let mut fields = bucket(FieldValue::Integer(1), "1/s").to_vec();
        fields.push(("lease", text("1s")));
        assert!(draft(&fields).is_err());
    }

    #[test]
    fn a_shadow_limit_says_so() {
        let mut fields = bucket(FieldValue::Integer(1), "1/s").to_vec();
        fields.push(("mode", FieldValue::Text("shadow")));
        let spec = draft(&fields).unwrap();
        assert!(spec.to_string().ends_with("rate = \"1/1s\"\nmode = \"shadow\"\n"), "{spec}");
        assert_eq!(LimitDraft::from_spec(&spec).finish(), Ok(spec));
    }

    #[test]
    fn a_limit_is_named_after_scope_and_unit() {
        let text = FieldValue::Text;
        let mut fields = bucket(FieldValue::Text("64KiB"), "1KiB/s").to_vec();
        fields.push(("unit", text("bytes")));
        let spec = draft(&fields).unwrap();
        assert_eq!(spec.name.as_str(), "ip:*#bytes");
        assert_eq!(
            spec.to_string(),
            "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"token-bucket\"\ncapacity = 65536\nrate = \"1024/1s\"\nunit = \"bytes\"\n"
        );
        fields.push(("name", text("a \"b\"")));
        assert!(draft(&fields).unwrap().to_string().contains("name = \"a \\\"b\\\"\"\n"));
        assert!(LimitDraft::default().set("name", text("")).is_err());
        assert!(LimitDraft::default().set("name", text(&"x".repeat(65))).is_err());
    }

    #[test]
    fn a_change_of_algorithm_drops_what_does_not_go_with_it() {
        let spec = draft(&bucket(FieldValue::Integer(5), "1/s")).unwrap();
        let mut changed = LimitDraft::from_spec(&spec);
        changed.change("algorithm", FieldValue::Text("ban")).unwrap();
        assert_eq!(changed.finish().unwrap().algorithm.word(), "ban");
        assert_eq!(changed.change("unit", FieldValue::Text("bytes")).unwrap_err().problem, Problem::Fixed);
        assert_eq!(LimitDraft::from_spec(&spec).finish(), Ok(spec));
    }
}
