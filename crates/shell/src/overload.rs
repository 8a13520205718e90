//! A service under load: the scheduler of this system beside those that others use, each with the same arrivals.
//!
//! One service takes [`SERVICE`] for a request. Requests arrive at random times (a Poisson process), each with one of
//! five classes, one of [`TENANTS`] tenants, and a deadline [`DEADLINE_MIN`] to [`DEADLINE_MAX`] after its arrival. At
//! most [`ROOM`] of them wait. Time is an argument and chance is a seeded generator of whole numbers, so that a
//! [`Scenario`] comes to the same [`Comparison`] on every machine.

use crate::random::SplitMix;
use core::cmp::Reverse;
use governance::priority::{
    EnqueueError, Lane, Origin, PriorityError, PriorityScheduler, QueueId, QueueTicket, QueuedRequest, SLA,
    ServiceReport,
};
use governance::request::RequestPriority;
use governance::scope::{HashSecret, KeyHash, Name};
use governance::time::{Instant, Nanos};

/// How long the service takes for a request.
pub const SERVICE: Nanos = Nanos::from_millis(1);
/// The time from an arrival to the earliest deadline that it can have.
pub const DEADLINE_MIN: Nanos = Nanos::from_millis(20);
/// The time from an arrival to the latest deadline that it can have.
pub const DEADLINE_MAX: Nanos = Nanos::from_millis(100);
/// How many requests can wait.
pub const ROOM: usize = 256;
/// How many tenants there are. The first one sends half of the requests.
pub const TENANTS: u64 = 4;
/// The lightest load, in parts of a thousand.
pub const LOAD_MIN_PERMILLE: u32 = 100;
/// The heaviest load, in parts of a thousand.
pub const LOAD_MAX_PERMILLE: u32 = 10_000;
/// The longest time.
pub const SECONDS_MAX: u32 = 600;

/// Arrivals between two looks at whether to go on.
const BATCH: u64 = 4096;
/// The service's share of a second.
const SERVICE_US: u32 = 1_000;
const CLASSES: usize = RequestPriority::COUNT;

/// What happens to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Requests that arrive for a thousand that can be served, [`LOAD_MIN_PERMILLE`] to [`LOAD_MAX_PERMILLE`].
    pub load_permille: u32,
    /// How long they do, in seconds of the simulated time, 1 to [`SECONDS_MAX`].
    pub seconds: u32,
    /// Which arrivals.
    pub seed: u64,
    /// What each class weighs, most urgent first.
    pub weights: [u32; CLASSES],
}

/// Who decides which request is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// The one that came first.
    Fifo,
    /// The one of the highest class, and of those the one that came first.
    StrictPriority,
    /// The one with the earliest deadline.
    EarliestDeadline,
    /// The one that this system's scheduler says.
    Weir,
}

impl Discipline {
    /// Every discipline, in the order of [`Comparison::tallies`].
    pub const ALL: [Self; 4] = [Self::Fifo, Self::StrictPriority, Self::EarliestDeadline, Self::Weir];

    /// The word that stands in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::StrictPriority => "strict-priority",
            Self::EarliestDeadline => "earliest-deadline",
            Self::Weir => "weir",
        }
    }
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests whose service has ended.
    pub served: u64,
    /// Those of them that were answered by their deadlines.
    pub on_time: u64,
    /// Requests that were never served and do not wait any more: they found no room, or were let go.
    pub dropped: u64,
    /// The longest that one of each class has waited that was served, or still waits at the end; none where there is
    /// none.
    pub worst_wait: [Option<Nanos>; CLASSES],
}

/// The same arrivals under each discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Requests that came.
    pub arrivals: u64,
    /// How many of them a service could answer that is never idle and never serves in vain.
    pub ideal: u64,
    /// What became of them, by [`Discipline::ALL`].
    pub tallies: [Tally; Discipline::ALL.len()],
}

/// Why there is no comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulationError {
    /// The caller did not want to go on.
    Stopped,
    /// The scheduler did not take the weights or the agreement.
    Refused(PriorityError),
}

