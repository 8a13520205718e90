//! The books: accounts, and postings with two sides.
//!
//! Every amount is posted to the debit of one account and to the credit of another, so that the sums of all debits and
//! of all credits are equal: that is asserted after each posting, from totals that follow the accounts. An amount that
//! is not certain yet is *pending* on both sides until it is posted or given back. All-zero when empty.
//!
//! | account | debit | credit |
//! |---|---|---|
//! | receivable of a tenant | what it used | what it was invoiced |
//! | invoiced of a tenant | its invoices, in whole coins | what was rounded down |
//! | revenue of a service | corrections | what was used of it |
//! | rounding | what invoices were rounded down by | what they were rounded up by |

use crate::money::NanoUnits;
use crate::notice::Notices;
use crate::time::WallTime;

/// What the books can hold on one side: with as much again for invoices it stays far within 128 bits, and with it each
/// sum of what was posted.
const TOTAL_MAX: i128 = 1 << 125;

/// How many postings are kept to be shown.
pub const POSTINGS_MAX: usize = 1024;

/// Both sides of an account, what is certain and what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Debits that are pending.
    pub debits_pending: i128,
    /// Credits that are pending.
    pub credits_pending: i128,
    /// Debits that were posted.
    pub debits_posted: i128,
    /// Credits that were posted.
    pub credits_posted: i128,
}

impl Balance {
    const ZERO: Self = Self { debits_pending: 0, credits_pending: 0, debits_posted: 0, credits_posted: 0 };

    /// Posted debits less posted credits.
    #[must_use]
    pub const fn posted(&self) -> NanoUnits {
        NanoUnits(self.debits_posted - self.credits_posted)
    }

    /// Whether nothing was ever posted and nothing is pending.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.debits_pending == 0
            && self.credits_pending == 0
            && self.debits_posted == 0
            && self.credits_posted == 0
    }

    const fn balances(&self) -> bool {
        self.debits_posted == self.credits_posted && self.debits_pending == self.credits_pending
    }

    const fn add(&mut self, other: &Self) {
        self.debits_pending += other.debits_pending;
        self.credits_pending += other.credits_pending;
        self.debits_posted += other.debits_posted;
        self.credits_posted += other.credits_posted;
    }
}

/// An account, by the number of its tenant or service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// What a tenant has used and was not invoiced yet.
    Receivable(u32),
    /// What a tenant was invoiced.
    Invoiced(u32),
    /// What a service has earned.
    Revenue(u32),
    /// What invoices differ by from what was used.
    Rounding,
}

/// Why an amount was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostingKind {
    /// Something was used.
    Usage,
    /// Something was used in a period that was invoiced already.
    LateUsage,
    /// Somebody corrected what was posted.
    Correction,
    /// An invoice was issued.
    Invoice,
    /// An invoice was rounded to whole coins.
    Rounding,
}

impl PostingKind {
    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::LateUsage => "late-usage",
            Self::Correction => "correction",
            Self::Invoice => "invoice",
            Self::Rounding => "rounding",
        }
    }
}

/// An amount that went from one account to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When.
    pub at: WallTime,
    /// Why.
    pub kind: PostingKind,
    /// The account that was debited.
    pub debit: Account,
    /// The account that was credited.
    pub credit: Account,
    /// How much; not negative.
    pub amount: NanoUnits,
}

/// Accounts of up to `TENANTS` tenants and `SERVICES` services.
#[derive(Debug)]
pub struct Ledger<const TENANTS: usize, const SERVICES: usize> {
    receivable: [Balance; TENANTS],
    invoiced: [Balance; TENANTS],
    revenue: [Balance; SERVICES],
    rounding: Balance,
    /// The sums of all accounts.
    totals: Balance,
    postings: Notices<Posting, POSTINGS_MAX>,
}

impl<const TENANTS: usize, const SERVICES: usize> Ledger<TENANTS, SERVICES> {
    pub(crate) const fn new() -> Self {
        Self {
            receivable: [Balance::ZERO; TENANTS],
            invoiced: [Balance::ZERO; TENANTS],
            revenue: [Balance::ZERO; SERVICES],
            rounding: Balance::ZERO,
            totals: Balance::ZERO,
            postings: Notices::new(Posting {
                at: WallTime(0),
                kind: PostingKind::Usage,
                debit: Account::Receivable(0),
                credit: Account::Receivable(0),
                amount: NanoUnits::ZERO,
            }),
        }
    }

    /// Forgets everything, in place.
    pub(crate) fn clear(&mut self) {
        self.receivable.fill(Balance::ZERO);
        self.invoiced.fill(Balance::ZERO);
        self.revenue.fill(Balance::ZERO);
        (self.rounding, self.totals) = (Balance::ZERO, Balance::ZERO);
        self.postings.clear();
    }

    /// How an account stands.
    ///
    /// # Panics
    /// If there is no such account.
    #[must_use]
    pub const fn balance(&self, account: Account) -> &Balance {
        match account {
            Account::Receivable(tenant) => &self.receivable[tenant as usize],
            Account::Invoiced(tenant) => &self.invoiced[tenant as usize],
            Account::Revenue(service) => &self.revenue[service as usize],
            Account::Rounding => &self.rounding,
        }
    }

