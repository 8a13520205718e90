//! The grammar: statements, keys, values; and what is done after an error.
//!
//! A statement that has an error is told once, then the parser goes on with the next line. Where the error is in
//! an array, it first looks for the end of that array, or for a line that can only be a statement. What an error
//! makes doubtful has no [`Scope`] and no [`Node`]: it is still parsed, so that its other errors are told, but
//! not defined and not told to the visitor.
//!
//! The parser calls itself for tables inside of values only. Each of these has a key of its own in the path, so
//! the depth is bounded by `MAX_PATH_PARTS`.

use core::num::IntErrorKind;

use toml_parser::decoder::{IntegerRadix, ScalarKind};
use toml_parser::lexer::TokenKind;
use toml_parser::{Expected, ParseError, Raw, Span};

use super::date::is_date_time;
use super::decoded::{Buffer, Decoded};
use super::definitions::{Definition, Definitions, Kind, Node, Scope};
use super::path::PathBuffer;
use super::tokens::{Token, Tokens};
use super::{Expectation, Key, Position, Reader, SyntaxError, TableKind, Value, Visitor};

/// Reads one document.
pub(super) struct Parser<'r, 's> {
    text: &'s str,
    tokens: Tokens<'s>,
    definitions: &'r mut Definitions,
    decoded: &'r mut Buffer,
    path: &'r mut PathBuffer,
    report: Report<'r, 's>,
    section: Section,
    /// Whether there was no room for a definition.
    overflowed: bool,
}

/// The table of the last header.
#[derive(Clone, Copy)]
struct Section {
    scope: Option<Scope>,
    depth: usize,
}

/// A key that is being set; the path ends in it.
#[derive(Clone, Copy)]
struct Target {
    node: Option<Node>,
    at: Position,
}

/// What a value is to its key.
#[derive(Clone, Copy)]
enum Place {
    Whole,
    Element(usize),
}

/// What the elements of an array are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elements {
    None,
    Values,
    Tables,
}

/// How a key names the tables before its last part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Header,
    Dotted,
}

/// An error has been told; where the parser stands.
enum Failed {
    /// Somewhere in a line; the rest of it is to be skipped.
    InLine,
    /// Before the next statement.
    AtStatement,
}

type Parsed<T = ()> = Result<T, Failed>;

impl<'r, 's> Parser<'r, 's> {
    pub(super) fn new(text: &'s str, reader: &'r mut Reader, visitor: &'r mut dyn Visitor) -> Self {
        let Reader { definitions, decoded, path } = reader;
        let report = Report { visitor, text, offset: 0, position: Position::START, errors: 0 };
        let section = Section { scope: Some(Scope::ROOT), depth: 0 };
        Self {
            text,
            tokens: Tokens::new(text),
            definitions,
            decoded,
            path,
            report,
            section,
            overflowed: false,
        }
    }

    /// Reads the document and returns the number of errors.
    pub(super) fn read_document(mut self) -> usize {
        loop {
            self.skip_blank();
            self.path.truncate(self.section.depth);
            let statement = match self.tokens.kind() {
                TokenKind::Eof => return self.report.errors,
                TokenKind::LeftSquareBracket => self.header(),
                _ => self.assignment(self.section.scope),
            };
            match statement.and_then(|()| self.end_of_statement()) {
                Ok(()) | Err(Failed::AtStatement) => {}
                Err(Failed::InLine) => self.skip_line(),
            }
        }
    }

