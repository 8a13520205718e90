//! Tab at the shell's own command table.

use proptest::prelude::*;
use shell::complete::{CommandCompleter, Names};
use shell::editor::{Editor, Event};
use shell::term::Term;

use crate::terminal::Terminal;

struct Known;

impl Names for Known {
    fn limit_names(&self, each: &mut dyn FnMut(&str)) {
        for name in ["ip:*", "service:web", "service:github", "front page", "front door", "--odd", "a=b"] {
            each(name);
        }
    }

    fn quota_names(&self, each: &mut dyn FnMut(&str)) {
        ["tenant:acme/monthly", "user:*/daily#tokens"].into_iter().for_each(each);
    }

    fn tenant_names(&self, each: &mut dyn FnMut(&str)) {
        ["acme", "globex"].into_iter().for_each(each);
    }

    fn alert_names(&self, _: &mut dyn FnMut(&str)) {}

    fn policy_names(&self, each: &mut dyn FnMut(&str)) {
        ["no-interns", "nights", "to v2"].into_iter().for_each(each);
    }

    fn service_names(&self, each: &mut dyn FnMut(&str)) {
        ["billing", "search"].into_iter().for_each(each);
    }

    fn route_names(&self, each: &mut dyn FnMut(&str)) {
        ["route:github:get", "route:openai:post"].into_iter().for_each(each);
    }

    fn file_names(&self, each: &mut dyn FnMut(&str)) {
        ["weir.toml", "demo.log", "évènement.log", "\x1b[2J"].into_iter().for_each(each);
    }
}

/// Types `keys` and answers with the line, and with the rows that a dumb terminal shows.
fn typed(keys: &str) -> (String, Vec<String>) {
    typed_at(Term::Dumb, keys)
}

fn typed_at(term: Term, keys: &str) -> (String, Vec<String>) {
    let mut editor = Editor::new();
    editor.set_term(term);
    let mut terminal = Terminal::new(term == Term::Ansi);
    editor.begin(&mut terminal);
    for byte in keys.bytes() {
        assert_eq!(editor.feed(byte, &mut terminal, &CommandCompleter { names: &Known }), Event::None);
    }
    (editor.line().to_string(), terminal.text())
}

fn line(keys: &str) -> String {
    typed(keys).0
}

#[test]
fn one_candidate_is_inserted_with_what_follows_it() {
    assert_eq!(line("rat\t"), "ratelimit ");
    assert_eq!(line("ratelimit buc\tip\t"), "ratelimit buckets ip:* ");
    assert_eq!(line("request serv\t"), "request service=");
    assert_eq!(line("request serv\tx us\t"), "request service=x user=");
    assert_eq!(line("cat d\t"), "cat demo.log ");
    assert_eq!(line("cat é\t"), "cat évènement.log ");
    assert_eq!(line("ls -\t"), "ls --json ");
    assert_eq!(line("replay demo.log --j\t"), "replay demo.log --json ");
    assert_eq!(line("term \t\x02\x02"), "term ");
    assert_eq!(line("term d\t"), "term dumb ");
    assert_eq!(line("help rat\tad\t"), "help ratelimit add ");
    assert_eq!(line("traffic breaker o\tr\tg\t"), "traffic breaker open route:github:get ");
    assert_eq!(line("traffic ret\troute:o\tst\t"), "traffic retry route:openai:post status=");
    assert_eq!(line("ratelimit ban ip\t9"), "ratelimit ban ip:9");
    assert_eq!(line("ratelimit add scope=te\t"), "ratelimit add scope=tenant:");
    assert_eq!(line("ratelimit add algorithm=tok\t"), "ratelimit add algorithm=token-bucket ");
}

#[test]
fn a_list_of_candidates_leaves_the_whole_of_a_wide_line_above_it() {
    let line = format!("ratelimit try user={} se", "x".repeat(80));
    let (_, rows) = typed_at(Term::Ansi, &format!("{line}\t\t"));
    let (first, second) = line.split_at(80 - "weir> ".len());
    assert_eq!(rows[..2], [format!("weir> {first}"), second.to_string()]);
    assert_eq!(rows[2], "service  session");
    assert_eq!(rows[3], format!("weir> <{}", &line[line.len() - rows[3].len() + "weir> <".len()..]));
    assert_eq!(rows.len(), 4);
}

#[test]
fn completion_leaves_alone_what_follows_the_cursor() {
    assert_eq!(line("rat status\x01\x1b[C\x1b[C\x1b[C\t"), "ratelimit  status");
}

#[test]
fn what_is_given_already_is_not_offered_again() {
    assert_eq!(line("request service=x serv\t"), "request service=x serv");
    assert_eq!(line("ls --json --\t"), "ls --json --");
    assert_eq!(line("cat demo.log w\t"), "cat demo.log w");
}

