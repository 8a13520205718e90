//! `priority simulate`: this scheduler and others, under the same load.

use super::Permille;
use crate::command::Invocation;
use crate::commands::{Context, Failed, Outcome};
use crate::overload::{
    self, Comparison, Discipline, LOAD_MAX_PERMILLE, LOAD_MIN_PERMILLE, Scenario, SimulationError, Tally,
};
use crate::render::{Bar, BarChart, Cell, Column, Grouped, Humanized, Table};
use crate::term::Style;
use core::fmt;
use governance::export::ObjectWriter;
use governance::request::RequestPriority;
use governance::time::Nanos;

const DEFAULT_LOAD_PERMILLE: u32 = 1_500;
const DEFAULT_SECONDS: u32 = 60;

/// Runs a load through this scheduler and others, in a time of its own.
pub(in crate::commands) fn simulate(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let scenario = read(context, invocation)?;
    // The second governor's queues are used; what it has replayed is no more what it is configured for.
    context.engine.replayed = governance::text::Text::EMPTY;
    let Context { system, engine, .. } = context;
    let compared = overload::simulate(&scenario, &mut engine.replay.queues, &mut || !system.interrupted());
    let comparison = compared.map_err(|error| match error {
        SimulationError::Stopped => context.fail(format_args!("stopped")),
        SimulationError::Refused(error) => context.fail(format_args!("{error}")),
    })?;
    if invocation.flag("json") {
        return Ok(write_json(context, &scenario, &comparison)?);
    }
    Ok(write_text(context, &scenario, &comparison)?)
}

