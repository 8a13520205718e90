//! Whether a text is a date, a time or both. Form: RFC 3339, as TOML 1.0 narrows and widens it.

use governance::time::CivilDate;

use crate::digits::{decimal, small_decimal};

/// Whether `text` is a date and time with or without an offset, a date, or a time, and exists.
pub(super) fn is_date_time(text: &str) -> bool {
    let text = text.as_bytes();
    match text.split_at_checked(10) {
        Some((date, rest)) if is_date(date) => match rest {
            [] => true,
            [b'T' | b't' | b' ', rest @ ..] => {
                let end = rest.iter().position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
                let (time, offset) = rest.split_at(end.unwrap_or(rest.len()));
                is_time(time) && is_offset(offset)
            }
            _ => false,
        },
        _ => is_time(text),
    }
}

fn is_date(text: &[u8]) -> bool {
    let [_, _, _, _, b'-', _, _, b'-', _, _] = text else { return false };
    let parts = (small_decimal(&text[..4]), small_decimal(&text[5..7]), small_decimal(&text[8..]));
    let (Some(year), Some(month), Some(day)) = parts else { return false };
    CivilDate { year, month, day }.days_since_epoch().is_some()
}

fn is_time(text: &[u8]) -> bool {
    let Some((time, fraction)) = text.split_first_chunk::<8>() else { return false };
    let has_fraction = fraction.split_first().is_some_and(|(point, digits)| {
        *point == b'.' && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    });
    time[2] == b':'
        && time[5] == b':'
        && is_below(&time[..2], 24)
        && is_below(&time[3..5], 60)
        // A leap second is one.
        && is_below(&time[6..], 61)
        && (fraction.is_empty() || has_fraction)
}

fn is_offset(text: &[u8]) -> bool {
    match text {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => is_below(&text[1..3], 24) && is_below(&text[4..], 60),
        _ => false,
    }
}

fn is_below(digits: &[u8], limit: u64) -> bool {
    decimal(digits).is_some_and(|value| value < limit)
}

#[cfg(test)]
mod tests {
    use super::is_date_time;
    use governance::time::WallTime;
    use proptest::prelude::*;

    #[test]
    fn the_four_forms_are_read() {
        for text in [
            "1979-05-27T07:32:00Z",
            "1979-05-27t07:32:00z",
            "1979-05-27 00:32:00.999999-07:00",
            "1979-05-27T07:32:00",
            "0000-02-29",
            "07:32:00",
            "00:32:00.5",
            "23:59:60",
        ] {
            assert!(is_date_time(text), "{text}");
        }
        for text in [
            "",
            "1979-05-27T",
            "1979-05-27Z",
            "1979-02-29",
            "1979-13-01",
            "1979-5-27",
            "79-05-27",
            "11979-05-27",
            "1979-05-27x07:32:00",
            "1979-05-27T07:32",
            "1979-05-27T07:32:00.",
            "1979-05-27T07:32:00.x",
            "1979-05-27T07:32:00ZZ",
            "1979-05-27T07:32:00+7:00",
            "1979-05-27T07:32:00+0700",
            "1979-05-27T07:32:00+24:00",
            "1979-05-27T07:32:00+07:60",
            "07:32:00Z",
            "24:00:00",
            "07:60:00",
            "07:32:61",
            "07-32-00",
            "é979-05-27",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn times_that_exist_are_read(wall in 0..16_725_225_600_000_000_000_u64) {
            prop_assert!(is_date_time(&WallTime(wall).to_string()));
        }

        #[test]
        fn arbitrary_texts_never_panic(text in "[0-9TZ:.+ é-]{0,30}") {
            let _ = is_date_time(&text);
        }
    }
}
