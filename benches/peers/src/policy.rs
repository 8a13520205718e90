//! The same rules and requests, decided by Weir and by Cedar.

mod cedar;
mod rules;

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use cedar::{CEDAR, Cedar};
pub use rules::{Call, calls};
use rules::rules;

/// A case for each engine, over `count` rules and the same requests. Ends the run unless all of them decide each
/// request alike.
pub fn cases<'a>(count: usize, calls: &'a [Call]) -> Vec<Case<'a>> {
    let rules = rules(count);
    let cedar = Cedar::new(&rules, calls);
    cedar.expect_no_errors();
    let expected: Vec<bool> = (0..calls.len()).map(|index| cedar.allows(index)).collect();
    let allowed = expected.iter().filter(|&&allowed| allowed).count();
    println!("{count}: {allowed} of {} allowed", calls.len());
    let decide = move |operations, seed| {
        let mut picks = Picks::new(seed, expected.len());
        for _ in 0..operations {
            let index = picks.next();
            assert_eq!(cedar.allows(index), expected[index]);
        }
    };
    vec![Case::new(CEDAR, Clock::Still, decide)]
}
