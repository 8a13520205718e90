//! The generator: a model decides along, so that amounts and times can fall on its edges.

use super::{Answer, Mix, Months, Run, Setup, Step};
use crate::calendar::{Cycle, DAY, HOUR, MINUTE, SECOND, midnight};
use crate::oracle::billing::Schedule;
use crate::oracle::call::{Call, Priority, Usage};
use crate::oracle::governed::Completion;
use crate::oracle::price::{Applies, CostModel, Metric, Multiplier, Price, Tier};
use crate::oracle::quota::{Counted, Enforcement, Mode, Quota, Quotas};
use crate::oracle::rule::{Algorithm, Align, Clocks, Limit, Pattern, Request};
use crate::oracle::scope::name_of;
use crate::random::Random;

const TENANTS: [&str; 3] = ["acme", "zeta", "solo"];
const SERVICES: [&str; 3] = ["llm", "web", "mail"];

impl Months {
    /// The months of about `length` steps that `seed` gives.
    #[must_use]
    pub fn generate(seed: u64, mix: Mix, length: usize) -> Self {
        let mut random = Random::new(seed);
        let setup = setup(&mut random, mix);
        let mut maker =
            Maker { run: Run::new(&setup), setup, random, mix, steps: Vec::new(), calls: Vec::new() };
        while maker.steps.len() < length {
            maker.happen();
        }
        Self { setup: maker.setup, steps: maker.steps }
    }
}

fn setup(random: &mut Random, mix: Mix) -> Setup {
    let last_of_month = midnight(2026, random.between(1, 12), 28) + random.between(0, 3) * DAY;
    let wall_ns = last_of_month + random.between(0, 23) * HOUR + random.between(0, 3);
    let start = Clocks { instant_ns: *random.pick(&[0, 1, 5 * SECOND, 300 * DAY]), wall_ns };
    let limits = if mix.reservations { Vec::new() } else { limits(random) };
    let quotas = quotas(random, mix, wall_ns);
    let budgets = (0..random.between(0, 2)).map(|number| budget(random, number, wall_ns)).collect();
    let schedule = schedule(random, wall_ns);
    let own_schedules = if random.chance(30) {
        vec![((*random.pick(&TENANTS)).to_owned(), self::schedule(random, wall_ns))]
    } else {
        Vec::new()
    };
    let models = models(random, mix);
    Setup {
        limits,
        quotas,
        budgets,
        models,
        schedule,
        own_schedules,
        minor_digits: *random.pick(&[2, 2, 2, 0, 3]),
        start,
    }
}

/// A few limits on requests, aligned to the clock.
fn limits(random: &mut Random) -> Vec<Limit> {
    let scopes = ["tenant:*", "user:*", "service:llm", "service:*"];
    let window = |random: &mut Random| Algorithm::FixedWindow {
        limit: random.between(1, 5),
        window_ns: *random.pick(&[SECOND, MINUTE, HOUR]),
        align: Align::Clock,
    };
    (0..random.between(0, 2))
        .map(|number| {
            Limit::on(random.pick::<&str>(&scopes), window(random)).named(&format!("limit-{number}"))
        })
        .collect()
}

/// One to six quotas with names of their own, some below others.
fn quotas(random: &mut Random, mix: Mix, wall_ns: u64) -> Vec<Quota> {
    let mut quotas: Vec<Quota> = Vec::new();
    if random.chance(35) {
        let counted = *random.pick(&[Counted::Requests, Counted::Tokens, Counted::Bytes]);
        for (scope, parent) in
            [("service:all", None), ("tenant:*", Some("quota-0")), ("user:*", Some("quota-1"))]
        {
            let quota = quota(random, scope, counted, wall_ns);
            let parent = parent.map(str::to_owned);
            let limit = quotas.last().map_or(quota.limit, |parent: &Quota| quota.limit.min(parent.limit));
            quotas.push(Quota { parent, limit, ..quota }.named(&format!("quota-{}", quotas.len())));
        }
    }
    for _ in 0..random.between(1, 3) {
        const SCOPES: [&str; 10] = [
            "tenant:*",
            "tenant:*",
            "tenant:acme",
            "tenant:zeta",
            "user:*",
            "user:ann",
            "key:*",
            "service:*",
            "service:llm",
            "ip:192.0.2.1",
        ];
        let counted = counted(random, mix);
        let scope = *random.pick::<&str>(&SCOPES);
        let mut made = quota(random, scope, counted, wall_ns);
        if mix.shadows && !counted.is_observed() && random.chance(25) {
            (made.mode, made.enforcement) = (Mode::Shadow, Enforcement::Hard);
        } else if random.chance(35) {
            let above = |above: &&Quota| above.counted == counted && above.mode == Mode::Enforce;
            let above: Vec<&Quota> = quotas.iter().filter(above).collect();
            if !above.is_empty() {
                let parent = *random.pick(&above);
                (made.parent, made.limit) = (Some(parent.name.clone()), made.limit.min(parent.limit));
            }
        }
        quotas.push(made.named(&format!("quota-{}", quotas.len())));
    }
    quotas
}