fn read(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Scenario, Failed> {
    let load_permille = match invocation.get("load") {
        None => DEFAULT_LOAD_PERMILLE,
        Some(load) => read_load(load).ok_or_else(|| {
            context.fail(format_args!(
                "load: expected {} to {}, with up to three decimals, such as 1.5",
                Load(LOAD_MIN_PERMILLE),
                Load(LOAD_MAX_PERMILLE)
            ))
        })?,
    };
    // The table lets no longer time pass.
    let seconds = invocation.integer("seconds").and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
    let seed = invocation.integer("seed").unwrap_or(0);
    Ok(Scenario { load_permille, seconds, seed, weights: context.engine.live.queues.weights() })
}

/// Reads a number with up to three decimals, in parts of a thousand.
fn read_load(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let scale = 10_u32.pow(u32::try_from(3 - decimals.len()).ok()?);
    let fraction = decimals.parse::<u32>().ok()? * scale;
    let load = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(fraction)?;
    (LOAD_MIN_PERMILLE..=LOAD_MAX_PERMILLE).contains(&load).then_some(load)
}

fn write_text(context: &mut Context<'_>, scenario: &Scenario, comparison: &Comparison) -> fmt::Result {
    let (system, term) = (&mut *context.system, context.term);
    writeln!(
        system,
        "load {} for {} s, seed {}   arrivals {}   ideal on time {}",
        Load(scenario.load_permille),
        scenario.seconds,
        scenario.seed,
        Grouped(comparison.arrivals),
        Grouped(comparison.ideal),
    )?;
    system.write_str("weights")?;
    for (class, weight) in RequestPriority::ALL.into_iter().zip(scenario.weights) {
        write!(system, "   {class} {weight}")?;
    }
    writeln!(system)?;
    let table = Table {
        columns: [
            Column::left("next is"),
            Column::right("served"),
            Column::right("dropped"),
            Column::right("on time"),
            Column::right("%"),
            Column::right("of ideal"),
            Column::right("worst wait: critical"),
            Column::right("high"),
            Column::right("normal"),
            Column::right("low"),
            Column::right("batch"),
        ],
        if_empty: "",
    };
    table.write(system, term, |row| {
        for (discipline, tally) in disciplines(comparison) {
            let waits = tally.worst_wait.map(WorstWait);
            let [critical, high, normal, low, batch] = &waits;
            row(&[
                Cell::styled(Style::Name, &name(discipline)),
                Cell::new(&Grouped(tally.served)),
                Cell::new(&Grouped(tally.dropped)),
                Cell::new(&Grouped(tally.on_time)),
                Cell::new(&Permille(permille(tally.on_time, comparison.arrivals))),
                Cell::styled(
                    style_of(tally, comparison),
                    &Permille(permille(tally.on_time, comparison.ideal)),
                ),
                Cell::new(critical),
                Cell::new(high),
                Cell::new(normal),
                Cell::new(low),
                Cell::new(batch),
            ]);
        }
    })?;
    writeln!(system, "\non time, of the ideal")?;
    BarChart { if_empty: "" }.write(system, term, |bar| {
        let bars = disciplines(comparison).map(|(discipline, tally)| (name(discipline), tally.on_time));
        for (label, on_time) in bars.chain([("ideal", comparison.ideal)]) {
            bar(&Bar {
                label: Cell::styled(Style::Name, &label),
                amount: Cell::new(&Permille(permille(on_time, comparison.ideal))),
                value: on_time.into(),
            });
        }
    })
}

fn write_json(context: &mut Context<'_>, scenario: &Scenario, comparison: &Comparison) -> fmt::Result {
    const WEIGHTS: [&str; RequestPriority::COUNT] =
        ["weight_critical", "weight_high", "weight_normal", "weight_low", "weight_batch"];
    const WAITS: [&str; RequestPriority::COUNT] = [
        "worst_wait_critical_ns",
        "worst_wait_high_ns",
        "worst_wait_normal_ns",
        "worst_wait_low_ns",
        "worst_wait_batch_ns",
    ];
    for (discipline, tally) in disciplines(comparison) {
        let mut object = ObjectWriter::begin(context.system)?
            .string("discipline", discipline.word())?
            .integer("load_permille", scenario.load_permille.into())?
            .integer("seconds", scenario.seconds.into())?
            .integer("seed", scenario.seed)?
            .integer("arrivals", comparison.arrivals)?
            .integer("ideal", comparison.ideal)?
            .integer("served", tally.served)?
            .integer("dropped", tally.dropped)?
            .integer("on_time", tally.on_time)?
            .integer("on_time_permille", permille(tally.on_time, comparison.arrivals))?
            .integer("of_ideal_permille", permille(tally.on_time, comparison.ideal))?;
        for (key, weight) in WEIGHTS.into_iter().zip(scenario.weights) {
            object = object.integer(key, weight.into())?;
        }
        for (key, wait) in WAITS.into_iter().zip(tally.worst_wait) {
            object = object.optional_integer(key, wait.map(|wait| wait.0))?;
        }
        object.end()?;
    }
    Ok(())
}

fn disciplines(comparison: &Comparison) -> impl Iterator<Item = (Discipline, &Tally)> {
    Discipline::ALL.into_iter().zip(&comparison.tallies)
}

const fn name(discipline: Discipline) -> &'static str {
    match discipline {
        Discipline::Fifo => "first come",
        Discipline::StrictPriority => "strict priority",
        Discipline::EarliestDeadline => "earliest deadline",
        Discipline::Weir => "weir",
    }
}

fn style_of(tally: &Tally, comparison: &Comparison) -> Style {
    match permille(tally.on_time, comparison.ideal) {
        950.. => Style::Good,
        500.. => Style::Warn,
        _ => Style::Bad,
    }
}

fn permille(part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(part) * 1000 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

/// A load, in parts of a thousand, as it is read.
struct Load(u32);

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut fraction) = (self.0 / 1000, self.0 % 1000);
        write!(f, "{whole}")?;
        if fraction != 0 {
            let mut digits = 3;
            while fraction % 10 == 0 {
                (fraction, digits) = (fraction / 10, digits - 1);
            }
            write!(f, ".{fraction:0digits$}")?;
        }
        Ok(())
    }
}

/// How long one of a class has waited at most.
struct WorstWait(Option<Nanos>);

impl fmt::Display for WorstWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => Humanized(wait).fmt(f),
            None => f.write_str("never served"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, read_load};

    #[test]
    fn a_load_reads_as_it_prints() {
        for (text, permille) in [("1.5", 1_500), ("2", 2_000), ("0.1", 100), ("10", 10_000), ("1.005", 1_005)]
        {
            assert_eq!(read_load(text), Some(permille));
            assert_eq!(Load(permille).to_string(), text);
        }
        for text in ["", "0", "0.0", "0.099", "10.001", "1.", ".5", "1.0000", "-1", "1e3", "99999999999", "x"]
        {
            assert_eq!(read_load(text), None, "{text}");
        }
    }
}
