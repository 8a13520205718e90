//! The product's scheduler against a list of what waits: who may come, who has to go, who is next of one tenant, and
//! every counter, after every step.
//!
//! Which tenant and which class is next is not looked at here; `fairness` does. `WEIR_QUEUE_SEEDS` says how many seeds
//! there are, `WEIR_QUEUE_SEED` which is the first one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use governance::priority::{
    Dropped, EXEMPT_SLOTS, EnqueueError, Lane, Origin, Placement, PriorityScheduler, QueueId, QueueTicket,
    QueueTicketError, QueuedRequest, RejectReason, SLA, ServiceReport,
};
use governance::rate_limiter::Access;
use governance::request::RequestPriority;
use governance::scope::{HashSecret, KeyHash, Name};
use governance::time::{Instant, Nanos};
use sim::random::Random;

/// How many seeds there are, unless `WEIR_QUEUE_SEEDS` says otherwise.
const SEEDS: u64 = 300;
/// How many steps each has.
const STEPS: u64 = 400;
/// Four requests for each: fewer than both queues could hold, and fewer than there are tenants in classes.
const TENANTS: usize = 8;
const QUEUES: usize = 2;
const CLASSES: usize = 5;

type Scheduler = PriorityScheduler<TENANTS>;

/// Too large for a stack.
static SCHEDULER: Mutex<Scheduler> = Mutex::new(Scheduler::new());

/// A request that waits or is in service.
#[derive(Clone, Copy, Debug)]
struct Item {
    number: u64,
    queue: usize,
    class: usize,
    tenant: u64,
    weight: u32,
    arrival: u64,
    deadline: u64,
    cost_us: u32,
    is_exempt: bool,
    began: Option<u64>,
    ticket: QueueTicket,
}

/// What was counted of a class, or of the exempt lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    arrivals: u64,
    served: u64,
    completed: u64,
    rejected: BTreeMap<&'static str, u64>,
    requeued_in: u64,
    requeued_out: u64,
    waits: Vec<u64>,
}

/// The list and the scheduler side by side.
struct Both<'a> {
    seed: u64,
    random: Random,
    now: u64,
    scheduler: &'a mut Scheduler,
    queues: [QueueId; QUEUES],
    slas: [SLA; QUEUES],
    items: Vec<Item>,
    /// What tenants weigh in classes.
    weights: BTreeMap<(usize, usize, u64), u32>,
    over: Vec<QueueTicket>,
    /// The last one is the exempt lane.
    counts: [[Counts; CLASSES + 1]; QUEUES],
    next_number: u64,
    dropped: Vec<Dropped>,
}

#[test]
fn whoever_comes_waits_or_goes_is_counted_and_chosen_as_a_plain_list_says() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (first, seeds) = (number("WEIR_QUEUE_SEED", 1), number("WEIR_QUEUE_SEEDS", SEEDS));
    let mut scheduler = SCHEDULER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rejected: BTreeMap<&str, u64> = BTreeMap::new();
    let mut forgotten = 0;
    for seed in first..first + seeds {
        let mut both = Both::new(seed, &mut scheduler);
        for _ in 0..STEPS {
            both.step();
        }
        for counts in both.counts.iter().flatten() {
            counts.rejected.iter().for_each(|(reason, count)| *rejected.entry(reason).or_default() += count);
        }
        forgotten += scheduler.totals().flows_forgotten;
    }
    let told = format!("{rejected:?}, {forgotten} tenants forgotten\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
    for reason in RejectReason::ALL {
        assert!(rejected.get(reason.code()).is_some_and(|count| *count > 20), "{reason}: {told}");
    }
}

impl<'a> Both<'a> {
    fn new(seed: u64, scheduler: &'a mut Scheduler) -> Self {
        let mut random = Random::new(seed);
        scheduler.reset(HashSecret::from_seed(seed));
        let slas = ["one", "two"].map(|name| SLA {
            service_id: Name::new(name).expect("a name"),
            p95_latency_ms: u32::try_from(random.between(1, 40)).expect("small"),
            error_rate_threshold_ppm: 10_000,
            priority_level: RequestPriority::Normal,
            concurrency: *random.pick(&[0, 1, 2, 3]),
            queue_depth: *random.pick(&[1, 4, 10, 20, 24]),
        });
        let queues = slas.each_ref().map(|sla| scheduler.define_sla(sla).expect("an agreement"));
        Self {
            seed,
            random,
            now: 1_000_000,
            scheduler,
            queues,
            slas,
            items: Vec::new(),
            weights: BTreeMap::new(),
            over: Vec::new(),
            counts: Default::default(),
            next_number: 1,
            dropped: Vec::new(),
        }
    }

