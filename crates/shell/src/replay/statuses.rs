//! The statuses that a log tells, by their classes.

/// How many answers had a status of each class. All-zero when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// From 1xx to 5xx.
    classes: [u64; 5],
    /// Any other number.
    other: u64,
}

impl Statuses {
    /// What the classes are called, in their order.
    pub const NAMES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// Counts one answer.
    ///
    /// ```
    /// let mut statuses = shell::replay::Statuses::default();
    /// [204, 404, 503, 200, 600].into_iter().for_each(|status| statuses.count(status));
    /// assert_eq!(statuses.classes(), [0, 2, 0, 1, 1]);
    /// assert_eq!((statuses.other(), statuses.total()), (1, 5));
    /// ```
    pub fn count(&mut self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1);
        match class.and_then(|class| self.classes.get_mut(class)) {
            Some(count) => *count += 1,
            None => self.other += 1,
        }
    }

    /// The answers with a status from 1xx to 5xx, in the order of [`Statuses::NAMES`].
    #[must_use]
    pub const fn classes(&self) -> [u64; 5] {
        self.classes
    }

    /// The answers with a status that is of none of these classes.
    #[must_use]
    pub const fn other(&self) -> u64 {
        self.other
    }

    /// All answers. None, for a log that does not tell statuses.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes.iter().sum::<u64>() + self.other
    }
}
