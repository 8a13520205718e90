//! The same rules and requests, decided by Weir and by Cedar.

mod cedar;
mod engine;
mod rules;

use crate::keys::Picks;
use crate::measure::{Case, Clock};
use cedar::Cedar;
use engine::{NOW, Parts};
use governance::policy::{PolicyContext, PolicyEngine};
use rules::Call;
use std::sync::Mutex;

/// An engine in static memory, where it has to be: it is too large for a stack.
type Engine = Mutex<PolicyEngine>;

static SMALL: Engine = Mutex::new(PolicyEngine::new());
static LARGE: Engine = Mutex::new(PolicyEngine::new());

/// How many rules, whose engine, and the names of the cases: Weir, Weir without counting, and Cedar.
const SETS: [(usize, &Engine, [&str; 3]); 2] = [
    (16, &SMALL, ["16 rules: weir evaluate_request", "16 rules: weir peek", "16 rules: cedar is_authorized"]),
    (
        128,
        &LARGE,
        ["128 rules: weir evaluate_request", "128 rules: weir peek", "128 rules: cedar is_authorized"],
    ),
];

/// Calls `each` with a title and the cases of a set of rules, Weir's first. Ends the run unless Weir and Cedar decide
/// every request alike.
pub fn each_set(mut each: impl FnMut(&str, &mut [Case<'_>])) {
    let calls = rules::calls();
    let parts: Vec<Parts<'_>> = calls.iter().map(Parts::of).collect();
    let contexts: Vec<PolicyContext<'_>> = parts.iter().map(Parts::context).collect();
    for (count, engine, names) in SETS {
        let rules = rules::rules(count);
        engine::configure(&mut engine.lock().unwrap(), &rules);
        let cedar = Cedar::new(&rules, &calls);
        let expected = agreed(&engine.lock().unwrap(), &contexts, &cedar, &calls);
        let allowed = expected.iter().filter(|&&allowed| allowed).count();
        let title = format!(
            "{count} rules, {} prepared requests of which {allowed} are allowed; weir evaluate_request counts, and \
             writes each denial to the audit log",
            calls.len()
        );
        each(&title, &mut cases(names, engine, &contexts, &cedar, &expected));
    }
}

/// What is decided for each request: by all alike.
fn agreed(engine: &PolicyEngine, contexts: &[PolicyContext<'_>], cedar: &Cedar, calls: &[Call]) -> Vec<bool> {
    cedar.expect_no_errors();
    let decide = |(index, context)| {
        let (weir, cedar) = (engine.peek(context).allowed, cedar.allows(index));
        assert_eq!(weir, cedar, "Weir and Cedar decide alike: {:?}", calls[index]);
        weir
    };
    contexts.iter().enumerate().map(decide).collect()
}

fn cases<'a>(
    [by_weir, peeked, by_cedar]: [&'static str; 3],
    engine: &'static Engine,
    contexts: &'a [PolicyContext<'a>],
    cedar: &'a Cedar,
    expected: &'a [bool],
) -> Vec<Case<'a>> {
    vec![
        case(by_weir, expected, |index| {
            engine.lock().unwrap().evaluate_request(NOW, &contexts[index]).allowed
        }),
        case(peeked, expected, |index| engine.lock().unwrap().peek(&contexts[index]).allowed),
        case(by_cedar, expected, |index| cedar.allows(index)),
    ]
}

/// A case that has requests decided in random order.
fn case<'a>(
    name: &'static str,
    expected: &'a [bool],
    mut allows: impl FnMut(usize) -> bool + 'a,
) -> Case<'a> {
    Case::new(name, Clock::Still, move |operations, seed| {
        let mut picks = Picks::new(seed, expected.len());
        let mut as_expected = 0;
        for _ in 0..operations {
            let index = picks.next();
            as_expected += u64::from(allows(index) == expected[index]);
        }
        assert_eq!(as_expected, operations, "{name}: decides as before");
    })
}
