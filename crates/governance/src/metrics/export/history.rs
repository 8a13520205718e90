//! The timelines.

use super::{CLASSES, label};
use crate::export::{Figure, FigureKind, FigureSink};
use crate::metrics::{GovernanceCollector, Resolution, Slot};
use crate::time::WallTime;
use core::fmt;

/// A count of a slot: how it is called, and how it is read.
type Part = (&'static str, fn(&Slot) -> u64);

const COUNTS: [Part; 8] = [
    ("requests", |slot| slot.requests),
    ("allowed", |slot| slot.allowed),
    ("denied", |slot| slot.denied),
    ("delayed", |slot| slot.delayed),
    ("outcomes", |slot| slot.outcomes),
    ("errors", |slot| slot.errors),
    ("throttled", |slot| slot.throttled),
    ("timed", |slot| slot.timed),
];

/// Gives each slot that has data of each timeline, oldest first.
pub(super) fn write(collector: &GovernanceCollector, sink: &mut dyn FigureSink) -> fmt::Result {
    sink.family("weir_timeline", "What was counted from a time on, by resolution.", FigureKind::History)?;
    each_slot(collector, |resolution, start, slot| {
        let mut give = |measure: &str, count| {
            let labels =
                [label("resolution", &resolution), label("start", &start), label("measure", &measure)];
            sink.sample(&labels, Figure::Whole(count))
        };
        COUNTS.iter().try_for_each(|(measure, count)| give(measure, count(slot)))?;
        CLASSES.iter().zip(slot.classes).try_for_each(|(class, count)| give(class, count))
    })?;
    let help = "What was charged from a time on, by resolution, in the currency of the books.";
    sink.family("weir_timeline_cost", help, FigureKind::History)?;
    each_slot(collector, |resolution, start, slot| {
        sink.sample(&[label("resolution", &resolution), label("start", &start)], Figure::Money(slot.cost))
    })?;
    let help = "How long answers took from a time on, by resolution: all together, and the longest.";
    sink.family("weir_timeline_latency_seconds", help, FigureKind::History)?;
    each_slot(collector, |resolution, start, slot| {
        [("all", slot.latency_sum_us), ("longest", slot.latency_max_us)].iter().try_for_each(
            |(measure, micros)| {
                let labels =
                    [label("resolution", &resolution), label("start", &start), label("measure", measure)];
                sink.sample(&labels, Figure::micros(*micros))
            },
        )
    })
}

/// Calls `each` with every slot that has data, until it fails.
fn each_slot(
    collector: &GovernanceCollector,
    mut each: impl FnMut(Resolution, WallTime, &Slot) -> fmt::Result,
) -> fmt::Result {
    let mut given = Ok(());
    for resolution in Resolution::ALL {
        collector.get_timeline(resolution, &mut |start, slot| {
            if let Some(slot) = slot {
                given = given.and_then(|()| each(resolution, start, slot));
            }
        });
    }
    given
}
