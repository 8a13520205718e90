//! Lines of access logs: `ip ident user [time] "request" status size`, and whatever follows.

use super::{Record, date::Civil, number};

/// Reads a line, or answers `None` if it is malformed.
#[must_use]
pub fn record(line: &str) -> Option<Record> {
    let (ip, rest) = line.split_once(' ')?;
    let (ident, rest) = rest.split_once(' ')?;
    let (user, rest) = rest.split_once(' ')?;
    let (time, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    let (request, rest) = unquote(rest)?;
    let mut fields = rest.strip_prefix(' ')?.split(' ');
    let (status, size) = (fields.next()?, fields.next()?);
    if ident.is_empty() || user.is_empty() || status.len() != 3 {
        return None;
    }
    number(status)?;
    let mut words = request.split(' ').filter(|word| !word.is_empty());
    let method = words.next().filter(|method| *method != "-").unwrap_or("");
    let target = words.next().unwrap_or("");
    Some(Record {
        time_ns: self::time(time)?.utc_ns()?,
        ip: Some(ip.parse().ok()?),
        user: if user == "-" { None } else { Some(user.to_owned()) },
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or("").to_owned(),
        bytes: if size == "-" { 0 } else { number(size)? },
        ..Record::default()
    })
}

/// `17/May/2015:10:05:03 +0000`.
fn time(text: &str) -> Option<Civil> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (local, zone) = text.split_once(' ')?;
    let [date, hour, minute, second] = local.split(':').collect::<Vec<_>>()[..] else { return None };
    let [day, month, year] = date.split('/').collect::<Vec<_>>()[..] else { return None };
    let two = |digits: &str| number(digits).filter(|_| digits.len() == 2);
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let zone = number(&zone[1..]).filter(|time| zone.len() == 5 && *time < 2400 && time % 100 < 60)?;
    let zone_minutes = i64::try_from(zone / 100 * 60 + zone % 100).ok()?;
    Some(Civil {
        year: number(year).filter(|_| year.len() == 4)?,
        month: 1 + u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?,
        day: two(day)?,
        hour: two(hour)?,
        minute: two(minute)?,
        second: two(second)?,
        nanos: 0,
        ahead_minutes: sign * zone_minutes,
    })
}

/// The content of the quoted string that `text` begins with, decoded, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut decoded = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text.as_bytes()[at..];
        at += match rest {
            [b'"', ..] => return Some((String::from_utf8_lossy(&decoded).into_owned(), &text[at + 1..])),
            [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                decoded.push(*escaped);
                2
            }
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                4
            }
            [other, ..] => {
                decoded.push(*other);
                1
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::record;
    use crate::logs::Record;

    const HEAD: &str = "192.0.2.1 - - [17/May/2015:10:05:03 +0000]";

    fn path_of(request: &str) -> (String, String) {
        let record = record(&format!("{HEAD} \"{request}\" 200 5")).expect(request);
        (record.method, record.path)
    }

    #[test]
    fn a_combined_line_gives_all_its_fields() {
        let line = concat!(
            r#"2001:db8::7 id ann [17/May/2015:12:05:03 +0200] "POST /api/v1/chat?x=1 HTTP/1.1" 200 203023 "#,
            r#""http://www.example/" "Reader/1.0""#
        );
        let expected = Record {
            time_ns: 1_431_857_103_000_000_000,
            ip: Some("2001:db8::7".parse().unwrap()),
            user: Some("ann".to_owned()),
            method: "POST".to_owned(),
            path: "/api/v1/chat".to_owned(),
            bytes: 203_023,
            ..Record::default()
        };
        assert_eq!(record(line), Some(expected));
    }

    #[test]
    fn what_follows_the_size_never_makes_a_line_malformed() {
        for tail in ["", " ", " \"", " \"-\" \"cut o", " \\ [] \"\"\""] {
            assert!(record(&format!("{HEAD} \"GET / HTTP/1.1\" 200 5{tail}")).is_some(), "{tail:?}");
        }
    }

    #[test]
    fn a_size_may_be_missing_and_is_then_nothing() {
        assert_eq!(record(&format!("{HEAD} \"GET / HTTP/1.1\" 304 -")).unwrap().bytes, 0);
    }

    #[test]
    fn escapes_in_the_request_are_decoded_and_do_not_end_it() {
        let get = |path: &str| ("GET".to_owned(), path.to_owned());
        assert_eq!(path_of(r#"GET /a\"b\\c\x2Fd HTTP/1.1"#), get(r#"/a"b\c/d"#));
        assert_eq!(path_of(r"GET /\n\xZZ HTTP/1.1"), get(r"/\n\xZZ"));
        assert_eq!(path_of("GET /?a=/b?c"), get("/"));
        assert_eq!(path_of("-"), (String::new(), String::new()));
        assert_eq!(path_of(r"\x16\x03\x01").1, "");
        assert_eq!(path_of(""), (String::new(), String::new()));
        assert_eq!(path_of("GET"), get(""));
    }

    #[test]
    fn a_line_that_lacks_or_mangles_a_field_is_malformed() {
        let good = format!("{HEAD} \"GET / HTTP/1.1\" 200 5");
        for cut in 0..good.len() {
            assert!(record(&good[..cut]).is_none(), "{:?}", &good[..cut]);
        }
        for (from, to) in [
            ("192.0.2.1", "192.0.2"),
            ("192.0.2.1", "www.example"),
            ("17/May", "32/May"),
            ("17/May", "7/May"),
            ("May", "may"),
            ("2015", "1969"),
            ("10:05", "24:05"),
            ("+0000", "+0060"),
            ("+0000", "+2400"),
            ("+0000", "0000"),
            ("+0000", "Z"),
            ("[17", "17"),
            ("\"GET", "GET"),
            (" 200", " 2x0"),
            (" 200", " 20"),
            (" 5", " 5x"),
            (" 5", " -5"),
            (" 5", " 18446744073709551616"),
        ] {
            let line = good.replacen(from, to, 1);
            assert_ne!(line, good);
            assert_eq!(record(&line), None, "{line}");
        }
    }
}
