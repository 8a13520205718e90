//! Which keys were refused, and how often: a report over the whole table, made when somebody asks.

use super::registry::Entry;
use super::{LimitId, RateLimiter};
use crate::request::Unit;
use crate::scope::{BucketName, KeyHash, Kind};
use core::fmt;

/// What the keys that share an overflow bucket are called together.
pub const OVERFLOW_NAME: &str = "(overflow)";

/// A key that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeniedKey {
    /// What the key stands for.
    pub kind: Kind,
    /// What it is called.
    pub name: BucketName,
    /// The unit of the limits that refused it.
    pub unit: Unit,
    /// How often they did, all limits on this kind and unit together.
    pub denied: u64,
}

/// Written like a limit's name: `kind:name`, with `#unit` unless that is requests.
impl fmt::Display for DeniedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)?;
        match self.unit {
            Unit::Requests => Ok(()),
            unit => write!(f, "#{}", unit.word()),
        }
    }
}

impl<const KEYS: usize, const LOG: usize> RateLimiter<KEYS, LOG> {
    /// Calls `each` with every key that was refused, once for each unit, in no particular order. Keys that share an
    /// overflow bucket are one, [`OVERFLOW_NAME`]; refusals of a key that has made room for another are forgotten.
    pub fn each_denied_key(&self, mut each: impl FnMut(DeniedKey)) {
        for place in self.table.places() {
            let slot = self.table.slot(place);
            if slot.denied > 0 {
                let (id, entry) = (LimitId(slot.limit), self.registry.entry(LimitId(slot.limit)));
                self.report(id, entry, slot.hash, self.bucket_name(place), &mut each);
            }
        }
        for id in self.registry.ids() {
            let entry = self.registry.entry(id);
            if !entry.is_keyed()
                && entry.stats.denied > 0
                && let Some(key) = entry.spec.scope.key()
            {
                let name = BucketName::excerpt(key.to_name(&self.secret).as_str());
                self.report(id, entry, entry.hash, name, &mut each);
            }
            if entry.stats.overflow_denied > 0 {
                self.report_overflow(id, entry, &mut each);
            }
        }
    }

    /// Reports the overflow of a kind and unit for the first of the limits in which it was refused.
    fn report_overflow(&self, id: LimitId, entry: &Entry, each: &mut impl FnMut(DeniedKey)) {
        let (kind, unit) = (entry.spec.scope.kind, entry.spec.unit);
        let refusing = || {
            let limits = self.registry.ids().map(|id| (id, self.registry.entry(id)));
            limits.filter(|(_, other)| {
                let is_of_them = (other.spec.scope.kind, other.spec.unit) == (kind, unit);
                is_of_them && other.stats.overflow_denied > 0
            })
        };
        if refusing().next().is_some_and(|(first, _)| first == id) {
            let denied = refusing().map(|(_, other)| other.stats.overflow_denied).sum();
            each(DeniedKey { kind, name: BucketName::excerpt(OVERFLOW_NAME), unit, denied });
        }
    }

    /// Reports a key for the first of the limits that have refused it.
    fn report(
        &self,
        id: LimitId,
        entry: &Entry,
        hash: KeyHash,
        name: BucketName,
        each: &mut impl FnMut(DeniedKey),
    ) {
        let (kind, unit) = (entry.spec.scope.kind, entry.spec.unit);
        let mut denied = 0;
        let mut is_first = true;
        let mut add = |(other, times)| {
            is_first &= denied > 0 || other == id;
            denied += times;
        };
        if entry.is_per_client() {
            self.refusals_of_client(kind, unit, hash).for_each(&mut add);
        } else {
            self.refusals(kind, unit, hash).for_each(&mut add);
        }
        if !is_first {
            return;
        }
        each(DeniedKey { kind, name, unit, denied });
    }

