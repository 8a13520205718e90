//! Quotas: how much a name may take in a period of the calendar.
//!
//! A [`Quota`] says what it counts, for which names, and how much of it fits a period. [`Quotas`] keeps, for each
//! quota and name, every event of every period, and answers from them:
//! - the capacity of a period is the limit and what was carried into it; of an earlier period at most the
//!   given percentage of the limit is carried, and no more than was left of it at its end, when what was only
//!   reserved counted as used. The period in which a name is charged first has nothing carried into it;
//! - a request passes if in each hard quota that it meets, and in all their ancestors, what is used, what is
//!   reserved and its amount fit the capacity, or its amount is nothing. It is then charged in all of them, or in
//!   none if it is refused;
//! - a quota on errors refuses once there were as many as its limit, one on latency while the 99th percentile
//!   of at least 100 answers is above its limit. An outcome belongs to the period in which it is told.
//!
//! Time is wall time, and of a clock that goes back it is taken to stand still.

mod counter;
mod rule;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;

pub use counter::{Counts, Status};
pub use rule::{Amounts, Counted, Enforcement, Mode, Quota};

use super::call::Call;
use super::meter::Wait;
use super::rule::Pattern;
use super::scope::{canonical, name_of};
use crate::calendar::{Period, period_at};
use counter::{Counter, Entry, Held, Record};

/// Usage in percent of the capacity that is told once in each period.
pub const ALERT_PERCENTS: [u64; 3] = [80, 95, 100];

/// So many answers a percentile needs.
pub const LATENCY_SAMPLES_MIN: usize = 100;

/// What the quotas say to a request. Quotas are given by name, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The enforced quotas that it meets, by itself or as ancestors: those that are charged.
    pub matched: Vec<String>,
    /// The hard ones of them that refuse it.
    pub refusing: Vec<Refusal>,
    /// The soft ones of them that have no room for it.
    pub exceeded: Vec<String>,
    /// Those in shadow mode that would refuse it.
    pub would_deny: Vec<String>,
}

/// A quota that refuses, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The quota.
    pub quota: String,
    /// Until its period ends; never if the amount is more than a period can hold.
    pub wait: Wait,
}

impl Checked {
    /// Whether no quota refuses.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        self.refusing.is_empty()
    }

    /// The quota that refuses for the longest, of equals the first.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        let longest = self.refusing.iter().map(|refusal| refusal.wait).max()?;
        self.refusing.iter().find(|refusal| refusal.wait == longest)
    }
}

/// Whether the amounts of a request are what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// They are.
    Final,
    /// They are held until it is known.
    Reserved,
}

/// Something that a counter waits for: a settlement, or the outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The quota.
    pub quota: String,
    /// The name.
    pub key: String,
    /// The period in which it was made.
    pub period: i64,
    /// Which life of the counter: with a quota that is removed it ends.
    born: u64,
    /// The reservation, or nothing if only the outcome is waited for.
    reservation: Option<u64>,
}

/// What became of a request that was let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What it really took.
    pub amounts: Amounts,
    /// Whether it failed.
    pub failed: bool,
    /// How long it took, if that was measured.
    pub latency_ns: Option<u64>,
}

/// A level of usage that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The quota.
    pub quota: String,
    /// The name.
    pub key: String,
    /// Which of [`ALERT_PERCENTS`].
    pub percent: u64,
    /// When.
    pub wall_ns: u64,
}

/// The model of all quotas together.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    quotas: Vec<Quota>,
    /// Of each quota its limits, each with the time from which it stands.
    limits: BTreeMap<String, Vec<(u64, u64)>>,
    counters: BTreeMap<(String, String), Counter>,
    alerts: Vec<Alert>,
    latest_wall_ns: u64,
    /// Reservations and counters are numbered in their order.
    numbered: u64,
}

/// A quota that a request meets, with the name under which it does.
type Meeting = (usize, String);

impl Quotas {
    /// Quotas of which nothing is used.
    #[must_use]
    pub fn new(quotas: Vec<Quota>) -> Self {
        let mut model = Self::default();
        for quota in quotas {
            model.add(quota);
        }
        model
    }

    /// Adds a quota as the last.
    ///
    /// # Panics
    /// If there is one of its name.
    pub fn add(&mut self, quota: Quota) {
        assert!(self.find(&quota.name).is_none(), "two quotas {}", quota.name);
        self.limits.insert(quota.name.clone(), vec![(0, quota.limit)]);
        self.quotas.push(quota);
    }

