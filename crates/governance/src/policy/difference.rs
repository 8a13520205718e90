//! Requests on which two sets of policies decide differently.
//!
//! The search chooses one thing of a request after the other: first what the policies look at that only one of the sets
//! has. What is chosen rules policies out, or leaves one with nothing more that it looks at: it is certain to match. A
//! branch ends as soon as the policies that can still have a say are the same in both sets, or say the same for
//! certain. All requests that the conditions can tell apart are covered, so that nothing found means that there is
//! nothing, unless the search was cut short.

use super::condition::{AtomValue, Sense};
use super::context::PolicyContext;
use super::points::{AtHand, Axis, Point, Points, admits};
use super::rule::{Action, ActionKind, DefaultEffect, PolicyRule};
use super::set::{POLICIES_MAX, PolicySet, RuleId, RuleSet};
use super::witness::Witness;
use crate::mode::Mode;

/// How many differences are told of at most.
pub const DIFFERENCES_MAX: usize = 32;
/// How many things are chosen of a request at most. With more the search is cut short.
const FRAMES_MAX: usize = 64;
/// How many of the last states behind a choice are remembered, so as not to search behind them again.
const STATES_MAX: usize = 8;

/// What a set of policies says of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may pass.
    pub allowed: bool,
    /// What is done with it, if a policy speaks.
    pub action: Option<ActionKind>,
    /// The policy that speaks, in its set.
    pub decider: Option<RuleId>,
}

/// A request on which two sets decide differently.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// What the first set says of it.
    pub before: Verdict,
    /// What the second set says of it.
    pub after: Verdict,
    /// The request.
    pub witness: &'a Witness,
}

/// What is known of how two sets decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffOutcome {
    /// They decide every request alike.
    Equal,
    /// They do not; each difference that was told of is one.
    Different,
    /// The search was given up before it was known.
    Unknown,
}

/// Looks for requests on which two sets of policies decide differently: one is denied and the other is not, or they are
/// redirected, throttled or taken note of differently. Policies that are disabled or in shadow mode have no say, and
/// to be allowed by a policy is like being allowed by default. Calls `each` with one request for each pair of policies
/// that speak, of at most [`DIFFERENCES_MAX`] pairs. The search takes at most `steps` steps, each of which looks at
/// the policies that are left once.
pub fn diff(
    before: &PolicySet,
    after: &PolicySet,
    steps: u32,
    each: &mut dyn FnMut(&Difference<'_>),
) -> DiffOutcome {
    Search::new(before, after, steps).run(each)
}

/// Policies that are left: those of the first set, and those of the second one.
type Left = [u128; 2];

/// A choice that was made.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    axis: Axis<'a>,
    points: Points,
    point: Point<'a>,
    /// What was left before it, and which of those bear a role that they ask for.
    left: Left,
    satisfied: Left,
    /// What was left behind the last points.
    seen: [(Left, Left); STATES_MAX],
    seen_length: usize,
}

