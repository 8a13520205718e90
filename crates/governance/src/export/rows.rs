//! Rows of named values: one list of columns, written as CSV or as JSON.

use super::{ExportFormat, ObjectWriter, RecordWriter};
use core::fmt::{self, Display, Write};

/// A value of a column.
pub(crate) enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// What a value prints, as a text.
    Shown(&'a dyn Display),
    /// A number that is not negative.
    Number(u64),
    /// A number with decimals or a sign, which is a text in JSON: readers of its numbers round them.
    Decimal(&'a dyn Display),
    /// Whether something is so: yes or no, and a boolean in JSON.
    Flag(bool),
    /// Nothing.
    None,
}

/// Writes the names of columns, where the format has such a line.
pub(crate) fn write_header(format: ExportFormat, columns: &[&str], out: &mut dyn Write) -> fmt::Result {
    if format == ExportFormat::Json {
        return Ok(());
    }
    columns.iter().try_fold(RecordWriter::begin(out)?, |record, column| record.text(column))?.end()
}

/// Writes a row: as many values as there are columns.
pub(crate) fn write_row(
    format: ExportFormat,
    columns: &[&str],
    values: &[Value<'_>],
    out: &mut dyn Write,
) -> fmt::Result {
    assert_eq!(columns.len(), values.len(), "each column has a value");
    if format == ExportFormat::Json {
        let mut object = ObjectWriter::begin(out)?;
        for (column, value) in columns.iter().zip(values) {
            object = match value {
                Value::Text(text) => object.string(column, text)?,
                Value::Shown(value) | Value::Decimal(value) => object.display(column, value)?,
                Value::Number(number) => object.integer(column, *number)?,
                Value::Flag(flag) => object.boolean(column, *flag)?,
                Value::None => object.null(column)?,
            };
        }
        return object.end();
    }
    let mut record = RecordWriter::begin(out)?;
    for value in values {
        record = match value {
            Value::Text(text) => record.text(text)?,
            Value::Shown(value) => record.display(value)?,
            Value::Number(number) => record.integer(*number)?,
            Value::Decimal(value) => record.number(value)?,
            Value::Flag(flag) => record.text(if *flag { "yes" } else { "no" })?,
            Value::None => record.empty()?,
        };
    }
    record.end()
}
