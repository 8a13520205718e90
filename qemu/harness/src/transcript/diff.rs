//! Compares expected lines, which may be patterns, with actual ones.

use super::pattern::{self, LINES};

/// One step of the cheapest way from the expected lines to the actual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The actual line is as expected; this is the expected one.
    Same(&'a str),
    /// A `{lines}` that the actual lines after it belong to.
    Lines,
    /// An actual line that the last `{lines}` stands for.
    Within(&'a str),
    /// An expected line that did not come.
    Missing(&'a str),
    /// An actual line that was not expected.
    Extra(&'a str),
}

impl Step<'_> {
    /// Whether the step is a difference.
    #[must_use]
    pub const fn differs(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Extra(_))
    }
}

/// The steps with the fewest differences; expected lines come before actual ones where both are possible.
#[must_use]
pub fn steps<'a>(expected: &'a [String], actual: &'a [String]) -> Vec<Step<'a>> {
    let differences = differences(expected, actual);
    let (mut row, mut column) = (0, 0);
    let mut steps = Vec::new();
    while row < expected.len() || column < actual.len() {
        let here = differences[row][column];
        let (line, other) = (expected.get(row), actual.get(column));
        match (line, other) {
            (Some(line), _) if line == LINES => {
                if steps.last() != Some(&Step::Lines) && !matches!(steps.last(), Some(Step::Within(_))) {
                    steps.push(Step::Lines);
                }
                match other {
                    Some(other) if differences[row][column + 1] == here => {
                        steps.push(Step::Within(other));
                        column += 1;
                    }
                    _ => row += 1,
                }
            }
            (Some(line), Some(other))
                if pattern::matches(line, other) && differences[row + 1][column + 1] == here =>
            {
                steps.push(Step::Same(line));
                (row, column) = (row + 1, column + 1);
            }
            (Some(line), _) if differences[row + 1][column] < here => {
                steps.push(Step::Missing(line));
                row += 1;
            }
            (_, Some(other)) => {
                steps.push(Step::Extra(other));
                column += 1;
            }
            (Some(_), None) | (None, None) => unreachable!("a line that did not come always costs one"),
        }
    }
    steps
}

/// `result[i][j]`: how many lines at least are missing or extra between `expected[i..]` and `actual[j..]`.
fn differences(expected: &[String], actual: &[String]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; actual.len() + 1]; expected.len() + 1];
    for row in (0..=expected.len()).rev() {
        for column in (0..=actual.len()).rev() {
            let (line, other) = (expected.get(row), actual.get(column));
            table[row][column] = match (line, other) {
                (None, _) => actual.len() - column,
                (Some(line), None) => table[row + 1][column] + usize::from(line != LINES),
                (Some(line), Some(_)) if line == LINES => table[row + 1][column].min(table[row][column + 1]),
                (Some(line), Some(other)) => {
                    let skip = 1 + table[row + 1][column].min(table[row][column + 1]);
                    if pattern::matches(line, other) { skip.min(table[row + 1][column + 1]) } else { skip }
                }
            };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn signs(expected: &str, actual: &str) -> String {
        let (expected, actual) = (lines(expected), lines(actual));
        steps(&expected, &actual)
            .iter()
            .map(|step| match step {
                Step::Same(_) => '=',
                Step::Lines => '*',
                Step::Within(_) => '.',
                Step::Missing(_) => '-',
                Step::Extra(_) => '+',
            })
            .collect()
    }

    #[test]
    fn equal_lines_have_no_difference() {
        assert_eq!(signs("a b c", "a b c"), "===");
        assert_eq!(signs("", ""), "");
        assert_eq!(signs("{int} b", "42 b"), "==");
    }

    #[test]
    fn a_changed_line_is_missing_then_extra() {
        assert_eq!(signs("a b c", "a x c"), "=-+=");
        assert_eq!(signs("a b", "a"), "=-");
        assert_eq!(signs("a", "a b"), "=+");
        assert_eq!(signs("", "a"), "+");
        assert_eq!(signs("a", ""), "-");
    }

    #[test]
    fn lines_absorb_any_number() {
        assert_eq!(signs("a {lines} d", "a b c d"), "=*..=");
        assert_eq!(signs("a {lines} d", "a d"), "=*=");
        assert_eq!(signs("{lines}", "a b"), "*..");
        assert_eq!(signs("{lines}", ""), "*");
        assert_eq!(signs("a {lines} d", "a b c"), "=*..-");
    }
}
