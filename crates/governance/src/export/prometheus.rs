//! Writes the text format of Prometheus, version 0.0.4.
//!
//! [`PrometheusWriter`] is a [`FigureSink`]: families stay together, each has one `# HELP` and one `# TYPE`, and a
//! histogram's last bucket and its count are one number. A family is announced with its first figure.
//!
//! ```
//! use governance::export::{Figure, FigureKind, FigureSink, Label, PrometheusWriter};
//! let mut out = String::new();
//! let mut writer = PrometheusWriter::new(&mut out);
//! writer.family("weir_cost_total", "What was spent.", FigureKind::Counter)?;
//! writer.sample(&[Label { name: "tenant", value: &"a \"b\"" }], Figure::Ratio(250_000))?;
//! assert_eq!(
//!     out,
//!     "# HELP weir_cost_total What was spent.\n# TYPE weir_cost_total counter\n\
//!      weir_cost_total{tenant=\"a \\\"b\\\"\"} 0.25\n"
//! );
//! # Ok::<(), core::fmt::Error>(())
//! ```
//!
//! A control character that a terminal could act upon is written as an escape, such as `\u{1b}`; a backslash that would
//! make another text look like that is written as `\u{5c}`, so that two labels that differ are never written alike.

use super::figures::{Families, Figure, FigureKind, FigureSink, HistogramFigure, Label};
use core::fmt::{self, Display, Write};

/// How many families a document has at most.
pub const FAMILIES_MAX: usize = 96;

/// A document that is being written.
#[derive(Debug)]
pub struct PrometheusWriter<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    families: Families,
    help: &'static str,
    /// Whether the family has figures already.
    is_announced: bool,
}

impl<'w, W: Write + ?Sized> PrometheusWriter<'w, W> {
    /// Writes nothing yet.
    #[must_use]
    pub const fn new(sink: &'w mut W) -> Self {
        Self { sink, families: Families::new(), help: "", is_announced: false }
    }

    fn announce(&mut self) -> fmt::Result {
        if self.is_announced {
            return Ok(());
        }
        self.is_announced = true;
        let Families { name, kind, .. } = self.families;
        write!(self.sink, "# HELP {name} ")?;
        for letter in self.help.chars() {
            match letter {
                '\\' => self.sink.write_str("\\\\")?,
                '\n' => self.sink.write_str("\\n")?,
                letter => self.sink.write_char(letter)?,
            }
        }
        writeln!(self.sink, "\n# TYPE {name} {}", kind.word())
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        bound: Option<&dyn Display>,
        value: Figure,
    ) -> fmt::Result {
        write!(self.sink, "{}{suffix}", self.families.name)?;
        let mut separator = '{';
        for Label { name, value } in
            labels.iter().copied().chain(bound.map(|value| Label { name: "le", value }))
        {
            write!(self.sink, "{separator}{name}=\"")?;
            let mut escaping = Escaping { sink: self.sink, held: Held::Nothing };
            write!(escaping, "{value}")?;
            escaping.end()?;
            self.sink.write_char('"')?;
            separator = ',';
        }
        writeln!(self.sink, "{} {value}", if separator == ',' { "}" } else { "" })
    }
}

impl<W: Write + ?Sized> FigureSink for PrometheusWriter<'_, W> {
    fn family(&mut self, name: &'static str, help: &'static str, kind: FigureKind) -> fmt::Result {
        self.families.begin(name, kind);
        (self.help, self.is_announced) = (help, false);
        Ok(())
    }

    fn sample(&mut self, labels: &[Label<'_>], value: Figure) -> fmt::Result {
        self.families.check_sample(labels);
        self.announce()?;
        self.line("", labels, None, value)
    }

    fn histogram(&mut self, labels: &[Label<'_>], histogram: &HistogramFigure<'_>) -> fmt::Result {
        self.families.check_histogram(labels);
        histogram.check();
        self.announce()?;
        for (bound, count) in histogram.buckets {
            self.line("_bucket", labels, Some(bound), Figure::Whole(*count))?;
        }
        self.line("_bucket", labels, Some(&"+Inf"), Figure::Whole(histogram.count))?;
        self.line("_sum", labels, None, histogram.sum)?;
        self.line("_count", labels, None, Figure::Whole(histogram.count))
    }
}

/// What was seen and is not written yet, since it depends on what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Backslash,
    /// A backslash and a `u`.
    Escape,
}

/// Writes a label's value.
struct Escaping<'w, W: Write + ?Sized> {
    sink: &'w mut W,
    held: Held,
}

impl<W: Write + ?Sized> Escaping<'_, W> {
    /// Writes what is held as it is.
    fn end(&mut self) -> fmt::Result {
        match core::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => Ok(()),
            Held::Backslash => self.sink.write_str("\\\\"),
            Held::Escape => self.sink.write_str("\\\\u"),
        }
    }
}

impl<W: Write + ?Sized> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match (self.held, letter) {
                (Held::Backslash, 'u') => {
                    self.held = Held::Escape;
                    continue;
                }
                (Held::Escape, '{') => {
                    self.held = Held::Nothing;
                    self.sink.write_str("\\\\u{5c}u{")?;
                    continue;
                }
                _ => self.end()?,
            }
            match letter {
                '\\' => self.held = Held::Backslash,
                '"' => self.sink.write_str("\\\"")?,
                '\n' => self.sink.write_str("\\n")?,
                letter if letter.is_control() => write!(self.sink, "\\{}", letter.escape_unicode())?,
                letter => self.sink.write_char(letter)?,
            }
        }
        Ok(())
    }
}
