//! Months of usage that a seed decides: tenants, prices, quotas, budgets, reservations, clocks that go back.
//!
//! [`Months::generate`] makes a [`Setup`] and a list of [`Step`]s. [`Run`] lets them happen to the model; whoever
//! runs them on something else does the same there, and compares after each step. Steps name requests by number
//! and quotas by name, and time is told as waiting, so that any step can be left out of a list.

mod make;

use std::collections::BTreeMap;

use crate::oracle::billing::{Billing, Charge, Schedule};
use crate::oracle::call::Call;
use crate::oracle::governed::{Completion, Governed, Outcome};
use crate::oracle::limiter::Limiter;
use crate::oracle::price::CostModel;
use crate::oracle::quota::{Enforcement, Quota, Quotas};
use crate::oracle::rule::{Clocks, Limit};

/// What happens besides requests that take what they say, in ever later time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// The wall clock goes back now and then.
    pub clocks_go_back: bool,
    /// Requests reserve, and are settled, voided, or forgotten until they expire. Without it there are limits on
    /// requests, too; the model of limits knows no settlement.
    pub reservations: bool,
    /// Quotas on errors and latency, and requests that fail.
    pub outcomes: bool,
    /// Limits of quotas and budgets change, and their enforcement; names are reset.
    pub quotas_change: bool,
    /// Quotas in shadow mode.
    pub shadows: bool,
    /// Volume prices, with which a charge can be negative.
    pub volume_prices: bool,
}

impl Mix {
    /// All of it.
    pub const EVERYTHING: Self = Self {
        clocks_go_back: true,
        reservations: true,
        outcomes: true,
        quotas_change: true,
        shadows: true,
        volume_prices: true,
    };
}

/// A run that a seed decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Months {
    /// What is there at the beginning.
    pub setup: Setup,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What is configured, and what the clocks show at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The limits.
    pub limits: Vec<Limit>,
    /// The quotas. A parent comes before its children, counts the same, and has no smaller limit. What is in shadow
    /// mode has no family.
    pub quotas: Vec<Quota>,
    /// The budgets: quotas on cost, with names of their own.
    pub budgets: Vec<Quota>,
    /// The prices.
    pub models: Vec<CostModel>,
    /// When invoices are made.
    pub schedule: Schedule,
    /// When those of some tenants are made.
    pub own_schedules: Vec<(String, Schedule)>,
    /// The decimals of the currency.
    pub minor_digits: u32,
    /// The clocks at the beginning.
    pub start: Clocks,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request asks to pass.
    Request {
        /// By this number later steps speak of it.
        number: u64,
        /// The request.
        call: Box<Call>,
    },
    /// It is told what became of a request. That does nothing if the request is unknown, was refused, has no
    /// ticket, or has been settled, voided or expired.
    Complete {
        /// Which request.
        request: u64,
        /// What became of it.
        completion: Completion,
    },
    /// What a request reserved is given back. That may do nothing, as above.
    Void {
        /// Which request.
        request: u64,
    },
    /// Reservations whose time is over end now, if they have not yet.
    Expire,
    /// Both clocks go on by so many nanoseconds.
    Wait(u64),
    /// The wall clock goes back by so many nanoseconds.
    WallBack(u64),
    /// A quota or budget gets another limit, no larger than that of its parent. A quota on latency never does.
    SetLimit {
        /// Which.
        quota: String,
        /// Its limit from now on.
        limit: u64,
    },
    /// A quota or budget becomes hard or soft.
    SetEnforcement {
        /// Which.
        quota: String,
        /// What it is from now on.
        enforcement: Enforcement,
    },
    /// What a name, or every name, has used in the present period of a quota or budget is forgotten.
    Reset {
        /// Which.
        quota: String,
        /// The name; nothing for all of them, and where the quota is for one name only.
        key: Option<String>,
    },
}

/// What the model says to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a request.
    Decided(Box<Outcome>),
    /// To a completion: what was charged, or nothing if there was nothing to complete.
    Completed(Option<Vec<Charge>>),
    /// To a void: whether there was something to give back.
    Voided(bool),
    /// To anything else.
    Done,
}

impl Setup {
    /// A model of what is configured, with nothing used.
    #[must_use]
    pub fn model(&self) -> Governed {
        let mut billing = Billing::new(self.models.clone(), self.schedule, self.minor_digits);
        for (tenant, schedule) in &self.own_schedules {
            billing.set_schedule(tenant, *schedule);
        }
        // No limit of a setup has windows that are spread by a hash.
        let limiter = Limiter::new(self.limits.clone(), |_, _| 0);
        let (quotas, budgets) = (Quotas::new(self.quotas.clone()), Quotas::new(self.budgets.clone()));
        Governed::new(limiter, quotas, budgets, billing)
    }
}

