//! Money in whole numbers: nano-units, currencies, rounding, and splits that sum to what was split.
//!
//! Amounts are counted in billionths of a currency unit and summed in 128 bits. Nothing is rounded to the coins of a
//! currency but an invoice, half to even; what is split, or rounded line by line, sums to the whole by the method of
//! the largest remainder (Hamilton).

use crate::text::Text;
use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use core::str::FromStr;

/// Nano-units in a unit of currency.
pub const NANO_PER_UNIT: i128 = 1_000_000_000;

/// An amount of money in billionths of a currency unit. Which currency follows from where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUnits(pub i128);

impl NanoUnits {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount as a budget counts it: in 64 bits, a credit as nothing.
    #[must_use]
    pub fn as_spent(self) -> u64 {
        u64::try_from(self.0.max(0)).unwrap_or(u64::MAX)
    }
}

impl Add for NanoUnits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for NanoUnits {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for NanoUnits {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for NanoUnits {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for NanoUnits {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for NanoUnits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Writes the amount in units, with as many decimals as it needs, and two at least: `1.25`, `-0.000002`. A precision
/// says how many at least.
impl fmt::Display for NanoUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = f.precision().unwrap_or(2).min(9);
        let (whole, mut fraction) =
            (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let mut digits = 9;
        while digits > least && fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        // A number of at most 39 digits and 9 decimals.
        let mut text = Text::<56>::EMPTY;
        if digits == 0 {
            fmt::Write::write_fmt(&mut text, format_args!("{sign}{whole}"))?;
        } else {
            fmt::Write::write_fmt(&mut text, format_args!("{sign}{whole}.{fraction:0digits$}"))?;
        }
        // Not `pad`, for which a precision would be a length.
        let width = f.width().unwrap_or(0);
        write!(f, "{:>width$}", text.as_str())
    }
}

/// A currency by its code of three letters, ISO 4217. All-zero when there is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// Currencies whose coins are not hundredths, and how many decimals they have.
const OTHER_DIGITS: [(&[u8; 3], u32); 23] = [
    (b"BIF", 0),
    (b"CLP", 0),
    (b"DJF", 0),
    (b"GNF", 0),
    (b"ISK", 0),
    (b"JPY", 0),
    (b"KMF", 0),
    (b"KRW", 0),
    (b"PYG", 0),
    (b"RWF", 0),
    (b"UGX", 0),
    (b"VND", 0),
    (b"VUV", 0),
    (b"XAF", 0),
    (b"XOF", 0),
    (b"XPF", 0),
    (b"BHD", 3),
    (b"IQD", 3),
    (b"JOD", 3),
    (b"KWD", 3),
    (b"LYD", 3),
    (b"OMR", 3),
    (b"TND", 3),
];

impl Currency {
    /// No currency.
    pub const NONE: Self = Self([0; 3]);

    /// The currency with a code, if it is one: three upper-case letters.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// Whether it is [`Currency::NONE`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0[0] == 0
    }

    /// The code; empty if there is none.
    #[must_use]
    pub fn code(&self) -> &str {
        if self.is_none() { "" } else { core::str::from_utf8(&self.0).unwrap_or_default() }
    }

    /// How many decimals an amount in coins has: what invoices are rounded to.
    #[must_use]
    pub fn digits(self) -> u32 {
        OTHER_DIGITS.iter().find(|(code, _)| **code == self.0).map_or(2, |(_, digits)| *digits)
    }

    /// Nano-units in the smallest coin.
    #[must_use]
    pub fn coin(self) -> i128 {
        10_i128.pow(9 - self.digits())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.code(), f)
    }
}

/// An amount and its currency, as users write it: `0.000002 USD`.
///
/// ```
/// use governance::money::{Money, NanoUnits};
/// let price: Money = "0.000002 USD".parse().unwrap();
/// assert_eq!(price.amount, NanoUnits(2_000));
/// assert_eq!(price.to_string(), "0.000002 USD");
/// assert!("0.0000000001 USD".parse::<Money>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// How much.
    pub amount: NanoUnits,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in no currency.
    pub(crate) const ZERO: Self = Self { amount: NanoUnits::ZERO, currency: Currency::NONE };
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// It is not a number, a blank and a currency's code.
    Form,
    /// It has more than nine decimals.
    Decimals,
    /// It has more than eighteen digits before the point.
    TooLarge,
}

