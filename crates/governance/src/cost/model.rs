//! What a service costs: a price for each metric, and multipliers by the tenant's tier and the request's method.

use super::price::Price;
use crate::field::{FieldValue, Problem, Quoted, SpecError, name, text};
use crate::money::Currency;
use crate::request::Usage;
use crate::scope::Name;
use crate::text::Text;
use core::fmt;

/// The service of a model that stands for every service without its own.
pub const ANY_SERVICE: &str = "*";
/// How many multipliers a model can have.
pub const MULTIPLIERS_MAX: usize = 8;

/// What is measured and priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostMetric {
    /// Requests.
    #[default]
    RequestCount,
    /// Bytes, priced by the kilobyte of 1024.
    BytesProcessed,
    /// Milliseconds of computing, priced by the second.
    ComputeTime,
    /// Accesses to storage.
    StorageAccess,
    /// Answers from a cache.
    CacheHit,
    /// Tokens that were put in.
    InputTokens,
    /// Tokens that were generated.
    OutputTokens,
}

impl CostMetric {
    /// Every metric, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::RequestCount,
        Self::BytesProcessed,
        Self::ComputeTime,
        Self::StorageAccess,
        Self::CacheHit,
        Self::InputTokens,
        Self::OutputTokens,
    ];

    /// How many metrics there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The word that is shown and exported.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RequestCount => "requests",
            Self::BytesProcessed => "bytes",
            Self::ComputeTime => "compute-ms",
            Self::StorageAccess => "storage-accesses",
            Self::CacheHit => "cache-hits",
            Self::InputTokens => "input-tokens",
            Self::OutputTokens => "output-tokens",
        }
    }

    /// The field of a model that holds its price.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::RequestCount => "base_cost",
            Self::BytesProcessed => "per_kilobyte",
            Self::ComputeTime => "per_second",
            Self::StorageAccess => "per_access",
            Self::CacheHit => "per_hit",
            Self::InputTokens => "per_input_token",
            Self::OutputTokens => "per_output_token",
        }
    }

    /// How many of what is measured make one of what is priced.
    #[must_use]
    pub const fn scale(self) -> u64 {
        match self {
            Self::BytesProcessed => 1024,
            Self::ComputeTime => 1000,
            _ => 1,
        }
    }

    /// How much of it there is in what a request takes.
    #[must_use]
    pub const fn amount(self, usage: &Usage) -> u64 {
        Self::amounts(usage)[self as usize]
    }

    /// How much there is of each, in the order of [`CostMetric::ALL`].
    #[inline]
    pub(crate) const fn amounts(usage: &Usage) -> [u64; Self::COUNT] {
        [
            usage.requests,
            usage.bytes,
            usage.compute_ms,
            usage.storage_accesses,
            usage.cache_hits,
            usage.input_tokens(),
            usage.output_tokens,
        ]
    }
}

impl fmt::Display for CostMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a multiplier goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dimension {
    /// The tier of the tenant.
    #[default]
    Tier,
    /// The method of the request, in any case.
    Method,
}

impl Dimension {
    const fn word(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Method => "method",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Multiplier {
    dimension: Dimension,
    name: Text<32>,
    thousandths: u32,
}

/// By what prices are multiplied: at most once by the tier, and once by the method. All-zero when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Multipliers {
    list: [Multiplier; MULTIPLIERS_MAX],
    length: u8,
}

impl Multipliers {
    const NONE: Self = Self {
        list: [Multiplier { dimension: Dimension::Tier, name: Text::EMPTY, thousandths: 0 }; MULTIPLIERS_MAX],
        length: 0,
    };

    /// Reads `tier:NAME FACTOR; method:NAME FACTOR`; a factor has up to three decimals, from 0.001 to 1000.
    ///
    /// # Errors
    /// [`Problem`] says what was expected.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        const FORM: Problem =
            Problem::Expected("tier:NAME or method:NAME and a factor, such as \"tier:gold 0.9\"");
        let mut multipliers = Self::NONE;
        for part in text.split(';') {
            let (key, factor) = part.trim().rsplit_once(' ').ok_or(FORM)?;
            let (word, given) = key.trim().split_once(':').ok_or(FORM)?;
            let dimension =
                [Dimension::Tier, Dimension::Method].into_iter().find(|known| known.word() == word);
            let dimension = dimension.ok_or(FORM)?;
            let name = name(FieldValue::Text(given))?;
            let thousandths = parse_thousandths(factor)
                .ok_or(Problem::Expected("a factor from 0.001 to 1000 with up to three decimals"))?;
            if multipliers.iter().any(|other| (other.dimension, other.name) == (dimension, name)) {
                return Err(Problem::Expected("one factor for each tier or method"));
            }
            let place = multipliers.list.get_mut(usize::from(multipliers.length));
            *place.ok_or(Problem::Expected("at most 8 multipliers"))? =
                Multiplier { dimension, name, thousandths };
            multipliers.length += 1;
        }
        Ok(multipliers)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn iter(&self) -> impl Iterator<Item = &Multiplier> {
        self.list[..usize::from(self.length)].iter()
    }

