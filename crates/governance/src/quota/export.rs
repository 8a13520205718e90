//! Usage as other programs read it: comma-separated values and lines of JSON.

use super::QuotaManager;
use super::registry::Entry;
use super::view::QuotaUsage;
use crate::decision::Sharing;
use crate::export::{ExportFormat, Value, write_header, write_row};
use crate::rate_limiter::OVERFLOW_NAME;
use crate::time::Now;
use core::fmt;

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Writes what is used of every quota now: of each exact scope, and of each key that has a counter, in the order of
    /// the quotas. Keys that share an overflow counter are one, [`OVERFLOW_NAME`].
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn export_usage(&self, now: Now, format: ExportFormat, out: &mut dyn fmt::Write) -> fmt::Result {
        let now = self.latest.wall.max(now.wall);
        write_header(format, &COLUMNS, out)?;
        for number in self.registry.numbers() {
            let entry = self.registry.entry(number);
            for usage in self.usages_of(now, number) {
                write_usage(format, entry, &usage, out)?;
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

fn write_usage(
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
    write_row(format, &COLUMNS, &values, out)
}
