use super::{Ambiguous, Any, Field, Given, Kind, List, Map, Node, Reader, Record, Spanned, Tag, parse, record, yaml11};
use crate::diagnostic::{Diagnostics, SourceId, Sources, Span};
use crate::service::{Service, Text};

fn read(text: &str) -> (Option<Node>, Diagnostics) {
    let mut found = Diagnostics::default();
    (parse(text, SourceId(0), &mut found), found)
}

fn good(text: &str) -> Node {
    let (node, found) = read(text);
    assert!(found.is_empty(), "{:?}", found.sorted());
    node.unwrap()
}

/// The one thing that was found: its code, and the text that it marks.
fn refused(text: &str) -> (&'static str, String) {
    let (_, found) = read(text);
    let [one] = found.sorted()[..] else { panic!("{:?}", found.sorted()) };
    (one.code.name(), one.span.map(|span| marked(text, span).to_owned()).unwrap_or_default())
}

fn marked(text: &str, span: Span) -> &str {
    &text[span.start as usize..span.end as usize]
}

fn at<'n>(node: &'n Node, key: &str) -> &'n Node {
    let Kind::Mapping(entries) = &node.kind else { panic!("{node:?}") };
    &entries.iter().find(|entry| entry.key == key).unwrap().value
}

fn items(node: &Node) -> &[Node] {
    let Kind::List(items) = &node.kind else { panic!("{node:?}") };
    items
}

fn text(node: &Node) -> &str {
    let Kind::Scalar { text, .. } = &node.kind else { panic!("{node:?}") };
    text
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let (code, _) = refused(&bomb);
    assert_eq!(code, "too-large");
}

#[test]
fn what_anchors_keep_counts_as_values_too() {
    let opening: String = (0..60).map(|level| format!("&a{level} [")).collect();
    let bomb = format!("{opening}{}{}", "x, ".repeat(20_000), "]".repeat(60));
    assert_eq!(refused(&bomb).0, "too-large");
}

#[test]
fn aliases_nest_no_deeper_than_brackets_may() {
    let mut deep = "a0: &a0 x\n".to_owned();
    for level in 1..100 {
        deep += &format!("a{level}: &a{level} {}*a{}{}\n", "[".repeat(50), level - 1, "]".repeat(50));
    }
    let (code, place) = refused(&deep);
    assert_eq!((code, place.as_str()), ("too-large", "*a1"));
}

#[test]
fn a_thousand_brackets_are_refused_and_sixty_are_read() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    good(&nested(60));
    assert_eq!(refused(&nested(1000)).0, "yaml");
    let steps: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(refused(&steps).0, "yaml");
}

#[test]
fn more_than_64_mib_are_not_even_looked_at() {
    assert_eq!(refused(&"[".repeat((64 << 20) + 1)), ("too-large", String::new()));
}

#[test]
fn a_duplicate_key_is_marked_and_the_first_value_counts() {
    let source = "a: 1\nb: {c: 2, \"c\": 3, c: 4}\n";
    let (node, found) = read(source);
    assert_eq!(text(at(at(&node.unwrap(), "b"), "c")), "2");
    let places: Vec<_> = found.sorted().iter().map(|one| (one.code.name(), one.span.unwrap().start, one.related[0].0.start)).collect();
    assert_eq!(places, [("duplicate-key", 15, 9), ("duplicate-key", 23, 9)]);
}

#[test]
fn the_same_key_in_two_mappings_is_no_duplicate() {
    good("{a: {b: 1}, c: {b: 1, a: 2}}");
}

#[test]
fn places_are_right_behind_characters_of_many_bytes() {
    let source = "ä€: \"𝄞 é\"\nb: [ß, 'x €', z]\nc:\n  - 𝄞𝄞: ö\n";
    let node = good(source);
    assert_eq!(marked(source, at(&node, "ä€").span), "\"𝄞 é\"");
    let places: Vec<_> = items(at(&node, "b")).iter().map(|item| marked(source, item.span)).collect();
    assert_eq!(places, ["ß", "'x €'", "z"]);
    let inner = at(&items(at(&node, "c"))[0], "𝄞𝄞");
    assert_eq!(marked(source, inner.span), "ö");
    let mut sources = Sources::default();
    let id = sources.add("a", source.to_owned(), true);
    assert_eq!(sources.position(id, inner.span.start), (4, 9));
}