    /// `[a.b]` or `[[a.b]]`.
    fn header(&mut self) -> Parsed {
        self.section = Section { scope: None, depth: 0 };
        self.path.truncate(0);
        let open = self.tokens.bump();
        let kind = if self.tokens.kind() == TokenKind::LeftSquareBracket {
            self.tokens.bump();
            TableKind::ArrayElement
        } else {
            TableKind::Table
        };
        let (node, name) = self.key(Some(Scope::ROOT), Style::Header)?;
        let (closing, expected): (_, &'static [Expected]) = match kind {
            TableKind::Table => (1, &[Expected::Literal("]")]),
            TableKind::ArrayElement => (2, &[Expected::Literal("]]")]),
        };
        for _ in 0..closing {
            if self.tokens.kind() != TokenKind::RightSquareBracket {
                return self.malformed("unclosed table header", expected);
            }
            self.tokens.bump();
        }
        let scope = node.and_then(|node| self.define_table(node, kind, name.start));
        self.section = Section { scope, depth: self.path.depth() };
        if scope.is_some() {
            let at = self.report.position(open.start);
            self.report.visitor.table(self.path.path(), kind, at);
        }
        Ok(())
    }

    /// `a.b = value`, in a section or in an inline table.
    fn assignment(&mut self, scope: Option<Scope>) -> Parsed {
        let depth = self.path.depth();
        let (node, name) = self.key(scope, Style::Dotted)?;
        if self.tokens.kind() != TokenKind::Equals {
            return self.malformed("key without a value", &[Expected::Literal("=")]);
        }
        self.tokens.bump();
        let node = node.filter(|node| self.define_value(*node, name.start));
        let target = Target { node, at: self.report.position(name.start) };
        self.skip_whitespace();
        match self.tokens.kind() {
            TokenKind::LeftSquareBracket => self.array(target)?,
            TokenKind::LeftCurlyBracket => {
                self.tell_table(node.is_some(), TableKind::Table);
                self.inline_table(node.map(Node::table))?;
            }
            _ => self.scalar(target, Place::Whole)?,
        }
        self.path.truncate(depth);
        Ok(())
    }

    /// Appends a key to the path. Returns what it names, if that is not in doubt, and its last part.
    fn key(&mut self, scope: Option<Scope>, style: Style) -> Parsed<(Option<Node>, Token)> {
        let mut scope = scope;
        loop {
            let name = self.key_part(&mut scope)?;
            let node = scope.map(|scope| scope.node(self.path.split_last().1));
            self.skip_whitespace();
            if self.tokens.kind() != TokenKind::Dot {
                return Ok((node, name));
            }
            self.tokens.bump();
            scope = node.and_then(|node| self.pass_table(node, style, name.start));
        }
    }

    /// Appends one part of a key to the path. If it is malformed, there is no scope any more.
    fn key_part(&mut self, scope: &mut Option<Scope>) -> Parsed<Token> {
        self.skip_whitespace();
        let token = self.tokens.current();
        let encoding = token.kind.encoding();
        if encoding.is_none() && token.kind != TokenKind::Atom {
            return self.malformed("missing key", &[Expected::Description("a key")]);
        }
        self.tokens.bump();
        let errors = self.report.errors;
        let mut name = Decoded::new(self.decoded);
        let report = &mut self.report;
        raw(self.text, token).decode_key(&mut name, &mut |error: ParseError| report.parse_error(&error));
        if self.report.errors > errors {
            *scope = None;
        }
        if !name.finish().is_some_and(|name| self.path.push(name)) {
            self.report.error(token.start, SyntaxError::PathTooLong);
            return Err(Failed::InLine);
        }
        Ok(token)
    }

