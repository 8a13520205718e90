//! Where requests are counted, apart from their decisions.

use super::record::Pair;
use super::series::{SeriesId, hash_of};
use super::{GovernanceCollector, MeasureId, Measured};
use crate::money::NanoUnits;
use crate::time::Now;

impl GovernanceCollector {
    /// Where outcomes of such requests are counted, without counting a decision: of requests that were decided elsewhere.
    pub fn locate(&mut self, now: Now, measured: &Measured<'_>) -> MeasureId {
        self.advance(now);
        let pair = Pair { service: measured.service.as_ref(), tenant: measured.tenant.as_ref() };
        let id = self.series.find_or_add(&pair);
        let scope = match &measured.scope {
            Some((kind, key)) => {
                let series = self.series.get_mut(id);
                series.scope = self.latency.scope(series.scope, *kind, key);
                series.scope
            }
            None => 0,
        };
        MeasureId { epoch: self.epoch, series: id.link(), scope, service: hash_of(measured.service.as_ref()) }
    }

    /// Counts what was charged for a request after its decision: when its turn came.
    pub(crate) fn record_charge(&mut self, now: Now, id: MeasureId, amount: NanoUnits, tokens: u64) {
        self.advance(now);
        let Some(series) = self.known(id) else { return };
        let extra = &mut self.series.get_mut(series).extra;
        extra.tokens = extra.tokens.saturating_add(tokens);
        if amount != NanoUnits::ZERO {
            self.count_cost_of_outcome(series, amount);
        }
    }

    /// The series of a request that was counted since everything was forgotten.
    pub(super) fn known(&self, id: MeasureId) -> Option<SeriesId> {
        if id.epoch == self.epoch { self.series.by_link(id.series) } else { None }
    }
}
