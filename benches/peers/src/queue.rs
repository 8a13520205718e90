//! Requests of many tenants in five classes that wait: put in, taken out, completed.

mod heap;
mod scheduler;

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use heap::Heap;
use scheduler::Weir;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many tenants there are in each class.
pub const TENANTS: usize = 256;
/// How many classes there are.
pub const CLASSES: usize = 5;
/// How many requests wait: one of each tenant in each class.
pub const WAITING: usize = TENANTS * CLASSES;

/// So many are taken out, completed and put in again between two looks at the clock.
const BATCH: usize = 64;
/// What passes on the queue's own clock from one operation to the next.
const STEP: u64 = 1_000;
/// A request has to be done after this at the earliest: it is never too late.
const SOONEST: u64 = 10_000_000_000;

/// A request that is to wait.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its tenant.
    pub tenant: usize,
    /// Its class, the most urgent first.
    pub class: usize,
    /// When it has to be done, on the queue's own clock.
    pub deadline: u64,
}

/// A queue to be measured. Times are nanoseconds on a clock that only the caller advances.
pub trait Queue {
    /// What is known of a request that was taken out.
    type Taken: Copy;

    /// Puts a request in.
    fn enqueue(&mut self, now: u64, entry: Entry);

    /// Takes the next one out.
    fn dequeue(&mut self, now: u64) -> Self::Taken;

    /// Tenant and class of a request that was taken out.
    fn flow(taken: Self::Taken) -> (usize, usize);

    /// Says that it is done.
    fn complete(&mut self, now: u64, taken: Self::Taken);
}

/// Which operations are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Both,
    Enqueue,
    Dequeue,
    Complete,
}

/// The cases: the heap's, then Weir's, each a pair of operations and then its operations by themselves.
pub fn cases<'a>() -> Vec<Case<'a>> {
    let heap = Rc::new(RefCell::new(Load::new(Heap::default())));
    let weir = Rc::new(RefCell::new(Load::new(Weir::new())));
    vec![
        case("BinaryHeap: enqueue + dequeue", &heap, Part::Both),
        case("weir PriorityScheduler: enqueue + dequeue", &weir, Part::Both),
        case("BinaryHeap: enqueue", &heap, Part::Enqueue),
        case("weir PriorityScheduler: enqueue", &weir, Part::Enqueue),
        case("BinaryHeap: dequeue", &heap, Part::Dequeue),
        case("weir PriorityScheduler: dequeue", &weir, Part::Dequeue),
        case("weir PriorityScheduler: complete", &weir, Part::Complete),
    ]
}

/// A case that does everything, and counts the operations of `part`.
fn case<'a, Q: Queue + 'a>(name: &'static str, load: &Rc<RefCell<Load<Q>>>, part: Part) -> Case<'a> {
    let load = Rc::clone(load);
    Case::timing_itself(name, Clock::Still, move |operations, seed| {
        load.borrow_mut().run(operations, seed, part)
    })
}

/// A queue in which as many requests wait as ever, and what has been taken out of it.
struct Load<Q: Queue> {
    queue: Q,
    now: u64,
    taken: Vec<Q::Taken>,
    entries: Vec<Entry>,
}

impl<Q: Queue> Load<Q> {
    fn new(mut queue: Q) -> Self {
        let mut picks = Picks::new(1, 1 << 32);
        let mut now = STEP;
        for place in 0..WAITING {
            // The tenants of a class do not come in the order of their numbers.
            let (tenant, class) = (place * 77 % TENANTS, place % CLASSES);
            queue.enqueue(now, Entry { tenant, class, deadline: deadline(now, &mut picks) });
            now += STEP;
        }
        Self { queue, now, taken: Vec::with_capacity(BATCH), entries: Vec::with_capacity(BATCH) }
    }

    /// About so many rounds, and what those of their operations that belong to `part` took.
    fn run(&mut self, operations: u64, seed: u64, part: Part) -> Duration {
        let mut picks = Picks::new(seed, 1 << 32);
        let mut counted = Duration::ZERO;
        for _ in 0..operations.div_ceil(BATCH as u64) {
            let start = Instant::now();
            self.take();
            let dequeued = Instant::now();
            self.complete();
            let completed = Instant::now();
            self.choose(&mut picks);
            let chosen = Instant::now();
            self.put();
            let enqueue = chosen.elapsed();
            let (dequeue, complete) = (dequeued - start, completed - dequeued);
            counted += match part {
                Part::Both => enqueue + dequeue,
                Part::Enqueue => enqueue,
                Part::Dequeue => dequeue,
                Part::Complete => complete,
            };
        }
        counted
    }

    fn take(&mut self) {
        for _ in 0..BATCH {
            self.now += STEP;
            let taken = self.queue.dequeue(self.now);
            self.taken.push(taken);
        }
    }

    fn complete(&mut self) {
        for &taken in &self.taken {
            self.now += STEP;
            self.queue.complete(self.now, taken);
        }
    }

    /// Another request of each that was taken out, so that one of each tenant waits in each class.
    fn choose(&mut self, picks: &mut Picks) {
        let again = self.taken.drain(..).map(|taken| {
            let (tenant, class) = Q::flow(taken);
            Entry { tenant, class, deadline: deadline(self.now, picks) }
        });
        self.entries.clear();
        self.entries.extend(again);
    }

    fn put(&mut self) {
        for &entry in &self.entries {
            self.now += STEP;
            self.queue.enqueue(self.now, entry);
        }
    }
}

/// When a request that comes now has to be done.
fn deadline(now: u64, picks: &mut Picks) -> u64 {
    now + SOONEST + picks.next() as u64
}
