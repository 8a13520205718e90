//! More work than a server can do: how much of it is done in time, by the product's scheduler and by simple ones.
//!
//! The table is `overload.txt` beside this file; `WEIR_WRITE_TABLES=1` writes it anew.

#[allow(dead_code, reason = "each test takes what it needs")]
mod scheduled;

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use governance::priority::{DEFAULT_WEIGHTS, EnqueueError, PriorityScheduler, QueueTicket, RejectReason};
use scheduled::{Asked, Queue, Scheduler};
use shell::overload::{Discipline as Simulated, Scenario, simulate};
use sim::overload::{CAPACITY, CLASSES, Job, Report, Scheduler as Discipline, Sorted, arrivals, run};

/// Loads in parts of a thousand of what the server can do.
const LOADS: [u64; 4] = [900, 1200, 1500, 2000];
/// How many requests come.
const ARRIVALS: usize = 50_000;
const SEED: u64 = 11;

/// Too large for a stack.
static SCHEDULER: Mutex<Scheduler> = Mutex::new(Scheduler::new());

/// The product's scheduler as the simulation asks it.
struct Weir<'a> {
    queue: Queue<'a>,
    /// How long a request says that it takes, in microseconds; 0 if it does not say.
    cost_us: u32,
    rejected: usize,
    serving: Option<QueueTicket>,
}

impl Discipline for Weir<'_> {
    fn arrive(&mut self, now_ns: u64, job: &Job) {
        let asked = Asked {
            number: job.number as u64,
            class: job.class,
            tenant: job.tenant,
            weight: 1,
            cost_us: self.cost_us,
            deadline_ns: job.deadline_ns,
        };
        match self.queue.enqueue(now_ns, &asked) {
            Ok(_) => {}
            Err(EnqueueError::Rejected(_)) => self.rejected += 1,
            Err(error) => panic!("{error}: {job:?}"),
        }
    }

    fn start(&mut self, now_ns: u64) -> Option<usize> {
        let dispatch = self.queue.next(now_ns)?;
        assert!(dispatch.deadline.0 >= now_ns + 1_000_000, "{dispatch:?} is too late at {now_ns}");
        self.serving = Some(dispatch.ticket);
        usize::try_from(dispatch.request_id).ok()
    }

    fn finish(&mut self, now_ns: u64, _job: &Job) {
        let ticket = self.serving.take().expect("a request in service");
        self.queue.complete(now_ns, ticket, 1_000);
    }

    fn waiting(&self) -> usize {
        let metrics = self.queue.metrics(0);
        let waiting = usize::try_from(metrics.waiting).expect("a few");
        // What the product says of itself.
        let rejected = metrics.rejected.total();
        assert_eq!(metrics.arrivals, metrics.served + u64::from(metrics.waiting) + rejected);
        let classes = &metrics.classes;
        let sum =
            |of: &dyn Fn(&governance::priority::ClassMetrics) -> u64| classes.iter().map(of).sum::<u64>();
        assert_eq!(metrics.arrivals, sum(&|class| class.arrivals));
        assert_eq!(metrics.served, sum(&|class| class.served));
        assert_eq!(rejected, sum(&|class| class.rejected.total()));
        assert_eq!(u64::from(metrics.waiting), sum(&|class| u64::from(class.depth)));
        assert_eq!(usize::try_from(rejected).expect("a few"), self.rejected());
        waiting
    }

    fn rejected(&self) -> usize {
        self.rejected + self.queue.dropped.len()
    }
}

fn weir(scheduler: &mut Scheduler, jobs: &[Job], cost_us: u32) -> Report {
    let depth = u32::try_from(CAPACITY).expect("a few");
    let queue = Queue::new(scheduler, depth, 1, DEFAULT_WEIGHTS);
    let mut weir = Weir { queue, cost_us, rejected: 0, serving: None };
    let report = run(jobs, &mut weir);
    for (number, reason) in &weir.queue.dropped {
        let allowed = [RejectReason::Infeasible, RejectReason::Shed];
        assert!(allowed.contains(reason), "{number} was dropped as {reason}");
    }
    report
}

