//! Documents, and what a visitor is told of them.

use super::{Key, Path, Position, Reader, SyntaxError, TableKind, Value, Visitor};
use proptest::prelude::*;

/// Writes down what it is told, a line each.
#[derive(Default)]
struct Notes {
    content: Vec<String>,
    errors: Vec<String>,
}

fn full(key: Key<'_>) -> String {
    if key.table.is_root() { format!("{:?}", key.name) } else { format!("{} {:?}", key.table, key.name) }
}

impl Visitor for Notes {
    fn table(&mut self, path: Path<'_>, kind: TableKind, _: Position) {
        self.content.push(match kind {
            TableKind::Table => format!("[{path}]"),
            TableKind::ArrayElement => format!("[[{path}]]"),
        });
    }

    fn value(&mut self, key: Key<'_>, value: Value<'_>, _: Position) {
        self.content.push(format!("{} = {value:?}", full(key)));
    }

    fn array(&mut self, key: Key<'_>, _: Position) {
        self.content.push(format!("{} = []", full(key)));
    }

    fn element(&mut self, key: Key<'_>, index: usize, value: Value<'_>, _: Position) {
        self.content.push(format!("{}[{index}] = {value:?}", full(key)));
    }

    fn error(&mut self, at: Position, error: SyntaxError<'_>) {
        self.errors.push(format!("{}:{}: {error}", at.line, at.column));
    }
}

fn read(document: impl AsRef<[u8]>) -> Notes {
    let mut notes = Notes::default();
    let summary = Reader::new().read(document.as_ref(), &mut notes);
    assert_eq!(summary.errors, notes.errors.len());
    notes
}

#[track_caller]
fn content(document: &str) -> Vec<String> {
    let notes = read(document);
    assert_eq!(notes.errors, [""; 0], "{document}");
    notes.content
}

#[track_caller]
fn value(text: &str) -> String {
    let mut content = content(&format!("k = {text}\n"));
    assert_eq!(content.len(), 1);
    content.remove(0).replacen("\"k\" = ", "", 1)
}

fn errors(document: impl AsRef<[u8]>) -> Vec<String> {
    read(document).errors
}

#[test]
fn a_configuration_is_read_in_its_order() {
    let document = r#"
# Who is asking.
[identity]
actor_headers = ["X-Actor", "X-User-Id"] # two
trusted_hops = 0

[routes]
"/api/v1/chat" = "chat"
'/healthz' = 'exempt'

[[limit]]
scope = "ip:*"
enabled = true
[[limit]]
scope = "user:\u00e9\t\"x\""
"#;
    assert_eq!(
        content(document),
        [
            r#"[identity]"#,
            r#"identity "actor_headers" = []"#,
            r#"identity "actor_headers"[0] = String("X-Actor")"#,
            r#"identity "actor_headers"[1] = String("X-User-Id")"#,
            r#"identity "trusted_hops" = Integer(0)"#,
            r#"[routes]"#,
            r#"routes "/api/v1/chat" = String("chat")"#,
            r#"routes "/healthz" = String("exempt")"#,
            r#"[[limit]]"#,
            r#"limit "scope" = String("ip:*")"#,
            r#"limit "enabled" = Boolean(true)"#,
            r#"[[limit]]"#,
            r#"limit "scope" = String("user:é\t\"x\"")"#,
        ]
    );
}

