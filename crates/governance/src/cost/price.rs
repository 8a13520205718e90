//! Prices, and what a quantity comes to, exactly.
//!
//! A price says what `count` units cost, in one tier or several. What a quantity `Q` comes to, `f(Q)`, is a fraction
//! with a denominator that the price fixes. A [`Tally`] counts quantities and charges each event
//! `R(f(Q + q)) − R(f(Q))`, with `R` rounding to nano-units, half to even: so the charges of any number of events sum to
//! `R` of the exact sum, whatever tiers they fell into (telescoping charges).

use crate::field::Problem;
use crate::money::{Currency, Money, NanoUnits};
use core::fmt;

/// How many tiers a price can have.
pub const TIERS_MAX: usize = 8;
/// The most that a count of units can cost, in nano-units: a million units of currency.
pub const PRICE_MAX: i64 = 1_000_000 * 1_000_000_000;
/// The largest count of units that a price can be of.
pub const COUNT_MAX: u64 = 1_000_000_000_000;
/// A multiplier of one, in millionths.
pub(crate) const MULTIPLIER_ONE: u64 = 1_000_000;
/// What a tally can count to. Times the largest price it fits in 127 bits.
const QUANTITY_MAX: u128 = 1 << 76;

/// How tiers are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceMode {
    /// Each unit at the price of the tier that it falls into.
    #[default]
    Graduated,
    /// Every unit at the price of the tier that the whole quantity reaches. The cost can fall when a tier begins.
    Volume,
    /// Each begun count of units in full.
    Package,
}

impl PriceMode {
    const ALL: [Self; 3] = [Self::Graduated, Self::Volume, Self::Package];

    /// The word that users write in front of the price.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Graduated => "graduated",
            Self::Volume => "volume",
            Self::Package => "package",
        }
    }
}

/// A part of the quantity and what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tier {
    /// What a count of units costs, in nano-units.
    amount: i64,
    /// The quantity with which it ends; 0 if it does not.
    to: u64,
}

/// What a unit costs. All-zero when there is no price, which is not a price of zero.
///
/// ```
/// use governance::cost::Price;
/// let price = Price::parse("0 USD to 1000; 0.5 USD per 1000000").unwrap_err();
/// let price = Price::parse("0 USD per 1000000 to 1000; 0.5 USD per 1000000").unwrap();
/// assert_eq!(price.to_string(), "0.00 USD per 1000000 to 1000; 0.50 USD per 1000000");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    mode: PriceMode,
    tiers: [Tier; TIERS_MAX],
    length: u8,
    /// What it is a price of: so many units.
    count: u64,
    currency: Currency,
}

impl Price {
    /// No price.
    pub(crate) const NONE: Self = Self {
        mode: PriceMode::Graduated,
        tiers: [Tier { amount: 0, to: 0 }; TIERS_MAX],
        length: 0,
        count: 0,
        currency: Currency::NONE,
    };

