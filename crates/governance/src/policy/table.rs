//! A set of policies, made ready for quick decisions: column by column.
//!
//! For each attribute there is a way from what a request bears to the set of policies that it satisfies, as a number of
//! 128 bits. The policies that match are what all of those have in common. No policy is looked at by itself:
//!
//! - Services, tenants, methods and roles are looked up in one [`Index`](index::Index) of all values, and so are
//!   headers: their names, whole values and beginnings of values.
//! - Of a path each beginning that is as long as one that is configured is looked up; the longest one that is known
//!   also says what shorter ones say.
//! - Addresses are found among the ranges between the ends of networks, by bisection.
//! - Classes and hours of the week are places of an array.

mod build;
mod hash;
mod index;
mod lengths;
mod networks;

use super::condition::HEADER_NAMES_MAX;
use super::context::{HOURS_PER_WEEK, PolicyContext, hour_of_week};
use super::decision::{PolicyDecision, PolicyReason};
use super::rule::{ActionKind, DefaultEffect};
use super::set::{PolicySet, RuleId, RuleSet};
use crate::request::{Header, RequestPriority};
use crate::scope::NameRef;
use hash::{Beginnings, Case, Key, Salt};
use index::{Entry, Index};
use lengths::Lengths;
use networks::Networks;

/// Attributes whose values are names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Service,
    Tenant,
    Method,
    Role,
    Path,
}

impl Named {
    const COUNT: usize = 5;

    const fn salt(self) -> Salt {
        match self {
            Self::Service => Salt::SERVICE,
            Self::Tenant => Salt::TENANT,
            Self::Method => Salt::METHOD,
            Self::Role => Salt::ROLE,
            Self::Path => Salt::PATH,
        }
    }

    const fn case(self) -> Case {
        match self {
            Self::Method => Case::Insensitive,
            _ => Case::Sensitive,
        }
    }
}

/// What the headers of a name satisfy.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// The policies that do not ask for a value of it, which a request without it satisfies.
    absent: u128,
    /// The policies that ask for it with any value.
    present_asked: u128,
    /// The policies that exclude it with any value.
    present_excluded: u128,
    value_lengths: Lengths,
    prefix_lengths: Lengths,
    number: u8,
}

impl Column {
    const EMPTY: Self = Self {
        absent: 0,
        present_asked: 0,
        present_excluded: 0,
        value_lengths: Lengths::EMPTY,
        prefix_lengths: Lengths::EMPTY,
        number: 0,
    };
}

