//! The models' words in those of the engine.

use governance::decision::Wait as EngineWait;
use governance::limit::{
    Align as EngineAlign, BucketShape, LimitName, LimitSpec, LimitState, Per, RateLimitAlgorithm, WindowShape,
};
use governance::mode::Mode;
use governance::request::{Request as EngineRequest, Unit as EngineUnit};
use governance::scope::{HashSecret, KeyName, Kind as EngineKind, NameRef, Scope};
use governance::time::{Instant, Nanos, Now, WallTime};
use governance::units::Rate;
use sim::oracle::rule::{Align, Clocks, Kind, Limit, Pattern, Request, Unit};
use sim::oracle::{Algorithm, Wait};

pub(crate) fn now(clocks: Clocks) -> Now {
    Now { instant: Instant(clocks.instant_ns), wall: WallTime(clocks.wall_ns) }
}

pub(crate) fn wait(wait: Wait) -> EngineWait {
    match wait {
        Wait::Nanos(nanos) => EngineWait::For(Nanos(nanos)),
        Wait::Never => EngineWait::Never,
    }
}

pub(crate) fn spec(limit: &Limit) -> LimitSpec {
    let name = match &limit.pattern {
        Pattern::Any => "*",
        Pattern::Exact(name) => name,
    };
    LimitSpec {
        name: LimitName::new(&limit.name).expect("a short name"),
        scope: Scope::parse(&format!("{}:{name}", limit.kind.name())).expect("a scope"),
        per: if limit.per_client { Per::Client } else { Per::Name },
        algorithm: algorithm(&limit.algorithm),
        unit: match limit.unit {
            Unit::Requests => EngineUnit::Requests,
            Unit::Bytes => EngineUnit::Bytes,
            Unit::Tokens => EngineUnit::Tokens,
        },
        state: state(limit.enabled),
        mode: Mode::Enforce,
    }
}

pub(crate) fn state(enabled: bool) -> LimitState {
    if enabled { LimitState::Enabled } else { LimitState::Disabled }
}

pub(crate) fn algorithm(algorithm: &Algorithm) -> RateLimitAlgorithm {
    let bucket = |capacity, tokens, per_ns| BucketShape {
        capacity,
        rate: Rate { count: tokens, period: Nanos(per_ns) },
    };
    let window = |limit, window_ns, align| WindowShape {
        limit,
        window: Nanos(window_ns),
        align: match align {
            Align::Spread => EngineAlign::Spread,
            Align::Clock => EngineAlign::Clock,
        },
    };
    match *algorithm {
        Algorithm::TokenBucket { capacity, tokens, per_ns } => {
            RateLimitAlgorithm::TokenBucket(bucket(capacity, tokens, per_ns))
        }
        Algorithm::LeakyBucket { capacity, tokens, per_ns } => {
            RateLimitAlgorithm::LeakyBucket(bucket(capacity, tokens, per_ns))
        }
        Algorithm::LeakyQueue { capacity, tokens, per_ns } => {
            RateLimitAlgorithm::LeakyQueue(bucket(capacity, tokens, per_ns))
        }
        Algorithm::FixedWindow { limit, window_ns, align } => {
            RateLimitAlgorithm::FixedWindow(window(limit, window_ns, align))
        }
        Algorithm::SlidingCounter { limit, window_ns, align } => {
            RateLimitAlgorithm::SlidingWindow(window(limit, window_ns, align))
        }
        Algorithm::SlidingLog { limit, window_ns } => {
            RateLimitAlgorithm::SlidingLog(window(limit, window_ns, Align::Spread))
        }
        Algorithm::Unlimited => RateLimitAlgorithm::Unlimited,
        Algorithm::Ban => RateLimitAlgorithm::Ban,
    }
}

/// A path that the routes of the tests lead to the group `exempt`.
pub(crate) const EXEMPT_PATH: &str = "/healthz";

pub(crate) fn request(request: &Request) -> EngineRequest<'_> {
    fn name(name: &Option<String>) -> Option<NameRef<'_>> {
        name.as_deref().map(|name| NameRef::new(name).expect("a name"))
    }
    EngineRequest {
        service: name(&request.service),
        user: name(&request.user),
        tenant: name(&request.tenant),
        ip: request.ip,
        key: name(&request.key),
        session: name(&request.session),
        actor: name(&request.actor),
        // What is exempt is so by its path, as long as no group is given.
        path: request.exempt.then_some(EXEMPT_PATH.as_bytes()),
        group: name(&request.group).filter(|_| !request.exempt),
        provider: name(&request.provider),
        route: name(&request.route),
        cost: request.cost,
        bytes: request.bytes,
        tokens: request.tokens,
        ..EngineRequest::default()
    }
}

pub(crate) fn key(kind: Kind, name: &str) -> (EngineKind, KeyName<'_>) {
    let kind = EngineKind::from_word(kind.name()).expect("the kinds are the same");
    (kind, KeyName::parse(kind, name).expect("a name of the kind"))
}

/// A key as the engine shows it: sessions and API keys of a scenario by their fingerprints.
#[allow(dead_code, reason = "not every test that shares this has keys or sessions")]
pub(crate) fn shown(secret: &HashSecret, mut name: String) -> String {
    for (kind, word) in [(Kind::Session, "s1"), (Kind::Session, "s2"), (Kind::Key, "k1"), (Kind::Key, "k2")] {
        let fingerprint = key(kind, word).1.to_name(secret);
        name = name.replace(&format!(":{word}"), &format!(":{fingerprint}"));
    }
    name
}

/// What a bucket's name stands for: the key, and the client where each has one of its own.
pub(crate) fn parts<'a>(limit: &Limit, name: &'a str) -> (KeyName<'a>, Option<KeyName<'a>>) {
    let (name, client) = match name.split_once(" client:") {
        Some((name, client)) if limit.per_client => (name, Some(key(Kind::Client, client).1)),
        _ => (name, None),
    };
    (key(limit.kind, name).1, client)
}

/// The hash that decides where spread windows begin: the engine's own.
pub(crate) fn hash(secret: HashSecret) -> impl Fn(&Limit, &str) -> u64 + 'static {
    move |limit, name| {
        let kind = EngineKind::from_word(limit.kind.name()).expect("the kinds are the same");
        let (name, client) = parts(limit, name);
        let hash = secret.hash(kind, name);
        client.map_or(hash, |client| secret.hash_client(hash, client)).0
    }
}
