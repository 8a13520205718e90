//! The product's scheduler against the bounds of fair queueing, over millions of steps.
//!
//! Schedulers that are not fair go through the same checks, and have to fail them: else nothing is checked.
//! `WEIR_FAIR_STEPS` says how many steps there are.

#[allow(dead_code, reason = "each test takes what it needs")]
mod scheduled;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use governance::priority::{DEFAULT_WEIGHTS, EnqueueError, QueueTicket};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Signed;
use scheduled::{Asked, Queue, Scheduler};
use sim::oracle::fair::{Pairs, Starvation, fair_alloc, starvation_bound};
use sim::random::Random;

/// How many steps there are over all seeds, unless `WEIR_FAIR_STEPS` says otherwise.
const STEPS: u64 = 10_000_000;
/// How many of them a seed has.
const STEPS_OF_SEED: u64 = 50_000;
/// How many requests wait at most.
const DEPTH: usize = 1_000;
const CLASSES: usize = 5;
/// How many tenants each class has.
const TENANTS: usize = 4;
/// No deadline is ever near.
const FAR_NS: u64 = 1 << 60;

/// Too large for a stack.
static SCHEDULERS: [Mutex<Scheduler>; 2] = [const { Mutex::new(Scheduler::new()) }; 2];

/// Who is served next.
trait Server {
    /// Something begins to wait.
    fn enqueue(&mut self, asked: &Asked);
    /// Something that waits is given up.
    fn cancel(&mut self, number: u64);
    /// Takes the next one into service.
    fn next(&mut self) -> Option<u64>;
    /// It is done, and took so long.
    fn complete(&mut self, number: u64, service_us: u64);
    /// What it says of starvation: for each class the bound, and the most that has been.
    fn bounds(&self) -> Option<[(u64, u64); CLASSES]>;
}

/// The product.
struct Weir<'a> {
    queue: Queue<'a>,
    now_ns: u64,
    tickets: Vec<QueueTicket>,
}

impl Server for Weir<'_> {
    fn enqueue(&mut self, asked: &Asked) {
        self.now_ns += 1_000;
        let place = usize::try_from(asked.number).expect("a place");
        match self.queue.enqueue(self.now_ns, asked) {
            Ok(ticket) => self.tickets[place] = ticket,
            Err(EnqueueError::Rejected(rejection)) => panic!("there is room: {rejection:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    fn cancel(&mut self, number: u64) {
        let ticket = self.tickets[usize::try_from(number).expect("a place")];
        let now = governance::time::Instant(self.now_ns);
        self.queue.scheduler.cancel(now, ticket).expect("one that waits");
    }

    fn next(&mut self) -> Option<u64> {
        self.now_ns += 1_000;
        let dispatch = self.queue.next(self.now_ns)?;
        assert_eq!(dispatch.ticket, self.tickets[usize::try_from(dispatch.request_id).expect("a place")]);
        Some(dispatch.request_id)
    }

    fn complete(&mut self, number: u64, service_us: u64) {
        let ticket = self.tickets[usize::try_from(number).expect("a place")];
        self.queue.complete(self.now_ns, ticket, service_us);
    }

    fn bounds(&self) -> Option<[(u64, u64); CLASSES]> {
        let metrics = self.queue.metrics(self.now_ns);
        let told = metrics.served + u64::from(metrics.waiting) + metrics.rejected.total();
        assert_eq!(metrics.arrivals, told, "those that came");
        assert!(self.queue.dropped.is_empty(), "{:?}", self.queue.dropped);
        let bounds = self.queue.scheduler.enforce_fairness(self.queue.id);
        Some(bounds.map(|bound| (bound.bound_us, bound.worst_us)))
    }
}

/// First come, first served; or strict priority, which goes by class first.
struct Unfair {
    lines: Vec<VecDeque<u64>>,
    by_class: bool,
}

impl Unfair {
    fn new(by_class: bool) -> Self {
        Self { lines: vec![VecDeque::new(); CLASSES], by_class }
    }
}

impl Server for Unfair {
    fn enqueue(&mut self, asked: &Asked) {
        self.lines[if self.by_class { asked.class } else { 0 }].push_back(asked.number);
    }

    fn cancel(&mut self, number: u64) {
        self.lines.iter_mut().for_each(|line| line.retain(|waiting| *waiting != number));
    }

    fn next(&mut self) -> Option<u64> {
        self.lines.iter_mut().find_map(VecDeque::pop_front)
    }

    fn complete(&mut self, _number: u64, _service_us: u64) {}

    fn bounds(&self) -> Option<[(u64, u64); CLASSES]> {
        None
    }
}

/// What requests say of their cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Cost,
    Nothing,
    /// Anything up to the most that others of the class cost.
    Anything,
}

