//! A model of the scheduler that is obviously right: requests and flows in lists, everything found by looking at all of
//! them, and every sum added up where it is needed.

use crate::priority::{Lane, RejectReason};
use crate::time::Instant;

const CLASSES: usize = 5;

/// What a request is given as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) id: u64,
    pub(super) class: usize,
    pub(super) tenant: u64,
    pub(super) weight: u32,
    pub(super) arrival: u64,
    pub(super) deadline: Option<u64>,
    pub(super) cost: u32,
    pub(super) lane: Lane,
}

/// Which classes competed, under which weights.
type Competition = (Vec<usize>, u64);

#[derive(Clone, Debug)]
struct Request {
    id: u64,
    queue: usize,
    class: usize,
    tenant: u64,
    arrival: u64,
    deadline: u64,
    cost: u32,
    serial: u64,
    lane: Lane,
    /// Since when it is in service, what it was charged, and who competed.
    service: Option<(u64, u32, Competition)>,
}

#[derive(Clone, Debug)]
struct Flow {
    queue: usize,
    class: usize,
    tenant: u64,
    weight: u32,
    tag: i128,
    turn: u64,
    /// When it became idle, if it is.
    idle: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Class {
    pub(super) arrivals: u64,
    pub(super) served: u64,
    pub(super) completed: u64,
    pub(super) rejected: [u64; RejectReason::COUNT],
    pub(super) requeued_in: u64,
    pub(super) requeued_out: u64,
    pub(super) waits: Vec<u64>,
    pub(super) served_cost: i128,
    /// Eight times the estimate.
    estimate_eighths: Option<u64>,
    tag: i128,
    turn: u64,
    /// Of its flows: the start tag that was dispatched last, and the highest tag there has been.
    virtual_time: i128,
    highest: i128,
    /// What others have received since its head came up, if one waits.
    received: Option<i128>,
    pub(super) worst: i128,
    run: i128,
    largest: i128,
}

impl Class {
    pub(super) fn estimate(&self) -> u64 {
        self.estimate_eighths.map_or(1000, |eighths| (eighths / 8).max(1))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) classes: Vec<Class>,
    pub(super) exempt: Class,
    virtual_time: i128,
    highest: i128,
    latency: u64,
    concurrency: usize,
    depth: usize,
    /// Service while several classes competed: who, whose it was, and how much.
    competed: Vec<(Vec<usize>, usize, i128)>,
    /// Whether each request was slow that was served or not served for want of room or time, all within a minute.
    pub(super) slow: Vec<bool>,
    pub(super) is_breached: bool,
}

pub(super) struct Model {
    capacity: usize,
    pub(super) weights: [u32; CLASSES],
    pub(super) queues: Vec<Queue>,
    requests: Vec<Request>,
    flows: Vec<Flow>,
    pub(super) forgotten: u64,
    serial: u64,
    turn: u64,
    idle_serial: u64,
    weight_changes: u64,
    /// Of agreements that were broken or are kept again.
    pub(super) notices: u64,
    now: u64,
}

/// What is told of requests that are dropped.
pub(super) type Drops = Vec<(u64, RejectReason)>;

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refused {
    DeadlinePassed,
    NoSlot,
    Rejected(RejectReason),
}

fn stride(weight: u32) -> i128 {
    let twice = 2 * (1_i128 << 28);
    (twice + i128::from(weight)) / (2 * i128::from(weight))
}

impl Model {
    pub(super) fn new(capacity: usize, queues: &[(u64, usize, usize)]) -> Self {
        let queues = queues.iter().map(|&(latency, concurrency, depth)| Queue {
            classes: vec![Class::default(); CLASSES],
            exempt: Class::default(),
            virtual_time: 0,
            highest: 0,
            latency,
            concurrency,
            depth,
            competed: Vec::new(),
            slow: Vec::new(),
            is_breached: false,
        });
        Self {
            capacity,
            weights: [16, 8, 4, 2, 1],
            queues: queues.collect(),
            requests: Vec::new(),
            flows: Vec::new(),
            forgotten: 0,
            serial: 0,
            turn: 0,
            idle_serial: 0,
            weight_changes: 0,
            notices: 0,
            now: 0,
        }
    }