    /// The product for a tier and a method, in millionths.
    #[inline]
    pub(crate) fn product(&self, tier: &str, method: &str) -> u64 {
        let of = |dimension: Dimension, value: &str| {
            let mut known = self.iter().filter(|multiplier| multiplier.dimension == dimension);
            known
                .find(|multiplier| multiplier.name.as_str().eq_ignore_ascii_case(value))
                .map_or(1000, |multiplier| u64::from(multiplier.thousandths))
        };
        of(Dimension::Tier, tier) * of(Dimension::Method, method)
    }
}

fn parse_thousandths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || whole.len() > 4 || decimals.len() > 3 {
        return None;
    }
    let places = u32::try_from(3 - decimals.len()).ok()?;
    let value = whole.parse::<u32>().ok()? * 1000 + decimals.parse::<u32>().ok()? * 10_u32.pow(places);
    (1..=1_000_000).contains(&value).then_some(value)
}

impl fmt::Display for Multipliers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Multiplier { dimension, name, thousandths }) in self.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{}:{name} {}.{:03}", dimension.word(), thousandths / 1000, thousandths % 1000)?;
        }
        Ok(())
    }
}

/// What a service costs. A metric without a price costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostModel {
    /// The service; [`ANY_SERVICE`] stands for every one without a model of its own.
    pub service: Name,
    /// Of a request.
    pub base_cost: Price,
    /// Of 1024 bytes.
    pub per_kilobyte: Price,
    /// Of a second of computing.
    pub per_second: Price,
    /// Of an access to storage.
    pub per_access: Price,
    /// Of an answer from a cache.
    pub per_hit: Price,
    /// Of a token that is put in.
    pub per_input_token: Price,
    /// Of a token that is generated.
    pub per_output_token: Price,
    /// By what all of these are multiplied.
    pub multipliers: Multipliers,
}

impl CostModel {
    /// All-zero: what fills a place where no model is.
    pub(crate) const EMPTY: Self = Self {
        service: Text::EMPTY,
        base_cost: Price::NONE,
        per_kilobyte: Price::NONE,
        per_second: Price::NONE,
        per_access: Price::NONE,
        per_hit: Price::NONE,
        per_input_token: Price::NONE,
        per_output_token: Price::NONE,
        multipliers: Multipliers::NONE,
    };

    /// The price of a metric.
    #[must_use]
    pub const fn price(&self, metric: CostMetric) -> &Price {
        match metric {
            CostMetric::RequestCount => &self.base_cost,
            CostMetric::BytesProcessed => &self.per_kilobyte,
            CostMetric::ComputeTime => &self.per_second,
            CostMetric::StorageAccess => &self.per_access,
            CostMetric::CacheHit => &self.per_hit,
            CostMetric::InputTokens => &self.per_input_token,
            CostMetric::OutputTokens => &self.per_output_token,
        }
    }

    /// The metrics that have a price.
    pub fn priced(&self) -> impl Iterator<Item = CostMetric> + '_ {
        CostMetric::ALL.into_iter().filter(|&metric| self.price(metric).is_some())
    }

    /// The currency of its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.priced().next().map_or(Currency::NONE, |metric| self.price(metric).currency())
    }

    /// Whether every value is in range: a service, at least one price, and all of them in one currency.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.service.is_empty() {
            return Err(SpecError { field: "service", problem: Problem::Missing });
        }
        if self.priced().next().is_none() {
            let problem = Problem::Expected("at least one price");
            return Err(SpecError { field: "service", problem });
        }
        let currency = self.currency();
        match self.priced().find(|&metric| self.price(metric).currency() != currency) {
            Some(other) => Err(SpecError {
                field: other.field(),
                problem: Problem::Expected("the currency of the other prices"),
            }),
            None => Ok(()),
        }
    }
}

/// Writes a model as an element of `[[model]]`, in the words that read back to it.
impl fmt::Display for CostModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[model]]\nservice = {}", Quoted(self.service.as_str()))?;
        for metric in self.priced() {
            writeln!(f, "{} = \"{}\"", metric.field(), self.price(metric))?;
        }
        if self.multipliers.length > 0 {
            let text = Text::<255>::format(format_args!("{}", self.multipliers)).unwrap_or_default();
            writeln!(f, "multipliers = {}", Quoted(text.as_str()))?;
        }
        Ok(())
    }
}

/// The fields of a model, as users write them.
pub const MODEL_FIELDS: [&str; 9] = [
    "service",
    "base_cost",
    "per_kilobyte",
    "per_second",
    "per_access",
    "per_hit",
    "per_input_token",
    "per_output_token",
    "multipliers",
];

