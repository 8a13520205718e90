//! The words in which users describe how calls are repeated.

use super::{
    ATTEMPTS_MAX, BASE_MILLI_MAX, BASE_MILLI_MIN, BUDGET_MAX, BUDGET_MIN, Backoff, DELAY_MAX, DELAY_MIN, PPM,
    RetrySpec, outside,
};
use crate::field::{FieldValue, Problem, Quoted, SpecError, finished, text, whole, word};
use crate::scope::Scope;
use crate::time::Nanos;
use crate::units::{Percent, Thousandths};
use core::fmt;

/// The fields of a retry policy, as users write them.
pub const RETRY_FIELDS: [&str; 9] = [
    "scope",
    "backoff",
    "attempts",
    "initial_delay",
    "max_delay",
    "base",
    "jitter",
    "give_up_after",
    "budget",
];

const ATTEMPTS_DEFAULT: u32 = 3;
const INITIAL_DELAY_DEFAULT: Nanos = Nanos::from_seconds(1);
const MAX_DELAY_DEFAULT: Nanos = Nanos::from_seconds(60);
const BASE_MILLI_DEFAULT: u32 = 2_000;
const JITTER_PPM_DEFAULT: u32 = 100_000;
const BUDGET_DEFAULT: u32 = 10;

const SCOPE_EXPECTED: &str = "one route such as route:openai:post, or route:*";
const DELAY_EXPECTED: &str = "a duration from 1ms to 1d, such as 500ms";
const BASE_EXPECTED: &str =
    "a number from 1 to 100 with up to three decimals, as a string such as \"2\" or \"1.5\"";
const JITTER_EXPECTED: &str = "from 0% to 100%, with up to four decimals, as a string such as \"10%\"";
const ORDER_EXPECTED: &str = "at least initial_delay";

/// The fields of a retry policy as far as they are known.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::retry::RetryDraft;
/// let mut draft = RetryDraft::default();
/// for (field, value) in [("scope", "route:*"), ("backoff", "decorrelated"), ("attempts", "5")] {
///     draft.set(field, FieldValue::Text(value)).unwrap();
/// }
/// assert_eq!(draft.finish().unwrap().attempts, 5);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryDraft {
    scope: Option<Scope>,
    /// One of [`Backoff::WORDS`].
    backoff: Option<&'static str>,
    attempts: Option<u32>,
    initial_delay: Option<Nanos>,
    max_delay: Option<Nanos>,
    base_milli: Option<u32>,
    jitter_ppm: Option<u32>,
    give_up_after: Option<Nanos>,
    budget: Option<u32>,
}

