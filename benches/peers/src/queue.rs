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
/// How long after its arrival a request has to be done that says nothing: long enough for it never to be too late.
pub const DONE_WITHIN: u64 = 1_000_000_000;

/// A request that is to wait.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its tenant.
    pub tenant: usize,
    /// Its class, the most urgent first.
    pub class: usize,
    /// When it has to be done, on the queue's own clock, if it says so. One that says nothing has to be done
    /// [`DONE_WITHIN`] its arrival, and does not say either what it costs.
    pub deadline: Option<u64>,
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

/// What requests say of themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Deadlines and costs, in no order.
    All,
    /// Nothing: their deadlines come in the order of their arrivals, and their costs are estimated.
    Nothing,
}

impl Says {
    /// When a request that comes now has to be done, as far as it says so.
    fn deadline(self, now: u64, picks: &mut Picks) -> Option<u64> {
        (self == Self::All).then(|| now + DONE_WITHIN + picks.next() as u64)
    }
}

/// Which operations are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Both,
    Enqueue,
    Dequeue,
    Complete,
}

/// The cases: pairs of operations in Weir, which the others are compared with, and in the heap; and each operation by
/// itself.
pub fn cases<'a>() -> Vec<Case<'a>> {
    let heap = load(Heap::default());
    let weir = load(Weir::new());
    vec![
        case("weir: enqueue + dequeue", &weir, Says::All, Part::Both),
        case("BinaryHeap: enqueue + dequeue", &heap, Says::All, Part::Both),
        case("weir: enqueue", &weir, Says::All, Part::Enqueue),
        case("BinaryHeap: enqueue", &heap, Says::All, Part::Enqueue),
        case("weir: dequeue", &weir, Says::All, Part::Dequeue),
        case("BinaryHeap: dequeue", &heap, Says::All, Part::Dequeue),
        case("weir: complete", &weir, Says::All, Part::Complete),
        case("weir: enqueue + dequeue, in order", &weir, Says::Nothing, Part::Both),
        case("BinaryHeap: enqueue + dequeue, in order", &heap, Says::Nothing, Part::Both),
        case("weir: enqueue, in order", &weir, Says::Nothing, Part::Enqueue),
        case("weir: dequeue, in order", &weir, Says::Nothing, Part::Dequeue),
        case("weir: complete, in order", &weir, Says::Nothing, Part::Complete),
    ]
}

fn load<Q: Queue>(queue: Q) -> Rc<RefCell<Load<Q>>> {
    Rc::new(RefCell::new(Load::new(queue)))
}

/// A case that does everything, and counts the operations of `part`.
fn case<'a, Q: Queue + 'a>(
    name: &'static str,
    load: &Rc<RefCell<Load<Q>>>,
    says: Says,
    part: Part,
) -> Case<'a> {
    let load = Rc::clone(load);
    Case::timing_itself(name, Clock::Still, move |operations, seed| {
        let load = &mut *load.borrow_mut();
        if load.says != says {
            load.settle(says);
        }
        load.run(operations, seed, part)
    })
}

/// A queue in which as many requests wait as ever, and what has been taken out of it.
struct Load<Q: Queue> {
    queue: Q,
    now: u64,
    says: Says,
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
            queue.enqueue(now, Entry { tenant, class, deadline: Says::All.deadline(now, &mut picks) });
            now += STEP;
        }
        let (taken, entries) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        Self { queue, now, says: Says::All, taken, entries }
    }

    /// Has requests say something else, until none of those waits that came before.
    fn settle(&mut self, says: Says) {
        self.says = says;
        // The lowest class is served a 31st of the time; several times that, until tenants have found their order.
        self.run((TENANTS * 31 * 8) as u64, 1, Part::Both);
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
            Entry { tenant, class, deadline: self.says.deadline(self.now, picks) }
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
