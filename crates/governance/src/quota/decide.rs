//! How the quotas that match are judged, and how they are charged.

use super::counter::{ALERT_PERCENTS, Counter};
use super::matches::{Match, Seat};
use super::registry::Entry;
use super::spec::{EnforcementMode, QuotaSpec, QuotaUnit};
use super::{
    QuotaAmounts, QuotaClearance, QuotaHold, QuotaManager, QuotaNotice, QuotaRefusal, QuotaStanding,
};
use crate::decision::{Reason, Sharing, Wait};
use crate::mode::Mode;
use crate::rate_limiter::Access;
use crate::request::{HashedSubject, Subject};
use crate::scope::Name;
use crate::time::{Nanos, Now, WallTime};

/// What is taken of the quotas that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// The amounts are used.
    Use,
    /// The amounts are reserved, and the outcome is observed.
    Reserve,
    /// The amounts are used, and the outcome is observed.
    UseAndObserve,
}

/// What all quotas that match say to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// Which of the matches speaks for the decision.
    speaker: Option<usize>,
    /// Whether it refuses, and how long until it has room.
    refuses: bool,
    retry: Wait,
    holds: usize,
    observers: usize,
}

impl Judged {
    /// All-zero.
    pub(super) const NONE: Self =
        Self { speaker: None, refuses: false, retry: Wait::For(Nanos(0)), holds: 0, observers: 0 };
}

/// What a quota says to a request.
enum Verdict {
    Fits { left: Share, is_observed: bool },
    Refuses(Wait),
    Shadow { fits: bool },
}

/// What would be left of a quota, out of its capacity.
#[derive(Clone, Copy)]
struct Share {
    left: u64,
    capacity: u64,
}

impl Share {
    /// What is left after an amount. Samples of latency are no stock that runs out: all of it is left.
    fn after(spec: &QuotaSpec, counter: &Counter, amount: u64) -> Self {
        if spec.unit == QuotaUnit::LatencyP99 {
            return Self { left: 1, capacity: 1 };
        }
        let capacity = counter.capacity(spec);
        Self { left: capacity.saturating_sub(counter.in_use()).saturating_sub(amount), capacity }
    }

    fn is_below(self, other: Self) -> bool {
        u128::from(self.left) * u128::from(other.capacity)
            < u128::from(other.left) * u128::from(self.capacity)
    }
}

impl<const ACTIVE: usize> QuotaManager<ACTIVE> {
    /// Judges every match: which one refuses for longest, or else which one is the tightest.
    pub(super) fn judge(&mut self, now: WallTime, access: Access) {
        let (mut holds, mut observers) = (0, 0);
        let mut worst: Option<(usize, Wait)> = None;
        let mut tightest: Option<(usize, Share)> = None;
        for index in 0..self.matched {
            match self.assess(now, index) {
                Verdict::Shadow { fits } => {
                    self.matches[index].is_skipped = !fits;
                    if !fits && access == Access::Charge {
                        self.registry.entry_mut(self.matches[index].number).stats.would_deny += 1;
                        self.stats.would_deny += 1;
                    }
                }
                Verdict::Fits { left, is_observed } => {
                    holds += 1;
                    observers += usize::from(is_observed);
                    if tightest.is_none_or(|(other, least)| {
                        left.is_below(least)
                            || (!least.is_below(left) && self.order(index) < self.order(other))
                    }) {
                        tightest = Some((index, left));
                    }
                }
                Verdict::Refuses(wait) => {
                    if access == Access::Charge {
                        self.count_refusal(self.matches[index]);
                    }
                    let rank = |index, wait| (wait, core::cmp::Reverse(self.order(index)));
                    if worst.is_none_or(|(other, longest)| rank(index, wait) > rank(other, longest)) {
                        worst = Some((index, wait));
                    }
                }
            }
        }
        self.judged = match worst {
            Some((index, retry)) => {
                self.stats.denied += u64::from(access == Access::Charge);
                Judged { speaker: Some(index), refuses: true, retry, ..Judged::NONE }
            }
            None => {
                let speaker = tightest.map(|(index, _)| index);
                Judged { speaker, holds, observers, ..Judged::NONE }
            }
        };
    }

    /// What the matches said when they were judged; none if [`QuotaManager::refusal`] has more.
    #[inline]
    pub(super) fn clearance(&self, now: WallTime, access: Access) -> Option<QuotaClearance> {
        let Judged { speaker, refuses, holds, observers, .. } = self.judged;
        let clearance = QuotaClearance { speaker, now, access, serial: self.serial, holds, observers };
        (!refuses).then_some(clearance)
    }

