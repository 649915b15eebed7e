use super::*;

fn error(start: u32, message: &str) -> Diagnostic {
    Diagnostic::new(Code::Yaml, Span { source: SourceId(0), start, end: start + 1 }, message)
}

fn messages(found: &Diagnostics) -> Vec<&str> {
    found.sorted().into_iter().map(|one| one.message.as_str()).collect()
}

#[test]
fn the_same_thing_at_the_same_place_is_said_once() {
    let mut found = Diagnostics::default();
    for one in [error(1, "x"), error(1, "x").why("else"), error(1, "y"), error(2, "x"), error(1, "x")] {
        found.push(one);
    }
    assert_eq!(messages(&found), ["x", "y", "x"]);
    let mut more = Diagnostics::default();
    more.push(error(2, "x"));
    more.push(error(3, "x"));
    found.extend(more);
    assert_eq!(found.count(Severity::Error), 4);
}

#[test]
fn they_are_ordered_by_place_and_what_has_none_comes_first() {
    let mut found = Diagnostics::default();
    let elsewhere = Span { source: SourceId(1), start: 0, end: 1 };
    found.push(Diagnostic::new(Code::Yaml, elsewhere, "fourth"));
    found.push(error(9, "third"));
    found.push(Diagnostic::new(Code::EvenEtcd, error(2, "").span, "second"));
    found.push(Diagnostic::new(Code::Yaml, None, "first"));
    assert_eq!(messages(&found), ["first", "second", "third", "fourth"]);
}

#[test]
fn beyond_the_limit_they_are_counted() {
    let mut found = Diagnostics::default();
    (0..250).for_each(|at| found.push(error(at, "x")));
    assert_eq!((found.sorted().len(), found.left_out()), (Diagnostics::LIMIT, 50));
    let mut more = Diagnostics::default();
    (250..500).for_each(|at| more.push(error(at, "x")));
    found.extend(more);
    assert_eq!((found.sorted().len(), found.left_out()), (Diagnostics::LIMIT, 300));
    assert!(text(&found, &sources(&" ".repeat(600)), Style::Plain).ends_with("\n200 errors, 300 more not shown\n"));
}

#[test]
fn any_number_of_warnings_is_no_error_and_hides_none() {
    let mut found = Diagnostics::default();
    (0..250).for_each(|at| found.push(Diagnostic::new(Code::EvenEtcd, error(at, "").span, "x")));
    assert!(!found.has_errors());
    assert_eq!(found.left_out(), 50);
    found.push(error(0, "it"));
    assert!(found.has_errors());
    assert!(messages(&found).contains(&"it"));
}

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add("p.yaml", text.to_owned(), true);
    sources
}

#[test]
fn a_position_counts_lines_and_characters_from_one() {
    let sources = sources("é: 1\r\n𝄞: x");
    let position = |offset| sources.position(SourceId(0), offset);
    assert_eq!(position(0), (1, 1));
    assert_eq!(position(2), (1, 2));
    assert_eq!(position(7), (2, 1));
    assert_eq!(position(8), (2, 1), "inside of a character it is that character's place");
    assert_eq!(position(13), (2, 4));
    assert_eq!(position(1000), (2, 5));
}

#[test]
fn json_has_place_and_words_of_each() {
    let sources = sources("é: 1\nb: 2\n");
    let mut found = Diagnostics::default();
    let span = |start, end| Span { source: SourceId(0), start, end };
    found.push(Diagnostic::new(Code::EvenEtcd, span(9, 10), "m").related(span(0, 2), "r").why("w").help("n"));
    found.push(Diagnostic::new(Code::Yaml, None, "nowhere"));
    let expected = serde_json::json!({
        "left_out": 0,
        "diagnostics": [
            {
                "severity": "error", "code": "yaml", "message": "nowhere", "why": null, "help": null, "related": [],
                "file": "p.yaml", "line": null, "column": null, "end_line": null, "end_column": null, "start": null, "end": null,
            },
            {
                "severity": "warning", "code": "even-etcd", "message": "m", "why": "w", "help": "n",
                "file": "p.yaml", "line": 2, "column": 4, "end_line": 2, "end_column": 5, "start": 9, "end": 10,
                "related": [{
                    "what": "r",
                    "file": "p.yaml", "line": 1, "column": 1, "end_line": 1, "end_column": 2, "start": 0, "end": 2,
                }],
            },
        ],
    });
    assert_eq!(json(&found, &sources), expected);
}

#[test]
fn what_has_no_place_names_the_profile_if_there_is_one() {
    let mut found = Diagnostics::default();
    found.push(Diagnostic::new(Code::Yaml, None, "missing").help("m"));
    let mut sources = Sources::default();
    assert_eq!(text(&found, &sources, Style::Plain), "error[yaml]: missing\n |\n = help: m\n\n1 error\n");
    assert_eq!(json(&found, &sources)["diagnostics"][0]["file"], serde_json::Value::Null);
    sources.add("templates/line.yaml", "a: b".to_owned(), false);
    sources.add("p.yaml", "a: b".to_owned(), true);
    assert_eq!(text(&found, &sources, Style::Plain), "error[yaml]: missing\n--> p.yaml\n = help: m\n\n1 error\n");
}

