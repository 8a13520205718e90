mod burn;
mod rules;
mod standing;

use super::{AlertDraft, AlertMetric, AlertRule, Readings};
use crate::field::FieldValue;
use crate::scope::Scope;
use crate::time::{Now, WallTime};
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// What is read of each metric, whatever the scope.
#[derive(Default)]
struct Given(BTreeMap<&'static str, i128>);

impl Given {
    fn one(metric: AlertMetric, value: i128) -> Self {
        Self(BTreeMap::from([(metric.word(), value)]))
    }
}

impl Readings for Given {
    fn read(&self, metric: AlertMetric, _: Option<&Scope>) -> Option<i128> {
        assert_ne!(metric, AlertMetric::BurnRate, "objectives read what was recorded");
        self.0.get(metric.word()).copied()
    }
}

fn at(seconds: u64) -> Now {
    Now::from_wall(WallTime(seconds * SECOND))
}

fn draft(fields: &[(&str, &str)]) -> AlertDraft {
    let mut draft = AlertDraft::default();
    for &(field, value) in fields {
        draft.set(field, FieldValue::Text(value)).unwrap_or_else(|error| panic!("{error}"));
    }
    draft
}

fn rule(fields: &[(&str, &str)]) -> AlertRule {
    draft(fields).finish().unwrap_or_else(|error| panic!("{error}"))
}