impl MoneyError {
    /// What was expected, for messages.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Form => "an amount and a currency, such as \"0.000002 USD\"",
            Self::Decimals => "at most nine decimals",
            Self::TooLarge => "at most eighteen digits before the decimal point",
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected())
    }
}

impl core::error::Error for MoneyError {}

/// Reads a number with up to nine decimals, such as `0.5` or `-12`.
impl FromStr for NanoUnits {
    type Err = MoneyError;

    fn from_str(number: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) {
            return Err(MoneyError::Form);
        }
        if decimals.len() > 9 {
            return Err(MoneyError::Decimals);
        }
        if whole.trim_start_matches('0').len() > 18 {
            return Err(MoneyError::TooLarge);
        }
        let value =
            |digits: &str| digits.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let places = u32::try_from(9 - decimals.len()).unwrap_or(0);
        let amount = value(whole) * NANO_PER_UNIT + value(decimals) * 10_i128.pow(places);
        Ok(Self(if negative { -amount } else { amount }))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (number, code) = text.split_once(' ').ok_or(MoneyError::Form)?;
        let currency = Currency::from_code(code.trim()).ok_or(MoneyError::Form)?;
        Ok(Self { amount: number.parse()?, currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// `numerator` / `denominator`, rounded to the nearest, half to even; the denominator is positive.
#[must_use]
pub const fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator.div_euclid(denominator);
    let remainder = numerator.rem_euclid(denominator);
    // Not doubled, which could overflow.
    let rest = denominator - remainder;
    let up = remainder > rest || remainder == rest && quotient & 1 != 0;
    quotient + up as i128
}

/// Splits `total` in the proportion of `weights`, in whole nano-units that sum to it. Each share is within one of the
/// exact one; what is left over goes to those with the largest remainders, the first among equals. Without any
/// weight, all of it goes to the first.
///
/// # Panics
/// If there are not as many shares as weights, or `total` has more than 63 bits.
pub fn split(total: NanoUnits, weights: &[u64], shares: &mut [NanoUnits]) {
    assert_eq!(weights.len(), shares.len(), "each weight has a share");
    let (sign, amount) = (total.0.signum(), total.0.unsigned_abs());
    assert!(amount >> 63 == 0, "a product of total and weight has 127 bits");
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        shares.fill(NanoUnits::ZERO);
        if let Some(first) = shares.first_mut() {
            *first = total;
        }
        return;
    }
    let mut left = amount;
    for (share, &weight) in shares.iter_mut().zip(weights) {
        let floor = amount * u128::from(weight) / sum;
        left -= floor;
        *share = NanoUnits(i128::try_from(floor).unwrap_or(i128::MAX));
    }
    let remainder = |index: usize| amount * u128::from(weights[index]) % sum;
    let exact = |index: usize| amount * u128::from(weights[index]) / sum;
    for _ in 0..left {
        give_to_largest(shares.len(), remainder, |index| shares[index].0.unsigned_abs() == exact(index))
            .into_iter()
            .for_each(|index| shares[index].0 += 1);
    }
    shares.iter_mut().for_each(|share| share.0 *= sign);
}

/// Rounds each line to whole coins so that they sum to the total, half to even, of the exact sum. Returns that total in
/// coins. Each line is within one coin of the exact one. `exact` tells a line's amount, and `rounded` where its
/// coins go.
pub fn round_lines<L>(
    lines: &mut [L],
    coin: i128,
    exact: impl Fn(&L) -> NanoUnits,
    rounded: impl Fn(&mut L) -> &mut i128,
) -> i128 {
    let total = div_half_even(lines.iter().map(&exact).sum::<NanoUnits>().0, coin);
    let mut left = total;
    for line in &mut *lines {
        let floor = exact(line).0.div_euclid(coin);
        *rounded(line) = floor;
        left -= floor;
    }
    for _ in 0..left {
        let mut largest: Option<(usize, i128)> = None;
        for (index, line) in lines.iter_mut().enumerate() {
            let remainder = exact(line).0.rem_euclid(coin);
            let is_waiting = *rounded(line) == exact(line).0.div_euclid(coin);
            if is_waiting && largest.is_none_or(|(_, other)| remainder > other) {
                largest = Some((index, remainder));
            }
        }
        if let Some((index, _)) = largest {
            *rounded(&mut lines[index]) += 1;
        }
    }
    total
}

/// The first of those with the largest remainder among the ones that have not been given anything yet.
fn give_to_largest(
    count: usize,
    remainder: impl Fn(usize) -> u128,
    is_waiting: impl Fn(usize) -> bool,
) -> Option<usize> {
    (0..count)
        .filter(|&index| is_waiting(index))
        .max_by_key(|&index| (remainder(index), core::cmp::Reverse(index)))
}

#[cfg(test)]
mod tests {
    use super::{Currency, Money, MoneyError, NanoUnits, div_half_even, round_lines, split};

