//! Usage that was measured elsewhere, taken once for each id.
//!
//! The last events are known by a 128-bit keyed hash of their ids and a hash of what they say. The same event again is
//! answered as before and charges nothing; another one under the same id is refused. The oldest makes room for the
//! youngest: where that happens while a repetition could still come, it is counted, since that would be charged again.

use super::{CostCollector, CostError, Estimate};
use crate::chained_table::{ChainedTable, Place};
use crate::money::NanoUnits;
use crate::request::{Request, Usage};
use crate::scope::{HashSecret, KeyName, Kind, NameRef};
use crate::time::{Nanos, Now, WallTime};

/// How many events are known, for each tenant that there can be.
const EVENTS_PER_TENANT: usize = 4;
/// How long ago an event can have been; and for how long it should be known.
pub const EVENT_AGE_MAX: Nanos = Nanos::from_seconds(35 * 86_400);
/// How far ahead of this clock the clock of its source can be.
const AHEAD_MAX: u64 = 300_000_000_000;

/// Usage that was measured elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct UsageEvent<'a> {
    /// The name of the event, by which it is known if it comes again.
    pub id: &'a str,
    /// The tenant.
    pub tenant: NameRef<'a>,
    /// The service.
    pub service: NameRef<'a>,
    /// The method, which multipliers go by.
    pub method: Option<NameRef<'a>>,
    /// When it was; none for now.
    pub at: Option<WallTime>,
    /// What was used.
    pub usage: Usage,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// It was charged so much; nothing if its service has no price.
    Accepted(Option<NanoUnits>),
    /// It was accepted before, and is not charged again.
    Repeated,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    id: (u64, u64),
    payload: u64,
    came: WallTime,
}

/// The events that are known. All-zero when empty.
#[derive(Debug)]
pub(super) struct Events<const TENANTS: usize> {
    known: ChainedTable<Event, TENANTS, EVENTS_PER_TENANT>,
    /// Their places in the order of their coming.
    order: [[Place; EVENTS_PER_TENANT]; TENANTS],
    next: usize,
    pub(super) accepted: u64,
    pub(super) repeated: u64,
    pub(super) dropped_early: u64,
}

impl<const TENANTS: usize> Events<TENANTS> {
    pub(super) const fn new() -> Self {
        Self {
            known: ChainedTable::new(Event { id: (0, 0), payload: 0, came: WallTime(0) }),
            order: [[Place::ZERO; EVENTS_PER_TENANT]; TENANTS],
            next: 0,
            accepted: 0,
            repeated: 0,
            dropped_early: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
        (self.next, self.accepted, self.repeated, self.dropped_early) = (0, 0, 0, 0);
    }

    fn remember(&mut self, event: Event) {
        let order = self.order.as_flattened_mut();
        if self.known.is_full() {
            // It is full, so that the one that came first lies where the next one goes.
            let first = self.known.remove(order[self.next]);
            let is_early =
                first.is_some_and(|first| event.came.0.saturating_sub(first.came.0) < EVENT_AGE_MAX.0);
            self.dropped_early += u64::from(is_early);
        }
        if let Ok(place) = self.known.insert(event.id.0, event) {
            order[self.next] = place;
            self.next = (self.next + 1) % order.len();
        }
    }
}

impl<const TENANTS: usize> CostCollector<TENANTS> {
    /// Charges usage that was measured elsewhere, once for each id. Usage of a period that was invoiced already becomes
    /// a line of the next invoice.
    ///
    /// # Errors
    /// [`CostError::EventId`], [`CostError::EventTime`], [`CostError::EventConflict`] or [`CostError::OutOfRange`].
    pub fn record_event(&mut self, now: Now, event: &UsageEvent<'_>) -> Result<EventOutcome, CostError> {
        let wall = self.monotonic(now);
        let id = NameRef::new(event.id).map_err(|_| CostError::EventId)?;
        let at = event.at.unwrap_or(wall);
        if at.0.saturating_add(EVENT_AGE_MAX.0) < wall.0 || at.0 > wall.0.saturating_add(AHEAD_MAX) {
            return Err(CostError::EventTime);
        }
        let tenant = self.find_tenant(event.tenant.as_str(), self.hash(Kind::Tenant, event.tenant.as_str()));
        if let Some(tenant) = tenant {
            self.roll(tenant, wall);
        }
        let open = match tenant.and_then(|place| self.tenants.get(place)) {
            Some(tenant) => tenant.period,
            None => self.schedule_of(&event.tenant.to_name()).period_at(wall),
        };
        // It cannot be billed with what was used before its period began.
        if at >= open.end {
            return Err(CostError::EventTime);
        }
        let id = (self.event_hash(0, id), self.event_hash(1, id));
        let payload = self.payload_hash(event);
        let known = self.events.known.find(id.0, |known| known.id == id);
        if let Some(known) = known.and_then(|place| self.events.known.get(place)) {
            if known.payload != payload {
                return Err(CostError::EventConflict);
            }
            self.events.repeated += 1;
            return Ok(EventOutcome::Repeated);
        }
        let charged = self.charge_event(now, at, event)?;
        self.events.remember(Event { id, payload, came: wall });
        self.events.accepted += 1;
        Ok(EventOutcome::Accepted(charged))
    }