    /// Reads `MONEY [per COUNT] [to QUANTITY]`, several with `;` between them for tiers, with `package:` or `volume:` in
    /// front where they are not graduated.
    ///
    /// # Errors
    /// [`Problem`] says what was expected.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (mode, tiers) = match text.split_once(':') {
            Some((word, tiers)) => {
                let mode = PriceMode::ALL.into_iter().find(|mode| mode.word() == word.trim());
                (mode.ok_or(Problem::Expected("graduated:, volume: or package: in front of a price"))?, tiers)
            }
            None => (PriceMode::Graduated, text),
        };
        let mut price = Self { mode, ..Self::NONE };
        for tier in tiers.split(';') {
            price.add_tier(tier.trim())?;
        }
        let last = price.length as usize - 1;
        if price.tiers[last].to != 0 {
            return Err(Problem::Expected("a last tier without an end"));
        }
        if mode == PriceMode::Package && last > 0 {
            return Err(Problem::Expected("one price of a package"));
        }
        Ok(price)
    }

    fn add_tier(&mut self, text: &str) -> Result<(), Problem> {
        let (text, to) = match text.rsplit_once(" to ") {
            Some((text, to)) => (text.trim(), number(to)?),
            None => (text, 0),
        };
        let (money, count) = match text.rsplit_once(" per ") {
            Some((money, count)) => (money.trim(), number(count)?),
            None => (text, 1),
        };
        let Money { amount, currency } =
            money.parse().map_err(|error: crate::money::MoneyError| Problem::Expected(error.expected()))?;
        let amount = i64::try_from(amount.0).ok().filter(|amount| *amount <= PRICE_MAX);
        let amount = amount.ok_or(Problem::Expected("a price of at most 1000000 units of currency"))?;
        if amount < 0 {
            return Err(Problem::Expected("a price that is not negative"));
        }
        if count > COUNT_MAX {
            return Err(Problem::AboveMaximum(COUNT_MAX));
        }
        let length = usize::from(self.length);
        if length > 0 && (count != self.count || currency != self.currency) {
            return Err(Problem::Expected("tiers of one currency, per one count of units"));
        }
        if length > 0 && (self.tiers[length - 1].to == 0 || to != 0 && to <= self.tiers[length - 1].to) {
            return Err(Problem::Expected(
                "tiers that end at ascending quantities, such as to 1000; to 5000",
            ));
        }
        let place = self.tiers.get_mut(length).ok_or(Problem::Expected("at most 8 tiers"))?;
        *place = Tier { amount, to };
        (self.length, self.count, self.currency) = (self.length + 1, count, currency);
        Ok(())
    }

    /// Whether it is there.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.length > 0
    }

    /// In which currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether its charges can be negative.
    #[must_use]
    pub fn can_fall(&self) -> bool {
        self.mode == PriceMode::Volume && self.length > 1
    }

    /// The largest price of a unit in any tier: amount and count.
    pub(crate) fn dearest(&self) -> (i64, u64) {
        let tiers = &self.tiers[..usize::from(self.length)];
        (tiers.iter().map(|tier| tier.amount).max().unwrap_or(0), self.count.max(1))
    }

    /// What `quantity` of `scale` parts of a unit each comes to, as a numerator over `count · scale`.
    fn cumulative(&self, quantity: u128, scale: u64) -> i128 {
        let scale = u128::from(scale);
        let tiers = &self.tiers[..usize::from(self.length)];
        let end = |tier: &Tier| if tier.to == 0 { u128::MAX } else { u128::from(tier.to) * scale };
        let product = |amount: i64, units: u128| {
            // Amounts have 50 bits and quantities 76.
            i128::from(amount) * i128::try_from(units).unwrap_or(i128::MAX)
        };
        match self.mode {
            PriceMode::Graduated => {
                let mut from = 0;
                let mut sum = 0;
                for tier in tiers {
                    sum += product(tier.amount, quantity.min(end(tier)) - from);
                    if quantity <= end(tier) {
                        break;
                    }
                    from = end(tier);
                }
                sum
            }
            PriceMode::Volume => {
                let tier = tiers.iter().find(|tier| quantity <= end(tier)).or(tiers.last());
                tier.map_or(0, |tier| product(tier.amount, quantity))
            }
            PriceMode::Package => {
                let whole = u128::from(self.count) * scale;
                let begun = quantity.div_ceil(whole);
                tiers.first().map_or(0, |tier| product(tier.amount, begun * whole))
            }
        }
    }

    /// The price of a count of units, if it is the same for every unit: nothing depends on what came before.
    #[inline]
    fn flat(&self) -> Option<u64> {
        let is_flat = self.length == 1 && self.mode != PriceMode::Package;
        if is_flat { u64::try_from(self.tiers[0].amount).ok() } else { None }
    }

    /// What an event adds to the numerator.
    fn added(&self, before: u128, amount: u64, scale: u64) -> i128 {
        if let Some(each) = self.flat() {
            return i128::from(each) * i128::from(amount);
        }
        self.cumulative(before + u128::from(amount), scale) - self.cumulative(before, scale)
    }
}

fn number(text: &str) -> Result<u64, Problem> {
    let digits = text.trim();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| plain);
    number
        .ok_or(Problem::Expected("MONEY [per COUNT] [to QUANTITY], such as \"0.5 USD per 1000000\""))
        .and_then(|number| if number == 0 { Err(Problem::Zero) } else { Ok(number) })
}

/// Writes the price in the words that [`Price::parse`] reads.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mode != PriceMode::Graduated {
            write!(f, "{}: ", self.mode.word())?;
        }
        for (index, tier) in self.tiers[..usize::from(self.length)].iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{} {}", NanoUnits(tier.amount.into()), self.currency)?;
            if self.count != 1 {
                write!(f, " per {}", self.count)?;
            }
            if tier.to != 0 {
                write!(f, " to {}", tier.to)?;
            }
        }
        Ok(())
    }
}

/// What was counted of one metric at one price, and what it came to. All-zero when nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How much, in the metric's own units: bytes, milliseconds, tokens.
    pub quantity: u128,
    /// What was charged for it: the exact sum, rounded to nano-units.
    pub charged: NanoUnits,
    /// The exact sum less what was charged, as a numerator over count · scale · 10^6; at most half of that.
    remainder: i128,
}

