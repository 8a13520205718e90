//! The engine of policies against the models: decisions, changes, audit, and what is said about sets of policies.
//!
//! `WEIR_POLICY_SEEDS` says how many seeds there are, `WEIR_POLICY_SEED` which is the first one.

#[allow(dead_code, reason = "each test takes what it needs")]
mod engine;
#[allow(dead_code, reason = "each test takes what it needs")]
mod policed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use governance::mode::Mode;
use governance::policy::{
    AuditEvent, DIFFERENCES_MAX, DiffOutcome, FindingKind, PolicyEngine, PolicyError, PolicyStats,
    PolicyTotals, RuleRole, diff, lint,
};
use governance::time::{Instant, Now, WallTime};
use policed::{assert_alike, known_limit, with_context, witnessed};
use sim::oracle::policy::{Action, Condition, Field, Policies, Reader, Request, Rule, points};
use sim::policies::{Change, Shape, Source, Vocabulary};

/// How many seeds there are, unless `WEIR_POLICY_SEEDS` says otherwise.
const SEEDS: u64 = 200;

fn seeds() -> std::ops::Range<u64> {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let first = number("WEIR_POLICY_SEED", 1);
    first..first + number("WEIR_POLICY_SEEDS", SEEDS)
}

fn tell(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
}

#[test]
fn changing_policies_decide_count_and_audit_as_the_model_does() {
    // Too large for a stack.
    static ENGINE: Mutex<PolicyEngine> = Mutex::new(PolicyEngine::new());
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = Seen::default();
    for seed in seeds() {
        Both::new(seed, &mut engine).run(&mut seen);
    }
    tell(&format!("{seen:?}"));
    assert!(seen.denied > 0 && seen.refused > 0 && seen.rolled_back > 0 && seen.redirected > 0, "{seen:?}");
}

/// What has happened over all seeds.
#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    denied: u64,
    redirected: u64,
    changes: u64,
    refused: u64,
    rolled_back: u64,
}

/// The model and the engine side by side.
struct Both<'a> {
    seed: u64,
    source: Source<'a>,
    engine: &'a mut PolicyEngine,
    now: u64,
    current: Policies,
    /// The counters of the rules that are there.
    stats: BTreeMap<String, PolicyStats>,
    previous: Option<(Policies, BTreeMap<String, PolicyStats>)>,
    totals: PolicyTotals,
    generation: u64,
}

impl<'a> Both<'a> {
    fn new(seed: u64, engine: &'a mut PolicyEngine) -> Self {
        engine.reset();
        Self {
            seed,
            source: Source::new(seed, Shape::FULL),
            engine,
            now: 0,
            current: Policies::default(),
            stats: BTreeMap::new(),
            previous: None,
            totals: PolicyTotals::default(),
            generation: 0,
        }
    }

    fn run(mut self, seen: &mut Seen) {
        let policies = self.source.policies();
        self.change(&Change::Replace(policies), seen);
        for _ in 0..40 {
            let count = self.source.random().between(1, 8);
            for _ in 0..count {
                self.request(seen);
            }
            let change = self.source.change(&self.current);
            self.change(&change, seen);
            self.compare_sets();
        }
        self.compare_audit();
    }

    fn now(&mut self) -> Now {
        self.now += 1_000;
        Now { instant: Instant(self.now), wall: WallTime(5_000 + self.now) }
    }