    fn charge_event(
        &mut self,
        now: Now,
        at: WallTime,
        event: &UsageEvent<'_>,
    ) -> Result<Option<NanoUnits>, CostError> {
        let request = Request {
            tenant: Some(event.tenant),
            service: Some(event.service),
            method: event.method,
            ..Request::default()
        };
        let out_of_range = |_| CostError::OutOfRange;
        let quote = self.quote(now, &request, &event.usage, Estimate::Exact).map_err(out_of_range)?;
        let tenant = self.find_tenant(event.tenant.as_str(), self.hash(Kind::Tenant, event.tenant.as_str()));
        let tenant = tenant.and_then(|place| self.tenants.get(place));
        let Some(past) = tenant
            .filter(|tenant| tenant.has_past && at < tenant.period.start)
            .map(|tenant| tenant.past_period)
        else {
            return Ok(self.charge(quote));
        };
        // Set aside in the period of the event and settled at once: the same way as usage that is told late.
        let is_past = past.start <= at && at < past.end;
        let schedule = self.schedule_of(&event.tenant.to_name());
        let period = if is_past { past.start } else { schedule.period_at(at).start };
        let Some(mut hold) = self.charge_held(quote) else { return Ok(None) };
        hold.period = period;
        if self.price_of(now, &hold, &event.usage).is_err() {
            self.void(&hold);
            return Err(CostError::OutOfRange);
        }
        Ok(Some(self.settle(now, &hold, &event.usage)))
    }

    fn event_hash(&self, half: u64, id: NameRef<'_>) -> u64 {
        let secret = HashSecret { k0: self.secret.k0 ^ half, k1: self.secret.k1.rotate_left(17) };
        secret.hash(Kind::Key, KeyName::Text(id)).0
    }

    /// A hash of everything that an event says, under the secret.
    fn payload_hash(&self, event: &UsageEvent<'_>) -> u64 {
        let Usage { requests, bytes, tokens, output_tokens, compute_ms, storage_accesses, cache_hits } =
            event.usage;
        let numbers = [
            event.at.map_or(u64::MAX, |at| at.0),
            requests,
            bytes,
            tokens,
            output_tokens,
            compute_ms,
            storage_accesses,
            cache_hits,
        ];
        let names = [
            self.hash(Kind::Tenant, event.tenant.as_str()),
            self.hash(Kind::Service, event.service.as_str()),
            event.method.map_or(0, |method| self.hash(Kind::Route, method.as_str())),
        ];
        self.secret.hash_numbers(names.into_iter().chain(numbers))
    }
}
