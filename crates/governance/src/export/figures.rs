//! Figures for other programs: one visit, and the same numbers in each format.
//!
//! Whoever has figures writes them into a [`FigureSink`]: [`FigureSink::family`] says what comes,
//! [`FigureSink::sample`] or [`FigureSink::histogram`] give it. [`write_figures`] makes the sink of a format. The rules
//! are those of the strictest reader, Prometheus, in each format: a family is begun once, and all of its figures come
//! before the next family; names and labels are ASCII; who breaks them panics. That two figures of a family do not have
//! the same labels is up to the caller.

use super::{ObjectWriter, PrometheusWriter, RecordWriter};
use crate::money::NanoUnits;
use crate::time::Nanos;
use core::fmt::{self, Display, Write};

/// How many labels a figure has at most.
pub const LABELS_MAX: usize = 3;

/// How a figure behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureKind {
    /// It only goes up, until all begins anew. The name of its family ends in `_total`.
    Counter,
    /// It goes up and down.
    #[default]
    Gauge,
    /// How many values there were of each size.
    Histogram,
    /// What was counted in lengths of time, each told by a label. Prometheus keeps the past by itself, from what it
    /// reads at each time: its format leaves such a family out.
    History,
}

impl FigureKind {
    /// The word that readers know it by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::History => "history",
        }
    }
}

/// What tells one figure of a family from the others.
#[derive(Clone, Copy)]
pub struct Label<'a> {
    /// The label's name: letters of lower case and underscores.
    pub name: &'static str,
    /// What it says; it may be anything that prints the same twice.
    pub value: &'a dyn Display,
}

impl fmt::Debug for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=\"{}\"", self.name, self.value)
    }
}

/// A value. It prints as a decimal number, exactly, in the base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A count.
    Whole(u64),
    /// A length of time in nanoseconds, shown in seconds.
    Seconds(u128),
    /// An amount, shown in units of its currency with nine decimals.
    Money(NanoUnits),
    /// A part of a whole in parts of a million, shown as 0 to 1.
    Ratio(u64),
}

impl Figure {
    /// A length of time.
    #[must_use]
    pub const fn length(nanos: Nanos) -> Self {
        Self::Seconds(nanos.0 as u128)
    }

    /// Whether it is smaller than one of the same kind.
    fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) | (Self::Ratio(one), Self::Ratio(other)) => one < other,
            (Self::Seconds(one), Self::Seconds(other)) => one < other,
            (Self::Money(one), Self::Money(other)) => one.0 < other.0,
            _ => false,
        }
    }

    /// A length of time in microseconds.
    #[must_use]
    pub const fn micros(micros: u64) -> Self {
        Self::Seconds(micros as u128 * 1000)
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Seconds(nanos) => decimal(f, nanos / 1_000_000_000, nanos % 1_000_000_000, 9),
            Self::Money(amount) => write!(f, "{amount:.9}"),
            Self::Ratio(ppm) => decimal(f, (ppm / 1_000_000).into(), (ppm % 1_000_000).into(), 6),
        }
    }
}

/// A number with as many decimals as it takes, of `digits`.
fn decimal(f: &mut fmt::Formatter<'_>, whole: u128, mut fraction: u128, mut digits: usize) -> fmt::Result {
    write!(f, "{whole}")?;
    if fraction > 0 {
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")?;
    }
    Ok(())
}

/// A histogram whose buckets were read together.
#[derive(Clone, Copy, Debug)]
pub struct HistogramFigure<'a> {
    /// The upper bounds, going up, and how many values are at or below each. The bucket of all values is not among them.
    pub buckets: &'a [(Figure, u64)],
    /// The sum of all values.
    pub sum: Figure,
    /// How many values there are.
    pub count: u64,
}

impl HistogramFigure<'_> {
    /// # Panics
    /// If a bound is not above the one before, if a bucket holds fewer than the one before, or the last more than
    /// there are.
    pub(super) fn check(&self) {
        let counts = self.buckets.iter().map(|&(_, count)| count).chain([self.count]);
        assert!(counts.is_sorted(), "buckets are cumulative, and none holds more than all");
        let bounds = self.buckets.iter().map(|(bound, _)| bound);
        assert!(bounds.is_sorted_by(|one, next| one.is_below(next)), "bounds go up");
    }
}

/// Takes figures and writes them.
pub trait FigureSink {
    /// Begins a family: its name, what it is in one sentence, and how its figures behave. A family without figures
    /// leaves no trace.
    ///
    /// # Errors
    /// The sink's.
    ///
    /// # Panics
    /// If the name is not one, does not go with the kind, or was begun before.
    fn family(&mut self, name: &'static str, help: &'static str, kind: FigureKind) -> fmt::Result;

