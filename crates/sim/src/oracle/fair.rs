//! What a fair scheduler owes those who wait.
//!
//! - [`Pairs`] watches every interval in which two stay backlogged: neither gets much more for its weight than the other;
//! - [`Starvation`] measures what the others get while somebody's head waits, [`starvation_bound`] says how much that
//!   may be;
//! - [`fair_alloc`] shares a capacity among demands: nobody gets more than it asks for, and who gets less gets as much
//!   for its weight as anybody.
//!
//! The bounds are those of start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", 1996).

use num_bigint::BigInt;
use num_rational::BigRational;

/// Watches the service of several that share one server.
///
/// A difference of service is kept for each pair as long as both stay backlogged. Over every interval in there, the
/// difference changes by at most the span between its smallest and its largest value.
#[derive(Clone, Debug)]
pub struct Pairs {
    weights: Vec<u64>,
    /// A common multiple of the weights: differences are in units of this part of a unit of service.
    scale: i128,
    waiting: Vec<u64>,
    served: Vec<i128>,
    largest: Vec<i128>,
    spans: Vec<Span>,
    closest_permille: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    open: bool,
    from: i128,
    to: i128,
    /// What both had been given together when it began.
    begun: i128,
}

impl Pairs {
    /// Nobody waits, and nobody has been served.
    ///
    /// # Panics
    /// If a weight is 0.
    #[must_use]
    pub fn new(weights: &[u64]) -> Self {
        let scale = weights.iter().fold(1, |multiple, weight| lcm(multiple, i128::from(*weight)));
        let count = weights.len();
        Self {
            weights: weights.to_vec(),
            scale,
            waiting: vec![0; count],
            served: vec![0; count],
            largest: vec![0; count],
            spans: vec![Span::default(); count * count],
            closest_permille: 0,
        }
    }

    /// How many requests of `one` wait.
    #[must_use]
    pub fn waiting(&self, one: usize) -> u64 {
        self.waiting[one]
    }

    /// Something for `one` begins to wait.
    pub fn enqueue(&mut self, one: usize) {
        self.waiting[one] += 1;
        if self.waiting[one] == 1 {
            for other in 0..self.weights.len() {
                self.reopen(one, other);
            }
        }
    }

    /// Something of `one` waits no longer, and was not served.
    ///
    /// # Panics
    /// If nothing of it waits.
    pub fn leave(&mut self, one: usize) {
        assert!(self.waiting[one] > 0, "{one} leaves and did not wait");
        self.waiting[one] -= 1;
        if self.waiting[one] == 0 {
            for other in 0..self.weights.len() {
                self.reopen(one, other);
            }
        }
    }

    /// Something of `one` that costs `cost` is served now. It counts as long as both still waited before.
    ///
    /// # Errors
    /// The pair that was treated unfairly, and by how much.
    ///
    /// # Panics
    /// If nothing of it waits.
    pub fn serve(&mut self, one: usize, cost: u64) -> Result<(), String> {
        let cost = i128::from(cost);
        self.served[one] += cost;
        self.largest[one] = self.largest[one].max(cost);
        let mut outcome = Ok(());
        for other in 0..self.weights.len() {
            outcome = outcome.and(self.extend(one, other));
        }
        self.leave(one);
        outcome
    }

    /// How close a difference has come to its bound, in parts of a thousand.
    #[must_use]
    pub fn closest_permille(&self) -> u64 {
        self.closest_permille
    }

    fn parts(&self, one: usize, amount: i128) -> i128 {
        amount * (self.scale / i128::from(self.weights[one]))
    }

    fn difference(&self, low: usize, high: usize) -> i128 {
        self.parts(low, self.served[low]) - self.parts(high, self.served[high])
    }

    fn reopen(&mut self, one: usize, other: usize) {
        if one == other {
            return;
        }
        let (low, high) = (one.min(other), one.max(other));
        let now = self.difference(low, high);
        let open = self.waiting[low] > 0 && self.waiting[high] > 0;
        let begun = self.served[low] + self.served[high];
        self.spans[low * self.weights.len() + high] = Span { open, from: now, to: now, begun };
    }

    fn extend(&mut self, one: usize, other: usize) -> Result<(), String> {
        if one == other {
            return Ok(());
        }
        let (low, high) = (one.min(other), one.max(other));
        let now = self.difference(low, high);
        let place = low * self.weights.len() + high;
        if !self.spans[place].open {
            return Ok(());
        }
        let span = &mut self.spans[place];
        (span.from, span.to) = (span.from.min(now), span.to.max(now));
        let Span { from, to, begun, .. } = *span;
        // A weight that is no power of two has no exact reciprocal in binary: 2^-29 of a unit for each unit served.
        let exact = self.weights[low].is_power_of_two() && self.weights[high].is_power_of_two();
        let rounded = (self.served[low] + self.served[high] - begun) * self.scale / (1 << 29) + 1;
        let bound = self.parts(low, self.largest[low]) + self.parts(high, self.largest[high]);
        let bound = if exact { bound } else { bound + rounded };
        let permille = u64::try_from((to - from) * 1_000 / bound).unwrap_or(u64::MAX);
        self.closest_permille = self.closest_permille.max(permille);
        if to - from > bound {
            let scale = self.scale;
            return Err(format!("{low} and {high}: {} of {bound} parts, {scale} to a unit", to - from));
        }
        Ok(())
    }
}

fn lcm(one: i128, other: i128) -> i128 {
    let (mut high, mut low) = (one, other);
    while low != 0 {
        (high, low) = (low, high % low);
    }
    one / high * other
}