#[test]
fn places_and_values_are_the_same_with_windows_line_ends() {
    let source = "# é\r\na: 1\r\nb:\r\n  - x y\r\n  - \"z\"\r\nc: |\r\n  one\r\n  two\r\nd: {e: f}\r\n";
    let node = good(source);
    let places: Vec<_> = items(at(&node, "b")).iter().map(|item| marked(source, item.span)).collect();
    assert_eq!(places, ["x y", "\"z\""]);
    assert_eq!(text(at(&node, "a")), "1");
    assert_eq!(text(at(&node, "c")), "one\ntwo\n");
    assert_eq!(marked(source, at(at(&node, "d"), "e").span), "f");
    assert_eq!(refused("a: 1\r\nb: 2\r\na: 3\r\n"), ("duplicate-key", "a".to_owned()));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    let source = "\u{feff}cluster: a\nline: é b\n";
    let node = good(source);
    assert_eq!(marked(source, at(&node, "cluster").span), "a");
    assert_eq!(marked(source, at(&node, "line").span), "é b");
}

#[test]
fn a_list_and_a_mapping_reach_from_their_first_to_their_last_character() {
    let source = "a: [1, {b: 2}]\nc: {d: [3]}\n";
    let node = good(source);
    assert_eq!(marked(source, at(&node, "a").span), "[1, {b: 2}]");
    assert_eq!(marked(source, at(&node, "c").span), "{d: [3]}");
}

#[test]
fn one_document_is_read_and_a_second_one_is_refused_where_it_begins() {
    good("---\na: 1\n...\n# the end\n");
    let (_, found) = read("a: 1\n---\nb: 2\n");
    let [one] = found.sorted()[..] else { panic!("{:?}", found.sorted()) };
    assert_eq!((one.code.name(), one.span.unwrap().start), ("second-document", 5));
}

#[test]
fn a_source_without_a_value_is_empty() {
    for source in ["", "\n\n", "# only this\n"] {
        assert_eq!(refused(source).0, "empty", "{source:?}");
    }
}

#[test]
fn a_tag_is_read_where_it_has_a_meaning_and_refused_elsewhere() {
    let node = good("a: !override [b]\nc: !override {d: e}\nf: !template g\nh: i\n");
    let tags = ["a", "c", "f", "h"].map(|key| at(&node, key).tag);
    assert_eq!(tags, [Tag::Override, Tag::Override, Tag::Template, Tag::None]);
    for source in ["a: !override b", "a: !template [b]", "a: !template {b: c}", "a: !other b", "a: !!str b", "!<tag:a> b"] {
        assert_eq!(refused(source).0, "unknown-tag", "{source}");
    }
}

#[test]
fn an_alias_is_the_value_that_it_names_and_points_to_it() {
    let source = "a: &x {b: [1, !template c]}\nd: *x\n";
    let node = good(source);
    let copy = at(at(&node, "d"), "b");
    assert_eq!(items(copy)[1].tag, Tag::Template);
    assert_eq!(marked(source, copy.span), "[1, !template c]");
}

#[test]
fn an_alias_that_names_nothing_or_itself_is_refused() {
    for source in ["a: *b", "a: &b [*b]", "a: &b {c: {d: *b}}"] {
        assert_eq!(refused(source).0, "yaml", "{source}");
    }
}

#[test]
fn a_merge_key_is_refused_and_a_quoted_one_is_a_key() {
    assert_eq!(refused("a: &x {b: c}\nd: {<<: *x}\n"), ("merge-key", "<<".to_owned()));
    assert_eq!(text(at(&good("\"<<\": a"), "<<")), "a");
}

#[test]
fn a_list_is_no_key() {
    assert_eq!(refused("{[a]: b}"), ("wrong-type", "[a]".to_owned()));
}

