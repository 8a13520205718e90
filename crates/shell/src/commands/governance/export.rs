//! `governance export`: everything that is measured, for other programs.

use super::measured_for_programs;
use crate::command::Invocation;
use crate::commands::{Context, Outcome};
use governance::export::{FiguresFormat, write_figures};

/// Prints all figures in the format that is asked for.
pub(in crate::commands) fn export(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    // The table lets no other word pass, and none be left out.
    let format = invocation.positional(0).and_then(FiguresFormat::from_word).unwrap_or(FiguresFormat::Csv);
    let (books, now) = measured_for_programs(context, invocation)?;
    let governor = books.of(context.engine);
    Ok(write_figures(format, context.system, |sink| governor.export_figures(now, sink))?)
}
