//! Random requests, reservations, outcomes, changes and steps of the clock, over families of quotas: after each step
//! every decision, every status and every alert is as the model has it.

use super::model::{Model, Reckoned};
use super::support::{DAY, SECOND, Small, amounts, at, key, manager, name, spec};
use crate::decision::{Sharing, Wait};
use crate::mode::Mode;
use crate::quota::{
    EnforcementMode, QuotaAmounts, QuotaAnswer, QuotaHold, QuotaId, QuotaSettled, QuotaSpec, QuotaUnit,
    QuotaUsage,
};
use crate::rate_limiter::Access;
use crate::request::{Request, Subject};
use crate::scope::{HashSecret, Kind};
use crate::time::{Nanos, WallTime, parse_time_or_date};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, proptest};
use std::collections::BTreeMap;

/// A counter: the quota's place in the list, and the key, of a wildcard scope.
type Which = (usize, Option<&'static str>);

const USERS: [&str; 3] = ["vip", "ann", "bob"];
const TENANTS: [&str; 2] = ["acme", "initech"];

/// Three levels of requests, quotas that replace each other, soft ones, one in shadow mode, tokens, and what only
/// callers charge. Parents come first, and no child's limit is above its parent's.
const QUOTAS: [&str; 11] = [
    "tenant:megacorp 60 monthly",
    "tenant:* 40 monthly parent=tenant:megacorp/monthly",
    "user:* 12 daily parent=tenant:*/monthly",
    "user:vip 25 daily parent=tenant:*/monthly",
    "user:* 7 hourly",
    "user:* 5 daily name=trial mode=shadow",
    "service:web 100 90s unit=tokens",
    "user:* 60 90s unit=tokens parent=service:web/90s#tokens",
    "tenant:* 50 hourly unit=custom",
    "tenant:acme 50 daily unit=custom parent=tenant:*/hourly#custom",
    "tenant:acme 30 monthly name=again parent=tenant:*/monthly",
];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request of a user, of a tenant or of none, to a service or to none.
    Admit {
        user: usize,
        tenant: usize,
        service: bool,
        requests: u64,
        tokens: u64,
        held: bool,
        look: bool,
    },
    Settle {
        which: usize,
        actual: u64,
    },
    Void {
        which: usize,
    },
    Consume {
        quota: usize,
        key: usize,
        amount: u64,
    },
    Limit {
        quota: usize,
        limit: u64,
    },
    Enforce {
        quota: usize,
        soft: bool,
    },
    Reset {
        quota: usize,
    },
    Advance {
        by: u64,
    },
    Back {
        by: u64,
    },
    Tick,
    Roll {
        quota: usize,
    },
}

/// How a family is varied.
#[derive(Clone, Copy, Debug)]
struct Variation {
    rollover: u8,
    soft: u16,
    anchor: &'static str,
    start: &'static str,
}

