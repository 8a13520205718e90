//! All limits together: every limit that a request meets is asked, then all are charged or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::meter::{Meter, Wait};
use super::rule::{Algorithm, Clocks, Kind, Limit, Request, Unit};
use super::scope::{bucket_of, matching};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes, after having been held back for `delay_ns`.
    Allow {
        /// The longest delay that a matching queue asks for; 0 without one.
        delay_ns: u64,
    },
    /// It is refused.
    Deny {
        /// The limit that refuses for the longest, of equals the first.
        limit: String,
        /// How long it refuses.
        retry: Wait,
    },
}

/// A verdict with its reasons; limits are given by name, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of the request.
    pub verdict: Verdict,
    /// The limits that it met.
    pub matched: Vec<String>,
    /// Those of them that refused it.
    pub refusing: Vec<String>,
}

impl Outcome {
    /// Whether the request passed.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allow { .. })
    }
}

/// What one limit has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that met this limit and passed.
    pub allowed: u64,
    /// Requests that this limit refused.
    pub denied: u64,
    /// Names that have met this limit.
    pub keys: u64,
}

/// Gives the hash of a name under a limit, which decides where its spread windows begin.
pub type Hash = dyn Fn(&Limit, &str) -> u64;

/// The model of the limiter.
pub struct Limiter {
    limits: Vec<Limit>,
    hash: Box<Hash>,
    meters: BTreeMap<(String, String), Meter>,
    counts: BTreeMap<String, Counts>,
    denied: BTreeMap<String, u64>,
    known: BTreeSet<(String, String)>,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("limits", &self.limits).field("meters", &self.meters).finish()
    }
}

