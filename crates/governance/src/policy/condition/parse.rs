//! The forms in which users write the values of an attribute.

use super::super::error::ConditionError;
use super::{Atom, AtomValue, Attribute, Condition, Network, Sense, class_bit};
use crate::request::RequestPriority;
use crate::scope::{NAME_BYTES_MAX, NameRef, ScopeError};

/// The words of the days, from Monday.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Condition {
    /// The condition with the values that `text` lists in place of those of the attribute; without any, if there is no
    /// text.
    pub(super) fn with(&self, attribute: Attribute, text: Option<&str>) -> Result<Self, ConditionError> {
        if text.is_some_and(|text| text.trim().is_empty()) {
            return Err(ConditionError::NoValue);
        }
        let mut condition = Self { classes: self.classes, days: self.days, hours: self.hours, ..Self::EMPTY };
        match attribute {
            Attribute::Class => condition.classes = text.map_or(Ok(0), classes)?,
            Attribute::Hours => condition.hours = text.map_or(Ok(0), hours)?,
            Attribute::Days => condition.days = text.map_or(Ok(0), days)?,
            _ => {}
        }
        for of in Attribute::ALL {
            if of == attribute {
                text.map_or(Ok(()), |text| condition.push_all(attribute, text))?;
            } else {
                for atom in self.atoms().filter(|atom| atom.value.attribute() == of) {
                    condition.push(atom)?;
                }
            }
        }
        Ok(condition)
    }

    fn push_all(&mut self, attribute: Attribute, text: &str) -> Result<(), ConditionError> {
        if matches!(attribute, Attribute::Class | Attribute::Hours | Attribute::Days) {
            return Ok(());
        }
        let separator = if attribute == Attribute::Header { ';' } else { ',' };
        for item in text.split(separator) {
            let (sense, item) = sense_of(item)?;
            let mut upper = [0; NAME_BYTES_MAX];
            let value = match attribute {
                Attribute::Tenant => AtomValue::Tenant(name(item)?),
                Attribute::Role => AtomValue::Role(name(item)?),
                Attribute::Ip => AtomValue::Ip(Network::parse(item)?),
                Attribute::Method => AtomValue::Method(method(item, &mut upper)?),
                Attribute::Path => AtomValue::Path(path(item)?),
                Attribute::Header => header(item)?,
                _ => AtomValue::Service(name(item)?),
            };
            // A header's name is known in any case, and the first way in which it is written is kept.
            self.push(Atom { sense, value })?;
        }
        Ok(())
    }
}

/// The sense of an item of a list, and what is left of it.
fn sense_of(item: &str) -> Result<(Sense, &str), ConditionError> {
    let item = item.trim();
    let (sense, item) = match item.strip_prefix('!') {
        Some(item) => (Sense::NoneOf, item.trim_start()),
        None => (Sense::OneOf, item),
    };
    if item.is_empty() { Err(ConditionError::EmptyValue) } else { Ok((sense, item)) }
}

fn name(item: &str) -> Result<&str, ConditionError> {
    if item == "*" {
        return Err(ConditionError::Wildcard);
    }
    NameRef::printable(item).map(NameRef::as_str).map_err(ConditionError::Name)
}

fn method<'a>(item: &str, upper: &'a mut [u8; NAME_BYTES_MAX]) -> Result<&'a str, ConditionError> {
    let item = token(name(item)?)?;
    let upper = upper.get_mut(..item.len()).ok_or(ConditionError::NotAToken)?;
    upper.copy_from_slice(item.as_bytes());
    upper.make_ascii_uppercase();
    core::str::from_utf8(upper).map_err(|_| ConditionError::NotAToken)
}

fn path(item: &str) -> Result<&str, ConditionError> {
    if !item.starts_with('/') {
        return Err(ConditionError::NoSlash);
    }
    let odd = |byte: u8| byte.is_ascii_control() || byte == b'?' || byte == b'#';
    if item.bytes().any(odd) || item.ends_with("/*") {
        return Err(ConditionError::NotAPath);
    }
    Ok(item.trim_end_matches('/'))
}

fn header(item: &str) -> Result<AtomValue<'_>, ConditionError> {
    let Some((name, value)) = item.split_once(':') else {
        return Ok(AtomValue::HeaderPresent { name: header_name(item)? });
    };
    let (name, value) = (header_name(name.trim_end())?, value.trim());
    if value.is_empty() || value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(ConditionError::HeaderValue);
    }
    Ok(match value.strip_suffix('*') {
        Some("") => AtomValue::HeaderPresent { name },
        Some(prefix) => AtomValue::HeaderPrefix { name, prefix },
        None => AtomValue::HeaderEquals { name, value },
    })
}

fn header_name(name: &str) -> Result<&str, ConditionError> {
    let name = token(name)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(ConditionError::Name(ScopeError::LongName { bytes: name.len() }));
    }
    Ok(name)
}

/// What HTTP allows in methods and in the names of headers.
fn token(text: &str) -> Result<&str, ConditionError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(allowed) {
        return Err(ConditionError::NotAToken);
    }
    Ok(text)
}

fn classes(text: &str) -> Result<u8, ConditionError> {
    let (mut plain, mut excluded, mut any_plain) = (0, 0, false);
    for item in text.split(',') {
        let (sense, item) = sense_of(item)?;
        let mut classes = RequestPriority::ALL.into_iter();
        let class = classes.find(|class| class.word() == item).ok_or(ConditionError::NotAClass)?;
        match sense {
            Sense::OneOf => {
                plain |= class_bit(class);
                any_plain = true;
            }
            Sense::NoneOf => excluded |= class_bit(class),
        }
    }
    let asked = if any_plain { plain } else { (1 << RequestPriority::ALL.len()) - 1 };
    match asked & !excluded {
        // No bit would stand for a condition that does not look at classes.
        0 => Err(ConditionError::Contradiction),
        classes => Ok(classes),
    }
}

fn hours(text: &str) -> Result<u32, ConditionError> {
    let mut hours = 0;
    for item in text.split(',') {
        let (from, to) = item.trim().split_once('-').ok_or(ConditionError::NotHours)?;
        let (from, to) = (hour(from.trim())?, hour(to.trim())?);
        if from == to {
            return Err(ConditionError::NoHours);
        }
        if from == 24 {
            return Err(ConditionError::NotHours);
        }
        let within = |hour: u8| if from < to { from <= hour && hour < to } else { hour >= from || hour < to };
        hours |= (0..24).filter(|&hour| within(hour)).fold(0, |bits, hour| bits | 1 << hour);
    }
    Ok(hours)
}

fn hour(text: &str) -> Result<u8, ConditionError> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let hour = text.parse::<u8>().map_err(|_| ConditionError::NotHours)?;
    if plain && hour <= 24 { Ok(hour) } else { Err(ConditionError::NotHours) }
}

fn days(text: &str) -> Result<u8, ConditionError> {
    let day = |word: &str| DAYS.iter().position(|day| *day == word).ok_or(ConditionError::NotDays);
    let mut days = 0;
    for item in text.split(',') {
        let (from, to) = item.trim().split_once('-').unwrap_or((item.trim(), item.trim()));
        let (from, to) = (day(from.trim())?, day(to.trim())?);
        let within = |day| if from <= to { from <= day && day <= to } else { day >= from || day <= to };
        days |= (0..7).filter(|&day| within(day)).fold(0, |bits, day| bits | 1 << day);
    }
    Ok(days)
}
