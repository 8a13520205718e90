//! From an address to the policies that ask for it: the addresses between two ends of networks are alike.

use crate::policy::condition::{AtomValue, Network, SET_ATOMS_MAX, Sense, V4_FIRST, V4_LAST, number_of};
use crate::policy::set::PolicySet;
use core::net::IpAddr;

/// Two ends of each network, those of the addresses of IPv4, which are not among those of IPv6, and the beginning.
const RANGES_MAX: usize = 2 * SET_ATOMS_MAX + 3;

/// Ranges of addresses, and which policies each of them satisfies. All-zero when empty.
#[derive(Debug)]
pub(super) struct Networks {
    /// The first address of each range; the first range begins with the first address.
    starts: [u128; RANGES_MAX],
    satisfied: [u128; RANGES_MAX],
    length: usize,
}

impl Networks {
    pub(super) const fn new() -> Self {
        Self { starts: [0; RANGES_MAX], satisfied: [0; RANGES_MAX], length: 0 }
    }

    /// The policies that an address satisfies.
    #[inline]
    pub(super) fn satisfied(&self, address: IpAddr) -> u128 {
        let number = number_of(address.to_canonical());
        let behind = self.starts[..self.length].partition_point(|&start| start <= number);
        self.satisfied.get(behind.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// Makes it that of a set, of which the policies in `base` do not ask for an address.
    pub(super) fn build(&mut self, set: &PolicySet, base: u128) {
        self.length = 0;
        for start in [0, V4_FIRST, V4_LAST + 1] {
            self.push(start);
        }
        for (_, _, network) in atoms(set) {
            let (first, last) = network.range();
            self.push(first);
            last.checked_add(1).into_iter().for_each(|behind| self.push(behind));
        }
        self.starts[..self.length].sort_unstable();
        self.satisfied.fill(base);
        // What is excluded is taken away from what is asked for, whatever the order in which they are written.
        for sense in [Sense::OneOf, Sense::NoneOf] {
            for (bit, _, network) in atoms(set).filter(|(_, of, _)| *of == sense) {
                self.mark(bit, sense, network);
            }
        }
    }

    fn mark(&mut self, bit: u128, sense: Sense, network: Network) {
        let (first, last) = network.range();
        let is_v4 = network.first().is_ipv4();
        let starts = &self.starts[..self.length];
        let from = starts.partition_point(|&start| start < first);
        for (&start, satisfied) in starts.iter().zip(&mut self.satisfied).skip(from) {
            if start > last {
                break;
            }
            if (V4_FIRST..=V4_LAST).contains(&start) == is_v4 {
                match sense {
                    Sense::OneOf => *satisfied |= bit,
                    Sense::NoneOf => *satisfied &= !bit,
                }
            }
        }
    }

    fn push(&mut self, start: u128) {
        if let Some(place) = self.starts.get_mut(self.length) {
            *place = start;
            self.length += 1;
        }
    }
}

fn atoms(set: &PolicySet) -> impl Iterator<Item = (u128, Sense, Network)> + '_ {
    set.iter().flat_map(|(id, rule)| {
        rule.condition.atoms().filter_map(move |atom| match atom.value {
            AtomValue::Ip(network) => Some((id.bit(), atom.sense, network)),
            _ => None,
        })
    })
}
