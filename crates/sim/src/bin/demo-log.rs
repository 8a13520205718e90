//! Prints the demonstration log: `cargo run -p sim --bin demo-log > demo/demo.log`.
#![forbid(unsafe_code)]

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().lock().write_all(sim::demo::log(sim::demo::SEED).as_bytes())
}