    /// How the quota stands that has refused. Lets go of what was found.
    ///
    /// # Panics
    /// If none has refused.
    #[cold]
    pub(crate) fn refusal(&mut self) -> QuotaRefusal {
        let Judged { speaker: Some(index), refuses: true, retry, .. } = self.judged else {
            panic!("no quota has refused");
        };
        let matched = self.matches[index];
        let quota = self.standing(matched);
        let is_budget = self.registry.entry(matched.number).spec.unit == QuotaUnit::Cost;
        self.forget_matches();
        let reason = if is_budget { Reason::OverBudget } else { Reason::OverQuota };
        QuotaRefusal { reason, quota, retry }
    }

    /// Brings the counter of a match to the present, and judges its amount by it.
    fn assess(&mut self, now: WallTime, index: usize) -> Verdict {
        let matched = self.matches[index];
        let (spec, counter) = self.owned(matched);
        counter.roll(spec, now);
        let fits = counter.fits(spec, matched.amount) || spec.enforcement == EnforcementMode::Soft;
        if spec.mode == Mode::Shadow {
            return Verdict::Shadow { fits };
        }
        if fits {
            let left = Share::after(spec, counter, matched.amount);
            return Verdict::Fits { left, is_observed: spec.unit.is_observed() };
        }
        let is_never = matched.amount > spec.limit.saturating_add(spec.rollover_max());
        let wait = Nanos(counter.period.end.0.saturating_sub(now.0));
        Verdict::Refuses(if is_never { Wait::Never } else { Wait::For(wait) })
    }

    /// Uses amounts of every quota that matches, also where they do not fit: they were used, wherever that was decided.
    /// Quotas in shadow mode and those on outcomes are left out.
    pub fn post(&mut self, now: Now, subject: &Subject<'_>, amounts: &QuotaAmounts) {
        self.post_each(now, subject, amounts, |manager, now, matched| {
            manager.take(now, matched, Taking::Use, &mut |_| {});
        });
    }

    /// Gives amounts back to every quota that [`QuotaManager::post`] would use them of: what was charged before turned
    /// out to be too much. No more is given back than was used in the present period, and an alert that was raised in
    /// it is not raised again.
    pub fn credit(&mut self, now: Now, subject: &Subject<'_>, amounts: &QuotaAmounts) {
        self.post_each(now, subject, amounts, |manager, _, matched| {
            let (_, counter) = manager.owned(matched);
            counter.credit(matched.amount);
        });
    }

    /// Calls `work` with every match that counts what is decided elsewhere, brought to the present.
    fn post_each(
        &mut self,
        now: Now,
        subject: &Subject<'_>,
        amounts: &QuotaAmounts,
        work: impl Fn(&mut Self, WallTime, Match),
    ) {
        let now = self.monotonic(now).wall;
        self.find_matches(now, &HashedSubject::new(subject, self.secret), amounts, Access::Charge);
        for index in 0..self.matched {
            let matched = self.matches[index];
            let (spec, counter) = self.owned(matched);
            if spec.mode == Mode::Enforce && !spec.unit.is_observed() {
                counter.roll(spec, now);
                work(self, now, matched);
            }
        }
        self.forget_matches();
    }

    /// Charges what was checked with an amount of nothing, and gives `credit` back to every quota of money among it.
    #[cold]
    pub(super) fn take_all_less(&mut self, clearance: QuotaClearance, credit: u64) -> Option<QuotaStanding> {
        self.assert_current(&clearance);
        for index in 0..self.matched {
            let matched = self.matches[index];
            let (spec, counter) = self.owned(matched);
            if spec.unit == QuotaUnit::Cost && !matched.is_skipped {
                counter.credit(credit);
            }
        }
        self.take_all(clearance, Taking::Use, &mut |_| {})
    }

    #[inline]
    pub(super) fn take_all(
        &mut self,
        clearance: QuotaClearance,
        taking: Taking,
        each: &mut dyn FnMut(QuotaHold),
    ) -> Option<QuotaStanding> {
        self.assert_current(&clearance);
        assert!(clearance.access == Access::Charge, "a look does not charge");
        let standing = if self.matched > 0 { self.take_matches(&clearance, taking, each) } else { None };
        self.forget_matches();
        standing
    }

