//! Plays each file of `qemu/transcripts` against a fresh kernel and compares line by line.
//!
//! Arguments filter by name, as with any test. `UPDATE_TRANSCRIPTS=1` rewrites what differs, keeping the patterns that
//! still match; read the change before you commit it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use harness::kernel;
use harness::transcript::Transcript;

fn main() -> ExitCode {
    let filters: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let update = env::var_os("UPDATE_TRANSCRIPTS").is_some_and(|value| value != "0");
    let directory = kernel::repository().join("qemu/transcripts");
    let all = transcripts(&directory);
    let chosen: Vec<&PathBuf> = all
        .iter()
        .filter(|path| filters.is_empty() || filters.iter().any(|it| name(path).contains(it)))
        .collect();

    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for path in &chosen {
        match check(path, update) {
            Ok(outcome) => println!("test {} ... {outcome}", name(path)),
            Err(why) => {
                failed += 1;
                println!("test {} ... FAILED\n{why}", name(path));
            }
        }
    }
    if all.is_empty() {
        failed += 1;
        println!("no transcripts in {}", directory.display());
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let passed = chosen.len().saturating_sub(failed);
    let filtered = all.len() - chosen.len();
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; {filtered} filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(path: &Path, update: bool) -> Result<&'static str, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let transcript = Transcript::parse(&text).map_err(|error| error.to_string())?;
    let session = transcript.play(kernel::build()).map_err(|error| error.to_string())?;
    match transcript.difference(&session) {
        None => Ok("ok"),
        Some(_) if update => {
            fs::write(path, transcript.updated(&session)).map_err(|error| error.to_string())?;
            Ok("ok (updated)")
        }
        Some(difference) => Err(difference),
    }
}

/// The transcripts in the order of their names.
fn transcripts(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "txt"))
        .collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}