fn counted(random: &mut Random, mix: Mix) -> Counted {
    if mix.outcomes && random.chance(25) {
        return *random.pick(&[Counted::Errors, Counted::LatencyP99]);
    }
    *random.pick(&[Counted::Requests, Counted::Bytes, Counted::Tokens, Counted::Tokens, Counted::ComputeMs])
}

fn quota(random: &mut Random, scope: &str, counted: Counted, wall_ns: u64) -> Quota {
    const LIMITS: [u64; 8] = [1, 9, 100, 100, 109, 1_000, 1_000, 1_000_000];
    const CYCLES: [Cycle; 8] = [
        Cycle::Every(SECOND),
        Cycle::Every(MINUTE),
        Cycle::HOURLY,
        Cycle::DAILY,
        Cycle::DAILY,
        Cycle::Every(7 * DAY),
        Cycle::Monthly,
        Cycle::Monthly,
    ];
    let limit = match counted {
        Counted::Requests => random.between(1, 10),
        Counted::Errors => random.between(1, 4),
        Counted::LatencyP99 => random.between(1, 100),
        _ => *random.pick(&LIMITS),
    };
    let quota = Quota::on(scope, counted, limit, *random.pick(&CYCLES));
    Quota {
        anchor_ns: anchor(random, wall_ns),
        rollover_percent: if counted.is_observed() { 0 } else { *random.pick(&[0, 1, 5, 9, 10, 10]) },
        enforcement: if random.chance(80) { Enforcement::Hard } else { Enforcement::Soft },
        ..quota
    }
}

fn budget(random: &mut Random, number: u64, wall_ns: u64) -> Quota {
    let scopes = ["tenant:*", "tenant:acme", "user:*", "service:*"];
    let limit = *random.pick(&[1, 1_000, 99_999, 1_000_000, 250_000_000, 5_000_000_000]);
    let cycle = *random.pick(&[Cycle::HOURLY, Cycle::DAILY, Cycle::Monthly]);
    Quota {
        anchor_ns: anchor(random, wall_ns),
        rollover_percent: *random.pick(&[0, 10]),
        enforcement: if random.chance(80) { Enforcement::Hard } else { Enforcement::Soft },
        ..Quota::on(random.pick::<&str>(&scopes), Counted::Cost, limit, cycle)
    }
    .named(&format!("budget-{number}"))
}

/// The beginning of time, of the 29th to 31st of a month, or some other time before or after `wall_ns`.
fn anchor(random: &mut Random, wall_ns: u64) -> u64 {
    let of_day = *random.pick(&[0, 0, 6 * HOUR, 23 * HOUR + 59 * MINUTE + 59 * SECOND, 1]);
    match random.between(0, 5) {
        0..=1 => 0,
        2..=3 => midnight(*random.pick(&[2024, 2026, 2027]), 1, random.between(29, 31)) + of_day,
        4 => wall_ns + random.between(0, 90 * DAY),
        _ => wall_ns - random.between(0, 400 * DAY),
    }
}

fn schedule(random: &mut Random, wall_ns: u64) -> Schedule {
    let cycle = *random.pick(&[Cycle::Monthly, Cycle::Monthly, Cycle::DAILY]);
    Schedule { cycle, anchor_ns: anchor(random, wall_ns) }
}

/// Prices for every service, for single ones, or for none.
fn models(random: &mut Random, mix: Mix) -> Vec<CostModel> {
    let mut models = Vec::new();
    for service in [None, Some("llm"), Some("web")] {
        if random.chance(60) {
            let service = service.map_or(Pattern::Any, |name| Pattern::Exact(name.to_owned()));
            let mut prices = Vec::new();
            for metric in Metric::ALL {
                if random.chance(50) {
                    prices.push((metric, price(random, mix, metric)));
                }
            }
            models.push(CostModel { service, prices, multipliers: multipliers(random) });
        }
    }
    models
}