    /// Removes a quota and all that it counted.
    pub fn remove(&mut self, quota: &str) {
        self.quotas.retain(|known| known.name != quota);
        self.limits.remove(quota);
        self.counters.retain(|(owner, _), _| owner != quota);
    }

    /// The quotas, in their order.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// Asks the quotas that `call` meets, and counts what they refuse.
    pub fn check(&mut self, wall_ns: u64, call: &Call, amounts: &Amounts) -> Checked {
        self.see(wall_ns);
        let mut checked = Checked::default();
        for meeting in self.enforced(call) {
            let quota = self.quotas[meeting.0].clone();
            let room = self.meet(&meeting, amounts);
            let counts = &mut self.counter_mut(&meeting).counts;
            checked.matched.push(quota.name.clone());
            match (room, quota.enforcement) {
                (true, _) => {}
                (false, Enforcement::Soft) => checked.exceeded.push(quota.name),
                (false, Enforcement::Hard) => {
                    counts.denied += 1;
                    let wait = self.wait(&quota, amounts);
                    checked.refusing.push(Refusal { quota: quota.name, wait });
                }
            }
        }
        for meeting in self.shadows(call) {
            if !self.meet(&meeting, amounts) && self.quotas[meeting.0].enforcement == Enforcement::Hard {
                self.counter_mut(&meeting).counts.would_deny += 1;
                checked.would_deny.push(self.quotas[meeting.0].name.clone());
            }
        }
        checked
    }

    /// What [`Quotas::check`] would answer.
    #[must_use]
    pub fn peek(&self, wall_ns: u64, call: &Call, amounts: &Amounts) -> Checked {
        self.clone().check(wall_ns, call, amounts)
    }

    /// Charges `call` in every enforced quota that it meets, and in those in shadow mode that have room. The
    /// holds are for [`Quotas::settle`] or [`Quotas::void`]; a shadow takes what is said and holds nothing.
    pub fn charge(&mut self, wall_ns: u64, call: &Call, amounts: &Amounts, taking: Taking) -> Vec<Hold> {
        self.see(wall_ns);
        let mut holds = Vec::new();
        for meeting in self.enforced(call) {
            let room = self.meet(&meeting, amounts);
            self.counter_mut(&meeting).counts.exceeded += u64::from(!room);
            holds.extend(self.take(&meeting, amounts, taking));
        }
        for meeting in self.shadows(call) {
            let soft = self.quotas[meeting.0].enforcement == Enforcement::Soft;
            let room = self.meet(&meeting, amounts);
            if room || soft {
                self.counter_mut(&meeting).counts.exceeded += u64::from(!room);
                // What is only held may still cost something.
                let cost_nano = amounts.cost_nano.clone().max(BigInt::ZERO);
                let held = Amounts { cost_nano, ..amounts.clone() };
                self.take(&meeting, if taking == Taking::Final { amounts } else { &held }, Taking::Final);
            }
        }
        holds
    }

    /// Tells what became of a request. What it took belongs to the period in which it was reserved; if that is
    /// over, only the past is written anew. Whether it failed and how long it took belongs to the present. Answers
    /// whether there was something to settle.
    pub fn settle(&mut self, wall_ns: u64, hold: &Hold, observed: &Observed) -> bool {
        self.see(wall_ns);
        let at = self.latest_wall_ns;
        let Some(meeting) = self.held(hold) else { return false };
        let counted = self.quotas[meeting.0].counted;
        let Some(number) = hold.reservation else {
            match counted {
                Counted::Errors => {
                    let failed = observed.failed.then_some(Entry { amount: 1, held: None });
                    self.open(&meeting).entries.extend(failed);
                }
                _ => self.open(&meeting).latencies_ns.extend(observed.latency_ns),
            }
            self.tell(&meeting);
            return true;
        };
        let record =
            self.counter_mut(&meeting).records.get_mut(&hold.period).expect("the period of the hold");
        let settled = record.settle(number, at, observed.amounts.of(counted));
        if settled {
            record.give_back(at, observed.amounts.back(counted));
        }
        self.tell(&meeting);
        settled
    }

    /// Gives back what a request reserved.
    pub fn void(&mut self, wall_ns: u64, hold: &Hold) -> bool {
        match hold.reservation {
            Some(_) => self.settle(wall_ns, hold, &Observed::default()),
            None => {
                self.see(wall_ns);
                self.held(hold).is_some()
            }
        }
    }

