//! What amounts cost, as exact fractions of nano-units.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;

use super::call::{Priority, Usage};
use super::rule::Pattern;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests: the base cost.
    Requests,
    /// Bytes, usually per 1024.
    Bytes,
    /// Milliseconds of computing, usually per 1000.
    ComputeMs,
    /// Accesses to storage.
    StorageAccesses,
    /// Answers from a cache.
    CacheHits,
    /// Tokens that were put in: all but those that were generated.
    InputTokens,
    /// Tokens that were generated.
    OutputTokens,
}

impl Metric {
    /// All metrics, in the order of the lines of an invoice.
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::Bytes,
        Self::ComputeMs,
        Self::StorageAccesses,
        Self::CacheHits,
        Self::InputTokens,
        Self::OutputTokens,
    ];

    /// How many units a price is for if nothing else is said.
    #[must_use]
    pub const fn usual_block(self) -> u64 {
        match self {
            Self::Bytes => 1024,
            Self::ComputeMs => 1000,
            _ => 1,
        }
    }

    /// The quantity of a request.
    #[must_use]
    pub const fn quantity(self, usage: &Usage) -> u64 {
        match self {
            Self::Requests => usage.requests,
            Self::Bytes => usage.bytes,
            Self::ComputeMs => usage.compute_ms,
            Self::StorageAccesses => usage.storage_accesses,
            Self::CacheHits => usage.cache_hits,
            Self::InputTokens => usage.tokens.saturating_sub(usage.output_tokens),
            Self::OutputTokens => usage.output_tokens,
        }
    }
}

/// What the quantity of a whole billing period costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// `nano` for each `per` units, and in proportion for less.
    Unit {
        /// The price in nano-units.
        nano: BigRational,
        /// For how many units, at least 1.
        per: u64,
    },
    /// `nano` for each begun package.
    Package {
        /// The price in nano-units.
        nano: BigRational,
        /// Units in a package, at least 1.
        size: u64,
    },
    /// Each tier's price for the units that lie in it.
    Graduated {
        /// The tiers, each from the end of the one before.
        tiers: Vec<Tier>,
        /// For how many units the prices are, at least 1.
        per: u64,
    },
    /// The price of the tier in which the last unit lies, for all units.
    Volume {
        /// The tiers, each from the end of the one before.
        tiers: Vec<Tier>,
        /// For how many units the prices are, at least 1.
        per: u64,
    },
}

/// A part of the quantities with a price of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its last unit; the last tier has none.
    pub up_to: Option<u64>,
    /// The price in nano-units.
    pub nano: BigRational,
}

impl Tier {
    /// A tier with a whole price.
    #[must_use]
    pub fn new(up_to: Option<u64>, nano: i64) -> Self {
        Self { up_to, nano: whole(nano) }
    }

    /// Whether unit `number`, counted from 1, lies before the end of this tier.
    fn reaches(&self, number: &BigInt) -> bool {
        self.up_to.is_none_or(|last| *number <= BigInt::from(last))
    }
}

impl Price {
    /// A whole price for each `per` units.
    #[must_use]
    pub fn unit(nano: i64, per: u64) -> Self {
        Self::Unit { nano: whole(nano), per }
    }

    /// A whole price for each begun package of `size`.
    #[must_use]
    pub fn package(nano: i64, size: u64) -> Self {
        Self::Package { nano: whole(nano), size }
    }

    /// The largest price of a unit in any tier.
    fn dearest(&self) -> BigRational {
        let (amounts, per): (Vec<&BigRational>, u64) = match self {
            Self::Unit { nano, per } | Self::Package { nano, size: per } => (vec![nano], *per),
            Self::Graduated { tiers, per } | Self::Volume { tiers, per } => {
                (tiers.iter().map(|tier| &tier.nano).collect(), *per)
            }
        };
        let most = amounts.into_iter().max().cloned().unwrap_or_else(BigRational::zero);
        most / BigRational::from_integer(per.into())
    }