/// A run: who weighs how much, what requests cost, and how they are served.
struct Setup {
    seed: u64,
    weights: [u32; CLASSES],
    tenant_weights: [[u32; TENANTS]; CLASSES],
    /// The most that a request of a class costs, in microseconds.
    costs: [u64; CLASSES],
    /// What requests say of their cost.
    says: Says,
    /// How many are in service at a time.
    servers: usize,
}

impl Setup {
    /// Half of all seeds have the usual weights, in most the requests say what they cost, and some have several servers.
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let weight = |random: &mut Random| *random.pick(&[1, 1, 2, 3, 5, 7, 10, 16, 100, 1024]);
        let usual = random.chance(50);
        let weights =
            DEFAULT_WEIGHTS.map(|usual_weight| if usual { usual_weight } else { weight(&mut random) });
        let says = *random.pick(&[Says::Cost, Says::Cost, Says::Cost, Says::Nothing, Says::Anything]);
        Self {
            seed,
            weights,
            tenant_weights: [(); CLASSES].map(|()| [(); TENANTS].map(|()| weight(&mut random))),
            costs: [(); CLASSES].map(|()| *random.pick(&[1, 2, 10, 100, 1_000, 1_000, 100_000])),
            says,
            servers: if random.chance(30) { 4 } else { 1 },
        }
    }

    /// Whether what requests cost is known before another one is chosen, so that all of it counts for the choice.
    fn is_known_in_time(&self) -> bool {
        self.says == Says::Cost || self.servers == 1
    }

    fn queue<'a>(&self, scheduler: &'a mut Scheduler) -> Weir<'a> {
        let depth = u32::try_from(DEPTH).expect("a few");
        let servers = u32::try_from(self.servers).expect("a few");
        let queue = Queue::new(scheduler, depth, servers, self.weights);
        Weir { queue, now_ns: 0, tickets: vec![QueueTicket::default(); DEPTH + self.servers] }
    }
}

/// What was found of a run: the first fault of each kind.
#[derive(Debug, Default)]
struct Found {
    classes: Option<String>,
    tenants: Option<String>,
    starvation: Option<String>,
    served: u64,
    closest_permille: u64,
}

/// A request that waits or is served.
#[derive(Clone, Copy, Default)]
struct Entry {
    class: usize,
    tenant: usize,
    cost: u64,
    /// Its place in the list of those that wait.
    place: usize,
}

/// A run and all that is watched of it.
struct Watched<'a> {
    setup: &'a Setup,
    random: Random,
    entries: Vec<Entry>,
    free: Vec<usize>,
    waiting: Vec<usize>,
    serving: VecDeque<usize>,
    classes: Pairs,
    tenants: Vec<Pairs>,
    starvation: Starvation,
    /// The most that a request of each class has cost. This, as what is measured of waits, is since nothing waited or
    /// was in service.
    largest: [u64; CLASSES],
    found: Found,
    /// How likely classes and tenants ask, and how likely anybody asks instead of being served, in percent.
    class_odds: [u64; CLASSES],
    tenant_odds: [u64; TENANTS],
    asks: u64,
}

impl<'a> Watched<'a> {
    fn new(setup: &'a Setup) -> Self {
        let wide = |weights: &[u32]| weights.iter().map(|weight| u64::from(*weight)).collect::<Vec<u64>>();
        Self {
            setup,
            random: Random::new(!setup.seed),
            entries: vec![Entry::default(); DEPTH + setup.servers],
            free: (0..DEPTH + setup.servers).collect(),
            waiting: Vec::new(),
            serving: VecDeque::new(),
            classes: Pairs::new(&wide(&setup.weights)),
            tenants: setup.tenant_weights.iter().map(|weights| Pairs::new(&wide(weights))).collect(),
            starvation: Starvation::new(CLASSES),
            largest: [0; CLASSES],
            found: Found::default(),
            class_odds: [1; CLASSES],
            tenant_odds: [1; TENANTS],
            asks: 50,
        }
    }

