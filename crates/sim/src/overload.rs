//! More work than a server can do: arrivals, simple schedulers to compare with, and what comes of it.
//!
//! [`arrivals`] makes Poisson arrivals with deadlines, [`run`] serves them one after the other as a [`Scheduler`] says,
//! and [`Sorted`] is such a scheduler: first come first served, earliest deadline first, or strict priority.
//! Everything is whole numbers, so that the same seed gives the same table on every machine.

use crate::random::Random;
use std::collections::BTreeMap;

/// How many classes there are, the most urgent first.
pub const CLASSES: usize = 5;

/// How many tenants each class has.
pub const TENANTS: u64 = 4;

/// How long every request is served, in nanoseconds.
pub const SERVICE_NS: u64 = 1_000_000;

/// How many requests may wait.
pub const CAPACITY: usize = 256;

/// A request that needs the server until a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number, from 0.
    pub number: usize,
    /// Its class, from 0.
    pub class: usize,
    /// Whose it is, from 0.
    pub tenant: u64,
    /// When it comes, in nanoseconds.
    pub arrival_ns: u64,
    /// When it has to be done.
    pub deadline_ns: u64,
}

/// Poisson arrivals at `load_permille` of what the server can do, in classes and of tenants that are equally likely,
/// each with a deadline 20 to 100 ms later.
#[must_use]
pub fn arrivals(seed: u64, load_permille: u64, count: usize) -> Vec<Job> {
    let mut random = Random::new(seed);
    let mean_ns = SERVICE_NS * 1_000 / load_permille;
    let mut now_ns = 0;
    let jobs = (0..count).map(|number| {
        now_ns += exponential(&mut random, mean_ns);
        Job {
            number,
            class: random.index(CLASSES),
            tenant: random.between(0, TENANTS - 1),
            arrival_ns: now_ns,
            deadline_ns: now_ns + random.between(20_000_000, 100_000_000),
        }
    });
    jobs.collect()
}

/// A number that is exponentially distributed around `mean`, to 32 binary digits.
fn exponential(random: &mut Random, mean: u64) -> u64 {
    // ln 2 with 32 binary digits.
    const LN_2: u128 = 2_977_044_472;
    let bits_of_log = u128::from(minus_log2(random.next_u64()));
    let scaled = (u128::from(mean) * bits_of_log * LN_2) >> 64;
    u64::try_from(scaled).expect("a mean of milliseconds times at most 45")
}

/// `-log2(uniform / 2^64)` with 32 binary digits, by squaring: a square that reaches 2 is one more binary digit.
fn minus_log2(uniform: u64) -> u64 {
    let uniform = uniform.max(1);
    let zeros = uniform.leading_zeros();
    // From 1 to 2, with 63 binary digits.
    let mut mantissa = u128::from(uniform << zeros);
    let mut log = 0;
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    (u64::from(zeros + 1) << 32) - log
}

/// Who is served next, and who is turned away.
pub trait Scheduler {
    /// A request comes.
    fn arrive(&mut self, now_ns: u64, job: &Job);
    /// The number of the request that is served from now on, if any waits that is worth it.
    fn start(&mut self, now_ns: u64) -> Option<usize>;
    /// The request that is served is done.
    fn finish(&mut self, now_ns: u64, job: &Job);
    /// How many wait.
    fn waiting(&self) -> usize;
    /// How many were turned away, whenever that was.
    fn rejected(&self) -> usize;
}

/// What became of the requests of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    /// How many came.
    pub arrivals: u64,
    /// How many were served.
    pub served: u64,
    /// How many of them in time.
    pub on_time: u64,
    /// The longest that one which was served had waited, in nanoseconds.
    pub worst_wait_ns: u64,
}

/// What became of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By class.
    pub classes: [ClassReport; CLASSES],
    /// The most that any scheduler could have served in time.
    pub ideal: u64,
}

impl Report {
    /// How many came.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.classes.iter().map(|class| class.arrivals).sum()
    }

    /// How many were served in time.
    #[must_use]
    pub fn on_time(&self) -> u64 {
        self.classes.iter().map(|class| class.on_time).sum()
    }
}

/// Serves `jobs` one after the other, as `scheduler` says.
///
/// # Panics
/// If at some moment those that came are not as many as were served, wait, or were turned away; if a request is served
/// twice; or if it is not idle for want of requests.
pub fn run(jobs: &[Job], scheduler: &mut dyn Scheduler) -> Report {
    let mut report = Report::default();
    let (mut arrived, mut served) = (0, 0);
    let mut is_served = vec![false; jobs.len()];
    let mut serving: Option<(u64, &Job)> = None;
    loop {
        let upcoming = jobs.get(arrived).map(|job| job.arrival_ns);
        let done = serving.map(|(done_ns, _)| done_ns);
        let now_ns = match (upcoming, done) {
            (None, None) => break,
            (Some(upcoming), Some(done)) => upcoming.min(done),
            (Some(now), None) | (None, Some(now)) => now,
        };
        if done == Some(now_ns) {
            if let Some((_, job)) = serving.take() {
                report.classes[job.class].on_time += u64::from(now_ns <= job.deadline_ns);
                scheduler.finish(now_ns, job);
            }
        } else {
            let job = &jobs[arrived];
            arrived += 1;
            report.classes[job.class].arrivals += 1;
            scheduler.arrive(now_ns, job);
        }
        if serving.is_none()
            && let Some(number) = scheduler.start(now_ns)
        {
            assert!(!std::mem::replace(&mut is_served[number], true), "{number} is served twice");
            let job = &jobs[number];
            served += 1;
            let class = &mut report.classes[job.class];
            class.served += 1;
            class.worst_wait_ns = class.worst_wait_ns.max(now_ns - job.arrival_ns);
            serving = Some((now_ns + SERVICE_NS, job));
        }
        assert!(serving.is_some() || scheduler.waiting() == 0, "idle while requests wait");
        assert_eq!(arrived, served + scheduler.waiting() + scheduler.rejected(), "those that came");
    }
    report.ideal = ideal(jobs);
    report
}

