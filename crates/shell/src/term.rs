//! What the terminal at the other end understands, and how meaning becomes colour on it.

use core::{
    fmt::{self, Write as _},
    str::FromStr,
};

/// The terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Term {
    /// One that knows the escape sequences of ECMA-48: colour, cursor, erasing.
    #[default]
    Ansi,
    /// One that only prints, or a program that reads along. It is never sent an escape sequence.
    Dumb,
}

impl Term {
    /// The names that [`FromStr`] accepts.
    pub const NAMES: &'static [&'static str] = &["ansi", "dumb"];

    /// `value` in the colour of `style`, or as it is on a dumb terminal.
    pub const fn paint<T: fmt::Display>(self, style: Style, value: T) -> Painted<T> {
        Painted { term: self, style, value }
    }

    /// What empties the screen; nothing on a dumb terminal.
    #[must_use]
    pub const fn clear_screen(self) -> &'static str {
        match self {
            Self::Ansi => "\x1b[H\x1b[2J",
            Self::Dumb => "",
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ansi => "ansi",
            Self::Dumb => "dumb",
        })
    }
}

impl FromStr for Term {
    type Err = UnknownTerm;

    fn from_str(name: &str) -> Result<Self, UnknownTerm> {
        match name {
            "ansi" => Ok(Self::Ansi),
            "dumb" => Ok(Self::Dumb),
            _ => Err(UnknownTerm),
        }
    }
}

/// A terminal name that is not one of [`Term::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTerm;

impl fmt::Display for UnknownTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown terminal; expected ansi or dumb")
    }
}

impl core::error::Error for UnknownTerm {}

/// What a piece of text means; its colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A good outcome: allowed, passed.
    Good,
    /// A bad outcome: denied, an error.
    Bad,
    /// Something to look at: delayed, nearly full.
    Warn,
    /// Secondary: headings of columns, units.
    Dim,
    /// A name that the user can type: a limit, a command.
    Name,
}

impl Style {
    const fn start(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Warn => "\x1b[33m",
            Self::Dim => "\x1b[2m",
            Self::Name => "\x1b[36m",
        }
    }
}

/// A value with a style, from [`Term::paint`].
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    term: Term,
    style: Style,
    value: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.term == Term::Dumb || self.style == Style::Plain {
            return self.value.fmt(f);
        }
        f.write_str(self.style.start())?;
        self.value.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// Prints a string with its control characters made visible, so that a name that came out of a log or a
/// file cannot drive the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Printable, Style, Term, UnknownTerm};

    #[test]
    fn a_dumb_terminal_gets_the_text_alone() {
        for style in [Style::Plain, Style::Good, Style::Bad, Style::Warn, Style::Dim, Style::Name] {
            assert_eq!(Term::Dumb.paint(style, "allow").to_string(), "allow");
        }
        assert_eq!(Term::Dumb.clear_screen(), "");
    }

    #[test]
    fn colour_ends_where_the_text_ends() {
        assert_eq!(Term::Ansi.paint(Style::Bad, "deny").to_string(), "\x1b[31mdeny\x1b[0m");
        assert_eq!(Term::Ansi.paint(Style::Plain, "deny").to_string(), "deny");
        assert_eq!(format!("{:>6}", Term::Ansi.paint(Style::Good, "ok")), "\x1b[32m    ok\x1b[0m");
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(Printable("a\x1b[2J\té").to_string(), "a\\u{1b}[2J\\té");
    }

    #[test]
    fn names_read_back() {
        for name in Term::NAMES {
            assert_eq!(name.parse::<Term>().unwrap().to_string(), *name);
        }
        assert_eq!("vt52".parse::<Term>(), Err(UnknownTerm));
    }
}
