//! `ratelimit`: the buckets of limits.

use super::limits::Remaining;
use super::{Context, Count, Failed, Outcome, wide};
use crate::command::Invocation;
use crate::engine::{KEYS, LOG_ENTRIES};
use crate::render::{Cell, Column, Grouped, Humanized, Table};
use crate::term::Style;
use core::fmt;
use governance::decision::Sharing;
use governance::export::ObjectWriter;
use governance::limit::{LimitSpec, PRODUCT_BITS_MAX};
use governance::rate_limiter::{BucketView, LimitError, LimitId, RateLimiter};
use governance::scope::{BucketKey, KeyName, Kind};
use governance::text::Text;
use governance::time::{Nanos, Now};

/// How many buckets a table shows; `--json` gives all.
const SHOWN_BUCKETS_MAX: usize = 200;

/// Lists the buckets of one limit, or of all.
pub(super) fn list(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let only = match invocation.positional(0) {
        Some(_) => Some(context.limit(invocation)?.0),
        None => None,
    };
    if invocation.flag("json") {
        return list_json(context, only);
    }
    let now = context.system.now();
    let limiter = &mut context.engine.live.limits;
    let (mut total, mut shown) = (0_usize, 0_usize);
    let table = Table {
        columns: [
            Column::left("limit"),
            Column::left("key"),
            Column::left("remaining"),
            Column::right("denied"),
            Column::left("burst"),
        ],
        if_empty: "no buckets",
    };
    table.write(context.system, context.term, |row| {
        (total, shown) = (0, 0);
        each_bucket(limiter, now, only, &mut |name, view| {
            total += 1;
            if shown < SHOWN_BUCKETS_MAX {
                shown += 1;
                row(&[
                    Cell::styled(Style::Name, name),
                    Cell::new(&Key(view)),
                    Cell::new(&Remaining(&view.standing)),
                    Cell::new(&Grouped(u64::from(view.denied))),
                    Cell::styled(Style::Warn, &Burst(view.grant)),
                ]);
            }
        });
    })?;
    if total > shown {
        context
            .say(format_args!("{} more; ratelimit buckets --json lists all", Grouped(wide(total - shown))))?;
    }
    Ok(())
}

fn list_json(context: &mut Context<'_>, only: Option<LimitId>) -> Outcome {
    let now = context.system.now();
    let system = &mut *context.system;
    let mut result = Ok(());
    each_bucket(&mut context.engine.live.limits, now, only, &mut |name, view| {
        if result.is_ok() {
            result = write_json(system, name, view);
        }
    });
    Ok(result?)
}

fn write_json(
    out: &mut dyn crate::system::System,
    name: &dyn fmt::Display,
    view: &BucketView,
) -> fmt::Result {
    ObjectWriter::begin(out)?
        .display("limit", name)?
        .optional_string("key", view.key.as_ref().map(Text::as_str))?
        .integer("remaining", view.standing.remaining())?
        .optional_integer("capacity", view.standing.capacity)?
        .integer("full_in_ns", view.standing.full_in().0)?
        .integer("denied", u64::from(view.denied))?
        .optional_integer("burst_extra", view.grant.map(|(extra, _)| extra))?
        .optional_integer("burst_ends_in_ns", view.grant.map(|(_, left)| left.0))?
        .end()
}

type Limiter = RateLimiter<KEYS, LOG_ENTRIES>;

/// Calls `each` with the buckets of one limit, or of all, and the name of theirs.
fn each_bucket(
    limiter: &mut Limiter,
    now: Now,
    only: Option<LimitId>,
    each: &mut dyn FnMut(&dyn fmt::Display, &BucketView),
) {
    for place in 0..limiter.len() {
        let limit = limiter.limits().nth(place).map(|(id, spec)| (id, spec.name));
        let Some((id, name)) = limit.filter(|(id, _)| only.is_none_or(|only| only == *id)) else { continue };
        // The limit is there: it was just listed.
        let _ = limiter.each_bucket(now, id, |view| each(&name, &view));
    }
}

/// Makes buckets full.
pub(super) fn reset(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key) = target(context, invocation)?;
    let reset = context.engine.live.limits.reset_bucket(id, key);
    let count = reset.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("{}: reset {}", spec.name, Count(count, "bucket")))
}

/// Makes buckets empty.
pub(super) fn drain(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key) = target(context, invocation)?;
    let now = context.system.now();
    let drained = context.engine.live.limits.drain_bucket(now, id, key);
    let count = drained.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("{}: drained {}", spec.name, Count(count, "bucket")))
}

/// Gives back what was charged.
pub(super) fn refund(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key) = target(context, invocation)?;
    let amount = positive(context, invocation, "amount")?;
    let now = context.system.now();
    let refunded = context.engine.live.limits.refund(now, id, key, amount);
    let remaining = refunded.map_err(|error| context.fail(format_args!("{}: {error}", spec.name)))?;
    context.say(format_args!("{}: refunded up to {amount}; remaining {remaining}", spec.name))
}

/// Grants extra capacity for a time.
pub(super) fn burst(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (id, spec, key) = target(context, invocation)?;
    let extra = positive(context, invocation, "extra")?;
    let length = match invocation.get("for").unwrap_or_default().parse() {
        Ok(Nanos::ZERO) => return Err(context.fail(format_args!("for: expected a time longer than 0"))),
        Ok(length) => length,
        Err(error) => return Err(context.fail(format_args!("for: {error}"))),
    };
    let now = context.system.now();
    let granted = context.engine.live.limits.handle_burst(now, id, key, extra, length);
    granted.map_err(|error| match error {
        // Neither is zero, so that it is the sum that is out of range.
        LimitError::BadGrant => context.fail(format_args!(
            "extra: with {extra} more, the capacity is 2^64 or more, or capacity times period is \
             2^{PRODUCT_BITS_MAX} ns or more; choose less"
        )),
        error => context.fail(format_args!("{}: {error}", spec.name)),
    })?;
    context.say(format_args!("{}: {extra} more for {length}", spec.name))
}

/// The limit, and the bucket of it that is meant.
fn target<'a>(
    context: &mut Context<'_>,
    invocation: &Invocation<'a>,
) -> Result<(LimitId, LimitSpec, BucketKey<'a>), Failed> {
    let (id, spec) = context.limit(invocation)?;
    let mut named = |field: &str, kind| match invocation.get(field).map(|name| KeyName::parse(kind, name)) {
        None => Ok(None),
        Some(Ok(name)) => Ok(Some(name)),
        Some(Err(error)) => Err(context.fail(format_args!("{field}: {error}"))),
    };
    let key = BucketKey { key: named("key", spec.scope.kind)?, client: named("client", Kind::Client)? };
    Ok((id, spec, key))
}

/// An amount that has to be given and cannot be 0.
fn positive(context: &mut Context<'_>, invocation: &Invocation<'_>, key: &str) -> Result<u64, Failed> {
    match invocation.integer(key) {
        Some(amount) if amount > 0 => Ok(amount),
        _ => Err(context.fail(format_args!("{key}: expected a whole number from 1, found 0"))),
    }
}

struct Key<'a>(&'a BucketView);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.key, self.0.standing.shared) {
            (Some(name), _) => name.fmt(f),
            (None, Sharing::Overflow) => f.write_str("(overflow)"),
            (None, Sharing::Own) => f.write_str("-"),
        }
    }
}

struct Burst(Option<(u64, Nanos)>);

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((extra, left)) => write!(f, "+{extra} for {}", Humanized(left)),
            None => f.write_str("-"),
        }
    }
}
