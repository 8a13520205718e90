//! How a table is made.

use super::hash::{Case, Key, Salt};
use super::index::Origin;
use super::lengths::Lengths;
use super::{Column, Named, Table};
use crate::mode::Mode;
use crate::policy::condition::{Atom, AtomValue, CONDITION_TEXT_BYTES, Sense};
use crate::policy::context::HOURS_PER_WEEK;
use crate::policy::rule::{ActionKind, PolicyRule};
use crate::policy::set::{PolicySet, RuleId};
use crate::request::RequestPriority;
use core::ops::Range;

impl Table {
    /// Makes it that of a set, whose values and headers are as few as an engine allows.
    pub(in crate::policy) fn build(&mut self, set: &PolicySet) {
        let every = set.iter().fold(0, |every, (id, _)| every | id.bit());
        self.index.clear();
        (self.acting, self.shadow, self.denying, self.allowing) = (0, 0, 0, 0);
        (self.logging, self.alerting, self.audited) = (0, 0, 0);
        (self.throttling, self.redirecting) = (0, 0);
        self.base = [every; Named::COUNT];
        self.addressless = every;
        self.classes = [0; RequestPriority::ALL.len()];
        self.hours = [0; HOURS_PER_WEEK as usize];
        self.path_lengths = Lengths::EMPTY;
        (self.name_lengths, self.header_count) = (0, 0);
        self.columns.fill(Column { absent: every, ..Column::EMPTY });
        for (id, rule) in set.iter() {
            self.note_effects(id, rule);
            self.note_masks(id, rule);
            for (place, atom) in rule.condition.atoms().enumerate() {
                self.note_atom(set, id, place, &atom);
            }
        }
        self.networks.build(set, self.addressless);
        self.inherit(set);
    }

    fn note_effects(&mut self, id: RuleId, rule: &PolicyRule) {
        let bit = id.bit();
        match rule.mode {
            _ if !rule.enabled => {}
            Mode::Enforce => self.acting |= bit,
            Mode::Shadow => self.shadow |= bit,
        }
        let kind = rule.action.kind();
        match kind {
            ActionKind::Deny => self.denying |= bit,
            ActionKind::Allow => self.allowing |= bit,
            ActionKind::Log => self.logging |= bit,
            ActionKind::Alert => self.alerting |= bit,
            ActionKind::Throttle => self.throttling |= bit,
            ActionKind::Redirect => self.redirecting |= bit,
        }
        if rule.audit_log || matches!(kind, ActionKind::Log | ActionKind::Alert) {
            self.audited |= bit;
        }
    }

    fn note_masks(&mut self, id: RuleId, rule: &PolicyRule) {
        for (class, satisfied) in RequestPriority::ALL.into_iter().zip(&mut self.classes) {
            *satisfied |= if rule.condition.admits_class(class) { id.bit() } else { 0 };
        }
        for (hour, satisfied) in (0..).zip(&mut self.hours) {
            *satisfied |= if rule.condition.admits_hour(hour) { id.bit() } else { 0 };
        }
    }

    /// Takes note of a value. Each policy starts among those that a request without the attribute satisfies, and is
    /// taken out when it asks for a value.
    fn note_atom(&mut self, set: &PolicySet, rule: RuleId, place: usize, atom: &Atom<'_>) {
        let Some(condition) = set.get(rule).map(|rule| &rule.condition) else { return };
        let (of_name, of_value) = condition.atom_texts(place);
        let origin = |text: Range<u16>| Origin { rule, start: text.start, length: text.end - text.start };
        let (header, origin) = (origin(of_name), origin(of_value));
        let sense = atom.sense;
        match atom.value {
            AtomValue::Service(text) => self.note_name(set, Named::Service, text, sense, origin),
            AtomValue::Tenant(text) => self.note_name(set, Named::Tenant, text, sense, origin),
            AtomValue::Method(text) => self.note_name(set, Named::Method, text, sense, origin),
            AtomValue::Role(text) => self.note_name(set, Named::Role, text, sense, origin),
            AtomValue::Path(text) => {
                self.path_lengths.insert(text.len());
                self.note_name(set, Named::Path, text, sense, origin);
            }
            AtomValue::Ip(_) => self.addressless &= !asking(rule, sense),
            AtomValue::HeaderPresent { name } => {
                if let Some(column) = self.column(set, name, sense, header) {
                    mark(&mut column.present_asked, &mut column.present_excluded, rule, sense);
                }
            }
            AtomValue::HeaderEquals { name, value } => {
                if let Some(column) = self.column(set, name, sense, header) {
                    column.value_lengths.insert(value.len());
                    let salt = Salt::header_value(column.number);
                    self.note_text(set, salt, Case::Sensitive, value, sense, origin);
                }
            }
            AtomValue::HeaderPrefix { name, prefix } => {
                if let Some(column) = self.column(set, name, sense, header) {
                    column.prefix_lengths.insert(prefix.len());
                    let salt = Salt::header_prefix(column.number);
                    self.note_text(set, salt, Case::Sensitive, prefix, sense, origin);
                }
            }
        }
    }

