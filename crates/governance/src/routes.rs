//! From a path to its group of endpoints: the longest prefix of whole segments wins.

use crate::request::Request;
use crate::scope::{Name, NameRef, ScopeError};
use crate::text::Text;
use core::fmt;

/// How many routes there can be.
pub const ROUTES_MAX: usize = 256;
/// The longest prefix in bytes.
pub const PREFIX_BYTES_MAX: usize = 128;
/// The group of a path that no route matches.
pub const DEFAULT_GROUP: &str = "default";
/// The group that is never limited.
pub const EXEMPT_GROUP: &str = "exempt";

/// A prefix and the group it leads to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    prefix: Text<PREFIX_BYTES_MAX>,
    group: Name,
    /// One more than the place of the longest other prefix that this one begins with; 0 if there is none.
    parent: u16,
}

impl Route {
    /// The path prefix, without a slash at its end (the root is empty).
    #[must_use]
    pub fn prefix(&self) -> &str {
        if self.prefix.is_empty() { "/" } else { self.prefix.as_str() }
    }

    /// The group of endpoints.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_str()
    }
}

/// Why a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The prefix does not begin with a slash.
    NoSlash,
    /// The prefix is longer than [`PREFIX_BYTES_MAX`].
    LongPrefix,
    /// The prefix is there already.
    Duplicate,
    /// There are [`ROUTES_MAX`] routes already.
    Full,
    /// The group's name is empty, too long, or holds control characters.
    Group(ScopeError),
    /// The prefix holds a control character.
    ControlCharacter,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("expected a path prefix that begins with /"),
            Self::LongPrefix => write!(f, "the prefix is longer than {PREFIX_BYTES_MAX} bytes"),
            Self::Duplicate => f.write_str("the prefix is there already"),
            Self::Full => write!(f, "there are {ROUTES_MAX} routes already, and no more fit"),
            Self::Group(error) => error.fmt(f),
            Self::ControlCharacter => f.write_str("the prefix holds a control character"),
        }
    }
}

impl core::error::Error for RouteError {}

/// The routes, in the order of their prefixes.
#[derive(Debug)]
pub struct Routes {
    routes: [Route; ROUTES_MAX],
    length: usize,
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// No routes: every path belongs to the default group.
    #[must_use]
    pub const fn new() -> Self {
        Self { routes: [Route { prefix: Text::EMPTY, group: Text::EMPTY, parent: 0 }; ROUTES_MAX], length: 0 }
    }

    /// Adds a route, or says why not and changes nothing.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn add(&mut self, prefix: &str, group: &str) -> Result<(), RouteError> {
        if !prefix.starts_with('/') {
            return Err(RouteError::NoSlash);
        }
        if prefix.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(RouteError::ControlCharacter);
        }
        NameRef::printable(group).map_err(RouteError::Group)?;
        let group = Name::new(group).map_err(|_| RouteError::Group(ScopeError::EmptyName))?;
        let prefix = Text::new(prefix.trim_end_matches('/')).map_err(|_| RouteError::LongPrefix)?;
        let Err(place) = self.as_slice().binary_search_by(|route| route.prefix.as_str().cmp(prefix.as_str()))
        else {
            return Err(RouteError::Duplicate);
        };
        if self.length == ROUTES_MAX {
            return Err(RouteError::Full);
        }
        self.routes[place..=self.length].rotate_right(1);
        self.routes[place] = Route { prefix, group, parent: 0 };
        self.length += 1;
        self.link_parents();
        Ok(())
    }

    /// Removes all routes.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Takes over the routes of `other`.
    pub fn copy_from(&mut self, other: &Self) {
        self.routes.copy_from_slice(&other.routes);
        self.length = other.length;
    }

    /// The routes, by prefix.
    #[must_use]
    pub fn as_slice(&self) -> &[Route] {
        &self.routes[..self.length]
    }

    /// The group that `path` belongs to.
    ///
    /// The prefixes of a path that are routes all begin, in the order of bytes, at or before the last route that
    /// is not after the path, and that route begins with each of them: so the search takes one bisection
    /// and then goes from longer to shorter prefixes.
    #[must_use]
    pub fn group_of(&self, path: &[u8]) -> NameRef<'_> {
        // An empty path comes from a request line that could not be split: it has no segments to match.
        let routes = if path.is_empty() { &[] } else { self.as_slice() };
        let mut place = routes.partition_point(|route| route.prefix.as_str().as_bytes() <= path);
        while let Some(route) = place.checked_sub(1).and_then(|index| routes.get(index)) {
            if is_segment_prefix(route.prefix.as_str().as_bytes(), path) {
                return group_name(route.group.as_str());
            }
            place = usize::from(route.parent);
        }
        group_name(DEFAULT_GROUP)
    }

    /// Whether a request is exempt: a route leads its path to the group [`EXEMPT_GROUP`]. Only a route exempts, not who
    /// names the group.
    #[must_use]
    pub fn exempts(&self, request: &Request<'_>) -> bool {
        self.by_path(request).is_some_and(|group| group.as_str() == EXEMPT_GROUP)
    }

    /// The group that the routes give a request: none if it names its group itself, or has no path.
    #[inline]
    pub(crate) fn by_path(&self, request: &Request<'_>) -> Option<NameRef<'_>> {
        if request.group.is_none() { request.path.map(|path| self.group_of(path)) } else { None }
    }

    fn link_parents(&mut self) {
        for index in 0..self.length {
            let (before, rest) = self.routes.split_at_mut(index);
            let prefix = rest[0].prefix.as_str();
            // The nearest earlier route that this one begins with is on the earlier neighbour's chain.
            let mut place = index;
            while let Some(route) = place.checked_sub(1).and_then(|earlier| before.get(earlier)) {
                if prefix.starts_with(route.prefix.as_str()) {
                    break;
                }
                place = usize::from(route.parent);
            }
            rest[0].parent = u16::try_from(place).unwrap_or(0);
        }
    }
}