#[test]
fn a_related_place_that_nobody_wrote_is_left_out() {
    let place = error(2, "").span;
    let one = Diagnostic::new(Code::Yaml, None, "m").related(None, "nowhere").related(place, "there");
    assert_eq!(one.related, [(place.unwrap(), "there".to_owned())]);
}

#[test]
fn text_marks_the_place_and_counts() {
    let mut found = Diagnostics::default();
    found.push(Diagnostic::new(Code::Yaml, Span { source: SourceId(0), start: 7, end: 20 }, "wrong").label("here").why("w").help("m"));
    found.push(Diagnostic::new(Code::EvenEtcd, None, "hm"));
    let expected = "\
warning[even-etcd]: hm
--> p.yaml

error[yaml]: wrong
 --> p.yaml:2:2
  |
2 | é: x
  |  ^^^ here
  |
  = why: w
  = help: m

1 error, 1 warning
";
    assert_eq!(text(&found, &sources("a: b\né: x\nc: d\n"), Style::Plain), expected, "a place never reaches past its first line");
    assert_eq!(text(&Diagnostics::default(), &Sources::default(), Style::Plain), "");
}

#[test]
fn what_was_meant_is_the_closest_word() {
    let words = ["etcd", "kubelet", "kube-proxy", "kube-scheduler"];
    for (typo, meant) in [("etdc", "etcd"), ("kublet", "kubelet"), ("KUBE-PROXY", "kube-proxy"), ("kube_sheduler", "kube-scheduler")] {
        assert_eq!(closest(typo, words), Some(meant), "{typo}");
    }
    for other in ["flannel", "", "kube", "docker", &"kubelet".repeat(100)] {
        assert_eq!(closest(other, words), None, "{other}");
    }
    assert_eq!(closest("ab", ["abc", "ab", "abd"]), Some("ab"));
}

#[test]
fn each_code_is_found_by_its_name_and_by_no_other() {
    for code in Code::all() {
        assert_eq!(Code::find(code.name()), Some(code));
    }
    assert_eq!(Code::find("no-such-code"), None);
}

#[test]
fn names_are_in_kebab_case_and_each_is_there_once() {
    let mut names: Vec<&str> = Code::all().map(Code::name).collect();
    for name in &names {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)), "{name}");
    }
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn each_code_is_explained_by_a_line_and_two_paragraphs() {
    for code in Code::all() {
        let Explanation { meaning, why, help } = code.explanation();
        let name = code.name();
        assert!(meaning.len() <= 110 && meaning.matches(". ").count() == 0, "{name}: {meaning}");
        for text in [&meaning, &why, &help] {
            assert!(text.ends_with(['.', ')', '`']) && !text.contains("  "), "{name}: {text}");
        }
    }
}

/// What is left of warnings at these lines of a profile (from 1; 0 for no place), and which acknowledgements are unused.
fn left(text: &str, at: &[(Code, usize)]) -> (Vec<usize>, Vec<usize>) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let source = sources.add("p.yaml", text.to_owned(), true);
    found.allow(source, text);
    for (code, line) in at {
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let span = Span { source, start: start as u32, end: start as u32 + 1 };
        found.push(Diagnostic::new(*code, (*line > 0).then_some(span), "m"));
    }
    let line = |one: &&Diagnostic| one.span.map_or(0, |span| sources.position(source, span.start).0);
    let kept = found.take().sorted().iter().map(line).collect();
    found.check_allowed();
    (kept, found.sorted().iter().map(line).collect())
}

#[test]
fn a_warning_is_acknowledged_on_its_line_above_it_or_at_the_head() {
    let text = "# a note\n# remuda: allow no-ssh-keys\n---\na: 1\n# remuda: allow random-port, node-port\n\n# more\nb: 2 # remuda: allow no-effect\nc: 'x # y' #remuda: allow random-port\nd: 1\n";
    let all = [(Code::NoSshKeys, 0), (Code::RandomPort, 8), (Code::NodePort, 8), (Code::NoEffect, 8), (Code::RandomPort, 9)];
    assert_eq!(left(text, &all), (vec![], vec![]));
    // Not on other lines, and not for others.
    assert_eq!(left(text, &[(Code::NoSshKeys, 4)]), (vec![], vec![5, 5, 8, 9]));
    assert_eq!(left(text, &[(Code::NoSshKeys, 8), (Code::NoEffect, 9), (Code::RandomPort, 10), (Code::RandomPort, 0)]).0, [0, 8, 9, 10]);
    // Errors stay, but for one that somebody can want.
    assert_eq!(left("a: 1 # remuda: allow unknown-key, opens-cluster\n", &[(Code::UnknownKey, 1), (Code::OpensCluster, 1)]).0, [1, 1]);
    // What isn't a comment, and what has no line.
    assert_eq!(left("a: 'x#remuda: allow no-effect'\n", &[(Code::NoEffect, 1)]), (vec![1], vec![]));
    assert_eq!(left("a: 1\n# remuda: allow no-effect", &[(Code::NoEffect, 1)]), (vec![1], vec![2]));
    assert_eq!(left("", &[(Code::NoEffect, 0)]).0, [0]);
}
