//! The figures, as tables for people or as JSON lines for programs.

/// How the figures are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Tables.
    Table,
    /// One JSON object a line.
    Json,
}

/// One figure.
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// Whether a clock was read.
    pub clock: &'static str,
    /// Nanoseconds for one operation.
    pub nanos: f64,
    /// The same, relative to the peer's under the same conditions.
    pub ratio: Option<f64>,
}

/// A set of figures that were measured together.
pub struct Group<'a> {
    /// What they are about.
    pub title: &'a str,
    /// How many keys the tables hold, and what is answered; none where that plays no part.
    pub keyed: Option<(usize, &'static str)>,
    /// What a ratio refers to.
    pub relative_to: &'static str,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Group<'_> {
    /// Prints the figures.
    pub fn print(&self, format: Format) {
        match format {
            Format::Table => self.print_table(),
            Format::Json => self.print_json(),
        }
    }

    fn print_table(&self) {
        println!("\n{}", self.title);
        println!("{:<44} {:>6} {:>10} {:>14}", "", "clock", "ns/op", self.relative_to);
        for Row { name, clock, nanos, ratio } in &self.rows {
            let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}x"));
            println!("{name:<44} {clock:>6} {nanos:>10.1} {ratio:>14}");
        }
    }

    fn print_json(&self) {
        for Row { name, clock, nanos, ratio } in &self.rows {
            let (keys, answer) = self.keyed.map_or(("null".to_string(), "null".to_string()), |keyed| {
                (keyed.0.to_string(), format!("\"{}\"", keyed.1))
            });
            let ratio = ratio.map_or("null".to_string(), |ratio| format!("{ratio:.3}"));
            println!(
                "{{\"case\":\"{name}\",\"keys\":{keys},\"answer\":{answer},\"clock\":\"{clock}\",\
                 \"ns_per_op\":{nanos:.1},\"ratio\":{ratio}}}"
            );
        }
    }
}
