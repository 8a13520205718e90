//! Agreements and weights: what operators configure.

use super::class::{DEFAULT_WEIGHTS, check_weight};
use super::error::PriorityError;
use super::flows::{Flows, stride};
use super::queue::{CLASSES, Queue};
use super::sla::SLA;
use super::{PriorityScheduler, QUEUES_MAX, QueueId};
use crate::request::RequestPriority;
use crate::scope::{KeyHash, KeyName, Kind, NameRef};
use crate::time::Instant;

impl<const TENANTS: usize> PriorityScheduler<TENANTS> {
    /// Gives a service a queue.
    ///
    /// # Errors
    /// [`PriorityError`] if a value is out of range, the service has one, or no more fit.
    pub fn define_sla(&mut self, sla: &SLA) -> Result<QueueId, PriorityError> {
        sla.check().map_err(PriorityError::OutOfRange)?;
        if self.find(sla.service_id.as_str()).is_some() {
            return Err(PriorityError::DuplicateService);
        }
        let hash = self.hash(sla.service_id.as_str()).ok_or(PriorityError::Full)?;
        let number = self.queues.iter().position(|queue| !queue.is_live).ok_or(PriorityError::Full)?;
        let weights = self.weights();
        let queue = &mut self.queues[number];
        let generation = queue.generation.wrapping_add(1).max(1);
        *queue = Queue { generation, hash, is_live: true, ..Queue::EMPTY };
        queue.set_sla(sla);
        for (class, weight) in queue.classes.iter_mut().zip(weights) {
            class.stride = stride(weight);
        }
        let number = u16::try_from(number).map_err(|_| PriorityError::Full)?;
        self.index.insert(hash.0, number).map_err(|_| PriorityError::Full)?;
        Ok(QueueId { number, generation })
    }

    /// Changes an agreement. Requests that wait keep their deadlines and their places, also where fewer may wait than do:
    /// each arrival then takes the place of one, until the queue has shrunk by service.
    ///
    /// # Errors
    /// [`PriorityError`] if there is no such queue, a value is out of range, or the service is another.
    pub fn update_sla(&mut self, now: Instant, queue: QueueId, sla: &SLA) -> Result<(), PriorityError> {
        sla.check().map_err(PriorityError::OutOfRange)?;
        self.monotonic(now);
        let queue = self.queue_mut(queue).ok_or(PriorityError::UnknownQueue)?;
        if queue.sla.service_id != sla.service_id {
            return Err(PriorityError::FixedService);
        }
        queue.set_sla(sla);
        Ok(())
    }

    /// Takes a service's queue away.
    ///
    /// # Errors
    /// [`PriorityError`] if there is no such queue, or if requests wait in it or are in service.
    pub fn remove_sla(&mut self, id: QueueId) -> Result<SLA, PriorityError> {
        let queue = self.queue_mut(id).ok_or(PriorityError::UnknownQueue)?;
        if queue.is_in_use() {
            return Err(PriorityError::InUse);
        }
        queue.is_live = false;
        let queue = *queue;
        self.gone.arrivals += queue.arrivals;
        self.gone.served += queue.served;
        for (sum, count) in self.gone.rejected.counts.iter_mut().zip(queue.rejected.counts) {
            *sum += count;
        }
        for class in &queue.classes {
            if let Some(histogram) = class.histogram.checked_sub(1) {
                self.shared.histograms &= !(1 << histogram);
            }
        }
        if let Some(place) = self.index.find(queue.hash.0, |&number| number == id.number) {
            self.index.remove(place);
        }
        let (all, heads) = (self.flows.as_flattened_mut(), self.heads.as_flattened_mut().as_flattened_mut());
        Flows { all, heads, lists: &mut self.shared.flows }.forget_queue(id.number);
        Ok(queue.sla)
    }

    /// Whether there is no queue.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The agreement of a queue.
    #[must_use]
    pub fn get_sla(&self, queue: QueueId) -> Option<&SLA> {
        self.queue(queue).map(|queue| &queue.sla)
    }

