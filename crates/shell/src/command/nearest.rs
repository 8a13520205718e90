//! The word that a mistyped one was probably meant to be.

/// Longer words are not compared; no name in the table is as long.
const MAX_CHARS: usize = 32;

/// The name with the fewest mistakes between it and `given`, the first of several, or `None` if each is too
/// far off. A name that starts with `given` is near in any case.
pub(crate) fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: heapless::Vec<char, MAX_CHARS> = try_collect(given)?;
    let near = names.filter_map(|name| {
        let letters = try_collect(name)?;
        let mistakes = distance(&typed, &letters);
        let is_beginning = !given.is_empty() && name.starts_with(given);
        // One mistake in a short word, one in three letters of a longer one.
        let tolerated = (typed.len().max(letters.len()) + 1) / 3;
        (is_beginning || mistakes <= tolerated).then_some((mistakes, name))
    });
    near.min_by_key(|(mistakes, _)| *mistakes).map(|(_, name)| name)
}

fn try_collect(text: &str) -> Option<heapless::Vec<char, MAX_CHARS>> {
    let mut letters = heapless::Vec::new();
    text.chars().try_for_each(|c| letters.push(c)).ok()?;
    Some(letters)
}

/// The number of letters to insert, leave out, change or swap with their neighbour (optimal string
/// alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = [0; MAX_CHARS + 1];
    let mut last: [usize; MAX_CHARS + 1] = core::array::from_fn(|column| column);
    for (i, letter) in a.iter().enumerate() {
        let mut row = [0; MAX_CHARS + 1];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let change = last[j] + usize::from(letter != other);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *other && *letter == b[j - 1] {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        (before_last, last) = (last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    fn between(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn a_mistake_is_one_letter_or_one_swap() {
        for (a, b, mistakes) in [
            ("", "", 0),
            ("", "ls", 2),
            ("help", "hepl", 1),
            ("kitten", "sitting", 3),
            ("cat", "cart", 1),
            ("é", "e", 1),
        ] {
            assert_eq!((between(a, b), between(b, a)), (mistakes, mistakes), "{a} {b}");
        }
    }

    #[test]
    fn far_words_are_not_suggested() {
        let names = || ["status", "show", "set"].into_iter();
        assert_eq!(nearest("shwo", names()), Some("show"));
        assert_eq!(nearest("st", names()), Some("set"));
        assert_eq!(nearest("stat", names()), Some("status"));
        assert_eq!(nearest("xyzzy", names()), None);
        assert_eq!(nearest("", names()), None);
        assert_eq!(nearest(&"s".repeat(500), names()), None);
    }
}
