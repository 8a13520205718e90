//! Rounding of money: to the nearest, of two equally near to the even one; and of parts that keep their sum.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

/// The whole number nearest to `value`; of two that are equally near, the even one.
#[must_use]
pub fn half_even(value: &BigRational) -> BigInt {
    let (below, above) = (value.floor().to_integer(), value.ceil().to_integer());
    let down = value - BigRational::from_integer(below.clone());
    let up = BigRational::from_integer(above.clone()) - value;
    let below_is_even = (&below % 2u32).is_zero();
    if down < up || (down == up && below_is_even) { below } else { above }
}

/// Amounts in a coarser unit, which still add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rounded {
    /// The sum of the amounts, rounded half to even.
    pub total: BigInt,
    /// The amounts, each rounded down or up.
    pub parts: Vec<BigInt>,
}

/// Rounds `amounts` to units of `unit` so that they add up to their rounded sum: each is rounded down, and what is
/// then missing goes, one unit each, to those that lost most, of equals to the first.
#[must_use]
pub fn round_with_sum(amounts: &[BigInt], unit: &BigInt) -> Rounded {
    let exact = |amount: &BigInt| BigRational::new(amount.clone(), unit.clone());
    let total = half_even(&exact(&amounts.iter().sum()));
    let mut parts: Vec<BigInt> = amounts.iter().map(|amount| exact(amount).floor().to_integer()).collect();
    let lost = |place: &usize| exact(&amounts[*place]) - exact(&amounts[*place]).floor();
    let mut places: Vec<usize> = (0..amounts.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(lost(place))); // stable: equals stay in order
    for place in places {
        if parts.iter().sum::<BigInt>() < total {
            parts[place] += BigInt::one();
        }
    }
    assert_eq!(parts.iter().sum::<BigInt>(), total, "less than a unit is missing of each part");
    Rounded { total, parts }
}

#[cfg(test)]
mod tests {
    use super::{half_even, round_with_sum};
    use crate::random::Random;
    use num_bigint::BigInt;
    use num_rational::BigRational;

    /// Rounds a number as it is written, by looking at its digits.
    fn rounded_as_written(decimal: &str) -> String {
        let (negative, digits) = match decimal.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, decimal),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let last_is_odd = whole.ends_with(['1', '3', '5', '7', '9']);
        let behind_first = fraction.get(1..).unwrap_or("").trim_end_matches('0');
        let up = match fraction.chars().next() {
            Some('6'..='9') => true,
            Some('5') => !behind_first.is_empty() || last_is_odd,
            _ => false,
        };
        let mut whole: Vec<char> = whole.chars().collect();
        if up {
            let nines = whole.iter().rev().take_while(|digit| **digit == '9').count();
            let place = whole.len() - nines;
            whole[place..].fill('0');
            if place == 0 {
                whole.insert(0, '1');
            } else {
                let more = whole[place - 1].to_digit(10).unwrap() + 1;
                whole[place - 1] = char::from_digit(more, 10).unwrap();
            }
        }
        let whole: String = whole.into_iter().collect();
        if negative && whole.bytes().any(|digit| digit != b'0') { format!("-{whole}") } else { whole }
    }

    fn exact(decimal: &str) -> BigRational {
        let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
        let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
        BigRational::new(digits, BigInt::from(10).pow(u32::try_from(fraction.len()).unwrap()))
    }

    fn cents(nano: &[i64]) -> (i64, Vec<i64>) {
        let amounts: Vec<BigInt> = nano.iter().map(|nano| BigInt::from(*nano)).collect();
        let rounded = round_with_sum(&amounts, &BigInt::from(10_000_000));
        let small = |value: &BigInt| i64::try_from(value).unwrap();
        (small(&rounded.total), rounded.parts.iter().map(small).collect())
    }

    #[test]
    fn a_half_goes_to_the_even_side_and_everything_else_to_the_nearer() {
        for (value, expected) in [
            ("0", 0),
            ("0.5", 0),
            ("0.50000000000000000000001", 1),
            ("0.49999999999999999999999", 0),
            ("1.5", 2),
            ("2.5", 2),
            ("3.5", 4),
            ("7", 7),
            ("-0.5", 0),
            ("-1.5", -2),
            ("-2.5", -2),
            ("-2.51", -3),
            ("-2.49", -2),
        ] {
            assert_eq!(half_even(&exact(value)), BigInt::from(expected), "{value}");
        }
        let third = BigRational::new(5.into(), 3.into());
        assert_eq!(half_even(&third), BigInt::from(2));
    }

    #[test]
    fn rounding_agrees_with_rounding_by_the_written_digits() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let whole = random.next_u64() >> random.between(0, 63);
            let fraction =
                *random.pick(&["", ".0", ".4", ".5", ".50", ".500001", ".49999", ".6", ".9999", ".05"]);
            let sign = *random.pick(&["", "-"]);
            let decimal = format!("{sign}{whole}{fraction}");
            let expected = rounded_as_written(&decimal);
            assert_eq!(half_even(&exact(&decimal)).to_string(), expected, "{decimal}");
        }
        assert_eq!(rounded_as_written("99.5"), "100");
        assert_eq!(rounded_as_written("-0.5"), "0");
    }

    #[test]
    fn parts_add_up_where_rounding_each_would_not() {
        // 0.4 cents each: each alone is nothing, together they are 1.2 and so one cent, for the first.
        assert_eq!(cents(&[4_000_000, 4_000_000, 4_000_000]), (1, vec![1, 0, 0]));
        // 0.6 cents each: each alone is one, together they are 1.8 and so two cents.
        assert_eq!(cents(&[6_000_000, 6_000_000, 6_000_000]), (2, vec![1, 1, 0]));
        // The one that loses most is served first, wherever it stands.
        assert_eq!(cents(&[13_000_000, 19_000_000, 10_000_000]), (4, vec![1, 2, 1]));
        assert_eq!(cents(&[15_000_000, 10_000_000]), (2, vec![1, 1]));
        assert_eq!(cents(&[25_000_000, 10_000_000]), (4, vec![3, 1]));
        assert_eq!(cents(&[-4_000_000, -4_000_000]), (-1, vec![0, -1]));
        assert_eq!(cents(&[]), (0, vec![]));
    }

    #[test]
    fn parts_are_never_a_whole_unit_away_from_what_they_were() {
        let mut random = Random::new(2);
        for _ in 0..2_000 {
            let amounts: Vec<i64> = (0..random.between(1, 40))
                .map(|_| random.between(0, 50_000_000).cast_signed() - 9_000_000)
                .collect();
            let (total, parts) = cents(&amounts);
            assert_eq!(parts.iter().sum::<i64>(), total);
            for (amount, part) in amounts.iter().zip(parts) {
                assert!((amount - part * 10_000_000).abs() < 10_000_000);
            }
        }
    }
}
