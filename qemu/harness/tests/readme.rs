//! The sessions that the README shows are parts of transcripts, which are played.

use std::fs;

use harness::console::PROMPT;
use harness::kernel;
use harness::transcript::pattern::{LINES, matches};

/// What the README writes in place of lines that it leaves out.
const LEFT_OUT: &str = "...";

/// A typed line, or nothing for what is printed before the first one, and what follows it.
struct Block<'a> {
    typed: &'a str,
    printed: Vec<&'a str>,
}

fn blocks<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in lines {
        match (line.strip_prefix(PROMPT), blocks.last_mut()) {
            (Some(typed), _) => blocks.push(Block { typed, printed: Vec::new() }),
            (None, Some(block)) => block.printed.push(line),
            (None, None) => blocks.push(Block { typed: "", printed: vec![line] }),
        }
    }
    blocks
}

/// The sessions of a document, each with the blocks that it shows.
fn sessions(document: &str) -> Vec<Vec<Block<'_>>> {
    let texts = document.split("\n```text\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    texts.filter(|text| text.contains(PROMPT)).map(|text| blocks(text.lines())).collect()
}

/// Whether lines that are shown are those that a transcript has, where both may leave some out.
fn are_told(shown: &[&str], told: &[&str]) -> bool {
    match (shown.split_first(), told.split_first()) {
        (None, None) => true,
        (Some((&LEFT_OUT, rest)), _) => (0..=told.len()).any(|skipped| are_told(rest, &told[skipped..])),
        (_, Some((&LINES, rest))) => (0..=shown.len()).any(|skipped| are_told(&shown[skipped..], rest)),
        (Some((line, shown)), Some((pattern, told))) => matches(pattern, line) && are_told(shown, told),
        _ => false,
    }
}

/// The first block of a session that a transcript does not have, in its order.
fn missing<'a, 'b>(session: &'b [Block<'a>], transcript: &[Block<'_>]) -> Option<&'b Block<'a>> {
    let mut rest = transcript.iter();
    session.iter().find(|block| {
        !rest.any(|other| other.typed == block.typed && are_told(&block.printed, &other.printed))
    })
}

#[test]
fn what_the_readme_shows_is_what_transcripts_tell() {
    let repository = kernel::repository();
    let readme = fs::read_to_string(repository.join("README.md")).expect("README.md");
    let entries = fs::read_dir(repository.join("qemu/transcripts")).expect("qemu/transcripts");
    let paths = entries.flatten().map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == "txt"));
    let transcripts: Vec<String> =
        paths.map(|path| fs::read_to_string(path).expect("a transcript")).collect();
    let sessions = sessions(&readme);
    assert!(sessions.len() >= 6, "{} sessions", sessions.len());
    for session in &sessions {
        let played =
            transcripts.iter().map(|text| blocks(text.lines().skip_while(|line| line.starts_with('#'))));
        // The transcript that comes nearest is the one to look at.
        let place = |block: &Block<'_>| session.iter().position(|other| std::ptr::eq(other, block));
        let nearest = played
            .map(|played| missing(session, &played).and_then(place))
            .max_by_key(|place| place.unwrap_or(usize::MAX));
        if let Some(Some(place)) = nearest {
            let Block { typed, printed } = &session[place];
            panic!("no transcript has this of the README:\n{PROMPT}{typed}\n{}", printed.join("\n"));
        }
    }
}

#[test]
fn lines_may_be_left_out_on_both_sides_and_nowhere_else() {
    assert!(are_told(&["a 1", "...", "d"], &["a {int}", "b", "c", "d"]));
    assert!(are_told(&["a", "b", "c"], &["a", "{lines}"]));
    assert!(are_told(&["...", "b"], &["{lines}", "b"]));
    assert!(!are_told(&["a"], &["a", "b"]));
    assert!(!are_told(&["a", "x"], &["a", "b"]));
    assert!(!are_told(&["a", "b"], &["a"]));
}