    fn request(&mut self, seen: &mut Seen) {
        let request = self.source.request();
        let expected = self.current.decide(&request);
        let now = self.now();
        let (peeked, found) = with_context(&request, |context| {
            (self.engine.peek(context), self.engine.evaluate_request(now, context))
        });
        let said = || format!("seed {}: {request:?}\n{found:?}\n{:?}", self.seed, self.current);
        assert_eq!(governance::policy::PolicyDecision { audit_id: 0, ..found }, peeked, "{}", said());
        assert_alike(self.engine, &self.current, &found, &expected, &said);
        let rules = |names: &BTreeSet<String>| {
            names.iter().filter_map(|name| self.current.find(name)).cloned().collect::<Vec<Rule>>()
        };
        let matched = rules(&expected.matched);
        let does = |wanted: &dyn Fn(&Action) -> bool| matched.iter().any(|rule| wanted(&rule.effect()));
        let tells = |rule: &Rule| rule.audit || matches!(rule.effect(), Action::Log | Action::Alert);
        let is_audited = !expected.allowed || matched.iter().any(tells);
        assert_eq!(found.audit_id != 0, is_audited, "{}", said());
        let speaks = expected.decider.as_deref().and_then(|name| self.current.find(name)).map(Rule::effect);
        let totals = &mut self.totals;
        totals.evaluated += 1;
        totals.allowed += u64::from(expected.allowed);
        totals.denied += u64::from(!expected.allowed);
        totals.by_default += u64::from(expected.by_default);
        totals.redirected += u64::from(matches!(speaks, Some(Action::Redirect(_))));
        totals.throttled += u64::from(matches!(speaks, Some(Action::Throttle(_))));
        totals.alerted += u64::from(does(&|action| *action == Action::Alert));
        totals.logged += u64::from(does(&|action| *action == Action::Log));
        totals.would_deny += u64::from(expected.allowed && !expected.would_allow);
        totals.would_allow += u64::from(!expected.allowed && expected.would_allow);
        totals.audit_written += u64::from(is_audited);
        for name in &expected.matched {
            let stats = self.stats.entry(name.clone()).or_default();
            stats.matched += 1;
            let has_decided = expected.decider.as_ref() == Some(name);
            stats.decided += u64::from(has_decided);
            stats.denied += u64::from(has_decided && !expected.allowed);
        }
        for name in &expected.shadow {
            self.stats.entry(name.clone()).or_default().would += 1;
        }
        if is_audited {
            let record = self.engine.audit(found.audit_id).next().copied().expect("a record");
            assert_eq!(record.audit_id, self.totals.audit_written, "no number is left out");
            let event = if expected.allowed { AuditEvent::Allowed } else { AuditEvent::Denied };
            assert_eq!((record.at, record.event), (now.wall, event));
            assert_eq!(record.generation, self.generation);
            let told = record.rule.to_string();
            match &expected.decider {
                Some(decider) if !expected.allowed => assert_eq!(told, *decider),
                None if !expected.allowed => assert_eq!(told, ""),
                _ => {
                    assert!(matched.iter().any(|rule| rule.name == told && tells(rule)), "{told} {record:?}");
                }
            }
            // A request may bear a mapped address, which is the one that it is mapped to.
            assert_eq!(record.ip(), request.ip.map(|ip| ip.to_canonical()));
        }
        self.explain(&request);
        seen.requests += 1;
        seen.denied += u64::from(!expected.allowed);
        seen.redirected += u64::from(matches!(speaks, Some(Action::Redirect(_))));
    }

    /// Every rule is explained, and says itself whether it matches.
    fn explain(&self, request: &Request) {
        let decision = self.current.decide(request);
        let mut explained = BTreeSet::new();
        with_context(request, |context| {
            let given = self.engine.explain(context, &mut |id, policy, role| {
                let rule = self.current.find(policy.name.as_str()).expect("a rule of both");
                assert!(explained.insert(rule.name.clone()), "{} is explained twice", rule.name);
                let holds = rule.condition().holds(request);
                assert_eq!(self.engine.match_condition(id, context), Some(holds), "{rule:?} {request:?}");
                match role {
                    RuleRole::Decides => assert_eq!(decision.decider.as_ref(), Some(&rule.name)),
                    RuleRole::Matches => {
                        assert!(decision.matched.contains(&rule.name));
                        assert_ne!(decision.decider.as_ref(), Some(&rule.name));
                    }
                    RuleRole::WouldMatch => assert!(decision.shadow.contains(&rule.name)),
                    RuleRole::Misses(attribute) => {
                        assert!(rule.enabled && !holds, "{rule:?} {request:?}");
                        let field = policed::field(attribute);
                        assert!(
                            !rule.condition().field_holds(field, request),
                            "{field:?} {rule:?} {request:?}"
                        );
                    }
                    RuleRole::Disabled => assert!(!rule.enabled),
                }
            });
            assert_eq!(given, self.engine.peek(context));
        });
        assert_eq!(explained.len(), self.current.rules.len());
    }