    fn step(&mut self) {
        // Sometimes time stands still.
        self.now += *self.random.pick(&[0, 0, 1, 1_000, 300_000, 1_000_000, 7_000_000]);
        let queue = self.random.index(QUEUES);
        match self.random.between(0, 99) {
            0..=44 => self.arrive(queue),
            45..=66 => self.serve(queue),
            67..=81 => self.complete(),
            82..=85 => self.take_out(),
            86..=88 => self.requeue(),
            89 => self.stale(),
            90..=92 => self.tick(),
            93 => self.drain(queue),
            94 => self.make_room(queue),
            _ => self.look(queue),
        }
        assert!(self.dropped.is_empty(), "{}", self.says());
        (0..QUEUES).for_each(|queue| self.compare(queue));
        self.compare_all();
    }

    fn says(&self) -> String {
        format!("seed {} at {}: {:?}\n{:?} {:?}", self.seed, self.now, self.slas, self.items, self.dropped)
    }

    fn waiting(&self, queue: usize) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.queue == queue && item.began.is_none() && !item.is_exempt)
    }

    fn in_service(&self, queue: usize) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.queue == queue && item.began.is_some() && !item.is_exempt)
    }

    fn exempt(&self, queue: usize) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.queue == queue && item.is_exempt)
    }

    fn has_free_service(&self, queue: usize) -> bool {
        let concurrency = self.slas[queue].concurrency;
        concurrency == 0 || self.in_service(queue).count() < usize::try_from(concurrency).expect("small")
    }

    /// What a class is expected to take in service, as the scheduler tells.
    fn estimate_ns(&self, item: &Item) -> u64 {
        let us = if item.cost_us == 0 {
            let metrics =
                self.scheduler.get_queue_stats(Instant(self.now), self.queues[item.queue]).expect("a queue");
            metrics.classes[item.class].estimate_us
        } else {
            item.cost_us.into()
        };
        us * 1_000
    }

    /// What the agreement gives a request.
    fn latency_ns(&self, queue: usize) -> u64 {
        u64::from(self.slas[queue].p95_latency_ms) * 1_000_000
    }

    /// What it is taken to need when it is judged: what it says, else the estimate, or half of what the agreement gives
    /// where the estimate is no less.
    fn judged_ns(&self, item: &Item) -> u64 {
        let (estimate, latency) = (self.estimate_ns(item), self.latency_ns(item.queue));
        if item.cost_us == 0 && estimate >= latency { latency / 2 } else { estimate }
    }

    fn is_late(&self, item: &Item) -> bool {
        self.now + self.judged_ns(item) > item.deadline
    }

    fn counts(&mut self, item: &Item) -> &mut Counts {
        &mut self.counts[item.queue][if item.is_exempt { CLASSES } else { item.class }]
    }

    /// A request that is to come.
    fn asked(&mut self, queue: usize) -> Item {
        let random = &mut self.random;
        let arrival = self.now - *random.pick(&[0, 0, 0, 1, 900_000]);
        let wait = *random.pick(&[0, 999, 1_000_000, 3_000_000, 10_000_000, 40_000_000, u64::from(u32::MAX)]);
        let item = Item {
            number: self.next_number,
            queue,
            class: random.index(CLASSES),
            tenant: random.between(0, 5),
            weight: *random.pick(&[1, 1, 1, 2, 1024]),
            arrival,
            deadline: if random.chance(3) { self.now - 1 } else { self.now + random.between(wait / 2, wait) },
            cost_us: *random.pick(&[0, 0, 1, 500, 1_000, 2_500, 30_000]),
            is_exempt: random.chance(4),
            began: None,
            ticket: QueueTicket::default(),
        };
        self.next_number += 1;
        item
    }

    /// What has to become of it: who makes room, if anybody has to; or why it is turned away.
    fn expected(&self, item: &Item) -> Result<Room, Refused> {
        if item.is_exempt {
            let used = self.items.iter().filter(|item| item.is_exempt).count();
            let room = if used < EXEMPT_SLOTS { Ok(Room::Free) } else { Err(RejectReason::QueueFull) };
            return room.map_err(Refused::Counted);
        }
        if item.deadline < self.now {
            return Err(Refused::Passed);
        }
        // Where nothing goes on, whoever says nothing of what it takes is tried.
        let is_quiet =
            self.waiting(item.queue).next().is_none() && self.in_service(item.queue).next().is_none();
        if self.is_late(item) && !(is_quiet && item.cost_us == 0) {
            return Err(Refused::Counted(RejectReason::Infeasible));
        }
        let used = self.items.iter().filter(|item| !item.is_exempt).count();
        let depth = usize::try_from(self.slas[item.queue].queue_depth).expect("small");
        if used < TENANTS * 4 && self.waiting(item.queue).count() < depth {
            return Ok(Room::Free);
        }
        let late: Vec<u64> =
            self.waiting(item.queue).filter(|item| self.is_late(item)).map(|item| item.number).collect();
        if !late.is_empty() {
            return Ok(Room::OneOf(late, RejectReason::Infeasible));
        }
        let victim = self.waiting(item.queue).max_by_key(|item| (item.class, item.deadline, item.number));
        match victim.filter(|victim| self.goes_before(item, victim)) {
            Some(victim) => Ok(Room::OneOf(vec![victim.number], RejectReason::Shed)),
            None => Err(Refused::Counted(RejectReason::QueueFull)),
        }
    }

    /// Whether a newcomer stays, and not one that waits: by class, by how much of its tenant waits for its weight, and
    /// by deadline.
    fn goes_before(&self, item: &Item, other: &Item) -> bool {
        if item.class != other.class || item.tenant == other.tenant {
            return (item.class, item.deadline) < (other.class, other.deadline);
        }
        let waiting = |of: &Item| {
            let (class, tenant) = (of.class, of.tenant);
            let all = self.waiting(of.queue).filter(|one| (one.class, one.tenant) == (class, tenant));
            u64::try_from(all.count()).expect("a few")
        };
        let own = (waiting(item) + 1) * u64::from(self.weight(other));
        let others = waiting(other) * u64::from(item.weight);
        (own, item.deadline) < (others, other.deadline)
    }

    /// The weight that its tenant's last request named that came to wait, in its class.
    fn weight(&self, item: &Item) -> u32 {
        self.weights[&(item.queue, item.class, item.tenant)]
    }

    fn arrive(&mut self, queue: usize) {
        let mut item = self.asked(queue);
        // What has no deadline gets one.
        let has_deadline = item.deadline < self.now || self.random.chance(80);
        if !has_deadline {
            item.deadline = item.arrival + u64::from(self.slas[queue].p95_latency_ms) * 1_000_000;
        }
        let request = request(&item, has_deadline);
        let (now, id) = (Instant(self.now), self.queues[queue]);
        let expected = self.expected(&item);
        let starts = !item.is_exempt && self.waiting(queue).next().is_none() && self.has_free_service(queue)
            || item.is_exempt && self.exempt(queue).all(|item| item.began.is_some());
        let said = self.says();
        let looked = self.scheduler.room(now, id, &request, Access::Peek);
        match &expected {
            Ok(_) => {
                let placement = if starts { Placement::Start } else { Placement::Wait };
                assert_eq!(looked, Ok(placement), "{item:?} {said}");
            }
            Err(refused) => refused.assert(looked.err(), &said),
        }
        let is_started = self.random.chance(30);
        let dropped = &mut self.dropped;
        let outcome = if is_started {
            self.scheduler.start_request(now, id, &request)
        } else {
            self.scheduler.enqueue_request(now, id, &request, &mut |one| dropped.push(one))
        };
        match expected {
            Ok(_) if is_started && !starts => {
                assert_eq!(outcome, Err(EnqueueError::NoSlot), "{item:?} {said}");
            }
            Ok(room) => {
                item.ticket = outcome.unwrap_or_else(|error| panic!("{error}: {item:?} {said}"));
                if let Room::OneOf(numbers, reason) = room {
                    let one = self.dropped.pop().unwrap_or_else(|| panic!("one has to go: {item:?} {said}"));
                    assert!(
                        numbers.contains(&one.request_id) && one.reason == reason,
                        "{one:?} {item:?} {said}"
                    );
                    self.lose(one);
                }
                self.counts(&item).arrivals += 1;
                if is_started {
                    item.began = Some(self.now);
                    let waited = self.now - item.arrival;
                    let counts = self.counts(&item);
                    counts.served += 1;
                    counts.waits.push(waited);
                }
                self.weights.insert((queue, item.class, item.tenant), item.weight);
                self.items.push(item);
            }
            Err(refused) => {
                refused.assert(outcome.err(), &said);
                if let Refused::Counted(reason) = refused {
                    let counts = self.counts(&item);
                    counts.arrivals += 1;
                    *counts.rejected.entry(reason.code()).or_default() += 1;
                }
            }
        }
    }

    /// Takes out of the list what was dropped.
    fn lose(&mut self, one: Dropped) {
        let place = self.items.iter().position(|item| item.number == one.request_id);
        let item = self.items.remove(place.unwrap_or_else(|| panic!("{one:?} waits: {}", self.says())));
        assert_eq!((one.ticket, item.began), (item.ticket, None), "{}", self.says());
        assert_eq!((one.queue, one.priority.index()), (self.queues[item.queue], item.class));
        *self.counts(&item).rejected.entry(one.reason.code()).or_default() += 1;
        self.over.push(item.ticket);
    }

    fn lose_late(&mut self) {
        for one in std::mem::take(&mut self.dropped) {
            let item = self.items.iter().find(|item| item.number == one.request_id);
            let item = *item.unwrap_or_else(|| panic!("{one:?} waits: {}", self.says()));
            assert!(self.is_late(&item) && !item.is_exempt, "{item:?} is not late: {}", self.says());
            assert_eq!(one.reason, RejectReason::Infeasible);
            self.lose(one);
        }
    }

    fn serve(&mut self, queue: usize) {
        let first_exempt = self.exempt(queue).find(|item| item.began.is_none()).copied();
        let is_free = self.has_free_service(queue);
        let dropped = &mut self.dropped;
        let dispatch =
            self.scheduler.dequeue_next(Instant(self.now), self.queues[queue], &mut |one| dropped.push(one));
        assert!(is_free || self.dropped.is_empty(), "{}", self.says());
        self.lose_late();
        let Some(dispatch) = dispatch else {
            assert!(first_exempt.is_none(), "the exempt lane is stuck: {}", self.says());
            assert!(!is_free || self.waiting(queue).next().is_none(), "idle: {}", self.says());
            return;
        };
        let place = self.items.iter().position(|item| item.number == dispatch.request_id);
        let place = place.unwrap_or_else(|| panic!("{dispatch:?} waits: {}", self.says()));
        let item = self.items[place];
        let said = || format!("{item:?} {dispatch:?} {}", self.says());
        assert_eq!((dispatch.ticket, item.queue, item.began), (item.ticket, queue, None), "{}", said());
        assert_eq!(dispatch.waited, Nanos(self.now - item.arrival), "{}", said());
        assert_eq!(dispatch.deadline, Instant(item.deadline), "{}", said());
        assert_eq!((dispatch.priority.index(), dispatch.lane == Lane::Exempt), (item.class, item.is_exempt));
        match first_exempt {
            Some(first) => assert_eq!(first.number, item.number, "{}", said()),
            None => {
                assert!(is_free && !self.is_late(&item), "{}", said());
                let own = self.waiting(queue);
                let own = own.filter(|other| (other.class, other.tenant) == (item.class, item.tenant));
                let first = own.min_by_key(|other| (other.deadline, other.number));
                assert_eq!(first.map(|first| first.number), Some(item.number), "{}", said());
                let estimate = self.estimate_ns(&item);
                let charged = if item.cost_us == 0 { estimate } else { estimate.min(self.latency_ns(queue)) };
                assert_eq!(u64::from(dispatch.cost_us) * 1_000, charged, "{}", said());
            }
        }
        self.items[place].began = Some(self.now);
        let waited = self.now - item.arrival;
        let counts = self.counts(&item);
        counts.served += 1;
        counts.waits.push(waited);
    }

    fn complete(&mut self) {
        let Some(place) = self.any() else { return };
        let item = self.items[place];
        let service_us = self.random.chance(70).then(|| self.random.between(0, 5_000));
        let report = ServiceReport { service_us, is_error: false };
        let outcome = self.scheduler.complete_request(Instant(self.now), item.ticket, &report);
        if item.began.is_none() {
            assert_eq!(outcome, Err(QueueTicketError::Waiting), "{item:?} {}", self.says());
            return;
        }
        assert_eq!(outcome, Ok(()), "{item:?} {}", self.says());
        self.counts(&item).completed += 1;
        self.over.push(self.items.remove(place).ticket);
    }

    /// A place in the list.
    fn any(&mut self) -> Option<usize> {
        if self.items.is_empty() { None } else { Some(self.random.index(self.items.len())) }
    }

    fn take_out(&mut self) {
        let Some(place) = self.any() else { return };
        let (item, now) = (self.items[place], Instant(self.now));
        let kind = self.random.index(4);
        if kind == 0 {
            assert_eq!(self.scheduler.cancel(now, item.ticket), Ok(()), "{item:?} {}", self.says());
            if item.began.is_none() {
                *self.counts(&item).rejected.entry("cancelled").or_default() += 1;
            }
            self.over.push(self.items.remove(place).ticket);
            return;
        }
        let reason = [RejectReason::Preempted, RejectReason::Rejected, RejectReason::Expired][kind - 1];
        let outcome = if kind == 1 {
            self.scheduler.preempt_request(now, item.ticket)
        } else {
            self.scheduler.reject_request(now, item.ticket, reason)
        };
        match outcome {
            Ok(one) => {
                assert_eq!((one.request_id, one.reason), (item.number, reason), "{}", self.says());
                self.lose(one);
            }
            Err(error) => {
                assert_eq!(
                    (error, item.began.is_some()),
                    (QueueTicketError::InService, true),
                    "{}",
                    self.says()
                );
            }
        }
    }

    fn requeue(&mut self) {
        let Some(place) = self.any() else { return };
        let item = self.items[place];
        let class = self.random.index(CLASSES);
        let outcome =
            self.scheduler.requeue_request(Instant(self.now), item.ticket, RequestPriority::ALL[class]);
        let expected = match (item.is_exempt, item.began) {
            (true, _) => Err(QueueTicketError::Exempt),
            (false, Some(_)) => Err(QueueTicketError::InService),
            (false, None) => Ok(()),
        };
        assert_eq!(outcome, expected, "{item:?} {}", self.says());
        if outcome.is_ok() && class != item.class {
            self.counts[item.queue][item.class].requeued_out += 1;
            self.counts[item.queue][class].requeued_in += 1;
            self.items[place].class = class;
            let weight = self.weight(&item);
            self.weights.insert((item.queue, class, item.tenant), weight);
        }
    }

    /// The name of a request that is over finds nothing.
    fn stale(&mut self) {
        if self.over.is_empty() {
            return;
        }
        let (now, ticket) = (Instant(self.now), self.over[self.random.index(self.over.len())]);
        let unknown = Err(QueueTicketError::Unknown);
        assert_eq!(self.scheduler.cancel(now, ticket), unknown);
        assert_eq!(self.scheduler.complete_request(now, ticket, &ServiceReport::default()), unknown);
        assert_eq!(self.scheduler.requeue_request(now, ticket, RequestPriority::Low), unknown);
        assert_eq!(self.scheduler.preempt_request(now, ticket).err(), unknown.err());
    }

    fn tick(&mut self) {
        let dropped = &mut self.dropped;
        self.scheduler.tick(Instant(self.now), &mut |one| dropped.push(one));
        self.lose_late();
        for queue in 0..QUEUES {
            assert!(self.waiting(queue).all(|item| !self.is_late(item)), "late ones wait: {}", self.says());
        }
    }

    fn drain(&mut self, queue: usize) {
        if !self.random.chance(30) {
            return;
        }
        let expected = self.items.iter().filter(|item| item.queue == queue && item.began.is_none()).count();
        let dropped = &mut self.dropped;
        let count = self.scheduler.drain(Instant(self.now), self.queues[queue], &mut |one| dropped.push(one));
        assert_eq!((count, self.dropped.len()), (expected, expected), "{}", self.says());
        for one in std::mem::take(&mut self.dropped) {
            assert_eq!(one.reason, RejectReason::Drained);
            self.lose(one);
        }
    }

    /// Somebody else has no room for what comes.
    fn make_room(&mut self, queue: usize) {
        let item = self.asked(queue);
        let depth = std::mem::replace(&mut self.slas[queue].queue_depth, 0);
        let expected = self.expected(&item);
        self.slas[queue].queue_depth = depth;
        let found = self.scheduler.make_room(Instant(self.now), self.queues[queue], &request(&item, true));
        match (expected, found) {
            (Ok(Room::OneOf(numbers, reason)), Some(one)) => {
                assert!(numbers.contains(&one.request_id) && one.reason == reason, "{one:?} {}", self.says());
                self.lose(one);
            }
            (Ok(Room::Free) | Err(_), None) => {}
            (_, found) => panic!("{found:?} {item:?} {}", self.says()),
        }
    }

    /// What is only looked at changes nothing.
    fn look(&mut self, queue: usize) {
        let item = self.asked(queue);
        let request = request(&item, true);
        let (now, id) = (Instant(self.now), self.queues[queue]);
        let first = self.scheduler.room(now, id, &request, Access::Peek);
        assert_eq!(self.scheduler.room(now, id, &request, Access::Peek), first);
        let wait = self.scheduler.estimate_queue_time(id, request.priority, request.origin.tenant);
        let starts = self.waiting(queue).next().is_none() && self.has_free_service(queue);
        // Where any number may be in service, nobody waits for another.
        let is_short = starts || self.slas[queue].concurrency == 0;
        let is_busy = self.in_service(queue).next().is_some();
        assert!(!is_short || wait == Nanos::ZERO, "{wait:?} {}", self.says());
        assert!(is_short || !is_busy || wait > Nanos::ZERO, "{}", self.says());
        let latest = self.items.iter().filter(|item| item.began.is_none() && !item.is_exempt).map(|item| {
            let latest = item.deadline.checked_sub(self.judged_ns(item));
            latest.map_or(0, |latest| latest + 1)
        });
        assert_eq!(self.scheduler.next_due(), latest.min().map(Instant), "{}", self.says());
    }

    /// Every counter of a queue.
    fn compare(&self, queue: usize) {
        let metrics = self.scheduler.get_queue_stats(Instant(self.now), self.queues[queue]).expect("a queue");
        let said = || format!("{metrics:?} {}", self.says());
        let of = |rejected: &governance::priority::Rejections| {
            let all = RejectReason::ALL.into_iter().map(|reason| (reason.code(), rejected.of(reason)));
            all.filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>()
        };
        for (class, found) in metrics.classes.iter().enumerate() {
            let counts = &self.counts[queue][class];
            let waiting = || self.waiting(queue).filter(move |item| item.class == class);
            let in_service = self.in_service(queue).filter(|item| item.class == class).count();
            assert_eq!(found.depth as usize, waiting().count(), "{}", said());
            assert_eq!(found.in_service as usize, in_service, "{}", said());
            assert_eq!((found.arrivals, found.served), (counts.arrivals, counts.served), "{}", said());
            assert_eq!((found.completed, of(&found.rejected)), (counts.completed, counts.rejected.clone()));
            let requeued = (counts.requeued_in, counts.requeued_out);
            assert_eq!((found.requeued_in, found.requeued_out), requeued, "{}", said());
            let oldest = waiting().map(|item| item.arrival).min().map(|arrival| Nanos(self.now - arrival));
            assert_eq!(found.oldest_age, oldest, "{}", said());
            let sum: u64 = counts.waits.iter().sum();
            let average = sum.checked_div(counts.served).map(Nanos);
            assert_eq!(found.wait_average, average, "{}", said());
            assert!(is_near_95th(&counts.waits, found.wait_p95), "{:?} {}", counts.waits, said());
        }
        let exempt = &self.counts[queue][CLASSES];
        let waiting = self.exempt(queue).filter(|item| item.began.is_none()).count();
        assert_eq!(metrics.exempt.depth as usize, waiting, "{}", said());
        assert_eq!(metrics.exempt.in_service as usize, self.exempt(queue).count() - waiting, "{}", said());
        assert_eq!((metrics.exempt.arrivals, metrics.exempt.served), (exempt.arrivals, exempt.served));
        assert_eq!(of(&metrics.exempt.rejected), exempt.rejected, "{}", said());
        assert_eq!(metrics.waiting as usize, waiting + self.waiting(queue).count(), "{}", said());
        assert_eq!(metrics.in_service as usize, self.in_service(queue).count(), "{}", said());
        let told = metrics.served + u64::from(metrics.waiting) + metrics.rejected.total();
        assert_eq!(metrics.arrivals, told, "{}", said());
        let all = &self.counts[queue];
        assert_eq!(metrics.arrivals, all.iter().map(|counts| counts.arrivals).sum::<u64>(), "{}", said());
        assert_eq!(metrics.served, all.iter().map(|counts| counts.served).sum::<u64>(), "{}", said());
        let listed = self.scheduler.waiting(self.queues[queue]);
        let mut listed: Vec<_> = listed
            .map(|one| {
                let what = (one.request_id, one.priority.index(), one.ticket.to_string());
                (
                    what,
                    one.arrival_time.0,
                    one.deadline.0,
                    one.cost_us,
                    one.tenant.0,
                    one.lane == Lane::Exempt,
                )
            })
            .collect();
        listed.sort();
        let waiting = self.items.iter().filter(|item| item.queue == queue && item.began.is_none());
        let mut waiting: Vec<_> = waiting
            .map(|item| {
                let what = (item.number, item.class, item.ticket.to_string());
                (what, item.arrival, item.deadline, item.cost_us, item.tenant, item.is_exempt)
            })
            .collect();
        waiting.sort();
        assert_eq!(listed, waiting, "{}", said());
    }

    fn compare_all(&self) {
        let totals = self.scheduler.totals();
        let waiting = self.items.iter().filter(|item| item.began.is_none()).count();
        let exempt = self.items.iter().filter(|item| item.is_exempt).count();
        assert_eq!((totals.queues, totals.waiting), (QUEUES, waiting), "{totals:?} {}", self.says());
        assert_eq!((totals.in_service, totals.exempt), (self.items.len() - waiting, exempt));
        assert_eq!(totals.arrivals, totals.served + waiting as u64 + totals.rejected.total());
        assert!(totals.flows <= totals.flows_max, "{totals:?}");
        let is_ready = |&queue: &usize| {
            let waits = self.waiting(queue).next().is_some() && self.has_free_service(queue);
            waits || self.exempt(queue).any(|item| item.began.is_none())
        };
        let ready = (0..QUEUES).filter(is_ready).map(|queue| self.queues[queue]);
        assert!(self.scheduler.ready().eq(ready), "{}", self.says());
    }
}

