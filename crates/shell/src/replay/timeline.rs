//! A replayed log over time: requests, refusals and errors, minute by minute.

use governance::time::{Nanos, WallTime};

/// The steps that a timeline has room for: one week of minutes.
pub const TIMELINE_STEPS: usize = 7 * 24 * 60;

const MINUTE: u64 = 60_000_000_000;

/// What happened in one step of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, whatever became of them. A step without any is a gap.
    pub requests: u32,
    /// Those that were refused.
    pub denied: u32,
    /// Those whose answer had a status of 5xx.
    pub errors: u32,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            denied: self.denied.saturating_add(other.denied),
            errors: self.errors.saturating_add(other.errors),
        }
    }
}

/// The steps of a log. All-zero when empty.
///
/// A step is one minute. When the log turns out to be longer than there is room for, steps become twice as long: each
/// is merged with its neighbour, and nothing that was counted is lost. Lines may come in any order.
///
/// ```
/// use governance::time::WallTime;
/// use shell::replay::{Tally, Timeline};
/// let mut timeline = Timeline::new();
/// let line = |time: &str| time.parse::<WallTime>().unwrap();
/// timeline.add(line("2015-05-17T10:05:43Z"), Tally { requests: 1, denied: 0, errors: 1 });
/// timeline.add(line("2015-05-17T10:05:03Z"), Tally { requests: 1, denied: 1, errors: 0 });
/// timeline.add(line("2015-05-17T10:04:59Z"), Tally { requests: 1, denied: 0, errors: 0 });
/// let steps: Vec<_> = timeline.steps().map(|(start, tally)| (start.to_string(), tally.requests)).collect();
/// assert_eq!(steps, [("2015-05-17T10:04:00Z".into(), 1), ("2015-05-17T10:05:00Z".into(), 2)]);
/// ```
#[derive(Debug)]
pub struct Timeline {
    /// A ring: step `n` since the epoch lies at `n % TIMELINE_STEPS`.
    ring: [Tally; TIMELINE_STEPS],
    /// The first step that has a line, counted since the epoch.
    first: u64,
    /// How many steps there are from the first to the last.
    length: usize,
    /// How often steps became twice as long.
    doublings: u32,
}

impl Timeline {
    /// A timeline without steps.
    #[must_use]
    pub const fn new() -> Self {
        let nothing = Tally { requests: 0, denied: 0, errors: 0 };
        Self { ring: [nothing; TIMELINE_STEPS], first: 0, length: 0, doublings: 0 }
    }

    /// Forgets everything, in place.
    pub fn reset(&mut self) {
        self.ring.fill(Tally::default());
        (self.first, self.length, self.doublings) = (0, 0, 0);
    }

    /// Counts what happened at a time.
    pub fn add(&mut self, time: WallTime, tally: Tally) {
        let minute = time.0 / MINUTE;
        if self.length == 0 {
            (self.first, self.length) = (minute >> self.doublings, 1);
        }
        let step = loop {
            let step = minute >> self.doublings;
            let (first, last) = (self.first.min(step), self.last().max(step));
            // Of 2⁶⁴ nanoseconds, the steps of all doublings count to less than 2³⁰.
            match usize::try_from(last - first) {
                Ok(beyond) if beyond < TIMELINE_STEPS => {
                    (self.first, self.length) = (first, beyond + 1);
                    break step;
                }
                _ => self.double(),
            }
        };
        let place = &mut self.ring[place(step)];
        *place = place.and(tally);
    }

    /// How long a step is.
    #[must_use]
    pub const fn step(&self) -> Nanos {
        Nanos(MINUTE << self.doublings)
    }