    fn change(&mut self, change: &Change, seen: &mut Seen) {
        let now = self.now();
        let before = (self.engine.generation(), self.engine.content_hash(), self.engine.stats());
        let expected = self.expected(change);
        let id = |name: &str| self.engine.find(name);
        let edit = |name: &str| id(name).ok_or(PolicyError::UnknownPolicy);
        let outcome = match change {
            Change::Add(rule) => policed::rule(rule)
                .map_err(PolicyError::OutOfRange)
                .and_then(|rule| self.engine.add_policy(now, &rule, &known_limit))
                .map(|id| {
                    assert!(self.engine.get_policy(id).is_some_and(|known| known.name.as_str() == rule.name));
                }),
            Change::Update(rule) => policed::rule(rule)
                .map_err(PolicyError::OutOfRange)
                .and_then(|read| Ok((edit(&rule.name)?, read)))
                .and_then(|(id, read)| self.engine.update_policy(now, id, &read, &known_limit))
                .map(|_| ()),
            Change::Remove(name) => edit(name).and_then(|id| self.engine.remove_policy(now, id)),
            Change::Enable(name) => edit(name).and_then(|id| self.engine.enable_policy(now, id)),
            Change::Disable(name) => edit(name).and_then(|id| self.engine.disable_policy(now, id)),
            Change::SetShadow(name, shadow) => {
                let mode = if *shadow { Mode::Shadow } else { Mode::Enforce };
                edit(name).and_then(|id| self.engine.set_mode(now, id, mode))
            }
            Change::SetDefault { deny } => {
                let default = Policies { default_deny: *deny, ..Policies::default() };
                self.engine.set_default(now, policed::default(&default));
                Ok(())
            }
            Change::Replace(policies) => {
                let rules = policed::rules(policies);
                self.engine.configure(now, &rules, policed::default(policies), &known_limit)
            }
            Change::RollBack => self.engine.rollback(now, &known_limit).map(|generation| {
                assert_eq!(generation, self.engine.generation());
            }),
        };
        let said = || format!("seed {}: {change:?} gives {outcome:?}\n{:?}", self.seed, self.current);
        let after = (self.engine.generation(), self.engine.content_hash(), self.engine.stats());
        match expected {
            Expected::Refused(error) => {
                seen.refused += 1;
                let found = outcome.as_ref().err();
                let is_expected = match (&found, error) {
                    (Some(PolicyError::OutOfRange(_)), None) => true,
                    (Some(found), Some(error)) => **found == error,
                    _ => false,
                };
                assert!(is_expected, "{} and not {error:?}", said());
                assert_eq!(before, after, "{}", said());
            }
            Expected::Nothing => {
                assert_eq!(outcome, Ok(()), "{}", said());
                assert_eq!(before, after, "{}", said());
            }
            Expected::Changed(event, name, policies, stats) => {
                seen.changes += 1;
                seen.rolled_back += u64::from(event == AuditEvent::RolledBack);
                assert_eq!(outcome, Ok(()), "{}", said());
                self.generation += 1;
                self.totals.changes += 1;
                self.totals.audit_written += 1;
                let before = std::mem::replace(&mut self.current, policies);
                let before_stats = std::mem::replace(&mut self.stats, stats);
                self.previous = Some((before, before_stats));
                let record = self.engine.audit(self.totals.audit_written).next();
                let record = record.unwrap_or_else(|| panic!("seed {}: a record of {change:?}", self.seed));
                let told = (record.event, record.rule.to_string(), record.generation, record.at);
                assert_eq!(told, (event, name, self.generation, now.wall));
            }
        }
    }