/// What no scheduler can exceed: all of them, or one after the other from the first arrival to the latest deadline.
fn ideal(jobs: &[Job]) -> u64 {
    let first_ns = jobs.iter().map(|job| job.arrival_ns).min().unwrap_or(0);
    let last_ns = jobs.iter().map(|job| job.deadline_ns).max().unwrap_or(0);
    (jobs.len() as u64).min((last_ns - first_ns) / SERVICE_NS)
}

/// Which waiting requests are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// None.
    Never,
    /// Those whose deadline is over when their turn comes.
    Expired,
    /// Those whose deadline cannot be kept when their turn comes.
    Infeasible,
}

/// A scheduler that keeps requests in an order and turns away whoever comes when it is full.
pub struct Sorted {
    key: fn(&Job) -> u64,
    give_up: GiveUp,
    waiting: BTreeMap<(u64, usize), Job>,
    rejected: usize,
}

impl Sorted {
    /// A scheduler by `key`, the smaller first, and in the order of arrival where it is the same.
    #[must_use]
    pub fn new(key: fn(&Job) -> u64, give_up: GiveUp) -> Self {
        Self { key, give_up, waiting: BTreeMap::new(), rejected: 0 }
    }

    /// The schedulers to compare with, and their names.
    #[must_use]
    pub fn baselines() -> [(&'static str, Self); 5] {
        [
            ("FIFO", Self::new(|_| 0, GiveUp::Never)),
            ("EDF", Self::new(|job| job.deadline_ns, GiveUp::Never)),
            ("EDF, expired dropped", Self::new(|job| job.deadline_ns, GiveUp::Expired)),
            ("EDF, infeasible dropped", Self::new(|job| job.deadline_ns, GiveUp::Infeasible)),
            ("strict priority", Self::new(|job| job.class as u64, GiveUp::Never)),
        ]
    }
}

impl Scheduler for Sorted {
    fn arrive(&mut self, _now_ns: u64, job: &Job) {
        if self.waiting.len() == CAPACITY {
            self.rejected += 1;
        } else {
            self.waiting.insert(((self.key)(job), job.number), *job);
        }
    }

    fn start(&mut self, now_ns: u64) -> Option<usize> {
        while let Some((_, job)) = self.waiting.pop_first() {
            let needed_ns = match self.give_up {
                GiveUp::Never => return Some(job.number),
                GiveUp::Expired => 0,
                GiveUp::Infeasible => SERVICE_NS,
            };
            if now_ns + needed_ns <= job.deadline_ns {
                return Some(job.number);
            }
            self.rejected += 1;
        }
        None
    }

    fn finish(&mut self, _now_ns: u64, _job: &Job) {}

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn rejected(&self) -> usize {
        self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASSES, Sorted, arrivals, exponential, minus_log2, run};
    use crate::random::Random;

    #[test]
    fn logarithms_are_exact_for_powers_of_two_and_close_elsewhere() {
        for power in 0..64 {
            assert_eq!(minus_log2(1 << power), (64 - power) << 32);
        }
        // log2(3) = 1.584962500721156...
        let expected = (62_u64 << 32) + (1 << 32) - 2_512_394_810;
        assert!(minus_log2(3).abs_diff(expected) <= 1, "{}", minus_log2(3));
    }

    #[test]
    fn times_between_arrivals_are_exponential() {
        let mut random = Random::new(5);
        let count: u64 = 200_000;
        let numbers: Vec<u64> = (0..count).map(|_| exponential(&mut random, 1_000_000)).collect();
        let mean = numbers.iter().sum::<u64>() / count;
        assert!((990_000..1_010_000).contains(&mean), "{mean}");
        // A part of e^-k is above k times the mean.
        for (times, expected_ppm) in [(1, 367_879), (2, 135_335), (3, 49_787)] {
            let above = numbers.iter().filter(|number| **number > times * 1_000_000).count();
            let ppm = above * 1_000_000 / 200_000;
            assert!(ppm.abs_diff(expected_ppm) < 3_000, "{times}: {ppm}");
        }
    }

    #[test]
    fn below_the_capacity_everybody_is_served_and_classes_are_alike() {
        let jobs = arrivals(1, 500, 20_000);
        for (name, mut scheduler) in Sorted::baselines() {
            let report = run(&jobs, &mut scheduler);
            assert_eq!(report.on_time(), 20_000, "{name}");
            assert_eq!(report.ideal, 20_000);
            for class in 0..CLASSES {
                assert!((3_700..4_300).contains(&report.classes[class].arrivals), "{name}");
            }
        }
    }

    #[test]
    fn no_scheduler_is_better_than_the_ideal() {
        let jobs = arrivals(2, 1_500, 20_000);
        for (name, mut scheduler) in Sorted::baselines() {
            let report = run(&jobs, &mut scheduler);
            assert!(report.on_time() <= report.ideal, "{name}");
        }
    }
}
