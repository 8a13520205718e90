use super::ConfigReader;
use governance::config::Config;

/// Reads a document, and gives back its errors as they are shown.
fn read(document: &str) -> (Box<Config>, Vec<String>) {
    let mut config = Box::new(Config::new());
    let mut errors = Vec::new();
    let count = ConfigReader::new()
        .read(document.as_bytes(), &mut config, &mut |at, error| errors.push(format!("{at}: {error}")));
    assert_eq!(count, errors.len());
    (config, errors)
}

const GOOD: &str = r#"
[identity]
actor_headers = ["X-Actor", "X-User-Id"]
session_header = "X-Session-Id"
trusted_hops = 1

[routes]
"/api/v1/chat" = "chat"
"/healthz" = "exempt"

[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 10
rate = "1/s"

[[limit]]
scope = "service:web"
algorithm = "fixed-window"
limit = 300
window = "60s"
align = "clock"
"#;

#[test]
fn a_good_document_is_taken_whole() {
    let (config, errors) = read(GOOD);
    assert_eq!(errors, [""; 0]);
    let names: Vec<_> = config.limits().iter().map(|spec| spec.name.to_string()).collect();
    assert_eq!(names, ["ip:*", "service:web"]);
    assert_eq!(config.routes.group_of(b"/api/v1/chat/1").as_str(), "chat");
    assert_eq!(config.identity.actor_headers().collect::<Vec<_>>(), ["X-Actor", "X-User-Id"]);
    assert_eq!(config.identity.trusted_hops, 1);
}

#[test]
fn every_error_is_reported_where_it_is() {
    let (_, errors) = read(
        r#"
colour = "red"
[identity]
trusted_hops = 99
[routes]
"chat" = "chat"
"/x" = 3
[server]
port = 80
[[limit]]
scope = "ip:*"
algorithm = "token-bucket"
capacity = 0
rate = "1/s"
[[limit]]
scope = "planet:mars"
algorithm = "guess"
[[limit]]
scope = "user:*"
algorithm = "fixed-window"
limit = 1.5
burst = 3
[limits]
[[limit]]
scope = "user:a"
algorithm = "token-bucket"
capacity = 1
"#,
    );
    let starts: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "line 2, column 1",
            "line 4, column 16",
            "line 6, column 1",
            "line 7, column 8",
            "line 8, column 1",
            "line 13, column 12",
            "line 16, column 9",
            "line 17, column 13",
            "line 21, column 9",
            "line 22, column 1",
            "line 23, column 1",
            "line 24, column 1",
        ],
        "{errors:#?}"
    );
    assert!(errors[11].ends_with("rate: missing; algorithm token-bucket needs it"), "{}", errors[11]);
}

#[test]
fn every_field_that_is_wrong_in_a_limit_is_named_where_it_stands() {
    let (_, errors) = read(
        "[[limit]]\nscope = \"ip:*\"\nalgorithm = \"fixed-window\"\ncapacity = 3\nrate = \"1/s\"\n\n[[limit]]\n\
         scope = \"user:*\"\nalgorithm = \"token-bucket\"\ncapacity = 9223372036854775807\nrate = \"1/1d\"\n",
    );
    assert_eq!(
        errors,
        [
            "line 4, column 12: capacity: does not go with algorithm fixed-window, which takes limit, window and align",
            "line 5, column 8: rate: does not go with algorithm fixed-window, which takes limit, window and align",
            "line 1, column 1: limit: missing; algorithm fixed-window needs it",
            "line 1, column 1: window: missing; algorithm fixed-window needs it",
            "line 10, column 12: capacity: times its period is 2^100 ns or more; choose a smaller one or a shorter period",
        ]
    );
}

#[test]
fn limits_that_do_not_go_together_are_named() {
    let twice = format!("{GOOD}\n[[limit]]\nscope = \"ip:*\"\nalgorithm = \"ban\"\n");
    let (_, errors) = read(&twice);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("limit 'ip:*': a limit of that name exists"), "{}", errors[0]);
}

#[test]
fn what_is_unknown_is_told_with_what_there_is() {
    let (_, errors) =
        read("x = 1\n[identity]\nname = 1\n[limits]\n[[routes]]\n[[limit]]\nburst = 3\nscope = [\"ip:*\"]\n");
    assert_eq!(
        errors,
        [
            "line 1, column 1: unknown key 'x'; expected a table: one of [identity], [routes], [[limit]], \
             [[tenant]], [[quota]], [[model]], [[budget]] and [[billing]]",
            "line 3, column 1: unknown key 'name'; expected actor_headers, session_header or trusted_hops",
            "line 4, column 1: unknown table 'limits'; expected one of [identity], [routes], [[limit]], \
             [[tenant]], [[quota]], [[model]], [[budget]] and [[billing]]",
            "line 5, column 1: expected [routes], which is there once",
            "line 7, column 1: unknown key 'burst'; expected one of scope, name, algorithm, capacity, rate, limit, \
             window, lease, unit, align, enabled and mode",
            "line 8, column 9: scope: expected a single value, found an array",
        ]
    );
    let (_, errors) = read("[limit]\nscope = 3\n");
    assert_eq!(errors, ["line 1, column 1: expected [[limit]], one for each limit"]);
}

#[test]
fn a_document_that_is_cut_off_anywhere_is_refused_or_shorter() {
    for end in 0..GOOD.len() {
        let (config, errors) = read(&GOOD[..end]);
        assert!(!errors.is_empty() || config.limits().len() <= 2);
    }
    let (_, errors) = read(&GOOD[..GOOD.find("token-bucket").unwrap()]);
    assert!(!errors.is_empty());
}
