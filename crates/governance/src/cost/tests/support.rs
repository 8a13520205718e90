//! What the tests of costs have in common.

use crate::cost::{CostAttribution, CostCollector, ModelDraft};
use crate::field::FieldValue;
use crate::request::Usage;
use crate::scope::{HashSecret, NameRef};
use crate::time::{Instant, Now, parse_time_or_date};

pub(super) type Costs = CostCollector<16>;

pub(super) fn costs(models: &[&[(&str, &str)]]) -> Box<Costs> {
    let mut costs = Box::new(Costs::new());
    costs.reset(HashSecret::from_seed(1));
    for fields in models {
        let mut draft = ModelDraft::default();
        for (field, value) in *fields {
            draft.set(field, FieldValue::Text(value)).unwrap();
        }
        costs.define_cost_model(&draft.finish().unwrap()).unwrap();
    }
    costs
}

/// A time of 2026, such as `05-31` or `05-31T12:00:00Z`.
pub(super) fn at(text: &str) -> Now {
    let wall = parse_time_or_date(&format!("2026-{text}")).unwrap();
    Now { instant: Instant(wall.0), wall }
}

pub(super) fn requests(count: u64) -> Usage {
    Usage { requests: count, ..Usage::default() }
}

pub(super) fn operation<'a>(tenant: &'a str, service: &'a str, usage: Usage) -> CostAttribution<'a> {
    CostAttribution {
        service: NameRef::new(service).unwrap(),
        tenant: NameRef::new(tenant).ok(),
        method: None,
        usage,
    }
}