impl RetryDraft {
    /// A draft that says what `spec` says.
    #[must_use]
    pub const fn from_spec(spec: &RetrySpec) -> Self {
        let (base_milli, jitter_ppm) = match spec.backoff {
            Backoff::Exponential { base_milli, jitter_ppm } => (Some(base_milli), Some(jitter_ppm)),
            Backoff::None | Backoff::Decorrelated => (None, None),
        };
        Self {
            scope: Some(spec.scope),
            backoff: Some(spec.backoff.word()),
            attempts: Some(spec.attempts),
            initial_delay: Some(spec.initial_delay),
            max_delay: Some(spec.max_delay),
            base_milli,
            jitter_ppm,
            give_up_after: if spec.give_up_after.0 == 0 { None } else { Some(spec.give_up_after) },
            budget: Some(spec.budget_milli / 1_000),
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = RETRY_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "retry", problem: Problem::Unknown(&RETRY_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    /// Changes one field of an existing policy. A change of `backoff` drops what does not go with it.
    ///
    /// # Errors
    /// As [`RetryDraft::set`]; the scope cannot be changed.
    pub fn change(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        if field == "scope" {
            return Err(SpecError { field: "scope", problem: Problem::Fixed });
        }
        self.set(field, value)?;
        if field == "backoff" && !self.is_exponential() {
            (self.base_milli, self.jitter_ppm) = (None, None);
        }
        Ok(())
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "scope" => {
                let scope = Scope::parse(text(value, "a string")?).map_err(Problem::Scope)?;
                self.scope =
                    Some(scope.is_of_routes().then_some(scope).ok_or(Problem::Expected(SCOPE_EXPECTED))?);
            }
            "backoff" => self.backoff = Some(word(value, &Backoff::WORDS)?),
            "attempts" => self.attempts = Some(whole(value, 1, ATTEMPTS_MAX)?),
            "initial_delay" => self.initial_delay = Some(delay(value)?),
            "max_delay" => self.max_delay = Some(delay(value)?),
            "base" => self.base_milli = Some(base(value)?),
            "jitter" => self.jitter_ppm = Some(jitter(value)?),
            "give_up_after" => {
                let nanos: Nanos = text(value, "a string such as \"5m\"")?.parse().map_err(Problem::Unit)?;
                self.give_up_after = Some(if nanos == Nanos::ZERO { Err(Problem::Zero)? } else { nanos });
            }
            _ => self.budget = Some(whole(value, BUDGET_MIN, BUDGET_MAX)?),
        }
        Ok(())
    }

    /// The finished policy, if every field that is needed is there.
    ///
    /// # Errors
    /// The first of [`RetryDraft::each_problem`].
    pub fn finish(&self) -> Result<RetrySpec, SpecError> {
        finished(self.spec(), |each| self.each_problem(each))
    }

    /// Calls `each` with every field that is missing or does not go with another one.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        if self.scope.is_none() {
            each(SpecError { field: "scope", problem: Problem::Missing });
        }
        if self.initial() > self.longest() {
            each(outside("max_delay", ORDER_EXPECTED));
        }
        let (value, takes) = match self.backoff {
            Some("decorrelated") => ("decorrelated", "initial_delay and max_delay"),
            Some("none") => ("none", "neither"),
            _ => return,
        };
        for (field, is_given) in [("base", self.base_milli.is_some()), ("jitter", self.jitter_ppm.is_some())]
        {
            if is_given {
                each(SpecError { field, problem: Problem::NotWith { field: "backoff", value, takes } });
            }
        }
    }

    fn spec(&self) -> Option<RetrySpec> {
        let backoff = match self.backoff {
            Some("decorrelated") => Backoff::Decorrelated,
            Some("none") => Backoff::None,
            _ => Backoff::Exponential {
                base_milli: self.base_milli.unwrap_or(BASE_MILLI_DEFAULT),
                jitter_ppm: self.jitter_ppm.unwrap_or(JITTER_PPM_DEFAULT),
            },
        };
        Some(RetrySpec {
            scope: self.scope?,
            backoff,
            attempts: self.attempts.unwrap_or(ATTEMPTS_DEFAULT),
            initial_delay: self.initial(),
            max_delay: self.longest(),
            give_up_after: self.give_up_after.unwrap_or(Nanos::ZERO),
            budget_milli: self.budget.unwrap_or(BUDGET_DEFAULT).saturating_mul(1_000),
        })
    }

    fn is_exponential(&self) -> bool {
        matches!(self.backoff, None | Some("exponential"))
    }

    /// The first delay. Where only the longest is given, the usual first one does not exceed it.
    fn initial(&self) -> Nanos {
        let usual = INITIAL_DELAY_DEFAULT.min(self.max_delay.unwrap_or(INITIAL_DELAY_DEFAULT));
        self.initial_delay.unwrap_or(usual)
    }

    /// The longest delay. Where only the first is given, the usual longest one is not below it.
    fn longest(&self) -> Nanos {
        let usual = MAX_DELAY_DEFAULT.max(self.initial_delay.unwrap_or(MAX_DELAY_DEFAULT));
        self.max_delay.unwrap_or(usual)
    }
}