    /// Writes a figure of the family that was begun last, which is not of histograms. A family of history is written as
    /// CSV and as JSON alone.
    ///
    /// # Errors
    /// The sink's.
    ///
    /// # Panics
    /// If there is no such family, or a label is not one.
    fn sample(&mut self, labels: &[Label<'_>], value: Figure) -> fmt::Result;

    /// Writes a histogram of the family that was begun last.
    ///
    /// # Errors
    /// The sink's.
    ///
    /// # Panics
    /// As [`FigureSink::sample`], or if the counts contradict each other.
    fn histogram(&mut self, labels: &[Label<'_>], histogram: &HistogramFigure<'_>) -> fmt::Result;
}

/// The form in which figures are handed out.
///
/// ```
/// use governance::export::FiguresFormat;
/// assert_eq!(FiguresFormat::from_word("prometheus"), Some(FiguresFormat::Prometheus));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FiguresFormat {
    /// Comma-separated values with a header, one figure a line.
    Csv,
    /// One JSON object a line, one for each figure.
    Json,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
}

impl FiguresFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::Prometheus];

    /// The words that users write, in the order of [`FiguresFormat::ALL`].
    pub const WORDS: [&'static str; 3] = [Self::Csv.word(), Self::Json.word(), Self::Prometheus.word()];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Prometheus => "prometheus",
        }
    }

    /// The format that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// Writes all that `visit` gives, in a format. Prometheus is given no [`FigureKind::History`].
///
/// ```
/// use governance::export::{Figure, FigureKind, FiguresFormat, Label, write_figures};
/// let mut out = String::new();
/// write_figures(FiguresFormat::Prometheus, &mut out, |sink| {
///     sink.family("weir_queue_depth", "Requests that wait.", FigureKind::Gauge)?;
///     sink.sample(&[Label { name: "service", value: &"github" }], Figure::Whole(3))
/// })?;
/// assert!(out.ends_with("weir_queue_depth{service=\"github\"} 3\n"));
/// # Ok::<(), core::fmt::Error>(())
/// ```
///
/// # Errors
/// Those of `out` and of `visit`.
pub fn write_figures(
    format: FiguresFormat,
    out: &mut dyn Write,
    visit: impl FnOnce(&mut dyn FigureSink) -> fmt::Result,
) -> fmt::Result {
    match format {
        FiguresFormat::Csv => visit(&mut CsvFigures::begin(out)?),
        FiguresFormat::Json => visit(&mut JsonFigures::new(out)),
        FiguresFormat::Prometheus => visit(&mut PrometheusWriter::new(out)),
    }
}

/// The family that was begun last, and that families have come as they should.
#[derive(Clone, Copy, Debug)]
pub(super) struct Families {
    pub(super) name: &'static str,
    pub(super) kind: FigureKind,
    known: [&'static str; super::FAMILIES_MAX],
    count: usize,
}

impl Families {
    pub(super) const fn new() -> Self {
        Self { name: "", kind: FigureKind::Gauge, known: [""; super::FAMILIES_MAX], count: 0 }
    }

    pub(super) fn begin(&mut self, name: &'static str, kind: FigureKind) {
        assert!(is_name(name), "{name:?} is not the name of a family");
        assert!(!self.known[..self.count].contains(&name), "the family {name} is begun once");
        let is_total = name.ends_with("_total");
        assert_eq!(
            is_total,
            kind == FigureKind::Counter,
            "a counter's name, and no other, ends in _total: {name}"
        );
        for suffix in ["_sum", "_count", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name} would be a part of a histogram");
        }
        assert!(self.count < self.known.len(), "at most {} families are written", self.known.len());
        self.known[self.count] = name;
        self.count += 1;
        (self.name, self.kind) = (name, kind);
    }