/// What the others were given while somebody's head waited.
#[derive(Clone, Debug)]
pub struct Starvation {
    waiting: Vec<u64>,
    /// What all others were given since its head began to wait, and the most that this ever was.
    since: Vec<u64>,
    worst: Vec<u64>,
}

impl Starvation {
    /// Nobody of `count` waits.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { waiting: vec![0; count], since: vec![0; count], worst: vec![0; count] }
    }

    /// Something for `one` begins to wait.
    pub fn enqueue(&mut self, one: usize) {
        self.waiting[one] += 1;
        if self.waiting[one] == 1 {
            self.since[one] = 0;
        }
    }

    /// Something of `one` waits no longer, and was not served.
    pub fn leave(&mut self, one: usize) {
        self.waiting[one] -= 1;
    }

    /// Something of `one` is served now.
    pub fn serve(&mut self, one: usize, cost: u64) {
        self.waiting[one] -= 1;
        self.since[one] = 0;
        for other in (0..self.waiting.len()).filter(|other| *other != one) {
            if self.waiting[other] > 0 {
                self.since[other] += cost;
                self.worst[other] = self.worst[other].max(self.since[other]);
            }
        }
    }

    /// The most that the others were given while the head of `one` waited.
    #[must_use]
    pub fn worst(&self, one: usize) -> u64 {
        self.worst[one]
    }
}

/// The most that the others may be given while the head of `one` waits, if nobody's request costs more than `largest`
/// says. Who has been served nothing so far is no part of it.
#[must_use]
pub fn starvation_bound(weights: &[u64], largest: &[u64], one: usize) -> u64 {
    let others = (0..weights.len()).filter(|other| *other != one && largest[*other] > 0);
    others.map(|other| (weights[other] * largest[one]).div_ceil(weights[one]) + largest[other]).sum()
}

/// Shares `capacity` among `demands` by `weights`, max-min fair.
///
/// # Panics
/// If a weight is 0 or the lists differ in length.
#[must_use]
pub fn fair_alloc(demands: &[u64], weights: &[u64], capacity: u64) -> Vec<BigRational> {
    assert_eq!(demands.len(), weights.len(), "a weight for each demand");
    let whole = |number: u64| BigRational::from_integer(BigInt::from(number));
    let mut given: Vec<Option<BigRational>> = vec![None; demands.len()];
    let mut left = whole(capacity);
    loop {
        let open: Vec<usize> = (0..demands.len()).filter(|one| given[*one].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let level = &left / whole(open.iter().map(|one| weights[*one]).sum());
        let content: Vec<usize> = open
            .iter()
            .copied()
            .filter(|one| whole(demands[*one]) <= &level * whole(weights[*one]))
            .collect();
        if content.is_empty() {
            open.iter().for_each(|one| given[*one] = Some(&level * whole(weights[*one])));
            break;
        }
        for one in content {
            left -= whole(demands[one]);
            given[one] = Some(whole(demands[one]));
        }
    }
    given.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{Pairs, Starvation, fair_alloc, starvation_bound};

    fn alloc(demands: &[u64], weights: &[u64], capacity: u64) -> Vec<String> {
        fair_alloc(demands, weights, capacity).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_asks_for_little_gets_it_and_the_others_share_the_rest_by_weight() {
        assert_eq!(alloc(&[2, 8, 9], &[1, 1, 1], 10), ["2", "4", "4"]);
        assert_eq!(alloc(&[2, 3, 4], &[1, 1, 1], 10), ["2", "3", "4"]);
        assert_eq!(alloc(&[9, 9, 9], &[1, 1, 1], 10), ["10/3", "10/3", "10/3"]);
        assert_eq!(alloc(&[100, 100, 1], &[3, 1, 1], 9), ["6", "2", "1"]);
        assert_eq!(alloc(&[5, 0], &[1, 1], 0), ["0", "0"]);
    }

    #[test]
    fn taking_turns_is_fair_and_three_turns_in_a_row_are_not() {
        let mut pairs = Pairs::new(&[1, 1]);
        (0..9).for_each(|_| (0..2).for_each(|one| pairs.enqueue(one)));
        for one in [0, 1, 1, 0, 0, 1] {
            pairs.serve(one, 5).expect("a fair turn");
        }
        pairs.serve(1, 5).expect("as far behind as it was ahead");
        assert!(pairs.serve(1, 5).is_err());
    }

    #[test]
    fn what_one_is_served_while_the_other_does_not_wait_is_not_compared() {
        let mut pairs = Pairs::new(&[1, 2]);
        (0..100).for_each(|_| pairs.enqueue(0));
        (0..50).for_each(|_| pairs.serve(0, 1).expect("alone"));
        pairs.enqueue(1);
        pairs.leave(1);
        (0..50).for_each(|_| pairs.serve(0, 1).expect("alone"));
    }

    #[test]
    fn the_service_of_others_counts_from_the_moment_at_which_a_head_waits() {
        let mut starvation = Starvation::new(3);
        (0..3).for_each(|one| starvation.enqueue(one));
        (0..3).for_each(|_| starvation.enqueue(1));
        starvation.serve(1, 7);
        starvation.serve(2, 5);
        starvation.serve(1, 2);
        starvation.serve(0, 100);
        assert_eq!([0, 1, 2].map(|one| starvation.worst(one)), [14, 100, 7]);
        assert_eq!(starvation_bound(&[8, 4, 2, 1], &[1; 4], 0), 6);
        assert_eq!(starvation_bound(&[8, 4, 2, 1], &[1; 4], 3), 17);
        assert_eq!(starvation_bound(&[8, 4, 2, 1], &[10; 4], 2), 95);
    }
}