    /// The sums of all accounts: debits and credits are equal.
    #[must_use]
    pub const fn totals(&self) -> &Balance {
        &self.totals
    }

    /// Whether the books have room for an amount, whichever way it goes.
    #[must_use]
    pub(crate) const fn has_room(&self, amount: NanoUnits) -> bool {
        let taken = self.totals.debits_posted + self.totals.debits_pending;
        amount.0.unsigned_abs()
            <= (TOTAL_MAX - if taken < TOTAL_MAX { taken } else { TOTAL_MAX }).unsigned_abs()
    }

    /// The last postings, numbered from 0.
    #[must_use]
    pub const fn postings(&self) -> &Notices<Posting, POSTINGS_MAX> {
        &self.postings
    }

    /// Adds all accounts up anew, and says whether the books balance and are what the totals say.
    #[must_use]
    pub fn verify(&self) -> bool {
        let mut sum = self.rounding;
        let accounts = self.receivable.iter().chain(&self.invoiced).chain(&self.revenue);
        accounts.for_each(|account| sum.add(account));
        sum == self.totals && sum.balances()
    }

    /// Posts an amount; a negative one goes the other way.
    #[inline(always)] // the accounts are known where it is called
    pub(crate) fn post(&mut self, posting: Posting) {
        let Posting { debit, credit, amount, .. } = posting;
        if amount.0 < 0 {
            return self.post_back(posting);
        }
        self.add(debit, |balance| &mut balance.debits_posted, amount);
        self.add(credit, |balance| &mut balance.credits_posted, amount);
        self.assert_balanced();
        self.postings.push(posting);
    }

    #[cold]
    fn post_back(&mut self, posting: Posting) {
        let Posting { debit, credit, amount, .. } = posting;
        self.post(Posting { debit: credit, credit: debit, amount: -amount, ..posting });
    }

    /// Sets an amount aside on both sides. A negative one takes it back.
    pub(crate) fn reserve(&mut self, debit: Account, credit: Account, amount: NanoUnits) {
        self.add(debit, |balance| &mut balance.debits_pending, amount);
        self.add(credit, |balance| &mut balance.credits_pending, amount);
        self.assert_balanced();
    }

    /// Adds to one side of an account, and to the totals by what has changed in it.
    #[inline(always)] // the account is known where it is called
    fn add(&mut self, account: Account, side: impl Fn(&mut Balance) -> &mut i128, amount: NanoUnits) {
        let balance = match account {
            Account::Receivable(tenant) => &mut self.receivable[tenant as usize],
            Account::Invoiced(tenant) => &mut self.invoiced[tenant as usize],
            Account::Revenue(service) => &mut self.revenue[service as usize],
            Account::Rounding => &mut self.rounding,
        };
        let sum = side(balance);
        let before = *sum;
        *sum += amount.0;
        assert!(*sum >= 0, "no more is given back than was set aside");
        let change = *sum - before;
        *side(&mut self.totals) += change;
    }

    #[inline]
    fn assert_balanced(&self) {
        assert!(self.totals.balances(), "the books do not balance");
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Ledger, Posting, PostingKind};
    use crate::money::NanoUnits;
    use crate::time::WallTime;

    fn posting(debit: Account, credit: Account, amount: i128) -> Posting {
        Posting { at: WallTime(1), kind: PostingKind::Usage, debit, credit, amount: NanoUnits(amount) }
    }

    #[test]
    fn an_amount_is_on_both_sides_and_a_negative_one_the_other_way_round() {
        let mut ledger = Ledger::<2, 2>::new();
        let (tenant, service) = (Account::Receivable(1), Account::Revenue(0));
        ledger.post(posting(tenant, service, 70));
        ledger.post(posting(tenant, service, -20));
        assert_eq!(ledger.balance(tenant).posted(), NanoUnits(50));
        assert_eq!(ledger.balance(service).posted(), NanoUnits(-50));
        assert_eq!(ledger.totals().debits_posted, 90);
        assert!(ledger.verify());
        let kept: Vec<_> =
            ledger.postings().since(0).map(|posting| (posting.debit, posting.amount.0)).collect();
        assert_eq!(kept, [(tenant, 70), (service, 20)]);
    }

    #[test]
    fn what_is_pending_is_posted_or_given_back() {
        let mut ledger = Ledger::<1, 1>::new();
        let (tenant, service) = (Account::Receivable(0), Account::Revenue(0));
        ledger.reserve(tenant, service, NanoUnits(40));
        assert_eq!((ledger.totals().debits_pending, ledger.balance(tenant).posted().0), (40, 0));
        ledger.reserve(tenant, service, NanoUnits(-40));
        assert!(ledger.balance(tenant).is_untouched() && ledger.verify());
    }

    #[test]
    fn an_account_that_is_tampered_with_is_found() {
        let mut ledger = Ledger::<1, 1>::new();
        ledger.post(posting(Account::Receivable(0), Account::Revenue(0), 5));
        ledger.receivable[0].debits_posted += 1;
        assert!(!ledger.verify());
    }
}
