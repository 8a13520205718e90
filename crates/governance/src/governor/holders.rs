//! What tickets hold, and how it is given back: by an outcome, when it is due, or when a queue lets its request go.

use super::stages::{Settlements, as_credit};
use super::{Hold, Memo};
use crate::cost::CostCollector;
use crate::money::NanoUnits;
use crate::outcome::{Disposition, Outcome};
use crate::quota::{QuotaAmounts, QuotaManager, QuotaSettled};
use crate::rate_limiter::{RateLimiter, Settled};
use crate::request::Usage;
use crate::tickets::{Ending, Ticket, Tickets};
use crate::time::Now;
use crate::traffic::TrafficController;

/// The tickets, and the stages of which they hold something for later, apart from the queues.
pub(super) struct Holders<'a, const KEYS: usize, const LOG: usize, const TENANTS: usize> {
    pub(super) limits: &'a mut RateLimiter<KEYS, LOG>,
    pub(super) quotas: &'a mut QuotaManager<TENANTS>,
    pub(super) budgets: &'a mut QuotaManager<TENANTS>,
    pub(super) costs: &'a mut CostCollector<TENANTS>,
    pub(super) traffic: &'a mut TrafficController,
    pub(super) tickets: &'a mut Tickets<Hold, Memo, TENANTS>,
}

impl<const KEYS: usize, const LOG: usize, const TENANTS: usize> Holders<'_, KEYS, LOG, TENANTS> {
    /// The same for a while.
    #[inline(always)] // not to copy them
    pub(super) const fn reborrow(&mut self) -> Holders<'_, KEYS, LOG, TENANTS> {
        Holders {
            limits: self.limits,
            quotas: self.quotas,
            budgets: self.budgets,
            costs: self.costs,
            traffic: self.traffic,
            tickets: self.tickets,
        }
    }

    /// Settles one hold. Returns whether what it is of is still there.
    pub(super) fn settle(
        &mut self,
        now: Now,
        hold: &Hold,
        actual: &Usage,
        outcome: Option<&Outcome>,
        settlements: &mut Settlements,
    ) -> bool {
        match hold {
            Hold::Cost(hold) if *actual == Usage::ZERO => self.costs.void(hold),
            Hold::Cost(hold) => settlements.posted = Some(self.costs.settle(now, hold, actual)),
            Hold::Limit(hold) => {
                return self.limits.settle(now, hold, actual.amount(hold.unit())) != Settled::Stale;
            }
            Hold::Quota(hold) if hold.unit().is_observed() => {
                let settled = match outcome {
                    Some(outcome) => self.quotas.observe(now, hold, &outcome.observation()),
                    None => self.quotas.settle(now, hold, 0),
                };
                return settled != QuotaSettled::Stale;
            }
            Hold::Quota(hold) => {
                let amount = QuotaAmounts::from(*actual).amount(hold.unit());
                return self.quotas.settle(now, hold, amount) != QuotaSettled::Stale;
            }
            Hold::Budget(hold) => {
                let posted = settlements.posted;
                let settled = match posted.map_or(0, as_credit) {
                    0 => self.budgets.settle(now, hold, posted.map_or(0, NanoUnits::as_spent)),
                    credit => self.budgets.settle_credit(now, hold, credit),
                };
                return settled != QuotaSettled::Stale;
            }
            Hold::Call(hold) => {
                return match outcome {
                    Some(outcome) if outcome.disposition == Disposition::Commit => {
                        settlements.call = self.traffic.record(now, hold, outcome);
                        settlements.call.is_some()
                    }
                    _ => self.traffic.cancel(now, hold),
                };
            }
            // The queue is another's, which has settled with it.
            Hold::Queue(_) => {}
        }
        true
    }

    /// Gives back everything that the ticket of a request holds that its queue has let go. Of a request that its owner
    /// has put into the queue past the governor, there is no ticket.
    pub(super) fn void(&mut self, now: Now, ticket: Ticket) {
        if !self.tickets.memo_mut(ticket).is_some_and(|memo| memo.waits) {
            return;
        }
        while let Some(hold) = self.tickets.take_hold(ticket) {
            self.settle(now, &hold, &Usage::ZERO, None, &mut Settlements::default());
        }
        self.tickets.end(ticket, Ending::LetGo);
    }
}