#[test]
fn only_a_plain_scalar_can_be_nothing() {
    let node = good("[~, null, NULL, , '', \"null\", nil]".replace(" ,", " !template ,").as_str());
    let nothing: Vec<_> = items(&node).iter().map(Node::is_null).collect();
    assert_eq!(nothing, [true, true, true, true, false, false, false]);
}

#[test]
fn yaml_1_1_takes_these_for_something_else() {
    use Ambiguous::*;
    for (kind, words) in [
        (Null, "~ null Null NULL nULL"),
        (Bool, "y N yes No ON off TRUE false"),
        (Integer, "0 -1 +12 007 0644 0x1F 0b101 0o17 1_000 1:20 -190:20:30"),
        (Float, "1.5 -.5 1. 1e3 1.5E-7 6.8523015e+5 1_000.5 190:20:30.15 .inf -.INF .NaN"),
        (Date, "2026-11-23 2026-1-2 2001-12-14T21:59:43.10-05:00"),
        (Merge, "<< ="),
    ] {
        for word in words.split(' ') {
            assert_eq!(yaml11(word), Some(kind), "{word}");
        }
    }
    assert_eq!(yaml11("2026-11-23 10:00:00"), Some(Date));
    assert_eq!(yaml11(""), Some(Null));
}

#[test]
fn yaml_1_1_takes_these_for_texts() {
    for word in "a yess nope v1.5.8 1.2.3 10.0.0.0/8 10.0.0.1 e1 - -- . .. 0x 0xg 5m 26-11-23 2026-11 é 0é --v=2 ::1 a:1".split(' ') {
        assert_eq!(yaml11(word), None, "{word}");
    }
}

record! {
    /// A level.
    pub struct Level {
        /// One value.
        pub one: Given<Text>,
        /// A list.
        pub list: List<Text>,
        /// A mapping of lists.
        pub lists: Map<List<Text>>,
        /// A mapping.
        pub map: Map<Given<Text>>,
    }
}

fn level(source: &str) -> Level {
    let mut found = Diagnostics::default();
    let mut level = Level::default();
    level.fill(&parse(source, SourceId(0), &mut found).unwrap(), &mut Reader { found: &mut found, templates: false });
    assert!(found.is_empty(), "{:?}", found.sorted());
    level
}

fn merged(levels: &[&str]) -> Level {
    levels.iter().fold(Level::default(), |mut merged, source| {
        merged.merge(&level(source));
        merged
    })
}

fn words(list: &List<Text>) -> Vec<&str> {
    list.values().map(|text| text.text.as_str()).collect()
}

fn pairs(map: &Map<Given<Text>>) -> Vec<(&str, &str)> {
    map.iter().map(|(key, value)| (key.value.as_str(), value.value().unwrap().text.as_str())).collect()
}

#[test]
fn lists_are_added_to_mappings_merge_and_single_values_are_replaced() {
    let level = merged(&["{one: a, list: [a, b], map: {k: a, l: a}}", "{one: b, list: [b, c], map: {l: b, m: b}}", "{}"]);
    assert_eq!(level.one.value().unwrap().text, "b");
    assert_eq!(words(&level.list), ["a", "b", "c"]);
    assert_eq!(pairs(&level.map), [("k", "a"), ("l", "b"), ("m", "b")]);
}

#[test]
fn override_drops_what_is_weaker_and_nothing_stronger() {
    let level = merged(&["{list: [a], map: {k: a}}", "{list: !override [b], map: !override {l: b}}", "{list: [c], map: {m: c}}"]);
    assert_eq!(words(&level.list), ["b", "c"]);
    assert_eq!(pairs(&level.map), [("l", "b"), ("m", "c")]);
    assert!(merged(&["{list: [a]}", "{list: !override []}"]).list.is_empty());
}

#[test]
fn override_works_inside_of_a_mapping() {
    let level = merged(&["{lists: {k: [a], l: [a]}}", "{lists: {k: !override [b], l: [b]}}"]);
    assert_eq!(words(level.lists.get("k").unwrap()), ["b"]);
    assert_eq!(words(level.lists.get("l").unwrap()), ["a", "b"]);
}