/// How there is room.
enum Room {
    /// There is some.
    Free,
    /// One of these goes, for this reason.
    OneOf(Vec<u64>, RejectReason),
}

/// Why there is none.
enum Refused {
    /// The deadline is over.
    Passed,
    /// It is turned away, and that is counted.
    Counted(RejectReason),
}

impl Refused {
    fn assert(&self, found: Option<EnqueueError>, said: &str) {
        let is_expected = match (self, found) {
            (Self::Passed, Some(EnqueueError::DeadlinePassed)) => true,
            (Self::Counted(reason), Some(EnqueueError::Rejected(rejection))) => {
                rejection.reason == *reason && rejection.retry > Nanos::ZERO
            }
            _ => false,
        };
        assert!(is_expected, "{found:?} {said}");
    }
}

fn request(item: &Item, has_deadline: bool) -> QueuedRequest<'static> {
    QueuedRequest {
        request_id: item.number,
        priority: RequestPriority::ALL[item.class],
        arrival_time: Instant(item.arrival),
        sla_deadline: has_deadline.then_some(Instant(item.deadline)),
        origin: Origin { tenant: KeyHash(item.tenant), weight: item.weight, name: None },
        cost_us: item.cost_us,
        lane: if item.is_exempt { Lane::Exempt } else { Lane::Shared },
    }
}

/// Whether a percentile is that of these waits: within 1.6 percent, and of the one of that rank or a neighbour.
fn is_near_95th(waits: &[u64], found: Option<Nanos>) -> bool {
    let Some(found) = found else { return waits.is_empty() };
    let mut waits = waits.to_vec();
    waits.sort_unstable();
    let Some(last) = waits.len().checked_sub(1) else { return false };
    let rank = (waits.len() * 95).div_ceil(100);
    let (low, high) = (waits[rank.saturating_sub(2)], waits[rank.min(last)]);
    found.0 + 1_000 >= low - low / 60 && found.0 <= high + high / 60 + 1_000
}