    /// SplitMix64 (Steele, Lea, Flood).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }

        /// A number of at most `bits` bits, small ones as often as large ones.
        fn bits(&mut self, bits: u64) -> u64 {
            let length = self.next() % (bits + 1);
            if length == 0 { 0 } else { self.next() >> (64 - length) }
        }
    }

    /// Rounds by writing the quotient down: long division digit by digit, and a look at the decimals.
    fn rounded_on_paper(numerator: i128, denominator: i128) -> i128 {
        let digits = numerator.unsigned_abs().to_string();
        let mut rest = 0u128;
        let mut quotient = String::new();
        for digit in digits.chars() {
            rest = rest * 10 + u128::from(digit.to_digit(10).unwrap());
            quotient.push(
                char::from_digit(u32::try_from(rest / denominator.unsigned_abs()).unwrap(), 10).unwrap(),
            );
            rest %= denominator.unsigned_abs();
        }
        let last_is_odd = matches!(quotient.chars().last().unwrap(), '1' | '3' | '5' | '7' | '9');
        // The first decimals: 4999… is below a half, 5000… is one, anything else is above.
        let mut decimals = String::new();
        let mut left = rest;
        for _ in 0..3 {
            left *= 10;
            decimals.push(
                char::from_digit(u32::try_from(left / denominator.unsigned_abs()).unwrap(), 10).unwrap(),
            );
            left %= denominator.unsigned_abs();
        }
        let is_half = decimals == "500" && left == 0;
        let up = if is_half { last_is_odd } else { decimals.as_str() >= "500" };
        let value: i128 = quotient.parse().unwrap();
        let value = value + i128::from(up);
        if numerator < 0 { -value } else { value }
    }

    #[test]
    fn rounding_equals_long_division_on_paper() {
        let mut random = Random(1);
        for case in 0..400_000 {
            let denominator = match case % 4 {
                0 => 10_i128.pow(u32::try_from(random.next() % 10).unwrap()),
                1 => 2 * i128::from(1 + random.bits(20)),
                _ => i128::from(1 + random.bits(40)),
            };
            let numerator = match case % 3 {
                // Ties.
                0 => denominator * i128::from(random.bits(40)) + denominator / 2,
                _ => i128::from(random.bits(63)) * i128::from(1 + random.bits(20)),
            };
            let numerator = if random.next().is_multiple_of(2) { numerator } else { -numerator };
            assert_eq!(
                div_half_even(numerator, denominator),
                rounded_on_paper(numerator, denominator),
                "{numerator} / {denominator}"
            );
        }
        assert_eq!(div_half_even(i128::MAX, i128::MAX), 1);
        assert_eq!((div_half_even(5, 2), div_half_even(7, 2), div_half_even(-5, 2)), (2, 4, -2));
    }