    /// Changes a limit from now on; to what it is already is no change. Of what was
    /// carried into the current periods stays no more than the share of the new limit. Alerts that are not reached any more can be raised again, and those that are reached now are raised.
    ///
    /// # Panics
    /// If there is no such quota.
    pub fn set_limit(&mut self, wall_ns: u64, quota: &str, limit: u64) {
        self.see(wall_ns);
        let place = self.find(quota).expect("a quota of the model");
        if self.quotas[place].limit == limit {
            return;
        }
        self.quotas[place].limit = limit;
        self.limits.entry(quota.to_owned()).or_default().push((self.latest_wall_ns, limit));
        for meeting in self.meetings(place) {
            let quota = self.quotas[place].clone();
            if let Some(record) = self.present(&meeting) {
                record.carry = record.carry.min(quota.share(limit));
                let reached = reached(&quota, record);
                record.alerted.retain(|percent| reached.contains(percent));
            }
            self.tell(&meeting);
        }
    }

    /// Makes a quota hard or soft.
    ///
    /// # Panics
    /// If there is no such quota.
    pub fn set_enforcement(&mut self, quota: &str, enforcement: Enforcement) {
        let place = self.find(quota).expect("a quota of the model");
        self.quotas[place].enforcement = enforcement;
    }

    /// Forgets what a name, or every name, has used in the present period of a quota, and the alerts. What is
    /// reserved stays so, and so does what was carried.
    ///
    /// # Panics
    /// If there is no such quota.
    pub fn reset(&mut self, wall_ns: u64, quota: &str, key: Option<&str>) {
        self.see(wall_ns);
        let place = self.find(quota).expect("a quota of the model");
        for meeting in self.meetings(place) {
            if key.is_none_or(|key| key == meeting.1)
                && let Some(record) = self.present(&meeting)
            {
                record.entries.retain(Entry::is_pending);
                record.credits.clear();
                record.latencies_ns.clear();
                record.alerted.clear();
            }
        }
    }

    /// How a name stands under a quota, once it has met it.
    #[must_use]
    pub fn status(&self, wall_ns: u64, quota: &str, key: &str) -> Option<Status> {
        let quota = &self.quotas[self.find(quota)?];
        let counter = self.counters.get(&(quota.name.clone(), key.to_owned()))?;
        let record = self.record(quota, counter, wall_ns.max(self.latest_wall_ns));
        Some(record.status(quota.limit, counter.counts))
    }

    /// How all names stand, by quota and name.
    #[must_use]
    pub fn statuses(&self, wall_ns: u64) -> Vec<(String, String, Status)> {
        let stands = |(quota, key): &(String, String)| {
            let status = self.status(wall_ns, quota, key).expect("a counter of the model");
            (quota.clone(), key.clone(), status)
        };
        self.counters.keys().map(stands).collect()
    }

    /// What was used in a period, by the latest that is known of it; nothing if the name took nothing then.
    #[must_use]
    pub fn used_in(&self, quota: &str, key: &str, period: i64) -> u128 {
        let counter = self.counters.get(&(quota.to_owned(), key.to_owned()));
        let record = counter.and_then(|counter| counter.records.get(&period));
        record.map_or(0, Record::used)
    }

    /// All alerts so far.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// The period of a quota around a time.
    #[must_use]
    pub fn period(&self, wall_ns: u64, quota: &str) -> Option<Period> {
        let quota = &self.quotas[self.find(quota)?];
        Some(quota.period(wall_ns.max(self.latest_wall_ns)))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.quotas.iter().position(|quota| quota.name == name)
    }

    fn see(&mut self, wall_ns: u64) {
        self.latest_wall_ns = self.latest_wall_ns.max(wall_ns);
    }

    /// The quotas in `mode` that a call meets by itself. Of one kind, unit and cycle those for exactly this name
    /// take the place of those for every name.
    fn direct(&self, call: &Call, mode: Mode) -> Vec<Meeting> {
        let name = |quota: &Quota| name_of(&call.request, quota.kind);
        let exactly = |quota: &Quota| {
            quota.mode == mode
                && matches!(&quota.pattern, Pattern::Exact(_))
                && name(quota) == quota.own_key()
        };
        let replaced = |quota: &Quota| {
            let alike = |other: &&Quota| {
                (other.kind, other.counted, other.cycle) == (quota.kind, quota.counted, quota.cycle)
            };
            self.quotas.iter().filter(alike).any(exactly)
        };
        let meets = |quota: &Quota| match quota.pattern {
            Pattern::Exact(_) => exactly(quota),
            Pattern::Any => quota.mode == mode && !replaced(quota),
        };
        let places = 0..self.quotas.len();
        places
            .filter(|place| meets(&self.quotas[*place]))
            .filter_map(|place| Some((place, name(&self.quotas[place])?)))
            .collect()
    }