    /// Each step from the first to the last that has a line, gaps included, with the time at which it starts.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (WallTime, Tally)> + Clone {
        (0..self.length).map(|index| {
            let step = self.first + index as u64;
            (WallTime(step * self.step().0), self.ring[place(step)])
        })
    }

    const fn last(&self) -> u64 {
        self.first + (self.length as u64).saturating_sub(1)
    }

    /// Makes steps twice as long.
    fn double(&mut self) {
        // With the first step in front, the merged ones lie where there is nothing left to read.
        self.ring.rotate_left(place(self.first));
        let (first, last) = (self.first, self.last());
        let merged_first = first / 2;
        for index in 0..self.length {
            let tally = core::mem::take(&mut self.ring[index]);
            let to = usize::try_from((first + index as u64) / 2 - merged_first).unwrap_or(index);
            self.ring[to] = self.ring[to].and(tally);
        }
        (self.first, self.length) = (merged_first, usize::try_from(last / 2 - merged_first).unwrap_or(0) + 1);
        self.doublings += 1;
        self.ring.rotate_right(place(self.first));
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a step lies.
const fn place(step: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "a remainder is less than the number of steps")]
    let place = (step % TIMELINE_STEPS as u64) as usize;
    place
}

#[cfg(test)]
mod tests {
    use super::{MINUTE, TIMELINE_STEPS, Tally, Timeline};
    use governance::time::WallTime;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ONE: Tally = Tally { requests: 1, denied: 0, errors: 0 };

    fn shown(timeline: &Timeline) -> BTreeMap<u64, Tally> {
        let steps = timeline.steps().filter(|(_, tally)| tally.requests > 0);
        steps.map(|(start, tally)| (start.0 / timeline.step().0, tally)).collect()
    }

    #[test]
    fn a_week_is_kept_by_the_minute_and_one_minute_more_by_two() {
        let mut timeline = Timeline::new();
        let monday = 24_000_001_u64;
        for minute in 0..TIMELINE_STEPS as u64 {
            timeline.add(WallTime((monday + minute) * MINUTE), ONE);
        }
        assert_eq!((timeline.step().0, timeline.steps().len()), (MINUTE, TIMELINE_STEPS));
        timeline.add(WallTime((monday - 1) * MINUTE), ONE);
        let counts: Vec<u32> = timeline.steps().map(|(_, tally)| tally.requests).collect();
        assert_eq!((timeline.step().0, counts.len()), (2 * MINUTE, TIMELINE_STEPS / 2 + 1));
        assert!(counts[..TIMELINE_STEPS / 2].iter().all(|count| *count == 2));
        assert_eq!(counts.last(), Some(&1));
        timeline.reset();
        assert_eq!((timeline.step().0, timeline.steps().len()), (MINUTE, 0));
    }

    #[test]
    fn all_time_fits() {
        let mut timeline = Timeline::new();
        timeline.add(WallTime(u64::MAX), ONE);
        timeline.add(WallTime(0), ONE);
        timeline.add(WallTime(u64::MAX / 2), ONE);
        assert_eq!(timeline.steps().map(|(_, tally)| tally.requests).sum::<u32>(), 3);
        assert!(timeline.steps().len() > TIMELINE_STEPS / 2);
    }

    proptest! {
        #[test]
        fn a_timeline_is_a_map_of_counts(
            origin in 0..30_000_000_u64,
            width in prop_oneof![Just(3_u64), Just(9_000), Just(11_000), Just(100_000), Just(3_000_000)],
            lines in prop::collection::vec((any::<u64>(), any::<[bool; 2]>()), 1..60),
        ) {
            let mut timeline = Box::new(Timeline::new());
            let mut minutes: BTreeMap<u64, Tally> = BTreeMap::new();
            for (random, [denied, error]) in lines {
                let minute = origin + random % width;
                let tally = Tally { requests: 1, denied: denied.into(), errors: error.into() };
                timeline.add(WallTime(minute * MINUTE + random % MINUTE), tally);
                let counted = minutes.entry(minute).or_default();
                *counted = counted.and(tally);
                let mut doublings = 0;
                let (first, last) = (*minutes.keys().next().unwrap(), *minutes.keys().last().unwrap());
                while (last >> doublings) - (first >> doublings) >= TIMELINE_STEPS as u64 {
                    doublings += 1;
                }
                let mut expected: BTreeMap<u64, Tally> = BTreeMap::new();
                for (minute, tally) in &minutes {
                    let step = expected.entry(minute >> doublings).or_default();
                    *step = step.and(*tally);
                }
                prop_assert_eq!(timeline.step().0, MINUTE << doublings);
                prop_assert_eq!(timeline.steps().len() as u64, (last >> doublings) - (first >> doublings) + 1);
                prop_assert_eq!(shown(&timeline), expected);
            }
        }
    }
}