    pub(super) fn check_sample(&self, labels: &[Label<'_>]) {
        assert!(self.kind != FigureKind::Histogram, "{} is of histograms", self.name);
        self.check(labels);
    }

    pub(super) fn check_histogram(&self, labels: &[Label<'_>]) {
        assert!(self.kind == FigureKind::Histogram, "{} is not of histograms", self.name);
        self.check(labels);
    }

    fn check(&self, labels: &[Label<'_>]) {
        assert!(self.count > 0, "a figure comes after its family");
        assert!(labels.len() <= LABELS_MAX, "a figure has at most {LABELS_MAX} labels");
        for (number, label) in labels.iter().enumerate() {
            let is_reserved = RESERVED.contains(&label.name);
            assert!(is_name(label.name) && !is_reserved, "{:?} is not the name of a label", label.name);
            assert!(
                labels[..number].iter().all(|other| other.name != label.name),
                "each label is given once"
            );
        }
    }
}

/// Names that mean something else in one of the formats.
const RESERVED: [&str; 5] = ["le", "family", "type", "part", "value"];

/// Letters of lower case and underscores, not two in front.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with("__")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The parts of a histogram, in the order in which they are written: `each` is given the part, the bound as it is
/// shown, and the value.
fn each_part(
    histogram: &HistogramFigure<'_>,
    mut each: impl FnMut(&'static str, Option<&dyn Display>, Figure) -> fmt::Result,
) -> fmt::Result {
    histogram.check();
    for (bound, count) in histogram.buckets {
        each("bucket", Some(bound), Figure::Whole(*count))?;
    }
    each("bucket", Some(&"+Inf"), Figure::Whole(histogram.count))?;
    each("sum", None, histogram.sum)?;
    each("count", None, Figure::Whole(histogram.count))
}

/// Writes figures as comma-separated values: the family, its kind, the part of a histogram, three times the name of a
/// label and what it says, the upper bound of a bucket, and the value.
#[derive(Debug)]
pub struct CsvFigures<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    families: Families,
}

impl<'w, W: Write + ?Sized> CsvFigures<'w, W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(sink: &'w mut W) -> Result<Self, fmt::Error> {
        const COLUMNS: [&str; 5 + 2 * LABELS_MAX] = [
            "family",
            "type",
            "part",
            "label_1",
            "label_1_value",
            "label_2",
            "label_2_value",
            "label_3",
            "label_3_value",
            "le",
            "value",
        ];
        COLUMNS.iter().try_fold(RecordWriter::begin(sink)?, |record, column| record.text(column))?.end()?;
        Ok(Self { sink, families: Families::new() })
    }

    fn row(
        &mut self,
        part: &str,
        labels: &[Label<'_>],
        bound: Option<&dyn Display>,
        value: Figure,
    ) -> fmt::Result {
        let Families { name, kind, .. } = self.families;
        let mut record = RecordWriter::begin(self.sink)?.text(name)?.text(kind.word())?.text(part)?;
        for number in 0..LABELS_MAX {
            record = match labels.get(number) {
                Some(label) => record.text(label.name)?.display(label.value)?,
                None => record.empty()?.empty()?,
            };
        }
        // A bound is a number, which is not guarded.
        let record = if let Some(bound) = bound { record.number(bound)? } else { record.empty()? };
        record.number(value)?.end()
    }
}

impl<W: Write + ?Sized> FigureSink for CsvFigures<'_, W> {
    fn family(&mut self, name: &'static str, _help: &'static str, kind: FigureKind) -> fmt::Result {
        self.families.begin(name, kind);
        Ok(())
    }

    fn sample(&mut self, labels: &[Label<'_>], value: Figure) -> fmt::Result {
        self.families.check_sample(labels);
        self.row("", labels, None, value)
    }

    fn histogram(&mut self, labels: &[Label<'_>], histogram: &HistogramFigure<'_>) -> fmt::Result {
        self.families.check_histogram(labels);
        each_part(histogram, |part, bound, value| self.row(part, labels, bound, value))
    }
}

/// Writes figures as JSON, an object a line: the family, its kind, the part of a histogram, a member for each label, the
/// upper bound of a bucket, and the value. A count is a number; what has decimals is a text, as amounts are elsewhere.
#[derive(Debug)]
pub struct JsonFigures<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    families: Families,
}

impl<'w, W: Write + ?Sized> JsonFigures<'w, W> {
    /// Writes nothing yet.
    #[must_use]
    pub const fn new(sink: &'w mut W) -> Self {
        Self { sink, families: Families::new() }
    }

    fn object(
        &mut self,
        part: Option<&str>,
        labels: &[Label<'_>],
        bound: Option<&dyn Display>,
        value: Figure,
    ) -> fmt::Result {
        let Families { name, kind, .. } = self.families;
        let mut object =
            ObjectWriter::begin(self.sink)?.string("family", name)?.string("type", kind.word())?;
        if let Some(part) = part {
            object = object.string("part", part)?;
        }
        for label in labels {
            object = object.display(label.name, label.value)?;
        }
        if let Some(bound) = bound {
            object = object.display("le", bound)?;
        }
        match value {
            Figure::Whole(number) => object.integer("value", number)?.end(),
            value => object.display("value", value)?.end(),
        }
    }
}

impl<W: Write + ?Sized> FigureSink for JsonFigures<'_, W> {
    fn family(&mut self, name: &'static str, _help: &'static str, kind: FigureKind) -> fmt::Result {
        self.families.begin(name, kind);
        Ok(())
    }

    fn sample(&mut self, labels: &[Label<'_>], value: Figure) -> fmt::Result {
        self.families.check_sample(labels);
        self.object(None, labels, None, value)
    }

    fn histogram(&mut self, labels: &[Label<'_>], histogram: &HistogramFigure<'_>) -> fmt::Result {
        self.families.check_histogram(labels);
        each_part(histogram, |part, bound, value| self.object(Some(part), labels, bound, value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, FigureKind, FigureSink, FiguresFormat, HistogramFigure, Label, write_figures};
    use std::fmt;

    fn visit(sink: &mut dyn FigureSink) -> fmt::Result {
        sink.family("weir_depth", "How many wait.", FigureKind::Gauge)?;
        sink.sample(&[Label { name: "service", value: &"=a,b" }], Figure::Ratio(500_000))?;
        sink.family("weir_latency_seconds", "How long.", FigureKind::Histogram)?;
        let buckets = [(Figure::micros(500), 2)];
        let histogram = HistogramFigure { buckets: &buckets, sum: Figure::micros(2_000_000), count: 3 };
        sink.histogram(&[Label { name: "scope", value: &"all" }], &histogram)
    }

    fn written(format: FiguresFormat) -> String {
        let mut out = String::new();
        write_figures(format, &mut out, visit).unwrap();
        out
    }

    #[test]
    fn each_figure_is_a_record_of_csv() {
        assert_eq!(
            written(FiguresFormat::Csv),
            "family,type,part,label_1,label_1_value,label_2,label_2_value,label_3,label_3_value,le,value\n\
             weir_depth,gauge,,service,\"'=a,b\",,,,,,0.5\n\
             weir_latency_seconds,histogram,bucket,scope,all,,,,,0.0005,2\n\
             weir_latency_seconds,histogram,bucket,scope,all,,,,,+Inf,3\n\
             weir_latency_seconds,histogram,sum,scope,all,,,,,,2\n\
             weir_latency_seconds,histogram,count,scope,all,,,,,,3\n"
        );
    }

    #[test]
    fn each_figure_is_an_object_of_json() {
        assert_eq!(
            written(FiguresFormat::Json).lines().take(3).collect::<Vec<_>>(),
            [
                "{\"family\":\"weir_depth\",\"type\":\"gauge\",\"service\":\"=a,b\",\"value\":\"0.5\"}",
                "{\"family\":\"weir_latency_seconds\",\"type\":\"histogram\",\"part\":\"bucket\",\
                 \"scope\":\"all\",\"le\":\"0.0005\",\"value\":2}",
                "{\"family\":\"weir_latency_seconds\",\"type\":\"histogram\",\"part\":\"bucket\",\
                 \"scope\":\"all\",\"le\":\"+Inf\",\"value\":3}",
            ]
        );
        assert_eq!(written(FiguresFormat::Json).lines().count(), 5);
    }

    #[test]
    fn each_figure_is_a_line_of_prometheus() {
        assert_eq!(
            written(FiguresFormat::Prometheus),
            "# HELP weir_depth How many wait.\n# TYPE weir_depth gauge\nweir_depth{service=\"=a,b\"} 0.5\n\
             # HELP weir_latency_seconds How long.\n# TYPE weir_latency_seconds histogram\n\
             weir_latency_seconds_bucket{scope=\"all\",le=\"0.0005\"} 2\n\
             weir_latency_seconds_bucket{scope=\"all\",le=\"+Inf\"} 3\n\
             weir_latency_seconds_sum{scope=\"all\"} 2\nweir_latency_seconds_count{scope=\"all\"} 3\n"
        );
    }

    #[test]
    fn words_read_back_and_errors_are_handed_on() {
        assert_eq!(FiguresFormat::WORDS.map(FiguresFormat::from_word), FiguresFormat::ALL.map(Some));
        struct Full(usize);
        impl fmt::Write for Full {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        for format in FiguresFormat::ALL {
            for room in 0..written(format).len() {
                assert_eq!(
                    write_figures(format, &mut Full(room), visit),
                    Err(fmt::Error),
                    "{format:?} {room}"
                );
            }
        }
    }
}