#[test]
fn in_overload_what_can_be_done_in_time_is_done_in_time() {
    let mut scheduler = SCHEDULER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = String::from(
        "load scheduler                 on time  of ideal    longest wait in ms: critical, high, normal, low, batch\n",
    );
    for load in LOADS {
        let jobs = arrivals(SEED, load, ARRIVALS);
        let mut row = |name: &str, report: &Report| {
            table.push_str(&told(load, name, report));
            let of_ideal = report.on_time() * 1_000 / report.ideal;
            (name.to_owned(), of_ideal)
        };
        let mut shares = Vec::new();
        for (name, mut baseline) in Sorted::baselines() {
            shares.push(row(name, &run(&jobs, &mut baseline)));
        }
        let report = weir(&mut scheduler, &jobs, 1_000);
        let told = row("Weir", &report);
        // A request that does not say how long it takes is taken for one of its class.
        assert_eq!(weir(&mut scheduler, &jobs, 0), report, "load {load}");
        assert!(told.1 >= 980, "load {load}: Weir does {} of 1000 of what is possible", told.1);
        if load > 1_000 {
            for (name, of_ideal) in &shares[..2] {
                assert!(*of_ideal < 50, "load {load}: {name} does {of_ideal} of 1000 of what is possible");
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/overload.txt");
    if std::env::var_os("WEIR_WRITE_TABLES").is_some() {
        std::fs::write(path, &table).expect("a table that can be written");
    }
    let committed = std::fs::read_to_string(path).expect("overload.txt");
    assert!(committed == table, "overload.txt is out of date; WEIR_WRITE_TABLES=1 writes it anew:\n{table}");
}

/// `priority simulate` was written apart, with another generator of arrivals and baselines of its own: both come to the same
/// shares of what is possible.
#[test]
fn the_simulation_of_the_shell_comes_to_the_same_shares() {
    let mut scheduler = SCHEDULER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut simulated = Box::new(PriorityScheduler::<512>::new());
    for load in LOADS {
        let jobs = arrivals(SEED, load, ARRIVALS);
        let of_ideal = |report: &Report| report.on_time() * 1_000 / report.ideal;
        let mut baselines = Sorted::baselines();
        let expected = [
            (Simulated::Fifo, of_ideal(&run(&jobs, &mut baselines[0].1))),
            (Simulated::EarliestDeadline, of_ideal(&run(&jobs, &mut baselines[1].1))),
            (Simulated::Weir, of_ideal(&weir(&mut scheduler, &jobs, 1_000))),
        ];
        assert_eq!((baselines[0].0, baselines[1].0), ("FIFO", "EDF"));
        let scenario = Scenario {
            load_permille: u32::try_from(load).expect("a load"),
            seconds: 60,
            seed: SEED,
            weights: DEFAULT_WEIGHTS,
        };
        let comparison = simulate(&scenario, &mut simulated, &mut || true).expect("a scenario");
        for (discipline, expected) in expected {
            let place =
                Simulated::ALL.into_iter().position(|known| known == discipline).expect("it is listed");
            let found = comparison.tallies[place].on_time * 1_000 / comparison.ideal;
            assert!(found.abs_diff(expected) <= 10, "load {load}, {discipline:?}: {found}, not {expected}");
        }
    }
}

/// A line of the table.
fn told(load: u64, name: &str, report: &Report) -> String {
    let percent = |part: u64, whole: u64| {
        let permille = (part * 1_000 + whole / 2) / whole;
        format!("{}.{} %", permille / 10, permille % 10)
    };
    let (on_time, ideal) =
        (percent(report.on_time(), report.arrivals()), percent(report.on_time(), report.ideal));
    let mut line = format!("{}.{} {name:<24} {on_time:>10} {ideal:>10}", load / 1_000, load / 100 % 10);
    for class in 0..CLASSES {
        let wait = report.classes[class].worst_wait_ns.div_ceil(100_000);
        let _ = write!(line, " {:>8}.{}", wait / 10, wait % 10);
    }
    line + "\n"
}