#[test]
fn override_before_a_record_drops_all_of_it() {
    let level = merged(&["{one: a, list: [a], map: {k: a}}", "!override {list: [b]}", "{map: {l: c}}"]);
    assert!(level.one.is_absent());
    assert_eq!(words(&level.list), ["b"]);
    assert_eq!(pairs(&level.map), [("l", "c")]);
}

#[test]
fn levels_that_are_merged_first_override_like_each_by_itself() {
    let weakest = "{one: a, list: [a], map: {k: a}}";
    for stronger in [["{list: [b], map: {l: b}}", "{list: !override [c], map: !override {m: c}}"], ["{one: b}", "!override {list: [c]}"]] {
        let one_by_one = merged(&[weakest, stronger[0], stronger[1]]);
        let mut both = level(weakest);
        both.merge(&merged(&stronger));
        assert_eq!(words(&both.list), words(&one_by_one.list));
        assert_eq!(pairs(&both.map), pairs(&one_by_one.map));
        assert_eq!(both.one, one_by_one.one);
    }
}

#[test]
fn nothing_takes_an_entry_away_until_a_stronger_level_gives_it_again() {
    assert_eq!(pairs(&merged(&["{map: {k: a, l: a}}", "{map: {k: ~}}"]).map), [("l", "a")]);
    assert_eq!(pairs(&merged(&["{map: {k: a}}", "{map: {k: ~}}", "{map: {k: c}}"]).map), [("k", "c")]);
    let removed = merged(&["{map: {k: ~}}", "{map: {}}"]);
    assert_eq!(removed.map.removed().map(|key| key.value.as_str()).collect::<Vec<_>>(), ["k"]);
}

#[test]
fn a_value_keeps_the_place_of_the_level_that_gave_it() {
    let level = merged(&["{map: {k: a}}", "{one: x, map: {k: b}}"]);
    assert_eq!(level.map.get("k").unwrap().span().unwrap().start, 18);
}

record! {
    /// A level with another one's keys among its own.
    pub struct Wide {
        /// One value.
        pub other: Given<Text>,
        ..level: Level,
    }
}

#[test]
fn what_nobody_wrote_has_no_place_until_a_level_says_it() {
    let own = Level { one: Given::Is(Spanned::unwritten(Text::plain("a"))), list: List::of([Text::plain("a")]), ..Level::default() };
    let places = |level: &Level| (level.span.is_some(), level.one.span().is_some(), level.list.items[0].span.is_some());
    assert_eq!(places(&own), (false, false, false));
    let mut merged = own.clone();
    merged.merge(&level("{map: {k: a}}"));
    assert_eq!(places(&merged), (true, false, false), "the record is written, and these of its keys aren't");
    merged.merge(&level("{one: a, list: [a]}"));
    assert_eq!(places(&merged), (true, true, false), "an item that is there already is the weaker level's");
    assert_eq!(merged.span.unwrap().start, 0, "the first byte of a source is a place like any other");
    let place = merged.span;
    merged.merge(&own);
    assert_eq!(merged.span, place);
}

/// Every key of `R`, each in a record that says nothing else.
fn each_key_by_itself<R: Field + Record>() -> impl Iterator<Item = (&'static str, R)> {
    R::keys().into_iter().map(|key| {
        let mut record = R::default();
        let mut found = Diagnostics::default();
        // Wrong for a single value, an empty `!override` for everything else.
        let tree = parse(&format!("{key}: !override []"), SourceId(0), &mut found).unwrap();
        record.fill(&tree, &mut Reader { found: &mut found, templates: false });
        (key, record)
    })
}