fn is_segment_prefix(prefix: &[u8], path: &[u8]) -> bool {
    path.starts_with(prefix) && (path.len() == prefix.len() || path[prefix.len()] == b'/')
}

fn group_name(group: &str) -> NameRef<'_> {
    // Names of groups were checked when the route was added.
    NameRef::new(group).unwrap_or(NameRef::DEFAULT_GROUP)
}

#[cfg(test)]
mod tests {
    use super::{ROUTES_MAX, RouteError, Routes};
    use proptest::prelude::{ProptestConfig, any, prop, proptest};

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let mut routes = Routes::new();
        for (prefix, group) in [
            ("/api", "api"),
            ("/api/v1/chat", "chat"),
            ("/api-docs", "docs"),
            ("/healthz", "exempt"),
            ("/api/v1/memory/", "memory"),
        ] {
            routes.add(prefix, group).unwrap();
        }
        for (path, group) in [
            ("/api/v1/chat", "chat"),
            ("/api/v1/chat/7", "chat"),
            ("/api/v1/chats", "api"),
            ("/api/v1/memory", "memory"),
            ("/api/v2", "api"),
            ("/api-docs/x", "docs"),
            ("/apiary", "default"),
            ("/healthz", "exempt"),
            ("", "default"),
            ("/", "default"),
        ] {
            assert_eq!(routes.group_of(path.as_bytes()).as_str(), group, "{path}");
        }
        routes.add("/", "root").unwrap();
        assert_eq!(routes.group_of(b"/").as_str(), "root");
        assert_eq!(routes.group_of(b"/apiary").as_str(), "root");
        assert_eq!(routes.group_of(b"").as_str(), "default");
        assert_eq!(routes.group_of(b"*").as_str(), "default");
    }

    #[test]
    fn bad_routes_change_nothing() {
        let mut routes = Routes::new();
        routes.add("/a", "a").unwrap();
        assert_eq!(routes.add("/a/", "b"), Err(RouteError::Duplicate));
        assert_eq!(routes.add("a", "b"), Err(RouteError::NoSlash));
        assert!(matches!(routes.add("/b", ""), Err(RouteError::Group(_))));
        assert_eq!(routes.add(&format!("/{}", "x".repeat(128)), "b"), Err(RouteError::LongPrefix));
        for index in 1..ROUTES_MAX {
            routes.add(&format!("/r{index}"), "g").unwrap();
        }
        assert_eq!(routes.add("/one-more", "g"), Err(RouteError::Full));
        assert_eq!(routes.as_slice().len(), ROUTES_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
        #[test]
        fn equals_a_scan_over_all_routes(
            prefixes in prop::collection::vec("(/[ab-]{1,2}){1,4}", 1..20),
            paths in prop::collection::vec("(/[ab-]{0,2}){1,6}", 1..40),
            root in any::<bool>(),
        ) {
            let mut routes = Routes::new();
            let mut known: Vec<String> = Vec::new();
            for prefix in prefixes.into_iter().chain(root.then(|| "/".to_string())) {
                if routes.add(&prefix, &format!("g{prefix}")).is_ok() {
                    known.push(prefix);
                }
            }
            for path in paths {
                let naive = known.iter()
                    .filter(|prefix| path == **prefix || path.starts_with(&format!("{}/", prefix.trim_end_matches('/'))))
                    .max_by_key(|prefix| prefix.len())
                    .map_or("default".to_string(), |prefix| format!("g{prefix}"));
                assert_eq!(routes.group_of(path.as_bytes()).as_str(), naive);
            }
        }
    }
}