    /// All tags begin there instead of at 0.
    pub(super) fn start_tags(&mut self, tag: i128) {
        for queue in &mut self.queues {
            (queue.virtual_time, queue.highest) = (tag, tag);
            for class in &mut queue.classes {
                (class.tag, class.virtual_time, class.highest) = (tag, tag, tag);
            }
        }
    }

    fn in_lane(&self, lane: Lane) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.lane == lane)
    }

    pub(super) fn waiting(&self, queue: usize, class: usize) -> usize {
        let of_class = |request: &&Request| request.queue == queue && request.class == class;
        self.in_lane(Lane::Shared).filter(of_class).filter(|request| request.service.is_none()).count()
    }

    pub(super) fn in_service(&self, queue: usize, class: usize) -> usize {
        let of_class = |request: &&Request| request.queue == queue && request.class == class;
        self.in_lane(Lane::Shared).filter(of_class).filter(|request| request.service.is_some()).count()
    }

    pub(super) fn exempt(&self, queue: usize) -> (usize, usize) {
        let own = self.in_lane(Lane::Exempt).filter(|request| request.queue == queue);
        let (service, waiting): (Vec<_>, Vec<_>) = own.partition(|request| request.service.is_some());
        (waiting.len(), service.len())
    }

    fn all_waiting(&self, queue: usize) -> usize {
        (0..CLASSES).map(|class| self.waiting(queue, class)).sum()
    }

    fn all_in_service(&self, queue: usize) -> usize {
        (0..CLASSES).map(|class| self.in_service(queue, class)).sum()
    }

    fn backlogged(&self, queue: usize) -> Vec<usize> {
        (0..CLASSES).filter(|&class| self.waiting(queue, class) > 0).collect()
    }

    pub(super) fn oldest(&self, queue: usize, class: usize) -> Option<u64> {
        let waiting = self.in_lane(Lane::Shared).filter(|request| request.service.is_none());
        waiting
            .filter(|request| request.queue == queue && request.class == class)
            .map(|request| request.arrival)
            .min()
    }

    pub(super) fn known_flows(&self) -> usize {
        self.flows.len()
    }

    /// The last time at which it can be dispatched and still be in time; negative if there never was one.
    fn latest(&self, request: &Request) -> i128 {
        let cost = if request.cost == 0 {
            self.judged(request.queue, request.class)
        } else {
            u64::from(request.cost)
        };
        i128::from(request.deadline) - i128::from(cost) * 1000
    }

    /// What a request is taken to need that says nothing: half of what the agreement gives if the estimate is no less.
    fn judged(&self, queue: usize, class: usize) -> u64 {
        let Queue { classes, latency, .. } = &self.queues[queue];
        let estimate = classes[class].estimate();
        if estimate * 1000 < *latency { estimate } else { latency / 2000 }
    }

    fn is_late(&self, request: &Request) -> bool {
        i128::from(self.now) > self.latest(request)
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        let waiting = self.in_lane(Lane::Shared).filter(|request| request.service.is_none());
        waiting.map(|request| u64::try_from(self.latest(request) + 1).unwrap_or(0)).min()
    }

    fn tick_to(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    fn flow(&mut self, queue: usize, class: usize, tenant: u64) -> usize {
        let is = |flow: &Flow| (flow.queue, flow.class, flow.tenant) == (queue, class, tenant);
        if let Some(found) = self.flows.iter().position(is) {
            return found;
        }
        if self.flows.len() == self.capacity {
            let idle = (0..self.flows.len()).filter(|&flow| self.flows[flow].idle.is_some());
            let oldest = idle.min_by_key(|&flow| self.flows[flow].idle).unwrap();
            self.flows.remove(oldest);
            self.forgotten += 1;
        }
        self.turn += 1;
        self.idle_serial += 1;
        self.flows.push(Flow {
            queue,
            class,
            tenant,
            weight: 1,
            tag: i128::MIN,
            turn: self.turn,
            idle: Some(self.idle_serial),
        });
        self.flows.len() - 1
    }

    fn flow_requests(&self, flow: usize) -> impl Iterator<Item = &Request> {
        let Flow { queue, class, tenant, .. } = self.flows[flow];
        let is = move |request: &&Request| {
            (request.queue, request.class, request.tenant) == (queue, class, tenant)
        };
        self.in_lane(Lane::Shared).filter(is)
    }

    fn flow_waits(&self, flow: usize) -> bool {
        self.flow_requests(flow).any(|request| request.service.is_none())
    }

    /// Lets a request wait: what was at rest begins at the virtual time, unless it still owes.
    fn join(&mut self, request: Request, weight: u32) {
        let (queue, class) = (request.queue, request.class);
        let flow = self.flow(queue, class, request.tenant);
        let (old, new) = (stride(self.flows[flow].weight), stride(weight));
        let of_class = &mut self.queues[queue].classes[class];
        let of_flow = &mut self.flows[flow];
        of_flow.weight = weight;
        if of_flow.tag > of_class.virtual_time && old != new {
            of_flow.tag = of_class.virtual_time + (of_flow.tag - of_class.virtual_time) / old * new;
            of_class.highest = of_class.highest.max(of_flow.tag);
        }
        if !self.flow_waits(flow) {
            self.flows[flow].tag = self.flows[flow].tag.max(self.queues[queue].classes[class].virtual_time);
        }
        if self.waiting(queue, class) == 0 {
            let virtual_time = self.queues[queue].virtual_time;
            let class = &mut self.queues[queue].classes[class];
            class.tag = class.tag.max(virtual_time);
            class.received = Some(0);
        }
        self.flows[flow].idle = None;
        self.requests.push(request);
    }

    /// After a request waits no more, or is over: what is left at rest.
    fn rest(&mut self, queue: usize, class: usize, tenant: u64) {
        let is = |flow: &Flow| (flow.queue, flow.class, flow.tenant) == (queue, class, tenant);
        let flow = self.flows.iter().position(is).unwrap();
        if self.flow_requests(flow).next().is_none() {
            self.idle_serial += 1;
            self.flows[flow].idle = Some(self.idle_serial);
        }
        if self.waiting(queue, class) == 0 {
            self.queues[queue].classes[class].received = None;
            if self.in_service(queue, class) == 0 {
                let class = &mut self.queues[queue].classes[class];
                class.virtual_time = class.virtual_time.max(class.highest);
            }
        }
        if self.all_waiting(queue) == 0 && self.all_in_service(queue) == 0 {
            let queue = &mut self.queues[queue];
            queue.virtual_time = queue.virtual_time.max(queue.highest);
            queue.classes.iter_mut().for_each(|class| (class.worst, class.run, class.largest) = (0, 0, 0));
        }
    }

    /// What was not served for want of room or time is slow.
    fn count_rejected(&mut self, queue: usize, class: usize, reason: RejectReason) {
        self.queues[queue].classes[class].rejected[reason.index()] += 1;
        if [RejectReason::QueueFull, RejectReason::Shed, RejectReason::Infeasible].contains(&reason) {
            self.record(queue, true);
        }
    }

    /// The agreement is broken by more than 5 of a hundred that are slow, of 20 or more, and kept again by 4 or less.
    fn record(&mut self, number: usize, is_slow: bool) {
        let queue = &mut self.queues[number];
        queue.slow.push(is_slow);
        let (count, slow) = (queue.slow.len(), queue.slow.iter().filter(|&&is_slow| is_slow).count());
        let crosses = if queue.is_breached { slow * 100 <= 4 * count } else { slow * 100 > 5 * count };
        if count >= 20 && crosses {
            queue.is_breached = !queue.is_breached;
            self.notices += 1;
        }
    }

    fn drop(&mut self, id: u64, reason: RejectReason) -> (u64, RejectReason) {
        let place = self.requests.iter().position(|request| request.id == id).unwrap();
        let request = self.requests.remove(place);
        if request.lane == Lane::Exempt {
            self.queues[request.queue].exempt.rejected[reason.index()] += 1;
            return (id, reason);
        }
        self.count_rejected(request.queue, request.class, reason);
        self.rest(request.queue, request.class, request.tenant);
        (id, reason)
    }

    /// The first that is late: of the lowest class, then by its latest time.
    fn first_late(&self, queue: usize) -> Option<u64> {
        let waiting = self.in_lane(Lane::Shared).filter(|request| request.service.is_none());
        let late = waiting.filter(|request| request.queue == queue && self.is_late(request));
        late.min_by_key(|request| {
            let latest = self.latest(request);
            (CLASSES - request.class, latest.max(-1), request.serial)
        })
        .map(|request| request.id)
    }

    fn asked(&self, queue: usize, given: &Given) -> Result<u64, Refused> {
        let arrival = given.arrival.min(self.now);
        let deadline = given.deadline.unwrap_or(arrival + self.queues[queue].latency);
        if deadline < self.now { Err(Refused::DeadlinePassed) } else { Ok(deadline) }
    }

    /// Who has to go for a request, if anyone.
    fn victim(
        &self,
        queue: usize,
        given: &Given,
        deadline: u64,
    ) -> Result<Option<(u64, RejectReason)>, RejectReason> {
        let judged = self.judged(queue, given.class);
        let cost = if given.cost == 0 { judged } else { u64::from(given.cost) };
        let is_quiet = !self.in_lane(Lane::Shared).any(|request| request.queue == queue);
        let is_trial = given.cost == 0 && is_quiet;
        if self.now + cost * 1000 > deadline && !is_trial {
            return Err(RejectReason::Infeasible);
        }
        let shared = self.in_lane(Lane::Shared).count();
        if shared < self.capacity && self.all_waiting(queue) < self.queues[queue].depth {
            return Ok(None);
        }
        if let Some(late) = self.first_late(queue) {
            return Ok(Some((late, RejectReason::Infeasible)));
        }
        let lowest = self.backlogged(queue).into_iter().max().ok_or(RejectReason::QueueFull)?;
        let waiting = self.in_lane(Lane::Shared).filter(|request| request.service.is_none());
        let of_lowest = waiting.filter(|request| request.queue == queue && request.class == lowest);
        let last = of_lowest.max_by_key(|request| (request.deadline, request.serial)).unwrap();
        // Of one class, whose tenant has more waiting by its weight; the newcomer is the last of all with its deadline.
        let of_tenant = |tenant: u64| {
            let of_class = (0..self.flows.len()).map(|flow| (flow, &self.flows[flow]));
            let mut own = of_class.filter(|(_, flow)| (flow.queue, flow.class) == (queue, lowest));
            let flow = own.find(|(_, flow)| flow.tenant == tenant)?;
            let waits = self.flow_requests(flow.0).filter(|request| request.service.is_none()).count();
            Some((waits as u64, u64::from(flow.1.weight)))
        };
        let is_lower = given.class > lowest;
        let is_later = if given.class < lowest {
            false
        } else if given.tenant == last.tenant {
            deadline >= last.deadline
        } else {
            let own = of_tenant(given.tenant).map_or(1, |(waits, _)| waits + 1);
            let (others, weight) = of_tenant(last.tenant).unwrap();
            let load = (own * weight).cmp(&(others * u64::from(given.weight)));
            load.then(deadline.cmp(&last.deadline)).is_ge()
        };
        if is_lower || is_later {
            return Err(RejectReason::QueueFull);
        }
        Ok(Some((last.id, RejectReason::Shed)))
    }

    /// Drops who would have to go for a request in a full queue.
    pub(super) fn make_room(&mut self, now: u64, queue: usize, given: &Given) -> Option<(u64, RejectReason)> {
        self.tick_to(now);
        if given.lane == Lane::Exempt {
            return None;
        }
        let deadline = self.asked(queue, given).ok()?;
        let depth = std::mem::replace(&mut self.queues[queue].depth, 0);
        let victim = self.victim(queue, given, deadline);
        self.queues[queue].depth = depth;
        let (id, reason) = victim.ok()??;
        Some(self.drop(id, reason))
    }

    /// Where something waits that could be served.
    pub(super) fn ready(&self) -> Vec<usize> {
        let is_ready = |&queue: &usize| {
            self.exempt(queue).0 > 0 || (self.all_waiting(queue) > 0 && self.has_free_service(queue))
        };
        (0..self.queues.len()).filter(is_ready).collect()
    }

    fn turn_away(&mut self, queue: usize, class: usize, reason: RejectReason) -> Refused {
        self.queues[queue].classes[class].arrivals += 1;
        self.count_rejected(queue, class, reason);
        Refused::Rejected(reason)
    }

    fn request(&mut self, queue: usize, given: &Given, deadline: u64) -> Request {
        self.serial += 1;
        Request {
            id: given.id,
            queue,
            class: given.class,
            tenant: given.tenant,
            arrival: given.arrival.min(self.now),
            deadline,
            cost: given.cost,
            serial: self.serial,
            lane: given.lane,
            service: None,
        }
    }

    /// Whether it could start at once.
    pub(super) fn room(&mut self, now: u64, queue: usize, given: &Given) -> Result<bool, Refused> {
        self.tick_to(now);
        if given.lane == Lane::Exempt {
            let full = self.in_lane(Lane::Exempt).count() == 16;
            let waits = self.exempt(queue).0 > 0;
            return if full { Err(Refused::Rejected(RejectReason::QueueFull)) } else { Ok(!waits) };
        }
        let deadline = self.asked(queue, given)?;
        self.victim(queue, given, deadline).map_err(Refused::Rejected)?;
        Ok(self.all_waiting(queue) == 0 && self.has_free_service(queue))
    }

    fn has_free_service(&self, queue: usize) -> bool {
        let Queue { concurrency, .. } = self.queues[queue];
        concurrency == 0 || self.all_in_service(queue) < concurrency
    }

    pub(super) fn enqueue(&mut self, now: u64, queue: usize, given: &Given) -> Result<Drops, Refused> {
        self.tick_to(now);
        if given.lane == Lane::Exempt {
            self.take_exempt(queue, given)?;
            return Ok(Vec::new());
        }
        let deadline = self.asked(queue, given)?;
        let victim = match self.victim(queue, given, deadline) {
            Ok(victim) => victim,
            Err(reason) => return Err(self.turn_away(queue, given.class, reason)),
        };
        let drops = victim.map(|(id, reason)| self.drop(id, reason)).into_iter().collect();
        let request = self.request(queue, given, deadline);
        self.queues[queue].classes[given.class].arrivals += 1;
        self.join(request, given.weight);
        Ok(drops)
    }

    pub(super) fn start(&mut self, now: u64, queue: usize, given: &Given) -> Result<(), Refused> {
        self.tick_to(now);
        if given.lane == Lane::Exempt {
            if self.exempt(queue).0 > 0 && self.in_lane(Lane::Exempt).count() < 16 {
                return Err(Refused::NoSlot);
            }
            self.take_exempt(queue, given)?;
            self.dispatch_exempt(queue);
            return Ok(());
        }
        let deadline = self.asked(queue, given)?;
        if let Err(reason) = self.victim(queue, given, deadline) {
            return Err(self.turn_away(queue, given.class, reason));
        }
        if self.all_waiting(queue) > 0 || !self.has_free_service(queue) {
            return Err(Refused::NoSlot);
        }
        let request = self.request(queue, given, deadline);
        self.queues[queue].classes[given.class].arrivals += 1;
        self.join(request, given.weight);
        let (id, _) = self.next(queue).unwrap();
        self.dispatch(queue, id);
        Ok(())
    }

    fn take_exempt(&mut self, queue: usize, given: &Given) -> Result<(), Refused> {
        self.queues[queue].exempt.arrivals += 1;
        if self.in_lane(Lane::Exempt).count() == 16 {
            self.queues[queue].exempt.rejected[RejectReason::QueueFull.index()] += 1;
            return Err(Refused::Rejected(RejectReason::QueueFull));
        }
        let request = self.request(queue, given, u64::MAX);
        self.requests.push(request);
        Ok(())
    }

    fn dispatch_exempt(&mut self, queue: usize) -> Option<u64> {
        let now = self.now;
        let waiting = self.requests.iter_mut().filter(|request| request.lane == Lane::Exempt);
        let first = waiting
            .filter(|request| request.queue == queue && request.service.is_none())
            .min_by_key(|request| request.serial)?;
        first.service = Some((now, 0, (Vec::new(), 0)));
        let id = first.id;
        self.queues[queue].exempt.served += 1;
        Some(id)
    }

    /// Whose turn it is, with its flow.
    fn next(&self, queue: usize) -> Option<(u64, usize)> {
        let classes = &self.queues[queue].classes;
        let class = self
            .backlogged(queue)
            .into_iter()
            .min_by_key(|&class| (classes[class].tag, classes[class].turn, class))?;
        let flows = (0..self.flows.len()).filter(|&flow| self.flows[flow].queue == queue);
        let flows = flows.filter(|&flow| self.flows[flow].class == class && self.flow_waits(flow));
        let flow = flows.min_by_key(|&flow| (self.flows[flow].tag, self.flows[flow].turn)).unwrap();
        let waiting = self.flow_requests(flow).filter(|request| request.service.is_none());
        let first = waiting.min_by_key(|request| (request.deadline, request.serial)).unwrap();
        Some((first.id, flow))
    }

    /// Service was received: others that wait have seen it.
    fn receive(&mut self, queue: usize, class: usize, amount: i128) {
        for (other, seen) in self.queues[queue].classes.iter_mut().enumerate() {
            if other != class
                && let Some(received) = &mut seen.received
            {
                *received += amount;
                seen.worst = seen.worst.max(*received);
            }
        }
    }

    fn dispatch(&mut self, queue: usize, id: u64) -> u32 {
        let (_, flow) = self.next(queue).unwrap();
        let competitors = self.backlogged(queue);
        let now = self.now;
        let estimate = {
            let request = self.requests.iter().find(|request| request.id == id).unwrap();
            u32::try_from(self.queues[queue].classes[request.class].estimate()).unwrap()
        };
        let request = self.requests.iter_mut().find(|request| request.id == id).unwrap();
        let latency_us = u32::try_from(self.queues[queue].latency / 1000).unwrap();
        let cost = if request.cost == 0 { estimate } else { request.cost.min(latency_us) };
        let (class_index, tenant) = (request.class, request.tenant);
        request.service = Some((now, cost, (competitors.clone(), self.weight_changes)));
        let waited = now - request.arrival;
        let amount = i128::from(cost);
        self.turn += 1;

        let class_stride = stride(self.weights[class_index]);
        let of_queue = &mut self.queues[queue];
        if competitors.len() > 1 {
            of_queue.competed.push((competitors, class_index, amount));
        }
        let class = &mut of_queue.classes[class_index];
        of_queue.virtual_time = class.tag;
        class.tag += amount * class_stride;
        class.turn = self.turn;
        of_queue.highest = of_queue.highest.max(class.tag);
        class.served += 1;
        class.served_cost += amount;
        class.waits.push(waited);
        (class.run, class.largest) = (amount, class.largest.max(amount));
        class.received = Some(0);
        let of_flow = &mut self.flows[flow];
        class.virtual_time = of_flow.tag;
        of_flow.tag += amount * stride(of_flow.weight);
        of_flow.turn = self.turn;
        class.highest = class.highest.max(of_flow.tag);
        self.receive(queue, class_index, amount);
        self.rest(queue, class_index, tenant);
        cost
    }

    /// Drops, and the request whose turn it is with its charge.
    pub(super) fn dequeue(&mut self, now: u64, queue: usize) -> (Drops, Option<(u64, u32)>) {
        self.tick_to(now);
        let mut drops = Vec::new();
        if self.exempt(queue).0 > 0 {
            return (drops, self.dispatch_exempt(queue).map(|id| (id, 0)));
        }
        if !self.has_free_service(queue) {
            return (drops, None);
        }
        while let Some((id, _)) = self.next(queue) {
            let request = self.requests.iter().find(|request| request.id == id).unwrap();
            if self.is_late(request) {
                drops.push(self.drop(id, RejectReason::Infeasible));
            } else {
                let cost = self.dispatch(queue, id);
                return (drops, Some((id, cost)));
            }
        }
        (drops, None)
    }

    /// Ends the service of a request; `None` gives it up.
    pub(super) fn end(&mut self, now: u64, id: u64, service_us: Option<u64>) {
        self.tick_to(now);
        let place = self.requests.iter().position(|request| request.id == id).unwrap();
        let request = self.requests[place].clone();
        let Some((began, charged, competitors)) = request.service.clone() else {
            panic!("{id} is in service")
        };
        if request.lane == Lane::Exempt {
            self.requests.remove(place);
            return;
        }
        let (queue, class) = (request.queue, request.class);
        if let Some(service_us) = service_us {
            let actual = u32::try_from(service_us.clamp(1, u64::from(u32::MAX))).unwrap();
            self.correct(&request, charged, actual, &competitors);
            let class = &mut self.queues[queue].classes[class];
            let eighths = class.estimate_eighths.unwrap_or(8000);
            class.estimate_eighths = Some(eighths - eighths / 8 + u64::from(actual));
            class.completed += 1;
            let latency = began - request.arrival + service_us * 1000;
            let is_slow = latency > self.queues[queue].latency;
            self.record(queue, is_slow);
        } else {
            let passed = u32::try_from((self.now - began) / 1000).unwrap().max(1);
            self.correct(&request, charged, passed, &competitors);
        }
        self.requests.remove(place);
        self.rest(queue, class, request.tenant);
    }

    fn correct(
        &mut self,
        request: &Request,
        charged: u32,
        actual: u32,
        (competitors, changes): &Competition,
    ) {
        let (queue, class_index) = (request.queue, request.class);
        let difference = i128::from(actual) - i128::from(charged);
        let class_waits = self.waiting(queue, class_index) > 0;
        let is = |flow: &Flow| {
            (flow.queue, flow.class, flow.tenant) == (request.queue, request.class, request.tenant)
        };
        let flow = self.flows.iter().position(is).unwrap();
        let flow_waits = self.flow_waits(flow);
        let class_stride = stride(self.weights[class_index]);
        let of_queue = &mut self.queues[queue];
        if competitors.len() > 1 && *changes == self.weight_changes {
            of_queue.competed.push((competitors.clone(), class_index, difference));
        }
        let virtual_time = of_queue.virtual_time;
        let class = &mut of_queue.classes[class_index];
        class.served_cost += difference;
        let before = class.tag.max(virtual_time);
        class.tag = (class.tag + difference * class_stride).max(0);
        if class_waits {
            class.tag = class.tag.max(virtual_time);
        }
        let of_flow = &mut self.flows[flow];
        of_flow.tag = (of_flow.tag + difference * stride(of_flow.weight)).max(0);
        if flow_waits {
            of_flow.tag = of_flow.tag.max(class.virtual_time);
        }
        class.highest = class.highest.max(of_flow.tag);
        let tag = class.tag;
        of_queue.highest = of_queue.highest.max(tag);
        if difference < 0 {
            return self.receive(queue, class_index, difference);
        }
        // Of a charge that was too low, only what puts the class behind the present can be felt by others.
        let felt = (tag - before).max(0);
        class.run += (felt + class_stride - 1) / class_stride;
        class.largest = class.largest.max(class.run);
        self.receive(queue, class_index, felt / class_stride);
    }

    pub(super) fn reject(&mut self, now: u64, id: u64, reason: RejectReason) {
        self.tick_to(now);
        self.drop(id, reason);
    }

    pub(super) fn requeue(&mut self, now: u64, id: u64, class: usize) {
        self.tick_to(now);
        let place = self.requests.iter().position(|request| request.id == id).unwrap();
        if self.requests[place].class == class {
            return;
        }
        let mut request = self.requests.remove(place);
        let (queue, from) = (request.queue, request.class);
        let is = |flow: &&Flow| (flow.queue, flow.class, flow.tenant) == (queue, from, request.tenant);
        let weight = self.flows.iter().find(is).unwrap().weight;
        self.rest(queue, from, request.tenant);
        request.class = class;
        self.join(request, weight);
        self.queues[queue].classes[from].requeued_out += 1;
        self.queues[queue].classes[class].requeued_in += 1;
    }

    pub(super) fn drain(&mut self, now: u64, queue: usize) -> Drops {
        self.tick_to(now);
        let waiting =
            self.requests.iter().filter(|request| request.queue == queue && request.service.is_none());
        let mut ids: Vec<_> = waiting
            .map(|request| {
                let shared = request.lane == Lane::Shared;
                let deadline = if shared { u64::MAX - request.deadline } else { 0 };
                let serial = if shared { u64::MAX - request.serial } else { request.serial };
                (shared, if shared { request.class } else { 0 }, deadline, serial, request.id)
            })
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(.., id)| self.drop(id, RejectReason::Drained)).collect()
    }

    pub(super) fn tick(&mut self, now: u64) -> Drops {
        self.tick_to(now);
        let mut drops = Vec::new();
        for queue in 0..self.queues.len() {
            while let Some(late) = self.first_late(queue) {
                drops.push(self.drop(late, RejectReason::Infeasible));
            }
        }
        drops
    }

    pub(super) fn set_weight(&mut self, class: usize, weight: u32) {
        if self.weights[class] == weight {
            return;
        }
        let old = stride(self.weights[class]);
        self.weights[class] = weight;
        self.weight_changes += 1;
        for queue in &mut self.queues {
            let ahead = queue.classes[class].tag - queue.virtual_time;
            if ahead >= 0 {
                queue.classes[class].tag = queue.virtual_time + ahead / old * stride(weight);
            }
            queue.highest = queue.highest.max(queue.classes[class].tag);
            queue.competed.clear();
            for class in &mut queue.classes {
                class.worst = 0;
                class.received = class.received.map(|_| 0);
            }
        }
    }

    /// Promised and received share of a class, in parts of a thousand, as fractions that are rounded down at the end.
    pub(super) fn share(&self, queue: usize, class: usize) -> (i128, i128) {
        let with_it = || self.queues[queue].competed.iter().filter(|(set, ..)| set.contains(&class));
        let all: i128 = with_it().map(|(.., cost)| cost).sum();
        if all <= 0 {
            return (0, 0);
        }
        let own: i128 = with_it().filter(|(_, whose, _)| *whose == class).map(|(.., cost)| cost).sum();
        // In thousandths of a permille.
        let promised: i128 = with_it()
            .map(|(set, _, cost)| {
                let sum: u32 = set.iter().map(|&member| self.weights[member]).sum();
                cost * 1_000_000 * i128::from(self.weights[class]) / i128::from(sum)
            })
            .sum();
        (promised / all / 1000, own * 1000 / all)
    }

    /// What others can receive while the head of a class waits.
    pub(super) fn bound(&self, queue: usize, class: usize) -> i128 {
        let classes = &self.queues[queue].classes;
        let own = classes[class].largest * stride(self.weights[class]);
        let others = (0..CLASSES).filter(|&other| other != class && classes[other].largest > 0);
        others
            .map(|other| {
                let stride = stride(self.weights[other]);
                (own + stride - 1) / stride + classes[other].largest
            })
            .sum()
    }

    /// The requests that wait or are in service: their ids, and whether they wait.
    pub(super) fn live(&self) -> Vec<(u64, bool, Lane)> {
        let of = |request: &Request| (request.id, request.service.is_none(), request.lane);
        self.requests.iter().map(of).collect()
    }

    pub(super) const fn time(&self) -> Instant {
        Instant(self.now)
    }
}
