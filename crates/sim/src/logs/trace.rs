//! Traces of requests to language models, as CSV with the columns of the Azure LLM inference traces:
//! `TIMESTAMP`, `ContextTokens` and `GeneratedTokens`, in any order and among any others.

use super::{Record, date::Civil, number};

/// Where the columns stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    time: usize,
    context_tokens: usize,
    generated_tokens: usize,
}

/// Reads a header, or answers `None` if the line is not one.
#[must_use]
pub fn columns(header: &str) -> Option<Columns> {
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let place = |wanted| names.iter().position(|name| *name == wanted);
    Some(Columns {
        time: place("TIMESTAMP")?,
        context_tokens: place("ContextTokens")?,
        generated_tokens: place("GeneratedTokens")?,
    })
}

/// Reads a line, or answers `None` if it is malformed. The tokens are those of both columns together.
#[must_use]
pub fn record(columns: &Columns, line: &str) -> Option<Record> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let tokens = |place: usize| number(fields.get(place)?);
    let output_tokens = tokens(columns.generated_tokens)?;
    Some(Record {
        time_ns: time(fields.get(columns.time)?)?.utc_ns()?,
        tokens: tokens(columns.context_tokens)?.checked_add(output_tokens)?,
        output_tokens,
        ..Record::default()
    })
}

/// `2023-11-16 18:17:03`, with up to nine decimals.
fn time(text: &str) -> Option<Civil> {
    let (date, time) = text.split_once(' ')?;
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let two = |digits: &str| number(digits).filter(|_| digits.len() == 2);
    let (second, nanos) = match second.split_once('.') {
        None => (second, 0),
        Some((second, decimals)) if (1..=9).contains(&decimals.len()) => {
            (second, number(&format!("{decimals:0<9}"))?)
        }
        Some(_) => return None,
    };
    Some(Civil {
        year: number(year).filter(|_| year.len() == 4)?,
        month: two(month)?,
        day: two(day)?,
        hour: two(hour)?,
        minute: two(minute)?,
        second: two(second)?,
        nanos,
        ahead_minutes: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::{columns, record};

    const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

    fn time_of(time: &str) -> Option<u64> {
        record(&columns(HEADER)?, &format!("{time},1,2")).map(|record| record.time_ns)
    }

    #[test]
    fn times_are_kept_to_the_nanosecond() {
        let second = 1_700_158_623_000_000_000; // date -u -d '2023-11-16 18:17:03Z' +%s
        for (decimals, nanos) in [
            ("", 0),
            (".9", 900_000_000),
            (".9799600", 979_960_000),
            (".000000001", 1),
            (".999999999", 999_999_999),
        ] {
            assert_eq!(
                time_of(&format!("2023-11-16 18:17:03{decimals}")),
                Some(second + nanos),
                "{decimals}"
            );
        }
    }

    #[test]
    fn columns_go_by_their_names() {
        let columns = columns("GeneratedTokens,model,TIMESTAMP,ContextTokens").unwrap();
        let record = record(&columns, "3,m,1970-01-01 00:00:01,40").unwrap();
        assert_eq!((record.tokens, record.output_tokens, record.time_ns), (43, 3, 1_000_000_000));
        assert_eq!(super::columns("TIMESTAMP,ContextTokens"), None);
        assert_eq!(super::columns("2023-11-16 18:17:03,1,2"), None);
    }

    #[test]
    fn what_is_no_time_or_no_number_is_malformed() {
        for time in [
            "2023-11-16",
            "2023-11-16T18:17:03",
            "2023-11-16 18:17",
            "2023-11-16 18:17:03.",
            "2023-11-16 18:17:03.1234567890",
            "2023-11-16 18:17:03.-1",
            "2023-11-31 18:17:03",
            "2023-1-16 18:17:03",
            "",
        ] {
            assert_eq!(time_of(time), None, "{time:?}");
        }
        let columns = columns(HEADER).unwrap();
        for line in [
            "2023-11-16 18:17:03,1",
            "2023-11-16 18:17:03,,2",
            "2023-11-16 18:17:03,1,-2",
            "2023-11-16 18:17:03,1.5,2",
            "2023-11-16 18:17:03,18446744073709551615,1",
        ] {
            assert_eq!(record(&columns, line), None, "{line}");
        }
    }
}
