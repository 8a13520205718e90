//! What a replay of a log has to answer where there are quotas, budgets and prices, too: a verdict for each
//! request, and an invoice for each tenant.

use crate::logs::{Log, Record};
use crate::oracle::call::Call;
use crate::oracle::governed::{Governed, Outcome};
use crate::oracle::rule::Clocks;
use crate::oracle::scope::address_name;
use crate::replay::request;

/// How requests are made of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The service that all of them call.
    pub service: String,
    /// Whom they belong to.
    pub tenant: TenantBy,
    /// (Path prefix, group).
    pub routes: Vec<(String, String)>,
}

/// Whom a record belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TenantBy {
    /// To nobody.
    #[default]
    Nobody,
    /// To a tenant with the name of its address.
    Ip,
    /// To a tenant with the name of its user, if it has one.
    User,
    /// All to the same tenant.
    Name(String),
}

/// One record, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The number of its line.
    pub line: u64,
    /// The time at which it was decided: the largest of the log so far.
    pub now_ns: u64,
    /// The request that was made of it.
    pub call: Call,
    /// What became of it.
    pub outcome: Outcome,
}

/// Decides each record of `log` in its order, in virtual time. `model` keeps what was counted, and the bills.
#[must_use]
pub fn replay(log: &Log, reading: &Reading, model: &mut Governed) -> Vec<Decided> {
    let mut now_ns = 0;
    let mut decided = Vec::new();
    for (line, record) in &log.records {
        now_ns = record.time_ns.max(now_ns);
        let call = call(record, reading);
        let outcome = model.decide(Clocks::both(now_ns), &call);
        decided.push(Decided { line: *line, now_ns, call, outcome });
    }
    decided
}

/// The request that a record stands for. What it took is known.
#[must_use]
pub fn call(record: &Record, reading: &Reading) -> Call {
    let mut request = request(record, &reading.service, &reading.routes);
    request.tenant = match &reading.tenant {
        TenantBy::Nobody => None,
        TenantBy::Ip => record.ip.map(address_name),
        TenantBy::User => record.user.clone(),
        TenantBy::Name(name) => Some(name.clone()),
    };
    let method = Some(record.method.clone()).filter(|method| !method.is_empty());
    Call { method, output_tokens: record.output_tokens, ..Call::of(request) }
}

#[cfg(test)]
mod tests {
    use super::{Reading, TenantBy, replay};
    use crate::calendar::{Cycle, MINUTE};
    use crate::logs::{read, real_log};
    use crate::oracle::billing::{Billing, Schedule};
    use crate::oracle::governed::{Governed, Stage, Verdict};
    use crate::oracle::limiter::Limiter;
    use crate::oracle::price::{CostModel, Metric, Price, Tier};
    use crate::oracle::quota::{Counted, Quota, Quotas};
    use crate::oracle::rule::Pattern;
    use num_bigint::BigInt;

    fn governed(quota: Quota, prices: Vec<(Metric, Price)>) -> Governed {
        let model = CostModel { service: Pattern::Any, prices, multipliers: vec![] };
        let schedule = Schedule { cycle: Cycle::Monthly, anchor_ns: 0 };
        Governed::new(
            Limiter::new(vec![], |_, _| 0),
            Quotas::new(vec![quota]),
            Quotas::default(),
            Billing::new(vec![model], schedule, 2),
        )
    }

    fn reading(tenant: TenantBy) -> Reading {
        Reading { service: "web".to_owned(), tenant, routes: vec![] }
    }

