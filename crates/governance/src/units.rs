//! The words that users write for lengths of time, rates, sizes and percentages, read and shown in one way.

use crate::time::Nanos;
use core::fmt;
use core::str::FromStr;

/// Why a duration, a rate, a size or a percentage could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitError {
    /// It is not a whole number followed by a known unit.
    Duration,
    /// It is not `COUNT/DURATION`.
    Rate,
    /// It is not a whole number, or one followed by a known size unit.
    Size,
    /// It is not a number with up to four decimals and a percent sign.
    Percent,
    /// It is larger than can be expressed.
    TooLarge,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "expected a whole number and one of ns us ms s m h d, such as 30s",
            Self::Rate => "expected COUNT/DURATION, such as 60/1m",
            Self::Size => "expected a whole number, or one with KiB, MiB or GiB, such as 64KiB",
            Self::Percent => "expected a percentage with up to four decimals, such as 0.5%",
            Self::TooLarge => "larger than can be expressed in 64 bits",
        })
    }
}

impl core::error::Error for UnitError {}

const DURATION_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `250ms`, `30s`, `15m`, `1h`, `1d`.
impl FromStr for Nanos {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_number(text);
        let (_, nanos) =
            DURATION_UNITS.into_iter().find(|&(word, _)| word == unit).ok_or(UnitError::Duration)?;
        scaled(number, nanos, UnitError::Duration).map(Self)
    }
}

/// Shows a length of time in the largest unit that expresses it exactly.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        // The last unit divides everything.
        let (word, nanos) =
            DURATION_UNITS.into_iter().find(|&(_, nanos)| self.0.is_multiple_of(nanos)).unwrap_or(("ns", 1));
        write!(f, "{}{word}", self.0 / nanos)
    }
}

/// A count of units for each period.
///
/// ```
/// use governance::units::Rate;
/// let rate: Rate = "60/1m".parse().unwrap();
/// assert_eq!((rate.count, rate.period.0), (60, 60_000_000_000));
/// assert_eq!("1/s".parse::<Rate>().unwrap().to_string(), "1/1s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many units.
    pub count: u64,
    /// In how long.
    pub period: Nanos,
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (count, period) = text.split_once('/').ok_or(UnitError::Rate)?;
        let count = parse_size(count).map_err(|error| match error {
            UnitError::Size => UnitError::Rate,
            other => other,
        })?;
        let unit_alone = period.starts_with(|first: char| first.is_ascii_alphabetic());
        let period = if unit_alone {
            let unit = DURATION_UNITS.into_iter().find(|&(word, _)| word == period);
            unit.map(|(_, nanos)| Nanos(nanos)).ok_or(UnitError::Rate)?
        } else {
            period
                .parse()
                .map_err(|error| if error == UnitError::Duration { UnitError::Rate } else { error })?
        };
        Ok(Self { count, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period)
    }
}

/// All of something, in parts of a million.
pub const PPM: u32 = 1_000_000;

/// Parts of a million as a percentage, with as many decimals as it needs.
///
/// ```
/// use governance::units::Percent;
/// assert_eq!("0.5%".parse(), Ok(Percent(5_000)));
/// assert_eq!(Percent(1_000_000).to_string(), "100%");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

/// Reads a percentage with up to four decimals; it may be more than 100 %.
impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = text.strip_suffix('%').ok_or(UnitError::Percent)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 4 {
            return Err(UnitError::Percent);
        }
        // Missing decimals are zeros.
        let fraction = decimals.bytes().chain([b'0'; 4]).take(4);
        let fraction = fraction.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        let whole = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(PPM / 100));
        whole.and_then(|whole| whole.checked_add(fraction)).map(Self).ok_or(UnitError::TooLarge)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimals(f, self.0, 4)?;
        f.write_str("%")
    }
}

/// A number in thousandths, which is shown with as many decimals as it needs.
///
/// ```
/// use governance::units::Thousandths;
/// assert_eq!(Thousandths(1_500).to_string(), "1.5");
/// assert_eq!(Thousandths(2_000).to_string(), "2");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thousandths(pub u32);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimals(f, self.0, 3)
    }
}

/// Writes a number that has so many decimals, at most nine, without the zeros at its end.
fn write_decimals(f: &mut fmt::Formatter<'_>, number: u32, mut decimals: u32) -> fmt::Result {
    let one = 10_u32.pow(decimals);
    let (whole, mut fraction) = (number / one, number % one);
    write!(f, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        decimals -= 1;
    }
    let digits = usize::try_from(decimals).unwrap_or(0);
    write!(f, ".{fraction:0digits$}")
}

/// Reads a whole number, or a size such as `64KiB`.
///
/// # Errors
/// [`UnitError::Size`] or [`UnitError::TooLarge`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split_number(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::Size),
    };
    scaled(number, factor, UnitError::Size)
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn scaled(digits: &str, factor: u64, malformed: UnitError) -> Result<u64, UnitError> {
    if digits.is_empty() {
        return Err(malformed);
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(UnitError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::{Percent, Rate, UnitError, parse_size};
    use crate::time::Nanos;

    #[test]
    fn durations_read_and_show_the_same() {
        for text in ["250ms", "30s", "15m", "1h", "1d", "7us", "1ns", "0s"] {
            assert_eq!(text.parse::<Nanos>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<Nanos>().unwrap().to_string(), "1m");
        for text in ["", "s", "10", "1.5s", "-1s", "1 s", "1w", "+1s"] {
            assert_eq!(text.parse::<Nanos>(), Err(UnitError::Duration), "{text:?}");
        }
        assert_eq!("213504d".parse::<Nanos>(), Err(UnitError::TooLarge));
        assert_eq!("99999999999999999999s".parse::<Nanos>(), Err(UnitError::TooLarge));
    }

    #[test]
    fn rates_need_a_count_and_a_period() {
        assert_eq!("1/s".parse(), Ok(Rate { count: 1, period: Nanos(1_000_000_000) }));
        assert_eq!("10MiB/1s".parse(), Ok(Rate { count: 10 << 20, period: Nanos(1_000_000_000) }));
        for text in ["", "60", "/1m", "60/", "60/m1", "a/1m", "60/1", "1.5/1s", "-1/1s"] {
            assert_eq!(text.parse::<Rate>(), Err(UnitError::Rate), "{text:?}");
        }
    }

    #[test]
    fn sizes_take_binary_units() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("3"), Ok(3));
        assert_eq!(parse_size("64kb"), Err(UnitError::Size));
        assert_eq!(parse_size("99999999999GiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn percentages_read_as_they_print() {
        for ppm in [1, 10, 100, 5_000, 9_999, 10_000, 123_456, 1_000_000, u32::MAX] {
            assert_eq!(Percent(ppm).to_string().parse(), Ok(Percent(ppm)));
        }
        assert_eq!(Percent(5_000).to_string(), "0.5%");
        assert_eq!(Percent(1_000_000).to_string(), "100%");
        for text in ["", "%", "1", "1.%", ".5%", "1.00000%", "-1%", "1 %", "+1%"] {
            assert_eq!(text.parse::<Percent>(), Err(UnitError::Percent), "{text:?}");
        }
        assert_eq!("99999999999%".parse::<Percent>(), Err(UnitError::TooLarge));
    }
}