/// A charge cannot be computed in 128 bits, or its quantity not be counted. Nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl Tally {
    pub(crate) const ZERO: Self = Self { quantity: 0, charged: NanoUnits::ZERO, remainder: 0 };

    /// As [`Tally::after_any`], at one price for every unit, where 64 bits are enough to compute the charge: the usual
    /// case.
    #[inline(always)]
    pub(crate) fn after_flat(&self, price: &Price, scale: u64, amount: u64, multiplier: u64) -> Option<Self> {
        const ONE: i64 = MULTIPLIER_ONE.cast_signed();
        // So that twice a numerator fits, of which the remainder is no more than half a denominator.
        const PARTS_MAX: u64 = (i64::MAX / (4 * ONE)).cast_unsigned();
        let each = price.flat().filter(|_| multiplier == MULTIPLIER_ONE)?;
        let parts = price.count * scale;
        let added = each.checked_mul(amount)?;
        if parts > PARTS_MAX || self.quantity >= QUANTITY_MAX / 2 || self.charged.0.unsigned_abs() >= 1 << 126
        {
            return None;
        }
        let (whole, rest) = if parts == 1 { (added, 0) } else { (added / parts, added % parts) };
        let denominator = parts.cast_signed() * ONE;
        let mut remainder = rest.cast_signed() * ONE + i64::try_from(self.remainder).ok()?;
        let mut charged = self.charged.0 + i128::from(whole);
        // Half to even, of the whole sum and not of what is added to it.
        let half = 2 * remainder - denominator;
        if half > 0 || half == 0 && charged & 1 != 0 {
            (charged, remainder) = (charged + 1, remainder - denominator);
        } else if half == -2 * denominator && charged & 1 != 0 {
            (charged, remainder) = (charged - 1, remainder + denominator);
        }
        Some(Self {
            quantity: self.quantity + u128::from(amount),
            charged: NanoUnits(charged),
            remainder: remainder.into(),
        })
    }

    /// The tally after an event, and with it the charge: the difference of `charged`. `scale` is how many parts of
    /// the metric make one unit of the price, `multiplier` is in millionths.
    #[inline(never)]
    pub(crate) fn after_any(
        &self,
        price: &Price,
        scale: u64,
        amount: u64,
        multiplier: u64,
    ) -> Result<Self, OutOfRange> {
        if self.quantity > QUANTITY_MAX - u128::from(amount) {
            return Err(OutOfRange);
        }
        let parts = i128::from(price.count) * i128::from(scale);
        let added = price.added(self.quantity, amount, scale);
        let (whole, rest) = div_rem(added, parts);
        let (whole, numerator) = if multiplier == MULTIPLIER_ONE {
            (whole, rest * i128::from(MULTIPLIER_ONE))
        } else {
            let multiplier = i128::from(multiplier);
            let scaled = whole.checked_mul(multiplier).ok_or(OutOfRange)?;
            let (whole, millionths) = div_rem(scaled, i128::from(MULTIPLIER_ONE));
            // Below 10^6 · 10^16 and 10^16 · 10^12: both fit.
            (whole, millionths * parts + rest * multiplier)
        };
        let denominator = parts * i128::from(MULTIPLIER_ONE);
        let numerator = numerator + self.remainder;
        let floor = self.charged.0.checked_add(whole).ok_or(OutOfRange)?;
        let (carried, remainder) = div_rem(numerator, denominator);
        let floor = floor.checked_add(carried).ok_or(OutOfRange)?;
        // Half to even, of the whole sum and not of what is added to it.
        let is_up = 2 * remainder > denominator || 2 * remainder == denominator && floor & 1 != 0;
        Ok(Self {
            quantity: self.quantity + u128::from(amount),
            charged: NanoUnits(floor.checked_add(i128::from(is_up)).ok_or(OutOfRange)?),
            remainder: if is_up { remainder - denominator } else { remainder },
        })
    }

    /// The tally after an event without a price.
    pub(crate) fn counted(&self, amount: u64) -> Self {
        Self { quantity: self.quantity.saturating_add(amount.into()), ..*self }
    }

    /// The tally when another price begins to count: the remainder, less than a nano-unit, is given up.
    pub(crate) const fn repriced(&self) -> Self {
        Self { remainder: 0, ..*self }
    }
}