/// The fields of a model as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelDraft {
    model: CostModel,
}

impl ModelDraft {
    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = MODEL_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "model", problem: Problem::Unknown(&MODEL_FIELDS) });
        };
        self.set_known(field, value).map_err(|problem| SpecError { field, problem })
    }

    fn set_known(&mut self, field: &'static str, value: FieldValue<'_>) -> Result<(), Problem> {
        match field {
            "service" => self.model.service = name(value)?,
            "multipliers" => {
                self.model.multipliers =
                    Multipliers::parse(text(value, "a string such as \"tier:gold 0.9\"")?)?;
            }
            _ => {
                let price = Price::parse(text(value, "a string such as \"0.000002 USD\"")?)?;
                let place = match field {
                    "base_cost" => &mut self.model.base_cost,
                    "per_kilobyte" => &mut self.model.per_kilobyte,
                    "per_second" => &mut self.model.per_second,
                    "per_access" => &mut self.model.per_access,
                    "per_hit" => &mut self.model.per_hit,
                    "per_input_token" => &mut self.model.per_input_token,
                    _ => &mut self.model.per_output_token,
                };
                *place = price;
            }
        }
        Ok(())
    }

    /// The finished model.
    ///
    /// # Errors
    /// As [`CostModel::check`].
    pub fn finish(&self) -> Result<CostModel, SpecError> {
        self.model.check()?;
        Ok(self.model)
    }

    /// Calls `each` with what keeps the draft from being a model.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        if let Err(error) = self.model.check() {
            each(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CostMetric, MODEL_FIELDS, ModelDraft, Multipliers};
    use crate::field::FieldValue;
    use crate::request::Usage;

    fn draft(fields: &[(&str, &str)]) -> Result<super::CostModel, String> {
        let mut draft = ModelDraft::default();
        for (field, value) in fields {
            draft.set(field, FieldValue::Text(value)).map_err(|error| error.to_string())?;
        }
        draft.finish().map_err(|error| error.to_string())
    }

    #[test]
    fn a_model_prints_what_reads_back_to_it() {
        let fields = [
            ("service", "web"),
            ("base_cost", "0.0001 USD"),
            ("per_kilobyte", "0.0001 USD to 100; 0.00005 USD"),
            ("multipliers", "tier:gold 0.9; method:post 1.5"),
        ];
        let model = draft(&fields).unwrap();
        assert_eq!(
            model.to_string(),
            "[[model]]\nservice = \"web\"\nbase_cost = \"0.0001 USD\"\nper_kilobyte = \"0.0001 USD to 100; 0.00005 USD\"\n\
             multipliers = \"tier:gold 0.900; method:post 1.500\"\n"
        );
        assert_eq!(Multipliers::parse("tier:gold 0.900; method:post 1.500"), Ok(model.multipliers));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, part) in [
            (&[("service", "web")][..], "at least one price"),
            (&[("base_cost", "1 USD")], "service: missing"),
            (
                &[("service", "web"), ("base_cost", "1 USD"), ("per_hit", "1 EUR")],
                "per_hit: expected the currency",
            ),
            (&[("service", "web"), ("multipliers", "gold 0.9")], "multipliers: expected tier:NAME"),
            (&[("service", "web"), ("multipliers", "tier:gold 0")], "from 0.001 to 1000"),
            (&[("service", "web"), ("multipliers", "tier:gold 1000.001")], "from 0.001 to 1000"),
            (&[("service", "web"), ("multipliers", "tier:a 1; tier:a 2")], "one factor for each"),
            (&[("colour", "red")], "unknown field; expected one of service, base_cost"),
        ] {
            let error = draft(fields).unwrap_err();
            assert!(error.contains(part), "{fields:?}: {error}");
        }
    }

    #[test]
    fn a_request_is_multiplied_once_by_its_tier_and_once_by_its_method() {
        let multipliers = Multipliers::parse("tier:gold 0.9; method:post 1.5; method:get 2").unwrap();
        assert_eq!(multipliers.product("gold", "POST"), 1_350_000);
        assert_eq!(multipliers.product("gold", ""), 900_000);
        assert_eq!(multipliers.product("", "delete"), 1_000_000);
    }

    #[test]
    fn each_metric_has_a_field_and_an_amount() {
        let usage = Usage {
            requests: 1,
            bytes: 2,
            tokens: 10,
            output_tokens: 4,
            compute_ms: 3,
            storage_accesses: 5,
            cache_hits: 7,
        };
        let amounts = CostMetric::ALL.map(|metric| metric.amount(&usage));
        assert_eq!(amounts, [1, 2, 3, 5, 7, 6, 4]);
        assert!(CostMetric::ALL.iter().all(|metric| MODEL_FIELDS.contains(&metric.field())));
    }
}
