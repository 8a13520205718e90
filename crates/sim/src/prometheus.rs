//! A strict reader of the text format of Prometheus, version 0.0.4.
//!
//! It takes what the format's description allows and refuses the rest, and it refuses what `promtool check metrics`
//! warns of: a family without help or type, figures of a family that are not together, figures that are there twice,
//! counters whose names do not end in `_total`, units that are not base units, and histograms that contradict
//! themselves. Numbers are exact fractions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Signed, Zero};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// It only goes up.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
}

/// A number of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// One that is finite, exactly.
    Finite(BigRational),
    /// `+Inf`.
    Infinite,
}

impl Number {
    /// It as a whole number that is not negative, if it is one.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Self::Finite(number) if number.is_integer() => u64::try_from(number.to_integer()).ok(),
            _ => None,
        }
    }
}

/// The labels of a figure.
pub type Labels = BTreeMap<String, String>;

/// A line with a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The name as it stands there: of a histogram, with its suffix.
    pub name: String,
    /// The labels, without escapes.
    pub labels: Labels,
    /// The value.
    pub value: Number,
}

/// A family and its figures, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// What it says of itself, without escapes.
    pub help: String,
    /// What it is.
    pub kind: Type,
    /// Its figures.
    pub samples: Vec<Sample>,
}

/// What is wrong, and in which line, counted from 1; of a family as a whole, the line that begins the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Reads a whole document.
///
/// # Errors
/// [`Fault`] names the first thing that is wrong.
pub fn parse(document: &str) -> Result<Vec<Family>, Fault> {
    let mut reader = Reader::default();
    let lines = document.split_inclusive('\n');
    let mut line = 0;
    for text in lines {
        line += 1;
        let text = text.strip_suffix('\n').ok_or("the last line does not end");
        text.map_err(String::from).and_then(|text| reader.line(text)).map_err(|what| Fault { line, what })?;
    }
    reader.end_family().map_err(|what| Fault { line: line + 1, what })?;
    Ok(reader.families)
}

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    /// The family that is being read: its name, and what is known of it.
    name: String,
    help: Option<String>,
    kind: Option<Type>,
    samples: Vec<Sample>,
    names: BTreeSet<String>,
    /// Every figure there was.
    seen: BTreeSet<(String, Vec<(String, String)>)>,
}

impl Reader {
    fn line(&mut self, text: &str) -> Result<(), String> {
        if text.trim().is_empty() {
            Ok(())
        } else if let Some(rest) = text.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("a help without a text")?;
            self.begin(name)?;
            if self.help.is_some() || self.kind.is_some() || !self.samples.is_empty() {
                return Err(format!("the help of {name} is not first"));
            }
            self.help = Some(unescape(help, &[('\\', '\\'), ('n', '\n')])?);
            Ok(())
        } else if let Some(rest) = text.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("a type without a word")?;
            self.begin(name)?;
            if self.kind.is_some() || !self.samples.is_empty() {
                return Err(format!("the type of {name} comes twice, or after its figures"));
            }
            self.kind = Some(match kind {
                "counter" => Type::Counter,
                "gauge" => Type::Gauge,
                "histogram" => Type::Histogram,
                other => return Err(format!("no type of figures: {other}")),
            });
            Ok(())
        } else if text.starts_with('#') {
            Err("a comment that is neither help nor type".into())
        } else {
            self.sample(text)
        }
    }

    /// Begins a family, unless it is the present one.
    fn begin(&mut self, name: &str) -> Result<(), String> {
        if self.name == name {
            return Ok(());
        }
        self.end_family()?;
        if !is_name(name, ":") {
            return Err(format!("not the name of a family: {name}"));
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("{name} is not in lower case"));
        }
        if !self.names.insert(name.into()) {
            return Err(format!("{name} comes a second time"));
        }
        self.name = name.into();
        Ok(())
    }

    fn end_family(&mut self) -> Result<(), String> {
        if self.name.is_empty() {
            return Ok(());
        }
        let name = std::mem::take(&mut self.name);
        let help = self.help.take().filter(|help| !help.trim().is_empty());
        let help = help.ok_or_else(|| format!("{name} has no help"))?;
        let kind = self.kind.take().ok_or_else(|| format!("{name} has no type"))?;
        let family = Family { name, help, kind, samples: std::mem::take(&mut self.samples) };
        check_family(&family)?;
        self.families.push(family);
        Ok(())
    }

    fn sample(&mut self, text: &str) -> Result<(), String> {
        let end = text.find(['{', ' ', '\t']).ok_or("a figure without a value")?;
        let (name, mut rest) = text.split_at(end);
        let suffixes: &[&str] =
            if self.kind == Some(Type::Histogram) { &["_bucket", "_sum", "_count"] } else { &[""] };
        if self.name.is_empty() || !suffixes.iter().any(|suffix| name == format!("{}{suffix}", self.name)) {
            return Err(format!("{name} does not stand in its family"));
        }
        let mut labels = Labels::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = read_labels(inner, &mut labels)?;
        }
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = number(words.next().ok_or("a figure without a value")?)?;
        if words.next().is_some() {
            return Err("something after the value".into());
        }
        let is_bucket = name.ends_with("_bucket");
        if labels.contains_key("le") != (is_bucket && self.kind == Some(Type::Histogram)) {
            return Err(format!("a bound is for buckets: {name}"));
        }
        if labels.contains_key("quantile") {
            return Err("a quantile is for summaries".into());
        }
        let key = labels.iter().map(|(name, value)| (name.clone(), value.clone())).filter(|(_, value)| {
            // A label that is empty is the same as none.
            !value.is_empty()
        });
        if !self.seen.insert((name.into(), key.collect())) {
            return Err(format!("{text} is there twice"));
        }
        self.samples.push(Sample { name: name.into(), labels, value });
        Ok(())
    }
}

