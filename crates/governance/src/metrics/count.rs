//! Counters that stop at the largest number they can hold, so that no amount that somebody tells can be a panic.

use crate::money::NanoUnits;

/// Something that is counted up.
pub(super) trait Count {
    /// Counts `more`.
    fn count(&mut self, more: Self);
}

impl Count for u64 {
    #[inline(always)] // one instruction more than an addition that is checked
    fn count(&mut self, more: Self) {
        *self = self.saturating_add(more);
    }
}

impl Count for NanoUnits {
    #[inline(always)]
    fn count(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }
}