fn no_key_is_forgotten<R: Field + Record>() {
    assert!(R::default().is_absent());
    let silent: Vec<_> = each_key_by_itself::<R>().filter(|(_, record)| record.is_absent()).map(|(key, _)| key).collect();
    assert!(silent.is_empty(), "these say nothing: {silent:?}");
    let lost = each_key_by_itself::<R>().filter(|(_, record)| {
        let mut merged = R::default();
        merged.merge(record);
        merged.is_absent()
    });
    let lost: Vec<_> = lost.map(|(key, _)| key).collect();
    assert!(lost.is_empty(), "these are lost when levels merge: {lost:?}");
}

#[test]
fn a_record_says_something_as_soon_as_one_of_its_keys_does() {
    assert_eq!(Wide::keys(), ["other", "one", "list", "lists", "map"]);
    no_key_is_forgotten::<Wide>();
    no_key_is_forgotten::<crate::profile::Settings>();
    no_key_is_forgotten::<crate::profile::NodeDecl>();
    no_key_is_forgotten::<Service>();
    assert!(level("{}").is_absent());
    assert!(!level("!override {}").is_absent());
}

#[test]
fn a_record_is_bad_when_one_of_its_single_values_is() {
    let bad: Vec<_> = each_key_by_itself::<Wide>().filter(|(_, record)| record.is_bad()).map(|(key, _)| key).collect();
    assert_eq!(bad, ["other", "one"]);
    assert!(!level("{one: a}").is_bad());
}

#[test]
fn every_key_of_a_service_is_visited() {
    for key in Service::keys() {
        let values = ["a", "[a]", "{a: b}", "true", "1", "{a: 1}"];
        let read = values.iter().find_map(|value| {
            let mut found = Diagnostics::default();
            let mut service = Service::default();
            let tree = parse(&format!("{key}: {value}"), SourceId(0), &mut found)?;
            service.fill(&tree, &mut Reader { found: &mut found, templates: false });
            found.is_empty().then_some(service)
        });
        let mut visited = Vec::new();
        read.unwrap_or_else(|| panic!("none of {values:?} is a value of {key}")).visit(|key, _| visited.push(key));
        assert_eq!(visited, [key]);
    }
    Service::default().visit(|key, _| panic!("{key} isn't set"));
}

/// The levels merged, from weak to strong, as JSON.
fn merged_any(levels: &[&str]) -> (String, Vec<(String, bool)>) {
    fn json(node: &Node) -> serde_json::Value {
        match &node.kind {
            Kind::Scalar { text, .. } => text.as_str().into(),
            Kind::List(items) => items.iter().map(json).collect(),
            Kind::Mapping(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
        }
    }
    let mut all = Any::default();
    for level in levels {
        let (mut own, mut found) = (Any::default(), Diagnostics::default());
        own.fill(&good(level), &mut Reader { found: &mut found, templates: false });
        assert!(found.is_empty());
        all.merge(&own);
    }
    let removals = all.removals().into_iter().map(|(key, hit)| (key.value.clone(), hit)).collect();
    (json(&all.node().unwrap()).to_string(), removals)
}

#[test]
fn a_value_without_a_type_merges_by_the_rule_too() {
    let of = |levels: &[&str]| merged_any(levels).0;
    assert_eq!(of(&["{a: 1, b: {c: 2}}", "{b: {d: 3}, a: 4}"]), r#"{"a":"4","b":{"c":"2","d":"3"}}"#);
    assert_eq!(of(&["[1, [2, 3]]", "[4, [2, 3], 1]"]), r#"["1",["2","3"],"4"]"#);
    assert_eq!(of(&["[1, 1]"]), r#"["1","1"]"#);
    assert_eq!(of(&["[1]", "!override [2]", "[3]"]), r#"["2","3"]"#);
    assert_eq!(of(&["{a: 1}", "!override {b: 2}"]), r#"{"b":"2"}"#);
    assert_eq!(of(&["{a: [1]}", "{a: {b: 2}}"]), r#"{"a":{"b":"2"}}"#);
    let (json, removals) = merged_any(&["{a: {b: 1, c: 2}}", "{a: {b: ~, d: ~}}"]);
    assert_eq!(json, r#"{"a":{"c":"2"}}"#);
    assert_eq!(removals, [("b".to_owned(), true), ("d".to_owned(), false)]);
}