/// Reads labels up to and with the closing brace, and gives back what follows.
fn read_labels<'a>(mut text: &'a str, labels: &mut Labels) -> Result<&'a str, String> {
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Ok(rest);
        }
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value in quotes")?;
        if !is_name(name, "") || name.starts_with("__") {
            return Err(format!("not the name of a label: {name}"));
        }
        let mut escaped = false;
        let end = rest.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let (value, rest) = rest.split_at(end.ok_or("a label without a closing quote")?);
        let value = unescape(value, &[('\\', '\\'), ('n', '\n'), ('"', '"')])?;
        if labels.insert(name.into(), value).is_some() {
            return Err(format!("the label {name} is there twice"));
        }
        let rest = &rest[1..];
        text = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return Err("neither a comma nor a brace after a label".into()),
        };
    }
}

fn is_name(name: &str, more: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || more.contains(letter);
    name.starts_with(is_letter) && name.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
}

fn unescape(text: &str, escapes: &[(char, char)]) -> Result<String, String> {
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        let code = letters.next().ok_or("an escape without a letter")?;
        let escape = escapes.iter().find(|(known, _)| *known == code);
        plain.push(escape.ok_or_else(|| format!("no escape: \\{code}"))?.1);
    }
    Ok(plain)
}

/// A decimal number with an optional exponent, or `+Inf`.
fn number(text: &str) -> Result<Number, String> {
    if text == "+Inf" {
        return Ok(Number::Infinite);
    }
    let fault = || format!("not a number: {text}");
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| fault())?),
        None => (text, 0),
    };
    let (is_negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_bare = whole.is_empty() || digits.ends_with('.');
    if is_bare || !is_digits(whole) || !is_digits(decimals) || exponent.abs() > 400 {
        return Err(fault());
    }
    let all: BigInt = format!("{whole}{decimals}").parse().map_err(|_| fault())?;
    let ten = BigRational::from_integer(10.into());
    let places = i32::try_from(decimals.len()).map_err(|_| fault())?;
    let value = BigRational::from_integer(if is_negative { -all } else { all });
    Ok(Number::Finite(value * Pow::pow(&ten, exponent - places)))
}

fn check_family(family: &Family) -> Result<(), String> {
    let name = &family.name;
    if name.ends_with("_total") != (family.kind == Type::Counter) {
        return Err(format!("{name}: the names of counters, and no others, end in _total"));
    }
    if ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix)) {
        return Err(format!("{name} would be a part of a histogram"));
    }
    let units =
        ["milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "percent", "kilobytes", "ms"];
    if let Some(unit) = name.split('_').find(|part| units.contains(part)) {
        return Err(format!("{name}: {unit} is no base unit"));
    }
    if family.samples.is_empty() {
        return Err(format!("{name} has no figures"));
    }
    match family.kind {
        Type::Counter => family.samples.iter().try_for_each(|sample| match &sample.value {
            Number::Finite(value) if !value.is_negative() => Ok(()),
            _ => Err(format!("{name}: a counter that is negative or has no end")),
        }),
        Type::Gauge => Ok(()),
        Type::Histogram => check_histograms(family),
    }
}

/// The buckets of one set of labels, and what comes after them.
#[derive(Default)]
struct Parts {
    buckets: Vec<(Number, u64)>,
    sum: Option<Number>,
    count: Option<u64>,
}