    fn run(mut self, server: &mut dyn Server, steps: u64) -> Found {
        for step in 0..steps {
            if step % 500 == 0 && self.random.chance(30) {
                self.turn();
            }
            let asks = self.random.chance(self.asks);
            if asks && self.waiting.len() < DEPTH {
                self.enqueue(server);
            } else if self.random.chance(2) {
                self.cancel(server);
            } else {
                self.serve(server);
            }
            if self.waiting.is_empty() && self.serving.is_empty() {
                (self.starvation, self.largest) = (Starvation::new(CLASSES), [0; CLASSES]);
            }
            if step % 256 == 0 || step + 1 == steps {
                self.compare(server);
            }
        }
        let tenants = self.tenants.iter().map(Pairs::closest_permille).max().unwrap_or(0);
        if self.setup.is_known_in_time() {
            self.found.closest_permille = self.classes.closest_permille().max(tenants);
        }
        self.found
    }

    /// From now on others ask.
    fn turn(&mut self) {
        let random = &mut self.random;
        self.class_odds = [(); CLASSES].map(|()| *random.pick(&[0, 1, 1, 3, 10, 100]));
        self.tenant_odds = [(); TENANTS].map(|()| *random.pick(&[0, 1, 1, 5, 50]));
        self.asks = *random.pick(&[20, 45, 50, 50, 55, 60, 90]);
    }

    fn enqueue(&mut self, server: &mut dyn Server) {
        let Setup { tenant_weights, costs, says, .. } = self.setup;
        let (class, tenant) =
            (draw(&mut self.random, &self.class_odds), draw(&mut self.random, &self.tenant_odds));
        let most = costs[class];
        let cost = if self.random.chance(30) { most } else { self.random.between(1, most) };
        let said = match says {
            Says::Cost => cost,
            Says::Nothing => 0,
            Says::Anything => self.random.between(0, most),
        };
        let number = self.free.pop().expect("there is room");
        self.entries[number] = Entry { class, tenant, cost, place: self.waiting.len() };
        self.waiting.push(number);
        server.enqueue(&Asked {
            number: number as u64,
            class,
            tenant: tenant as u64,
            weight: tenant_weights[class][tenant],
            cost_us: u32::try_from(said).expect("a small cost"),
            // Among requests of a tenant the deadline decides, which no bound is about.
            deadline_ns: FAR_NS + self.random.between(0, 1_000_000),
        });
        self.classes.enqueue(class);
        self.tenants[class].enqueue(tenant);
        self.starvation.enqueue(class);
    }

    fn cancel(&mut self, server: &mut dyn Server) {
        if self.waiting.is_empty() {
            return;
        }
        let place = self.random.index(self.waiting.len());
        let number = self.waiting[place];
        server.cancel(number as u64);
        let Entry { class, tenant, .. } = self.entries[number];
        self.leave_line(number);
        self.free.push(number);
        self.classes.leave(class);
        self.tenants[class].leave(tenant);
        self.starvation.leave(class);
    }

    fn leave_line(&mut self, number: usize) {
        let place = self.entries[number].place;
        assert_eq!(self.waiting.get(place), Some(&number), "{number} waits");
        self.waiting.swap_remove(place);
        if let Some(moved) = self.waiting.get(place) {
            self.entries[*moved].place = place;
        }
    }

    fn serve(&mut self, server: &mut dyn Server) {
        if self.serving.len() == self.setup.servers {
            let done = self.random.index(self.serving.len());
            let number = self.serving.remove(done).expect("one in service");
            server.complete(number as u64, self.entries[number].cost);
            self.free.push(number);
        }
        let Some(number) = server.next() else {
            assert!(self.waiting.is_empty(), "seed {}: idle while requests wait", self.setup.seed);
            return;
        };
        let number = usize::try_from(number).expect("a place");
        let Entry { class, tenant, cost, .. } = self.entries[number];
        self.leave_line(number);
        let (classes, tenants) = (self.classes.serve(class, cost), self.tenants[class].serve(tenant, cost));
        self.starvation.serve(class, cost);
        self.largest[class] = self.largest[class].max(cost);
        self.serving.push_back(number);
        if self.setup.servers == 1 {
            // What it took is known before the next one is chosen.
            self.serving.clear();
            server.complete(number as u64, cost);
            self.free.push(number);
        }
        let found = &mut self.found;
        found.served += 1;
        if !self.setup.is_known_in_time() {
            return;
        }
        if let Err(fault) = classes {
            found.classes.get_or_insert(fault);
        }
        if let Err(fault) = tenants {
            found.tenants.get_or_insert(format!("class {class}: {fault}"));
        }
    }