impl Step {
    /// What the clocks show after the step, if they showed `now` before.
    #[must_use]
    pub const fn clocks_after(&self, now: Clocks) -> Clocks {
        match *self {
            Self::Wait(ns) => Clocks {
                instant_ns: now.instant_ns.saturating_add(ns),
                wall_ns: now.wall_ns.saturating_add(ns),
            },
            Self::WallBack(ns) => Clocks { wall_ns: now.wall_ns.saturating_sub(ns), ..now },
            _ => now,
        }
    }
}

/// A model to which steps happen.
#[derive(Debug)]
pub struct Run {
    /// The model.
    pub model: Governed,
    /// What the clocks show.
    pub now: Clocks,
    /// The tickets of requests, by number.
    tickets: BTreeMap<u64, u64>,
}

impl Run {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        Self { model: setup.model(), now: setup.start, tickets: BTreeMap::new() }
    }

    /// Lets a step happen. Steps for quotas that there are not do nothing.
    pub fn apply(&mut self, step: &Step) -> Answer {
        self.now = step.clocks_after(self.now);
        let (model, now) = (&mut self.model, self.now);
        match step {
            Step::Request { number, call } => {
                let outcome = model.decide(now, call);
                self.tickets.extend(outcome.ticket.map(|ticket| (*number, ticket)));
                return Answer::Decided(Box::new(outcome));
            }
            Step::Complete { request, completion } => {
                let ticket = self.tickets.get(request);
                return Answer::Completed(ticket.and_then(|ticket| model.complete(now, *ticket, completion)));
            }
            Step::Void { request } => {
                let ticket = self.tickets.get(request);
                return Answer::Voided(ticket.is_some_and(|ticket| model.void(now, *ticket)));
            }
            Step::Expire => model.advance(now),
            Step::Wait(_) | Step::WallBack(_) => {}
            Step::SetLimit { quota, limit } => {
                model.advance(now);
                let wall_ns = model.latest().wall_ns;
                if let Some(quotas) = self.quotas_with(quota) {
                    quotas.set_limit(wall_ns, quota, *limit);
                }
            }
            Step::SetEnforcement { quota, enforcement } => {
                model.advance(now);
                if let Some(quotas) = self.quotas_with(quota) {
                    quotas.set_enforcement(quota, *enforcement);
                }
            }
            Step::Reset { quota, key } => {
                model.advance(now);
                let wall_ns = model.latest().wall_ns;
                if let Some(quotas) = self.quotas_with(quota) {
                    quotas.reset(wall_ns, quota, key.as_deref());
                }
            }
        }
        Answer::Done
    }

    /// The requests whose tickets can still be used.
    #[must_use]
    pub fn open_requests(&self) -> Vec<u64> {
        let open = self.model.open_tickets();
        let requests = self.tickets.iter().filter(|(_, ticket)| open.contains(ticket));
        requests.map(|(request, _)| *request).collect()
    }

    /// The quotas or the budgets, whichever `quota` belongs to.
    fn quotas_with(&mut self, quota: &str) -> Option<&mut Quotas> {
        let has = |quotas: &Quotas| quotas.quotas().iter().any(|known| known.name == quota);
        if has(&self.model.quotas) {
            return Some(&mut self.model.quotas);
        }
        has(&self.model.budgets).then_some(&mut self.model.budgets)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Mix, Months, Run, Step};
    use crate::oracle::billing::{Line, sum};
    use crate::oracle::governed::{NOBODY, Stage, Verdict};
    use crate::oracle::quota::{Enforcement, Mode};
    use num_bigint::BigInt;
    use std::collections::BTreeMap;

    const LENGTH: usize = 80;

    fn each_seed(mix: Mix, mut with: impl FnMut(&Months, &Step, &Answer, &Run)) {
        for seed in 1..=60 {
            let months = Months::generate(seed, mix, LENGTH);
            let mut run = Run::new(&months.setup);
            for step in &months.steps {
                let answer = run.apply(step);
                with(&months, step, &answer, &run);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_months_every_time() {
        let months = Months::generate(7, Mix::EVERYTHING, LENGTH);
        assert_eq!(months, Months::generate(7, Mix::EVERYTHING, LENGTH));
        assert_ne!(months, Months::generate(8, Mix::EVERYTHING, LENGTH));
        assert!(months.steps.len() >= LENGTH);
    }

    #[test]
    fn everything_that_can_happen_does() {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        each_seed(Mix::EVERYTHING, |months, step, answer, run| {
            let mut note = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
            match step {
                Step::WallBack(_) => note("wall back"),
                Step::SetLimit { .. } => note("limit"),
                Step::SetEnforcement { .. } => note("enforcement"),
                Step::Reset { .. } => note("reset"),
                _ => {}
            }
            match answer {
                Answer::Decided(outcome) => match &outcome.verdict {
                    Verdict::Allow { .. } => note("allowed"),
                    Verdict::Deny { stage: Stage::Quotas, by, wait } => {
                        let quota = months.setup.quotas.iter().find(|quota| quota.name == *by);
                        note(&format!("by {:?}", quota.unwrap().counted));
                        note(if *wait == crate::oracle::Wait::Never { "never" } else { "later" });
                    }
                    Verdict::Deny { stage: Stage::Budgets, .. } => note("by budget"),
                    Verdict::Deny { stage: Stage::Limits, .. } => note("by limit"),
                },
                Answer::Completed(Some(charges)) if !charges.is_empty() => note("charged late"),
                Answer::Completed(None) => note("completed too late"),
                Answer::Voided(true) => note("voided"),
                _ => {}
            }
            for (_, _, status) in run.model.quotas.statuses(0) {
                note(if status.carry > 0 { "carried" } else { "not carried" });
                if status.counts.would_deny > 0 {
                    note("would deny");
                }
                if status.reserved > 0 {
                    note("reserved");
                }
                if status.counts.exceeded > 0 {
                    note("exceeded");
                }
                if status.used > u128::from(status.limit) + status.carry {
                    note("overdrawn");
                }
            }
            for alert in run.model.quotas.alerts() {
                note(&format!("{}%", alert.percent));
            }
        });
        each_seed(Mix::default(), |_, _, answer, _| {
            if let Answer::Decided(outcome) = answer
                && matches!(outcome.verdict, Verdict::Deny { stage: Stage::Limits, .. })
            {
                *seen.entry("by limit".to_owned()).or_default() += 1;
            }
        });
        for what in [
            "wall back",
            "limit",
            "enforcement",
            "reset",
            "allowed",
            "by Tokens",
            "by Requests",
            "by Bytes",
            "by ComputeMs",
            "by Errors",
            "by LatencyP99",
            "never",
            "later",
            "by budget",
            "by limit",
            "charged late",
            "completed too late",
            "voided",
            "carried",
            "not carried",
            "would deny",
            "reserved",
            "exceeded",
            "overdrawn",
            "80%",
            "95%",
            "100%",
        ] {
            assert!(seen.get(what).is_some_and(|count| *count >= 10), "{what}: {seen:?}");
        }
    }

    #[test]
    fn invoices_are_the_sums_of_what_was_charged() {
        let mut charged: BTreeMap<String, BigInt> = BTreeMap::new();
        let mut calls = BTreeMap::new();
        let mut owner = None;
        each_seed(Mix::EVERYTHING, |months, step, answer, run| {
            if owner.as_ref() != Some(&months.setup) {
                owner = Some(months.setup.clone());
                charged.clear();
                calls.clear();
            }
            let (request, charges) = match (step, answer) {
                (Step::Request { number, call }, Answer::Decided(outcome)) => {
                    calls.insert(*number, call.clone());
                    let posted = outcome.allowed() && call.reserve_ns.is_none();
                    (number, outcome.quoted.clone().into_iter().filter(|_| posted).collect())
                }
                (Step::Complete { request, .. }, Answer::Completed(Some(charges))) => {
                    (request, charges.clone())
                }
                _ => return,
            };
            let tenant = calls[request].request.tenant.as_deref().unwrap_or(NOBODY);
            *charged.entry(tenant.to_owned()).or_default() += sum(&charges);
            let mut billed: BTreeMap<String, BigInt> = BTreeMap::new();
            for invoice in run.model.invoices() {
                let late = invoice.late.clone().unwrap_or_default();
                let (nano, minor) = (late.nano, late.minor);
                let of_lines = |nano, line: &Line| nano + &line.nano;
                assert_eq!(invoice.lines.iter().fold(nano, of_lines), invoice.total_nano);
                let of_lines = |minor, line: &Line| minor + &line.minor;
                assert_eq!(invoice.lines.iter().fold(minor, of_lines), invoice.total_minor);
                *billed.entry(invoice.tenant).or_default() += invoice.total_nano;
            }
            charged.retain(|_, nano| *nano != BigInt::ZERO);
            billed.retain(|_, nano| *nano != BigInt::ZERO);
            assert_eq!(charged, billed);
        });
    }

    #[test]
    fn a_hard_quota_is_never_exceeded_by_requests_that_take_what_they_say() {
        let mix = Mix { clocks_go_back: true, shadows: true, ..Mix::default() };
        each_seed(mix, |months, _, _, run| {
            for (name, key, status) in run.model.quotas.statuses(0) {
                let quota = months.setup.quotas.iter().find(|quota| quota.name == name).unwrap();
                let bounded = quota.enforcement == Enforcement::Hard || quota.mode == Mode::Shadow;
                let capacity = u128::from(status.limit) + status.carry;
                assert!(!bounded || status.used <= capacity, "{name} {key}: {status:?}");
                assert!(status.carry <= u128::from(quota.limit) / 10);
            }
        });
    }

    #[test]
    fn any_step_can_be_left_out() {
        let months = Months::generate(3, Mix::EVERYTHING, LENGTH);
        for place in 0..months.steps.len() {
            let mut run = Run::new(&months.setup);
            for (at, step) in months.steps.iter().enumerate() {
                if at != place {
                    run.apply(step);
                }
            }
        }
    }
}