#[test]
fn the_ways_to_write_a_table_are_told_alike() {
    let key = r#"a."b c" "d" = Integer(1)"#;
    assert_eq!(content("[a.'b c']\nd = 1"), [r#"[a."b c"]"#, key]);
    assert_eq!(content("[a]\n'b c'.d = 1"), ["[a]", key]);
    assert_eq!(content("a . \"b c\" . d = 1"), [key]);
    assert_eq!(content("a = { 'b c' = { d = 1 } }"), ["[a]", r#"[a."b c"]"#, key]);
    assert_eq!(content("a = { 'b c'.d = 1, }"), ["[a]", key]);
    let elements = ["[[a]]", r#"a "x" = Integer(1)"#, "[[a]]", r#"a "x" = Integer(2)"#];
    assert_eq!(content("[[a]]\nx = 1\n[[ a ]]\nx = 2"), elements);
    assert_eq!(content("a = [{ x = 1 },\n { x = 2 }, # last\n]"), elements);
}

#[test]
fn arrays_may_take_several_lines() {
    let expected = ["\"a\" = []", "\"a\"[0] = Integer(1)", "\"a\"[1] = Integer(2)"];
    for document in ["a=[1,2]", "a = [ 1 , 2 , ]", "a = [ # x\n\n 1, # y\n 2 # z\n ] # end\n"] {
        assert_eq!(content(document), expected);
    }
    assert_eq!(content("a = []"), ["\"a\" = []"]);
    assert_eq!(content("a = [\n]\nb = 1"), ["\"a\" = []", "\"b\" = Integer(1)"]);
}

#[test]
fn scalars_are_decoded() {
    for (text, expected) in [
        ("0", "Integer(0)"),
        ("+1_000", "Integer(1000)"),
        ("-17", "Integer(-17)"),
        ("0xdead_BEEF", "Integer(3735928559)"),
        ("0o755", "Integer(493)"),
        ("0b1101", "Integer(13)"),
        ("9223372036854775807", "Integer(9223372036854775807)"),
        ("-9223372036854775808", "Integer(-9223372036854775808)"),
        ("1.5e-3", "Float(\"1.5e-3\")"),
        ("1_0.2_5", "Float(\"10.25\")"),
        ("-inf", "Float(\"-inf\")"),
        ("true", "Boolean(true)"),
        ("false", "Boolean(false)"),
        ("2023-11-16T18:17:03Z", "DateTime(\"2023-11-16T18:17:03Z\")"),
        ("2023-11-16 18:17:03.5", "DateTime(\"2023-11-16 18:17:03.5\")"),
        ("'a\\b'", r#"String("a\\b")"#),
        (r#""\\ \" \b\f\n\r\t \u00E9 \U0001F600""#, r#"String("\\ \" \u{8}\u{c}\n\r\t é 😀")"#),
        ("\"\"\"\na\\\n   b\n\"\"\"", r#"String("ab\n")"#),
        ("'''\na\nb'''", r#"String("a\nb")"#),
        ("\"\"", "String(\"\")"),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn malformed_scalars_are_refused() {
    for text in [
        "01",
        "1__0",
        "_1",
        "1_",
        "0x",
        "0xg",
        "+0x1",
        "1.",
        ".5",
        "1e",
        "--1",
        "True",
        "yes",
        "hello",
        "hello world",
        "2023-02-29",
        "2023-02-28 24:00:00",
        "'a",
        "\"a",
        "\"\\q\"",
        "\"\\ud800\"",
        "\"\\u12\"",
        "\"a\u{1}\"",
        "'''a",
        "",
        "=",
    ] {
        let found = read(format!("k = {text}\nj = 1\n"));
        assert!(!found.errors.is_empty(), "{text}");
        assert!(!found.content.iter().any(|line| line.starts_with("\"k\"")), "{text}: {:?}", found.content);
        let multi_line = text.starts_with("'''");
        assert_eq!(found.content.contains(&"\"j\" = Integer(1)".to_owned()), !multi_line, "{text}");
    }
}

#[test]
fn integers_beyond_64_bits_are_refused() {
    let message = "1:5: integer out of range, expected -9223372036854775808 to 9223372036854775807";
    for text in ["9223372036854775808", "-9223372036854775809", "0xffffffffffffffff"] {
        assert_eq!(errors(format!("k = {text}")), [message]);
    }
}

#[test]
fn every_error_is_told_with_its_place() {
    let document = "\
a = 1
a = 2
b
= 3
[c
d = 4
[e]]
é = 5
f = [1 2]
g = { h = 1
i = [[1], [2]]
j = [1, { k = 1 }]
[e]
[[e]]
[l] m = 1
";
    assert_eq!(
        errors(document),
        [
            "2:1: key a is set twice, first in line 1, expected it once",
            "3:2: key without a value, expected `=`",
            "4:1: missing key, expected a key",
            "5:3: unclosed table header, expected `]`",
            "7:4: text after the end of the statement, expected the end of the line",
            "8:1: invalid unquoted key, expected letters, numbers, `-` or `_`",
            "9:8: missing comma between values, expected `,` or `]`",
            "10:12: unclosed inline table, expected `}`",
            "11:6: array in an array, expected a value",
            "12:9: array of tables and other values, expected one or the other",
            "13:2: table e is defined twice, first in line 7, expected it once",
            "14:3: table e is defined twice, first in line 7, expected it once",
            "15:5: text after the end of the statement, expected the end of the line",
        ]
    );
}

#[test]
fn an_unclosed_array_ends_where_only_a_statement_can_stand() {
    for rest in ["[next]\nx = 1\n", "[[next]]\nx = 1", "x = 1\n", "\"/api/v1\" = 'x'\n"] {
        for array in ["a = [\n", "a = [1,\n", "a = [1, 2\n", "a = [[1],\n", "a = [{ b = 1 }, 2,\n"] {
            let found = read(format!("{array}{rest}"));
            assert_eq!(found.errors.len(), 1, "{array}{rest}{:?}", found.errors);
            assert!(found.content.iter().any(|line| line.contains("x")), "{array}{rest}");
        }
    }
    assert_eq!(errors("a = [1,\n[next]\n"), ["2:1: unclosed array, expected `]`"]);
}

#[test]
fn a_document_that_is_cut_off_has_an_error_at_its_end() {
    for (document, expected) in [
        ("[", "1:2: missing key, expected a key"),
        ("[[limit]", "1:9: unclosed table header, expected `]]`"),
        ("[limit", "1:7: unclosed table header, expected `]`"),
        ("[limit.", "1:8: missing key, expected a key"),
        ("a", "1:2: key without a value, expected `=`"),
        ("a =", "1:4: missing value, expected a value"),
        ("a = \"x", "1:7: invalid basic string, expected `\"`"),
        ("a = 'x", "1:7: invalid literal string, expected `'`"),
        ("a = [", "1:6: unclosed array, expected `]`"),
        ("a = [1,\n2\n", "3:1: unclosed array, expected `]`"),
        ("a = {", "1:6: unclosed inline table, expected `}`"),
        ("a = { b = 1,", "1:13: unclosed inline table, expected `}`"),
    ] {
        assert_eq!(errors(document), [expected], "{document}");
    }
}

#[test]
fn nothing_is_defined_twice() {
    // After the tests of the TOML project for tables, dotted keys, inline tables and arrays of tables.
    for document in [
        "a = 1\n'a' = 2",
        "a = 1\na.b = 2",
        "a.b = 1\na.b = 2",
        "a.b = 1\na = 2",
        "a = 1\n[a]",
        "a = 1\n[a.b]",
        "a = 1\n[[a]]",
        "a = []\n[[a]]",
        "a = [{}]\n[[a]]",
        "a = [{}]\n[a.b]",
        "[a]\n[a]",
        "[a]\nb = 1\n[a.b]",
        "[a.b]\n[a]\nb = 1",
        "[a.b]\n[a]\nb.c = 1",
        "[a]\nb.c = 1\n[a.b]",
        "[a]\nb.c.d = 1\n[a.b.c]",
        "a.b = 1\n[a]",
        "[[a]]\n[a]",
        "[a]\n[[a]]",
        "[a.b]\n[[a]]",
        "[[a.b]]\n[a.b]",
        "[[a.b]]\n[[a]]",
        "[[a]]\n[a.b]\n[a.b]",
        "[[a]]\n[a]\nb = 1",
        "a = { b = 1, b = 2 }",
        "a = { b = 1, b.c = 2 }",
        "a = { b = { c = 1 }, b.d = 2 }",
        "a = { b = 1 }\na.c = 2",
        "a = { b = 1 }\n[a.c]",
        "a = {}\n[a]",
        "[a]\nb = { c = 1 }\n[a.b.d]",
    ] {
        assert_eq!(errors(document).len(), 1, "{document}: {:?}", errors(document));
    }
    for document in [
        "[a.b]\n[a]\nc = 1",
        "[a.b]\n[a.c]",
        "[a]\n[a.b]",
        "a.b = 1\na.c = 2",
        "[a]\nb.c = 1\nb.d.e = 2\n[a.b.f]",
        "[[a]]\nb = 1\n[[a]]\nb = 1",
        "[[a]]\n[a.b]\n[[a]]\n[a.b]",
        "[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]",
        "[[a.b]]\n[a]",
        "a = [{ b = 1 }, { b = 1 }]",
        "'' = 1\n[b]\n'' = 1",
        "\"a.b\" = 1\na.b = 1",
    ] {
        assert_eq!(errors(document), [""; 0], "{document}");
    }
}

#[test]
fn a_table_that_is_refused_is_still_searched_for_errors() {
    let found = read("[a]\n[a]\nb = 1\nc = 01\n[d]\ne = 1\n");
    assert_eq!(found.content, ["[a]", "[d]", "d \"e\" = Integer(1)"]);
    assert_eq!(found.errors.len(), 2);
    assert!(found.errors[1].starts_with("4:"), "{:?}", found.errors);
}

#[test]
fn places_are_counted_in_characters() {
    struct Places(Vec<String>);
    impl Visitor for Places {
        fn table(&mut self, _: Path<'_>, _: TableKind, at: Position) {
            self.0.push(format!("table at {at}"));
        }
        fn value(&mut self, key: Key<'_>, _: Value<'_>, at: Position) {
            self.0.push(format!("key at {}, value at {at}", key.at));
        }
        fn array(&mut self, key: Key<'_>, at: Position) {
            self.0.push(format!("key at {}, array at {at}", key.at));
        }
        fn element(&mut self, key: Key<'_>, _: usize, _: Value<'_>, at: Position) {
            self.0.push(format!("key at {}, element at {at}", key.at));
        }
        fn error(&mut self, at: Position, error: SyntaxError<'_>) {
            panic!("{at}: {error}");
        }
    }
    let mut places = Places(Vec::new());
    let document = "\u{feff}'é' = 'é' # é\r\n  [ t ]\r\na.b = [1,\n 2]\nc = { d = '''\n''' }";
    let _ = Reader::new().read(document.as_bytes(), &mut places);
    assert_eq!(
        places.0,
        [
            "key at line 1, column 1, value at line 1, column 7",
            "table at line 2, column 3",
            "key at line 3, column 3, array at line 3, column 7",
            "key at line 3, column 3, element at line 3, column 8",
            "key at line 3, column 3, element at line 4, column 2",
            "table at line 5, column 5",
            "key at line 5, column 7, value at line 5, column 11",
        ]
    );
}

#[test]
fn limits_are_named() {
    let long = "x".repeat(super::MAX_DOCUMENT_BYTES + 1);
    assert_eq!(errors(&long), ["1:1: document of 65537 bytes is too long, expected at most 65536"]);
    assert_eq!(errors(b"a = 1\n\xc3\xa9\xff"), ["2:2: text is not UTF-8"]);
    let escaped = |length: usize| format!("a = \"\\t{}\"", "x".repeat(length - 1));
    assert_eq!(content(&escaped(super::MAX_DECODED_BYTES)).len(), 1);
    assert_eq!(
        errors(escaped(super::MAX_DECODED_BYTES + 1)),
        ["1:5: string with escapes is too long, expected at most 4096 bytes"]
    );
    assert_eq!(content(&format!("a = '{}'", "x".repeat(60_000))).len(), 1);
    let deep = |parts: usize| format!("{}x = 1\ny = 1", "x.".repeat(parts - 1));
    assert_eq!(content(&deep(super::MAX_PATH_PARTS)).len(), 2);
    let message = "1:33: key is too long, expected at most 16 parts and 1024 bytes with its tables";
    assert_eq!(errors(deep(super::MAX_PATH_PARTS + 1)), [message]);
    assert_eq!(errors("a = {".repeat(0) + &"a={".repeat(20_000)).len(), 1);
    assert_eq!(errors("a=[{".repeat(15_000)).len(), 1);
    assert_eq!(errors(format!("a = {}", "[".repeat(60_000))).len(), 1);
}

#[test]
fn as_many_keys_as_stated_can_be_defined() {
    let document = |keys: usize| (0..keys).map(|key| format!("{key}=1\n")).collect::<String>();
    assert_eq!(content(&document(super::MAX_DEFINITIONS)).len(), super::MAX_DEFINITIONS);
    assert_eq!(
        errors(document(super::MAX_DEFINITIONS + 2)),
        ["7169:1: too many keys and tables, expected at most 7168"]
    );
}

#[test]
fn a_reader_can_be_used_again() {
    let mut reader = Box::new(Reader::new());
    for _ in 0..2 {
        let mut notes = Notes::default();
        let _ = reader.read(b"[a]\nb = 1", &mut notes);
        assert_eq!(notes.content, ["[a]", "a \"b\" = Integer(1)"]);
    }
}

const DOCUMENT: &str = r#"
[identity]
actor_headers = ["X-Actor", 'X-User-Id',
] # two
hops.trusted = 0x1F
[[limit]]
scope = "ip:\u00e9"
when = { from = 2023-11-16 18:17:03, 'to' = [1.5, -2] }
text = """
a\
b"""
"#;

/// A document of tables with distinct names, and what is to be told of it.
fn documents() -> impl Strategy<Value = (String, Vec<String>)> {
    let key = "[a-z]{1,3}|\"[a-z ./é]{0,4}\"|'[a-z\"]{0,4}'";
    let value = prop_oneof![
        any::<i64>().prop_map(|value| (value.to_string(), format!("Integer({value})"))),
        any::<bool>().prop_map(|value| (value.to_string(), format!("Boolean({value})"))),
        "[ -~é\n\t]{0,12}".prop_map(|value| {
            let escaped: String = value
                .chars()
                .map(|c| match c {
                    '"' | '\\' => format!("\\{c}"),
                    c if c < ' ' => format!("\\u{:04X}", u32::from(c)),
                    c => c.to_string(),
                })
                .collect();
            (format!("\"{escaped}\""), format!("String({value:?})"))
        }),
    ];
    let pairs = prop::collection::vec((key, value), 0..5);
    let tables = prop::collection::vec((any::<bool>(), pairs), 0..5);
    tables.prop_map(|tables| {
        let (mut text, mut expected) = (String::new(), Vec::new());
        for (index, (array, pairs)) in tables.into_iter().enumerate() {
            let (open, close) = if array { ("[[", "]]") } else { ("[", "]") };
            let name = if array { "elements".to_owned() } else { format!("t{index}") };
            text += &format!("{open}{name}{close}\n");
            expected.push(format!("{open}{name}{close}"));
            let mut seen = Vec::new();
            for (key, (written, told)) in pairs {
                let bare = key.trim_matches(key.chars().next().filter(|c| "\"'".contains(*c)).unwrap_or(' '));
                if !seen.contains(&bare.to_owned()) {
                    text += &format!("{key} = {written}\n");
                    expected.push(format!("{name} {bare:?} = {told}"));
                    seen.push(bare.to_owned());
                }
            }
        }
        (text, expected)
    })
}

proptest! {
    #[test]
    fn what_was_written_is_told((document, expected) in documents()) {
        let notes = read(&document);
        prop_assert_eq!(notes.errors, Vec::<String>::new());
        prop_assert_eq!(notes.content, expected);
    }

    #[test]
    fn a_cut_document_never_panics_and_tells_no_more(cut in 0..DOCUMENT.len()) {
        let whole = content(DOCUMENT);
        let notes = read(&DOCUMENT.as_bytes()[..cut]);
        // The last value may be a shorter one; all before it are the same.
        let certain = notes.content.len().saturating_sub(1);
        prop_assert_eq!(&notes.content[..certain], &whole[..certain]);
    }

    #[test]
    fn a_changed_document_never_panics(at in 0..DOCUMENT.len(), byte in any::<u8>(), rest in ".{0,3}") {
        let mut document = DOCUMENT.as_bytes().to_vec();
        document.splice(at..=at, [byte].into_iter().chain(rest.bytes()));
        let _ = read(document);
    }

    #[test]
    fn arbitrary_documents_never_panic(document in "[a=\\[\\]{},.\"'\n\r #\\\\1é-]{0,60}") {
        let _ = read(document);
    }

    #[test]
    fn an_error_in_a_line_does_not_hide_the_next_statement(line in "[a=\\]},. #1é]{0,12}|\"[a\\\\]{0,5}|'[a ]{0,3}") {
        let notes = read(format!("{line}\n[next]\nkey = 1\n"));
        prop_assert!(notes.content.contains(&"next \"key\" = Integer(1)".to_owned()), "{:?}", notes.content);
    }
}
