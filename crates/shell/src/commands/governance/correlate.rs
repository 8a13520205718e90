//! `governance correlate`: whether two figures go together.

use super::measured;
use super::timeline::resolution;
use crate::command::Invocation;
use crate::commands::{Context, Outcome, wide};
use core::fmt;
use governance::export::ObjectWriter;
use governance::metrics::{CorrelateError, Measure};

/// Says how two measures go together over a timeline.
pub(in crate::commands) fn correlate(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    // The table lets no other words pass, and none be left out.
    let measure = |index| invocation.positional(index).and_then(Measure::from_word).unwrap_or_default();
    let (one, other) = (measure(0), measure(1));
    let resolution = resolution(invocation);
    let (books, _) = measured(context, invocation)?;
    let found = books.of(context.engine).metrics.correlate_metrics(one, other, resolution);
    if invocation.flag("json") {
        let object = ObjectWriter::begin(context.system)?
            .string("one", one.word())?
            .string("other", other.word())?
            .string("resolution", resolution.word())?;
        // That there is none is an answer too.
        let written = match found {
            Ok(found) => object.display("r", Thousandths(found.r_milli))?.integer("n", wide(found.n))?.end(),
            Err(CorrelateError::TooFew { n, needed }) => {
                object.null("r")?.integer("n", wide(n))?.integer("needed", wide(needed))?.end()
            }
            Err(CorrelateError::Constant { which }) => {
                object.null("r")?.string("constant", which.word())?.end()
            }
        };
        return Ok(written?);
    }
    let found = found.map_err(|error| {
        let refused = format_args!("{one} and {other} by the {resolution}");
        match error {
            CorrelateError::TooFew { n: 1, needed } => context
                .fail(format_args!("{refused}: too few: 1 slot has data of both, and it takes {needed}")),
            error => context.fail(format_args!("{refused}: {error}")),
        }
    })?;
    context.say(format_args!(
        "{one} and {other}   r {}   {}   over {} slots of a {resolution}",
        Thousandths(found.r_milli),
        in_words(found.r_milli),
        found.n
    ))
}

/// What a correlation is commonly called.
const fn in_words(r_milli: i32) -> &'static str {
    match (r_milli.unsigned_abs(), r_milli > 0) {
        (0..100, _) => "they do not go together",
        (100..500, true) => "weakly: more goes with more",
        (100..500, false) => "weakly: more goes with less",
        (_, true) => "more goes with more",
        (_, false) => "more goes with less",
    }
}

/// `0.934`, `-1.000`.
struct Thousandths(i32);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", magnitude / 1000, magnitude % 1000)
    }
}