    /// What `quantity` units cost, exactly, in nano-units.
    #[must_use]
    pub fn of(&self, quantity: &BigInt) -> BigRational {
        let blocks = |units: BigInt, per: u64| BigRational::new(units, per.into());
        match self {
            Self::Unit { nano, per } => nano * blocks(quantity.clone(), *per),
            Self::Package { nano, size } => nano * blocks(quantity.clone(), *size).ceil(),
            Self::Graduated { tiers, per } => {
                let mut cost = BigRational::zero();
                let mut before = BigInt::zero();
                for tier in tiers {
                    let end = if tier.reaches(quantity) { quantity.clone() } else { tier_end(tier) };
                    cost += &tier.nano * blocks((&end - &before).max(BigInt::zero()), *per);
                    before = end;
                }
                cost
            }
            Self::Volume { tiers, per } => {
                let tier =
                    tiers.iter().find(|tier| tier.reaches(quantity)).expect("the last tier has no end");
                &tier.nano * blocks(quantity.clone(), *per)
            }
        }
    }
}

/// The prices of one service, or of every service that has none of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostModel {
    /// The service.
    pub service: Pattern,
    /// What has a price; what has none costs nothing.
    pub prices: Vec<(Metric, Price)>,
    /// Factors; those that apply to a request are multiplied.
    pub multipliers: Vec<Multiplier>,
}

/// A factor on the price of some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// To which requests it applies.
    pub applies: Applies,
    /// The factor in thousandths.
    pub thousandths: u64,
}

/// To which requests a multiplier applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applies {
    /// To those of a priority.
    Priority(Priority),
    /// To those with a method, in any case.
    Method(String),
}

impl CostModel {
    /// The factor for a request.
    #[must_use]
    pub fn factor(&self, priority: Priority, method: Option<&str>) -> BigRational {
        let mut factor = whole(1);
        for multiplier in &self.multipliers {
            let applies = match &multiplier.applies {
                Applies::Priority(wanted) => *wanted == priority,
                Applies::Method(wanted) => method.is_some_and(|method| method.eq_ignore_ascii_case(wanted)),
            };
            if applies {
                factor *= BigRational::new(multiplier.thousandths.into(), 1000.into());
            }
        }
        factor
    }

    /// The dearest that a usage of which tokens are not known to be put in or generated can turn out: all of them
    /// generated, if a generated token can cost more than one that is put in, in whatever tiers.
    #[must_use]
    pub fn dearest(&self, usage: Usage) -> Usage {
        let of = |metric| {
            let price = self.prices.iter().find(|(priced, _)| *priced == metric);
            price.map_or_else(BigRational::zero, |(_, price)| price.dearest())
        };
        let is_output_dearer = of(Metric::OutputTokens) > of(Metric::InputTokens);
        let output_tokens = if is_output_dearer { usage.tokens } else { usage.output_tokens };
        Usage { output_tokens, ..usage }
    }

    /// The model for `service`: its own, else the one for every service.
    #[must_use]
    pub fn find<'a>(models: &'a [Self], service: &str) -> Option<&'a Self> {
        let own = |model: &&Self| matches!(&model.service, Pattern::Exact(name) if name == service);
        let shared = |model: &&Self| model.service == Pattern::Any;
        models.iter().find(own).or_else(|| models.iter().find(shared))
    }
}

fn whole(nano: i64) -> BigRational {
    BigRational::from_integer(nano.into())
}

fn tier_end(tier: &Tier) -> BigInt {
    tier.up_to.expect("a tier without an end reaches every unit").into()
}

#[cfg(test)]
mod tests {
    use super::{Applies, CostModel, Metric, Multiplier, Price, Tier};
    use crate::oracle::call::{Priority, Usage};
    use crate::oracle::rule::Pattern;
    use num_bigint::BigInt;
    use num_rational::BigRational;

    fn tiers() -> Vec<Tier> {
        vec![Tier::new(Some(10), 0), Tier::new(Some(100), 50), Tier::new(None, 20)]
    }

    fn cost(price: &Price, quantity: u64) -> BigRational {
        price.of(&BigInt::from(quantity))
    }