    fn sum<'a>(amounts: impl Iterator<Item = &'a BigInt>) -> BigInt {
        amounts.sum()
    }

    #[test]
    fn each_address_is_a_tenant_with_an_invoice() {
        let line = |ip, second, size| {
            format!("{ip} - - [17/May/2015:10:05:{second:02} +0000] \"GET / HTTP/1.1\" 200 {size}\n")
        };
        let content = [
            line("192.0.2.1", 3, 1024),
            line("192.0.2.2", 9, 512),
            line("192.0.2.1", 4, 1024),
            line("192.0.2.1", 30, 1),
        ];
        let quota = Quota::on("tenant:*", Counted::Bytes, 2048, Cycle::Every(MINUTE));
        let mut model = governed(quota, vec![(Metric::Bytes, Price::unit(30_000_000, 1024))]);
        let decided = replay(&read(content.concat().as_bytes()), &reading(TenantBy::Ip), &mut model);
        let allowed: Vec<bool> = decided.iter().map(|decided| decided.outcome.allowed()).collect();
        assert_eq!(allowed, [true, true, true, false]);
        assert_eq!(decided[2].now_ns, decided[1].now_ns, "time does not go back");
        let invoices = model.invoices();
        let totals = invoices.iter().map(|invoice| (invoice.tenant.as_str(), invoice.total_minor.clone()));
        let totals: Vec<_> = totals.collect();
        // 6 cents, and 1.5 cents.
        assert_eq!(totals, [("192.0.2.1", BigInt::from(6)), ("192.0.2.2", BigInt::from(2))]);
    }

    /// The figures were computed from the file by a few lines of Python with its own fractions.
    #[test]
    fn the_trace_is_metered_and_billed() {
        let Some(content) = real_log("azure-llm-2023-code.csv") else { return };
        let tiers =
            vec![Tier::new(Some(10_000), 0), Tier::new(Some(100_000), 10_000), Tier::new(None, 7_500)];
        let prices = vec![
            (Metric::InputTokens, Price::unit(2_500, 1)),
            (Metric::OutputTokens, Price::Graduated { tiers, per: 1 }),
        ];
        let quota = Quota::on("tenant:*", Counted::Tokens, 300_000, Cycle::Every(MINUTE));
        let mut model = governed(quota, prices);
        let decided = replay(&read(&content), &reading(TenantBy::Name("azure".to_owned())), &mut model);
        let allowed = decided.iter().filter(|decided| decided.outcome.allowed()).count();
        assert_eq!((allowed, decided.len() - allowed), (4_917, 3_902));
        let by_quota = |verdict: &Verdict| matches!(verdict, Verdict::Deny { stage: Stage::Quotas, .. });
        assert!(
            decided.iter().all(|decided| decided.outcome.allowed() || by_quota(&decided.outcome.verdict))
        );
        let [invoice] = &model.invoices()[..] else { panic!("one tenant and one month") };
        let lines = invoice.lines.iter().map(|line| (line.metric, line.quantity.clone(), line.nano.clone()));
        let big = |value: i64| BigInt::from(value);
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                (Metric::InputTokens, big(9_969_405), big(24_923_512_500)),
                (Metric::OutputTokens, big(132_015), big(1_140_112_500)),
            ]
        );
        assert_eq!(invoice.total_minor, big(2_606));
    }

    /// As above.
    #[test]
    fn the_apache_log_is_metered_and_billed_by_address() {
        let Some(content) = real_log("apache-access-2015.log") else { return };
        let quota = Quota::on("tenant:*", Counted::Bytes, 5_000_000, Cycle::DAILY);
        let prices =
            vec![(Metric::Requests, Price::unit(3_333_333, 1)), (Metric::Bytes, Price::unit(85_000, 1024))];
        let mut model = governed(Quota { rollover_percent: 10, ..quota }, prices);
        let decided = replay(&read(&content), &reading(TenantBy::Ip), &mut model);
        let allowed = decided.iter().filter(|decided| decided.outcome.allowed()).count();
        assert_eq!((allowed, decided.len() - allowed), (9_779, 221));
        let invoices = model.invoices();
        assert_eq!(invoices.len(), 1_734);
        let total_nano = sum(invoices.iter().map(|invoice| &invoice.total_nano));
        assert_eq!(total_nano, BigInt::from(62_570_681_467_u64));
        assert_eq!(sum(invoices.iter().map(|invoice| &invoice.total_minor)), BigInt::from(6_288));
        for invoice in &invoices {
            assert_eq!(sum(invoice.lines.iter().map(|line| &line.minor)), invoice.total_minor);
        }
        let most = invoices.iter().find(|invoice| invoice.tenant == "199.16.156.125").unwrap();
        let nano: Vec<BigInt> = most.lines.iter().map(|line| line.nano.clone()).collect();
        assert_eq!(nano, [23_333_331, 1_090_380_000].map(BigInt::from));
        assert_eq!(most.total_minor, BigInt::from(111));
    }
}