    /// What has to become of a change.
    fn expected(&self, change: &Change) -> Expected {
        let unknown = Expected::Refused(Some(PolicyError::UnknownPolicy));
        let mut policies = self.current.clone();
        let is_wrong = |rule: &Rule| !rule.can_match() || rule.redirects_to_itself();
        let (event, name) = match change {
            Change::Add(rule) if is_wrong(rule) => return Expected::Refused(None),
            Change::Add(rule) if self.current.find(&rule.name).is_some() => {
                return Expected::Refused(Some(PolicyError::DuplicateName));
            }
            Change::Add(rule) => {
                policies.rules.push(rule.clone());
                (AuditEvent::Added, rule.name.clone())
            }
            Change::Update(rule) if is_wrong(rule) => return Expected::Refused(None),
            Change::Update(rule) => {
                let Some(place) = place(&policies, &rule.name) else { return unknown };
                policies.rules[place] = rule.clone();
                (AuditEvent::Updated, rule.name.clone())
            }
            Change::Remove(name) => {
                let Some(place) = place(&policies, name) else { return unknown };
                policies.rules.remove(place);
                (AuditEvent::Removed, name.clone())
            }
            Change::Enable(name) | Change::Disable(name) => {
                let Some(place) = place(&policies, name) else { return unknown };
                let enable = matches!(change, Change::Enable(_));
                policies.rules[place].enabled = enable;
                (if enable { AuditEvent::Enabled } else { AuditEvent::Disabled }, name.clone())
            }
            Change::SetShadow(name, shadow) => {
                let Some(place) = place(&policies, name) else { return unknown };
                policies.rules[place].shadow = *shadow;
                (AuditEvent::ModeChanged, name.clone())
            }
            Change::SetDefault { deny } => {
                policies.default_deny = *deny;
                (AuditEvent::DefaultChanged, String::new())
            }
            Change::Replace(other) => {
                policies = other.clone();
                (AuditEvent::Replaced, String::new())
            }
            Change::RollBack => {
                let Some((previous, own)) = &self.previous else {
                    return Expected::Refused(Some(PolicyError::NothingToRollBack));
                };
                let counted = |rule: &Rule| {
                    let stats = self.stats_of(&self.current, rule).or_else(|| own.get(&rule.name).copied());
                    (rule.name.clone(), stats.unwrap_or_default())
                };
                let stats = previous.rules.iter().map(counted).collect();
                return Expected::Changed(AuditEvent::RolledBack, String::new(), previous.clone(), stats);
            }
        };
        // Two texts may say the same.
        let sorted = |policies: &Policies| {
            let rules = policed::rules(policies).into_iter();
            let rules: BTreeMap<String, String> =
                rules.map(|rule| (rule.name.to_string(), rule.to_string())).collect();
            (rules, policies.default_deny)
        };
        if sorted(&policies) == sorted(&self.current) {
            return Expected::Nothing;
        }
        let counted =
            |rule: &Rule| (rule.name.clone(), self.stats_of(&self.current, rule).unwrap_or_default());
        let stats = policies.rules.iter().map(counted).collect();
        Expected::Changed(event, name, policies, stats)
    }

    fn stats_of(&self, policies: &Policies, rule: &Rule) -> Option<PolicyStats> {
        policies.find(&rule.name).map(|rule| self.stats.get(&rule.name).copied().unwrap_or_default())
    }

    /// What the engine holds, the set before it, and all counters.
    fn compare_sets(&self) {
        let said = || format!("seed {}: {:?}", self.seed, self.current);
        assert_eq!(self.engine.generation().0, self.generation, "{}", said());
        let same = |set: &governance::policy::PolicySet, policies: &Policies| {
            let mut rules = policed::rules(policies);
            rules.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
            let mut found = set.rules().to_vec();
            found.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
            assert_eq!(found, rules, "{}", said());
            assert_eq!(set.default_effect(), policed::default(policies), "{}", said());
        };
        same(self.engine.current(), &self.current);
        assert_eq!(self.engine.previous().is_some(), self.previous.is_some(), "{}", said());
        if let (Some(set), Some((policies, _))) = (self.engine.previous(), &self.previous) {
            same(set, policies);
        }
        assert_eq!(self.engine.content_hash(), policed::set(&self.current).content_hash(), "{}", said());
        for (id, rule) in self.engine.list_policies() {
            let expected = self.stats.get(rule.name.as_str()).copied().unwrap_or_default();
            assert_eq!(self.engine.get_policy_stats(id), Some(expected), "{}: {}", rule.name, said());
        }
        let overwritten = self.totals.audit_written.saturating_sub(1024);
        let totals = PolicyTotals { audit_overwritten: overwritten, ..self.totals };
        assert_eq!(self.engine.stats(), totals, "{}", said());
    }

    /// Every number is there once, from the oldest that is kept to the latest.
    fn compare_audit(&self) {
        let kept: Vec<u64> = self.engine.audit(0).map(|record| record.audit_id).collect();
        let stats = self.engine.stats();
        assert!(kept.iter().copied().eq(stats.audit_overwritten + 1..=stats.audit_written), "{kept:?}");
    }
}

/// What becomes of a change.
enum Expected {
    /// It is refused with this error, or because a value is out of range.
    Refused(Option<PolicyError>),
    /// It is taken, and nothing is a change.
    Nothing,
    /// It is made: what is told of it, and what is there afterwards.
    Changed(AuditEvent, String, Policies, BTreeMap<String, PolicyStats>),
}

fn place(policies: &Policies, name: &str) -> Option<usize> {
    policies.rules.iter().position(|rule| rule.name == name)
}