    fn ratio(numerator: i64, denominator: i64) -> BigRational {
        BigRational::new(numerator.into(), denominator.into())
    }

    #[test]
    fn a_unit_price_is_in_proportion_and_exact() {
        let price = Price::unit(1000, 1024);
        assert_eq!(cost(&price, 0), ratio(0, 1));
        assert_eq!(cost(&price, 1), ratio(1000, 1024));
        assert_eq!(cost(&price, 1024), ratio(1000, 1));
        assert_eq!(cost(&price, 1536), ratio(1500, 1));
    }

    #[test]
    fn a_package_costs_as_soon_as_it_is_begun() {
        let price = Price::package(700, 1000);
        for (quantity, packages) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)] {
            assert_eq!(cost(&price, quantity), ratio(packages * 700, 1), "{quantity}");
        }
    }

    #[test]
    fn graduated_units_cost_what_their_tier_says() {
        let price = Price::Graduated { tiers: tiers(), per: 1 };
        for (quantity, expected) in
            [(0, 0), (9, 0), (10, 0), (11, 50), (12, 100), (99, 4450), (100, 4500), (101, 4520), (200, 6500)]
        {
            assert_eq!(cost(&price, quantity), ratio(expected, 1), "{quantity}");
        }
        let per_thousand = Price::Graduated { tiers: tiers(), per: 1000 };
        assert_eq!(cost(&per_thousand, 101), ratio(4520, 1000));
    }

    #[test]
    fn graduated_units_cost_the_same_one_by_one() {
        let price = Price::Graduated { tiers: tiers(), per: 7 };
        let mut sum = ratio(0, 1);
        for unit in 1..=250 {
            let nano = match unit {
                1..=10 => 0,
                11..=100 => 50,
                _ => 20,
            };
            sum += ratio(nano, 7);
            assert_eq!(cost(&price, unit), sum, "{unit}");
        }
    }

    #[test]
    fn volume_prices_all_units_by_the_tier_of_the_last() {
        let price = Price::Volume { tiers: tiers(), per: 1 };
        for (quantity, expected) in [(0, 0), (10, 0), (11, 550), (100, 5000), (101, 2020)] {
            assert_eq!(cost(&price, quantity), ratio(expected, 1), "{quantity}");
        }
    }

    #[test]
    fn factors_that_apply_are_multiplied_exactly() {
        let factor = |applies, thousandths| Multiplier { applies, thousandths };
        let model = CostModel {
            service: Pattern::Any,
            prices: vec![],
            multipliers: vec![
                factor(Applies::Priority(Priority::Critical), 1500),
                factor(Applies::Priority(Priority::Batch), 333),
                factor(Applies::Method("post".to_owned()), 1100),
            ],
        };
        assert_eq!(model.factor(Priority::Normal, None), ratio(1, 1));
        assert_eq!(model.factor(Priority::Critical, Some("GET")), ratio(3, 2));
        assert_eq!(model.factor(Priority::Critical, Some("POST")), ratio(165, 100));
        assert_eq!(model.factor(Priority::Batch, Some("Post")), ratio(3663, 10_000));
    }

    #[test]
    fn a_service_has_its_own_prices_or_those_for_every_service() {
        let model = |service, nano| CostModel {
            service,
            prices: vec![(Metric::Requests, Price::unit(nano, 1))],
            multipliers: vec![],
        };
        let models = [model(Pattern::Any, 1), model(Pattern::Exact("web".to_owned()), 2)];
        assert_eq!(CostModel::find(&models, "web"), Some(&models[1]));
        assert_eq!(CostModel::find(&models, "mail"), Some(&models[0]));
        assert_eq!(CostModel::find(&models[1..], "mail"), None);
    }

    #[test]
    fn input_tokens_are_those_that_were_not_generated() {
        let usage = Usage { tokens: 10, output_tokens: 4, ..Usage::default() };
        assert_eq!(Metric::InputTokens.quantity(&usage), 6);
        assert_eq!(Metric::OutputTokens.quantity(&usage), 4);
    }
}