struct Search<'a> {
    sets: [&'a PolicySet; 2],
    /// For each policy the first one that does the same with the same requests, of the first set if there is one there;
    /// those of the second set count from [`POLICIES_MAX`].
    twins: [[u8; POLICIES_MAX]; 2],
    frames: [Option<Frame<'a>>; FRAMES_MAX],
    depth: usize,
    steps: u32,
    /// Whether something was left out.
    has_gap: bool,
    told: [(Option<RuleId>, Option<RuleId>); DIFFERENCES_MAX],
    told_length: usize,
}

// It lies on the stack of whoever asks.
const _: () = assert!(size_of::<Search<'_>>() <= 64 * 1024);

impl<'a> Search<'a> {
    fn new(before: &'a PolicySet, after: &'a PolicySet, steps: u32) -> Self {
        let mut twins = [[0; POLICIES_MAX]; 2];
        let all = || (0..=127).zip(before.rules().iter()).chain((128..=255).zip(after.rules().iter()));
        for (side, set) in [before, after].into_iter().enumerate() {
            for (twin, rule) in twins[side].iter_mut().zip(set.rules()) {
                *twin = all().find(|(_, other)| is_twin(rule, other)).map_or(0, |(number, _)| number);
            }
        }
        Self {
            sets: [before, after],
            twins,
            frames: [None; FRAMES_MAX],
            depth: 0,
            steps,
            has_gap: false,
            told: [(None, None); DIFFERENCES_MAX],
            told_length: 0,
        }
    }

    fn run(&mut self, each: &mut dyn FnMut(&Difference<'_>)) -> DiffOutcome {
        let acting = |set: &PolicySet| {
            let acts = |(_, rule): &(RuleId, &PolicyRule)| {
                rule.enabled && rule.mode == Mode::Enforce && rule.condition.contradiction().is_none()
            };
            set.iter().filter(acts).fold(0, |left, (id, _)| left | id.bit())
        };
        let mut state = Some((self.sets.map(acting), [0; 2]));
        loop {
            if let Some((left, satisfied)) = state.take() {
                self.enter(left, satisfied, each);
            }
            if self.told_length == DIFFERENCES_MAX {
                return DiffOutcome::Different;
            }
            let Some(frame) = self.depth.checked_sub(1).and_then(|last| self.frames.get_mut(last)) else {
                break;
            };
            let Some(frame) = frame.as_mut() else { break };
            if self.steps == 0 {
                self.has_gap = true;
                break;
            }
            self.steps -= 1;
            let at_hand = AtHand { rules: self.sets.map(PolicySet::rules), which: frame.left };
            match frame.points.next(&frame.axis, &at_hand) {
                Some(point) => {
                    frame.point = point;
                    let (left, satisfied) = self.choose(self.depth - 1);
                    if self.is_new(left, satisfied) {
                        state = Some((left, satisfied));
                    }
                }
                None => {
                    self.has_gap |= frame.points.has_gap;
                    self.depth -= 1;
                }
            }
        }
        match (self.told_length, self.has_gap) {
            (0, false) => DiffOutcome::Equal,
            (0, true) => DiffOutcome::Unknown,
            _ => DiffOutcome::Different,
        }
    }

    /// Looks at what is left: nothing that makes a difference, a difference, or something more to be chosen.
    fn enter(&mut self, left: Left, satisfied: Left, each: &mut dyn FnMut(&Difference<'_>)) {
        let says = [0, 1].map(|side| Says::new(self, side, left[side], satisfied[side]));
        if self.is_alike(&says) {
            return;
        }
        let Some(axis) = self.open_axis(&says, satisfied) else { return self.tell(each) };
        let Some(place) = self.frames.get_mut(self.depth) else {
            self.has_gap = true;
            return;
        };
        *place = Some(Frame {
            axis,
            points: Points::default(),
            point: Point::Absent,
            left,
            satisfied,
            seen: [([0; 2], [0; 2]); STATES_MAX],
            seen_length: 0,
        });
        self.depth += 1;
    }

    /// Whether what can still have a say is the same in both sets.
    fn is_alike(&self, says: &[Says; 2]) -> bool {
        let [one, other] = says;
        if one.is_denied || other.is_denied {
            return one.is_denied && other.is_denied;
        }
        if one.is_allowed != other.is_allowed || one.allowing(self, 0) != other.allowing(self, 1) {
            return false;
        }
        let mut others = other.speakers();
        let is_alike = one.speakers().all(|(id, is_certain)| {
            others.next().is_some_and(|(another, is_other_certain)| {
                let twins = self.twins[0][id.index()] == self.twins[1][another.index()];
                let same = || {
                    let action =
                        |side: usize, id| self.sets[side].get(id).map(|rule: &PolicyRule| rule.action);
                    action(0, id) == action(1, another)
                };
                is_certain == is_other_certain && if is_certain { same() } else { twins }
            })
        });
        is_alike && others.next().is_none()
    }

    /// Something that a policy looks at that can still have a say, and that was not chosen yet: first of a policy that
    /// the other set does not have.
    fn open_axis(&self, says: &[Says; 2], satisfied: Left) -> Option<Axis<'a>> {
        let twins = [0, 1].map(|side| says[side].twins(self, side));
        [true, false].into_iter().find_map(|only_one| {
            (0..2).find_map(|side| {
                RuleSet(says[side].open).iter().find_map(|id| {
                    let is_in_both = holds(&twins[1 - side], self.twins[side][id.index()]);
                    let rule = self.sets[side].get(id).filter(|_| !(only_one && is_in_both))?;
                    self.open_axis_of(rule, satisfied[side] & id.bit() != 0)
                })
            })
        })
    }

    /// Something that a policy looks at and that was not chosen yet.
    fn open_axis_of(&self, rule: &'a PolicyRule, is_satisfied: bool) -> Option<Axis<'a>> {
        let of_values = rule.condition.atoms().find_map(|atom| {
            let axis = Axis::of(&atom.value);
            let is_done = is_satisfied && matches!(axis, Axis::Role(_)) && atom.sense == Sense::OneOf;
            (!is_done && !self.is_chosen(&axis)).then_some(axis)
        });
        of_values.or_else(|| {
            let more = [Axis::Class, Axis::Time].into_iter();
            more.filter(|axis| axis.concerns(&rule.condition)).find(|axis| !self.is_chosen(axis))
        })
    }

    fn chosen(&self) -> impl Iterator<Item = &Frame<'a>> + '_ {
        self.frames.iter().take(self.depth).flatten()
    }

    fn is_chosen(&self, axis: &Axis<'_>) -> bool {
        self.chosen().any(|frame| frame.axis.is(axis))
    }

    /// What the choice at a place leaves.
    fn choose(&self, place: usize) -> (Left, Left) {
        let Some(frame) = self.frames.get(place).and_then(Option::as_ref) else { return ([0; 2], [0; 2]) };
        let (mut left, mut satisfied) = (frame.left, frame.satisfied);
        for side in 0..2 {
            for id in RuleSet(frame.left[side]).iter() {
                let Some(rule) = self.sets[side].get(id) else { continue };
                let bit = id.bit();
                let stays = match frame.axis {
                    Axis::Role(role) if matches!(frame.point, Point::Text(_)) => {
                        satisfied[side] |= if tells_of(rule, role, Sense::OneOf) { bit } else { 0 };
                        !tells_of(rule, role, Sense::NoneOf)
                    }
                    Axis::Role(role) => {
                        let asks = tells_of(rule, role, Sense::OneOf) && satisfied[side] & bit == 0;
                        !asks || self.can_be_satisfied(rule)
                    }
                    _ => admits(&rule.condition, &frame.axis, &frame.point),
                };
                left[side] &= if stays { u128::MAX } else { !bit };
            }
            satisfied[side] &= left[side];
        }
        (left, satisfied)
    }

    /// Whether a role that a policy asks for was not chosen yet.
    fn can_be_satisfied(&self, rule: &PolicyRule) -> bool {
        rule.condition.atoms().any(|atom| {
            let axis = Axis::of(&atom.value);
            matches!(axis, Axis::Role(_)) && atom.sense == Sense::OneOf && !self.is_chosen(&axis)
        })
    }

    /// Whether this was not left behind one of the last points of the last choice.
    fn is_new(&mut self, left: Left, satisfied: Left) -> bool {
        let last = self.depth.checked_sub(1).and_then(|last| self.frames.get_mut(last));
        let Some(frame) = last.and_then(Option::as_mut) else { return true };
        let known = frame.seen_length.min(STATES_MAX);
        if frame.seen[..known].contains(&(left, satisfied)) {
            return false;
        }
        frame.seen[frame.seen_length % STATES_MAX] = (left, satisfied);
        frame.seen_length += 1;
        true
    }

    /// Tells of the request that was chosen.
    fn tell(&mut self, each: &mut dyn FnMut(&Difference<'_>)) {
        let mut witness = Witness::EMPTY;
        let fits = self.chosen().fold(true, |fits, frame| fits & witness.put(&frame.axis, &frame.point));
        let [before, after] = self.sets.map(|set| witness.with_context(|context| verdict(set, context)));
        if !fits || has_same_effect(&self.sets, &before, &after) {
            // It could not be shown, so that it is not told of.
            self.has_gap = true;
            return;
        }
        let pair = (before.decider, after.decider);
        if !self.told[..self.told_length].contains(&pair) {
            self.told[self.told_length] = pair;
            self.told_length += 1;
            each(&Difference { before, after, witness: &witness });
        }
    }
}

/// What the policies of one set that are left can say.
struct Says {
    /// Whether the request is denied for certain.
    is_denied: bool,
    /// Whether it is allowed unless it is denied.
    is_allowed: bool,
    /// Policies that can have a say, and which of them are certain to match.
    relevant: u128,
    /// Those of them that allow, where that makes a difference.
    allowing: u128,
    certain: u128,
    /// Those of them that may match or not.
    open: u128,
}

impl Says {
    fn new(search: &Search<'_>, side: usize, left: u128, satisfied: u128) -> Self {
        let set = search.sets[side];
        let (mut certain, mut allowing, mut denying) = (0, 0, 0);
        for id in RuleSet(left).iter() {
            let Some(rule) = set.get(id) else { continue };
            let bit = id.bit();
            certain |= if search.open_axis_of(rule, satisfied & bit != 0).is_none() { bit } else { 0 };
            match rule.action.kind() {
                ActionKind::Allow => allowing |= bit,
                ActionKind::Deny => denying |= bit,
                _ => {}
            }
        }
        let is_allowed = set.default_effect() == DefaultEffect::Allow || allowing & certain != 0;
        let is_denied = denying & certain != 0 || !is_allowed && allowing == 0;
        if is_denied {
            return Self { is_denied, is_allowed, relevant: 0, allowing: 0, certain, open: 0 };
        }
        // Whoever comes after one that is certain to match does not speak.
        let speakers = left & !allowing;
        let first_certain = speakers & certain;
        let first_certain = first_certain & first_certain.wrapping_neg();
        let relevant = speakers & (first_certain.wrapping_sub(1) | first_certain);
        let allowing = if is_allowed { 0 } else { allowing };
        Self { is_denied, is_allowed, relevant, allowing, certain, open: (relevant | allowing) & !certain }
    }

    /// Those that can speak, by precedence, and whether they are certain to match.
    fn speakers(&self) -> impl Iterator<Item = (RuleId, bool)> + '_ {
        RuleSet(self.relevant).iter().map(|id| (id, self.certain & id.bit() != 0))
    }

    /// The policies that allow, as a set of twins.
    fn allowing(&self, search: &Search<'_>, side: usize) -> [u128; 2] {
        twins_of(search, side, self.allowing)
    }

    fn twins(&self, search: &Search<'_>, side: usize) -> [u128; 2] {
        twins_of(search, side, self.relevant | self.allowing)
    }
}

fn twins_of(search: &Search<'_>, side: usize, rules: u128) -> [u128; 2] {
    RuleSet(rules).iter().fold([0; 2], |mut twins, id| {
        let twin = search.twins[side][id.index()];
        twins[usize::from(twin / 128)] |= 1 << (twin % 128);
        twins
    })
}

fn holds(twins: &[u128; 2], twin: u8) -> bool {
    twins[usize::from(twin / 128)] & 1 << (twin % 128) != 0
}

/// Whether two policies do the same with the same requests.
fn is_twin(one: &PolicyRule, other: &PolicyRule) -> bool {
    (one.enabled, one.mode, &one.action, &one.condition)
        == (other.enabled, other.mode, &other.action, &other.condition)
}

/// Whether a policy asks for a role, or excludes it.
fn tells_of(rule: &PolicyRule, role: &str, sense: Sense) -> bool {
    rule.condition
        .atoms()
        .any(|atom| atom.sense == sense && matches!(atom.value, AtomValue::Role(name) if name == role))
}

/// What a set says of a request, policy by policy.
fn verdict(set: &PolicySet, context: &PolicyContext<'_>) -> Verdict {
    let acts =
        |rule: &PolicyRule| rule.enabled && rule.mode == Mode::Enforce && rule.condition.matches(context);
    let mut matched = set.iter().filter(|(_, rule)| acts(rule));
    let first = matched.next();
    let kind = first.map(|(_, rule)| rule.action.kind());
    let allows = kind == Some(ActionKind::Allow) || matched.any(|(_, rule)| rule.action == Action::Allow);
    let allowed = kind != Some(ActionKind::Deny) && (allows || set.default_effect() == DefaultEffect::Allow);
    let decider = first.filter(|_| allowed || kind == Some(ActionKind::Deny));
    Verdict { allowed, action: decider.and(kind), decider: decider.map(|(id, _)| id) }
}

/// Whether two verdicts come to the same for a request.
fn has_same_effect(sets: &[&PolicySet; 2], one: &Verdict, other: &Verdict) -> bool {
    let done = |set: &PolicySet, verdict: &Verdict| {
        let action = verdict.decider.and_then(|id| set.get(id)).map(|rule| rule.action);
        action.filter(|action| *action != Action::Allow && *action != Action::Deny)
    };
    one.allowed == other.allowed && done(sets[0], one) == done(sets[1], other)
}
