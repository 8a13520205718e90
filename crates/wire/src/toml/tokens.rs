//! The tokens of a document with one of lookahead, and where a statement starts after an error.

use toml_parser::Source;
use toml_parser::lexer::{Lexer, TokenKind};

/// A token; `start` and `end` are byte offsets in the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a document. After the last one there is no end of [`TokenKind::Eof`].
pub(super) struct Tokens<'s> {
    text: &'s str,
    lexer: Lexer<'s>,
    current: Token,
    at_line_start: bool,
}

impl<'s> Tokens<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let mut lexer = Source::new(text).lex();
        let current = read(&mut lexer, text);
        Self { text, lexer, current, at_line_start: true }
    }

    pub(super) const fn current(&self) -> Token {
        self.current
    }

    pub(super) const fn kind(&self) -> TokenKind {
        self.current.kind
    }

    /// Goes on to the next token and returns the one before it.
    pub(super) fn bump(&mut self) -> Token {
        let token = self.current;
        self.at_line_start = match token.kind {
            TokenKind::Newline => true,
            TokenKind::Whitespace => self.at_line_start,
            _ => false,
        };
        self.current = read(&mut self.lexer, self.text);
        token
    }

    /// Whether the current token is the first of its line, and the line can only be a statement: `[table]`,
    /// `[[table]]` or `key =`. In an array, that shows that its `]` is missing.
    pub(super) fn is_statement(&self) -> bool {
        let rest = self.text.get(self.current.start..).unwrap_or_default();
        self.at_line_start && is_statement(rest.lines().next().unwrap_or_default())
    }

    /// Whether the current token is white space and a word follows it.
    pub(super) fn word_follows(&self) -> bool {
        let rest = self.text.get(self.current.end..).unwrap_or_default();
        self.current.kind == TokenKind::Whitespace
            && rest.chars().next().is_some_and(|c| !".=,[]{}#\r\n\"'".contains(c))
    }
}

fn read(lexer: &mut Lexer<'_>, text: &str) -> Token {
    let end = Token { kind: TokenKind::Eof, start: text.len(), end: text.len() };
    lexer.next().map_or(end, |token| Token {
        kind: token.kind(),
        start: token.span().start(),
        end: token.span().end(),
    })
}

fn is_statement(line: &str) -> bool {
    if let Some(inside) = line.strip_prefix('[') {
        let name = inside.strip_prefix('[').unwrap_or(inside).trim_start();
        let word = name.split(|c: char| !is_bare(c)).next().unwrap_or_default();
        // An array in an array may start with these words, or with a number.
        let is_value = matches!(word, "" | "true" | "false" | "inf" | "nan");
        return !is_value
            && !word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && name.contains(']');
    }
    let Some((key, _)) = line.split_once('=') else { return false };
    let is_key = |c: char| is_bare(c) || matches!(c, '.' | ' ' | '\t' | '"' | '\'' | '/');
    // A string that holds `=` has one of its quotes before it.
    let quotes = |quote| key.matches(quote).count();
    !key.trim().is_empty() && key.chars().all(is_key) && quotes('"') % 2 == 0 && quotes('\'') % 2 == 0
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::{Tokens, is_statement};
    use toml_parser::lexer::TokenKind;

    #[test]
    fn statements_are_told_from_elements_of_an_array() {
        for line in
            ["[limit]", "[[limit]] # next", "[ a.b ]", "a = 1", "a.b=1", "\"/api/v1\" = \"chat\"", "'a' ="]
        {
            assert!(is_statement(line), "{line}");
        }
        for line in ["", "1, 2", "[1, 2],", "[true]", "[[1]]", "[-1]", "[\"a\"]", "[a", "\"a = b\",", "'a=b'"]
        {
            assert!(!is_statement(line), "{line}");
        }
        for line in ["\"a\", \"b = c\"", "# a = 1", "{ a = 1 },", "= 1", "]"] {
            assert!(!is_statement(line), "{line}");
        }
    }

    #[test]
    fn the_end_of_a_document_has_no_end() {
        let mut tokens = Tokens::new("a");
        assert_eq!(tokens.bump().kind, TokenKind::Atom);
        for _ in 0..3 {
            let end = tokens.bump();
            assert_eq!((end.kind, end.start), (TokenKind::Eof, 1));
        }
    }
}
