//! Whether a service keeps its agreement: what the requests of the last minute were like.

use super::metrics::{Crossing, SlaKind, SlaStatus};
use super::sla::SLA;
use crate::time::{Instant, NANOS_PER_SECOND};

const BUCKETS: usize = 6;
const BUCKET: u64 = 10 * NANOS_PER_SECOND;
/// How many requests it takes to tell anything.
const COUNT_MIN: u64 = 20;
/// The share of slow requests that an agreement allows: it is about the 95th of a hundred.
const SLOW_MAX_PPM: u32 = 50_000;

/// What came in one span of ten seconds.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    count: u32,
    slow: u32,
    errors: u32,
}

impl Bucket {
    const EMPTY: Self = Self { count: 0, slow: 0, errors: 0 };
}

/// The last six spans of ten seconds, and whether the agreement was broken when it was last looked at. All-zero when
/// empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlaWindow {
    buckets: [Bucket; BUCKETS],
    /// The number of the latest span.
    latest: u64,
    latency_breached: bool,
    errors_breached: bool,
}

/// A threshold that was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crossed {
    pub(super) kind: SlaKind,
    pub(super) crossing: Crossing,
    pub(super) measured_ppm: u32,
    pub(super) threshold_ppm: u32,
}

/// How a request went, as an agreement sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) is_slow: bool,
    pub(super) is_error: bool,
}

impl SlaWindow {
    pub(super) const EMPTY: Self = Self {
        buckets: [Bucket::EMPTY; BUCKETS],
        latest: 0,
        latency_breached: false,
        errors_breached: false,
    };

    /// Counts a request whose service ended, or that will have none.
    pub(super) fn record(&mut self, now: Instant, outcome: Outcome) {
        let number = (now.0 / BUCKET).max(self.latest);
        let passed = number - self.latest;
        if passed >= BUCKETS as u64 {
            self.buckets.fill(Bucket::EMPTY);
        } else {
            (self.latest + 1..=number).for_each(|number| self.buckets[place(number)] = Bucket::EMPTY);
        }
        self.latest = number;
        let bucket = &mut self.buckets[place(number)];
        if bucket.count < u32::MAX {
            bucket.count += 1;
            bucket.slow += u32::from(outcome.is_slow);
            bucket.errors += u32::from(outcome.is_error);
        }
    }

    pub(super) fn status(&self, now: Instant) -> SlaStatus {
        let mut status = SlaStatus {
            latency_breached: self.latency_breached,
            errors_breached: self.errors_breached,
            ..SlaStatus::default()
        };
        // What lies before the time that six spans ago began is over; the latest spans are always there.
        let number = (now.0 / BUCKET).max(self.latest);
        let oldest = (number + 1).saturating_sub(BUCKETS as u64);
        for number in oldest..=self.latest {
            let bucket = &self.buckets[place(number)];
            status.count += u64::from(bucket.count);
            status.slow += u64::from(bucket.slow);
            status.errors += u64::from(bucket.errors);
        }
        status
    }

    /// Looks at how the agreement stands, and tells which thresholds it has crossed since the last look. With too few
    /// requests nothing is crossed; and an agreement is kept again only when there is a margin.
    pub(super) fn judge(&mut self, now: Instant, sla: &SLA) -> [Option<Crossed>; 2] {
        let SlaStatus { count, slow, errors, .. } = self.status(now);
        if count < COUNT_MIN {
            return [None; 2];
        }
        let allowed = u128::from(sla.error_rate_threshold_ppm) * u128::from(count);
        let failed = u128::from(errors) * 1_000_000;
        let latency = crossed(&mut self.latency_breached, slow * 100 > 5 * count, slow * 100 <= 4 * count);
        let error_rate = crossed(&mut self.errors_breached, failed > allowed, failed * 10 <= allowed * 9);
        let of = |kind, crossing: Option<Crossing>, part: u64, threshold_ppm| {
            crossing.map(|crossing| {
                let measured = u128::from(part) * 1_000_000 / u128::from(count);
                let measured_ppm = u32::try_from(measured).unwrap_or(u32::MAX);
                Crossed { kind, crossing, measured_ppm, threshold_ppm }
            })
        };
        [
            of(SlaKind::Latency, latency, slow, SLOW_MAX_PPM),
            of(SlaKind::Errors, error_rate, errors, sla.error_rate_threshold_ppm),
        ]
    }
}