    /// What the others were given while a head waited, against the bound.
    fn compare(&mut self, server: &mut dyn Server) {
        let weights = self.setup.weights.map(u64::from);
        let largest = self.largest;
        let told = server.bounds();
        for class in (0..CLASSES).filter(|class| largest[*class] > 0) {
            let (bound, worst) = (starvation_bound(&weights, &largest, class), self.starvation.worst(class));
            let (told_bound, told_worst) = told.map_or((bound, worst), |told| told[class]);
            let says = || format!("class {class}: {worst} of {bound}, told {told_worst} of {told_bound}");
            let rounding = rounding(&weights, &largest, class);
            // A request that does not say what it costs may have been charged more than it took.
            let is_told_right = self.setup.says != Says::Cost
                || told_worst == worst && told_bound.abs_diff(bound) <= rounding;
            let is_measured = self.setup.is_known_in_time();
            let is_bounded = told_worst <= told_bound
                && (!is_measured || worst <= told_bound && worst <= bound + rounding);
            if !is_bounded || !is_told_right {
                self.found.starvation.get_or_insert(says());
            }
        }
    }
}

/// By how much a bound may differ from that of exact weights: a weight that is no power of two has no exact reciprocal in
/// binary, so that it is off by a part of 2^29 for each unit of it, and a quotient that is nearly whole by one.
fn rounding(weights: &[u64], largest: &[u64], one: usize) -> u64 {
    if weights.iter().all(|weight| weight.is_power_of_two()) {
        return 0;
    }
    let others = (0..weights.len()).filter(|other| *other != one);
    let off = others.map(|other| {
        let (own, others) = (weights[one], weights[other]);
        1 + others * largest[one] / own * (own + others) / (1 << 29)
    });
    off.sum()
}

/// A place, as likely as its odds say.
fn draw(random: &mut Random, odds: &[u64]) -> usize {
    let sum: u64 = odds.iter().sum();
    if sum == 0 {
        return random.index(odds.len());
    }
    let mut at = random.between(1, sum);
    for (place, odds) in odds.iter().enumerate() {
        if at <= *odds {
            return place;
        }
        at -= odds;
    }
    0
}