/// Runs a scenario under each discipline. `scheduler` loses all that it holds, and is empty afterwards. `go_on` is asked
/// now and then.
///
/// # Errors
/// [`SimulationError`].
pub fn simulate<const T: usize>(
    scenario: &Scenario,
    scheduler: &mut PriorityScheduler<T>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Comparison, SimulationError> {
    let mut arrivals = 0;
    let mut tallies = [Tally::default(); Discipline::ALL.len()];
    for (discipline, tally) in Discipline::ALL.into_iter().zip(&mut tallies) {
        let ran = match discipline {
            Discipline::Fifo => run(scenario, &mut WaitingRoom::new(|job: &Job| job.number), go_on),
            Discipline::StrictPriority => {
                run(scenario, &mut WaitingRoom::new(|job: &Job| (job.class, job.number)), go_on)
            }
            Discipline::EarliestDeadline => {
                run(scenario, &mut WaitingRoom::new(|job: &Job| (job.deadline, job.number)), go_on)
            }
            Discipline::Weir => Weir::new(scenario, scheduler)
                .map_err(SimulationError::Refused)
                .and_then(|mut weir| run(scenario, &mut weir, go_on)),
        };
        scheduler.reset(HashSecret::default());
        (arrivals, *tally) = ran?;
    }
    let served_max = u64::from(scenario.seconds) * Nanos::from_seconds(1).0 / SERVICE.0;
    Ok(Comparison { arrivals, ideal: arrivals.min(served_max), tallies })
}

/// A request.
#[derive(Clone, Copy)]
struct Job {
    number: u64,
    class: RequestPriority,
    tenant: u64,
    arrival: Instant,
    deadline: Instant,
}

/// A request that is served.
struct Served {
    class: RequestPriority,
    waited: Nanos,
    deadline: Instant,
}

/// What still waits.
struct Left {
    count: u64,
    /// How long the oldest of each class has waited.
    oldest: [Option<Nanos>; CLASSES],
}

/// Where requests wait.
trait Queue {
    /// Takes a request, or does not.
    fn offer(&mut self, job: &Job);
    /// Ends the service of the last one at this time, and gives the next.
    fn next(&mut self, now: Instant) -> Option<Served>;
    /// What waits at the end.
    fn left(&mut self, end: Instant) -> Left;
}

/// Runs a scenario. What is not answered at its end does not count.
fn run(
    scenario: &Scenario,
    queue: &mut dyn Queue,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(u64, Tally), SimulationError> {
    let end = Instant(0).after(Nanos::from_seconds(scenario.seconds.into()));
    let mut arrivals = Arrivals::new(scenario);
    let mut service = Service { free: Instant(0), end, begun: 0, tally: Tally::default() };
    loop {
        let job = arrivals.next();
        if job.arrival >= end {
            service.serve_until(queue, end);
            let Left { count, oldest } = queue.left(end);
            let Service { begun, mut tally, .. } = service;
            tally.dropped = job.number - begun - count;
            for (worst, oldest) in tally.worst_wait.iter_mut().zip(oldest) {
                *worst = (*worst).max(oldest);
            }
            return Ok((job.number, tally));
        }
        service.serve_until(queue, job.arrival);
        queue.offer(&job);
        if job.number % BATCH == BATCH - 1 && !go_on() {
            return Err(SimulationError::Stopped);
        }
    }
}

/// What serves one request at a time.
struct Service {
    /// When the last service ends.
    free: Instant,
    end: Instant,
    /// How many it has begun to serve.
    begun: u64,
    tally: Tally,
}

impl Service {
    /// Serves what waits, as far as it can begin before this time.
    fn serve_until(&mut self, queue: &mut dyn Queue, time: Instant) {
        while self.free < time {
            let Some(job) = queue.next(self.free) else {
                self.free = time;
                return;
            };
            self.begun += 1;
            self.free = self.free.after(SERVICE);
            if self.free <= self.end {
                self.tally.served += 1;
                self.tally.on_time += u64::from(self.free <= job.deadline);
                let worst = &mut self.tally.worst_wait[job.class.index()];
                *worst = (*worst).max(Some(job.waited));
            }
        }
    }
}

/// Up to [`ROOM`] requests, of which the one with the least key is next. When it is full, none is taken.
struct WaitingRoom<F> {
    jobs: heapless::Vec<Job, ROOM>,
    key: F,
}

impl<F> WaitingRoom<F> {
    const fn new(key: F) -> Self {
        Self { jobs: heapless::Vec::new(), key }
    }
}

impl<K: Ord, F: Fn(&Job) -> K> Queue for WaitingRoom<F> {
    fn offer(&mut self, job: &Job) {
        // One that finds no room is refused, and that is all.
        let _ = self.jobs.push(*job);
    }

    fn next(&mut self, now: Instant) -> Option<Served> {
        let next = self.jobs.iter().enumerate().max_by_key(|(_, job)| Reverse((self.key)(job)))?.0;
        let job = self.jobs.swap_remove(next);
        Some(Served { class: job.class, waited: now.since(job.arrival), deadline: job.deadline })
    }

    fn left(&mut self, end: Instant) -> Left {
        let mut oldest = [None; CLASSES];
        for job in &self.jobs {
            let longest: &mut Option<Nanos> = &mut oldest[job.class.index()];
            *longest = (*longest).max(Some(end.since(job.arrival)));
        }
        Left { count: self.jobs.len() as u64, oldest }
    }
}

/// The scheduler of this system, with one queue for one request at a time.
struct Weir<'a, const T: usize> {
    scheduler: &'a mut PriorityScheduler<T>,
    queue: QueueId,
    in_service: Option<QueueTicket>,
}

impl<'a, const T: usize> Weir<'a, T> {
    fn new(scenario: &Scenario, scheduler: &'a mut PriorityScheduler<T>) -> Result<Self, PriorityError> {
        scheduler.reset(HashSecret::from_seed(scenario.seed));
        for (class, weight) in RequestPriority::ALL.into_iter().zip(scenario.weights) {
            scheduler.set_weight(Instant(0), class, weight)?;
        }
        let queue = scheduler.define_sla(&SLA {
            service_id: Name::excerpt("simulated"),
            p95_latency_ms: 100,
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency: 1,
            queue_depth: 256,
        })?;
        Ok(Self { scheduler, queue, in_service: None })
    }
}

impl<const T: usize> Queue for Weir<'_, T> {
    fn offer(&mut self, job: &Job) {
        let request = QueuedRequest {
            request_id: job.number,
            priority: job.class,
            arrival_time: job.arrival,
            sla_deadline: Some(job.deadline),
            origin: Origin { tenant: KeyHash(job.tenant + 1), weight: 1, name: None },
            cost_us: SERVICE_US,
            lane: Lane::Shared,
        };
        let offered = self.scheduler.enqueue_request(job.arrival, self.queue, &request, &mut |_| {});
        assert!(matches!(offered, Ok(_) | Err(EnqueueError::Rejected(_))), "a well-formed request");
    }

    fn next(&mut self, now: Instant) -> Option<Served> {
        if let Some(ticket) = self.in_service.take() {
            let report = ServiceReport { service_us: Some(SERVICE_US.into()), is_error: false };
            let ended = self.scheduler.complete_request(now, ticket, &report);
            assert!(ended.is_ok(), "one that was dispatched is in service");
        }
        let next = self.scheduler.dequeue_next(now, self.queue, &mut |_| {})?;
        self.in_service = Some(next.ticket);
        Some(Served { class: next.priority, waited: next.waited, deadline: next.deadline })
    }

    fn left(&mut self, end: Instant) -> Left {
        self.scheduler.tick(end, &mut |_| {});
        let metrics = self.scheduler.get_queue_stats(end, self.queue);
        metrics.map_or(Left { count: 0, oldest: [None; CLASSES] }, |metrics| Left {
            count: metrics.waiting.into(),
            oldest: metrics.classes.map(|class| class.oldest_age),
        })
    }
}

