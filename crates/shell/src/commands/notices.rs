//! The notices that a command has brought about, told behind its answer.

use super::request::Price;
use super::{Context, Outcome};
use crate::engine::Governor;
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt;
use governance::export::ObjectWriter;
use governance::money::NanoUnits;
use governance::priority::{Crossing, SlaKind};
use governance::units::Percent;

/// How many notices there had been of each kind, so that those that come can be told.
pub(super) struct NoticeMarks {
    limits: u64,
    quotas: u64,
    budgets: u64,
    costs: u64,
    agreements: u64,
}

impl NoticeMarks {
    pub(super) fn of(governor: &Governor) -> Self {
        Self {
            limits: governor.limits.near_limit_notices().next(),
            quotas: governor.quotas.notices().next(),
            budgets: governor.budgets.notices().next(),
            costs: governor.costs.notices().next(),
            agreements: governor.queues.sla_notices().next(),
        }
    }

    /// Tells the notices that have come since: a line each, or an object.
    pub(super) fn tell(&self, context: &mut Context<'_>, is_json: bool) -> Outcome {
        let Context { system, engine, term, .. } = context;
        let governor = &engine.live;
        let told = if is_json {
            self.write_json(*system, governor)
        } else {
            self.write_text(*system, *term, governor)
        };
        Ok(told?)
    }

    fn write_text(&self, system: &mut dyn System, term: Term, governor: &Governor) -> fmt::Result {
        let word = term.paint(Style::Warn, "notice");
        for notice in governor.limits.near_limit_notices().since(self.limits) {
            write!(system, "{word}   limit {}", notice.name)?;
            if let Some(key) = &notice.key {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            writeln!(system, " is nearly used up: {}/{} left", notice.remaining, notice.capacity)?;
        }
        for notice in governor.quotas.notices().since(self.quotas) {
            write!(system, "{word}   quota {}", notice.quota)?;
            if let Some(key) = notice.key() {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            writeln!(system, " reached {} %: {}/{}", notice.percent, notice.used, notice.capacity)?;
        }
        let currency = governor.costs.currency();
        let money = |amount: u64| Price(NanoUnits(amount.into()), currency);
        for notice in governor.budgets.notices().since(self.budgets) {
            write!(system, "{word}   budget {}", notice.quota)?;
            if let Some(key) = notice.key() {
                write!(system, " of {}", Printable(key.as_str()))?;
            }
            let (used, capacity) = (money(notice.used), money(notice.capacity));
            writeln!(system, " reached {} %: {used} of {capacity}", notice.percent)?;
        }
        for notice in governor.costs.notices().since(self.costs) {
            let (cost, alert) = (Price(notice.cost, currency), Price(notice.alert, currency));
            writeln!(
                system,
                "{word}   tenant {} has cost {cost}, beyond the {alert} of its alert",
                Printable(notice.tenant.as_str())
            )?;
        }
        for notice in governor.queues.sla_notices().since(self.agreements) {
            let does = match notice.crossing {
                Crossing::Breach => "breaks",
                Crossing::Recovery => "keeps",
            };
            let what = match notice.kind {
                SlaKind::Latency => "are slower than its p95",
                SlaKind::Errors => "fail",
            };
            writeln!(
                system,
                "{word}   service {} {does} its agreement: {} of its requests {what}, {} may",
                Printable(notice.service.as_str()),
                Percent(notice.measured_ppm),
                Percent(notice.threshold_ppm)
            )?;
        }
        Ok(())
    }

    fn write_json(&self, system: &mut dyn System, governor: &Governor) -> fmt::Result {
        for notice in governor.limits.near_limit_notices().since(self.limits) {
            ObjectWriter::begin(system)?
                .string("notice", "limit")?
                .string("limit", notice.name.as_str())?
                .optional_string("key", notice.key.as_ref().map(|key| key.as_str()))?
                .integer("remaining", notice.remaining)?
                .integer("capacity", notice.capacity)?
                .end()?;
        }
        for notice in governor.quotas.notices().since(self.quotas) {
            ObjectWriter::begin(system)?
                .string("notice", "quota")?
                .string("quota", notice.quota.as_str())?
                .optional_string("key", notice.key().map(|key| key.as_str()))?
                .integer("percent", notice.percent.into())?
                .integer("used", notice.used)?
                .integer("capacity", notice.capacity)?
                .end()?;
        }
        let currency = governor.costs.currency();
        let currency = currency.code();
        for notice in governor.budgets.notices().since(self.budgets) {
            ObjectWriter::begin(system)?
                .string("notice", "budget")?
                .string("budget", notice.quota.as_str())?
                .optional_string("key", notice.key().map(|key| key.as_str()))?
                .integer("percent", notice.percent.into())?
                .display("spent", NanoUnits(notice.used.into()))?
                .display("capacity", NanoUnits(notice.capacity.into()))?
                .string("currency", currency)?
                .end()?;
        }
        for notice in governor.costs.notices().since(self.costs) {
            ObjectWriter::begin(system)?
                .string("notice", "cost")?
                .string("tenant", notice.tenant.as_str())?
                .display("cost", notice.cost)?
                .display("alert", notice.alert)?
                .string("currency", currency)?
                .end()?;
        }
        for notice in governor.queues.sla_notices().since(self.agreements) {
            ObjectWriter::begin(system)?
                .string("notice", notice.crossing.word())?
                .string("service", notice.service.as_str())?
                .string("kind", notice.kind.word())?
                .integer("measured_ppm", notice.measured_ppm.into())?
                .integer("threshold_ppm", notice.threshold_ppm.into())?
                .end()?;
        }
        Ok(())
    }
}