    fn note_name(&mut self, set: &PolicySet, of: Named, text: &str, sense: Sense, origin: Origin) {
        self.base[of as usize] &= !asking(origin.rule, sense);
        self.note_text(set, of.salt(), of.case(), text, sense, origin);
    }

    fn note_text(
        &mut self,
        set: &PolicySet,
        salt: Salt,
        case: Case,
        text: &str,
        sense: Sense,
        origin: Origin,
    ) {
        let key = Key::new(salt, case, text.as_bytes());
        if let Some(place) = self.index.place(set, &key, origin) {
            let entry = self.index.entry_mut(place);
            mark(&mut entry.asked, &mut entry.excluded, origin.rule, sense);
        }
    }

    /// The column of a header's name, which is made if there is none, less the policy if it asks for a value.
    fn column(&mut self, set: &PolicySet, name: &str, sense: Sense, origin: Origin) -> Option<&mut Column> {
        let key = Key::new(Salt::HEADER_NAME, Case::Insensitive, name.as_bytes());
        let known = self.index.entries().len();
        let place = self.index.place(set, &key, origin)?;
        let entry = self.index.entry_mut(place);
        if place == known {
            entry.number = self.header_count;
            self.header_count += 1;
            self.name_lengths |= 1 << (name.len() % 64);
        }
        let number = entry.number;
        let column = self.columns.get_mut(usize::from(number))?;
        column.number = number;
        column.absent &= !asking(origin.rule, sense);
        Some(column)
    }

    /// Has each prefix, and each value that begins with one, say what shorter prefixes say as well, so that a request
    /// need only be looked up under its longest.
    fn inherit(&mut self, set: &PolicySet) {
        // The shorter ones first, and prefixes before values: what they inherit is there already.
        for length in 0..=CONDITION_TEXT_BYTES {
            for of_values in [false, true] {
                for place in 0..self.index.entries().len() {
                    let entry = self.index.entries()[place];
                    let text = entry.text(set);
                    if text.len() == length && entry.salt.is_header_value() == of_values {
                        let (asked, excluded) = self.inherited(set, entry.salt, text);
                        let entry = self.index.entry_mut(place);
                        (entry.asked, entry.excluded) = (entry.asked | asked, entry.excluded | excluded);
                    }
                }
            }
        }
    }

    /// What shorter prefixes of a text say, or being there at all.
    fn inherited(&self, set: &PolicySet, salt: Salt, text: &[u8]) -> (u128, u128) {
        let shorter = text.len().checked_sub(1);
        let (prefixes, lengths, most, nothing) = match salt.header_number() {
            Some(number) => {
                let Some(column) = self.columns.get(usize::from(number)) else { return (0, 0) };
                let most = if salt.is_header_value() { Some(text.len()) } else { shorter };
                let present = (column.present_asked, column.present_excluded);
                (Salt::header_prefix(number), &column.prefix_lengths, most, present)
            }
            None if salt == Salt::PATH => (salt, &self.path_lengths, shorter, (0, 0)),
            None => return (0, 0),
        };
        let Some(most) = most else { return nothing };
        let found = self.longest(set, prefixes, lengths, text, most);
        found.map_or(nothing, |entry| (entry.asked, entry.excluded))
    }
}

/// The policy's bit, if it asks for a value.
const fn asking(rule: RuleId, sense: Sense) -> u128 {
    match sense {
        Sense::OneOf => rule.bit(),
        Sense::NoneOf => 0,
    }
}

fn mark(asked: &mut u128, excluded: &mut u128, rule: RuleId, sense: Sense) {
    match sense {
        Sense::OneOf => *asked |= rule.bit(),
        Sense::NoneOf => *excluded |= rule.bit(),
    }
}