/// The requests of a scenario, one after the other.
struct Arrivals {
    random: SplitMix,
    /// The mean time between two, in nanoseconds.
    mean: u64,
    time: Instant,
    number: u64,
}

impl Arrivals {
    fn new(scenario: &Scenario) -> Self {
        let mean = SERVICE.0 * 1000 / u64::from(scenario.load_permille.max(1));
        Self { random: SplitMix(scenario.seed), mean, time: Instant(0), number: 0 }
    }

    fn next(&mut self) -> Job {
        self.time = self.time.after(Nanos(exponential(self.random.next(), self.mean)));
        let (arrival, number) = (self.time, self.number);
        self.number += 1;
        let class = RequestPriority::ALL[self.random.index(CLASSES)];
        let tenant = if self.random.below(2) == 0 { 0 } else { 1 + self.random.below(TENANTS - 1) };
        let slack = Nanos(self.random.below(DEADLINE_MAX.0 - DEADLINE_MIN.0 + 1));
        Job { number, class, tenant, arrival, deadline: arrival.after(DEADLINE_MIN).after(slack) }
    }
}

/// A length of time that is exponentially distributed around `mean`, from 64 random bits: -ln((bits + 1) / 2^64) × mean,
/// rounded down.
fn exponential(bits: u64, mean: u64) -> u64 {
    /// ln 2, in parts of 2^32.
    const LN_2: u64 = 2_977_044_472;
    let length = (u128::from(neg_log2(bits)) * u128::from(LN_2) * u128::from(mean)) >> 64;
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// -log2((bits + 1) / 2^64) in parts of 2^32, to the last place but one.
fn neg_log2(bits: u64) -> u64 {
    let Some(number) = bits.checked_add(1) else { return 0 };
    let zeros = number.leading_zeros();
    // From 1 to less than 2, in parts of 2^63. The binary digits of its logarithm are what its squares overflow by.
    let mut mantissa = number << zeros;
    let mut fraction = 0_u64;
    for _ in 0..32 {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let digit = u64::from(square >> 64 != 0);
        mantissa = u64::try_from(square >> digit).unwrap_or(u64::MAX);
        fraction = fraction << 1 | digit;
    }
    ((u64::from(zeros) + 1) << 32) - fraction
}

#[cfg(test)]
mod tests {
    use super::{
        Comparison, Discipline, Job, Queue, ROOM, Scenario, SimulationError, SplitMix, Tally, WaitingRoom,
        exponential, neg_log2, simulate,
    };
    use governance::priority::{DEFAULT_WEIGHTS, PriorityScheduler};
    use governance::request::RequestPriority;
    use governance::time::{Instant, Nanos};

    fn scenario(load_permille: u32) -> Scenario {
        Scenario { load_permille, seconds: 20, seed: 1, weights: DEFAULT_WEIGHTS }
    }

    fn compare(scenario: &Scenario) -> Comparison {
        let mut scheduler = Box::new(PriorityScheduler::<512>::new());
        simulate(scenario, &mut scheduler, &mut || true).unwrap()
    }

    fn of(comparison: &Comparison, discipline: Discipline) -> &Tally {
        let place = Discipline::ALL.into_iter().position(|it| it == discipline).unwrap();
        &comparison.tallies[place]
    }

    #[test]
    fn under_overload_what_is_served_is_served_in_time() {
        for load in [1_200, 1_500, 2_000] {
            for seed in 0..3 {
                let comparison = compare(&Scenario { seed, ..scenario(load) });
                let weir = of(&comparison, Discipline::Weir);
                assert!(weir.on_time * 100 >= comparison.ideal * 98, "{load}: {comparison:?}");
                for collapsed in [Discipline::Fifo, Discipline::EarliestDeadline] {
                    let tally = of(&comparison, collapsed);
                    assert!(tally.served * 100 >= comparison.ideal * 99, "{load}: {comparison:?}");
                    assert!(tally.on_time * 100 <= comparison.ideal * 10, "{load}: {comparison:?}");
                }
            }
        }
    }

    #[test]
    fn no_class_starves_under_overload() {
        let comparison = compare(&scenario(2_000));
        assert!(of(&comparison, Discipline::Weir).worst_wait.iter().all(Option::is_some), "{comparison:?}");
    }

    #[test]
    fn what_still_waits_at_the_end_has_waited() {
        let at = |ms: u64| Instant(ms * 1_000_000);
        let job =
            |number, class, ms| Job { number, class, tenant: 0, arrival: at(ms), deadline: at(ms + 20) };
        let mut room = WaitingRoom::new(|job: &Job| job.number);
        for job in [
            job(0, RequestPriority::High, 1),
            job(1, RequestPriority::High, 2),
            job(2, RequestPriority::Batch, 3),
        ] {
            room.offer(&job);
        }
        let left = room.left(at(10));
        let waited = |ms| Some(Nanos::from_millis(ms));
        assert_eq!((left.count, left.oldest), (3, [None, waited(9), None, None, waited(7)]));
    }

    #[test]
    fn whatever_comes_is_served_dropped_or_waits() {
        let comparison = compare(&scenario(2_000));
        for tally in &comparison.tallies {
            let waiting = comparison.arrivals - tally.served - tally.dropped;
            // One more may be in service.
            assert!((1..=ROOM as u64 + 1).contains(&waiting), "{comparison:?}");
        }
    }

    #[test]
    fn under_a_light_load_everything_is_served_in_time() {
        let comparison = compare(&scenario(500));
        assert_eq!(comparison.ideal, comparison.arrivals);
        for tally in &comparison.tallies {
            // The last ones may still be on their way.
            assert!(tally.on_time + 5 >= comparison.arrivals, "{comparison:?}");
        }
    }

    #[test]
    fn a_seed_is_one_table() {
        let one = Scenario { seconds: 2, ..scenario(1_500) };
        assert_eq!(compare(&one), compare(&one));
        assert_ne!(compare(&one), compare(&Scenario { seed: 2, ..one }));
    }

    #[test]
    fn the_scheduler_is_empty_afterwards_and_a_caller_can_stop() {
        let mut scheduler = Box::new(PriorityScheduler::<512>::new());
        let mut left = 3;
        let stopped = simulate(&scenario(1_500), &mut scheduler, &mut || {
            left -= 1;
            left > 0
        });
        assert_eq!((stopped, left), (Err(SimulationError::Stopped), 0));
        assert!(scheduler.is_empty());
        simulate(&Scenario { seconds: 1, ..scenario(1_500) }, &mut scheduler, &mut || true).unwrap();
        assert!(scheduler.is_empty());
    }

    #[test]
    fn logarithms_are_right_to_the_last_places() {
        assert_eq!(neg_log2(u64::MAX), 0);
        assert_eq!(neg_log2(u64::MAX >> 1), 1 << 32);
        assert_eq!(neg_log2(0), 64 << 32);
        // log2(4 / 3) = 0.41503749927884...
        assert!(neg_log2(3 << 62).abs_diff(1_782_572_486) <= 2, "{}", neg_log2(3 << 62));
        let mut random = SplitMix(3);
        let mut last = neg_log2(0);
        let mut bits = 0_u64;
        while let Some(next) = bits.checked_add(1 + random.next() / 1000) {
            bits = next;
            assert!(neg_log2(bits) <= last, "{bits}");
            last = neg_log2(bits);
        }
    }

    #[test]
    fn lengths_have_the_mean_and_the_spread_of_a_poisson_process() {
        const MEAN: u64 = 1_000_000;
        let mut random = SplitMix(7);
        let lengths: Vec<u64> = (0..100_000).map(|_| exponential(random.next(), MEAN)).collect();
        let count = lengths.len() as u64;
        let mean = lengths.iter().sum::<u64>() / count;
        assert!(mean.abs_diff(MEAN) < MEAN / 50, "{mean}");
        // 1/e of them are longer than the mean, and 1/e^3 than three times that.
        for (times, permille) in [(1, 368), (3, 50)] {
            let longer = lengths.iter().filter(|length| **length > times * MEAN).count() as u64;
            assert!((longer * 1000 / count).abs_diff(permille) <= 5, "{longer}");
        }
    }
}
