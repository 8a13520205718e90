//! The configurations in `demo`, which show users what there is.

use std::fs;
use std::path::PathBuf;

use crate::desk::{Desk, pack};
use governance::alerts::{ALERT_FIELDS, AlertMetric};
use governance::breaker::{BREAKER_FIELDS, BreakerMode, BreakerWindow};
use governance::loop_guard::GUARD_FIELDS;
use governance::retry::{Backoff, RETRY_FIELDS};

fn demo(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../demo", name].iter().collect()
}

#[test]
fn each_is_read_without_an_error_and_what_is_shown_of_it_reads_back() {
    let files = fs::read_dir(demo("")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let config = fs::read_to_string(&path).unwrap();
        // One line of banner: an error would be another one.
        let shown = Desk::new(&config, &[]).run("config show");
        let mut desk = Desk::with_ramdisk(pack(&[("shown.toml", shown.as_bytes())]));
        desk.start();
        desk.run("config load shown.toml");
        assert_eq!(desk.run("config show"), shown, "{}", path.display());
    }
}

#[test]
fn the_one_of_traffic_shows_every_field_and_every_word() {
    let config = fs::read_to_string(demo("traffic.toml")).unwrap();
    let tables: Vec<&str> = config.split("\n[").collect();
    for (table, fields) in [
        ("traffic]", &GUARD_FIELDS[..]),
        ("[breaker]]", &BREAKER_FIELDS),
        ("[retry]]", &RETRY_FIELDS),
        ("[alert]]", &ALERT_FIELDS),
    ] {
        for field in fields {
            let is_shown = |text: &&str| text.contains(&format!("\n{field} = "));
            let mut those = tables.iter().filter(|text| text.starts_with(table));
            assert!(those.any(is_shown), "{table}: {field}");
        }
    }
    for word in BreakerWindow::WORDS.iter().chain(&BreakerMode::WORDS).chain(&Backoff::WORDS) {
        assert!(config.contains(word), "{word}");
    }
    for word in AlertMetric::WORDS {
        assert!(config.contains(&format!("metric = \"{word}\"")), "{word}");
    }
}