impl Limiter {
    /// A limiter with nothing used. `hash` is asked once for each name that meets a limit.
    #[must_use]
    pub fn new(limits: Vec<Limit>, hash: impl Fn(&Limit, &str) -> u64 + 'static) -> Self {
        Self {
            limits,
            hash: Box::new(hash),
            meters: BTreeMap::new(),
            counts: BTreeMap::new(),
            denied: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// The limits, in their order.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Decides `request` and charges for it if it passes.
    pub fn decide(&mut self, now: Clocks, request: &Request) -> Outcome {
        let outcome = self.check(now, request);
        if outcome.allowed() {
            self.charge(request);
        }
        outcome
    }

    /// Decides `request` and charges nothing. A refusal is counted.
    pub fn check(&mut self, now: Clocks, request: &Request) -> Outcome {
        let met = self.met_by(request);
        for limit in &met {
            self.touch(now, limit, request);
        }
        let refusing: Vec<Limit> = met
            .iter()
            .filter(|limit| !self.met(limit, request).allows(now, request.amount(limit.unit)))
            .cloned()
            .collect();
        let verdict = if refusing.is_empty() {
            self.allow(now, &met, request)
        } else {
            self.deny(now, &refusing, request)
        };
        let names = |limits: &[Limit]| limits.iter().map(|limit| limit.name.clone()).collect();
        Outcome { verdict, matched: names(&met), refusing: names(&refusing) }
    }

    /// Charges `request`, which has just passed a [`Limiter::check`].
    pub fn charge(&mut self, request: &Request) {
        for limit in self.met_by(request) {
            self.met_mut(&limit, request).charge(request.amount(limit.unit));
            self.counts.entry(limit.name).or_default().allowed += 1;
        }
    }

    /// Of the limits that `request` has met, the one with the least part of its capacity left, of equals
    /// the first. A limit that limits nothing comes last.
    #[must_use]
    pub fn tightest(&self, now: Clocks, request: &Request) -> Option<&Limit> {
        matching(&self.limits, request)
            .into_iter()
            .map(|index| &self.limits[index])
            .filter_map(|limit| Some((limit, self.meter(&limit.name, &met_name(limit, request))?)))
            .min_by_key(|(_, meter)| (meter.holds(now).is_none(), meter.fraction_left(now)))
            .map(|(limit, _)| limit)
    }

    /// The meter of `name` under the limit `limit`, once a request has met it.
    #[must_use]
    pub fn meter(&self, limit: &str, name: &str) -> Option<&Meter> {
        self.meters.get(&(limit.to_owned(), name.to_owned()))
    }

    /// All meters that there are, each with the names of its limit and of its key.
    pub fn meters(&self) -> impl Iterator<Item = (&str, &str, &Meter)> {
        self.meters.iter().map(|((limit, name), meter)| (limit.as_str(), name.as_str(), meter))
    }

    /// As [`Limiter::meter`], to grant, refund, drain.
    pub fn meter_mut(&mut self, limit: &str, name: &str) -> Option<&mut Meter> {
        self.meters.get_mut(&(limit.to_owned(), name.to_owned()))
    }

    /// Lets every name begin again under a limit, with nothing used.
    pub fn reset(&mut self, limit: &str) {
        self.meters.retain(|(owner, _), _| owner != limit);
    }

    /// Changes a limit while it is in use; each name keeps what it has used.
    pub fn change(&mut self, now: Clocks, limit: &str, algorithm: Algorithm) {
        for changed in self.limits.iter_mut().filter(|known| known.name == limit) {
            changed.algorithm = algorithm;
        }
        for ((owner, _), meter) in &mut self.meters {
            if owner == limit {
                meter.change(now, algorithm);
            }
        }
    }

    /// Enables a limit or disables it; what was used stays, and fades as ever.
    pub fn set_enabled(&mut self, limit: &str, enabled: bool) {
        for changed in self.limits.iter_mut().filter(|known| known.name == limit) {
            changed.enabled = enabled;
        }
    }

    /// What the limit `limit` has counted.
    #[must_use]
    pub fn counts(&self, limit: &str) -> Counts {
        self.counts.get(limit).copied().unwrap_or_default()
    }

    /// The `most` names that were refused most often, each with how often, ties by name. A name refused by
    /// two limits of the same kind and unit at once counts twice.
    #[must_use]
    pub fn top_denied(&self, most: usize) -> Vec<(String, u64)> {
        let mut worst: Vec<(String, u64)> =
            self.denied.iter().map(|(name, count)| (name.clone(), *count)).collect();
        worst.sort_by(|(a_name, a), (b_name, b)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
        worst.truncate(most);
        worst
    }

    /// The limits that `request` meets; none if it is exempt.
    fn met_by(&self, request: &Request) -> Vec<Limit> {
        if request.exempt {
            return Vec::new();
        }
        matching(&self.limits, request).into_iter().map(|index| self.limits[index].clone()).collect()
    }

    fn allow(&self, now: Clocks, met: &[Limit], request: &Request) -> Verdict {
        let delay = |limit: &Limit| self.met(limit, request).delay_ns(now, request.amount(limit.unit));
        Verdict::Allow { delay_ns: met.iter().map(delay).max().unwrap_or(0) }
    }

    fn deny(&mut self, now: Clocks, refusing: &[Limit], request: &Request) -> Verdict {
        let mut longest: Option<(&Limit, Wait)> = None;
        for limit in refusing {
            let retry = self.met(limit, request).retry(now, request.amount(limit.unit));
            if longest.is_none_or(|(_, other)| retry > other) {
                longest = Some((limit, retry));
            }
            self.counts.entry(limit.name.clone()).or_default().denied += 1;
            *self.denied.entry(key_name(limit, request)).or_default() += 1;
        }
        let (limit, retry) = longest.expect("a denial has a limit that refuses");
        Verdict::Deny { limit: limit.name.clone(), retry }
    }

    /// Opens the meter that `request` meets under `limit`, or lets it see the time.
    fn touch(&mut self, now: Clocks, limit: &Limit, request: &Request) {
        let name = met_name(limit, request);
        if let Some(meter) = self.meter_mut(&limit.name, &name) {
            meter.see(now);
            return;
        }
        let meter = Meter::new(limit.algorithm, (self.hash)(limit, &name), now);
        let key = (limit.name.clone(), name);
        if self.known.insert(key.clone()) {
            self.counts.entry(limit.name.clone()).or_default().keys += 1;
        }
        self.meters.insert(key, meter);
    }

    fn met(&self, limit: &Limit, request: &Request) -> &Meter {
        self.meter(&limit.name, &met_name(limit, request)).expect("a limit that was met has a meter")
    }

    fn met_mut(&mut self, limit: &Limit, request: &Request) -> &mut Meter {
        self.meter_mut(&limit.name, &met_name(limit, request)).expect("a limit that was met has a meter")
    }
}

/// The name under which `request` meets `limit`.
fn met_name(limit: &Limit, request: &Request) -> String {
    bucket_of(limit, request).expect("a limit matches by a name that the request carries")
}

/// How a name is written in a report: `kind:name`, and the unit where it is not requests.
fn key_name(limit: &Limit, request: &Request) -> String {
    let name = format!("{}:{}", limit.kind.name(), met_name(limit, request));
    match limit.unit {
        Unit::Requests => name,
        unit => format!("{name}#{}", unit.name()),
    }
}

/// The limits that are shipped: for calls that go out to named services or to any provider, and for inbound
/// endpoint groups, there for each client, all per minute.
#[must_use]
pub fn shipped_limits(per_minute: impl Fn(u64) -> Algorithm) -> Vec<Limit> {
    [
        ("service:github", 60),
        ("service:reddit", 60),
        ("service:openai", 500),
        ("provider:*", 100),
        ("provider:openai", 500),
        ("route:github:get", 60),
        ("route:reddit:get", 60),
        ("route:openai:post", 500),
        ("group:chat", 300),
        ("group:memory", 100),
        ("group:*", 200),
    ]
    .map(|(scope, count)| {
        let limit = Limit::on(scope, per_minute(count));
        if limit.kind == Kind::Group { limit.per_client() } else { limit }
    })
    .to_vec()
}