    /// The enforced quotas that a call meets by itself, and all their ancestors, each once.
    fn enforced(&self, call: &Call) -> Vec<Meeting> {
        let direct = self.direct(call, Mode::Enforce);
        let mut all: BTreeMap<usize, String> = direct.iter().cloned().collect();
        for (place, _) in direct {
            let mut seen = BTreeSet::from([place]);
            let mut at = place;
            while let Some(parent) = self.quotas[at].parent.as_ref().and_then(|parent| self.find(parent)) {
                at = parent;
                if !seen.insert(at) || self.quotas[at].mode == Mode::Shadow {
                    break;
                }
                let key = match self.quotas[at].pattern {
                    Pattern::Exact(_) => self.quotas[at].own_key(),
                    Pattern::Any => name_of(&call.request, self.quotas[at].kind),
                };
                all.extend(key.map(|key| (at, key)));
            }
        }
        all.into_iter().collect()
    }

    fn shadows(&self, call: &Call) -> Vec<Meeting> {
        self.direct(call, Mode::Shadow)
    }

    /// Makes the name known to the quota, and tells whether there is room for the amount.
    fn meet(&mut self, meeting: &Meeting, amounts: &Amounts) -> bool {
        let (place, key) = meeting;
        let quota = self.quotas[*place].clone();
        let id = (quota.name.clone(), key.clone());
        if !self.counters.contains_key(&id) {
            self.numbered += 1;
            self.counters.insert(id.clone(), Counter::new(self.numbered));
        }
        let record = self.record(&quota, &self.counters[&id], self.latest_wall_ns);
        match quota.counted {
            Counted::Errors => record.used() < u128::from(quota.limit),
            Counted::LatencyP99 => !is_slow(&quota, &record),
            _ => {
                let amount = amounts.of(quota.counted);
                amount == 0 || record.used() + record.reserved() + amount <= record.capacity(quota.limit)
            }
        }
    }

    /// Charges a counter, and tells what it waits for.
    fn take(&mut self, meeting: &Meeting, amounts: &Amounts, taking: Taking) -> Option<Hold> {
        let (place, key) = meeting;
        let quota = self.quotas[*place].clone();
        self.numbered += 1;
        let number = self.numbered;
        let period = quota.period(self.latest_wall_ns).index;
        let wall_ns = self.latest_wall_ns;
        let record = self.open(meeting);
        let amount = amounts.of(quota.counted);
        let reservation = match (quota.counted.is_observed(), taking) {
            (true, _) => None,
            (false, Taking::Final) => {
                record.entries.push(Entry { amount, held: None });
                record.give_back(wall_ns, amounts.back(quota.counted));
                None
            }
            (false, Taking::Reserved) => {
                record.entries.push(Entry { amount, held: Some(Held { number, settled: None }) });
                Some(number)
            }
        };
        let counter = self.counter_mut(meeting);
        counter.counts.allowed += 1;
        let born = counter.born;
        self.tell(meeting);
        let waits = quota.counted.is_observed() || reservation.is_some();
        waits.then(|| Hold { quota: quota.name, key: key.clone(), period, born, reservation })
    }

    /// The record of the current period, to write into.
    fn open(&mut self, meeting: &Meeting) -> &mut Record {
        let quota = &self.quotas[meeting.0];
        let period = quota.period(self.latest_wall_ns).index;
        let fresh = match self.record(quota, self.counter(meeting), self.latest_wall_ns) {
            Cow::Owned(fresh) => Some(fresh),
            Cow::Borrowed(_) => None,
        };
        let counter = self.counter_mut(meeting);
        counter.first.get_or_insert(period);
        if let Some(fresh) = fresh {
            counter.records.insert(period, fresh);
        }
        counter.records.get_mut(&period).expect("a record that was there, or is now")
    }