/// Quotient and remainder, rounded down. A division of 128 bits takes many times as long as one of 64, and is rarely
/// needed.
#[inline]
fn div_rem(numerator: i128, denominator: i128) -> (i128, i128) {
    if denominator == 1 {
        return (numerator, 0);
    }
    if numerator >= 0 && numerator < denominator {
        return (0, numerator);
    }
    if numerator < 0 && -numerator <= denominator {
        return (-1, numerator + denominator);
    }
    if let (Ok(numerator), Ok(denominator)) = (u64::try_from(numerator), u64::try_from(denominator)) {
        return ((numerator / denominator).into(), (numerator % denominator).into());
    }
    (numerator.div_euclid(denominator), numerator.rem_euclid(denominator))
}

#[cfg(test)]
mod tests {
    use super::{COUNT_MAX, MULTIPLIER_ONE, OutOfRange, PRICE_MAX, Price, QUANTITY_MAX, Tally};
    use crate::money::NanoUnits;
    use num_bigint::BigInt;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

    /// The tally after an event, which both ways to it agree on.
    fn after(
        tally: &Tally,
        price: &Price,
        scale: u64,
        amount: u64,
        multiplier: u64,
    ) -> Result<Tally, OutOfRange> {
        let after = tally.after_any(price, scale, amount, multiplier);
        if let Some(flat) = tally.after_flat(price, scale, amount, multiplier) {
            assert_eq!(Ok(flat), after);
        }
        after
    }

    #[test]
    fn prices_read_as_they_print() {
        for text in [
            "0.000002 USD",
            "0.50 USD per 1000000",
            "0.00 USD to 1000; 0.002 USD to 100000; 0.001 USD",
            "package: 1.00 USD per 1000",
            "volume: 0.10 EUR per 10 to 50; 0.05 EUR per 10",
        ] {
            assert_eq!(Price::parse(text).unwrap().to_string(), text);
        }
        for (text, part) in [
            ("", "an amount and a currency"),
            ("0.5", "an amount and a currency"),
            ("-1 USD", "not negative"),
            ("1000001 USD", "at most 1000000"),
            ("1 USD per 0", "0 is not allowed"),
            ("1 USD per 1000000000001", "at most 1000000000000"),
            ("1 USD to 5", "without an end"),
            ("1 USD to 5; 2 USD to 5; 3 USD", "ascending"),
            ("1 USD; 2 USD", "ascending"),
            ("1 USD to 5; 2 EUR", "one currency"),
            ("package: 1 USD to 5; 2 USD", "one price of a package"),
            ("flat: 1 USD", "in front of a price"),
            (
                "1 USD to 1; 1 USD to 2; 1 USD to 3; 1 USD to 4; 1 USD to 5; 1 USD to 6; 1 USD to 7; 1 USD to 8; 1 USD",
                "8 tiers",
            ),
        ] {
            let problem = Price::parse(text).unwrap_err();
            let shown = crate::field::SpecError { field: "base_cost", problem }.to_string();
            assert!(shown.contains(part), "{text}: {shown}");
        }
    }

    #[test]
    fn tiers_are_taken_as_their_mode_says() {
        let cost = |price: &str, amounts: &[u64]| {
            let price = Price::parse(price).unwrap();
            let mut tally = Tally::ZERO;
            amounts
                .iter()
                .map(|&amount| {
                    let after = after(&tally, &price, 1, amount, MULTIPLIER_ONE).unwrap();
                    let charge = after.charged - tally.charged;
                    tally = after;
                    i64::try_from(charge.0).unwrap() / 1_000_000
                })
                .collect::<Vec<_>>()
        };
        let tiered = "0 USD to 10; 0.002 USD to 20; 0.001 USD";
        assert_eq!(cost(tiered, &[10, 1, 9, 1, 100]), [0, 2, 18, 1, 100]);
        assert_eq!(cost(tiered, &[121]), [121]);
        assert_eq!(cost("package: 1 USD per 10", &[1, 8, 1, 1, 25]), [1000, 0, 0, 1000, 2000]);
        assert_eq!(cost("volume: 0.002 USD to 10; 0.001 USD", &[10, 1, 10]), [20, -9, 10]);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let price = Price::parse("1000000 USD").unwrap();
        let full = Tally { quantity: QUANTITY_MAX - 5, ..Tally::ZERO };
        assert!(after(&full, &price, 1, 6, MULTIPLIER_ONE).is_err());
        assert!(after(&full, &price, 1, 5, MULTIPLIER_ONE).is_ok());
        assert!(after(&Tally::ZERO, &price, 1, u64::MAX, MULTIPLIER_ONE).is_ok());
        let rich = Tally { charged: NanoUnits(i128::MAX - 3), ..Tally::ZERO };
        assert!(after(&rich, &price, 1, 1, MULTIPLIER_ONE).is_err());
    }