/// As many rules as there may be, with so many values that those of one rule are few among all.
#[test]
fn full_sets_decide_as_the_model_does() {
    static ENGINE: Mutex<PolicyEngine> = Mutex::new(PolicyEngine::new());
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut most, mut decided) = (0, 0);
    for seed in seeds().step_by(8) {
        let shape = Shape { vocabulary: Vocabulary::Wide, rules: 128, field_percent: 16, ..Shape::FULL };
        let mut source = Source::new(seed, shape);
        let policies = source.policies();
        let rules = policed::rules(&policies);
        engine.reset();
        engine
            .configure(Now::default(), &rules, policed::default(&policies), &known_limit)
            .expect("a full set");
        let reader = Reader::new(&policies);
        most = most.max(rules.len());
        for _ in 0..200 {
            let request = source.request();
            let expected = reader.decide(&request);
            let found = with_context(&request, |context| engine.peek(context));
            let said = || format!("seed {seed}: {request:?}\n{found:?}");
            assert_alike(&engine, &policies, &found, &expected, &said);
            decided += u64::from(expected.decider.is_some());
        }
    }
    assert!(most == 128 && decided > 1_000, "{most} rules, {decided} decided");
}

/// The properties that are proven of the authoriser of Cedar (Cutler and others, "Cedar: A New Language for Expressive,
/// Fast, Safe, and Analyzable Authorization", 2024), tried on many sets: an allow is needed, a deny overrides,
/// the default is to deny, order and duplicates do not matter, and a further deny never allows more.
#[test]
fn the_properties_of_an_authoriser_hold() {
    static ENGINES: [Mutex<PolicyEngine>; 3] = [const { Mutex::new(PolicyEngine::new()) }; 3];
    let mut engines = ENGINES.each_ref().map(|engine| engine.lock().unwrap_or_else(PoisonError::into_inner));
    let [plain, shuffled, stricter] = &mut engines;
    let mut allowed = 0;
    for seed in seeds() {
        let mut source = Source::new(seed ^ 0xA5A5_0000, Shape { apart_percent: 8, ..Shape::FULL });
        let policies = Policies { default_deny: true, ..source.policies() };
        let mut mixed = policies.clone();
        for place in (1..mixed.rules.len()).rev() {
            let other = source.random().index(place + 1);
            mixed.rules.swap(place, other);
        }
        for place in 0..mixed.rules.len() {
            if source.random().chance(30) {
                let twin = Rule { name: format!("twin-{place}"), ..mixed.rules[place].clone() };
                mixed.rules.insert(0, twin);
            }
        }
        let deny = Rule { action: "deny".to_owned(), ..source.valid_rule("one-more") };
        let mut more = policies.clone();
        more.rules.push(deny);
        for (engine, policies) in [(&mut *plain, &policies), (shuffled, &mixed), (stricter, &more)] {
            engine.reset();
            let rules = policed::rules(policies);
            let default = policed::default(policies);
            engine.configure(Now::default(), &rules, default, &known_limit).expect("a valid set");
        }
        for _ in 0..60 {
            let request = source.request();
            let [one, other, strict] = [&mut *plain, shuffled, stricter].map(|engine| {
                with_context(&request, |context| engine.evaluate_request(Now::default(), context))
            });
            let said = || format!("seed {seed}: {request:?}\n{policies:?}");
            let met: Vec<&Rule> = policies
                .rules
                .iter()
                .filter(|rule| rule.enabled && !rule.shadow && rule.condition().holds(&request))
                .collect();
            let has = |wanted: &Action| met.iter().any(|rule| rule.effect() == *wanted);
            assert!(!one.allowed || has(&Action::Allow), "an allow is needed, {}", said());
            assert!(!has(&Action::Deny) || !one.allowed, "a deny overrides, {}", said());
            assert!(!met.is_empty() || !one.allowed, "the default is to deny, {}", said());
            assert_eq!(one.allowed, other.allowed, "order and duplicates, {}", said());
            assert_eq!(one.enforcement_action, other.enforcement_action, "order and duplicates, {}", said());
            assert!(one.allowed || !strict.allowed, "a further deny, {}", said());
            allowed += u64::from(one.allowed);
        }
    }
    assert!(allowed > 100, "{allowed} allowed");
}