fn price(random: &mut Random, mix: Mix, metric: Metric) -> Price {
    const NANO: [i64; 9] = [0, 1, 2, 7, 1_000, 2_500, 333_333, 5_000_000, 999_999_999];
    let nano = *random.pick(&NANO);
    let per = *random.pick(&[metric.usual_block(), metric.usual_block(), 1, 3, 7, 1_000]);
    match random.between(0, 5) {
        0..=2 => Price::unit(nano, per),
        3 => Price::package(nano, per),
        kind => {
            let mut tiers = Vec::new();
            let mut end = 0;
            for _ in 0..random.between(0, 3) {
                end += *random.pick(&[1, 2, 10, 99, 1_000]);
                tiers.push(Tier::new(Some(end), *random.pick(&NANO)));
            }
            tiers.push(Tier::new(None, nano));
            if kind == 4 && mix.volume_prices {
                Price::Volume { tiers, per }
            } else {
                Price::Graduated { tiers, per }
            }
        }
    }
}

fn multipliers(random: &mut Random) -> Vec<Multiplier> {
    let applies = [
        Applies::Priority(Priority::Critical),
        Applies::Priority(Priority::Batch),
        Applies::Method("post".to_owned()),
        Applies::Method("get".to_owned()),
    ];
    let chosen: Vec<Applies> = applies.into_iter().filter(|_| random.chance(30)).collect();
    let thousandths = |random: &mut Random| *random.pick(&[1, 333, 500, 1_000, 1_001, 1_500, 2_000]);
    chosen.into_iter().map(|applies| Multiplier { applies, thousandths: thousandths(random) }).collect()
}

struct Maker {
    setup: Setup,
    run: Run,
    random: Random,
    mix: Mix,
    steps: Vec<Step>,
    /// All requests, by number.
    calls: Vec<Call>,
}

impl Maker {
    fn happen(&mut self) {
        if self.random.chance(45) {
            let wait = self.wait();
            self.push(Step::Wait(wait));
        }
        if self.random.chance(4) {
            self.answers();
        }
        let step = match self.random.between(0, 99) {
            0..=5 if self.mix.clocks_go_back => {
                Step::WallBack(*self.random.pick(&[1, SECOND, 59 * SECOND, HOUR, DAY, 40 * DAY]))
            }
            6..=13 if self.mix.quotas_change => self.change(),
            14..=38 if self.mix.reservations || self.mix.outcomes => self.settlement(),
            39..=41 if self.mix.reservations => Step::Expire,
            _ => self.request(),
        };
        self.push(step);
    }

    fn push(&mut self, step: Step) -> Answer {
        let answer = self.run.apply(&step);
        self.steps.push(step);
        answer
    }

    /// Up to an edge of a period, a nanosecond before it, into the next periods, or to the end of a
    /// reservation.
    fn wait(&mut self) -> u64 {
        let now = self.run.now;
        let quota = self.any_quota();
        let period = self.quotas_of(&quota).period(now.wall_ns, &quota.name).expect("a quota of the model");
        let (to_end, length) = (period.end_ns.saturating_sub(now.wall_ns), period.end_ns - period.start_ns);
        match self.random.between(0, 19) {
            0..=1 => 1,
            2..=5 => to_end,
            6..=7 => to_end.saturating_sub(1),
            8 => to_end + 1,
            9..=10 => to_end + self.random.between(0, length),
            11 => to_end + 2 * length.min(40 * DAY),
            12..=15 => self.random.between(0, length),
            16..=18 => match self.run.model.next_expiry_ns() {
                Some(end) => end.saturating_sub(now.instant_ns + self.random.between(0, 1)),
                None => self.random.between(0, DAY),
            },
            _ => 32 * DAY,
        }
    }

    fn request(&mut self) -> Step {
        let number = u64::try_from(self.calls.len()).expect("a few requests");
        let call = if !self.calls.is_empty() && self.random.chance(20) {
            self.random.pick(&self.calls).clone()
        } else {
            self.call()
        };
        self.calls.push(call.clone());
        Step::Request { number, call: Box::new(call) }
    }