    /// The price as the model knows it: mode, count, and tiers by amount and end.
    type Plain = (u8, u64, Vec<(i64, u64)>);

    fn price() -> impl Strategy<Value = Plain> {
        let amount = prop_oneof![0..2_000_i64, 0..=PRICE_MAX];
        let count = prop_oneof![1..=3u64, 1..=2_000u64, 1..=COUNT_MAX];
        (0..3u8, count, prop::collection::vec((amount, 1..1_000u64), 1..5)).prop_map(
            |(mode, count, tiers)| {
                let mut end = 0;
                let mut tiers: Vec<_> = tiers
                    .into_iter()
                    .map(|(amount, length)| {
                        end += length;
                        (amount, end)
                    })
                    .collect();
                if mode == 2 {
                    tiers.truncate(1);
                }
                (mode, count, tiers)
            },
        )
    }

    fn text((mode, count, tiers): &Plain) -> String {
        let tiers: Vec<_> = tiers
            .iter()
            .enumerate()
            .map(|(index, (amount, end))| {
                let to = if index + 1 < tiers.len() { format!(" to {end}") } else { String::new() };
                format!("{} USD per {count}{to}", NanoUnits((*amount).into()))
            })
            .collect();
        format!("{}: {}", ["graduated", "volume", "package"][usize::from(*mode)], tiers.join("; "))
    }

    /// `f(Q)` over `count · scale`, by going through the definition.
    fn exact((mode, count, tiers): &Plain, quantity: &BigInt, scale: u64) -> BigInt {
        let end = |index: usize| {
            (index + 1 < tiers.len()).then(|| BigInt::from(tiers[index].1) * BigInt::from(scale))
        };
        match mode {
            0 => (0..tiers.len())
                .map(|index| {
                    let from = if index == 0 { BigInt::ZERO } else { end(index - 1).unwrap() };
                    let to = end(index).map_or(quantity.clone(), |end| end.min(quantity.clone()));
                    BigInt::from(tiers[index].0) * (to - from).max(BigInt::ZERO)
                })
                .sum(),
            1 => {
                let index = (0..tiers.len()).find(|&index| end(index).is_none_or(|end| *quantity <= end));
                BigInt::from(tiers[index.unwrap()].0) * quantity
            }
            _ => {
                let whole = BigInt::from(*count) * BigInt::from(scale);
                let begun: BigInt = (quantity + &whole - 1) / &whole;
                BigInt::from(tiers[0].0) * begun * whole
            }
        }
    }

    fn half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
        let two = BigInt::from(2);
        let mut floor = numerator / denominator;
        if &floor * denominator > *numerator {
            floor -= 1;
        }
        let rest: BigInt = numerator - &floor * denominator;
        let doubled: BigInt = &rest * &two;
        let is_odd = &floor % &two != BigInt::ZERO;
        if doubled > *denominator || doubled == *denominator && is_odd { floor + 1 } else { floor }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]
        #[test]
        fn every_prefix_of_charges_is_the_exact_sum_rounded(
            plain in price(),
            scale in prop_oneof![proptest::strategy::Just(1u64), proptest::strategy::Just(1000), proptest::strategy::Just(1024)],
            events in prop::collection::vec(
                (prop_oneof![0..5u64, 0..100_000u64, any::<u64>()], prop_oneof![proptest::strategy::Just(1_000_000u64), 1..2_000_000u64]),
                1..60,
            ),
        ) {
            let price = Price::parse(&text(&plain)).unwrap();
            let mut tally = Tally::ZERO;
            let denominator = BigInt::from(plain.1) * BigInt::from(scale) * BigInt::from(MULTIPLIER_ONE);
            let (mut quantity, mut sum) = (BigInt::ZERO, BigInt::ZERO);
            for (amount, multiplier) in events {
                let next = &quantity + BigInt::from(amount);
                let added = exact(&plain, &next, scale) - exact(&plain, &quantity, scale);
                let Ok(after) = after(&tally, &price, scale, amount, multiplier) else { continue };
                tally = after;
                quantity = next;
                sum += added * BigInt::from(multiplier);
                assert_eq!(BigInt::from(tally.charged.0), half_even(&sum, &denominator));
                assert_eq!(BigInt::from(tally.quantity), quantity);
            }
        }
    }
}