    #[test]
    fn shares_sum_to_what_was_split_and_are_within_one_of_the_exact_ones() {
        let mut random = Random(2);
        for _ in 0..200_000 {
            let count = usize::try_from(1 + random.next() % 8).unwrap();
            let weights: Vec<u64> = (0..count).map(|_| random.bits(40)).collect();
            let total = i128::from(random.bits(60)) * if random.next().is_multiple_of(2) { 1 } else { -1 };
            let mut shares = vec![NanoUnits::ZERO; count];
            split(NanoUnits(total), &weights, &mut shares);
            assert_eq!(shares.iter().copied().sum::<NanoUnits>().0, total);
            let sum: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
            for (share, &weight) in shares.iter().zip(&weights).filter(|_| sum > 0) {
                assert!((share.0 * sum - total * i128::from(weight)).abs() < sum, "{total} by {weights:?}");
            }
        }
        let mut shares = [NanoUnits::ZERO; 3];
        split(NanoUnits(-100), &[1, 1, 1], &mut shares);
        assert_eq!(shares, [NanoUnits(-34), NanoUnits(-33), NanoUnits(-33)], "ties go to the first");
    }

    #[test]
    fn rounded_lines_sum_to_the_rounded_total() {
        let mut random = Random(3);
        for _ in 0..100_000 {
            let count = usize::try_from(random.next() % 12).unwrap();
            let exact: Vec<_> = (0..count)
                .map(|_| {
                    NanoUnits(
                        i128::from(random.bits(34)) * if random.next().is_multiple_of(8) { -1 } else { 1 },
                    )
                })
                .collect();
            let mut lines: Vec<_> = exact.iter().map(|&exact| (exact, 0)).collect();
            let total = round_lines(&mut lines, 10_000_000, |line| line.0, |line| &mut line.1);
            assert_eq!(lines.iter().map(|line| line.1).sum::<i128>(), total);
            assert_eq!(total, div_half_even(exact.iter().copied().sum::<NanoUnits>().0, 10_000_000));
            for (exact, coins) in &lines {
                assert!((coins * 10_000_000 - exact.0).abs() < 10_000_000);
            }
        }
        // Rounded by themselves these would be 0.01 three times.
        let mut lines = [(NanoUnits(6_666_667), 0); 3];
        assert_eq!(round_lines(&mut lines, 10_000_000, |line| line.0, |line| &mut line.1), 2);
        assert_eq!(lines.map(|line| line.1), [1, 1, 0]);
    }

    #[test]
    fn money_reads_as_it_prints() {
        for text in ["0.000002 USD", "1.25 EUR", "-0.50 USD", "0.00 JPY", "999999999999999999.999999999 USD"]
        {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("5 USD".parse::<Money>().unwrap().to_string(), "5.00 USD");
        assert_eq!(format!("{:.0}", NanoUnits(5_000_000_000)), "5");
        for (text, error) in [
            ("", MoneyError::Form),
            ("1", MoneyError::Form),
            ("1 usd", MoneyError::Form),
            ("1 DOLLARS", MoneyError::Form),
            (".5 USD", MoneyError::Form),
            ("1. USD", MoneyError::Form),
            ("+1 USD", MoneyError::Form),
            ("1e3 USD", MoneyError::Form),
            ("0.0000000001 USD", MoneyError::Decimals),
            ("1000000000000000000 USD", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text:?}");
        }
        assert_eq!(NanoUnits(i128::MIN + 1).to_string(), "-170141183460469231731687303715.884105727");
    }

    #[test]
    fn coins_are_those_of_the_currency() {
        for (code, coin) in [("USD", 10_000_000), ("JPY", 1_000_000_000), ("KWD", 1_000_000)] {
            assert_eq!(Currency::from_code(code).unwrap().coin(), coin);
        }
        assert!(Currency::NONE.is_none() && Currency::NONE.code().is_empty());
    }
}
