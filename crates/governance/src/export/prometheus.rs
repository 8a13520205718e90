//! Writes the text format of Prometheus, version 0.0.4.
//!
//! [`PrometheusWriter`] is a [`FigureSink`]: families stay together, each has one `# HELP` and one `# TYPE`, and a
//! histogram's last bucket and its count are one number. A family is announced with its first figure. What was counted in
//! the past, [`FigureKind::History`], is left out: the format has no place for it.
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
pub const FAMILIES_MAX: usize = 128;

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
        if self.families.kind == FigureKind::History {
            return Ok(());
        }
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

#[cfg(test)]
mod tests {
    use super::{Escaping, FAMILIES_MAX, Held, PrometheusWriter};
    use crate::export::{Figure, FigureKind, FigureSink, HistogramFigure, Label};
    use crate::money::NanoUnits;
    use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
    use std::fmt::Write;

    fn escaped(pieces: &[&str]) -> String {
        let mut out = String::new();
        let mut escaping = Escaping { sink: &mut out, held: Held::Nothing };
        pieces.iter().for_each(|piece| escaping.write_str(piece).unwrap());
        escaping.end().unwrap();
        out
    }

    /// Writes `write` into a document that has begun a family of `kind`.
    fn broken(
        kind: FigureKind,
        write: impl FnOnce(&mut PrometheusWriter<'_, String>) + std::panic::UnwindSafe,
    ) -> bool {
        std::panic::catch_unwind(|| {
            let mut out = String::new();
            let mut writer = PrometheusWriter::new(&mut out);
            writer.family(if kind == FigureKind::Counter { "a_total" } else { "a" }, "A.", kind).unwrap();
            write(&mut writer);
        })
        .is_err()
    }

    #[test]
    fn values_are_escaped() {
        for (text, written) in [
            ("plain", "plain"),
            ("a\"b\\c\nd", "a\\\"b\\\\c\\nd"),
            ("\u{1b}[2J", "\\\\u{1b}[2J"),
            ("é\u{85}\t", "é\\\\u{85}\\\\u{9}"),
            ("\\u{1b}", "\\\\u{5c}u{1b}"),
            ("\\\\u\\u\\", "\\\\\\\\u\\\\u\\\\"),
        ] {
            assert_eq!(escaped(&[text]), written);
        }
        assert_eq!(escaped(&["\\", "u", "{1b}"]), "\\\\u{5c}u{1b}");
    }

    #[test]
    fn figures_are_exact_and_in_base_units() {
        for (figure, shown) in [
            (Figure::Whole(u64::MAX), "18446744073709551615"),
            (Figure::Seconds(0), "0"),
            (Figure::micros(1_500), "0.0015"),
            (Figure::length(crate::time::Nanos(2_000_000_001)), "2.000000001"),
            (Figure::Money(NanoUnits(-1)), "-0.000000001"),
            (Figure::Ratio(1_250_000), "1.25"),
            (Figure::Ratio(30), "0.00003"),
        ] {
            assert_eq!(figure.to_string(), shown);
        }
    }

    #[test]
    fn a_family_without_figures_leaves_no_trace() {
        let mut out = String::new();
        let mut writer = PrometheusWriter::new(&mut out);
        writer.family("weir_a", "A.", FigureKind::Gauge).unwrap();
        writer.family("weir_b", "B\\\n.", FigureKind::Gauge).unwrap();
        writer.sample(&[], Figure::Whole(1)).unwrap();
        assert_eq!(out, "# HELP weir_b B\\\\\\n.\n# TYPE weir_b gauge\nweir_b 1\n");
    }

    #[test]
    fn what_is_past_is_left_out() {
        let mut out = String::new();
        let mut writer = PrometheusWriter::new(&mut out);
        writer.family("weir_past", "Past.", FigureKind::History).unwrap();
        writer.sample(&[], Figure::Whole(1)).unwrap();
        assert_eq!(out, "");
        assert!(broken(FigureKind::History, |writer| {
            writer.sample(&[Label { name: "le", value: &1 }], Figure::Whole(1)).unwrap();
        }));
    }

    #[test]
    fn a_wrong_document_cannot_be_written() {
        const ONE: Figure = Figure::Whole(1);
        assert!(!broken(FigureKind::Gauge, |writer| writer.sample(&[], ONE).unwrap()));
        for (name, kind) in [
            ("a", FigureKind::Gauge),
            ("", FigureKind::Gauge),
            ("B", FigureKind::Gauge),
            ("b-c", FigureKind::Gauge),
            ("__b", FigureKind::Gauge),
            ("b_total", FigureKind::Gauge),
            ("b_sum", FigureKind::Gauge),
            ("b_bucket", FigureKind::Histogram),
            ("b", FigureKind::Counter),
        ] {
            assert!(
                broken(FigureKind::Gauge, move |writer| writer.family(name, "B.", kind).unwrap()),
                "{name}"
            );
        }
        for name in ["", "le", "value", "family", "A", "__a", "a:b"] {
            let write = move |writer: &mut PrometheusWriter<'_, String>| {
                writer.sample(&[Label { name, value: &1 }], ONE).unwrap();
            };
            assert!(broken(FigureKind::Gauge, write), "{name}");
        }
        assert!(broken(FigureKind::Gauge, |writer| {
            writer.sample(&[Label { name: "a", value: &1 }, Label { name: "a", value: &2 }], ONE).unwrap();
        }));
        assert!(broken(FigureKind::Histogram, |writer| writer.sample(&[], ONE).unwrap()));
        let buckets: [&[(Figure, u64)]; 4] = [
            &[(Figure::Whole(1), 2), (Figure::Whole(2), 1)],
            &[(Figure::Whole(2), 1), (Figure::Whole(2), 1)],
            &[(Figure::Whole(1), 4)],
            &[(Figure::Whole(1), 1), (Figure::Seconds(2), 1)],
        ];
        for buckets in buckets {
            let histogram = HistogramFigure { buckets, sum: ONE, count: 3 };
            assert!(broken(FigureKind::Histogram, move |writer| writer.histogram(&[], &histogram).unwrap()));
        }
        let histogram = HistogramFigure { buckets: &[], sum: ONE, count: 3 };
        assert!(broken(FigureKind::Gauge, move |writer| writer.histogram(&[], &histogram).unwrap()));
        assert!(
            std::panic::catch_unwind(|| PrometheusWriter::new(&mut String::new()).sample(&[], ONE)).is_err()
        );
        const { assert!(FAMILIES_MAX >= 64) }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
        #[test]
        fn values_that_differ_are_never_written_alike(
            one in "[\\\\u{}15cbn\"\n\x1b\\PC]{0,8}", other in "[\\\\u{}15cbn\"\n\x1b\\PC]{0,8}",
            cut in 0..8_usize,
        ) {
            prop_assert_eq!(one == other, escaped(&[&one]) == escaped(&[&other]));
            // Pieces make no difference.
            let cut = one.char_indices().nth(cut).map_or(one.len(), |(at, _)| at);
            prop_assert_eq!(escaped(&[&one[..cut], &one[cut..]]), escaped(&[&one]));
            let no_controls = escaped(&[&one]).chars().all(|letter| !letter.is_control());
            prop_assert!(no_controls);
        }

        #[test]
        fn a_short_alphabet_of_escapes_is_never_ambiguous(
            one in prop::collection::vec(prop::sample::select(vec!["\\", "u", "{", "5c", "1b", "}", "\x1b"]), 0..7),
            other in prop::collection::vec(prop::sample::select(vec!["\\", "u", "{", "5c", "1b", "}", "\x1b"]), 0..7),
        ) {
            let (one, other) = (one.concat(), other.concat());
            prop_assert_eq!(one == other, escaped(&[&one]) == escaped(&[&other]));
        }
    }
}