fn amount() -> impl Strategy<Value = u64> {
    proptest::prop_oneof![8 => 0..9u64, 3 => 0..70u64, 1 => proptest::prelude::Just(u64::MAX)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let admit = (0..4usize, 0..3usize, any::<bool>(), amount(), amount(), any::<bool>(), 0..8u8).prop_map(
        |(user, tenant, service, requests, tokens, held, look)| Step::Admit {
            user,
            tenant,
            service,
            requests,
            tokens,
            held,
            look: look == 0,
        },
    );
    let length = proptest::prop_oneof![0..100 * SECOND, 0..2 * DAY, 0..100 * DAY];
    let step = proptest::prop_oneof![
        10 => admit,
        3 => (any::<usize>(), 0..30u64).prop_map(|(which, actual)| Step::Settle { which, actual }),
        1 => any::<usize>().prop_map(|which| Step::Void { which }),
        2 => (0..QUOTAS.len(), 0..3usize, amount())
            .prop_map(|(quota, key, amount)| Step::Consume { quota, key, amount }),
        1 => (0..QUOTAS.len(), 1..80u64).prop_map(|(quota, limit)| Step::Limit { quota, limit }),
        1 => (0..QUOTAS.len(), any::<bool>()).prop_map(|(quota, soft)| Step::Enforce { quota, soft }),
        1 => (0..QUOTAS.len()).prop_map(|quota| Step::Reset { quota }),
        4 => length.clone().prop_map(|by| Step::Advance { by }),
        1 => length.prop_map(|by| Step::Back { by }),
        1 => proptest::prelude::Just(Step::Tick),
        1 => (0..QUOTAS.len()).prop_map(|quota| Step::Roll { quota }),
    ];
    prop::collection::vec(step, 100..140)
}

fn variation() -> impl Strategy<Value = Variation> {
    let rollover = proptest::prop_oneof![0..1u8, 5..6u8, 10..11u8];
    let anchors = ["1970-01-01", "2024-01-29", "2023-03-30T07:00:00Z", "2024-01-31", "2030-12-31"];
    (rollover, any::<u16>(), 0..anchors.len(), any::<bool>()).prop_map(
        move |(rollover, soft, anchor, leap)| Variation {
            rollover,
            // Three of four are hard.
            soft: soft & soft >> 3,
            anchor: anchors[anchor],
            start: if leap { "2024-01-30T23:00:00Z" } else { "2025-01-28" },
        },
    )
}

/// The manager, and beside it everything by definition.
struct Both {
    manager: Box<Small>,
    ids: Vec<QuotaId>,
    specs: Vec<QuotaSpec>,
    models: BTreeMap<Which, Model>,
    /// Holds, and by what number they are known to which model.
    holds: Vec<(QuotaHold, Which, usize)>,
    /// The clock as it is told.
    clock: u64,
    /// The latest that was told.
    latest: u64,
    numbers: usize,
    notices: Vec<(usize, Option<&'static str>, u8)>,
    would_deny: u64,
}

impl Both {
    fn new(variation: Variation) -> Self {
        let mut manager = manager();
        let anchor = parse_time_or_date(variation.anchor).unwrap();
        let mut specs = Vec::new();
        for (place, words) in QUOTAS.iter().enumerate() {
            let mut spec = spec(words);
            spec.schedule.anchor = anchor;
            spec.rollover_percent = variation.rollover;
            if variation.soft & 1 << place != 0 {
                spec.enforcement = EnforcementMode::Soft;
            }
            specs.push(spec);
        }
        let ids = specs.iter().map(|spec| manager.allocate_quota(spec).unwrap()).collect();
        let clock = parse_time_or_date(variation.start).unwrap().0;
        Self {
            manager,
            ids,
            specs,
            models: BTreeMap::new(),
            holds: Vec::new(),
            clock,
            latest: 0,
            numbers: 0,
            notices: Vec::new(),
            would_deny: 0,
        }
    }

    /// The time by which the manager goes: it never goes back.
    fn now(&mut self) -> WallTime {
        self.latest = self.latest.max(self.clock);
        WallTime(self.latest)
    }

    fn model(&mut self, which: Which) -> &mut Model {
        let spec = &self.specs[which.0];
        self.models.entry(which).or_insert_with(|| Model::new(spec))
    }

    fn parent(&self, quota: usize) -> Option<usize> {
        let name = self.specs[quota].parent?;
        self.specs.iter().position(|spec| spec.name == name)
    }

    /// The counters that are asked: what matches, and then all ancestors, each once.
    fn family(&self, direct: &[Which], key_of: impl Fn(Kind) -> Option<&'static str>) -> Vec<Which> {
        let mut all = direct.to_vec();
        for &(quota, _) in direct {
            let mut next = self.parent(quota);
            while let Some(parent) = next {
                next = self.parent(parent);
                let scope = self.specs[parent].scope;
                let is_wildcard = scope.key().is_none();
                let key = key_of(scope.kind);
                if (is_wildcard && key.is_none()) || all.iter().any(|(quota, _)| *quota == parent) {
                    continue;
                }
                all.push((parent, key.filter(|_| is_wildcard)));
            }
        }
        all
    }

    /// The quotas that a request matches by itself.
    fn direct(&self, key_of: &impl Fn(Kind) -> Option<&'static str>) -> Vec<Which> {
        let mut found: Vec<Which> = Vec::new();
        for (place, spec) in self.specs.iter().enumerate() {
            let Some(key) = key_of(spec.scope.kind) else { continue };
            if spec.unit == QuotaUnit::Custom {
                continue;
            }
            let is_exact_of = |other: &QuotaSpec| {
                other.scope.kind == spec.scope.kind
                    && other
                        .scope
                        .key()
                        .is_some_and(|own| own.to_name(&HashSecret::default()).as_str() == key)
            };
            let is_like = |other: &QuotaSpec| {
                (other.unit, other.mode, other.schedule.cycle) == (spec.unit, spec.mode, spec.schedule.cycle)
            };
            match spec.scope.key() {
                Some(_) if is_exact_of(spec) => found.push((place, None)),
                None if !self.specs.iter().any(|other| is_exact_of(other) && is_like(other)) => {
                    found.push((place, Some(key)));
                }
                _ => {}
            }
        }
        found
    }

    fn amount_of(&self, which: Which, amounts: &QuotaAmounts, custom: u64) -> u64 {
        match self.specs[which.0].unit {
            QuotaUnit::Custom => custom,
            unit => amounts.amount(unit),
        }
    }

    /// By definition: the quota that refuses with the longest wait, or those that are charged.
    fn decide(
        &mut self,
        family: &[Which],
        amount: impl Fn(&Self, Which) -> u64,
    ) -> Result<Vec<Which>, (usize, Wait)> {
        let now = self.now();
        let (mut worst, mut charged): (Option<(usize, Wait)>, _) = (None, Vec::new());
        for &which in family {
            let (spec, amount) = (self.specs[which.0], amount(self, which));
            let model = self.model(which);
            let fits = model.fits(now, amount) || spec.enforcement == EnforcementMode::Soft;
            if fits {
                charged.push(which);
            } else if spec.mode == Mode::Enforce {
                let end = model.reckon(now).period.end.0;
                let most = spec.limit + spec.limit * u64::from(spec.rollover_percent) / 100;
                let wait = if amount > most { Wait::Never } else { Wait::For(Nanos(end - now.0)) };
                if worst.is_none_or(|(other, longest)| wait > longest || (wait == longest && which.0 < other))
                {
                    worst = Some((which.0, wait));
                }
            }
        }
        self.would_deny += family
            .iter()
            .filter(|which| self.specs[which.0].mode == Mode::Shadow && !charged.contains(which))
            .count() as u64;
        worst.map_or(Ok(charged), Err)
    }

    fn note(&mut self, which: Which, raised: Vec<u8>) {
        self.notices.extend(raised.into_iter().map(|percent| (which.0, which.1, percent)));
    }

    /// The quota whose share left is the smallest.
    fn tightest(&mut self, charged: &[Which], amount: impl Fn(&Self, Which) -> u64) -> Option<usize> {
        let now = self.now();
        let mut tightest: Option<(usize, u128, u128)> = None;
        let mut sorted = charged.to_vec();
        sorted.sort_unstable();
        for which in sorted {
            if self.specs[which.0].mode == Mode::Shadow {
                continue;
            }
            let amount = u128::from(amount(self, which));
            let Reckoned { used, reserved, capacity, .. } = self.model(which).reckon(now);
            let left = u128::from(capacity).saturating_sub(u128::from(used + reserved) + amount);
            if tightest.is_none_or(|(_, least, of)| left * of < least * u128::from(capacity)) {
                tightest = Some((which.0, left, capacity.into()));
            }
        }
        tightest.map(|(quota, ..)| quota)
    }

    fn step(&mut self, step: Step) {
        let time = at(self.clock);
        match step {
            Step::Admit { user, tenant, service, requests, tokens, held, look } => {
                self.admit(
                    (USERS.get(user).copied(), TENANTS.get(tenant).copied(), service.then_some("web")),
                    (requests, tokens),
                    held,
                    look,
                );
            }
            Step::Settle { which, actual } => self.settle(which, actual),
            Step::Void { which } => self.settle(which, 0),
            Step::Consume { quota, key, amount } => self.consume(quota, key, amount),
            Step::Limit { quota, limit } => {
                let spec = QuotaSpec { limit, ..self.specs[quota] };
                let stays_below = self.parent(quota).is_none_or(|parent| self.specs[parent].limit >= limit);
                let stays_above = (0..QUOTAS.len())
                    .all(|child| self.parent(child) != Some(quota) || self.specs[child].limit <= limit);
                let now = self.now();
                let changed = self.manager.update_limit(time, self.ids[quota], limit);
                assert_eq!(changed.is_ok(), stays_below && stays_above);
                if changed.is_ok() {
                    self.specs[quota] = spec;
                    for which in self.counters_of(quota) {
                        let raised = self.model(which).change_limit(now, limit);
                        self.note(which, raised);
                    }
                }
            }
            Step::Enforce { quota, soft } => {
                let mode = if soft { EnforcementMode::Soft } else { EnforcementMode::Hard };
                self.specs[quota].enforcement = mode;
                self.manager.set_enforcement_mode(self.ids[quota], mode).unwrap();
            }
            Step::Reset { quota } => {
                let now = self.now();
                self.manager.reset_quota(time, self.ids[quota], None).unwrap();
                for which in self.counters_of(quota) {
                    self.model(which).reset(now);
                }
            }
            Step::Advance { by } => self.clock += by,
            Step::Back { by } => self.clock = self.clock.saturating_sub(by),
            Step::Tick => {
                self.now();
                self.manager.tick(time);
            }
            Step::Roll { quota } => {
                let now = self.now();
                let carried = self.manager.rollover_unused(time, self.ids[quota]).unwrap();
                let expected: u64 =
                    self.counters_of(quota).iter().map(|&which| self.model(which).reckon(now).carry).sum();
                assert_eq!(carried, expected);
            }
        }
    }

    fn counters_of(&self, quota: usize) -> Vec<Which> {
        self.models.keys().filter(|which| which.0 == quota).copied().collect()
    }

    fn admit(
        &mut self,
        (user, tenant, service): (Option<&'static str>, Option<&'static str>, Option<&'static str>),
        (requests, tokens): (u64, u64),
        held: bool,
        look: bool,
    ) {
        let time = at(self.clock);
        let request = Request {
            user: user.map(name),
            tenant: tenant.map(name),
            service: service.map(name),
            cost: requests,
            tokens,
            ..Request::default()
        };
        let key_of = |kind| match kind {
            Kind::User => user,
            Kind::Tenant => tenant,
            Kind::Service => service,
            _ => None,
        };
        let amounts = amounts(&request);
        let amount = |both: &Self, which| both.amount_of(which, &amounts, 0);
        let direct = self.direct(&key_of);
        let family = self.family(&direct, key_of);
        let (before, subject) = (self.would_deny, Subject { request: &request, group: None });
        let expected = self.decide(&family, amount);
        let access = if look { Access::Peek } else { Access::Charge };
        if look {
            self.would_deny = before;
        }
        let clearance = match (self.manager.check(time, &subject, &amounts, access), &expected) {
            (Ok(clearance), Ok(_)) => clearance,
            (Err(refusal), &Err((quota, wait))) => {
                assert_eq!((refusal.quota.id, refusal.retry), (self.ids[quota], wait));
                return;
            }
            (other, expected) => panic!("{other:?}, and not {expected:?}"),
        };
        let charged = expected.unwrap();
        let tightest = self.tightest(&charged, amount).map(|quota| self.ids[quota]);
        let mut holds = Vec::new();
        let standing = match (look, held) {
            (true, _) => self.manager.release(clearance),
            (false, false) => self.manager.charge(clearance),
            (false, true) => self.manager.charge_held(clearance, &mut |hold| holds.push(hold)),
        };
        assert_eq!(standing.map(|standing| standing.id), tightest);
        if look {
            return;
        }
        let now = self.now();
        for which in charged {
            let amount = amount(self, which);
            // What is beyond 64 bits is cut off.
            let Reckoned { used, reserved, .. } = self.model(which).reckon(now);
            let amount = amount.min(u64::MAX - used - reserved);
            let is_enforced = self.specs[which.0].mode == Mode::Enforce;
            let raised = if held && is_enforced {
                self.numbers += 1;
                let number = self.numbers;
                let place = holds.iter().position(|hold| hold.quota() == self.ids[which.0]).unwrap();
                let hold = holds.remove(place);
                assert_eq!((hold.amount(), hold.unit()), (amount, self.specs[which.0].unit));
                self.holds.push((hold, which, number));
                self.model(which).reserve(now, amount, number)
            } else {
                self.model(which).charge(now, amount)
            };
            self.note(which, raised);
        }
        assert!(holds.is_empty());
    }

    fn settle(&mut self, chosen: usize, actual: u64) {
        if self.holds.is_empty() {
            return;
        }
        let (hold, which, number) = self.holds.swap_remove(chosen % self.holds.len());
        let (time, now) = (at(self.clock), self.now());
        let settled = self.manager.settle(time, &hold, actual);
        assert_ne!(settled, QuotaSettled::Stale);
        let raised = self.model(which).settle(now, number, actual);
        self.note(which, raised);
    }

    fn consume(&mut self, quota: usize, key_number: usize, amount: u64) {
        let scope = self.specs[quota].scope;
        let own = scope.key().map(|own| own.to_name(&HashSecret::default()));
        let names: &[&'static str] = match scope.kind {
            Kind::User => &USERS,
            Kind::Tenant => &TENANTS,
            _ => &["web"],
        };
        let named = match &own {
            // A tenant whose name no request carries has a scope all the same.
            Some(own) => names.iter().copied().find(|name| own.as_str() == *name),
            None => Some(names[key_number % names.len()]),
        };
        let direct = (quota, named.filter(|_| own.is_none()));
        let key_of = |kind| if kind == scope.kind { named } else { None };
        let family = self.family(&[direct], key_of);
        let expected = self.decide(&family, |_, _| amount);
        let (time, now) = (at(self.clock), self.now());
        let asked = direct.1.and_then(|named| key(scope.kind, named));
        let answer = self.manager.consume_quota(time, self.ids[quota], asked, amount).unwrap();
        match (answer, expected) {
            (QuotaAnswer::Granted(standing), Ok(charged)) => {
                assert_eq!(standing.id, self.ids[quota]);
                for which in charged {
                    let Reckoned { used, reserved, .. } = self.model(which).reckon(now);
                    let raised = self.model(which).charge(now, amount.min(u64::MAX - used - reserved));
                    self.note(which, raised);
                }
            }
            (QuotaAnswer::Refused(refusal), Err((quota, wait))) => {
                assert_eq!((refusal.quota.id, refusal.retry), (self.ids[quota], wait));
            }
            (answer, expected) => panic!("{answer:?}, and not {expected:?}"),
        }
    }

    /// Everything that can be seen is as the model has it, as of the time that is told.
    fn compare(&self, seen_notices: &mut u64) {
        let now = WallTime(self.latest.max(self.clock));
        let time = at(self.clock);
        let mut alerts = BTreeMap::new();
        for (which, model) in &self.models {
            let reckoned = model.reckon(now);
            let kind = self.specs[which.0].scope.kind;
            let asked = which.1.and_then(|named| key(kind, named));
            let status = self.manager.get_quota_status(time, self.ids[which.0], asked).unwrap();
            assert_eq!(seen(&status.usage), reckoned, "{which:?} {:?}", model.spec());
            assert_eq!(status.allocation.spec, self.specs[which.0]);
            assert_eq!(status.usage.shared, Sharing::Own);
            if let Some(percent) = reckoned.alert {
                alerts.insert(*which, percent);
            }
        }
        let listed: BTreeMap<_, _> = self
            .manager
            .get_quota_alerts(time)
            .map(|alert| {
                let quota = self.ids.iter().position(|id| *id == alert.quota).unwrap();
                let names = USERS.iter().chain(&TENANTS).chain(&["web"]);
                let named = alert.usage.key.and_then(|key| names.copied().find(|name| key.as_str() == *name));
                ((quota, named), alert.percent)
            })
            .collect();
        assert_eq!(listed, alerts);
        let fresh: Vec<_> = self.manager.notices().since(*seen_notices).collect();
        let expected = &self.notices[usize::try_from(*seen_notices).unwrap()..];
        let in_words = |quota: &str, key: Option<&str>, percent: u8| format!("{quota} {key:?} {percent}");
        let mut given: Vec<_> = fresh
            .iter()
            .map(|notice| {
                in_words(notice.quota.as_str(), notice.key().map(|key| key.as_str()), notice.percent)
            })
            .collect();
        let mut reckoned: Vec<_> = expected
            .iter()
            .map(|&(quota, key, percent)| in_words(self.specs[quota].name.as_str(), key, percent))
            .collect();
        given.sort_unstable();
        reckoned.sort_unstable();
        assert_eq!(given, reckoned);
        *seen_notices = self.manager.notices().next();
        assert_eq!(self.manager.stats().would_deny, self.would_deny);
        assert_eq!(self.manager.stats().holds, self.holds.len() as u64);
    }
}

fn seen(usage: &QuotaUsage) -> Reckoned {
    Reckoned {
        period: usage.period,
        used: usage.used,
        reserved: usage.reserved,
        carry: usage.carry,
        capacity: usage.capacity,
        requests: usage.requests,
        peak: usage.peak,
        holds: usage.holds,
        alert: usage.alert,
        began: usage.began,
        past: usage.past,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1800) })]
    /// 1800 cases of 120 steps, on average.
    #[test]
    fn every_status_is_what_the_list_of_events_says(variation in variation(), steps in steps()) {
        let mut both = Both::new(variation);
        let mut seen = 0;
        for step in steps {
            both.step(step);
            both.compare(&mut seen);
        }
    }
}