    /// The record of the period around `wall_ns`: the one that there is, or one with nothing used.
    fn record<'a>(&self, quota: &Quota, counter: &'a Counter, wall_ns: u64) -> Cow<'a, Record> {
        let period = quota.period(wall_ns);
        if let Some(record) = counter.records.get(&period.index) {
            return Cow::Borrowed(record);
        }
        let limit = self.limit_before(quota, period.start_ns);
        let most = quota.share(limit);
        let carry = match counter.records.get(&(period.index - 1)) {
            _ if counter.first.is_none_or(|first| period.index <= first) => 0,
            None => most, // the period before was not used at all
            Some(before) => most.min(before.capacity(limit).saturating_sub(before.taken_at_end())),
        };
        // Nothing was used of the period yet, but its limit may have changed.
        let since = self.limits[&quota.name].iter().filter(|(from, _)| *from >= period.start_ns);
        let least = since.map(|(_, limit)| quota.share(*limit)).min();
        Cow::Owned(Record::new(period, least.map_or(carry, |least| carry.min(least))))
    }

    /// The limit that stood until `end_ns`.
    fn limit_before(&self, quota: &Quota, end_ns: u64) -> u64 {
        let limits = &self.limits[&quota.name];
        let last = limits.iter().rev().find(|(from, _)| *from < end_ns);
        last.map_or(limits[0].1, |(_, limit)| *limit)
    }

    fn wait(&self, quota: &Quota, amounts: &Amounts) -> Wait {
        let most = u128::from(quota.limit) * u128::from(100 + quota.rollover_percent) / 100;
        if !quota.counted.is_observed() && amounts.of(quota.counted) > most {
            return Wait::Never;
        }
        Wait::Nanos(quota.period(self.latest_wall_ns).end_ns - self.latest_wall_ns)
    }

    /// Raises the alerts of the present period that are reached and were not raised.
    fn tell(&mut self, meeting: &Meeting) {
        let quota = self.quotas[meeting.0].clone();
        let wall_ns = self.latest_wall_ns;
        let Some(record) = self.present(meeting) else { return };
        let raised = reached(&quota, record).into_iter().filter(|percent| record.alerted.insert(*percent));
        let alert = |percent| Alert { quota: quota.name.clone(), key: meeting.1.clone(), percent, wall_ns };
        let raised: Vec<Alert> = raised.map(alert).collect();
        self.alerts.extend(raised);
    }

    /// The record of the present period, if the name took something in it.
    fn present(&mut self, meeting: &Meeting) -> Option<&mut Record> {
        let period = self.quotas[meeting.0].period(self.latest_wall_ns).index;
        self.counter_mut(meeting).records.get_mut(&period)
    }

    /// All names that a quota has met.
    fn meetings(&self, place: usize) -> Vec<Meeting> {
        let names = self.counters.keys().filter(|(quota, _)| *quota == self.quotas[place].name);
        names.map(|(_, key)| (place, key.clone())).collect()
    }

    /// The counter to which a hold belongs, unless its quota was removed.
    fn held(&self, hold: &Hold) -> Option<Meeting> {
        let counter = self.counters.get(&(hold.quota.clone(), hold.key.clone()))?;
        let place = self.find(&hold.quota)?;
        (counter.born == hold.born).then(|| (place, hold.key.clone()))
    }

    fn counter(&self, (place, key): &Meeting) -> &Counter {
        &self.counters[&(self.quotas[*place].name.clone(), key.clone())]
    }

    fn counter_mut(&mut self, (place, key): &Meeting) -> &mut Counter {
        let id = (self.quotas[*place].name.clone(), key.clone());
        self.counters.get_mut(&id).expect("a quota that was met has a counter")
    }
}

/// Whether the 99th percentile of a period is above the limit.
fn is_slow(quota: &Quota, record: &Record) -> bool {
    let limit_ns = u128::from(quota.limit) * 1_000_000;
    record.percentile_99_ns().is_some_and(|latency| u128::from(latency) > limit_ns)
}

/// The levels of usage that are reached. What is too slow has reached the last of them.
fn reached(quota: &Quota, record: &Record) -> Vec<u64> {
    let taken = (record.used() + record.reserved()) * 100;
    let capacity = record.capacity(quota.limit);
    let is_reached = |percent: u64| match quota.counted {
        Counted::LatencyP99 => percent == 100 && is_slow(quota, record),
        _ => taken >= capacity * u128::from(percent),
    };
    ALERT_PERCENTS.into_iter().filter(|percent| is_reached(*percent)).collect()
}

impl Quota {
    /// The name of the only key of an exact quota.
    #[must_use]
    pub fn own_key(&self) -> Option<String> {
        match &self.pattern {
            Pattern::Exact(name) => Some(canonical(self.kind, name)),
            Pattern::Any => None,
        }
    }

    /// The period around a time.
    #[must_use]
    pub fn period(&self, wall_ns: u64) -> Period {
        period_at(self.anchor_ns, self.cycle, wall_ns)
    }
}