/// What a set of policies says, column by column. All-zero when empty.
#[derive(Debug)]
pub(super) struct Table {
    /// The policies that are enabled and act.
    acting: u128,
    /// The policies that are enabled and in shadow mode.
    shadow: u128,
    denying: u128,
    allowing: u128,
    logging: u128,
    alerting: u128,
    throttling: u128,
    redirecting: u128,
    /// The policies that want a record of what they match.
    audited: u128,
    /// The policies that do not ask for a value, attribute by attribute.
    base: [u128; Named::COUNT],
    /// The policies that do not ask for an address.
    addressless: u128,
    classes: [u128; RequestPriority::ALL.len()],
    hours: [u128; HOURS_PER_WEEK as usize],
    path_lengths: Lengths,
    /// The lengths of the names of headers, up to 64, which is bit 0.
    name_lengths: u64,
    header_count: u8,
    columns: [Column; HEADER_NAMES_MAX],
    networks: Networks,
    index: Index,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            acting: 0,
            shadow: 0,
            denying: 0,
            allowing: 0,
            logging: 0,
            alerting: 0,
            throttling: 0,
            redirecting: 0,
            audited: 0,
            base: [0; Named::COUNT],
            addressless: 0,
            classes: [0; RequestPriority::ALL.len()],
            hours: [0; HOURS_PER_WEEK as usize],
            path_lengths: Lengths::EMPTY,
            name_lengths: 0,
            header_count: 0,
            columns: [Column::EMPTY; HEADER_NAMES_MAX],
            networks: Networks::new(),
            index: Index::new(),
        }
    }

    /// What the set of this table says of a request.
    pub(super) fn decide(&self, set: &PolicySet, context: &PolicyContext<'_>) -> PolicyDecision {
        let all = self.matching(set, context);
        let (matched, shadow) = (all & self.acting, all & self.shadow);
        let allowed = self.allows(matched, set.default_effect());
        // Whoever denies comes before all others: of a request that is denied without them the default speaks.
        let speaks = allowed || matched & self.denying != 0;
        let decider = RuleSet(matched).first().filter(|_| speaks);
        let reason = match decider {
            Some(_) => PolicyReason::Rule,
            None if set.is_empty() && allowed => PolicyReason::NoPolicy,
            None => PolicyReason::Default(set.default_effect()),
        };
        PolicyDecision {
            allowed,
            reason,
            enforcement_action: decider.map(|id| self.kind(id)),
            decider,
            matched: RuleSet(matched),
            shadow: RuleSet(shadow),
            would_allow: self.allows(matched | shadow, set.default_effect()),
            audit_id: 0,
        }
    }

    /// What a policy does.
    const fn kind(&self, id: RuleId) -> ActionKind {
        let bit = id.bit();
        if self.denying & bit != 0 {
            ActionKind::Deny
        } else if self.redirecting & bit != 0 {
            ActionKind::Redirect
        } else if self.throttling & bit != 0 {
            ActionKind::Throttle
        } else if self.alerting & bit != 0 {
            ActionKind::Alert
        } else if self.logging & bit != 0 {
            ActionKind::Log
        } else {
            ActionKind::Allow
        }
    }

    /// Which of the matched policies ask for a record.
    pub(super) const fn audited(&self, matched: RuleSet) -> RuleSet {
        RuleSet(matched.0 & self.audited)
    }

    /// Whether none of the matched policies allows or denies.
    pub(super) const fn is_undecided(&self, matched: RuleSet) -> bool {
        matched.0 & (self.denying | self.allowing) == 0
    }

    pub(super) const fn logs(&self, matched: RuleSet) -> bool {
        matched.0 & self.logging != 0
    }

    pub(super) const fn alerts(&self, matched: RuleSet) -> bool {
        matched.0 & self.alerting != 0
    }

    const fn allows(&self, matched: u128, default: DefaultEffect) -> bool {
        matched & self.denying == 0
            && (matched & self.allowing != 0 || matches!(default, DefaultEffect::Allow))
    }

    /// The enabled policies that match a request.
    fn matching(&self, set: &PolicySet, context: &PolicyContext<'_>) -> u128 {
        let hour = usize::from(hour_of_week(context.wall));
        let mut left = self.acting | self.shadow;
        left &= self.classes[context.priority as usize];
        left &= self.hours.get(hour).copied().unwrap_or(0);
        left &= self.named(set, Named::Service, context.service);
        left &= self.named(set, Named::Tenant, context.tenant);
        left &= self.named(set, Named::Method, context.method);
        left &= context.ip.map_or(self.addressless, |address| self.networks.satisfied(address));
        // Most requests match few policies, and the rest of the way is the longer part.
        if left != 0 {
            left &= self.roles(set, context.roles);
            left &= self.path(set, context.path);
            left &= self.headers(set, context.headers);
        }
        left
    }

    #[inline]
    fn named(&self, set: &PolicySet, of: Named, name: Option<NameRef<'_>>) -> u128 {
        let base = self.base[of as usize];
        name.and_then(|name| self.entry(set, of, name)).map_or(base, |entry| satisfied(base, entry))
    }

    fn roles(&self, set: &PolicySet, roles: &[NameRef<'_>]) -> u128 {
        let (mut asked, mut excluded) = (self.base[Named::Role as usize], 0);
        for entry in roles.iter().filter_map(|role| self.entry(set, Named::Role, *role)) {
            (asked, excluded) = (asked | entry.asked, excluded | entry.excluded);
        }
        asked & !excluded
    }

    #[inline]
    fn entry(&self, set: &PolicySet, of: Named, name: NameRef<'_>) -> Option<&Entry> {
        self.index.find(set, &Key::new(of.salt(), of.case(), name.as_str().as_bytes()))
    }

    fn path(&self, set: &PolicySet, path: Option<&[u8]>) -> u128 {
        let base = self.base[Named::Path as usize];
        let Some(path) = path.filter(|path| path.first() == Some(&b'/')) else { return base };
        let found = self.longest(set, Salt::PATH, &self.path_lengths, path, path.len());
        found.map_or(base, |entry| satisfied(base, entry))
    }

    fn headers(&self, set: &PolicySet, headers: &[Header<'_>]) -> u128 {
        let (mut seen, mut left) = (0_u32, u128::MAX);
        for header in headers {
            let text = header.name.as_bytes();
            if self.name_lengths & 1 << (text.len() % 64) == 0 {
                continue;
            }
            let key = Key::new(Salt::HEADER_NAME, Case::Insensitive, text);
            let Some(entry) = self.index.find(set, &key) else {
                continue;
            };
            let bit = 1 << (entry.number % 32);
            // Of several the first counts.
            if seen & bit == 0 {
                seen |= bit;
                left &= self.columns.get(usize::from(entry.number)).map_or(u128::MAX, |column| {
                    let (asked, excluded) = self.header_value(set, column, header.value);
                    (column.absent | asked) & !excluded
                });
            }
        }
        for column in &self.columns[..usize::from(self.header_count)] {
            if seen & 1 << (column.number % 32) == 0 {
                left &= column.absent;
            }
        }
        left
    }

    /// The policies that ask for a value of a header, and those that exclude it.
    fn header_value(&self, set: &PolicySet, column: &Column, text: &[u8]) -> (u128, u128) {
        let whole = column.value_lengths.contains(text.len()).then(|| {
            self.index.find(set, &Key::new(Salt::header_value(column.number), Case::Sensitive, text))
        });
        let prefix = || {
            let salt = Salt::header_prefix(column.number);
            self.longest(set, salt, &column.prefix_lengths, text, text.len())
        };
        let found = whole.flatten().or_else(prefix);
        found.map_or((column.present_asked, column.present_excluded), |entry| (entry.asked, entry.excluded))
    }

    /// The longest known prefix of a text, up to `most` bytes; of a path, of whole segments.
    fn longest(
        &self,
        set: &PolicySet,
        salt: Salt,
        lengths: &Lengths,
        text: &[u8],
        most: usize,
    ) -> Option<&Entry> {
        let mut beginnings = Beginnings::new(salt, text);
        let mut found = None;
        lengths.each(most.min(text.len()), |length| {
            if salt != Salt::PATH || text.get(length).is_none_or(|&byte| byte == b'/') {
                found = self.index.find(set, &beginnings.key(length)).or(found);
            }
        });
        found
    }
}

/// The policies that a value satisfies: those that ask for none or for this one, less those that exclude it.
#[inline]
fn satisfied(base: u128, entry: &Entry) -> u128 {
    (base | entry.asked) & !entry.excluded
}
