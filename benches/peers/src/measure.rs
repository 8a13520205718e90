//! Time for one operation of several cases, so that the cases can be compared with each other.
//!
//! The samples of all cases are taken in turn, so that a disturbance of the machine meets all of them; each sample
//! follows an equal run that is not timed and fills the caches with the case's own data. The median counts.

use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Samples of each case.
    pub samples: usize,
    /// About how long each sample takes.
    pub sample: Duration,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self { samples: 7, sample: Duration::from_millis(30) };
    /// To see that it works.
    pub const QUICK: Self = Self { samples: 3, sample: Duration::from_millis(8) };
}

/// Something to be measured.
pub struct Case<'a> {
    /// What it is.
    pub name: &'static str,
    /// Whether each operation reads a clock.
    pub clock: Clock,
    run: Box<dyn FnMut(u64, u64) -> Duration + 'a>,
}

/// Whether each operation reads a clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It does.
    Read,
    /// Time stands still, or plays no part.
    Still,
}

impl Clock {
    /// The word in the report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Still => "still",
        }
    }
}

impl<'a> Case<'a> {
    /// A case whose `run(operations, seed)` does so many operations, in the random order of the seed.
    pub fn new(name: &'static str, clock: Clock, mut run: impl FnMut(u64, u64) + 'a) -> Self {
        Self::timing_itself(name, clock, move |operations, seed| {
            let start = Instant::now();
            run(operations, seed);
            start.elapsed()
        })
    }

    /// A case whose `run(operations, seed)` also says how long those of its operations took that are to be counted.
    pub fn timing_itself(
        name: &'static str,
        clock: Clock,
        run: impl FnMut(u64, u64) -> Duration + 'a,
    ) -> Self {
        Self { name, clock, run: Box::new(run) }
    }

    /// The same under another name.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// How long one operation of each case takes, in nanoseconds, in the order of the cases.
pub fn nanos_per_operation(cases: &mut [Case<'_>], effort: Effort) -> Vec<f64> {
    let operations: Vec<u64> = cases.iter_mut().map(|case| operations_within(case, effort.sample)).collect();
    let mut samples = vec![Vec::with_capacity(effort.samples); cases.len()];
    for round in 0..effort.samples as u64 {
        for ((case, samples), &operations) in cases.iter_mut().zip(&mut samples).zip(&operations) {
            (case.run)(operations, 2 * round + 1);
            samples.push((case.run)(operations, 2 * round + 2).as_secs_f64() * 1e9 / operations as f64);
        }
    }
    samples.iter_mut().map(|samples| median(samples)).collect()
}

fn operations_within(case: &mut Case<'_>, sample: Duration) -> u64 {
    let mut operations = 1024;
    loop {
        let took = (case.run)(operations, 0);
        if took * 4 >= sample {
            let scaled = operations as f64 * sample.as_secs_f64() / took.as_secs_f64();
            return scaled as u64 + 1;
        }
        operations *= 2;
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