    /// If there is a quota on what becomes of requests: enough of them for it to have a say. Of a hundred about
    /// one is too slow.
    fn answers(&mut self) {
        let quotas = self.run.model.quotas.quotas().iter();
        let observed: Vec<Quota> = quotas.filter(|quota| quota.counted.is_observed()).cloned().collect();
        if observed.is_empty() {
            return;
        }
        let quota = self.random.pick(&observed).clone();
        let (count, slow_percent, failed_percent) = match quota.counted {
            Counted::LatencyP99 => (self.random.between(99, 130), self.random.between(0, 2), 0),
            _ => (quota.limit.min(20) + self.random.between(0, 3), 0, 80),
        };
        let mut call = self.call();
        call.reserve_ns = None;
        set_usage(&mut call, &Usage::default());
        for _ in 0..count {
            let request = u64::try_from(self.calls.len()).expect("a few requests");
            self.calls.push(call.clone());
            self.push(Step::Request { number: request, call: Box::new(call.clone()) });
            let slow_ms = u64::from(self.random.chance(slow_percent));
            let completion = Completion {
                usage: Usage::default(),
                failed: self.random.chance(failed_percent),
                latency_ns: Some((quota.limit + slow_ms) * 1_000_000),
            };
            self.push(Step::Complete { request, completion });
        }
    }

    fn call(&mut self) -> Call {
        let request = Request {
            tenant: self.name(90, &TENANTS),
            service: self.name(90, &SERVICES),
            user: self.name(60, &["ann", "bob"]),
            key: self.name(30, &["k1", "k2"]),
            ip: if self.random.chance(40) { Some([192, 0, 2, 1].into()) } else { None },
            exempt: self.random.chance(3),
            ..Request::default()
        };
        let mut call = Call::of(request);
        call.method = self.name(70, &["GET", "post", "PUT"]);
        call.priority = *self.random.pick(&Priority::ALL);
        let usage = self.usage(&call);
        set_usage(&mut call, &usage);
        if self.mix.reservations && self.random.chance(60) {
            call.reserve_ns = Some(*self.random.pick(&[1, MINUTE, HOUR, DAY, 40 * DAY, 40 * DAY]));
        }
        call
    }

    /// An amount that one of the quotas would just let pass, or just not, and small ones of everything else.
    fn usage(&mut self, call: &Call) -> Usage {
        let tokens = self.small();
        let mut usage = Usage {
            requests: if self.random.chance(85) { 1 } else { self.random.between(0, 4) },
            bytes: self.small(),
            tokens,
            output_tokens: self.random.between(0, tokens),
            compute_ms: self.small(),
            storage_accesses: self.random.between(0, 3),
            cache_hits: self.random.between(0, 3),
        };
        let quota = self.any_quota();
        let edge = self.edge(&quota, call);
        match quota.counted {
            Counted::Requests => usage.requests = edge,
            Counted::Bytes => usage.bytes = edge,
            Counted::Tokens => {
                usage.tokens = edge;
                usage.output_tokens = self.random.between(0, edge);
            }
            Counted::ComputeMs => usage.compute_ms = edge,
            Counted::Errors | Counted::LatencyP99 | Counted::Cost => {}
        }
        usage
    }

    fn edge(&mut self, quota: &Quota, call: &Call) -> u64 {
        let key = quota.own_key().or_else(|| name_of(&call.request, quota.kind));
        let status =
            key.and_then(|key| self.quotas_of(quota).status(self.run.now.wall_ns, &quota.name, &key));
        let most = quota.limit + quota.limit / 100 * quota.rollover_percent;
        let remaining =
            status.map_or(quota.limit, |status| u64::try_from(status.remaining).unwrap_or(u64::MAX));
        match self.random.between(0, 15) {
            0 => 0,
            1..=3 => remaining,
            4..=5 => remaining.saturating_add(1),
            6 => most,
            7 => most + 1 + quota.limit / 10,
            8 => quota.limit,
            9 => quota.limit * 4 / 5,
            10 => quota.limit * 19 / 20,
            _ => self.random.between(0, remaining.min(1_000_000) / 3 + 1),
        }
    }

    fn small(&mut self) -> u64 {
        match self.random.between(0, 9) {
            0..=5 => 0,
            6..=7 => self.random.between(1, 30),
            8 => self.random.between(1, 1_000),
            _ => *self.random.pick(&[512, 1023, 1024, 1536, 1_000_000]),
        }
    }