#[test]
fn several_candidates_are_completed_as_far_as_they_agree_and_then_listed() {
    assert_eq!(line("ratelimit show s\t"), "ratelimit show service:");
    let (line, rows) = typed("ratelimit show s\t\t");
    assert_eq!(line, "ratelimit show service:");
    assert_eq!(
        rows,
        ["weir> ratelimit show service:", "service:web     service:github", "weir> ratelimit show service:"]
    );
    let (_, rows) = typed("re\t");
    assert_eq!(rows, ["weir> re"]);
    let (_, rows) = typed("re\t\tp\t");
    assert_eq!(rows, ["weir> re", "request  replay   reboot", "weir> replay"]);
    let (_, rows) = typed("re\tx\x7f\t");
    assert_eq!(rows, ["weir> re"], "another key between two Tabs");
}

#[test]
fn names_are_quoted_where_they_need_it() {
    assert_eq!(line("ratelimit show fr\t"), r#"ratelimit show "front "#);
    assert_eq!(line("ratelimit show fr\tp\t"), r#"ratelimit show "front page" "#);
    assert_eq!(line("ratelimit show \"fr\tp\t"), r#"ratelimit show "front page" "#);
    assert_eq!(line("ratelimit show a\t"), r#"ratelimit show "a=b" "#);
    assert_eq!(line("ratelimit show \"--o\t"), r#"ratelimit show "--odd" "#);
}

#[test]
fn nothing_is_offered_where_nothing_fits() {
    for keys in
        ["frob\t", "frob x\t", "ratelimit frob x\t", "uptime \t", "replay demo.log seed=\t", "cat \"\t"]
    {
        let typed_text = keys.trim_end_matches('\t');
        let completed = line(keys);
        assert!(completed == typed_text, "{keys:?} gave {completed:?}");
    }
}

#[test]
fn a_completion_that_does_not_fit_changes_nothing() {
    let filler = "x".repeat(505);
    assert_eq!(line(&format!("rat {filler}\x01\x1b[C\x1b[C\x1b[C\t")), format!("rat {filler}"));
}

#[test]
fn a_name_with_control_characters_is_not_offered() {
    let (_, rows) = typed("cat \t\t");
    assert_eq!(rows, ["weir> cat", "weir.toml      demo.log       évènement.log", "weir> cat"]);
}

#[test]
fn quotas_tenants_and_services_are_offered_by_name() {
    assert_eq!(typed("quota set t\t").0, "quota set tenant:acme/monthly ");
    assert_eq!(typed("cost bill g\t").0, "cost bill globex ");
    assert_eq!(typed("priority set b\t").0, "priority set billing ");
}

#[test]
fn policies_are_offered_by_name() {
    assert_eq!(line("pol\tsho\tno\t"), "policy show no-interns ");
    assert_eq!(line("policy shadow t\t"), "policy shadow \"to v2\" ");
    assert_eq!(line("policy set nights mode=s\t"), "policy set nights mode=shadow ");
    assert_eq!(line("policy explain ro\t"), "policy explain ro");
    assert_eq!(line("policy explain rol\tx a\t"), "policy explain role=x a");
    assert_eq!(line("policy diff we\t"), "policy diff weir.toml ");
    assert_eq!(line("policy default d\t"), "policy default deny ");
}

#[test]
fn a_long_list_is_cut_short() {
    struct Many;
    impl Names for Many {
        fn limit_names(&self, each: &mut dyn FnMut(&str)) {
            (0..1000).for_each(|index| each(&format!("user:{index:03}")));
        }
        fn quota_names(&self, _: &mut dyn FnMut(&str)) {}
        fn tenant_names(&self, _: &mut dyn FnMut(&str)) {}
        fn policy_names(&self, _: &mut dyn FnMut(&str)) {}
        fn alert_names(&self, _: &mut dyn FnMut(&str)) {}

        fn service_names(&self, _: &mut dyn FnMut(&str)) {}

        fn route_names(&self, _: &mut dyn FnMut(&str)) {}
        fn file_names(&self, _: &mut dyn FnMut(&str)) {}
    }
    let mut editor = Editor::new();
    let mut terminal = Terminal::new(true);
    for byte in b"ratelimit show u\t\t" {
        editor.feed(*byte, &mut terminal, &CommandCompleter { names: &Many });
    }
    let rows = terminal.text();
    assert!(rows.iter().all(|row| row.len() < 80));
    assert_eq!(rows[rows.len() - 2..], ["... and 800 more", "weir> ratelimit show user:"]);
}

proptest! {
    #[test]
    fn tab_never_panics_and_never_takes_away(
        head in prop::sample::select(vec!["", "ratelimit ", "ratelimit show ", "request ", "cat ", "replay x "]),
        rest in r#"[a-z="\\: *-]{0,20}"#,
        tabs in 1_usize..4,
    ) {
        let text = format!("{head}{rest}");
        let completed = line(&format!("{text}{}", "\t".repeat(tabs)));
        let plain = |line: &str| line.replace(['"', '\\'], "");
        prop_assert!(plain(&completed).starts_with(plain(&text).as_str()), "{:?} became {:?}", text, completed);
    }
}
