//! Invoices as other programs read them: CSV, JSON, and the columns of FOCUS.
//!
//! Each line of an invoice is a row; the billed amounts of an invoice's rows sum to what is owed. An invoice that is not
//! issued yet is exported as a draft: it has no number. FOCUS is the FinOps Open Cost and Usage Specification, version
//! 1.2, of which these are the columns that a biller who is no cloud has something to say in.

use super::{BillingEntry, CostCollector, InvoiceLine, LineKind};
use crate::export::{ExportFormat, Value, write_header, write_row};
use crate::money::{Money, NanoUnits};
use core::fmt;

const COLUMNS: [&str; 13] = [
    "invoice",
    "tenant",
    "organisation",
    "period_start",
    "period_end",
    "issued",
    "service",
    "charge",
    "quantity",
    "exact",
    "billed",
    "currency",
    "reason",
];

const FOCUS_COLUMNS: [&str; 33] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SubAccountId",
    "SubAccountName",
];

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// Writes an invoice that is kept, or the draft that was made last, with a line of column names where the format has
    /// one.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn export_bill(
        &self,
        entry: &BillingEntry,
        format: ExportFormat,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        self.export_header(format, out)?;
        self.export_lines(entry, format, out)
    }

    /// Writes the names of the columns of a format, where it has such a line.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn export_header(&self, format: ExportFormat, out: &mut dyn fmt::Write) -> fmt::Result {
        match format {
            ExportFormat::Focus => write_header(format, &FOCUS_COLUMNS, out),
            _ => write_header(format, &COLUMNS, out),
        }
    }

    /// Writes the lines of an invoice without column names: several can follow each other.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn export_lines(
        &self,
        entry: &BillingEntry,
        format: ExportFormat,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        self.invoice_lines(entry).iter().try_for_each(|line| match format {
            ExportFormat::Focus => write_focus_line(entry, line, out),
            _ => write_line(entry, line, format, out),
        })
    }
}

impl InvoiceLine {
    /// What was billed for the line.
    #[must_use]
    pub fn billed(&self, entry: &BillingEntry) -> NanoUnits {
        NanoUnits(self.coins * entry.currency.coin())
    }

    /// What the line is for, in a word.
    #[must_use]
    pub const fn charge(&self) -> &'static str {
        match self.kind {
            LineKind::Usage(metric) => metric.word(),
            LineKind::LateUsage => "late-usage",
            LineKind::Correction => "correction",
            LineKind::Others => "others",
        }
    }

    /// Whether the quantity says something.
    const fn has_quantity(&self) -> bool {
        matches!(self.kind, LineKind::Usage(_) | LineKind::LateUsage)
    }
}

fn write_line(
    entry: &BillingEntry,
    line: &InvoiceLine,
    format: ExportFormat,
    out: &mut dyn fmt::Write,
) -> fmt::Result {
    let (id, billed) = (entry.id(), line.billed(entry));
    let values: [Value<'_>; COLUMNS.len()] = [
        if entry.invoice_ready { Value::Text(id.as_str()) } else { Value::None },
        Value::Text(entry.tenant.as_str()),
        text_or_none(entry.organisation.as_str()),
        Value::Shown(&entry.period.start),
        Value::Shown(&entry.period.end),
        Value::Flag(entry.invoice_ready),
        text_or_none(line.service.as_str()),
        Value::Text(line.charge()),
        if line.has_quantity() { Value::Decimal(&line.quantity) } else { Value::None },
        Value::Decimal(&line.amount),
        Value::Decimal(&billed),
        Value::Text(entry.currency.code()),
        text_or_none(line.reason.as_str()),
    ];
    write_row(format, &COLUMNS, &values, out)
}

fn write_focus_line(entry: &BillingEntry, line: &InvoiceLine, out: &mut dyn fmt::Write) -> fmt::Result {
    let (id, billed) = (entry.id(), line.billed(entry));
    let organisation = if entry.organisation.is_empty() { entry.tenant } else { entry.organisation };
    let is_correction = !matches!(line.kind, LineKind::Usage(_));
    let description = Description(line);
    // A quantity is of what was used; a correction has none.
    let (quantity, unit) = match line.kind {
        LineKind::Usage(metric) => (Value::Decimal(&line.quantity), Value::Text(metric.word())),
        _ => (Value::None, Value::None),
    };
    let (pricing_quantity, pricing_unit) = match line.kind {
        LineKind::Usage(metric) => (Value::Decimal(&line.quantity), Value::Text(metric.word())),
        _ => (Value::None, Value::None),
    };
    let values: [Value<'_>; FOCUS_COLUMNS.len()] = [
        Value::Decimal(&billed),
        Value::Text(organisation.as_str()),
        Value::Text(organisation.as_str()),
        Value::Text(entry.currency.code()),
        Value::Shown(&entry.period.end),
        Value::Shown(&entry.period.start),
        Value::Text(if line.kind == LineKind::Correction { "Adjustment" } else { "Usage" }),
        if is_correction { Value::Text("Correction") } else { Value::None },
        Value::Shown(&description),
        Value::Text(if is_correction { "One-Time" } else { "Usage-Based" }),
        Value::Shown(&entry.period.end),
        Value::Shown(&entry.period.start),
        quantity,
        unit,
        Value::Decimal(&line.amount),
        Value::None,
        Value::Decimal(&line.amount),
        if entry.invoice_ready { Value::Text(id.as_str()) } else { Value::None },
        Value::Text("Weir"),
        Value::Decimal(&line.amount),
        Value::None,
        if is_correction { Value::None } else { Value::Text("Standard") },
        Value::Text(entry.currency.code()),
        pricing_quantity,
        pricing_unit,
        Value::Text("Weir"),
        Value::Text("Weir"),
        Value::Text("Other"),
        text_or_none(line.service.as_str()),
        Value::Text("Other (Other)"),
        Value::Text(line.charge()),
        Value::Text(entry.tenant.as_str()),
        Value::Text(entry.tenant.as_str()),
    ];
    write_row(ExportFormat::Focus, &FOCUS_COLUMNS, &values, out)
}

/// What a line is for, in words.
struct Description<'a>(&'a InvoiceLine);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        match line.kind {
            LineKind::Usage(metric) => write!(f, "{metric} of {}", line.service),
            LineKind::LateUsage => f.write_str("usage of earlier periods"),
            LineKind::Correction => write!(f, "correction of {}: {}", line.service, line.reason),
            LineKind::Others => f.write_str("charges without a line of their own"),
        }
    }
}

impl BillingEntry {
    /// What is owed, with its currency.
    #[must_use]
    pub fn money(&self) -> Money {
        Money { amount: self.total_cost(), currency: self.currency }
    }
}

fn text_or_none(text: &str) -> Value<'_> {
    if text.is_empty() { Value::None } else { Value::Text(text) }
}