    #[inline(never)] // where nothing matches, it is not called
    fn take_matches(
        &mut self,
        clearance: &QuotaClearance,
        taking: Taking,
        each: &mut dyn FnMut(QuotaHold),
    ) -> Option<QuotaStanding> {
        for index in 0..self.matched {
            self.take(clearance.now, self.matches[index], taking, each);
        }
        clearance.speaker.map(|index| self.standing(self.matches[index]))
    }

    /// Charges a quota that has room.
    #[inline]
    fn take(&mut self, now: WallTime, matched: Match, taking: Taking, each: &mut dyn FnMut(QuotaHold)) {
        if matched.is_skipped {
            return;
        }
        let (spec, counter) = self.owned(matched);
        let is_observed = spec.unit.is_observed();
        let is_held = spec.mode == Mode::Enforce
            && match taking {
                Taking::Use => false,
                Taking::Reserve => true,
                Taking::UseAndObserve => is_observed,
            };
        counter.begin(now);
        let (mut amount, mut passes_over) = (0, false);
        if !is_observed {
            passes_over = !counter.fits(spec, matched.amount);
            if is_held {
                amount = counter.reserve(matched.amount);
            } else {
                counter.post(matched.amount);
            }
        } else if !counter.fits(spec, 0) {
            passes_over = true;
        }
        counter.holds += u32::from(is_held);
        let (unit, turn) = (spec.unit, counter.turn);
        let raised = counter.raise(spec);
        if is_held {
            let place = if let Seat::Key(place) = matched.seat { Some(place) } else { None };
            each(QuotaHold { quota: self.registry.id(matched.number), place, amount, turn, unit });
        }
        let stats = &mut self.registry.entry_mut(matched.number).stats;
        stats.allowed += 1;
        stats.passed_over += u64::from(passes_over);
        if raised != 0 {
            self.give_notice(now, matched, raised);
        }
    }

    /// Gives notice of alerts, one bit each.
    #[inline(never)]
    pub(super) fn give_notice(&mut self, at: WallTime, matched: Match, raised: u8) {
        let key = match matched.seat {
            Seat::Key(place) => self.keys.get(place).map_or(Name::EMPTY, |keyed| keyed.name),
            _ => Name::EMPTY,
        };
        let (spec, counter) = self.owned(matched);
        let notice = QuotaNotice {
            quota: spec.name,
            key,
            percent: 0,
            used: counter.in_use(),
            capacity: counter.capacity(spec),
            at,
            shadow: u8::from(spec.mode == Mode::Shadow),
        };
        for (bit, percent) in ALERT_PERCENTS.into_iter().enumerate() {
            if raised & 1 << bit != 0 {
                self.notices.push(QuotaNotice { percent, ..notice });
            }
        }
    }

    /// How a match stands, whose counter has been brought to the present.
    #[inline(always)] // not to be copied into the decision
    pub(super) fn standing(&mut self, matched: Match) -> QuotaStanding {
        let now = self.latest.wall;
        let id = self.registry.id(matched.number);
        let (spec, counter) = self.owned(matched);
        // What the check has brought to the present was forgotten after it, where nothing keeps it.
        counter.roll(spec, now);
        QuotaStanding {
            id,
            used: counter.used,
            reserved: counter.reserved,
            capacity: counter.capacity(spec),
            period_end: counter.period.end,
            shared: if matched.seat == Seat::Overflow { Sharing::Overflow } else { Sharing::Own },
        }
    }

    /// The quota and the counter of a match: the key's, the quota's, or a fresh one that stands in for one that is
    /// absent.
    #[inline]
    pub(super) fn owned(&mut self, matched: Match) -> (&QuotaSpec, &mut Counter) {
        let Entry { spec, own, .. } = self.registry.entry_mut(matched.number);
        let counter = match matched.seat {
            Seat::Own | Seat::Overflow => own,
            Seat::Key(place) => &mut self.keys.get_mut(place).expect("a key that matched is there").counter,
            Seat::Absent | Seat::Promised(_) => {
                self.absent = Counter::FRESH;
                &mut self.absent
            }
        };
        (spec, counter)
    }

    fn order(&self, index: usize) -> u16 {
        self.registry.entry(self.matches[index].number).order
    }

    fn count_refusal(&mut self, matched: Match) {
        self.registry.entry_mut(matched.number).stats.denied += 1;
        let (_, counter) = self.owned(matched);
        counter.denied = counter.denied.saturating_add(1);
    }

    pub(super) fn assert_current(&self, clearance: &QuotaClearance) {
        assert!(
            clearance.serial == self.serial,
            "the clearance is outdated: another check or change came after it"
        );
    }
}