fn check_histograms(family: &Family) -> Result<(), String> {
    let name = &family.name;
    let mut all: BTreeMap<Labels, Parts> = BTreeMap::new();
    let mut last = None;
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        if last.as_ref() != Some(&labels) && all.contains_key(&labels) {
            return Err(format!("{name}: the figures of a histogram are not together"));
        }
        last = Some(labels.clone());
        let parts = all.entry(labels).or_default();
        let whole = || sample.value.whole().ok_or_else(|| format!("{name}: a count that is not whole"));
        match (bound, sample.name.ends_with("_count")) {
            (Some(_), _) if parts.sum.is_some() || parts.count.is_some() => {
                return Err(format!("{name}: a bucket comes after the sum or the count"));
            }
            (Some(bound), _) => parts.buckets.push((number(&bound)?, whole()?)),
            (None, true) => parts.count = Some(whole()?),
            (None, false) => parts.sum = Some(sample.value.clone()),
        }
    }
    for parts in all.values() {
        let pairs = || parts.buckets.windows(2);
        if !pairs().all(|pair| pair[0].0 < pair[1].0) {
            return Err(format!("{name}: bounds do not go up"));
        }
        if !pairs().all(|pair| pair[0].1 <= pair[1].1) {
            return Err(format!("{name}: buckets are not cumulative"));
        }
        let Some((Number::Infinite, all)) = parts.buckets.last() else {
            return Err(format!("{name}: there is no bucket of all"));
        };
        if parts.count != Some(*all) {
            return Err(format!("{name}: the bucket of all is not the count"));
        }
        match &parts.sum {
            Some(Number::Finite(sum)) if *all > 0 || sum.is_zero() => {}
            _ => return Err(format!("{name}: there is no sum, or one of nothing")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Number, Type, number, parse};

    const GOOD: &str = "# HELP a_total What\\\\ever\\n.\n# TYPE a_total counter\na_total 1\n\
        a_total{b=\"c\\\\d\\\"e\\nf\",g=\"}\",} 2.5e1\n\n\
        # HELP h_seconds How long.\n# TYPE h_seconds histogram\n\
        h_seconds_bucket{le=\"0.5\"} 1\nh_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 7.25\nh_seconds_count 3\n";

    #[test]
    fn a_document_is_read_with_its_escapes() {
        let families = parse(GOOD).unwrap();
        assert_eq!((families[0].help.as_str(), families[0].kind), ("What\\ever\n.", Type::Counter));
        let sample = &families[0].samples[1];
        assert_eq!((sample.labels["b"].as_str(), sample.labels["g"].as_str()), ("c\\d\"e\nf", "}"));
        assert_eq!(sample.value.whole(), Some(25));
        assert_eq!(families[1].samples.len(), 4);
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(number("0.1").unwrap(), number("1e-1").unwrap());
        assert!(number("99999999999999999.000000001").unwrap() > number("99999999999999999").unwrap());
        assert!(number("9").unwrap() < Number::Infinite);
        for text in ["", ".", "5.", ".5", "1,5", "0x5", "1e", "--1", "inf", "NaN", "1e500", "5s"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_break_of_the_rules_is_found() {
        let change = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replacen(from, to, 1)
        };
        for (broken, line) in [
            (GOOD.trim_end().to_owned(), 11),
            (change("# HELP a_total What\\\\ever\\n.\n", ""), 5),
            (change("# TYPE a_total counter\n", ""), 5),
            (change("# TYPE a_total counter\n", "# TYPE a_total counter\n# TYPE a_total counter\n"), 3),
            (change("What\\\\ever", "What\\ever"), 1),
            (change("a_total 1\n", "a_total 1\na_total 1\n"), 4),
            (change("a_total 1\n", "a_total -1\n"), 6),
            (change("a_total 1\n", "a_total one\n"), 3),
            (change("a_total 1\n", "a_total\n"), 3),
            (change("a_total 1\n", "a_total 1 2\n"), 3),
            (change("a_total 1\n", "b_total 1\n"), 3),
            (change("a_total 1\n", "a_total{le=\"1\"} 1\n"), 3),
            (change("a_total 1\n", "a_total{__b=\"1\"} 1\n"), 3),
            (change("a_total 1\n", "a_total{b=\"1\"c=\"2\"} 1\n"), 3),
            (change("a_total 1\n", "a_total{b=\"1\",b=\"2\"} 1\n"), 3),
            (change("a_total 1\n", "a_total{b=\"1} 1\n"), 3),
            (change("a_total 1\n", "a_total{b=\"\\t\"} 1\n"), 3),
            (change("# TYPE a_total counter", "# TYPE a_total gauge"), 6),
            (change("# TYPE a_total counter", "# TYPE a_total total"), 2),
            (change("# HELP h_seconds", "# HELP a_total"), 6),
            (change("le=\"0.5\"", "le=\"half\""), 12),
            (change("{le=\"0.5\"} 1", "{le=\"0.5\"} 4"), 12),
            (change("{le=\"0.5\"} 1", "{le=\"0.5\"} 0.5"), 12),
            (change("h_seconds_bucket{le=\"+Inf\"} 3\n", ""), 11),
            (change("h_seconds_sum 7.25\n", ""), 11),
            (change("h_seconds_count 3", "h_seconds_count 4"), 12),
            (change("h_seconds_count 3", "h_seconds 4"), 11),
            (GOOD.replace("h_seconds", "h_ms"), 12),
            (format!("{GOOD}# HELP b Nothing.\n# TYPE b gauge\n"), 14),
            (format!("{GOOD}# bye\n"), 12),
            (format!("{GOOD}# HELP a_total Again.\n"), 12),
        ] {
            let fault = parse(&broken).expect_err(&broken);
            assert_eq!(fault.line, line, "{fault} in {broken}");
        }
    }
}