#[test]
fn nobody_gets_more_than_its_share_over_any_interval() {
    let mut scheduler = SCHEDULERS[0].lock().unwrap_or_else(PoisonError::into_inner);
    let steps = std::env::var("WEIR_FAIR_STEPS").map_or(STEPS, |text| text.parse().expect("a number"));
    let (mut served, mut closest) = (0, 0);
    for seed in 1..=steps.div_ceil(STEPS_OF_SEED) {
        let setup = Setup::new(seed);
        let found = Watched::new(&setup).run(&mut setup.queue(&mut scheduler), STEPS_OF_SEED);
        let fault = found.classes.or(found.tenants).or(found.starvation);
        let Setup { weights, costs, tenant_weights, .. } = &setup;
        assert_eq!(fault, None, "seed {seed}: {weights:?} {costs:?} {tenant_weights:?}");
        served += found.served;
        closest = closest.max(found.closest_permille);
    }
    let told = format!("{served} served, as close to a bound as {closest} of 1000\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
    assert!(closest > 900, "the bounds are as tight as they can be: {told}");
}

#[test]
fn who_is_not_fair_fails_the_same_checks() {
    for by_class in [false, true] {
        let mut failed = [0; 3];
        for seed in 1..=20 {
            let setup = Setup { servers: 1, ..Setup::new(seed) };
            let found = Watched::new(&setup).run(&mut Unfair::new(by_class), 20_000);
            for (failed, fault) in failed.iter_mut().zip([&found.classes, &found.tenants, &found.starvation])
            {
                *failed += u64::from(fault.is_some());
            }
        }
        assert!(failed.iter().all(|failed| *failed >= 15), "by class: {by_class}, {failed:?} of 20 each");
    }
}

/// Demands of tenants, all there from the beginning, and how much is served.
struct Demands {
    weights: Vec<u64>,
    /// The costs of the requests of each.
    requests: Vec<Vec<u64>>,
    capacity: u64,
}

impl Demands {
    fn new(random: &mut Random, is_equal: bool) -> Self {
        let count = usize::try_from(random.between(2, 12)).expect("a few");
        let most = *random.pick(&[1, 5, 100, 10_000]);
        let requests: Vec<Vec<u64>> = (0..count)
            .map(|_| {
                let count = *random.pick(&[1, 2, 5, 20, 80]);
                (0..count).map(|_| random.between(1, most)).collect()
            })
            .collect();
        let all = requests.iter().flatten().sum();
        let weights = requests.iter().map(|_| if is_equal { 1 } else { random.between(1, 9) }).collect();
        Self { weights, capacity: random.between(0, all), requests }
    }

    /// Serves until the capacity is used up, and tells what each tenant received and how much that is in all.
    fn serve(&self, server: &mut dyn Server) -> Vec<u64> {
        let all = || {
            self.requests
                .iter()
                .enumerate()
                .flat_map(|(tenant, costs)| costs.iter().map(move |cost| (tenant, *cost)))
        };
        for (number, (tenant, cost)) in all().enumerate() {
            server.enqueue(&Asked {
                number: number as u64,
                class: 0,
                tenant: tenant as u64,
                weight: u32::try_from(self.weights[tenant]).expect("a weight"),
                cost_us: u32::try_from(cost).expect("a small cost"),
                deadline_ns: FAR_NS,
            });
        }
        let all: Vec<(usize, u64)> = all().collect();
        let mut received = vec![0; self.requests.len()];
        while received.iter().sum::<u64>() < self.capacity {
            let number = server.next().expect("as much is asked for");
            let (tenant, cost) = all[usize::try_from(number).expect("a place")];
            received[tenant] += cost;
            server.complete(number, cost);
        }
        received
    }

    /// Whether everybody received what is its due, but for one largest request.
    fn is_fair(&self, received: &[u64]) -> bool {
        let whole = |number: u64| BigRational::from_integer(BigInt::from(number));
        let demands: Vec<u64> = self.requests.iter().map(|costs| costs.iter().sum()).collect();
        let dues = fair_alloc(&demands, &self.weights, received.iter().sum());
        // A request of one with a small weight takes as long as several of one with a large weight.
        let largest = self
            .requests
            .iter()
            .zip(&self.weights)
            .map(|(costs, weight)| whole(costs.iter().copied().max().unwrap_or(0)) / whole(*weight));
        let largest = largest.max().expect("some tenants");
        let mut all = received.iter().zip(&dues).zip(&self.weights);
        all.all(|((received, due), weight)| (whole(*received) - due).abs() <= &largest * whole(*weight))
    }
}

#[test]
fn tenants_receive_their_max_min_share_but_for_one_request() {
    let mut scheduler = SCHEDULERS[1].lock().unwrap_or_else(PoisonError::into_inner);
    let mut unfair = 0;
    for seed in 1..=1_000 {
        let mut random = Random::new(seed);
        let is_equal = random.chance(50);
        let demands = Demands::new(&mut random, is_equal);
        let queue = Queue::new(&mut scheduler, 1_000, 1, DEFAULT_WEIGHTS);
        let mut weir = Weir { queue, now_ns: 0, tickets: vec![QueueTicket::default(); 1_000] };
        let received = demands.serve(&mut weir);
        let Demands { weights, requests, capacity } = &demands;
        assert!(
            demands.is_fair(&received),
            "seed {seed}: {received:?} of {capacity}, weights {weights:?}, {requests:?}"
        );
        unfair += u64::from(!demands.is_fair(&demands.serve(&mut Unfair::new(false))));
    }
    assert!(unfair > 300, "first come, first served is unfair in {unfair} of 1000");
}