    /// The queue of a service.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<QueueId> {
        let hash = self.hash(service)?;
        let is = |number: &u16| self.queues[usize::from(*number)].sla.service_id.is(service);
        let place = self.index.find(hash.0, is)?;
        self.index.get(place).and_then(|&number| self.id(number))
    }

    /// All queues with their agreements, in the order of their numbers.
    pub fn slas(&self) -> impl Iterator<Item = (QueueId, &SLA)> + '_ {
        let numbers = 0..u16::try_from(QUEUES_MAX).unwrap_or(u16::MAX);
        numbers.filter_map(|number| Some((self.id(number)?, &self.queues[usize::from(number)].sla)))
    }

    /// Whether [`PriorityScheduler::configure`] would succeed.
    ///
    /// # Errors
    /// [`PriorityError`] says why not.
    pub fn check_configuration(
        &self,
        slas: &[SLA],
        weights: [u32; RequestPriority::COUNT],
    ) -> Result<(), PriorityError> {
        for weight in weights {
            check_weight(weight).map_err(PriorityError::OutOfRange)?;
        }
        if slas.len() > QUEUES_MAX {
            return Err(PriorityError::Full);
        }
        for (place, sla) in slas.iter().enumerate() {
            sla.check().map_err(PriorityError::OutOfRange)?;
            if slas[..place].iter().any(|other| other.service_id == sla.service_id) {
                return Err(PriorityError::DuplicateService);
            }
        }
        let goes_in_use = |queue: &Queue| queue.is_live && queue.is_in_use() && !is_kept(queue, slas);
        if self.queues.iter().any(goes_in_use) { Err(PriorityError::InUse) } else { Ok(()) }
    }

    /// Brings agreements and weights to those that are given. Queues of the same service stay, with what waits in them.
    ///
    /// # Errors
    /// [`PriorityError`] if a value is out of range, a service is there twice, no more fit, or a queue is in use that
    /// is to go. Nothing was changed then.
    pub fn configure(
        &mut self,
        now: Instant,
        slas: &[SLA],
        weights: [u32; RequestPriority::COUNT],
    ) -> Result<(), PriorityError> {
        self.check_configuration(slas, weights)?;
        for number in 0..u16::try_from(QUEUES_MAX).unwrap_or(u16::MAX) {
            let Some(id) = self.id(number) else { continue };
            if !is_kept(&self.queues[usize::from(number)], slas) {
                self.remove_sla(id)?;
            }
        }
        for (class, weight) in RequestPriority::ALL.into_iter().zip(weights) {
            self.set_weight(now, class, weight)?;
        }
        for sla in slas {
            match self.find(sla.service_id.as_str()) {
                Some(id) => self.update_sla(now, id, sla)?,
                None => self.define_sla(sla).map(|_| ())?,
            }
        }
        Ok(())
    }

    /// Takes over agreements and weights of another scheduler, into one without queues.
    ///
    /// # Errors
    /// [`PriorityError`] as [`PriorityScheduler::define_sla`].
    pub fn configure_like<const OTHER: usize>(
        &mut self,
        other: &PriorityScheduler<OTHER>,
    ) -> Result<(), PriorityError> {
        for (class, weight) in RequestPriority::ALL.into_iter().zip(other.weights()) {
            self.set_weight(Instant(0), class, weight)?;
        }
        other.slas().try_for_each(|(_, sla)| self.define_sla(sla).map(|_| ()))
    }

    /// Changes the weight of a class in all queues. Shares and waits are measured from here.
    ///
    /// # Errors
    /// [`PriorityError::OutOfRange`] unless it is 1 to [`WEIGHT_MAX`](super::WEIGHT_MAX).
    pub fn set_weight(
        &mut self,
        now: Instant,
        class: RequestPriority,
        weight: u32,
    ) -> Result<(), PriorityError> {
        check_weight(weight).map_err(PriorityError::OutOfRange)?;
        self.monotonic(now);
        if self.weights()[class.index()] != weight {
            self.weights[class.index()] = weight;
            let live = self.queues.iter_mut().filter(|queue| queue.is_live);
            live.for_each(|queue| queue.set_stride(class.index(), stride(weight)));
        }
        Ok(())
    }

    /// The weights of the classes, most urgent first.
    #[must_use]
    pub fn weights(&self) -> [u32; RequestPriority::COUNT] {
        core::array::from_fn::<_, CLASSES, _>(|class| match self.weights[class] {
            0 => DEFAULT_WEIGHTS[class],
            weight => weight,
        })
    }

    /// The hash of a service's key; none if it is not a name.
    fn hash(&self, service: &str) -> Option<KeyHash> {
        NameRef::new(service).ok().map(|name| self.secret.hash(Kind::Service, KeyName::Text(name)))
    }
}

fn is_kept(queue: &Queue, slas: &[SLA]) -> bool {
    slas.iter().any(|sla| sla.service_id == queue.sla.service_id)
}