    /// A request that is open is mostly completed, sometimes voided; so is, seldom, one that is not.
    fn settlement(&mut self) -> Step {
        let open = self.run.open_requests();
        let request = match (open.is_empty(), self.calls.is_empty()) {
            (false, _) if self.random.chance(90) => *self.random.pick(&open),
            (_, false) if self.random.chance(25) => {
                u64::try_from(self.random.index(self.calls.len())).expect("a few requests")
            }
            _ => return self.request(),
        };
        if self.random.chance(20) {
            return Step::Void { request };
        }
        let call = self.calls[usize::try_from(request).expect("a few requests")].clone();
        let said = call.usage();
        let usage = match self.random.between(0, 9) {
            0..=2 => said,
            3..=6 => Usage {
                tokens: said.tokens / 2,
                output_tokens: said.output_tokens / 2,
                bytes: said.bytes / 3,
                ..said
            },
            7 => Usage::default(),
            _ => self.usage(&call),
        };
        let latency_ms = self.random.between(0, 120);
        Step::Complete {
            request,
            completion: Completion {
                usage,
                failed: self.random.chance(30),
                latency_ns: if self.random.chance(90) { Some(latency_ms * 1_000_000) } else { None },
            },
        }
    }

    fn change(&mut self) -> Step {
        let chosen = self.any_quota();
        let quota = chosen.name.clone();
        match self.random.between(0, 5) {
            0 => Step::Reset { key: self.key_of(&chosen), quota },
            kind if kind == 1 || chosen.counted == Counted::LatencyP99 => Step::SetEnforcement {
                quota,
                enforcement: *self.random.pick(&[Enforcement::Hard, Enforcement::Hard, Enforcement::Soft]),
            },
            _ => {
                let limit = match self.random.between(0, 3) {
                    0 => chosen.limit / 2,
                    1 => chosen.limit * 2,
                    2 => self.random.between(1, chosen.limit),
                    _ => self.setup_limit(&quota),
                };
                let (least, most) = self.limits_within_family(&chosen);
                Step::SetLimit { quota, limit: limit.clamp(least, most) }
            }
        }
    }

    /// A name that has met the quota, or nothing, which stands for all.
    fn key_of(&mut self, quota: &Quota) -> Option<String> {
        if quota.pattern != Pattern::Any {
            return None;
        }
        let known = self.quotas_of(quota).statuses(0).into_iter();
        let keys: Vec<String> =
            known.filter(|(owner, _, _)| *owner == quota.name).map(|(_, key, _)| key).collect();
        if keys.is_empty() || self.random.chance(20) { None } else { Some(self.random.pick(&keys).clone()) }
    }

    /// Between the limits of its children and that of its parent.
    fn limits_within_family(&self, quota: &Quota) -> (u64, u64) {
        let all = || self.quotas_of(quota).quotas().iter();
        let children = all().filter(|other| other.parent.as_ref() == Some(&quota.name));
        let parent = all().find(|other| quota.parent.as_ref() == Some(&other.name));
        (children.map(|child| child.limit).max().unwrap_or(1), parent.map_or(1 << 40, |parent| parent.limit))
    }

    fn setup_limit(&self, name: &str) -> u64 {
        let mut all = self.setup.quotas.iter().chain(&self.setup.budgets);
        all.find(|quota| quota.name == name).map_or(1, |quota| quota.limit)
    }

    /// Any quota or budget, as it is now.
    fn any_quota(&mut self) -> Quota {
        let model = &self.run.model;
        let all: Vec<&Quota> = model.quotas.quotas().iter().chain(model.budgets.quotas()).collect();
        (*self.random.pick(&all)).clone()
    }

    const fn quotas_of(&self, quota: &Quota) -> &Quotas {
        match quota.counted {
            Counted::Cost => &self.run.model.budgets,
            _ => &self.run.model.quotas,
        }
    }

    fn name(&mut self, percent: u64, names: &[&str]) -> Option<String> {
        let name = (*self.random.pick(names)).to_owned();
        if self.random.chance(percent) { Some(name) } else { None }
    }
}

const fn set_usage(call: &mut Call, usage: &Usage) {
    call.request.cost = usage.requests;
    call.request.bytes = usage.bytes;
    call.request.tokens = usage.tokens;
    call.output_tokens = usage.output_tokens;
    call.compute_ms = usage.compute_ms;
    call.storage_accesses = usage.storage_accesses;
    call.cache_hits = usage.cache_hits;
}
