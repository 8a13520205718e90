//! Usage as other programs read it: comma-separated values and lines of JSON.

use super::QuotaManager;
use super::registry::Entry;
use super::view::QuotaUsage;
use crate::decision::Sharing;
use crate::rate_limiter::OVERFLOW_NAME;
use crate::time::Now;
use core::fmt;

/// A form in which usage is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A line of names and a line for each counter, as RFC 4180 has them. Lines end in a line feed. A text that a
    /// spreadsheet could take for a formula has a `'` before it.
    Csv,
    /// An object for each counter, one a line.
    Json,
}

/// A value of a column.
enum Value<'a> {
    Text(&'a str),
    Shown(&'a dyn fmt::Display),
    Number(u64),
    None,
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Writes what is used of every quota now: of each exact scope, and of each key that has a counter, in the order of
    /// the quotas. Keys that share an overflow counter are one, [`OVERFLOW_NAME`].
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn export_usage(&self, now: Now, format: ExportFormat, out: &mut dyn fmt::Write) -> fmt::Result {
        let now = self.latest.wall.max(now.wall);
        if format == ExportFormat::Csv {
            let mut is_first = true;
            for column in COLUMNS {
                write!(out, "{}{column}", if core::mem::take(&mut is_first) { "" } else { "," })?;
            }
            out.write_str("\n")?;
        }
        for number in self.registry.numbers() {
            let entry = self.registry.entry(number);
            for usage in self.usages_of(now, number) {
                write_row(format, entry, &usage, out)?;
            }
        }
        Ok(())
    }
}

const COLUMNS: [&str; 20] = [
    "quota",
    "scope",
    "key",
    "unit",
    "window",
    "period_start",
    "period_end",
    "limit",
    "carry",
    "capacity",
    "used",
    "reserved",
    "utilization_permille",
    "requests",
    "denied",
    "peak",
    "alert",
    "enforcement",
    "mode",
    "parent",
];

fn write_row(
    format: ExportFormat,
    entry: &Entry,
    usage: &QuotaUsage,
    out: &mut dyn fmt::Write,
) -> fmt::Result {
    let spec = &entry.spec;
    let key = match (&usage.key, usage.shared) {
        (Some(key), _) => Value::Text(key.as_str()),
        (None, Sharing::Overflow) => Value::Text(OVERFLOW_NAME),
        (None, Sharing::Own) => Value::None,
    };
    let values: [Value<'_>; COLUMNS.len()] = [
        Value::Text(spec.name.as_str()),
        Value::Shown(&spec.scope),
        key,
        Value::Text(spec.unit.word()),
        Value::Shown(&spec.schedule.cycle),
        Value::Shown(&usage.period.start),
        Value::Shown(&usage.period.end),
        Value::Number(spec.limit),
        Value::Number(usage.carry),
        Value::Number(usage.capacity),
        Value::Number(usage.used),
        Value::Number(usage.reserved),
        Value::Number(usage.utilization_permille()),
        Value::Number(usage.requests),
        Value::Number(usage.denied.into()),
        Value::Number(usage.peak),
        usage.alert.map_or(Value::None, |percent| Value::Number(percent.into())),
        Value::Text(spec.enforcement.word()),
        Value::Text(spec.mode.word()),
        spec.parent.as_ref().map_or(Value::None, |parent| Value::Text(parent.as_str())),
    ];
    for (index, (column, value)) in COLUMNS.into_iter().zip(values).enumerate() {
        let separator = match (index, format) {
            (0, ExportFormat::Csv) => "",
            (0, ExportFormat::Json) => "{",
            _ => ",",
        };
        out.write_str(separator)?;
        match format {
            ExportFormat::Csv => write_field(value, out)?,
            ExportFormat::Json => {
                write!(out, "\"{column}\":")?;
                write_json(value, out)?;
            }
        }
    }
    out.write_str(if format == ExportFormat::Json { "}\n" } else { "\n" })
}

/// A text of either kind, held in place: a scope is the longest.
fn shown(value: &dyn fmt::Display) -> crate::text::Text<88> {
    crate::text::Text::format(format_args!("{value}")).unwrap_or_default()
}

fn write_field(value: Value<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    let held;
    let text = match value {
        Value::None => return Ok(()),
        Value::Number(number) => return write!(out, "{number}"),
        Value::Text(text) => text,
        Value::Shown(value) => {
            held = shown(value);
            held.as_str()
        }
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_plain = |character: char| !matches!(character, ',' | '"') && !character.is_control();
    if !is_formula && text.chars().all(is_plain) {
        return out.write_str(text);
    }
    out.write_str(if is_formula { "\"'" } else { "\"" })?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\"\"")?,
            '\t' | '\r' | '\n' => out.write_char(character)?,
            // Others could make a terminal do something.
            _ if character.is_control() => write!(out, "{}", character.escape_unicode())?,
            _ => out.write_char(character)?,
        }
    }
    out.write_str("\"")
}

fn write_json(value: Value<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    let held;
    let text = match value {
        Value::None => return out.write_str("null"),
        Value::Number(number) => return write!(out, "{number}"),
        Value::Text(text) => text,
        Value::Shown(value) => {
            held = shown(value);
            held.as_str()
        }
    };
    out.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            _ if character.is_control() => write!(out, "\\u{:04x}", u32::from(character))?,
            _ => out.write_char(character)?,
        }
    }
    out.write_str("\"")
}