fn crossed(breached: &mut bool, is_broken: bool, is_kept: bool) -> Option<Crossing> {
    let crossing = match *breached {
        false if is_broken => Crossing::Breach,
        true if is_kept => Crossing::Recovery,
        _ => return None,
    };
    *breached = crossing == Crossing::Breach;
    Some(crossing)
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{BUCKET, Crossing, Instant, Outcome, SLA, SlaKind, SlaWindow};
    use proptest::prelude::{ProptestConfig, prop, proptest};

    const ONE_PERCENT: SLA = SLA { error_rate_threshold_ppm: 10_000, ..SLA::EMPTY };

    fn record(window: &mut SlaWindow, at: u64, count: u32, is_slow: bool, is_error: bool) {
        (0..count).for_each(|_| window.record(Instant(at), Outcome { is_slow, is_error }));
    }

    #[test]
    fn it_takes_20_requests_to_break_an_agreement() {
        let mut window = SlaWindow::EMPTY;
        record(&mut window, 0, 19, true, true);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT), [None; 2]);
        record(&mut window, 0, 1, true, true);
        let both = window.judge(Instant(0), &ONE_PERCENT).map(Option::unwrap);
        assert_eq!(both.map(|crossed| crossed.kind), [SlaKind::Latency, SlaKind::Errors]);
        assert_eq!(both.map(|crossed| crossed.crossing), [Crossing::Breach; 2]);
        assert_eq!(both.map(|crossed| crossed.measured_ppm), [1_000_000; 2]);
        assert_eq!(both.map(|crossed| crossed.threshold_ppm), [50_000, 10_000]);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT), [None; 2], "once for each crossing");
    }

    #[test]
    fn the_threshold_itself_is_kept_and_recovery_takes_a_margin() {
        let mut window = SlaWindow::EMPTY;
        record(&mut window, 0, 95, false, false);
        record(&mut window, 0, 5, true, false);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT), [None; 2], "5 of 100 are allowed");
        record(&mut window, 0, 1, true, false);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT)[0].unwrap().measured_ppm, 59_405);
        record(&mut window, 0, 48, false, false);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT)[0], None, "6 of 149 are more than 4 of 100");
        record(&mut window, 0, 1, false, false);
        assert_eq!(window.judge(Instant(0), &ONE_PERCENT)[0].unwrap().crossing, Crossing::Recovery);
    }

    #[test]
    fn missing_data_leaves_a_broken_agreement_broken() {
        let mut window = SlaWindow::EMPTY;
        record(&mut window, 0, 20, true, false);
        assert!(window.judge(Instant(0), &ONE_PERCENT)[0].is_some());
        let later = Instant(100 * BUCKET);
        assert_eq!((window.judge(later, &ONE_PERCENT), window.status(later).count), ([None; 2], 0));
        assert!(window.status(later).latency_breached);
        record(&mut window, later.0, 20, false, false);
        assert_eq!(window.judge(later, &ONE_PERCENT)[0].unwrap().crossing, Crossing::Recovery);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
        #[test]
        fn counts_are_those_of_the_last_six_spans(steps in prop::collection::vec((0..40_u64, 0..4_u8), 1..100)) {
            let (mut window, mut now) = (SlaWindow::EMPTY, 0);
            let mut naive: Vec<(u64, Outcome)> = Vec::new();
            for (passed, kind) in steps {
                now += passed * BUCKET / 4;
                let outcome = Outcome { is_slow: kind & 1 != 0, is_error: kind & 2 != 0 };
                if passed % 3 != 2 {
                    window.record(Instant(now), outcome);
                    naive.push((now / BUCKET, outcome));
                }
                let recent = || naive.iter().filter(|(number, _)| number + 6 > now / BUCKET);
                let status = window.status(Instant(now));
                assert_eq!(status.count, recent().count() as u64);
                assert_eq!(status.slow, recent().filter(|(_, outcome)| outcome.is_slow).count() as u64);
                assert_eq!(status.errors, recent().filter(|(_, outcome)| outcome.is_error).count() as u64);
            }
        }
    }
}