/// Writes a policy as an element of `[[retry]]`, in the words that read back to it.
impl fmt::Display for RetrySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[[retry]]\nscope = ")?;
        Quoted(crate::text::Text::<80>::format(format_args!("{}", self.scope)).unwrap_or_default().as_str())
            .fmt(f)?;
        writeln!(f, "\nbackoff = \"{}\"\nattempts = {}", self.backoff.word(), self.attempts)?;
        writeln!(f, "initial_delay = \"{}\"\nmax_delay = \"{}\"", self.initial_delay, self.max_delay)?;
        if let Backoff::Exponential { base_milli, jitter_ppm } = self.backoff {
            writeln!(f, "base = \"{}\"\njitter = \"{}\"", Thousandths(base_milli), Percent(jitter_ppm))?;
        }
        if self.give_up_after != Nanos::ZERO {
            writeln!(f, "give_up_after = \"{}\"", self.give_up_after)?;
        }
        writeln!(f, "budget = {}", self.budget_milli / 1_000)
    }
}

/// Whether every value of a policy is in range; see [`RetrySpec::check`].
pub(super) fn check(spec: &RetrySpec) -> Result<(), SpecError> {
    let delays = DELAY_MIN..=DELAY_MAX;
    let (base_milli, jitter_ppm) = match spec.backoff {
        Backoff::Exponential { base_milli, jitter_ppm } => (base_milli, jitter_ppm),
        Backoff::None | Backoff::Decorrelated => (BASE_MILLI_MIN, 0),
    };
    let range = |least, most| Problem::NotWithin { least, most };
    let (tokens, rest) = (spec.budget_milli / 1_000, spec.budget_milli % 1_000);
    for (field, holds, problem) in [
        ("scope", spec.scope.is_of_routes(), Problem::Expected(SCOPE_EXPECTED)),
        ("attempts", (1..=ATTEMPTS_MAX).contains(&spec.attempts), range(1, ATTEMPTS_MAX)),
        ("initial_delay", delays.contains(&spec.initial_delay), Problem::Expected(DELAY_EXPECTED)),
        ("max_delay", delays.contains(&spec.max_delay), Problem::Expected(DELAY_EXPECTED)),
        ("max_delay", spec.initial_delay <= spec.max_delay, Problem::Expected(ORDER_EXPECTED)),
        ("base", (BASE_MILLI_MIN..=BASE_MILLI_MAX).contains(&base_milli), Problem::Expected(BASE_EXPECTED)),
        ("jitter", jitter_ppm <= PPM, Problem::Expected(JITTER_EXPECTED)),
        ("budget", (BUDGET_MIN..=BUDGET_MAX).contains(&tokens) && rest == 0, range(BUDGET_MIN, BUDGET_MAX)),
    ] {
        if !holds {
            return Err(SpecError { field, problem });
        }
    }
    Ok(())
}

fn delay(value: FieldValue<'_>) -> Result<Nanos, Problem> {
    match text(value, "a string such as \"500ms\"")?.parse().map_err(Problem::Unit)? {
        Nanos::ZERO => Err(Problem::Zero),
        delay if (DELAY_MIN..=DELAY_MAX).contains(&delay) => Ok(delay),
        _ => Err(Problem::Expected(DELAY_EXPECTED)),
    }
}

/// A number with up to three decimals, in thousandths. A whole number need not be a string.
fn base(value: FieldValue<'_>) -> Result<u32, Problem> {
    let milli = match value {
        FieldValue::Integer(number) => {
            u32::try_from(number).ok().and_then(|number| number.checked_mul(1_000))
        }
        FieldValue::Text(written) => thousandths(written),
        _ => None,
    };
    let milli = milli.filter(|milli| (BASE_MILLI_MIN..=BASE_MILLI_MAX).contains(milli));
    milli.ok_or(Problem::Expected(BASE_EXPECTED))
}

fn jitter(value: FieldValue<'_>) -> Result<u32, Problem> {
    let percent: Percent = text(value, JITTER_EXPECTED)?.parse().map_err(Problem::Unit)?;
    if percent.0 <= PPM { Ok(percent.0) } else { Err(Problem::Expected(JITTER_EXPECTED)) }
}

/// A number with up to three decimals, in thousandths.
fn thousandths(written: &str) -> Option<u32> {
    let (whole, decimals) = written.split_once('.').unwrap_or((written, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    // Missing decimals are zeros.
    let fraction = decimals.bytes().chain([b'0'; 3]).take(3);
    let fraction = fraction.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    whole.parse::<u32>().ok()?.checked_mul(1_000)?.checked_add(fraction)
}
