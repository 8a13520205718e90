//! What is configured of the guard, and the words for it: the table `[traffic]`.

use crate::field::{FieldValue, Problem, SpecError, text, whole};
use crate::mode::Mode;
use crate::time::Nanos;
use core::fmt;

/// The longest time that can be configured: a day.
pub const GUARD_TIME_MAX: Nanos = Nanos::from_seconds(86_400);

const COOLDOWN_DEFAULT: Nanos = Nanos::from_seconds(60);
const DELAY_DEFAULT: Nanos = Nanos::from_millis(250);
const BLOCK_DEFAULT: Nanos = Nanos::from_seconds(10);

/// The fields of the guard, as users write them.
pub const GUARD_FIELDS: [&str; 7] = [
    "requests_per_minute",
    "repeats_per_minute",
    "failures_per_minute",
    "cooldown",
    "delay",
    "block",
    "mode",
];

/// What is configured of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// The hard cap: how many requests of all callers pass in a minute, from 1; none if there is no cap.
    pub requests_per_minute: Option<u32>,
    /// From how many requests of one caller for one target in a minute on it is a loop, from 1; none if no loop is
    /// looked for.
    pub repeats_per_minute: Option<u32>,
    /// How many outcomes may fail in a minute before there is degraded mode, from 1; none if it does not matter.
    pub failures_per_minute: Option<u32>,
    /// How long degraded mode lasts after the cap or the failures were exceeded; above zero.
    pub cooldown: Nanos,
    /// How long a request waits at the level delay; above zero.
    pub delay: Nanos,
    /// How long a caller is blocked for its first strike; above zero.
    pub block: Nanos,
    /// Whether the guard has a say.
    pub mode: Mode,
}

impl GuardSettings {
    /// All-zero: nothing is configured.
    pub const IDLE: Self = Self {
        requests_per_minute: None,
        repeats_per_minute: None,
        failures_per_minute: None,
        cooldown: Nanos::ZERO,
        delay: Nanos::ZERO,
        block: Nanos::ZERO,
        mode: Mode::Enforce,
    };

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.requests_per_minute.is_none()
            && self.repeats_per_minute.is_none()
            && self.failures_per_minute.is_none()
    }

    /// Whether every value is in range.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        if *self == Self::IDLE {
            return Ok(());
        }
        for (field, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("repeats_per_minute", self.repeats_per_minute),
            ("failures_per_minute", self.failures_per_minute),
        ] {
            if value == Some(0) {
                return Err(SpecError { field, problem: Problem::Zero });
            }
        }
        for (field, value) in [("cooldown", self.cooldown), ("delay", self.delay), ("block", self.block)] {
            in_range(value).map_err(|problem| SpecError { field, problem })?;
        }
        Ok(())
    }
}

/// Writes the settings as the table `[traffic]`, in the words that read back to them.
impl fmt::Display for GuardSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[traffic]\n")?;
        for (field, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("repeats_per_minute", self.repeats_per_minute),
            ("failures_per_minute", self.failures_per_minute),
        ] {
            if let Some(value) = value {
                writeln!(f, "{field} = {value}")?;
            }
        }
        for (field, value) in [("cooldown", self.cooldown), ("delay", self.delay), ("block", self.block)] {
            if value != Nanos::ZERO {
                writeln!(f, "{field} = \"{value}\"")?;
            }
        }
        if self.mode == Mode::Shadow {
            writeln!(f, "mode = \"{}\"", self.mode.word())?;
        }
        Ok(())
    }
}

/// The fields of the guard as far as they are known.
///
/// ```
/// use governance::field::FieldValue;
/// use governance::loop_guard::GuardDraft;
/// let mut draft = GuardDraft::default();
/// draft.set("repeats_per_minute", FieldValue::Integer(600)).unwrap();
/// let settings = draft.finish().unwrap();
/// assert_eq!(settings.repeats_per_minute, Some(600));
/// assert!(draft.set("block", FieldValue::Text("0s")).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardDraft {
    requests_per_minute: Option<u32>,
    repeats_per_minute: Option<u32>,
    failures_per_minute: Option<u32>,
    cooldown: Option<Nanos>,
    delay: Option<Nanos>,
    block: Option<Nanos>,
    mode: Option<Mode>,
}

impl GuardDraft {
    /// A draft that says what `settings` say.
    #[must_use]
    pub fn from_settings(settings: &GuardSettings) -> Self {
        let given = |time: Nanos| Some(time).filter(|&time| time != Nanos::ZERO);
        Self {
            requests_per_minute: settings.requests_per_minute,
            repeats_per_minute: settings.repeats_per_minute,
            failures_per_minute: settings.failures_per_minute,
            cooldown: given(settings.cooldown),
            delay: given(settings.delay),
            block: given(settings.block),
            mode: Some(settings.mode),
        }
    }

    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = GUARD_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "traffic", problem: Problem::Unknown(&GUARD_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "requests_per_minute" => self.requests_per_minute = Some(threshold(value)?),
            "repeats_per_minute" => self.repeats_per_minute = Some(threshold(value)?),
            "failures_per_minute" => self.failures_per_minute = Some(threshold(value)?),
            "cooldown" => self.cooldown = Some(duration(value)?),
            "delay" => self.delay = Some(duration(value)?),
            "block" => self.block = Some(duration(value)?),
            _ => self.mode = Some(Mode::of_field(value)?),
        }
        Ok(())
    }

    /// The finished settings. Nothing is needed.
    ///
    /// # Errors
    /// [`SpecError`] names a value out of range, as [`GuardSettings::check`] does.
    pub fn finish(&self) -> Result<GuardSettings, SpecError> {
        let settings = GuardSettings {
            requests_per_minute: self.requests_per_minute,
            repeats_per_minute: self.repeats_per_minute,
            failures_per_minute: self.failures_per_minute,
            cooldown: self.cooldown.unwrap_or(COOLDOWN_DEFAULT),
            delay: self.delay.unwrap_or(DELAY_DEFAULT),
            block: self.block.unwrap_or(BLOCK_DEFAULT),
            mode: self.mode.unwrap_or_default(),
        };
        settings.check().map(|()| settings)
    }
}

/// A number of things in a minute.
fn threshold(value: FieldValue<'_>) -> Result<u32, Problem> {
    match value {
        FieldValue::Integer(0) | FieldValue::Text("0") => Err(Problem::Zero),
        _ => whole(value, 1, u32::MAX),
    }
}

fn duration(value: FieldValue<'_>) -> Result<Nanos, Problem> {
    let time = text(value, "a string such as \"10s\"")?.parse().map_err(Problem::Unit)?;
    in_range(time).map(|()| time)
}

fn in_range(time: Nanos) -> Result<(), Problem> {
    match time {
        Nanos::ZERO => Err(Problem::Zero),
        _ if time > GUARD_TIME_MAX => Err(Problem::Expected("at most 1d")),
        _ => Ok(()),
    }
}