    /// One value that is neither a table nor an array.
    fn scalar(&mut self, target: Target, place: Place) -> Parsed {
        let mut token = self.tokens.current();
        match token.kind {
            TokenKind::Atom | TokenKind::Dot => token.end = self.end_of_words(),
            kind if kind.encoding().is_some() => token.end = self.tokens.bump().end,
            _ => return self.malformed("missing value", &[Expected::Description("a value")]),
        }
        let errors = self.report.errors;
        let mut decoded = Decoded::new(self.decoded);
        let report = &mut self.report;
        let kind = raw(self.text, token)
            .decode_scalar(&mut decoded, &mut |error: ParseError| report.parse_error(&error));
        if report.errors > errors {
            return Ok(());
        }
        let value = decoded.finish().ok_or(SyntaxError::StringTooLong).and_then(|text| typed(kind, text));
        match value {
            Err(error) => report.error(token.start, error),
            Ok(value) if target.node.is_some() => {
                let at = report.position(token.start);
                let (table, name) = self.path.split_last();
                let key = Key { table, name, at: target.at };
                match place {
                    Place::Whole => report.visitor.value(key, value, at),
                    Place::Element(index) => report.visitor.element(key, index, value, at),
                }
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Passes the tokens of a number, a date or the like. Words after a date, or after another word, belong to it:
    /// a date may have its time there, and a text without quotes is better one error than several.
    fn end_of_words(&mut self) -> usize {
        let start = self.tokens.current().start;
        let text = self.text.get(start..).unwrap_or_default();
        let is_date = text.as_bytes().get(4) == Some(&b'-');
        let joins_words = is_date || !text.starts_with(|c: char| c.is_ascii_digit());
        let mut end = start;
        while matches!(self.tokens.kind(), TokenKind::Atom | TokenKind::Dot)
            || (joins_words && self.tokens.word_follows())
        {
            end = self.tokens.bump().end;
        }
        end
    }

    /// `{ a = 1, b = 2 }` in one line.
    fn inline_table(&mut self, scope: Option<Scope>) -> Parsed {
        self.tokens.bump();
        loop {
            self.skip_whitespace();
            match self.tokens.kind() {
                TokenKind::RightCurlyBracket => break,
                TokenKind::Newline | TokenKind::Comment | TokenKind::Eof => return self.unclosed_table(),
                _ => self.assignment(scope)?,
            }
            self.skip_whitespace();
            match self.tokens.kind() {
                TokenKind::RightCurlyBracket => break,
                TokenKind::Newline | TokenKind::Comment | TokenKind::Eof => return self.unclosed_table(),
                TokenKind::Comma => self.tokens.bump(),
                _ => {
                    let expected = &[Expected::Literal(","), Expected::Literal("}")];
                    return self.malformed("missing comma between keys", expected);
                }
            };
        }
        self.tokens.bump();
        Ok(())
    }

    fn unclosed_table(&mut self) -> Parsed {
        self.malformed("unclosed inline table", &[Expected::Literal("}")])
    }

    /// `[1, 2]` or `[{ a = 1 }, { a = 2 }]`, over as many lines as it likes.
    fn array(&mut self, target: Target) -> Parsed {
        match self.array_elements(target) {
            Err(Failed::InLine) => Err(self.skip_array()),
            parsed => parsed,
        }
    }

    fn array_elements(&mut self, target: Target) -> Parsed {
        let open = self.tokens.bump();
        let mut elements = Elements::None;
        let mut index = 0;
        loop {
            self.skip_blank();
            match self.tokens.kind() {
                TokenKind::RightSquareBracket => break,
                TokenKind::Eof => return self.unclosed_array(),
                _ if self.tokens.is_statement() => return self.unclosed_array(),
                _ => self.array_element(target, open, &mut elements, index)?,
            }
            index += 1;
            self.skip_blank();
            match self.tokens.kind() {
                TokenKind::RightSquareBracket => break,
                TokenKind::Comma => self.tokens.bump(),
                TokenKind::Eof => return self.unclosed_array(),
                _ if self.tokens.is_statement() => return self.unclosed_array(),
                _ => {
                    let expected = &[Expected::Literal(","), Expected::Literal("]")];
                    return self.malformed("missing comma between values", expected);
                }
            };
        }
        self.tokens.bump();
        if elements == Elements::None {
            self.tell_array(target, open);
        }
        Ok(())
    }

    fn array_element(
        &mut self,
        target: Target,
        open: Token,
        elements: &mut Elements,
        index: usize,
    ) -> Parsed {
        let token = self.tokens.current();
        let found = match token.kind {
            TokenKind::LeftCurlyBracket => Elements::Tables,
            _ => Elements::Values,
        };
        if token.kind == TokenKind::LeftSquareBracket {
            self.report.error(token.start, SyntaxError::NestedArray);
            return Err(Failed::InLine);
        }
        if *elements != Elements::None && *elements != found {
            self.report.error(token.start, SyntaxError::MixedArray);
            return Err(Failed::InLine);
        }
        if *elements == Elements::None && found == Elements::Values {
            self.tell_array(target, open);
        }
        *elements = found;
        if found == Elements::Values {
            return self.scalar(target, Place::Element(index));
        }
        self.tell_table(target.node.is_some(), TableKind::ArrayElement);
        self.inline_table(target.node.map(|node| node.element(token.start)))
    }

    fn unclosed_array(&mut self) -> Parsed {
        self.malformed("unclosed array", &[Expected::Literal("]")])
    }

    fn tell_array(&mut self, target: Target, open: Token) {
        if target.node.is_some() {
            let at = self.report.position(open.start);
            let (table, name) = self.path.split_last();
            self.report.visitor.array(Key { table, name, at: target.at }, at);
        }
    }

    /// Tells of the inline table that starts at the current token, if it is not in doubt.
    fn tell_table(&mut self, defined: bool, kind: TableKind) {
        if defined {
            let at = self.report.position(self.tokens.current().start);
            self.report.visitor.table(self.path.path(), kind, at);
        }
    }
}

/// White space, comments, line ends; and the way on after an error.
impl Parser<'_, '_> {
    fn skip_whitespace(&mut self) {
        while self.tokens.kind() == TokenKind::Whitespace {
            self.tokens.bump();
        }
    }

    fn skip_blank(&mut self) {
        while matches!(self.tokens.kind(), TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment) {
            let token = self.tokens.bump();
            let report = &mut self.report;
            let mut error = |error: ParseError| report.parse_error(&error);
            match token.kind {
                TokenKind::Comment => raw(self.text, token).decode_comment(&mut error),
                TokenKind::Newline => raw(self.text, token).decode_newline(&mut error),
                _ => {}
            }
        }
    }

    fn end_of_statement(&mut self) -> Parsed {
        self.skip_whitespace();
        match self.tokens.kind() {
            TokenKind::Newline | TokenKind::Comment | TokenKind::Eof => Ok(()),
            _ => self.malformed("text after the end of the statement", &[Expected::Literal("\n")]),
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.tokens.kind(), TokenKind::Newline | TokenKind::Eof) {
            self.tokens.bump();
        }
    }

    /// Passes the end of the array that the parser stands in.
    fn skip_array(&mut self) -> Failed {
        let mut depth = 1_usize;
        while self.tokens.kind() != TokenKind::Eof {
            if self.tokens.is_statement() {
                return Failed::AtStatement;
            }
            match self.tokens.bump().kind {
                TokenKind::LeftSquareBracket => depth += 1,
                TokenKind::RightSquareBracket => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        Failed::InLine
    }

    /// Tells an error at the current token.
    fn malformed<T>(&mut self, what: &'static str, expected: &'static [Expected]) -> Parsed<T> {
        let error = SyntaxError::Malformed { what, expected: Expectation(expected) };
        self.report.error(self.tokens.current().start, error);
        Err(Failed::InLine)
    }
}

/// What is defined twice. Errors are told at `offset`, where the last part of the path is written.
impl Parser<'_, '_> {
    /// A key goes through the table `node` to one inside of it.
    fn pass_table(&mut self, node: Node, style: Style, offset: usize) -> Option<Scope> {
        let Some(found) = self.definitions.get(node) else {
            let kind = if style == Style::Header { Kind::Implicit } else { Kind::Dotted };
            self.define(node, kind, offset);
            return Some(node.table());
        };
        match (style, found.kind) {
            (Style::Header, Kind::Array) => Some(node.element(found.offset)),
            (Style::Header, Kind::Implicit | Kind::Header | Kind::Dotted) | (Style::Dotted, Kind::Dotted) => {
                Some(node.table())
            }
            _ => self.refuse_table(found, offset),
        }
    }

    /// A header defines `node`.
    fn define_table(&mut self, node: Node, kind: TableKind, offset: usize) -> Option<Scope> {
        let found = self.definitions.get(node);
        match (kind, found.map(|found| found.kind)) {
            (TableKind::Table, None | Some(Kind::Implicit)) => {
                self.define(node, Kind::Header, offset);
                Some(node.table())
            }
            (TableKind::ArrayElement, None | Some(Kind::Array)) => {
                self.define(node, Kind::Array, offset);
                Some(node.element(offset))
            }
            _ => found.and_then(|found| self.refuse_table(found, offset)),
        }
    }

    /// A key sets `node` to a value. Returns whether it may.
    fn define_value(&mut self, node: Node, offset: usize) -> bool {
        let Some(found) = self.definitions.get(node) else {
            self.define(node, Kind::Value, offset);
            return true;
        };
        let first = self.report.position(found.offset);
        self.report.error(offset, SyntaxError::DuplicateKey { path: self.path.path(), first });
        false
    }

    fn define(&mut self, node: Node, kind: Kind, offset: usize) {
        let full = self.definitions.set(node, Definition { kind, offset }).is_err();
        if full && !self.overflowed {
            self.overflowed = true;
            self.report.error(offset, SyntaxError::TooManyDefinitions);
        }
    }

    fn refuse_table(&mut self, found: Definition, offset: usize) -> Option<Scope> {
        let (path, first) = (self.path.path(), self.report.position(found.offset));
        self.report.error(
            offset,
            match found.kind {
                Kind::Value => SyntaxError::NotATable { path, first },
                _ => SyntaxError::DuplicateTable { path, first },
            },
        );
        None
    }
}

/// Tells the visitor, and knows where in the document what is.
struct Report<'r, 's> {
    visitor: &'r mut dyn Visitor,
    text: &'s str,
    /// The last place that was asked for: places mostly come in the order of the document.
    offset: usize,
    position: Position,
    errors: usize,
}

impl Report<'_, '_> {
    fn position(&mut self, offset: usize) -> Position {
        if offset < self.offset {
            return Position::after(self.text.get(..offset).unwrap_or_default());
        }
        self.position = self.position.advanced(self.text.get(self.offset..offset).unwrap_or_default());
        self.offset = offset;
        self.position
    }

    fn error(&mut self, offset: usize, error: SyntaxError<'_>) {
        self.errors += 1;
        let at = self.position(offset);
        self.visitor.error(at, error);
    }

    fn parse_error(&mut self, error: &ParseError) {
        let span = error.unexpected().or(error.context()).unwrap_or_default();
        let expected = Expectation(error.expected().unwrap_or_default());
        self.error(span.start(), SyntaxError::Malformed { what: error.description(), expected });
    }
}

fn raw(text: &str, token: Token) -> Raw<'_> {
    let span = Span::new_unchecked(token.start, token.end);
    let text = text.get(token.start..token.end).unwrap_or_default();
    Raw::new_unchecked(text, token.kind.encoding(), span)
}

fn typed(kind: ScalarKind, text: &str) -> Result<Value<'_>, SyntaxError<'_>> {
    match kind {
        ScalarKind::String => Ok(Value::String(text)),
        ScalarKind::Boolean(value) => Ok(Value::Boolean(value)),
        ScalarKind::DateTime if is_date_time(text) => Ok(Value::DateTime(text)),
        ScalarKind::DateTime => Err(SyntaxError::Malformed {
            what: kind.invalid_description(),
            expected: Expectation(&[
                Expected::Literal("2023-11-16T18:17:03Z"),
                Expected::Literal("2023-11-16"),
                Expected::Literal("18:17:03"),
            ]),
        }),
        ScalarKind::Float => Ok(Value::Float(text)),
        ScalarKind::Integer(radix) => integer(text, radix).map(Value::Integer),
    }
}

fn integer(text: &str, radix: IntegerRadix) -> Result<i64, SyntaxError<'_>> {
    i64::from_str_radix(text, radix.value()).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => SyntaxError::IntegerOutOfRange,
        _ => SyntaxError::Malformed {
            what: radix.invalid_description(),
            expected: Expectation(&[Expected::Description("digits")]),
        },
    })
}
