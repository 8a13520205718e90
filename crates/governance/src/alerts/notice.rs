//! What operators are told.

use super::burn::BurnWindows;
use super::rule::{AlertMetric, MetricValue};
use crate::scope::Name;
use crate::time::WallTime;
use core::fmt;

/// What has happened to a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertEvent {
    /// It fires: the metric has crossed, and has stayed there for as long as the rule asks.
    #[default]
    Fired,
    /// It fires already, and errors are used up so much faster that other windows, more urgent ones, fire too.
    Escalated,
    /// It fires no longer: the metric has come back.
    Cleared,
}

impl AlertEvent {
    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Escalated => "escalated",
            Self::Cleared => "cleared",
        }
    }
}

/// What a value was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertBound {
    /// It is, or was, above this.
    Above(i128),
    /// It is, or was, below this.
    Below(i128),
    /// Both windows of a pair, or the last of such pairs that did, use errors up faster than the pair allows.
    Burn(BurnWindows),
}

impl AlertBound {
    /// The value that is a crossing when it is passed, in the metric's unit.
    #[must_use]
    pub const fn threshold(self) -> i128 {
        match self {
            Self::Above(threshold) | Self::Below(threshold) => threshold,
            Self::Burn(windows) => windows.burn_milli(),
        }
    }
}

/// One notice of a rule. Of a rule, each [`AlertEvent::Fired`] is followed by one [`AlertEvent::Cleared`], with
/// at most two [`AlertEvent::Escalated`] in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertNotice {
    /// The rule.
    pub name: Name,
    /// What it looks at.
    pub metric: AlertMetric,
    /// What has happened.
    pub event: AlertEvent,
    /// When.
    pub at: WallTime,
    /// The metric's value then.
    pub value: i128,
    /// What it was compared with; the rule's threshold also where it has cleared.
    pub bound: AlertBound,
}

impl AlertNotice {
    /// All-zero: what fills a place where no notice is.
    pub(super) const EMPTY: Self = Self {
        name: Name::EMPTY,
        metric: AlertMetric::RequestsPerSecond,
        event: AlertEvent::Fired,
        at: WallTime(0),
        value: 0,
        bound: AlertBound::Above(0),
    };
}

/// `denials fired: denied-rate 7.5% is above 5%`.
impl fmt::Display for AlertNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value| MetricValue { metric: self.metric, value };
        let not = if self.event == AlertEvent::Cleared { "not " } else { "" };
        write!(f, "{} {}: {} {} is {not}", self.name, self.event.word(), self.metric, shown(self.value))?;
        match self.bound {
            AlertBound::Above(threshold) => write!(f, "above {}", shown(threshold)),
            AlertBound::Below(threshold) => write!(f, "below {}", shown(threshold)),
            AlertBound::Burn(windows) => write!(f, "above {} over {windows}", shown(windows.burn_milli())),
        }
    }
}