    /// The limits on a kind and unit that have refused a key, each with how often.
    fn refusals(&self, kind: Kind, unit: Unit, hash: KeyHash) -> impl Iterator<Item = (LimitId, u64)> + '_ {
        self.chain(self.registry.first_wildcard(kind))
            .chain(self.chain(self.registry.first_exact(kind, hash)))
            .filter(move |(_, entry)| entry.spec.unit == unit && entry.spec.scope.kind == kind)
            .filter(|(_, entry)| !entry.is_per_client())
            .filter_map(move |(id, entry)| {
                let denied = if entry.is_wildcard() {
                    u64::from(self.table.slot(self.table.find(id.0, hash)?).denied)
                } else if entry.hash == hash {
                    entry.stats.denied
                } else {
                    0
                };
                (denied > 0).then_some((id, denied))
            })
    }

    /// The limits per client on a kind and unit that have refused a client of a key, each with how often.
    fn refusals_of_client(
        &self,
        kind: Kind,
        unit: Unit,
        hash: KeyHash,
    ) -> impl Iterator<Item = (LimitId, u64)> + '_ {
        let limits = self.registry.ids().map(|id| (id, self.registry.entry(id)));
        limits
            .filter(move |(_, entry)| entry.is_per_client())
            .filter(move |(_, entry)| entry.spec.unit == unit && entry.spec.scope.kind == kind)
            .filter_map(move |(id, _)| {
                let denied = u64::from(self.table.slot(self.table.find(id.0, hash)?).denied);
                (denied > 0).then_some((id, denied))
            })
    }

    fn chain(&self, first: u16) -> impl Iterator<Item = (LimitId, &Entry)> + '_ {
        let mut link = first;
        core::iter::from_fn(move || {
            let (id, entry, next) = self.registry.follow(link)?;
            link = next;
            Some((id, entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimiter;
    use crate::field::FieldValue;
    use crate::limit::LimitDraft;
    use crate::rate_limiter::Access;
    use crate::request::{Request, Subject};
    use crate::scope::NameRef;
    use crate::time::Now;
    use std::collections::BTreeMap;

    #[test]
    fn refusals_of_one_key_by_several_limits_add_up() {
        let mut limiter = RateLimiter::<16, 16>::new();
        for (scope, name, capacity, unit) in [
            ("user:*", "a", "1", "requests"),
            ("user:*", "b", "2", "requests"),
            ("user:*", "c", "1", "tokens"),
            ("user:eve", "d", "1", "requests"),
            ("user:eve", "e", "1", "requests"),
        ] {
            let mut draft = LimitDraft::default();
            for (field, value) in [
                ("scope", scope),
                ("name", name),
                ("algorithm", "token-bucket"),
                ("capacity", capacity),
                ("rate", "1/1d"),
                ("unit", unit),
            ] {
                draft.set(field, FieldValue::Text(value)).unwrap();
            }
            limiter.add(&draft.finish().unwrap()).unwrap();
        }
        for (user, tokens) in
            [("bob", 1), ("bob", 1), ("bob", 0), ("eve", 0), ("eve", 0), ("eve", 0), ("eve", 3)]
        {
            let request = Request { user: NameRef::new(user).ok(), tokens, ..Request::default() };
            let subject = Subject { request: &request, group: None };
            if let Ok(clearance) = limiter.check(Now::default(), &subject, Access::Charge) {
                limiter.charge(&subject, clearance);
            }
        }
        let mut denied = BTreeMap::new();
        limiter.each_denied_key(|key| assert_eq!(denied.insert(key.to_string(), key.denied), None));
        // bob: refused twice by a (and once of those by c); eve: three times by d and by e, once by c.
        let expected = [("user:bob", 2), ("user:bob#tokens", 1), ("user:eve", 6), ("user:eve#tokens", 1)];
        assert_eq!(denied, expected.map(|(key, times)| (key.to_string(), times)).into());
    }

    #[test]
    fn refusals_of_keys_without_a_place_are_reported_together() {
        let mut limiter = RateLimiter::<1, 16>::new();
        for name in ["a", "b"] {
            let mut draft = LimitDraft::default();
            for (field, value) in [
                ("scope", "user:*"),
                ("name", name),
                ("algorithm", "token-bucket"),
                ("capacity", "1"),
                ("rate", "1/1d"),
            ] {
                draft.set(field, FieldValue::Text(value)).unwrap();
            }
            limiter.add(&draft.finish().unwrap()).unwrap();
        }
        for user in ["ann", "bob", "cy", "bob"] {
            let request = Request { user: NameRef::new(user).ok(), ..Request::default() };
            let subject = Subject { request: &request, group: None };
            if let Ok(clearance) = limiter.check(Now::default(), &subject, Access::Charge) {
                limiter.charge(&subject, clearance);
            }
        }
        let mut denied = BTreeMap::new();
        limiter.each_denied_key(|key| assert_eq!(denied.insert(key.to_string(), key.denied), None));
        // ann has the one place with limit a and shares b's overflow bucket, so that the others share with her.
        let overflow: u64 =
            limiter.limits().map(|(id, _)| limiter.get_limit_stats(id).unwrap().overflow_denied).sum();
        assert!(overflow > 0);
        assert_eq!(denied, [("user:(overflow)".to_string(), overflow)].into());
    }
}