/// Shapes of sets so small that every request that matters can be tried.
fn small_shape(seed: u64) -> Shape<'static> {
    const PAIRS: [&[Field]; 9] = [
        &[Field::Service, Field::Tenant, Field::Method],
        &[Field::Service, Field::Role],
        &[Field::Ip, Field::Service],
        &[Field::Path, Field::Method],
        &[Field::Header],
        &[Field::Header, Field::Class],
        &[Field::Hours, Field::Days],
        &[Field::Ip, Field::Path],
        &[Field::Service, Field::Hours, Field::Class],
    ];
    let place = usize::try_from(seed % 9).expect("a place");
    Shape { fields: PAIRS[place], field_percent: 60, values: 2, rules: 7, ..Shape::FULL }
}

/// The most requests that are tried for a set.
const TRIED_MAX: usize = 20_000;

fn conditions(policies: &Policies) -> Vec<Condition> {
    policies.rules.iter().map(Rule::condition).collect()
}

/// Requests that stand for all others, and which rules each meets.
fn tried(policies: &[&Policies]) -> Option<Vec<Request>> {
    let conditions: Vec<Condition> = policies.iter().flat_map(|policies| conditions(policies)).collect();
    points::all(&conditions.iter().collect::<Vec<_>>(), TRIED_MAX)
}

#[test]
fn every_finding_is_true_and_none_is_missing() {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds() {
        let mut source = Source::new(seed, small_shape(seed));
        let mut policies = source.policies();
        if small_shape(seed).fields.contains(&Field::Service) {
            // Two redirects, which go round more often than not.
            let redirects = ["there", "back"].map(|name| {
                let rules = std::iter::repeat_with(|| source.valid_rule(name));
                let mut redirects = rules.filter(|rule| rule.action.starts_with("redirect:"));
                redirects.next().expect("one of them")
            });
            policies.rules.extend(redirects);
        }
        let Some(requests) = tried(&[&policies]) else { continue };
        let set = policed::set(&policies);
        let mut found: BTreeMap<(String, &str), BTreeSet<String>> = BTreeMap::new();
        lint(&set, &mut |finding| {
            let name = |id| set.get(id).expect("a policy").name.to_string();
            let (rule, other) = (name(finding.rule), finding.kind.other().map(name));
            *counts.entry(finding.kind.code()).or_default() += 1;
            let said = || format!("seed {seed}: {finding:?} {rule} {other:?}\n{policies:?}");
            let one = policies.find(&rule).expect("a rule");
            assert_eq!(finding.mode == Mode::Shadow, one.shadow, "{}", said());
            let other = other.clone().unwrap_or_else(|| panic!("all rules can match, {}", said()));
            let two = policies.find(&other).expect("a rule");
            let request = witnessed(finding.witness.unwrap_or_else(|| panic!("a witness, {}", said())));
            assert!(one.enabled && two.enabled && one.name != two.name, "{}", said());
            match finding.kind {
                FindingKind::RedirectLoop { .. } => assert!(goes_round(one, two, &request), "{}", said()),
                _ => {
                    let both = one.condition().holds(&request) && two.condition().holds(&request);
                    assert!(both, "{}", said());
                }
            }
            if matches!(finding.kind, FindingKind::Subsumed { .. } | FindingKind::Shadowed { .. }) {
                let mut without = policies.clone();
                without.rules.retain(|rule| rule.name != one.name);
                let (with, without) = (Reader::new(&policies), Reader::new(&without));
                for request in &requests {
                    let (with, without) = (with.decide(request), without.decide(request));
                    let speaks = |name: &Option<String>| {
                        let rule = name.as_deref().and_then(|name| policies.find(name));
                        rule.map(Rule::effect)
                    };
                    assert_eq!(with.allowed, without.allowed, "{request:?} {}", said());
                    assert_eq!(with.would_allow, without.would_allow, "{request:?} {}", said());
                    // To allow what is allowed by default is no effect.
                    let (one, other) = (speaks(&with.decider), speaks(&without.decider));
                    assert_eq!(one, other, "{request:?} {}", said());
                }
            }
            let others = found.entry((rule.clone(), finding.kind.code())).or_default();
            assert!(others.insert(other), "twice, {}", said());
        });
        let expected = findings(&policies, &requests);
        for ((rule, kind), others) in &expected {
            let told = found.get(&(rule.clone(), kind)).cloned().unwrap_or_default();
            assert_eq!(told, *others, "seed {seed}: {rule} {kind}\n{policies:?}");
        }
        for key in found.keys() {
            assert!(expected.contains_key(key), "seed {seed}: {key:?} {:?}\n{policies:?}", found[key]);
        }
    }
    tell(&format!("{counts:?}"));
    for kind in ["subsumed", "shadowed", "contradicts", "redirect-loop"] {
        assert!(counts.get(kind).is_some_and(|count| *count > 5), "{kind}: {counts:?}");
    }
}

