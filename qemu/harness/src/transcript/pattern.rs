//! Placeholders for the parts of a line that differ from run to run.
//!
//! | placeholder | matches |
//! |---|---|
//! | `{int}` | digits |
//! | `{num}` | digits, with `.`, `,` or `_` between them |
//! | `{time}` | a duration or a point in time: `0.2 s`, `1 m 30 s`, `250ms`, `2026-11-21T01:52:45Z`, `00:01:05` |
//! | `{word}` | anything without blanks, at least one character |
//! | `{any}` | anything |
//! | `{lines}` | alone on its line: any number of whole lines (see [`super::diff`]) |
//!
//! Blanks beside a placeholder match any run of blanks, so that columns may move with the width of what is in them.
//! Every other character, braces included, stands for itself.

/// The line that stands for any number of lines.
pub const LINES: &str = "{lines}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Blanks,
    Int,
    Num,
    Time,
    Word,
    Any,
}

const PLACEHOLDERS: [(&str, Part<'static>); 5] = [
    ("{int}", Part::Int),
    ("{num}", Part::Num),
    ("{time}", Part::Time),
    ("{word}", Part::Word),
    ("{any}", Part::Any),
];

/// Whether a line is as the pattern says.
///
/// ```
/// use harness::transcript::pattern::matches;
///
/// assert!(matches("ready {time} after power-on", "ready 0.2 s after power-on"));
/// assert!(!matches("allowed {int}", "allowed many"));
/// ```
#[must_use]
pub fn matches(pattern: &str, line: &str) -> bool {
    pattern == line || matches_parts(&parts(pattern), line)
}

/// Splits a pattern into placeholders, the blanks beside them, and text.
fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((at, name, placeholder)) = first_placeholder(rest) {
        push_text(&mut parts, &rest[..at], true);
        parts.push(placeholder);
        rest = &rest[at + name.len()..];
    }
    push_text(&mut parts, rest, false);
    parts
}

fn first_placeholder(text: &str) -> Option<(usize, &'static str, Part<'static>)> {
    PLACEHOLDERS
        .into_iter()
        .filter_map(|(name, part)| text.find(name).map(|at| (at, name, part)))
        .min_by_key(|&(at, ..)| at)
}

/// Adds text between placeholders: its blanks on a side where a placeholder is are of any number.
fn push_text<'a>(parts: &mut Vec<Part<'a>>, text: &'a str, placeholder_follows: bool) {
    let mut core = text;
    if !parts.is_empty() {
        core = core.trim_start_matches(' ');
        if core.len() < text.len() {
            parts.push(Part::Blanks);
        }
    }
    let trimmed = if placeholder_follows { core.trim_end_matches(' ') } else { core };
    if !trimmed.is_empty() {
        parts.push(Part::Text(trimmed));
    }
    if trimmed.len() < core.len() {
        parts.push(Part::Blanks);
    }
}

/// Tries each length that a placeholder can take, the longest first.
fn matches_parts(parts: &[Part<'_>], line: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return line.is_empty();
    };
    if let Part::Text(text) = first {
        return line.strip_prefix(text).is_some_and(|line| matches_parts(rest, line));
    }
    (0..=line.len())
        .rev()
        .filter(|&end| line.is_char_boundary(end) && accepts(*first, &line[..end]))
        .any(|end| matches_parts(rest, &line[end..]))
}

fn accepts(part: Part<'_>, text: &str) -> bool {
    match part {
        Part::Text(expected) => text == expected,
        Part::Blanks => !text.is_empty() && text.bytes().all(|byte| byte == b' '),
        Part::Int => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        Part::Num => {
            let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
            is_digit(text.bytes().next())
                && is_digit(text.bytes().last())
                && text.bytes().all(|byte| byte.is_ascii_digit() || b".,_".contains(&byte))
        }
        Part::Time => is_time(text),
        Part::Word => !text.is_empty() && !text.contains(char::is_whitespace),
        Part::Any => true,
    }
}

/// Whether each blank-separated word begins with a digit or is a unit, the first one with a digit.
fn is_time(text: &str) -> bool {
    const UNITS: [&str; 9] = ["ns", "us", "µs", "ms", "s", "m", "min", "h", "d"];
    let starts_with_digit = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_time_character = |c: char| c.is_ascii_alphanumeric() || "µ.:+-".contains(c);
    starts_with_digit(text)
        && text.chars().all(|c| c == ' ' || is_time_character(c))
        && text.split(' ').all(|word| starts_with_digit(word) || UNITS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_for_itself() {
        assert!(matches(r#"{"file":"demo.log"}"#, r#"{"file":"demo.log"}"#));
        assert!(matches("", ""));
        assert!(!matches("a  b", "a b"));
        assert!(!matches("", " "));
        assert!(!matches("{unknown}", "5"));
    }

    #[test]
    fn each_placeholder_takes_its_own_kind() {
        for (pattern, yes, no) in [
            ("{int}", &["0", "123456"][..], &["", "-1", "1.5", "1 2", "x"][..]),
            ("{num}", &["7", "1.5", "1_000,5"], &["", ".5", "5.", "1 000"]),
            (
                "{time}",
                &["0.2 s", "1 m 30 s", "250ms", "3 µs", "2026-11-21T01:52:45.5Z", "00:01:05"],
                &["", "s", "never", "5 apples", "1  s"],
            ),
            ("{word}", &["a", "größer"], &["", "a b"]),
            ("{any}", &["", "a b  c"], &[]),
        ] {
            yes.iter().for_each(|line| assert!(matches(pattern, line), "{pattern} should match {line:?}"));
            no.iter()
                .for_each(|line| assert!(!matches(pattern, line), "{pattern} should not match {line:?}"));
        }
    }

    #[test]
    fn placeholders_backtrack_and_combine() {
        assert!(matches(r#"{"wall_ms":{int},"virtual":{int}}"#, r#"{"wall_ms":12,"virtual":345}"#));
        assert!(matches("{any} of {int}", "one of two of 3"));
        assert!(matches("ready {time} after", "ready 0.2 s after"));
        assert!(!matches("{int}{int}", "1"));
    }

    #[test]
    fn blanks_beside_a_placeholder_are_of_any_number() {
        assert!(matches("rate   {int}  per s", "rate 1234567 per s"));
        assert!(matches("  {int}", " 1"));
        assert!(!matches("rate {int}", "rate5"));
        assert!(!matches("a  b {int}", "a b 5"), "blanks elsewhere count");
    }
}
