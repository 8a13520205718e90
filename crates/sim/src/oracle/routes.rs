//! From a path to its endpoint group.

/// The group of a path that no route names.
pub const DEFAULT_GROUP: &str = "default";

/// The group whose requests are never limited.
pub const EXEMPT_GROUP: &str = "exempt";

/// The group of `path`: that of the route that shares the most whole segments with its beginning.
///
/// `routes` are (path prefix, group). A slash at the end of a prefix means nothing.
#[must_use]
pub fn group<'a>(routes: &'a [(String, String)], path: &str) -> &'a str {
    let path: Vec<&str> = path.split('/').collect();
    let mut best: (usize, &str) = (0, DEFAULT_GROUP);
    for (prefix, group) in routes {
        let mut prefix: Vec<&str> = prefix.split('/').collect();
        while prefix.len() > 1 && prefix.last() == Some(&"") {
            prefix.pop();
        }
        let begins =
            path.len() > 1 && prefix.iter().zip(&path).filter(|(a, b)| a == b).count() == prefix.len();
        if begins && prefix.len() > best.0 {
            best = (prefix.len(), group);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::group;

    fn routes() -> Vec<(String, String)> {
        [
            ("/api/v1/chat", "chat"),
            ("/api/v1", "api"),
            ("/api/v1/chat/archive/", "archive"),
            ("/healthz", "exempt"),
        ]
        .map(|(prefix, group)| (prefix.to_owned(), group.to_owned()))
        .to_vec()
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_gives_the_group() {
        for (path, expected) in [
            ("/api/v1/chat", "chat"),
            ("/api/v1/chat/", "chat"),
            ("/api/v1/chat/7", "chat"),
            ("/api/v1/chatter", "api"),
            ("/api/v1/chat/archive", "archive"),
            ("/api/v1/chat/archive/2", "archive"),
            ("/api/v1/chat/archives", "chat"),
            ("/api/v10", "default"),
            ("/api", "default"),
            ("/healthz", "exempt"),
            ("/healthzz", "default"),
            ("/", "default"),
            ("", "default"),
        ] {
            assert_eq!(group(&routes(), path), expected, "{path:?}");
        }
    }

    #[test]
    fn a_route_for_the_root_takes_every_path_but_the_empty_one() {
        let routes = [("/".to_owned(), "all".to_owned())];
        assert_eq!(group(&routes, "/"), "all");
        assert_eq!(group(&routes, "/x/y"), "all");
        assert_eq!(group(&routes, ""), "default");
        assert_eq!(group(&[], "/x"), "default");
    }
}