/// Whether a request that `one` redirects is redirected back by `two`.
fn goes_round(one: &Rule, two: &Rule, request: &Request) -> bool {
    let (Action::Redirect(there), Action::Redirect(back)) = (one.effect(), two.effect()) else {
        return false;
    };
    let to = |service: &String| Request { service: Some(service.clone()), ..request.clone() };
    one.condition().holds(&to(&back)) && two.condition().holds(&to(&there))
}

/// All findings, by trying all requests that matter.
///
/// What a rule in shadow mode says is of no account for one that acts. Of two rules that are alike, the one that speaks
/// after the other is not needed. An exception, a deny inside of an allow, is no contradiction.
fn findings(policies: &Policies, requests: &[Request]) -> BTreeMap<(String, &'static str), BTreeSet<String>> {
    let mut findings: BTreeMap<(String, &'static str), BTreeSet<String>> = BTreeMap::new();
    let enabled: Vec<(&Rule, Vec<bool>)> = policies
        .rules
        .iter()
        .filter(|rule| rule.enabled)
        .map(|rule| {
            let condition = rule.condition();
            (rule, requests.iter().map(|request| condition.holds(request)).collect())
        })
        .collect();
    for (one, ones) in &enabled {
        for (two, twos) in enabled.iter().filter(|(two, _)| two.name != one.name) {
            let is_inside =
                |inner: &[bool], outer: &[bool]| inner.iter().zip(outer).all(|(one, two)| !one || *two);
            let (inside, around) = (is_inside(ones, twos), is_inside(twos, ones));
            let overlap = ones.iter().zip(twos).any(|(one, two)| *one && *two);
            let (does, other_does) = (one.effect(), two.effect());
            let comes_after = speaks(two) < speaks(one);
            let mut note = |kind| {
                findings.entry((one.name.clone(), kind)).or_default().insert(two.name.clone());
            };
            if does == other_does {
                let alike = around && may_stand_for(one, two);
                let only_first_speaks = matches!(does, Action::Throttle(_) | Action::Redirect(_));
                let is_needless = if alike || only_first_speaks { comes_after } else { true };
                if inside && may_stand_for(two, one) && is_needless {
                    note("subsumed");
                }
            } else if other_does == Action::Deny && (one.shadow || !two.shadow) {
                let has_effect = matches!(does, Action::Allow | Action::Throttle(_) | Action::Redirect(_));
                if has_effect && inside {
                    note("shadowed");
                }
                if does == Action::Allow && overlap && !inside && !around {
                    note("contradicts");
                }
            }
            if !comes_after && requests.iter().any(|request| goes_round(one, two, request)) {
                note("redirect-loop");
            }
        }
    }
    findings
}

/// What decides who speaks: the smaller.
fn speaks(rule: &Rule) -> (usize, u8, &str) {
    (rule.effect().rank(), rule.priority, &rule.name)
}

/// Whether a rule does all that another one does whose requests it meets: it acts if that one acts, and is written down
/// if that one is.
fn may_stand_for(rule: &Rule, other: &Rule) -> bool {
    let is_written = |rule: &Rule| rule.audit || matches!(rule.effect(), Action::Log | Action::Alert);
    (!rule.shadow || other.shadow) && (is_written(rule) || !is_written(other))
}

#[test]
fn every_difference_is_one_and_equal_sets_are_equal() {
    let (mut equal, mut different, mut unknown) = (0, 0, 0);
    for seed in seeds() {
        let mut source = Source::new(seed, small_shape(seed));
        let before = source.policies();
        let mut after = before.clone();
        let changes = source.random().between(0, 2);
        for _ in 0..changes {
            alter(&mut source, &mut after);
        }
        let Some(requests) = tried(&[&before, &after]) else { continue };
        let (first, second) = (policed::set(&before), policed::set(&after));
        // What each says of a request: whether it passes, who speaks, and what that one does.
        let says = |policies: &Policies, request: &Request| {
            let decision = policies.decide(request);
            let rule = decision.decider.as_deref().and_then(|name| policies.find(name));
            (decision.allowed, decision.decider.clone(), rule.map(Rule::effect))
        };
        // To be allowed or denied by a rule is like being allowed or denied by default.
        let is_by_default = |action: &Action| matches!(action, Action::Allow | Action::Deny);
        let effect = |action: &Option<Action>| action.clone().filter(|action| !is_by_default(action));
        let differ = |request: &Request| {
            let (one, other) = (says(&before, request), says(&after, request));
            ((one.0, effect(&one.2)) != (other.0, effect(&other.2))).then_some((one.1, other.1))
        };
        let expected: BTreeSet<_> = requests.iter().filter_map(differ).collect();
        for steps in [0, 5, 100, u32::MAX] {
            let mut found = BTreeSet::new();
            let outcome = diff(&first, &second, steps, &mut |difference| {
                let request = witnessed(difference.witness);
                let said = || format!("seed {seed}: {difference:?}\n{before:?}\n{after:?}");
                let sets = [(&before, &first, difference.before), (&after, &second, difference.after)];
                let deciders = sets.map(|(policies, set, verdict)| {
                    let (allowed, decider, action) = says(policies, &request);
                    let told = verdict.decider.and_then(|id| set.get(id)).map(|rule| rule.name.to_string());
                    assert_eq!((verdict.allowed, &told), (allowed, &decider), "{}", said());
                    assert_eq!(verdict.action, action.as_ref().map(policed::kind), "{}", said());
                    decider
                });
                assert!(differ(&request).is_some(), "{}", said());
                assert!(found.insert(deciders.into()), "twice, {}", said());
            });
            let said = || format!("seed {seed}: {outcome:?} {found:?}\n{expected:?}\n{before:?}\n{after:?}");
            match outcome {
                DiffOutcome::Equal => assert!(expected.is_empty(), "{}", said()),
                DiffOutcome::Different => assert!(!found.is_empty(), "{}", said()),
                DiffOutcome::Unknown => assert!(steps < u32::MAX, "{}", said()),
            }
            assert!(found.is_subset(&expected), "{}", said());
            if steps == u32::MAX {
                // Whether a rule or the default does so is the same to the search.
                let spoken = |pairs: &BTreeSet<(Option<String>, Option<String>)>| {
                    let of = |policies: &Policies, name: &Option<String>| {
                        let rule = name.as_deref().and_then(|name| policies.find(name));
                        rule.filter(|rule| !is_by_default(&rule.effect())).map(|rule| rule.name.clone())
                    };
                    let pairs = pairs.iter().map(|(one, other)| (of(&before, one), of(&after, other)));
                    pairs.collect::<BTreeSet<_>>()
                };
                let is_complete = spoken(&found) == spoken(&expected);
                assert!(is_complete || found.len() >= DIFFERENCES_MAX, "{}", said());
                equal += u64::from(outcome == DiffOutcome::Equal);
                different += u64::from(outcome == DiffOutcome::Different);
            }
            unknown += u64::from(outcome == DiffOutcome::Unknown);
        }
    }
    tell(&format!("{equal} equal, {different} different, {unknown} given up"));
    assert!(equal > 10 && different > 10 && unknown > 10);
}

/// Changes a set a little, sometimes so that it decides the same.
fn alter(source: &mut Source<'_>, policies: &mut Policies) {
    let count = policies.rules.len();
    let random = source.random();
    match random.between(0, 6) {
        0 if count > 0 => {
            let place = random.index(count);
            policies.rules.remove(place);
        }
        1 if count > 0 => {
            let place = random.index(count);
            policies.rules[place].enabled ^= true;
        }
        2 if count > 0 => {
            let place = random.index(count);
            policies.rules[place].priority ^= 1;
        }
        3 => policies.default_deny ^= true,
        4 if count > 0 => {
            let place = random.index(count);
            let twin = Rule { name: "twin".to_owned(), ..policies.rules[place].clone() };
            policies.rules.retain(|rule| rule.name != "twin");
            policies.rules.push(twin);
        }
        5 if count > 0 => {
            let place = source.random().index(count);
            let name = policies.rules[place].name.clone();
            policies.rules[place] = source.valid_rule(&name);
        }
        _ => {
            let rule = source.valid_rule("another");
            policies.rules.retain(|rule| rule.name != "another");
            policies.rules.push(rule);
        }
    }
}
