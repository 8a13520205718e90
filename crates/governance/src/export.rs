//! Writing what the engine knows for other programs: JSON objects and CSV records, one a line, into a sink of the
//! caller's.
//!
//! Figures, which a monitoring system reads, go through a [`FigureSink`]: one visit gives them as CSV, as JSON or in the
//! text format of Prometheus.
//!
//! [`ObjectWriter`] and [`RecordWriter`] have the same shape: `begin`, a call for each member or field, `end`. Nothing
//! is kept in between, and every method hands the sink's error on.

mod csv;
mod figures;
mod json;
mod prometheus;
mod rows;

pub use csv::RecordWriter;
pub use figures::{
    CsvFigures, Figure, FigureKind, FigureSink, FiguresFormat, HistogramFigure, JsonFigures, LABELS_MAX,
    Label, write_figures,
};
pub use json::ObjectWriter;
pub use prometheus::{FAMILIES_MAX, PrometheusWriter};
pub(crate) use rows::{Value, write_header, write_row};

/// The form in which usage and bills are handed out.
///
/// ```
/// use governance::export::ExportFormat;
/// assert_eq!(ExportFormat::from_word("focus"), Some(ExportFormat::Focus));
/// assert_eq!(ExportFormat::Csv.word(), "csv");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values with a header, as RFC 4180 has them.
    Csv,
    /// One JSON object a line.
    Json,
    /// Comma-separated values in the columns of FOCUS, the FinOps Open Cost and Usage Specification.
    Focus,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::Focus];

    /// The words that users write, in the order of [`ExportFormat::ALL`].
    pub const WORDS: [&'static str; 3] = [Self::Csv.word(), Self::Json.word(), Self::Focus.word()];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Focus => "focus",
        }
    }

    /// The format that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::ExportFormat;

    #[test]
    fn words_read_back() {
        assert_eq!(ExportFormat::WORDS.map(ExportFormat::from_word), ExportFormat::ALL.map(Some));
        assert_eq!(ExportFormat::from_word("xml"), None);
    }
}
